//! The properties of a request, read by type, with Circus's reasons when they do not fit.
//!
//! Numbers are also taken as text, since Circus's own client sends some of them so; `null` is as good as missing.

use super::python::quoted;
use crate::arbiter::Pid;
use crate::arbiter::request::{Errno, Reply};
use crate::config::{Kind, Value};
use crate::signals;
use serde_json::Value as Json;

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of error.
    pub errno: Errno,
    /// What is wrong.
    pub reason: String,
}

impl Refusal {
    /// A property is missing or bad, or what it names is not there.
    pub fn message(reason: impl Into<String>) -> Refusal {
        Refusal { errno: Errno::Message, reason: reason.into() }
    }

    /// circus could not do it and live.
    pub fn no_memory() -> Refusal {
        let reason = "circus is short of memory, and takes only what needs little: start, stop, restart";
        Refusal { errno: Errno::Os, reason: reason.into() }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        Reply::Error { errno: refusal.errno, reason: refusal.reason }
    }
}

/// The most members of a list.
const MOST_TEXTS: usize = 1024;

/// True or false.
pub fn flag(key: &str, value: &Json) -> Result<bool, Refusal> {
    value.as_bool().ok_or_else(|| wrong(key, "a valid boolean"))
}

/// A whole number.
pub fn integer(key: &str, value: &Json) -> Result<i64, Refusal> {
    let number = match value {
        Json::String(text) => match Kind::Int.parse(text) {
            Ok(Value::Int(number)) => Some(number),
            _ => None,
        },
        other => other.as_i64(),
    };
    number.ok_or_else(|| wrong(key, "an integer"))
}

/// A number of seconds that a clock can take.
pub fn seconds(key: &str, value: &Json) -> Result<f64, Refusal> {
    let number = match value {
        Json::String(text) => match (Kind::Seconds.measure(text), Kind::Seconds.parse(text)) {
            (Err(why), _) => return Err(Refusal::message(format!("{} {why}", quoted(key)))),
            (_, Ok(Value::Float(number))) => Some(number),
            (_, _) => None,
        },
        other => other.as_f64(),
    };
    in_time(key, number.ok_or_else(|| wrong(key, "a number"))?)
}

/// The id of one process: never 0 or less, which would be groups of processes to the kernel.
pub fn pid(key: &str, value: &Json) -> Result<Pid, Refusal> {
    let pid = Pid::try_from(integer(key, value)?).ok().filter(|pid| *pid > 0);
    pid.ok_or_else(|| wrong(key, "the id of a process"))
}

/// A signal, by number or by name.
pub fn signum(_: &str, value: &Json) -> Result<i32, Refusal> {
    let number = match value {
        Json::String(text) => signals::parse(text),
        other => other.as_i64().and_then(signal_number),
    };
    number.ok_or_else(|| Refusal::message("signal invalid"))
}

/// A list of texts.
pub fn texts(key: &str, value: &Json) -> Result<Vec<String>, Refusal> {
    let items = value.as_array().ok_or_else(|| wrong(key, "a list of strings"))?;
    items.iter().map(|item| text(key, item)).collect()
}

/// A list of texts that is not too long for one request.
pub fn few(key: &str, value: &Json) -> Result<Vec<String>, Refusal> {
    let texts = texts(key, value)?;
    if texts.len() <= MOST_TEXTS {
        return Ok(texts);
    }
    Err(Refusal::message(format!("'{key}' has more than {MOST_TEXTS} members")))
}

/// "'key' isn't a string", and the like.
pub fn wrong(key: &str, noun: &str) -> Refusal {
    Refusal::message(format!("{} isn't {noun}", quoted(key)))
}

/// The number of a signal that there is.
pub fn signal_number(number: i64) -> Option<i32> {
    i32::try_from(number).ok().filter(|n| signals::exists((*n).into()))
}

/// The seconds, when they are neither negative nor more than any clock counts (about 31 years).
pub fn in_time(key: &str, seconds: f64) -> Result<f64, Refusal> {
    if (0.0..=1e9).contains(&seconds) { Ok(seconds) } else { Err(wrong(key, "a time from 0 to 1e9 seconds")) }
}

/// Text that can be handed to the kernel.
pub fn text(key: &str, value: &Json) -> Result<String, Refusal> {
    match value {
        Json::String(text) if text.contains('\0') => Err(wrong(key, "a string without null bytes")),
        Json::String(text) => Ok(text.clone()),
        _ => Err(wrong(key, "a string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_taken_as_text_too() {
        for value in [json!(3), json!("3"), json!(" +3 ")] {
            assert_eq!(integer("k", &value), Ok(3));
            assert_eq!(pid("k", &value), Ok(3));
            assert_eq!(seconds("k", &value), Ok(3.0));
        }
        for value in [json!("INT"), json!("sigint"), json!(2), json!("2")] {
            assert_eq!(signum("k", &value), Ok(2));
        }
    }

    #[test]
    fn what_does_not_fit_has_a_reason() {
        let reason = |refusal: Refusal| refusal.reason;
        assert_eq!(integer("k", &json!(1.5)).map_err(reason), Err("'k' isn't an integer".into()));
        assert_eq!(integer("k", &json!(true)).map_err(reason), Err("'k' isn't an integer".into()));
        assert_eq!(seconds("k", &json!("2m")), Ok(120.0));
        let why = "'k' has the unknown unit `x`; there are ms, s, m, h, d";
        assert_eq!(seconds("k", &json!("2x")).map_err(reason), Err(why.into()));
        assert_eq!(seconds("k", &json!("x")).map_err(reason), Err("'k' isn't a number".into()));
        assert_eq!(text("k", &json!(1)).map_err(reason), Err("'k' isn't a string".into()));
        assert_eq!(
            text("k", &json!("a\0b")).map_err(reason),
            Err("'k' isn't a string without null bytes".into())
        );
        assert_eq!(flag("k", &json!(1)).map_err(reason), Err("'k' isn't a valid boolean".into()));
        assert_eq!(texts("k", &json!("x")).map_err(reason), Err("'k' isn't a list of strings".into()));
        for value in [json!(0), json!(-1), json!("0"), json!(1u64 << 40)] {
            assert_eq!(pid("k", &value).map_err(reason), Err("'k' isn't the id of a process".into()));
        }
        for value in [json!(-1), json!(1e12)] {
            let wanted = "'k' isn't a time from 0 to 1e9 seconds";
            assert_eq!(seconds("k", &value).map_err(reason), Err(wanted.into()));
        }
        for value in [json!("FOO"), json!(0), json!(65), json!(true), json!([9])] {
            assert_eq!(signum("k", &value).map_err(reason), Err("signal invalid".into()));
        }
    }
}
