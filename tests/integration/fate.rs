//! How things end: critical watchers and the exit code of circus, respawn by outcome, kill modes, and commands that
//! stop and reload.

use crate::common::{Circus, Dir, SIGKILL, SIGTERM, circus, exists, needs_root, proc, run, until};
use serde_json::{Value as Json, json};

/// Circus in this directory with this configuration, which may end at any time.
fn launch(dir: Dir, ini: &str) -> Circus {
    Circus::launch(dir, ini, |_| {})
}

fn tombstone(dir: &Dir) -> Json {
    let text = dir.read("tombstone");
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn circus_ends_as_its_critical_watcher_did_and_says_why() {
    let mut circus = launch(
        Dir::new(),
        "[circus]
        endpoint = {dir}/sock
        tombstone = {dir}/tombstone
        [watcher:job]
        cmd = sh -c 'echo working; echo \"it \\\"broke\\\"\" >&2; exit 3'
        respawn = False
        critical = True
        stdout_stream.class = StdoutStream
        stderr_stream.class = StdoutStream
        [watcher:beside]
        cmd = sh -c 'trap \"echo told > {dir}/told; exit\" TERM; while :; do sleep 0.01; done'",
    );
    assert_eq!(circus.wait(), 3);
    assert!(
        circus.log.text().contains("job is critical and has ended: its process "),
        "{}",
        circus.log.text()
    );
    let stone = tombstone(&circus.dir);
    assert_eq!(
        (&stone["watcher"], &stone["code"], &stone["exit_code"]),
        (&json!("job"), &json!(3), &json!(3))
    );
    assert_eq!((&stone["wid"], &stone["output"]), (&json!(1), &json!(["it \"broke\""])));
    let reason = stone["reason"].as_str().expect("text");
    assert!(reason.ends_with("(wid 1) exited with code 3") && stone["time"].is_f64(), "{stone}");
    assert!(!exists(&circus.dir.path("sock")), "all is tidied up");
}

#[test]
fn everything_is_stopped_in_order_first() {
    let dir = Dir::new();
    let script = dir.script(
        "beside",
        "trap 'echo told >> told; exit' TERM\necho ready > up\nwhile :; do sleep 0.01; done",
    );
    let ini = format!(
        "[watcher:beside]\ncmd = {script}\nworking_dir = {{dir}}\npriority = 1
        [watcher:job]\ncmd = sh -c 'until [ -s up ]; do sleep 0.01; done; kill -KILL $$'\nworking_dir = {{dir}}
        respawn = False\ncritical = True"
    );
    let mut circus = launch(dir, &ini);
    assert_eq!((circus.wait(), circus.dir.read("told").as_str()), (137, "told\n"));
}

#[test]
fn to_end_as_wanted_is_exit_code_0() {
    for (options, script) in [
        ("", "exit 0"),
        ("success_codes = 7, 9", "exit 9"),
        ("success_signals = int SIGTERM", "kill -TERM $$"),
    ] {
        let ini = format!(
            "[watcher:job]\ncmd = sh -c '{script}'\nrespawn = on-failure\ncritical = True\n{options}\n"
        );
        let mut circus = launch(Dir::new(), &ini);
        assert_eq!(circus.wait(), 0, "{options}");
    }
}

#[test]
fn only_failures_are_respawned() {
    let dir = Dir::new();
    let script = dir.script("program", "echo x >> runs\n[ $(wc -l < runs) -ge 3 ]");
    let ini = format!("[watcher:w]\ncmd = {script}\nworking_dir = {{dir}}\nrespawn = on-failure");
    let circus = Circus::with(dir, &ini, |_| {});
    circus.until_status("w", "stopped");
    assert_eq!(circus.dir.read("runs"), "x\nx\nx\n");
    let options = circus.ask("options", json!({"name": "w"}));
    assert_eq!(options["options"]["respawn"], "on-failure");
    circus.ask("set", json!({"name": "w", "options": {"respawn": true, "success_codes": 3}}));
    let got = circus.ask("get", json!({"name": "w", "keys": ["respawn", "success_codes"]}));
    assert_eq!(got["options"], json!({"respawn": true, "success_codes": "3"}));
    assert_eq!(circus.ctl_ok(&["set", "w", "respawn", "On-Failure"]), "ok");
    for (key, value) in
        [("respawn", json!("sometimes")), ("success_codes", json!("256")), ("success_signals", json!("NOPE"))]
    {
        let reply = circus.call("set", json!({"name": "w", "options": {key: value}}));
        assert_eq!(reply["status"], "error", "{reply}");
    }
}

#[test]
fn a_critical_watcher_that_cannot_start_ends_circus() {
    let mut circus = launch(
        Dir::new(),
        "[circus]
        endpoint = {dir}/sock
        tombstone = {dir}/tombstone
        [watcher:job]
        cmd = {dir}/no-such-program
        max_retry = 1
        critical = True",
    );
    assert_eq!(circus.wait(), 126);
    let stone = tombstone(&circus.dir);
    assert!(stone["reason"].as_str().expect("text").contains("no-such-program: No such file"), "{stone}");
    assert_eq!((&stone["pid"], &stone["output"]), (&Json::Null, &json!([])));
    let ini = "[watcher:job]\ncmd = sleep 1000\ncritical = True\nhooks.before_start = false";
    assert_eq!(launch(Dir::new(), ini).wait(), 126);
}

#[test]
fn a_stop_by_command_is_no_end() {
    let mut circus = Circus::start("[watcher:job]\ncmd = sleep 1000\ncritical = True\nrespawn = False");
    circus.up("job");
    circus.ask("stop", json!({"name": "job", "waiting": true}));
    circus.up("job");
    circus.end();
}

#[test]
fn a_failure_at_the_start_is_written_down_too() {
    let dir = Dir::new();
    for (ini, code, reason) in [
        ("[watcher:w]\ncmd = sleep 1\nnumprocesses = many", 100, "is not a whole number"),
        ("[socket:s]\nhost = 192.0.2.1\nport = 1\n[watcher:w]\ncmd = sleep 1", 111, "192.0.2.1"),
    ] {
        // It is written in place, whatever stood there.
        dir.write("tombstone", &"x".repeat(9000));
        let ini = format!("[circus]\nendpoint = {{dir}}/sock\ntombstone = {{dir}}/tombstone\n{ini}");
        let config = dir.config("circus.ini", &ini);
        let ended = run(circus().arg(config));
        let stone = tombstone(&dir);
        assert_eq!((ended.code, stone["code"].as_i64()), (code, Some(i64::from(code))), "{stone}");
        assert!(stone["reason"].as_str().expect("text").contains(reason), "{stone}");
    }
}

#[test]
fn a_tombstone_that_cannot_be_written_changes_nothing_else() {
    let dir = Dir::new();
    dir.write("precious", "precious");
    std::os::unix::fs::symlink(dir.path("precious"), dir.path("tombstone")).expect("a link");
    let mut circus = launch(
        dir,
        "[circus]
        endpoint = {dir}/sock
        tombstone = {dir}/tombstone
        [watcher:job]
        cmd = sh -c 'exit 5'
        respawn = False
        critical = True",
    );
    assert_eq!((circus.wait(), circus.dir.read("precious").as_str()), (5, "precious"));
    assert!(circus.log.text().contains("tombstone "), "{}", circus.log.text());
}

/// Circus with a watcher `w` of this kill_mode that runs this script, after it has said `ready`.
fn ready(script: &str, options: &str) -> Circus {
    let dir = Dir::new();
    let script = dir.script("program", script);
    let ini = format!("[watcher:w]\ncmd = {script}\nworking_dir = {{dir}}\n{options}");
    let circus = Circus::with(dir, &ini, |_| {});
    circus.out.line("ready");
    circus
}

fn stop(circus: &Circus) {
    circus.ask("stop", json!({"name": "w", "waiting": true}));
}

fn written(circus: &Circus, name: &str) -> i32 {
    circus.dir.read(name).trim().parse().expect("a pid")
}

/// Leaves a daemon behind by a double fork, in a session of its own, with a child; both write their pids.
const DAEMONIZE: &str = "
    setsid sh -c 'sh -c \"echo \\$\\$ > daemon.new; mv daemon.new daemon; sleep 1001 & echo \\$! > child.new
    mv child.new child; wait\" &'
    until [ -s child ]; do sleep 0.01; done
    echo ready
    exec sleep 1000";

#[test]
fn a_tree_is_ended_wherever_its_members_have_gone() {
    let circus = ready(DAEMONIZE, "kill_mode = tree\ngraceful_timeout = 1000");
    let (daemon, child) = (written(&circus, "daemon"), written(&circus, "child"));
    assert_eq!(proc::kin(daemon)[0], circus.pid(), "circus has adopted it");
    stop(&circus);
    assert!(!proc::exists(daemon) && !proc::exists(child));
    assert!(circus.log.text().contains("gets SIGTERM"), "{}", circus.log.text());
}

#[test]
fn who_does_not_listen_in_a_tree_is_killed_at_the_deadline() {
    let circus = ready(
        "trap '' TERM
        setsid sh -c 'trap \"\" TERM; echo $$ > stray.new; mv stray.new stray; while :; do sleep 1000; done' &
        until [ -s stray ]; do sleep 0.01; done
        echo ready
        exec sleep 1000",
        "kill_mode = tree\ngraceful_timeout = 0.3",
    );
    let stray = written(&circus, "stray");
    stop(&circus);
    assert!(!proc::exists(stray));
}

#[test]
fn a_tree_that_is_replaced_takes_nobody_of_its_successor_along() {
    let circus = ready(
        "setsid sh -c 'echo $$ > '$$.new'; mv '$$.new' stray.'$$'; while :; do sleep 1000; done' &
        until [ -s stray.$$ ]; do sleep 0.01; done
        echo ready
        exec sleep 1000",
        "kill_mode = tree\nnumprocesses = 2",
    );
    circus.out.times("ready", 2);
    let pids = circus.pids("w");
    let stray = |pid: &i32| written(&circus, &format!("stray.{pid}"));
    let [kept, ended] = [stray(&pids[0]), stray(&pids[1])];
    circus.ask("kill", json!({"name": "w", "pid": pids[1], "waiting": true}));
    until("the stray has ended", || (!proc::exists(ended)).then_some(()));
    assert!(proc::exists(kept));
    circus.ask("stop", json!({"name": "w", "waiting": true}));
    assert!(!proc::exists(kept));
}

#[test]
fn what_a_crash_has_left_of_a_tree_is_ended_with_its_watcher() {
    let circus = ready(DAEMONIZE, "kill_mode = tree\nrespawn = False\ngraceful_timeout = 1000");
    let (daemon, child) = (written(&circus, "daemon"), written(&circus, "child"));
    circus::sys::signal::kill(circus.pids("w")[0], SIGKILL).expect("it runs");
    circus.until_status("w", "stopped");
    assert!(!proc::exists(daemon) && !proc::exists(child));
}

/// As in a container: root may not trace processes, so that it cannot read what those of another user have.
#[test]
fn a_tree_of_another_user_is_found_without_the_right_to_trace() {
    needs_root();
    let circus = Circus::wrapped(
        "exec setpriv --bounding-set=-sys_ptrace,-perfmon,-sys_admin \"$@\"",
        "[watcher:w]
        cmd = sh -c 'setsid sleep 1001 & echo stray $!; exec sleep 1000'
        uid = 65534
        gid = 65534
        kill_mode = tree
        graceful_timeout = 1000",
    );
    let line = circus.out.line("stray");
    let stray: i32 = line.trim().trim_start_matches("stray ").parse().expect("a pid");
    until("it has a session of its own", || (proc::kin(stray)[2] == stray).then_some(()));
    circus.ask("stop", json!({"name": "w", "waiting": true}));
    assert!(!proc::exists(stray));
}

#[test]
fn only_the_process_is_ended_where_kill_mode_says_so() {
    let circus = ready(
        "sleep 1000 &
        echo $! > child
        echo ready
        exec sleep 1000",
        "kill_mode = process\ngraceful_timeout = 1000",
    );
    let child = written(&circus, "child");
    stop(&circus);
    assert!(proc::exists(child) && circus.status("w") == "stopped");
}

#[test]
fn stop_command_stops_instead_of_the_signal() {
    let circus = ready(
        "trap 'echo TERM > signalled' TERM
        trap 'exit 0' USR1
        echo ready
        while :; do sleep 0.01; done",
        "graceful_timeout = 1000\nstop_command = sh -c 'echo $CIRCUS_WATCHER $CIRCUS_PID $CIRCUS_SIGNUM > told; kill -USR1 $(circus.pid)'",
    );
    let pid = circus.pids("w")[0];
    stop(&circus);
    assert_eq!(circus.dir.read("told"), format!("w {pid} {SIGTERM}\n"));
    assert!(!exists(&circus.dir.path("signalled")));
}

#[test]
fn a_stop_command_that_fails_leaves_it_to_the_signal() {
    for command in ["false", "{dir}/no-such-program", "sh -c 'exit 99'", "sh -c 'kill $$'"] {
        let options = format!("graceful_timeout = 1000\nstop_command = {command}");
        let circus = ready("echo ready; exec sleep 1000", &options);
        stop(&circus);
        assert!(circus.log.text().contains("w: stop_command failed: "), "{}", circus.log.text());
    }
}

#[test]
fn a_stop_command_that_hangs_has_as_long_as_its_process() {
    let circus = ready(
        "trap '' TERM\necho ready\nwhile :; do sleep 1000; done",
        "graceful_timeout = 0.3\nstop_command = sleep 1000",
    );
    let pid = circus.pids("w")[0];
    stop(&circus);
    assert!(!proc::exists(pid));
    until("nobody is left", || proc::descendants(circus.pid()).is_empty().then_some(()));
}

#[test]
fn reload_command_reloads_and_its_failure_is_told() {
    let circus = ready(
        "echo ready; exec sleep 1000",
        "reload_command = sh -c 'echo $CIRCUS_PID >> reloaded; exec test ! -e fail'",
    );
    let pids = circus.pids("w");
    let reload = || circus.call("reload", json!({"name": "w", "waiting": true}));
    assert_eq!(reload()["status"], "ok");
    assert_eq!((circus.dir.read("reloaded"), circus.pids("w")), (format!("{}\n", pids[0]), pids.clone()));
    circus.dir.write("fail", "");
    let reply = reload();
    let reason = reply["reason"].as_str().unwrap_or_default();
    assert_eq!(reason, "'w' was not reloaded: its reload_command failed: exited with code 1");
    assert_eq!(circus.pids("w"), pids);
}

#[test]
fn reload_signal_reloads() {
    let circus =
        ready("trap 'echo reloaded' USR2\necho ready\nwhile :; do sleep 0.01; done", "reload_signal = USR2");
    let pids = circus.pids("w");
    circus.ask("reload", json!({"name": "w", "waiting": true}));
    circus.out.line("reloaded");
    assert_eq!(circus.pids("w"), pids);
    circus.signal(crate::common::SIGHUP);
    circus.out.times("reloaded", 2);
}

#[test]
fn pauses_can_be_set_while_circus_runs() {
    let circus = Circus::start("[watcher:w]\ncmd = false\nrespawn_delay = 600\nrespawn_delay_max = 600");
    let reason =
        |circus: &Circus| circus.ask("status", json!({"name": "w"}))["reason"].as_str().map(str::to_string);
    let wanted = "exited within a second of starting, once";
    until("it has ended once", || (reason(&circus)? == wanted).then_some(()));
    circus.ask("set", json!({"name": "w", "options": {"respawn_delay": 0, "respawn_delay_max": 0}}));
    circus.ask("start", json!({"name": "w"}));
    until("it has ended three times", || reason(&circus)?.contains("3 times in a row").then_some(()));
    let reply = circus.call("set", json!({"name": "w", "options": {"respawn_window": -1}}));
    assert_eq!(reply["status"], "error");
}
