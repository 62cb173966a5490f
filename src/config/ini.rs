//! The text of one file in Circus's INI dialect: sections and options in order, each with its line.
//!
//! The rules are those of Circus's own parser, which is laxer than others: what it reads is read, with a note where
//! the reading is hardly what was meant; every line that it refuses is reported.

use super::model::{Finding, Origin, Severity};
use super::options::watcher;
use super::text;
use crate::sorted::sort;
use std::rc::Rc;

/// A file may have so many bytes.
pub const LONGEST: usize = 16 << 20;

/// It may have so many section headers.
pub const MOST_SECTIONS: u32 = 100_000;

/// So many lines of a file are complained of.
const MOST_NOTES: usize = 1000;

/// A section as it stands in the file; one that stands there twice is here twice.
pub struct Section {
    /// What stands between the brackets.
    pub name: String,
    /// Where its header stands.
    pub origin: Origin,
    /// Its options in order; equal keys are not merged.
    pub options: Vec<Entry>,
}

/// An option.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key, in its own case.
    pub key: Rc<str>,
    /// The value as it stands in the file, its lines joined by newlines.
    pub value: String,
    /// Where the key stands.
    pub origin: Origin,
}

/// What stands in one file.
pub struct Document {
    /// The sections.
    pub sections: Vec<Section>,
    /// What is to be said, in order; it is fatal if Circus refuses the file for it.
    pub findings: Vec<Finding>,
    /// Continuation lines that look like an option.
    pub continued: Vec<(Origin, String)>,
}

/// Reads the bytes of a file.
pub fn read(file: &Rc<str>, bytes: &[u8]) -> Document {
    let mut lines = Lines {
        file,
        sections: Vec::new(),
        headers: 0,
        option: None,
        findings: Vec::new(),
        continued: Vec::new(),
    };
    if bytes.len() > LONGEST {
        lines.note(0, Severity::Fatal, "the file is larger than 16 MiB".into());
    } else if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        lines.note(0, Severity::Fatal, "the file is UTF-16; save it as UTF-8".into());
    } else {
        let text = text::from_bytes(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
        let text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text };
        (1..).zip(text.split('\n')).for_each(|(number, line)| lines.line(number, line));
        lines.end_option();
    }
    Document { sections: lines.sections, findings: lines.findings, continued: lines.continued }
}

/// The lines so far.
struct Lines<'a> {
    file: &'a Rc<str>,
    sections: Vec<Section>,
    /// How many headers there were; those that are too many begin no section.
    headers: u32,
    /// The last option, which the next line may continue.
    option: Option<Entry>,
    findings: Vec<Finding>,
    continued: Vec<(Origin, String)>,
}

impl Lines<'_> {
    fn line(&mut self, number: u32, line: &str) {
        let trimmed = line.trim_matches(is_blank);
        if trimmed.is_empty() || is_comment(line) {
            return;
        }
        // Most lines have nothing but what is printed.
        if !line.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
            && let Some(c) = line.chars().find(|c| c.is_control() && *c != '\t')
        {
            let message = format!("the line holds the control character {:#04x}", u32::from(c));
            self.note(number, Severity::Warning, message);
        }
        if line.starts_with(is_blank) && self.continues(number, trimmed) {
            return;
        }
        if let Some(name) = header(line) {
            return self.header(number, name);
        }
        let at = line.bytes().position(|byte| matches!(byte, b'=' | b':')).filter(|_| self.headers > 0);
        if let Some((key, value)) = at.and_then(|at| line.get(..at).zip(line.get(at + 1..))) {
            return self.option(number, key.trim_end_matches(is_blank), value);
        }
        let what = match (self.headers, line, trimmed) {
            (_, begin, _) | (0, _, begin) if begin.starts_with('[') => {
                "is not a section: it needs a name and a closing `]`"
            }
            (0, ..) => "comes before the first [section]",
            _ => "is neither a [section] nor an option (`key = value`)",
        };
        self.note(number, Severity::Fatal, format!("`{}` {what}", shorten(trimmed)));
    }

    /// Appends an indented line to the option before it, if there is one. An option without a name takes none.
    fn continues(&mut self, number: u32, trimmed: &str) -> bool {
        let Some(option) = self.option.as_mut().filter(|option| !option.key.is_empty()) else { return false };
        option.value.push('\n');
        option.value.push_str(trimmed);
        if trimmed.starts_with(['#', ';', '[']) {
            let message = format!(
                "the line is indented, so it is part of the value of `{}` (a comment or a section begins at the left)",
                shorten(&option.key)
            );
            self.note(number, Severity::Warning, message);
        } else if trimmed.contains(['=', ':']) {
            self.continued.push((self.origin(number), trimmed.into()));
        }
        true
    }

    fn header(&mut self, number: u32, name: &str) {
        self.end_option();
        self.headers += 1;
        if self.headers > MOST_SECTIONS {
            if self.headers == MOST_SECTIONS + 1 {
                let message = format!("the file has more than {MOST_SECTIONS} sections");
                self.note(number, Severity::Fatal, message);
            }
            return;
        }
        if name.contains(']') {
            let message = format!("the name of the section goes up to the last bracket: `{}`", shorten(name));
            self.note(number, Severity::Warning, message);
        }
        let origin = self.origin(number);
        self.sections.push(Section { name: name.into(), origin, options: Vec::new() });
    }

    fn option(&mut self, number: u32, key: &str, value: &str) {
        self.end_option();
        if key.starts_with(is_blank) {
            let message = format!(
                "the key is indented, so it is not `{}`; it must begin at the left",
                shorten(key.trim_start_matches(is_blank))
            );
            self.note(number, Severity::Warning, message);
        }
        let whole = value.trim_start_matches(is_blank);
        let value = without_comment(whole);
        if let Some(cut) = whole.get(value.len()..).filter(|cut| !cut.is_empty() && is_meant(key, value, cut))
        {
            let message = format!(
                "` ;` begins a comment, within quotes too, so `{}` is cut off: to run two commands, write \
                 `sh -c 'a; b'`, without a blank before the `;`",
                shorten(cut.trim_end_matches(is_blank))
            );
            self.note(number, Severity::Warning, message);
        }
        let value = value.trim_matches(is_blank);
        if value.starts_with(';') {
            let message = "a `;` at the very beginning of a value is part of the value, not a comment".into();
            self.note(number, Severity::Warning, message);
        }
        let value = if value == "\"\"" { "" } else { value };
        self.option = Some(Entry { key: key.into(), value: value.into(), origin: self.origin(number) });
    }

    fn end_option(&mut self) {
        if let Some(section) = self.sections.last_mut() {
            section.options.extend(self.option.take());
        }
    }

    /// A file that is something else altogether has something wrong in every line: the list of that has an end.
    fn note(&mut self, line: u32, severity: Severity, message: String) {
        let mut message = message;
        if self.findings.len() >= MOST_NOTES {
            let said = self.findings.get(MOST_NOTES).map(|note| note.severity);
            if said == Some(Severity::Fatal) || said == Some(severity) {
                return;
            }
            message = format!("so many lines are wrong that only the first {MOST_NOTES} are listed");
            self.findings.truncate(MOST_NOTES);
        }
        self.findings.push(Finding { severity, origin: self.origin(line), message });
    }

    fn origin(&self, line: u32) -> Origin {
        Origin { file: self.file.clone(), line }
    }
}

/// Items by a number, those of equal numbers in their own order. Only numbers are moved while sorting, so
/// that there is one sort for all types.
pub fn sorted<T>(items: Vec<T>, key: impl Fn(&T) -> u64) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let order = sort::<(u64, usize)>(items.iter().map(key).zip(0..).collect());
    pick(items, order.into_iter().map(|(_, n)| n).collect())
}

/// The items at these places, in this order.
pub fn pick<T>(items: Vec<T>, order: Vec<usize>) -> Vec<T> {
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    order.into_iter().filter_map(|n| items.get_mut(n)?.take()).collect()
}

/// Python's idea of white space.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// A comment begins at the left with `#` or `;`, or with `rem` as its first word.
fn is_comment(line: &str) -> bool {
    let (word, rest) = line.split_at_checked(3).unwrap_or_default();
    line.starts_with(['#', ';']) || word.eq_ignore_ascii_case("rem") && !rest.starts_with(|c| !is_blank(c))
}

/// The name in a section header: from the bracket at the left to the last one of the line.
fn header(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then_some(name)
}

/// Cuts a comment off a value: it begins with the first `;`, if a blank stands before that.
fn without_comment(value: &str) -> &str {
    match value.split_once(';') {
        Some((before, _)) if before.ends_with(is_blank) => before,
        _ => value,
    }
}

/// Commands that people put behind another one.
const COMMANDS: &[&str] =
    &["bash", "cd", "echo", "exec", "export", "node", "python", "python3", "sh", "sleep"];

/// Whether what stands behind a ` ;` was hardly meant as a comment: it stands within quotes, or is another command.
fn is_meant(key: &str, value: &str, cut: &str) -> bool {
    let count = |quote: &str| value.matches(quote).count();
    let is_open = count("\"") % 2 == 1 && cut.contains('"') || count("'") % 2 == 1 && cut.contains('\'');
    let next = cut.trim_start_matches(|c| c == ';' || is_blank(c)).split(is_blank).next().unwrap_or_default();
    let program = |text: &str| text.split(is_blank).next().unwrap_or_default().to_string();
    let is_path = next.contains('/') && !next.contains(':');
    let is_program = is_path || !next.is_empty() && (next == program(value) || COMMANDS.contains(&next));
    is_open || key == watcher::cmd && is_program
}

/// As much of a text from the file as a message needs.
pub fn shorten(text: &str) -> String {
    cut(text, 60)
}

/// As much of a path as a message needs; that of a file that exists is seldom longer.
pub fn excerpt(path: &str) -> String {
    cut(path, 300)
}

/// At most so many characters of a text, on one line.
fn cut(text: &str, most: usize) -> String {
    text::cut(text, most).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests;
