//! What the end of a process right after its start is a sign of, and what to do about that.

use super::context::Cx;
use super::exit_policy::succeeded;
use super::history::{Advice, What};
use super::process::{Exit, Process};
use super::reload::Reload;
use super::run::Run;
use super::watcher::Watcher;
use super::{Action, Level};
use crate::config::options::RESPAWN_WINDOW;

impl Watcher {
    /// A process has ended by itself. If it was the first one to end at once, it may have gone into the background: only
    /// a look at what is left tells. Or it wanted what an old process still has.
    pub(super) fn consider_early_end(&mut self, process: &Process, exit: Exit, cx: &mut Cx) {
        if process.more.chain.bad > 0 || cx.now.since(process.started) >= RESPAWN_WINDOW {
            return;
        }
        let is_new = |run: &Run| matches!(run.reload, Some(Reload::Spawning { .. } | Reload::Draining));
        let old_runs =
            || self.processes.values().any(|old| old.generation < process.generation && old.exit().is_none());
        if exit == Exit::Code(0) {
            cx.act(Action::LookForDetached { watcher: self.id, pid: process.pid });
        } else if !succeeded(exit, &self.config.options)
            && !self.config.options.use_sockets
            && is_new(self.run())
            && old_runs()
        {
            self.advise(Advice::Port, cx);
        }
    }

    /// Says what to do, once for a start or a reload.
    pub(super) fn advise(&mut self, advice: Advice, cx: &mut Cx) {
        let turns = |what: &What| matches!(what, What::Status(_) | What::Reloading);
        let mut since = self.history.changes().rev().take_while(|change| !turns(&change.what));
        let is_said = since.any(|change| change.what == What::Advice(advice));
        drop(since);
        if !is_said {
            self.history.note(cx.now, What::Advice(advice));
            cx.log(Level::Warning, format!("{}: {}", self.config.name, advice.text()));
        }
    }
}
