//! Signal masks and dispositions around a spawn, by raw system calls.
//!
//! The C library's wrappers leave out the two or three signals that it keeps for itself, and some take locks;
//! the kernel's own calls do neither.

use crate::signals;
use std::ffi::{c_int, c_ulong};
use std::{io, mem, ptr};

use crate::sys::cvt;

/// The size of the kernel's signal set, which it insists on.
const SET_BYTES: usize = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 16 } else { 8 };

/// The kernel's signal set, and room for the largest one.
type Set = [c_ulong; 16 / size_of::<c_ulong>()];

const NONE: Set = [0; 16 / size_of::<c_ulong>()];
const ALL: Set = [c_ulong::MAX; 16 / size_of::<c_ulong>()];

/// Some signals; by default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mask(Set);

impl Mask {
    /// Whether a signal is one of them.
    pub fn has(&self, signal: i32) -> bool {
        let bit = signal.cast_unsigned().wrapping_sub(1);
        let word = self.0.get((bit / c_ulong::BITS) as usize);
        word.is_some_and(|word| (word >> (bit % c_ulong::BITS)) & 1 == 1)
    }
}

/// What a program inherits: the signals that are blocked, and some that are ignored.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// Blocked in the program too.
    pub blocked: Mask,
    /// Ignored by the program, whatever circus does with them.
    pub ignored: Vec<c_int>,
}

/// Blocks every signal in this thread until it is dropped.
pub(super) struct BlockAll {
    before: Mask,
}

impl BlockAll {
    pub(super) fn new() -> Self {
        BlockAll { before: block_all() }
    }
}

impl Drop for BlockAll {
    fn drop(&mut self) {
        block(&self.before);
    }
}

/// Unblocks every signal in this thread. Whoever started circus may have blocked some, and a blocked SIGCHLD would
/// hide every death.
pub fn unblock_all() {
    set_mask(&NONE, None);
}

/// Blocks every signal in this thread for good. The answer is those that were blocked.
pub(in crate::sys) fn block_all() -> Mask {
    let mut before = Mask::default();
    set_mask(&ALL, Some(&mut before.0));
    before
}

/// Blocks these signals in this thread, and no others.
pub(super) fn block(mask: &Mask) {
    set_mask(&mask.0, None);
}

/// The signals that wait for this process.
pub(super) fn pending() -> Mask {
    let mut pending = Mask::default();
    // SAFETY: the set is at least SET_BYTES long and ours to be written to.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, ptr::from_mut(&mut pending.0), SET_BYTES) };
    pending
}

/// Takes one signal that is pending, or waits for one until `timeout` nanoseconds are over; for ever without. The
/// kernel's own set, so that none of the signals that the C library keeps for itself is missing.
pub(in crate::sys) fn wait_for_any(timeout: Option<u64>) -> io::Result<libc::siginfo_t> {
    let time = timeout.map(|ns| libc::timespec {
        tv_sec: (ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (ns % 1_000_000_000) as _,
    });
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: all zeros are a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let to = ptr::from_mut(&mut info);
    // SAFETY: the set is at least SET_BYTES long, `time` is null or a timespec, and `info` is ours to be written to.
    cvt(unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, ptr::from_ref(&ALL), to, time, SET_BYTES) })?;
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

/// Gives a signal its default disposition; the answer is whether it had it. Fails only for numbers that are no signal
/// or cannot be handled.
pub(in crate::sys) fn reset(signal: c_int) -> bool {
    exchange(signal, Some(&[0; 8])) == [0; 8]
}

/// The disposition of a signal, which becomes `new` if that is given.
fn exchange(signal: c_int, new: Option<&Action>) -> Action {
    let new = new.map_or(ptr::null(), ptr::from_ref);
    let mut before: Action = [0; 8];
    let to = ptr::from_mut(&mut before);
    // SAFETY: `new` is null or the kernel's struct in a reference; the old one is written to `before`.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, to, SET_BYTES) };
    before
}

/// Ignores a signal; the answer is whether it was ignored before. Children get it back at its default (see
/// `child::Spawner`).
pub fn ignore(signal: c_int) -> bool {
    // SAFETY: SIG_IGN is a valid disposition and runs no code. It fails only for numbers that are no signal's.
    (unsafe { libc::signal(signal, libc::SIG_IGN) }) == libc::SIG_IGN
}

/// The signals of this process that are handled or ignored. Anything but zeros may mean a handler; to reset one signal
/// too many does no harm.
pub(super) fn not_default() -> Vec<c_int> {
    (1..=signals::LAST).filter(|&signal| exchange(signal, None) != [0; 8]).collect()
}
