//! When the loop wakes up by itself, and what it does then.

use crate::arbiter::Event;
use crate::reactor::eventloop::Daemon;
use crate::reactor::registry::KEYS;
use crate::reactor::standstill::nap;
use std::time::{Duration, Instant};

impl Daemon {
    /// How long the next wait may be; `None`: for ever.
    pub(crate) fn timeout(&mut self) -> Option<Duration> {
        let busy = false
            || self.signals.have_come()
            || self.parts.helpers.are_busy()
            || self.parts.notices.are_busy()
            || self.parts.builtins.are_busy()
            || KEYS.iter().any(|key| self.parts.get(*key).is_busy());
        if busy {
            return Some(Duration::ZERO);
        }
        let of_arbiter = self.core.arbiter.deadline().map(|time| self.core.moment(time));
        let rest_of = [
            of_arbiter,
            self.parts.helpers.next_deadline(),
            self.core.log.next_retry(),
            self.parts.notices.next(),
        ];
        let of_parts = KEYS.iter().filter_map(|key| self.parts.get(*key).deadline());
        let rest_of = rest_of.into_iter().flatten().chain(of_parts);
        let now = Instant::now();
        let rest = |at: Instant| at.saturating_duration_since(now);
        let exactly = rest_of.min().map(|at| nap(rest(at)));
        // A look of a plugin may as well come a little late: one wake-up is enough.
        let about = self.parts.builtins.deadline().map(|time| rest(self.core.moment(time)));
        exactly.into_iter().chain(about).min()
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
        if self.parts.builtins.deadline().is_some_and(|time| self.core.moment(time) <= self.core.now) {
            self.tick_builtins();
        }
        if self.parts.helpers.next_deadline().is_some_and(|at| at <= self.core.now) {
            self.expire_helpers();
        }
        if self.core.log.next_retry().is_some_and(|at| at <= self.core.now) {
            self.core.log.flush(self.core.now);
        }
        if self.parts.notices.next().is_some_and(|at| at <= self.core.now) {
            self.resume_notices();
        }
    }
}
