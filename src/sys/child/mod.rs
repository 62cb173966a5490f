//! Makes a child process, in one of two ways.
//!
//! Fast at any size of circus is `clone(CLONE_VM | CLONE_VFORK)` on a stack of its own: the child borrows circus's
//! memory until it has become another program, and circus stands still meanwhile; nothing is copied, and what went
//! wrong is simply written where [`Spawner::spawn`] reads it. But then whatever holds the child holds circus too.
//!
//! So a child that somebody else could hold gets a copy of circus's memory: one that becomes another user, who could
//! stop it or take a lease on its program; one that reads files by itself, enters a cgroup, which may be frozen, or a
//! sandbox; and all of them where a file system is mounted that depends on another machine or process (`mounts.rs`).
//! circus waits for it for a few milliseconds. Then it counts as made, and what goes wrong later is kept for
//! [`Spawner::late_failure`].
//!
//! Either way the child does nothing but system calls: everything else is prepared in [`Child`] by the caller, and
//! `inside.rs` holds all the code that runs between clone and execve. All signals are blocked around it, since
//! a handler that ran in the child could run in circus's memory.

mod inside;
pub(super) mod mask;
mod mounts;
mod report;
mod restrict;
mod stack;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::{fmt, io, ptr};

use super::limit::Limit;
use super::{Pid, errno, errno_words, limit, process, signal, wait};
use inside::{Job, OwnPid};
pub use mask::{Inherited, Mask};
use mounts::Mounts;
pub use restrict::{MOST_WRITABLE, Port, Restrictions};
use stack::Stack;

/// How long circus waits for a child that could be kept from its execve, in milliseconds. Most need a fraction of one,
/// but a failure that is known at once is worth more than one that shows later.
const PATIENCE_MS: c_int = 30;
/// The same while another child is being kept: nobody can slow circus down by many of them.
const LITTLE_PATIENCE_MS: c_int = 2;

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
#[derive(Clone, Default)]
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
    /// Entered when the ids are dropped, with the rights of the child's user.
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
    /// What it finds out for itself, with the rights of its user, before it enters the working directory.
    pub prepare: Option<Prepare>,
}

/// Finds out within the child what that is to become: the programs, arguments and environment of its answer take the
/// place of those that it is given; or why it cannot. It may take as long as it likes, and allocates: no process of
/// several threads may make such a child.
pub type Prepare = Rc<dyn Fn(&Child) -> Result<Child, String>>;

impl fmt::Debug for Child {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Child {:?}", self.argv)
    }
}

/// What a child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The child could not be made at all.
    Clone,
    /// There is no pipe by which it could tell of a failure.
    Pipe,
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
    /// Moving a descriptor out of the way, or into its place.
    Dup,
    /// Setting a resource limit.
    Setrlimit,
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
    /// Finding out what to become; [`SpawnError::path`] says why not.
    Prepare,
    /// Becoming a program that somebody has a lease on.
    Held,
    /// Becoming the program.
    Exec,
}

/// All steps by name.
const STEPS: [(Step, &str); 21] = [
    (Step::Clone, "clone"),
    (Step::Pipe, "pipe"),
    (Step::Setsid, "setsid"),
    (Step::Setpgid, "setpgid"),
    (Step::Tcsetpgrp, "tcsetpgrp"),
    (Step::Cgroup, "cgroup"),
    (Step::OomScoreAdj, "oom_score_adj"),
    (Step::Nice, "nice"),
    (Step::Ionice, "ionice"),
    (Step::Sandbox, "sandbox"),
    (Step::Chdir, "chdir"),
    (Step::Dup, "dup2"),
    (Step::Setrlimit, "setrlimit"),
    (Step::Setgroups, "setgroups"),
    (Step::Setgid, "setgid"),
    (Step::Setuid, "setuid"),
    (Step::Capabilities, "capabilities"),
    (Step::NoNewPrivs, "no_new_privs"),
    (Step::Prepare, "prepare"),
    (Step::Held, "lease"),
    (Step::Exec, "exec"),
];

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        STEPS.iter().filter(|(step, _)| step == self).try_for_each(|(_, name)| out.write_str(name))
    }
}

/// Why there is no child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnError {
    /// What failed.
    pub step: Step,
    /// The system's reason.
    pub errno: i32,
    /// What [`Step::Dup`] and [`Step::Setrlimit`] were about; the index in [`Child::programs`] for [`Step::Exec`].
    pub number: i32,
    /// The path that it is about, or the whole reason of [`Step::Prepare`]. Empty from a child in circus's memory.
    pub path: String,
}

impl SpawnError {
    /// Nothing else is known of it.
    pub fn new(step: Step, errno: i32) -> Self {
        SpawnError { step, errno, number: 0, path: String::new() }
    }

    fn last(step: Step) -> Self {
        SpawnError::new(step, errno())
    }

    /// The place in [`Child::programs`].
    pub fn program(&self) -> usize {
        self.number as usize
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpawnError { step, number, path, .. } = self;
        let words = errno_words(self.errno);
        match (step, path.as_str()) {
            (Step::Prepare, why) => out.write_str(why),
            (Step::Dup, _) => write!(out, "{step} of descriptor {number}: {words}"),
            (Step::Setrlimit, _) => {
                let name = limit::name(*number).map_or_else(|| number.to_string(), String::from);
                write!(out, "{step} {name}: {words}")
            }
            (_, "") => write!(out, "{step}: {words}"),
            (_, path) => write!(out, "{step} {path}: {words}"),
        }
    }
}

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
    /// Looked at for each child, unless it is to inherit everything.
    mounts: Option<Mounts>,
    /// Children that circus has not waited for to the end, and where each tells of a failure.
    late: Vec<(Pid, OwnedFd)>,
    had: Cell<Mask>,
}

impl Spawner {
    /// Notes which signals are handled or ignored now, so make it after the handlers are installed.
    pub fn new() -> io::Result<Self> {
        let null = process::open_null()?;
        let (reset, mounts) = (mask::not_default(), Some(Mounts::new()));
        Ok(Spawner { null: Some(null.into()), reset, mounts, ..Spawner::passing_on()? })
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
            mounts: None,
            late: Vec::new(),
            had: Cell::default(),
        })
    }

    /// Makes a child and returns once it has become its program, or is kept from that for some milliseconds. One that
    /// fails before that is reaped here, or by whoever reaps children.
    pub fn spawn(&mut self, child: &Child) -> Result<Pid, SpawnError> {
        // Those that have become their programs meanwhile have nothing to tell.
        self.late.retain(|(_, report)| !report::is_over(report));
        if !self.may_be_held(child) {
            match in_this_memory(&self.stack, &self.job(child)) {
                Err(error) if error.step == Step::Held => {}
                spawned => return spawned,
            }
        }
        let patience = if self.late.is_empty() { PATIENCE_MS } else { LITTLE_PATIENCE_MS };
        let (pid, late) = in_memory_of_its_own(&self.stack, &self.job(child), patience)?;
        self.late.extend(late.map(|report| (pid, report)));
        Ok(pid)
    }

    fn job<'a>(&'a self, child: &'a Child) -> Job<'a> {
        let variables = [(child.listen_pid, "LISTEN_PID="), (child.watchdog_pid, "WATCHDOG_PID=")];
        let wanted = variables.iter().filter(|(wanted, _)| *wanted);
        let own_pid: Vec<OwnPid> = wanted.map(|(_, name)| OwnPid::new(name.as_bytes())).collect();
        Job {
            child,
            spawner: self,
            argv: pointers(&[], &child.argv),
            envp: pointers(&own_pid, &child.env),
            own_pid,
            moves: self.moves(child),
            first_free: child.sockets.iter().fold(3, |free, &(_, target)| free.max(target.saturating_add(1))),
            report: Cell::new(None),
            failure: Cell::new(None),
        }
    }

    /// Why a child that [`Spawner::spawn`] has returned did not become its program, once it has ended.
    pub fn late_failure(&mut self, pid: Pid) -> Option<SpawnError> {
        let place = self.late.iter().position(|(late, _)| *late == pid)?;
        report::receive(self.late.swap_remove(place).1)
    }

    /// Whether anybody could keep the child from its execve.
    fn may_be_held(&mut self, child: &Child) -> bool {
        let Restrictions { cgroup, sandbox, .. } = &child.restrictions;
        child.uid.is_some()
            || child.prepare.is_some()
            || cgroup.is_some()
            || sandbox.is_some()
            || self.mounts.as_mut().is_some_and(Mounts::can_hang)
    }

    /// The signals that had reached the last child itself when it had sent its [`Child::marks`].
    ///
    /// They are blocked in both processes until then, and a signal that waits already is not queued again. So what
    /// waits for circus with another sender than the child came before the mark; and unless it is one of these, it was sent
    /// to their group before the child was in it.
    pub fn had(&self) -> Mask {
        self.had.get()
    }

    /// Which descriptor goes where.
    fn moves(&self, child: &Child) -> Vec<Cell<(RawFd, RawFd)>> {
        let stdio = [(child.stdin, 0), (child.stdout, 1), (child.stderr, 2)];
        let planned = stdio.into_iter().filter_map(|(what, target)| match what {
            Stdio::Inherit => None,
            // -1 is no descriptor: dup2 then says so
            Stdio::Null => Some((self.null.as_ref().map_or(-1, AsRawFd::as_raw_fd), target)),
            Stdio::Fd(source) => Some((source, target)),
        });
        planned.chain(child.sockets.iter().copied()).map(Cell::new).collect()
    }
}

/// Starts the child on this stack, which nobody else uses meanwhile.
fn clone(stack: &Stack, job: &Job, flags: c_int) -> Result<Pid, SpawnError> {
    let argument = ptr::from_ref(job).cast_mut().cast();
    // SAFETY: the stack is mapped and used by nobody else. Either the child gets copies of it and of `job`, or
    // CLONE_VFORK keeps this thread, and with it both, in place until the child has done with them.
    let pid = unsafe { libc::clone(inside::child_main, stack.top(), flags | libc::SIGCHLD, argument) };
    if pid == -1 { Err(SpawnError::last(Step::Clone)) } else { Ok(pid) }
}

fn in_this_memory(stack: &Stack, job: &Job) -> Result<Pid, SpawnError> {
    let blocked = mask::BlockAll::new();
    let pid = clone(stack, job, libc::CLONE_VM | libc::CLONE_VFORK);
    drop(blocked);
    let pid = pid?;
    let Some(failure) = job.failure.take() else { return Ok(pid) };
    // Nobody is to meet its number again.
    let _ = wait::await_end(pid);
    Err(failure)
}

/// The pipe comes along if the child is kept waiting.
fn in_memory_of_its_own(
    stack: &Stack,
    job: &Job,
    patience: c_int,
) -> Result<(Pid, Option<OwnedFd>), SpawnError> {
    let of_pipe = |error: io::Error| SpawnError::new(Step::Pipe, error.raw_os_error().unwrap_or(0));
    let (reader, writer) = process::pipe().map_err(of_pipe)?;
    job.report.set(Some(writer.as_raw_fd()));
    let blocked = mask::BlockAll::new();
    let pid = clone(stack, job, 0);
    drop(writer);
    let told = pid.as_ref().is_ok_and(|pid| report::comes_within(reader.as_raw_fd(), *pid, patience));
    drop(blocked);
    let pid = pid?;
    if !told {
        return Ok((pid, Some(reader)));
    }
    let Some(failure) = report::receive(reader) else { return Ok((pid, None)) };
    // It may be stopped on its last steps. Should it not end, whoever reaps children gets it.
    let _ = signal::kill(pid, libc::SIGKILL);
    let _ = signal::PidFd::open(pid).and_then(|child| child.await_exit(PATIENCE_MS));
    let _ = wait::reap(pid);
    Err(failure)
}

/// Pointers to all of these, and the null at the end that execve wants.
fn pointers(first: &[OwnPid], strings: &[CString]) -> Vec<*const c_char> {
    let strings = strings.iter().map(|string| string.as_ptr());
    first.iter().map(OwnPid::as_ptr).chain(strings).chain([ptr::null()]).collect()
}
