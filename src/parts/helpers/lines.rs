//! What helpers write, on its way to the log: line by line, and not without end.

use crate::parts::log::Log;

/// The most bytes of one helper's output that go to the log.
const MOST_LOGGED: usize = 64 * 1024;
/// A longer line of output is cut, in bytes.
const LONGEST_LINE: usize = 1024;
/// What a line costs in the log besides.
const OF_A_LINE: usize = 64;
/// How many characters of the last line are remembered.
const REMEMBERED: usize = 200;

/// Output on its way to the log, line by line.
pub struct LoggedLines {
    who: String,
    unfinished: Vec<u8>,
    /// How many bytes may still be logged.
    left: usize,
    /// Its first characters.
    last: String,
    quiet: bool,
}

impl LoggedLines {
    /// The lines of whoever is called so in the log, where they do not go if it is to be quiet.
    pub fn of(who: String, quiet: bool) -> LoggedLines {
        LoggedLines { who, unfinished: Vec::new(), left: MOST_LOGGED, last: String::new(), quiet }
    }

    /// Passes on what lines there are in these bytes and those before.
    pub fn take(&mut self, bytes: &[u8], log: &mut Log) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (line, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |line| (line, true));
            let room = LONGEST_LINE.saturating_sub(self.unfinished.len()).min(line.len());
            self.unfinished.extend_from_slice(line.get(..room).unwrap_or_default());
            if ended {
                self.end_line(log);
            }
        }
    }

    /// The last line that was no blank one.
    pub fn last(self) -> String {
        self.last
    }

    /// Passes on what has come since the last end of line.
    pub fn end_line(&mut self, log: &mut Log) {
        let line = std::mem::take(&mut self.unfinished);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        let end = line.char_indices().nth(REMEMBERED).map_or(line.len(), |(at, _)| at);
        self.last = line.get(..end).unwrap_or_default().to_string();
        if self.quiet {
            return;
        }
        if let Some(left) = self.left.checked_sub(line.len() + OF_A_LINE) {
            self.left = left;
            log.info(format_args!("{}: {line}", self.who));
        } else if std::mem::take(&mut self.left) > 0 {
            log.warning(format_args!("{}: it writes too much: the rest is dropped", self.who));
        }
    }
}
