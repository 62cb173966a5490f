//! The control socket and the connections to it: reads requests, queues replies, keeps subscribers supplied.
//!
//! Nobody here can harm anybody: there are so many connections and no more, a line has its greatest length, a client
//! that does not read is not read from either, and a subscriber that does not read loses events and is told how
//! many. All sockets are non-blocking; writing begins at once and goes on when the kernel says so.
//!
//! Each request has a ticket, and goes to the loop as an [`Effect`]. Its answer comes back by the ticket, at once or
//! later; that of somebody who has gone or wanted none is thrown away.

pub(crate) mod access;
mod client;
#[cfg_attr(not(feature = "edit"), path = "clients/no_edit_permission.rs")]
mod edit_permission;
mod events;
#[cfg_attr(not(feature = "tail"), path = "clients/no_followers.rs")]
mod followers;
mod limits;
pub(crate) mod listeners;
mod permission;
mod places;
mod requests;

use crate::arbiter::process::Exit;
use crate::arbiter::request::{Reply, Request, Ticket};
use crate::arbiter::{Action, Pid, Published, WatcherId};
use crate::config::PluginKind;
use crate::control::protocol::Id;
use crate::control::secrets::{self, Sketch};
use crate::control::wire::Input;
use crate::control::{Map, Refusal, protocol};
use crate::host::endpoint::Opened;
use crate::host::trouble::Trouble;
use crate::parts::clients::client::{Client, UNREAD};
use crate::parts::clients::listeners::Listeners;
use crate::parts::log::Level;
use crate::reactor::io::read_piece;
use crate::reactor::part::{Cx, Effect, Job, Part, Readiness};
use crate::sorted::{Sorted, sort};
use crate::sys::child::Stdio;
use crate::sys::{clock, user};
pub use followers::Follows;
use limits::Accounts;
use places::{FEW_HELD, MOST_HELD};
use requests::is_affordable;
use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How many requests of one client are looked at in a turn.
const REQUESTS: usize = 64;
/// How often one client is read from in a turn.
const READS: usize = 4;
/// How long requests of one client may take in a turn; the one in hand is finished.
const LONGEST: Duration = Duration::from_millis(2);

/// A request that is not answered yet.
struct Asked {
    client: u32,
    /// What has to stand before the reply.
    envelope: Vec<u8>,
    id: Id,
    /// Its role is told no text that may hold a secret.
    is_low: bool,
}

/// A connection that has its turn, and what is left of its share.
struct Share {
    client: u32,
    requests: usize,
    reads: usize,
    end: Instant,
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
    accounts: Accounts,
    /// Connections to look at in the next turn: they had an event, or there is more to read, or they may be done.
    visits: Vec<u32>,
    /// Those that are still to be looked at in this turn.
    turn: VecDeque<u32>,
    share: Option<Share>,
    /// The connection to a plugin whose process is being made.
    lent: Option<(UnixStream, UnixStream)>,
}

impl Part for Clients {
    /// A connection had an event. When the other side is gone altogether, what it has sent is still read.
    fn ready(&mut self, id: u32, how: Readiness, _: &mut Cx<'_>) {
        let number = id >> 1;
        if id & 1 == 1 {
            return self.listeners.accept_more(number);
        }
        if let Some(client) = self.clients.get_mut(&number) {
            client.readable = true;
            client.broken |= how.write_closed;
            self.visits.push(number);
        }
    }

    fn is_busy(&self) -> bool {
        !self.visits.is_empty() || self.listeners.are_busy()
    }

    fn begin(&mut self, cx: &mut Cx<'_>) {
        let mut turn = sort(std::mem::take(&mut self.visits));
        turn.dedup();
        self.turn = turn.into();
        self.listeners.begin(cx.now);
    }

    /// Looks after the connections one after the other, then after new ones.
    fn work(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.share.is_none() {
            let Some(client) = self.turn.pop_front().or_else(|| self.accept(cx)) else { return false };
            let end = Instant::now() + LONGEST;
            self.share = Some(Share { client, requests: REQUESTS, reads: READS, end });
        }
        if !self.go_on(cx)
            && let Some(share) = self.share.take()
        {
            self.finish(share.client, cx);
        }
        true
    }

    /// When connections are accepted again, or heard again, or may be idle.
    fn deadline(&mut self) -> Option<Instant> {
        self.listeners.next_accept().into_iter().chain(self.accounts.deadline()).min()
    }

    fn due(&mut self, cx: &mut Cx<'_>) {
        self.do_what_is_due(cx);
    }

    /// A plugin that is a program speaks with circus by its standard input and output.
    fn lend(&mut self, job: &mut Job, _: &mut Cx<'_>) -> Result<(), Trouble> {
        if job.config.plugin == Some(PluginKind::Program) {
            let (ours, theirs) = UnixStream::pair().map_err(Trouble::no_pipe)?;
            ours.set_nonblocking(true).map_err(Trouble::no_pipe)?;
            let child = &mut job.template.child;
            child.stdin = Stdio::Fd(theirs.as_raw_fd());
            child.stdout = child.stdin;
            self.lent = Some((ours, theirs));
        }
        Ok(())
    }

    fn spawned(&mut self, job: &Job, pid: Option<Pid>, cx: &mut Cx<'_>) {
        if let Some(((ours, _), pid)) = self.lent.take().zip(pid) {
            let uid = job.template.child.uid.unwrap_or_else(user::current_uid);
            self.take_in_plugin(ours, pid, uid, cx);
        }
    }

    /// The process of a plugin has ended: what it has sent is still read, and whoever else has its connection open is
    /// served no more.
    fn ended(&mut self, pid: Pid, _: Exit, _: &mut Cx<'_>) {
        for (id, client) in self.clients.iter_mut().filter(|(_, it)| it.caller.plugin == Some(pid)) {
            (client.readable, client.broken) = (true, true);
            self.visits.push(*id);
        }
    }

    fn forgotten(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        self.end_following(watcher, cx);
    }

    fn published(&mut self, watcher: &str, what: &Published, cx: &mut Cx<'_>) {
        self.tell_subscribers(watcher, what, &cx.setup.access);
    }

    fn restore(&mut self, cx: &mut Cx<'_>) {
        self.restore_listeners(cx);
    }

    fn shrink(&mut self) {
        self.shed(FEW_HELD);
    }

    fn take(&mut self, effect: Effect, cx: &mut Cx<'_>) -> Option<Effect> {
        match effect {
            Effect::Answer(ticket, answer) => self.answer(ticket, answer),
            Effect::Action(Action::Reply { ticket, ref reply }) => {
                self.reply(ticket, reply);
                return Some(effect); // it may be a plugin's
            }
            Effect::Heard(heard) => self.tell_followers(&heard, cx),
            other => return Some(other),
        }
        None
    }
}

impl Clients {
    /// Serves open sockets.
    pub fn serve_on(opened: Vec<Opened>) -> Clients {
        Clients { listeners: Listeners::new(opened), ..Clients::default() }
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// Sends the answer to a request.
    pub fn answer(&mut self, ticket: Ticket, answer: Result<Map, Refusal>) {
        self.send(ticket, |asked| protocol::encode_outcome(&asked.id, answer, clock::realtime()));
    }

    /// Sends the reply to an order.
    pub fn reply(&mut self, ticket: Ticket, reply: &Reply) {
        self.send(ticket, |asked| {
            let reply = if asked.is_low { &secrets::without_reason_of(reply) } else { reply };
            protocol::encode_reply(&asked.id, reply, clock::realtime())
        });
    }

    fn send(&mut self, ticket: Ticket, line: impl FnOnce(&Asked) -> Vec<u8>) {
        let Some(asked) = self.asked.remove(&ticket) else { return };
        let Some(client) = self.clients.get_mut(&asked.client) else { return };
        client.waits -= 1;
        client.reply(line(&asked), &asked.envelope);
        if self.share.as_ref().is_some_and(|share| share.client == asked.client) {
            return; // the rest is done when its turn is over
        }
        client.weigh(&mut self.held);
        if client.ended || client.broken {
            self.visits.push(asked.client);
        }
        self.shed(MOST_HELD);
    }

    /// Tells those that wait for it that circus has ended.
    pub fn tell_of_the_end(&mut self, waiters: Vec<Ticket>) {
        waiters.into_iter().for_each(|ticket| self.reply(ticket, &Reply::Ok));
        self.flush_all();
    }

    /// Writes what can be written: the end is near.
    pub fn flush_all(&mut self) {
        self.clients.values_mut().for_each(Client::flush);
    }

    /// Offers something to each connection, with whether there is room for it. True: it has taken that.
    fn tell(&mut self, tell: &mut dyn FnMut(&mut Client, bool) -> bool) {
        for (id, client) in self.clients.iter_mut() {
            if tell(client, self.held < MOST_HELD) {
                client.weigh(&mut self.held);
                self.visits.extend(client.broken.then_some(*id));
            }
        }
    }

    /// The turn of a connection is over: writes what it can take, and closes it if it is done.
    fn finish(&mut self, id: u32, cx: &mut Cx<'_>) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.flush();
        if client.queued() == 0 {
            client.say_missed();
            client.flush();
        }
        client.weigh(&mut self.held);
        if self.shed(MOST_HELD) {
            let text = format_args!("control: clients take too much memory; connections are closed");
            cx.log.once(Level::Warning, "held", text);
        }
        let Some(client) = self.clients.get(&id) else { return };
        if client.is_done() || client.broken && !client.can_be_read() && !client.slowed {
            self.close(id, cx);
        } else if client.can_be_read() {
            self.visits.push(id);
        }
    }

    fn close(&mut self, id: u32, cx: &mut Cx<'_>) {
        let Some(client) = self.clients.remove(&id) else { return };
        self.held = self.held.saturating_sub(client.counted());
        self.accounts.pay(&client.caller, (0, client.answered), cx.setup.access.limits, cx.now);
        cx.poll.unwatch(client.stream.as_raw_fd());
        if client.follows.is_some() {
            self.note_followed(cx);
        }
        if client.waits > 0 {
            let all = self.asked.iter().filter(|(_, asked)| asked.client == id);
            let tickets: Vec<Ticket> = all.map(|(ticket, _)| *ticket).collect();
            tickets.iter().for_each(|ticket| drop(self.asked.remove(ticket)));
            cx.effect(Effect::Withdrawn(tickets));
        }
        self.clients.tidy();
        self.asked.tidy();
    }

    /// Looks at one thing that the client in hand has sent, or reads from it; false when that is all in this turn.
    fn go_on(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(share) = &mut self.share else { return false };
        let Some(client) = self.clients.get_mut(&share.client) else { return false };
        let id = share.client;
        client.slowed = self.accounts.is_in_debt(&client.caller, cx.now);
        if client.slowed
            || client.ended
            || client.queued() >= UNREAD
            || share.requests == 0
            || cx.now >= share.end
        {
            return false;
        }
        let Some(input) = client.wire.next() else {
            let may_read = client.readable && share.reads > 0;
            share.reads = share.reads.saturating_sub(1);
            return may_read && self.read(id, cx);
        };
        share.requests -= 1;
        let limits = cx.setup.access.limits;
        let bytes = if let Input::Request { json, .. } = &input { json.len() } else { 0 };
        let bytes = bytes + std::mem::take(&mut client.answered);
        self.accounts.pay(&client.caller, (1, bytes), limits, cx.now);
        client.used = Some(cx.now);
        match input {
            Input::Request { json: [], .. } => {}
            Input::Request { json, envelope } if !is_affordable(json.len()) => {
                self.take_request(id, envelope, protocol::unread(Refusal::no_memory()), cx);
            }
            Input::Request { json, envelope } => {
                let incoming = protocol::decode(json);
                if let Ok(Request::Order(order)) = &incoming.request {
                    cx.log.debug(format_args!("control: {}", Sketch(&order.what, json)));
                }
                self.take_request(id, envelope, incoming, cx);
            }
            Input::TooLong { envelope } => self.take_request(id, envelope, protocol::too_long(), cx),
            Input::Send(bytes) => client.send(&bytes),
            Input::Subscribe(_) if cx.setup.access.role(&client.caller).is_none() => {
                refuse_peer(client, "it has no role, and cannot show a token", &[], cx);
            }
            Input::Subscribe(topic) => {
                if !client.subscribe(topic) {
                    refuse_peer(client, "it subscribes to too many topics", &[], cx);
                }
            }
            Input::Cancel(topic) => client.cancel(&topic),
            Input::Refused { why, last_words } => refuse_peer(client, why, &last_words, cx),
        }
        true
    }

    /// Reads once; false when there is nothing.
    fn read(&mut self, id: u32, cx: &mut Cx<'_>) -> bool {
        let Some(client) = self.clients.get_mut(&id) else { return false };
        match read_piece(&mut client.stream, &mut [0; 16 * 1024]) {
            Ok(Some([])) => self.end_of_requests(id, cx),
            Ok(Some(bytes)) => client.wire.push(bytes),
            Ok(None) => client.readable = false,
            Err(_) => (client.readable, client.broken) = (false, true),
        }
        true
    }

    /// The client has ended its side. What it sent without a newline is no request; it is told so.
    fn end_of_requests(&mut self, id: u32, cx: &mut Cx<'_>) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.ended = true;
        // A ZeroMQ peer does not end one side alone, and by TCP nothing else says that it has gone.
        client.broken |= client.wire.is_zmtp();
        if client.wire.is_cut_off() {
            self.take_request(id, Vec::new(), protocol::cut_off(), cx);
        }
    }
}

/// Hangs up on a ZeroMQ peer that cannot be served. It comes again and again, as ZeroMQ does: one line is enough.
fn refuse_peer(client: &mut Client, why: &str, last: &[u8], cx: &mut Cx<'_>) {
    let text = format_args!("control: a ZeroMQ peer is not served: {why}");
    cx.log.once(Level::Warning, why, text);
    client.send(last);
    client.topics = None;
    client.ended = true;
}
