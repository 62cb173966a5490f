//! The stack on which a child runs until it has become its program.

use std::ffi::c_void;
use std::{io, ptr};

use crate::sys::process::page_size;

/// Many times what the child needs, in a debug build too. Pages that are never touched cost nothing.
const SIZE: usize = 64 * 1024;

/// A mapping with a page below it that faults, so that an overflow kills the child and harms nobody.
pub(super) struct Stack {
    base: *mut c_void,
    length: usize,
}

impl Stack {
    pub(super) fn new() -> io::Result<Self> {
        let page = page_size();
        let length = SIZE + page;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice replaces nothing.
        let base = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Stack { base, length };
        // SAFETY: the page lies within the mapping just made, and nothing is stored there.
        super::super::cvt(unsafe { libc::mprotect(base, page, libc::PROT_NONE) })?;
        Ok(stack)
    }

    /// Where the stack begins: it grows downwards on every architecture that Linux and Rust share.
    pub(super) fn top(&self) -> *mut c_void {
        self.base.wrapping_byte_add(self.length)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and no child runs on it: clone returns after they left it.
        unsafe { libc::munmap(self.base, self.length) };
    }
}
