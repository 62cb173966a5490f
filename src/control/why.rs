//! `why`: why a watcher is as it is, told as somebody would tell it who has been watching all the time.

use super::overview::duration;
use super::plain::plain;
use super::{Map, at, items, word};
use crate::config::number;
use crate::signals;
use serde_json::Value as Json;

/// How many changes the text has; JSON has all.
const MOST_CHANGES: usize = 12;

pub(super) fn render(_: &Map, reply: &Json) -> String {
    let mut text = state(reply);
    text.push_str(&processes(reply));
    text.push_str(&plans(reply));
    let changes: Vec<&Json> = items(at(reply, "changes")).filter(|change| change.is_object()).collect();
    if changes.len() > 1 || changes.iter().any(|change| matches!(word(change, "what"), "ended" | "advice")) {
        let skipped = changes.len().saturating_sub(MOST_CHANGES);
        text.push_str("\nHistory");
        if skipped > 0 {
            text.push_str(&format!(" (--json shows {skipped} more)"));
        }
        text.push(':');
        for change in changes.into_iter().skip(skipped) {
            text.push_str(&format!("\n  {}  {}", word(change, "at"), happened(change)));
        }
    }
    let fails = matches!(word(reply, "condition"), "failing" | "failed");
    if fails && at(reply, "has_streams") == false {
        text.push_str(
            "\nIts output is not captured; set stdout_stream.class and stderr_stream.class to QueueStream (memory only) or \
             FileStream, in its section or in [circus] for all watchers.",
        );
    }
    let mut lines = items(at(reply, "last_output")).peekable();
    if lines.peek().is_some() {
        text.push_str("\nLast lines of output:");
        lines.for_each(|line| text.push_str(&format!("\n  {}", plain(word(line, "text")))));
    }
    text
}

/// The same in a line: the problem and what comes next, or else the state.
#[cfg(feature = "top")]
pub fn in_short(reply: &Json) -> String {
    let problem = at(reply, "fault").is_string().then(|| format!("Problem: {}.", problem(reply)));
    let told = problem.unwrap_or_default() + &plans(reply).replace('\n', " ");
    if told.is_empty() { state(reply) } else { told.trim_start().into() }
}

/// The state, since when, and by whom.
fn state(reply: &Json) -> String {
    let (name, state) = (plain(word(reply, "name")), word(reply, "state"));
    let condition = at(reply, "condition").as_str().filter(|condition| *condition != state);
    let shown = condition.map_or_else(|| state.to_string(), |condition| format!("{condition} ({state})"));
    let (since, waits) = (at(reply, "since"), at(reply, "waits") == true);
    if !since.is_object() {
        if at(reply, "fault").is_string() {
            let is = if condition == Some("failed") { "has" } else { "is" };
            return format!("{name} {is} {shown}: {}.", problem(reply));
        }
        let why = match (waits, at(reply, "autostart") != false) {
            (true, _) => "it waits for a connection to one of its sockets (on_demand)",
            (_, true) => "it waits for its turn to start",
            (_, false) => "it does not start with circus (autostart = False), and no command has started it",
        };
        return format!("{name} is {shown}: {why}.");
    }
    let ago = duration(at(since, "ago").as_f64().unwrap_or(0.0));
    let because = cause(since).map(|cause| format!(": {cause}")).unwrap_or_default();
    let waits = if waits { " It waits for a connection to one of its sockets (on_demand)." } else { "" };
    let is = if condition == Some("failed") { "has" } else { "is" };
    format!("{name} {is} {shown} since {} ({ago} ago){because}.{waits}", word(since, "at"))
}

fn processes(reply: &Json) -> String {
    let number = |key: &str| at(reply, key).as_u64().unwrap_or(0);
    let mut text = match (word(reply, "state"), number("running"), number("wanted")) {
        ("stopped", ..) => String::new(),
        (_, 0, 0) => " It has no process of its own.".into(),
        (_, running, wanted) => {
            let reload = if at(reply, "reloading") == true { ", a reload is in progress" } else { "" };
            format!(" {running} of {wanted} processes running{reload}.")
        }
    };
    if number("restarts") > 0 {
        text.push_str(&format!(" Restarts after unexpected exits: {}.", number("restarts")));
    }
    if at(reply, "since").is_object() && at(reply, "fault").is_string() {
        text.push_str(&format!("\nProblem: {}.", problem(reply)));
    }
    if let Some(fallback) = at(reply, "fallback").as_str() {
        text.push_str(&format!("\nIt {}.", plain(fallback)));
    }
    text
}

/// What is wrong, without the state, which stands before it.
fn problem(reply: &Json) -> String {
    let fault = word(reply, "fault");
    let rest = fault.strip_prefix(word(reply, "state")).and_then(|rest| rest.strip_prefix(": "));
    plain(rest.unwrap_or(fault))
}

/// What keeps a plugin from its work, and what happens next.
fn plans(reply: &Json) -> String {
    let mut text = String::new();
    if let Some(trouble) = at(reply, "trouble").as_str() {
        text.push_str(&format!("\nProblem: {}.", plain(trouble)));
    }
    if let Some(socket) = at(reply, "nonblocking").as_str() {
        let socket = plain(socket);
        text.push_str(&format!(
            "\nIt inherits [socket:{socket}], which is non-blocking. A program that waits for connections in accept(2), such \
             as php-fpm, fcgiwrap or a simple loop, fails with that; set `blocking = True` in [socket:{socket}]."
        ));
    }
    if let Some(wait) = at(reply, "next_attempt").as_f64() {
        text.push_str(&format!("\nNext attempt in {} s.", number::fixed(wait, 1)));
    }
    if let Some(wait) = at(reply, "next_kill").as_f64() {
        text.push_str(&format!(
            "\nProcesses that are being stopped get SIGKILL in {} s.",
            number::fixed(wait, 1)
        ));
    }
    let pids: Vec<String> = items(at(reply, "survivors")).map(Json::to_string).collect();
    if !pids.is_empty() {
        let processes = pids.join(", ");
        text.push_str(&format!("\nSIGKILL did not stop {processes}; circus no longer waits."));
    }
    text
}

/// A change as part of a sentence.
fn happened(change: &Json) -> String {
    let process = || {
        let number = |key: &str| at(change, key).as_i64().unwrap_or(0);
        format!("process {} (wid {})", number("pid"), number("wid"))
    };
    let reason = plain(word(change, "reason"));
    let what = match word(change, "what") {
        "ended" => process() + " " + &end(change),
        "killed" => process() + " did not stop in time and got SIGKILL",
        "survives" => process() + " was still there 2 s after SIGKILL; circus no longer waits for it",
        "ailing" => process() + " " + &reason + "; it was stopped",
        "too_large" => process() + " used more memory than max_rss and is replaced",
        "too_old" => process() + " reached its max_age and is replaced",
        "advice" => reason,
        "spawn_failed" => format!("a process could not be executed: {reason}"),
        "reloading" => "reload started".into(),
        "reloaded" => "reload finished".into(),
        "not_reloaded" => format!("reload abandoned, the old processes stay: {reason}"),
        "ordered" => return cause(change).unwrap_or_default() + &times(change),
        state => state.to_string(),
    };
    let because = cause(change).map(|cause| format!(": {cause}")).unwrap_or_default();
    what + &because + &times(change)
}

fn times(change: &Json) -> String {
    match at(change, "times").as_u64().unwrap_or(1) {
        0 | 1 => String::new(),
        times => format!(" ({times} times in a row)"),
    }
}

/// How a process has ended.
fn end(change: &Json) -> String {
    let code = at(change, "exit_code").as_i64().unwrap_or(0);
    let after = number::fixed(at(change, "lived").as_f64().unwrap_or(0.0), 1);
    let how = match i32::try_from(code).unwrap_or(0) {
        signal @ ..0 => format!("was killed by {}", signals::name(-signal)),
        code => format!("exited with code {code}"),
    };
    let meaning = match (at(change, "oom") == true, code) {
        (true, ..0) => "; probably the kernel killed it because memory ran out".into(),
        (true, 0..) => "; probably the kernel killed its child because memory ran out".into(),
        (false, 129..=192) => {
            let signal = signals::name((code - 128) as i32);
            format!("; a shell reports so that its command was killed by {signal}")
        }
        (false, _) => meaning(code).into(),
    };
    format!("{how} after {after} s{meaning}")
}

/// What an end means to somebody who does not know the numbers by heart.
fn meaning(code: i64) -> &'static str {
    match code {
        126 => "; a shell reports so that a file cannot be executed",
        127 => "; a shell reports so that a command was not found",
        -4 => "; it executed an illegal instruction",
        -6 => "; it aborted itself",
        -7 | -11 => "; it accessed invalid memory, a fault of the program",
        -8 => "; an arithmetic error, such as a division by zero",
        -9 => "; the signal did not come from circus, unless by the command \"signal\"",
        -13 => "; it wrote to a pipe or connection that is closed at the other end",
        -1 | -2 | -3 | -15 => "; the signal did not come from circus, unless by the command \"signal\"",
        -24 => "; it exceeded its processor time (rlimit_cpu)",
        -25 => "; it exceeded its file size limit (rlimit_fsize)",
        -31 => "; it made a forbidden system call",
        _ => "",
    }
}

/// Who or what was the cause of a change; a sentence without its end.
fn cause(change: &Json) -> Option<String> {
    let cause = at(change, "cause");
    if let Some(command) = at(cause, "command").as_str() {
        return Some(ordered(command, cause));
    }
    let text = match word(cause, "event") {
        "boot" => "circus started",
        "signal" => "a signal to circus",
        "on_demand" => "a connection to one of its sockets (on_demand)",
        "ended" => "its processes have exited and are not replaced",
        "spawn_failed" => "its processes could not be executed",
        "hook" => "a hook refused",
        "unready" => "its processes did not become ready",
        "requires" => "a watcher that it requires has stopped",
        "critical" => "a critical watcher has ended, so circus stops",
        _ => return None,
    };
    Some(text.into())
}

/// `the command "stop" of root (uid 0): circusctl stop web (pid 12)`.
fn ordered(command: &str, cause: &Json) -> String {
    let id = |key: &str| at(cause, key).as_i64();
    let user = plain(word(cause, "user"));
    let who = match (id("uid"), user.is_empty()) {
        (Some(uid), false) => format!(" of {user} (uid {uid})"),
        (Some(uid), true) => format!(" of uid {uid}"),
        (None, _) => String::new(),
    };
    let client = plain(word(cause, "client"));
    let by = match (client.is_empty(), id("pid")) {
        (false, Some(pid)) => format!(", given by \"{client}\" (pid {pid})"),
        (false, None) => format!(", given by \"{client}\""),
        (true, Some(pid)) => format!(", given by process {pid}, which has exited"),
        (true, None) => String::new(),
    };
    format!("the command \"{command}\"{who}{by}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(reply: Json) -> String {
        render(&Map::new(), &reply)
    }

    #[test]
    fn a_watcher_that_fails_is_explained() {
        let at = |seconds: u32| format!("2026-11-23 06:51:{seconds:02}");
        let reply = json!({
            "name": "web", "state": "active", "running": 1, "wanted": 2, "restarts": 5,
            "fault": "active: 1 of 2 processes running; exited within a second of starting, once",
            "since": {"at": at(1), "ago": 67.0, "cause": {"command": "start", "uid": 0, "user": "root",
                      "pid": 12, "client": "circusctl start web"}},
            "next_attempt": 4.25, "next_kill": null,
            "changes": [
                {"at": at(1), "times": 1, "what": "active", "cause": {"event": "boot"}},
                {"at": at(2), "times": 4, "what": "ended", "pid": 20, "wid": 1, "exit_code": -9, "oom": true,
                 "lived": 0.25, "cause": null},
                {"at": at(3), "times": 1, "what": "ordered", "cause": {"command": "incr", "uid": 7, "user": null,
                 "pid": 13, "client": ""}},
            ],
            "last_output": [{"text": "out of \u{1b}[31mluck"}],
        });
        let expected = "\
web is active since 2026-11-23 06:51:01 (1m07s ago): the command \"start\" of root (uid 0), given by \"circusctl start web\" (pid 12). \
1 of 2 processes running. Restarts after unexpected exits: 5.
Problem: 1 of 2 processes running; exited within a second of starting, once.
Next attempt in 4.3 s.
History:
  2026-11-23 06:51:01  active: circus started
  2026-11-23 06:51:02  process 20 (wid 1) was killed by SIGKILL after 0.3 s; probably the kernel killed it because memory ran out (4 times in a row)
  2026-11-23 06:51:03  the command \"incr\" of uid 7, given by process 13, which has exited
Last lines of output:
  out of luck";
        #[cfg(feature = "top")]
        assert_eq!(
            in_short(&reply),
            "Problem: 1 of 2 processes running; exited within a second of starting, once. Next attempt in 4.3 s."
        );
        assert_eq!(told(reply), expected);
    }

    #[cfg(feature = "top")]
    #[test]
    fn in_short_the_state_is_told_where_there_is_no_problem() {
        let reply = json!({"name": "web", "state": "active", "since": {"at": "now", "ago": 1.0}});
        assert_eq!(in_short(&reply), "web is active since now (1s ago).");
    }

    #[test]
    fn what_sigkill_did_not_end_and_what_was_never_ready_is_said() {
        let change = json!({"what": "survives", "pid": 20, "wid": 1});
        let text = happened(&change);
        assert_eq!(
            text,
            "process 20 (wid 1) was still there 2 s after SIGKILL; circus no longer waits for it"
        );
        let text = told(json!({"name": "a", "state": "stopped", "survivors": [20, 21],
                               "since": {"at": "now", "cause": {"event": "unready"}}}));
        assert!(
            text.starts_with("a is stopped since now (0s ago): its processes did not become ready."),
            "{text}"
        );
        assert!(text.contains("\nSIGKILL did not stop 20, 21; "), "{text}");
    }

    #[test]
    fn that_a_socket_does_not_block_may_be_the_cause() {
        let reply = |socket| json!({"name": "a", "state": "active", "since": {}, "nonblocking": socket});
        assert!(told(reply(Json::from("web"))).contains("set `blocking = True` in [socket:web]"));
        assert!(!told(reply(Json::Null)).contains("blocking"));
    }

    #[test]
    fn the_exit_of_a_shell_is_explained() {
        let told = |oom: bool| {
            let change =
                json!({"what": "ended", "pid": 2, "wid": 1, "exit_code": 137, "lived": 2.0, "oom": oom});
            happened(&change)
        };
        let end = "process 2 (wid 1) exited with code 137 after 2.0 s; ";
        assert_eq!(told(false), format!("{end}a shell reports so that its command was killed by SIGKILL"));
        assert_eq!(told(true), format!("{end}probably the kernel killed its child because memory ran out"));
    }

    #[test]
    fn a_signal_that_somebody_had_circus_send_is_not_denied() {
        for code in [-9, -15] {
            let change = json!({"what": "ended", "pid": 20, "wid": 1, "exit_code": code, "lived": 2.0});
            let text = happened(&change);
            assert!(text.ends_with("did not come from circus, unless by the command \"signal\""), "{text}");
        }
    }

    #[test]
    fn only_the_last_changes_are_told_and_that_there_are_more() {
        let changes: Vec<Json> =
            (0..32).map(|n| json!({"at": format!("at {n}"), "what": "active"})).collect();
        let text = told(json!({"name": "a", "state": "active", "since": {}, "changes": changes}));
        assert!(text.contains("\nHistory (--json shows 20 more):\n  at 20  active\n"), "{text}");
    }

    #[test]
    fn one_that_was_never_started_says_so() {
        let reply = |autostart, waits| json!({"name": "a", "state": "stopped", "autostart": autostart, "waits": waits, "since": null});
        assert_eq!(
            told(reply(false, false)),
            "a is stopped: it does not start with circus (autostart = False), and no command has started it."
        );
        assert_eq!(
            told(reply(true, true)),
            "a is stopped: it waits for a connection to one of its sockets (on_demand)."
        );
        let broken = json!({"name": "a", "state": "stopped", "fault": "stopped: `window = soon` is not a number", "since": null});
        assert_eq!(told(broken), "a is stopped: `window = soon` is not a number.");
    }

    #[test]
    fn a_reply_that_is_none_does_no_harm() {
        assert_eq!(
            told(json!({"changes": [1, {}], "since": {}, "last_output": 3, "next_kill": "x"})),
            " is  since  (0s ago). It has no process of its own."
        );
    }
}
