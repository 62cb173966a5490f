//! Any option of the table with any value, by chance. What a new row takes comes from the row itself, so that random
//! lives have it without a line here.

use super::*;
use crate::config::options::{Live, Row, WATCHER, WatcherOptions};
use crate::config::value::Kind;

/// Short, so that something happens within the seconds of a life.
const NUMBERS: &[&str] = &["-1", "0", "1", "2", "3", "7"];
const SECONDS: &[&str] = &["0", "0.1", "0.5", "1", "2.5", "6"];
const SIGNALS: &[&str] = &["TERM", "INT", "QUIT", "USR1", "KILL", "HUP"];
/// Something for each option that is text: names of watchers, commands, probes, lists.
const TEXTS: &[&str] = &[
    "",
    "a",
    "b",
    "c",
    "d e",
    "a, c",
    "a:ok",
    "b:done",
    "ghost",
    "x y",
    "notify",
    "after:0.7",
    "exec:/probe",
    "fd:9",
    "log:up",
    "tcp:127.0.0.1:80",
    "read-only",
    "idle",
    "none",
];

/// A value that this option takes from a file; `None` when there was none among those tried.
fn value(row: &Row<WatcherOptions>, dice: &mut Dice) -> Option<Value> {
    let texts = match row.kind {
        Kind::Bool => &["true", "false"],
        Kind::BoolOr(word) => &["true", "false", word][..],
        Kind::Int | Kind::Bytes | Kind::WholeSeconds => NUMBERS,
        Kind::Seconds => SECONDS,
        Kind::Octal => &["000", "022"],
        Kind::Signal => SIGNALS,
        Kind::Signals => &["", "KILL", "TERM KILL"],
        Kind::Codes => &["", "1 2", "3"],
        Kind::Choice(words) => words,
        Kind::Text | Kind::Id => TEXTS,
    };
    let fits = |text: &&str| row.kind.parse(text).ok().filter(|value| row.fits(value).is_ok());
    let first = dice.roll(texts.len() as u64) as usize;
    let found = texts.iter().cycle().skip(first).take(texts.len()).find_map(fits)?;
    Some(match (row.instead(&found), &found) {
        (Some(nearest), Value::Int(_)) => Value::Int(nearest as i64),
        (Some(nearest), _) => Value::Float(nearest),
        (None, _) => found,
    })
}

/// Whether this build has the option.
fn is_built(key: &str, value: &Value) -> bool {
    WatcherConfig::default().set(key, value).is_ok()
}

/// An option of the table, and a value for it.
pub(super) fn any_option(dice: &mut Dice) -> (String, Value) {
    loop {
        let row = &WATCHER[dice.roll(WATCHER.len() as u64) as usize];
        let found = value(row, dice);
        if let Some(value) = found.filter(|value| is_built(row.key, value)) {
            return (row.key.into(), value);
        }
    }
}

/// Gives a watcher one option more.
pub(super) fn change(config: &mut WatcherConfig, dice: &mut Dice) {
    let (key, value) = any_option(dice);
    config.set(&key, &value).unwrap_or_else(|why| panic!("{key} = {value:?}: {why:?}"));
}

/// Whether processes are made anew when an option is set.
pub(super) fn makes_anew(key: &str) -> bool {
    WATCHER.iter().any(|row| row.key == key && row.live == Live::Reload)
}

/// The options of a watcher that are not those of another one.
pub(super) fn differences(config: &WatcherConfig, plain: &WatcherConfig) -> Vec<(&'static str, Value)> {
    let rows = WATCHER.iter().map(|row| (row.key, row.get(&config.options), row.get(&plain.options)));
    rows.filter(|(_, value, other)| value != other).map(|(key, value, _)| (key, value)).collect()
}

/// Gives an option the value that another watcher has.
pub(super) fn copy(key: &str, from: &WatcherConfig, to: &mut WatcherConfig) {
    let row = WATCHER.iter().find(|row| row.key == key).unwrap();
    assert!(row.set(&mut to.options, &row.get(&from.options)), "{key}");
}

#[test]
fn every_option_of_the_table_takes_some_value_by_chance() {
    let mut dice = Dice::new(1);
    for row in WATCHER {
        let values: Vec<_> = (0..100).filter_map(|_| value(row, &mut dice)).collect();
        let default = row.get(&WatcherOptions::default());
        assert!(values.iter().any(|value| *value != default), "{}: {values:?}", row.key);
    }
}
