//! Bytes that are no UTF-8, kept inside ordinary strings.
//!
//! A path, an argument or a variable of the environment may hold any byte. Circus uses Python's surrogate escapes for
//! that. Rust strings have no surrogates, so such a byte `b` stands as the private character `U+10F800 + b`
//! instead, which nothing else uses, and turns into the byte again when it leaves circus.

use std::borrow::Cow;

const BASE: u32 = 0x10_F800;

/// Text that stands for `bytes`; [`to_bytes`] gives the same bytes back.
pub fn from_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|b| char::from_u32(BASE + u32::from(*b))));
    }
    text
}

/// The bytes that `text` stands for.
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if text.chars().all(|c| byte_of(c).is_none()) {
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
    u32::from(c).checked_sub(BASE).filter(|n| (0x80..=0xFF).contains(n)).and_then(|n| u8::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive() {
        for bytes in [&b"plain"[..], "h\u{e9}".as_bytes(), b"\xff\x80a\xc3", b"", b"\xf4\x90\x80\x80"] {
            assert_eq!(&*to_bytes(&from_bytes(bytes)), bytes);
        }
    }
}
