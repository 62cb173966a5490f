//! WatchDog: ends processes that have not been heard of for too long.
//!
//! Processes send datagrams that say which process they are about. circus looks whenever `loop_rate` is over, as long as
//! there is somebody to look at; each process has `max_count` such periods since its spawn or its last message.
//! Plugins are not looked at.

use super::builtin::{Builtin, Input, Notice, Pace, What, Wish, World, Wrong};
use crate::arbiter::request::{Matching, Order};
use crate::arbiter::time::Time;
use crate::arbiter::{Level, Pid};
use crate::config::builtin::Settings;
use crate::config::url;
use crate::daemon::matching::Matcher;
use crate::sorted::Sorted;
use crate::sys::regex::Regex;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The plugin.
pub struct WatchDog {
    pace: Pace,
    watchers: Matcher,
    message: Regex,
    patience: f64,
    address: SocketAddr,
    signum: Option<i32>,
    graceful_timeout: Option<f64>,
    bound: bool,
    pids: Sorted<Pid, Watched>,
}

/// A process that must be heard of.
struct Watched {
    watcher: String,
    heard: Time,
}

impl WatchDog {
    /// The plugin with these options.
    ///
    /// # Errors
    /// One of the expressions is none, or does not say which process a message is about.
    pub fn new(settings: &Settings<'_>) -> Result<WatchDog, Wrong> {
        let pace = Pace::new(settings);
        let ip = url::ip(settings.text("ip")).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let watchers = Matcher::new(unquoted(settings.text("watchers_regex")), Matching::Regex);
        let message = unquoted(settings.text("msg_regex"));
        if !message.contains("(?P<pid>") {
            return Err(("msg_regex", format!("{message}: it has no group (?P<pid>...)")));
        }
        Ok(WatchDog {
            pace,
            watchers: watchers.map_err(|why| ("watchers_regex", why))?,
            message: Regex::new(message).map_err(|why| ("msg_regex", format!("{message}: {why}")))?,
            patience: pace.every() * settings.whole("max_count") as f64,
            address: SocketAddr::new(ip, u16::try_from(settings.whole("port")).unwrap_or(0)),
            signum: settings.signal("watchers_stop_signal"),
            graceful_timeout: settings.number("watchers_graceful_timeout"),
            bound: false,
            pids: Sorted::new(),
        })
    }

    fn watch(&mut self, now: Time, watcher: &str, pid: Pid, world: &dyn World) {
        let is_plugin = world.config(watcher).is_some_and(|config| config.plugin.is_some());
        if is_plugin || !self.watchers.matches(watcher) {
            return;
        }
        self.pids.insert(pid, Watched { watcher: watcher.into(), heard: now });
        if !self.pace.goes() {
            self.pace.wind(now);
        }
    }

    fn hear(&mut self, now: Time, message: &[u8], wishes: &mut Vec<Wish>) {
        let pid = self
            .message
            .captures(message)
            .filter(|found| found.get(0).is_some_and(|all| message.starts_with(all)));
        let pid =
            pid.and_then(|found| std::str::from_utf8(found.name("pid")?).ok()?.trim().parse::<Pid>().ok());
        match pid.map(|pid| (pid, self.pids.get_mut(&pid))) {
            Some((_, Some(watched))) => watched.heard = now,
            Some((pid, None)) => {
                let text = format!("a message about {pid}, which is not looked at");
                wishes.push(Wish::Log(Level::Debug, text));
            }
            None => {
                let text = "a message does not match msg_regex, or has no pid".to_string();
                wishes.push(Wish::Trouble("message", text));
            }
        }
    }

    fn look(&mut self, now: Time, wishes: &mut Vec<Wish>) {
        let is_silent = |watched: &Watched| now.since(watched.heard) >= self.patience;
        let silent: Vec<Pid> =
            self.pids.iter().filter(|(_, watched)| is_silent(watched)).map(|(pid, _)| *pid).collect();
        for pid in silent {
            let Some(Watched { watcher, .. }) = self.pids.remove(&pid) else { continue };
            let text = format!("{watcher}: process {pid} is ended: nothing was heard of it");
            wishes.push(Wish::Log(Level::Warning, text));
            wishes.push(Wish::Order(Order::Kill {
                name: watcher,
                pid: Some(pid),
                signum: self.signum,
                graceful_timeout: self.graceful_timeout,
                waiting: false,
            }));
        }
        if !self.bound {
            wishes.push(Wish::Bind(self.address));
        }
    }
}

/// Text without the quotes around it, which Circus would look for.
fn unquoted(text: &str) -> &str {
    let within = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

impl Builtin for WatchDog {
    fn handle(&mut self, now: Time, input: Input<'_>, world: &mut dyn World, wishes: &mut Vec<Wish>) {
        match input {
            Input::Begin => {
                wishes.push(Wish::Bind(self.address));
                for (watcher, _) in world.watchers() {
                    for pid in world.processes(&watcher).unwrap_or_default() {
                        self.watch(now, &watcher, pid, world);
                    }
                }
            }
            Input::Event(Notice { watcher, what, .. }) => match what {
                What::Spawned(pid) => self.watch(now, watcher, pid, world),
                What::Died { pid, .. } => drop(self.pids.remove(&pid)),
                What::Started | What::Removed | What::Other => {}
            },
            Input::Bound(Ok(address)) => {
                self.bound = true;
                wishes.push(Wish::Mended("bind", format!("listens at {address} again")));
                wishes.push(Wish::Log(Level::Info, format!("listens at UDP {address}")));
            }
            Input::Bound(Err(why)) => {
                // Nobody can be heard of, so nobody is silent.
                self.pids.values_mut().for_each(|watched| watched.heard = now);
                self.pace.wind(now);
                wishes.push(Wish::Trouble("bind", format!("cannot listen at UDP {}: {why}", self.address)));
            }
            Input::Datagram(message) => self.hear(now, message, wishes),
            Input::Due => {
                self.pace.wind(now);
                self.look(now, wishes);
                if self.pids.is_empty() && self.bound {
                    self.pace.stop();
                }
            }
            Input::End | Input::Ordered(_) | Input::Answer(_) => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.pace.next()
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::make;
    use super::super::builtin::tests::{Fake, Play, orders};
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
        let (mut play, wishes) = Play::begin(model::Builtin::WatchDog, &all, world);
        assert!(matches!(&wishes[..], [Wish::Bind(_)]));
        play.tell(Input::Bound(Ok("127.0.0.1:1664".parse().unwrap())));
        play
    }

    fn killed(wishes: &[Wish]) -> Vec<(String, Pid)> {
        let one = |order| match order {
            Order::Kill { name, pid: Some(pid), .. } => (name, pid),
            order => panic!("{order:?}"),
        };
        orders(wishes).into_iter().map(one).collect()
    }

    #[test]
    fn all_that_are_silent_are_ended_and_those_that_speak_are_not() {
        let mut play = play(&[("watchers_regex", "we")]);
        assert_eq!(killed(&play.pass(1.5)), []);
        assert_eq!(play.tell(Input::Datagram(b"2;12:00")), []);
        play.event("web", "spawn", What::Spawned(4));
        play.event("plugin:p", "spawn", What::Spawned(9));
        assert_eq!(killed(&play.pass(1.0)), [("web".into(), 1)]);
        play.tell(Input::Datagram(b"4;12:00"));
        play.event("web", "reap", What::Died { pid: 2, by_itself: true, others: true });
        assert_eq!(killed(&play.pass(1.0)), []);
        assert_eq!(killed(&play.pass(10.0)), [("web".into(), 4)]);
        assert_eq!(play.plugin.deadline(), None, "nobody is left to look at");
        play.event("web", "spawn", What::Spawned(5));
        play.event("web", "spawn", What::Spawned(6));
        assert_eq!(killed(&play.pass(2.0)), [("web".into(), 5), ("web".into(), 6)]);
    }

    #[test]
    fn plugins_are_not_looked_at_and_all_others_are() {
        let mut play = play(&[]);
        play.event("plugin:p", "spawn", What::Spawned(9));
        assert_eq!(killed(&play.pass(5.0)).len(), 3);
    }

    #[test]
    fn the_signal_and_the_patience_are_its_own() {
        let options = [("watchers_stop_signal", "QUIT"), ("watchers_graceful_timeout", "1.5")];
        let mut play = play(&options);
        let wishes = play.pass(2.0);
        let first = orders(&wishes).remove(0);
        assert!(
            matches!(first, Order::Kill { signum: Some(3), graceful_timeout: Some(1.5), .. }),
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
            let config = WatcherConfig { free, plugin, ..WatcherConfig::default() };
            assert_eq!(make(&config).unwrap().err().unwrap().0, key);
        }
    }

    #[test]
    fn without_a_socket_nobody_is_silent() {
        let mut play = play(&[]);
        play.tell(Input::Bound(Err("Address already in use".into())));
        let (mut other, _) = Play::begin(model::Builtin::WatchDog, &[("loop_rate", "1")], Fake::default());
        other.world.processes.insert("web".into(), vec![1]);
        assert!(matches!(&other.tell(Input::Bound(Err("no".into())))[..], [Wish::Trouble("bind", _)]));
        assert!(matches!(&other.pass(1.0)[..], [Wish::Bind(_)]), "it tries again");
    }
}
