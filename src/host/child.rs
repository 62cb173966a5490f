//! The one place in which circus makes processes of its own.

use crate::arbiter::Pid;
use crate::sorted::Sorted;
use crate::sys::child::{Child, SpawnError, Spawner};

/// Makes children, and knows the groups that have outlived them.
pub struct Host {
    pub(super) spawner: Spawner,
    /// Groups that have outlived their leaders.
    pub(super) groups: Sorted<Pid, ()>,
}

impl Host {
    /// Nothing is made yet.
    pub fn new(spawner: Spawner) -> Host {
        Host { spawner, groups: Sorted::new() }
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

/// A child of circus that leads its group and was not reaped: drop it when it is a zombie at the latest. Until then its
/// number is its own.
pub struct Leader(Pid);

impl Leader {
    /// Its number.
    pub fn pid(&self) -> Pid {
        self.0
    }
}
