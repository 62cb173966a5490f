//! The values of options: what kinds there are, how text becomes one of them, and what to say when it does not.
//!
//! A [`Kind`] is one column of the option table. Both readers of values use it: the file reader, which has text,
//! and the control commands `set` and `add`, which have typed JSON.

use super::{number, signals};

/// One typed value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not set; Circus prints `None`, JSON has `null`.
    None,
    /// True or false.
    Bool(bool),
    /// A whole number; signals and ids too.
    Int(i64),
    /// Seconds, mostly.
    Float(f64),
    /// Text; bytes that are no UTF-8 are kept as [`super::text`] says.
    Str(String),
    /// Names with values: `env`, a stream, `hooks`.
    Map(Vec<(String, String)>),
}

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `yes true on 1` or `no false off 0`, in any case.
    Bool,
    /// A whole number.
    Int,
    /// Seconds, or another number with an optional fraction; at most 1e9 either way.
    Float,
    /// Any text.
    Text,
    /// A signal: a number, or a name with or without `SIG`, with an optional `+N`.
    Signal,
    /// An octal number such as a umask.
    Octal,
    /// A user or group: a number or a name.
    Id,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// The value that `text` (trimmed) stands for.
    ///
    /// # Errors
    /// A phrase that completes "`key = text` ...", for instance "is not a whole number".
    pub fn parse(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        match self {
            Kind::Bool => parse_bool(text).map(Value::Bool),
            Kind::Int => parse_int(text).map(Value::Int).ok_or_else(|| "is not a whole number".into()),
            Kind::Float => parse_float(text).map(Value::Float).ok_or_else(|| "is not a number".into()),
            Kind::Text => Ok(Value::Str(text.into())),
            Kind::Signal => signals::parse(text).map(|n| Value::Int(n.into())).ok_or_else(|| {
                "is not a signal (a number, or a name such as TERM, SIGINT or SIGRTMIN+3)".into()
            }),
            Kind::Octal => i64::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8)
                .ok()
                .filter(|n| (0..=0o7777).contains(n))
                .map(Value::Int)
                .ok_or_else(|| "is not an octal number such as 022".into()),
            Kind::Id => Ok(Value::Str(text.into())),
            Kind::Choice(words) => words
                .iter()
                .find(|w| w.eq_ignore_ascii_case(text))
                .map(|w| Value::Str((*w).into()))
                .ok_or_else(|| format!("is none of {}", words.join(", "))),
        }
    }

    /// A typed value from a request, brought to what the option stores; `None` when the type is wrong.
    pub fn accept(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Kind::Bool, Value::Bool(_)) | (Kind::Text, Value::Str(_)) => Some(value.clone()),
            (Kind::Int | Kind::Signal | Kind::Octal, Value::Int(_)) => Some(value.clone()),
            (Kind::Float, Value::Float(n)) => Some(Value::Float(bounded(*n))),
            (Kind::Float, Value::Int(n)) => Some(Value::Float(bounded(*n as f64))),
            (Kind::Signal | Kind::Octal | Kind::Choice(_), Value::Str(text)) => self.parse(text).ok(),
            (Kind::Id, Value::Int(n)) => Some(Value::Str(n.to_string())),
            (Kind::Id, Value::Str(_)) => Some(value.clone()),
            (Kind::Text | Kind::Id, Value::None) => Some(Value::None),
            _ => None,
        }
    }

    /// How Circus names the type in "'key' isn't ...".
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Bool => "a valid boolean",
            Kind::Int | Kind::Octal => "an integer",
            Kind::Float => "a number",
            Kind::Text | Kind::Choice(_) => "a string",
            Kind::Signal => "a signal",
            Kind::Id => "an integer or string",
        }
    }
}

fn parse_bool(text: &str) -> Result<bool, String> {
    let is = |words: [&str; 4]| words.iter().any(|w| w.eq_ignore_ascii_case(text));
    if is(["yes", "true", "on", "1"]) {
        Ok(true)
    } else if is(["no", "false", "off", "0"]) {
        Ok(false)
    } else {
        Err("is neither true (yes, true, on, 1) nor false (no, false, off, 0)".into())
    }
}

/// Python's `int()`: blanks around, a sign, single underscores between digits.
fn parse_int(text: &str) -> Option<i64> {
    without_underscores(text)?.parse().ok()
}

/// Python's `float()` without `nan`, which no option can use.
fn parse_float(text: &str) -> Option<f64> {
    let text = without_underscores(text)?;
    number::parse(&text).map(bounded)
}

/// For ever is 30 years, so that no sum of times overflows.
fn bounded(seconds: f64) -> f64 {
    seconds.clamp(-1e9, 1e9)
}

fn without_underscores(text: &str) -> Option<String> {
    let misplaced = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (!misplaced).then(|| text.replace('_', ""))
}

/// The words of a list, between blanks or commas.
pub fn listed(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split([' ', '\t', '\n', ',']).collect();
    words.retain(|word| !word.is_empty());
    words
}

/// A type that a row of the option table stores.
pub trait Field: Sized {
    /// From a value that [`Kind::parse`] or [`Kind::accept`] gave; `None` when the kinds do not meet.
    fn from_value(value: &Value) -> Option<Self>;
    /// As a value.
    fn to_value(&self) -> Value;
}

macro_rules! field {
    ($type:ty, $variant:ident) => {
        impl Field for $type {
            fn from_value(value: &Value) -> Option<Self> {
                if let Value::$variant(v) = value { Some(v.clone()) } else { None }
            }
            fn to_value(&self) -> Value {
                Value::$variant(self.clone())
            }
        }
    };
}
field!(bool, Bool);
field!(i64, Int);
field!(f64, Float);
field!(String, Str);

/// Text that is seldom there, which takes less room so.
impl Field for Box<str> {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Str(text) = value { Some(text.as_str().into()) } else { None }
    }
    fn to_value(&self) -> Value {
        Value::Str(self.to_string())
    }
}

impl<T: Field> Field for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::None => Some(None),
            other => T::from_value(other).map(Some),
        }
    }
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::None, Field::to_value)
    }
}

/// The place of such a value, whatever its type.
pub trait Slot {
    /// What is there.
    fn get(&self) -> Value;
    /// Stores a value; false when the value is of another type.
    fn set(&mut self, value: &Value) -> bool;
}

impl<T: Field> Slot for T {
    fn get(&self) -> Value {
        self.to_value()
    }

    fn set(&mut self, value: &Value) -> bool {
        T::from_value(value).map(|value| *self = value).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_what_python_makes_of_it() {
        assert_eq!(Kind::Bool.parse(" Yes "), Ok(Value::Bool(true)));
        assert_eq!(Kind::Bool.parse("off"), Ok(Value::Bool(false)));
        assert!(Kind::Bool.parse("").is_err());
        assert_eq!(Kind::Int.parse("1_000"), Ok(Value::Int(1000)));
        assert_eq!(Kind::Int.parse("+3"), Ok(Value::Int(3)));
        assert!(Kind::Int.parse("1.5").is_err());
        assert!(Kind::Int.parse("_1").is_err());
        assert_eq!(Kind::Float.parse("1e1"), Ok(Value::Float(10.0)));
        assert_eq!(Kind::Float.parse("inf"), Ok(Value::Float(1e9)));
        assert!(Kind::Float.parse("nan").is_err());
        assert_eq!(Kind::Octal.parse("022"), Ok(Value::Int(0o22)));
        assert!(Kind::Octal.parse("9").is_err());
        assert_eq!(Kind::Signal.parse("sigint"), Ok(Value::Int(2)));
    }

    #[test]
    fn a_request_needs_the_right_type() {
        assert_eq!(Kind::Float.accept(&Value::Int(3)), Some(Value::Float(3.0)));
        assert_eq!(Kind::Int.accept(&Value::Str("3".into())), None);
        assert_eq!(Kind::Id.accept(&Value::Int(0)), Some(Value::Str("0".into())));
    }
}
