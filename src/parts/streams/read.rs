//! Reading pipes: bytes go from a pipe through one shared buffer to its target, in whole lines where several pipes
//! lead to the same one.

use super::{CHUNK, LINE_MAX, Log, Owner, PipeId, Streams};
use crate::reactor::io::read_piece;
use crate::reactor::part::Writer;
use crate::sys::io_words;
use crate::sys::process::enlarge_pipe;
use crate::sys::socket::pending_bytes;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// A pipe from which so many bytes are read at once is written to faster than it is read.
const BUSY: usize = 32 * 1024;
/// How many pipes may be made larger at the same time: their room is memory of the kernel.
const MOST_LARGE: u32 = 64;
/// How many bytes such a pipe gets room for, so that its writer need not wait for each turn of the event loop.
const LARGE: i32 = CHUNK as i32;

/// How long a line without an end is kept back: who asks a question, or counts, waits for no newline.
const PATIENCE: Duration = Duration::from_secs(1);

/// The reading end of one output of a process.
pub(super) struct Pipe {
    pub(super) file: File,
    pub(super) writer: Writer,
    /// Whose sink it feeds.
    pub(super) owner: Owner,
    /// The line that has no end yet, when other processes write to the same place.
    pub(super) tail: Vec<u8>,
    pub(super) state: State,
}

/// How a pipe is.
#[derive(Default)]
pub(super) struct State {
    /// It is among [`Streams::unfinished`].
    pub(super) awaited: bool,
    /// The line without an end is the same as when it came there.
    old: bool,
    /// Nobody has the other end any more.
    hung_up: bool,
    /// It was found busy, and was made larger.
    pub(super) large: bool,
    /// It is among [`Streams::ready`].
    pub(super) queued: bool,
}

/// What becomes of a line that has no end yet.
#[derive(PartialEq)]
enum Rest {
    /// It is kept where others write to the same place.
    Keep,
    /// It is written as it is, and may go on.
    Write,
    /// It is written, and that was all of it.
    End,
}

impl Streams {
    /// The last process that had the other end of a pipe open has closed it: an event tells that once.
    pub fn hung_up(&mut self, id: PipeId) {
        if let Some(pipe) = self.pipes.get_mut(id.0) {
            pipe.state.hung_up = true;
        }
    }

    /// Passes on what can be read at once, and the end of the pipe with it: a read that gives less than it could have
    /// emptied the pipe, and whatever is written into it from then on is an event; only the end has to be looked for.
    /// True: there is more, when the others have had their turn.
    pub fn read(&mut self, id: PipeId, now: Instant, log: &mut Log) -> bool {
        let chunk = self.chunk(id);
        let mut left = chunk;
        while let Some(n) = self.read_chunk(id, chunk, now, log) {
            if n == 0 {
                self.detach(id, now, log);
                return false;
            }
            if n >= left || !self.is_hung_up(id) {
                return n >= left;
            }
            left -= n;
        }
        false
    }

    /// Passes on exactly what a process that has died left in its pipe, an unfinished line too. The pipe stays
    /// for children of the process that still hold it.
    pub fn drain_dead(&mut self, id: PipeId, now: Instant, log: &mut Log) {
        let Some(pipe) = self.pipes.get(id.0) else { return };
        let mut left = pending_bytes(pipe.file.as_raw_fd()).unwrap_or(0);
        let chunk = self.chunk(id);
        while left > 0
            && let Some(n @ 1..) = self.read_chunk(id, left.min(chunk), now, log)
        {
            left = left.saturating_sub(n);
        }
        self.write_tail(id, now, log);
    }

    fn is_hung_up(&self, id: PipeId) -> bool {
        self.pipes.get(id.0).is_some_and(|pipe| pipe.state.hung_up)
    }

    /// How many bytes are read at once from a pipe.
    fn chunk(&self, id: PipeId) -> usize {
        let Some(pipe) = self.pipes.get(id.0) else { return CHUNK };
        let target = self.sinks.get(&pipe.owner).and_then(|sink| self.targets.get(sink.target));
        self.log_matches.chunk(pipe.writer.pid, target.map_or(CHUNK, |target| target.chunk as usize))
    }

    /// Reads once, and passes it on: how many bytes there were, 0 at the end of the pipe. `None`: there is nothing now.
    fn read_chunk(&mut self, id: PipeId, most: usize, now: Instant, log: &mut Log) -> Option<usize> {
        let Some(pipe) = self.pipes.get_mut(id.0) else { return Some(0) };
        let room = self.buffer.get_mut(LINE_MAX..LINE_MAX + most).unwrap_or_default();
        let bytes = match read_piece(&mut pipe.file, room) {
            Ok(bytes) => bytes?,
            Err(error) => {
                // A pipe that is broken has come to its end.
                let pid = pipe.writer.pid;
                log.error(format_args!("the output of {pid} cannot be read any more: {}", io_words(&error)));
                &[]
            }
        };
        let n = bytes.len();
        if n > 0 {
            self.rings.note(&pipe.writer, bytes);
            self.log_matches.note(&pipe.writer, bytes);
            if n >= BUSY && !pipe.state.large && self.large < MOST_LARGE {
                // It counts where the kernel refuses too, so that it is asked once.
                let _ = enlarge_pipe(pipe.file.as_raw_fd(), LARGE);
                pipe.state.large = true;
                self.large += 1;
            }
            self.deliver(id, n, Rest::Keep, now, log);
        }
        Some(n)
    }

    /// Passes on `n` bytes that were read behind [`LINE_MAX`] in the buffer, with what the pipe has kept before them.
    fn deliver(&mut self, id: PipeId, n: usize, rest: Rest, now: Instant, log: &mut Log) {
        let Some(pipe) = self.pipes.get_mut(id.0) else { return };
        let Some(sink) = self.sinks.get_mut(&pipe.owner) else { return };
        let Some(target) = self.targets.get_mut(sink.target) else { return };
        if target.destination.discards() {
            return; // what is kept in memory is all
        }
        let fresh = self.buffer.get(LINE_MAX..LINE_MAX + n).unwrap_or_default();
        let records = sink.records;
        let keeps = rest == Rest::Keep && (target.pipes > 1 || records);
        let whole = if keeps { whole_lines(&pipe.tail, fresh) } else { n };
        pipe.state.old &= whole == 0;
        if whole < n && !records && !pipe.state.awaited {
            (pipe.state.awaited, pipe.state.old) = (true, true);
            self.unfinished.push_back((now + PATIENCE, id));
        }
        if whole == 0 && keeps {
            pipe.tail.extend_from_slice(fresh);
            return;
        }
        let start = LINE_MAX.saturating_sub(pipe.tail.len());
        if let Some(room) = self.buffer.get_mut(start..LINE_MAX) {
            room.copy_from_slice(&pipe.tail);
        }
        // Most pipes are idle, and keep no memory then.
        pipe.tail = self.buffer.get(LINE_MAX + whole..LINE_MAX + n).unwrap_or_default().to_vec();
        let bytes = self.buffer.get(start..LINE_MAX + whole).unwrap_or_default();
        let last = rest == Rest::End;
        target.write(sink.format.as_deref_mut(), &pipe.writer, bytes, last, &mut self.scratch, now);
        let target = sink.target;
        self.settle(target, log);
    }

    /// Writes what was kept back for so long that its end may never come.
    pub(super) fn write_overdue(&mut self, now: Instant, log: &mut Log) {
        while let Some((_, id)) = self.unfinished.front().copied().filter(|(at, _)| *at <= now) {
            self.unfinished.pop_front();
            let Some(pipe) = self.pipes.get_mut(id.0) else { continue };
            // A line that was begun meanwhile has its time, too.
            pipe.state.awaited = !pipe.state.old && !pipe.tail.is_empty();
            pipe.state.old = true;
            match pipe.state.awaited {
                true => self.unfinished.push_back((now + PATIENCE, id)),
                false => self.deliver(id, 0, Rest::Write, now, log),
            }
        }
    }

    /// Writes the unfinished line of a pipe as it is: there is no end to come.
    pub(super) fn write_tail(&mut self, id: PipeId, now: Instant, log: &mut Log) {
        if let Some(pipe) = self.pipes.get(id.0) {
            self.rings.ended(&pipe.writer);
            self.deliver(id, 0, Rest::End, now, log);
        }
    }
}

/// How many of the bytes behind `tail` complete lines; all, when the line that is left would be too long to keep.
fn whole_lines(tail: &[u8], fresh: &[u8]) -> usize {
    let whole = fresh.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let left = fresh.len() - whole + if whole == 0 { tail.len() } else { 0 };
    if left < LINE_MAX { whole } else { fresh.len() }
}
