//! One process of a watcher, and what is left of one that has ended.

use super::readiness::Liveness;
use super::respawn::Chain;
use super::time::Time;
use super::{Pid, Whom};
use crate::seldom::{Empty, Seldom};
use crate::signals;
pub use crate::signals::Exit;

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
            Exit::Signal(number) => format!("was killed by {}", signals::name(number)),
        }
    }
}

/// What becomes of a process, or of the members of a group without its leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of the variants are named for what they hold")]
pub enum Fate {
    /// It is left alone: it runs, or was not asked to end when it did. A group is until the watcher stops.
    #[default]
    Left,
    /// A group whose leader may have passed the signal on before it ended, so it is not asked a second time yet.
    Spared { signum: i32, ask_at: Time, kill_at: Time },
    /// It was sent `signum` and gets SIGKILL at `kill_at`.
    Asked { signum: i32, kill_at: Time },
    /// It was sent SIGKILL; circus waits until then for it to go.
    Killed { until: Time },
}

impl Fate {
    /// When something is due about it.
    pub(super) fn due(self) -> Option<Time> {
        match self {
            Fate::Left => None,
            Fate::Spared { ask_at: at, .. }
            | Fate::Asked { kill_at: at, .. }
            | Fate::Killed { until: at } => Some(at),
        }
    }

    /// When it gets SIGKILL.
    pub fn kill_at(self) -> Option<Time> {
        match self {
            Fate::Spared { kill_at, .. } | Fate::Asked { kill_at, .. } => Some(kill_at),
            Fate::Left | Fate::Killed { .. } => None,
        }
    }

    /// These seconds do not count: circus stood still, and could do nothing.
    pub(super) fn give_back(&mut self, seconds: f64) {
        if let Fate::Spared { ask_at, .. } = self {
            *ask_at = ask_at.plus(seconds);
        }
        match self {
            Fate::Left => {}
            Fate::Spared { kill_at: at, .. }
            | Fate::Asked { kill_at: at, .. }
            | Fate::Killed { until: at } => {
                *at = at.plus(seconds);
            }
        }
    }
}

/// Why a process did not become its program.
#[derive(Clone, Debug)]
pub(super) struct NotRun {
    pub(super) reason: Box<str>,
    /// The machine was short of something.
    pub(super) shortage: bool,
}

/// One process. It is in the table from its spawn until it is reaped.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Its number in the watcher, from 1; a successor may have the same.
    pub wid: u32,
    /// Its process id, which is its group's and its session's too.
    pub pid: Pid,
    /// When it was spawned.
    pub started: Time,
    /// Which start or reload of the watcher it belongs to.
    pub generation: u32,
    /// It counts as one of the processes that are wanted. A surplus one on its way out does not: its slot is free.
    holds_slot: bool,
    /// What is ended together with it; `None`: nothing.
    pub followers: Option<Whom>,
    /// What is to be said of few.
    pub(super) more: Seldom<More>,
}

/// What is to be said of few processes: of thousands that only run, nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct More {
    /// What happened in its slot before it.
    pub(super) chain: Chain,
    fate: Fate,
    /// The stop_signal that has asked it to end already.
    pub(super) had_stop_signal: Option<i32>,
    /// How it has ended, and what becomes of the rest of its group: it is a zombie about to be reaped.
    end: Option<(Exit, Fate)>,
    /// When it is too old, or too large.
    pub(super) expires: Option<Time>,
    /// It has too much memory, since it was so many seconds old.
    pub(super) too_large: Option<f64>,
    /// The kernel has probably ended it for want of memory.
    pub(super) oom: bool,
    /// It has ended before it became its program.
    pub(super) not_run: Option<Box<NotRun>>,
    /// How it does its work, if that is looked after.
    pub(super) liveness: Option<Box<Liveness>>,
}

impl Empty for More {
    const EMPTY: &'static Self = &More {
        chain: Chain::NONE,
        fate: Fate::Left,
        had_stop_signal: None,
        end: None,
        expires: None,
        too_large: None,
        oom: false,
        not_run: None,
        liveness: None,
    };
}

impl Process {
    /// One that has just been spawned, and runs.
    pub(super) fn new(wid: u32, pid: Pid, started: Time) -> Process {
        Process { wid, pid, started, holds_slot: true, ..Process::default() }
    }

    /// Whether it is asked to end, or killed; of one that has ended, whether it was.
    pub fn fate(&self) -> Fate {
        self.more.fate
    }

    /// How it has ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.more.end.map(|end| end.0)
    }

    /// What becomes of the rest of its group.
    pub(super) fn rest(&self) -> Fate {
        self.more.end.map_or(Fate::Left, |end| end.1)
    }

    /// Its fate, as long as it has not ended.
    pub(super) fn pending(&self) -> Fate {
        if self.more.end.is_none() { self.more.fate } else { Fate::Left }
    }

    /// When it gets SIGKILL.
    pub fn kill_at(&self) -> Option<Time> {
        self.pending().kill_at()
    }

    /// Whether it runs and was not asked to end.
    pub fn runs(&self) -> bool {
        self.more.end.is_none() && self.more.fate == Fate::Left
    }

    /// What it leaves behind in its slot if it had too much memory soon after its start.
    pub(super) fn after_growth(&self) -> Option<Chain> {
        self.more.chain.after_growth(self.more.too_large?)
    }

    pub(super) fn holds_slot(&self) -> bool {
        self.holds_slot
    }

    /// These seconds do not count: circus stood still, and could do nothing.
    pub(super) fn give_back(&mut self, seconds: f64) {
        self.more.get_mut().into_iter().for_each(|more| more.fate.give_back(seconds));
    }
}

/// The processes of a watcher, by wid. Of thousands, it is known at once how many run, and that none has a deadline.
#[derive(Debug, Default)]
pub(super) struct Processes {
    /// That with wid 1 first, and so on. A new one gets the lowest number that is free, so there are few gaps, and none
    /// has to move when one in the midst of thousands ends.
    table: Vec<Option<Process>>,
    len: u32,
    running: u32,
    holding: u32,
    /// No number from 1 up to this is free.
    taken_wids: u32,
    /// Some may grow too old, or are looked after.
    timed: bool,
}

impl Processes {
    pub(super) fn with_capacity(most: usize) -> Processes {
        Processes { table: Vec::with_capacity(most), ..Processes::default() }
    }

    /// Those that may have a deadline: all, or none.
    pub(super) fn timed(&self) -> impl Iterator<Item = &Process> {
        let any = self.timed || self.running < self.len;
        self.values().take(if any { usize::MAX } else { 0 })
    }

    /// How many run and were not asked to end.
    pub(super) fn running(&self) -> usize {
        self.running as usize
    }

    /// How many hold a slot.
    pub(super) fn holding(&self) -> usize {
        self.holding as usize
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Process> {
        self.table.iter().flatten()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.timed = true; // any of them may get a deadline
        self.each_mut()
    }

    /// To change what has nothing to do with whether they have a deadline.
    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.table.iter_mut().flatten()
    }

    /// Those that run and were not asked to end.
    pub(super) fn that_run(&self) -> impl Iterator<Item = &Process> {
        self.values().filter(|process| process.runs())
    }

    pub(super) fn get(&self, wid: u32) -> Option<&Process> {
        self.table.get(usize::try_from(wid).ok()?.checked_sub(1)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, wid: u32) -> Option<&mut Process> {
        place_of(&mut self.table, wid)?.as_mut()
    }

    /// The lowest number that is free.
    pub(super) fn free_wid(&mut self) -> u32 {
        let free = (self.taken_wids + 1..).find(|wid| self.get(*wid).is_none()).unwrap_or(u32::MAX);
        self.taken_wids = free - 1;
        free
    }

    pub(super) fn insert(&mut self, process: Process) {
        self.running += u32::from(process.runs());
        self.holding += u32::from(process.holds_slot);
        self.timed |= process.more.expires.is_some() || process.more.liveness.is_some();
        self.len += 1;
        let wid = process.wid;
        self.table.resize_with(self.table.len().max(wid as usize), || None);
        if let Some(place) = place_of(&mut self.table, wid) {
            *place = Some(process);
        }
    }

    pub(super) fn remove(&mut self, wid: u32) -> Option<Process> {
        let process = place_of(&mut self.table, wid)?.take()?;
        self.len -= 1;
        while let Some(None) = self.table.last() {
            self.table.pop();
        }
        self.taken_wids = self.taken_wids.min(wid.saturating_sub(1));
        self.running -= u32::from(process.runs());
        self.holding -= u32::from(process.holds_slot);
        Some(process)
    }

    /// A process is asked to end, or killed.
    pub(super) fn set_fate(&mut self, wid: u32, fate: Fate) {
        if let Some(Some(process)) = place_of(&mut self.table, wid) {
            self.running -= u32::from(process.runs());
            process.more.fate = fate;
        }
    }

    /// A process has ended; what becomes of the rest of its group.
    pub(super) fn set_end(&mut self, wid: u32, exit: Exit, rest: Fate) {
        if let Some(Some(process)) = place_of(&mut self.table, wid) {
            self.running -= u32::from(process.runs());
            process.more.end = Some((exit, rest));
        }
    }

    /// The slot of a process is free from now on.
    pub(super) fn release_slot(&mut self, wid: u32) {
        if let Some(Some(process)) = place_of(&mut self.table, wid) {
            self.holding -= u32::from(std::mem::take(&mut process.holds_slot));
        }
    }
}

/// Where the process with this wid stands.
fn place_of(table: &mut [Option<Process>], wid: u32) -> Option<&mut Option<Process>> {
    table.get_mut(usize::try_from(wid).ok()?.checked_sub(1)?)
}

/// Members of the group of a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remnant {
    /// The group's number: the pid of its leader, which is gone.
    pub pgid: Pid,
    /// What becomes of it.
    pub fate: Fate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_is_given_again() {
        let mut processes = Processes::default();
        for pid in 11..=13 {
            let wid = processes.free_wid();
            processes.insert(Process::new(wid, pid, Time(0)));
        }
        assert_eq!(processes.remove(2).map(|process| process.pid), Some(12));
        assert!(processes.get(2).is_none() && processes.remove(2).is_none());
        assert_eq!((processes.len(), processes.free_wid()), (2, 2));
        assert_eq!(processes.values().map(|process| process.wid).collect::<Vec<_>>(), [1, 3]);
        processes.remove(3);
        processes.insert(Process::new(2, 14, Time(0)));
        assert_eq!((processes.len(), processes.free_wid()), (2, 3));
        processes.remove(1);
        processes.remove(2);
        assert!(processes.is_empty() && processes.values().next().is_none());
    }

    #[test]
    fn time_that_is_given_back_makes_no_deadlines() {
        let mut processes = Processes::default();
        processes.insert(Process::new(1, 11, Time(0)));
        processes.each_mut().for_each(|process| process.give_back(1.0));
        assert_eq!(processes.timed().count(), 0);
        assert_eq!((processes.values_mut().count(), processes.timed().count()), (1, 1));
    }
}
