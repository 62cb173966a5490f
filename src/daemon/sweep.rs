//! What is left when the work is done: told to end, waited for, and only then killed.
//!
//! What a process has left behind comes to circus as an orphan, whatever session it is in: circus is PID 1, to which all
//! belong that are in its namespace, or a subreaper. Its other descendants are still others' children.

use super::eventloop::Daemon;
use super::procfs;
use crate::arbiter::Pid;
use crate::arbiter::time::Time;
use crate::config::number;
use crate::sys::{clock, process, signal, wait};
use mio::Events;
use std::time::{Duration, Instant};

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
const SIGCONT: i32 = 18;

/// How long the rest may take, in seconds, when nobody says anything.
pub const GRACE: f64 = 10.0;

/// How long after a SIGKILL it looks whether there is anybody new, in seconds, and how often.
const AGAIN: f64 = 0.05;
const TIMES: u32 = 40;

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub enum Sweep {
    /// Everybody has been told.
    Told {
        /// When patience ends.
        kill_at: Time,
    },
    /// Everybody has been killed.
    Killed {
        /// When to look again.
        again_at: Time,
        /// How often to look still.
        left: u32,
    },
}

/// The time on the clock that goes on by itself.
pub fn now() -> Time {
    Time(clock::monotonic_ns())
}

impl Sweep {
    /// Tells everybody to end within so many seconds.
    pub fn begin(grace: f64) -> Sweep {
        tell(SIGTERM);
        tell(SIGCONT);
        Sweep::Told { kill_at: now().plus(grace) }
    }

    /// When it wants to go on.
    pub fn deadline(&self) -> Time {
        match *self {
            Sweep::Told { kill_at: at } | Sweep::Killed { again_at: at, .. } => at,
        }
    }

    /// Goes on if it is time: kills, and looks again soon, since somebody may have been born meanwhile.
    pub fn expire(&mut self) {
        if self.deadline() > now() {
            return;
        }
        match *self {
            Sweep::Told { .. } => self.kill(TIMES),
            Sweep::Killed { left, .. } => self.kill(left.saturating_sub(1)),
        }
    }

    /// Whoever asked for the end asks again: nobody is waited for any more.
    pub fn hurry(&mut self) {
        if let Sweep::Told { .. } = self {
            self.kill(TIMES);
        }
    }

    fn kill(&mut self, left: u32) {
        tell(SIGKILL);
        *self = Sweep::Killed { again_at: now().plus(AGAIN), left };
    }

    /// Nobody is left, or nothing helps against those that are.
    pub fn is_over(&self) -> bool {
        let given_up = match *self {
            Sweep::Told { .. } => false,
            Sweep::Killed { left, .. } => left == 0,
        };
        given_up || !wait::children_exist()
    }
}

/// A signal for everybody that is left. Without /proc nobody but PID 1 can find them.
pub fn tell(signum: i32) {
    if process::pid() == 1 {
        let _ = signal::kill_everybody(signum);
        return;
    }
    rest().into_iter().for_each(|pid| drop(signal::kill(pid, signum)));
}

fn rest() -> Vec<Pid> {
    procfs::descendants(process::pid()).unwrap_or_default()
}

/// Why it does not end yet: the first few that it waits for.
pub fn reason(grace: f64) -> String {
    let names = rest().into_iter().filter_map(|pid| Some(format!("{} ({pid})", procfs::program(pid)?)));
    let names: Vec<String> = names.take(8).collect();
    format!("waiting up to {} s for {}", number::fixed(grace, 1), names.join(", "))
}

impl Daemon {
    /// Ends what the processes have left, after the last of them. The loop goes on meanwhile: output is passed on,
    /// and clients have their answers.
    pub(super) fn sweep(&mut self, events: &mut Events) {
        // Who has ended already is none of them.
        self.reap();
        while self.more_zombies {
            self.reap();
        }
        if !wait::children_exist() {
            return;
        }
        self.log.info(format_args!("{}", reason(GRACE)));
        self.sweep = Some(Sweep::begin(GRACE));
        while self.sweep.as_ref().is_some_and(|sweep| !sweep.is_over()) {
            self.wait_and_turn(events);
            if let Some(sweep) = &mut self.sweep {
                sweep.expire();
            }
        }
        if wait::children_exist() {
            self.log.warning(format_args!("some processes could not be ended"));
        }
    }

    /// When the sweep wants to go on.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        let rest = self.sweep.as_ref()?.deadline().0.saturating_sub(now().0);
        Some(Instant::now() + Duration::from_nanos(rest))
    }
}
