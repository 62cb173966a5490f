//! Replies as text, as Circus prints them.

use super::{Map, overview, python};
use crate::config::options::global;
use crate::sorted::sort_by;
use serde_json::Value as Json;

/// The options that `globaloptions` tells, in Circus's order.
pub const GLOBAL_OPTIONS: [&str; 5] = [
    global::endpoint,
    global::stats_endpoint,
    global::pubsub_endpoint,
    global::check_delay,
    global::multicast_endpoint,
];

pub fn ok(_: &Map, _: &Map) -> String {
    "ok".into()
}

pub fn change(_: &Map, reply: &Map) -> String {
    match (reply.get("singleton"), reply.get("numprocesses")) {
        (Some(_), _) => "This watcher is a Singleton - not changing the number of processes".into(),
        (None, Some(count)) => count.to_string(),
        (None, None) => "ok".into(),
    }
}

pub fn list(_: &Map, reply: &Map) -> String {
    match reply.get("pids").or_else(|| reply.get("watchers")) {
        Some(Json::Array(items)) => items.iter().map(python::str).collect::<Vec<_>>().join(","),
        _ => String::new(),
    }
}

pub fn status(_: &Map, reply: &Map) -> String {
    if let Some(text) = overview::render_check(reply).or_else(|| overview::render_table(reply)) {
        return text;
    }
    match reply.get("statuses") {
        Some(Json::Object(statuses)) => {
            lines(statuses.iter().map(|(k, v)| k.clone() + ": " + &python::str(v)))
        }
        _ => field(reply, "status"),
    }
}

pub fn numprocesses(_: &Map, reply: &Map) -> String {
    field(reply, "numprocesses")
}

#[cfg(feature = "metrics")]
pub fn metrics(_: &Map, reply: &Map) -> String {
    field(reply, "metrics").trim_end().to_string()
}

pub fn numwatchers(_: &Map, reply: &Map) -> String {
    field(reply, "numwatchers")
}

pub fn options(_: &Map, reply: &Map) -> String {
    let Some(Json::Object(options)) = reply.get("options") else { return String::new() };
    lines(options.iter().map(|(key, value)| option(key, value)))
}

/// As `options`, in the order of the keys that were asked for.
pub fn get(asked: &Map, reply: &Map) -> String {
    let keys = asked.get("keys").and_then(Json::as_array).into_iter().flatten();
    chosen(keys.filter_map(Json::as_str), reply)
}

pub fn globaloptions(_: &Map, reply: &Map) -> String {
    chosen(GLOBAL_OPTIONS.into_iter(), reply)
}

fn chosen<'a>(keys: impl Iterator<Item = &'a str>, reply: &Map) -> String {
    let Some(Json::Object(options)) = reply.get("options") else { return String::new() };
    lines(keys.filter_map(|key| Some(option(key, options.get(key)?))))
}

/// `key: value`; what is not set is empty, an environment is `A=1,B=2`.
fn option(key: &str, value: &Json) -> String {
    let text = match (key, value) {
        (_, Json::Null) => String::new(),
        ("env", Json::Object(env)) => {
            let pairs: Vec<String> = env.iter().map(|(k, v)| k.clone() + "=" + &python::str(v)).collect();
            pairs.join(",")
        }
        _ => python::str(value),
    };
    format!("{key}: {text}")
}

pub fn listsockets(_: &Map, reply: &Map) -> String {
    let sockets = reply.get("sockets").and_then(Json::as_array).into_iter().flatten();
    lines(sockets.filter_map(Json::as_object).map(|socket| {
        let place = match socket.get("path") {
            Some(path) => python::str(path),
            None => format!("{}:{}", field(socket, "host"), field(socket, "port")),
        };
        format!("{}:socket '{}' at {place}", field(socket, "fd"), field(socket, "name"))
    }))
}

pub fn stats(_: &Map, reply: &Map) -> String {
    let mut out = Vec::new();
    match (reply.get("infos"), reply.get("process"), reply.get("info")) {
        (Some(Json::Object(infos)), _, _) => {
            infos.iter().for_each(|(name, info)| watcher(name, info, &mut out))
        }
        (_, Some(pid), Some(info)) => process(&pid.to_string(), info, &mut out),
        (_, _, Some(info)) => watcher(&field(reply, "name"), info, &mut out),
        _ => {}
    }
    lines(out.into_iter())
}

/// The name of a watcher and its processes, by pid.
fn watcher(name: &str, info: &Json, out: &mut Vec<String>) {
    out.push(format!("{name}:"));
    let mut infos: Vec<_> = info.as_object().into_iter().flatten().collect();
    let number = |pid: &str| pid.parse::<i64>().unwrap_or(i64::MAX);
    sort_by(&mut infos, |a, b| number(a.0) < number(b.0));
    infos.into_iter().for_each(|(pid, info)| process(pid, info, out));
}

fn process(pid: &str, info: &Json, out: &mut Vec<String>) {
    match info {
        Json::Object(facts) => {
            out.push(format!("{pid}: {}", info_line(facts)));
            children(facts).for_each(|child| descend(child, "   ", "   ", out));
        }
        other => out.push(format!("{pid}: {}", python::str(other))),
    }
}

pub fn dstats(_: &Map, reply: &Map) -> String {
    let Some(Json::Object(facts)) = reply.get("info") else { return String::new() };
    let mut out = vec!["Main Process:".to_string(), "    ".to_string() + &info_line(facts)];
    let mut below = Vec::new();
    children(facts).for_each(|child| descend(child, "    ", "   ", &mut below));
    if !below.is_empty() {
        out.push("Children:".into());
        out.extend(below);
    }
    lines(out.into_iter())
}

/// A process and its descendants, each generation further to the right.
fn descend(facts: &Map, indent: &str, step: &str, out: &mut Vec<String>) {
    out.push(indent.to_string() + &info_line(facts));
    let deeper = indent.to_string() + step;
    children(facts).for_each(|child| descend(child, &deeper, step, out));
}

fn children(facts: &Map) -> impl Iterator<Item = &Map> {
    facts.get("children").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_object)
}

/// The columns of a process.
fn info_line(facts: &Map) -> String {
    let rest = ["cmdline", "username", "nice", "mem_info1", "mem_info2", "cpu", "mem", "ctime"];
    let rest: Vec<String> = rest.iter().map(|key| field(facts, key)).collect();
    format!("{}  {}", field(facts, "pid"), rest.join(" "))
}

/// A value as text; empty when it is missing.
fn field(map: &Map, key: &str) -> String {
    map.get(key).map(python::str).unwrap_or_default()
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}
