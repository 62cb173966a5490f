//! What has happened: the daemon tells the arbiter.
#![allow(missing_docs, reason = "the fields of the variants are named for what they hold")]

use super::history::Origin;
use super::hooks::{Answer, HookId};
use super::process::Exit;
#[cfg(feature = "reloadconfig")]
use super::reconfigure::{NewConfig, Reading};
use super::request::{Order, Ticket};
use super::{Pid, WatcherId};
use std::rc::Rc;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The daemon is ready: the sockets are bound.
    Start,
    /// [`Action::Spawn`](super::Action::Spawn) gave a process.
    Spawned { watcher: WatcherId, pid: Pid },
    /// [`Action::Spawn`](super::Action::Spawn) failed.
    SpawnFailed { watcher: WatcherId, reason: String, shortage: bool },
    /// A process has ended before it became its program; its [`Event::Exited`] follows.
    NeverRan { pid: Pid, reason: String, shortage: bool },
    /// A child is a zombie. It stays one until [`Action::Reap`](super::Action::Reap).
    Exited { pid: Pid, exit: Exit },
    /// The kernel has probably ended a process for want of memory; its [`Event::Exited`] follows.
    OutOfMemory { pid: Pid },
    /// [`Action::LookForDetached`](super::Action::LookForDetached) has found something.
    Detached { watcher: WatcherId },
    /// [`Action::Reap`](super::Action::Reap) is done.
    Reaped { pid: Pid, group_left: bool },
    /// A group whose leader was reaped has no members any more.
    GroupEmpty { pgid: Pid },
    /// A hook of [`Action::RunHook`](super::Action::RunHook) has ended.
    HookDone { id: HookId, watcher: WatcherId, answer: Answer },
    /// A hook of [`Action::RunHook`](super::Action::RunHook) could not be run yet, for circus was short of something:
    /// it is tried again, but for a question, which is not asked then.
    HookDelayed { id: HookId, watcher: WatcherId },
    /// [`Action::WatchSockets`](super::Action::WatchSockets) is done, or cannot be.
    SocketsWatched { watcher: WatcherId, result: Result<(), String> },
    /// Something has come to a socket of a watcher; nobody looks at its sockets any more.
    SocketReady { watcher: WatcherId },
    /// A process has so many bytes of resident memory, with all that come from it, and is not to have as many.
    TooLarge { pid: Pid, rss: u64 },
    /// A process has told something of itself.
    Noticed { pid: Pid, notice: Notice },
    /// A client's order.
    Order { ticket: Ticket, order: Order, targets: Option<Vec<WatcherId>>, by: Rc<Origin> },
    /// [`Action::Read`](super::Action::Read) is done.
    #[cfg(feature = "reloadconfig")]
    Read { reading: Reading, found: Result<Box<NewConfig>, String> },
    /// A signal asked circus to end. The second time, unless it comes right behind the first, all that is left is
    /// killed.
    Terminate,
    /// A signal asked for a reload of everything that runs.
    Reload,
    /// circus has stood still for so many seconds.
    Overslept { seconds: f64 },
    /// The time of [`Arbiter::deadline`](super::Arbiter::deadline) has come.
    Tick,
}

/// What a process tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It is ready.
    Ready,
    /// It is alive.
    Alive,
    /// It is not well and is to be ended, as if it had been silent.
    Trigger,
}
