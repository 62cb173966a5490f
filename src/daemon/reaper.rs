//! Takes in the dead: learns who has ended, lets the arbiter look at each zombie while its number is still its
//! own, reaps it, and keeps track of process groups that outlive their leaders.
//!
//! circus is a subreaper, so orphans become its children and their deaths are seen too. That is how "the group is
//! empty" is an event.

use super::eventloop::Daemon;
use super::procfs;
use super::trees::hold;
use crate::arbiter::process::Exit;
use crate::arbiter::{Event, Pid};
use crate::sys::{self, signal, wait};
use std::io;

/// How many zombies are taken in one turn: the others want to be looked at too.
const MOST: usize = 256;

impl Daemon {
    /// Reaps what has ended. SIGCHLD does not say how many there are.
    pub(super) fn reap(&mut self) {
        self.more_zombies = false;
        // What a process says right before it ends counts while it is known.
        self.read_notices();
        for _ in 0..MOST {
            match wait::peek() {
                Ok(Some((pid, exit))) => self.take_zombie(pid, exit),
                Ok(None) => return,
                Err(error) => {
                    let why = sys::io_words(&error);
                    self.log.once(
                        super::log::Level::Error,
                        "waitid",
                        format_args!("looking for zombies: {why}"),
                    );
                    return;
                }
            }
        }
        self.more_zombies = true;
    }

    fn take_zombie(&mut self, pid: Pid, end: wait::Exit) {
        let exit = match end {
            wait::Exit::Code(code) => Exit::Code(code),
            wait::Exit::Signal { number, .. } => Exit::Signal(number),
        };
        self.drain_pipes(pid);
        self.hear_last_words(pid);
        self.helper_ended(pid, exit);
        self.clients.plugin_ended(pid);
        // The kernel says of what it ended for want of memory only that it was killed, and a shell that ran it exits so.
        let killed = matches!(exit, Exit::Signal(9) | Exit::Code(137)) && self.arbiter.owner(pid).is_some();
        if killed && self.oom.has_ended(pid, self.now) {
            self.dispatch(Event::OutOfMemory { pid });
        }
        self.dispatch(Event::Exited { pid, exit });
        self.compressor_ended(pid, end);
    }

    /// Everything that a process has written is in its pipes when it is dead: it goes out before anybody is told.
    fn drain_pipes(&mut self, pid: Pid) {
        for id in self.pipes.remove(&pid).into_iter().flatten().flatten() {
            self.streams.drain_dead(id, self.now, &mut self.log);
        }
        self.tell_followers();
    }

    /// Reaps one zombie, and looks at its group.
    pub(super) fn reap_one(&mut self, pid: Pid) {
        let group = signal::group_of(pid).unwrap_or(pid);
        self.left_alone.retain(|left| *left != pid);
        self.forget_ear(pid);
        if let Some((watcher, wid)) = self.arbiter.owner(pid) {
            self.leave_sockets(watcher, wid);
        }
        if let Err(error) = wait::reap(pid) {
            let why = sys::io_words(&error);
            self.log.once(super::log::Level::Error, "waitpid", format_args!("reaping {pid}: {why}"));
        }
        if group == pid {
            let group_left = signal::group_exists(pid);
            if group_left {
                self.groups.insert(pid, ());
            }
            let tree_left = self.trees.lost_its_root(pid);
            self.events.push_back(Event::Reaped { pid, group_left: group_left || tree_left });
        } else {
            self.check_group(group);
        }
        self.trees.look_again();
    }

    /// A member of a group has gone: was it the last one?
    fn check_group(&mut self, pgid: Pid) {
        if self.groups.contains_key(&pgid) && !signal::group_exists(pgid) {
            self.group_is_gone(pgid);
        }
    }

    fn group_is_gone(&mut self, pgid: Pid) {
        self.groups.remove(&pgid);
        if !self.trees.knows(pgid) {
            self.events.push_back(Event::GroupEmpty { pgid });
        }
    }

    /// Signals a group without its leader. Its number could be another's by now, unless a child of circus is in it,
    /// which nobody else can reap. Members that are deeper down are signalled one by one, through descriptors
    /// that cannot come to mean another process.
    pub(super) fn signal_remnant(&mut self, pgid: Pid, signum: i32) {
        if self.trees.signal(pgid, signum) && !self.groups.contains_key(&pgid) {
            return; // its members have all left the group
        }
        if let Err(error) = self.find_remnant(pgid, signum) {
            self.looks.remnant(pgid, signum);
            self.look_later(&error);
        }
    }

    fn find_remnant(&mut self, pgid: Pid, signum: i32) -> io::Result<()> {
        let pinned = procfs::children(sys::process::pid())?.into_iter();
        if pinned.filter_map(|child| signal::group_of(child).ok()).any(|group| group == pgid) {
            // ESRCH cannot be: the child is a member at least until it is reaped.
            self.note(pgid, signum, signal::kill_group(pgid, signum));
            return Ok(());
        }
        let members: Vec<Pid> = procfs::descendants(sys::process::pid())?
            .into_iter()
            .filter(|pid| signal::group_of(*pid).is_ok_and(|group| group == pgid))
            .collect();
        if members.is_empty() {
            self.group_is_gone(pgid);
        }
        for pid in members {
            let Some(handle) = hold(pid)? else { continue };
            if signal::group_of(pid).is_ok_and(|group| group == pgid) {
                self.note(pid, signum, handle.send(signum)); // it may have ended meanwhile
            }
        }
        Ok(())
    }
}
