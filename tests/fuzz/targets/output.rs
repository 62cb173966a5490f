//! What is put around the lines of processes, and what is left of them for people to look at.

use circus::arbiter::WatcherId;
use circus::config::options::StreamOptions;
use circus::config::{Channel, StreamConfig, text};
use circus::control::plain::{plain, plain_json, plain_text};
use circus::parts::streams::Owner;
use circus::parts::streams::destination::Place;
use circus::parts::streams::format::Lines;
use serde_json::Value as Json;

/// The first line is the format of the time and the prefix; what follows comes in portions of different sizes.
pub fn formats(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (format, lines) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let format = text::from_bytes(format);
    let stamped = written(around("StdoutStream", "", "T", false), false, lines);
    assert_eq!(without(&stamped, b"T [7] | "), lines, "bytes were changed");
    let fancy = written(around("FancyStdoutStream", "", "T", false), true, lines);
    let texts: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(without(&fancy, b"T [7] | "), with_newlines(&texts), "lines were changed");
    json(&format, lines);
    for (class, records) in [("StdoutStream", false), ("FancyStdoutStream", true), ("SyslogStream", true)] {
        written(around(class, &format, &format, true), records, lines);
    }
}

/// What a class puts around lines.
fn around(class: &str, prefix: &str, time_format: &str, colors: bool) -> Option<Box<Lines>> {
    let text = |text: &str| Some(text.into());
    let mut options = StreamOptions { class: text(class), ..StreamOptions::default() };
    (options.prefix, options.time_format) = (text(prefix), text(time_format));
    let config = StreamConfig { options, ..StreamConfig::default() };
    let owner = Owner { watcher: WatcherId(0), channel: Channel::Stdout, wid: 1 };
    Lines::of(&config, "web", owner, &Place::Stdout, colors)
}

/// Each line is an object with its text, whatever the prefix and the format of the time are.
fn json(format: &str, lines: &[u8]) {
    let objects = written(around("JsonStream", format, format, false), true, lines);
    let texts =
        lines.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    let blank: &[u8] = if format.is_empty() { b"" } else { b" " };
    let prefix = [&*text::to_bytes(format), blank].concat();
    let mut objects = objects.split_inclusive(|byte| *byte == b'\n');
    for text in texts {
        let object: Json =
            serde_json::from_slice(objects.next().expect("an object a line")).expect("an object");
        let expected = [prefix.as_slice(), text].concat();
        // Bytes that are no UTF-8 become a sign, together or one by one.
        let clean = |text: &str| text.replace(char::REPLACEMENT_CHARACTER, "");
        let (found, expected) =
            (object["text"].as_str().unwrap_or_default(), String::from_utf8_lossy(&expected));
        assert_eq!(clean(found), clean(&expected));
    }
    assert_eq!(objects.next(), None);
}

/// The lines in portions of different sizes; of records only whole ones, as the sink delivers them.
fn written(style: Option<Box<Lines>>, records: bool, lines: &[u8]) -> Vec<u8> {
    let Some(mut style) = style else { return lines.to_vec() };
    let (mut out, mut room) = (Vec::new(), Vec::new());
    let mut within = false;
    let mut rest = lines;
    for size in [1, 3, 10, 100, 1000].into_iter().cycle() {
        let cut = if records { whole(rest, size) } else { size.min(rest.len()) };
        let (now, later) = rest.split_at(cut);
        let mut add = |piece: &[u8]| out.extend_from_slice(piece);
        within = style.write(7, now, within, later.is_empty(), &mut room, &mut add);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    out
}

/// How many of the bytes are whole lines, of about this size.
fn whole(bytes: &[u8], size: usize) -> usize {
    let from = size.min(bytes.len());
    bytes.iter().skip(from).position(|byte| *byte == b'\n').map_or(bytes.len(), |n| from + n + 1)
}

/// The text without what stands at the beginning of each line.
fn without(text: &[u8], stamp: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(line.strip_prefix(stamp).expect("each line has its stamp"));
    }
    out
}

fn with_newlines(lines: &[&[u8]]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
}

/// Nothing that commands a terminal is left.
pub fn shown(input: &[u8]) {
    for line in input.split(|byte| *byte == b'\n') {
        let line = text::from_bytes(line);
        let shown = plain(&line);
        assert!(shown.len() <= line.len());
        assert!(shown.chars().all(|c| c == '\t' || !c.is_control()), "{shown:?}");
        assert_eq!(plain(&shown), shown, "what is plain is changed");
    }
    let is_harmless = |text: &str| text.chars().all(|c| matches!(c, '\t' | '\n') || !c.is_control());
    let whole = plain_text(&text::from_bytes(input));
    assert!(is_harmless(&whole) && whole.split('\n').count() == input.split(|byte| *byte == b'\n').count());
    let json = plain_json(input);
    assert!(is_harmless(&json), "{json:?}");
    if let Ok(value) = serde_json::from_slice::<Json>(input) {
        assert_eq!(serde_json::from_str::<Json>(&json).ok(), Some(value), "it says something else: {json}");
    }
}
