//! When which watcher has something to do by itself. A turn costs nothing for those that were not touched.

use super::time::Time;
use super::watcher::Watcher;
use super::{Arbiter, WatcherId};
use crate::sorted::{Sorted, sort};

/// The deadlines of all watchers.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    by_watcher: Sorted<WatcherId, Time>,
    by_time: Sorted<(Time, WatcherId), ()>,
    /// Watchers whose deadline may have changed.
    touched: Sorted<WatcherId, ()>,
}

impl Agenda {
    /// The deadline of this watcher may have changed.
    pub(super) fn touch(&mut self, id: WatcherId) {
        self.touched.insert(id, ());
    }

    /// Finds the deadlines of those that were touched.
    pub(super) fn update(&mut self, deadline_of: impl Fn(WatcherId) -> Option<Time>) {
        for (id, ()) in std::mem::take(&mut self.touched) {
            let next = deadline_of(id);
            if self.by_watcher.get(&id).copied() == next {
                continue;
            }
            if let Some(before) = self.by_watcher.remove(&id) {
                self.by_time.remove(&(before, id));
            }
            if let Some(at) = next {
                self.by_watcher.insert(id, at);
                self.by_time.insert((at, id), ());
            }
        }
    }

    /// The next deadline.
    pub(super) fn next(&self) -> Option<Time> {
        self.by_time.keys().next().map(|(at, _)| *at)
    }

    /// The watchers whose deadline has come, by number.
    pub(super) fn due(&self, now: Time) -> Vec<WatcherId> {
        sort(self.by_time.keys().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect())
    }
}

impl Watcher {
    /// When it next has something to do by itself.
    pub(super) fn deadline(&self) -> Option<Time> {
        let (is_up, may_expire) = (self.is_up(), self.may_expire());
        let of_processes = self.processes.timed().flat_map(|p| {
            let age = p.more.expires.filter(|_| may_expire && p.runs());
            [p.pending().due(), age, p.liveness_deadline().filter(|_| is_up)].into_iter().flatten()
        });
        let of_groups = self.left.remnants.iter().filter_map(|remnant| remnant.fate.due());
        let of_itself = [self.hook_deadline(), self.spawn_deadline(), self.demand_deadline()];
        of_processes.chain(of_groups).chain(of_itself.into_iter().flatten()).min()
    }

    fn give_back(&mut self, now: Time, seconds: f64) {
        for process in self.processes.each_mut() {
            process.give_back(seconds);
            if let Some(liveness) = process.liveness_mut() {
                liveness.heard = now;
                liveness.ready_by = liveness.ready_by.map(|at| at.plus(seconds));
            }
        }
        for remnant in self.left.each_mut() {
            remnant.fate.give_back(seconds);
        }
        for call in self.hooks.get_mut().into_iter().flat_map(|hooks| hooks.calls.values_mut()) {
            call.deadline = call.deadline.plus(seconds);
        }
    }
}

impl Arbiter {
    /// circus itself has stood still: it was stopped, or frozen together with its processes. None of them is to blame
    /// for the silence of that time: the deadlines by which something has to be done move. What was sent meanwhile has
    /// been taken in by then, or will be before they are looked at.
    pub(super) fn overslept(&mut self, seconds: f64) {
        for (id, watcher) in self.watchers.iter_mut() {
            watcher.give_back(self.cx.now, seconds);
            self.agenda.touch(*id);
        }
    }
}
