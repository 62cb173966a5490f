//! A build without the feature `tree` knows those that come from a process by their group alone.

use crate::arbiter::Pid;
use crate::control::mark::Mark;
use crate::host::processes::Processes;
use crate::reactor::part::{Cx, Job};
use crate::sys::child::SpawnError;

#[derive(Default)]
pub struct Descendants {
    pub(super) due: bool,
}

impl Descendants {
    pub fn knows(&self, _: Pid) -> bool {
        false
    }

    pub fn signal(&mut self, _: Pid, _: i32) -> bool {
        false
    }

    pub fn lost_its_root(&mut self, _: Pid) -> bool {
        false
    }

    pub fn look_again(&mut self) {}

    pub fn finish(&self) {}
}

impl Processes {
    pub(super) fn spawn(&mut self, job: &mut Job, _: Mark, cx: &mut Cx<'_>) -> Result<Pid, SpawnError> {
        Ok(cx.host.spawn(&mut job.template.child)?.pid())
    }

    pub(super) fn look_for_strays(&mut self, _: &mut Cx<'_>) {}

    pub(super) fn comes_from(&self, _: Pid, _: Pid, _: &Cx<'_>) -> bool {
        false
    }

    pub(super) fn give_tree_up(&mut self, _: Pid) {}
}
