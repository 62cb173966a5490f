//! The daemon acts: one loop that turns what the kernel says into events for the arbiter, and performs the arbiter's
//! actions.
//!
//! `start` goes from the command line to a daemon that is ready; whatever cannot be had ends the program there.
//! `eventloop` waits and hands out; `perform` does what the arbiter decides, `reaper` takes in the dead,
//! `reconfigure` reads the configuration again; `blueprint`, `outputs` and `cgroup` make children, `demand` waits for the
//! sockets of watchers that start on demand, `streams` passes their output on, `helpers` runs programs on the side for
//! `hooks`, `listeners`, `clients` and `query` answer the control socket, `plugins` are processes at its other end.
//! `init` stands beside all that: the init of one command; both of them use `sweep` at their end.

mod blueprint;
mod budget;
mod cgroup;
mod client;
mod clients;
mod compress;
mod deadlines;
mod demand;
pub mod endpoint;
mod eventloop;
mod exchange;
mod farewell;
pub mod files;
mod gauges;
mod helpers;
mod hooks;
pub mod hosts;
pub mod init;
mod kill;
mod listeners;
mod location;
pub mod log;
mod logs;
mod looks;
mod matching;
pub mod notices;
mod notify;
mod oom;
mod outputs;
mod overview;
mod perform;
mod permission;
mod pidfile;
pub mod plugins;
mod probes;
mod procfs;
mod query;
mod reaper;
mod reconfigure;
mod sockets;
mod standstill;
pub mod start;
pub mod streams;
mod survey;
mod sweep;
mod tombstone;
mod trees;
mod trouble;
mod usage;
mod waits;
mod why;
