//! The control socket and the connections to it: reads requests, queues replies, keeps subscribers supplied.
//!
//! Nobody here can harm anybody: there are so many connections and no more, a line has its greatest length, a client
//! that does not read is not read from either, and a subscriber that does not read loses events and is told how
//! many. All sockets are non-blocking; writing begins at once and goes on when the kernel says so.

use super::endpoint::Opened;
use super::eventloop::Daemon;
use super::log::Level;
use super::sockets::OwnFile;
use crate::arbiter::request::{Errno, Order, Reply, Request, Select, Ticket};
use crate::arbiter::{Event, Published, WatcherId};
use crate::control::frame::{Lines, TooLong};
use crate::control::{self, Map, Refusal, protocol, topics};
use crate::sorted::{Sorted, sort};
use crate::sys::{self, clock, socket};
use serde_json::Value as Json;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// The most connections at a time.
const MOST_CLIENTS: usize = 4096;
/// A client that has so many bytes to read is not read from.
const UNREAD: usize = 256 * 1024;
/// A subscriber that has so many bytes to read gets no more events until it has read some.
const MOST_QUEUED: usize = 1024 * 1024;
/// How many requests of one client are looked at in a turn.
const REQUESTS: usize = 64;
/// How many connections are accepted in a turn.
const ACCEPTS: usize = 64;
/// How long to wait when the kernel has no descriptor left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A request that is not answered yet.
struct Asked {
    client: u32,
    id: Json,
}

/// One connection.
struct Client {
    stream: UnixStream,
    lines: Lines,
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
    /// Prefixes of the topics that it listens to.
    topics: Option<Vec<String>>,
    /// How many events it has missed.
    missed: u64,
    /// There may be more to read.
    readable: bool,
    /// It has ended its side: it is closed when everything is written.
    ended: bool,
    /// Nobody is there any more.
    broken: bool,
}

/// The control socket and its connections.
#[derive(Default)]
pub struct Clients {
    listener: Option<UnixListener>,
    endpoint: String,
    _file: Option<OwnFile>,
    clients: Sorted<u32, Client>,
    asked: Sorted<Ticket, Asked>,
    next_client: u32,
    next_ticket: u64,
    accepting: bool,
    next_accept: Option<Instant>,
    /// Connections to look at in the next turn: they have got the last reply that they waited for, or are broken.
    revisit: Vec<u32>,
    abstract_only_for: Option<u32>,
}

impl Clients {
    /// No control socket.
    pub fn none() -> Clients {
        Clients { endpoint: "none".into(), ..Clients::default() }
    }

    /// Serves an open control socket.
    pub fn serve_on(opened: Opened) -> Clients {
        Clients {
            listener: Some(opened.listener),
            endpoint: opened.endpoint,
            _file: opened.file,
            abstract_only_for: opened.only_for,
            ..Clients::default()
        }
    }

    /// Where the control socket is, or `none`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The descriptor of the control socket.
    pub fn listener(&self) -> Option<RawFd> {
        self.listener.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// There may be connections to accept.
    pub fn accept_more(&mut self) {
        self.accepting = true;
        self.next_accept = None;
    }

    /// Whether something can be done without waiting.
    pub fn are_busy(&self) -> bool {
        self.accepting || !self.revisit.is_empty() || self.clients.values().any(Client::can_be_read)
    }

    /// When accepting is tried again, after the kernel had no descriptor.
    pub fn next_accept(&self) -> Option<Instant> {
        self.next_accept
    }

    fn new_ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    /// A ticket for a question whose answer comes later.
    pub fn ticket_for(&mut self, client: u32, id: Json) -> Ticket {
        let ticket = self.new_ticket();
        self.asked.insert(ticket, Asked { client, id });
        ticket
    }

    /// Sends the answer to a question to whoever asked it, if it is there still.
    pub fn answer_later(&mut self, ticket: Ticket, answer: &Result<Map, Refusal>) {
        let time = clock::realtime();
        self.send_later(ticket, &|id| match answer {
            Ok(map) => protocol::encode_answer(id, map, time),
            Err(refusal) => protocol::encode_error(id, refusal.errno, &refusal.reason, time),
        });
    }

    fn send_later(&mut self, ticket: Ticket, line: &dyn Fn(&Json) -> Vec<u8>) {
        let Some(asked) = self.asked.remove(&ticket) else { return };
        let Some(client) = self.clients.get_mut(&asked.client) else { return };
        client.send(&line(&asked.id));
        if client.ended || client.broken {
            self.revisit.push(asked.client);
        }
    }

    /// Writes what can be written: the end is near.
    pub fn flush_all(&mut self) {
        for client in self.clients.values_mut() {
            let _ = client.flush();
        }
    }
}

impl Client {
    fn new(stream: UnixStream) -> Client {
        Client {
            stream,
            lines: Lines::default(),
            out: Vec::new(),
            written: 0,
            topics: None,
            missed: 0,
            readable: true,
            ended: false,
            broken: false,
        }
    }

    fn queued(&self) -> usize {
        self.out.len() - self.written
    }

    fn can_be_read(&self) -> bool {
        self.readable && !self.ended && self.queued() < UNREAD
    }

    /// Queues a line and writes what goes.
    fn send(&mut self, line: &[u8]) {
        self.out.extend_from_slice(line);
        self.broken |= self.flush().is_err();
    }

    fn flush(&mut self) -> std::io::Result<()> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if self.written == self.out.len() {
            self.out = if self.out.capacity() > UNREAD { Vec::new() } else { std::mem::take(&mut self.out) };
            self.out.clear();
            self.written = 0;
        } else if self.written > UNREAD {
            self.out.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    /// An event for a subscriber; when it does not read, it is only counted.
    fn tell(&mut self, line: &[u8]) {
        if self.queued() > MOST_QUEUED {
            self.missed += 1;
            return;
        }
        if self.missed > 0 {
            let missed = std::mem::take(&mut self.missed);
            self.out.extend_from_slice(&missed_line(missed));
        }
        self.send(line);
    }
}

impl Daemon {
    /// Looks after the connections that had an event, those that have more to read, and new ones.
    ///
    /// An event comes with whether the other side is gone altogether; then what it has sent is still read.
    pub(super) fn serve_clients(&mut self, events: &[(u32, bool)]) {
        let mut with_events = std::mem::take(&mut self.clients.revisit);
        for (id, gone) in events {
            if let Some(client) = self.clients.clients.get_mut(id) {
                client.readable = true;
                client.broken |= gone;
                with_events.push(*id);
            }
        }
        let more = self.clients.clients.iter().filter(|(_, client)| client.can_be_read()).map(|(id, _)| *id);
        with_events.extend(more);
        let mut with_events = sort(with_events);
        with_events.dedup();
        for id in with_events {
            self.serve(id);
        }
        if self.clients.next_accept.is_some_and(|at| at <= self.now) {
            self.clients.accept_more();
        }
        if self.clients.accepting {
            self.accept();
        }
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS {
            let Some(listener) = &self.clients.listener else { break };
            match listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.clients.accepting = false;
                    return;
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    // No descriptor is left, most likely, and no event will come when there is one again.
                    let why = sys::io_words(&error);
                    self.log.once(
                        Level::Error,
                        "accept",
                        format_args!("accepting a control connection: {why}"),
                    );
                    self.clients.accepting = false;
                    self.clients.next_accept = Some(self.now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    /// Takes a new connection in, or says why not.
    fn admit(&mut self, mut stream: UnixStream) {
        self.log.over(Level::Info, "accept", format_args!("control connections are accepted again"));
        let peer = socket::peer_credentials(stream.as_raw_fd()).map_or(u32::MAX, |(_, uid, _)| uid);
        let foreign = self.clients.abstract_only_for.is_some_and(|own| peer != own && peer != 0);
        let reason = match (foreign, self.clients.clients.len() >= MOST_CLIENTS) {
            (true, _) => "this control socket serves root and the user of circus only",
            (false, true) => "there are too many control connections",
            (false, false) => "",
        };
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if !reason.is_empty() {
            let line = protocol::encode_error(&Json::Null, Errno::Conflict, reason, clock::realtime());
            let _ = stream.write(&line);
            return;
        }
        let id = self.clients.next_client;
        self.clients.next_client = id.wrapping_add(1);
        if self.watch_client(stream.as_raw_fd(), id).is_ok() {
            self.clients.clients.insert(id, Client::new(stream));
            self.serve(id);
        }
    }

    /// Reads and answers what one client asks, within its budget, and writes what it can take.
    fn serve(&mut self, id: u32) {
        let alive = self.read_requests(id);
        let Some(client) = self.clients.clients.get_mut(&id) else { return };
        client.broken |= client.flush().is_err();
        let waits = self.clients.asked.values().any(|asked| asked.client == id);
        let Some(client) = self.clients.clients.get(&id) else { return };
        let done = client.ended && client.queued() == 0 && !waits && client.topics.is_none();
        let gone = client.broken && !client.can_be_read();
        if !alive || gone || done {
            self.close_client(id);
        }
    }

    fn close_client(&mut self, id: u32) {
        if let Some(client) = self.clients.clients.remove(&id) {
            self.unwatch(client.stream.as_raw_fd());
        }
        self.clients.asked.retain(|_, asked| asked.client != id);
    }

    /// False when the connection is broken.
    fn read_requests(&mut self, id: u32) -> bool {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..4 {
            if !self.take_lines(id) {
                return true; // more is to be looked at in the next turn
            }
            let Some(client) = self.clients.clients.get_mut(&id) else { return false };
            if !client.can_be_read() {
                return true;
            }
            match client.stream.read(&mut buffer) {
                Ok(0) => return self.end_of_requests(id),
                Ok(n) => client.lines.push(buffer.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    client.readable = false;
                    return true;
                }
                Err(_) => return false,
            }
        }
        self.take_lines(id);
        true
    }

    /// Answers the requests that are there, up to a number; false when there are more.
    fn take_lines(&mut self, id: u32) -> bool {
        for _ in 0..REQUESTS {
            let Some(client) = self.clients.clients.get_mut(&id) else { return true };
            if client.queued() >= UNREAD {
                return false;
            }
            let incoming = match client.lines.next() {
                None => return true,
                Some(Ok([])) => continue,
                Some(Ok(line)) => {
                    let incoming = protocol::decode(line);
                    if let Ok(Request::Order(_)) = incoming.request {
                        self.log.debug(format_args!("control: {}", String::from_utf8_lossy(line)));
                    }
                    incoming
                }
                Some(Err(TooLong)) => protocol::too_long(),
            };
            self.take_request(id, incoming);
        }
        false
    }

    /// The client has ended its side. What it sent without a newline is no request; it is told so.
    fn end_of_requests(&mut self, id: u32) -> bool {
        let Some(client) = self.clients.clients.get_mut(&id) else { return false };
        client.ended = true;
        if client.lines.finish().is_some() {
            self.take_request(id, protocol::cut_off());
        }
        true
    }

    fn take_request(&mut self, client: u32, incoming: protocol::Incoming) {
        let time = clock::realtime();
        let protocol::Incoming { id, cast, request } = incoming;
        let line = match request {
            Err(refusal) => protocol::encode_error(&id, refusal.errno, &refusal.reason, time),
            Ok(Request::Question(_)) if cast => return,
            Ok(Request::Question(question)) => match self.answer_or_extend((client, &id), &question) {
                Ok(Some(map)) => protocol::encode_answer(&id, &map, time),
                Ok(None) => return,
                Err(refusal) => protocol::encode_error(&id, refusal.errno, &refusal.reason, time),
            },
            Ok(Request::Listen(topics)) => {
                if let Some(client) = self.clients.clients.get_mut(&client) {
                    client.topics = Some(topics);
                }
                protocol::encode_answer(&id, &Map::new(), time)
            }
            Ok(Request::Order(order)) => return self.take_order(client, id, cast, order),
        };
        if !cast && let Some(client) = self.clients.clients.get_mut(&client) {
            client.send(&line);
        }
    }

    /// Gives an order to the arbiter. The reply comes now or later.
    fn take_order(&mut self, client: u32, id: Json, cast: bool, order: Order) {
        let targets = match self.targets(&order) {
            Ok(targets) => targets,
            Err(reason) => {
                let line = protocol::encode_error(&id, Errno::Message, &reason, clock::realtime());
                if let (false, Some(client)) = (cast, self.clients.clients.get_mut(&client)) {
                    client.send(&line);
                }
                return;
            }
        };
        let ticket = self.clients.new_ticket();
        if !cast {
            self.clients.asked.insert(ticket, Asked { client, id });
        }
        self.dispatch(Event::Order { ticket, order, targets });
    }

    /// The watchers that an order's patterns name; `None` for all.
    fn targets(&self, order: &Order) -> Result<Option<Vec<WatcherId>>, String> {
        let select = match order {
            Order::Start { who, .. } | Order::Stop { who, .. } | Order::Restart { who, .. } => who,
            _ => return Ok(None),
        };
        let Select::Match { pattern, how } = select else { return Ok(None) };
        let matcher = super::matching::Matcher::new(pattern, *how)?;
        let names = self.arbiter.watchers().filter(|w| matcher.matches(&w.config.name));
        let found: Vec<WatcherId> = names.map(|w| w.id).collect();
        if found.is_empty() { Err(format!("program {pattern} not found")) } else { Ok(Some(found)) }
    }

    /// Sends the reply to an order to whoever gave it, if it is there still.
    pub(super) fn reply(&mut self, ticket: Ticket, reply: &Reply) {
        self.clients.send_later(ticket, &|id| protocol::encode_reply(id, reply, clock::realtime()));
    }

    /// Tells all who listen to it.
    pub(super) fn tell_subscribers(&mut self, watcher: &str, what: Published) {
        if self.clients.clients.values().all(|client| client.topics.is_none()) {
            return;
        }
        let (event, data) = event_of(what, clock::realtime());
        let topic = topics::topic(watcher, event);
        let line = protocol::encode_event(&topic, &data);
        for (id, client) in self.clients.clients.iter_mut() {
            if client.topics.as_ref().is_some_and(|prefixes| topics::wanted(prefixes, &topic)) {
                client.tell(&line);
                if client.broken {
                    self.clients.revisit.push(*id);
                }
            }
        }
    }
}

/// What subscribers are told of an event: its name and its data, as Circus has them.
fn event_of(what: Published, time: f64) -> (&'static str, Map) {
    let mut data = control::one("time", time.into());
    let (name, pid) = match what {
        Published::HookSuccess { hook } => {
            data.insert("name".into(), hook.name().into());
            ("hook_success", None)
        }
        Published::HookFailure { hook, error } => {
            data.extend([("name".into(), hook.name().into()), ("error".into(), error.into())]);
            ("hook_failure", None)
        }
        Published::Spawn { pid } => ("spawn", Some(pid)),
        Published::Kill { pid } => ("kill", Some(pid)),
        Published::Reap { pid, exit } => {
            data.insert("exit_code".into(), exit.code().into());
            ("reap", Some(pid))
        }
        Published::Start => ("start", None),
        Published::Stop => ("stop", None),
        Published::Reload => ("reload", None),
        Published::Updated => ("updated", None),
        Published::Add => ("add", None),
        Published::Remove => ("remove", None),
    };
    if let Some(pid) = pid {
        data.insert("process_pid".into(), pid.into());
    }
    (name, data)
}

/// What a subscriber is told when it has missed events.
fn missed_line(missed: u64) -> Vec<u8> {
    protocol::encode_event("circus.missed", &control::one("events", missed.into()))
}
