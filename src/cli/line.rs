//! A line that is being edited: its text, where the cursor is, and what of it is shown. Pure.

use super::keys::Key;
#[cfg(feature = "prompt")]
use crate::control::plain::width;

/// A line and the cursor in it.
#[derive(Debug, Default)]
pub struct Line {
    chars: Vec<char>,
    cursor: usize,
}

impl Line {
    /// Its text.
    pub fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// What stands before the cursor.
    #[cfg(feature = "prompt")]
    pub fn before(&self) -> String {
        self.chars.iter().take(self.cursor).collect()
    }

    /// Puts a text in its place, with the cursor at the end.
    pub fn set(&mut self, text: &str) {
        self.chars = text.chars().collect();
        self.cursor = self.chars.len();
    }

    /// Puts a text in at the cursor.
    pub fn insert(&mut self, text: &str) {
        for c in text.chars() {
            self.chars.insert(self.cursor, c);
            self.cursor += 1;
        }
    }

    /// What a key that edits does; all others do nothing.
    pub fn edit(&mut self, key: Key) {
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Left | Key::Ctrl('B') => self.cursor = self.cursor.saturating_sub(1),
            Key::Right | Key::Ctrl('F') => self.cursor = self.chars.len().min(self.cursor + 1),
            Key::Home | Key::Ctrl('A') => self.cursor = 0,
            Key::End | Key::Ctrl('E') => self.cursor = self.chars.len(),
            Key::WordLeft | Key::Alt('b') => self.cursor = self.word_left(),
            Key::WordRight | Key::Alt('f') => self.cursor = self.word_right(),
            Key::Backspace => self.cut(self.cursor.saturating_sub(1), self.cursor),
            Key::Delete | Key::Ctrl('D') => self.cut(self.cursor, self.cursor + 1),
            Key::Ctrl('U') => self.cut(0, self.cursor),
            Key::Ctrl('K') => self.cut(self.cursor, self.chars.len()),
            Key::Ctrl('W') => self.cut(self.word_left(), self.cursor),
            Key::Alt('d') => self.cut(self.cursor, self.word_right()),
            _ => {}
        }
    }

    /// Takes out what stands from one place to another, and goes there.
    fn cut(&mut self, from: usize, to: usize) {
        self.chars.drain(from..to.min(self.chars.len()));
        self.cursor = from;
    }

    fn is_blank(&self, place: usize) -> bool {
        self.chars.get(place).is_some_and(|c| c.is_whitespace())
    }

    fn word_left(&self) -> usize {
        let mut place = self.cursor;
        while place > 0 && self.is_blank(place - 1) {
            place -= 1;
        }
        while place > 0 && !self.is_blank(place - 1) {
            place -= 1;
        }
        place
    }

    fn word_right(&self) -> usize {
        let mut place = self.cursor;
        while self.is_blank(place) {
            place += 1;
        }
        while place < self.chars.len() && !self.is_blank(place) {
            place += 1;
        }
        place
    }

    /// What of the line is shown in so many columns, and in which of them the cursor is then. A line that is too long
    /// moves to the left as far as the cursor needs it.
    #[cfg(feature = "prompt")]
    pub fn view(&self, columns: usize) -> (String, usize) {
        let mut first = 0;
        let mut to_cursor: usize = self.chars.iter().take(self.cursor).map(|c| width(*c)).sum();
        while to_cursor >= columns.max(1) {
            to_cursor -= self.chars.get(first).map_or(to_cursor, |c| width(*c));
            first += 1;
        }
        let mut used = 0;
        let fits = |c: &&char| {
            used += width(**c);
            used < columns.max(1)
        };
        let shown = self.chars.iter().skip(first).take_while(fits).map(|c| visible(*c)).collect();
        (shown, to_cursor)
    }
}

/// A control character, which only history could bring in, is no business of the terminal.
#[cfg(feature = "prompt")]
fn visible(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Key::*;

    /// The line after these keys, with `|` where the cursor is.
    fn after(text: &str, keys: &[Key]) -> String {
        let mut line = Line::default();
        line.set(text);
        keys.iter().for_each(|key| line.edit(*key));
        let (before, all) = (line.before(), line.text());
        format!("{before}|{}", &all[before.len()..])
    }

    #[test]
    fn keys_edit() {
        let cases: &[(&str, &[Key], &str)] = &[
            ("ab", &[Left, Char('\u{e9}')], "a\u{e9}|b"),
            ("ab", &[Home, Left, Right, Right, Right], "ab|"),
            ("ab", &[Ctrl('A'), Delete], "|b"),
            ("ab", &[Ctrl('A'), Backspace, Ctrl('D')], "|b"),
            ("ab", &[Delete, Backspace], "a|"),
            ("stop web one", &[WordLeft, WordLeft, Ctrl('K')], "stop |"),
            ("stop web one", &[WordLeft, Left, Ctrl('U')], "| one"),
            ("stop web  ", &[Ctrl('W')], "stop |"),
            ("stop web", &[Home, WordRight, WordRight, WordRight], "stop web|"),
            ("stop web", &[Home, Alt('d')], "| web"),
            ("", &[Backspace, Delete, Ctrl('W'), Ctrl('K'), Ctrl('U'), WordRight, Other], "|"),
        ];
        for (text, keys, wanted) in cases {
            assert_eq!(after(text, keys), *wanted, "{text} {keys:?}");
        }
    }

    #[test]
    fn a_long_line_moves_with_its_cursor() {
        let mut line = Line::default();
        line.set("0123456789");
        assert_eq!(line.view(20), ("0123456789".into(), 10));
        assert_eq!(line.view(5), ("6789".into(), 4));
        line.edit(Home);
        assert_eq!(line.view(5), ("0123".into(), 0));
        line.set("\u{4f60}\u{597d}e\u{301}x");
        assert_eq!(line.view(20), ("\u{4f60}\u{597d}e\u{301}x".into(), 6));
        assert_eq!(line.view(4), ("e\u{301}x".into(), 2));
        assert_eq!(line.view(0).1, 0);
        line.set("a\u{1b}b");
        assert_eq!(line.view(20).0, "a\u{fffd}b");
    }
}
