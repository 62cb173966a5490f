//! circus: a process and socket manager in one small binary, one thread and one event loop.
//!
//! The [`arbiter`] decides, the [`reactor`] acts, [`host`] holds all that can do harm, [`sys`] touches the kernel. [`config`] turns text into values,
//! [`control`] turns bytes into requests and replies back into bytes, [`cli`] is what a person types. Who may
//! import whom is written in ARCHITECTURE.md and checked by `tests/architecture.rs`.

pub mod arbiter;
pub mod cli;
pub mod config;
pub mod control;
pub mod fuzzed;
pub mod host;
pub mod parts;
pub mod reactor;
pub mod seldom;
pub mod signals;
pub mod sorted;
pub mod sys;
pub mod views;
