//! Makes a child process, fast at any size of circus: `clone(CLONE_VM | CLONE_VFORK)` on a stack of its own.
//!
//! The child borrows circus's memory until it has become another program, and circus stands still meanwhile; so
//! nothing is copied, and what went wrong is simply written where [`Spawner::spawn`] reads it. The price is that
//! the child may do nothing but system calls: everything else is prepared in [`Child`] by the caller, and
//! `inside.rs` holds all the code that runs between clone and execve. All signals are blocked around it, since
//! a handler that ran in the child would run in circus's memory.

mod inside;
pub(super) mod mask;
mod restrict;
mod stack;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::{fmt, io, ptr};

use super::limit::Limit;
use super::{Pid, errno, errno_words, limit, process};
use crate::sorted::sort;
use inside::{Job, OwnPid};
pub use mask::{Inherited, Mask};
pub use restrict::{MOST_WRITABLE, Restrictions};
use stack::Stack;

/// What one of the first three descriptors of a child is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdio {
    /// The same as circus's own.
    #[default]
    Inherit,
    /// `/dev/null`.
    Null,
    /// A duplicate of this descriptor of circus.
    Fd(RawFd),
}

/// Everything about a child that is settled before it exists.
#[derive(Clone, Debug, Default)]
pub struct Child {
    /// Paths tried one after the other, with the child's own ids: the next is tried after ENOENT, ENOTDIR, EACCES.
    pub programs: Vec<CString>,
    /// The arguments, the program's name first.
    pub argv: Vec<CString>,
    /// The environment, each "NAME=value".
    pub env: Vec<CString>,
    /// Adds LISTEN_PID, with the child's own number. `env` must not name it too.
    pub listen_pid: bool,
    /// Adds WATCHDOG_PID likewise.
    pub watchdog_pid: bool,
    /// Entered before the ids are dropped, as Circus does.
    pub working_dir: Option<CString>,
    /// The file mode creation mask; circus's own if none.
    pub umask: Option<u32>,
    /// Resource limits, set before the ids are dropped.
    pub limits: Vec<Limit>,
    /// Supplementary groups; circus's own if none.
    pub groups: Option<Vec<u32>>,
    /// Real, effective and saved group id.
    pub gid: Option<u32>,
    /// Real, effective and saved user id.
    pub uid: Option<u32>,
    /// Descriptor 0.
    pub stdin: Stdio,
    /// Descriptor 1.
    pub stdout: Stdio,
    /// Descriptor 2.
    pub stderr: Stdio,
    /// Further descriptors as (source in circus, target in the child); each target once, and 3 or above.
    /// Sources may lie among the targets: all are put in place as if at once.
    pub sockets: Vec<(RawFd, RawFd)>,
    /// Makes the child the leader of a session and of a process group of its own.
    pub session: bool,
    /// Makes the child the leader of a process group of its own, in circus's session.
    pub group: bool,
    /// Gives the group of the child the foreground of the terminal that is this descriptor of circus.
    pub terminal: Option<RawFd>,
    /// Leaves everything open that circus itself has inherited.
    pub keep_descriptors: bool,
    /// Signals that are blocked or ignored in the program.
    pub signals: Inherited,
    /// Signals that the child sends to circus at its start, for [`Spawner::had`].
    pub marks: &'static [c_int],
    /// What it is kept from.
    pub restrictions: Restrictions,
}

/// What a child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The child could not be made at all.
    Clone,
    /// Becoming a session leader.
    Setsid,
    /// Becoming the leader of a process group.
    Setpgid,
    /// Taking the foreground of a terminal.
    Tcsetpgrp,
    /// Entering the cgroup.
    Cgroup,
    /// Writing the OOM killer's score.
    OomScoreAdj,
    /// Setting the niceness.
    Nice,
    /// Setting the class and level of input and output.
    Ionice,
    /// Making file systems read-only.
    Sandbox,
    /// Entering the working directory.
    Chdir,
    /// Moving this descriptor out of the way, or into its place.
    Dup(RawFd),
    /// Setting the limit on this resource.
    Setrlimit(i32),
    /// Setting the supplementary groups.
    Setgroups,
    /// Setting the group id.
    Setgid,
    /// Setting the user id.
    Setuid,
    /// Giving up capabilities, or keeping them.
    Capabilities,
    /// Giving up what programs could add.
    NoNewPrivs,
    /// Becoming the program.
    Exec,
}

impl Step {
    /// The step's name in words, without the number it may carry.
    pub fn name(self) -> &'static str {
        match self {
            Step::Clone => "clone",
            Step::Setsid => "setsid",
            Step::Setpgid => "setpgid",
            Step::Tcsetpgrp => "tcsetpgrp",
            Step::Cgroup => "cgroup",
            Step::OomScoreAdj => "oom_score_adj",
            Step::Nice => "nice",
            Step::Ionice => "ionice",
            Step::Sandbox => "sandbox",
            Step::Chdir => "chdir",
            Step::Dup(_) => "dup2",
            Step::Setrlimit(_) => "setrlimit",
            Step::Setgroups => "setgroups",
            Step::Setgid => "setgid",
            Step::Setuid => "setuid",
            Step::Capabilities => "capabilities",
            Step::NoNewPrivs => "no_new_privs",
            Step::Exec => "exec",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())?;
        match *self {
            Step::Dup(fd) => write!(out, " of descriptor {fd}"),
            Step::Setrlimit(resource) => match limit::name(resource) {
                Some(name) => write!(out, " {name}"),
                None => write!(out, " {resource}"),
            },
            _ => Ok(()),
        }
    }
}

/// Why there is no child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpawnError {
    /// What failed.
    pub step: Step,
    /// The system's reason.
    pub errno: i32,
    /// The index in [`Child::programs`], where `step` is [`Step::Exec`].
    pub program: usize,
}

impl SpawnError {
    fn last(step: Step) -> Self {
        SpawnError { step, errno: errno(), program: 0 }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.step, errno_words(self.errno))
    }
}

impl std::error::Error for SpawnError {}

/// Makes children, and keeps between them what all of them need.
pub struct Spawner {
    /// What RLIMIT_NOFILE was before circus raised it for itself: every child gets it back unless
    /// [`Child::limits`] names that resource.
    pub original_nofile: Option<Limit>,
    stack: Stack,
    /// `/dev/null`, or what comes nearest to it.
    null: Option<OwnedFd>,
    reset: Vec<c_int>,
    /// Whether the kernel has `close_range` with `CLOSE_RANGE_CLOEXEC` (5.11) and no filter forbids it.
    close_range: bool,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    moves: Vec<Cell<(RawFd, RawFd)>>,
    had: Mask,
}

impl Spawner {
    /// Notes which signals are handled or ignored now, so make it after the handlers are installed.
    pub fn new() -> io::Result<Self> {
        let null = process::open_null()?;
        Ok(Spawner { null: Some(null.into()), reset: mask::not_default(), ..Spawner::passing_on()? })
    }

    /// For children that are to inherit everything: signals that are ignored stay so, as `nohup` means it, but for
    /// SIGPIPE, which circus ignores for itself. No child may ask for [`Stdio::Null`].
    pub fn passing_on() -> io::Result<Self> {
        Ok(Spawner {
            original_nofile: None,
            stack: Stack::new()?,
            null: None,
            reset: vec![libc::SIGPIPE],
            close_range: inside::close_range_works(),
            argv: Vec::new(),
            envp: Vec::new(),
            moves: Vec::new(),
            had: Mask::default(),
        })
    }

    /// Adds signals that will be handled or ignored later, so that children get them back at their defaults.
    pub fn reset_also(&mut self, signals: &[i32]) {
        self.reset.extend_from_slice(signals);
        self.reset = sort(std::mem::take(&mut self.reset));
        self.reset.dedup();
    }

    /// Makes a child and returns once it has become its program. One that fails is reaped here.
    ///
    /// Blocks as long as its chdir and execve do: for ever on a dead network mount.
    pub fn spawn(&mut self, child: &Child) -> Result<Pid, SpawnError> {
        let own_pid = [OwnPid::new(b"LISTEN_PID="), OwnPid::new(b"WATCHDOG_PID=")];
        let wanted = own_pid.iter().zip([child.listen_pid, child.watchdog_pid]).filter(|(_, wanted)| *wanted);
        fill_pointers(&mut self.argv, &mut std::iter::empty(), &child.argv);
        fill_pointers(&mut self.envp, &mut wanted.map(|(slot, _)| slot.as_ptr()), &child.env);
        let first_free = self.plan_moves(child);
        let names_nofile = child.limits.iter().any(|limit| limit.resource == limit::NOFILE);
        let job = Job {
            child,
            argv: self.argv.as_ptr(),
            envp: self.envp.as_ptr(),
            own_pid: &own_pid,
            moves: &self.moves,
            first_free,
            reset: &self.reset,
            original_nofile: self.original_nofile.filter(|_| !names_nofile),
            close_range: self.close_range,
            had: Cell::new(Mask::default()),
            failure: Cell::new(None),
        };
        let pid = self.clone_and_wait(&job)?;
        let (had, failure) = (job.had.get(), job.failure.get());
        self.had = had;
        let Some(failure) = failure else { return Ok(pid) };
        reap_failed(pid);
        Err(failure)
    }

    /// The signals that had reached the last child itself when it had sent its [`Child::marks`].
    ///
    /// They are blocked in both processes until then, and a signal that waits already is not queued again. So what
    /// waits for circus with another sender than the child came before the mark; and unless it is one of these, it was sent
    /// to their group before the child was in it.
    pub fn had(&self) -> Mask {
        self.had
    }

    /// Writes down which descriptor goes where; returns the lowest number above all targets.
    fn plan_moves(&mut self, child: &Child) -> RawFd {
        let stdio = [(child.stdin, 0), (child.stdout, 1), (child.stderr, 2)];
        self.moves.clear();
        for (what, target) in stdio {
            match what {
                Stdio::Inherit => {}
                // -1 is no descriptor: dup2 then says so
                Stdio::Null => {
                    let null = self.null.as_ref().map_or(-1, AsRawFd::as_raw_fd);
                    self.moves.push(Cell::new((null, target)));
                }
                Stdio::Fd(source) => self.moves.push(Cell::new((source, target))),
            }
        }
        self.moves.extend(child.sockets.iter().copied().map(Cell::new));
        child.sockets.iter().fold(3, |free, &(_, target)| free.max(target.saturating_add(1)))
    }

    fn clone_and_wait(&self, job: &Job) -> Result<Pid, SpawnError> {
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let argument = ptr::from_ref(job).cast_mut().cast();
        let blocked = mask::BlockAll::new();
        // SAFETY: the stack is mapped and used by nobody else (&self of a type that is not Sync), and CLONE_VFORK
        // keeps this thread, and with it `job`, in place until the child has done with both.
        let pid = unsafe { libc::clone(inside::child_main, self.stack.top(), flags, argument) };
        let error = SpawnError::last(Step::Clone);
        drop(blocked);
        if pid == -1 { Err(error) } else { Ok(pid) }
    }
}

/// Fills `pointers` with those to `first` and `strings` and the null at the end that execve wants.
fn fill_pointers(
    pointers: &mut Vec<*const c_char>,
    first: &mut dyn Iterator<Item = *const c_char>,
    strings: &[CString],
) {
    pointers.clear();
    pointers.reserve(strings.len().saturating_add(3));
    pointers.extend(first);
    pointers.extend(strings.iter().map(|string| string.as_ptr()));
    pointers.push(ptr::null());
}

/// Takes away a child that has reported a failure and is exiting, so that nobody meets its number again.
fn reap_failed(pid: Pid) {
    loop {
        // SAFETY: a null status is allowed; waitpid touches no memory then.
        let reaped = unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
        if reaped != -1 || errno() != libc::EINTR {
            return;
        }
    }
}
