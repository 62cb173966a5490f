//! What the end of a process means: whether it is a failure, and whether another process takes its place.

use super::value::{Field, Value, listed};

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
impl Field for Respawn {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(true) => Some(Respawn::Always),
            Value::Bool(false) => Some(Respawn::Never),
            Value::Str(word) if word == ON_FAILURE => Some(Respawn::OnFailure),
            Value::None | Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::Map(_) => None,
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Respawn::Never => Value::Bool(false),
            Respawn::OnFailure => Value::Str(ON_FAILURE.into()),
            Respawn::Always => Value::Bool(true),
        }
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
