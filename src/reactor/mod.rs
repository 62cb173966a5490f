//! The loop: waits, hands out what has happened, and performs what the arbiter decides.
//!
//! `startup` goes from the command line to a daemon that is ready; whatever is missing ends the program there.
//! `eventloop` waits and hands out; `perform` does what the arbiter decides, `reconfigure` reads the configuration again.

pub(crate) mod eventloop;
pub(crate) mod io;
pub(crate) mod part;
pub(crate) mod perform;
#[cfg_attr(not(feature = "reloadconfig"), path = "no_reconfigure.rs")]
pub(crate) mod reconfigure;
pub(crate) mod registry;
pub(crate) mod standstill;
pub(crate) mod startup;
#[cfg(any(feature = "health", feature = "plugins"))]
pub(crate) mod tcp_client;
