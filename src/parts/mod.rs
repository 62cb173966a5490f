//! The parts of the daemon: whoever owns descriptors and deadlines of its own.

pub(crate) mod clients;
#[cfg(feature = "helpers")]
pub(crate) mod helpers;
pub(crate) mod log;
pub(crate) mod manager_notify;
#[cfg(feature = "health")]
pub(crate) mod notify_socket;
#[cfg(feature = "plugins")]
pub(crate) mod plugins;
#[cfg(feature = "health")]
pub(crate) mod probes;
#[cfg(feature = "details")]
pub(crate) mod shutdown_progress;
pub(crate) mod sockets;
pub mod streams;
#[cfg(feature = "stats")]
pub(crate) mod surveys;
