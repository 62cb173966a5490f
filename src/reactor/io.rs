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

/// An empty buffer larger than this is given back.
const KEEP: usize = 4096;
/// So much of what is written is thrown away while there is more to write.
const WRITTEN: usize = 256 * 1024;

/// Bytes on their way out, as far as they could not be written yet.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    /// These are to be written.
    #[cfg(any(feature = "health", feature = "plugins"))]
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
    pub fn flush(&mut self, to: &mut dyn Write) -> Result<bool> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes and then no more for now.
    struct Narrow(Vec<u8>, usize);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            let most = (self.1 - self.0.len()).min(7).min(bytes.len());
            self.0.extend_from_slice(&bytes[..most]);
            if most == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(most) }
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_written_waits_and_gives_its_memory_back() {
        let all: Vec<u8> = (0..=255).cycle().take(3 * WRITTEN).collect();
        let (mut out, mut to) = (Outbox::default(), Narrow(Vec::new(), 0));
        all.chunks(WRITTEN).for_each(|chunk| out.push(chunk));
        for room in [0, 5, 2 * WRITTEN] {
            to.1 = room;
            assert!(!out.flush(&mut to).unwrap());
            assert_eq!((to.0.len(), out.queued()), (room, all.len() - room));
        }
        out.push(b"end");
        to.1 = usize::MAX;
        assert!(out.flush(&mut to).unwrap());
        assert!(to.0.starts_with(&all) && to.0.ends_with(b"end") && to.0.len() == all.len() + 3);
        assert_eq!((out.queued(), out.held()), (0, 0));
    }
}
