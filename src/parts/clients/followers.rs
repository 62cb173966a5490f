//! Those who follow the output of a watcher (`tail`).
//!
//! What the processes of a followed watcher write comes from the loop after each pipe that it has read, and goes into the
//! queues of those who follow. As with events, a client that does not read is told how much it has missed, and nobody
//! waits for it.

use super::{Client, Clients};
use crate::arbiter::WatcherId;
use crate::arbiter::request::{Request, Wanted};
use crate::control::tail::written;
use crate::control::{Map, protocol, topics};
use crate::reactor::part::{Cx, Effect, Heard, wants};

/// What a client follows.
pub struct Follows {
    watcher: WatcherId,
    wanted: Wanted,
    /// How many bytes of it the client has missed.
    pub missed: u64,
}

impl Follows {
    /// Whether a request is to follow.
    pub fn is_meant(request: &Request) -> bool {
        matches!(request, Request::Tail(tail) if tail.follow)
    }
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

impl Clients {
    /// A client follows a watcher from now on.
    pub fn follow(&mut self, client: u32, watcher: WatcherId, wanted: Wanted, cx: &mut Cx<'_>) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.follows = Some(Follows { watcher, wanted, missed: 0 });
            self.note_followed(cx);
        }
    }

    /// Somebody has begun or ceased to follow.
    pub(super) fn note_followed(&self, cx: &mut Cx<'_>) {
        let follows = self.clients.values().filter_map(|client| client.follows.as_ref());
        cx.effect(Effect::Follow(follows.map(|follows| follows.watcher).collect()));
    }

    /// Hands on what was read just now to those who follow it.
    pub(super) fn tell_followers(&mut self, heard: &Heard, cx: &Cx<'_>) {
        let Some(watcher) = cx.arbiter.watcher(heard.writer.watcher) else { return };
        let mut line = None;
        self.tell(&mut |client, room| {
            let hears = client.overhears(heard, room);
            if hears {
                client.say_missed();
                client.send(line.get_or_insert_with(|| event_of(&watcher.config.name, heard)));
            }
            hears
        });
    }

    /// A watcher is gone: there is nothing more to follow.
    pub(super) fn end_following(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        let line = protocol::encode_event("circus.tail_ended", &Map::new());
        for (id, client) in self.clients.iter_mut() {
            if client.follows.as_ref().is_some_and(|follows| follows.watcher == watcher) {
                client.say_missed();
                client.send(&line);
                client.follows = None;
                self.visits.push(*id);
            }
        }
        self.note_followed(cx);
    }
}

/// What those who follow are sent.
fn event_of(watcher: &str, Heard { writer, bytes }: &Heard) -> Vec<u8> {
    let (pid, wid, stream) = (writer.pid, writer.wid, writer.channel.name());
    protocol::encode_event(&topics::topic(watcher, "output"), &written(pid, wid, stream, bytes))
}
