//! The control protocol: shapes of replies, requests that overlap, events, and clients that misbehave.

use crate::common::client::Client;
use crate::common::{Circus, until};
use serde_json::{Value as Json, json};
use std::io::Write;
use std::net::Shutdown;

fn keys(reply: &Json) -> Vec<&str> {
    let mut keys: Vec<_> = reply.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn one() -> Circus {
    let circus = Circus::start("[watcher:W]\ncmd = sleep 1000");
    circus.up("w");
    circus
}

/// A watcher whose processes take their time to end: half a second.
const STUBBORN: &str = "
    [watcher:w]
    cmd = sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1000; done'
    graceful_timeout = 0.5
    ";

#[test]
fn replies_have_the_shapes_of_circus() {
    let circus = one();
    let pid = circus.pids("w")[0];
    let reply = circus.call("list", json!({"name": "w"}));
    assert_eq!(keys(&reply), ["id", "pids", "status", "time"]);
    assert_eq!((&reply["status"], &reply["id"], &reply["pids"]), (&json!("ok"), &Json::Null, &json!([pid])));
    assert!(reply["time"].as_f64() > Some(1.6e9));
    let reply = circus.call("status", json!({"name": "w"}));
    assert_eq!((keys(&reply), &reply["status"]), (vec!["id", "status", "time"], &json!("active")));
    let reply = circus.call("status", json!({}));
    assert_eq!(
        (keys(&reply), &reply["statuses"]),
        (vec!["id", "status", "statuses", "time"], &json!({"W": "active"}))
    );
    let reply = circus.call("numprocesses", json!({"name": "W"}));
    assert_eq!((&reply["numprocesses"], &reply["watcher_name"]), (&json!(1), &json!("W")));
    let reply = circus.call("stats", json!({"name": "W", "process": pid}));
    assert_eq!(keys(&reply), ["id", "info", "process", "status", "time"]);
    let facts =
        ["age", "children", "cmdline", "cpu", "create_time", "ctime", "mem", "mem_info1", "mem_info2"];
    let rest = ["nice", "pid", "started", "username", "wid"];
    assert_eq!(keys(&reply["info"]), [&facts[..], &rest].concat());
    let reply = circus.call("stop", json!({"name": "w", "waiting": true}));
    assert_eq!((keys(&reply), &reply["info"]), (vec!["id", "info", "status", "time"], &Json::Null));
    let reply = circus.call("start", json!({"name": "w", "waiting": true}));
    assert_eq!(reply["info"], json!({"started": circus.pids("w"), "kept": []}));
    assert_eq!(keys(&circus.call("start", json!({"name": "w"}))), ["id", "status", "time"]);
    let reply = circus.call("list", json!({"name": "none"}));
    assert_eq!(keys(&reply), ["errno", "id", "reason", "status", "tb", "time"]);
    assert_eq!((&reply["status"], &reply["errno"], &reply["tb"]), (&json!("error"), &json!(3), &Json::Null));
}

#[test]
fn an_id_comes_back_as_it_went() {
    let circus = one();
    let mut client = circus.client();
    for id in [json!(1), json!("x"), json!([1, {"a": null}]), json!(-0.5), json!("ü\u{0}\"")] {
        client.send_request(&json!({"id": id, "command": "LIST"}));
        assert_eq!(client.reply()["id"], id);
        client.send_request(&json!({"id": id, "command": "nonsense"}));
        let reply = client.reply();
        assert_eq!((&reply["id"], &reply["errno"]), (&id, &json!(2)));
    }
}

#[test]
fn what_is_no_request_has_its_error() {
    let circus = one();
    let mut client = circus.client();
    let mut refused = |line: &str| {
        client.send(format!("{line}\n"));
        let reply = client.reply();
        assert_eq!(reply["status"], "error", "{line}: {reply}");
        (reply["errno"].as_i64().expect("a number"), reply["reason"].as_str().expect("a reason").to_string())
    };
    for line in ["nonsense", "{", "{\"command\":", "\u{0}", "GET / HTTP/1.1\r", "[1", "'x'"] {
        assert_eq!(refused(line), (1, "json invalid".into()), "{line}");
    }
    for line in ["[]", "1", "null", "\"list\"", "[{\"command\": \"list\"}]"] {
        assert_eq!(refused(line), (1, "json invalid: it is not an object".into()), "{line}");
    }
    let missing = (3, "message invalid 'command' is missing".to_string());
    for line in ["{}", "{\"command\": null}", "{\"cmd\": \"list\"}"] {
        assert_eq!(refused(line), missing, "{line}");
    }
    assert_eq!(refused("{\"command\": 7}"), (3, "'command' isn't a string".into()));
    assert_eq!(refused("{\"command\": \"frob\"}"), (2, "unknown command: 'frob'".into()));
    assert_eq!(refused("{\"command\": \"list\", \"properties\": []}").0, 3);
    assert_eq!(refused("{\"command\": \"rm\"}"), (3, "message invalid 'name' is missing".into()));
    assert_eq!(
        refused("{\"command\": \"rm\", \"properties\": {\"name\": 1}}"),
        (3, "'name' isn't a string".into())
    );
    let deep = format!("{{\"id\": {}", "[".repeat(100_000));
    assert_eq!(refused(&deep), (1, "json invalid".into()));
    // Bytes that are no UTF-8, and empty lines, which are nothing.
    client.send(b"{\"command\": \"\xff\"}\n\n\r\n{\"command\": \"numwatchers\"}\n");
    assert_eq!(client.reply()["errno"], 1);
    assert_eq!(client.reply()["numwatchers"], 1);
}

#[test]
fn a_cast_is_never_answered() {
    let circus = one();
    let mut client = circus.client();
    for request in [
        json!({"command": "list", "msg_type": "cast"}),
        json!({"command": "nonsense", "msg_type": "cast"}),
        json!({"command": "incr", "properties": {"name": "w"}, "msg_type": "cast"}),
        json!({"command": "stop", "properties": {"name": "none"}, "msg_type": "cast"}),
        json!({"command": "numwatchers", "id": "the only reply"}),
    ] {
        client.send_request(&request);
    }
    assert_eq!(client.reply()["id"], "the only reply");
    until("the cast has been obeyed", || (circus.pids("w").len() == 2).then_some(()));
}

#[test]
fn many_requests_in_one_write_are_answered_in_their_order() {
    let circus = one();
    let mut client = circus.client();
    let request = |id: usize| format!("{{\"id\": {id}, \"command\": \"status\"}}\n");
    client.send((0..1000).map(request).collect::<String>());
    for id in 0..1000 {
        assert_eq!(client.reply()["id"], id);
    }
    // And one request in many writes.
    for byte in request(7).bytes() {
        client.send([byte]);
    }
    assert_eq!(client.reply()["id"], 7);
}

#[test]
fn questions_are_answered_while_an_order_is_carried_out() {
    let circus = Circus::start(STUBBORN);
    circus.out.line("ready");
    let mut client = circus.client();
    client.send_request(
        &json!({"id": "slow", "command": "stop", "properties": {"name": "w", "waiting": true}}),
    );
    client.send_request(&json!({"id": "quick", "command": "status", "properties": {"name": "w"}}));
    let quick = client.reply();
    assert_eq!((&quick["id"], &quick["status"]), (&json!("quick"), &json!("stopping")));
    assert_eq!(client.reply()["id"], "slow");
}

#[test]
fn no_command_is_refused_because_another_runs() {
    let circus = Circus::start(&format!("{STUBBORN}\n[watcher:other]\ncmd = sleep 1000"));
    circus.out.line("ready");
    circus.up("other");
    let mut slow = circus.client();
    slow.send_request(&json!({"command": "stop", "properties": {"name": "w", "waiting": true}}));
    circus.until_status("w", "stopping");
    for (command, properties) in [
        ("incr", json!({"name": "w", "nb": 2})),
        ("decr", json!({"name": "w"})),
        ("set", json!({"name": "w", "options": {"max_retry": 9}})),
        ("reload", json!({"name": "w"})),
        ("kill", json!({"name": "w"})),
        ("signal", json!({"name": "w", "signum": "CONT"})),
        ("add", json!({"name": "new", "cmd": "sleep 1000", "start": true, "waiting": true})),
        ("incr", json!({"name": "other", "waiting": true})),
        ("restart", json!({"name": "other", "waiting": true})),
        ("rm", json!({"name": "new", "waiting": true})),
    ] {
        circus.ask(command, properties);
    }
    assert_eq!(circus.pids("other").len(), 2);
    assert_eq!(slow.reply()["status"], "ok");
}

#[test]
fn a_stop_overtakes_a_start() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = sleep 1000
        numprocesses = 3
        warmup_delay = 1000
        ",
    );
    until("the first process is there", || (circus.pids("w").len() == 1).then_some(()));
    let mut starting = circus.client();
    starting.send_request(&json!({"command": "start", "properties": {"name": "w", "waiting": true}}));
    circus.ask("stop", json!({"name": "w", "waiting": true}));
    let reply = starting.reply();
    assert_eq!((&reply["errno"], &reply["reason"]), (&json!(6), &json!("'w' was stopped meanwhile")));
    assert_eq!(circus.pids("w"), [0; 0]);
}

#[test]
fn a_reply_goes_out_though_the_client_sends_no_more() {
    let circus = Circus::start(STUBBORN);
    circus.out.line("ready");
    let mut client = circus.client();
    client.send_request(&json!({"command": "stop", "properties": {"name": "w", "waiting": true}}));
    client.stream().shutdown(Shutdown::Write).expect("open");
    assert_eq!(client.reply()["status"], "ok");
    assert_eq!(client.line(), None);
}

#[test]
fn a_client_that_has_gone_harms_nothing() {
    let circus = Circus::start(STUBBORN);
    circus.out.line("ready");
    for _ in 0..20 {
        let mut client = circus.client();
        client.send_request(&json!({"command": "stop", "properties": {"name": "w", "waiting": true}}));
    }
    circus.until_status("w", "stopped");
    assert_eq!(circus.ask("numwatchers", json!({}))["numwatchers"], 1);
}

#[test]
fn half_a_line_is_no_request() {
    let circus = one();
    let mut client = circus.client();
    client.send("{\"command\": \"quit\"}");
    client.stream().shutdown(Shutdown::Write).expect("open");
    let reply = client.reply();
    assert_eq!(
        (&reply["errno"], &reply["reason"]),
        (&json!(1), &json!("json invalid: the line has no newline"))
    );
    assert_eq!(client.line(), None);
    // The same, by a client that does not wait for the answer.
    circus.client().send("{\"command\": \"quit\"}");
    assert_eq!(circus.status("w"), "active");
}

#[test]
fn listeners_get_the_topics_that_they_want() {
    let circus = Circus::start(
        "[watcher:My Web]\ncmd = sleep 1000\nautostart = False\n[watcher:b]\ncmd = sleep 1000\nautostart = False",
    );
    let mut all = circus.listen(&[]);
    let mut empty = circus.listen(&[""]);
    let mut web = circus.listen(&["watcher.my_web.spawn", "watcher.my_web.reap"]);
    let pid = circus.up("my web")[0];
    circus.up("b");
    circus.ask("set", json!({"name": "b", "options": {"max_retry": 9}}));
    circus.ask("stop", json!({"name": "My Web", "waiting": true}));
    circus.ask("rm", json!({"name": "b", "waiting": true}));
    let expected = [
        "my_web.spawn",
        "my_web.start",
        "b.spawn",
        "b.start",
        "b.updated",
        "my_web.kill",
        "my_web.reap",
        "my_web.stop",
        "b.remove",
        "b.kill",
        "b.reap",
        "b.stop",
    ]
    .map(|topic| format!("watcher.{topic}"));
    for events in [&mut all, &mut empty] {
        events.wait("watcher.b.stop");
        assert_eq!(events.topics(), expected);
    }
    web.wait("watcher.my_web.reap");
    assert_eq!(web.topics(), ["watcher.my_web.spawn", "watcher.my_web.reap"]);
    let (spawn, reap) = (&web.seen[0].1, &web.seen[1].1);
    assert_eq!((keys(spawn), &spawn["process_pid"]), (vec!["process_pid", "time"], &json!(pid)));
    assert_eq!((keys(reap), &reap["exit_code"]), (vec!["exit_code", "process_pid", "time"], &json!(-15)));
    // A connection that listens may ask as well.
    let mut client = circus.client();
    assert_eq!(client.call("listen", json!({"topics": ["x"]}))["status"], "ok");
    assert_eq!(client.call("numwatchers", json!({}))["numwatchers"], 1);
}

/// Sends requests until circus takes no more from this client.
fn overfill(client: &mut Client, request: &str) {
    client.stream().set_nonblocking(true).expect("a socket");
    let all = request.repeat(1000);
    let mut sent = 0;
    until("circus reads no more from a client that does not read", || {
        match std::io::Write::write(&mut client.stream(), &all.as_bytes()[sent % request.len()..]) {
            Ok(length) => {
                sent += length;
                None
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(()),
            Err(error) => panic!("{error}"),
        }
    });
    client.stream().set_nonblocking(false).expect("a socket");
}

#[test]
fn a_client_that_never_reads_is_no_longer_read() {
    let circus = one();
    let mut greedy = circus.client();
    overfill(&mut greedy, "{\"command\": \"options\", \"properties\": {\"name\": \"w\"}}\n");
    // Others are served as ever, and circus sleeps meanwhile.
    assert_eq!(circus.status("w"), "active");
    crate::common::proc::at_rest(circus.pid());
    // It may change its mind.
    assert_eq!(greedy.reply()["options"]["cmd"], "sleep 1000");
}

#[test]
fn clients_leave_some_descriptors_to_the_processes() {
    let circus = Circus::wrapped(
        "ulimit -n 64\nexec \"$@\"",
        "[watcher:w]\ncmd = sleep 1000\nstdout_stream.class = QueueStream",
    );
    let pid = circus.up("w")[0];
    let mut many: Vec<Client> = (0..64).map(|_| circus.client()).collect();
    let mut refused = 0;
    for client in &mut many {
        let _ = client.stream().write_all(b"{\"command\": \"numwatchers\"}\n"); // it may be closed already
        refused += i32::from(client.reply()["errno"] == 5);
    }
    assert!((1..50).contains(&refused), "{refused} of 64");
    // Those that are served go on, and so does the respawn, which needs a pipe.
    let first = &mut many[0];
    first.call("kill", json!({"name": "w", "signum": 9, "waiting": true}));
    let pids = first.call("list", json!({"name": "w"}))["pids"].clone();
    assert!(pids[0].is_number() && pids != json!([pid]), "{pids}");
}
