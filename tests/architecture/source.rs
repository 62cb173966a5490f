//! Reads Rust source as far as the rules on imports need it: tokens without comments and literals, and the paths
//! that they form, `use` trees taken apart and `self` and `super` resolved.

use std::collections::BTreeSet;

/// A word or a punctuation mark. A literal is the token `""`.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub text: String,
    /// From 1.
    pub line: usize,
    /// Where it ends.
    pub last: usize,
}

/// A path that the source names, such as `crate::sys::signal::kill` or `mio::Poll`.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Its parts. That of a path within this crate is `crate`; that of `::name` is empty.
    pub parts: Vec<String>,
    /// From 1.
    pub line: usize,
    /// It stands below `#[cfg(test)]`.
    pub test: bool,
}

impl Path {
    /// The path as it is written.
    pub fn text(&self) -> String {
        self.parts.join("::")
    }
}

/// The tokens of a source.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: source, line: 1, tokens: Vec::new() };
    while lexer.step().is_some() {}
    lexer.tokens
}

struct Lexer<'s> {
    /// What is still to be read.
    rest: &'s str,
    line: usize,
    tokens: Vec<Token>,
}

impl<'s> Lexer<'s> {
    /// Takes so many bytes, or everything when there are not so many.
    fn take(&mut self, bytes: usize) -> &'s str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Takes everything up to the first `end`, and `end` itself.
    fn take_past(&mut self, end: &str) {
        let length = self.rest.find(end).map_or(self.rest.len(), |at| at + end.len());
        self.take(length);
    }

    fn push(&mut self, text: &str, line: usize) {
        self.tokens.push(Token { text: text.into(), line, last: self.line });
    }

    fn step(&mut self) -> Option<()> {
        let (rest, line) = (self.rest, self.line);
        let first = rest.chars().next()?;
        if rest.starts_with("//") {
            self.take_past("\n");
        } else if rest.starts_with("/*") {
            self.comment();
        } else if let Some(hashes) = raw_string(rest) {
            self.take_past("\"");
            self.take_past(&format!("\"{}", "#".repeat(hashes)));
            self.push("\"\"", line);
        } else if let Some(open) = ["\"", "b\"", "c\"", "b'"].iter().find(|open| rest.starts_with(**open)) {
            self.take(open.len());
            self.literal(if open.ends_with('"') { '"' } else { '\'' }, line);
        } else if first == '\'' {
            self.quote();
        } else if is_word(first) {
            let word = self.take(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            self.push(word, line);
        } else {
            let mark = self.take(if rest.starts_with("::") { 2 } else { first.len_utf8() });
            if !first.is_whitespace() {
                self.push(mark, line);
            }
        }
        Some(())
    }

    /// Block comments stand in each other.
    fn comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
            } else {
                self.take(self.rest.chars().next().map_or(0, char::len_utf8));
            }
            if depth == 0 || self.rest.is_empty() {
                return;
            }
        }
    }

    /// Up to the quote that ends a literal; a backslash keeps the character behind it from doing so.
    fn literal(&mut self, quote: char, line: usize) {
        let mut escaped = false;
        let end = self.rest.find(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        self.take(end.map_or(self.rest.len(), |end| end + 1));
        self.push("\"\"", line);
    }

    /// A character or a lifetime: the former is closed behind one character or an escape.
    fn quote(&mut self) {
        let line = self.line;
        self.take(1);
        let mut behind = self.rest.chars();
        if behind.next() == Some('\\') || behind.next() == Some('\'') {
            self.literal('\'', line);
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How many hashes a raw string at the beginning of `text` has.
fn raw_string(text: &str) -> Option<usize> {
    let rest = ["r", "br", "cr"].iter().find_map(|start| text.strip_prefix(start))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest.trim_start_matches('#').starts_with('"').then_some(hashes)
}

/// What a file names.
#[derive(Debug, Default)]
pub struct Names {
    /// All paths of two parts or more, and all single names in `use`.
    pub paths: Vec<Path>,
    /// Names that stand for something of this crate here, from `use` and `mod`.
    pub local: BTreeSet<String>,
}

/// The paths in a file of the module `module` (`["daemon", "log"]`).
pub fn names(source: &str, module: &[String]) -> Names {
    let mut reader = Reader {
        tokens: tokens(source),
        at: 0,
        depth: 0,
        modules: module.iter().map(|part| (part.clone(), 0)).collect(),
        test_from: None,
        names: Names::default(),
    };
    while reader.at < reader.tokens.len() {
        reader.step();
    }
    reader.names
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// The modules around, with the depth of the braces of those within the file.
    modules: Vec<(String, usize)>,
    /// The depth at which `#[cfg(test)]` stands.
    test_from: Option<usize>,
    names: Names,
}

impl Reader {
    /// The token so many places from here, or nothing.
    fn peek(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text.as_str())
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |token| token.line)
    }

    fn next(&mut self) -> String {
        let text = self.peek(0).to_string();
        self.at += 1;
        text
    }

    fn step(&mut self) {
        if ["#", "[", "cfg", "(", "test", ")", "]"].iter().enumerate().all(|(n, t)| self.peek(n) == *t) {
            self.test_from.get_or_insert(self.depth);
            self.at += 7;
        } else if self.peek(0) == "mod" && self.peek(2) == "{" {
            self.depth += 1;
            let name = self.peek(1).to_string();
            self.modules.push((name.clone(), self.depth));
            self.names.local.insert(name);
            self.at += 3;
        } else if self.peek(0) == "use" {
            self.at += 1;
            self.tree(&mut Vec::new());
        } else if self.peek(0) == "{" {
            self.depth += 1;
            self.at += 1;
        } else if self.peek(0) == "}" {
            self.close();
        } else if self.peek(0) == "::" || self.peek(0).starts_with(is_word) {
            self.plain_path();
        } else {
            let ends = self.peek(0) == ";" && self.test_from == Some(self.depth);
            self.test_from = self.test_from.filter(|_| !ends);
            self.at += 1;
        }
    }

    fn close(&mut self) {
        if self.modules.last().is_some_and(|(_, depth)| *depth == self.depth && self.depth > 0) {
            self.modules.pop();
        }
        self.depth = self.depth.saturating_sub(1);
        self.test_from = self.test_from.filter(|from| *from < self.depth);
        self.at += 1;
    }

    fn plain_path(&mut self) {
        if self.peek(0) == "mod" {
            self.names.local.insert(self.peek(1).to_string());
        }
        let line = self.line();
        let first = self.next();
        let mut parts = if first == "::" { vec![String::new(), self.next()] } else { vec![first] };
        while self.peek(0) == "::" && self.peek(1).starts_with(is_word) {
            self.at += 1;
            parts.push(self.next());
        }
        if parts.len() > 1 {
            self.add(parts, line);
        }
    }

    /// A tree of `use`, behind the parts in `prefix`.
    fn tree(&mut self, prefix: &mut Vec<String>) {
        let before = prefix.len();
        loop {
            match self.peek(0) {
                "{" => {
                    self.at += 1;
                    while !matches!(self.peek(0), "}" | "") {
                        self.tree(prefix);
                        if self.peek(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    break;
                }
                "::" if prefix.is_empty() => {
                    prefix.push(String::new());
                    self.at += 1;
                }
                "::" => self.at += 1,
                text if text.starts_with(is_word) && text != "as" => prefix.push(self.next()),
                _ => {
                    self.leaf(prefix.clone());
                    break;
                }
            }
        }
        prefix.truncate(before);
    }

    fn leaf(&mut self, mut parts: Vec<String>) {
        let line = self.line();
        if parts.len() > 1 && parts.last().is_some_and(|part| part == "self") {
            parts.pop();
        }
        let mut name = parts.last().cloned().unwrap_or_default();
        match self.peek(0) {
            "as" => {
                self.at += 1;
                name = self.next();
            }
            "*" => self.at += 1,
            _ => {}
        }
        let own = ["crate", "self", "super"].iter().any(|start| parts.first().is_some_and(|p| p == start));
        if own {
            self.names.local.insert(name);
        }
        self.add(parts, line);
    }

    fn add(&mut self, parts: Vec<String>, line: usize) {
        let test = self.test_from.is_some();
        let parts = self.resolve(parts);
        self.names.paths.push(Path { parts, line, test });
    }

    /// The path from the root of the crate.
    fn resolve(&self, parts: Vec<String>) -> Vec<String> {
        let mut own: Vec<String> = self.modules.iter().map(|(name, _)| name.clone()).collect();
        let mut rest = parts.iter().map(String::as_str).peekable();
        match rest.peek().copied() {
            Some("crate" | "circus") => {
                own.clear();
                rest.next();
            }
            Some("self" | "super") => {
                while let Some("self" | "super") = rest.peek().copied() {
                    if rest.next() == Some("super") {
                        own.pop();
                    }
                }
            }
            _ => return parts,
        }
        std::iter::once("crate".to_string()).chain(own).chain(rest.map(str::to_string)).collect()
    }
}
