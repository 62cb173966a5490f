//! A watcher: one command and its processes, and the way from what is wanted to what is.
//!
//! Orders set the [`Goal`]; events say what happened; `reconcile` compares the two and acts. It is called
//! after everything that touches the watcher and may be called at any time: it does nothing when nothing is to be
//! done. At most one spawn is under way for a watcher, so that a stop can always overtake a start.

use super::context::Cx;
use super::demand::Demand;
use super::fate::Death;
use super::history::History;
use super::hooks::{About, Call, HookId, Then};
use super::process::{Fate, Phase, Process, Remnant};
use super::relations::Ties;
use super::reload::Reload;
use super::respawn::{Backoff, Retry};
use super::spawning::{Spawning, Step};
use super::time::Time;
use super::waiters::Waiter;
use super::{Level, Pid, Published, WatcherId};
use crate::config::WatcherConfig;
use crate::config::hooks::Hook;
use crate::sorted::{Sorted, sort_by};
use std::rc::Rc;

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

/// One watcher.
#[derive(Debug)]
pub struct Watcher {
    /// Its number, which is never used again.
    pub id: WatcherId,
    /// Its options.
    pub config: Rc<WatcherConfig>,
    /// Those that last made a good generation of processes, as long as no reload has succeeded with what was set since.
    pub(super) proven: Option<Rc<WatcherConfig>>,
    /// Its options as its file had them when that was last read; the same unless a command has set one. `None`: a
    /// command has added it.
    pub(super) loaded: Option<Rc<WatcherConfig>>,
    /// How many bytes of text commands have added to its options.
    pub(super) added: usize,
    pub(super) goal: Goal,
    /// It was to start and is down for the only reason that it was to have no process.
    pub(super) was_empty: bool,
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
    /// How the processes of these slots ended.
    pub(super) death: Option<Death>,
    /// Processes that are too old and wait for their successor.
    pub(super) replacing: Vec<u32>,
    pub(super) remnants: Vec<Remnant>,
    /// Processes that SIGKILL did not end.
    pub(super) survivors: Vec<Pid>,
    pub(super) last_spawn: Option<Time>,
    pub(super) generation: u32,
    /// No number below this is free.
    pub(super) lowest_wid: u32,
    pub(super) reload: Option<Reload>,
    /// Another reload (sequential or not) was asked for meanwhile.
    pub(super) next_reload: Option<bool>,
    pub(super) reload_failure: Option<String>,
    pub(super) demand: Demand,
    /// What others mean for it.
    pub(super) ties: Ties,
    /// It is being stopped, but others have to stop first.
    pub(super) held_back: bool,
    /// What was said last of why it does not start.
    pub(super) told_why: Option<Box<str>>,
    /// Why it stopped by itself.
    pub(super) reason: Option<String>,
    pub(super) waiters: Vec<Waiter>,
    /// The hooks that run.
    pub(super) calls: Sorted<HookId, Call>,
    /// No hook is run any more.
    pub(super) hurried: bool,
    pub(super) history: History,
}

impl Watcher {
    pub(super) fn new(id: WatcherId, config: WatcherConfig) -> Watcher {
        // Here the memory of all watchers lies together, and what a start takes for a moment can be given back.
        let processes = Sorted::with_capacity(config.wanted().min(16));
        Watcher {
            id,
            config: Rc::new(config),
            proven: None,
            loaded: None,
            added: 0,
            goal: Goal::Down,
            was_empty: false,
            queued: false,
            status: Status::Stopped,
            processes,
            running: 0,
            held: 0,
            spawning: None,
            retries: Vec::new(),
            unreplaced: 0,
            death: None,
            replacing: Vec::new(),
            remnants: Vec::new(),
            survivors: Vec::new(),
            last_spawn: None,
            generation: 0,
            lowest_wid: 1,
            reload: None,
            next_reload: None,
            reload_failure: None,
            demand: Demand::default(),
            ties: Ties::default(),
            held_back: false,
            told_why: None,
            reason: None,
            waiters: Vec::new(),
            calls: Sorted::new(),
            hurried: false,
            history: History::default(),
        }
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Why it does not run as it should: it has stopped by itself, or waits before it tries again.
    pub fn failure(&self) -> Option<String> {
        if self.status == Status::Stopped || self.status == Status::Stopping {
            let waits = self.ties.waits.as_ref().filter(|_| self.goal == Goal::Up).map(ToString::to_string);
            return self.reason.clone().or(waits);
        }
        if let Some(pid) = self.waits_for_group() {
            return Some(format!("what process {pid} has left in its group is ended first"));
        }
        let worst = self.retries.iter().map(|retry| retry.chain).max_by_key(|chain| chain.bad)?;
        Some(worst.words(&Backoff::of(&self.config)))
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
    pub(super) fn reconcile(&mut self, cx: &mut Cx) {
        self.look_after(cx);
        loop {
            let before = self.status;
            match self.status {
                Status::Stopped => self.reconcile_stopped(cx),
                Status::Starting => self.reconcile_starting(cx),
                Status::Active => self.reconcile_active(cx),
                Status::Stopping => self.reconcile_stopping(cx),
            }
            if self.status == before {
                break;
            }
        }
        self.answer_waiters(cx);
    }

    fn reconcile_stopped(&mut self, cx: &mut Cx) {
        if self.was_empty && !self.queued && self.config.wanted() > 0 {
            self.want_up(cx); // now there is something to start
        }
        if self.goal != Goal::Up || self.is_held(cx) {
            self.look_away(cx);
        } else if self.may_start(cx) {
            self.told_why = None;
            self.status = Status::Starting;
            self.generation += 1;
            self.reason = None;
            self.death = None;
            self.call(Hook::BeforeStart, About::default(), Then::Begin, cx);
        }
    }

    fn reconcile_starting(&mut self, cx: &mut Cx) {
        if self.goal != Goal::Up {
            return self.begin_stop(cx);
        }
        if self.ties.must_stop {
            return self.lose(cx);
        }
        if self.waits_for(Then::Begin) {
            return;
        }
        if self.is_hindered(cx) {
            return;
        }
        self.trim(cx);
        self.fill(cx);
        // As in Circus, warmup_delay lies behind the last process, too: so watchers are started at intervals.
        let complete = self.is_complete() && self.gate_is_open(cx.now);
        let asks = complete
            && (self.waits_for(Then::Activate)
                || self.call(Hook::AfterStart, About::default(), Then::Activate, cx));
        if complete && !asks {
            self.become_active(cx);
        }
    }

    /// It cannot start at all, and stops. A plugin of circus itself is active without a process.
    fn is_hindered(&mut self, cx: &mut Cx) -> bool {
        let name = &self.config.name;
        if self.config.is_builtin() {
            let Some(reason) = &self.config.broken else { return false };
            cx.log(Level::Error, format!("{name} cannot run: {reason}"));
            self.reason = Some(reason.clone());
        } else if self.config.wanted() == 0 && self.processes.is_empty() {
            cx.log(Level::Warning, format!("{name}: numprocesses is 0, there is nothing to start"));
            self.was_empty = true;
        } else {
            return false;
        }
        self.goal = Goal::Down;
        self.begin_stop(cx);
        true
    }

    pub(super) fn become_active(&mut self, cx: &mut Cx) {
        self.status = Status::Active;
        cx.publish(&self.config.name, Published::Start);
        cx.log(Level::Info, format!("{} started", self.config.name));
        // It has started, even if its processes have done their work by now and it stops at once.
        self.answer_waiters(cx);
    }

    fn reconcile_active(&mut self, cx: &mut Cx) {
        if self.goal != Goal::Up {
            return self.begin_stop(cx);
        }
        if self.ties.must_stop {
            return self.lose(cx);
        }
        if self.config.is_builtin() && self.is_hindered(cx) {
            return; // its options have changed
        }
        self.step_reload(cx);
        self.trim(cx);
        self.fill(cx);
        // nothing is to be replaced, and the last of its processes is gone
        if self.unreplaced > 0
            && self.processes.is_empty()
            && self.spawning.is_none()
            && self.retries.is_empty()
            && self.held_slots() == 0
        {
            if !self.config.options.on_demand {
                self.goal = Goal::Down;
                self.ended_for_good(cx);
            }
            self.begin_stop(cx);
        }
    }

    fn reconcile_stopping(&mut self, cx: &mut Cx) {
        if self.held_back && !self.ties.followed {
            self.held_back = false;
            self.stop_now(cx);
        }
        let waits_for_group = self.remnants.iter().any(|r| r.fate != Fate::Left);
        let ends = !self.processes.is_empty() || self.spawning.is_some() || !self.calls.is_empty();
        if ends || waits_for_group || self.held_back {
            return;
        }
        cx.publish(&self.config.name, Published::Stop);
        if !self.call(Hook::AfterStop, About::default(), Then::Rest, cx) {
            self.rest(cx);
        }
    }

    /// It has stopped.
    pub(super) fn rest(&mut self, cx: &mut Cx) {
        self.status = Status::Stopped;
        cx.log(Level::Info, format!("{} stopped", self.config.name));
        self.answer_waiters(cx);
    }

    /// Asks everything to end and forgets what was planned.
    pub(super) fn begin_stop(&mut self, cx: &mut Cx) {
        self.status = match self.waits_for(Then::Begin) {
            true => Status::Stopped, // it has not begun to start
            false => Status::Stopping,
        };
        self.end_start_hooks(cx);
        self.retries.clear();
        self.drop_held_slots(usize::MAX);
        self.unreplaced = 0;
        self.replacing.clear();
        self.forget_proven(cx);
        self.reload = None;
        self.next_reload = None;
        self.held_back = self.status == Status::Stopping && self.ties.followed && !self.hurried;
        if self.status == Status::Stopping && !self.held_back {
            self.stop_now(cx);
        }
    }

    fn stop_now(&mut self, cx: &mut Cx) {
        if !self.call(Hook::BeforeStop, About::default(), Then::Stop, cx) {
            self.ask_all(cx);
        }
    }

    /// It is being stopped, but its processes are not to be asked to end yet.
    pub(super) fn spares_processes(&self) -> bool {
        self.held_back || self.waits_for(Then::Stop)
    }

    /// A stop overtakes the hooks of a start, and a command that reloads.
    fn end_start_hooks(&mut self, cx: &mut Cx) {
        let of_start = |then| match then {
            Then::Begin | Then::Activate | Then::Spawn | Then::Keep | Then::Reloaded { .. } => true,
            Then::Stop | Then::Rest | Then::Ask { .. } | Then::Signal { .. } | Then::Stopped { .. } => false,
            Then::Reaped(_) | Then::Probed { .. } | Then::Nothing => false,
        };
        self.cancel_hooks(&of_start, cx);
        if self.spawning.is_some_and(|spawning| spawning.step != Step::Making) {
            self.end_spawn(cx);
        }
    }

    /// Asks all processes to end.
    pub(super) fn ask_all(&mut self, cx: &mut Cx) {
        let running: Vec<u32> =
            self.processes.values().filter(|p| p.phase == Phase::Running).map(|p| p.wid).collect();
        for wid in running {
            self.ask_to_end(wid, cx);
        }
        self.ask_remnants(cx);
    }

    /// Takes a process out of the table.
    pub(super) fn forget_process(&mut self, wid: u32, cx: &mut Cx) -> Option<Process> {
        let process = self.processes.remove(&wid)?;
        self.lowest_wid = self.lowest_wid.min(wid);
        self.held -= usize::from(process.holds_slot);
        cx.pids.remove(&process.pid);
        self.note_gone(process.pid);
        Some(process)
    }

    /// When it next has something to do by itself.
    pub(super) fn deadline(&self) -> Option<Time> {
        let of_processes = self.processes.values().filter_map(|p| match p.phase {
            Phase::Running => p.expires.filter(|_| self.status == Status::Active && self.reload.is_none()),
            Phase::Asked { kill_at: at, .. } | Phase::Killed { until: at } => Some(at),
            Phase::Dead { .. } => None,
        });
        let of_processes = of_processes.chain(self.remnant_deadline()).chain(self.spawn_deadline());
        let of_processes = of_processes.chain(self.pulse_deadline());
        of_processes.chain(self.demand_deadline()).chain(self.hook_deadline()).min()
    }
}
