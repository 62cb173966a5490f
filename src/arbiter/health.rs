//! `ready`, `health` and `watchdog` at work: what is asked when, and what follows.
//!
//! Questions are asked as hooks are (calls.rs), one at a time for each process.

use super::context::Cx;
use super::history::{Restart, What};
use super::hooks::{About, Then};
use super::process::Process;
use super::readiness::{HealthFailure, Liveness, Notice};
use super::time::Time;
use super::watcher::Watcher;
use super::{Level, Pid, Published};
use crate::config::hooks::Hook;
use crate::config::number;
use crate::config::options::{
    HEALTH_INTERVAL, HEALTH_RETRIES, HEALTH_TIMEOUT, READY_TIMEOUT, WatcherOptions,
};
use crate::config::probe::Probe;
use crate::signals::SIGABRT;

/// Seconds from a spawn to the first question whether the process is ready; the pauses between the next ones double.
const FIRST_PAUSE: f64 = 0.1;
const LONGEST_PAUSE: f64 = 1.0;
/// No interval and no timeout is shorter, in seconds.
const SHORTEST: f64 = 0.1;

impl Liveness {
    /// It is not ready; when that is to change.
    fn await_readiness(&mut self, probe: &Probe, started: Time, options: &WatcherOptions) {
        let after = if let Probe::After(seconds) = probe { Some(*seconds) } else { None };
        let patience = Some(options.ready_timeout.unwrap_or(READY_TIMEOUT));
        self.ready_at = after.map(|seconds| started.plus(seconds));
        self.ready_by = patience
            .filter(|patience| *patience > 0.0 && after.is_none())
            .map(|patience| started.plus(patience));
        let next = self.next.unwrap_or(started.plus(FIRST_PAUSE));
        self.next = (probe.is_asked() && !self.asking).then_some(next);
    }

    fn begin_work(&mut self, now: Time) {
        let (ailment, watchdog) = (self.ailment, self.watchdog);
        *self = Liveness { ready: Some(now), heard: now, ailment, watchdog, ..Liveness::default() };
    }
}

impl Watcher {
    /// The liveness of a new process, if it is looked after.
    pub(super) fn first_liveness(&self, wid: u32, pid: Pid, now: Time) -> Option<Box<Liveness>> {
        let config = self.making();
        let mut liveness = Liveness { watchdog: config.watchdog(), heard: now, ..Liveness::default() };
        match probe_of(&config.options, wid, pid) {
            Some(probe) => liveness.await_readiness(&probe, now, &config.options),
            None if liveness.watchdog.is_none() => return None,
            None => liveness.begin_work(now),
        }
        Some(Box::new(liveness))
    }

    /// A process takes the place of an old one, which ends when it is ready.
    pub(super) fn succeed(&mut self, wid: u32, old: u32, cx: &mut Cx) {
        let pid = self.processes.get(old).map(|old| old.pid);
        let process = self.processes.get_mut(wid).filter(|process| !process.is_ready());
        match process.and_then(|process| process.liveness_mut()) {
            Some(liveness) => liveness.replaces = pid,
            None => self.dismiss(old, cx),
        }
    }

    /// Its options may have changed: where there is no `ready` any more, it is not waited for, and where there is
    /// another one, that holds.
    pub(super) fn ready_by_options(&mut self, cx: &mut Cx) {
        let options = &self.config.options;
        let mut ready = Vec::new();
        for process in self.processes.values_mut().filter(|p| p.runs() && !p.is_ready()) {
            let (wid, started) = (process.wid, process.started);
            match (probe_of(options, wid, process.pid), process.liveness_mut()) {
                (Some(probe), Some(liveness)) => liveness.await_readiness(&probe, started, options),
                _ => ready.push(wid),
            }
        }
        ready.into_iter().for_each(|wid| self.became_ready(wid, cx));
    }

    /// Plans the first question to each process that is ready, if there is one to ask.
    pub(super) fn look_after(&mut self, cx: &Cx) {
        if !self.has_hook(Hook::Health) {
            return;
        }
        let next = cx.now.plus(interval(&self.config.options));
        for process in self.processes.values_mut().filter(|p| p.runs()) {
            let new = || Box::new(Liveness { ready: Some(cx.now), ..Liveness::default() });
            let liveness = process.more.liveness.get_or_insert_with(new);
            if liveness.ready.is_some() && !liveness.asking {
                // The interval may have become shorter.
                liveness.next = Some(liveness.next.map_or(next, |at| at.min(next)));
            }
        }
    }

    /// A process has told something of itself.
    pub(super) fn noticed(&mut self, wid: u32, notice: Notice, cx: &mut Cx) {
        let is_up = self.is_up();
        let Some(process) = self.processes.get_mut(wid) else { return };
        let runs = process.runs();
        let Some(liveness) = process.liveness_mut().filter(|_| runs) else { return };
        match notice {
            Notice::Ready if liveness.ready.is_none() => self.became_ready(wid, cx),
            Notice::Alive => liveness.heard = cx.now,
            // One that is to be stopped ends soon anyway, after before_stop and those that depend on it.
            Notice::Trigger if liveness.watchdog.is_some() && is_up => {
                let why = "reports a failure (WATCHDOG=trigger)".into();
                self.fail_process(wid, HealthFailure::Silent, why, cx);
            }
            Notice::Ready | Notice::Trigger => {}
        }
    }

    fn became_ready(&mut self, wid: u32, cx: &mut Cx) {
        let Some(process) = self.processes.get_mut(wid) else { return };
        let (pid, took) = (process.pid, cx.now.since(process.started));
        let Some(liveness) = process.liveness_mut() else { return };
        let (old, asking) = (liveness.replaces, liveness.asking);
        liveness.begin_work(cx.now);
        if asking {
            self.drop_question(wid, pid, cx);
        }
        let took = number::fixed(took, 1);
        self.say_of(Level::Info, (pid, wid), &format!("is ready after {took} s"), cx);
        cx.publish(&self.config.name, Published::Ready { pid });
        if let Some(old) = old.and_then(|old| self.running_wid(old)) {
            self.dismiss(old, cx);
        }
    }

    /// Does what is due about its processes.
    pub(super) fn expire_liveness(&mut self, cx: &mut Cx) {
        if !self.is_up() {
            return;
        }
        let is_due = |p: &&Process| p.liveness_deadline().is_some_and(|at| at <= cx.now);
        let due: Vec<u32> = self.processes.values().filter(is_due).map(|p| p.wid).collect();
        for wid in due {
            self.tend(wid, cx);
        }
    }

    fn tend(&mut self, wid: u32, cx: &mut Cx) {
        let Some(process) = self.processes.get(wid) else { return };
        let Some(liveness) = process.more.liveness.as_ref().filter(|_| process.runs()) else { return };
        let due = |at: Option<Time>| at.is_some_and(|at| at <= cx.now);
        if due(liveness.ready_at) {
            self.became_ready(wid, cx);
        } else if due(liveness.ready_by) {
            let seconds = number::short(liveness.ready_by.unwrap_or_default().since(process.started));
            let why = format!("was not ready within {seconds} s{}", process.last_failure());
            self.fail_process(wid, HealthFailure::Late, why, cx);
        } else if due(liveness.is_silent_at()) {
            let seconds = number::short(liveness.watchdog.unwrap_or_default());
            let why = format!("has not sent WATCHDOG=1 for {seconds} s");
            self.fail_process(wid, HealthFailure::Silent, why, cx);
        } else {
            self.ask_question(wid, cx);
        }
    }

    fn ask_question(&mut self, wid: u32, cx: &mut Cx) {
        let options = &self.config.options;
        let patience = options.health_timeout.unwrap_or(HEALTH_TIMEOUT).max(SHORTEST);
        let Some(process) = self.processes.get_mut(wid) else { return };
        let pid = process.pid;
        let Some(liveness) = process.liveness_mut() else { return };
        let hook = if liveness.ready.is_some() { Hook::Health } else { Hook::Ready };
        let until = liveness.ready_by.into_iter().fold(cx.now.plus(patience), Time::min);
        liveness.next = None;
        let asking = self.call_until(until, hook, About::of(pid), Then::Probed { wid, pid }, cx);
        if let Some(liveness) = self.processes.get_mut(wid).and_then(|process| process.liveness_mut()) {
            liveness.asking = asking;
        }
    }

    /// A question could not be asked, since circus was short of something: nothing is known, and a process that is to
    /// become ready has its whole time again.
    pub(super) fn ask_later(&mut self, wid: u32, pid: Pid, cx: &mut Cx) {
        self.drop_question(wid, pid, cx);
        let options = &self.config.options;
        let ready_by = cx.now.plus(options.ready_timeout.unwrap_or(READY_TIMEOUT));
        let next = cx.now.plus(interval(options).min(LONGEST_PAUSE));
        let process = self.processes.get_mut(wid).filter(|process| process.pid == pid);
        let Some(liveness) = process.and_then(|process| process.liveness_mut()) else { return };
        liveness.asking = false;
        liveness.next = Some(next);
        liveness.ready_by = liveness.ready_by.map(|_| ready_by);
    }

    /// A question was answered: well, or with this failure.
    pub(super) fn probed(&mut self, wid: u32, pid: Pid, failure: Option<&str>, cx: &mut Cx) {
        let options = &self.config.options;
        let Some(process) = self.processes.get_mut(wid).filter(|p| p.pid == pid) else { return };
        let runs = process.runs();
        let Some(liveness) = process.liveness_mut().filter(|_| runs) else { return };
        liveness.asking = false;
        let pause = FIRST_PAUSE * f64::from(1u32 << liveness.failures.min(5));
        liveness.failures = if failure.is_some() { liveness.failures.saturating_add(1) } else { 0 };
        let failed_before = !liveness.why.is_empty();
        liveness.why = failure.unwrap_or_default().into();
        let (ready, failures) = (liveness.ready.is_some(), liveness.failures);
        liveness.next = Some(cx.now.plus(if ready { interval(options) } else { pause.min(LONGEST_PAUSE) }));
        let most = options.health_retries.unwrap_or(HEALTH_RETRIES as i64).max(1);
        match failure {
            None if !ready => self.became_ready(wid, cx),
            None if failed_before => self.say_of(Level::Info, (pid, wid), "answers again", cx),
            Some(why) if ready && i64::from(failures) >= most => {
                let times = if failures == 1 { String::new() } else { format!(" {failures} times in a row") };
                let why = format!("has failed its health probe{times}: {why}");
                self.fail_process(wid, HealthFailure::Unhealthy, why, cx);
            }
            Some(why) if ready => {
                let text = format!("has failed its health probe ({failures} of {most}): {why}");
                self.say_of(Level::Warning, (pid, wid), &text, cx);
            }
            None | Some(_) => {}
        }
    }

    /// A process does not do its work: it is ended. A reload that has made it ends, too.
    fn fail_process(&mut self, wid: u32, ailment: HealthFailure, why: String, cx: &mut Cx) {
        let Some(process) = self.processes.get_mut(wid) else { return };
        let (pid, is_new) = (process.pid, process.generation == self.spawns.generation);
        if let Some(liveness) = process.liveness_mut() {
            liveness.ailment = Some(ailment);
        }
        self.say_of(Level::Error, (pid, wid), &format!("{why}; it is stopped"), cx);
        cx.publish(&self.config.name, Published::Unhealthy { pid, reason: why.clone() });
        let restart = match ailment {
            HealthFailure::Late => Restart::Unready,
            HealthFailure::Unhealthy => Restart::Health,
            HealthFailure::Silent => Restart::Watchdog,
        };
        self.history.count_restarts(restart, 1);
        self.history.note(cx.now, What::Ailing { pid, wid, why: why.as_str().into() });
        if ailment == HealthFailure::Late && is_new {
            self.reload_cannot_go_on(&format!("process {pid} (wid {wid}) {why}"), cx);
        }
        // It may be among those that were dismissed with the reload.
        let signum = (ailment == HealthFailure::Silent).then_some(SIGABRT);
        if self.running_wid(pid).is_some() {
            self.ask(wid, signum, self.config.options.graceful_timeout, cx);
        }
    }

    /// A process is not looked after any more: it is about to end, or has ended.
    pub(super) fn end_liveness(&mut self, wid: u32, cx: &mut Cx) {
        let Some(process) = self.processes.get_mut(wid) else { return };
        let pid = process.pid;
        let Some(liveness) = process.liveness_mut() else { return };
        let old = liveness.replaces.take();
        if std::mem::take(&mut liveness.asking) {
            self.drop_question(wid, pid, cx);
        }
        if let Some(old) = old.and_then(|old| self.running_wid(old)) {
            self.postpone(old, cx);
        }
    }
}

/// How a process with these options says or is asked whether it is ready.
fn probe_of(options: &WatcherOptions, wid: u32, pid: Pid) -> Option<Probe> {
    Probe::parse(options.ready.as_deref()?, wid, pid).ok()
}

fn interval(options: &WatcherOptions) -> f64 {
    options.health_interval.unwrap_or(HEALTH_INTERVAL).max(SHORTEST)
}
