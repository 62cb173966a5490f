//! The looks at processes that are under way. One goes on for a moment in each turn of the loop, nobody else waits for it,
//! and its answer comes when it is complete.

use crate::arbiter::request::{Errno, Ticket};
use crate::arbiter::{Pid, WatcherId};
use crate::control::Refusal;
use crate::reactor::part::{Cx, Effect, Job, Part};
use crate::views::samples::Samples;
use crate::views::survey::Survey;
use crate::views::tally::{Purpose, Tally, is_limited};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long surveys may go on in a turn.
const SLICE: Duration = Duration::from_millis(4);
/// How many surveys may be under way.
const MOST: usize = 64;

/// How long after a look at the memory of processes that have a `max_rss` the next one comes.
const INTERVAL: Duration = Duration::from_secs(5);

/// A look that is under way.
enum Look {
    /// For `stats` or `dstats`.
    Survey(Ticket, Survey),
    /// For the details of `status`, for metrics, or for `max_rss`.
    Tally(Box<Tally>),
}

/// Looks that are under way, in their turns.
#[derive(Default)]
pub struct Surveys {
    queue: VecDeque<Look>,
    /// What `stats` saw last.
    samples: Samples,
    /// What `dstats` saw last.
    own_samples: Samples,
    /// When those with a `max_rss` are looked at next, if there are any.
    next: Option<Instant>,
}

impl Surveys {
    /// Begins what a question or a page takes. One that would have to wait for others begins in its turn.
    ///
    /// # Errors
    /// There is no such watcher or process, or too many such questions are being answered.
    fn begin(&mut self, purpose: Purpose, cx: &mut Cx<'_>) -> Result<(), Refusal> {
        if self.queue.len() >= MOST {
            let reason = "too many statistics are being collected; try again later".into();
            return Err(Refusal { errno: Errno::Conflict, reason });
        }
        self.queue.push_back(match Tally::begin(cx.arbiter, purpose) {
            Ok(tally) => Look::Tally(tally.into()),
            Err(Purpose::Question { ticket, question, .. }) => {
                Look::Survey(ticket, Survey::begin(cx.arbiter, &question)?)
            }
            Err(Purpose::Page(_) | Purpose::Limits) => return Ok(()),
        });
        if self.queue.len() == 1 {
            self.work(cx);
        }
        Ok(())
    }

    /// Goes on with one; true when it is complete. Percentages are about the time since the same question was asked
    /// last.
    fn go_on(&mut self, look: &mut Look, until: Instant, cx: &Cx<'_>) -> bool {
        match look {
            Look::Survey(_, survey) => {
                let samples = if survey.is_own() { &mut self.own_samples } else { &mut self.samples };
                survey.go_on(until, cx.time(), samples)
            }
            Look::Tally(tally) => tally.go_on(until),
        }
    }
}

impl Look {
    /// Who waits for it, if it is a client.
    fn ticket(&self) -> Option<Ticket> {
        match self {
            Look::Survey(ticket, _) => Some(*ticket),
            Look::Tally(tally) => match tally.purpose {
                Purpose::Question { ticket, .. } => Some(ticket),
                Purpose::Page(_) | Purpose::Limits => None,
            },
        }
    }

    /// What has been seen, for whom it is for.
    fn seen(self) -> Effect {
        match self {
            Look::Tally(tally) => Effect::Tallied(tally),
            Look::Survey(ticket, mut survey) => match survey.extends.take() {
                Some((name, process)) => Effect::Extend { ticket, name, process, answer: survey.answer() },
                None => Effect::Answer(ticket, Ok(survey.answer())),
            },
        }
    }
}

impl Part for Surveys {
    fn take(&mut self, effect: Effect, cx: &mut Cx<'_>) -> Option<Effect> {
        match effect {
            Effect::Question { ticket, question, role } => {
                let refused = self.begin(Purpose::Question { ticket, question, role }, cx).err()?;
                return Some(Effect::Answer(ticket, Err(refused)));
            }
            Effect::Metrics(watcher) => {
                // A scraper asks again.
                let _ = self.begin(Purpose::Page(watcher), cx);
            }
            // Nobody waits for these any more.
            Effect::Withdrawn(tickets) => {
                self.queue.retain(|look| look.ticket().is_none_or(|ticket| !tickets.contains(&ticket)));
            }
            other => return Some(other),
        }
        None
    }

    fn is_busy(&self) -> bool {
        !self.queue.is_empty()
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.next
    }

    fn may_be_late(&self) -> bool {
        true
    }

    /// Looks at those that may be too large, as long as there are any.
    fn due(&mut self, cx: &mut Cx<'_>) {
        let mut limited = cx.arbiter.watchers().filter(|watcher| is_limited(watcher));
        let any = limited.any(|watcher| watcher.processes().next().is_some());
        self.next = any.then(|| cx.now + INTERVAL);
        if any {
            // If there are too many other looks, the next one will do.
            let _ = self.begin(Purpose::Limits, cx);
        }
    }

    fn spawned(&mut self, job: &Job, _: Option<Pid>, cx: &mut Cx<'_>) {
        if job.config.options.max_rss > 0 {
            self.next.get_or_insert(cx.now + INTERVAL);
        }
    }

    fn changed(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        if cx.arbiter.watcher(watcher).is_some_and(is_limited) {
            self.next.get_or_insert(cx.now + INTERVAL);
        }
    }

    /// Goes on with the surveys for a moment, one after the other.
    fn work(&mut self, cx: &mut Cx<'_>) -> bool {
        let until = Instant::now() + SLICE;
        while let Some(mut look) = self.queue.pop_front() {
            match self.go_on(&mut look, until, cx) {
                true => cx.effect(look.seen()),
                false => self.queue.push_back(look),
            }
            if Instant::now() >= until {
                break;
            }
        }
        false
    }
}
