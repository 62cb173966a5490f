//! The addresses that plugins are given: hosts, and what stands in `check_url` and `redis_url`.
//!
//! Names of hosts are not looked up: circus has one thread, and an answer may take its time. Of `core::net` only the
//! types of addresses are used, which touch nothing.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What is said of a name: the end of a sentence.
pub const NO_NAMES: &str =
    "is no address: circus looks up no names but localhost, since that could hold it up";

/// Where something is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address and a port.
    Inet(SocketAddr),
    /// The path of a Unix socket.
    Unix(String),
}

/// What is asked of a web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where it is.
    pub place: Place,
    /// The host, as it is called.
    pub host: String,
    /// The path, with what follows a question mark.
    pub path: String,
}

/// A Redis server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Where it is.
    pub place: Place,
    /// The user, often empty, and the password.
    pub login: Option<(String, String)>,
}

/// The address of a host. `[::1]` may have its brackets.
pub fn ip(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if bare == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { bare.parse().ok() }
}

/// Reads `http://HOST[:PORT][/PATH]`.
///
/// # Errors
/// A phrase that completes "`check_url = text` ...".
pub fn http(text: &str) -> Result<Http, String> {
    if text.starts_with("https://") {
        return Err(
            "is not possible: circus does not speak TLS; write a plugin `cmd = ...` that runs curl".into()
        );
    }
    let rest = text.strip_prefix("http://").ok_or("does not begin with http://")?;
    if rest.contains(|c: char| c.is_ascii_control() || c == ' ') {
        return Err("holds a blank; write %20".into());
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (host, path) =
        rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len())).unwrap_or((rest, ""));
    if host.contains('@') {
        return Err("holds a user, which is not possible here".into());
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Http { place: inet(host, 80)?, host: host.into(), path: format!("{slash}{path}") })
}

/// Reads `redis://[USER:PASSWORD@]HOST[:PORT][/DB]` or `unix://[USER:PASSWORD@]PATH`. The number of the database is of
/// no account: INFO is about all of them.
///
/// # Errors
/// A phrase that completes "`redis_url = text` ...".
pub fn redis(text: &str) -> Result<Redis, String> {
    if text.starts_with("rediss://") {
        return Err("is not possible: circus does not speak TLS".into());
    }
    let of_unix = text.strip_prefix("unix://");
    let rest =
        of_unix.or(text.strip_prefix("redis://")).ok_or("begins neither with redis:// nor with unix://")?;
    let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
    let login = login.map(|login| {
        let (user, password) = login.split_once(':').unwrap_or(("", login));
        (user.to_string(), password.to_string())
    });
    let rest = rest.split('?').next().unwrap_or_default();
    let place = match of_unix {
        Some(_) if rest.starts_with('/') => Place::Unix(rest.into()),
        Some(_) => return Err("needs a path that begins with /".into()),
        None => inet(rest.split('/').next().unwrap_or_default(), 6379)?,
    };
    Ok(Redis { place, login })
}

/// `HOST[:PORT]`.
fn inet(text: &str, port: u16) -> Result<Place, String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, digits)) if !digits.ends_with(']') => {
            (host, digits.parse().map_err(|_| "has a port that is none".to_string())?)
        }
        _ => (text, port),
    };
    let ip = ip(host).ok_or(NO_NAMES)?;
    Ok(Place::Inet(SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Place {
        Place::Inet(text.parse().unwrap())
    }

    #[test]
    fn web_servers_are_read() {
        for (text, place, host, path) in [
            ("http://localhost/", "127.0.0.1:80", "localhost", "/"),
            ("http://10.0.0.1:8080", "10.0.0.1:8080", "10.0.0.1:8080", "/"),
            ("http://[::1]:81/a?b=c#d", "[::1]:81", "[::1]:81", "/a?b=c"),
            ("http://127.0.0.1?x", "127.0.0.1:80", "127.0.0.1", "/?x"),
        ] {
            let found = http(text).unwrap();
            assert_eq!((found.place, found.host.as_str(), found.path.as_str()), (at(place), host, path));
        }
        for (text, wanted) in [
            ("https://localhost/", "is not possible: circus does not speak TLS"),
            ("localhost", "does not begin with http://"),
            ("http://example.org/", NO_NAMES),
            ("http://localhost:http/", "has a port"),
            ("http://localhost:99999/", "has a port"),
            ("http://me:pw@localhost/", "holds a user"),
            ("http://localhost/a b", "holds a blank"),
            ("http:///", NO_NAMES),
        ] {
            assert!(http(text).unwrap_err().starts_with(wanted), "{text}");
        }
    }

    #[test]
    fn redis_servers_are_read() {
        let login = |user: &str, password: &str| Some((user.to_string(), password.to_string()));
        for (text, place, of) in [
            ("redis://localhost:6379/0", at("127.0.0.1:6379"), None),
            ("redis://[::1]", at("[::1]:6379"), None),
            ("redis://:secret@localhost:7/1", at("127.0.0.1:7"), login("", "secret")),
            ("redis://me:a:b@10.0.0.1", at("10.0.0.1:6379"), login("me", "a:b")),
            ("unix:///run/redis.sock?db=1", Place::Unix("/run/redis.sock".into()), None),
            ("unix://:pw@/run/r", Place::Unix("/run/r".into()), login("", "pw")),
        ] {
            assert_eq!(redis(text), Ok(Redis { place, login: of }), "{text}");
        }
        for text in ["rediss://localhost", "localhost", "redis://redis", "unix://r", "redis://localhost:x"] {
            assert!(redis(text).is_err(), "{text}");
        }
    }
}
