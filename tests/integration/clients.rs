//! Clients in numbers and with too much to say.

use crate::common::client::Client;
use crate::common::{Circus, proc, until};
use circus::control::state::State;
use circus::sys::limit;
use serde_json::json;

#[test]
fn a_thousand_clients_at_once() {
    limit::raise_nofile().expect("a limit");
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000");
    let pid = circus.up("w")[0];
    let mut clients: Vec<Client> = (0..1000).map(|_| circus.client()).collect();
    for (id, client) in clients.iter_mut().enumerate() {
        client.send_request(&json!({"id": id, "command": "list", "properties": {"name": "w"}}));
    }
    for (id, client) in clients.iter_mut().enumerate() {
        let reply = client.reply();
        assert_eq!((&reply["id"], &reply["pids"]), (&json!(id), &json!([pid])));
    }
    let open = proc::fds(circus.pid()).len();
    assert!(open >= 1000, "{open}");
    drop(clients);
    crate::common::until("circus has closed their connections", || {
        (proc::fds(circus.pid()).len() <= open - 1000).then_some(())
    });
}

#[test]
fn ten_megabytes_without_a_newline_are_one_error() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000");
    circus.up("w");
    let mut client = circus.client();
    let before = resident(circus.pid());
    for _ in 0..160 {
        client.send([b'x'; 64 << 10]);
    }
    client.send("\n{\"command\": \"numwatchers\"}\n");
    let reply = client.reply();
    assert_eq!(
        (&reply["errno"], &reply["reason"]),
        (&json!(1), &json!("json invalid: the line is longer than 1048576 bytes"))
    );
    assert_eq!(client.reply()["numwatchers"], 1);
    let grown = resident(circus.pid()).saturating_sub(before);
    assert!(grown < 4 << 10, "the line is not kept: {grown} KiB");
}

/// KiB of memory in use.
fn resident(pid: i32) -> u64 {
    let line = proc::status(pid, "VmRSS");
    line.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// A subscriber that reads too slowly is told how many events it has missed, and nobody waits for it.
#[test]
fn a_listener_that_does_not_read_is_told_what_it_missed() {
    // A long name makes long events, so that fewer are enough.
    let name = "x".repeat(200);
    let circus = Circus::start(&format!("[watcher:{name}]\ncmd = sleep 1000\nautostart = False"));
    let mut slow = circus.listen(&[]);
    let mut client = circus.client();
    let options =
        json!({"max_retry": 1, "numprocesses": 1, "priority": 1, "respawn": true, "send_hup": false});
    let set = json!({"command": "set", "properties": {"name": name, "options": options}, "msg_type": "cast"});
    let mut told = 0;
    for _ in 0..2000 {
        client.send_request(&set);
        told += 5;
    }
    assert_eq!(client.call("numwatchers", json!({}))["numwatchers"], 1, "circus does not wait for it");
    let mut missed = 0;
    while missed == 0 {
        // The next event that finds room comes with the number of those that did not.
        client.send_request(&set);
        told += 5;
        for _ in 0..50 {
            let (topic, data) = slow.next();
            if topic == "circus.missed" {
                missed = data["events"].as_u64().expect("a number");
            }
        }
    }
    let seen = |topics: &[(String, serde_json::Value)]| {
        topics.iter().filter(|(t, _)| t.ends_with(".updated")).count() as u64
    };
    while seen(&slow.seen) + missed < told {
        slow.next();
    }
    assert_eq!(seen(&slow.seen) + missed, told);
}

/// Connections that the kernel has no descriptor for wait until there is one; nobody else is disturbed.
#[test]
fn without_descriptors_circus_goes_on() {
    let circus = Circus::wrapped("ulimit -n 24; exec \"$@\"", "[watcher:w]\ncmd = sleep 1000");
    let before = circus.up("w");
    // It is written a moment later, and would say that it cannot be.
    until("the state file has the process", || {
        let state = State::parse(circus.dir.read("sock.state").as_bytes()).ok()?;
        let mut recorded = state.watchers.iter().flat_map(|watcher| &watcher.processes);
        recorded.any(|(process, _)| process.pid == before[0]).then_some(())
    });
    let mut first = circus.client();
    let crowd: Vec<Client> = (0..150).map(|_| circus.client()).collect();
    circus.log.line("[ERROR] accepting a control connection: Too many open files");
    assert_eq!(first.call("list", json!({"name": "w"}))["pids"], json!(before));
    drop(crowd);
    assert_eq!(circus.pids("w"), before);
    // It is said when it has lasted, and the error but once.
    until("the end of the shortage", || {
        assert_eq!(circus.pids("w"), before);
        (circus.log.count("control connections are accepted again") > 0).then_some(())
    });
    assert_eq!(circus.log.count("accepting a control connection: Too many open files"), 1);
    assert_eq!(circus.log.count("Too many open files"), 1, "once for one cause");
    proc::at_rest(circus.pid());
}

#[test]
fn nobody_waits_while_thousands_of_processes_are_looked_at() {
    let script = "i=0; while [ $i -lt 1500 ]; do sleep 1000 & i=$((i + 1)); done; echo ready; wait";
    let circus = Circus::start(&format!("[watcher:w]\ncmd = {script}\nshell = True\ngraceful_timeout = 0.1"));
    circus.out.line("ready");
    let mut client = circus.client();
    for (command, properties) in
        [("stats", json!({"name": "w"})), ("stats", json!({})), ("dstats", json!({}))]
    {
        client.send_request(&json!({"id": "long", "command": command, "properties": properties}));
        client.send_request(&json!({"id": "short", "command": "numwatchers"}));
        assert_eq!(client.reply()["id"], "short", "{command}");
        let reply = client.reply();
        let found = reply.to_string().matches("\"cmdline\":\"sleep\"").count();
        assert_eq!((&reply["id"], found), (&json!("long"), 1500), "{command}");
    }
    // Whoever does not wait for the answer leaves nothing behind.
    client.send_request(&json!({"id": "long", "command": "stats"}));
    drop(client);
    assert_eq!(circus.ask("numwatchers", json!({}))["numwatchers"], 1);
}
