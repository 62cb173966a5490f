//! The web worker of `demo.ini`: answers HTTP with its pid, on a listening socket that circus bound.
//!
//! The number of the inherited descriptor is the only argument, as `$(circus.sockets.NAME)` gives it. All workers
//! of a watcher accept on the same socket; the kernel hands each connection to one of them. SIGTERM lets the request
//! in hand finish, so that a reload fails no request.

use std::error::Error;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::SIGTERM;

/// How long a client may take to send its request; nobody else is served meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a request that are read at most.
const LARGEST_HEAD: u64 = 8 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1).ok_or("usage: worker FD")?;
    let fd: RawFd =
        argument.parse().map_err(|_| format!("'{argument}' is not the number of a descriptor"))?;
    serve(&inherit(fd)?)?;
    Ok(())
}

/// Takes over a listening TCP socket that the parent process left open for us.
#[allow(unsafe_code)]
fn inherit(fd: RawFd) -> std::io::Result<TcpListener> {
    if fd <= 2 {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "0, 1 and 2 are the standard streams"));
    }
    // SAFETY: nothing else in this program owns this descriptor: it was inherited, main() calls this once before it
    // opens anything, and the standard library owns none of the numbers above 2.
    let listener = unsafe { TcpListener::from_raw_fd(fd) };
    listener.local_addr()?; // An error here instead of at the first accept, should it be no TCP socket.
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves one request after the other until SIGTERM.
fn serve(listener: &TcpListener) -> std::io::Result<()> {
    let (mut stop, stop_writer) = UnixStream::pair()?;
    stop.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(SIGTERM, stop_writer)?;

    let mut poll = Poll::new()?;
    poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), Token(0), Interest::READABLE)?;
    poll.registry().register(&mut SourceFd(&stop.as_raw_fd()), Token(1), Interest::READABLE)?;
    let mut events = Events::with_capacity(2);
    while !told_to_stop(&mut stop) {
        match listener.accept() {
            // A client that goes away is its own trouble, not the worker's.
            Ok((connection, _)) => drop(answer(connection)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(&mut poll, &mut events)?,
            Err(error) => eprintln!("worker: accept: {error}"),
        }
    }
    Ok(())
}

/// Sleeps until there is a connection or a signal. Being interrupted by a signal is no error.
fn wait(poll: &mut Poll, events: &mut Events) -> std::io::Result<()> {
    match poll.poll(events, None) {
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

fn told_to_stop(stop: &mut UnixStream) -> bool {
    matches!(stop.read(&mut [0]), Ok(1))
}

/// Reads the head of one request and answers it, whatever it asks for.
fn answer(mut connection: TcpStream) -> std::io::Result<()> {
    connection.set_nonblocking(false)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    for line in BufReader::new(&connection).take(LARGEST_HEAD).split(b'\n') {
        if line? == b"\r" {
            break;
        }
    }
    let body = format!("answered by process {}\n", std::process::id());
    write!(
        connection,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    connection.shutdown(Shutdown::Write)
}
