//! `so_reuseport`: a socket of its own for each process, at one address.

use crate::common::worker::{self, ask, ask_tcp, port};
use crate::common::{Circus, SIGKILL, proc, until};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn listed(circus: &Circus) -> Vec<Json> {
    circus.ask("listsockets", json!({}))["sockets"].as_array().expect("a list").clone()
}

/// Which socket each process of a watcher has at a descriptor.
fn inodes(circus: &Circus, name: &str, fd: i32) -> Vec<String> {
    circus.pids(name).into_iter().map(|pid| proc::fd(pid, fd)).collect()
}

fn different(inodes: &[String]) -> usize {
    inodes.iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn each_process_has_its_own_at_the_same_port_however_it_is_named() {
    let circus = Circus::start(
        "[socket:web]\nport = 0\nso_reuseport = True\n[socket:dns]\nport = 0\nso_reuseport = True\ntype = SOCK_DGRAM\n\
         [watcher:cmd]\ncmd = sh -c 'while :; do sleep 1000; done' $(circus.sockets.web)\nnumprocesses = 3\nuse_sockets = True\n\
         [watcher:listed]\ncmd = sleep 1000\nsockets = web\nuse_sockets = True\nnumprocesses = 3\n\
         [watcher:args]\ncmd = sh -c 'while :; do sleep 1000; done'\nargs = $(circus.sockets.dns)\nuse_sockets = True\nnumprocesses = 3\n\
         [watcher:stdin]\ncmd = sleep 1000\nstdin_socket = dns\nnumprocesses = 3\n\
         [watcher:all]\ncmd = sleep 1000\nuse_sockets = True\nnumprocesses = 3",
    );
    let mut seen = Vec::new();
    for (name, fds) in
        [("cmd", &[3, 4][..]), ("listed", &[3]), ("args", &[3, 4]), ("stdin", &[0]), ("all", &[3, 4])]
    {
        assert_eq!(circus.up(name).len(), 3);
        for fd in fds {
            until(&format!("{name}: {fd} is there"), || {
                circus.pids(name).iter().all(|pid| proc::fds(*pid).contains(fd)).then_some(())
            });
            let inodes = inodes(&circus, name, *fd);
            assert_eq!(different(&inodes), 3, "{name}: {fd}");
            seen.push(inodes);
        }
    }
    assert_eq!(seen[0], seen[1], "cmd: both numbers are one socket");
    assert_eq!(different(&[&seen[0][..], &seen[2], &seen[3], &seen[5], &seen[6], &seen[7]].concat()), 18);
    let web: Vec<Json> = listed(&circus).into_iter().filter(|socket| socket["name"] == "web").collect();
    assert_eq!(web.len(), 9, "listsockets has them all");
    assert!(web.iter().all(|socket| socket["port"] == web[0]["port"] && socket["port"] != 0), "{web:?}");
}

#[test]
fn a_replacement_gets_the_socket_of_its_predecessor() {
    let circus = Circus::start(
        "[socket:web]\nport = 0\nso_reuseport = True\n[watcher:w]\ncmd = sleep 1000\nuse_sockets = True\nnumprocesses = 3",
    );
    circus.up("w");
    let at_3 = |pid: &i32| until("3 is there", || proc::fds(*pid).contains(&3).then(|| proc::fd(*pid, 3)));
    let all = || circus.pids("w").iter().map(at_3).collect::<BTreeSet<_>>();
    let before = all();
    let mut events = circus.listen(&["watcher.w.spawn"]);
    let victim = circus.pids("w")[1];
    let lost = at_3(&victim);
    circus::sys::signal::kill(victim, SIGKILL).expect("it runs");
    assert_eq!(at_3(&events.pid("watcher.w.spawn")), lost);
    for command in ["reload", "restart", "reload"] {
        circus.ask(command, json!({"name": "w", "waiting": true}));
        assert_eq!(all(), before, "{command}");
    }
    circus.ask("reload", json!({"name": "w", "sequential": true, "waiting": true}));
    assert_eq!((all(), listed(&circus).len()), (before, 3));
}

#[test]
fn there_are_as_many_as_processes_and_one_when_there_are_none() {
    let command = worker::command();
    let circus = Circus::start(&format!(
        "[socket:web]\nport = 0\nso_reuseport = True\n[watcher:web]\ncmd = {command}\nstdin_socket = web\nnumprocesses = 4\n\
         [env:web]\nROLE = tcp"
    ));
    let count = |expected: usize| {
        until(&format!("{expected} sockets"), || (listed(&circus).len() == expected).then_some(()));
    };
    circus.up("web");
    let port = port(&circus, "web");
    count(4);
    assert_eq!(circus.ctl_ok(&["decr", "web", "3", "--waiting"]), "1");
    count(1);
    assert_eq!(circus.ctl_ok(&["incr", "web", "--waiting"]), "2");
    count(2);
    assert_eq!(circus.ctl_ok(&["set", "web", "numprocesses", "3", "--waiting"]), "ok");
    count(3);
    assert_eq!(circus.ctl_ok(&["stop", "web", "--waiting"]), "ok");
    count(1);
    let waiting = TcpStream::connect(("127.0.0.1", port)).expect("the address stays");
    let pids = circus.up("web");
    assert!(pids.contains(&ask(waiting).expect("an answer")));
    count(3);
    let kept = circus.pids("web");
    assert_eq!(circus.ctl_ok(&["rm", "web", "--nostop"]), "ok");
    count(1);
    assert!(kept.iter().all(|pid| proc::exists(*pid)));
}

#[test]
fn one_that_starts_on_demand_waits_for_it_too() {
    let command = worker::command();
    let circus = Circus::start(&format!(
        "[socket:web]\nport = 0\nso_reuseport = True\n[watcher:web]\ncmd = {command}\nstdin_socket = web\nnumprocesses = 2\n\
         on_demand = True\n[env:web]\nROLE = tcp"
    ));
    circus.log.line("web waits for its sockets");
    let address = ("127.0.0.1", port(&circus, "web"));
    for _ in 0..2 {
        ask_tcp(address).expect("an answer");
        circus.until_status("web", "active");
        let pids = circus.pids("web");
        assert_eq!(pids.len(), 2);
        pids.iter().for_each(|pid| circus::sys::signal::kill(*pid, SIGKILL).expect("it runs"));
        circus.until_status("web", "stopped");
    }
}

/// While workers are replaced in every way that leaves their number as it is, no connection is refused or reset.
#[test]
fn no_request_fails_while_workers_are_replaced() {
    let command = worker::command();
    let circus = Circus::start(&format!(
        "[socket:web]\nport = 0\nso_reuseport = True\n[watcher:web]\ncmd = {command}\nstdin_socket = web\nnumprocesses = 3\n\
         [env:web]\nROLE = tcp"
    ));
    circus.up("web");
    let (stop, answers, port) = (AtomicBool::new(false), AtomicUsize::new(0), port(&circus, "web"));
    let client = || {
        while !stop.load(Ordering::Relaxed) {
            ask_tcp(("127.0.0.1", port)).expect("no request fails");
            answers.fetch_add(1, Ordering::Relaxed);
        }
    };
    let replace = || {
        for command in ["reload", "restart", "reload"] {
            circus.ask(command, json!({"name": "web", "waiting": true}));
            let target = answers.load(Ordering::Relaxed) + 20;
            until("requests are answered", || (answers.load(Ordering::Relaxed) >= target).then_some(()));
        }
        circus.ask("reload", json!({"name": "web", "sequential": true, "waiting": true}));
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(client)).collect();
        let replaced = std::panic::catch_unwind(std::panic::AssertUnwindSafe(replace));
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().expect("no failure"));
        replaced.expect("all were replaced");
    });
}
