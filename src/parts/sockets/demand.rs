//! Looks at the sockets of watchers with `on_demand`, without taking anything from them, and closes those of
//! `so_reuseport` that no process needs any more.
//!
//! The kernel tells of a descriptor at once if there is something, so a connection that came while nobody looked is
//! not missed. After one event nobody looks any more until the arbiter wants it again.

use crate::arbiter::{Event, WatcherId};
use crate::host::spawn_template::awaited;
use crate::reactor::eventloop::Daemon;
use crate::sys::io_words;
use std::os::fd::{AsRawFd, RawFd};

impl Daemon {
    /// Looks at the sockets of a watcher; the answer is the event that the arbiter waits for.
    pub(crate) fn watch_sockets(&mut self, watcher: WatcherId) {
        let result = self.try_watch(watcher);
        if result.is_err() {
            self.unwatch_sockets(watcher);
        }
        self.events.push_back(Event::SocketsWatched { watcher, result });
    }

    fn try_watch(&mut self, id: WatcherId) -> Result<(), String> {
        let watcher = self.arbiter.watcher(id).ok_or("the watcher is gone")?;
        for name in awaited(&watcher.config, &self.sockets)? {
            for fd in self.sockets.fds(&name) {
                if !self.is_awaited(fd) {
                    let why = |error| format!("[socket:{name}]: {}", io_words(&error));
                    self.watch_socket(fd).map_err(why)?;
                }
                self.waiting.get_or_insert_with(id, Vec::new).push(fd);
            }
        }
        Ok(())
    }

    fn is_awaited(&self, fd: RawFd) -> bool {
        self.waiting.values().any(|fds| fds.contains(&fd))
    }

    /// Does not look at the sockets of a watcher any more.
    pub(crate) fn unwatch_sockets(&mut self, id: WatcherId) {
        for fd in self.waiting.remove(&id).unwrap_or_default() {
            if !self.is_awaited(fd) {
                self.unwatch(fd);
            }
        }
    }

    /// The options of a watcher have changed: if it waits, it may have to wait for other sockets.
    pub(crate) fn look_again(&mut self, id: WatcherId) {
        if self.waiting.contains_key(&id) {
            self.unwatch_sockets(id);
            self.watch_sockets(id);
        }
    }

    /// Something has come to a socket.
    pub(crate) fn socket_ready(&mut self, number: u32) {
        let wait_for_it =
            self.waiting.iter().filter(|(_, fds)| fds.iter().any(|fd| fd.unsigned_abs() == number));
        let watchers: Vec<WatcherId> = wait_for_it.map(|(id, _)| *id).collect();
        for watcher in watchers {
            self.unwatch_sockets(watcher);
            self.dispatch(Event::SocketReady { watcher });
        }
    }

    /// A process of a watcher has ended, or was not spawned after all: its sockets are another's now, or nobody's.
    pub(crate) fn leave_sockets(&mut self, watcher: WatcherId, wid: u32) {
        self.sockets.leave(watcher, wid);
        self.unsettled.push(watcher);
    }

    /// Closes the sockets that no process has and none is to come for.
    pub(crate) fn settle_sockets(&mut self) {
        for id in std::mem::take(&mut self.unsettled) {
            let places = self.arbiter.watcher(id).map_or(0, |watcher| watcher.places());
            for fd in self.sockets.prune(id, places) {
                self.unwatch(fd.as_raw_fd());
            }
        }
    }
}
