//! What the descriptors are that the loop waits for, as tokens for mio.

use mio::Token;

/// What a descriptor is to the loop; the lowest bits of its token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Signals,
    Listener,
    Pipe,
    Target,
    Client,
    Log,
    Helper,
    Socket,
    Builtin,
}

const SOURCES: [Source; 9] = [
    Source::Signals,
    Source::Listener,
    Source::Pipe,
    Source::Target,
    Source::Client,
    Source::Log,
    Source::Helper,
    Source::Socket,
    Source::Builtin,
];

/// The token of a descriptor; `id` tells it from others of its kind.
pub fn token(source: Source, id: u32) -> Token {
    Token((id as usize) << 4 | source as usize)
}

/// What a token stands for.
pub fn source(token: Token) -> Option<(Source, u32)> {
    Some((*SOURCES.get(token.0 & 15)?, u32::try_from(token.0 >> 4).ok()?))
}
