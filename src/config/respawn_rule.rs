//! What the end of a process means: whether it is a failure, and whether another process takes its place.

use super::value::{Slot, Value, listed};

/// The word that `respawn` takes besides booleans.
pub const ON_FAILURE: &str = "on-failure";

/// Whether a process that has ended is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Respawn {
    /// It is not.
    Never,
    /// Only if it has failed.
    OnFailure,
    /// It is.
    Always,
}

/// As Circus has it, a boolean; only what Circus has not is a word.
impl Slot for Respawn {
    fn get(&self) -> Value {
        match self {
            Respawn::Never => Value::Bool(false),
            Respawn::OnFailure => Value::Str(ON_FAILURE.into()),
            Respawn::Always => Value::Bool(true),
        }
    }

    fn set(&mut self, value: &Value) -> bool {
        *self = match value {
            Value::Bool(true) => Respawn::Always,
            Value::Bool(false) => Respawn::Never,
            Value::Str(word) if word == ON_FAILURE => Respawn::OnFailure,
            Value::None | Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::Map(_) => return false,
        };
        true
    }
}

/// Whether a list of what `parse` reads has this number.
pub fn has(list: Option<&str>, parse: fn(&str) -> Option<i32>, number: i32) -> bool {
    list.is_some_and(|list| listed(list).into_iter().any(|word| parse(word) == Some(number)))
}

/// The exit code that a word of `success_codes` is.
pub fn code(word: &str) -> Option<i32> {
    word.parse::<u8>().ok().map(i32::from)
}

/// What a watcher that depends on the end of another one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `NAME:done`: any end by itself.
    Any,
    /// `NAME:ok`: a good one.
    Good,
}

impl End {
    /// The name of a watcher in `after` or `requires`, and the end that is waited for. What is a name as a whole is one.
    pub fn split<'a>(word: &'a str, is_name: &dyn Fn(&str) -> bool) -> (&'a str, Option<End>) {
        match word.rsplit_once(':') {
            Some((name, "done")) if !is_name(word) => (name, Some(End::Any)),
            Some((name, "ok")) if !is_name(word) => (name, Some(End::Good)),
            _ => (word, None),
        }
    }

    /// Whether an end, which is good or not, is what is waited for.
    pub fn takes(self, well: bool) -> bool {
        well || self == End::Any
    }
}
