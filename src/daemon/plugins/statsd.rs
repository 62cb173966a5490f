//! What statsd is sent, a datagram for each value; and StatsdEmitter, which counts the events of all watchers.
//!
//! Names are `circus.APP.watcher.REST`. In the name of a watcher the characters that mean something to statsd become
//! `_`. A sample rate below 1 is kept: of so many counts and times only that part is sent.

use super::builtin::{Builtin, Input, Wish, World};
use crate::arbiter::time::Time;
use crate::config::builtin::Settings;
use crate::config::{number, url};
use crate::control::topics;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A statsd server and what it is told of.
pub struct Statsd {
    to: SocketAddr,
    prefix: String,
    rate: f64,
    /// What `@` has behind it.
    rate_text: String,
    /// What of the next count has to be sent: when it is 1, it is sent.
    due: f64,
}

impl Statsd {
    /// The server that a plugin's options name.
    pub fn new(settings: &Settings<'_>) -> Statsd {
        let ip = url::ip(settings.text("host")).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = u16::try_from(settings.whole("port")).unwrap_or(0);
        Statsd {
            to: SocketAddr::new(ip, port),
            prefix: format!("circus.{}.watcher", settings.text("application_name")),
            rate: settings.number("sample_rate").unwrap_or(1.0),
            rate_text: settings.text("sample_rate").into(),
            due: 0.0,
        }
    }

    /// One more of something.
    pub fn count(&mut self, name: &str, wishes: &mut Vec<Wish>) {
        self.sample(name, "1|c", wishes);
    }

    /// How long something took, in milliseconds.
    pub fn time(&mut self, name: &str, milliseconds: u64, wishes: &mut Vec<Wish>) {
        self.sample(name, &format!("{milliseconds}|ms"), wishes);
    }

    /// How much there is of something.
    pub fn gauge(&mut self, name: &str, value: &str, wishes: &mut Vec<Wish>) {
        self.send(&format!("{name}:{value}|g"), wishes);
    }

    fn sample(&mut self, name: &str, value: &str, wishes: &mut Vec<Wish>) {
        if self.rate >= 1.0 {
            return self.send(&format!("{name}:{value}"), wishes);
        }
        self.due += self.rate;
        // The sum of a hundred hundredths is a little less than 1.
        if self.due > 1.0 - 1e-9 {
            self.due -= 1.0;
            self.send(&format!("{name}:{value}|@{}", self.rate_text), wishes);
        }
    }

    fn send(&self, text: &str, wishes: &mut Vec<Wish>) {
        wishes.push(Wish::Send(self.to, format!("{}.{text}", self.prefix).into_bytes()));
    }
}

/// The name of a watcher, as one part of a name of statsd.
pub fn part(watcher: &str) -> String {
    let clean = |c: char| if matches!(c, '.' | ':' | '|' | '@' | '#') || c.is_whitespace() { '_' } else { c };
    topics::resource(watcher).chars().map(clean).collect()
}

/// A number with two digits behind the point.
pub fn decimal(value: f64) -> String {
    number::fixed(value, 2)
}

/// The plugin.
pub struct StatsdEmitter {
    statsd: Statsd,
}

impl StatsdEmitter {
    /// The plugin with these options.
    pub fn new(settings: &Settings<'_>) -> StatsdEmitter {
        StatsdEmitter { statsd: Statsd::new(settings) }
    }
}

impl Builtin for StatsdEmitter {
    fn handle(&mut self, _: Time, input: Input<'_>, _: &mut dyn World, wishes: &mut Vec<Wish>) {
        if let Input::Event(notice) = input {
            self.statsd.count(&format!("{}.{}", part(notice.watcher), notice.event), wishes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::What;
    use super::super::builtin::tests::{Fake, Play, sent};
    use super::*;
    use crate::config::model;

    fn play(options: &[(&str, &str)]) -> Play {
        Play::begin(model::Builtin::StatsdEmitter, options, Fake::default()).0
    }

    #[test]
    fn every_event_is_a_count() {
        let mut play = play(&[("application_name", "shop"), ("host", "::1"), ("port", "99")]);
        let wishes = play.event("My Web", "spawn", What::Spawned(7));
        let text = b"circus.shop.watcher.my_web.spawn:1|c".to_vec();
        assert_eq!(wishes, [Wish::Send("[::1]:99".parse().unwrap(), text)]);
        let text = "circus.shop.watcher.plugin_a_b.stop:1|c";
        assert_eq!(sent(&play.event("plugin:a.b", "stop", What::Other)), [text]);
    }

    #[test]
    fn of_samples_only_a_part_is_sent() {
        let mut play = play(&[("sample_rate", "0.1")]);
        let mut all = Vec::new();
        for _ in 0..1000 {
            all.extend(sent(&play.event("web", "kill", What::Other)));
        }
        assert_eq!(all.len(), 100);
        assert_eq!(all[0], "circus.app.watcher.web.kill:1|c|@0.1");
    }
}
