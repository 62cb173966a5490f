//! `set` and `add`: each option that they take, with its effect, typed on a command line and as JSON.

use crate::common::{Circus, Dir, SIGKILL, needs_root, proc, run, until};
use circus::config::options::{Built, Live, WATCHER};
use serde_json::{Value as Json, json};
use std::process::Command;

const SLEEPER: &str = "[socket:web]\nport = 0\n[watcher:w]\ncmd = sleep 1000\n";

/// An option, a value as it is typed and as it is JSON, and what a process that is started with it shows.
struct Shape {
    key: &'static str,
    typed: &'static str,
    json: fn() -> Json,
    look: fn(i32) -> String,
    seen: &'static str,
}

fn words(pid: i32) -> String {
    proc::argv(pid).join(" ")
}

fn variable(pid: i32) -> String {
    proc::environ(pid).get("OWN").cloned().unwrap_or_default()
}

fn fd(pid: i32, number: i32) -> String {
    until("the descriptor is there", || proc::fds(pid).contains(&number).then(|| proc::fd(pid, number)))
        .split('[')
        .next()
        .expect("a word")
        .to_string()
}

fn file(pid: i32, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{name}")).expect("a file of /proc").trim_end().to_string()
}

/// Its niceness, and that of its session, which is the one that counts where the kernel groups by sessions.
fn niceness(pid: i32) -> String {
    let own = &proc::stat(pid).expect("it runs")[16];
    let group = std::fs::read_to_string(format!("/proc/{pid}/autogroup")).unwrap_or_default();
    format!("{own} {}", group.trim_end().rsplit(' ').next().filter(|nice| !nice.is_empty()).unwrap_or(own))
}

fn ionice(pid: i32) -> String {
    run(Command::new("ionice").arg("-p").arg(pid.to_string())).out.trim_end().to_string()
}

/// Whether the file system at its root can be written to.
fn root(pid: i32) -> String {
    let mounts = file(pid, "mountinfo");
    let line = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).expect("a root");
    line.split(' ').nth(5).and_then(|options| options.split(',').next()).expect("an option").to_string()
}

const fn shape(
    key: &'static str,
    typed: &'static str,
    json: fn() -> Json,
    look: fn(i32) -> String,
    seen: &'static str,
) -> Shape {
    Shape { key, typed, json, look, seen }
}

/// Options that shape a process: `set` replaces the processes.
const SHAPES: &[Shape] = &[
    shape("cmd", "sleep 2000", || json!("sleep 2000"), words, "sleep 2000"),
    shape("args", "1 2", || json!(["1", "2"]), words, "sleep 1000 1 2"),
    shape("shell", "true", || json!(true), words, "/bin/sh -c sleep 1000"),
    shape("executable", "/bin/sleep", || json!("/bin/sleep"), words, "sleep 1000"),
    shape("working_dir", "/", || json!("/"), proc::cwd, "/"),
    shape("uid", "nobody", || json!(65534), |pid| proc::status(pid, "Uid"), "65534 65534 65534 65534"),
    shape("gid", "daemon", || json!("daemon"), |pid| proc::status(pid, "Gid"), "1 1 1 1"),
    shape("umask", "0137", || json!(0o137), |pid| proc::status(pid, "Umask"), "0137"),
    shape("env", "OWN=1,MORE=2", || json!({"OWN": "1"}), variable, "1"),
    shape("env", "{\"OWN\": \"1,2\"}", || json!({"OWN": "1,2"}), variable, "1,2"),
    shape("copy_env", "yes", || json!(true), variable, "of circus"),
    shape("env_file", "{dir}/env", || json!("{dir}/env"), variable, "of the file"),
    shape("nice", "7", || json!(7), niceness, "7 7"),
    shape("nice", "-3", || json!(-3), niceness, "-3 -3"),
    shape("ionice", "best-effort:6", || json!("best-effort:6"), ionice, "best-effort: prio 6"),
    shape("ionice", "idle", || json!("idle"), ionice, "idle"),
    shape("oom_score_adj", "500", || json!(500), |pid| file(pid, "oom_score_adj"), "500"),
    shape("no_new_privs", "yes", || json!(true), |pid| proc::status(pid, "NoNewPrivs"), "1"),
    shape("capabilities", "none", || json!("none"), |pid| proc::status(pid, "CapEff"), "0000000000000000"),
    shape(
        "capabilities",
        "kill",
        || json!("CAP_KILL"),
        |pid| proc::status(pid, "CapBnd"),
        "0000000000000020",
    ),
    shape("clear_groups", "yes", || json!(true), |pid| proc::status(pid, "Groups"), ""),
    shape("sandbox", "read-only", || json!("read-only"), root, "ro"),
    shape("rlimit_nofile", "99", || json!(99), |pid| proc::limit(pid, "Max open files").1, "99"),
    shape("rlimit_cpu", "infinity", || json!(null), |pid| proc::limit(pid, "Max cpu time").1, "unlimited"),
    shape("rlimit_cpu", "1h", || json!("1h"), |pid| proc::limit(pid, "Max cpu time").1, "3600"),
    shape("rlimit_fsize", "10MB", || json!("10M"), |pid| proc::limit(pid, "Max file size").1, "10485760"),
    shape("close_child_stdin", "False", || json!(false), |pid| proc::fd(pid, 0), "{in}"),
    shape("close_child_stdout", "True", || json!(true), |pid| proc::fd(pid, 1), "/dev/null"),
    shape("close_child_stderr", "True", || json!(true), |pid| proc::fd(pid, 2), "/dev/null"),
    shape("stdin_socket", "web", || json!("web"), |pid| fd(pid, 0), "socket:"),
    shape("use_sockets", "1", || json!(true), |pid| fd(pid, 3), "socket:"),
];

fn circus() -> (Circus, String) {
    needs_root();
    let dir = Dir::new();
    dir.write("env", "OWN = of the file");
    let circus = Circus::with(dir, SLEEPER, |command| {
        command.env("OWN", "of circus");
    });
    let root = circus.dir.name("").trim_end_matches('/').to_string();
    (circus, root)
}

fn text_with(json: &Json, root: &str) -> Json {
    json.as_str().map_or_else(|| json.clone(), |text| text.replace("{dir}", root).into())
}

#[test]
fn set_replaces_the_processes_by_such_as_were_asked_for() {
    let (circus, root) = circus();
    let stdin = proc::fd(circus.pid(), 0);
    for (n, shape) in SHAPES.iter().enumerate() {
        let seen = shape.seen.replace("{in}", &stdin);
        for how in ["typed", "json"] {
            let name = format!("{how}{n}");
            circus.ask("add", json!({"name": name, "cmd": "sleep 1000", "start": true, "waiting": true}));
            let before = circus.pids(&name)[0];
            if how == "typed" {
                let typed = shape.typed.replace("{dir}", &root);
                assert_eq!(
                    circus.ctl_ok(&["set", &name, shape.key, &typed, "--waiting"]),
                    "ok",
                    "{}",
                    shape.key
                );
            } else {
                let options = json!({shape.key: text_with(&(shape.json)(), &root)});
                circus.ask("set", json!({"name": name, "options": options, "waiting": true}));
            }
            let after = circus.pids(&name)[0];
            assert_ne!(after, before, "{}", shape.key);
            assert_eq!((shape.look)(after), seen, "set {} {how}", shape.key);
            circus.ask("rm", json!({"name": name}));
        }
    }
}

#[test]
fn add_makes_watchers_with_any_option() {
    let (circus, root) = circus();
    let stdin = proc::fd(circus.pid(), 0);
    for (n, shape) in SHAPES.iter().enumerate() {
        let seen = shape.seen.replace("{in}", &stdin);
        let option = format!("{}={}", shape.key, shape.typed.replace("{dir}", &root));
        let name = format!("typed{n}");
        let args = ["add", "--option", &option, "--start", "--waiting", &name, "sleep", "1000"];
        assert_eq!(circus.ctl_ok(&args), "ok", "{option}");
        assert_eq!((shape.look)(circus.pids(&name)[0]), seen, "add {option}");
        let name = format!("json{n}");
        let options = json!({shape.key: text_with(&(shape.json)(), &root)});
        circus.ask(
            "add",
            json!({"name": name, "cmd": "sleep 1000", "options": options, "start": true, "waiting": true}),
        );
        assert_eq!((shape.look)(circus.pids(&name)[0]), seen, "add {options}");
    }
    for options in [
        json!({"stdout_stream": {"filename": format!("{root}/o")}}),
        json!({"stdout_stream.filename": format!("{root}/o")}),
    ] {
        let request = json!({"name": "says", "cmd": "sh -c 'echo said; exec sleep 1000'", "options": options, "start": true, "waiting": true});
        circus.ask("add", request);
        until("it has written", || circus.dir.has("o", "said\n"));
        circus.ask("rm", json!({"name": "says", "waiting": true}));
        std::fs::remove_file(circus.dir.path("o")).expect("it was there");
    }
}

/// Every option that the table says can be set is taken, is shown by `get`, and leaves the watcher running; every
/// other one is refused, with a reason.
#[test]
fn the_table_says_what_set_does() {
    let circus = Circus::start(SLEEPER);
    let sample = |key: &str, now: &Json| match (key, now) {
        ("cmd", _) => json!("sleep 1001"),
        ("shell_args" | "args" | "virtualenv_py_ver", _) => json!("7"),
        ("executable", _) => json!("/bin/sleep"),
        ("working_dir", _) => json!("/"),
        ("uid" | "gid" | "hooks_uid", _) => json!("0"),
        ("copy_path", _) => json!(false),
        ("stdin_socket" | "sockets", _) => json!("web"),
        ("env_file", _) => json!("-/no/such/file"),
        ("umask", _) => json!("077"),
        ("kill_mode", _) => json!("tree"),
        ("reload_signal", _) => json!(12),
        ("success_codes" | "success_signals", _) => json!("1, 2"),
        ("stop_command" | "reload_command", _) => json!("kill $(circus.pid)"),
        ("respawn_delay" | "respawn_delay_max" | "respawn_window", _) => json!(2.5),
        ("ready", _) => json!("after:0"),
        ("health", _) => json!("exec:true"),
        ("after" | "requires", _) => json!("w"),
        ("ready_timeout" | "health_interval" | "health_timeout" | "watchdog", _) => json!(1000.5),
        ("nice" | "oom_score_adj" | "health_retries" | "reload_surge", _) => json!(7),
        ("ionice", _) => json!("idle"),
        ("capabilities", _) => json!("none"),
        ("clear_groups", _) => json!(true),
        ("sandbox", _) => json!("read-only"),
        ("sandbox.net", _) => json!("none"),
        (_, Json::Bool(flag)) => json!(!flag),
        (_, Json::Number(number)) if number.is_i64() => json!(number.as_i64().expect("whole") + 1),
        (_, Json::Number(_)) => json!(1.5),
        (_, other) => panic!("{key}: {other}"),
    };
    let mut set = 0;
    for row in WATCHER.iter().filter(|row| row.built == Built::Works && row.key != "virtualenv") {
        circus.ask("add", json!({"name": "x", "cmd": "sleep 1000", "start": true, "waiting": true}));
        let get = || circus.ask("get", json!({"name": "x", "keys": [row.key]}))["options"][row.key].clone();
        let value = sample(row.key, &get());
        let reply = circus.call("set", json!({"name": "x", "options": {row.key: value}, "waiting": true}));
        if row.live == Live::Fixed {
            assert_eq!(reply["errno"], 3, "{}: {reply}", row.key);
        } else {
            set += 1;
            assert_eq!((&reply["status"], get()), (&json!("ok"), value), "{}: {reply}", row.key);
            assert_eq!(circus.status("x"), "active", "{}", row.key);
        }
        circus.ask("rm", json!({"name": "x", "waiting": true}));
    }
    assert!(set > 30, "{set} options can be set");
}

#[test]
fn what_is_only_looked_at_later_touches_no_process() {
    let circus = Circus::start(SLEEPER);
    let before = circus.up("w");
    let mut events = circus.listen(&["watcher.w.updated", "watcher.w.spawn"]);
    let options = json!({"max_retry": 9, "graceful_timeout": 7, "stop_signal": 2, "priority": 3, "send_hup": true,
        "stop_children": true, "autostart": false, "warmup_delay": 0.25, "max_age_variance": 0});
    let keys = options.as_object().expect("an object").len() - 1;
    let quiet: serde_json::Map<_, _> = options
        .as_object()
        .expect("an object")
        .clone()
        .into_iter()
        .filter(|(key, _)| key != "max_age_variance")
        .collect();
    circus.ask("set", json!({"name": "w", "options": quiet, "waiting": true}));
    assert_eq!(circus.pids("w"), before);
    (0..keys).for_each(|_| drop(events.wait("watcher.w.updated")));
    assert_eq!(events.topics().len(), keys, "one event for each, and no spawn");
    // A reload is a SIGHUP now, which ends a sleep.
    circus.ask("reload", json!({"name": "w", "waiting": true}));
    events.wait("watcher.w.spawn");
}

#[test]
fn respawn_singleton_and_the_number_take_effect_at_once() {
    let circus = Circus::start(&(SLEEPER.to_string() + "numprocesses = 1\n"));
    let pid = circus.up("w")[0];
    let mut events = circus.listen(&["watcher.w."]);
    assert_eq!(circus.ctl_ok(&["set", "w", "respawn", "False"]), "ok");
    circus::sys::signal::kill(pid, SIGKILL).expect("it runs");
    events.wait("watcher.w.stop");
    assert_eq!(circus.status("w"), "stopped");
    assert_eq!(circus.ctl_ok(&["set", "w", "respawn", "True", "numprocesses", "2"]), "ok");
    assert_eq!(circus.up("w").len(), 2);
    assert_eq!(
        circus.ctl_refused(&["set", "w", "singleton", "True"]),
        "Singleton watcher has a single process"
    );
    assert_eq!(circus.ctl_ok(&["set", "w", "singleton", "True", "numprocesses", "1", "--waiting"]), "ok");
    assert_eq!(circus.pids("w").len(), 1);
    assert_eq!(
        circus.ctl_refused(&["set", "w", "numprocesses", "2"]),
        "Singleton watcher has a single process"
    );
    assert_eq!(circus.ctl_ok(&["set", "w", "singleton", "False", "--waiting"]), "ok");
    assert_eq!(circus.ctl_ok(&["incr", "w", "--waiting"]), "2");
}

#[test]
fn sizes_and_times_may_have_units_and_are_told_without() {
    let circus = Circus::start(
        "[circus]\nlog_max_bytes = 1G\n[watcher:w]\ncmd = sleep 1000\ngraceful_timeout = 500ms\nmax_age = 2h\n\
         rlimit_fsize = 1.5G\nstdout_stream.filename = {dir}/log\nstdout_stream.max_bytes = 10MB",
    );
    circus.up("w");
    let get = |keys: &[&str]| circus.ask("get", json!({"name": "w", "keys": keys}))["options"].clone();
    let keys = ["graceful_timeout", "max_age", "rlimit_fsize", "stdout_stream.max_bytes"];
    let wanted = json!({
        "graceful_timeout": 0.5, "max_age": 7200, "rlimit_fsize": 1_610_612_736, "stdout_stream.max_bytes": 10_485_760,
    });
    assert_eq!(get(&keys), wanted);
    circus.ctl_ok(&["set", "w", "graceful_timeout", "2m", "stdout_stream.max_bytes", "1K"]);
    circus.ask("set", json!({"name": "w", "options": {"warmup_delay": "10ms", "ring_bytes": "512k"}}));
    let wanted = json!({
        "graceful_timeout": 120.0, "stdout_stream.max_bytes": 1024, "warmup_delay": 0.01, "ring_bytes": 524_288,
    });
    assert_eq!(get(&["graceful_timeout", "stdout_stream.max_bytes", "warmup_delay", "ring_bytes"]), wanted);
    for (key, value, reason) in [
        (
            "graceful_timeout",
            "10 parsecs",
            "graceful_timeout = 10 parsecs has the unknown unit `parsecs`; there are ms, s",
        ),
        ("graceful_timeout", "30", "'graceful_timeout' isn't a number"),
        ("graceful_timeout", "-1s", "'graceful_timeout' isn't a time from 0"),
        ("max_age", "500ms", "max_age = 500ms is not a whole number of seconds"),
        ("ring_bytes", "2M", "'ring_bytes' isn't a number from 0 to 1048576"),
        ("rlimit_fsize", "2x", "rlimit_fsize = 2x has the unknown unit `x`; there are B, K"),
        ("numprocesses", "2K", "'numprocesses' isn't an integer"),
    ] {
        let reply = circus.call("set", json!({"name": "w", "options": {key: value}}));
        assert!(reply["reason"].as_str().is_some_and(|why| why.starts_with(reason)), "{value}: {reply}");
    }
    let err = circus.ctl(&["set", "w", "graceful_timeout", "10 parsecs"]).err;
    assert!(err.contains("graceful_timeout = 10 parsecs has the unknown unit `parsecs`"), "{err}");
}

#[test]
fn several_options_are_set_together_or_not_at_all() {
    let circus = Circus::start(SLEEPER);
    let before = circus.up("w");
    for (bad, reason) in [
        (json!({"nonsense": 1}), "unknown key 'nonsense'"),
        (json!({"max_age": "1"}), "'max_age' isn't an integer"),
        (json!({"uid": "no-such-user"}), "'no-such-user' isn't a valid user name"),
        (json!({"gid": "no-such-group"}), "No such group: 'no-such-group'"),
        (json!({"copy_path": true}), "copy_path needs `copy_env = True`"),
        (json!({"nice": 20}), "nice is not between -20 and 19"),
        (json!({"ionice": "idle:1"}), "ionice has a level, and only realtime and best-effort have one"),
        (
            json!({"sandbox": "/tmp"}),
            "sandbox does not begin with `read-only`; the paths that stay writable follow",
        ),
        (json!({"cgroup.cgroup.procs": "1"}), "cgroup.cgroup.procs is circus's own to write"),
        (json!({"virtualenv": "/x"}), "virtualenv needs `copy_env = True`"),
        (
            json!({"prereload_fn": "x"}),
            "'prereload_fn' can't be set while circus runs; change it in the configuration",
        ),
    ] {
        let mut options = bad;
        options["cmd"] = json!("sleep 2000");
        options["numprocesses"] = json!(2);
        let reply = circus.call("set", json!({"name": "w", "options": options, "waiting": true}));
        assert_eq!(reply["reason"], reason);
        let now = circus.ask("get", json!({"name": "w", "keys": ["cmd", "numprocesses"]}))["options"].clone();
        assert_eq!(
            (now, circus.pids("w")),
            (json!({"cmd": "sleep 1000", "numprocesses": 1}), before.clone())
        );
    }
    circus
        .ask("set", json!({"name": "w", "options": {"copy_env": true, "copy_path": true}, "waiting": true}));
    // A value that only shows itself to be wrong when a process is started: the client that waits is told.
    let reply =
        circus.call("set", json!({"name": "w", "options": {"cmd": "/no/such/program"}, "waiting": true}));
    assert_eq!(reply["reason"], "'w' was not reloaded: exec /no/such/program: No such file or directory");
    assert_eq!(circus.pids("w").len(), 1);
}

#[test]
fn streams_are_set_whole_or_by_their_options_and_on_watchers_without_one() {
    let circus = Circus::start("[watcher:w]\ncmd = sh {dir}/say\nworking_dir = {dir}\nautostart = False");
    circus.dir.write("say", "while :; do echo line; sleep 0.01; done\n");
    let pid = circus.up("w")[0];
    let filled = |name: &str| {
        let filled = || std::fs::metadata(circus.dir.path(name)).is_ok_and(|file| file.len() > 0);
        until(&format!("{name} is written to"), || filled().then_some(()));
    };
    let set = |key: &str, value: &str| circus.ctl_ok(&["set", "w", key, value, "--waiting"]);
    assert_eq!(set("stdout_stream.filename", &circus.dir.name("one")), "ok");
    filled("one");
    let second = circus.pids("w")[0];
    assert_ne!(second, pid, "its output was circus's own before");
    assert_eq!(set("stdout_stream.filename", &circus.dir.name("two")), "ok");
    filled("two");
    assert_eq!(circus.pids("w"), [second], "now it only goes elsewhere");
    let whole = json!({"class": "FileStream", "filename": circus.dir.name("three"), "time_format": "%Y", "max_bytes": 0});
    circus.ask("set", json!({"name": "w", "options": {"stdout_stream": whole}, "waiting": true}));
    filled("three");
    assert!(circus.dir.read("three").contains(&format!("[{second}] | line")));
    assert_eq!(circus.ctl_ok(&["get", "w", "stdout_stream.time_format"]), "stdout_stream.time_format: %Y");
    assert_eq!(set("stderr_stream.class", "StdoutStream"), "ok");
    assert_eq!(circus.ctl_ok(&["get", "w", "stderr_stream.class"]), "stderr_stream.class: StdoutStream");
    let reply = circus.call("set", json!({"name": "w", "options": {"stdout_stream": {"max_bytes": 1}}}));
    assert_eq!(reply["reason"], "'stdout_stream' must have a 'class' key");
}

/// Processes that `rm --nostop` leaves behind live on, write where they wrote, and are no zombies when they end.
#[test]
fn processes_left_behind_live_on_and_are_reaped() {
    let mut circus = Circus::start(
        "[watcher:w]\ncmd = sh -c 'trap exit TERM; while :; do echo line; sleep 0.01; done'\nstdout_stream.filename = {dir}/out",
    );
    let pid = circus.up("w")[0];
    let mut events = circus.listen(&["watcher.w."]);
    assert_eq!(circus.ctl_ok(&["rm", "w", "--nostop", "--waiting"]), "ok");
    events.wait("watcher.w.remove");
    let length = || circus.dir.read("out").len();
    let before = length();
    until("it goes on writing", || (length() > before).then_some(()));
    assert_eq!(circus.ctl_ok(&["numwatchers"]), "0");
    circus::sys::signal::kill(pid, crate::common::SIGTERM).expect("it runs");
    until("no zombie is left", || (proc::state(pid) == '?').then_some(()));
    assert_eq!(events.topics(), ["watcher.w.remove"]);
    assert_eq!(circus.ctl_ok(&["add", "--start", "--waiting", "w", "sleep", "1000"]), "ok");
    let left = circus.pids("w")[0];
    assert_eq!(circus.ctl_ok(&["rm", "w", "--nostop"]), "ok");
    circus.end();
    assert!(proc::exists(left));
    circus::sys::signal::kill(left, SIGKILL).expect("it runs");
}

#[test]
fn a_stream_that_cannot_work_is_refused() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nstdout_stream.class = QueueStream");
    circus.up("w");
    let nowhere = circus.dir.name("no/log");
    for (options, why) in [
        (json!({"stdout_stream.class": "FileStream"}), "there is no filename"),
        (json!({"stdout_stream": {"class": "TimedRotatingFileStream", "filename": "/x"}}), "no rotate_when"),
        (json!({"stderr_stream": {"filename": nowhere}}), "does not exist; create it"),
        (json!({"stderr_stream.filename": "/tmp"}), "it is a directory"),
        (json!({"stderr_stream": {"class": "SyslogStream", "address": "example.com:514"}}), "address"),
    ] {
        let reply = circus.call("set", json!({"name": "w", "options": options}));
        let reason = reply["reason"].as_str().unwrap_or_default();
        assert!(reply["errno"] == 3 && reason.contains(why), "{options}: {reply}");
        let add = json!({"name": "new", "cmd": "sleep 1000", "options": options});
        assert_eq!(circus.call("add", add)["errno"], 3, "{options}");
    }
    // What is wrong already is in nobody's way.
    let fine = circus.dir.name("w.log");
    std::fs::create_dir(circus.dir.path("no")).expect("a directory");
    circus.ask("set", json!({"name": "w", "options": {"stderr_stream": {"filename": nowhere}}}));
    std::fs::remove_dir_all(circus.dir.path("no")).expect("it is removed");
    circus.ask("set", json!({"name": "w", "options": {"graceful_timeout": 1}}));
    circus.ask("set", json!({"name": "w", "options": {"stderr_stream": {"filename": fine}}}));
}
