//! Sockets that circus's own parent has opened and passed to it, as sd_listen_fds(3) says.
//!
//! They come at 3 and up, and LISTEN_PID says whom they are meant for. A section `[socket:x] inherit = NAME` takes
//! one. Their files are the parent's, and so is the end of their lives.

use super::LOWEST_FD;
use crate::config::options::socket as key;
use crate::config::{Names, SocketConfig};
use crate::sys::address::Address;
use crate::sys::socket::{self, Kind};
use crate::sys::{io_words, process};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// The number of the first one.
const FIRST: RawFd = 3;
/// More are not looked for, whatever the variable says.
const MOST: RawFd = 1024;

/// The sockets that nobody has taken yet.
#[derive(Default)]
pub struct Passed {
    sockets: Vec<Socket>,
    /// The numbers and names of what is open and no socket: it stays as it is.
    others: Vec<(RawFd, String)>,
}

struct Socket {
    number: RawFd,
    name: String,
    fd: OwnedFd,
}

impl Passed {
    /// All that circus's environment speaks of. To be called once, before circus opens anything itself and while it
    /// has the pid that it was started with.
    pub fn new(environ: &Names) -> Passed {
        // All are looked at before one is moved: it may get a number that the variable, which may say anything, goes on to.
        let mut open = Vec::new();
        let mut passed = Passed::default();
        for (number, name) in announced(environ, process::pid()) {
            // One that is not open is passed over, so that the others keep their names.
            match socket::is_socket(number) {
                Ok(true) => open.push((number, name)),
                Ok(false) => passed.others.push((number, name)),
                Err(_) => {}
            }
        }
        let adopt =
            |(number, name)| Some(Socket { number, name, fd: socket::adopt(number, LOWEST_FD).ok()? });
        passed.sockets = open.into_iter().filter_map(adopt).collect();
        passed
    }

    /// The socket for a section; `None` if it inherits none, or if none is there and it says where to bind one.
    ///
    /// # Errors
    /// A sentence without the name of the section.
    pub fn take(&mut self, config: &SocketConfig) -> Result<Option<(OwnedFd, Kind, Address)>, String> {
        let Some(wanted) = config.options.inherit.as_deref().map(str::trim) else { return Ok(None) };
        let mut named = self.sockets.iter().filter(|socket| socket.name == wanted);
        let (first, second) = (named.next(), named.next());
        if second.is_some() {
            return Err(format!("inherit = {wanted}: several descriptors have this name; give a number"));
        }
        let number = first.map(|socket| socket.number).or_else(|| wanted.parse().ok());
        let Some(place) = self.sockets.iter().position(|socket| Some(socket.number) == number) else {
            let other = self.others.iter().find(|(other, name)| Some(*other) == number || name == wanted);
            if let Some((number, _)) = other {
                return Err(format!(
                    "inherit = {wanted}: descriptor {number}, passed to circus, is not a socket"
                ));
            }
            return if config.has_address() { Ok(None) } else { Err(self.none(wanted)) };
        };
        let Socket { fd, number, .. } = self.sockets.remove(place);
        let what = examine(&fd, config);
        let (kind, address) =
            what.map_err(|why| format!("inherit = {wanted}: descriptor {number}, passed to circus, {why}"))?;
        Ok(Some((fd, kind, address)))
    }

    fn none(&self, wanted: &str) -> String {
        let rest = self.rest();
        let rest = if rest.is_empty() { "nothing (LISTEN_FDS, LISTEN_PID)".into() } else { rest };
        format!(
            "inherit = {wanted}: circus was passed {rest}; with host, port or path, circus binds a \
             socket itself then"
        )
    }

    /// Those that nobody has taken, by number and name.
    pub fn rest(&self) -> String {
        let words = |socket: &Socket| format!("{} {}", socket.number, socket.name).trim_end().to_string();
        self.sockets.iter().map(words).collect::<Vec<_>>().join(", ")
    }
}

/// What the variables announce to this process, by number and name.
pub fn announced(environ: &Names, pid: i32) -> impl Iterator<Item = (RawFd, String)> {
    let number = |name: &str| environ.get(name)?.parse::<i32>().ok();
    let count = number("LISTEN_FDS").filter(|_| number("LISTEN_PID") == Some(pid)).unwrap_or(0);
    let mut names = environ.get("LISTEN_FDNAMES").into_iter().flat_map(|names| names.split(':'));
    (FIRST..FIRST.saturating_add(count.min(MOST)))
        .map(move |number| (number, names.next().unwrap_or_default().to_string()))
}

/// Whether it is what the section asks for; only what the section says counts.
fn examine(fd: &OwnedFd, config: &SocketConfig) -> Result<(Kind, Address), String> {
    let options = &config.options;
    let (kind, listens) =
        socket::kind_of(fd.as_raw_fd()).map_err(|error| format!("is no socket: {}", io_words(&error)))?;
    let address = Address::of(fd.as_fd()).map_err(|error| io_words(&error))?;
    if config.says(key::kind) && kind != super::kind(&options.kind) {
        return Err(format!("is no {}", options.kind));
    }
    let family = super::family(&address);
    if (config.says(key::family) || options.path.is_some()) && family != options.family {
        return Err(format!("is of the family {family}, not {}", options.family));
    }
    if matches!(kind, Kind::Stream | Kind::Seqpacket) && !listens {
        return Err("does not listen".into());
    }
    process::set_nonblocking(fd.as_raw_fd(), !options.blocking).map_err(|error| io_words(&error))?;
    Ok((kind, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, options};
    use std::net::{TcpListener, TcpStream, UdpSocket};

    fn passed(sockets: Vec<(&str, OwnedFd)>) -> Passed {
        let socket =
            |((name, fd), number): ((&str, OwnedFd), RawFd)| Socket { number, name: name.into(), fd };
        Passed { sockets: sockets.into_iter().zip(FIRST..).map(socket).collect(), others: Vec::new() }
    }

    fn listener() -> OwnedFd {
        TcpListener::bind("127.0.0.1:0").unwrap().into()
    }

    fn section(inherit: &str, others: &[(&str, &str)]) -> SocketConfig {
        let mut config = SocketConfig::default();
        config.options.inherit = Some(inherit.into());
        for (key, value) in others {
            let row = options::find(options::SOCKET, key).unwrap();
            assert!(row.set(&mut config.options, &row.kind.parse(value).unwrap()));
            config.origins.keys.insert((*key).into(), Origin { file: "x".into(), line: 1 });
        }
        config
    }

    #[test]
    fn a_socket_is_taken_by_name_or_by_number_and_once() {
        let mut three = passed(vec![("web", listener()), ("", listener()), ("web2", listener())]);
        assert!(three.take(&section("web", &[])).unwrap().is_some());
        assert!(three.take(&section("4", &[])).unwrap().is_some());
        assert_eq!(three.rest(), "5 web2");
        let why = three.take(&section("web", &[])).err().unwrap();
        assert!(why.starts_with("inherit = web: circus was passed 5 web2;"), "{why}");
        assert!(three.take(&section("web", &[("port", "0")])).unwrap().is_none(), "it is bound then");
        let mut twice = passed(vec![("web", listener()), ("web", listener())]);
        assert!(twice.take(&section("web", &[])).err().unwrap().contains("several"));
        assert!(twice.take(&section("4", &[])).unwrap().is_some());
        assert!(Passed::default().take(&SocketConfig::default()).unwrap().is_none());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let why = |fd: OwnedFd, others: &[(&str, &str)]| {
            passed(vec![("a", fd)]).take(&section("a", others)).err().unwrap()
        };
        assert!(why(listener(), &[("type", "SOCK_DGRAM")]).ends_with("is no SOCK_DGRAM"));
        assert!(why(listener(), &[("family", "AF_UNIX")]).ends_with("is of the family AF_INET, not AF_UNIX"));
        assert!(why(std::fs::File::open("/dev/null").unwrap().into(), &[]).contains("is no socket"));
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        assert!(why(client.into(), &[]).ends_with("does not listen"));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap().into();
        let taken = passed(vec![("a", udp)]).take(&section("a", &[])).unwrap().unwrap();
        assert_eq!(taken.1, Kind::Dgram, "the type need not be said");
    }

    #[test]
    fn what_is_meant_for_others_is_not_touched() {
        let environ = |pid: &str| {
            Names::from_iter([("LISTEN_PID".into(), pid.into()), ("LISTEN_FDS".into(), "1".into())])
        };
        assert_eq!(Passed::new(&environ("1")).rest(), "");
        assert_eq!(Passed::new(&Names::new()).rest(), "");
    }
}
