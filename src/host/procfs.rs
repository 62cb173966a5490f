//! What /proc says about processes: who is whose child, and what `stats` reports.
//!
//! Everything is read when somebody asks; nothing is polled. A process that has ended meanwhile is simply not
//! there. What cannot be looked at, for want of a descriptor or of memory, is an error, and never nothing: whoever
//! decides by it has to look again.
//!
//! A /proc of another pid namespace, as after `unshare --pid` alone, has the same numbers for other processes. There it
//! is as if there were none ([`is_absent`]).

use crate::arbiter::Pid;
use crate::host::looks::with_spare;
use crate::sorted::Sorted;
use crate::sys::{is_gone, process};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

/// A process as `/proc/PID/stat` has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stat {
    /// The parent.
    pub ppid: Pid,
    /// The process group.
    pub pgrp: Pid,
    /// User and system time, in clock ticks.
    pub ticks: u64,
    /// The same of the descendants that have been waited for.
    pub waited: u64,
    /// The niceness.
    pub nice: i64,
    /// When it started, in clock ticks since boot.
    pub start: u64,
    /// Virtual memory, in bytes.
    pub vsize: u64,
    /// Resident memory, in pages.
    pub rss: u64,
    /// The state's letter.
    pub state: char,
}

impl Stat {
    /// Whether it has ended and was not reaped yet.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Whether the numbers of /proc are those of circus's own pid namespace. That is found out once.
fn is_ours() -> io::Result<bool> {
    static OURS: OnceLock<bool> = OnceLock::new();
    if let Some(ours) = OURS.get() {
        return Ok(*ours);
    }
    match std::fs::read_link("/proc/self") {
        Ok(own) => {
            let ours = own.to_str().and_then(|pid| pid.parse().ok()) == Some(process::pid());
            Ok(*OURS.get_or_init(|| ours))
        }
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an error says that /proc never tells anything: there is none, or it is another namespace's.
pub fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// The directory of a process in /proc, if that is circus's own.
fn dir(pid: Pid) -> io::Result<String> {
    if is_ours()? { Ok(format!("/proc/{pid}")) } else { Err(io::ErrorKind::Unsupported.into()) }
}

/// Reads `/proc/PID/stat`.
///
/// # Errors
/// There is no such process, or it cannot be looked at.
pub fn stat(pid: Pid) -> io::Result<Stat> {
    let stat = parse_stat(&read(&(dir(pid)? + "/stat"))?);
    stat.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A small file of /proc, in which a process may have put any bytes by its name.
fn read(path: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&head(path)?).into_owned())
}

/// The beginning of a file of /proc. One read is enough: the kernel gives as much as there is room for, and thousands
/// of such files are read for one answer.
fn head(path: &str) -> io::Result<Vec<u8>> {
    with_spare(&|| {
        let mut bytes = [0; 4096];
        let length = File::open(path)?.read(&mut bytes)?;
        Ok(bytes.get(..length).unwrap_or_default().to_vec())
    })
}

/// The name of the program stands in parentheses and may hold anything, so the fields are counted from the last
/// parenthesis on.
pub fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // the number of a field as proc_pid_stat(5) counts it; the state is the third
    let field = |n: usize| fields.get(n - 3).copied();
    let number = |n: usize| field(n)?.parse::<u64>().ok();
    Some(Stat {
        state: field(3)?.chars().next()?,
        ppid: field(4)?.parse().ok()?,
        pgrp: field(5)?.parse().ok()?,
        ticks: number(14)?.saturating_add(number(15)?),
        waited: number(16)?.saturating_add(number(17)?),
        nice: field(19)?.parse().ok()?,
        start: number(22)?,
        vsize: number(23)?,
        rss: number(24)?,
    })
}

/// The direct children of a process; one that is gone has none.
///
/// # Errors
/// They cannot be looked at.
pub fn children(pid: Pid) -> io::Result<Vec<Pid>> {
    match listed_children(pid) {
        // Nobody is there to be seen if not even circus is.
        Err(error) if is_gone(&error) && std::fs::metadata("/proc/self").is_ok() => Ok(Vec::new()),
        listed => listed,
    }
}

fn listed_children(pid: Pid) -> io::Result<Vec<Pid>> {
    // The directory has two links and one for each thread.
    let path = dir(pid)? + "/task";
    let is_alone = std::fs::metadata(&path)?.nlink() == 3;
    let threads = if is_alone { vec![pid] } else { numbers_in(&path)? };
    let mut children = Vec::new();
    for thread in threads {
        let file = format!("{path}/{thread}/children");
        match with_spare(&|| std::fs::read_to_string(&file)) {
            Ok(text) => children.extend(text.split_whitespace().filter_map(|pid| pid.parse::<Pid>().ok())),
            // a kernel without CONFIG_PROC_CHILDREN, or a thread that has ended
            Err(error) if is_gone(&error) => return children_by_scan(pid),
            Err(error) => return Err(error),
        }
    }
    Ok(children)
}

/// The numbers among the names in a directory, which is closed again before one of them is looked at.
fn numbers_in(path: &str) -> io::Result<Vec<Pid>> {
    with_spare(&|| {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(path)? {
            numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<Pid>().ok()));
        }
        Ok(numbers)
    })
}

fn children_by_scan(pid: Pid) -> io::Result<Vec<Pid>> {
    Ok(parents()?.iter().filter(|(_, parent)| **parent == pid).map(|(child, _)| *child).collect())
}

/// All processes with their parents.
fn parents() -> io::Result<Sorted<Pid, Pid>> {
    Ok(everybody()?.into_iter().map(|(pid, stat)| (pid, stat.ppid)).collect())
}

/// All processes.
///
/// # Errors
/// They cannot be looked at.
pub fn everybody() -> io::Result<Vec<(Pid, Stat)>> {
    let mut found = Vec::new();
    dir(process::pid())?;
    for pid in numbers_in("/proc")? {
        match stat(pid) {
            Ok(stat) => found.push((pid, stat)),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// All descendants of a process, parents before their children.
///
/// # Errors
/// There is no such process, or they cannot be looked at.
pub fn descendants(pid: Pid) -> io::Result<Vec<Pid>> {
    let parents = parents()?;
    parents.get(&pid).ok_or(io::ErrorKind::NotFound)?;
    let mut children: Sorted<Pid, Vec<Pid>> = Sorted::new();
    for (child, parent) in parents {
        children.get_or_insert_with(parent, Vec::new).push(child);
    }
    let (mut found, mut next) = (Vec::new(), vec![pid]);
    while let Some(parent) = next.pop() {
        let children = children.remove(&parent).unwrap_or_default();
        found.extend(&children);
        next.extend(children);
    }
    Ok(found)
}

/// The most bytes of an environment that are looked at: a process can make the kernel take any of its memory for it.
#[cfg(feature = "orphans")]
const MOST_OF_ENVIRONMENT: u64 = 256 * 1024;

/// The environment that a process was started with, each variable with a null character behind it, as far as the
/// process has left it there. What another user's process has can be read as that user, even by a root that may not
/// trace processes, as in a container. Of a very large one only the beginning is there.
///
/// # Errors
/// There is no such process, or it cannot be looked at.
#[cfg(feature = "orphans")]
pub fn environ(pid: Pid) -> io::Result<Vec<u8>> {
    let path = dir(pid)? + "/environ";
    let read = || {
        let mut bytes = Vec::new();
        File::open(&path)?.take(MOST_OF_ENVIRONMENT).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == MOST_OF_ENVIRONMENT {
            // The last one may go on.
            let whole = bytes.iter().rposition(|byte| *byte == 0).map_or(0, |last| last + 1);
            bytes.truncate(whole);
        }
        Ok(bytes)
    };
    match with_spare(&read) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let owner = std::fs::metadata(dir(pid)?)?;
            crate::sys::user::as_to_files(owner.uid(), owner.gid(), || with_spare(&read))
        }
        read => read,
    }
}

/// Whether a process is just becoming another program: it has an environment, but not yet the new one. Where circus may
/// not know, the field of the start of its code is 1.
#[cfg(feature = "tree")]
pub fn is_becoming_program(pid: Pid) -> io::Result<bool> {
    const START_OF_CODE: usize = 26;
    const END_OF_ENVIRONMENT: usize = 51;
    let text = read(&format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(')').unwrap_or_default();
    let field = |n: usize| rest.split_whitespace().nth(n - 3);
    Ok(field(3) != Some("Z") && field(START_OF_CODE) != Some("1") && field(END_OF_ENVIRONMENT) == Some("0"))
}

/// The cgroup of version 2 that a process is in, as a path from the root of what circus can see of them.
///
/// # Errors
/// There is no such process, or it cannot be looked at.
#[cfg(any(feature = "cgroup", feature = "tree"))]
pub fn cgroup(pid: Pid) -> io::Result<Option<String>> {
    Ok(cgroup_in(&read(&(dir(pid)? + "/cgroup"))?).map(str::to_string))
}

/// The cgroup of version 2 in a file like /proc/PID/cgroup.
#[cfg(any(feature = "cgroup", feature = "tree"))]
pub fn cgroup_in(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The user id of a process: that of its directory in /proc.
#[cfg(feature = "stats")]
pub fn uid(pid: Pid) -> Option<u32> {
    Some(std::fs::metadata(dir(pid).ok()?).ok()?.uid())
}

/// The user id of a process as the kernel knows it: whose its directory is says nothing of one that has made itself
/// undumpable.
pub fn real_uid(pid: Pid) -> Option<u32> {
    uids(pid).map(|(real, _)| real)
}

/// The real and the effective user id of a process.
pub fn uids(pid: Pid) -> Option<(u32, u32)> {
    uids_in(&read(&(dir(pid).ok()? + "/status")).ok()?)
}

/// The real and the effective user id in a file like /proc/PID/status.
pub fn uids_in(status: &str) -> Option<(u32, u32)> {
    let mut ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace();
    Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
}

/// What tells this boot of the machine from all others.
#[cfg(feature = "orphans")]
pub fn boot_id() -> Option<String> {
    Some(read("/proc/sys/kernel/random/boot_id").ok()?.trim().to_string()).filter(|id| !id.is_empty())
}

/// The number of the pid namespace of circus.
#[cfg(feature = "orphans")]
pub fn namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}

/// The first word behind this beginning of a line.
#[cfg(any(feature = "cgroup", feature = "plugins", feature = "stats"))]
fn first_word<'a>(text: &'a str, beginning: &str) -> Option<&'a str> {
    let is_line =
        |at: usize| text.get(..at).is_some_and(|before| before.is_empty() || before.ends_with('\n'));
    let (at, _) = text.match_indices(beginning).find(|(at, _)| is_line(*at))?;
    text.get(at + beginning.len()..)?.split_whitespace().next()
}

/// The number behind the name of a count in a file of the kernel.
#[cfg(any(feature = "cgroup", feature = "plugins", feature = "stats"))]
pub fn count(path: &str, name: &str) -> Option<u64> {
    // Room for all of it, so that it is read at once.
    let mut text = String::with_capacity(16384);
    File::open(path).ok()?.take(16384).read_to_string(&mut text).ok()?;
    first_word(&text, name)?.parse().ok()
}

/// The last part of the path in argv[0], as Circus shows it; the kernel's name when there are no arguments.
pub fn program(pid: Pid) -> Option<String> {
    let dir = dir(pid).ok()?;
    let line = head(&format!("{dir}/cmdline")).ok()?;
    let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = first.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if name.is_empty() {
        return read(&format!("{dir}/comm")).ok().map(|name| name.trim_end().to_string());
    }
    Some(crate::config::text::from_bytes(name))
}

/// How many descriptors a process has open; `None` where we may not look.
#[cfg(feature = "stats")]
pub fn open_fds(pid: Pid) -> Option<u64> {
    let path = dir(pid).ok()? + "/fd";
    // Since Linux 6.2 the size of the directory is their number.
    match std::fs::metadata(&path).ok()?.size() {
        0 => Some(std::fs::read_dir(&path).ok()?.count() as u64),
        size => Some(size),
    }
}

/// The beginning of the arguments of a process, each with a null character behind it.
pub fn arguments(pid: Pid) -> Option<Vec<u8>> {
    head(&(dir(pid).ok()? + "/cmdline")).ok()
}

/// The beginning of the command line of a process, as a shell would take it.
pub fn command_line(pid: Pid) -> Option<String> {
    const MOST: usize = 200;
    let line = arguments(pid)?;
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    let words: Vec<String> = line.split(|byte| *byte == 0).map(crate::config::text::from_bytes).collect();
    let line = crate::control::shell::join(words.iter().map(String::as_str));
    Some(line.chars().take(MOST).collect())
}

/// The machine's memory, in bytes.
#[cfg(any(feature = "plugins", feature = "stats"))]
pub fn memory() -> u64 {
    count("/proc/meminfo", "MemTotal:").unwrap_or(0).saturating_mul(1024)
}

/// When the machine was booted, in seconds since 1970.
#[cfg(feature = "stats")]
pub fn boot_time() -> f64 {
    count("/proc/stat", "btime ").unwrap_or(0) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_program_is_read_past() {
        let line = "42 (a) b) (c) S 1 42 42 0 -1 4194304 9 0 0 0 7 5 0 0 20 -3 1 0 1234 8192 2 184467 1 1";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.ppid, stat.pgrp, stat.ticks, stat.nice), (1, 42, 12, -3));
        assert_eq!((stat.start, stat.vsize, stat.rss, stat.state), (1234, 8192, 2, 'S'));
        assert_eq!(parse_stat("42 (x) S 1"), None);
    }

    #[test]
    fn children_and_descendants_are_found() {
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let pid = child.id() as Pid;
        let children = |pid: Pid| children(pid).unwrap();
        while children(pid).is_empty() {
            std::thread::yield_now();
        }
        assert!(children(std::process::id() as Pid).contains(&pid));
        assert_eq!(children_by_scan(pid).unwrap(), children(pid));
        assert_eq!(descendants(pid).unwrap(), children(pid));
        assert!(children(Pid::MAX).is_empty());
        assert!(descendants(Pid::MAX).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
        assert!(stat(Pid::MAX).is_err_and(|error| is_gone(&error)));
        assert_eq!(stat(pid).unwrap().ppid, std::process::id() as Pid);
        for pid in children(pid) {
            crate::sys::signal::kill(pid, 9).unwrap();
        }
        child.wait().unwrap();
    }

    #[test]
    fn a_process_whose_name_is_no_utf_8_is_seen() {
        use std::os::unix::ffi::OsStrExt;
        let dir = std::env::temp_dir().join(format!("circus-procfs-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let program = dir.join(std::ffi::OsStr::from_bytes(b"\xffsleep"));
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut child = std::process::Command::new(&program).arg("60").spawn().unwrap();
        let pid = child.id() as Pid;
        let parent = stat(pid).map(|stat| stat.ppid);
        child.kill().unwrap();
        child.wait().unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(parent.unwrap(), std::process::id() as Pid);
    }

    #[test]
    fn of_an_environment_without_end_the_whole_variables_at_its_beginning_are_read() {
        let value = "x".repeat(100_000);
        let mut child = std::process::Command::new("sleep");
        child.arg("60").env_clear();
        child.envs(["A", "B", "C", "D"].map(|name| (name, &value)));
        let mut child = child.spawn().unwrap();
        let pid = child.id() as Pid;
        while is_becoming_program(pid).unwrap() {
            std::thread::yield_now();
        }
        let environ = environ(pid).unwrap();
        child.kill().unwrap();
        while stat(pid).unwrap().state != 'Z' {
            std::thread::yield_now();
        }
        assert!(!is_becoming_program(pid).unwrap(), "what is dead becomes nothing");
        child.wait().unwrap();
        assert!(environ == format!("A={value}\0B={value}\0").into_bytes(), "{} bytes", environ.len());
    }
}
