//! What subscribers are told of what happens to watchers.

use super::Clients;
use super::access::Access;
use crate::arbiter::Published;
use crate::control::{self, Map, secrets, topics, wire};
use crate::sys::clock;

impl Clients {
    /// Tells all who listen to it.
    pub(super) fn tell_subscribers(&mut self, watcher: &str, what: &Published, access: &Access) {
        if self.clients.values().all(|client| client.topics.is_none()) {
            return;
        }
        let topic = topics::topic(watcher, what.name());
        let data = data_of(what, clock::realtime());
        // For those who are told everything, and for those who are not; as a line, and by ZMTP.
        let mut events = [const { None }; 4];
        self.tell(&mut |client, room| {
            let wants = client.wants(&topic);
            if wants {
                let by_zmtp = client.wire.is_zmtp();
                let is_low = access.is_low(&client.caller);
                let make = || match is_low {
                    true => wire::event(by_zmtp, &topic, &secrets::hidden(data.clone())),
                    false => wire::event(by_zmtp, &topic, &data),
                };
                if let Some(event) = events.get_mut(usize::from(is_low) << 1 | usize::from(by_zmtp)) {
                    client.tell(event.get_or_insert_with(make), room);
                }
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
