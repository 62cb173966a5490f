//! Stands in for the unwinder in builds that abort on a panic.
//!
//! Rust's standard library can print where a panic came from. For that it links an unwinder, one more shared
//! library to load at each start, and some 170 kB of code that reads debugging information. The release binary has
//! neither unwind tables nor debugging information, so none of that could ever say anything. Here the stack
//! has no frames: the compiler then finds by itself that the rest is not needed. A panic still prints its message
//! and its place.
//!
//! The names and types are those of the Itanium C++ ABI's base part, as the `unwind` crate of the standard library
//! declares them. Builds that unwind (tests) have the real ones.

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`.
const END_OF_STACK: c_int = 5;

/// Calls `trace` for each frame of the stack: there are none.
// SAFETY: nothing else that is linked defines this name, and the signature is that of the unwinder's interface.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_trace: *const c_void, _data: *mut c_void) -> c_int {
    END_OF_STACK
}

/// Defines functions that are only called with a frame or an exception in hand, and so never are.
macro_rules! never_called {
    ($($name:ident)*) => {
        $(
            // SAFETY: as above.
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> usize {
                std::process::abort()
            }
        )*
    };
}

never_called! {
    _Unwind_DeleteException
    _Unwind_FindEnclosingFunction
    _Unwind_GetCFA
    _Unwind_GetDataRelBase
    _Unwind_GetIP
    _Unwind_GetIPInfo
    _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart
    _Unwind_GetTextRelBase
    _Unwind_RaiseException
    _Unwind_Resume
    _Unwind_SetGR
    _Unwind_SetIP
}
