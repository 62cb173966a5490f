//! How processes are brought to an end: the signal, the time they have, and what becomes of their groups.
//!
//! A patience of 1000 seconds stands where SIGKILL would hide a mistake: the test then fails by its own deadline.

use crate::common::{Circus, Dir, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, proc, until};
use circus::sys::signal::kill;
use serde_json::json;

/// Circus with one watcher `w` that runs this shell script, after the script has said `ready`.
fn ready(script: &str, options: &str) -> Circus {
    let dir = Dir::new();
    let script = dir.script("program", script);
    let ini = format!("[watcher:w]\ncmd = {script}\nworking_dir = {{dir}}\n{options}");
    let circus = Circus::with(dir, &ini, |_| {});
    circus.out.line("ready");
    circus
}

/// Stops the watcher `w` and gives the exit codes of its processes.
fn stop(circus: &Circus) -> Vec<i64> {
    let mut events = circus.listen(&["watcher.w."]);
    circus.ask("stop", json!({"name": "w", "waiting": true}));
    assert_eq!(circus.status("w"), "stopped");
    events.wait("watcher.w.stop");
    let reaps = events.seen.iter().filter(|(topic, _)| topic == "watcher.w.reap");
    reaps.map(|(_, data)| data["exit_code"].as_i64().expect("exit_code")).collect()
}

/// A pid that the script has written.
fn written(circus: &Circus, name: &str) -> i32 {
    circus.dir.read(name).trim().parse().expect("a pid")
}

#[test]
fn the_signal_is_stop_signal() {
    let circus = ready(
        "trap 'exit 7' INT
        trap 'exit 8' TERM
        echo ready
        while :; do sleep 0.01; done",
        "stop_signal = int\ngraceful_timeout = 1000",
    );
    assert_eq!(stop(&circus), [7]);
}

#[test]
fn a_process_that_is_stopped_hears_of_it() {
    let circus = ready("echo ready; exec sleep 1000", "graceful_timeout = 1000");
    let pid = circus.pids("w")[0];
    kill(pid, SIGSTOP).expect("it runs");
    until("the process is stopped", || (proc::state(pid) == 'T').then_some(()));
    assert_eq!(stop(&circus), [-i64::from(SIGTERM)]);
}

#[test]
fn a_process_that_does_not_listen_is_killed_with_its_group() {
    let circus = ready(
        "trap '' TERM
        sleep 1000 &
        echo $! > child
        echo ready
        while :; do sleep 1000; done",
        "graceful_timeout = 0.2",
    );
    let (pid, child) = (circus.pids("w")[0], written(&circus, "child"));
    assert_eq!(stop(&circus), [-i64::from(SIGKILL)]);
    assert!(!proc::exists(child) && proc::group(pid).is_empty());
}

#[test]
fn without_patience_it_is_killed_at_once() {
    let circus = ready("trap '' TERM\necho ready\nwhile :; do sleep 1000; done", "graceful_timeout = 0");
    assert_eq!(stop(&circus), [-i64::from(SIGKILL)]);
}

#[test]
fn the_rest_of_the_group_is_asked_when_its_leader_has_gone() {
    let circus = ready(
        "sh -c 'trap \"echo asked > asked; exit\" TERM; echo $$ > child; while :; do sleep 0.01; done' &
        until [ -s child ]; do sleep 0.01; done
        echo ready
        exec sleep 1000",
        "graceful_timeout = 1000",
    );
    let child = written(&circus, "child");
    assert_eq!(stop(&circus), [-i64::from(SIGTERM)]);
    assert_eq!(circus.dir.read("asked"), "asked\n");
    assert!(!proc::exists(child), "the watcher has stopped only when the group is empty");
}

#[test]
fn a_grandchild_that_does_not_listen_is_killed_though_its_leader_has_gone() {
    let circus = ready(
        "(trap '' TERM; exec sleep 1000) &
        echo $! > child
        until grep -q sleep /proc/$!/cmdline; do :; done
        echo ready
        exec sleep 1000",
        "graceful_timeout = 0.2",
    );
    let child = written(&circus, "child");
    assert_eq!(stop(&circus), [-i64::from(SIGTERM)]);
    assert!(!proc::exists(child));
}

#[test]
fn what_a_dead_process_has_left_behind_is_ended_with_its_watcher() {
    let circus = ready(
        "sleep 1000 &
        echo $! > child
        echo ready
        exit 0",
        "respawn = False\nnumprocesses = 2\ngraceful_timeout = 1000\n[circus]\nloglevel = debug",
    );
    circus.until_status("w", "stopped");
    circus.log.line("[DEBUG] sent SIGTERM to ");
    assert!(!proc::exists(written(&circus, "child")));
}

#[test]
fn children_get_the_signal_too_when_stop_children_says_so() {
    // The parent ends when its child has ended, which it does by a signal only.
    let circus = ready(
        "trap : TERM
        sh -c 'trap \"exit 5\" TERM; echo ready; while :; do sleep 0.01; done' &
        child=$!
        while wait $child; [ $? -gt 128 ]; do :; done
        exit 9",
        "stop_children = True\ngraceful_timeout = 1000",
    );
    assert_eq!(stop(&circus), [9]);
}

#[test]
fn a_process_that_leaves_its_group_is_on_its_own() {
    let circus = ready(
        "setsid sleep 1000 &
        echo $! > child
        echo ready
        exec sleep 1000",
        "",
    );
    let child = written(&circus, "child");
    until("the child has a session", || (proc::kin(child)[2] == child).then_some(()));
    stop(&circus);
    assert!(proc::exists(child));
}

#[test]
fn a_second_stop_waits_for_the_same_end() {
    let circus = ready("trap '' TERM\necho ready\nwhile :; do sleep 1000; done", "graceful_timeout = 0.3");
    let mut first = circus.client();
    first.send_request(&json!({"command": "stop", "properties": {"name": "w", "waiting": true}}));
    circus.until_status("w", "stopping");
    let second = circus.ask("stop", json!({"name": "w", "waiting": true}));
    assert_eq!((second["status"].as_str(), first.reply()["status"].as_str()), (Some("ok"), Some("ok")));
    assert_eq!(circus.status("w"), "stopped");
}

#[test]
fn a_start_during_a_stop_starts_it_again() {
    let circus = ready("trap '' TERM\necho ready\nwhile :; do sleep 1000; done", "graceful_timeout = 0.3");
    let before = circus.pids("w");
    let mut stopping = circus.client();
    stopping.send_request(&json!({"command": "stop", "properties": {"name": "w", "waiting": true}}));
    circus.until_status("w", "stopping");
    let after = circus.up("w");
    assert_ne!(before, after);
    assert_eq!(stopping.reply()["status"], "ok");
}

#[test]
fn many_processes_are_stopped_at_the_same_time() {
    let circus = Circus::start(
        "
        [watcher:many]
        cmd = sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1000; done'
        numprocesses = 20
        graceful_timeout = 0.5
        ",
    );
    circus.out.times("ready", 20);
    let pids = circus.pids("many");
    let mut events = circus.listen(&["watcher.many."]);
    circus.ask("stop", json!({"name": "many", "waiting": true}));
    assert!(pids.iter().all(|pid| !proc::exists(*pid)));
    events.wait("watcher.many.stop");
    let first = events.topics().iter().position(|topic| topic.ends_with("reap"));
    assert!(first >= Some(20), "all are asked before the first has gone: {:?}", events.topics());
}

/// Counts how often it is asked to end, and takes the second time for a hurry, as many programs do.
const COUNTS: &str = "import os, signal
# A handler in Python may run inside a destructor, where its sys.exit is lost, or just before a pause, which never ends.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
with open('child', 'w') as child: child.write(str(os.getpid()))
signal.sigwait([signal.SIGTERM])
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
with open('asked', 'a') as asked: asked.write('x')
with open('gate') as gate: gate.read()
with open('saved', 'w') as saved: saved.write('saved')";

/// A watcher `w` that runs this script, in which `counts &` starts a program that may be asked once.
fn counting(script: &str, options: &str) -> Circus {
    let dir = Dir::new();
    dir.write("counts.py", COUNTS);
    let made = std::process::Command::new("mkfifo").arg(dir.path("gate")).status().expect("mkfifo");
    assert!(made.success());
    let script = dir.script("program", &script.replace("counts", "python3 counts.py"));
    let ini = format!(
        "[watcher:w]\ncmd = {script}\nworking_dir = {{dir}}\ngraceful_timeout = 1000\n{options}\n\
         [circus]\nloglevel = debug"
    );
    let circus = Circus::with(dir, &ini, |_| {});
    until("the program is up", || std::fs::metadata(circus.dir.path("child")).ok().filter(|f| f.len() > 0));
    circus
}

#[test]
fn nobody_is_asked_twice_in_one_stop() {
    // It ends by the signal at once, or when what it has started has ended; it passes the signal on and does not wait.
    let plain = "counts & wait";
    let waits = "trap : TERM; counts & child=$!; while wait $child; [ $? -gt 128 ]; do :; done";
    let forwards = "trap 'kill -TERM $!; exit 0' TERM; counts & wait";
    for (script, options) in [
        (plain, ""),
        (plain, "stop_children = True"),
        (plain, "stop_children = True\nkill_mode = tree"),
        (plain, "stop_children = True\nkill_mode = process"),
        (plain, "kill_mode = tree"),
        (waits, "stop_children = True"),
        (waits, "stop_children = True\nkill_mode = tree"),
        (forwards, ""),
        (forwards, "kill_mode = tree"),
        ("setsid counts & wait", "stop_children = True\nkill_mode = tree"),
    ] {
        let mut circus = counting(script, options);
        let (leader, child) = (circus.pids("w")[0], written(&circus, "child"));
        circus.signal(SIGTERM);
        until("it was asked", || circus.dir.has("asked", "x"));
        if script != waits {
            until("the leader is reaped", || (!proc::exists(leader)).then_some(()));
        }
        // circus has done all that it has to do at once when it answers again.
        circus.client();
        circus.dir.write("gate", "go on");
        until("the work is saved", || circus.dir.has("saved", "saved"));
        assert_eq!(circus.wait(), 0, "{script} {options}");
        assert!(!proc::exists(child) && circus.dir.read("asked") == "x", "{script} {options}");
    }
}

/// `sleep` ends at once when it is asked; what ignores that is killed.
#[test]
fn what_a_crash_leaves_ends_before_the_successor_starts() {
    for (left, options) in [
        ("sleep 1000", ""),
        ("sh -c 'trap : TERM; echo $$ > child; while :; do sleep 1000; done'", "graceful_timeout = 0.3"),
        ("setsid sleep 1000", "kill_mode = tree"),
    ] {
        let circus = ready(
            &format!(
                "for pid in $(cat children 2>&-); do [ -d /proc/$pid ] && echo $pid is left; done
                {left} & echo $! >> children
                echo ready
                wait"
            ),
            options,
        );
        for n in 1..4 {
            kill(circus.pids("w")[0], SIGKILL).expect("it runs");
            circus.out.times("ready", n + 1);
        }
        assert!(!circus.out.text().contains("is left"), "{left}: {}", circus.out.text());
    }
}

#[test]
fn kill_mode_process_leaves_what_a_crash_leaves() {
    let circus = ready("sleep 1000 & echo $! > child; echo ready; exec sleep 1000", "kill_mode = process");
    let child = written(&circus, "child");
    kill(circus.pids("w")[0], SIGKILL).expect("it runs");
    circus.out.times("ready", 2);
    assert!(proc::exists(child));
    kill(child, SIGKILL).expect("it runs");
}

#[test]
fn what_is_waited_for_is_told() {
    let circus = ready(
        "trap '' TERM; sleep 1000 & echo $! > child; trap - TERM; echo ready; exec sleep 1000",
        "graceful_timeout = 1000",
    );
    let (pid, child) = (circus.pids("w")[0], written(&circus, "child"));
    kill(pid, SIGKILL).expect("it runs");
    let fault = format!(
        "active: 0 of 1 processes running; what process {pid} has left in its group is stopped first"
    );
    until("why says so", || {
        (circus.ask("why", json!({"name": "w"}))["fault"] == fault.as_str()).then_some(())
    });
    assert!(circus.ask("why", json!({"name": "w"}))["next_kill"].as_f64() > Some(500.0));
    kill(child, SIGKILL).expect("it runs");
    circus.out.times("ready", 2);
    assert!(circus.ask("why", json!({"name": "w"}))["fault"].is_null());
}

/// circus was stopped, as by a debugger, for longer than anybody may be silent.
#[test]
fn what_has_come_while_circus_was_stopped_counts_before_any_deadline() {
    let dir = Dir::new();
    dir.write(
        "beats.py",
        "import os, socket, time
beats = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
address = os.environ['NOTIFY_SOCKET']
beats.connect(chr(0) + address[1:] if address[0] == '@' else address)
beats.send(b'READY=1')
while True:
    try: beats.send(b'WATCHDOG=1', socket.MSG_DONTWAIT)
    except OSError: pass
    open('beats', 'a').write('x')
    time.sleep(0.02)",
    );
    let ini = "
        [watcher:w]
        cmd = python3 beats.py
        working_dir = {dir}
        ready = notify
        watchdog = 3
        [watcher:h]
        cmd = sleep 1000
        health = exec:true
        health_interval = 0.1
        health_timeout = 3
        health_retries = 1
        ";
    let circus = Circus::with(dir, ini, |_| {});
    circus.until_status("w", "active");
    let before = [circus.pids("w"), circus.pids("h")];
    let beats = || std::fs::metadata(circus.dir.path("beats")).map_or(0, |file| file.len());
    kill(circus.pid(), SIGSTOP).expect("it runs");
    until("circus is stopped", || (proc::state(circus.pid()) == 'T').then_some(()));
    // 0.02 s each at least: longer than watchdog and health_timeout.
    let enough = beats() + 160;
    until("time has passed", || (beats() >= enough).then_some(()));
    kill(circus.pid(), SIGCONT).expect("it is there");
    let more = beats() + 20;
    until("circus has had time to judge", || (beats() >= more).then_some(()));
    assert_eq!([circus.pids("w"), circus.pids("h")], before);
}
