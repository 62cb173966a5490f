//! Shell patterns for names: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`, with the whole name matched and case kept.
//!
//! As in Python's `fnmatch`, `*` and `?` match every character, and a `[` that is never closed stands for itself. The
//! time is at most the length of the pattern times the length of the name.

/// A pattern that has been read.
pub struct Pattern(Kind);

enum Kind {
    /// A mere name, which is compared as a whole.
    Name(String),
    Tokens(Vec<Token>),
}

enum Token {
    Star,
    Any,
    One(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

/// Whether `text` is a pattern and not only a name.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

impl Pattern {
    /// Reads a pattern. Every text is one.
    pub fn new(text: &str) -> Pattern {
        Pattern(if is_pattern(text) { Kind::Tokens(tokens(text)) } else { Kind::Name(text.into()) })
    }

    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        match &self.0 {
            Kind::Name(own) => own == name,
            Kind::Tokens(tokens) => all_match(tokens, name),
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    // Behind the last closing bracket no set needs to be looked for, which would take quadratic time.
    let unclosed = text.rfind(']').map_or(text.len(), |last| text.len() - last);
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let (token, after) = match c {
            '*' => (Token::Star, after),
            '?' => (Token::Any, after),
            '[' if after.len() >= unclosed => set(after).unwrap_or((Token::One('['), after)),
            _ => (Token::One(c), after),
        };
        if !matches!((&token, tokens.last()), (Token::Star, Some(Token::Star))) {
            tokens.push(token);
        }
        rest = after;
    }
    tokens
}

/// Whether the whole of `name` matches.
fn all_match(mut tokens: &[Token], name: &str) -> bool {
    let mut chars = name.chars();
    // Only the last star needs another try: what an earlier one could take, the last one can take too.
    let mut retry: Option<(&[Token], std::str::Chars<'_>)> = None;
    loop {
        let ahead = chars.clone();
        match (tokens.split_first(), chars.next()) {
            (None, None) => return true,
            (Some((Token::Star, rest)), _) => {
                (tokens, chars) = (rest, ahead.clone());
                retry = Some((rest, ahead));
            }
            (Some((token, rest)), Some(c)) if token.takes(c) => tokens = rest,
            _ => {
                let Some((rest, from)) = retry.as_mut() else { return false };
                if from.next().is_none() {
                    return false;
                }
                (tokens, chars) = (*rest, from.clone());
            }
        }
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Token::Star | Token::Any => true,
            Token::One(own) => *own == c,
            Token::Set { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// The set whose text begins `text`, without its `[`, and what follows; `None` when it is never closed.
fn set(text: &str) -> Option<(Token, &str)> {
    let (negated, body) = text.strip_prefix('!').map_or((false, text), |body| (true, body));
    // A bracket right at the beginning is a member of the set.
    let end = body.char_indices().find(|(n, c)| *n > 0 && *c == ']')?.0;
    let (members, rest) = body.split_at_checked(end)?;
    Some((Token::Set { negated, ranges: ranges(members) }, rest.strip_prefix(']')?))
}

fn ranges(members: &str) -> Vec<(char, char)> {
    let mut ranges = Vec::new();
    let mut chars = members.chars();
    while let Some(low) = chars.next() {
        let mut ahead = chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) => {
                ranges.push((low, high));
                chars = ahead;
            }
            _ => ranges.push((low, low)),
        }
    }
    ranges
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
