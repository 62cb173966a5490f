//! `kill_mode = tree`: the processes that come from one, wherever they have gone.
//!
//! A process can leave its group by setsid, and its parent by a double fork; then it becomes a child of circus, which is
//! a subreaper, and names no watcher. So each process with this mode gets a mark, which those that come from it
//! inherit: the name of a cgroup of its own where circus can make one, and a variable in its environment. Looked for are
//! strays: children of circus that it has not started itself. One that bears a mark belongs to that tree, with all its
//! descendants. Nobody leaves a cgroup unasked; where there is none, who threw the variable away, as by `env -i`, and
//! lost its parent, is not found.
//!
//! Nothing is looked for while the first process of a tree lives: the stop begins with that one, and at its death
//! circus gets whoever it has left. Then, and when a stray dies, there is one look for all trees at the end of the turn.

use super::cgroup::{Cgroups, entrance};
use super::eventloop::Daemon;
use super::log::Log;
use super::procfs;
use crate::arbiter::{Event, Pid, WatcherId};
use crate::config::signals;
use crate::sorted::Sorted;
use crate::sys::child::{Child, SpawnError, Spawner, Step};
use crate::sys::signal::PidFd;
use crate::sys::{clock, process};
use std::ffi::CString;
use std::path::{Path, PathBuf};

const SIGKILL: i32 = 9;

/// The variable that holds the mark, and the cgroup that has it in its name.
const MARK: &str = "CIRCUS_ID=";
const CGROUP: &str = "circus-tree.";

/// The processes that come from one.
struct Tree {
    mark: Mark,
    cgroup: Option<PathBuf>,
    /// Its first process is gone.
    lost: bool,
    /// The signal that all are to get.
    signum: Option<i32>,
    /// Those that got it.
    told: Vec<Pid>,
}

/// The number of a tree: that of this circus, of which no other has the same, and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark(u64, u64);

/// A tree whose first process is about to be spawned.
pub struct NewTree {
    mark: Mark,
    cgroup: Option<PathBuf>,
    /// The cgroup that the process enters where it cannot have its own.
    instead: Option<CString>,
}

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
        let seed = clock::monotonic_ns() ^ u64::from(process::pid().cast_unsigned()) << 40;
        Trees { trees: Sorted::new(), lost: 0, due: false, seed, last: 0 }
    }

    /// Marks a child that is about to be spawned, and would enter the cgroup of its watcher, if that has one.
    pub fn begin(&mut self, child: &mut Child, watcher: WatcherId, cgroups: &mut Cgroups) -> NewTree {
        self.last += 1;
        let mark = Mark(self.seed, self.last);
        // Without a null character in it, it always is one.
        let variable = CString::new(format!("{MARK}{mark}")).unwrap_or_default();
        // It takes the place of the mark of the process before, or of that of a circus that has started this one.
        match child.env.iter_mut().find(|variable| variable.as_bytes().starts_with(MARK.as_bytes())) {
            Some(before) => *before = variable,
            None => child.env.push(variable),
        }
        let cgroup = cgroups.make_below(watcher, &format!("{CGROUP}{mark}"));
        let own = cgroup.as_deref().and_then(entrance);
        let instead = child.restrictions.cgroup.clone();
        child.restrictions.cgroup = own.or(instead.clone());
        NewTree { mark, cgroup, instead }
    }

    /// The first process of a tree is there.
    pub fn plant(&mut self, pid: Pid, new: NewTree) {
        self.remove(pid); // of an earlier process that had the same number
        let NewTree { mark, cgroup, .. } = new;
        self.trees.insert(pid, Tree { mark, cgroup, lost: false, signum: None, told: Vec::new() });
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

    /// Removes the cgroups that are left.
    pub fn finish(&self) {
        self.trees.values().filter_map(|tree| tree.cgroup.as_deref()).for_each(clear);
    }

    fn remove(&mut self, pid: Pid) {
        let Some(tree) = self.trees.remove(&pid) else { return };
        self.lost -= usize::from(tree.lost);
        tree.cgroup.as_deref().map(clear);
    }
}

impl NewTree {
    /// Spawns its first process, outside of its cgroup where that takes nobody in.
    pub fn spawn(&mut self, spawner: &mut Spawner, child: &mut Child) -> Result<Pid, SpawnError> {
        let spawned = spawner.spawn(child);
        let Err(error) = &spawned else { return spawned };
        let Some(cgroup) = self.cgroup.take() else { return spawned };
        clear(&cgroup);
        if error.step != Step::Cgroup {
            return spawned;
        }
        child.restrictions.cgroup = self.instead.take();
        spawner.spawn(child)
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}-{}", self.0, self.1)
    }
}

/// Removes the cgroup of a tree. One that is not empty belongs to those who are in it.
fn clear(cgroup: &Path) {
    let _ = std::fs::remove_dir(cgroup);
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
            let mut left = self.groups.contains_key(&root);
            for (pid, mark) in &strays {
                if let Some(tree) = self.trees.trees.get_mut(&root).filter(|tree| tree.mark == *mark) {
                    left = true;
                    tree.tell(*pid, root, &mut self.log);
                }
            }
            if !left {
                self.trees.remove(root);
                self.dispatch(Event::GroupEmpty { pgid: root });
            }
        }
    }

    /// The children of circus that it has not started itself and that bear a mark.
    fn strays(&self) -> Vec<(Pid, Mark)> {
        let mut strays = Vec::new();
        for pid in procfs::children(process::pid()) {
            if self.arbiter.owner(pid).is_none()
                && let Some(mark) = mark_of(pid, self.trees.seed)
            {
                strays.push((pid, mark));
            }
        }
        strays
    }
}

impl Tree {
    /// Sends the signal of the tree to a stray and to all that come from that, each one once.
    fn tell(&mut self, top: Pid, root: Pid, log: &mut Log) {
        let Some(signum) = self.signum else { return };
        // Held before it is looked at again, so that nobody else can get the signal.
        let Ok(handle) = PidFd::open(top) else { return };
        if mark_of(top, self.mark.0) != Some(self.mark) {
            return;
        }
        // All are found before the first one ends and leaves its children to circus.
        for (pid, handle) in with_all_below(top, handle) {
            if self.told.contains(&pid) {
                continue;
            }
            if signum != SIGKILL {
                self.told.push(pid); // who forks while it is being killed may have the number of one that is dead
            }
            let (name, signal) = (procfs::program(pid).unwrap_or_default(), signals::name(signum));
            log.info(format_args!("{name} ({pid}), which came from process {root}, gets {signal}"));
            let _ = handle.send(signum); // it may have ended meanwhile
        }
    }
}

/// A process and its descendants, each held by a descriptor.
fn with_all_below(top: Pid, handle: PidFd) -> Vec<(Pid, PidFd)> {
    let mut found = vec![(top, handle)];
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|(pid, _)| *pid) {
        next += 1;
        for child in procfs::children(parent) {
            let Ok(handle) = PidFd::open(child) else { continue };
            // Its number could have become another's before it was held.
            if procfs::stat(child).is_some_and(|stat| stat.ppid == parent) {
                found.push((child, handle));
            }
        }
    }
    found
}

/// The mark of a process, of those that this circus has made. A zombie has none.
fn mark_of(pid: Pid, seed: u64) -> Option<Mark> {
    let own = |number: &str| Some(Mark(seed, number.strip_prefix(&format!("{seed}-"))?.parse().ok()?));
    let cgroup = procfs::cgroup(pid).unwrap_or_default();
    let mut cgroups = cgroup.split('/').filter_map(|name| own(name.strip_prefix(CGROUP)?));
    cgroups.next().or_else(|| {
        let environ = procfs::environ(pid)?;
        let variables = environ.split(|byte| *byte == 0);
        let texts = variables.filter_map(|variable| std::str::from_utf8(variable).ok());
        texts.filter_map(|text| own(text.strip_prefix(MARK)?)).next()
    })
}
