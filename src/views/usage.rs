//! How much processor time and memory a process uses: one look at /proc, for whoever asks.

use crate::host::procfs::Stat;
use crate::sys::process;

/// Units of what /proc says.
#[derive(Debug)]
pub struct Units {
    /// Clock ticks a second.
    pub ticks: f64,
    page: u64,
}

/// What a process has used and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Seconds of processor time since it began.
    pub cpu: f64,
    /// Resident memory, in bytes.
    pub rss: u64,
}

impl Units {
    /// Those of this machine.
    pub fn new() -> Units {
        Units { ticks: process::clock_ticks() as f64, page: process::page_size() as u64 }
    }

    /// What /proc says of a process, if anything.
    #[cfg(any(feature = "details", feature = "metrics"))]
    pub fn look(&self, pid: crate::arbiter::Pid) -> Option<Used> {
        crate::host::procfs::stat(pid).ok().map(|stat| self.used(&stat))
    }

    /// What it has used with all that it has waited for, by its line there: so the sum of a tree goes on when one of
    /// its processes ends.
    #[cfg(feature = "stats")]
    pub fn used_with_waited(&self, stat: &Stat) -> Used {
        let used = self.used(stat);
        Used { cpu: used.cpu + stat.waited as f64 / self.ticks, ..used }
    }

    /// What a process uses, by its line there.
    pub fn used(&self, stat: &Stat) -> Used {
        Used { cpu: stat.ticks as f64 / self.ticks, rss: stat.rss.saturating_mul(self.page) }
    }
}

#[cfg(feature = "stats")]
impl Used {
    /// Adds what another process uses.
    pub fn add(&mut self, other: Used) {
        self.cpu += other.cpu;
        self.rss = self.rss.saturating_add(other.rss);
    }
}
