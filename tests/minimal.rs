//! The smallest build, in CIRCUS_PROGRAM: it keeps processes and sockets, and names what it lacks. `make minimal`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

#[path = "architecture/budgets.rs"]
#[allow(dead_code, reason = "it counts here")]
mod budgets;
mod common;
#[path = "architecture/source.rs"]
#[allow(dead_code, reason = "it counts here")]
mod source;

use common::worker::{self, ask_tcp, port};
use common::{Circus, Dir, circus, exists, run, until};

/// The most code lines that the smallest build may have, and the most bytes.
const MOST: (usize, u64) = (21_000, 810_000);

/// A source file.
struct File {
    path: String,
    source: String,
}

/// Which files a build has is known from what cargo writes beside the binary.
#[test]
fn it_is_small() {
    let program = common::program();
    let dependencies = std::fs::read_to_string(format!("{program}.d")).unwrap();
    let sources = dependencies.split_whitespace().filter(|path| path.ends_with(".rs"));
    let file = |path: &str| File { path: path.into(), source: std::fs::read_to_string(path).unwrap() };
    let files: Vec<File> = sources.map(file).collect();
    assert!(files.len() > 50 && files.iter().any(|file| file.path.ends_with("src/lib.rs")));
    let (code, bytes) = (budgets::code(&files), std::fs::metadata(program).unwrap().len());
    println!("the smallest build: {code} code lines in {} files, {bytes} bytes", files.len());
    assert!(code <= MOST.0 && bytes <= MOST.1, "{code} code lines, {bytes} bytes");
}

/// No test: what the workers of the test below run, see [`common::worker`].
#[test]
fn worker() {
    worker::serve_if_told();
}

#[test]
fn workers_on_a_socket_are_started_reloaded_and_stopped() {
    let ini = format!(
        "[socket:web]\nport = 0\n[watcher:web]\ncmd = {}\nstdin_socket = web\nnumprocesses = 2\n\
         stdout_stream.filename = {{dir}}/out\nstdout_stream.max_bytes = 1000000\nstdout_stream.backup_count = 2\n\
         [env:web]\nROLE = tcp",
        worker::command()
    );
    let mut circus = Circus::start(&ini);
    let before = circus.up("web");
    let address = ("127.0.0.1", port(&circus, "web"));
    assert!(before.contains(&ask_tcp(address).unwrap()));
    assert_eq!(circus.ctl_ok(&["incr", "web", "--waiting"]), "3");
    assert_eq!(circus.ctl_ok(&["reload", "web", "--waiting"]), "ok");
    let after = circus.up("web");
    assert!(after.len() == 3 && after.iter().all(|pid| !before.contains(pid)), "{before:?} {after:?}");
    assert!(after.contains(&ask_tcp(address).unwrap()));
    assert_eq!(circus.ctl_ok(&["status", "web"]), "active");
    assert_eq!(circus.ctl_ok(&["status"]), "web: active");
    let refused = circus.call("status", serde_json::json!({"details": true}));
    assert_eq!(
        refused["reason"],
        "details is not possible: this build of circus lacks the feature `details`"
    );
    let refused = circus.ctl_refused(&["stop", "w.*", "--match", "regex"]);
    assert!(refused.ends_with("this build of circus lacks the feature `regex`"), "{refused}");
    assert_eq!(circus.ctl_ok(&["restart", "--waiting"]), "ok");
    assert!(circus.up("web").iter().all(|pid| !after.contains(pid)));
    assert_eq!(circus.ctl_ok(&["stop", "web", "--waiting"]), "ok");
    assert_eq!(circus.status("web"), "stopped");
    until("the file of the output", || exists(&circus.dir.path("out")).then_some(()));
    circus.end();
}

/// Options of each feature, in a file of which they are the last line.
#[test]
fn an_option_that_it_lacks_keeps_it_from_starting() {
    for (option, feature) in [
        ("sandbox = read-only", "sandbox"),
        ("cgroup.memory.max = 1G", "cgroup"),
        ("hooks.before_start = true", "hooks"),
        ("health = tcp:1", "health"),
        ("after = x", "dependencies"),
        ("on_demand = True", "on_demand"),
        ("stdout_stream.class = SyslogStream", "logs"),
        ("stdout_stream.filename = x\nstdout_stream.compress = gzip", "logs"),
        ("kill_mode = tree", "tree"),
        ("ring_bytes = 100", "tail"),
        ("flapping.attempts = 2", "plugins"),
        ("[plugin:p]\ncmd = true", "plugins"),
    ] {
        let dir = Dir::new();
        let config = dir.config("c.ini", &format!("[watcher:w]\ncmd = sleep 1000\n{option}"));
        let ended = run(circus().arg(&config));
        assert_eq!((ended.code, ended.out.as_str()), (100, ""), "{option}: {}", ended.err);
        let wanted = format!("this build of circus lacks the feature `{feature}`");
        let named = ended.err.lines().any(|line| line.contains(&wanted) && line.contains("c.ini:"));
        assert!(named, "{option}: {}", ended.err);
    }
}

#[test]
fn a_command_that_it_lacks_is_named() {
    for (words, feature) in [
        (&["top"][..], "top"),
        (&["run", "--", "true"], "run"),
        (&["check", "x"], "check"),
        (&["ctl"], "prompt"),
    ] {
        let ended = run(circus().args(words));
        assert_eq!(ended.code, 100, "{words:?}: {}", ended.err);
        assert!(ended.err.contains(&format!("without the feature {feature}")), "{words:?}: {}", ended.err);
    }
    for (words, feature) in [
        (&["ctl", "add", "w", "true"][..], "edit"),
        (&["ctl", "rm", "web"], "edit"),
        (&["ctl", "set", "web", "numprocesses", "1"], "edit"),
        (&["ctl", "dstats"], "stats"),
        (&["ctl", "metrics"], "metrics"),
        (&["ctl", "reloadconfig"], "reloadconfig"),
        (&["ctl", "stats", "web"], "stats"),
        (&["ctl", "tail", "web"], "tail"),
        (&["ctl", "why", "web"], "history"),
    ] {
        let ended = run(circus().args(words));
        assert_eq!(ended.code, 2, "{words:?}: {}", ended.err);
        let why = format!(
            "error: {} is not possible: this build of circus lacks the feature `{feature}`",
            words[1]
        );
        assert!(ended.err.contains(&why), "{words:?}: {}", ended.err);
    }
}
