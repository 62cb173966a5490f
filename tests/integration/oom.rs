//! The kernel ends a process of a watcher because the memory of its cgroup is used up, and circus says so.

use crate::common::{Circus, SIGKILL, exists, needs_root, until};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A cgroup with 32 MiB of memory, of version 1 or 2; removed at the end.
struct Small(PathBuf);

impl Small {
    /// None where this machine has no controller of memory, or does not let even root have it.
    fn new() -> Option<Small> {
        let name = format!("circus-test-oom-{}", std::process::id());
        let (one, two) = (Path::new("/sys/fs/cgroup/memory"), Path::new("/sys/fs/cgroup"));
        let (dir, limit) = match exists(&one.join("memory.limit_in_bytes")) {
            true => (one.join(name), "memory.limit_in_bytes"),
            false => (two.join(name), "memory.max"),
        };
        std::fs::create_dir(&dir).ok()?;
        let small = Small(dir);
        std::fs::write(small.0.join(limit), "33554432").ok()?;
        // Where there is swap, the process would go there first.
        let _ = std::fs::write(small.0.join("memory.swap.max"), "0");
        Some(small)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        until("the cgroup is empty", || std::fs::remove_dir(&self.0).ok());
    }
}

#[test]
fn a_process_that_the_kernel_ends_for_want_of_memory_is_told_from_one_that_somebody_kills() {
    needs_root();
    let Some(small) = Small::new() else { return };
    let enter = format!("echo $$ > {}/cgroup.procs;", small.0.display());
    let ini = format!(
        "[watcher:eater]
        cmd = sh -c \"{enter} exec tail /dev/zero\"
        numprocesses = 2
        autostart = False
        respawn = False
        [watcher:wrapped]
        cmd = sh -c \"{enter} tail /dev/zero; exit $?\"
        autostart = False
        respawn = False
        [watcher:other]
        cmd = sleep 1000"
    );
    let circus = Circus::start(&ini);
    let mut events = circus.listen(&["watcher.eater.reap", "watcher.other.reap"]);
    circus.ask("start", json!({"name": "eater"}));
    for _ in 0..2 {
        circus.log.line("was killed by SIGKILL after ");
    }
    for _ in 0..2 {
        let data = events.wait("watcher.eater.reap");
        assert_eq!((&data["exit_code"], &data["oom"]), (&json!(-9), &json!(true)));
    }
    circus.until_status("eater", "stopped");
    let changes = |name: &str| circus.ask("why", json!({"name": name}))["changes"].clone();
    let ends = |name: &str| {
        let changes = changes(name);
        let ended = changes.as_array().expect("changes").iter().filter(|change| change["what"] == "ended");
        ended.map(|change| (change["oom"].as_bool(), change["times"].as_u64())).collect::<Vec<_>>()
    };
    assert_eq!(ends("eater"), [(Some(true), Some(2))], "{}", circus.log.text());
    let told = "was killed by SIGKILL after ";
    let why = circus.ctl_ok(&["why", "eater"]);
    assert!(why.contains(told) && why.contains("memory ran out"), "{why}");
    assert!(circus.log.text().contains("probably because memory ran out"));

    // A shell ends as the program that it ran, in its way.
    circus.ask("start", json!({"name": "wrapped"}));
    circus.until_status("wrapped", "stopped");
    assert_eq!(ends("wrapped"), [(Some(true), Some(1))], "{}", circus.log.text());
    let why = circus.ctl_ok(&["why", "wrapped"]);
    assert!(why.contains("exited with code 137") && why.contains("memory ran out"), "{why}");

    let pid = circus.pids("other")[0];
    circus::sys::signal::kill(pid, SIGKILL).expect("it runs");
    until("it is replaced", || circus.pids("other").first().filter(|now| **now != pid).copied());
    assert_eq!(ends("other"), [(Some(false), Some(1))]);
    assert_eq!(events.wait("watcher.other.reap").get("oom"), None, "what Circus's events have not is rare");
    let metrics = circus.ctl_ok(&["metrics"]);
    assert!(metrics.contains("watcher=\"other\",reason=\"oom\"} 0"), "{metrics}");
}
