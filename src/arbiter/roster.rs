//! Which watchers there are, and how many processes each has.

use super::context::Known;
use super::hooks::HookId;
use super::orders::{Answered, Wait};
use super::request::{Errno, Reply};
use super::watcher::{Goal, Watcher};
use super::{Action, Arbiter, Published, WatcherId};
use crate::config::WatcherConfig;
use crate::config::model::MOST_PROCESSES;
use std::rc::Rc;

impl Arbiter {
    pub(super) fn change(&mut self, name: &str, by: i64, wait: &Wait) -> Answered {
        let watcher = self.named(name)?;
        let id = watcher.id;
        let (before, singleton) = (watcher.config.options.numprocesses, watcher.config.options.singleton);
        if singleton && (before > 0 || by < 1) {
            return Ok(Some(watcher.numprocesses()));
        }
        let most = if singleton { 1 } else { i64::MAX };
        let count = before.saturating_add(by).clamp(0, most);
        if count > MOST_PROCESSES {
            let text = format!("{count} processes are too many; the limit is {MOST_PROCESSES}");
            return Err(Reply::error(Errno::Message, text));
        }
        let reply = self.carry_out(&[id], wait, &|w, _| {
            Rc::make_mut(&mut w.config).options.numprocesses = count;
        });
        self.cx.act(Action::Changed(id));
        Ok(reply)
    }

    /// Takes a watcher in. One of its name that is still being stopped becomes it, so that the two never run side by
    /// side.
    pub(super) fn admit(&mut self, config: WatcherConfig) -> WatcherId {
        let (name, key) = (config.name.clone(), config.name.to_lowercase());
        let leaving = |w: &Watcher| w.goal == Goal::Gone && w.config.name.to_lowercase() == key;
        let leaving = self.watchers.values().find(|watcher| leaving(watcher)).map(|watcher| watcher.id);
        self.dependencies.have_changed(&config);
        let id = match leaving.and_then(|id| self.watchers.get_mut(&id)) {
            Some(watcher) => {
                watcher.goal = Goal::Down;
                watcher.config = Rc::new(config);
                watcher.loaded = None;
                self.names.insert(key, watcher.id);
                self.cx.act(Action::Changed(watcher.id));
                watcher.id
            }
            None => self.insert(config),
        };
        self.cx.publish(&name, Published::Add);
        id
    }

    /// A watcher that is to go has no name any more.
    pub(super) fn leave(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.get(&id) else { return };
        let name = &watcher.config.name;
        self.cx.publish(name, Published::Remove);
        self.names.remove(&name.to_lowercase());
        self.dependencies.have_changed(&watcher.config);
    }

    /// A watcher is gone.
    pub(super) fn forget(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.remove(&id) else { return };
        self.dependencies.have_changed(&watcher.config);
        let cancel = |hook: &HookId| Action::CancelHook { id: *hook, watcher: id };
        self.cx.actions.extend(watcher.hooks.calls.keys().map(cancel));
        for waiter in watcher.waiters.iter() {
            let text = format!("'{}' was removed meanwhile", watcher.config.name);
            self.finish(waiter.ticket, Reply::error(Errno::Failed, text));
        }
        let mut left = Vec::new();
        self.cx.pids.retain(|pid, known| {
            let (Known::Process(of, _) | Known::Survivor(of) | Known::Group(of)) = *known;
            left.extend((of == id && matches!(known, Known::Process(..))).then_some(*pid));
            of != id
        });
        self.agenda.touch(id);
        self.cx.act(Action::Forgotten { watcher: id, left });
    }
}

/// Which outputs of a watcher's processes are read by circus.
pub(super) fn streams(config: &WatcherConfig) -> (bool, bool) {
    (config.stdout_stream.is_some(), config.stderr_stream.is_some())
}
