//! Everything that happens in a life, as one number: by it two versions of the arbiter are compared over a million
//! lives. What is folded in has no name of a type in it, so that types may be renamed.

use super::super::history::Restart;
use super::super::reconfigure::{Purpose, Reading};
use super::super::watcher::Watcher;
use super::*;
use std::fmt::{Debug, Write};

/// FNV-1a, over the text of all that was folded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trace(pub(super) u64);

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        Ok(())
    }
}

impl Default for Trace {
    fn default() -> Self {
        Trace(0xcbf2_9ce4_8422_2325)
    }
}

impl Trace {
    pub(super) fn fold(&mut self, what: &dyn Debug) {
        write!(self, "{what:?};").unwrap();
    }

    pub(super) fn event(&mut self, now: Time, event: &Event) {
        self.fold(&now.0);
        match event {
            Event::Start => self.fold(&1),
            Event::Spawned { watcher, pid } => self.fold(&(2, watcher.0, pid)),
            Event::SpawnFailed { watcher, reason, shortage } => {
                self.fold(&(3, watcher.0, reason, shortage));
            }
            Event::NeverRan { pid, reason, shortage } => self.fold(&(4, pid, reason, shortage)),
            Event::Exited { pid, exit } => self.fold(&(5, pid, exit.code())),
            Event::OutOfMemory { pid } => self.fold(&(6, pid)),
            Event::Reaped { pid, group_left } => self.fold(&(7, pid, group_left)),
            Event::GroupEmpty { pgid } => self.fold(&(8, pgid)),
            Event::HookDone { id, watcher, answer } => self.fold(&(9, id.0, watcher.0, answer)),
            Event::HookDelayed { id, watcher } => self.fold(&(10, id.0, watcher.0)),
            Event::SocketsWatched { watcher, result } => self.fold(&(11, watcher.0, result)),
            Event::SocketReady { watcher } => self.fold(&(12, watcher.0)),
            Event::Noticed { pid, notice } => self.fold(&(13, pid, notice)),
            Event::TooLarge { pid, rss } => self.fold(&(24, pid, rss)),
            Event::Order { ticket, order, targets, by: _ } => {
                let targets = targets.as_ref().map(|ids| ids.iter().map(|id| id.0).collect::<Vec<u32>>());
                self.fold(&(14, ticket.0, order.what.word(), order.waiting, targets));
            }
            Event::Read { reading, found } => {
                let read = (reading.ticket.0, reading.waiting, restarts(reading));
                self.fold(&(15, read, found.as_ref().map(|new| new.watchers.len())));
            }
            Event::Terminate => self.fold(&16),
            Event::Reload => self.fold(&17),
            Event::Overslept { seconds } => self.fold(&(18, seconds)),
            Event::Tick => self.fold(&19),
            Event::Detached { watcher } => self.fold(&(20, watcher.0)),
        }
    }

    pub(super) fn action(&mut self, action: &Action) {
        match action {
            Action::Spawn { watcher, wid } => self.fold(&(1, watcher.0, wid)),
            Action::Ask { pid, signum, children } => self.fold(&(2, pid, signum, children)),
            Action::Signal { pid, signum, whom } => self.fold(&(3, pid, signum, whom)),
            Action::SignalRemnant { pgid, signum } => self.fold(&(4, pgid, signum)),
            Action::Reap { pid } => self.fold(&(5, pid)),
            Action::GiveUp { watcher, wid, pid } => self.fold(&(6, watcher.0, wid, pid)),
            Action::RunHook { id, watcher, hook, about } => {
                let about = (about.pid, about.signum, about.exit.map(Exit::code), about.asked);
                self.fold(&(7, id.0, watcher.0, hook.name(), about));
            }
            Action::CancelHook { id, watcher } => self.fold(&(8, id.0, watcher.0)),
            Action::WatchSockets(id) => self.fold(&(9, id.0)),
            Action::UnwatchSockets(id) => self.fold(&(10, id.0)),
            Action::Reply { ticket, reply } => self.fold(&(11, ticket.0, reply)),
            Action::Publish { watcher, what } => self.fold(&(12, watcher, what.name(), published(what))),
            Action::Log { level, text } => self.fold(&(13, level.name(), text)),
            Action::Read(reading) => self.fold(&(14, reading.ticket.0, reading.waiting, restarts(reading))),
            Action::Changed(id) => self.fold(&(15, id.0)),
            Action::Forgotten { watcher, left } => self.fold(&(16, watcher.0, left)),
            Action::LookForDetached { watcher, pid } => self.fold(&(18, watcher.0, pid)),
            Action::Exit(fall) => {
                let death =
                    |death: &super::super::exit_policy::Death| (death.pid, death.wid, death.exit.code());
                let fall = fall.as_ref();
                let fall =
                    fall.map(|f| (f.watcher.0, &f.name, &f.reason, f.death.as_ref().map(death), f.code));
                self.fold(&(17, fall));
            }
        }
    }

    /// What users are shown of a watcher.
    pub(super) fn view(&mut self, watcher: &Watcher) {
        let history = watcher.history();
        self.fold(&(watcher.id.0, watcher.status().word(), watcher.fault(), watcher.failure()));
        self.fold(&(watcher.places(), watcher.running(), watcher.ready(), watcher.is_reloading()));
        self.fold(&(watcher.since().map(|at| at.0), watcher.waits_for_demand(), watcher.waits_for_group()));
        self.fold(&(watcher.next_attempt().map(|at| at.0), watcher.next_kill().map(|at| at.0)));
        self.fold(&(watcher.survivors(), watcher.replaces(), &watcher.making().options.args));
        self.fold(&Restart::ALL.map(|(why, _)| history.restarts(why)));
        self.fold(&history.counts().map(|counts| (counts.exits.iter().collect::<Vec<_>>(), counts.failures)));
        for process in watcher.processes() {
            let ready = (process.is_ready(), process.failed_probes(), process.more.oom);
            self.fold(&(process.wid, process.pid, process.started.0, process.generation, ready));
        }
    }
}

fn published(what: &Published) -> (Option<Pid>, String) {
    match what {
        Published::Spawn { pid } | Published::Kill { pid } | Published::Ready { pid } => {
            (Some(*pid), String::new())
        }
        Published::Reap { pid, exit, oom } => (Some(*pid), format!("{} {oom}", exit.code())),
        Published::Unhealthy { pid, reason } => (Some(*pid), reason.clone()),
        Published::HookSuccess { hook } => (None, hook.name().to_string()),
        Published::HookFailure { hook, error } => (None, format!("{} {error}", hook.name())),
        Published::Start | Published::Stop | Published::Reload | Published::Updated => (None, String::new()),
        Published::Add | Published::Remove => (None, String::new()),
    }
}

fn restarts(reading: &Reading) -> bool {
    reading.purpose == Purpose::Apply { restart: true }
}
