//! What becomes of log files besides being written: rotated and reopened by command or by somebody else, compressed,
//! and kept below a size.

use crate::common::{Circus, Dir, SIGKILL, SIGUSR1, exists, run, until};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

/// A process that copies what comes through the FIFO `in` to its standard output, for as long as it runs.
const COPY: &str = "exec cat <> \"${0%/*}/in\"";

/// Circus with a watcher `w` that writes what it is told into `{dir}/log`.
struct Told(Circus);

impl Told {
    fn with(circus: &str, options: &str) -> Told {
        let dir = Dir::new();
        assert_eq!(run(Command::new("mkfifo").arg(dir.path("in"))).code, 0);
        let script = dir.script("program", COPY);
        let ini = format!(
            "[circus]\nendpoint = {{dir}}/sock\n{circus}\n[watcher:w]\ncmd = {script}\n\
             stdout_stream.class = FileStream\nstdout_stream.filename = {{dir}}/log\n{options}"
        );
        let circus = Circus::with(dir, &ini, |_| {});
        circus.up("w");
        Told(circus)
    }

    /// Has a text written, and waits until it stands at the end of `log`.
    fn write(&self, text: &str) {
        self.tell(text);
        until(&format!("{text:?} is in the file"), || self.log().ends_with(text).then_some(()));
    }

    fn tell(&self, text: &str) {
        fs::write(self.0.dir.path("in"), text).expect("the process reads");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.0.dir.path("log")).unwrap_or_default()
    }

    fn read(&self, name: &str) -> String {
        self.0.dir.read(name)
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.0.dir.path(from), self.0.dir.path(to)).expect("renamed");
    }
}

/// All files of the directory whose names begin with `log`.
fn logs(dir: &Dir) -> Vec<String> {
    let names = fs::read_dir(dir.path("")).expect("the directory").map(|e| e.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    names.retain(|name| name.starts_with("log"));
    names.sort();
    names
}

/// The text of a file, compressed or not.
fn text_of(dir: &Dir, name: &str) -> String {
    if !name.ends_with(".gz") {
        return dir.read(name);
    }
    let ended = run(Command::new("gzip").arg("-dc").arg(dir.path(name)));
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{name}");
    ended.out
}

/// A script that writes so many lines.
fn lines(count: usize) -> String {
    lines_from(0, count)
}

fn lines_from(first: usize, count: usize) -> String {
    let end = first + count;
    format!("i={first}; while [ $i -lt {end} ]; do echo \"line $i\"; i=$((i+1)); done")
}

fn numbered(count: usize) -> String {
    (0..count).map(|n| format!("line {n}\n")).collect()
}

#[test]
fn logs_rotate_rotates_at_the_end_of_a_line() {
    let told = Told::with("", "stdout_stream.backup_count = 2");
    let path = told.0.dir.name("log");
    assert_eq!(told.0.ctl_ok(&["logs", "rotate"]), "no files", "an empty file is left alone");
    told.write("one\n");
    assert_eq!(told.0.ask("logs", json!({"action": "rotate", "name": "w"}))["files"], json!([path]));
    assert_eq!((told.log(), told.read("log.1")), (String::new(), "one\n".into()));
    told.write("two\nthr");
    assert_eq!(told.0.ctl_ok(&["logs", "ROTATE", "w"]), path);
    told.tell("ee\nfour\n");
    until("the next line is in a new file", || (told.log() == "four\n").then_some(()));
    assert_eq!(told.read("log.1"), "two\nthree\n");
    told.0.ctl_ok(&["logs", "rotate"]);
    assert_eq!((told.read("log.2"), logs(&told.0.dir).len()), ("two\nthree\n".into(), 3));
}

#[test]
fn what_cannot_be_rotated_or_reopened_is_told() {
    let told = Told::with("", "");
    told.write("one\n");
    let path = told.0.dir.name("log");
    let reply = told.0.call("logs", json!({"action": "rotate", "name": "w"}));
    let reason = format!("cannot rotate {path}: backup_count is 0, so there is nothing to rotate to");
    assert_eq!((&reply["errno"], &reply["reason"]), (&json!(4), &json!(reason)));
    assert_eq!(told.0.ctl_ok(&["logs", "rotate"]), "no files", "who asks for all means those that can be");
    told.rename("log", "elsewhere");
    fs::create_dir(told.0.dir.path("log")).expect("a directory in the way");
    assert!(
        told.0.ctl_refused(&["logs", "reopen"]).contains(&format!("cannot reopen {path}: Is a directory"))
    );
    told.0.log.line("cannot reopen");
    assert_eq!(told.0.ctl_refused(&["logs", "reopen", "x"]), "program x not found");
    let refused = told.0.ctl_refused(&["logs", "remove"]);
    assert_eq!(refused, "'remove' is not an action; use rotate or reopen; tail NAME shows the output");
}

#[test]
fn logrotate_may_rename_and_tell() {
    for tell in ["signal", "command", "command of one"] {
        let told = Told::with("", "");
        told.write("one\n");
        told.rename("log", "log.1");
        fs::write(told.0.dir.path("log"), "").expect("logrotate creates it");
        told.tell("two\n");
        until("the old file is written until then", || (told.read("log.1") == "one\ntwo\n").then_some(()));
        match tell {
            "signal" => {
                told.0.signal(SIGUSR1);
                told.0.log.line("log files reopened");
            }
            "command" => assert_eq!(told.0.ctl_ok(&["logs", "reopen"]), told.0.dir.name("log")),
            _ => assert_eq!(told.0.ctl_ok(&["logs", "reopen", "w"]), told.0.dir.name("log")),
        }
        told.write("three\n");
        assert_eq!((told.log(), told.read("log.1")), ("three\n".into(), "one\ntwo\n".into()), "{tell}");
    }
}

#[test]
fn logrotate_may_copy_and_truncate() {
    let told = Told::with("", "stdout_stream.max_bytes = 100\nstdout_stream.backup_count = 3");
    told.write(&"x".repeat(59));
    told.write("\n");
    fs::copy(told.0.dir.path("log"), told.0.dir.path("copy")).expect("copied");
    let file = fs::OpenOptions::new().write(true).open(told.0.dir.path("log")).expect("opened");
    file.set_len(0).expect("truncated");
    // It would be time to rotate if the file were as large as what was written to it.
    told.write(&("y".repeat(59) + "\n"));
    assert_eq!(told.log(), "y".repeat(59) + "\n", "no hole, and no rotation");
    assert_eq!(logs(&told.0.dir), ["log"]);
    told.write(&("z".repeat(59) + "\n"));
    assert_eq!(told.read("log.1"), "y".repeat(59) + "\n");
}

/// Runs logrotate with these directives for the log of circus.
fn logrotate(dir: &Dir, directives: &str) {
    let program = Path::new("/usr/sbin/logrotate");
    assert!(exists(program), "there is no logrotate: run tests/tools/setup.sh logrotate");
    let config = dir.write("rotation.conf", &format!("{} {{\n{directives}\n}}\n", dir.name("log")));
    let ended = run(Command::new(program).args(["-f", "-s"]).arg(dir.path("state")).arg(config));
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}

#[test]
fn the_real_logrotate_loses_no_line_when_it_renames() {
    let dir = Dir::new();
    let script = dir.script(
        "program",
        "i=0; until [ -e \"$0.stop\" ]; do echo \"line $i\"; i=$((i+1)); done; exec sleep 1000",
    );
    let ini = format!("[watcher:w]\ncmd = {script}\nstdout_stream.filename = {{dir}}/log\n");
    let circus = Circus::with(dir, &ini, |_| {});
    let reopen =
        format!("{} ctl --endpoint {} logs reopen w", env!("CARGO_BIN_EXE_circus"), circus.dir.name("sock"));
    let directives = format!("rotate 9\ncreate 0640\npostrotate\n{reopen} > /dev/null\nendscript");
    for _ in 0..3 {
        let size = || fs::metadata(circus.dir.path("log")).map_or(0, |meta| meta.len());
        until("something is written", || (size() > 100).then_some(()));
        logrotate(&circus.dir, &directives);
    }
    circus.dir.write("program.stop", "");
    let names = ["log.3", "log.2", "log.1", "log"];
    until("every line is there once and in order, over four files", || {
        let all: String = names.iter().map(|name| circus.dir.read(name)).collect();
        let last = circus.ctl_ok(&["tail", "w", "-n", "1"]);
        let count = last.strip_prefix("line ")?.parse::<usize>().ok()? + 1;
        (all == numbered(count)).then_some(())
    });
    assert_eq!(logs(&circus.dir), ["log", "log.1", "log.2", "log.3"]);
}

#[test]
fn the_real_logrotate_may_truncate() {
    let told = Told::with("", "");
    for text in ["one\n", "two\n", "three\n"] {
        told.write(text);
        logrotate(&told.0.dir, "rotate 9\ncopytruncate");
    }
    told.write("four\n");
    let texts = ["log.3", "log.2", "log.1", "log"].map(|name| told.read(name));
    assert_eq!(texts, ["one\n", "two\n", "three\n", "four\n"]);
}

#[test]
fn rotated_files_are_compressed_and_no_line_is_lost() {
    let dir = Dir::new();
    let script = dir.script("program", &(lines(5000) + "; exec sleep 1000"));
    let circus = Circus::with(
        dir,
        &format!(
            "[watcher:w]\ncmd = {script}\nstdout_stream.filename = {{dir}}/log\nstdout_stream.max_bytes = 2000\n\
             stdout_stream.backup_count = 100\nstdout_stream.compress = gzip"
        ),
        |_| {},
    );
    // Rotations go on, and move names, while gzip is at work.
    let compressed = || {
        let names = logs(&circus.dir);
        let plain = names.iter().filter(|name| !name.ends_with(".gz")).count();
        (plain == 1 && text_of(&circus.dir, "log").contains("line 4999\n")).then_some(names)
    };
    let names = until("all old files are compressed", compressed);
    assert!(names.len() > 20, "{names:?}");
    let number = |name: &String| name.split('.').nth(1).map_or(0, |n| n.parse::<u32>().expect("a number"));
    let mut names = names;
    names.sort_by_key(|name| std::cmp::Reverse(number(name)));
    let all: String = names.iter().map(|name| text_of(&circus.dir, name)).collect();
    assert!(all == numbered(5000), "every line once and in order, over {} files", names.len());
}

#[test]
fn backup_count_counts_compressed_files_too() {
    let told = Told::with("", "stdout_stream.backup_count = 3\nstdout_stream.compress = gzip");
    for n in 0..6 {
        told.write(&format!("{n}\n"));
        told.0.ctl_ok(&["logs", "rotate", "w"]);
        until("it is compressed", || exists(&told.0.dir.path("log.1.gz")).then_some(()));
        until("the plain one is gone", || (!exists(&told.0.dir.path("log.1"))).then_some(()));
    }
    assert_eq!(logs(&told.0.dir), ["log", "log.1.gz", "log.2.gz", "log.3.gz"]);
    assert_eq!(text_of(&told.0.dir, "log.3.gz"), "3\n");
}

#[test]
fn a_compressed_file_has_the_mode_and_the_time_of_the_plain_one() {
    let told = Told::with("", "stdout_stream.backup_count = 3\nstdout_stream.compress = gzip");
    told.write("one\n");
    fs::set_permissions(told.0.dir.path("log"), PermissionsExt::from_mode(0o640)).expect("chmod");
    let before = fs::metadata(told.0.dir.path("log")).expect("the file");
    told.0.ctl_ok(&["logs", "rotate"]);
    until("the plain one is gone", || (logs(&told.0.dir) == ["log", "log.1.gz"]).then_some(()));
    let after = fs::metadata(told.0.dir.path("log.1.gz")).expect("the file");
    let facts = |meta: &fs::Metadata| (meta.mode(), meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec());
    assert_eq!(facts(&after), facts(&before));
}

#[test]
fn without_gzip_files_stay_plain_and_that_is_said_once() {
    let dir = Dir::new();
    let script = dir.script("program", &lines(2000));
    let ini = format!(
        "[watcher:w]\ncmd = /bin/{script}\nrespawn = False\nstdout_stream.filename = {{dir}}/log\n\
         stdout_stream.max_bytes = 2000\nstdout_stream.backup_count = 50\nstdout_stream.compress = gzip"
    );
    let mut circus = Circus::with(dir, &ini, |command| {
        command.env("PATH", "/no/such/directory");
    });
    circus.until_status("w", "stopped");
    circus.end();
    circus.log.line("circus has ended");
    assert_eq!(circus.log.count("there is no gzip in PATH=/no/such/directory"), 1);
    let mut names = logs(&circus.dir);
    let number = |name: &String| name.split('.').nth(1).map_or(0, |n| n.parse::<u32>().expect("a number"));
    names.sort_by_key(|name| std::cmp::Reverse(number(name)));
    let all: String = names.iter().map(|name| circus.dir.read(name)).collect();
    assert!(names.len() > 5 && all == numbered(2000), "{names:?}");
}

/// Circus with this script as gzip, and a watcher that writes 300 lines, which fill one file and a part of another.
fn with_gzip(script: &str) -> Circus {
    with_gzip_for(script, 0, "{dir}/log")
}

/// The same with lines from this one on and another file.
fn with_gzip_for(script: &str, first: usize, log: &str) -> Circus {
    let dir = Dir::new();
    fs::create_dir(dir.path("bin")).expect("made");
    let script = dir.write("script", script);
    assert_eq!(
        run(Command::new("install").args(["-m", "755"]).arg(script).arg(dir.path("bin/gzip"))).code,
        0
    );
    let program = dir.script("program", &(lines_from(first, 300) + "; exec sleep 1000"));
    let path = dir.name("bin") + ":/usr/bin:/bin";
    let ini = format!(
        "[watcher:w]\ncmd = {program}\nstdout_stream.filename = {log}\nstdout_stream.max_bytes = 2000\n\
         stdout_stream.backup_count = 50\nstdout_stream.compress = gzip"
    );
    Circus::with(dir, &ini, |command| {
        command.env("PATH", path);
    })
}

fn until_both_files_are_whole(dir: &Dir) {
    let read = |name: &str| fs::read_to_string(dir.path(name)).unwrap_or_default();
    until("all lines are there", || (read("log.1") + &read("log") == numbered(300)).then_some(()));
}

#[test]
fn a_gzip_that_fails_leaves_the_plain_file_alone() {
    let circus = with_gzip("#!/bin/sh\necho half of it\nexit 1\n");
    circus.log.line("gzip failed with code 1");
    until("what was left of it is removed", || (!exists(&circus.dir.path("log.gz.tmp"))).then_some(()));
    until_both_files_are_whole(&circus.dir);
}

#[test]
fn the_end_of_circus_ends_a_compression_and_keeps_the_plain_file() {
    let mut circus = with_gzip("#!/bin/sh\necho $$ > \"${0%/*}/pid\"\nexec sleep 1000\n");
    let pid = until("gzip runs", || {
        let text = fs::read_to_string(circus.dir.path("bin/pid")).ok()?;
        text.trim().parse::<i32>().ok()
    });
    let niceness = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        stat.rsplit(") ").next().expect("fields").split(' ').nth(16).expect("its niceness").to_string()
    };
    until("it is nice", || (niceness() == "19").then_some(()));
    until_both_files_are_whole(&circus.dir);
    circus.end();
    until("it is gone", || (!matches!(crate::common::proc::state(pid), 'S' | 'R' | 'D')).then_some(()));
    assert!(!exists(&circus.dir.path("log.gz.tmp")));
    until_both_files_are_whole(&circus.dir);
}

#[test]
fn no_line_is_lost_when_circus_is_killed_while_it_compresses() {
    let kept = Dir::new();
    let script = "#!/bin/sh\nsleep 0.02\nexec gzip -c\n".to_string();
    for run in 0..6 {
        let mut circus = with_gzip_for(&script, run * 1000, &kept.name("log"));
        // Some are left plain by the run before, so that there is always something to compress.
        let last = format!("line {}\n", run * 1000 + 299);
        let log = || fs::read_to_string(kept.path("log")).unwrap_or_default();
        until("all is written", || log().ends_with(&last).then_some(()));
        let plain = || logs(&kept).iter().filter(|name| !name.ends_with(".gz")).count();
        if run < 5 {
            circus.signal(SIGKILL);
            until("circus is gone", || {
                (!matches!(crate::common::proc::state(circus.pid()), 'S' | 'R')).then_some(())
            });
        } else {
            until("all is compressed", || (plain() == 1).then_some(()));
            circus.end();
        }
    }
    let names = logs(&kept);
    let all: Vec<usize> = names
        .iter()
        .flat_map(|name| text_of(&kept, name).lines().map(str::to_string).collect::<Vec<_>>())
        .map(|line| line.strip_prefix("line ").expect("a line").parse().expect("a number"))
        .collect();
    for first in (0..6).map(|run| run * 1000) {
        assert!((first..first + 300).all(|n| all.contains(&n)), "from {first} on: {names:?}");
    }
}

/// How large all log files are together.
fn size(dir: &Dir) -> u64 {
    let size = |name: &String| fs::metadata(dir.path(name)).map_or(0, |meta| meta.len());
    logs(dir).iter().map(size).sum()
}

#[test]
fn log_max_bytes_removes_the_oldest_files_of_all_watchers() {
    let dir = Dir::new();
    dir.write("log-old.1", &"x".repeat(30_000));
    dir.write("log-old", "");
    let program = dir.script("program", &lines(9000));
    let stream = |name: &str| {
        format!(
            "respawn = False\nstdout_stream.filename = {{dir}}/{name}\nstdout_stream.max_bytes = 10000\n\
             stdout_stream.backup_count = 100\n"
        )
    };
    let ini = format!(
        "[circus]\nendpoint = {{dir}}/sock\nlog_max_bytes = 40000\n\
         [watcher:old]\ncmd = true\n{}[watcher:w]\ncmd = {program}\nautostart = False\n{}",
        stream("log-old"),
        stream("log"),
    );
    let circus = Circus::with(dir, &ini, |_| {});
    circus.until_status("old", "stopped");
    circus.up("w");
    circus.until_status("w", "stopped");
    until("the oldest one is gone first", || (!exists(&circus.dir.path("log-old.1"))).then_some(()));
    until("they are small enough", || (size(&circus.dir) <= 40_000).then_some(()));
    circus.log.line("log_max_bytes: removed the");
    let mut names = logs(&circus.dir);
    names.retain(|name| name != "log-old");
    names.sort_by_key(|name| std::cmp::Reverse(name.clone()));
    let all: String = names.iter().map(|name| circus.dir.read(name)).collect();
    assert!(names.len() > 2 && numbered(9000).ends_with(&all), "the newest lines are kept: {names:?}");
}

#[test]
fn log_max_bytes_cuts_files_that_are_not_rotated_to_their_newest_lines() {
    let told = Told::with("log_max_bytes = 100000", "");
    for n in 0..20 {
        told.tell(&format!("{}\n", format!("{n:09}\n").repeat(2000)));
    }
    told.write("the end\n");
    until("the file has it all", || told.log().ends_with("the end\n").then_some(()));
    until("the file is small enough", || (size(&told.0.dir) <= 100_000).then_some(()));
    let text = told.log();
    assert!(text.len() > 20_000 && text.starts_with("0000000"), "{} bytes", text.len());
    assert!(text.ends_with("the end\n") && !text.contains('\0'));
    told.0.log.line("was cut to its newest");
    told.write("and on\n");
    assert_eq!(told.0.ctl_ok(&["status", "w"]), "active");
}

#[test]
fn log_max_bytes_counts_the_log_of_circus() {
    let told = Told::with("log_max_bytes = 60000\nloglevel = debug\nlogoutput = {dir}/log-own", "");
    let ask = |_| drop(told.0.ask("set", json!({"name": "w", "options": {"priority": 1}})));
    (0..600).for_each(ask);
    until("it was cut", || told.read("log-own").contains("log-own was cut to its newest").then_some(()));
    until("it is small enough", || (size(&told.0.dir) <= 60_000).then_some(()));
}

#[test]
fn a_log_max_bytes_that_is_too_small_is_said_once_and_stops_nothing() {
    let told = Told::with("log_max_bytes = 100", "");
    for n in 0..20 {
        told.write(&format!("line {n}\n").repeat(10));
    }
    told.0.log.line("log_max_bytes is too small");
    assert_eq!(told.0.log.count("log_max_bytes is too small"), 1);
    assert_eq!(told.log().lines().count(), 200);
}
