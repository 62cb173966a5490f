//! A web server that has one page, for programs that ask for it every few seconds.
//!
//! It never waits and keeps little: so many connections and no more, of which the oldest makes way, a request that has
//! an end, and a page that is not made anew for each of many who ask at once.

use crate::config::text;
use crate::config::url::Place;
use crate::control::http;
use crate::host::files::OwnFile;
use crate::host::listen::{self, Acceptor};
use crate::reactor::io::{Outbox, read_piece};
use crate::reactor::part::Poller;
use crate::sys::address::Address;
use crate::sys::io_words;
use crate::sys::socket::SocketSpec;
use std::ffi::OsStr;
use std::io;
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
    answer: Option<Outbox>,
}

impl Server {
    /// Listens there.
    ///
    /// # Errors
    /// A phrase.
    pub fn open(place: &Place) -> Result<Server, String> {
        let (acceptor, file) = match place {
            Place::Inet(address) => {
                let listener = listen::port(*address).map_err(|failed| io_words(&failed.error))?;
                (Acceptor::Tcp(listener), None)
            }
            Place::Unix(path) => {
                let path = PathBuf::from(OsStr::from_bytes(&text::to_bytes(path)));
                let spec = SocketSpec::unix(Address::Unix(path), 0o600);
                let (fd, file) = listen::take(&spec).map_err(|obstacle| obstacle.to_string())?;
                (Acceptor::Unix(fd.into()), file)
            }
        };
        Ok(Server { acceptor, _file: file, connections: Vec::new(), page: None })
    }

    /// The socket on which connections come in.
    pub fn fd(&self) -> RawFd {
        self.acceptor.fd()
    }

    /// Does what can be done without waiting. True: the page is wanted, and to be given by [`Server::show`].
    pub fn go_on(&mut self, now: Instant) -> bool {
        let is_old = |(at, _): &mut (Instant, String)| now.saturating_duration_since(*at) >= FRESH;
        self.page.take_if(is_old);
        let page = self.page.as_ref().map(|(_, page)| page.as_str());
        let mut wanted = false;
        self.connections.retain_mut(|connection| connection.go_on(page, &mut wanted).unwrap_or(false));
        wanted
    }

    /// This is the page now.
    pub fn show(&mut self, now: Instant, page: String) {
        self.page = Some((now, page));
        self.go_on(now);
    }

    /// Takes in those who wait. They are looked at by this number. False when there may be more.
    pub fn accept(&mut self, poll: Poller<'_>, id: u32) -> bool {
        for _ in 0..ACCEPTS {
            // Whatever else than "none" keeps one from being accepted: the next one that comes is an event again.
            let Ok(stream) = self.acceptor.accept() else { return true };
            if self.connections.len() >= MOST {
                self.connections.remove(0);
            }
            if poll.watch_both(stream.as_raw_fd(), id).is_ok() {
                self.connections.push(Connection { stream, request: Vec::new(), answer: None });
            }
        }
        false
    }
}

impl Connection {
    /// Reads and writes what can be read and written; false when it is over.
    fn go_on(&mut self, page: Option<&str>, wanted: &mut bool) -> io::Result<bool> {
        let mut buffer = [0; 2048];
        loop {
            if let Some(answer) = &mut self.answer {
                return Ok(!answer.flush(&mut self.stream)?);
            }
            if http::has_head(&self.request) || self.request.len() > LONGEST {
                self.answer = answer(&self.request, page).map(Outbox::new);
                if self.answer.is_none() {
                    *wanted = true;
                    return Ok(true);
                }
                continue;
            }
            let Some(piece) = read_piece(&mut self.stream, &mut buffer)? else { return Ok(true) };
            if piece.is_empty() {
                return Ok(false);
            }
            self.request.extend_from_slice(piece);
        }
    }
}

/// What is sent for a request; `None`: the page is needed for it.
pub fn answer(request: &[u8], page: Option<&str>) -> Option<Vec<u8>> {
    let asked = http::request(request);
    let asked = asked.as_ref().map(|(method, path)| (method.as_str(), path.as_str()));
    let (status, body) = match asked {
        _ if !http::has_head(request) => ("431 Request Header Fields Too Large", "too long\n"),
        None => ("400 Bad Request", "no request of HTTP\n"),
        Some(("GET" | "HEAD", "/metrics")) => ("200 OK", page?),
        Some(("GET" | "HEAD", _)) => ("404 Not Found", "there is /metrics\n"),
        Some(_) => ("405 Method Not Allowed", "there is GET\n"),
    };
    let kind = if status == "200 OK" { TYPE } else { "text/plain" };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let body = if asked.is_some_and(|(method, _)| method == "HEAD") { "" } else { body };
    Some(text::to_bytes(&(head + body)).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn said(request: &[u8]) -> String {
        String::from_utf8(answer(request, Some("page")).unwrap()).unwrap()
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
            server.accept(Poller::of(poll.registry()), 0);
            if server.go_on(Instant::now()) {
                server.show(Instant::now(), "page".into());
            }
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
