//! What circus tells the service manager that started it (sd_notify).

use crate::common::{Circus, Dir, PATIENCE, SIGHUP, SIGTERM, until};
use std::os::unix::net::UnixDatagram;

const INI: &str = "[watcher:w]\ncmd = sleep 1000\ncopy_env = True\n";

/// A service manager, and a circus that it started with further variables.
fn managed(more: &[(&str, &str)]) -> (UnixDatagram, Circus) {
    let dir = Dir::new();
    let manager = UnixDatagram::bind(dir.path("manager")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = dir.name("manager");
    let circus = Circus::with(dir, INI, |command| {
        command.env("NOTIFY_SOCKET", name).envs(more.iter().copied());
    });
    (manager, circus)
}

fn heard(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let length = manager.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[test]
fn ready_reloading_and_stopping_are_told() {
    let (manager, mut circus) = managed(&[]);
    assert_eq!(heard(&manager), "READY=1\nSTATUS=waiting for commands");
    let pids = circus.up("w");
    circus.signal(SIGHUP);
    let text = heard(&manager);
    assert!(text.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{text}");
    assert_eq!(heard(&manager), "READY=1\nSTATUS=waiting for commands");
    assert_ne!(circus.pids("w"), pids);
    circus.signal(SIGTERM);
    assert_eq!(heard(&manager), "STOPPING=1\nSTATUS=stopping all watchers");
    assert_eq!(circus.wait(), 0);
}

#[test]
fn the_watchdog_is_fed_where_it_asks_circus() {
    let (manager, _circus) = managed(&[("WATCHDOG_USEC", "100000")]);
    assert!(heard(&manager).starts_with("READY=1"));
    assert_eq!(heard(&manager), "WATCHDOG=1");
    assert_eq!(heard(&manager), "WATCHDOG=1");
    // For another process: the next thing that is heard is the end.
    let (manager, circus) = managed(&[("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")]);
    assert!(heard(&manager).starts_with("READY=1"));
    circus.up("w");
    circus.signal(SIGTERM);
    assert!(heard(&manager).starts_with("STOPPING=1"));
}

#[test]
fn the_processes_do_not_speak_for_circus() {
    let (_manager, circus) = managed(&[("WATCHDOG_USEC", "60000000")]);
    let pid = circus.up("w")[0];
    // Circus goes on a moment before the kernel has put the environment of the new program in place.
    let environ = until("its environment", || {
        let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|environ| environ.contains("PATH="))
    });
    assert!(!environ.contains("NOTIFY_SOCKET") && !environ.contains("WATCHDOG"), "{environ}");
}
