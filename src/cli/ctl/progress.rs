//! What `--waiting` shows on a terminal while the work is done: how much of it is, which process is being waited for,
//! and how long that can take. It stands on the standard error output, in one line that is taken away at the end.

use super::client::{Connection, Trouble};
use crate::config::text;
use crate::control::overview::waiting_for;
use crate::control::plain::{cut, plain};
use crate::control::{Map, one, protocol};
use crate::sys::terminal::columns;
use serde_json::Value as Json;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// What is done sooner is not worth a line.
const FIRST: Duration = Duration::from_millis(500);
/// How long the daemon is left alone between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks at the daemon by a connection of its own.
pub struct Progress {
    connection: Connection,
    /// What it asks.
    question: Map,
    /// The processes that were there at first.
    first: Vec<i64>,
    shown: bool,
}

impl Progress {
    /// Takes the first look, before the order is given. None without a terminal, or when the daemon cannot be looked
    /// at: nobody is told of that, since the order itself will say it.
    pub fn begin(endpoint: Option<&str>, order: &Map) -> Option<Progress> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let connection = Connection::open(endpoint).ok()?;
        let mut question = one("details", true.into());
        if let Some(name) = order.get("name") {
            question.insert("name".into(), name.clone());
        }
        let mut progress = Progress { connection, question, first: Vec::new(), shown: false };
        let seen = progress.look()?;
        progress.first = processes(&seen).filter_map(|(_, process)| number(process, "pid")).collect();
        Some(progress)
    }

    /// The reply, for which the connection is waited; until it comes, the progress is shown.
    pub fn wait(
        &mut self,
        connection: &mut Connection,
        deadline: Option<Instant>,
    ) -> Result<Vec<u8>, Trouble> {
        let mut next = Instant::now() + FIRST;
        let result = loop {
            let until = deadline.map_or(next, |deadline| deadline.min(next));
            match connection.line(Some(until)) {
                Err(Trouble::Timeout) if deadline.is_none_or(|deadline| deadline > Instant::now()) => {
                    if let Some(line) = self.look().and_then(|seen| line(&seen, &self.first)) {
                        self.show(&line);
                    }
                    next = Instant::now() + PAUSE;
                }
                other => break other,
            }
        };
        if self.shown {
            write("\r\x1b[K");
        }
        result
    }

    /// What is seen of the watcher that the order is about; of all of them if it is none, but a pattern or yet to come.
    fn look(&mut self) -> Option<Map> {
        loop {
            let deadline = Instant::now().checked_add(PAUSE);
            self.connection.send(&protocol::encode_request("status", &self.question), deadline).ok()?;
            match serde_json::from_slice(&self.connection.line(deadline).ok()?) {
                Ok(Json::Object(seen)) if seen.contains_key("watchers") => return Some(seen),
                Ok(Json::Object(_)) => self.question.remove("name")?,
                _ => return None,
            };
        }
    }

    fn show(&mut self, line: &str) {
        let line = cut(line, columns());
        write(&format!("\r\x1b[K{line}"));
        self.shown = true;
    }
}

fn write(text: &str) {
    // Whoever cannot see it loses nothing.
    let _ = std::io::stderr().write_all(&text::to_bytes(text));
}

fn number(process: &Json, key: &str) -> Option<i64> {
    process.get(key).and_then(Json::as_i64)
}

fn watchers(seen: &Map) -> impl Iterator<Item = (&str, &Json)> {
    let watchers = seen.get("watchers").and_then(Json::as_object).into_iter().flatten();
    watchers.map(|(name, watcher)| (name.as_str(), watcher))
}

/// All processes with the names of their watchers.
fn processes(seen: &Map) -> impl Iterator<Item = (&str, &Json)> {
    watchers(seen).flat_map(|(name, watcher)| {
        let own = watcher.get("processes").and_then(Json::as_array).into_iter().flatten();
        own.map(move |process| (name, process))
    })
}

/// What is being waited for; `first` are the pids of the beginning. None when nothing is.
fn line(seen: &Map, first: &[i64]) -> Option<String> {
    let here: Vec<i64> = processes(seen).filter_map(|(_, process)| number(process, "pid")).collect();
    let runs = |process: &Json| process.get("state").is_some_and(|state| *state == "running");
    let patience = |process: &Json| process.get("kill_in").and_then(Json::as_f64).unwrap_or(0.0);
    let leaving: Vec<(&str, &Json)> = processes(seen).filter(|(_, process)| !runs(process)).collect();
    let soonest = leaving.iter().copied().reduce(|a, b| if patience(b.1) < patience(a.1) { b } else { a });
    if let Some((name, process)) = soonest {
        let gone = first.iter().filter(|pid| !here.contains(pid)).count();
        let ids = (number(process, "pid")?, number(process, "wid")?);
        let kill_in = process.get("kill_in").and_then(Json::as_f64);
        return Some(waiting_for(columns(), (gone, gone + leaving.len()), name, ids, kill_in));
    }
    let missing = |watcher: &Json| {
        let own = watcher.get("processes").and_then(Json::as_array).into_iter().flatten();
        let wanted = usize::try_from(number(watcher, "wanted").unwrap_or(0)).unwrap_or(0);
        let rests = watcher.get("status").is_some_and(|status| *status == "stopped");
        if rests { 0 } else { wanted.saturating_sub(own.filter(|process| runs(process)).count()) }
    };
    let (name, watcher) = watchers(seen).find(|(_, watcher)| missing(watcher) > 0)?;
    let new = here.iter().filter(|pid| !first.contains(pid)).count();
    let all = new + watchers(seen).map(|(_, watcher)| missing(watcher)).sum::<usize>();
    let fault = watcher.get("fault").and_then(Json::as_str).unwrap_or_default();
    Some(format!("{new} of {all} started; waiting for {}, {}", plain(name), plain(fault)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(watchers: Json, first: &[i64]) -> Option<String> {
        line(json!({"watchers": watchers}).as_object().unwrap(), first)
    }

    #[test]
    fn what_is_waited_for_is_named() {
        let web = json!({"status": "stopping", "wanted": 3, "processes": [
            {"pid": 12, "wid": 2, "state": "stopping", "kill_in": 26.3},
            {"pid": 13, "wid": 3, "state": "stopping", "kill_in": 28.0},
        ]});
        let line = said(json!({"web": web}), &[11, 12, 13]).unwrap();
        assert_eq!(line, "1 of 3 ended; waiting for web: process 12 (wid 2), SIGKILL in 27 s");
        let web = json!({"status": "stopping", "wanted": 1, "processes": [{"pid": 12, "wid": 2, "state": "killed"}]});
        let line = said(json!({"web": web}), &[12]).unwrap();
        assert_eq!(line, "0 of 1 ended; waiting for web: process 12 (wid 2), SIGKILL was sent");
        let web = json!({"status": "starting", "wanted": 3, "fault": "starting", "processes": [
            {"pid": 12, "wid": 2, "state": "running"},
        ]});
        let line = said(json!({"a": {"status": "stopped", "wanted": 9}, "web": web}), &[]).unwrap();
        assert_eq!(line, "1 of 3 started; waiting for web, starting");
        assert_eq!(said(json!({}), &[]), None);
    }
}
