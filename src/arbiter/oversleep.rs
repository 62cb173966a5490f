//! circus itself has stood still: it was stopped, or frozen together with its processes. Nobody is to blame for the
//! silence of that time, so everybody gets it back.

use super::Arbiter;
use super::time::Time;
use super::watcher::Watcher;

impl Arbiter {
    /// Moves the deadlines by which somebody has to do something. What was sent meanwhile has been taken in by then, or
    /// will be before they are looked at.
    pub(super) fn overslept(&mut self, seconds: f64) {
        for (id, watcher) in self.watchers.iter_mut() {
            watcher.give_back(self.cx.now, seconds);
            self.agenda.touch(*id);
        }
    }
}

impl Watcher {
    fn give_back(&mut self, now: Time, seconds: f64) {
        for process in self.processes.values_mut() {
            process.give_back(seconds);
            if let Some(liveness) = &mut process.liveness {
                liveness.heard = now;
                liveness.ready_by = liveness.ready_by.map(|at| at.plus(seconds));
            }
        }
        for remnant in &mut self.left.groups {
            remnant.fate.give_back(seconds);
        }
        for call in self.ext.hooks.calls.values_mut() {
            call.deadline = call.deadline.plus(seconds);
        }
    }
}
