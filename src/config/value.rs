//! The values of options: what kinds there are, how text becomes one of them, and what to say when it does not.
//!
//! A [`Kind`] is one column of the option table. Both readers of values use it: the file reader, which has text,
//! and the control commands `set` and `add`, which have typed JSON.

use super::{number, respawn_rule};
use crate::signals;
use std::ops::RangeInclusive;

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
    /// The same, or this word.
    BoolOr(&'static str),
    /// A whole number.
    Int,
    /// A whole number of bytes, which may have a unit.
    Bytes,
    /// A whole number of seconds, likewise.
    WholeSeconds,
    /// Seconds with an optional fraction, likewise; at most 1e9 either way.
    Seconds,
    /// Any text.
    Text,
    /// A signal: a number, or a name with or without `SIG`, with an optional `+N`.
    Signal,
    /// Several of them, between blanks or commas; kept as they were written.
    Signals,
    /// Exit codes, 0 to 255, likewise.
    Codes,
    /// An octal number such as a umask, one of [`MODES`].
    Octal,
    /// A user or group: a number or a name.
    Id,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
}

/// The modes and umasks that there are: the kernel leaves out the rest without a word.
pub const MODES: RangeInclusive<i64> = 0..=0o777;

impl Kind {
    /// The value that `text` (trimmed) stands for.
    ///
    /// # Errors
    /// A phrase that completes "`key = text` ...", for instance "is not a whole number".
    pub fn parse(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let or = |value: Option<Value>, why: &str| value.ok_or_else(|| why.to_string());
        match self {
            Kind::Bool => parse_bool(text).ok_or_else(|| format!("is neither {BOOLEANS}")),
            Kind::BoolOr(word) if word.eq_ignore_ascii_case(text) => Ok(Value::Str(word.into())),
            Kind::BoolOr(word) => {
                parse_bool(text).ok_or_else(|| format!("is neither {BOOLEANS}, nor {word}"))
            }
            Kind::Int | Kind::Bytes | Kind::WholeSeconds => {
                let number = without_underscores(text).and_then(|digits| digits.parse().ok());
                or(number.map(Value::Int).or(self.measure(text)?), "is not a whole number")
            }
            Kind::Seconds => {
                let number = without_underscores(text).and_then(|digits| number::parse(&digits));
                let seconds = number.map(|number| Value::Float(bounded(number)));
                or(seconds.or(self.measure(text)?), "is not a number")
            }
            Kind::Text | Kind::Id => Ok(Value::Str(text.into())),
            Kind::Signal => {
                let signal = signals::parse(text).map(|number| Value::Int(number.into()));
                or(signal, "is not a signal (a number, or a name such as TERM, SIGINT or SIGRTMIN+3)")
            }
            Kind::Signals => list_of(text, signals::parse, "signals, such as TERM, SIGINT or 15"),
            Kind::Codes => list_of(text, respawn_rule::code, "exit codes, 0 to 255"),
            Kind::Octal => {
                let digits = without_underscores(text.strip_prefix("0o").unwrap_or(text));
                let number = digits.and_then(|digits| i64::from_str_radix(&digits, 8).ok());
                let mode = number.filter(|number| MODES.contains(number)).map(Value::Int);
                or(mode, "is not an octal number from 000 to 777, such as 022")
            }
            Kind::Choice(words) => {
                let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
                word.map(|word| Value::Str((*word).into()))
                    .ok_or_else(|| format!("is none of {}", words.join(", ")))
            }
        }
    }

    /// The value that `text` stands for, where that is a number with a unit; `None` when it is none, or the option takes
    /// no units.
    ///
    /// # Errors
    /// As above.
    pub fn measure(self, text: &str) -> Result<Option<Value>, String> {
        let units = match self {
            Kind::Seconds | Kind::WholeSeconds => number::TIMES,
            Kind::Bytes => number::SIZES,
            _ => return Ok(None),
        };
        let digits = without_underscores(text.trim()).unwrap_or_default();
        let Some(number) = number::in_units(&digits, units)? else { return Ok(None) };
        match self {
            Kind::Seconds => Ok(Some(Value::Float(bounded(number)))),
            Kind::WholeSeconds if number.fract() != 0.0 => Err("is not a whole number of seconds".into()),
            _ => Ok(Some(Value::Int(number as i64))),
        }
    }

    /// A typed value from a request, brought to what the option stores; `None` when the type is wrong.
    pub fn accept(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Kind::Bool | Kind::BoolOr(_), Value::Bool(_))
            | (Kind::Int | Kind::Bytes | Kind::WholeSeconds | Kind::Signal | Kind::Octal, Value::Int(_))
            | (Kind::Text | Kind::Id, Value::Str(_))
            | (Kind::Text | Kind::Id | Kind::Signals | Kind::Codes, Value::None) => Some(value.clone()),
            (Kind::Bool | Kind::Int | Kind::Bytes | Kind::WholeSeconds | Kind::Seconds, Value::Str(_)) => {
                None
            }
            (_, Value::Str(text)) => self.parse(text).ok(),
            (Kind::Seconds, Value::Float(n)) => Some(Value::Float(bounded(*n))),
            (Kind::Seconds, Value::Int(n)) => Some(Value::Float(bounded(*n as f64))),
            (Kind::Signals | Kind::Codes, Value::Int(n)) => self.parse(&n.to_string()).ok(),
            (Kind::Id, Value::Int(n)) => Some(Value::Str(n.to_string())),
            _ => None,
        }
    }

    /// How Circus names the type in "'key' isn't ...".
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Bool | Kind::BoolOr(_) => "a valid boolean",
            Kind::Int | Kind::Bytes | Kind::WholeSeconds | Kind::Octal => "an integer",
            Kind::Seconds => "a number",
            Kind::Text | Kind::Choice(_) => "a string",
            Kind::Signal => "a signal",
            Kind::Signals => "a list of signals",
            Kind::Codes => "a list of exit codes",
            Kind::Id => "an integer or string",
        }
    }
}

const BOOLEANS: &str = "true (yes, true, on, 1) nor false (no, false, off, 0)";

/// A list of what `parse` knows.
fn list_of(text: &str, parse: fn(&str) -> Option<i32>, what: &str) -> Result<Value, String> {
    let is_list = listed(text).into_iter().all(|word| parse(word).is_some());
    if is_list { Ok(Value::Str(text.into())) } else { Err(format!("is not a list of {what}")) }
}

fn parse_bool(text: &str) -> Option<Value> {
    let words = ["yes", "true", "on", "1", "no", "false", "off", "0"];
    let place = words.iter().position(|word| word.eq_ignore_ascii_case(text))?;
    Some(Value::Bool(place < 4))
}

/// For ever is 30 years, so that no sum of times overflows.
fn bounded(seconds: f64) -> f64 {
    seconds.clamp(-1e9, 1e9)
}

/// As in Python, single underscores may stand between digits.
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

/// The place of a value that a row of the option table stores, whatever its type.
pub trait Slot {
    /// What is there.
    fn get(&self) -> Value;
    /// Stores a value that [`Kind::parse`] or [`Kind::accept`] gave; false when the value is of another type.
    fn set(&mut self, value: &Value) -> bool;
}

macro_rules! slot {
    ($type:ty, $variant:ident) => {
        impl Slot for $type {
            fn get(&self) -> Value {
                Value::$variant(self.clone().into())
            }

            fn set(&mut self, value: &Value) -> bool {
                let Value::$variant(value) = value else { return false };
                *self = value.clone().into();
                true
            }
        }
    };
}
slot!(bool, Bool);
slot!(i64, Int);
slot!(f64, Float);
slot!(String, Str);
// Text that is seldom there, which takes less room so.
slot!(Box<str>, Str);

impl<T: Slot + Default> Slot for Option<T> {
    fn get(&self) -> Value {
        self.as_ref().map_or(Value::None, Slot::get)
    }

    fn set(&mut self, value: &Value) -> bool {
        let mut fresh = (*value != Value::None).then(T::default);
        let fits = fresh.as_mut().is_none_or(|fresh| fresh.set(value));
        if fits {
            *self = fresh;
        }
        fits
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
        assert_eq!(Kind::Seconds.parse("1e1"), Ok(Value::Float(10.0)));
        assert_eq!(Kind::Seconds.parse("inf"), Ok(Value::Float(1e9)));
        assert!(Kind::Seconds.parse("nan").is_err());
        assert_eq!(Kind::Seconds.parse("1_0ms"), Ok(Value::Float(0.01)));
        assert_eq!(Kind::WholeSeconds.parse(" 5 m "), Ok(Value::Int(300)));
        assert_eq!(Kind::Bytes.parse("1.5K"), Ok(Value::Int(1536)));
        assert_eq!(Kind::Bytes.parse("99999999P"), Ok(Value::Int(i64::MAX)));
        for (kind, wrong) in [(Kind::Int, "5m"), (Kind::Bytes, "1.5"), (Kind::WholeSeconds, "500ms")] {
            assert!(kind.parse(wrong).unwrap_err().starts_with("is not a whole number"), "{wrong}");
        }
        assert!(Kind::Seconds.parse("10 parsecs").unwrap_err().contains("`parsecs`"));
        assert_eq!(Kind::Octal.parse("022"), Ok(Value::Int(0o22)));
        assert_eq!(Kind::Octal.parse("0_22"), Ok(Value::Int(0o22)));
        assert_eq!(Kind::Octal.parse("0o777"), Ok(Value::Int(0o777)));
        for wrong in ["9", "_7", "1000", "0o1777", "7777", "-1", "-022", "99999999999999999999999"] {
            assert!(Kind::Octal.parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Kind::Signal.parse("sigint"), Ok(Value::Int(2)));
    }

    #[test]
    fn a_request_needs_the_right_type() {
        assert_eq!(Kind::Seconds.accept(&Value::Int(3)), Some(Value::Float(3.0)));
        assert_eq!(Kind::Int.accept(&Value::Str("3".into())), None);
        assert_eq!(Kind::Id.accept(&Value::Int(0)), Some(Value::Str("0".into())));
    }

    #[test]
    fn a_boolean_may_have_one_word_besides() {
        let kind = Kind::BoolOr(respawn_rule::ON_FAILURE);
        let word = Value::Str("on-failure".into());
        for (text, value) in [("On-Failure", &word), ("no", &Value::Bool(false)), ("1", &Value::Bool(true))] {
            assert_eq!(kind.parse(text).as_ref(), Ok(value));
            let mut rule = respawn_rule::Respawn::Always;
            assert_eq!((rule.set(value), rule.get()), (true, value.clone()));
        }
        let why = kind.parse("on_failure").unwrap_err();
        assert!(why.starts_with("is neither true") && why.ends_with(", nor on-failure"), "{why}");
        assert_eq!(kind.accept(&Value::Int(1)), None);
        assert!(!respawn_rule::Respawn::Always.set(&Value::Str("never".into())));
    }

    #[test]
    fn lists_stand_between_blanks_or_commas() {
        for text in ["0 3,7", "255", "", "1,, 2\n3"] {
            assert_eq!(Kind::Codes.parse(text), Ok(Value::Str(text.into())));
        }
        for text in ["256", "-1", "1;2", "TERM"] {
            assert!(Kind::Codes.parse(text).is_err(), "{text}");
        }
        assert!(Kind::Signals.parse("TERM, 2 sigkill").is_ok() && Kind::Signals.parse("TERM NOPE").is_err());
        assert_eq!(Kind::Codes.accept(&Value::Int(3)), Some(Value::Str("3".into())));
        assert_eq!(Kind::Codes.accept(&Value::Int(300)), None);
    }
}
