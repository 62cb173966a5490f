//! All watchers are stopped together, and then circus ends. A second request kills what is left.

use super::request::Ticket;
use super::time::Time;
use super::watcher::{Goal, Status};
use super::{Action, Arbiter, Level};

/// A second signal that asks for the end hurries if it comes so many seconds after the first, or later. What comes
/// sooner is the same request: a wrapper forwards what its whole group has had, a manager sends two kinds.
pub const HURRY_AFTER: f64 = 1.0;

/// circus is about to end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// The clients that wait for it.
    pub(super) tickets: Vec<Ticket>,
    /// When a signal first asked for it.
    signalled: Option<Time>,
    /// Another signal did, later: nothing is waited for any more.
    hurried: bool,
    done: bool,
}

impl Arbiter {
    /// A signal asks circus to end; a second one waits for nobody, unless it comes right behind the first. A command
    /// does not count: what ends a service may well ask in both ways.
    pub(super) fn terminate_by_signal(&mut self) {
        let now = self.cx.now;
        let again = |ending: &&mut Ending| ending.signalled.is_some_and(|at| at.plus(HURRY_AFTER) <= now);
        if let Some(ending) = self.ending.as_mut().filter(again).filter(|ending| !ending.hurried) {
            ending.hurried = true;
            self.cx.log(Level::Warning, "second request to stop: killing all remaining processes");
        }
        self.terminate(None);
        self.ending.get_or_insert_default().signalled.get_or_insert(now);
    }

    /// Stops everything, then ends.
    pub(super) fn terminate(&mut self, ticket: Option<Ticket>) {
        if self.ending.is_none() {
            self.cx.log(Level::Info, "Arbiter exiting");
        }
        self.startup = None;
        let mut order = self.by_priority();
        order.reverse();
        // Those that are to be forgotten have no name any more.
        order.extend(self.watchers.values().filter(|w| w.goal == Goal::Gone).map(|w| w.id));
        for id in order {
            self.with(id, |w, _| w.want_down());
        }
        // Only now: the last watcher must not end circus before all clients that wait have their answer.
        self.ending.get_or_insert_default().tickets.extend(ticket);
        self.end_when_stopped();
    }

    /// Takes out the clients that wait for the end. Their answer is the last thing that circus does.
    pub fn take_end_waiters(&mut self) -> Vec<Ticket> {
        self.ending.as_mut().map(|ending| std::mem::take(&mut ending.tickets)).unwrap_or_default()
    }

    /// Whether nothing is waited for any more.
    pub fn is_hurried(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.hurried)
    }

    /// Whether circus is about to end.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Ends circus when nothing runs any more.
    pub(super) fn end_when_stopped(&mut self) {
        if self.watchers.values().any(|w| w.status() != Status::Stopped) {
            return;
        }
        let Some(ending) = &mut self.ending else { return };
        if !std::mem::replace(&mut ending.done, true) {
            self.cx.act(Action::Exit(self.fallen.take()));
        }
    }
}
