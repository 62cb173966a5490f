//! What only root and the user of circus are told, and the log is not: the values of environments, which often hold
//! passwords; and what the lower roles are not told either.

use super::Map;
use super::python::cut;
#[cfg(feature = "edit")]
use crate::arbiter::request::Edit;
use crate::arbiter::request::{Errno, Reply, Task};
use crate::config::row::Role;
use crate::config::{families, options};
use serde_json::Value as Json;
use std::fmt;
use std::hint::black_box;
use std::ops::Deref;

/// What stands in the place of a value.
const HIDDEN: &str = "(hidden)";

/// Members of answers and events whose texts may hold anything: a command line that fails, an answer to a probe, what a
/// hook has printed.
const TEXTS: [&str; 4] = ["reason", "error", "trouble", "last_output"];

/// Takes out of an answer what this role is not told: the values of environments, and the arguments of those who gave
/// orders, which `set` and `add` may have had them in; from the lower ones every text that may hold a secret.
pub fn hide(answer: &mut Map, role: Role) {
    if role >= Role::Admin {
        return;
    }
    let low = role < Role::Owner;
    let options = answer.get_mut("options").and_then(Json::as_object_mut);
    options.into_iter().flatten().for_each(|(key, value)| hide_option(key, value, low));
    let changes = answer.get_mut("changes").and_then(Json::as_array_mut);
    let changes = changes.into_iter().flatten();
    changes.filter_map(Json::as_object_mut).for_each(|change| hide_texts(change, low));
    answer
        .get_mut("since")
        .and_then(Json::as_object_mut)
        .into_iter()
        .for_each(|since| hide_texts(since, low));
    hide_texts(answer, low);
}

/// An option as it is told: low roles see numbers, switches and words that circus knows, and whether a text is set.
fn hide_option(key: &str, value: &mut Json, low: bool) {
    let known = options::find(options::WATCHER, key).map(Deref::deref);
    let known = known.or_else(|| options::find(options::CIRCUS, key).map(Deref::deref));
    let is_open = match known {
        Some(spec) => !spec.may_be_secret(),
        None => key == families::NAME || key.starts_with(families::LIMIT),
    };
    match value {
        Json::Object(variables) if key == families::ENV => {
            variables.values_mut().for_each(|value| *value = HIDDEN.into());
        }
        Json::Null => {}
        value if low && !is_open => *value = HIDDEN.into(),
        _ => {}
    }
}

/// The same of what has happened, or of a state.
fn hide_texts(of: &mut Map, low: bool) {
    if let Some(Json::String(client)) = of.get_mut("cause").and_then(|cause| cause.get_mut("client")) {
        let program = client.split(' ').next().map_or(0, str::len);
        client.truncate(program);
    }
    if !low {
        return;
    }
    TEXTS.iter().for_each(|key| drop(of.remove(*key)));
    of.get_mut("fault").into_iter().for_each(without_reason);
    for key in ["failing", "watchers"] {
        let of_each = of.get_mut(key).and_then(Json::as_object_mut);
        for value in of_each.into_iter().flat_map(Map::values_mut) {
            without_reason(value);
            value.get_mut("fault").into_iter().for_each(without_reason);
        }
    }
}

/// Of `stopped: why`, the state.
fn without_reason(fault: &mut Json) {
    if let Json::String(text) = fault {
        text.truncate(text.find(": ").unwrap_or(text.len()));
    }
}

/// Whether somebody has sent the token, found out in a time that tells nothing about where it differs.
pub fn is_token(sent: &str, token: &str) -> bool {
    let differ = sent.bytes().zip(token.bytes()).fold(0, |differ, (a, b)| black_box(differ | (a ^ b)));
    black_box(differ) == 0 && sent.len() == token.len()
}

/// What a low role is told of an order that has failed: that it has.
pub fn without_reason_of(reply: &Reply) -> Reply {
    match reply {
        Reply::Error { errno: Errno::Failed, .. } => Reply::error(
            Errno::Failed,
            "it was begun and has failed; the log says why, and why to the role admin",
        ),
        other => other.clone(),
    }
}

/// What a low role is told of an event.
pub fn hidden(mut data: Map) -> Map {
    hide_texts(&mut data, true);
    data
}

/// An order as the log shows it: of one that carries an environment, only the names of its options.
pub struct Sketch<'a>(pub &'a Task, pub &'a [u8]);

impl fmt::Display for Sketch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            #[cfg(feature = "edit")]
            Task::Edit(Edit::Set { name, options, .. } | Edit::Add { name, options, .. })
                if options.iter().any(|(key, _)| key == "env") =>
            {
                let keys: Vec<&str> = options.iter().map(|(key, _)| key.as_str()).collect();
                write!(f, "{} {}: {}", self.0.word(), cut(name), cut(&keys.join(", ")))
            }
            _ => f.write_str(&cut(&String::from_utf8_lossy(self.1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbiter::request::Request;
    use crate::control::protocol;
    use serde_json::json;

    #[test]
    fn the_log_is_told_the_names_of_options_without_their_values() {
        for (request, shown) in [
            (
                r#"{"command":"set","properties":{"name":"w","options":{"env":{"A":"secret"},"cmd":"x"}}}"#,
                "set w: cmd, env",
            ),
            (
                r#"{"command":"add","properties":{"name":"w","cmd":"secret","options":{"env":{"A":"secret"}}}}"#,
                "add w: env",
            ),
            (r#"{"command":"quit"}"#, r#"{"command":"quit"}"#),
            (
                r#"{"command":"set","properties":{"name":"w","options":{"priority":1}}}"#,
                r#"{"command":"set","properties":{"name":"w","options":{"priority":1}}}"#,
            ),
        ] {
            let Ok(Request::Order(order)) = protocol::decode(request.as_bytes()).request else { panic!() };
            assert_eq!(Sketch(&order.what, request.as_bytes()).to_string(), shown);
        }
    }

    #[test]
    fn a_token_is_the_whole_of_it() {
        for (sent, is) in
            [("secret", true), ("secre", false), ("secret ", false), ("Secret", false), ("", false)]
        {
            assert_eq!(is_token(sent, "secret"), is, "{sent}");
        }
    }

    #[test]
    fn values_of_environments_are_taken_out() {
        let by = |client: &str| json!({"cause": {"command": "set", "client": client}, "what": "ordered"});
        for (whole, rest) in [
            (
                json!({"options": {"env": {"A": "secret", "B": ""}, "cmd": "x"}}),
                json!({"options": {"env": {"A": "(hidden)", "B": "(hidden)"}, "cmd": "x"}}),
            ),
            (json!({"options": {"cmd": "x"}}), json!({"options": {"cmd": "x"}})),
            (
                json!({"since": by("ctl set w env A=secret"), "changes": [by("ctl add"), by(""), {"cause": null}]}),
                json!({"since": by("ctl"), "changes": [by("ctl"), by(""), {"cause": null}]}),
            ),
            (json!({"since": null}), json!({"since": null})),
        ] {
            let mut answer = whole.as_object().unwrap().clone();
            hide(&mut answer, Role::Member);
            assert_eq!(Json::Object(answer), rest);
        }
    }
    #[test]
    fn low_roles_are_told_no_text_that_may_hold_a_secret() {
        let secret = "hunter2";
        for (whole, rest) in [
            (
                json!({"options": {"cmd": secret, "numprocesses": 2, "respawn": "on-failure", "uid": "web",
                    "env": {"A": secret}, "hooks.before_start": secret, "stdout_stream_conf": {"filename": secret},
                    "rlimit_nofile": 9, "own_key": secret, "env_file": null, "kill_mode": "tree"}}),
                json!({"options": {"cmd": "(hidden)", "numprocesses": 2, "respawn": "on-failure", "uid": "web",
                    "env": {"A": "(hidden)"}, "hooks.before_start": "(hidden)", "stdout_stream_conf": "(hidden)",
                    "rlimit_nofile": 9, "own_key": "(hidden)", "env_file": null, "kill_mode": "tree"}}),
            ),
            (
                json!({"state": "stopped", "fault": "stopped: hunter2", "trouble": secret, "last_output": [secret],
                    "changes": [{"what": "spawn_failed", "reason": secret, "cause": {"client": "ctl hunter2"}}]}),
                json!({"state": "stopped", "fault": "stopped",
                    "changes": [{"what": "spawn_failed", "cause": {"client": "ctl"}}]}),
            ),
            (
                json!({"failing": {"a": "active: hunter2"}, "watchers": {"a": {"status": "x", "fault": "x: hunter2"}}}),
                json!({"failing": {"a": "active"}, "watchers": {"a": {"status": "x", "fault": "x"}}}),
            ),
            (json!({"watchers": ["a: b"], "pids": [1]}), json!({"watchers": ["a: b"], "pids": [1]})),
        ] {
            for role in [Role::Look, Role::Operate] {
                let mut answer = whole.as_object().unwrap().clone();
                hide(&mut answer, role);
                assert_eq!(Json::Object(answer), rest);
            }
            let mut answer = whole.as_object().unwrap().clone();
            hide(&mut answer, Role::Admin);
            assert_eq!(Json::Object(answer), whole);
        }
    }
}
