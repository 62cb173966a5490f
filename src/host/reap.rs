//! Takes in the dead: learns who has ended, lets the arbiter look at each zombie while its number is still its
//! own, reaps it, and keeps track of process groups that outlive their leaders.
//!
//! circus is a subreaper, so orphans become its children and their deaths are seen too. That is how "the group is
//! empty" is an event.

use crate::arbiter::process::Exit;
use crate::arbiter::{Event, Pid};
use crate::reactor::eventloop::Daemon;
use crate::signals::SIGKILL;
use crate::sys::{self, signal, wait};
use std::time::{Duration, Instant};

/// How many zombies are taken in one turn: the others want to be looked at too.
const MOST: usize = 256;

/// How long after it could not be looked for zombies that is tried again: at first, and at most.
const AGAIN: Duration = Duration::from_millis(100);
const LATEST: Duration = Duration::from_secs(10);

/// Zombies could not be looked for: when that is tried again, and after which pause.
pub struct Retry {
    at: Instant,
    pause: Duration,
}

impl Daemon {
    /// Reaps what has ended. SIGCHLD does not say how many there are.
    pub(crate) fn reap(&mut self) {
        let failed = self.reap_again.take();
        self.more_zombies = false;
        // What a process says right before it ends counts while it is known.
        self.read_notices();
        for _ in 0..MOST {
            match wait::peek() {
                Ok(Some((pid, exit))) => self.take_zombie(pid, exit),
                Ok(None) => return,
                Err(error) => {
                    let text = format_args!("looking for zombies: {}; tried again", sys::io_words(&error));
                    self.core.log.once(crate::parts::log::Level::Error, "waitid", text);
                    return self.reap_later(failed);
                }
            }
            if self.reap_again.is_some() {
                return self.reap_later(failed);
            }
        }
        self.more_zombies = true;
    }

    /// No signal comes for a zombie that could not be taken in.
    fn reap_later(&mut self, failed: Option<Retry>) {
        let pause = failed.map_or(AGAIN, |failed| (failed.pause * 2).min(LATEST));
        self.reap_again = Some(Retry { at: self.core.now + pause, pause });
    }

    /// When zombies are to be looked for though no signal has come.
    pub(crate) fn next_reap(&self) -> Option<Instant> {
        self.reap_again.as_ref().map(|retry| retry.at)
    }

    fn take_zombie(&mut self, pid: Pid, end: wait::Exit) {
        let exit = match end {
            wait::Exit::Code(code) => Exit::Code(code),
            wait::Exit::Signal { number, .. } => Exit::Signal(number),
        };
        self.drain_pipes(pid);
        self.hear_last_words(pid);
        if let Some(failure) = self.spawner.late_failure(pid) {
            self.did_not_run(pid, &failure);
        }
        self.helper_ended(pid, exit);
        self.parts.clients.plugin_ended(pid);
        // The kernel says of what it ended for want of memory only that it was killed, and a shell that ran it exits so.
        let killed =
            matches!(exit, Exit::Signal(SIGKILL) | Exit::Code(137)) && self.core.arbiter.owner(pid).is_some();
        if killed && self.oom.has_ended(pid, self.core.now) {
            self.dispatch(Event::OutOfMemory { pid });
        }
        self.dispatch(Event::Exited { pid, exit });
        self.compressor_ended(pid, end);
    }

    /// Everything that a process has written is in its pipes when it is dead: it goes out before anybody is told.
    fn drain_pipes(&mut self, pid: Pid) {
        for id in self.pipes.remove(&pid).into_iter().flatten().flatten() {
            self.parts.streams.drain_dead(id, self.core.now, &mut self.core.log);
        }
        self.tell_followers();
    }

    /// Reaps one zombie, and looks at its group.
    pub(crate) fn reap_one(&mut self, pid: Pid) {
        self.left_alone.retain(|left| *left != pid);
        self.survivors.retain(|survivor| *survivor != pid);
        self.forget_speaker(pid);
        let owner = self.core.arbiter.owner(pid);
        if let Some((watcher, wid)) = owner {
            self.each(&mut |part, cx| part.vacated(watcher, wid, cx));
        }
        // The processes of watchers lead their sessions, and cannot leave their groups.
        let group = if owner.is_some() { pid } else { signal::group_of(pid).unwrap_or(pid) };
        if let Err(error) = wait::reap(pid) {
            let why = sys::io_words(&error);
            self.core.log.once(
                crate::parts::log::Level::Error,
                "waitpid",
                format_args!("reaping {pid}: {why}"),
            );
            self.reap_later(None);
        }
        if group == pid {
            let group_left = signal::group_exists(pid);
            if group_left {
                self.groups.insert(pid, ());
            }
            let tree_left = self.descendants.lost_its_root(pid);
            if !group_left && !tree_left {
                self.told.forget(pid);
            }
            self.core.event(Event::Reaped { pid, group_left: group_left || tree_left });
        } else {
            self.check_group(group);
        }
        self.descendants.look_again();
    }

    /// A member of a group has gone: was it the last one?
    fn check_group(&mut self, pgid: Pid) {
        if self.groups.contains_key(&pgid) && !signal::group_exists(pgid) {
            self.group_is_gone(pgid);
        }
    }

    pub(crate) fn group_is_gone(&mut self, pgid: Pid) {
        self.groups.remove(&pgid);
        if !self.descendants.knows(pgid) {
            self.told.forget(pgid);
            self.core.event(Event::GroupEmpty { pgid });
        }
    }
}
