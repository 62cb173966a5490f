//! The loop: waits for what the kernel has to say, turns it into events for the arbiter, and performs what the
//! arbiter decides.
//!
//! One turn: wait; look at signals and reap; spawn for a moment; read pipes and clients, each within a budget; do
//! what is due. mio reports edges, so whatever was not read to its end stands in a queue of its own and is looked
//! at again in the next turn, which then does not wait. With nothing to do there is no deadline, and the wait has
//! no end: an idle circus makes no system call.

use crate::arbiter::fate::Fall;
use crate::arbiter::request::Ticket;
use crate::arbiter::time::Time;
use crate::arbiter::{Action, Arbiter, Event, Pid, WatcherId};
use crate::config::Value;
use crate::config::options::CircusOptions;
use crate::control::metrics::Durations;
use crate::host::cgroup::Cgroups;
use crate::host::descendants::Descendants;
use crate::host::kill::Told;
use crate::host::leftovers::LeftoverSweep;
use crate::host::looks::Looks;
use crate::host::oom::OutOfMemory;
use crate::host::spawn_template::SpawnTemplate;
use crate::parts::clients::Clients;
use crate::parts::helpers::Helpers;
use crate::parts::hooks::Extended;
use crate::parts::log::Log;
use crate::parts::manager_notify::ManagerNotify;
use crate::parts::notify_socket::Notices;
use crate::parts::plugins::run::Builtins;
use crate::parts::probes::Probes;
use crate::parts::sockets::Sockets;
use crate::parts::streams::compress::Compressor;
use crate::parts::streams::log_quota::LogQuota;
use crate::parts::streams::{PipeId, Progress, Streams, TargetId};
use crate::reactor::shutdown_progress::ShutdownProgress;
use crate::reactor::standstill::Standstill;
use crate::reactor::startup::Options;
use crate::reactor::tokens::{Source, source};
use crate::sorted::Sorted;
use crate::sys::child::Spawner;
use crate::sys::signal::Signals;
use crate::views::survey::Surveys;
use crate::views::usage::Samples;
use mio::{Events, Interest, Poll};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// How long a turn may go on spawning before others are looked at.
const SPAWN_SLICE: Duration = Duration::from_millis(1);
/// How many bytes of one pipe are passed on in a turn.
const PIPE_BUDGET: usize = 256 * 1024;

/// The daemon: the arbiter and everything that it acts with.
pub struct Daemon {
    pub(crate) arbiter: Arbiter,
    /// What holds of `[circus]`.
    pub(crate) options: CircusOptions,
    /// What the file says instead, and would need a new start.
    pub(crate) late: Sorted<&'static str, Value>,
    pub(crate) command_line: Options,
    /// The directory that circus was started in, from which its configuration is read.
    pub(crate) cwd: String,
    /// The umask that circus was started with, if it has another one now.
    pub(crate) first_umask: Option<u32>,
    pub(crate) log: Log,
    pub(crate) sockets: Sockets,
    pub(crate) spawner: Spawner,
    pub(crate) streams: Streams,
    pub(crate) clients: Clients,
    pub(crate) signals: Signals,
    pub(crate) notify: ManagerNotify,
    pub(crate) builtins: Builtins,
    pub(crate) poll: Poll,
    pub(crate) templates: Sorted<WatcherId, SpawnTemplate>,
    pub(crate) cgroups: Cgroups,
    /// The pipes of each process.
    pub(crate) pipes: Sorted<Pid, [Option<PipeId>; 2]>,
    /// Watchers with `on_demand` that wait, and the descriptors of their sockets.
    pub(crate) waiting: Sorted<WatcherId, Vec<RawFd>>,
    /// Watchers that may have sockets which no process needs any more.
    pub(crate) unsettled: Vec<WatcherId>,
    /// Spawns that are still to be done.
    pub(crate) spawns: VecDeque<(WatcherId, u32)>,
    /// Pipes that have more to read.
    pub(crate) ready_pipes: VecDeque<PipeId>,
    /// Programs that run on the side.
    pub(crate) helpers: Helpers,
    pub(crate) notices: Notices,
    pub(crate) probes: Probes,
    /// Answers that wait for extended_stats.
    pub(crate) extended: Sorted<Ticket, Extended>,
    /// Groups that have outlived their leaders.
    pub(crate) groups: Sorted<Pid, ()>,
    /// Processes with `kill_mode = tree`, and what has become of those that come from them.
    pub(crate) descendants: Descendants,
    /// What could not be looked at.
    pub(crate) looks: Looks,
    /// Those that were asked to end one by one.
    pub(crate) told: Told,
    /// Not all zombies were reaped in the last turn.
    pub(crate) more_zombies: bool,
    pub(crate) reap_again: Option<crate::host::reap::Retry>,
    /// Something large is done: its memory can go back to the system.
    pub(crate) has_slack: bool,
    pub(crate) compressor: Compressor,
    /// What all log files may take.
    pub(crate) log_quota: LogQuota,
    pub(crate) shutdown_progress: ShutdownProgress,
    pub(crate) oom: OutOfMemory,
    /// Statistics that are being collected.
    pub(crate) surveys: Surveys,
    /// What `stats` saw last.
    pub(crate) samples: Samples,
    /// What `dstats` saw last.
    pub(crate) own_samples: Samples,
    /// How long the turns took.
    pub(crate) turns: Durations,
    origin: Instant,
    pub(crate) now: Instant,
    pub(crate) standstill: Standstill,
    pub(crate) ended: bool,
    /// Why it has ended, if nobody has ordered it.
    pub(crate) fall: Option<Fall>,
    /// Processes of watchers that are gone, which were to live on.
    pub(crate) left_alone: Vec<Pid>,
    /// Processes that SIGKILL did not end.
    pub(crate) survivors: Vec<Pid>,
    /// What is done about what the processes have left, at the end.
    pub(crate) sweep: Option<LeftoverSweep>,
    /// When a SIGCHLD, an exit and so on led to actions; kept to save allocations.
    actions: Vec<Action>,
    pub(crate) events: VecDeque<Event>,
}

/// What the daemon is made of at its start.
pub struct Parts {
    /// Decides.
    pub arbiter: Arbiter,
    /// `[circus]`.
    pub options: CircusOptions,
    /// What the command line said.
    pub command_line: Options,
    /// The directory that circus was started in.
    pub cwd: String,
    /// The umask that circus was started with, if it has another one now.
    pub first_umask: Option<u32>,
    /// The log.
    pub log: Log,
    /// The bound sockets.
    pub sockets: Sockets,
    /// Makes children.
    pub spawner: Spawner,
    /// The control socket and its connections.
    pub clients: Clients,
    /// The signals.
    pub signals: Signals,
    /// The service manager.
    pub notify: ManagerNotify,
}

impl Daemon {
    /// Puts the parts together and registers what is to be waited for.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(parts: Parts) -> io::Result<Daemon> {
        let poll = Poll::new()?;
        let now = Instant::now();
        let log_quota = LogQuota::new(parts.options.log_max_bytes);
        let daemon = Daemon {
            arbiter: parts.arbiter,
            late: Sorted::new(),
            options: parts.options,
            command_line: parts.command_line,
            cwd: parts.cwd,
            first_umask: parts.first_umask,
            log: parts.log,
            sockets: parts.sockets,
            spawner: parts.spawner,
            streams: Streams::new(),
            clients: parts.clients,
            signals: parts.signals,
            notify: parts.notify,
            builtins: Builtins::default(),
            poll,
            templates: Sorted::new(),
            cgroups: Cgroups::default(),
            pipes: Sorted::new(),
            waiting: Sorted::new(),
            unsettled: Vec::new(),
            spawns: VecDeque::new(),
            ready_pipes: VecDeque::new(),
            helpers: Helpers::default(),
            notices: Notices::default(),
            probes: Probes::default(),
            extended: Sorted::new(),
            groups: Sorted::new(),
            descendants: Descendants::new(),
            looks: Looks::default(),
            told: Told::default(),
            more_zombies: false,
            reap_again: None,
            has_slack: true,
            compressor: Compressor::default(),
            log_quota,
            shutdown_progress: ShutdownProgress::default(),
            oom: OutOfMemory::new(),
            surveys: Surveys::default(),
            samples: Samples::new(),
            own_samples: Samples::new(),
            turns: Durations::default(),
            origin: now,
            now,
            standstill: Standstill::new(now),
            ended: false,
            fall: None,
            left_alone: Vec::new(),
            survivors: Vec::new(),
            sweep: None,
            actions: Vec::new(),
            events: VecDeque::new(),
        };
        daemon.watch(daemon.signals.as_raw_fd(), Source::Signals, 0, Interest::READABLE)?;
        for (number, fd) in (0..).zip(daemon.clients.listeners.fds()) {
            daemon.watch_listener(fd, number)?;
        }
        Ok(daemon)
    }

    /// The time as the arbiter counts it.
    pub(crate) fn time(&self) -> Time {
        let since = self.now.saturating_duration_since(self.origin);
        Time(1 + u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The moment of a time of the arbiter.
    pub(crate) fn moment(&self, time: Time) -> Instant {
        self.origin
            .checked_add(Duration::from_nanos(time.0))
            .unwrap_or(self.now + Duration::from_secs(86_400))
    }

    /// Runs until a command or a signal ends it. From here on nothing else does: every failure is logged, and what
    /// failed is tried again when its time has come.
    pub fn run(&mut self) {
        let mut events = Events::with_capacity(256);
        self.dispatch(Event::Start);
        self.notify.ready(self.now, "waiting for commands");
        self.standstill = Standstill::new(Instant::now());
        while !self.ended {
            self.wait_and_turn(&mut events);
        }
        if self.shutdown_progress.next().is_some() {
            self.log.show("");
        }
        self.stop_compressing();
        self.helpers.kill_all();
        self.sweep(&mut events);
        self.descendants.finish();
        self.cgroups.finish();
        self.streams.finish(self.now, &mut self.log);
        self.clients.flush_all();
    }

    /// One turn of the loop.
    pub(crate) fn wait_and_turn(&mut self, events: &mut Events) {
        let timeout = self.timeout();
        if self.has_slack && timeout != Some(Duration::ZERO) {
            // The memory that reading the configuration took goes back to the system.
            crate::sys::process::trim_memory();
            self.has_slack = false;
        }
        let mut polled = self.poll.poll(events, timeout);
        if polled.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
            // By a signal, or since circus was stopped: what else has come counts before any deadline.
            polled = self.poll.poll(events, Some(Duration::ZERO));
        }
        if let Err(error) = polled
            && error.kind() != io::ErrorKind::Interrupted
        {
            let text = crate::sys::io_words(&error);
            self.log.once(
                crate::parts::log::Level::Error,
                "poll",
                format_args!("waiting for events: {text}"),
            );
        }
        self.now = Instant::now();
        let begun = self.now;
        self.look_at_clock(timeout);
        self.turn(events);
        self.turns.add(begun.elapsed().as_secs_f64());
    }

    fn turn(&mut self, events: &Events) {
        self.streams.log_matches.begin_turn();
        let mut clients = Vec::new();
        for event in events {
            let Some((source, id)) = source(event.token()) else { continue };
            match source {
                Source::Signals => self.take_signals(),
                Source::Listener => self.clients.listeners.accept_more(id),
                Source::Pipe => {
                    if event.is_read_closed() {
                        self.streams.hung_up(PipeId(id));
                    }
                    self.pipe_ready(PipeId(id));
                }
                Source::Target => self.target_writable(TargetId(id)),
                Source::Client => clients.push((id, event.is_write_closed() || event.is_error())),
                Source::Log => self.log_writable(),
                Source::Helper => self.helpers.pipe_ready(id),
                Source::Socket => self.socket_ready(id),
                Source::Builtin => self.builtin_ready(WatcherId(id)),
                Source::Notices => self.read_notices(),
                Source::Newline => self.newline_ready(id.cast_signed()),
                Source::Probe => self.probe_ready(id),
            }
        }
        if self.notices.are_busy() {
            self.read_notices();
        }
        if self.signals.have_come() {
            self.take_signals();
        }
        if self.more_zombies || self.next_reap().is_some_and(|at| at <= self.now) {
            self.reap();
        }
        self.spawn_slice();
        self.read_pipes();
        self.read_helpers();
        self.go_on_surveying();
        self.serve_clients(&clients);
        self.read_busy_builtins();
        self.do_what_is_due();
        self.look_for_strays();
        self.tend_files();
        self.tell_manager();
        self.watch_stalled();
    }

    /// The service manager hears of what this turn has changed.
    fn tell_manager(&mut self) {
        if self.arbiter.is_ending() {
            self.notify.stopping();
        }
        if self.notify.reloading && !self.arbiter.is_reloading() {
            self.notify.ready(self.now, "waiting for commands");
        }
        if self.notify.next().is_some_and(|at| at <= self.now) {
            self.notify.beat(self.now);
        }
        self.show_farewell();
    }

    /// A pipe has something. One that is written to faster than it is read has an event in every turn and stands in
    /// the queue already.
    fn pipe_ready(&mut self, id: PipeId) {
        if !self.ready_pipes.contains(&id) {
            self.ready_pipes.push_back(id);
        }
    }

    /// Reads every pipe that has something, once, within its budget.
    fn read_pipes(&mut self) {
        for _ in 0..self.ready_pipes.len() {
            let Some(id) = self.ready_pipes.pop_front() else { break };
            let pid = self.streams.pid(id);
            if pid.is_some_and(|pid| self.streams.log_matches.hold_back(pid)) {
                self.pipe_ready(id);
                continue;
            }
            let progress = self.streams.read(id, PIPE_BUDGET, self.now, &mut self.log);
            self.tell_followers();
            match (progress, pid) {
                (Progress::More, _) => self.pipe_ready(id),
                (Progress::Closed, Some(pid)) => self.forget_pipe(pid, id),
                (Progress::Drained | Progress::Closed, _) => {}
            }
        }
        self.tell_of_phrases();
    }

    /// A process has closed one of its outputs. Closing the pipe took it out of the poll already.
    fn forget_pipe(&mut self, pid: Pid, id: PipeId) {
        let Some(pipes) = self.pipes.get_mut(&pid) else { return };
        for pipe in pipes.iter_mut().filter(|pipe| **pipe == Some(id)) {
            *pipe = None;
        }
        if pipes.iter().all(Option::is_none) {
            self.pipes.remove(&pid);
        }
    }

    fn target_writable(&mut self, id: TargetId) {
        if let Some(fd) = self.streams.writable(id, self.now, &mut self.log) {
            self.unwatch(fd);
        }
    }

    fn log_writable(&mut self) {
        let fd = self.log.wants_write();
        self.log.flush(self.now);
        if let (Some(fd), None) = (fd, self.log.wants_write()) {
            self.unwatch(fd);
        }
    }

    /// Spawns what is to be spawned, for a moment; the rest in the next turn.
    fn spawn_slice(&mut self) {
        let end = Instant::now() + SPAWN_SLICE;
        while let Some((watcher, wid)) = self.spawns.pop_front() {
            let event = self.spawn(watcher, wid);
            self.now = Instant::now();
            self.dispatch(event);
            if self.now >= end {
                break;
            }
        }
        self.start_helpers(end);
    }

    /// Hands an event to the arbiter and performs what it decides, with all that follows from it.
    pub(crate) fn dispatch(&mut self, event: Event) {
        self.events.push_back(event);
        self.settle();
    }

    /// Takes care of the events that have come up.
    pub(crate) fn settle(&mut self) {
        while let Some(event) = self.events.pop_front() {
            let time = self.time();
            let mut actions = std::mem::take(&mut self.actions);
            self.arbiter.handle(time, event, &mut actions);
            for action in actions.drain(..) {
                self.perform(action);
            }
            self.actions = actions;
        }
        self.settle_sockets();
    }
}
