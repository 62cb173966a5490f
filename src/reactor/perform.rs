//! What the daemon does for each of the arbiter's actions, and for each signal that it gets.

use crate::arbiter::{Action, Event, Published};
use crate::host::leftovers::LeftoverSweep;
use crate::parts::helpers::Purpose;
use crate::reactor::eventloop::Daemon;
use crate::reactor::registry::Key;
use crate::signals::{self, HALTS, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};

/// The signals that circus handles.
pub const HANDLED: [i32; 8] = [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGCHLD, SIGWINCH];

impl Daemon {
    pub(crate) fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn { watcher, wid } => self.spawns.push_back((watcher, wid)),
            Action::Ask { pid, signum, children } => self.ask(pid, signum, children),
            Action::Signal { pid, signum, whom } => self.signal(pid, signum, whom),
            Action::SignalRemnant { pgid, signum } => self.signal_remnant(pgid, signum),
            Action::Reap { pid } => self.reap_one(pid),
            Action::GiveUp { watcher, wid, pid } => {
                self.survivors.push(pid);
                self.each(&mut |part, cx| part.vacated(watcher, wid, cx));
                self.give_tree_up(pid);
            }
            Action::RunHook { id, watcher, hook, about } => {
                if !self.parts.probes.ask(id, watcher, hook, &about, &mut self.core.cx(Key::probes)) {
                    self.parts.helpers.add(Purpose::Hook { id, watcher, hook, about }, None);
                }
            }
            Action::CancelHook { id, watcher } => {
                if !self.parts.probes.cancel(id) {
                    self.parts.helpers.cancel_hook(id, watcher, self.core.now);
                }
            }
            Action::WatchSockets(id) => self.parts.sockets.watch(id, &mut self.core.cx(Key::sockets)),
            Action::UnwatchSockets(id) => self.parts.sockets.unwatch(id, &self.core.cx(Key::sockets)),
            Action::Reply { ticket, reply } => self.reply(ticket, &reply),
            Action::Publish { watcher, what } => self.publish(&watcher, what),
            Action::Log { level, text } => self.core.log.log(level, format_args!("{text}")),
            Action::Read(reading) => self.read_again(reading),
            Action::Changed(id) => self.remake(id),
            Action::Forgotten { watcher, left } => {
                self.left_alone.extend(left);
                self.forget(watcher);
            }
            Action::Exit(fall) => {
                self.ended = true;
                self.fall = fall;
            }
        }
    }

    pub(crate) fn publish(&mut self, watcher: &str, what: Published) {
        if let Published::Stop = what
            && let Some(id) = self.core.arbiter.find(watcher).map(|watcher| watcher.id)
        {
            self.close_outputs(id);
            self.cgroups.leave(id);
            self.each(&mut |part, cx| part.stopped(id, cx));
        }
        self.tell_builtins(watcher, &what);
        self.tell_subscribers(watcher, what);
    }

    /// What came by signal since the last turn.
    pub(crate) fn take_signals(&mut self) {
        self.signals.drain();
        for signum in self.signals.take() {
            if signum == SIGCHLD {
                self.reap();
                continue;
            }
            self.core.log.info(format_args!("Got signal {}", signals::name(signum)));
            match signum {
                SIGHUP => {
                    self.notify.reloading("reloading all watchers");
                    self.dispatch(Event::Reload);
                }
                SIGINT | SIGQUIT | SIGTERM => self.asked_to_end(),
                _ if HALTS.contains(&signum) => self.asked_to_end(),
                SIGUSR1 => {
                    self.reopen_logs();
                    self.restore_listeners();
                    self.restore_notices();
                }
                _ => {} // SIGUSR2 is reserved, SIGWINCH means nothing here
            }
        }
    }

    fn asked_to_end(&mut self) {
        self.dispatch(Event::Terminate);
        if self.core.arbiter.is_hurried() {
            self.sweep.iter_mut().for_each(LeftoverSweep::hurry);
        }
    }
}
