//! The one place in which circus makes processes of its own.

use crate::arbiter::Pid;
use crate::control::mark::{Identity, MARK, Mark};
use crate::sorted::Sorted;
use crate::sys::child::{Child, SpawnError, Spawner};
#[cfg(feature = "run")]
use crate::sys::child::{Mask, Step};
use crate::sys::limit::Limit;
use std::ffi::CString;
use std::io;

/// Makes children, and knows the groups that have outlived them.
pub struct Host {
    pub(super) spawner: Spawner,
    /// Groups that have outlived their leaders.
    pub(super) groups: Sorted<Pid, ()>,
    /// Who circus is, as all that comes from it has it in its environment, and how many processes it has marked.
    pub(super) identity: Identity,
    marked: u64,
}

impl Host {
    /// Nothing is made yet. Children get back this limit on descriptors, and bear the mark of this circus.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(original_nofile: Option<Limit>, identity: Identity) -> io::Result<Host> {
        let mut spawner = Spawner::new()?;
        spawner.original_nofile = original_nofile;
        Ok(Host { spawner, groups: Sorted::new(), identity, marked: 0 })
    }

    /// Marks a child that is about to be made, so that what comes from it is known, whatever session it is in and whoever
    /// its parent has become.
    pub fn mark(&mut self, child: &mut Child) -> Mark {
        self.marked += 1;
        let mark = Mark { circus: self.identity, number: self.marked };
        // Without a null character in it, it always is one.
        let variable = CString::new(format!("{MARK}{mark}")).unwrap_or_default();
        // It takes the place of the mark of the process before, or of that of a circus that has started this one. At
        // the beginning it is found however large the environment is.
        child.env.retain(|variable| !variable.as_bytes().starts_with(MARK.as_bytes()));
        child.env.insert(0, variable);
        mark
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
