//! Answers `tail`: the newest output of a watcher.

use crate::arbiter::request::{Errno, Tail, Wanted};
use crate::arbiter::{Arbiter, WatcherId};
use crate::config::Channel;
use crate::control::tail::written;
use crate::control::{Map, Refusal, answers, one, put};
use crate::parts::streams::ring::{Line, Rings};
use serde_json::Value as Json;

/// Answers `tail`; with the answer comes whose output it is.
///
/// # Errors
/// There is no such watcher or process, or nothing of its output is kept.
pub fn tail(arbiter: &Arbiter, rings: &Rings, tail: &Tail) -> Result<(WatcherId, Map), Refusal> {
    let watcher = arbiter.find(&tail.name).ok_or_else(|| answers::no_watcher(&tail.name))?;
    let config = &watcher.config;
    let captured = |channel: Channel, wanted: bool| wanted && config.stream(channel).is_some();
    if !captured(Channel::Stdout, tail.wanted.stdout) && !captured(Channel::Stderr, tail.wanted.stderr) {
        return Err(not_kept(&config.name, tail.wanted));
    }
    if !tail.follow && config.options.ring_bytes <= 0 {
        let reason = format!("nothing of '{}' is kept: its ring_bytes is 0", config.name);
        return Err(Refusal { errno: Errno::Conflict, reason });
    }
    let ring = rings.get(watcher.id);
    if let Some(pid) = tail.wanted.pid
        && !watcher.pids().contains(&pid)
        && !ring.is_some_and(|ring| ring.knows(pid))
    {
        return Err(answers::no_process(pid, &tail.name));
    }
    let lines = ring.map(|ring| ring.lines(tail.wanted, tail.lines)).unwrap_or_default();
    Ok((watcher.id, one("lines", told(lines))))
}

/// The last lines of the error output of a watcher's processes, or of both outputs if it has none.
pub fn last_output(rings: &Rings, watcher: WatcherId, most: usize) -> Json {
    let ring = rings.get(watcher);
    let newest = |stdout| {
        let wanted = Wanted { stdout, stderr: true, pid: None };
        ring.map(|ring| ring.lines(wanted, most)).filter(|lines| !lines.is_empty())
    };
    told(newest(false).or_else(|| newest(true)).unwrap_or_default())
}

fn told(lines: Vec<Line>) -> Json {
    let told = |line: Line| {
        let mut map = written(line.pid, line.wid, line.channel.name(), &line.text);
        // It has no end yet and may get one.
        if line.unfinished {
            put(&mut map, "unfinished", true.into());
        }
        Json::Object(map)
    };
    lines.into_iter().map(told).collect()
}

/// The refusal when circus does not read what is wanted, and what to do about it.
fn not_kept(name: &str, wanted: Wanted) -> Refusal {
    let (option, output) = match (wanted.stdout, wanted.stderr) {
        (true, true) => ("stdout_stream or stderr_stream", "its processes write"),
        (false, _) => ("stderr_stream", "the error output of its processes goes"),
        (true, false) => ("stdout_stream", "the output of its processes goes"),
    };
    let key = if wanted.stdout { "stdout_stream" } else { "stderr_stream" };
    let reason = format!(
        "'{name}' has no {option}: {output} straight to where that of circus goes; set {key}.class = QueueStream \
         to keep the newest of it in memory, or any other stream"
    );
    Refusal { errno: Errno::Conflict, reason }
}
