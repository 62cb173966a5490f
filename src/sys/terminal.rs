//! Whose terminal it is: the foreground group of a terminal, and circus's own place in its session.

use std::io;
use std::os::fd::RawFd;

use super::{Pid, cvt};

/// The group in the foreground of a terminal. ENOTTY if the descriptor is no terminal, or not that of this session.
pub fn foreground(terminal: RawFd) -> io::Result<Pid> {
    // SAFETY: takes a number and touches no memory of ours.
    cvt(unsafe { libc::tcgetpgrp(terminal) })
}

/// Puts a group of this session into the foreground. With SIGTTOU neither blocked nor ignored this would stop a
/// caller that is in the background itself.
pub fn set_foreground(terminal: RawFd, group: Pid) -> io::Result<()> {
    // SAFETY: takes numbers and touches no memory of ours.
    cvt(unsafe { libc::tcsetpgrp(terminal, group) }).map(drop)
}

/// The group of circus itself.
pub fn own_group() -> Pid {
    // SAFETY: takes nothing, touches no memory and cannot fail.
    unsafe { libc::getpgrp() }
}

/// Whether circus leads its session: then no shell waits for it that would continue it after a stop.
pub fn leads_session() -> bool {
    // SAFETY: takes a number, 0 for the caller, and touches no memory.
    (unsafe { libc::getsid(0) }) == super::process::pid()
}
