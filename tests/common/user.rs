//! Circus as another user, with that user's own directory of sockets.

use super::{Circus, Dir, exists};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

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

/// Circus of another user, with a configuration that names no endpoint, or one of an old kind.
pub fn of_user(uid: u32, runtime: Option<&str>, dir: Dir, ini: &str) -> Circus {
    let command = as_user(uid, runtime, &dir);
    Circus::launch(dir, &format!("# endpoint = that of the user\n{ini}"), |own| *own = command)
}
