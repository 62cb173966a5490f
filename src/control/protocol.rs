//! The envelopes of the control protocol: a line in, a request out; a reply, an answer or an event in, a line out.
//!
//! Nothing that a client sends can do harm here: every line gives an [`Incoming`], good or bad.

use super::args::Args;
use super::props::text;
use super::python::quoted;
use super::{Map, Refusal, commands, object, one, put};
use crate::arbiter::Pid;
use crate::arbiter::request::{Errno, Planned, Reply, Request};
use crate::config::row::Role;
use serde_json::Value as Json;

/// The most values of a request. As objects of their own they would take 600 bytes each.
const MOST_VALUES: usize = 10_000;
/// The longest `id`, in bytes: it is kept until the request is answered.
const LONGEST_ID: usize = 1024;

/// What a client calls its request: the JSON text that goes back with the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id(Box<str>);

impl Default for Id {
    fn default() -> Self {
        Id("null".into())
    }
}

impl Id {
    fn new(id: &Json) -> Result<Id, Refusal> {
        if !is_exact(id) {
            return Err(Refusal::message(
                "'id' holds a number of more than 64 bits, which would not come back as it is; send it as text",
            ));
        }
        let text = id.to_string();
        if text.len() > LONGEST_ID {
            return Err(Refusal::message(format!("'id' is longer than {LONGEST_ID} bytes")));
        }
        Ok(Id(text.into()))
    }
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// What the reply has to carry as its `id`.
    pub id: Id,
    /// The client wants no reply, not even an error.
    pub cast: bool,
    /// The request, or why it is none.
    pub request: Result<Request, Refusal>,
    /// The least role that may ask for it.
    pub needs: Role,
}

/// Reads a line.
pub fn decode(line: &[u8]) -> Incoming {
    if line.len() > MOST_VALUES && values(line) > MOST_VALUES {
        return unread(Refusal::json(&format!(": it holds more than {MOST_VALUES} values")));
    }
    let Ok(json) = serde_json::from_slice::<Json>(line) else { return unread(Refusal::json("")) };
    let Json::Object(mut message) = json else { return unread(Refusal::json(": it is not an object")) };
    let cast = message.get("msg_type").and_then(Json::as_str) == Some("cast");
    match message.remove("id").map_or_else(|| Ok(Id::default()), |id| Id::new(&id)) {
        Ok(id) => match request(&message) {
            Ok((request, needs)) => Incoming { id, cast, request: Ok(request), needs },
            Err(refusal) => Incoming { id, cast, ..unread(refusal) },
        },
        Err(refusal) => Incoming { cast, ..unread(refusal) },
    }
}

/// How many values a text of JSON has, or more: each one stands before a comma, a closing bracket or the end.
fn values(text: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (1, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b',' | b']' | b'}' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

/// Whether a value can be sent back as it came: integers of more than 64 bits have become rounded numbers.
fn is_exact(id: &Json) -> bool {
    match id {
        Json::Number(number) => !number.is_f64() || number.as_f64().is_some_and(|n| n.abs() < 1e18),
        Json::Array(items) => items.iter().all(is_exact),
        Json::Object(members) => members.values().all(is_exact),
        Json::Null | Json::Bool(_) | Json::String(_) => true,
    }
}

/// The answer to a line that was too long to be read.
pub fn too_long() -> Incoming {
    unread(Refusal::json(&format!(": the line is longer than {} bytes", super::frame::LIMIT)))
}

/// The answer to a line that the end of the stream cut.
pub fn cut_off() -> Incoming {
    unread(Refusal::json(": the line has no newline"))
}

/// The answer to a request that was not looked at.
pub fn unread(refusal: Refusal) -> Incoming {
    Incoming { id: Id::default(), cast: false, request: Err(refusal), needs: Role::Look }
}

impl Refusal {
    fn json(more: &str) -> Refusal {
        Refusal { errno: Errno::NotJson, reason: format!("json invalid{more}") }
    }
}

fn request(message: &Map) -> Result<(Request, Role), Refusal> {
    if let (Some(Json::String(token)), None) = (message.get("token"), message.get("command")) {
        return Ok((Request::Token(token.clone()), Role::Look));
    }
    let name = Args(message).need("command", text)?;
    let Some(command) = commands::find(&name) else {
        return Err(Refusal {
            errno: Errno::UnknownCommand,
            reason: commands::lack(&name).unwrap_or_else(|| format!("unknown command: {}", quoted(&name))),
        });
    };
    let request = match Args(message).json("properties") {
        None => command.decode(&Map::new()),
        Some(Json::Object(properties)) => command.decode(properties),
        Some(_) => Err(Refusal::message("'properties' isn't a valid object")),
    }?;
    let needs = command.needs(&request);
    Ok((request, needs))
}

/// The line of a request; the client's side of [`decode`].
pub fn encode_request(command: &str, properties: &Map) -> Vec<u8> {
    line(&[("command", &command.into())], Some(("properties", properties)), None)
}

/// The same with an `id`, which the reply repeats.
#[cfg(feature = "details")]
pub fn encode_request_as(id: &str, command: &str, properties: &Map) -> Vec<u8> {
    line(&[("id", &id.into()), ("command", &command.into())], Some(("properties", properties)), None)
}

/// The line that shows a token.
pub fn encode_token(token: &str) -> Vec<u8> {
    line(&[("token", &token.into())], None, None)
}

/// The line that answers an order. `time` is in seconds since 1970.
pub fn encode_reply(id: &Id, reply: &Reply, time: f64) -> Vec<u8> {
    encode_outcome(id, keys(reply), time)
}

/// The line that answers a question: `keys` stand in Circus's envelope, and replace what they have in common with
/// it (`status NAME` answers with a `status` of its own).
pub fn encode_answer(id: &Id, keys: &Map, time: f64) -> Vec<u8> {
    let (ok, time) = ("ok".into(), time.into());
    let mut members = vec![("status", keys.get("status").unwrap_or(&ok)), ("time", &time)];
    let others = keys.iter().filter(|(key, _)| key.as_str() != "status");
    members.extend(others.map(|(key, value)| (key.as_str(), value)));
    line(&members, None, Some(id))
}

/// The line that answers a question, or refuses a request.
pub fn encode_outcome(id: &Id, outcome: Result<Map, Refusal>, time: f64) -> Vec<u8> {
    let Refusal { errno, reason } = match outcome {
        Ok(keys) => return encode_answer(id, &keys, time),
        Err(refusal) => refusal,
    };
    let (status, reason, errno) = ("error".into(), reason.into(), (errno as u8).into());
    let members = [
        ("status", &status),
        ("reason", &reason),
        ("tb", &Json::Null),
        ("time", &time.into()),
        ("errno", &errno),
    ];
    line(&members, None, Some(id))
}

/// The line that tells an event.
pub fn encode_event(topic: &str, data: &Map) -> Vec<u8> {
    line(&[("topic", &topic.into())], Some(("data", data)), None)
}

/// What a reply has besides the envelope.
fn keys(reply: &Reply) -> Result<Map, Refusal> {
    Ok(match reply {
        Reply::Error { errno, reason } => return Err(Refusal { errno: *errno, reason: reason.clone() }),
        Reply::Ok => Map::new(),
        Reply::Plan(plan) => one("plan", plan.iter().map(planned).collect()),
        Reply::Stopped => one("info", Json::Null),
        Reply::Info { started, stopped, kept } => {
            let mut info = started_and_kept(started, kept);
            stopped.iter().for_each(|stopped| put(&mut info, "stopped", pids(stopped)));
            one("info", Json::Object(info))
        }
        Reply::Added { started, kept } => started_and_kept(started, kept),
        Reply::Numprocesses { count, singleton } => {
            let mut keys = one("numprocesses", (*count).into());
            if *singleton {
                put(&mut keys, "singleton", true.into());
            }
            keys
        }
    })
}

fn started_and_kept(started: &[Pid], kept: &[Pid]) -> Map {
    object(&mut [("started".to_string(), pids(started)), ("kept".to_string(), pids(kept))].into_iter())
}

fn pids(pids: &[Pid]) -> Json {
    pids.iter().copied().collect()
}

/// An object as one line: members in this order, one that is an object, and the id.
fn line(members: &[(&str, &Json)], object: Option<(&str, &Map)>, id: Option<&Id>) -> Vec<u8> {
    let mut line = Vec::with_capacity(128);
    let open = |line: &mut Vec<u8>, key: &str| {
        line.push(if line.is_empty() { b'{' } else { b',' });
        // Writing to memory cannot fail: keys are text, and numbers finite.
        let _ = serde_json::to_writer(&mut *line, key);
        line.push(b':');
    };
    for (key, value) in members {
        open(&mut line, key);
        let _ = serde_json::to_writer(&mut line, value);
    }
    if let Some((key, map)) = object {
        open(&mut line, key);
        let _ = serde_json::to_writer(&mut line, map);
    }
    if let Some(id) = id {
        open(&mut line, "id");
        line.extend_from_slice(id.0.as_bytes());
    }
    line.extend_from_slice(b"}\n");
    line
}

/// What would become of a watcher.
fn planned(planned: &Planned) -> Json {
    let mut map = one("name", planned.name.as_str().into());
    put(&mut map, "step", planned.step.into());
    put(&mut map, "keys", planned.keys.iter().map(String::as_str).collect());
    Json::Object(map)
}

#[cfg(test)]
mod tests;
