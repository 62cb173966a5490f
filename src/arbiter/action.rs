//! What the arbiter wants to be done: the daemon performs it, and what it led to comes back as an [`Event`](super::Event).

use super::fate::Fall;
use super::hooks::{About, HookId};
use super::reconfigure::Reading;
use super::report::{Level, Published};
use super::request::{Reply, Ticket};
use super::{Pid, WatcherId};
use crate::config::hooks::Hook;

/// Something that is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Spawn a process; then `Event::Spawned` or `Event::SpawnFailed`.
    Spawn {
        /// Of which watcher.
        watcher: WatcherId,
        /// Its number in the watcher.
        wid: u32,
    },
    /// Ask a process to end: the signal, then SIGCONT, in case it is stopped.
    Ask {
        /// Which.
        pid: Pid,
        /// The signal.
        signum: i32,
        /// Its direct children too.
        children: bool,
    },
    /// Send a signal.
    Signal {
        /// Whose.
        pid: Pid,
        /// The signal.
        signum: i32,
        /// To whom of that process.
        whom: Whom,
    },
    /// Send a signal to a group whose leader was reaped, if the number still is that group's.
    SignalRemnant {
        /// The group.
        pgid: Pid,
        /// The signal.
        signum: i32,
    },
    /// Reap a zombie; then `Event::Reaped`.
    Reap {
        /// Which.
        pid: Pid,
    },
    /// Go on without a process that SIGKILL did not end. It is reaped when it ends.
    GiveUp {
        /// Of which watcher.
        watcher: WatcherId,
        /// Its number in the watcher.
        wid: u32,
        /// Which.
        pid: Pid,
    },
    /// Run a hook; then `Event::HookDone`.
    RunHook {
        /// Stands for this run.
        id: HookId,
        /// Whose hook.
        watcher: WatcherId,
        /// Which hook.
        hook: Hook,
        /// What it is about.
        about: About,
    },
    /// End a hook whose answer is not needed any more.
    CancelHook {
        /// Which run.
        id: HookId,
        /// Whose hook.
        watcher: WatcherId,
    },
    /// Look at the sockets of a watcher without taking anything from them; then `Event::SocketsWatched`, and once
    /// `Event::SocketReady`.
    WatchSockets(WatcherId),
    /// Do not look at them any more.
    UnwatchSockets(WatcherId),
    /// Answer an order.
    Reply {
        /// Whose.
        ticket: Ticket,
        /// The answer.
        reply: Reply,
    },
    /// Tell subscribers.
    Publish {
        /// The watcher's name.
        watcher: String,
        /// What happened to it.
        what: Published,
    },
    /// Write to the log.
    Log {
        /// How important it is.
        level: Level,
        /// One line.
        text: String,
    },
    /// Read the configuration again and check it, then `Event::Read`.
    Read(Reading),
    /// The options of a watcher have changed: what was made from them must be made anew.
    Changed(WatcherId),
    /// A watcher is gone.
    Forgotten {
        /// Which.
        watcher: WatcherId,
        /// Its processes, which are to live on.
        left: Vec<Pid>,
    },
    /// Everything has stopped: end; because of this, if nobody has ordered it.
    Exit(Option<Fall>),
}

/// To whom of a process a signal goes.
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
