//! Regular expressions in Python's notation, by the crate regex-lite, which takes time in proportion to the text
//! whatever the expression is.
//!
//! `translate` makes up for the differences between the two notations. What Python has beyond regex-lite is an error
//! that names it, never an expression that matches something else. Letters, digits and blanks are those of ASCII.

use std::str::Chars;

/// The longest expression, in bytes: reading one takes 100 bytes of memory for each of its own.
const LONGEST: usize = 4096;
/// How large a compiled expression may be, in bytes. It bounds the time for a byte of text: 10 µs with the worst
/// expressions of this size, 0.2 µs with `(.*)a(.*)b(.*)`.
const LARGEST: usize = 16 * 1024;

/// A compiled expression.
pub struct Regex {
    compiled: regex_lite::Regex,
    /// See [`Regex::weight`].
    weight: usize,
}

impl Regex {
    /// Compiles an expression.
    ///
    /// # Errors
    /// A phrase: what is wrong with it, or not possible here.
    pub fn new(pattern: &str) -> Result<Regex, String> {
        if pattern.len() > LONGEST {
            return Err(format!("the expression is longer than {LONGEST} bytes"));
        }
        let text = translate(pattern)?;
        let build = |weight| {
            let compiled = regex_lite::RegexBuilder::new(&text).size_limit(LARGEST / 16 * weight).build();
            compiled.map(|compiled| Regex { compiled, weight })
        };
        build(1).or_else(|_| build(4)).or_else(|_| build(16)).map_err(|error| match error.to_string() {
            size if size.contains("size limit") => "the expression is too large".into(),
            other => other,
        })
    }

    /// How much work a byte of text is, at most, compared with the smallest kind of expressions: 1, 4 or 16.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Whether the expression matches anywhere (Python's `re.search`).
    pub fn is_match(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }

    /// Whether the expression matches at the very beginning (Python's `re.match`).
    pub fn is_match_at_start(&self, text: &str) -> bool {
        self.compiled.find(text).is_some_and(|found| found.start() == 0)
    }

    /// What the group `(?P<name>...)` takes when the expression matches at the very beginning.
    pub fn group_at_start<'t>(&self, text: &'t str, name: &str) -> Option<&'t str> {
        let captures = self.compiled.captures(text)?;
        captures.get(0).filter(|whole| whole.start() == 0)?;
        Some(captures.name(name)?.as_str())
    }
}

/// What stands before a character.
#[derive(PartialEq, Eq)]
enum Before {
    Item,
    Repetition,
    /// A repetition that takes as little as possible.
    Lazy,
}

/// An expression of Python's as regex-lite writes it.
fn translate(pattern: &str) -> Result<String, String> {
    let mut text = String::with_capacity(pattern.len());
    let mut input = pattern.chars();
    let mut before = Before::Item;
    while let Some(next) = input.next() {
        let repeats = match next {
            '\\' => escape(&mut input, &mut text).map(|()| false)?,
            '[' => set(&mut input, &mut text).map(|()| false)?,
            '(' => group(&mut input, &mut text).map(|()| false)?,
            '{' => brace(&mut input, &mut text),
            _ => {
                text.push(next);
                matches!(next, '*' | '+' | '?')
            }
        };
        before = match (before, next) {
            (_, _) if !repeats => Before::Item,
            (Before::Item, _) => Before::Repetition,
            (Before::Repetition, '?') => Before::Lazy,
            (Before::Repetition, '+') => {
                return Err("a possessive repetition (*+ ++ ?+ {}+) is not possible here".into());
            }
            (Before::Repetition | Before::Lazy, _) => return Err(format!("{next} repeats a repetition")),
        };
    }
    Ok(text)
}

/// Reads what follows a backslash outside of sets.
fn escape(input: &mut Chars<'_>, text: &mut String) -> Result<(), String> {
    match input.next() {
        Some(same @ ('A' | 'b' | 'B')) => text.extend(['\\', same]),
        Some('Z') => text.push_str("\\z"),
        Some(digit @ '1'..='9') => {
            return Err(format!("a reference to a group, \\{digit}, is not possible here"));
        }
        Some(other) => literal(other, text)?,
        None => return Err("it ends with a single \\".into()),
    }
    Ok(())
}

/// Writes what a backslash and `escaped` stand for, outside of sets and within.
fn literal(escaped: char, text: &mut String) -> Result<(), String> {
    match escaped {
        'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'u' | 'U' => {
            text.extend(['\\', escaped]);
        }
        _ if escaped.is_ascii_alphanumeric() => return Err(format!("\\{escaped} is not known")),
        // With a backslash these two are the edges of words there.
        '<' | '>' => text.push(escaped),
        _ if escaped.is_ascii() => text.extend(['\\', escaped]),
        _ => text.push(escaped),
    }
    Ok(())
}

/// Reads a set behind its opening bracket. It ends as in Python; sets within sets there are none.
fn set(input: &mut Chars<'_>, text: &mut String) -> Result<(), String> {
    text.push('[');
    for (begin, written) in [('^', "^"), (']', "\\]")] {
        if input.as_str().starts_with(begin) {
            input.next();
            text.push_str(written);
        }
    }
    loop {
        match input.next() {
            Some(']') => break,
            Some('\\') => match input.next() {
                Some('b') => text.push_str("\\x08"),
                Some(other) => literal(other, text)?,
                None => return Err("a [ is never closed".into()),
            },
            Some(special @ ('[' | '&' | '~')) => text.extend(['\\', special]),
            Some(other) => text.push(other),
            None => return Err("a [ is never closed".into()),
        }
    }
    text.push(']');
    Ok(())
}

/// What Python has behind a parenthesis, and regex-lite has not.
const BEYOND: &[(&str, &str)] = &[
    ("?=", "look-around, (?= (?! (?<= (?<!,"),
    ("?!", "look-around, (?= (?! (?<= (?<!,"),
    ("?<=", "look-around, (?= (?! (?<= (?<!,"),
    ("?<!", "look-around, (?= (?! (?<= (?<!,"),
    ("?P=", "a reference to a group, (?P=,"),
    ("?>", "an atomic group, (?>,"),
    ("?(", "a condition, (?(,"),
];

/// Reads the beginning of a group behind its parenthesis, or a comment as a whole.
fn group(input: &mut Chars<'_>, text: &mut String) -> Result<(), String> {
    let rest = input.as_str();
    if rest.starts_with("?#") {
        return if input.any(|c| c == ')') { Ok(()) } else { Err("a (?# is never closed".into()) };
    }
    let what = BEYOND.iter().find(|(begin, _)| rest.starts_with(begin)).map(|(_, what)| what.to_string());
    let flag =
        rest.strip_prefix('?').filter(|rest| !rest.starts_with("P<")).and_then(|rest| rest.chars().next());
    let flag = flag.filter(|flag| !"imsx-:".contains(*flag)).map(|flag| format!("(?{flag}"));
    if let Some(what) = what.or(flag) {
        return Err(format!("{what} is not possible here"));
    }
    text.push('(');
    Ok(())
}

/// Reads what follows a brace: true if it is a repetition; it is a brace like any other if it does not look like one.
fn brace(input: &mut Chars<'_>, text: &mut String) -> bool {
    let inside = input.as_str().split_once('}').map_or("", |(inside, _)| inside);
    let (low, high) = inside.split_once(',').map_or((inside, None), |(low, high)| (low, Some(high)));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if matches!(inside, "" | ",") || !is_number(low) || !high.is_none_or(is_number) {
        text.push_str("\\{");
        return false;
    }
    input.nth(inside.len());
    let low = if low.is_empty() { "0" } else { low };
    text.push_str(&high.map_or_else(|| format!("{{{low}}}"), |high| format!("{{{low},{high}}}")));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(pattern: &str) -> Regex {
        Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
    }

    #[test]
    fn search_finds_it_anywhere_and_match_at_the_beginning() {
        assert!(regex(r"\d+").is_match("ab 123") && !regex("x").is_match("abc"));
        assert!(regex("web").is_match_at_start("web-1") && !regex("web").is_match_at_start("a web"));
        assert!(regex("web.*|api").is_match_at_start("api"));
    }

    #[test]
    fn groups_are_found_by_name_in_what_matches_at_the_beginning() {
        let regex = regex(r"(?:\[\w+\] )?(?P<pid>\d+);(?P<param>\S*)(?P<more>;(x))?$");
        let group = |text, name| regex.group_at_start(text, name);
        assert_eq!(group("[web] 4711;a=b", "pid"), Some("4711"));
        assert_eq!(group("4711;a=b", "param"), Some("a=b"));
        assert_eq!((group("4711;a=b", "more"), group("4711;a", "other")), (None, None));
        assert_eq!((group("no", "pid"), group("- 4711;a", "pid")), (None, None));
    }

    #[test]
    fn python_expressions_match_what_they_match_in_python() {
        let cases = [
            (r"a.c", "a\nc", false),
            (r"(?s)a.c", "a\nc", true),
            (r"[\s\S]", "\n", true),
            (r"^[^\s]+$", "ab\u{fffd}", true),
            (r"^[^\s]+$", "a b", false),
            (r"^[\w.-]+$", "a_b-c.D9", true),
            (r"^[]^-]+$", "]^-", true),
            (r"^[\]\\\-^]+$", "-]\\^", true),
            (r"^[^]]$", "]", false),
            (r"^[-^]$", "^", true),
            (r"^[\^]$", "^", true),
            (r"^[\^]$", "a", false),
            (r"^[[.]$", "[", true),
            (r"^[[:a]$", ":", true),
            (r"^[a&&b~~]+$", "a&~b", true),
            (r"^[\b]$", "\x08", true),
            (r"^[a\-z]$", "m", false),
            (r"^[é]$", "é", true),
            (r"^\D\W\S$", "a b", true),
            (r"^\x41\t\.\/\<\>\é$", "A\t./<>é", true),
            (r"^{a}{2}$", "{a}}", true),
            (r"^a{,2}$", "aa", true),
            (r"^a{,2}$", "aaa", false),
            (r"^a{2$", "a{2", true),
            (r"^\b{start}$", "{start}", false),
            (r"^é+$", "éé", true),
            (r"(?i)^web$", "WEB", true),
            (r"^(?i:web)-(?#the number)1$", "WEB-1", true),
            (r"\bcat\b", "a cat.", true),
            (r"\bcat\b", "concat", false),
            (r"\Aab\Z", "ab", true),
            (r"\Aab\Z", "ab\n", false),
            (r"a|b|", "", true),
            (r"^(a*)*?b$", "aab", true),
            (r"b$", "a\0b", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(regex(pattern).is_match(text), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_not_possible_is_an_error_that_names_it() {
        for (pattern, expected) in [
            ("(?=a)", "look-around, (?= (?! (?<= (?<!, is not possible here"),
            ("(?<!a)", "look-around, (?= (?! (?<= (?<!, is not possible here"),
            (r"(a)\1", r"a reference to a group, \1, is not possible here"),
            ("(?P<a>x)(?P=a)", "a reference to a group, (?P=, is not possible here"),
            ("(?>a)", "an atomic group, (?>, is not possible here"),
            ("(a)?(?(1)b)", "a condition, (?(, is not possible here"),
            ("(?L)a", "(?L is not possible here"),
            ("(?U)a", "(?U is not possible here"),
            ("a*+", "a possessive repetition (*+ ++ ?+ {}+) is not possible here"),
            ("a{2}+", "a possessive repetition (*+ ++ ?+ {}+) is not possible here"),
            ("a**", "* repeats a repetition"),
            ("a{2}{3}", "{ repeats a repetition"),
            (r"\p", r"\p is not known"),
            (r"[\Z]", r"\Z is not known"),
            ("a\\", "it ends with a single \\"),
            ("[a", "a [ is never closed"),
            ("[]", "a [ is never closed"),
            ("(?#", "a (?# is never closed"),
        ] {
            assert_eq!(Regex::new(pattern).err().as_deref(), Some(expected), "{pattern}");
        }
        for pattern in ["*a", "(|+)", "(", "(a", "a)", "(?", "[z-a]", "(?P<a>x)(?P<a>y)", "(?P<>x)", "a{3,1}"]
        {
            assert!(Regex::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn what_would_fill_the_memory_or_take_long_is_refused() {
        for pattern in
            ["(((a{250}){250}){250})", "a{99999}", "a{99999999999999999999}", "((((a{9}){9}){9}){9}){9}"]
        {
            assert!(Regex::new(pattern).is_err(), "{pattern}");
        }
        for pattern in ["(?:".repeat(1000), "a|".repeat(2000), "x".repeat(LONGEST + 1), "[a-z]".repeat(800)] {
            assert!(Regex::new(&pattern).is_err(), "{}...", &pattern[..9]);
        }
        assert!(
            Regex::new(&["web-worker-1"; 20].join("|")).is_ok(),
            "a list of names is no large expression"
        );
    }
}
