//! Clients that wait for an order to be done, and what they are told.
//!
//! A waiter belongs to a watcher and is answered when the watcher is where the order wanted it, or when it can no
//! longer get there since another order or a failure came between: then it is told what happened instead.

use super::context::Cx;
use super::request::{Errno, Reply, Ticket};
use super::respawn::{Chain, Failure};
use super::run::Slot;
use super::watcher::{Goal, Status, Watcher};
use super::{Arbiter, Pid};

/// How many failures to start in a row are enough to tell a client that waits.
const ENOUGH: u32 = 5;

/// How many may wait: as many as there may be connections. A client that sends orders without end has its errors.
pub(super) const MOST_WAITING: usize = 4096;

/// What a waiter waits for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Await {
    /// That it is active.
    Up { added: bool },
    /// That it has stopped.
    Down,
    /// That it has stopped and is forgotten.
    Removed,
    /// That it is active, after a stop.
    Restarted,
    /// That the reload is over.
    Reloaded,
    /// That it has as many processes as it is to have.
    Counted,
    /// That nothing is under way.
    Settled,
    /// That these processes are gone.
    Ended(Vec<Pid>),
}

/// A client that waits for a watcher.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) ticket: Ticket,
    pub(super) what: Await,
    /// The pids when the order came.
    pub(super) before: Vec<Pid>,
}

impl Arbiter {
    /// Whether a client may be entered that waits, or one that does not.
    ///
    /// # Errors
    /// The answer to one that is too many.
    pub(super) fn admit_waiter(&self, waits: bool) -> Result<(), Reply> {
        let of_watchers = self.watchers.values().map(|watcher| watcher.waiters.len());
        let of_end = self.ending.iter().map(|ending| ending.tickets.len());
        match waits && of_watchers.chain(of_end).sum::<usize>() >= MOST_WAITING {
            true => Err(Reply::error(Errno::Conflict, "too many clients wait already: ask without waiting")),
            false => Ok(()),
        }
    }
}

impl Watcher {
    /// Answers the waiters whose time has come.
    pub(super) fn answer_waiters(&mut self, cx: &mut Cx) {
        let failure = cx.outcome.reload_failure.take();
        if self.waiters.is_empty() {
            return;
        }
        let mut waiters = std::mem::take(&mut self.waiters);
        waiters.retain(|waiter| match self.answer(waiter, failure.as_deref()) {
            Some(reply) => {
                cx.outcome.done.push((waiter.ticket, reply));
                false
            }
            None => true,
        });
        self.waiters = waiters;
    }

    fn answer(&self, waiter: &Waiter, reload_failure: Option<&str>) -> Option<Reply> {
        // Waiting for its sockets is as far as a start by command brings a watcher with on_demand.
        let waits = self.waits_for_demand();
        let up = self.status() == Status::Active || waits;
        let rests = self.goal != Goal::Up && !self.queued || self.prerequisites.dependency.in_vain;
        let down = waits || self.status() == Status::Stopped && rests;
        match &waiter.what {
            Await::Up { added: true } if up => Some(self.added(&waiter.before)),
            Await::Up { .. } if up => Some(self.info(&waiter.before, false)),
            Await::Restarted if up => Some(self.info(&waiter.before, true)),
            Await::Up { .. } | Await::Restarted if down => Some(self.not_up()),
            Await::Up { .. } | Await::Restarted => self.still_failing(),
            Await::Down => (self.status() == Status::Stopped).then_some(Reply::Stopped),
            Await::Removed => (self.status() == Status::Stopped).then_some(Reply::Ok),
            Await::Reloaded | Await::Settled if reload_failure.is_some() => {
                reload_failure.map(|failure| self.failed(failure))
            }
            Await::Reloaded if up && (!self.is_reloading() || self.holds_canary()) => {
                Some(self.info(&waiter.before, true))
            }
            Await::Reloaded if down => Some(self.not_up()),
            Await::Counted if down || up && self.is_settled() => Some(self.numprocesses()),
            Await::Settled if down || up && self.is_settled() => Some(Reply::Ok),
            Await::Reloaded | Await::Counted | Await::Settled => self.still_failing(),
            Await::Ended(pids) => {
                let gone = self.processes.values().all(|p| !pids.contains(&p.pid));
                gone.then_some(Reply::Ok)
            }
        }
    }

    /// Nothing is being spawned, replaced or ended.
    fn is_settled(&self) -> bool {
        self.spawns.under_way.is_none()
            && !self.is_reloading()
            && self.missing() == 0
            && !self.run().slots.iter().any(Slot::is_behind)
            && self.processes.len() == self.processes.running()
            && self.are_ready(&|_| true)
    }

    fn info(&self, before: &[Pid], with_stopped: bool) -> Reply {
        let now = self.pids();
        let (kept, started) = now.into_iter().partition(|pid| before.contains(pid));
        let gone = before.iter().copied().filter(|pid| self.processes.values().all(|p| p.pid != *pid));
        Reply::Info { started, stopped: with_stopped.then(|| gone.collect()), kept }
    }

    fn added(&self, before: &[Pid]) -> Reply {
        let (kept, started) = self.pids().into_iter().partition(|pid| before.contains(pid));
        Reply::Added { started, kept }
    }

    /// The number of processes that it is to have.
    pub(super) fn numprocesses(&self) -> Reply {
        Reply::Numprocesses {
            count: self.config.options.numprocesses,
            singleton: self.config.options.singleton,
        }
    }

    fn failed(&self, what: &str) -> Reply {
        Reply::error(Errno::Failed, format!("'{}' {what}", self.config.name))
    }

    fn not_up(&self) -> Reply {
        match &self.failure() {
            Some(reason) => self.failed(&format!("did not start: {reason}")),
            None if self.config.wanted() == 0 => self.info(&[], false),
            None => self.failed("was stopped meanwhile"),
        }
    }

    /// With max_retry = -1 a start that cannot succeed never ends; the client is told all the same.
    fn still_failing(&self) -> Option<Reply> {
        self.is_hopeless()
            .then(|| self.failed("cannot be started yet; circus keeps trying, and the log says why"))
    }

    /// Whether to wait any longer for its start, or for that of what it waits for, is of no use.
    pub(super) fn is_hopeless(&self) -> bool {
        let hopeless =
            |chain: Chain| chain.failures >= ENOUGH || chain.failures > 0 && chain.last == Failure::Late;
        let waits_so = self.status() == Status::Stopped && self.prerequisites.dependency.hopeless;
        waits_so || self.run().retries().any(|retry| hopeless(retry.chain))
    }
}
