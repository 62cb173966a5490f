//! THE command table: every command of the control protocol, one row each.
//!
//! A row has all that is to know about a command: its arguments, its help, what it asks for, and how the reply looks as
//! text. The client and the server read the arguments by it ([`super::args`]); usage, help, completions and
//! circusctl(1) come from it.

use super::args::{Arg, Args, Flag, Kind, Place};
use super::props::{few, text};
#[cfg(feature = "stats")]
use super::stats;
#[cfg(feature = "tail")]
use super::tail;
#[cfg(feature = "edit")]
use super::tuning;
#[cfg(feature = "history")]
use super::why;
use super::{Map, Refusal, field, render, requests};
#[cfg(feature = "deploy")]
use crate::arbiter::request::Deploy;
use crate::arbiter::request::{Order, Question, Request, Select, Task};
use crate::config::features;
use crate::config::row::Role::{self, Look, Operate, Owner};
use serde_json::Value as Json;

/// One command.
pub struct Command {
    /// Its name, as it is typed and as it is on the wire.
    pub name: &'static str,
    /// The least role that may give it.
    pub role: Role,
    /// Its arguments; the words among them in their order.
    pub args: &'static [Arg],
    /// What it does, in a line.
    pub summary: &'static str,
    /// What it does, in a paragraph.
    pub detail: &'static str,
    /// The request that arguments make.
    request: fn(&Args) -> Result<Request, Refusal>,
    /// The properties of a request and its reply, which is no error, as text without the last newline.
    pub render: fn(&Map, &Json) -> String,
}

/// A command whose reply is shown as `ok`.
const fn row(
    name: &'static str,
    role: Role,
    args: &'static [Arg],
    request: fn(&Args) -> Result<Request, Refusal>,
) -> Command {
    Command { name, role, args, summary: "", detail: "", request, render: render::ok }
}

impl Command {
    const fn shows(self, render: fn(&Map, &Json) -> String) -> Command {
        Command { render, ..self }
    }

    const fn help(self, summary: &'static str, detail: &'static str) -> Command {
        Command { summary, detail, ..self }
    }

    /// Its words as the usage has them: `NAME [PID]`.
    pub fn usage(&self) -> String {
        self.usage_words().collect::<Vec<_>>().join(" ")
    }

    fn usage_words(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        self.args.iter().filter_map(Arg::usage).flat_map(str::split_whitespace)
    }

    /// The fewest and the most words.
    pub fn words(&self) -> (usize, usize) {
        let mut words = self.usage_words();
        let least = words.clone().filter(|word| !word.starts_with('[') && !word.ends_with(']')).count();
        let most = words.clone().count();
        (least, if words.any(|word| word.contains("...")) { usize::MAX } else { most })
    }

    /// Its options.
    pub fn flags(&self) -> impl Iterator<Item = &'static Flag> + Clone + use<> {
        self.args.iter().filter_map(|arg| match &arg.place {
            Place::Flag(flag) => Some(flag),
            Place::Word(_) | Place::Rest(_) => None,
        })
    }

    /// Whether words that look like options of another command are words: they belong to a program or are values.
    pub fn is_verbatim(&self) -> bool {
        self.args.iter().any(|arg| matches!(arg.place, Place::Rest(_)) && arg.kind != Kind::Texts)
    }

    /// What the usage calls the word at this place, from 0: `NAME` of `NAME [PID]`. Words that may be repeated go
    /// round. Empty: there is none.
    pub fn word(&self, place: usize) -> &'static str {
        let words: Vec<&str> = self.usage_words().collect();
        let last = words.len().saturating_sub(1);
        if words.iter().position(|word| word.contains("NAME...")).is_some_and(|names| place > names) {
            // Another name, unless there is a word that has to follow the names.
            return words.last().filter(|last| !last.ends_with(['.', ']'])).unwrap_or(&"NAME");
        }
        let again = words.last().is_some_and(|word| word.contains("..."));
        let place = if again && place > last {
            let first = words.iter().rposition(|word| word.starts_with('[')).unwrap_or(last);
            first + (place - first) % (last + 1 - first)
        } else {
            place
        };
        words.get(place).map_or("", |word| word.trim_matches(['[', ']', '.']))
    }

    /// The least role that may ask for this, which is a request of this command: to restart all reads the configuration
    /// again, and extended statistics run a program.
    pub fn needs(&self, request: &Request) -> Role {
        match request {
            Request::Order(Order { what: Task::Restart(Select::All), .. }) => Role::Owner,
            Request::Question(Question::Stats { extended: true, .. }) => Role::Owner,
            _ => self.role,
        }
    }

    /// Whether the reply can wait for the end of the work.
    pub fn waits(&self) -> bool {
        self.flags().any(|flag| flag.name == WAITING.key)
    }

    /// The request, from its properties.
    ///
    /// # Errors
    /// Why it is none.
    pub fn decode(&self, properties: &Map) -> Result<Request, Refusal> {
        let args = Args(properties);
        let mut request = (self.request)(&args)?;
        if let (Request::Order(order), true) = (&mut request, self.waits()) {
            order.waiting = args.is(WAITING.key)?;
        }
        Ok(request)
    }
}

/// The command of that name, in any case.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name.eq_ignore_ascii_case(name))
}

/// Why there is no command of that name, if a build with another feature has it.
pub fn lack(name: &str) -> Option<String> {
    let optional = [
        ("add", features::EDIT),
        ("rm", features::EDIT),
        ("set", features::EDIT),
        ("deploy", features::DEPLOY),
        ("rollback", features::DEPLOY),
        ("dstats", features::STATS),
        ("reloadconfig", features::RELOADCONFIG),
        ("stats", features::STATS),
        ("metrics", features::METRICS),
        ("tail", features::TAIL),
        ("why", features::HISTORY),
    ];
    let (command, feature) = optional.into_iter().find(|(command, _)| command.eq_ignore_ascii_case(name))?;
    features::lack(Some(feature)).map(|why| format!("{command} {why}"))
}

const NAME: Arg = Arg::word("name", Kind::Text, "NAME");
/// `circus ctl` makes a request of each name.
const NAMES: Arg = Arg::word("name", Kind::Text, if cfg!(feature = "details") { "NAME..." } else { "NAME" });
const ANY_NAMES: Arg =
    Arg::word("name", Kind::Text, if cfg!(feature = "details") { "[NAME...]" } else { "[NAME]" });
/// The first of the optional words `[NAME... [PID]]`.
#[cfg(feature = "stats")]
const NAMES_AND: Arg =
    Arg::word("name", Kind::Text, if cfg!(feature = "details") { "[NAME..." } else { "[NAME" });
const PID: Arg = Arg::word("pid", Kind::Number, "[PID]");
const NB: Arg = Arg::word("nb", Kind::Number, "[NB]");
#[cfg(feature = "deploy")]
const DRY_RUN: Arg = Arg::flag("dry-run", "change nothing, print what would change").sets("dry_run");
const WAITING: Arg = Arg::flag("waiting", "answer once the work is done");
const MATCH: Arg =
    Arg::option("match", Kind::Text, "HOW", "how to read NAME: glob (the default), regex or simple");

/// All commands, by name.
pub static COMMANDS: &[Command] = &[
    #[cfg(feature = "edit")]
    row(
        "add",
        Owner,
        &[
            NAME,
            Arg::rest("cmd", Kind::Text, "CMD..."),
            Arg::flag("start", "start it at once"),
            Arg::option("option", Kind::Options, "KEY=VALUE", "an option of the watcher; may be repeated")
                .sets("options"),
            WAITING,
        ],
        tuning::add,
    )
    .help(
        "add a watcher",
        "The words of CMD are joined by blanks and may begin with dashes. Options that are not given have \
         their defaults. The watcher is not written to the file: it is gone after the next start.",
    ),
    row("decr", Operate, &[NAMES, NB, WAITING], |args| requests::change(args, -1)).shows(render::change).help(
        "run NB fewer processes (default: 1)",
        "A singleton keeps its one process. With --waiting, prints the new number of processes.",
    ),
    #[cfg(feature = "deploy")]
    row(
        "deploy",
        Owner,
        &[
            NAMES,
            Arg::option("soak", Kind::Text, "SECONDS", "how long new processes must run well before old ones are stopped"),
            Arg::option("surge", Kind::Number, "N", "how many extra processes may run at a time"),
            Arg::flag("sequential", "one process at a time"),
            Arg::option("canary", Kind::Number, "N", "start N new processes next to the old ones; then --go or --back"),
            Arg::flag("go", "the canary is good: replace the rest"),
            Arg::flag("back", "the canary is bad: stop it"),
            DRY_RUN,
            WAITING,
        ],
        requests::deploy,
    )
    .shows(render::plan)
    .help(
        "deploy what the file says now for some watchers",
        "Reads the file again and replaces their processes. The old ones stay until all new ones are ready, or \
         have run for a second, and then for --soak. If \
         one fails, the new ones are stopped, the previous options are restored, and the exit code is 3. Waits \
         for the result, unless --no-wait is given.",
    ),
    #[cfg(feature = "stats")]
    row("dstats", Look, &[], |_| Ok(Question::Dstats.into()))
        .shows(stats::render_own)
        .help("show what circus itself uses", "Same columns as stats."),
    row("get", Look, &[NAME, Arg::rest("keys", Kind::Texts, "KEY...")], |args| {
        Ok(Question::Get { name: args.name()?, keys: args.need("keys", few)? }.into())
    })
    .shows(render::get)
    .help(
        "show some options of a watcher",
        "KEY is as in the configuration file, also rlimit_nofile or stdout_stream.filename.",
    ),
    row("globaloptions", Look, &[Arg::word("option", Kind::Text, "[OPTION]")], requests::globaloptions)
        .shows(render::globaloptions)
        .help(
            "show options of circus itself",
            "Namely endpoint, stats_endpoint, pubsub_endpoint, check_delay and multicast_endpoint.",
        ),
    row("incr", Operate, &[NAMES, NB, WAITING], |args| requests::change(args, 1)).shows(render::change).help(
        "run NB more processes (default: 1)",
        "A singleton keeps its one process. With --waiting, prints the new number of processes.",
    ),
    row(
        "kill",
        Operate,
        &[
            NAMES,
            PID,
            Arg::option("signum", Kind::Text, "SIGNAL", "the signal to send instead of stop_signal, by name or number"),
            Arg::option("graceful_timeout", Kind::Text, "SECONDS", "overrides that of the watcher"),
            WAITING,
        ],
        requests::kill,
    )
    .help(
        "replace processes of watchers",
        "The process PID, or every process, gets stop_signal, and SIGKILL if it is still there after the \
         timeout. A new one takes its place. PID needs a single NAME.",
    ),
    row("list", Look, &[ANY_NAMES], |args| Ok(Question::List(args.get("name", text)?).into()))
        .shows(render::list)
        .help("list the watchers, or the processes of some", "Prints names or process ids, separated by commas."),
    row("listen", Look, &[Arg::rest("topics", Kind::Texts, "[TOPIC...]")], requests::listen).help(
        "print events as they happen",
        "Prints one line per event: its topic (watcher.NAME.EVENT), a colon, and its data as JSON. TOPIC is \
         the beginning of the topics to print; the default is all.",
    ),
    row("listsockets", Look, &[], |_| Ok(Question::Listsockets.into()))
        .shows(render::listsockets)
        .help("list the sockets", "Prints one line per socket: its descriptor, its name, and its address."),
    row("logs", Owner, &[Arg::word("action", Kind::Text, "rotate|reopen"), ANY_NAMES], requests::logs)
        .shows(render::logs)
        .help(
            "rotate or reopen log files",
            "Of the named watchers, or of all; a file shared by several watchers is rotated for all of them. \
             rotate needs backup_count and leaves empty files alone. reopen is for use after the files \
             were moved, like SIGUSR1; without NAME it also reopens the log of circus. Prints the files.",
        ),
    #[cfg(feature = "metrics")]
    row("metrics", Look, &[], |_| Ok(Question::Metrics.into()))
        .shows(|_, reply| field(reply, "metrics").trim_end().into())
        .help(
            "print metrics as OpenMetrics text",
            "Processes, restarts, exits, resource use, connections waiting at the sockets, bytes of output.",
        ),
    row(
        "numprocesses",
        Look,
        &[ANY_NAMES],
        |args| Ok(Question::Numprocesses(args.get("name", text)?).into()),
    )
    .shows(|_, reply| field(reply, "numprocesses"))
    .help("print the number of processes", "Of the named watchers, or of all."),
    row("numwatchers", Look, &[], |_| Ok(Question::Numwatchers.into()))
        .shows(|_, reply| field(reply, "numwatchers"))
        .help("print the number of watchers", "Includes stopped ones."),
    row("options", Look, &[NAMES], |args| Ok(Question::Options(args.name()?).into()))
        .shows(render::options)
        .help(
            "show all options of watchers",
            "Prints one line per option, sorted. Options unknown to Python Circus are shown if they are set.",
        ),
    row("quit", Owner, &[WAITING], |_| Ok(Task::Quit.into())).help(
        "stop everything and exit",
        "With --waiting, the answer comes last of all, when processes, sockets and files are gone.",
    ),
    row(
        "reload",
        Operate,
        &[
            ANY_NAMES,
            Arg::flag("sequential", "one process at a time"),
            Arg {
                kind: Kind::Unless,
                ..Arg::flag("terminate", "stop the old processes first").sets("graceful")
            },
            WAITING,
        ],
        requests::reload,
    )
    .help(
        "replace the processes of watchers, or of all, without a gap",
        "New processes start before the old ones are stopped; with send_hup, the processes get \
         SIGHUP instead.",
    ),
    #[cfg(feature = "reloadconfig")]
    row(
        "reloadconfig",
        Owner,
        &[
            #[cfg(feature = "deploy")]
            DRY_RUN,
            WAITING,
        ],
        requests::reloadconfig,
    )
    .shows(render::plan)
    .help(
        "read the configuration again and apply changes",
        "The whole configuration is checked first: if there is an error, nothing changes and the answer \
         names it. Watchers without changes are left alone. With --dry-run nothing is changed: prints each watcher \
         that would change, and exits with 4 if there is one.",
    ),
    row("restart", Operate, &[ANY_NAMES, MATCH, WAITING], |args| {
        Ok(Task::Restart(requests::select(args)?).into())
    })
    .help(
        "stop watchers, then start them",
        "Those whose names match, or all. Without NAME the configuration is read again first, as with \
             reloadconfig; if it has an error, nothing is stopped.",
    ),
    #[cfg(feature = "deploy")]
    row("rollback", Operate, &[NAMES, WAITING], |args| {
        Ok(Task::Deploy(Deploy::Rollback { name: args.name()? }).into())
    })
    .help(
        "go back to the previous options and processes",
        "To the options before the last successful reload that changed them, which are kept in memory; a \
         deployment in progress, or options that have failed, are taken back. The file is not changed: it \
         applies again once it is changed or deployed.",
    ),
    #[cfg(feature = "edit")]
    row("rm", Owner, &[NAMES, Arg::flag("nostop", "leave their processes running"), WAITING], tuning::rm).help(
        "remove watchers",
        "Stops their processes, unless --nostop is given: then circus no longer manages them.",
    ),
    #[cfg(feature = "edit")]
    row(
        "set",
        Operate,
        &[NAME, Arg::rest("options", Kind::Options, "KEY VALUE [KEY VALUE...]"), WAITING],
        tuning::set,
    )
    .help(
        "set options of a watcher while it runs",
        "KEY is as in the configuration file. env takes A=1,B=2 or a JSON object; hooks takes HOOK:COMMAND, \
         separated by commas. Options that shape a process reload the watcher. The file is not changed.",
    ),
    row(
        "signal",
        Operate,
        &[
            NAMES,
            PID,
            Arg::word("signum", Kind::Text, "SIGNAL"),
            Arg::flag("children", "to the children of the process, not to itself"),
            Arg::flag("recursive", "to all its descendants too"),
        ],
        requests::signal,
    )
    .help(
        "send a signal to processes of watchers",
        "To the process PID of a single NAME, or to all processes of the watchers. SIGNAL is a name, with or \
         without SIG, or a number.",
    ),
    row("start", Operate, &[ANY_NAMES, MATCH, WAITING], |args| {
        Ok(Task::Start(requests::select(args)?).into())
    })
    .help("start watchers", "Those whose names match, or all."),
    #[cfg(feature = "stats")]
    row(
        "stats",
        Look,
        &[
            NAMES_AND,
            Arg::word("process", Kind::Number, "[PID]]"),
            Arg::flag("extended", "add what the hook extended_stats reports; --json shows it"),
        ],
        stats::request,
    )
    .shows(stats::render)
    .help(
        "show the resource use of processes",
        "Prints one line per process: pid, program, user, niceness, resident and virtual memory, percent of a \
         processor and of memory, processor time. Children are indented below.",
    ),
    row(
        "status",
        Look,
        &[
            ANY_NAMES,
            Arg::flag("check", "exit with 3 unless every watcher that should run does"),
            #[cfg(feature = "details")]
            Arg::flag("details", "processes, times, memory and problems, as on a terminal"),
        ],
        |args| {
            Ok(Question::Status {
                name: args.get("name", text)?,
                check: args.is("check")?,
                details: args.is("details")?,
            }
            .into())
        },
    )
    .shows(render::status)
    .help(
        "show the states of watchers, or of all",
        "A watcher is starting, active, stopping or stopped. On a terminal, and always with --details, all \
         watchers are shown as a table with four more states: failing (will be tried again after a pause), \
         failed (gave up or ended badly), waiting (for its turn, a dependency or a connection) and done \
         (ended as it should). --check prints a line for each watcher that should run and is not active or \
         lacks processes; a watcher should run if it starts with circus or was started, until a command \
         stops it.",
    ),
    row("stop", Operate, &[ANY_NAMES, MATCH, WAITING], |args| Ok(Task::Stop(requests::select(args)?).into()))
        .help(
            "stop watchers",
            "Those whose names match, or all. Their processes get stop_signal, and SIGKILL after \
         graceful_timeout.",
        ),
    #[cfg(feature = "tail")]
    row(
        "tail",
        Owner,
        &[
            ANY_NAMES,
            Arg::option("lines", Kind::Number, "LINES", "how many (-n LINES; default: 10)"),
            Arg::flag("follow", "keep printing new output, until the watcher is removed (-f)"),
            Arg::flag("stdout", "only what the processes wrote to standard output"),
            Arg::flag("stderr", "only what they wrote to standard error"),
            Arg::option("pid", Kind::Number, "PID", "only what this process wrote; it may have exited"),
        ],
        tail::request,
    )
    .shows(tail::render)
    .help(
        "show the last lines of output of watchers",
        "Standard output and standard error of all processes, in the order in which the lines came. The last \
         ring_bytes are kept in memory if the watcher has a stdout_stream or stderr_stream. Escape sequences \
         are removed. With several names, or none for all watchers, each line follows the name of its \
         watcher.",
    ),
    #[cfg(feature = "history")]
    row("why", Look, &[NAMES], |args| Ok(Question::Why(args.name()?).into())).shows(why::render).help(
        "explain the states of watchers",
        "Since when the watcher has been in its state and what caused it, how its processes ended, their last \
         output, and when circus will try again. The last 32 changes are kept.",
    ),
];

#[cfg(test)]
mod tests;
