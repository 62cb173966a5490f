//! The arbiter decides for all watchers.
//!
//! It is a pure state machine. Events go in with the time, actions come out; what an action led to comes back as an
//! event. It reads no clock, does no input or output, holds no descriptor, and cannot fail: an event that it does
//! not expect changes nothing. So all of circus's behaviour can be tried on a clock that is turned by hand.
//!
//! ```text
//!   Event ──▶ Arbiter::handle(now, event, &mut actions) ──▶ Action
//!              │  orders: what clients want            orders.rs, roster.rs
//!              │  all watchers up, all down            startup.rs, shutdown.rs
//!              └─ Watcher: from what is wanted to what is
//!                   what it is doing, as data          run.rs, process.rs
//!                   spawns, respawns                   watcher.rs, spawning.rs, respawn.rs
//!                   reloads, and what makes them good   reload.rs, generations.rs
//!                   asks, kills, waits                 stop.rs, remnants.rs
//!                   clients that wait                  waiters.rs
//!                   what an end means                  exit_policy.rs
//!                   how it fares                       status.rs
//!                   what is known of it                hooks.rs, readiness.rs, history.rs
//!              which a build may leave out (absent.rs does nothing in their place):
//!                   sockets that start it              on_demand.rs
//!                   programs that are asked            calls.rs
//!                   readiness and health               health.rs
//!                   what depends on what               dependencies.rs
//!                   what has happened to it            record.rs
//!                   another configuration              reconfigure.rs
//!                   what commands make of it           set_options.rs
//!              what they share: context.rs; whose deadline comes next: agenda.rs
//! ```
//!
//! The daemon calls [`Arbiter::deadline`] before it sleeps and sends [`Event::Tick`] when that time has come. There
//! are no timers to cancel: each deadline is a field of the state that it belongs to.
#![deny(clippy::wildcard_enum_match_arm)]
#![cfg_attr(
    not(all(feature = "dependencies", feature = "health", feature = "history", feature = "on_demand")),
    allow(
        dead_code,
        reason = "some of what is noted and asked is of use to parts alone that this build lacks"
    )
)]

mod action;
mod advice;
mod agenda;
mod context;
mod event;
pub mod exit_policy;
mod generations;
pub mod history;
pub mod hooks;
mod orders;
pub mod process;
mod random;
pub mod readiness;
mod reload;
mod remnants;
mod report;
pub mod request;
pub mod respawn;
mod roster;
mod run;
mod shutdown;
mod spawning;
mod startup;
pub mod status;
mod stop;
pub mod time;
mod waiters;
pub mod watcher;

// What a build may leave out; absent.rs does nothing in its place.
mod absent;
#[cfg(feature = "hooks")]
mod calls;
#[cfg(feature = "dependencies")]
mod dependencies;
#[cfg(feature = "deploy")]
mod deploy;
#[cfg(feature = "health")]
mod health;
#[cfg(feature = "on_demand")]
mod on_demand;
#[cfg(feature = "reloadconfig")]
pub mod reconfigure;
#[cfg(feature = "history")]
mod record;
#[cfg(feature = "edit")]
mod set_options;

#[cfg(not(feature = "dependencies"))]
use absent::dependencies;
#[cfg(not(feature = "on_demand"))]
use absent::on_demand;

#[cfg(test)]
mod sim;

use crate::config::WatcherConfig;
use crate::sorted::Sorted;
pub use action::{Action, Whom};
use agenda::Agenda;
use context::{Cx, Known, Outcome};
use dependencies::Dependencies;
pub use event::Event;
use exit_policy::{CriticalExit, Death};
use history::{Advice, Cause};
use process::{Exit, NotRun, Process};
use random::Random;
pub use remnants::SPARED;
pub use report::{Level, Published};
use request::Ticket;
use shutdown::Ending;
pub use shutdown::HURRY_AFTER;
use startup::Startup;
use time::Time;
use watcher::{Status, Watcher};

/// A process id.
pub type Pid = i32;

/// The number of a watcher; never used again for another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u32);

/// Decides for all watchers.
#[derive(Debug, Default)]
pub struct Arbiter {
    watchers: Sorted<WatcherId, Box<Watcher>>,
    /// Names in lower case; a watcher that is being removed has none any more.
    names: Sorted<String, WatcherId>,
    cx: Cx,
    agenda: Agenda,
    /// Orders with several watchers that are not all done.
    pending: Sorted<Ticket, orders::Pending>,
    dependencies: Dependencies,
    startup: Option<Startup>,
    ending: Option<Ending>,
    /// A critical watcher has ended for good, for this reason.
    over: Option<(WatcherId, (String, Option<Death>))>,
    fallen: Option<CriticalExit>,
    /// Seconds between the starts of two watchers.
    warmup_delay: f64,
    next_id: u32,
}

impl Arbiter {
    /// An arbiter for these watchers, which are those of the files. Nothing starts before [`Event::Start`].
    pub fn new(watchers: Vec<WatcherConfig>, warmup_delay: f64, seed: u64) -> Arbiter {
        let cx = Cx { random: Random::new(seed), ..Cx::default() };
        let mut arbiter = Arbiter { cx, warmup_delay, ..Arbiter::default() };
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
        self.dependencies.have_changed(&config);
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
        match self.cx.pids.get(&pid)? {
            Known::Process(watcher, wid) => Some((*watcher, *wid)),
            Known::Survivor(_) | Known::Group(_) => None,
        }
    }

    /// When [`Event::Tick`] is due.
    pub fn deadline(&mut self) -> Option<Time> {
        let watchers = &self.watchers;
        self.agenda.update(|id| watchers.get(&id)?.deadline());
        self.agenda.next().into_iter().chain(self.startup.as_ref().and_then(Startup::deadline)).min()
    }

    /// Takes in an event and says what is to be done.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        self.cx.now = now;
        std::mem::swap(&mut self.cx.actions, actions);
        self.take(event);
        self.propagate();
        if let Some((watcher, reason)) = self.over.take() {
            self.fall(watcher, reason);
            self.propagate();
        }
        std::mem::swap(&mut self.cx.actions, actions);
    }

    fn take(&mut self, event: Event) {
        if let Some(cause) = Cause::of(&event) {
            self.cx.cause = cause;
        }
        match event {
            Event::Start => self.begin_startup(),
            Event::Spawned { watcher, pid } => {
                // The kernel gives no process the number of a group that has members: that one ended unseen.
                self.group_is_empty(pid);
                self.with(watcher, |w, cx| w.spawned(pid, cx));
            }
            Event::SpawnFailed { watcher, reason, shortage } => {
                let failed = NotRun { reason: reason.into(), shortage };
                self.with(watcher, |w, cx| w.spawn_failed(&failed, cx));
            }
            Event::Exited { pid, exit } => self.exited(pid, exit),
            Event::Noticed { pid, notice } => {
                if let Some((watcher, wid)) = self.owner(pid) {
                    self.with(watcher, |w, cx| w.noticed(wid, notice, cx));
                }
            }
            Event::TooLarge { pid, rss } => {
                if let Some((watcher, wid)) = self.owner(pid) {
                    self.with(watcher, |w, cx| w.too_large(wid, rss, cx));
                }
            }
            Event::NeverRan { pid, reason, shortage } => {
                let not_run = Box::new(NotRun { reason: reason.into(), shortage });
                self.process_mut(pid)
                    .into_iter()
                    .for_each(|process| process.more.not_run = Some(not_run.clone()));
            }
            Event::OutOfMemory { pid } => self.process_mut(pid).into_iter().for_each(|p| p.more.oom = true),
            Event::Detached { watcher } => self.with(watcher, |w, cx| w.advise(Advice::Background, cx)),
            Event::Reaped { pid, group_left } => self.reaped(pid, group_left),
            Event::GroupEmpty { pgid } => self.group_is_empty(pgid),
            Event::HookDone { id, watcher, answer } => {
                self.with(watcher, |w, cx| w.hook_done(id, &answer, cx));
            }
            Event::HookDelayed { id, watcher } => self.with(watcher, |w, cx| w.hook_delayed(id, cx)),
            Event::SocketsWatched { watcher, result } => {
                self.with(watcher, |w, cx| w.sockets_watched(result, cx));
            }
            Event::SocketReady { watcher } => self.with(watcher, Watcher::socket_ready),
            Event::Order { ticket, order, targets, by: _ } => self.obey(ticket, order, targets),
            #[cfg(feature = "reloadconfig")]
            Event::Read { reading, found } => self.have_read(reading, found),
            Event::Terminate => self.terminate_by_signal(),
            Event::Reload => self.reload_what_runs(),
            Event::Overslept { seconds } => self.overslept(seconds),
            Event::Tick => self.tick(),
        }
    }

    fn exited(&mut self, pid: Pid, exit: Exit) {
        match self.cx.pids.get(&pid).copied() {
            Some(Known::Process(watcher, wid)) => self.with(watcher, |w, cx| w.exited(wid, exit, cx)),
            Some(Known::Survivor(watcher)) => {
                self.cx.pids.remove(&pid);
                self.with(watcher, |w, cx| w.survivor_ended(pid, exit, cx));
                self.cx.act(Action::Reap { pid });
            }
            Some(Known::Group(_)) | None => self.cx.act(Action::Reap { pid }),
        }
    }

    fn reaped(&mut self, pid: Pid, group_left: bool) {
        let Some((watcher, wid)) = self.owner(pid) else { return };
        if self.process_mut(pid).is_some_and(|process| process.more.not_run.is_some()) {
            self.cx.cause = Cause::SpawnFailed;
        }
        self.with(watcher, |w, cx| w.reaped(wid, group_left, cx));
    }

    fn group_is_empty(&mut self, pgid: Pid) {
        if let Some(Known::Group(watcher)) = self.cx.pids.get(&pgid).copied() {
            self.cx.pids.remove(&pgid);
            self.with(watcher, |w, _| w.group_is_empty(pgid));
        }
    }

    fn process_mut(&mut self, pid: Pid) -> Option<&mut Process> {
        let (watcher, wid) = self.owner(pid)?;
        self.watchers.get_mut(&watcher)?.processes.get_mut(wid)
    }

    fn tick(&mut self) {
        let now = self.cx.now;
        self.deadline();
        for id in self.agenda.due(now) {
            // A hook that has taken too long is a cause as one that has answered is.
            let late = self.watchers.get(&id).and_then(|w| w.hook_deadline()).is_some_and(|at| at <= now);
            self.cx.cause = if late { Cause::Hook } else { Cause::Course };
            self.with(id, Watcher::expire);
        }
        self.cx.cause = Cause::Course;
        self.advance_startup();
    }

    /// Lets a watcher handle something, then lets it act on what is different now.
    fn with(&mut self, id: WatcherId, handle: impl FnOnce(&mut Watcher, &mut Cx)) {
        self.find_dependencies();
        let Some(before) = self.watchers.get(&id).map(|watcher| watcher.standing()) else { return };
        self.look_around(id);
        let Some(watcher) = self.watchers.get_mut(&id) else { return };
        let outer = std::mem::take(&mut self.cx.outcome);
        handle(watcher, &mut self.cx);
        self.settle(id, before);
        self.cx.outcome = outer;
    }

    /// Lets a watcher act on what is different now, given where it stood before.
    fn settle(&mut self, id: WatcherId, before: history::Standing) {
        self.bring_along(id);
        self.look_around(id);
        let hurried = self.is_hurried();
        let Some(watcher) = self.watchers.get_mut(&id) else { return };
        watcher.reconcile(&mut self.cx);
        if hurried {
            watcher.hurry(&mut self.cx);
            // hooks that were waited for are over
            watcher.reconcile(&mut self.cx);
        }
        self.agenda.touch(id);
        // It may have got processes to start only now.
        self.bring_along(id);
        let Outcome { done, over, because, has_other_options, .. } = std::mem::take(&mut self.cx.outcome);
        let Some(watcher) = self.watchers.get_mut(&id) else { return };
        if has_other_options {
            self.dependencies.have_changed(&watcher.config);
        }
        let after = watcher.standing();
        watcher.history.compare(self.cx.now, before, after, because.as_ref().unwrap_or(&self.cx.cause));
        let status = watcher.status();
        let over = over.filter(|_| watcher.config.options.critical);
        let gone = watcher.goal == watcher::Goal::Gone && status == Status::Stopped;
        self.mark_dirty(id, before, after);
        for (ticket, reply) in done {
            self.finish(ticket, reply);
        }
        if gone {
            self.forget(id);
        }
        if self.over.is_none() {
            self.over = over.map(|reason| (id, reason));
        }
        if self.startup.is_some() {
            self.advance_startup();
        }
        if status == Status::Stopped && self.ending.is_some() {
            self.end_when_stopped();
        }
    }
}
