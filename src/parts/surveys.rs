//! The statistics that are being collected. A survey goes on for a moment in each turn of the loop, nobody else waits for
//! it, and its answer comes when it is complete.

use crate::arbiter::request::{Errno, Question, Ticket};
use crate::control::{Map, Refusal};
use crate::reactor::part::{Cx, Effect, Part};
use crate::views::samples::Samples;
use crate::views::survey::Survey;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long surveys may go on in a turn.
const SLICE: Duration = Duration::from_millis(4);
/// How many surveys may be under way.
const MOST: usize = 64;

/// Surveys that are under way, in their turns, with the tickets of those who wait for them.
#[derive(Default)]
pub struct Surveys {
    queue: VecDeque<(Ticket, Survey)>,
    /// What `stats` saw last.
    samples: Samples,
    /// What `dstats` saw last.
    own_samples: Samples,
}

impl Surveys {
    /// Answers `stats` or `dstats`. `None`: the answer comes later.
    ///
    /// # Errors
    /// There is no such watcher or process, or too many such questions are being answered.
    fn ask(&mut self, ticket: Ticket, question: &Question, cx: &Cx<'_>) -> Result<Option<Map>, Refusal> {
        let mut survey = Survey::begin(cx.arbiter, question)?;
        // One that would have to wait for others anyway begins in its turn.
        let done = self.queue.is_empty() && self.go_on(&mut survey, Instant::now() + SLICE, cx);
        if done && survey.extends.is_none() {
            return Ok(Some(survey.answer()));
        }
        if self.queue.len() >= MOST {
            let reason = "too many statistics are being collected; try again later".into();
            return Err(Refusal { errno: Errno::Conflict, reason });
        }
        self.queue.push_back((ticket, survey));
        Ok(None)
    }

    /// Percentages are about the time since the same question was asked last.
    fn go_on(&mut self, survey: &mut Survey, until: Instant, cx: &Cx<'_>) -> bool {
        let samples = if survey.is_own() { &mut self.own_samples } else { &mut self.samples };
        survey.go_on(until, cx.time(), samples)
    }
}

impl Part for Surveys {
    fn take(&mut self, effect: Effect, cx: &mut Cx<'_>) -> Option<Effect> {
        match effect {
            Effect::Question { ticket, question, .. } => {
                let answer = self.ask(ticket, &question, cx).transpose();
                return answer.map(|answer| Effect::Answer(ticket, answer));
            }
            // Nobody waits for these any more.
            Effect::Withdrawn(tickets) => self.queue.retain(|(ticket, _)| !tickets.contains(ticket)),
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
        while let Some((ticket, mut survey)) = self.queue.pop_front() {
            if !self.go_on(&mut survey, until, cx) {
                self.queue.push_back((ticket, survey));
            } else if let Some((name, process)) = survey.extends.take() {
                cx.effect(Effect::Extend { ticket, name, process, answer: survey.answer() });
            } else {
                cx.effect(Effect::Answer(ticket, Ok(survey.answer())));
            }
            if Instant::now() >= until {
                break;
            }
        }
        false
    }
}
