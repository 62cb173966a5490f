//! What a client may ask of circus has bounds, and who asks less is not held up by it.

use crate::common::{Circus, proc};
use serde_json::json;
use std::io::Write;

#[test]
fn a_pattern_of_any_size_is_answered_in_few_words() {
    let circus = Circus::start("[watcher:a]\ncmd = sleep 1000\n");
    circus.up("a");
    let long = "ab|".repeat(300_000);
    for how in ["glob", "regex", "simple"] {
        let reply = circus.call("stop", json!({"name": long, "match": how}));
        assert_eq!(reply["status"], "error", "{how}");
        assert!(reply["reason"].as_str().expect("a reason").len() < 500, "{how}");
    }
    assert_eq!(circus.ctl_ok(&["status", "a"]), "active");
}

/// A watcher that does not stop when it is asked to, so that whoever waits for that waits long.
const STUBBORN: &str = "
    [watcher:w]
    cmd = sh -c 'trap \"\" TERM; while :; do sleep 1000; done'
    graceful_timeout = 1000
    ";

#[test]
fn what_a_waiting_client_calls_its_request_is_kept_in_little_memory() {
    let circus = Circus::start(STUBBORN);
    circus.up("w");
    let mut client = circus.client();
    for (before, value, behind) in [("[", "0,", "0]"), ("[", "{},", "0]"), ("\"", "xy", "\"")] {
        let id = format!("{before}{}{behind}", value.repeat(1_000_000 / value.len()));
        for _ in 0..20 {
            client.send(format!(
                r#"{{"id":{id},"command":"stop","properties":{{"name":"w","waiting":true}}}}"#
            ));
            client.send("\n");
            let reply = client.reply();
            assert_eq!((&reply["status"], &reply["id"]), (&json!("error"), &json!(null)));
        }
    }
    let most = proc::most_memory(circus.pid());
    assert!(most < 48 << 20, "{most} bytes");
    client.send_request(&json!({"id": "short", "command": "numwatchers"}));
    assert_eq!(client.reply()["id"], "short");
}

#[test]
fn many_keys_and_topics_are_refused() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\n");
    for (command, list) in [("get", "keys"), ("listen", "topics")] {
        for count in [2_000, 125_000] {
            let reply = circus.call(command, json!({"name": "w", list: vec!["cmd"; count]}));
            assert_eq!(reply["status"], "error", "{command} with {count}");
        }
        let reply = circus.call(command, json!({"name": "w", list: vec!["cmd"; 1_000]}));
        assert_eq!(reply["status"], "ok", "{command}: {reply}");
    }
    let reply = circus.call("listen", json!({"topics": ["x".repeat(2_000)]}));
    assert_eq!(reply["reason"], "'topics' has one of more than 1024 bytes");
}

#[test]
fn a_text_that_no_program_can_be_given_is_refused() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\n");
    let long = "b ".repeat(200_000);
    for key in ["cmd", "args", "working_dir", "stop_command", "stdout_stream.filename"] {
        let reply = circus.call("set", json!({"name": "w", "options": {key: long}}));
        assert_eq!(reply["reason"], format!("'{key}' isn't a text of at most 131072 bytes"));
    }
    for (cmd, args) in [(long.as_str(), json!(null)), ("sleep", json!([long])), ("sleep", json!(long))] {
        let reply = circus.call("add", json!({"name": "x", "cmd": cmd, "args": args}));
        assert_eq!(reply["status"], "error");
    }
    for key in ["after", "requires", "sockets", "success_codes"] {
        let reply = circus.call("set", json!({"name": "w", "options": {key: "1 ".repeat(2_000)}}));
        assert_eq!(reply["reason"], format!("{key} has more than 1000 words"));
    }
}

#[test]
fn an_option_of_a_stream_that_is_set_to_its_default_can_be_asked_for() {
    let circus = Circus::start(
        "[watcher:w]\ncmd = sleep 1000\nstdout_stream.filename = {dir}/out\nstdout_stream.backup_count = 0\n",
    );
    assert_eq!(circus.ctl_ok(&["get", "w", "stdout_stream.backup_count"]), "stdout_stream.backup_count: 0");
}

#[test]
fn half_lines_of_many_clients_together_have_a_bound() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\n");
    let half = vec![b'x'; 1_000_000];
    let mut clients = Vec::new();
    for _ in 0..150 {
        let client = circus.client();
        // Who takes too much is hung up on.
        let _ = (&mut client.stream()).write_all(&half);
        clients.push(client);
        assert_eq!(circus.ask("numwatchers", json!({}))["numwatchers"], 1);
    }
    let most = proc::most_memory(circus.pid());
    assert!(most < 100 << 20, "{most} bytes");
    assert_eq!(circus.log.count("clients take too much memory"), 1);
}

#[test]
fn what_was_answered_takes_no_memory() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\n");
    let name = "x".repeat(1_000_000);
    let mut clients = Vec::new();
    for _ in 0..150 {
        let mut client = circus.client();
        assert_eq!(client.call("status", json!({"name": name}))["status"], "error");
        clients.push(client);
    }
    let most = proc::most_memory(circus.pid());
    assert!(most < 48 << 20, "{most} bytes");
    assert!(clients.iter_mut().all(|client| client.call("numwatchers", json!({}))["status"] == "ok"));
}

/// Circus with places for some hundred connections.
fn with_few_places(ini: &str) -> Circus {
    Circus::wrapped("ulimit -n 256\nexec \"$@\"", ini)
}

#[test]
fn a_client_that_takes_all_the_places_it_can_leaves_some_to_others() {
    let circus = with_few_places("[watcher:w]\ncmd = sleep 1000\n");
    let mut clients = Vec::new();
    let refused = loop {
        let mut client = circus.client();
        // It may be refused and hung up on before it has sent anything.
        let _ = client.stream().write_all(b"{\"command\": \"listen\"}\n");
        let reply = client.reply();
        if reply["status"] == "error" {
            break reply;
        }
        clients.push(client);
    };
    assert!((100..220).contains(&clients.len()), "{}", clients.len());
    assert_eq!(refused["reason"], "there are too many control connections of one user or process");
    assert_eq!(circus.ctl_ok(&["numwatchers"]), "1", "another process has a place");
}
