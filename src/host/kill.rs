//! Signals to the processes of watchers: to one, to its children, to its group, and to all that come from it.
//!
//! A group is signalled by its number only while that cannot be another's: its leader, or a child of circus in it, has
//! not been reaped. Others are signalled one by one, by descriptors that cannot come to mean another process.
//!
//! Nobody is asked twice in one stop: those that have had the signal one by one are remembered until the last of them
//! is gone.

use crate::arbiter::{Pid, Published, Whom};
use crate::host::descendants::hold;
use crate::host::procfs;
use crate::parts::log::Level;
use crate::reactor::eventloop::Daemon;
use crate::signals::{self, SIGCONT, SIGKILL};
use crate::sorted::Sorted;
use crate::sys::{self, process, signal, wait};
use std::io;

/// How often a group is looked at for members that were born while the others were asked.
const ROUNDS: usize = 4;

/// Processes that have been asked to end one by one, with the time of their start and the signal, by the process of a
/// watcher that they come from.
#[derive(Debug, Default)]
pub struct Told(Sorted<Pid, Vec<(Pid, u64, i32)>>);

impl Told {
    /// Notes that a process is asked to end; false when it has been before.
    pub fn is_new(&mut self, root: Pid, pid: Pid, signum: i32) -> bool {
        let process = Told::entry(pid, signum);
        let told = self.0.get_or_insert_with(root, Vec::new);
        let is_new = !told.contains(&process);
        if is_new {
            told.push(process);
        }
        is_new
    }

    /// Whether a process has been asked to end by this signal.
    pub fn has(&self, pid: Pid, signum: i32) -> bool {
        let process = Told::entry(pid, signum);
        self.0.values().any(|told| told.contains(&process))
    }

    /// Whether nobody was asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn entry(pid: Pid, signum: i32) -> (Pid, u64, i32) {
        (pid, procfs::stat(pid).map_or(0, |stat| stat.start), signum)
    }

    /// Whether some of those that come from a process were asked, and maybe not all.
    fn knows(&self, root: Pid) -> bool {
        self.0.contains_key(&root)
    }

    /// Nothing is left of them.
    pub fn forget(&mut self, root: Pid) {
        self.0.remove(&root);
    }
}

impl Daemon {
    /// Asks a process to end. SIGCONT follows, since a process that is stopped would not hear of it.
    pub(crate) fn ask(&mut self, pid: Pid, signum: i32, children: bool) {
        if children {
            let owner = self.core.arbiter.owner(pid).and_then(|(id, _)| self.core.arbiter.watcher(id));
            let watcher = owner.map(|watcher| watcher.config.name.clone());
            for child in self.children_of(pid) {
                if !self.told.is_new(pid, child, signum) {
                    continue;
                }
                self.send(child, signum);
                watcher.iter().for_each(|watcher| self.publish(watcher, Published::Kill { pid: child }));
            }
        }
        self.send(pid, signum);
        self.send(pid, SIGCONT);
    }

    pub(crate) fn signal(&mut self, pid: Pid, signum: i32, whom: Whom) {
        match whom {
            Whom::Process => self.send(pid, signum),
            Whom::Group => self.signal_group(pid, signum, self.told.knows(pid)),
            Whom::Tree => {
                let is_tree = self.descendants.signal(pid, signum);
                self.signal_group(pid, signum, is_tree || self.told.knows(pid));
            }
            Whom::Children => self.children_of(pid).into_iter().for_each(|child| self.send(child, signum)),
            Whom::Child(child) => {
                if self.children_of(pid).contains(&child) {
                    self.send(child, signum);
                } else {
                    self.core.log.debug(format_args!("{child} is no child of {pid}: no signal sent"));
                }
            }
            Whom::Descendants => {
                let descendants = procfs::descendants(pid);
                let descendants = descendants.unwrap_or_else(|error| self.not_seen(pid, &error));
                self.send(pid, signum);
                descendants.into_iter().for_each(|descendant| self.send(descendant, signum));
            }
        }
    }

    fn children_of(&mut self, pid: Pid) -> Vec<Pid> {
        procfs::children(pid).unwrap_or_else(|error| self.not_seen(pid, &error))
    }

    /// Those who come from a process cannot be looked at, and so get no signal.
    fn not_seen(&mut self, pid: Pid, error: &io::Error) -> Vec<Pid> {
        if procfs::is_absent(error) {
            self.say_that_proc_is_absent();
        } else if !sys::is_gone(error) {
            let why = sys::io_words(error);
            self.core
                .log
                .error(format_args!("what comes from {pid} gets no signal: it cannot be looked at: {why}"));
        }
        Vec::new()
    }

    fn say_that_proc_is_absent(&mut self) {
        let text = format_args!(
            "/proc is missing, or that of another pid namespace: processes that have left the group of their parent \
             cannot be found"
        );
        self.core.log.once(Level::Warning, "proc", text);
    }

    /// Signals the group of a process that was not reaped; one by one if some of it may have had the signal, or are to be
    /// remembered.
    fn signal_group(&mut self, pid: Pid, signum: i32, one_by_one: bool) {
        if signum == SIGKILL || !one_by_one || self.signal_members(pid, signum).is_err() {
            self.note(pid, signum, signal::kill_whole(pid, signum));
        }
    }

    /// Signals a group without its leader. Its number could be another's by now, unless a child of circus is in it,
    /// which nobody else can reap. Members that are deeper down are signalled one by one.
    pub(crate) fn signal_remnant(&mut self, pgid: Pid, signum: i32) {
        let is_tree = self.descendants.signal(pgid, signum);
        if is_tree && !self.groups.contains_key(&pgid) {
            return; // its members have all left the group
        }
        let one_by_one = signum != SIGKILL && (is_tree || self.told.knows(pgid));
        let is_pinned = wait::child_is_in_group(pgid);
        if is_pinned && !one_by_one {
            // ESRCH cannot be: the child is a member at least until it is reaped.
            return self.note(pgid, signum, signal::kill_group(pgid, signum));
        }
        match self.signal_members(pgid, signum) {
            Ok(0) => self.group_is_gone(pgid),
            Ok(_) => {}
            Err(error) if procfs::is_absent(&error) && is_pinned => {
                self.note(pgid, signum, signal::kill_group(pgid, signum));
            }
            Err(error) if procfs::is_absent(&error) => self.say_that_proc_is_absent(),
            Err(error) => {
                self.looks.remnant(pgid, signum);
                self.look_later(&error);
            }
        }
    }

    /// Signals the members of a group but its leader, each once unless it is SIGKILL. The answer is how many there are.
    fn signal_members(&mut self, pgid: Pid, signum: i32) -> io::Result<usize> {
        let is_member = |pid: Pid| signal::group_of(pid).is_ok_and(|group| group == pgid);
        let mut rounds = 0;
        loop {
            let mut members = procfs::descendants(process::pid())?;
            members.retain(|pid| *pid != pgid && is_member(*pid));
            let mut new = 0;
            for pid in &members {
                let Some(handle) = hold(*pid)? else { continue };
                // Its number could have become another's before it was held.
                if is_member(*pid) && (signum == SIGKILL || self.told.is_new(pgid, *pid, signum)) {
                    new += 1;
                    self.note(*pid, signum, handle.send(signum)); // it may have ended meanwhile
                }
            }
            rounds += 1;
            if new == 0 || rounds == ROUNDS || signum == SIGKILL {
                return Ok(members.len());
            }
        }
    }

    fn send(&mut self, pid: Pid, signum: i32) {
        let sent = signal::kill(pid, signum);
        self.note(pid, signum, sent);
    }

    /// A process that is gone already needs no signal; anything else is worth a line.
    fn note(&mut self, pid: Pid, signum: i32, sent: io::Result<()>) {
        match sent {
            Ok(()) => self.core.log.debug(format_args!("sent {} to {pid}", signals::name(signum))),
            Err(error) if error.raw_os_error() == Some(sys::ESRCH) => {}
            Err(error) => {
                let (name, why) = (signals::name(signum), sys::io_words(&error));
                self.core.log.warning(format_args!("cannot send {name} to {pid}: {why}"));
            }
        }
    }
}
