//! What the plugins that circus has itself have in common: what they are told, and what they are made of.
//!
//! Each one is a state machine that takes in what it is told. All that it sees and does it has from its [`World`], the time
//! too, so that the tests can turn the clock and make up a world. They are made of the options of their watcher, and live
//! while it is active.

use super::command_reloader::CommandReloader;
use super::flapping::Flapping;
use super::full_stats::FullStats;
use super::metrics::Metrics;
use super::observer::Observer;
use super::resource_watcher::ResourceWatcher;
use super::statsd::{Statsd, StatsdEmitter};
use super::watchdog::WatchDog;
use super::world::World;
use crate::arbiter::Published;
use crate::arbiter::request::{Matching, Select};
use crate::config::builtin::Settings;
use crate::config::{Names, PluginKind, WatcherConfig, model};
use crate::host::trouble::Trouble;

/// Something that a plugin is told.
pub enum Input<'a> {
    /// It begins.
    Begin,
    /// It is stopped, while circus goes on.
    End,
    /// Something has happened to the watcher of this name.
    Event(&'a str, &'a Published),
    /// A client has given an order to this watcher, or to all: it knows what it wants.
    Ordered(Option<&'a str>),
    /// The time of [`World::wake_at`] has come.
    Due,
    /// A datagram has come to the socket of [`World::bind`].
    Datagram(&'a [u8]),
    /// What came as an answer to [`World::ask`], or why none came.
    Answer(Result<&'a [u8], Trouble>),
}

/// A plugin that circus has itself.
pub trait Builtin {
    /// Takes in something and does what is to be done.
    fn handle(&mut self, input: Input<'_>, world: &mut dyn World);

    /// Whether the answer to [`World::ask`] is there as a whole.
    fn is_complete(&self, _answer: &[u8]) -> bool {
        true
    }
}

/// Such a plugin, and how often it looks at the world if it does so again and again.
pub struct Plugin {
    every: Option<f64>,
    builtin: Box<dyn Builtin>,
}

impl Plugin {
    /// Tells it something.
    pub fn tell(&mut self, input: Input<'_>, world: &mut dyn World) {
        if matches!(input, Input::Begin | Input::Due) {
            world.wake_at(self.every.map(|every| world.now().plus(every)));
        }
        self.builtin.handle(input, world);
    }

    /// As [`Builtin::is_complete`].
    pub fn is_complete(&self, answer: &[u8]) -> bool {
        self.builtin.is_complete(answer)
    }
}

/// Why a plugin cannot be made: a key, and what is wrong with its value.
pub type Wrong = (&'static str, String);

/// Makes the plugin of a watcher; `None` when it is none of these.
pub fn make(config: &WatcherConfig) -> Option<Result<Plugin, Wrong>> {
    let Some(PluginKind::Builtin(builtin)) = config.plugin else { return None };
    let settings = Settings::new(builtin, &config.free);
    let every = rate(&settings).filter(|_| builtin.rows().any(|row| row.key == RATE));
    Some(build(builtin, &settings, &config.free).map(|builtin| Plugin { every, builtin }))
}

fn build(kind: model::Builtin, settings: &Settings<'_>, options: &Names) -> Result<Box<dyn Builtin>, Wrong> {
    Ok(match kind {
        model::Builtin::Flapping => Box::new(Flapping::new(options)),
        model::Builtin::ResourceWatcher => Box::new(ResourceWatcher::new(settings)),
        model::Builtin::WatchDog => Box::new(WatchDog::new(settings)?),
        model::Builtin::CommandReloader => Box::new(CommandReloader::default()),
        model::Builtin::StatsdEmitter => Box::new(StatsdEmitter(Statsd::new(settings))),
        model::Builtin::FullStats => Box::new(FullStats(Statsd::new(settings))),
        model::Builtin::HttpObserver => Box::new(Observer::http(settings)?),
        model::Builtin::RedisObserver => Box::new(Observer::redis(settings)?),
        model::Builtin::Metrics => Box::new(Metrics::new(settings)?),
    })
}

/// The option that says how often a plugin looks.
const RATE: &str = "loop_rate";

/// Seconds between two looks. No plugin may wake circus more often than a hundred times a second.
pub fn rate(settings: &Settings<'_>) -> Option<f64> {
    settings.number(RATE).map(|every| every.max(0.01))
}

/// The watcher of exactly this name.
pub fn only(name: &str) -> Select {
    Select::Match { pattern: name.to_string(), how: Matching::Simple }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::arbiter::process::Exit;
    use crate::arbiter::request::Task;
    use crate::arbiter::time::Time;
    use crate::arbiter::{Level, Pid};
    use crate::config::model;
    use crate::config::url::Place;
    use crate::parts::plugins::world::Stamp;
    use crate::sorted::Sorted;
    use crate::views::samples::Usage;
    use std::fmt::Arguments;
    use std::net::SocketAddr;
    use std::path::PathBuf;

    /// Something that a plugin has done.
    #[derive(Clone, Debug, PartialEq)]
    pub enum Wish {
        Order(Task),
        Restart(String),
        Log(Level, String),
        Trouble(&'static str, String),
        Mended(&'static str, String),
        Send(SocketAddr, String),
        Bind(SocketAddr),
        Ask(Place, Vec<u8>),
        Serve(Place),
        HangUp,
    }

    /// A world that is made up.
    #[derive(Default)]
    pub struct Fake {
        pub processes: Sorted<String, Vec<Pid>>,
        pub children: Sorted<Pid, Vec<Pid>>,
        pub usages: Sorted<Pid, Usage>,
        pub configs: Sorted<String, WatcherConfig>,
        pub commands: Sorted<String, Vec<PathBuf>>,
        pub stamps: Sorted<PathBuf, Stamp>,
        pub death: Option<(f64, bool)>,
        /// Why no socket can be had.
        pub refusal: Option<Trouble>,
        pub now: Time,
        pub due: Option<Time>,
        pub done: Vec<Wish>,
    }

    impl Fake {
        fn try_to(&mut self, wish: Wish) -> Result<(), Trouble> {
            self.done.push(wish);
            self.refusal.clone().map_or(Ok(()), Err)
        }
    }

    impl World for Fake {
        fn now(&self) -> Time {
            self.now
        }
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
        fn death(&self, _: &str, _: Pid) -> Option<(f64, bool)> {
            self.death
        }
        fn wake_at(&mut self, at: Option<Time>) {
            self.due = at;
        }
        fn order(&mut self, task: Task) {
            self.done.push(Wish::Order(task));
        }
        fn restart(&mut self, watcher: &str) {
            self.done.push(Wish::Restart(watcher.into()));
        }
        fn log(&mut self, level: Level, text: Arguments<'_>) {
            self.done.push(Wish::Log(level, text.to_string()));
        }
        fn trouble(&mut self, cause: &'static str, text: Arguments<'_>) {
            self.done.push(Wish::Trouble(cause, text.to_string()));
        }
        fn mended(&mut self, cause: &'static str, text: Arguments<'_>) {
            self.done.push(Wish::Mended(cause, text.to_string()));
        }
        fn send(&mut self, to: SocketAddr, text: String) {
            self.done.push(Wish::Send(to, text));
        }
        fn bind(&mut self, address: SocketAddr) -> Result<SocketAddr, String> {
            self.try_to(Wish::Bind(address)).map(|()| address).map_err(|trouble| trouble.why)
        }
        fn ask(&mut self, place: &Place, question: &[u8]) -> Result<(), Trouble> {
            self.try_to(Wish::Ask(place.clone(), question.to_vec()))
        }
        fn hang_up(&mut self) {
            self.done.push(Wish::HangUp);
        }
        fn serve(&mut self, place: &Place) -> Result<(), String> {
            self.try_to(Wish::Serve(place.clone())).map_err(|trouble| trouble.why)
        }
    }

    /// A plugin in its world.
    pub struct Play {
        pub plugin: Plugin,
        pub world: Fake,
    }

    impl Play {
        /// A plugin with these options, which has begun; what it began with.
        pub fn begin(builtin: model::Builtin, options: &[(&str, &str)], world: Fake) -> (Play, Vec<Wish>) {
            let free: Names = options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let plugin = Some(PluginKind::Builtin(builtin));
            let config = WatcherConfig { free: free.into(), plugin, ..WatcherConfig::default() };
            let plugin = make(&config).unwrap().map_err(|(key, why)| format!("{key}: {why}"));
            let world = Fake { now: Time(1_000_000_000), ..world };
            let mut play = Play { plugin: plugin.ok().unwrap(), world };
            let wishes = play.tell(Input::Begin);
            (play, wishes)
        }

        pub fn tell(&mut self, input: Input<'_>) -> Vec<Wish> {
            self.plugin.tell(input, &mut self.world);
            std::mem::take(&mut self.world.done)
        }

        pub fn event(&mut self, watcher: &str, what: Published) -> Vec<Wish> {
            self.tell(Input::Event(watcher, &what))
        }

        /// A process of a watcher is there.
        pub fn spawned(&mut self, watcher: &str, pid: Pid) -> Vec<Wish> {
            self.event(watcher, Published::Spawn { pid })
        }

        /// A process of a watcher ends: by itself if it is said how long it has lived and whether others live on.
        pub fn died(&mut self, watcher: &str, pid: Pid, death: Option<(f64, bool)>) -> Vec<Wish> {
            self.world.death = death;
            self.event(watcher, Published::Reap { pid, exit: Exit::Code(0), oom: false })
        }

        /// Lets time pass, and tells it what is due meanwhile.
        pub fn pass(&mut self, seconds: f64) -> Vec<Wish> {
            let end = self.world.now.plus(seconds);
            let mut wishes = Vec::new();
            while let Some(at) = self.world.due.filter(|at| *at <= end) {
                assert!(at >= self.world.now, "a deadline in the past");
                self.world.now = at;
                wishes.extend(self.tell(Input::Due));
                assert!(self.world.due.is_none_or(|next| next > at), "it would be due for ever");
            }
            self.world.now = end;
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
