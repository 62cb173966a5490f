//! The connection of `circus ctl` to the daemon.

mod others;

use crate::config::text;
use crate::config::url::is_local;
use crate::control::endpoint::{self, Place, Port};
#[cfg(feature = "details")]
use crate::control::protocol::encode_request_as;
use crate::control::protocol::{encode_request, encode_token};
use crate::control::{Map, at, field, lines};
use crate::host::endpoint::around;
use crate::host::{listen, resolve, token};
use crate::sys::signal::PidFd;
use crate::sys::socket::peer_credentials;
use serde_json::Value as Json;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Error, ErrorKind, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait for another machine to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody reads what we print: there is nothing left to do.
    Quiet,
    /// It took too long.
    Timeout,
    /// The daemon hung up.
    Closed,
    /// Something else; a sentence.
    Other(String),
}

impl Trouble {
    /// What the system has refused.
    pub fn of(what: &str, error: &Error) -> Trouble {
        Trouble::Other(format!("{what}: {}", words(error)))
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Trouble::Quiet => "",
            Trouble::Timeout => {
                "Timed out.\n\nEither circus is too busy to answer, or stopped, or the work takes longer than \
                 --timeout allows.\nWhat was asked for may still happen; with --waiting, give a longer --timeout or \
                 none."
            }
            Trouble::Closed => "circus closed the connection without an answer",
            Trouble::Other(why) => why,
        })
    }
}

/// Where a circus was looked for in vain.
#[derive(Debug, Default)]
pub struct Tried {
    /// The places, and why not there.
    places: Vec<(String, String)>,
    /// The rights are missing for one of them.
    denied: bool,
    /// Several circuses answer that could be meant.
    several: bool,
}

impl Tried {
    fn note(&mut self, place: String, error: &Error) {
        self.denied |= error.kind() == ErrorKind::PermissionDenied;
        self.places.push((place, words(error)));
    }

    /// What to say when none answers.
    fn trouble(self) -> Trouble {
        let end = match self {
            Tried { several: true, .. } => "Several answer: --endpoint says which one.",
            Tried { denied: true, .. } => {
                "A circus may well run there, but this user has no right to use it: ask as its user or as root, \
                 or have [access] or endpoint_owner let this user in."
            }
            _ => "Is it running? --endpoint or CIRCUSCTL_ENDPOINT says where it listens.",
        };
        let places = lines(self.places.into_iter().map(|(place, why)| format!("  {place}: {why}")));
        Trouble::Other(format!("no circus answers; tried:\n{places}\n{end}"))
    }
}

/// An error of the system in words, without its number.
pub fn words(error: &Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.into(),
        None => text,
    }
}

/// A connection to the daemon.
pub struct Connection {
    stream: BufReader<UnixStream>,
    /// A line whose end has not come.
    begun: Vec<u8>,
}

impl Connection {
    /// Connects to `endpoint`, or to that of the environment, or to the first place that answers.
    /// A port is shown the token in `token_file`, or in the file that the environment names.
    pub fn open(endpoint: Option<&str>, token_file: Option<&str>) -> Result<Connection, Trouble> {
        let (stream, is_port) = find(endpoint)?;
        let stream = BufReader::with_capacity(16 << 10, stream);
        let mut connection = Connection { stream, begun: Vec::new() };
        let named = token_file.map(str::to_string).or_else(|| std::env::var("CIRCUS_TOKEN_FILE").ok());
        if let Some(path) = named.filter(|_| is_port) {
            connection.show(&token::read(&path).map_err(Trouble::Other)?)?;
        }
        Ok(connection)
    }

    /// Shows the token to a port.
    fn show(&mut self, token: &str) -> Result<(), Trouble> {
        let deadline = Instant::now().checked_add(CONNECT);
        self.send(&encode_token(token), deadline)?;
        let reply = self.object(deadline)?;
        if at(&reply, "status") == "error" {
            return Err(Trouble::Other(format!("error: {}", field(&reply, "reason"))));
        }
        Ok(())
    }

    /// Waits until the daemon has exited, for so long at most: its connections end a moment before it does.
    pub fn until_exit(&mut self, most: Duration) {
        let pid = peer_credentials(self.fd()).map_or(0, |(pid, ..)| pid);
        // One of another pid namespace has no number here; the end of the connection is all that can be seen of it.
        let exits = |pid| PidFd::open(pid)?.await_exit(i32::try_from(most.as_millis()).unwrap_or(i32::MAX));
        if pid <= 0 || exits(pid).is_err() {
            let deadline = Instant::now().checked_add(most);
            while self.line(deadline).is_ok() {}
        }
    }

    /// Its descriptor.
    pub fn fd(&self) -> RawFd {
        self.stream.get_ref().as_raw_fd()
    }

    /// Sends a request.
    pub fn ask(&mut self, command: &str, properties: &Map, deadline: Option<Instant>) -> Result<(), Trouble> {
        self.send(&encode_request(command, properties), deadline)
    }

    /// The same, with an `id` by which the answer is known.
    #[cfg(feature = "details")]
    pub fn ask_as(
        &mut self,
        id: &str,
        command: &str,
        properties: &Map,
        deadline: Option<Instant>,
    ) -> Result<(), Trouble> {
        self.send(&encode_request_as(id, command, properties), deadline)
    }

    fn send(&mut self, line: &[u8], deadline: Option<Instant>) -> Result<(), Trouble> {
        self.stream.get_ref().set_write_timeout(left(deadline)?).map_err(trouble)?;
        match self.stream.get_mut().write_all(line) {
            // A daemon that refuses the connection says why before it hangs up: that is still to be read.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(trouble(error)),
            _ => Ok(()),
        }
    }

    /// The next line, without its newline.
    pub fn line(&mut self, deadline: Option<Instant>) -> Result<Vec<u8>, Trouble> {
        loop {
            if self.stream.buffer().is_empty() {
                self.stream.get_ref().set_read_timeout(left(deadline)?).map_err(trouble)?;
            }
            let chunk = match self.stream.fill_buf() {
                Ok([]) => return Err(Trouble::Closed),
                Ok(chunk) => chunk,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(trouble(error)),
            };
            let length = chunk.iter().position(|byte| *byte == b'\n');
            self.begun.extend_from_slice(chunk.get(..length.unwrap_or(chunk.len())).unwrap_or_default());
            let used = length.map_or(chunk.len(), |length| length + 1);
            self.stream.consume(used);
            if length.is_some() {
                return Ok(std::mem::take(&mut self.begun));
            }
        }
    }

    /// The next line, read as what it must be.
    pub fn object(&mut self, deadline: Option<Instant>) -> Result<Json, Trouble> {
        object(&self.line(deadline)?)
    }
}

/// The time until the deadline; `None` without one.
fn left(deadline: Option<Instant>) -> Result<Option<Duration>, Trouble> {
    let Some(deadline) = deadline else { return Ok(None) };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Trouble::Timeout) } else { Ok(Some(left)) }
}

fn trouble(error: Error) -> Trouble {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Trouble::Timeout,
        ErrorKind::ConnectionReset => Trouble::Closed,
        _ => Trouble::of("the connection to circus broke", &error),
    }
}

/// A line of the daemon.
pub fn object(line: &[u8]) -> Result<Json, Trouble> {
    let nonsense = "what answers at this endpoint is not circus: the answer is not a JSON object";
    let object = serde_json::from_slice(line).ok().filter(Json::is_object);
    object.ok_or_else(|| Trouble::Other(nonsense.into()))
}

/// A connection, and whether it is one to a port.
fn find(endpoint: Option<&str>) -> Result<(UnixStream, bool), Trouble> {
    let variable = |name| std::env::var_os(name).map(|value| text::from_bytes(&value.into_vec()));
    let endpoint = endpoint.map(str::to_string).or_else(|| variable("CIRCUSCTL_ENDPOINT"));
    let (endpoint, runtime) = (endpoint.as_deref(), variable("XDG_RUNTIME_DIR"));
    let around = around(runtime.as_deref());
    let uid = around.uid;
    let places = endpoint::places(endpoint, around).map_err(Trouble::Other)?;
    if places.is_empty() {
        return Err(Trouble::Other("the endpoint is none: there is nothing to connect to".into()));
    }
    let port = endpoint.map_or(Ok(None), endpoint::port).map_err(Trouble::Other)?;
    let mut tried = Tried::default();
    // The socket that stands for a port is never that of another machine's circus.
    if port.is_none_or(is_own) {
        let directory = endpoint::directory(uid, runtime.as_deref());
        for place in places {
            match safe(&place, &directory, uid).and_then(|()| connect(&place, uid)) {
                Ok(stream) => return Ok((stream, false)),
                Err(error) => tried.note(place.to_string(), &error),
            }
        }
        let is_safe = |path: &str| safe(&Place::Path(format!("{path}/")), &directory, uid).is_ok();
        if endpoint.is_none()
            && is_safe(&directory.path)
            && let Some(stream) = others::alone(&directory.path, &mut tried)
        {
            return Ok((stream, false));
        }
        if let Some(file) = endpoint::default_file(endpoint).ok().flatten().filter(|_| uid == 0)
            && let Some(stream) = others::find(&file, &mut tried)
        {
            return Ok((stream, false));
        }
    }
    if let Some(port) = port {
        match connect_port(port) {
            Ok(stream) => return Ok((stream, true)),
            Err(error) => tried.note(format!("tcp://{}:{}", port.host, port.number), &error),
        }
    }
    Err(tried.trouble())
}

/// Refuses a place in a directory that somebody else could have made.
fn safe(place: &Place, directory: &endpoint::Directory, uid: u32) -> std::io::Result<()> {
    let Place::Path(path) = place else { return Ok(()) };
    if !directory.exposed || !path.starts_with(&format!("{}/", directory.path)) {
        return Ok(());
    }
    let meta = std::fs::symlink_metadata(&directory.path)?;
    if meta.is_dir() && meta.uid() == uid && meta.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::other("its directory is not ours alone (mode 0700); not used"))
}

/// What a port is bound to when it is that of all addresses.
const ANY: [&str; 4] = ["", "*", "0.0.0.0", "[::]"];

/// Whether a port is of this machine: only then can a socket be bound to its address.
fn is_own(port: Port<'_>) -> bool {
    let host = port.host.trim_matches(['[', ']']);
    ANY.contains(&port.host)
        || is_local(port.host)
        || resolve::addresses(host).is_ok_and(|ips| ips.iter().any(|ip| listen::is_own(*ip)))
}

/// Connects to a port, which a circus with `allow_tcp` has open. The stream has the type of the others from here on:
/// the calls are the same.
fn connect_port(port: Port<'_>) -> std::io::Result<UnixStream> {
    let host = if ANY.contains(&port.host) { "localhost" } else { port.host.trim_matches(['[', ']']) };
    let mut result = Err(Error::other("the host has no address"));
    for ip in resolve::addresses(host)? {
        result = TcpStream::connect_timeout(&(ip, port.number).into(), CONNECT);
        if result.is_ok() {
            break;
        }
    }
    result.map(|stream| OwnedFd::from(stream).into())
}

fn connect(place: &Place, uid: u32) -> std::io::Result<UnixStream> {
    match place {
        Place::Path(path) => UnixStream::connect(Path::new(OsStr::from_bytes(&text::to_bytes(path)))),
        Place::Abstract(name) => {
            let stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(text::to_bytes(name))?)?;
            // Anybody may have taken the name before circus.
            let (_, peer, _) = peer_credentials(stream.as_raw_fd())?;
            if [0, uid].contains(&peer) {
                return Ok(stream);
            }
            Err(Error::other(format!("it is served by uid {peer}, neither root nor this user; not used")))
        }
    }
}
