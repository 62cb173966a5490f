//! `quit --waiting`: the answer is the end of circus, and of everything that it had made.

use crate::common::{Circus, Dir, exists, proc, until};
use serde_json::json;
use std::net::TcpListener;

/// Whether circus has exited, be it that nobody has asked for its exit code yet.
fn is_gone(circus: &Circus) -> bool {
    matches!(proc::state(circus.pid()), 'Z' | '?')
}

const MADE: [&str; 4] = ["sock", "pubsub", "pid", "web"];

fn ini(cmd: &str) -> String {
    format!(
        "[circus]\nendpoint = {{dir}}/sock\npubsub_endpoint = {{dir}}/pubsub\npidfile = {{dir}}/pid\n\
         [socket:web]\npath = {{dir}}/web\n[socket:port]\nhost = 127.0.0.1\nport = 0\n[watcher:w]\ncmd = {cmd}\n"
    )
}

#[test]
fn quit_waiting_is_answered_when_circus_is_gone() {
    for _ in 0..10 {
        let mut circus = Circus::start(&ini("sleep 1000"));
        circus.up("w");
        assert_eq!(circus.ctl_ok(&["quit", "--waiting"]), "ok");
        assert!(is_gone(&circus));
        assert!(MADE.iter().all(|name| !exists(&circus.dir.path(name))));
        assert_eq!(circus.wait(), 0);
    }
}

/// What has left its session is waited for after the last watcher has stopped.
#[test]
fn what_processes_have_left_behind_ends_before_quit_waiting_is_answered() {
    let dir = Dir::new();
    let stray = dir.script(
        "stray",
        "
        trap 'echo > told; while [ ! -e go ]; do sleep 0.01; done; exit 0' TERM
        echo > ready
        while :; do sleep 0.01; done
        ",
    );
    let script = dir.script("program", &format!("setsid {stray} & exec sleep 1000"));
    let mut circus = Circus::with(dir, &(ini(&script) + "working_dir = {dir}\n"), |_| {});
    circus.up("w");
    let port = circus.ask("listsockets", json!({}))["sockets"][0]["port"].as_u64().expect("a port");
    until("it is there", || exists(&circus.dir.path("ready")).then_some(()));
    let mut client = circus.client();
    client.send_request(&json!({"command": "quit", "properties": {"waiting": true}, "id": "q"}));
    until("it was told to end", || exists(&circus.dir.path("told")).then_some(()));
    // The loop goes on meanwhile, and the answers come in order of completion.
    client.send_request(&json!({"command": "numwatchers", "id": "n"}));
    assert_eq!(client.reply()["id"], "n", "circus has not ended");
    let mut other = circus.client();
    other.send_request(&json!({"command": "quit", "properties": {"waiting": true}, "id": "again"}));
    other.send_request(&json!({"command": "numwatchers", "id": "n"}));
    assert_eq!(other.reply()["id"], "n", "circus has not ended");
    assert!(MADE.iter().all(|name| exists(&circus.dir.path(name))));
    circus.dir.write("go", "");
    for (client, id) in [(&mut client, "q"), (&mut other, "again")] {
        let reply = client.reply();
        assert_eq!((&reply["id"], &reply["status"]), (&json!(id), &json!("ok")));
    }
    assert!(MADE.iter().all(|name| !exists(&circus.dir.path(name))));
    TcpListener::bind(("127.0.0.1", u16::try_from(port).expect("a port"))).expect("it is free");
    assert_eq!(client.line(), None);
    assert_eq!(circus.wait(), 0);
}
