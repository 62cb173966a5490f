//! When which watcher has something to do by itself. A turn costs nothing for those that were not touched.

use super::WatcherId;
use super::time::Time;
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
