//! What has come from a client and was not yet looked at, and the lines in it: the framing of the control protocol.
//!
//! Memory is bounded: what is kept is one line below [`LIMIT`] and what came with the last [`Inbox::push`]. A longer
//! line is thrown away as it comes, up to its newline, and reported once.

/// The longest line, in bytes, without its newline.
pub const LIMIT: usize = 1 << 20;

/// A buffer that is larger than this, and than what it holds, is given back.
const KEEP: usize = 4096;

/// Bytes that have come.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// What begins here was not looked at.
    start: usize,
}

impl Inbox {
    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.tidy();
        self.bytes.extend_from_slice(bytes);
    }

    /// What was not looked at.
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// The next bytes, if there are so many.
    pub fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.start..self.start + count)?;
        self.start += count;
        Some(taken)
    }

    /// How much memory is kept.
    pub fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Throws away what was taken out, and the room for it if it is large.
    pub fn tidy(&mut self) {
        self.bytes.drain(..self.start);
        self.start = 0;
        if self.bytes.capacity() > KEEP && self.bytes.len() < self.bytes.capacity() / 4 {
            self.bytes.shrink_to(KEEP);
        }
    }
}

/// A line was longer than [`LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Finds the lines in what comes.
#[derive(Debug, Default)]
pub struct Lines {
    /// So many of the bytes that were not taken out have no newline.
    searched: usize,
    /// The rest of a line that is too long is being thrown away.
    skipping: bool,
}

impl Lines {
    /// The next whole line, without its `\n` or `\r\n`; `None` when more has to be read first. To be asked until there
    /// is none before more is pushed.
    pub fn next<'a>(&mut self, inbox: &'a mut Inbox) -> Option<Result<&'a [u8], TooLong>> {
        if self.skipping {
            let rest = inbox.rest();
            let end = newline(rest);
            self.skipping = end.is_none();
            inbox.take(end.map_or(rest.len(), |end| end + 1))?;
        }
        let rest = inbox.rest();
        let found = rest.get(self.searched..).and_then(newline).map(|at| self.searched + at);
        self.searched = if found.is_some() { 0 } else { rest.len() };
        match found {
            None if self.searched <= LIMIT => None,
            None => {
                *inbox = Inbox::default();
                *self = Lines { skipping: true, searched: 0 };
                Some(Err(TooLong))
            }
            Some(length) => {
                let line = inbox.take(length + 1)?.get(..length)?;
                Some(if length > LIMIT { Err(TooLong) } else { Ok(line.strip_suffix(b"\r").unwrap_or(line)) })
            }
        }
    }
}

fn newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Cutter(Inbox, Lines);

    impl Cutter {
        fn push(&mut self, bytes: &[u8]) {
            self.0.push(bytes);
        }

        fn next(&mut self) -> Option<Result<&[u8], TooLong>> {
            self.1.next(&mut self.0)
        }
    }

    fn lines(lines: &mut Cutter) -> Vec<Result<String, TooLong>> {
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
            let mut all = Cutter::default();
            let mut found = Vec::new();
            for chunk in text.chunks(size) {
                all.push(chunk);
                found.extend(lines(&mut all));
            }
            assert_eq!(found, ["one", "two", "", "four"].map(|l| Ok(l.to_string())), "chunks of {size}");
            assert_eq!(all.0.rest(), b"fi");
        }
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        let mut all = Cutter::default();
        all.push(&vec![b'x'; LIMIT]);
        assert_eq!(all.next(), None);
        all.push(b"\nshort\n");
        assert_eq!(all.next().map(|l| l.map(<[u8]>::len)), Some(Ok(LIMIT)));
        assert_eq!(lines(&mut all), [Ok("short".into())]);
        let mut whole = vec![b'x'; LIMIT + 1];
        whole.extend_from_slice(b"\nshort\n");
        all.push(&whole);
        assert_eq!(lines(&mut all), [Err(TooLong), Ok("short".into())]);
        assert_eq!(all.0.rest(), b"");
    }

    #[test]
    fn a_long_line_is_reported_once_and_never_kept() {
        let mut all = Cutter::default();
        let chunk = vec![b'x'; 64 << 10];
        let mut found = Vec::new();
        for _ in 0..160 {
            all.push(&chunk);
            found.extend(lines(&mut all));
            assert!(all.0.held() <= 2 * LIMIT + (128 << 10));
        }
        assert_eq!(found, [Err(TooLong)]);
        assert_eq!(all.0.rest(), b"");
        all.push(b"end\nnext\n");
        assert_eq!(lines(&mut all), [Ok("next".into())]);
        all.push(b"");
        assert!(all.0.held() <= KEEP);
    }
}
