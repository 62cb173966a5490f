//! Regular expressions, by the C library's regcomp and regexec.
//!
//! They cost no crate and no bytes. Circus's files are written in Python's notation, out of which `translate.rs`
//! makes the one that the C library knows. Two differences stay: of several matches at one place the longest is
//! taken, not the first that the alternatives offer, and letters are those of ASCII.

mod set;
mod translate;

use std::ffi::{CString, c_int};
use std::mem::{self, MaybeUninit};
use std::ops::Range;

use translate::{Group, Translation, translate};

/// A compiled expression.
pub struct Regex {
    compiled: Box<libc::regex_t>,
    groups: Vec<Group>,
    /// How many groups the compiled expression has, those included that only hold parts together.
    slots: usize,
}

/// Where an expression matched, and its groups.
pub struct Captures<'t> {
    text: &'t [u8],
    matches: Vec<libc::regmatch_t>,
    groups: &'t [Group],
}

impl Regex {
    /// Compiles an expression in Python's notation; the error says what about it is wrong or not possible here.
    pub fn new(pattern: &str) -> Result<Self, String> {
        // What it quotes of the expression may be as long as that.
        let readable = |why: String| why.chars().take(200).collect::<String>();
        let Translation { text, groups, slots, ignore_case } = translate(pattern).map_err(readable)?;
        let text = CString::new(text).map_err(|_| String::from("a null character is not possible"))?;
        let flags = libc::REG_EXTENDED | if ignore_case { libc::REG_ICASE } else { 0 };
        // In a box, since the C library may note where its structure stands.
        let mut compiled: Box<MaybeUninit<libc::regex_t>> = Box::new_uninit();
        // SAFETY: the place is large enough, and the text has its null.
        let failed = unsafe { libc::regcomp(compiled.as_mut_ptr(), text.as_ptr(), flags) };
        if failed != 0 {
            return Err(reason(failed, compiled.as_ptr()));
        }
        // SAFETY: regcomp has succeeded and so has filled it.
        let compiled = unsafe { compiled.assume_init() };
        Ok(Regex { compiled, groups, slots })
    }

    /// Whether the expression matches at the very beginning (Python's `re.match`).
    pub fn is_match_at_start(&self, text: &[u8]) -> bool {
        self.find(text).is_some_and(|found| found.start == 0)
    }

    /// The first place where the expression matches (Python's `re.search`).
    pub fn find(&self, text: &[u8]) -> Option<Range<usize>> {
        self.execute(text, 1)?.first().and_then(range)
    }

    /// The first place where the expression matches, with its groups.
    pub fn captures<'t>(&'t self, text: &'t [u8]) -> Option<Captures<'t>> {
        let matches = self.execute(text, self.slots.saturating_add(1))?;
        Some(Captures { text, matches, groups: &self.groups })
    }

    fn execute(&self, text: &[u8], slots: usize) -> Option<Vec<libc::regmatch_t>> {
        // regexec reads up to a null: one within the text becomes a character that nobody looks for.
        let mut subject = Vec::with_capacity(text.len().saturating_add(1));
        subject.extend(text.iter().map(|&byte| if byte == 0 { 1 } else { byte }));
        subject.push(0);
        // SAFETY: all zeros are a valid regmatch_t.
        let nothing: libc::regmatch_t = unsafe { mem::zeroed() };
        let mut matches = vec![nothing; slots];
        let (start, places) = (subject.as_ptr().cast(), matches.as_mut_ptr());
        // SAFETY: the expression is compiled, the text has its null, and there are `slots` places.
        let failed = unsafe { libc::regexec(&*self.compiled, start, slots, places, 0) };
        (failed == 0).then_some(matches)
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: compiled by regcomp, and freed once.
        unsafe { libc::regfree(&mut *self.compiled) };
    }
}

impl<'t> Captures<'t> {
    /// The whole match (0), or a group by its number.
    pub fn get(&self, number: usize) -> Option<&'t [u8]> {
        let slot = match number.checked_sub(1) {
            None => 0,
            Some(index) => self.groups.get(index)?.slot,
        };
        self.text.get(range(self.matches.get(slot)?)?)
    }

    /// The group that is written `(?P<name>...)`; None if it took no part in the match.
    pub fn name(&self, name: &str) -> Option<&'t [u8]> {
        let index = self.groups.iter().position(|group| group.name.as_deref() == Some(name))?;
        self.get(index.saturating_add(1))
    }
}

/// None where a group took no part in the match, which is written as -1.
fn range(found: &libc::regmatch_t) -> Option<Range<usize>> {
    Some(usize::try_from(found.rm_so).ok()?..usize::try_from(found.rm_eo).ok()?)
}

/// The C library's words for what regcomp returned.
fn reason(code: c_int, compiled: *const libc::regex_t) -> String {
    let mut words = [0_u8; 128];
    // SAFETY: writes at most 128 bytes; regcomp's own structure may be passed after its failure.
    unsafe { libc::regerror(code, compiled, words.as_mut_ptr().cast(), words.len()) };
    let bytes: Vec<u8> = words.into_iter().take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(pattern: &str) -> Regex {
        Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
    }

    #[test]
    fn matches_are_found_where_they_are() {
        assert_eq!(regex(r"\d+").find(b"ab 123 45"), Some(3..6));
        assert_eq!(regex("x").find(b"abc"), None);
        assert!(regex("web").is_match_at_start(b"web-1"));
        assert!(!regex("web").is_match_at_start(b"a web"));
        assert!(regex("web.*|api").is_match_at_start(b"api"));
    }

    #[test]
    fn groups_are_found_by_name_and_by_number() {
        let regex = regex(r"^(?:\[\w+\] )?(?P<pid>\d+);(?P<param>\S*)(;(x))?$");
        let captures = regex.captures(b"[web] 4711;a=b").unwrap();
        assert_eq!(captures.get(0), Some(&b"[web] 4711;a=b"[..]));
        assert_eq!(captures.name("pid"), Some(&b"4711"[..]));
        assert_eq!((captures.get(1), captures.get(2)), (captures.name("pid"), captures.name("param")));
        assert_eq!((captures.get(3), captures.get(4), captures.get(5)), (None, None, None));
        assert_eq!(captures.name("other"), None);
        assert!(regex.captures(b"no").is_none());
    }

    #[test]
    fn python_expressions_match_what_they_match_in_python() {
        let cases: [(&str, &[u8], bool); 24] = [
            (r"a.c", b"a\nc", false),
            (r"[\s\S]", b"\n", true),
            (r"^[^\s]+$", b"ab\xff", true),
            (r"^[^\s]+$", b"a b", false),
            (r"^[\w.-]+$", b"a_b-c.D9", true),
            (r"^[]^-]+$", b"]^-", true),
            (r"^[\]\\\-^]+$", b"-]\\^", true),
            (r"^[^]]$", b"]", false),
            (r"^[-^]$", b"^", true),
            (r"^[\^]$", b"^", true),
            (r"^[\^]$", b"a", false),
            (r"^[[.]$", b"[", true),
            (r"^[a\-z]$", b"m", false),
            (r"^\D\W\S$", b"a b", true),
            (r"^\x41\t\.\/$", b"A\t./", true),
            (r"^{a}{2}$", b"{a}}", true),
            (r"^a{,2}$", b"aa", true),
            (r"^a{,2}$", b"aaa", false),
            (r"^é+$", "éé".as_bytes(), true),
            (r"(?i)^web$", b"WEB", true),
            (r"\bcat\b", b"a cat.", true),
            (r"\bcat\b", b"concat", false),
            (r"\Aab\Z", b"ab", true),
            (r"a|b|", b"", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(regex(pattern).find(text).is_some(), expected, "{pattern}");
        }
    }

    #[test]
    fn a_null_within_the_text_does_not_end_it() {
        assert_eq!(regex("b$").find(b"a\0b"), Some(2..3));
    }

    #[test]
    fn what_the_c_library_refuses_is_told_in_its_words() {
        assert_eq!(Regex::new("a{3,1}").err().unwrap(), "Invalid content of \\{\\}");
    }
}
