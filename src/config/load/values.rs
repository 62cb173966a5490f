//! One option at a time: its variables replaced, its text converted by its row of the table, and what is to be said
//! about it.

use crate::config::expand;
use crate::config::ini::shorten;
use crate::config::model::{Finding, Names, Origin, Severity};
use crate::config::options::{self, Built, Expand, Row};
use crate::config::restrict;
use crate::config::sections::Entry;
use crate::config::value::{Kind, Value};

/// Variables and environments may make a configuration so much larger than its files, in bytes.
const MOST_GROWTH: usize = 256 << 20;

/// Reads options and collects findings.
pub struct Values<'a> {
    /// The environment of circus.
    pub environ: &'a Names,
    /// The same with `[env]` over it.
    pub global: Names,
    /// What there is to say so far.
    pub findings: Vec<Finding>,
    /// Why the section that is being read cannot be used.
    broken: Option<String>,
    growth: usize,
    /// Variables that are not known yet may stand in a file that is read later.
    pub more_variables: bool,
}

/// What became of an option.
#[derive(PartialEq)]
pub enum Taken {
    /// The table has its row; a value that could not be used has its finding.
    Known,
    /// As [`Taken::Known`], and this text could not be used.
    Unusable(String),
    /// There is no such row.
    Unknown,
}

/// What a row says, whatever its section.
struct Facts {
    key: &'static str,
    kind: Kind,
    expand: Expand,
    built: Built,
    default: Value,
    strict: bool,
}

impl<'a> Values<'a> {
    /// Nothing read yet. `global` is the environment of circus until `[env]` has been read.
    pub fn new(environ: &'a Names, findings: Vec<Finding>) -> Values<'a> {
        Values { environ, global: environ.clone(), findings, broken: None, growth: 0, more_variables: false }
    }

    /// Adds a finding. An error is also why the section cannot be used.
    pub fn find(&mut self, severity: Severity, origin: &Origin, message: String) {
        if severity != Severity::Warning {
            self.broken.get_or_insert_with(|| message.clone());
        }
        self.findings.push(Finding { severity, origin: origin.clone(), message });
    }

    /// Adds a warning.
    pub fn warn(&mut self, origin: &Origin, message: String) {
        self.find(Severity::Warning, origin, message);
    }

    /// Why the section that has just been read cannot be used.
    pub fn take_broken(&mut self) -> Option<String> {
        self.broken.take()
    }

    /// Stores an option in the table's struct under `key`. `own` is the environment of its watcher.
    pub fn take<S: Default>(
        &mut self,
        rows: &'static [Row<S>],
        strict: &[&str],
        (target, key): (&mut S, &str),
        entry: &Entry,
        own: &Names,
    ) -> Taken {
        let Some(row) = options::find(rows, key) else { return Taken::Unknown };
        let facts = Facts {
            key: row.key,
            kind: row.kind,
            expand: row.expand,
            built: row.built,
            default: row.get(&S::default()),
            strict: strict.contains(&row.key),
        };
        let value = match self.convert(&facts, entry, own) {
            Ok(value) => value,
            Err(text) => return Taken::Unusable(text),
        };
        row.set(target, &value);
        Taken::Known
    }

    /// The value of an option. The error is the text that could not be used; its finding has been made.
    fn convert(&mut self, facts: &Facts, entry: &Entry, own: &Names) -> Result<Value, String> {
        let text = self.expanded(entry, facts.expand, own);
        if text.is_empty() && facts.default == Value::None && may_be_empty(facts) {
            self.report_built(facts, &Value::None, entry);
            return Ok(Value::None);
        }
        let fits = |value: Value| restrict::fits(facts.key, &value).map(|()| value);
        match facts.kind.parse(&text).and_then(fits) {
            Ok(value) => {
                self.report_built(facts, &value, entry);
                if facts.built == Built::Works {
                    self.report_unset(entry, facts.expand, own);
                    self.report_comment(entry);
                }
                Ok(value)
            }
            Err(why) => self.refuse(facts, entry, &text, &why, own),
        }
    }

    /// A value that cannot be converted. Circus reads a signal up to where it ends, whatever follows.
    fn refuse(
        &mut self,
        facts: &Facts,
        entry: &Entry,
        text: &str,
        why: &str,
        own: &Names,
    ) -> Result<Value, String> {
        let mut message = format!("`{} = {}` {why}", entry.key, shorten(text));
        let unset = self.unset(&entry.value, own);
        if !unset.is_empty() {
            message += &format!("; the variable {} is not set", unset.join(", "));
        } else if has_comment(&entry.value) {
            message += "; a `#` behind a value begins no comment, a ` ;` does";
        }
        if let (Kind::Signal, Ok(value)) = (facts.kind, facts.kind.parse(signal_word(text))) {
            self.warn(&entry.origin, format!("{message}; it is taken as {}", shorten(signal_word(text))));
            return Ok(value);
        }
        // Circus takes any number as a signal and fails when it sends it.
        let is_number = facts.kind == Kind::Signal && Kind::Int.parse(text).is_ok();
        let severity = match facts.built {
            _ if facts.strict && !is_number => Severity::Fatal,
            Built::Works => Severity::Error,
            _ => Severity::Warning,
        };
        if severity == Severity::Warning {
            message += "; it has no effect in this version anyway";
        }
        self.find(severity, &entry.origin, message);
        Err(text.into())
    }

    /// The text of an option with its variables replaced.
    pub fn expanded(&mut self, entry: &Entry, when: Expand, own: &Names) -> String {
        let text = match when {
            Expand::Never => return entry.value.clone(),
            Expand::Global => expand::expand(&entry.value, &|name| expand::env(&self.global, name)),
            Expand::Watcher => {
                let lookup = |name: &str| expand::env(own, name).or_else(|| expand::env(&self.global, name));
                expand::expand(&entry.value, &lookup)
            }
        };
        if self.may_grow(text.len().saturating_sub(entry.value.len()), &entry.origin) {
            text
        } else {
            entry.value.clone()
        }
    }

    /// Counts bytes that variables and environments bring in.
    pub fn may_grow(&mut self, bytes: usize, origin: &Origin) -> bool {
        let before = self.growth;
        self.growth = before.saturating_add(bytes);
        if before <= MOST_GROWTH && self.growth > MOST_GROWTH {
            let message = format!("variables and environments grow over {} MiB here", MOST_GROWTH >> 20);
            self.find(Severity::Fatal, origin, message);
        }
        self.growth <= MOST_GROWTH
    }

    /// Text that no row describes: a free option or one of a family.
    pub fn text(&mut self, entry: &Entry, when: Expand, own: &Names) -> String {
        self.report_unset(entry, when, own);
        self.report_comment(entry);
        self.expanded(entry, when, own)
    }

    /// Says that an option has no effect, if it has none. A switch that is off by default and is set to off asks
    /// for nothing.
    fn report_built(&mut self, facts: &Facts, value: &Value, entry: &Entry) {
        if matches!(value, Value::Bool(_)) && *value == facts.default {
            return;
        }
        match facts.built {
            Built::Useless(advice) => {
                self.warn(&entry.origin, format!("`{}` has no effect: {advice}", facts.key))
            }
            Built::Works | Built::Quiet => {}
        }
    }

    fn report_unset(&mut self, entry: &Entry, when: Expand, own: &Names) {
        let unset = self.unset(&entry.value, own);
        if !unset.is_empty() && when != Expand::Never && !self.more_variables {
            let message =
                format!("the variable {} is not set, so its name stays in the value", unset.join(", "));
            self.warn(&entry.origin, message);
        }
    }

    /// The environment variables that a text refers to and nobody has set.
    fn unset(&self, text: &str, own: &Names) -> Vec<String> {
        let is_set =
            |name: &str| expand::env(own, name).or_else(|| expand::env(&self.global, name)).is_some();
        let unset =
            expand::names(text).filter(|name| !is_set(name)).filter_map(|name| expand::member(name, "env"));
        unset.take(5).map(shorten).collect()
    }

    fn report_comment(&mut self, entry: &Entry) {
        if has_comment(&entry.value) {
            let message =
                "a `#` behind a value begins no comment: it is part of the value (a ` ;` begins one)".into();
            self.warn(&entry.origin, message);
        }
    }
}

/// Options for which Circus takes an empty value as none.
fn may_be_empty(facts: &Facts) -> bool {
    match facts.kind {
        Kind::Text | Kind::Id | Kind::Octal => true,
        Kind::Signals | Kind::Codes => true,
        Kind::Bool | Kind::BoolOr(_) | Kind::Int | Kind::Float | Kind::Signal | Kind::Choice(_) => {
            !facts.strict
        }
    }
}

/// The beginning of `text` that may be a signal: a word with an optional `+N`.
fn signal_word(text: &str) -> &str {
    let head = |text: &str, more: fn(char) -> bool| text.find(|c| !more(c)).unwrap_or(text.len());
    let word = head(text, |c| c.is_ascii_alphanumeric() || c == '_');
    let rest = text.get(word..).and_then(|rest| rest.strip_prefix('+')).unwrap_or_default();
    let digits = head(rest, |c| c.is_ascii_digit());
    text.get(..if digits == 0 { word } else { word + 1 + digits }).unwrap_or(text)
}

/// Whether a value looks as if it had a `#` comment behind it: one at the beginning with a blank after it, or one
/// with a blank before it and outside quotes.
fn has_comment(value: &str) -> bool {
    let mut quote = None;
    let mut previous = None;
    for c in value.chars() {
        match (quote, c) {
            (None, '#') if previous.is_some_and(char::is_whitespace) => return true,
            (None, ' ') if previous == Some('#') && value.starts_with("# ") => return true,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        previous = Some(c);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_behind_values_are_seen() {
        for text in ["# a path", "8080 # the port", "a\t#b", "a 'b' # c"] {
            assert!(has_comment(text), "{text}");
        }
        for text in ["#fff", "a#b", "sh -c 'a # b'", "\" #\"", "", "#"] {
            assert!(!has_comment(text), "{text}");
        }
    }

    #[test]
    fn a_signal_ends_where_its_word_ends() {
        assert_eq!(signal_word("TERM # x"), "TERM");
        assert_eq!(signal_word("RTMIN+3;"), "RTMIN+3");
        assert_eq!(signal_word("INT+x"), "INT");
        assert_eq!(signal_word(""), "");
    }
}
