//! How time passes in the simulated world, and how signals take effect.

use super::*;

impl World {
    /// The first hook that has ended answers.
    pub(super) fn answer_hook(&mut self) -> bool {
        let due = self.hooks.iter().find(|(_, hooked)| hooked.ends.is_some_and(|at| at <= self.now));
        let Some(id) = due.map(|(id, _)| *id) else { return false };
        let Hooked { watcher, answer, .. } = self.hooks.remove(&id).unwrap();
        self.send(Event::HookDone { id, watcher, answer });
        true
    }

    /// circus is short of something, and none of these hooks could be run.
    pub(super) fn delay_hooks(&mut self) {
        let waiting: Vec<_> = self.hooks.iter().map(|(id, hooked)| (*id, hooked.watcher)).collect();
        waiting.into_iter().for_each(|(id, watcher)| self.send(Event::HookDelayed { id, watcher }));
    }

    /// Answers of hooks that nobody waits for any more change nothing.
    pub(super) fn answer_late(&mut self, answer: &Answer) {
        for (watcher, id) in std::mem::take(&mut self.cancelled) {
            let mut actions = Vec::new();
            let answer = answer.clone();
            self.arbiter.handle(self.now, Event::HookDone { id, watcher, answer }, &mut actions);
            assert_eq!(actions, [], "a late answer did something");
        }
    }

    /// The rest of a group is asked to end, which must not happen twice, or killed.
    pub(super) fn tell_group(&mut self, pgid: Pid, signum: i32) {
        assert!(
            signum == 9 || self.told.insert(("group", pgid, signum)),
            "the group of {pgid} is asked twice"
        );
        let heeds = self.heirs.get(&pgid).copied().flatten();
        if let Some(seconds) = heeds.filter(|_| signum != 9 && self.groups.contains(&pgid)) {
            self.heeding.insert(pgid, self.now.plus(seconds));
        }
    }

    /// Ends the rest of groups that has been asked to, and whose time has come.
    pub(super) fn end_heirs(&mut self) {
        let due: Vec<Pid> =
            self.heeding.iter().filter(|(_, at)| **at <= self.now).map(|(pid, _)| *pid).collect();
        for pid in due {
            self.heeding.remove(&pid);
            if self.groups.remove(&pid) && !self.procs.contains_key(&pid) && !self.is_left(pid) {
                self.send(Event::GroupEmpty { pgid: pid });
            }
        }
    }

    /// Ends all that a process has left behind and that SIGKILL for it reaches.
    pub(super) fn clear(&mut self, pid: Pid) {
        self.groups.remove(&pid);
        if self.modes.get(&pid).is_some_and(|(_, mode)| mode == "tree") {
            self.strays.remove(&pid);
        }
    }

    /// Whether something is left of the group or the tree of a process.
    pub(super) fn is_left(&self, pid: Pid) -> bool {
        let tree = self.modes.get(&pid).is_some_and(|(_, mode)| mode == "tree");
        self.groups.contains(&pid) || tree && self.strays.contains(&pid)
    }

    pub(super) fn deliver(&mut self, pid: Pid, signum: i32, group: bool) {
        let now = self.now;
        let proc =
            self.procs.get_mut(&pid).unwrap_or_else(|| panic!("signal {signum} to {pid}, which is no child"));
        self.signals.push((pid, signum));
        if proc.zombie {
            assert!(group, "a signal to a zombie");
            if signum == 9 {
                self.clear(pid);
            }
            return;
        }
        if group && signum == 9 {
            // Who has left is looked for when the process itself is dead.
            self.groups.remove(&pid);
        }
        let ends = match (signum, proc.script.obeys) {
            (9, _) if proc.script.immortal => None,
            (9, _) => Some((now, Exit::Signal(9))),
            (1, _) | (_, None) => None,
            (_, Some(delay)) => Some((now.plus(delay), Exit::Signal(signum))),
        };
        if let Some(ends) = ends {
            proc.ends = Some(proc.ends.map_or(ends, |before| before.min_by_time(ends)));
        }
    }

    /// The next time that something happens by itself.
    pub(super) fn next(&mut self) -> Option<Time> {
        let exit = self.procs.values().filter(|p| !p.zombie).filter_map(|p| p.ends).map(|(at, _)| at).min();
        let hook = self.hooks.values().filter_map(|hooked| hooked.ends).min();
        let says = self.procs.values().filter(|p| !p.zombie).filter_map(|p| p.speaks).map(|(at, _)| at).min();
        let heir = self.heeding.values().copied().min();
        exit.into_iter().chain(hook).chain(says).chain(heir).chain(self.arbiter.deadline()).min()
    }

    /// Goes to `until`, letting everything happen on the way.
    pub(super) fn run_to(&mut self, until: Time) {
        let mut turns = 0;
        while let Some(at) = self.next().filter(|at| *at <= until) {
            turns += 1;
            assert!(turns < 100_000, "circus spins at {at:?}");
            self.now = self.now.max(at);
            let due = |p: &Proc| !p.zombie && p.ends.is_some_and(|(end, _)| end <= at);
            let ended: Vec<Pid> = self.procs.iter().filter(|(_, p)| due(p)).map(|(pid, _)| *pid).collect();
            for pid in ended {
                self.exit(pid);
            }
            self.end_heirs();
            while self.answer_hook() {}
            self.let_speak();
            // What becomes due because of a tick gets a tick of its own, and that must be the end of it; but where
            // hook_timeout is 0, each of the hooks that follow on another takes one.
            for _ in 0..100 {
                if self.arbiter.deadline().is_some_and(|at| at <= self.now) {
                    self.send(Event::Tick);
                }
            }
            let next = self.arbiter.deadline();
            assert!(next.is_none_or(|at| at > self.now), "the deadline stays in the past");
        }
        self.now = until;
    }

    pub(super) fn exit(&mut self, pid: Pid) {
        let proc = self.procs.get_mut(&pid).unwrap();
        let (exit, Script { broken, shortage, .. }) = (proc.ends.unwrap().1, proc.script);
        // One that is killed before has not shown it.
        let shows = broken && matches!(exit, Exit::Code(_));
        if shows {
            self.send(Event::NeverRan { pid, reason: NO_FILE.into(), shortage });
        }
        self.procs.get_mut(&pid).unwrap().zombie = true;
        self.exits.insert(pid, exit);
        self.note_end(self.modes[&pid].0, Some(pid), shows && shortage);
        self.send(Event::Exited { pid, exit });
    }

    /// circus stands still, and its processes with it.
    pub(super) fn freeze(&mut self, seconds: f64) {
        self.now = self.now.plus(seconds);
        for proc in self.procs.values_mut() {
            proc.ends = proc.ends.map(|(at, exit)| (at.plus(seconds), exit));
            proc.speaks = proc.speaks.map(|(at, notice)| (at.plus(seconds), notice));
        }
        for hook in self.hooks.values_mut() {
            hook.ends = hook.ends.map(|at| at.plus(seconds));
        }
        self.heeding.values_mut().for_each(|at| *at = at.plus(seconds));
        self.note_freeze(seconds);
        self.be_patient(seconds);
        self.send(Event::Overslept { seconds });
    }

    /// Something comes to the sockets of all who wait for it.
    pub(super) fn connect(&mut self) {
        for watcher in self.looked_at.clone() {
            if self.looked_at.remove(&watcher) {
                self.send(Event::SocketReady { watcher });
            }
        }
    }

    pub(super) fn kill9(&mut self, pid: Pid) {
        self.procs.get_mut(&pid).unwrap().ends = Some((self.now, Exit::Signal(9)));
        self.exit(pid);
    }

    pub(super) fn run(&mut self, seconds: f64) {
        self.run_to(self.now.plus(seconds));
    }
}

trait MinByTime {
    fn min_by_time(self, other: Self) -> Self;
}
impl MinByTime for (Time, Exit) {
    fn min_by_time(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }
}
