//! The ring of output that `tail` shows, against a memory that forgets nothing.

use crate::seeds::Examples;
use circus::arbiter::WatcherId;
use circus::arbiter::request::Wanted;
use circus::config::Channel;
use circus::fuzzed::Writer;
use circus::parts::streams::ring::{Line, Rings};
use std::collections::BTreeMap;

const WATCHER: WatcherId = WatcherId(3);
const BOTH: Wanted = Wanted { stdout: true, stderr: true, pid: None };

/// Steps of two bytes, what is done and how much of what follows is written.
pub fn steps(_: &Examples) -> Vec<Vec<u8>> {
    let texts: [&[u8]; 4] = [
        b"\x00\x05one\ntw\x01\x04bad\n\x02\x03x\ny\x00\x02o\n\x38\x00\x00\x02z\n",
        b"\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\x01\x10bbbbbbbbbbbbbbb\n",
        b"\x30\x08\x00\x04a\nbc\x38\x01\x00\x01d\x30\xff\x28\x00\x00\x02e\n",
        b"\x00\x00\x00\x01\n\x00\x01\n\x04\x03\n\n\n",
    ];
    texts.map(<[u8]>::to_vec).into()
}

/// All lines of one output of one process; true: it was ended.
type Written = Vec<(Vec<u8>, bool)>;

fn write(lines: &mut Written, bytes: &[u8]) {
    for part in bytes.split_inclusive(|byte| *byte == b'\n') {
        if lines.last().is_none_or(|(_, ended)| *ended) {
            lines.push((Vec::new(), false));
        }
        let Some((text, ended)) = lines.last_mut() else { return };
        *ended = part.ends_with(b"\n");
        text.extend_from_slice(part.strip_suffix(b"\n").unwrap_or(part));
    }
}

/// What is kept of one process is the end of what it has written; only the first line may lack its beginning.
fn is_the_end(kept: &[&Line], written: &Written) -> bool {
    let Some(skipped) = written.len().checked_sub(kept.len()) else { return false };
    kept.iter().zip(&written[skipped..]).enumerate().all(|(n, (kept, (text, ended)))| {
        kept.unfinished != *ended && (kept.text == *text || n == 0 && text.ends_with(&kept.text))
    })
}

pub fn run(input: &[u8]) {
    let (mut rings, mut limit) = (Rings::default(), 400);
    rings.open(WATCHER, Channel::Stdout, limit);
    let mut written: BTreeMap<(i32, bool), Written> = BTreeMap::new();
    let mut totals = [0_u64; 2];
    let mut rest = input;
    for n in 0_usize.. {
        let [step, size, following @ ..] = rest else { break };
        let (pid, stderr) = (i32::from(step & 3) + 1, step & 4 != 0);
        let channel = if stderr { Channel::Stderr } else { Channel::Stdout };
        let writer = Writer { watcher: WATCHER, pid, wid: 1, channel };
        let mut used = 0;
        match step >> 3 & 7 {
            7 => {
                rings.ended(&writer);
                written.entry((pid, stderr)).or_default().iter_mut().for_each(|(_, ended)| *ended = true);
            }
            6 => {
                limit = usize::from(*size) * 4;
                rings.resize(WATCHER, limit);
            }
            5 if *size == 0 => rings.clear(),
            5 => rings.open(WATCHER, channel, limit),
            _ => {
                used = following.len().min(usize::from(*size));
                // From a pipe at least a byte is read, and only from one that is open.
                let is_open = rings.get(WATCHER).is_some_and(|ring| ring.total(channel).is_some());
                if used > 0 && is_open {
                    rings.note(&writer, &following[..used]);
                    write(written.entry((pid, stderr)).or_default(), &following[..used]);
                    totals[usize::from(stderr)] += used as u64;
                }
            }
        }
        rest = &following[used..];
        // To look after each of thousands takes long.
        if n < 32 || n.is_multiple_of(16) {
            check(&rings, limit, &written, totals);
        }
    }
    check(&rings, limit, &written, totals);
}

fn check(rings: &Rings, limit: usize, written: &BTreeMap<(i32, bool), Written>, totals: [u64; 2]) {
    let ring = rings.get(WATCHER).expect("the ring");
    let all = ring.lines(BOTH, usize::MAX);
    assert!(all.iter().map(|line| line.text.len()).sum::<usize>() <= limit, "more is kept than may be");
    for most in [0, 1, 3] {
        assert_eq!(ring.lines(BOTH, most), all[all.len().saturating_sub(most)..], "the last {most}");
    }
    for ((pid, stderr), written) in written {
        let channel = if *stderr { Channel::Stderr } else { Channel::Stdout };
        let theirs: Vec<&Line> = all.iter().filter(|it| it.pid == *pid && it.channel == channel).collect();
        assert!(is_the_end(&theirs, written), "of {pid}: {theirs:?}, written was {written:?}");
        assert!(theirs.is_empty() || ring.knows(*pid));
        let wanted = Wanted { stdout: !stderr, stderr: *stderr, pid: Some(*pid) };
        assert!(ring.lines(wanted, usize::MAX).iter().eq(theirs), "asked for {pid} alone");
    }
    assert_eq!(ring.total(Channel::Stdout), Some(totals[0]));
    assert_eq!(ring.total(Channel::Stderr).unwrap_or(0), totals[1]);
}
