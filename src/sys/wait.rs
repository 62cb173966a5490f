//! Learning that children have ended.
//!
//! In two moves: [`peek`] tells who has ended and how, and leaves the zombie, whose number nobody else can have
//! meanwhile; [`reap`] then takes it away. SIGCHLD says no more than "look": one may stand for a thousand.

use std::{io, mem, ptr};

use super::{Pid, cvt};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It called exit with this code (0 to 255).
    Code(i32),
    /// The signal of this number ended it.
    Signal(i32),
}

/// One child that has ended and is not reaped yet, adopted ones included; the same one again until it is reaped.
pub fn peek() -> io::Result<Option<(Pid, Exit)>> {
    let info = match wait_any() {
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
        info => info?,
    };
    // SAFETY: waitid filled the fields that belong to a child's change of state, or left them zero.
    let pid = unsafe { info.si_pid() };
    if pid == 0 {
        return Ok(None);
    }
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    let exit = match info.si_code {
        libc::CLD_EXITED => Exit::Code(status),
        _ => Exit::Signal(status),
    };
    Ok(Some((pid, exit)))
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

/// The signal that has stopped this child, once for each time that it was stopped.
pub fn stopped(pid: Pid) -> Option<i32> {
    // SAFETY: all zeros are a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let which = libc::id_t::try_from(pid).ok()?;
    // SAFETY: `info` is ours to be written to.
    cvt(unsafe { libc::waitid(libc::P_PID, which, &mut info, libc::WSTOPPED | libc::WNOHANG) }).ok()?;
    // SAFETY: waitid filled the fields that belong to a child's change of state, or left them zero.
    let signal = unsafe { info.si_status() };
    (info.si_code == libc::CLD_STOPPED).then_some(signal)
}

/// Whether any child is left, running or zombie, adopted ones included.
pub fn children_exist() -> bool {
    match wait_any() {
        Ok(_) => true,
        Err(error) => error.raw_os_error() != Some(libc::ECHILD),
    }
}

/// Whether a child, running or zombie, is in this process group. As long as it is not reaped, the group's number is no
/// other's.
pub fn child_is_in_group(pgid: Pid) -> bool {
    libc::id_t::try_from(pgid).is_ok_and(|group| pgid > 0 && wait_for(libc::P_PGID, group).is_ok())
}

fn wait_any() -> io::Result<libc::siginfo_t> {
    wait_for(libc::P_ALL, 0)
}

fn wait_for(whom: libc::idtype_t, number: libc::id_t) -> io::Result<libc::siginfo_t> {
    // SAFETY: all zeros are a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is ours to be written to.
    cvt(unsafe { libc::waitid(whom, number, &mut info, options) })?;
    Ok(info)
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
