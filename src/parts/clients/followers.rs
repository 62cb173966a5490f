//! `tail`: the newest output of a watcher for a client, and what comes while it follows.
//!
//! What the processes of a followed watcher write is kept by [`super::super::streams::ring::Rings`] until the turn
//! has read a pipe, and goes into the queues of those who follow. As with events, a client that does not read is
//! told how much it has missed, and nobody waits for it.

use super::Client;
use super::Clients;
use super::Daemon;
use super::places::MOST_HELD;
use crate::arbiter::WatcherId;
use crate::arbiter::request::{Errno, Tail, Wanted};
use crate::config::{Channel, text};
use crate::control::output::{self, Written};
use crate::control::{self, Map, Refusal, answers, protocol, topics};
use crate::parts::streams::ring::Line;
use crate::reactor::part::{Heard, wants};
use serde_json::Value as Json;

/// What a client follows.
pub struct Follows {
    watcher: WatcherId,
    wanted: Wanted,
    /// How many bytes of it the client has missed.
    missed: u64,
}

impl Client {
    /// Whether what was written goes to this client now. If it does not read, or there is no room, it is only counted.
    fn overhears(&mut self, heard: &Heard, room: bool) -> bool {
        let full = self.is_full() || !room;
        let Some(follows) = &mut self.follows else { return false };
        let writer = &heard.writer;
        let wanted = follows.watcher == writer.watcher && wants(follows.wanted, writer.channel, writer.pid);
        if wanted && full {
            follows.missed += heard.bytes.len() as u64;
        }
        wanted && !full
    }
}

impl Follows {
    /// How many bytes it has missed, which is told now.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }
}

impl Daemon {
    /// Answers `tail`; the client follows from then on if it wants to.
    pub(super) fn tail(&mut self, client: u32, tail: &Tail) -> Result<Map, Refusal> {
        let watcher = self.core.arbiter.find(&tail.name).ok_or_else(|| answers::no_watcher(&tail.name))?;
        let config = &watcher.config;
        let captured = |channel: Channel, wanted: bool| wanted && config.stream(channel).is_some();
        if !captured(Channel::Stdout, tail.wanted.stdout) && !captured(Channel::Stderr, tail.wanted.stderr) {
            return Err(not_kept(&config.name, tail.wanted));
        }
        if !tail.follow && config.options.ring_bytes <= 0 {
            let reason = format!("nothing of '{}' is kept: its ring_bytes is 0", config.name);
            return Err(Refusal { errno: Errno::Conflict, reason });
        }
        let (id, ring) = (watcher.id, self.parts.streams.rings.get(watcher.id));
        if let Some(pid) = tail.wanted.pid
            && !watcher.pids().contains(&pid)
            && !ring.is_some_and(|ring| ring.knows(pid))
        {
            return Err(answers::no_process(pid, &tail.name));
        }
        let lines = ring.map(|ring| ring.lines(tail.wanted, tail.lines)).unwrap_or_default();
        let answer = control::one("lines", output::lines(lines.into_iter().map(written)));
        if tail.follow
            && let Some(client) = self.parts.clients.clients.get_mut(&client)
        {
            client.follows = Some(Follows { watcher: id, wanted: tail.wanted, missed: 0 });
            self.note_followed();
        }
        Ok(answer)
    }

    /// The last lines of the error output of a watcher's processes, or of both outputs if it has none.
    pub(crate) fn last_output(&self, watcher: WatcherId, most: usize) -> Json {
        let mut wanted = Wanted { stdout: false, stderr: true, pid: None };
        let ring = self.parts.streams.rings.get(watcher);
        let mut lines = ring.map(|ring| ring.lines(wanted, most)).unwrap_or_default();
        if lines.is_empty() {
            wanted.stdout = true;
            lines = ring.map(|ring| ring.lines(wanted, most)).unwrap_or_default();
        }
        output::lines(lines.into_iter().map(written))
    }

    /// Somebody has begun or ceased to follow.
    pub(super) fn note_followed(&mut self) {
        let follows = self.parts.clients.clients.values().filter_map(|client| client.follows.as_ref());
        self.parts.streams.rings.follow(follows.map(|follows| follows.watcher).collect());
    }

    /// Hands on what was read just now to those who follow it.
    pub(crate) fn tell_followers(&mut self, heard: &Heard) {
        let Some(watcher) = self.core.arbiter.watcher(heard.writer.watcher) else { return };
        let mut line = None;
        let Clients { clients, revisit, held, .. } = &mut self.parts.clients;
        for (id, client) in clients.iter_mut() {
            if client.overhears(heard, *held < MOST_HELD) {
                client.say_missed();
                client.send(line.get_or_insert_with(|| event_of(&watcher.config.name, heard)));
                client.weigh(held);
                if client.broken {
                    revisit.push(*id);
                }
            }
        }
    }

    /// A watcher is gone: there is nothing more to follow.
    pub(crate) fn end_following(&mut self, watcher: WatcherId) {
        let line = protocol::encode_event("circus.tail_ended", &Map::new());
        for (id, client) in self.parts.clients.clients.iter_mut() {
            if client.follows.as_ref().is_some_and(|follows| follows.watcher == watcher) {
                client.say_missed();
                client.send(&line);
                client.follows = None;
                self.parts.clients.revisit.push(*id);
            }
        }
        self.note_followed();
    }
}

/// What those who follow are sent.
fn event_of(watcher: &str, Heard { writer, bytes }: &Heard) -> Vec<u8> {
    let (pid, wid, stream) = (writer.pid, writer.wid, writer.channel.name());
    let written = Written { pid, wid, stream, text: text::from_bytes(bytes), unfinished: false };
    protocol::encode_event(&topics::topic(watcher, "output"), &written.map())
}

fn written(line: Line) -> Written {
    Written {
        pid: line.pid,
        wid: line.wid,
        stream: line.channel.name(),
        text: text::from_bytes(&line.text),
        unfinished: line.unfinished,
    }
}

/// The refusal when circus does not read what is wanted, and what to do about it.
fn not_kept(name: &str, wanted: Wanted) -> Refusal {
    let (option, output) = match (wanted.stdout, wanted.stderr) {
        (true, true) => ("stdout_stream or stderr_stream", "its processes write"),
        (false, _) => ("stderr_stream", "the error output of its processes goes"),
        (true, false) => ("stdout_stream", "the output of its processes goes"),
    };
    let key = if wanted.stdout { "stdout_stream" } else { "stderr_stream" };
    let reason = format!(
        "'{name}' has no {option}: {output} straight to where that of circus goes; set {key}.class = QueueStream \
         to keep the newest of it in memory, or any other stream"
    );
    Refusal { errno: Errno::Conflict, reason }
}
