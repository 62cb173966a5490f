//! Lines out of a stream of bytes: the framing of the control protocol.
//!
//! Memory is bounded: what is kept is one line below [`LIMIT`] and what came with the last [`Lines::push`]. A longer
//! line is thrown away as it comes, up to its newline, and reported once.

/// The longest line, in bytes, without its newline.
pub const LIMIT: usize = 1 << 20;

/// A buffer that is larger than this, and than what it holds, is given back.
const KEEP: usize = 4096;

/// A line was longer than [`LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// No newline stands between `start` and here.
    searched: usize,
    /// The rest of a line that is too long is being thrown away.
    skipping: bool,
}

impl Lines {
    /// Takes what was read. Take the lines out with [`Lines::next`] until there is none before the next call.
    pub fn push(&mut self, bytes: &[u8]) {
        let bytes = if self.skipping { self.after_skipped(bytes) } else { bytes };
        self.tidy();
        self.bytes.extend_from_slice(bytes);
    }

    /// How much memory is kept.
    pub fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives back the memory of the lines that were taken out.
    pub fn tidy(&mut self) {
        self.searched = self.searched.saturating_sub(self.start);
        drop_front(&mut self.bytes, &mut self.start);
    }

    /// What follows the line that is being skipped.
    fn after_skipped<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(end) = newline(bytes) else { return &[] };
        self.skipping = false;
        bytes.get(end + 1..).unwrap_or_default()
    }

    /// The next whole line, without its `\n` or `\r\n`; `None` when more has to be read first.
    #[allow(clippy::should_implement_trait, reason = "the line is lent, which an Iterator cannot do")]
    pub fn next(&mut self) -> Option<Result<&[u8], TooLong>> {
        let unseen = self.bytes.get(self.searched..).unwrap_or_default();
        let Some(length) = newline(unseen).map(|at| self.searched + at - self.start) else {
            self.searched = self.bytes.len();
            return self.give_up_when_too_long();
        };
        let begin = self.start;
        self.start += length + 1;
        self.searched = self.start;
        if length > LIMIT {
            return Some(Err(TooLong));
        }
        let line = self.bytes.get(begin..begin + length).unwrap_or_default();
        Some(Ok(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    fn give_up_when_too_long(&mut self) -> Option<Result<&[u8], TooLong>> {
        if self.bytes.len() - self.start <= LIMIT {
            return None;
        }
        *self = Lines { skipping: true, ..Lines::default() };
        Some(Err(TooLong))
    }

    /// At the end of the stream: the bytes of a last line that has no newline, if there are any.
    pub fn finish(&self) -> Option<&[u8]> {
        self.bytes.get(self.start..).filter(|rest| !rest.is_empty())
    }
}

/// Throws away the bytes in front of `start`, and the room for them if it is large.
pub(super) fn drop_front(bytes: &mut Vec<u8>, start: &mut usize) {
    bytes.drain(..*start);
    *start = 0;
    if bytes.capacity() > KEEP && bytes.len() < bytes.capacity() / 4 {
        bytes.shrink_to(KEEP);
    }
}

fn newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &mut Lines) -> Vec<Result<String, TooLong>> {
        let mut found = Vec::new();
        while let Some(line) = lines.next() {
            found.push(line.map(|l| String::from_utf8_lossy(l).into_owned()));
        }
        found
    }

    #[test]
    fn any_cut_gives_the_same_lines() {
        let text = b"one\ntwo\r\n\nfour\nfi";
        for size in 1..text.len() {
            let mut all = Lines::default();
            let mut found = Vec::new();
            for chunk in text.chunks(size) {
                all.push(chunk);
                found.extend(lines(&mut all));
            }
            assert_eq!(found, ["one", "two", "", "four"].map(|l| Ok(l.to_string())), "chunks of {size}");
            assert_eq!(all.finish(), Some(&b"fi"[..]));
        }
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        let mut all = Lines::default();
        all.push(&vec![b'x'; LIMIT]);
        assert_eq!(all.next(), None);
        all.push(b"\nshort\n");
        assert_eq!(all.next().map(|l| l.map(<[u8]>::len)), Some(Ok(LIMIT)));
        assert_eq!(lines(&mut all), [Ok("short".into())]);
        let mut whole = vec![b'x'; LIMIT + 1];
        whole.extend_from_slice(b"\nshort\n");
        all.push(&whole);
        assert_eq!(lines(&mut all), [Err(TooLong), Ok("short".into())]);
        assert_eq!(all.finish(), None);
    }

    #[test]
    fn a_long_line_is_reported_once_and_never_kept() {
        let mut all = Lines::default();
        let chunk = vec![b'x'; 64 << 10];
        let mut found = Vec::new();
        for _ in 0..160 {
            all.push(&chunk);
            found.extend(lines(&mut all));
            assert!(all.bytes.capacity() <= 2 * LIMIT + (128 << 10));
        }
        assert_eq!(found, [Err(TooLong)]);
        assert_eq!(all.finish(), None);
        all.push(b"end\nnext\n");
        assert_eq!(lines(&mut all), [Ok("next".into())]);
        all.push(b"");
        assert!(all.bytes.capacity() <= KEEP);
    }
}
