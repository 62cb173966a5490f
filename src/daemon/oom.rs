//! Whether the kernel has ended a process because memory was used up.
//!
//! Nobody is told: the process just ends by SIGKILL. But the kernel counts such ends, for each memory cgroup or for the
//! whole machine, and a count that has grown since it was last read makes it probable.

use crate::arbiter::Pid;
use crate::sorted::Sorted;

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
    let of_groups = groups.lines().filter_map(file).find_map(|path| Some((count(&path)?, path)));
    let (count, path) = of_groups.or_else(|| Some((count(MACHINE)?, MACHINE.into())))?;
    Some((path, count))
}

/// The file with the count of a cgroup, from a line of /proc/PID/cgroup.
fn file(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let path = path.trim_end_matches('/');
    match controllers {
        "" => Some(format!("/sys/fs/cgroup{path}/memory.events")),
        "memory" => Some(format!("/sys/fs/cgroup/memory{path}/memory.oom_control")),
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
        assert_eq!(file("0::/a.slice/b").as_deref(), Some("/sys/fs/cgroup/a.slice/b/memory.events"));
        assert_eq!(file("4:memory:/").as_deref(), Some("/sys/fs/cgroup/memory/memory.oom_control"));
        assert_eq!(file("3:cpu,cpuacct:/x"), None);
        assert_eq!(file("nonsense"), None);
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
