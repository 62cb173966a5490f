//! What is put around the lines of a process: a prefix, the time and its pid, colours; or what makes a JSON object or
//! a syslog message of a line.

use super::destination::Place;
use super::sink::Owner;
use super::syslog::{self, Header};
use crate::config::text::to_bytes;
use crate::config::{StreamConfig, StreamKind};
use crate::sys::clock::{self, Zone};
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::io::BufRead;

/// The colours of FancyStdoutStream. Their codes count from 1.
pub const COLORS: [&str; 7] = ["red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/// The longest text of one syslog message, in bytes: what usual daemons take.
const SYSLOG_MAX: usize = 8000;

/// The format of the time when FancyStdoutStream names none, as in Circus.
const FANCY_TIME: &str = "%Y-%m-%d %H:%M:%S";

/// How the lines of a sink are written.
pub enum Format {
    /// As they are.
    Plain,
    /// With something around them.
    Lines(Box<Lines>),
}

impl Format {
    /// How the lines of a stream are written. `color`: the one that it names is shown, or one at random.
    pub fn of(
        config: &StreamConfig,
        watcher: &str,
        owner: Owner,
        place: &Place,
        color: Option<usize>,
        shown: bool,
    ) -> Format {
        let not_empty = |text: &&str| !text.is_empty();
        let prefix = config.options.prefix.as_deref().filter(not_empty);
        let mut time_format = config.options.time_format.as_deref().filter(not_empty).map(str::to_string);
        let style = match config.kind() {
            StreamKind::Syslog => {
                let local = matches!(place, Place::Syslog(address) if address.is_local());
                Style::Syslog(syslog::header(config, watcher, local).into())
            }
            StreamKind::Json => Style::Json(around_json(watcher, owner).into()),
            StreamKind::FancyStdout => {
                time_format.get_or_insert_with(|| FANCY_TIME.into());
                Style::Fancy(shown.then(|| color.unwrap_or_else(random_color)))
            }
            _ if prefix.is_none() && time_format.is_none() => return Format::Plain,
            _ => Style::Text,
        };
        Format::Lines(Box::new(Lines::new(style, prefix, time_format)))
    }
}

/// The colour of this name; without one it is chosen at random.
pub fn color(name: Option<&str>, warnings: &mut Vec<String>) -> Option<usize> {
    let name = name?;
    let known = COLORS.iter().position(|known| known.eq_ignore_ascii_case(name));
    if known.is_none() {
        warnings.push(format!("color = {name} is none of {}: one is chosen at random", COLORS.join(" ")));
    }
    known
}

/// What stands between the time and the number of the process in JsonStream's objects, and between that and the text.
fn around_json(watcher: &str, owner: Owner) -> (String, String) {
    let watcher = escaped(&to_bytes(watcher));
    let before = format!(", \"watcher\": \"{watcher}\", \"wid\": {}, \"pid\": ", owner.wid);
    (before, format!(", \"stream\": \"{}\", \"text\": \"", owner.channel.name()))
}

/// The seed of the standard library's hash tables is chance enough for a colour.
fn random_color() -> usize {
    RandomState::new().hash_one(0_u8) as usize % COLORS.len()
}

/// What becomes of each line.
pub enum Style {
    /// A line with `TIME [PID] | ` before it, if a format of the time is given.
    Text,
    /// The same in a colour, a place in [`COLORS`]. Empty lines are left out; a last line without newline gets one.
    Fancy(Option<usize>),
    /// An object; the two texts stand before and behind the number of the process.
    Json(Box<(String, String)>),
    /// A message to a syslog daemon.
    Syslog(Box<Header>),
}

/// Puts something around lines.
pub struct Lines {
    style: Style,
    /// It begins the text of each line; with a blank behind it, or empty.
    prefix: String,
    /// As in strftime(3), cut at each `%f`, where Python's has the microseconds.
    time_format: Option<Vec<String>>,
    /// What `times` shows, in seconds since 1970.
    second: i64,
    times: Vec<String>,
    /// What stands before the lines that are being written.
    head: Vec<u8>,
}

impl Lines {
    /// `prefix` and a blank begin each line.
    pub fn new(style: Style, prefix: Option<&str>, time_format: Option<String>) -> Self {
        let prefix = prefix.map(|prefix| format!("{prefix} ")).unwrap_or_default();
        let time_format = time_format.map(|format| at_microseconds(&format));
        Lines { style, prefix, time_format, second: i64::MIN, times: Vec::new(), head: Vec::new() }
    }

    /// Whether only whole lines can be written.
    pub fn needs_whole_lines(&self) -> bool {
        !matches!(self.style, Style::Text)
    }

    /// The time in the format that was asked for, of a moment in microseconds since 1970.
    fn time(&mut self, now: i64) -> Option<String> {
        let format = self.time_format.as_ref()?;
        let second = now.div_euclid(1_000_000);
        if second != self.second {
            self.second = second;
            self.times = format.iter().map(|piece| clock::strftime(piece, second)).collect();
        }
        Some(self.times.join(&format!("{:06}", now.rem_euclid(1_000_000))))
    }

    /// What stands before each line of a process that is written now, in microseconds since 1970.
    fn make_head(&mut self, pid: i32, now: i64) {
        let time = self.time(now);
        let now = now.div_euclid(1000);
        let mut head = String::new();
        // Writing to a String cannot fail.
        let _ = match (&self.style, time) {
            (Style::Text | Style::Fancy(_), time) => {
                if let Style::Fancy(Some(color)) = self.style {
                    let _ = write!(head, "\x1b[0;3{};40m", color + 1);
                }
                head.push_str(&self.prefix);
                time.map_or(Ok(()), |time| write!(head, "{time} [{pid}] | "))
            }
            (Style::Json(around), time) => {
                let time = escaped(&to_bytes(&time.unwrap_or_else(|| timestamp(now))));
                let prefix = escaped(&to_bytes(&self.prefix));
                let (before, behind) = &**around;
                write!(head, "{{\"time\": \"{time}\"{before}{pid}{behind}{prefix}")
            }
            (Style::Syslog(header), _) => write!(head, "{}{}", header.text(pid, now), self.prefix),
        };
        // A prefix may hold bytes that are no UTF-8; an object may not, and has been freed of them.
        self.head = match self.style {
            Style::Json(_) => head.into_bytes(),
            Style::Text | Style::Fancy(_) | Style::Syslog(_) => to_bytes(&head).into_owned(),
        };
    }

    /// Writes lines with what belongs around them into `room`. `within`: a line of this process has been begun.
    /// Answers the same for the end of the lines. `last`: what follows is no part of the last line.
    pub fn lines(
        &mut self,
        pid: i32,
        lines: &[u8],
        mut within: bool,
        last: bool,
        room: &mut Room<'_>,
    ) -> bool {
        self.make_head(pid, clock::realtime_us());
        let mut rest = lines;
        while let Some(line) = next_line(&mut rest) {
            let (text, ended) = match line {
                [text @ .., b'\n'] => (text, true),
                _ => (line, last && matches!(self.style, Style::Fancy(_))),
            };
            within = match self.style {
                Style::Text | Style::Fancy(_) => self.text(text, within, ended, room),
                Style::Json(_) | Style::Syslog(_) => self.record(text, room),
            };
            room.end_line();
        }
        within
    }

    /// Writes a line, or a part of one, for people.
    fn text(&self, text: &[u8], within: bool, whole: bool, room: &mut Room<'_>) -> bool {
        if !within {
            if matches!(self.style, Style::Fancy(_)) && text.is_empty() {
                return false;
            }
            room.bytes.extend_from_slice(&self.head);
        }
        room.bytes.extend_from_slice(text);
        if whole {
            if matches!(self.style, Style::Fancy(Some(_))) {
                room.bytes.extend_from_slice(b"\x1b[0m");
            }
            room.bytes.push(b'\n');
        }
        !whole
    }

    /// Writes a line, or a part of one that was too long, as something complete. An empty line is no message.
    fn record(&self, text: &[u8], room: &mut Room<'_>) -> bool {
        if matches!(self.style, Style::Json(_)) {
            room.bytes.extend_from_slice(&self.head);
            room.bytes.extend_from_slice(escaped(text).as_bytes());
            room.bytes.extend_from_slice(b"\"}\n");
            return false;
        }
        for part in text.chunks(SYSLOG_MAX) {
            room.bytes.extend_from_slice(&self.head);
            room.bytes.extend_from_slice(part);
            room.bytes.push(b'\n');
        }
        false
    }
}

/// A format of the time, cut where it has `%f`; `%%f` is none.
fn at_microseconds(format: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        let directive = (letter == '%').then(|| letters.next()).flatten();
        if directive == Some('f') {
            pieces.push(String::new());
        } else if let Some(piece) = pieces.last_mut() {
            piece.push(letter);
            piece.extend(directive);
        }
    }
    pieces
}

/// A moment in milliseconds since 1970 as RFC 3339 has it.
pub fn timestamp(now: i64) -> String {
    let seconds = clock::strftime_in(Zone::Utc, "%Y-%m-%dT%H:%M:%S", now.div_euclid(1000));
    format!("{seconds}.{:03}Z", now.rem_euclid(1000))
}

/// Bytes as the inside of a JSON string; what is no UTF-8 becomes U+FFFD.
pub fn escaped(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid();
        // What needs no escape is copied at once.
        while let Some((plain, c, after)) = split_at_escape(rest) {
            out.push_str(plain);
            match c {
                '\t' => out.push_str("\\t"),
                '"' | '\\' => out.extend(['\\', c]),
                // Writing to a String cannot fail.
                _ => drop(write!(out, "\\u{:04x}", u32::from(c))),
            }
            rest = after;
        }
        out.push_str(rest);
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
    out
}

/// The first character that a JSON string cannot hold as it is, with what stands before and behind it.
fn split_at_escape(text: &str) -> Option<(&str, char, &str)> {
    let at = text.bytes().position(|b| matches!(b, b'"' | b'\\' | ..=0x1f | 0x7f))?;
    let (plain, rest) = text.split_at_checked(at)?;
    let mut chars = rest.chars();
    Some((plain, chars.next()?, chars.as_str()))
}

/// Where lines are put together before they are written: a reused buffer that is written whenever it is full, always
/// between two lines.
pub struct Room<'a> {
    /// The buffer.
    pub bytes: &'a mut Vec<u8>,
    /// How many bytes are enough for a write.
    pub piece: usize,
    /// The write.
    pub write: &'a mut dyn FnMut(&[u8]),
}

impl Room<'_> {
    /// A line has been added.
    fn end_line(&mut self) {
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

    fn write(lines: &mut Lines, bytes: &[u8], within: bool, last: bool) -> (String, bool) {
        let (mut out, mut room) = (Vec::new(), Vec::new());
        let mut add = |piece: &[u8]| {
            assert!(lines_only(piece) || !bytes.ends_with(b"\n"));
            out.extend_from_slice(piece);
        };
        let mut room = Room { bytes: &mut room, piece: 10, write: &mut add };
        let within = lines.lines(7, bytes, within, last, &mut room);
        room.flush();
        (String::from_utf8(out).unwrap(), within)
    }

    fn lines_only(piece: &[u8]) -> bool {
        piece.ends_with(b"\n")
    }

    fn text(prefix: Option<&str>, time_format: &str) -> Lines {
        Lines::new(Style::Text, prefix, Some(time_format.into()).filter(|format: &String| !format.is_empty()))
    }

    #[test]
    fn a_stamp_begins_each_line_once() {
        let mut stamp = text(None, "T");
        assert_eq!(
            write(&mut stamp, b"a\n\nb", false, false),
            ("T [7] | a\nT [7] | \nT [7] | b".into(), true)
        );
        assert_eq!(write(&mut stamp, b"c\nd\n", true, false), ("c\nT [7] | d\n".into(), false));
        assert_eq!(write(&mut stamp, b"end", false, true), ("T [7] | end".into(), true));
        assert_eq!(write(&mut stamp, b"", false, true), (String::new(), false));
    }

    #[test]
    fn a_prefix_stands_before_everything_else() {
        assert_eq!(write(&mut text(Some("web[1]"), ""), b"a\nb\n", false, false).0, "web[1] a\nweb[1] b\n");
        assert_eq!(write(&mut text(Some("w"), "T"), b"a\n", false, false).0, "w T [7] | a\n");
        let mut fancy = Lines::new(Style::Fancy(None), Some("w"), Some("T".into()));
        assert_eq!(write(&mut fancy, b"a\n", false, false).0, "w T [7] | a\n");
    }

    #[test]
    fn the_time_is_the_local_one() {
        let mut stamp = text(None, "%Y-%m-%d %H");
        let now = || clock::strftime("%Y-%m-%d %H [7] | x", clock::realtime_ms() / 1000);
        let (before, (written, _), after) = (now(), write(&mut stamp, b"x", false, false), now());
        assert!(written == before || written == after, "{written}");
        assert_eq!(timestamp(1_795_392_000_042), "2026-11-23T00:00:00.042Z");
    }

    #[test]
    fn microseconds_stand_where_python_has_them() {
        for (format, shown) in [
            ("%S.%f", "05.000042"),
            ("%f", "000042"),
            ("%f%f|", "000042000042|"),
            ("%%f %S%%%f", "%f 05%000042"),
            ("%%%%f", "%%f"),
            ("T%", "T%"),
            ("é%f", "é000042"),
        ] {
            let mut lines = text(None, format);
            assert_eq!(lines.time(1_795_392_005_000_042).as_deref(), Some(shown), "{format}");
            let later = lines.time(1_795_392_005_999_999);
            assert_eq!(later, Some(shown.replace("000042", "999999")), "{format}");
        }
    }

    #[test]
    fn fancy_lines_have_a_colour_an_end_and_some_text() {
        let mut stamp = Lines::new(Style::Fancy(Some(2)), None, Some("T".into()));
        let yellow = "\x1b[0;33;40mT [7] | ";
        let expected = format!("{yellow}a\x1b[0m\n{yellow}b\x1b[0m\n");
        assert_eq!(write(&mut stamp, b"a\n\n\nb\n", false, false), (expected, false));
        assert_eq!(write(&mut stamp, b"end", false, true), (format!("{yellow}end\x1b[0m\n"), false));
        assert_eq!(write(&mut stamp, b"cut", false, false), (format!("{yellow}cut"), true));
        assert_eq!(write(&mut stamp, b" off\n", true, false), (" off\x1b[0m\n".into(), false));
        let mut plain = Lines::new(Style::Fancy(None), None, Some("T".into()));
        assert_eq!(write(&mut plain, b"a\n\nb", false, true), ("T [7] | a\nT [7] | b\n".into(), false));
    }

    #[test]
    fn a_line_becomes_a_json_object() {
        let around = (r#", "wid": 1, "pid": "#.to_string(), r#", "text": ""#.to_string());
        let mut lines = Lines::new(Style::Json(around.into()), Some("\"p\""), Some("T\"".into()));
        let (out, within) = write(&mut lines, b"a \"b\" \\ \x1b\t\xc3\xa9\xff\n\ncut", false, false);
        assert!(!within, "the rest of a line that was cut is an object of its own");
        let texts: Vec<serde_json::Value> = out.lines().map(|line| line.parse().unwrap()).collect();
        let texts: Vec<&str> = texts.iter().map(|object| object["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["\"p\" a \"b\" \\ \u{1b}\t\u{e9}\u{fffd}", "\"p\" ", "\"p\" cut"]);
        let first = out.lines().next().unwrap();
        assert!(first.starts_with(r#"{"time": "T\"", "wid": 1, "pid": 7, "text": ""#), "{first}");
        // Whatever stands in the options, it is an object in UTF-8.
        for odd in [&b"\x87"[..], "\u{10f887}".as_bytes()].map(crate::config::text::from_bytes) {
            let around = (r#", "pid": "#.to_string(), r#", "text": ""#.to_string());
            let mut lines = Lines::new(Style::Json(around.into()), Some(&odd), Some(odd.clone()));
            let (out, _) = write(&mut lines, b"x\n", false, false);
            assert!(out.parse::<serde_json::Value>().is_ok(), "{out}");
        }
    }

    #[test]
    fn a_line_becomes_a_syslog_message() {
        let header = super::super::syslog::header(&crate::config::StreamConfig::default(), "web", false);
        let mut lines = Lines::new(Style::Syslog(header.into()), None, None);
        let (out, _) = write(&mut lines, b"one\n\ntwo\n", false, false);
        let messages: Vec<&str> = out.lines().collect();
        assert_eq!(messages.len(), 2, "an empty line is no message");
        assert!(messages[0].starts_with("<30>1 2") && messages[0].ends_with(" web 7 - - one"), "{out}");
        let (out, _) = write(&mut lines, &[b'x'; SYSLOG_MAX + 5], false, false);
        assert!(out.ends_with(" - - xxxxx\n") && out.lines().count() == 2);
    }
}
