//! Places that cannot be written: nobody is held up, it is said once, and writing resumes by itself.

use crate::common::{Circus, Dir, SIGUSR1, exists, run, until};
use std::io::Read;
use std::process::Command;

/// A file system with little room, mounted where mounting is allowed; it goes with the value.
struct Mount(String);

impl Mount {
    fn new(at: &str) -> Option<Mount> {
        std::fs::create_dir(at).expect("a directory");
        let mount = run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none", at]));
        (mount.code == 0).then(|| Mount(at.into()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", &self.0]).status();
    }
}

#[test]
fn a_full_disk_stops_nobody_and_is_said_once() {
    let (place, dir) = (Dir::new(), Dir::new());
    let mount = Mount::new(&place.name("disk"));
    // Without a small disk, the size of files is limited: to circus that is the same.
    let limit = if mount.is_some() { "" } else { "ulimit -S -f 256; " };
    if mount.is_some() {
        std::fs::write(place.path("disk/filler"), vec![b'x'; 128 << 10]).expect("there is room for that");
    }
    let loud = dir.script(
        "loud",
        "seq -f 'line %06g' 20000
        : > done
        until [ -e go ]; do sleep 0.01; done
        echo after
        exec sleep 1000",
    );
    let ini = format!(
        "[watcher:loud]\ncmd = {loud}\nworking_dir = {{dir}}\nstdout_stream.filename = {}\n\
         [watcher:quiet]\ncmd = sleep 1000\n",
        place.name("disk/log")
    );
    let wrapper = dir.script("wrapper", &format!("{limit}exec \"$@\""));
    let circus = Circus::with(dir, &ini, |command| {
        let program = command.get_program().to_owned();
        *command = Command::new("sh");
        command.args(wrapper.strip_prefix("sh ")).arg(program);
    });
    until("the process has written everything", || exists(&circus.dir.path("done")).then_some(()));
    circus.log.line("cannot write");
    circus.up("quiet");
    match mount {
        Some(_) => std::fs::remove_file(place.path("disk/filler")).expect("removed"),
        None => {
            let pid = circus.pid().to_string();
            assert_eq!(run(Command::new("prlimit").args(["--fsize=unlimited", "--pid", &pid])).code, 0);
        }
    }
    circus.dir.write("go", "");
    let said = circus.log.line("takes output again");
    let log = until("the newest output is there", || {
        Some(place.read("disk/log")).filter(|log| log.ends_with("\nafter\n"))
    });
    let lines: Vec<&str> = log.lines().collect();
    let numbers: Vec<usize> =
        lines.iter().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
    assert_eq!(numbers.len() + 1, lines.len(), "every line is whole");
    let lost = 20_000 - numbers.len();
    let gap = (1..).zip(&numbers).take_while(|(n, number)| n == *number).count();
    assert!(lost > 0 && numbers[gap..].iter().copied().eq(gap + 1 + lost..20_001), "{lost} after {gap}");
    assert!(said.contains(&format!(" {lost} lines (")), "{lost}: {said}");
    assert_eq!(circus.log.count("cannot write"), 1);
}

#[test]
fn a_fifo_without_a_reader_gets_the_newest_output_when_one_comes() {
    let dir = Dir::new();
    assert_eq!(run(Command::new("mkfifo").arg(dir.path("fifo"))).code, 0);
    let loud = dir.script("loud", "seq -f 'line %06g' 100000; : > done; exec sleep 1000");
    let ini = format!(
        "[watcher:loud]\ncmd = {loud}\nworking_dir = {{dir}}\nstdout_stream.filename = {{dir}}/fifo\n"
    );
    let circus = Circus::with(dir, &ini, |_| {});
    until("the process has written everything", || exists(&circus.dir.path("done")).then_some(()));
    until("circus has read everything", || {
        circus.ctl_ok(&["tail", "loud", "-n", "1"]).contains("line 100000").then_some(())
    });
    let line = circus.log.line("cannot write");
    assert!(line.contains("fifo: it has no reader; the newest 256 KiB of output are kept"), "{line}");
    let mut fifo = std::fs::File::open(circus.dir.path("fifo")).expect("a FIFO");
    let mut text = String::new();
    let mut room = [0; 4096];
    while !text.ends_with("line 100000\n") {
        let n = fifo.read(&mut room).expect("it can be read");
        text.push_str(&String::from_utf8_lossy(&room[..n]));
    }
    let lines: Vec<&str> = text.lines().collect();
    let first = 100_001 - lines.len();
    assert_eq!(lines[0], format!("line {first:06}"));
    let said = circus.log.line("takes output again");
    assert!(said.contains(&format!(" {} lines (", first - 1)), "{first}: {said}");
}

#[test]
fn a_directory_cannot_be_a_log_file() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = sleep 1000
        stdout_stream.filename = {dir}
        max_retry = 1
        ",
    );
    let line = circus.log.line("w: given up");
    assert!(line.contains("it is a directory; name a file in it"), "{line}");
}

#[test]
fn max_bytes_below_the_length_of_a_line_gives_each_line_a_file() {
    let circus = Circus::once(
        "echo one; echo a line that is longer; echo three",
        "stdout_stream.filename = {dir}/log\nstdout_stream.max_bytes = 3\nstdout_stream.backup_count = 10",
    );
    let text = |name: &str| circus.dir.read(name);
    assert_eq!((text("log.2"), text("log.1")), ("one\n".into(), "a line that is longer\n".into()));
    assert_eq!(text("log"), "three\n");
    assert!(!exists(&circus.dir.path("log.3")));
}

#[test]
fn a_directory_that_is_removed_and_comes_back_loses_nothing_that_fits() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path("logs")).expect("a directory");
    let script = dir.script(
        "program",
        "echo before; until [ -e gone ]; do sleep 0.01; done; seq 1000; : > done; exec sleep 1000",
    );
    let ini = format!(
        "[watcher:w]\ncmd = {script}\nworking_dir = {{dir}}\nstdout_stream.filename = {{dir}}/logs/log\n\
         stdout_stream.class = WatchedFileStream\n"
    );
    let circus = Circus::with(dir, &ini, |_| {});
    let log = || exists(&circus.dir.path("logs/log")).then(|| circus.dir.read("logs/log"));
    until("it writes", || (log()? == "before\n").then_some(()));
    std::fs::remove_dir_all(circus.dir.path("logs")).expect("removed");
    circus.dir.write("gone", "");
    until("the process goes on", || exists(&circus.dir.path("done")).then_some(()));
    circus.log.line("cannot write");
    std::fs::create_dir(circus.dir.path("logs")).expect("a directory");
    let expected: String = (1..1001).map(|n| format!("{n}\n")).collect();
    until("all is there", || (log()? == expected).then_some(()));
    assert!(circus.log.line("takes output again").contains("nothing was lost"));
}

/// Whoever asked must not take an answer that never came for an empty one.
#[test]
fn what_cannot_print_its_answer_fails() {
    let circus =
        Circus::start("[watcher:w]\ncmd = echo hello\nrespawn = False\nstdout_stream.class = QueueStream");
    circus.until_status("w", "stopped");
    let (ini, sock) = (circus.dir.name("circus.ini"), circus.dir.name("sock"));
    let ctl = |words: &'static str| -> Vec<String> {
        ["ctl", "--endpoint", &sock].into_iter().chain(words.split(' ')).map(Into::into).collect()
    };
    let plain = |words: &str| -> Vec<String> { words.split(' ').map(Into::into).collect() };
    let mut commands: Vec<Vec<String>> = [
        "--help",
        "--version",
        "ctl",
        "ctl --help",
        "ctl --version",
        "ctl status --help",
        "top --help",
        "top --version",
        "run --help",
        "check --help",
    ]
    .map(plain)
    .into();
    commands.extend([
        plain(&format!("check {ini}")),
        plain(&format!("check --json {ini}")),
        plain(&format!("--check {ini}")),
    ]);
    commands
        .extend([plain(&format!("top --endpoint {sock}")), plain(&format!("top --once --endpoint {sock}"))]);
    commands.extend(
        [
            "status",
            "status w",
            "--json status",
            "--prettify --json status",
            "list",
            "why w",
            "tail w",
            "tail w --follow",
            "stats",
            "dstats",
            "globaloptions",
            "options w",
            "get w cmd",
            "numwatchers",
            "listsockets",
            "reload w --waiting",
        ]
        .map(ctl),
    );
    for words in &commands {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let ended =
            crate::common::circus().args(words).stdin(std::process::Stdio::null()).stdout(full).output();
        let ended = ended.expect("circus runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains("No space left on device"), "{words:?}: {said}");
        let mut closed = Command::new("sh");
        closed.args(["-c", "exec \"$@\" >&- </dev/null", "sh", env!("CARGO_BIN_EXE_circus")]).args(words);
        let closed = closed.output().expect("circus runs");
        let said = String::from_utf8_lossy(&closed.stderr);
        assert!(!closed.status.success() && said.contains("it is closed"), "{words:?}: {said}");
    }
}

#[test]
fn a_line_that_was_begun_ends_in_the_same_file_when_files_are_opened_anew() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = sh -c 'until [ -e {dir}/go ]; do sleep 0.01; done; echo 0123456789; echo next; exec sleep 1000'
        stdout_stream.filename = {dir}/log
        ",
    );
    let limit = |size: &str| {
        let pid = circus.pid().to_string();
        assert_eq!(run(Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={size}")])).code, 0);
    };
    limit("4:unlimited");
    std::fs::write(circus.dir.path("go"), "").expect("written");
    circus.log.line("cannot write");
    assert_eq!(circus.dir.read("log"), "0123");
    std::fs::rename(circus.dir.path("log"), circus.dir.path("moved")).expect("moved");
    limit("unlimited:unlimited");
    circus.signal(SIGUSR1);
    until("the rest is there", || circus.dir.has("log", "next\n"));
    assert_eq!(circus.dir.read("moved"), "0123456789\n");
}
