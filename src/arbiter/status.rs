//! How a watcher fares: whether it runs as it should, since when, and what comes next.

use super::Pid;
use super::exit_policy::succeeded;
use super::history::{Cause, Change, History, Standing, What};
use super::process::Process;
use super::time::Time;
use super::watcher::{Goal, Status, Watcher};

/// How a watcher fares: `failing` tries again after a pause, `failed` has given up or ended badly, `waiting` starts
/// when its turn, what it depends on or a connection comes, `done` has ended as it should.
pub const CONDITIONS: [&str; 8] =
    ["starting", "active", "stopping", "stopped", "waiting", "failing", "failed", "done"];

impl Watcher {
    /// What has happened to it.
    pub fn history(&self) -> &History {
        &self.history
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            status: self.status(),
            up: self.goal == Goal::Up,
            queued: self.queued,
            reloading: self.is_reloading(),
            is_there: self.is_there(),
            waits_in_vain: self.prerequisites.dependency.in_vain,
            is_hopeless: self.is_hopeless(),
            has_failed: self.reason().is_some(),
            ended: self.ended(),
        }
    }

    /// Whether those that depend on it can run. A start by its sockets is as good as one that is over.
    pub(super) fn is_there(&self) -> bool {
        self.status() == Status::Active
            || self.starts_itself() && self.prerequisites.dependency.waits.is_none()
    }

    /// Its sockets start it, as far as it may start.
    pub(super) fn starts_itself(&self) -> bool {
        self.config.options.on_demand && self.goal == Goal::Up
    }

    /// Whether its processes are being replaced by a reload.
    pub fn is_reloading(&self) -> bool {
        self.run().reload.is_some()
    }

    /// How many of its processes run and were not asked to end.
    pub fn running(&self) -> usize {
        self.processes.running()
    }

    /// Since when it is in its state; `None` if it has never been in another.
    pub fn since(&self) -> Option<Time> {
        self.history.last_status().map(|change| change.at)
    }

    /// When a process is spawned next in the place of one that ended too soon or could not be executed.
    pub fn next_attempt(&self) -> Option<Time> {
        self.run().retries().map(|retry| retry.at).min()
    }

    /// When the next of its processes that were asked to end, or of what such a process has left, gets SIGKILL.
    pub fn next_kill(&self) -> Option<Time> {
        let groups = self.left.remnants.iter().filter_map(|remnant| remnant.fate.kill_at());
        self.processes.values().filter_map(Process::kill_at).chain(groups).min()
    }

    /// Its processes that SIGKILL did not end.
    pub fn survivors(&self) -> &[Pid] {
        &self.left.survivors
    }

    /// Its state in a word of [`CONDITIONS`], which tells apart what Circus's four states do not.
    pub fn condition(&self) -> &'static str {
        let waits = self.prerequisites.dependency.waits.is_some() && self.goal == Goal::Up;
        match self.status() {
            Status::Stopped | Status::Starting if waits || self.queued || self.waits_for_demand() => {
                "waiting"
            }
            Status::Stopped if self.reason().is_some() => "failed",
            Status::Stopped => self.resting(),
            Status::Starting | Status::Active if self.next_attempt().is_some() => "failing",
            Status::Starting => "starting",
            Status::Active => "active",
            Status::Stopping => "stopping",
        }
    }

    /// How it came to rest: by itself, well or badly, or because somebody wanted it.
    fn resting(&self) -> &'static str {
        let ended = |change: &Change| {
            let What::Ended { exit, .. } = change.what else { return None };
            Some(succeeded(exit, &self.config.options))
        };
        match self.history.last_status().map(|change| &change.cause) {
            Some(Cause::Ended) if self.history.changes().rev().find_map(ended) == Some(false) => "failed",
            Some(Cause::Ended) => "done",
            _ => "stopped",
        }
    }

    /// What is wrong with it, if it is to run and does not run as it should.
    ///
    /// It is to run if it starts with circus or was started, until a command stops it. It is not to run any more when
    /// its processes have ended and `respawn` is off. With `on_demand`, waiting for its sockets is as good as running.
    pub fn fault(&self) -> Option<String> {
        if self.goal != Goal::Up && !self.queued {
            let reason = self.reason()?;
            return Some(format!("{}: {reason}", self.status().word()));
        }
        let why = self.failure();
        let behind = |mark: &str| why.as_ref().map(|why| format!("{mark} {why}")).unwrap_or_default();
        let (word, wanted) = (self.status().word(), self.places());
        let (running, ready) = (self.processes.running(), self.ready());
        match self.status() {
            Status::Stopped if self.waits_for_demand() => None,
            Status::Stopped if self.queued => Some("stopped: it waits for its turn to start".into()),
            Status::Starting if why.is_none() && running > ready => {
                Some(format!("starting: {ready} of {} processes are ready", self.config.wanted()))
            }
            Status::Stopped | Status::Starting | Status::Stopping => Some(word.to_string() + &behind(":")),
            Status::Active if self.is_reloading() => None,
            Status::Active if running < wanted => {
                Some(format!("active: {running} of {wanted} processes running{}", behind(";")))
            }
            Status::Active if ready < wanted => {
                Some(format!("active: {ready} of {wanted} processes are ready{}", behind(";")))
            }
            Status::Active => None,
        }
    }
}
