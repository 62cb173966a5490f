//! A build in which nothing runs programs on the side: neither hooks nor health nor gzip.

use crate::arbiter::WatcherId;
use crate::arbiter::hooks::{About, HookId};
use crate::arbiter::request::Ticket;
use crate::config::hooks::Hook;
use crate::control::Map;
use crate::host::trouble::Trouble;
use crate::reactor::part::{Cx, Effect, Part};
use crate::sys::child::Child;
use std::time::Instant;

#[derive(Debug)]
#[expect(dead_code, reason = "nothing is done for them")]
pub enum Purpose {
    Hook { id: HookId, watcher: WatcherId, hook: Hook, about: About },
    Gzip(Box<Child>),
}

#[derive(Default)]
pub struct Helpers;

impl Part for Helpers {}

impl Helpers {
    pub fn add(&mut self, _: Purpose, _: Option<Instant>) {}

    pub fn cancel_hook(&mut self, _: HookId, _: WatcherId, _: Instant) {}

    pub fn kill_all(&mut self) {}

    pub fn short(&mut self, _: &Trouble, _: &mut Cx<'_>) {}

    pub fn not_short(&mut self, _: &Cx<'_>) {}

    /// Nothing is added.
    pub fn extend(&mut self, ticket: Ticket, _: &str, _: Option<i32>, answer: Map, cx: &mut Cx<'_>) {
        cx.effect(Effect::Answer(ticket, Ok(answer)));
    }
}
