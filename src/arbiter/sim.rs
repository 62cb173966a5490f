//! A world for the arbiter: scripted processes, a clock that jumps to the next thing that happens, and rules that
//! must hold after every step.

#![allow(clippy::wildcard_enum_match_arm)]

mod dependencies;
mod deploy;
mod exit_policy;
mod generations;
mod lives;
mod model;
mod on_demand;
mod orders;
mod passing;
mod patience;
mod plan;
mod promises;
mod proven;
mod readiness;
mod reconfigure;
mod reload;
mod remnants;
mod rules;
mod searches;
mod shrink;
mod start;
mod startup;
mod stop;
mod table;
mod trace;
mod with_history;
mod with_hooks;

use super::context::Known;
use super::exit_policy::CriticalExit;
use super::hooks::{About, Answer, HookId, Then};
use super::on_demand::Look;
use super::process::Exit;
use super::readiness::Notice;
use super::reconfigure::NewConfig;
use super::reload::Reload;
use super::request::{Deploy, Edit, Errno, Manner, Matching, Order, Reply, Select, Task, Ticket};
use super::time::Time;
use super::watcher::{Status, Watcher};
use super::{Action, Arbiter, Event, Level, Pid, Published, WatcherId, Whom};
use crate::config::hooks::{self, Hook};
use crate::config::model::{Builtin, PluginKind};
use crate::config::respawn_rule::Respawn;
use crate::config::{Value, WatcherConfig};
use lives::Dice;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    hook: Hook,
    ends: Option<Time>,
    answer: Answer,
}

struct World {
    arbiter: Arbiter,
    now: Time,
    /// By name of the watcher, or that and its args; GOOD when missing.
    scripts: BTreeMap<String, Script>,
    /// What every other process does instead.
    others: BTreeMap<String, Script>,
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
    fall: Option<CriticalExit>,
    /// What is found when the configuration is read again.
    files: Result<NewConfig, String>,
    /// Watchers that became singletons with more than one process, which are on their way out.
    excused: BTreeSet<WatcherId>,
    /// Watchers whose sockets are looked at.
    looked_at: BTreeSet<WatcherId>,
    /// There are no sockets to look at.
    no_sockets: bool,
    promises: promises::Promises,
    patience: patience::Patience,
    /// How many events have come from outside; the rules were checked after each.
    steps: u64,
    /// All that has happened.
    trace: trace::Trace,
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
        let files = NewConfig { watchers: watchers.clone(), ..NewConfig::default() };
        World {
            arbiter: Arbiter::new(watchers, 0.0, 1),
            files: Ok(files),
            excused: BTreeSet::new(),
            now: Time(1_000_000_000),
            scripts: BTreeMap::new(),
            others: BTreeMap::new(),
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
            promises: promises::Promises::default(),
            patience: patience::Patience::default(),
            steps: 0,
            trace: trace::Trace::default(),
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
            self.trace.event(self.now, &event);
            self.note_event(&event);
            self.listen(&event);
            self.arbiter.handle(self.now, event, &mut actions);
            for action in actions {
                self.trace.action(&action);
                self.promise(&action);
                self.wait_for(&action);
                self.perform(action, &mut events);
            }
        }
        self.steps += 1;
        self.check();
        self.check_promises();
        self.check_silence();
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
            Action::LookForDetached { watcher, pid } => {
                if self.is_left(pid) {
                    events.push_back(Event::Detached { watcher });
                }
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
        // A watcher may change and go in one step.
        let Some(watcher) = self.arbiter.watcher(id) else { return };
        if watcher.config.options.singleton && watcher.processes().count() > 1 {
            self.excused.insert(id);
        }
    }

    fn spawn(&mut self, id: WatcherId, wid: u32, events: &mut VecDeque<Event>) {
        let watcher = self.arbiter.watcher(id).expect("a spawn for a watcher that is gone");
        assert!(watcher.processes().all(|p| p.wid != wid), "wid {wid} is taken");
        let (name, mode) = (watcher.config.name.clone(), watcher.making().options.kill_mode.clone());
        let with_args = format!("{name} {}", watcher.making().options.args);
        let other = self.others.get(&name).filter(|_| self.spawns.len() % 2 == 1);
        let script = other.or(self.scripts.get(&with_args)).or(self.scripts.get(&name));
        let script = script.copied().unwrap_or(GOOD);
        self.spawns.push((self.now, name));
        if script.broken && !script.late {
            self.note_end(id, None, script.shortage);
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
        self.note_birth(pid);
        self.look_after(pid);
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
        let watcher_of = self.arbiter.watcher(watcher).unwrap();
        let made = about.pid.map_or(watcher_of.making(), |pid| watcher_of.options_of(pid));
        assert!(
            config.program_of(hook).or(made.program_of(hook)).is_some(),
            "{} has no such hook",
            config.name
        );
        let script = self.hook_scripts.get(&(config.name.clone(), hook.name()));
        let (after, answer) = script.cloned().unwrap_or((Some(0.0), Answer::Yes));
        let ends = after.map(|seconds| self.now.plus(seconds));
        self.called.push((hook, about));
        self.give_time(id, watcher, hook);
        let before = self.hooks.insert(id, Hooked { watcher, hook, ends, answer });
        assert!(before.is_none(), "{id:?} runs already");
    }

    fn order(&mut self, order: impl Into<Order>) -> Ticket {
        let order = order.into();
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.asked.insert(ticket);
        if std::env::var_os("CIRCUS_SIM_TRACE").is_some() {
            eprintln!("{:?} {ticket:?} {order:?}", self.now);
        }
        if let Task::Kill { name, signum: Some(signum), .. } = &order.what {
            // Who names a signal wants it to be sent, whatever was sent before.
            let again: Vec<_> = self.pids(name).into_iter().map(|pid| ("process", pid, *signum)).collect();
            self.told.retain(|told| !again.contains(told));
        }
        let targets = match &order.what {
            Task::Start(Select::Match { pattern, .. })
            | Task::Stop(Select::Match { pattern, .. })
            | Task::Restart(Select::Match { pattern, .. }) => self.arbiter.find(pattern).map(|w| vec![w.id]),
            _ => None,
        };
        self.send(Event::Order { ticket, order, targets, by: Rc::default() });
        ticket
    }

    fn trace_views(&mut self) {
        let World { arbiter, trace, .. } = self;
        trace.fold(&arbiter.deadline().map(|at| at.0));
        arbiter.watchers().for_each(|watcher| trace.view(watcher));
        let names: Vec<String> = arbiter.watchers().map(|watcher| watcher.config.name.clone()).collect();
        for name in names {
            let told = self.told(&name);
            self.trace.fold(&told.last());
        }
    }

    fn pids(&self, name: &str) -> Vec<Pid> {
        self.arbiter.find(name).map(|w| w.pids()).unwrap_or_default()
    }

    fn status(&self, name: &str) -> &'static str {
        self.arbiter.find(name).map_or("gone", |w| w.status().word())
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
