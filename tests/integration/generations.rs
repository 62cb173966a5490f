//! Other options have to show that they work before what works is given up.

use crate::common::{Circus, SIGKILL, proc, until, worker};
use circus::sys::signal::kill;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

fn file(cmd: &str) -> String {
    format!("[watcher:web]\ncmd = {cmd}\nnumprocesses = 3\n")
}

fn write(circus: &Circus, cmd: &str) {
    circus.dir.config("circus.ini", &file(cmd));
}

/// The old processes are there, and soon nothing else.
fn stays(circus: &Circus, old: &[i32]) {
    let pids = circus.pids("web");
    assert!(old.iter().all(|pid| pids.contains(pid)), "{old:?} are not all among {pids:?}");
    until("the new ones are gone", || (circus.pids("web") == old).then_some(()));
}

#[test]
fn a_command_that_ends_at_once_is_not_taken() {
    let circus = Circus::start(&file("sleep 1000"));
    let before = circus.up("web");
    write(&circus, "/bin/sh -c 'exit 9'");
    let refused = circus.ctl_refused(&["reloadconfig", "--waiting"]);
    assert!(refused.contains("'web' was not reloaded: a new process exited with code 9"), "{refused}");
    stays(&circus, &before);
    let text = "; the newer ones failed: a new process exited with code 9";
    let status = circus.ask("status", json!({"name": "web"}));
    assert!(status["fallback"].as_str().is_some_and(|it| it.ends_with(text)), "{status}");
    assert!(circus.ctl_ok(&["status", "--details"]).contains("\nweb: runs on the options of "));
    assert!(circus.ctl_ok(&["why", "web"]).contains("\nIt runs on the options of "));
    assert!(
        circus.ask("why", json!({"name": "web"}))["fallback"].as_str().is_some_and(|it| it.ends_with(text))
    );
    // What is killed is replaced as it was made.
    let mut events = circus.listen(&["watcher.web.spawn"]);
    before.iter().for_each(|pid| kill(*pid, SIGKILL).expect("it runs"));
    for _ in 0..3 {
        assert_eq!(proc::argv(events.pid("watcher.web.spawn")), ["sleep", "1000"]);
    }
    assert_eq!(circus.status("web"), "active");
    // A file that is right takes their place.
    write(&circus, "sleep 2000");
    assert_eq!(circus.ctl_ok(&["reloadconfig", "--waiting"]), "ok");
    assert!(circus.pids("web").iter().all(|pid| proc::argv(*pid) == ["sleep", "2000"]));
    let status = circus.ask("status", json!({"name": "web"}));
    assert_eq!((&status["status"], &status["fallback"]), (&json!("active"), &json!(null)));
}

#[test]
fn a_deployment_that_fails_is_as_if_it_had_never_been() {
    let circus = Circus::start(&(file("sleep 1000") + "[watcher:other]\ncmd = sleep 1000"));
    let (before, other) = (circus.up("web"), circus.up("other"));
    let bad = "stdout_stream.class = QueueStream\ncmd = /bin/sh -c 'echo no port; exit 9'\nnumprocesses = 3";
    circus.dir.config("circus.ini", &format!("[watcher:web]\n{bad}"));
    let ended = circus.ctl(&["deploy", "web"]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(ended.err.contains("'web' was not deployed: a new process exited with code 9"), "{}", ended.err);
    assert!(ended.err.ends_with("\n    no port\n"), "{}", ended.err);
    stays(&circus, &before);
    assert_eq!(circus.pids("other"), other, "for `web` alone");
    assert_eq!(circus.ctl_ok(&["get", "web", "cmd"]), "cmd: sleep 1000");
    // Another one is good, and goes back.
    circus.dir.config("circus.ini", &file("sleep 2000"));
    circus.ctl_ok(&["deploy", "web"]);
    assert_eq!(proc::argv(circus.pids("web")[0]), ["sleep", "2000"]);
    circus.ctl_ok(&["rollback", "web"]);
    assert_eq!(proc::argv(circus.pids("web")[0]), ["sleep", "1000"]);
    assert!(
        circus.ask("status", json!({"name": "web"}))["fallback"]
            .as_str()
            .is_some_and(|it| it.ends_with("; the newer ones were rolled back"))
    );
}

#[test]
fn a_canary_runs_beside_the_old_ones() {
    let circus = Circus::start(&file("sleep 1000"));
    let before = circus.up("web");
    write(&circus, "sleep 2000");
    circus.ctl_ok(&["deploy", "web", "--canary", "1"]);
    let pids = circus.pids("web");
    assert!(pids.len() == 4 && before.iter().all(|pid| pids.contains(pid)));
    let canary = *pids.iter().find(|pid| !before.contains(pid)).expect("a canary");
    assert_eq!(proc::argv(canary), ["sleep", "2000"]);
    circus.ctl_ok(&["deploy", "web", "--go"]);
    let pids = circus.pids("web");
    assert!(pids.len() == 3 && pids.contains(&canary) && before.iter().all(|pid| !pids.contains(pid)));
    assert!(circus.ctl_refused(&["deploy", "web", "--back"]).contains("has no canary"));
    let refused = circus.ctl_refused(&["deploy", "web", "--go", "--canary", "1"]);
    assert!(refused.contains("do not go together"), "{refused}");
}

#[test]
fn what_would_change_is_told_and_not_done() {
    let socket = "[socket:s]\npath = {dir}/s\n";
    let circus = Circus::start(&(file("sleep 1000") + socket));
    let before = circus.up("web");
    assert_eq!(circus.ctl_ok(&["reloadconfig", "--dry-run"]), "nothing would change");
    let other = file("sleep 2000")
        + "[watcher:new]\ncmd = sleep 1\n[circus]\nwarmup_delay = 2\n[socket:t]\npath = {dir}/t\n";
    circus.dir.config("circus.ini", &other);
    let ended = circus.ctl(&["reloadconfig", "--dry-run"]);
    let expected =
        "[socket:s]: remove\n[socket:t]: add\n[circus]: set (warmup_delay)\nnew: add\nweb: reload (cmd)\n";
    assert_eq!((ended.code, ended.out.as_str()), (4, expected));
    let ended = circus.ctl(&["deploy", "web", "--dry-run"]);
    assert_eq!((ended.code, ended.out.as_str()), (4, "web: reload (cmd)\n"));
    assert_eq!((circus.pids("web"), circus.ctl_ok(&["list"]).as_str()), (before, "web"));
    assert!(!circus.dir.path("t").exists() && circus.dir.path("s").exists());
    circus.dir.config("circus.ini", "[watcher:web]\nnumprocesses = x");
    let refused = circus.ctl_refused(&["reloadconfig", "--dry-run"]);
    assert!(refused.contains("numprocesses"), "{refused}");
}

/// Workers on a socket; `more` is in the section of the watcher.
fn workers(command: &str, more: &str) -> String {
    format!(
        "[socket:web]\nhost = 127.0.0.1\nport = 0\n[watcher:web]\ncmd = {command}\nstdin_socket = web\n\
         numprocesses = 2\n{more}\n[env:web]\nROLE = tcp\n"
    )
}

#[test]
fn no_request_is_lost_by_a_good_version_nor_by_a_bad_one_nor_on_the_way_back() {
    let good = worker::command();
    let circus = Circus::start(&workers(&good, ""));
    let (old, port) = (circus.up("web"), worker::port(&circus, "web"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = || {
            let mut answered = 0;
            while !stop.load(Relaxed) || answered < 5000 {
                let pid = worker::ask_tcp(("127.0.0.1", port)).expect("an answer");
                answered += usize::from(pid > 0);
            }
            answered
        };
        let clients = [scope.spawn(client), scope.spawn(client)];
        circus.dir.config("circus.ini", &workers("/bin/sh -c 'exit 9'", ""));
        assert!(circus.ctl_refused(&["deploy", "web"]).contains("exited with code 9"));
        stays(&circus, &old);
        circus.dir.config("circus.ini", &workers(&good, "respawn_delay = 2"));
        circus.ctl_ok(&["deploy", "web", "--surge", "1"]);
        assert!(circus.pids("web").iter().all(|pid| !old.contains(pid)));
        circus.ctl_ok(&["rollback", "web"]);
        stop.store(true, Relaxed);
        let answered: usize = clients.into_iter().map(|client| client.join().expect("no failure")).sum();
        assert!(answered >= 10_000, "{answered}");
    });
}
