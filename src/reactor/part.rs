//! What the loop and its parts have to do with each other.
//!
//! A part owns descriptors and deadlines. The loop calls it through [`Part`], and it sees the rest through [`Cx`] alone:
//! the time, the log, the arbiter to read, the poll to wait with. What it wants of anybody else it says as an
//! [`Effect`], which the loop performs when the call has returned; so no part knows another.

use super::registry::Key;
use crate::arbiter::history::Origin;
use crate::arbiter::process::Exit;
#[cfg(feature = "tail")]
use crate::arbiter::request::Wanted;
use crate::arbiter::request::{Order, Question, Tail, Ticket};
use crate::arbiter::time::Time;
use crate::arbiter::{Action, Arbiter, Event, Pid, Published, WatcherId};
use crate::config::options::CircusOptions;
use crate::config::row::Role;
use crate::config::{Channel, WatcherConfig};
use crate::control::mark::Mark;
use crate::control::{Map, Refusal};
use crate::host::child::Host;
use crate::host::spawn_template::{Offered, SpawnTemplate};
use crate::host::trouble::Trouble;
use crate::parts::clients::access::Access;
use crate::parts::log::Log;
use crate::sys::child::Child;
use crate::views::metrics::Durations;
#[cfg(feature = "stats")]
use crate::views::tally::Tally;
use mio::unix::SourceFd;
use mio::{Interest, Poll, Registry, Token};
use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many bits of a token say whose it is.
const KEY_BITS: u32 = 5;
/// The owners of descriptors that belong to no part.
pub(super) const SIGNALS: usize = 31;
pub(super) const LOG: usize = 30;

/// Somebody who owns descriptors or deadlines, or takes part in the life of processes. What a part has no use for it leaves
/// as it stands here.
#[allow(unused_variables, reason = "what is left out does nothing")]
pub trait Part {
    /// One of its descriptors, registered by this number, has something.
    fn ready(&mut self, id: u32, how: Readiness, cx: &mut Cx<'_>) {}

    /// Whether it has something to do without waiting.
    fn is_busy(&self) -> bool {
        false
    }

    /// Its work in this turn begins: it may note how much it will do.
    fn begin(&mut self, cx: &mut Cx<'_>) {}

    /// Does one piece of work, bounded. True: it is called again, when what it wants of others has been done.
    fn work(&mut self, cx: &mut Cx<'_>) -> bool {
        false
    }

    /// When [`Part::due`] is to be called.
    fn deadline(&mut self) -> Option<Instant> {
        None
    }

    /// Whether a deadline may as well be a little late: one wake-up is enough.
    fn may_be_late(&self) -> bool {
        false
    }

    /// Its deadline has come.
    fn due(&mut self, cx: &mut Cx<'_>) {}

    /// The turn is over for all.
    fn end_turn(&mut self, cx: &mut Cx<'_>) {}

    /// A process is about to be made: puts into the child what it is to have of this part, and keeps the other ends until
    /// [`Part::spawned`] says what has become of it.
    ///
    /// # Errors
    /// There can be no such process.
    fn lend(&mut self, job: &mut Job, cx: &mut Cx<'_>) -> Result<(), Trouble> {
        Ok(())
    }

    /// The process is there; without a pid it could not be made, and what was lent comes back.
    fn spawned(&mut self, job: &Job, pid: Option<Pid>, cx: &mut Cx<'_>) {}

    /// A child of circus is a zombie: what it has written is still there. The arbiter hears of it afterwards.
    fn ended(&mut self, pid: Pid, exit: Exit, cx: &mut Cx<'_>) {}

    /// A process is about to be reaped: its number may become another's.
    fn reaped(&mut self, pid: Pid, cx: &mut Cx<'_>) {}

    /// A watcher has no process of this number: it is reaped or given up, or could not be made.
    fn vacated(&mut self, watcher: WatcherId, wid: u32, cx: &mut Cx<'_>) {}

    /// The options of a watcher have changed.
    fn changed(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {}

    /// A watcher has stopped.
    fn stopped(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {}

    /// A watcher is gone.
    fn forgotten(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {}

    /// Something has happened to a watcher that all may know.
    fn published(&mut self, watcher: &str, what: &Published, cx: &mut Cx<'_>) {}

    /// SIGUSR1: opens again what somebody has moved away.
    fn restore(&mut self, cx: &mut Cx<'_>) {}

    /// Something is wanted of somebody. What is no matter of this part's, or not of this one's alone, comes back.
    fn take(&mut self, effect: Effect, cx: &mut Cx<'_>) -> Option<Effect> {
        Some(effect)
    }

    /// Memory is short: it gives back what circus can do without.
    fn shrink(&mut self) {}

    /// circus ends: nothing more is begun.
    fn halt(&mut self, cx: &mut Cx<'_>) {}
}

/// A process that is about to be made.
pub struct Job {
    /// Whose it will be.
    pub watcher: WatcherId,
    /// Its number in the watcher.
    pub wid: u32,
    /// The options it is made with.
    pub config: Rc<WatcherConfig>,
    /// What it is made from. What is put into its child for this process alone is taken out again afterwards.
    pub template: SpawnTemplate,
    /// The process that it takes the place of while that one still runs.
    pub replaces: Option<u32>,
    /// By this, what comes from it is known when it has lost its parents. It has one when it is there.
    pub mark: Option<Mark>,
}

/// What the kernel says of a descriptor besides that it has something.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    /// Nothing more will come from the other side.
    pub read_closed: bool,
    /// The other side takes nothing more, or the connection is broken.
    pub write_closed: bool,
}

/// Who writes into a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The watcher.
    pub watcher: WatcherId,
    /// The process.
    pub pid: Pid,
    /// Its number in the watcher.
    pub wid: u32,
    /// The output.
    pub channel: Channel,
}

/// What somebody who follows a watcher is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub writer: Writer,
    /// What was written; nothing: the writer has come to its end.
    pub bytes: Vec<u8>,
}

/// Whether something of this output of this process is wanted.
#[cfg(feature = "tail")]
pub fn wants(wanted: Wanted, channel: Channel, pid: Pid) -> bool {
    let channel = match channel {
        Channel::Stdout => wanted.stdout,
        Channel::Stderr => wanted.stderr,
    };
    channel && wanted.pid.is_none_or(|wanted| wanted == pid)
}

/// What a part or the arbiter wants of somebody else. It goes from part to part until one takes it.
#[allow(missing_docs, reason = "the fields of the variants are named for what they hold")]
#[derive(Debug)]
pub enum Effect {
    /// The arbiter is to know this.
    Event(Event),
    /// The arbiter wants this.
    Action(Action),
    /// Those who follow this output are to have it.
    Heard(Heard),
    /// circus is short of something for helpers and questions.
    Short(Trouble),
    /// One of them could be begun.
    NotShort,
    /// This is to be run, in its turn and when nobody else works.
    Gzip(Box<Child>),
    /// It has ended.
    Compressed(Result<Exit, String>),
    /// A plugin serves what circus measures, and needs it now.
    Metrics(WatcherId),
    /// Here it is.
    Page(WatcherId, String),
    /// A process is to be made.
    Spawn { watcher: WatcherId, wid: u32 },
    /// The notification socket has another address, which all processes are to be told.
    DropTemplates,
    /// Zombies are about to be looked for: what processes say right before they end counts while they are known.
    Reaping,
    /// A child of circus is a zombie.
    Ended { pid: Pid, exit: Exit },
    /// A client of this role asks a question.
    Question { ticket: Ticket, question: Question, role: Role },
    /// What the processes use that something is about was looked up.
    #[cfg(feature = "stats")]
    Tallied(Box<Tally>),
    /// A client wants to see output, and to follow it from then on if it says so.
    Tail { ticket: Ticket, client: u32, tail: Tail },
    /// A client wants the files that the output of a watcher goes to, or of all, rotated or opened anew.
    Logs { ticket: Ticket, name: Option<String>, rotate: bool },
    /// A client gives an order to these watchers, or to all, and may do so.
    Order { ticket: Ticket, order: Order, targets: Option<Vec<WatcherId>>, by: Rc<Origin> },
    /// The hook extended_stats is to add to the statistics of a watcher, or of one process of it.
    Extend { ticket: Ticket, name: String, process: Option<Pid>, answer: Map },
    /// The answer to a request, or why there is none.
    Answer(Ticket, Result<Map, Refusal>),
    /// Nobody waits for the answers to these requests any more.
    Withdrawn(Vec<Ticket>),
    /// Clients follow the output of these watchers, and of no others.
    Follow(Vec<WatcherId>),
}

/// What all parts read.
pub struct Setup {
    /// What holds of `[circus]`.
    pub options: CircusOptions,
    /// Who may do what.
    pub access: Access,
    /// The directory that circus was started in, from which its configuration is read.
    pub cwd: String,
    /// The bound sockets, by name.
    pub sockets: Vec<Offered>,
    /// Where the control socket is, or `none`.
    pub endpoint: String,
    /// Where Circus's clients give commands and where they get events, as they write it.
    pub addresses: (String, String),
}

/// What the loop has that its parts see through [`Cx`].
pub struct Core {
    pub(crate) arbiter: Arbiter,
    pub(crate) log: Log,
    pub(crate) setup: Setup,
    pub(crate) host: Host,
    pub(crate) now: Instant,
    /// How long the turns took.
    pub(crate) turns: Durations,
    pub(super) poll: Poll,
    pub(super) effects: VecDeque<Effect>,
    origin: Instant,
}

impl Core {
    /// Begins now.
    ///
    /// # Errors
    /// The kernel has no epoll(7) left.
    pub fn new(arbiter: Arbiter, log: Log, setup: Setup, host: Host) -> io::Result<Core> {
        let (poll, now) = (Poll::new()?, Instant::now());
        let turns = Durations::default();
        Ok(Core { arbiter, log, setup, host, now, turns, poll, effects: VecDeque::new(), origin: now })
    }

    /// What a part sees.
    pub fn cx(&mut self, key: Key) -> Cx<'_> {
        Cx {
            now: self.now,
            origin: self.origin,
            arbiter: &self.arbiter,
            log: &mut self.log,
            setup: &self.setup,
            host: &mut self.host,
            poll: Poller { owner: key as usize, registry: self.poll.registry() },
            effects: &mut self.effects,
        }
    }

    /// Waits for the descriptors of a part, or of an owner that is none.
    pub fn poll(&self, owner: usize) -> Poller<'_> {
        Poller { owner, registry: self.poll.registry() }
    }

    /// The time as the arbiter counts it.
    pub fn time(&self) -> Time {
        counted(self.now, self.origin)
    }

    /// The moment of a time of the arbiter.
    pub fn moment(&self, time: Time) -> Instant {
        self.origin
            .checked_add(Duration::from_nanos(time.0))
            .unwrap_or(self.now + Duration::from_secs(86_400))
    }

    /// The arbiter is to know this, when what goes on is over.
    pub fn event(&mut self, event: Event) {
        self.effects.push_back(Effect::Event(event));
    }
}

/// What a part sees of the rest while it works.
pub struct Cx<'a> {
    /// When this turn has begun, or the last piece of work in it.
    pub now: Instant,
    origin: Instant,
    /// Decides; to be read.
    pub arbiter: &'a Arbiter,
    /// circus's own log.
    pub log: &'a mut Log,
    /// What is configured for all.
    pub setup: &'a Setup,
    /// Makes processes.
    pub host: &'a mut Host,
    /// Waits for its descriptors.
    pub poll: Poller<'a>,
    effects: &'a mut VecDeque<Effect>,
}

impl Cx<'_> {
    /// The time as the arbiter counts it.
    pub fn time(&self) -> Time {
        counted(self.now, self.origin)
    }

    /// The arbiter is to know this.
    pub fn event(&mut self, event: Event) {
        self.effect(Effect::Event(event));
    }

    /// Somebody else is to do this.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }
}

/// The arbiter's time: nanoseconds since the start, from 1 on.
fn counted(now: Instant, origin: Instant) -> Time {
    let since = now.saturating_duration_since(origin);
    Time(1 + u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Has the kernel tell of the descriptors of one part.
#[derive(Clone, Copy)]
pub struct Poller<'a> {
    owner: usize,
    registry: &'a Registry,
}

impl<'a> Poller<'a> {
    /// One for a test: whose descriptors they are does not matter.
    #[cfg(test)]
    pub fn of(registry: &'a Registry) -> Poller<'a> {
        Poller { owner: 0, registry }
    }

    /// Has [`Part::ready`] called with this number when a descriptor has something to read. mio reports edges.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn watch(&self, fd: RawFd, id: u32) -> io::Result<()> {
        self.register(fd, id, Interest::READABLE)
    }

    /// The same, also when there is room to write.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn watch_both(&self, fd: RawFd, id: u32) -> io::Result<()> {
        self.register(fd, id, Interest::READABLE | Interest::WRITABLE)
    }

    /// When there is room to write, and not otherwise.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn watch_room(&self, fd: RawFd, id: u32) -> io::Result<()> {
        self.register(fd, id, Interest::WRITABLE)
    }

    fn register(&self, fd: RawFd, id: u32, interest: Interest) -> io::Result<()> {
        self.registry.register(&mut SourceFd(&fd), token(self.owner, id), interest)
    }

    /// Stops waiting for a descriptor that is about to be closed or has nothing to say.
    pub fn unwatch(&self, fd: RawFd) {
        // It fails only when the descriptor was not registered, and then there is nothing to undo.
        let _ = self.registry.deregister(&mut SourceFd(&fd));
    }
}

/// The token by which the kernel names a descriptor of a part.
fn token(owner: usize, id: u32) -> Token {
    Token((id as usize) << KEY_BITS | owner)
}

/// The number of a part in its list, and that of its descriptor.
pub(super) fn owner(token: Token) -> (usize, u32) {
    let mask = (1 << KEY_BITS) - 1;
    (token.0 & mask, (token.0 >> KEY_BITS) as u32)
}
