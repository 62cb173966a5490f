//! The commands about what processes write: tail and logs.

use super::commands::CliArgs;
use super::lifecycle::{flag, value};
use super::plain::plain;
use super::props::{Props, wrong};
use super::python::quoted;
use super::queries::positional;
use super::{Map, Refusal, one};
use crate::arbiter::Pid;
use crate::arbiter::request::{Request, Tail, Wanted};
use serde_json::Value as Json;

/// How many lines `tail` shows when it is not told.
const LINES: usize = 10;

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

pub(super) fn encode_tail(args: &CliArgs) -> Result<Map, String> {
    let mut map = positional(args, &["name"]);
    for name in ["lines", "pid"] {
        value(&mut map, args, name);
    }
    for name in ["follow", "stdout", "stderr"] {
        flag(&mut map, args, name);
    }
    Ok(map)
}

pub(super) fn decode_tail(map: &Map) -> Result<Request, Refusal> {
    let props = Props(map);
    let lines = match props.integer("lines")? {
        None => LINES,
        Some(lines) => usize::try_from(lines).map_err(|_| wrong("lines", "0 or more"))?,
    };
    let (stdout, stderr) = (props.flag("stdout", false)?, props.flag("stderr", false)?);
    let wanted = Wanted { stdout: stdout || !stderr, stderr: stderr || !stdout, pid: props.pid("pid")? };
    Ok(Request::Tail(Tail { name: props.name()?, lines, follow: props.flag("follow", false)?, wanted }))
}

/// The lines, fit for a terminal.
pub(super) fn render_tail(_: &Map, reply: &Map) -> String {
    let lines = reply.get("lines").and_then(Json::as_array).into_iter().flatten();
    let texts = lines.filter_map(|line| Some(plain(line.get("text")?.as_str()?)));
    texts.collect::<Vec<_>>().join("\n")
}

pub(super) fn encode_logs(args: &CliArgs) -> Result<Map, String> {
    let mut map = positional(args, &["action", "name"]);
    if let Some(action) = args.words.first() {
        map.insert("action".into(), action.to_lowercase().into());
    }
    Ok(map)
}

pub(super) fn decode_logs(map: &Map) -> Result<Request, Refusal> {
    let props = Props(map);
    let rotate = match props.required_text("action")?.as_str() {
        "rotate" => true,
        "reopen" => false,
        other => {
            let reason = format!("{} is no action: there are rotate and reopen", quoted(other));
            return Err(Refusal::message(reason));
        }
    };
    Ok(Request::Logs { name: props.text("name")?, rotate })
}

/// The answer to `logs`: the files that it was done with.
pub fn files(paths: impl Iterator<Item = String>) -> Map {
    one("files", paths.collect())
}

pub(super) fn render_logs(_: &Map, reply: &Map) -> String {
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
