//! Signal masks and dispositions around a spawn, by raw system calls.
//!
//! The C library's wrappers leave out the two or three signals that it keeps for itself, and some take locks;
//! the kernel's own calls do neither.

use std::ffi::c_int;
use std::{io, mem, ptr};

use crate::sys::cvt;

/// The size of the kernel's signal set, which it insists on.
const SET_BYTES: usize = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 16 } else { 8 };

/// Room for the kernel's signal set.
type Set = [u64; 2];

/// Blocks every signal in this thread until it is dropped.
pub(super) struct BlockAll {
    before: Set,
}

impl BlockAll {
    pub(super) fn new() -> Self {
        let mut before: Set = [0; 2];
        set_mask(&[u64::MAX; 2], Some(&mut before));
        BlockAll { before }
    }
}

impl Drop for BlockAll {
    fn drop(&mut self) {
        set_mask(&self.before, None);
    }
}

/// Unblocks every signal in this thread.
pub(in crate::sys) fn unblock_all() {
    set_mask(&[0; 2], None);
}

/// Blocks every signal in this thread for good.
pub(in crate::sys) fn block_all() {
    set_mask(&[u64::MAX; 2], None);
}

/// Takes one signal that is pending, or waits for one until `timeout` nanoseconds are over; for ever without. The
/// kernel's own set, so that none of the signals that the C library keeps for itself is missing.
pub(in crate::sys) fn wait_for_any(timeout: Option<u64>) -> io::Result<libc::siginfo_t> {
    let all: Set = [u64::MAX; 2];
    let time = timeout.map(|ns| libc::timespec {
        tv_sec: (ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (ns % 1_000_000_000) as _,
    });
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: all zeros are a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let to = ptr::from_mut(&mut info);
    // SAFETY: the set is at least SET_BYTES long, `time` is null or a timespec, and `info` is ours to be written to.
    cvt(unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, ptr::from_ref(&all), to, time, SET_BYTES) })?;
    Ok(info)
}

/// Cannot fail: the pointers and the size are right, and unblockable signals are passed over.
fn set_mask(mask: &Set, before: Option<&mut Set>) {
    let before = before.map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: both sets are at least SET_BYTES long; a null `before` is allowed.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, ptr::from_ref(mask), before, SET_BYTES)
    };
}

/// Room for the kernel's struct. It is laid out differently here and there, but all zeros mean SIG_DFL, no flags
/// and an empty mask everywhere, and nowhere is it larger than this.
type Action = [u64; 8];

/// Gives a signal its default disposition. Fails only for numbers that are no signal or cannot be handled.
pub(in crate::sys) fn reset(signal: c_int) {
    let default: Action = [0; 8];
    let none: *mut Action = ptr::null_mut();
    // SAFETY: the kernel reads its struct from `default` and writes nothing.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, ptr::from_ref(&default), none, SET_BYTES) };
}

/// The signals of this process that are handled or ignored.
pub(super) fn not_default() -> Vec<c_int> {
    (1..=64).filter(|&signal| !is_default(signal)).collect()
}

/// Anything but zeros may mean a handler; to reset one signal too many does no harm.
fn is_default(signal: c_int) -> bool {
    let mut action: Action = [0; 8];
    let none: *const Action = ptr::null();
    // SAFETY: with a null new struct nothing changes; the old one is written to `action`.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, none, ptr::from_mut(&mut action), SET_BYTES) };
    action == [0; 8]
}
