//! Output that could not be written yet: the newest bytes, up to a limit, the oldest whole lines dropped first.

use std::collections::VecDeque;

/// A bounded queue of output.
pub struct Backlog {
    /// What waits, in whole lines.
    pub bytes: VecDeque<u8>,
    /// How many bytes may wait.
    pub limit: usize,
    /// How many lines were dropped, where a part of one counts as one, and how many bytes.
    pub lost: (u64, u64),
}

impl Backlog {
    /// An empty queue for `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Backlog { bytes: VecDeque::new(), limit, lost: (0, 0) }
    }

    /// Adds bytes at the end, and drops from the beginning what is then too much. `torn`: the queue begins within a line
    /// whose beginning has been written; that line's rest is not dropped, else the next line would be joined to it. True
    /// when that was the first loss.
    pub fn push(&mut self, bytes: &[u8], torn: bool) -> bool {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(self.limit);
        let complete = self.lost.1 == 0;
        if excess > 0 {
            self.drop_lines(excess, torn);
        }
        complete && self.lost.1 > 0
    }

    /// Drops lines from the beginning, at least `excess` bytes of them. Where there are no lines, bytes go.
    fn drop_lines(&mut self, excess: usize, torn: bool) {
        let start = if torn { self.line_end(0).unwrap_or(0) } else { 0 };
        let least = start.saturating_add(excess);
        let end = self.line_end(least - 1).unwrap_or(least).min(self.bytes.len());
        let gone = self.bytes.drain(start.min(end)..end);
        let (lines, bytes) = gone.fold((0, 0), |(lines, n), byte| (lines + u64::from(byte == b'\n'), n + 1));
        self.lost = (self.lost.0 + lines.max(1), self.lost.1 + bytes);
    }

    /// The place behind the first newline that stands at `from` or later.
    pub fn line_end(&self, from: usize) -> Option<usize> {
        let rest = self.bytes.iter().skip(from);
        rest.into_iter().position(|byte| *byte == b'\n').map(|n| from + n + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(backlog: &Backlog) -> String {
        String::from_utf8(backlog.bytes.iter().copied().collect()).unwrap()
    }

    #[test]
    fn the_oldest_whole_lines_go_first() {
        let mut backlog = Backlog::new(12);
        backlog.push(b"one\ntwo\n", false);
        assert_eq!((text(&backlog).as_str(), backlog.lost), ("one\ntwo\n", (0, 0)));
        backlog.push(b"three\n", false);
        assert_eq!(text(&backlog), "two\nthree\n");
        assert_eq!(backlog.lost, (1, 4));
        backlog.push(b"fourteen\n", false);
        assert_eq!(text(&backlog), "fourteen\n");
        assert_eq!(backlog.lost, (3, 14));
    }

    #[test]
    fn the_rest_of_a_line_that_was_begun_is_kept() {
        let mut backlog = Backlog::new(12);
        backlog.push(b"one\ntwo\nsix\n", false);
        backlog.bytes.drain(..2);
        backlog.push(b"ten\n", true);
        assert_eq!(text(&backlog), "e\nsix\nten\n");
        assert_eq!(backlog.lost, (1, 4));
        let mut backlog = Backlog::new(6);
        backlog.push(b"rest\nnext\n", true);
        assert_eq!(text(&backlog), "rest\n");
    }

    #[test]
    fn without_lines_the_newest_bytes_are_kept() {
        for torn in [false, true] {
            let mut backlog = Backlog::new(4);
            backlog.push(b"abcdefgh", torn);
            backlog.push(b"i", torn);
            assert_eq!(text(&backlog), "fghi");
            assert_eq!(backlog.lost.1, 5);
        }
    }

    #[test]
    fn what_is_written_and_what_is_lost_is_all_there_was() {
        let mut seed = 7_u64;
        let mut backlog = Backlog::new(100);
        let (mut given, mut written, mut torn) = (0, 0, false);
        for _ in 0..5000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (n, newline, out) = ((seed >> 33) % 60, (seed >> 41) % 5, (seed >> 50) as usize % 40);
            let piece: Vec<u8> = (0..n).map(|i| if i % 5 == newline { b'\n' } else { b'x' }).collect();
            given += piece.len();
            backlog.push(&piece, torn);
            let n = out.min(backlog.bytes.len());
            torn = backlog.bytes.drain(..n).next_back().map_or(torn, |last| last != b'\n');
            written += n;
            assert!(backlog.bytes.len() <= 160);
        }
        assert_eq!(given, written + backlog.bytes.len() + usize::try_from(backlog.lost.1).unwrap());
        assert!(backlog.lost.1 > 0);
    }
}
