//! A line that is being edited: its text, where the cursor is, and what of it is shown. Pure.

use super::keys::Key;
#[cfg(feature = "prompt")]
use crate::control::plain::{columns, cut, width};

/// A line and the cursor in it.
#[derive(Debug, Default)]
pub struct Line {
    /// What stands before the cursor.
    pub before: String,
    behind: String,
}

impl Line {
    /// Its text.
    pub fn text(&self) -> String {
        self.before.clone() + &self.behind
    }

    /// Puts a text in its place, with the cursor at the end.
    pub fn set(&mut self, text: &str) {
        *self = Line { before: text.into(), behind: String::new() };
    }

    /// What a key that edits does; all others do nothing.
    pub fn edit(&mut self, key: Key) {
        let (before, behind) = (&self.before, &self.behind);
        let in_word = |c: char| !c.is_whitespace();
        // To which place in one of the two a key goes, or from which one it cuts.
        let left = match key {
            Key::Left | Key::Ctrl('B') | Key::Backspace => {
                before.char_indices().next_back().map(|(at, _)| at)
            }
            Key::Home | Key::Ctrl('A' | 'U') => Some(0),
            Key::WordLeft | Key::Alt('b') | Key::Ctrl('W') => {
                Some(before.trim_end().trim_end_matches(in_word).len())
            }
            _ => None,
        };
        let right = match key {
            Key::Right | Key::Ctrl('F' | 'D') | Key::Delete => behind.chars().next().map(char::len_utf8),
            Key::End | Key::Ctrl('E' | 'K') => Some(behind.len()),
            Key::WordRight | Key::Alt('f' | 'd') => {
                Some(behind.len() - behind.trim_start().trim_start_matches(in_word).len())
            }
            _ => None,
        };
        let cuts =
            matches!(key, Key::Backspace | Key::Delete | Key::Ctrl('U' | 'W' | 'D' | 'K') | Key::Alt('d'));
        if let Key::Char(c) = key {
            self.before.push(c);
        } else if let Some(place) = left {
            let passed = self.before.split_off(place);
            self.behind.insert_str(0, if cuts { "" } else { &passed });
        } else if let Some(place) = right {
            let passed: String = self.behind.drain(..place).collect();
            self.before += if cuts { "" } else { &passed };
        }
    }

    /// What of the line is shown in so many columns, and in which of them the cursor is then. A line that is too long
    /// moves to the left as far as the cursor needs it.
    #[cfg(feature = "prompt")]
    pub fn view(&self, room: usize) -> (String, usize) {
        let room = room.saturating_sub(1);
        let (mut before, mut cursor) = (self.before.chars(), columns(&self.before));
        while cursor > room {
            cursor -= before.next().map_or(cursor, width);
        }
        let line = before.as_str().to_string() + &self.behind;
        // A control character, which only history could bring in, is no business of the terminal.
        (cut(&line, room).replace(char::is_control, "\u{fffd}"), cursor)
    }
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
        let (before, all) = (&line.before, line.text());
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
