//! A build in which no watcher depends on another.

use super::context::Cx;
use super::history::Standing;
use super::watcher::Watcher;
use super::{Arbiter, WatcherId};
use crate::config::WatcherConfig;

pub(super) struct Outlook;

#[derive(Debug, Default)]
pub(super) struct Dependencies;

impl Dependencies {
    pub(super) fn have_changed(&mut self, _: &WatcherConfig) {}

    pub(super) fn in_order(&self, ids: Vec<WatcherId>) -> Vec<WatcherId> {
        ids
    }
}

impl Arbiter {
    pub(super) fn relate(&mut self) {}

    pub(super) fn prepare(&mut self, _: WatcherId) -> Outlook {
        Outlook
    }

    pub(super) fn tie(&mut self, _: WatcherId) {}

    pub(super) fn bring_along(&mut self, _: WatcherId) {}

    pub(super) fn mark_dirty(&mut self, _: WatcherId, _: (Standing, Outlook)) {}

    pub(super) fn propagate(&mut self) {}
}

impl Watcher {
    pub(super) fn is_held(&mut self, _: &mut Cx) -> bool {
        false
    }

    pub(super) fn lose(&mut self, _: &mut Cx) {}
}
