//! The sockets on which clients come in. Who is let in is decided in `clients/places.rs`.

use super::Clients;
use crate::host::endpoint::{self, Opened};
use crate::parts::log::Level;
use crate::reactor::part::{Cx, Poller};
use crate::sys;
use std::io;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
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
    /// How many may be accepted in this turn.
    left: usize,
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
        let listen = |opened| Listener { opened, accepting: false, left: ACCEPTS };
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

    /// Waits for connections.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn watch(&self, poll: Poller<'_>) -> io::Result<()> {
        let mut all = self.all.iter().enumerate();
        all.try_for_each(|(number, listener)| poll.watch(listener.opened.acceptor.fd(), token(number)))
    }

    /// There may be connections to accept on the socket of this number.
    pub fn accept_more(&mut self, number: u32) {
        let listener = usize::try_from(number).ok().and_then(|number| self.all.get_mut(number));
        listener.into_iter().for_each(|listener| listener.accepting = true);
    }

    /// A turn begins.
    pub fn begin(&mut self, now: Instant) {
        self.next_accept.take_if(|at| *at <= now);
        self.all.iter_mut().for_each(|listener| listener.left = ACCEPTS);
    }

    /// The next connection that waits, with the number of its socket.
    fn accept(&mut self, cx: &mut Cx<'_>) -> Option<(usize, UnixStream)> {
        (0..self.all.len()).find_map(|number| {
            let may = self.next_accept.is_none();
            let stream = if may { self.accept_one(number, cx) } else { None };
            stream.map(|stream| (number, stream))
        })
    }

    /// A connection that waits on the socket of this number; nothing when there is none, or none can be had.
    fn accept_one(&mut self, number: usize, cx: &mut Cx<'_>) -> Option<UnixStream> {
        loop {
            let listener = self.all.get_mut(number).filter(|it| it.accepting && it.left > 0)?;
            listener.left -= 1;
            match listener.opened.acceptor.accept() {
                Ok(stream) => return Some(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => listener.accepting = false,
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    // No descriptor is left, most likely, and no event will come when there is one again.
                    let why = sys::io_words(&error);
                    let text = format_args!("accepting a control connection: {why}");
                    cx.log.once(Level::Error, "accept", text);
                    self.next_accept = Some(cx.now + ACCEPT_PAUSE);
                    self.failed = Some(cx.now);
                    return None;
                }
            }
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

impl Clients {
    /// Lets the next connection in that waits on one of the sockets.
    pub(super) fn accept(&mut self, cx: &mut Cx<'_>) -> Option<u32> {
        while let Some((number, stream)) = self.listeners.accept(cx) {
            if let Some(id) = self.admit(number, stream, cx) {
                return Some(id);
            }
        }
        None
    }

    /// Opens the sockets anew whose files somebody has removed. Who is connected stays so.
    pub(super) fn restore_listeners(&mut self, cx: &mut Cx<'_>) {
        for number in 0..self.listeners.all.len() {
            match self.restore_listener(number, cx) {
                Ok(Some(endpoint)) => {
                    cx.log.warning(format_args!("{endpoint} had been removed; it is there again"));
                }
                Ok(None) => {}
                Err(why) => cx.log.error(format_args!("{why}")),
            }
        }
    }

    fn restore_listener(&mut self, number: usize, cx: &mut Cx<'_>) -> Result<Option<String>, String> {
        let Some(listener) = self.listeners.all.get_mut(number) else { return Ok(None) };
        let fresh = endpoint::restore(&listener.opened, &cx.setup.options).transpose()?;
        let Some(mut opened) = fresh else { return Ok(None) };
        opened.keep();
        cx.poll.watch(opened.acceptor.fd(), token(number)).map_err(|error| sys::io_words(&error))?;
        // Connections that wait at the old socket are accepted first; no more can arrive there.
        (listener.accepting, listener.left) = (true, usize::MAX);
        while let Some(stream) = self.listeners.accept_one(number, cx) {
            let client = self.admit(number, stream, cx);
            self.visits.extend(client);
        }
        let endpoint = opened.endpoint.clone();
        if let Some(listener) = self.listeners.all.get_mut(number) {
            listener.opened = opened;
        }
        Ok(Some(endpoint))
    }
}

/// The number by which the socket is registered; those of connections are even.
fn token(listener: usize) -> u32 {
    (listener as u32) << 1 | 1
}
