//! The properties of a request, read by type, with Circus's reasons when they do not fit.
//!
//! Numbers are also taken as text, since Circus's own client sends some of them so; `null` is as good as missing.

use super::Map;
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
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        Reply::Error { errno: refusal.errno, reason: refusal.reason }
    }
}

/// Reads properties.
pub struct Props<'a>(pub &'a Map);

impl<'a> Props<'a> {
    /// The property, unless it is missing or null.
    pub fn get(&self, key: &str) -> Option<&'a Json> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// The property, which must be there.
    pub fn required(&self, key: &str) -> Result<&'a Json, Refusal> {
        self.get(key).ok_or_else(|| Refusal::message(format!("message invalid '{key}' is missing")))
    }

    /// Text.
    pub fn text(&self, key: &str) -> Result<Option<String>, Refusal> {
        self.get(key).map(|value| text(key, value)).transpose()
    }

    /// Text, which must be there.
    pub fn required_text(&self, key: &str) -> Result<String, Refusal> {
        text(key, self.required(key)?)
    }

    /// The name of a watcher, which must be there.
    pub fn name(&self) -> Result<String, Refusal> {
        self.required_text("name")
    }

    /// True or false; `default` when it is missing.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, Refusal> {
        match self.get(key) {
            None => Ok(default),
            Some(Json::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong(key, "a valid boolean")),
        }
    }

    /// Whether the client waits for the end of the work.
    pub fn waiting(&self) -> Result<bool, Refusal> {
        self.flag("waiting", false)
    }

    /// A whole number.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = match value {
            Json::String(text) => match Kind::Int.parse(text) {
                Ok(Value::Int(number)) => Some(number),
                _ => None,
            },
            other => other.as_i64(),
        };
        number.map(Some).ok_or_else(|| wrong(key, "an integer"))
    }

    /// A number of seconds that a clock can take.
    pub fn seconds(&self, key: &str) -> Result<Option<f64>, Refusal> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = match value {
            Json::String(text) => match Kind::Float.parse(text) {
                Ok(Value::Float(number)) => Some(number),
                _ => None,
            },
            other => other.as_f64(),
        };
        let number = number.ok_or_else(|| wrong(key, "a number"))?;
        in_time(key, number).map(Some)
    }

    /// The id of one process: never 0 or less, which would be groups of processes to the kernel.
    pub fn pid(&self, key: &str) -> Result<Option<Pid>, Refusal> {
        let Some(number) = self.integer(key)? else { return Ok(None) };
        let pid = Pid::try_from(number).ok().filter(|pid| *pid > 0);
        pid.map(Some).ok_or_else(|| wrong(key, "the id of a process"))
    }

    /// A signal, by number or by name.
    pub fn signal(&self, key: &str) -> Result<Option<i32>, Refusal> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = match value {
            Json::String(text) => signals::parse(text),
            other => other.as_i64().and_then(signal_number),
        };
        number.map(Some).ok_or_else(|| Refusal::message("signal invalid"))
    }

    /// A list of texts; none when it is missing.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, Refusal> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Json::Array(items)) => items.iter().map(|item| text(key, item)).collect(),
            Some(_) => Err(wrong(key, "a list of strings")),
        }
    }
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

    fn with<T>(value: Json, read: impl Fn(&Props) -> Result<T, Refusal>) -> Result<T, String> {
        let map = Map::from_iter([("k".to_string(), value)]);
        read(&Props(&map)).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn numbers_are_taken_as_text_too() {
        for value in [json!(3), json!("3"), json!(" +3 ")] {
            assert_eq!(with(value.clone(), |p| p.integer("k")), Ok(Some(3)));
            assert_eq!(with(value.clone(), |p| p.pid("k")), Ok(Some(3)));
            assert_eq!(with(value, |p| p.seconds("k")), Ok(Some(3.0)));
        }
        for value in [json!("INT"), json!("sigint"), json!(2), json!("2")] {
            assert_eq!(with(value, |p| p.signal("k")), Ok(Some(2)));
        }
    }

    #[test]
    fn null_is_missing() {
        assert_eq!(with(json!(null), |p| p.pid("k")), Ok(None));
        assert_eq!(with(json!(null), |p| p.flag("k", true)), Ok(true));
        assert_eq!(with(json!(null), |p| p.required_text("k")), Err("message invalid 'k' is missing".into()));
    }

    #[test]
    fn what_does_not_fit_has_a_reason() {
        let reason = |result: Result<Option<i64>, String>| result.unwrap_err();
        assert_eq!(reason(with(json!(1.5), |p| p.integer("k"))), "'k' isn't an integer");
        assert_eq!(reason(with(json!(true), |p| p.integer("k"))), "'k' isn't an integer");
        assert_eq!(with(json!("x"), |p| p.seconds("k")), Err("'k' isn't a number".into()));
        assert_eq!(with(json!(1), |p| p.text("k")), Err("'k' isn't a string".into()));
        assert_eq!(with(json!("a\0b"), |p| p.text("k")), Err("'k' isn't a string without null bytes".into()));
        assert_eq!(with(json!(1), |p| p.flag("k", false)), Err("'k' isn't a valid boolean".into()));
        assert_eq!(with(json!("x"), |p| p.texts("k")), Err("'k' isn't a list of strings".into()));
        for value in [json!(0), json!(-1), json!("0"), json!(1u64 << 40)] {
            assert_eq!(with(value, |p| p.pid("k")), Err("'k' isn't the id of a process".into()));
        }
        for value in [json!(-1), json!(1e12)] {
            assert_eq!(with(value, |p| p.seconds("k")), Err("'k' isn't a time from 0 to 1e9 seconds".into()));
        }
        for value in [json!("FOO"), json!(0), json!(65), json!(true), json!([9])] {
            assert_eq!(with(value, |p| p.signal("k")), Err("signal invalid".into()));
        }
    }
}
