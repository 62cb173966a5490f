//! What the end of a process means for its watcher, and what the end of a watcher means for circus.
//!
//! A `critical` watcher takes circus along when it has ended for good and nobody has ordered it: everything is
//! stopped in order, and then circus exits as the process did.

use super::context::Cx;
use super::history::Cause;
use super::process::{Exit, Process};
use super::readiness::HealthFailure;
use super::run::Slot;
use super::watcher::{Goal, Watcher, WhyDown};
use super::{Arbiter, Level, Pid, WatcherId};
use crate::config::options::WatcherOptions;
use crate::config::respawn_rule::{self, Respawn};
use crate::signals;

/// The exit code when no process could be started; a shell says it of a command that cannot be executed.
const NOTHING_RAN: u8 = 126;

/// The end of a process that is not replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// Which process.
    pub pid: Pid,
    /// Its number in the watcher.
    pub wid: u32,
    /// How it ended.
    pub exit: Exit,
}

/// Why circus ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriticalExit {
    /// The critical watcher.
    pub watcher: WatcherId,
    /// Its name.
    pub name: String,
    /// What has become of it.
    pub reason: String,
    /// The process that has decided it; none when no process could be started.
    pub death: Option<Death>,
    /// The exit code of circus.
    pub code: u8,
}

/// Whether a process has ended as its watcher wants it.
pub(super) fn succeeded(exit: Exit, options: &WatcherOptions) -> bool {
    match exit {
        Exit::Code(0) => true,
        Exit::Code(code) => respawn_rule::has(options.success_codes.as_deref(), respawn_rule::code, code),
        Exit::Signal(number) => respawn_rule::has(options.success_signals.as_deref(), signals::parse, number),
    }
}

/// The exit code of circus when a process with this end has decided it.
fn code_of(exit: Exit, options: &WatcherOptions) -> u8 {
    match exit {
        exit if succeeded(exit, options) => 0,
        Exit::Code(code) => code as u8,
        Exit::Signal(number) => 128 + number as u8,
    }
}

impl Watcher {
    /// Whether another process takes the place of one that has ended so, or was ended since it did not do its work. One
    /// that was not ready yet is a failed start, and tried again whatever `respawn` says.
    pub(super) fn replaces_after(&self, exit: Exit, ailment: Option<HealthFailure>, was_ready: bool) -> bool {
        match self.config.options.respawn {
            _ if self.config.options.on_demand || self.goal != Goal::Up => false,
            _ if !was_ready => true,
            Respawn::Always => true,
            Respawn::OnFailure => ailment.is_some() || !succeeded(exit, &self.config.options),
            Respawn::Never => false,
        }
    }

    /// The place of a process that has ended stays empty. Of several, the first that has failed speaks for all.
    pub(super) fn leave_empty(&mut self, process: &Process, exit: Exit) {
        let options = &self.config.options;
        let speaks = self.run().death.is_none_or(|death| succeeded(death.exit, options));
        let Some(run) = self.run_mut() else { return };
        run.slots.push(Slot::default());
        if speaks {
            run.death = Some(Death { pid: process.pid, wid: process.wid, exit });
        }
    }

    /// All its places are empty now, and stay so.
    pub(super) fn ended_for_good(&mut self, cx: &mut Cx) {
        let words =
            |death: Death| format!("its process {} (wid {}) {}", death.pid, death.wid, death.exit.words());
        let death = self.run().death;
        let well = death.is_none_or(|death| succeeded(death.exit, &self.config.options));
        self.why_down = Some(Box::new(WhyDown::Ended { well }));
        cx.outcome.over = Some((death.map_or("its processes have ended".into(), words), death));
        cx.outcome.because = Some(Cause::Ended);
    }

    /// It cannot run, for this reason, and is not tried again.
    pub(super) fn failed_for_good(&mut self, reason: String, cx: &mut Cx) {
        cx.outcome.over = Some((reason.clone(), None));
        self.fail(reason);
    }
}

impl Arbiter {
    /// A critical watcher has ended for good by itself. Unless circus is ending anyway, it ends now.
    pub(super) fn fall(&mut self, id: WatcherId, (reason, death): (String, Option<Death>)) {
        let Some(watcher) = self.watchers.get(&id).filter(|_| self.ending.is_none()) else { return };
        let config = &watcher.config;
        let code = death.map_or(NOTHING_RAN, |death| code_of(death.exit, &config.options));
        let name = config.name.clone();
        let text = format!("{name} is critical and has ended: {reason}; circus exits with code {code}");
        self.cx.log(Level::Critical, text);
        self.cx.cause = Cause::Critical;
        self.fallen = Some(CriticalExit { watcher: id, name, reason, death, code });
        self.terminate(None);
    }
}
