//! The sockets on which clients come in, and who is let in.

use super::client::Client;
use super::endpoint::{self, Opened};
use super::eventloop::Daemon;
use super::log::Level;
use crate::arbiter::Pid;
use crate::arbiter::request::Errno;
use crate::control::protocol;
use crate::control::wire::Wire;
use crate::sys::{self, clock, limit, socket};
use serde_json::Value as Json;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The most connections at a time.
const MOST_CLIENTS: usize = 4096;
/// So many are let in whatever the limit of open files is; what is more leaves an eighth of that to processes.
const FEW_CLIENTS: usize = 16;
/// How many connections are accepted in a turn, on each socket.
const ACCEPTS: usize = 64;
/// How long to wait when the kernel has no descriptor left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

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
}

impl Listeners {
    /// Open sockets.
    pub fn new(opened: Vec<Opened>) -> Listeners {
        let listen = |opened| Listener { opened, accepting: false };
        Listeners { all: opened.into_iter().map(listen).collect(), next_accept: None }
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
    pub(super) fn accept(&mut self) {
        if self.clients.listeners.next_accept.is_some_and(|at| at > self.now) {
            return;
        }
        self.clients.listeners.next_accept = None;
        for number in 0..self.clients.listeners.all.len() {
            for _ in 0..ACCEPTS {
                if !self.accept_one(number) {
                    break;
                }
            }
        }
    }

    /// Opens the sockets anew whose files somebody has removed. Who is connected stays so.
    pub(super) fn restore_listeners(&mut self) {
        for number in 0..self.clients.listeners.all.len() {
            match self.restore(number) {
                Some(Ok(endpoint)) => {
                    self.log.warning(format_args!("{endpoint} had been removed; it is there again"));
                }
                Some(Err(why)) => self.log.error(format_args!("{why}")),
                None => {}
            }
        }
    }

    fn restore(&mut self, number: usize) -> Option<Result<String, String>> {
        let old = &self.clients.listeners.all.get(number)?.opened;
        let opened = match endpoint::restore(old, &self.options)? {
            Ok(opened) => opened,
            Err(why) => return Some(Err(why)),
        };
        if let Err(error) = self.watch_listener(opened.acceptor.fd(), number as u32) {
            return Some(Err(sys::io_words(&error)));
        }
        // Who waits at the old one is not forgotten. Nobody can come after them.
        self.clients.listeners.accept_more(number as u32);
        while self.accept_one(number) {}
        let endpoint = opened.endpoint.clone();
        self.clients.listeners.all.get_mut(number)?.opened = opened;
        Some(Ok(endpoint))
    }

    /// Accepts a connection; false when there is none, or none can be had.
    fn accept_one(&mut self, number: usize) -> bool {
        let Some(listener) = self.clients.listeners.all.get_mut(number).filter(|it| it.accepting) else {
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
                self.log.once(Level::Error, "accept", text);
                self.clients.listeners.next_accept = Some(self.now + ACCEPT_PAUSE);
                return false;
            }
        }
        true
    }

    /// Takes a new connection in, or says why not.
    fn admit(&mut self, listener: usize, mut stream: UnixStream) {
        self.log.over(Level::Info, "accept", format_args!("control connections are accepted again"));
        let Some(Listener { opened, .. }) = self.clients.listeners.all.get(listener) else { return };
        let peer = socket::peer_credentials(stream.as_raw_fd()).ok();
        let (pid, peer) = peer.map_or((None, u32::MAX), |(pid, uid, _)| (Some(pid), uid));
        let foreign = opened.only_for.is_some_and(|own| ![own, 0].contains(&peer));
        let count = self.clients.count();
        let too_many = count >= MOST_CLIENTS || count >= FEW_CLIENTS && is_high(stream.as_raw_fd());
        let reason = match (foreign, too_many) {
            (true, _) => "this control socket serves root and the user of circus only",
            (false, true) => "there are too many control connections",
            (false, false) => "",
        };
        if !reason.is_empty() {
            let line = protocol::encode_error(&Json::Null, Errno::Conflict, reason, clock::realtime());
            let _ = stream.write(&line);
            return;
        }
        let events_only = opened.events_only;
        let mut client = Client::new(stream, peer, Wire::default());
        client.events_only = events_only;
        client.pid = pid.filter(|pid| *pid > 0); // 0 is one of another pid namespace
        if let Some(id) = self.take_in(client) {
            self.serve(id);
        }
    }

    /// Serves a plugin that runs as this user, and which is told of everything, in the next turn.
    pub(super) fn take_in_plugin(&mut self, stream: UnixStream, pid: Pid, uid: u32) {
        let mut client = Client::new(stream, uid, Wire::lines());
        client.plugin = Some(pid);
        client.topics = Some(Vec::new());
        let id = self.take_in(client);
        self.clients.visit_again(id);
    }
}

/// Whether a new descriptor, which is the lowest that was free, is one of those that are left to processes.
fn is_high(fd: RawFd) -> bool {
    let most = limit::get(limit::NOFILE).map_or(u64::MAX, |limit| limit.soft);
    u64::try_from(fd).is_ok_and(|fd| fd >= most - most / 8)
}
