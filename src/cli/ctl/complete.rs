//! What can stand where the cursor is: options, commands and their options, watchers, keys, values.

use super::args::OPTIONS;
use super::client::Connection;
use crate::config::options::{self, Live};
use crate::config::{Kind, signals};
use crate::control::commands::{self, COMMANDS, Command, Flag};
use crate::control::{Map, protocol};
use serde_json::Value as Json;
use std::time::{Duration, Instant};

/// How long the daemon may take to name its watchers.
const PATIENCE: Duration = Duration::from_secs(1);

/// The words that can stand behind `before` (without the name of the program) and begin with `typed`.
pub fn words(before: &[String], typed: &str, watchers: &dyn Fn() -> Vec<String>) -> Vec<String> {
    let mut found = candidates(before, typed, watchers);
    found.retain(|word| word.starts_with(typed));
    found
}

fn candidates(before: &[String], typed: &str, watchers: &dyn Fn() -> Vec<String>) -> Vec<String> {
    let mut command: Option<&'static Command> = None;
    let mut place = 0;
    let mut words = before.iter();
    while let Some(word) = words.next() {
        let flags = command.map_or(OPTIONS, |command| command.flags);
        let flag =
            word.strip_prefix("--").and_then(|name| flags.iter().chain(OPTIONS).find(|f| f.name == name));
        match flag {
            // The next word is the argument of the option.
            Some(flag) if flag.value.is_some() && words.next().is_none() => return arguments(flag),
            Some(_) => {}
            None if command.is_some() => place += 1,
            None => match commands::find(word) {
                Some(found) => command = Some(found),
                None => return Vec::new(),
            },
        }
    }
    let dashed = |flags: &[Flag]| flags.iter().map(|flag| format!("--{}", flag.name)).collect();
    match command {
        Some(command) if typed.starts_with('-') => dashed(command.flags),
        None if typed.starts_with('-') => dashed(OPTIONS),
        None => texts(COMMANDS.iter().map(|command| command.name)),
        Some(command) => values(command, place, before, watchers),
    }
}

/// What the argument of an option can be.
fn arguments(flag: &Flag) -> Vec<String> {
    match flag.value {
        Some("HOW") => texts(["glob", "regex", "simple"]),
        Some("SIGNAL") => signals(),
        _ => Vec::new(),
    }
}

/// What the word at a place behind a command can be.
fn values(
    command: &Command,
    place: usize,
    before: &[String],
    watchers: &dyn Fn() -> Vec<String>,
) -> Vec<String> {
    match command.word(place) {
        "NAME" if command.name != "add" => watchers(),
        "KEY" if command.name == "set" => keys(&|live| live != Live::Fixed),
        "KEY" => keys(&|_| true),
        "VALUE" => before.last().map(|key| of_key(key)).unwrap_or_default(),
        "SIGNAL" | "PID" if command.usage.ends_with("SIGNAL") => signals(),
        _ => Vec::new(),
    }
}

/// The options of a watcher that work, and those of its streams.
fn keys(wanted: &dyn Fn(Live) -> bool) -> Vec<String> {
    let built = |built| built == options::Built::Works;
    let rows = options::WATCHER.iter().filter(|row| built(row.built) && wanted(row.live));
    let mut keys = texts(rows.map(|row| row.key));
    for stream in ["stdout_stream", "stderr_stream"] {
        let rows = options::STREAM.iter().filter(|row| built(row.built));
        keys.extend(rows.map(|row| format!("{stream}.{}", row.key)));
    }
    keys
}

/// What an option can be set to, if that is a choice.
fn of_key(key: &str) -> Vec<String> {
    match options::find(options::WATCHER, key).map(|row| row.kind) {
        Some(Kind::Bool) => texts(["True", "False"]),
        Some(Kind::Signal) => signals(),
        Some(Kind::Choice(words)) => texts(words.iter().copied()),
        _ => Vec::new(),
    }
}

fn signals() -> Vec<String> {
    texts(signals::NAMES.iter().map(|(name, _)| *name))
}

fn texts<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().map(str::to_string).collect()
}

/// The watchers of a daemon; none when it cannot be asked.
pub fn watchers(endpoint: Option<&str>) -> Vec<String> {
    let deadline = Some(Instant::now() + PATIENCE);
    let ask = || {
        let mut connection = Connection::open(endpoint).ok()?;
        connection.send(&protocol::encode_request("status", &Map::new()), deadline).ok()?;
        let reply: Json = serde_json::from_slice(&connection.line(deadline).ok()?).ok()?;
        // list has the names in lower case, which nobody may have typed.
        Some(texts(reply.get("statuses")?.as_object()?.keys().map(String::as_str)))
    };
    ask().unwrap_or_default()
}

/// What all words begin with, in which the case of letters counts.
pub fn common(words: &[String]) -> &str {
    let Some((first, rest)) = words.split_first() else { return "" };
    let mut length = first.len();
    for word in rest {
        let same = first.char_indices().zip(word.chars()).take_while(|((_, a), b)| a == b);
        length = length.min(same.last().map_or(0, |((place, c), _)| place + c.len_utf8()));
    }
    first.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> String {
        let mut before: Vec<String> = line.split(' ').map(str::to_string).collect();
        let typed = before.pop().unwrap();
        words(&before, &typed, &|| vec!["clock".into(), "web".into(), "worker".into()]).join(" ")
    }

    #[test]
    fn each_place_has_its_words() {
        for (line, wanted) in [
            ("sta", "start stats status"),
            ("--p", "--prettify"),
            ("--endpoint ", ""),
            ("--endpoint x --json nump", "numprocesses"),
            ("restart w", "web worker"),
            ("restart --match ", "glob regex simple"),
            ("restart --match regex w", "web worker"),
            ("restart --", "--match --waiting"),
            ("status ", "clock web worker"),
            ("status web ", ""),
            ("set web graceful", "graceful_timeout"),
            ("set web stdout_stream.fil", "stdout_stream.filename"),
            ("set web respawn ", "True False"),
            ("set web stop_signal USR", "USR1 USR2"),
            ("set web respawn True sing", ""),
            ("get web respawn sing", "singleton"),
            ("signal web TE", "TERM"),
            ("signal web 12 TE", "TERM"),
            ("kill web --signum HU", "HUP"),
            ("add ", ""),
            ("frob ", ""),
            ("numwatchers ", ""),
        ] {
            assert_eq!(completed(line), wanted, "{line}");
        }
        assert_eq!(completed(""), texts(COMMANDS.iter().map(|command| command.name)).join(" "));
    }

    #[test]
    fn the_common_part_is_whole_characters() {
        for (words, wanted) in [
            (&["start", "stats", "status"][..], "sta"),
            (&["web"], "web"),
            (&["h\u{e9}a", "h\u{e8}a"], "h"),
            (&["a", "b"], ""),
            (&["a", "ab"], "a"),
            (&[], ""),
        ] {
            assert_eq!(common(&texts(words.iter().copied())), wanted);
        }
    }
}
