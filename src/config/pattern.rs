//! Shell patterns for names: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`, with the whole name matched and case kept.
//!
//! As in Python's `fnmatch`, `*` and `?` match every character, and a `[` that is never closed stands for itself. The
//! time is at most the length of the pattern times the length of the name.

/// Whether `text` is a pattern and not only a name.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// A pattern that has been read.
pub struct Pattern {
    text: String,
    /// It is not only a name.
    is_pattern: bool,
    /// How many bytes there are from its last closing bracket on.
    unclosed: usize,
}

impl Pattern {
    /// Reads a pattern. Every text is one.
    pub fn new(text: &str) -> Pattern {
        let mut own = String::with_capacity(text.len());
        // More stars than two say no more, even in a set. Each of them takes time for each name.
        for c in text.chars() {
            if c != '*' || !own.ends_with("**") {
                own.push(c);
            }
        }
        let unclosed = own.rfind(']').map_or(own.len(), |last| own.len() - last);
        Pattern { is_pattern: is_pattern(&own), unclosed, text: own }
    }

    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        if !self.is_pattern {
            return self.text == name;
        }
        let (mut rest, mut chars) = (self.text.as_str(), name.chars());
        // Only the last star needs another try: what an earlier one could take, the last one can take too.
        let mut retry: Option<(&str, std::str::Chars<'_>)> = None;
        loop {
            if let Some(behind) = rest.strip_prefix('*') {
                (rest, retry) = (behind, Some((behind, chars.clone())));
                continue;
            }
            let next = chars.next();
            if next.is_none() && rest.is_empty() {
                return true;
            }
            if let Some(behind) = next.and_then(|c| self.behind(rest, c)) {
                rest = behind;
                continue;
            }
            let Some((again, from)) = retry.as_mut() else { return false };
            if from.next().is_none() {
                return false;
            }
            (rest, chars) = (*again, from.clone());
        }
    }

    /// What is left of a pattern whose first part, which is no star, takes this character.
    fn behind<'p>(&self, pattern: &'p str, c: char) -> Option<&'p str> {
        let first = pattern.chars().next()?;
        let after = pattern.get(first.len_utf8()..)?;
        // Behind the last closing bracket no set needs to be looked for, which would take quadratic time.
        let set = Some(after).filter(|after| first == '[' && after.len() >= self.unclosed).and_then(set);
        match set {
            Some((negated, members, after)) => (has(members, c) != negated).then_some(after),
            None => (first == '?' || first == c).then_some(after),
        }
    }
}

/// The set whose text begins `text`, without its `[`: whether it is negated, its members, and what follows. `None` when
/// it is never closed.
fn set(text: &str) -> Option<(bool, &str, &str)> {
    let (negated, body) = text.strip_prefix('!').map_or((false, text), |body| (true, body));
    // A bracket right at the beginning is a member of the set.
    let end = body.char_indices().find(|(n, c)| *n > 0 && *c == ']')?.0;
    let (members, rest) = body.split_at_checked(end)?;
    Some((negated, members, rest.strip_prefix(']')?))
}

fn has(members: &str, c: char) -> bool {
    let mut chars = members.chars();
    while let Some(low) = chars.next() {
        let mut ahead = chars.clone();
        let high = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) => {
                chars = ahead;
                high
            }
            _ => low,
        };
        if (low..=high).contains(&c) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_fnmatch_does() {
        let yes = [
            ("", ""),
            ("*", ""),
            ("wat*", "watcher"),
            ("*a*b", "xaayb"),
            ("w?", "w1"),
            ("[abc]x", "bx"),
            ("[a-c-e]", "-"),
            ("[a-c-e]", "e"),
            ("[!a]", "b"),
            ("[]]", "]"),
            ("[!]]", "x"),
            ("[a-]", "-"),
            ("[x", "[x"),
            ("a[", "a["),
            ("*.ini", ".ini"),
            ("**/x", "a/b/x"),
            ("h\u{e9}*", "h\u{e9}llo"),
            ("[*-***-z]", "m"),
            ("***", "abc"),
        ];
        let no = [
            ("", "a"),
            ("w?", "w"),
            ("[!a]", "a"),
            ("[z-a]", "m"),
            ("W", "w"),
            ("[a-c-e]", "d"),
            ("*a", "ab"),
        ];
        for (pattern, name) in yes {
            assert!(Pattern::new(pattern).matches(name), "{pattern} {name}");
        }
        for (pattern, name) in no {
            assert!(!Pattern::new(pattern).matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_do_not_multiply() {
        let pattern = Pattern::new(&"*a".repeat(2000));
        assert!(!pattern.matches(&("a".repeat(1999) + "b")));
        assert!(pattern.matches(&"a".repeat(2000)));
        assert!(!Pattern::new(&"[".repeat(1_000_000)).matches("["));
    }
}
