//! Replies as text, as Circus prints them.

#[cfg(feature = "details")]
use super::overview;
use super::{Map, at, field, items, lines, members, output, python};
use crate::config::options::global;
use serde_json::Value as Json;

/// The options that `globaloptions` tells, in Circus's order.
pub const GLOBAL_OPTIONS: [&str; 5] = [
    global::endpoint,
    global::stats_endpoint,
    global::pubsub_endpoint,
    global::check_delay,
    global::multicast_endpoint,
];

pub fn ok(_: &Map, _: &Json) -> String {
    "ok".into()
}

pub fn change(_: &Map, reply: &Json) -> String {
    match (reply.get("singleton"), reply.get("numprocesses")) {
        (Some(_), _) => "This watcher is a Singleton - not changing the number of processes".into(),
        (None, Some(count)) => count.to_string(),
        (None, None) => "ok".into(),
    }
}

pub fn list(_: &Map, reply: &Json) -> String {
    let listed = items(reply.get("pids").unwrap_or(at(reply, "watchers")));
    listed.map(python::str).collect::<Vec<_>>().join(",")
}

pub fn logs(_: &Map, reply: &Json) -> String {
    let files = lines(items(at(reply, "files")).map(python::str));
    if files.is_empty() { "no files".into() } else { files }
}

pub fn status(_: &Map, reply: &Json) -> String {
    let text = output::render_check(reply);
    #[cfg(feature = "details")]
    let text = text.or_else(|| overview::render_table(reply));
    if let Some(text) = text {
        return text;
    }
    match reply.get("statuses") {
        Some(statuses) => lines(members(statuses).map(|(k, v)| k.clone() + ": " + &python::str(v))),
        None => field(reply, "status"),
    }
}

/// What would change, a line for each watcher; of an order that was carried out `ok`.
#[cfg(feature = "reloadconfig")]
pub fn plan(asked: &Map, reply: &Json) -> String {
    let Some(plan) = reply.get("plan") else { return ok(asked, reply) };
    let changes = items(plan).filter(|planned| super::word(planned, "step") != "keep");
    let text = lines(changes.map(|planned| {
        let keys: Vec<String> = items(at(planned, "keys")).map(python::str).collect();
        let keys = if keys.is_empty() { String::new() } else { format!(" ({})", keys.join(" ")) };
        format!("{}: {}{keys}", super::word(planned, "name"), super::word(planned, "step"))
    }));
    if text.is_empty() { "nothing would change".into() } else { text }
}

pub fn options(_: &Map, reply: &Json) -> String {
    lines(members(at(reply, "options")).map(|(key, value)| option(key, value)))
}

/// As `options`, in the order of the keys that were asked for.
pub fn get(asked: &Map, reply: &Json) -> String {
    chosen(asked.get("keys").into_iter().flat_map(items).filter_map(Json::as_str), reply)
}

pub fn globaloptions(_: &Map, reply: &Json) -> String {
    chosen(GLOBAL_OPTIONS.into_iter(), reply)
}

fn chosen<'a>(keys: impl Iterator<Item = &'a str>, reply: &Json) -> String {
    lines(keys.filter_map(|key| Some(option(key, at(reply, "options").get(key)?))))
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

pub fn listsockets(_: &Map, reply: &Json) -> String {
    lines(items(at(reply, "sockets")).map(|socket| {
        let place = match socket.get("path") {
            Some(path) => python::str(path),
            None => format!("{}:{}", field(socket, "host"), field(socket, "port")),
        };
        format!("{}:socket '{}' at {place}", field(socket, "fd"), field(socket, "name"))
    }))
}
