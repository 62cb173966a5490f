//! Answers questions, as Circus's objects.

use super::{View, metrics, status, why};
use crate::arbiter::request::Question;
use crate::arbiter::watcher::Watcher;
use crate::config::options::watcher;
use crate::control::{Map, Refusal, answers, one, put};
use crate::host::surroundings::current_dir;
use crate::sorted::{sort, sort_by};
use crate::sys::address::Address;
use serde_json::Value as Json;
use std::os::fd::AsRawFd;

/// Answers a question.
///
/// # Errors
/// There is no such watcher or option.
pub fn answer(view: &View<'_>, question: &Question) -> Result<Map, Refusal> {
    Ok(match question {
        Question::List(name) => list(view, name.as_deref())?,
        Question::Status { name, check, details } => status::status(view, name.as_deref(), *check, *details)?,
        Question::Why(name) => why::why(view, name)?,
        Question::Numprocesses(name) => numprocesses(view, name.as_deref())?,
        Question::Numwatchers => one("numwatchers", view.arbiter.watchers().count().into()),
        Question::Get { name, keys } => with_directory(answers::get(&view.watcher(name)?.config, keys)?),
        Question::Options(name) => with_directory(answers::options(&view.watcher(name)?.config)),
        Question::Globaloptions(option) => {
            answers::globaloptions(view.options, view.addresses, option.as_deref())
        }
        Question::Listsockets => one("sockets", sockets(view)),
        Question::Metrics => one("metrics", metrics::text(view).into()),
        // They take surveys.
        Question::Stats { .. } | Question::Dstats => Map::new(),
    })
}

/// The names of all watchers, or the pids of one.
fn list(view: &View<'_>, name: Option<&str>) -> Result<Map, Refusal> {
    Ok(match name {
        Some(name) => one("pids", view.watcher(name)?.pids().into_iter().collect()),
        None => {
            let names = view.arbiter.watchers().map(|watcher| watcher.config.name.to_lowercase());
            one("watchers", sort(names.collect()).into())
        }
    })
}

fn numprocesses(view: &View<'_>, name: Option<&str>) -> Result<Map, Refusal> {
    let count = |watcher: &Watcher| watcher.processes().count();
    let Some(name) = name else {
        return Ok(one("numprocesses", view.arbiter.watchers().map(count).sum::<usize>().into()));
    };
    let mut answer = one("numprocesses", count(view.watcher(name)?).into());
    put(&mut answer, "watcher_name", name.into());
    Ok(answer)
}

/// The sockets, by descriptor.
fn sockets(view: &View<'_>) -> Json {
    let mut sockets: Vec<_> = view.descriptors().collect();
    sort_by(&mut sockets, |a, b| a.1.as_raw_fd() < b.1.as_raw_fd());
    let mut all = Vec::new();
    for (socket, fd) in sockets {
        let mut map = one("fd", fd.as_raw_fd().into());
        put(&mut map, "name", socket.name.as_str().into());
        put(&mut map, "backlog", socket.config.options.backlog.into());
        match &socket.address {
            Address::Inet(address) => {
                put(&mut map, "host", address.ip().to_string().into());
                put(&mut map, "port", address.port().into());
            }
            unix @ (Address::Unix(_) | Address::Abstract(_)) => {
                put(&mut map, "path", unix.to_string().into());
            }
        }
        all.push(Json::Object(map));
    }
    all.into()
}

/// Fills in the directory of processes that have none of their own: that of circus.
fn with_directory(mut answer: Map) -> Map {
    let options = answer.get_mut("options").and_then(Json::as_object_mut);
    let directory = options.and_then(|options| options.get_mut(watcher::working_dir));
    directory.into_iter().filter(|it| it.is_null()).for_each(|it| *it = current_dir().into());
    answer
}
