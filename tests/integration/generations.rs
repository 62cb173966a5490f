//! Other options have to show that they work before what works is given up.

use crate::common::{Circus, SIGKILL, proc};
use circus::sys::signal::kill;
use serde_json::json;

fn file(cmd: &str) -> String {
    format!("[watcher:web]\ncmd = {cmd}\nnumprocesses = 3\n")
}

fn write(circus: &Circus, cmd: &str) {
    circus.dir.config("circus.ini", &file(cmd));
}

#[test]
fn a_command_that_ends_at_once_is_not_taken() {
    let circus = Circus::start(&file("sleep 1000"));
    let before = circus.up("web");
    write(&circus, "/bin/sh -c 'exit 9'");
    let refused = circus.ctl_refused(&["reloadconfig", "--waiting"]);
    assert!(refused.contains("'web' was not reloaded: a new process exited with code 9"), "{refused}");
    assert_eq!(circus.pids("web"), before, "the old ones stay");
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
