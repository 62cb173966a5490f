//! What /proc says about processes.

use super::until;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

fn read(pid: i32, name: &str) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/{name}")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether there is such a process that has not ended.
pub fn exists(pid: i32) -> bool {
    !matches!(state(pid), 'Z' | 'X' | '?')
}

/// The letter of its state; `?` when it is gone.
pub fn state(pid: i32) -> char {
    stat(pid).and_then(|fields| fields.first()?.chars().next()).unwrap_or('?')
}

/// The fields of /proc/PID/stat from the third, the state, on.
pub fn stat(pid: i32) -> Option<Vec<String>> {
    let text = read(pid, "stat")?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_string).collect())
}

/// Its parent, its process group, its session and its terminal.
pub fn kin(pid: i32) -> [i32; 4] {
    let fields = stat(pid).unwrap_or_else(|| panic!("process {pid} is gone"));
    [1, 2, 3, 4].map(|n| fields[n].parse().expect("a number"))
}

/// A line of /proc/PID/status, blanks made equal.
pub fn status(pid: i32, key: &str) -> String {
    let text = read(pid, "status").unwrap_or_else(|| panic!("process {pid} is gone"));
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The most memory that it ever had, in bytes.
pub fn most_memory(pid: i32) -> u64 {
    let line = status(pid, "VmHWM");
    let kilobytes: u64 = line.strip_suffix(" kB").and_then(|kb| kb.parse().ok()).expect("kilobytes");
    kilobytes * 1024
}

/// There are none for a moment during an execve, when vfork(2) has let the parent go on already.
fn strings(pid: i32, name: &str) -> Vec<String> {
    let text = until(&format!("process {pid} has a {name}"), || {
        let text = read(pid, name).unwrap_or_else(|| panic!("process {pid} is gone"));
        (!text.is_empty()).then_some(text)
    });
    text.split_terminator('\0').map(str::to_string).collect()
}

pub fn argv(pid: i32) -> Vec<String> {
    strings(pid, "cmdline")
}

/// The environment that it was started with.
pub fn environ(pid: i32) -> BTreeMap<String, String> {
    let pair = |entry: &String| {
        let (name, value) = entry.split_once('=').unwrap_or_else(|| panic!("no variable: {entry}"));
        (name.to_string(), value.to_string())
    };
    strings(pid, "environ").iter().map(pair).collect()
}

pub fn cwd(pid: i32) -> String {
    link(pid, "cwd")
}

fn link(pid: i32, name: &str) -> String {
    let target = std::fs::read_link(format!("/proc/{pid}/{name}"));
    let target = target.unwrap_or_else(|why| panic!("/proc/{pid}/{name}: {why}"));
    String::from_utf8_lossy(&target.into_os_string().into_vec()).into_owned()
}

/// What a descriptor stands for: a path, or `socket:[4711]`.
pub fn fd(pid: i32, number: i32) -> String {
    link(pid, &format!("fd/{number}"))
}

/// What all its descriptors stand for, but for those that are closed meanwhile.
pub fn targets(pid: i32) -> Vec<String> {
    let target = |fd: i32| std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok();
    fds(pid).into_iter().filter_map(target).map(|path| path.to_string_lossy().into_owned()).collect()
}

/// The numbers of its descriptors.
pub fn fds(pid: i32) -> BTreeSet<i32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Soft and hard limit, by the name in /proc/PID/limits.
pub fn limit(pid: i32, name: &str) -> (String, String) {
    let text = read(pid, "limits").unwrap_or_else(|| panic!("process {pid} is gone"));
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let mut words = line.unwrap_or_else(|| panic!("no {name}")).split_whitespace().map(str::to_string);
    (words.next().expect("a soft limit"), words.next().expect("a hard limit"))
}

/// A process and its place among others.
struct Kin {
    pid: i32,
    parent: i32,
    group: i32,
    session: i32,
}

fn all() -> Vec<Kin> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let kin = |pid| {
        let fields = stat(pid)?;
        let number = |n: usize| fields.get(n)?.parse().ok();
        Some(Kin { pid, parent: number(1)?, group: number(2)?, session: number(3)? })
    };
    pids.filter_map(kin).collect()
}

pub fn children(pid: i32) -> Vec<i32> {
    all().into_iter().filter(|kin| kin.parent == pid).map(|kin| kin.pid).collect()
}

/// Children, their children, and so on.
pub fn descendants(pid: i32) -> Vec<i32> {
    let all = all();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|kin| kin.parent == parent).map(|kin| kin.pid));
        next += 1;
    }
    found.split_off(1)
}

/// The members of a process group that have not ended.
pub fn group(pgid: i32) -> Vec<i32> {
    let members = all().into_iter().filter(|kin| kin.group == pgid).map(|kin| kin.pid);
    members.filter(|pid| exists(*pid)).collect()
}

pub fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.get(1)?.parse().ok()
}

pub fn session(pid: i32) -> Option<i32> {
    stat(pid)?.get(3)?.parse().ok()
}

/// The processes of these sessions that have not ended.
pub fn of_sessions(sessions: &BTreeSet<i32>) -> Vec<i32> {
    let members = all().into_iter().filter(|kin| sessions.contains(&kin.session)).map(|kin| kin.pid);
    members.filter(|pid| exists(*pid)).collect()
}

/// Voluntary and involuntary context switches, and the ticks of processor time in user and system mode.
pub fn activity(pid: i32) -> [u64; 4] {
    let fields = stat(pid).unwrap_or_else(|| panic!("process {pid} is gone"));
    let ticks = [11, 12].map(|n| fields[n].parse().expect("a number"));
    let switches = |key| status(pid, key).parse().expect("a number");
    [switches("voluntary_ctxt_switches"), switches("nonvoluntary_ctxt_switches"), ticks[0], ticks[1]]
}

/// Waits until a process does nothing, not even wake up, for a fifth of a second, by which what was put off for a moment is
/// done; one that is busy for ever fails the test.
pub fn at_rest(pid: i32) -> [u64; 4] {
    let mut last = (activity(pid), Instant::now());
    until(&format!("process {pid} does nothing"), || {
        let now = activity(pid);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_millis(200)).then_some(now)
    })
}
