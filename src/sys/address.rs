//! Socket addresses, between Rust's types and the kernel's.

use std::ffi::OsStr;
use std::mem::{self, offset_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
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

/// An address as the kernel takes and gives it.
pub(super) struct RawAddress {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

/// Where the path begins in a `sockaddr_un`.
const PATH_OFFSET: usize = offset_of!(libc::sockaddr_un, sun_path);
/// The longest path or abstract name: one byte of the field is the null.
const PATH_MAX: usize = mem::size_of::<libc::sockaddr_un>() - PATH_OFFSET - 1;

impl RawAddress {
    /// Room for an address that the kernel writes.
    pub(super) fn empty() -> Self {
        // SAFETY: all zeros are a valid sockaddr_storage.
        let storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
        RawAddress { storage, length: mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t }
    }

    /// Fails for Unix names that are too long.
    pub(super) fn new(address: &Address) -> io::Result<Self> {
        match address {
            Address::Inet(SocketAddr::V4(address)) => Ok(Self::from_v4(address)),
            Address::Inet(SocketAddr::V6(address)) => Ok(Self::from_v6(address)),
            Address::Unix(path) => Self::from_unix(b"", path.as_os_str().as_bytes(), 1),
            Address::Abstract(name) => Self::from_unix(b"\0", name, 0),
        }
    }

    fn from_v4(address: &SocketAddrV4) -> Self {
        let raw = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
            sin_zero: [0; 8],
        };
        Self::from_struct(raw)
    }

    fn from_v6(address: &SocketAddrV6) -> Self {
        let raw = libc::sockaddr_in6 {
            sin6_family: libc::AF_INET6 as libc::sa_family_t,
            sin6_port: address.port().to_be(),
            sin6_flowinfo: address.flowinfo(),
            sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
            sin6_scope_id: address.scope_id(),
        };
        Self::from_struct(raw)
    }

    /// The length counts the null behind a path (`nulls`) and the one before an abstract name (`prefix`).
    fn from_unix(prefix: &[u8], name: &[u8], nulls: usize) -> io::Result<Self> {
        if name.len() > PATH_MAX {
            let text = format!("the name is {} bytes long, and at most {PATH_MAX} are possible", name.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // SAFETY: all zeros are a valid sockaddr_un.
        let mut raw: libc::sockaddr_un = unsafe { mem::zeroed() };
        raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (place, &byte) in raw.sun_path.iter_mut().zip(prefix.iter().chain(name)) {
            *place = byte as libc::c_char;
        }
        let length = PATH_OFFSET + prefix.len() + name.len() + nulls;
        Ok(RawAddress { length: length as libc::socklen_t, ..Self::from_struct(raw) })
    }

    /// `T` is one of the sockaddr structs, each of which fits into a sockaddr_storage and its alignment.
    fn from_struct<T: Copy>(raw: T) -> Self {
        const { assert!(mem::size_of::<T>() <= mem::size_of::<libc::sockaddr_storage>()) };
        const { assert!(mem::align_of::<T>() <= mem::align_of::<libc::sockaddr_storage>()) };
        let mut address = Self::empty();
        let place = ptr::from_mut(&mut address.storage).cast::<T>();
        // SAFETY: size and alignment are checked above.
        unsafe { place.write(raw) };
        address.length = mem::size_of::<T>() as libc::socklen_t;
        address
    }

    pub(super) fn as_ptr(&self) -> *const libc::sockaddr {
        ptr::from_ref(&self.storage).cast()
    }

    pub(super) fn length(&self) -> libc::socklen_t {
        self.length
    }

    /// The places where the kernel writes an address and its length.
    pub(super) fn as_mut_ptrs(&mut self) -> (*mut libc::sockaddr, *mut libc::socklen_t) {
        (ptr::from_mut(&mut self.storage).cast(), &mut self.length)
    }

    /// Fails for families other than Unix and internet.
    pub(super) fn address(&self) -> io::Result<Address> {
        match i32::from(self.storage.ss_family) {
            libc::AF_INET => Ok(Address::Inet(self.v4().into())),
            libc::AF_INET6 => Ok(Address::Inet(self.v6().into())),
            libc::AF_UNIX => Ok(self.unix()),
            _ => Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
        }
    }

    fn v4(&self) -> SocketAddrV4 {
        // SAFETY: the storage is large enough and aligned, and any bytes are a valid sockaddr_in.
        let raw: libc::sockaddr_in = unsafe { self.as_ptr().cast::<libc::sockaddr_in>().read() };
        SocketAddrV4::new(Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes()), u16::from_be(raw.sin_port))
    }

    fn v6(&self) -> SocketAddrV6 {
        // SAFETY: the storage is large enough and aligned, and any bytes are a valid sockaddr_in6.
        let raw: libc::sockaddr_in6 = unsafe { self.as_ptr().cast::<libc::sockaddr_in6>().read() };
        let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
        SocketAddrV6::new(ip, u16::from_be(raw.sin6_port), raw.sin6_flowinfo, raw.sin6_scope_id)
    }

    fn unix(&self) -> Address {
        // SAFETY: the storage is large enough and aligned, and any bytes are a valid sockaddr_un.
        let raw: libc::sockaddr_un = unsafe { self.as_ptr().cast::<libc::sockaddr_un>().read() };
        let length = (self.length as usize).saturating_sub(PATH_OFFSET);
        let bytes: Vec<u8> = raw.sun_path.iter().take(length).map(|&byte| byte as u8).collect();
        match bytes.split_first() {
            Some((0, name)) => Address::Abstract(name.to_vec()),
            _ => {
                let path: Vec<u8> = bytes.into_iter().take_while(|&byte| byte != 0).collect();
                Address::Unix(PathBuf::from(OsStr::from_bytes(&path)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_survives_the_way_to_the_kernel_and_back() {
        let inet = ["127.0.0.1:80", "[2001:db8::1]:443", "[::]:0"];
        let mut addresses: Vec<_> = inet.iter().map(|text| Address::Inet(text.parse().unwrap())).collect();
        addresses.push(Address::Inet(SocketAddrV6::new("fe80::1".parse().unwrap(), 1, 0, 7).into()));
        addresses.push(Address::Unix("/run/a b".into()));
        addresses.push(Address::Unix("x".repeat(PATH_MAX).into()));
        addresses.push(Address::Abstract(b"na\0me\xff".to_vec()));
        for address in addresses {
            assert_eq!(RawAddress::new(&address).unwrap().address().unwrap(), address);
        }
    }

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
