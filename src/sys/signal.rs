//! Sending signals, and receiving them as bytes on a descriptor that the event loop waits for.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::FORBIDDEN;
use signal_hook::{SigId, low_level};

use super::child::mask;
pub use super::child::mask::{Inherited, ignore, unblock_all};
use super::socket::send_nowait;
use super::{Pid, cvt};
use crate::signals::{self, *};

/// The table of signals is that of this system.
const _: () = {
    assert!(SIGHUP == libc::SIGHUP && SIGINT == libc::SIGINT && SIGQUIT == libc::SIGQUIT);
    assert!(SIGILL == libc::SIGILL && SIGTRAP == libc::SIGTRAP && SIGABRT == libc::SIGABRT);
    assert!(SIGBUS == libc::SIGBUS && SIGFPE == libc::SIGFPE && SIGKILL == libc::SIGKILL);
    assert!(SIGUSR1 == libc::SIGUSR1 && SIGSEGV == libc::SIGSEGV && SIGUSR2 == libc::SIGUSR2);
    assert!(SIGPIPE == libc::SIGPIPE && SIGALRM == libc::SIGALRM && SIGTERM == libc::SIGTERM);
    assert!(SIGCHLD == libc::SIGCHLD && SIGCONT == libc::SIGCONT && SIGSTOP == libc::SIGSTOP);
    assert!(SIGTSTP == libc::SIGTSTP && SIGTTIN == libc::SIGTTIN && SIGTTOU == libc::SIGTTOU);
    assert!(SIGURG == libc::SIGURG && SIGXCPU == libc::SIGXCPU && SIGXFSZ == libc::SIGXFSZ);
    assert!(SIGVTALRM == libc::SIGVTALRM && SIGPROF == libc::SIGPROF && SIGWINCH == libc::SIGWINCH);
    assert!(SIGIO == libc::SIGIO && SIGPWR == libc::SIGPWR && SIGSYS == libc::SIGSYS);
};

/// Sends a signal to one process; 0 only asks whether it may be sent. ESRCH if there is no such process.
///
/// A number below 1 means groups to the kernel and is refused here.
pub fn kill(pid: Pid, signal: i32) -> io::Result<()> {
    send_to(positive(pid)?, signal)
}

/// Sends a signal to every process of a group. ESRCH if it has none.
pub fn kill_group(pgid: Pid, signal: i32) -> io::Result<()> {
    // 1 would be -1 here: every process of the machine.
    if pgid == 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    send_to(-positive(pgid)?, signal)
}

/// Whether a group has any process, zombies included.
pub fn group_exists(pgid: Pid) -> bool {
    match kill_group(pgid, 0) {
        Ok(()) => true,
        Err(error) => error.raw_os_error() == Some(libc::EPERM),
    }
}

/// The group of a process, which may be a zombie.
pub fn group_of(pid: Pid) -> io::Result<Pid> {
    // SAFETY: takes a number and touches no memory.
    cvt(unsafe { libc::getpgid(positive(pid)?) })
}

fn positive(pid: Pid) -> io::Result<Pid> {
    if pid > 0 { Ok(pid) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn send_to(target: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: takes numbers and touches no memory.
    cvt(unsafe { libc::kill(target, signal) }).map(drop)
}

/// A process held by a descriptor: a signal sent by it never meets another process that got the same number.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// ESRCH if there is no such process, ENOSYS before Linux 5.3.
    pub fn open(pid: Pid) -> io::Result<Self> {
        // SAFETY: takes numbers and touches no memory.
        let fd = cvt(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
        // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
        Ok(PidFd(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
    }

    /// Waits until it has ended, be it a zombie still, or for so many milliseconds.
    pub fn await_exit(&self, most: i32) -> io::Result<()> {
        super::process::poll(self.0.as_raw_fd(), libc::POLLIN, most).map(drop)
    }

    /// ESRCH if the process has been reaped.
    pub fn send_signal(&self, signal: i32) -> io::Result<()> {
        let none: *const libc::siginfo_t = ptr::null();
        // SAFETY: a null siginfo is allowed and means that of kill.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, none, 0) };
        cvt(sent).map(drop)
    }
}

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A child, and the group that it leads; the child alone as long as it has not come to lead one.
pub fn kill_whole(child: Pid, signal: i32) -> io::Result<()> {
    match kill_group(child, signal) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => kill(child, signal),
        sent => sent,
    }
}

/// One more than the highest signal number.
const SIGNALS: usize = signals::LAST as usize + 1;

/// What a handler touches: the signals seen, and the end of the socket pair that wakes the loop.
struct Seen {
    /// One of the flags may be set.
    any: AtomicBool,
    flags: [AtomicBool; SIGNALS],
    waker: UnixStream,
}

impl Seen {
    /// Runs as a signal handler: atomic stores and one system call, nothing else.
    fn note(&self, signal: i32) {
        if let Some(flag) = self.flags.get(signal as usize) {
            flag.store(true, Ordering::SeqCst);
            self.any.store(true, Ordering::SeqCst);
        }
        // When the pair is full the loop is woken anyway.
        let _ = send_nowait(self.waker.as_raw_fd(), &[0]);
    }
}

/// Whoever started circus had ignored SIGPIPE.
static PIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Ignores SIGPIPE, and remembers for [`block_all`] what was before. To be called once.
pub(super) fn ignore_pipe() {
    // Not written without need: that would be a page of memory more.
    if ignore(libc::SIGPIPE) {
        PIPE_WAS_IGNORED.store(true, Ordering::Relaxed);
    }
}

/// Blocks all signals, so that each stays pending until [`wait`] takes it; none can end or stop this thread then,
/// but SIGKILL and SIGSTOP. SIGCHLD gets its default disposition: ignored, it would hide every death.
///
/// The answer is what circus was started with, for a program that is to inherit the same.
pub fn block_all() -> Inherited {
    let blocked = mask::block_all();
    let were_ignored = [
        (libc::SIGCHLD, !mask::reset(libc::SIGCHLD)),
        (libc::SIGPIPE, PIPE_WAS_IGNORED.load(Ordering::Relaxed)),
    ];
    let ignored =
        were_ignored.into_iter().filter(|(_, ignored)| *ignored).map(|(signal, _)| signal).collect();
    Inherited { blocked, ignored }
}

/// A signal that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub signal: i32,
    /// Who sent it: `None` if that was the kernel, as it does for the keys of a terminal; 0 if it was a process of
    /// another pid namespace.
    pub sender: Option<Pid>,
}

/// The next signal of those that are blocked; `None` when `timeout` (nanoseconds) is over, or earlier. Without a
/// timeout it waits for ever, and makes no system call meanwhile.
pub fn wait(timeout: Option<u64>) -> Option<Received> {
    loop {
        match mask::wait_for_any(timeout) {
            Ok(info) => return Some(received(&info)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted && timeout.is_none() => {}
            Err(_) => return None,
        }
    }
}

fn received(info: &libc::siginfo_t) -> Received {
    let from_process = info.si_code <= 0;
    // SAFETY: what processes send carries the sender's number; for the rest it is not looked at.
    let sender = unsafe { info.si_pid() };
    Received { signal: info.si_signo, sender: from_process.then_some(sender) }
}

/// Sends a signal to everybody else that circus may signal. Only for PID 1, to which that is its own namespace.
pub fn kill_everybody(signal: i32) -> io::Result<()> {
    if super::process::pid() != 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    send_to(-1, signal)
}

/// Signals that are noted instead of acted upon, and a descriptor that becomes readable when there are any.
///
/// Which ones came is certain, how often is not. Dropping it leaves the signals handled, to no effect.
pub struct Signals {
    seen: Arc<Seen>,
    reader: UnixStream,
    registered: Vec<SigId>,
}

impl Signals {
    /// Handles these signals from now on. `InvalidInput` for those that nobody may handle (SIGKILL, SIGSEGV ...).
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let (reader, waker) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let (any, flags) = (AtomicBool::new(false), [const { AtomicBool::new(false) }; SIGNALS]);
        let mut handled =
            Signals { seen: Arc::new(Seen { any, flags, waker }), reader, registered: Vec::new() };
        for &signal in signals {
            // signal-hook panics for these.
            if FORBIDDEN.contains(&signal) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let seen = Arc::clone(&handled.seen);
            // SAFETY: the action makes only calls that are allowed in a signal handler.
            handled.registered.push(unsafe { low_level::register(signal, move || seen.note(signal)) }?);
        }
        Ok(handled)
    }

    /// Takes all bytes from the descriptor, so that the next signal makes an edge. Call it before
    /// [`Signals::take`]: a signal between the two is then seen twice rather than not at all.
    pub fn drain(&mut self) {
        let mut bytes = [0; 64];
        while self.reader.read(&mut bytes).is_ok_and(|length| length > 0) {}
    }

    /// Whether signals have come. What woke the loop may have been lost on the way, the flag cannot be.
    pub fn have_come(&self) -> bool {
        self.seen.any.load(Ordering::SeqCst)
    }

    /// The signals that came since the last call, each once, the lowest number first.
    pub fn take(&self) -> Vec<i32> {
        self.seen.any.store(false, Ordering::SeqCst);
        let noted = |(signal, flag): (i32, &AtomicBool)| flag.swap(false, Ordering::SeqCst).then_some(signal);
        (0..).zip(&self.seen.flags).filter_map(noted).collect()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for &id in &self.registered {
            low_level::unregister(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn raise(signal: i32) {
        low_level::raise(signal).unwrap();
    }

    fn readable(signals: &Signals) -> bool {
        crate::sys::socket::pending_bytes(signals.as_raw_fd()).unwrap() > 0
    }

    #[test]
    fn signals_are_noted_once_each_and_wake_the_loop() {
        let _children = crate::sys::children_lock();
        let mut signals = Signals::new(&[libc::SIGUSR1, libc::SIGUSR2]).unwrap();
        assert!(!readable(&signals));
        raise(libc::SIGUSR2);
        raise(libc::SIGUSR1);
        raise(libc::SIGUSR2);
        assert!(readable(&signals));
        signals.drain();
        assert!(!readable(&signals) && signals.have_come(), "they are known though nothing wakes the loop");
        assert_eq!(signals.take(), [libc::SIGUSR1, libc::SIGUSR2]);
        assert!(signals.take().is_empty() && !signals.have_come());
    }

    #[test]
    fn a_storm_of_signals_neither_blocks_nor_is_lost() {
        let _children = crate::sys::children_lock();
        let mut signals = Signals::new(&[libc::SIGUSR1]).unwrap();
        for _ in 0..5000 {
            raise(libc::SIGUSR1);
        }
        signals.drain();
        assert_eq!(signals.take(), [libc::SIGUSR1]);
    }

    #[test]
    fn signals_that_nobody_may_handle_are_refused() {
        for signal in [libc::SIGKILL, libc::SIGSEGV] {
            assert_eq!(Signals::new(&[signal]).err().unwrap().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_process_is_signalled_by_number_by_group_and_by_descriptor() {
        use std::os::unix::process::{CommandExt, ExitStatusExt};
        let _children = crate::sys::children_lock();
        type Send = fn(Pid) -> io::Result<()>;
        let ways: [Send; 3] = [
            |pid| kill(pid, libc::SIGKILL),
            |pid| kill_group(pid, libc::SIGKILL),
            |pid| PidFd::open(pid)?.send_signal(libc::SIGKILL),
        ];
        for send in ways {
            let mut cat = Command::new("/bin/cat").stdin(Stdio::piped()).process_group(0).spawn().unwrap();
            let pid = cat.id() as Pid;
            assert_eq!(group_of(pid).unwrap(), pid);
            assert!(group_exists(pid));
            send(pid).unwrap();
            assert_eq!(cat.wait().unwrap().signal(), Some(libc::SIGKILL));
            assert!(!group_exists(pid));
            assert_eq!(kill(pid, 0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        }
    }

    #[test]
    fn numbers_that_mean_everybody_are_refused() {
        for pid in [0, -1, i32::MIN] {
            assert_eq!(kill(pid, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert_eq!(kill_group(pid, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert_eq!(kill_group(1, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
