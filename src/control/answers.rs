//! Answers about options, as Circus's objects.
//!
//! Each function gives the keys that stand in the envelope of the reply; [`super::protocol::encode_answer`] puts them
//! there.

use super::{Map, Refusal, object, one, python, render};
use crate::arbiter::Pid;
use crate::config::families::FAMILIES;
use crate::config::options::{self, CircusOptions, WatcherOptions, global};
use crate::config::{CHANNELS, StreamConfig, Value, WatcherConfig};
use serde_json::Value as Json;

/// How Circus calls a stream in an answer: by its key with this behind it.
const CONF: &str = "_conf";

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
        for name in family.names(watcher) {
            let value = family.get(watcher, &name);
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
    let channel = CHANNELS.into_iter().find(|channel| channel.key() == key)?;
    let entries = watcher.kept_stream(channel).as_deref().map(StreamConfig::entries).unwrap_or_default();
    Some(Json::Object(object(&mut entries.iter().map(|(key, value)| (key.to_string(), json(value))))))
}

/// The options of circus, or one of them. The endpoints are the places that are really served; nothing is published at
/// the other two.
pub fn globaloptions(options: &CircusOptions, (endpoint, pubsub): (&str, &str), option: Option<&str>) -> Map {
    let value = |key: &str| match key {
        global::endpoint => Json::from(endpoint),
        global::pubsub_endpoint => Json::from(pubsub),
        global::stats_endpoint | global::multicast_endpoint => Json::Null,
        _ => options::find(options::CIRCUS, key).map_or(Json::Null, |row| json(&row.get(options))),
    };
    let asked = render::GLOBAL_OPTIONS.into_iter().filter(|key| option.is_none_or(|option| option == *key));
    one("options", Json::Object(object(&mut asked.map(|key| (key.to_string(), value(key))))))
}

/// The refusal when a watcher, as the client calls it, has no such process.
pub fn no_process(pid: Pid, name: &str) -> Refusal {
    Refusal::message(format!("process {pid} not found in {}", python::quoted(name)))
}

/// The refusal when there is no watcher of that name.
pub fn no_watcher(name: &str) -> Refusal {
    Refusal::message(format!("program {} not found", python::cut(name)))
}

#[cfg(test)]
mod tests;
