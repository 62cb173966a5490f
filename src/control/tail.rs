//! `tail` and what processes write, as it is sent and as it is shown.

use super::args::Args;
use super::plain::plain;
use super::props::{integer, pid, wrong};
use super::{Map, Refusal, at, items, lines, one, put, word};
use crate::arbiter::Pid;
use crate::arbiter::request::{Request, Tail, Wanted};
use crate::config::text;
use serde_json::Value as Json;

/// How many lines `tail` shows when it is not told.
const LINES: usize = 10;

pub(super) fn request(args: &Args) -> Result<Request, Refusal> {
    let lines = match args.get("lines", integer)? {
        None => LINES,
        Some(lines) => usize::try_from(lines).map_err(|_| wrong("lines", "0 or more"))?,
    };
    let (stdout, stderr) = (args.is("stdout")?, args.is("stderr")?);
    let wanted = Wanted { stdout: stdout || !stderr, stderr: stderr || !stdout, pid: args.get("pid", pid)? };
    Ok(Request::Tail(Tail { name: args.name()?, lines, follow: args.is("follow")?, wanted }))
}

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
pub(super) fn render(_: &Map, reply: &Json) -> String {
    lines(items(at(reply, "lines")).map(|line| plain(word(line, "text"))))
}
