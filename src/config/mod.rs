//! The configuration: text in, values and findings out. Pure: reading files is the caller's part.
//!
//! One file's text goes through [`ini`]; [`mod@include`] finds the files and [`sections`] merges them; [`mod@load`] makes
//! values of them by the tables in [`options`]; [`check`] compares the values with each other, and
//! [`changes`] with those that were read before.

#[cfg(any(feature = "check", feature = "plugins"))]
pub mod builtin;
#[cfg(feature = "reloadconfig")]
pub mod changes;
#[cfg(feature = "check")]
pub mod check;
pub mod env_file;
pub mod expand;
pub mod families;
pub mod features;
pub mod grants;
pub mod hooks;
pub mod include;
pub mod ini;
pub mod load;
#[cfg(test)]
mod memory;
pub mod model;
pub mod number;
pub mod options;
pub mod pattern;
#[cfg(any(feature = "check", feature = "plugins"))]
pub mod plugin;
#[cfg(any(feature = "check", feature = "health"))]
pub mod probe;
#[cfg_attr(not(feature = "regex"), path = "no_regex.rs")]
pub mod regex;
pub mod respawn_rule;
#[cfg(any(feature = "cgroup", feature = "sandbox"))]
pub mod restrict;
pub mod row;
pub mod sections;
pub mod sockets;
pub mod stream;
pub mod syslog;
pub mod text;
pub mod url;
pub mod value;
pub mod words;

/// A build without the feature `check` reports what keeps it from starting, and has no advice.
#[cfg(not(feature = "check"))]
#[allow(missing_docs)]
pub mod check {
    pub fn check(_: &super::Config, _: &str) -> Vec<super::Finding> {
        Vec::new()
    }

    pub mod suggest {
        pub fn key(_: crate::config::options::Place, _: &str) -> Option<String> {
            None
        }

        pub fn supervisord(_: &mut dyn Iterator<Item = &str>) -> Option<(usize, &'static str)> {
            None
        }

        pub fn section(_: &str) -> Option<String> {
            None
        }

        pub fn nearest<'w>(_: &str, _: &mut dyn Iterator<Item = &'w str>) -> Option<&'w str> {
            None
        }
    }
}

pub use load::{Files, Loaded, load};
pub use model::{
    Config, Finding, Names, Origin, Origins, PluginConfig, PluginKind, Refused, Severity, SocketConfig,
    WatcherConfig,
};
pub use options::{
    AccessOptions, CircusOptions, PluginOptions, SocketOptions, StreamOptions, WatcherOptions,
};
pub use stream::{CHANNELS, Channel, StreamConfig, StreamKind};
pub use value::{Kind, Value};

/// Nothing is asked of what a build lacks.
#[cfg(not(any(feature = "cgroup", feature = "sandbox")))]
#[allow(missing_docs, reason = "they stand for those of restrict.rs")]
#[rustfmt::skip]
pub mod restrict {
    pub fn ionice(_: &str) -> Result<i32, String> { Ok(0) }
    pub fn capabilities(_: &str) -> Result<u64, String> { Ok(0) }
    pub fn writable(_: &str) -> Result<Vec<&str>, String> { Ok(Vec::new()) }
    pub fn ports(_: &str) -> Result<Vec<(bool, u16)>, String> { Ok(Vec::new()) }
    pub fn is_cgroup_file(_: &str) -> Result<(), String> { Ok(()) }
}

/// A build without the feature `health` asks no process anything.
#[cfg(not(any(feature = "check", feature = "health")))]
#[allow(missing_docs, reason = "they stand for those of probe.rs")]
#[rustfmt::skip]
pub mod probe {
    pub fn ready(_: &str) -> Result<(), String> { Ok(()) }
    pub fn health(_: &str) -> Result<(), String> { Ok(()) }
    pub fn command(_: &str) -> Option<&str> { None }
}
