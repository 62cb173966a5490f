//! What circus waits for: the answers of hooks, and that processes say of themselves that they are alive. Nobody gets less
//! time than he was promised, and nothing happens before the hook has answered that is asked about it.

use super::*;

#[derive(Default)]
pub(super) struct Patience {
    /// Until when a hook may take its time.
    hooks: BTreeMap<HookId, (WatcherId, Hook, Time)>,
    /// How long a process may be silent in seconds, and since when it is.
    silence: BTreeMap<Pid, (f64, Time)>,
    /// Processes that are to end whatever their watcher waits for: a client has asked for that, or it was decided before.
    doomed: BTreeSet<Pid>,
}

impl World {
    /// A hook is run.
    pub(super) fn give_time(&mut self, id: HookId, watcher: WatcherId, hook: Hook) {
        let patience = self.arbiter.watcher(watcher).map_or(0.0, |w| w.config.options.hook_timeout);
        self.patience.hooks.insert(id, (watcher, hook, self.now.plus(patience)));
    }

    /// A process is born, which has to say that it is alive now and then if its watcher has `watchdog`.
    pub(super) fn look_after(&mut self, pid: Pid) {
        let seconds = self.owner(pid).and_then(|watcher| watcher.making().watchdog());
        self.patience.silence.extend(seconds.map(|seconds| (pid, (seconds, self.now))));
    }

    /// It has said so, or its silence counts from now on.
    fn hear(&mut self, pid: Pid) {
        let silence = self.patience.silence.get_mut(&pid);
        silence.into_iter().for_each(|(_, since)| *since = self.now);
    }

    pub(super) fn listen(&mut self, event: &Event) {
        match event {
            Event::Noticed { pid, notice: Notice::Alive } => self.hear(*pid),
            Event::Order { order: Order { what: Task::Kill { name, .. }, .. }, .. } => {
                self.patience.doomed.extend(self.pids(name));
            }
            Event::HookDelayed { id, watcher } => {
                let patience = self.arbiter.watcher(*watcher).map_or(0.0, |w| w.config.options.hook_timeout);
                let anew = self.now.plus(patience);
                let hook = self.patience.hooks.get_mut(id);
                hook.into_iter().for_each(|(.., until)| *until = anew.min(*until));
            }
            Event::Exited { pid, .. } => drop(self.patience.silence.remove(pid)),
            _ => {}
        }
    }

    /// Whether a hook of this kind is being asked.
    fn asks(&self, watcher: WatcherId, hooks: &[Hook]) -> bool {
        self.hooks.values().any(|hooked| hooked.watcher == watcher && hooks.contains(&hooked.hook))
    }

    /// An action is about to be performed.
    pub(super) fn wait_for(&mut self, action: &Action) {
        match action {
            Action::Spawn { watcher, .. } => {
                let first = [Hook::BeforeStart, Hook::BeforeSpawn, Hook::BeforeStop, Hook::AfterStop];
                assert!(!self.asks(*watcher, &first), "a spawn before a hook has answered");
            }
            Action::Ask { pid, .. }
            | Action::RunHook { hook: Hook::StopCommand, about: About { pid: Some(pid), .. }, .. } => {
                let asks = self.owner(*pid).is_some_and(|owner| self.asks(owner.id, &[Hook::BeforeStop]));
                assert!(
                    !asks || self.patience.doomed.contains(pid),
                    "{pid} is asked to end before before_stop has answered"
                );
                // One whose stop_command does not help is asked by its signal.
                self.patience.doomed.insert(*pid);
            }
            Action::RunHook { hook: Hook::BeforeSignal, about, .. } => self.patience.doomed.extend(about.pid),
            Action::Publish { what: Published::Ready { pid }, .. } => self.hear(*pid),
            Action::Publish { what: Published::Unhealthy { pid, reason }, .. }
                if reason.contains("WATCHDOG=1") =>
            {
                let (least, since) = self.patience.silence[pid];
                let silent = self.now.since(since);
                assert!(silent >= least, "{pid} was silent for {silent} s alone");
            }
            Action::Publish { watcher, what: Published::HookFailure { hook, error } }
                if error.starts_with("it took") =>
            {
                let id = self.arbiter.find(watcher).map(|watcher| watcher.id);
                let mut late = self.patience.hooks.iter().filter(|(call, _)| !self.hooks.contains_key(call));
                let late = late.any(|(_, (watcher, other, until))| {
                    (Some(*watcher), other) == (id, hook) && *until <= self.now
                });
                assert!(late || id.is_none(), "{watcher}: {hook:?} had no time");
            }
            _ => {}
        }
    }

    /// Circus stood still, and everybody has his whole time still.
    pub(super) fn be_patient(&mut self, seconds: f64) {
        self.patience.hooks.values_mut().for_each(|(.., until)| *until = until.plus(seconds));
        self.patience.silence.values_mut().for_each(|(_, since)| *since = self.now);
    }

    /// Nobody is silent for longer than he may be.
    pub(super) fn check_silence(&mut self) {
        let hooks = &self.hooks;
        self.patience.hooks.retain(|id, _| hooks.contains_key(id));
        for watcher in self.arbiter.watchers().filter(|watcher| watcher.is_up()) {
            for process in watcher.processes().filter(|process| process.runs() && process.is_ready()) {
                let Some((most, since)) = self.patience.silence.get(&process.pid) else { continue };
                let silent = self.now.since(*since);
                assert!(silent <= *most, "{} has been silent for {silent} s", process.pid);
            }
        }
    }
}
