//! `kill_mode = tree`: the processes that come from one, wherever they have gone.
//!
//! A process can leave its group by setsid, and its parent by a double fork; then it becomes a child of circus, which is
//! a subreaper, and names no watcher. So each process with this mode gets a mark in its environment, which those that
//! come from it inherit. Looked for are strays: children of circus that it has not started itself. One that bears a
//! mark belongs to that tree, with all its descendants. Who threw the mark away, as by `env -i`, and lost its parent,
//! is not found.
//!
//! Nothing is looked for while the first process of a tree lives: the stop begins with that one, and at its death
//! circus gets whoever it has left. Then, and when a stray dies, there is one look for all trees at the end of the turn.

use super::eventloop::Daemon;
use super::procfs;
use crate::arbiter::{Event, Pid};
use crate::config::signals;
use crate::sorted::Sorted;
use crate::sys::child::Child;
use crate::sys::signal::PidFd;
use crate::sys::{clock, process};
use std::ffi::CString;

const SIGKILL: i32 = 9;

/// The variable that holds the mark.
const MARK: &str = "CIRCUS_ID=";

/// The processes that come from one.
struct Tree {
    mark: Mark,
    /// Its first process is gone.
    lost: bool,
    /// The signal that all are to get.
    signum: Option<i32>,
    /// Those that got it.
    told: Vec<Pid>,
}

/// The number of a tree, of which no other one has the same, and none of another circus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(String);

/// All trees, by the pid of their first process.
pub struct Trees {
    trees: Sorted<Pid, Tree>,
    /// How many have lost their first process.
    lost: usize,
    /// Somebody has to be looked for.
    due: bool,
    seed: u64,
    last: u64,
}

impl Trees {
    /// None yet.
    pub fn new() -> Trees {
        Trees { trees: Sorted::new(), lost: 0, due: false, seed: clock::monotonic_ns(), last: 0 }
    }

    /// Marks a child that is about to be spawned.
    pub fn mark(&mut self, child: &mut Child) -> Mark {
        self.last += 1;
        let mark = format!("{:x}-{:x}-{:x}", process::pid(), self.seed, self.last);
        child.env.retain(|variable| !variable.as_bytes().starts_with(MARK.as_bytes()));
        child.env.extend(CString::new(format!("{MARK}{mark}")));
        Mark(mark)
    }

    /// The child with this mark is there.
    pub fn plant(&mut self, pid: Pid, mark: Mark) {
        self.remove(pid); // of an earlier process that had the same number
        self.trees.insert(pid, Tree { mark, lost: false, signum: None, told: Vec::new() });
    }

    /// Whether this process is, or was, the first of a tree of which something may be left.
    pub fn knows(&self, pid: Pid) -> bool {
        self.trees.contains_key(&pid)
    }

    /// Sends a signal to those of a tree that have left; false when there is no such tree.
    pub fn signal(&mut self, pid: Pid, signum: i32) -> bool {
        let Some(tree) = self.trees.get_mut(&pid) else { return false };
        tree.signum = Some(signum);
        tree.told.clear();
        self.due = true;
        true
    }

    /// A process was reaped; whether it was the first of a tree. Then it will be said when nothing is left of that.
    pub fn lost_its_root(&mut self, pid: Pid) -> bool {
        let Some(tree) = self.trees.get_mut(&pid) else { return false };
        self.lost += usize::from(!std::mem::replace(&mut tree.lost, true));
        true
    }

    /// A child of circus has died: it may have been one of a tree.
    pub fn look_again(&mut self) {
        self.due |= self.lost > 0;
    }

    /// Whether somebody has to be looked for.
    pub fn are_due(&self) -> bool {
        self.due
    }

    fn remove(&mut self, pid: Pid) {
        self.lost -= usize::from(self.trees.remove(&pid).is_some_and(|tree| tree.lost));
    }
}

impl Daemon {
    /// Looks for those that have left, signals them where that is to be, and says which trees are empty.
    pub(super) fn look_for_strays(&mut self) {
        if !std::mem::take(&mut self.trees.due) {
            return;
        }
        let strays = self.strays();
        let lost = self.trees.trees.iter().filter(|(_, tree)| tree.lost).map(|(pid, _)| *pid);
        for root in lost.collect::<Vec<Pid>>() {
            let Some(tree) = self.trees.trees.get(&root) else { continue };
            let tops: Vec<Pid> =
                strays.iter().filter(|(_, mark)| *mark == tree.mark).map(|(pid, _)| *pid).collect();
            if !tops.is_empty() {
                self.tell_strays(root, &tops);
            } else if !self.groups.contains_key(&root) {
                self.trees.remove(root);
                self.dispatch(Event::GroupEmpty { pgid: root });
            }
        }
    }

    /// The children of circus that it has not started itself and that bear a mark.
    ///
    /// Where a tree has a cgroup of its own, its members could be had from there, whatever they did to themselves; this
    /// is the place for it.
    fn strays(&self) -> Vec<(Pid, Mark)> {
        let children = procfs::children(process::pid()).into_iter();
        let orphans = children.filter(|pid| self.arbiter.owner(*pid).is_none());
        orphans.filter_map(|pid| Some((pid, mark_of(pid)?))).collect()
    }

    /// Sends the signal of a tree to these strays and to all that come from them, each one once.
    fn tell_strays(&mut self, root: Pid, tops: &[Pid]) {
        let Some(tree) = self.trees.trees.get_mut(&root) else { return };
        let Some(signum) = tree.signum else { return };
        for top in tops {
            // Held before it is looked at again, so that nobody else can get the signal.
            let Ok(handle) = PidFd::open(*top) else { continue };
            if mark_of(*top).as_ref() != Some(&tree.mark) {
                continue;
            }
            let below = below(*top);
            // Whoever forks while it is being killed may have the number of one that is dead.
            if signum == SIGKILL {
                tree.told.clear();
            }
            if note_told(&mut tree.told, *top) {
                let name = procfs::program(*top).unwrap_or_default();
                let signal = signals::name(signum);
                self.log.info(format_args!("{name} ({top}), which came from process {root}, gets {signal}"));
                let _ = handle.send(signum); // it may have ended meanwhile
            }
            for (pid, handle) in below {
                if note_told(&mut tree.told, pid) {
                    let _ = handle.send(signum);
                }
            }
        }
    }
}

/// Notes that a process gets the signal; false when it got it already.
fn note_told(told: &mut Vec<Pid>, pid: Pid) -> bool {
    let is_new = !told.contains(&pid);
    if is_new {
        told.push(pid);
    }
    is_new
}

/// The descendants of a process, each held by a descriptor.
fn below(top: Pid) -> Vec<(Pid, PidFd)> {
    let mut found: Vec<(Pid, PidFd)> = Vec::new();
    let mut next = vec![top];
    while let Some(parent) = next.pop() {
        for child in procfs::children(parent) {
            let Ok(handle) = PidFd::open(child) else { continue };
            // Its number could have become another's before it was held.
            if procfs::stat(child).is_some_and(|stat| stat.ppid == parent) {
                found.push((child, handle));
                next.push(child);
            }
        }
    }
    found
}

/// The mark in the environment of a process. A zombie has none.
fn mark_of(pid: Pid) -> Option<Mark> {
    let environ = procfs::environ(pid)?;
    let mut variables = environ.split(|byte| *byte == 0);
    let mark = variables.find_map(|variable| variable.strip_prefix(MARK.as_bytes()))?;
    Some(Mark(String::from_utf8(mark.to_vec()).ok()?))
}
