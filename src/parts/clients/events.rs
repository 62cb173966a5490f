//! What subscribers are told of what happens to watchers.

use super::Clients;
use super::places::MOST_HELD;
use crate::arbiter::Published;
use crate::control::{self, Map, topics, wire};
use crate::sys::clock;

impl Clients {
    /// Tells all who listen to it.
    pub(super) fn tell_subscribers(&mut self, watcher: &str, what: &Published) {
        self.has_subscribers =
            self.has_subscribers && self.clients.values().any(|client| client.topics.is_some());
        if !self.has_subscribers {
            return;
        }
        let topic = topics::topic(watcher, what.name());
        let data = data_of(what, clock::realtime());
        let mut encoded = [None, None];
        let Clients { clients, visits, held, .. } = self;
        for (id, client) in clients.iter_mut().filter(|(_, client)| client.wants(&topic)) {
            let by_zmtp = client.wire.is_zmtp();
            if let Some(event) = encoded.get_mut(usize::from(by_zmtp)) {
                let event = event.get_or_insert_with(|| wire::event(by_zmtp, &topic, &data));
                client.tell(event, *held < MOST_HELD);
                client.weigh(held);
            }
            if client.broken {
                visits.push(*id);
            }
        }
    }
}

/// What subscribers are told of an event, as Circus has it.
fn data_of(what: &Published, time: f64) -> Map {
    let mut data = control::one("time", time.into());
    let pid = match what {
        Published::HookSuccess { hook } => {
            data.insert("name".into(), hook.name().into());
            None
        }
        Published::HookFailure { hook, error } => {
            data.extend([("name".into(), hook.name().into()), ("error".into(), error.as_str().into())]);
            None
        }
        Published::Spawn { pid } | Published::Kill { pid } | Published::Ready { pid } => Some(pid),
        Published::Unhealthy { pid, reason } => {
            data.insert("reason".into(), reason.as_str().into());
            Some(pid)
        }
        Published::Reap { pid, exit, oom } => {
            data.insert("exit_code".into(), exit.code().into());
            if *oom {
                data.insert("oom".into(), true.into());
            }
            Some(pid)
        }
        Published::Start
        | Published::Stop
        | Published::Reload
        | Published::Updated
        | Published::Add
        | Published::Remove => None,
    };
    if let Some(pid) = pid {
        data.insert("process_pid".into(), (*pid).into());
    }
    data
}
