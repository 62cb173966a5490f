//! What `status` says of a watcher that fails, for a person.

use super::plain::plain;
use super::{at, items, lines, word};
use serde_json::Value as Json;

/// The text below the state; empty when all is well.
pub fn failure(reply: &Json) -> String {
    let Some(reason) = at(reply, "reason").as_str() else { return String::new() };
    let last = items(at(reply, "last_output")).map(|line| format!("    {}", plain(word(line, "text"))));
    format!("\n{}", lines(std::iter::once(plain(reason)).chain(last)))
}
