//! What is put around the lines of processes, and what is left of them for people to look at.

use circus::config::{StreamConfig, text};
use circus::control::plain::plain;
use circus::parts::streams::format::{Lines, Room, Style};
use circus::parts::streams::syslog::header;
use serde_json::Value as Json;

/// The first line is the format of the time and the prefix; what follows comes in portions of different sizes.
pub fn formats(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (format, lines) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let format = text::from_bytes(format);
    let time = || Some("T".to_string());
    let stamped = written(Lines::new(Style::Text, None, time()), lines);
    assert_eq!(without(&stamped, b"T [7] | "), lines, "bytes were changed");
    let fancy = written(Lines::new(Style::Fancy(None), None, time()), lines);
    let texts: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(without(&fancy, b"T [7] | "), with_newlines(&texts), "lines were changed");
    json(&format, lines);
    let syslog = |local| Style::Syslog(header(&StreamConfig::default(), &format, local).into());
    for style in [Style::Text, Style::Fancy(Some(3)), syslog(true), syslog(false)] {
        written(Lines::new(style, Some(&format), Some(format.clone())), lines);
    }
}

/// Each line is an object with its text, whatever the prefix and the format of the time are.
fn json(format: &str, lines: &[u8]) {
    let around = (r#", "pid": "#.to_string(), r#", "text": ""#.to_string());
    let objects = written(Lines::new(Style::Json(around.into()), Some(format), Some(format.into())), lines);
    let texts =
        lines.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    let prefix = [&*text::to_bytes(format), b" "].concat();
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

fn written(mut style: Lines, lines: &[u8]) -> Vec<u8> {
    let (mut out, mut bytes) = (Vec::new(), Vec::new());
    let mut within = false;
    let mut rest = lines;
    for size in [1, 3, 10, 100, 1000].into_iter().cycle() {
        // Only whole lines, as the sink delivers them to what needs them.
        let cut = if style.needs_whole_lines() { whole(rest, size) } else { size.min(rest.len()) };
        let (now, later) = rest.split_at(cut);
        let mut add = |piece: &[u8]| out.extend_from_slice(piece);
        let mut room = Room { bytes: &mut bytes, piece: 64, write: &mut add };
        within = style.lines(7, now, within, later.is_empty(), &mut room);
        room.flush();
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
}
