//! A build that does not look after processes: each one is ready as soon as it runs, and stays well.

use super::Pid;
use super::context::Cx;
pub use super::event::Notice;
use super::process::Process;
use super::time::Time;
use super::watcher::Watcher;

/// Nothing is known.
#[derive(Clone, Debug)]
pub struct Liveness;

impl Liveness {
    pub(super) fn give_back(&mut self, _: Time, _: f64) {}
}

/// Nothing fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthFailure {}

impl Process {
    /// Whether it does its work.
    pub fn is_ready(&self) -> bool {
        true
    }

    /// How many health probes in a row it has failed.
    pub fn failed_probes(&self) -> Option<u32> {
        None
    }

    pub(super) fn last_failure(&self) -> String {
        String::new()
    }

    pub(super) fn ailment(&self) -> Option<HealthFailure> {
        None
    }

    pub(super) fn replaces(&self) -> Option<Pid> {
        None
    }
}

impl Watcher {
    pub(super) fn first_liveness(&self, _: u32, _: Pid, _: Time) -> Option<Box<Liveness>> {
        None
    }

    pub(super) fn are_ready(&self, _: &dyn Fn(&Process) -> bool) -> bool {
        true
    }

    pub(super) fn ready(&self) -> usize {
        self.running()
    }

    pub(super) fn succeed(&mut self, _: u32, old: u32, cx: &mut Cx) {
        self.dismiss(old, cx);
    }

    pub(super) fn ready_by_options(&mut self, _: &mut Cx) {}

    pub(super) fn look_after(&mut self, _: &Cx) {}

    pub(super) fn noticed(&mut self, _: u32, _: Notice, _: &mut Cx) {}

    pub(super) fn expire_liveness(&mut self, _: &mut Cx) {}

    pub(super) fn ask_later(&mut self, _: u32, _: Pid, _: &mut Cx) {}

    pub(super) fn probed(&mut self, _: u32, _: Pid, _: Option<&str>, _: &mut Cx) {}

    pub(super) fn end_liveness(&mut self, _: u32, _: &mut Cx) {}

    pub(super) fn liveness_deadline(&self) -> Option<Time> {
        None
    }
}
