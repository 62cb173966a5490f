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
use crate::sorted::sort;
use inside::{Job, OwnPid};
pub use mask::{Inherited, Mask};
use mounts::Mounts;
pub use restrict::{MOST_WRITABLE, Restrictions};
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

/// What a child becomes, where it finds that out itself.
pub struct Words {
    /// Instead of [`Child::programs`].
    pub programs: Vec<CString>,
    /// Instead of [`Child::argv`].
    pub argv: Vec<CString>,
    /// Instead of [`Child::env`].
    pub env: Vec<CString>,
}

/// What a child becomes, or why it cannot.
type Find = dyn Fn(&Child) -> Result<Words, String>;

/// Makes something else of what a child was to become, within the child, and may take as long as it likes. It
/// allocates: no process of several threads may make such a child.
#[derive(Clone)]
pub struct Prepare(pub Rc<Find>);

impl Prepare {
    fn run(&self, child: &Child) -> Result<Words, SpawnError> {
        (self.0)(child).map_err(|path| SpawnError { path, ..SpawnError::new(Step::Prepare, 0) })
    }
}

impl fmt::Debug for Prepare {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Prepare")
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
    /// Finding out what to become; [`SpawnError::path`] says why not.
    Prepare,
    /// Becoming a program that somebody has a lease on.
    Held,
    /// Becoming the program.
    Exec,
}

impl Step {
    /// The step's name in words, without the number it may carry.
    pub fn name(self) -> &'static str {
        match self {
            Step::Clone => "clone",
            Step::Pipe => "pipe",
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
            Step::Prepare => "prepare",
            Step::Held => "lease",
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnError {
    /// What failed.
    pub step: Step,
    /// The system's reason.
    pub errno: i32,
    /// The index in [`Child::programs`], where `step` is [`Step::Exec`].
    pub program: usize,
    /// The path that it is about, or the whole reason of [`Step::Prepare`]. Empty from a child in circus's memory.
    pub path: String,
}

impl SpawnError {
    fn new(step: Step, errno: i32) -> Self {
        SpawnError { step, errno, program: 0, path: String::new() }
    }

    fn last(step: Step) -> Self {
        SpawnError::new(step, errno())
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.step, self.path.as_str()) {
            (Step::Prepare, why) => out.write_str(why),
            (step, "") => write!(out, "{step}: {}", errno_words(self.errno)),
            (step, path) => write!(out, "{step} {path}: {}", errno_words(self.errno)),
        }
    }
}

impl std::error::Error for SpawnError {}

/// A child that is not its program yet, or has failed to become it.
enum Late {
    /// It tells here if it fails.
    Held(OwnedFd),
    Failed(SpawnError),
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
    /// Children that circus has not waited for to the end.
    late: Vec<(Pid, Late)>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    moves: Vec<Cell<(RawFd, RawFd)>>,
    had: Mask,
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

    /// Makes a child and returns once it has become its program, or is kept from that for some milliseconds. One that
    /// fails before that is reaped here, or by whoever reaps children.
    pub fn spawn(&mut self, child: &Child) -> Result<Pid, SpawnError> {
        self.look_at_late_ones();
        if !self.may_be_held(child) {
            match self.attempt(child, false) {
                Err(error) if error.step == Step::Held => {}
                spawned => return spawned,
            }
        }
        self.attempt(child, true)
    }

    fn attempt(&mut self, child: &Child, in_a_copy: bool) -> Result<Pid, SpawnError> {
        let own_pid = [OwnPid::new(b"LISTEN_PID="), OwnPid::new(b"WATCHDOG_PID=")];
        let first_free = self.plan_moves(child);
        let names_nofile = child.limits.iter().any(|limit| limit.resource == limit::NOFILE);
        let mut job = Job {
            child,
            argv: ptr::null(),
            envp: ptr::null(),
            own_pid: &own_pid,
            moves: &self.moves,
            first_free,
            reset: &self.reset,
            original_nofile: self.original_nofile.filter(|_| !names_nofile),
            close_range: self.close_range,
            had: Cell::new(Mask::default()),
            report: Cell::new(None),
            failure: Cell::new(None),
        };
        fill_pointers(&mut self.argv, &mut std::iter::empty(), &child.argv);
        fill_pointers(&mut self.envp, &mut job.own_pids(), &child.env);
        (job.argv, job.envp) = (self.argv.as_ptr(), self.envp.as_ptr());
        if !in_a_copy {
            let (spawned, had) = (in_this_memory(&self.stack, &job), job.had.get());
            self.had = had;
            return spawned;
        }
        let patience = if self.late.is_empty() { PATIENCE_MS } else { LITTLE_PATIENCE_MS };
        let (pid, late) = in_memory_of_its_own(&self.stack, &job, patience)?;
        self.late.extend(late.map(|report| (pid, Late::Held(report))));
        Ok(pid)
    }

    /// Why a child that [`Spawner::spawn`] has returned did not become its program, once it has ended.
    pub fn late_failure(&mut self, pid: Pid) -> Option<SpawnError> {
        let place = self.late.iter().position(|(late, _)| *late == pid)?;
        match self.late.swap_remove(place).1 {
            Late::Held(report) => report::receive(report),
            Late::Failed(failure) => Some(failure),
        }
    }

    /// Forgets those that have become their programs meanwhile.
    fn look_at_late_ones(&mut self) {
        let ended = |report: &OwnedFd| process::poll(report.as_raw_fd(), libc::POLLIN, 0).unwrap_or(false);
        for (pid, late) in std::mem::take(&mut self.late) {
            let now = match late {
                Late::Held(report) if ended(&report) => report::receive(report).map(Late::Failed),
                late => Some(late),
            };
            self.late.extend(now.map(|late| (pid, late)));
        }
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
