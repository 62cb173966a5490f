//! A watcher: one command and its processes, and the way from what is wanted to what is.
//!
//! Orders set the [`Goal`]; events say what happened; `reconcile` compares the two and acts. It is called
//! after everything that touches the watcher and may be called at any time: it does nothing when nothing is to be
//! done. At most one spawn is under way for a watcher, so that a stop can always overtake a start.

use super::context::Cx;
use super::generations::Proven;
use super::history::History;
use super::hooks::{About, Hooks, Then};
use super::on_demand::Demand;
use super::process::{Fate, Process, Processes};
use super::remnants::Left;
use super::respawn::Backoff;
use super::run::{Slot, State};
use super::spawning::Spawning;
use super::time::Time;
use super::waiters::Waiter;
use super::{Level, Pid, Published, WatcherId};
use crate::config::WatcherConfig;
use crate::config::hooks::Hook;
use crate::seldom::{Empty, Seldom};
use crate::sorted::sort_by;
use std::rc::Rc;

/// What the last order wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// It shall run.
    Up,
    /// It shall not run.
    #[default]
    Down,
    /// It shall stop and be forgotten.
    Gone,
}

/// What a watcher is doing; the words of `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing runs.
    #[default]
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
#[derive(Debug, Default)]
pub struct Watcher {
    /// Its number, which is never used again.
    pub id: WatcherId,
    /// Its options.
    pub config: Rc<WatcherConfig>,
    /// Those of its file when that was last read; the same unless a command has set one. `None`: a command has added it.
    pub(super) loaded: Option<Rc<WatcherConfig>>,
    pub(super) settings: Seldom<Settings>,
    pub(super) goal: Goal,
    /// It stands in the queue of watchers that are to be started.
    pub(super) queued: bool,
    pub(super) state: State,
    /// Why it is down, if nobody has ordered it.
    pub(super) why_down: Option<Box<WhyDown>>,
    pub(super) processes: Processes,
    pub(super) spawns: Spawns,
    pub(super) left: Seldom<Left>,
    pub(super) waiters: Seldom<Vec<Waiter>>,
    pub(super) hooks: Seldom<Hooks>,
    pub(super) prerequisites: Seldom<Prerequisites>,
    pub(super) history: History,
}

/// How its processes are made.
#[derive(Debug, Default)]
pub(super) struct Spawns {
    pub(super) under_way: Option<Spawning>,
    /// When the last one was.
    pub(super) last: Option<Time>,
    /// Which start or reload those that are made now belong to.
    pub(super) generation: u32,
    /// The last one was of the generation before.
    pub(super) by_old: bool,
}

/// What its start waits for.
#[derive(Debug, Default)]
pub(super) struct Prerequisites {
    /// Its sockets.
    pub(super) demand: Demand,
    /// Other watchers.
    pub(super) dependency: DependencyState,
    /// For what, as the log has said last.
    pub(super) logged_wait: Option<Box<str>>,
}

impl Empty for Prerequisites {
    const EMPTY: &'static Self =
        &Prerequisites { demand: Demand::NONE, dependency: DependencyState::NONE, logged_wait: None };
}

/// What has become of other options that it has had, or has got.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// Since when they hold.
    pub(super) since: Time,
    /// Those that last made a good generation of processes, as long as no reload has succeeded with what was set since.
    pub(super) proven: Option<Proven>,
    /// Those of the good generation before, and since when they held.
    pub(super) previous: Option<(Rc<WatcherConfig>, Time)>,
    /// What has become of newer ones, which the file still has.
    pub(super) behind: Option<Box<str>>,
    /// How many bytes of text commands have added.
    #[cfg(feature = "edit")]
    pub(super) added: usize,
}

impl Empty for Settings {
    const EMPTY: &'static Self = &Settings {
        since: Time(0),
        proven: None,
        previous: None,
        behind: None,
        #[cfg(feature = "edit")]
        added: 0,
    };
}

/// Why a watcher is down that was to run.
#[derive(Debug)]
pub(super) enum WhyDown {
    /// It was to have no process.
    Empty,
    Failed(String),
    /// All its processes have ended, and none is replaced.
    Ended {
        well: bool,
    },
}

/// What the watchers that it depends on, and that depend on it, mean for a watcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DependencyState {
    /// Why it cannot start now.
    pub(super) waits: Option<Box<str>>,
    /// It requires a watcher that is not there.
    pub(super) must_stop: bool,
    /// It waits, and what it requires is not being started.
    pub(super) in_vain: bool,
    /// Others have to stop before it does.
    pub(super) followed: bool,
    /// One that it waits for cannot be started, for now.
    pub(super) hopeless: bool,
}

impl DependencyState {
    const NONE: DependencyState =
        DependencyState { waits: None, must_stop: false, in_vain: false, followed: false, hopeless: false };
}

impl Watcher {
    pub(super) fn new(id: WatcherId, config: WatcherConfig) -> Watcher {
        Watcher {
            id,
            // Here the memory of all watchers lies together, and what a start takes for a moment can be given back.
            processes: Processes::with_capacity(config.wanted().min(16)),
            config: Rc::new(config),
            ..Watcher::default()
        }
    }

    /// Why it has stopped by itself.
    pub(super) fn reason(&self) -> Option<&str> {
        match self.why_down.as_deref()? {
            WhyDown::Failed(reason) => Some(reason),
            WhyDown::Empty | WhyDown::Ended { .. } => None,
        }
    }

    /// Whether it has ended by itself, and how: well or not.
    pub(super) fn ended(&self) -> Option<bool> {
        match self.why_down.as_deref()? {
            WhyDown::Failed(_) => Some(false),
            WhyDown::Ended { well } => Some(*well).filter(|_| self.status() == Status::Stopped),
            WhyDown::Empty => None,
        }
    }

    /// It cannot run, for this reason, and is not tried again.
    pub(super) fn fail(&mut self, reason: String) {
        self.why_down = Some(Box::new(WhyDown::Failed(reason)));
        if self.goal == Goal::Up {
            self.goal = Goal::Down;
        }
    }

    /// Why it does not run as it should: it has stopped by itself, or waits before it tries again.
    pub fn failure(&self) -> Option<String> {
        if !self.is_up() {
            let waits = self.prerequisites.dependency.waits.as_deref().filter(|_| self.goal == Goal::Up);
            return self.reason().or(waits).map(str::to_owned);
        }
        if let Some(pid) = self.waits_for_group() {
            return Some(format!("what process {pid} has left in its group is stopped first"));
        }
        let worst = self.run().retries().map(|retry| retry.chain).max_by_key(|chain| chain.bad)?;
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
        self.spawns.under_way?.replaces
    }

    /// How many processes it is to have at the moment. None when it has stopped for good; places that stay empty
    /// do not count.
    pub fn places(&self) -> usize {
        let rests = self.status() == Status::Stopped && self.goal != Goal::Up && !self.queued;
        if rests { 0 } else { self.config.wanted().saturating_sub(self.run().empty()) }
    }

    /// The wid of a process that runs and was not asked to end.
    pub(super) fn running_wid(&self, pid: Pid) -> Option<u32> {
        self.processes.that_run().find(|p| p.pid == pid).map(|p| p.wid)
    }

    /// The pids of the processes that run, oldest first.
    pub(super) fn oldest_first(&self) -> Vec<Pid> {
        let mut running: Vec<_> = self.processes.that_run().collect();
        sort_by(&mut running, |a, b| (a.started, a.pid) < (b.started, b.pid));
        running.iter().map(|p| p.pid).collect()
    }

    /// Compares what is wanted with what is, and acts.
    pub(super) fn reconcile(&mut self, cx: &mut Cx) {
        self.look_after(cx);
        loop {
            let before = self.status();
            match before {
                Status::Starting | Status::Active if self.goal != Goal::Up => self.begin_stop(cx),
                Status::Starting | Status::Active if self.prerequisites.dependency.must_stop => self.lose(cx),
                Status::Stopped => self.reconcile_stopped(cx),
                Status::Starting => self.reconcile_starting(cx),
                Status::Active => self.reconcile_active(cx),
                Status::Stopping => self.reconcile_stopping(cx),
            }
            if self.status() == before {
                break;
            }
        }
        self.answer_waiters(cx);
    }

    fn reconcile_stopped(&mut self, cx: &mut Cx) {
        if matches!(self.why_down.as_deref(), Some(WhyDown::Empty))
            && !self.queued
            && self.config.wanted() > 0
        {
            self.want_up(cx); // now there is something to start
        }
        if self.goal != Goal::Up || self.is_held(cx) {
            self.look_away(cx);
        } else if self.may_start(cx) {
            self.prerequisites.get_mut().into_iter().for_each(|it| it.logged_wait = None);
            self.state = State::Up { active: false, run: Seldom::default() };
            self.spawns.generation += 1;
            self.why_down = None;
            self.call(Hook::BeforeStart, About::default(), Then::Begin, cx);
        }
    }

    fn reconcile_starting(&mut self, cx: &mut Cx) {
        if self.waits_for(Then::Begin) || self.is_hindered(cx) {
            return;
        }
        self.trim(cx);
        self.fill(cx);
        // As in Circus, warmup_delay lies behind the last process, too: so watchers are started at intervals.
        let complete = self.is_complete() && self.gate_is_open(cx.now) && !self.waits_for(Then::Activate);
        if complete && !self.call(Hook::AfterStart, About::default(), Then::Activate, cx) {
            self.become_active(cx);
        }
    }

    /// It cannot start at all, and stops. A plugin of circus itself is active without a process.
    fn is_hindered(&mut self, cx: &mut Cx) -> bool {
        let name = &self.config.name;
        if self.config.is_builtin() {
            let Some(reason) = &self.config.broken else { return false };
            cx.log(Level::Error, format!("{name} cannot run: {reason}"));
            self.fail(reason.clone());
        } else if self.config.wanted() == 0 && self.processes.is_empty() {
            cx.log(Level::Warning, format!("{name}: numprocesses is 0, there is nothing to start"));
            self.why_down = Some(Box::new(WhyDown::Empty));
            self.goal = Goal::Down;
        } else {
            return false;
        }
        self.begin_stop(cx);
        true
    }

    pub(super) fn become_active(&mut self, cx: &mut Cx) {
        if let State::Up { active, .. } = &mut self.state {
            *active = true;
        }
        cx.publish(&self.config.name, Published::Start);
        cx.log(Level::Info, format!("{} started", self.config.name));
        // It has started, even if its processes have done their work by now and it stops at once.
        self.answer_waiters(cx);
    }

    fn reconcile_active(&mut self, cx: &mut Cx) {
        if self.config.is_builtin() && self.is_hindered(cx) {
            return; // its options have changed
        }
        self.step_reload(cx);
        self.trim(cx);
        self.fill(cx);
        // nothing is to be replaced, and the last of its processes is gone
        let slots = &self.run().slots;
        let ended = !slots.is_empty() && slots.iter().all(Slot::is_empty);
        if ended && self.processes.is_empty() && self.spawns.under_way.is_none() {
            if !self.config.options.on_demand {
                self.goal = Goal::Down;
                self.ended_for_good(cx);
            }
            self.begin_stop(cx);
        }
    }

    fn reconcile_stopping(&mut self, cx: &mut Cx) {
        if self.is_held_back() && !self.prerequisites.dependency.followed {
            self.stop_now(cx);
        }
        let waits_for_group = self.left.remnants.iter().any(|r| r.fate != Fate::Left);
        let ends =
            !self.processes.is_empty() || self.spawns.under_way.is_some() || !self.hooks.calls.is_empty();
        if ends || waits_for_group || self.is_held_back() {
            return;
        }
        cx.publish(&self.config.name, Published::Stop);
        if !self.call(Hook::AfterStop, About::default(), Then::Rest, cx) {
            self.rest(cx);
        }
    }

    /// It has stopped.
    pub(super) fn rest(&mut self, cx: &mut Cx) {
        self.state = State::Stopped;
        cx.log(Level::Info, format!("{} stopped", self.config.name));
        self.answer_waiters(cx);
    }

    /// Asks everything to end and forgets what was planned.
    pub(super) fn begin_stop(&mut self, cx: &mut Cx) {
        let has_begun = !self.waits_for(Then::Begin);
        let held_back = self.prerequisites.dependency.followed && !self.hooks.hurried;
        self.state = if has_begun { State::Stopping { held_back } } else { State::Stopped };
        self.end_start_hooks(cx);
        self.forget_proven(cx);
        if has_begun && !held_back {
            self.stop_now(cx);
        }
    }

    fn stop_now(&mut self, cx: &mut Cx) {
        self.state = State::Stopping { held_back: false };
        if !self.call(Hook::BeforeStop, About::default(), Then::Stop, cx) {
            self.ask_all(cx);
        }
    }

    /// It is being stopped, but its processes are not to be asked to end yet.
    pub(super) fn spares_processes(&self) -> bool {
        self.is_held_back() || self.waits_for(Then::Stop)
    }

    /// A stop overtakes the hooks of a start, and a command that reloads.
    fn end_start_hooks(&mut self, cx: &mut Cx) {
        let of_start = |then| match then {
            Then::Begin | Then::Activate | Then::Spawn | Then::Keep | Then::Reloaded { .. } => true,
            Then::Stop | Then::Rest | Then::Ask { .. } | Then::Signal { .. } | Then::Stopped { .. } => false,
            Then::Reaped(_) | Then::Probed { .. } | Then::Nothing => false,
        };
        // Of one that is being made, circus hears in any case.
        let is_made = !self.is_confirming() && !self.waits_for(Then::Spawn);
        self.cancel_hooks(&of_start, cx);
        if !is_made {
            self.end_spawn(cx);
        }
    }

    /// Asks all processes to end.
    pub(super) fn ask_all(&mut self, cx: &mut Cx) {
        let running: Vec<u32> = self.processes.that_run().map(|p| p.wid).collect();
        for wid in running {
            self.ask_to_end(wid, cx);
        }
        self.ask_remnants(cx);
    }

    /// Takes a process out of the table.
    pub(super) fn forget_process(&mut self, wid: u32, cx: &mut Cx) -> Option<Process> {
        let process = self.processes.remove(wid)?;
        cx.pids.remove(&process.pid);
        Some(process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbiter::process::Process;

    #[test]
    fn what_there_are_thousands_of_is_small() {
        let sizes = [size_of::<Watcher>(), size_of::<WatcherConfig>(), size_of::<Process>()];
        assert!(sizes.iter().zip([248, 168, 40]).all(|(size, most)| *size <= most), "{sizes:?}");
    }
}
