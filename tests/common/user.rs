//! Circus as another user, with that user's own directory of sockets.

use super::client::Client;
use super::{Circus, Dir, exists};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub const NOBODY: u32 = 65534;

/// The program where every user can run it: the directories that it was built in may be closed to others.
fn program(dir: &Dir) -> PathBuf {
    match dir.path("program") {
        path if exists(&path) => path,
        _ => dir.program("program", env!("CARGO_BIN_EXE_circus")),
    }
}

/// Circus as another user, without the tester's environment but this directory.
pub fn as_user(uid: u32, runtime: Option<&str>, dir: &Dir) -> Command {
    let mut command = Command::new(program(dir));
    command.uid(uid).gid(uid).env_clear().env("PATH", "/usr/bin:/bin");
    command.envs(runtime.map(|runtime| ("XDG_RUNTIME_DIR", runtime)));
    command
}

/// A connection to the control socket that this user makes, who is in these groups too.
pub fn relay(uid: u32, groups: &[u32], circus: &Circus) -> Client {
    let program = match circus.dir.path("relay") {
        path if exists(&path) => path,
        _ => {
            let own = std::env::current_exe().expect("the path of this program");
            circus.dir.program("relay", own.to_str().expect("a path in UTF-8"))
        }
    };
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let (id, groups) = (uid.to_string(), groups.iter().map(u32::to_string).collect::<Vec<_>>().join(","));
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id]);
    match groups.as_str() {
        "" => command.arg("--clear-groups"),
        groups => command.args(["--groups", groups]),
    };
    command.arg(program).args(["--exact", "worker", "--test-threads", "1"]).current_dir("/");
    command.env("ROLE", "relay").env("RELAY_TO", circus.dir.path("sock"));
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    // It ends when either side does.
    drop(command.spawn().expect("setpriv"));
    Client::on(ours)
}

/// Circus of another user, with a configuration that names no endpoint, or one of an old kind.
pub fn of_user(uid: u32, runtime: Option<&str>, dir: Dir, ini: &str) -> Circus {
    let command = as_user(uid, runtime, &dir);
    Circus::launch(dir, &format!("# endpoint = that of the user\n{ini}"), |own| *own = command)
}
