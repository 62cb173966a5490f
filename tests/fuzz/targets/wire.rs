//! The bytes of a connection: lines, or ZMTP. However they come, what was said is the same.

use super::super::mutator::Random;
use crate::seeds::Examples;
use circus::control::wire::{Input, Wire};
use circus::control::{Map, protocol};

/// Something that the other side has said, kept.
#[derive(Debug, PartialEq)]
enum Said {
    Request(Vec<u8>, Vec<u8>),
    TooLong(Vec<u8>),
    Send(Vec<u8>),
    Subscribe(String),
    Cancel(String),
    Refused,
}

impl Said {
    fn of(input: Input<'_>) -> Said {
        match input {
            Input::Request { json, envelope } => Said::Request(json.to_vec(), envelope),
            Input::TooLong { envelope } => Said::TooLong(envelope),
            Input::Send(bytes) => Said::Send(bytes),
            Input::Subscribe(topic) => Said::Subscribe(topic),
            Input::Cancel(topic) => Said::Cancel(topic),
            Input::Refused { .. } => Said::Refused,
        }
    }
}

/// Conversations of peers that Circus has: greeting, READY, requests or subscriptions.
pub fn conversations(examples: &Examples) -> Vec<Vec<u8>> {
    let mut greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL".to_vec();
    greeting.resize(64, 0);
    let ready = |kind: &str| {
        let body = [b"\x05READY\x0bSocket-Type\0\0\0", &[kind.len() as u8][..], kind.as_bytes()].concat();
        [&[4, body.len() as u8][..], &body].concat()
    };
    let frame = |flags: u8, body: &[u8]| [&[flags, body.len() as u8][..], body].concat();
    let long = [&b"\x02\0\0\0\0\0\0\0\x14"[..], br#"{"command": "list" }"#].concat();
    let request = br#"{"id": "x", "command": "status", "properties": {"name": "a"}}"#;
    let ping = frame(4, b"\x04PING\0\x0aabc");
    let conversations = [
        vec![ready("DEALER"), frame(0, request), long, ping, frame(0, request)],
        vec![ready("REQ"), frame(1, b""), frame(0, request), frame(1, b"id"), frame(1, b""), frame(0, b"{}")],
        vec![ready("SUB"), frame(0, b"\x01watcher."), frame(4, b"\x09SUBSCRIBEx"), frame(0, b"\0watcher.")],
        vec![ready("PUB")],
        vec![b"\x02\0\0\0\0\xff\xff\xff\xff".to_vec()],
    ];
    let spoken = conversations.map(|frames| [greeting.clone(), frames.concat()].concat());
    spoken.into_iter().chain(super::control::lines(examples)).collect()
}

fn said(bytes: &[u8], size: &mut dyn FnMut() -> usize) -> (Vec<Said>, bool) {
    let (mut wire, mut said, mut rest) = (Wire::default(), Vec::new(), bytes);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(size()));
        wire.push(now);
        while let Some(input) = wire.next() {
            said.push(Said::of(input));
        }
        rest = later;
    }
    (said, wire.is_cut_off())
}

pub fn run(input: &[u8]) {
    let mut random = Random::new(input.len() as u64, 3);
    let whole = said(input, &mut || input.len());
    let cut = said(input, &mut || 1 + random.below(40));
    assert_eq!(whole, cut, "it depends on how the bytes come");
    let mut wire = Wire::default();
    wire.push(input.get(..1).unwrap_or_default());
    for said in whole.0 {
        if let Said::Request(json, envelope) = said {
            let incoming = protocol::decode(&json);
            let reply = wire.reply(b"{}\n".to_vec(), &envelope);
            assert!(
                reply.len() >= envelope.len() + 2
                    && protocol::encode_answer(&incoming.id, &Map::new(), 1.5).len() <= 1100
            );
        }
    }
}
