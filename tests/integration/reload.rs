//! Reloads and restarts: which processes go, which come, and in which order.

use crate::common::client::Events;
use crate::common::{Circus, SIGHUP, exists, until};
use serde_json::{Value as Json, json};

/// What came since the beginning, without the topic's common part.
fn order(events: &Events) -> Vec<&str> {
    events.topics().into_iter().filter_map(|topic| topic.rsplit('.').next()).collect()
}

fn pids(of: &Json) -> Vec<i64> {
    of.as_array().expect("a list").iter().map(|pid| pid.as_i64().expect("a pid")).collect()
}

fn as_i64(pids: &[i32]) -> Vec<i64> {
    pids.iter().map(|pid| i64::from(*pid)).collect()
}

#[test]
fn new_processes_come_before_the_old_ones_go() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nnumprocesses = 2");
    let before = circus.up("w");
    // The pause between spawns does not hold for a reload.
    circus.ask("set", json!({"name": "w", "options": {"warmup_delay": 1000}}));
    let mut events = circus.listen(&["watcher.w."]);
    let reply = circus.ask("reload", json!({"name": "w", "waiting": true}));
    let after = circus.pids("w");
    events.wait("watcher.w.reload");
    assert_eq!(order(&events), ["spawn", "spawn", "kill", "kill", "reap", "reap", "reload"]);
    assert!(before.iter().all(|pid| !after.contains(pid)) && after.len() == 2);
    assert_eq!(pids(&reply["info"]["started"]), as_i64(&after));
    assert_eq!(pids(&reply["info"]["stopped"]), as_i64(&before));
    assert!(pids(&reply["info"]["kept"]).is_empty());
    circus.log.line("w reloaded");
}

#[test]
fn a_sequential_one_replaces_process_by_process() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nnumprocesses = 2");
    circus.up("w");
    let mut events = circus.listen(&["watcher.w."]);
    assert_eq!(circus.ctl_ok(&["reload", "w", "--sequential", "--waiting"]), "ok");
    events.wait("watcher.w.reload");
    assert_eq!(order(&events), ["kill", "reap", "spawn", "kill", "reap", "spawn", "reload"]);
}

#[test]
fn send_hup_is_a_signal_and_nothing_else() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = sh -c 'trap \"echo hangup\" HUP; echo ready; while :; do sleep 0.01; done'
        send_hup = True
        numprocesses = 2
        ",
    );
    circus.out.times("ready", 2);
    let before = circus.pids("w");
    let mut events = circus.listen(&["watcher.w."]);
    circus.ask("reload", json!({"name": "w", "waiting": true}));
    circus.out.times("hangup", 2);
    events.wait("watcher.w.reload");
    assert_eq!((order(&events), circus.pids("w")), (vec!["reload"], before.clone()));
    circus.log.line(&format!("SENDING HUP to {}", before[0]));
}

#[test]
fn terminate_is_a_restart() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000");
    circus.up("w");
    let mut events = circus.listen(&["watcher.w."]);
    circus.ask("reload", json!({"name": "w", "graceful": false, "waiting": true}));
    events.wait("watcher.w.start");
    assert_eq!(order(&events), ["kill", "reap", "stop", "spawn", "start"]);
}

#[test]
fn a_reload_that_cannot_be_done_leaves_everything_as_it_was() {
    let circus = Circus::start("[watcher:w]\ncmd = {dir}/program 1000\nnumprocesses = 2\nautostart = False");
    std::os::unix::fs::symlink("/bin/sleep", circus.dir.path("program")).expect("a link");
    let before = circus.up("w");
    std::fs::remove_file(circus.dir.path("program")).expect("it was there");
    let reply = circus.call("reload", json!({"name": "w", "waiting": true}));
    let reason = reply["reason"].as_str().expect("a reason");
    assert!(reply["errno"] == 6 && reason.contains("program: No such file or directory"), "{reply}");
    assert_eq!((circus.pids("w"), circus.status("w").as_str()), (before, "active"));
    circus.log.line("reload abandoned, the old processes stay");
}

#[test]
fn a_reload_of_a_stopped_watcher_starts_it_when_it_is_named() {
    let circus =
        Circus::start("[watcher:w]\ncmd = sleep 1000\nautostart = False\n[watcher:up]\ncmd = sleep 1000");
    let before = circus.up("up");
    circus.ask("reload", json!({"waiting": true}));
    assert_eq!(circus.status("w"), "stopped", "a reload of all starts nothing");
    assert_ne!(circus.pids("up"), before);
    circus.ask("reload", json!({"name": "w", "waiting": true}));
    assert_eq!(circus.status("w"), "active");
}

#[test]
fn a_restart_stops_then_starts() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nnumprocesses = 2");
    let before = circus.up("w");
    let mut events = circus.listen(&["watcher.w."]);
    let reply = circus.ask("restart", json!({"name": "w", "waiting": true}));
    events.wait("watcher.w.start");
    assert_eq!(order(&events), ["kill", "kill", "reap", "reap", "stop", "spawn", "spawn", "start"]);
    assert_eq!(pids(&reply["info"]["stopped"]), as_i64(&before));
    assert_eq!(pids(&reply["info"]["started"]), as_i64(&circus.pids("w")));
}

#[test]
fn a_restart_of_all_starts_what_starts_by_itself() {
    let circus = Circus::start(
        "
        [watcher:a]
        cmd = sleep 1000
        [watcher:b]
        cmd = sleep 1000
        [watcher:manual]
        cmd = sleep 1000
        autostart = False
        ",
    );
    let before = [circus.up("a"), circus.up("b"), circus.up("manual")];
    circus.ask("restart", json!({"waiting": true}));
    assert!(circus.pids("a") != before[0] && circus.pids("b") != before[1]);
    assert!(circus.status("manual") == "stopped" && !crate::common::proc::exists(before[2][0]));
}

#[test]
fn a_hangup_reloads_what_runs() {
    let circus = Circus::start(
        "
        [watcher:a]
        cmd = sleep 1000
        [watcher:stopped]
        cmd = sleep 1000
        [watcher:manual]
        cmd = sleep 1000
        autostart = False
        ",
    );
    let before = circus.up("a");
    circus.ask("stop", json!({"name": "stopped", "waiting": true}));
    let mut events = circus.listen(&["watcher."]);
    circus.signal(SIGHUP);
    events.wait("watcher.a.reload");
    assert_eq!(order(&events), ["spawn", "kill", "reap", "reload"]);
    assert_ne!(circus.pids("a"), before);
    let stopped = ["stopped", "manual"].map(|name| circus.status(name));
    assert_eq!(stopped, ["stopped", "stopped"]);
}

#[test]
fn two_reloads_at_once_are_both_answered() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nnumprocesses = 2");
    let before = circus.up("w");
    let mut client = circus.client();
    for id in [1, 2] {
        let properties = json!({"name": "w", "waiting": true});
        client.send_request(&json!({"id": id, "command": "reload", "properties": properties}));
    }
    let mut ids = [client.reply(), client.reply()].map(|reply| {
        assert_eq!(reply["status"], "ok", "{reply}");
        reply["id"].as_i64().expect("an id")
    });
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
    let after = circus.pids("w");
    assert!(after.len() == 2 && before.iter().all(|pid| !after.contains(pid)), "{before:?} {after:?}");
}

#[test]
fn a_stop_overtakes_a_reload() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = sh -c 'trap \"\" TERM; : > {dir}/ready.$(circus.wid); while :; do sleep 1000; done'
        numprocesses = 2
        graceful_timeout = 0.5
        ",
    );
    for wid in ["ready.1", "ready.2"] {
        until("the processes ignore SIGTERM", || exists(&circus.dir.path(wid)).then_some(()));
    }
    let mut client = circus.client();
    client.send_request(&json!({"command": "reload", "properties": {"name": "w", "waiting": true}}));
    until("the new processes are there", || (circus.pids("w").len() == 4).then_some(()));
    circus.ask("stop", json!({"name": "w", "waiting": true}));
    assert_eq!((circus.status("w").as_str(), circus.pids("w").len()), ("stopped", 0));
    let reply = client.reply();
    assert_eq!(
        (reply["errno"].as_i64(), reply["reason"].as_str()),
        (Some(6), Some("'w' was stopped meanwhile"))
    );
}
