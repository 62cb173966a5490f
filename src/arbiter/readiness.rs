//! Whether processes do their work: what `ready`, `health` and `watchdog` know of each. What they do is in health.rs.
//!
//! A process whose watcher has `ready` counts as started when it is: it says so, or circus asks it until it answers.
//! From then on `health` asks it again and again, and `watchdog` wants to hear from it. One that is not ready in time,
//! fails too many questions in a row or is silent is ended, and its place goes the way of one that has ended by itself.

use super::Pid;
pub use super::event::Notice;
use super::process::Process;
use super::time::Time;
use super::watcher::Watcher;

/// Why a process is ended because of how it does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthFailure {
    /// It was not ready in time.
    Late,
    /// It has failed too many questions in a row.
    Unhealthy,
    /// It has been silent for too long.
    Silent,
}

/// What is known of how a process does its work. One that is not looked after has none.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    /// Since when it is ready.
    pub(super) ready: Option<Time>,
    /// When it is ready by itself.
    pub(super) ready_at: Option<Time>,
    /// When it has to be ready.
    pub(super) ready_by: Option<Time>,
    /// When it is asked next.
    pub(super) next: Option<Time>,
    /// A question is under way.
    pub(super) asking: bool,
    /// How many questions in a row it has failed, and why the last one.
    pub(super) failures: u32,
    pub(super) why: Box<str>,
    /// How long it may be silent, in seconds.
    pub(super) watchdog: Option<f64>,
    /// When it was heard last.
    pub(super) heard: Time,
    pub(super) ailment: Option<HealthFailure>,
    /// The process that ends when this one is ready.
    pub(super) replaces: Option<Pid>,
}

impl Liveness {
    /// When it has been silent for too long.
    pub(super) fn is_silent_at(&self) -> Option<Time> {
        let patience = self.watchdog.filter(|_| self.ready.is_some());
        patience.map(|seconds| self.heard.plus(seconds))
    }
}

impl Process {
    /// When something is due about how it does its work.
    pub(super) fn liveness_deadline(&self) -> Option<Time> {
        let liveness = self.more.liveness.as_ref().filter(|_| self.runs())?;
        let times = [liveness.ready_at, liveness.ready_by, liveness.next, liveness.is_silent_at()];
        times.into_iter().flatten().min()
    }

    /// How it does its work, to be changed, if it is looked after.
    pub(super) fn liveness_mut(&mut self) -> Option<&mut Liveness> {
        self.more.get_mut()?.liveness.as_deref_mut()
    }

    /// Whether it does its work.
    pub fn is_ready(&self) -> bool {
        self.more.liveness.as_ref().is_none_or(|liveness| liveness.ready.is_some())
    }

    /// Since when it does its work, if that is looked after.
    pub(super) fn ready_since(&self) -> Option<Time> {
        self.more.liveness.as_ref().and_then(|liveness| liveness.ready)
    }

    /// How many health probes in a row it has failed, if it is looked after and ready.
    pub fn failed_probes(&self) -> Option<u32> {
        self.more
            .liveness
            .as_ref()
            .filter(|liveness| liveness.ready.is_some())
            .map(|liveness| liveness.failures)
    }

    /// Why the last question to it has failed, behind a colon.
    pub(super) fn last_failure(&self) -> String {
        let why = self.more.liveness.as_ref().map_or("", |liveness| &liveness.why);
        if why.is_empty() { String::new() } else { format!(": {why}") }
    }

    /// Why it is being ended, if it is because of how it does its work.
    pub(super) fn ailment(&self) -> Option<HealthFailure> {
        self.more.liveness.as_ref().and_then(|liveness| liveness.ailment)
    }

    /// The process that ends when this one is ready.
    pub(super) fn replaces(&self) -> Option<Pid> {
        self.more.liveness.as_ref().and_then(|liveness| liveness.replaces)
    }
}

impl Watcher {
    /// Whether all of these processes that hold a slot are ready, or were until they were asked to end.
    pub(super) fn are_ready(&self, which: &dyn Fn(&Process) -> bool) -> bool {
        self.processes.values().all(|p| !p.holds_slot() || p.is_ready() || !which(p))
    }

    /// How many of its processes run and are ready.
    pub(super) fn ready(&self) -> usize {
        self.processes.values().filter(|p| p.runs() && p.is_ready()).count()
    }
}
