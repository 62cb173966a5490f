//! What only a shell understands, in the command lines that circus runs without one.
//!
//! A shell leaves alone what is quoted, so what is quoted here was meant as it is. Between plain words some characters
//! may belong to an address or to a pattern of the program itself; those are passed over.

use super::Checker;
use crate::config::ini::shorten;
use crate::config::model::{Origins, Severity};
use crate::config::{expand, words};

/// Commands that are a part of shells and mostly no programs.
const OF_SHELLS: &[&str] =
    &[".", "alias", "cd", "eval", "exec", "export", "for", "if", "set", "source", "ulimit", "while"];

/// Programs that have their own use for what is quoted.
const SHELLS: &[&str] = &["ash", "bash", "dash", "ksh", "sh", "ssh", "su", "zsh"];

/// Programs whose options have files behind them, and no patterns of their own.
const TAKE_FILES: &[&str] = &["cat", "chmod", "chown", "cp", "head", "ls", "mv", "rm", "tail"];

/// Whether a text has something that a shell sees as more than words, or `first` is a command of shells. Most have not.
fn may_be_for_a_shell(text: &str, first: &str) -> bool {
    let is_syntax =
        |byte| matches!(byte, b'|' | b'<' | b'>' | b'&' | b';' | b'$' | b'`' | b'~' | b'*' | b'\\' | b'=');
    text.bytes().any(is_syntax) || OF_SHELLS.contains(&first)
}

/// So many dollars of a word are looked at.
const MOST_VARIABLES: usize = 100;

/// A word of a command line.
#[derive(Default)]
struct Word {
    /// Without what is quoted in it.
    bare: String,
    whole: String,
}

/// What stands for a quoted text.
const QUOTED: char = '\0';

/// What to say of a backslash at the end of a line.
pub const BACKSLASH: &str =
    "a backslash at the end of a line does not continue it: leave it out, and indent the next line";

const NO_SHELL: &str = "no shell runs this command line, so";
const USE_SHELL: &str = "write `sh -c '...'` around it, or `shell = True` in a watcher";

impl Checker {
    /// The first thing in a command line that takes a shell. What is `whole` begins with a program.
    pub(super) fn shell_syntax(&mut self, place: (&Origins, &str), text: &str, is_whole: bool) {
        if may_be_for_a_shell(text, text.split_whitespace().next().unwrap_or_default())
            && let Some((severity, message)) = problem(text, is_whole)
        {
            self.find(severity, place, message);
        }
    }
}

/// Whether the first word of a command line makes sense to a shell alone.
pub fn is_for_a_shell(word: &str) -> bool {
    may_be_for_a_shell(word, word) && at_the_beginning(word, word).is_some()
}

fn problem(text: &str, is_whole: bool) -> Option<(Severity, String)> {
    let words = words(text);
    let error = |message| Some((Severity::Error, message));
    if text.contains("\\\n") {
        return error(BACKSLASH.into());
    }
    if let Some(word) = words.first().filter(|_| is_whole)
        && let Some(message) = at_the_beginning(&word.bare, &word.whole)
    {
        return error(message);
    }
    let mut found = None;
    let takes_files = words.iter().take(usize::from(is_whole)).any(|word| is_among(TAKE_FILES, &word.bare));
    for (n, Word { bare, whole }) in words.iter().enumerate() {
        let shown = shorten(whole);
        let before = n.checked_sub(1).and_then(|n| words.get(n)).map_or("", |word| &word.bare);
        let is_value = before.starts_with('-') && !takes_files;
        if bare.starts_with('#') && !is_value {
            break; // reported while the file is read
        }
        if bare == "&" && n + 1 == words.len() {
            return error(format!(
                "{NO_SHELL} `&` is an argument of the program: leave it out, circus does not wait for the program"
            ));
        }
        if is_operator(bare) {
            return error(format!("{NO_SHELL} `{shown}` is an argument of the program: {USE_SHELL}"));
        }
        found = found.or_else(|| expanded_by_shells(bare, is_value, &shown));
    }
    found.map(|message| (Severity::Warning, message))
}

/// What is wrong with a word in the place of the program.
fn at_the_beginning(bare: &str, word: &str) -> Option<String> {
    let shown = shorten(word);
    if bare == "cd" {
        return Some(format!("{NO_SHELL} `cd` is not a program: set `working_dir` instead, or {USE_SHELL}"));
    }
    if is_operator(bare) {
        return Some(format!("{NO_SHELL} `{shown}` is the name of the program: {USE_SHELL}"));
    }
    if OF_SHELLS.contains(&bare) {
        return Some(format!("`{shown}` is a command of shells and no program: {USE_SHELL}"));
    }
    if let Some((name, _)) = bare.split_once('=').filter(|(name, _)| is_name(name)) {
        let name = shorten(name);
        return Some(format!(
            "{NO_SHELL} `{shown}` is the program and not a variable: set {name} in a section [env:NAME], or write `env \
             {shown} PROGRAM`"
        ));
    }
    expanded_by_shells(bare, false, &shown)
}

/// A redirection, a pipe, or what stands between two commands.
fn is_operator(bare: &str) -> bool {
    let begin = bare.trim_start_matches(|c: char| c.is_ascii_digit());
    let compares = ["<=", ">="].iter().any(|operator| begin.starts_with(operator));
    let is_tag = begin.starts_with('<') && begin.ends_with('>');
    let begins = begin.starts_with(['|', '<', '>', '&', ';']) && !compares && !is_tag;
    // An address may hold and end with such characters.
    let is_address = bare.contains(['?', ':']);
    let ends = bare.len() > 1 && bare.ends_with([';', '&', '|']);
    begins || !is_address && (ends || bare.contains("&&"))
}

/// A variable, a command in place of its output, a home directory or a pattern of files.
fn expanded_by_shells(bare: &str, is_value: bool, shown: &str) -> Option<String> {
    let as_it_is = format!("{NO_SHELL} `{shown}` is passed as it is");
    if let Some(name) = bare.split_once("${socket:").and_then(|(_, rest)| rest.split('}').next()) {
        return Some(format!("{as_it_is}: write `$(circus.sockets.{})`", shorten(name)));
    }
    if let Some(name) = variable(bare) {
        let name = shorten(name);
        return Some(format!("{as_it_is}: write `$(circus.env.{name})` for the variable {name}"));
    }
    let before_commands = bare.split("$(").skip(1).any(|rest| !begins_with_circus(rest));
    if before_commands || bare.matches('`').count() > 1 {
        return Some(format!("{as_it_is}: {USE_SHELL}"));
    }
    if bare == "~" || bare.starts_with("~/") {
        return Some(format!("{as_it_is}: write the whole path, or `$(circus.env.HOME)` for `~`"));
    }
    let is_path = ["/", "./", "../"].iter().any(|begin| bare.starts_with(begin));
    // Other programs have other uses for a star: addresses, schedules, names of queues.
    let is_files = !is_value && (is_path || bare.contains(['.', '/']) || bare == "*");
    let is_else =
        bare.starts_with(['-', '*', '^', '.']) && !is_path && !bare.starts_with("*.") && bare != "*";
    let is_pattern = bare.contains('*') && is_files && !is_else && !bare.contains(['=', ':', ',', '(', '[']);
    is_pattern.then(|| format!("{as_it_is}, and not the files that match: {USE_SHELL}"))
}

/// The first variable of shells in a word; circus's own begin with a bracket.
fn variable(bare: &str) -> Option<&str> {
    bare.match_indices('$').take(MOST_VARIABLES).find_map(|(at, _)| {
        let rest = bare.get(at + 1..)?;
        let (name, is_closed) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once('}').map(|(name, _)| (name, true))?,
            None => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                (rest.get(..end)?, false)
            }
        };
        let name = name.split([':', '-']).next().filter(|_| is_closed || is_name(name))?;
        is_name(name).then_some(name)
    })
}

fn begins_with_circus(rest: &str) -> bool {
    rest.get(.."circus.".len()).is_some_and(|begin| begin.eq_ignore_ascii_case("circus."))
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The words of a command line. Circus's variables are left out: what they stand for is not known.
fn words(text: &str) -> Vec<Word> {
    let text = expand::expand(text, &|_| Some("x".into()));
    let (mut found, mut word) = (Vec::<Word>::new(), None::<Word>);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if matches!(c, ' ' | '\t' | '\r' | '\n') {
            found.extend(word.take());
            continue;
        }
        let Word { bare, whole } = word.get_or_insert_default();
        match c {
            '\\' => {
                bare.push(QUOTED);
                whole.extend(chars.next());
            }
            '\'' | '"' => {
                let from = whole.len();
                if words::quoted(c, &['"', '\\'], &mut chars, whole).is_err() {
                    return Vec::new();
                }
                let part = whole.get(from..).unwrap_or_default();
                let for_shell = || found.iter().any(|word| is_among(SHELLS, &word.bare));
                // Shells replace variables between double quotes, and a path in these is no program for another one.
                if c == '"' && !part.contains(char::is_whitespace) && variable(part).is_some() && !for_shell()
                {
                    bare.push_str(part);
                } else {
                    bare.push(QUOTED);
                }
            }
            _ => {
                bare.push(c);
                whole.push(c);
            }
        }
    }
    found.extend(word);
    found
}

fn is_among(programs: &[&str], word: &str) -> bool {
    programs.contains(&word.rsplit('/').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn one(text: &str, wanted: &str) {
        let found = problem(text, true).map(|(severity, message)| format!("{} {message}", severity.word()));
        assert!(found.as_deref().is_some_and(|found| found.starts_with(wanted)), "{text}: {found:?}");
    }

    #[test]
    fn what_a_shell_would_do_is_said() {
        let argument =
            "error no shell runs this command line, so `X` is an argument of the program: write `sh -c";
        for (text, word) in [
            ("a | b", "|"),
            ("a x |b", "|b"),
            ("a > /tmp/x", ">"),
            ("a >>/tmp/x", ">>/tmp/x"),
            ("a 2>&1", "2>&1"),
            ("a 2> x", "2>"),
            ("a < x", "<"),
            ("a x&", "x&"),
            ("a && b", "&&"),
            ("a || b", "||"),
            ("a x; b", "x;"),
            ("nginx -g daemon off;", "off;"),
            ("a x&&b", "x&&b"),
            ("a &> x", "&>"),
            ("a 'b c' | d", "|"),
        ] {
            one(text, &argument.replace('X', word));
        }
        one(
            "a &",
            "error no shell runs this command line, so `&` is an argument of the program: leave it out",
        );
        one("a | # b", &argument.replace('X', "|"));
        let passed = "warning no shell runs this command line, so `X` is passed as it is";
        for (text, word, rest) in [
            ("a $HOME", "$HOME", ": write `$(circus.env.HOME)` for the variable HOME"),
            ("a --dir=$HOME/x", "--dir=$HOME/x", ": write `$(circus.env.HOME)`"),
            ("a ${PORT:-80}", "${PORT:-80}", ": write `$(circus.env.PORT)`"),
            ("a \"$HOME/x\"", "$HOME/x", ": write `$(circus.env.HOME)`"),
            ("a $(hostname)", "$(hostname)", ": write `sh -c '...'`"),
            ("a --fd ${socket:web}", "${socket:web}", ": write `$(circus.sockets.web)`"),
            ("a `id`", "`id`", ": write `sh -c '...'`"),
            ("a ~/x", "~/x", ": write the whole path"),
            ("cat *.log", "*.log", ", and not the files that match"),
            ("cat *", "*", ", and not the files that match"),
            ("tail -F /var/log/*.log", "/var/log/*.log", ", and not the files that match"),
            ("cat ./a*", "./a*", ", and not the files that match"),
        ] {
            one(text, &(passed.replace('X', word) + rest));
        }
    }

    #[test]
    fn what_only_a_shell_runs_is_no_program() {
        one(
            "cd /x && y",
            "error no shell runs this command line, so `cd` is not a program: set `working_dir`",
        );
        one("source venv/bin/activate && y", "error `source` is a command of shells and no program");
        one(
            "FOO=1 y",
            "error no shell runs this command line, so `FOO=1` is the program and not a variable: set FOO in",
        );
        one("$HOME/bin/y", "error no shell runs this command line, so `$HOME/bin/y` is passed as it is");
        one("~/y", "error no shell runs this command line, so `~/y` is passed as it is");
        one("a; b", "error no shell runs this command line, so `a;` is the name of the program: write");
        assert!(is_for_a_shell("FOO=1") && is_for_a_shell("cd") && is_for_a_shell("~/x"));
        for program in ["a", "/a/b", "a.b", "./x=y", "$(circus.env.X)/a", "1=2"] {
            assert!(!is_for_a_shell(program), "{program}");
        }
    }

    #[test]
    fn a_backslash_does_not_continue_a_line() {
        one("a \\\n--x", "error a backslash at the end of a line does not continue it: leave it out");
    }

    #[test]
    fn what_belongs_to_the_program_is_not_mistaken() {
        for text in [
            "",
            "a",
            "sh -c \"a | b > c && $HOME ~ * ; # d\"",
            "bash -c 'a | b'",
            "sh -c \"$X\"",
            "a '|' \">\" \\; \\*",
            "a 'x*' \"*\" '~' '$HOME'",
            "a --include=*.py",
            "a --include *.py",
            "find /x -name *.py",
            "a --ip=* --hosts '*'",
            "a --ip *",
            "a -s /x/*.pid",
            "a http://x/?a=1&b=2 http://x/*",
            "a http://x/?a=1&",
            "a text/html;q=1 a|b x=>y a->b",
            "a --if x>=1 >=1 <=2",
            "a <name>",
            "a .*foo ^x.*$ */5",
            "a $ $1 x$ $$",
            "a $(circus.env.home)/x ((circus.wid)) $(CIRCUS.SOCKETS.x)",
            "a --channel #x",
            "a #fff",
            "a # x | y",
            "a x#y x~y HEAD~1",
            "a --x=~/y",
            "a 50% a,b {x} [y]",
        ] {
            assert_eq!(problem(text, true), None, "{text}");
        }
        assert_eq!(problem("FOO=1 cd", false), None);
        assert!(problem("| x", false).is_some());
    }
}
