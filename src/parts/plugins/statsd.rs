//! What statsd is sent, a datagram for each value; and StatsdEmitter, which counts the events of all watchers.
//!
//! Names are `circus.APP.watcher.REST`. In the name of a watcher the characters that mean something to statsd become
//! `_`. A sample rate below 1 is kept: of so many counts and times only that part is sent.

use super::builtin::{Builtin, Input};
use super::world::World;
use crate::config::builtin::Settings;
use crate::config::url;
use crate::control::topics;
use std::fmt::Arguments;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A statsd server and what it is told of.
pub struct Statsd {
    to: SocketAddr,
    app: String,
    rate: f64,
    /// What says that only a part is sent.
    mark: String,
    /// What of the next count has to be sent: when it is 1, it is sent.
    due: f64,
}

impl Statsd {
    /// The server that a plugin's options name.
    pub fn new(settings: &Settings<'_>) -> Statsd {
        let ip = url::ip(settings.text("host")).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = u16::try_from(settings.whole("port")).unwrap_or(0);
        let rate = settings.number("sample_rate").unwrap_or(1.0);
        Statsd {
            to: SocketAddr::new(ip, port),
            app: settings.text("application_name").into(),
            rate,
            mark: if rate < 1.0 { format!("|@{}", settings.text("sample_rate")) } else { String::new() },
            due: 0.0,
        }
    }

    /// One more of something.
    pub fn count(&mut self, name: Arguments<'_>, world: &mut dyn World) {
        self.sample(name, format_args!("1|c"), world);
    }

    /// How long something took, in milliseconds.
    pub fn time(&mut self, name: Arguments<'_>, milliseconds: u64, world: &mut dyn World) {
        self.sample(name, format_args!("{milliseconds}|ms"), world);
    }

    /// How much there is of something.
    pub fn gauge(&self, name: Arguments<'_>, value: &str, world: &mut dyn World) {
        self.send(name, format_args!("{value}|g"), "", world);
    }

    #[inline(never)]
    fn sample(&mut self, name: Arguments<'_>, value: Arguments<'_>, world: &mut dyn World) {
        self.due += self.rate;
        // The sum of a hundred hundredths is a little less than 1.
        if self.due > 1.0 - 1e-9 {
            self.due -= 1.0;
            self.send(name, value, &self.mark, world);
        }
    }

    #[inline(never)]
    fn send(&self, name: Arguments<'_>, value: Arguments<'_>, mark: &str, world: &mut dyn World) {
        world.send(self.to, format!("circus.{}.watcher.{name}:{value}{mark}", self.app));
    }
}

/// The name of a watcher, as one part of a name of statsd.
pub fn part(watcher: &str) -> String {
    let mut name = topics::resource(watcher);
    for mark in ['.', ':', '|', '@', '#'] {
        name = name.replace(mark, "_");
    }
    name
}

/// The plugin.
pub struct StatsdEmitter(pub Statsd);

impl Builtin for StatsdEmitter {
    fn handle(&mut self, input: Input<'_>, world: &mut dyn World) {
        if let Input::Event(watcher, what) = input {
            self.0.count(format_args!("{}.{}", part(watcher), what.name()), world);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::tests::{Fake, Play, Wish, sent};
    use crate::arbiter::Published;
    use crate::config::model;

    fn play(options: &[(&str, &str)]) -> Play {
        Play::begin(model::Builtin::StatsdEmitter, options, Fake::default()).0
    }

    #[test]
    fn every_event_is_a_count() {
        let mut play = play(&[("application_name", "shop"), ("host", "::1"), ("port", "99")]);
        let wishes = play.spawned("My Web", 7);
        let text = "circus.shop.watcher.my_web.spawn:1|c".to_string();
        assert_eq!(wishes, [Wish::Send("[::1]:99".parse().unwrap(), text)]);
        let text = "circus.shop.watcher.plugin_a_b.stop:1|c";
        assert_eq!(sent(&play.event("plugin:a.b", Published::Stop)), [text]);
    }

    #[test]
    fn of_samples_only_a_part_is_sent() {
        let mut play = play(&[("sample_rate", "0.1")]);
        let mut all = Vec::new();
        for _ in 0..1000 {
            all.extend(sent(&play.event("web", Published::Kill { pid: 1 })));
        }
        assert_eq!(all.len(), 100);
        assert_eq!(all[0], "circus.app.watcher.web.kill:1|c|@0.1");
    }
}
