//! The control protocol: bytes in, requests out; facts in, reply bytes out. Pure: who reads and writes the bytes is
//! the caller's part.
//!
//! [`commands`] is THE command table. The client encodes with it and prints with it, the server decodes with it, and
//! the help comes from it. [`protocol`] has the envelopes around it, [`answers`] turns what the daemon knows into
//! Circus's objects, [`endpoint`] says where the two meet, and [`wire`] finds out which language is spoken there.

pub mod answers;
pub mod args;
pub mod commands;
pub mod endpoint;
pub mod frame;
pub mod http;
pub mod matching;
pub mod output;
pub mod overview;
pub mod plain;
mod props;
pub mod protocol;
pub mod python;
mod render;
mod requests;
pub mod secrets;
pub mod shell;
pub mod topics;
mod tuning;
#[cfg(feature = "history")]
mod why;
pub mod wire;
#[cfg(feature = "zmtp")]
pub mod zmtp;

pub use props::Refusal;

/// A JSON object, sorted by key.
pub type Map = serde_json::Map<String, serde_json::Value>;

/// An object of these members. Collecting would sort them first, and the code of a sort is large.
pub fn object(members: &mut dyn Iterator<Item = (String, serde_json::Value)>) -> Map {
    let mut map = Map::new();
    for (key, value) in members {
        map.insert(key, value);
    }
    map
}

/// Sets a member. Never inlined: it is the many callers that cost.
#[inline(never)]
pub fn put(map: &mut Map, key: &str, value: serde_json::Value) {
    map.insert(key.to_string(), value);
}

/// An object of one member.
pub fn one(key: &str, value: serde_json::Value) -> Map {
    object(&mut std::iter::once((key.to_string(), value)))
}
