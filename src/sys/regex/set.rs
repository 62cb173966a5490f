//! Sets of characters, `[a-z_]` and `\d`: read in Python's notation, written in POSIX's. Pure text.

use super::translate::Input;

/// The character that a backslash and `escaped` stand for, outside of sets and within.
pub(super) fn literal_escape(escaped: char, input: &mut Input<'_>) -> Result<char, String> {
    match escaped {
        'n' => Ok('\n'),
        't' => Ok('\t'),
        'r' => Ok('\r'),
        'f' => Ok('\x0c'),
        'v' => Ok('\x0b'),
        'a' => Ok('\x07'),
        'x' => hexadecimal(input),
        '1'..='9' => Err(format!("a reference to a group, \\{escaped}, is not possible here")),
        _ if escaped.is_ascii_alphanumeric() => Err(format!("\\{escaped} is not known")),
        _ => Ok(escaped),
    }
}

fn hexadecimal(input: &mut Input<'_>) -> Result<char, String> {
    let digits: String = input.by_ref().take(2).collect();
    match u8::from_str_radix(&digits, 16) {
        Ok(byte @ 1..=127) if digits.len() == 2 => Ok(char::from(byte)),
        _ => Err(format!("\\x{digits} is not one of \\x01 to \\x7f")),
    }
}

/// A set of characters: which of ASCII, and whether all others.
#[derive(Clone, Copy, Default)]
pub(super) struct Set {
    ascii: u128,
    others: bool,
}

impl Set {
    /// The set that `\d` and the like stand for.
    pub(super) fn class(letter: char) -> Option<Self> {
        let contains: fn(u8) -> bool = match letter.to_ascii_lowercase() {
            'd' => |byte| byte.is_ascii_digit(),
            'w' => |byte| byte.is_ascii_alphanumeric() || byte == b'_',
            's' => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
            _ => return None,
        };
        let mut set = Set::default();
        (0..128).filter(|&byte| contains(byte)).for_each(|byte| set.insert(byte));
        Some(if letter.is_ascii_uppercase() { set.inverted() } else { set })
    }

    /// Reads a set behind its opening bracket.
    pub(super) fn parse(input: &mut Input<'_>) -> Result<Self, String> {
        let inverted = input.next_if_eq(&'^').is_some();
        let mut set = Set::default();
        let mut first = true;
        loop {
            let Some(next) = input.next() else { return Err(String::from("a [ is never closed")) };
            if next == ']' && !first {
                return Ok(if inverted { set.inverted() } else { set });
            }
            first = false;
            set.read_member(next, input)?;
        }
    }

    /// Reads a character, a class or a range that begins with `next`.
    fn read_member(&mut self, next: char, input: &mut Input<'_>) -> Result<(), String> {
        if let Some(class) = input.peek().and_then(|&letter| Set::class(letter)).filter(|_| next == '\\') {
            input.next();
            self.ascii |= class.ascii;
            self.others |= class.others;
            return Ok(());
        }
        let low = member(next, input)?;
        let mut ahead = input.clone();
        let range_end = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(end)) if end != ']' => end,
            _ => {
                self.insert(low);
                return Ok(());
            }
        };
        *input = ahead;
        let high = member(range_end, input)?;
        if low > high {
            return Err(format!("the range {}-{} is empty", char::from(low), char::from(high)));
        }
        (low..=high).for_each(|byte| self.insert(byte));
        Ok(())
    }

    fn insert(&mut self, byte: u8) {
        self.ascii |= 1_u128.checked_shl(byte.into()).unwrap_or(0);
    }

    fn contains(self, byte: u8) -> bool {
        self.ascii & 1_u128.checked_shl(byte.into()).unwrap_or(0) != 0
    }

    fn inverted(self) -> Self {
        Set { ascii: !self.ascii, others: !self.others }
    }

    /// The set in POSIX's notation, where a backslash is nothing special and only the order tells `]`, `^` and
    /// `-` from their meanings. Null, which no text has, is left out either way.
    pub(super) fn to_text(self) -> Result<String, String> {
        let listed = if self.others { self.inverted() } else { self };
        let has = |byte| listed.contains(byte);
        let plain = |&byte: &u8| has(byte) && !matches!(byte, b']' | b'[' | b'^' | b'-');
        let mut inside: String = if has(b']') { "]".into() } else { String::new() };
        inside.extend((1..128).filter(plain).map(char::from));
        if has(b'[') {
            inside.push('[');
        }
        match (has(b'^'), has(b'-')) {
            (true, true) if inside.is_empty() => inside.push_str("-^"),
            (true, false) if inside.is_empty() && !self.others => return Ok(String::from("\\^")),
            (caret, minus) => {
                inside.extend(caret.then_some('^'));
                inside.extend(minus.then_some('-'));
            }
        }
        match (inside.is_empty(), self.others) {
            (true, true) => Ok(String::from("(.|\n)")),
            (true, false) => Err(String::from("a set is empty")),
            (false, true) => Ok(format!("[^{inside}]")),
            (false, false) => Ok(format!("[{inside}]")),
        }
    }
}

/// One character of a set, which may be written with a backslash (`\b` is a backspace there).
fn member(next: char, input: &mut Input<'_>) -> Result<u8, String> {
    let literal = match next {
        '\\' => match input.next() {
            Some('b') => '\x08',
            Some(escaped) => literal_escape(escaped, input)?,
            None => return Err(String::from("a [ is never closed")),
        },
        _ => next,
    };
    match u8::try_from(literal) {
        Ok(byte) if byte.is_ascii() => Ok(byte),
        _ => Err(format!("{literal} in a set: only ASCII characters are possible there")),
    }
}
