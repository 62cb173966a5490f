//! The sandbox of a child and its rank among others, set between clone and execve: by the rules of `inside.rs`.

use std::ffi::{CStr, CString, c_int, c_long, c_ulong};
use std::os::fd::RawFd;
use std::ptr;

use super::{MOST_WRITABLE, Restrictions, landlock, set_capabilities, write};
use crate::sys::child::inside::check;
use crate::sys::child::{Child, SpawnError, Step};
use crate::sys::errno;

/// What needs the rights of circus, but for capabilities. The answer is whether the child has its read-only file systems,
/// or wants none: where circus may make no mount namespace, [`after_ids`] sees to it.
pub fn before_directory(restrictions: &Restrictions) -> Result<bool, SpawnError> {
    if let Some(score) = &restrictions.oom_score_adj {
        check(write(c"/proc/self/oom_score_adj", score), Step::OomScoreAdj)?;
    }
    if let Some((nice, digits)) = &restrictions.nice {
        // SAFETY: takes numbers and touches no memory; 0 is this child itself.
        check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, *nice) }, Step::Nice)?;
        // Where the scheduler groups by sessions, that of the session counts; elsewhere there is no such file.
        write(c"/proc/self/autogroup", digits);
    }
    if let Some(priority) = restrictions.ionice {
        const PROCESS: c_int = 1;
        // SAFETY: takes numbers and touches no memory; 0 is this child itself.
        check(unsafe { libc::syscall(libc::SYS_ioprio_set, PROCESS, 0, priority) }, Step::Ionice)?;
    }
    match restrictions.sandbox.as_deref().map_or(Ok(()), enter_sandbox) {
        Err(error) if error.errno == libc::EPERM => Ok(false),
        entered => entered.map(|()| true),
    }
}

/// The kernel's own file systems stay as they are.
pub(super) const OF_THE_KERNEL: [&CStr; 3] = [c"/dev", c"/proc", c"/sys"];

/// Where nothing is to be put.
const NOWHERE: RawFd = -1;

/// Copies of what stays writable are put over a file system that is made read-only meanwhile, so that what was
/// read-only in them before stays so.
fn enter_sandbox(writable: &[CString]) -> Result<(), SpawnError> {
    // SAFETY: takes numbers and touches no memory; what is unshared is this child's alone.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) }, Step::Sandbox)?;
    let (flags, none) = (libc::MS_REC | libc::MS_SLAVE, ptr::null());
    // SAFETY: a string with its null; the other pointers may be null for a change of flags.
    check(unsafe { libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), flags, none) }, Step::Sandbox)?;
    let mut copies = [NOWHERE; MOST_WRITABLE + OF_THE_KERNEL.len()];
    let kernel = OF_THE_KERNEL.iter().map(|path| (*path, true));
    let paths = || kernel.clone().chain(writable.iter().map(|path| (path.as_c_str(), false)));
    for (copy, (path, may_be_missing)) in copies.iter_mut().zip(paths()) {
        let made = copy_of(path);
        if made == -1 && !(may_be_missing && errno() == libc::ENOENT) {
            return Err(SpawnError::last(Step::Sandbox));
        }
        *copy = made as RawFd;
    }
    check(make_read_only(), Step::Sandbox)?;
    let made = copies.iter().zip(paths()).filter(|(copy, _)| **copy != NOWHERE);
    for (&copy, (path, _)) in made {
        check(put(copy, path), Step::Sandbox)?;
    }
    Ok(())
}

/// With everything that is mounted below.
const RECURSIVE: c_int = 0x8000;

fn copy_of(path: &CStr) -> c_long {
    const CLONE: c_int = 1;
    let flags = CLONE | libc::O_CLOEXEC | RECURSIVE;
    // SAFETY: a string with its null.
    unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) }
}

fn put(copy: RawFd, path: &CStr) -> c_long {
    const FROM_DESCRIPTOR: c_int = 4;
    let (empty, path) = (c"".as_ptr(), path.as_ptr());
    // SAFETY: strings with their nulls, and a descriptor of this child.
    unsafe { libc::syscall(libc::SYS_move_mount, copy, empty, libc::AT_FDCWD, path, FROM_DESCRIPTOR) }
}

fn make_read_only() -> c_long {
    const READ_ONLY: u64 = 1;
    // The kernel's struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
    let attributes: [u64; 4] = [READ_ONLY, 0, 0, 0];
    let (root, from, size) = (c"/".as_ptr(), attributes.as_ptr(), size_of_val(&attributes));
    // SAFETY: a string with its null, and a pointer to a struct of that size.
    unsafe { libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, root, RECURSIVE, from, size) }
}

/// Takes capabilities out of reach for good, and makes the others outlast the change of the user.
pub fn before_ids(child: &Child) -> Result<(), SpawnError> {
    let Some(kept) = child.restrictions.capabilities else { return Ok(()) };
    for capability in 0..u64::BITS {
        match prctl(libc::PR_CAPBSET_READ, capability.into()) {
            // The kernel knows no more. But it knows the first: else it is a filter that says no.
            -1 if capability > 0 && errno() == libc::EINVAL => break,
            -1 => return Err(SpawnError::last(Step::Capabilities)),
            1 if kept >> capability & 1 == 0 => give_up(child, capability)?,
            _ => {}
        }
    }
    check(prctl(libc::PR_SET_KEEPCAPS, 1), Step::Capabilities)
}

/// Gives a capability up for good. EPERM is harmless under no_new_privs.
fn give_up(child: &Child, capability: u32) -> Result<(), SpawnError> {
    let given_up = check(prctl(libc::PR_CAPBSET_DROP, capability.into()), Step::Capabilities);
    given_up.or_else(|error| {
        let harmless = error.errno == libc::EPERM && child.restrictions.no_new_privs;
        if harmless { Ok(()) } else { Err(error) }
    })
}

/// Comes last: from here on the child has no more than it is to have.
pub fn after_ids(child: &Child, is_read_only: bool) -> Result<(), SpawnError> {
    if let Some(kept) = child.restrictions.capabilities {
        set_capabilities(kept, kept)?;
        for capability in (0..u64::BITS).filter(|capability| kept >> capability & 1 == 1) {
            raise_ambient(capability)?;
        }
    }
    let writable = child.restrictions.sandbox.as_deref().filter(|_| !is_read_only);
    let ports = child.restrictions.ports.as_deref();
    let has_rules = writable.is_some() || ports.is_some();
    // Landlock lets nobody in that could gain rights behind it.
    if child.restrictions.no_new_privs || has_rules {
        check(prctl(libc::PR_SET_NO_NEW_PRIVS, 1), Step::NoNewPrivs)?;
    }
    if has_rules { landlock::enforce(writable, ports) } else { Ok(()) }
}

/// What is ambient outlasts execve for whoever is not root; for root it changes nothing.
fn raise_ambient(capability: u32) -> Result<(), SpawnError> {
    let (raise, unused): (c_ulong, c_ulong) = (libc::PR_CAP_AMBIENT_RAISE as c_ulong, 0);
    let capability = c_ulong::from(capability);
    // SAFETY: takes numbers and touches no memory.
    let raised = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, raise, capability, unused, unused) };
    check(raised, Step::Capabilities)
}

/// The kernel insists on zeros behind the argument.
fn prctl(option: c_int, argument: c_ulong) -> c_int {
    let unused: c_ulong = 0;
    // SAFETY: none of the options that are passed here reads or writes memory.
    unsafe { libc::prctl(option, argument, unused, unused, unused) }
}
