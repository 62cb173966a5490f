//! THE option table: every option that a configuration may hold, one row each.
//!
//! A row names the option once: its key, its type, its default, what it takes, when its `$(circus...)` are
//! expanded, what `set` does with it, how far it is built, and one line for the manual. The structs below, the file
//! reader, `set`, `get`, `options`, the suggestions of `check` and the lists in the manual all come from the rows.
//! Options that are a family of names (`rlimit_*`, `hooks.*`, `stdout_stream.*`) stand in [`FAMILIES`].

use super::ends::{ON_FAILURE, Respawn};
use super::thin::Thin;
use super::value::{Kind, Slot, Value};
use Built::{Quiet, Useless, Works};
use Expand::{Global, Never, Watcher};
use Live::{Fixed, Numprocesses, Reload, Stored};

/// When the variables in a value are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expand {
    /// At load, by the daemon's environment and `[env]`.
    Global,
    /// At load, by the watcher's environment; what is left, again at each spawn.
    Watcher,
    /// Not at all.
    Never,
}

/// What follows when an option changes while circus runs: by the command `set`, or in a file that is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// Stored; the next time that circus looks at it, it holds. No process is touched.
    Stored,
    /// Stored, then the watcher is gracefully reloaded; in `[circus]`, the watchers that have it from there.
    Reload,
    /// Stored, then processes are started or stopped.
    Numprocesses,
    /// `set` refuses it. A file that is read again reloads the watcher, or makes another socket; in `[circus]` it
    /// needs a new start.
    Fixed,
}

/// How far an option is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    /// It does what its help says.
    Works,
    /// It is accepted, without a word, and opens nothing: old files have it everywhere.
    Quiet,
    /// It can have no meaning in a native program; the text says what to do instead.
    Useless(&'static str),
}

/// One option of a section whose values are kept in an `S`.
pub struct Row<S: 'static> {
    /// The key as it is written.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// When variables in it are expanded.
    pub expand: Expand,
    /// What follows when it changes.
    pub live: Live,
    /// How far it is built.
    pub built: Built,
    /// The field that keeps its value.
    field: fn(&S) -> &dyn Slot,
    /// The same, to be changed.
    field_mut: fn(&mut S) -> &mut dyn Slot,
}

impl<S> Row<S> {
    /// Its value.
    pub fn get(&self, options: &S) -> Value {
        (self.field)(options).get()
    }

    /// Stores a value; false when the value is of another type.
    pub fn set(&self, options: &mut S, value: &Value) -> bool {
        (self.field_mut)(options).set(value)
    }
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident $rows:ident $help_of:ident { $(
        $key:literal => $field:ident: $type:ty = $default:expr, $kind:expr, $expand:expr, $live:expr, $built:expr, $help:literal;
    )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $(#[doc = $help] pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)* }
            }
        }

        $(#[$doc])*
        pub static $rows: &[Row<$name>] = &[ $( Row {
            key: $key,
            kind: $kind,
            expand: $expand,
            live: $live,
            built: $built,
            field: |options| &options.$field,
            field_mut: |options| &mut options.$field,
        }, )* ];

        /// One line about each of these options, in order. Only the manual needs it: here it stays out of the program.
        pub static $help_of: &[&str] = &[ $( $help, )* ];
    };
}

/// Text that may be missing.
type Maybe = Option<Thin>;

const LEVELS: Kind = Kind::Choice(&["debug", "info", "warning", "error", "critical"]);

section! {
    /// The options of `[circus]`.
    CircusOptions CIRCUS CIRCUS_HELP {
    "endpoint" => endpoint: Maybe = None, Kind::Text, Global, Fixed, Works, "the control socket: a path, ipc://PATH, unix://PATH, @NAME, or none";
    "endpoint_owner" => endpoint_owner: Maybe = None, Kind::Id, Global, Fixed, Works, "the user that gets the file of the control socket";
    "endpoint_mode" => endpoint_mode: i64 = 0o600, Kind::Octal, Global, Fixed, Works, "the mode of the file of the control socket, octal";
    "allow_tcp" => allow_tcp: bool = false, Kind::Bool, Global, Fixed, Works, "also open the ports that endpoint and pubsub_endpoint name by tcp://HOST:PORT";
    "pubsub_endpoint" => pubsub_endpoint: Maybe = None, Kind::Text, Global, Fixed, Works, "one more socket, for subscribers alone; events are on the control socket too";
    "stats_endpoint" => stats_endpoint: Maybe = None, Kind::Text, Global, Fixed, Quiet, "where Circus publishes statistics; stats and dstats answer on the control socket";
    "multicast_endpoint" => multicast_endpoint: Maybe = None, Kind::Text, Global, Fixed, Quiet, "where Circus is discovered; nothing is opened";
    "statsd" => statsd: bool = false, Kind::Bool, Global, Fixed, Quiet, "Circus's statistics daemon; statistics need none here";
    "check_delay" => check_delay: f64 = 5.0, Kind::Float, Global, Fixed, Quiet, "the period at which Circus looks for dead processes; deaths are known at once here";
    "warmup_delay" => warmup_delay: f64 = 0.0, Kind::Float, Global, Stored, Works, "seconds between the starts of two watchers";
    "umask" => umask: Option<i64> = None, Kind::Octal, Global, Reload, Works, "the umask of circus and of its processes, octal";
    "loglevel" => loglevel: Maybe = None, LEVELS, Global, Stored, Works, "debug, info, warning, error or critical";
    "logoutput" => logoutput: Maybe = None, Kind::Text, Global, Stored, Works, "a file, syslog:///PATH?FACILITY, syslog://HOST:PORT?FACILITY, or - for the standard error output";
    "pidfile" => pidfile: Maybe = None, Kind::Text, Global, Fixed, Works, "a file that holds the pid of circus while it runs";
    "include" => include: Maybe = None, Kind::Text, Global, Stored, Works, "more files to read, by path or pattern";
    "include_dir" => include_dir: Maybe = None, Kind::Text, Global, Stored, Works, "directories whose *.ini files are read too";
    "debug" => debug: bool = false, Kind::Bool, Global, Stored, Works, "the output of plugins goes to that of circus, those in Python at log level debug";
    "fqdn_prefix" => fqdn_prefix: Maybe = None, Kind::Text, Global, Fixed, Quiet, "a prefix of the name of the host; Circus shows it nowhere";
    "log_max_bytes" => log_max_bytes: i64 = 0, Kind::Int, Global, Stored, Works, "how many bytes all log files may take together; 0: any";
    "tombstone" => tombstone: Maybe = None, Kind::Text, Global, Stored, Works, "the file that gets one line of JSON when circus ends by itself: why, and the last output";
    "httpd" => httpd: bool = false, Kind::Bool, Global, Fixed, Useless("there is no web console; circus ctl and the control socket do what it did"), "Circus's web console";
    "httpd_host" => httpd_host: String = "localhost".into(), Kind::Text, Global, Fixed, Quiet, "the address of Circus's web console";
    "httpd_port" => httpd_port: i64 = 8080, Kind::Int, Global, Fixed, Quiet, "the port of Circus's web console";
    "httpd_close_outputs" => httpd_close_outputs: bool = false, Kind::Bool, Global, Fixed, Quiet, "Circus never reads it";
    "statsd_close_outputs" => statsd_close_outputs: bool = false, Kind::Bool, Global, Fixed, Quiet, "Circus never reads it";
    "loggerconfig" => loggerconfig: Maybe = None, Kind::Text, Global, Fixed, Useless("it configures Python's logging; use loglevel and logoutput"), "a configuration of Python's logging";
    "debug_gc" => debug_gc: bool = false, Kind::Bool, Global, Fixed, Quiet, "debugging of Python's garbage collector";
    "stream_backend" => stream_backend: Maybe = None, Kind::Text, Global, Fixed, Useless("circus reads all streams in its one loop; remove it"), "thread or gevent";
    "ssh_server" => ssh_server: Maybe = None, Kind::Text, Global, Fixed, Useless("use circus ctl --ssh on the client's side"), "a tunnel for clients";
    }
}

section! {
    /// The options of `[watcher:NAME]`.
    WatcherOptions WATCHER WATCHER_HELP {
    "cmd" => cmd: String = String::new(), Kind::Text, Watcher, Reload, Works, "the program and its arguments, with quotes as in a shell";
    "args" => args: String = String::new(), Kind::Text, Watcher, Reload, Works, "more arguments, put behind those of cmd";
    "numprocesses" => numprocesses: i64 = 1, Kind::Int, Global, Numprocesses, Works, "how many processes to run";
    "shell" => shell: bool = false, Kind::Bool, Global, Reload, Works, "run the text of cmd and args by /bin/sh -c";
    "shell_args" => shell_args: Maybe = None, Kind::Text, Watcher, Reload, Works, "arguments of the shell: $0, $1 and so on";
    "executable" => executable: Maybe = None, Kind::Text, Watcher, Reload, Works, "the program to run instead of the first word of cmd, which stays the name that it is called by";
    "working_dir" => working_dir: Maybe = None, Kind::Text, Watcher, Reload, Works, "the directory the processes run in; that of circus unless set";
    "uid" => uid: Maybe = None, Kind::Id, Watcher, Reload, Works, "the user to run as, by name or number";
    "gid" => gid: Maybe = None, Kind::Id, Watcher, Reload, Works, "the group to run as, by name or number; the user's own unless set";
    "copy_env" => copy_env: bool = false, Kind::Bool, Global, Reload, Works, "give the processes the environment of circus";
    "copy_path" => copy_path: bool = false, Kind::Bool, Global, Reload, Works, "give the processes the PYTHONPATH of circus; copy_env, which it needs, does that already";
    "virtualenv" => virtualenv: Maybe = None, Kind::Text, Watcher, Reload, Works, "the directory of a Python virtual environment to run in; needs copy_env";
    "virtualenv_py_ver" => virtualenv_py_ver: Maybe = None, Kind::Text, Watcher, Reload, Works, "the version of Python of virtualenv, such as 3.11, if there are several; else the newest";
    "env_file" => env_file: Maybe = None, Kind::Text, Watcher, Reload, Works, "a file of NAME=value lines for the environment; with a - before it, it may be missing";
    "warmup_delay" => warmup_delay: f64 = 0.0, Kind::Float, Global, Stored, Works, "the least time between two spawns, and behind the last one of a start, in seconds";
    "autostart" => autostart: bool = true, Kind::Bool, Global, Stored, Works, "start with circus";
    "respawn" => respawn: Respawn = Respawn::Always, Kind::BoolOr(ON_FAILURE), Global, Stored, Works, "replace processes that end: all, none, or those that fail";
    "respawn_delay" => respawn_delay: Option<f64> = None, Kind::Float, Global, Stored, Works, "the first pause before a respawn, in seconds; 0.1 unless set, and never less";
    "respawn_delay_max" => respawn_delay_max: Option<f64> = None, Kind::Float, Global, Stored, Works, "the longest pause before a respawn, in seconds; 10 unless set";
    "respawn_window" => respawn_window: Option<f64> = None, Kind::Float, Global, Stored, Works, "how long a process must live for its successor to start without a pause, in seconds; 1 unless set";
    "success_codes" => success_codes: Maybe = None, Kind::Codes, Global, Stored, Works, "exit codes that are no failure, besides 0";
    "success_signals" => success_signals: Maybe = None, Kind::Signals, Global, Stored, Works, "signals by which to end is no failure";
    "critical" => critical: bool = false, Kind::Bool, Global, Stored, Works, "when this watcher ends by itself for good, everything is stopped and circus exits as its process did";
    "retry_in" => retry_in: f64 = 0.0, Kind::Float, Global, Stored, Works, "the least pause before a process that could not be executed is tried again, in seconds";
    "max_retry" => max_retry: i64 = 5, Kind::Int, Global, Stored, Works, "how often to try to spawn a process before the watcher is stopped; -1: for ever";
    "priority" => priority: i64 = 0, Kind::Int, Global, Stored, Works, "watchers of a larger number start first and stop last";
    "singleton" => singleton: bool = false, Kind::Bool, Global, Numprocesses, Works, "never run more than one process";
    "use_sockets" => use_sockets: bool = false, Kind::Bool, Global, Reload, Works, "let the processes inherit sockets";
    "sockets" => sockets: Maybe = None, Kind::Text, Watcher, Reload, Works, "the names of the sockets to inherit; else those that the command names, else all";
    "stdin_socket" => stdin_socket: Maybe = None, Kind::Text, Watcher, Reload, Works, "the name of a socket to put on the standard input";
    "close_child_stdin" => close_child_stdin: bool = true, Kind::Bool, Global, Reload, Works, "put /dev/null on the standard input";
    "close_child_stdout" => close_child_stdout: bool = false, Kind::Bool, Global, Reload, Works, "put /dev/null on the standard output";
    "close_child_stderr" => close_child_stderr: bool = false, Kind::Bool, Global, Reload, Works, "put /dev/null on the standard error output";
    "on_demand" => on_demand: bool = false, Kind::Bool, Global, Stored, Works, "start when one of its sockets is used, and wait for that again when its processes have ended";
    "stop_signal" => stop_signal: i64 = 15, Kind::Signal, Never, Stored, Works, "the signal that asks a process to end";
    "stop_children" => stop_children: bool = false, Kind::Bool, Global, Stored, Works, "send stop_signal to the children of the process too";
    "graceful_timeout" => graceful_timeout: f64 = 30.0, Kind::Float, Global, Stored, Works, "seconds between stop_signal and SIGKILL";
    "kill_mode" => kill_mode: String = "group".into(), Kind::Choice(&["group", "process", "tree"]), Global, Reload, Works, "who is ended with a process: its group, nobody, or all that come from it";
    "stop_command" => stop_command: Maybe = None, Kind::Text, Watcher, Stored, Works, "a command that makes a process end, instead of stop_signal";
    "send_hup" => send_hup: bool = false, Kind::Bool, Global, Stored, Works, "reload by sending SIGHUP";
    "reload_signal" => reload_signal: Option<i64> = None, Kind::Signal, Never, Stored, Works, "reload by sending this signal";
    "reload_command" => reload_command: Maybe = None, Kind::Text, Watcher, Stored, Works, "reload by running this command for each process";
    "max_age" => max_age: i64 = 0, Kind::Int, Watcher, Reload, Works, "replace processes older than this, in seconds; 0: never";
    "max_age_variance" => max_age_variance: i64 = 30, Kind::Int, Watcher, Reload, Works, "up to so many seconds more, by chance, for each process";
    "ready" => ready: Maybe = None, Kind::Text, Watcher, Stored, Works, "what tells that a process is ready, see below; the watcher is active only then";
    "ready_timeout" => ready_timeout: Option<f64> = None, Kind::Float, Global, Stored, Works, "how long a process may take to be ready, in seconds; 60 unless set, 0: for ever";
    "after" => after: Maybe = None, Kind::Text, Global, Stored, Works, "the names of watchers: while they are on their way it waits, and it stops before them";
    "requires" => requires: Maybe = None, Kind::Text, Global, Stored, Works, "the names of watchers that it needs: it runs only while they are active";
    "health" => health: Maybe = None, Kind::Text, Watcher, Stored, Works, "a question to each process again and again, see below; one that fails is replaced";
    "health_interval" => health_interval: Option<f64> = None, Kind::Float, Global, Stored, Works, "seconds between two such questions; 10 unless set";
    "health_timeout" => health_timeout: Option<f64> = None, Kind::Float, Global, Stored, Works, "how long an answer may take, in seconds, also where ready asks; 5 unless set";
    "health_retries" => health_retries: Option<i64> = None, Kind::Int, Global, Stored, Works, "how many failures in a row are too many; 3 unless set";
    "watchdog" => watchdog: Option<f64> = None, Kind::Float, Global, Reload, Works, "seconds within which a process must say WATCHDOG=1 again and again; else it is replaced";
    "nice" => nice: Option<i64> = None, Kind::Int, Global, Reload, Works, "the niceness, -20 (first) to 19 (last); that of circus unless set";
    "ionice" => ionice: Maybe = None, Kind::Text, Global, Reload, Works, "the class of input and output, and its level 0 to 7: realtime:N, best-effort:N, idle or none";
    "oom_score_adj" => oom_score_adj: Option<i64> = None, Kind::Int, Global, Reload, Works, "how likely the kernel kills it when memory is short, -1000 to 1000; as circus unless set";
    "umask" => umask: Option<i64> = None, Kind::Octal, Global, Reload, Works, "the umask of the processes, octal; that of circus unless set";
    "no_new_privs" => no_new_privs: bool = false, Kind::Bool, Global, Reload, Works, "no program that the processes run may gain privileges";
    "capabilities" => capabilities: Maybe = None, Kind::Text, Global, Reload, Works, "the only capabilities that the processes can have, by name, for any user; or none";
    "clear_groups" => clear_groups: Option<bool> = None, Kind::Bool, Global, Reload, Works, "True: no supplementary groups at all; False: keep those of circus where gid stands alone";
    "sandbox" => sandbox: Maybe = None, Kind::Text, Watcher, Reload, Works, "read-only: the processes can write to no file system but below the paths that follow";
    "hook_timeout" => hook_timeout: f64 = 30.0, Kind::Float, Global, Stored, Works, "how long a hook may take, in seconds";
    "hooks_uid" => hooks_uid: Maybe = None, Kind::Id, Watcher, Stored, Works, "the user that hooks run as, by name or number; that of circus unless set";
    "ring_bytes" => ring_bytes: i64 = 16_384, Kind::Int, Global, Stored, Works, "how many bytes of the newest output to keep in memory, at most 1048576";
    "check_flapping" => check_flapping: Option<bool> = None, Kind::Bool, Global, Fixed, Quiet, "a relic; Circus stores it and does nothing";
    "prereload_fn" => prereload_fn: Maybe = None, Kind::Text, Never, Fixed, Useless("it names a Python function, and Circus itself breaks on it"), "a Python function called before a reload";
    }
}

const ROTATE_WHEN: Kind =
    Kind::Choice(&["S", "M", "H", "D", "MIDNIGHT", "W0", "W1", "W2", "W3", "W4", "W5", "W6"]);

/// The facilities of RFC 5424, in the order of their numbers.
pub static FACILITY: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// The severities of RFC 5424, in the order of their numbers.
pub static SEVERITY: &[&str] = &["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

const FACILITIES: Kind = Kind::Choice(FACILITY);
const SEVERITIES: Kind = Kind::Choice(SEVERITY);

section! {
    /// The options of `stdout_stream.*` and `stderr_stream.*`.
    StreamOptions STREAM STREAM_HELP {
    "class" => class: Maybe = None, Kind::Text, Watcher, Stored, Works, "what happens to the output, see above; FileStream when there is only a filename";
    "filename" => filename: Maybe = None, Kind::Text, Watcher, Stored, Works, "the file to append to; $(circus.wid) in it gives each process its own";
    "max_bytes" => max_bytes: i64 = 0, Kind::Int, Watcher, Stored, Works, "rotate the file before it grows over so many bytes; 0: never";
    "backup_count" => backup_count: i64 = 0, Kind::Int, Watcher, Stored, Works, "how many rotated files to keep";
    "time_format" => time_format: Maybe = None, Kind::Text, Watcher, Stored, Works, "begin each line with the time, in this strftime format (%f: microseconds), and the pid";
    "color" => color: Maybe = None, Kind::Text, Watcher, Stored, Works, "the colour of FancyStdoutStream: red green yellow blue magenta cyan white";
    "rotate_when" => rotate_when: Maybe = None, ROTATE_WHEN, Watcher, Stored, Works, "the period of TimedRotatingFileStream: S M H D MIDNIGHT or W0 (Monday) to W6";
    "rotate_interval" => rotate_interval: i64 = 1, Kind::Int, Watcher, Stored, Works, "how many such periods lie between two rotations";
    "utc" => utc: Option<bool> = None, Kind::Bool, Watcher, Stored, Works, "TimedRotatingFileStream goes by UTC instead of local time";
    "prefix" => prefix: Maybe = None, Kind::Text, Watcher, Stored, Works, "begin each line with this and a blank; $(circus.watcher) and $(circus.wid) in it tell who speaks";
    "address" => address: Maybe = None, Kind::Text, Watcher, Stored, Works, "where SyslogStream sends: the path of a socket, or HOST:PORT for UDP; /dev/log unless set";
    "facility" => facility: Maybe = None, FACILITIES, Watcher, Stored, Works, "the facility of SyslogStream's messages, such as user or local0 to local7; daemon unless set";
    "severity" => severity: Maybe = None, SEVERITIES, Watcher, Stored, Works, "the severity of SyslogStream's messages, emerg to debug; info unless set";
    "tag" => tag: Maybe = None, Kind::Text, Watcher, Stored, Works, "what SyslogStream calls the program; the name of the watcher unless set";
    "compress" => compress: Maybe = None, Kind::Choice(&["gzip", "none"]), Watcher, Stored, Works, "compress rotated files by running gzip";
    "refresh_time" => refresh_time: Maybe = None, Kind::Text, Watcher, Stored, Quiet, "a relic of old versions of Circus";
    }
}

section! {
    /// The options of `[socket:NAME]`.
    SocketOptions SOCKET SOCKET_HELP {
    "host" => host: String = "localhost".into(), Kind::Text, Global, Fixed, Works, "the address or host to bind to";
    "port" => port: i64 = 8080, Kind::Int, Global, Fixed, Works, "the port; 0: one that is free";
    "family" => family: String = "AF_INET".into(), Kind::Choice(&["AF_INET", "AF_INET6", "AF_UNIX"]), Global, Fixed, Works, "AF_INET, AF_INET6 or AF_UNIX";
    "type" => kind: String = "SOCK_STREAM".into(), Kind::Choice(&["SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET", "SOCK_RAW", "SOCK_RDM"]), Global, Fixed, Works, "SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW or SOCK_RDM";
    "proto" => proto: Maybe = None, Kind::Text, Global, Fixed, Works, "the protocol, by name or number";
    "backlog" => backlog: i64 = 2048, Kind::Int, Global, Stored, Works, "how many connections may wait to be accepted";
    "path" => path: Maybe = None, Kind::Text, Global, Fixed, Works, "the path of a Unix socket";
    "umask" => umask: i64 = 0o010, Kind::Octal, Global, Stored, Works, "the umask while a Unix socket is bound, octal";
    "replace" => replace: bool = false, Kind::Bool, Global, Stored, Works, "take the path over from a socket that somebody else listens at";
    "so_reuseport" => so_reuseport: bool = false, Kind::Bool, Global, Fixed, Works, "a socket of its own for each process, at the same address";
    "interface" => interface: Maybe = None, Kind::Text, Global, Fixed, Works, "the network interface to bind to";
    "blocking" => blocking: bool = false, Kind::Bool, Global, Stored, Works, "leave the socket in blocking mode";
    "inherit" => inherit: Maybe = None, Kind::Text, Global, Fixed, Works, "take the socket of this name, or number, that circus's own parent has passed";
    "use_papa" => use_papa: bool = false, Kind::Bool, Global, Fixed, Useless("papa is gone from Circus; remove it"), "a relic of old versions of Circus";
    }
}

section! {
    /// The options of `[plugin:NAME]` that are circus's own; all others belong to the plugin.
    PluginOptions PLUGIN PLUGIN_HELP {
    "use" => class: Maybe = None, Kind::Text, Global, Fixed, Works, "the plugin, by the name of its class in Circus or of another Python class";
    "cmd" => cmd: Maybe = None, Kind::Text, Global, Fixed, Works, "a program that is the plugin, and its arguments";
    "priority" => priority: i64 = 1, Kind::Int, Global, Fixed, Works, "as of a watcher";
    }
}

/// The options of `[circus]` that Circus converts while it reads the file. A wrong value there is an error that
/// Circus does not start with either; a wrong value elsewhere concerns one watcher or socket.
pub static STRICT_CIRCUS: &[&str] =
    &["check_delay", "statsd", "umask", "warmup_delay", "httpd", "httpd_port", "debug", "debug_gc"];

/// The same of `[watcher:NAME]`; those of the family `rlimit_` too.
pub static STRICT_WATCHER: &[&str] = &[
    "numprocesses",
    "warmup_delay",
    "on_demand",
    "shell",
    "send_hup",
    "stop_children",
    "close_child_stdin",
    "close_child_stdout",
    "close_child_stderr",
    "use_sockets",
    "singleton",
    "copy_env",
    "copy_path",
    "stop_signal",
    "max_retry",
    "graceful_timeout",
    "priority",
    "check_flapping",
    "respawn",
    "autostart",
];

/// The same of `[socket:NAME]`.
pub static STRICT_SOCKET: &[&str] = &["so_reuseport", "replace"];

/// The same of `[plugin:NAME]`.
pub static STRICT_PLUGIN: &[&str] = &["priority"];

/// A family of options: names that begin alike.
pub struct Family {
    /// What the names begin with.
    pub prefix: &'static str,
    /// How far it is built.
    pub built: Built,
    /// What follows when one of them changes.
    pub live: Live,
    /// One line for the manual.
    pub help: &'static str,
}

/// The families of options of `[watcher:NAME]`.
pub static FAMILIES: &[Family] = &[
    Family {
        prefix: "rlimit_",
        built: Works,
        live: Reload,
        help: "a resource limit, soft and hard; empty or infinity: none",
    },
    Family { prefix: "stdout_stream.", built: Works, live: Stored, help: "where the standard output goes" },
    Family {
        prefix: "stderr_stream.",
        built: Works,
        live: Stored,
        help: "where the standard error output goes",
    },
    Family {
        prefix: "hooks.",
        built: Works,
        live: Stored,
        help: "a program to ask or tell: COMMAND[, true to ignore its failures]",
    },
    Family {
        prefix: "flapping.",
        built: Works,
        live: Stored,
        help: "an option of the plugin Flapping for this watcher",
    },
    Family {
        prefix: "cgroup.",
        built: Works,
        live: Reload,
        help: "a file of the processes' own cgroup (v2) and what to write to it, such as cgroup.memory.max",
    },
];

/// The row of `key` in a table.
pub fn find<S>(rows: &'static [Row<S>], key: &str) -> Option<&'static Row<S>> {
    rows.iter().find(|row| row.key == key)
}

/// The family that `key` belongs to, and the rest of its name.
pub fn family(key: &str) -> Option<(&'static Family, &str)> {
    FAMILIES.iter().find_map(|f| Some((f, key.strip_prefix(f.prefix)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn strict_options_are_in_the_tables() {
        assert!(STRICT_CIRCUS.iter().all(|key| find(CIRCUS, key).is_some()));
        assert!(STRICT_WATCHER.iter().all(|key| find(WATCHER, key).is_some()));
        assert!(STRICT_SOCKET.iter().all(|key| find(SOCKET, key).is_some()));
        assert!(STRICT_PLUGIN.iter().all(|key| find(PLUGIN, key).is_some()));
    }

    #[test]
    fn every_row_stores_what_it_takes() {
        check(CIRCUS, CIRCUS_HELP);
        check(WATCHER, WATCHER_HELP);
        check(STREAM, STREAM_HELP);
        check(SOCKET, SOCKET_HELP);
        check(PLUGIN, PLUGIN_HELP);
    }
}
