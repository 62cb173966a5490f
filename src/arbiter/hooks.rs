//! What hooks are asked, and what hangs on their answers. They are run in calls.rs.
//!
//! Which hooks of a watcher run, and what hangs on each answer (`Then`), is the table of its `Call`s. A call has a
//! number of its own: an answer that comes after the call was given up finds nothing to decide, least of all about
//! another process.

use super::process::Exit;
use super::time::Time;
use super::watcher::Watcher;
use super::{Pid, Whom};
use crate::config::hooks::Hook;
use crate::seldom::Empty;
use crate::sorted::Sorted;

/// The most hooks of one watcher that run, or wait for their turn, when nothing hangs on their answers.
pub(super) const MOST_CALLS: usize = 10_000;

/// Stands for one run of a hook; never used again for another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId(pub u64);

/// What a hook is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The process.
    pub pid: Option<Pid>,
    /// The signal.
    pub signum: Option<i32>,
    /// How the process ended.
    pub exit: Option<Exit>,
    /// circus had asked the process to end.
    pub asked: bool,
}

impl About {
    /// About this process.
    pub(super) fn of(pid: Pid) -> About {
        About { pid: Some(pid), ..About::default() }
    }
}

/// What became of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It agrees.
    Yes,
    /// It does not: a Python function returned something that is not true.
    No,
    /// It does not, or could not do its work: a program exited with another code than 0.
    Refused(String),
    /// It could not answer: it could not be run, crashed, raised an exception, or took too long.
    Failed(String),
}

/// What hangs on the answer of a hook.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Then {
    /// before_start: whether processes are spawned.
    Begin,
    /// after_start: whether the watcher is active.
    Activate,
    /// before_spawn: whether the process is spawned.
    Spawn,
    /// after_spawn: whether the process stays.
    Keep,
    /// before_stop: then the processes are asked to end.
    Stop,
    /// after_stop: then the watcher has stopped.
    Rest,
    /// before_signal: whether a process is asked to end; it gets SIGKILL `timeout` seconds after the answer.
    Ask { wid: u32, pid: Pid, signum: i32, timeout: f64 },
    /// before_signal: whether a client's signal is sent.
    Signal { pid: Pid, signum: i32, whom: Whom },
    /// before_reap: then after_reap is told.
    Reaped(About),
    /// stop_command: whether the process needs no signal.
    Stopped { wid: u32, pid: Pid },
    /// reload_command: then that of the next process.
    Reloaded { pid: Pid },
    /// A question about how a process does its work.
    Probed { wid: u32, pid: Pid },
    /// Nothing.
    Nothing,
}

/// The hooks of a watcher.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    /// Those that run.
    pub(super) calls: Sorted<HookId, Call>,
    /// None is run any more.
    pub(super) hurried: bool,
}

impl Empty for Hooks {
    const EMPTY: &'static Self = &Hooks { calls: Sorted::new(), hurried: false };
}

/// A hook that runs.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) hook: Hook,
    /// Its failures count as agreement.
    pub(super) lenient: bool,
    pub(super) deadline: Time,
    pub(super) then: Then,
}

impl Watcher {
    /// Whether a hook runs on which this hangs.
    pub(super) fn waits_for(&self, then: Then) -> bool {
        self.hooks.calls.values().any(|call| call.then == then)
    }

    /// When the first hook has taken too long.
    pub(super) fn hook_deadline(&self) -> Option<Time> {
        self.hooks.calls.values().map(|call| call.deadline).min()
    }
}
