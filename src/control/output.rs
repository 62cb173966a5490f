//! What `status` says of watchers that fail, for a person.

use super::plain::plain;
use super::{at, items, lines, members, word};
use serde_json::Value as Json;

/// Whether the answer to a check says that all is well; true for other answers.
pub fn is_healthy(reply: &Json) -> bool {
    at(reply, "healthy") != false
}

/// Whether an answer says that something would change.
pub fn would_change(reply: &Json) -> bool {
    items(at(reply, "plan")).any(|planned| word(planned, "step") != "keep")
}

/// A line for each watcher that fails, or `ok`; `None` if the answer is not that to a check.
pub fn render_check(reply: &Json) -> Option<String> {
    let failing = members(reply.get("failing")?);
    let text =
        lines(failing.map(|(name, why)| format!("{name}: {}", plain(why.as_str().unwrap_or_default()))));
    Some(if text.is_empty() { "ok".into() } else { text })
}

/// Of one watcher the text below the state; empty when all is well.
pub fn failure(reply: &Json) -> String {
    let fallback =
        at(reply, "fallback").as_str().map(|text| format!("\n{}", plain(text))).unwrap_or_default();
    let Some(reason) = at(reply, "reason").as_str() else { return fallback };
    format!("\n{}{}{fallback}", plain(reason), last_lines(reply))
}

/// The last lines of output in an answer, each behind a line break.
pub fn last_lines(reply: &Json) -> String {
    items(at(reply, "last_output")).map(|line| format!("\n    {}", plain(word(line, "text")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_check_names_what_fails() {
        assert!(is_healthy(&Json::Null));
        let answer = json!({"healthy": false, "failing": {"web": "stopped: no\u{1b}[31m such file"}});
        assert!(!is_healthy(&answer));
        assert_eq!(render_check(&answer).as_deref(), Some("web: stopped: no such file"));
        let answer = json!({"healthy": true, "failing": {}});
        assert_eq!((is_healthy(&answer), render_check(&answer).as_deref()), (true, Some("ok")));
    }
}
