//! `on_demand`: a watcher that starts when one of its sockets is used.
//!
//! Such a watcher is stopped while its goal is up: the daemon looks at its sockets, accepts nothing, and says once
//! that there is something to do. When its processes have ended by themselves it waits again. A connection that nobody
//! accepts would start it again at once, for ever: when the processes did not live long, the next wait begins later
//! and later, as it is with the respawns of other watchers.

use super::context::Cx;
use super::process::Process;
use super::respawn::{Backoff, Chain};
use super::time::Time;
use super::watcher::{Goal, Prerequisites, Status, Watcher};
use super::{Action, Level};

/// Where a watcher with `on_demand` is between two starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Look {
    /// Its sockets are not looked at.
    #[default]
    Away,
    /// The daemon was asked to look.
    Asked,
    /// It looks, since then.
    Since(Time),
    /// One of the sockets is used.
    Seen,
}

/// What `on_demand` needs to remember.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand {
    pub(super) look: Look,
    /// How the processes of the last start fared.
    chain: Chain,
    /// The sockets are not looked at before.
    not_before: Time,
}

impl Demand {
    pub(super) const NONE: Demand = Demand { look: Look::Away, chain: Chain::NONE, not_before: Time(0) };
}

impl Watcher {
    /// Whether a watcher that is to run may start now, or has to wait for its sockets first.
    pub(super) fn may_start(&mut self, cx: &mut Cx) -> bool {
        if !self.config.options.on_demand {
            self.look_away(cx);
            return true;
        }
        match self.prerequisites.demand.look {
            Look::Seen => {
                self.prerequisites.demand.look = Look::Away;
                true
            }
            Look::Away if self.prerequisites.demand.not_before <= cx.now => {
                self.prerequisites.demand.look = Look::Asked;
                cx.act(Action::WatchSockets(self.id));
                false
            }
            Look::Away | Look::Asked | Look::Since(_) => false,
        }
    }

    /// It is not to start any more, whatever comes to its sockets.
    pub(super) fn look_away(&mut self, cx: &mut Cx) {
        match self.prerequisites.demand.look {
            Look::Away => return,
            Look::Asked | Look::Since(_) => cx.act(Action::UnwatchSockets(self.id)),
            Look::Seen => {}
        }
        self.prerequisites.demand.look = Look::Away;
    }

    /// The daemon looks at the sockets, or says why it cannot.
    pub(super) fn sockets_watched(&mut self, result: Result<(), String>, cx: &mut Cx) {
        let name = &self.config.name;
        match (self.prerequisites.demand.look, result) {
            (Look::Away | Look::Seen, _) | (Look::Since(_), Ok(())) => {}
            (Look::Asked, Ok(())) => {
                self.prerequisites.demand.look = Look::Since(cx.now);
                cx.log(Level::Info, format!("{name} waits for its sockets"));
            }
            // It may have waited: its options have changed meanwhile, and it waits for other sockets now.
            (Look::Asked | Look::Since(_), Err(reason)) => {
                self.prerequisites.demand.look = Look::Away;
                cx.log(Level::Error, format!("{name}: cannot wait for its sockets: {reason}"));
                self.failed_for_good(reason, cx);
            }
        }
    }

    /// Something has come to one of the sockets. The daemon does not look any more.
    pub(super) fn socket_ready(&mut self, cx: &mut Cx) {
        let stable = Backoff::of(&self.config).stable;
        match self.prerequisites.demand.look {
            Look::Since(since) if cx.now.since(since) >= stable => {
                self.prerequisites.demand.chain = Chain::default()
            }
            Look::Asked | Look::Since(_) => {}
            Look::Away | Look::Seen => return,
        }
        self.prerequisites.demand.look = Look::Seen;
    }

    /// A process has ended by itself. It is not replaced; its life says how soon the sockets are looked at again.
    pub(super) fn note_for_demand(&mut self, process: &Process, cx: &mut Cx) {
        let backoff = Backoff::of(&self.config);
        self.prerequisites.demand.chain =
            match process.more.chain.after_exit(cx.now.since(process.started), &backoff) {
                Some(chain) if chain.bad < self.prerequisites.demand.chain.bad => {
                    self.prerequisites.demand.chain
                }
                Some(chain) => chain,
                None => Chain::default(),
            };
        let chain = self.prerequisites.demand.chain;
        let delay = if chain.bad > 0 { backoff.delay(chain, &mut cx.random) } else { 0.0 };
        self.prerequisites.demand.not_before = cx.now.plus(delay);
    }

    /// What comes before a process in an empty slot: with `on_demand`, how those of the last start fared.
    pub(super) fn first_chain(&self) -> Chain {
        if self.config.options.on_demand { self.prerequisites.demand.chain } else { Chain::default() }
    }

    /// It is to wait from now on, whatever has been.
    pub(super) fn forget_demand(&mut self) {
        if let Some(Prerequisites { demand, .. }) = self.prerequisites.get_mut() {
            (demand.chain, demand.not_before) = (Chain::default(), Time(0));
        }
    }

    /// It has stopped and waits for its sockets, or will in a moment.
    pub fn waits_for_demand(&self) -> bool {
        let settled = match self.prerequisites.demand.look {
            Look::Since(_) => true,
            Look::Away => self.prerequisites.demand.not_before > Time(0),
            Look::Asked | Look::Seen => false,
        };
        self.config.options.on_demand && self.status() == Status::Stopped && self.goal == Goal::Up && settled
    }

    /// When the sockets are to be looked at again.
    pub(super) fn demand_deadline(&self) -> Option<Time> {
        let rests = self.config.options.on_demand
            && self.status() == Status::Stopped
            && self.goal == Goal::Up
            && self.prerequisites.demand.look == Look::Away
            && self.prerequisites.dependency.waits.is_none();
        rests.then_some(self.prerequisites.demand.not_before)
    }
}
