//! All watchers are started one after the other, in the order of their priority.
//!
//! The next watcher starts when the one before is active, has failed, or is in trouble: the trouble of one delays no
//! other. For processes to become ready (`ready`) only watchers of a lower priority wait. Between two starts lies the
//! `warmup_delay` of `[circus]`.

use super::time::Time;
use super::watcher::{Goal, Status, Watcher};
use super::{Arbiter, Level, WatcherId};
use crate::sorted::sort_by;
use std::collections::VecDeque;

/// Watchers that are to be started.
#[derive(Debug, Default)]
pub(super) struct Startup {
    queue: VecDeque<WatcherId>,
    /// The one that is being started.
    current: Option<WatcherId>,
    /// Those that have been started, but for their processes to become ready.
    unready: Vec<WatcherId>,
    /// Later orders have decided about these: none that has its turn brings them along.
    decided: Vec<WatcherId>,
    /// When the next may start.
    gate: Time,
    waits: bool,
}

impl Startup {
    /// When the gate opens, if that is what it waits for.
    pub(super) fn deadline(&self) -> Option<Time> {
        (self.waits && self.current.is_none()).then_some(self.gate)
    }
}

impl Arbiter {
    /// The watchers, those of the highest priority first, then by name; but none before those that it depends on.
    pub(super) fn by_priority(&self) -> Vec<WatcherId> {
        let mut order: Vec<&Watcher> = self.watchers().collect();
        sort_by(&mut order, |a, b| {
            let (one, other) = (&a.config, &b.config);
            (other.options.priority, &one.name) < (one.options.priority, &other.name)
        });
        self.dependencies.in_order(order.iter().map(|w| w.id).collect())
    }

    pub(super) fn begin_startup(&mut self) {
        self.find_dependencies();
        self.start_in_order(self.to_start(None));
    }

    /// Starts these, in this order, behind what is already to be started.
    pub(super) fn start_in_order(&mut self, order: Vec<WatcherId>) {
        for id in &order {
            if let Some(watcher) = self.watchers.get_mut(id) {
                watcher.queued = true;
                watcher.history.expect(&self.cx.cause);
            }
        }
        let boot = self.startup.get_or_insert_default();
        if !order.is_empty() {
            boot.decided.clear();
        }
        boot.queue.retain(|id| !order.contains(id));
        boot.queue.extend(order);
        self.advance_startup();
    }

    /// A later order takes a watcher out of the queue.
    pub(super) fn unqueue(&mut self, id: WatcherId) {
        if let Some(boot) = &mut self.startup {
            boot.queue.retain(|queued| *queued != id);
            boot.decided.push(id);
        }
    }

    /// Starts the next watchers when their turn has come.
    pub(super) fn advance_startup(&mut self) {
        // They start because of an earlier order, whatever is being handled now.
        let cause = std::mem::take(&mut self.cx.cause);
        self.start_next();
        self.cx.cause = cause;
    }

    fn start_next(&mut self) {
        // Taken out meanwhile, so that a watcher that is up at once does not come back here.
        let Some(mut boot) = self.startup.take() else { return };
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
                let mut along = self.missing_for(id);
                along.retain(|other| !boot.decided.contains(other));
                for other in along {
                    self.with(other, |w, cx| {
                        w.come_along(cx);
                        cx.outcome.brings_along = false; // what that one requires is among these
                    });
                }
                self.with(id, |w, cx| {
                    w.want_up(cx);
                    cx.outcome.brings_along = false;
                });
            }
        }
        self.startup = Some(boot);
    }

    /// Whether a reload of any watcher is under way.
    pub fn is_reloading(&self) -> bool {
        self.watchers.values().any(|watcher| watcher.is_reloading())
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
                    w.want_reload(w.manner(false));
                }
            });
        }
    }
}

/// All its processes are there, and it waits for them to be ready.
fn is_all_but_ready(watcher: &Watcher) -> bool {
    watcher.status() == Status::Starting
        && watcher.missing() == 0
        && watcher.spawns.under_way.is_none()
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
