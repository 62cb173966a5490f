//! What a child may do, set between clone and execve: by the rules of `inside.rs`.

use std::ffi::{CStr, CString, c_long};

use super::inside::check;
use super::{Child, SpawnError, Step};

#[cfg(feature = "sandbox")]
mod landlock;
#[cfg(feature = "sandbox")]
pub(super) mod sandbox;

/// How many paths may stay writable in a sandbox.
pub const MOST_WRITABLE: usize = 16;

/// A TCP port that a child may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Bound to; else connected to.
    pub bind: bool,
    /// Its number.
    pub number: u16,
}

/// What a child is kept from; by default from nothing.
#[derive(Clone, Debug, Default)]
pub struct Restrictions {
    /// The `cgroup.procs` of the cgroup that the child enters.
    pub cgroup: Option<CString>,
    /// The score that the OOM killer adds, -1000 to 1000, in digits.
    pub oom_score_adj: Option<CString>,
    /// The niceness, -20 to 19, and the same in digits.
    pub nice: Option<(i32, CString)>,
    /// The class (bits 13 and up) and the level of ioprio_set(2).
    pub ionice: Option<i32>,
    /// Makes all file systems read-only but these and those of the kernel, in a mount namespace of the child's own, or
    /// where that may not be, by Landlock. At most [`MOST_WRITABLE`].
    pub sandbox: Option<Vec<CString>>,
    /// The only TCP ports that the child may use.
    pub ports: Option<Vec<Port>>,
    /// The capabilities that are kept, a bit for each number; the others cannot be got back.
    pub capabilities: Option<u64>,
    /// No program gains anything by its set-user-id bit or its file's capabilities.
    pub no_new_privs: bool,
}

/// What needs the rights of circus, but for capabilities. Comes before the working directory, which is to be found
/// in the sandbox. The answer is whether the child has its read-only file systems.
pub(super) fn before_directory(child: &Child) -> Result<bool, SpawnError> {
    if let Some(procs) = &child.restrictions.cgroup {
        check(write(procs, c"0"), Step::Cgroup)?;
    }
    #[cfg(feature = "sandbox")]
    return sandbox::before_directory(&child.restrictions);
    #[cfg(not(feature = "sandbox"))]
    Ok(true)
}

/// Writes a file of the kernel, which takes a value in one piece or not at all. It is closed by the execve, since
/// nobody asks for its number before.
fn write(path: &CStr, text: &CStr) -> c_long {
    let (path, flags) = (path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
    // SAFETY: a string with its null; nothing is created, so that no mode is read.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags) };
    if fd == -1 {
        return -1;
    }
    let bytes = text.to_bytes();
    // SAFETY: the pointer and the length are those of one slice.
    unsafe { libc::syscall(libc::SYS_write, fd, bytes.as_ptr(), bytes.len()) }
}

/// Another user gets no capabilities but those that are named, and none has an effect on what it opens before it is the
/// program. By itself the kernel takes them away from root's children only, and leaves the inheritable ones.
pub(super) fn as_another_user(child: &Child) -> Result<(), SpawnError> {
    match child.uid {
        Some(_) => set_capabilities(0, child.restrictions.capabilities.unwrap_or(0)),
        None => Ok(()),
    }
}

/// What is ambient and not both permitted and inheritable the kernel takes away.
fn set_capabilities(effective: u64, kept: u64) -> Result<(), SpawnError> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let sets = [effective, kept, kept];
    // effective, permitted, inheritable; first of the lower capabilities, then of the higher ones
    let halves = sets.map(|set| set as u32).into_iter().chain(sets.map(|set| (set >> 32) as u32));
    let mut words = [0_u32; 6];
    words.iter_mut().zip(halves).for_each(|(word, half)| *word = half);
    // SAFETY: the kernel reads its header and, for this version, six words.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), words.as_ptr()) }, Step::Capabilities)
}
