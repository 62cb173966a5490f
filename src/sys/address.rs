//! Socket addresses, between Rust's types and the kernel's.

use std::ffi::OsStr;
use std::mem::offset_of;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::{fmt, io, ptr};

/// Where a socket is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// IPv4 or IPv6, with the port.
    Inet(SocketAddr),
    /// A Unix socket in the file system. The empty path is that of a socket without a name.
    Unix(PathBuf),
    /// A Unix socket in the abstract namespace: the name without its leading null.
    Abstract(Vec<u8>),
}

impl Address {
    /// The Unix address that people write as `/path` or as `@name`, the abstract one.
    pub fn unix(text: &OsStr) -> Self {
        match text.as_bytes().strip_prefix(b"@") {
            Some(name) => Address::Abstract(name.to_vec()),
            None => Address::Unix(PathBuf::from(text)),
        }
    }

    /// Where a socket of any type is bound; the port that the kernel chose for port 0. Fails for families other than
    /// Unix and internet.
    pub fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        // The standard library does not look at the type.
        let socket = TcpStream::from(socket.try_clone_to_owned()?);
        if let Ok(address) = socket.local_addr() {
            return Ok(Address::Inet(address));
        }
        let unix = UnixDatagram::from(OwnedFd::from(socket)).local_addr();
        let unix = unix.map_err(|_| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))?;
        Ok(match unix.as_abstract_name() {
            Some(name) => Address::Abstract(name.to_vec()),
            None => Address::Unix(unix.as_pathname().map(PathBuf::from).unwrap_or_default()),
        })
    }

    pub(super) fn family(&self) -> i32 {
        match self {
            Address::Inet(SocketAddr::V4(_)) => libc::AF_INET,
            Address::Inet(SocketAddr::V6(_)) => libc::AF_INET6,
            Address::Unix(_) | Address::Abstract(_) => libc::AF_UNIX,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => address.fmt(out),
            Address::Unix(path) => path.display().fmt(out),
            Address::Abstract(name) => write!(out, "@{}", String::from_utf8_lossy(name)),
        }
    }
}

/// An address as the kernel takes it.
pub(super) enum RawAddress {
    V4(libc::sockaddr_in),
    V6(libc::sockaddr_in6),
    /// With its length, which counts the null behind a path and the one before an abstract name.
    Unix(libc::sockaddr_un, usize),
}

/// Where the path begins in a `sockaddr_un`.
const PATH_OFFSET: usize = offset_of!(libc::sockaddr_un, sun_path);
/// The longest path or abstract name: one byte of the field is the null.
const PATH_MAX: usize = size_of::<libc::sockaddr_un>() - PATH_OFFSET - 1;

impl RawAddress {
    /// Fails for Unix names that are too long.
    pub(super) fn new(address: &Address) -> io::Result<Self> {
        Ok(match address {
            Address::Inet(SocketAddr::V4(address)) => RawAddress::V4(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                sin_zero: [0; 8],
            }),
            Address::Inet(SocketAddr::V6(address)) => RawAddress::V6(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            }),
            Address::Unix(path) => Self::unix(b"", path.as_os_str().as_bytes())?,
            Address::Abstract(name) => Self::unix(b"\0", name)?,
        })
    }

    fn unix(prefix: &[u8], name: &[u8]) -> io::Result<Self> {
        if name.len() > PATH_MAX {
            let text = format!("the name is {} bytes long, and at most {PATH_MAX} are possible", name.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut raw = libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; _] };
        for (place, &byte) in raw.sun_path.iter_mut().zip(prefix.iter().chain(name)) {
            *place = byte as libc::c_char;
        }
        Ok(RawAddress::Unix(raw, PATH_OFFSET + name.len() + 1))
    }

    /// The two arguments of bind(2) and connect(2).
    pub(super) fn as_raw(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        let (place, length) = match self {
            RawAddress::V4(raw) => (ptr::from_ref(raw).cast(), size_of_val(raw)),
            RawAddress::V6(raw) => (ptr::from_ref(raw).cast(), size_of_val(raw)),
            RawAddress::Unix(raw, length) => (ptr::from_ref(raw).cast(), *length),
        };
        (place, length as libc::socklen_t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_is_refused_with_its_length() {
        let address = Address::Unix("x".repeat(PATH_MAX + 1).into());
        let error = RawAddress::new(&address).err().unwrap();
        assert_eq!(error.to_string(), "the name is 108 bytes long, and at most 107 are possible");
    }

    #[test]
    fn an_at_sign_means_an_abstract_name() {
        assert_eq!(Address::unix(OsStr::new("@web")), Address::Abstract(b"web".to_vec()));
        assert_eq!(Address::unix(OsStr::new("/run/web")), Address::Unix("/run/web".into()));
        assert_eq!(Address::unix(OsStr::new("@web")).to_string(), "@web");
    }
}
