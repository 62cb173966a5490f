//! From Python's notation for regular expressions to POSIX's extended one. Pure text.
//!
//! What POSIX cannot express is an error that names it, never a pattern that matches something else.

use std::iter::Peekable;
use std::mem;
use std::str::Chars;

use super::set::{Set, literal_escape};

/// How large an expression may get with its repetitions written out. The C library does write them out, and
/// `((a{250}){250}){250}` would fill the memory. What counts as how much was tried out with glibc and random
/// expressions: the worst of 200,000 that passed took 50 MB, and 0.14 s for a line of 1,000 bytes.
const SIZE_LIMIT: usize = 1_000;

/// What `^` and `$` count as: glibc copies all that they lead to, once for each.
const ANCHOR_SIZE: usize = 20;

/// What `\b` and `\B` count as: each one may double what glibc copies.
const BOUNDARY_SIZE: usize = 120;

/// How deep groups may stand in each other: the C library looks into them by recursion.
const DEPTH_LIMIT: usize = 100;

/// What marks a literal character in POSIX's notation.
const SPECIAL: &str = r".^$*+?()[]{}|\";

/// An expression for regcomp, and what its groups were called.
#[derive(Debug)]
pub(super) struct Translation {
    pub(super) text: String,
    pub(super) groups: Vec<Group>,
    /// How many groups `text` has.
    pub(super) slots: usize,
    pub(super) ignore_case: bool,
}

/// A group that captures.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: Option<String>,
    /// Its number in the translated expression, which has more groups than the original.
    pub(super) slot: usize,
}

/// What is still to be read of a pattern.
pub(super) type Input<'p> = Peekable<Chars<'p>>;

pub(super) fn translate(pattern: &str) -> Result<Translation, String> {
    let (ignore_case, pattern) = match pattern.strip_prefix("(?i)") {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut translator = Translator::default();
    let mut input = pattern.chars().peekable();
    while let Some(next) = input.next() {
        translator.step(next, &mut input)?;
    }
    let Translator { text, groups, slots, open, .. } = translator;
    if !open.is_empty() {
        return Err(String::from("a ( is never closed"));
    }
    Ok(Translation { text, groups, slots, ignore_case })
}

/// What has just been written, for the repetition that may follow.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    /// Nothing that can be repeated.
    #[default]
    Nothing,
    /// Something of this size, which may match nothing at all or not.
    Item { size: usize, may_be_empty: bool },
    /// A repetition.
    Repetition,
}

/// What is known of a group so far.
#[derive(Clone, Copy)]
struct Inside {
    /// Its size, repetitions written out.
    size: usize,
    /// Whether one of its alternatives may match nothing at all.
    may_be_empty: bool,
    /// The same of the alternative being read.
    this_may_be_empty: bool,
    /// The same without the last item.
    rest_may_be_empty: bool,
}

impl Default for Inside {
    fn default() -> Self {
        Inside { size: 0, may_be_empty: false, this_may_be_empty: true, rest_may_be_empty: true }
    }
}

#[derive(Default)]
struct Translator {
    text: String,
    groups: Vec<Group>,
    slots: usize,
    last: Last,
    /// The innermost open group, or the whole.
    inside: Inside,
    /// Those around it.
    open: Vec<Inside>,
}

impl Translator {
    fn step(&mut self, next: char, input: &mut Input<'_>) -> Result<(), String> {
        match next {
            '\\' => return self.escape(input),
            '[' => return self.set(input),
            '(' => return self.open_group(input),
            ')' => return self.close_group(),
            '*' => return self.repeat("*", 0, 2, input),
            '+' => return self.repeat("+", 1, 2, input),
            '?' => return self.repeat("?", 0, 1, input),
            '{' => return self.brace(input),
            // Python's does not match a line's end.
            '.' => self.item("[^\n]"),
            '|' => self.alternative(),
            '^' => self.mark("^", ANCHOR_SIZE),
            '$' => self.mark("$", ANCHOR_SIZE),
            _ => self.literal(next, input),
        }
        self.check_size()
    }

    fn item(&mut self, text: &str) {
        self.text.push_str(text);
        self.add(1, false);
    }

    fn add(&mut self, size: usize, may_be_empty: bool) {
        let inside = &mut self.inside;
        inside.size = inside.size.saturating_add(size);
        inside.rest_may_be_empty = inside.this_may_be_empty;
        inside.this_may_be_empty &= may_be_empty;
        self.last = Last::Item { size, may_be_empty };
    }

    /// Writes what matches a place, and cannot be repeated.
    fn mark(&mut self, text: &str, size: usize) {
        self.text.push_str(text);
        self.add(size, true);
        self.last = Last::Nothing;
    }

    fn alternative(&mut self) {
        self.mark("|", 1);
        self.inside.may_be_empty |= self.inside.this_may_be_empty;
        self.inside.this_may_be_empty = true;
    }

    fn check_size(&self) -> Result<(), String> {
        if self.inside.size > SIZE_LIMIT { Err(String::from("the expression is too large")) } else { Ok(()) }
    }

    fn literal(&mut self, literal: char, input: &mut Input<'_>) {
        let repeated = matches!(input.peek(), Some('*' | '+' | '?' | '{'));
        if !literal.is_ascii() && repeated {
            // The C library counts bytes here: held together, so that all of them are repeated.
            self.slots = self.slots.saturating_add(1);
            return self.item(&format!("({literal})"));
        }
        if SPECIAL.contains(literal) {
            self.text.push('\\');
        }
        self.text.push(literal);
        self.add(1, false);
    }

    fn escape(&mut self, input: &mut Input<'_>) -> Result<(), String> {
        let Some(escaped) = input.next() else { return Err(String::from("it ends with a single \\")) };
        match escaped {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => {
                let set = Set::class(escaped).unwrap_or_default();
                self.item(&set.to_text()?);
            }
            'A' => self.mark("^", ANCHOR_SIZE),
            'Z' => self.mark("$", ANCHOR_SIZE),
            'b' => self.mark(r"\b", BOUNDARY_SIZE),
            'B' => self.mark(r"\B", BOUNDARY_SIZE),
            _ => {
                let literal = literal_escape(escaped, input)?;
                self.literal(literal, input);
            }
        }
        self.check_size()
    }

    fn set(&mut self, input: &mut Input<'_>) -> Result<(), String> {
        let text = Set::parse(input)?.to_text()?;
        self.item(&text);
        self.check_size()
    }

    fn open_group(&mut self, input: &mut Input<'_>) -> Result<(), String> {
        if self.open.len() >= DEPTH_LIMIT {
            return Err(format!("groups stand more than {DEPTH_LIMIT} deep in each other"));
        }
        self.slots = self.slots.saturating_add(1);
        let slot = self.slots;
        if input.next_if_eq(&'?').is_none() {
            self.groups.push(Group { name: None, slot });
        } else if let Some(name) = group_name(input)? {
            if self.groups.iter().any(|group| group.name.as_ref() == Some(&name)) {
                return Err(format!("two groups are named {name}"));
            }
            self.groups.push(Group { name: Some(name), slot });
        }
        self.text.push('(');
        self.open.push(mem::take(&mut self.inside));
        self.last = Last::Nothing;
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), String> {
        let Some(around) = self.open.pop() else { return Err(String::from("a ) closes nothing")) };
        let Inside { size, may_be_empty, this_may_be_empty, .. } = mem::replace(&mut self.inside, around);
        self.text.push(')');
        self.add(size.saturating_add(1), may_be_empty || this_may_be_empty);
        self.check_size()
    }

    /// A brace is a repetition if it looks like one, and a brace otherwise.
    fn brace(&mut self, input: &mut Input<'_>) -> Result<(), String> {
        let mut ahead = input.clone();
        let Some((low, high)) = repetition(&mut ahead) else {
            self.literal('{', input);
            return self.check_size();
        };
        *input = ahead;
        let low = if low.is_empty() { "0" } else { &low };
        let most = match high.as_deref() {
            None | Some("") => low,
            Some(high) => high,
        };
        let text = high.as_ref().map_or_else(|| format!("{{{low}}}"), |high| format!("{{{low},{high}}}"));
        let number = |digits: &str| digits.parse().unwrap_or(usize::MAX);
        self.repeat(&text, number(low), number(most), input)
    }

    /// Adds a repetition of the last item, `least` to `most` times; one without end counts as two.
    fn repeat(&mut self, text: &str, least: usize, most: usize, input: &mut Input<'_>) -> Result<(), String> {
        let size = match self.last {
            // The C library takes for ever over some of these.
            Last::Item { may_be_empty: true, .. } if most > 1 => {
                return Err(format!("{text} repeats something that may be empty"));
            }
            Last::Item { size, .. } => size,
            Last::Nothing => return Err(format!("{text} repeats nothing")),
            Last::Repetition => return Err(format!("{text} repeats a repetition")),
        };
        if input.peek() == Some(&'?') {
            return Err(format!("{text}? (as little as possible) is not possible here"));
        }
        self.text.push_str(text);
        let inside = &mut self.inside;
        // Once it is counted already.
        inside.size = inside.size.saturating_add(size.saturating_mul(most.saturating_sub(1)));
        if least == 0 {
            inside.this_may_be_empty = inside.rest_may_be_empty;
        }
        self.last = Last::Repetition;
        self.check_size()
    }
}

/// The numbers within `{2}`, `{2,}`, `{,5}` or `{2,5}`, read behind the opening brace: the second is None where
/// there is no comma.
fn repetition(input: &mut Input<'_>) -> Option<(String, Option<String>)> {
    let low = digits(input);
    let high = input.next_if_eq(&',').map(|_| digits(input));
    let given = !low.is_empty() || high.as_ref().is_some_and(|high| !high.is_empty());
    (input.next() == Some('}') && given).then_some((low, high))
}

fn digits(input: &mut Input<'_>) -> String {
    std::iter::from_fn(|| input.next_if(char::is_ascii_digit)).collect()
}

/// What follows `(?`: the name of a group that has one, nothing for one that does not capture.
fn group_name(input: &mut Input<'_>) -> Result<Option<String>, String> {
    match input.next() {
        Some(':') => return Ok(None),
        Some('P') if input.next_if_eq(&'<').is_some() => {}
        Some('=' | '!' | '<') => return Err(String::from("look-around, (?= (?! (?<, is not possible here")),
        other => {
            let mark = other.map(String::from).unwrap_or_default();
            return Err(format!("(?{mark} is not possible here"));
        }
    }
    let name: String = input.by_ref().take_while(|&next| next != '>').collect();
    let is_name =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii());
    if is_name { Ok(Some(name)) } else { Err(String::from("(?P< needs a name and a > behind it")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pattern: &str) -> String {
        translate(pattern).unwrap().text
    }

    #[test]
    fn what_both_notations_share_stays_as_it_is() {
        for same in ["abc", "^(a|b)+$", "a{2}b{2,}c{2,5}", r"\.\*", ""] {
            assert_eq!(text(same), same);
        }
    }

    #[test]
    fn classes_become_sets() {
        assert_eq!(text(r"\d"), "[0123456789]");
        assert_eq!(text(r"\D"), "[^0123456789]");
        assert_eq!(text(r"\s"), "[\t\n\x0b\x0c\r ]");
        assert_eq!(text(r"[^\d]"), "[^0123456789]");
        assert_eq!(text("."), "[^\n]");
    }

    #[test]
    fn characters_that_mean_something_in_a_set_find_their_harmless_places() {
        assert_eq!(text(r"[\^a]"), "[a^]");
        assert_eq!(text(r"[a\]b]"), "[]ab]");
        assert_eq!(text(r"[a-c-]"), "[abc-]");
        assert_eq!(text(r"[\^\-]"), "[-^]");
        assert_eq!(text(r"[\^]"), r"\^");
        assert_eq!(text(r"[^^]"), "[^^]");
    }

    #[test]
    fn groups_keep_their_names_and_their_numbers() {
        let groups = translate(r"(?:x)(?P<pid>\d+)(y)é*(?P<last>z)").unwrap().groups;
        let named = |name: &str, slot| Group { name: Some(name.to_owned()), slot };
        assert_eq!(groups, [named("pid", 2), Group { name: None, slot: 3 }, named("last", 5)]);
    }

    #[test]
    fn what_is_not_possible_is_an_error_that_names_it() {
        let cases = [
            ("a*?", "*? (as little as possible) is not possible here"),
            ("a{2,3}?", "{2,3}? (as little as possible) is not possible here"),
            ("(?=a)", "look-around, (?= (?! (?<, is not possible here"),
            ("(?<=a)", "look-around, (?= (?! (?<, is not possible here"),
            ("(?s)a", "(?s is not possible here"),
            ("(?", "(? is not possible here"),
            (r"(a)\1", r"a reference to a group, \1, is not possible here"),
            (r"\p", r"\p is not known"),
            (r"\xff", r"\xff is not one of \x01 to \x7f"),
            ("a\\", "it ends with a single \\"),
            ("*a", "* repeats nothing"),
            ("(|+)", "+ repeats nothing"),
            ("(a*)*", "* repeats something that may be empty"),
            ("(a|^b?c?){3}", "{3} repeats something that may be empty"),
            ("a**", "* repeats a repetition"),
            ("a++", "+ repeats a repetition"),
            ("(a", "a ( is never closed"),
            ("a)", "a ) closes nothing"),
            ("[a", "a [ is never closed"),
            ("[]", "a [ is never closed"),
            (r"[^\s\S]", "a set is empty"),
            ("[z-a]", "the range z-a is empty"),
            ("[é]", "é in a set: only ASCII characters are possible there"),
            ("(?P<a>x)(?P<a>y)", "two groups are named a"),
            (&"(".repeat(101), "groups stand more than 100 deep in each other"),
            ("(?P<>x)", "(?P< needs a name and a > behind it"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(translate(pattern).unwrap_err(), expected, "{pattern}");
        }
    }

    #[test]
    fn repetitions_that_would_fill_the_memory_are_refused() {
        for pattern in
            ["(((a{250}){250}){250})", "a{99999}", "a{99999999999999999999}", "((((a{9}){9}){9}){9}){9}"]
        {
            assert_eq!(translate(pattern).unwrap_err(), "the expression is too large", "{pattern}");
        }
        assert_eq!(text(r"(a{3}\.){3}"), r"(a{3}\.){3}");
    }

    #[test]
    fn what_cannot_be_empty_may_be_repeated() {
        for same in ["(a*b)*", "(a|b+)*", "(^a|b$)+", "(a*)?b{3}", "(a?)b"] {
            assert_eq!(text(same), same);
        }
    }

    #[test]
    fn braces_that_repeat_nothing_are_braces() {
        assert_eq!(text("{a}"), r"\{a\}");
        assert_eq!(text("a{,}"), r"a\{,\}");
        assert_eq!(text("a{2"), r"a\{2");
        assert_eq!(text("a{,2}"), "a{0,2}");
    }
}
