//! ZMTP 3.0, the protocol between ZeroMQ sockets, as the one that is connected to speaks it: so Circus's own clients,
//! subscribers and plugins are served without a library. Bytes in, [`Input`]s out; nothing is read or written here.
//!
//! The only mechanism is NULL, which is no security: the file mode of the endpoint is. A DEALER or REQ peer sends
//! requests, as to a ROUTER; the frames before the last one, such as the empty one of REQ, are kept and go back
//! before the reply. A SUB peer sends subscriptions, as to a PUB, as messages (3.0) or as commands (3.1).
//!
//! Memory is bounded: what is kept is one frame of at most [`LIMIT`] bytes and what came with the last
//! [`Inbox::push`]. A longer message is thrown away as it comes, and reported once. The first violation of the
//! protocol ends it.

use super::frame::{Inbox, LIMIT};
use super::wire::Input;

/// What a greeting begins with: 0xff, eight octets of any value, and 0x7f.
const SIGNATURE: usize = 10;
/// What follows: the version in two octets, the mechanism in twenty, and 32 that say nothing here.
const REST_OF_GREETING: usize = 54;
const NULL: &[u8; 20] = b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// The bits of the first octet of a frame.
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// The longest command, in bytes.
const LONGEST_COMMAND: usize = 4096;
/// How many bytes may stand before the last frame of a message.
const LONGEST_ENVELOPE: usize = 255;
/// The longest topic that can be subscribed to, in bytes.
const LONGEST_TOPIC: usize = 1024;
/// How much of a PING goes back, in bytes.
const CONTEXT: usize = 16;

/// How far the conversation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// The beginning of the peer's greeting is awaited.
    #[default]
    Signature,
    /// The rest of it is awaited.
    Greeting,
    /// Its READY is awaited.
    Handshake,
    /// It sends requests.
    Requests,
    /// It sends subscriptions.
    Subscriptions,
    /// Nothing more is listened to.
    Closed,
}

/// The other side of a connection that speaks ZMTP.
#[derive(Debug, Default)]
pub struct Peer {
    /// So many bytes are still to be thrown away.
    skip: u64,
    stage: Stage,
    /// The frames of a message before its last one, as they came.
    envelope: Vec<u8>,
    /// A frame of the message was too long.
    too_long: bool,
}

/// What some bytes mean; an error is why the peer cannot be served.
type Meaning = Result<Said, &'static str>;

enum Said {
    Nothing,
    Send(Vec<u8>),
    /// A message; so long are the head of its last frame, and the whole of it, which is still to be taken out.
    Message(usize, usize),
    Subscribe(String),
    Cancel(String),
}

impl Peer {
    /// The next thing that the peer has said; `None` when more has to be read first.
    pub fn next<'a>(&mut self, inbox: &'a mut Inbox) -> Option<Input<'a>> {
        loop {
            let meaning = match self.stage {
                Stage::Signature => self.signature(inbox),
                Stage::Greeting => self.greeting(inbox),
                Stage::Handshake | Stage::Requests | Stage::Subscriptions => self.frame(inbox),
                Stage::Closed => {
                    *inbox = Inbox::default();
                    None
                }
            };
            match meaning? {
                Ok(Said::Nothing) => {}
                Ok(Said::Send(bytes)) => return Some(Input::Send(bytes)),
                Ok(Said::Subscribe(topic)) => return Some(Input::Subscribe(topic)),
                Ok(Said::Cancel(topic)) => return Some(Input::Cancel(topic)),
                Ok(Said::Message(head, whole)) => {
                    let envelope = std::mem::take(&mut self.envelope);
                    let json = inbox.take(whole)?.get(head..)?;
                    let too_long = std::mem::take(&mut self.too_long);
                    return Some(if too_long {
                        Input::TooLong { envelope }
                    } else {
                        Input::Request { json, envelope }
                    });
                }
                Err(why) => return Some(self.refuse(why)),
            }
        }
    }

    /// Ends the conversation. A peer that has not got READY yet is told why.
    fn refuse(&mut self, why: &'static str) -> Input<'static> {
        let mut last_words = Vec::new();
        if self.stage == Stage::Handshake {
            let length = u8::try_from(why.len()).unwrap_or(u8::MAX);
            let why = why.as_bytes().get(..length.into()).unwrap_or_default();
            append(&mut last_words, COMMAND, &[b"\x05ERROR", &[length], why]);
        }
        *self = Peer { stage: Stage::Closed, ..Peer::default() };
        Input::Refused { why, last_words }
    }

    /// libzmq sends no more than its signature before it has seen that of the other side.
    fn signature(&mut self, inbox: &mut Inbox) -> Option<Meaning> {
        let signature = inbox.take(SIGNATURE)?;
        if signature.first() != Some(&0xff) || signature.last().is_none_or(|last| last & 1 == 0) {
            return Some(Err("it speaks no ZMTP, or a version before 2"));
        }
        self.stage = Stage::Greeting;
        let mut ours = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0];
        ours.extend_from_slice(NULL);
        ours.resize(SIGNATURE + REST_OF_GREETING, 0);
        Some(Ok(Said::Send(ours)))
    }

    fn greeting(&mut self, inbox: &mut Inbox) -> Option<Meaning> {
        let greeting = inbox.take(REST_OF_GREETING)?;
        if greeting.first().is_none_or(|major| *major < 3) {
            return Some(Err("it speaks a version of ZMTP before 3.0"));
        }
        if greeting.get(2..22) != Some(NULL) {
            return Some(Err("it wants another security mechanism than NULL"));
        }
        self.stage = Stage::Handshake;
        Some(Ok(Said::Nothing))
    }

    /// Looks at the next frame, if it is there as a whole.
    fn frame(&mut self, inbox: &mut Inbox) -> Option<Meaning> {
        let there = inbox.rest().len();
        let skipped = usize::try_from(self.skip).unwrap_or(there).min(there);
        inbox.take(skipped)?;
        self.skip -= skipped as u64;
        let rest = Some(inbox.rest()).filter(|_| self.skip == 0)?;
        let (flags, head, length) = header(rest)?;
        if flags & !(MORE | LONG | COMMAND) != 0 || flags & (MORE | COMMAND) == MORE | COMMAND {
            return Some(Err("it sends frames that ZMTP 3.0 does not have"));
        }
        // The body of one that is too long is thrown away.
        let fits = usize::try_from(length).ok().filter(|length| *length <= self.most(flags));
        let whole = rest.get(..head + fits.unwrap_or(0))?;
        let body = whole.get(head..).filter(|_| fits.is_some());
        self.skip = if fits.is_some() { 0 } else { length };
        let size = whole.len();
        if flags & COMMAND == 0 && flags & MORE == 0 && self.stage == Stage::Requests {
            self.too_long |= body.is_none();
            return Some(Ok(Said::Message(head, size)));
        }
        let meaning = if flags & COMMAND == 0 { self.part(flags, whole, body) } else { self.command(body) };
        inbox.take(size)?;
        Some(meaning)
    }

    /// How many bytes the body of a frame may have.
    fn most(&self, flags: u8) -> usize {
        match (flags & COMMAND, flags & MORE) {
            (0, 0) => LIMIT,
            (0, _) => LONGEST_ENVELOPE.saturating_sub(self.envelope.len()),
            _ => LONGEST_COMMAND,
        }
    }

    /// A frame of a message, but the last one of a request. `None`: its body is too long.
    fn part(&mut self, flags: u8, whole: &[u8], body: Option<&[u8]>) -> Meaning {
        if self.stage == Stage::Handshake {
            return Err("it sends a message before READY");
        }
        self.too_long |= body.is_none();
        if flags & MORE != 0 {
            self.envelope.extend_from_slice(if body.is_some() { whole } else { &[] });
            return Ok(Said::Nothing);
        }
        // A subscription has one frame; nothing else that a subscriber sends means anything.
        self.envelope.clear();
        if std::mem::take(&mut self.too_long) {
            return Err("it subscribes to a topic that is too long");
        }
        match body.and_then(<[u8]>::split_first) {
            Some((1, prefix)) => topic(prefix, Said::Subscribe),
            Some((0, prefix)) => topic(prefix, Said::Cancel),
            _ => Ok(Said::Nothing),
        }
    }

    /// A command. `None`: it is too long.
    fn command(&mut self, body: Option<&[u8]>) -> Meaning {
        let body = body.ok_or("it sends a command that is too long")?;
        let parts = body.split_first().and_then(|(length, rest)| rest.split_at_checked((*length).into()));
        let (name, data) = parts.ok_or("it sends a command without a name")?;
        match (self.stage, name) {
            (_, b"ERROR") => Err("it reports an error"),
            (Stage::Handshake, b"READY") => self.ready(socket_type(data).unwrap_or_default()),
            (Stage::Handshake, _) => Err("it sends something else than READY"),
            (_, b"PING") => {
                let context = data.get(2..).unwrap_or_default();
                let context = context.get(..CONTEXT).unwrap_or(context);
                let mut pong = Vec::new();
                append(&mut pong, COMMAND, &[b"\x04PONG", context]);
                Ok(Said::Send(pong))
            }
            (Stage::Subscriptions, b"SUBSCRIBE") => topic(data, Said::Subscribe),
            (Stage::Subscriptions, b"CANCEL") => topic(data, Said::Cancel),
            _ => Ok(Said::Nothing),
        }
    }

    /// The peer says which kind of socket it is; the answer is the kind that goes with it.
    fn ready(&mut self, kind: &[u8]) -> Meaning {
        let (stage, ours) = match kind {
            b"DEALER" | b"REQ" => (Stage::Requests, "ROUTER"),
            b"SUB" | b"XSUB" => (Stage::Subscriptions, "PUB"),
            _ => return Err("only DEALER, REQ and SUB sockets are served"),
        };
        self.stage = stage;
        let mut ready = Vec::new();
        let length = u32::try_from(ours.len()).unwrap_or_default().to_be_bytes();
        append(&mut ready, COMMAND, &[b"\x05READY\x0bSocket-Type", &length, ours.as_bytes()]);
        Ok(Said::Send(ready))
    }
}

/// The first octet of a frame, the length of its head, and that of its body.
fn header(bytes: &[u8]) -> Option<(u8, usize, u64)> {
    let (flags, rest) = bytes.split_first()?;
    match flags & LONG {
        0 => Some((*flags, 2, u64::from(*rest.first()?))),
        _ => Some((*flags, 9, u64::from_be_bytes(*rest.first_chunk()?))),
    }
}

/// The property Socket-Type of a READY, whose name may be in any case.
fn socket_type(mut properties: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, rest) = properties.split_first()?;
        let (name, rest) = rest.split_at_checked((*length).into())?;
        let (length, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            return Some(value);
        }
        properties = rest;
    }
}

/// A topic to subscribe to or not any more. All topics are UTF-8: nothing begins with other bytes.
fn topic(prefix: &[u8], said: fn(String) -> Said) -> Meaning {
    if prefix.len() > LONGEST_TOPIC {
        return Err("it subscribes to a topic that is too long");
    }
    Ok(String::from_utf8(prefix.to_vec()).map_or(Said::Nothing, said))
}

/// Appends a frame whose body is these parts, one after the other.
fn append(out: &mut Vec<u8>, flags: u8, body: &[&[u8]]) {
    let length: usize = body.iter().map(|part| part.len()).sum();
    match u8::try_from(length) {
        Ok(length) => out.extend_from_slice(&[flags, length]),
        Err(_) => {
            out.push(flags | LONG);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    body.iter().for_each(|part| out.extend_from_slice(part));
}

/// The message that answers a request, behind the envelope of the request.
pub fn reply(envelope: &[u8], json: &[u8]) -> Vec<u8> {
    let mut message = envelope.to_vec();
    append(&mut message, 0, &[json]);
    message
}

/// The message that tells an event.
pub fn event(topic: &str, json: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(topic.len() + json.len() + 12);
    append(&mut message, MORE, &[topic.as_bytes()]);
    append(&mut message, 0, &[json]);
    message
}

#[cfg(test)]
mod tests;
