//! The only place that touches the kernel: every `unsafe` block and every use of `libc` is below here.
//!
//! Each function wraps one system call or one small sequence of them, takes and returns owned Rust types, and
//! turns -1 into [`std::io::Error`]. No decisions are taken here. Each `unsafe` block is one operation and says
//! why it is sound.
#![allow(unsafe_code)]

pub mod address;
pub mod child;
pub mod clock;
pub mod daemonize;
pub mod directory;
pub mod entry;
pub mod file;
#[cfg(any(feature = "prompt", feature = "top"))]
pub mod keyboard;
pub mod limit;
pub mod memory;
mod nss;
pub mod process;
pub mod queue;
pub mod signal;
pub mod socket;
pub mod terminal;
#[cfg(all(panic = "abort", target_os = "linux"))]
mod unwind;
pub mod user;
pub mod wait;

use std::ffi::c_int;
use std::io;
use std::os::fd::RawFd;

/// A process or process group number, as the kernel counts them.
pub type Pid = i32;

/// There is no such process.
pub const ESRCH: i32 = libc::ESRCH;

/// There is no such file or directory.
pub const ENOENT: i32 = libc::ENOENT;

/// Permission denied.
pub const EACCES: i32 = libc::EACCES;

/// A datagram is too long.
pub const EMSGSIZE: i32 = libc::EMSGSIZE;

/// Too many symbolic links.
pub const ELOOP: i32 = libc::ELOOP;

/// Whether an errno says that the machine, or what circus may have of it, is short of processes, memory or descriptors.
/// That may pass.
pub fn is_shortage(errno: i32) -> bool {
    matches!(errno, libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ENOBUFS)
}

/// Whether an error says that there is no descriptor left, for circus or for the machine.
pub fn wants_descriptor(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Whether an error about a process says that there is none of that number.
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// Whether a reason ends with the words of such an errno, as all do that the system gives.
pub fn tells_of_shortage(reason: &str) -> bool {
    const HIGHEST: i32 = 133;
    (1..=HIGHEST).any(|errno| is_shortage(errno) && reason.ends_with(&errno_words(errno)))
}

/// Turns the -1 of a system call into the error that errno names.
fn cvt<T: PartialEq + From<i8>>(returned: T) -> io::Result<T> {
    if returned == T::from(-1) { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// A command of fcntl(2), of those that take a number: -1 and errno where it fails.
fn fcntl(fd: RawFd, command: c_int, argument: c_int) -> c_int {
    // SAFETY: no command that is given here takes a pointer; nothing but the table of descriptors changes.
    unsafe { libc::fcntl(fd, command, argument) }
}

/// The errno of the last system call of this thread that failed.
fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// An errno in words: "No such file or directory".
pub fn errno_words(errno: i32) -> String {
    let mut words = io::Error::from_raw_os_error(errno).to_string();
    if let Some(tail) = words.rfind(" (os error ") {
        words.truncate(tail);
    }
    words
}

/// An error in words, without Rust's "(os error 2)" behind the system's own text.
pub fn io_words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), errno_words)
}

/// Held by every test that makes children: `wait::peek` sees those of all threads.
#[cfg(test)]
pub(crate) fn children_lock() -> std::sync::MutexGuard<'static, ()> {
    static CHILDREN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    CHILDREN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_is_told_in_words_alone() {
        assert_eq!(errno_words(libc::ENOENT), "No such file or directory");
        assert_eq!(io_words(&io::Error::from_raw_os_error(libc::EACCES)), "Permission denied");
        assert_eq!(io_words(&io::Error::other("half a line")), "half a line");
    }

    #[test]
    fn a_reason_tells_whether_circus_was_short_of_something() {
        let because = |errno| format!("env_file = /x: {}", errno_words(errno));
        assert!(
            [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EAGAIN]
                .map(because)
                .iter()
                .all(|why| tells_of_shortage(why))
        );
        assert!(
            [libc::ENOENT, libc::EACCES, libc::EIO].map(because).iter().all(|why| !tells_of_shortage(why))
        );
        assert!(!tells_of_shortage("env_file = Too many open files/x: line 1 is no NAME=value"));
    }

    #[test]
    fn minus_one_is_an_error_and_zero_is_none() {
        assert_eq!(cvt(0_i32).unwrap(), 0);
        assert!(cvt(-1_i64).is_err());
    }
}
