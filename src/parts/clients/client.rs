//! One connection: what came and is to be read, what waits to be written, and the events that it wants.

use crate::arbiter::Pid;
use crate::arbiter::request::Request;
use crate::control::wire::Wire;
use crate::control::{Map, Refusal, one, topics, wire};
use crate::parts::clients::Follows;
use crate::sys::socket::{self, Address};
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// A client that has so many bytes to read is not read from.
pub const UNREAD: usize = 256 * 1024;
/// A subscriber that has so many bytes to read gets no more events until it has read some.
const MOST_QUEUED: usize = 1024 * 1024;
/// An empty buffer larger than this is given back.
const KEEP: usize = 4096;
/// How many topics a subscriber may name one by one.
const MOST_TOPICS: usize = 1024;

/// One connection.
pub struct Client {
    pub stream: UnixStream,
    /// The user at the other end; the largest number when nobody knows.
    pub peer: u32,
    /// The process that has connected, if it is known.
    pub pid: Option<Pid>,
    pub wire: Wire,
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
    /// Prefixes of the topics that it listens to.
    pub topics: Option<Vec<String>>,
    /// How many events it has missed.
    missed: u64,
    /// The watcher whose output it wants.
    pub follows: Option<Follows>,
    /// When it came; `None` for plugins.
    pub since: Option<Instant>,
    /// How many answers it waits for.
    pub waits: usize,
    /// It has asked for something that circus knows.
    pub has_asked: bool,
    /// It has come by a port.
    pub by_port: bool,
    /// It may listen, and no more.
    pub events_only: bool,
    /// The process of circus that is at the other end, if it is a plugin.
    pub plugin: Option<Pid>,
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
    pub fn new(stream: UnixStream, peer: u32, wire: Wire) -> Client {
        Client {
            stream,
            peer,
            pid: None,
            wire,
            out: Vec::new(),
            written: 0,
            topics: None,
            missed: 0,
            follows: None,
            since: None,
            waits: 0,
            has_asked: false,
            by_port: false,
            events_only: false,
            plugin: None,
            readable: true,
            ended: false,
            broken: false,
            counted: 0,
        }
    }

    /// How much memory it takes.
    pub fn held(&self) -> usize {
        self.wire.held() + self.out.capacity()
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
        (self.out, self.written, self.wire) = (Vec::new(), 0, Wire::default());
        (self.ended, self.broken) = (true, true);
    }

    /// Where it is, if it has come by TCP.
    pub fn address(&self) -> Option<String> {
        match socket::peer_addr(self.stream.as_raw_fd()) {
            Ok(address @ Address::Inet(_)) => Some(format!("tcp://{address}")),
            Ok(Address::Unix(_) | Address::Abstract(_)) | Err(_) => None,
        }
    }

    /// How many bytes wait for it.
    pub fn queued(&self) -> usize {
        self.out.len() - self.written
    }

    /// Whether it may ask for this.
    pub fn may_ask(&self, request: Request) -> Result<Request, Refusal> {
        let listens = matches!(request, Request::Listen(_));
        let follows = matches!(&request, Request::Tail(tail) if tail.follow);
        let reason = match (self.events_only, listens, self.wire.is_zmtp()) {
            (_, true, true) => "invalid message. use a pub/sub socket",
            (_, _, true) if follows => "invalid message. a ZeroMQ peer cannot follow: leave out follow",
            (true, false, _) => "this is pubsub_endpoint: commands other than listen go to endpoint",
            _ => return Ok(request),
        };
        Err(Refusal::message(reason))
    }

    /// Whether it may be read from.
    pub fn can_be_read(&self) -> bool {
        self.readable && !self.ended && self.queued() < UNREAD
    }

    /// Whether nothing is left to be done for it.
    pub fn is_done(&self) -> bool {
        let listens = self.topics.is_some() || self.follows.is_some();
        self.ended && self.queued() == 0 && self.waits == 0 && !listens
    }

    /// Queues bytes and writes what goes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.broken |= self.flush().is_err();
    }

    /// Sends the line that answers a request with this envelope.
    pub fn reply(&mut self, line: Vec<u8>, envelope: &[u8]) {
        let bytes = self.wire.reply(line, envelope);
        self.send(&bytes);
    }

    /// Writes what goes.
    pub fn flush(&mut self) -> std::io::Result<()> {
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
            self.out = if self.out.capacity() > KEEP { Vec::new() } else { std::mem::take(&mut self.out) };
            self.out.clear();
            self.written = 0;
        } else if self.written > UNREAD {
            self.out.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    /// One more topic; false when there are too many.
    pub fn subscribe(&mut self, topic: String) -> bool {
        self.has_asked = true;
        let topics = self.topics.get_or_insert_default();
        topics.push(topic);
        topics.len() <= MOST_TOPICS
    }

    /// One topic less. Who has none left does not listen.
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
        let bytes = self.follows.as_mut().map_or(0, Follows::take_missed);
        for (what, missed) in [("events", std::mem::take(&mut self.missed)), ("bytes", bytes)] {
            if missed > 0 {
                let data: Map = one(what, missed.into());
                self.out.extend_from_slice(&wire::event(self.wire.is_zmtp(), "circus.missed", &data));
            }
        }
    }
}
