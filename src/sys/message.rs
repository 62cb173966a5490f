//! Datagrams with the process that has sent them, which the kernel vouches for.

use super::socket::set_flag;
use super::{Pid, cvt};
use std::os::fd::{AsFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::{io, mem};

/// Room for one message of the kernel's, aligned as it wants it. Descriptors that somebody sends along find none, so
/// the kernel closes them.
const ROOM: usize = 4;

/// From now on each datagram comes with its sender (SO_PASSCRED).
pub fn pass_credentials(socket: &UnixDatagram) -> io::Result<()> {
    set_flag(socket.as_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, true)
}

/// Takes a datagram without waiting: how long it is, at most as long as `buffer`, and who has sent it; 0 is a process
/// that cannot be seen from here.
pub fn receive(socket: RawFd, buffer: &mut [u8]) -> io::Result<(usize, Pid)> {
    let mut control = [0_u64; ROOM];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a message header of zeros is one without address, parts and control messages.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = mem::size_of_val(&control) as _;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn the_sender_is_known_and_descriptors_are_not_taken() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        pass_credentials(&ours).unwrap();
        let mut buffer = [0; 8];
        let fd = ours.as_raw_fd();
        assert_eq!(receive(fd, &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        theirs.send(b"READY=1\nmore").unwrap();
        assert_eq!(receive(fd, &mut buffer).unwrap(), (8, std::process::id() as Pid));
        assert_eq!(&buffer, b"READY=1\n");
        theirs.send(b"").unwrap();
        assert_eq!(receive(fd, &mut buffer).unwrap(), (0, std::process::id() as Pid));
    }
}
