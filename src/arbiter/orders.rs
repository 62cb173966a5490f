//! What the arbiter does with the orders of clients.
//!
//! No order is refused because another is being carried out: each one sets a goal, and the watcher makes the best
//! of it. Without `waiting` the reply comes at once; with it, it comes from a waiter (waiters.rs). An order for
//! several watchers is answered when all of them are done.

use super::context::Cx;
use super::history::Restart;
use super::hooks::MOST_CALLS;
use super::process::Process;
use super::request::{Errno, Order, Reply, Task, Ticket};
use super::run::Run;
use super::waiters::{Await, Waiter};
use super::watcher::{Goal, Watcher, WhyDown};
use super::{Action, Arbiter, Pid, WatcherId, Whom};
use crate::config::model::LONGEST_NAME;

/// The answer to an order that could keep circus from ending.
pub(super) const STOPPING: &str = "circus is stopping";

/// A refusal, or the reply to an order, if it does not come later.
pub(super) type Answered = Result<Option<Reply>, Reply>;

/// An order that waits for several watchers.
#[derive(Debug)]
pub(super) struct Pending {
    left: usize,
    failures: Vec<String>,
}

impl Arbiter {
    /// Carries out an order; the reply comes now or, from a waiter, later.
    pub(super) fn obey(&mut self, ticket: Ticket, order: Order, targets: Option<Vec<WatcherId>>) {
        let reply = match self.carry(ticket, order, targets) {
            Ok(reply) => reply,
            Err(refusal) => Some(refusal),
        };
        self.cx.actions.extend(reply.map(|reply| Action::Reply { ticket, reply }));
    }

    fn carry(&mut self, ticket: Ticket, order: Order, targets: Option<Vec<WatcherId>>) -> Answered {
        let Order { what, waiting } = order;
        let wait = |what: Await| Wait { ticket, what, waiting };
        if self.is_ending() && starts_something(&what) {
            return Err(Reply::error(Errno::Conflict, STOPPING));
        }
        if let Err(refusal) = self.admit_waiter(waiting) {
            // Nothing is done then, but circus ends when it is told to.
            if what == Task::Quit {
                self.terminate(None);
            }
            return Err(refusal);
        }
        match what {
            Task::Start(_) => Ok(self.start_many(targets, false, &wait(Await::Up { added: false }))),
            Task::Stop(_) => Ok(self.stop(targets, &wait(Await::Down))),
            Task::Restart(_) if targets.is_some() => {
                Ok(self.start_many(targets, true, &wait(Await::Restarted)))
            }
            Task::Restart(_) | Task::Reloadconfig => {
                Ok(self.read_again(what != Task::Reloadconfig, wait(Await::Restarted)))
            }
            #[cfg(feature = "deploy")]
            Task::Deploy(deploy) => self.deploy(deploy, &wait(Await::Reloaded)),
            Task::Reload { name, graceful, sequential } => {
                let what = if graceful { Await::Reloaded } else { Await::Restarted };
                self.reload(name, graceful, sequential, &wait(what))
            }
            Task::Change { name, by } => self.change(&name, by, &wait(Await::Counted)),
            #[cfg(feature = "edit")]
            Task::Edit(edit) => self.edit(edit, &wait),
            Task::Kill { name, pid, signum, graceful_timeout } => {
                self.kill(&name, pid, (signum, graceful_timeout), wait(Await::Settled))
            }
            Task::Signal { name, pid, whom, signum } => self.signal(&name, pid, whom, signum),
            Task::Quit => {
                self.terminate(waiting.then_some(ticket));
                Ok((!waiting).then_some(Reply::Ok))
            }
        }
    }

    /// One part of an order is done; the last one answers it.
    pub(super) fn finish(&mut self, ticket: Ticket, reply: Reply) {
        let Some(pending) = self.pending.get_mut(&ticket) else {
            self.cx.reply(ticket, reply);
            return;
        };
        pending.left -= 1;
        if let Reply::Error { reason, .. } = reply {
            pending.failures.push(reason);
        }
        if pending.left > 0 {
            return;
        }
        let failures = self.pending.remove(&ticket).map(|p| p.failures).unwrap_or_default();
        let reply = match failures.is_empty() {
            true => Reply::Ok,
            false => Reply::error(Errno::Failed, failures.join("; ")),
        };
        self.cx.reply(ticket, reply);
    }

    /// An order that a client waits for is done when so many parts are.
    pub(super) fn await_parts(&mut self, ticket: Ticket, left: usize) {
        self.pending.insert(ticket, Pending { left, failures: Vec::new() });
    }

    pub(super) fn named(&self, name: &str) -> Result<&Watcher, Reply> {
        self.find(name).ok_or_else(|| {
            let name: String = name.chars().take(LONGEST_NAME).collect();
            Reply::error(Errno::Message, format!("program {name} not found"))
        })
    }

    /// Carries out an order for watchers. A client that waits is entered with each of them first; else the answer
    /// is that it has begun.
    pub(super) fn carry_out(
        &mut self,
        ids: &[WatcherId],
        wait: &Wait,
        act: &dyn Fn(&mut Watcher, &mut Cx),
    ) -> Option<Reply> {
        if wait.waiting && ids.len() > 1 {
            self.await_parts(wait.ticket, ids.len());
        }
        for id in ids {
            self.with(*id, |watcher, cx| {
                if wait.waiting {
                    let before = watcher.pids();
                    watcher.waiters.push(Waiter { ticket: wait.ticket, what: wait.what.clone(), before });
                }
                act(watcher, cx);
            });
        }
        (!wait.waiting || ids.is_empty()).then_some(Reply::Ok)
    }

    /// The watchers that an order is for. One that was named stands alone; of several, only those that start with
    /// circus are started, as Circus has it.
    pub(super) fn to_start(&self, targets: Option<Vec<WatcherId>>) -> Vec<WatcherId> {
        let autostart = |id: &WatcherId| self.watchers.get(id).is_some_and(|w| w.config.options.autostart);
        match targets {
            Some(one) if one.len() == 1 => one,
            Some(some) => {
                self.by_priority().into_iter().filter(|id| some.contains(id) && autostart(id)).collect()
            }
            None => self.by_priority().into_iter().filter(autostart).collect(),
        }
    }

    /// Starts watchers, each in its turn; with `restart` they are stopped first.
    pub(super) fn start_many(
        &mut self,
        targets: Option<Vec<WatcherId>>,
        restart: bool,
        wait: &Wait,
    ) -> Option<Reply> {
        let mut ids = self.to_start(targets);
        if ids.len() == 1 {
            ids.iter().for_each(|id| self.unqueue(*id));
            return self.carry_out(&ids, wait, &|w, cx| if restart { w.restart(cx) } else { w.want_up(cx) });
        }
        let in_order = ids.clone();
        if restart {
            ids.reverse();
        }
        let reply = self.carry_out(&ids, wait, &|w, _| match restart {
            true => w.stop_first(),
            false => w.queued |= w.goal != Goal::Up,
        });
        self.start_in_order(in_order);
        reply
    }

    fn stop(&mut self, targets: Option<Vec<WatcherId>>, wait: &Wait) -> Option<Reply> {
        let mut ids = targets.unwrap_or_else(|| self.by_priority());
        ids = self.dependencies.in_order(ids);
        ids.reverse();
        ids.iter().for_each(|id| self.unqueue(*id));
        self.carry_out(&ids, wait, &|w, _| w.want_down())
    }

    fn reload(&mut self, name: Option<String>, graceful: bool, sequential: bool, wait: &Wait) -> Answered {
        let ids = match name {
            Some(name) => {
                let watcher = self.named(&name)?;
                let (id, runs) = (watcher.id, watcher.goal == Goal::Up);
                if !runs {
                    self.unqueue(id); // it starts now
                }
                vec![id]
            }
            None => {
                let runs = |id: &WatcherId| self.watchers.get(id).is_some_and(|w| w.goal == Goal::Up);
                self.by_priority().into_iter().filter(runs).collect()
            }
        };
        Ok(self.carry_out(&ids, wait, &|w, cx| match (graceful, w.goal) {
            (false, _) => w.restart(cx),
            (true, Goal::Up) => w.want_reload(w.manner(sequential)),
            (true, Goal::Down) => w.want_up(cx),
            (true, Goal::Gone) => {}
        }))
    }

    fn kill(
        &mut self,
        name: &str,
        pid: Option<Pid>,
        (signum, timeout): (Option<i32>, Option<f64>),
        mut wait: Wait,
    ) -> Answered {
        let watcher = self.named(name)?;
        let chosen = watcher.chosen(name, pid, &|_| true)?;
        wait.what = Await::Ended(chosen.iter().map(|(_, pid)| *pid).collect());
        Ok(self.carry_out(&[watcher.id], &wait, &|w, cx| {
            let timeout = timeout.unwrap_or(w.config.options.graceful_timeout);
            w.history.count_restarts(Restart::Command, chosen.len());
            chosen.iter().for_each(|(wid, _)| w.ask(*wid, signum, timeout, cx));
        }))
    }

    fn signal(&mut self, name: &str, pid: Option<Pid>, whom: Whom, signum: i32) -> Answered {
        let watcher = self.named(name)?;
        if watcher.hooks.calls.len() >= MOST_CALLS {
            let text = format!("too many signals of '{name}' wait for its hooks");
            return Err(Reply::error(Errno::Conflict, text));
        }
        let alive = watcher.chosen(name, pid, &|p| p.exit().is_none())?;
        self.with(watcher.id, |w, cx| alive.iter().for_each(|(_, pid)| w.send(*pid, signum, whom, cx)));
        Ok(Some(Reply::Ok))
    }
}

impl Watcher {
    /// Its processes of this kind, or one of them alone, which has to be there then.
    fn chosen(
        &self,
        name: &str,
        pid: Option<Pid>,
        which: &dyn Fn(&Process) -> bool,
    ) -> Result<Vec<(u32, Pid)>, Reply> {
        let chosen = self.processes.values().filter(|p| which(p) && pid.is_none_or(|pid| pid == p.pid));
        let chosen: Vec<(u32, Pid)> = chosen.map(|p| (p.wid, p.pid)).collect();
        match pid.filter(|_| chosen.is_empty()) {
            Some(pid) => Err(Reply::error(Errno::Message, format!("process {pid} not found in '{name}'"))),
            None => Ok(chosen),
        }
    }

    /// It is told to run. What waited for its next attempt is tried at once.
    pub(super) fn want_up(&mut self, cx: &mut Cx) {
        if matches!(self.why_down.as_deref(), Some(WhyDown::Empty)) {
            self.why_down = None;
        }
        self.queued = false;
        if self.goal == Goal::Gone {
            return;
        }
        self.goal = Goal::Up;
        cx.outcome.brings_along = true;
        self.held_run().into_iter().for_each(Run::refill);
        self.forget_demand();
    }

    /// One that requires it was told to run.
    pub(super) fn come_along(&mut self, cx: &mut Cx) {
        if self.goal == Goal::Down && !self.queued {
            self.want_up(cx);
        }
    }

    /// It is told to stop. That it had stopped by itself counts no more.
    pub(super) fn want_down(&mut self) {
        self.queued = false;
        self.why_down = None;
        if self.goal == Goal::Up {
            self.goal = Goal::Down;
        }
    }

    /// It is told to stop and to be forgotten.
    pub(super) fn want_gone(&mut self) {
        self.want_down();
        self.goal = Goal::Gone;
    }

    /// It is told to stop, and is started again in its turn.
    pub(super) fn stop_first(&mut self) {
        self.history.count_restarts(Restart::Command, self.processes.running());
        self.want_down();
        self.queued = true;
    }

    /// Stops it and starts it again.
    pub(super) fn restart(&mut self, cx: &mut Cx) {
        self.history.count_restarts(Restart::Command, self.processes.running());
        self.want_up(cx);
        if self.is_up() && self.goal == Goal::Up {
            self.begin_stop(cx);
        }
    }
}

/// Whether an order could keep circus from ending.
fn starts_something(task: &Task) -> bool {
    match task {
        Task::Start(_)
        | Task::Restart(_)
        | Task::Reload { .. }
        | Task::Reloadconfig
        | Task::Change { .. } => true,
        #[cfg(feature = "edit")]
        Task::Edit(edit) => edit.starts_something(),
        #[cfg(feature = "deploy")]
        Task::Deploy(_) => true,
        Task::Stop(_) | Task::Kill { .. } | Task::Signal { .. } | Task::Quit => false,
    }
}

/// The request, what would be the occasion of its answer, and whether its client waits for that.
pub(super) struct Wait {
    pub(super) ticket: Ticket,
    pub(super) what: Await,
    pub(super) waiting: bool,
}
