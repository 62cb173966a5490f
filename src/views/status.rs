//! Answers `status`: the states, and whether all runs that is to run.

use super::tail::last_output;
use super::{View, details};
use crate::arbiter::request::Errno;
use crate::arbiter::watcher::Watcher;
use crate::control::{Map, Refusal, object, one, put};
use crate::sys::clock;
use serde_json::Value as Json;

/// How many of its last lines the status of a watcher that fails has.
const LAST_LINES: usize = 10;

/// Answers `status`.
///
/// # Errors
/// There is no such watcher, or circus is stopping and a check is asked for.
pub fn status(view: &View<'_>, name: Option<&str>, check: bool, details: bool) -> Result<Map, Refusal> {
    let chosen = name.map(|name| view.watcher(name)).transpose()?;
    let watchers = || view.arbiter.watchers().filter(|w| chosen.is_none_or(|chosen| chosen.id == w.id));
    let of_each = |of: &dyn Fn(&Watcher) -> Option<Json>| {
        let mut members = watchers().filter_map(|w| Some((w.config.name.clone(), of(w)?)));
        Json::Object(object(&mut members))
    };
    let mut answer = match chosen {
        Some(watcher) => status_of(view, watcher),
        None => one("statuses", of_each(&|watcher| Some(watcher.status().word().into()))),
    };
    if check {
        if view.arbiter.is_ending() {
            return Err(Refusal { errno: Errno::Conflict, reason: "circus is stopping".into() });
        }
        let failing = of_each(&|watcher| watcher.fault().map(Json::from));
        put(&mut answer, "healthy", failing.as_object().is_some_and(Map::is_empty).into());
        put(&mut answer, "failing", failing);
    }
    if details {
        details::tell(view, &of_each, &mut answer)?;
    }
    Ok(answer)
}

/// The state of a watcher; of one that fails also why, and the last lines that its processes wrote.
fn status_of(view: &View<'_>, watcher: &Watcher) -> Map {
    let mut answer = one("status", watcher.status().word().into());
    if let Some(reason) = watcher.failure() {
        put(&mut answer, "reason", reason.into());
        put(&mut answer, "last_output", last_output(view.rings, watcher.id, LAST_LINES));
    }
    if let Some(text) = fallback(view, watcher) {
        put(&mut answer, "fallback", text.into());
    }
    answer
}

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Since when the options hold on which a watcher runs, if newer ones have failed or were rolled back.
pub fn fallback(view: &View<'_>, watcher: &Watcher) -> Option<String> {
    let (since, what) = watcher.fallen_back()?;
    let ago = view.now.since(since);
    let format = if ago < DAY { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    let since = clock::strftime(format, (clock::realtime() - ago).floor() as i64);
    Some(format!("runs on the options of {since}; the newer ones {what}"))
}
