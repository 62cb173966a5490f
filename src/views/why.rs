//! Answers `why`: what has happened to a watcher, who or what was the cause, and what comes next.

use super::View;
use super::status::fallback;
use super::tail::last_output;
use crate::arbiter::history::{Cause, Change, Origin, What};
use crate::arbiter::time::Time;
use crate::config::sockets::accepter;
use crate::control::{self, Map, Refusal, one, put};
use crate::host::spawn_template;
use crate::sys::{clock, user};
use serde_json::Value as Json;

/// How many of the last lines of output the answer has.
const LAST_LINES: usize = 10;

/// The time of the arbiter and that of the calendar.
#[derive(Clone, Copy)]
struct Clocks {
    now: Time,
    epoch: f64,
}

impl Clocks {
    /// Enters when something was: in seconds since 1970, as text, and how long ago.
    fn enter(self, at: Time, map: &mut Map) {
        let ago = self.now.since(at);
        let epoch = self.epoch - ago;
        put(map, "time", epoch.into());
        put(map, "at", clock::strftime("%Y-%m-%d %H:%M:%S", epoch.floor() as i64).into());
        put(map, "ago", ago.into());
    }

    /// In how many seconds something comes.
    fn until(self, at: Option<Time>) -> Json {
        at.map(|at| at.since(self.now)).into()
    }
}

/// Answers `why`.
///
/// # Errors
/// There is no such watcher.
pub fn why(view: &View<'_>, name: &str) -> Result<Map, Refusal> {
    let watcher = view.watcher(name)?;
    let (options, history) = (&watcher.config.options, watcher.history());
    let clocks = Clocks { now: view.now, epoch: clock::realtime() };
    let mut answer = one("name", watcher.config.name.as_str().into());
    let mut put = |key: &str, value: Json| control::put(&mut answer, key, value);
    put("state", watcher.status().word().into());
    put("condition", watcher.condition().into());
    put("running", watcher.running().into());
    put("wanted", watcher.config.wanted().into());
    put("autostart", options.autostart.into());
    let broken = watcher.config.broken.as_ref().filter(|_| history.last_status().is_none());
    put("fault", watcher.fault().or_else(|| broken.map(|why| format!("stopped: {why}"))).into());
    put("fallback", fallback(view, watcher).into());
    // Programs that do not expect EAGAIN from accept(2) end at once, or their own children do.
    let fails = watcher.fault().is_some() && history.deaths() > 0;
    let may_mind = fails || accepter(&options.cmd).is_some();
    let nonblocking = || spawn_template::nonblocking(&watcher.config, view.offered);
    put("nonblocking", may_mind.then(nonblocking).flatten().into());
    let trouble: Option<&str> = None;
    #[cfg(feature = "plugins")]
    let trouble = trouble.or_else(|| view.builtins.trouble(watcher.id));
    put("trouble", trouble.into());
    put("waits", watcher.waits_for_demand().into());
    put("reloading", watcher.is_reloading().into());
    put("since", history.last_status().map_or(Json::Null, |change| change_of(change, clocks)));
    put("next_attempt", clocks.until(watcher.next_attempt()));
    put("next_kill", clocks.until(watcher.next_kill()));
    put("survivors", watcher.survivors().iter().copied().map(Json::from).collect());
    put("restarts", history.deaths().into());
    put("changes", history.changes().map(|change| change_of(change, clocks)).collect());
    put("has_streams", watcher.config.streams().next().is_some().into());
    put("last_output", last_output(view.rings, watcher.id, LAST_LINES));
    Ok(answer)
}

fn change_of(change: &Change, clocks: Clocks) -> Json {
    let mut map = Map::new();
    clocks.enter(change.at, &mut map);
    put(&mut map, "times", change.times.into());
    let (what, of) = match &change.what {
        What::Status(status) => (status.word(), None),
        What::Reloading => ("reloading", None),
        What::Reloaded => ("reloaded", None),
        What::Ordered => ("ordered", None),
        What::NotReloaded(reason) | What::SpawnFailed(reason) => {
            put(&mut map, "reason", (&**reason).into());
            (if matches!(change.what, What::SpawnFailed(_)) { "spawn_failed" } else { "not_reloaded" }, None)
        }
        What::Advice(advice) => {
            put(&mut map, "reason", advice.text().into());
            ("advice", None)
        }
        What::Killed { pid, wid } => ("killed", Some((pid, wid))),
        What::Survives { pid, wid } => ("survives", Some((pid, wid))),
        What::Ailing { pid, wid, why } => {
            put(&mut map, "reason", (&**why).into());
            ("ailing", Some((pid, wid)))
        }
        What::TooOld { pid, wid } => ("too_old", Some((pid, wid))),
        What::TooLarge { pid, wid } => ("too_large", Some((pid, wid))),
        What::Ended { pid, wid, exit, oom, lived } => {
            put(&mut map, "exit_code", exit.code().into());
            put(&mut map, "oom", (*oom).into());
            put(&mut map, "lived", (*lived as f64 / 1e3).into());
            ("ended", Some((pid, wid)))
        }
    };
    put(&mut map, "what", what.into());
    if let Some((pid, wid)) = of {
        put(&mut map, "pid", (*pid).into());
        put(&mut map, "wid", (*wid).into());
    }
    put(&mut map, "cause", cause_of(&change.cause));
    Json::Object(map)
}

fn cause_of(cause: &Cause) -> Json {
    let word = match cause {
        Cause::Course => return Json::Null,
        Cause::Order(origin) => return Json::Object(origin_of(origin)),
        Cause::Boot => "boot",
        Cause::Signal => "signal",
        Cause::Demand => "on_demand",
        Cause::Requirement => "requires",
        Cause::Ended => "ended",
        Cause::SpawnFailed => "spawn_failed",
        Cause::Hook => "hook",
        Cause::Unready => "unready",
        Cause::Critical => "critical",
    };
    Json::Object(one("event", word.into()))
}

fn origin_of(origin: &Origin) -> Map {
    let name = origin.uid.and_then(|uid| user::user_by_uid(uid).ok().flatten()).map(|user| user.name);
    let mut map = one("command", origin.order.into());
    put(&mut map, "uid", origin.uid.into());
    put(&mut map, "user", name.into());
    put(&mut map, "pid", origin.pid.into());
    put(&mut map, "client", origin.client.as_str().into());
    map
}
