//! What must hold after every step.

use super::super::watcher::Watcher;
use super::*;

impl World {
    /// What must hold at all times.
    pub(super) fn check(&mut self) {
        let mut seen = BTreeSet::new();
        for watcher in self.arbiter.watchers.values() {
            let running = watcher.processes().filter(|p| p.runs()).count();
            assert_eq!(running, watcher.running(), "{}: running", watcher.config.name);
            let held = watcher.processes().filter(|p| p.holds_slot()).count();
            assert_eq!(held, watcher.processes.holding(), "{}: held", watcher.config.name);
            let alive = watcher.processes().filter(|p| p.exit().is_none()).count();
            let excused = alive > 1 && self.excused.contains(&watcher.id);
            if !excused {
                self.excused.remove(&watcher.id);
            }
            let singleton = watcher.config.options.singleton;
            assert!(!singleton || alive <= 1 || excused, "{} runs twice", watcher.config.name);
            for process in watcher.processes() {
                assert!(seen.insert(process.pid), "{} is in two places", process.pid);
                let zombie = self
                    .procs
                    .get(&process.pid)
                    .unwrap_or_else(|| panic!("{} is no child", process.pid))
                    .zombie;
                assert!(!zombie || process.exit().is_some(), "{} was not noticed", process.pid);
            }
            if watcher.status() == Status::Stopped {
                assert_eq!(watcher.processes().count(), 0, "{} is stopped", watcher.config.name);
                let left = |pid: &Pid| self.modes[pid].0 == watcher.id && self.modes[pid].1 != "process";
                let left =
                    self.groups.iter().chain(&self.strays).find(|pid| left(pid) && self.is_left(**pid));
                assert_eq!(left, None, "{} is stopped, but something is left", watcher.config.name);
            }
            self.check_hooks(watcher);
            readiness::check(watcher);
            dependencies::check(&self.arbiter, watcher);
            watcher.history().check(watcher.status());
            let looks = matches!(watcher.prerequisites.demand.look, Look::Asked | Look::Since(_));
            assert_eq!(looks, self.looked_at.contains(&watcher.id), "{} is looked at", watcher.config.name);
            assert!(!looks || watcher.status() == Status::Stopped, "{} runs and waits", watcher.config.name);
            let reloading = watcher.has_two_generations();
            let most = watcher.config.wanted() + watcher.doubled();
            let taken = watcher.occupied() - watcher.run().empty();
            let fits = reloading || taken <= most.max(watcher.processes.holding());
            assert!(fits, "{}: slots", watcher.config.name);
        }
        let known = self.arbiter.cx.pids.iter().filter(|(_, known)| matches!(known, Known::Process(..)));
        assert_eq!(seen, known.map(|(pid, _)| *pid).collect(), "the table of pids");
        let deadlines = self.arbiter.watchers.values().filter_map(|w| w.deadline());
        let first = deadlines.chain(self.arbiter.startup.as_ref().and_then(|boot| boot.deadline())).min();
        assert_eq!(self.arbiter.deadline(), first, "the agenda");
        let called = self.arbiter.watchers.values().flat_map(|w| w.hooks.calls.keys().copied());
        let called: BTreeSet<HookId> = called.collect();
        assert_eq!(called, self.hooks.keys().copied().collect(), "a hook without a watcher, or the reverse");
    }

    /// What hangs on a hook is there, and what waits for one has one.
    pub(super) fn check_hooks(&self, watcher: &Watcher) {
        let name = &watcher.config.name;
        for call in watcher.hooks.calls.values() {
            let fits = match call.then {
                Then::Begin => watcher.status() == Status::Starting && watcher.processes().count() == 0,
                Then::Activate => watcher.status() == Status::Starting,
                Then::Spawn => watcher.spawns.under_way.is_some() && !watcher.is_confirming(),
                Then::Keep => watcher.is_confirming(),
                Then::Stop | Then::Rest => watcher.status() == Status::Stopping,
                Then::Reloaded { pid } => {
                    matches!(&watcher.run().reload, Some(Reload::Commands { current, .. }) if *current == Some(pid))
                }
                Then::Ask { .. }
                | Then::Signal { .. }
                | Then::Stopped { .. }
                | Then::Reaped(_)
                | Then::Nothing => watcher.status() != Status::Stopped,
                Then::Probed { wid, pid } => {
                    watcher.processes().any(|p| (p.wid, p.pid, p.runs()) == (wid, pid, true))
                }
            };
            assert!(fits, "{name}: {:?} while it is {}", call.then, watcher.status().word());
        }
        let waits = |then| watcher.hooks.calls.values().filter(|call| call.then == then).count();
        assert!(waits(Then::Spawn) <= 1, "{name}");
        assert_eq!(waits(Then::Keep), usize::from(watcher.is_confirming()), "{name}");
        if let Some(Reload::Commands { current, .. }) = &watcher.run().reload {
            let waits = current.map(|pid| waits(Then::Reloaded { pid }));
            assert!(waits.is_none_or(|calls| calls == 1), "{name}: reload_command");
        }
        let before_stop = watcher.spares_processes();
        for process in watcher.processes() {
            let runs = process.runs();
            assert!(!runs || watcher.status() != Status::Stopping || before_stop, "{name}: not asked to end");
        }
    }
}
