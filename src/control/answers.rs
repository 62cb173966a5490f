//! Answers to questions: what the daemon knows, as Circus's objects.
//!
//! Each function gives the keys that stand in the envelope of the reply; [`super::protocol::encode_answer`] puts them
//! there. The daemon only collects the facts.

use super::{Map, Refusal, object, one, python, render};
use crate::arbiter::Pid;
use crate::config::families::{self, FAMILIES};
use crate::config::options::{self, CircusOptions, WatcherOptions, global};
use crate::config::{StreamConfig, Value, WatcherConfig, number};
use crate::sorted::{sort, sort_by};
use serde_json::Value as Json;

/// How Circus calls a stream in an answer: by its key with this behind it.
const CONF: &str = "_conf";

/// What Circus says of a process that is gone.
const GONE: &str = "No such process (stopped?)";

/// A socket that circus holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketFact {
    /// Its descriptor in circus.
    pub fd: i32,
    /// Its name.
    pub name: String,
    /// How many connections may wait.
    pub backlog: i64,
    /// Where it is bound.
    pub place: SocketPlace,
}

/// Where a socket is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketPlace {
    /// A host and a port.
    HostPort(String, u16),
    /// The path of a Unix socket.
    Path(String),
}

/// What is known of a running process; `None` where the kernel does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessFact {
    /// Its id.
    pub pid: Pid,
    /// Its number within the watcher; `None` for processes that circus did not start.
    pub wid: Option<u64>,
    /// The file name of its program.
    pub cmdline: Option<String>,
    /// Whose it is.
    pub username: Option<String>,
    /// Its priority; `None` with `zombie`: it has ended and waits to be reaped.
    pub nice: Option<i32>,
    /// It has ended and waits to be reaped.
    pub zombie: bool,
    /// Percent of one processor since the last look.
    pub cpu: Option<f64>,
    /// Percent of the memory.
    pub mem: Option<f64>,
    /// Resident memory, in bytes.
    pub rss: Option<u64>,
    /// Virtual memory, in bytes.
    pub vms: Option<u64>,
    /// Processor time, in seconds.
    pub ctime: Option<f64>,
    /// When it was made, in seconds since 1970.
    pub create_time: Option<f64>,
    /// When circus spawned it, in seconds since 1970.
    pub started: Option<f64>,
    /// For how long it has run, in seconds.
    pub age: Option<f64>,
    /// Its direct children.
    pub children: Vec<ProcessFact>,
}

/// The names of all watchers.
pub fn list<'a>(names: impl Iterator<Item = &'a str>) -> Map {
    let names: Vec<String> = names.map(str::to_lowercase).collect();
    one("watchers", sort(names).into())
}

/// The active processes of a watcher.
pub fn pids(pids: impl Iterator<Item = Pid>) -> Map {
    one("pids", pids.collect::<Json>())
}

/// The states of all watchers.
pub fn status_all<'a>(statuses: impl Iterator<Item = (&'a str, &'a str)>) -> Map {
    let mut members = statuses.map(|(name, status)| (name.to_string(), status.into()));
    one("statuses", Json::Object(object(&mut members)))
}

/// The state of one watcher.
pub fn status(status: &str) -> Map {
    one("status", status.into())
}

/// How many processes run: of the watcher that the client calls `name`, or in all.
pub fn numprocesses(count: usize, name: Option<&str>) -> Map {
    let mut map = one("numprocesses", count.into());
    if let Some(name) = name {
        map.insert("watcher_name".into(), name.into());
    }
    map
}

/// How many watchers there are.
pub fn numwatchers(count: usize) -> Map {
    one("numwatchers", count.into())
}

/// The value of an option as JSON.
pub fn json(value: &Value) -> Json {
    match value {
        Value::None => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Int(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Str(text) => Json::from(text.as_str()),
        Value::Map(map) => Json::Object(object(&mut map.iter().map(|(k, v)| (k.clone(), v.as_str().into())))),
    }
}

/// All options of a watcher.
pub fn options(watcher: &WatcherConfig) -> Map {
    let defaults = WatcherOptions::default();
    let mut map = Map::new();
    for row in options::WATCHER {
        let value = row.get(&watcher.options);
        if row.shown || value != row.get(&defaults) {
            map.insert(row.key.into(), json(&watcher.shown(row)));
        }
    }
    // The environment may hold secrets: only who asks for it by `get` is sent it.
    for family in FAMILIES {
        if let Some(stream) = stream(watcher, family.whole()) {
            map.insert(family.whole().to_string() + CONF, stream);
            continue;
        }
        for name in family.members.names(watcher) {
            let value = family.members.get(watcher, &name);
            map.extend(value.map(|value| (family.key(&name), json(&value))));
        }
    }
    map.extend(watcher.free.iter().map(|(key, value)| (key.clone(), value.as_str().into())));
    one("options", Json::Object(map))
}

/// Some options of a watcher.
///
/// # Errors
/// There is no option of one of those names.
pub fn get(watcher: &WatcherConfig, keys: &[String]) -> Result<Map, Refusal> {
    let unknown = |key: &str| Refusal::message(format!("{} option not found", python::quoted(key)));
    let mut options = Map::new();
    for key in keys {
        if !options.contains_key(key) {
            options.insert(key.clone(), member(watcher, key).ok_or_else(|| unknown(key))?);
        }
    }
    Ok(one("options", Json::Object(options)))
}

fn member(watcher: &WatcherConfig, key: &str) -> Option<Json> {
    let stream = stream(watcher, key.strip_suffix(CONF).unwrap_or(key));
    stream.or_else(|| watcher.get(key).map(|value| json(&value)))
}

/// What is set of the stream of this key; an empty object when there is none.
fn stream(watcher: &WatcherConfig, key: &str) -> Option<Json> {
    let stream = match key {
        families::STDOUT => &watcher.stdout_stream,
        families::STDERR => &watcher.stderr_stream,
        _ => return None,
    };
    let entries = stream.as_deref().map(StreamConfig::entries).unwrap_or_default();
    Some(Json::Object(object(&mut entries.iter().map(|(key, value)| (key.to_string(), json(value))))))
}

/// The options of circus, or one of them. The endpoints are the places that are really served; nothing is published at
/// the other two.
///
/// # Errors
/// `option` is none of them.
pub fn globaloptions(
    options: &CircusOptions,
    (endpoint, pubsub): (&str, &str),
    option: Option<&str>,
) -> Result<Map, Refusal> {
    let value = |key: &str| match key {
        global::endpoint => Json::from(endpoint),
        global::pubsub_endpoint => Json::from(pubsub),
        global::stats_endpoint | global::multicast_endpoint => Json::Null,
        _ => options::find(options::CIRCUS, key).map_or(Json::Null, |row| json(&row.get(options))),
    };
    let all = render::GLOBAL_OPTIONS;
    match option {
        None => {
            let options = object(&mut all.iter().map(|key| (key.to_string(), value(key))));
            Ok(one("options", Json::Object(options)))
        }
        Some(key) if all.contains(&key) => Ok(one("options", Json::Object(one(key, value(key))))),
        Some(key) => Err(Refusal::message(format!("{} not an existing option", python::quoted(key)))),
    }
}

/// The sockets, by descriptor.
pub fn listsockets(mut sockets: Vec<SocketFact>) -> Map {
    sort_by(&mut sockets, |a, b| a.fd < b.fd);
    let object = |socket: SocketFact| {
        let mut map = one("fd", socket.fd.into());
        map.insert("name".into(), socket.name.into());
        map.insert("backlog".into(), socket.backlog.into());
        match socket.place {
            SocketPlace::Path(path) => {
                map.insert("path".into(), path.into());
            }
            SocketPlace::HostPort(host, port) => {
                map.insert("host".into(), host.into());
                map.insert("port".into(), port.into());
            }
        }
        Json::Object(map)
    };
    one("sockets", sockets.into_iter().map(object).collect::<Json>())
}

/// The processes of one watcher by id; `None` for one that has just gone.
pub type Processes = Vec<(Pid, Option<ProcessFact>)>;

/// Statistics of all watchers.
pub fn stats_all<'a>(watchers: impl Iterator<Item = (&'a str, Processes)>) -> Map {
    let mut members = watchers.map(|(name, facts)| (name.to_string(), infos(facts)));
    one("infos", Json::Object(object(&mut members)))
}

/// Statistics of the watcher that the client calls `name`.
pub fn stats_watcher(name: &str, processes: Processes) -> Map {
    let mut map = one("name", name.into());
    map.insert("info".into(), infos(processes));
    map
}

/// Statistics of one process.
pub fn stats_process(pid: Pid, fact: Option<ProcessFact>) -> Map {
    let mut map = one("process", pid.into());
    map.insert("info".into(), fact.map_or(Json::from(GONE), info));
    map
}

/// The refusal when a watcher, as the client calls it, has no such process.
pub fn no_process(pid: Pid, name: &str) -> Refusal {
    Refusal::message(format!("process {pid} not found in {}", python::quoted(name)))
}

/// The refusal when there is no watcher of that name.
pub fn no_watcher(name: &str) -> Refusal {
    Refusal::message(format!("program {} not found", python::cut(name)))
}

/// Statistics of circus itself.
pub fn dstats(fact: ProcessFact) -> Map {
    one("info", info(fact))
}

fn infos(processes: Processes) -> Json {
    let info =
        |(pid, fact): (Pid, Option<ProcessFact>)| (pid.to_string(), fact.map_or(Json::from(GONE), info));
    Json::Object(object(&mut processes.into_iter().map(info)))
}

/// Circus's object of a process.
fn info(fact: ProcessFact) -> Json {
    fn or_not(value: Option<impl Into<Json>>) -> Json {
        value.map_or_else(|| Json::from("N/A"), Into::into)
    }
    let rounded = |value: Option<f64>, scale: f64| value.map(|v| (v * scale).round() / scale);
    let mut map = one("pid", fact.pid.into());
    let mut put = |key: &str, value: Json| map.insert(key.into(), value);
    put("cmdline", or_not(fact.cmdline));
    put("username", or_not(fact.username));
    put("nice", if fact.zombie { "Zombie".into() } else { or_not(fact.nice) });
    put("cpu", or_not(rounded(fact.cpu, 10.0)));
    put("mem", or_not(rounded(fact.mem, 1000.0)));
    put("mem_info1", or_not(fact.rss.map(human)));
    put("mem_info2", or_not(fact.vms.map(human)));
    put("ctime", or_not(fact.ctime.map(minutes)));
    put("create_time", or_not(fact.create_time));
    put("age", or_not(fact.age));
    put("children", fact.children.into_iter().map(info).collect());
    if let Some(wid) = fact.wid {
        put("wid", wid.into());
    }
    if let Some(started) = fact.started {
        put("started", started.into());
    }
    Json::Object(map)
}

/// A size as Circus writes it: `512B`, `1.45M`, `2.00G`.
fn human(bytes: u64) -> String {
    let units = [("E", 60), ("P", 50), ("T", 40), ("G", 30), ("M", 20), ("K", 10)];
    let Some((name, unit)) =
        units.map(|(name, power)| (name, 1u64 << power)).into_iter().find(|u| bytes >= u.1)
    else {
        return format!("{bytes}B");
    };
    format!("{}{name}", number::fixed(bytes as f64 / unit as f64, 2))
}

/// Processor time as `M:SS.ff`; the minutes go on above 59, unlike Circus's.
fn minutes(seconds: f64) -> String {
    let hundredths = (seconds.max(0.0) * 100.0) as u64;
    format!("{}:{:02}.{:02}", hundredths / 6000, hundredths / 100 % 60, hundredths % 100)
}

#[cfg(test)]
mod tests;
