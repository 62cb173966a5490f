//! What a client may ask for, and what the arbiter answers: the public interface of the daemon, as values.
//!
//! Which client asked, and in which bytes, is not known here. A request that changes something goes to the arbiter with
//! a [`Ticket`]; its reply comes back with the same ticket, at once or, when the client waits, when the work is
//! done. Questions are answered by the daemon from what the arbiter and the kernel know.
#![allow(missing_docs, reason = "the fields of the variants are named for what they hold")]

use super::Pid;
pub use super::Whom;

/// Stands for one request until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A decoded request of a client.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A request that changes something.
    Order(Order),
    /// A question.
    Question(Question),
    /// Turns the connection into a stream of events whose topics begin with one of these; none: all.
    Listen(Vec<String>),
    /// Shows what processes have written.
    Tail(Tail),
    /// Shows that whoever has come by a port may command.
    Token(String),
    /// Does something with the files that output goes to.
    Logs { name: Option<String>, rotate: bool },
}

impl From<Task> for Request {
    fn from(task: Task) -> Request {
        Request::Order(task.into())
    }
}

impl From<Question> for Request {
    fn from(question: Question) -> Request {
        Request::Question(question)
    }
}

/// What of the newest output of a watcher is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Which watcher.
    pub name: String,
    /// How many lines at most.
    pub lines: usize,
    /// Go on with what comes.
    pub follow: bool,
    /// Whose.
    pub wanted: Wanted,
}

/// What of the output of a watcher is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The standard output.
    pub stdout: bool,
    /// The standard error output.
    pub stderr: bool,
    /// That of one process alone.
    pub pid: Option<Pid>,
}

/// Which watchers a start, stop or restart is for, as the client wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// All.
    All,
    /// Those whose names match.
    Match { pattern: String, how: Matching },
}

/// How a pattern of names is meant. Case is ignored in all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// A shell pattern for the whole name.
    Glob,
    /// A regular expression for the beginning of the name.
    Regex,
    /// The name itself.
    Simple,
}

/// A request that changes something.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// What is to be done.
    pub what: Task,
    /// The client wants its answer when the work is done.
    pub waiting: bool,
}

impl From<Task> for Order {
    /// An order that is answered when it has begun.
    fn from(what: Task) -> Order {
        Order { what, waiting: false }
    }
}

/// What an order is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Start watchers.
    Start(Select),
    /// Stop watchers.
    Stop(Select),
    /// Stop watchers, then start them.
    Restart(Select),
    /// Replace the processes of a watcher, or of all, without a gap; not `graceful`: restart it.
    Reload { name: Option<String>, graceful: bool, sequential: bool },
    /// Change the number of processes by so many, up or down.
    Change { name: String, by: i64 },
    /// Change what a watcher is.
    #[cfg(feature = "edit")]
    Edit(Edit),
    /// Stop one process or all, by this signal and within this time, or in the watcher's own way; they are replaced.
    Kill { name: String, pid: Option<Pid>, signum: Option<i32>, graceful_timeout: Option<f64> },
    /// Send a signal to one process or all, nothing more.
    Signal { name: String, pid: Option<Pid>, whom: Whom, signum: i32 },
    /// Read the configuration again and apply what has changed.
    Reloadconfig,
    /// Bring a generation of processes, or say what would change.
    #[cfg(feature = "deploy")]
    Deploy(Deploy),
    /// Stop everything and end.
    Quit,
}

#[cfg(feature = "edit")]
impl From<Edit> for Task {
    fn from(edit: Edit) -> Task {
        Task::Edit(edit)
    }
}

impl Task {
    /// This task, as an order.
    pub fn waiting(self, waiting: bool) -> Order {
        Order { what: self, waiting }
    }

    /// The name of its command.
    pub fn word(&self) -> &'static str {
        match self {
            Task::Start(_) => "start",
            Task::Stop(_) => "stop",
            Task::Restart(_) => "restart",
            Task::Reload { .. } => "reload",
            Task::Change { by, .. } if *by < 0 => "decr",
            Task::Change { .. } => "incr",
            #[cfg(feature = "edit")]
            Task::Edit(edit) => edit.word(),
            Task::Kill { .. } => "kill",
            Task::Signal { .. } => "signal",
            Task::Reloadconfig => "reloadconfig",
            #[cfg(feature = "deploy")]
            Task::Deploy(deploy) => deploy.word(),
            Task::Quit => "quit",
        }
    }
}

/// A change of what a watcher is, beside what the files say.
#[cfg(feature = "edit")]
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Set options.
    Set { name: String, options: Vec<(String, crate::config::Value)> },
    /// Make a watcher.
    Add {
        name: String,
        cmd: String,
        args: Option<String>,
        options: Vec<(String, crate::config::Value)>,
        start: bool,
    },
    /// Forget a watcher; with `nostop` its processes go on.
    Rm { name: String, nostop: bool },
}

#[cfg(feature = "edit")]
impl Edit {
    /// The name of its command.
    fn word(&self) -> &'static str {
        match self {
            Edit::Set { .. } => "set",
            Edit::Add { .. } => "add",
            Edit::Rm { .. } => "rm",
        }
    }
}

/// How a reload is done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Manner {
    /// One process after the other.
    pub sequential: bool,
    /// How many seconds each new process has to do well before old ones end.
    pub soak: f64,
    /// How many processes there may be beside those that are wanted, old and new together.
    pub surge: Option<usize>,
    /// So many new processes come first, and the rest when somebody says so.
    pub canary: Option<usize>,
    /// When it fails, the options are those of before again.
    pub deploys: bool,
}

/// Another generation of a watcher's processes.
#[cfg(feature = "deploy")]
#[derive(Clone, Debug, PartialEq)]
pub enum Deploy {
    /// Read the file for this watcher alone, and replace its processes in this manner.
    Begin { name: String, manner: Manner },
    /// The canary is good: go on. Or: it is not.
    Judge { name: String, good: bool },
    /// Go back to the generation before.
    Rollback { name: String },
    /// Read the file and say what would change for one watcher or all.
    Compare { name: Option<String> },
}

#[cfg(feature = "deploy")]
impl Deploy {
    /// The watcher that it is about; none for all.
    pub fn name(&self) -> Option<&str> {
        match self {
            Deploy::Begin { name, .. } | Deploy::Judge { name, .. } | Deploy::Rollback { name } => Some(name),
            Deploy::Compare { name } => name.as_deref(),
        }
    }

    /// The name of its command.
    fn word(&self) -> &'static str {
        match self {
            Deploy::Begin { .. } | Deploy::Judge { .. } => "deploy",
            Deploy::Rollback { .. } => "rollback",
            Deploy::Compare { .. } => "reloadconfig",
        }
    }
}

/// What would become of a watcher when the files were read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// `keep`, `set`, `scale`, `reload`, `add` or `remove`.
    pub step: &'static str,
    /// The keys whose values differ.
    pub keys: Vec<String>,
}

/// A question. It changes nothing and is answered at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// The names of all watchers, or the pids of one.
    List(Option<String>),
    /// The states of all watchers, or of one.
    Status { name: Option<String>, check: bool, details: bool },
    /// Why a watcher is as it is.
    Why(String),
    /// The number of processes of all watchers, or of one.
    Numprocesses(Option<String>),
    /// The number of watchers.
    Numwatchers,
    /// Some options of a watcher.
    Get { name: String, keys: Vec<String> },
    /// All options of a watcher.
    Options(String),
    /// The options of `[circus]`, or one of them.
    Globaloptions(Option<String>),
    /// The sockets.
    Listsockets,
    /// Statistics of processes.
    Stats { name: Option<String>, process: Option<Pid>, extended: bool },
    /// Statistics of circus itself.
    Dstats,
    /// Everything that is measured, as OpenMetrics text.
    Metrics,
}

impl Question {
    /// Whether it takes a look at all processes, which may be thousands, in a build that looks at them.
    pub fn looks_at_processes(&self) -> bool {
        let looks = match self {
            Question::Stats { .. } | Question::Dstats | Question::Metrics => true,
            Question::Status { details, .. } => *details,
            Question::List(_)
            | Question::Why(_)
            | Question::Numprocesses(_)
            | Question::Numwatchers
            | Question::Get { .. }
            | Question::Options(_)
            | Question::Globaloptions(_)
            | Question::Listsockets => false,
        };
        looks && cfg!(feature = "stats")
    }
}

/// Circus's error numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Errno {
    /// The request is no JSON.
    NotJson = 1,
    /// There is no such command.
    UnknownCommand = 2,
    /// A property is missing or bad, or there is no such watcher.
    Message = 3,
    /// The kernel refused.
    Os = 4,
    /// It cannot be done as things are.
    Conflict = 5,
    /// It was begun and failed.
    Failed = 6,
}

/// What the arbiter answers to an order.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Done, or begun.
    Ok,
    /// Which processes an order started, stopped and kept.
    Info { started: Vec<Pid>, stopped: Option<Vec<Pid>>, kept: Vec<Pid> },
    /// As [`Reply::Info`] of a start, at the top level, as `add` has it.
    Added { started: Vec<Pid>, kept: Vec<Pid> },
    /// A watcher has stopped: `info` is null.
    Stopped,
    /// The number of processes of a watcher, and whether it is a singleton.
    Numprocesses { count: i64, singleton: bool },
    /// What would change.
    Plan(Vec<Planned>),
    /// It was not done, or not all of it.
    Error { errno: Errno, reason: String },
}

impl Reply {
    /// An error reply.
    pub fn error(errno: Errno, reason: impl Into<String>) -> Reply {
        Reply::Error { errno, reason: reason.into() }
    }
}
