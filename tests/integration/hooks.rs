//! Hooks that are programs: what they get to know, what their exit codes do, and that nobody is harmed by them.

use crate::common::{Circus, Dir, SIGKILL, SIGTERM, exists, proc, until};
use serde_json::{Value as Json, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;

/// A watcher `w` that is not started by itself, with these options more, and the directory of the test for both its
/// processes and circus.
fn with(options: &str) -> Circus {
    let dir = Dir::new();
    let place = dir.path("");
    let more = "autostart = False\ngraceful_timeout = 1000\nworking_dir = {dir}";
    Circus::with(dir, &format!("[watcher:w]\ncmd = sleep 1000\n{more}\n{options}"), |command| {
        command.current_dir(place);
    })
}

/// Starts the watcher; the reason when that fails.
fn start(circus: &Circus) -> Result<Vec<i32>, String> {
    let reply = circus.call("start", json!({"name": "w", "waiting": true}));
    match reply["reason"].as_str() {
        None => Ok(circus.pids("w")),
        Some(reason) => Err(reason.to_string()),
    }
}

fn stop(circus: &Circus) {
    circus.ask("stop", json!({"name": "w", "waiting": true}));
    assert_eq!(circus.status("w"), "stopped");
}

/// The pid that a script has written.
fn written(circus: &Circus, name: &str) -> i32 {
    let path = circus.dir.path(name);
    until(name, || std::fs::read_to_string(&path).ok()?.trim().parse().ok())
}

#[test]
fn a_hook_knows_what_it_is_about_and_runs_where_circus_does() {
    let dir = Dir::new();
    let script = dir.script(
        "hook",
        "echo $CIRCUS_WATCHER ${CIRCUS_PID:--} ${CIRCUS_SIGNUM:--} ${CIRCUS_EXIT_CODE:--} $FOO $PWD \
        $CIRCUS_ENDPOINT > $CIRCUS_HOOK",
    );
    let names = circus::config::hooks::NAMES;
    let hooks: String = names.iter().map(|name| format!("hooks.{name} = {script}\n")).collect();
    let ini = format!(
        "[watcher:w]\ncmd = sleep 1000\nworking_dir = /\nstop_signal = USR1\n{hooks}[env:w]\nFOO = bar"
    );
    let place = dir.path("");
    let circus = Circus::with(dir, &ini, |command| {
        command.current_dir(place);
    });
    let pid = circus.up("w")[0];
    stop(&circus);
    let place = circus.dir.name("");
    let place = place.trim_end_matches('/');
    for (names, facts) in [
        (
            &["before_start", "before_spawn", "after_start", "before_stop", "after_stop"][..],
            "- - -".to_string(),
        ),
        (&["after_spawn", "before_reap"][..], format!("{pid} - -")),
        (&["before_signal", "after_signal"][..], format!("{pid} 10 -")),
        (&["after_reap"][..], format!("{pid} - -10")),
    ] {
        for name in names {
            assert_eq!(circus.dir.read(name), format!("w {facts} bar {place} {place}/sock\n"), "{name}");
        }
    }
}

#[test]
fn events_and_log_say_how_hooks_ended_in_the_order_of_circus() {
    let circus = with(
        "hooks.before_start = sh -c 'echo out; echo err >&2'\nhooks.after_stop = sh -c 'echo oh; exit 3'",
    );
    let mut events = circus.listen(&["watcher.w."]);
    start(&circus).expect("it starts");
    stop(&circus);
    assert_eq!(events.wait("watcher.w.hook_success")["name"], "before_start");
    let failure = events.wait("watcher.w.hook_failure");
    assert_eq!(
        (&failure["name"], &failure["error"]),
        (&json!("after_stop"), &json!("exited with code 3: oh"))
    );
    assert!(failure["time"].is_f64());
    let topics: Vec<&str> = events.topics().iter().map(|topic| &topic["watcher.w.".len()..]).collect();
    assert_eq!(topics, ["hook_success", "spawn", "start", "kill", "reap", "stop", "hook_failure"]);
    circus.log.line("[INFO] w: hook before_start: out");
    circus.log.line("[INFO] w: hook before_start: err");
    circus.log.line("w: Hook 'after_stop' failed: exited with code 3: oh");
}

#[test]
fn a_hook_of_the_start_that_does_not_agree_leaves_the_watcher_stopped() {
    for (hook, command, reason) in [
        ("before_start", "false", "its hook before_start failed: exited with code 1"),
        ("after_start", "false", "its hook after_start failed: exited with code 1"),
        ("before_spawn", "sh -c 'exit 99'", "its hook before_spawn said no"),
        ("after_spawn", "sh -c 'kill -SEGV $$'", "its hook after_spawn failed: was killed by SIGSEGV"),
        (
            "before_start",
            "./nothing x",
            "its hook before_start failed: ./nothing: exec: No such file or directory",
        ),
        ("before_start", "sh 'x", "its hook before_start failed: sh 'x: there is no closing quotation mark"),
    ] {
        let circus = with(&format!("hooks.{hook} = {command}"));
        assert_eq!(start(&circus), Err(format!("'w' did not start: {reason}")));
        assert_eq!((circus.status("w"), circus.pids("w")), ("stopped".into(), vec![]));
        let children = || proc::children(circus.pid()).is_empty().then_some(());
        until("neither process nor hook is left", children);
    }
}

#[test]
fn failures_are_ignored_with_true_behind_the_command() {
    let circus = with("hooks.before_start = false, true\nhooks.after_spawn = /nothing, true");
    assert_eq!(start(&circus).map(|pids| pids.len()), Ok(1));
    let circus = with("hooks.before_start = sh -c 'exit 99', true");
    assert_eq!(start(&circus), Err("'w' did not start: its hook before_start said no".into()));
}

#[test]
fn before_signal_can_hold_back_any_signal_but_sigkill() {
    for (command, exit) in
        [("true", -SIGTERM), ("false", -SIGKILL), ("sh -c 'exit 99'", -SIGKILL), ("/nothing", -SIGTERM)]
    {
        let circus = with(&format!("hooks.before_signal = {command}"));
        circus.ask("set", json!({"name": "w", "options": {"graceful_timeout": 0.2}}));
        start(&circus).expect("it starts");
        let mut events = circus.listen(&["watcher.w.reap"]);
        stop(&circus);
        assert_eq!(events.wait("watcher.w.reap")["exit_code"], exit, "{command}");
    }
}

#[test]
fn a_hook_that_hangs_is_ended_with_its_group_and_counts_as_failed() {
    let circus = with(
        "hook_timeout = 0.3\nhooks.before_stop = sh -c 'trap \"\" TERM; sleep 1000 & echo $! > child; wait; wait'",
    );
    start(&circus).expect("it starts");
    let mut events = circus.listen(&["watcher.w."]);
    stop(&circus);
    assert_eq!(events.wait("watcher.w.hook_failure")["error"], "it took longer than 0.3 s");
    let child = written(&circus, "child");
    until("the child of the hook is gone", || (!proc::exists(child)).then_some(()));
    until("the hook is gone", || proc::children(circus.pid()).is_empty().then_some(()));
}

#[test]
fn a_stop_overtakes_the_hooks_of_a_start() {
    for hook in ["before_start", "before_spawn", "after_spawn", "after_start"] {
        let circus = with(&format!("hooks.{hook} = sh -c 'echo $$ > hook; exec sleep 1000'"));
        circus.ask("start", json!({"name": "w"}));
        let pid = written(&circus, "hook");
        assert_eq!(circus.status("w"), "starting");
        stop(&circus);
        until("the hook is gone", || (!proc::exists(pid)).then_some(()));
        circus.log.line(&format!("w: the hook {hook} is no longer needed"));
    }
}

#[test]
fn a_second_signal_ends_circus_and_its_hooks() {
    let mut circus =
        with("hooks.after_stop = sh -c 'trap \"\" TERM; echo $$ > hook; while :; do sleep 1000; done'");
    start(&circus).expect("it starts");
    circus.signal(SIGTERM);
    let hook = written(&circus, "hook");
    assert!(proc::exists(circus.pid()), "it waits for the hook");
    circus.hurry();
    until("the hook is gone", || proc::group(hook).is_empty().then_some(()));
}

#[test]
fn hooks_are_no_processes_of_the_watcher_and_are_reaped() {
    let circus = with("hooks.before_signal = sh -c 'echo $$ > hook; read x < gate'");
    make_fifo(&circus);
    let pids = start(&circus).expect("it starts");
    circus.ask("signal", json!({"name": "w", "signum": "usr1"}));
    let hook = written(&circus, "hook");
    assert_eq!(circus.pids("w"), pids);
    assert_eq!(circus.ask("numprocesses", json!({"name": "w"}))["numprocesses"], 1);
    open_gate(&circus, 1);
    until("the hook is reaped", || (proc::state(hook) == '?').then_some(()));
}

fn make_fifo(circus: &Circus) {
    let made = Command::new("mkfifo").arg(circus.dir.path("gate")).status().expect("mkfifo");
    assert!(made.success());
}

/// Lets as many hooks go on that read a line from the FIFO.
fn open_gate(circus: &Circus, hooks: usize) {
    let gate = OpenOptions::new().read(true).write(true).open(circus.dir.path("gate"));
    let mut gate = gate.expect("the FIFO");
    gate.write_all("\n".repeat(hooks).as_bytes()).expect("there is room");
    // Those that come later need somebody who holds it open.
    std::mem::forget(gate);
}

#[test]
fn the_control_socket_answers_while_hundreds_of_hooks_wait() {
    const SIGNALS: usize = 700;
    let circus = with("hook_timeout = 1000\nhooks.before_signal = sh -c 'read x < gate'");
    make_fifo(&circus);
    start(&circus).expect("it starts");
    let mut events = circus.listen(&["watcher.w.hook_success"]);
    let mut client = circus.client();
    for _ in 0..SIGNALS {
        let reply = client.call("signal", json!({"name": "w", "signum": "cont"}));
        assert_eq!(reply["status"], "ok", "{reply}");
    }
    assert_eq!(circus.status("w"), "active", "no hook has answered yet");
    let hooks = proc::children(circus.pid()).len() - 1;
    assert!(hooks <= 256, "{hooks} run at a time");
    open_gate(&circus, SIGNALS);
    for _ in 0..SIGNALS {
        events.wait("watcher.w.hook_success");
    }
    stop_without_hook(&circus);
}

fn stop_without_hook(circus: &Circus) {
    circus.ask("set", json!({"name": "w", "options": {"hooks.before_signal": ""}}));
    stop(circus);
    until("no hook is left", || proc::children(circus.pid()).is_empty().then_some(()));
}

#[test]
fn output_without_end_does_not_fill_the_log_and_stops_nobody() {
    let script = "head -c 1000000 /dev/zero | tr \"\\\\0\" x | fold -w 99; echo; echo last >&2";
    let circus = with(&format!("hooks.before_start = sh -c '{script}'"));
    assert_eq!(start(&circus).map(|pids| pids.len()), Ok(1));
    circus.log.line("w: hook before_start: it writes too much: the rest is dropped");
    let text = circus.log.text();
    assert!(text.len() < 200_000, "{} bytes", text.len());
    assert!(!text.contains("last") && text.contains(&"x".repeat(99)));
}

#[test]
fn a_long_line_is_cut_and_one_without_end_is_kept() {
    let circus =
        with("hooks.before_start = sh -c 'head -c 5000 /dev/zero | tr \"\\\\0\" y; echo; printf end'");
    start(&circus).expect("it starts");
    circus.log.line("w: hook before_start: end");
    assert_eq!(circus.log.line("yyy").matches('y').count(), 1024);
}

#[test]
fn what_a_hook_leaves_behind_holds_nobody_up() {
    let circus = with("hooks.before_start = sh -c 'sleep 1000 & echo $! > child'");
    start(&circus).expect("it starts");
    let child = written(&circus, "child");
    assert!(proc::exists(child), "it is left alone");
    stop(&circus);
    circus::sys::signal::kill(child, SIGKILL).expect("it is there");
}

#[test]
fn hooks_can_be_set_and_added() {
    let circus = with("");
    start(&circus).expect("it starts");
    circus.ctl_ok(&["set", "w", "hooks.after_stop", "touch stopped, true"]);
    assert_eq!(circus.ctl_ok(&["get", "w", "hooks.after_stop"]), "hooks.after_stop: touch stopped, true");
    assert!(circus.ctl_ok(&["options", "w"]).contains("hooks.after_stop: touch stopped, true\n"));
    assert!(circus.ctl_refused(&["set", "w", "hooks.after_stopp", "true"]).contains("Unknown hook"));
    stop(&circus);
    assert!(exists(&circus.dir.path("stopped")));
    let hooks = json!({"before_start": ["false", false], "after_stop": ["true", true]});
    let new = json!({"name": "new", "cmd": "sleep 1000", "options": {"hooks": hooks}, "start": true, "waiting": true});
    let reply = circus.call("add", new);
    assert_eq!(reply["reason"], "'new' did not start: its hook before_start failed: exited with code 1");
    let got = circus.ask("get", json!({"name": "new", "keys": ["hooks.after_stop"]}));
    assert_eq!(got["options"]["hooks.after_stop"], "true, true");
}

/// The statistics of all processes, extended; an error as it is.
fn extended(circus: &Circus) -> Json {
    circus.call("stats", json!({"name": "w", "extended": true}))
}

#[test]
fn extended_stats_adds_to_the_statistics_of_each_process() {
    let circus = with(
        "numprocesses = 3\nhooks.extended_stats = sh -c 'echo noise >&2; echo {\\\"me\\\": $CIRCUS_PID, \\\"nice\\\": 7}'",
    );
    let pids = start(&circus).expect("it starts");
    let stats = extended(&circus);
    for pid in &pids {
        let info = &stats["info"][pid.to_string()];
        assert_eq!((&info["me"], &info["nice"], &info["pid"]), (&json!(pid), &json!(7), &json!(pid)));
    }
    let one = circus.ask("stats", json!({"name": "w", "process": pids[1], "extended": true}));
    assert_eq!((&one["process"], &one["info"]["me"]), (&json!(pids[1]), &json!(pids[1])));
    assert_eq!(circus.ask("stats", json!({"name": "w"}))["info"][pids[0].to_string()]["me"], Json::Null);
    assert!(circus.ctl_ok(&["stats", "w", "--extended"]).starts_with("w:\n"));
    circus.log.line("w: hook extended_stats: noise");
    assert_eq!(circus.log.count("{"), 0, "what is captured is not logged");
}

#[test]
fn extended_stats_that_fails_fails_the_command_unless_failures_are_ignored() {
    for (command, reason) in [
        ("false", "exited with code 1"),
        ("echo [1]", "it did not print a JSON object"),
        ("echo {", "it did not print a JSON object"),
        ("head -c 20000 /dev/zero", "it printed more than 16 KiB"),
        ("/nothing", "/nothing: exec: No such file or directory"),
        ("sleep 1000", "it took too long"),
    ] {
        let circus = with(&format!("hook_timeout = 0.5\nhooks.extended_stats = {command}"));
        start(&circus).expect("it starts");
        let refused = extended(&circus);
        assert_eq!(refused["reason"], format!("the hook extended_stats failed: {reason}"), "{command}");
        assert_eq!(refused["errno"], 5);
        circus.log.line(&format!("[ERROR] w: Hook 'extended_stats' failed: {reason}"));
        let set = json!({"name": "w", "options": {"hooks.extended_stats": format!("{command}, true")}});
        circus.ask("set", set);
        assert_eq!(extended(&circus)["status"], "ok", "{command}");
    }
}
