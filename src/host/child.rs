//! The one place in which circus makes processes of its own.

use crate::arbiter::Pid;
use crate::sorted::Sorted;
use crate::sys::child::{Child, SpawnError, Spawner};
#[cfg(feature = "run")]
use crate::sys::child::{Mask, Step};
use crate::sys::limit::Limit;
use std::io;

/// Makes children, and knows the groups that have outlived them.
pub struct Host {
    pub(super) spawner: Spawner,
    /// Groups that have outlived their leaders.
    pub(super) groups: Sorted<Pid, ()>,
}

impl Host {
    /// Nothing is made yet. Children get back this limit on descriptors.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(original_nofile: Option<Limit>) -> io::Result<Host> {
        let mut spawner = Spawner::new()?;
        spawner.original_nofile = original_nofile;
        Ok(Host { spawner, groups: Sorted::new() })
    }

    /// Makes a child.
    ///
    /// # Errors
    /// Why there is none.
    pub fn spawn(&mut self, child: &Child) -> Result<Leader, SpawnError> {
        let pid = self.spawner.spawn(child)?;
        // A group of this number is over, else the child could not have it.
        self.groups.remove(&pid);
        Ok(Leader(pid))
    }
}

/// Makes the only child that there will be, which inherits everything. With its number comes which of its marks circus
/// had itself when they were sent.
///
/// # Errors
/// Why there is none.
#[cfg(feature = "run")]
pub fn spawn_alone(child: &Child) -> Result<(Pid, Mask), SpawnError> {
    let failed = |error: io::Error| SpawnError::new(Step::Clone, error.raw_os_error().unwrap_or(0));
    let mut spawner = Spawner::passing_on().map_err(failed)?;
    Ok((spawner.spawn(child)?, spawner.had()))
}

/// A child of circus that leads its group and was not reaped: drop it when it is a zombie at the latest. Until then its
/// number is its own.
pub struct Leader(Pid);

impl Leader {
    /// Its number.
    pub fn pid(&self) -> Pid {
        self.0
    }
}
