//! Pipes, terminals, sockets and devices: circus's own standard output, and FIFOs named as files.
//!
//! The standard output is shared with whoever started circus, and O_NONBLOCK belongs to the shared open file, so it
//! must not be set there. Pipes and terminals are opened anew through /proc, which gives an open file of our own;
//! sockets take MSG_DONTWAIT. What can be neither (a pipe of another user, or no /proc) is asked by poll(2) before
//! each small write. Regular files have no readers to wait for.

use crate::host::files::{Location, id, open_anew};
use crate::sys::file::{PIPE_PIECE, is_writable};
use crate::sys::socket::send_nowait;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// How a write avoids waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The open file is our own and non-blocking, or a regular one.
    Write,
    /// MSG_DONTWAIT.
    Send,
    /// Asked before each piece.
    Ask,
}

/// A descriptor that has a reader.
pub struct Console {
    out: File,
    way: Way,
    /// It is a terminal.
    pub terminal: bool,
    /// Device and inode.
    pub id: (u64, u64),
}

impl Console {
    /// The console that stands on a descriptor shared with others.
    ///
    /// # Errors
    /// The descriptor cannot be duplicated.
    pub fn on(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let shared = File::from(fd.try_clone_to_owned()?);
        let metadata = shared.metadata()?;
        let (kind, id) = (metadata.file_type(), (metadata.dev(), metadata.ino()));
        let terminal = shared.is_terminal();
        let (out, way) = if kind.is_socket() {
            (shared, Way::Send)
        } else if kind.is_fifo() || kind.is_char_device() {
            match open_anew(&shared) {
                Ok(own) => (own, Way::Write),
                Err(_) => (shared, Way::Ask),
            }
        } else {
            (shared, Way::Write)
        };
        Ok(Console { out, way, terminal, id })
    }

    /// The FIFO or device at a path; a FIFO may belong to `user`, and need not have a reader yet.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path, user: u32) -> io::Result<Self> {
        let location = Location::find(path)?;
        // A FIFO can be opened for writing only while somebody reads, if only for this moment it is circus.
        let found = location.found().ok_or(io::ErrorKind::NotFound)?;
        let (fifo, id) = (found.file_type().is_fifo(), id(found));
        let reader = fifo.then(|| location.open_special(false, user)).transpose()?;
        let out = location.open_special(true, user)?;
        drop(reader);
        let terminal = out.is_terminal();
        Ok(Console { out, way: Way::Write, terminal, id })
    }

    /// Writes some of the bytes; `WouldBlock` where none can be written now.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.way {
            Way::Write => self.out.write(bytes),
            Way::Send => send_nowait(self.out.as_raw_fd(), bytes),
            Way::Ask if is_writable(self.out.as_raw_fd())? => {
                self.out.write(bytes.get(..PIPE_PIECE).unwrap_or(bytes))
            }
            Way::Ask => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// The descriptor, for interest in its being writable.
    pub fn fd(&self) -> RawFd {
        self.out.as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
