//! What the plugins that circus has itself have in common: what they are told, what they see, and what they wish for.
//!
//! Each one is a state machine: [`Builtin::handle`] takes an input with the time, and gives wishes; it reads no clock,
//! and what it looks at it gets by [`World`], so that the tests can turn the clock and make up a world. `run` carries
//! the wishes out. They are made of the options of their watcher, and live while it is active.

use super::command_reloader::CommandReloader;
use super::flapping::Flapping;
use super::full_stats::FullStats;
use super::metrics::Metrics;
use super::observer::Observer;
use super::resource_watcher::ResourceWatcher;
use super::statsd::{Statsd, StatsdEmitter};
use super::watchdog::WatchDog;
use super::world::World;
use crate::arbiter::request::{Matching, Select, Task};
use crate::arbiter::time::Time;
use crate::arbiter::{Level, Pid};
use crate::config::builtin::Settings;
use crate::config::url::Place;
use crate::config::{PluginKind, WatcherConfig, model};
use std::fmt::Arguments;
use std::net::SocketAddr;

/// Something that a plugin is told.
pub enum Input<'a> {
    /// It begins.
    Begin,
    /// It is stopped, while circus goes on.
    End,
    /// Something has happened to a watcher.
    Event(WatcherEvent<'a>),
    /// A client has given an order to this watcher, or to all: it knows what it wants.
    Ordered(Option<&'a str>),
    /// The time of [`Builtin::deadline`] has come.
    Due,
    /// [`Wish::Bind`] is done: where the socket is, or why there is none.
    Bound(Result<SocketAddr, String>),
    /// [`Wish::Serve`] is done, or why it cannot be.
    Served(Result<(), String>),
    /// A datagram has come to it.
    Datagram(&'a [u8]),
    /// What came as an answer to [`Wish::Ask`], or why none came.
    Answer(Result<&'a [u8], String>),
    /// circus was short of something for [`Wish::Ask`]: nothing is known.
    NotAsked,
}

/// An event of a watcher.
#[derive(Clone, Copy)]
pub struct WatcherEvent<'a> {
    /// The watcher's name.
    pub watcher: &'a str,
    /// The event, as subscribers know it.
    pub event: &'static str,
    /// What that means here.
    pub what: What,
}

/// What an event means to plugins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// A process was spawned.
    Spawned(Pid),
    /// A process has ended.
    Died {
        /// Which.
        pid: Pid,
        /// Nobody has asked it to.
        by_itself: bool,
        /// For how many seconds it has lived.
        lived: f64,
        /// Others of the watcher run.
        others: bool,
    },
    /// The watcher is active.
    Started,
    /// The watcher was reloaded.
    Reloaded,
    /// The watcher is gone.
    Removed,
    /// Anything else.
    Other,
}

/// Something that a plugin wants to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// Give this order, as a client does.
    Order(Task),
    /// Restart a watcher, if it runs: what somebody has stopped stays so.
    Restart(String),
    /// Write to the log.
    Log(Level, String),
    /// Write to the log once until [`Wish::Mended`]; the first text is the cause.
    Trouble(&'static str, String),
    /// What the cause stands for is over; the text says so.
    Mended(&'static str, String),
    /// Send a datagram.
    Send(SocketAddr, String),
    /// Listen to datagrams here, then [`Input::Bound`].
    Bind(SocketAddr),
    /// Connect there and send this, then [`Input::Answer`] when [`Builtin::is_complete`], or the other side has closed
    /// the connection.
    Ask(Place, Vec<u8>),
    /// Serve what circus measures there, then [`Input::Served`].
    Serve(Place),
    /// Forget about that: no answer is wanted any more.
    HangUp,
}

/// The wishes of a plugin, in their order. The methods are never inlined: it is the many callers that cost.
#[derive(Default)]
pub struct Wishes(pub Vec<Wish>);

impl Wishes {
    /// Adds one.
    #[inline(never)]
    pub fn add(&mut self, wish: Wish) {
        self.0.push(wish);
    }

    /// Adds [`Wish::Order`].
    #[inline(never)]
    pub fn order(&mut self, order: Task) {
        self.add(Wish::Order(order));
    }

    /// Adds [`Wish::Restart`].
    #[inline(never)]
    pub fn restart(&mut self, watcher: &str) {
        self.add(Wish::Restart(watcher.into()));
    }

    /// Adds [`Wish::Log`].
    #[inline(never)]
    pub fn log(&mut self, level: Level, text: Arguments<'_>) {
        self.add(Wish::Log(level, text.to_string()));
    }

    /// Adds [`Wish::Trouble`].
    #[inline(never)]
    pub fn trouble(&mut self, cause: &'static str, text: Arguments<'_>) {
        self.add(Wish::Trouble(cause, text.to_string()));
    }

    /// Adds [`Wish::Mended`].
    #[inline(never)]
    pub fn mended(&mut self, cause: &'static str, text: Arguments<'_>) {
        self.add(Wish::Mended(cause, text.to_string()));
    }
}

/// A plugin that looks at the world again and again.
pub trait Look {
    /// Looks, and says what is to be done.
    fn look(&mut self, world: &mut dyn World, wishes: &mut Wishes);

    /// Takes in something else.
    fn hear(&mut self, _input: Input<'_>, _world: &mut dyn World) {}
}

/// Such a plugin, and when it looks next.
pub struct Paced(Pace, Box<dyn Look>);

impl Paced {
    /// It looks as often as the option `loop_rate` says.
    pub fn new(settings: &Settings<'_>, plugin: impl Look + 'static) -> Paced {
        Paced(Pace::new(settings), Box::new(plugin))
    }
}

impl Builtin for Paced {
    fn handle(&mut self, now: Time, input: Input<'_>, world: &mut dyn World, wishes: &mut Wishes) {
        let Paced(pace, plugin) = self;
        if matches!(input, Input::Begin | Input::Due) {
            pace.wind(now);
        }
        match input {
            Input::Due => plugin.look(world, wishes),
            other => plugin.hear(other, world),
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.0.next()
    }
}

/// A plugin that circus has itself.
pub trait Builtin {
    /// Takes in something and says what is to be done.
    fn handle(&mut self, now: Time, input: Input<'_>, world: &mut dyn World, wishes: &mut Wishes);

    /// When [`Input::Due`] is due.
    fn deadline(&self) -> Option<Time> {
        None
    }

    /// Whether the answer to [`Wish::Ask`] is there as a whole.
    fn is_complete(&self, _answer: &[u8]) -> bool {
        true
    }
}

/// Why a plugin cannot be made: a key, and what is wrong with its value.
pub type Wrong = (&'static str, String);

/// Makes the plugin of a watcher; `None` when it is none of these.
pub fn make(config: &WatcherConfig) -> Option<Result<Box<dyn Builtin>, Wrong>> {
    let Some(PluginKind::Builtin(builtin)) = config.plugin else { return None };
    Some(build(builtin, config))
}

fn build(builtin: model::Builtin, config: &WatcherConfig) -> Result<Box<dyn Builtin>, Wrong> {
    let settings = &Settings::new(builtin, &config.free);
    Ok(match builtin {
        model::Builtin::Flapping => Box::new(Flapping::new(&config.free)),
        model::Builtin::ResourceWatcher => Box::new(Paced::new(settings, ResourceWatcher::new(settings))),
        model::Builtin::WatchDog => Box::new(WatchDog::new(settings)?),
        model::Builtin::CommandReloader => Box::new(Paced::new(settings, CommandReloader::default())),
        model::Builtin::StatsdEmitter => Box::new(StatsdEmitter(Statsd::new(settings))),
        model::Builtin::FullStats => Box::new(Paced::new(settings, FullStats(Statsd::new(settings)))),
        model::Builtin::HttpObserver => Box::new(Observer::http(settings)?),
        model::Builtin::RedisObserver => Box::new(Observer::redis(settings)?),
        model::Builtin::Metrics => Box::new(Metrics::new(settings)?),
    })
}

/// The watcher of exactly this name.
pub fn only(name: &str) -> Select {
    Select::Match { pattern: name.to_string(), how: Matching::Simple }
}

/// A clock that strikes every so many seconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    every: f64,
    next: Option<Time>,
}

impl Pace {
    /// A clock that does not go yet.
    pub fn new(settings: &Settings<'_>) -> Pace {
        // No plugin may wake circus more often than a hundred times a second.
        Pace::of(settings.number("loop_rate").unwrap_or(60.0).max(0.01))
    }

    /// A clock for so many seconds that does not go yet.
    pub fn of(every: f64) -> Pace {
        Pace { every, next: None }
    }

    /// Seconds between two strokes.
    pub fn every(&self) -> f64 {
        self.every
    }

    /// The next stroke comes after that time.
    #[inline(never)]
    pub fn wind(&mut self, now: Time) {
        self.next = Some(now.plus(self.every));
    }

    /// A stroke that was missed is left out.
    pub fn catch_up(&mut self, now: Time) {
        if self.next.is_some_and(|at| at <= now) {
            self.wind(now);
        }
    }

    /// It stands still from now on.
    pub fn stop(&mut self) {
        self.next = None;
    }

    /// Whether it goes.
    pub fn goes(&self) -> bool {
        self.next.is_some()
    }

    /// When it strikes.
    pub fn next(&self) -> Option<Time> {
        self.next
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{Names, model};
    use crate::parts::plugins::world::Stamp;
    use crate::sorted::Sorted;
    use crate::views::usage::Usage;
    use std::path::PathBuf;

    /// A world that is made up.
    #[derive(Default)]
    pub struct Fake {
        pub processes: Sorted<String, Vec<Pid>>,
        pub children: Sorted<Pid, Vec<Pid>>,
        pub usages: Sorted<Pid, Usage>,
        pub configs: Sorted<String, WatcherConfig>,
        pub commands: Sorted<String, Vec<PathBuf>>,
        pub stamps: Sorted<PathBuf, Stamp>,
    }

    impl World for Fake {
        fn watchers(&self) -> Vec<String> {
            self.processes.keys().cloned().collect()
        }
        fn processes(&self, watcher: &str) -> Option<Vec<Pid>> {
            self.processes.get(watcher).cloned()
        }
        fn children(&self, pid: Pid) -> Vec<Pid> {
            self.children.get(&pid).cloned().unwrap_or_default()
        }
        fn usage(&mut self, pid: Pid) -> Option<Usage> {
            self.usages.get(&pid).copied()
        }
        fn config(&self, watcher: &str) -> Option<&WatcherConfig> {
            self.configs.get(watcher)
        }
        fn command(&self, watcher: &str) -> Vec<PathBuf> {
            self.commands.get(watcher).cloned().unwrap_or_default()
        }
        fn stamp(&self, files: &[PathBuf]) -> Option<Stamp> {
            files.iter().map(|file| self.stamps.get(file).copied()).sum()
        }
    }

    /// A plugin with its clock and its world.
    pub struct Play {
        pub plugin: Box<dyn Builtin>,
        pub now: Time,
        pub world: Fake,
    }

    impl Play {
        /// A plugin with these options, which has begun; the wishes that it began with.
        pub fn begin(builtin: model::Builtin, options: &[(&str, &str)], world: Fake) -> (Play, Vec<Wish>) {
            let free: Names = options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let plugin = Some(PluginKind::Builtin(builtin));
            let config = WatcherConfig { free, plugin, ..WatcherConfig::default() };
            let plugin = make(&config).unwrap().map_err(|(key, why)| format!("{key}: {why}")).unwrap();
            let mut play = Play { plugin, now: Time(1_000_000_000), world };
            let wishes = play.tell(Input::Begin);
            (play, wishes)
        }

        pub fn tell(&mut self, input: Input<'_>) -> Vec<Wish> {
            let mut wishes = Wishes::default();
            self.plugin.handle(self.now, input, &mut self.world, &mut wishes);
            wishes.0
        }

        pub fn event(&mut self, watcher: &str, event: &'static str, what: What) -> Vec<Wish> {
            self.tell(Input::Event(WatcherEvent { watcher, event, what }))
        }

        /// Lets time pass, and tells it what is due meanwhile.
        pub fn pass(&mut self, seconds: f64) -> Vec<Wish> {
            let end = self.now.plus(seconds);
            let mut wishes = Vec::new();
            while let Some(at) = self.plugin.deadline().filter(|at| *at <= end) {
                assert!(at >= self.now, "a deadline in the past");
                self.now = at;
                wishes.extend(self.tell(Input::Due));
                assert!(self.plugin.deadline().is_none_or(|next| next > at), "it would be due for ever");
            }
            self.now = end;
            wishes
        }
    }

    /// The orders among wishes.
    pub fn orders(wishes: &[Wish]) -> Vec<Task> {
        let order = |wish: &Wish| if let Wish::Order(order) = wish { Some(order.clone()) } else { None };
        wishes.iter().filter_map(order).collect()
    }

    /// The datagrams among wishes, as text.
    pub fn sent(wishes: &[Wish]) -> Vec<String> {
        let text = |wish: &Wish| match wish {
            Wish::Send(_, text) => Some(text.clone()),
            _ => None,
        };
        wishes.iter().filter_map(text).collect()
    }
}
