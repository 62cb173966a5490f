//! Programs that circus runs on the side for a short while, hooks above all: each in a session of its own, with a
//! deadline, its output in the log or captured, both bounded.
//!
//! [`Purpose`] says what for. It waits in a queue until its turn comes; then [`Helpers::prepare`] makes the program of
//! it, and [`Helpers::conclude`] hears what became of that. So whoever needs a helper adds a purpose, and an arm in
//! both. What a helper leaves running when it ends is left alone, but loses its output.

mod extended_stats;
mod hooks;
mod lines;
mod python;
mod queue;
mod running;

use self::extended_stats::Extended;
use self::lines::LoggedLines;
use self::queue::{Owner, Queue};
use self::running::{CAPTURED, LOGGED, Outcome, Running};
use crate::arbiter::hooks::{About, HookId};
use crate::arbiter::process::Exit;
use crate::arbiter::request::Ticket;
use crate::arbiter::{Action, Event, Pid, WatcherId};
use crate::config::hooks::Hook;
use crate::host::spawn_template::DEFAULT_PATH;
use crate::host::trouble::Trouble;
use crate::parts::log::Level;
use crate::reactor::part::{Cx, Effect, Part, Readiness};
use crate::signals::SIGKILL;
use crate::sorted::Sorted;
use crate::sys::child::{Child, SpawnError, Stdio, Step};
use crate::sys::{self, process};
use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// How long helpers are started in a turn.
const SLICE: Duration = Duration::from_millis(1);
/// How long nobody is started when circus was short of something.
const PAUSE: Duration = Duration::from_millis(200);
/// For how long there must be no shortage, so that it is over. Those that wait try again more often.
const QUIET: Duration = Duration::from_secs(1);

/// What the log calls it.
const SHORTAGE: &str = "helpers";

/// What a helper is run for.
#[derive(Debug)]
pub enum Purpose {
    /// A hook that the arbiter waits for.
    Hook { id: HookId, watcher: WatcherId, hook: Hook, about: About },
    /// The hook extended_stats of one process in an answer to `stats --extended`.
    Stats { ticket: Ticket, watcher: WatcherId, pid: Pid },
    /// gzip, which reads one file and writes another: [`Effect::Compressed`] is its end.
    Gzip(Box<Child>),
}

impl Purpose {
    /// Whose turn it is when this one goes.
    fn owner(&self) -> Owner {
        match self {
            Purpose::Hook { watcher, .. } => Owner::Watcher(*watcher),
            Purpose::Stats { watcher, .. } => Owner::Clients(*watcher),
            Purpose::Gzip(_) => Owner::Files,
        }
    }

    fn hook(&self) -> Option<(HookId, WatcherId)> {
        match self {
            Purpose::Hook { id, watcher, .. } => Some((*id, *watcher)),
            Purpose::Stats { .. } | Purpose::Gzip(_) => None,
        }
    }

    /// That it could not be run yet.
    fn delayed_hook(&self) -> Option<Event> {
        self.hook().map(|(id, watcher)| Event::HookDelayed { id, watcher })
    }
}

/// What is to be run.
struct Program {
    /// The child; where its outputs go is not looked at unless they are [`Output::Own`].
    child: Child,
    /// What it is called in the log.
    who: String,
    output: Output,
}

/// Where the output of a helper goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    /// All to the log.
    Logged,
    /// The standard output is captured, the other one goes to the log.
    Captured,
    /// The standard output is captured, and nothing goes to the log.
    Quiet,
    /// Standard input and output are those of the child, which works when nobody else does. The other output is logged.
    Own,
}

/// One that waits for its turn.
struct Waiting {
    purpose: Purpose,
    deadline: Option<Instant>,
    /// circus was short of something when its turn came.
    delayed: bool,
}

/// The helpers that run, and those that wait for their turn.
#[derive(Default)]
pub struct Helpers {
    queue: Queue<Waiting>,
    /// When the starts of this turn end.
    until: Option<Instant>,
    running: Sorted<Pid, Running>,
    /// Pipes that have more to read.
    ready: VecDeque<(Pid, usize)>,
    /// Answers that wait for extended_stats.
    extended: Sorted<Ticket, Extended>,
    /// Nobody is started before.
    paused_until: Option<Instant>,
    /// When the shortage will be over, if nobody is short of anything until then.
    enough_at: Option<Instant>,
}

impl Helpers {
    /// Adds a helper to the queue. One without a deadline is ended by somebody else if need be.
    fn add(&mut self, purpose: Purpose, deadline: Option<Instant>) {
        self.queue.push(purpose.owner(), Waiting { purpose, deadline, delayed: false });
    }

    /// Ends the hook of this number; nobody wants to know how.
    fn cancel_hook(&mut self, id: HookId, watcher: WatcherId, now: Instant) {
        let hook = Some((id, watcher));
        // Numbers of hooks only grow.
        if self.queue.take_out(Owner::Watcher(watcher), &|waiting| waiting.purpose.hook().cmp(&hook)) {
            return;
        }
        for helper in self.running.values_mut() {
            if helper.purpose.take_if(|purpose| purpose.hook() == hook).is_some() {
                helper.ask_to_end(now);
            }
        }
    }

    /// Writes to the log, once, that circus is short of something for helpers and questions.
    fn short(&mut self, trouble: &Trouble, cx: &mut Cx<'_>) {
        let text =
            format_args!("hooks, commands and probes have to wait for lack of a resource: {}", trouble.why);
        cx.log.once(Level::Error, SHORTAGE, text);
        self.enough_at = None;
    }

    /// One of them could be begun. Another one may need more, so it is not over yet.
    fn not_short(&mut self, cx: &Cx<'_>) {
        if cx.log.knows(SHORTAGE) {
            self.enough_at.get_or_insert(cx.now + QUIET);
        }
    }

    fn start(&mut self, owner: Owner, waiting: Waiting, cx: &mut Cx<'_>) {
        let started = match waiting.deadline.is_some_and(|at| at <= cx.now) {
            true => Err("its turn did not come in time".to_string().into()),
            false => {
                let program = self.prepare(&waiting.purpose, cx).map_err(Trouble::from);
                program.and_then(|program| program.spawn(owner, waiting.deadline, cx))
            }
        };
        let helper = match started {
            Ok(helper) => helper,
            Err(trouble) => return self.not_started(owner, waiting, trouble, cx),
        };
        self.not_short(cx);
        // Its time begins now.
        waiting
            .purpose
            .delayed_hook()
            .filter(|_| waiting.delayed)
            .into_iter()
            .for_each(|late| cx.event(late));
        self.running.insert(helper.leader.pid(), Running { purpose: Some(waiting.purpose), ..helper });
    }

    fn not_started(&mut self, owner: Owner, waiting: Waiting, trouble: Trouble, cx: &mut Cx<'_>) {
        if !trouble.shortage {
            self.queue.ended(owner);
            return self.conclude(waiting.purpose, Outcome::none(trouble.why), cx);
        }
        self.queue.put_back(owner, Waiting { delayed: true, ..waiting });
        // All that wait go on waiting, and it is no fault of theirs.
        self.short(&trouble, cx);
        self.paused_until = Some(cx.now + PAUSE);
        self.queue
            .iter()
            .filter_map(|waiting| waiting.purpose.delayed_hook())
            .for_each(|event| cx.event(event));
    }

    /// Ends helpers that take too long, and kills those that do not end.
    fn end_late_ones(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        for helper in self.running.values_mut() {
            if due(helper.kill_at) {
                helper.kill_at = None;
                helper.leader.kill(SIGKILL);
            } else if due(helper.deadline) {
                helper.ask_to_end(now);
            }
        }
    }

    /// The program of a purpose.
    fn prepare(&self, purpose: &Purpose, cx: &Cx<'_>) -> Result<Program, String> {
        match purpose {
            Purpose::Hook { watcher, hook, about, .. } => hooks::program(*watcher, *hook, about, None, cx),
            Purpose::Stats { ticket, pid, .. } => self.stats_program(*ticket, *pid, cx),
            Purpose::Gzip(child) => {
                Ok(Program { child: (**child).clone(), who: "gzip".into(), output: Output::Own })
            }
        }
    }

    /// Does what follows from what became of a helper.
    fn conclude(&mut self, purpose: Purpose, outcome: Outcome, cx: &mut Cx<'_>) {
        match purpose {
            Purpose::Hook { id, watcher, hook, .. } => {
                cx.event(Event::HookDone { id, watcher, answer: hooks::answer(hook, &outcome) });
            }
            Purpose::Stats { ticket, pid, .. } => self.stats_ended(ticket, pid, &outcome, cx),
            Purpose::Gzip(_) => cx.effect(Effect::Compressed(outcome.ended)),
        }
    }
}

impl Part for Helpers {
    fn ready(&mut self, id: u32, _: Readiness, _: &mut Cx<'_>) {
        let pipe = running::pipe_of(id);
        if !self.ready.contains(&pipe) {
            self.ready.push_back(pipe);
        }
    }

    fn is_busy(&self) -> bool {
        !self.ready.is_empty() || self.queue.is_ready() && self.paused_until.is_none()
    }

    fn begin(&mut self, _: &mut Cx<'_>) {
        self.until = None;
    }

    /// Starts one of those that wait while there is time, at least one; then reads every pipe that has something, once,
    /// within its budget.
    fn work(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.paused_until.is_none()
            && self.until.is_none_or(|until| cx.now < until)
            && let Some((owner, waiting)) = self.queue.next()
        {
            self.until.get_or_insert_with(|| Instant::now() + SLICE);
            self.start(owner, waiting, cx);
            return true;
        }
        for _ in 0..self.ready.len() {
            let Some((pid, pipe)) = self.ready.pop_front() else { break };
            if self.running.get_mut(&pid).is_some_and(|helper| helper.read(pipe, 1, cx.log)) {
                self.ready.push_back((pid, pipe));
            }
        }
        false
    }

    fn deadline(&mut self) -> Option<Instant> {
        let ends = self.running.values().filter_map(Running::next_end);
        ends.chain(self.paused_until).chain(self.enough_at).min()
    }

    fn due(&mut self, cx: &mut Cx<'_>) {
        self.paused_until.take_if(|at| *at <= cx.now);
        if self.enough_at.take_if(|at| *at <= cx.now).is_some() {
            cx.log.over(Level::Info, SHORTAGE, format_args!("hooks, commands and probes continue"));
        }
        self.end_late_ones(cx.now);
    }

    fn take(&mut self, effect: Effect, cx: &mut Cx<'_>) -> Option<Effect> {
        match effect {
            Effect::Action(Action::RunHook { id, watcher, hook, about }) => {
                self.add(Purpose::Hook { id, watcher, hook, about }, None);
            }
            Effect::Action(Action::CancelHook { id, watcher }) => self.cancel_hook(id, watcher, cx.now),
            Effect::Gzip(child) => self.add(Purpose::Gzip(child), None),
            Effect::Extend { ticket, name, process, answer } => {
                self.extend(ticket, &name, process, answer, cx);
            }
            Effect::Short(trouble) => self.short(&trouble, cx),
            Effect::NotShort => self.not_short(cx),
            other => return Some(other),
        }
        None
    }

    /// Kills what runs, and forgets those that wait.
    fn halt(&mut self, _: &mut Cx<'_>) {
        self.queue.clear();
        self.running.values().for_each(|helper| helper.leader.kill(SIGKILL));
    }

    /// Everything that a helper wrote is passed on, and then what became of it.
    fn ended(&mut self, pid: Pid, exit: Exit, cx: &mut Cx<'_>) {
        let Some(helper) = self.running.remove(&pid) else { return };
        self.queue.ended(helper.owner);
        let (purpose, outcome) = helper.end(exit, cx.log);
        if let Some(purpose) = purpose {
            self.conclude(purpose, outcome, cx);
        }
    }
}

impl Program {
    fn spawn(self, owner: Owner, deadline: Option<Instant>, cx: &mut Cx<'_>) -> Result<Running, Trouble> {
        let Program { mut child, who, output } = self;
        let pipe = || process::pipe().map_err(Trouble::no_pipe);
        let (logged, log_end) = pipe()?;
        let captures = matches!(output, Output::Captured | Output::Quiet);
        let captured = captures.then(pipe).transpose()?;
        child.stderr = Stdio::Fd(log_end.as_raw_fd());
        if output == Output::Own {
            // Where the kernel shares the processors out among sessions, one of its own would be worth as much as that of
            // the busiest process, whatever its niceness.
            child.group = true;
        } else {
            child.session = true;
            child.stdin = Stdio::Null;
            child.stdout = captured.as_ref().map_or(child.stderr, |(_, end)| Stdio::Fd(end.as_raw_fd()));
        }
        cx.host.mark(&mut child);
        let leader = cx.host.spawn(&child).map_err(|error| why_not(&child, output, error))?;
        let pid = leader.pid();
        if output == Output::Own {
            // It works all the same when it is not allowed to be so modest.
            let _ = process::make_modest(pid);
        }
        let captured = captured.map(|(reader, _)| running::watch(reader, pid, CAPTURED, cx));
        let pipes = [Some(running::watch(logged, pid, LOGGED, cx)), captured];
        let (purpose, kill_at, asked, captured) = (None, None, false, Vec::new());
        let lines = LoggedLines::of(who, output == Output::Quiet);
        Ok(Running { owner, purpose, deadline, kill_at, leader, pipes, lines, captured, asked })
    }
}

/// Why there is no helper.
fn why_not(child: &Child, output: Output, error: SpawnError) -> Trouble {
    let name = child.argv.first().map_or("".into(), |name| name.to_string_lossy());
    if output == Output::Own && error.step == Step::Exec && error.errno == sys::ENOENT {
        let path = std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.into());
        return format!("there is no {name} in PATH={path}; install it, or remove compress").into();
    }
    Trouble::from(error).about(&name)
}
