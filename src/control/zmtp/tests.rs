//! The conversation with each kind of peer, cut anywhere; what is refused; and bytes that are no conversation.

use super::*;
use crate::control::frame::LIMIT;

const GREETING: usize = SIGNATURE + REST_OF_GREETING;

/// A peer, and what has come from it.
#[derive(Default)]
struct Spoken(Inbox, Peer);

impl Spoken {
    fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    fn next(&mut self) -> Option<Input<'_>> {
        self.1.next(&mut self.0)
    }
}

/// An input, as text.
fn show(input: Input<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match input {
        Input::Request { json, envelope } => format!("request {} behind {envelope:?}", text(json)),
        Input::TooLong { envelope } => format!("too long behind {envelope:?}"),
        Input::Send(bytes) if bytes.len() == GREETING => "send greeting".into(),
        Input::Send(bytes) => format!("send {}", text(&bytes[3..])),
        Input::Subscribe(topic) => format!("subscribe {topic:?}"),
        Input::Cancel(topic) => format!("cancel {topic:?}"),
        Input::Refused { why, last_words } => format!("refused: {why} {}", last_words.len()),
    }
}

/// What a peer says with these bytes, read in pieces of `size`.
fn said_by(bytes: &[u8], size: usize) -> Vec<String> {
    let (mut peer, mut said) = (Spoken::default(), Vec::new());
    for piece in bytes.chunks(size) {
        peer.push(piece);
        while let Some(input) = peer.next() {
            said.push(show(input));
        }
    }
    said
}

fn greeting(mechanism: &[u8]) -> Vec<u8> {
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1];
    greeting.extend_from_slice(mechanism);
    greeting.resize(GREETING, 0);
    greeting
}

fn command(name: &str, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    append(&mut frame, COMMAND, &[&[name.len() as u8], name.as_bytes(), data]);
    frame
}

/// The beginning of a conversation, up to READY.
fn begin(kind: &str) -> Vec<u8> {
    let mut bytes = greeting(b"NULL");
    let length = (kind.len() as u32).to_be_bytes();
    let identity = b"\x08Identity\0\0\0\x02me";
    bytes.extend(command("READY", &[identity, &b"\x0bSocket-Type"[..], &length, kind.as_bytes()].concat()));
    bytes
}

fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    append(&mut frame, flags, &[body]);
    frame
}

/// What is said after READY, which is the same however the bytes are cut.
#[track_caller]
fn after_ready(kind: &str, more: &[u8]) -> Vec<String> {
    let bytes = [begin(kind), more.to_vec()].concat();
    let whole = said_by(&bytes, bytes.len());
    for size in 1..bytes.len().min(200) {
        assert_eq!(said_by(&bytes, size), whole, "in pieces of {size}");
    }
    assert_eq!(whole[0], "send greeting");
    assert!(whole[1].contains("READY\u{b}Socket-Type\0\0\0"), "{whole:?}");
    whole[2..].to_vec()
}

#[test]
fn a_dealer_sends_requests() {
    let long = vec![b'x'; 300];
    let more = [frame(0, b"{}"), frame(0, b""), frame(0, &long), vec![LONG, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    let said = after_ready("DEALER", &more);
    let long = format!("request {} behind []", String::from_utf8_lossy(&long));
    assert_eq!(said, ["request {} behind []", "request  behind []", &long, "request  behind []"]);
}

#[test]
fn what_stands_before_the_request_goes_back_before_the_reply() {
    let more = [frame(MORE, b""), frame(0, b"{}"), frame(0, b"[]")].concat();
    assert_eq!(after_ready("REQ", &more), ["request {} behind [1, 0]", "request [] behind []"]);
    assert_eq!(reply(&[1, 0], b"{}"), [1, 0, 0, 2, b'{', b'}']);
    assert_eq!(reply(&[], &[7; 256])[..10], [2, 0, 0, 0, 0, 0, 0, 1, 0, 7]);
}

#[test]
fn a_subscriber_says_what_it_wants() {
    let more = [
        frame(0, b"\x01watcher."),
        frame(0, b"\x01"),
        frame(0, b"\0watcher."),
        command("SUBSCRIBE", b"x"),
        command("CANCEL", b"x"),
        frame(0, b"\x01\xff"),
        frame(0, b"\x02?"),
        [frame(MORE, b"?"), frame(0, b"")].concat(),
        frame(0, b"\x01end"),
    ]
    .concat();
    let said = after_ready("SUB", &more);
    let wanted = ["subscribe \"watcher.\"", "subscribe \"\"", "cancel \"watcher.\"", "subscribe \"x\""];
    assert_eq!(said[..4], wanted);
    assert_eq!(said[4..], ["cancel \"x\"", "subscribe \"end\""]);
    assert_eq!(event("a", b"{}"), [1, 1, b'a', 0, 2, b'{', b'}']);
}

#[test]
fn a_heartbeat_is_answered_with_its_context() {
    let more = [command("PING", b"\0\x0ahello"), command("PING", b""), command("PONG", b"?")].concat();
    for kind in ["DEALER", "SUB"] {
        assert_eq!(after_ready(kind, &more), ["send PONGhello", "send PONG"]);
    }
    let long = after_ready("SUB", &command("PING", &[b'x'; 40]));
    assert_eq!(long, [format!("send PONG{}", "x".repeat(16))]);
}

#[test]
fn a_message_that_is_too_long_is_skipped_and_reported_once() {
    let mut peer = Spoken::default();
    peer.push(&begin("DEALER"));
    while peer.next().is_some() {}
    let mut said = Vec::new();
    let long = [frame(0, &vec![b'x'; 9 * LIMIT]), frame(0, b"{}")].concat();
    for piece in long.chunks(64 << 10) {
        peer.push(piece);
        while let Some(input) = peer.next() {
            said.push(show(input));
        }
        assert!(peer.0.held() <= 2 * LIMIT + (128 << 10));
    }
    assert_eq!(said, ["too long behind []", "request {} behind []"]);
    assert!(
        said_by(&[begin("DEALER"), frame(0, &vec![b'x'; LIMIT])].concat(), LIMIT)[2]
            .starts_with("request xxx")
    );
    // So is one with too much before its last frame.
    let more =
        [frame(MORE, &[b'x'; 250]), frame(MORE, &[b'y'; 5]), frame(0, b"{}"), frame(0, b"[]")].concat();
    let said = after_ready("DEALER", &more);
    assert!(said[0].starts_with("too long behind [1, 250, 120") && said.len() == 2, "{said:?}");
    assert_eq!(said[1], "request [] behind []");
    // A length that nothing could ever have only means that nothing more is understood.
    let endless = [&[LONG][..], &[0xff; 8], b"{}"].concat();
    assert_eq!(after_ready("DEALER", &endless), ["too long behind []"]);
}

#[test]
fn peers_that_cannot_be_served_are_told_why() {
    let refused = |bytes: &[u8]| said_by(bytes, 7).pop().unwrap();
    for (bytes, why) in [
        (b"\xff\0\0\0\0\0\0\0\x01\0".to_vec(), "speaks no ZMTP"),
        (b"\x01\0\0\0\0\0\0\0\x01\x7f".to_vec(), "speaks no ZMTP"),
        ([&greeting(b"NULL")[..10], &[2; 54]].concat(), "a version of ZMTP before 3.0"),
        (greeting(b"PLAIN"), "another security mechanism"),
        (greeting(b"NULLX"), "another security mechanism"),
        ([greeting(b"NULL"), frame(0, b"x")].concat(), "a message before READY"),
        ([greeting(b"NULL"), frame(MORE, b"x")].concat(), "a message before READY"),
        ([greeting(b"NULL"), command("PING", b"")].concat(), "something else than READY"),
        ([greeting(b"NULL"), command("READY", b"")].concat(), "only DEALER, REQ and SUB"),
        ([greeting(b"NULL"), command("READY", b"\x0bSocket-Type\0\0\0\x09DEALER")].concat(), "only DEALER"),
        ([greeting(b"NULL"), command("ERROR", b"\x01x")].concat(), "reports an error"),
        ([greeting(b"NULL"), frame(COMMAND, b"\x09READY")].concat(), "without a name"),
        ([greeting(b"NULL"), frame(COMMAND, b"")].concat(), "without a name"),
        ([greeting(b"NULL"), frame(COMMAND, &[0; 5000])].concat(), "a command that is too long"),
        ([greeting(b"NULL"), frame(8, b"x")].concat(), "frames that ZMTP 3.0 does not have"),
        ([greeting(b"NULL"), frame(COMMAND | MORE, b"x")].concat(), "frames that ZMTP 3.0 does not have"),
        (begin("PUB"), "only DEALER, REQ and SUB"),
        ([begin("SUB"), frame(0, &[1; 1026])].concat(), "a topic that is too long"),
        ([begin("SUB"), frame(0, &vec![1; LIMIT + 1])].concat(), "a topic that is too long"),
        ([begin("SUB"), command("SUBSCRIBE", &[b'x'; 1025])].concat(), "a topic that is too long"),
    ] {
        let found = refused(&bytes);
        assert!(found.starts_with("refused: ") && found.contains(why), "{why}: {found}");
        assert_eq!(refused(&[bytes, begin("SUB")].concat()), found, "nothing comes after it");
    }
    let mut peer = Spoken::default();
    peer.push(&begin("PULL"));
    let last_words = std::iter::from_fn(|| peer.next().map(show)).last().unwrap();
    assert!(last_words.ends_with(&format!(" {}", 2 + 6 + 1 + 43)), "{last_words}");
}

/// Numbers by chance, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// A conversation with some of its bytes changed, taken out or doubled.
fn mutated(dice: &mut Dice) -> Vec<u8> {
    let kind = ["DEALER", "REQ", "SUB", "SUB", "DEALER", "PUB"][dice.roll(6)];
    let mut bytes = begin(kind);
    let ready = bytes.len();
    for _ in 0..dice.roll(6) {
        let body: Vec<u8> = (0..dice.roll(40)).map(|_| dice.roll(256) as u8).collect();
        bytes.extend(match dice.roll(5) {
            0 => frame(MORE, &body),
            1 => command(["PING", "SUBSCRIBE", "CANCEL", "ERROR", "x"][dice.roll(5)], &body),
            2 => frame(LONG, &body),
            3 => [&[1], &body[..]].concat(),
            _ => frame(0, &body),
        });
    }
    for _ in 0..dice.roll(4) {
        // Seldom where the conversation begins, else hardly one would get further.
        let from = if dice.roll(4) == 0 { 0 } else { ready };
        let at = from + dice.roll(bytes.len().saturating_sub(from).max(1));
        if at >= bytes.len() {
            break;
        }
        match dice.roll(4) {
            0 => drop(bytes.remove(at)),
            1 => bytes[at] ^= 1 << dice.roll(8),
            2 => bytes[at] = dice.roll(256) as u8,
            _ => bytes.insert(at, bytes[at]),
        }
    }
    bytes
}

#[test]
fn any_bytes_cut_anywhere_give_the_same_and_end() {
    let mut dice = Dice(0x5eed_2026);
    let (mut refused, mut requests) = (0, 0);
    for _ in 0..3000 {
        let bytes = mutated(&mut dice);
        let whole = said_by(&bytes, bytes.len().max(1));
        let size = 1 + dice.roll(bytes.len().max(1));
        assert_eq!(said_by(&bytes, size), whole, "{bytes:?} in pieces of {size}");
        assert!(whole.len() <= 2 + bytes.len() / 2);
        refused += usize::from(whole.iter().any(|said| said.starts_with("refused")));
        requests += whole.iter().filter(|said| said.starts_with("request")).count();
    }
    assert!(refused > 500 && requests > 200, "{refused} refused, {requests} requests: too dull");
}
