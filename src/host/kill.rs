//! Signals to the processes of watchers: to one, to its children, to its group, and to all that come from it.
//!
//! A group is signalled by its number only while that cannot be another's: its leader, or a child of circus in it, has
//! not been reaped. Others are signalled one by one, by descriptors that cannot come to mean another process.
//!
//! Nobody is asked twice in one stop: those that have had the signal one by one are remembered until the last of them
//! is gone.

use crate::arbiter::{Pid, Whom};
use crate::host::child::Leader;
use crate::host::looks::with_spare;
use crate::host::processes::Processes;
use crate::host::procfs;
use crate::parts::log::Level;
use crate::reactor::part::Cx;
use crate::signals::{self, SIGCONT, SIGKILL};
use crate::sorted::Sorted;
use crate::sys::signal::{self, PidFd};
use crate::sys::{self, process, wait};
use std::io;
#[cfg(feature = "orphans")]
use std::os::fd::{AsRawFd, RawFd};

impl Leader {
    /// Sends a signal to its group. That nobody is left to get it is no matter.
    pub fn kill(&self, signum: i32) {
        let _ = signal::kill_whole(self.pid(), signum);
    }
}

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

/// Somebody who gets a signal that no other process can get: a child of circus, which has its number until circus reaps
/// it, or a process held by a descriptor.
pub struct Target {
    pub pid: Pid,
    held: Option<PidFd>,
}

impl Target {
    /// Holds a process by a descriptor; `None` when it is gone, or can never be held. Its number could have become
    /// another's before that.
    pub(super) fn hold(pid: Pid) -> io::Result<Option<Target>> {
        match with_spare(&|| PidFd::open(pid)) {
            Err(error) if error.raw_os_error().is_some_and(sys::is_shortage) => Err(error),
            held => Ok(held.ok().map(|held| Target { pid, held: Some(held) })),
        }
    }

    /// What becomes readable when it has ended, if it is held by a descriptor.
    #[cfg(feature = "orphans")]
    pub(super) fn fd(&self) -> Option<RawFd> {
        self.held.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It is gone, or may not be signalled.
    pub fn send(&self, signum: i32) -> io::Result<()> {
        self.held.as_ref().map_or_else(|| signal::kill(self.pid, signum), |held| held.send_signal(signum))
    }
}

/// A child of circus and then its descendants, these held by descriptors, and whether that is all of them.
#[cfg(feature = "tree")]
pub(super) fn with_all_below(top: Pid) -> (Vec<Target>, io::Result<()>) {
    let mut found = vec![Target { pid: top, held: None }];
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|target| target.pid) {
        next += 1;
        if let Err(error) = hold_children(parent, &mut found) {
            return (found, Err(error));
        }
    }
    (found, Ok(()))
}

#[cfg(feature = "tree")]
fn hold_children(parent: Pid, found: &mut Vec<Target>) -> io::Result<()> {
    for child in procfs::children(parent)? {
        let Some(target) = Target::hold(child)? else { continue };
        match procfs::stat(child) {
            Ok(stat) if stat.ppid == parent => found.push(target),
            Err(error) if !sys::is_gone(&error) => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// Sends a signal to processes that have just been found below circus; those that have ended do not need it.
pub(super) fn send_to(pids: &[Pid], signum: i32) {
    for &pid in pids {
        let _ = match with_spare(&|| PidFd::open(pid)) {
            // One that is not a child of circus could have become another before it was held.
            Ok(held) if is_below(pid) => held.send_signal(signum),
            Ok(_) => Ok(()),
            Err(error) if error.raw_os_error() == Some(sys::ESRCH) => Ok(()),
            // The kernel has no such descriptors, or circus can have no more.
            Err(_) => signal::kill(pid, signum),
        };
    }
}

/// Whether a process comes from circus, as far as that can be seen.
fn is_below(mut pid: Pid) -> bool {
    loop {
        match procfs::stat(pid) {
            Ok(stat) if stat.ppid == process::pid() => return true,
            Ok(stat) if stat.ppid > 1 => pid = stat.ppid,
            Ok(_) => return false,
            Err(_) => return true,
        }
    }
}

/// Sends a signal to a child of circus, or to circus itself.
#[cfg(feature = "run")]
pub(super) fn send_to_child(pid: Pid, signum: i32) {
    let _ = signal::kill(pid, signum);
}

/// Sends a signal to everybody in the namespace of which circus is PID 1.
pub(super) fn send_to_everybody(signum: i32) {
    let _ = signal::kill_everybody(signum);
}

/// Sends a signal to the group that a child of circus leads.
#[cfg(feature = "run")]
pub(super) fn send_to_group(leader: Pid, signum: i32) {
    let _ = signal::kill_group(leader, signum);
}

impl Processes {
    /// Asks a process to end, and its children if they are to be asked too; the answer is which of them were. SIGCONT
    /// follows, since a process that is stopped would not hear of it.
    pub fn ask(&mut self, pid: Pid, signum: i32, children: bool, cx: &mut Cx<'_>) -> Vec<Pid> {
        let mut asked = if children { self.children_of(pid, cx) } else { Vec::new() };
        asked.retain(|child| self.told.is_new(pid, *child, signum));
        asked.iter().for_each(|child| send(*child, signum, cx));
        send(pid, signum, cx);
        send(pid, SIGCONT, cx);
        asked
    }

    /// Sends a signal.
    pub fn signal(&mut self, pid: Pid, signum: i32, whom: Whom, cx: &mut Cx<'_>) {
        match whom {
            Whom::Process => send(pid, signum, cx),
            Whom::Group => self.signal_group(pid, signum, self.told.knows(pid), cx),
            Whom::Tree => {
                let is_tree = self.descendants.signal(pid, signum);
                self.signal_group(pid, signum, is_tree || self.told.knows(pid), cx);
            }
            Whom::Children => self.children_of(pid, cx).into_iter().for_each(|child| send(child, signum, cx)),
            Whom::Child(child) => {
                if self.children_of(pid, cx).contains(&child) {
                    send(child, signum, cx);
                } else {
                    cx.log.debug(format_args!("{child} is not a child of {pid}: no signal sent"));
                }
            }
            Whom::Descendants => {
                let descendants = procfs::descendants(pid);
                let descendants = descendants.unwrap_or_else(|error| not_seen(pid, &error, cx));
                send(pid, signum, cx);
                descendants.into_iter().for_each(|descendant| send(descendant, signum, cx));
            }
        }
    }

    fn children_of(&self, pid: Pid, cx: &mut Cx<'_>) -> Vec<Pid> {
        procfs::children(pid).unwrap_or_else(|error| not_seen(pid, &error, cx))
    }

    /// Signals the group of a process that was not reaped; one by one if some of it may have had the signal, or are to be
    /// remembered.
    fn signal_group(&mut self, pid: Pid, signum: i32, one_by_one: bool, cx: &mut Cx<'_>) {
        if signum == SIGKILL || !one_by_one || self.signal_members(pid, signum, cx).is_err() {
            note(pid, signum, signal::kill_whole(pid, signum), cx);
        }
    }

    /// Signals a group without its leader. Its number could be another's by now, unless a child of circus is in it,
    /// which nobody else can reap. Members that are deeper down are signalled one by one.
    pub fn signal_remnant(&mut self, pgid: Pid, signum: i32, cx: &mut Cx<'_>) {
        let is_tree = self.descendants.signal(pgid, signum);
        if is_tree && !cx.host.groups.contains_key(&pgid) {
            return; // its members have all left the group
        }
        let one_by_one = signum != SIGKILL && (is_tree || self.told.knows(pgid));
        let is_pinned = wait::child_is_in_group(pgid);
        if is_pinned && !one_by_one {
            // ESRCH cannot be: the child is a member at least until it is reaped.
            return note(pgid, signum, signal::kill_group(pgid, signum), cx);
        }
        match self.signal_members(pgid, signum, cx) {
            Ok(0) => self.group_is_gone(pgid, cx),
            Ok(_) => {}
            Err(error) if procfs::is_absent(&error) && is_pinned => {
                note(pgid, signum, signal::kill_group(pgid, signum), cx);
            }
            Err(error) if procfs::is_absent(&error) => say_that_proc_is_absent(cx),
            Err(error) => {
                self.looks.remnants.insert(pgid, signum);
                self.looks.later(&error, cx);
            }
        }
    }

    /// Signals the members of a group but its leader, each once unless it is SIGKILL. The answer is how many there are.
    fn signal_members(&mut self, pgid: Pid, signum: i32, cx: &mut Cx<'_>) -> io::Result<usize> {
        let is_member = |pid: Pid| signal::group_of(pid).is_ok_and(|group| group == pgid);
        let mut rounds = 0;
        loop {
            let mut members = procfs::descendants(process::pid())?;
            members.retain(|pid| *pid != pgid && is_member(*pid));
            let mut new = 0;
            for pid in &members {
                let Some(target) = Target::hold(*pid)? else { continue };
                // Its number could have become another's before it was held.
                if is_member(*pid) && (signum == SIGKILL || self.told.is_new(pgid, *pid, signum)) {
                    new += 1;
                    note(*pid, signum, target.send(signum), cx); // it may have ended meanwhile
                }
            }
            rounds += 1;
            if new == 0 || rounds == ROUNDS || signum == SIGKILL {
                return Ok(members.len());
            }
        }
    }
}

/// Those who come from a process cannot be looked at, and so get no signal.
fn not_seen(pid: Pid, error: &io::Error, cx: &mut Cx<'_>) -> Vec<Pid> {
    if procfs::is_absent(error) {
        say_that_proc_is_absent(cx);
    } else if !sys::is_gone(error) {
        let why = sys::io_words(error);
        cx.log.error(format_args!("what comes from {pid} gets no signal: it cannot be looked at: {why}"));
    }
    Vec::new()
}

fn say_that_proc_is_absent(cx: &mut Cx<'_>) {
    let text = format_args!(
        "/proc is missing, or that of another pid namespace: processes that have left the group of their parent \
         cannot be found"
    );
    cx.log.once(Level::Warning, "proc", text);
}

fn send(pid: Pid, signum: i32, cx: &mut Cx<'_>) {
    let sent = signal::kill(pid, signum);
    note(pid, signum, sent, cx);
}

/// A process that is gone already needs no signal; anything else is worth a line.
fn note(pid: Pid, signum: i32, sent: io::Result<()>, cx: &mut Cx<'_>) {
    match sent {
        Ok(()) => cx.log.debug(format_args!("sent {} to {pid}", signals::name(signum))),
        Err(error) if error.raw_os_error() == Some(sys::ESRCH) => {}
        Err(error) => {
            let (name, why) = (signals::name(signum), sys::io_words(&error));
            cx.log.warning(format_args!("cannot send {name} to {pid}: {why}"));
        }
    }
}
