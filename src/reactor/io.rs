//! Reading and writing without waiting.

use std::io::{ErrorKind, Read, Result, Write};

/// Reads one piece into the buffer. `None`: there is nothing at the moment; an empty piece: nothing more will come.
///
/// # Errors
/// It is broken.
pub fn read_piece<'a>(source: &mut dyn Read, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>> {
    loop {
        match source.read(buffer) {
            Ok(length) => return Ok(Some(buffer.get(..length).unwrap_or_default())),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// Bytes on their way out, as far as they could not be written yet.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    /// These are to be written.
    pub fn new(bytes: Vec<u8>) -> Outbox {
        Outbox { bytes, written: 0 }
    }

    /// Writes what can be written; true when that was all.
    ///
    /// # Errors
    /// It is broken.
    pub fn flush(&mut self, to: &mut dyn Write) -> Result<bool> {
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match to.write(rest) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
