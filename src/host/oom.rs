//! Whether the kernel has ended a process because memory was used up.
//!
//! Nobody is told: the process just ends by SIGKILL. But the kernel counts such ends, for each memory cgroup or for the
//! whole machine, and a count that has grown since it was last read makes it probable.

use crate::arbiter::Pid;
use crate::host::procfs;
use crate::sorted::Sorted;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The count of the whole machine, which is all there is for cgroups of version 1: a zombie is in none of them any more.
const MACHINE: &str = "/proc/vmstat";
/// How many counts are remembered at most.
const MOST: usize = 1000;
/// For how long a count that has grown by several may speak for the next process that is found dead.
const TOGETHER: Duration = Duration::from_secs(2);

/// A count when it was last read.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    /// Ends that were counted and are not yet known to be those of processes of circus, and when they were counted.
    unclaimed: Option<(u64, Instant)>,
}

impl Seen {
    /// Whether there is an end in the count that may be that of a process just found dead.
    fn claim(&mut self, count: u64, now: Instant) -> bool {
        let grown = count.saturating_sub(std::mem::replace(&mut self.count, count));
        let fresh = |(_, at): &(u64, Instant)| now.saturating_duration_since(*at) < TOGETHER;
        let before = self.unclaimed.take().filter(fresh);
        let left = grown + before.map_or(0, |(left, _)| left);
        let at = before.filter(|_| grown == 0).map_or(now, |(_, at)| at);
        self.unclaimed = left.checked_sub(1).map(|left| (left, at));
        left > 0
    }
}

/// The counts when they were last read.
pub struct OutOfMemory {
    seen: Sorted<String, Seen>,
}

impl Default for OutOfMemory {
    /// Reads those that concern circus itself: what they count already is none of its processes.
    fn default() -> OutOfMemory {
        let mut counts = OutOfMemory { seen: Sorted::new() };
        let own = nearest(crate::sys::process::pid());
        let machine = count(MACHINE).map(|count| (count, MACHINE.into()));
        for (count, path) in own.into_iter().chain(machine) {
            counts.seen.insert(path, Seen { count, unclaimed: None });
        }
        counts
    }
}

impl OutOfMemory {
    /// Whether it was probably for want of memory that this process, a zombie, was killed by SIGKILL, or what it ran was.
    pub fn has_ended(&mut self, pid: Pid, now: Instant) -> bool {
        let Some((count, path)) = nearest(pid) else { return false };
        if self.seen.len() >= MOST {
            self.seen.pop_first();
        }
        self.seen.get_or_insert_with(path, Seen::default).claim(count, now)
    }
}

/// The count that tells most about a process, that of its cgroup or of the machine, and its file.
fn nearest(pid: Pid) -> Option<(u64, String)> {
    let of_group = procfs::cgroup(pid).ok().flatten().and_then(|path| counted(&directory(&path)));
    of_group.or_else(|| Some((count(MACHINE)?, MACHINE.into())))
}

/// The directory of a cgroup of version 2.
fn directory(path: &str) -> PathBuf {
    format!("/sys/fs/cgroup{}", path.trim_end_matches('/')).into()
}

/// The count of a cgroup, and its file. One without a controller for memory, as that of a tree, is counted above.
fn counted(dir: &Path) -> Option<(u64, String)> {
    dir.ancestors().find_map(|dir| {
        let path = dir.join("memory.events").to_str()?.to_string();
        Some((count(&path)?, path))
    })
}

fn count(path: &str) -> Option<u64> {
    procfs::count(path, "oom_kill ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_a_cgroup_is_found() {
        assert_eq!(directory("/a.slice/b"), Path::new("/sys/fs/cgroup/a.slice/b"));
        assert_eq!(directory("/"), Path::new("/sys/fs/cgroup"));
    }

    #[test]
    fn a_cgroup_without_a_count_is_counted_above() {
        let top = std::env::temp_dir().join(format!("circus-oom-{}", crate::sys::process::pid()));
        let below = top.join("w/tree");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(counted(&below), None);
        let events = top.join("memory.events");
        std::fs::write(&events, "oom 4\noom_kill 3\n").unwrap();
        assert_eq!(counted(&below), Some((3, events.to_str().unwrap().into())));
        std::fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn a_count_speaks_for_as_many_as_it_has_grown_by() {
        let now = Instant::now();
        let mut seen = Seen { count: 5, unclaimed: None };
        assert!(!seen.claim(5, now));
        assert!(seen.claim(8, now) && seen.claim(8, now));
        let later = now + TOGETHER;
        assert!(seen.claim(9, now) && seen.claim(9, now) && !seen.claim(9, now));
        assert!(seen.claim(11, now) && !seen.claim(11, later), "the other one was somebody else's");
    }

    #[test]
    fn what_was_counted_before_circus_began_is_not_its_own() {
        let own = crate::sys::process::pid();
        assert!(!OutOfMemory::default().has_ended(own, Instant::now()));
    }
}
