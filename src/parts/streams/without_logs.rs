//! What stands in for the files of the feature `logs` in a build that lacks it: nothing is compressed or counted, output
//! is written as it is, and what cannot be had has no values. The option table refuses what asks for it; this is for
//! the log's own address alone.
#![allow(missing_docs, reason = "the names are those of the files that are left out")]

use crate::config::features::{self, lack};

/// Why there is none.
fn lacks(what: &str) -> String {
    format!("{what} {}", lack(Some(features::LOGS)).unwrap_or_default())
}

pub mod timed {
    use crate::config::options::StreamOptions;
    use crate::host::files::Location;
    use std::ffi::OsString;
    use std::io;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Schedule {}

    impl Schedule {
        pub fn of(_: &StreamOptions, _: &mut [String]) -> Result<Self, String> {
            Err(super::lacks("rotation by time"))
        }
    }

    pub struct Timer(Schedule);

    impl Timer {
        pub fn new(schedule: Schedule, _: i64) -> Self {
            Timer(schedule)
        }
        pub fn schedule(&self) -> Schedule {
            self.0
        }
        pub fn is_over(&mut self) -> bool {
            match self.0 {}
        }
        pub fn begin_period(&mut self) {
            match self.0 {}
        }
        pub fn free_name(&self, _: &Location) -> io::Result<OsString> {
            match self.0 {}
        }
        pub fn prune(&self, _: &Location) -> io::Result<()> {
            match self.0 {}
        }
    }
}

pub mod format {
    use crate::config::StreamConfig;
    use crate::parts::streams::destination::Place;
    use crate::parts::streams::sink::Owner;

    pub enum Format {
        Plain,
        Lines(Box<Lines>),
    }

    impl Format {
        pub fn of(_: &StreamConfig, _: &str, _: Owner, _: &Place, _: Option<usize>, _: bool) -> Format {
            Format::Plain
        }
    }

    pub fn color(_: Option<&str>, _: &mut [String]) -> Option<usize> {
        None
    }

    pub enum Lines {}

    impl Lines {
        pub fn needs_whole_lines(&self) -> bool {
            match *self {}
        }
        pub fn lines(&mut self, _: i32, _: &[u8], _: bool, _: bool, _: &mut Room<'_>) -> bool {
            match *self {}
        }
    }

    pub struct Room<'a> {
        pub bytes: &'a mut Vec<u8>,
        pub piece: usize,
        pub write: &'a mut dyn FnMut(&[u8]),
    }

    impl Room<'_> {
        pub fn flush(&mut self) {}
    }
}

pub mod log_quota {
    use crate::parts::streams::Streams;
    use crate::reactor::part::Cx;
    use std::path::Path;

    #[derive(Default)]
    pub struct LogQuota;

    impl LogQuota {
        pub fn add(&mut self, _: &Path, _: u32) {}
        pub fn set_cap(&mut self, _: i64) {}
        pub fn note_spawn(&mut self) {}
        pub fn look_again(&mut self) {}
    }

    impl Streams {
        pub fn keep_to_quota(&mut self, _: &mut Cx<'_>) {}
        pub fn is_count_due(&self) -> bool {
            false
        }
    }
}

pub mod compress {
    use crate::arbiter::process::Exit;
    use crate::parts::streams::Streams;
    use crate::reactor::part::Cx;

    use std::path::Path;

    #[derive(Default)]
    pub struct Compressor;

    impl Compressor {
        pub fn add(&mut self, _: &Path) {}
    }

    impl Streams {
        pub fn compress_next(&mut self, _: &mut Cx<'_>) {}
        pub fn compressed(&mut self, _: Result<Exit, String>, _: &mut Cx<'_>) {}
        pub fn stop_compressing(&mut self) {}
    }
}
