//! What stands in for the files of the feature `logs` in a build that lacks it: what cannot be had has no values. The
//! option table refuses what asks for it.
#![allow(missing_docs, reason = "the names are those of the files that are left out")]

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
    }
}
