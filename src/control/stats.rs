//! `stats` and `dstats`: what they ask, and what processes use as text, as Circus prints it.

use super::args::Args;
use super::props::{pid, text};
use super::{Map, Refusal, at, field, items, members, python};
use crate::arbiter::request::{Question, Request};
use crate::sorted::sort_by;
use serde_json::Value as Json;

pub(super) fn request(args: &Args) -> Result<Request, Refusal> {
    let (name, process) = (args.get("name", text)?, args.get("process", pid)?);
    if process.is_some() && name.is_none() {
        args.name()?;
    }
    Ok(Question::Stats { name, process, extended: args.is("extended")? }.into())
}

pub(super) fn render(_: &Map, reply: &Json) -> String {
    let mut out = Vec::new();
    match (reply.get("infos"), reply.get("process"), reply.get("info")) {
        (Some(infos), ..) => members(infos).for_each(|(name, info)| watcher(name, info, &mut out)),
        (_, Some(pid), Some(info)) => process(&pid.to_string(), info, &mut out),
        (.., Some(info)) => watcher(&field(reply, "name"), info, &mut out),
        _ => {}
    }
    out.join("\n")
}

/// The name of a watcher and its processes, by pid.
fn watcher(name: &str, info: &Json, out: &mut Vec<String>) {
    out.push(format!("{name}:"));
    let mut infos: Vec<_> = members(info).collect();
    let number = |pid: &str| pid.parse::<i64>().unwrap_or(i64::MAX);
    sort_by(&mut infos, |a, b| number(a.0) < number(b.0));
    infos.into_iter().for_each(|(pid, info)| process(pid, info, out));
}

/// A process with its descendants, or what is said of one that is gone.
fn process(pid: &str, info: &Json, out: &mut Vec<String>) {
    let line = if info.is_object() { info_line(info) } else { python::str(info) };
    out.push(format!("{pid}: {line}"));
    descendants(info, "   ", out);
}

pub(super) fn render_own(_: &Map, reply: &Json) -> String {
    let own = at(reply, "info");
    let mut out = vec!["Main Process:".to_string(), "    ".to_string() + &info_line(own)];
    if items(at(own, "children")).next().is_some() {
        out.push("Children:".into());
    }
    descendants(own, "    ", &mut out);
    out.join("\n")
}

/// The descendants of a process, each generation further to the right.
fn descendants(facts: &Json, indent: &str, out: &mut Vec<String>) {
    for child in items(at(facts, "children")) {
        out.push(indent.to_string() + &info_line(child));
        descendants(child, &format!("{indent}   "), out);
    }
}

/// The columns of a process.
fn info_line(facts: &Json) -> String {
    let rest = ["cmdline", "username", "nice", "mem_info1", "mem_info2", "cpu", "mem", "ctime"];
    format!("{}  {}", field(facts, "pid"), rest.map(|key| field(facts, key)).join(" "))
}
