//! Files that circus makes, renames and removes, when something is short.

use crate::common::{Circus, Dir, exists, proc, run, until};
use std::process::Command;

fn limit_descriptors(pid: i32, most: &str) {
    let pid = pid.to_string();
    let done = run(Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={most}:")]));
    assert_eq!(done.code, 0, "{}", done.err);
}

/// All lines of a log, from the oldest file on.
fn lines(dir: &Dir, name: &str) -> Vec<String> {
    let old = (1..).map(|n| format!("{name}.{n}"));
    let mut names: Vec<_> = old.take_while(|name| exists(&dir.path(name))).collect();
    names.reverse();
    names.push(name.into());
    names.iter().flat_map(|name| dir.read(name).lines().map(str::to_string).collect::<Vec<_>>()).collect()
}

#[test]
fn a_rotation_that_has_no_descriptor_loses_no_line() {
    let dir = Dir::new();
    let talker = dir.script(
        "talker",
        "seq 100 199; until [ -e go ]; do sleep 0.01; done; seq 200 999; : > done
         until [ -e on ]; do sleep 0.01; done; seq 1000 1099; exec sleep 1000",
    );
    let ini = format!(
        "[watcher:app]\ncmd = {talker}\nworking_dir = {{dir}}\nstdout_stream.filename = {{dir}}/log\n\
         stdout_stream.max_bytes = 1000\nstdout_stream.backup_count = 99\n"
    );
    let circus = Circus::with(dir, &ini, |_| {});
    let dir = &circus.dir;
    let ends = |with: &str| {
        until(with, || std::fs::read_to_string(dir.path("log")).ok()?.ends_with(with).then_some(()));
    };
    ends("199\n");
    // The lowest number that is free is as much as circus may have.
    let fds = proc::fds(circus.pid());
    let free = (0..).find(|fd| !fds.contains(fd)).expect("a number");
    limit_descriptors(circus.pid(), &free.to_string());
    std::fs::write(dir.path("go"), "").expect("a file");
    ends("999\n");
    let expected = |last: u32| (100..=last).map(|n| n.to_string()).collect::<Vec<_>>();
    assert_eq!(lines(dir, "log"), expected(999));
    circus.log.line("Too many open files; it grows");
    limit_descriptors(circus.pid(), "1024");
    circus.ctl_ok(&["logs", "rotate"]);
    std::fs::write(dir.path("on"), "").expect("a file");
    ends("1099\n");
    assert_eq!(lines(dir, "log"), expected(1099));
}

#[test]
fn a_full_disk_keeps_nobody_with_a_pid_file_from_starting() {
    let dir = Dir::new();
    let path = dir.write("circus.pid", "12345\n");
    // To circus a limit of the size of files is the same.
    let wrapper = dir.script("wrapper", "ulimit -S -f 0; exec \"$@\"");
    let ini =
        format!("[circus]\nendpoint = {{dir}}/sock\npidfile = {path}\n[watcher:app]\ncmd = sleep 1000\n");
    let mut circus = Circus::with(dir, &ini, |command| {
        let program = command.get_program().to_owned();
        *command = Command::new("sh");
        command.args(wrapper.strip_prefix("sh ")).arg(program);
    });
    circus.log.line("circus starts without");
    circus.up("app");
    assert_eq!(circus.dir.read("circus.pid"), "", "a number that is wrong is gone");
    circus.end();
    assert!(!exists(&circus.dir.path("circus.pid")));
}
