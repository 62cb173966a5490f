//! The commands by which processes come and go: start stop restart reload reloadconfig incr decr
//! rm kill signal quit.

use super::commands::CliArgs;
use super::props::Props;
use super::python::cut;
use super::queries::positional;
use super::{Map, Refusal};
use crate::arbiter::request::{Matching, Request, Select, Task, Whom};
use serde_json::Value as Json;

type Encoded = Result<Map, String>;
type Decoded = Result<Request, Refusal>;

/// Sets a property to true when the option of that name was given.
pub fn flag(map: &mut Map, args: &CliArgs, name: &str) {
    if args.has(name) {
        map.insert(name.into(), Json::Bool(true));
    }
}

/// Sets a property to the argument of the option of that name.
pub fn value(map: &mut Map, args: &CliArgs, name: &str) {
    if let Some(text) = args.value(name) {
        map.insert(name.into(), text.into());
    }
}

pub fn encode_select(args: &CliArgs) -> Encoded {
    let mut map = positional(args, &["name"]);
    value(&mut map, args, "match");
    flag(&mut map, args, "waiting");
    Ok(map)
}

pub fn encode_reload(args: &CliArgs) -> Encoded {
    let mut map = positional(args, &["name"]);
    map.insert("graceful".into(), Json::Bool(!args.has("terminate")));
    flag(&mut map, args, "sequential");
    flag(&mut map, args, "waiting");
    Ok(map)
}

pub fn encode_change(args: &CliArgs) -> Encoded {
    let mut map = positional(args, &["name", "nb"]);
    flag(&mut map, args, "waiting");
    Ok(map)
}

pub fn encode_rm(args: &CliArgs) -> Encoded {
    let mut map = positional(args, &["name"]);
    flag(&mut map, args, "nostop");
    flag(&mut map, args, "waiting");
    Ok(map)
}

pub fn encode_kill(args: &CliArgs) -> Encoded {
    let mut map = positional(args, &["name", "pid"]);
    value(&mut map, args, "signum");
    value(&mut map, args, "graceful_timeout");
    flag(&mut map, args, "waiting");
    Ok(map)
}

pub fn encode_signal(args: &CliArgs) -> Encoded {
    let keys: &[&str] = if args.words.len() == 3 { &["name", "pid", "signum"] } else { &["name", "signum"] };
    let mut map = positional(args, keys);
    flag(&mut map, args, "children");
    flag(&mut map, args, "recursive");
    Ok(map)
}

/// For commands that take nothing but `--waiting`.
pub fn encode_waiting(args: &CliArgs) -> Encoded {
    let mut map = Map::new();
    flag(&mut map, args, "waiting");
    Ok(map)
}

fn select(props: &Props) -> Result<Select, Refusal> {
    let Some(pattern) = props.text("name")? else { return Ok(Select::All) };
    let how = match props.text("match")?.as_deref() {
        None | Some("glob") => Matching::Glob,
        Some("regex") => Matching::Regex,
        Some("simple") => Matching::Simple,
        Some(other) => return Err(Refusal::message(format!("unknown match method {}", cut(other)))),
    };
    Ok(Select::Match { pattern, how })
}

pub fn decode_start(map: &Map) -> Decoded {
    let props = Props(map);
    Ok(Request::Order(Task::Start(select(&props)?).waiting(props.waiting()?)))
}

pub fn decode_stop(map: &Map) -> Decoded {
    let props = Props(map);
    Ok(Request::Order(Task::Stop(select(&props)?).waiting(props.waiting()?)))
}

pub fn decode_restart(map: &Map) -> Decoded {
    let props = Props(map);
    Ok(Request::Order(Task::Restart(select(&props)?).waiting(props.waiting()?)))
}

pub fn decode_reload(map: &Map) -> Decoded {
    let props = Props(map);
    Ok(Request::Order(
        Task::Reload {
            name: props.text("name")?,
            graceful: props.flag("graceful", true)?,
            sequential: props.flag("sequential", false)?,
        }
        .waiting(props.waiting()?),
    ))
}

pub fn decode_incr(map: &Map) -> Decoded {
    change(map, 1)
}

pub fn decode_decr(map: &Map) -> Decoded {
    change(map, -1)
}

fn change(map: &Map, sign: i64) -> Decoded {
    let props = Props(map);
    let name = props.name()?;
    let by = props.integer("nb")?.unwrap_or(1).saturating_mul(sign);
    Ok(Request::Order(Task::Change { name, by }.waiting(props.waiting()?)))
}

pub fn decode_rm(map: &Map) -> Decoded {
    let props = Props(map);
    let name = props.name()?;
    Ok(Request::Order(Task::Rm { name, nostop: props.flag("nostop", false)? }.waiting(props.waiting()?)))
}

pub fn decode_kill(map: &Map) -> Decoded {
    let props = Props(map);
    Ok(Request::Order(
        Task::Kill {
            name: props.name()?,
            pid: props.pid("pid")?,
            signum: props.signal("signum")?,
            graceful_timeout: props.seconds("graceful_timeout")?,
        }
        .waiting(props.waiting()?),
    ))
}

pub fn decode_signal(map: &Map) -> Decoded {
    let props = Props(map);
    let name = props.name()?;
    props.required("signum")?;
    let (pid, childpid) = (props.pid("pid")?, props.pid("childpid")?);
    if childpid.is_some() && pid.is_none() {
        return Err(Refusal::message("cannot specify childpid without pid"));
    }
    let Some(signum) = props.signal("signum")? else { return Err(Refusal::message("signal invalid")) };
    let whom = match (childpid, props.flag("children", false)?, props.flag("recursive", false)?) {
        (Some(child), _, _) => Whom::Child(child),
        (None, true, _) => Whom::Children,
        (None, false, true) => Whom::Descendants,
        (None, false, false) => Whom::Process,
    };
    Ok(Request::Order(Task::Signal { name, pid, whom, signum }.into()))
}

pub fn decode_reloadconfig(map: &Map) -> Decoded {
    Ok(Request::Order(Task::Reloadconfig.waiting(Props(map).waiting()?)))
}

pub fn decode_quit(map: &Map) -> Decoded {
    Ok(Request::Order(Task::Quit.waiting(Props(map).waiting()?)))
}

pub fn render_ok(_: &Map, _: &Map) -> String {
    "ok".into()
}

pub fn render_change(_: &Map, reply: &Map) -> String {
    match (reply.get("singleton"), reply.get("numprocesses")) {
        (Some(_), _) => "This watcher is a Singleton - not changing the number of processes".into(),
        (None, Some(count)) => count.to_string(),
        (None, None) => "ok".into(),
    }
}
