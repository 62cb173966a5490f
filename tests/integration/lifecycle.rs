//! How processes live: they are replaced when they end, started in order, and never in a circle.

use crate::common::{Circus, Dir, SIGKILL, exists, proc, until};
use circus::sys::signal::kill;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_process_that_is_killed_is_replaced() {
    let circus = Circus::start("[watcher:W]\ncmd = sleep 1000\nnumprocesses = 2");
    let before = circus.up("w");
    let mut events = circus.listen(&["watcher.w."]);
    kill(before[0], SIGKILL).expect("it runs");
    let reap = events.wait("watcher.w.reap");
    assert_eq!(
        (reap["process_pid"].as_i64(), reap["exit_code"].as_i64()),
        (Some(before[0].into()), Some(-9))
    );
    let new = events.pid("watcher.w.spawn");
    assert_eq!(circus.pids("w"), [new, before[1]]);
    assert_eq!(circus.status("w"), "active");
    circus.log.line(&format!("W: process {} (wid 1) was killed by SIGKILL", before[0]));
}

#[test]
fn exit_codes_are_told() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = sh -c 'exit 7'
        respawn = False
        autostart = False
        ",
    );
    let mut events = circus.listen(&[]);
    circus.ctl_ok(&["start", "w"]);
    assert_eq!(events.wait("watcher.w.reap")["exit_code"], 7);
    events.wait("watcher.w.stop");
    circus.log.line("(wid 1) exited with code 7");
}

/// The pauses between the attempts are lower bounds, which a slow machine cannot break.
#[test]
fn a_process_that_exits_at_once_comes_back_more_and_more_slowly() {
    let circus = Circus::start("[watcher:loop]\ncmd = sh -c 'exit 3'\nautostart = False");
    let mut events = circus.listen(&["watcher.loop."]);
    let begun = Instant::now();
    circus.ctl_ok(&["start", "loop"]);
    for _ in 0..4 {
        events.wait("watcher.loop.reap");
    }
    assert!(begun.elapsed() >= Duration::from_millis(100 + 200 + 400), "{:?}", begun.elapsed());
    assert_eq!(circus.status("loop"), "active");
}

/// What the FAQ of Circus recommends against flapping.
#[test]
fn warmup_delay_is_the_pace_of_a_flapping_app() {
    let circus = Circus::start(
        "
        [watcher:flapping]
        cmd = sh -c 'exit 1'
        warmup_delay = 0.5
        autostart = False
        ",
    );
    let mut events = circus.listen(&["watcher.flapping.spawn"]);
    let begun = Instant::now();
    circus.ctl_ok(&["start", "flapping"]);
    for _ in 0..3 {
        events.wait("watcher.flapping.spawn");
    }
    assert!(begun.elapsed() >= Duration::from_millis(500 + 500), "{:?}", begun.elapsed());
}

#[test]
fn warmup_delay_lies_between_two_spawns() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = sleep 1000
        numprocesses = 3
        warmup_delay = 0.2
        autostart = False
        ",
    );
    let begun = Instant::now();
    assert_eq!(circus.up("w").len(), 3);
    assert!(begun.elapsed() >= Duration::from_millis(200 + 200), "{:?}", begun.elapsed());
}

#[test]
fn without_respawn_processes_are_gone_until_the_next_start() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nnumprocesses = 2\nrespawn = False");
    let pids = circus.up("w");
    let mut events = circus.listen(&["watcher.w."]);
    kill(pids[0], SIGKILL).expect("it runs");
    events.wait("watcher.w.reap");
    assert_eq!((circus.pids("w"), circus.status("w").as_str()), (vec![pids[1]], "active"));
    // start fills the slot again.
    circus.ctl_ok(&["start", "w"]);
    let new = events.pid("watcher.w.spawn");
    assert_eq!(circus.pids("w"), [new, pids[1]]);
    kill(new, SIGKILL).expect("it runs");
    kill(pids[1], SIGKILL).expect("it runs");
    events.wait("watcher.w.stop");
    assert_eq!(circus.status("w"), "stopped");
    assert_eq!(events.topics().iter().filter(|topic| topic.ends_with("spawn")).count(), 1);
}

#[test]
fn max_retry_is_how_often_a_spawn_is_tried() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = {dir}/program 1000
        max_retry = 2
        ",
    );
    circus.log.line("w: given up after 2 failed starts");
    circus.until_status("w", "stopped");
    assert_eq!(circus.log.count("error in 'w': exec"), 1, "what goes on is said once");
    std::os::unix::fs::symlink("/bin/sleep", circus.dir.path("program")).expect("a link");
    assert_eq!(circus.up("w").len(), 1);
}

#[test]
fn max_retry_of_minus_one_is_for_ever() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = {dir}/program 1000
        max_retry = -1
        ",
    );
    // Somebody who waits is told after five failures, while circus goes on trying.
    let refused = circus.call("start", json!({"name": "w", "waiting": true}));
    assert_eq!((refused["errno"].as_i64(), circus.status("w").as_str()), (Some(6), "starting"));
    let mut events = circus.listen(&["watcher.w."]);
    std::os::unix::fs::symlink("/bin/sleep", circus.dir.path("program")).expect("a link");
    events.wait("watcher.w.start");
    assert_eq!(circus.status("w"), "active");
}

#[test]
fn a_singleton_is_one_process() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nsingleton = True\nnumprocesses = 3");
    let before = circus.up("w");
    assert_eq!(before.len(), 1);
    let mut events = circus.listen(&["watcher.w."]);
    circus.ask("reload", json!({"name": "w", "waiting": true}));
    events.wait("watcher.w.reload");
    let order = ["kill", "reap", "spawn", "reload"].map(|event| format!("watcher.w.{event}"));
    assert_eq!(events.topics(), order, "the old one is gone before the new one comes");
    assert_eq!(circus.pids("w").len(), 1);
}

#[test]
fn a_process_that_is_too_large_with_its_child_is_replaced() {
    let dir = Dir::new();
    let grow = "test -e once && exec sleep 1000\ntouch once\n\
                sh -c 'x=$(head -c 60000000 /dev/zero | tr \"\\0\" x); sleep 1000; echo $x' &\nwait";
    let grow = dir.script("grow", grow);
    let ini = format!(
        "[watcher:grows]\ncmd = {grow}\nworking_dir = {{dir}}\nmax_rss = 30M\nautostart = False\n\
         [watcher:small]\ncmd = sleep 1000\nmax_rss = 30M\n[watcher:any]\ncmd = sleep 1000"
    );
    let circus = Circus::with(dir, &ini, |_| {});
    let others = ["small", "any"].map(|name| circus.up(name));
    let mut events = circus.listen(&["watcher.grows."]);
    circus.ctl_ok(&["start", "grows"]);
    for topic in ["spawn", "start", "kill", "reap", "spawn"] {
        assert_eq!(events.next().0, format!("watcher.grows.{topic}"));
    }
    circus.log.line("M of resident memory, and max_rss is 30M; it is replaced");
    let why = circus.ask("why", json!({"name": "grows"}));
    assert!(why.to_string().contains("too_large"), "{why}");
    assert_eq!(["small", "any"].map(|name| circus.pids(name)), others);
    // It holds for processes that are there already, too.
    circus.ask("set", json!({"name": "any", "options": {"max_rss": "1K"}}));
    until("any is replaced", || (circus.pids("any") != others[1]).then_some(()));
}

#[test]
fn a_process_that_is_too_old_is_replaced() {
    let circus = Circus::start(
        "
        [socket:s]
        port = 0
        [watcher:alone]
        cmd = sleep 1000
        max_age = 1
        max_age_variance = 0
        autostart = False
        [watcher:sharing]
        cmd = sleep 1000
        use_sockets = True
        max_age = 1
        max_age_variance = 0
        autostart = False
        ",
    );
    for (name, order) in [
        ("alone", ["spawn", "start", "kill", "reap", "spawn"]),
        // With sockets the successor is there first, so that no connection waits.
        ("sharing", ["spawn", "start", "spawn", "kill", "reap"]),
    ] {
        let topic = format!("watcher.{name}.");
        let mut events = circus.listen(&[&topic]);
        let begun = Instant::now();
        circus.ctl_ok(&["start", name]);
        while events.seen.len() < order.len() {
            events.next();
        }
        assert!(begun.elapsed() >= Duration::from_secs(1));
        assert_eq!(events.topics(), order.map(|event| topic.clone() + event));
        assert_ne!(events.seen[0].1["process_pid"], circus.pids(name)[0]);
        circus.ask("stop", json!({"name": name, "waiting": true}));
    }
}

#[test]
fn a_watcher_without_processes_is_stopped_until_it_is_to_have_some() {
    let circus = Circus::start(
        "[watcher:w]\ncmd = sleep 1000\nnumprocesses = 0\n\
         [watcher:one]\ncmd = sleep 1000\nnumprocesses = 0\nsingleton = True",
    );
    circus.log.line("[WARNING] w: numprocesses is 0");
    circus.until_status("w", "stopped");
    assert_eq!(circus.ctl_ok(&["incr", "w", "2", "--waiting"]), "2");
    assert_eq!((circus.status("w").as_str(), circus.pids("w").len()), ("active", 2));
    circus.until_status("one", "stopped");
    circus.ctl_ok(&["set", "one", "numprocesses", "1", "--waiting"]);
    assert_eq!((circus.status("one").as_str(), circus.pids("one").len()), ("active", 1));
    // What somebody has stopped stays so, whatever number it is given.
    circus.ask("stop", json!({"name": "w", "waiting": true}));
    assert_eq!(circus.ctl_ok(&["incr", "w"]), "ok");
    assert_eq!(circus.status("w"), "stopped");
}

#[test]
fn watchers_start_by_priority_and_end_the_other_way() {
    let mut circus = Circus::start(
        "
        [circus]
        warmup_delay = 0.2
        [watcher:low]
        cmd = sleep 1000
        priority = -1
        [watcher:a]
        cmd = sleep 1000
        [watcher:high]
        cmd = sleep 1000
        priority = 10
        [watcher:never]
        cmd = sleep 1000
        priority = 20
        autostart = False
        ",
    );
    circus.log.line("low started");
    let log = circus.log.text();
    let started: Vec<_> =
        log.lines().filter_map(|line| line.strip_suffix(" started")?.split(' ').next_back()).collect();
    assert_eq!(started, ["high", "a", "low"]);
    let mut events = circus.listen(&["watcher."]);
    circus.end();
    let killed: Vec<_> = (0..3).map(|_| kind(&mut events, ".kill")).collect();
    assert_eq!(killed, ["watcher.low.kill", "watcher.a.kill", "watcher.high.kill"]);
}

/// The topic of the next event of a kind.
fn kind(events: &mut crate::common::client::Events, ending: &str) -> String {
    loop {
        let (topic, _) = events.next();
        if topic.ends_with(ending) {
            return topic;
        }
    }
}

/// A lower bound.
#[test]
fn the_warmup_delay_of_circus_lies_between_two_watchers() {
    let begun = Instant::now();
    let circus = Circus::start(
        "
        [circus]
        warmup_delay = 0.2
        [watcher:a]
        cmd = sleep 1000
        [watcher:b]
        cmd = sleep 1000
        [watcher:c]
        cmd = sleep 1000
        ",
    );
    circus.log.line("c started");
    assert!(begun.elapsed() >= Duration::from_millis(200 + 200), "{:?}", begun.elapsed());
}

#[test]
fn the_trouble_of_one_watcher_delays_no_other() {
    let circus = Circus::start(
        "
        [watcher:bad]
        cmd = /no/such/program
        max_retry = -1
        priority = 20
        [watcher:crashing]
        cmd = sh -c 'exit 1'
        priority = 15
        [watcher:slow]
        cmd = sleep 1000
        numprocesses = 2
        warmup_delay = 1000
        priority = -10
        [watcher:good]
        cmd = sleep 1000
        ",
    );
    circus.log.line("good started");
    assert_eq!(circus.log.count("given up"), 0);
    assert_eq!(circus.status("slow"), "starting");
    // One that would take a thousand seconds to start can be stopped at any time.
    let reply = circus.ask("stop", json!({"name": "slow", "waiting": true}));
    assert_eq!((reply["status"].as_str(), circus.status("slow").as_str()), (Some("ok"), "stopped"));
}

#[test]
fn orphans_are_reaped() {
    let dir = Dir::new();
    // The orphan leaves its session, so that it belongs to no group that circus knows.
    let parent = dir.script("parent", "setsid sh -c 'sleep 0.05; : > done' & sleep 0.01; exec sleep 1000");
    let ini = format!("[watcher:w]\ncmd = {parent}\nworking_dir = {{dir}}");
    let circus = Circus::with(dir, &ini, |_| {});
    let parent = circus.up("w")[0];
    crate::common::until("the orphan has ended", || exists(&circus.dir.path("done")).then_some(()));
    kill(parent, SIGKILL).expect("it runs");
    crate::common::until("circus has one child, and no zombie", || {
        let children = proc::children(circus.pid());
        (children.len() == 1 && children != [parent] && proc::exists(children[0])).then_some(())
    });
}
