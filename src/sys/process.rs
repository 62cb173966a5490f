//! Circus's own process: its number, its descriptors, its machine.

use std::ffi::{CStr, CString, c_char, c_int, c_short};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Pid, cvt, fcntl};

/// The number of this process.
pub fn pid() -> Pid {
    std::process::id().cast_signed()
}

/// The environment as circus was given it, each "NAME=value"; `std` would take each one apart and check it.
pub fn environment() -> Vec<CString> {
    // SAFETY: the C library defines `environ` with this type.
    unsafe extern "C" {
        #[allow(non_upper_case_globals)]
        static environ: *const *const c_char;
    }
    // SAFETY: the C library has set it, and nobody in circus changes the environment.
    let mut next = unsafe { environ };
    let mut found = Vec::new();
    while !next.is_null() {
        // SAFETY: an array that ends with a null pointer, which is not passed.
        let variable = unsafe { *next };
        if variable.is_null() {
            break;
        }
        // SAFETY: each is a string that ends with a null character.
        found.push(unsafe { CStr::from_ptr(variable) }.into());
        next = next.wrapping_add(1);
    }
    found
}

/// Becomes another program, which is looked for in PATH; `argv` begins with its name. The answer says why that did
/// not work.
pub fn exec(argv: &[CString]) -> io::Error {
    let Some(program) = argv.first() else { return io::ErrorKind::InvalidInput.into() };
    let mut pointers: Vec<*const c_char> = argv.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // Rust's start-up code ignores SIGPIPE; the program must not inherit that.
    // SAFETY: takes numbers and installs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    // SAFETY: `argv` outlives the call, every word ends with a null character, and the array with a null pointer.
    unsafe { libc::execvp(program.as_ptr(), pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// Gives a process what nobody else wants of the processors and disks: niceness 19, and the idle class of input and
/// output.
pub fn make_modest(pid: Pid) -> io::Result<()> {
    const WHO_PROCESS: c_int = 1;
    const IDLE: c_int = 3 << 13;
    // SAFETY: takes numbers and touches no memory.
    cvt(unsafe { libc::setpriority(libc::PRIO_PROCESS, pid.cast_unsigned(), 19) })?;
    // SAFETY: as above; the C library has no name for this call.
    cvt(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, pid, IDLE) }).map(drop)
}

/// Makes orphaned descendants children of circus, whose end it is then told, as PID 1 is.
pub fn set_subreaper() -> io::Result<()> {
    // SAFETY: takes numbers and touches no memory.
    cvt(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// Sets the file mode creation mask of the whole process and returns the one before.
pub fn set_umask(mask: u32) -> u32 {
    // SAFETY: takes a number and touches no memory; cannot fail.
    let before = unsafe { libc::umask(mask as libc::mode_t) };
    before as u32
}

/// The standard output was closed when circus was started.
static NO_STDOUT: AtomicBool = AtomicBool::new(false);

/// Whether what is written to the standard output goes anywhere: where it was closed, /dev/null stands in for it.
pub fn has_stdout() -> bool {
    !NO_STDOUT.load(Ordering::Relaxed)
}

/// Opens /dev/null as 0, 1 and 2 where they are closed, so that no file or socket gets such a number. Fails only when
/// no descriptor can be had.
pub fn ensure_stdio() -> io::Result<()> {
    while let Some(closed) = (0..=2).find(|fd| !is_open(*fd)) {
        if closed == 1 {
            NO_STDOUT.store(true, Ordering::Relaxed);
        }
        // It takes the lowest free number, and is to keep it for the program's life and for children.
        let null = open_null()?;
        inherit_as(&null, null.as_raw_fd())?;
        std::mem::forget(null);
    }
    Ok(())
}

fn is_open(fd: RawFd) -> bool {
    fcntl(fd, libc::F_GETFD, 0) != -1
}

/// Makes 0, 1 and 2 /dev/null, so that circus holds no terminal any more.
pub fn detach_stdio() -> io::Result<()> {
    ensure_stdio()?;
    let null = open_null()?;
    (0..=2).try_for_each(|fd| inherit_as(&null, fd))
}

/// Where there is no /dev/null, what comes nearest to it: a pipe without a writer, which is always at its end and
/// cannot be written to.
pub(super) fn open_null() -> io::Result<File> {
    let null = File::options().read(true).write(true).open("/dev/null");
    null.or_else(|_| io::pipe().map(|(reader, _)| OwnedFd::from(reader).into()))
}

/// Makes `target` a duplicate that children inherit.
fn inherit_as(file: &File, target: RawFd) -> io::Result<()> {
    if file.as_raw_fd() == target {
        return cvt(fcntl(target, libc::F_SETFD, 0)).map(drop);
    }
    // SAFETY: only 0, 1 and 2 are passed, which nothing in circus owns.
    cvt(unsafe { libc::dup2(file.as_raw_fd(), target) }).map(drop)
}

/// Gives memory that is free within circus back to the system, after something large has passed through.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc's allocator looks after itself.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// A pipe, CLOEXEC at both ends. Only the reading end, which circus keeps, is non-blocking.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    set_nonblocking(reader.as_raw_fd(), true)?;
    Ok((reader.into(), writer.into()))
}

/// Whether one of these events is there, or the end, before so many milliseconds are over.
pub(super) fn poll(fd: RawFd, events: c_short, milliseconds: c_int) -> io::Result<bool> {
    let mut asked = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one entry, which is ours to be written to.
    cvt(unsafe { libc::poll(&mut asked, 1, milliseconds) }).map(|ready| ready == 1)
}

/// Makes a pipe hold so many bytes. The kernel may refuse, or limit what all pipes of a user hold.
pub fn enlarge_pipe(pipe: RawFd, bytes: c_int) -> io::Result<()> {
    cvt(fcntl(pipe, libc::F_SETPIPE_SZ, bytes)).map(drop)
}

/// Sets or clears O_NONBLOCK, for everybody who shares the open file.
pub fn set_nonblocking(fd: RawFd, on: bool) -> io::Result<()> {
    let mut on = c_int::from(on);
    // SAFETY: FIONBIO reads one int.
    cvt(unsafe { libc::ioctl(fd, libc::FIONBIO, &mut on) }).map(drop)
}

/// A number that nobody can guess.
pub fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    // SAFETY: the pointer and the length are those of one array. So few bytes come at once or not at all.
    cvt(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) })?;
    Ok(u128::from_ne_bytes(bytes))
}

/// Bytes in a page of memory, the unit of some fields in /proc.
pub fn page_size() -> usize {
    system_value(libc::_SC_PAGESIZE, 4096)
}

/// Ticks in a second, the unit of the times in /proc.
pub fn clock_ticks() -> u64 {
    system_value(libc::_SC_CLK_TCK, 100) as u64
}

fn system_value(name: c_int, fallback: usize) -> usize {
    // SAFETY: takes a number and touches no memory.
    let value = unsafe { libc::sysconf(name) };
    usize::try_from(value).ok().filter(|&value| value > 0).unwrap_or(fallback)
}

/// Locks a file against other processes that do the same, for as long as it is open. False if another has it.
pub fn lock_exclusive(file: &File) -> io::Result<bool> {
    // SAFETY: works on a number that `file` owns.
    match cvt(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        locked => locked.map(|_| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::daemonize::{Role, daemonize};
    use std::io::{Read, Write};

    #[test]
    fn a_pipe_blocks_the_writer_only() {
        let (reader, writer) = pipe().unwrap();
        // SAFETY: reads flags.
        let flags = |fd: &OwnedFd| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } & libc::O_NONBLOCK;
        assert_eq!((flags(&reader), flags(&writer)), (libc::O_NONBLOCK, 0));
        let (mut reader, mut writer) = (File::from(reader), File::from(writer));
        let mut byte = [0];
        assert_eq!(reader.read(&mut byte).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        writer.write_all(b"x").unwrap();
        assert_eq!(crate::sys::socket::pending_bytes(reader.as_raw_fd()).unwrap(), 1);
        assert_eq!(reader.read(&mut byte).unwrap(), 1);
        set_nonblocking(reader.as_raw_fd(), false).unwrap();
        drop(writer);
        assert_eq!(reader.read(&mut byte).unwrap(), 0);
    }

    #[test]
    fn a_lock_keeps_others_out_until_the_file_is_closed() {
        let path = std::env::temp_dir().join(format!("circus-lock-{}", pid()));
        let open = || File::options().create(true).append(true).open(&path).unwrap();
        let first = open();
        assert!(lock_exclusive(&first).unwrap());
        assert!(!lock_exclusive(&open()).unwrap());
        drop(first);
        assert!(lock_exclusive(&open()).unwrap());
        std::fs::remove_file(&path).unwrap();
    }

    /// What `question` answers in a process of its own, whose descriptors it may harm.
    fn answer_apart(question: impl FnOnce() -> String) -> String {
        let _children = crate::sys::children_lock();
        match daemonize().unwrap() {
            Role::Parent(outcome) => outcome.message,
            Role::Daemon(notifier) => {
                notifier.say(1, &question()).unwrap();
                // SAFETY: never returns.
                unsafe { libc::_exit(0) }
            }
        }
    }

    fn target(fd: RawFd) -> String {
        std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap().display().to_string()
    }

    #[test]
    fn descriptors_that_are_closed_become_dev_null() {
        let answer = answer_apart(|| {
            // SAFETY: in this process nobody uses them.
            let closed = [0, 2].map(|fd| unsafe { libc::close(fd) });
            let one = target(1);
            ensure_stdio().unwrap();
            // SAFETY: reads a flag.
            let flags = [0, 2].map(|fd| unsafe { libc::fcntl(fd, libc::F_GETFD) });
            format!("{closed:?} {} {} {} {flags:?}", target(0), target(1) == one, target(2))
        });
        assert_eq!(answer, "[0, 0] /dev/null true /dev/null [0, 0]");
    }

    #[test]
    fn a_daemon_lets_go_of_its_terminal() {
        let answer = answer_apart(|| {
            detach_stdio().unwrap();
            [0, 1, 2].map(target).join(" ")
        });
        assert_eq!(answer, "/dev/null /dev/null /dev/null");
    }

    #[test]
    fn a_subreaper_adopts_orphans() {
        let answer = answer_apart(|| {
            set_subreaper().unwrap();
            let script = "sh -c 'read line' & echo $!";
            let shell = std::process::Command::new("/bin/sh")
                .args(["-c", script])
                .stdin(std::process::Stdio::null())
                .stdout(std::process::Stdio::piped())
                .output()
                .unwrap();
            let orphan: Pid = String::from_utf8(shell.stdout).unwrap().trim().parse().unwrap();
            while crate::sys::wait::reap(orphan).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            {
            }
            format!("{:?}", crate::sys::wait::children_exist())
        });
        assert_eq!(answer, "false");
    }

    #[test]
    fn the_machine_is_what_proc_says() {
        assert!(page_size().is_power_of_two());
        assert!(clock_ticks() > 0);
        trim_memory();
    }
}
