//! What the arbiter wants to be done: the daemon performs it, and what it led to comes back as an [`Event`](super::Event).
#![allow(missing_docs, reason = "the fields of the variants are named for what they hold")]

use super::exit_policy::CriticalExit;
use super::hooks::{About, HookId};
use super::report::{Level, Published};
use super::request::{Reply, Ticket};
use super::{Pid, WatcherId};
use crate::config::hooks::Hook;

/// Something that is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Spawn a process; then `Event::Spawned` or `Event::SpawnFailed`.
    Spawn { watcher: WatcherId, wid: u32 },
    /// Ask a process to end: the signal, then SIGCONT, in case it is stopped.
    Ask { pid: Pid, signum: i32, children: bool },
    /// Send a signal.
    Signal { pid: Pid, signum: i32, whom: Whom },
    /// Send a signal to a group whose leader was reaped, if the number still is that group's.
    SignalRemnant { pgid: Pid, signum: i32 },
    /// Look whether a zombie has left processes behind; then `Event::Detached`.
    LookForDetached { watcher: WatcherId, pid: Pid },
    /// Reap a zombie; then `Event::Reaped`.
    Reap { pid: Pid },
    /// Go on without a process that SIGKILL did not end. It is reaped when it ends.
    GiveUp { watcher: WatcherId, wid: u32, pid: Pid },
    /// Run a hook; then `Event::HookDone`.
    RunHook { id: HookId, watcher: WatcherId, hook: Hook, about: About },
    /// End a hook whose answer is not needed any more.
    CancelHook { id: HookId, watcher: WatcherId },
    /// Look at the sockets of a watcher without taking anything from them; then `Event::SocketsWatched`, and once
    /// `Event::SocketReady`.
    WatchSockets(WatcherId),
    /// Do not look at them any more.
    UnwatchSockets(WatcherId),
    /// Answer an order.
    Reply { ticket: Ticket, reply: Reply },
    /// Tell subscribers.
    Publish { watcher: String, what: Published },
    /// Write to the log.
    Log { level: Level, text: String },
    /// Read the configuration again and check it, then `Event::Read`.
    #[cfg(feature = "reloadconfig")]
    Read(super::reconfigure::Reading),
    /// The options of a watcher have changed: what was made from them must be made anew.
    Changed(WatcherId),
    /// A watcher is gone.
    Forgotten { watcher: WatcherId, left: Vec<Pid> },
    /// Everything has stopped: end; because of this, if nobody has ordered it.
    Exit(Option<CriticalExit>),
}

/// Where a signal to a process goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// To itself.
    Process,
    /// To its group. It is a child that was not reaped, so that the number is its own.
    Group,
    /// To its group, and to all that come from it, wherever they have gone. As for [`Whom::Group`].
    Tree,
    /// To its direct children.
    Children,
    /// To one of its direct children.
    Child(Pid),
    /// To itself and all its descendants.
    Descendants,
}
