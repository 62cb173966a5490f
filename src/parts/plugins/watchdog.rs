//! WatchDog: ends processes that have not been heard of for too long.
//!
//! Processes send datagrams that say which process they are about. circus looks whenever `loop_rate` is over, as long as
//! there is somebody to look at; each process has `max_count` such periods since its spawn or its last message.
//! Plugins are not looked at.

use super::builtin::{Builtin, Input, Wrong, rate};
use super::world::World;
use crate::arbiter::request::{Matching, Task};
use crate::arbiter::time::Time;
use crate::arbiter::{Level, Pid, Published};
use crate::config::builtin::Settings;
use crate::config::ini::shorten;
use crate::config::regex::Regex;
use crate::config::{number, url};
use crate::control::matching::Matcher;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The plugin.
pub struct WatchDog {
    /// Seconds between two looks.
    every: f64,
    watchers: Matcher,
    message: Regex,
    patience: f64,
    address: SocketAddr,
    signum: Option<i32>,
    graceful_timeout: Option<f64>,
    bound: bool,
    processes: Vec<Watched>,
}

/// A process that must be heard of.
struct Watched {
    pid: Pid,
    watcher: String,
    heard: Time,
}

impl WatchDog {
    /// The plugin with these options.
    ///
    /// # Errors
    /// One of the expressions is none, or does not say which process a message is about.
    pub fn new(settings: &Settings<'_>) -> Result<WatchDog, Wrong> {
        let every = rate(settings).unwrap_or(60.0);
        let ip = url::ip(settings.text("ip")).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let watchers = Matcher::new(unquoted(settings.text("watchers_regex")), Matching::Regex);
        let message = unquoted(settings.text("msg_regex"));
        if !message.contains("(?P<pid>") {
            return Err(("msg_regex", format!("{}: it has no group (?P<pid>...)", shorten(message))));
        }
        Ok(WatchDog {
            every,
            watchers: watchers.map_err(|why| ("watchers_regex", why))?,
            message: Regex::new(message)
                .map_err(|why| ("msg_regex", format!("{}: {why}", shorten(message))))?,
            patience: every * settings.whole("max_count") as f64,
            address: SocketAddr::new(ip, u16::try_from(settings.whole("port")).unwrap_or(0)),
            signum: settings.signal("watchers_stop_signal"),
            graceful_timeout: settings.number("watchers_graceful_timeout"),
            bound: false,
            processes: Vec::new(),
        })
    }

    fn watch(&mut self, watcher: &str, pid: Pid, world: &mut dyn World) {
        let is_plugin = world.config(watcher).is_some_and(|config| config.plugin.is_some());
        if is_plugin || !self.watchers.matches(watcher) {
            return;
        }
        let now = world.now();
        if self.processes.is_empty() && self.bound {
            world.wake_at(Some(now.plus(self.every)));
        }
        self.processes.push(Watched { pid, watcher: watcher.into(), heard: now });
    }

    fn hear(&mut self, message: &[u8], world: &mut dyn World) {
        let message = String::from_utf8_lossy(message);
        let pid = self.message.group_at_start(&message, "pid").and_then(|pid| number::whole(pid.trim()));
        match pid.map(|pid| (pid, self.processes.iter_mut().find(|process| i64::from(process.pid) == pid))) {
            Some((_, Some(process))) => process.heard = world.now(),
            Some((pid, None)) => {
                world.log(Level::Debug, format_args!("a message about {pid}, which is not looked at"))
            }
            None => {
                world.trouble("message", format_args!("a message does not match msg_regex, or has no pid"))
            }
        }
    }

    fn look(&mut self, world: &mut dyn World) {
        if !self.bound {
            self.bind(world);
        }
        let (now, patience) = (world.now(), self.patience);
        for process in &self.processes {
            if now.since(process.heard) < patience {
                continue;
            }
            let Watched { pid, watcher, .. } = process;
            let text = format_args!("{watcher}: process {pid} is stopped: it has sent no message in time");
            world.log(Level::Warning, text);
            world.order(Task::Kill {
                name: watcher.clone(),
                pid: Some(*pid),
                signum: self.signum,
                graceful_timeout: self.graceful_timeout,
            });
        }
        self.processes.retain(|process| now.since(process.heard) < patience);
    }

    fn bind(&mut self, world: &mut dyn World) {
        // No process could be heard until now, so none is silent.
        self.processes.iter_mut().for_each(|process| process.heard = world.now());
        match world.bind(self.address) {
            Ok(address) => {
                self.bound = true;
                world.mended("bind", format_args!("the address is free now"));
                world.log(Level::Info, format_args!("listens at UDP {address}"));
            }
            Err(why) => {
                world.trouble("bind", format_args!("cannot listen at UDP {}: {why}", self.address));
            }
        }
    }
}

/// Text without the quotes around it, which Circus would look for.
fn unquoted(text: &str) -> &str {
    let within = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

impl Builtin for WatchDog {
    fn handle(&mut self, input: Input<'_>, world: &mut dyn World) {
        match input {
            Input::Begin => {
                self.bind(world);
                for watcher in world.watchers() {
                    for pid in world.processes(&watcher).unwrap_or_default() {
                        self.watch(&watcher, pid, world);
                    }
                }
            }
            Input::Event(watcher, Published::Spawn { pid }) => self.watch(watcher, *pid, world),
            Input::Event(_, Published::Reap { pid, .. }) => {
                self.processes.retain(|process| process.pid != *pid);
            }
            Input::Datagram(message) => self.hear(message, world),
            Input::Due => self.look(world),
            _ => {}
        }
        if self.processes.is_empty() && self.bound {
            world.wake_at(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::make;
    use super::super::builtin::tests::{Fake, Play, Wish, orders};
    use super::*;
    use crate::config::{Names, PluginKind, WatcherConfig, model};

    /// A plugin that looks each second and has a socket, among two processes.
    fn play(options: &[(&str, &str)]) -> Play {
        let mut world = Fake::default();
        world.processes.insert("web".into(), vec![1, 2]);
        world.processes.insert("other".into(), vec![3]);
        let plugin = Some(PluginKind::Program);
        world.configs.insert("plugin:p".into(), WatcherConfig { plugin, ..WatcherConfig::default() });
        let mut all = vec![("loop_rate", "1"), ("max_count", "2")];
        all.extend(options);
        let (play, wishes) = Play::begin(model::Builtin::WatchDog, &all, world);
        assert!(matches!(&wishes[..], [Wish::Bind(_), Wish::Mended("bind", _), Wish::Log(Level::Info, _)]));
        play
    }

    fn killed(wishes: &[Wish]) -> Vec<(String, Pid)> {
        let one = |order| match order {
            Task::Kill { name, pid: Some(pid), .. } => (name, pid),
            order => panic!("{order:?}"),
        };
        orders(wishes).into_iter().map(one).collect()
    }

    #[test]
    fn all_that_are_silent_are_ended_and_those_that_speak_are_not() {
        let mut play = play(&[("watchers_regex", "we")]);
        assert_eq!(killed(&play.pass(1.5)), []);
        assert_eq!(play.tell(Input::Datagram(b"2;12:00")), []);
        play.spawned("web", 4);
        play.spawned("plugin:p", 9);
        assert_eq!(killed(&play.pass(1.0)), [("web".into(), 1)]);
        play.tell(Input::Datagram(b"4;12:00"));
        play.died("web", 2, Some((1.0, true)));
        assert_eq!(killed(&play.pass(1.0)), []);
        assert_eq!(killed(&play.pass(10.0)), [("web".into(), 4)]);
        assert_eq!(play.world.due, None, "nobody is left to look at");
        play.spawned("web", 5);
        play.spawned("web", 6);
        assert_eq!(killed(&play.pass(2.0)), [("web".into(), 5), ("web".into(), 6)]);
    }

    #[test]
    fn plugins_are_not_looked_at_and_all_others_are() {
        let mut play = play(&[]);
        play.spawned("plugin:p", 9);
        assert_eq!(killed(&play.pass(5.0)).len(), 3);
    }

    #[test]
    fn the_signal_and_the_patience_are_its_own() {
        let options = [("watchers_stop_signal", "QUIT"), ("watchers_graceful_timeout", "1.5")];
        let mut play = play(&options);
        let wishes = play.pass(2.0);
        let first = orders(&wishes).remove(0);
        assert!(
            matches!(first, Task::Kill { signum: Some(3), graceful_timeout: Some(1.5), .. }),
            "{first:?}"
        );
    }

    #[test]
    fn expressions_may_stand_in_quotes_and_must_name_the_process() {
        let mut play = play(&[("msg_regex", "\"^alive (?P<pid>[0-9]+)$\""), ("watchers_regex", "'^web$'")]);
        play.pass(1.5);
        assert_eq!(play.tell(Input::Datagram(b"alive 1")), []);
        assert!(matches!(&play.tell(Input::Datagram(b"alive x"))[..], [Wish::Trouble("message", _)]));
        assert!(matches!(&play.tell(Input::Datagram(&[0xff; 1024]))[..], [Wish::Trouble("message", _)]));
        assert!(matches!(&play.tell(Input::Datagram(b"alive 77"))[..], [Wish::Log(Level::Debug, _)]));
        assert_eq!(killed(&play.pass(1.0)), [("web".into(), 2)]);
        for (key, text) in [("msg_regex", "^(.*)$"), ("msg_regex", "(?P<pid>"), ("watchers_regex", "(")] {
            let free: Names = [(key.to_string(), text.to_string())].into_iter().collect();
            let plugin = Some(PluginKind::Builtin(model::Builtin::WatchDog));
            let config = WatcherConfig { free: free.into(), plugin, ..WatcherConfig::default() };
            assert_eq!(make(&config).unwrap().err().unwrap().0, key);
        }
    }

    #[test]
    fn without_a_socket_nobody_is_silent() {
        let mut world = Fake { refusal: Some("no".to_string().into()), ..Fake::default() };
        world.processes.insert("web".into(), vec![1]);
        let options = [("loop_rate", "1"), ("max_count", "1")];
        let (mut play, wishes) = Play::begin(model::Builtin::WatchDog, &options, world);
        assert!(matches!(&wishes[..], [Wish::Bind(_), Wish::Trouble("bind", _)]));
        play.world.processes.clear();
        assert!(matches!(&play.pass(0.9)[..], []));
        assert_eq!(play.tell(Input::Due).len(), 2, "it tries again");
        play.world.refusal = None;
        assert!(matches!(&play.pass(1.0)[..], [Wish::Bind(_), ..]));
        assert_eq!(killed(&play.pass(0.9)), []);
        assert_eq!(killed(&play.pass(0.1)), [("web".into(), 1)], "it was listened to for long enough");
    }
}
