//! A build without the feature `tail` has nobody who follows the output of a watcher.
#![allow(missing_docs, reason = "they stand for those of followers.rs")]

use super::Clients;
use crate::arbiter::WatcherId;
use crate::arbiter::request::Request;
use crate::reactor::part::{Cx, Heard};

pub struct Follows {
    pub missed: u64,
}

impl Follows {
    pub fn is_meant(_: &Request) -> bool {
        false
    }
}

impl Clients {
    pub(super) fn note_followed(&self, _: &mut Cx<'_>) {}

    pub(super) fn tell_followers(&mut self, _: &Heard, _: &Cx<'_>) {}

    pub(super) fn end_following(&mut self, _: WatcherId, _: &mut Cx<'_>) {}
}
