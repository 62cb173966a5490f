//! What circus was started with: its environment, its directory, and whoever reads its standard error output.

use crate::config::{Names, text};
use crate::control::plain::plain_text;
#[cfg(feature = "check")]
use crate::{config::check::programs::Around, host::spawn_template::DEFAULT_PATH, sys::user};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

/// What only the parent of a process can tell it, about descriptors and about the service manager: what circus was told
/// is not for its own processes.
pub fn of_a_parent() -> impl Iterator<Item = &'static str> {
    "LISTEN_FDS LISTEN_PID LISTEN_FDNAMES LISTEN_PIDFDID NOTIFY_SOCKET WATCHDOG_PID WATCHDOG_USEC".split(' ')
}

/// The environment of circus, as the configuration and so its processes see it: without what those that started
/// circus say to it alone.
pub fn environ() -> Names {
    let is_own = |name: &str| of_a_parent().any(|own| own == name) || name.starts_with("EINHORN_");
    whole_environ().into_iter().filter(|(name, _)| !is_own(name)).collect()
}

/// All of it.
pub fn whole_environ() -> Names {
    let text = |value: &std::ffi::OsStr| text::from_bytes(value.as_bytes());
    std::env::vars_os().map(|(name, value)| (text(&name), text(&value))).collect()
}

/// The directory circus runs in.
pub fn current_dir() -> String {
    std::env::current_dir().map_or_else(|_| "/".into(), |dir| text::from_bytes(dir.as_os_str().as_bytes()))
}

/// What the checks of a configuration have to know of circus.
#[cfg(feature = "check")]
pub fn around<'a>(environ: &'a Names, cwd: &'a str) -> Around<'a> {
    Around { environ, cwd, default_path: DEFAULT_PATH, ids: (user::current_uid(), user::current_gid()) }
}

/// Writes a line to the standard error output, without what would command a terminal. That it has no reader is no reason
/// for a panic, as `eprintln!` has it.
pub fn complain(line: &str) {
    let _ = std::io::stderr().write_all(&text::to_bytes(&(plain_text(line) + "\n")));
}
