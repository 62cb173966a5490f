//! Which watchers a pattern of `start`, `stop` and `restart` means. Case is ignored.

use super::python::quoted;
use crate::arbiter::request::Matching;
use crate::config::ini::shorten;
use crate::config::pattern::Pattern;
use crate::config::regex::Regex;

/// The longest shell pattern, in bytes.
const LONGEST: usize = 1024;

/// A pattern, ready to be compared with names.
pub enum Matcher {
    /// A shell pattern for the whole name.
    Glob(Pattern),
    /// A regular expression for the beginning.
    Regex(Regex),
    /// The name.
    Simple(String),
}

impl Matcher {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The regular expression is none, or the pattern is too long; a sentence.
    pub fn new(pattern: &str, how: Matching) -> Result<Matcher, String> {
        Ok(match how {
            Matching::Glob if pattern.len() > LONGEST => {
                return Err(format!("{}: the pattern is longer than {LONGEST} bytes", quoted(pattern)));
            }
            Matching::Glob => Matcher::Glob(Pattern::new(&pattern.to_lowercase())),
            // Lower-casing the expression, as Circus does, would turn \D into \d.
            Matching::Regex => {
                let any_case = format!("(?i){}", pattern.strip_prefix("(?i)").unwrap_or(pattern));
                Matcher::Regex(Regex::new(&any_case).map_err(|why| format!("{}: {why}", shorten(pattern)))?)
            }
            Matching::Simple => Matcher::Simple(pattern.to_lowercase()),
        })
    }

    /// Whether a watcher's name is meant.
    pub fn matches(&self, name: &str) -> bool {
        let lower = name.to_lowercase();
        match self {
            Matcher::Glob(pattern) => pattern.matches(&lower),
            Matcher::Regex(regex) => {
                regex.is_match_at_start(name) || lower != name && regex.is_match_at_start(&lower)
            }
            Matcher::Simple(simple) => *simple == lower,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_ways_to_match() {
        let hits = |pattern: &str, how, name: &str| Matcher::new(pattern, how).unwrap().matches(name);
        assert!(hits("WEB*", Matching::Glob, "web-1"));
        assert!(!hits("we", Matching::Glob, "web-1"));
        assert!(hits("we[a-c]", Matching::Regex, "Web-1"));
        assert!(hits("WE|x", Matching::Regex, "Web-1") && hits("(?i)WE", Matching::Regex, "web-1"));
        assert!(!hits(r"web-\D", Matching::Regex, "web-1"));
        assert!(hits(r"web-\d$", Matching::Regex, "web-1"));
        assert!(!hits("1", Matching::Regex, "web-1"));
        assert!(hits("Web-1", Matching::Simple, "wEB-1"));
        assert!(!hits("web*", Matching::Simple, "web-1"));
        assert!(Matcher::new("(", Matching::Regex).is_err());
    }

    #[test]
    fn a_pattern_that_is_too_long_is_refused_in_few_words() {
        for how in [Matching::Glob, Matching::Regex] {
            let refused = Matcher::new(&"[ab]".repeat(250_000), how).err().unwrap();
            assert!(refused.len() < 400 && refused.contains("is longer than"), "{refused}");
        }
        assert!(!Matcher::new(&"x".repeat(1 << 20), Matching::Simple).unwrap().matches("x"));
    }
}
