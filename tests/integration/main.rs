//! The circus program from outside, one module for each subject. They are one program because to build it takes half
//! the time of building 45; what needs a program of its own, or is used by name, stands beside this folder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

#[path = "../common/mod.rs"]
mod common;

mod access;
mod beginners;
mod bounds;
mod builtins;
mod cgroups;
mod claims;
mod classes;
mod clients;
mod commands;
mod control;
mod ctl;
mod demand;
mod endpoints;
mod events;
mod fate;
mod files;
mod generations;
mod hooks;
mod idle;
mod lifecycle;
mod logs;
mod notify;
mod oom;
mod options;
mod orphans;
mod passed;
mod plain;
mod plugins;
mod ports;
mod processes;
mod prompt;
mod python_hooks;
mod quit;
mod ready;
mod reload;
mod reloadconfig;
mod replies;
mod restrictions;
mod reuseport;
mod seeing;
mod shortage;
mod signals;
mod sockets;
mod start;
mod stop;
mod streams;
mod tail;
mod tuning;
mod unwritable;
#[cfg(feature = "check")]
mod writable;

/// No test: what the workers of tests run, see [`common::worker`].
#[test]
fn worker() {
    common::worker::serve_if_told();
}
