//! What a row of the option table says about an option.
#![allow(missing_docs, reason = "what a name says is not said again")]

use super::features::{self, Feature};
use super::number;
use super::options::{access, watcher};
use super::stream::StreamKind;
use super::value::{Kind, Slot, Value};
use std::ops::Deref;

/// When the variables in a value are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expand {
    /// At load, by the daemon's environment and `[env]`.
    Global,
    /// At load, by the watcher's environment; what is left, again at each spawn.
    Watcher,
    /// Not at all.
    Never,
}

/// What follows when an option changes while circus runs: by the command `set`, or in a file that is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// Stored; the next time that circus looks at it, it holds. No process is touched.
    Stored,
    /// Stored, then the watcher is gracefully reloaded; in `[circus]`, the watchers that have it from there.
    Reload,
    /// Stored, then processes are started or stopped.
    Numprocesses,
    /// `set` refuses it. A file that is read again reloads the watcher, or makes another socket; in `[circus]` it
    /// needs a new start.
    Fixed,
}

/// How far an option is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    /// It does what its help says.
    Works,
    /// It is accepted, without a word, and opens nothing: old files have it everywhere.
    Quiet,
    /// It can have no meaning in a native program; the text says what to do instead.
    Useless(&'static str),
}

/// What somebody may do by commands, and is told: each more than the one before. The command table says from which role
/// on a command is obeyed, the option table from which on an option may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `look`: states and numbers, nothing that could hold a secret.
    Look,
    /// `operate`: to start, stop and signal the watchers that are named, and to say how many processes there are and
    /// when they come and go.
    Operate,
    /// `endpoint_owner`, and a plugin of another user: all commands; of options, those that concern only what the
    /// processes of that user do.
    Owner,
    /// Let in by `endpoint_mode`, where there is neither `endpoint_owner` nor `[access]`: all but the values of
    /// environments.
    Member,
    /// root, the user of circus, and `admin`: everything.
    Admin,
}

impl Role {
    /// The option of `[access]` that gives it, or more.
    pub fn key(self) -> &'static str {
        match self {
            Role::Look => access::look,
            Role::Operate => access::operate,
            Role::Owner | Role::Member | Role::Admin => access::admin,
        }
    }
}

/// What becomes of a number outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// It is an error wherever it stands.
    IsWrong,
    /// From a file, the nearest number of the range counts instead; a command is refused.
    Counts,
    /// The nearest number of the range counts instead, from a command too.
    Passes,
}

/// The numbers that an option takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub least: f64,
    pub most: f64,
    pub beyond: Beyond,
}

/// Whether an option takes a text. The error completes "`key = value` ...".
pub type Takes = fn(&str) -> Result<(), String>;

/// What is said about an option, whatever its section.
#[derive(Clone, Copy)]
pub struct Spec {
    /// The key as it is written.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    pub expand: Expand,
    pub live: Live,
    pub built: Built,
    /// Circus converts it while it reads the file, and does not start with a wrong value. A wrong value elsewhere
    /// concerns one watcher or socket.
    pub strict: bool,
    /// It belongs to Circus's own watchers: the command `options` shows it always, others only when they are set, and
    /// `$(circus.KEY)` is known when a process is spawned.
    pub shown: bool,
    /// The least role that may set it by a command.
    pub role: Role,
    pub range: Option<Range>,
    /// What a text must be besides.
    pub takes: Option<Takes>,
    /// What holds for a number that is not set.
    pub unset: Option<f64>,
    /// The classes of streams that it means something to; none: all.
    pub classes: &'static [StreamKind],
    /// It may stand in the section of a plugin too, for its process.
    pub of_plugins: bool,
    /// Words under which others look for it, such as the names that other tools have for it.
    pub aliases: &'static str,
    /// The feature that a build must have for it.
    pub feature: Option<Feature>,
}

/// The numbers from `least` to `most`.
pub const fn range(least: f64, most: f64, beyond: Beyond) -> Option<Range> {
    Some(Range { least, most, beyond })
}

/// An option that works, of which nothing else is to be said.
pub const fn row(kind: Kind, expand: Expand, live: Live) -> Spec {
    Spec {
        key: "",
        kind,
        expand,
        live,
        built: Built::Works,
        strict: false,
        shown: false,
        role: Role::Member,
        range: None,
        takes: None,
        unset: None,
        classes: &[],
        of_plugins: false,
        aliases: "",
        feature: None,
    }
}

impl Spec {
    /// Whether it may hold a secret: only free text can.
    pub fn may_be_secret(&self) -> bool {
        self.kind == Kind::Text
    }

    /// Why it cannot have this value, which is of its kind: a phrase that completes "`key = value` ...".
    ///
    /// # Errors
    /// The reason.
    pub fn fits(&self, value: &Value) -> Result<(), String> {
        match (value, self.range) {
            (Value::Str(text), _) => self.takes.map_or(Ok(()), |takes| takes(text)),
            (_, Some(Range { least, most, beyond: Beyond::IsWrong })) if self.instead(value).is_some() => {
                Err(format!("is not between {} and {}", number::short(least), number::short(most)))
            }
            _ => Ok(()),
        }
    }

    /// The feature that a build must have for this value.
    pub fn needs(&self, value: &Value) -> Option<Feature> {
        let is_tree = self.key == watcher::kill_mode && *value == Value::Str("tree".into());
        if is_tree { Some(features::TREE) } else { self.feature }
    }

    /// Whether a command may not set this number, which is of its kind.
    pub fn refuses(&self, value: &Value) -> bool {
        match value {
            Value::Int(number) if self.kind == Kind::Signal => !(1..=64).contains(number),
            _ => self.range.is_some_and(|it| it.beyond == Beyond::Counts) && self.instead(value).is_some(),
        }
    }

    /// The nearest number of its range, for one that is outside.
    pub fn instead(&self, value: &Value) -> Option<f64> {
        let Range { least, most, .. } = self.range?;
        let number = match value {
            Value::Int(number) => *number as f64,
            Value::Float(number) => *number,
            Value::None | Value::Bool(_) | Value::Str(_) | Value::Map(_) => return None,
        };
        (!(least..=most).contains(&number)).then(|| number.clamp(least, most))
    }
}

/// One option of a section whose values are kept in an `S`.
pub struct Row<S: 'static> {
    pub spec: Spec,
    /// The field that keeps its value.
    pub field: fn(&S) -> &dyn Slot,
    /// The same, to be changed.
    pub field_mut: fn(&mut S) -> &mut dyn Slot,
}

impl<S> Deref for Row<S> {
    type Target = Spec;

    fn deref(&self) -> &Spec {
        &self.spec
    }
}

impl<S> Row<S> {
    /// Its value.
    pub fn get(&self, options: &S) -> Value {
        (self.field)(options).get()
    }

    /// Stores a value; false when the value is of another type.
    pub fn set(&self, options: &mut S, value: &Value) -> bool {
        (self.field_mut)(options).set(value)
    }
}

/// The row of `key` in a table.
pub fn find<S>(rows: &'static [Row<S>], key: &str) -> Option<&'static Row<S>> {
    rows.iter().find(|row| row.key == key)
}
