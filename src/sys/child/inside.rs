//! What a child does between clone and execve, in circus's memory or in a copy of it.
//!
//! Nothing here may allocate, lock, panic, or run a destructor that matters: another thread's lock would never be
//! released, and where the memory is circus's own, what is changed here is changed in circus. So: system calls, and
//! writes to the [`Job`]'s cells. Only [`Child::prepare`] may do more, in a copy.

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint, c_void};
use std::os::fd::RawFd;

use super::{Child, SpawnError, Spawner, Stdio, Step, mask, report, restrict};
use crate::sys::{errno, fcntl, limit};

// 32-bit ARM and x86 kept the calls for 16-bit ids under the plain names.
#[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
use libc::{SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID};
#[cfg(any(target_arch = "arm", target_arch = "x86"))]
use libc::{SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID};

/// How far an old kernel's child looks for descriptors that circus inherited. Circus's own are all CLOEXEC.
const HIGHEST_INHERITED: RawFd = 1024;

/// One spawn, as the child sees it. It may be shared with the parent, which then stands still: hence cells, not
/// references.
pub(super) struct Job<'a> {
    pub(super) child: &'a Child,
    pub(super) spawner: &'a Spawner,
    pub(super) argv: Vec<*const c_char>,
    pub(super) envp: Vec<*const c_char>,
    pub(super) own_pid: Vec<OwnPid>,
    /// (source, target); the child moves sources.
    pub(super) moves: Vec<Cell<(RawFd, RawFd)>>,
    /// The lowest number above 2 and all targets.
    pub(super) first_free: RawFd,
    /// Where a child with memory of its own tells of a failure; `None` in one that shares circus's.
    pub(super) report: Cell<Option<RawFd>>,
    pub(super) failure: Cell<Option<SpawnError>>,
}

/// "NAME=" with room for ten digits and the null, which the child fills in: its own number.
pub(super) struct OwnPid {
    text: [Cell<u8>; 24],
    name: usize,
}

impl OwnPid {
    pub(super) fn new(name: &[u8]) -> Self {
        let slot = OwnPid { text: [const { Cell::new(0) }; 24], name: name.len() };
        for (cell, &byte) in slot.text.iter().zip(name) {
            cell.set(byte);
        }
        slot
    }

    pub(super) fn as_ptr(&self) -> *const c_char {
        self.text.as_ptr().cast()
    }

    /// Writes the digits, the last one first; what lies behind them is zero already.
    pub(super) fn fill(&self, pid: u32) {
        let digits = pid.checked_ilog10().map_or(1, |log| log as usize + 1);
        let mut rest = pid;
        for cell in self.text.iter().skip(self.name).take(digits).rev() {
            cell.set(b'0' + (rest % 10) as u8);
            rest /= 10;
        }
    }
}

/// Where clone starts the child. Returns never: it becomes the program, or reports why not and exits.
pub(super) extern "C" fn child_main(job: *mut c_void) -> c_int {
    // SAFETY: spawn() passes a Job, and stands still in clone until this child has left its memory, or has given it a
    // copy.
    let job: &Job<'_> = unsafe { &*job.cast_const().cast() };
    let Err(failure) = run(job);
    match job.report.get() {
        Some(report) => report::send(report, job.child, &failure),
        None => job.failure.set(Some(failure)),
    }
    // SAFETY: _exit runs no handlers and flushes nothing of circus's.
    unsafe { libc::_exit(127) }
}

/// The order counts. Descriptors come before anything that could keep the child waiting, so that it holds none of
/// circus's meanwhile; limits after them (a low RLIMIT_NOFILE would forbid it) and before the ids are dropped (only
/// root may raise them); files and directories that the user can exchange after that, with the user's rights.
fn run(job: &Job<'_>) -> Result<Infallible, SpawnError> {
    let child = job.child;
    for &signal in &job.spawner.reset {
        mask::reset(signal);
    }
    for &signal in &child.signals.ignored {
        mask::ignore(signal);
    }
    send_marks(job);
    enter_session(child)?;
    if job.report.get().is_some() {
        mask::unblock_all(); // it can be ended from here on, however long it is kept
    }
    arrange_descriptors(job)?;
    #[cfg_attr(
        not(feature = "sandbox"),
        allow(unused_variables, reason = "then it always has what it wants")
    )]
    let is_read_only = restrict::before_directory(child)?;
    set_umask(child);
    set_limits(job)?;
    #[cfg(feature = "sandbox")]
    restrict::sandbox::before_ids(child)?;
    give_outputs(child);
    drop_ids(child)?;
    restrict::as_another_user(child)?;
    let prepared = child.prepare.as_ref().map(|prepare| prepare(child)).transpose();
    let prepared = prepared.map_err(|path| SpawnError { path, ..SpawnError::new(Step::Prepare, 0) })?;
    enter_directory(child)?;
    #[cfg(feature = "sandbox")]
    restrict::sandbox::after_ids(child, is_read_only)?;
    if !job.own_pid.is_empty() {
        let pid = own_pid();
        job.own_pid.iter().for_each(|slot| slot.fill(pid));
    }
    mask::block(&child.signals.blocked);
    Err(match prepared {
        None => exec(job, &child.programs, &job.argv, &job.envp),
        Some(prepared) => exec_prepared(job, &prepared),
    })
}

pub(super) fn check(returned: impl Into<i64>, step: Step) -> Result<(), SpawnError> {
    check_at(returned, step, 0)
}

fn check_at(returned: impl Into<i64>, step: Step, number: i32) -> Result<(), SpawnError> {
    if returned.into() == -1 { Err(SpawnError { number, ..SpawnError::last(step) }) } else { Ok(()) }
}

/// Lets circus tell signals that its group got before this child was in it from those that both got.
fn send_marks(job: &Job<'_>) {
    if job.child.marks.is_empty() {
        return;
    }
    // SAFETY: takes nothing, touches no memory and cannot fail.
    let circus = unsafe { libc::getppid() };
    for &signal in job.child.marks {
        // SAFETY: takes numbers and touches no memory; circus stands still in clone, so it is the parent.
        unsafe { libc::kill(circus, signal) };
    }
    job.spawner.had.set(mask::pending());
}

fn enter_session(child: &Child) -> Result<(), SpawnError> {
    if child.session {
        // SAFETY: takes nothing and touches no memory.
        check(unsafe { libc::setsid() }, Step::Setsid)?;
    }
    if child.group {
        // SAFETY: takes numbers and touches no memory; 0 is this child itself.
        check(unsafe { libc::setpgid(0, 0) }, Step::Setpgid)?;
    }
    if let Some(terminal) = child.terminal {
        // All signals are blocked here, SIGTTOU among them, which would stop a group in the background.
        let group = own_pid() as libc::pid_t;
        // SAFETY: takes numbers and touches no memory.
        check(unsafe { libc::tcsetpgrp(terminal, group) }, Step::Tcsetpgrp)?;
    }
    Ok(())
}

fn set_umask(child: &Child) {
    if let Some(mask) = child.umask {
        // SAFETY: sets a number of this child alone (no CLONE_FS); cannot fail.
        unsafe { libc::umask(mask as libc::mode_t) };
    }
}

fn enter_directory(child: &Child) -> Result<(), SpawnError> {
    if let Some(directory) = &child.working_dir {
        // SAFETY: a string with its null; the directory is this child's alone (no CLONE_FS).
        check(unsafe { libc::chdir(directory.as_ptr()) }, Step::Chdir)?;
    }
    Ok(())
}

/// Pipes that circus has made for this child become the user's, so that it can open /dev/stdout and /dev/stderr. Without
/// the privilege for that they stay as they are.
fn give_outputs(child: &Child) {
    let Some(uid) = child.uid else { return };
    for (what, fd) in [(child.stdout, 1), (child.stderr, 2)] {
        if let Stdio::Fd(_) = what {
            // SAFETY: works on numbers; the highest group means "leave it as it is".
            unsafe { libc::fchown(fd, uid, u32::MAX) };
        }
    }
}

/// Closes everything above 2, at execve or at once, and puts the descriptors that were asked for in place. The table is
/// this child's own (no CLONE_FILES).
fn arrange_descriptors(job: &Job<'_>) -> Result<(), SpawnError> {
    if let Some(report) = job.report.get().filter(|report| *report < job.first_free) {
        let moved = fcntl(report, libc::F_DUPFD_CLOEXEC, job.first_free);
        check_at(moved, Step::Dup, report)?;
        job.report.set(Some(moved));
    }
    let at_once = job.spawner.close_range && job.report.get().is_some();
    if !(job.child.keep_descriptors || at_once) {
        close_on_exec(job.spawner.close_range);
    }
    for planned in &job.moves {
        let (source, target) = planned.get();
        // One that stands where another goes would be overwritten before its turn.
        if source < job.first_free && source != target {
            let moved = fcntl(source, libc::F_DUPFD_CLOEXEC, job.first_free);
            check_at(moved, Step::Dup, source)?;
            planned.set((moved, target));
        }
    }
    job.moves.iter().try_for_each(|planned| {
        let (source, target) = planned.get();
        check_at(put_in_place(source, target), Step::Dup, source)
    })?;
    if let Some(report) = job.report.get()
        && !job.child.keep_descriptors
    {
        close_others(job, report);
    }
    Ok(())
}

/// A child that is kept waiting must not keep connections, locks and files of circus open.
fn close_others(job: &Job<'_>, report: RawFd) {
    for fd in (3..job.first_free).filter(|fd| job.moves.iter().all(|planned| planned.get().1 != *fd)) {
        // SAFETY: nothing in this child uses the number; its table is its own (no CLONE_FILES).
        unsafe { libc::close(fd) };
    }
    if job.spawner.close_range {
        for (first, last) in [(job.first_free, report - 1), (report + 1, RawFd::MAX)] {
            // SAFETY: as above; a range that is empty is an error and closes nothing.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
}

/// dup2 onto itself does nothing and so would leave CLOEXEC set.
fn put_in_place(source: RawFd, target: RawFd) -> c_int {
    if source == target {
        return fcntl(source, libc::F_SETFD, 0);
    }
    // SAFETY: works on numbers; this child's table is its own (no CLONE_FILES).
    unsafe { libc::dup2(source, target) }
}

fn close_on_exec(close_range: bool) {
    if close_range {
        mark_range(3);
        return;
    }
    for fd in 3..HIGHEST_INHERITED {
        fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC); // it fails where nothing is open
    }
}

/// Whether `close_range` can mark descriptors here; asked with a range that holds none.
pub(super) fn close_range_works() -> bool {
    mark_range(c_uint::MAX) == 0
}

fn mark_range(first: c_uint) -> c_long {
    // SAFETY: works on numbers; sets a flag that everything of circus's has anyway.
    unsafe { libc::syscall(libc::SYS_close_range, first, c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) }
}

fn set_limits(job: &Job<'_>) -> Result<(), SpawnError> {
    let limits = &job.child.limits;
    let names_nofile = limits.iter().any(|limit| limit.resource == limit::NOFILE);
    let original = job.spawner.original_nofile.iter().filter(|_| !names_nofile);
    original
        .chain(limits)
        .try_for_each(|limit| check_at(limit::set_raw(limit), Step::Setrlimit, limit.resource))
}

/// Raw calls: the C library's would look for other threads of circus to change along.
fn drop_ids(child: &Child) -> Result<(), SpawnError> {
    if let Some(groups) = &child.groups {
        // SAFETY: the pointer and the length are those of one slice of 32-bit ids.
        check(unsafe { libc::syscall(SETGROUPS, groups.len(), groups.as_ptr()) }, Step::Setgroups)?;
    }
    for (id, call, step) in [(child.gid, SETRESGID, Step::Setgid), (child.uid, SETRESUID, Step::Setuid)] {
        let Some(id) = id else { continue };
        // The highest number means "leave it as it is" to the kernel, and the child would stay root.
        if id == u32::MAX {
            return Err(SpawnError::new(step, libc::EINVAL));
        }
        // SAFETY: takes numbers and touches no memory.
        check(unsafe { libc::syscall(call, id, id, id) }, step)?;
    }
    Ok(())
}

/// Asks the kernel, since a C library may remember circus's own number.
fn own_pid() -> u32 {
    // SAFETY: takes nothing and touches no memory.
    (unsafe { libc::syscall(libc::SYS_getpid) }) as u32
}

/// Becomes the program that the child itself has found out.
fn exec_prepared(job: &Job<'_>, prepared: &Child) -> SpawnError {
    let (argv, envp) = (super::pointers(&[], &prepared.argv), super::pointers(&job.own_pid, &prepared.env));
    let failure = exec(job, &prepared.programs, &argv, &envp);
    let text =
        |text: Option<&CString>| text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    let path = prepared.env.iter().find(|variable| variable.to_bytes().starts_with(b"PATH="));
    let path = match (failure.errno, prepared.programs.len()) {
        (libc::ENOENT, 2..) => format!("{}, in {}", text(prepared.argv.first()), text(path)),
        _ => text(prepared.programs.get(failure.program())),
    };
    SpawnError { path, ..failure }
}

/// Tries the programs in turn. A file that may not be run is the more telling reason than one that is not there.
fn exec(job: &Job<'_>, programs: &[CString], argv: &[*const c_char], envp: &[*const c_char]) -> SpawnError {
    let mut failure = SpawnError::new(Step::Exec, libc::ENOENT);
    for (number, path) in (0..).zip(programs) {
        if job.report.get().is_none() && is_held(path) {
            return SpawnError::new(Step::Held, libc::EWOULDBLOCK);
        }
        // SAFETY: a string with its null and two arrays of such with a null pointer at their ends.
        unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        let errno = errno();
        let try_next = matches!(errno, libc::ENOENT | libc::ENOTDIR | libc::EACCES);
        if !try_next || failure.errno != libc::EACCES {
            failure = SpawnError { number, ..SpawnError::new(Step::Exec, errno) };
        }
        if !try_next {
            break;
        }
    }
    failure
}

/// Whether somebody has a lease on a program, for which an execve would wait. While it is open, which it is until the
/// execve, nobody gets one.
fn is_held(program: &CStr) -> bool {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: a string with its null; nothing is created, so that no mode is read.
    let opened = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, program.as_ptr(), flags) };
    opened == -1 && errno() == libc::EWOULDBLOCK
}
