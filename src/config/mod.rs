//! The configuration: text in, values and findings out. Pure: reading files is the caller's part.

pub mod expand;
pub mod ini;
pub mod model;
pub mod options;
pub mod pattern;
pub mod signals;
pub mod text;
pub mod value;
pub mod words;

pub use model::{
    Config, Finding, Names, Origin, Origins, PluginConfig, Refused, Severity, SocketConfig, StreamConfig,
    WatcherConfig,
};
pub use value::{Kind, Value};
