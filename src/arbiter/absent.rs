//! What a build does in the place of the files that it leaves out: nothing, or as little as may be.
#![allow(unused_imports, reason = "each build leaves out other files")]

use super::context::Cx;
use super::history::{Cause, Change, History, Restart, Standing, What};
use super::hooks::{About, Answer, HookId, Then};
use super::orders::Wait;
use super::process::{Exit, Process};
use super::readiness::{Liveness, Notice};
use super::request::Reply;
use super::respawn::Chain;
use super::time::Time;
use super::watcher::Watcher;
use super::{Arbiter, Event, Pid, WatcherId};
use crate::config::WatcherConfig;
use crate::config::hooks::Hook;
use std::collections::VecDeque;

/// No watcher depends on another.
#[cfg(not(feature = "dependencies"))]
pub(super) mod dependencies {
    use super::*;

    #[derive(Debug, Default)]
    pub(in crate::arbiter) struct Dependencies;

    impl Dependencies {
        pub(in crate::arbiter) fn have_changed(&mut self, _: &WatcherConfig) {}

        pub(in crate::arbiter) fn in_order(&self, ids: Vec<WatcherId>) -> Vec<WatcherId> {
            ids
        }
    }

    impl Arbiter {
        pub(in crate::arbiter) fn find_dependencies(&mut self) {}

        pub(in crate::arbiter) fn look_around(&mut self, _: WatcherId) {}

        pub(in crate::arbiter) fn bring_along(&mut self, _: WatcherId) {}

        pub(in crate::arbiter) fn missing_for(&mut self, _: WatcherId) -> Vec<WatcherId> {
            Vec::new()
        }

        pub(in crate::arbiter) fn mark_dirty(&mut self, _: WatcherId, _: Standing, _: Standing) {}

        pub(in crate::arbiter) fn propagate(&mut self) {}
    }

    impl Watcher {
        pub(in crate::arbiter) fn is_held(&mut self, _: &mut Cx) -> bool {
            false
        }

        pub(in crate::arbiter) fn lose(&mut self, _: &mut Cx) {}
    }
}

/// Nothing of what has happened is remembered, but since when a watcher is in its state.
#[cfg(not(feature = "history"))]
mod history {
    use super::*;

    impl Cause {
        pub(in crate::arbiter) fn of(_: &Event) -> Option<Cause> {
            None
        }
    }

    impl History {
        pub(in crate::arbiter) fn expect(&mut self, _: &Cause) {}

        pub(in crate::arbiter) fn note(&mut self, _: Time, _: What) {}

        pub(in crate::arbiter) fn compare(
            &mut self,
            at: Time,
            before: Standing,
            after: Standing,
            cause: &Cause,
        ) {
            if before.status != after.status {
                let what = What::Status(after.status);
                self.changes = VecDeque::from([Change { at, times: 1, what, cause: cause.clone() }]);
            }
        }

        pub(in crate::arbiter) fn count_restarts(&mut self, _: Restart, _: usize) {}

        pub(in crate::arbiter) fn count_exit(&mut self, _: Exit) {}

        pub(in crate::arbiter) fn note_failure(&mut self, _: Time, _: &str) -> bool {
            true
        }
    }
}

/// `restart` without a name reads nothing: what starts with circus is started anew, the rest is stopped.
#[cfg(not(feature = "reloadconfig"))]
mod reconfigure {
    use super::*;

    impl Arbiter {
        pub(in crate::arbiter) fn read_again(&mut self, _: bool, wait: Wait) -> Option<Reply> {
            let starting = self.to_start(None);
            for id in self.by_priority().into_iter().filter(|id| !starting.contains(id)) {
                self.unqueue(id);
                self.with(id, |w, _| w.want_down());
            }
            self.start_many(None, true, &wait)
        }
    }
}

/// There is no canary.
#[cfg(not(feature = "deploy"))]
mod deploy {
    use super::*;

    impl Watcher {
        pub(in crate::arbiter) fn holds_canary(&self) -> bool {
            false
        }

        pub(in crate::arbiter) fn hold_canary(&mut self, _: &mut Cx) {}

        pub(in crate::arbiter) fn give_canary_up(&mut self, _: &mut Cx) {}
    }
}

/// No hook is asked, and no command of the user takes the place of what circus does itself.
#[cfg(not(feature = "hooks"))]
mod hooks {
    use super::*;

    impl Watcher {
        pub(in crate::arbiter) fn call(&mut self, _: Hook, _: About, _: Then, _: &mut Cx) -> bool {
            false
        }

        pub(in crate::arbiter) fn tell(&mut self, _: Hook, _: About, _: &mut Cx) {}

        pub(in crate::arbiter) fn has_hook(&self, _: Hook) -> bool {
            false
        }

        pub(in crate::arbiter) fn hook_done(&mut self, _: HookId, _: &Answer, _: &mut Cx) {}

        pub(in crate::arbiter) fn hook_delayed(&mut self, _: HookId, _: &mut Cx) {}

        pub(in crate::arbiter) fn cancel_hooks(&mut self, _: &dyn Fn(Then) -> bool, _: &mut Cx) {}

        pub(in crate::arbiter) fn expire_hooks(&mut self, _: &mut Cx) {}

        pub(in crate::arbiter) fn run_stop_command(&mut self, _: u32, _: Pid, _: Time, _: &mut Cx) -> bool {
            false
        }

        pub(in crate::arbiter) fn step_commands(&mut self, _: VecDeque<Pid>, cx: &mut Cx) {
            self.end_reload(cx);
        }
    }
}

/// No socket starts a watcher.
#[cfg(not(feature = "on_demand"))]
pub(super) mod on_demand {
    use super::*;

    #[derive(Debug, Default)]
    pub(in crate::arbiter) struct Demand;

    impl Demand {
        pub(in crate::arbiter) const NONE: Demand = Demand;
    }

    impl Watcher {
        pub(in crate::arbiter) fn may_start(&mut self, _: &mut Cx) -> bool {
            true
        }

        pub(in crate::arbiter) fn look_away(&mut self, _: &mut Cx) {}

        pub(in crate::arbiter) fn sockets_watched(&mut self, _: Result<(), String>, _: &mut Cx) {}

        pub(in crate::arbiter) fn socket_ready(&mut self, _: &mut Cx) {}

        pub(in crate::arbiter) fn note_for_demand(&mut self, _: &Process, _: &mut Cx) {}

        pub(in crate::arbiter) fn first_chain(&self) -> Chain {
            Chain::default()
        }

        pub(in crate::arbiter) fn forget_demand(&mut self) {}

        /// It never waits for its sockets.
        pub fn waits_for_demand(&self) -> bool {
            false
        }

        pub(in crate::arbiter) fn demand_deadline(&self) -> Option<Time> {
            None
        }
    }
}

/// No process is looked after: each one is ready as soon as it runs, and stays well.
#[cfg(not(feature = "health"))]
mod health {
    use super::*;

    impl Watcher {
        pub(in crate::arbiter) fn first_liveness(&self, _: u32, _: Pid, _: Time) -> Option<Box<Liveness>> {
            None
        }

        pub(in crate::arbiter) fn succeed(&mut self, _: u32, old: u32, cx: &mut Cx) {
            self.dismiss(old, cx);
        }

        pub(in crate::arbiter) fn ready_by_options(&mut self, _: &mut Cx) {}

        pub(in crate::arbiter) fn look_after(&mut self, _: &Cx) {}

        pub(in crate::arbiter) fn noticed(&mut self, _: u32, _: Notice, _: &mut Cx) {}

        pub(in crate::arbiter) fn expire_liveness(&mut self, _: &mut Cx) {}

        pub(in crate::arbiter) fn ask_later(&mut self, _: u32, _: Pid, _: &mut Cx) {}

        pub(in crate::arbiter) fn probed(&mut self, _: u32, _: Pid, _: Option<&str>, _: &mut Cx) {}

        pub(in crate::arbiter) fn end_liveness(&mut self, _: u32, _: &mut Cx) {}
    }
}
