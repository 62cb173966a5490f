//! Sockets on the loopback and in temporary directories.

use super::*;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own for one test, removed at its end.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("circus-socket-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        // Whatever mask another test binds with just now.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        TempDir(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn loopback(text: &str) -> SocketSpec {
    SocketSpec::new(Address::Inet(text.parse().unwrap()))
}

fn unix(path: &Path) -> SocketSpec {
    SocketSpec::new(Address::Unix(path.to_owned()))
}

fn inet_addr(fd: &OwnedFd) -> SocketAddr {
    let Address::Inet(address) = Address::of(fd.as_fd()).unwrap() else { panic!("not an internet address") };
    address
}

fn fcntl(fd: &OwnedFd, command: c_int) -> c_int {
    // SAFETY: reads flags of a descriptor.
    unsafe { libc::fcntl(fd.as_raw_fd(), command) }
}

fn option(fd: &OwnedFd, level: c_int, name: c_int) -> c_int {
    let mut value: c_int = -1;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `length` says how much room there is.
    let got = unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &mut length) };
    assert_eq!(got, 0);
    value
}

#[test]
fn a_stream_socket_listens_on_the_port_that_the_kernel_chose() {
    for text in ["127.0.0.1:0", "[::1]:0"] {
        let fd = bind(&loopback(text)).unwrap();
        let address = inet_addr(&fd);
        assert_ne!(address.port(), 0);
        assert_eq!(option(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR), 1);
        TcpStream::connect(address).unwrap();
    }
}

#[test]
fn every_socket_is_cloexec_and_blocks_only_when_asked() {
    for blocking in [false, true] {
        let fd = bind(&SocketSpec { blocking, ..loopback("127.0.0.1:0") }).unwrap();
        assert_eq!(fcntl(&fd, libc::F_GETFD), libc::FD_CLOEXEC);
        assert_eq!(fcntl(&fd, libc::F_GETFL) & libc::O_NONBLOCK == 0, blocking);
    }
}

#[test]
fn an_ipv6_socket_leaves_ipv4_alone() {
    let six = bind(&loopback("[::]:0")).unwrap();
    assert_eq!(option(&six, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY), 1);
    let port = inet_addr(&six).port();
    bind(&loopback(&format!("127.0.0.1:{port}"))).unwrap();
}

#[test]
fn an_ipv6_socket_takes_ipv4_where_that_is_wanted() {
    let spec = SocketSpec { v6only: false, ..loopback("[::]:0") };
    let fd = bind(&spec).unwrap();
    std::net::TcpStream::connect(("127.0.0.1", inet_addr(&fd).port())).unwrap();
}

#[test]
fn connections_are_deferred_where_that_is_wanted() {
    let deferred = |seconds| {
        let fd = bind(&SocketSpec { defer_accept: seconds, ..loopback("127.0.0.1:0") }).unwrap();
        option(&fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT)
    };
    assert_eq!((deferred(None), deferred(Some(1)) > 0), (0, true));
}

#[test]
fn a_datagram_socket_is_bound_and_does_not_listen() {
    let fd = bind(&SocketSpec { kind: Kind::Dgram, blocking: true, ..loopback("127.0.0.1:0") }).unwrap();
    let address = inet_addr(&fd);
    let receiver = UdpSocket::from(fd);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"hello", address).unwrap();
    let mut bytes = [0; 8];
    assert_eq!(receiver.recv(&mut bytes).unwrap(), 5);
}

#[test]
fn reuseport_lets_two_sockets_share_a_port() {
    let spec = SocketSpec { reuseport: true, ..loopback("127.0.0.1:0") };
    let first = bind(&spec).unwrap();
    let again = SocketSpec { address: Address::of(first.as_fd()).unwrap(), ..spec };
    bind(&again).unwrap();
    let error = bind(&SocketSpec { reuseport: false, ..again }).unwrap_err();
    assert_eq!(error.to_string(), "bind: Address already in use");
}

#[test]
fn errors_name_the_step() {
    let error = bind(&SocketSpec { proto: 255, ..loopback("127.0.0.1:0") }).unwrap_err();
    assert_eq!(error.step, "socket");
    let error = bind(&loopback("192.0.2.1:0")).unwrap_err();
    assert_eq!(error.to_string(), "bind: Cannot assign requested address");
    let interface = Some("no-such-interface-at-all".to_owned());
    let error = bind(&SocketSpec { interface, ..loopback("127.0.0.1:0") }).unwrap_err();
    assert_eq!(error.to_string(), "SO_BINDTODEVICE: No such device");
    let error = bind(&unix(Path::new(&"/x".repeat(60)))).unwrap_err();
    assert!(error.to_string().starts_with("address: the name is 120 bytes long"), "{error}");
}

#[test]
fn a_socket_is_bound_to_an_interface() {
    let fd = bind(&SocketSpec { interface: Some("lo".to_owned()), ..loopback("127.0.0.1:0") }).unwrap();
    TcpStream::connect(inet_addr(&fd)).unwrap();
}

#[test]
fn a_unix_path_gets_the_mode_that_was_asked_for_and_the_mask_is_put_back() {
    let directory = TempDir::new();
    let _children = crate::sys::children_lock();
    let before = set_umask(0o027);
    for (mask, mode) in [(0o010, 0o767), (0, 0o777), (0o177, 0o600)] {
        let path = directory.path(&format!("{mask:o}"));
        bind(&SocketSpec { umask: Some(mask), ..unix(&path) }).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
    }
    assert_eq!(set_umask(before), 0o027);
}

#[test]
fn unix_sockets_of_all_kinds_are_bound() {
    let directory = TempDir::new();
    for kind in [Kind::Stream, Kind::Dgram, Kind::Seqpacket] {
        let path = directory.path(&format!("{kind:?}"));
        let fd = bind(&SocketSpec { kind, ..unix(&path) }).unwrap();
        assert_eq!(Address::of(fd.as_fd()).unwrap(), Address::Unix(path));
        let listens = option(&fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN) == 1;
        assert_eq!((listens, kind_of(fd.as_raw_fd()).unwrap()), (kind != Kind::Dgram, (kind, listens)));
    }
    let longest = directory.path(&"x".repeat(106 - directory.0.as_os_str().len()));
    let fd = bind(&unix(&longest)).unwrap();
    assert_eq!(Address::of(fd.as_fd()).unwrap(), Address::Unix(longest));
    let (unnamed, _) = UnixDatagram::pair().unwrap();
    assert_eq!(Address::of(unnamed.as_fd()).unwrap(), Address::Unix(PathBuf::new()));
    assert_eq!(
        Address::of(fs::File::open("/dev/null").unwrap().as_fd()).unwrap_err().raw_os_error(),
        Some(libc::EAFNOSUPPORT)
    );
}

#[test]
fn the_control_socket_tells_who_connected() {
    let directory = TempDir::new();
    let path = directory.path("control");
    let _children = crate::sys::children_lock();
    let listener = UnixListener::from(bind(&SocketSpec::unix(Address::Unix(path.clone()), 0o600)).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let _client = UnixStream::connect(&path).unwrap();
    let (server, _) = listener.accept().unwrap();
    let (pid, uid, _) = peer_credentials(server.as_raw_fd()).unwrap();
    assert_eq!(pid, std::process::id() as Pid);
    assert_eq!(uid, crate::sys::user::current_uid());
}

#[test]
fn an_abstract_socket_is_reached_by_its_name() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("circus-test-{}", std::process::id());
    let address = Address::Abstract(name.clone().into_bytes());
    let fd = bind(&SocketSpec::unix(address.clone(), 0o600)).unwrap();
    assert_eq!(Address::of(fd.as_fd()).unwrap(), address);
    let std_address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    UnixStream::connect_addr(&std_address).unwrap();
}

#[test]
fn a_socket_at_a_path_is_told_to_be_absent_stale_or_held() {
    let directory = TempDir::new();
    let path = directory.path("socket");
    assert_eq!(is_held(&path).unwrap(), None);

    let held = bind(&SocketSpec::unix(Address::Unix(path.clone()), 0o600)).unwrap();
    assert_eq!(is_held(&path).unwrap(), Some(true));
    drop(held);
    assert_eq!(is_held(&path).unwrap(), Some(false));

    let datagrams = directory.path("datagrams");
    let held = UnixDatagram::bind(&datagrams).unwrap();
    assert_eq!(is_held(&datagrams).unwrap(), Some(true));
    drop(held);
    assert_eq!(is_held(&datagrams).unwrap(), Some(false));

    let file = directory.path("file");
    fs::write(&file, "text").unwrap();
    assert!(is_held(&file.join("below")).is_err());
}

#[test]
fn a_full_queue_does_not_block_the_question() {
    let directory = TempDir::new();
    let path = directory.path("full");
    let _held = bind(&SocketSpec { backlog: 0, ..unix(&path) }).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    assert_eq!(is_held(&path).unwrap(), Some(true));
}

#[test]
fn sending_never_blocks_and_a_closed_peer_is_an_error_not_a_signal() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let chunk = [7; 4096];
    let mut sent = 0;
    let error = loop {
        match send_nowait(ours.as_raw_fd(), &chunk) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(sent > 0);
    let mut one = [0; 1];
    theirs.read_exact(&mut one).unwrap();
    assert_eq!(pending_bytes(theirs.as_raw_fd()).unwrap(), sent - 1);
    drop(theirs);
    assert_eq!(send_nowait(ours.as_raw_fd(), &chunk).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_descriptor_moves_up_and_only_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let moved = move_up(listener.into(), 700).unwrap();
    assert!(moved.as_raw_fd() >= 700);
    assert_eq!(fcntl(&moved, libc::F_GETFD), libc::FD_CLOEXEC);
    assert_eq!(inet_addr(&moved), address);
    let number = moved.as_raw_fd();
    assert_eq!(move_up(moved, 3).unwrap().as_raw_fd(), number);
}

#[test]
fn only_sockets_are_adopted_and_those_that_stand_high_enough_stay_there() {
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let one = move_up(one.into(), 600).unwrap();
    let number = one.as_raw_fd();
    assert_eq!(adopt(std::os::fd::IntoRawFd::into_raw_fd(one), 600).unwrap().as_raw_fd(), number);
    drop(other);
    let file = fs::File::open("/dev/null").unwrap();
    assert!(!is_socket(file.as_raw_fd()).unwrap());
    assert_eq!(adopt(file.as_raw_fd(), 600).unwrap_err().raw_os_error(), Some(libc::ENOTSOCK));
    assert!(file.metadata().is_ok(), "it is left alone");
    assert!(is_socket(-1).is_err() && adopt(9999, 600).is_err());
}

#[test]
fn the_sender_is_known_and_descriptors_are_not_taken() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    pass_credentials(ours.as_fd()).unwrap();
    let mut buffer = [0; 8];
    let fd = ours.as_raw_fd();
    assert_eq!(receive_from(fd, &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    theirs.send(b"READY=1\nmore").unwrap();
    assert_eq!(receive_from(fd, &mut buffer).unwrap(), (8, std::process::id() as Pid));
    assert_eq!(&buffer, b"READY=1\n");
    theirs.send(b"").unwrap();
    assert_eq!(receive_from(fd, &mut buffer).unwrap(), (0, std::process::id() as Pid));
}
