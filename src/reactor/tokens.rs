//! What the loop waits for: descriptors, and the tokens by which the kernel names them.

use crate::arbiter::{Pid, WatcherId};
use crate::parts::streams::PipeId;
use crate::reactor::eventloop::Daemon;
use mio::unix::SourceFd;
use mio::{Interest, Token};
use std::io;
use std::os::fd::RawFd;

/// What a descriptor is to the loop; the lowest bits of its token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Signals,
    Listener,
    Pipe,
    Target,
    Client,
    Log,
    Helper,
    Socket,
    Builtin,
    Notices,
    Newline,
    Probe,
}

const SOURCES: [Source; 12] = [
    Source::Signals,
    Source::Listener,
    Source::Pipe,
    Source::Target,
    Source::Client,
    Source::Log,
    Source::Helper,
    Source::Socket,
    Source::Builtin,
    Source::Notices,
    Source::Newline,
    Source::Probe,
];

fn token(source: Source, id: u32) -> Token {
    Token((id as usize) << 4 | source as usize)
}

pub(crate) fn source(token: Token) -> Option<(Source, u32)> {
    Some((*SOURCES.get(token.0 & 15)?, u32::try_from(token.0 >> 4).ok()?))
}

impl Daemon {
    pub(crate) fn watch(&self, fd: RawFd, source: Source, id: u32, interest: Interest) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&fd), token(source, id), interest)
    }

    pub(crate) fn watch_listener(&self, fd: RawFd, number: u32) -> io::Result<()> {
        self.watch(fd, Source::Listener, number, Interest::READABLE)
    }

    pub(crate) fn watch_pipe(&self, fd: RawFd, id: PipeId) -> io::Result<()> {
        self.watch(fd, Source::Pipe, id.0, Interest::READABLE)
    }

    pub(crate) fn watch_helper_pipe(&self, fd: RawFd, id: u32) -> io::Result<()> {
        self.watch(fd, Source::Helper, id, Interest::READABLE)
    }

    pub(crate) fn watch_socket(&self, fd: RawFd) -> io::Result<()> {
        self.watch(fd, Source::Socket, fd.unsigned_abs(), Interest::READABLE)
    }

    pub(crate) fn watch_client(&self, fd: RawFd, id: u32) -> io::Result<()> {
        self.watch(fd, Source::Client, id, Interest::READABLE | Interest::WRITABLE)
    }

    pub(crate) fn watch_builtin(&self, fd: RawFd, id: WatcherId) -> io::Result<()> {
        self.watch(fd, Source::Builtin, id.0, Interest::READABLE | Interest::WRITABLE)
    }

    pub(crate) fn watch_notices(&self, fd: RawFd) -> io::Result<()> {
        self.watch(fd, Source::Notices, 0, Interest::READABLE)
    }

    pub(crate) fn watch_newline(&self, fd: RawFd, pid: Pid) -> io::Result<()> {
        self.watch(fd, Source::Newline, pid.unsigned_abs(), Interest::READABLE)
    }

    pub(crate) fn watch_probe(&self, fd: RawFd, id: u32) -> io::Result<()> {
        self.watch(fd, Source::Probe, id, Interest::READABLE | Interest::WRITABLE)
    }

    /// Stops waiting for a descriptor that is about to be closed or has nothing to say.
    pub(crate) fn unwatch(&self, fd: RawFd) {
        // It fails only when the descriptor was not registered, and then there is nothing to undo.
        let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
    }

    /// Waits for places that cannot take more output at the moment.
    pub(crate) fn watch_stalled(&mut self) {
        for (id, fd) in self.streams.take_stalled() {
            // A descriptor that cannot be waited for is tried again by next_retry.
            let _ = self.watch(fd, Source::Target, id.0, Interest::WRITABLE);
        }
        if let Some(fd) = self.log.take_stalled() {
            let _ = self.watch(fd, Source::Log, 0, Interest::WRITABLE);
        }
    }
}
