//! A build without the feature `plugins` has none: the configuration refuses their sections.

#[cfg(feature = "check")]
use crate::config::PluginConfig;
use crate::config::{Config, Names, WatcherConfig};
use crate::parts::log::Log;

#[expect(dead_code, reason = "nobody asks")]
pub struct Surroundings<'a> {
    pub environ: &'a Names,
    pub cwd: &'a str,
    pub endpoint: &'a str,
}

pub fn watchers(_: &Config, _: &Surroundings<'_>, _: &mut Log) -> Vec<WatcherConfig> {
    Vec::new()
}

#[cfg(feature = "check")]
pub fn wrong_expression(_: &PluginConfig) -> Option<(&'static str, String)> {
    None
}

pub mod run {
    use crate::arbiter::WatcherId;
    use crate::arbiter::request::{Reply, Task, Ticket};
    use crate::reactor::part::{Cx, Part};
    use std::time::Instant;

    #[derive(Default)]
    pub struct Builtins;

    impl Part for Builtins {}

    impl Builtins {
        #[cfg(feature = "history")]
        pub fn trouble(&self, _: WatcherId) -> Option<&str> {
            None
        }

        pub fn ordered(&mut self, _: &Task, _: Option<&[WatcherId]>, _: &mut Cx<'_>) {}

        pub fn answered(&mut self, _: Ticket, _: &Reply, _: &mut Cx<'_>) {}

        pub fn show(&mut self, _: WatcherId, _: String, _: Instant) {}
    }
}
