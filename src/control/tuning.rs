//! The commands that change what watchers are: set, add and rm. Types, and what to say when one is wrong, come from the option
//! table.

use super::args::Args;
use super::props::{in_time, signal_number, text, texts, wrong};
use super::python::{json_repr, quoted};
use super::{Map, Refusal, answers, shell};
use crate::arbiter::request::{Edit, Request, Task};
use crate::config::families::{self, Family};
#[cfg(feature = "plugins")]
use crate::config::model::Builtin;
use crate::config::model::check_name;
use crate::config::options::{self, LARGEST_RING, Live, stream, watcher};
use crate::config::value::MODES;
use crate::config::{Kind, Refused, Value, WatcherConfig, hooks, load};
use serde_json::Value as Json;

/// Options of a watcher as they were typed, each as the server wants it.
pub fn typed_options(pairs: &mut dyn Iterator<Item = Result<(&str, &str), String>>) -> Result<Json, String> {
    let mut options = Map::new();
    for pair in pairs {
        let (key, value) = pair?;
        let key = key_of(key);
        let value = typed(&key, value)?;
        options.insert(key, value);
    }
    Ok(Json::Object(options))
}

/// The key that was typed, in lower case as Circus's client has it; a file of a cgroup has its own case.
fn key_of(typed: &str) -> String {
    let key = typed.to_lowercase();
    match typed.get(families::CGROUP.len()..).filter(|_| key.starts_with(families::CGROUP)) {
        Some(file) => families::CGROUP.to_string() + file,
        None => key,
    }
}

/// The value of an option as the server wants it, from what was typed.
fn typed(key: &str, text: &str) -> Result<Json, String> {
    if let Some(row) = options::find(options::WATCHER, key) {
        return row
            .kind
            .parse(text)
            .map(|value| answers::json(&value))
            .map_err(|why| format!("{key} = {text} {why}"));
    }
    match key {
        families::ENV => members(text, '=', "NAME=value"),
        families::HOOKS => members(text, ':', "HOOK:COMMAND (hooks.NAME sets one hook to any text)"),
        _ if settable_family(key).is_some() => Ok(text.into()),
        _ => Err(format!("unknown key {}", quoted(key))),
    }
}

/// `A=1,B=2` as an object; an object in JSON as itself, for values with commas.
fn members(text: &str, between: char, form: &str) -> Result<Json, String> {
    if text.trim_start().starts_with('{') {
        // Read as bytes, as everything else is: a reader of text would be code of its own.
        let json = serde_json::from_slice(text.as_bytes());
        return json.map_err(|_| format!("{} is not a JSON object", quoted(text)));
    }
    let mut map = Map::new();
    for member in text.split(',').filter(|member| !member.trim().is_empty()) {
        let Some((key, value)) = member.split_once(between) else {
            return Err(format!("{} is no {form}", quoted(member)));
        };
        map.insert(key.trim().into(), value.trim().into());
    }
    Ok(Json::Object(map))
}

/// The longest text of an option, in bytes: no program can be given a longer word. A variable may be longer, since that
/// is told when it is used.
const LONGEST: usize = 128 << 10;

/// Whether the text of an option is not too long.
fn short(key: &str, text: &str) -> Result<(), Refusal> {
    if text.len() <= LONGEST {
        Ok(())
    } else {
        Err(wrong(key, &format!("a text of at most {LONGEST} bytes")))
    }
}

/// The family of options that `key` belongs to.
fn settable_family(key: &str) -> Option<(&'static Family, &str)> {
    families::of(key).filter(|(_, rest)| !rest.is_empty())
}

pub fn set(args: &Args) -> Result<Request, Refusal> {
    let (name, options) = (args.name()?, args.need("options", read_options)?);
    let is_fixed =
        |key: &str| options::find(options::WATCHER, key).is_some_and(|row| row.live == Live::Fixed);
    if let Some((key, _)) = options.iter().find(|(key, _)| is_fixed(key)) {
        let key = quoted(key);
        return Err(Refusal::message(format!(
            "{key} can't be set while circus runs; change it in the configuration"
        )));
    }
    Ok(Task::Edit(Edit::Set { name, options }).into())
}

pub fn add(args: &Args) -> Result<Request, Refusal> {
    let (name, cmd) = (args.name()?, args.need("cmd", text)?);
    check_name(name.trim()).map_err(|why| Refusal::message(format!("the name of the watcher {why}")))?;
    if cmd.trim().is_empty() {
        return Err(wrong("cmd", "a command: it is empty"));
    }
    let more = args.get("args", words)?;
    short("cmd", &cmd)?;
    short("args", more.as_deref().unwrap_or_default())?;
    let (options, start) = (args.get("options", read_options)?.unwrap_or_default(), args.is("start")?);
    Ok(Task::Edit(Edit::Add { name, cmd, args: more, options, start }).into())
}

pub fn rm(args: &Args) -> Result<Request, Refusal> {
    Ok(Task::Edit(Edit::Rm { name: args.name()?, nostop: args.is("nostop")? }).into())
}

/// A text, or a list of words that become one as a shell would have them.
fn words(key: &str, json: &Json) -> Result<String, Refusal> {
    if json.is_array() {
        return Ok(shell::join(texts(key, json)?.iter().map(String::as_str)));
    }
    text(key, json)
}

/// The property `options`, each one of the type that it must have.
fn read_options(_: &str, json: &Json) -> Result<Vec<(String, Value)>, Refusal> {
    let Json::Object(options) = json else {
        return Err(Refusal::message("'options' property should be an object"));
    };
    options.iter().map(|(key, value)| Ok((key.clone(), read_option(key, value)?))).collect()
}

fn read_option(key: &str, json: &Json) -> Result<Value, Refusal> {
    let family = settable_family(key).map(|(family, name)| (family.prefix, family.knows(name), name));
    let value = match family {
        Some((families::HOOK, false, hook)) => return Err(unknown_hook(hook)),
        Some((families::LIMIT, false, _)) => return Err(wrong(key, "a valid rlimit setting")),
        #[cfg(feature = "plugins")]
        Some((families::FLAPPING, _, option)) => flapping(option, json)?,
        _ => read_value(key, json)?,
    };
    let value = measured(key, value)?;
    if let Value::Str(text) = &value {
        short(key, text)?;
    }
    // A watcher that nobody has takes the value as the real one will: one place decides what fits.
    let mut taker = WatcherConfig::default();
    match taker.set(key, &value) {
        Ok(_) => match taker.streams().find_map(|(_, stream)| load::unknown_class(stream)) {
            Some(why) => Err(Refusal::message(why)),
            None => sensible(key, value),
        },
        Err(Refused::Type(_)) if key.starts_with(families::LIMIT) => {
            Err(Refusal::message(shown(json) + " rlimit value isn't a valid int"))
        }
        Err(Refused::Unknown) if key == families::HOOKS => {
            Err(Refusal::message(shown(json) + " isn't a valid hook dict"))
        }
        Err(Refused::Unknown) => Err(Refusal::message(format!("unknown key {}", quoted(key)))),
        Err(Refused::Type(noun)) => Err(wrong(key, noun)),
        Err(Refused::Bad(why)) => Err(Refusal::message(why)),
    }
}

/// A client's value inside a reason, as Python shows it, cut when it is long.
fn shown(json: &Json) -> String {
    json_repr(json).chars().take(200).collect()
}

/// A text that is a number with a unit, as the number that it is.
fn measured(key: &str, value: Value) -> Result<Value, Refusal> {
    let (Some(row), Value::Str(text)) = (options::find(options::WATCHER, key), &value) else {
        return Ok(value);
    };
    let number = row.kind.measure(text);
    let number = number.map_err(|why| Refusal::message(format!("{key} = {text:.60} {why}")))?;
    Ok(number.unwrap_or(value))
}

fn unknown_hook(hook: &str) -> Refusal {
    Refusal::message(format!("Unknown hook {}", quoted(hook)))
}

/// An option of the plugin Flapping, as text.
#[cfg(feature = "plugins")]
fn flapping(key: &str, json: &Json) -> Result<Value, Refusal> {
    let text = json.as_str().map_or_else(|| json.to_string(), str::to_string);
    match Builtin::Flapping.problem("flapping.", key, &text) {
        Some((_, why)) => Err(Refusal::message(why)),
        None => Ok(Value::Str(text)),
    }
}

/// A value that has the right type, when it is also one that can be used.
fn sensible(key: &str, value: Value) -> Result<Value, Refusal> {
    let Some(row) = options::find(options::WATCHER, key) else { return Ok(value) };
    match (row.kind, &value) {
        (Kind::Signal, Value::Int(n)) if signal_number(*n).is_none() => {
            Err(Refusal::message("signal invalid"))
        }
        (Kind::Octal, Value::Int(n)) if !MODES.contains(n) => Err(wrong(key, "a umask from 000 to 777")),
        (Kind::Seconds, Value::Float(n)) => in_time(key, *n).map(|_| value),
        (Kind::Seconds, Value::Int(n)) => in_time(key, *n as f64).map(|_| value),
        (Kind::Int, Value::Int(n)) if *n < 0 && key == watcher::numprocesses => Err(wrong(key, "0 or more")),
        (Kind::Bytes, Value::Int(n)) if key == watcher::ring_bytes && !(0..=LARGEST_RING).contains(n) => {
            Err(wrong(key, &format!("a number from 0 to {LARGEST_RING}")))
        }
        _ => Ok(value),
    }
}

/// JSON as a value of an option.
fn read_value(key: &str, json: &Json) -> Result<Value, Refusal> {
    Ok(match json {
        Json::Null => Value::None,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::Float(number),
            (None, None) => return Err(wrong(key, "a number")),
        },
        Json::String(_) => Value::Str(text(key, json)?),
        Json::Array(_) if key == watcher::args => Value::Str(words(key, json)?),
        Json::Array(_) => {
            let noun = options::find(options::WATCHER, key).map_or("a valid object", |row| row.kind.noun());
            return Err(wrong(key, noun));
        }
        Json::Object(map) => {
            if key.ends_with("_stream")
                && !map.contains_key(stream::class)
                && !map.contains_key(stream::filename)
            {
                return Err(Refusal::message(format!("{} must have a 'class' key", quoted(key))));
            }
            let members = map.iter().map(|(name, value)| Ok((name.clone(), member(key, name, value)?)));
            Value::Map(members.collect::<Result<_, Refusal>>()?)
        }
    })
}

/// A member of `env`, of a stream or of `hooks`, as text.
fn member(key: &str, name: &str, json: &Json) -> Result<String, Refusal> {
    match (key, json) {
        (families::HOOKS, _) if !hooks::NAMES.contains(&name) => Err(unknown_hook(name)),
        (families::HOOKS, Json::Array(pair)) => match pair.as_slice() {
            [command @ Json::String(_), Json::Bool(ignore)] => {
                Ok(format!("{}, {ignore}", text(name, command)?))
            }
            _ => Err(wrong(name, "a command with a boolean")),
        },
        (families::STDOUT | families::STDERR, Json::Number(number)) => Ok(number.to_string()),
        (families::STDOUT | families::STDERR, Json::Bool(flag)) => Ok(flag.to_string()),
        (families::ENV, _) if name.is_empty() || name.contains(['=', '\0']) => {
            Err(wrong(name, "a name of a variable"))
        }
        _ => text(name, json),
    }
}
