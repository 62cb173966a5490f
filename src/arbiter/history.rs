//! What has happened to a watcher, and by whom: the last changes and how its processes have ended, for `why`, `status`
//! and the metrics. It is written in record.rs.
#![allow(missing_docs, reason = "the fields of the variants are named for what they hold")]

use super::Pid;
use super::process::Exit;
use super::time::Time;
use super::watcher::Status;
use crate::sorted::Sorted;
use std::collections::VecDeque;
use std::rc::Rc;

/// Where an order came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The name of the command.
    pub order: &'static str,
    /// The user; `None` when nobody knows.
    pub uid: Option<u32>,
    /// The process; `None` when nobody knows, or when it is circus itself.
    pub pid: Option<Pid>,
    /// Its command line, or the name of the plugin.
    pub client: String,
}

/// What has led to a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// What was under way goes on.
    #[default]
    Course,
    /// circus was started.
    Boot,
    /// A client's order.
    Order(Rc<Origin>),
    /// A signal to circus.
    Signal,
    /// Something has come to a socket of the watcher.
    Demand,
    /// Its processes have ended and are not replaced.
    Ended,
    /// A process could not be executed.
    SpawnFailed,
    /// A hook has said no.
    Hook,
    /// Its processes did not become ready.
    Unready,
    /// A critical watcher has ended, and circus ends with it.
    Critical,
    /// A watcher that it requires does not run.
    Requirement,
}

/// What to do about something that programs do and their users do not expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The program has gone into the background.
    Background,
    /// A new process ended at once while an old one ran.
    Port,
}

impl Advice {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Advice::Background => {
                "the program goes into the background: a process exited with code 0 at once and left others behind, and \
                 circus starts it again and again; keep it in the foreground, as with `daemon off;` (nginx), \
                 `--daemonize no` (redis), `-F`, `-f` or `--foreground`"
            }
            Advice::Port => {
                "a new process exited at once while an old one was running; if both bind the same port, reload with \
                 `--sequential`, let circus bind it by a [socket:NAME], or set `reload_signal`"
            }
        }
    }
}

/// A change.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// It is in this state now.
    Status(Status),
    /// A reload has begun.
    Reloading,
    /// The reload is over.
    Reloaded,
    /// The reload was given up, because of this.
    NotReloaded(Box<str>),
    /// An order that changes neither state nor processes at once.
    Ordered,
    /// A process has ended that had not been asked to.
    Ended { pid: Pid, wid: u32, exit: Exit, oom: bool, lived: u64 },
    /// A process had to be killed: it did not end when it was asked to.
    Killed { pid: Pid, wid: u32 },
    /// A process did not end even by SIGKILL.
    Survives { pid: Pid, wid: u32 },
    /// A process has reached its max_age.
    TooOld { pid: Pid, wid: u32 },
    /// A process has more memory than its max_rss.
    TooLarge { pid: Pid, wid: u32 },
    /// A process does not do its work and is ended, because of this.
    Ailing { pid: Pid, wid: u32, why: Box<str> },
    /// A process could not be executed, because of this.
    SpawnFailed(Box<str>),
    /// The program does something that needs another configuration.
    Advice(Advice),
}

/// Why a process was replaced, or ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// It returned.
    Exit,
    /// A signal ended it that circus has not sent.
    Signal,
    /// The kernel has probably ended it for want of memory.
    OutOfMemory,
    /// It was too old.
    MaxAge,
    /// A reload.
    Reload,
    /// An order to restart or to kill.
    Command,
    /// It was not ready in time.
    Unready,
    /// It has failed too many health probes.
    Health,
    /// It has been silent for too long.
    Watchdog,
    /// It had too much memory.
    Memory,
}

impl Restart {
    /// Why a process is replaced that has ended by itself.
    pub(super) fn after(exit: Exit, oom: bool) -> Restart {
        match (exit, oom) {
            (_, true) => Restart::OutOfMemory,
            (Exit::Signal(_), false) => Restart::Signal,
            (Exit::Code(_), false) => Restart::Exit,
        }
    }

    /// All of them, in the order of `Counts::restarts`.
    pub const ALL: [(Restart, &'static str); 10] = [
        (Restart::Exit, "exit"),
        (Restart::Signal, "signal"),
        (Restart::OutOfMemory, "oom"),
        (Restart::MaxAge, "max_age"),
        (Restart::Reload, "reload"),
        (Restart::Command, "command"),
        (Restart::Unready, "ready"),
        (Restart::Health, "health"),
        (Restart::Watchdog, "watchdog"),
        (Restart::Memory, "memory"),
    ];
}

/// Where a watcher stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) status: Status,
    /// It is to run.
    pub(super) up: bool,
    /// It is to be started in its turn.
    pub(super) queued: bool,
    pub(super) reloading: bool,
    /// Those that require it can run; it waits for what is not being started; it cannot be started, for now.
    pub(super) is_there: bool,
    pub(super) waits_in_vain: bool,
    pub(super) is_hopeless: bool,
    /// It has stopped by itself, for a reason that is told to those that require it.
    pub(super) has_failed: bool,
    /// It has ended by itself, and how.
    pub(super) ended: Option<bool>,
}

/// A change, when it was, and what led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When; the last time, if it has repeated itself.
    pub at: Time,
    /// How often it came in a row.
    pub times: u32,
    /// What has changed.
    pub what: What,
    /// What led to it.
    pub cause: Cause,
}

/// How often something has happened since circus was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub(super) restarts: [u32; Restart::ALL.len()],
    /// Ends of processes, asked for or not, by code; a signal's number is negative.
    pub exits: Sorted<i16, u32>,
    /// Processes that could not be executed.
    pub failures: u32,
}

/// What has happened to a watcher.
#[derive(Debug, Default)]
pub struct History {
    pub(super) changes: VecDeque<Change>,
    /// What brought it where it is, or where it goes.
    pub(super) cause: Cause,
    pub(super) counts: Option<Box<Counts>>,
}

impl History {
    /// The last changes, the oldest first.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.changes.iter()
    }

    /// The last change of its state.
    pub fn last_status(&self) -> Option<&Change> {
        self.changes().rev().find(|change| matches!(change.what, What::Status(_)))
    }

    /// How often processes were replaced for this reason.
    pub fn restarts(&self, why: Restart) -> u32 {
        self.counts.as_ref().and_then(|counts| counts.restarts.get(why as usize).copied()).unwrap_or(0)
    }

    /// How often processes were replaced that had ended by themselves.
    pub fn deaths(&self) -> u32 {
        let unasked = [Restart::Exit, Restart::Signal, Restart::OutOfMemory];
        unasked.map(|why| self.restarts(why)).into_iter().fold(0, u32::saturating_add)
    }

    /// What was counted, if anything.
    pub fn counts(&self) -> Option<&Counts> {
        self.counts.as_deref()
    }
}
