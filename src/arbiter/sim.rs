//! A world for the arbiter: scripted processes, a clock that jumps to the next thing that happens, and rules that
//! must hold after every step.

#![allow(clippy::wildcard_enum_match_arm)]

mod fate;
mod proven;
mod pulse;
mod reconfigure;
mod relations;
mod remnants;
mod with_history;
mod with_hooks;

use super::demand::Look;
use super::fate::Fall;
use super::hooks::{About, Answer, HookId, Then};
use super::process::{Exit, Phase};
use super::pulse::Notice;
use super::reconfigure::NewConfig;
use super::reload::Reload;
use super::request::{Errno, Matching, Order, Reply, Select, Ticket};
use super::spawning::Step;
use super::time::Time;
use super::watcher::Status;
use super::{Action, Arbiter, Event, Level, Pid, Published, WatcherId, Whom};
use crate::config::hooks::{self, Hook};
use crate::config::model::{Builtin, PluginKind};
use crate::config::respawn_rule::Respawn;
use crate::config::{Value, WatcherConfig};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// What a process does.
#[derive(Clone, Copy, Debug)]
struct Script {
    /// Seconds until it exits by itself.
    lives: Option<f64>,
    /// With this code.
    code: i32,
    /// It ends so many seconds after a signal asks it to; never, when missing.
    obeys: Option<f64>,
    /// It leaves a member of its group behind that only SIGKILL ends.
    leaves: bool,
    /// That one ends so many seconds after it was asked to.
    heeds: Option<f64>,
    /// SIGKILL does not end it.
    immortal: bool,
    /// It leaves somebody behind who has gone out of its group, and whom only SIGKILL ends.
    strays: bool,
    /// It cannot be executed.
    broken: bool,
    /// It says that it is ready after so many seconds; never, when missing.
    ready: Option<f64>,
    /// From then on it says every so many seconds that it is alive.
    beats: Option<f64>,
    /// Not for a fault of its own.
    shortage: bool,
    /// That it is broken shows some time after it was spawned.
    late: bool,
}

const GOOD: Script = Script {
    lives: None,
    code: 1,
    obeys: Some(0.01),
    leaves: false,
    heeds: None,
    immortal: false,
    strays: false,
    broken: false,
    ready: Some(0.0),
    beats: None,
    shortage: false,
    late: false,
};

const NO_FILE: &str = "exec: No such file";

struct Proc {
    script: Script,
    ends: Option<(Time, Exit)>,
    zombie: bool,
    /// When it says something of itself next, and what.
    speaks: Option<(Time, Notice)>,
}

/// What a hook answers, and after how many seconds; never, when missing.
type HookScript = (Option<f64>, Answer);

/// A hook that runs.
#[derive(Debug)]
struct Hooked {
    watcher: WatcherId,
    ends: Option<Time>,
    answer: Answer,
}

struct World {
    arbiter: Arbiter,
    now: Time,
    /// By name of the watcher, or that and its args; GOOD when missing.
    scripts: BTreeMap<String, Script>,
    procs: BTreeMap<Pid, Proc>,
    groups: BTreeSet<Pid>,
    /// When the rest of a group that was asked to end does so.
    heeding: BTreeMap<Pid, Time>,
    /// Processes, and the rest of groups, that were asked to end, and the signal.
    told: BTreeSet<(&'static str, Pid, i32)>,
    /// Processes that have left somebody behind out of their groups.
    strays: BTreeSet<Pid>,
    /// The watcher of each process that ever was, with its kill_mode.
    modes: BTreeMap<Pid, (WatcherId, String)>,
    /// When the rest of a group ends after it was asked to.
    heirs: BTreeMap<Pid, Option<f64>>,
    /// How each process that has ended did so.
    exits: BTreeMap<Pid, Exit>,
    /// By name of the watcher and of the hook; at once and yes when missing.
    hook_scripts: BTreeMap<(String, &'static str), HookScript>,
    hooks: BTreeMap<HookId, Hooked>,
    /// Hooks that were cancelled: their answers may come late.
    cancelled: Vec<(WatcherId, HookId)>,
    /// What hooks were run, and for which process.
    called: Vec<(Hook, About)>,
    next_pid: Pid,
    next_ticket: u64,
    asked: BTreeSet<Ticket>,
    replies: BTreeMap<Ticket, Reply>,
    log: Vec<(Level, String)>,
    published: Vec<(String, Published)>,
    signals: Vec<(Pid, i32)>,
    spawns: Vec<(Time, String)>,
    exited: bool,
    /// Why, when nobody has ordered it.
    fall: Option<Fall>,
    /// What is found when the configuration is read again.
    files: Result<NewConfig, String>,
    /// Watchers that became singletons with more than one process, which are on their way out.
    excused: BTreeSet<WatcherId>,
    /// Watchers whose sockets are looked at.
    looked_at: BTreeSet<WatcherId>,
    /// There are no sockets to look at.
    no_sockets: bool,
}

fn watcher(name: &str, numprocesses: i64) -> WatcherConfig {
    let mut config = WatcherConfig { name: name.into(), ..WatcherConfig::default() };
    config.options.cmd = "worker".into();
    config.options.numprocesses = numprocesses;
    config.options.graceful_timeout = 5.0;
    config
}

impl World {
    fn new(watchers: Vec<WatcherConfig>) -> World {
        let files = NewConfig { watchers: watchers.clone(), warmup_delay: 0.0, touched: Vec::new() };
        World {
            arbiter: Arbiter::new(watchers, 0.0, 1),
            files: Ok(files),
            excused: BTreeSet::new(),
            now: Time(1_000_000_000),
            scripts: BTreeMap::new(),
            procs: BTreeMap::new(),
            groups: BTreeSet::new(),
            heeding: BTreeMap::new(),
            told: BTreeSet::new(),
            strays: BTreeSet::new(),
            modes: BTreeMap::new(),
            heirs: BTreeMap::new(),
            exits: BTreeMap::new(),
            hook_scripts: BTreeMap::new(),
            hooks: BTreeMap::new(),
            cancelled: Vec::new(),
            called: Vec::new(),
            next_pid: 100,
            next_ticket: 0,
            asked: BTreeSet::new(),
            replies: BTreeMap::new(),
            log: Vec::new(),
            published: Vec::new(),
            signals: Vec::new(),
            spawns: Vec::new(),
            exited: false,
            fall: None,
            looked_at: BTreeSet::new(),
            no_sockets: false,
        }
    }

    fn booted(watchers: Vec<WatcherConfig>) -> World {
        let mut world = World::new(watchers);
        world.send(Event::Start);
        world
    }

    /// That of `[circus]`.
    fn set_warmup_delay(&mut self, delay: f64) {
        self.arbiter.warmup_delay = delay;
        if let Ok(files) = &mut self.files {
            files.warmup_delay = delay;
        }
    }

    fn send(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = Vec::new();
            self.arbiter.handle(self.now, event, &mut actions);
            for action in actions {
                self.perform(action, &mut events);
            }
        }
        self.check();
    }

    fn perform(&mut self, action: Action, events: &mut VecDeque<Event>) {
        // processes that rm left alone may end later still
        let harmless = matches!(action, Action::Log { .. } | Action::Reap { .. });
        assert!(!self.exited || harmless, "after the end: {action:?}");
        match action {
            Action::Spawn { watcher, wid } => self.spawn(watcher, wid, events),
            Action::Ask { pid, signum, .. } => {
                assert!(signum == 9 || self.told.insert(("process", pid, signum)), "{pid} is asked twice");
                self.deliver(pid, signum, false);
            }
            Action::Signal { pid, signum, whom } => {
                let group = matches!(whom, Whom::Group | Whom::Tree);
                let mode = self.modes.get(&pid).map(|(_, mode)| mode.as_str());
                assert!(
                    mode.is_none_or(|mode| !group || (whom == Whom::Tree) == (mode == "tree")),
                    "{action:?}"
                );
                if group {
                    self.tell_group(pid, signum);
                }
                self.deliver(pid, signum, group);
            }
            Action::SignalRemnant { pgid, signum } => {
                assert!(!self.procs.contains_key(&pgid), "the leader of {pgid} is there still");
                let mode = self.modes.get(&pgid).map(|(_, mode)| mode.as_str());
                assert_ne!(mode, Some("process"), "a group that is to be left alone");
                self.tell_group(pgid, signum);
                if signum == 9 {
                    self.clear(pgid);
                }
                if !self.is_left(pgid) {
                    events.push_back(Event::GroupEmpty { pgid });
                }
            }
            Action::Reap { pid } => {
                let proc = self.procs.remove(&pid).expect("reaped twice, or never there");
                assert!(proc.zombie, "{pid} was reaped alive");
                events.push_back(Event::Reaped { pid, group_left: self.is_left(pid) });
            }
            Action::GiveUp { pid, .. } => {
                assert!(self.procs[&pid].script.immortal, "{pid} would have ended");
                self.clear(pid);
            }
            Action::Reply { ticket, reply } => {
                assert!(self.asked.contains(&ticket), "nobody asked {ticket:?}");
                let before = self.replies.insert(ticket, reply);
                assert_eq!(before, None, "two replies to {ticket:?}");
            }
            Action::RunHook { id, watcher, hook, about } => self.run_hook(id, watcher, hook, about),
            Action::CancelHook { id, .. } => {
                let hooked = self.hooks.remove(&id).expect("cancelled, but it does not run");
                self.cancelled.push((hooked.watcher, id));
            }
            Action::Publish { watcher, what } => self.published.push((watcher, what)),
            Action::Log { level, text } => self.log.push((level, text)),
            Action::Read(reading) => {
                let found = self.files.clone().map(Box::new);
                events.push_back(Event::Read { reading, found });
            }
            Action::Changed(id) => self.excuse(id),
            Action::Forgotten { watcher, .. } => drop(self.looked_at.remove(&watcher)),
            Action::WatchSockets(watcher) => {
                let result = if self.no_sockets { Err("no sockets".to_string()) } else { Ok(()) };
                assert!(
                    result.is_err() || self.looked_at.insert(watcher),
                    "{watcher:?} is looked at already"
                );
                events.push_back(Event::SocketsWatched { watcher, result });
            }
            Action::UnwatchSockets(id) => {
                assert!(self.looked_at.remove(&id) || self.no_sockets, "{id:?} is not looked at");
            }
            Action::Exit(fall) => {
                self.exited = true;
                self.fall = fall;
                let waiters = self.arbiter.take_end_waiters();
                self.replies.extend(waiters.into_iter().map(|ticket| (ticket, Reply::Ok)));
            }
        }
    }

    fn excuse(&mut self, id: WatcherId) {
        let watcher = self.arbiter.watcher(id).expect("a change of a watcher that is gone");
        if watcher.config.options.singleton && watcher.processes().count() > 1 {
            self.excused.insert(id);
        }
    }

    fn spawn(&mut self, id: WatcherId, wid: u32, events: &mut VecDeque<Event>) {
        let watcher = self.arbiter.watcher(id).expect("a spawn for a watcher that is gone");
        assert!(watcher.processes().all(|p| p.wid != wid), "wid {wid} is taken");
        let (name, mode) = (watcher.config.name.clone(), watcher.making().options.kill_mode.clone());
        let with_args = format!("{name} {}", watcher.making().options.args);
        let script = self.scripts.get(&with_args).or(self.scripts.get(&name)).copied().unwrap_or(GOOD);
        self.spawns.push((self.now, name));
        if script.broken && !script.late {
            events.push_back(Event::SpawnFailed {
                watcher: id,
                reason: NO_FILE.into(),
                shortage: script.shortage,
            });
            return;
        }
        let pid = self.next_pid;
        self.next_pid += 1;
        let lives = script.lives.or(script.broken.then_some(0.5));
        let ends = lives.map(|s| (self.now.plus(s), Exit::Code(script.code)));
        let speaks = script.ready.map(|s| (self.now.plus(s), Notice::Ready));
        self.modes.insert(pid, (id, mode));
        self.procs.insert(pid, Proc { script, ends, zombie: false, speaks });
        if script.leaves {
            self.groups.insert(pid);
            self.heirs.insert(pid, script.heeds);
        }
        if script.strays {
            self.strays.insert(pid);
        }
        events.push_back(Event::Spawned { watcher: id, pid });
    }

    fn run_hook(&mut self, id: HookId, watcher: WatcherId, hook: Hook, about: About) {
        let config = &self.arbiter.watcher(watcher).expect("a hook of a watcher that is gone").config;
        let made = self.arbiter.watcher(watcher).unwrap().making();
        assert!(
            config.program_of(hook).or(made.program_of(hook)).is_some(),
            "{} has no such hook",
            config.name
        );
        let script = self.hook_scripts.get(&(config.name.clone(), hook.name()));
        let (after, answer) = script.cloned().unwrap_or((Some(0.0), Answer::Yes));
        let ends = after.map(|seconds| self.now.plus(seconds));
        self.called.push((hook, about));
        let before = self.hooks.insert(id, Hooked { watcher, ends, answer });
        assert!(before.is_none(), "{id:?} runs already");
    }

    /// The first hook that has ended answers.
    fn answer_hook(&mut self) -> bool {
        let due = self.hooks.iter().find(|(_, hooked)| hooked.ends.is_some_and(|at| at <= self.now));
        let Some(id) = due.map(|(id, _)| *id) else { return false };
        let Hooked { watcher, answer, .. } = self.hooks.remove(&id).unwrap();
        self.send(Event::HookDone { id, watcher, answer });
        true
    }

    /// circus is short of something, and none of these hooks could be run.
    fn delay_hooks(&mut self) {
        let waiting: Vec<_> = self.hooks.iter().map(|(id, hooked)| (*id, hooked.watcher)).collect();
        waiting.into_iter().for_each(|(id, watcher)| self.send(Event::HookDelayed { id, watcher }));
    }

    /// Answers of hooks that nobody waits for any more change nothing.
    fn answer_late(&mut self, answer: &Answer) {
        for (watcher, id) in std::mem::take(&mut self.cancelled) {
            let mut actions = Vec::new();
            let answer = answer.clone();
            self.arbiter.handle(self.now, Event::HookDone { id, watcher, answer }, &mut actions);
            assert_eq!(actions, [], "a late answer did something");
        }
    }

    /// The rest of a group is asked to end, which must not happen twice, or killed.
    fn tell_group(&mut self, pgid: Pid, signum: i32) {
        assert!(
            signum == 9 || self.told.insert(("group", pgid, signum)),
            "the group of {pgid} is asked twice"
        );
        let heeds = self.heirs.get(&pgid).copied().flatten();
        if let Some(seconds) = heeds.filter(|_| signum != 9 && self.groups.contains(&pgid)) {
            self.heeding.insert(pgid, self.now.plus(seconds));
        }
    }

    /// Ends the rest of groups that has been asked to, and whose time has come.
    fn end_heirs(&mut self) {
        let due: Vec<Pid> =
            self.heeding.iter().filter(|(_, at)| **at <= self.now).map(|(pid, _)| *pid).collect();
        for pid in due {
            self.heeding.remove(&pid);
            if self.groups.remove(&pid) && !self.procs.contains_key(&pid) && !self.is_left(pid) {
                self.send(Event::GroupEmpty { pgid: pid });
            }
        }
    }

    /// Ends all that a process has left behind and that SIGKILL for it reaches.
    fn clear(&mut self, pid: Pid) {
        self.groups.remove(&pid);
        if self.modes.get(&pid).is_some_and(|(_, mode)| mode == "tree") {
            self.strays.remove(&pid);
        }
    }

    /// Whether something is left of the group or the tree of a process.
    fn is_left(&self, pid: Pid) -> bool {
        let tree = self.modes.get(&pid).is_some_and(|(_, mode)| mode == "tree");
        self.groups.contains(&pid) || tree && self.strays.contains(&pid)
    }

    fn deliver(&mut self, pid: Pid, signum: i32, group: bool) {
        let now = self.now;
        let proc =
            self.procs.get_mut(&pid).unwrap_or_else(|| panic!("signal {signum} to {pid}, which is no child"));
        self.signals.push((pid, signum));
        if proc.zombie {
            assert!(group, "a signal to a zombie");
            if signum == 9 {
                self.clear(pid);
            }
            return;
        }
        if group && signum == 9 {
            // Who has left is looked for when the process itself is dead.
            self.groups.remove(&pid);
        }
        let ends = match (signum, proc.script.obeys) {
            (9, _) if proc.script.immortal => None,
            (9, _) => Some((now, Exit::Signal(9))),
            (1, _) | (_, None) => None,
            (_, Some(delay)) => Some((now.plus(delay), Exit::Signal(signum))),
        };
        if let Some(ends) = ends {
            proc.ends = Some(proc.ends.map_or(ends, |before| before.min_by_time(ends)));
        }
    }

    /// The next time that something happens by itself.
    fn next(&mut self) -> Option<Time> {
        let exit = self.procs.values().filter(|p| !p.zombie).filter_map(|p| p.ends).map(|(at, _)| at).min();
        let hook = self.hooks.values().filter_map(|hooked| hooked.ends).min();
        let says = self.procs.values().filter(|p| !p.zombie).filter_map(|p| p.speaks).map(|(at, _)| at).min();
        let heir = self.heeding.values().copied().min();
        exit.into_iter().chain(hook).chain(says).chain(heir).chain(self.arbiter.deadline()).min()
    }

    /// Goes to `until`, letting everything happen on the way.
    fn run_to(&mut self, until: Time) {
        let mut turns = 0;
        while let Some(at) = self.next().filter(|at| *at <= until) {
            turns += 1;
            assert!(turns < 100_000, "circus spins at {at:?}");
            self.now = self.now.max(at);
            let due = |p: &Proc| !p.zombie && p.ends.is_some_and(|(end, _)| end <= at);
            let ended: Vec<Pid> = self.procs.iter().filter(|(_, p)| due(p)).map(|(pid, _)| *pid).collect();
            for pid in ended {
                self.exit(pid);
            }
            self.end_heirs();
            while self.answer_hook() {}
            self.let_speak();
            // What becomes due because of a tick gets a tick of its own, and that must be the end of it.
            for _ in 0..3 {
                if self.arbiter.deadline().is_some_and(|at| at <= self.now) {
                    self.send(Event::Tick);
                }
            }
            let next = self.arbiter.deadline();
            assert!(next.is_none_or(|at| at > self.now), "the deadline stays in the past");
        }
        self.now = until;
    }

    fn exit(&mut self, pid: Pid) {
        let proc = self.procs.get_mut(&pid).unwrap();
        let (exit, Script { broken, shortage, .. }) = (proc.ends.unwrap().1, proc.script);
        if broken && matches!(exit, Exit::Code(_)) {
            self.send(Event::NeverRan { pid, reason: NO_FILE.into(), shortage });
        }
        self.procs.get_mut(&pid).unwrap().zombie = true;
        self.exits.insert(pid, exit);
        self.send(Event::Exited { pid, exit });
    }

    /// circus stands still, and its processes with it.
    fn freeze(&mut self, seconds: f64) {
        self.now = self.now.plus(seconds);
        for proc in self.procs.values_mut() {
            proc.ends = proc.ends.map(|(at, exit)| (at.plus(seconds), exit));
            proc.speaks = proc.speaks.map(|(at, notice)| (at.plus(seconds), notice));
        }
        for hook in self.hooks.values_mut() {
            hook.ends = hook.ends.map(|at| at.plus(seconds));
        }
        self.heeding.values_mut().for_each(|at| *at = at.plus(seconds));
        self.send(Event::Overslept { seconds });
    }

    /// Something comes to the sockets of all who wait for it.
    fn connect(&mut self) {
        for watcher in self.looked_at.clone() {
            if self.looked_at.remove(&watcher) {
                self.send(Event::SocketReady { watcher });
            }
        }
    }

    fn kill9(&mut self, pid: Pid) {
        self.procs.get_mut(&pid).unwrap().ends = Some((self.now, Exit::Signal(9)));
        self.exit(pid);
    }

    fn run(&mut self, seconds: f64) {
        self.run_to(self.now.plus(seconds));
    }

    fn order(&mut self, order: Order) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.asked.insert(ticket);
        if std::env::var_os("CIRCUS_SIM_TRACE").is_some() {
            eprintln!("{:?} {ticket:?} {order:?}", self.now);
        }
        let targets = match &order {
            Order::Start { who: Select::Match { pattern, .. }, .. }
            | Order::Stop { who: Select::Match { pattern, .. }, .. }
            | Order::Restart { who: Select::Match { pattern, .. }, .. } => {
                self.arbiter.find(pattern).map(|w| vec![w.id])
            }
            _ => None,
        };
        self.send(Event::Order { ticket, order, targets, by: Rc::default() });
        ticket
    }

    fn pids(&self, name: &str) -> Vec<Pid> {
        self.arbiter.find(name).map(|w| w.pids()).unwrap_or_default()
    }

    fn status(&self, name: &str) -> &'static str {
        self.arbiter.find(name).map_or("gone", |w| w.status().word())
    }

    /// What must hold at all times.
    fn check(&mut self) {
        let mut seen = BTreeSet::new();
        for watcher in self.arbiter.watchers.values() {
            let running = watcher.processes().filter(|p| p.phase == Phase::Running).count();
            assert_eq!(running, watcher.running, "{}: running", watcher.config.name);
            let held = watcher.processes().filter(|p| p.holds_slot).count();
            assert_eq!(held, watcher.held, "{}: held", watcher.config.name);
            let alive = watcher.processes().filter(|p| !matches!(p.phase, Phase::Dead { .. })).count();
            let excused = alive > 1 && self.excused.contains(&watcher.id);
            if !excused {
                self.excused.remove(&watcher.id);
            }
            let singleton = watcher.config.options.singleton;
            assert!(!singleton || alive <= 1 || excused, "{} runs twice", watcher.config.name);
            for process in watcher.processes() {
                assert!(seen.insert(process.pid), "{} is in two places", process.pid);
                let zombie = self
                    .procs
                    .get(&process.pid)
                    .unwrap_or_else(|| panic!("{} is no child", process.pid))
                    .zombie;
                assert!(
                    !zombie || matches!(process.phase, Phase::Dead { .. }),
                    "{} was not noticed",
                    process.pid
                );
            }
            if watcher.status() == Status::Stopped {
                assert_eq!(watcher.processes().count(), 0, "{} is stopped", watcher.config.name);
                let left = |pid: &Pid| self.modes[pid].0 == watcher.id && self.modes[pid].1 != "process";
                let left =
                    self.groups.iter().chain(&self.strays).find(|pid| left(pid) && self.is_left(**pid));
                assert_eq!(left, None, "{} is stopped, but something is left", watcher.config.name);
            }
            self.check_hooks(watcher);
            pulse::check(watcher);
            relations::check(&self.arbiter, watcher);
            watcher.history().check(watcher.status());
            let looks = matches!(watcher.demand.look, Look::Asked | Look::Since(_));
            assert_eq!(looks, self.looked_at.contains(&watcher.id), "{} is looked at", watcher.config.name);
            assert!(!looks || watcher.status() == Status::Stopped, "{} runs and waits", watcher.config.name);
            let reloading = matches!(watcher.reload, Some(Reload::Spawning { .. }));
            let most = watcher.config.wanted() + watcher.doubled();
            assert!(
                reloading
                    || watcher.held + watcher.retries.len() + watcher.held_slots() <= most.max(watcher.held),
                "{}: slots",
                watcher.config.name
            );
        }
        assert_eq!(seen, self.arbiter.pids.keys().copied().collect(), "the table of pids");
        let called = self.arbiter.watchers.values().flat_map(|w| w.calls.keys().copied());
        let called: BTreeSet<HookId> = called.collect();
        assert_eq!(called, self.hooks.keys().copied().collect(), "a hook without a watcher, or the reverse");
    }

    /// What hangs on a hook is there, and what waits for one has one.
    fn check_hooks(&self, watcher: &super::Watcher) {
        let name = &watcher.config.name;
        for call in watcher.calls.values() {
            let fits = match call.then {
                Then::Begin => watcher.status() == Status::Starting && watcher.processes().count() == 0,
                Then::Activate => watcher.status() == Status::Starting,
                Then::Spawn => watcher.spawning.is_some_and(|s| s.step == Step::Asking),
                Then::Keep => watcher.spawning.is_some_and(|s| s.step == Step::Confirming),
                Then::Stop | Then::Rest => watcher.status() == Status::Stopping,
                Then::Reloaded { pid } => {
                    matches!(&watcher.reload, Some(Reload::Commands { current, .. }) if *current == Some(pid))
                }
                Then::Ask { .. }
                | Then::Signal { .. }
                | Then::Stopped { .. }
                | Then::Reaped(_)
                | Then::Nothing => watcher.status() != Status::Stopped,
                Then::Probed { wid, pid } => {
                    watcher.processes().any(|p| (p.wid, p.pid, p.phase) == (wid, pid, Phase::Running))
                }
            };
            assert!(fits, "{name}: {:?} while it is {}", call.then, watcher.status().word());
        }
        let waits = |then| watcher.calls.values().filter(|call| call.then == then).count();
        match watcher.spawning.map(|spawning| spawning.step) {
            Some(Step::Asking) => assert_eq!(waits(Then::Spawn), 1, "{name}"),
            Some(Step::Confirming) => assert_eq!(waits(Then::Keep), 1, "{name}"),
            Some(Step::Making) | None => {}
        }
        if let Some(Reload::Commands { current, .. }) = &watcher.reload {
            let waits = current.map(|pid| waits(Then::Reloaded { pid }));
            assert!(waits.is_none_or(|calls| calls == 1), "{name}: reload_command");
        }
        let before_stop = watcher.spares_processes();
        for process in watcher.processes() {
            let runs = process.phase == Phase::Running;
            assert!(!runs || watcher.status() != Status::Stopping || before_stop, "{name}: not asked to end");
        }
    }
}

trait MinByTime {
    fn min_by_time(self, other: Self) -> Self;
}
impl MinByTime for (Time, Exit) {
    fn min_by_time(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }
}

fn hooked(name: &str, numprocesses: i64, hooks: &[&str]) -> WatcherConfig {
    let mut config = watcher(name, numprocesses);
    config.hooks.extend(hooks.iter().map(|hook| (hook.to_string(), ("/hook".to_string(), false))));
    config
}

fn only(name: &str) -> Select {
    Select::Match { pattern: name.into(), how: Matching::Simple }
}

#[test]
fn watchers_start_and_dead_processes_are_replaced_at_once() {
    let mut world = World::booted(vec![watcher("web", 3), watcher("db", 1)]);
    assert_eq!((world.status("web"), world.pids("web").len(), world.pids("db").len()), ("active", 3, 1));
    world.run(2.0);
    let victim = world.pids("web")[0];
    world.kill9(victim);
    assert_eq!(world.pids("web").len(), 3, "replaced in the same instant");
    assert!(!world.pids("web").contains(&victim));
    assert!(
        world
            .published
            .contains(&("web".into(), Published::Reap { pid: victim, exit: Exit::Signal(9), oom: false }))
    );
}

#[test]
fn a_process_that_exits_at_once_is_respawned_with_a_growing_delay() {
    let mut world = World::new(vec![watcher("bad", 1)]);
    world.scripts.insert("bad".into(), Script { lives: Some(0.001), ..GOOD });
    world.send(Event::Start);
    let start = world.now;
    world.run(60.0);
    let at: Vec<f64> = world.spawns.iter().map(|(t, _)| (t.since(start) * 10.0).round() / 10.0).collect();
    assert_eq!(at, [0.0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 12.7, 22.7, 32.7, 42.7, 52.7]);
    assert_eq!(world.status("bad"), "active", "a watcher in back-off stays active");
}

#[test]
fn warmup_delay_sets_the_pace_of_all_spawns() {
    let mut config = watcher("flapping", 1);
    config.options.warmup_delay = 5.0;
    let mut world = World::new(vec![config]);
    world.scripts.insert("flapping".into(), Script { lives: Some(0.001), ..GOOD });
    world.send(Event::Start);
    world.run(60.0);
    assert!(world.spawns.windows(2).all(|w| w[1].0.since(w[0].0) >= 5.0));
    assert!((6..=13).contains(&world.spawns.len()), "{}", world.spawns.len());
}

#[test]
fn what_cannot_be_executed_stops_its_watcher_alone_after_max_retry() {
    let mut world = World::new(vec![watcher("broken", 2), watcher("good", 1)]);
    world.scripts.insert("broken".into(), Script { broken: true, ..GOOD });
    world.send(Event::Start);
    assert_eq!(world.status("good"), "active", "nobody's trouble delays another");
    let ticket = world.order(Order::Start { who: only("broken"), waiting: true });
    world.run(20.0);
    assert_eq!(world.status("broken"), "stopped");
    assert!(world.spawns.iter().filter(|(_, n)| n == "broken").count() <= 11);
    assert!(
        matches!(&world.replies[&ticket], Reply::Error { errno: Errno::Failed, reason } if reason.contains("No such file"))
    );
    assert_eq!(world.status("good"), "active");
}

#[test]
fn what_the_machine_is_short_of_uses_up_no_max_retry() {
    let mut world = World::new(vec![watcher("web", 1)]);
    world.scripts.insert("web".into(), Script { broken: true, shortage: true, ..GOOD });
    world.send(Event::Start);
    let ticket = world.order(Order::Start { who: only("web"), waiting: true });
    world.run(600.0);
    assert!((60..=70).contains(&world.spawns.len()), "{} tries", world.spawns.len());
    assert!(matches!(&world.replies[&ticket], Reply::Error { .. }), "who waits is told so");
    world.scripts.clear();
    world.run(11.0);
    assert_eq!((world.status("web"), world.procs.len()), ("active", 1));
    // A fault of its own counts as if nothing had been before.
    world.scripts.insert("web".into(), Script { broken: true, ..GOOD });
    let before = world.spawns.len();
    world.order(Order::Restart { who: only("web"), waiting: false });
    world.run(20.0);
    assert_eq!((world.status("web"), world.spawns.len() - before), ("stopped", 5));
}

#[test]
fn a_process_that_is_held_before_it_is_its_program_can_be_stopped() {
    let mut world = World::new(vec![watcher("web", 1)]);
    let script = Script { broken: true, late: true, lives: Some(100.0), obeys: None, ..GOOD };
    world.scripts.insert("web".into(), script);
    world.send(Event::Start);
    world.run(2.0);
    let ticket = world.order(Order::Stop { who: only("web"), waiting: true });
    world.run(31.0);
    assert!(matches!(&world.replies[&ticket], Reply::Stopped), "{:?}", world.replies[&ticket]);
    assert_eq!((world.status("web"), world.procs.len()), ("stopped", 0));
}

#[test]
fn max_retry_below_zero_goes_on_for_ever() {
    let mut config = watcher("broken", 1);
    config.options.max_retry = -1;
    let mut world = World::new(vec![config]);
    world.scripts.insert("broken".into(), Script { broken: true, ..GOOD });
    world.send(Event::Start);
    world.run(600.0);
    assert!(world.spawns.len() > 60);
    world.scripts.clear();
    world.run(11.0);
    assert_eq!(world.status("broken"), "active");
}

#[test]
fn who_waits_for_what_cannot_start_is_told_so() {
    let mut config = watcher("broken", 1);
    config.options.max_retry = -1;
    let mut world = World::new(vec![config]);
    world.scripts.insert("broken".into(), Script { broken: true, ..GOOD });
    world.send(Event::Start);
    let name = || "broken".to_string();
    let options = vec![("numprocesses".to_string(), Value::Int(3))];
    let tickets = [
        Order::Reload { name: Some(name()), graceful: true, sequential: false, waiting: true },
        Order::Change { name: name(), by: 1, waiting: true },
        Order::Set { name: name(), options, waiting: true },
    ]
    .map(|order| world.order(order));
    world.run(60.0);
    for ticket in tickets {
        let reply = world.replies.get(&ticket);
        assert!(matches!(reply, Some(Reply::Error { errno: Errno::Failed, .. })), "{ticket:?} got {reply:?}");
    }
}

#[test]
fn a_sequential_reload_whose_first_process_ends_at_once_is_given_up() {
    let mut config = watcher("web", 4);
    config.options.warmup_delay = 1.0;
    let mut world = World::booted(vec![config]);
    world.run(5.0);
    world.scripts.insert("web".into(), Script { lives: Some(0.001), ..GOOD });
    let name = Some("web".into());
    let old = world.pids("web");
    let ticket = world.order(Order::Reload { name, graceful: true, sequential: true, waiting: true });
    world.run(60.0);
    let reply = world.replies.get(&ticket);
    assert!(matches!(reply, Some(Reply::Error { errno: Errno::Failed, .. })), "{reply:?}");
    assert_eq!(world.pids("web").iter().filter(|pid| old.contains(pid)).count(), 3, "the others stay");
}

#[test]
fn stop_asks_waits_and_kills_the_group() {
    let mut world = World::new(vec![watcher("deaf", 1)]);
    world.scripts.insert("deaf".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    let pid = world.pids("deaf")[0];
    let ticket = world.order(Order::Stop { who: only("deaf"), waiting: true });
    world.run(4.9);
    assert_eq!((world.status("deaf"), world.replies.len()), ("stopping", 0));
    world.run(0.2);
    assert_eq!(world.status("deaf"), "stopped");
    assert_eq!(world.signals, [(pid, 15), (pid, 9), (pid, 9)]);
    assert_eq!(world.replies[&ticket], Reply::Stopped);
}

#[test]
fn so_many_clients_wait_and_no_more() {
    let mut world = World::new(vec![watcher("deaf", 1)]);
    world.scripts.insert("deaf".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    let stop = |waiting| Order::Stop { who: only("deaf"), waiting };
    for _ in 0..super::waiters::MOST_WAITING {
        world.order(stop(true));
    }
    assert_eq!(world.replies.len(), 0, "all of them wait");
    let one_more = world.order(stop(true));
    assert!(matches!(&world.replies[&one_more], Reply::Error { errno: Errno::Conflict, .. }));
    let no_waiting = world.order(stop(false));
    assert_eq!(world.replies[&no_waiting], Reply::Ok);
    // Circus ends when it is told to, whoever waits for that.
    let quit = world.order(Order::Quit { waiting: true });
    assert!(matches!(&world.replies[&quit], Reply::Error { errno: Errno::Conflict, .. }));
    world.run(5.1);
    assert!(world.exited);
}

#[test]
fn a_group_that_outlives_its_leader_is_killed_at_the_deadline() {
    let mut world = World::new(vec![watcher("parent", 1)]);
    world.scripts.insert("parent".into(), Script { leaves: true, ..GOOD });
    world.send(Event::Start);
    world.order(Order::Stop { who: Select::All, waiting: false });
    world.run(1.0);
    assert_eq!(world.status("parent"), "stopping", "its leader is gone, its group is not");
    world.run(4.1);
    assert_eq!((world.status("parent"), world.groups.len()), ("stopped", 0));
}

#[test]
fn members_left_by_one_that_is_not_replaced_are_left_alone_until_the_stop() {
    let mut parent = watcher("parent", 2);
    parent.options.respawn = Respawn::Never;
    let mut world = World::new(vec![parent]);
    world.scripts.insert("parent".into(), Script { leaves: true, ..GOOD });
    world.send(Event::Start);
    world.run(2.0);
    let first = world.pids("parent")[0];
    world.kill9(first);
    world.run(100.0);
    assert!(world.groups.contains(&first));
    world.order(Order::Stop { who: Select::All, waiting: false });
    world.run(6.0);
    assert_eq!((world.status("parent"), world.groups.len()), ("stopped", 0));
}

#[test]
fn a_group_that_ended_unseen_is_forgotten_when_its_number_is_a_process_again() {
    let mut parent = watcher("parent", 2);
    parent.options.respawn = Respawn::Never;
    let mut world = World::new(vec![parent]);
    world.scripts.insert("parent".into(), Script { leaves: true, ..GOOD });
    world.send(Event::Start);
    let first = world.pids("parent")[0];
    world.run(2.0);
    world.scripts.clear();
    world.kill9(first);
    world.groups.clear();
    world.next_pid = first;
    world.arbiter.insert(watcher("other", 1));
    world.order(Order::Start { who: only("other"), waiting: false });
    assert_eq!(world.pids("other"), [first]);
    world.order(Order::Stop { who: only("parent"), waiting: false });
    world.run(1.0);
    assert_eq!((world.status("parent"), world.status("other")), ("stopped", "active"));
}

#[test]
fn a_stop_overtakes_a_start() {
    let mut config = watcher("slow", 10);
    config.options.warmup_delay = 1.0;
    let mut world = World::booted(vec![config]);
    let start = world.order(Order::Start { who: only("slow"), waiting: true });
    world.run(3.5);
    assert_eq!((world.status("slow"), world.pids("slow").len()), ("starting", 4));
    let stop = world.order(Order::Stop { who: only("slow"), waiting: true });
    world.run(0.1);
    assert_eq!(world.status("slow"), "stopped");
    assert!(matches!(world.replies[&start], Reply::Error { .. }), "told what happened");
    assert_eq!(world.replies[&stop], Reply::Stopped);
}

#[test]
fn reload_has_the_new_processes_before_the_old_ones_end() {
    let mut world = World::booted(vec![watcher("web", 4)]);
    world.run(5.0);
    let old = world.pids("web");
    let ticket = world.order(Order::Reload {
        name: Some("web".into()),
        graceful: true,
        sequential: false,
        waiting: true,
    });
    assert_eq!(world.pids("web").len(), 8, "both generations");
    world.run(0.1);
    let new = world.pids("web");
    assert!(new.len() == 4 && new.iter().all(|pid| !old.contains(pid)));
    assert_eq!(world.replies[&ticket], Reply::Info { started: new, stopped: Some(old), kept: vec![] });
    let wids: Vec<u32> = world.arbiter.find("web").unwrap().processes().map(|p| p.wid).collect();
    assert_eq!(wids, [5, 6, 7, 8], "the numbers alternate, as in Circus");
}

#[test]
fn a_reload_that_cannot_start_leaves_the_old_processes() {
    let mut world = World::booted(vec![watcher("web", 3)]);
    world.run(5.0);
    let old = world.pids("web");
    world.scripts.insert("web".into(), Script { broken: true, ..GOOD });
    let ticket = world.order(Order::Reload {
        name: Some("web".into()),
        graceful: true,
        sequential: false,
        waiting: true,
    });
    world.run(30.0);
    assert_eq!(world.pids("web"), old);
    assert!(
        matches!(&world.replies[&ticket], Reply::Error { reason, .. } if reason.contains("not reloaded"))
    );
}

#[test]
fn a_reload_that_was_given_up_takes_the_next_one_with_it() {
    let mut config = watcher("web", 3);
    config.options.graceful_timeout = 1000.0;
    let mut world = World::new(vec![config]);
    world.scripts.insert("web".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    world.run(5.0);
    let reload =
        || Order::Reload { name: Some("web".into()), graceful: true, sequential: true, waiting: false };
    world.order(reload());
    world.order(reload());
    world.scripts.insert("web".into(), Script { broken: true, ..GOOD });
    let first = world.signals[0].0;
    world.kill9(first);
    world.run(1.0);
    world.scripts.clear();
    world.run(20.0);
    let before = world.arbiter.find("web").unwrap().generation;
    world.order(Order::Reload {
        name: Some("web".into()),
        graceful: true,
        sequential: false,
        waiting: false,
    });
    world.run(2000.0);
    assert_eq!(world.arbiter.find("web").unwrap().generation, before + 1);
}

#[test]
fn a_process_that_dies_at_once_after_a_reload_does_not_make_circus_spin() {
    let mut world = World::new(vec![watcher("web", 3)]);
    world.scripts.insert("web".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    world.run(5.0);
    world.scripts.insert("web".into(), Script { lives: Some(0.001), ..GOOD });
    let before = world.spawns.len();
    for sequential in [false, true] {
        world.order(Order::Reload { name: Some("web".into()), graceful: true, sequential, waiting: false });
        world.run(4.0);
    }
    assert!(world.spawns.len() - before < 60, "{} spawns in 8 s", world.spawns.len() - before);
}

#[test]
fn sequential_reload_replaces_one_after_the_other() {
    let mut config = watcher("web", 3);
    config.options.warmup_delay = 1.0;
    let mut world = World::booted(vec![config]);
    world.run(10.0);
    let old = world.pids("web");
    let ticket = world.order(Order::Reload { name: None, graceful: true, sequential: true, waiting: true });
    for n in 1..=3 {
        world.run(0.5);
        let left = world.pids("web").iter().filter(|pid| old.contains(pid)).count();
        assert_eq!(left, 3 - n);
        world.run(0.6);
    }
    assert!(matches!(world.replies[&ticket], Reply::Info { .. }));
}

#[test]
fn a_singleton_never_runs_twice() {
    let mut config = watcher("one", 1);
    config.options.singleton = true;
    let mut world = World::booted(vec![config]);
    world.run(2.0);
    world.order(Order::Reload {
        name: Some("one".into()),
        graceful: true,
        sequential: false,
        waiting: false,
    });
    assert_eq!(world.pids("one").len(), 1);
    world.run(1.0);
    assert_eq!(world.pids("one").len(), 1);
    let ticket = world.order(Order::Change { name: "one".into(), by: 3, waiting: true });
    assert_eq!(world.replies[&ticket], Reply::Numprocesses { count: 1, singleton: true });
}

#[test]
fn incr_and_decr_change_the_number_and_end_the_oldest() {
    let mut world = World::booted(vec![watcher("web", 2)]);
    world.run(1.0);
    let old = world.pids("web");
    let up = world.order(Order::Change { name: "WEB".into(), by: 2, waiting: true });
    assert_eq!(world.pids("web").len(), 4);
    assert_eq!(world.replies[&up], Reply::Numprocesses { count: 4, singleton: false });
    world.run(1.0);
    let down = world.order(Order::Change { name: "web".into(), by: -2, waiting: true });
    world.run(0.1);
    assert!(world.pids("web").iter().all(|pid| !old.contains(pid)), "the oldest end first");
    assert_eq!(world.replies[&down], Reply::Numprocesses { count: 2, singleton: false });
    world.order(Order::Change { name: "web".into(), by: -100, waiting: false });
    world.run(0.1);
    assert_eq!((world.status("web"), world.pids("web").len()), ("active", 0));
    world.order(Order::Change { name: "web".into(), by: 1, waiting: false });
    assert_eq!(world.pids("web").len(), 1);
}

#[test]
fn a_watcher_that_was_to_have_no_process_starts_when_it_is_to_have_one() {
    let change = |by| Order::Change { name: "w".into(), by, waiting: true };
    let set = |count| Order::Set {
        name: "w".into(),
        options: vec![("numprocesses".into(), Value::Int(count))],
        waiting: true,
    };
    for singleton in [false, true] {
        for more in [change(1), set(1)] {
            let mut w = watcher("w", 0);
            w.options.singleton = singleton;
            let mut world = World::booted(vec![w]);
            assert_eq!((world.status("w"), world.spawns.len()), ("stopped", 0));
            world.order(more.clone());
            assert_eq!((world.status("w"), world.pids("w").len()), ("active", 1), "{singleton} {more:?}");
            // It can be emptied and filled again, also over a stop and a start.
            world.order(set(0));
            world.run(1.0);
            assert_eq!((world.status("w"), world.pids("w").len()), ("active", 0));
            world.order(more.clone());
            assert_eq!(world.pids("w").len(), 1);
            world.order(set(0));
            world.order(Order::Restart { who: only("w"), waiting: false });
            world.run(1.0);
            assert_eq!(world.status("w"), "stopped");
            world.order(more.clone());
            assert_eq!((world.status("w"), world.pids("w").len()), ("active", 1));
            // What somebody has stopped stays so.
            world.order(Order::Stop { who: only("w"), waiting: false });
            world.order(set(0));
            world.order(more.clone());
            world.run(1.0);
            assert_eq!(world.status("w"), "stopped");
        }
    }
}

#[test]
fn without_respawn_the_watcher_ends_with_its_last_process() {
    let mut config = watcher("job", 2);
    config.options.respawn = Respawn::Never;
    let mut world = World::booted(vec![config]);
    world.run(0.1);
    let pids = world.pids("job");
    world.kill9(pids[0]);
    assert_eq!((world.status("job"), world.pids("job").len()), ("active", 1));
    world.order(Order::Start { who: only("job"), waiting: false });
    assert_eq!(world.pids("job").len(), 2, "start fills the empty slots");
    for pid in world.pids("job") {
        world.kill9(pid);
    }
    assert_eq!(world.status("job"), "stopped");
}

#[test]
fn max_age_replaces_processes_by_and_by() {
    let mut config = watcher("aging", 15);
    config.options.max_age = 10;
    config.options.max_age_variance = 5;
    config.options.use_sockets = true;
    let mut world = World::booted(vec![config]);
    let old = world.pids("aging");
    let limits = |world: &World| -> Vec<Option<Time>> {
        world.arbiter.find("aging").expect("it").processes().map(|process| process.expires).collect()
    };
    let drawn = limits(&world);
    assert!(drawn.iter().any(|limit| *limit != drawn[0]), "each process has a limit of its own");
    for _ in 0..10 {
        world.run(0.99);
        world.send(Event::Tick);
    }
    assert_eq!((world.pids("aging"), limits(&world)), (old.clone(), drawn), "drawn once");
    world.run(5.6);
    assert_eq!(world.pids("aging").len(), 15);
    assert!(world.pids("aging").iter().all(|pid| !old.contains(pid)));
}

#[test]
fn kill_shortens_the_patience_and_the_process_is_replaced() {
    let mut world = World::new(vec![watcher("deaf", 1)]);
    world.scripts.insert("deaf".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    let pid = world.pids("deaf")[0];
    let stop = world.order(Order::Kill {
        name: "deaf".into(),
        pid: Some(pid),
        signum: Some(2),
        graceful_timeout: Some(1.0),
        waiting: true,
    });
    world.run(1.1);
    assert_eq!(world.replies[&stop], Reply::Ok);
    assert_eq!(world.pids("deaf").len(), 1);
    assert_ne!(world.pids("deaf")[0], pid);
    let none = world.order(Order::Kill {
        name: "deaf".into(),
        pid: Some(1),
        signum: None,
        graceful_timeout: None,
        waiting: false,
    });
    assert!(
        matches!(&world.replies[&none], Reply::Error { reason, .. } if reason == "process 1 not found in 'deaf'")
    );
}

#[test]
fn set_is_all_or_nothing_and_reloads_when_it_must() {
    let mut world = World::booted(vec![watcher("web", 1)]);
    world.run(1.0);
    let old = world.pids("web");
    let set = |options: &[(&str, Value)]| Order::Set {
        name: "web".into(),
        options: options.iter().map(|(k, v)| (k.to_string(), v.clone())).collect(),
        waiting: true,
    };
    let bad = world.order(set(&[("numprocesses", Value::Int(4)), ("nonsense", Value::Int(4))]));
    assert!(
        matches!(&world.replies[&bad], Reply::Error { reason, .. } if reason == "unknown key 'nonsense'")
    );
    assert_eq!(world.pids("web"), old);
    world.order(set(&[("numprocesses", Value::Int(2))]));
    assert!(world.pids("web").len() == 2 && world.pids("web").contains(&old[0]));
    world.order(set(&[("args", Value::Str("-v".into()))]));
    world.run(1.0);
    assert!(world.pids("web").len() == 2 && !world.pids("web").contains(&old[0]));
}

#[test]
fn add_and_rm() {
    let mut world = World::booted(vec![]);
    let add = |name: &str, start| Order::Add {
        name: name.into(),
        cmd: "worker".into(),
        args: None,
        options: vec![("numprocesses".into(), Value::Int(2))],
        start,
        waiting: true,
    };
    let t = world.order(add("New", true));
    assert!(matches!(&world.replies[&t], Reply::Added { started, .. } if started.len() == 2));
    let t = world.order(add("new", true));
    assert!(matches!(&world.replies[&t], Reply::Error { errno: Errno::Conflict, .. }));
    let t = world.order(Order::Rm { name: "NEW".into(), nostop: false, waiting: true });
    assert_eq!(world.status("new"), "gone");
    world.run(1.0);
    assert_eq!((&world.replies[&t], world.procs.len()), (&Reply::Ok, 0));
    world.order(add("new", true));
    let kept = world.pids("new");
    world.order(Order::Rm { name: "new".into(), nostop: true, waiting: false });
    world.run(1.0);
    assert!(kept.iter().all(|pid| world.procs.contains_key(pid)));
    world.kill9(kept[0]);
    assert!(!world.procs.contains_key(&kept[0]), "reaped all the same");
}

#[test]
fn what_commands_add_has_bounds() {
    let mut world = World::booted(vec![watcher("web", 1)]);
    let options = |bytes| vec![("env".into(), Value::Map([("A".to_string(), "x".repeat(bytes))].into()))];
    let add = |n: usize, bytes| Order::Add {
        name: format!("w{n}"),
        cmd: "worker".into(),
        args: None,
        options: options(bytes),
        start: false,
        waiting: false,
    };
    let set = |bytes| Order::Set { name: "web".into(), options: options(bytes), waiting: false };
    let full = |reply: &Reply| matches!(reply, Reply::Error { errno: Errno::Conflict, .. });
    for (n, bytes, too_much) in [(0, 12 << 20, false), (1, 5 << 20, true), (2, 3 << 20, false)] {
        let t = world.order(add(n, bytes));
        assert_eq!(full(&world.replies[&t]), too_much, "{n}");
    }
    for (bytes, too_much) in
        [(2 << 20, true), (900 << 10, false), (900 << 10, false), (0, false), (900 << 10, false)]
    {
        let t = world.order(set(bytes));
        assert_eq!(full(&world.replies[&t]), too_much, "the same again takes no more: {bytes}");
    }
    world.order(Order::Rm { name: "w0".into(), nostop: false, waiting: false });
    let t = world.order(set(5 << 20));
    assert!(!full(&world.replies[&t]), "what was removed makes room");
    let most = crate::config::model::MOST_WATCHERS;
    let mut arbiter = Arbiter::new((1..most).map(|n| watcher(&format!("of-file-{n}"), 1)).collect(), 0.0, 1);
    for n in 0..3 {
        let by = Rc::default();
        let order = Event::Order { ticket: Ticket(n), order: add(n as usize, 0), targets: None, by };
        let mut actions = Vec::new();
        arbiter.handle(Time(1), order, &mut actions);
        let refused = actions.iter().any(|a| matches!(a, Action::Reply { reply, .. } if full(reply)));
        assert_eq!(refused, n > 0);
    }
}

#[test]
fn start_order_is_by_priority_with_the_pause_between() {
    let mut config = [watcher("a", 1), watcher("b", 1), watcher("c", 1)];
    config[1].options.priority = 10;
    config[2].options.autostart = false;
    let mut world = World::new(config.to_vec());
    world.set_warmup_delay(2.0);
    world.send(Event::Start);
    assert_eq!((world.status("a"), world.status("b")), ("stopped", "active"));
    world.run(2.1);
    assert_eq!((world.status("a"), world.status("c")), ("active", "stopped"));
    let t = world.order(Order::Restart { who: Select::All, waiting: true });
    world.run(0.5);
    assert_eq!((world.status("a"), world.status("b")), ("stopped", "active"));
    world.run(3.0);
    assert_eq!((world.status("a"), world.replies.get(&t)), ("active", Some(&Reply::Ok)));
}

#[test]
fn a_start_is_over_when_the_last_process_has_warmed_up() {
    let mut first = watcher("first", 2);
    first.options.warmup_delay = 5.0;
    let mut world = World::new(vec![first, watcher("second", 1)]);
    world.send(Event::Start);
    let ticket = world.order(Order::Start { who: only("first"), waiting: true });
    world.run(9.9);
    assert_eq!((world.pids("first").len(), world.status("first")), (2, "starting"));
    assert_eq!((world.status("second"), world.replies.get(&ticket)), ("stopped", None));
    world.run(0.2);
    assert_eq!((world.status("first"), world.status("second")), ("active", "active"));
    assert!(matches!(world.replies[&ticket], Reply::Info { .. }));
}

#[test]
fn a_signal_ends_everything_even_during_the_start_and_twice_at_once() {
    let mut slow = watcher("slow", 5);
    slow.options.warmup_delay = 3.0;
    slow.options.graceful_timeout = 600.0;
    let mut world = World::new(vec![slow, watcher("z", 1)]);
    world.scripts.insert("slow".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    world.run(4.0);
    world.send(Event::Terminate);
    world.run(100.0);
    assert!(!world.exited && world.signals.iter().all(|(_, signum)| *signum != 9));
    world.send(Event::Terminate);
    world.run(0.1);
    assert!(world.exited && world.procs.is_empty());
    let said =
        |(level, text): &&(Level, String)| *level == Level::Warning && text.contains("asked to end again");
    assert_eq!(world.log.iter().filter(said).count(), 1);
}

/// A process whose spawn was under way when circus was asked for the second time is not waited for either.
#[test]
fn a_hurry_holds_for_whatever_comes_later() {
    let mut stubborn = watcher("w", 2);
    stubborn.options.graceful_timeout = 600.0;
    let id = WatcherId(0);
    let mut arbiter = Arbiter::new(vec![stubborn], 0.0, 1);
    let (now, mut actions) = (Time(1), Vec::new());
    for (seconds, event) in [(0.0, Event::Start), (0.0, Event::Terminate), (2.0, Event::Terminate)] {
        arbiter.handle(now.plus(seconds), event, &mut actions);
    }
    assert!(actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
    actions.clear();
    arbiter.handle(now, Event::Spawned { watcher: id, pid: 7 }, &mut actions);
    let kill = Action::Signal { pid: 7, signum: 9, whom: Whom::Group };
    assert!(actions.contains(&kill), "{actions:?}");
}

/// A wrapper that forwards what its group has had, `timeout`, a manager that sends TERM and then INT.
#[test]
fn two_requests_to_end_within_a_second_are_one() {
    let mut world = World::new(vec![watcher("slow", 1)]);
    world.scripts.insert("slow".into(), Script { obeys: Some(4.0), ..GOOD });
    world.send(Event::Start);
    for pause in [0.0, 0.002, 0.5, 0.49] {
        world.run(pause);
        world.send(Event::Terminate);
    }
    let asked = world.signals.clone();
    world.run(1.0);
    assert!(asked.len() == 1 && world.signals == asked && !world.exited, "{:?}", world.signals);
    world.send(Event::Terminate);
    world.run(0.0);
    assert!(world.exited && world.signals.iter().any(|(_, signum)| *signum == 9), "this one is in a hurry");
}

/// A service manager that runs `circus ctl quit` and sends SIGTERM behind it wants an orderly stop.
#[test]
fn a_command_and_a_signal_are_no_hurry() {
    let mut slow = watcher("slow", 1);
    slow.options.graceful_timeout = 600.0;
    let mut world = World::booted(vec![slow]);
    world.scripts.insert("slow".into(), Script { obeys: Some(60.0), ..GOOD });
    world.order(Order::Quit { waiting: false });
    world.order(Order::Quit { waiting: false });
    world.send(Event::Terminate);
    world.order(Order::Quit { waiting: true });
    world.run(61.0);
    assert!(world.exited && world.signals.iter().all(|(_, signum)| *signum != 9));
}

fn on_demand() -> World {
    let mut config = watcher("lazy", 2);
    config.options.on_demand = true;
    World::booted(vec![config])
}

#[test]
fn on_demand_starts_at_the_first_use_and_waits_again_when_its_processes_have_ended() {
    let mut world = on_demand();
    world.run(100.0);
    assert_eq!((world.status("lazy"), world.spawns.len(), world.arbiter.deadline()), ("stopped", 0, None));
    world.connect();
    assert_eq!((world.status("lazy"), world.pids("lazy").len()), ("active", 2));
    world.run(5.0);
    let first = world.pids("lazy");
    world.kill9(first[0]);
    assert_eq!(world.pids("lazy"), first[1..], "it is not replaced");
    world.order(Order::Start { who: only("lazy"), waiting: false });
    assert_eq!(world.pids("lazy").len(), 2, "but a start fills its place");
    world.pids("lazy").into_iter().for_each(|pid| world.kill9(pid));
    world.run(1.0);
    assert_eq!((world.status("lazy"), world.looked_at.len()), ("stopped", 1));
    assert!(world.published.contains(&("lazy".into(), Published::Stop)));
    world.connect();
    assert_eq!(world.status("lazy"), "active");
}

#[test]
fn on_demand_obeys_start_stop_and_restart() {
    let mut world = on_demand();
    let stop = world.order(Order::Stop { who: only("lazy"), waiting: true });
    assert_eq!((&world.replies[&stop], world.looked_at.len()), (&Reply::Stopped, 0));
    let start = world.order(Order::Start { who: only("lazy"), waiting: true });
    let nothing = |stopped| Reply::Info { started: vec![], stopped, kept: vec![] };
    assert_eq!((&world.replies[&start], world.looked_at.len()), (&nothing(None), 1));
    let name = Some("lazy".into());
    let reload = world.order(Order::Reload { name, graceful: true, sequential: false, waiting: true });
    assert_eq!(world.replies[&reload], nothing(Some(vec![])));
    world.connect();
    let pids = world.pids("lazy");
    let restart = world.order(Order::Restart { who: only("lazy"), waiting: true });
    world.run(1.0);
    assert_eq!(world.replies[&restart], nothing(Some(pids)));
    assert_eq!((world.status("lazy"), world.looked_at.len()), ("stopped", 1));
    let set = |on| Order::Set {
        name: "lazy".into(),
        options: vec![("on_demand".into(), Value::Bool(on))],
        waiting: true,
    };
    world.order(set(false));
    assert_eq!((world.status("lazy"), world.looked_at.len()), ("active", 0));
    world.order(set(true));
    world.run(1.0);
    assert_eq!(world.status("lazy"), "active", "until its processes end");
    world.send(Event::Terminate);
    world.run(1.0);
    assert!(world.exited);
}

#[test]
fn on_demand_without_sockets_says_so() {
    let mut config = watcher("lazy", 1);
    config.options.on_demand = true;
    let mut world = World::new(vec![config]);
    world.no_sockets = true;
    world.send(Event::Start);
    let start = world.order(Order::Start { who: only("lazy"), waiting: true });
    assert!(matches!(&world.replies[&start], Reply::Error { reason, .. } if reason.contains("no sockets")));
    assert!(world.log.iter().any(|(level, text)| *level == Level::Error && text.contains("no sockets")));
}

/// The sockets are in use again at once after each look, since nobody takes what is there.
#[test]
fn on_demand_does_not_spin_when_its_program_ends_at_once() {
    let mut world = on_demand();
    world.scripts.insert("lazy".into(), Script { lives: Some(0.001), ..GOOD });
    for _ in 0..6000 {
        world.connect();
        world.run(0.01);
    }
    assert!((5..=14).contains(&(world.spawns.len() / 2)), "{} spawns in 60 s", world.spawns.len());
    // After some time without a connection the next one is served at once.
    world.run(20.0);
    let before = world.spawns.len();
    world.connect();
    world.run(0.2);
    world.connect();
    assert_eq!(world.spawns.len(), before + 4);
}

/// A plugin that circus has itself.
fn builtin(name: &str) -> WatcherConfig {
    WatcherConfig { plugin: Some(PluginKind::Builtin(Builtin::Flapping)), ..watcher(name, 1) }
}

#[test]
fn a_plugin_of_circus_itself_is_active_without_a_process() {
    let mut world = World::booted(vec![builtin("p"), watcher("web", 1)]);
    assert_eq!((world.status("p"), world.pids("p").len(), world.status("web")), ("active", 0, "active"));
    let restart = world.order(Order::Restart { who: only("p"), waiting: true });
    let nothing = Reply::Info { started: vec![], stopped: Some(vec![]), kept: vec![] };
    assert_eq!(world.replies[&restart], nothing);
    let stop = world.order(Order::Stop { who: only("p"), waiting: true });
    assert_eq!((&world.replies[&stop], world.status("p")), (&Reply::Stopped, "stopped"));
    let what: Vec<Published> =
        world.published.iter().filter(|(name, _)| name == "p").map(|(_, what)| what.clone()).collect();
    assert_eq!(what, [Published::Start, Published::Stop, Published::Start, Published::Stop]);
    world.order(Order::Start { who: only("p"), waiting: false });
    world.send(Event::Terminate);
    world.run(1.0);
    assert!(world.exited);
}

#[test]
fn a_plugin_of_circus_itself_whose_options_cannot_be_used_does_not_start() {
    let mut config = builtin("p");
    config.broken = Some("no such port".into());
    let mut world = World::booted(vec![config]);
    assert_eq!(world.status("p"), "stopped");
    let start = world.order(Order::Start { who: only("p"), waiting: true });
    assert!(matches!(&world.replies[&start], Reply::Error { reason, .. } if reason.contains("no such port")));
    assert!(world.log.iter().any(|(level, text)| *level == Level::Error && text.contains("no such port")));
}

struct Dice(super::random::Random);
impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0.up_to(sides - 1)
    }
}

fn random_order(dice: &mut Dice) -> Order {
    let name = ["a", "b", "c", "d", "ghost"][dice.roll(5) as usize].to_string();
    let waiting = dice.roll(2) == 0;
    let who = if dice.roll(4) == 0 { Select::All } else { only(&name) };
    match dice.roll(13) {
        12 => Order::Signal {
            name,
            pid: None,
            childpid: None,
            children: dice.roll(4) == 0,
            recursive: dice.roll(4) == 0,
            signum: [9, 10, 15][dice.roll(3) as usize],
        },
        0 | 1 => Order::Start { who, waiting },
        2 => Order::Stop { who, waiting },
        3 => Order::Restart { who, waiting },
        4 | 5 => Order::Reload {
            name: (dice.roll(4) > 0).then_some(name),
            graceful: dice.roll(5) > 0,
            sequential: dice.roll(2) == 0,
            waiting,
        },
        6 | 7 => Order::Change { name, by: dice.roll(7) as i64 - 3, waiting },
        8 => {
            if dice.roll(4) == 0 {
                let key = "hooks.".to_string() + hooks::NAMES[dice.roll(10) as usize];
                let hook = ["/hook", "/hook, true", ""][dice.roll(3) as usize];
                return Order::Set { name, options: vec![(key, Value::Str(hook.into()))], waiting };
            }
            if dice.roll(5) == 0 {
                return Order::Set { name, options: vec![pulse::random_option(dice)], waiting };
            }
            if dice.roll(6) == 0 {
                return Order::Set { name, options: vec![relations::random_option(dice)], waiting };
            }
            let key = ["numprocesses", "max_age", "graceful_timeout", "warmup_delay", "on_demand"]
                [dice.roll(5) as usize];
            let number = dice.roll(5) as i64;
            let value = if key == "on_demand" { Value::Bool(number > 2) } else { Value::Int(number) };
            Order::Set { name, options: vec![(key.into(), value)], waiting }
        }
        9 => Order::Add {
            name,
            cmd: "x".into(),
            args: None,
            options: vec![],
            start: dice.roll(2) == 0,
            waiting,
        },
        10 if dice.roll(3) == 0 => Order::Rm { name, nostop: dice.roll(3) == 0, waiting },
        _ => Order::Kill {
            name,
            pid: None,
            signum: None,
            graceful_timeout: Some(dice.roll(3) as f64),
            waiting,
        },
    }
}

fn random_script(dice: &mut Dice) -> Script {
    Script {
        lives: (dice.roll(3) == 0).then(|| dice.roll(3000) as f64 / 1000.0),
        obeys: (dice.roll(3) > 0).then(|| dice.roll(2000) as f64 / 1000.0),
        code: dice.roll(5) as i32,
        leaves: dice.roll(4) == 0,
        heeds: (dice.roll(2) == 0).then(|| dice.roll(4000) as f64 / 1000.0),
        immortal: dice.roll(8) == 0,
        strays: dice.roll(4) == 0,
        broken: dice.roll(6) == 0,
        ready: (dice.roll(4) > 0).then(|| dice.roll(3000) as f64 / 1000.0),
        beats: (dice.roll(4) > 0).then(|| 0.2 + dice.roll(2000) as f64 / 1000.0),
        shortage: dice.roll(4) == 0,
        late: dice.roll(2) == 0,
    }
}

fn random_hook(dice: &mut Dice) -> HookScript {
    let answers = [Answer::Yes, Answer::No, Answer::Refused("code 1".into()), Answer::Failed("boom".into())];
    let after = [Some(0.0), Some(0.01), Some(dice.roll(4000) as f64 / 1000.0), None];
    (after[dice.roll(4) as usize], answers[dice.roll(4) as usize].clone())
}

/// All is well again for long enough: what is to run does.
fn goals_are_reached(world: &World) {
    for watcher in world.arbiter.watchers.values() {
        let (name, options) = (&watcher.config.name, &watcher.config.options);
        // These may be replacing a process just now.
        let changes = options.max_age > 0 || options.watchdog.is_some() || options.on_demand;
        if watcher.status() != Status::Active || changes {
            continue;
        }
        assert!(watcher.reload.is_none() && watcher.held_slots() == 0, "{name}: {:?}", watcher.reload);
        let excused = watcher.unreplaced + watcher.survivors.len();
        let (running, wanted) = (watcher.running, watcher.config.wanted());
        assert!(running <= wanted && running + excused >= wanted, "{name}: {running} of {wanted}");
    }
}

fn random_life(seed: u64, steps: u32) {
    let mut dice = Dice(super::random::Random::new(seed));
    let related = dice.roll(2) == 0;
    let mut configs: Vec<WatcherConfig> =
        ["a", "b", "c", "d"].iter().map(|n| watcher(n, dice.roll(4) as i64)).collect();
    for config in &mut configs {
        config.options.warmup_delay = dice.roll(3) as f64 / 2.0;
        fate::random_options(config, &mut dice);
        pulse::random_options(config, &mut dice);
        if related {
            relations::random_options(config, &mut dice);
        }
        config.options.singleton = dice.roll(5) == 0;
        config.options.use_sockets = dice.roll(2) == 0;
        config.options.max_age = if dice.roll(3) == 0 { 3 } else { 0 };
        config.options.priority = dice.roll(3) as i64;
        config.options.autostart = dice.roll(4) > 0;
        config.options.max_retry = dice.roll(5) as i64 - 1;
        config.options.send_hup = dice.roll(6) == 0;
        config.options.hook_timeout = 0.5 + dice.roll(4) as f64;
        for hook in hooks::NAMES.iter().take(10) {
            if dice.roll(4) > 0 {
                continue;
            }
            config.hooks.insert(hook.to_string(), ("/hook".into(), dice.roll(3) == 0));
        }
        config.options.on_demand = dice.roll(4) == 0;
        let is_builtin = dice.roll(8) == 0;
        config.plugin = is_builtin.then_some(PluginKind::Builtin(Builtin::WatchDog));
    }
    let mut world = World::new(configs);
    world.set_warmup_delay(dice.roll(2) as f64);
    world.send(Event::Start);
    for _ in 0..steps {
        if world.arbiter.is_ending() {
            break; // it has lost a critical watcher
        }
        let name = ["a", "b", "c", "d"][dice.roll(4) as usize].to_string();
        match dice.roll(11) {
            10 => world.delay_hooks(),
            9 => world.freeze(dice.roll(5000) as f64 / 1000.0),
            8 => world.connect(),
            0 => {
                let script = random_script(&mut dice);
                world.scripts.insert(name, script);
            }
            6 => {
                let commands = [Hook::StopCommand, Hook::ReloadCommand, Hook::Ready, Hook::Health];
                let commands = commands.map(Hook::name);
                let names: Vec<&str> = hooks::NAMES.into_iter().take(10).chain(commands).collect();
                let hook = names[dice.roll(names.len() as u64) as usize];
                world.hook_scripts.insert((name, hook), random_hook(&mut dice));
            }
            7 => world.answer_late(&random_hook(&mut dice).1),
            1 => {
                let alive: Vec<Pid> =
                    world.procs.iter().filter(|(_, p)| !p.zombie).map(|(pid, _)| *pid).collect();
                if !alive.is_empty() {
                    world.kill9(alive[dice.roll(alive.len() as u64) as usize]);
                }
            }
            2 => world.send(Event::Reload),
            3 => {
                if dice.roll(3) > 0 {
                    reconfigure::random_files(&mut world, &mut dice);
                }
                reconfigure::reconfigure(&mut world, &mut dice);
            }
            _ => {
                let order = random_order(&mut dice);
                world.order(order);
            }
        }
        let most = [0, 10, 1000, 5000][dice.roll(4) as usize];
        world.run(dice.roll(most + 1) as f64 / 1000.0);
    }
    let hurry = dice.roll(3) == 0;
    if !hurry {
        world.scripts.clear();
        world.hook_scripts.clear();
        world.run(200.0);
        goals_are_reached(&world);
    }
    let fallen = world.arbiter.is_ending();
    if !world.exited {
        world.send(Event::Terminate);
    }
    if hurry && !world.exited {
        world.run(1.0 + dice.roll(2) as f64);
        world.send(Event::Terminate);
    }
    world.run(if hurry { 5.0 } else { 600.0 });
    assert!(world.exited, "it did not end");
    assert_eq!(fallen, world.fall.is_some(), "who has ended it");
    fate::check_fall(&world);
    let unanswered: Vec<_> = world.asked.iter().filter(|t| !world.replies.contains_key(t)).collect();
    assert!(unanswered.is_empty(), "no reply to {unanswered:?}");
}

/// Many random lives. `CIRCUS_SIM_SEED` and `CIRCUS_SIM_LIVES` repeat one, or make it many more.
#[test]
fn random_lives_keep_the_rules() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    let first = number("CIRCUS_SIM_SEED").unwrap_or(1);
    for seed in first..first + number("CIRCUS_SIM_LIVES").unwrap_or(300) {
        let life = std::panic::catch_unwind(|| random_life(seed, 60));
        assert!(life.is_ok(), "CIRCUS_SIM_SEED={seed} CIRCUS_SIM_LIVES=1 shows it");
    }
}
