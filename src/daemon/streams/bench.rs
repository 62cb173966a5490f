//! How fast output passes, beside a plain loop of read and write. Run by
//! `cargo test --release --lib streams::bench -- --ignored --nocapture`.

use super::tests::Directory;
use super::*;
use crate::config::options::StreamOptions;
use crate::daemon::log::Level;
use crate::sys::process::{pipe, set_nonblocking};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

/// How much one writer writes, in bytes.
const MUCH: usize = 1 << 30;

/// Time on a processor of this thread so far, in seconds, and which part of it in circus's own code.
fn cpu() -> (f64, f64) {
    let text = |name: &str| std::fs::read_to_string(format!("/proc/thread-self/{name}")).unwrap();
    let all = text("schedstat").split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9;
    let stat = text("stat");
    let user = stat.rsplit(')').next().unwrap().split(' ').nth(12).unwrap().parse::<f64>().unwrap() / 100.0;
    (all, user)
}

/// Writes lines of 100 bytes, in pieces, until `much` has been written.
fn writer(mut out: File, piece: usize, much: usize) -> thread::JoinHandle<()> {
    let chunk = format!("{}\n", "x".repeat(99)).repeat(piece / 100);
    thread::spawn(move || {
        for _ in 0..much / chunk.len() {
            out.write_all(chunk.as_bytes()).unwrap();
        }
    })
}

/// Runs `take` until all is read and prints what it cost.
fn measure(what: &str, much: usize, take: impl FnOnce()) {
    let (start, before) = (Instant::now(), cpu());
    take();
    let (seconds, after, gigabytes) = (start.elapsed().as_secs_f64(), cpu(), much as f64 / 1e9);
    let (all, user) = ((after.0 - before.0) / gigabytes, (after.1 - before.1) / gigabytes);
    println!("{what:34} {:6.0} MB/s {all:6.2} CPU s/GB, {user:5.2} of it user", gigabytes * 1000.0 / seconds);
}

/// Reads all pipes in turn until they are closed.
fn take(streams: &mut Streams, log: &mut Log, ids: &mut Vec<PipeId>) {
    while !ids.is_empty() {
        let now = Instant::now();
        ids.retain(|id| streams.read(*id, CHUNK, now, log) != Progress::Closed);
    }
}

/// A pipe whose reader waits: reading it needs no event loop.
fn waiting_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = pipe().unwrap();
    set_nonblocking(reader.as_raw_fd(), false).unwrap();
    (reader, writer)
}

fn plain(directory: &Path) {
    let (reader, out) = waiting_pipe();
    let thread = writer(out.into(), 65_500, MUCH);
    let mut reader = File::from(reader);
    measure("read and write", MUCH, || {
        let mut buffer = vec![0; CHUNK];
        let (mut n, mut size, mut file) = (1, 0, 0);
        let mut out = File::create(directory.join("0")).unwrap();
        while n > 0 {
            n = reader.read(&mut buffer).unwrap();
            out.write_all(&buffer[..n]).unwrap();
            size += n;
            if size > 10_000_000 {
                (file, size) = (file + 1, 0);
                out = File::create(directory.join(file.to_string())).unwrap();
            }
        }
    });
    thread.join().unwrap();
}

fn streams(what: &str, directory: &Path, writers: usize, piece: usize, options: StreamOptions) {
    let now = Instant::now();
    let mut log = Log::to(outlet::Outlet::open(Path::new("/dev/null"), now).unwrap(), Level::Info);
    let mut streams = Streams::new();
    let filename = Some(directory.join("out").to_str().unwrap().into());
    let options = StreamOptions { filename, max_bytes: 10_000_000, backup_count: 1000, ..options };
    let config = StreamConfig { options, ..Default::default() };
    let sink = streams.sink_for("bench", &config, now, &mut log).unwrap();
    let much = MUCH / if piece < 1000 { 8 } else { 1 };
    let (mut ids, mut threads) = (Vec::new(), Vec::new());
    for n in 0..writers {
        let (reader, out) = waiting_pipe();
        ids.push(streams.attach(reader, sink, n as i32).unwrap());
        threads.push(writer(out.into(), piece, much / writers));
    }
    measure(what, much, || take(&mut streams, &mut log, &mut ids));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
#[ignore = "a measurement"]
fn throughput() {
    let memory = PathBuf::from("/dev/shm");
    let fresh = || if memory.is_dir() { Directory::below(&memory) } else { Directory::new() };
    let stamped = || StreamOptions { time_format: Some("%Y-%m-%d %H:%M:%S".into()), ..Default::default() };
    for _ in 0..3 {
        plain(&fresh().0);
        streams("one writer, 64 KiB", &fresh().0, 1, 65_500, StreamOptions::default());
        streams("one writer, 64 KiB, time_format", &fresh().0, 1, 65_500, stamped());
        streams("one writer, 100 bytes", &fresh().0, 1, 100, StreamOptions::default());
        streams("50 writers, 64 KiB", &fresh().0, 50, 65_500, StreamOptions::default());
        streams("50 writers, 100 bytes", &fresh().0, 50, 100, StreamOptions::default());
    }
}
