//! The data plane: what processes write goes from their pipes to files and consoles, past the arbiter.
//!
//! A `Pipe` is the reading end of the standard output or error output of one process. It feeds a `Sink`, which
//! is what one `stdout_stream` or `stderr_stream` asks for: a place and a format. Sinks that name the same place
//! share one `Target`, so that a file is open once, rotated once, and its lines stay whole.
//!
//! **Whole lines.** While a target has one pipe, bytes pass straight through. With several, each pipe's unfinished
//! line is kept back, up to [`LINE_MAX`] and for a second or two. Then, and at the end of a pipe or of its process, it
//! is written as it is; a newline goes in only if bytes of another process or of circus's log follow.

pub mod backlog;
pub mod backups;
pub mod console;
pub mod destination;
pub mod file;
#[cfg_attr(not(feature = "health"), path = "no_log_match.rs")]
pub mod log_match;
pub mod outputs;
mod part;
mod read;
#[cfg_attr(not(feature = "tail"), path = "no_ring.rs")]
pub mod ring;
pub mod sink;
mod table;
#[cfg(feature = "edit")]
mod try_streams;

#[cfg(feature = "logs")]
pub mod compress;
#[cfg(feature = "logs")]
pub mod format;
#[cfg(feature = "logs")]
pub mod log_quota;
#[cfg(feature = "logs")]
pub(crate) mod old_files;
#[cfg(feature = "logs")]
pub mod syslog;
#[cfg(feature = "logs")]
pub mod timed;
#[cfg(not(feature = "logs"))]
mod without_logs;
#[cfg(not(feature = "logs"))]
pub use without_logs::{format, timed};

#[cfg(feature = "logs")]
use self::compress::Compressor;
use self::log_match::LogMatches;
#[cfg(feature = "logs")]
use self::log_quota::LogQuota;
use self::part::NewOutputs;
use self::read::{Pipe, State};
use self::ring::Rings;
pub use self::sink::Owner;
use self::sink::{Sink, Target};
use self::table::Table;
use crate::arbiter::Pid;
use crate::parts::log::Log;
use crate::reactor::part::Writer;
use crate::sorted::Sorted;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Instant;

/// The longest line that is kept whole, in bytes; a longer one may be cut.
pub const LINE_MAX: usize = 64 * 1024;
/// The most bytes that are read at once: what a pipe holds that was made larger. Fewer cost more for each byte.
const CHUNK: usize = 256 * 1024;

/// Stands for a pipe; the event loop's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipeId(pub u32);

/// All pipes, and all places that they lead to.
#[derive(Default)]
pub struct Streams {
    pipes: Table<Pipe>,
    /// The pipes of each process, and what the next one is to have.
    of_process: Sorted<Pid, [Option<PipeId>; 2]>,
    new_outputs: NewOutputs,
    /// Pipes that have more to read, and how many of them are still to be read in this turn.
    ready: VecDeque<PipeId>,
    left_to_read: usize,
    /// When pipes have been read for long enough in this turn.
    read_until: Option<Instant>,
    sinks: Sorted<Owner, Sink>,
    targets: Table<Target>,
    /// The newest output of each watcher.
    pub rings: Rings,
    /// Processes whose lines are looked at.
    pub log_matches: LogMatches,
    /// Room for an unfinished line and, from [`LINE_MAX`] on, for what is read behind it; none before the first pipe.
    buffer: Box<[u8]>,
    /// Room for lines that get something around them.
    scratch: Vec<u8>,
    /// Places that began to wait for a reader in this turn.
    stalled: Vec<(u32, RawFd)>,
    /// Pipes whose unfinished lines are looked at then, the soonest first.
    unfinished: VecDeque<(Instant, PipeId)>,
    /// How large the files are together that are written.
    size: u64,
    /// What all log files may take; 0: there is no limit.
    cap: u64,
    /// Every file that was written since the start, with the user of the watcher, as far as there was a limit. By bytes,
    /// not as paths, which are compared part by part: there may be a thousand of them.
    written: Sorted<OsString, u32>,
    /// Files were opened in this turn.
    opened: bool,
    /// Files were opened, closed, rotated or compressed since they were counted.
    uncounted: bool,
    /// The files whose old ones are to be compressed.
    uncompressed: Vec<PathBuf>,
    #[cfg(feature = "logs")]
    quota: LogQuota,
    #[cfg(feature = "logs")]
    compressor: Compressor,
    /// How many pipes were made larger.
    large: u32,
    /// Some place may have to be written to again at a date.
    troubled: bool,
}

impl Streams {
    /// Takes over the reading end of a pipe, which must be non-blocking; `None`, and the pipe is closed, when
    /// there is no such sink.
    pub fn attach(&mut self, fd: OwnedFd, owner: Owner, writer: Writer) -> Option<PipeId> {
        self.feed(&owner, 1)?;
        if self.buffer.is_empty() {
            // As early as this, before there are holes between what is allocated: in one of these all of it would be memory,
            // and not only what is ever read into.
            self.buffer = vec![0; LINE_MAX + CHUNK].into();
        }
        let state = State::default();
        Some(PipeId(self.pipes.insert(Pipe { file: fd.into(), writer, owner, tail: Vec::new(), state })))
    }

    /// Leads a pipe to another sink.
    pub fn redirect(&mut self, id: PipeId, owner: Owner, now: Instant, log: &mut Log) {
        if let Some(pipe) = self.pipes.get_mut(id.0) {
            let old = std::mem::replace(&mut pipe.owner, owner);
            self.feed(&owner, 1);
            self.leave(&old, now, log);
        }
    }

    /// So many more pipes feed a sink.
    fn feed(&mut self, owner: &Owner, pipes: i32) -> Option<()> {
        let sink = self.sinks.get_mut(owner)?;
        sink.pipes += pipes;
        let target = sink.target;
        self.count(target, 0, pipes);
        Some(())
    }

    /// A pipe does not feed a sink any more.
    fn leave(&mut self, owner: &Owner, now: Instant, log: &mut Log) {
        self.feed(owner, -1);
        self.forget_sink(owner, now, log);
    }

    /// Closes a pipe; its unfinished line is written.
    pub fn detach(&mut self, id: PipeId, now: Instant, log: &mut Log) {
        self.write_tail(id, now, log);
        let Some(pipe) = self.pipes.remove(id.0) else { return };
        self.large -= u32::from(pipe.state.large);
        if pipe.state.awaited {
            self.unfinished.retain(|(_, awaited)| *awaited != id);
        }
        self.leave(&pipe.owner, now, log);
    }

    /// Goes on writing where there is room again, or the reader is gone. The answer is the descriptor that need not be
    /// watched any more.
    pub fn writable(&mut self, id: u32, now: Instant, log: &mut Log) -> Option<RawFd> {
        let fd = self.targets.get_mut(id)?.destination.writable(now);
        self.settle(id, log);
        self.forget_target(id, now, log);
        fd
    }

    /// When [`Self::retry`] is to be called.
    pub fn next_retry(&mut self) -> Option<Instant> {
        let overdue = self.unfinished.front().map(|(at, _)| *at);
        if !self.troubled {
            return overdue;
        }
        let next = self.targets.iter().filter_map(|(_, target)| target.destination.next_retry()).min();
        self.troubled = next.is_some();
        next.into_iter().chain(overdue).min()
    }

    /// Tries again to write what could not be written, and writes what was kept back long enough.
    pub fn retry(&mut self, now: Instant, log: &mut Log) {
        self.write_overdue(now, log);
        if !self.troubled {
            return;
        }
        for id in self.targets.ids() {
            if let Some(target) = self.targets.get_mut(id)
                && target.destination.next_retry().is_some_and(|moment| moment <= now)
            {
                target.destination.flush(now);
            }
            self.settle(id, log);
            self.forget_target(id, now, log);
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

    /// After a place was written to: says what is to be said, and takes note of what it waits for.
    fn settle(&mut self, id: u32, log: &mut Log) {
        let Some(target) = self.targets.get_mut(id) else { return };
        if let Some(file) = target.destination.file() {
            self.size = self.size + file.size - std::mem::replace(&mut target.size, file.size);
            if std::mem::take(&mut file.rotated) {
                self.uncounted = true;
                if file.rotation.compress && !self.uncompressed.contains(&file.path) {
                    self.uncompressed.push(file.path.clone());
                }
            }
        }
        if target.destination.is_quiet() {
            return;
        }
        for (level, text) in target.destination.take_notices() {
            log.log(level, format_args!("{text}"));
        }
        if let Some(fd) = target.destination.take_stalled() {
            self.stalled.push((id, fd));
        }
        self.troubled |= target.destination.next_retry().is_some();
    }
}

#[cfg(test)]
pub(crate) mod tests;
