//! Whose terminal it is: the foreground group of a terminal, and circus's own place in its session; its size.

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

/// How many rows and columns the terminal has; 24 and 80 when it does not know.
pub fn size() -> (usize, usize) {
    let sizes = [libc::STDOUT_FILENO, libc::STDERR_FILENO].map(size_of);
    sizes.into_iter().flatten().next().unwrap_or((24, 80))
}

/// How many columns a line may fill that is to be written over: one that fills the last of them begins another.
pub fn columns() -> usize {
    size().1.saturating_sub(1)
}

fn size_of(fd: RawFd) -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize.
    let known = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &mut size) } == 0;
    (known && size.ws_row > 0 && size.ws_col > 0).then(|| (size.ws_row.into(), size.ws_col.into()))
}
