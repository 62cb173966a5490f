//! What stands in for the files of the feature `logs` in a build that lacks it: nothing is compressed or counted, output
//! is written as it is, and what cannot be had has no values. The option table refuses what asks for it; this is for
//! the log's own address alone.
#![allow(missing_docs, reason = "the names are those of the files that are left out")]

use super::Streams;
use crate::arbiter::process::Exit;
use crate::reactor::part::Cx;

pub mod timed {
    use crate::config::options::StreamOptions;
    use crate::host::files::Location;
    use std::ffi::OsString;
    use std::io;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Schedule {}

    impl Schedule {
        pub fn of(_: &StreamOptions, _: &mut [String]) -> Result<Self, String> {
            Err("there is no rotation by time".into())
        }
    }

    pub struct Timer {
        pub schedule: Schedule,
    }

    impl Timer {
        pub fn new(schedule: Schedule, _: i64) -> Self {
            Timer { schedule }
        }
        pub fn is_over(&mut self) -> bool {
            match self.schedule {}
        }
        pub fn begin_period(&mut self) {
            match self.schedule {}
        }
        pub fn free_name(&self, _: &Location) -> io::Result<OsString> {
            match self.schedule {}
        }
        pub fn prune(&self, _: &Location) -> io::Result<()> {
            match self.schedule {}
        }
    }
}

pub mod format {
    use crate::config::StreamConfig;
    use crate::parts::streams::destination::Place;
    use crate::parts::streams::sink::Owner;

    pub enum Lines {}

    impl Lines {
        pub fn of(_: &StreamConfig, _: &str, _: Owner, _: &Place, _: bool) -> Option<Box<Self>> {
            None
        }
        pub fn needs_whole_lines(&self) -> bool {
            match *self {}
        }
        pub fn write(
            &mut self,
            _: i32,
            _: &[u8],
            _: bool,
            _: bool,
            _: &mut Vec<u8>,
            _: &mut dyn FnMut(&[u8]),
        ) -> bool {
            match *self {}
        }
    }
}

impl Streams {
    pub fn compress_next(&mut self, _: &mut Cx<'_>) {}
    pub fn compressed(&mut self, _: Result<Exit, String>, _: &mut Cx<'_>) {}
    pub fn stop_compressing(&mut self) {}
    pub fn keep_to_quota(&mut self, _: &mut Cx<'_>) {}
}
