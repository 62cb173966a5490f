//! The loop: waits for what the kernel has to say, turns it into events for the arbiter, and performs what the
//! arbiter decides.
//!
//! One turn: wait; look at signals and reap; spawn for a moment; read pipes and clients, each within a budget; do
//! what is due. mio reports edges, so whatever was not read to its end stands in a queue of its own and is looked
//! at again in the next turn, which then does not wait. With nothing to do there is no deadline, and the wait has
//! no end: an idle circus makes no system call.

use crate::arbiter::exit_policy::CriticalExit;
use crate::arbiter::{Action, Event};
use crate::config::number;
use crate::host::pidfile::PidFile;
use crate::parts::clients::listeners::Listeners;
use crate::parts::log::Level;
use crate::reactor::part::{Core, Cx, Effect, LOG, Part, Readiness, SIGNALS, owner};
use crate::reactor::reconfigure::Reconfigure;
use crate::reactor::registry::{KEYS, Key, Parts};
use crate::reactor::standstill::{Standstill, nap};
use crate::sys::signal::Signals;
use crate::sys::{memory, process};
use mio::Events;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// The daemon: the arbiter and everything that it acts with.
pub struct Daemon {
    pub(crate) core: Core,
    pub(crate) parts: Parts,
    #[cfg_attr(
        not(feature = "reloadconfig"),
        allow(dead_code, reason = "it is used to read the files again")
    )]
    pub(crate) reconfigure: Reconfigure,
    pub(crate) signals: Signals,
    /// Something large is done: its memory can go back to the system.
    pub(crate) has_slack: bool,
    pub(crate) standstill: Standstill,
    /// When memory was short last, until it is said that there is some again.
    memory_was_short: Option<Instant>,
    pub(crate) ended: bool,
    /// Why it has ended, if nobody has ordered it.
    pub(crate) fall: Option<CriticalExit>,
    /// When a SIGCHLD, an exit and so on led to actions; kept to save allocations.
    actions: Vec<Action>,
}

impl Daemon {
    /// Puts everything together and registers what is to be waited for.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(core: Core, parts: Parts, reconfigure: Reconfigure, signals: Signals) -> io::Result<Daemon> {
        let (standstill, actions) = (Standstill::new(core.now), Vec::new());
        let (has_slack, ended, fall, memory_was_short) = (true, false, None, None);
        let daemon = Daemon {
            core,
            parts,
            reconfigure,
            signals,
            has_slack,
            standstill,
            memory_was_short,
            ended,
            fall,
            actions,
        };
        daemon.core.poll(SIGNALS).watch(daemon.signals.as_raw_fd(), 0)?;
        daemon.parts.clients.listeners.watch(daemon.core.poll(Key::clients as usize))?;
        Ok(daemon)
    }

    /// Runs until a command or a signal ends it. From here on nothing else does: every failure is logged, and what
    /// failed is tried again when its time has come.
    pub fn run(&mut self) {
        let mut events = Events::with_capacity(256);
        self.dispatch(Event::Start);
        self.parts.manager.ready(self.core.now);
        self.standstill = Standstill::new(Instant::now());
        while !self.ended {
            self.wait_and_turn(&mut events);
        }
        self.each(&mut |part, cx| part.halt(cx));
        // Who has ended already is none of those that are left.
        self.parts.processes.zombies_may_be();
        while self.parts.processes.is_reaping() {
            self.work_of(Key::processes);
        }
        self.parts.processes.begin_sweep(&mut self.core.cx(Key::processes));
        while self.parts.processes.is_sweeping() {
            self.wait_and_turn(&mut events);
        }
        self.parts.processes.finish();
        self.parts.streams.finish(self.core.now, &mut self.core.log);
        self.parts.clients.flush_all();
    }

    /// Gives everything back that a next start may want to have, and only then tells those that wait for the end.
    pub(crate) fn end(mut self, pidfile: Option<PidFile>) {
        let waiters = self.core.arbiter.take_end_waiters();
        let mut clients = std::mem::take(&mut self.parts.clients);
        clients.listeners = Listeners::default();
        self.parts = Parts::default();
        drop(pidfile);
        self.core.log.info(format_args!("circus has ended"));
        drop(self);
        clients.tell_of_the_end(waiters);
    }

    /// One turn of the loop.
    pub(crate) fn wait_and_turn(&mut self, events: &mut Events) {
        let timeout = self.timeout();
        if self.has_slack && timeout != Some(Duration::ZERO) {
            // The memory that reading the configuration took goes back to the system.
            process::trim_memory();
            self.has_slack = false;
        }
        let mut polled = self.core.poll.poll(events, timeout);
        if polled.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
            // By a signal, or since circus was stopped: what else has come counts before any deadline.
            polled = self.core.poll.poll(events, Some(Duration::ZERO));
        }
        if let Err(error) = polled
            && error.kind() != io::ErrorKind::Interrupted
        {
            let text = crate::sys::io_words(&error);
            self.core.log.once(Level::Error, "poll", format_args!("waiting for events: {text}"));
        }
        self.core.now = Instant::now();
        let begun = self.core.now;
        self.look_at_clock(timeout);
        self.turn(events);
        self.core.turns.add(begun.elapsed().as_secs_f64());
    }

    /// How long the next wait may be; `None`: for ever.
    fn timeout(&mut self) -> Option<Duration> {
        if self.signals.have_come() || KEYS.iter().any(|key| self.parts.get(*key).is_busy()) {
            return Some(Duration::ZERO);
        }
        let of_arbiter = self.core.arbiter.deadline().map(|time| self.core.moment(time));
        let (mut exactly, mut about) =
            (of_arbiter.into_iter().chain(self.core.log.destination.next_retry()).min(), None);
        for key in KEYS {
            let part = self.parts.get(*key);
            let first = if part.may_be_late() { &mut about } else { &mut exactly };
            *first = first.iter().copied().chain(part.deadline()).min();
        }
        let now = Instant::now();
        let rest = |at: Instant| at.saturating_duration_since(now);
        exactly.map(|at| nap(rest(at))).into_iter().chain(about.map(rest)).min()
    }

    /// A wait of the loop is over, which was to take no longer than this.
    fn look_at_clock(&mut self, timeout: Option<Duration>) {
        let Some(away) = self.standstill.woke(self.core.now, timeout) else { return };
        let seconds = away.as_secs_f64();
        let words = number::fixed(seconds, 1);
        self.core
            .log
            .info(format_args!("circus has stood still for {words} s; deadlines are put off by as much"));
        self.dispatch(Event::Overslept { seconds });
        self.parts.processes.give_back(seconds);
    }

    fn turn(&mut self, events: &Events) {
        for event in events {
            let (owner, id) = owner(event.token());
            match owner {
                SIGNALS => self.take_signals(),
                LOG => {
                    let written = self.core.log.writable(self.core.now);
                    written.into_iter().for_each(|fd| self.core.poll(LOG).unwatch(fd));
                }
                _ => self.part_ready(owner, id, event),
            }
        }
        if self.signals.have_come() {
            self.take_signals();
        }
        self.work();
        self.do_what_is_due();
        self.each(&mut |part, cx| part.end_turn(cx));
        self.settle();
        if let Some(fd) = self.core.log.destination.take_stalled() {
            let _ = self.core.poll(LOG).watch_room(fd, 0);
        }
        if memory::is_short() || self.memory_was_short.is_some() {
            self.save_memory();
        }
    }

    /// An allocation had to be helped, now or before: makes room, so that the next one need not be. That it is over is
    /// said when that has not come again for some time.
    fn save_memory(&mut self) {
        const CALM: Duration = Duration::from_secs(10);
        let now = self.core.now;
        if memory::is_short() {
            self.memory_was_short = Some(now);
            self.each(&mut |part, _| part.shrink());
            process::trim_memory();
            memory::refill();
            let text = format_args!(
                "memory is short: connections that hold much and the output kept for tail are given up, and requests \
                 refused that would take more"
            );
            self.core.log.once(Level::Warning, "memory", text);
        } else if self.memory_was_short.is_some_and(|at| now.saturating_duration_since(at) >= CALM) {
            self.memory_was_short = None;
            self.core.log.over(Level::Info, "memory", format_args!("there is memory again"));
        }
    }

    fn part_ready(&mut self, owner: usize, id: u32, event: &mio::event::Event) {
        let Some(key) = KEYS.get(owner) else { return };
        let write_closed = event.is_write_closed() || event.is_error();
        let how = Readiness { read_closed: event.is_read_closed(), write_closed };
        self.parts.get(*key).ready(id, how, &mut self.core.cx(*key));
        self.settle();
    }

    /// Has all parts do something, one after the other.
    pub(crate) fn each(&mut self, act: &mut dyn FnMut(&mut dyn Part, &mut Cx<'_>)) {
        for key in KEYS {
            act(self.parts.get(*key), &mut self.core.cx(*key));
        }
    }

    /// Has each part do its work in this turn, and then what is wanted of others.
    fn work(&mut self) {
        KEYS.iter().for_each(|key| self.work_of(*key));
    }

    fn work_of(&mut self, key: Key) {
        self.parts.get(key).begin(&mut self.core.cx(key));
        loop {
            let again = self.parts.get(key).work(&mut self.core.cx(key));
            self.settle();
            if !again {
                break;
            }
            self.core.now = Instant::now();
        }
    }

    /// Does what is due by now, after all that has come in meanwhile.
    fn do_what_is_due(&mut self) {
        self.core.now = Instant::now();
        if !self.standstill.may_judge(self.core.now) {
            return;
        }
        if self.core.arbiter.deadline().is_some_and(|time| self.core.moment(time) <= self.core.now) {
            self.dispatch(Event::Tick);
        }
        for key in KEYS {
            if self.parts.get(*key).deadline().is_some_and(|at| at <= self.core.now) {
                self.parts.get(*key).due(&mut self.core.cx(*key));
                self.settle();
            }
        }
        if self.core.log.destination.next_retry().is_some_and(|at| at <= self.core.now) {
            self.core.log.flush(self.core.now);
        }
    }

    /// Hands an event to the arbiter and performs what it decides, with all that follows from it.
    pub(crate) fn dispatch(&mut self, event: Event) {
        self.core.event(event);
        self.settle();
    }

    /// Does what is wanted, and what follows from that.
    pub(crate) fn settle(&mut self) {
        while let Some(effect) = self.core.effects.pop_front() {
            match effect {
                Effect::Event(event) => self.decide(event),
                Effect::Spawn { watcher, wid } => self.spawn(watcher, wid),
                Effect::DropTemplates => self.parts.processes.templates.clear(),
                Effect::Ended { pid, exit } => self.take_zombie(pid, exit),
                Effect::Question { ticket, question, role } => self.take_question(ticket, question, role),
                #[cfg(feature = "stats")]
                Effect::Tallied(tally) => self.take_tally(&tally),
                #[cfg(feature = "tail")]
                Effect::Tail { ticket, client, tail } => self.take_tail(ticket, client, &tail),
                effect => self.offer(effect),
            }
        }
    }

    /// Has the part that it concerns do something.
    pub(crate) fn offer(&mut self, effect: Effect) {
        let mut left = Some(effect);
        for key in KEYS {
            let Some(effect) = left else { return };
            left = self.parts.get(*key).take(effect, &mut self.core.cx(*key));
        }
        match left {
            Some(Effect::Order { ticket, order, targets, by }) => {
                self.core.event(Event::Order { ticket, order, targets, by });
            }
            Some(Effect::Extend { ticket, answer, .. }) => self.parts.clients.answer(ticket, Ok(answer)),
            // A build without the part that it concerns.
            Some(_) | None => {}
        }
    }

    /// Has the arbiter handle an event, and performs what it decides.
    fn decide(&mut self, event: Event) {
        let time = self.core.time();
        let mut actions = std::mem::take(&mut self.actions);
        self.core.arbiter.handle(time, event, &mut actions);
        for action in actions.drain(..) {
            self.perform(action);
        }
        self.actions = actions;
    }
}
