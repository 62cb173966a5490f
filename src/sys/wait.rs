//! Learning that children have ended.
//!
//! In two moves: [`peek`] tells who has ended and how, and leaves the zombie, whose number nobody else can have
//! meanwhile; [`reap`] then takes it away. SIGCHLD says no more than "look": one may stand for a thousand.

use std::ffi::c_int;
use std::{io, mem, ptr};

use super::{Pid, cvt};
pub use crate::signals::Exit;

/// One child that has ended and is not reaped yet, adopted ones included; the same one again until it is reaped.
pub fn peek() -> io::Result<Option<(Pid, Exit)>> {
    match look(libc::P_ALL, 0, ENDED) {
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        seen => Ok(seen?.map(|(pid, code, status)| match code {
            libc::CLD_EXITED => (pid, Exit::Code(status)),
            _ => (pid, Exit::Signal(status)),
        })),
    }
}

/// Takes away the zombie of a child that [`peek`] has shown. `WouldBlock` if it has not ended, ECHILD if it is
/// no child.
pub fn reap(pid: Pid) -> io::Result<()> {
    // SAFETY: a null status is allowed; waitpid touches no memory then.
    match cvt(unsafe { libc::waitpid(pid, ptr::null_mut(), libc::WNOHANG) })? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// Takes away a child that is about to end, and waits for that.
pub(super) fn await_end(pid: Pid) -> io::Result<()> {
    loop {
        // SAFETY: a null status is allowed; waitpid touches no memory then.
        match cvt(unsafe { libc::waitpid(pid, ptr::null_mut(), 0) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => return ended.map(drop),
        }
    }
}

/// The signal that has stopped this child, once for each time that it was stopped.
pub fn stopped(pid: Pid) -> Option<i32> {
    let (_, code, signal) = look(libc::P_PID, pid, libc::WSTOPPED).ok().flatten()?;
    (code == libc::CLD_STOPPED).then_some(signal)
}

/// Whether any child is left, running or zombie, adopted ones included.
pub fn children_exist() -> bool {
    look(libc::P_ALL, 0, ENDED).map_or_else(|error| error.raw_os_error() != Some(libc::ECHILD), |_| true)
}

/// Whether a child, running or zombie, is in this process group. As long as it is not reaped, the group's number is no
/// other's.
pub fn child_is_in_group(pgid: Pid) -> bool {
    pgid > 0 && look(libc::P_PGID, pgid, ENDED).is_ok()
}

/// Children that have ended, which stay as they are.
const ENDED: c_int = libc::WEXITED | libc::WNOWAIT;

/// The next change of state of these children: of which one, what it is, and the exit code or the signal.
fn look(which: libc::idtype_t, number: Pid, changes: c_int) -> io::Result<Option<(Pid, c_int, c_int)>> {
    // SAFETY: all zeros are a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: `info` is ours to be written to.
    cvt(unsafe { libc::waitid(which, number.cast_unsigned(), &mut info, changes | libc::WNOHANG) })?;
    // SAFETY: waitid filled the fields that belong to a child's change of state, or left them zero.
    let (pid, status) = (unsafe { info.si_pid() }, unsafe { info.si_status() });
    Ok((pid != 0).then_some((pid, info.si_code, status)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Ends `script` and returns what peek says of it; passes over children of tests elsewhere in the program.
    #[allow(clippy::zombie_processes, reason = "the zombie is what the test looks at")]
    fn exit_of(script: &str) -> (Pid, Exit) {
        let child = Command::new("/bin/sh").args(["-c", script]).stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id() as Pid;
        loop {
            match peek().unwrap() {
                Some((found, exit)) if found == pid => return (pid, exit),
                _ => std::thread::yield_now(),
            }
        }
    }

    #[test]
    fn peek_tells_code_and_signal_and_leaves_the_zombie() {
        let _children = crate::sys::children_lock();
        let (pid, exit) = exit_of("exit 7");
        assert_eq!(exit, Exit::Code(7));
        assert_eq!(crate::sys::signal::kill(pid, 0).map_err(|error| error.kind()), Ok(()));
        assert!(children_exist());
        reap(pid).unwrap();
        assert_eq!(reap(pid).unwrap_err().raw_os_error(), Some(libc::ECHILD));

        let (pid, exit) = exit_of("ulimit -c 0; kill -TERM $$");
        assert_eq!(exit, Exit::Signal(libc::SIGTERM));
        reap(pid).unwrap();
    }

    #[test]
    #[allow(clippy::zombie_processes, reason = "the zombie is what the test looks at")]
    fn a_group_is_known_by_the_children_in_it() {
        use std::os::unix::process::CommandExt;
        let _children = crate::sys::children_lock();
        let mut cat = Command::new("/bin/cat").stdin(Stdio::piped()).process_group(0).spawn().unwrap();
        let pid = cat.id() as Pid;
        assert!(child_is_in_group(pid));
        drop(cat.stdin.take());
        // a zombie is a member still
        while !matches!(peek().unwrap(), Some((found, _)) if found == pid) {
            assert!(child_is_in_group(pid));
            std::thread::yield_now();
        }
        assert!(child_is_in_group(pid));
        reap(pid).unwrap();
        assert!([pid, 0, -1].into_iter().all(|pgid| !child_is_in_group(pgid)));
    }

    #[test]
    fn a_running_child_is_not_reaped() {
        let _children = crate::sys::children_lock();
        let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        assert_eq!(reap(child.id() as Pid).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
