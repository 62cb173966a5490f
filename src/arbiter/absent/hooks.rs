//! A build without hooks: nothing is asked, and nothing waits for an answer.

use super::Pid;
pub use super::calls::{About, Answer, HookId};
pub(super) use super::calls::{MOST_CALLS, Then};
use super::context::Cx;
use super::time::Time;
use super::watcher::Watcher;
use crate::config::hooks::Hook;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Hooks {
    pub(super) hurried: bool,
}

impl Hooks {
    pub(super) fn running(&self) -> usize {
        0
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &HookId> {
        std::iter::empty()
    }
}

impl Watcher {
    pub(super) fn call(&mut self, _: Hook, _: About, _: Then, _: &mut Cx) -> bool {
        false
    }

    pub(super) fn tell(&mut self, _: Hook, _: About, _: &mut Cx) {}

    pub(super) fn waits_for(&self, _: Then) -> bool {
        false
    }

    pub(super) fn has_hook(&self, _: Hook) -> bool {
        false
    }

    pub(super) fn hook_done(&mut self, _: HookId, _: &Answer, _: &mut Cx) {}

    pub(super) fn hook_delayed(&mut self, _: HookId, _: &mut Cx) {}

    pub(super) fn cancel_hooks(&mut self, _: &dyn Fn(Then) -> bool, _: &mut Cx) {}

    pub(super) fn expire_hooks(&mut self, _: &mut Cx) {}

    pub(super) fn give_hooks_back(&mut self, _: f64) {}

    pub(super) fn end_hooks(&mut self, _: &mut Cx) {
        self.ext.hooks.hurried = true;
    }

    pub(super) fn hook_deadline(&self) -> Option<Time> {
        None
    }

    pub(super) fn run_stop_command(&mut self, _: u32, _: Pid, _: Time, _: &mut Cx) -> bool {
        false
    }

    pub(super) fn step_commands(&mut self, _: VecDeque<Pid>, cx: &mut Cx) {
        self.end_reload(cx);
    }
}
