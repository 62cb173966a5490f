//! All watchers: started one after the other in the order of their priority, stopped together, and the end.
//!
//! The next watcher starts when the one before is active, has failed, or is in trouble: nobody's trouble delays
//! another. For processes to become ready (`ready`) only watchers of a lower priority wait. Between two starts lies the `warmup_delay` of `[circus]`.

use super::request::Ticket;
use super::time::Time;
use super::watcher::{Goal, Status, Watcher};
use super::{Action, Arbiter, Level, WatcherId};
use crate::sorted::sort_by;
use std::collections::VecDeque;

/// A second signal that asks for the end hurries if it comes so many seconds after the first, or later. What comes
/// sooner is the same request: a wrapper forwards what its whole group has had, a manager sends two kinds.
pub const HURRY_AFTER: f64 = 1.0;

/// Watchers that are to be started.
#[derive(Debug)]
pub(super) struct Boot {
    queue: VecDeque<WatcherId>,
    /// The one that is being started.
    current: Option<WatcherId>,
    /// Those that have been started, but for their processes to become ready.
    unready: Vec<WatcherId>,
    /// When the next may start.
    gate: Time,
    waits: bool,
}

impl Boot {
    fn new(now: Time) -> Boot {
        Boot { queue: VecDeque::new(), current: None, unready: Vec::new(), gate: now, waits: false }
    }

    /// When the gate opens, if that is what it waits for.
    pub(super) fn deadline(&self) -> Option<Time> {
        (self.waits && self.current.is_none()).then_some(self.gate)
    }
}

/// circus is about to end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    tickets: Vec<Ticket>,
    /// When a signal first asked for it.
    signalled: Option<Time>,
    /// Another signal did, later: nothing is waited for any more.
    hurried: bool,
    done: bool,
}

impl Arbiter {
    /// The watchers, those of the highest priority first, then by name; but none before those that it depends on.
    pub(super) fn by_priority(&self) -> Vec<WatcherId> {
        let mut order: Vec<&Watcher> = self.watchers().collect();
        sort_by(&mut order, |a, b| {
            let (one, other) = (&a.config, &b.config);
            (other.options.priority, &one.name) < (one.options.priority, &other.name)
        });
        self.relations.in_order(order.iter().map(|w| w.id).collect())
    }

    pub(super) fn begin_boot(&mut self) {
        self.relate();
        let starts = |id: &WatcherId| self.watchers.get(id).is_some_and(|w| w.config.options.autostart);
        let order: Vec<WatcherId> = self.by_priority().into_iter().filter(starts).collect();
        self.boot_in_order(order);
    }

    /// Starts these, in this order, behind what is already to be started.
    pub(super) fn boot_in_order(&mut self, order: Vec<WatcherId>) {
        for id in &order {
            if let Some(watcher) = self.watchers.get_mut(id) {
                watcher.queued = true;
                watcher.ext.history.expect(&self.cx.cause);
            }
        }
        let boot = self.boot.get_or_insert_with(|| Boot::new(self.cx.now));
        boot.queue.retain(|id| !order.contains(id));
        boot.queue.extend(order);
        self.advance_boot();
    }

    /// A later order takes a watcher out of the queue.
    pub(super) fn unboot(&mut self, id: WatcherId) {
        if let Some(boot) = &mut self.boot {
            boot.queue.retain(|queued| *queued != id);
        }
    }

    /// Starts the next watchers when their turn has come.
    pub(super) fn advance_boot(&mut self) {
        // They start because somebody wanted that before, whatever is being handled now.
        let cause = std::mem::take(&mut self.cx.cause);
        self.start_next();
        self.cx.cause = cause;
    }

    fn start_next(&mut self) {
        // Taken out meanwhile, so that a watcher that is up at once does not come back here.
        let Some(mut boot) = self.boot.take() else { return };
        loop {
            if let Some(current) = boot.current {
                if self.watcher(current).is_some_and(|w| is_on_its_way(w) && !is_all_but_ready(w)) {
                    break;
                }
                boot.unready.push(current);
                boot.current = None;
                let own_gate = self.watcher(current).map_or(self.cx.now, Watcher::gate);
                boot.gate = self.cx.now.plus(self.warmup_delay).max(own_gate);
            }
            if boot.queue.is_empty() {
                return;
            }
            boot.unready.retain(|id| self.watcher(*id).is_some_and(is_on_its_way));
            let priority = |id: &WatcherId| self.watcher(*id).map(|watcher| watcher.config.options.priority);
            let next = boot.queue.front().and_then(priority);
            if boot.unready.iter().any(|id| priority(id) > next) {
                boot.waits = false;
                break;
            }
            boot.waits = boot.gate > self.cx.now;
            if boot.waits {
                break;
            }
            boot.current = boot.queue.pop_front();
            if let Some(id) = boot.current {
                self.with(id, |w, cx| w.want_up(cx));
            }
        }
        self.boot = Some(boot);
    }

    /// A signal asks circus to end; a second one waits for nobody, unless it comes right behind the first. A command
    /// does not count: what ends a service may well ask in both ways.
    pub(super) fn terminate_by_signal(&mut self) {
        let now = self.cx.now;
        let again = |ending: &&mut Ending| ending.signalled.is_some_and(|at| at.plus(HURRY_AFTER) <= now);
        if let Some(ending) = self.ending.as_mut().filter(again).filter(|ending| !ending.hurried) {
            ending.hurried = true;
            self.cx.log(Level::Warning, "asked to end again: SIGKILL for all that is left");
        }
        self.terminate(None);
        self.ending.get_or_insert_default().signalled.get_or_insert(now);
    }

    /// Stops everything, then ends.
    pub(super) fn terminate(&mut self, ticket: Option<Ticket>) {
        if self.ending.is_none() {
            self.cx.log(Level::Info, "Arbiter exiting");
        }
        self.boot = None;
        let ids: Vec<WatcherId> = self.watchers.keys().copied().collect();
        let mut order = self.by_priority();
        order.reverse();
        order.extend(ids.into_iter().filter(|id| !self.names.values().any(|named| named == id)));
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

    /// How many clients wait for the end.
    pub(super) fn waiting_for_the_end(&self) -> usize {
        self.ending.as_ref().map_or(0, |ending| ending.tickets.len())
    }

    /// Whether nothing is waited for any more.
    pub fn is_hurried(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.hurried)
    }

    /// Whether circus is about to end.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether a reload of any watcher is under way.
    pub fn is_reloading(&self) -> bool {
        self.watchers.values().any(|watcher| watcher.is_reloading())
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

    /// A reload of everything that runs; what was stopped stays so.
    pub(super) fn reload_what_runs(&mut self) {
        if self.is_ending() {
            return;
        }
        self.cx.log(Level::Info, "reloading all watchers");
        for id in self.by_priority() {
            self.with(id, |w, _| {
                if w.goal == Goal::Up {
                    w.want_reload(false);
                }
            });
        }
    }
}

/// All its processes are there, and it waits for them to be ready.
fn is_all_but_ready(watcher: &Watcher) -> bool {
    watcher.status() == Status::Starting
        && watcher.missing() == 0
        && watcher.spawning.is_none()
        && !watcher.are_ready(&|_| true)
}

/// It is starting and not in trouble.
fn is_on_its_way(watcher: &Watcher) -> bool {
    let starting = match watcher.status() {
        Status::Starting => true,
        Status::Stopping => watcher.goal == Goal::Up,
        Status::Stopped | Status::Active => false,
    };
    starting && watcher.run().retries().next().is_none()
}
