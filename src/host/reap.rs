//! Takes in the dead: learns who has ended, lets all parts and the arbiter look at each zombie while its number is still
//! its own, reaps it, and keeps track of process groups that outlive their leaders.
//!
//! circus is a subreaper, so orphans become its children and their deaths are seen too. That is how "the group is
//! empty" is an event.

use crate::arbiter::process::Exit;
use crate::arbiter::{Event, Pid, WatcherId};
use crate::host::looks::Retry;
use crate::host::processes::Processes;
use crate::host::procfs;
use crate::host::spawn_template::late_trouble;
use crate::host::trouble::Trouble;
use crate::parts::log::Level;
use crate::reactor::part::{Cx, Effect};
use crate::signals::SIGKILL;
use crate::sys::child::SpawnError;
use crate::sys::{self, process, signal, wait};
use std::time::Instant;

/// How many zombies are taken in one turn: the others want to be looked at too.
const MOST: usize = 256;

/// The looks for zombies.
#[derive(Default)]
pub struct Reaping {
    /// There may be some.
    due: bool,
    /// How many may still be taken in this turn, and whether that has begun.
    left: usize,
    begun: bool,
    /// No signal comes for a zombie that could not be taken in.
    pub(super) retry: Retry,
    /// The last one could not be reaped.
    failed: bool,
}

impl Reaping {
    /// A turn begins.
    pub fn begin_turn(&mut self, now: Instant) {
        (self.left, self.begun) = (MOST, false);
        self.due |= self.retry.is_due(now);
    }

    fn try_later(&mut self, now: Instant) {
        self.retry.later(now);
        (self.due, self.failed) = (false, false);
    }
}

impl Processes {
    /// Somebody has ended. SIGCHLD does not say how many there are.
    pub fn zombies_may_be(&mut self) {
        self.reaping.due = true;
    }

    /// Whether there may be some that can be taken now.
    pub fn is_reaping(&self) -> bool {
        self.reaping.due
    }

    /// Takes the next zombie, if one may still be taken in this turn; false: there is none.
    pub(super) fn reap_next(&mut self, cx: &mut Cx<'_>) -> bool {
        let reaping = &mut self.reaping;
        if !reaping.due || reaping.left == 0 {
            return false;
        }
        if !reaping.begun {
            (reaping.begun, reaping.failed, reaping.retry.at) = (true, false, None);
            cx.effect(Effect::Reaping);
            return true;
        }
        if reaping.failed {
            reaping.try_later(cx.now);
            return false;
        }
        reaping.left -= 1;
        match wait::peek() {
            Ok(Some((pid, exit))) => {
                cx.effect(Effect::Ended { pid, exit });
                return true;
            }
            Ok(None) => {
                reaping.due = false;
                reaping.retry.over();
            }
            Err(error) => {
                let text = format_args!("looking for zombies: {}; tried again", sys::io_words(&error));
                cx.log.once(Level::Error, "waitid", text);
                reaping.try_later(cx.now);
            }
        }
        false
    }

    /// All parts know that a child is a zombie: now the arbiter is to know it.
    pub fn report(&mut self, pid: Pid, exit: Exit, cx: &mut Cx<'_>) {
        if let Some(failure) = cx.host.spawner.late_failure(pid) {
            did_not_run(pid, &failure, cx);
        }
        // The kernel says of what it ended for want of memory only that it was killed, and a shell that ran it exits so.
        let killed =
            matches!(exit, Exit::Signal(SIGKILL) | Exit::Code(137)) && cx.arbiter.owner(pid).is_some();
        if killed && self.oom.has_ended(pid, cx.now) {
            cx.event(Event::OutOfMemory { pid });
        }
        cx.event(Event::Exited { pid, exit });
    }

    /// Says whether a zombie has left processes in its group, or elsewhere with its mark: they are circus's children now.
    pub fn look_for_detached(&self, watcher: WatcherId, pid: Pid, cx: &mut Cx<'_>) {
        let children = procfs::children(process::pid()).unwrap_or_default();
        let mut orphans = children.into_iter().filter(|child| cx.arbiter.owner(*child).is_none());
        let is_left = |orphan: Pid, cx: &Cx<'_>| {
            signal::group_of(orphan).is_ok_and(|group| group == pid) || self.comes_from(orphan, pid, cx)
        };
        if orphans.any(|orphan| is_left(orphan, cx)) {
            cx.event(Event::Detached { watcher });
        }
    }

    /// Reaps one zombie, and looks at its group.
    pub fn reap(&mut self, pid: Pid, cx: &mut Cx<'_>) {
        // The processes of watchers lead their sessions, and cannot leave their groups.
        let group = match cx.arbiter.owner(pid) {
            Some(_) => pid,
            None => signal::group_of(pid).unwrap_or(pid),
        };
        if let Err(error) = wait::reap(pid) {
            let text = format_args!("reaping {pid}: {}", sys::io_words(&error));
            cx.log.once(Level::Error, "waitpid", text);
            self.reaping.failed = true;
        }
        if group == pid {
            let group_left = signal::group_exists(pid);
            if group_left {
                cx.host.groups.insert(pid, ());
            }
            let tree_left = self.descendants.lost_its_root(pid);
            if !group_left && !tree_left {
                self.told.forget(pid);
            }
            cx.event(Event::Reaped { pid, group_left: group_left || tree_left });
        } else if cx.host.groups.contains_key(&group) && !signal::group_exists(group) {
            // It was the last member.
            self.group_is_gone(group, cx);
        }
        self.descendants.look_again();
    }

    pub(super) fn group_is_gone(&mut self, pgid: Pid, cx: &mut Cx<'_>) {
        cx.host.groups.remove(&pgid);
        if !self.descendants.knows(pgid) {
            self.told.forget(pgid);
            cx.event(Event::GroupEmpty { pgid });
        }
    }
}

/// A child is a zombie that has never become its program, which was not known when it was spawned.
fn did_not_run(pid: Pid, error: &SpawnError, cx: &mut Cx<'_>) {
    let Trouble { why: reason, shortage } = late_trouble(error);
    match cx.arbiter.owner(pid) {
        Some(_) => cx.event(Event::NeverRan { pid, reason, shortage }),
        None => cx.log.error(format_args!("process {pid} could not execute its program: {reason}")),
    }
}
