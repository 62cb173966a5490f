//! How much processor time and memory a process uses: one look at /proc, for whoever asks.

use crate::arbiter::Pid;
use crate::host::procfs::{self, Stat};
use crate::sys::process;

/// Units of what /proc says.
pub struct Units {
    /// Clock ticks a second.
    pub ticks: f64,
    page: u64,
}

/// What a process has used and holds.
#[derive(Clone, Copy)]
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
    pub fn look(&self, pid: Pid) -> Option<Used> {
        procfs::stat(pid).ok().map(|stat| self.used(&stat))
    }

    /// The same, by its line there.
    pub fn used(&self, stat: &Stat) -> Used {
        Used { cpu: stat.ticks as f64 / self.ticks, rss: stat.rss.saturating_mul(self.page) }
    }
}
