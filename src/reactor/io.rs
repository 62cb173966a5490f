//! Reading and writing without waiting.

use std::io::{ErrorKind, Read, Result};

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

/// An empty buffer larger than this is given back.
const KEEP: usize = 4096;
/// So much of what is written is thrown away while there is more to write.
const WRITTEN: usize = 256 * 1024;

/// Bytes on their way out, as far as they could not be written yet.
#[cfg(any(feature = "health", feature = "plugins"))]
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    written: usize,
}

#[cfg(any(feature = "health", feature = "plugins"))]
impl Outbox {
    /// These are to be written.
    pub fn new(bytes: Vec<u8>) -> Outbox {
        Outbox { bytes, written: 0 }
    }

    /// So are these, after the others.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many are still to be written.
    pub fn queued(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// How much memory they take.
    pub fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Writes what can be written; true when that was all.
    ///
    /// # Errors
    /// It is broken.
    pub fn flush(&mut self, to: &mut dyn std::io::Write) -> Result<bool> {
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match to.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.written > WRITTEN {
                        self.bytes.drain(..self.written);
                        self.written = 0;
                    }
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        self.bytes = if self.bytes.capacity() > KEEP { Vec::new() } else { std::mem::take(&mut self.bytes) };
        self.bytes.clear();
        self.written = 0;
        Ok(true)
    }
}
