//! Looks at the sockets of watchers with `on_demand`, without taking anything from them, and closes those of
//! `so_reuseport` that no process needs any more.
//!
//! The kernel tells of a descriptor at once if there is something, so a connection that came while nobody looked is
//! not missed. After one event nobody looks any more until the arbiter wants it again.

use super::{Sockets, User};
use crate::arbiter::{Action, Event, WatcherId};
use crate::host::spawn_template::awaited;
use crate::host::trouble::Trouble;
use crate::reactor::part::{Cx, Effect, Job, Part, Readiness};
use crate::sys::io_words;
use std::os::fd::{AsRawFd, RawFd};

impl Sockets {
    /// Looks at the sockets of a watcher; the answer is the event that the arbiter waits for.
    fn watch(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        let result = self.try_watch(watcher, cx);
        if result.is_err() {
            self.unwatch(watcher, cx);
        }
        cx.event(Event::SocketsWatched { watcher, result });
    }

    fn try_watch(&mut self, id: WatcherId, cx: &Cx<'_>) -> Result<(), String> {
        let watcher = cx.arbiter.watcher(id).ok_or("the watcher is gone")?;
        for name in awaited(&watcher.config, &cx.setup.sockets)? {
            let fds: Vec<RawFd> = self.fds(&name).collect();
            for fd in fds {
                if !self.is_awaited(fd) {
                    let why = |error| format!("[socket:{name}]: {}", io_words(&error));
                    cx.poll.watch(fd, fd.unsigned_abs()).map_err(why)?;
                }
                self.waiting.get_or_insert_with(id, Vec::new).push(fd);
            }
        }
        Ok(())
    }

    /// If a watcher waits, it may have to wait for other sockets now.
    fn watch_again(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        if self.waiting.contains_key(&watcher) {
            self.unwatch(watcher, cx);
            self.watch(watcher, cx);
        }
    }

    /// The same for all, since the sockets have changed.
    #[cfg(feature = "reloadconfig")]
    pub fn watch_all_again(&mut self, cx: &mut Cx<'_>) {
        let waiting: Vec<WatcherId> = self.waiting.keys().copied().collect();
        waiting.into_iter().for_each(|id| self.watch_again(id, cx));
    }

    fn is_awaited(&self, fd: RawFd) -> bool {
        self.waiting.values().any(|fds| fds.contains(&fd))
    }

    /// Does not look at the sockets of a watcher any more.
    fn unwatch(&mut self, id: WatcherId, cx: &Cx<'_>) {
        for fd in self.waiting.remove(&id).unwrap_or_default() {
            if !self.is_awaited(fd) {
                cx.poll.unwatch(fd);
            }
        }
    }

    /// Closes the sockets that no process has and none is to come for.
    fn settle(&mut self, cx: &Cx<'_>) {
        for id in std::mem::take(&mut self.unsettled) {
            let places = cx.arbiter.watcher(id).map_or(0, |watcher| watcher.places());
            for fd in self.prune(id, places) {
                cx.poll.unwatch(fd.as_raw_fd());
            }
        }
    }
}

impl Part for Sockets {
    fn ready(&mut self, number: u32, _: Readiness, cx: &mut Cx<'_>) {
        let wait_for_it =
            self.waiting.iter().filter(|(_, fds)| fds.iter().any(|fd| fd.unsigned_abs() == number));
        let watchers: Vec<WatcherId> = wait_for_it.map(|(id, _)| *id).collect();
        for watcher in watchers {
            self.unwatch(watcher, cx);
            cx.event(Event::SocketReady { watcher });
        }
    }

    fn take(&mut self, effect: Effect, cx: &mut Cx<'_>) -> Option<Effect> {
        match effect {
            Effect::Action(Action::WatchSockets(id)) => self.watch(id, cx),
            Effect::Action(Action::UnwatchSockets(id)) => self.unwatch(id, cx),
            other => return Some(other),
        }
        None
    }

    fn is_busy(&self) -> bool {
        !self.unsettled.is_empty()
    }

    fn end_turn(&mut self, cx: &mut Cx<'_>) {
        self.settle(cx);
    }

    fn lend(&mut self, job: &mut Job, _: &mut Cx<'_>) -> Result<(), Trouble> {
        let most = job.config.wanted();
        let user = User { watcher: job.watcher, wid: job.wid, replaces: job.replaces, most };
        Ok(job.template.place_shared(&mut |name| self.take(name, user))?)
    }

    fn vacated(&mut self, watcher: WatcherId, wid: u32, _: &mut Cx<'_>) {
        for socket in self.bound.iter_mut().filter(|socket| socket.is_shared()) {
            socket.shares.leave(watcher, wid);
        }
        self.unsettled.push(watcher);
    }

    fn changed(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        self.unsettled.push(watcher);
        self.watch_again(watcher, cx);
    }

    fn stopped(&mut self, watcher: WatcherId, _: &mut Cx<'_>) {
        self.unsettled.push(watcher);
    }

    /// Whatever becomes of its processes.
    fn forgotten(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        self.unwatch(watcher, cx);
        self.bound.iter_mut().for_each(|socket| socket.shares.forget(watcher));
        self.unsettled.push(watcher);
    }
}
