//! Commands of the user in the place of what circus does itself: `stop_command` instead of stop_signal,
//! `reload_command` instead of new processes.
//!
//! The commands are run as hooks are (calls.rs), one for each process that they are about.

use super::context::Cx;
use super::hooks::{About, Then};
use super::process::{Fate, Process};
use super::reload::Reload;
use super::time::Time;
use super::watcher::Watcher;
use super::{Level, Pid, Published};
use crate::config::hooks::Hook;
use std::collections::VecDeque;

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
