//! Waits for what comes by several connections at once: a client that follows more than one thing has no loop of its own.

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::os::fd::RawFd;

/// The connections, each with a number.
pub struct Waiting {
    poll: Poll,
    events: Events,
}

impl Waiting {
    /// For none yet.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new() -> io::Result<Waiting> {
        Ok(Waiting { poll: Poll::new()?, events: Events::with_capacity(64) })
    }

    /// Takes in one more; one that is closed goes by itself.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add(&self, fd: RawFd, number: usize) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&fd), Token(number), Interest::READABLE)
    }

    /// The numbers of those by which something has come since they were read to the end.
    ///
    /// # Errors
    /// The kernel refuses, or a signal came.
    pub fn wait(&mut self) -> io::Result<Vec<usize>> {
        self.poll.poll(&mut self.events, None)?;
        Ok(self.events.iter().map(|event| event.token().0).collect())
    }
}
