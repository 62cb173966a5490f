//! What is put around the lines of a process: a prefix, the time and its pid, colours; or what makes a JSON object or
//! a syslog message of a line.

use super::destination::Place;
use super::sink::Owner;
use super::syslog;
use crate::config::text::to_bytes;
use crate::config::{StreamConfig, StreamKind};
use crate::sys::clock::{self, Zone};
use std::hash::{BuildHasher, RandomState};
use std::io::BufRead;

/// The colours of FancyStdoutStream. Their codes count from 1.
pub const COLORS: [&str; 7] = ["red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/// The longest text of one syslog message, in bytes: what usual daemons take.
const SYSLOG_MAX: usize = 8000;

/// How many bytes of lines are written at once.
const PIECE: usize = 64 * 1024;

/// The format of the time when FancyStdoutStream names none, as in Circus.
const FANCY_TIME: &str = "%Y-%m-%d %H:%M:%S";

/// The place of a colour in [`COLORS`]; one at random where none is named.
///
/// # Errors
/// There is none of that name, in a sentence.
pub fn color(name: Option<&str>) -> Result<usize, String> {
    // The seed of the standard library's hash tables is chance enough.
    let Some(name) = name else { return Ok(RandomState::new().hash_one(0_u8) as usize % COLORS.len()) };
    let known = COLORS.iter().position(|known| known.eq_ignore_ascii_case(name));
    known.ok_or_else(|| format!("color = {name} is none of {}: one is chosen at random", COLORS.join(" ")))
}

/// A format of the time.
struct Time {
    zone: Zone,
    /// As in strftime(3), cut at each `%f`, where Python's has the microseconds; and how many digits of them are shown.
    format: Vec<String>,
    digits: usize,
    /// The second since 1970 that was shown last, and how.
    second: i64,
    shown: Vec<Vec<u8>>,
}

impl Time {
    fn new(zone: Zone, format: &str, digits: usize) -> Self {
        Time { zone, format: at_microseconds(format), digits, second: i64::MIN, shown: Vec::new() }
    }

    /// In the format that is given, or else in that of RFC 3339.
    fn or_rfc3339(given: &str) -> Self {
        match given {
            "" => Time::new(Zone::Utc, "%Y-%m-%dT%H:%M:%S.%fZ", 3),
            given => Time::new(Zone::Local, given, 6),
        }
    }

    /// A moment in microseconds since 1970, as part of a JSON string if that is asked for.
    fn show(&mut self, now: i64, json: bool) -> Vec<u8> {
        let second = now.div_euclid(1_000_000);
        if second != self.second {
            self.second = second;
            let shown = |piece: &String| encoded(&clock::strftime_in(self.zone, piece, second), json);
            self.shown = self.format.iter().map(shown).collect();
        }
        let digits = format!("{:06}", now.rem_euclid(1_000_000));
        self.shown.join(digits.as_bytes().get(..self.digits).unwrap_or_default())
    }
}

/// A format of the time, cut where it has `%f`; `%%f` is none.
fn at_microseconds(format: &str) -> Vec<String> {
    let format = format.replace("%%", "\0");
    format.split("%f").map(|piece| piece.replace('\0', "%%")).collect()
}

/// Puts something around lines.
pub struct Lines {
    kind: StreamKind,
    /// What stands before the time, between that and the number of the process, and behind both; the first alone where
    /// there is no time.
    around: [Vec<u8>; 3],
    time: Option<Time>,
    colored: bool,
    /// What stands before the lines that are being written.
    head: Vec<u8>,
}

impl Lines {
    /// What the options of a stream put around its lines; nothing: they are written as they are. `colors`: they may be
    /// shown.
    pub fn of(
        config: &StreamConfig,
        watcher: &str,
        owner: Owner,
        place: &Place,
        colors: bool,
    ) -> Option<Box<Self>> {
        let (kind, options) = (config.kind(), &config.options);
        let mut prefix = options.prefix.as_deref().unwrap_or_default().to_string();
        if !prefix.is_empty() {
            prefix.push(' ');
        }
        let mut format = options.time_format.as_deref().unwrap_or_default();
        let (json, fancy) = (kind == StreamKind::Json, kind == StreamKind::FancyStdout);
        let colored = colors && fancy;
        let text = |text: &str| String::from_utf8(encoded(text, json)).unwrap_or_default();
        let (around, time) = if json {
            let (watcher, wid, channel) = (text(watcher), owner.wid, owner.channel.name());
            let between = format!("\", \"watcher\": \"{watcher}\", \"wid\": {wid}, \"pid\": ");
            let behind = format!(", \"stream\": \"{channel}\", \"text\": \"{}", text(&prefix));
            (["{\"time\": \"".into(), between, behind], Some(Time::or_rfc3339(format)))
        } else if kind == StreamKind::Syslog {
            let local = matches!(place, Place::Syslog(address) if address.is_local());
            let [before, between, behind] = syslog::around(config, watcher, local);
            let time = Time::or_rfc3339(if local { syslog::LOCAL_TIME } else { "" });
            ([before, between, behind + &prefix], Some(time))
        } else {
            let color = color(options.color.as_deref()).or_else(|_| color(None)).unwrap_or_default() + 1;
            let before = if colored { format!("\x1b[0;3{color};40m{prefix}") } else { prefix };
            format = if fancy && format.is_empty() { FANCY_TIME } else { format };
            if before.is_empty() && format.is_empty() {
                return None;
            }
            let time = (!format.is_empty()).then(|| Time::new(Zone::Local, format, 6));
            ([before, " [".into(), "] | ".into()], time)
        };
        // A prefix may hold bytes that are no UTF-8; an object may not, and has been freed of them.
        let bytes = |text: String| if json { text.into_bytes() } else { to_bytes(&text).into_owned() };
        Some(Box::new(Lines { kind, around: around.map(bytes), time, colored, head: Vec::new() }))
    }

    /// What stands before each line of a process that is written now.
    fn make_head(&mut self, pid: i32) {
        let [before, between, behind] = &self.around;
        self.head.clone_from(before);
        if let Some(time) = &mut self.time {
            let time = time.show(clock::realtime_us(), self.kind == StreamKind::Json);
            for part in [time.as_slice(), between, pid.to_string().as_bytes(), behind] {
                self.head.extend_from_slice(part);
            }
        }
    }

    /// Writes lines with what belongs around them, always between two of them. `within`: a line of this process has
    /// been begun. Answers the same for the end of the lines. `last`: what follows is no part of the last line. They
    /// are put together in `room`, which is empty before and after.
    pub fn write(
        &mut self,
        pid: i32,
        lines: &[u8],
        mut within: bool,
        last: bool,
        room: &mut Vec<u8>,
        write: &mut dyn FnMut(&[u8]),
    ) -> bool {
        self.make_head(pid);
        let mut rest = lines;
        while let Some(line) = next_line(&mut rest) {
            let (text, ended) = match line {
                [text @ .., b'\n'] => (text, true),
                _ => (line, last && self.kind == StreamKind::FancyStdout),
            };
            within = self.line(text, within, ended, room);
            if room.len() >= PIECE || rest.is_empty() && !room.is_empty() {
                write(room);
                room.clear();
            }
        }
        within
    }

    /// Puts a line, or a part of one, into `room`. What is a record is complete even if it was too long; of the others
    /// a part may be within a line, as is answered for what follows.
    fn line(&self, text: &[u8], within: bool, ended: bool, room: &mut Vec<u8>) -> bool {
        match self.kind {
            StreamKind::Json => {
                room.extend_from_slice(&self.head);
                escape(text, room);
                room.extend_from_slice(b"\"}\n");
                return false;
            }
            StreamKind::Syslog => {
                for part in text.chunks(SYSLOG_MAX) {
                    [self.head.as_slice(), part, b"\n"]
                        .iter()
                        .for_each(|piece| room.extend_from_slice(piece));
                }
                return false;
            }
            StreamKind::FancyStdout if !within && text.is_empty() => return false,
            _ if !within => room.extend_from_slice(&self.head),
            _ => {}
        }
        room.extend_from_slice(text);
        if ended {
            room.extend_from_slice(if self.colored { b"\x1b[0m\n" } else { b"\n" });
        }
        !ended
    }
}

/// Text of the configuration as the bytes that it stands for, or as the inside of a JSON string.
fn encoded(text: &str, json: bool) -> Vec<u8> {
    let bytes = to_bytes(text);
    if !json {
        return bytes.into_owned();
    }
    let mut out = Vec::new();
    escape(&bytes, &mut out);
    out
}

/// Adds bytes as the inside of a JSON string; what is no UTF-8 becomes U+FFFD.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    // Writing to a vector cannot fail.
    let _ = serde_json::to_writer(&mut *out, &*String::from_utf8_lossy(text));
    // Without the quotes.
    out.pop();
    out.remove(begin);
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
    use crate::arbiter::WatcherId;
    use crate::config::Channel;
    use crate::config::options::StreamOptions;

    fn write(lines: &mut Lines, bytes: &[u8], within: bool, last: bool) -> (String, bool) {
        let (mut out, mut room) = (Vec::new(), Vec::new());
        let mut add = |piece: &[u8]| {
            assert!(piece.ends_with(b"\n") || !bytes.ends_with(b"\n"));
            out.extend_from_slice(piece);
        };
        let within = lines.write(7, bytes, within, last, &mut room, &mut add);
        (String::from_utf8(out).unwrap(), within)
    }

    fn lines(class: &str, prefix: &str, time_format: &str, color: &str) -> Box<Lines> {
        let text = |text: &str| (!text.is_empty()).then(|| text.into());
        let mut options = StreamOptions::default();
        (options.class, options.prefix) = (text(class), text(prefix));
        (options.time_format, options.color) = (text(time_format), text(color));
        let owner = Owner { watcher: WatcherId(0), channel: Channel::Stdout, wid: 1 };
        let config = StreamConfig { options, ..StreamConfig::default() };
        Lines::of(&config, "web", owner, &Place::Stdout, !color.is_empty()).unwrap()
    }

    #[test]
    fn pieces_are_whole_lines() {
        let text = format!("{}\n", "x".repeat(1000)).repeat(200);
        let mut stamp = lines("", "w", "", "");
        assert_eq!(write(&mut stamp, text.as_bytes(), false, false).0.len(), 200 * 1003);
    }

    #[test]
    fn a_stamp_begins_each_line_once() {
        let mut stamp = lines("", "", "T", "");
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
        assert_eq!(
            write(&mut lines("", "web[1]", "", ""), b"a\nb\n", false, false).0,
            "web[1] a\nweb[1] b\n"
        );
        assert_eq!(write(&mut lines("", "w", "T", ""), b"a\n", false, false).0, "w T [7] | a\n");
        let mut fancy = lines("FancyStdoutStream", "w", "T", "");
        assert_eq!(write(&mut fancy, b"a\n", false, false).0, "w T [7] | a\n");
    }

    #[test]
    fn the_time_is_the_local_one() {
        let mut stamp = lines("", "", "%Y-%m-%d %H", "");
        let now = || clock::strftime("%Y-%m-%d %H [7] | x", clock::realtime_ms() / 1000);
        let (before, (written, _), after) = (now(), write(&mut stamp, b"x", false, false), now());
        assert!(written == before || written == after, "{written}");
        let shown = Time::or_rfc3339("").show(1_795_392_000_042_999, false);
        assert_eq!(shown, b"2026-11-23T00:00:00.042Z");
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
            let mut time = Time::or_rfc3339(format);
            assert_eq!(time.show(1_795_392_005_000_042, false), shown.as_bytes(), "{format}");
            let later = time.show(1_795_392_005_999_999, false);
            assert_eq!(later, shown.replace("000042", "999999").as_bytes(), "{format}");
        }
    }

    #[test]
    fn fancy_lines_have_a_colour_an_end_and_some_text() {
        let mut stamp = lines("FancyStdoutStream", "", "T", "yellow");
        let yellow = "\x1b[0;33;40mT [7] | ";
        let expected = format!("{yellow}a\x1b[0m\n{yellow}b\x1b[0m\n");
        assert_eq!(write(&mut stamp, b"a\n\n\nb\n", false, false), (expected, false));
        assert_eq!(write(&mut stamp, b"end", false, true), (format!("{yellow}end\x1b[0m\n"), false));
        assert_eq!(write(&mut stamp, b"cut", false, false), (format!("{yellow}cut"), true));
        assert_eq!(write(&mut stamp, b" off\n", true, false), (" off\x1b[0m\n".into(), false));
        let mut plain = lines("FancyStdoutStream", "", "T", "");
        assert_eq!(write(&mut plain, b"a\n\nb", false, true), ("T [7] | a\nT [7] | b\n".into(), false));
    }

    #[test]
    fn a_line_becomes_a_json_object() {
        let mut json = lines("JsonStream", "\"p\"", "T\"", "");
        let (out, within) = write(&mut json, b"a \"b\" \\ \x1b\t\xc3\xa9\xff\n\ncut", false, false);
        assert!(!within, "the rest of a line that was cut is an object of its own");
        let texts: Vec<serde_json::Value> = out.lines().map(|line| line.parse().unwrap()).collect();
        let texts: Vec<&str> = texts.iter().map(|object| object["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["\"p\" a \"b\" \\ \u{1b}\t\u{e9}\u{fffd}", "\"p\" ", "\"p\" cut"]);
        let first = out.lines().next().unwrap();
        assert!(
            first.starts_with(
                r#"{"time": "T\"", "watcher": "web", "wid": 1, "pid": 7, "stream": "stdout", "text": ""#
            ),
            "{first}"
        );
        // Whatever stands in the options, it is an object in UTF-8.
        for odd in [&b"\x87"[..], "\u{10f887}".as_bytes()].map(crate::config::text::from_bytes) {
            let (out, _) = write(&mut lines("JsonStream", &odd, &odd, ""), b"x\n", false, false);
            assert!(out.parse::<serde_json::Value>().is_ok(), "{out}");
        }
    }

    #[test]
    fn a_line_becomes_a_syslog_message() {
        let mut lines = lines("SyslogStream", "", "", "");
        let (out, _) = write(&mut lines, b"one\n\ntwo\n", false, false);
        let messages: Vec<&str> = out.lines().collect();
        assert_eq!(messages.len(), 2, "an empty line is no message");
        assert!(messages[0].starts_with("<30>1 2") && messages[0].ends_with(" web 7 - - one"), "{out}");
        let (out, _) = write(&mut lines, &[b'x'; SYSLOG_MAX + 5], false, false);
        assert!(out.ends_with(" - - xxxxx\n") && out.lines().count() == 2);
    }
}
