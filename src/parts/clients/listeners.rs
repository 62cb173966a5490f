//! The sockets on which clients come in. Who is let in is decided in `clients/places.rs`.

use crate::host::endpoint::{self, Opened};
use crate::parts::log::Level;
use crate::reactor::eventloop::Daemon;
use crate::reactor::registry::Key;
use crate::sys;
use std::io::ErrorKind;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// How many connections are accepted in a turn, on each socket.
const ACCEPTS: usize = 64;
/// How long to wait when the kernel has no descriptor left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// So long after the last failure it is over.
const CALM: Duration = Duration::from_secs(5);

/// A socket on which connections come in.
struct Listener {
    opened: Opened,
    /// There may be connections to accept.
    accepting: bool,
}

/// All of them: those that take commands first, the Unix socket before the port.
#[derive(Default)]
pub struct Listeners {
    all: Vec<Listener>,
    next_accept: Option<Instant>,
    /// When one could not be accepted last.
    failed: Option<Instant>,
}

impl Listeners {
    /// Open sockets.
    pub fn new(opened: Vec<Opened>) -> Listeners {
        let listen = |opened| Listener { opened, accepting: false };
        Listeners { all: opened.into_iter().map(listen).collect(), next_accept: None, failed: None }
    }

    /// Whether connections have been accepted for long enough that it will go on so: while the last descriptors come and
    /// go, each may be the last for now.
    pub fn are_well(&self, now: Instant) -> bool {
        self.failed.is_none_or(|failed| now.saturating_duration_since(failed) >= CALM)
    }

    /// The start has succeeded: they stay.
    pub fn keep(&mut self) {
        self.all.iter_mut().for_each(|listener| listener.opened.keep());
    }

    /// The sockets on which commands are taken, or events published and nothing else.
    fn sockets(&self, events_only: bool) -> impl DoubleEndedIterator<Item = &Opened> {
        let all = self.all.iter().map(|listener| &listener.opened);
        all.filter(move |opened| opened.events_only == events_only)
    }

    /// The socket of this number.
    pub fn opened(&self, number: usize) -> Option<&Opened> {
        self.all.get(number).map(|listener| &listener.opened)
    }

    /// Where the control socket is, or `none`.
    pub fn endpoint(&self) -> &str {
        self.sockets(false).next().map_or("none", |opened| &opened.endpoint)
    }

    /// Where Circus's clients give commands and where they get events, as they write it: the port if one is open. All
    /// events are on the control socket too.
    pub fn addresses(&self) -> (String, String) {
        let none = || "none".to_string();
        let control = self.sockets(false).next_back().map_or_else(none, Opened::address);
        let events = self.sockets(true).next_back().map_or_else(|| control.clone(), Opened::address);
        (control, events)
    }

    /// What is open, for the log.
    pub fn places(&self) -> Vec<String> {
        let line = |what: &str, events_only| {
            let places: Vec<&str> =
                self.sockets(events_only).map(|opened| opened.endpoint.as_str()).collect();
            (!places.is_empty()).then(|| format!("{what} socket: {}", places.join(", ")))
        };
        let control = line("control", false).unwrap_or_else(|| "control socket: none".into());
        [Some(control), line("pubsub", true)].into_iter().flatten().collect()
    }

    /// The descriptors on which connections come in, in their order.
    pub fn fds(&self) -> impl Iterator<Item = RawFd> {
        self.all.iter().map(|listener| listener.opened.acceptor.fd())
    }

    /// There may be connections to accept on the socket of this number.
    pub fn accept_more(&mut self, listener: u32) {
        if let Some(listener) = usize::try_from(listener).ok().and_then(|n| self.all.get_mut(n)) {
            listener.accepting = true;
        }
    }

    /// Whether there may be connections to accept now.
    pub fn are_busy(&self) -> bool {
        self.next_accept.is_none() && self.all.iter().any(|listener| listener.accepting)
    }

    /// When accepting is tried again, after the kernel had no descriptor.
    pub fn next_accept(&self) -> Option<Instant> {
        self.next_accept
    }
}

impl Daemon {
    /// Accepts what waits on each socket, up to a number.
    pub(crate) fn accept(&mut self) {
        if self.parts.clients.listeners.next_accept.is_some_and(|at| at > self.core.now) {
            return;
        }
        self.parts.clients.listeners.next_accept = None;
        for number in 0..self.parts.clients.listeners.all.len() {
            for _ in 0..ACCEPTS {
                if !self.accept_one(number) {
                    break;
                }
            }
        }
    }

    /// Opens the sockets anew whose files somebody has removed. Who is connected stays so.
    pub(crate) fn restore_listeners(&mut self) {
        for number in 0..self.parts.clients.listeners.all.len() {
            match self.restore(number) {
                Some(Ok(endpoint)) => {
                    self.core.log.warning(format_args!("{endpoint} had been removed; it is there again"));
                }
                Some(Err(why)) => self.core.log.error(format_args!("{why}")),
                None => {}
            }
        }
    }

    fn restore(&mut self, number: usize) -> Option<Result<String, String>> {
        let old = &self.parts.clients.listeners.all.get(number)?.opened;
        let opened = match endpoint::restore(old, &self.core.setup.options)? {
            Ok(opened) => opened,
            Err(why) => return Some(Err(why)),
        };
        if let Err(error) = self.core.poll(Key::clients).watch(opened.acceptor.fd(), (number as u32) << 1 | 1)
        {
            return Some(Err(sys::io_words(&error)));
        }
        // Who waits at the old one is not forgotten. Nobody can come after them.
        self.parts.clients.listeners.accept_more(number as u32);
        while self.accept_one(number) {}
        let endpoint = opened.endpoint.clone();
        self.parts.clients.listeners.all.get_mut(number)?.opened = opened;
        Some(Ok(endpoint))
    }

    /// Accepts a connection; false when there is none, or none can be had.
    fn accept_one(&mut self, number: usize) -> bool {
        let Some(listener) = self.parts.clients.listeners.all.get_mut(number).filter(|it| it.accepting)
        else {
            return false;
        };
        match listener.opened.acceptor.accept() {
            Ok(stream) => self.admit(number, stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => listener.accepting = false,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            Err(error) => {
                // No descriptor is left, most likely, and no event will come when there is one again.
                let why = sys::io_words(&error);
                let text = format_args!("accepting a control connection: {why}");
                self.core.log.once(Level::Error, "accept", text);
                self.parts.clients.listeners.next_accept = Some(self.core.now + ACCEPT_PAUSE);
                self.parts.clients.listeners.failed = Some(self.core.now);
                return false;
            }
        }
        true
    }
}
