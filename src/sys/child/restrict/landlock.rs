//! The sandbox of a child by Landlock, which any user may enter: where it may write, and which TCP ports it may use.
//! Set between clone and execve: by the rules of `inside.rs`. See landlock(7).

use std::ffi::{CStr, CString, c_long, c_void};
use std::os::fd::RawFd;
use std::ptr;

use super::Port;
use super::sandbox::OF_THE_KERNEL;
use crate::sys::child::inside::check;
use crate::sys::child::{SpawnError, Step};
use crate::sys::errno;

/// What a file may be opened for: writing, and cutting it from version 3 on.
const OF_FILES: u64 = 1 << 1 | 1 << 14;
/// And a directory besides: everything that adds or removes a name, and from version 2 on what moves one.
const OF_DIRECTORIES: u64 = 0x1ff << 4 | 1 << 13;
const BIND: u64 = 1;
const CONNECT: u64 = 2;

/// The kinds of rules.
const BELOW: c_long = 1;
const PORT: c_long = 2;

/// Lets the child write to nothing but what is below these paths and those of the kernel, and use no TCP ports but these.
/// What is not given is not restricted.
pub fn enforce(writable: Option<&[CString]>, ports: Option<&[Port]>) -> Result<(), SpawnError> {
    let version = version();
    check(version, Step::Sandbox)?;
    if ports.is_some() && version < 4 {
        return Err(SpawnError::new(Step::Sandbox, libc::ENOSYS));
    }
    let mut writes = OF_FILES | OF_DIRECTORIES;
    if version < 3 {
        writes &= !(1 << 14);
    }
    if version < 2 {
        writes &= !(1 << 13);
    }
    let handled = [writable.map_or(0, |_| writes), ports.map_or(0, |_| BIND | CONNECT)];
    let ruleset = create(&handled);
    check(ruleset, Step::Sandbox)?;
    let ruleset = ruleset as RawFd;
    if let Some(writable) = writable {
        for path in OF_THE_KERNEL {
            let allowed = allow_below(ruleset, path, writes);
            allowed.or_else(|error| if error.errno == libc::ENOENT { Ok(()) } else { Err(error) })?;
        }
        writable.iter().try_for_each(|path| allow_below(ruleset, path, writes))?;
    }
    for port in ports.unwrap_or_default() {
        let rule = [if port.bind { BIND } else { CONNECT }, port.number.into()];
        check(add(ruleset, PORT, rule.as_ptr().cast()), Step::Sandbox)?;
    }
    // SAFETY: takes numbers and touches no memory.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) }, Step::Sandbox)
}

/// Which version of it the kernel has; -1: none.
fn version() -> c_long {
    const VERSION: u32 = 1;
    let none: *const u64 = ptr::null();
    // SAFETY: with this flag no memory is read.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) }
}

/// A set of rules about these rights to files and ports. An older kernel takes the part that it knows if the rest is zero.
fn create(handled: &[u64; 2]) -> c_long {
    // SAFETY: the pointer is to an array of that size.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, handled.as_ptr(), size_of_val(handled), 0_u32) }
}

fn allow_below(ruleset: RawFd, path: &CStr, rights: u64) -> Result<(), SpawnError> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: a string with its null; nothing is created, so that no mode is read.
    let place = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) };
    check(place, Step::Sandbox)?;
    let rule = |rights: u64| {
        // The kernel's struct, which is packed: the rights and the descriptor.
        let mut bytes = [0_u8; 12];
        let values = rights.to_ne_bytes().into_iter().chain((place as RawFd).to_ne_bytes());
        bytes.iter_mut().zip(values).for_each(|(byte, value)| *byte = value);
        add(ruleset, BELOW, bytes.as_ptr().cast())
    };
    let mut added = rule(rights);
    if added == -1 && errno() == libc::EINVAL {
        added = rule(rights & OF_FILES); // it is no directory
    }
    let added = check(added, Step::Sandbox);
    // SAFETY: it was opened here, and nobody else knows it.
    unsafe { libc::close(place as RawFd) };
    added
}

/// Adds a rule of a kind, whose struct it must be.
fn add(ruleset: RawFd, kind: c_long, rule: *const c_void) -> c_long {
    // SAFETY: both callers pass what the kernel reads for this kind.
    unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset, kind, rule, 0_u32) }
}
