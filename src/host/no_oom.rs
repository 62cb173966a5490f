//! A build without the feature `cgroup` does not look whether memory was used up.

use crate::arbiter::Pid;
use std::time::Instant;

#[derive(Default)]
pub struct OutOfMemory;

impl OutOfMemory {
    pub fn has_ended(&mut self, _: Pid, _: Instant) -> bool {
        false
    }
}
