//! What a step of the arbiter works with: the time, the tables of processes, and what is to be done.

use super::exit_policy::Death;
use super::history::Cause;
use super::hooks::HookId;
use super::random::Random;
use super::request::{Reply, Ticket};
use super::time::Time;
use super::{Action, Level, Pid, Published, WatcherId};
use crate::sorted::Sorted;

/// What a number of the kernel's stands for, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The process with this wid.
    Process(WatcherId, u32),
    /// A process that SIGKILL did not end.
    Survivor(WatcherId),
    /// A group that has outlived its leader.
    Group(WatcherId),
}

/// What the handling of an event may use.
#[derive(Debug, Default)]
pub(super) struct Cx {
    pub(super) now: Time,
    pub(super) actions: Vec<Action>,
    pub(super) pids: Sorted<Pid, Known>,
    pub(super) random: Random,
    pub(super) last_hook: HookId,
    /// What the event is that is being handled.
    pub(super) cause: Cause,
    pub(super) outcome: Outcome,
}

/// What a watcher has to tell the arbiter when it has handled something.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Its replies to what it was asked.
    pub(super) done: Vec<(Ticket, Reply)>,
    /// It has ended for good without an order, for this reason.
    pub(super) over: Option<(String, Option<Death>)>,
    /// Its reload was given up: what to say of it.
    pub(super) reload_failure: Option<String>,
    /// What has led to a change, if the event that is being handled did not.
    pub(super) because: Option<Cause>,
    /// Its options are others now.
    pub(super) has_other_options: bool,
    /// It was told to run, and so is what it requires.
    pub(super) brings_along: bool,
}

impl Cx {
    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn log(&mut self, level: Level, text: impl Into<String>) {
        self.act(Action::Log { level, text: text.into() });
    }

    pub(super) fn publish(&mut self, watcher: &str, what: Published) {
        self.act(Action::Publish { watcher: watcher.to_owned(), what });
    }

    pub(super) fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.act(Action::Reply { ticket, reply });
    }
}
