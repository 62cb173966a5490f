//! A web server that has one page, for programs that ask for it every few seconds.
//!
//! It never waits and keeps little: so many connections and no more, of which the oldest makes way, a request that has
//! an end, and a page that is not made anew for each of many who ask at once.

use crate::config::text;
use crate::config::url::Place;
use crate::host::endpoint::Acceptor;
use crate::parts::sockets::{OwnFile, Owner, claim};
use crate::reactor::part::Poller;
use crate::sys::address::Address;
use crate::sys::io_words;
use crate::sys::socket::SocketSpec;
use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The most connections at a time.
const MOST: usize = 32;
/// How many are accepted in a turn.
const ACCEPTS: usize = 64;
/// The longest request, in bytes.
const LONGEST: usize = 8192;
/// For so long a page is as good as a new one.
const FRESH: Duration = Duration::from_millis(500);

const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The server.
pub struct Server {
    acceptor: Acceptor,
    _file: Option<OwnFile>,
    connections: Vec<Connection>,
    page: Option<(Instant, String)>,
}

struct Connection {
    /// Whatever kind of socket it is: it is only read from and written to.
    stream: UnixStream,
    request: Vec<u8>,
    answer: Vec<u8>,
    written: usize,
}

impl Server {
    /// Listens there.
    ///
    /// # Errors
    /// A phrase.
    pub fn open(place: &Place) -> Result<Server, String> {
        let (acceptor, file) = match place {
            Place::Inet(address) => {
                let listener = TcpListener::bind(address).map_err(|error| io_words(&error))?;
                listener.set_nonblocking(true).map_err(|error| io_words(&error))?;
                (Acceptor::Tcp(listener), None)
            }
            Place::Unix(path) => {
                let path = PathBuf::from(OsStr::from_bytes(&text::to_bytes(path)));
                let spec = SocketSpec::unix(Address::Unix(path), 0o600);
                let (fd, mut file) =
                    claim(&spec, false, Owner::Circus).map_err(|obstacle| obstacle.to_string())?;
                file.iter_mut().for_each(OwnFile::keep);
                (Acceptor::Unix(fd.into()), file)
            }
        };
        Ok(Server { acceptor, _file: file, connections: Vec::new(), page: None })
    }

    /// The socket on which connections come in.
    pub fn fd(&self) -> RawFd {
        self.acceptor.fd()
    }

    /// Does what can be done without waiting. New connections are waited for by this number, `page` makes the page. False when
    /// there is more to be done at once.
    pub fn go_on(&mut self, (poll, id): (Poller<'_>, u32), page: &dyn Fn() -> String) -> bool {
        let all = self.accept(poll, id);
        let now = Instant::now();
        let fresh = |(at, _): &(Instant, String)| now.saturating_duration_since(*at) < FRESH;
        let mut kept = self.page.take().filter(fresh);
        self.connections.retain_mut(|connection| {
            let made = &mut || kept.get_or_insert_with(|| (now, page())).1.clone();
            connection.go_on(made).unwrap_or(false)
        });
        self.page = kept;
        all
    }

    fn accept(&mut self, poll: Poller<'_>, id: u32) -> bool {
        for _ in 0..ACCEPTS {
            // Whatever else than "none" keeps one from being accepted: the next one that comes is an event again.
            let Ok(stream) = self.acceptor.accept() else { return true };
            if self.connections.len() >= MOST {
                self.connections.remove(0);
            }
            if poll.watch_both(stream.as_raw_fd(), id).is_ok() {
                let (request, answer) = (Vec::new(), Vec::new());
                self.connections.push(Connection { stream, request, answer, written: 0 });
            }
        }
        false
    }
}

impl Connection {
    /// Reads and writes what can be read and written; false when it is over.
    fn go_on(&mut self, page: &mut dyn FnMut() -> String) -> io::Result<bool> {
        let mut buffer = [0; 2048];
        while self.answer.is_empty() {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => self.request.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
            if is_whole(&self.request) || self.request.len() > LONGEST {
                self.answer = answer(&self.request, page);
            }
        }
        while let Some(rest) = self.answer.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// Whether the head of a request has come to its end.
fn is_whole(request: &[u8]) -> bool {
    request.windows(4).any(|four| four == b"\r\n\r\n") || request.windows(2).any(|two| two == b"\n\n")
}

/// What is sent for a request.
fn answer(request: &[u8], page: &mut dyn FnMut() -> String) -> Vec<u8> {
    let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let protocol = words.next().is_some_and(|word| word.starts_with("HTTP/"));
    let (status, body) = match (method, path) {
        _ if !is_whole(request) => ("431 Request Header Fields Too Large", "too long\n".into()),
        _ if !protocol => ("400 Bad Request", "no request of HTTP\n".into()),
        ("GET" | "HEAD", "/metrics") => ("200 OK", page()),
        ("GET" | "HEAD", _) => ("404 Not Found", "there is /metrics\n".into()),
        _ => ("405 Method Not Allowed", "there is GET\n".into()),
    };
    let kind = if status == "200 OK" { TYPE } else { "text/plain" };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let body = if method == "HEAD" { String::new() } else { body };
    text::to_bytes(&(head + &body)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn said(request: &[u8]) -> String {
        String::from_utf8(answer(request, &mut || "page".into())).unwrap()
    }

    #[test]
    fn there_is_one_page() {
        let whole = said(b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.ends_with("\r\n\r\npage"), "{whole}");
        assert!(whole.contains("Content-Length: 4\r\n"));
        assert!(said(b"HEAD /metrics HTTP/1.0\n\n").ends_with("close\r\n\r\n"));
        for (request, status) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"GET /metrics\r\n\r\n", "400"),
            (b"\xff\xfe\r\n\r\n", "400"),
            (b"GET /metrics HTTP/1.1\r\nX: ", "431"),
        ] {
            assert!(said(request).starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}");
        }
    }

    #[test]
    fn connections_that_say_nothing_make_way() {
        let poll = mio::Poll::new().unwrap();
        let mut server = Server::open(&Place::Inet("127.0.0.1:0".parse().unwrap())).unwrap();
        let Acceptor::Tcp(listener) = &server.acceptor else { panic!() };
        let address = listener.local_addr().unwrap();
        let silent: Vec<TcpStream> = (0..MOST + 5).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut asking = TcpStream::connect(address).unwrap();
        asking.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        asking.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let mut answer = Vec::new();
        while asking.read_to_end(&mut answer).is_err() {
            server.go_on((Poller::of(poll.registry()), 0), &|| "page".into());
            assert!(server.connections.len() <= MOST);
        }
        assert!(answer.ends_with(b"\r\n\r\npage"));
        drop(silent);
    }

    #[test]
    fn a_socket_that_is_left_over_is_no_hindrance() {
        let path = std::env::temp_dir().join(format!("circus-server-{}", std::process::id()));
        let place = Place::Unix(path.to_str().unwrap().into());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let server = Server::open(&place).unwrap();
        assert_eq!(Server::open(&place).err().as_deref(), Some("somebody else listens there"));
        drop(server);
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        assert!(Server::open(&place).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
