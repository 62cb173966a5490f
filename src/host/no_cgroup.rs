//! A build without the feature `cgroup` makes none: no process is in one of its own. Nor does it look whether memory was
//! used up.

use crate::arbiter::{Pid, WatcherId};
use crate::config::WatcherConfig;
use crate::parts::log::Log;
use std::ffi::CString;
#[cfg(feature = "tree")]
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Default)]
pub struct Cgroups;

impl Cgroups {
    pub fn enter(&mut self, _: WatcherId, _: &WatcherConfig, _: &mut Log) -> Result<Option<CString>, String> {
        Ok(None)
    }

    #[cfg(feature = "tree")]
    pub fn make_below(&mut self, _: WatcherId, _: &str) -> Option<PathBuf> {
        None
    }

    pub fn leave(&mut self, _: WatcherId) {}

    pub fn finish(&mut self) {}
}

#[cfg(feature = "tree")]
pub fn entrance(_: &Path) -> Option<CString> {
    None
}

#[cfg(feature = "tree")]
pub fn clear(_: &Path) {}

#[derive(Default)]
pub struct OutOfMemory;

impl OutOfMemory {
    pub fn has_ended(&mut self, _: Pid, _: Instant) -> bool {
        false
    }
}
