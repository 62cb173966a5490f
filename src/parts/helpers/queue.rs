//! The order in which helpers get their turn: their owners one after the other, so that one with thousands of them
//! delays nobody else, and so many at a time.

use crate::arbiter::WatcherId;
use crate::sorted::Sorted;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// The most helpers that run at a time.
const MOST: usize = 512;
/// The most of one owner.
const MOST_OF_ONE: usize = 256;

/// For whom a helper runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// For a watcher that waits.
    Watcher(WatcherId),
    /// For clients that want to know more about a watcher.
    Clients(WatcherId),
    /// For rotated files.
    Files,
}

struct Lane<T> {
    waiting: VecDeque<T>,
    running: usize,
}

impl<T> Lane<T> {
    fn may_go(&self) -> bool {
        !self.waiting.is_empty() && self.running < MOST_OF_ONE
    }
}

/// Those who wait for their turn.
pub struct Queue<T> {
    lanes: Sorted<Owner, Lane<T>>,
    /// Whose turn it was last.
    last: Option<Owner>,
    running: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { lanes: Sorted::new(), last: None, running: 0 }
    }
}

impl<T> Queue<T> {
    /// Adds one behind the others of its owner.
    pub fn push(&mut self, owner: Owner, item: T) {
        let lane = || Lane { waiting: VecDeque::new(), running: 0 };
        self.lanes.get_or_insert_with(owner, lane).waiting.push_back(item);
    }

    /// Whether somebody may go.
    pub fn is_ready(&self) -> bool {
        self.running < MOST && self.lanes.values().any(Lane::may_go)
    }

    /// Who goes next; it runs until [`Queue::ended`] is told.
    pub fn next(&mut self) -> Option<(Owner, T)> {
        if self.running >= MOST {
            return None;
        }
        let ready = || self.lanes.iter().filter(|(_, lane)| lane.may_go()).map(|(owner, _)| *owner);
        let owner = ready().find(|owner| Some(*owner) > self.last).or_else(|| ready().next())?;
        let lane = self.lanes.get_mut(&owner)?;
        let item = lane.waiting.pop_front()?;
        lane.running += 1;
        self.running += 1;
        self.last = Some(owner);
        Some((owner, item))
    }

    /// One of this owner does not run any more.
    pub fn ended(&mut self, owner: Owner) {
        self.running -= 1;
        if let Some(lane) = self.lanes.get_mut(&owner) {
            lane.running -= 1;
        }
        self.tidy(owner);
    }

    /// One that went could not run: it is the first of its owner again.
    pub fn put_back(&mut self, owner: Owner, item: T) {
        if let Some(lane) = self.lanes.get_mut(&owner) {
            lane.waiting.push_front(item);
        }
        self.ended(owner);
    }

    /// Those who wait.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.lanes.values().flat_map(|lane| &lane.waiting)
    }

    /// Nobody who waits gets a turn.
    pub fn clear(&mut self) {
        self.lanes.values_mut().for_each(|lane| lane.waiting.clear());
    }

    /// Takes one out of the queue, and answers whether it was there. `order` says where it is: those of an owner must
    /// have come in this order.
    pub fn take_out(&mut self, owner: Owner, order: &dyn Fn(&T) -> Ordering) -> bool {
        let Some(lane) = self.lanes.get_mut(&owner) else { return false };
        let Ok(at) = lane.waiting.binary_search_by(order) else { return false };
        lane.waiting.remove(at);
        self.tidy(owner);
        true
    }

    fn tidy(&mut self, owner: Owner) {
        if self.lanes.get(&owner).is_some_and(|lane| lane.running == 0 && lane.waiting.is_empty()) {
            self.lanes.remove(&owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(number: u32) -> Owner {
        Owner::Watcher(WatcherId(number))
    }

    #[test]
    fn owners_take_turns() {
        let mut queue = Queue::default();
        (0..3).for_each(|n| queue.push(watcher(1), format!("a{n}")));
        queue.push(watcher(2), "b0".into());
        let next = |queue: &mut Queue<String>| queue.next().map(|(_, item)| item).unwrap_or_default();
        assert_eq!([next(&mut queue), next(&mut queue)], ["a0", "b0"]);
        queue.push(Owner::Clients(WatcherId(0)), "c0".into());
        assert_eq!([next(&mut queue), next(&mut queue), next(&mut queue)], ["c0", "a1", "a2"]);
        assert_eq!((next(&mut queue), queue.is_ready(), queue.iter().count()), (String::new(), false, 0));
    }

    #[test]
    fn no_owner_takes_every_place_and_there_are_only_so_many() {
        let mut queue = Queue::default();
        for owner in 0..3 {
            (0..1000).for_each(|n| queue.push(watcher(owner), n));
        }
        let started = std::iter::from_fn(|| queue.next()).count();
        assert_eq!((started, queue.is_ready()), (MOST, false));
        queue.ended(watcher(0));
        assert!(queue.is_ready());
        let mut one = Queue::default();
        (0..1000).for_each(|n| one.push(watcher(0), n));
        assert_eq!(std::iter::from_fn(|| one.next()).count(), MOST_OF_ONE);
        one.push(watcher(7), 0);
        assert_eq!(one.next(), Some((watcher(7), 0)));
    }

    #[test]
    fn who_could_not_run_is_the_next_of_its_owner() {
        let mut queue = Queue::default();
        [1, 2].into_iter().for_each(|n| queue.push(watcher(1), n));
        let (owner, first) = queue.next().unwrap();
        queue.put_back(owner, first);
        assert_eq!((queue.iter().count(), queue.running), (2, 0));
        assert_eq!([queue.next(), queue.next()], [Some((watcher(1), 1)), Some((watcher(1), 2))]);
        queue.put_back(watcher(1), 2);
        queue.ended(watcher(1));
        assert_eq!((queue.next(), queue.lanes.len()), (Some((watcher(1), 2)), 1));
    }

    #[test]
    fn who_is_taken_out_does_not_come() {
        let mut queue = Queue::default();
        [1, 4, 5, 9].into_iter().for_each(|n| queue.push(watcher(1), n));
        let mut take_out = |owner: u32, n: i32| queue.take_out(watcher(owner), &|item| item.cmp(&n));
        assert_eq!(
            [take_out(1, 4), take_out(1, 9), take_out(1, 9), take_out(2, 1)],
            [true, true, false, false]
        );
        assert_eq!((queue.iter().count(), queue.next()), (2, Some((watcher(1), 1))));
        queue.ended(watcher(1));
        assert!(queue.take_out(watcher(1), &|item| item.cmp(&5)) && queue.lanes.is_empty());
    }
}
