//! A worker on an inherited socket: the test program itself, run by circus with the name of a role.
//!
//! The socket is the standard input, where `stdin_socket` or a shell's `<&N` puts it, so that nothing has to be taken
//! by its number. It answers each request, a line, with its pid, and ends on SIGTERM when the one in hand is answered.

use super::{Circus, PATIENCE};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::SIGTERM;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

/// The command that runs the test `worker` of this program, which calls [`serve_if_told`].
pub fn command() -> String {
    let program = std::env::current_exe().expect("the path of this program");
    format!("{} --exact worker --test-threads 1", program.display())
}

/// Serves as the variable `ROLE` says; does nothing in an ordinary run of the tests.
pub fn serve_if_told() {
    let standard_input = || std::io::stdin().as_fd().try_clone_to_owned().expect("a socket");
    match std::env::var("ROLE").as_deref() {
        Err(_) => {}
        Ok("tcp") => {
            let listener = TcpListener::from(standard_input());
            serve(listener.as_fd(), || listener.accept().map(|(stream, _)| OwnedFd::from(stream)));
        }
        Ok("unix") => {
            let listener = UnixListener::from(standard_input());
            serve(listener.as_fd(), || listener.accept().map(|(stream, _)| OwnedFd::from(stream)));
        }
        Ok("relay") => relay(UnixStream::from(standard_input())),
        Ok("udp") => echo(&UdpSocket::from(standard_input())),
        Ok(role) => panic!("no role: {role}"),
    }
}

fn serve(listener: impl AsFd, accept: impl Fn() -> std::io::Result<OwnedFd>) {
    let (mut stop, stop_writer) = UnixStream::pair().expect("a pair");
    stop.set_nonblocking(true).expect("a socket");
    signal_hook::low_level::pipe::register(SIGTERM, stop_writer).expect("a handler");
    let mut poll = Poll::new().expect("epoll");
    for (token, fd) in [(0, listener.as_fd().as_raw_fd()), (1, stop.as_raw_fd())] {
        poll.registry().register(&mut SourceFd(&fd), Token(token), Interest::READABLE).expect("registered");
    }
    let mut events = Events::with_capacity(2);
    while !matches!(stop.read(&mut [0]), Ok(1)) {
        match accept() {
            Ok(connection) => answer(connection),
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(&mut poll, &mut events),
            Err(error) => panic!("accept: {error}"),
        }
    }
}

fn wait(poll: &mut Poll, events: &mut Events) {
    match poll.poll(events, None) {
        Err(error) if error.kind() != ErrorKind::Interrupted => panic!("poll: {error}"),
        _ => {}
    }
}

/// A client that goes away is its own trouble.
fn answer(connection: OwnedFd) {
    let mut stream = BufReader::new(File::from(connection));
    let mut line = String::new();
    if stream.read_line(&mut line).is_ok() {
        let _ = writeln!(stream.get_mut(), "{}", std::process::id());
    }
}

/// Passes on what comes from either side of a connection that it makes to the control socket.
fn relay(tester: UnixStream) {
    let circus = UnixStream::connect(std::env::var("RELAY_TO").expect("a path")).expect("a connection");
    let (mut from, mut to) = (tester.try_clone().expect("a clone"), circus.try_clone().expect("a clone"));
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut &circus, &mut &tester);
    let _ = tester.shutdown(Shutdown::Both);
}

fn echo(socket: &UdpSocket) {
    socket.set_nonblocking(false).expect("a socket");
    let mut buffer = [0; 100];
    loop {
        let (_, from) = socket.recv_from(&mut buffer).expect("a datagram");
        socket.send_to(std::process::id().to_string().as_bytes(), from).expect("sent");
    }
}

/// One request on a connection; the pid of the worker that has answered.
pub fn ask(stream: impl Read + Write) -> std::io::Result<i32> {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(b"who\n")?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    line.trim_end().parse().map_err(|_| std::io::Error::other(format!("no answer but {line:?}")))
}

/// One request over TCP.
pub fn ask_tcp(address: impl ToSocketAddrs) -> std::io::Result<i32> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(stream)
}

/// The port of a socket of circus.
pub fn port(circus: &Circus, name: &str) -> u16 {
    let sockets = circus.ask("listsockets", serde_json::json!({}))["sockets"].clone();
    let found = sockets.as_array().expect("a list").iter().find(|socket| socket["name"] == name);
    let port = found.and_then(|socket| socket["port"].as_u64()).expect("a port");
    u16::try_from(port).expect("a port")
}
