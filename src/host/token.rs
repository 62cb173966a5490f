//! Reads the token by which a client on a port shows that it may command circus: for the daemon, and for `circus ctl`.

use crate::config::text;
use crate::sys::{file, io_words, user};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The shortest token, which nobody guesses, and the longest, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=1024;

/// The token in a file that belongs to root or this user, and that nobody else may read.
///
/// # Errors
/// A sentence that names the file.
pub fn read(path: &str) -> Result<String, String> {
    let of_system = |error: std::io::Error| format!("the token {path}: {}", io_words(&error));
    let bytes = text::to_bytes(path);
    let file = file::open_regular(Path::new(OsStr::from_bytes(&bytes))).map_err(of_system)?;
    let meta = file.metadata().map_err(of_system)?;
    if meta.mode() & 0o077 != 0 || ![0, user::current_uid()].contains(&meta.uid()) {
        return Err(format!(
            "the token {path}: others may read it; it has to have mode 600, and be root's or this user's"
        ));
    }
    let mut token = String::new();
    file.take(*LENGTHS.end() as u64 + 2).read_to_string(&mut token).map_err(of_system)?;
    let found = token_in(&token).map(Into::into);
    found.ok_or_else(|| {
        format!("the token {path}: it has to have from 16 to 1024 bytes (openssl rand -hex 32)")
    })
}

/// The token in the text of a file; none if that is too short or too long to be one.
pub fn token_in(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|token| LENGTHS.contains(&token.len()))
}
