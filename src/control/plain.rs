//! What a process has written, fit to be shown: without what would command the terminal.
//!
//! A child may write anything, and whoever looks at its output must not have a terminal recoloured, retitled or made
//! to type. Escape sequences and control characters go, in a pipe as well, where they would only wait for the next
//! terminal. Tabs stay. Of a line that was written over itself, as progress bars do it, the last state is left.

/// Where in an escape sequence a character stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In none.
    Text,
    /// Behind an escape character.
    Escape,
    /// In a control sequence, which ends with a letter or the like.
    Control,
    /// In a string for the terminal (a title, for example), which ends with BEL or ESC \.
    String,
    /// The same, behind an escape character.
    StringEscape,
}

/// The visible part of a line. Bytes that are no UTF-8 stand in it as [`crate::config::text`] has them.
pub fn plain(line: &str) -> String {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut shown = String::with_capacity(line.len());
    let mut state = State::Text;
    for c in line.chars() {
        state = match (state, c) {
            (State::Text | State::Escape | State::Control, '\x1b') => State::Escape,
            (State::String, '\x1b') => State::StringEscape,
            (State::String, '\x07' | '\u{9c}') | (State::StringEscape, '\\') => State::Text,
            (State::String | State::StringEscape, _) => State::String,
            (State::Escape, '[') => State::Control,
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::String,
            // Some sequences have a character more: ESC ( B.
            (State::Escape, ' '..='/') => State::Escape,
            (State::Control, ' '..='?') => State::Control,
            (State::Escape | State::Control, _) if !c.is_control() => State::Text,
            (_, '\u{9b}') => State::Control,
            (_, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => State::String,
            (_, '\r') => {
                shown.clear();
                State::Text
            }
            (_, '\t') => {
                shown.push(c);
                State::Text
            }
            // A byte that is no UTF-8 may be a control character to a terminal that knows no UTF-8.
            (_, '\u{10f880}'..='\u{10f89f}') => State::Text,
            _ if c.is_control() => State::Text,
            _ => {
                shown.push(c);
                State::Text
            }
        };
    }
    shown
}

/// The visible part of a text of several lines.
pub fn plain_text(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// JSON for a terminal. Its strings escape what is below U+0020; here the other control characters are escaped too, and,
/// if it is no JSON, all of them. So are the characters that stand for bytes that are no UTF-8: as such bytes they would
/// make it no JSON.
pub fn plain_json(json: &[u8]) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in String::from_utf8_lossy(json).chars() {
        match c {
            '\t' | '\n' => shown.push(c),
            // Between two values it may stand, and as an escape it might not.
            '\r' => shown.push(' '),
            '\u{10f880}'..='\u{10f8ff}' => {
                let units = &mut [0; 2];
                shown.extend(c.encode_utf16(units).iter().map(|unit| format!("\\u{unit:04x}")));
            }
            _ if c.is_control() => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => shown.push(c),
        }
    }
    shown
}

/// How many columns a character takes: none for marks upon another, two for those of East Asia and pictures.
pub fn width(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// The beginning of a text, in so many columns at most.
pub fn cut(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += width(*c);
        used > columns
    });
    end.map_or(text, |(end, _)| text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::text;

    #[test]
    fn nothing_that_commands_a_terminal_is_left() {
        for (line, shown) in [
            ("plain text, h\u{e9}", "plain text, h\u{e9}"),
            ("\x1b[0;31mred\x1b[m and\x1b[1;1H more", "red and more"),
            ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1bPq...\x1b\\c", "abc"),
            ("\x1b]0;never ended", ""),
            ("\x1b(Ba\x1b7b\x1b=c\x1bcd", "abcd"),
            ("\u{9b}31mred\u{9d}title\u{9c}x", "redx"),
            ("bell\x07 back\x08 del\x7f nul\0 tab\t.", "bell back del nul tab\t."),
            ("10%\r20%\r100%", "100%"),
            ("dos\r", "dos"),
            ("cut\x1b[", "cut"),
            ("cut\x1b", "cut"),
            ("\x1b[31\x1b[32mx", "x"),
        ] {
            assert_eq!(plain(line), shown, "{line:?}");
        }
    }

    #[test]
    fn bytes_stay_but_for_those_that_some_terminals_obey() {
        let line = text::from_bytes(b"caf\xe9 \x9b31m.\xff");
        assert_eq!(&*text::to_bytes(&plain(&line)), b"caf\xe9 31m.\xff");
    }

    #[test]
    fn each_line_of_a_text_is_made_plain() {
        assert_eq!(plain_text("\x1b[1ma\nb\r\n\n\x1b]0;x\nc"), "a\nb\n\n\nc");
    }

    #[test]
    fn json_stays_what_it_is_without_a_control_character() {
        let value = serde_json::json!({"a\u{9b}b": ["\u{85}\u{7f}\x1b[31m\n\t\"\\", 1.5], "c": {}});
        for line in [serde_json::to_vec(&value).unwrap(), serde_json::to_vec_pretty(&value).unwrap()] {
            let shown = plain_json(&line);
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
            assert_eq!(serde_json::from_slice::<serde_json::Value>(shown.as_bytes()).unwrap(), value);
        }
        let byte = serde_json::to_vec(&text::from_bytes(b"\x9b\xff")).unwrap();
        assert_eq!(plain_json(&byte), r#""\udbfe\udc9b\udbfe\udcff""#);
        assert_eq!(
            serde_json::from_str::<String>(&plain_json(&byte)).unwrap(),
            text::from_bytes(b"\x9b\xff")
        );
        assert_eq!(plain_json(b"{\"a\":\r\n1}\r"), "{\"a\": \n1} ");
        assert_eq!(plain_json(b"no \x1b[31mJSON\xff"), "no \\u001b[31mJSON\u{fffd}");
    }

    #[test]
    fn a_text_is_cut_by_the_width_of_its_characters() {
        assert_eq!(cut("abcdef", 5), "abcde");
        assert_eq!(cut("\u{4f60}\u{597d}x", 4), "\u{4f60}\u{597d}");
        assert_eq!(cut("\u{4f60}\u{597d}x", 3), "\u{4f60}");
    }

    #[test]
    fn no_bytes_give_a_control_character() {
        let mut seed = 3_u64;
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let n = (seed >> 33) as usize;
                bytes.push(b"\x1b\x1b[]\\;m\x07\x9b\xc2\r\nax\0"[n % 15]);
            }
            let shown = plain(&text::from_bytes(&bytes));
            assert!(!shown.chars().any(|c| c.is_control() && c != '\t'), "{bytes:?}");
            let raw = text::to_bytes(&shown);
            assert!(!raw.contains(&0x1b) && (!raw.contains(&0x9b) || std::str::from_utf8(&raw).is_ok()));
        }
    }
}
