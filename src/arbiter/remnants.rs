//! What is left of the group of a process that has ended: when it is asked to end, for how long it is waited for, and what
//! waits for it.
//!
//! The next process of the same slot starts when the group is empty, so that two sets of workers never run side by side.
//! A process that ended by itself and is not replaced leaves its group alone until the watcher stops.
//!
//! Nobody is asked twice in one stop, since to many programs the second signal means "at once". A process that ended by
//! the very signal that it got cannot have passed it on. One that handled the signal may have: what it has left gets
//! some time to end before it is asked.

use super::context::Cx;
use super::process::{Exit, Fate, Process, Remnant};
use super::run::{Next, Slot};
use super::stop::AFTER_KILL;
use super::time::Time;
use super::watcher::{Status, Watcher};
use super::{Action, Level, Pid, Whom};
use crate::seldom::{Empty, Seldom};
use crate::signals::SIGKILL;

/// How many seconds the rest of a group is spared at most. A container manager waits for ten.
pub const SPARED: f64 = 5.0;

/// What becomes of the rest of the group of a process that has ended `exit` when asked by `signum`.
pub(super) fn rest_of_stop(exit: Exit, signum: i32, kill_at: Time, now: Time) -> Fate {
    if exit == Exit::Signal(signum) {
        return Fate::Asked { signum, kill_at };
    }
    let ask_at = now.plus((kill_at.since(now) / 2.0).min(SPARED));
    Fate::Spared { signum, ask_at, kill_at }
}

/// What the processes of a watcher have left behind.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Members of the groups of those that have ended.
    pub(super) remnants: Vec<Remnant>,
    /// Processes that SIGKILL did not end.
    pub(super) survivors: Vec<Pid>,
}

impl Empty for Left {
    const EMPTY: &'static Self = &Left { remnants: Vec::new(), survivors: Vec::new() };
}

impl Seldom<Left> {
    /// The members of groups, to be changed.
    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut Remnant> {
        self.get_mut().into_iter().flat_map(|left| &mut left.remnants)
    }
}

impl Watcher {
    /// What becomes of the rest of the group of a process that has ended by itself.
    pub(super) fn rest_of_crash(&self, replaced: bool, now: Time) -> Fate {
        match replaced && self.status() != Status::Stopping {
            true => {
                let kill_at = now.plus(self.config.options.graceful_timeout);
                Fate::Asked { signum: self.stop_signal(), kill_at }
            }
            false => Fate::Left,
        }
    }

    /// A process is reaped, and its group has members still.
    pub(super) fn keep_remnant(&mut self, process: &Process, next: Next, cx: &mut Cx) {
        let fate = process.rest();
        // One that is left alone holds up nobody.
        let holds_up = fate != Fate::Left && next != Next::Nobody;
        match holds_up.then(|| self.run_mut()).flatten() {
            Some(run) => run.slots.push(Slot { behind: Some(process.pid), retry: next.retry() }),
            None => self.free(next),
        }
        // Whether there is anything outside of the group is not known yet.
        if holds_up && process.fate() == Fate::Left && process.followers == Some(Whom::Group) {
            let what = "has left processes in its group; they are stopped before the next one starts";
            self.say_of(Level::Info, (process.pid, process.wid), what, cx);
        }
        self.left.remnants.push(Remnant { pgid: process.pid, fate });
        if self.status() == Status::Stopping && fate == Fate::Left && !self.spares_processes() {
            self.ask_remnants(cx);
        }
        self.expire_remnants(cx);
    }

    /// Asks the groups of processes that ended by themselves to end too: the watcher stops.
    pub(super) fn ask_remnants(&mut self, cx: &mut Cx) {
        let signum = self.stop_signal();
        let kill_at = cx.now.plus(self.config.options.graceful_timeout);
        for remnant in self.left.each_mut().filter(|r| r.fate == Fate::Left) {
            remnant.ask(signum, kill_at, cx);
        }
    }

    /// circus is in a hurry.
    pub(super) fn hurry_remnants(&mut self, cx: &mut Cx) {
        for remnant in self.left.each_mut().filter(|remnant| remnant.fate.kill_at().is_some()) {
            remnant.kill(cx);
        }
    }

    /// A group without its leader has no members any more.
    pub(super) fn group_is_empty(&mut self, pgid: Pid) {
        self.left.get_mut().into_iter().for_each(|left| left.remnants.retain(|remnant| remnant.pgid != pgid));
        self.held_run().into_iter().for_each(|run| run.group_is_empty(pgid));
    }

    /// Asks, kills and gives up what it is time for.
    pub(super) fn expire_remnants(&mut self, cx: &mut Cx) {
        let mut given_up = Vec::new();
        for remnant in self.left.each_mut() {
            if remnant.fate.due().is_none_or(|at| at > cx.now) {
                continue;
            }
            match remnant.fate {
                Fate::Spared { signum, kill_at, .. } if kill_at > cx.now => remnant.ask(signum, kill_at, cx),
                Fate::Spared { .. } | Fate::Asked { .. } => remnant.kill(cx),
                Fate::Killed { .. } => given_up.push(remnant.pgid),
                Fate::Left => {}
            }
        }
        for pgid in given_up {
            let name = &self.config.name;
            let text =
                format!("{name}: processes left by process {pgid} survive SIGKILL; they are left alone");
            cx.log(Level::Error, text);
            self.group_is_empty(pgid);
        }
    }

    /// What is left of a group whose end something waits for: the leader's number.
    pub fn waits_for_group(&self) -> Option<Pid> {
        let waits = |remnant: &&Remnant| self.run().is_behind(remnant.pgid) || !self.is_up();
        let ends = |remnant: &&Remnant| remnant.fate != Fate::Left;
        self.left.remnants.iter().filter(ends).find(waits).map(|remnant| remnant.pgid)
    }
}

impl Remnant {
    fn ask(&mut self, signum: i32, kill_at: Time, cx: &mut Cx) {
        self.fate = Fate::Asked { signum, kill_at };
        cx.act(Action::SignalRemnant { pgid: self.pgid, signum });
    }

    fn kill(&mut self, cx: &mut Cx) {
        self.fate = Fate::Killed { until: cx.now.plus(AFTER_KILL) };
        cx.act(Action::SignalRemnant { pgid: self.pgid, signum: SIGKILL });
    }
}
