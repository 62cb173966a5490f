//! When the loop wakes up by itself, and what it does then.

use crate::arbiter::Event;
use crate::reactor::eventloop::Daemon;
use crate::reactor::standstill::nap;
use std::time::{Duration, Instant};

impl Daemon {
    /// How long the next wait may be; `None`: for ever.
    pub(crate) fn timeout(&mut self) -> Option<Duration> {
        let busy = !self.ready_pipes.is_empty()
            || !self.spawns.is_empty()
            || self.more_zombies
            || self.signals.have_come()
            || self.helpers.are_busy()
            || self.notices.are_busy()
            || self.descendants.are_due()
            || self.clients.are_busy()
            || self.surveys.are_busy()
            || self.builtins.are_busy();
        if busy {
            return Some(Duration::ZERO);
        }
        let of_arbiter = self.arbiter.deadline().map(|time| self.moment(time));
        let rest_of = [
            of_arbiter,
            self.helpers.next_deadline(),
            self.streams.next_retry(),
            self.clients.listeners.next_accept(),
            self.log.next_retry(),
            self.notify.next(),
            self.notices.next(),
            self.shutdown_progress.next(),
            self.looks.next(),
            self.next_sweep(),
            self.next_reap(),
        ];
        let now = Instant::now();
        let rest = |at: Instant| at.saturating_duration_since(now);
        let exactly = rest_of.into_iter().flatten().min().map(|at| nap(rest(at)));
        // A look of a plugin may as well come a little late: one wake-up is enough.
        let about = self.builtins.deadline().map(|time| rest(self.moment(time)));
        exactly.into_iter().chain(about).min()
    }

    /// Does what is due by now, after all that has come in meanwhile.
    pub(crate) fn do_what_is_due(&mut self) {
        self.now = Instant::now();
        if !self.standstill.may_judge(self.now) {
            return;
        }
        if self.arbiter.deadline().is_some_and(|time| self.moment(time) <= self.now) {
            self.dispatch(Event::Tick);
        }
        if self.builtins.deadline().is_some_and(|time| self.moment(time) <= self.now) {
            self.tick_builtins();
        }
        if self.helpers.next_deadline().is_some_and(|at| at <= self.now) {
            self.expire_helpers();
        }
        if self.streams.next_retry().is_some_and(|at| at <= self.now) {
            self.streams.retry(self.now, &mut self.log);
        }
        if self.log.next_retry().is_some_and(|at| at <= self.now) {
            self.log.flush(self.now);
        }
        if self.looks.next().is_some_and(|at| at <= self.now) {
            self.look_again_now();
        }
        if self.notices.next().is_some_and(|at| at <= self.now) {
            self.resume_notices();
        }
    }
}
