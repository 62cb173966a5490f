//! THE command table: every command of the control protocol, one row each.
//!
//! A row has all that is to know about a command: its arguments, its help, what it asks for, and how the reply looks as
//! text. The client and the server read the arguments by it ([`super::args`]); usage, help, completions and
//! circusctl(1) come from it.

use super::args::{Arg, Args, Flag, Kind, Place};
use super::props::{few, text};
#[cfg(feature = "history")]
use super::why;
use super::{Map, Refusal, field, output, render, requests, tuning};
use crate::arbiter::request::{Question, Request, Task};
use crate::config::features;
use serde_json::Value as Json;

/// One command.
pub struct Command {
    /// Its name, as it is typed and as it is on the wire.
    pub name: &'static str,
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

impl Command {
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
    let optional = [("metrics", features::METRICS), ("why", features::HISTORY)];
    let (command, feature) = optional.into_iter().find(|(command, _)| command.eq_ignore_ascii_case(name))?;
    features::lack(Some(feature)).map(|why| format!("{command} {why}"))
}

const NAME: Arg = Arg::word("name", Kind::Text, "NAME");
const ANY_NAME: Arg = Arg::word("name", Kind::Text, "[NAME]");
const PID: Arg = Arg::word("pid", Kind::Number, "[PID]");
const NB: Arg = Arg::word("nb", Kind::Number, "[NB]");
const WAITING: Arg = Arg::flag("waiting", "answer when the work is done");
const MATCH: Arg =
    Arg::option("match", Kind::Text, "HOW", "how NAME is meant: glob (the default), regex or simple");

/// All commands, by name.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "add",
        args: &[
            NAME,
            Arg::rest("cmd", Kind::Text, "CMD..."),
            Arg::flag("start", "start it at once"),
            Arg {
                key: "options",
                ..Arg::option(
                    "option",
                    Kind::Options,
                    "KEY=VALUE",
                    "an option of the watcher; may be repeated",
                )
            },
            WAITING,
        ],
        summary: "add a watcher",
        detail: "The words of CMD are joined by blanks; they may begin with dashes. Options that are not given have \
                 their defaults. The watcher is gone when circus ends.",
        request: tuning::add,
        render: render::ok,
    },
    Command {
        name: "decr",
        args: &[NAME, NB, WAITING],
        summary: "run NB processes less, or one less",
        detail: "A singleton keeps its one process. With --waiting, the new number of processes is printed.",
        request: |args| requests::change(args, -1),
        render: render::change,
    },
    Command {
        name: "dstats",
        args: &[],
        summary: "show what circus itself uses",
        detail: "The columns are those of stats.",
        request: |_| Ok(Question::Dstats.into()),
        render: render::dstats,
    },
    Command {
        name: "get",
        args: &[NAME, Arg::rest("keys", Kind::Texts, "KEY...")],
        summary: "show some options of a watcher",
        detail: "Keys are those of the configuration file, rlimit_nofile or stdout_stream.filename too.",
        request: |args| Ok(Question::Get { name: args.name()?, keys: args.need("keys", few)? }.into()),
        render: render::get,
    },
    Command {
        name: "globaloptions",
        args: &[Arg::word("option", Kind::Text, "[OPTION]")],
        summary: "show the options of circus itself",
        detail: "They are endpoint, stats_endpoint, pubsub_endpoint, check_delay and multicast_endpoint.",
        request: requests::globaloptions,
        render: render::globaloptions,
    },
    Command {
        name: "incr",
        args: &[NAME, NB, WAITING],
        summary: "run NB processes more, or one more",
        detail: "A singleton keeps its one process. With --waiting, the new number of processes is printed.",
        request: |args| requests::change(args, 1),
        render: render::change,
    },
    Command {
        name: "kill",
        args: &[
            NAME,
            PID,
            Arg::option("signum", Kind::Text, "SIGNAL", "instead of stop_signal, by name or number"),
            Arg::option("graceful_timeout", Kind::Text, "SECONDS", "instead of that of the watcher"),
            WAITING,
        ],
        summary: "stop processes of a watcher; they are replaced",
        detail: "The process, or each one, gets the signal, and SIGKILL when it is still there after the timeout.",
        request: requests::kill,
        render: render::ok,
    },
    Command {
        name: "list",
        args: &[ANY_NAME],
        summary: "list the watchers, or the processes of one",
        detail: "Names, or process ids, with commas between.",
        request: |args| Ok(Question::List(args.get("name", text)?).into()),
        render: render::list,
    },
    Command {
        name: "listen",
        args: &[Arg::rest("topics", Kind::Texts, "[TOPIC...]")],
        summary: "print events as they happen",
        detail: "One line an event: its topic (watcher.NAME.EVENT), a colon, and its data as JSON. A TOPIC is the \
                 beginning of the topics to print; without one all are.",
        request: requests::listen,
        render: render::ok,
    },
    Command {
        name: "listsockets",
        args: &[],
        summary: "list the sockets",
        detail: "One line a socket: its descriptor, its name, and where it is bound.",
        request: |_| Ok(Question::Listsockets.into()),
        render: render::listsockets,
    },
    Command {
        name: "logs",
        args: &[Arg::word("action", Kind::Text, "rotate|reopen"), ANY_NAME],
        summary: "rotate or reopen the files that output goes to",
        detail: "Those of one watcher, or all; one that others write to as well is rotated for all. rotate needs \
                 backup_count and leaves empty files alone. reopen is for whoever has moved a file away, as SIGUSR1 \
                 is; without NAME the log of circus is opened anew too. The files are printed.",
        request: requests::logs,
        render: render::logs,
    },
    #[cfg(feature = "metrics")]
    Command {
        name: "metrics",
        args: &[],
        summary: "print what is counted and measured, as OpenMetrics text",
        detail: "Processes, restarts, exits, what they use, what waits at the sockets, how much they have written.",
        request: |_| Ok(Question::Metrics.into()),
        render: |_, reply| field(reply, "metrics").trim_end().into(),
    },
    Command {
        name: "numprocesses",
        args: &[ANY_NAME],
        summary: "print how many processes run",
        detail: "Those of one watcher, or all.",
        request: |args| Ok(Question::Numprocesses(args.get("name", text)?).into()),
        render: |_, reply| field(reply, "numprocesses"),
    },
    Command {
        name: "numwatchers",
        args: &[],
        summary: "print how many watchers there are",
        detail: "Stopped ones count too.",
        request: |_| Ok(Question::Numwatchers.into()),
        render: |_, reply| field(reply, "numwatchers"),
    },
    Command {
        name: "options",
        args: &[NAME],
        summary: "show all options of a watcher",
        detail: "One line an option, sorted. Options that Circus has not are shown when they are set.",
        request: |args| Ok(Question::Options(args.name()?).into()),
        render: render::options,
    },
    Command {
        name: "quit",
        args: &[WAITING],
        summary: "stop everything and end circus",
        detail: "With --waiting, the answer comes last of all: processes, sockets and files are gone.",
        request: |_| Ok(Task::Quit.into()),
        render: render::ok,
    },
    Command {
        name: "reload",
        args: &[
            ANY_NAME,
            Arg::flag("sequential", "one process after the other"),
            Arg {
                key: "graceful",
                kind: Kind::Unless,
                ..Arg::flag("terminate", "stop the old processes first")
            },
            WAITING,
        ],
        summary: "replace the processes of a watcher, or of all, without a gap",
        detail: "New processes start before the old ones are stopped; with send_hup, the processes get SIGHUP \
                 instead.",
        request: requests::reload,
        render: render::ok,
    },
    Command {
        name: "reloadconfig",
        args: &[WAITING],
        summary: "read the configuration again and apply what has changed",
        detail: "Everything is checked first: when something is wrong, nothing is changed and the answer says what \
                 it is. Watchers of which nothing has changed are not touched.",
        request: |_| Ok(Task::Reloadconfig.into()),
        render: render::ok,
    },
    Command {
        name: "restart",
        args: &[ANY_NAME, MATCH, WAITING],
        summary: "stop watchers, then start them",
        detail: "Those whose names match, or all. Without NAME the configuration is read again first, as reloadconfig \
                 does it; when something is wrong with it, nothing is stopped.",
        request: |args| Ok(Task::Restart(requests::select(args)?).into()),
        render: render::ok,
    },
    Command {
        name: "rm",
        args: &[NAME, Arg::flag("nostop", "leave its processes running"), WAITING],
        summary: "remove a watcher",
        detail: "Its processes are stopped, unless --nostop is given: then circus forgets them.",
        request: |args| Ok(Task::Rm { name: args.name()?, nostop: args.is("nostop")? }.into()),
        render: render::ok,
    },
    Command {
        name: "set",
        args: &[NAME, Arg::rest("options", Kind::Options, "KEY VALUE [KEY VALUE...]"), WAITING],
        summary: "set options of a watcher while it runs",
        detail: "Keys are those of the configuration file. env takes A=1,B=2 or a JSON object, and hooks takes \
                 HOOK:COMMAND with commas between. Options that shape a process reload the watcher; nothing is written to the file.",
        request: tuning::set,
        render: render::ok,
    },
    Command {
        name: "signal",
        args: &[
            NAME,
            PID,
            Arg::word("signum", Kind::Text, "SIGNAL"),
            Arg::flag("children", "to the children of the process instead"),
            Arg::flag("recursive", "to all its descendants too"),
        ],
        summary: "send a signal to processes of a watcher",
        detail: "To one process, or to all of the watcher. SIGNAL is a name, with or without SIG, or a number.",
        request: requests::signal,
        render: render::ok,
    },
    Command {
        name: "start",
        args: &[ANY_NAME, MATCH, WAITING],
        summary: "start watchers",
        detail: "Those whose names match, or all.",
        request: |args| Ok(Task::Start(requests::select(args)?).into()),
        render: render::ok,
    },
    Command {
        name: "stats",
        args: &[
            Arg::word("name", Kind::Text, "[NAME"),
            Arg::word("process", Kind::Number, "[PID]]"),
            Arg::flag("extended", "with what the hook extended_stats adds; --json shows it"),
        ],
        summary: "show what processes use",
        detail: "One line a process: pid, program, user, nice, resident and virtual memory, percent of a \
                 processor and of memory, processor time. Children stand below, indented.",
        request: requests::stats,
        render: render::stats,
    },
    Command {
        name: "status",
        args: &[ANY_NAME, Arg::flag("check", "exit with 3 unless all runs that is to run")],
        summary: "show the states of the watchers, or of one",
        detail: "A watcher is starting, active, stopping or stopped. On a terminal all of them are shown as a table. \
                 With --check there is a line for each that is to run and is not active, or lacks processes; to run \
                 is what starts with circus or was started, until a command stops it.",
        request: |args| {
            Ok(Question::Status {
                name: args.get("name", text)?,
                check: args.is("check")?,
                details: args.is("details")?,
            }
            .into())
        },
        render: render::status,
    },
    Command {
        name: "stop",
        args: &[ANY_NAME, MATCH, WAITING],
        summary: "stop watchers",
        detail: "Those whose names match, or all. Their processes get stop_signal, and SIGKILL after \
                 graceful_timeout.",
        request: |args| Ok(Task::Stop(requests::select(args)?).into()),
        render: render::ok,
    },
    Command {
        name: "tail",
        args: &[
            NAME,
            Arg::option("lines", Kind::Number, "LINES", "how many; 10 unless given (-n LINES)"),
            Arg::flag("follow", "go on with what comes, until the watcher is removed (-f)"),
            Arg::flag("stdout", "only what the processes wrote to their standard output"),
            Arg::flag("stderr", "only what they wrote to their standard error output"),
            Arg::option("pid", Kind::Number, "PID", "only what this process wrote; it may have ended"),
        ],
        summary: "show the last lines that a watcher's processes wrote",
        detail: "Both outputs of all its processes, in the order in which the lines came. They are kept in memory, \
                 ring_bytes of them, if the watcher has a stdout_stream or stderr_stream. Escape sequences are left \
                 out.",
        request: requests::tail,
        render: output::tail,
    },
    #[cfg(feature = "history")]
    Command {
        name: "why",
        args: &[NAME],
        summary: "explain the state of a watcher",
        detail: "Since when it is in its state and who or what has brought it there, how its processes have ended, \
                 what they wrote last, and when circus tries again. The last 32 changes are kept.",
        request: |args| Ok(Question::Why(args.name()?).into()),
        render: why::render,
    },
];

#[cfg(test)]
mod tests;
