//! How what happens to a watcher is noted and counted.
//!
//! What repeats itself is one change with a count, so that a crash loop does not push out why the watcher runs.
//! Memory is taken when something happens: a watcher that has only been started has one entry.

use super::Event;
use super::history::{Cause, Change, Counts, History, Restart, Standing, What};
use super::process::Exit;
use super::time::Time;
use super::watcher::Status;
use std::rc::Rc;

/// How many changes are kept.
pub const KEPT: usize = 32;

impl Cause {
    /// What an event is the cause of; `None`: the cause of what came right before.
    pub(super) fn of(event: &Event) -> Option<Cause> {
        Some(match event {
            // Files are read because of an order.
            #[cfg(feature = "reloadconfig")]
            Event::Read { .. } => return None,
            Event::Start => Cause::Boot,
            Event::Order { by, .. } => Cause::Order(Rc::clone(by)),
            Event::Terminate | Event::Reload => Cause::Signal,
            Event::SocketReady { .. } => Cause::Demand,
            Event::Exited { .. } | Event::Reaped { .. } => Cause::Ended,
            Event::SpawnFailed { .. } => Cause::SpawnFailed,
            Event::HookDone { .. } | Event::HookDelayed { .. } => Cause::Hook,
            Event::Spawned { .. }
            | Event::NeverRan { .. }
            | Event::OutOfMemory { .. }
            | Event::Detached { .. }
            | Event::Noticed { .. }
            | Event::TooLarge { .. }
            | Event::GroupEmpty { .. }
            | Event::SocketsWatched { .. }
            | Event::Overslept { .. }
            | Event::Tick => Cause::Course,
        })
    }

    /// It comes from outside, and is why a watcher goes where it goes until another such cause comes.
    fn is_foreign(&self) -> bool {
        match self {
            Cause::Course | Cause::Ended | Cause::SpawnFailed | Cause::Hook => false,
            Cause::Unready | Cause::Requirement => false,
            Cause::Boot | Cause::Order(_) | Cause::Signal | Cause::Demand | Cause::Critical => true,
        }
    }
}

impl What {
    /// Whether another one just like it has happened; processes are told apart by their ends only.
    fn repeats(&self, other: &What) -> bool {
        match self {
            What::Ended { exit: one, oom: by, .. } => {
                matches!(other, What::Ended { exit, oom, .. } if (exit, oom) == (one, by))
            }
            What::Ailing { why: one, .. } => matches!(other, What::Ailing { why, .. } if why == one),
            What::TooOld { .. } => matches!(other, What::TooOld { .. }),
            What::TooLarge { .. } => matches!(other, What::TooLarge { .. }),
            What::SpawnFailed(_) | What::Ordered | What::Advice(_) => self == other,
            What::Status(_) | What::Reloading | What::Reloaded | What::NotReloaded(_) => false,
            What::Killed { .. } | What::Survives { .. } => false,
        }
    }
}

impl History {
    /// Notes that it is to be started in its turn.
    pub(super) fn expect(&mut self, cause: &Cause) {
        self.cause = cause.clone();
    }

    /// Notes a change that the course of things has brought.
    pub(super) fn note(&mut self, at: Time, what: What) {
        self.push(at, what, Cause::Course);
    }

    /// Notes what an event has changed: from one `Standing` to another, because of `cause`.
    pub(super) fn compare(&mut self, at: Time, before: Standing, after: Standing, cause: &Cause) {
        let moved = before.status != after.status;
        let ran = matches!(before.status, Status::Starting | Status::Active);
        let gave_up = ran && moved && matches!(after.status, Status::Stopping | Status::Stopped);
        let own = |standing: Standing| (standing.status, standing.up, standing.queued, standing.reloading);
        let turned = own(before) != own(after);
        let counts = if cause.is_foreign() { turned } else { gave_up && *cause != Cause::Course };
        if counts {
            self.cause = cause.clone();
        }
        let began = !before.reloading && after.reloading;
        let ended = before.reloading && !after.reloading && after.status == Status::Active;
        if moved {
            self.status(at, after.status);
        } else if began {
            self.push(at, What::Reloading, cause.clone());
        } else if ended && !self.changes.back().is_some_and(|last| matches!(last.what, What::NotReloaded(_)))
        {
            self.note(at, What::Reloaded);
        } else if let Cause::Order(_) = cause {
            self.push(at, What::Ordered, cause.clone());
        }
    }

    /// A start or a stop is one change when it is over.
    fn status(&mut self, at: Time, status: Status) {
        let under_way = |change: &&mut Change| {
            matches!(change.what, What::Status(Status::Starting | Status::Stopping))
                && change.cause == self.cause
        };
        match self.changes.back_mut().filter(under_way) {
            Some(last) => (last.at, last.what) = (at, What::Status(status)),
            None => self.push(at, What::Status(status), self.cause.clone()),
        }
    }

    fn push(&mut self, at: Time, what: What, cause: Cause) {
        let same = |last: &&mut Change| what.repeats(&last.what) && cause == last.cause;
        if let Some(last) = self.changes.back_mut().filter(same) {
            (last.at, last.what, last.times) = (at, what, last.times.saturating_add(1));
            return;
        }
        if self.changes.len() >= KEPT {
            self.changes.pop_front();
        } else if self.changes.is_empty() {
            self.changes.reserve_exact(1);
        }
        self.changes.push_back(Change { at, times: 1, what, cause });
    }

    fn count(&mut self) -> &mut Counts {
        self.counts.get_or_insert_default()
    }

    /// Counts so many replacements.
    pub(super) fn count_restarts(&mut self, why: Restart, more: usize) {
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        if let Some(count) = self.count().restarts.get_mut(why as usize).filter(|_| more > 0) {
            *count = count.saturating_add(more);
        }
    }

    /// Counts the end of a process.
    pub(super) fn count_exit(&mut self, exit: Exit) {
        let code = i16::try_from(exit.code()).unwrap_or(i16::MAX);
        let count = self.count().exits.get_or_insert_with(code, || 0);
        *count = count.saturating_add(1);
    }

    /// Notes and counts a failure to execute a process; whether it was another one before.
    pub(super) fn note_failure(&mut self, at: Time, reason: &str) -> bool {
        let failures = &mut self.count().failures;
        *failures = failures.saturating_add(1);
        self.note(at, What::SpawnFailed(reason.into()));
        self.changes.back().is_none_or(|last| last.times == 1)
    }
}

#[cfg(test)]
impl History {
    /// What must hold at all times.
    pub(super) fn check(&self, status: Status) {
        assert!(self.changes.len() <= KEPT);
        match self.last_status().map(|change| &change.what) {
            Some(What::Status(last)) => assert_eq!(*last, status, "{:?}", self.changes),
            _ => assert!(status == Status::Stopped || self.changes.len() == KEPT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pid;
    use super::*;

    fn death(pid: Pid, code: i32) -> What {
        What::Ended { pid, wid: 1, exit: Exit::Code(code), oom: false, lived: 5 }
    }

    #[test]
    fn what_repeats_itself_is_one_change() {
        let mut history = History::default();
        for n in 0..100 {
            history.note(Time(n), death(n as Pid, 1));
        }
        history.note(Time(100), death(100, 2));
        let seen: Vec<_> = history.changes().map(|change| (change.at.0, change.times)).collect();
        assert_eq!(seen, [(99, 100), (100, 1)]);
    }

    #[test]
    fn no_more_than_so_many_are_kept() {
        let mut history = History::default();
        for n in 0..1000 {
            history.note(Time(n), death(1, n as i32 % 2));
            history.note_failure(Time(n), "no such file");
        }
        assert_eq!((history.changes().count(), history.changes.capacity()), (KEPT, KEPT));
        assert_eq!(history.counts().map(|counts| counts.failures), Some(1000));
    }

    #[test]
    fn a_watcher_that_has_only_been_started_takes_little() {
        let mut history = History::default();
        let standing = |status| Standing { status, up: true, ..Standing::default() };
        history.expect(&Cause::Boot);
        history.compare(Time(1), standing(Status::Stopped), standing(Status::Starting), &Cause::Course);
        history.compare(Time(2), standing(Status::Starting), standing(Status::Active), &Cause::Course);
        assert_eq!((history.changes.len(), history.changes.capacity()), (1, 1));
        assert_eq!((history.counts(), &history.cause), (None, &Cause::Boot));
        assert!(size_of::<History>() + size_of::<Change>() <= 200);
    }
}
