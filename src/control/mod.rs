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
pub mod mark;
pub mod matching;
pub mod output;
#[cfg(any(feature = "details", feature = "history"))]
pub mod overview;
pub mod plain;
mod props;
pub mod protocol;
pub mod python;
mod render;
mod requests;
pub mod secrets;
pub mod shell;
#[cfg(feature = "orphans")]
pub mod state;
#[cfg(feature = "stats")]
mod stats;
#[cfg(feature = "tail")]
pub mod tail;
pub mod topics;
#[cfg(feature = "edit")]
mod tuning;
#[cfg(feature = "history")]
pub mod why;
pub mod wire;
#[cfg(feature = "zmtp")]
pub mod zmtp;

pub use props::Refusal;
use serde_json::Value as Json;

/// A JSON object, sorted by key.
pub type Map = serde_json::Map<String, Json>;

/// A member; null if it is missing.
pub fn at<'a>(of: &'a Json, key: &str) -> &'a Json {
    of.get(key).unwrap_or(&Json::Null)
}

/// The items of an array; none of what is no array.
pub fn items(of: &Json) -> impl Iterator<Item = &Json> {
    of.as_array().into_iter().flatten()
}

/// The members of an object; none of what is no object.
pub fn members(of: &Json) -> impl Iterator<Item = (&String, &Json)> {
    of.as_object().into_iter().flatten()
}

/// A member that is a text; empty if it is none.
pub fn word<'a>(of: &'a Json, key: &str) -> &'a str {
    at(of, key).as_str().unwrap_or_default()
}

/// A member as Python shows it; empty when it is missing.
pub fn field(of: &Json, key: &str) -> String {
    of.get(key).map(python::str).unwrap_or_default()
}

/// Lines as one text.
pub fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// An object of these members. Collecting would sort them first, and the code of a sort is large.
pub fn object(members: &mut dyn Iterator<Item = (String, Json)>) -> Map {
    let mut map = Map::new();
    for (key, value) in members {
        map.insert(key, value);
    }
    map
}

/// Sets a member. Never inlined: it is the many callers that cost.
#[inline(never)]
pub fn put(map: &mut Map, key: &str, value: Json) {
    map.insert(key.to_string(), value);
}

/// An object of one member.
pub fn one(key: &str, value: Json) -> Map {
    object(&mut std::iter::once((key.to_string(), value)))
}
