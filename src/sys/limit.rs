//! Resource limits: their names, reading, raising.
//!
//! By prlimit64, whose numbers are 64 bits wide on every architecture; that of a 32-bit C library may be narrower.

use std::ffi::c_long;
use std::{io, ptr};

use super::cvt;

/// No limit (RLIM_INFINITY).
pub const UNLIMITED: u64 = u64::MAX;

/// The number of open files (RLIMIT_NOFILE).
pub const NOFILE: i32 = libc::RLIMIT_NOFILE as i32;

/// A limit on one resource, in that resource's unit (bytes, seconds, or a count).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// One of the numbers that [`resource`] gives.
    pub resource: i32,
    /// What is enforced, or [`UNLIMITED`].
    pub soft: u64,
    /// How far `soft` may be raised, or [`UNLIMITED`].
    pub hard: u64,
}

/// Every name once; `ofile` is what BSD calls `nofile`.
const NAMES: [(&str, i32); 17] = [
    ("as", libc::RLIMIT_AS as i32),
    ("core", libc::RLIMIT_CORE as i32),
    ("cpu", libc::RLIMIT_CPU as i32),
    ("data", libc::RLIMIT_DATA as i32),
    ("fsize", libc::RLIMIT_FSIZE as i32),
    ("locks", libc::RLIMIT_LOCKS as i32),
    ("memlock", libc::RLIMIT_MEMLOCK as i32),
    ("msgqueue", libc::RLIMIT_MSGQUEUE as i32),
    ("nice", libc::RLIMIT_NICE as i32),
    ("nofile", NOFILE),
    ("ofile", NOFILE),
    ("nproc", libc::RLIMIT_NPROC as i32),
    ("rss", libc::RLIMIT_RSS as i32),
    ("rtprio", libc::RLIMIT_RTPRIO as i32),
    ("rttime", libc::RLIMIT_RTTIME as i32),
    ("sigpending", libc::RLIMIT_SIGPENDING as i32),
    ("stack", libc::RLIMIT_STACK as i32),
];

/// The number of the resource of that name ("nofile", in any case), if there is one.
pub fn resource(name: &str) -> Option<i32> {
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, number)| number)
}

/// The name of a resource, in lower case.
pub fn name(resource: i32) -> Option<&'static str> {
    NAMES.iter().find(|&&(_, number)| number == resource).map(|&(name, _)| name)
}

/// The names of all resources that can be limited, for messages.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|&(name, _)| name)
}

/// This process's own limit on a resource.
pub fn get(resource: i32) -> io::Result<Limit> {
    let mut pair = [0; 2];
    cvt(prlimit(resource, ptr::null(), &mut pair))?;
    let [soft, hard] = pair;
    Ok(Limit { resource, soft, hard })
}

/// Sets a limit of this process. Only root may raise `hard`.
pub fn set(limit: &Limit) -> io::Result<()> {
    cvt(set_raw(limit)).map(drop)
}

/// As [`set`], but for a child before its execve: -1 and errno.
pub(super) fn set_raw(limit: &Limit) -> c_long {
    prlimit(limit.resource, &[limit.soft, limit.hard], ptr::null_mut())
}

/// Raises the number of files that circus may have open to the hard limit; returns what the limit was before.
pub fn raise_nofile() -> io::Result<Limit> {
    let before = get(NOFILE)?;
    if before.soft < before.hard {
        set(&Limit { soft: before.hard, ..before })?;
    }
    Ok(before)
}

fn prlimit(resource: i32, new: *const [u64; 2], old: *mut [u64; 2]) -> c_long {
    const SELF: libc::pid_t = 0;
    // SAFETY: each pointer is null or to two 64-bit numbers, soft and hard, as the kernel lays them out.
    unsafe { libc::syscall(libc::SYS_prlimit64, SELF, resource, new, old) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(resource("NOFILE"), Some(NOFILE));
        assert_eq!(resource("nofile"), resource("Ofile"));
        assert_eq!(resource("as"), Some(libc::RLIMIT_AS as i32));
        assert_eq!(resource("no_such"), None);
        assert_eq!(name(NOFILE), Some("nofile"));
        assert!(names().all(|name| resource(name).is_some()));
    }

    #[test]
    fn a_limit_is_read_as_the_shell_reads_it() {
        let _children = crate::sys::children_lock();
        let shell = std::process::Command::new("/bin/sh").args(["-c", "ulimit -Hn"]).output().unwrap();
        let text = String::from_utf8(shell.stdout).unwrap();
        let expected = text.trim().parse().unwrap_or(UNLIMITED);
        assert_eq!(get(NOFILE).unwrap().hard, expected);
    }

    #[test]
    fn an_unknown_resource_is_an_error() {
        assert_eq!(get(9999).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
