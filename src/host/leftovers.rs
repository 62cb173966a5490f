//! What is left when the work is done: told to end, waited for, and only then killed.
//!
//! What a process has left behind comes to circus as an orphan, whatever session it is in: circus is PID 1, to which all
//! belong that are in its namespace, or a subreaper. Its other descendants are still others' children.

use crate::arbiter::time::Time;
use crate::arbiter::{Pid, SPARED};
use crate::config::number;
use crate::host::kill::{Told, send_to, send_to_everybody};
use crate::host::processes::Processes;
use crate::host::procfs;
use crate::reactor::part::Cx;
use crate::signals::{SIGCONT, SIGKILL, SIGTERM};
use crate::sys::{clock, is_gone, process, signal, wait};
use std::io;
use std::time::{Duration, Instant};

/// How long the rest may take, in seconds, when nobody says anything.
pub const GRACE: f64 = 10.0;

/// How long after a SIGKILL it looks whether there is anybody new, in seconds, and how often everybody gets one.
const AGAIN: f64 = 0.05;
const TIMES: u32 = 41;

/// Those that are left, and what is to be done about them.
#[derive(Debug)]
pub struct LeftoverSweep {
    rest: Rest,
    /// When those are told that somebody may have told already.
    tell_at: Option<Time>,
    /// When everybody is killed, and how often that may still be done.
    kill_at: Time,
    left: u32,
}

/// Everybody that is left, but for these and what descends from them or is in their groups.
#[derive(Debug, Default)]
pub struct Rest {
    /// Processes that are to live on. The namespace of PID 1 ends with it, and so do they.
    pub left_alone: Vec<Pid>,
    /// Processes that SIGKILL did not end: nobody waits for them.
    pub survivors: Vec<Pid>,
    /// Processes that were asked to end already, and are not asked again.
    pub told: Told,
}

fn now() -> Time {
    Time(clock::monotonic_ns())
}

impl LeftoverSweep {
    /// Tells everybody to end within so many seconds. Are they to be `spared`, what has ended may have passed on to them
    /// that they are to end: a second time could mean "at once" to them, so they are told later, if they are still there.
    pub fn begin(rest: Rest, grace: f64, spared: bool) -> LeftoverSweep {
        if !spared {
            rest.ask();
        }
        rest.tell(SIGCONT);
        let tell_at = spared.then(|| now().plus((grace / 2.0).min(SPARED)));
        LeftoverSweep { rest, tell_at, kill_at: now().plus(grace), left: TIMES }
    }

    /// circus has stood still for so many seconds, and everybody has as many more.
    pub fn give_back(&mut self, seconds: f64) {
        self.tell_at = self.tell_at.map(|at| at.plus(seconds));
        self.kill_at = self.kill_at.plus(seconds);
    }

    /// How long until it wants to go on, in nanoseconds.
    pub fn timeout(&self) -> u64 {
        self.tell_at.unwrap_or(self.kill_at).0.saturating_sub(now().0)
    }

    /// Goes on if it is time: kills, and looks again soon, since somebody may have been born meanwhile.
    pub fn expire(&mut self) {
        if self.timeout() > 0 {
            return;
        }
        match self.tell_at.take() {
            Some(_) => self.rest.ask(),
            None => self.kill(),
        }
    }

    /// Passes a signal on to everybody, unless they have been killed.
    #[cfg(feature = "run")]
    pub fn tell(&self, signum: i32) {
        if !self.has_killed() {
            self.rest.tell(signum);
        }
    }

    fn has_killed(&self) -> bool {
        self.left < TIMES
    }

    /// Whoever asked for the end asks again: nobody is waited for any more.
    pub fn hurry(&mut self) {
        if !self.has_killed() {
            self.kill();
        }
    }

    fn kill(&mut self) {
        self.rest.tell(SIGKILL);
        (self.tell_at, self.kill_at, self.left) = (None, now().plus(AGAIN), self.left.saturating_sub(1));
    }

    /// Nobody is left, or nothing helps against those that are.
    pub fn is_over(&self) -> bool {
        self.left == 0 || self.rest.is_empty()
    }
}

impl Rest {
    /// Whether nobody is left. What is not circus's child yet is the child of one that is.
    pub fn is_empty(&self) -> bool {
        let all = self.left_alone.is_empty() && self.survivors.is_empty();
        !wait::children_exist() || !all && self.pids().is_ok_and(|pids| pids.is_empty())
    }

    /// Why circus does not end yet: the first few that it waits for, so many seconds.
    pub fn reason(&self, grace: f64) -> String {
        let named = |pid: Pid| Some(format!("{} ({pid})", procfs::program(pid)?));
        let names: Vec<String> =
            self.pids().unwrap_or_default().into_iter().filter_map(named).take(8).collect();
        waiting_for(&names, grace)
    }

    /// Asks all of them to end that have not been asked.
    fn ask(&self) {
        match self.pids() {
            Ok(pids) if !self.told.is_empty() => {
                let new = pids.into_iter().filter(|pid| !self.told.has(*pid, SIGTERM));
                send_to(&new.collect::<Vec<Pid>>(), SIGTERM);
            }
            Ok(_) | Err(_) => self.tell(SIGTERM),
        }
    }

    /// A signal for all of them. Without /proc nobody but PID 1 can find them.
    fn tell(&self, signum: i32) {
        if process::pid() == 1 {
            return send_to_everybody(signum);
        }
        send_to(&self.pids().unwrap_or_default(), signum);
    }

    fn pids(&self) -> io::Result<Vec<Pid>> {
        let mut pids = procfs::descendants(process::pid())?;
        pids.retain(|pid| !self.survivors.contains(pid));
        if self.left_alone.is_empty() || process::pid() == 1 {
            return Ok(pids);
        }
        let mut alone = self.left_alone.clone();
        for pid in &self.left_alone {
            match procfs::descendants(*pid) {
                Ok(below) => alone.extend(below),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        pids.retain(|pid| {
            let group = signal::group_of(*pid).unwrap_or(*pid);
            !alone.contains(pid) && !self.left_alone.contains(&group)
        });
        Ok(pids)
    }
}

/// Without /proc nobody has a name, and those that had one may have ended by now.
fn waiting_for(names: &[String], grace: f64) -> String {
    let names = if names.is_empty() { "processes that were left behind" } else { &names.join(", ") };
    format!("waiting up to {} s for {names}", number::fixed(grace, 1))
}

impl Processes {
    /// Begins to end what the processes have left, after the last of them. The loop goes on meanwhile: output is passed
    /// on, and clients have their answers.
    pub fn begin_sweep(&mut self, cx: &mut Cx<'_>) {
        let rest = Rest {
            left_alone: std::mem::take(&mut self.left_alone),
            survivors: std::mem::take(&mut self.survivors),
            told: std::mem::take(&mut self.told),
        };
        if rest.is_empty() {
            return;
        }
        cx.log.info(format_args!("{}", rest.reason(GRACE)));
        self.sweep = Some(LeftoverSweep::begin(rest, GRACE, false));
        if cx.arbiter.is_hurried() {
            self.hurry_sweep();
        }
    }

    /// Whether somebody is left that is waited for.
    pub fn is_sweeping(&self) -> bool {
        self.sweep.as_ref().is_some_and(|sweep| !sweep.is_over())
    }

    /// Nobody is waited for any more.
    pub fn hurry_sweep(&mut self) {
        self.sweep.iter_mut().for_each(LeftoverSweep::hurry);
    }

    /// circus has stood still for so many seconds.
    pub fn give_back(&mut self, seconds: f64) {
        self.sweep.iter_mut().for_each(|sweep| sweep.give_back(seconds));
    }

    /// When the sweep wants to go on.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        let timeout = Duration::from_nanos(self.sweep.as_ref()?.timeout());
        Some(Instant::now() + timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_named_or_called_something() {
        assert_eq!(
            waiting_for(&["sh (7)".into(), "cat (8)".into()], 10.0),
            "waiting up to 10.0 s for sh (7), cat (8)"
        );
        assert_eq!(waiting_for(&[], 10.0), "waiting up to 10.0 s for processes that were left behind");
    }
}
