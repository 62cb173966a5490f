//! What is put around the lines of processes.

use circus::daemon::streams::format::{Room, Stamp};

/// The first line is the format of the time; what follows comes in portions of different sizes.
pub fn formats(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (format, lines) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let format = String::from_utf8_lossy(format).into_owned();
    // Its own time: the stamp may be of the next second when it is made a second time.
    let plain = stamped(Stamp::new("T".into()), lines);
    assert_eq!(without(&plain, b"T [7] | "), lines, "bytes were changed");
    let fancy = stamped(Stamp::fancy("T".into(), None), lines);
    let of_text: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(without(&fancy, b"T [7] | "), with_newlines(&of_text), "lines were changed");
    stamped(Stamp::new(format.clone()), lines);
    stamped(Stamp::fancy(format, Some(3)), lines);
}

fn stamped(mut stamp: Stamp, lines: &[u8]) -> Vec<u8> {
    let (mut out, mut bytes) = (Vec::new(), Vec::new());
    let mut within = false;
    let mut rest = lines;
    for size in [1, 3, 10, 100, 1000].into_iter().cycle() {
        // Only whole lines, as the sink delivers them to a stamp that needs them.
        let cut = if stamp.needs_whole_lines() { whole(rest, size) } else { size.min(rest.len()) };
        let (now, later) = rest.split_at(cut);
        let mut add = |piece: &[u8]| out.extend_from_slice(piece);
        let mut room = Room { bytes: &mut bytes, piece: 64, write: &mut add };
        within = stamp.lines(7, now, within, later.is_empty(), &mut room);
        room.flush();
        rest = later;
        if rest.is_empty() {
            return out;
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
