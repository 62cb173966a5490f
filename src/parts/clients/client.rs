//! One connection: what came and is to be read, what waits to be written, and the events that it wants.

use crate::arbiter::Pid;
use crate::arbiter::request::Request;
use crate::control::wire::Wire;
use crate::control::{Map, Refusal, one, topics, wire};
use crate::parts::clients::Follows;
use crate::reactor::io::Outbox;
use crate::sys::user;
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A client that has so many bytes to read is not read from.
pub const UNREAD: usize = 256 * 1024;
/// A subscriber that has so many bytes to read gets no more events until it has read some.
const MOST_QUEUED: usize = 1024 * 1024;
/// How many topics a subscriber may name one by one.
const MOST_TOPICS: usize = 1024;

/// Who is at the other end, and how it has come.
#[derive(Default)]
pub struct Caller {
    /// The user; the largest number when nobody knows.
    pub uid: u32,
    /// It is root or the user of circus, who have rights and places that others have not.
    pub trusted: bool,
    /// It has places and time that others have not, see [`super::access::Access::is_privileged`].
    pub privileged: bool,
    /// Its groups, where they decide anything.
    pub gids: Vec<u32>,
    /// The process that has connected, if it is known.
    pub pid: Option<Pid>,
    /// The process of circus that it is, if it is a plugin.
    pub plugin: Option<Pid>,
    /// When it came; `None` for plugins.
    pub since: Option<Instant>,
    /// It has come by a port.
    pub by_port: bool,
    /// It has shown the token.
    pub proven: bool,
    /// It has come by a name that no file guards.
    pub by_abstract_name: bool,
    /// It may listen, and no more.
    pub events_only: bool,
}

impl Caller {
    /// A user, of whom nothing else is known yet.
    pub fn of(uid: u32) -> Caller {
        Caller { uid, trusted: uid == 0 || uid == user::current_uid(), ..Caller::default() }
    }

    /// Whether it has the limits of its user. The user behind a port is not known.
    pub fn is_limited(&self) -> bool {
        !self.privileged && !self.by_port && self.plugin.is_none()
    }

    /// Whether it counts to the share of a newcomer: the processes of the privileged have one each, of
    /// other users all together.
    pub fn is_akin(&self, newcomer: &Caller) -> bool {
        let same = !newcomer.privileged || self.pid == newcomer.pid;
        self.uid == newcomer.uid && self.plugin.is_none() && same
    }
}

/// One connection.
pub struct Client {
    pub stream: UnixStream,
    pub caller: Caller,
    pub wire: Wire,
    out: Outbox,
    /// Prefixes of the topics that it listens to.
    pub topics: Option<Vec<String>>,
    /// How many events it has missed.
    missed: u64,
    /// The watcher whose output it wants.
    pub follows: Option<Follows>,
    /// How many answers it waits for.
    pub waits: usize,
    /// It has asked for something that circus knows.
    pub has_asked: bool,
    /// When something was asked by it last, or when it came.
    pub used: Option<Instant>,
    /// How many bytes of answers are not paid for.
    pub answered: usize,
    /// Its user has asked too much: it is heard again later.
    pub slowed: bool,
    /// There may be more to read.
    pub readable: bool,
    /// It has ended its side, or is to be heard no more: it is closed when everything is written.
    pub ended: bool,
    /// Nobody is there any more.
    pub broken: bool,
    /// How many of the bytes that all clients take were counted for this one.
    counted: usize,
}

impl Client {
    /// A client that has just connected.
    pub fn new(stream: UnixStream, caller: Caller, wire: Wire) -> Client {
        Client {
            stream,
            used: caller.since,
            answered: 0,
            slowed: false,
            caller,
            wire,
            out: Outbox::default(),
            topics: None,
            missed: 0,
            follows: None,
            waits: 0,
            has_asked: false,
            readable: true,
            ended: false,
            broken: false,
            counted: 0,
        }
    }

    /// How much memory it takes.
    pub fn held(&self) -> usize {
        self.wire.held() + self.out.held()
    }

    /// What it had when the sum was corrected last.
    pub fn counted(&self) -> usize {
        self.counted
    }

    /// Corrects the sum of all clients by what has changed with this one.
    pub fn weigh(&mut self, all: &mut usize) {
        self.wire.tidy();
        let held = self.held();
        *all = (*all + held).saturating_sub(self.counted);
        self.counted = held;
    }

    /// Ends it at once, with this as the last line if there is place for one.
    pub fn give_up(&mut self, last: &[u8]) {
        if self.queued() == 0 && !self.wire.is_zmtp() {
            let _ = self.stream.write(last);
        }
        (self.out, self.wire) = (Outbox::default(), Wire::default());
        (self.ended, self.broken) = (true, true);
    }

    /// Where it is, if it has come by TCP.
    pub fn address(&self) -> Option<String> {
        let port = TcpStream::from(self.stream.as_fd().try_clone_to_owned().ok()?);
        port.peer_addr().ok().map(|address| format!("tcp://{address}"))
    }

    /// How many bytes wait for it.
    pub fn queued(&self) -> usize {
        self.out.queued()
    }

    /// Whether it may ask for this.
    pub fn may_ask(&self, request: Request) -> Result<Request, Refusal> {
        let listens = matches!(request, Request::Listen(_) | Request::Token(_));
        let follows = Follows::is_meant(&request);
        let reason = match (self.caller.events_only, listens, self.wire.is_zmtp()) {
            (_, true, true) => "invalid message. use a pub/sub socket",
            (_, _, true) if follows => "invalid message. a ZeroMQ peer cannot follow: leave out follow",
            (true, false, _) => "this is pubsub_endpoint: commands other than listen go to endpoint",
            _ => return Ok(request),
        };
        Err(Refusal::message(reason))
    }

    /// Whether nothing was asked by it since it came, so long ago.
    pub fn is_silent(&self, now: Instant, long: Duration) -> bool {
        let since = self.caller.since.filter(|_| !self.has_asked);
        since.is_some_and(|since| now.saturating_duration_since(since) >= long)
    }

    /// Whether it may be read from.
    pub fn can_be_read(&self) -> bool {
        self.readable && !self.ended && !self.slowed && self.queued() < UNREAD
    }

    /// Whether nothing is left to be done for it.
    pub fn is_done(&self) -> bool {
        let listens = self.topics.is_some() || self.follows.is_some();
        self.ended && self.queued() == 0 && self.waits == 0 && !listens
    }

    /// Queues bytes and writes what goes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.out.push(bytes);
        self.flush();
    }

    /// Sends the line that answers a request with this envelope.
    pub fn reply(&mut self, line: Vec<u8>, envelope: &[u8]) {
        let bytes = self.wire.reply(line, envelope);
        self.answered += bytes.len();
        self.send(&bytes);
    }

    /// Writes what goes.
    pub fn flush(&mut self) {
        self.broken |= self.out.flush(&mut self.stream).is_err();
    }

    /// One more topic; false when there are too many.
    pub fn subscribe(&mut self, topic: String) -> bool {
        self.has_asked = true;
        let topics = self.topics.get_or_insert_default();
        topics.push(topic);
        topics.len() <= MOST_TOPICS
    }

    /// One topic less. Caller has none left does not listen.
    pub fn cancel(&mut self, topic: &str) {
        let Some(topics) = &mut self.topics else { return };
        if let Some(place) = topics.iter().position(|other| other == topic) {
            topics.swap_remove(place);
        }
        self.topics = self.topics.take().filter(|topics| !topics.is_empty());
    }

    /// Whether it wants the events of a topic.
    pub fn wants(&self, topic: &str) -> bool {
        self.topics.as_ref().is_some_and(|prefixes| topics::wanted(prefixes, topic))
    }

    /// An event, as it is to be sent; when the client does not read, or there is no room, it is only counted.
    pub fn tell(&mut self, event: &[u8], room: bool) {
        if self.is_full() || !room {
            self.missed += 1;
            return;
        }
        self.say_missed();
        self.send(event);
    }

    /// Whether so much waits for it that it gets nothing more but replies.
    pub fn is_full(&self) -> bool {
        self.queued() > MOST_QUEUED
    }

    /// Tells a client that reads again what it has missed, if anything.
    pub fn say_missed(&mut self) {
        let bytes = self.follows.as_mut().map_or(0, |follows| std::mem::take(&mut follows.missed));
        for (what, missed) in [("events", std::mem::take(&mut self.missed)), ("bytes", bytes)] {
            if missed > 0 {
                let data: Map = one(what, missed.into());
                self.out.push(&wire::event(self.wire.is_zmtp(), "circus.missed", &data));
            }
        }
    }
}
