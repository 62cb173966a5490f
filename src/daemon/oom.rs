//! Whether the kernel has ended a process because memory was used up.
//!
//! Nobody is told: the process just ends by SIGKILL. But the kernel counts such ends, for each memory cgroup or for the
//! whole machine, and a count that has grown since it was last read makes it probable.

use crate::arbiter::Pid;
use crate::sorted::Sorted;
use std::path::Path;

/// The count of the whole machine.
const MACHINE: &str = "/proc/vmstat";
/// How many counts are remembered at most.
const MOST: usize = 1000;

/// The counts when they were last read.
#[derive(Default)]
pub struct OutOfMemory {
    seen: Sorted<String, u64>,
}

impl OutOfMemory {
    /// Reads those that concern circus itself: what they count already is none of its processes.
    pub fn new() -> OutOfMemory {
        let mut counts = OutOfMemory::default();
        counts.has_grown(crate::sys::process::pid());
        counts.seen.insert(MACHINE.into(), count(MACHINE).unwrap_or(0));
        counts
    }

    /// Whether it was probably for want of memory that this process, a zombie, was ended by SIGKILL.
    pub fn has_grown(&mut self, pid: Pid) -> bool {
        let Some((path, now)) = nearest(pid) else { return false };
        if self.seen.len() >= MOST {
            self.seen.pop_first();
        }
        now > self.seen.insert(path, now).unwrap_or(0)
    }
}

/// The count that tells most about a process: that of its cgroup, or of the machine.
fn nearest(pid: Pid) -> Option<(String, u64)> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let of_groups = groups.lines().filter_map(file).find_map(|(dir, name)| counted(Path::new(&dir), name));
    let (count, path) = of_groups.or_else(|| Some((count(MACHINE)?, MACHINE.into())))?;
    Some((path, count))
}

/// The count of a cgroup, and the file that it stands in. One that has no controller for memory is counted above.
fn counted(dir: &Path, name: &str) -> Option<(u64, String)> {
    dir.ancestors().find_map(|dir| {
        let path = dir.join(name).to_str()?.to_string();
        Some((count(&path)?, path))
    })
}

/// The directory of a cgroup and its file with the count, from a line of /proc/PID/cgroup.
fn file(line: &str) -> Option<(String, &'static str)> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let path = path.trim_end_matches('/');
    match controllers {
        "" => Some((format!("/sys/fs/cgroup{path}"), "memory.events")),
        "memory" => Some((format!("/sys/fs/cgroup/memory{path}"), "memory.oom_control")),
        _ => None,
    }
}

fn count(path: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_cgroup_is_found() {
        assert_eq!(file("0::/a.slice/b").unwrap(), ("/sys/fs/cgroup/a.slice/b".into(), "memory.events"));
        assert_eq!(file("4:memory:/").unwrap(), ("/sys/fs/cgroup/memory".into(), "memory.oom_control"));
        assert_eq!(file("3:cpu,cpuacct:/x"), None);
        assert_eq!(file("nonsense"), None);
    }

    #[test]
    fn a_cgroup_without_a_count_is_counted_above() {
        let top = std::env::temp_dir().join(format!("circus-oom-{}", crate::sys::process::pid()));
        let below = top.join("w/tree");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(counted(&below, "memory.events"), None);
        let events = top.join("memory.events");
        std::fs::write(&events, "oom 4\noom_kill 3\n").unwrap();
        assert_eq!(counted(&below, "memory.events"), Some((3, events.to_str().unwrap().into())));
        std::fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn only_a_count_that_has_grown_says_so() {
        let own = crate::sys::process::pid();
        let mut counts = OutOfMemory::new();
        assert!(!counts.has_grown(own));
        let Some((path, now)) = nearest(own).filter(|(_, now)| *now > 0) else { return };
        counts.seen.insert(path, now - 1);
        assert!(counts.has_grown(own) && !counts.has_grown(own));
    }
}
