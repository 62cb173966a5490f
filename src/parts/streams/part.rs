//! What the loop has to do with streams: pipes that have something are read in turn, places that had no room are
//! written when they have some, and what was heard is handed on.

use super::{PipeId, Progress, Streams, TargetId};
use crate::arbiter::process::Exit;
use crate::arbiter::readiness::Notice;
use crate::arbiter::{Event, Pid, WatcherId};
use crate::host::trouble::Trouble;
use crate::reactor::part::{Cx, Effect, Job, Part, Readiness};
use std::time::Instant;

/// How many bytes of one pipe are passed on in a turn.
const PIPE_BUDGET: usize = 256 * 1024;

impl Part for Streams {
    /// The number is that of a pipe, or of a target with the lowest bit set.
    fn ready(&mut self, id: u32, how: Readiness, cx: &mut Cx<'_>) {
        let number = id >> 1;
        if id & 1 == 1 {
            if let Some(fd) = self.writable(TargetId(number), cx.now, cx.log) {
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
            let _ = cx.poll.watch_room(fd, id.0 << 1 | 1);
        }
    }

    fn lend(&mut self, job: &mut Job, cx: &mut Cx<'_>) -> Result<(), Trouble> {
        self.lend_outputs(job, cx)
    }

    fn spawned(&mut self, job: &Job, pid: Option<Pid>, cx: &mut Cx<'_>) {
        self.take_outputs(job, pid, cx);
    }

    fn ended(&mut self, pid: Pid, _: Exit, cx: &mut Cx<'_>) {
        self.drain_process(pid, cx);
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

    /// Reads a pipe within its budget.
    fn read_ready(&mut self, id: PipeId, cx: &mut Cx<'_>) {
        let Some(pipe) = self.pipes.get_mut(id.0) else { return };
        pipe.queued = false;
        let waits = self.log_matches.hold_back(pipe.writer.pid);
        if waits || self.read(id, PIPE_BUDGET, cx.now, cx.log) == Progress::More {
            self.queue(id);
        }
    }

    /// Tells who follows the output what was heard, and the arbiter who has written the line that says that it is
    /// ready; false when there was nothing to tell.
    pub(super) fn pass_on(&mut self, cx: &mut Cx<'_>) -> bool {
        let (heard, found) = (self.rings.take_heard(), self.log_matches.take_found());
        let any = !heard.is_empty() || !found.is_empty();
        heard.into_iter().for_each(|heard| cx.effect(Effect::Heard(heard)));
        for pid in found {
            cx.event(Event::Noticed { pid, notice: Notice::Ready });
        }
        any
    }
}
