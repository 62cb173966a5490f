//! What the daemon does for each of the arbiter's actions, and for each signal that it gets.

use crate::arbiter::history::Origin;
use crate::arbiter::request::{Order, Question, Reply, Tail, Ticket};
use crate::arbiter::{Action, Event, Published, WatcherId};
use crate::config::signals;
use crate::control::{Refusal, secrets};
use crate::host::leftovers::LeftoverSweep;
use crate::parts::helpers::Purpose;
use crate::reactor::eventloop::Daemon;
use crate::reactor::registry::Key;
use crate::views::tail::tail;
use std::rc::Rc;

const SIGCHLD: i32 = 17;

/// The signals that circus handles.
pub const HANDLED: [i32; 8] = [1, 2, 3, 10, 12, 15, SIGCHLD, 28];

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
        self.each(&mut |part, cx| part.published(watcher, &what, cx));
    }

    /// The arbiter's reply to an order.
    fn reply(&mut self, ticket: Ticket, reply: &Reply) {
        if !self.builtin_is_answered(ticket, reply) {
            self.parts.clients.reply(ticket, reply);
        }
    }

    /// Answers a question of a client, now or later.
    pub(super) fn take_question(&mut self, ticket: Ticket, question: &Question, is_lower: bool) {
        let answer = match self.answer(question) {
            Ok(None) => self.parts.surveys.ask(ticket, question, &self.core.cx(Key::surveys)),
            Ok(Some(mut answer)) if is_lower => {
                secrets::hide(&mut answer);
                Ok(Some(answer))
            }
            answer => answer,
        };
        if let Some(answer) = answer.transpose() {
            self.parts.clients.answer(ticket, answer);
        }
    }

    pub(super) fn take_tail(&mut self, ticket: Ticket, client: u32, wanted: &Tail) {
        let answer = tail(&self.core.arbiter, &self.parts.streams.rings, wanted);
        if let (Ok((watcher, _)), true) = (&answer, wanted.follow) {
            self.parts.clients.follow(client, *watcher, wanted.wanted, &mut self.core.cx(Key::clients));
        }
        self.parts.clients.answer(ticket, answer.map(|(_, lines)| lines));
    }

    /// Gives an order of a client to the arbiter. The reply comes now or later.
    pub(super) fn take_order(
        &mut self,
        ticket: Ticket,
        order: Order,
        targets: Option<Vec<WatcherId>>,
        by: Rc<Origin>,
    ) {
        if let Err(reason) = self.try_streams(&order.what) {
            return self.parts.clients.answer(ticket, Err(Refusal::message(reason)));
        }
        self.tell_of_order(&order.what, targets.as_deref());
        self.core.event(Event::Order { ticket, order, targets, by });
    }

    /// Hands what was read just now to those who follow it.
    pub(crate) fn tell_followers(&mut self) {
        let heard = self.parts.streams.rings.take_heard();
        self.parts.clients.tell_followers(heard, &mut self.core.cx(Key::clients));
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
                1 => {
                    self.parts.manager.reloading("reloading all watchers");
                    self.dispatch(Event::Reload);
                }
                // The last three come only to PID 1 (`init::HALTS`).
                2 | 3 | 15 | 30 | 37 | 38 => {
                    self.dispatch(Event::Terminate);
                    if self.core.arbiter.is_hurried() {
                        self.sweep.iter_mut().for_each(LeftoverSweep::hurry);
                    }
                }
                10 => {
                    self.reopen_logs();
                    self.restore_notices();
                    self.each(&mut |part, cx| part.restore(cx));
                }
                _ => {} // SIGUSR2 is reserved, SIGWINCH means nothing here
            }
        }
    }
}
