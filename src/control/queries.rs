//! The commands that change nothing: list status numprocesses numwatchers get options globaloptions listsockets
//! stats dstats, and listen.

use super::commands::CliArgs;
use super::lifecycle::flag;
use super::props::Props;
use super::{Map, Refusal, object, one, overview, python};
use crate::arbiter::request::{Question, Request};
use crate::config::options::global;
use crate::sorted::sort_by;
use serde_json::Value as Json;

type Encoded = Result<Map, String>;
type Decoded = Result<Request, Refusal>;

/// The options that `globaloptions` tells, in Circus's order.
pub const GLOBAL_OPTIONS: [&str; 5] = [
    global::endpoint,
    global::stats_endpoint,
    global::pubsub_endpoint,
    global::check_delay,
    global::multicast_endpoint,
];

/// The most keys or topics of one request.
const MOST_TEXTS: usize = 1024;
/// The longest topic, in bytes.
const LONGEST_TOPIC: usize = 1024;

/// The words that were typed as properties of these names.
pub fn positional(args: &CliArgs, keys: &[&str]) -> Map {
    object(&mut keys.iter().zip(&args.words).map(|(key, word)| (key.to_string(), word.clone().into())))
}

pub fn encode_none(_: &CliArgs) -> Encoded {
    Ok(Map::new())
}

pub fn encode_name(args: &CliArgs) -> Encoded {
    Ok(positional(args, &["name"]))
}

pub fn encode_status(args: &CliArgs) -> Encoded {
    let mut map = positional(args, &["name"]);
    flag(&mut map, args, "check");
    Ok(map)
}

pub fn encode_globaloptions(args: &CliArgs) -> Encoded {
    Ok(positional(args, &["option"]))
}

pub fn encode_get(args: &CliArgs) -> Encoded {
    let mut map = positional(args, &["name"]);
    map.insert("keys".into(), args.words.iter().skip(1).cloned().collect());
    Ok(map)
}

pub fn encode_stats(args: &CliArgs) -> Encoded {
    let mut map = positional(args, &["name", "process"]);
    flag(&mut map, args, "extended");
    Ok(map)
}

pub fn encode_listen(args: &CliArgs) -> Encoded {
    Ok(one("topics", args.words.iter().cloned().collect()))
}

fn question(question: Question) -> Decoded {
    Ok(Request::Question(question))
}

pub fn decode_list(map: &Map) -> Decoded {
    question(Question::List(Props(map).text("name")?))
}

pub fn decode_status(map: &Map) -> Decoded {
    let props = Props(map);
    let (check, details) = (props.flag("check", false)?, props.flag("details", false)?);
    question(Question::Status { name: props.text("name")?, check, details })
}

pub fn decode_numprocesses(map: &Map) -> Decoded {
    question(Question::Numprocesses(Props(map).text("name")?))
}

pub fn decode_numwatchers(_: &Map) -> Decoded {
    question(Question::Numwatchers)
}

pub fn decode_get(map: &Map) -> Decoded {
    let props = Props(map);
    let name = props.name()?;
    props.required("keys")?;
    question(Question::Get { name, keys: few("keys", props.texts("keys")?)? })
}

pub fn decode_options(map: &Map) -> Decoded {
    question(Question::Options(Props(map).name()?))
}

pub fn decode_globaloptions(map: &Map) -> Decoded {
    match Props(map).text("option")? {
        Some(option) if !GLOBAL_OPTIONS.contains(&option.as_str()) => {
            Err(Refusal::message(format!("{} not an existing option", python::quoted(&option))))
        }
        option => question(Question::Globaloptions(option)),
    }
}

pub fn decode_listsockets(_: &Map) -> Decoded {
    question(Question::Listsockets)
}

pub fn decode_stats(map: &Map) -> Decoded {
    let props = Props(map);
    let name = props.text("name")?;
    let process = props.pid("process")?;
    if process.is_some() && name.is_none() {
        return Err(Refusal::message("message invalid 'name' is missing"));
    }
    question(Question::Stats { name, process, extended: props.flag("extended", false)? })
}

pub fn decode_dstats(_: &Map) -> Decoded {
    question(Question::Dstats)
}

pub fn decode_listen(map: &Map) -> Decoded {
    let topics = few("topics", Props(map).texts("topics")?)?;
    let longest = topics.iter().map(String::len).max().unwrap_or(0);
    if longest > LONGEST_TOPIC {
        return Err(Refusal::message(format!("'topics' has one of more than {LONGEST_TOPIC} bytes")));
    }
    Ok(Request::Listen(topics))
}

/// A list that is not too long for one request.
fn few(key: &str, texts: Vec<String>) -> Result<Vec<String>, Refusal> {
    if texts.len() <= MOST_TEXTS {
        return Ok(texts);
    }
    Err(Refusal::message(format!("'{key}' has more than {MOST_TEXTS} members")))
}

pub fn render_list(_: &Map, reply: &Map) -> String {
    match reply.get("pids").or_else(|| reply.get("watchers")) {
        Some(Json::Array(items)) => items.iter().map(python::str).collect::<Vec<_>>().join(","),
        _ => String::new(),
    }
}

pub fn render_status(_: &Map, reply: &Map) -> String {
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

pub fn render_numprocesses(_: &Map, reply: &Map) -> String {
    field(reply, "numprocesses")
}

pub fn render_numwatchers(_: &Map, reply: &Map) -> String {
    field(reply, "numwatchers")
}

pub fn render_options(_: &Map, reply: &Map) -> String {
    let Some(Json::Object(options)) = reply.get("options") else { return String::new() };
    lines(options.iter().map(|(key, value)| option(key, value)))
}

/// As `options`, in the order of the keys that were asked for.
pub fn render_get(asked: &Map, reply: &Map) -> String {
    let keys = asked.get("keys").and_then(Json::as_array).into_iter().flatten();
    chosen(keys.filter_map(Json::as_str), reply)
}

pub fn render_globaloptions(_: &Map, reply: &Map) -> String {
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

pub fn render_listsockets(_: &Map, reply: &Map) -> String {
    let sockets = reply.get("sockets").and_then(Json::as_array).into_iter().flatten();
    lines(sockets.filter_map(Json::as_object).map(|socket| {
        let place = match socket.get("path") {
            Some(path) => python::str(path),
            None => format!("{}:{}", field(socket, "host"), field(socket, "port")),
        };
        format!("{}:socket '{}' at {place}", field(socket, "fd"), field(socket, "name"))
    }))
}

pub fn render_stats(_: &Map, reply: &Map) -> String {
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

pub fn render_dstats(_: &Map, reply: &Map) -> String {
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
