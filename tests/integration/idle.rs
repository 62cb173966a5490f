//! An idle circus does nothing: no wake-up, no system call, one thread.

use crate::common::{Circus, proc};
use serde_json::json;
use std::time::Duration;

/// How long circus is watched.
const INTERVAL: Duration = Duration::from_secs(1);

/// A stretch of time in which circus does nothing. Context switches and processor ticks are counted by the kernel, so
/// nothing escapes; only circus itself could make the counters move.
fn does_nothing(circus: &Circus) {
    let before = proc::at_rest(circus.pid());
    std::thread::sleep(INTERVAL);
    assert_eq!(proc::activity(circus.pid()), before, "context switches and ticks");
    assert_eq!(proc::status(circus.pid(), "Threads"), "1");
}

#[test]
fn with_ten_children() {
    let circus = Circus::start(
        "
        [circus]
        check_delay = 0.1
        [socket:s]
        port = 0
        [watcher:plain]
        cmd = sleep 1000
        numprocesses = 4
        [watcher:sockets]
        cmd = sleep 1000
        numprocesses = 3
        use_sockets = True
        [watcher:streams]
        cmd = sh -c 'echo hello; exec sleep 1000'
        numprocesses = 3
        stdout_stream.class = StdoutStream
        stderr_stream.filename = {dir}/log
        ",
    );
    circus.out.times("hello", 3);
    for name in ["plain", "sockets", "streams"] {
        circus.up(name);
    }
    does_nothing(&circus);
    // Nor after a day's work: a reload, a death, a client that stays, and a listener.
    circus.ask("reload", json!({"waiting": true}));
    let mut listener = circus.listen(&[]);
    circus::sys::signal::kill(circus.pids("plain")[0], crate::common::SIGKILL).expect("it runs");
    listener.wait("watcher.plain.spawn");
    let mut client = circus.client();
    assert_eq!(client.call("numprocesses", json!({}))["numprocesses"], 10);
    does_nothing(&circus);
    drop(listener);
}

/// A plugin wakes circus when it looks, and at no other time.
#[test]
fn with_all_plugins_between_their_looks() {
    let classes = [
        "resource_watcher.ResourceWatcher\nwatcher = web",
        "watchdog.WatchDog\nport = 0",
        "command_reloader.CommandReloader",
        "statsd.FullStats",
        "http_observer.HttpObserver",
        "redis_observer.RedisObserver",
    ];
    let mut ini = "[watcher:web]\ncmd = sleep 1000\nnumprocesses = 3\n".to_string();
    for (n, class) in classes.iter().enumerate() {
        ini += &format!("[plugin:{n}]\nuse = circus.plugins.{class}\nloop_rate = 1000\n");
    }
    ini += "[plugin:m]\nuse = circus.plugins.Metrics\nlisten = 127.0.0.1:0\n";
    ini += "[plugin:f]\nuse = circus.plugins.flapping.Flapping\n[plugin:e]\nuse = circus.plugins.statsd.StatsdEmitter\n";
    let circus = Circus::start(&ini);
    circus.up("web");
    assert_eq!(circus.ask("status", json!({}))["statuses"]["plugin:5"], "active");
    does_nothing(&circus);
}

/// The kernel tells what system call a process is in: the wait for events, with no end.
#[test]
fn the_wait_has_no_end() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nnumprocesses = 10");
    circus.up("w");
    proc::at_rest(circus.pid());
    let call = std::fs::read_to_string(format!("/proc/{}/syscall", circus.pid())).expect("root may read it");
    // The number, six arguments, two pointers; the fourth argument is the timeout, -1.
    let timeout = call.split(' ').nth(4).unwrap_or_else(|| panic!("no system call: {call}"));
    assert!(matches!(timeout, "0xffffffff" | "0xffffffffffffffff"), "{call}");
}
