//! What subscribers are told: every event with its topic and its data, also where Circus forgets one.

use crate::common::client::Events;
use crate::common::{Circus, SIGKILL, proc, until};
use circus::sys::signal;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// Reads events until all of these topics, and no others, came so often.
fn collect(events: &mut Events, wanted: &[(&str, usize)]) {
    let all = wanted.iter().map(|(_, times)| times).sum();
    while events.seen.len() < all {
        events.next();
    }
    let count = |topic: &str| events.seen.iter().filter(|(seen, _)| seen == topic).count();
    let found: Vec<(&str, usize)> = wanted.iter().map(|(topic, _)| (*topic, count(topic))).collect();
    assert_eq!(found, wanted, "{:?}", events.seen);
}

fn keys(data: &Json) -> BTreeSet<&str> {
    data.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn every_event_of_a_life_has_its_data() {
    let circus = Circus::start("");
    let mut events = circus.listen(&[]);
    let options = json!({"numprocesses": 1});
    circus.ask("add", json!({"name": "My Web", "cmd": "sleep 1000", "options": options, "start": true}));
    let pid = events.pid("watcher.my_web.spawn");
    events.wait("watcher.my_web.start");
    circus.ask(
        "set",
        json!({"name": "my web", "options": {"max_retry": 3, "warmup_delay": 0}, "waiting": true}),
    );
    circus.ask("rm", json!({"name": "my web", "waiting": true}));
    events.wait("watcher.my_web.stop");
    let order: Vec<&str> = events.topics().iter().map(|t| t.rsplit('.').next().unwrap()).collect();
    assert_eq!(order, ["add", "spawn", "start", "updated", "updated", "remove", "kill", "reap", "stop"]);
    for (topic, data) in &events.seen {
        let wanted: &[&str] = match topic.rsplit('.').next().unwrap() {
            "spawn" | "kill" => &["process_pid", "time"],
            "reap" => &["exit_code", "process_pid", "time"],
            _ => &["time"],
        };
        assert_eq!(keys(data), wanted.iter().copied().collect(), "{topic}");
        assert!(data["time"].as_f64() > Some(1.7e9), "{topic}");
        assert!(data["process_pid"].is_null() || data["process_pid"] == pid, "{topic}");
    }
    assert_eq!(events.seen[7].1["exit_code"], -15);
}

#[test]
fn a_graceful_reload_reaps_what_circus_forgets() {
    let circus = Circus::start("[watcher:web]\ncmd = sleep 1000\nnumprocesses = 2");
    let old = circus.up("web");
    let mut events = circus.listen(&["watcher.web."]);
    circus.ask("reload", json!({"name": "web", "waiting": true}));
    events.wait("watcher.web.reload");
    let web = |event: &str| format!("watcher.web.{event}");
    collect(&mut events, &[(&web("spawn"), 2), (&web("kill"), 2), (&web("reap"), 2), (&web("reload"), 1)]);
    let reaped = events.seen.iter().filter(|(topic, _)| *topic == web("reap"));
    let reaped: BTreeSet<i64> = reaped.map(|(_, data)| data["process_pid"].as_i64().unwrap()).collect();
    assert_eq!(reaped, old.iter().map(|pid| i64::from(*pid)).collect());
}

#[test]
fn fewer_processes_and_old_ones_are_reaped_too() {
    let circus = Circus::start(
        "[watcher:few]
        cmd = sleep 1000
        numprocesses = 2
        [watcher:old]
        cmd = sleep 1000
        max_age = 1
        max_age_variance = 0",
    );
    circus.up("few");
    let mut events = circus.listen(&["watcher.few"]);
    circus.ask("decr", json!({"name": "few", "waiting": true}));
    let killed = events.pid("watcher.few.kill");
    assert_eq!(events.pid("watcher.few.reap"), killed);
    let mut events = circus.listen(&["watcher.old"]);
    let killed = events.pid("watcher.old.kill");
    let data = events.wait("watcher.old.reap");
    assert_eq!((data["process_pid"].as_i64(), &data["exit_code"]), (Some(killed.into()), &json!(-15)));
    assert_ne!(events.pid("watcher.old.spawn"), killed);
}

#[test]
fn a_process_that_is_killed_has_two_kills_and_its_children_have_one() {
    let circus = Circus::start(
        "[watcher:deaf]
        cmd = sh -c \"trap '' TERM; echo ready; while :; do sleep 1000; done\"
        graceful_timeout = 0.2
        [watcher:family]
        cmd = sh -c 'sleep 1000 & wait'
        stop_children = True",
    );
    let pid = circus.up("deaf")[0];
    circus.out.line("ready");
    let mut events = circus.listen(&["watcher.deaf"]);
    circus.ask("stop", json!({"name": "deaf", "waiting": true}));
    events.wait("watcher.deaf.stop");
    collect(&mut events, &[("watcher.deaf.kill", 2), ("watcher.deaf.reap", 1), ("watcher.deaf.stop", 1)]);
    assert!(events.seen[..3].iter().all(|(_, data)| data["process_pid"] == pid));
    let family = circus.up("family")[0];
    let child = until("a child", || proc::children(family).first().copied());
    let mut events = circus.listen(&["watcher.family.kill"]);
    circus.ask("stop", json!({"name": "family", "waiting": true}));
    let killed: BTreeSet<i32> = [events.pid("watcher.family.kill"), events.pid("watcher.family.kill")].into();
    assert_eq!(killed, [family, child].into());
}

#[test]
fn a_death_tells_its_signal_and_only_those_are_told_who_want_it() {
    let circus = Circus::start("[watcher:a]\ncmd = sleep 1000\n[watcher:b]\ncmd = sleep 1000");
    let (a, b) = (circus.up("a")[0], circus.up("b")[0]);
    let mut events = circus.listen(&["watcher.b.reap", "nothing"]);
    signal::kill(a, SIGKILL).unwrap();
    signal::kill(b, SIGKILL).unwrap();
    let (topic, data) = events.next();
    assert_eq!(
        (topic.as_str(), &data["exit_code"], &data["process_pid"]),
        ("watcher.b.reap", &json!(-9), &json!(b))
    );
}
