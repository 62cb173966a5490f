//! Whether a role is enough for a request, and whether an operator may have done it to these watchers.

use super::access::Access;
use super::client::Caller;
#[cfg(feature = "edit")]
use crate::arbiter::request::Edit;
use crate::arbiter::request::{Errno, Task};
use crate::arbiter::watcher::Watcher;
use crate::arbiter::{Arbiter, WatcherId};
use crate::config::options::Role;
use crate::control::{self, Refusal};

/// What gives a role.
pub(super) const GIVES: &str = "[access] in the configuration gives it";

/// Whether the watchers of an order are among those that an operator was given.
///
/// # Errors
/// The first one that is not.
pub fn permit_watchers(
    arbiter: &Arbiter,
    access: &Access,
    caller: &Caller,
    (task, targets): (&Task, Option<&[WatcherId]>),
) -> Result<(), String> {
    let one = match task {
        Task::Change { name, .. } => Some(name.as_str()),
        #[cfg(feature = "edit")]
        Task::Edit(Edit::Set { name, .. }) => Some(name.as_str()),
        Task::Kill { name, .. } | Task::Signal { name, .. } => Some(name.as_str()),
        Task::Reload { name, .. } => name.as_deref(),
        #[cfg(feature = "deploy")]
        Task::Deploy(deploy) => deploy.name(),
        Task::Start(_) | Task::Stop(_) | Task::Restart(_) => None,
        // No operator gets so far.
        #[cfg(feature = "edit")]
        Task::Edit(Edit::Add { .. } | Edit::Rm { .. }) => None,
        Task::Reloadconfig | Task::Quit => None,
    };
    let one = one.map(|name| arbiter.find(name));
    let is_meant = |watcher: &&Watcher| match (one, targets) {
        // A name that there is not is refused later.
        (Some(one), _) => one.is_some_and(|one| one.id == watcher.id),
        (None, Some(targets)) => targets.contains(&watcher.id),
        (None, None) => true,
    };
    let names = arbiter.watchers().filter(is_meant).map(|watcher| &watcher.config.name);
    let mut others = names.filter(|name| !access.may_operate(caller, name));
    others.next().map_or(Ok(()), |name| {
        let (name, uid) = (control::python::cut(name), caller.uid);
        Err(format!("{name} is not among the watchers that uid {uid} may operate; {GIVES}"))
    })
}

/// Whether somebody's role is enough for a request.
///
/// # Errors
/// Which one is needed, and what gives it.
pub fn permit_role(role: Role, needs: Role) -> Result<(), Refusal> {
    if role >= needs {
        return Ok(());
    }
    let reason = format!("this needs the role {}, and you have {}; {GIVES}", needs.key(), role.key());
    Err(Refusal { errno: Errno::Conflict, reason })
}
