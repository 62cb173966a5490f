//! The arbiter decides for all watchers. (skeleton)
#![deny(clippy::wildcard_enum_match_arm)]

pub mod request;

/// A process id.
pub type Pid = i32;
