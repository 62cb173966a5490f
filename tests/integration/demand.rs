//! `on_demand`: watchers that start when one of their own sockets is used.

use crate::common::worker::{self, ask, ask_tcp, port};
use crate::common::{Circus, SIGKILL, proc, until};
use serde_json::json;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

/// A watcher of such workers that starts on demand, and its socket of the same name.
fn lazy(name: &str, role: &str, socket: &str, options: &str) -> String {
    let command = worker::command();
    format!(
        "[socket:{name}]\n{socket}\n[watcher:{name}]\ncmd = {command}\nstdin_socket = {name}\non_demand = True\n\
         {options}\n[env:{name}]\nROLE = {role}\n"
    )
}

fn waits(circus: &Circus, name: &str) {
    circus.log.line(&format!("{name} waits for its sockets"));
    assert_eq!((circus.status(name), circus.pids(name)), ("stopped".into(), vec![]));
}

#[test]
fn the_first_connection_starts_it_and_it_waits_again_when_it_has_ended() {
    let circus = Circus::start(&lazy("web", "tcp", "port = 0", ""));
    waits(&circus, "web");
    let address = ("127.0.0.1", port(&circus, "web"));
    let mut events = circus.listen(&["watcher.web."]);
    let first = ask_tcp(address).expect("an answer");
    assert_eq!((circus.status("web"), circus.pids("web")), ("active".into(), vec![first]));
    assert_eq!(ask_tcp(address).expect("an answer"), first, "it takes the next ones itself");
    circus::sys::signal::kill(first, SIGKILL).expect("it runs");
    events.wait("watcher.web.stop");
    assert_eq!((circus.status("web"), circus.pids("web")), ("stopped".into(), vec![]));
    let second = ask_tcp(address).expect("an answer");
    assert_ne!(second, first);
    assert_eq!(events.topics().iter().filter(|topic| **topic == "watcher.web.start").count(), 1);
}

#[test]
fn while_nobody_comes_circus_does_nothing() {
    let circus = Circus::start(&lazy("web", "tcp", "port = 0", "numprocesses = 2"));
    waits(&circus, "web");
    let before = proc::at_rest(circus.pid());
    // A second of quiet would prove more and last longer; a loop that spins never comes to rest at all.
    assert_eq!(proc::at_rest(circus.pid()), before);
}

#[test]
fn a_socket_of_another_watcher_starts_nothing() {
    let circus =
        Circus::start(&(lazy("a", "tcp", "port = 0", "") + &lazy("b", "unix", "path = {dir}/b", "")));
    ask_tcp(("127.0.0.1", port(&circus, "a"))).expect("an answer");
    assert_eq!(circus.status("b"), "stopped");
    let pid = ask(UnixStream::connect(circus.dir.path("b")).expect("a connection")).expect("an answer");
    assert_eq!(circus.pids("b"), [pid]);
    assert_eq!(circus.log.count("waits for its sockets"), 2);
}

#[test]
fn a_datagram_starts_it_too() {
    let circus = Circus::start(&lazy("web", "udp", "port = 0\ntype = SOCK_DGRAM", ""));
    waits(&circus, "web");
    let client = UdpSocket::bind("127.0.0.1:0").expect("bound");
    client.set_read_timeout(Some(crate::common::PATIENCE)).expect("a timeout");
    client.send_to(b"who", ("127.0.0.1", port(&circus, "web"))).expect("sent");
    let mut buffer = [0; 100];
    let length = client.recv(&mut buffer).expect("an answer");
    assert_eq!(buffer[..length], *circus.pids("web")[0].to_string().as_bytes());
}

#[test]
fn two_watchers_of_one_socket_both_start() {
    let circus = Circus::start(
        "[socket:s]\nport = 0\n[watcher:a]\ncmd = sleep 1000\nuse_sockets = True\non_demand = True\n\
         [watcher:b]\ncmd = sleep $(circus.sockets.s)000\nuse_sockets = True\non_demand = True",
    );
    ["a", "b"].into_iter().for_each(|name| waits(&circus, name));
    let _connection = TcpStream::connect(("127.0.0.1", port(&circus, "s"))).expect("a connection");
    ["a", "b"].into_iter().for_each(|name| circus.until_status(name, "active"));
}

#[test]
fn stop_ends_the_waiting_and_start_begins_it() {
    let circus = Circus::start(&lazy("web", "tcp", "port = 0", "autostart = False"));
    let address = ("127.0.0.1", port(&circus, "web"));
    let early = TcpStream::connect(address).expect("the socket is there");
    assert_eq!(circus.ctl_ok(&["start", "web", "--waiting"]), "ok");
    let pid = ask(early).expect("an answer");
    assert_eq!(circus.ctl_ok(&["start", "web", "--waiting"]), "ok");
    assert_eq!(circus.pids("web"), [pid]);
    assert_eq!(circus.ctl_ok(&["restart", "web", "--waiting"]), "ok");
    assert_eq!((circus.status("web"), proc::exists(pid)), ("stopped".into(), false));
    assert_eq!(circus.ctl_ok(&["reload", "web", "--waiting"]), "ok");
    assert_eq!(circus.ctl_ok(&["stop", "web", "--waiting"]), "ok");
    let late = TcpStream::connect(address).expect("the socket is there");
    let info = circus.ask("start", json!({"name": "web", "waiting": true}))["info"].clone();
    assert_eq!(info, json!({"started": [], "kept": []}));
    ask(late).expect("an answer");
}

/// A connection that nobody accepts: the program is started again and again, but after longer and longer pauses.
#[test]
fn a_program_that_takes_nothing_is_not_started_without_pause() {
    let mut circus = Circus::start(
        "[socket:s]\nport = 0\n[watcher:bad]\ncmd = false\nuse_sockets = True\non_demand = True\n\
         [watcher:worse]\ncmd = {dir}/none\nuse_sockets = True\non_demand = True\nmax_retry = 2",
    );
    let mut events = circus.listen(&["watcher.bad."]);
    let _connection = TcpStream::connect(("127.0.0.1", port(&circus, "s"))).expect("a connection");
    let starts: Vec<f64> =
        (0..4).map(|_| events.wait("watcher.bad.spawn")["time"].as_f64().expect("a time")).collect();
    let pauses: Vec<f64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] >= 0.1 && pauses[1] >= 0.2 && pauses[2] >= 0.4, "{pauses:?}");
    circus.log.line("worse: given up after 2 failed starts");
    assert_eq!(circus.status("worse"), "stopped");
    circus.end();
}

#[test]
fn the_options_of_one_that_waits_can_change() {
    let circus = Circus::start(
        "[socket:a]\nport = 0\n[socket:b]\nport = 0\n[watcher:w]\ncmd = sleep 1000\nuse_sockets = True\nsockets = a\n\
         on_demand = True",
    );
    waits(&circus, "w");
    assert_eq!(circus.ctl_ok(&["set", "w", "sockets", "none", "--waiting"]), "ok");
    let line = circus.log.line("w: cannot wait for its sockets: ");
    assert!(line.ends_with("sockets = names none, and there is no [socket:none]"), "{line}");
    assert_eq!(circus.ctl_ok(&["set", "w", "sockets", "b", "--waiting"]), "ok");
    assert_eq!(circus.ctl_ok(&["start", "w", "--waiting"]), "ok");
    let connect = |name| TcpStream::connect(("127.0.0.1", port(&circus, name))).expect("a connection");
    let _first = connect("a");
    assert_eq!(circus.status("w"), "stopped");
    let _second = connect("b");
    circus.until_status("w", "active");
    assert_eq!(circus.ctl_ok(&["stop", "w", "--waiting"]), "ok");
    assert_eq!(circus.ctl_ok(&["set", "w", "on_demand", "False", "--waiting"]), "ok");
    assert_eq!(circus.up("w").len(), 1);
}

#[test]
fn without_any_socket_it_says_so() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\non_demand = True");
    circus.log.line("w: cannot wait for its sockets: on_demand needs a [socket:NAME], and there is none");
    let reply = circus.call("start", json!({"name": "w", "waiting": true}));
    assert_eq!(reply["errno"], 6);
    until("it is told", || reply["reason"].as_str().filter(|reason| reason.contains("[socket:NAME]")));
}
