//! Hooks: programs of the user that are asked before something is done, or told that it was; and the commands that
//! stand in for circus.
//!
//! The daemon runs them; nobody waits for one longer than hook_timeout.

use super::context::Cx;
use super::hooks::{About, Answer, Call, HookId, MOST_CALLS, Then};
use super::process::{Fate, Process};
use super::reload::Reload;
use super::run::State;
use super::time::Time;
use super::watcher::Watcher;
use super::{Action, Level, Pid, Published};
use crate::config::hooks::Hook;
use crate::config::number;
use std::collections::VecDeque;

impl Answer {
    fn failure(&self) -> Option<&str> {
        match self {
            Answer::Yes => None,
            Answer::No => Some("it said no"),
            Answer::Refused(why) | Answer::Failed(why) => Some(why),
        }
    }
}

impl Call {
    /// Whether the answer agrees.
    fn agrees(&self, answer: &Answer) -> bool {
        match answer {
            Answer::Yes => true,
            Answer::No => false,
            Answer::Refused(_) => self.lenient,
            // A signal is not held back by a hook that is broken.
            Answer::Failed(_) => self.lenient || self.hook == Hook::BeforeSignal,
        }
    }
}

impl Watcher {
    /// Runs a hook, if there is one: true, and later [`Then`].
    pub(super) fn call(&mut self, hook: Hook, about: About, then: Then, cx: &mut Cx) -> bool {
        let deadline = cx.now.plus(self.config.options.hook_timeout);
        self.call_until(deadline, hook, about, then, cx)
    }

    /// The same with a deadline of its own.
    pub(super) fn call_until(
        &mut self,
        deadline: Time,
        hook: Hook,
        about: About,
        then: Then,
        cx: &mut Cx,
    ) -> bool {
        if self.hooks.hurried {
            return false;
        }
        let asked = about.pid.filter(|_| hook == Hook::Ready);
        let config = asked.map_or(&self.config, |pid| self.options_of(pid));
        let Some((_, lenient)) = config.program_of(hook) else { return false };
        cx.last_hook.0 += 1;
        let id = cx.last_hook;
        self.hooks.calls.insert(id, Call { hook, lenient, deadline, then });
        cx.act(Action::RunHook { id, watcher: self.id, hook, about });
        true
    }

    /// Runs a hook, if there is one, whose answer decides nothing.
    pub(super) fn tell(&mut self, hook: Hook, about: About, cx: &mut Cx) {
        if self.hooks.calls.len() < MOST_CALLS {
            self.call(hook, about, Then::Nothing, cx);
        } else {
            let (name, hook) = (&self.config.name, hook.name());
            cx.log(Level::Error, format!("{name}: too many hooks run already: {hook} is skipped"));
        }
    }

    /// Whether the watcher has this hook.
    pub(super) fn has_hook(&self, hook: Hook) -> bool {
        !self.hooks.hurried && self.config.program_of(hook).is_some()
    }

    /// A hook has ended.
    pub(super) fn hook_done(&mut self, id: HookId, answer: &Answer, cx: &mut Cx) {
        if let Some(call) = self.hooks.calls.remove(&id) {
            self.go_on(&call, answer, cx);
        }
    }

    /// circus could not run a hook yet, for want of something. That is not its fault: one that could keep the watcher
    /// from running has its whole time again. A question is asked later.
    pub(super) fn hook_delayed(&mut self, id: HookId, cx: &mut Cx) {
        // It is tried again within a second.
        let whole = cx.now.plus(self.config.options.hook_timeout.max(1.0));
        let Some(call) = self.hooks.calls.get_mut(&id) else { return };
        match call.then {
            Then::Begin | Then::Activate | Then::Spawn | Then::Keep => call.deadline = whole,
            Then::Probed { wid, pid } => self.ask_later(wid, pid, cx),
            Then::Stop
            | Then::Rest
            | Then::Ask { .. }
            | Then::Signal { .. }
            | Then::Reaped(_)
            | Then::Stopped { .. }
            | Then::Reloaded { .. }
            | Then::Nothing => {}
        }
    }

    /// Does what hangs on an answer.
    fn go_on(&mut self, call: &Call, answer: &Answer, cx: &mut Cx) {
        if let Then::Probed { wid, pid } = call.then {
            return self.probed(wid, pid, answer.failure(), cx);
        }
        self.report(call.hook, answer, cx);
        let agreed = call.agrees(answer);
        let refusal = (!agreed).then(|| refusal(call.hook, answer));
        match (call.then, refusal) {
            (Then::Begin, Some(why)) => self.stay_stopped(why, cx),
            (Then::Activate, Some(why)) => self.give_up(why, cx),
            (Then::Spawn | Then::Keep, Some(why)) => self.spawn_refused(why, cx),
            (Then::Stopped { wid, pid }, Some(_)) => self.stop_command_failed(wid, pid, cx),
            (Then::Begin | Then::Stopped { .. } | Then::Probed { .. } | Then::Nothing, _) => {}
            (Then::Activate, None) => self.become_active(cx),
            (Then::Spawn, None) => self.make(cx),
            (Then::Keep, None) => self.settle(cx),
            (Then::Stop, _) => self.ask_all(cx),
            (Then::Rest, _) => self.rest(cx),
            (Then::Ask { wid, pid, signum, timeout }, _) => {
                self.ask_now((wid, pid), signum, timeout, agreed, cx);
            }
            (Then::Signal { pid, signum, whom }, _) => self.signal_now(pid, signum, whom, agreed, cx),
            (Then::Reloaded { pid }, failure) => self.reload_command_done(pid, failure, cx),
            (Then::Reaped(about), _) => self.tell(Hook::AfterReap, about, cx),
        }
    }

    /// Tells subscribers and the log how a hook ended.
    fn report(&self, hook: Hook, answer: &Answer, cx: &mut Cx) {
        let name = &self.config.name;
        let (level, error) = match answer {
            Answer::Yes if hook.is_command() => return,
            Answer::Yes | Answer::No => return cx.publish(name, Published::HookSuccess { hook }),
            Answer::Refused(why) => (Level::Warning, why),
            Answer::Failed(why) => (Level::Error, why),
        };
        if hook.is_command() {
            return cx.log(level, format!("{name}: {} failed: {error}", hook.name()));
        }
        cx.log(level, format!("{name}: Hook '{}' failed: {error}", hook.name()));
        cx.publish(name, Published::HookFailure { hook, error: error.clone() });
    }

    /// Ends the hooks on which something of this kind hangs; it is not decided any more.
    pub(super) fn cancel_hooks(&mut self, which: &dyn Fn(Then) -> bool, cx: &mut Cx) {
        for call in self.take_calls(&|call| which(call.then), cx) {
            let (name, hook) = (&self.config.name, call.hook);
            cx.log(Level::Info, format!("{name}: the {} is no longer needed and was stopped", title(hook)));
            if hook.is_command() {
                continue;
            }
            cx.publish(name, Published::HookFailure { hook, error: "cancelled".into() });
        }
    }

    /// Ends the question about a process, without a word.
    pub(super) fn drop_question(&mut self, wid: u32, pid: Pid, cx: &mut Cx) {
        self.take_calls(&|call| call.then == Then::Probed { wid, pid }, cx);
    }

    /// Takes calls out of the table, all at once, since there may be thousands, and ends their hooks.
    fn take_calls(&mut self, which: &dyn Fn(&Call) -> bool, cx: &mut Cx) -> Vec<Call> {
        let mut taken = Vec::new();
        if !self.hooks.calls.values().any(which) {
            return taken;
        }
        for (id, call) in std::mem::take(&mut self.hooks.calls) {
            if which(&call) {
                cx.act(Action::CancelHook { id, watcher: self.id });
                taken.push(call);
            } else {
                self.hooks.calls.insert(id, call);
            }
        }
        taken
    }

    /// Goes on without the hooks that took too long.
    pub(super) fn expire_hooks(&mut self, cx: &mut Cx) {
        let now = cx.now;
        for call in self.take_calls(&|call| call.deadline <= now, cx) {
            let options = &self.config.options;
            let stops = call.hook == Hook::StopCommand;
            let seconds = if stops { options.graceful_timeout } else { options.hook_timeout };
            let why = match call.hook.is_probe() {
                true => "no answer in time".into(),
                false => format!("it took longer than {} s", number::short(seconds)),
            };
            self.go_on(&call, &Answer::Failed(why), cx);
        }
    }

    /// before_start does not want it to start: it has not been anything but stopped.
    fn stay_stopped(&mut self, refusal: String, cx: &mut Cx) {
        cx.log(Level::Warning, format!("{} does not start: {refusal}", self.config.name));
        self.failed_for_good(refusal, cx);
        self.state = State::Stopped;
    }

    /// A hook does not want it to run.
    pub(super) fn give_up(&mut self, refusal: String, cx: &mut Cx) {
        cx.log(Level::Warning, format!("{} is being stopped: {refusal}", self.config.name));
        self.failed_for_good(refusal, cx);
        self.begin_stop(cx);
    }

    /// before_spawn does not want a process, or after_spawn this one. In a reload the old ones stay; else the
    /// watcher stops.
    fn spawn_refused(&mut self, refusal: String, cx: &mut Cx) {
        self.end_spawn(cx);
        if !self.reload_cannot_go_on(&refusal, cx) {
            self.give_up(refusal, cx);
        }
    }
}

/// Commands of the user in the place of what circus does itself: `stop_command` instead of stop_signal,
/// `reload_command` instead of new processes. They are run as hooks are, one for each process that they are about.
impl Watcher {
    /// Runs stop_command about a process, which gets SIGKILL at `kill_at`: the command has no longer either.
    pub(super) fn run_stop_command(&mut self, wid: u32, pid: Pid, kill_at: Time, cx: &mut Cx) -> bool {
        let then = Then::Stopped { wid, pid };
        if self.waits_for(then) {
            return true;
        }
        let about = About { signum: Some(self.stop_signal()), ..About::of(pid) };
        let runs = self.call_until(kill_at, Hook::StopCommand, about, then, cx);
        if runs {
            cx.publish(&self.config.name, Published::Kill { pid });
        }
        runs
    }

    /// stop_command did not do its work: the process, if it is there still, gets the signal.
    pub(super) fn stop_command_failed(&mut self, wid: u32, pid: Pid, cx: &mut Cx) {
        let process = self.processes.get(wid).filter(|process| process.pid == pid);
        if let Some(Fate::Asked { signum, kill_at }) = process.map(Process::pending)
            && kill_at > cx.now
        {
            self.ask_by_signal((wid, pid), signum, kill_at.since(cx.now), cx);
        }
    }

    /// Runs reload_command about the next process that runs.
    pub(super) fn step_commands(&mut self, mut queue: VecDeque<Pid>, cx: &mut Cx) {
        while let Some(pid) = queue.pop_front() {
            if self.running_wid(pid).is_some()
                && self.call(Hook::ReloadCommand, About::of(pid), Then::Reloaded { pid }, cx)
            {
                return self.set_reload(Reload::Commands { queue, current: Some(pid) });
            }
        }
        self.end_reload(cx);
    }

    /// reload_command has ended. If it has failed, the other processes are spared.
    pub(super) fn reload_command_done(&mut self, pid: Pid, failure: Option<String>, cx: &mut Cx) {
        let reload = self.held_run().and_then(|run| run.reload.as_mut());
        let Some(Reload::Commands { current, .. }) = reload else { return };
        *current = None;
        if let Some(why) = failure {
            self.give_reload_up(&why, cx);
            let name = &self.config.name;
            cx.log(Level::Error, format!("{name}: reload abandoned at process {pid}: {why}"));
        }
    }
}

/// What a hook or command is called in a sentence.
fn title(hook: Hook) -> String {
    let kind = if hook.is_command() { "" } else { "hook " };
    format!("{kind}{}", hook.name())
}

/// That it does not agree, and why.
fn refusal(hook: Hook, answer: &Answer) -> String {
    let hook = title(hook);
    match answer {
        Answer::Yes | Answer::No => format!("its {hook} said no"),
        Answer::Refused(why) | Answer::Failed(why) => format!("its {hook} failed: {why}"),
    }
}
