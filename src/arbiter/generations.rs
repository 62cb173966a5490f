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
use super::request::Manner;
use super::respawn::{Backoff, Chain, Retry};
use super::run::Next;
use super::time::Time;
use super::watcher::{Goal, Status, Watcher};
use super::{Action, Level, Pid};
use crate::config::WatcherConfig;
use crate::seldom::{Empty, Seldom};
use std::rc::Rc;

/// What a watcher keeps of other generations than the one that its options make.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The options that last made a good generation of processes, as long as no reload has succeeded with those that came after them.
    pub(super) proven: Option<Proven>,
    /// Those of the good generation before, and since when they held.
    pub(super) previous: Option<(Rc<WatcherConfig>, Time)>,
    /// What has become of newer ones, which the file still has.
    pub(super) behind: Option<Box<str>>,
    /// Since when the options that it has hold, if it has had others.
    pub(super) since: Time,
    /// How many bytes of text commands have added.
    #[cfg(feature = "edit")]
    pub(super) added: usize,
}

impl Empty for Past {
    const EMPTY: &'static Self = &Past {
        proven: None,
        previous: None,
        behind: None,
        since: Time(0),
        #[cfg(feature = "edit")]
        added: 0,
    };
}

impl Seldom<Past> {
    fn take_proven(&mut self) -> Option<Proven> {
        self.get_mut()?.proven.take()
    }

    /// Whether it was behind its file, which it is not any more.
    #[cfg(feature = "reloadconfig")]
    pub(super) fn take_behind(&mut self) -> bool {
        self.get_mut().is_some_and(|past| past.behind.take().is_some())
    }
}

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
        self.settings.past.proven.as_ref().map_or(&self.config, |proven| &proven.config)
    }

    /// The options that make its next process.
    pub fn making(&self) -> &Rc<WatcherConfig> {
        let old = self.spawns.under_way.is_some_and(|spawning| spawning.old) || !self.is_reloading();
        if old { self.proven() } else { &self.config }
    }

    /// The options that have made this process, if it is one of its own.
    pub fn options_of(&self, pid: Pid) -> &Rc<WatcherConfig> {
        let find = || self.processes.values().find(|process| process.pid == pid);
        let old = !self.is_reloading() || find().is_some_and(|process| self.is_old(process));
        if old { self.proven() } else { &self.config }
    }

    /// It runs on options that newer ones were to take the place of: since when those hold, and what has become of
    /// the newer ones.
    pub fn fallen_back(&self) -> Option<(Time, &str)> {
        let failed =
            self.settings.past.proven.as_ref().and_then(|it| Some((it.since, it.failed.as_deref()?)));
        failed.or(self.settings.past.behind.as_deref().map(|why| (self.settings.past.since, why)))
    }

    /// The manner of a reload for which nobody has asked for another one.
    pub(super) fn manner(&self, sequential: bool) -> Manner {
        let surge = self.config.options.reload_surge.and_then(|surge| usize::try_from(surge).ok());
        Manner { sequential, surge, ..Manner::default() }
    }

    /// It has got other options, which make its processes anew; those before were these, which are good if a process
    /// of theirs does its work.
    pub(super) fn keep_proven(&mut self, before: Rc<WatcherConfig>, now: Time) {
        let since = std::mem::replace(&mut self.settings.past.since, now);
        let works = self.processes.that_run().any(|process| self.works(process, now));
        if self.status() == Status::Active && self.goal == Goal::Up && works {
            self.settings.past.proven.get_or_insert(Proven { config: before, since, failed: None });
        }
    }

    /// Whether a process does its work. One whose predecessor ended too soon may be about to end as well.
    pub(super) fn works(&self, process: &Process, now: Time) -> bool {
        let stable =
            process.more.chain.bad == 0 || now.since(process.started) >= Backoff::of(&self.config).stable;
        process.runs() && process.is_ready() && stable
    }

    /// The options that hold now make its processes, for good or ill.
    pub(super) fn forget_proven(&mut self, cx: &mut Cx) {
        let Some(proven) = self.settings.past.take_proven() else { return };
        self.settings.past.previous = Some((proven.config, proven.since));
        cx.act(Action::Changed(self.id));
    }

    /// The options that hold now have made good processes. If they were set while those were made, that comes next.
    pub(super) fn prove(&mut self, cx: &mut Cx) {
        if self.run().next_reload.is_none() {
            self.forget_proven(cx);
        }
    }

    /// The newer options have failed. Those of a deployment are forgotten, as if it had never been.
    pub(super) fn fall_back(&mut self, reason: &str, cx: &mut Cx) {
        let failed = format!("failed: {reason}").into();
        if self.run().manner.deploys {
            return self.go_back(failed, cx);
        }
        let Some(proven) = self.settings.past.get_mut().and_then(|past| past.proven.as_mut()) else { return };
        proven.failed = Some(failed);
        let name = &self.config.name;
        let text = format!("{name}: its processes keep the previous options until a reload succeeds");
        cx.log(Level::Warning, text);
        cx.act(Action::Changed(self.id));
    }

    /// Its options are again those that last made a good generation, if newer ones have not.
    pub(super) fn go_back(&mut self, behind: Box<str>, cx: &mut Cx) {
        let Some(proven) = self.settings.past.take_proven() else { return };
        self.config = proven.config;
        (self.settings.past.since, self.settings.past.behind) = (proven.since, Some(behind));
        cx.outcome.has_other_options = true;
        cx.act(Action::Changed(self.id));
    }

    /// For how many seconds each process of a reload has to live where no `ready` tells that it does its work, and for
    /// how many it has to do it. None that a reload makes by the same options as before has to.
    fn trial(&self) -> Option<f64> {
        let soak = self.run().manner.soak;
        match self.settings.past.proven.is_some() {
            true => Some(soak.max(Backoff::of(&self.config).stable)),
            false => Some(soak).filter(|soak| *soak > 0.0),
        }
    }

    /// When a process of a reload has shown that it is good, if it goes on as it does.
    fn is_good_at(&self, process: &Process) -> Option<Time> {
        if !process.is_ready() {
            return None;
        }
        Some(match process.ready_since().filter(|_| self.config.options.ready.is_some()) {
            Some(ready) => ready.plus(self.run().manner.soak),
            None => process.started.plus(self.trial().unwrap_or(0.0)),
        })
    }

    /// When the processes of the reload under way have all shown that they are good, as far as is known now. Old ones
    /// are replaced however they fare.
    pub(super) fn good_at(&self) -> Option<Time> {
        let mut new = self.processes.values().filter(|p| p.holds_slot() && !self.is_old(p));
        new.try_fold(Time(0), |at, p| Some(at.max(self.is_good_at(p)?)))
    }

    /// Whether a process is of an earlier generation than those that are made now.
    pub(super) fn is_old(&self, process: &Process) -> bool {
        process.generation < self.spawns.generation
    }

    /// How many old processes make room for new ones, when there may not be more beside these.
    pub(super) fn surplus(&self) -> usize {
        if self.has_room() {
            return 0;
        }
        let old = self.processes.values().filter(|p| p.holds_slot() && self.is_old(p)).count();
        self.processes.holding().saturating_sub(self.config.wanted()).min(old)
    }

    /// Whether another process may be there beside those of both generations.
    pub(super) fn has_room(&self) -> bool {
        let most = self.run().manner.surge.map(|surge| self.config.wanted().saturating_add(surge));
        most.is_none_or(|most| self.processes.len() < most)
    }

    /// When the reload goes on that makes new processes beside the old ones, of which so many are left to make. As long
    /// as there is room for more, nobody has to be looked at.
    pub(super) fn decides_at(&self, left: usize) -> Option<Time> {
        if left == 0 || self.surplus() > 0 { self.good_at() } else { None }
    }

    /// When the next process may be replaced: all that were so far are well, and no old one is on its way out for
    /// another reason.
    pub(super) fn goes_on_at(&self) -> Option<Time> {
        let leaves = self.processes.values().any(|p| self.is_old(p) && !p.runs());
        self.good_at().filter(|_| !leaves && !self.run().is_waiting())
    }

    /// Whether a process is of the generation before, which stays while the new one is on trial.
    pub(super) fn stays_for_now(&self, process: &Process) -> bool {
        self.has_two_generations() && self.is_old(process) && self.is_on_trial()
    }

    /// Whether the new processes have to show that they are good.
    fn is_on_trial(&self) -> bool {
        self.trial().is_some() || self.run().manner.canary.is_some()
    }

    /// Why the end of a process by itself shows that the generation on trial, which it is of, is no good.
    pub(super) fn fails_trial(&self, process: &Process, exit: Exit, now: Time) -> Option<String> {
        let reloads = match self.run().reload {
            Some(Reload::Spawning { .. } | Reload::Held | Reload::OneByOne { .. }) => true,
            None | Some(Reload::Wanted(_) | Reload::Draining | Reload::Commands { .. }) => false,
        };
        let is_told = process.more.not_run.is_some() || !process.is_ready();
        if !reloads || is_told || self.is_old(process) || !self.is_on_trial() {
            return None;
        }
        let stable = Backoff::of(&self.config).stable;
        let ended_early = now.since(process.started) < stable && self.replaces_after(exit, None, true);
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
