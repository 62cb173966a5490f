//! How processes and groups are brought to an end: ask, wait, kill.
//!
//! The process is asked with its signal. When it has gone, the rest of its group is asked; when graceful_timeout is
//! over, whatever is left of the group is killed. A watcher has stopped when its processes are reaped and their
//! groups are empty.

use super::context::{Cx, Known};
use super::exit_policy::succeeded;
use super::history::{Restart, What};
use super::hooks::{About, MOST_CALLS, Then};
use super::process::{Exit, Fate, Process};
use super::remnants::rest_of_stop;
use super::run::{Next, State};
use super::time::Time;
use super::watcher::{Goal, Status, Watcher};
use super::{Action, Level, Pid, Published, Whom};
use crate::config::hooks::Hook;
use crate::config::number;
use crate::signals::{self, SIGKILL, SIGTERM};
use crate::sorted::sort_by;

/// Seconds that circus waits for a process, or for the rest of its group, to go after SIGKILL. A process that waits for
/// a dead disk does not go, nor does one that circus may not signal; then circus goes on without it.
pub(super) const AFTER_KILL: f64 = 2.0;

/// As the log tells sizes.
const MEGABYTE: f64 = 1_048_576.0;

impl Watcher {
    /// Writes something about a process to the log.
    pub(super) fn say_of(&self, level: Level, (pid, wid): (Pid, u32), what: &str, cx: &mut Cx) {
        cx.log(level, format!("{}: process {pid} (wid {wid}) {what}", self.config.name));
    }

    /// A process is about to end, or has ended: nothing is asked about it any more, nor does it wait for its
    /// successor.
    fn leave(&mut self, wid: u32, cx: &mut Cx) {
        self.end_spawn_of(wid, cx);
        if let Some(run) = self.held_run() {
            run.replacing.retain(|old| *old != wid);
        }
        self.end_liveness(wid, cx);
    }

    /// The signal that asks its processes to end.
    pub(super) fn stop_signal(&self) -> i32 {
        i32::try_from(self.config.options.stop_signal).unwrap_or(SIGTERM)
    }

    /// Asks a process to end, in the watcher's own way and time.
    pub(super) fn ask_to_end(&mut self, wid: u32, cx: &mut Cx) {
        self.ask(wid, None, self.config.options.graceful_timeout, cx);
    }

    /// Asks a process to end by `signum`, or in the watcher's own way; it gets SIGKILL `timeout` seconds later, or at
    /// the time that an earlier order has set, whichever comes first.
    ///
    /// If before_signal is to be asked first, the timeout begins with its answer.
    pub(super) fn ask(&mut self, wid: u32, signum: Option<i32>, timeout: f64, cx: &mut Cx) {
        self.leave(wid, cx);
        let command = signum.is_none() && timeout > 0.0 && self.has_hook(Hook::StopCommand);
        let own_way = signum.is_none();
        let signum = signum.unwrap_or_else(|| self.stop_signal());
        let asks = !command && signum != SIGKILL && self.has_hook(Hook::BeforeSignal);
        let patience = if asks { self.config.options.hook_timeout + timeout } else { timeout };
        let is_stop_signal = signum == self.stop_signal();
        let Some(process) = self.processes.get_mut(wid) else { return };
        let (pid, before, had) = (process.pid, process.fate(), process.more.had_stop_signal);
        if process.exit().is_some() || matches!(before, Fate::Killed { .. }) {
            return;
        }
        process.more.had_stop_signal = if is_stop_signal { Some(signum) } else { had };
        let kill_at = before.kill_at().into_iter().fold(cx.now.plus(patience), Time::min);
        self.processes.set_fate(wid, Fate::Asked { signum, kill_at });
        if own_way && had == Some(signum) {
            // It may have less time than before, but is not asked a second time.
            return if kill_at <= cx.now {
                self.kill(wid, cx)
            };
        }
        self.cancel_asking(pid, cx);
        if !(command && self.run_stop_command(wid, pid, kill_at, cx)) {
            self.ask_by_signal((wid, pid), signum, timeout, cx);
        }
    }

    /// Asks a process to end by a signal, after before_signal was asked.
    pub(super) fn ask_by_signal(&mut self, (wid, pid): (u32, Pid), signum: i32, timeout: f64, cx: &mut Cx) {
        if !self.asks_before(pid, signum, Then::Ask { wid, pid, signum, timeout }, cx) {
            self.ask_now((wid, pid), signum, timeout, true, cx);
        }
    }

    /// Whether before_signal is asked about a signal first. It is told only of SIGKILL.
    fn asks_before(&mut self, pid: Pid, signum: i32, then: Then, cx: &mut Cx) -> bool {
        let about = about_signal(pid, signum);
        if signum != SIGKILL {
            return self.call(Hook::BeforeSignal, about, then, cx);
        }
        self.tell(Hook::BeforeSignal, about, cx);
        false
    }

    /// Ends the before_signal that is being asked about the end of a process.
    fn cancel_asking(&mut self, pid: Pid, cx: &mut Cx) {
        self.cancel_hooks(&|then| matches!(then, Then::Ask { pid: asked, .. } if asked == pid), cx);
    }

    /// Sends the signal that asks a process to end, if it is there still and `agreed`, which is before_signal's answer.
    pub(super) fn ask_now(
        &mut self,
        (wid, pid): (u32, Pid),
        signum: i32,
        timeout: f64,
        agreed: bool,
        cx: &mut Cx,
    ) {
        let process = self.processes.get(wid).filter(|process| process.pid == pid);
        let Some(Fate::Asked { kill_at, signum: asked }) = process.map(Process::pending) else { return };
        let kill_at = cx.now.plus(timeout).min(kill_at);
        self.processes.set_fate(wid, Fate::Asked { signum: asked, kill_at });
        let at_once = kill_at <= cx.now;
        if agreed {
            cx.act(Action::Ask { pid, signum, children: self.config.options.stop_children });
            cx.publish(&self.config.name, Published::Kill { pid });
        } else {
            self.log_veto(pid, signum, cx);
        }
        self.tell(Hook::AfterSignal, about_signal(pid, signum), cx);
        if at_once {
            self.kill(wid, cx);
        }
    }

    /// Sends the signal of a client to a process, after before_signal was asked.
    pub(super) fn send(&mut self, pid: Pid, signum: i32, whom: Whom, cx: &mut Cx) {
        match whom {
            Whom::Process | Whom::Descendants => {}
            // Circus asks about the processes themselves only.
            Whom::Group | Whom::Tree | Whom::Children | Whom::Child(_) => {
                return cx.act(Action::Signal { pid, signum, whom });
            }
        }
        if !self.asks_before(pid, signum, Then::Signal { pid, signum, whom }, cx) {
            self.signal_now(pid, signum, whom, true, cx);
        }
    }

    /// Sends the signal of a client, if the process is there still and before_signal has agreed.
    pub(super) fn signal_now(&mut self, pid: Pid, signum: i32, whom: Whom, agreed: bool, cx: &mut Cx) {
        let is_it = |p: &Process| p.pid == pid && p.exit().is_none();
        if !self.processes.values().any(is_it) {
            return;
        }
        if agreed {
            cx.act(Action::Signal { pid, signum, whom });
        } else {
            self.log_veto(pid, signum, cx);
        }
        self.tell(Hook::AfterSignal, about_signal(pid, signum), cx);
    }

    fn log_veto(&self, pid: Pid, signum: i32, cx: &mut Cx) {
        let (name, signal) = (&self.config.name, signals::name(signum));
        cx.log(Level::Info, format!("{name}: before_signal said no: {signal} is not sent to {pid}"));
    }

    /// What is to be ended together with a new process.
    pub(super) fn followers(&self) -> Option<Whom> {
        match self.making().options.kill_mode.as_str() {
            "process" => None,
            "tree" => Some(Whom::Tree),
            _ => Some(Whom::Group),
        }
    }

    /// Sends SIGKILL to a process and its group, which the process itself keeps from being another's. No hook can
    /// hold it back.
    fn kill(&mut self, wid: u32, cx: &mut Cx) {
        self.processes.set_fate(wid, Fate::Killed { until: cx.now.plus(AFTER_KILL) });
        let Some(process) = self.processes.get(wid) else { return };
        let (pid, whom) = (process.pid, process.followers.unwrap_or(Whom::Process));
        self.cancel_asking(pid, cx);
        self.tell(Hook::BeforeSignal, about_signal(pid, SIGKILL), cx);
        cx.act(Action::Signal { pid, signum: SIGKILL, whom });
        cx.publish(&self.config.name, Published::Kill { pid });
        self.tell(Hook::AfterSignal, about_signal(pid, SIGKILL), cx);
    }

    /// Sends SIGKILL to all that were asked to end: circus is in a hurry.
    pub(super) fn hurry(&mut self, cx: &mut Cx) {
        let (stop, rest) = (self.spares_processes(), self.waits_for(Then::Rest));
        if self.is_held_back() {
            self.state = State::Stopping { held_back: false };
        }
        self.hooks.hurried = true;
        self.cancel_hooks(&|_| true, cx);
        if stop {
            self.ask_all(cx);
        }
        if rest {
            self.rest(cx);
        }
        let asked = self.processes.values().filter(|p| p.kill_at().is_some());
        let asked: Vec<u32> = asked.map(|p| p.wid).collect();
        asked.into_iter().for_each(|wid| self.kill(wid, cx));
        self.hurry_remnants(cx);
    }

    /// A process is a zombie. While it is, its group's number is its own: the rest of the group is asked now.
    pub(super) fn exited(&mut self, wid: u32, exit: Exit, cx: &mut Cx) {
        self.leave(wid, cx);
        let process = self.processes.get(wid).filter(|process| process.exit().is_none());
        let Some(process) = process.cloned() else { return };
        let (pid, oom, lived) = (process.pid, process.more.oom, cx.now.since(process.started));
        let rest = match (process.fate(), &process.more.not_run) {
            (Fate::Left, Some(not_run)) => {
                self.note_failure(&not_run.reason, cx);
                Fate::Left
            }
            (Fate::Left, None) => {
                let replaced = self.replaces_after(exit, None, process.is_ready());
                self.history.count_restarts(Restart::after(exit, oom), usize::from(replaced));
                self.history.note(cx.now, What::Ended { pid, wid, exit, oom, lived: (lived * 1e3) as u64 });
                self.log_exit((pid, wid), exit, oom, lived, cx);
                if replaced {
                    self.consider_early_end(&process, exit, cx);
                }
                self.rest_of_crash(replaced, cx.now)
            }
            (Fate::Spared { signum, kill_at, .. } | Fate::Asked { signum, kill_at }, _) => {
                rest_of_stop(exit, signum, kill_at, cx.now)
            }
            (Fate::Killed { .. }, _) => Fate::Asked { signum: SIGKILL, kill_at: cx.now },
        };
        self.processes.set_end(wid, exit, rest);
        if process.more.not_run.is_none() {
            self.history.count_exit(exit);
        }
        if let Fate::Asked { signum, .. } = rest {
            cx.actions.extend(process.followers.map(|whom| Action::Signal { pid, signum, whom }));
        }
        self.call_reap_hooks(pid, exit, process.fate() != Fate::Left, cx);
        cx.publish(&self.config.name, Published::Reap { pid, exit, oom });
        cx.act(Action::Reap { pid });
    }

    /// Runs before_reap, then after_reap. Neither the zombie nor its successor waits for them.
    fn call_reap_hooks(&mut self, pid: Pid, exit: Exit, asked: bool, cx: &mut Cx) {
        let about = About { asked, ..About::of(pid) };
        let after = About { exit: Some(exit), ..about };
        let full = self.hooks.calls.len() >= MOST_CALLS;
        if full || !self.call(Hook::BeforeReap, about, Then::Reaped(after), cx) {
            self.tell(Hook::AfterReap, after, cx);
        }
    }

    fn log_exit(&self, (pid, wid): (Pid, u32), exit: Exit, oom: bool, lived: f64, cx: &mut Cx) {
        let (how, lived) = (exit.words(), number::fixed(lived, 1));
        let level = if succeeded(exit, &self.config.options) { Level::Info } else { Level::Warning };
        let why = if oom { ", probably because memory ran out" } else { "" };
        self.say_of(level, (pid, wid), &format!("{how} after {lived} s{why}"), cx);
    }

    /// A process is reaped; `group_left` says whether its group has members still.
    pub(super) fn reaped(&mut self, wid: u32, group_left: bool, cx: &mut Cx) {
        let Some(process) = self.forget_process(wid, cx) else { return };
        if group_left {
            cx.pids.insert(process.pid, Known::Group(self.id));
        }
        let next = self.next_after(&process, cx);
        if group_left && process.followers.is_some() {
            self.keep_remnant(&process, next, cx);
        } else {
            self.free(next);
        }
    }

    /// What comes into the slot of a process that is gone.
    fn next_after(&mut self, process: &Process, cx: &mut Cx) -> Next {
        if !process.holds_slot() {
            return Next::Nobody;
        }
        let asked =
            process.fate() != Fate::Left && process.ailment().is_none() && process.after_growth().is_none();
        if let Some(exit) = process.exit().filter(|_| self.stays_for_now(process) && self.goal == Goal::Up) {
            return self.replace_old(process, exit, cx);
        }
        let next = if asked { Next::AtOnce } else { self.decide_respawn(process, cx) };
        if self.is_up() && self.goal == Goal::Up { next } else { Next::Nobody }
    }

    /// A process that SIGKILL did not end: circus goes on without it, and reaps it when it ends.
    fn give_process_up(&mut self, wid: u32, cx: &mut Cx) {
        let Some(process) = self.forget_process(wid, cx) else { return };
        let pid = process.pid;
        self.left.survivors.push(pid);
        cx.pids.insert(pid, Known::Survivor(self.id));
        self.history.note(cx.now, What::Survives { pid, wid });
        let seconds = number::short(AFTER_KILL);
        let text = format!("is still there {seconds} s after SIGKILL; circus goes on without it");
        self.say_of(Level::Error, (pid, wid), &text, cx);
        cx.act(Action::GiveUp { watcher: self.id, wid, pid });
    }

    /// A process that was given up has ended after all.
    pub(super) fn survivor_ended(&mut self, pid: Pid, exit: Exit, cx: &mut Cx) {
        self.left.get_mut().into_iter().for_each(|left| left.survivors.retain(|survivor| *survivor != pid));
        let text =
            format!("{}: process {pid}, which SIGKILL did not end, {}", self.config.name, exit.words());
        cx.log(Level::Info, text);
    }

    /// Ends what is too much: slots that wait first, then processes that are on their way out anyway, then the
    /// oldest.
    pub(super) fn trim(&mut self, cx: &mut Cx) {
        if self.has_two_generations() {
            return; // two generations are there on purpose
        }
        let mut surplus = self.occupied().saturating_sub(self.config.wanted());
        if surplus > 0 {
            surplus = surplus.saturating_sub(self.doubled());
        }
        if surplus == 0 {
            return;
        }
        surplus -= self.held_run().map_or(0, |run| run.trim(surplus));
        let mut candidates: Vec<_> = self.processes.values().filter(|p| p.holds_slot()).collect();
        let order = |p: &&Process| (p.runs(), p.started, p.pid);
        sort_by(&mut candidates, |a, b| order(a) < order(b));
        let surplus: Vec<u32> = candidates.iter().take(surplus).map(|p| p.wid).collect();
        for wid in surplus {
            self.dismiss(wid, cx);
        }
    }

    /// How many old processes are there beside a successor that is being confirmed, or is not ready yet.
    pub(super) fn doubled(&self) -> usize {
        let confirming = self.is_confirming() && self.replaces().is_some();
        let old = self.processes.values().filter_map(Process::replaces);
        usize::from(confirming) + old.filter(|old| self.running_wid(*old).is_some()).count()
    }

    /// Ends a process whose slot is free from now on.
    pub(super) fn dismiss(&mut self, wid: u32, cx: &mut Cx) {
        self.processes.release_slot(wid);
        if self.processes.get(wid).is_some_and(Process::runs) {
            self.ask_to_end(wid, cx);
        }
    }

    /// Does what is due now by itself.
    pub(super) fn expire(&mut self, cx: &mut Cx) {
        self.expire_hooks(cx);
        let is_due = |p: &&Process| p.pending().due().is_some_and(|at| at <= cx.now);
        let due = self.processes.values().filter(is_due).map(|p| (p.wid, p.pid, p.kill_at().is_some()));
        let (to_kill, outlive): (Vec<_>, Vec<_>) = due.partition(|(.., asked)| *asked);
        for (wid, pid, _) in to_kill {
            self.history.note(cx.now, What::Killed { pid, wid });
            self.kill(wid, cx);
        }
        outlive.into_iter().for_each(|(wid, ..)| self.give_process_up(wid, cx));
        self.expire_remnants(cx);
        self.expire_liveness(cx);
        if self.may_expire() {
            self.expire_old(cx);
        }
    }

    /// Whether its processes are replaced when they are too old.
    pub(super) fn may_expire(&self) -> bool {
        self.status() == Status::Active && self.run().reload.is_none()
    }

    /// When a new process will be too old. The part that is left to chance is drawn once.
    pub(super) fn expiry(&self, cx: &mut Cx) -> Option<Time> {
        let age = self.config.options.max_age;
        let variance = u64::try_from(self.config.options.max_age_variance).unwrap_or(0);
        (age > 0).then(|| cx.now.plus(age as f64 + cx.random.up_to(variance) as f64))
    }

    /// A process has too much memory, with all that come from it: it is replaced as one that is too old is. One that has
    /// it soon after its start ends first, and its successor waits.
    pub(super) fn too_large(&mut self, wid: u32, rss: u64, cx: &mut Cx) {
        let megabytes = |bytes: f64| number::short(bytes / MEGABYTE) + "M";
        let (has, most) = (megabytes(rss as f64), megabytes(self.config.options.max_rss as f64));
        let may_expire = self.may_expire();
        let found =
            self.processes.values_mut().find(|p| p.wid == wid && p.runs() && p.more.too_large.is_none());
        let Some(process) = found.filter(|_| may_expire) else { return };
        process.more.too_large = Some(cx.now.since(process.started));
        process.more.expires = Some(cx.now);
        let pid = process.pid;
        let text = format!("has {has} of resident memory, and max_rss is {most}; it is replaced");
        self.say_of(Level::Warning, (pid, wid), &text, cx);
        self.history.note(cx.now, What::TooLarge { pid, wid });
    }

    /// Replaces the processes that are too old or too large: with inherited sockets the successor starts first, unless it is to
    /// wait; else two could want the same port.
    fn expire_old(&mut self, cx: &mut Cx) {
        let now = cx.now;
        let old: Vec<(u32, Pid, bool, bool)> = self
            .processes
            .values_mut()
            .filter(|p| p.runs() && p.more.expires.is_some_and(|at| at <= now))
            .map(|p| {
                p.more.expires = None;
                (p.wid, p.pid, p.more.too_large.is_some(), p.after_growth().is_some())
            })
            .collect();
        for (wid, pid, too_large, waits) in old {
            if !too_large {
                self.history.note(now, What::TooOld { pid, wid });
            }
            self.history.count_restarts(if too_large { Restart::Memory } else { Restart::MaxAge }, 1);
            if self.config.options.use_sockets && !self.config.options.singleton && !waits {
                self.run_mut().into_iter().for_each(|run| run.replacing.push(wid));
            } else {
                self.ask_to_end(wid, cx);
            }
        }
    }
}

fn about_signal(pid: Pid, signum: i32) -> About {
    About { signum: Some(signum), ..About::of(pid) }
}
