//! What can stand where the cursor is: options, commands and their options, watchers, keys, values.

use super::args::OPTIONS;
use super::client::Connection;
use crate::config::Kind;
use crate::config::options::{self, Built, Live};
use crate::control::args::Flag;
use crate::control::commands::{self, COMMANDS, Command};
use crate::control::plain::plain;
use crate::control::{Map, at, members};
use crate::signals;
use std::time::{Duration, Instant};

/// How long the daemon may take to name its watchers.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes a word that may fit.
type Offer<'a> = &'a mut dyn FnMut(&str);

/// The words that can stand behind `before` (without the name of the program) and begin with `typed`. `watchers`
/// offers the names of all watchers.
pub fn words(before: &[String], typed: &str, watchers: &dyn Fn(Offer<'_>)) -> Vec<String> {
    let mut found = Vec::new();
    offer_all(before, typed, watchers, &mut |word| {
        if word.starts_with(typed) {
            found.push(word.to_string());
        }
    });
    found
}

fn offer_all(before: &[String], typed: &str, watchers: &dyn Fn(Offer<'_>), offer: Offer<'_>) {
    let mut command: Option<&'static Command> = None;
    let mut place = 0;
    let mut words = before.iter();
    while let Some(word) = words.next() {
        match flag(command, word) {
            // The next word is the argument of the option.
            Some(flag) if flag.value.is_some() && words.next().is_none() => return arguments(flag, offer),
            Some(_) => {}
            None if command.is_some() => place += 1,
            None => match commands::find(word) {
                Some(named) => command = Some(named),
                None => return,
            },
        }
    }
    match command {
        _ if typed.starts_with('-') => {
            let ours = OPTIONS.iter().filter(|_| command.is_none());
            let flags = command.into_iter().flat_map(Command::flags).chain(ours);
            flags.for_each(|flag| offer(&format!("--{}", flag.name)));
        }
        None => COMMANDS.iter().for_each(|command| offer(command.name)),
        Some(command) => values(command, place, before, watchers, offer),
    }
}

/// The option that a word is, of the command or of all.
fn flag(command: Option<&Command>, word: &str) -> Option<&'static Flag> {
    let name = word.strip_prefix("--")?;
    command.into_iter().flat_map(Command::flags).chain(OPTIONS).find(|flag| flag.name == name)
}

/// What the argument of an option can be.
fn arguments(flag: &Flag, offer: Offer<'_>) {
    match flag.value {
        Some("HOW") => ["glob", "regex", "simple"].into_iter().for_each(offer),
        Some("SIGNAL") => signals(offer),
        _ => {}
    }
}

/// What the word at a place behind a command can be.
fn values(
    command: &Command,
    place: usize,
    before: &[String],
    watchers: &dyn Fn(Offer<'_>),
    offer: Offer<'_>,
) {
    match command.word(place) {
        "NAME" if command.name != "add" => watchers(offer),
        "KEY" => keys(command.name == "set", offer),
        "VALUE" => of_key(before.last().map_or("", String::as_str), offer),
        "SIGNAL" | "PID" if command.usage().ends_with("SIGNAL") => signals(offer),
        choice if choice.contains('|') => choice.split('|').for_each(offer),
        _ => {}
    }
}

/// The options of a watcher that work, and those of its streams.
fn keys(to_set: bool, offer: Offer<'_>) {
    for row in options::WATCHER {
        if row.built == Built::Works && !(to_set && row.live == Live::Fixed) {
            offer(row.key);
        }
    }
    for row in options::STREAM.iter().filter(|row| row.built == Built::Works) {
        offer(&format!("stdout_stream.{}", row.key));
        offer(&format!("stderr_stream.{}", row.key));
    }
}

/// What an option can be set to, if that is a choice.
fn of_key(key: &str, offer: Offer<'_>) {
    match options::find(options::WATCHER, key).map(|row| row.kind) {
        Some(Kind::Bool) => ["True", "False"].into_iter().for_each(offer),
        Some(Kind::BoolOr(word)) => ["True", "False", word].into_iter().for_each(offer),
        Some(Kind::Signal) => signals(offer),
        Some(Kind::Choice(words)) => words.iter().for_each(|word| offer(word)),
        _ => {}
    }
}

fn signals(offer: Offer<'_>) {
    signals::NAMES.iter().for_each(|(name, _)| offer(name));
}

/// Offers the watchers of a daemon; none when it cannot be asked.
pub fn watchers(endpoint: Option<&str>, offer: Offer<'_>) {
    let deadline = Some(Instant::now() + PATIENCE);
    let ask = || {
        let mut connection = Connection::open(endpoint).ok()?;
        connection.ask("status", &Map::new(), deadline).ok()?;
        connection.object(deadline).ok()
    };
    // list has the names in lower case, in which nobody may have typed them.
    let reply = ask().unwrap_or_default();
    members(at(&reply, "statuses")).for_each(|(name, _)| offer(&plain(name)));
}

/// What all words begin with, in which the case of letters counts.
pub fn common(words: &[String]) -> &str {
    let mut common = words.first().map_or("", String::as_str);
    for word in words {
        while !word.starts_with(common) {
            let shorter = common.char_indices().next_back().map_or(0, |(place, _)| place);
            common = common.get(..shorter).unwrap_or_default();
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> String {
        let mut before: Vec<String> = line.split(' ').map(str::to_string).collect();
        let typed = before.pop().unwrap();
        words(&before, &typed, &|offer| ["clock", "web", "worker"].into_iter().for_each(offer)).join(" ")
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
            ("set web respawn ", "True False on-failure"),
            ("set web singleton ", "True False"),
            ("set web stop_signal USR", "USR1 USR2"),
            ("set web respawn True sing", "singleton"),
            ("get web respawn sing", "singleton"),
            ("signal web TE", "TERM"),
            ("signal web 12 TE", "TERM"),
            ("kill web --signum HU", "HUP"),
            ("logs r", "rotate reopen"),
            ("logs rotate w", "web worker"),
            ("add ", ""),
            ("frob ", ""),
            ("numwatchers ", ""),
        ] {
            assert_eq!(completed(line), wanted, "{line}");
        }
        assert_eq!(completed(""), COMMANDS.iter().map(|command| command.name).collect::<Vec<_>>().join(" "));
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
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            assert_eq!(common(&words), wanted);
        }
    }
}
