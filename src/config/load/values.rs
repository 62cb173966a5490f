//! One option at a time: its variables replaced, its text converted by its row of the table, and what is to be said
//! about it.

use crate::config::check::suggest;
use crate::config::features::{self, Feature};
use crate::config::ini::{Entry, shorten};
use crate::config::model::{Finding, Names, Origin, Rest, Severity};
use crate::config::options::{self, Built, Expand, Place, Row, Spec, StreamCommon, WatcherCommon};
use crate::config::sections::Section;
use crate::config::value::{Kind, Value};
use crate::config::{expand, families};
use std::rc::Rc;

/// Variables and environments may make a configuration so much larger than its files, in bytes.
const MOST_GROWTH: usize = 256 << 20;

/// A table of options, and what its sections are called.
pub type Table<S> = (Place, &'static [Row<S>]);

/// Reads options and collects findings.
pub struct Values<'a> {
    /// The environment of circus.
    pub environ: &'a Names,
    /// The same with `[env]` over it.
    pub global: Names,
    /// The environment of the watcher that is being read.
    pub own: Rc<Names>,
    /// What there is to say so far.
    pub findings: Vec<Finding>,
    /// Why the section that is being read cannot be used.
    broken: Option<String>,
    growth: usize,
    /// What watchers and their streams share with those after them that are alike in it.
    pub alike: (Vec<Rc<WatcherCommon>>, Vec<Rc<StreamCommon>>),
    /// Variables that are not known yet may stand in a file that is read later.
    pub more_variables: bool,
}

impl<'a> Values<'a> {
    /// Nothing read yet. `global` is the environment of circus until `[env]` has been read.
    pub fn new(environ: &'a Names, findings: Vec<Finding>) -> Values<'a> {
        let (global, own) = (environ.clone(), Rc::default());
        let alike = Default::default();
        Values { environ, global, own, findings, broken: None, growth: 0, alike, more_variables: false }
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

    /// Stores an option in the table's struct under `key`; false when the table has no such row. A text that could not
    /// be used is kept in `free`.
    pub fn take<S: Default>(
        &mut self,
        rows: &'static [Row<S>],
        (target, free): (&mut S, &mut Rest),
        key: &str,
        entry: &Entry,
    ) -> bool {
        let Some(row) = options::find(rows, key) else { return false };
        if self.lacks(row.feature, entry) {
            return true;
        }
        match self.convert(row, &|| row.get(&S::default()), entry) {
            Ok(value) if self.lacks(row.needs(&value), entry) => {}
            Ok(value) => drop(row.set(target, &value)),
            Err(text) => drop(free.insert(key.into(), text)),
        }
        true
    }

    /// Keeps an option that the table does not have, and says that there is none, and which one there is. An indented
    /// key has been reported already. A plugin has options of its own.
    pub fn keep(&mut self, place: Place, free: &mut Rest, key: &str, entry: &Entry) {
        if place == Place::Plugin {
            self.report(entry);
        } else if !key.starts_with(char::is_whitespace) {
            let hint = suggest::key(place, key).map(|hint| format!(": {hint}")).unwrap_or_default();
            self.warn(&entry.origin, format!("there is no option `{}`{hint}", shorten(&entry.key)));
        }
        let text = self.expanded(entry, Expand::Watcher);
        free.insert(key.into(), text);
    }

    /// Takes or keeps each option of a section; only watchers have a `name`.
    pub fn all<S: Default>(&mut self, (place, rows): Table<S>, section: &Section, kept: (&mut S, &mut Rest)) {
        let (options, free) = kept;
        for (key, entry) in section.entries.iter() {
            if &**key == families::NAME && place != Place::Circus {
                let message = "`name` has no effect here: the name is that of the section";
                self.warn(&entry.origin, message.into());
            } else if !self.take(rows, (options, free), key, entry) {
                self.keep(place, free, key, entry);
            }
        }
    }

    /// Whether this build lacks what an option or a section needs; circus does not start with such a one.
    pub fn lacks(&mut self, feature: Option<Feature>, entry: &Entry) -> bool {
        let lack = features::lack(feature);
        if let Some(why) = &lack {
            let text = format!("`{} = {}` {why}", shorten(&entry.key), shorten(&entry.value));
            self.find(Severity::Fatal, &entry.origin, text);
        }
        lack.is_some()
    }

    /// The value of an option. The error is the text that could not be used; its finding has been made.
    fn convert(&mut self, row: &Spec, default: &dyn Fn() -> Value, entry: &Entry) -> Result<Value, String> {
        let text = self.expanded(entry, row.expand);
        // Options for which Circus takes an empty value as none.
        let is_text = matches!(row.kind, Kind::Text | Kind::Id | Kind::Octal | Kind::Signals | Kind::Codes);
        let is_none = text.is_empty() && (is_text || !row.strict) && default() == Value::None;
        let value = if is_none { Ok(Value::None) } else { row.kind.parse(&text) };
        match value.and_then(|value| row.fits(&value).map(|()| value)) {
            Ok(value) => {
                match row.built {
                    Built::Works if row.expand == Expand::Never => self.report_comment(entry),
                    Built::Works => self.report(entry),
                    // A switch that is off by default and is set to off asks for nothing.
                    Built::Useless(advice) if !matches!(value, Value::Bool(_)) || value != default() => {
                        self.warn(&entry.origin, format!("`{}` has no effect: {advice}", row.key));
                    }
                    Built::Useless(_) | Built::Quiet => {}
                }
                Ok(value)
            }
            Err(why) => self.refuse(row, entry, &text, &why),
        }
    }

    /// A value that cannot be converted. Circus reads a signal up to where it ends, whatever follows.
    fn refuse(&mut self, row: &Spec, entry: &Entry, text: &str, why: &str) -> Result<Value, String> {
        let mut message = format!("`{} = {}` {why}", entry.key, shorten(text));
        let unset = self.unset(&entry.value);
        if !unset.is_empty() {
            message += &format!("; the variable {unset} is not set");
        } else if has_comment(&entry.value) {
            message += "; a `#` behind a value begins no comment, a ` ;` does";
        }
        if let (Kind::Signal, Ok(value)) = (row.kind, row.kind.parse(signal_word(text))) {
            self.warn(&entry.origin, format!("{message}; it is taken as {}", shorten(signal_word(text))));
            return Ok(value);
        }
        // Circus takes any number as a signal and fails when it sends it.
        let is_number = row.kind == Kind::Signal && Kind::Int.parse(text).is_ok();
        let severity = match row.built {
            _ if row.strict && !is_number => Severity::Fatal,
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
    fn expanded(&mut self, entry: &Entry, when: Expand) -> String {
        let text = match when {
            Expand::Never => return entry.value.clone(),
            Expand::Global => expand::expand(&entry.value, &|name| expand::env(&self.global, name)),
            Expand::Watcher => expand::expand(&entry.value, &|name| self.variable(name)),
        };
        let more = text.len().saturating_sub(entry.value.len());
        if self.may_grow(more, &entry.origin) { text } else { entry.value.clone() }
    }

    fn variable(&self, name: &str) -> Option<String> {
        expand::env(&self.own, name).or_else(|| expand::env(&self.global, name))
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
    pub fn text(&mut self, entry: &Entry) -> String {
        self.report(entry);
        self.expanded(entry, Expand::Watcher)
    }

    /// What is to be said of any text whose variables are replaced.
    fn report(&mut self, entry: &Entry) {
        let unset = self.unset(&entry.value);
        if !unset.is_empty() && !self.more_variables {
            let message = format!("the variable {unset} is not set, so its name stays in the value");
            self.warn(&entry.origin, message);
        }
        self.report_comment(entry);
    }

    /// The environment variables that a text refers to and nobody has set.
    fn unset(&self, text: &str) -> String {
        let unset = expand::names(text).filter(|name| self.variable(name).is_none());
        let unset = unset.filter_map(|name| expand::member(name, "env"));
        unset.take(5).map(shorten).collect::<Vec<_>>().join(", ")
    }

    fn report_comment(&mut self, entry: &Entry) {
        if has_comment(&entry.value) {
            let message =
                "a `#` behind a value begins no comment: it is part of the value (a ` ;` begins one)";
            self.warn(&entry.origin, message.into());
        }
    }
}

/// So many that differ are compared with one that follows.
const MOST_ALIKE: usize = 16;

/// Lets one that is like one of those before be the same.
pub fn share<T: PartialEq>(one: &mut Rc<T>, before: &mut Vec<Rc<T>>) {
    match before.iter().find(|other| **other == *one) {
        Some(other) => *one = other.clone(),
        None => {
            before.truncate(MOST_ALIKE - 1);
            before.insert(0, one.clone());
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
