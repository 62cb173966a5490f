//! The watchers that an order is for.

use crate::arbiter::request::{Select, Task};
use crate::arbiter::{Arbiter, WatcherId};
use crate::control::matching::Matcher;
use crate::control::python::cut;
use crate::sys::clock;

/// How many nanoseconds of a processor it may take to compare a pattern with the names of all watchers.
const LONGEST: u64 = 20_000_000;

/// The watchers that an order's patterns name; `None` for all.
///
/// # Errors
/// There are none, the pattern is none, or it takes too long to compare it.
pub fn targets(arbiter: &Arbiter, task: &Task) -> Result<Option<Vec<WatcherId>>, String> {
    let (Task::Start(select) | Task::Stop(select) | Task::Restart(select)) = task else { return Ok(None) };
    let Select::Match { pattern, how } = select else { return Ok(None) };
    let matcher = Matcher::new(pattern, *how)?;
    let end = clock::cpu_ns() + LONGEST;
    let mut found = Vec::new();
    for watcher in arbiter.watchers() {
        if matcher.matches(&watcher.config.name) {
            found.push(watcher.id);
        }
        if clock::cpu_ns() > end {
            return Err(format!("{}: it takes too long with so many watchers", cut(pattern)));
        }
    }
    if found.is_empty() { Err(format!("program {} not found", cut(pattern))) } else { Ok(Some(found)) }
}
