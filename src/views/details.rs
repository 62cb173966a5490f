//! What `details` adds to the answer to `status`: what a person wants to see at a glance.
//!
//! What processes use was looked up before (tally.rs).

use super::View;
use super::status::fallback;
use super::usage::{Units, Used};
use crate::arbiter::Pid;
use crate::arbiter::process::{Fate, Process};
use crate::arbiter::time::Time;
use crate::arbiter::watcher::Watcher;
use crate::control::{Map, Refusal, one, put};
use crate::parts::sockets::Bound;
use crate::sys::{process, queue};
use serde_json::Value as Json;
use std::os::fd::BorrowedFd;

/// Makes an object of what is said of each watcher.
type OfEach<'a> = dyn Fn(&dyn Fn(&Watcher) -> Option<Json>) -> Json + 'a;

/// Adds them.
///
/// # Errors
/// None; a build without them refuses them.
pub fn tell(view: &View<'_>, of_each: &OfEach<'_>, answer: &mut Map) -> Result<(), Refusal> {
    let own =
        seen(process::pid(), (0, "running"), view.now.since(Time(1)), Units::new().look(process::pid()));
    put(answer, "circus", Json::Object(own));
    put(answer, "watchers", of_each(&|watcher| Some(watcher_seen(watcher, view))));
    put(answer, "sockets", view.descriptors().map(queue_seen).collect());
    Ok(())
}

fn watcher_seen(watcher: &Watcher, view: &View<'_>) -> Json {
    let now = view.now;
    let mut map = one("status", watcher.status().word().into());
    put(&mut map, "condition", watcher.condition().into());
    put(&mut map, "since", watcher.since().map(|since| tenths(now.since(since))).into());
    put(&mut map, "restarts", watcher.history().deaths().into());
    put(&mut map, "wanted", watcher.config.wanted().into());
    if let Some(fault) = watcher.fault() {
        put(&mut map, "fault", fault.into());
    }
    if let Some(text) = fallback(view, watcher) {
        put(&mut map, "fallback", text.into());
    }
    put(&mut map, "processes", watcher.processes().map(|p| process_seen(p, view)).collect());
    Json::Object(map)
}

/// A process, with what it and its descendants use.
fn process_seen(process: &Process, view: &View<'_>) -> Json {
    let now = view.now;
    let state = match (process.exit(), process.fate()) {
        (Some(_), _) => "ended",
        (None, Fate::Left) if !process.is_ready() => "starting",
        (None, Fate::Left) => "running",
        (None, Fate::Spared { .. } | Fate::Asked { .. }) => "stopping",
        (None, Fate::Killed { .. }) => "killed",
    };
    let used = view.used.get(&process.pid).map(|(used, _)| *used);
    let mut map = seen(process.pid, (process.wid, state), now.since(process.started), used);
    if let Some(at) = process.kill_at() {
        put(&mut map, "kill_in", tenths(at.since(now)).into());
    }
    if let Some(count) = process.failed_probes() {
        put(&mut map, "failed_probes", count.into());
    }
    Json::Object(map)
}

/// What all processes have; null where /proc does not tell.
fn seen(pid: Pid, (wid, state): (u32, &str), age: f64, used: Option<Used>) -> Map {
    let mut map = one("pid", pid.into());
    put(&mut map, "wid", wid.into());
    put(&mut map, "state", state.into());
    put(&mut map, "age", tenths(age).into());
    put(&mut map, "cpu", used.map(|used| used.cpu).into());
    put(&mut map, "rss", used.map(|used| used.rss).into());
    map
}

fn queue_seen((socket, fd): (&Bound, BorrowedFd<'_>)) -> Json {
    let queue = queue::look(fd);
    let mut map = one("name", socket.name.as_str().into());
    put(&mut map, "address", socket.address.to_string().into());
    put(&mut map, "waiting", queue.waiting.into());
    put(&mut map, "limit", queue.limit.into());
    put(&mut map, "drops", queue.drops.into());
    Json::Object(map)
}

/// Rounded: nobody needs more, and the answers of a thousand processes are shorter.
fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}
