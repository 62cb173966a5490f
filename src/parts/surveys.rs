//! The looks at processes that are under way. One goes on for a moment in each turn of the loop, nobody else waits for it,
//! and its answer comes when it is complete.

use crate::arbiter::request::{Errno, Ticket};
use crate::control::Refusal;
use crate::reactor::part::{Cx, Effect, Part};
use crate::views::samples::Samples;
use crate::views::survey::Survey;
use crate::views::tally::{Purpose, Tally};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long surveys may go on in a turn.
const SLICE: Duration = Duration::from_millis(4);
/// How many surveys may be under way.
const MOST: usize = 64;

/// A look that is under way.
enum Look {
    /// For `stats` or `dstats`.
    Survey(Ticket, Survey),
    /// For the details of `status`, or for metrics.
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
            Err(Purpose::Page(_)) => return Ok(()),
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
                Purpose::Page(_) => None,
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
                // Who reads it comes again.
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
