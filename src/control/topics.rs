//! Topics of events: `watcher.<name>.<event>`, and who wants them.

/// The name of a watcher as topics have it: lower-case, blanks as `_`.
pub fn resource(watcher: &str) -> String {
    watcher.to_lowercase().replace(' ', "_")
}

/// The topic of an event of a watcher.
pub fn topic(watcher: &str, event: &str) -> String {
    format!("watcher.{}.{event}", resource(watcher))
}

/// Whether somebody who listens to `prefixes` wants `topic`. No prefix at all, or an empty one, is all.
pub fn wanted(prefixes: &[String], topic: &str) -> bool {
    prefixes.is_empty() || prefixes.iter().any(|prefix| topic.starts_with(prefix.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_lower_case_without_blanks() {
        assert_eq!(topic("My Web", "spawn"), "watcher.my_web.spawn");
        assert_eq!(topic("plugin:X", "kill"), "watcher.plugin:x.kill");
    }

    #[test]
    fn prefixes_choose() {
        let wants = |prefixes: &[&str], topic: &str| {
            wanted(&prefixes.iter().map(|p| p.to_string()).collect::<Vec<_>>(), topic)
        };
        assert!(wants(&[], "watcher.a.spawn"));
        assert!(wants(&[""], "watcher.a.spawn"));
        assert!(wants(&["x", "watcher.a"], "watcher.a.spawn"));
        assert!(!wants(&["watcher.b", "spawn"], "watcher.a.spawn"));
    }
}
