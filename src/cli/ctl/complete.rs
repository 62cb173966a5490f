//! What can stand where the cursor is: options, commands and their options, watchers, keys, values.

use super::args::{Invocation, OPTIONS};
use super::client::Connection;
use crate::config::Kind;
use crate::config::check::suggest::nearest;
use crate::config::options::{self, Built, Live, Place};
use crate::control::args::Flag;
use crate::control::commands::{self, COMMANDS, Command};
use crate::control::plain::plain;
use crate::control::{Map, at, members};
use crate::signals;
use std::time::{Duration, Instant};

/// How long the daemon may take to name its watchers.
const PATIENCE: Duration = Duration::from_secs(1);

/// The words that can stand behind `before` (without the name of the program) and begin with `typed`. `watchers`
/// gives the names of all watchers.
pub fn words(before: &[String], typed: &str, watchers: &dyn Fn() -> Vec<String>) -> Vec<String> {
    let mut found = all(before, typed.starts_with('-'), watchers);
    found.retain(|word| word.starts_with(typed));
    found
}

fn all(before: &[String], is_option: bool, watchers: &dyn Fn() -> Vec<String>) -> Vec<String> {
    let mut command: Option<&'static Command> = None;
    let mut place = 0;
    let mut words = before.iter();
    while let Some(word) = words.next() {
        match flag(command, word) {
            // The next word is the argument of the option.
            Some(flag) if flag.value.is_some() && words.next().is_none() => return arguments(flag),
            Some(_) => {}
            None if command.is_some() => place += 1,
            None => match commands::find(word) {
                Some(named) => command = Some(named),
                None => return Vec::new(),
            },
        }
    }
    match command {
        _ if is_option => {
            let ours = OPTIONS.iter().filter(|_| command.is_none());
            let flags = command.into_iter().flat_map(Command::flags).chain(ours);
            flags.map(|flag| format!("--{}", flag.name)).collect()
        }
        None => COMMANDS.iter().map(|command| command.name.to_string()).collect(),
        Some(command) => values(command, place, before, watchers),
    }
}

/// The option that a word is, of the command or of all.
fn flag(command: Option<&Command>, word: &str) -> Option<&'static Flag> {
    let name = word.strip_prefix("--")?;
    command.into_iter().flat_map(Command::flags).chain(OPTIONS).find(|flag| flag.name == name)
}

/// What the argument of an option can be.
fn arguments(flag: &Flag) -> Vec<String> {
    match flag.value {
        Some("HOW") => choice(&["glob", "regex", "simple"]),
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
        "KEY" => keys(command.name == "set"),
        "VALUE" => of_key(before.last().map_or("", String::as_str)),
        "SIGNAL" => signals(),
        words if words.contains('|') => words.split('|').map(str::to_string).collect(),
        _ => Vec::new(),
    }
}

/// The options of a watcher that work, and those of its streams.
fn keys(to_set: bool) -> Vec<String> {
    let own = options::WATCHER.iter().filter(|row| !(to_set && row.live == Live::Fixed));
    let own = own.filter(|row| row.built == Built::Works).map(|row| row.key.to_string());
    let of_streams = options::STREAM.iter().filter(|row| row.built == Built::Works);
    let both = |key| [format!("stdout_stream.{key}"), format!("stderr_stream.{key}")];
    own.chain(of_streams.flat_map(|row| both(row.key))).collect()
}

/// What an option can be set to, if that is a choice.
fn of_key(key: &str) -> Vec<String> {
    match options::find(options::WATCHER, key).map(|row| row.kind) {
        Some(Kind::Bool) => choice(&["True", "False"]),
        Some(Kind::BoolOr(word)) => choice(&["True", "False", word]),
        Some(Kind::Signal) => signals(),
        Some(Kind::Choice(words)) => choice(words),
        _ => Vec::new(),
    }
}

fn choice(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

fn signals() -> Vec<String> {
    signals::NAMES.iter().map(|(name, _)| name.to_string()).collect()
}

/// The watchers of a daemon; none when it cannot be asked.
pub fn watchers(endpoint: Option<&str>) -> Vec<String> {
    let deadline = Some(Instant::now() + PATIENCE);
    let ask = || {
        let mut connection = Connection::open(endpoint, None).ok()?;
        connection.ask("status", &Map::new(), deadline).ok()?;
        connection.object(deadline).ok()
    };
    // list has the names in lower case, in which nobody may have typed them.
    members(at(&ask().unwrap_or_default(), "statuses")).map(|(name, _)| plain(name)).collect()
}

/// A phrase that says what may have been meant by a word behind a command, if nothing is called so: "; did you mean web?".
pub fn meant(invocation: &Invocation, words: &[String]) -> Option<String> {
    let Invocation { options, command, args } = invocation;
    let watchers = || watchers(options.value("endpoint"));
    let of_words = words.iter().enumerate().map(|(place, word)| {
        let before = words.get(..place).unwrap_or_default();
        (Some(place), word, values(command, place, before, &watchers))
    });
    let of_flags = args.flags.iter().filter_map(|(name, value)| {
        let flag = command.flags().find(|flag| flag.name == *name)?;
        Some((None, value.as_ref()?, arguments(flag)))
    });
    of_words.chain(of_flags).find_map(|(place, word, known)| {
        if known.iter().any(|one| one.eq_ignore_ascii_case(word)) {
            return None;
        }
        let near = || nearest(word, &mut known.iter().map(String::as_str));
        let habit = place.and_then(|place| habit(command, command.word(place), word));
        habit.or_else(|| near().map(|near| format!("did you mean {near}?"))).map(|meant| format!("; {meant}"))
    })
}

/// What people type behind the commands of other programs, and what it is here.
fn habit(command: &Command, place: &str, word: &str) -> Option<String> {
    let all = word.eq_ignore_ascii_case("all");
    Some(match (place, command.name) {
        ("NAME", "tail") if ["stdout", "stderr"].contains(&word) => format!("did you mean --{word}?"),
        ("NAME", _) if all && command.usage().contains("[NAME...") => {
            "without a NAME it is all of them".into()
        }
        ("NAME", _) if all => "'*' stands for all".into(),
        ("NAME", _) if word.contains(',') => "names are separated by blanks".into(),
        ("KEY", _) => {
            let is_alias = |row: &&'static options::Spec| row.aliases.split(' ').any(|alias| alias == word);
            format!("did you mean {}?", Place::Watcher.options().find(is_alias)?.key)
        }
        (_, "logs") if place.contains('|') => "tail NAME shows the output".into(),
        _ => return None,
    })
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
        words(&before, &typed, &|| choice(&["clock", "web", "worker"])).join(" ")
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
            ("status web ", "clock web worker"),
            ("stats web ", "clock web worker"),
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
