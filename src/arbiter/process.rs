//! One process of a watcher, and what is left of one that has ended.

use super::pulse::Pulse;
use super::respawn::{Chain, Retry};
use super::time::Time;
use super::{Pid, Whom};
use crate::signals;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// As Circus publishes it: the code, or the signal's number below zero.
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(number) => -number,
        }
    }

    /// In words that go on behind the name of the process.
    pub fn words(self) -> String {
        match self {
            Exit::Code(code) => format!("exited with code {code}"),
            Exit::Signal(number) => format!("was ended by {}", signals::name(number)),
        }
    }
}

/// Where a process is in its life. It is in the table from its spawn until it is reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It runs.
    Running,
    /// It was sent `signum` and gets SIGKILL at `kill_at`.
    Asked {
        /// The signal that asked it to end.
        signum: i32,
        /// When its patience ends.
        kill_at: Time,
    },
    /// It and its group were sent SIGKILL; circus waits until then for it to go.
    Killed {
        /// When it is given up.
        until: Time,
    },
    /// It is a zombie about to be reaped.
    Dead {
        /// It was asked to end, or killed; else it ended by itself.
        asked: bool,
        /// How it ended.
        exit: Exit,
        /// What becomes of the rest of its group.
        rest: Fate,
    },
}

/// Why a process did not become its program.
#[derive(Clone, Debug)]
pub(super) struct NotRun {
    pub(super) reason: Box<str>,
    /// The machine was short of something.
    pub(super) shortage: bool,
}

/// One process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its number in the watcher, from 1; a successor may have the same.
    pub wid: u32,
    /// Its process id, which is its group's and its session's too.
    pub pid: Pid,
    /// When it was spawned.
    pub started: Time,
    /// Which start or reload of the watcher it belongs to.
    pub generation: u32,
    /// Where it is in its life.
    pub phase: Phase,
    /// It counts as one of the processes that are wanted. A surplus one on its way out does not: its slot is free.
    pub holds_slot: bool,
    /// What happened in its slot before it.
    pub chain: Chain,
    /// When it is too old.
    pub expires: Option<Time>,
    /// The kernel has probably ended it for want of memory.
    pub oom: bool,
    /// It has ended before it became its program.
    pub(super) not_run: Option<NotRun>,
    /// Who is ended together with it; `None`: nobody.
    pub followers: Option<Whom>,
    /// How it does its work, if somebody looks after that.
    pub(super) pulse: Option<Box<Pulse>>,
}

/// Members of the group of a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remnant {
    /// The group's number: the pid of its leader, which is gone.
    pub pgid: Pid,
    /// What becomes of it.
    pub fate: Fate,
    /// The slot of its leader, whose next process waits until the group is empty.
    pub slot: Option<Slot>,
}

/// A slot whose process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The next process may start at once.
    Free,
    /// It has to wait.
    Later(Retry),
}

/// What becomes of the members of a group without its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are left alone until the watcher stops.
    Left,
    /// Their leader may have passed the signal on before it ended, so they are not asked a second time yet.
    Spared {
        /// The signal.
        signum: i32,
        /// When they are asked after all.
        ask_at: Time,
        /// When they get SIGKILL.
        kill_at: Time,
    },
    /// They were asked to end and get SIGKILL then.
    Asked(Time),
    /// They got SIGKILL; circus waits until then for them to go.
    Killed(Time),
}
