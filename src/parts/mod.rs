//! The parts of the daemon: whoever owns descriptors and deadlines of its own.

pub(crate) mod clients;
#[cfg_attr(not(feature = "helpers"), path = "no_helpers.rs")]
pub(crate) mod helpers;
pub(crate) mod log;
pub(crate) mod manager_notify;
pub(crate) mod notify_socket;
#[cfg_attr(not(feature = "plugins"), path = "no_plugins.rs")]
pub(crate) mod plugins;
#[cfg_attr(not(feature = "health"), path = "no_probes.rs")]
pub(crate) mod probes;
pub(crate) mod shutdown_progress;
pub(crate) mod sockets;
pub mod streams;
pub(crate) mod surveys;
