//! The daemon acts: one loop that turns what the kernel says into events for the arbiter, and performs the arbiter's
//! actions.
//!
//! `start` goes from the command line to a daemon that is ready; whatever cannot be had ends the program there.
//! `eventloop` waits and hands out; `perform` does what the arbiter decides, `reaper` takes in the dead,
//! `blueprint` and `outputs` make children, `streams` passes their output on, `clients` and `query` answer the
//! control socket. `init` stands beside all that: the init of one command.

mod blueprint;
mod clients;
mod endpoint;
mod eventloop;
pub mod files;
pub mod init;
pub mod log;
mod matching;
mod outputs;
mod perform;
mod pidfile;
mod procfs;
mod query;
mod reaper;
mod sockets;
pub mod start;
pub mod streams;
