//! The commands about what processes write: tail and logs.

use super::plain::plain;
use super::{Map, one};
use crate::arbiter::Pid;
use serde_json::Value as Json;

/// What a process has written: a line, or, while somebody follows, whatever came.
pub struct Written {
    /// The process.
    pub pid: Pid,
    /// Its number in the watcher.
    pub wid: u32,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// The text; bytes that are no UTF-8 as [`crate::config::text`] has them.
    pub text: String,
    /// It is a line that has no end yet and may get one.
    pub unfinished: bool,
}

impl Written {
    /// As it is sent.
    pub fn map(self) -> Map {
        let mut map = one("pid", self.pid.into());
        map.insert("wid".into(), self.wid.into());
        map.insert("stream".into(), self.stream.into());
        map.insert("text".into(), self.text.into());
        if self.unfinished {
            map.insert("unfinished".into(), Json::Bool(true));
        }
        map
    }
}

/// Lines as `tail` answers them.
pub fn lines(lines: impl Iterator<Item = Written>) -> Json {
    lines.map(|line| Json::Object(line.map())).collect()
}

/// The lines, fit for a terminal.
pub(super) fn tail(_: &Map, reply: &Map) -> String {
    let lines = reply.get("lines").and_then(Json::as_array).into_iter().flatten();
    let texts = lines.filter_map(|line| Some(plain(line.get("text")?.as_str()?)));
    texts.collect::<Vec<_>>().join("\n")
}

/// The answer to `logs`: the files that it was done with.
pub fn files(paths: impl Iterator<Item = String>) -> Map {
    one("files", paths.collect())
}

pub(super) fn logs(_: &Map, reply: &Map) -> String {
    let files = reply.get("files").and_then(Json::as_array).into_iter().flatten();
    let files: Vec<&str> = files.filter_map(Json::as_str).collect();
    if files.is_empty() { "no files".into() } else { files.join("\n") }
}

/// What `status` says of a watcher that fails, as text for a person below the state; empty when all is well.
pub fn render_failure(reply: &Map) -> String {
    let Some(reason) = reply.get("reason").and_then(Json::as_str) else { return String::new() };
    let mut text = format!("\n{}", plain(reason));
    let lines = reply.get("last_output").and_then(Json::as_array).into_iter().flatten();
    for line in lines.filter_map(|line| line.get("text")?.as_str()) {
        text.push_str("\n    ");
        text.push_str(&plain(line));
    }
    text
}
