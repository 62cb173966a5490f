//! What the daemon does for each of the arbiter's actions, and for each signal that it gets.

use crate::arbiter::process::Exit;
#[cfg(feature = "tail")]
use crate::arbiter::request::Tail;
use crate::arbiter::request::{Question, Ticket};
use crate::arbiter::{Action, Event, Pid, Published, WatcherId};
use crate::config::row::Role;
use crate::control::secrets;
use crate::host::spawn_template::SpawnTemplate;
use crate::host::trouble::Trouble;
use crate::reactor::eventloop::Daemon;
use crate::reactor::part::{Effect, Job};
use crate::reactor::registry::Key;
use crate::signals::{self, HALTS, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use crate::views::View;
use crate::views::answer::answer;
#[cfg(feature = "stats")]
use crate::views::metrics;
#[cfg(feature = "tail")]
use crate::views::tail::tail;
use crate::views::tally::Found;
#[cfg(feature = "stats")]
use crate::views::tally::{Purpose, Tally};
use std::rc::Rc;
use std::time::Instant;

/// The signals that circus handles.
pub const HANDLED: [i32; 8] = [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGCHLD, SIGWINCH];

impl Daemon {
    pub(crate) fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn { watcher, wid } => self.parts.processes.queue(watcher, wid),
            Action::Ask { pid, signum, children } => self.ask(pid, signum, children),
            Action::Signal { pid, signum, whom } => {
                self.parts.processes.signal(pid, signum, whom, &mut self.core.cx(Key::processes));
            }
            Action::SignalRemnant { pgid, signum } => {
                self.parts.processes.signal_remnant(pgid, signum, &mut self.core.cx(Key::processes));
            }
            Action::LookForDetached { watcher, pid } => {
                self.parts.processes.look_for_detached(watcher, pid, &mut self.core.cx(Key::processes));
            }
            Action::Reap { pid } => self.reap(pid),
            Action::GiveUp { watcher, wid, pid } => {
                self.each(&mut |part, cx| part.vacated(watcher, wid, cx));
                self.parts.processes.give_up(pid);
            }
            Action::Publish { watcher, what } => self.publish(&watcher, what),
            Action::Log { level, text } => self.core.log.log(level, format_args!("{text}")),
            #[cfg(feature = "reloadconfig")]
            Action::Read(reading) => {
                let found = self.reconfigure.read(&reading.purpose, &mut self.core, &mut self.parts);
                self.has_slack = true;
                self.core.event(Event::Read { reading, found });
            }
            Action::Changed(id) => self.each(&mut |part, cx| part.changed(id, cx)),
            Action::Forgotten { watcher, left } => {
                self.parts.processes.left_alone.extend(left);
                self.each(&mut |part, cx| part.forgotten(watcher, cx));
            }
            Action::Exit(fall) => {
                self.ended = true;
                self.fall = fall;
            }
            Action::RunHook { .. }
            | Action::CancelHook { .. }
            | Action::WatchSockets(_)
            | Action::UnwatchSockets(_)
            | Action::Reply { .. } => self.offer(Effect::Action(action)),
        }
    }

    fn ask(&mut self, pid: Pid, signum: i32, children: bool) {
        let name = self.core.arbiter.owner(pid).and_then(|(id, _)| self.core.arbiter.watcher(id));
        let name = name.map(|watcher| watcher.config.name.clone());
        let asked = self.parts.processes.ask(pid, signum, children, &mut self.core.cx(Key::processes));
        for child in asked {
            name.iter().for_each(|name| self.publish(name, Published::Kill { pid: child }));
        }
    }

    /// Makes a process; the arbiter waits for the event.
    pub(super) fn spawn(&mut self, watcher: WatcherId, wid: u32) {
        let event = match self.try_spawn(watcher, wid) {
            Ok(pid) => Event::Spawned { watcher, pid },
            Err(Trouble { why: reason, shortage }) => {
                self.each(&mut |part, cx| part.vacated(watcher, wid, cx));
                Event::SpawnFailed { watcher, reason, shortage }
            }
        };
        self.core.now = Instant::now();
        self.core.event(event);
    }

    fn try_spawn(&mut self, watcher: WatcherId, wid: u32) -> Result<Pid, Trouble> {
        let found = self.core.arbiter.watcher(watcher).ok_or_else(|| "the watcher is gone".to_string())?;
        let (config, replaces) = (Rc::clone(found.making()), found.replaces());
        let template = match self.parts.processes.templates.remove(&watcher) {
            Some(template) => template,
            None => {
                #[cfg(not(feature = "health"))]
                let notify = None;
                #[cfg(feature = "health")]
                let notify = self.parts.notify_socket.address(&config, &self.core.cx(Key::notify_socket))?;
                SpawnTemplate::new(&config, &self.core.setup.sockets, notify)?
            }
        };
        let mut job = Job { watcher, wid, config, template, replaces, mark: None };
        let made = self.lend_and_make(&mut job);
        job.template.take_back();
        let pid = made.as_ref().ok().copied();
        self.each(&mut |part, cx| part.spawned(&job, pid, cx));
        self.parts.processes.keep_template(watcher, job.template);
        made
    }

    fn lend_and_make(&mut self, job: &mut Job) -> Result<Pid, Trouble> {
        let mut lent = Ok(());
        self.each(&mut |part, cx| {
            if lent.is_ok() {
                lent = part.lend(job, cx);
            }
        });
        lent?;
        self.parts.processes.make(job, &mut self.core.cx(Key::processes))
    }

    /// A child of circus is a zombie: all look at it before anybody is told.
    pub(super) fn take_zombie(&mut self, pid: Pid, exit: Exit) {
        self.each(&mut |part, cx| part.ended(pid, exit, cx));
        self.parts.processes.report(pid, exit, &mut self.core.cx(Key::processes));
    }

    fn reap(&mut self, pid: Pid) {
        self.each(&mut |part, cx| part.reaped(pid, cx));
        if let Some((watcher, wid)) = self.core.arbiter.owner(pid) {
            self.each(&mut |part, cx| part.vacated(watcher, wid, cx));
        }
        self.parts.processes.reap(pid, &mut self.core.cx(Key::processes));
    }

    pub(crate) fn publish(&mut self, watcher: &str, what: Published) {
        if let Published::Stop = what
            && let Some(id) = self.core.arbiter.find(watcher).map(|watcher| watcher.id)
        {
            self.each(&mut |part, cx| part.stopped(id, cx));
        }
        self.each(&mut |part, cx| part.published(watcher, &what, cx));
    }

    /// What views are made from.
    pub(crate) fn view<'a>(&'a self, used: &'a Found) -> View<'a> {
        let (core, parts) = (&self.core, &self.parts);
        View {
            arbiter: &core.arbiter,
            now: core.time(),
            options: &core.setup.options,
            addresses: (&core.setup.addresses.0, &core.setup.addresses.1),
            sockets: parts.sockets.all(),
            offered: &core.setup.sockets,
            rings: &parts.streams.rings,
            turns: &core.turns,
            clients: parts.clients.count(),
            used,
            #[cfg(feature = "plugins")]
            builtins: &parts.builtins,
        }
    }

    /// Answers a question of a client, now or later.
    pub(super) fn take_question(&mut self, ticket: Ticket, question: Question, role: Role) {
        match question.looks_at_processes() {
            true => self.offer(Effect::Question { ticket, question, role }),
            false => self.answer_question((ticket, &question, role), &Found::default()),
        }
    }

    fn answer_question(&mut self, (ticket, question, role): (Ticket, &Question, Role), used: &Found) {
        let mut answer = answer(&self.view(used), question);
        if let Ok(answer) = &mut answer {
            secrets::hide(answer, role);
        }
        self.offer(Effect::Answer(ticket, answer));
    }

    /// Tells what has been looked up.
    #[cfg(feature = "stats")]
    pub(super) fn take_tally(&mut self, tally: &Tally) {
        match &tally.purpose {
            Purpose::Question { ticket, question, role } => {
                self.answer_question((*ticket, question, *role), &tally.found);
            }
            Purpose::Page(watcher) => {
                let page = metrics::text(&self.view(&tally.found));
                self.offer(Effect::Page(*watcher, page));
            }
            Purpose::Limits => {
                for (pid, rss) in tally.too_large(&self.core.arbiter) {
                    self.core.event(Event::TooLarge { pid, rss });
                }
            }
        }
    }

    #[cfg(feature = "tail")]
    pub(super) fn take_tail(&mut self, ticket: Ticket, client: u32, wanted: &Tail) {
        let answer = tail(&self.core.arbiter, &self.parts.streams.rings, wanted);
        if let (Ok((watcher, _)), true) = (&answer, wanted.follow) {
            self.parts.clients.follow(client, *watcher, wanted.wanted, &mut self.core.cx(Key::clients));
        }
        self.parts.clients.answer(ticket, answer.map(|(_, lines)| lines));
    }

    /// What came by signal since the last turn.
    pub(crate) fn take_signals(&mut self) {
        self.signals.drain();
        for signum in self.signals.take() {
            if signum == SIGCHLD {
                self.parts.processes.zombies_may_be();
                continue;
            }
            self.core.log.info(format_args!("Got signal {}", signals::name(signum)));
            match signum {
                SIGHUP => {
                    self.parts.manager.reloading("reloading all watchers");
                    self.dispatch(Event::Reload);
                }
                SIGINT | SIGQUIT | SIGTERM => self.asked_to_end(),
                _ if HALTS.contains(&signum) => self.asked_to_end(),
                SIGUSR1 => {
                    self.each(&mut |part, cx| part.restore(cx));
                }
                _ => {} // SIGUSR2 is reserved, SIGWINCH means nothing here
            }
        }
    }

    fn asked_to_end(&mut self) {
        self.dispatch(Event::Terminate);
        if self.core.arbiter.is_hurried() {
            self.parts.processes.hurry_sweep();
        }
    }
}
