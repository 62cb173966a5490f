//! What a watcher is doing: it runs, with its slots and its reload, it is being stopped, or it has stopped. What
//! belongs to a run ends with it.

use super::Pid;
use super::exit_policy::Death;
use super::reload::Reload;
use super::request::Manner;
use super::respawn::Retry;
use super::time::Time;
use super::watcher::{Status, Watcher};
use crate::seldom::{Empty, Seldom};

/// What a watcher is doing, with what belongs to it.
#[derive(Debug, Default)]
pub(super) enum State {
    #[default]
    Stopped,
    /// It starts, or runs.
    Up {
        /// The start is over.
        active: bool,
        run: Seldom<Run>,
    },
    /// Its processes were asked to end; not yet when others have to stop first.
    Stopping { held_back: bool },
}

/// A start, and what comes of it.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Slots without a process, apart from those that are filled as soon as may be.
    pub(super) slots: Vec<Slot>,
    /// How the processes of the slots that stay empty have ended.
    pub(super) death: Option<Death>,
    /// Processes that are too old and wait for their successor.
    pub(super) replacing: Vec<u32>,
    pub(super) reload: Option<Reload>,
    /// How it is done.
    pub(super) manner: Manner,
    /// Another reload was asked for meanwhile.
    pub(super) next_reload: Option<Manner>,
}

/// A slot without a process. One that waits for nothing stays empty, since its process is not replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// It waits until this group has no members any more,
    pub(super) behind: Option<Pid>,
    /// and then for its next attempt.
    pub(super) retry: Option<Retry>,
}

/// Which process comes into the slot of one that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nobody,
    AtOnce,
    Later(Retry),
}

impl Empty for Run {
    const EMPTY: &'static Self = &Run {
        slots: Vec::new(),
        death: None,
        replacing: Vec::new(),
        reload: None,
        manner: Manner { sequential: false, soak: 0.0, surge: None, canary: None, deploys: false },
        next_reload: None,
    };
}

impl Next {
    pub(super) fn retry(self) -> Option<Retry> {
        match self {
            Next::Later(retry) => Some(retry),
            Next::AtOnce | Next::Nobody => None,
        }
    }
}

impl Slot {
    pub(super) fn is_behind(&self) -> bool {
        self.behind.is_some()
    }

    fn is_later(&self) -> bool {
        self.behind.is_none() && self.retry.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.behind.is_none() && self.retry.is_none()
    }

    /// It waits for a process of the generation before.
    pub(super) fn is_old(&self) -> bool {
        self.retry.is_some_and(|retry| retry.old)
    }
}

impl Run {
    /// The attempts that wait for their time.
    pub(super) fn retries(&self) -> impl Iterator<Item = &Retry> {
        self.slots.iter().filter(|slot| slot.is_later()).filter_map(|slot| slot.retry.as_ref())
    }

    /// Whether a slot has had a process that could not be started, and waits.
    pub(super) fn is_failing(&self) -> bool {
        self.slots.iter().any(|slot| slot.retry.is_some_and(|retry| retry.chain.failures > 0))
    }

    /// How many slots stay empty.
    pub(super) fn empty(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_empty()).count()
    }

    /// Takes out an attempt whose time has come.
    pub(super) fn take_due(&mut self, now: Time, which: fn(&Slot) -> bool) -> Option<Retry> {
        let is_due =
            |slot: &Slot| slot.is_later() && which(slot) && slot.retry.is_some_and(|retry| retry.at <= now);
        self.slots.remove(self.slots.iter().position(is_due)?).retry
    }

    /// Whether a slot waits for something.
    pub(super) fn is_waiting(&self) -> bool {
        !self.slots.iter().all(Slot::is_empty)
    }

    /// Whether a slot waits for the end of this group.
    pub(super) fn is_behind(&self, pgid: Pid) -> bool {
        self.slots.iter().any(|slot| slot.behind == Some(pgid))
    }

    /// The group of a process has no members any more.
    pub(super) fn group_is_empty(&mut self, pgid: Pid) {
        if let Some(at) = self.slots.iter().position(|slot| slot.behind == Some(pgid)) {
            let retry = self.slots.remove(at).retry;
            self.slots.extend(retry.map(|_| Slot { behind: None, retry }));
        }
    }

    /// No slot waits for the end of a pause any more.
    pub(super) fn forget_pauses(&mut self) {
        self.slots.retain(|slot| !slot.is_later());
        self.slots.iter_mut().for_each(|slot| slot.retry = None);
    }

    /// Every slot gets its process, whatever has been.
    pub(super) fn refill(&mut self) {
        self.forget_pauses();
        self.slots.retain(Slot::is_behind);
        self.death = None;
    }

    /// As many as `most` slots are needed no more: those that wait first, the last of them first.
    pub(super) fn trim(&mut self, most: usize) -> usize {
        let mut left = most;
        while let Some(at) = self.slots.iter().rposition(Slot::is_later).filter(|_| left > 0) {
            self.slots.remove(at);
            left -= 1;
        }
        for which in [Slot::is_behind, Slot::is_empty] {
            self.slots.retain(|slot| {
                let goes = left > 0 && which(slot);
                left -= usize::from(goes);
                !goes
            });
        }
        most - left
    }
}

impl Watcher {
    /// What it is doing.
    pub fn status(&self) -> Status {
        match &self.state {
            State::Stopped => Status::Stopped,
            State::Up { active: true, .. } => Status::Active,
            State::Up { active: false, .. } => Status::Starting,
            State::Stopping { .. } => Status::Stopping,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Its run; an empty one when it does not run.
    pub(super) fn run(&self) -> &Run {
        match &self.state {
            State::Up { run, .. } => run,
            State::Stopped | State::Stopping { .. } => Run::EMPTY,
        }
    }

    /// The same, to put something into it; nothing when it does not run.
    pub(super) fn run_mut(&mut self) -> Option<&mut Run> {
        match &mut self.state {
            State::Up { run, .. } => Some(run),
            State::Stopped | State::Stopping { .. } => None,
        }
    }

    /// What has been put into its run, to be changed.
    pub(super) fn held_run(&mut self) -> Option<&mut Run> {
        match &mut self.state {
            State::Up { run, .. } => run.get_mut(),
            State::Stopped | State::Stopping { .. } => None,
        }
    }

    /// While it runs, a slot may have its next process now, or after its pause.
    pub(super) fn free(&mut self, next: Next) {
        let slot = next.retry().map(|retry| Slot { behind: None, retry: Some(retry) });
        if let Some(slot) = slot
            && let Some(run) = self.run_mut()
        {
            run.slots.push(slot);
        }
    }

    /// It is being stopped, but others have to stop first.
    pub(super) fn is_held_back(&self) -> bool {
        matches!(self.state, State::Stopping { held_back: true })
    }
}
