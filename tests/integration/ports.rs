//! The sockets besides the control socket: pubsub_endpoint, ports with allow_tcp, and ZeroMQ's protocol on all of them.

use crate::common::client::{Client, Events};
use crate::common::output::Output;
use crate::common::user::{NOBODY, as_user, of_user};
use crate::common::{Circus, Dir, SIGTERM, exists, needs_root, run, until};
use serde_json::{Value as Json, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Stdio;

const SLEEPER: &str = "[watcher:w]\ncmd = sleep 1000\n";

/// The port that the log names behind `what`.
fn port(circus: &Circus, what: &str) -> u16 {
    let line = circus.log.line(what);
    let number = line.trim_end().rsplit(':').next().and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no port: {line}"))
}

/// A circus whose default directory of sockets is below the test's own.
fn start(dir: Dir, ini: &str) -> Circus {
    needs_root();
    let runtime = dir.name("runtime");
    std::fs::create_dir(&runtime).expect("a directory");
    chown(&runtime, Some(NOBODY), Some(NOBODY)).expect("root");
    of_user(NOBODY, Some(&runtime), dir, ini)
}

#[test]
fn events_have_a_socket_of_their_own() {
    let mut circus = Circus::start(&format!(
        "[circus]\npubsub_endpoint = ipc://{{dir}}/events\nendpoint_mode = 0660\n{SLEEPER}"
    ));
    let path = circus.dir.path("events");
    assert_eq!(path.symlink_metadata().expect("a file").permissions().mode() & 0o777, 0o660);
    let options = circus.ask("globaloptions", json!({}))["options"].clone();
    assert_eq!(options["pubsub_endpoint"], format!("ipc://{}", path.display()));
    assert_eq!(options["endpoint"], format!("ipc://{}", circus.dir.name("sock")));
    let connect = || Client::connect(&path).expect("circus listens there");
    let mut events = Events::of(connect(), &["watcher.w"]);
    let reply = connect().call("list", json!({}));
    assert_eq!((&reply["errno"], &reply["status"]), (&json!(3), &json!("error")));
    assert!(reply["reason"].as_str().expect("a reason").contains("pubsub_endpoint"), "{reply}");
    circus.ctl_ok(&["restart", "w"]);
    events.wait("watcher.w.reap");
    circus.end();
    assert!(!exists(&path) && !exists(&circus.dir.path("sock")));
}

#[test]
fn one_path_may_serve_both() {
    let circus = Circus::start(&format!("[circus]\npubsub_endpoint = {{dir}}/sock\n{SLEEPER}"));
    circus.up("w");
    assert_eq!(circus.log.count("[WARNING]"), 0);
}

#[test]
fn a_socket_for_events_that_cannot_be_had_is_the_end() {
    let mut circus = Circus::launch(
        Dir::new(),
        &format!("[circus]\npubsub_endpoint = {{dir}}/no/such/place\n{SLEEPER}"),
        |_| {},
    );
    assert_eq!(circus.wait(), 111);
    assert!(circus.log.whole().contains("pubsub socket"), "{}", circus.log.text());
}

/// Old files name a port for events everywhere: nothing is said, and a socket stands where `circus ctl` looks.
#[test]
fn a_port_for_events_is_a_socket_here() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let number = taken.local_addr().expect("an address").port();
    let endpoint = format!("tcp://127.0.0.1:{number}");
    let mut circus =
        start(Dir::new(), &format!("[circus]\n# endpoint = \npubsub_endpoint = {endpoint}\n{SLEEPER}"));
    circus.log.line("w started");
    let runtime = circus.dir.name("runtime");
    let ctl = || as_user(NOBODY, Some(&runtime), &circus.dir);
    let mut listen = ctl();
    listen.args(["ctl", "--endpoint", &endpoint, "listen", "watcher.w"]).stdout(Stdio::piped());
    let mut child = listen.spawn().expect("circus ctl can be run");
    let printed = Output::of(child.stdout.take());
    until("an event arrives", || {
        let ended = crate::common::run(ctl().args(["ctl", "set", "w", "max_retry", "7"]));
        assert_eq!((ended.code, ended.err.as_str()), (0, ""));
        printed.text().contains("watcher.w.updated").then_some(())
    });
    circus.end();
    assert_eq!(circus.log.count("[WARNING]"), 0);
    child.wait().expect("it ends with circus");
}

#[test]
fn ports_are_opened_when_that_is_allowed() {
    let ini = format!(
        "[circus]\nendpoint = tcp://127.0.0.1:0\npubsub_endpoint = tcp://127.0.0.1:0\nallow_tcp = True\n{SLEEPER}"
    );
    let mut circus = start(Dir::new(), &ini);
    let (control, events) = (port(&circus, "control socket"), port(&circus, "pubsub socket"));
    let mut client = Client::connect_port(control);
    assert_eq!(client.call("list", json!({}))["watchers"], json!(["w"]));
    let options = client.call("globaloptions", json!({}))["options"].clone();
    assert_eq!(options["endpoint"], format!("tcp://127.0.0.1:{control}"));
    assert_eq!(options["pubsub_endpoint"], format!("tcp://127.0.0.1:{events}"));
    assert_eq!(Client::connect_port(events).call("list", json!({}))["status"], "error");
    let mut told = Events::of(Client::connect_port(events), &[]);
    let endpoint = format!("tcp://127.0.0.1:{control}");
    let ended =
        crate::common::run(crate::common::circus().args(["ctl", "--endpoint", &endpoint, "restart", "w"]));
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (0, "ok\n", ""));
    told.wait("watcher.w.reap");
    let changes = client.call("why", json!({"name": "w"}))["changes"].clone();
    let ordered =
        changes.as_array().expect("changes").iter().find(|change| !change["cause"]["command"].is_null());
    let cause = ordered.expect("the restart")["cause"].clone();
    assert!(cause["client"].as_str().expect("an address").starts_with("tcp://127.0.0.1:"), "{cause}");
    assert_eq!((&cause["uid"], &cause["pid"]), (&json!(null), &json!(null)));
    circus.signal(SIGTERM);
    assert_eq!(circus.wait(), 0);
    assert_eq!(circus.log.count("[WARNING]"), 1);
    assert_eq!(circus.log.count("is open to every user of this machine"), 1);
}

#[test]
fn ports_that_are_open_to_the_network_are_not_opened_without_a_token() {
    let ini = format!(
        "[circus]\nendpoint = tcp://0.0.0.0:0\npubsub_endpoint = tcp://*:0\nallow_tcp = True\n{SLEEPER}"
    );
    let circus = start(Dir::new(), &ini);
    circus.log.line("Arbiter now waiting");
    let log = circus.log.text();
    for (word, count) in [("[ERROR]", 2), ("[WARNING]", 2), ("pubsub socket", 0), (" is not opened: ", 4)] {
        assert_eq!(log.lines().filter(|line| line.contains(word)).count(), count, "{word}: {log}");
    }
    assert!(!log.lines().any(|line| line.contains("control socket: ") && line.contains("tcp://")), "{log}");
}

const TOKEN: &str = "0123456789abcdef-the-token";

/// A file with a token, of the user of circus.
fn token(dir: &Dir, name: &str, token: &str, mode: u32) -> String {
    let path = dir.write(name, &format!("{token}\n"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("a mode");
    chown(&path, Some(NOBODY), Some(NOBODY)).expect("root");
    path
}

/// A circus whose port wants the token in this file.
fn with_token(dir: Dir, file: &str) -> (Circus, u16) {
    let ini =
        "[circus]\nendpoint = tcp://0.0.0.0:0\nallow_tcp = True\nloglevel = debug\n[access]\ntoken_file = ";
    let circus = start(dir, &format!("{ini}{file}\n{SLEEPER}"));
    let number = port(&circus, "control socket");
    (circus, number)
}

fn is_refused(number: u16, first: &Json) {
    let mut client = Client::connect_port(number);
    client.send(format!("{first}\n{{\"command\": \"quit\"}}\n"));
    let reply = client.reply();
    assert!(reply["reason"].as_str().is_some_and(|why| why.contains("wants a token")), "{first}: {reply}");
    assert_eq!(client.line(), None, "{first}");
}

#[test]
fn a_port_with_a_token_serves_whoever_shows_it_and_nobody_else() {
    needs_root();
    let dir = Dir::new();
    let file = token(&dir, "token", TOKEN, 0o600);
    let wrong = token(&dir, "wrong", "0123456789abcdef-the-tokem", 0o600);
    let (circus, number) = with_token(dir, &file);
    for first in [
        json!({"token": "0123456789abcdef-the-tokem"}),
        json!({"token": ""}),
        json!({"token": format!("{TOKEN}x")}),
        json!({"command": "numwatchers"}),
        json!({"command": "list", "token": TOKEN}),
    ] {
        is_refused(number, &first);
    }
    let mut client = Client::connect_port(number);
    client.send_request(&json!({"token": TOKEN}));
    assert_eq!(client.reply()["status"], "ok");
    let told = ["options", "get", "globaloptions", "status"]
        .map(|command| client.call(command, json!({"name": "w", "keys": ["cmd"]})).to_string());
    assert!(told[0].contains("sleep") && !told.concat().contains(TOKEN), "{told:?}");
    let ctl = |option: &[&str], variable: &str| {
        let mut command = as_user(NOBODY, Some("/nowhere"), &circus.dir);
        command
            .args(["ctl", "--endpoint", &format!("tcp://127.0.0.1:{number}")])
            .args(option)
            .arg("numwatchers");
        run(command.env("CIRCUS_TOKEN_FILE", variable))
    };
    assert_eq!(ctl(&["--token-file", &file], &wrong).out, "1\n");
    assert_eq!(ctl(&[], &file).out, "1\n");
    assert!(ctl(&[], &wrong).err.contains("wants a token"));
    assert!(ctl(&[], "/no/such").err.contains("the token /no/such: No such file"));
    assert!(!circus.log.text().contains(TOKEN), "{}", circus.log.text());
}

#[test]
fn a_token_that_others_may_read_is_none() {
    needs_root();
    let dir = Dir::new();
    let file = token(&dir, "token", TOKEN, 0o640);
    let (circus, number) = with_token(dir, &file);
    circus.log.line("others may read it");
    let own = circus.dir.path("runtime/circus/circus-0.sock");
    let read_again = || {
        let reply = Client::connect(&own).expect("it listens there").call("reloadconfig", json!({}));
        assert_eq!(reply["status"], "ok", "{reply}");
    };
    is_refused(number, &json!({"token": TOKEN}));
    let short = token(&circus.dir, "token", "0123456789", 0o600);
    read_again();
    circus.log.line("16 to 1024 bytes");
    is_refused(number, &json!({"token": "0123456789"}));
    token(&circus.dir, "token", TOKEN, 0o600);
    read_again();
    let mut client = Client::connect_port(number);
    client.send_request(&json!({"token": TOKEN}));
    assert_eq!(client.reply()["status"], "ok");
    assert_eq!(client.call("numwatchers", json!({}))["numwatchers"], 1);
    assert_eq!(short, file);
}

/// A web page can have a browser send anything to a port, but not as the first line.
#[test]
fn by_tcp_nothing_is_obeyed_after_a_line_that_is_no_object() {
    let ini = format!("[circus]\nendpoint = tcp://127.0.0.1:0\nallow_tcp = True\n{SLEEPER}");
    let circus = start(Dir::new(), &ini);
    let number = port(&circus, "control socket");
    let stop = r#"{"command": "quit", "id": "obeyed"}"#;
    for rubbish in [
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_string(),
        "[]\n".into(),
        "x".repeat(3 << 20) + "\n",
        format!("{}\n", json!({"more": vec![0; 20_000]})),
    ] {
        let client = Client::connect_port(number);
        // It may be hung up on while it still sends.
        let _ = (&mut client.stream()).write_all(format!("{rubbish}{stop}\n{stop}\n").as_bytes());
        let mut answers = String::new();
        let _ = (&mut client.stream()).read_to_string(&mut answers);
        assert!(!answers.contains("obeyed"), "{answers}");
    }
    let mut client = Client::connect_port(number);
    client.send("\n\n");
    assert_eq!(client.call("list", json!({}))["watchers"], json!(["w"]), "empty lines are nothing");
    assert_eq!(circus.log.count("sent no JSON object is closed"), 1);
}

#[test]
fn a_port_that_is_taken_is_the_end() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("tcp://{}", taken.local_addr().expect("an address"));
    let ini = format!("[circus]\nendpoint = {endpoint}\nallow_tcp = True\n{SLEEPER}");
    let mut circus = start(Dir::new(), &ini);
    assert_eq!(circus.wait(), 111);
    let log = circus.log.whole();
    assert!(log.contains(&endpoint) && log.contains("Address already in use"), "{log}");
}

#[cfg(feature = "zmtp")]
mod zmtp {
    use super::*;

    fn greeting(mechanism: &str) -> Vec<u8> {
        let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1];
        bytes.extend_from_slice(mechanism.as_bytes());
        bytes.resize(64, 0);
        bytes
    }

    fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![flags | 2];
        bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    /// The next frame: its flags and its body.
    fn next(client: &mut Client) -> (u8, Vec<u8>) {
        let flags = client.bytes(1)[0];
        let length = match flags & 2 {
            0 => usize::from(client.bytes(1)[0]),
            _ => usize::from_be_bytes(client.bytes(8).try_into().expect("eight")),
        };
        (flags & !2, client.bytes(length))
    }

    /// A connection over which both sides have said who they are.
    fn peer(mut client: Client, kind: &str) -> Client {
        client.send(&greeting("NULL")[..10]);
        client.bytes(10);
        client.send(&greeting("NULL")[10..]);
        client.bytes(54);
        let kind =
            [&b"\x05READY\x0bSocket-Type"[..], &(kind.len() as u32).to_be_bytes(), kind.as_bytes()].concat();
        client.send(frame(4, &kind));
        let (flags, ready) = next(&mut client);
        assert!(flags == 4 && ready.starts_with(b"\x05READY"), "{ready:?}");
        client
    }

    #[test]
    fn requests_are_answered_behind_their_envelope() {
        let circus = Circus::start(SLEEPER);
        let mut client = peer(circus.client(), "REQ");
        let request = br#"{"command": "numwatchers", "id": "x"}"#;
        client.send([frame(1, b""), frame(0, request)].concat());
        assert_eq!(next(&mut client), (1, Vec::new()));
        let reply: serde_json::Value = serde_json::from_slice(&next(&mut client).1).expect("JSON");
        assert_eq!((&reply["numwatchers"], &reply["id"]), (&json!(1), &json!("x")));
        // A reply that comes later has it too.
        let request = br#"{"command": "restart", "properties": {"name": "w", "waiting": true}}"#;
        client.send([frame(1, b"a"), frame(1, b""), frame(0, request)].concat());
        assert_eq!(next(&mut client), (1, b"a".to_vec()));
        assert_eq!(next(&mut client), (1, Vec::new()));
        assert!(String::from_utf8_lossy(&next(&mut client).1).contains("started"));
        client.send(frame(0, &vec![b' '; (1 << 20) + 1]));
        assert!(String::from_utf8_lossy(&next(&mut client).1).contains("longer than 1048576 bytes"));
        client.send(frame(0, br#"{"command": "listen"}"#));
        assert!(String::from_utf8_lossy(&next(&mut client).1).contains("use a pub/sub socket"));
    }

    /// By TCP circus hears of the end of a connection only as the end of what comes in.
    #[test]
    fn a_subscriber_that_goes_is_forgotten() {
        let circus = start(
            Dir::new(),
            &format!("[circus]\nendpoint = tcp://127.0.0.1:0\nallow_tcp = True\n{SLEEPER}"),
        );
        let number = port(&circus, "control socket");
        circus.log.line("w started");
        // The state file may be open for a moment besides.
        let sockets = || {
            let targets = crate::common::proc::targets(circus.pid());
            targets.iter().filter(|target| target.starts_with("socket:")).count()
        };
        let before = sockets();
        let mut gone = peer(Client::connect_port(number), "SUB");
        gone.send([frame(0, b"\x01"), frame(4, b"\x04PING\0\0")].concat());
        next(&mut gone);
        assert_eq!(sockets(), before + 1);
        drop(gone);
        until("circus has closed its side", || (sockets() == before).then_some(()));
    }

    /// A peer that cannot be served comes again and again, as ZeroMQ does: there is one line in the log.
    #[test]
    fn peers_that_cannot_be_served_are_hung_up_on() {
        let circus = Circus::start(SLEEPER);
        for _ in 0..3 {
            let mut client = circus.client();
            client.send(greeting("CURVE"));
            client.bytes(64);
            assert_eq!(client.line(), None);
        }
        circus.log.line("a ZeroMQ peer is not served");
        assert_eq!(circus.log.count("another security mechanism than NULL"), 1);
        circus.up("w");
    }

    /// As a client of `listen` that does not read.
    #[test]
    fn a_subscriber_that_does_not_read_is_told_what_it_missed() {
        let name = "x".repeat(200);
        let circus = Circus::start(&format!("[watcher:{name}]\ncmd = sleep 1000\nautostart = False"));
        let mut slow = peer(circus.client(), "SUB");
        // The answer to the PING says that the subscription has been seen.
        slow.send([frame(0, b"\x01"), frame(4, b"\x04PING\0\0now")].concat());
        assert_eq!(next(&mut slow), (4, b"\x04PONGnow".to_vec()));
        let mut client = circus.client();
        let options = json!({"max_retry": 1, "priority": 1, "respawn": true, "send_hup": false});
        let set =
            json!({"command": "set", "properties": {"name": name, "options": options}, "msg_type": "cast"});
        let mut told = 0;
        for _ in 0..2500 {
            client.send_request(&set);
            told += 4;
        }
        assert_eq!(client.call("numwatchers", json!({}))["numwatchers"], 1, "circus does not wait for it");
        let (mut seen, mut missed) = (0, 0);
        while missed == 0 || seen + missed < told {
            if missed == 0 {
                client.send_request(&set);
                told += 4;
            }
            for _ in 0..if missed == 0 { 40 } else { 1 } {
                let (topic, data) = (next(&mut slow), next(&mut slow));
                assert_eq!((topic.0, data.0), (1, 0));
                if topic.1 == b"circus.missed" {
                    let data: serde_json::Value = serde_json::from_slice(&data.1).expect("JSON");
                    missed += data["events"].as_u64().expect("a number");
                } else {
                    seen += 1;
                }
            }
        }
        assert_eq!(seen + missed, told);
    }
}
