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
const ANY_NAME: Arg = Arg::word("name", Kind::Text, "[NAME]");
/// `circus ctl` makes a request of each name.
const NAMES: Arg = Arg::word("name", Kind::Text, if cfg!(feature = "details") { "NAME..." } else { "NAME" });
const ANY_NAMES: Arg =
    Arg::word("name", Kind::Text, if cfg!(feature = "details") { "[NAME...]" } else { "[NAME]" });
const PID: Arg = Arg::word("pid", Kind::Number, "[PID]");
const NB: Arg = Arg::word("nb", Kind::Number, "[NB]");
#[cfg(feature = "deploy")]
const DRY_RUN: Arg = Arg::flag("dry-run", "do nothing, and show what would change").sets("dry_run");
const WAITING: Arg = Arg::flag("waiting", "answer when the work is done");
const MATCH: Arg =
    Arg::option("match", Kind::Text, "HOW", "how NAME is meant: glob (the default), regex or simple");

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
        "The words of CMD are joined by blanks; they may begin with dashes. Options that are not \
         given have their defaults. The watcher is gone when circus ends.",
    ),
    row("decr", Operate, &[NAME, NB, WAITING], |args| requests::change(args, -1)).shows(render::change).help(
        "run NB fewer processes (default: 1)",
        "A singleton keeps its one process. With --waiting, the new number of processes is printed.",
    ),
    #[cfg(feature = "deploy")]
    row(
        "deploy",
        Owner,
        &[
            NAMES,
            Arg::option("soak", Kind::Text, "SECONDS", "how long new processes have to do well before old ones stop"),
            Arg::option("surge", Kind::Number, "N", "how many processes beside numprocesses there may be at a time"),
            Arg::flag("sequential", "one process after the other"),
            Arg::option("canary", Kind::Number, "N", "start N of them beside the old ones, then wait for --go or --back"),
            Arg::flag("go", "the canary is good: replace the rest"),
            Arg::flag("back", "the canary is not: stop it"),
            DRY_RUN,
            WAITING,
        ],
        requests::deploy,
    )
    .shows(render::plan)
    .help(
        "read the file again for some watchers, and replace their processes if the new ones do well",
        "The old processes stay until all new ones are ready, or have run for a second, and --soak longer. If one of them fails, \
         the new ones are stopped, the options are those of before again, and the exit code is 3. It waits for the end, unless \
         --no-wait is given.",
    ),
    #[cfg(feature = "stats")]
    row("dstats", Look, &[], |_| Ok(Question::Dstats.into()))
        .shows(stats::render_own)
        .help("show what circus itself uses", "The columns are those of stats."),
    row("get", Look, &[NAME, Arg::rest("keys", Kind::Texts, "KEY...")], |args| {
        Ok(Question::Get { name: args.name()?, keys: args.need("keys", few)? }.into())
    })
    .shows(render::get)
    .help(
        "show some options of a watcher",
        "Keys are those of the configuration file, rlimit_nofile or stdout_stream.filename too.",
    ),
    row("globaloptions", Look, &[Arg::word("option", Kind::Text, "[OPTION]")], requests::globaloptions)
        .shows(render::globaloptions)
        .help(
            "show the options of circus itself",
            "They are endpoint, stats_endpoint, pubsub_endpoint, check_delay and multicast_endpoint.",
        ),
    row("incr", Operate, &[NAME, NB, WAITING], |args| requests::change(args, 1)).shows(render::change).help(
        "run NB more processes (default: 1)",
        "A singleton keeps its one process. With --waiting, the new number of processes is printed.",
    ),
    row(
        "kill",
        Operate,
        &[
            NAME,
            PID,
            Arg::option("signum", Kind::Text, "SIGNAL", "instead of stop_signal, by name or number"),
            Arg::option("graceful_timeout", Kind::Text, "SECONDS", "instead of that of the watcher"),
            WAITING,
        ],
        requests::kill,
    )
    .help(
        "stop processes of a watcher; they are replaced",
        "The process, or each one, gets the signal, and SIGKILL when it is still there after the \
         timeout.",
    ),
    row("list", Look, &[ANY_NAMES], |args| Ok(Question::List(args.get("name", text)?).into()))
        .shows(render::list)
        .help("list the watchers, or the processes of some", "Names, or process ids, with commas between."),
    row("listen", Look, &[Arg::rest("topics", Kind::Texts, "[TOPIC...]")], requests::listen).help(
        "print events as they happen",
        "One line an event: its topic (watcher.NAME.EVENT), a colon, and its data as JSON. A TOPIC \
         is the beginning of the topics to print; without one all are.",
    ),
    row("listsockets", Look, &[], |_| Ok(Question::Listsockets.into()))
        .shows(render::listsockets)
        .help("list the sockets", "One line a socket: its descriptor, its name, and where it is bound."),
    row("logs", Owner, &[Arg::word("action", Kind::Text, "rotate|reopen"), ANY_NAME], requests::logs)
        .shows(render::logs)
        .help(
            "rotate or reopen the files that output goes to",
            "Those of one watcher, or all; one that others write to as well is rotated for all. rotate \
             needs backup_count and leaves empty files alone. reopen is for whoever has moved a file \
             away, as SIGUSR1 is; without NAME the log of circus is opened anew too. The files are \
             printed.",
        ),
    #[cfg(feature = "metrics")]
    row("metrics", Look, &[], |_| Ok(Question::Metrics.into()))
        .shows(|_, reply| field(reply, "metrics").trim_end().into())
        .help(
            "print what is counted and measured, as OpenMetrics text",
            "Processes, restarts, exits, what they use, what waits at the sockets, how much they have \
             written.",
        ),
    row(
        "numprocesses",
        Look,
        &[ANY_NAMES],
        |args| Ok(Question::Numprocesses(args.get("name", text)?).into()),
    )
    .shows(|_, reply| field(reply, "numprocesses"))
    .help("print how many processes run", "Those of the watchers that are named, or all."),
    row("numwatchers", Look, &[], |_| Ok(Question::Numwatchers.into()))
        .shows(|_, reply| field(reply, "numwatchers"))
        .help("print how many watchers there are", "Stopped ones count too."),
    row("options", Look, &[NAMES], |args| Ok(Question::Options(args.name()?).into()))
        .shows(render::options)
        .help(
            "show all options of watchers",
            "One line an option, sorted. Options that Circus has not are shown when they are set.",
        ),
    row("quit", Owner, &[WAITING], |_| Ok(Task::Quit.into())).help(
        "stop everything and end circus",
        "With --waiting, the answer comes last of all: processes, sockets and files are gone.",
    ),
    row(
        "reload",
        Operate,
        &[
            ANY_NAMES,
            Arg::flag("sequential", "one process after the other"),
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
        "read the configuration again and apply what has changed",
        "Everything is checked first: when something is wrong, nothing is changed and the answer \
         says what it is. Watchers of which nothing has changed are not touched. With --dry-run nothing is done: each watcher of \
         which something would change is listed, and the exit code is 4 if there is one.",
    ),
    row("restart", Operate, &[ANY_NAMES, MATCH, WAITING], |args| {
        Ok(Task::Restart(requests::select(args)?).into())
    })
    .help(
        "stop watchers, then start them",
        "Those whose names match, or all. Without NAME the configuration is read again first, as \
             reloadconfig does it; when something is wrong with it, nothing is stopped.",
    ),
    #[cfg(feature = "deploy")]
    row("rollback", Operate, &[NAMES, WAITING], |args| {
        Ok(Task::Deploy(Deploy::Rollback { name: args.name()? }).into())
    })
    .help(
        "go back to the generation of options and processes before",
        "It is the one before the last reload that succeeded with other options; a deployment under way, or options that have \
         failed, are taken back. They are kept in memory. The file is not changed: what it says counts again when it is changed or \
         deployed.",
    ),
    #[cfg(feature = "edit")]
    row("rm", Owner, &[NAMES, Arg::flag("nostop", "leave its processes running"), WAITING], tuning::rm).help(
        "remove watchers",
        "Their processes are stopped, unless --nostop is given: then circus forgets them.",
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
        "Keys are those of the configuration file. env takes A=1,B=2 or a JSON object, and hooks \
         takes HOOK:COMMAND with commas between. Options that shape a process reload the watcher; \
         nothing is written to the file.",
    ),
    row(
        "signal",
        Operate,
        &[
            NAME,
            PID,
            Arg::word("signum", Kind::Text, "SIGNAL"),
            Arg::flag("children", "to the children of the process instead"),
            Arg::flag("recursive", "to all its descendants too"),
        ],
        requests::signal,
    )
    .help(
        "send a signal to processes of a watcher",
        "To one process, or to all of the watcher. SIGNAL is a name, with or without SIG, or a \
         number.",
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
            Arg::word("name", Kind::Text, "[NAME"),
            Arg::word("process", Kind::Number, "[PID]]"),
            Arg::flag("extended", "with what the hook extended_stats adds; --json shows it"),
        ],
        stats::request,
    )
    .shows(stats::render)
    .help(
        "show what processes use",
        "One line a process: pid, program, user, nice, resident and virtual memory, percent of a \
         processor and of memory, processor time. Children stand below, indented.",
    ),
    row(
        "status",
        Look,
        &[
            ANY_NAMES,
            Arg::flag("check", "exit with 3 unless every watcher that should run does"),
            #[cfg(feature = "details")]
            Arg::flag("details", "processes, times, memory, and what is wrong, as on a terminal"),
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
        "A watcher is starting, active, stopping or stopped. On a terminal all of them are shown as \
         a table, with --details always: there, one that tries again after a pause is failing, one that has \
         given up or ended badly failed, one whose turn, dependency or connection has not come waiting, and one that has \
         ended as it should done. With --check there is a line for each that is to run and is not active, or lacks \
         processes; to run is what starts with circus or was started, until a command stops it.",
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
            Arg::option("lines", Kind::Number, "LINES", "how many; 10 unless given (-n LINES)"),
            Arg::flag("follow", "go on with what comes, until the watcher is removed (-f)"),
            Arg::flag("stdout", "only what the processes wrote to their standard output"),
            Arg::flag("stderr", "only what they wrote to their standard error output"),
            Arg::option("pid", Kind::Number, "PID", "only what this process wrote; it may have ended"),
        ],
        tail::request,
    )
    .shows(tail::render)
    .help(
        "show the last lines that the processes of watchers wrote",
        "Both outputs of all its processes, in the order in which the lines came. They are kept in \
         memory, ring_bytes of them, if the watcher has a stdout_stream or stderr_stream. Escape \
         sequences are left out. With several names, or none for all watchers, each line stands \
         behind the name of its watcher.",
    ),
    #[cfg(feature = "history")]
    row("why", Look, &[NAMES], |args| Ok(Question::Why(args.name()?).into())).shows(why::render).help(
        "explain the states of watchers",
        "Since when it is in its state and who or what has brought it there, how its processes have \
         ended, what they wrote last, and when circus tries again. The last 32 changes are kept.",
    ),
];

#[cfg(test)]
mod tests;
