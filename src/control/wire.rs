//! What a connection speaks: lines of JSON or, when its first byte says so, ZMTP. Requests and replies are the same
//! JSON either way.

use super::frame::{Inbox, Lines, TooLong};
#[cfg(feature = "zmtp")]
use super::zmtp::{self, Peer};
use super::{Map, protocol};

/// The first byte of ZMTP, which begins no JSON.
#[cfg(feature = "zmtp")]
const ZMTP: u8 = 0xff;

/// Something that the other side has said.
#[derive(Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A request.
    Request {
        /// Its text; it may be empty, and then it is no request.
        json: &'a [u8],
        /// What has to stand before the reply; see [`Wire::reply`].
        envelope: Vec<u8>,
    },
    /// A request that was too long to be read.
    TooLong {
        /// What has to stand before the reply.
        envelope: Vec<u8>,
    },
    /// These bytes are to be sent.
    Send(Vec<u8>),
    /// It wants the events whose topics begin so; as often as it is said, it has to be cancelled.
    Subscribe(String),
    /// It does not want them any more.
    Cancel(String),
    /// It cannot be served, and nothing more will come.
    Refused {
        /// Why.
        why: &'static str,
        /// What is to be sent before the connection is closed.
        last_words: Vec<u8>,
    },
}

/// What a connection speaks, and what has come.
#[derive(Debug, Default)]
pub struct Wire {
    inbox: Inbox,
    language: Language,
}

/// The language of a connection.
#[derive(Debug, Default)]
enum Language {
    /// Nothing has come yet.
    #[default]
    Unknown,
    /// A line for each request, reply and event.
    Lines(Lines),
    /// ZeroMQ's protocol.
    #[cfg(feature = "zmtp")]
    Zmtp(Box<Peer>),
}

impl Language {
    fn beginning_with(first: u8) -> Language {
        match first {
            #[cfg(feature = "zmtp")]
            ZMTP => Language::Zmtp(Box::default()),
            _ => Language::Lines(Lines::default()),
        }
    }
}

impl Wire {
    /// Lines, without a look at the first byte.
    pub fn lines() -> Wire {
        Wire { language: Language::Lines(Lines::default()), ..Wire::default() }
    }

    /// Takes what was read. Take everything out with [`Wire::next`] until there is nothing before the next call.
    pub fn push(&mut self, bytes: &[u8]) {
        if let (Language::Unknown, Some(first)) = (&self.language, bytes.first()) {
            self.language = Language::beginning_with(*first);
        }
        self.inbox.push(bytes);
    }

    /// The next thing that was said; `None` when more has to be read first.
    #[allow(clippy::should_implement_trait, reason = "the request is lent, which an Iterator cannot do")]
    pub fn next(&mut self) -> Option<Input<'_>> {
        match &mut self.language {
            Language::Unknown => None,
            Language::Lines(lines) => Some(match lines.next(&mut self.inbox)? {
                Ok(json) => Input::Request { json, envelope: Vec::new() },
                Err(TooLong) => Input::TooLong { envelope: Vec::new() },
            }),
            #[cfg(feature = "zmtp")]
            Language::Zmtp(peer) => peer.next(&mut self.inbox),
        }
    }

    /// How much memory is kept.
    pub fn held(&self) -> usize {
        self.inbox.held()
    }

    /// Gives back the memory of what was taken out.
    pub fn tidy(&mut self) {
        self.inbox.tidy();
    }

    /// At the end of what comes in: whether a line was begun and not ended.
    pub fn is_cut_off(&self) -> bool {
        matches!(self.language, Language::Lines(_)) && !self.inbox.rest().is_empty()
    }

    /// Whether it is ZMTP.
    pub fn is_zmtp(&self) -> bool {
        !matches!(self.language, Language::Unknown | Language::Lines(_))
    }

    /// A line that was made to answer the request with this envelope, as it has to be sent.
    pub fn reply(&self, line: Vec<u8>, envelope: &[u8]) -> Vec<u8> {
        #[cfg(feature = "zmtp")]
        if self.is_zmtp() {
            return zmtp::reply(envelope, line.strip_suffix(b"\n").unwrap_or(&line));
        }
        let _ = envelope;
        line
    }
}

/// An event, as it has to be sent by ZMTP or as a line.
pub fn event(by_zmtp: bool, topic: &str, data: &Map) -> Vec<u8> {
    #[cfg(feature = "zmtp")]
    if by_zmtp {
        let mut json = Vec::with_capacity(128);
        // Writing to memory cannot fail: keys are text, and numbers finite.
        let _ = serde_json::to_writer(&mut json, data);
        return zmtp::event(topic, &json);
    }
    let _ = by_zmtp;
    protocol::encode_event(topic, data)
}
