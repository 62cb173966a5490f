//! What subscribers are told of what happens to watchers.

use super::Clients;
use crate::arbiter::Published;
use crate::control::{self, Map, topics, wire};
use crate::sys::clock;

impl Clients {
    /// Tells all who listen to it.
    pub(super) fn tell_subscribers(&mut self, watcher: &str, what: &Published) {
        if self.clients.values().all(|client| client.topics.is_none()) {
            return;
        }
        let topic = topics::topic(watcher, what.name());
        let data = data_of(what, clock::realtime());
        let (mut line, mut frames) = (None, None);
        self.tell(&mut |client, room| {
            let wants = client.wants(&topic);
            if wants {
                let by_zmtp = client.wire.is_zmtp();
                let event = if by_zmtp { &mut frames } else { &mut line };
                client.tell(event.get_or_insert_with(|| wire::event(by_zmtp, &topic, &data)), room);
            }
            wants
        });
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
