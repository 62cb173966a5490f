//! Signals to the processes of watchers: to one, to its children, to its group, and to all that come from it.
//!
//! A group is signalled by its number only while that cannot be another's: its leader, or a child of circus in it, has
//! not been reaped. Others are signalled one by one, by descriptors that cannot come to mean another process.
//!
//! Nobody is asked twice in one stop: those that have had the signal one by one are remembered until the last of them
//! is gone.

use crate::arbiter::{Pid, Whom};
use crate::host::descendants::hold;
use crate::host::processes::Processes;
use crate::host::procfs;
use crate::parts::log::Level;
use crate::reactor::part::Cx;
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
                    cx.log.debug(format_args!("{child} is no child of {pid}: no signal sent"));
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
                self.looks.remnant(pgid, signum);
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
                let Some(handle) = hold(*pid)? else { continue };
                // Its number could have become another's before it was held.
                if is_member(*pid) && (signum == SIGKILL || self.told.is_new(pgid, *pid, signum)) {
                    new += 1;
                    note(*pid, signum, handle.send(signum), cx); // it may have ended meanwhile
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
