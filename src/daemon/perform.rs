//! What the daemon does for each of the arbiter's actions, and for each signal that it gets.

use super::eventloop::Daemon;
use crate::arbiter::{Action, Event, Pid, Published, Whom};
use crate::config::signals;
use crate::sys::{self, signal};
use std::io;

const SIGCHLD: i32 = 17;
const SIGCONT: i32 = 18;

/// The signals that circus handles.
pub const HANDLED: [i32; 8] = [1, 2, 3, 10, 12, 15, SIGCHLD, 28];

impl Daemon {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn { watcher, wid } => self.spawns.push_back((watcher, wid)),
            Action::Ask { pid, signum, children } => self.ask(pid, signum, children),
            Action::Signal { pid, signum, whom } => self.signal(pid, signum, whom),
            Action::SignalRemnant { pgid, signum } => self.signal_remnant(pgid, signum),
            Action::Reap { pid } => self.reap_one(pid),
            Action::RunHook { id, watcher, hook, about } => self.run_hook(id, watcher, hook, about),
            Action::CancelHook { id, watcher } => self.cancel_hook(id, watcher),
            Action::WatchSockets(id) => self.watch_sockets(id),
            Action::UnwatchSockets(id) => self.unwatch_sockets(id),
            Action::Reply { ticket, reply } => self.reply(ticket, &reply),
            Action::Publish { watcher, what } => self.publish(&watcher, what),
            Action::Log { level, text } => self.log.log(level, format_args!("{text}")),
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

    /// Asks a process to end. SIGCONT follows, since a process that is stopped would not hear of it.
    fn ask(&mut self, pid: Pid, signum: i32, children: bool) {
        if children {
            let owner = self.arbiter.owner(pid).and_then(|(id, _)| self.arbiter.watcher(id));
            let watcher = owner.map(|watcher| watcher.config.name.clone());
            for child in super::procfs::children(pid) {
                self.send(child, signum);
                watcher.iter().for_each(|watcher| self.publish(watcher, Published::Kill { pid: child }));
            }
        }
        self.send(pid, signum);
        self.send(pid, SIGCONT);
    }

    fn signal(&mut self, pid: Pid, signum: i32, whom: Whom) {
        match whom {
            Whom::Process => self.send(pid, signum),
            Whom::Group => self.note(pid, signum, signal::kill_group(pid, signum)),
            Whom::Tree => {
                self.trees.signal(pid, signum);
                self.note(pid, signum, signal::kill_group(pid, signum));
            }
            Whom::Children => {
                super::procfs::children(pid).into_iter().for_each(|child| self.send(child, signum))
            }
            Whom::Child(child) => {
                if super::procfs::children(pid).contains(&child) {
                    self.send(child, signum);
                } else {
                    self.log.debug(format_args!("{child} is no child of {pid}: no signal sent"));
                }
            }
            Whom::Descendants => {
                let descendants = super::procfs::descendants(pid).unwrap_or_default();
                self.send(pid, signum);
                descendants.into_iter().for_each(|descendant| self.send(descendant, signum));
            }
        }
    }

    fn send(&mut self, pid: Pid, signum: i32) {
        let sent = signal::kill(pid, signum);
        self.note(pid, signum, sent);
    }

    /// A process that is gone already needs no signal; anything else is worth a line.
    pub(super) fn note(&mut self, pid: Pid, signum: i32, sent: io::Result<()>) {
        match sent {
            Ok(()) => self.log.debug(format_args!("sent {} to {pid}", signals::name(signum))),
            Err(error) if error.raw_os_error() == Some(sys::ESRCH) => {}
            Err(error) => {
                let (name, why) = (signals::name(signum), sys::io_words(&error));
                self.log.warning(format_args!("cannot send {name} to {pid}: {why}"));
            }
        }
    }

    fn publish(&mut self, watcher: &str, what: Published) {
        if let Published::Stop = what
            && let Some(id) = self.arbiter.find(watcher).map(|watcher| watcher.id)
        {
            self.close_outputs(id);
            self.cgroups.leave(id);
            self.unsettled.push(id);
        }
        self.tell_builtins(watcher, &what);
        self.tell_subscribers(watcher, what);
    }

    /// What came by signal since the last turn.
    pub(super) fn take_signals(&mut self) {
        self.signals.drain();
        for signum in self.signals.take() {
            if signum == SIGCHLD {
                self.reap();
                continue;
            }
            self.log.info(format_args!("Got signal {}", signals::name(signum)));
            match signum {
                1 => {
                    self.notify.reloading("reloading all watchers");
                    self.dispatch(Event::Reload);
                }
                2 | 3 | 15 => match &mut self.sweep {
                    Some(sweep) => sweep.hurry(),
                    None => self.dispatch(Event::Terminate),
                },
                10 => {
                    self.reopen_logs();
                    self.restore_listeners();
                    self.restore_notices();
                }
                _ => {} // SIGUSR2 is reserved, SIGWINCH means nothing here
            }
        }
    }
}
