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
//! circus gets whoever it has left. Then, and when a stray dies, there is one look for all descendants at the end of the turn.

use crate::arbiter::{Event, Pid};
use crate::control::mark::{Identity, Mark};
use crate::host::cgroup::{clear, entrance};
use crate::host::child::{Host, Leader};
use crate::host::kill::{Told, with_all_below};
use crate::host::processes::Processes;
use crate::host::procfs;
use crate::parts::log::Log;
use crate::reactor::part::{Cx, Job};
use crate::signals::{self, SIGKILL};
use crate::sorted::Sorted;
use crate::sys::child::{Child, SpawnError, Step};
use crate::sys::{self, process};
use std::io;
use std::path::PathBuf;

/// The cgroup that has the mark in its name.
const CGROUP: &str = "circus-tree.";

/// The processes that come from one.
struct Tree {
    mark: Mark,
    cgroup: Option<PathBuf>,
    /// Its first process is gone.
    lost: bool,
    /// The signal that all are to get.
    signum: Option<i32>,
}

/// All descendants, by the pid of their first process.
#[derive(Default)]
pub struct Descendants {
    descendants: Sorted<Pid, Tree>,
    /// How many have lost their first process.
    lost: usize,
    /// Somebody has to be looked for.
    pub(super) due: bool,
}

impl Descendants {
    /// The first process of a tree is there.
    pub fn plant(&mut self, pid: Pid, mark: Mark, cgroup: Option<PathBuf>) {
        self.remove(pid); // of an earlier process that had the same number
        self.descendants.insert(pid, Tree { mark, cgroup, lost: false, signum: None });
    }

    /// Whether this process is, or was, the first of a tree of which something may be left.
    pub fn knows(&self, pid: Pid) -> bool {
        self.descendants.contains_key(&pid)
    }

    /// Sends a signal to those of a tree that have left; false when there is no such tree.
    pub fn signal(&mut self, pid: Pid, signum: i32) -> bool {
        let Some(tree) = self.descendants.get_mut(&pid) else { return false };
        tree.signum = Some(signum);
        self.due = true;
        true
    }

    /// A process was reaped; whether it was the first of a tree. Then it will be said when nothing is left of that.
    pub fn lost_its_root(&mut self, pid: Pid) -> bool {
        let Some(tree) = self.descendants.get_mut(&pid) else { return false };
        self.lost += usize::from(!std::mem::replace(&mut tree.lost, true));
        true
    }

    /// A child of circus has died: it may have been one of a tree.
    pub fn look_again(&mut self) {
        self.due |= self.lost > 0;
    }

    /// Removes the cgroups that are left.
    pub fn finish(&self) {
        self.descendants.values().filter_map(|tree| tree.cgroup.as_deref()).for_each(|dir| {
            clear(dir);
        });
    }

    fn remove(&mut self, pid: Pid) {
        let Some(tree) = self.descendants.remove(&pid) else { return };
        self.lost -= usize::from(tree.lost);
        tree.cgroup.as_deref().map(clear);
    }
}

/// The name of the cgroup of a tree.
fn cgroup_of(mark: Mark) -> String {
    format!("{CGROUP}{mark}")
}

/// Spawns the first process of a tree in its cgroup, if it has one; without it, and in that of its watcher, where it takes
/// nobody in.
fn spawn(host: &mut Host, child: &mut Child, cgroup: &mut Option<PathBuf>) -> Result<Leader, SpawnError> {
    let own = cgroup.as_deref().and_then(entrance);
    let instead = child.restrictions.cgroup.clone();
    child.restrictions.cgroup = own.or(instead.clone());
    let spawned = host.spawn(child);
    let Err(error) = &spawned else { return spawned };
    let Some(dir) = cgroup.take() else { return spawned };
    clear(&dir);
    if error.step != Step::Cgroup {
        return spawned;
    }
    child.restrictions.cgroup = instead;
    host.spawn(child)
}

/// The process with this mark that an orphan comes from, if it bears one and that can be looked at.
#[cfg(feature = "health")]
pub fn bearer(orphan: Pid, marks: &[(Pid, Mark)]) -> Option<Pid> {
    let (_, Mark { circus, .. }) = marks.first()?;
    let found = mark_of(orphan, *circus).ok().flatten()?;
    marks.iter().find(|(_, mark)| *mark == found).map(|(pid, _)| *pid)
}

impl Processes {
    /// Makes a process with this mark, the first of a tree where that is wanted.
    pub(super) fn spawn(&mut self, job: &mut Job, mark: Mark, cx: &mut Cx<'_>) -> Result<Pid, SpawnError> {
        let child = &mut job.template.child;
        let tree = Some(mark).filter(|_| job.config.options.kill_mode == "tree");
        let mut own = tree.and_then(|mark| self.cgroups.make_below(job.watcher, &cgroup_of(mark)));
        let pid = spawn(cx.host, child, &mut own)?.pid();
        if let Some(mark) = tree {
            self.descendants.plant(pid, mark, own);
        }
        Ok(pid)
    }

    /// Looks for those that have left, signals them where that is to be, and says which descendants are empty.
    pub(super) fn look_for_strays(&mut self, cx: &mut Cx<'_>) {
        if !std::mem::take(&mut self.descendants.due) {
            return;
        }
        let strays = match self.strays(cx) {
            Ok(strays) => strays,
            // Then only the group can be looked after.
            Err(error) if procfs::is_absent(&error) => Vec::new(),
            Err(error) => return self.looks.later(&error, cx),
        };
        let lost = self.descendants.descendants.iter().filter(|(_, tree)| tree.lost).map(|(pid, _)| *pid);
        for root in lost.collect::<Vec<Pid>>() {
            let mut left = cx.host.groups.contains_key(&root);
            for (pid, mark) in &strays {
                if let Some(tree) =
                    self.descendants.descendants.get_mut(&root).filter(|tree| tree.mark == *mark)
                {
                    left = true;
                    if let Err(error) = tree.tell(*pid, root, &mut self.told, cx.log) {
                        self.looks.later(&error, cx);
                    }
                }
            }
            if !left {
                self.descendants.remove(root);
                self.told.forget(root);
                cx.event(Event::GroupEmpty { pgid: root });
            }
        }
    }

    /// Whether an orphan bears the mark of this process, whatever its `kill_mode`.
    pub(super) fn comes_from(&self, orphan: Pid, root: Pid, cx: &Cx<'_>) -> bool {
        let mark = mark_of(orphan, cx.host.identity).ok().flatten();
        mark.is_some_and(|mark| self.state.mark(root) == Some(mark.number))
    }

    /// The first process of a tree survives SIGKILL, and is not waited for: neither are those that come from it.
    pub(super) fn give_tree_up(&mut self, root: Pid) {
        if !self.descendants.signal(root, SIGKILL) {
            return;
        }
        self.descendants.lost_its_root(root);
        let (found, _) = with_all_below(root);
        found.iter().skip(1).for_each(|below| drop(below.send(SIGKILL))); // it may have ended meanwhile
    }

    /// The children of circus that it has not started itself and that bear a mark.
    fn strays(&self, cx: &Cx<'_>) -> io::Result<Vec<(Pid, Mark)>> {
        let mut strays = Vec::new();
        for pid in procfs::children(process::pid())? {
            if cx.arbiter.owner(pid).is_none()
                && !self.survivors.contains(&pid)
                && let Some(mark) = mark_of(pid, cx.host.identity)?
            {
                strays.push((pid, mark));
            }
        }
        Ok(strays)
    }
}

impl Tree {
    /// Sends the signal of the tree to a stray and to all that come from that, each one once.
    fn tell(&self, top: Pid, root: Pid, told: &mut Told, log: &mut Log) -> io::Result<()> {
        let Some(signum) = self.signum else { return Ok(()) };
        // All are found before the first one ends and leaves its children to circus; or as many as can be held.
        let (found, outcome) = with_all_below(top);
        for target in found {
            let pid = target.pid;
            if signum != SIGKILL && !told.is_new(root, pid, signum) {
                continue;
            }
            let (name, signal) = (procfs::program(pid).unwrap_or_default(), signals::name(signum));
            log.info(format_args!("{name} ({pid}), which came from process {root}, gets {signal}"));
            let _ = target.send(signum); // it may have ended
        }
        outcome
    }
}

/// The mark of a process, of those that this circus has made. A zombie has none, nor has one that circus may not look
/// at.
fn mark_of(pid: Pid, circus: Identity) -> io::Result<Option<Mark>> {
    match look_for_mark(pid, circus) {
        Err(error) if sys::is_gone(&error) || error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        found => found,
    }
}

fn look_for_mark(pid: Pid, circus: Identity) -> io::Result<Option<Mark>> {
    let is_own = |mark: &Mark| mark.circus == circus;
    let cgroup = procfs::cgroup(pid)?.unwrap_or_default();
    let mut cgroups = cgroup.split('/').filter_map(|name| Mark::parse(name.strip_prefix(CGROUP)?));
    if let Some(mark) = cgroups.find(is_own) {
        return Ok(Some(mark));
    }
    let environ = procfs::environ(pid)?;
    if environ.is_empty() && procfs::is_becoming_program(pid)? {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    Ok(Mark::among(&environ).filter(is_own))
}
