//! THE command table: every command of the control protocol, one row each.
//!
//! A row has all that is to know about a command: how it is typed, its help, how the client makes its properties,
//! how the server reads them, and how the reply looks as text. What the rows point to stands beside, by family:
//! `lifecycle` (processes come and go), `queries` (nothing changes), `tuning` (options), `output` (what processes
//! write).

use super::{Map, Refusal, lifecycle, metrics, output, queries, tuning, why};
use crate::arbiter::request::Request;

/// One command.
pub struct Command {
    /// Its name, as it is typed and as it is on the wire.
    pub name: &'static str,
    /// Its words as the usage has them: `NAME [PID]`.
    pub usage: &'static str,
    /// The fewest and the most words.
    pub words: (usize, usize),
    /// Its options.
    pub flags: &'static [Flag],
    /// Words that look like options of another command are words: they belong to a program or are values.
    pub verbatim: bool,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What it does, in a paragraph.
    pub detail: &'static str,
    /// The properties of the request, from what was typed.
    pub encode: fn(&CliArgs) -> Result<Map, String>,
    /// The request, from its properties.
    pub decode: fn(&Map) -> Result<Request, Refusal>,
    /// The properties of a request and its reply, which is no error, as text without the last newline.
    pub render: fn(&Map, &Map) -> String,
}

/// An option of a command.
pub struct Flag {
    /// Its name, without the `--`.
    pub name: &'static str,
    /// What its argument is called; `None`: it takes none.
    pub value: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
}

/// What was typed after the name of a command.
#[derive(Debug, Default)]
pub struct CliArgs {
    /// The words, in their order.
    pub words: Vec<String>,
    /// The options, by name, with their arguments.
    pub flags: Vec<(&'static str, Option<String>)>,
}

impl CliArgs {
    /// Whether an option was given.
    pub fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(flag, _)| *flag == name)
    }

    /// The argument of an option; the last one counts.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(flag, _)| *flag == name)?.1.as_deref()
    }
}

impl Command {
    /// What the usage calls the word at this place, from 0: `NAME` of `NAME [PID]`. Words that may be repeated go
    /// round. Empty: there is none.
    pub fn word(&self, place: usize) -> &'static str {
        let words: Vec<&str> = self.usage.split_whitespace().collect();
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
        self.flags.iter().any(|flag| flag.name == WAITING.name)
    }
}

/// The command of that name, in any case.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name.eq_ignore_ascii_case(name))
}

const ANY: usize = usize::MAX;

const WAITING: Flag = Flag { name: "waiting", value: None, help: "answer when the work is done" };

const MATCH: Flag = Flag {
    name: "match",
    value: Some("HOW"),
    help: "how NAME is meant: glob (the default), regex or simple",
};

/// All commands, by name.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "add",
        usage: "NAME CMD...",
        words: (2, ANY),
        flags: &[
            Flag { name: "start", value: None, help: "start it at once" },
            Flag {
                name: "option",
                value: Some("KEY=VALUE"),
                help: "an option of the watcher; may be repeated",
            },
            WAITING,
        ],
        verbatim: true,
        summary: "add a watcher",
        detail: "The words of CMD are joined by blanks; they may begin with dashes. Options that are not given have \
                 their defaults. The watcher is gone when circus ends.",
        encode: tuning::encode_add,
        decode: tuning::decode_add,
        render: lifecycle::render_ok,
    },
    Command {
        name: "decr",
        usage: "NAME [NB]",
        words: (1, 2),
        flags: &[WAITING],
        verbatim: false,
        summary: "run NB processes less, or one less",
        detail: "A singleton keeps its one process. With --waiting, the new number of processes is printed.",
        encode: lifecycle::encode_change,
        decode: lifecycle::decode_decr,
        render: lifecycle::render_change,
    },
    Command {
        name: "dstats",
        usage: "",
        words: (0, 0),
        flags: &[],
        verbatim: false,
        summary: "show what circus itself uses",
        detail: "The columns are those of stats.",
        encode: queries::encode_none,
        decode: queries::decode_dstats,
        render: queries::render_dstats,
    },
    Command {
        name: "get",
        usage: "NAME KEY...",
        words: (2, ANY),
        flags: &[],
        verbatim: false,
        summary: "show some options of a watcher",
        detail: "Keys are those of the configuration file, rlimit_nofile or stdout_stream.filename too.",
        encode: queries::encode_get,
        decode: queries::decode_get,
        render: queries::render_get,
    },
    Command {
        name: "globaloptions",
        usage: "[OPTION]",
        words: (0, 1),
        flags: &[],
        verbatim: false,
        summary: "show the options of circus itself",
        detail: "They are endpoint, stats_endpoint, pubsub_endpoint, check_delay and multicast_endpoint.",
        encode: queries::encode_globaloptions,
        decode: queries::decode_globaloptions,
        render: queries::render_globaloptions,
    },
    Command {
        name: "incr",
        usage: "NAME [NB]",
        words: (1, 2),
        flags: &[WAITING],
        verbatim: false,
        summary: "run NB processes more, or one more",
        detail: "A singleton keeps its one process. With --waiting, the new number of processes is printed.",
        encode: lifecycle::encode_change,
        decode: lifecycle::decode_incr,
        render: lifecycle::render_change,
    },
    Command {
        name: "kill",
        usage: "NAME [PID]",
        words: (1, 2),
        flags: &[
            Flag { name: "signum", value: Some("SIGNAL"), help: "instead of stop_signal, by name or number" },
            Flag { name: "graceful_timeout", value: Some("SECONDS"), help: "instead of that of the watcher" },
            WAITING,
        ],
        verbatim: false,
        summary: "stop processes of a watcher; they are replaced",
        detail: "The process, or each one, gets the signal, and SIGKILL when it is still there after the timeout.",
        encode: lifecycle::encode_kill,
        decode: lifecycle::decode_kill,
        render: lifecycle::render_ok,
    },
    Command {
        name: "list",
        usage: "[NAME]",
        words: (0, 1),
        flags: &[],
        verbatim: false,
        summary: "list the watchers, or the processes of one",
        detail: "Names, or process ids, with commas between.",
        encode: queries::encode_name,
        decode: queries::decode_list,
        render: queries::render_list,
    },
    Command {
        name: "listen",
        usage: "[TOPIC...]",
        words: (0, ANY),
        flags: &[],
        verbatim: false,
        summary: "print events as they happen",
        detail: "One line an event: its topic (watcher.NAME.EVENT), a colon, and its data as JSON. A TOPIC is the \
                 beginning of the topics to print; without one all are.",
        encode: queries::encode_listen,
        decode: queries::decode_listen,
        render: lifecycle::render_ok,
    },
    Command {
        name: "listsockets",
        usage: "",
        words: (0, 0),
        flags: &[],
        verbatim: false,
        summary: "list the sockets",
        detail: "One line a socket: its descriptor, its name, and where it is bound.",
        encode: queries::encode_none,
        decode: queries::decode_listsockets,
        render: queries::render_listsockets,
    },
    Command {
        name: "logs",
        usage: "rotate|reopen [NAME]",
        words: (1, 2),
        flags: &[],
        verbatim: false,
        summary: "rotate or reopen the files that output goes to",
        detail: "Those of one watcher, or all; one that others write to as well is rotated for all. rotate needs \
                 backup_count and leaves empty files alone. reopen is for whoever has moved a file away, as SIGUSR1 \
                 is; without NAME the log of circus is opened anew too. The files are printed.",
        encode: output::encode_logs,
        decode: output::decode_logs,
        render: output::render_logs,
    },
    Command {
        name: "metrics",
        usage: "",
        words: (0, 0),
        flags: &[],
        verbatim: false,
        summary: "print what is counted and measured, as OpenMetrics text",
        detail: "Processes, restarts, exits, what they use, what waits at the sockets, how much they have written.",
        encode: metrics::encode,
        decode: metrics::decode,
        render: metrics::render,
    },
    Command {
        name: "numprocesses",
        usage: "[NAME]",
        words: (0, 1),
        flags: &[],
        verbatim: false,
        summary: "print how many processes run",
        detail: "Those of one watcher, or all.",
        encode: queries::encode_name,
        decode: queries::decode_numprocesses,
        render: queries::render_numprocesses,
    },
    Command {
        name: "numwatchers",
        usage: "",
        words: (0, 0),
        flags: &[],
        verbatim: false,
        summary: "print how many watchers there are",
        detail: "Stopped ones count too.",
        encode: queries::encode_none,
        decode: queries::decode_numwatchers,
        render: queries::render_numwatchers,
    },
    Command {
        name: "options",
        usage: "NAME",
        words: (1, 1),
        flags: &[],
        verbatim: false,
        summary: "show all options of a watcher",
        detail: "One line an option, sorted. Options that Circus has not are shown when they are set.",
        encode: queries::encode_name,
        decode: queries::decode_options,
        render: queries::render_options,
    },
    Command {
        name: "quit",
        usage: "",
        words: (0, 0),
        flags: &[WAITING],
        verbatim: false,
        summary: "stop everything and end circus",
        detail: "With --waiting, the answer comes last of all: processes, sockets and files are gone.",
        encode: lifecycle::encode_waiting,
        decode: lifecycle::decode_quit,
        render: lifecycle::render_ok,
    },
    Command {
        name: "reload",
        usage: "[NAME]",
        words: (0, 1),
        flags: &[
            Flag { name: "sequential", value: None, help: "one process after the other" },
            Flag { name: "terminate", value: None, help: "stop the old processes first" },
            WAITING,
        ],
        verbatim: false,
        summary: "replace the processes of a watcher, or of all, without a gap",
        detail: "New processes start before the old ones are stopped; with send_hup, the processes get SIGHUP \
                 instead.",
        encode: lifecycle::encode_reload,
        decode: lifecycle::decode_reload,
        render: lifecycle::render_ok,
    },
    Command {
        name: "reloadconfig",
        usage: "",
        words: (0, 0),
        flags: &[WAITING],
        verbatim: false,
        summary: "read the configuration again and apply what has changed",
        detail: "Everything is checked first: when something is wrong, nothing is changed and the answer says what \
                 it is. Watchers of which nothing has changed are not touched.",
        encode: lifecycle::encode_waiting,
        decode: lifecycle::decode_reloadconfig,
        render: lifecycle::render_ok,
    },
    Command {
        name: "restart",
        usage: "[NAME]",
        words: (0, 1),
        flags: &[MATCH, WAITING],
        verbatim: false,
        summary: "stop watchers, then start them",
        detail: "Those whose names match, or all. Without NAME the configuration is read again first, as reloadconfig \
                 does it; when something is wrong with it, nothing is stopped.",
        encode: lifecycle::encode_select,
        decode: lifecycle::decode_restart,
        render: lifecycle::render_ok,
    },
    Command {
        name: "rm",
        usage: "NAME",
        words: (1, 1),
        flags: &[Flag { name: "nostop", value: None, help: "leave its processes running" }, WAITING],
        verbatim: false,
        summary: "remove a watcher",
        detail: "Its processes are stopped, unless --nostop is given: then circus forgets them.",
        encode: lifecycle::encode_rm,
        decode: lifecycle::decode_rm,
        render: lifecycle::render_ok,
    },
    Command {
        name: "set",
        usage: "NAME KEY VALUE [KEY VALUE...]",
        words: (3, ANY),
        flags: &[WAITING],
        verbatim: true,
        summary: "set options of a watcher while it runs",
        detail: "Keys are those of the configuration file. env takes A=1,B=2 or a JSON object, and hooks takes \
                 HOOK:COMMAND with commas between. Options that shape a process reload the watcher; nothing is written to the file.",
        encode: tuning::encode_set,
        decode: tuning::decode_set,
        render: lifecycle::render_ok,
    },
    Command {
        name: "signal",
        usage: "NAME [PID] SIGNAL",
        words: (2, 3),
        flags: &[
            Flag { name: "children", value: None, help: "to the children of the process instead" },
            Flag { name: "recursive", value: None, help: "to all its descendants too" },
        ],
        verbatim: false,
        summary: "send a signal to processes of a watcher",
        detail: "To one process, or to all of the watcher. SIGNAL is a name, with or without SIG, or a number.",
        encode: lifecycle::encode_signal,
        decode: lifecycle::decode_signal,
        render: lifecycle::render_ok,
    },
    Command {
        name: "start",
        usage: "[NAME]",
        words: (0, 1),
        flags: &[MATCH, WAITING],
        verbatim: false,
        summary: "start watchers",
        detail: "Those whose names match, or all.",
        encode: lifecycle::encode_select,
        decode: lifecycle::decode_start,
        render: lifecycle::render_ok,
    },
    Command {
        name: "stats",
        usage: "[NAME [PID]]",
        words: (0, 2),
        flags: &[Flag {
            name: "extended",
            value: None,
            help: "with what the hook extended_stats adds; --json shows it",
        }],
        verbatim: false,
        summary: "show what processes use",
        detail: "One line a process: pid, program, user, nice, resident and virtual memory, percent of a \
                 processor and of memory, processor time. Children stand below, indented.",
        encode: queries::encode_stats,
        decode: queries::decode_stats,
        render: queries::render_stats,
    },
    Command {
        name: "status",
        usage: "[NAME]",
        words: (0, 1),
        flags: &[Flag { name: "check", value: None, help: "exit with 3 unless all runs that is to run" }],
        verbatim: false,
        summary: "show the states of the watchers, or of one",
        detail: "A watcher is starting, active, stopping or stopped. On a terminal all of them are shown as a table. \
                 With --check there is a line for each that is to run and is not active, or lacks processes; to run \
                 is what starts with circus or was started, until a command stops it.",
        encode: queries::encode_status,
        decode: queries::decode_status,
        render: queries::render_status,
    },
    Command {
        name: "stop",
        usage: "[NAME]",
        words: (0, 1),
        flags: &[MATCH, WAITING],
        verbatim: false,
        summary: "stop watchers",
        detail: "Those whose names match, or all. Their processes get stop_signal, and SIGKILL after \
                 graceful_timeout.",
        encode: lifecycle::encode_select,
        decode: lifecycle::decode_stop,
        render: lifecycle::render_ok,
    },
    Command {
        name: "tail",
        usage: "NAME",
        words: (1, 1),
        flags: &[
            Flag { name: "lines", value: Some("LINES"), help: "how many; 10 unless given (-n LINES)" },
            Flag {
                name: "follow",
                value: None,
                help: "go on with what comes, until the watcher is removed (-f)",
            },
            Flag {
                name: "stdout",
                value: None,
                help: "only what the processes wrote to their standard output",
            },
            Flag { name: "stderr", value: None, help: "only what they wrote to their standard error output" },
            Flag { name: "pid", value: Some("PID"), help: "only what this process wrote; it may have ended" },
        ],
        verbatim: false,
        summary: "show the last lines that a watcher's processes wrote",
        detail: "Both outputs of all its processes, in the order in which the lines came. They are kept in memory, \
                 ring_bytes of them, if the watcher has a stdout_stream or stderr_stream. Escape sequences are left \
                 out.",
        encode: output::encode_tail,
        decode: output::decode_tail,
        render: output::render_tail,
    },
    Command {
        name: "why",
        usage: "NAME",
        words: (1, 1),
        flags: &[],
        verbatim: false,
        summary: "explain the state of a watcher",
        detail: "Since when it is in its state and who or what has brought it there, how its processes have ended, \
                 what they wrote last, and when circus tries again. The last 32 changes are kept.",
        encode: why::encode,
        decode: why::decode,
        render: why::render,
    },
];

#[cfg(test)]
mod tests;
