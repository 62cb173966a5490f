//! Commands and signals in the place of what circus does itself: `stop_command` instead of stop_signal,
//! `reload_command` or a signal instead of new processes.
//!
//! The commands are run as hooks are (hooks.rs), one for each process that they are about.

use super::context::Cx;
use super::hooks::{About, Then};
use super::process::Phase;
use super::reload::Reload;
use super::time::Time;
use super::watcher::Watcher;
use super::{Level, Pid, Published};
use crate::config::hooks::Hook;
use crate::signals::{self, SIGHUP, SIGTERM};
use std::collections::VecDeque;

impl Watcher {
    /// The signal that asks its processes to end.
    pub(super) fn stop_signal(&self) -> i32 {
        i32::try_from(self.config.options.stop_signal).unwrap_or(SIGTERM)
    }

    /// Runs stop_command about a process, which gets SIGKILL at `kill_at`: the command has no longer either.
    pub(super) fn run_stop_command(&mut self, wid: u32, pid: Pid, kill_at: Time, cx: &mut Cx) -> bool {
        let then = Then::Stopped { wid, pid };
        if self.waits_for(then) {
            return true;
        }
        let about = About { pid: Some(pid), signum: Some(self.stop_signal()), ..About::default() };
        let runs = self.call_until(kill_at, Hook::StopCommand, about, then, cx);
        if runs {
            cx.publish(&self.config.name, Published::Kill { pid });
        }
        runs
    }

    /// stop_command did not do its work: the process, if it is there still, gets the signal.
    pub(super) fn stop_command_failed(&mut self, wid: u32, pid: Pid, cx: &mut Cx) {
        let process = self.processes.get(wid).filter(|process| process.pid == pid);
        if let Some(Phase::Asked { signum, kill_at }) = process.map(|process| process.phase())
            && kill_at > cx.now
        {
            self.ask_by_signal((wid, pid), signum, kill_at.since(cx.now), cx);
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
        self.config.program_of(Hook::ReloadCommand).is_some() || self.reload_signal().is_some()
    }

    /// Begins a reload in which the processes stay.
    pub(super) fn reload_in_place(&mut self, cx: &mut Cx) {
        if self.config.program_of(Hook::ReloadCommand).is_some() {
            let queue = self.oldest_first().into();
            return self.set_reload(Reload::Commands { queue, current: None });
        }
        for pid in self.oldest_first() {
            let Some(signum) = self.reload_signal() else { break };
            let name = signals::name(signum);
            cx.log(Level::Info, format!("SENDING {} to {pid}", name.strip_prefix("SIG").unwrap_or(&name)));
            cx.signal(pid, signum);
        }
        self.end_reload(cx);
    }

    /// Runs reload_command about the next process that runs.
    pub(super) fn step_commands(&mut self, mut queue: VecDeque<Pid>, cx: &mut Cx) {
        while let Some(pid) = queue.pop_front() {
            let about = About { pid: Some(pid), ..About::default() };
            if self.running_wid(pid).is_some()
                && self.call(Hook::ReloadCommand, about, Then::Reloaded { pid }, cx)
            {
                return self.set_reload(Reload::Commands { queue, current: Some(pid) });
            }
        }
        self.end_reload(cx);
    }

    /// reload_command has ended. If it has failed, the other processes are spared.
    pub(super) fn reload_command_done(&mut self, pid: Pid, failure: Option<String>, cx: &mut Cx) {
        let reload = self.run_mut().and_then(|run| run.reload.as_mut());
        let Some(Reload::Commands { current, .. }) = reload else { return };
        *current = None;
        if let Some(why) = failure {
            self.give_reload_up(&why, cx);
            let name = &self.config.name;
            cx.log(Level::Error, format!("{name}: the reload was given up at process {pid}: {why}"));
        }
    }
}
