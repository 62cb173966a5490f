//! Opens the sockets on which clients and subscribers are served: where they may be, whose files they are, what may
//! be in their way, and what is opened for an address of the old kind.

use crate::config::options::CircusOptions;
use crate::config::{Config, text};
use crate::control::endpoint::{self, Around, Directory, Place, Port};
use crate::host::files::{NewDirectory, OwnFile};
use crate::host::listen::{self, Acceptor, Obstacle, Owner, claim};
use crate::host::{procfs, resolve};
use crate::parts::log::Log;
use crate::sys::address::Address;
use crate::sys::socket::{self, SocketSpec};
use crate::sys::{self, user};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a child may hold a socket whose circus was killed, and how often that is looked at.
const HELD: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(2);

/// Whose fault it is that a socket is not open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The configuration says something impossible.
    User,
    /// The system refuses.
    System,
    /// The same, but another place would do as well, or even none.
    Harmless,
}

/// Why a socket cannot be opened.
pub struct Refused {
    /// A sentence.
    pub message: String,
    /// Whose fault it is.
    pub fault: Fault,
}

/// An open socket.
pub struct Opened {
    /// Where connections come in.
    pub acceptor: Acceptor,
    /// Where it is, as text.
    pub endpoint: String,
    /// Its file, which goes with it.
    pub file: Option<OwnFile>,
    /// The directory that was made for it.
    directory: Option<NewDirectory>,
    /// Events are published here, and commands refused.
    pub events_only: bool,
}

impl Opened {
    fn new(acceptor: Acceptor, endpoint: String, events_only: bool) -> Opened {
        Opened { acceptor, endpoint, file: None, directory: None, events_only }
    }

    /// Whether it is a port.
    pub fn is_port(&self) -> bool {
        matches!(self.acceptor, Acceptor::Tcp(_))
    }

    /// Whether it has no file whose mode could guard it.
    pub fn is_abstract(&self) -> bool {
        matches!(self.acceptor, Acceptor::Unix(_)) && self.endpoint.starts_with('@')
    }

    /// The start has succeeded: what was made for the socket stays, what was in its way is removed.
    pub fn keep(&mut self) {
        self.file.iter_mut().for_each(OwnFile::keep);
        self.directory.take().into_iter().for_each(NewDirectory::keep);
    }

    /// Where it is, as ZeroMQ and Circus write it.
    pub fn address(&self) -> String {
        match self.acceptor {
            Acceptor::Unix(_) => format!("ipc://{}", self.endpoint),
            Acceptor::Tcp(_) => self.endpoint.clone(),
        }
    }
}

fn places(wanted: Option<&str>) -> Result<Vec<Place>, String> {
    endpoint::places(wanted, around(runtime().as_deref()))
}

/// This process, as one that serves a control socket or looks for one.
pub fn around(runtime: Option<&str>) -> Around<'_> {
    Around { uid: user::current_uid(), runtime, container: container() }
}

fn runtime() -> Option<String> {
    std::env::var("XDG_RUNTIME_DIR").ok()
}

/// A number that tells containers apart which share a network, and so its abstract names: that of the mount namespace;
/// without /proc, that of the file system at the root.
fn container() -> u64 {
    let namespace = std::fs::metadata("/proc/self/ns/mnt").map(|meta| meta.ino());
    namespace.or_else(|_| std::fs::metadata("/").map(|meta| meta.dev())).unwrap_or(0)
}

fn place_of(wanted: Option<&str>) -> Result<Option<Place>, String> {
    Ok(places(wanted)?.into_iter().next())
}

/// Where the control socket is to be, if there is to be one.
///
/// # Errors
/// A sentence: the option is no endpoint.
pub fn check(options: &CircusOptions) -> Result<Option<Place>, String> {
    place_of(options.endpoint.as_deref()).map_err(|why| format!("endpoint: {why}"))
}

/// Opens what `endpoint` and `pubsub_endpoint` say, the control socket last: where it is, the others are. A default
/// directory that cannot be written to is only worth a warning: circus can do its work without being talked to.
///
/// # Errors
/// What was asked for cannot be had.
pub fn open_all(config: &Config, log: &mut Log) -> Result<Vec<Opened>, Refused> {
    let (options, has_token) = (&config.circus, config.access.options.token_file.is_some());
    let control = check(options).map_err(|message| Refused { message, fault: Fault::User })?;
    let events = open_events(options, control.as_ref(), has_token, log)?;
    let mut opened = Vec::new();
    let wanted = options.endpoint.as_deref();
    if let Some(place) = &control {
        let port = open_port(wanted, false, (options, has_token), log)?;
        opened.extend(open_control(place, options, log)?);
        opened.extend(port);
    }
    opened.extend(events);
    Ok(opened)
}

/// Opens the control socket, or one that takes the place of one in a default directory which cannot be used. That there
/// is none at all is only worth a warning too.
fn open_control(place: &Place, options: &CircusOptions, log: &mut Log) -> Result<Option<Opened>, Refused> {
    let first = match open(place, false, options) {
        Err(refused) if refused.fault == Fault::Harmless => refused,
        opened => return opened.map(Some),
    };
    let spare = places(options.endpoint.as_deref()).ok().and_then(|places| places.into_iter().nth(1));
    let Some(spare) = spare else { return Err(first) };
    match open(&spare, false, options) {
        Err(second) if second.fault == Fault::Harmless => {
            log.warning(format_args!("{}; {}; circus ctl will not work", first.message, second.message));
            Ok(None)
        }
        opened => {
            let opened = opened?;
            log.warning(format_args!("{}; it is {spare} instead, where circus ctl looks too", first.message));
            Ok(Some(opened))
        }
    }
}

/// Opens what `pubsub_endpoint` says, unless that is the control socket.
fn open_events(
    options: &CircusOptions,
    control: Option<&Place>,
    has_token: bool,
    log: &mut Log,
) -> Result<Vec<Opened>, Refused> {
    let mut opened = Vec::new();
    let Some(wanted) = options.pubsub_endpoint.as_deref() else { return Ok(opened) };
    match place_of(Some(wanted)) {
        Ok(place) if place.as_ref() == control => {}
        Ok(None) => {}
        Ok(Some(place)) => match open(&place, true, options) {
            Ok(socket) => opened.push(socket),
            // It would only have stood for a port that old files name and nobody may ever have used.
            Err(refused) if wanted.starts_with("tcp://") => log.debug(format_args!("{}", refused.message)),
            Err(refused) => return Err(refused),
        },
        Err(why) => log.warning(format_args!("pubsub_endpoint: {why}; events are on the control socket")),
    }
    opened.extend(open_port(Some(wanted), true, (options, has_token), log)?);
    Ok(opened)
}

/// Opens a socket anew whose file somebody has removed; `None` if nobody has.
pub fn restore(opened: &Opened, options: &CircusOptions) -> Option<Result<Opened, String>> {
    opened.file.as_ref().filter(|file| file.has_vanished())?;
    let fresh = open(&Place::Path(opened.endpoint.clone()), opened.events_only, options);
    Some(fresh.map_err(|refused| refused.message))
}

/// What a socket is for, in messages.
fn word(events_only: bool) -> &'static str {
    if events_only { "pubsub" } else { "control" }
}

/// Opens a Unix socket.
fn open(place: &Place, events_only: bool, options: &CircusOptions) -> Result<Opened, Refused> {
    let refuse = |why: &dyn std::fmt::Display, harmless| Refused {
        message: format!("{} socket {place}: {why}", word(events_only)),
        fault: if harmless { Fault::Harmless } else { Fault::System },
    };
    let (address, made) = match place {
        Place::Abstract(name) => (Address::Abstract(text::to_bytes(name).into_owned()), None),
        Place::Path(path) => {
            let made = prepare(Path::new(path)).map_err(|why| refuse(&why, true))?;
            (Address::Unix(path.into()), made)
        }
    };
    let mode = u32::try_from(options.endpoint_mode).unwrap_or(0o600);
    let spec = SocketSpec::unix(address.clone(), mode);
    let owner = options.endpoint_owner.as_deref().filter(|_| matches!(address, Address::Unix(_)));
    let owner = owner.map(owner_of).transpose().map_err(|why| refuse(&why, false))?;
    let claim = || claim(&spec, false, owner.map_or(Owner::Circus, Owner::User));
    let claimed = match claim() {
        Err(Obstacle::InUse) if is_given_up(&address) => claim(),
        claimed => claimed,
    };
    let (fd, file) = claimed.map_err(|obstacle| match &obstacle {
        Obstacle::InUse => refuse(&"another circus serves it already", false),
        Obstacle::Kernel(error) if error.error.kind() == ErrorKind::AddrInUse => {
            let (who, foreign) = holder(&address);
            refuse(&who, foreign)
        }
        Obstacle::NotASocket | Obstacle::Kernel(_) => refuse(&obstacle, true),
    })?;
    if let (Some(owner), Some(file)) = (owner, &file) {
        let given = file.give_to(Some(owner), None);
        given.map_err(|error| refuse(&format!("endpoint_owner: {}", sys::io_words(&error)), false))?;
    }
    let opened = Opened::new(Acceptor::Unix(fd.into()), place.to_string(), events_only);
    Ok(Opened { file, directory: made, ..opened })
}

/// Whether a socket was that of a circus that was killed, and is free now: a child that is not its program yet holds it
/// for a moment longer.
fn is_given_up(address: &Address) -> bool {
    let until = Instant::now() + HELD;
    let is_dead = |pid| match procfs::stat(pid) {
        Ok(stat) => stat.is_dead(),
        Err(error) => sys::is_gone(&error),
    };
    let listener = || socket::connect_now(address).and_then(|fd| socket::peer_credentials(fd.as_raw_fd()));
    loop {
        match listener() {
            Ok((pid, ..)) if pid <= 0 || !is_dead(pid) => return false,
            Ok(_) if Instant::now() < until => std::thread::sleep(AGAIN),
            held => return held.is_err(),
        }
    }
}

/// Who has an abstract name that circus wants to have, and whether it is somebody that has no business there.
fn holder(address: &Address) -> (String, bool) {
    let peer = socket::connect_now(address).and_then(|fd| socket::peer_credentials(fd.as_raw_fd()));
    match peer {
        Ok((pid, uid, _)) if ![0, user::current_uid()].contains(&uid) => {
            (format!("process {pid} of uid {uid} has taken this name"), true)
        }
        Ok(_) | Err(_) => ("another circus serves it already".into(), false),
    }
}

/// Opens the port of a `tcp://` address, if that is allowed: to others than this machine only where a token is asked for.
fn open_port(
    wanted: Option<&str>,
    events_only: bool,
    (options, has_token): (&CircusOptions, bool),
    log: &mut Log,
) -> Result<Option<Opened>, Refused> {
    // What is no port has been reported.
    let port = wanted.and_then(|wanted| endpoint::port(wanted).ok().flatten());
    let Some(Port { host, number }) = port.filter(|_| options.allow_tcp) else { return Ok(None) };
    let refuse = |why: String| Refused {
        message: format!("{} port tcp://{host}:{number}: {why}", word(events_only)),
        fault: Fault::System,
    };
    let ip = resolve::first(host, host.contains(':'), true).map_err(refuse)?;
    if !has_token && !ip.is_loopback() {
        let word = word(events_only);
        log.error(format_args!(
            "the {word} port tcp://{host}:{number} is not opened: [access] has no token_file, and whoever reached it could \
             use it"
        ));
        return Ok(None);
    }
    let listener = listen::port(SocketAddr::new(ip, number)).map_err(|error| refuse(error.to_string()))?;
    let number = listener.local_addr().map_or(number, |address| address.port());
    let endpoint = format!("tcp://{host}:{number}");
    Ok(Some(Opened::new(Acceptor::Tcp(listener), endpoint, events_only)))
}

/// Makes the default directory, if the control socket is to stand there.
fn prepare(path: &Path) -> Result<Option<NewDirectory>, String> {
    let directory = endpoint::directory(user::current_uid(), runtime().as_deref());
    if path.parent() == Some(Path::new(&directory.path)) { make_directory(&directory) } else { Ok(None) }
}

/// Makes the default directory of control sockets. One in a place where anybody may make directories must be ours.
pub fn make_directory(directory: &Directory) -> Result<Option<NewDirectory>, String> {
    let path = Path::new(&directory.path);
    let mode = if directory.exposed { 0o700 } else { 0o755 };
    match NewDirectory::make(path, mode) {
        Ok(made) => return Ok(Some(made)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(format!("{}: {}", directory.path, sys::io_words(&error))),
    }
    let meta = path.symlink_metadata().map_err(|error| sys::io_words(&error))?;
    let ours = meta.is_dir() && meta.uid() == user::current_uid() && meta.mode() & 0o077 == 0;
    if directory.exposed && !ours {
        return Err(format!("{} is not a directory of this user's with mode 0700", directory.path));
    }
    Ok(None)
}

fn owner_of(name: &str) -> Result<u32, String> {
    let account = user::find_user(name).map_err(|error| sys::io_words(&error))?;
    let account = account.ok_or_else(|| format!("endpoint_owner = {name}: there is no such user"))?;
    Ok(account.uid)
}

/// The control socket for somebody who may run in another directory than circus, which runs in `cwd`.
#[cfg(any(feature = "helpers", feature = "orphans", feature = "plugins"))]
pub fn absolute(endpoint: &str, cwd: &str) -> String {
    match endpoint {
        endpoint if endpoint.starts_with(['/', '@']) || endpoint == "none" => endpoint.into(),
        endpoint => format!("{}/{endpoint}", cwd.trim_end_matches('/')),
    }
}
