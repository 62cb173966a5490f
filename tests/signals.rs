//! Signals to circus itself.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod common;

use circus::sys::signal::kill;
use common::{Circus, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR2, SIGWINCH, proc};
use serde_json::json;

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
fn the_second_one_does_not_wait() {
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
    circus.signal(SIGINT);
    circus.log.line("[WARNING] asked to end again: SIGKILL for all that is left");
    assert_eq!(events.wait("watcher.w.reap")["exit_code"], -9);
    assert_eq!(circus.wait(), 0);
    assert!(proc::group(pid).is_empty());
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
