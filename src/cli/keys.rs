//! What a terminal sends, as keys.

use std::io::Read;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character of text.
    Char(char),
    /// Ctrl and a letter, which stands here in upper case. Enter is Ctrl-M, TAB is Ctrl-I.
    Ctrl(char),
    /// Alt and a character, or Escape before it.
    Alt(char),
    /// Delete to the left.
    Backspace,
    /// Delete to the right.
    Delete,
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow.
    Left,
    /// Arrow.
    Right,
    /// Arrow with Ctrl or Alt.
    WordLeft,
    /// Arrow with Ctrl or Alt.
    WordRight,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// Nothing that is known here.
    Other,
}

/// Reads what was typed; false at the end of it.
pub fn read(typed: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut bytes = [0; 256];
    match std::io::stdin().lock().read(&mut bytes) {
        Ok(length) => {
            typed.extend_from_slice(bytes.get(..length).unwrap_or_default());
            Ok(length > 0)
        }
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(true),
        Err(error) => Err(error),
    }
}

/// Takes the first key out of the bytes that came; `None` when they are not yet one.
pub fn take(bytes: &mut Vec<u8>) -> Option<Key> {
    let (key, length) = match bytes.as_slice() {
        [] | [0x1b] => return None,
        [0x1b, b'[' | b'O', rest @ ..] => {
            let (key, length) = sequence(rest)?;
            (key, length + 2)
        }
        [0x1b, 0x7f | 0x08, ..] => (Key::Ctrl('W'), 2),
        [0x1b, byte, ..] => (Key::Alt(char::from(*byte)), 2),
        [0x7f | 0x08, ..] => (Key::Backspace, 1),
        [byte @ 0..0x20, ..] => (Key::Ctrl(char::from(byte + 0x40)), 1),
        some => character(some)?,
    };
    bytes.drain(..length);
    Some(key)
}

/// What follows the beginning of an escape sequence: parameters, then one byte that ends it.
fn sequence(bytes: &[u8]) -> Option<(Key, usize)> {
    let end = bytes.iter().position(|byte| (0x40..0x7f).contains(byte))?;
    let modified = bytes.get(..end).is_some_and(|parameters| parameters.contains(&b';'));
    let key = match (bytes.get(end)?, bytes.first()?) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if modified => Key::WordRight,
        (b'D', _) if modified => Key::WordLeft,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', b'1' | b'7') => Key::Home,
        (b'F', _) | (b'~', b'4' | b'8') => Key::End,
        (b'~', b'3') => Key::Delete,
        (b'~', b'5') => Key::PageUp,
        (b'~', b'6') => Key::PageDown,
        _ => Key::Other,
    };
    Some((key, end + 1))
}

/// A character of one to four bytes; bytes that are none are passed over.
fn character(bytes: &[u8]) -> Option<(Key, usize)> {
    let some = bytes.get(..bytes.len().min(4)).unwrap_or(bytes);
    let valid = match std::str::from_utf8(some) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(some.get(..error.valid_up_to())?).unwrap_or_default()
        }
        // The rest of the character is still to come.
        Err(error) if error.error_len().is_none() => return None,
        Err(_) => return Some((Key::Other, 1)),
    };
    valid.chars().next().map(|c| (Key::Char(c), c.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> (Vec<Key>, usize) {
        let mut bytes = bytes.to_vec();
        let keys = std::iter::from_fn(|| take(&mut bytes)).collect();
        (keys, bytes.len())
    }

    #[test]
    fn bytes_are_keys() {
        use Key::*;
        let cases: &[(&[u8], &[Key])] = &[
            (b"aZ ", &[Char('a'), Char('Z'), Char(' ')]),
            (
                "h\u{e9}\u{4f60}\u{1f600}".as_bytes(),
                &[Char('h'), Char('\u{e9}'), Char('\u{4f60}'), Char('\u{1f600}')],
            ),
            (b"\x01\x05\x09\x0d\x0a", &[Ctrl('A'), Ctrl('E'), Ctrl('I'), Ctrl('M'), Ctrl('J')]),
            (b"\x7f\x08\x1b\x7f", &[Backspace, Backspace, Ctrl('W')]),
            (b"\x1b[A\x1b[B\x1b[C\x1b[D\x1bOA", &[Up, Down, Right, Left, Up]),
            (b"\x1b[1;5C\x1b[1;3D", &[WordRight, WordLeft]),
            (b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1bOH\x1b[8~", &[Home, End, Home, End, Home, End]),
            (b"\x1b[3~\x1b[5~\x1b[6~\x1b[9~\x1bb", &[Delete, PageUp, PageDown, Other, Alt('b')]),
            (b"a\xffb", &[Char('a'), Other, Char('b')]),
        ];
        for (bytes, wanted) in cases {
            assert_eq!(keys(bytes), (wanted.to_vec(), 0), "{bytes:?}");
        }
    }

    #[test]
    fn half_a_key_is_waited_for() {
        for bytes in [&b"\x1b"[..], b"\x1b[", b"\x1b[1;", b"\xc3", b"\xf0\x9f\x98"] {
            assert_eq!(keys(bytes), (vec![], bytes.len()), "{bytes:?}");
        }
    }
}
