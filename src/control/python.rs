//! Values as Python prints them: Circus's reasons and its plain output are made of `%r` and `str()`.

use crate::config::text;
use serde_json::Value as Json;
use std::borrow::Cow;

/// The most characters of a client's text that a reason repeats.
const SHOWN: usize = 200;

/// Text from a client inside a reason: as [`repr`], cut when it is very long.
pub fn quoted(text: &str) -> String {
    repr(&cut(text))
}

/// Text from a client inside a reason that has no quotes there, cut when it is very long.
pub fn cut(text: &str) -> Cow<'_, str> {
    text::cut(text, SHOWN)
}

/// Python's `repr()` of a string.
pub fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Python's `str()` of a value that came as JSON.
pub fn str(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => json_repr(other),
    }
}

/// Python's `repr()` of a value that came as JSON.
pub fn json_repr(value: &Json) -> String {
    match value {
        Json::Null => "None".into(),
        Json::Bool(true) => "True".into(),
        Json::Bool(false) => "False".into(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => repr(text),
        Json::Array(items) => format!("[{}]", join(items.iter().map(json_repr))),
        Json::Object(map) => format!("{{{}}}", join(map.iter().map(|(k, v)| repr(k) + ": " + &json_repr(v)))),
    }
}

fn join(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strings_are_quoted_as_python_does() {
        for (text, expected) in [
            ("plain", "'plain'"),
            ("it's", "\"it's\""),
            ("a'b\"c", "'a\\'b\"c'"),
            ("a\\b\n\x01\u{7f}", "'a\\\\b\\n\\x01\\x7f'"),
            ("h\u{e9}", "'h\u{e9}'"),
        ] {
            assert_eq!(repr(text), expected);
        }
        assert_eq!(quoted(&"x".repeat(500)).len(), SHOWN + 5);
    }

    #[test]
    fn values_are_printed_as_python_does() {
        assert_eq!(str(&json!({"filename": "/x", "max_bytes": 1})), "{'filename': '/x', 'max_bytes': 1}");
        assert_eq!(str(&json!([true, null, 1.0, "a"])), "[True, None, 1.0, 'a']");
        assert_eq!(str(&json!("text")), "text");
    }
}
