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

/// One process in an answer to `stats --extended`.
#[derive(Clone, Copy, Debug)]
pub struct StatsOf {
    ticket: Ticket,
    watcher: WatcherId,
    pid: Pid,
}

impl StatsOf {
    pub(super) fn watcher(&self) -> WatcherId {
        self.watcher
    }
}

/// An answer to `stats --extended` on its way.
pub(super) struct Extended {
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
        if self.queue.waiting() + pids.len() > MOST_WAITING {
            let reason = "too many hooks wait for their turn; try again later".into();
            return cx.effect(Effect::Answer(ticket, Err(Refusal { errno: Errno::Conflict, reason })));
        }
        // `as` saturates: a negative number becomes 0.
        let timeout = Duration::from_millis((watcher.config.options.hook_timeout * 1e3) as u64);
        let deadline = cx.now.checked_add(timeout);
        self.extended.insert(ticket, Extended { answer, left: pids.len(), failure: None });
        for pid in pids {
            self.add(Purpose::Stats(StatsOf { ticket, watcher: watcher.id, pid }), deadline);
        }
    }

    /// The program that extends the statistics of one process.
    pub(super) fn stats_program(&self, of: &StatsOf, cx: &Cx<'_>) -> Result<Program, String> {
        let extended = self.extended.get(&of.ticket).ok_or("nobody waits for it")?;
        let stats = extended.answer.get("info").ok_or("there are no statistics")?;
        let stats = stats.get(of.pid.to_string()).unwrap_or(stats);
        let about = About { pid: Some(of.pid), ..About::default() };
        hooks::program(of.watcher, Hook::ExtendedStats, &about, Some(stats), cx)
    }

    /// extended_stats has ended for one process; the last one completes the answer.
    pub(super) fn stats_ended(&mut self, of: StatsOf, outcome: &Outcome, cx: &mut Cx<'_>) {
        let config = cx.arbiter.watcher(of.watcher).map(|watcher| &watcher.config);
        let lenient = config.and_then(|c| c.hooks.get(Hook::ExtendedStats.name())).is_none_or(|hook| hook.1);
        let more = more_stats(outcome);
        if let (Err(why), Some(config)) = (&more, config) {
            cx.log.error(format_args!("{}: Hook 'extended_stats' failed: {why}", config.name));
        }
        let Some(extended) = self.extended.get_mut(&of.ticket) else { return };
        match more {
            Ok(more) => extended.merge(of.pid, more),
            Err(_) if lenient => {}
            Err(why) => extended.failure = Some(format!("the hook extended_stats failed: {why}")),
        }
        extended.left -= 1;
        if extended.left > 0 {
            return;
        }
        let Some(Extended { answer, failure, .. }) = self.extended.remove(&of.ticket) else { return };
        let answer = match failure {
            None => Ok(answer),
            Some(reason) => Err(Refusal { errno: Errno::Conflict, reason }),
        };
        cx.effect(Effect::Answer(of.ticket, answer));
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
        for (key, value) in more {
            info.insert(key, value);
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
