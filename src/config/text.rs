//! Bytes that are no UTF-8, kept inside ordinary strings.
//!
//! A path, an argument or a variable of the environment may hold any byte. Circus uses Python's surrogate escapes for
//! that. Rust strings have no surrogates, so such a byte `b` stands as the private character `U+10F800 + b`
//! instead and turns into the byte again when it leaves circus. Input that holds one of these 256 characters itself
//! has its bytes kept the same way, so text from outside never holds one.

use std::borrow::Cow;

const BASE: u32 = 0x10_F800;

/// Text that stands for `bytes`; [`to_bytes`] gives the same bytes back.
pub fn from_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut valid = chunk.valid();
        while !valid.is_ascii()
            && let Some((at, c)) = valid.char_indices().find(|(_, c)| private(*c).is_some())
        {
            text.push_str(valid.get(..at).unwrap_or_default());
            push_bytes(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes());
            valid = valid.get(at + c.len_utf8()..).unwrap_or_default();
        }
        text.push_str(valid);
        push_bytes(&mut text, chunk.invalid());
    }
    text
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    text.extend(bytes.iter().filter_map(|b| char::from_u32(BASE + u32::from(*b))));
}

/// The number of a private character, if it is one.
fn private(c: char) -> Option<u8> {
    u32::from(c).checked_sub(BASE).and_then(|n| u8::try_from(n).ok())
}

/// The bytes that `text` stands for.
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if text.is_ascii() || text.chars().all(|c| byte_of(c).is_none()) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// The byte that a private character stands for.
fn byte_of(c: char) -> Option<u8> {
    private(c).filter(|byte| !byte.is_ascii())
}

/// At most so many characters of a text; dots tell that there are more.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most).and_then(|(end, _)| text.get(..end)) {
        Some(begin) => format!("{begin}...").into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive() {
        for bytes in [&b"plain"[..], "h\u{e9}".as_bytes(), b"\xff\x80a\xc3", b"", b"\xf4\x90\x80\x80"] {
            assert_eq!(&*to_bytes(&from_bytes(bytes)), bytes);
        }
        for private in ["\u{10f8ff}", "a\u{10f83b}b\u{10f900}"] {
            let text = from_bytes(private.as_bytes());
            assert_eq!(&*to_bytes(&text), private.as_bytes());
        }
    }
}
