//! The addresses that plugins are given: hosts, and what stands in `check_url` and `redis_url`.
//!
//! Names of hosts are not looked up: circus has one thread, and an answer may take its time. Of `core::net` only the
//! types of addresses are used, which touch nothing.

use super::number;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What is said of a name: the end of a sentence.
pub const NO_NAMES: &str =
    "is not an IP address: circus resolves no names except localhost, since that could block it";

const NO_PORT: &str = "has no port after its colon";

/// Where something is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address and a port.
    Inet(SocketAddr),
    /// The path of a Unix socket.
    Unix(String),
}

/// Something to ask for, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// Where.
    pub place: Place,
    /// What stands before the `@`: `PASSWORD`, or `USER:PASSWORD`, each to be [`decoded`].
    pub login: Option<&'a str>,
    /// The host, as it is called, with its port.
    pub host: &'a str,
    /// Everything behind it.
    pub path: &'a str,
}

impl Url<'_> {
    /// The request for it, as a client of HTTP sends it that wants one answer.
    pub fn request(&self) -> String {
        let path = self.path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let (host, end) = (self.host, "User-Agent: circus\r\nConnection: close\r\n\r\n");
        format!("GET {slash}{path} HTTP/1.0\r\nHost: {host}\r\n{end}")
    }
}

/// The address of a host. `[::1]` may have its brackets.
pub fn ip(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if bare == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { bare.parse().ok() }
}

/// What `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT` names, unless what follows the colon is no port.
pub fn host_and_port(text: &str, port: u16) -> Option<(&str, u16)> {
    match text.rsplit_once(':') {
        Some((host, digits)) if !digits.contains(']') => Some((host, port_of(digits)?)),
        _ => Some((text, port)),
    }
}

fn port_of(digits: &str) -> Option<u16> {
    number::whole(digits).and_then(|number| u16::try_from(number).ok())
}

/// Whether the HOST of a `tcp://HOST:PORT` endpoint is this machine, and no other can reach it.
pub fn is_local(host: &str) -> bool {
    host == "localhost" || host.starts_with("127.") || matches!(host, "[::1]" | "::1")
}

/// Reads `SCHEME[LOGIN@]HOST[:PORT][/PATH]`, or `unix://[LOGIN@]PATH` if the scheme is not that of a web server.
///
/// # Errors
/// A phrase that completes "`key = text` ...".
pub fn parse<'a>(text: &'a str, scheme: &str, port: u16) -> Result<Url<'a>, String> {
    let is_web = scheme == "http://";
    let of_unix = text.strip_prefix("unix://").filter(|_| !is_web);
    let Some(rest) = of_unix.or_else(|| text.strip_prefix(scheme)) else {
        let tls = text.starts_with("https://") || text.starts_with("rediss://");
        let why = "is not possible: circus does not speak TLS; a plugin `cmd = ...` can run curl";
        return Err(if tls { why.into() } else { format!("does not begin with {scheme}") });
    };
    if rest.bytes().any(|byte| byte <= b' ') {
        return Err("holds a blank".into());
    }
    let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
    if is_web && login.is_some() {
        return Err("holds a user, which is not possible here".into());
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if of_unix.is_some() {
        let path = path.split('?').next().unwrap_or_default();
        return Ok(Url { place: Place::Unix(path.into()), login, host, path });
    }
    let (name, port) = host_and_port(host, port).ok_or(NO_PORT)?;
    let ip = ip(name).ok_or(NO_NAMES)?;
    Ok(Url { place: Place::Inet(SocketAddr::new(ip, port)), login, host, path })
}

/// Reads a place to listen at: `ADDRESS:PORT`, or a path.
///
/// # Errors
/// A phrase that completes "`key = text` ...".
pub fn listen(text: &str) -> Result<Place, String> {
    if text.starts_with('/') {
        return Ok(Place::Unix(text.into()));
    }
    let (host, port) =
        text.rsplit_once(':').ok_or("is neither ADDRESS:PORT nor a path that begins with /")?;
    Ok(Place::Inet(SocketAddr::new(ip(host).ok_or(NO_NAMES)?, port_of(port).ok_or(NO_PORT)?)))
}

/// The bytes of a part of a URL, in which `%` and two hexadecimal digits stand for one of them.
pub fn decoded(part: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    while let [first, behind @ ..] = rest {
        let (byte, left) = match behind {
            [high, low, left @ ..] if *first == b'%' => match digit(*high).zip(digit(*low)) {
                Some((high, low)) => ((high << 4 | low) as u8, left),
                None => (*first, behind),
            },
            _ => (*first, behind),
        };
        bytes.push(byte);
        rest = left;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(text: &str, scheme: &str, place: &str, login: Option<&str>, host: &str, path: &str) {
        let place = place.parse().map_or_else(|_| Place::Unix(place.into()), Place::Inet);
        let port = if scheme == "http://" { 80 } else { 6379 };
        assert_eq!(parse(text, scheme, port), Ok(Url { place, login, host, path }), "{text}");
    }

    #[test]
    fn urls_are_read() {
        let web = "http://";
        read("http://localhost/", web, "127.0.0.1:80", None, "localhost", "/");
        read("http://10.0.0.1:8080", web, "10.0.0.1:8080", None, "10.0.0.1:8080", "");
        read("http://[::1]:81/a?b=c", web, "[::1]:81", None, "[::1]:81", "/a?b=c");
        read("http://127.0.0.1?x", web, "127.0.0.1:80", None, "127.0.0.1", "?x");
        let redis = "redis://";
        read("redis://localhost:6379/0", redis, "127.0.0.1:6379", None, "localhost:6379", "/0");
        read("redis://[::1]", redis, "[::1]:6379", None, "[::1]", "");
        read("redis://me:a@b@10.0.0.1", redis, "10.0.0.1:6379", Some("me:a@b"), "10.0.0.1", "");
        read("unix://:pw@/run/r.sock?db=1", redis, "/run/r.sock", Some(":pw"), "", "/run/r.sock");
    }

    #[test]
    fn a_password_may_have_any_byte() {
        for (part, bytes) in [
            ("a%3Ab%2f%40", &b"a:b/@"[..]),
            ("%ff%", b"\xff%"),
            ("100%", b"100%"),
            ("%4x%%41", b"%4x%A"),
            ("", b""),
        ] {
            assert_eq!(decoded(part), bytes, "{part}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for (text, wanted) in [
            ("https://localhost/", "is not possible: circus does not speak TLS"),
            ("rediss://localhost/", "is not possible: circus does not speak TLS"),
            ("localhost", "does not begin with http://"),
            ("unix:///run/x", "does not begin with http://"),
            ("http://example.org/", NO_NAMES),
            ("http://localhost:http/", "has no port"),
            ("http://localhost:99999/", "has no port"),
            ("http://me:pw@localhost/", "holds a user"),
            ("http://localhost/a b", "holds a blank"),
            ("http:///", NO_NAMES),
        ] {
            assert!(parse(text, "http://", 80).unwrap_err().starts_with(wanted), "{text}");
        }
    }
}
