//! Where the control socket is: what `--endpoint`, `CIRCUSCTL_ENDPOINT` and `endpoint =` mean, and the places that
//! hold when nothing was said. Pure; the daemon and `circus ctl` both ask here, so that they meet.

/// The longest path of a Unix socket, in bytes.
const LONGEST: usize = 107;

/// The port that is Circus's own endpoint.
const PORT: u16 = 5555;

/// Where a control socket stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file.
    Path(String),
    /// A name in the abstract namespace, without the `@`.
    Abstract(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Path(path) => f.write_str(path),
            Place::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

/// A directory that holds control sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Its path.
    pub path: String,
    /// It lies where anybody may make one of that name: only one with mode 0700 that belongs to the user may be used.
    pub exposed: bool,
}

/// The directory of a user's control sockets; `runtime` is `XDG_RUNTIME_DIR`.
pub fn directory(uid: u32, runtime: Option<&str>) -> Directory {
    match runtime {
        _ if uid == 0 => Directory { path: "/run/circus".into(), exposed: false },
        Some(runtime) if runtime.starts_with('/') => {
            Directory { path: format!("{}/circus", runtime.trim_end_matches('/')), exposed: false }
        }
        _ => Directory { path: format!("/tmp/circus-{uid}"), exposed: true },
    }
}

/// Who serves a control socket, or looks for one.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The user.
    pub uid: u32,
    /// `XDG_RUNTIME_DIR`.
    pub runtime: Option<&'a str>,
    /// A number of the container that this is, which others that have the same abstract names do not share.
    pub container: u64,
}

/// The file in a default directory that an endpoint means; `None` if it says itself where the control socket is.
///
/// # Errors
/// A sentence, when the text is no endpoint.
pub fn default_file(endpoint: Option<&str>) -> Result<Option<String>, String> {
    match endpoint.map(str::trim).filter(|text| !text.is_empty()).map(port).transpose()? {
        None | Some(Some(Port { number: PORT, .. })) => Ok(Some("circus.sock".into())),
        Some(Some(Port { number, .. })) => Ok(Some(format!("circus-{number}.sock"))),
        Some(None) => Ok(None),
    }
}

/// The places that an endpoint means, best first: a client tries them in turn, the daemon serves the first, or the
/// second if it is a spare one ([`Place::Abstract`] behind a path). None: there is no control socket (`endpoint = none`).
///
/// # Errors
/// A sentence, when the text is no endpoint.
pub fn places(endpoint: Option<&str>, around: Around<'_>) -> Result<Vec<Place>, String> {
    if let Some(file) = default_file(endpoint)? {
        return Ok(by_default(&file, around));
    }
    let text = endpoint.unwrap_or_default().trim();
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    let place = text.strip_prefix("ipc://").or_else(|| text.strip_prefix("unix://")).unwrap_or(text);
    if place.contains("://") || place.starts_with("unix:") || place.starts_with("ipc:") {
        return Err(format!(
            "the endpoint {text} is none of ipc://PATH, unix://PATH, PATH, @NAME, tcp://HOST:PORT"
        ));
    }
    let (name, place) = match place.strip_prefix('@') {
        Some(name) => (name, Place::Abstract(name.into())),
        None => (place, Place::Path(place.into())),
    };
    match crate::config::text::to_bytes(name).len() {
        0 => Err(format!("the endpoint {text} names no file")),
        1..=LONGEST => Ok(vec![place]),
        _ => Err(format!("the endpoint {text} is too long: a socket's path has at most {LONGEST} bytes")),
    }
}

/// A TCP port and the host that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port<'a> {
    /// A name, an address, in brackets if it is one of IPv6, or `*`.
    pub host: &'a str,
    /// The number.
    pub number: u16,
}

/// The port that an endpoint names, if it is one that begins with `tcp://`.
///
/// # Errors
/// A sentence, when it names none.
pub fn port(endpoint: &str) -> Result<Option<Port<'_>>, String> {
    let Some(address) = endpoint.trim().strip_prefix("tcp://") else { return Ok(None) };
    let parts = address.trim_end_matches('/').rsplit_once(':');
    let port = parts.and_then(|(host, number)| Some(Port { host, number: number.parse().ok()? }));
    port.map(Some).ok_or_else(|| format!("the endpoint {endpoint} has no port (tcp://HOST:PORT)"))
}

/// A file in the user's directory, then in root's; each with the name that takes its place where the directory cannot be
/// used.
fn by_default(file: &str, around: Around<'_>) -> Vec<Place> {
    let of = |uid, runtime| {
        let path = format!("{}/{file}", directory(uid, runtime).path);
        [Place::Path(path), Place::Abstract(format!("circus/{uid}/{}/{file}", around.container))]
    };
    let mut places = of(around.uid, around.runtime).to_vec();
    if around.uid != 0 {
        places.extend(of(0, None));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(endpoint: &str) -> Result<Vec<String>, String> {
        let around = Around { uid: 0, runtime: None, container: 9 };
        let is_spare = |place: &&Place| place.to_string().starts_with("@circus/0/9/");
        Ok(places(Some(endpoint), around)?
            .iter()
            .filter(|place| !is_spare(place))
            .map(Place::to_string)
            .collect())
    }

    #[test]
    fn every_form_is_understood() {
        for (text, expected) in [
            ("ipc:///x/y", "/x/y"),
            ("unix:///x/y", "/x/y"),
            ("/x/y", "/x/y"),
            ("sock", "sock"),
            ("@name", "@name"),
            ("ipc://@name", "@name"),
            ("tcp://127.0.0.1:5555", "/run/circus/circus.sock"),
            ("tcp://[::1]:6000", "/run/circus/circus-6000.sock"),
            ("tcp://*:1/", "/run/circus/circus-1.sock"),
        ] {
            assert_eq!(of(text), Ok(vec![expected.to_string()]), "{text}");
        }
        assert_eq!(of("none"), Ok(vec![]));
        for bad in [
            "ipc://",
            "unix:/x/y",
            "ipc:x",
            "@",
            "udp://x:1",
            "tcp://host",
            "tcp://host:x",
            "tcp://h:70000",
            &"x".repeat(108),
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn users_have_places_of_their_own() {
        let of = |endpoint, uid, runtime| {
            let around = Around { uid, runtime, container: 9 };
            let places = places(endpoint, around).unwrap();
            places.iter().map(Place::to_string).collect::<Vec<_>>().join(" ")
        };
        let root = "/run/circus/circus.sock @circus/0/9/circus.sock";
        assert_eq!(of(None, 0, Some("/run/user/0")), root);
        let own = "/run/user/7/circus/circus.sock @circus/7/9/circus.sock";
        assert_eq!(of(None, 7, Some("/run/user/7/")), format!("{own} {root}"));
        for runtime in [None, Some(""), Some("relative")] {
            assert!(of(Some(" "), 7, runtime).starts_with("/tmp/circus-7/circus.sock @"));
        }
        let port = of(Some("tcp://localhost:6000"), 0, None);
        assert_eq!(port, "/run/circus/circus-6000.sock @circus/0/9/circus-6000.sock");
        assert!(
            directory(7, None).exposed && !directory(7, Some("/r")).exposed && !directory(0, None).exposed
        );
    }
}
