//! Sockets that circus's own parent passes to it, and what circus's processes are told of theirs.

use crate::common::worker::{self, ask, ask_tcp};
use crate::common::{Circus, Dir, exists, proc, run, until};
use serde_json::json;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

/// Makes a command one that passes a socket as descriptor 3, and has nothing but /dev/null at 4.
fn passing(command: &mut Command, socket: impl Into<OwnedFd>, variables: &str) {
    let program = command.get_program().to_owned();
    let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    *command = Command::new("sh");
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::from(socket.into()));
    command.args(["-c", &format!("{variables} exec \"$@\" 3<&0 4</dev/null 0</dev/null"), "sh"]);
    command.arg(program).args(args);
}

const OURS: &str = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:other";

fn with_socket(socket: impl Into<OwnedFd>, variables: &str, ini: &str) -> Circus {
    Circus::with(Dir::new(), ini, |command| passing(command, socket, variables))
}

fn web(role: &str) -> String {
    let command = worker::command();
    format!("[watcher:web]\ncmd = {command}\nstdin_socket = web\ncopy_env = True\n[env:web]\nROLE = {role}\n")
}

#[test]
fn a_socket_that_is_passed_is_used_kept_and_not_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    let parents = listener.try_clone().expect("a duplicate");
    let mut circus = with_socket(listener, OURS, &format!("[socket:web]\ninherit = web\n{}", web("tcp")));
    let first = circus.up("web")[0];
    assert_eq!(ask_tcp(address).expect("an answer"), first);
    let environ = proc::environ(first);
    assert!(environ.keys().all(|name| !name.starts_with("LISTEN_")), "{environ:?}");
    assert_eq!(circus.ask("listsockets", json!({}))["sockets"][0]["port"], address.port());
    let fd = proc::fd(circus.pid(), 64);
    // What is open for a moment, as the state file is, may be closed before it is looked at.
    let at = |number: &i32| std::fs::read_link(format!("/proc/{}/fd/{number}", circus.pid()));
    let is_it = |number: &i32| at(number).is_ok_and(|link| link.to_string_lossy() == fd);
    let numbers = || proc::fds(circus.pid()).into_iter().filter(is_it);
    assert_eq!(numbers().collect::<Vec<_>>(), [64], "it is out of the way of what processes get");
    circus.ask("restart", json!({"name": "web", "waiting": true}));
    circus.ask("reload", json!({"name": "web", "waiting": true}));
    let second = circus.up("web")[0];
    assert_ne!(second, first);
    assert_eq!(ask_tcp(address).expect("an answer"), second);
    assert_eq!(proc::fd(circus.pid(), 64), fd);
    assert_eq!(proc::fd(circus.pid(), 4), "/dev/null", "what is no socket is left alone");
    circus.end();
    drop(std::net::TcpStream::connect(address).expect("its parent still listens"));
    drop(parents);
}

/// Whatever LISTEN_FDS says: a number that is too large must not reach what circus has opened or moved itself.
#[test]
fn a_wrong_number_of_passed_sockets_loses_none_of_them() {
    for count in ["1", "+1", "2", "61", "62", "63", "64", "200", "100000", "2147483647"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("an address");
        let variables = format!("LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES=web");
        let ini = format!("[socket:web]\ninherit = web\n[socket:own]\nport = 0\n{}", web("tcp"));
        let mut circus = with_socket(listener, &variables, &ini);
        let pid = circus.up("web")[0];
        assert_eq!(ask_tcp(address).expect("an answer"), pid, "LISTEN_FDS={count}");
        assert_eq!(proc::fd(circus.pid(), 4), "/dev/null", "LISTEN_FDS={count}");
        circus.end();
    }
    for count in ["0", "-1", "-2147483648", "9999999999999999999", "x", "", "1x", "1.0"] {
        let dir = Dir::new();
        let config = dir.config("circus.ini", &format!("[socket:web]\ninherit = web\n{}", web("tcp")));
        let mut command = crate::common::circus();
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let variables = format!("LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES=web");
        passing(command.arg(config), listener, &variables);
        let ended = run(&mut command);
        assert!(ended.code == 111 && ended.err.contains("was passed nothing"), "{count}: {}", ended.err);
    }
}

#[test]
fn passed_sockets_keep_their_names_over_gaps() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    let variables = "exec 5<&0 9<&0; LISTEN_PID=$$ LISTEN_FDS=7 LISTEN_FDNAMES=x:x:x:x:x:x:web";
    let ini = format!("[socket:web]\ninherit = web\n[socket:five]\ninherit = 5\n{}", web("tcp"));
    let mut circus = with_socket(listener, variables, &ini);
    let pid = circus.up("web")[0];
    assert_eq!(ask_tcp(address).expect("an answer"), pid);
    circus.log.line("no [socket:NAME] inherits what was passed to circus, and it is closed: 3 x");
    let fds = proc::fds(circus.pid());
    assert!(fds.contains(&65) && fds.contains(&66) && !fds.contains(&64), "two were taken: {fds:?}");
    circus.end();
}

#[test]
fn reloadconfig_keeps_what_cannot_be_had_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    let circus = with_socket(listener, OURS, &format!("[socket:web]\ninherit = web\n{}", web("tcp")));
    let pid = circus.up("web")[0];
    let socket = || circus.ask("listsockets", json!({}))["sockets"][0].clone();
    let before = socket();
    let rewrite = |options: &str| {
        let ini = format!("[socket:web]\ninherit = web\n{options}{}", web("tcp"));
        circus.dir.config("circus.ini", &ini);
        circus.ctl(&["reloadconfig", "--waiting"])
    };
    assert_eq!(rewrite("port = 0\nbacklog = 7\n").code, 0);
    assert_eq!(
        (socket()["fd"].clone(), socket()["port"].clone()),
        (before["fd"].clone(), before["port"].clone())
    );
    assert_eq!(socket()["backlog"], 7);
    let ini = format!("[socket:web]\ninherit = web\n[socket:more]\ninherit = other\n{}", web("tcp"));
    circus.dir.config("circus.ini", &ini);
    let ended = circus.ctl(&["reloadconfig", "--waiting"]);
    assert!(ended.err.contains("sockets are passed at the start of circus only"), "{ended:?}");
    assert_eq!(socket()["fd"], before["fd"], "nothing has changed");
    assert_eq!(ask_tcp(address).expect("an answer"), pid, "the process is the same");
}

#[test]
fn the_file_of_a_socket_that_is_passed_stays() {
    let dir = Dir::new();
    let path = dir.path("web");
    let listener = UnixListener::bind(&path).expect("bound");
    let ini = format!("[socket:web]\ninherit = 3\npath = {{dir}}/elsewhere\n{}", web("unix"));
    let mut circus =
        Circus::with(dir, &ini, |command| passing(command, listener, "LISTEN_PID=$$ LISTEN_FDS=1"));
    let pid = circus.up("web")[0];
    assert_eq!(ask(UnixStream::connect(&path).expect("a connection")).expect("an answer"), pid);
    circus.end();
    assert!(exists(&path) && !exists(&circus.dir.path("elsewhere")));
}

#[test]
fn without_a_socket_that_is_passed_circus_binds_one_or_does_not_start() {
    let circus =
        Circus::start(&format!("[socket:web]\ninherit = web\nhost = 127.0.0.1\nport = 0\n{}", web("tcp")));
    let pid = circus.up("web")[0];
    assert_eq!(ask_tcp(("127.0.0.1", worker::port(&circus, "web"))).expect("an answer"), pid);
    let listener = || TcpListener::bind("127.0.0.1:0").expect("bound");
    for (variables, options, why) in [
        ("", "", "was passed nothing (LISTEN_FDS, LISTEN_PID)"),
        ("LISTEN_PID=1 LISTEN_FDS=1 LISTEN_FDNAMES=web", "", "was passed nothing"),
        ("LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=net", "", "was passed 3 net;"),
        (
            "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=x:web",
            "",
            "descriptor 4, passed to circus, is not a socket",
        ),
        (OURS, "type = SOCK_DGRAM", "descriptor 3, passed to circus, is no SOCK_DGRAM"),
        (OURS, "family = AF_INET6", "is of the family AF_INET, not AF_INET6"),
    ] {
        let dir = Dir::new();
        let config =
            dir.config("circus.ini", &format!("[socket:web]\ninherit = web\n{options}\n{}", web("tcp")));
        let mut command = crate::common::circus();
        passing(command.arg(config), listener(), variables);
        let ended = run(&mut command);
        assert_eq!(ended.code, 111, "{}", ended.err);
        assert!(
            ended.err.contains("[socket:web]: inherit = web: ") && ended.err.contains(why),
            "{}",
            ended.err
        );
    }
}

#[test]
fn processes_are_told_of_their_sockets_as_systemd_and_einhorn_do() {
    let ini =
        "[socket:a]\nport = 0\n[socket:b]\npath = {dir}/b\n[watcher:w]\ncmd = sleep 1000\nuse_sockets = True
        copy_env = True\n[env:w]\nNGINX = $(circus.sockets.b);$(circus.sockets.a);\nID = $(circus.wid)";
    let circus = Circus::with(Dir::new(), ini, |command| {
        command.env("EINHORN_FD_7", "9").env("EINHORN_MASTER_PID", "1").env("LISTEN_FDNAMES", "of:circus");
    });
    let pid = circus.up("w")[0];
    let environ = proc::environ(pid);
    let own = pid.to_string();
    assert_eq!(circus.log.count("is not replaced"), 0, "{}", circus.log.text());
    for (name, value) in [
        ("LISTEN_FDS", "2"),
        ("LISTEN_PID", &own),
        ("LISTEN_FDNAMES", "a:b"),
        ("EINHORN_FD_COUNT", "2"),
        ("EINHORN_FD_0", "3"),
        ("EINHORN_FD_1", "4"),
        ("EINHORN_FD_FAMILY_0", "AF_INET"),
        ("EINHORN_FD_FAMILY_1", "AF_UNIX"),
        ("NGINX", "6;5;"),
        ("ID", "1"),
    ] {
        assert_eq!(environ.get(name).map(String::as_str), Some(value), "{name}");
    }
    let ours = environ.keys().filter(|name| name.starts_with("EINHORN_") || name.starts_with("LISTEN_"));
    assert_eq!(ours.count(), 8, "nothing of what circus was told: {environ:?}");
    until("the process has its sockets and nothing else", || {
        (proc::fds(pid) == (0..=6).collect()).then_some(())
    });
}

#[test]
fn a_colon_in_a_name_does_not_make_two_of_it() {
    let ini =
        "[socket:a:x]\nport = 0\n[socket:b]\nport = 0\n[watcher:w]\ncmd = sleep 1000\nuse_sockets = True";
    let circus = Circus::start(ini);
    let pid = circus.up("w")[0];
    let environ =
        until("its environment", || Some(proc::environ(pid)).filter(|env| env.contains_key("PATH")));
    assert_eq!((environ["LISTEN_FDS"].as_str(), environ["LISTEN_FDNAMES"].as_str()), ("2", "a_x:b"));
    circus.log.line("the processes find this socket as `a_x` in LISTEN_FDNAMES");
}
