//! A web server that has two pages, for programs that ask for them every few seconds: `/metrics`, and `/health`.
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
use std::borrow::Cow;
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
const PLAIN: &str = "text/plain";

/// Why `/health` is none; `None`: all is well.
pub type Complaint<'a> = &'a dyn Fn() -> Option<String>;

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
    pub fn go_on(&mut self, now: Instant, complaint: Complaint<'_>) -> bool {
        let is_old = |(at, _): &mut (Instant, String)| now.saturating_duration_since(*at) >= FRESH;
        self.page.take_if(is_old);
        let page = self.page.as_ref().map(|(_, page)| page.as_str());
        let mut wanted = false;
        self.connections
            .retain_mut(|connection| connection.go_on(page, complaint, &mut wanted).unwrap_or(false));
        wanted
    }

    /// This is the page now.
    pub fn show(&mut self, now: Instant, page: String, complaint: Complaint<'_>) {
        self.page = Some((now, page));
        self.go_on(now, complaint);
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
    fn go_on(&mut self, page: Option<&str>, complaint: Complaint<'_>, wanted: &mut bool) -> io::Result<bool> {
        let mut buffer = [0; 2048];
        loop {
            if let Some(answer) = &mut self.answer {
                return Ok(!answer.flush(&mut self.stream)?);
            }
            if http::has_head(&self.request) || self.request.len() > LONGEST {
                self.answer = answer(&self.request, page, complaint).map(Outbox::new);
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

/// What is sent for a request; `None`: the page of metrics is needed for it.
pub fn answer(request: &[u8], page: Option<&str>, complaint: Complaint<'_>) -> Option<Vec<u8>> {
    let asked = http::request(request);
    let asked = asked.as_ref().map(|(method, path)| (method.as_str(), path.as_str()));
    let (status, kind, body) = match asked {
        _ if !http::has_head(request) => ("431 Request Header Fields Too Large", PLAIN, "too long\n".into()),
        None => ("400 Bad Request", PLAIN, "not an HTTP request\n".into()),
        Some(("GET" | "HEAD", "/metrics")) => ("200 OK", TYPE, Cow::from(page?)),
        Some(("GET" | "HEAD", "/health")) => match complaint() {
            None => ("200 OK", PLAIN, "healthy\n".into()),
            Some(why) => ("503 Service Unavailable", PLAIN, (why + "\n").into()),
        },
        Some(("GET" | "HEAD", _)) => ("404 Not Found", PLAIN, "there are /metrics and /health\n".into()),
        Some(_) => ("405 Method Not Allowed", PLAIN, "only GET is allowed\n".into()),
    };
    let body = text::to_bytes(&body);
    let length = body.len();
    let mut answer: Vec<u8> = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .into();
    if !matches!(asked, Some(("HEAD", _))) {
        answer.extend_from_slice(&body);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn said(request: &[u8]) -> String {
        String::from_utf8(answer(request, Some("page"), &|| None).unwrap()).unwrap()
    }

    #[test]
    fn metrics_are_a_page() {
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
    fn health_needs_no_page_and_is_asked_for_each_time() {
        let request = b"GET /health HTTP/1.1\r\n\r\n";
        let ask = |complaint: Complaint<'_>| answer(request, None, complaint).unwrap();
        let well = String::from_utf8(ask(&|| None)).unwrap();
        assert!(
            well.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n"),
            "{well}"
        );
        assert!(well.ends_with("\r\n\r\nhealthy\n"));
        // A name with a byte that is no UTF-8: the length is that of what is sent.
        let ill = ask(&|| Some("failing: \u{10f8ff}".into()));
        assert!(
            ill.starts_with(b"HTTP/1.1 503 Service Unavailable\r\n") && ill.ends_with(b"failing: \xff\n")
        );
        assert!(ill.windows(18).any(|part| part == b"Content-Length: 11"));
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
            if server.go_on(Instant::now(), &|| None) {
                server.show(Instant::now(), "page".into(), &|| None);
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
        assert_eq!(Server::open(&place).err().as_deref(), Some("another process listens there"));
        drop(server);
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        assert!(Server::open(&place).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
