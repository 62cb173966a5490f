//! What the arbiter tells people: events for subscribers, and how important a line of the log is.
#![allow(missing_docs, reason = "the fields of the variants are named for what they hold")]

use super::Pid;
use super::process::Exit;
use crate::config::hooks::Hook;

/// An event of a watcher, as subscribers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// A process was spawned.
    Spawn { pid: Pid },
    /// A process was asked to end, or killed.
    Kill { pid: Pid },
    /// A process has ended.
    Reap { pid: Pid, exit: Exit, oom: bool },
    /// A process is ready, in a watcher that has `ready`.
    Ready { pid: Pid },
    /// A process does not do its work and is ended.
    Unhealthy { pid: Pid, reason: String },
    /// The watcher is active.
    Start,
    /// The watcher has stopped.
    Stop,
    /// The watcher was reloaded.
    Reload,
    /// An option was set.
    Updated,
    /// The watcher was added.
    Add,
    /// The watcher is removed.
    Remove,
    /// A hook has answered, whatever the answer is.
    HookSuccess { hook: Hook },
    /// A hook could not answer, or refused as a program refuses.
    HookFailure { hook: Hook, error: String },
}

impl Published {
    /// Circus's name of the event.
    pub fn name(&self) -> &'static str {
        match self {
            Published::Spawn { .. } => "spawn",
            Published::Kill { .. } => "kill",
            Published::Reap { .. } => "reap",
            Published::Ready { .. } => "ready",
            Published::Unhealthy { .. } => "unhealthy",
            Published::Start => "start",
            Published::Stop => "stop",
            Published::Reload => "reload",
            Published::Updated => "updated",
            Published::Add => "add",
            Published::Remove => "remove",
            Published::HookSuccess { .. } => "hook_success",
            Published::HookFailure { .. } => "hook_failure",
        }
    }
}

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the search for a fault.
    Debug,
    /// What happens.
    Info,
    /// What should not happen.
    Warning,
    /// What stops something.
    Error,
    /// What stops everything.
    Critical,
}

impl Level {
    /// The level with this name, in any case.
    pub fn from_name(name: &str) -> Option<Level> {
        let all = [Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Critical];
        all.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }

    /// The name, as it stands in the log.
    pub fn name(self) -> &'static str {
        match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
            Level::Critical => "CRITICAL",
        }
    }
}
