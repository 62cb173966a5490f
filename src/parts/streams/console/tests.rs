//! Pipes, sockets, FIFOs and devices.

use super::super::destination::{CONSOLE_BACKLOG, Destination, Medium, Place};
use super::super::tests::Directory;
use super::*;
use crate::sys::file::NEVER_WAIT;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

/// The status flags of an open file, as the kernel shows them.
fn flags(fd: RawFd) -> String {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim().to_string()
}

/// Fills a console with lines until the newest ones do not fit; what its reader then gets must be whole lines.
fn stall_and_resume(console: Console, mut reader: impl Read, place: Place) {
    let now = Instant::now();
    let mut destination = Destination::new(place, Medium::Console(console));
    let lines: Vec<String> = (0..10_000).map(|n| format!("{n:099}\n")).collect();
    // More at once than a pipe takes whole: the last line that fits is torn for a while.
    for some in lines.chunks(61) {
        destination.write(some.concat().as_bytes(), now);
    }
    assert!(destination.held() <= CONSOLE_BACKLOG && destination.held() > 0);
    assert!(destination.wants_write().is_some());
    assert_eq!(destination.next_retry(), None);
    let mut got = Vec::new();
    let mut room = [0; 5000];
    while destination.wants_write().is_some() {
        let n = reader.read(&mut room).unwrap();
        got.extend_from_slice(&room[..n]);
        destination.flush(now);
    }
    let notices: Vec<String> = destination.take_notices().into_iter().map(|notice| notice.1).collect();
    drop(destination);
    reader.read_to_end(&mut got).unwrap();
    let text = String::from_utf8(got).unwrap();
    let numbers: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert!(text.lines().all(|line| line.len() == 99));
    assert!(numbers.is_sorted() && numbers.last() == Some(&9999));
    let lost = format!("{} lines ({} bytes)", 10_000 - numbers.len(), 1_000_000 - text.len());
    assert!(notices.iter().any(|text| text.contains(&lost)), "{lost} in {notices:?}");
}

#[test]
fn a_pipe_is_written_without_waiting_and_keeps_its_flags_for_others() {
    let (reader, writer) = io::pipe().unwrap();
    let before = flags(writer.as_raw_fd());
    let console = Console::on(writer.as_fd()).unwrap();
    assert_eq!(console.way, Way::Write);
    assert_eq!(flags(writer.as_raw_fd()), before);
    assert_ne!(flags(console.fd()), before, "our own open file is non-blocking");
    drop(writer);
    stall_and_resume(console, reader, Place::Stdout);
}

#[test]
fn a_pipe_that_cannot_be_opened_anew_is_asked() {
    let (reader, writer) = io::pipe().unwrap();
    let console = Console {
        out: File::from(std::os::fd::OwnedFd::from(writer)),
        way: Way::Ask,
        terminal: false,
        id: (0, 0),
    };
    stall_and_resume(console, reader, Place::Stdout);
}

#[test]
fn a_socket_is_written_without_waiting() {
    let (reader, writer) = UnixStream::pair().unwrap();
    let console = Console::on(writer.as_fd()).unwrap();
    assert_eq!(console.way, Way::Send);
    drop(writer);
    stall_and_resume(console, reader, Place::Stdout);
}

#[test]
fn a_regular_file_shares_its_place_with_those_who_gave_it() {
    let directory = Directory::new();
    let mut file = File::create(directory.path("out")).unwrap();
    let mut destination = Destination::console(Place::Stdout, file.as_fd()).unwrap();
    destination.write(b"one\n", Instant::now());
    file.write_all(b"two\n").unwrap();
    destination.write(b"three\n", Instant::now());
    assert_eq!(directory.read("out"), "one\ntwo\nthree\n");
}

#[test]
fn a_reader_who_has_gone_is_said_once_and_never_waited_for() {
    let (reader, writer) = io::pipe().unwrap();
    let mut destination = Destination::console(Place::Stdout, writer.as_fd()).unwrap();
    drop((reader, writer));
    let mut now = Instant::now();
    for _ in 0..100 {
        destination.write(b"line\n", now);
        now += Duration::from_secs(1);
    }
    let notices = destination.take_notices();
    assert!(notices.len() == 1 && notices[0].1.contains("it has no reader"), "{notices:?}");
    assert_eq!((destination.next_retry(), destination.wants_write()), (None, None));
}

#[test]
fn a_fifo_need_not_have_a_reader() {
    let _children = crate::sys::children_lock();
    let directory = Directory::new();
    let path = directory.path("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut now = Instant::now();
    let mut destination = Destination::open(&Place::at(&path), 0, now).unwrap();
    destination.write(b"early\n", now);
    assert!(destination.take_notices()[0].1.contains("it has no reader"));
    let mut reader = OpenOptions::new().read(true).custom_flags(NEVER_WAIT).open(&path).unwrap();
    now = destination.next_retry().unwrap();
    destination.flush(now);
    destination.write(b"late\n", now);
    let mut got = [0; 100];
    let n = reader.read(&mut got).unwrap();
    assert_eq!(&got[..n], b"early\nlate\n");
    assert!(destination.take_notices()[0].1.contains("nothing was lost"));
    drop(reader);
    destination.write(b"again\n", now);
    assert!(destination.next_retry().is_some());
}

#[test]
fn a_full_device_keeps_output_and_is_tried_again() {
    let now = Instant::now();
    let mut destination = Destination::open(&Place::at(Path::new("/dev/full")), 0, now).unwrap();
    destination.write(b"line\n", now);
    let notices = destination.take_notices();
    assert!(notices.len() == 1 && notices[0].1.contains("No space left on device"), "{notices:?}");
    let second = Duration::from_secs(1);
    destination.write(b"line\n", now + second / 11);
    assert_eq!(destination.next_retry(), Some(now + second), "it is too early for another try");
    destination.write(b"line\n", now + second / 10);
    assert_eq!(destination.next_retry(), Some(now + second / 10 + second));
    assert_eq!(destination.held(), 15);
    let first = destination.next_retry().unwrap();
    destination.flush(first);
    assert_eq!(destination.next_retry().unwrap(), first + Duration::from_secs(2));
}
