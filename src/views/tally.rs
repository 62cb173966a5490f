//! What processes use together with all that come from them, for `status` with details and for the metrics: a shell that
//! waits for the program uses nothing itself. They may be thousands, so a tally can be left and gone on with later.

use super::usage::{Units, Used};
use crate::arbiter::request::{Question, Ticket};
use crate::arbiter::watcher::Watcher;
use crate::arbiter::{Arbiter, Pid, WatcherId};
use crate::config::row::Role;
use crate::host::procfs;
use crate::sorted::Sorted;
use std::time::Instant;

/// How many processes one tally looks at, should they multiply meanwhile.
const MOST_PROCESSES: usize = 200_000;

/// What waits for a tally.
#[derive(Debug)]
pub enum Purpose {
    /// The question of a client of this role.
    Question { ticket: Ticket, question: Question, role: Role },
    /// The page of a plugin.
    Page(WatcherId),
    /// Whether a process has more memory than its `max_rss`.
    Limits,
}

/// What a process and its descendants use, and how many descriptors it has open itself.
pub type Found = Sorted<Pid, (Used, Option<u64>)>;

/// What has been seen so far.
#[derive(Debug)]
pub struct Tally {
    pub purpose: Purpose,
    pub found: Found,
    roots: Vec<Pid>,
    /// The root whose tree is being walked, and the processes of it that were not looked at yet.
    root: Option<(Pid, Used)>,
    stack: Vec<Pid>,
    looked: usize,
    units: Units,
}

impl Tally {
    /// Begins one.
    ///
    /// # Errors
    /// The purpose, when it takes none.
    pub fn begin(arbiter: &Arbiter, purpose: Purpose) -> Result<Tally, Purpose> {
        let name = match &purpose {
            Purpose::Question { question: Question::Status { details: true, name, .. }, .. } => {
                name.as_deref()
            }
            Purpose::Question { question: Question::Metrics, .. } | Purpose::Page(_) | Purpose::Limits => {
                None
            }
            Purpose::Question { .. } => return Err(purpose),
        };
        let chosen = name.and_then(|name| arbiter.find(name));
        let is_meant = |watcher: &&Watcher| match purpose {
            Purpose::Limits => is_limited(watcher),
            _ => name.is_none() || chosen.is_some_and(|one| one.id == watcher.id),
        };
        let of_each = arbiter.watchers().filter(is_meant).flat_map(Watcher::processes);
        let roots = of_each.map(|process| process.pid).collect();
        let (found, stack) = (Found::new(), Vec::new());
        Ok(Tally { purpose, found, roots, root: None, stack, looked: 0, units: Units::new() })
    }

    /// Goes on until a moment; true when everybody was looked at.
    pub fn go_on(&mut self, until: Instant) -> bool {
        loop {
            if let Some(pid) = self.stack.pop() {
                self.look(pid);
            } else {
                self.keep();
                let Some(root) = self.roots.pop() else { return true };
                self.root = Some((root, Used::default()));
                self.stack.push(root);
            }
            if Instant::now() >= until {
                return false;
            }
        }
    }

    /// The processes that have more memory than they may, and how much that is.
    pub fn too_large(&self, arbiter: &Arbiter) -> Vec<(Pid, u64)> {
        let most = |pid| {
            let (watcher, _) = arbiter.owner(pid)?;
            u64::try_from(arbiter.watcher(watcher)?.config.options.max_rss).ok().filter(|most| *most > 0)
        };
        let has_more = |(pid, (used, _)): (&Pid, &(Used, Option<u64>))| {
            most(*pid).filter(|most| used.rss > *most).map(|_| (*pid, used.rss))
        };
        self.found.iter().filter_map(has_more).collect()
    }

    fn look(&mut self, pid: Pid) {
        let Some((root, sum)) = &mut self.root else { return };
        let Ok(stat) = procfs::stat(pid) else {
            // Of a root that is gone nothing is told.
            if pid == *root {
                self.root = None;
            }
            return;
        };
        sum.add(self.units.used_with_waited(&stat));
        self.looked += 1;
        let room = MOST_PROCESSES.saturating_sub(self.looked + self.stack.len());
        self.stack.extend(procfs::children(pid).unwrap_or_default().into_iter().take(room));
    }

    /// The tree of a root has been walked.
    fn keep(&mut self) {
        let has_descriptors = match self.purpose {
            Purpose::Question { question: Question::Status { .. }, .. } | Purpose::Limits => false,
            Purpose::Question { .. } | Purpose::Page(_) => true,
        };
        if let Some((root, sum)) = self.root.take() {
            let descriptors = has_descriptors.then(|| procfs::open_fds(root)).flatten();
            self.found.insert(root, (sum, descriptors));
        }
    }
}

/// Whether processes of a watcher may be too large.
pub fn is_limited(watcher: &Watcher) -> bool {
    watcher.config.options.max_rss > 0
}
