//! Which options make the processes of a watcher, and when new ones are good.
//!
//! The processes that a start or a reload makes are a generation. When other options come, by `set` or from the file,
//! the generation that they make is on trial: each of its processes has to become ready or, where nothing tells that,
//! to live for its `respawn_window`. Until then the old processes stay, and one of them that ends is replaced as it
//! was made. When one of the new processes fails, the reload is given up: the last good options make what is
//! replaced, until a reload succeeds.

use super::context::Cx;
use super::exit_policy::succeeded;
use super::process::{Exit, Fate, Process};
use super::reload::Reload;
use super::respawn::{Backoff, Chain, Retry};
use super::run::Next;
use super::time::Time;
use super::watcher::{Goal, Status, Watcher};
use super::{Action, Level, Pid};
use crate::config::WatcherConfig;
use std::rc::Rc;

/// Options that have made a good generation, while those that came after them have not.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) config: Rc<WatcherConfig>,
    /// Since when they have held.
    since: Time,
    /// Why the newer ones have failed, if they have been tried.
    failed: Option<Box<str>>,
}

impl Watcher {
    /// The last options that have made a good generation.
    fn proven(&self) -> &Rc<WatcherConfig> {
        self.settings.proven.as_ref().map_or(&self.config, |proven| &proven.config)
    }

    /// The options that make its next process.
    pub fn making(&self) -> &Rc<WatcherConfig> {
        let old = self.spawns.under_way.is_some_and(|spawning| spawning.old) || !self.is_reloading();
        if old { self.proven() } else { &self.config }
    }

    /// The options that have made this process, if it is one of its own.
    pub fn options_of(&self, pid: Pid) -> &Rc<WatcherConfig> {
        let process = self.processes.values().find(|process| process.pid == pid);
        let old = process.is_some_and(|process| process.generation < self.spawns.generation);
        if old || !self.is_reloading() { self.proven() } else { &self.config }
    }

    /// It runs on options that newer ones were to take the place of: since when those hold, and why the newer ones
    /// have failed.
    pub fn fallen_back(&self) -> Option<(Time, &str)> {
        let proven = self.settings.proven.as_ref()?;
        Some((proven.since, proven.failed.as_deref()?))
    }

    /// It has got other options, which make its processes anew; those before were these, which are good if a process
    /// of theirs does its work.
    pub(super) fn keep_proven(&mut self, before: Rc<WatcherConfig>, now: Time) {
        let since = std::mem::replace(&mut self.settings.since, now);
        let works = self.processes.that_run().any(Process::is_ready);
        if self.status() == Status::Active && self.goal == Goal::Up && works {
            self.settings.proven.get_or_insert(Proven { config: before, since, failed: None });
        }
    }

    /// The options that hold now make its processes, for good or ill.
    pub(super) fn forget_proven(&mut self, cx: &mut Cx) {
        if self.settings.proven.take().is_some() {
            cx.act(Action::Changed(self.id));
        }
    }

    /// The options that hold now have made good processes. If they were set while those were made, that comes next.
    pub(super) fn prove(&mut self, cx: &mut Cx) {
        if self.run().next_reload.is_none() {
            self.forget_proven(cx);
        }
    }

    /// The newer options have failed.
    pub(super) fn fall_back(&mut self, reason: &str, cx: &mut Cx) {
        let Some(proven) = &mut self.settings.proven else { return };
        proven.failed = Some(reason.into());
        let name = &self.config.name;
        let text =
            format!("{name}: the options that it had before make its processes until a reload succeeds");
        cx.log(Level::Warning, text);
        cx.act(Action::Changed(self.id));
    }

    /// For how many seconds each process of a reload has to live where no `ready` tells that it does its work. None
    /// that a reload makes by the same options as before has to.
    fn trial(&self) -> Option<f64> {
        self.settings.proven.is_some().then(|| Backoff::of(&self.config).stable)
    }

    /// When the processes of the reload under way have all shown that they are good, as far as is known now. Old ones
    /// are replaced however they fare.
    pub(super) fn good_at(&self) -> Option<Time> {
        let lives = self.trial().filter(|_| self.config.options.ready.is_none()).unwrap_or(0.0);
        let new = |p: &&Process| p.holds_slot() && p.generation == self.spawns.generation;
        let mut new = self.processes.values().filter(new);
        new.try_fold(Time(0), |at, p| p.is_ready().then(|| at.max(p.started.plus(lives))))
    }

    pub(super) fn new_ones_are_good(&self, now: Time) -> bool {
        self.good_at().is_some_and(|at| at <= now)
    }

    /// When the next process may be replaced: all that were so far are well, and no old one is on its way out for
    /// another reason.
    pub(super) fn goes_on_at(&self) -> Option<Time> {
        let leaves = self.processes.values().any(|p| p.generation < self.spawns.generation && !p.runs());
        self.good_at().filter(|_| !leaves && !self.run().is_waiting())
    }

    /// Whether a process is of the generation before, which stays while the new one is on trial.
    pub(super) fn stays_for_now(&self, process: &Process) -> bool {
        let spawning = matches!(self.run().reload, Some(Reload::Spawning { .. }));
        spawning && process.generation < self.spawns.generation && self.trial().is_some()
    }

    /// Why the end of a process by itself shows that the generation on trial, which it is of, is no good.
    pub(super) fn fails_trial(&self, process: &Process, exit: Exit, now: Time) -> Option<String> {
        let reloads = match self.run().reload {
            Some(Reload::Spawning { .. } | Reload::OneByOne { .. }) => true,
            None | Some(Reload::Wanted(_) | Reload::Draining | Reload::Commands { .. }) => false,
        };
        let is_new =
            reloads && process.generation == self.spawns.generation && process.more.not_run.is_none();
        let lives = self.trial().filter(|_| is_new && process.is_ready())?;
        let ended_early = now.since(process.started) < lives && self.replaces_after(exit, None, true);
        let is_bad = process.ailment().is_some() || ended_early || !succeeded(exit, &self.config.options);
        is_bad.then(|| format!("a new process {}", exit.words()))
    }

    /// What comes into the place of a process of the generation before that has ended while the new one is on trial.
    pub(super) fn replace_old(&mut self, process: &Process, exit: Exit, cx: &mut Cx) -> Next {
        let asked = process.fate() != Fate::Left;
        if !asked && !self.replaces_after(exit, process.ailment(), process.is_ready()) {
            return Next::Nobody;
        }
        let backoff = Backoff::of(self.proven());
        let lived = if asked { f64::INFINITY } else { cx.now.since(process.started) };
        Next::Later(match process.more.chain.after_exit(lived, &backoff) {
            Some(chain) => Retry { at: cx.now.plus(backoff.delay(chain, &mut cx.random)), chain, old: true },
            None => Retry { at: cx.now, chain: Chain::default(), old: true },
        })
    }
}
