//! What `--waiting` shows on a terminal while the work is done: how much of it is, which process is being waited for,
//! and how long that can take. It stands on the standard error output, in one line that is taken away at the end.

use super::client::{Connection, Trouble};
use crate::config::text;
use crate::control::args::CliArgs;
use crate::control::overview::{processes, running, waiting_for};
use crate::control::plain::{cut, plain};
use crate::control::{Map, at, members, one, word};
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
    pub fn begin(options: &CliArgs, order: &Map) -> Option<Progress> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let connection = Connection::open(options.value("endpoint"), options.value("token-file")).ok()?;
        let mut question = one("details", true.into());
        question.extend(order.get("name").map(|name| ("name".into(), name.clone())));
        let mut progress = Progress { connection, question, first: Vec::new(), shown: false };
        progress.first = pids(&progress.look()?);
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
                        write(&format!("\r\x1b[K{}", cut(&line, columns())));
                        self.shown = true;
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
    fn look(&mut self) -> Option<Json> {
        loop {
            let deadline = Instant::now().checked_add(PAUSE);
            self.connection.ask("status", &self.question, deadline).ok()?;
            let seen = self.connection.object(deadline).ok()?;
            if seen.get("watchers").is_some() {
                return Some(seen);
            }
            self.question.remove("name")?;
        }
    }
}

fn write(text: &str) {
    // Whoever cannot see it loses nothing.
    let _ = std::io::stderr().write_all(&text::to_bytes(text));
}

/// All processes with the names of their watchers.
fn all(seen: &Json) -> impl Iterator<Item = (&str, &Json)> {
    members(at(seen, "watchers"))
        .flat_map(|(name, watcher)| processes(watcher).map(move |process| (name.as_str(), process)))
}

fn pids(seen: &Json) -> Vec<i64> {
    all(seen).filter_map(|(_, process)| at(process, "pid").as_i64()).collect()
}

/// What is being waited for; `first` are the pids of the beginning. None when nothing is.
fn line(seen: &Json, first: &[i64]) -> Option<String> {
    let here = pids(seen);
    let patience = |process: &Json| at(process, "kill_in").as_f64().unwrap_or(0.0);
    let leaving: Vec<_> = all(seen).filter(|(_, process)| at(process, "state") != "running").collect();
    let soonest = leaving.iter().copied().reduce(|a, b| if patience(b.1) < patience(a.1) { b } else { a });
    if let Some((name, process)) = soonest {
        let gone = first.iter().filter(|pid| !here.contains(pid)).count();
        let ids = (at(process, "pid").as_i64()?, at(process, "wid").as_i64()?);
        let kill_in = at(process, "kill_in").as_f64();
        return Some(waiting_for(columns(), (gone, gone + leaving.len()), name, ids, kill_in));
    }
    let missing = |watcher: &Json| match at(watcher, "wanted").as_u64() {
        Some(wanted) if at(watcher, "status") != "stopped" => wanted.saturating_sub(running(watcher) as u64),
        _ => 0,
    };
    let watchers = || members(at(seen, "watchers"));
    let (name, watcher) = watchers().find(|(_, watcher)| missing(watcher) > 0)?;
    let new = here.iter().filter(|pid| !first.contains(pid)).count() as u64;
    let all = new + watchers().map(|(_, watcher)| missing(watcher)).sum::<u64>();
    let fault = plain(word(watcher, "fault"));
    Some(format!("{new} of {all} started; waiting for {}, {fault}", plain(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(watchers: Json, first: &[i64]) -> Option<String> {
        line(&json!({"watchers": watchers}), first)
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
