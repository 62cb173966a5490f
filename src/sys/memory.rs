//! The allocator: that of the C library, with some memory put by for the time when there is no more.
//!
//! Rust ends a program of which an allocation fails, and a supervisor that ends makes orphans of all that it looks after.
//! So some memory is mapped and never touched, which costs address space alone. It is given back piece by piece where
//! malloc(3) fails: under RLIMIT_AS, or with vm.overcommit_memory = 2. The loop sees that some is gone, drops what can be
//! had again, refuses requests that would take more, and tries to get the reserve back.
//!
//! The GNU C library keeps up to seven freed pieces of each size below 1 kB: 240 kB once there have been all sizes, which
//! takes hours, beside the 120 kB that circus uses. So circus asks for ten sizes only. The library must not make others by
//! cutting either. So all sizes are multiples of one, and to make a piece longer or shorter is to copy it. Large pieces would
//! leave holes in the heap, and small ones would come to lie in them: they have mappings of their own.

use super::process::page_size;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// The size of a piece. What is larger than all of them together cannot be helped by giving them back.
const PIECE: usize = 2 * 1024 * 1024;
const PIECES: usize = 4;
/// What is so large has a mapping of its own, unless there is a hole for it.
const LARGE: usize = 64 * 1024;

static RESERVE: [AtomicPtr<c_void>; PIECES] = [const { AtomicPtr::new(ptr::null_mut()) }; PIECES];
/// How many pieces there are to be: as many as could be had at the start.
static WANTED: AtomicUsize = AtomicUsize::new(0);
/// One was given back, and has not been had again.
static SHORT: AtomicBool = AtomicBool::new(false);

struct Reserving;

#[global_allocator]
static ALLOCATOR: Reserving = Reserving;

/// Maps memory; `None` when there is none.
fn map(size: usize) -> Option<*mut c_void> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice replaces nothing.
    let memory = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
    (memory != libc::MAP_FAILED).then_some(memory)
}

/// Unmaps what [`map`] has answered for this size, and what nobody else has.
fn unmap(memory: *mut c_void, size: usize) {
    // SAFETY: both callers have just got it from `map`, or taken it out of the only place that had it.
    unsafe { libc::munmap(memory, size) };
}

/// Gives a piece of the reserve back; false when there is none left.
fn give_back() -> bool {
    let mut held = RESERVE.iter().map(|place| place.swap(ptr::null_mut(), Ordering::Relaxed));
    let Some(piece) = held.find(|piece| !piece.is_null()) else { return false };
    SHORT.store(true, Ordering::Relaxed);
    unmap(piece, PIECE);
    true
}

/// The layout of what is really allocated. With the word that the C library puts before it, its size is up to 1 kB a power
/// of two or one and a half, and a multiple of 32 bytes up to [`LARGE`].
fn rounded(layout: Layout) -> Layout {
    const WORD: usize = size_of::<usize>();
    const UNIT: usize = 32;
    if layout.size() >= LARGE {
        return layout;
    }
    let whole = layout.size() + WORD;
    let step = if whole > 1024 { UNIT } else { UNIT.max(whole.next_power_of_two() / 4) };
    // The next multiple of a power of two, without a division.
    let size = ((whole - 1) | (step - 1)) + 1 - WORD;
    Layout::from_size_align(size, layout.align()).unwrap_or(layout)
}

/// Allocates, from the reserve if need be.
fn insist(size: usize, allocate: &dyn Fn() -> *mut u8) -> *mut u8 {
    let mut memory = allocate();
    while memory.is_null() && size <= PIECE * PIECES && give_back() {
        memory = allocate();
    }
    memory
}

// SAFETY: all memory comes from the system's allocator and goes back to it, with the layout that it came with.
unsafe impl GlobalAlloc for Reserving {
    /// # Safety
    /// What the trait asks of the caller.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let layout = rounded(layout);
        // SAFETY: the caller keeps to what `alloc` asks for: more than nothing.
        insist(layout.size(), &|| unsafe { System.alloc(layout) })
    }

    /// # Safety
    /// What the trait asks of the caller.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let layout = rounded(layout);
        // SAFETY: the caller keeps to what `alloc_zeroed` asks for: more than nothing.
        insist(layout.size(), &|| unsafe { System.alloc_zeroed(layout) })
    }

    /// # Safety
    /// What the trait asks of the caller.
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return ptr::null_mut() };
        let (layout, wanted) = (rounded(layout), rounded(wanted));
        if wanted == layout {
            return memory;
        }
        let common = layout.size().min(wanted.size());
        if common >= LARGE {
            // SAFETY: `memory` came with this layout; if it could not be made larger, it is as it was.
            return insist(wanted.size(), &|| unsafe { System.realloc(memory, layout, wanted.size()) });
        }
        // SAFETY: the caller asks for more than nothing.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both have at least so many bytes, and one of them is new.
            unsafe { ptr::copy_nonoverlapping(memory, new, common) };
            // SAFETY: it came with this layout, which is rounded to itself, and the caller has no use for it any more.
            unsafe { self.dealloc(memory, layout) };
        }
        new
    }

    /// # Safety
    /// What the trait asks of the caller.
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to what `dealloc` asks for, and the same layout is rounded to the same.
        unsafe { System.dealloc(memory, rounded(layout)) }
    }
}

/// Puts memory by, as much as can be had. From now on what is large has a mapping of its own: else the C library would put
/// larger and larger pieces into the heap, from the first one that is freed.
pub fn reserve() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number of the C library's own.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE as libc::c_int)
    };
    WANTED.store(PIECES, Ordering::Relaxed);
    refill();
    WANTED.store(held(), Ordering::Relaxed);
    SHORT.store(false, Ordering::Relaxed);
}

/// Whether some of the reserve was needed and could not be had again.
pub fn is_short() -> bool {
    SHORT.load(Ordering::Relaxed)
}

/// Whether less than half of it is left.
pub fn is_scarce() -> bool {
    is_short() && held() * 2 < WANTED.load(Ordering::Relaxed)
}

/// Gets back what was given; true when nothing is missing any more.
pub fn refill() -> bool {
    let wanted = WANTED.load(Ordering::Relaxed);
    let missing = RESERVE.iter().take(wanted).filter(|place| place.load(Ordering::Relaxed).is_null());
    for (place, piece) in missing.zip(std::iter::from_fn(|| map(PIECE))) {
        place.store(piece, Ordering::Relaxed);
    }
    let whole = held() == wanted;
    SHORT.store(!whole, Ordering::Relaxed);
    whole
}

fn held() -> usize {
    RESERVE.iter().filter(|place| !place.load(Ordering::Relaxed).is_null()).count()
}

/// Whether so many bytes can be had beside the reserve, at this moment.
pub fn has_room(size: usize) -> bool {
    let size = size.max(1).checked_next_multiple_of(page_size());
    let Some((memory, size)) = size.and_then(|size| Some((map(size)?, size))) else { return false };
    unmap(memory, size);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sizes_are_asked_for() {
        let layout = |size| Layout::from_size_align(size, 8).expect("a size");
        let sizes: Vec<usize> = (1..=5000).map(|size| rounded(layout(size)).size()).collect();
        let mut small: Vec<usize> = sizes.iter().copied().take_while(|size| *size < 1024).collect();
        small.dedup();
        assert_eq!(small, [24, 56, 88, 120, 184, 248, 376, 504, 760, 1016]);
        // With the word before it, what is left of a free piece is nothing or enough for another one.
        assert!(sizes.iter().all(|size| (size + 8) % 32 == 0));
        assert!((1..).zip(&sizes).all(|(asked, size)| *size >= asked && *size <= asked * 3 / 2 + 31));
        // What is large stays as it is.
        for size in [LARGE, LARGE + 1, isize::MAX as usize] {
            let large = Layout::from_size_align(size, 1).expect("a size");
            assert_eq!(rounded(large), large);
        }
    }

    #[test]
    fn there_is_no_room_for_more_than_there_is() {
        assert!(has_room(0) && has_room(1 << 20));
        assert!(!has_room(usize::MAX) && !has_room(usize::MAX / 2));
    }
}
