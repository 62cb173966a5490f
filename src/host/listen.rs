//! The one place in which sockets are bound, and in which whatever stands at the path of one makes way for it.
//!
//! What stands at the path is asked first, by connecting to it: a socket that nobody holds any more makes way, one that
//! somebody holds only where that is wanted. It is not removed but moved aside, until circus is sure that it needs the
//! path for good ([`OwnFile::keep`]); until then a failure puts it back.

use crate::host::files::{Aside, Location, OwnFile, if_there};
use crate::sys::address::Address;
use crate::sys::socket::{self, BindError, SocketSpec};
use crate::sys::{process, user};
use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpListener};
#[cfg(any(feature = "logs", feature = "plugins"))]
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;
use std::{fmt, io};

/// How often another circus that takes a path in the same directory is looked for, and for how long each time. Anybody
/// who may read the directory can hold the lock, so it is not waited for any longer.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(1);

/// Why a socket could not be bound.
pub enum Obstacle {
    /// Something that is no socket has this path.
    NotASocket,
    /// Somebody holds the socket at this path.
    InUse,
    /// The kernel refuses.
    Kernel(BindError),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::NotASocket => out.write_str("the path exists and is not a socket"),
            Obstacle::InUse => out.write_str("another process listens there"),
            Obstacle::Kernel(error) => error.fmt(out),
        }
    }
}

fn at(step: &'static str) -> impl Fn(io::Error) -> Obstacle {
    move |error| Obstacle::Kernel(BindError { step, error })
}

/// Whom the file of a socket is to belong to.
#[derive(Clone, Copy)]
pub enum Owner {
    /// The user of circus.
    Circus,
    /// This user, to whom it will be given. In a directory of that user's, who could exchange it before that, it is made
    /// with that user's rights.
    User(u32),
    /// Whoever owns the directory, if that is another user than root and circus's: bind(2) takes a path, which that user
    /// may have lead somewhere else at that moment, so it is made with that user's rights.
    OfDirectory,
}

/// Binds a socket. What stands at its path makes way if nobody holds it, or if `replace` says so and it is a socket.
///
/// # Errors
/// Everything is as it was before.
pub fn claim(spec: &SocketSpec, replace: bool, owner: Owner) -> Result<(OwnedFd, Option<OwnFile>), Obstacle> {
    let Address::Unix(path) = &spec.address else {
        return Ok((socket::bind(spec).map_err(Obstacle::Kernel)?, None));
    };
    let location = Location::of_entry(path).map_err(at("looking at it"))?;
    // A socket that is bound and does not listen yet looks like one that nobody holds.
    let turn = turn(&location);
    let held = match if_there(path.symlink_metadata()).map_err(at("looking at it"))? {
        Some(found) if !found.file_type().is_socket() => return Err(Obstacle::NotASocket),
        Some(_) => socket::is_held(path).map_err(at("looking at it"))?,
        None => None,
    };
    let aside = match held {
        None => None,
        Some(true) if !replace => return Err(Obstacle::InUse),
        Some(_) => Some(Aside::put(path).map_err(at("moving the old socket aside"))?),
    };
    let user = match owner {
        Owner::Circus => None,
        Owner::User(uid) => Some(uid).filter(|uid| location.is_run_by(*uid)),
        Owner::OfDirectory => location.runner(),
    };
    let bound = match user {
        Some(uid) => user::as_to_files(uid, user::current_gid(), || socket::bind(spec)),
        None => socket::bind(spec),
    };
    let fd = bound.map_err(Obstacle::Kernel)?;
    // With their descriptors free, a look at the new file cannot be short of any and leave the file behind.
    drop((turn, location));
    Ok((fd, Some(OwnFile::of_socket(path, aside).map_err(at("bind"))?)))
}

/// The turn of this circus among those that take paths in one directory; it is over when the directory is closed.
fn turn(location: &Location) -> Option<File> {
    let directory = location.open_directory().ok()?;
    for _ in 0..LOOKS {
        if process::lock_exclusive(&directory).ok()? {
            return Some(directory);
        }
        std::thread::sleep(PAUSE);
    }
    None
}

/// Binds a socket while circus runs: what was in its way is not needed any more.
///
/// # Errors
/// As above.
#[cfg(any(feature = "health", feature = "plugins"))]
pub fn take(spec: &SocketSpec) -> Result<(OwnedFd, Option<OwnFile>), Obstacle> {
    let (fd, mut file) = claim(spec, false, Owner::Circus)?;
    file.iter_mut().for_each(OwnFile::keep);
    Ok((fd, file))
}

/// Listens on a port.
///
/// # Errors
/// The kernel refuses.
pub fn port(address: SocketAddr) -> Result<TcpListener, BindError> {
    socket::bind(&SocketSpec::new(Address::Inet(address))).map(TcpListener::from)
}

/// A socket that takes datagrams at an address.
///
/// # Errors
/// The kernel refuses.
#[cfg(any(feature = "logs", feature = "plugins"))]
pub fn datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket that sends datagrams to addresses of the same family as this one.
///
/// # Errors
/// The kernel refuses.
#[cfg(any(feature = "logs", feature = "plugins"))]
pub fn datagrams_to(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    datagrams(SocketAddr::new(any, 0))
}

/// A socket that sends datagrams to Unix sockets, and has no name of its own.
///
/// # Errors
/// The kernel refuses.
pub fn unnamed() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether an address is of this machine: only then can a socket be bound to it.
pub fn is_own(ip: IpAddr) -> bool {
    TcpListener::bind((ip, 0)).is_ok()
}

/// Where connections come in.
pub enum Acceptor {
    /// By a path, or a name in the abstract namespace.
    Unix(UnixListener),
    /// By a port.
    Tcp(TcpListener),
}

impl Acceptor {
    /// The next connection that waits. What comes by TCP has the standard library's other type from here on: the
    /// calls are the same.
    pub fn accept(&self) -> std::io::Result<UnixStream> {
        let stream = match self {
            Acceptor::Unix(listener) => listener.accept()?.0,
            Acceptor::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                // Replies are small and wanted at once. Without either option the connection works too.
                let _ = stream.set_nodelay(true);
                let _ = socket::keep_alive(stream.as_fd());
                OwnedFd::from(stream).into()
            }
        };
        stream.set_nonblocking(true)?;
        Ok(stream)
    }

    /// Its descriptor.
    pub fn fd(&self) -> RawFd {
        match self {
            Acceptor::Unix(listener) => listener.as_raw_fd(),
            Acceptor::Tcp(listener) => listener.as_raw_fd(),
        }
    }
}
