//! The arbiter decides for all watchers.
//!
//! It is a pure state machine. Events go in with the time, actions come out; what an action led to comes back as an
//! event. It reads no clock, does no input or output, holds no descriptor, and cannot fail: an event that it does
//! not expect changes nothing. So all of circus's behaviour can be tried on a clock that is turned by hand.
//!
//! ```text
//!   Event ──▶ Arbiter::handle(now, event, &mut actions) ──▶ Action
//!              │  orders: what clients want            orders.rs, tuning.rs
//!              │  another configuration                reconfigure.rs
//!              │  boot: all watchers up, all down      boot.rs
//!              └─ Watcher: from what is wanted to what is
//!                   spawns, respawns                   watcher.rs, spawning.rs, respawn.rs
//!                   reloads                            reload.rs
//!                   sockets that start it              demand.rs
//!                   asks, kills, waits                 stop.rs, remnants.rs
//!                   clients that wait                  waiters.rs
//!                   programs that are asked            hooks.rs, errands.rs
//!                   who does its work                  pulse.rs
//!                   who depends on whom                relations.rs
//!                   what an end means                  fate.rs
//!                   what has happened to it            history.rs, health.rs
//! ```
//!
//! The daemon calls [`Arbiter::deadline`] before it sleeps and sends [`Event::Tick`] when that time has come. There
//! are no timers to cancel: each deadline is a field of the state that it belongs to.
#![deny(clippy::wildcard_enum_match_arm)]

mod action;
mod boot;
mod demand;
mod errands;
pub mod fate;
mod health;
pub mod history;
pub mod hooks;
mod orders;
mod oversleep;
pub mod process;
pub mod pulse;
mod random;
pub mod reconfigure;
mod relations;
mod reload;
mod remnants;
mod report;
pub mod request;
pub mod respawn;
mod spawning;
mod stop;
pub mod time;
mod tuning;
mod waiters;
pub mod watcher;

#[cfg(test)]
mod sim;

use crate::config::WatcherConfig;
use crate::sorted::Sorted;
pub use action::{Action, Whom};
pub use boot::HURRY_AFTER;
use boot::{Boot, Ending};
use fate::Fall;
use history::{Cause, Origin};
use hooks::{Answer, HookId};
use process::{Exit, NotRun, Process};
use pulse::Notice;
use random::Random;
use reconfigure::{NewConfig, Reading};
use relations::{Outlook, Relations};
pub use remnants::SPARED;
pub use report::{Level, Published};
use request::{Order, Reply, Ticket};
use std::rc::Rc;
use time::Time;
use watcher::{Ctx, Status, Watcher};

/// A process id.
pub type Pid = i32;

/// The number of a watcher; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u32);

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The daemon is ready: the sockets are bound.
    Start,
    /// [`Action::Spawn`] gave a process.
    Spawned {
        /// Of which watcher.
        watcher: WatcherId,
        /// The new process.
        pid: Pid,
    },
    /// [`Action::Spawn`] failed.
    SpawnFailed {
        /// Of which watcher.
        watcher: WatcherId,
        /// Why: step, path, errno in words.
        reason: String,
        /// The machine was short of something, which may pass: the configuration is not to blame.
        shortage: bool,
    },
    /// A process has ended before it became its program; its [`Event::Exited`] follows.
    NeverRan {
        /// Which.
        pid: Pid,
        /// Why: as that of [`Event::SpawnFailed`].
        reason: String,
        /// As that of [`Event::SpawnFailed`].
        shortage: bool,
    },
    /// A child is a zombie. It stays one until [`Action::Reap`].
    Exited {
        /// Which.
        pid: Pid,
        /// How it ended.
        exit: Exit,
    },
    /// The kernel has probably ended a process for want of memory; its [`Event::Exited`] follows.
    OutOfMemory {
        /// Which.
        pid: Pid,
    },
    /// [`Action::Reap`] is done.
    Reaped {
        /// Which.
        pid: Pid,
        /// Its process group has members still.
        group_left: bool,
    },
    /// A group whose leader was reaped has no members any more.
    GroupEmpty {
        /// The group.
        pgid: Pid,
    },
    /// A hook of [`Action::RunHook`] has ended.
    HookDone {
        /// Which run of it.
        id: HookId,
        /// Of which watcher.
        watcher: WatcherId,
        /// What became of it.
        answer: Answer,
    },
    /// A hook of [`Action::RunHook`] could not be run yet, for circus was short of something: it is tried again, but for
    /// a question, which is not asked then.
    HookDelayed {
        /// Which run of it.
        id: HookId,
        /// Of which watcher.
        watcher: WatcherId,
    },
    /// [`Action::WatchSockets`] is done, or cannot be.
    SocketsWatched {
        /// Of which watcher.
        watcher: WatcherId,
        /// Why not: which socket, and what is wrong with it.
        result: Result<(), String>,
    },
    /// Something has come to a socket of a watcher; nobody looks at its sockets any more.
    SocketReady {
        /// Of which watcher.
        watcher: WatcherId,
    },
    /// A process has told something of itself.
    Noticed {
        /// Which.
        pid: Pid,
        /// What.
        notice: Notice,
    },
    /// A client's order.
    Order {
        /// To be given back with the reply.
        ticket: Ticket,
        /// What it wants.
        order: Order,
        /// The watchers that an order's [`request::Select`] names; `None`: all.
        targets: Option<Vec<WatcherId>>,
        /// Who gives it.
        by: Rc<Origin>,
    },
    /// [`Action::Read`] is done.
    Read {
        /// What was asked for.
        reading: Reading,
        /// What the files say, or why they cannot be used.
        found: Result<Box<NewConfig>, String>,
    },
    /// A signal asked circus to end. The second time, unless it comes right behind the first, all that is left is
    /// killed.
    Terminate,
    /// A signal asked for a reload of everything that runs.
    Reload,
    /// circus has stood still for so many seconds.
    Overslept {
        /// How many.
        seconds: f64,
    },
    /// The time of [`Arbiter::deadline`] has come.
    Tick,
}

/// Decides for all watchers.
#[derive(Debug)]
pub struct Arbiter {
    watchers: Sorted<WatcherId, Box<Watcher>>,
    /// Names in lower case; a watcher that is being removed has none any more.
    names: Sorted<String, WatcherId>,
    /// Which watcher and wid each process belongs to.
    pids: Sorted<Pid, (WatcherId, u32)>,
    /// Processes that SIGKILL did not end.
    survivors: Sorted<Pid, WatcherId>,
    /// The leaders of groups that have outlived them.
    groups: Sorted<Pid, WatcherId>,
    /// Orders with several watchers that are not all done.
    pending: Sorted<Ticket, orders::Pending>,
    relations: Relations,
    boot: Option<Boot>,
    ending: Option<Ending>,
    /// A critical watcher has ended for good, for this reason.
    over: Option<(WatcherId, String)>,
    fallen: Option<Fall>,
    /// Seconds between the starts of two watchers.
    warmup_delay: f64,
    random: Random,
    last_hook: HookId,
    next_id: u32,
    /// What the event is that is being handled.
    cause: Cause,
}

impl Arbiter {
    /// An arbiter for these watchers, which are those of the files. Nothing starts before [`Event::Start`].
    pub fn new(watchers: Vec<WatcherConfig>, warmup_delay: f64, seed: u64) -> Arbiter {
        let mut arbiter = Arbiter {
            watchers: Sorted::new(),
            names: Sorted::new(),
            pids: Sorted::new(),
            survivors: Sorted::new(),
            groups: Sorted::new(),
            pending: Sorted::new(),
            relations: Relations::default(),
            boot: None,
            ending: None,
            over: None,
            fallen: None,
            warmup_delay,
            random: Random::new(seed),
            last_hook: HookId(0),
            next_id: 0,
            cause: Cause::Course,
        };
        for config in watchers {
            let id = arbiter.insert(config);
            if let Some(watcher) = arbiter.watchers.get_mut(&id) {
                watcher.loaded = Some(watcher.config.clone());
            }
        }
        arbiter
    }

    fn insert(&mut self, config: WatcherConfig) -> WatcherId {
        let id = WatcherId(self.next_id);
        self.next_id += 1;
        self.names.insert(config.name.to_lowercase(), id);
        self.relations.have_changed(&config);
        self.watchers.insert(id, Box::new(Watcher::new(id, config)));
        id
    }

    /// The watchers that have a name, by name.
    pub fn watchers(&self) -> impl Iterator<Item = &Watcher> {
        self.names.values().filter_map(|id| self.watcher(*id))
    }

    /// The watcher of this name, in any case.
    pub fn find(&self, name: &str) -> Option<&Watcher> {
        self.watcher(*self.names.get(&name.to_lowercase())?)
    }

    /// The watcher of this number; one that is being removed too.
    pub fn watcher(&self, id: WatcherId) -> Option<&Watcher> {
        self.watchers.get(&id).map(|watcher| &**watcher)
    }

    /// The watcher and the wid of a process, from its spawn until it is reaped.
    pub fn owner(&self, pid: Pid) -> Option<(WatcherId, u32)> {
        self.pids.get(&pid).copied()
    }

    /// When [`Event::Tick`] is due.
    pub fn deadline(&mut self) -> Option<Time> {
        let of_watchers = self.watchers.values_mut().filter_map(|watcher| watcher.deadline()).min();
        let of_boot = self.boot.as_ref().and_then(Boot::deadline);
        of_watchers.into_iter().chain(of_boot).min()
    }

    /// Takes in an event and says what is to be done.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        // Files are read because of the order that comes right before.
        if !matches!(event, Event::Read { .. }) {
            self.cause = Cause::of(&event);
        }
        match event {
            Event::Start => self.begin_boot(now, actions),
            Event::Spawned { watcher, pid } => {
                // The kernel gives no process the number of a group that has members: that one ended unseen.
                self.group_is_empty(pid, now, actions);
                self.with(watcher, now, actions, |w, ctx| w.spawned(pid, ctx));
            }
            Event::SpawnFailed { watcher, reason, shortage } => {
                self.with(watcher, now, actions, |w, ctx| w.spawn_failed(&reason, shortage, ctx));
            }
            Event::Exited { pid, exit } => match self.pids.get(&pid).copied() {
                Some((watcher, wid)) => self.with(watcher, now, actions, |w, ctx| w.exited(wid, exit, ctx)),
                None => {
                    if let Some(watcher) = self.survivors.remove(&pid) {
                        self.with(watcher, now, actions, |w, ctx| w.survivor_ended(pid, exit, ctx));
                    }
                    actions.push(Action::Reap { pid });
                }
            },
            Event::Noticed { pid, notice } => {
                if let Some((watcher, wid)) = self.owner(pid) {
                    self.with(watcher, now, actions, |w, ctx| w.noticed(wid, notice, ctx));
                }
            }
            Event::NeverRan { pid, reason, shortage } => {
                if let Some(process) = self.process_mut(pid) {
                    process.not_run = Some(NotRun { reason: reason.into(), shortage });
                }
            }
            Event::OutOfMemory { pid } => self.process_mut(pid).into_iter().for_each(|p| p.oom = true),
            Event::Reaped { pid, group_left } => self.reaped(pid, group_left, now, actions),
            Event::GroupEmpty { pgid } => self.group_is_empty(pgid, now, actions),
            Event::HookDone { id, watcher, answer } => {
                self.with(watcher, now, actions, |w, ctx| w.hook_done(id, &answer, ctx));
            }
            Event::HookDelayed { id, watcher } => {
                self.with(watcher, now, actions, |w, ctx| w.hook_delayed(id, ctx));
            }
            Event::SocketsWatched { watcher, result } => {
                self.with(watcher, now, actions, |w, ctx| w.sockets_watched(result, ctx));
            }
            Event::SocketReady { watcher } => self.with(watcher, now, actions, Watcher::socket_ready),
            Event::Order { ticket, order, targets, by: _ } => self.obey(ticket, order, targets, now, actions),
            Event::Read { reading, found } => self.have_read(reading, found, now, actions),
            Event::Terminate => self.terminate_by_signal(now, actions),
            Event::Reload => self.reload_what_runs(now, actions),
            Event::Overslept { seconds } => self.overslept(now, seconds),
            Event::Tick => self.tick(now, actions),
        }
        self.calm(now, actions);
        if let Some((watcher, reason)) = self.over.take() {
            self.fall(watcher, reason, now, actions);
            self.calm(now, actions);
        }
    }

    fn group_is_empty(&mut self, pgid: Pid, now: Time, actions: &mut Vec<Action>) {
        if let Some(watcher) = self.groups.remove(&pgid) {
            self.with(watcher, now, actions, |w, _| w.group_is_empty(pgid));
        }
    }

    fn reaped(&mut self, pid: Pid, group_left: bool, now: Time, actions: &mut Vec<Action>) {
        let Some((watcher, wid)) = self.pids.get(&pid).copied() else { return };
        if group_left {
            self.groups.insert(pid, watcher);
        }
        if self.process_mut(pid).is_some_and(|process| process.not_run.is_some()) {
            self.cause = Cause::SpawnFailed;
        }
        self.with(watcher, now, actions, |w, ctx| w.reaped(wid, group_left, ctx));
    }

    fn process_mut(&mut self, pid: Pid) -> Option<&mut Process> {
        let (watcher, wid) = self.pids.get(&pid)?;
        self.watchers.get_mut(watcher)?.processes.get_mut(wid)
    }

    fn tick(&mut self, now: Time, actions: &mut Vec<Action>) {
        let due = |w: &mut Watcher| w.deadline().is_some_and(|at| at <= now);
        let due: Vec<WatcherId> =
            self.watchers.iter_mut().filter_map(|(id, w)| due(w).then_some(*id)).collect();
        for id in due {
            // A hook that has taken too long is a cause as one that has answered is.
            let late = self.watchers.get(&id).and_then(|w| w.hook_deadline()).is_some_and(|at| at <= now);
            self.cause = if late { Cause::Hook } else { Cause::Course };
            self.with(id, now, actions, |w, ctx| w.expire(ctx));
        }
        self.cause = Cause::Course;
        self.advance_boot(now, actions);
    }

    /// Lets a watcher handle something, then lets it act on what is different now.
    fn with(
        &mut self,
        id: WatcherId,
        now: Time,
        actions: &mut Vec<Action>,
        handle: impl FnOnce(&mut Watcher, &mut Ctx),
    ) {
        let outlook = self.prepare(id, actions);
        let Some(watcher) = self.watchers.get_mut(&id) else { return };
        let (pids, survivors) = (&mut self.pids, &mut self.survivors);
        let (random, last_hook) = (&mut self.random, &mut self.last_hook);
        let mut ctx = Ctx { now, actions, pids, survivors, random, last_hook, done: Vec::new() };
        let before = (watcher.standing(), outlook);
        handle(watcher, &mut ctx);
        let done = ctx.done;
        self.settle(id, now, actions, (before, done));
    }

    /// Lets a watcher act on what is different now, given where it stood before and who has an answer already.
    fn settle(
        &mut self,
        id: WatcherId,
        now: Time,
        actions: &mut Vec<Action>,
        (before, done): ((history::Standing, Outlook), Vec<(Ticket, Reply)>),
    ) {
        self.bring_along(id, now, actions);
        self.tie(id);
        let hurried = self.is_hurried();
        let Some(watcher) = self.watchers.get_mut(&id) else { return };
        let (pids, survivors) = (&mut self.pids, &mut self.survivors);
        let (random, last_hook) = (&mut self.random, &mut self.last_hook);
        let mut ctx = Ctx { now, actions, pids, survivors, random, last_hook, done };
        watcher.reconcile(&mut ctx);
        if hurried {
            watcher.hurry(&mut ctx);
            // hooks that were waited for are over
            watcher.reconcile(&mut ctx);
        }
        let after = watcher.standing();
        let because = watcher.because.take();
        watcher.history.compare(now, before.0, after, because.as_ref().unwrap_or(&self.cause));
        let done = ctx.done;
        let status = watcher.status;
        let over = watcher.over.take().filter(|_| watcher.config.options.critical);
        let gone = watcher.goal == watcher::Goal::Gone && status == Status::Stopped;
        self.stir(id, before);
        for (ticket, reply) in done {
            self.finish(ticket, reply, actions);
        }
        if gone {
            self.forget(id, actions);
        }
        if self.over.is_none() {
            self.over = over.map(|reason| (id, reason));
        }
        if self.boot.is_some() {
            self.advance_boot(now, actions);
        }
        if status == Status::Stopped && self.ending.is_some() {
            self.end_when_stopped(actions);
        }
    }
}
