//! One question to a server and its answer, over TCP or a Unix socket, without ever waiting for either.

use crate::config::text;
use crate::config::url::Place;
use crate::host::trouble::Trouble;
use crate::reactor::io::{Outbox, read_piece};
use crate::reactor::part::Poller;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;

/// The longest answer, in bytes.
const LONGEST: usize = 256 * 1024;

/// A connection on which a question is being asked.
pub struct TcpClient {
    /// Whatever kind of socket it is: it is only read from and written to.
    stream: UnixStream,
    question: Outbox,
    answer: Vec<u8>,
}

impl TcpClient {
    /// Begins to connect; the socket is looked at by this number.
    ///
    /// # Errors
    /// What has kept it from that.
    pub fn begin(place: &Place, question: Vec<u8>, poll: Poller<'_>, id: u32) -> Result<TcpClient, Trouble> {
        let fd: io::Result<OwnedFd> = match place {
            Place::Inet(address) => mio::net::TcpStream::connect(*address).map(OwnedFd::from),
            Place::Unix(path) => {
                mio::net::UnixStream::connect(OsStr::from_bytes(&text::to_bytes(path))).map(OwnedFd::from)
            }
        };
        let stream: UnixStream = fd?.into();
        // Nobody but circus can be to blame for this.
        let watched = poll.watch_both(stream.as_raw_fd(), id);
        watched.map_err(|error| Trouble { shortage: true, ..error.into() })?;
        Ok(TcpClient { stream, question: Outbox::new(question), answer: Vec::new() })
    }

    /// What has come so far.
    pub fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// Whether the other side has accepted the connection. To be asked when it can be written to.
    ///
    /// # Errors
    /// Why not.
    #[cfg(feature = "health")]
    pub fn is_accepted(&self) -> Result<bool, Trouble> {
        match self.stream.take_error() {
            Ok(None) => Ok(true),
            Ok(Some(error)) | Err(error) => Err(error.into()),
        }
    }

    /// Writes and reads what can be written and read. True when the answer is there, which is so at the latest when the
    /// other side has nothing more to say.
    ///
    /// # Errors
    /// What has ended it.
    pub fn go_on(&mut self, is_complete: &dyn Fn(&[u8]) -> bool) -> Result<bool, Trouble> {
        self.question.flush(&mut self.stream)?;
        let mut buffer = [0; 4096];
        while let Some(piece) = read_piece(&mut self.stream, &mut buffer)? {
            self.answer.extend_from_slice(piece);
            if piece.is_empty() || is_complete(&self.answer) {
                return Ok(true);
            }
            if self.answer.len() > LONGEST {
                return Err(format!("the answer is longer than {LONGEST} bytes").into());
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn begin(place: &Place, question: &[u8]) -> Result<TcpClient, Trouble> {
        let poll = mio::Poll::new().unwrap();
        TcpClient::begin(place, question.to_vec(), Poller::of(poll.registry()), 0)
    }

    fn to(listener: &TcpListener) -> TcpClient {
        begin(&Place::Inet(listener.local_addr().unwrap()), b"question\n").unwrap()
    }

    /// Tries again until something has come of it.
    fn end(exchange: &mut TcpClient, complete: usize) -> Result<(), Trouble> {
        while !exchange.go_on(&|answer| answer.len() >= complete)? {
            std::thread::yield_now();
        }
        Ok(())
    }

    #[test]
    fn a_question_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut exchange = to(&listener);
        assert_eq!(exchange.go_on(&|_| true), Ok(false), "nothing has come");
        let (mut server, _) = listener.accept().unwrap();
        let reader = std::thread::spawn(move || {
            let mut question = [0; 9];
            server.read_exact(&mut question).unwrap();
            assert_eq!(&question, b"question\n");
            server
        });
        while !reader.is_finished() {
            assert_eq!(exchange.go_on(&|_| true), Ok(false));
        }
        let mut server = reader.join().unwrap();
        server.write_all(b"answer").unwrap();
        assert_eq!(end(&mut exchange, 6), Ok(()));
        assert_eq!(exchange.answer(), b"answer");
        drop(server);
        assert_eq!(end(&mut exchange, 100), Ok(()), "no more will come");
    }

    #[test]
    fn endless_answers_and_missing_servers_are_errors() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut exchange = to(&listener);
        let (mut server, _) = listener.accept().unwrap();
        let writer = std::thread::spawn(move || while server.write_all(&[b'x'; 10_000]).is_ok() {});
        let error = end(&mut exchange, usize::MAX).unwrap_err().why;
        assert!(error.starts_with("the answer is longer"), "{error}");
        drop(exchange);
        writer.join().unwrap();
        let place = Place::Inet(listener.local_addr().unwrap());
        drop(listener);
        let refused = begin(&place, b"x").and_then(|mut exchange| end(&mut exchange, 1));
        assert_eq!(refused.unwrap_err(), Trouble::from("Connection refused".to_string()));
        let missing = begin(&Place::Unix("/nonexistent/socket".into()), b"");
        assert_eq!(missing.err(), Some("No such file or directory".to_string().into()));
    }
}
