//! How a watcher comes to its processes: one spawn at a time, each with its number, its pause and its hooks.
//!
//! A spawn goes through up to three steps: before_spawn is asked, the process is made, after_spawn is asked about it.
//! While it is under way, no other one begins.

use super::context::{Cx, Known};
use super::history::Cause;
use super::hooks::{About, Then};
use super::process::{Exit, Fate, NotRun, Process, Remnant};
use super::reload::Reload;
use super::respawn::{Backoff, Chain, Failure, Retry};
use super::run::{Next, Slot};
use super::time::Time;
use super::watcher::{Goal, Status, Watcher};
use super::{Action, Level, Pid, Published};
use crate::config::hooks::Hook;
use crate::config::options::RESPAWN_DELAY_MAX;

/// A spawn under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spawning {
    pub(super) wid: u32,
    pub(super) chain: Chain,
    /// The process that ends when this one runs, because it is too old.
    pub(super) replaces: Option<u32>,
    /// It is of the generation before, while the new one is on trial.
    pub(super) old: bool,
    /// Its generation was given up meanwhile.
    pub(super) unwanted: bool,
}

impl Watcher {
    /// A singleton of which something is left, be it on its way out: whatever is to be spawned waits for its end.
    fn is_taken(&self) -> bool {
        let ends = |remnant: &Remnant| remnant.fate != Fate::Left;
        let is_left = || !self.left.survivors.is_empty() || self.left.remnants.iter().any(ends);
        self.config.options.singleton && (!self.processes.is_empty() || is_left())
    }

    /// Whether the process of the spawn under way is there, and after_spawn is being asked whether it stays.
    pub(super) fn is_confirming(&self) -> bool {
        self.spawns.under_way.is_some_and(|spawning| self.processes.get(spawning.wid).is_some())
    }

    /// Every slot has had its process, and all of them are ready.
    pub(super) fn is_complete(&self) -> bool {
        self.missing() == 0
            && self.spawns.under_way.is_none()
            && !self.run().is_failing()
            && self.are_ready(&|_| true)
    }

    /// How many processes are still to be spawned, apart from slots that wait and slots that stay empty. Each process
    /// that SIGKILL did not end gets a successor, but what makes them so must not pile them up.
    pub(super) fn missing(&self) -> usize {
        if self.is_taken() {
            return 0;
        }
        let to_come = self.spawns.under_way.is_some() && !self.is_confirming();
        let wanted = self.config.wanted();
        let too_many = self.left.survivors.len().saturating_sub(wanted);
        wanted.saturating_sub(self.occupied() + usize::from(to_come) + too_many)
    }

    /// How many slots have a process, wait for one, or stay empty.
    pub(super) fn occupied(&self) -> usize {
        self.processes.holding() + self.run().slots.len()
    }

    /// When warmup_delay lets the next process be spawned.
    pub(super) fn gate(&self) -> Time {
        self.spawns.last.map_or(Time(0), |t| t.plus(self.config.options.warmup_delay))
    }

    pub(super) fn gate_is_open(&self, now: Time) -> bool {
        self.gate() <= now
    }

    /// Begins the next spawn that is due, if any.
    pub(super) fn fill(&mut self, cx: &mut Cx) {
        if self.spawns.under_way.is_some() || !self.is_up() {
            return;
        }
        let (is_taken, gate_is_open) = (self.is_taken(), self.gate_is_open(cx.now));
        if self.has_two_generations() {
            return self.fill_two_generations(cx);
        }
        if is_taken {
            // No successor can come first, as it was meant before this became a singleton.
            let replacing = self.held_run().map(|run| std::mem::take(&mut run.replacing));
            for old in replacing.unwrap_or_default() {
                self.ask_to_end(old, cx);
            }
            return;
        }
        if !gate_is_open {
            return;
        }
        if let Some(old) = self.held_run().and_then(|run| run.replacing.pop()) {
            self.spawn(Chain::default(), Some(old), cx);
        } else if let Some(retry) = self.held_run().and_then(|run| run.take_due(cx.now, |_| true)) {
            self.spawn_again(retry, cx);
        } else if self.missing() > 0 {
            self.spawn(self.first_chain(), None, cx);
        }
    }

    /// The new processes are made first, without warmup_delay; then old ones that have ended meanwhile are replaced.
    fn fill_two_generations(&mut self, cx: &mut Cx) {
        let (has_room, gate_is_open) = (self.has_room(), self.gate_is_open(cx.now));
        let Some(run) = self.run_mut() else { return };
        match &mut run.reload {
            Some(Reload::Spawning { left }) if *left > 0 && has_room => {
                *left -= 1;
                self.spawn(Chain::default(), None, cx);
            }
            _ if gate_is_open => {
                if let Some(retry) = run.take_due(cx.now, Slot::is_old) {
                    self.spawn_again(retry, cx);
                }
            }
            _ => {}
        }
    }

    fn spawn(&mut self, chain: Chain, replaces: Option<u32>, cx: &mut Cx) {
        let wid = self.processes.free_wid();
        self.begin_spawn(Spawning { wid, chain, replaces, old: false, unwanted: false }, cx);
    }

    fn spawn_again(&mut self, Retry { chain, old, .. }: Retry, cx: &mut Cx) {
        let wid = self.processes.free_wid();
        self.begin_spawn(Spawning { wid, chain, replaces: None, old, unwanted: false }, cx);
    }

    fn begin_spawn(&mut self, spawning: Spawning, cx: &mut Cx) {
        self.spawns.under_way = Some(spawning);
        if !self.call(Hook::BeforeSpawn, About::default(), Then::Spawn, cx) {
            self.make(cx);
        }
    }

    /// Makes the process, which nothing holds back.
    pub(super) fn make(&mut self, cx: &mut Cx) {
        if self.is_taken() {
            // It has become a singleton while a hook was asked.
            let old = self.spawns.under_way.take().and_then(|spawning| spawning.replaces);
            return old.into_iter().for_each(|old| self.postpone(old, cx));
        }
        let Some(Spawning { wid, old, unwanted, .. }) = self.spawns.under_way else { return };
        if unwanted {
            self.spawns.under_way = None;
            return;
        }
        if std::mem::replace(&mut self.spawns.by_old, old) != old {
            cx.act(Action::Changed(self.id)); // other options make this one
        }
        self.spawns.last = Some(cx.now);
        cx.act(Action::Spawn { watcher: self.id, wid });
    }

    /// The spawn under way has given a process.
    pub(super) fn spawned(&mut self, pid: Pid, cx: &mut Cx) {
        let Some(Spawning { wid, chain, old, unwanted, .. }) = self.spawns.under_way else { return };
        let mut process = Process::new(wid, pid, cx.now);
        let generation = self.spawns.generation - u32::from(old);
        (process.generation, process.followers) = (generation, self.followers());
        let (expires, liveness) = (self.expiry(cx), self.first_liveness(wid, pid, cx.now));
        if chain != Chain::NONE || expires.is_some() || liveness.is_some() {
            let more = &mut *process.more;
            (more.chain, more.expires, more.liveness) = (chain, expires, liveness);
        }
        self.processes.insert(process);
        let others_fail = self.run().retries().any(|retry| retry.chain.failures > 0);
        if chain.failures > 0 && chain.last == Failure::Exec && !others_fail {
            let (name, failed) = (&self.config.name, chain.failures);
            cx.log(Level::Info, format!("'{name}' could be executed again, after {failed} failed starts"));
        }
        cx.pids.insert(pid, Known::Process(self.id, wid));
        if self.goal != Goal::Up || self.status() == Status::Stopping {
            self.end_spawn(cx);
            if !self.spares_processes() {
                self.ask_to_end(wid, cx);
            }
            return;
        }
        if unwanted {
            self.end_spawn(cx);
            return self.dismiss(wid, cx);
        }
        if !self.call(Hook::AfterSpawn, About::of(pid), Then::Keep, cx) {
            self.settle(cx);
        }
    }

    /// The new process stays.
    pub(super) fn settle(&mut self, cx: &mut Cx) {
        if let Some(Spawning { wid, replaces: Some(old), .. }) = self.end_spawn(cx) {
            self.succeed(wid, old, cx);
        }
    }

    /// The spawn under way is over. If it gave a process, subscribers hear of it now, as in Circus: when after_spawn
    /// has answered, or need not any more.
    pub(super) fn end_spawn(&mut self, cx: &mut Cx) -> Option<Spawning> {
        let spawning = self.spawns.under_way.take()?;
        if let Some(process) = self.processes.get(spawning.wid) {
            cx.publish(&self.config.name, Published::Spawn { pid: process.pid });
        }
        Some(spawning)
    }

    /// The process is about to end, or has ended: what after_spawn has to say about it is not needed any more.
    pub(super) fn end_spawn_of(&mut self, wid: u32, cx: &mut Cx) {
        if !self.is_confirming() || self.spawns.under_way.is_none_or(|spawning| spawning.wid != wid) {
            return;
        }
        self.cancel_hooks(&|then| then == Then::Keep, cx);
        if let Some(Spawning { replaces: Some(old), .. }) = self.end_spawn(cx) {
            self.postpone(old, cx);
        }
    }

    /// A process that is too old stays, since it could not be replaced, and is too old again a little later.
    pub(super) fn postpone(&mut self, old: u32, cx: &mut Cx) {
        if let Some(process) = self.processes.get_mut(old) {
            process.more.expires = Some(cx.now.plus(RESPAWN_DELAY_MAX));
        }
    }

    /// The spawn under way has failed. What the machine is short of for a while uses up no max_retry.
    pub(super) fn spawn_failed(&mut self, failed: &NotRun, cx: &mut Cx) {
        let Some(spawning) = self.spawns.under_way.take() else { return };
        self.note_failure(&failed.reason, cx);
        if spawning.unwanted || !self.is_up() || self.goal != Goal::Up {
            return;
        }
        if let Some(old) = spawning.replaces {
            return self.postpone(old, cx);
        }
        let chain = spawning.chain.after_failure(Failure::Exec, failed.shortage);
        if spawning.old && self.has_two_generations() {
            let at = cx.now.plus(Backoff::of(&self.config).delay(chain, &mut cx.random));
            return self.free(Next::Later(Retry { at, chain, old: true }));
        }
        let next = self.try_again(chain, failed, None, cx);
        self.free(next);
    }

    /// Decides about the slot of a process that ended by itself.
    pub(super) fn decide_respawn(&mut self, process: &Process, cx: &mut Cx) -> Next {
        let being_replaced = self.run().reload.is_some() && process.generation < self.spawns.generation;
        if self.goal != Goal::Up || !self.is_up() {
            return Next::Nobody;
        }
        if being_replaced {
            return Next::AtOnce;
        }
        if let Some(chain) = process.after_growth() {
            return self.later(chain, cx);
        }
        let Some(exit) = process.exit() else { return Next::Nobody };
        let fails = self.fails_trial(process, exit, cx.now);
        let is_told = fails.is_some();
        if fails.is_some_and(|reason| self.reload_cannot_go_on(&reason, cx)) {
            return Next::Nobody;
        }
        let backoff = Backoff::of(&self.config);
        if self.config.options.on_demand {
            self.note_for_demand(process, cx);
        }
        if let Some(not_run) = &process.more.not_run {
            let chain = process.more.chain.after_failure(Failure::Held, not_run.shortage);
            self.try_again(chain, not_run, None, cx)
        } else if !self.replaces_after(exit, process.ailment(), process.is_ready()) {
            self.leave_empty(process, exit);
            Next::Nobody
        } else if !process.is_ready() || self.begins_in_vain(cx.now.since(process.started), &backoff) {
            self.start_failed(process, exit, cx)
        } else if let Some(chain) = process.more.chain.after_exit(cx.now.since(process.started), &backoff) {
            if !is_told && matches!(self.run().reload, Some(Reload::OneByOne { .. })) {
                // The next ones would fare no better: the old processes that are left stay.
                self.reload_cannot_go_on("a new process exited at once", cx);
            }
            self.later(chain, cx)
        } else {
            Next::AtOnce
        }
    }

    /// The slot is filled after a pause.
    pub(super) fn later(&self, chain: Chain, cx: &mut Cx) -> Next {
        let delay = Backoff::of(&self.config).delay(chain, &mut cx.random);
        Next::Later(Retry { at: cx.now.plus(delay), chain, old: false })
    }

    /// Whether a process that has lived for so many seconds counts as a start that failed: a plugin in Python that ends
    /// at once, most likely because its class cannot be imported, will not fare better for ever.
    fn begins_in_vain(&self, lived: f64, backoff: &Backoff) -> bool {
        self.config.is_python_class() && lived < backoff.stable
    }

    /// A process could not be executed. A failure that lasts is logged once.
    pub(super) fn note_failure(&mut self, reason: &str, cx: &mut Cx) {
        let is_new = self.history.note_failure(cx.now, reason);
        let name = &self.config.name;
        let level = if is_new { Level::Warning } else { Level::Debug };
        cx.log(level, format!("error in '{name}': {reason}"));
    }

    /// A process has ended before it was ready, or was ended since it was late.
    pub(super) fn start_failed(&mut self, process: &Process, exit: Exit, cx: &mut Cx) -> Next {
        let (why, reason) = match process.ailment() {
            Some(_) => (Failure::Late, format!("a process was not ready in time{}", process.last_failure())),
            None if process.is_ready() => {
                (Failure::Ended, format!("it {} soon after its start", exit.words()))
            }
            None => (Failure::Ended, format!("a process {} before it was ready", exit.words())),
        };
        let because = if process.is_ready() { Cause::Ended } else { Cause::Unready };
        let failed = NotRun { reason: reason.into(), shortage: false };
        self.try_again(process.more.chain.after_failure(why, false), &failed, Some(because), cx)
    }

    /// A start has failed: plans the next attempt, or gives up, `because` of that. A reload that needs it ends.
    fn try_again(&mut self, chain: Chain, failed: &NotRun, because: Option<Cause>, cx: &mut Cx) -> Next {
        let NotRun { reason, shortage } = failed;
        if self.reload_cannot_go_on(reason, cx) {
            return Next::Nobody;
        }
        let tries = u32::try_from(self.config.options.max_retry).ok();
        if !shortage && tries.is_some_and(|most| chain.charged >= most.max(1)) && self.processes.is_empty() {
            let (name, failed) = (&self.config.name, chain.failures);
            let plural = if failed == 1 { "" } else { "s" };
            let text = format!("given up after {failed} failed start{plural}: {reason}");
            cx.log(Level::Error, format!("{name}: {text}"));
            cx.outcome.over = Some((text, None));
            self.fail(reason.to_string());
            cx.outcome.because = because.or(cx.outcome.because.take());
            self.begin_stop(cx);
            Next::Nobody
        } else {
            let delay =
                Backoff::of(&self.config).delay(chain, &mut cx.random).max(self.config.options.retry_in);
            Next::Later(Retry { at: cx.now.plus(delay), chain, old: false })
        }
    }

    /// When the next spawn, the next step of a sequential reload, or the end of the start is due.
    pub(super) fn spawn_deadline(&self) -> Option<Time> {
        let run = self.run();
        if self.spawns.under_way.is_some() || !self.is_up() || self.waits_for(Then::Begin) {
            return None;
        }
        let gate = self.gate();
        if self.has_two_generations() {
            // There is no pause between the new processes; then they are on trial.
            let old = run.retries().filter(|retry| retry.old).map(|retry| retry.at.max(gate));
            let decides = match run.reload {
                Some(Reload::Spawning { left }) => self.decides_at(left),
                _ => None,
            };
            return old.chain(decides).min();
        }
        let retry = run.retries().map(|retry| retry.at.max(gate)).min().filter(|_| !self.is_taken());
        let one_by_one = matches!(run.reload, Some(Reload::OneByOne { current: None, .. }));
        let next_of_reload = self.goes_on_at().filter(|_| one_by_one).map(|at| at.max(gate));
        let ends_start =
            self.status() == Status::Starting && self.is_complete() && !self.waits_for(Then::Activate);
        let fresh = self.missing() > 0 || !run.replacing.is_empty() || ends_start;
        [retry, next_of_reload, fresh.then_some(gate)].into_iter().flatten().min()
    }
}
