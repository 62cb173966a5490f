//! What the loop has to do with streams: pipes that have something are read in turn, places that had no room are
//! written when they have some, and what was heard is handed on.

use super::log_match::wanted_line;
use super::outputs::{NewOutputs, ring_limit, try_streams};
use super::{Owner, PipeId, Streams};
use crate::arbiter::process::Exit;
use crate::arbiter::readiness::Notice;
use crate::arbiter::{Event, Pid, WatcherId};
use crate::config::{CHANNELS, Channel};
use crate::control::Refusal;
use crate::host::trouble::Trouble;
use crate::reactor::part::{Cx, Effect, Job, Part, Readiness, Writer};
use crate::sys::child::Stdio;
use crate::sys::{io_words, process};
use std::os::fd::AsRawFd;
use std::time::Instant;

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
        !self.ready.is_empty() || self.is_count_due()
    }

    fn begin(&mut self, _: &mut Cx<'_>) {
        self.left_to_read = self.ready.len();
    }

    /// Reads every pipe that has something, once. It pauses where somebody is to be told, so that little of what is
    /// followed waits in memory.
    fn work(&mut self, cx: &mut Cx<'_>) -> bool {
        while let Some(left) = self.left_to_read.checked_sub(1)
            && let Some(id) = self.ready.pop_front()
        {
            self.left_to_read = left;
            self.read_ready(id, cx);
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
        self.log_matches.begin_turn();
        self.compress_next(cx);
        self.keep_to_quota(cx);
        for (id, fd) in self.stalled.drain(..) {
            // A descriptor that cannot be waited for is tried again at a deadline.
            let _ = cx.poll.watch_room(fd, id << 1 | 1);
        }
    }

    fn lend(&mut self, job: &mut Job, cx: &mut Cx<'_>) -> Result<(), Trouble> {
        self.new_outputs = NewOutputs::default();
        self.quota.set_cap(cx.setup.options.log_max_bytes);
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
            self.new_outputs.pipes.push((reader, writer, owner));
        }
        self.new_outputs.line = wanted_line(&job.config, job.wid)?;
        Ok(())
    }

    /// Reads what a new process writes from now on; without a pid there is none.
    fn spawned(&mut self, job: &Job, pid: Option<Pid>, cx: &mut Cx<'_>) {
        let NewOutputs { pipes, line } = std::mem::take(&mut self.new_outputs);
        let (watcher, wid) = (job.watcher, job.wid);
        let Some(pid) = pid else { return };
        self.quota.note_spawn();
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
        line.into_iter().for_each(|line| self.log_matches.add(pid, line));
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
        self.log_matches.remove(pid);
    }

    fn changed(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        self.move_outputs(watcher, cx);
    }

    fn stopped(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        self.close_outputs(watcher, cx);
    }

    fn forgotten(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        self.close_outputs(watcher, cx);
        self.rings.remove(watcher);
    }

    fn take(&mut self, effect: Effect, cx: &mut Cx<'_>) -> Option<Effect> {
        match effect {
            Effect::Compressed(ended) => self.compressed(ended, cx),
            Effect::Follow(watchers) => self.rings.follow(watchers),
            Effect::Logs { ticket, name, rotate } => {
                return Some(Effect::Answer(ticket, self.logs(name.as_deref(), rotate, cx)));
            }
            Effect::Order { ticket, ref order, .. } => {
                let Err(reason) = try_streams(&order.what, cx.arbiter) else { return Some(effect) };
                return Some(Effect::Answer(ticket, Err(Refusal::message(reason))));
            }
            other => return Some(other),
        }
        None
    }

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
            && !std::mem::replace(&mut pipe.queued, true)
        {
            self.ready.push_back(id);
        }
    }

    /// Reads a pipe once.
    fn read_ready(&mut self, id: PipeId, cx: &mut Cx<'_>) {
        let Some(pipe) = self.pipes.get_mut(id.0) else { return };
        pipe.queued = false;
        let waits = self.log_matches.hold_back(pipe.writer.pid);
        if waits || self.read(id, cx.now, cx.log) {
            self.queue(id);
        }
    }

    /// Tells who follows the output what was heard, and the arbiter who has written the line that says that it is
    /// ready; false when there was nothing to tell.
    fn pass_on(&mut self, cx: &mut Cx<'_>) -> bool {
        let (heard, found) = (self.rings.take_heard(), self.log_matches.take_found());
        let any = !heard.is_empty() || !found.is_empty();
        heard.into_iter().for_each(|heard| cx.effect(Effect::Heard(heard)));
        for pid in found {
            cx.event(Event::Noticed { pid, notice: Notice::Ready });
        }
        any
    }
}
