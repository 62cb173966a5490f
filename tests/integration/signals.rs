//! Signals to circus itself.

use crate::common::{
    Circus, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, exists, proc, until,
};
use circus::sys::signal::kill;
use serde_json::json;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn three_signals_end_it_in_order() {
    for signum in [SIGTERM, SIGINT, SIGQUIT] {
        let mut circus = Circus::start(
            "[watcher:w]\ncmd = sleep 1000\nnumprocesses = 3\n[watcher:off]\ncmd = sleep 1\nautostart = False",
        );
        let pids = circus.up("w");
        let mut events = circus.listen(&[]);
        circus.signal(signum);
        events.wait("watcher.w.stop");
        assert_eq!(events.topics().iter().filter(|topic| **topic == "watcher.w.reap").count(), 3);
        assert_eq!(circus.wait(), 0);
        assert!(pids.iter().all(|pid| !proc::exists(*pid)));
        circus.log.line("circus has ended");
    }
}

#[test]
fn a_second_one_after_a_second_does_not_wait() {
    let mut circus = Circus::start(
        "
        [watcher:w]
        cmd = sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1000; done'
        graceful_timeout = 1000
        ",
    );
    circus.out.line("ready");
    let pid = circus.pids("w")[0];
    let mut events = circus.listen(&[]);
    circus.signal(SIGTERM);
    events.wait("watcher.w.kill");
    assert_eq!(circus.status("w"), "stopping");
    let refused = circus.call("start", json!({"name": "w"}));
    assert_eq!((&refused["errno"], &refused["reason"]), (&json!(5), &json!("circus is stopping")));
    // Those that come within the first second are the same request; how many of them there are depends on the machine.
    until("circus takes one for a hurry", || {
        circus.signal(SIGINT);
        circus
            .log
            .text()
            .contains("[WARNING] second request to stop: killing all remaining processes")
            .then_some(())
    });
    assert_eq!(events.wait("watcher.w.reap")["exit_code"], -9);
    assert_eq!(circus.wait(), 0);
    assert!(proc::group(pid).is_empty());
}

#[test]
fn two_that_come_together_are_one_request() {
    for second in [SIGTERM, SIGINT, SIGQUIT] {
        let mut circus = Circus::start(
            "
            [watcher:w]
            cmd = sh -c 'trap \"echo saved; exit 0\" TERM; echo ready; while :; do sleep 0.01; done'
            graceful_timeout = 1000
            ",
        );
        circus.out.line("ready");
        circus.signal(SIGTERM);
        circus.signal(second);
        circus.out.line("saved");
        assert_eq!(circus.wait(), 0);
        assert!(!circus.log.text().contains("second request to stop"));
    }
}

#[test]
fn others_are_harmless() {
    let mut circus = Circus::start("[watcher:w]\ncmd = sleep 1000");
    let before = circus.up("w");
    for (signum, name) in [(SIGUSR2, "SIGUSR2"), (SIGWINCH, "SIGWINCH")] {
        circus.signal(signum);
        circus.log.line(&format!("Got signal {name}"));
    }
    // SIGPIPE, which every program that writes to a broken pipe gets.
    kill(circus.pid(), 13).expect("it runs");
    assert_eq!(circus.pids("w"), before);
    circus.end();
}

#[test]
fn it_hears_signals_that_its_parent_had_blocked_or_ignored() {
    let mut circus = Circus::wrapped(
        "exec env --block-signal=CHLD,TERM --ignore-signal=CHLD,INT \"$@\"",
        "[watcher:w]\ncmd = sleep 1000",
    );
    let pid = circus.up("w")[0];
    let mut events = circus.listen(&["watcher.w"]);
    kill(pid, SIGKILL).expect("it runs");
    assert_eq!(events.wait("watcher.w.reap")["exit_code"], -9);
    circus.signal(SIGTERM);
    assert_eq!(circus.wait(), 0);
}

#[test]
fn a_control_socket_that_was_removed_comes_back() {
    let mut circus = Circus::start(
        "[circus]\nendpoint = {dir}/sock\npubsub_endpoint = ipc://{dir}/pubsub\nendpoint_mode = 0660\n\
         [watcher:w]\ncmd = sleep 1000",
    );
    let mut early = circus.client();
    for name in ["sock", "pubsub"] {
        std::fs::remove_file(circus.dir.path(name)).expect("it was there");
    }
    circus.signal(SIGUSR1);
    for name in ["pubsub", "sock"] {
        circus.log.line(&format!("{name} had been removed; it is there again"));
        let mode = std::fs::metadata(circus.dir.path(name)).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o660, "{name}");
    }
    assert_eq!(circus.status("w"), "active");
    assert_eq!(early.call("numwatchers", json!({}))["numwatchers"], 1);
    // One that is there is left alone.
    let inode = || std::fs::metadata(circus.dir.path("sock")).expect("a socket").ino();
    let before = inode();
    circus.signal(SIGUSR1);
    circus.log.line("log files reopened");
    assert_eq!((circus.status("w").as_str(), inode()), ("active", before));
    circus.signal(SIGTERM);
    assert_eq!(circus.wait(), 0);
    assert!(!exists(&circus.dir.path("sock")) && !exists(&circus.dir.path("pubsub")));
}
