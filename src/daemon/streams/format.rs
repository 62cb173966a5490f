//! What is put around the lines of a process: the time and its pid, and colours.

use crate::sys::clock;
use std::io::BufRead;

/// The colours of FancyStdoutStream. Their codes count from 1.
pub const COLORS: [&str; 7] = ["red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/// How the lines of a sink are written.
pub enum Format {
    /// As they are.
    Plain,
    /// With something around them.
    Stamped(Box<Stamp>),
}

/// `TIME [PID] | ` before each line, and what Circus's FancyStdoutStream adds to that.
pub struct Stamp {
    /// As in strftime(3).
    time_format: String,
    /// What `time` shows, in seconds since 1970.
    second: i64,
    time: String,
    fancy: bool,
    color: Option<usize>,
}

impl Stamp {
    /// The stamp of a file: `TIME [PID] | ` before every line, also an empty one.
    pub fn new(time_format: String) -> Self {
        Stamp { time_format, second: i64::MIN, time: String::new(), fancy: false, color: None }
    }

    /// The stamp of FancyStdoutStream: empty lines are left out, a last line without newline gets one. `color`
    /// is a place in [`COLORS`].
    pub fn fancy(time_format: String, color: Option<usize>) -> Self {
        Stamp { fancy: true, color, ..Self::new(time_format) }
    }

    /// Whether only whole lines can be written.
    pub fn needs_whole_lines(&self) -> bool {
        self.fancy
    }

    /// What stands before a line of a process that is written now.
    fn prefix(&mut self, pid: i32) -> String {
        let second = clock::realtime() as i64;
        if second != self.second {
            self.second = second;
            self.time = clock::strftime(&self.time_format, second);
        }
        let color = self.color.map_or(String::new(), |color| format!("\x1b[0;3{};40m", color + 1));
        format!("{color}{} [{pid}] | ", self.time)
    }

    /// Writes lines with their stamps into `write`, in pieces of about `piece` bytes, by way of `room`.
    /// `within`: a line of this process has been begun. Answers the same for the end of the lines. `last`: what
    /// follows is no part of the last line.
    pub fn lines(
        &mut self,
        pid: i32,
        lines: &[u8],
        mut within: bool,
        last: bool,
        room: &mut Room<'_>,
    ) -> bool {
        let prefix = self.prefix(pid);
        let end: &[u8] = if self.color.is_some() { b"\x1b[0m\n" } else { b"\n" };
        let mut rest = lines;
        while let Some(line) = next_line(&mut rest) {
            let text = line.strip_suffix(b"\n");
            let ends = text.is_some() || (last && self.fancy);
            let text = text.unwrap_or(line);
            if !within {
                if self.fancy && text.is_empty() {
                    continue;
                }
                room.add(prefix.as_bytes());
            }
            room.add(text);
            if ends {
                room.add(end);
            }
            within = !ends;
        }
        within
    }
}

/// Where lines are put together before they are written: a reused buffer that is written whenever it is full.
pub struct Room<'a> {
    /// The buffer.
    pub bytes: &'a mut Vec<u8>,
    /// How many bytes are enough for a write.
    pub piece: usize,
    /// The write.
    pub write: &'a mut dyn FnMut(&[u8]),
}

impl Room<'_> {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= self.piece {
            self.flush();
        }
    }

    /// Writes what there is.
    pub fn flush(&mut self) {
        if !self.bytes.is_empty() {
            (self.write)(self.bytes);
            self.bytes.clear();
        }
    }
}

/// Takes the next line, with its newline if it has one.
fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let all = *rest;
    // The fastest search for a byte that the standard library has.
    let length = rest.skip_until(b'\n').unwrap_or(all.len());
    all.get(..length).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(stamp: &mut Stamp, lines: &[u8], within: bool, last: bool) -> (String, bool) {
        let (mut out, mut bytes) = (Vec::new(), Vec::new());
        let mut add = |piece: &[u8]| out.extend_from_slice(piece);
        let mut room = Room { bytes: &mut bytes, piece: 10, write: &mut add };
        let within = stamp.lines(7, lines, within, last, &mut room);
        room.flush();
        (String::from_utf8(out).unwrap(), within)
    }

    #[test]
    fn a_stamp_begins_each_line_once() {
        let mut stamp = Stamp::new("T".into());
        assert_eq!(
            write(&mut stamp, b"a\n\nb", false, false),
            ("T [7] | a\nT [7] | \nT [7] | b".into(), true)
        );
        assert_eq!(write(&mut stamp, b"c\nd\n", true, false), ("c\nT [7] | d\n".into(), false));
        assert_eq!(write(&mut stamp, b"end", false, true), ("T [7] | end".into(), true));
        assert_eq!(write(&mut stamp, b"", false, true), (String::new(), false));
    }

    #[test]
    fn the_time_is_the_local_one() {
        let mut stamp = Stamp::new("%Y-%m-%d %H".into());
        let before = clock::strftime("%Y-%m-%d %H [7] | x", clock::realtime() as i64);
        let (text, _) = write(&mut stamp, b"x", false, false);
        let after = clock::strftime("%Y-%m-%d %H [7] | x", clock::realtime() as i64);
        assert!(text == before || text == after, "{text}");
    }

    #[test]
    fn fancy_lines_have_a_colour_an_end_and_some_text() {
        let mut stamp = Stamp::fancy("T".into(), Some(2));
        let yellow = "\x1b[0;33;40mT [7] | ";
        let expected = format!("{yellow}a\x1b[0m\n{yellow}b\x1b[0m\n");
        assert_eq!(write(&mut stamp, b"a\n\n\nb\n", false, false), (expected, false));
        assert_eq!(write(&mut stamp, b"end", false, true), (format!("{yellow}end\x1b[0m\n"), false));
        assert_eq!(write(&mut stamp, b"cut", false, false), (format!("{yellow}cut"), true));
        assert_eq!(write(&mut stamp, b" off\n", true, false), (" off\x1b[0m\n".into(), false));
        let mut plain = Stamp::fancy("T".into(), None);
        assert_eq!(write(&mut plain, b"a\n\nb", false, true), ("T [7] | a\nT [7] | b\n".into(), false));
    }
}
