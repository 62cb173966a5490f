//! What the completions know: the commands from their table, the options of all programs from their help.

use circus::config::Kind;
use circus::config::options::{self, Built, Live};
use circus::control::commands::{COMMANDS, Command};
use circus::signals;

/// An option of a program.
pub struct Opt {
    /// Without the dashes.
    pub name: String,
    /// What its argument is called.
    pub value: Option<String>,
    pub help: String,
}

/// The options that a help text lists.
pub fn options_of(help: &str) -> Vec<Opt> {
    let (_, list) = help.split_once("Options:\n").expect("a list of options");
    let mut options: Vec<Opt> = Vec::new();
    for line in list.lines().take_while(|line| line.starts_with(' ')) {
        let mut words = line.split_whitespace().peekable();
        let mut name = None;
        while let Some(option) = words.next_if(|word| word.starts_with('-')) {
            name = option.strip_prefix("--").or(name);
        }
        let capital = |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase());
        let value = name.and_then(|_| words.next_if(capital)).map(str::to_string);
        let help = words.collect::<Vec<_>>().join(" ");
        match (name, options.last_mut()) {
            (Some(name), _) => options.push(Opt { name: name.into(), value, help }),
            (None, Some(last)) => last.help = format!("{} {help}", last.help).trim().into(),
            (None, None) => panic!("no option: {line}"),
        }
    }
    options
}

/// The programs that a usage lists behind the first: `ctl` of `circus ctl [OPTIONS]`.
pub fn parts_of(help: &str) -> Vec<&str> {
    let usage = help.split("\n\n").next().expect("a usage");
    let second =
        usage.lines().filter_map(|line| line.split_whitespace().skip_while(|word| *word != "circus").nth(1));
    second.filter(|word| word.chars().all(|c| c.is_ascii_lowercase())).collect()
}

/// The options of a command.
pub fn flags_of(command: &Command) -> Vec<Opt> {
    let opt = |flag: &circus::control::args::Flag| Opt {
        name: flag.name.into(),
        value: flag.value.map(str::to_string),
        help: flag.help.into(),
    };
    command.flags().map(opt).collect()
}

/// What can be given for the argument of an option.
pub enum Argument {
    Words(Vec<&'static str>),
    File,
    Anything,
}

pub fn argument(value: &str) -> Argument {
    match value {
        "HOW" => Argument::Words(vec!["glob", "regex", "simple"]),
        "LEVEL" => Argument::Words(vec!["debug", "info", "warning", "error", "critical"]),
        "SIGNAL" => Argument::Words(signal_names()),
        "E" | "FILE" | "DEST" => Argument::File,
        _ => Argument::Anything,
    }
}

pub fn signal_names() -> Vec<&'static str> {
    signals::NAMES.iter().map(|(name, _)| *name).collect()
}

/// What a word behind a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Watcher,
    Key,
    Settable,
    Value,
    Signal,
}

pub const WORDS: [Word; 5] = [Word::Watcher, Word::Key, Word::Settable, Word::Value, Word::Signal];

/// What the word at a place behind a command is, if anything is known of it.
pub fn word(command: &Command, place: usize) -> Option<Word> {
    match command.word(place) {
        "NAME" if command.name != "add" => Some(Word::Watcher),
        "KEY" if command.name == "set" => Some(Word::Settable),
        "KEY" => Some(Word::Key),
        "VALUE" => Some(Word::Value),
        "SIGNAL" => Some(Word::Signal),
        _ => None,
    }
}

/// As many places as anybody types words.
pub const PLACES: usize = 10;

/// `COMMAND PLACE` of every place where a word is of this kind; `COMMAND *` if all words of a command are.
pub fn places(kind: Word) -> Vec<String> {
    let of = |command: &'static Command| {
        let places: Vec<usize> = (0..PLACES).filter(|place| word(command, *place) == Some(kind)).collect();
        let all = (places.len() == PLACES).then(|| vec![format!("{} *", command.name)]);
        all.unwrap_or_else(|| places.iter().map(|place| format!("{} {place}", command.name)).collect())
    };
    COMMANDS.iter().flat_map(of).collect()
}

/// The same as patterns of `case` in a shell.
pub fn cases(kind: Word) -> String {
    let pattern = |place: String| match place.strip_suffix('*') {
        Some(command) => format!("'{command}'*"),
        None => format!("'{place}'"),
    };
    places(kind).into_iter().map(pattern).collect::<Vec<_>>().join(" | ")
}

/// The options of a watcher that work; those that can be set, or all.
pub fn keys(to_set: bool) -> Vec<String> {
    let works = |built| built == Built::Works;
    let rows = options::WATCHER.iter().filter(|row| works(row.built) && !(to_set && row.live == Live::Fixed));
    let mut keys: Vec<String> = rows.map(|row| row.key.to_string()).collect();
    for row in options::STREAM.iter().filter(|row| works(row.built)) {
        keys.extend(["stdout_stream", "stderr_stream"].map(|stream| format!("{stream}.{}", row.key)));
    }
    keys
}

/// The options of a watcher that take one of a few words, with these.
pub fn choices() -> Vec<(&'static str, Vec<&'static str>)> {
    let works = options::WATCHER.iter().filter(|row| row.built == Built::Works);
    let choice = works.filter_map(|row| match row.kind {
        Kind::Bool => Some((row.key, vec!["True", "False"])),
        Kind::BoolOr(word) => Some((row.key, vec!["True", "False", word])),
        Kind::Signal => Some((row.key, signal_names())),
        Kind::Choice(words) => Some((row.key, words.to_vec())),
        _ => None,
    });
    choice.collect()
}

/// Choices with the same words together: `a|b` and the words.
pub fn grouped() -> Vec<(Vec<&'static str>, Vec<&'static str>)> {
    let mut groups: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for (key, words) in choices() {
        match groups.iter_mut().find(|(_, same)| *same == words) {
            Some((keys, _)) => keys.push(key),
            None => groups.push((vec![key], words)),
        }
    }
    groups
}

/// `COMMAND PLACE` of every place where one of a few words stands, with these: those of the usage `rotate|reopen`.
pub fn fixed() -> Vec<(String, Vec<&'static str>)> {
    let mut fixed = Vec::new();
    for command in COMMANDS {
        for place in (0..PLACES).filter(|place| command.word(*place).contains('|')) {
            fixed.push((format!("{} {place}", command.name), command.word(place).split('|').collect()));
        }
    }
    fixed
}
