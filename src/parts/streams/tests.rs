//! Pipes into files, with real pipes and files.

use super::ring::tests::writer_of;
use super::*;
use crate::arbiter::WatcherId;
use crate::config::options::StreamOptions;
use crate::config::{Channel, StreamConfig, WatcherConfig};
use crate::parts::log::Level;
use crate::sys::process::{enlarge_pipe, pipe, set_nonblocking};
use destination::{Destination, Place};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A directory that goes when the test ends.
pub(crate) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    pub(crate) fn below(parent: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("circus-streams-{}-{n}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8(std::fs::read(self.path(name)).unwrap()).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Numbers that are the same in each run.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// What reading a pipe led to.
#[derive(Debug, PartialEq)]
enum Progress {
    Drained,
    More,
    Closed,
}

/// Streams with a directory for their files and one for their log.
struct Stage {
    streams: Streams,
    log: Log,
    now: Instant,
    directory: Directory,
}

impl Stage {
    fn new() -> Self {
        let (directory, now) = (Directory::new(), Instant::now());
        let destination = Destination::open(&Place::at(&directory.path("log")), 0, now).unwrap();
        Stage { streams: Streams::default(), log: Log::to(destination, Level::Debug), now, directory }
    }

    fn file(&self, name: &str) -> StreamConfig {
        let filename = Some(self.directory.path(name).to_str().unwrap().to_string());
        StreamConfig {
            options: StreamOptions { filename: filename.map(Into::into), ..Default::default() },
            ..Default::default()
        }
    }

    /// What would go to the standard output of circus can be read here, as can a log that goes there too.
    fn catch_stdout(&mut self, log: bool) -> File {
        let (reader, stdout) = pipe().unwrap();
        let console = |place| Destination::console(place, stdout.as_fd()).unwrap();
        self.streams.targets.insert(Target::new(console(Place::Stdout)));
        if log {
            self.log = Log::to(console(Place::Stderr), Level::Debug);
            self.streams.watch_lines_of(&self.log);
        }
        File::from(reader)
    }

    /// A sink of a watcher of its own.
    fn open(&mut self, config: &StreamConfig) -> Result<Owner, String> {
        let watcher = WatcherId(self.streams.sinks.len() as u32);
        self.open_for(Owner { watcher, channel: Channel::Stdout, wid: 0 }, config)
    }

    /// Opens what an output wants, or leads it there.
    fn open_for(&mut self, owner: Owner, config: &StreamConfig) -> Result<Owner, String> {
        let (name, stream) = ("web".into(), Some(config.clone().into()));
        let watcher = WatcherConfig { name, stdout_stream: stream, ..WatcherConfig::default() };
        self.streams.lead(owner, &watcher, self.now, &mut self.log).map(|()| owner)
    }

    fn attach(&mut self, sink: Owner, pid: i32) -> (PipeId, File) {
        let (reader, writer) = pipe().unwrap();
        enlarge_pipe(reader.as_raw_fd(), CHUNK as i32).unwrap();
        (self.streams.attach(reader, sink, writer_of(pid)).unwrap(), File::from(writer))
    }

    fn read(&mut self, id: PipeId) -> Progress {
        let more = self.streams.read(id, self.now, &mut self.log);
        if more { Progress::More } else { self.progress(id) }
    }

    fn progress(&self, id: PipeId) -> Progress {
        if self.streams.pipes.get(id.0).is_some() { Progress::Drained } else { Progress::Closed }
    }

    fn read_all(&mut self, id: PipeId) -> Progress {
        loop {
            match self.read(id) {
                Progress::More => {}
                done => return done,
            }
        }
    }

    /// The same after the event that tells of the end.
    fn read_end(&mut self, id: PipeId) -> Progress {
        self.streams.hung_up(id);
        self.read_all(id)
    }

    fn drain_dead(&mut self, id: PipeId) -> Progress {
        self.streams.drain_dead(id, self.now, &mut self.log);
        self.progress(id)
    }

    fn says(&self, text: &str) -> usize {
        self.directory.read("log").matches(text).count()
    }
}

fn class(name: &str) -> StreamConfig {
    let class = Some(name.into());
    StreamConfig { options: StreamOptions { class, ..Default::default() }, ..Default::default() }
}

mod lines;
mod trouble;

#[test]
fn one_writer_passes_straight_through() {
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("out")).unwrap();
    let (id, mut writer) = stage.attach(sink, 7);
    writer.write_all(b"one\n\xff\xfe\x00 half").unwrap();
    assert_eq!(stage.read_all(id), Progress::Drained);
    assert_eq!(std::fs::read(stage.directory.path("out")).unwrap(), b"one\n\xff\xfe\x00 half");
    writer.write_all(b" line").unwrap();
    drop(writer);
    assert_eq!(stage.read_end(id), Progress::Closed);
    assert_eq!(std::fs::read(stage.directory.path("out")).unwrap(), b"one\n\xff\xfe\x00 half line");
    assert_eq!(stage.read_end(id), Progress::Closed);
    assert_eq!(stage.directory.read("log"), "", "nothing is said when all is well");
}

#[test]
fn lines_of_several_writers_stay_whole() {
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("out")).unwrap();
    let mut chance = Chance(1);
    let mut writers: Vec<_> = (0..8).map(|n| (stage.attach(sink, 100 + n), Vec::new(), 0)).collect();
    let mut wanted = vec![String::new(); 8];
    for (n, (_, bytes, _)) in writers.iter_mut().enumerate() {
        for line in 0..400 {
            wanted[n] += &format!("{n} {line} {}\n", "x".repeat(chance.below(90)));
        }
        *bytes = wanted[n].clone().into_bytes();
    }
    while !writers.is_empty() {
        let n = chance.below(writers.len());
        let ((id, file), bytes, done) = &mut writers[n];
        let end = (*done + 1 + chance.below(300)).min(bytes.len());
        file.write_all(&bytes[*done..end]).unwrap();
        *done = end;
        let (id, all) = (*id, end == bytes.len());
        assert_eq!(stage.read_all(id), Progress::Drained);
        if all {
            drop(writers.swap_remove(n));
            assert_eq!(stage.read_end(id), Progress::Closed);
        }
    }
    let text = stage.directory.read("out");
    for (n, wanted) in wanted.iter().enumerate() {
        let start = format!("{n} ");
        let own: String = text.split_inclusive('\n').filter(|line| line.starts_with(&start)).collect();
        assert!(own == *wanted, "writer {n}");
    }
    assert_eq!(text.len(), wanted.iter().map(String::len).sum::<usize>());
}

#[test]
fn the_two_outputs_of_a_process_are_not_joined_on_one_line() {
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("both")).unwrap();
    let mut attach = |channel| {
        let (reader, writer) = pipe().unwrap();
        let of = Writer { channel, ..writer_of(1) };
        (stage.streams.attach(reader, sink, of).unwrap(), File::from(writer))
    };
    let ((one, mut out), (two, mut err)) = (attach(Channel::Stdout), attach(Channel::Stderr));
    out.write_all(b"out").unwrap();
    err.write_all(b"err").unwrap();
    stage.read_all(one);
    stage.read_all(two);
    for _ in 0..2 {
        stage.now += Duration::from_secs(2);
        stage.streams.write_overdue(stage.now, &mut stage.log);
    }
    assert_eq!(stage.directory.read("both"), "out\nerr");
    err.write_all(b" goes on\n").unwrap();
    out.write_all(b" ends\n").unwrap();
    stage.read_all(two);
    stage.read_all(one);
    assert_eq!(stage.directory.read("both"), "out\nerr goes on\n ends\n");
}

#[test]
fn a_last_line_without_newline_gets_one_only_before_another_process() {
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("out")).unwrap();
    let ((one, mut a), (two, mut b), (three, mut c)) =
        (stage.attach(sink, 1), stage.attach(sink, 1), stage.attach(sink, 2));
    a.write_all(b"one").unwrap();
    assert_eq!(stage.read_all(one), Progress::Drained);
    assert_eq!(stage.directory.read("out"), "");
    drop(a);
    assert_eq!(stage.read_end(one), Progress::Closed);
    assert_eq!(stage.directory.read("out"), "one");
    b.write_all(b" process\nmore").unwrap();
    drop(b);
    assert_eq!(stage.read_end(two), Progress::Closed);
    assert_eq!(stage.directory.read("out"), "one process\nmore");
    c.write_all(b"other\n").unwrap();
    stage.read_all(three);
    assert_eq!(stage.directory.read("out"), "one process\nmore\nother\n");
}

#[test]
fn what_an_earlier_circus_left_counts_as_another_process() {
    let mut stage = Stage::new();
    std::fs::write(stage.directory.path("out"), "before").unwrap();
    let sink = stage.open(&stage.file("out")).unwrap();
    let (id, mut writer) = stage.attach(sink, 7);
    writer.write_all(b"now\n").unwrap();
    stage.read_all(id);
    assert_eq!(stage.directory.read("out"), "before\nnow\n");
}

#[test]
fn a_line_without_end_is_cut_and_costs_bounded_memory() {
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("out")).unwrap();
    let ((long, mut writer), (_other, _kept)) = (stage.attach(sink, 1), stage.attach(sink, 2));
    let mut written = 0;
    for n in 0..300 {
        writer.write_all(&[b'x'; 1000]).unwrap();
        written += 1000;
        stage.read_all(long);
        let held = stage.streams.pipes.get(long.0).unwrap().tail.len();
        assert!(held < LINE_MAX, "{held} after {n}");
        let size = std::fs::metadata(stage.directory.path("out")).unwrap().len() as usize;
        assert_eq!(size + held, written);
    }
    writer.write_all(b"\n").unwrap();
    stage.read_all(long);
    assert_eq!(stage.directory.read("out"), "x".repeat(300_000) + "\n");
}

#[test]
fn outputs_with_one_file_share_it() {
    let mut stage = Stage::new();
    let mut stamped = stage.file("out");
    stamped.options.time_format = Some("T".into());
    let (plain, stamped) = (stage.open(&stage.file("out")).unwrap(), stage.open(&stamped).unwrap());
    std::os::unix::fs::symlink(stage.directory.path("out"), stage.directory.path("link")).unwrap();
    let link = stage.open(&stage.file("link")).unwrap();
    assert_eq!(stage.streams.targets.ids().len(), 1);
    let ((a, mut one), (b, mut two), (c, mut three)) =
        (stage.attach(plain, 1), stage.attach(stamped, 2), stage.attach(link, 3));
    one.write_all(b"torn").unwrap();
    stage.read_all(a);
    two.write_all(b"x\ny\n").unwrap();
    stage.read_all(b);
    three.write_all(b"link\n").unwrap();
    stage.read_all(c);
    one.write_all(b" not\n").unwrap();
    stage.read_all(a);
    assert_eq!(stage.directory.read("out"), "T [2] | x\nT [2] | y\nlink\ntorn not\n");
    for (sink, id) in [(plain, a), (stamped, b), (link, c)] {
        stage.streams.release(&sink, stage.now, &mut stage.log);
        assert!(stage.streams.sinks.get(&sink).is_some(), "a pipe still needs it");
        stage.streams.detach(id, stage.now, &mut stage.log);
        assert!(stage.streams.sinks.get(&sink).is_none());
    }
    assert_eq!((stage.streams.targets.ids().len(), stage.streams.pipes.ids().len()), (0, 0));
    assert!(stage.streams.attach(pipe().unwrap().0, plain, writer_of(1)).is_none());
}

#[test]
fn the_smaller_size_and_the_larger_count_hold_for_a_shared_file() {
    let mut stage = Stage::new();
    let (mut small, mut many) = (stage.file("out"), stage.file("out"));
    (small.options.max_bytes, small.options.backup_count) = (20, 1);
    (many.options.max_bytes, many.options.backup_count) = (1000, 3);
    let plain = stage.open(&stage.file("out")).unwrap();
    stage.open(&many).unwrap();
    let small = stage.open(&small).unwrap();
    let (id, mut writer) = stage.attach(plain, 1);
    for n in 0..5 {
        writer.write_all(format!("line number {n}\n").as_bytes()).unwrap();
        stage.read_all(id);
    }
    assert_eq!(stage.directory.read("out"), "line number 4\n");
    assert_eq!(stage.directory.read("out.3"), "line number 1\n");
    assert!(!stage.directory.path("out.4").exists());
    stage.streams.release(&small, stage.now, &mut stage.log);
    for n in 5..9 {
        writer.write_all(format!("line number {n}\n").as_bytes()).unwrap();
        stage.read_all(id);
    }
    assert_eq!(stage.directory.read("out").lines().count(), 5, "the file may now grow to 1000");
}

#[test]
fn a_sink_changes_its_place_while_pipes_feed_it() {
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("old")).unwrap();
    let ((a, mut one), (b, mut two)) = (stage.attach(sink, 1), stage.attach(sink, 2));
    one.write_all(b"1\nsplit").unwrap();
    stage.read_all(a);
    let missing = stage.file("no/such");
    let refused = stage.open_for(sink, &missing);
    assert!(refused.unwrap_err().contains("does not exist"));
    let new = stage.file("new");
    stage.open_for(sink, &new).unwrap();
    assert_eq!(stage.streams.targets.ids().len(), 1);
    one.write_all(b" line\n").unwrap();
    stage.read_all(a);
    two.write_all(b"2\n").unwrap();
    stage.read_all(b);
    assert_eq!(
        (stage.directory.read("old"), stage.directory.read("new")),
        ("1\n".into(), "split line\n2\n".into())
    );
}

#[test]
fn a_budget_lets_others_have_their_turn() {
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("out")).unwrap();
    let (id, mut writer) = stage.attach(sink, 1);
    writer.write_all(&[b'x'; CHUNK]).unwrap();
    assert_eq!(stage.read(id), Progress::More);
    assert_eq!(stage.read(id), Progress::Drained);
}

#[test]
fn a_dead_process_has_said_all_and_its_child_goes_on() {
    let _children = crate::sys::children_lock();
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("out")).unwrap();
    let (reader, writer) = pipe().unwrap();
    // A background command of sh has /dev/null as its input: it reads the shell's own by way of descriptor 3.
    let script = "exec 3<&0; printf 'a\\nlast words'; (read x; echo \"$x\") <&3 & exit 0";
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]).stdin(Stdio::piped()).stdout(writer).stderr(Stdio::null());
    let mut child = shell.spawn().unwrap();
    drop(shell);
    let mut stdin = child.stdin.take().unwrap();
    let id = stage.streams.attach(reader, sink, writer_of(77)).unwrap();
    // Another pipe into the same place, so that unfinished lines are held back.
    let (_other, _kept) = stage.attach(sink, 78);
    assert!(child.wait().unwrap().success());
    assert_eq!(stage.drain_dead(id), Progress::Drained);
    assert_eq!(stage.directory.read("out"), "a\nlast words");
    assert_eq!(stage.read_all(id), Progress::Drained, "the grandchild holds the pipe");
    stdin.write_all(b"and mine\n").unwrap();
    drop(stdin);
    // Now reading waits, for the grandchild's end.
    set_nonblocking(stage.streams.pipes.get(id.0).unwrap().file.as_raw_fd(), false).unwrap();
    assert_eq!(stage.read_end(id), Progress::Closed);
    assert_eq!(stage.directory.read("out"), "a\nlast wordsand mine\n");
}

#[test]
fn draining_the_dead_takes_what_is_there_and_no_more() {
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("out")).unwrap();
    let (id, mut writer) = stage.attach(sink, 1);
    assert_eq!(stage.drain_dead(id), Progress::Drained);
    writer.write_all(&[b'x'; CHUNK]).unwrap();
    assert_eq!(stage.drain_dead(id), Progress::Drained);
    assert_eq!(stage.directory.read("out").len(), CHUNK);
    drop(writer);
    assert_eq!(stage.drain_dead(id), Progress::Drained);
    assert_eq!(stage.read_end(id), Progress::Closed);
    assert_eq!(stage.drain_dead(id), Progress::Closed);
}

#[test]
fn several_classes_share_the_standard_output() {
    let mut stage = Stage::new();
    let mut reader = stage.catch_stdout(false);
    let (mut fancy, mut named) = (class("FancyStdoutStream"), class("FileStream"));
    (fancy.options.color, fancy.options.time_format) = (Some("green".into()), Some("T".into()));
    named.options.filename = Some("/dev/stdout".into());
    let sinks = [class("StdoutStream"), fancy, named].map(|config| stage.open(&config).unwrap());
    let [(a, mut plain), (b, mut fancy), (c, mut named)] =
        sinks.map(|sink| stage.attach(sink, sink.watcher.0 as i32));
    plain.write_all(b"Traceback").unwrap();
    stage.read_all(a);
    fancy.write_all(b"one\n\ntw").unwrap();
    stage.read_all(b);
    named.write_all(b"named\n").unwrap();
    stage.read_all(c);
    fancy.write_all(b"o").unwrap();
    drop((plain, fancy));
    assert_eq!((stage.read_end(a), stage.read_end(b)), (Progress::Closed, Progress::Closed));
    let mut got = vec![0; CHUNK];
    let n = reader.read(&mut got).unwrap();
    let wanted = "T [1] | one\nnamed\nTraceback\nT [1] | two\n";
    assert_eq!(String::from_utf8_lossy(&got[..n]), wanted, "without the colour, since it is no terminal");
}

#[test]
fn an_idle_pipe_costs_little() {
    assert!(size_of::<Option<Pipe>>() <= 64, "{}", size_of::<Option<Pipe>>());
    assert!(size_of::<Option<Target>>() + size_of::<Option<Sink>>() <= 512);
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("out")).unwrap();
    let ((id, mut writer), (_other, _kept)) = (stage.attach(sink, 1), stage.attach(sink, 2));
    writer.write_all(b"a line that has no end").unwrap();
    stage.read_all(id);
    writer.write_all(b" yet\n").unwrap();
    stage.read_all(id);
    assert_eq!(stage.streams.pipes.get(id.0).unwrap().tail.capacity(), 0);
}
