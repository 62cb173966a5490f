//! A build in which no socket starts a watcher.

use super::context::Cx;
use super::process::Process;
use super::respawn::Chain;
use super::time::Time;
use super::watcher::Watcher;

#[derive(Debug, Default)]
pub(super) struct Demand;

impl Watcher {
    pub(super) fn may_start(&mut self, _: &mut Cx) -> bool {
        true
    }

    pub(super) fn look_away(&mut self, _: &mut Cx) {}

    pub(super) fn sockets_watched(&mut self, _: Result<(), String>, _: &mut Cx) {}

    pub(super) fn socket_ready(&mut self, _: &mut Cx) {}

    pub(super) fn note_for_demand(&mut self, _: &Process, _: &mut Cx) {}

    pub(super) fn first_chain(&self) -> Chain {
        Chain::default()
    }

    pub(super) fn forget_demand(&mut self) {}

    /// It has stopped and waits for its sockets.
    pub fn waits_for_demand(&self) -> bool {
        false
    }

    pub(super) fn demand_deadline(&self) -> Option<Time> {
        None
    }
}
