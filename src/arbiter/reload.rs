//! Replacing the processes of a watcher: all at once without a gap, or one after the other.
//!
//! A graceful reload spawns as many new processes as are wanted, back to back, and only then asks the old ones to
//! end; when a new one cannot be executed, the old ones stay. A sequential one replaces process by process. So
//! does the reload of a singleton, which must never run twice.

use super::context::Cx;
use super::history::{Restart, What};
use super::run::Run;
use super::watcher::{Goal, Status, Watcher};
use super::{Action, Level, Pid, Published, Whom};
use crate::config::WatcherConfig;
use crate::config::hooks::Hook;
use crate::signals::{self, SIGHUP};
use std::collections::VecDeque;
use std::rc::Rc;

/// A reload in progress.
#[derive(Clone, Debug)]
pub(super) enum Reload {
    /// Asked for; it begins when the watcher is active.
    Wanted { sequential: bool },
    /// New processes are being spawned; so many are left.
    Spawning { left: usize },
    /// The old processes were asked to end; some are left.
    Draining,
    /// One by one: these are left to replace, this one is on its way out.
    OneByOne { queue: VecDeque<Pid>, current: Option<Pid> },
    /// reload_command is run for one process after the other: these are left, it runs for this one.
    Commands { queue: VecDeque<Pid>, current: Option<Pid> },
}

impl Watcher {
    /// The options that make its next process. A reload that has failed leaves those that its processes were made by:
    /// one that ends is replaced by one that works.
    pub fn making(&self) -> &Rc<WatcherConfig> {
        self.settings.proven.as_ref().filter(|_| !self.is_reloading()).unwrap_or(&self.config)
    }

    /// It has got other options, which make its processes anew; those before were these.
    pub(super) fn keep_proven(&mut self, before: Rc<WatcherConfig>) {
        if self.status() == Status::Active && self.goal == Goal::Up {
            self.settings.proven.get_or_insert(before);
        }
    }

    /// The options that hold now make its processes, for good or ill.
    pub(super) fn forget_proven(&mut self, cx: &mut Cx) {
        if self.settings.proven.take().is_some() {
            cx.act(Action::Changed(self.id));
        }
    }

    /// Asks for a reload; one that is under way is finished first.
    pub(super) fn want_reload(&mut self, sequential: bool) {
        let Some(run) = self.run_mut() else { return }; // it starts anew anyway
        match run.reload {
            None => run.reload = Some(Reload::Wanted { sequential }),
            Some(_) => run.next_reload = Some(sequential),
        }
    }

    /// What makes its processes has changed: they are replaced. A signal or a command would leave them as they are.
    pub(super) fn renew(&mut self, cx: &mut Cx) {
        if self.goal != Goal::Up {
            return;
        }
        if self.reloads_in_place() {
            return self.restart(cx);
        }
        if self.status() == Status::Starting {
            self.run_mut().into_iter().for_each(Run::forget_pauses);
            if self.processes.is_empty() {
                return; // the first one comes with what has changed
            }
        }
        self.want_reload(false);
    }

    /// Takes the reload as far as it goes now.
    pub(super) fn step_reload(&mut self, cx: &mut Cx) {
        self.step_once(cx);
        while let Some(Reload::Wanted { sequential }) = self.run().reload {
            self.begin_reload(sequential, cx);
            self.step_once(cx);
        }
    }

    pub(super) fn set_reload(&mut self, reload: Reload) {
        if let Some(run) = self.run_mut() {
            run.reload = Some(reload);
        }
    }

    fn step_once(&mut self, cx: &mut Cx) {
        match self.run_mut().and_then(|run| run.reload.take()) {
            None => {}
            Some(Reload::Spawning { .. })
                if self.config.options.singleton && self.spawns.under_way.is_none() =>
            {
                self.begin_reload(true, cx); // it has become one meanwhile
            }
            Some(Reload::Spawning { left: 0 })
                if self.spawns.under_way.is_none() && self.new_ones_are_ready() =>
            {
                self.drain_old(cx);
            }
            Some(Reload::Draining)
                if self.processes.values().all(|p| p.generation == self.spawns.generation) =>
            {
                self.end_reload(cx);
            }
            Some(Reload::OneByOne { queue, current }) => self.step_one_by_one(queue, current, cx),
            Some(Reload::Commands { queue, current: None }) => self.step_commands(queue, cx),
            Some(
                state @ (Reload::Wanted { .. }
                | Reload::Spawning { .. }
                | Reload::Draining
                | Reload::Commands { .. }),
            ) => self.set_reload(state),
        }
    }

    /// The signal by which it is reloaded.
    fn reload_signal(&self) -> Option<i32> {
        let options = &self.config.options;
        let signum = options.reload_signal.and_then(|signum| i32::try_from(signum).ok());
        signum.or(options.send_hup.then_some(SIGHUP))
    }

    /// Whether its processes stay when it is reloaded.
    pub(super) fn reloads_in_place(&self) -> bool {
        self.has_hook(Hook::ReloadCommand) || self.reload_signal().is_some()
    }

    /// Begins a reload in which the processes stay.
    pub(super) fn reload_in_place(&mut self, cx: &mut Cx) {
        if self.has_hook(Hook::ReloadCommand) {
            let queue = self.oldest_first().into();
            return self.set_reload(Reload::Commands { queue, current: None });
        }
        for pid in self.oldest_first() {
            let Some(signum) = self.reload_signal() else { break };
            let name = signals::name(signum);
            cx.log(Level::Info, format!("SENDING {} to {pid}", name.strip_prefix("SIG").unwrap_or(&name)));
            cx.act(Action::Signal { pid, signum, whom: Whom::Process });
        }
        self.end_reload(cx);
    }

    /// The processes that a reload has made are ready. Old ones are replaced however they fare.
    pub(super) fn new_ones_are_ready(&self) -> bool {
        self.are_ready(&|p| p.generation == self.spawns.generation)
    }

    fn begin_reload(&mut self, sequential: bool, cx: &mut Cx) {
        if self.reloads_in_place() {
            self.reload_in_place(cx);
            return;
        }
        if self.settings.proven.is_some() {
            cx.act(Action::Changed(self.id)); // the new options are tried
        }
        self.spawns.generation += 1;
        if let Some(run) = self.run_mut() {
            run.refill();
            run.replacing.clear();
        }
        self.set_reload(if sequential || self.config.options.singleton {
            Reload::OneByOne { queue: self.oldest_first().into(), current: None }
        } else {
            Reload::Spawning { left: self.config.wanted() }
        });
    }

    /// The new processes are there: asks those of older generations to end.
    fn drain_old(&mut self, cx: &mut Cx) {
        let generation = self.spawns.generation;
        // Their successors are there already.
        self.run_mut().into_iter().for_each(|run| run.slots.retain(|slot| !slot.is_behind()));
        self.prove(cx);
        let old: Vec<u32> =
            self.processes.values().filter(|p| p.generation < generation).map(|p| p.wid).collect();
        self.history.count_restarts(Restart::Reload, old.len());
        self.set_reload(Reload::Draining);
        old.iter().for_each(|wid| self.dismiss(*wid, cx));
        if old.is_empty() {
            self.end_reload(cx);
        }
    }

    /// Whether all that a reload has replaced so far is well, and no old process is on its way out for another reason.
    pub(super) fn may_go_on_one_by_one(&self) -> bool {
        let leaves = self.processes.values().any(|p| p.generation < self.spawns.generation && !p.runs());
        !leaves && !self.run().is_waiting() && self.new_ones_are_ready()
    }

    fn step_one_by_one(&mut self, mut queue: VecDeque<Pid>, current: Option<Pid>, cx: &mut Cx) {
        let current = current.filter(|pid| self.processes.values().any(|p| p.pid == *pid));
        let busy = current.is_some()
            || self.spawns.under_way.is_some()
            || self.missing() > 0
            || !self.gate_is_open(cx.now)
            || !self.may_go_on_one_by_one();
        if busy {
            return self.set_reload(Reload::OneByOne { queue, current });
        }
        while let Some(pid) = queue.pop_front() {
            if let Some(wid) = self.running_wid(pid) {
                self.history.count_restarts(Restart::Reload, 1);
                self.ask_to_end(wid, cx);
                return self.set_reload(Reload::OneByOne { queue, current: Some(pid) });
            }
        }
        self.prove(cx);
        self.end_reload(cx);
    }

    /// The options that hold now have made good processes. If they were set while those were made, that comes next.
    fn prove(&mut self, cx: &mut Cx) {
        if self.run().next_reload.is_none() {
            self.forget_proven(cx);
        }
    }

    pub(super) fn end_reload(&mut self, cx: &mut Cx) {
        if let Some(run) = self.run_mut() {
            run.reload = run.next_reload.take().map(|sequential| Reload::Wanted { sequential });
        }
        cx.publish(&self.config.name, Published::Reload);
        cx.log(Level::Info, format!("{} reloaded", self.config.name));
    }

    /// A process could not be executed. A reload that needs it ends here: the old processes stay, and new ones that
    /// were spawned already are ended. True when nothing is left to be done about the failed spawn itself.
    pub(super) fn reload_cannot_go_on(&mut self, reason: &str, cx: &mut Cx) -> bool {
        let nothing_missing = match self.run().reload {
            Some(Reload::Spawning { .. }) => true,
            Some(Reload::OneByOne { .. }) => false,
            None | Some(Reload::Wanted { .. } | Reload::Draining | Reload::Commands { .. }) => return false,
        };
        self.give_reload_up(reason, cx);
        let name = &self.config.name;
        cx.log(Level::Error, format!("{name}: reload abandoned, the old processes stay: {reason}"));
        if nothing_missing {
            let generation = self.spawns.generation;
            let new = self.processes.values().filter(|p| p.generation == generation);
            let new: Vec<u32> = new.filter(|p| p.runs()).map(|p| p.wid).collect();
            for wid in new {
                self.dismiss(wid, cx);
            }
        }
        nothing_missing
    }

    /// The reload ends here, and clients that wait for it are told why.
    pub(super) fn give_reload_up(&mut self, reason: &str, cx: &mut Cx) {
        if let Some(run) = self.run_mut() {
            // Another one would fail for the same reason.
            (run.reload, run.next_reload) = (None, None);
        }
        if self.settings.proven.is_some() {
            let name = &self.config.name;
            let text = format!("{name}: its processes keep the previous options until a reload succeeds");
            cx.log(Level::Warning, text);
            cx.act(Action::Changed(self.id));
        }
        cx.outcome.reload_failure = Some(reason.to_owned());
        self.history.note(cx.now, What::NotReloaded(reason.into()));
    }
}
