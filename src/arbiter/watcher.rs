//! A watcher: one command and its processes, and the way from what is wanted to what is.
//!
//! Orders set the [`Goal`]; events say what happened; `reconcile` compares the two and acts. It is called
//! after everything that touches the watcher and may be called at any time: it does nothing when nothing is to be
//! done. At most one spawn is under way for a watcher, so that a stop can always overtake a start.

use super::demand::Demand;
use super::process::{Fate, Phase, Process, Remnant};
use super::random::Random;
use super::reload::Reload;
use super::request::{Reply, Ticket};
use super::respawn::{Chain, LONGEST_DELAY, Retry};
use super::time::Time;
use super::waiters::Waiter;
use super::{Action, Level, Pid, Published, WatcherId};
use crate::config::WatcherConfig;
use crate::sorted::{Sorted, sort_by};

/// What the last order wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// It shall run.
    Up,
    /// It shall not run.
    Down,
    /// It shall stop and be forgotten.
    Gone,
}

/// What a watcher is doing; the words of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing runs.
    Stopped,
    /// Its first processes are being spawned.
    Starting,
    /// It runs; processes that end are replaced.
    Active,
    /// Its processes were asked to end.
    Stopping,
}

impl Status {
    /// Circus's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Status::Stopped => "stopped",
            Status::Starting => "starting",
            Status::Active => "active",
            Status::Stopping => "stopping",
        }
    }
}

/// A spawn under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spawning {
    pub(super) wid: u32,
    pub(super) chain: Chain,
    /// The process that ends when this one runs, because it is too old.
    pub(super) replaces: Option<u32>,
}

/// One watcher.
#[derive(Debug)]
pub struct Watcher {
    /// Its number, which is never used again.
    pub id: WatcherId,
    /// Its options.
    pub config: WatcherConfig,
    pub(super) goal: Goal,
    /// It stands in the queue of watchers that are to be started.
    pub(super) queued: bool,
    pub(super) status: Status,
    pub(super) processes: Sorted<u32, Process>,
    /// How many of them are in [`Phase::Running`].
    pub(super) running: usize,
    /// How many of them hold a slot.
    pub(super) held: usize,
    pub(super) spawning: Option<Spawning>,
    /// Slots that wait for their next attempt.
    pub(super) retries: Vec<Retry>,
    /// Slots that stay empty, since respawn is off.
    pub(super) unreplaced: usize,
    /// Processes that are too old and wait for their successor.
    pub(super) replacing: Vec<u32>,
    pub(super) remnants: Vec<Remnant>,
    last_spawn: Option<Time>,
    pub(super) generation: u32,
    /// No number below this is free.
    lowest_wid: u32,
    pub(super) reload: Option<Reload>,
    /// Another reload (sequential or not) was asked for meanwhile.
    pub(super) next_reload: Option<bool>,
    pub(super) reload_failure: Option<String>,
    pub(super) demand: Demand,
    /// Why it stopped by itself.
    pub(super) reason: Option<String>,
    pub(super) waiters: Vec<Waiter>,
    /// When it next has something to do by itself; found anew when stale.
    next: Option<Time>,
    stale: bool,
}

/// What a watcher may use while it handles something.
pub(super) struct Ctx<'a> {
    pub(super) now: Time,
    pub(super) actions: &'a mut Vec<Action>,
    pub(super) pids: &'a mut Sorted<Pid, (WatcherId, u32)>,
    pub(super) random: &'a mut Random,
    /// Replies of this watcher to what it was asked.
    pub(super) done: Vec<(Ticket, Reply)>,
}

impl Ctx<'_> {
    pub(super) fn log(&mut self, level: Level, text: String) {
        self.actions.push(Action::Log { level, text });
    }

    pub(super) fn publish(&mut self, watcher: &str, what: Published) {
        self.actions.push(Action::Publish { watcher: watcher.to_owned(), what });
    }

    pub(super) fn signal(&mut self, pid: Pid, signum: i32) {
        self.actions.push(Action::Signal { pid, signum, whom: super::Whom::Process });
    }
}

impl Watcher {
    pub(super) fn new(id: WatcherId, config: WatcherConfig) -> Watcher {
        // Here the memory of all watchers lies together, and what a start takes for a moment can be given back.
        let processes = Sorted::with_capacity(config.wanted().min(16));
        Watcher {
            id,
            config,
            goal: Goal::Down,
            queued: false,
            status: Status::Stopped,
            processes,
            running: 0,
            held: 0,
            spawning: None,
            retries: Vec::new(),
            unreplaced: 0,
            replacing: Vec::new(),
            remnants: Vec::new(),
            last_spawn: None,
            generation: 0,
            lowest_wid: 1,
            reload: None,
            next_reload: None,
            reload_failure: None,
            demand: Demand::default(),
            reason: None,
            waiters: Vec::new(),
            next: None,
            stale: false,
        }
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Why it does not run as it should: it has stopped by itself, or waits before it tries again.
    pub fn failure(&self) -> Option<String> {
        if self.status == Status::Stopped || self.status == Status::Stopping {
            return self.reason.clone();
        }
        let worst = self.retries.iter().map(|retry| retry.chain).max_by_key(|chain| chain.bad)?;
        Some(worst.words())
    }

    /// Its processes, by wid, those on their way out included.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.processes.values()
    }

    /// The pids of its processes, by wid.
    pub fn pids(&self) -> Vec<Pid> {
        self.processes.values().map(|p| p.pid).collect()
    }

    /// The process whose place the spawn under way takes while it still runs, by wid.
    pub fn replaces(&self) -> Option<u32> {
        self.spawning?.replaces
    }

    /// How many processes it is to have at the moment. None when it has stopped for good; places that stay empty
    /// do not count.
    pub fn places(&self) -> usize {
        let rests = self.status == Status::Stopped && self.goal != Goal::Up && !self.queued;
        if rests { 0 } else { self.config.wanted().saturating_sub(self.unreplaced) }
    }

    /// The wid of a process that runs and was not asked to end.
    pub(super) fn running_wid(&self, pid: Pid) -> Option<u32> {
        self.processes.values().find(|p| p.pid == pid && p.phase == Phase::Running).map(|p| p.wid)
    }

    /// The pids of the processes that run, oldest first.
    pub(super) fn oldest_first(&self) -> Vec<Pid> {
        let mut running: Vec<_> = self.processes.values().filter(|p| p.phase == Phase::Running).collect();
        sort_by(&mut running, |a, b| (a.started, a.pid) < (b.started, b.pid));
        running.iter().map(|p| p.pid).collect()
    }

    /// Compares what is wanted with what is, and acts.
    pub(super) fn reconcile(&mut self, ctx: &mut Ctx) {
        loop {
            let before = self.status;
            match self.status {
                Status::Stopped => self.reconcile_stopped(ctx),
                Status::Starting => self.reconcile_starting(ctx),
                Status::Active => self.reconcile_active(ctx),
                Status::Stopping => self.reconcile_stopping(ctx),
            }
            if self.status == before {
                break;
            }
        }
        self.answer_waiters(ctx);
        self.stale = true;
    }

    fn reconcile_stopped(&mut self, ctx: &mut Ctx) {
        if self.goal != Goal::Up {
            self.look_away(ctx);
        } else if self.may_start(ctx) {
            self.status = Status::Starting;
            self.generation += 1;
            self.reason = None;
        }
    }

    fn reconcile_starting(&mut self, ctx: &mut Ctx) {
        if self.goal != Goal::Up {
            self.begin_stop(ctx);
            return;
        }
        if self.config.wanted() == 0 && self.processes.is_empty() {
            let name = &self.config.name;
            ctx.log(Level::Warning, format!("{name}: numprocesses is 0, there is nothing to start"));
            self.goal = Goal::Down;
            self.begin_stop(ctx);
            return;
        }
        self.trim(ctx);
        self.fill(ctx);
        // As in Circus, warmup_delay lies behind the last process, too: so watchers are started at intervals.
        if self.is_complete() && self.gate_is_open(ctx.now) {
            self.status = Status::Active;
            ctx.publish(&self.config.name, Published::Start);
            ctx.log(Level::Info, format!("{} started", self.config.name));
        }
    }

    fn reconcile_active(&mut self, ctx: &mut Ctx) {
        if self.goal != Goal::Up {
            self.begin_stop(ctx);
            return;
        }
        self.step_reload(ctx);
        self.trim(ctx);
        self.fill(ctx);
        // nothing is to be replaced, and the last of its processes is gone
        if self.unreplaced > 0
            && self.processes.is_empty()
            && self.spawning.is_none()
            && self.retries.is_empty()
        {
            self.goal = if self.config.options.on_demand { Goal::Up } else { Goal::Down };
            self.begin_stop(ctx);
        }
    }

    fn reconcile_stopping(&mut self, ctx: &mut Ctx) {
        let waits_for_group = self.remnants.iter().any(|r| r.fate != Fate::Left);
        if !self.processes.is_empty() || self.spawning.is_some() || waits_for_group {
            return;
        }
        self.status = Status::Stopped;
        ctx.publish(&self.config.name, Published::Stop);
        ctx.log(Level::Info, format!("{} stopped", self.config.name));
        self.answer_waiters(ctx);
    }

    /// Asks everything to end and forgets what was planned.
    pub(super) fn begin_stop(&mut self, ctx: &mut Ctx) {
        self.status = Status::Stopping;
        self.retries.clear();
        self.unreplaced = 0;
        self.replacing.clear();
        self.reload = None;
        self.next_reload = None;
        let running: Vec<u32> =
            self.processes.values().filter(|p| p.phase == Phase::Running).map(|p| p.wid).collect();
        for wid in running {
            self.ask_to_end(wid, ctx);
        }
        self.ask_remnants(ctx);
    }

    /// Every slot has had its process.
    fn is_complete(&self) -> bool {
        let failing = self.retries.iter().any(|r| r.chain.failures > 0);
        self.missing() == 0 && self.spawning.is_none() && !failing
    }

    /// How many processes are still to be spawned, apart from slots that wait and slots that stay empty.
    pub(super) fn missing(&self) -> usize {
        self.config.wanted().saturating_sub(self.occupied() + usize::from(self.spawning.is_some()))
    }

    /// How many slots have a process, wait for one, or stay empty.
    pub(super) fn occupied(&self) -> usize {
        self.held + self.retries.len() + self.unreplaced
    }

    /// When warmup_delay lets the next process be spawned.
    fn gate(&self) -> Time {
        self.last_spawn.map_or(Time(0), |t| t.plus(self.config.options.warmup_delay))
    }

    pub(super) fn gate_is_open(&self, now: Time) -> bool {
        self.gate() <= now
    }

    /// Begins the next spawn that is due, if any.
    fn fill(&mut self, ctx: &mut Ctx) {
        if self.spawning.is_some() {
            return;
        }
        if let Some(Reload::Spawning { left }) = &mut self.reload {
            // warmup_delay does not hold within a reload
            if let Some(rest) = left.checked_sub(1) {
                *left = rest;
                self.spawn(Chain::default(), None, ctx);
            }
            return;
        }
        if !self.gate_is_open(ctx.now) {
            return;
        }
        if let Some(old) = self.replacing.pop() {
            self.spawn(Chain::default(), Some(old), ctx);
        } else if let Some(n) = self.retries.iter().position(|r| r.at <= ctx.now) {
            let retry = self.retries.swap_remove(n);
            self.spawn(retry.chain, None, ctx);
        } else if self.missing() > 0 {
            self.spawn(self.first_chain(), None, ctx);
        }
    }

    fn spawn(&mut self, chain: Chain, replaces: Option<u32>, ctx: &mut Ctx) {
        let wid = (self.lowest_wid..).find(|wid| !self.processes.contains_key(wid)).unwrap_or(u32::MAX);
        self.lowest_wid = wid;
        self.spawning = Some(Spawning { wid, chain, replaces });
        self.last_spawn = Some(ctx.now);
        ctx.actions.push(Action::Spawn { watcher: self.id, wid });
    }

    /// The spawn under way has given a process.
    pub(super) fn spawned(&mut self, pid: Pid, ctx: &mut Ctx) {
        let Some(spawning) = self.spawning.take() else { return };
        let wid = spawning.wid;
        let process = Process {
            wid,
            pid,
            started: ctx.now,
            generation: self.generation,
            phase: Phase::Running,
            holds_slot: true,
            chain: spawning.chain,
            expires: self.expiry(ctx),
        };
        self.processes.insert(wid, process);
        self.running += 1;
        self.held += 1;
        ctx.pids.insert(pid, (self.id, wid));
        ctx.publish(&self.config.name, Published::Spawn { pid });
        if self.goal != Goal::Up || self.status == Status::Stopping {
            self.ask_to_end(wid, ctx);
        } else if let Some(old) = spawning.replaces {
            self.dismiss(old, ctx);
        }
    }

    fn expiry(&self, ctx: &mut Ctx) -> Option<Time> {
        let age = self.config.options.max_age;
        let variance = u64::try_from(self.config.options.max_age_variance).unwrap_or(0);
        (age > 0).then(|| ctx.now.plus(age as f64 + ctx.random.up_to(variance) as f64))
    }

    /// The spawn under way has failed.
    pub(super) fn spawn_failed(&mut self, reason: &str, ctx: &mut Ctx) {
        let Some(spawning) = self.spawning.take() else { return };
        let chain = spawning.chain.after_failure();
        let name = &self.config.name;
        ctx.log(Level::Warning, format!("error in '{name}': {reason}"));
        if self.status == Status::Stopping || self.goal != Goal::Up {
            return;
        }
        if let Some(old) = spawning.replaces {
            // the old process stays, and is too old again a little later
            let again = ctx.now.plus(LONGEST_DELAY);
            if let Some(process) = self.processes.get_mut(&old) {
                process.expires = Some(again);
            }
            return;
        }
        if self.reload_cannot_go_on(reason, ctx) {
            return;
        }
        let tries = u32::try_from(self.config.options.max_retry).ok();
        if tries.is_some_and(|most| chain.failures >= most.max(1)) && self.processes.is_empty() {
            let (name, failed) = (&self.config.name, chain.failures);
            let plural = if failed == 1 { "" } else { "s" };
            ctx.log(Level::Error, format!("{name}: given up after {failed} failed start{plural}: {reason}"));
            self.reason = Some(reason.to_owned());
            self.goal = Goal::Down;
            self.begin_stop(ctx);
        } else {
            let delay = chain.delay().max(self.config.options.retry_in);
            self.retries.push(Retry { at: ctx.now.plus(delay), chain });
        }
    }

    /// Takes a process out of the table.
    pub(super) fn forget_process(&mut self, wid: u32, ctx: &mut Ctx) -> Option<Process> {
        let process = self.processes.remove(&wid)?;
        self.lowest_wid = self.lowest_wid.min(wid);
        self.held -= usize::from(process.holds_slot);
        ctx.pids.remove(&process.pid);
        self.note_gone(process.pid);
        Some(process)
    }

    /// Decides about the slot of a process that ended by itself.
    pub(super) fn decide_respawn(&mut self, process: &Process, ctx: &mut Ctx) {
        let being_replaced = self.reload.is_some() && process.generation < self.generation;
        if self.goal != Goal::Up || self.status == Status::Stopping || being_replaced {
            return;
        }
        if self.config.options.on_demand {
            self.note_for_demand(process, ctx);
            self.unreplaced += 1;
        } else if !self.config.options.respawn {
            self.unreplaced += 1;
        } else if let Some(chain) = process.chain.after_exit(ctx.now.since(process.started)) {
            if matches!(self.reload, Some(Reload::OneByOne { .. })) {
                // The next ones would fare no better: the old processes that are left stay.
                self.reload_cannot_go_on("a new process ended at once", ctx);
            }
            self.retries.push(Retry { at: ctx.now.plus(chain.delay()), chain });
        }
    }

    /// When it next has something to do by itself.
    pub(super) fn deadline(&mut self) -> Option<Time> {
        if std::mem::take(&mut self.stale) {
            self.next = self.find_deadline();
        }
        self.next
    }

    fn find_deadline(&self) -> Option<Time> {
        let of_processes = self.processes.values().filter_map(|p| match p.phase {
            Phase::Running => p.expires.filter(|_| self.status == Status::Active && self.reload.is_none()),
            Phase::Asked { kill_at, .. } => Some(kill_at),
            Phase::Killed | Phase::Dead { .. } => None,
        });
        let of_remnants = self.remnants.iter().filter_map(|r| match r.fate {
            Fate::Left => None,
            Fate::Asked(at) | Fate::Killed(at) => Some(at),
        });
        of_processes.chain(of_remnants).chain(self.spawn_deadline()).chain(self.demand_deadline()).min()
    }

    /// When the next spawn, the next step of a sequential reload, or the end of the start is due.
    fn spawn_deadline(&self) -> Option<Time> {
        if self.spawning.is_some() || !matches!(self.status, Status::Starting | Status::Active) {
            return None;
        }
        let gate = self.gate();
        let retry = self.retries.iter().map(|r| r.at.max(gate)).min();
        let next_of_reload =
            matches!(self.reload, Some(Reload::OneByOne { current: None, .. })) && self.retries.is_empty();
        let ends_start = self.status == Status::Starting && self.is_complete();
        let fresh = self.missing() > 0 || !self.replacing.is_empty() || next_of_reload || ends_start;
        retry.into_iter().chain(fresh.then_some(gate)).min()
    }
}
