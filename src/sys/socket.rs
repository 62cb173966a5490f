//! Sockets as `[socket:x]` describes them, and the few calls on sockets that the standard library lacks.

use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::{fmt, fs, io};

use super::address::RawAddress;
use super::process::set_umask;
use super::{Pid, cvt, fcntl, io_words};

pub use super::address::Address;

/// The type of a socket, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    /// SOCK_STREAM.
    Stream = libc::SOCK_STREAM,
    /// SOCK_DGRAM.
    Dgram = libc::SOCK_DGRAM,
    /// SOCK_SEQPACKET.
    Seqpacket = libc::SOCK_SEQPACKET,
    /// SOCK_RAW.
    Raw = libc::SOCK_RAW,
    /// SOCK_RDM.
    Rdm = libc::SOCK_RDM,
}

impl Kind {
    fn listens(self) -> bool {
        matches!(self, Kind::Stream | Kind::Seqpacket)
    }
}

/// The most groups that a process may have: NGROUPS_MAX.
const MOST_GROUPS: usize = 65_536;

/// A socket to be bound.
#[derive(Clone, Debug)]
pub struct SocketSpec {
    /// Where.
    pub address: Address,
    /// Its type.
    pub kind: Kind,
    /// The protocol's number; 0 is the type's usual one.
    pub proto: i32,
    /// How many connections may wait to be accepted; the kernel cuts it to net.core.somaxconn.
    pub backlog: i32,
    /// SO_REUSEPORT: several sockets on one address, between which the kernel shares out the connections.
    pub reuseport: bool,
    /// SO_BINDTODEVICE: this network interface alone.
    pub interface: Option<String>,
    /// Whether its calls block; the flag is shared with everybody who inherits it.
    pub blocking: bool,
    /// The file mode creation mask while a Unix path is bound.
    pub umask: Option<u32>,
    /// IPV6_V6ONLY: an IPv6 address does not take IPv4's connections too.
    pub v6only: bool,
    /// TCP_DEFER_ACCEPT: a connection is there when it has brought data, or after so many seconds.
    pub defer_accept: Option<i32>,
}

impl SocketSpec {
    /// A stream socket with the usual backlog, non-blocking, everything else off.
    pub fn new(address: Address) -> Self {
        SocketSpec {
            address,
            kind: Kind::Stream,
            proto: 0,
            backlog: 2048,
            reuseport: false,
            interface: None,
            blocking: false,
            umask: None,
            v6only: true,
            defer_accept: None,
        }
    }

    /// The same for a Unix socket whose file has exactly this mode from the first moment on.
    pub fn unix(address: Address, mode: u32) -> Self {
        SocketSpec { umask: Some(!mode & 0o777), ..SocketSpec::new(address) }
    }
}

/// Why a socket could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// The call that failed: "socket", "SO_REUSEPORT", "bind", "listen" ...
    pub step: &'static str,
    /// The system's reason.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.step, io_words(&self.error))
    }
}

fn at(step: &'static str) -> impl Fn(io::Error) -> BindError {
    move |error| BindError { step, error }
}

/// Makes the socket, binds it, and listens where its type can. It is CLOEXEC.
pub fn bind(spec: &SocketSpec) -> Result<OwnedFd, BindError> {
    let address = RawAddress::new(&spec.address).map_err(at("address"))?;
    let (family, nonblocking) = (spec.address.family(), if spec.blocking { 0 } else { libc::SOCK_NONBLOCK });
    let fd = new_socket(family, spec.kind as c_int | nonblocking, spec.proto).map_err(at("socket"))?;
    if family != libc::AF_UNIX {
        set_flag(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, true).map_err(at("SO_REUSEADDR"))?;
    }
    if family == libc::AF_INET6 {
        set_flag(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, spec.v6only)
            .map_err(at("IPV6_V6ONLY"))?;
    }
    if spec.reuseport {
        set_reuseport(fd.as_fd(), true).map_err(at("SO_REUSEPORT"))?;
    }
    if let Some(name) = &spec.interface {
        bind_to_interface(fd.as_fd(), name).map_err(at("SO_BINDTODEVICE"))?;
    }
    if let Some(seconds) = spec.defer_accept {
        set_option(fd.as_fd(), libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &seconds.to_ne_bytes())
            .map_err(at("TCP_DEFER_ACCEPT"))?;
    }
    bind_address(&fd, &address, spec).map_err(at("bind"))?;
    let listens = if spec.kind.listens() { listen(fd.as_fd(), spec.backlog) } else { Ok(()) };
    if let (Err(_), Address::Unix(path)) = (&listens, &spec.address) {
        // Nobody else would remove what bind has made.
        let _ = fs::remove_file(path);
    }
    listens.map_err(at("listen")).map(|()| fd)
}

/// Listens; on a socket that does already, lets so many connections wait from now on.
pub fn listen(fd: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    // SAFETY: works on a number and touches no memory.
    cvt(unsafe { libc::listen(fd.as_raw_fd(), backlog) }).map(drop)
}

/// SO_REUSEPORT: another socket of this user's that has it too may be bound to the same port.
pub fn set_reuseport(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_flag(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, on)
}

/// A socket that is CLOEXEC.
pub(super) fn new_socket(family: c_int, kind: c_int, proto: c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers and touches no memory.
    let fd = cvt(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, proto) })?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bind_address(fd: &OwnedFd, address: &RawAddress, spec: &SocketSpec) -> io::Result<()> {
    // The mask belongs to the whole process: changed only where it matters, and only for this one call.
    let on_a_path = matches!(spec.address, Address::Unix(_));
    let before = spec.umask.filter(|_| on_a_path).map(set_umask);
    let (place, length) = address.as_raw();
    // SAFETY: the pointer and the length are those of one address.
    let bound = cvt(unsafe { libc::bind(fd.as_raw_fd(), place, length) });
    if let Some(mask) = before {
        set_umask(mask);
    }
    bound.map(drop)
}

/// SO_KEEPALIVE: the kernel finds out when the machine at the other end is gone.
pub fn keep_alive(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_flag(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, true)
}

fn set_flag(fd: BorrowedFd<'_>, level: c_int, option: c_int, on: bool) -> io::Result<()> {
    set_option(fd, level, option, &c_int::from(on).to_ne_bytes())
}

fn bind_to_interface(fd: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    // The kernel would cut a longer name and might find another interface.
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    set_option(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_bytes())
}

fn set_option(fd: BorrowedFd<'_>, level: c_int, option: c_int, value: &[u8]) -> io::Result<()> {
    let (start, length) = (value.as_ptr().cast::<c_void>(), value.len() as libc::socklen_t);
    // SAFETY: the pointer and the length are those of one slice.
    cvt(unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, start, length) }).map(drop)
}

/// The type of a socket, and whether it listens.
pub fn kind_of(fd: RawFd) -> io::Result<(Kind, bool)> {
    let all = [Kind::Stream, Kind::Dgram, Kind::Seqpacket, Kind::Raw, Kind::Rdm];
    let [number] = option(fd, libc::SOL_SOCKET, libc::SO_TYPE)?;
    let [listens] = option(fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN)?;
    let kind = all.into_iter().find(|kind| *kind as u32 == number).ok_or(io::ErrorKind::Unsupported)?;
    Ok((kind, listens != 0))
}

/// An option of a socket whose value is so many numbers, or begins with them.
pub(super) fn option<const N: usize>(fd: RawFd, level: c_int, option: c_int) -> io::Result<[u32; N]> {
    let mut value = [0; N];
    let count = numbers(fd, level, option, &mut value)?;
    if count < N { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(value) }
}

/// An option of a socket whose value are numbers; how many there are.
fn numbers(fd: RawFd, level: c_int, option: c_int, value: &mut [u32]) -> io::Result<usize> {
    let mut length = size_of_val(value) as libc::socklen_t;
    let place = value.as_mut_ptr().cast();
    // SAFETY: `length` says how much room there is at `place`.
    cvt(unsafe { libc::getsockopt(fd, level, option, place, &mut length) })?;
    Ok(length as usize / size_of::<u32>())
}

/// The supplementary groups of who was at the other end of a Unix connection when it was made.
pub fn peer_groups(fd: RawFd) -> io::Result<Vec<u32>> {
    let mut groups = vec![0; MOST_GROUPS];
    let count = numbers(fd, libc::SOL_SOCKET, libc::SO_PEERGROUPS, &mut groups)?;
    groups.truncate(count);
    groups.shrink_to_fit();
    Ok(groups)
}

/// Who was at the other end of a Unix connection when it was made: process, user and group.
pub fn peer_credentials(fd: RawFd) -> io::Result<(Pid, u32, u32)> {
    // the kernel's struct ucred
    let [pid, uid, gid] = option(fd, libc::SOL_SOCKET, libc::SO_PEERCRED)?;
    Ok((pid.cast_signed(), uid, gid))
}

/// Sends what fits, without blocking and without SIGPIPE, whatever the socket's own flags. `WouldBlock` if full.
pub fn send_nowait(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and the length are those of one slice.
    let sent = cvt(unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) })?;
    Ok(sent.unsigned_abs())
}

/// Room for one message of the kernel's, aligned as it wants it. Descriptors that somebody sends along find none, so
/// the kernel closes them.
const ROOM: usize = 4;

/// From now on each datagram comes with its sender, which the kernel vouches for (SO_PASSCRED).
pub fn pass_credentials(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_flag(fd, libc::SOL_SOCKET, libc::SO_PASSCRED, true)
}

/// Takes a datagram without waiting: how long it is, at most as long as `buffer`, and who has sent it; 0 is a process
/// that cannot be seen from here.
pub fn receive_from(socket: RawFd, buffer: &mut [u8]) -> io::Result<(usize, Pid)> {
    let mut control = [0_u64; ROOM];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a message header of zeros is one without address, parts and control messages.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: all pointers in the header are to places of this function or to the buffer, with their lengths.
    let length = cvt(unsafe { libc::recvmsg(socket, &mut header, flags) })?;
    Ok((length.unsigned_abs(), sender(&header).unwrap_or(0)))
}

fn sender(header: &libc::msghdr) -> Option<Pid> {
    // SAFETY: the header is as recvmsg has left it.
    let first = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: it is null, or points to a message that the kernel has written into the aligned room.
    let message = unsafe { first.as_ref() }?;
    if (message.cmsg_level, message.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) {
        return None;
    }
    // SAFETY: computes the address behind the head of a message.
    let data = unsafe { libc::CMSG_DATA(first) }.cast::<libc::ucred>();
    // SAFETY: a message of this type has a `ucred` there, for which there is room.
    let credentials = unsafe { data.read_unaligned() };
    Some(credentials.pid)
}

/// How many bytes can be read at once from a socket or pipe (FIONREAD).
pub fn pending_bytes(fd: RawFd) -> io::Result<usize> {
    let mut count: c_int = 0;
    // SAFETY: FIONREAD writes one int.
    cvt(unsafe { libc::ioctl(fd, libc::FIONREAD, &mut count) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The same descriptor under a number that is at least `min`. It is CLOEXEC.
pub fn move_up(fd: OwnedFd, min: RawFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= min {
        return Ok(fd);
    }
    let moved = cvt(fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, min))?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

/// Whether a socket is open under this number; an error if nothing is.
pub fn is_socket(fd: RawFd) -> io::Result<bool> {
    match option(fd, libc::SOL_SOCKET, libc::SO_TYPE) {
        Ok([_]) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes over a socket that circus was started with, under a number that is at least `min`, where the old number is
/// free then. It must be one that nothing in circus owns.
pub fn adopt(fd: RawFd, min: RawFd) -> io::Result<OwnedFd> {
    if !is_socket(fd)? {
        return Err(io::Error::from_raw_os_error(libc::ENOTSOCK));
    }
    cvt(fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC))?;
    // SAFETY: it is open, as has just been seen, and the caller says that nobody owns it.
    move_up(unsafe { OwnedFd::from_raw_fd(fd) }, min)
}

/// Connects to a Unix stream socket; an error if it cannot be done at once.
pub fn connect_now(address: &Address) -> io::Result<OwnedFd> {
    let address = RawAddress::new(address)?;
    let fd = new_socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0)?;
    let (place, length) = address.as_raw();
    // SAFETY: the pointer and the length are those of one address.
    cvt(unsafe { libc::connect(fd.as_raw_fd(), place, length) }).map(|_| fd)
}

/// Whether somebody holds the Unix socket at a path, which is learned by connecting to it; `None`: there is none. Never
/// blocks.
pub fn is_held(path: &Path) -> io::Result<Option<bool>> {
    let Err(error) = connect_now(&Address::Unix(path.to_owned())) else { return Ok(Some(true)) };
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => Ok(Some(false)),
        // A full queue, or a socket of another type: alive either way.
        Some(libc::EAGAIN | libc::EPROTOTYPE) => Ok(Some(true)),
        Some(libc::ENOENT) => Ok(None),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests;
