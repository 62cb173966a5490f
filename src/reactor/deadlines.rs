//! When the loop wakes up by itself, and what it does then.

use crate::arbiter::Event;
use crate::reactor::eventloop::Daemon;
use crate::reactor::registry::KEYS;
use crate::reactor::standstill::nap;
use std::time::{Duration, Instant};

impl Daemon {
    /// How long the next wait may be; `None`: for ever.
    pub(crate) fn timeout(&mut self) -> Option<Duration> {
        if self.signals.have_come() || KEYS.iter().any(|key| self.parts.get(*key).is_busy()) {
            return Some(Duration::ZERO);
        }
        let of_arbiter = self.core.arbiter.deadline().map(|time| self.core.moment(time));
        let (mut exactly, mut about) = (of_arbiter.into_iter().chain(self.core.log.next_retry()).min(), None);
        for key in KEYS {
            let part = self.parts.get(*key);
            let first = if part.may_be_late() { &mut about } else { &mut exactly };
            *first = first.iter().copied().chain(part.deadline()).min();
        }
        let now = Instant::now();
        let rest = |at: Instant| at.saturating_duration_since(now);
        exactly.map(|at| nap(rest(at))).into_iter().chain(about.map(rest)).min()
    }

    /// Does what is due by now, after all that has come in meanwhile.
    pub(crate) fn do_what_is_due(&mut self) {
        self.core.now = Instant::now();
        if !self.standstill.may_judge(self.core.now) {
            return;
        }
        if self.core.arbiter.deadline().is_some_and(|time| self.core.moment(time) <= self.core.now) {
            self.dispatch(Event::Tick);
        }
        self.parts_due();
        if self.core.log.next_retry().is_some_and(|at| at <= self.core.now) {
            self.core.log.flush(self.core.now);
        }
    }
}
