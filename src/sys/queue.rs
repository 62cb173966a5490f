//! What waits at a listening socket, and what it has turned away.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::c_int;

use super::cvt;

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
pub fn look(fd: RawFd) -> Queue {
    let kind = |option| number(fd, option).unwrap_or(-1);
    let listens = kind(libc::SO_ACCEPTCONN) == 1;
    match kind(libc::SO_DOMAIN) {
        libc::AF_UNIX if listens => {
            let lengths = unix_queue(fd).ok();
            Queue {
                waiting: lengths.map(|(waiting, _)| waiting),
                limit: lengths.map(|(_, limit)| limit),
                drops: None,
            }
        }
        libc::AF_UNIX => Queue::default(),
        _ => {
            let info = words::<8>(fd, libc::IPPROTO_TCP, libc::TCP_INFO).ok().filter(|_| listens);
            // Of a listening socket, tcpi_unacked is the length of the queue, and tcpi_sacked its limit.
            let (waiting, limit) = info.map(|[.., waiting, limit]| (waiting, limit)).unzip();
            // The last of the numbers of SO_MEMINFO (SK_MEMINFO_DROPS).
            let drops = words::<9>(fd, libc::SOL_SOCKET, libc::SO_MEMINFO).ok().map(|[.., drops]| drops);
            Queue { waiting, limit, drops }
        }
    }
}

fn number(fd: RawFd, option: c_int) -> io::Result<c_int> {
    words::<1>(fd, libc::SOL_SOCKET, option).map(|[word]| word as c_int)
}

/// An option of a socket whose value is so many numbers, or begins with them.
fn words<const N: usize>(fd: RawFd, level: c_int, option: c_int) -> io::Result<[u32; N]> {
    let mut value = [0_u32; N];
    let mut length = mem::size_of_val(&value) as libc::socklen_t;
    let place = value.as_mut_ptr().cast();
    // SAFETY: `length` says how much room there is at `place`.
    cvt(unsafe { libc::getsockopt(fd, level, option, place, &mut length) })?;
    if (length as usize) < mem::size_of_val(&value) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(value)
}

/// The question of sock_diag(7) about one Unix socket.
#[repr(C)]
struct Question {
    header: libc::nlmsghdr,
    family: u8,
    protocol: u8,
    pad: u16,
    states: u32,
    inode: u32,
    show: u32,
    cookie: [u32; 2],
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const UDIAG_SHOW_RQLEN: u32 = 0x10;
const UNIX_DIAG_RQLEN: u16 = 4;
/// The header of the answer and what is always told of a socket.
const BEFORE_ATTRIBUTES: usize = mem::size_of::<libc::nlmsghdr>() + 16;

/// How many connections wait at a Unix socket, and how many may.
fn unix_queue(fd: RawFd) -> io::Result<(u32, u32)> {
    let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes numbers only.
    let netlink = cvt(unsafe { libc::socket(libc::AF_NETLINK, flags, libc::NETLINK_SOCK_DIAG) })?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
    let netlink = unsafe { OwnedFd::from_raw_fd(netlink) };
    let question = question(inode(fd)?);
    let length = mem::size_of::<Question>();
    // SAFETY: the pointer and the length are those of one `Question`, which has no padding.
    cvt(unsafe { libc::send(netlink.as_raw_fd(), ptr::from_ref(&question).cast(), length, 0) })?;
    let mut answer = [0_u8; 512];
    let room = (answer.as_mut_ptr().cast(), answer.len());
    // SAFETY: the kernel writes no more than there is room for. It answers one question at once.
    let length = cvt(unsafe { libc::recv(netlink.as_raw_fd(), room.0, room.1, 0) })?;
    let answer = answer.get(..length.unsigned_abs()).unwrap_or_default();
    queue_length(answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn question(inode: u32) -> Question {
    // SAFETY: all zeros are a valid nlmsghdr.
    let mut header: libc::nlmsghdr = unsafe { mem::zeroed() };
    header.nlmsg_len = mem::size_of::<Question>() as u32;
    header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header.nlmsg_flags = libc::NLM_F_REQUEST as u16;
    let (family, states) = (libc::AF_UNIX as u8, u32::MAX);
    let cookie = [u32::MAX; 2];
    Question { header, family, protocol: 0, pad: 0, states, inode, show: UDIAG_SHOW_RQLEN, cookie }
}

/// The number of a socket: that of its file.
fn inode(fd: RawFd) -> io::Result<u32> {
    // SAFETY: all zeros are a valid stat.
    let mut stat: libc::stat = unsafe { mem::zeroed() };
    // SAFETY: `stat` is ours to be written to.
    cvt(unsafe { libc::fstat(fd, &mut stat) })?;
    u32::try_from(stat.st_ino).map_err(|_| io::ErrorKind::InvalidData.into())
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
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn what_waits_at_a_tcp_socket_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(look(listener.as_raw_fd()).waiting, Some(0));
        let clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        let queue = look(listener.as_raw_fd());
        assert_eq!((queue.waiting, queue.drops), (Some(2), Some(0)));
        assert!(queue.limit.is_some_and(|limit| limit >= 100));
        listener.accept().unwrap();
        assert_eq!(look(listener.as_raw_fd()).waiting, Some(1));
        assert_eq!(look(clients[0].as_raw_fd()).waiting, None, "it does not listen");
    }

    #[test]
    fn what_waits_at_a_unix_socket_is_counted() {
        let path = std::env::temp_dir().join(format!("circus-queue-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        let queue = look(listener.as_raw_fd());
        std::fs::remove_file(&path).unwrap();
        assert_eq!((queue.waiting, queue.drops), (Some(1), None));
        assert!(queue.limit.is_some_and(|limit| limit > 1), "{queue:?}");
    }

    #[test]
    fn a_socket_without_connections_has_no_queue() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(look(socket.as_raw_fd()), Queue { waiting: None, limit: None, drops: Some(0) });
        assert_eq!(look(-1), Queue::default());
    }

    #[test]
    fn an_answer_that_is_cut_is_none() {
        assert_eq!(queue_length(&[]), None);
        assert_eq!(queue_length(&[0; BEFORE_ATTRIBUTES + 3]), None);
        assert_eq!(queue_length(&[0; 512]), None, "attributes without a length");
    }
}
