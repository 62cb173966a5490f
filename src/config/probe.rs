//! What stands in `ready` and `health`: how one learns that a process does its work.
//!
//! Some kinds are told by the process itself; the others are questions that circus asks again and again. Variables
//! that differ from process to process (`$(circus.wid)`, `$(circus.pid)`) are replaced here.

use super::expand::expand;
use super::number;
use super::url::{self, Place};

/// The numbers of descriptors that `fd:N` may name.
const DESCRIPTORS: core::ops::RangeInclusive<i64> = 3..=1023;

/// Said where `log:REGEX` finds no output.
pub const NOTHING_TO_READ: &str =
    "`ready = log:REGEX` reads the output of the processes: it needs a stdout_stream or a stderr_stream";

/// How one learns that a process does its work.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// It sends READY=1 to NOTIFY_SOCKET.
    Notify,
    /// It writes a newline to this descriptor.
    Fd(i32),
    /// It writes a line in which this regular expression is found.
    Log(String),
    /// It has run for so many seconds.
    After(f64),
    /// Somebody accepts connections there.
    Connect(Place),
    /// The web server there answers the request with a status from 200 to 399.
    Http(Place, String),
    /// This command exits with code 0.
    Exec(String),
}

impl Probe {
    /// Reads the text of an option for one process.
    ///
    /// # Errors
    /// A phrase that completes "`key = text` ...".
    pub fn parse(text: &str, wid: u32, pid: i32) -> Result<Probe, String> {
        let text = text.trim();
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let rest = &expand(rest.trim(), &|name| match name.to_ascii_lowercase().as_str() {
            "wid" => Some(wid.to_string()),
            "pid" => Some(pid.to_string()),
            _ => None,
        });
        let path = rest.strip_prefix("//").unwrap_or(rest);
        match kind {
            "notify" if rest.is_empty() => Ok(Probe::Notify),
            "fd" => match number::whole(rest).filter(|number| DESCRIPTORS.contains(number)) {
                Some(number) => Ok(Probe::Fd(number as i32)),
                None => Err(format!(
                    "has no number from {} to {} behind `fd:`",
                    DESCRIPTORS.start(),
                    DESCRIPTORS.end()
                )),
            },
            "log" if !rest.is_empty() => Ok(Probe::Log(rest.clone())),
            "after" => match number::parse(rest) {
                Some(seconds) if seconds >= 0.0 => Ok(Probe::After(seconds)),
                _ => Err("has no number of seconds behind `after:`".into()),
            },
            "tcp" => match url::listen(path)? {
                place @ Place::Inet(_) => Ok(Probe::Connect(place)),
                Place::Unix(_) => Err("is a path: write `unix:PATH`".into()),
            },
            "unix" if path.starts_with('/') => Ok(Probe::Connect(Place::Unix(path.into()))),
            "unix" => Err("has no path that begins with / behind `unix:`".into()),
            "http" | "https" => http(kind, rest),
            "exec" if !rest.is_empty() => Ok(Probe::Exec(rest.clone())),
            _ => {
                Err("is none of notify, fd:N, tcp:HOST:PORT, unix:PATH, http:URL, log:REGEX, exec:COMMAND, \
                      after:SECONDS"
                    .into())
            }
        }
    }

    /// The same, whatever the process is.
    ///
    /// # Errors
    /// As [`Probe::parse`].
    pub fn of_any(text: &str) -> Result<Probe, String> {
        Probe::parse(text, 1, 1)
    }

    /// Whether circus has to ask; else it is told, or waits.
    pub fn is_asked(&self) -> bool {
        match self {
            Probe::Connect(_) | Probe::Http(..) | Probe::Exec(_) => true,
            Probe::Notify | Probe::Fd(_) | Probe::Log(_) | Probe::After(_) => false,
        }
    }
}

/// Whether this can be a value of `ready`.
///
/// # Errors
/// As [`Probe::parse`].
pub fn ready(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Ok(()) } else { Probe::of_any(text).map(drop) }
}

/// Whether this can be a value of `health`.
///
/// # Errors
/// As [`Probe::parse`].
pub fn health(text: &str) -> Result<(), String> {
    if text.trim().is_empty() || Probe::of_any(text)?.is_asked() {
        return Ok(());
    }
    Err("is no question that can be asked again, as tcp:HOST:PORT, unix:PATH, http:URL and exec:COMMAND are; \
         `watchdog` is for what a process says itself"
        .into())
}

/// Why a process cannot tell by this descriptor that it is ready, when so many sockets stand from 3 on.
pub fn collision(fd: i32, sockets: usize) -> Option<String> {
    let last = sockets + 2;
    let text = || format!("`ready = fd:{fd}` is the number of a socket: they stand at 3 to {last}");
    (fd as usize <= last).then(text)
}

/// The command of a probe, if it is one. Its variables are replaced when it is run.
pub fn command(text: &str) -> Option<&str> {
    text.trim().strip_prefix("exec:").map(str::trim)
}

/// `http:URL` or `http:http://...`, and the URL alone.
fn http(kind: &str, rest: &str) -> Result<Probe, String> {
    let secure = kind == "https" || rest.starts_with("https:");
    if secure {
        return Err("is not possible: circus does not speak TLS; `exec:curl -fsS URL` does".into());
    }
    let bare = rest.strip_prefix("http://").or(rest.strip_prefix("//")).unwrap_or(rest);
    let whole = format!("http://{bare}");
    let url = url::parse(&whole, "http://", 80)?;
    Ok(Probe::Http(url.place.clone(), url.request()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(text: &str, wanted: Probe) {
        assert_eq!(Probe::parse(text, 3, 77), Ok(wanted), "{text}");
    }

    #[test]
    fn all_kinds_are_read() {
        let inet = |text: &str| Place::Inet(text.parse().unwrap());
        is("notify", Probe::Notify);
        is("fd:3", Probe::Fd(3));
        is("log: listening on .*", Probe::Log("listening on .*".into()));
        is("after:1.5", Probe::After(1.5));
        is("tcp:127.0.0.1:80", Probe::Connect(inet("127.0.0.1:80")));
        is("tcp://localhost:80", Probe::Connect(inet("127.0.0.1:80")));
        is("tcp:[::1]:808$(circus.wid)", Probe::Connect(inet("[::1]:8083")));
        is("unix:/run/w-$(circus.pid)", Probe::Connect(Place::Unix("/run/w-77".into())));
        is("exec:true x", Probe::Exec("true x".into()));
        for text in ["http://localhost:81/up", "http:http://localhost:81/up", "http:localhost:81/up"] {
            let Ok(Probe::Http(place, request)) = Probe::of_any(text) else { panic!("{text}") };
            assert_eq!(place, inet("127.0.0.1:81"), "{text}");
            assert!(request.starts_with("GET /up HTTP/1.0\r\nHost: localhost:81\r\n"), "{request}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, wanted) in [
            ("yes", "is none of notify, fd:N"),
            ("notify:1", "is none of"),
            ("fd:2", "has no number from 3 to 1023"),
            ("fd:x", "has no number from 3 to 1023"),
            ("log:", "is none of"),
            ("after:soon", "has no number of seconds"),
            ("after:-1", "has no number of seconds"),
            ("tcp:80", "is neither ADDRESS:PORT"),
            ("tcp:/run/x", "is a path: write `unix:PATH`"),
            ("tcp:example.org:80", url::NO_NAMES),
            ("unix:x", "has no path"),
            ("https://localhost/", "is not possible: circus does not speak TLS; `exec:curl"),
            ("http:https://localhost/", "is not possible"),
            ("http:example.org", url::NO_NAMES),
            ("exec:", "is none of"),
        ] {
            assert!(Probe::of_any(text).unwrap_err().starts_with(wanted), "{text}");
        }
        assert!(health("notify").unwrap_err().contains("watchdog"));
        assert!(health("after:3").is_err() && health("tcp:127.0.0.1:1$(circus.wid)").is_ok());
        assert_eq!((command(" exec: a b"), command("tcp:x")), (Some("a b"), None));
    }
}
