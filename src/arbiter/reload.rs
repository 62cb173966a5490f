//! Replacing the processes of a watcher: all at once without a gap, or one after the other.
//!
//! A graceful reload spawns as many new processes as are wanted, back to back, and only then asks the old ones to
//! end; when a new one fails, the old ones stay. A sequential one replaces process by process. So does the reload
//! of a singleton, which must never run twice. What makes the new ones good is in generations.rs.

use super::context::Cx;
use super::history::{Restart, What};
use super::process::Process;
use super::request::Manner;
use super::run::Run;
use super::watcher::{Goal, Status, Watcher};
use super::{Action, Level, Pid, Published, Whom};
use crate::config::hooks::Hook;
use crate::signals::{self, SIGHUP};
use crate::sorted::sort_by;
use std::collections::VecDeque;

/// A reload in progress.
#[derive(Clone, Debug)]
pub(super) enum Reload {
    /// Asked for; it begins when the watcher is active.
    Wanted(Manner),
    /// New processes are being spawned, so many are left, or all are there and on trial.
    Spawning { left: usize },
    /// A canary of good processes runs beside the old ones, until somebody judges it.
    #[cfg_attr(not(feature = "deploy"), allow(dead_code, reason = "no other build holds one"))]
    Held,
    /// The old processes were asked to end; some are left.
    Draining,
    /// One by one: these are left to replace, this one is on its way out.
    OneByOne { queue: VecDeque<Pid>, current: Option<Pid> },
    /// reload_command is run for one process after the other: these are left, it runs for this one.
    Commands { queue: VecDeque<Pid>, current: Option<Pid> },
}

impl Watcher {
    /// Asks for a reload; one that is under way is finished first.
    pub(super) fn want_reload(&mut self, manner: Manner) {
        let Some(run) = self.run_mut() else { return }; // it starts anew anyway
        match run.reload {
            None => run.reload = Some(Reload::Wanted(manner)),
            Some(_) => run.next_reload = Some(manner),
        }
    }

    /// Whether new processes are there beside the old ones that stay for now.
    pub(super) fn has_two_generations(&self) -> bool {
        match self.run().reload {
            Some(Reload::Spawning { .. } | Reload::Held) => true,
            None | Some(Reload::Wanted(_) | Reload::Draining) => false,
            Some(Reload::OneByOne { .. } | Reload::Commands { .. }) => false,
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
            self.held_run().into_iter().for_each(Run::forget_pauses);
            if self.processes.is_empty() {
                return; // the first one comes with what has changed
            }
        }
        self.want_reload(self.manner(false));
    }

    /// Takes the reload as far as it goes now.
    pub(super) fn step_reload(&mut self, cx: &mut Cx) {
        self.step_once(cx);
        while let Some(Reload::Wanted(manner)) = self.run().reload {
            self.begin_reload(manner, cx);
            self.step_once(cx);
        }
    }

    pub(super) fn set_reload(&mut self, reload: Reload) {
        if let Some(run) = self.run_mut() {
            run.reload = Some(reload);
        }
    }

    fn step_once(&mut self, cx: &mut Cx) {
        match self.held_run().and_then(|run| run.reload.take()) {
            None => {}
            Some(Reload::Spawning { .. })
                if self.config.options.singleton && self.spawns.under_way.is_none() =>
            {
                // It has become one meanwhile.
                self.begin_reload(Manner { sequential: true, ..self.run().manner }, cx);
            }
            Some(Reload::Spawning { left })
                if self.spawns.under_way.is_none()
                    && self.decides_at(left).is_some_and(|at| at <= cx.now) =>
            {
                self.go_on_spawning(left, cx);
            }
            Some(Reload::Held) if self.run().next_reload.is_some() => self.give_canary_up(cx),
            Some(Reload::Draining)
                if self.processes.values().all(|p| p.generation == self.spawns.generation) =>
            {
                self.end_reload(cx);
            }
            Some(Reload::OneByOne { queue, current }) => self.step_one_by_one(queue, current, cx),
            Some(Reload::Commands { queue, current: None }) => self.step_commands(queue, cx),
            Some(
                state @ (Reload::Wanted(_)
                | Reload::Spawning { .. }
                | Reload::Held
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

    fn begin_reload(&mut self, manner: Manner, cx: &mut Cx) {
        if self.reloads_in_place() {
            self.reload_in_place(cx);
            return;
        }
        if self.settings.past.proven.is_some() {
            cx.act(Action::Changed(self.id)); // the new options are tried
        }
        self.spawns.generation += 1;
        if let Some(run) = self.run_mut() {
            run.refill();
            run.replacing.clear();
            run.manner = manner;
        }
        let wanted = self.config.wanted();
        self.set_reload(if manner.sequential || self.config.options.singleton {
            Reload::OneByOne { queue: self.oldest_first().into(), current: None }
        } else {
            Reload::Spawning { left: manner.canary.map_or(wanted, |canary| canary.min(wanted)) }
        });
    }

    /// The new processes that are there are good. They take the places of old ones: all at once, or as many as there are
    /// when there may not be more processes at a time.
    fn go_on_spawning(&mut self, left: usize, cx: &mut Cx) {
        match (left, self.run().manner.canary) {
            (0, None) => self.drain_old(cx),
            (0, Some(_)) => self.hold_canary(cx),
            (left, _) => {
                self.set_reload(Reload::Spawning { left });
                let mut old: Vec<&Process> =
                    self.processes.values().filter(|p| p.holds_slot() && self.is_old(p)).collect();
                sort_by(&mut old, |a, b| (a.started, a.pid) < (b.started, b.pid));
                let old: Vec<u32> = old.iter().take(self.surplus()).map(|p| p.wid).collect();
                self.history.count_restarts(Restart::Reload, old.len());
                old.into_iter().for_each(|wid| self.dismiss(wid, cx));
            }
        }
    }

    /// The new processes are there: asks those of older generations to end.
    fn drain_old(&mut self, cx: &mut Cx) {
        let generation = self.spawns.generation;
        // Their successors are there already.
        self.held_run()
            .into_iter()
            .for_each(|run| run.slots.retain(|slot| !slot.is_behind() && !slot.is_old()));
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

    fn step_one_by_one(&mut self, mut queue: VecDeque<Pid>, current: Option<Pid>, cx: &mut Cx) {
        let current = current.filter(|pid| self.processes.values().any(|p| p.pid == *pid));
        let busy = current.is_some()
            || self.spawns.under_way.is_some()
            || self.missing() > 0
            || !self.gate_is_open(cx.now)
            || self.goes_on_at().is_none_or(|at| at > cx.now);
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

    pub(super) fn end_reload(&mut self, cx: &mut Cx) {
        if let Some(run) = self.held_run() {
            run.reload = run.next_reload.take().map(Reload::Wanted);
        }
        cx.publish(&self.config.name, Published::Reload);
        cx.log(Level::Info, format!("{} reloaded", self.config.name));
    }

    /// A process could not be executed, or is no good. A reload that needs it ends here: the old processes stay, and
    /// new ones that were spawned already are ended. True when nothing is left to be done about it itself.
    pub(super) fn reload_cannot_go_on(&mut self, reason: &str, cx: &mut Cx) -> bool {
        let together = match self.run().reload {
            Some(Reload::Spawning { .. } | Reload::Held) => true,
            Some(Reload::OneByOne { .. }) => false,
            None | Some(Reload::Wanted(_) | Reload::Draining | Reload::Commands { .. }) => return false,
        };
        self.give_reload_up(reason, cx);
        let name = &self.config.name;
        cx.log(Level::Error, format!("{name}: reload abandoned, the old processes stay: {reason}"));
        if together {
            self.dismiss_new(cx);
        } else if self.run().manner.deploys {
            self.replace_new();
        }
        together
    }

    /// A deployment has failed one by one: those that it has replaced are replaced again, by the options of before.
    fn replace_new(&mut self) {
        let new = |pid: &Pid| self.processes.that_run().any(|p| p.pid == *pid && !self.is_old(p));
        let queue: VecDeque<Pid> = self.oldest_first().into_iter().filter(new).collect();
        if queue.is_empty() {
            return;
        }
        self.spawns.generation += 1;
        if let Some(run) = self.run_mut() {
            run.manner = Manner { sequential: true, ..Manner::default() };
            run.reload = Some(Reload::OneByOne { queue, current: None });
        }
    }

    /// Ends the processes of the generation that is no good.
    pub(super) fn dismiss_new(&mut self, cx: &mut Cx) {
        let new = self.processes.values().filter(|p| p.runs() && !self.is_old(p));
        let new: Vec<u32> = new.map(|p| p.wid).collect();
        new.into_iter().for_each(|wid| self.dismiss(wid, cx));
        if !self.is_confirming()
            && let Some(spawning) = self.spawns.under_way.as_mut().filter(|spawning| !spawning.old)
        {
            spawning.unwanted = true;
        }
    }

    /// The reload ends here, and clients that wait for it are told why.
    pub(super) fn give_reload_up(&mut self, reason: &str, cx: &mut Cx) {
        if let Some(run) = self.held_run() {
            // Another one would fail for the same reason.
            (run.reload, run.next_reload) = (None, None);
        }
        self.fall_back(reason, cx);
        let what = if self.run().manner.deploys { "deployed" } else { "reloaded" };
        cx.outcome.reload_failure = Some(format!("was not {what}: {reason}"));
        self.history.note(cx.now, What::NotReloaded(reason.into()));
    }
}
