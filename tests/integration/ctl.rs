//! `circus ctl` from outside: what it sends, prints and returns, against daemons that the test plays.

use crate::common::needs_root;
use crate::common::user::NOBODY;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

/// A directory of the test's own, removed at its end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("circus-ctl-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).expect("a directory for the test");
        Dir(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("sock")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Takes one connection, reads a line, sends `answer` in two pieces, and gives the line.
fn play(listener: UnixListener, answer: &'static str) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let line = read_line(&stream);
        let (first, second) = answer.split_at(answer.len() / 2);
        let _ = stream.write_all(first.as_bytes());
        let _ = stream.write_all(second.as_bytes());
        line
    })
}

fn read_line(stream: &UnixStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("a request");
    line
}

fn ctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_circus"));
    command.arg("ctl").env_remove("CIRCUSCTL_ENDPOINT");
    command
}

/// Runs `ctl` with these arguments against a daemon with that answer: the request, and what came out.
fn exchange(name: &str, args: &[&str], answer: &'static str) -> (String, Output) {
    let dir = Dir::new(name);
    let daemon = play(UnixListener::bind(dir.socket()).expect("bound"), answer);
    let output = ctl().env("CIRCUSCTL_ENDPOINT", dir.socket()).args(args).output().expect("ctl runs");
    // Were it not for this, a client that never came would leave the daemon waiting.
    let _ = UnixStream::connect(dir.socket());
    (daemon.join().expect("the daemon's part"), output)
}

fn texts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("no signal"), text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_answer_is_printed_as_text() {
    let answer = "{\"status\":\"ok\",\"statuses\":{\"b\":\"active\",\"a\":\"stopped\"},\"id\":null}\n";
    let (request, output) = exchange("text", &["status"], answer);
    assert_eq!(request, "{\"command\":\"status\",\"properties\":{}}\n");
    assert_eq!(texts(&output), (0, "a: stopped\nb: active\n".into(), String::new()));
}

#[test]
fn an_answer_is_printed_as_json() {
    let answer = "{\"status\":\"ok\",\"pids\":[1,2],\"id\":null}\n";
    let (request, output) = exchange("json", &["--json", "list", "web"], answer);
    assert_eq!(request, "{\"command\":\"list\",\"properties\":{\"name\":\"web\"}}\n");
    assert_eq!(texts(&output), (0, answer.into(), String::new()));
    let (_, output) = exchange("pretty", &["--json", "--prettify", "list"], answer);
    let pretty = "{\n  \"id\": null,\n  \"pids\": [\n    1,\n    2\n  ],\n  \"status\": \"ok\"\n}\n";
    assert_eq!(texts(&output), (0, pretty.into(), String::new()));
}

#[test]
fn an_error_of_the_daemon_is_code_3() {
    let answer = "{\"status\":\"error\",\"reason\":\"program zz not found\",\"errno\":3,\"id\":null}\n";
    let (_, output) = exchange("error", &["status", "zz"], answer);
    assert_eq!(texts(&output), (3, String::new(), "error: program zz not found\n".into()));
    let (_, output) = exchange("error-json", &["--json", "status", "zz"], answer);
    assert_eq!(texts(&output), (3, answer.into(), String::new()));
}

#[test]
fn a_daemon_that_hangs_up_or_talks_nonsense_is_code_1() {
    let (_, output) = exchange("closed", &["list"], "");
    let said = "circus closed the connection without an answer\n";
    assert_eq!(texts(&output), (1, String::new(), said.into()));
    let (_, output) = exchange("nonsense", &["list"], "HTTP/1.1 400 Bad Request\r\n");
    let said = "what answers at this endpoint is not circus: the answer is not a JSON object\n";
    assert_eq!(texts(&output), (1, String::new(), said.into()));
}

/// One that was asked to end and is gone has done what it was asked for.
#[test]
fn a_daemon_that_is_gone_has_done_what_quit_asks_for() {
    for (name, args) in [("quit", &["quit"][..]), ("quit-waiting", &["quit", "--waiting"])] {
        let (_, output) = exchange(name, args, "");
        assert_eq!(texts(&output), (0, "ok\n".into(), String::new()), "{args:?}");
    }
    let (_, output) = exchange("quit-json", &["--json", "quit", "--waiting"], "");
    let (code, stdout, stderr) = texts(&output);
    assert!(code == 0 && stdout.starts_with("{\"status\":\"ok\"") && stderr.is_empty(), "{stdout}{stderr}");
    let (_, output) =
        exchange("quit-no", &["quit"], "{\"status\":\"error\",\"reason\":\"no\",\"id\":null}\n");
    assert_eq!(texts(&output), (3, String::new(), "error: no\n".into()));
}

#[test]
fn a_daemon_that_says_nothing_is_code_1() {
    let dir = Dir::new("timeout");
    let _never_accepts = UnixListener::bind(dir.socket()).expect("bound");
    let endpoint = format!("ipc://{}", dir.socket().display());
    let output =
        ctl().args(["--timeout", "0.05", "--endpoint", &endpoint, "list"]).output().expect("ctl runs");
    let (code, stdout, stderr) = texts(&output);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.starts_with("Timed out.\n") && stderr.contains("--timeout"), "{stderr}");
}

#[test]
fn what_was_tried_is_listed_when_nobody_answers() {
    let dir = Dir::new("nobody");
    drop(UnixListener::bind(dir.socket()).expect("bound"));
    let output = ctl().arg("list").env("CIRCUSCTL_ENDPOINT", dir.socket()).output().expect("ctl runs");
    let (code, stdout, stderr) = texts(&output);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains(&format!("  {}: Connection refused\n", dir.socket().display())), "{stderr}");
    assert!(stderr.contains("--endpoint"), "{stderr}");
}

#[test]
fn an_abstract_socket_is_found() {
    let name = format!("circus-ctl-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let daemon = play(UnixListener::bind_addr(&address).expect("bound"), "{\"numwatchers\":2}\n");
    let output = ctl().args(["--endpoint", &format!("@{name}"), "numwatchers"]).output().expect("ctl runs");
    daemon.join().expect("the daemon's part");
    assert_eq!(texts(&output), (0, "2\n".into(), String::new()));
}

#[test]
fn wrong_command_lines_never_reach_a_daemon() {
    let run = |args: &[&str]| texts(&ctl().args(args).output().expect("ctl runs"));
    let usage = |what: &str| format!("usage: circusctl [options] command [args]\ncircusctl: error: {what}\n");
    assert_eq!(run(&["frob"]), (2, String::new(), usage("unrecognized arguments: frob")));
    assert_eq!(
        run(&["ps"]).2,
        usage("unrecognized arguments: ps; did you mean status, or stats for the processes?")
    );
    assert_eq!(run(&["list", "--foo"]), (2, String::new(), usage("unrecognized arguments: --foo")));
    let (code, _, stderr) = run(&["rm"]);
    assert_eq!(code, 1);
    assert_eq!(stderr, "Invalid number of arguments\nusage: circusctl rm [--nostop] [--waiting] NAME...\n");
    assert_eq!(run(&["set", "web", "zz", "1"]), (1, String::new(), "unknown key 'zz'\n".into()));
    for (args, what) in [
        (&["incr", "web", "2x"][..], "NB: '2x'"),
        (&["kill", "web", "1.5"], "PID: '1.5'"),
        (&["signal", "web", "1x", "HUP"], "PID: '1x'"),
        (&["incr", "web", "api", "2x"], "NB: '2x'"),
        (&["stats", "web", "1x"], "PID: '1x'"),
    ] {
        assert_eq!(run(args), (1, String::new(), format!("{what} is not a whole number\n")));
    }
    for (args, what) in [
        (&["kill", "-9", "web"][..], "-9 is not a watcher; a signal is given as --signum 9"),
        (&["kill", "web", "TERM"], "TERM is not a watcher; a signal is given as --signum TERM"),
        (&["signal", "HUP", "web"], "the signal comes last: signal NAME HUP"),
        (&["signal", "-9", "web"], "the signal comes last: signal NAME 9"),
    ] {
        let (code, out, err) = run(args);
        assert!(code == 1 && out.is_empty() && err.starts_with(what), "{args:?}: {err}");
    }
    assert!(run(&["--endpoint", "none", "signal", "web", "HUP"]).2.contains("nothing to connect to"));
    assert_eq!(run(&["--endpoint", "udp://x", "list"]).0, 1);
    assert_eq!(run(&["--endpoint", "none", "list"]).0, 1);
    let (code, stdout, _) = run(&["--version"]);
    assert_eq!((code, stdout), (0, concat!("circusctl ", env!("CARGO_PKG_VERSION"), "\n").into()));
    assert!(run(&["--help"]).1.contains("numprocesses"));
    assert!(run(&["--help", "list"]).1.starts_with("usage: circusctl list [NAME...]\n"));
}

#[test]
fn events_are_printed_as_they_come() {
    let dir = Dir::new("listen");
    let listener = UnixListener::bind(dir.socket()).expect("bound");
    let mut child = ctl()
        .args(["listen", "watcher.a"])
        .env("CIRCUSCTL_ENDPOINT", dir.socket())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ctl runs");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let (mut stream, _) = listener.accept().expect("a client");
    let request = read_line(&stream);
    assert_eq!(request, "{\"command\":\"listen\",\"properties\":{\"topics\":[\"watcher.a\"]}}\n");
    stream.write_all(b"{\"status\":\"ok\",\"id\":null}\n").expect("sent");
    for _ in 0..2 {
        let event = b"{\"topic\":\"watcher.a.spawn\",\"data\":{\"process_pid\":3,\"time\":1.5}}\n";
        stream.write_all(event).expect("sent");
        let mut line = String::new();
        output.read_line(&mut line).expect("an event");
        assert_eq!(line, "watcher.a.spawn: {\"process_pid\":3,\"time\":1.5}\n");
    }
    drop(stream);
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_eq!(output.read_to_string(&mut String::new()).expect("the rest"), 0);
}

#[test]
fn a_closed_output_ends_it_quietly() {
    let dir = Dir::new("pipe");
    let listener = UnixListener::bind(dir.socket()).expect("bound");
    let mut child = ctl()
        .arg("list")
        .env("CIRCUSCTL_ENDPOINT", dir.socket())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ctl runs");
    drop(child.stdout.take());
    play(listener, "{\"status\":\"ok\",\"watchers\":[\"a\"],\"id\":null}\n")
        .join()
        .expect("the daemon's part");
    let (code, _, stderr) = texts(&child.wait_with_output().expect("ended"));
    assert_eq!((code, stderr), (0, String::new()));
}

/// What Circus's own bash completion calls; its exit code is 1.
#[test]
fn a_shell_asks_for_completions() {
    let dir = Dir::new("complete");
    let ask = |words: &str, place: &str| {
        let mut command = ctl();
        command.env("AUTO_COMPLETE", "1").env("COMP_WORDS", words).env("COMP_CWORD", place);
        texts(&command.env("CIRCUSCTL_ENDPOINT", dir.socket()).output().expect("ctl runs"))
    };
    assert_eq!(ask("circusctl sta", "1"), (1, "start stats status\n".into(), String::new()));
    assert_eq!(ask("circusctl stop --", "2"), (1, "--match --waiting\n".into(), String::new()));
    assert_eq!(ask("circusctl stop ", "2"), (1, "\n".into(), String::new()), "nobody can be asked for names");
    let daemon = play(
        UnixListener::bind(dir.socket()).expect("bound"),
        "{\"statuses\":{\"web\":\"active\",\"Work\":\"stopped\"}}\n",
    );
    assert_eq!(ask("circusctl stop ", "2"), (1, "Work web\n".into(), String::new()));
    daemon.join().expect("the daemon's part");
    assert_eq!(ask("circusctl", "nonsense").0, 1);
}

/// As one that listens where a port was asked for is, by its number.
#[test]
fn the_only_circus_of_a_user_is_found_whatever_its_file_is_called() {
    needs_root();
    let dir = Dir::new("alone");
    let place = dir.0.join("circus");
    std::fs::create_dir(&place).expect("a directory");
    let serve = |name: &str| {
        let listener = UnixListener::bind(place.join(name)).expect("bound");
        // Root has another default directory.
        std::os::unix::fs::chown(place.join(name), Some(NOBODY), Some(NOBODY)).expect("root");
        listener
    };
    let run = || {
        let mut command = ctl();
        command.arg("numwatchers").env("XDG_RUNTIME_DIR", &dir.0).env_remove("CIRCUSCTL_ENDPOINT");
        texts(&command.uid(NOBODY).gid(NOBODY).output().expect("ctl runs"))
    };
    let daemon = play(serve("circus-7777.sock"), "{\"numwatchers\":2}\n");
    let found = format!("circus at {}\n", place.join("circus-7777.sock").display());
    assert_eq!(run(), (0, "2\n".into(), found));
    daemon.join().expect("the daemon's part");
    // The first one is gone, whose file is still there.
    let _both = [serve("circus-8888.sock"), serve("circus-9999.sock")];
    let (code, _, err) = run();
    assert_eq!(code, 1);
    assert!(err.contains("circus-8888.sock: a circus answers\n"), "{err}");
    assert!(err.ends_with("Several answer: --endpoint says which one.\n"), "{err}");
}
