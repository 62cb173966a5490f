//! Tells the service manager that started circus how it is, as sd_notify(3) says: READY, RELOADING, STOPPING, STATUS,
//! and WATCHDOG where the manager wants to hear from it. Without NOTIFY_SOCKET nothing of this happens.
//!
//! One datagram for each change, never waited for: a manager that does not read loses it.

use crate::config::Names;
use crate::host::listen;
use crate::reactor::part::{Cx, Part};
use crate::sys::clock;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// The connection to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct ManagerNotify {
    socket: Option<UnixDatagram>,
    /// How often to say that the loop turns: twice as often as the manager asks for.
    every: Option<Duration>,
    next: Option<Instant>,
    /// RELOADING was said, and READY not since.
    reloading: bool,
    stopping: bool,
}

impl ManagerNotify {
    /// Connects to what circus's own environment names.
    pub fn new(environ: &Names) -> ManagerNotify {
        let socket = environ.get("NOTIFY_SOCKET").and_then(|name| connect(name));
        let pid = environ.get("WATCHDOG_PID");
        let for_us = pid.is_none_or(|pid| *pid == std::process::id().to_string());
        let micros = environ.get("WATCHDOG_USEC").and_then(|text| text.parse::<u64>().ok());
        let every = micros.filter(|micros| for_us && *micros > 0 && socket.is_some());
        let every = every.map(|micros| Duration::from_micros(micros / 2));
        ManagerNotify { socket, every, ..ManagerNotify::default() }
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(text.as_bytes());
        }
    }

    /// The sockets are bound, the control socket answers, and watchers are being started; or a reload is over.
    pub fn ready(&mut self, now: Instant) {
        self.reloading = false;
        self.next = self.every.map(|every| now + every);
        self.send("READY=1\nSTATUS=waiting for commands");
    }

    /// Something is reloaded: what, the manager is told.
    pub fn reloading(&mut self, status: &str) {
        if self.socket.is_some() && !self.stopping {
            self.reloading = true;
            let micros = clock::monotonic_ns() / 1000;
            self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS={status}"));
        }
    }
}

impl Part for ManagerNotify {
    /// When the manager wants to hear from circus again.
    fn deadline(&mut self) -> Option<Instant> {
        self.next
    }

    /// The manager hears of what this turn has changed.
    fn end_turn(&mut self, cx: &mut Cx<'_>) {
        if cx.arbiter.is_ending() && !std::mem::replace(&mut self.stopping, true) {
            self.reloading = false;
            self.send("STOPPING=1\nSTATUS=stopping all watchers");
        }
        if self.reloading && !cx.arbiter.is_reloading() {
            self.ready(cx.now);
        }
        if self.next.is_some_and(|at| at <= cx.now) {
            self.next = self.every.map(|every| cx.now + every);
            self.send("WATCHDOG=1");
        }
    }
}

/// A path, or an abstract name behind `@`.
fn connect(name: &str) -> Option<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok()?,
        None => SocketAddr::from_pathname(name).ok()?,
    };
    let socket = listen::unnamed().ok()?;
    socket.connect_addr(&address).ok()?;
    Some(socket)
}
