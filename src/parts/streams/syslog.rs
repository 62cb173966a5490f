//! SyslogStream: messages to a syslog daemon, one datagram each: by its local socket as syslog(3) writes them, by UDP as
//! RFC 5424 says, which daemons expect from the network only.
//!
//! A datagram is sent at once or not at all. A local daemon that is slow or gone is waited for as any other reader: the
//! newest messages are kept, and what is dropped is counted. What the network loses nobody knows.

use super::destination::Place;
use crate::config::ini::shorten;
use crate::config::options::{FACILITY, SEVERITY};
use crate::config::url::ip;
use crate::config::{StreamConfig, syslog as log_url, text};
use crate::host::listen;
use crate::host::resolve;
use crate::parts::log::Level;
use crate::sys::clock;
use std::ffi::OsStr;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::rc::Rc;

/// Where messages go when nothing else is said.
const DEFAULT_ADDRESS: &str = "/dev/log";
/// The port of syslog.
const PORT: u16 = 514;
/// What every receiver must take, in bytes.
const LEAST: usize = 480;

/// Where a syslog daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A local socket.
    Path(PathBuf),
    /// UDP.
    Udp(SocketAddr),
}

impl Address {
    /// The address that a configuration names: a path, or `HOST:PORT`, `HOST` being an IP address or localhost.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn of(name: Option<&str>) -> Result<Self, String> {
        let name = name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_ADDRESS);
        if name.starts_with('/') {
            return Ok(Address::Path(OsStr::from_bytes(&text::to_bytes(name)).into()));
        }
        let rest = name.strip_prefix("udp://").unwrap_or(name);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
            _ => (rest, Some(PORT)),
        };
        match (ip(host), port) {
            (Some(ip), Some(port)) => Ok(Address::Udp(SocketAddr::new(ip, port))),
            (None, _) => Err(format!(
                "address = {}: give a path, or an IP address; names are not looked up",
                shorten(name)
            )),
            (_, None) => Err(format!("address = {}: the port is not a number up to 65535", shorten(name))),
        }
    }

    /// Whether it is the socket of a daemon on this machine.
    pub fn is_local(&self) -> bool {
        matches!(self, Address::Path(_))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Path(path) => write!(f, "the syslog socket {}", path.display()),
            Address::Udp(address) => write!(f, "syslog at {address}"),
        }
    }
}

/// The format of the time in local messages, which is that of this machine's zone.
pub const LOCAL_TIME: &str = "%b %e %H:%M:%S";

/// What stands around the time and the number of the process at the beginning of a message. A local daemon knows the name
/// of this machine.
pub fn around(config: &StreamConfig, watcher: &str, local: bool) -> [String; 3] {
    let options = &config.options;
    let number = |words: &[&str], word: &Option<Box<str>>, default: &str| {
        let word = word.as_deref().unwrap_or(default);
        words.iter().position(|known| *known == word).unwrap_or(0)
    };
    let facility = number(FACILITY, &options.facility, "daemon");
    let priority = facility * 8 + number(SEVERITY, &options.severity, "info");
    let tag = word(options.tag.as_deref().filter(|tag| !tag.is_empty()).unwrap_or(watcher), 48);
    if local {
        // They end a tag there.
        let tag = tag.replace([':', '[', ']'], "_");
        return [format!("<{priority}>"), format!(" {tag}["), "]: ".into()];
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    [format!("<{priority}>1 "), format!(" {} {tag} ", word(host.trim(), 255)), " - - ".into()]
}

/// Text as a field of a message: printable ASCII without blanks, `-` for nothing.
fn word(text: &str, most: usize) -> String {
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let word: String = text.chars().take(most).map(printable).collect();
    if word.is_empty() { "-".into() } else { word }
}

/// What a message of circus's own log begins with.
pub fn head_of_log(facility: u8, level: Level, local: bool, pid: u32, now: i64) -> String {
    let priority = facility * 8 + severity(level);
    match local {
        true => format!("<{priority}>{} circus[{pid}]:", clock::strftime(LOCAL_TIME, now)),
        // As Circus has it.
        false => format!("<{priority}>{} circus[{pid}]", clock::strftime("%b %d %H:%M:%S", now)),
    }
}

/// The severity that syslog has for a level.
pub fn severity(level: Level) -> u8 {
    match level {
        Level::Debug => 7,
        Level::Info => 6,
        Level::Warning => 4,
        Level::Error => 3,
        Level::Critical => 2,
    }
}

/// The syslog daemon that an address means, and the facility. The name of a host is looked up now, and never again.
///
/// # Errors
/// It is none, or the host is not found.
pub fn daemon(url: &str, may_wait: bool) -> Result<(Place, u8), String> {
    let found = log_url::parse(url)?;
    let address = match found.place {
        log_url::Place::Path(path) => Address::Path(OsStr::from_bytes(&text::to_bytes(path)).into()),
        log_url::Place::Host(host, port) => {
            let resolve = |v6| resolve::first(host, v6, may_wait);
            let ip = resolve(false).or_else(|why| resolve(true).map_err(|_| why))?;
            Address::Udp((ip, port).into())
        }
    };
    Ok((Place::Syslog(address.into()), found.facility))
}

/// A socket towards a syslog daemon.
enum Socket {
    Local(UnixDatagram),
    /// Not connected: a daemon that is not there yet is no error.
    Udp(UdpSocket, SocketAddr),
}

/// A syslog daemon.
pub struct Syslog {
    address: Rc<Address>,
    socket: Option<Socket>,
}

impl Syslog {
    /// The daemon at an address; whether it is there shows when something is sent.
    pub fn new(address: Rc<Address>) -> Self {
        Syslog { address, socket: None }
    }

    /// Sends the first of the messages, each of which ends with a newline; the answer is how many bytes it had.
    ///
    /// # Errors
    /// `WouldBlock` when the daemon is slow; anything else when it is not there.
    pub fn write(&mut self, messages: &[u8]) -> io::Result<usize> {
        let end = messages.iter().position(|byte| *byte == b'\n').unwrap_or(messages.len());
        let message = messages.get(..end).unwrap_or(messages);
        match self.send(message) {
            Err(error) if error.raw_os_error() == Some(crate::sys::EMSGSIZE) => {
                self.send(message.get(..LEAST).unwrap_or(message))?;
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.socket = None; // another daemon may listen there next time
                }
                return Err(error);
            }
            Ok(()) => {}
        }
        Ok((end + 1).min(messages.len()))
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open(&self.address)?,
        };
        let sent = match &socket {
            Socket::Local(socket) => socket.send(message),
            Socket::Udp(socket, address) => socket.send_to(message, address),
        };
        self.socket = Some(socket);
        sent.map(drop)
    }

    /// The descriptor, for interest in its being writable.
    pub fn fd(&self) -> Option<RawFd> {
        match self.socket.as_ref()? {
            Socket::Local(socket) => Some(socket.as_raw_fd()),
            Socket::Udp(socket, _) => Some(socket.as_raw_fd()),
        }
    }
}

fn open(address: &Address) -> io::Result<Socket> {
    match address {
        Address::Path(path) => {
            let socket = listen::unnamed()?;
            socket.connect(path)?;
            Ok(Socket::Local(socket))
        }
        Address::Udp(address) => Ok(Socket::Udp(listen::datagrams_to(*address)?, *address)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Directory;
    use super::*;

    #[test]
    fn addresses_are_paths_or_numbers() {
        let udp = |text: &str| Ok(Address::Udp(text.parse().unwrap()));
        assert_eq!(Address::of(None), Ok(Address::Path("/dev/log".into())));
        assert_eq!(Address::of(Some("/x y")), Ok(Address::Path("/x y".into())));
        assert_eq!(Address::of(Some("127.0.0.1:5140")), udp("127.0.0.1:5140"));
        assert_eq!(Address::of(Some("udp://localhost")), udp("127.0.0.1:514"));
        assert_eq!(Address::of(Some("[::1]:99")), udp("[::1]:99"));
        assert_eq!(Address::of(Some("::1")), udp("[::1]:514"));
        assert!(Address::of(Some("loghost:514")).unwrap_err().contains("names are not looked up"));
        assert!(Address::of(Some("10.0.0.1:x")).unwrap_err().contains("port"));
    }

    #[test]
    fn facility_and_severity_make_a_number() {
        let mut config = StreamConfig::default();
        config.options.facility = Some("local7".into());
        config.options.severity = Some("err".into());
        let [before, between, behind] = around(&config, "my web", false);
        assert_eq!((before.as_str(), behind.as_str()), ("<187>1 ", " - - "));
        assert!(between.ends_with(" my_web "), "{between}");
        config.options.tag = Some("t".into());
        assert!(around(&config, "", false)[1].ends_with(" t "));
        assert_eq!(word("", 9), "-");
    }

    #[test]
    fn a_local_daemon_gets_what_syslog_3_writes() {
        let mut config = StreamConfig::default();
        assert_eq!(around(&config, "my web", true), ["<30>", " my_web[", "]: "]);
        // A day of one digit in every zone.
        let time = clock::strftime(LOCAL_TIME, 1_762_600_000);
        assert!(time.len() == 15 && time.starts_with("Nov  ") && time.matches(':').count() == 2, "{time}");
        config.options.tag = Some("a:b[1]".into());
        assert_eq!(around(&config, "my web", true)[1], " a_b_1_[");
    }

    #[test]
    fn each_line_is_a_datagram() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut syslog = Syslog::new(Address::Udp(udp.local_addr().unwrap()).into());
        assert_eq!(syslog.write(b"one\ntwo\n").unwrap(), 4);
        assert_eq!(syslog.write(b"two\n").unwrap(), 4);
        let mut room = [0; 100];
        for message in [&b"one"[..], b"two"] {
            let n = udp.recv(&mut room).unwrap();
            assert_eq!(&room[..n], message);
        }
    }

    #[test]
    fn a_local_daemon_may_come_go_and_be_slow() {
        let directory = Directory::new();
        let path = directory.path("log");
        let mut syslog = Syslog::new(Address::Path(path.clone()).into());
        assert_eq!(syslog.write(b"a\n").unwrap_err().kind(), io::ErrorKind::NotFound);
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut sent = 0;
        let error = loop {
            match syslog.write(b"message\n") {
                Ok(n) => sent += n / 8,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        daemon.set_nonblocking(true).unwrap();
        let mut room = [0; 100];
        let got = std::iter::from_fn(|| daemon.recv(&mut room).ok()).count();
        assert_eq!(got, sent);
        assert!(syslog.fd().is_some() && syslog.write(b"b\n").is_ok());
        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        let _other = UnixDatagram::bind(&path).unwrap();
        assert_eq!(syslog.write(b"c\n").unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert!(syslog.write(b"c\n").is_ok());
    }
}
