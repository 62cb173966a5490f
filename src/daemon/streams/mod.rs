//! The data plane: what processes write goes from their pipes to files and consoles, past the arbiter.
//!
//! A `Pipe` is the reading end of the standard output or error output of one process. It feeds a `Sink`, which
//! is what one `stdout_stream` or `stderr_stream` asks for: a place and a format. Sinks that name the same place
//! share one `Target`, so that a file is open once, rotated once, and its lines stay whole.
//!
//! **Whole lines.** While a target has one pipe, bytes pass straight through. With several, each pipe's unfinished
//! line is kept back, up to [`LINE_MAX`]. At the end of a pipe or of its process the unfinished line is written as
//! it is; a newline goes in only if another process's bytes follow.
//!
//! **The event loop** registers [`Streams::fd`] for reading, calls [`Streams::read`] until it answers `Drained`,
//! with a budget so that one pipe cannot starve the others; calls [`Streams::drain_dead`] before it tells anybody
//! of a death; registers what [`Streams::take_stalled`] names for writing and calls [`Streams::writable`]; and
//! wakes up at [`Streams::next_retry`] to call [`Streams::retry`].

pub mod backlog;
pub mod backups;
pub mod console;
pub mod file;
pub mod format;
pub mod outlet;
pub mod plan;
pub mod ring;
mod sink;
mod table;
mod tend;

use self::outlet::Place;
use self::plan::Plan;
use self::ring::{Rings, Writer};
use self::sink::{Sink, Target};
use self::table::Table;
use super::log::Log;
use crate::config::StreamConfig;
use crate::sys::socket::pending_bytes;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Instant;

/// The longest line that is kept whole, in bytes; a longer one may be cut.
pub const LINE_MAX: usize = 64 * 1024;
/// The most bytes that are read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Stands for a pipe; the event loop's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipeId(pub u32);

/// Stands for what one stream of a watcher asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkId(pub u32);

/// Stands for a place that output is written to; the event loop's token for its being writable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub u32);

/// What reading a pipe led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is nothing more to read until the next event.
    Drained,
    /// The budget is used up: read again when the others have had their turn.
    More,
    /// The pipe has come to its end; it is gone, and its number free.
    Closed,
}

/// The reading end of one output of a process.
struct Pipe {
    file: File,
    writer: Writer,
    sink: SinkId,
    /// The line that has no end yet, when other processes write to the same place.
    tail: Vec<u8>,
}

/// What one read led to.
enum Chunk {
    Bytes(usize),
    Empty,
    End,
}

/// All pipes, and all places that they lead to.
pub struct Streams {
    pipes: Table<Pipe>,
    sinks: Table<Sink>,
    targets: Table<Target>,
    /// The newest output of each watcher.
    pub rings: Rings,
    /// Room for an unfinished line and, from [`LINE_MAX`] on, for what is read behind it.
    buffer: Box<[u8]>,
    /// Room for lines that get something around them.
    scratch: Vec<u8>,
    stalled: Vec<TargetId>,
    /// Targets whose files were rotated.
    rotated: Vec<u32>,
    /// Files were opened or closed.
    reshuffled: bool,
    /// Some place may have to be written to again at a date.
    troubled: bool,
    /// Instead of the standard output of circus, in tests.
    stdout: Option<OwnedFd>,
}

impl Default for Streams {
    fn default() -> Self {
        Self::new()
    }
}

impl Streams {
    /// No pipes and no places yet.
    pub fn new() -> Self {
        Streams {
            pipes: Table::new(),
            sinks: Table::new(),
            targets: Table::new(),
            rings: Rings::default(),
            buffer: vec![0; LINE_MAX + CHUNK].into(),
            scratch: Vec::new(),
            stalled: Vec::new(),
            rotated: Vec::new(),
            reshuffled: false,
            troubled: false,
            stdout: None,
        }
    }

    /// Opens what a stream's configuration asks for, its variables expanded. `who` is named in warnings, such as
    /// "web stdout_stream".
    ///
    /// # Errors
    /// A sentence that says why that cannot be, without `who`.
    pub fn sink_for(
        &mut self,
        who: &str,
        config: &StreamConfig,
        now: Instant,
        log: &mut Log,
    ) -> Result<SinkId, String> {
        let sink = self.open_sink(who, config, now, log)?;
        let target = sink.target;
        let id = SinkId(self.sinks.insert(sink));
        self.count(target, 1, 0);
        Ok(id)
    }

    /// Changes what a sink does, live: its pipes go on into the new place. On an error nothing changes.
    ///
    /// # Errors
    /// As [`Self::sink_for`].
    pub fn reconfigure(
        &mut self,
        id: SinkId,
        who: &str,
        config: &StreamConfig,
        now: Instant,
        log: &mut Log,
    ) -> Result<(), String> {
        let gone = || String::from("the stream is gone");
        self.sinks.get(id.0).ok_or_else(gone)?;
        let mut sink = self.open_sink(who, config, now, log)?;
        let place = self.sinks.get_mut(id.0).ok_or_else(gone)?;
        (sink.pipes, sink.released) = (place.pipes, place.released);
        let (new, pipes) = (sink.target, sink.pipes);
        let old = std::mem::replace(place, sink).target;
        self.count(new, 1, pipes);
        self.count(old, -1, -pipes);
        self.forget_target(old, now, log);
        Ok(())
    }

    /// The last user of a sink has gone. It goes with its last pipe, its file with its last sink.
    pub fn release(&mut self, id: SinkId, now: Instant, log: &mut Log) {
        if let Some(sink) = self.sinks.get_mut(id.0) {
            sink.released = true;
            self.forget_sink(id, now, log);
        }
    }

    /// Takes over the reading end of a pipe, which must be non-blocking; `None`, and the pipe is closed, when
    /// there is no such sink.
    pub fn attach(&mut self, fd: OwnedFd, sink: SinkId, writer: Writer) -> Option<PipeId> {
        let feeds = self.sinks.get_mut(sink.0)?;
        feeds.pipes += 1;
        let target = feeds.target;
        self.count(target, 0, 1);
        Some(PipeId(self.pipes.insert(Pipe { file: fd.into(), writer, sink, tail: Vec::new() })))
    }

    /// The descriptor of a pipe.
    pub fn fd(&self, id: PipeId) -> Option<RawFd> {
        self.pipes.get(id.0).map(|pipe| pipe.file.as_raw_fd())
    }

    /// The process whose output a pipe carries.
    pub fn pid(&self, id: PipeId) -> Option<i32> {
        self.pipes.get(id.0).map(|pipe| pipe.writer.pid)
    }

    /// Passes on what can be read, until there is nothing or about `budget` bytes are used up, fewer where each
    /// makes more work.
    pub fn read(&mut self, id: PipeId, budget: usize, now: Instant, log: &mut Log) -> Progress {
        let chunk = self.chunk(id);
        let mut left = budget / CHUNK * chunk;
        loop {
            match self.read_chunk(id, chunk, now, log) {
                Chunk::Bytes(n) if n >= left => return Progress::More,
                Chunk::Bytes(n) => left -= n,
                Chunk::Empty => return Progress::Drained,
                Chunk::End => {
                    self.detach(id, now, log);
                    return Progress::Closed;
                }
            }
        }
    }

    /// Passes on exactly what a process that has died left in its pipe, an unfinished line too. The pipe stays
    /// for children of the process that still hold it: go on reading until it is `Closed`.
    pub fn drain_dead(&mut self, id: PipeId, now: Instant, log: &mut Log) -> Progress {
        let Some(fd) = self.fd(id) else { return Progress::Closed };
        let mut left = pending_bytes(fd).unwrap_or(0);
        let chunk = self.chunk(id);
        while left > 0 {
            match self.read_chunk(id, left.min(chunk), now, log) {
                Chunk::Bytes(n) => left = left.saturating_sub(n),
                Chunk::Empty | Chunk::End => break,
            }
        }
        self.write_tail(id, now, log);
        Progress::Drained
    }

    /// Closes a pipe; its unfinished line is written.
    pub fn detach(&mut self, id: PipeId, now: Instant, log: &mut Log) {
        self.write_tail(id, now, log);
        let Some(pipe) = self.pipes.remove(id.0) else { return };
        let Some(sink) = self.sinks.get_mut(pipe.sink.0) else { return };
        sink.pipes -= 1;
        let target = sink.target;
        self.count(target, 0, -1);
        self.forget_sink(pipe.sink, now, log);
    }

    /// The places that began to wait for a reader since the last call, to be registered for writing.
    pub fn take_stalled(&mut self) -> Vec<(TargetId, RawFd)> {
        let stalled = std::mem::take(&mut self.stalled);
        let fd = |id: TargetId| Some((id, self.targets.get(id.0)?.outlet.wants_write()?));
        stalled.into_iter().filter_map(fd).collect()
    }

    /// Goes on writing where there is room again, or the reader is gone: at any event of its descriptor. The answer is the descriptor that need not be watched any more.
    pub fn writable(&mut self, id: TargetId, now: Instant, log: &mut Log) -> Option<RawFd> {
        let target = self.targets.get_mut(id.0)?;
        let fd = target.outlet.wants_write()?;
        target.outlet.flush(now);
        let waits = target.outlet.wants_write().is_some();
        target.stalled = waits;
        self.settle(id.0, log);
        (!waits).then_some(fd)
    }

    /// When [`Self::retry`] is to be called.
    pub fn next_retry(&mut self) -> Option<Instant> {
        if !self.troubled {
            return None;
        }
        let next = self.targets.iter().filter_map(|(_, target)| target.outlet.next_retry()).min();
        self.troubled = next.is_some();
        next
    }

    /// Tries again to write what could not be written.
    pub fn retry(&mut self, now: Instant, log: &mut Log) {
        for id in self.targets.ids() {
            if let Some(target) = self.targets.get_mut(id)
                && target.outlet.next_retry().is_some_and(|moment| moment <= now)
            {
                target.outlet.flush(now);
            }
            self.settle(id, log);
        }
    }

    /// The end: closes all pipes, writes what can be written, and says what cannot.
    pub fn finish(&mut self, now: Instant, log: &mut Log) {
        for id in self.pipes.ids() {
            self.detach(PipeId(id), now, log);
        }
        for id in self.targets.ids() {
            self.drop_target(id, now, log);
        }
    }

    /// How many bytes are read at once from a pipe.
    fn chunk(&self, id: PipeId) -> usize {
        let sink = self.pipes.get(id.0).and_then(|pipe| self.sinks.get(pipe.sink.0));
        sink.and_then(|sink| self.targets.get(sink.target)).map_or(CHUNK, |target| target.chunk)
    }

    fn read_chunk(&mut self, id: PipeId, most: usize, now: Instant, log: &mut Log) -> Chunk {
        let Some(pipe) = self.pipes.get_mut(id.0) else { return Chunk::End };
        let room = self.buffer.get_mut(LINE_MAX..LINE_MAX + most).unwrap_or_default();
        match pipe.file.read(room) {
            Ok(0) => Chunk::End,
            Ok(n) => {
                self.rings.note(&pipe.writer, room.get(..n).unwrap_or_default());
                self.deliver(id, n, now, log);
                Chunk::Bytes(n)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Chunk::Empty,
            Err(error) if error.kind() == ErrorKind::Interrupted => Chunk::Bytes(0),
            Err(_) => Chunk::End,
        }
    }

    /// Passes on `n` bytes that were read behind [`LINE_MAX`] in the buffer, or keeps them as the pipe's
    /// unfinished line.
    fn deliver(&mut self, id: PipeId, n: usize, now: Instant, log: &mut Log) {
        let Some(pipe) = self.pipes.get_mut(id.0) else { return };
        let Some(sink) = self.sinks.get_mut(pipe.sink.0) else { return };
        let Some(target) = self.targets.get_mut(sink.target) else { return };
        let fresh = self.buffer.get(LINE_MAX..LINE_MAX + n).unwrap_or_default();
        let whole =
            if target.pipes > 1 || sink.needs_whole_lines() { whole_lines(&pipe.tail, fresh) } else { n };
        if whole == 0 {
            pipe.tail.extend_from_slice(fresh);
            return;
        }
        let rest = fresh.get(whole..).unwrap_or_default().to_vec();
        let tail = std::mem::replace(&mut pipe.tail, rest);
        let start = LINE_MAX.saturating_sub(tail.len());
        if let Some(room) = self.buffer.get_mut(start..LINE_MAX) {
            room.copy_from_slice(&tail);
        }
        let bytes = self.buffer.get(start..LINE_MAX + whole).unwrap_or_default();
        target.write(&mut sink.format, pipe.writer.pid, bytes, false, &mut self.scratch, now);
        let target = sink.target;
        self.settle(target, log);
    }

    /// Writes the unfinished line of a pipe as it is.
    fn write_tail(&mut self, id: PipeId, now: Instant, log: &mut Log) {
        let Some(pipe) = self.pipes.get_mut(id.0) else { return };
        self.rings.ended(&pipe.writer);
        let tail = std::mem::take(&mut pipe.tail);
        let Some(sink) = self.sinks.get_mut(pipe.sink.0) else { return };
        let Some(target) = self.targets.get_mut(sink.target) else { return };
        target.write(&mut sink.format, pipe.writer.pid, &tail, true, &mut self.scratch, now);
        let target = sink.target;
        self.settle(target, log);
    }

    /// After a place was written to: says what is to be said, and takes note of what it waits for.
    fn settle(&mut self, id: u32, log: &mut Log) {
        let Some(target) = self.targets.get_mut(id) else { return };
        if target.outlet.is_quiet() {
            return;
        }
        for notice in target.outlet.take_notices() {
            log.log(notice.level, format_args!("{}", notice.text));
        }
        if target.outlet.wants_write().is_some() && !target.stalled {
            target.stalled = true;
            self.stalled.push(TargetId(id));
        }
        self.troubled |= target.outlet.next_retry().is_some();
        if target.outlet.take_rotated() {
            self.rotated.push(id);
        }
    }
}

/// How many of the bytes behind `tail` complete lines; all, when the line that is left would be too long to keep.
fn whole_lines(tail: &[u8], fresh: &[u8]) -> usize {
    let whole = fresh.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let left = fresh.len() - whole + if whole == 0 { tail.len() } else { 0 };
    if left < LINE_MAX { whole } else { fresh.len() }
}

#[cfg(test)]
mod tests;
