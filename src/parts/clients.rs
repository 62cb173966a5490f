//! The control socket and the connections to it: reads requests, queues replies, keeps subscribers supplied.
//!
//! Nobody here can harm anybody: there are so many connections and no more, a line has its greatest length, a client
//! that does not read is not read from either, and a subscriber that does not read loses events and is told how
//! many. All sockets are non-blocking; writing begins at once and goes on when the kernel says so.

mod client;
mod followers;
pub(crate) mod listeners;
mod permission;
mod places;

use crate::arbiter::history::Origin;
use crate::arbiter::request::{Errno, Order, Reply, Request, Select, Task, Ticket};
use crate::arbiter::{Event, Pid, Published, WatcherId};
use crate::control::protocol::Id;
use crate::control::python::cut;
use crate::control::secrets::Sketch;
use crate::control::wire::{self, Input};
use crate::control::{self, Map, Refusal, protocol, topics};
use crate::host::endpoint::Opened;
use crate::host::procfs;
use crate::parts::clients::client::{Client, UNREAD};
use crate::parts::clients::listeners::Listeners;
use crate::parts::log::Level;
use crate::reactor::eventloop::Daemon;
use crate::reactor::part::Part;
use crate::sorted::{Sorted, sort};
use crate::sys::clock;
pub use followers::Follows;
use places::MOST_HELD;
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many requests of one client are looked at in a turn.
const REQUESTS: usize = 64;
/// How long requests of one client may take in a turn; the one in hand is finished.
const LONGEST: Duration = Duration::from_millis(2);
/// How many nanoseconds of a processor it may take to compare a pattern with the names of all watchers.
const LONGEST_MATCHING: u64 = 20_000_000;

/// A request that is not answered yet.
struct Asked {
    from: Sender,
    id: Id,
}

/// Who has sent a request, and what has to stand before the reply.
#[derive(Clone)]
pub struct Sender {
    client: u32,
    envelope: Vec<u8>,
}

/// The control socket and its connections.
#[derive(Default)]
pub struct Clients {
    pub listeners: Listeners,
    clients: Sorted<u32, Client>,
    asked: Sorted<Ticket, Asked>,
    next_client: u32,
    next_ticket: u64,
    /// How much memory all connections take.
    held: usize,
    /// Connections to look at in the next turn: they have got the last reply that they waited for, or are broken.
    revisit: Vec<u32>,
}

impl Part for Clients {}

impl Clients {
    /// Serves open sockets.
    pub fn serve_on(opened: Vec<Opened>) -> Clients {
        Clients { listeners: Listeners::new(opened), ..Clients::default() }
    }

    /// Whether something can be done without waiting.
    pub fn are_busy(&self) -> bool {
        self.listeners.are_busy()
            || !self.revisit.is_empty()
            || self.clients.values().any(Client::can_be_read)
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// Has a connection looked at in the next turn.
    pub fn visit_again(&mut self, id: Option<u32>) {
        self.revisit.extend(id);
    }

    /// The process of a plugin has ended: what it has sent is still read, and whoever else has its connection open is
    /// served no more.
    pub fn plugin_ended(&mut self, pid: Pid) {
        let Self { clients, revisit, .. } = self;
        for (id, client) in clients.iter_mut().filter(|(_, client)| client.plugin == Some(pid)) {
            client.readable = true;
            client.broken = true;
            revisit.push(*id);
        }
    }

    fn new_ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    /// A ticket for a question whose answer comes later.
    pub fn ticket_for(&mut self, from: &Sender, id: Id) -> Ticket {
        let ticket = self.new_ticket();
        self.asked.insert(ticket, Asked { from: from.clone(), id });
        ticket
    }

    /// Whether somebody waits for this answer.
    pub fn awaits(&self, ticket: Ticket) -> bool {
        self.asked.contains_key(&ticket)
    }

    /// Sends the answer to a question to whoever asked it, if it is there still.
    pub fn answer_later(&mut self, ticket: Ticket, answer: Result<Map, Refusal>) {
        if let Some(Asked { from, id }) = self.asked.remove(&ticket) {
            self.send_later(&from, protocol::encode_outcome(&id, answer, clock::realtime()));
        }
    }

    /// Whether somebody who asks has a lower right than root and the user of circus. Where there is no `owner` of the
    /// endpoint, who comes by a port has not.
    pub fn is_lower(&self, asker: &Sender, owner: bool) -> bool {
        let client = self.clients.get(&asker.client);
        client.is_none_or(|client| !client.is_trusted() && (owner || !client.by_port))
    }

    fn send_later(&mut self, to: &Sender, line: Vec<u8>) {
        let Some(client) = self.clients.get_mut(&to.client) else { return };
        client.reply(line, &to.envelope);
        client.weigh(&mut self.held);
        if client.ended || client.broken {
            self.revisit.push(to.client);
        }
        self.shed();
    }

    /// Tells those that wait for it that circus has ended.
    pub fn tell_of_the_end(&mut self, waiters: Vec<Ticket>) {
        for ticket in waiters {
            let Some(Asked { from, id }) = self.asked.remove(&ticket) else { continue };
            self.send_later(&from, protocol::encode_reply(&id, &Reply::Ok, clock::realtime()));
        }
        self.flush_all();
    }

    /// Writes what can be written: the end is near.
    pub fn flush_all(&mut self) {
        for client in self.clients.values_mut() {
            let _ = client.flush();
        }
    }
}

impl Daemon {
    /// Looks after the connections that had an event, those that have more to read, and new ones.
    ///
    /// An event comes with whether the other side is gone altogether; then what it has sent is still read.
    pub(crate) fn serve_clients(&mut self, events: &[(u32, bool)]) {
        let mut with_events = std::mem::take(&mut self.parts.clients.revisit);
        for (id, gone) in events {
            if let Some(client) = self.parts.clients.clients.get_mut(id) {
                client.readable = true;
                client.broken |= gone;
                with_events.push(*id);
            }
        }
        let more =
            self.parts.clients.clients.iter().filter(|(_, client)| client.can_be_read()).map(|(id, _)| *id);
        with_events.extend(more);
        let mut with_events = sort(with_events);
        with_events.dedup();
        for id in with_events {
            self.serve(id);
        }
        self.accept();
    }

    /// Reads and answers what one client asks, within its budget, and writes what it can take.
    pub(crate) fn serve(&mut self, id: u32) {
        let alive = self.read_requests(id);
        let Some(client) = self.parts.clients.clients.get_mut(&id) else { return };
        client.broken |= client.flush().is_err();
        if client.queued() == 0 {
            client.say_missed();
            client.broken |= client.flush().is_err();
        }
        client.weigh(&mut self.parts.clients.held);
        if self.parts.clients.shed() {
            let text = format_args!("control: clients take too much memory; connections are closed");
            self.core.log.once(Level::Warning, "held", text);
        }
        let waits = self.parts.clients.asked.values().any(|asked| asked.from.client == id);
        let Some(client) = self.parts.clients.clients.get(&id) else { return };
        let done = client.ended
            && client.queued() == 0
            && !waits
            && client.topics.is_none()
            && client.follows.is_none();
        let gone = client.broken && !client.can_be_read();
        if !alive || gone || done {
            self.close_client(id);
        }
    }

    fn close_client(&mut self, id: u32) {
        if let Some(client) = self.parts.clients.clients.remove(&id) {
            self.parts.clients.held = self.parts.clients.held.saturating_sub(client.counted());
            self.core.unwatch(client.stream.as_raw_fd());
            if client.follows.is_some() {
                self.note_followed();
            }
        }
        self.parts.clients.asked.retain(|_, asked| asked.from.client != id);
    }

    /// False when the connection is broken.
    fn read_requests(&mut self, id: u32) -> bool {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..4 {
            if !self.take_inputs(id) {
                return true; // more is to be looked at in the next turn
            }
            let Some(client) = self.parts.clients.clients.get_mut(&id) else { return false };
            if !client.can_be_read() {
                return true;
            }
            match client.stream.read(&mut buffer) {
                Ok(0) => return self.end_of_requests(id),
                Ok(n) => client.wire.push(buffer.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    client.readable = false;
                    return true;
                }
                Err(_) => return false,
            }
        }
        self.take_inputs(id);
        true
    }

    /// Answers the requests that are there, up to a number and for a moment; false when there are more.
    fn take_inputs(&mut self, id: u32) -> bool {
        let end = Instant::now() + LONGEST;
        for n in 0..REQUESTS {
            let Some(client) = self.parts.clients.clients.get_mut(&id) else { return true };
            if client.ended {
                return true;
            }
            if client.queued() >= UNREAD || n > 0 && Instant::now() >= end {
                return false;
            }
            match client.wire.next() {
                None => return true,
                Some(Input::Request { json: [], .. }) => {}
                Some(Input::Request { json, envelope }) => {
                    let incoming = protocol::decode(json);
                    if let Ok(Request::Order(order)) = &incoming.request {
                        self.core.log.debug(format_args!("control: {}", Sketch(&order.what, json)));
                    }
                    let rubbish = matches!(&incoming.request, Err(why) if why.errno == Errno::NotJson);
                    let hang_up = client.by_port && rubbish;
                    self.take_request(Sender { client: id, envelope }, incoming);
                    if hang_up {
                        return self.hang_up(id);
                    }
                }
                Some(Input::TooLong { envelope }) => {
                    let by_port = client.by_port;
                    self.take_request(Sender { client: id, envelope }, protocol::too_long());
                    if by_port {
                        return self.hang_up(id);
                    }
                }
                Some(Input::Send(bytes)) => client.send(&bytes),
                Some(Input::Subscribe(topic)) => {
                    if !client.subscribe(topic) {
                        self.refuse(id, "it subscribes to too many topics", &[]);
                    }
                }
                Some(Input::Cancel(topic)) => client.cancel(&topic),
                Some(Input::Refused { why, shutdown_progress }) => self.refuse(id, why, &shutdown_progress),
            }
        }
        false
    }

    /// Listens no more to somebody who has come by a port and speaks another language: it may be a browser, whose page
    /// has our requests in the body of its own.
    fn hang_up(&mut self, id: u32) -> bool {
        let text = format_args!("control: a connection by TCP that sent no JSON object is closed");
        self.core.log.once(Level::Warning, "no request", text);
        if let Some(client) = self.parts.clients.clients.get_mut(&id) {
            (client.ended, client.broken) = (true, true);
        }
        true
    }

    /// Hangs up on a ZeroMQ peer that cannot be served. It comes again and again, as ZeroMQ does: one line is enough.
    fn refuse(&mut self, id: u32, why: &str, shutdown_progress: &[u8]) {
        let text = format_args!("control: a ZeroMQ peer is not served: {why}");
        self.core.log.once(Level::Warning, why, text);
        if let Some(client) = self.parts.clients.clients.get_mut(&id) {
            client.send(shutdown_progress);
            client.topics = None;
            client.ended = true;
        }
    }

    /// The client has ended its side. What it sent without a newline is no request; it is told so.
    fn end_of_requests(&mut self, id: u32) -> bool {
        let Some(client) = self.parts.clients.clients.get_mut(&id) else { return false };
        client.ended = true;
        // A ZeroMQ peer does not end one side alone, and by TCP nothing else says that it has gone.
        client.broken |= client.wire.is_zmtp();
        if client.wire.is_cut_off() {
            self.take_request(Sender { client: id, envelope: Vec::new() }, protocol::cut_off());
        }
        true
    }

    fn take_request(&mut self, from: Sender, incoming: protocol::Incoming) {
        let time = clock::realtime();
        let protocol::Incoming { mut id, cast, request } = incoming;
        let Some(client) = self.parts.clients.clients.get_mut(&from.client) else { return };
        let request = match request {
            Ok(request) => {
                client.has_asked = true;
                client.may_ask(request)
            }
            Err(refusal) => Err(refusal),
        };
        let line = match request {
            Err(refusal) => protocol::encode_error(&id, refusal.errno, &refusal.reason, time),
            Ok(Request::Question(_)) if cast => return,
            Ok(Request::Question(question)) => match self.answer(&from, &mut id, &question).transpose() {
                None => return,
                Some(outcome) => protocol::encode_outcome(&id, outcome, time),
            },
            Ok(Request::Listen(topics)) => {
                client.topics = Some(topics);
                protocol::encode_answer(&id, &Map::new(), time)
            }
            Ok(Request::Tail(tail)) => protocol::encode_outcome(&id, self.tail(from.client, &tail), time),
            Ok(Request::Logs { name, rotate }) => {
                protocol::encode_outcome(&id, self.logs(name.as_deref(), rotate), time)
            }
            Ok(Request::Order(order)) => return self.take_order(from, id, cast, order),
        };
        if !cast {
            self.send_reply(&from, line);
        }
    }

    fn send_reply(&mut self, to: &Sender, line: Vec<u8>) {
        if let Some(client) = self.parts.clients.clients.get_mut(&to.client) {
            client.reply(line, &to.envelope);
        }
    }

    /// Gives an order to the arbiter. The reply comes now or later.
    fn take_order(&mut self, from: Sender, id: Id, cast: bool, order: Order) {
        let client = self.parts.clients.clients.get(&from.client);
        let (peer, is_plugin) =
            client.map_or((u32::MAX, false), |client| (client.peer, client.plugin.is_some()));
        let targets = match self
            .permit(peer, is_plugin, &order.what)
            .and_then(|()| self.try_streams(&order.what))
            .and_then(|()| self.targets(&order.what))
        {
            Ok(targets) => targets,
            Err(reason) => {
                if !cast {
                    let line = protocol::encode_error(&id, Errno::Message, &reason, clock::realtime());
                    self.send_reply(&from, line);
                }
                return;
            }
        };
        let (client, ticket) = (from.client, self.parts.clients.new_ticket());
        if !cast {
            self.parts.clients.asked.insert(ticket, Asked { from, id });
        }
        let by = Rc::new(self.origin(client, order.what.word()));
        self.dispatch(Event::Order { ticket, order, targets, by });
    }

    /// Who gives an order, as far as that can be told.
    fn origin(&self, client: u32, order: &'static str) -> Origin {
        let Some(client) = self.parts.clients.clients.get(&client) else { return Origin::default() };
        let plugin = client.plugin.and_then(|pid| self.core.arbiter.watcher(self.core.arbiter.owner(pid)?.0));
        let pid = client.plugin.or(client.pid);
        let line = || pid.map_or_else(|| client.address(), procfs::command_line).unwrap_or_default();
        Origin {
            order,
            uid: (client.peer != u32::MAX).then_some(client.peer),
            pid,
            client: plugin.map_or_else(line, |plugin| plugin.config.name.clone()),
        }
    }

    /// The watchers that an order's patterns name; `None` for all.
    pub(crate) fn targets(&self, task: &Task) -> Result<Option<Vec<WatcherId>>, String> {
        let select = match task {
            Task::Start(who) | Task::Stop(who) | Task::Restart(who) => who,
            _ => return Ok(None),
        };
        let Select::Match { pattern, how } = select else { return Ok(None) };
        let matcher = crate::control::matching::Matcher::new(pattern, *how)?;
        let end = clock::cpu_ns() + LONGEST_MATCHING;
        let mut found = Vec::new();
        for watcher in self.core.arbiter.watchers() {
            if matcher.matches(&watcher.config.name) {
                found.push(watcher.id);
            }
            if clock::cpu_ns() > end {
                return Err(format!("{}: it takes too long with so many watchers", cut(pattern)));
            }
        }
        if found.is_empty() { Err(format!("program {} not found", cut(pattern))) } else { Ok(Some(found)) }
    }

    /// Sends the reply to an order to whoever gave it, if it is there still.
    pub(crate) fn reply(&mut self, ticket: Ticket, reply: &Reply) {
        let Some(Asked { from, id }) = self.parts.clients.asked.remove(&ticket) else { return };
        self.parts.clients.send_later(&from, protocol::encode_reply(&id, reply, clock::realtime()));
    }

    /// Tells all who listen to it.
    pub(crate) fn tell_subscribers(&mut self, watcher: &str, what: Published) {
        if self.parts.clients.clients.values().all(|client| client.topics.is_none()) {
            return;
        }
        let topic = topics::topic(watcher, what.name());
        let data = data_of(what, clock::realtime());
        let mut encoded = [None, None];
        let Clients { clients, revisit, held, .. } = &mut self.parts.clients;
        for (id, client) in clients.iter_mut().filter(|(_, client)| client.wants(&topic)) {
            let by_zmtp = client.wire.is_zmtp();
            if let Some(event) = encoded.get_mut(usize::from(by_zmtp)) {
                let event = event.get_or_insert_with(|| wire::event(by_zmtp, &topic, &data));
                client.tell(event, *held < MOST_HELD);
                client.weigh(held);
            }
            if client.broken {
                revisit.push(*id);
            }
        }
    }
}

/// What subscribers are told of an event, as Circus has it.
fn data_of(what: Published, time: f64) -> Map {
    let mut data = control::one("time", time.into());
    let pid = match what {
        Published::HookSuccess { hook } => {
            data.insert("name".into(), hook.name().into());
            None
        }
        Published::HookFailure { hook, error } => {
            data.extend([("name".into(), hook.name().into()), ("error".into(), error.into())]);
            None
        }
        Published::Spawn { pid } | Published::Kill { pid } | Published::Ready { pid } => Some(pid),
        Published::Unhealthy { pid, reason } => {
            data.insert("reason".into(), reason.into());
            Some(pid)
        }
        Published::Reap { pid, exit, oom } => {
            data.insert("exit_code".into(), exit.code().into());
            if oom {
                data.insert("oom".into(), true.into());
            }
            Some(pid)
        }
        Published::Start
        | Published::Stop
        | Published::Reload
        | Published::Updated
        | Published::Add
        | Published::Remove => None,
    };
    if let Some(pid) = pid {
        data.insert("process_pid".into(), pid.into());
    }
    data
}
