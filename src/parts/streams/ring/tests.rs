//! Tests of `ring`.

use super::*;

const BOTH: Wanted = Wanted { stdout: true, stderr: true, pid: None };

fn writer(pid: Pid, channel: Channel) -> Writer {
    Writer { watcher: WatcherId(3), pid, wid: 1, channel }
}

/// The standard output of this process.
pub(in super::super) fn writer_of(pid: Pid) -> Writer {
    writer(pid, Channel::Stdout)
}

/// Rings with one watcher, both of whose outputs are read.
fn rings(limit: usize) -> Rings {
    let mut rings = Rings::default();
    rings.open(WatcherId(3), Channel::Stdout, limit);
    rings.open(WatcherId(3), Channel::Stderr, limit);
    rings
}

fn text(line: &Line) -> String {
    String::from_utf8(line.text.clone()).unwrap() + if line.unfinished { "..." } else { "" }
}

fn lines(rings: &Rings, wanted: Wanted, most: usize) -> Vec<String> {
    rings.get(WatcherId(3)).unwrap().lines(wanted, most).iter().map(text).collect()
}

#[test]
fn lines_come_in_the_order_of_their_ends() {
    let mut rings = rings(4000);
    let (out, err, other) =
        (writer(7, Channel::Stdout), writer(7, Channel::Stderr), writer(8, Channel::Stdout));
    for (writer, bytes) in
        [(&out, "one\ntw"), (&err, "bad\n"), (&other, "eight\nni"), (&out, "o\nthree"), (&other, "ne\n")]
    {
        rings.note(writer, bytes.as_bytes());
    }
    assert_eq!(lines(&rings, BOTH, 99), ["one", "bad", "eight", "two", "nine", "three..."]);
    assert_eq!(lines(&rings, BOTH, 2), ["nine", "three..."]);
    rings.ended(&out);
    rings.note(&out, b"another\n");
    assert_eq!(lines(&rings, BOTH, 3), ["three", "nine", "another"]);
    assert_eq!(lines(&rings, BOTH, 0), [""; 0]);
    assert_eq!(lines(&rings, Wanted { stdout: false, ..BOTH }, 99), ["bad"]);
    assert_eq!(lines(&rings, Wanted { pid: Some(8), ..BOTH }, 99), ["eight", "nine"]);
    assert_eq!(lines(&rings, Wanted { pid: Some(9), ..BOTH }, 99), [""; 0]);
    let ring = rings.get(WatcherId(3)).unwrap();
    assert!(ring.knows(7) && ring.knows(8) && !ring.knows(9));
}

#[test]
fn of_much_output_the_newest_whole_lines_stay() {
    let mut rings = rings(400);
    let out = writer(7, Channel::Stdout);
    let many: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    rings.note(&out, many.as_bytes());
    let kept = lines(&rings, BOTH, 999);
    assert!(kept.len() > 10 && many.ends_with(&(kept.join("\n") + "\n")), "{kept:?}");
    for n in 1000..1100 {
        rings.note(&out, format!("line {n}\n").as_bytes());
    }
    let kept = lines(&rings, BOTH, 999);
    assert!(kept.len() > 10 && kept.first().unwrap().starts_with("line 10"), "{kept:?}");
    assert_eq!(kept.last().unwrap(), "line 1099");
}

#[test]
fn a_talkative_stdout_leaves_stderr_alone() {
    let mut rings = rings(400);
    rings.note(&writer(7, Channel::Stderr), b"the reason\n");
    for _ in 0..1000 {
        rings.note(&writer(7, Channel::Stdout), b"all is well\n");
    }
    assert_eq!(lines(&rings, Wanted { stdout: false, ..BOTH }, 9), ["the reason"]);
    assert_eq!(lines(&rings, BOTH, 999).first().unwrap(), "the reason");
}

#[test]
fn without_lines_the_newest_bytes_stay() {
    let mut rings = rings(400);
    rings.note(&writer(7, Channel::Stdout), &[b'x'; 5000]);
    rings.note(&writer(7, Channel::Stdout), b"yz");
    let kept = lines(&rings, BOTH, 9);
    assert!(kept[0].len() > 100 && kept[0].ends_with("xxyz..."), "{kept:?}");
}

#[test]
fn the_end_of_a_line_that_is_dropped_is_not_joined_to_what_came_before_it() {
    let all = |rings: &Rings| lines(rings, BOTH, 99);
    for begun in [&b"begun "[..], &[b'x'; 190], &[b'x'; 65_536]] {
        let mut rings = rings(400);
        rings.note(&writer(7, Channel::Stdout), begun);
        rings.note(&writer(7, Channel::Stdout), &[&[b'x'; 34_464][..], b"\nnext\n"].concat());
        assert_eq!(all(&rings), ["next"]);
    }
    // The same line in pieces of any size, with what another process writes in between.
    for size in [1, 7, 100, 190, 300, 4096] {
        let mut rings = rings(400);
        rings.note(&writer(8, Channel::Stdout), b"other");
        for piece in [&b"abc\n"[..], &[b'x'; 9999], b"\nnext\n"].concat().chunks(size) {
            rings.note(&writer(7, Channel::Stdout), piece);
        }
        rings.note(&writer(8, Channel::Stdout), b" line\n");
        let kept = all(&rings);
        let whole =
            |line: &str| ["next", "other line", " line"].contains(&line) || line.chars().all(|c| c == 'x');
        assert!(kept.contains(&"next".into()) && kept.iter().all(|line| whole(line)), "{size}: {kept:?}");
    }
}

#[test]
fn no_writers_and_no_limits_make_it_larger() {
    let mut seed = 9_u64;
    let mut below = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let mut rings = rings(1000);
    for step in 0..20_000 {
        let limit = [0, 20, 50, 300, 1000][below(5) as usize];
        if step % 100 == 0 {
            rings.resize(WatcherId(3), limit);
        }
        let channel = if below(2) == 0 { Channel::Stdout } else { Channel::Stderr };
        let end = below(7);
        let bytes: Vec<u8> =
            (0..below(90)).map(|at| if at % 7 == end { b'\n' } else { b'a' + (step % 26) as u8 }).collect();
        rings.note(&writer(below(4) as Pid, channel), &bytes);
        let ring = rings.get(WatcherId(3)).unwrap();
        for half in &ring.halves {
            let pieces: usize = half.pieces.iter().map(|piece| piece.length).sum();
            assert_eq!(pieces, half.bytes.len());
            assert!(half.bytes.len() + half.pieces.len() * MARK <= ring.share(), "step {step}");
            assert!(half.bytes.capacity() <= 500, "{}", half.bytes.capacity());
        }
        let numbers: Vec<u64> = ring.halves[0].pieces.iter().map(|piece| piece.number).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
        let all = ring.lines(BOTH, usize::MAX);
        let newlines = |half: &Half| half.bytes.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(
            all.iter().filter(|line| !line.unfinished).count(),
            newlines(&ring.halves[0]) + newlines(&ring.halves[1])
        );
    }
}

#[test]
fn it_takes_no_memory_before_something_is_written() {
    let mut rings = rings(16_384);
    let capacity = |rings: &Rings| {
        let ring = rings.get(WatcherId(3)).unwrap();
        ring.halves[0].bytes.capacity() + ring.halves[1].bytes.capacity() + ring.halves[0].pieces.capacity()
    };
    assert_eq!(capacity(&rings), 0);
    assert!(size_of::<Ring>() < 256);
    rings.note(&writer(7, Channel::Stdout), b"x");
    assert!((1..64).contains(&capacity(&rings)), "{}", capacity(&rings));
    rings.remove(WatcherId(3));
    assert!(rings.get(WatcherId(3)).is_none());
}

#[test]
fn only_who_is_followed_is_overheard() {
    let mut rings = rings(400);
    let out = writer(7, Channel::Stdout);
    rings.note(&out, b"before\n");
    assert_eq!(std::mem::take(&mut rings.heard), []);
    rings.follow(vec![WatcherId(3)]);
    rings.note(&Writer { watcher: WatcherId(4), ..out }, b"another\n");
    rings.note(&out, b"after\n");
    rings.ended(&out);
    let heard = [&b"after\n"[..], b""].map(|bytes| Heard { writer: out, bytes: bytes.to_vec() });
    assert_eq!(std::mem::take(&mut rings.heard), heard);
    assert_eq!(std::mem::take(&mut rings.heard), []);
}
