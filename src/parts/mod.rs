//! The parts of the daemon: whoever owns descriptors and deadlines of its own.

pub(crate) mod clients;
pub(crate) mod helpers;
pub(crate) mod log;
pub(crate) mod manager_notify;
pub(crate) mod notify_socket;
pub(crate) mod plugins;
pub(crate) mod probes;
pub(crate) mod shutdown_progress;
pub(crate) mod sockets;
pub mod streams;
pub(crate) mod surveys;
pub(crate) mod tcp_client;
