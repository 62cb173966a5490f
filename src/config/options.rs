//! THE option table: every option that a configuration may hold, one row each.
//!
//! A row names the option once: its key, its field and type, its default, what [`row`] says of it, and one line for the
//! manual. The structs below, the file reader, `set`, `get`, `options`, who may set what, the checks and suggestions of
//! `check`, the variables and the lists in the manual all come from the rows. Elsewhere an option is called by its field
//! or by the constant of its key, such as `watcher::cmd`.
//! Options that are a family of names (`rlimit_*`, `hooks.*`, `stdout_stream.*`) stand in [`super::families`].
#![allow(missing_docs, reason = "what a name says is not said again")]

use super::respawn_rule::{ON_FAILURE, Respawn};
use super::stream::StreamKind::{FancyStdout, File, Json, Stderr, Stdout, Syslog, TimedFile, WatchedFile};
use super::value::{Kind, listed};
use super::{features, grants, probe, restrict, sockets};
use Beyond::{Counts, IsWrong, Passes};
use Built::{Quiet, Useless};
use Expand::{Global, Never, Watcher};
use Kind::{
    Bool, BoolOr, Bytes, Choice, Codes, Id, Int, Octal, Seconds, Signal, Signals, Text, WholeSeconds,
};
use Live::{Fixed, Numprocesses, Reload, Stored};
use Role::{Operate, Owner};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

pub use super::row::{Beyond, Built, Expand, Live, Range, Role, Row, Spec, find, range, row};

/// The most that `ring_bytes` can ask for.
pub const LARGEST_RING: i64 = 1024 * 1024;

// What holds for numbers that are not set.
pub const HEALTH_INTERVAL: f64 = 10.0;
pub const HEALTH_RETRIES: f64 = 3.0;
pub const HEALTH_TIMEOUT: f64 = 5.0;
pub const READY_TIMEOUT: f64 = 60.0;
pub const RESPAWN_DELAY: f64 = 0.1;
pub const RESPAWN_DELAY_MAX: f64 = 10.0;
pub const RESPAWN_WINDOW: f64 = 1.0;

/// The end of a range that has none.
const ANY: f64 = f64::INFINITY;

/// The struct of a section. Of `$common`, one is shared by all sections that are alike in it.
macro_rules! values {
    ($(#[$doc:meta])* $name:ident $($common:ident)? { $(
        $key:literal => $field:ident: $type:ty = $default:expr, $spec:expr, $help:literal;
    )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $(pub $field: $type,)* $(pub common: Rc<$common>,)? }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)* $(common: Rc::<$common>::default(),)? }
            }
        }

        $(impl Deref for $name {
            type Target = $common;

            fn deref(&self) -> &$common {
                &self.common
            }
        }

        impl DerefMut for $name {
            fn deref_mut(&mut self) -> &mut $common {
                Rc::make_mut(&mut self.common)
            }
        })?
    };
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident $rows:ident $help_of:ident $keys:ident { $($own:tt)* }) => {
        values! { $(#[$doc])* $name { $($own)* } }
        table! { $(#[$doc])* $name $rows $help_of $keys { $($own)* } }
    };
    ($(#[$doc:meta])* $name:ident $rows:ident $help_of:ident $keys:ident { $($own:tt)* } $common:ident { $($shared:tt)* }) => {
        values! { $(#[$doc])* $common { $($shared)* } }
        values! { $(#[$doc])* $name $common { $($own)* } }
        table! { $(#[$doc])* $name $rows $help_of $keys { $($own)* $($shared)* } }
    };
}

macro_rules! table {
    ($(#[$doc:meta])* $name:ident $rows:ident $help_of:ident $keys:ident { $(
        $key:literal => $field:ident: $type:ty = $default:expr, $spec:expr, $help:literal;
    )* }) => {
        $(#[$doc])*
        pub static $rows: &[Row<$name>] = &[ $( Row {
            spec: Spec { key: $key, ..$spec },
            field: |options| &options.$field,
            field_mut: |options| &mut options.$field,
        }, )* ];

        /// One line about each of these options, in order. Only the manual needs it: here it stays out of the program.
        pub static $help_of: &[&str] = &[ $( $help, )* ];

        /// The keys of these options, by the names of their fields.
        #[allow(non_upper_case_globals)]
        pub mod $keys { $( pub const $field: &str = $key; )* }
    };
}

/// Text that may be missing.
type Maybe = Option<Box<str>>;

/// The most words of an option that is a list: each one is compared with others.
const MOST_WORDS: usize = 1000;

fn is_short(text: &str) -> Result<(), String> {
    let words = listed(text).len();
    if words > MOST_WORDS { Err(format!("has more than {MOST_WORDS} words")) } else { Ok(()) }
}

const LEVELS: Kind = Choice(&["debug", "info", "warning", "error", "critical"]);

section! {
    /// The options of `[circus]`.
    CircusOptions CIRCUS CIRCUS_HELP global {
    "endpoint" => endpoint: Maybe = None, row(Text, Global, Fixed), "the control socket: a path, ipc://PATH, unix://PATH, @NAME, or none";
    "endpoint_owner" => endpoint_owner: Maybe = None, row(Id, Global, Fixed), "the owner of the control socket's file";
    "endpoint_mode" => endpoint_mode: i64 = 0o600, row(Octal, Global, Fixed), "the mode of the control socket's file, octal";
    "allow_tcp" => allow_tcp: bool = false, row(Bool, Global, Fixed), "also listen at the TCP ports that endpoint and pubsub_endpoint give as tcp://HOST:PORT";
    "pubsub_endpoint" => pubsub_endpoint: Maybe = None, row(Text, Global, Fixed), "an additional socket for subscribers; the control socket sends events too";
    "stats_endpoint" => stats_endpoint: Maybe = None, Spec { built: Quiet, ..row(Text, Global, Fixed) }, "where Circus publishes statistics; here stats and dstats answer on the control socket";
    "multicast_endpoint" => multicast_endpoint: Maybe = None, Spec { built: Quiet, ..row(Text, Global, Fixed) }, "where Circus can be discovered; circus opens nothing there";
    "statsd" => statsd: bool = false, Spec { built: Quiet, strict: true, aliases: "circusstatsd", ..row(Bool, Global, Fixed) }, "Circus's statistics daemon; circus needs none";
    "check_delay" => check_delay: f64 = 5.0, Spec { built: Quiet, strict: true, ..row(Seconds, Global, Fixed) }, "how often Circus looks for dead processes; circus notices at once";
    "warmup_delay" => warmup_delay: f64 = 0.0, Spec { strict: true, ..row(Seconds, Global, Stored) }, "seconds between the starts of two watchers";
    "umask" => umask: Option<i64> = None, Spec { strict: true, ..row(Octal, Global, Reload) }, "the umask of circus and of its processes, octal";
    "loglevel" => loglevel: Maybe = None, Spec { aliases: "log_level", ..row(LEVELS, Global, Stored) }, "debug, info, warning, error or critical";
    "logoutput" => logoutput: Maybe = None, Spec { aliases: "log_output logfile", ..row(Text, Global, Stored) }, "a file, syslog:///PATH?FACILITY, syslog://HOST:PORT?FACILITY, or - for standard error";
    "logformat" => logformat: Maybe = None, Spec { aliases: "log_format", feature: Some(features::LOGS), ..row(Choice(&["text", "json", "journal"]), Global, Stored) }, "text, json, or journal, which puts the priority in front as systemd's journal expects it; the default is journal where standard error is the journal, else text";
    "pidfile" => pidfile: Maybe = None, row(Text, Global, Fixed), "a file that contains the pid of circus while it runs";
    "state_dir" => state_dir: Maybe = None, Spec { feature: Some(features::ORPHANS), ..row(Text, Global, Fixed) }, "the directory of the state file, by which the next circus finds the processes of one that was killed; default: that of the control socket";
    "leftovers" => leftovers: Maybe = None, Spec { feature: Some(features::ORPHANS), ..row(Choice(&["stop", "refuse"]), Global, Fixed) }, "what circus does at its start about processes left by one that was killed: stop them (default), or refuse to start";
    "include" => include: Maybe = None, Spec { aliases: "files", ..row(Text, Global, Stored) }, "more files to read, by path or pattern";
    "include_dir" => include_dir: Maybe = None, row(Text, Global, Stored), "directories whose *.ini files are read too";
    "debug" => debug: bool = false, Spec { strict: true, ..row(Bool, Global, Stored) }, "pass the output of plugins on to that of circus; plugins in Python log at level debug";
    "fqdn_prefix" => fqdn_prefix: Maybe = None, Spec { built: Quiet, ..row(Text, Global, Fixed) }, "a prefix of the host name; Circus never shows it";
    "log_max_bytes" => log_max_bytes: i64 = 0, Spec { range: range(0.0, i64::MAX as f64, Counts), feature: Some(features::LOGS), ..row(Bytes, Global, Stored) }, "total size limit of all log files, in bytes; 0: none";
    "tombstone" => tombstone: Maybe = None, row(Text, Global, Stored), "a file for one line of JSON when circus ends by itself: why, and the last output";
    "httpd" => httpd: bool = false, Spec { built: Useless("there is no web console; circus ctl and the control socket do what it did"), strict: true, ..row(Bool, Global, Fixed) }, "Circus's web console";
    "httpd_host" => httpd_host: String = "localhost".into(), Spec { built: Quiet, ..row(Text, Global, Fixed) }, "the address of Circus's web console";
    "httpd_port" => httpd_port: i64 = 8080, Spec { built: Quiet, strict: true, ..row(Int, Global, Fixed) }, "the port of Circus's web console";
    "httpd_close_outputs" => httpd_close_outputs: bool = false, Spec { built: Quiet, ..row(Bool, Global, Fixed) }, "Circus never reads it";
    "statsd_close_outputs" => statsd_close_outputs: bool = false, Spec { built: Quiet, ..row(Bool, Global, Fixed) }, "Circus never reads it";
    "loggerconfig" => loggerconfig: Maybe = None, Spec { built: Useless("it configures Python's logging; use loglevel and logoutput"), ..row(Text, Global, Fixed) }, "a configuration of Python's logging";
    "debug_gc" => debug_gc: bool = false, Spec { built: Quiet, strict: true, ..row(Bool, Global, Fixed) }, "debugging of Python's garbage collector";
    "stream_backend" => stream_backend: Maybe = None, Spec { built: Useless("circus reads all streams in its one loop; remove it"), ..row(Text, Global, Fixed) }, "thread or gevent";
    "ssh_server" => ssh_server: Maybe = None, Spec { built: Useless("use circus ctl --ssh on the client's side"), ..row(Text, Global, Fixed) }, "an SSH tunnel for clients";
    }
}

section! {
    /// The options of `[watcher:NAME]`.
    WatcherOptions WATCHER WATCHER_HELP watcher {
    "cmd" => cmd: Box<str> = Box::default(), Spec { shown: true, role: Owner, aliases: "command", ..row(Text, Watcher, Reload) }, "the program and its arguments, with quotes as in a shell";
    "args" => args: Box<str> = Box::default(), Spec { shown: true, role: Owner, ..row(Text, Watcher, Reload) }, "more arguments, put behind those of cmd";
    "working_dir" => working_dir: Maybe = None, Spec { shown: true, role: Owner, of_plugins: true, aliases: "directory dir cwd chdir workdir", ..row(Text, Watcher, Reload) }, "the directory the processes run in; default: that of circus";
    } WatcherCommon {
    "numprocesses" => numprocesses: i64 = 1, Spec { strict: true, shown: true, role: Operate, aliases: "numprocs processes workers", ..row(Int, Global, Numprocesses) }, "how many processes to run";
    "shell" => shell: bool = false, Spec { strict: true, shown: true, role: Owner, ..row(Bool, Global, Reload) }, "run the text of cmd and args with /bin/sh -c";
    "shell_args" => shell_args: Maybe = None, Spec { shown: true, role: Owner, ..row(Text, Watcher, Reload) }, "arguments of the shell: $0, $1 and so on";
    "executable" => executable: Maybe = None, Spec { shown: true, role: Owner, ..row(Text, Watcher, Reload) }, "the program to run instead of the first word of cmd, which remains its argv[0]";
    "uid" => uid: Maybe = None, Spec { shown: true, role: Owner, of_plugins: true, aliases: "user", ..row(Id, Watcher, Reload) }, "the user to run as, by name or number";
    "gid" => gid: Maybe = None, Spec { shown: true, of_plugins: true, aliases: "group", ..row(Id, Watcher, Reload) }, "the group to run as, by name or number; default: the user's own";
    "copy_env" => copy_env: bool = false, Spec { strict: true, shown: true, ..row(Bool, Global, Reload) }, "pass the environment of circus on to the processes";
    "copy_path" => copy_path: bool = false, Spec { strict: true, ..row(Bool, Global, Reload) }, "pass the PYTHONPATH of circus on; needs copy_env, which does so already";
    "virtualenv" => virtualenv: Maybe = None, Spec { aliases: "virtual_env venv", ..row(Text, Watcher, Reload) }, "the directory of the Python virtual environment to use; needs copy_env";
    "virtualenv_py_ver" => virtualenv_py_ver: Maybe = None, row(Text, Watcher, Reload), "the Python version of virtualenv if there are several, such as 3.11; default: the newest";
    "env_file" => env_file: Maybe = None, row(Text, Watcher, Reload), "a file of NAME=value lines for the environment; with - before the path, it may be missing";
    "warmup_delay" => warmup_delay: f64 = 0.0, Spec { strict: true, shown: true, role: Operate, range: range(0.0, ANY, Counts), of_plugins: true, ..row(Seconds, Global, Stored) }, "the minimum time between two spawns, and after the last one of a start, in seconds";
    "autostart" => autostart: bool = true, Spec { strict: true, role: Operate, of_plugins: true, ..row(Bool, Global, Stored) }, "start with circus";
    "respawn" => respawn: Respawn = Respawn::Always, Spec { strict: true, shown: true, role: Operate, of_plugins: true, aliases: "restart autorestart restart_on_error", ..row(BoolOr(ON_FAILURE), Global, Stored) }, "replace processes that exit: all, none, or those that fail";
    "respawn_delay" => respawn_delay: Option<f64> = None, Spec { role: Operate, range: range(0.0, ANY, Counts), unset: Some(RESPAWN_DELAY), ..row(Seconds, Global, Stored) }, "the first pause before a respawn, in seconds; {} unless set, which is also the minimum";
    "respawn_delay_max" => respawn_delay_max: Option<f64> = None, Spec { role: Operate, range: range(0.0, ANY, Counts), unset: Some(RESPAWN_DELAY_MAX), ..row(Seconds, Global, Stored) }, "the longest pause before a respawn, in seconds; {} unless set";
    "respawn_window" => respawn_window: Option<f64> = None, Spec { role: Operate, range: range(0.0, ANY, Counts), unset: Some(RESPAWN_WINDOW), ..row(Seconds, Global, Stored) }, "how long a process must run for its successor to start without a pause, in seconds; {} unless set";
    "reload_surge" => reload_surge: Option<i64> = None, Spec { role: Operate, range: range(1.0, ANY, Counts), ..row(Int, Global, Stored) }, "how many extra processes a reload may run at a time, old and new together; default: numprocesses";
    "success_codes" => success_codes: Maybe = None, Spec { role: Operate, takes: Some(is_short), ..row(Codes, Global, Stored) }, "exit codes besides 0 that mean success";
    "success_signals" => success_signals: Maybe = None, Spec { role: Operate, takes: Some(is_short), ..row(Signals, Global, Stored) }, "signals that count as a successful exit";
    "critical" => critical: bool = false, row(Bool, Global, Stored), "when this watcher has ended by itself for good, stop everything and exit as its process did";
    "retry_in" => retry_in: f64 = 0.0, Spec { role: Operate, ..row(Seconds, Global, Stored) }, "the minimum pause after a process could not be executed, in seconds";
    "max_retry" => max_retry: i64 = 5, Spec { strict: true, shown: true, role: Operate, range: range(-1.0, ANY, Passes), aliases: "startretries", ..row(Int, Global, Stored) }, "stop the watcher after this many failed attempts to spawn a process; -1: never";
    "priority" => priority: i64 = 0, Spec { strict: true, shown: true, role: Operate, ..row(Int, Global, Stored) }, "watchers with higher numbers start first and stop last";
    "singleton" => singleton: bool = false, Spec { strict: true, shown: true, role: Operate, ..row(Bool, Global, Numprocesses) }, "never run more than one process";
    "use_sockets" => use_sockets: bool = false, Spec { strict: true, shown: true, ..row(Bool, Global, Reload) }, "let the processes inherit sockets";
    "sockets" => sockets: Maybe = None, Spec { takes: Some(is_short), ..row(Text, Watcher, Reload) }, "the sockets to inherit, by name; default: those that the command names, else all";
    "stdin_socket" => stdin_socket: Maybe = None, row(Text, Watcher, Reload), "the name of a socket to use as standard input";
    "close_child_stdin" => close_child_stdin: bool = true, Spec { strict: true, shown: true, role: Owner, ..row(Bool, Global, Reload) }, "connect standard input to /dev/null";
    "close_child_stdout" => close_child_stdout: bool = false, Spec { strict: true, shown: true, role: Owner, ..row(Bool, Global, Reload) }, "connect standard output to /dev/null";
    "close_child_stderr" => close_child_stderr: bool = false, Spec { strict: true, shown: true, role: Owner, ..row(Bool, Global, Reload) }, "connect standard error to /dev/null";
    "on_demand" => on_demand: bool = false, Spec { strict: true, shown: true, role: Operate, feature: Some(features::ON_DEMAND), ..row(Bool, Global, Stored) }, "start when one of its sockets is used, and wait for that again once its processes have ended";
    "stop_signal" => stop_signal: i64 = 15, Spec { strict: true, shown: true, role: Operate, of_plugins: true, aliases: "kill_signal stopsignal", ..row(Signal, Never, Stored) }, "the signal that asks a process to terminate";
    "stop_children" => stop_children: bool = false, Spec { strict: true, shown: true, role: Operate, aliases: "stopasgroup", ..row(Bool, Global, Stored) }, "send stop_signal to the children of the process too";
    "graceful_timeout" => graceful_timeout: f64 = 30.0, Spec { strict: true, shown: true, role: Operate, range: range(0.0, ANY, Counts), of_plugins: true, aliases: "stopwaitsecs stop_timeout", ..row(Seconds, Global, Stored) }, "seconds between stop_signal and SIGKILL";
    "kill_mode" => kill_mode: String = "group".into(), Spec { aliases: "killasgroup", ..row(Choice(&["group", "process", "tree"]), Global, Reload) }, "which processes are stopped together with one: its group, none, or all its descendants";
    "stop_command" => stop_command: Maybe = None, Spec { feature: Some(features::HOOKS), ..row(Text, Watcher, Stored) }, "a command that stops a process, instead of stop_signal";
    "send_hup" => send_hup: bool = false, Spec { strict: true, shown: true, role: Operate, ..row(Bool, Global, Stored) }, "reload by sending SIGHUP";
    "reload_signal" => reload_signal: Option<i64> = None, Spec { role: Operate, ..row(Signal, Never, Stored) }, "reload by sending this signal";
    "reload_command" => reload_command: Maybe = None, Spec { feature: Some(features::HOOKS), ..row(Text, Watcher, Stored) }, "reload by running this command once for each process";
    "max_age" => max_age: i64 = 0, Spec { shown: true, role: Operate, range: range(0.0, ANY, Passes), ..row(WholeSeconds, Watcher, Reload) }, "replace processes older than this, in seconds; 0: never";
    "max_age_variance" => max_age_variance: i64 = 30, Spec { shown: true, role: Operate, range: range(0.0, ANY, Passes), ..row(WholeSeconds, Watcher, Reload) }, "a random number of seconds, up to this, is added to max_age for each process";
    "max_rss" => max_rss: i64 = 0, Spec { role: Operate, range: range(0.0, i64::MAX as f64, Counts), feature: Some(features::STATS), aliases: "max_memory memory_limit max_mem", ..row(Bytes, Global, Stored) }, "replace a process that uses more resident memory, with its descendants; 0: never";
    "ready" => ready: Maybe = None, Spec { takes: Some(probe::ready), feature: Some(features::HEALTH), ..row(Text, Watcher, Stored) }, "how to tell that a process is ready, see below; only then is the watcher active";
    "ready_timeout" => ready_timeout: Option<f64> = None, Spec { range: range(0.0, ANY, Counts), unset: Some(READY_TIMEOUT), feature: Some(features::HEALTH), aliases: "start_timeout", ..row(Seconds, Global, Stored) }, "how long a process may take to become ready, in seconds; {} unless set, 0: forever";
    "after" => after: Maybe = None, Spec { takes: Some(is_short), feature: Some(features::DEPENDENCIES), aliases: "wants", ..row(Text, Global, Stored) }, "start after these watchers are up, and stop before them; NAME:done: after it has exited";
    "requires" => requires: Maybe = None, Spec { takes: Some(is_short), feature: Some(features::DEPENDENCIES), aliases: "depends_on depends", ..row(Text, Global, Stored) }, "run only while these watchers are active; NAME:ok: once it has exited successfully";
    "health" => health: Maybe = None, Spec { takes: Some(probe::health), feature: Some(features::HEALTH), aliases: "healthcheck", ..row(Text, Watcher, Stored) }, "a periodic check of each process, see below; one that fails is replaced";
    "health_interval" => health_interval: Option<f64> = None, Spec { range: range(0.1, ANY, Counts), unset: Some(HEALTH_INTERVAL), feature: Some(features::HEALTH), ..row(Seconds, Global, Stored) }, "seconds between two checks; {} unless set";
    "health_timeout" => health_timeout: Option<f64> = None, Spec { range: range(0.1, ANY, Counts), unset: Some(HEALTH_TIMEOUT), feature: Some(features::HEALTH), ..row(Seconds, Global, Stored) }, "how long a check may take, in seconds, for ready too; {} unless set";
    "health_retries" => health_retries: Option<i64> = None, Spec { range: range(1.0, ANY, Counts), unset: Some(HEALTH_RETRIES), feature: Some(features::HEALTH), ..row(Int, Global, Stored) }, "how many failures in a row make a process unhealthy; {} unless set";
    "watchdog" => watchdog: Option<f64> = None, Spec { range: range(0.0, ANY, Counts), feature: Some(features::HEALTH), aliases: "watchdog_sec", ..row(Seconds, Global, Reload) }, "replace a process that does not send WATCHDOG=1 at least this often, in seconds";
    "nice" => nice: Option<i64> = None, Spec { range: range(-20.0, 19.0, IsWrong), feature: Some(features::SANDBOX), ..row(Int, Global, Reload) }, "the niceness, from -20 (first) to 19 (last); default: that of circus";
    "ionice" => ionice: Maybe = None, Spec { takes: Some(|it| restrict::ionice(it).map(drop)), feature: Some(features::SANDBOX), ..row(Text, Global, Reload) }, "the I/O scheduling class and its level from 0 to 7: realtime:N, best-effort:N, idle or none";
    "oom_score_adj" => oom_score_adj: Option<i64> = None, Spec { range: range(-1000.0, 1000.0, IsWrong), feature: Some(features::SANDBOX), ..row(Int, Global, Reload) }, "how likely the kernel is to kill it when memory runs out, from -1000 to 1000; default: that of circus";
    "umask" => umask: Option<i64> = None, Spec { role: Owner, ..row(Octal, Global, Reload) }, "the umask of the processes, octal; default: that of circus";
    "no_new_privs" => no_new_privs: bool = false, Spec { feature: Some(features::SANDBOX), ..row(Bool, Global, Reload) }, "no program that the processes run can gain privileges";
    "capabilities" => capabilities: Maybe = None, Spec { takes: Some(|it| restrict::capabilities(it).map(drop)), feature: Some(features::SANDBOX), ..row(Text, Global, Reload) }, "the only capabilities that the processes can have, whatever the user, by name; or none";
    "clear_groups" => clear_groups: Option<bool> = None, row(Bool, Global, Reload), "True: no supplementary groups at all; False: keep those of circus where only gid is set";
    "sandbox" => sandbox: Maybe = None, Spec { takes: Some(|it| restrict::writable(it).map(drop)), feature: Some(features::SANDBOX), ..row(Text, Watcher, Reload) }, "read-only: the processes can write only below the paths that follow";
    "sandbox.net" => sandbox_net: Maybe = None, Spec { takes: Some(|it| restrict::ports(it).map(drop)), feature: Some(features::SANDBOX), ..row(Text, Global, Reload) }, "the only TCP ports that the processes can use: none, or bind:PORT and connect:PORT";
    "hook_timeout" => hook_timeout: f64 = 30.0, Spec { range: range(0.0, ANY, Counts), feature: Some(features::HOOKS), ..row(Seconds, Global, Stored) }, "how long a hook may take, in seconds";
    "hooks_uid" => hooks_uid: Maybe = None, Spec { feature: Some(features::HOOKS), ..row(Id, Watcher, Stored) }, "the user that hooks run as, by name or number; default: that of circus";
    "ring_bytes" => ring_bytes: i64 = 16_384, Spec { range: range(0.0, LARGEST_RING as f64, Counts), feature: Some(features::TAIL), ..row(Bytes, Global, Stored) }, "how many bytes of the latest output to keep in memory, at most 1048576";
    "check_flapping" => check_flapping: Option<bool> = None, Spec { built: Quiet, strict: true, ..row(Bool, Global, Fixed) }, "a relic; Circus stores it and does nothing";
    "prereload_fn" => prereload_fn: Maybe = None, Spec { built: Useless("it names a Python function, and Circus itself breaks on it"), ..row(Text, Never, Fixed) }, "a Python function called before a reload";
    }
}

const ROTATE_WHEN: Kind = Choice(&["S", "M", "H", "D", "MIDNIGHT", "W0", "W1", "W2", "W3", "W4", "W5", "W6"]);

/// The facilities of RFC 5424, in the order of their numbers.
pub static FACILITY: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// The severities of RFC 5424, in the order of their numbers.
pub static SEVERITY: &[&str] = &["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

const FACILITIES: Kind = Choice(FACILITY);
const SEVERITIES: Kind = Choice(SEVERITY);

section! {
    /// The options of `stdout_stream.*` and `stderr_stream.*`.
    StreamOptions STREAM STREAM_HELP stream {
    "class" => class: Maybe = None, row(Text, Watcher, Stored), "what happens to the output, see above; default: FileStream if there is a filename";
    "filename" => filename: Maybe = None, Spec { classes: &[File, WatchedFile, TimedFile, Json], ..row(Text, Watcher, Stored) }, "the file to append to; with $(circus.wid) in it each process has a file of its own";
    } StreamCommon {
    "max_bytes" => max_bytes: i64 = 0, Spec { range: range(0.0, i64::MAX as f64, Counts), classes: &[File, Json], ..row(Bytes, Watcher, Stored) }, "rotate the file before it exceeds this size, in bytes; 0: never";
    "backup_count" => backup_count: i64 = 0, Spec { range: range(0.0, u32::MAX as f64, Counts), classes: &[File, TimedFile, Json], ..row(Int, Watcher, Stored) }, "how many rotated files to keep";
    "time_format" => time_format: Maybe = None, Spec { feature: Some(features::LOGS), classes: &[File, WatchedFile, TimedFile, Json, FancyStdout, Stdout, Stderr], ..row(Text, Watcher, Stored) }, "begin each line with the time, in this strftime format (%f: microseconds), and the pid";
    "color" => color: Maybe = None, Spec { feature: Some(features::LOGS), classes: &[FancyStdout], ..row(Text, Watcher, Stored) }, "the colour of FancyStdoutStream: red green yellow blue magenta cyan white";
    "rotate_when" => rotate_when: Maybe = None, Spec { feature: Some(features::LOGS), classes: &[TimedFile], ..row(ROTATE_WHEN, Watcher, Stored) }, "the period of TimedRotatingFileStream: S M H D MIDNIGHT or W0 (Monday) to W6";
    "rotate_interval" => rotate_interval: i64 = 1, Spec { feature: Some(features::LOGS), classes: &[TimedFile], ..row(Int, Watcher, Stored) }, "how many such periods pass between two rotations";
    "utc" => utc: Option<bool> = None, Spec { feature: Some(features::LOGS), classes: &[TimedFile], ..row(Bool, Watcher, Stored) }, "TimedRotatingFileStream uses UTC instead of local time";
    "prefix" => prefix: Maybe = None, Spec { feature: Some(features::LOGS), classes: &[File, WatchedFile, TimedFile, Json, FancyStdout, Stdout, Stderr, Syslog], ..row(Text, Watcher, Stored) }, "begin each line with this and a blank; $(circus.watcher) and $(circus.wid) in it show which process wrote it";
    "address" => address: Maybe = None, Spec { feature: Some(features::LOGS), classes: &[Syslog], ..row(Text, Watcher, Stored) }, "where SyslogStream sends: the path of a socket, or HOST:PORT for UDP; default: /dev/log";
    "facility" => facility: Maybe = None, Spec { feature: Some(features::LOGS), classes: &[Syslog], ..row(FACILITIES, Watcher, Stored) }, "the facility of SyslogStream's messages, such as user or local0 to local7; default: daemon";
    "severity" => severity: Maybe = None, Spec { feature: Some(features::LOGS), classes: &[Syslog], ..row(SEVERITIES, Watcher, Stored) }, "the severity of SyslogStream's messages, from emerg to debug; default: info";
    "tag" => tag: Maybe = None, Spec { feature: Some(features::LOGS), classes: &[Syslog], ..row(Text, Watcher, Stored) }, "the program name in SyslogStream's messages; default: the name of the watcher";
    "compress" => compress: Maybe = None, Spec { feature: Some(features::LOGS), classes: &[File, TimedFile, Json], ..row(Choice(&["gzip", "none"]), Watcher, Stored) }, "compress rotated files with gzip";
    "refresh_time" => refresh_time: Maybe = None, Spec { built: Quiet, ..row(Text, Watcher, Stored) }, "a relic of old versions of Circus";
    }
}

section! {
    /// The options of `[socket:NAME]`.
    SocketOptions SOCKET SOCKET_HELP socket {
    "host" => host: String = "localhost".into(), Spec { aliases: "address bind", ..row(Text, Global, Fixed) }, "the address or host to bind to";
    "port" => port: i64 = 8080, row(Int, Global, Fixed), "the port; 0: any free one";
    "family" => family: String = "AF_INET".into(), row(Choice(&["AF_INET", "AF_INET6", "AF_UNIX"]), Global, Fixed), "AF_INET, AF_INET6 or AF_UNIX";
    "type" => kind: String = "SOCK_STREAM".into(), row(Choice(&["SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET", "SOCK_RAW", "SOCK_RDM"]), Global, Fixed), "SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW or SOCK_RDM";
    "proto" => proto: Maybe = None, row(Text, Global, Fixed), "the protocol, by name or number";
    "backlog" => backlog: i64 = 2048, Spec { range: range(0.0, i32::MAX as f64, Counts), ..row(Int, Global, Stored) }, "how many connections may wait to be accepted";
    "path" => path: Maybe = None, Spec { aliases: "file", ..row(Text, Global, Fixed) }, "the path of a Unix socket";
    "umask" => umask: i64 = 0o010, row(Octal, Global, Stored), "the umask while a Unix socket is bound, octal";
    "mode" => mode: Option<i64> = None, Spec { aliases: "chmod", ..row(Octal, Global, Stored) }, "the mode of a Unix socket's file, octal; overrides umask";
    "owner" => owner: Maybe = None, Spec { aliases: "user uid chown", ..row(Id, Global, Fixed) }, "the owner of a Unix socket's file, by name or number";
    "group" => group: Maybe = None, Spec { aliases: "gid", ..row(Id, Global, Fixed) }, "the group of a Unix socket's file, by name or number";
    "replace" => replace: bool = false, Spec { strict: true, ..row(Bool, Global, Stored) }, "take over the path even if another process is listening there";
    "so_reuseport" => so_reuseport: bool = false, Spec { strict: true, ..row(Bool, Global, Fixed) }, "give each process its own socket, at the same address";
    "interface" => interface: Maybe = None, row(Text, Global, Fixed), "the network interface to bind to";
    "ipv6only" => ipv6only: bool = true, Spec { aliases: "bindipv6only", ..row(Bool, Global, Fixed) }, "accept only IPv6 connections on an AF_INET6 socket; False: IPv4 too";
    "defer_accept" => defer_accept: Maybe = None, Spec { takes: Some(sockets::is_deferral), aliases: "deferred", ..row(Text, Global, Fixed) }, "wake a process only when a TCP connection has data, or after this many seconds; True: one";
    "blocking" => blocking: bool = false, row(Bool, Global, Stored), "leave the socket in blocking mode";
    "inherit" => inherit: Maybe = None, row(Text, Global, Fixed), "use the socket of this name or number, passed on by circus's own parent";
    "use_papa" => use_papa: bool = false, Spec { built: Useless("Circus no longer has papa; remove it"), ..row(Bool, Global, Fixed) }, "a relic of old versions of Circus";
    }
}

section! {
    /// The options of `[plugin:NAME]` that are circus's own; all others belong to the plugin.
    PluginOptions PLUGIN PLUGIN_HELP plugin {
    "use" => class: Maybe = None, row(Text, Global, Fixed), "the plugin: the name of a class in Circus, or of another Python class";
    "cmd" => cmd: Maybe = None, row(Text, Global, Fixed), "the program that is the plugin, with its arguments";
    "priority" => priority: i64 = 1, Spec { strict: true, ..row(Int, Global, Fixed) }, "as for a watcher";
    }
}

section! {
    /// The options of `[access]`. None of them is of Circus.
    AccessOptions ACCESS ACCESS_HELP access {
    "look" => look: Maybe = None, Spec { strict: true, takes: Some(grants::of_people), ..row(Text, Global, Stored) }, "users who may see states and numbers, but no output, environment, command line or other text";
    "operate" => operate: Maybe = None, Spec { strict: true, takes: Some(grants::of_watchers), ..row(Text, Global, Stored) }, "users who may also start, stop, reload and signal watchers: all, or those whose names follow";
    "admin" => admin: Maybe = None, Spec { strict: true, takes: Some(grants::of_people), ..row(Text, Global, Stored) }, "users who may do and see everything, like root";
    "token_file" => token_file: Maybe = None, row(Text, Global, Stored), "the file with the token that gives a client at a TCP port all rights; without it, circus listens on loopback addresses only";
    "connections" => connections: Option<i64> = None, Spec { range: range(1.0, ANY, Counts), ..row(Int, Global, Stored) }, "how many connections a user may have at a time; default and maximum: a quarter of all";
    "requests" => requests: i64 = 1000, Spec { range: range(0.0, ANY, Counts), ..row(Int, Global, Stored) }, "how many requests per second a user may make; every 4 KiB of a request or an answer count as one more, and further requests wait; 0: unlimited";
    "idle_timeout" => idle_timeout: f64 = 3600.0, Spec { range: range(0.0, ANY, Counts), ..row(Seconds, Global, Stored) }, "after how many seconds without a request, a pending answer or a subscription a connection is closed; 0: never";
    }
}

impl AccessOptions {
    /// Each role with the text that says who has it.
    pub fn roles(&self) -> impl Iterator<Item = (Role, &str)> {
        let roles = [(Role::Look, &self.look), (Role::Operate, &self.operate), (Role::Admin, &self.admin)];
        roles.into_iter().filter_map(|(role, text)| Some((role, text.as_deref()?)))
    }

    /// Whether it gives rights to anybody.
    pub fn gives_rights(&self) -> bool {
        self.roles().next().is_some()
    }
}

/// The tables by their sections, and that of the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Circus,
    Watcher,
    Stream,
    Socket,
    Plugin,
    Access,
}

impl Place {
    /// Its options.
    pub fn options(self) -> Box<dyn Iterator<Item = &'static Spec>> {
        match self {
            Place::Circus => Box::new(CIRCUS.iter().map(|row| &row.spec)),
            Place::Watcher => Box::new(WATCHER.iter().map(|row| &row.spec)),
            Place::Stream => Box::new(STREAM.iter().map(|row| &row.spec)),
            Place::Socket => Box::new(SOCKET.iter().map(|row| &row.spec)),
            Place::Plugin => Box::new(PLUGIN.iter().map(|row| &row.spec)),
            Place::Access => Box::new(ACCESS.iter().map(|row| &row.spec)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Value;

    fn check<S: Default + Clone + PartialEq + std::fmt::Debug>(rows: &'static [Row<S>], help: &[&str]) {
        for ((n, row), help) in rows.iter().enumerate().zip(help) {
            assert!(rows.iter().skip(n + 1).all(|r| r.key != row.key), "{} stands twice", row.key);
            assert!(!help.is_empty() && !help.ends_with('.'), "help of {}", row.key);
            let mut options = S::default();
            let default = row.get(&options);
            let _ = row.set(&mut options, &default);
            assert_eq!(row.get(&options), default, "{}", row.key);
            for text in ["1", "red", "AF_INET6", "SOCK_DGRAM", "debug", "process", "w6", "cron", "on-failure"]
            {
                if let Ok(value) = row.kind.parse(text) {
                    assert!(row.set(&mut options, &value), "{} does not store what it takes", row.key);
                    assert_eq!(row.get(&options), value, "{} does not give back what it took", row.key);
                }
            }
        }
    }

    #[test]
    fn numbers_have_bounds_and_lists_a_largest_number_of_words() {
        let fits = |key, n| find(WATCHER, key).unwrap().fits(&Value::Int(n)).is_ok();
        assert_eq!([-21, -20, 19, 20].map(|n| fits("nice", n)), [false, true, true, false]);
        assert_eq!([-1001, -1000, 1000, 1001].map(|n| fits("oom_score_adj", n)), [false, true, true, false]);
        for key in ["after", "requires", "sockets", "success_codes", "success_signals"] {
            let row = find(WATCHER, key).unwrap();
            let fits = |words| row.fits(&Value::Str("1 ".repeat(words))).is_ok();
            assert_eq!((fits(1000), fits(1001), fits(400_000)), (true, false, false), "{key}");
        }
    }

    #[test]
    fn what_is_not_set_is_none_and_its_help_says_what_holds() {
        for (row, help) in WATCHER.iter().zip(WATCHER_HELP) {
            assert_eq!(row.unset.is_some(), help.contains("{}"), "{}", row.key);
            assert!(row.unset.is_none() || row.get(&WatcherOptions::default()) == Value::None, "{}", row.key);
        }
    }

    #[test]
    fn every_row_stores_what_it_takes() {
        check(CIRCUS, CIRCUS_HELP);
        check(WATCHER, WATCHER_HELP);
        check(STREAM, STREAM_HELP);
        check(SOCKET, SOCKET_HELP);
        check(PLUGIN, PLUGIN_HELP);
        check(ACCESS, ACCESS_HELP);
    }
}
