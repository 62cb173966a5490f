//! What processes write, as it is sent and as it is shown: tail and status.

use super::plain::plain;
use super::{Map, at, items, lines, one, put, word};
use crate::arbiter::Pid;
use crate::config::text;
use serde_json::Value as Json;

/// What a process has written, by its pid, its number in the watcher and the name of the stream: a line, or, while
/// somebody follows, whatever came.
pub fn written(pid: Pid, wid: u32, stream: &str, bytes: &[u8]) -> Map {
    let mut map = one("pid", pid.into());
    put(&mut map, "wid", wid.into());
    put(&mut map, "stream", stream.into());
    put(&mut map, "text", text::from_bytes(bytes).into());
    map
}

/// The lines of an answer, fit for a terminal.
pub(super) fn tail(_: &Map, reply: &Json) -> String {
    lines(items(at(reply, "lines")).map(|line| plain(word(line, "text"))))
}

/// What `status` says of a watcher that fails, as text for a person below the state; empty when all is well.
pub fn failure(reply: &Json) -> String {
    let Some(reason) = at(reply, "reason").as_str() else { return String::new() };
    let last = items(at(reply, "last_output")).map(|line| format!("    {}", plain(word(line, "text"))));
    format!("\n{}", lines(std::iter::once(plain(reason)).chain(last)))
}
