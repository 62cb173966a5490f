//! `stats --extended`: the hook extended_stats adds to what is known of each process, and the answer waits for that.

use super::hooks::{self, reason};
use super::running::Outcome;
use super::{Helpers, Program, Purpose};
use crate::arbiter::hooks::About;
use crate::arbiter::process::Exit;
use crate::arbiter::request::{Errno, Ticket};
use crate::arbiter::watcher::Watcher;
use crate::arbiter::{Pid, WatcherId};
use crate::config::hooks::Hook;
use crate::control::{Map, Refusal};
use crate::reactor::part::{Cx, Effect};
use serde_json::Value as Json;
use std::time::Duration;

/// The most runs of extended_stats that wait for their turn.
const MOST_WAITING: usize = 10_000;

/// An answer to `stats --extended` on its way.
pub(super) struct Extended {
    watcher: WatcherId,
    answer: Map,
    /// How many hooks are still to end.
    left: usize,
    failure: Option<String>,
}

impl Helpers {
    /// Has the hook extended_stats add to the statistics of a watcher, or of one process of it. The answer is sent when
    /// that is done.
    pub(super) fn extend(
        &mut self,
        ticket: Ticket,
        name: &str,
        process: Option<Pid>,
        answer: Map,
        cx: &mut Cx<'_>,
    ) {
        let has_hook = |w: &&Watcher| w.config.hooks.contains_key(Hook::ExtendedStats.name());
        let watcher = cx.arbiter.find(name).filter(has_hook);
        let pids = watcher.map(|watcher| process.map_or_else(|| watcher.pids(), |pid| vec![pid]));
        let (Some(watcher), Some(pids)) = (watcher, pids.filter(|pids| !pids.is_empty())) else {
            return cx.effect(Effect::Answer(ticket, Ok(answer)));
        };
        if self.queue.iter().count() + pids.len() > MOST_WAITING {
            let reason = "too many hooks wait for their turn; try again later".into();
            return cx.effect(Effect::Answer(ticket, Err(Refusal { errno: Errno::Conflict, reason })));
        }
        // `as` saturates: a negative number becomes 0.
        let timeout = Duration::from_millis((watcher.config.options.hook_timeout * 1e3) as u64);
        let deadline = cx.now.checked_add(timeout);
        let (watcher, left) = (watcher.id, pids.len());
        self.extended.insert(ticket, Extended { watcher, answer, left, failure: None });
        for pid in pids {
            self.add(Purpose::Stats { ticket, watcher, pid }, deadline);
        }
    }

    /// The program that extends the statistics of one process.
    pub(super) fn stats_program(&self, ticket: Ticket, pid: Pid, cx: &Cx<'_>) -> Result<Program, String> {
        let extended = self.extended.get(&ticket).ok_or("nobody waits for it")?;
        let stats = extended.answer.get("info").ok_or("there are no statistics")?;
        let stats = stats.get(pid.to_string()).unwrap_or(stats);
        let about = About { pid: Some(pid), ..About::default() };
        hooks::program(extended.watcher, Hook::ExtendedStats, &about, Some(stats), cx)
    }

    /// extended_stats has ended for one process; the last one completes the answer.
    pub(super) fn stats_ended(&mut self, ticket: Ticket, pid: Pid, outcome: &Outcome, cx: &mut Cx<'_>) {
        let Some(extended) = self.extended.get_mut(&ticket) else { return };
        match more_stats(outcome) {
            Ok(more) => extended.merge(pid, more),
            Err(why) => extended.fail(&why, cx),
        }
        extended.left -= 1;
        if extended.left == 0
            && let Some(Extended { answer, failure, .. }) = self.extended.remove(&ticket)
        {
            let refusal = failure.map(|reason| Refusal { errno: Errno::Conflict, reason });
            cx.effect(Effect::Answer(ticket, refusal.map_or(Ok(answer), Err)));
        }
    }
}

impl Extended {
    fn merge(&mut self, pid: Pid, more: Map) {
        let Some(Json::Object(info)) = self.answer.get_mut("info") else { return };
        let one = pid.to_string();
        let info = match info.get_mut(&one) {
            Some(Json::Object(info)) => info,
            Some(_) => return, // it is gone
            None => info,
        };
        info.extend(more);
    }

    fn fail(&mut self, why: &str, cx: &mut Cx<'_>) {
        let Some(watcher) = cx.arbiter.watcher(self.watcher) else { return };
        let name = &watcher.config.name;
        cx.log.error(format_args!("{name}: Hook 'extended_stats' failed: {why}"));
        if watcher.config.hooks.get(Hook::ExtendedStats.name()).is_some_and(|hook| !hook.1) {
            self.failure = Some(format!("the hook extended_stats failed: {why}"));
        }
    }
}

/// What extended_stats has printed.
fn more_stats(outcome: &Outcome) -> Result<Map, String> {
    if !matches!(outcome.ended, Ok(Exit::Code(0))) {
        return Err(reason(outcome));
    }
    match serde_json::from_slice(outcome.captured()?) {
        Ok(Json::Object(more)) => Ok(more),
        Ok(_) | Err(_) => Err("it did not print a JSON object".into()),
    }
}
