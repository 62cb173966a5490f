//! What waits at a listening socket, and what it has turned away.

use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use super::socket::{new_socket, option};

/// The connections that nobody has accepted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// How many wait; `None` for sockets without connections.
    pub waiting: Option<u32>,
    /// How many may wait.
    pub limit: Option<u32>,
    /// How many connections, or datagrams, the kernel has dropped here; `None` where it does not count them.
    pub drops: Option<u32>,
}

/// Looks at a socket. What the kernel does not tell is missing.
pub fn look(fd: BorrowedFd<'_>) -> Queue {
    let socket = fd.as_raw_fd();
    let is =
        |name, wanted: c_int| option(socket, libc::SOL_SOCKET, name).is_ok_and(|[is]| is == wanted as u32);
    let listens = is(libc::SO_ACCEPTCONN, 1);
    if is(libc::SO_DOMAIN, libc::AF_UNIX) {
        let (waiting, limit) = listens.then(|| unix_queue(fd).ok()).flatten().unzip();
        return Queue { waiting, limit, drops: None };
    }
    let info = option::<8>(socket, libc::IPPROTO_TCP, libc::TCP_INFO).ok().filter(|_| listens);
    // Of a listening socket, tcpi_unacked is the length of the queue, and tcpi_sacked its limit.
    let (waiting, limit) = info.map(|[.., waiting, limit]| (waiting, limit)).unzip();
    // The last of the numbers of SO_MEMINFO (SK_MEMINFO_DROPS).
    let drops = option::<9>(socket, libc::SOL_SOCKET, libc::SO_MEMINFO).ok().map(|[.., drops]| drops);
    Queue { waiting, limit, drops }
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const UDIAG_SHOW_RQLEN: u32 = 0x10;
const UNIX_DIAG_RQLEN: u16 = 4;
/// The header of the answer and what is always told of a socket.
const BEFORE_ATTRIBUTES: usize = size_of::<libc::nlmsghdr>() + 16;

/// How many connections wait at a Unix socket, and how many may.
fn unix_queue(fd: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    let inode = File::from(fd.try_clone_to_owned()?).metadata()?.ino();
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK;
    let mut netlink = File::from(new_socket(libc::AF_NETLINK, kind, libc::NETLINK_SOCK_DIAG)?);
    netlink.write_all(&question(inode as u32))?;
    let mut answer = [0_u8; 512];
    // The kernel answers one question at once.
    let length = netlink.read(&mut answer)?;
    queue_length(answer.get(..length).unwrap_or_default()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The question of sock_diag(7) about one Unix socket, the number of which is that of its file.
fn question(inode: u32) -> Vec<u8> {
    let [a, b] = SOCK_DIAG_BY_FAMILY.to_ne_bytes();
    let [c, d] = (libc::NLM_F_REQUEST as u16).to_ne_bytes();
    let (kind_and_flags, family) = ([a, b, c, d], [libc::AF_UNIX as u8, 0, 0, 0]);
    let [kind_and_flags, family] = [kind_and_flags, family].map(u32::from_ne_bytes);
    let header = [40, kind_and_flags, 0, 0];
    let (states, cookie) = (u32::MAX, u32::MAX);
    let request = [family, states, inode, UDIAG_SHOW_RQLEN, cookie, cookie];
    header.into_iter().chain(request).flat_map(u32::to_ne_bytes).collect()
}

/// Looks for the attribute among those of an answer.
fn queue_length(answer: &[u8]) -> Option<(u32, u32)> {
    let word = |bytes: &[u8], at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let mut rest = answer.get(BEFORE_ATTRIBUTES..)?;
    loop {
        let head = word(rest, 0)?.to_ne_bytes();
        let (length, kind) = (u16::from_ne_bytes([head[0], head[1]]), u16::from_ne_bytes([head[2], head[3]]));
        if kind == UNIX_DIAG_RQLEN {
            return Some((word(rest, 4)?, word(rest, 8)?));
        }
        rest = rest.get(usize::from(length).max(4).next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn what_waits_at_a_tcp_socket_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(look(listener.as_fd()).waiting, Some(0));
        let clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        let queue = look(listener.as_fd());
        assert_eq!((queue.waiting, queue.drops), (Some(2), Some(0)));
        assert!(queue.limit.is_some_and(|limit| limit >= 100));
        listener.accept().unwrap();
        assert_eq!(look(listener.as_fd()).waiting, Some(1));
        assert_eq!(look(clients[0].as_fd()).waiting, None, "it does not listen");
    }

    #[test]
    fn what_waits_at_a_unix_socket_is_counted() {
        let path = std::env::temp_dir().join(format!("circus-queue-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        let queue = look(listener.as_fd());
        std::fs::remove_file(&path).unwrap();
        assert_eq!((queue.waiting, queue.drops), (Some(1), None));
        assert!(queue.limit.is_some_and(|limit| limit > 1), "{queue:?}");
    }

    #[test]
    fn a_socket_without_connections_has_no_queue() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(look(socket.as_fd()), Queue { waiting: None, limit: None, drops: Some(0) });
        assert_eq!(look(File::open("/dev/null").unwrap().as_fd()), Queue::default());
    }

    #[test]
    fn an_answer_that_is_cut_is_none() {
        assert_eq!(queue_length(&[]), None);
        assert_eq!(queue_length(&[0; BEFORE_ATTRIBUTES + 3]), None);
        assert_eq!(queue_length(&[0; 512]), None, "attributes without a length");
    }
}
