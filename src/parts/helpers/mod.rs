//! Programs that circus runs on the side for a short while, hooks above all: each in a session of its own, with a
//! deadline, its output in the log or captured, both bounded.
//!
//! [`Purpose`] says what for. It waits in a queue until its turn comes; then [`Daemon::prepare`] makes the program of
//! it, and [`Daemon::conclude`] hears what became of that. So whoever needs a helper adds a purpose, and an arm in
//! both. What a helper leaves running when it ends is left alone, but loses its output.

mod lines;
mod queue;

use self::lines::Lines;
use self::queue::{Owner, Queue};
use crate::arbiter::hooks::{About, HookId};
use crate::arbiter::process::Exit;
use crate::arbiter::{Event, Pid, WatcherId};
use crate::config::hooks::Hook;
use crate::host::trouble::Trouble;
use crate::parts::hooks::StatsOf;
use crate::parts::log::{Level, Log};
use crate::parts::streams::Progress;
use crate::reactor::eventloop::Daemon;
use crate::reactor::part::Part;
use crate::reactor::registry::Key;
use crate::signals::{SIGCONT, SIGKILL, SIGTERM};
use crate::sorted::Sorted;
use crate::sys::child::{Child, Stdio};
use crate::sys::{self, process, signal};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// The most bytes that are captured.
const MOST_CAPTURED: usize = 16 * 1024;
/// How long nobody is started when circus was short of something.
const PAUSE: Duration = Duration::from_millis(200);

/// For how long there must be no shortage, so that it is over. Those that wait try again more often.
const QUIET: Duration = Duration::from_secs(1);
/// Between SIGTERM and SIGKILL.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many pieces of one pipe are read in a turn, and how many at most of one whose helper has ended: a pipe holds
/// four.
const PIECES: usize = 4;

/// What the log calls it.
const SHORTAGE: &str = "helpers";

/// What a helper is run for.
pub enum Purpose {
    /// A hook that the arbiter waits for.
    Hook {
        /// Which run.
        id: HookId,
        /// Whose hook.
        watcher: WatcherId,
        /// Which one.
        hook: Hook,
        /// What it is about.
        about: About,
    },
    /// The hook extended_stats of one process.
    Stats(StatsOf),
}

impl Purpose {
    /// Whose turn it is when this one goes.
    fn owner(&self) -> Owner {
        match self {
            Purpose::Hook { watcher, .. } => Owner::Watcher(*watcher),
            Purpose::Stats(of) => Owner::Clients(of.watcher),
        }
    }

    /// That it could not be run yet.
    fn delayed_hook(&self) -> Option<Event> {
        match self {
            Purpose::Hook { id, watcher, .. } => Some(Event::HookDelayed { id: *id, watcher: *watcher }),
            Purpose::Stats(_) => None,
        }
    }

    fn hook(&self) -> Option<HookId> {
        match self {
            Purpose::Hook { id, .. } => Some(*id),
            Purpose::Stats(_) => None,
        }
    }
}

/// What is to be run.
pub struct Program {
    /// The child; where its outputs go is not looked at.
    pub child: Child,
    /// What it is called in the log.
    pub who: String,
    /// Its standard output is captured and does not go to the log.
    pub captures: bool,
    /// Nothing else does, either.
    pub quiet: bool,
}

/// What became of a helper.
pub struct Outcome {
    /// How it ended, or why there was no end to wait for.
    pub ended: Result<Exit, String>,
    /// Its standard output, if that was to be captured.
    pub captured: Vec<u8>,
    /// The last line that it wrote to the log.
    pub last_line: String,
}

struct Waiting {
    purpose: Purpose,
    deadline: Option<Instant>,
    /// circus was short of something when its turn came.
    delayed: bool,
}

/// The outputs of a helper, by their place in [`Running::pipes`].
const LOGGED: usize = 0;
const CAPTURED: usize = 1;

struct Running {
    owner: Owner,
    /// Nothing when nobody wants to know any more.
    purpose: Option<Purpose>,
    pipes: [Option<File>; 2],
    lines: Lines,
    captured: Vec<u8>,
    deadline: Option<Instant>,
    /// When its group gets SIGKILL.
    kill_at: Option<Instant>,
    /// It was asked to end.
    asked: bool,
}

/// A program that runs now.
struct Started {
    pid: Pid,
    pipes: [Option<File>; 2],
    lines: Lines,
}

/// The helpers that run, and those that wait for their turn.
#[derive(Default)]
pub struct Helpers {
    queue: Queue<Waiting>,
    running: Sorted<Pid, Running>,
    /// Pipes that have more to read.
    ready: VecDeque<(Pid, usize)>,
    /// Nobody is started before.
    paused_until: Option<Instant>,
    /// When the shortage will be over, if nobody is short of anything until then.
    enough_at: Option<Instant>,
}

impl Part for Helpers {}

impl Helpers {
    /// Adds a helper to the queue. One without a deadline is ended by somebody else if need be.
    pub fn add(&mut self, purpose: Purpose, deadline: Option<Instant>) {
        self.queue.push(purpose.owner(), Waiting { purpose, deadline, delayed: false });
    }

    /// How many wait for their turn.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Whether something can be done without waiting.
    pub fn are_busy(&self) -> bool {
        !self.ready.is_empty() || self.queue.is_ready() && self.paused_until.is_none()
    }

    /// A pipe has something; `id` is that of its token.
    pub fn pipe_ready(&mut self, id: u32) {
        let pipe = ((id >> 1) as Pid, (id & 1) as usize);
        if !self.ready.contains(&pipe) {
            self.ready.push_back(pipe);
        }
    }

    /// When [`Daemon::expire_helpers`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.running.values().filter_map(|helper| helper.kill_at.or(helper.deadline));
        deadlines.chain(self.paused_until).chain(self.enough_at).min()
    }

    /// Ends the hook of this number; nobody wants to know how.
    pub fn cancel_hook(&mut self, hook: HookId, watcher: WatcherId, now: Instant) {
        // Numbers of hooks only grow.
        let order = |waiting: &Waiting| waiting.purpose.hook().cmp(&Some(hook));
        if self.queue.take_out(Owner::Watcher(watcher), &order) {
            return;
        }
        let is_it = |purpose: &Purpose| purpose.hook() == Some(hook);
        for (pid, helper) in self.running.iter_mut() {
            if helper.purpose.as_ref().is_some_and(is_it) {
                helper.purpose = None;
                helper.ask_to_end(*pid, now);
            }
        }
    }

    /// Kills what runs: circus ends.
    pub fn kill_all(&mut self) {
        for pid in self.running.keys() {
            kill_group(*pid, SIGKILL);
        }
    }
}

/// Sends a signal to the group of a helper that was not reaped yet, so that the number is its own. That nobody is
/// left to get it is no matter.
fn kill_group(pid: Pid, signum: i32) {
    let _ = signal::kill_whole(pid, signum);
}

impl Running {
    fn ask_to_end(&mut self, pid: Pid, now: Instant) {
        self.asked = true;
        self.deadline = None;
        self.kill_at = Some(now + PATIENCE);
        kill_group(pid, SIGTERM);
        kill_group(pid, SIGCONT);
    }

    /// Passes on what one of its pipes has, up to so many pieces.
    fn read(&mut self, pipe: usize, pieces: usize, log: &mut Log) -> Progress {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..pieces {
            let Some(Some(file)) = self.pipes.get_mut(pipe) else { return Progress::Closed };
            match file.read(&mut buffer) {
                Ok(0) => return Progress::Closed,
                Ok(n) => self.take(pipe, buffer.get(..n).unwrap_or_default(), log),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Drained,
                Err(_) => return Progress::Closed,
            }
        }
        Progress::More
    }

    fn take(&mut self, pipe: usize, bytes: &[u8], log: &mut Log) {
        if pipe == LOGGED {
            return self.lines.take(bytes, log);
        }
        // One byte too many tells that there were too many.
        let room = (MOST_CAPTURED + 1).saturating_sub(self.captured.len()).min(bytes.len());
        self.captured.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }
}

impl Daemon {
    /// Starts helpers that wait, at least one, until it is `end`.
    pub(crate) fn start_helpers(&mut self, end: Instant) {
        while self.parts.helpers.paused_until.is_none()
            && let Some((owner, waiting)) = self.parts.helpers.queue.next()
        {
            self.start_helper(owner, waiting);
            self.core.now = Instant::now();
            if self.core.now >= end {
                break;
            }
        }
    }

    fn start_helper(&mut self, owner: Owner, Waiting { purpose, deadline, delayed }: Waiting) {
        let started = match deadline.is_some_and(|at| at <= self.core.now) {
            true => Err("its turn did not come in time".to_string().into()),
            false => {
                self.prepare(&purpose).map_err(Trouble::from).and_then(|program| self.run_program(program))
            }
        };
        match started {
            Ok(started) => {
                let late = purpose.delayed_hook().filter(|_| delayed);
                let helper = Running {
                    owner,
                    purpose: Some(purpose),
                    pipes: started.pipes,
                    lines: started.lines,
                    captured: Vec::new(),
                    deadline,
                    kill_at: None,
                    asked: false,
                };
                self.parts.helpers.running.insert(started.pid, helper);
                self.end_shortage();
                // Its time begins now.
                late.into_iter().for_each(|event| self.dispatch(event));
            }
            Err(trouble) if trouble.shortage => {
                self.parts.helpers.queue.put_back(owner, Waiting { purpose, deadline, delayed: true });
                self.pause_helpers(&trouble);
            }
            Err(Trouble { why, .. }) => {
                self.parts.helpers.queue.ended(owner);
                let outcome = Outcome { ended: Err(why), captured: Vec::new(), last_line: String::new() };
                self.conclude(purpose, outcome);
            }
        }
    }

    /// circus is short of something: all that wait go on waiting, and it is no fault of theirs.
    fn pause_helpers(&mut self, trouble: &Trouble) {
        self.say_shortage(trouble);
        self.parts.helpers.paused_until = Some(self.core.now + PAUSE);
        self.parts
            .helpers
            .queue
            .iter()
            .filter_map(|waiting| waiting.purpose.delayed_hook())
            .for_each(|event| self.core.event(event));
        self.settle();
    }

    /// Writes to the log, once, that circus is short of something for helpers and questions.
    pub(crate) fn say_shortage(&mut self, trouble: &Trouble) {
        let text = format_args!(
            "hooks, commands and probes have to wait, since circus is short of something: {}",
            trouble.why
        );
        self.core.log.once(Level::Error, SHORTAGE, text);
        self.parts.helpers.enough_at = None;
    }

    /// One of them could be begun. Another one may need more, so it is not over yet.
    pub(crate) fn end_shortage(&mut self) {
        if self.core.log.knows(SHORTAGE) {
            let at = self.core.now + QUIET;
            self.parts.helpers.enough_at.get_or_insert(at);
        }
    }

    fn say_enough(&mut self) {
        self.core.log.over(Level::Info, SHORTAGE, format_args!("hooks, commands and probes go on"));
    }

    fn run_program(&mut self, program: Program) -> Result<Started, Trouble> {
        let Program { mut child, who, captures, quiet } = program;
        let pipe = || process::pipe().map_err(|error| Trouble::from(error).about("pipe"));
        let (logged, writer) = pipe()?;
        let captured = captures.then(pipe).transpose()?;
        child.session = true;
        child.stdin = Stdio::Null;
        child.stderr = Stdio::Fd(writer.as_raw_fd());
        child.stdout = Stdio::Fd(captured.as_ref().map_or(&writer, |(_, writer)| writer).as_raw_fd());
        let spawned = self.core.host.spawn(&child).map_err(|error| {
            let name = child.argv.first().map(|name| name.to_string_lossy().into_owned());
            Trouble::from(error).about(&name.unwrap_or_default())
        })?;
        let pid = spawned.pid();
        let captured = captured.map(|(reader, _)| reader);
        let pipes = [
            Some(self.watch_helper(logged, pid, LOGGED)),
            captured.map(|c| self.watch_helper(c, pid, CAPTURED)),
        ];
        Ok(Started { pid, pipes, lines: Lines::of(who, quiet) })
    }

    /// Has the loop look at a pipe. One that it cannot look at is read when the helper has ended.
    fn watch_helper(&mut self, reader: OwnedFd, pid: Pid, pipe: usize) -> File {
        let fd: RawFd = reader.as_raw_fd();
        if let Err(error) = self.core.poll(Key::helpers).watch(fd, (pid as u32) << 1 | pipe as u32) {
            let why = sys::io_words(&error);
            self.core.log.error(format_args!("the output of {pid} is read only at its end: {why}"));
        }
        File::from(reader)
    }

    /// Reads every pipe of helpers that has something, once, within its budget.
    pub(crate) fn read_helpers(&mut self) {
        for _ in 0..self.parts.helpers.ready.len() {
            let Some((pid, pipe)) = self.parts.helpers.ready.pop_front() else { break };
            let Some(helper) = self.parts.helpers.running.get_mut(&pid) else { continue };
            match helper.read(pipe, PIECES, &mut self.core.log) {
                Progress::Drained => {}
                Progress::More => self.parts.helpers.ready.push_back((pid, pipe)),
                // Closing takes it out of the poll.
                Progress::Closed => drop(helper.pipes.get_mut(pipe).and_then(Option::take)),
            }
        }
    }

    /// Ends helpers that take too long, and kills those that do not end.
    pub(crate) fn expire_helpers(&mut self) {
        let now = self.core.now;
        self.parts.helpers.paused_until.take_if(|at| *at <= now);
        if self.parts.helpers.enough_at.take_if(|at| *at <= now).is_some() {
            self.say_enough();
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        for (pid, helper) in self.parts.helpers.running.iter_mut() {
            if due(helper.kill_at) {
                helper.kill_at = None;
                kill_group(*pid, SIGKILL);
            } else if due(helper.deadline) {
                helper.ask_to_end(*pid, now);
            }
        }
    }

    /// A child is a zombie. If it was a helper, everything that it wrote is passed on, and then what became of it.
    pub(crate) fn helper_ended(&mut self, pid: Pid, exit: Exit) {
        let Some(mut helper) = self.parts.helpers.running.remove(&pid) else { return };
        self.parts.helpers.queue.ended(helper.owner);
        for pipe in [LOGGED, CAPTURED] {
            // Somebody whom it left behind may write for ever.
            helper.read(pipe, 2 * PIECES, &mut self.core.log);
        }
        helper.lines.end_line(&mut self.core.log);
        if helper.asked {
            kill_group(pid, SIGKILL);
        }
        let ended = if helper.asked { Err("it took too long".into()) } else { Ok(exit) };
        let outcome = Outcome { ended, captured: helper.captured, last_line: helper.lines.last() };
        if let Some(purpose) = helper.purpose {
            self.conclude(purpose, outcome);
        }
    }

    /// The program of a purpose.
    fn prepare(&self, purpose: &Purpose) -> Result<Program, String> {
        match purpose {
            Purpose::Hook { watcher, hook, about, .. } => self.hook_program(*watcher, *hook, about, None),
            Purpose::Stats(of) => self.stats_program(of),
        }
    }

    /// Does what follows from what became of a helper.
    fn conclude(&mut self, purpose: Purpose, outcome: Outcome) {
        match purpose {
            Purpose::Hook { id, watcher, hook, .. } => self.hook_ended(id, watcher, hook, &outcome),
            Purpose::Stats(of) => self.stats_ended(of, &outcome),
        }
    }
}

impl Outcome {
    /// What was captured.
    ///
    /// # Errors
    /// It was too much.
    pub fn captured(&self) -> Result<&[u8], String> {
        match self.captured.len() > MOST_CAPTURED {
            true => Err(format!("it printed more than {} KiB", MOST_CAPTURED / 1024)),
            false => Ok(&self.captured),
        }
    }
}
