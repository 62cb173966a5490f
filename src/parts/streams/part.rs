//! What the loop has to do with streams: pipes that have something are read in turn, places that had no room are
//! written when they have some, and what was heard is handed on.

use super::sink::Target;
use super::{Log, Owner, PipeId, Streams};
use crate::arbiter::process::Exit;
use crate::arbiter::readiness::Notice;
use crate::arbiter::request::Errno;
use crate::arbiter::{Arbiter, Event, Pid, WatcherId};
use crate::config::options::LARGEST_RING;
use crate::config::{CHANNELS, Channel, WatcherConfig, text};
use crate::control::{Map, Refusal, answers, one};
use crate::host::trouble::Trouble;
use crate::reactor::part::{Cx, Effect, Job, Part, Readiness, Writer};
use crate::sys::child::Stdio;
use crate::sys::{io_words, process};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// How long all pipes together are read in one turn, so that clients wait for many busy ones no longer than for one: at
/// most for the rest of a turn and the whole of the next.
const READ_SLICE: Duration = Duration::from_millis(1);

/// The outputs of a process that is about to be made: both ends of each pipe, and whose sink it will feed.
pub(super) type NewOutputs = Vec<(OwnedFd, OwnedFd, Owner)>;

/// How much of the newest output of a watcher is kept in memory.
fn ring_limit(id: WatcherId, arbiter: &Arbiter) -> usize {
    let options = arbiter.watcher(id).map(|watcher| &watcher.config.options);
    options.map_or(0, |options| options.ring_bytes.clamp(0, LARGEST_RING) as usize)
}

impl Part for Streams {
    /// The number is that of a pipe, or of a target with the lowest bit set.
    fn ready(&mut self, id: u32, how: Readiness, cx: &mut Cx<'_>) {
        let number = id >> 1;
        if id & 1 == 1 {
            if let Some(fd) = self.writable(number, cx.now, cx.log) {
                cx.poll.unwatch(fd);
            }
            return;
        }
        if how.read_closed {
            self.hung_up(PipeId(number));
        }
        self.queue(PipeId(number));
    }

    fn is_busy(&self) -> bool {
        // Files are counted as soon as none are being opened.
        !self.ready.is_empty() || self.uncounted && self.cap > 0
    }

    fn begin(&mut self, _: &mut Cx<'_>) {
        self.left_to_read = self.ready.len();
        self.read_until = (self.left_to_read > 0).then(|| Instant::now() + READ_SLICE);
    }

    /// Reads every pipe that has something, once, as far as there is time for it in this turn: the others are first in
    /// the next one. It pauses where somebody is to be told, so that little of what is followed waits in memory.
    fn work(&mut self, cx: &mut Cx<'_>) -> bool {
        while let Some(left) = self.left_to_read.checked_sub(1)
            && let Some(id) = self.ready.pop_front()
        {
            self.read_ready(id, cx);
            let is_over = self.read_until.is_some_and(|end| Instant::now() >= end);
            self.left_to_read = if is_over { 0 } else { left };
            if self.pass_on(cx) {
                return true;
            }
        }
        false
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.next_retry()
    }

    fn due(&mut self, cx: &mut Cx<'_>) {
        self.retry(cx.now, cx.log);
    }

    fn end_turn(&mut self, cx: &mut Cx<'_>) {
        self.log_matches.end_turn();
        #[cfg(feature = "logs")]
        self.compress_next(cx);
        #[cfg(feature = "logs")]
        self.keep_to_quota(cx);
        for (id, fd) in self.stalled.drain(..) {
            // A descriptor that cannot be waited for is tried again at a deadline.
            let _ = cx.poll.watch_room(fd, id << 1 | 1);
        }
    }

    fn lend(&mut self, job: &mut Job, cx: &mut Cx<'_>) -> Result<(), Trouble> {
        self.new_outputs = NewOutputs::default();
        // Known before the first file is opened, which may be closed in the same turn.
        self.cap = u64::try_from(cx.setup.options.log_max_bytes).unwrap_or(0);
        let Some(watcher) = cx.arbiter.watcher(job.watcher) else { return Ok(()) };
        for channel in CHANNELS {
            let Some(owner) = Owner::of(job.watcher, channel, &watcher.config, job.wid) else { continue };
            self.want(owner, &watcher.config, cx.now, cx.log)?;
            let (reader, writer) = process::pipe().map_err(Trouble::no_pipe)?;
            let child = &mut job.template.child;
            let end = match channel {
                Channel::Stdout => &mut child.stdout,
                Channel::Stderr => &mut child.stderr,
            };
            *end = Stdio::Fd(writer.as_raw_fd());
            self.new_outputs.push((reader, writer, owner));
        }
        Ok(self.log_matches.lend(&job.config, job.wid)?)
    }

    /// Reads what a new process writes from now on; without a pid there is none.
    fn spawned(&mut self, job: &Job, pid: Option<Pid>, cx: &mut Cx<'_>) {
        let pipes = std::mem::take(&mut self.new_outputs);
        self.log_matches.spawned(pid);
        let (watcher, wid) = (job.watcher, job.wid);
        let Some(pid) = pid else { return };
        let limit = ring_limit(watcher, cx.arbiter);
        let mut ids = [None, None];
        for (place, (reader, writer, owner)) in ids.iter_mut().zip(pipes) {
            drop(writer);
            let (fd, channel) = (reader.as_raw_fd(), owner.channel);
            let Some(id) = self.attach(reader, owner, Writer { watcher, pid, wid, channel }) else {
                continue;
            };
            self.rings.open(watcher, channel, limit);
            match cx.poll.watch(fd, id.0 << 1) {
                Ok(()) => *place = Some(id),
                Err(error) => {
                    cx.log.error(format_args!("the output of {pid} cannot be read: {}", io_words(&error)));
                    self.detach(id, cx.now, cx.log);
                }
            }
        }
        if ids.iter().any(Option::is_some) {
            self.of_process.insert(pid, ids);
        }
    }

    /// Everything that a process has written is in its pipes when it is dead: it goes out before anybody is told.
    fn ended(&mut self, pid: Pid, _: Exit, cx: &mut Cx<'_>) {
        for id in self.of_process.remove(&pid).into_iter().flatten().flatten() {
            // It may have closed one, whose number is another's now.
            if self.pipes.get(id.0).is_some_and(|pipe| pipe.writer.pid == pid) {
                self.drain_dead(id, cx.now, cx.log);
            }
        }
        self.pass_on(cx);
    }

    fn reaped(&mut self, pid: Pid, _: &mut Cx<'_>) {
        self.log_matches.reaped(pid);
    }

    /// The output of its processes goes where it is wanted now.
    fn changed(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        self.rings.resize(id, ring_limit(id, cx.arbiter));
        let Some(watcher) = cx.arbiter.watcher(id) else { return };
        let config = &watcher.config;
        for owner in self.owners(id) {
            // What is one of all is so for any process.
            if Owner::of(id, owner.channel, config, owner.wid.max(1)) != Some(owner) {
                self.release(&owner, cx.now, cx.log);
            } else if let Err(why) = self.lead(owner, config, cx.now, cx.log) {
                let name = &config.name;
                cx.log.error(format_args!("{name} {why}; the output goes where it went before"));
            }
        }
        if let Err(why) = self.redirect_pipes(id, config, cx) {
            cx.log.error(format_args!("{why}; output goes where it went before"));
        }
    }

    /// Closes its files, as soon as nobody writes to them any more.
    fn stopped(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        for owner in self.owners(watcher) {
            self.release(&owner, cx.now, cx.log);
        }
    }

    fn forgotten(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        self.stopped(watcher, cx);
        self.rings.remove(watcher);
    }

    fn shrink(&mut self) {
        self.rings.clear();
    }

    fn take(&mut self, effect: Effect, cx: &mut Cx<'_>) -> Option<Effect> {
        match effect {
            #[cfg(feature = "logs")]
            Effect::Compressed(ended) => self.compressed(ended, cx),
            Effect::Follow(watchers) => self.rings.follow(watchers),
            Effect::Logs { ticket, name, rotate } => {
                return Some(Effect::Answer(ticket, self.logs(name.as_deref(), rotate, cx)));
            }
            #[cfg(feature = "edit")]
            Effect::Order { ticket, ref order, .. } => {
                let Err(reason) = super::try_streams::try_streams(&order.what, cx.arbiter) else {
                    return Some(effect);
                };
                return Some(Effect::Answer(ticket, Err(Refusal::message(reason))));
            }
            other => return Some(other),
        }
        None
    }

    #[cfg(feature = "logs")]
    fn halt(&mut self, _: &mut Cx<'_>) {
        self.stop_compressing();
    }

    fn restore(&mut self, cx: &mut Cx<'_>) {
        // What goes wrong has been logged.
        let _ = self.logs(None, false, cx);
        cx.log.info(format_args!("log files reopened"));
    }
}

impl Streams {
    /// A pipe has something. One that is written to faster than it is read has an event in every turn and stands in
    /// the queue already.
    fn queue(&mut self, id: PipeId) {
        if let Some(pipe) = self.pipes.get_mut(id.0)
            && !std::mem::replace(&mut pipe.state.queued, true)
        {
            self.ready.push_back(id);
        }
    }

    /// Reads a pipe once.
    fn read_ready(&mut self, id: PipeId, cx: &mut Cx<'_>) {
        let Some(pipe) = self.pipes.get_mut(id.0) else { return };
        pipe.state.queued = false;
        let waits = self.log_matches.hold_back(pipe.writer.pid);
        if waits || self.read(id, cx.now, cx.log) {
            self.queue(id);
        }
    }

    /// Tells who follows the output what was heard, and the arbiter who has written the line that says that it is
    /// ready; false when there was nothing to tell.
    fn pass_on(&mut self, cx: &mut Cx<'_>) -> bool {
        let heard = self.rings.pass_on(cx);
        let found = self.log_matches.take_found();
        let any = heard || !found.is_empty();
        for pid in found {
            cx.event(Event::Noticed { pid, notice: Notice::Ready });
        }
        any
    }

    /// Leads the pipes of running processes to sinks of their own, or to a common one, where that has changed.
    fn redirect_pipes(
        &mut self,
        id: WatcherId,
        config: &WatcherConfig,
        cx: &mut Cx<'_>,
    ) -> Result<(), String> {
        let own = self.pipes.iter().filter(|(_, pipe)| pipe.writer.watcher == id);
        let pipes: Vec<_> = own.map(|(id, pipe)| (PipeId(id), pipe.writer, pipe.owner)).collect();
        for (pipe, Writer { wid, channel, .. }, old) in pipes {
            if let Some(owner) = Owner::of(id, channel, config, wid).filter(|owner| *owner != old) {
                self.want(owner, config, cx.now, cx.log)?;
                self.redirect(pipe, owner, cx.now, cx.log);
            }
        }
        Ok(())
    }

    /// Whether this file is being written, by the log too, whatever it is called by now.
    pub fn writes_to(&self, id: (u64, u64), log: &Log) -> bool {
        log.destination.is_file(id) || self.targets.iter().any(|(_, it)| it.destination.is_file(id))
    }

    /// The command `logs`: rotates the files of a watcher, or all that keep old files, or opens them anew. The answer
    /// names those with which something was done.
    ///
    /// # Errors
    /// There is no such watcher, or not all of it could be done, which is logged too.
    pub fn logs(&mut self, name: Option<&str>, rotate: bool, cx: &mut Cx<'_>) -> Result<Map, Refusal> {
        let sinks = name.map(|name| {
            let watcher = cx.arbiter.find(name).ok_or_else(|| answers::no_watcher(name))?;
            Ok(self.owners(watcher.id))
        });
        let (files, mut failures) =
            self.rotate_or_reopen(sinks.transpose()?.as_deref(), rotate, cx.now, cx.log);
        if !rotate && name.is_none() {
            failures.extend(cx.log.reopen().err());
        }
        match failures.is_empty() {
            true => Ok(one("files", files.into())),
            false => Err(Refusal { errno: Errno::Os, reason: failures.join("; ") }),
        }
    }

    /// Does that for the files of these sinks, or all: with which it was done, and why not with others.
    pub(super) fn rotate_or_reopen(
        &mut self,
        sinks: Option<&[Owner]>,
        rotate: bool,
        now: Instant,
        log: &mut Log,
    ) -> (Vec<String>, Vec<String>) {
        let leads_to = |owner: &Owner, id: u32| self.sinks.get(owner).is_some_and(|sink| sink.target == id);
        let chosen = |id: &u32| sinks.is_none_or(|sinks| sinks.iter().any(|sink| leads_to(sink, *id)));
        let targets: Vec<u32> = self.targets.ids().into_iter().filter(chosen).collect();
        let (mut files, mut failures) = (Vec::new(), Vec::new());
        for id in targets {
            let Some(Target { destination, .. }) = self.targets.get_mut(id) else { continue };
            let Some(file) = destination.file() else { continue };
            if rotate && sinks.is_none() && !file.keeps_old() {
                continue;
            }
            let name = text::from_bytes(file.path.as_os_str().as_bytes());
            match destination.renew(rotate, now) {
                Ok(true) => files.push(name),
                Ok(false) => {}
                Err(why) => failures.push(why),
            }
            self.settle(id, log);
        }
        (files, failures)
    }
}
