//! The only place that touches the kernel: every `unsafe` block and every use of `libc` is below here.
//!
//! Each function wraps one system call or one small sequence of them, takes and returns owned Rust types, and
//! turns -1 into [`std::io::Error`]. No decisions are taken here. Each `unsafe` block is one operation and says
//! why it is sound.
#![allow(unsafe_code)]
