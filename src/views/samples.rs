//! How much of the processor and of the memory a process uses, in percent.
//!
//! Percentages of processor time are about the time since the same asker last looked, so each asker has samples of its
//! own.

use super::usage::{Units, Used};
use crate::arbiter::Pid;
use crate::host::procfs::{self, Stat};
use crate::sorted::Sorted;
use crate::sys::clock;

/// The time of an asker's last look at each process, in seconds since 1970, and the processor time that it had used by
/// then, in seconds.
pub type Samples = Sorted<Pid, (f64, f64)>;

/// What is the same for all processes while one question is answered.
pub struct Scale {
    /// Seconds since 1970.
    pub now: f64,
    pub units: Units,
    memory: u64,
}

/// What one process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Seconds of processor time since it began.
    pub cpu_time: f64,
    /// Percent of one processor since the last look; `None` at the first.
    pub cpu: Option<f64>,
    /// Percent of the machine's memory.
    pub mem: f64,
    /// Resident memory, in bytes.
    pub rss: u64,
}

impl Scale {
    /// The scale of this machine at this moment.
    pub fn new() -> Scale {
        Scale { now: clock::realtime(), units: Units::new(), memory: procfs::memory() }
    }

    /// What a process uses, by its line in /proc.
    pub fn usage(&self, pid: Pid, stat: &Stat, samples: &mut Samples) -> Usage {
        let Used { cpu: cpu_time, rss } = self.units.used(stat);
        let before = samples.insert(pid, (self.now, cpu_time)).filter(|(at, _)| self.now > *at);
        let cpu = before.map(|(at, used)| 100.0 * (cpu_time - used).max(0.0) / (self.now - at));
        Usage { cpu_time, cpu, mem: 100.0 * rss as f64 / self.memory.max(1) as f64, rss }
    }
}
