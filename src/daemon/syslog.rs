//! Messages to a syslog daemon, by UDP or by its local socket.
//!
//! Nothing waits here. What cannot be delivered is dropped and counted, and before the next message that can be goes
//! one that says how many are missing. A daemon that has gone away is looked for again at each message.

use super::log::Level;
use super::sockets::resolve;
use crate::config::syslog::{self, Place};
use crate::config::text;
use crate::sys::socket::{Address, Kind, connect, send_nowait};
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// The most bytes of a message; what is longer is cut. Few daemons take more.
const LONGEST: usize = 8192;

/// A syslog daemon.
pub struct Syslog {
    address: Address,
    facility: u8,
    socket: Option<(OwnedFd, Kind)>,
    dropped: u64,
}

impl Syslog {
    /// The daemon at a `syslog://` address. The name of a host is looked up now, and never again. Whether anybody
    /// listens there does not matter yet.
    ///
    /// # Errors
    /// A sentence: it is no such address, or the host is not known.
    pub fn open(url: &str) -> Result<Syslog, String> {
        let found = syslog::parse(url)?;
        let address = match found.place {
            Place::Path(path) => Address::unix(OsStr::from_bytes(&text::to_bytes(path))),
            Place::Host(host, port) => {
                let ip = resolve(host, false).or_else(|why| resolve(host, true).map_err(|_| why))?;
                Address::Inet(SocketAddr::new(ip, port))
            }
        };
        Ok(Syslog { address, facility: found.facility, socket: None, dropped: 0 })
    }

    /// Sends a message, which came at `time`.
    pub fn send(&mut self, level: Level, time: &str, message: &str) {
        if self.dropped > 0 {
            let (pid, dropped) = (std::process::id(), self.dropped);
            let note = format!("circus[{pid}] [WARNING] {dropped} messages before this one are lost");
            if self.deliver(Level::Warning, time, &note).is_ok() {
                self.dropped = 0;
            }
        }
        if self.deliver(level, time, message).is_err() {
            self.dropped += 1;
        }
    }

    fn deliver(&mut self, level: Level, time: &str, message: &str) -> io::Result<()> {
        let mut packet = format!("<{}>{time} {message}", self.facility * 8 + severity(level)).into_bytes();
        packet.truncate(LONGEST);
        match self.put(&mut packet) {
            // A full socket is still the right one.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                self.socket = None;
                self.put(&mut packet)
            }
            put => put,
        }
    }

    fn put(&mut self, packet: &mut Vec<u8>) -> io::Result<()> {
        let (socket, kind) = match &self.socket {
            Some((socket, kind)) => (socket, *kind),
            None => {
                let (socket, kind) = self.socket.insert(find(&self.address)?);
                (&*socket, *kind)
            }
        };
        // In a stream a null is the end of a message.
        if kind == Kind::Stream && packet.last() != Some(&0) {
            packet.push(0);
        }
        let sent = send_nowait(socket.as_raw_fd(), packet)?;
        // The rest of a message would stand in the next one.
        if sent == packet.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

/// The socket of the daemon: datagrams, or, as some have it locally, a stream.
fn find(address: &Address) -> io::Result<(OwnedFd, Kind)> {
    match connect(address, Kind::Dgram) {
        Err(_) if matches!(address, Address::Unix(_)) => Ok((connect(address, Kind::Stream)?, Kind::Stream)),
        found => Ok((found?, Kind::Dgram)),
    }
}

/// The severity that syslog has for a level.
fn severity(level: Level) -> u8 {
    match level {
        Level::Debug => 7,
        Level::Info => 6,
        Level::Warning => 4,
        Level::Error => 3,
        Level::Critical => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::UdpSocket;
    use std::os::unix::net::{UnixDatagram, UnixListener};
    use std::path::PathBuf;
    use std::time::Duration;

    const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("circus-syslog-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn received(daemon: &UnixDatagram) -> String {
        let mut packet = [0; 10_000];
        daemon.set_read_timeout(PATIENCE).unwrap();
        let length = daemon.recv(&mut packet).unwrap();
        String::from_utf8(packet[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_message_is_one_packet() {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        daemon.set_read_timeout(PATIENCE).unwrap();
        let port = daemon.local_addr().unwrap().port();
        let mut syslog = Syslog::open(&format!("syslog://127.0.0.1:{port}?local7")).unwrap();
        let mut packet = [0; 10_000];
        for (level, number) in [(Level::Debug, 191), (Level::Info, 190), (Level::Critical, 186)] {
            syslog.send(level, "Nov 23 06:51:09", "circus[5] [X] text");
            let length = daemon.recv(&mut packet).unwrap();
            let text = format!("<{number}>Nov 23 06:51:09 circus[5] [X] text");
            assert_eq!(std::str::from_utf8(&packet[..length]), Ok(text.as_str()));
        }
    }

    #[test]
    fn a_local_daemon_may_come_and_go() {
        let path = path("dgram");
        let mut syslog = Syslog::open(&format!("syslog://{}", path.display())).unwrap();
        syslog.send(Level::Info, "T", "1");
        syslog.send(Level::Info, "T", "2");
        for round in ["3", "4"] {
            let daemon = UnixDatagram::bind(&path).unwrap();
            syslog.send(Level::Error, "T", round);
            if round == "3" {
                let pid = std::process::id();
                assert_eq!(
                    received(&daemon),
                    format!("<12>T circus[{pid}] [WARNING] 2 messages before this one are lost")
                );
            }
            assert_eq!(received(&daemon), format!("<11>T {round}"));
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_daemon_that_does_not_read_holds_nobody_up() {
        let path = path("full");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::open(&format!("syslog://{}", path.display())).unwrap();
        for _ in 0..10_000 {
            syslog.send(Level::Info, "T", &"x".repeat(LONGEST));
        }
        assert!(syslog.dropped > 0);
        assert_eq!(received(&daemon).len(), LONGEST);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_stream_has_a_null_behind_each_message() {
        let path = path("stream");
        let listener = UnixListener::bind(&path).unwrap();
        let mut syslog = Syslog::open(&format!("syslog://{}?mail", path.display())).unwrap();
        syslog.send(Level::Info, "T", "1");
        syslog.send(Level::Info, "T", "2");
        drop(syslog);
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        assert_eq!(text, "<22>T 1\0<22>T 2\0");
        std::fs::remove_file(&path).unwrap();
    }
}
