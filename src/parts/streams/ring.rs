//! The newest output of each watcher, kept in memory: what `tail` shows, and what a failed watcher said last.
//!
//! Every byte that is read from a pipe passes by here, so little is done with it: of a large read only the end that
//! fits is copied, and lines are put together when somebody asks. Each of a watcher's outputs that circus reads has
//! an equal share of `ring_bytes`, so that a talkative standard output does not push out what stderr said. The
//! marks that say who wrote what count too. Memory is taken when the first bytes come and lives as long as the
//! watcher.
//!
//! Whoever follows the output of a watcher is handed the bytes as they come, by way of [`Rings::heard`].

use crate::arbiter::request::Wanted;
use crate::arbiter::{Pid, WatcherId};
use crate::config::Channel;
use crate::reactor::part::{Heard, Writer, wants};
use crate::sorted::Sorted;
use std::collections::VecDeque;

/// A line that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who wrote it.
    pub pid: Pid,
    /// Its number in the watcher.
    pub wid: u32,
    /// To which output.
    pub channel: Channel,
    /// The line without its newline.
    pub text: Vec<u8>,
    /// It has no newline yet, and its writer goes on.
    pub unfinished: bool,
}

/// A stretch of bytes of one process.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Its place among the pieces of both outputs.
    number: u64,
    pid: Pid,
    wid: u32,
    /// The process has come to its end.
    ended: bool,
    length: usize,
}

/// What a piece costs besides its bytes.
const MARK: usize = size_of::<Piece>();

/// The newest of one output.
#[derive(Debug, Default)]
struct Half {
    captured: bool,
    /// How many bytes were read from it in all.
    total: u64,
    bytes: VecDeque<u8>,
    pieces: VecDeque<Piece>,
}

impl Half {
    /// Drops the oldest until what is left takes no more than `room`: whole lines where there are some.
    fn shrink(&mut self, room: usize) {
        loop {
            let excess = (self.bytes.len() + self.pieces.len() * MARK).saturating_sub(room);
            let Some(front) = self.pieces.front_mut().filter(|_| excess > 0) else { return };
            let gone = if excess < front.length {
                let mut rest = self.bytes.range(excess - 1..front.length);
                rest.position(|byte| *byte == b'\n').map_or(excess, |newline| excess + newline)
            } else {
                front.length
            };
            front.length -= gone;
            self.bytes.drain(..gone);
            if front.length == 0 {
                self.pieces.pop_front();
            }
        }
    }

    /// The pieces with their bytes, from the oldest on.
    fn walk(&self) -> impl Iterator<Item = (&Piece, impl Iterator<Item = u8>)> {
        let mut from = 0;
        self.pieces.iter().map(move |piece| {
            let begin = from;
            from += piece.length;
            (piece, self.bytes.range(begin..from).copied())
        })
    }

    /// Adds bytes; there is room for them within `share`.
    fn push(&mut self, number: u64, writer: &Writer, bytes: &[u8], share: usize) {
        let length = self.bytes.len() + bytes.len();
        if length > self.bytes.capacity() {
            let capacity = length.max(self.bytes.capacity() * 2).min(share);
            self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend(bytes);
        let same = |last: &&mut Piece| {
            let goes_on = last.number.wrapping_add(1) == number && !last.ended;
            goes_on && (last.pid, last.wid) == (writer.pid, writer.wid)
        };
        match self.pieces.back_mut().filter(same) {
            Some(last) => last.length += bytes.len(),
            None => {
                let (pid, wid, length) = (writer.pid, writer.wid, bytes.len());
                self.pieces.push_back(Piece { number, pid, wid, ended: false, length });
            }
        }
    }
}

/// The newest output of one watcher.
#[derive(Debug, Default)]
pub struct Ring {
    limit: usize,
    /// By output.
    halves: [Half; 2],
    /// The number of the next piece.
    next: u64,
}

impl Ring {
    /// How much each output may take.
    fn share(&self) -> usize {
        if self.halves.iter().all(|half| half.captured) { self.limit / 2 } else { self.limit }
    }

    fn fit(&mut self, limit: usize) {
        self.limit = limit;
        let share = self.share();
        for half in &mut self.halves {
            half.shrink(share);
            half.bytes.shrink_to(share);
        }
    }

    fn note(&mut self, writer: &Writer, bytes: &[u8]) {
        let (share, next, all) = (self.share(), self.next, bytes.len());
        let Some(half) = self.halves.get_mut(writer.channel as usize) else { return };
        half.total += all as u64;
        let Some(most) = share.checked_sub(MARK).filter(|most| *most > 0) else { return };
        let bytes = newest(bytes, most);
        // Behind a gap, what is older would be taken for the beginning of the line.
        half.shrink(if bytes.len() < all { 0 } else { most - bytes.len() });
        half.push(next, writer, bytes, share);
        if half.pieces.back().is_some_and(|last| last.number == next) {
            self.next += 1;
        }
    }

    /// How many bytes were read from an output in all; `None` if circus does not read it.
    pub fn total(&self, channel: Channel) -> Option<u64> {
        self.halves.get(channel as usize).filter(|half| half.captured).map(|half| half.total)
    }

    /// Whether anything of this process is kept.
    pub fn knows(&self, pid: Pid) -> bool {
        self.halves.iter().flat_map(|half| &half.pieces).any(|piece| piece.pid == pid)
    }

    /// The last lines that are wanted, at most so many, in the order in which they were ended. Those that have no end
    /// yet stand last.
    pub fn lines(&self, wanted: Wanted, most: usize) -> Vec<Line> {
        let mut lines = Lines { most, found: VecDeque::new(), begun: Sorted::new() };
        let [mut stdout, mut stderr] = self.halves.each_ref().map(|half| half.walk().peekable());
        loop {
            let (one, two) = (stdout.peek(), stderr.peek());
            let stderr_is_next =
                two.is_some_and(|(two, _)| one.is_none_or(|(one, _)| two.number < one.number));
            let (channel, next) = match stderr_is_next {
                true => (Channel::Stderr, stderr.next()),
                false => (Channel::Stdout, stdout.next()),
            };
            let Some((piece, bytes)) = next else { break };
            if wants(wanted, channel, piece.pid) {
                lines.add(channel, piece, bytes);
            }
        }
        lines.end()
    }
}

/// The end of `bytes`, at most so many of them, from the beginning of a line if there is one.
fn newest(bytes: &[u8], most: usize) -> &[u8] {
    let Some(end) = bytes.len().checked_sub(most).filter(|cut| *cut > 0).and_then(|cut| bytes.get(cut..))
    else {
        return bytes;
    };
    let line = end.iter().position(|byte| *byte == b'\n').and_then(|newline| end.get(newline + 1..));
    line.filter(|line| !line.is_empty()).unwrap_or(end)
}

/// Lines that are being put together: the pieces of several processes may lie between each other.
struct Lines {
    most: usize,
    found: VecDeque<Line>,
    begun: Sorted<(Pid, Channel), Line>,
}

impl Lines {
    fn add(&mut self, channel: Channel, piece: &Piece, bytes: impl Iterator<Item = u8>) {
        let key = (piece.pid, channel);
        let (pid, wid) = (piece.pid, piece.wid);
        let begin = || Line { pid, wid, channel, text: Vec::new(), unfinished: true };
        let mut line = self.begun.remove(&key);
        for byte in bytes {
            if byte == b'\n' {
                let whole = line.take().unwrap_or_else(begin);
                self.push(Line { unfinished: false, ..whole });
            } else {
                line.get_or_insert_with(begin).text.push(byte);
            }
        }
        match line {
            Some(line) if piece.ended => self.push(Line { unfinished: false, ..line }),
            Some(line) => drop(self.begun.insert(key, line)),
            None => {}
        }
    }

    fn push(&mut self, line: Line) {
        self.found.push_back(line);
        if self.found.len() > self.most {
            self.found.pop_front();
        }
    }

    fn end(mut self) -> Vec<Line> {
        for (_, line) in std::mem::take(&mut self.begun) {
            self.push(line);
        }
        self.found.into()
    }
}

/// The rings of all watchers whose output circus reads, and who follows them.
#[derive(Debug, Default)]
pub struct Rings {
    rings: Sorted<WatcherId, Box<Ring>>,
    /// The watchers that somebody follows.
    pub followed: Vec<WatcherId>,
    /// What those who follow are to be told.
    pub heard: Vec<Heard>,
}

impl Rings {
    /// Circus begins to read an output of a watcher. The ring is made if there is none, and keeps `limit` bytes.
    pub fn open(&mut self, watcher: WatcherId, channel: Channel, limit: usize) {
        let ring = self.rings.get_or_insert_with(watcher, Box::default);
        let Some(half) = ring.halves.get_mut(channel as usize) else { return };
        if !std::mem::replace(&mut half.captured, true) || ring.limit != limit {
            ring.fit(limit);
        }
    }

    /// Keeps so many bytes of a watcher from now on.
    pub fn resize(&mut self, watcher: WatcherId, limit: usize) {
        if let Some(ring) = self.rings.get_mut(&watcher) {
            ring.fit(limit);
        }
    }

    /// Forgets what was kept, and the memory that it took.
    pub fn clear(&mut self) {
        for half in self.rings.values_mut().flat_map(|ring| &mut ring.halves) {
            (half.bytes, half.pieces) = (VecDeque::new(), VecDeque::new());
        }
    }

    /// A watcher is gone.
    pub fn remove(&mut self, watcher: WatcherId) {
        self.rings.remove(&watcher);
    }

    /// The ring of a watcher.
    pub fn get(&self, watcher: WatcherId) -> Option<&Ring> {
        self.rings.get(&watcher).map(|ring| &**ring)
    }

    /// Something was read.
    pub fn note(&mut self, writer: &Writer, bytes: &[u8]) {
        if let Some(ring) = self.rings.get_mut(&writer.watcher) {
            ring.note(writer, bytes);
        }
        self.hear(writer, bytes);
    }

    /// The writer has come to its end: a line that it has begun stays as it is.
    pub fn ended(&mut self, writer: &Writer) {
        let ring = self.rings.get_mut(&writer.watcher);
        if let Some(half) = ring.and_then(|ring| ring.halves.get_mut(writer.channel as usize))
            && let Some(last) = half.pieces.iter_mut().rfind(|piece| piece.pid == writer.pid)
        {
            last.ended = true;
        }
        self.hear(writer, &[]);
    }

    fn hear(&mut self, writer: &Writer, bytes: &[u8]) {
        if self.followed.contains(&writer.watcher) {
            self.heard.push(Heard { writer: *writer, bytes: bytes.to_vec() });
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
