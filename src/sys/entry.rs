//! Where the program begins: the C library's `main`, instead of that of Rust's runtime.
//!
//! The runtime would read /proc/self/maps to find the end of the stack and install a handler that explains an overflow
//! of it, at a tenth of a millisecond for each `circus ctl` and 15 kB. What it does that counts is done
//! here: a standard descriptor that is closed becomes /dev/null before a file or socket can get its number, and a
//! reader that has gone away is an error of write(2), not a signal.

use std::ffi::{CStr, c_char, c_int};

/// Defines the program's `main`, which calls a function with the arguments and ends with what it returns.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        // SAFETY: a program has one `main`, with the signature that the C library calls; main.rs uses this once.
        #[allow(unsafe_code, missing_docs)]
        #[unsafe(no_mangle)]
        extern "C" fn main(
            argc: ::std::ffi::c_int,
            argv: *const *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            $crate::sys::entry::prepare();
            // SAFETY: these are the arguments of a C program's main.
            let args = unsafe { $crate::sys::entry::arguments(argc, argv) };
            $crate::sys::entry::leave($main(args))
        }
    };
}

/// Makes the process what the program expects.
pub fn prepare() {
    super::signal::ignore_pipe();
    let _ = super::process::ensure_stdio();
}

/// Ends the program at once: nothing is left to be done, since whoever prints also flushes.
pub fn leave(code: u8) -> ! {
    // SAFETY: ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(code.into()) }
}

/// The arguments of a program, its name first.
///
/// # Safety
///
/// `argc` and `argv` must be those of `main`.
pub unsafe fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<&'static [u8]> {
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: the caller says that there are so many.
    let words = unsafe { std::slice::from_raw_parts(argv, count) };
    // SAFETY: each is a string that ends with a null character and lives as long as the program.
    words.iter().map(|&word| unsafe { CStr::from_ptr(word) }.to_bytes()).collect()
}
