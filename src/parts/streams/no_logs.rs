//! A build without the feature `logs` rotates files by their size alone: nothing is compressed, there is no cap on all
//! files, and no syslog.
#![allow(missing_docs, reason = "they stand for those of the modules themselves")]

pub mod timed {
    use crate::host::files::Location;
    use crate::sys::clock::Zone;
    use std::ffi::OsString;
    use std::io;

    /// Nobody has one.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Schedule {}

    impl Schedule {
        pub fn new(_: &str, _: i32, _: Zone, _: u32) -> Option<Self> {
            None
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

        pub fn begin_period(&mut self) {}

        pub fn free_name(&self, _: &Location) -> io::Result<OsString> {
            match self.0 {}
        }

        pub fn prune(&self, _: &Location) -> io::Result<()> {
            match self.0 {}
        }
    }
}

pub mod compress {
    use super::super::Streams;
    use crate::arbiter::process::Exit;
    use crate::reactor::part::Cx;
    use std::path::Path;

    #[derive(Default)]
    pub struct Compressor;

    impl Compressor {
        pub fn add(&mut self, _: &Path) {}
    }

    impl Streams {
        pub(in super::super) fn compress_old_files(&mut self, _: &mut Cx<'_>) {}

        pub fn compressed(&mut self, _: Result<Exit, String>, _: &mut Cx<'_>) {}

        pub fn stop_compressing(&mut self) {}
    }
}

pub mod log_quota {
    use super::super::Streams;
    use crate::reactor::part::Cx;
    use std::path::Path;

    #[derive(Debug, Default)]
    pub struct LogQuota;

    impl LogQuota {
        pub fn add(&mut self, _: &Path, _: u32) {}

        pub fn set_cap(&mut self, _: i64) {}

        pub fn look_again(&mut self) {}

        pub fn note_spawn(&mut self) {}
    }

    impl Streams {
        pub(in super::super) fn keep_to_quota(&mut self, _: &mut Cx<'_>) {}

        pub(in super::super) fn is_count_due(&self) -> bool {
            false
        }
    }
}

pub mod syslog {
    use crate::config::{StreamConfig, features};
    use std::fmt;
    use std::io;
    use std::os::fd::RawFd;

    /// Nobody has one.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Address(());

    impl Address {
        pub fn of(_: Option<&str>) -> Result<Self, String> {
            Err(features::lack(Some(features::LOGS)).unwrap_or_default())
        }

        pub fn is_local(&self) -> bool {
            false
        }
    }

    impl fmt::Display for Address {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Ok(())
        }
    }

    pub fn daemon(_: &str, _: bool) -> Result<(Address, u8), String> {
        Address::of(None).map(|address| (address, 0))
    }

    pub fn local_time(_: i64) -> String {
        String::new()
    }

    pub struct Header;

    impl Header {
        pub fn text(&self, _: i32, _: i64) -> String {
            String::new()
        }
    }

    pub fn header(_: &StreamConfig, _: &str, _: bool) -> Header {
        Header
    }

    pub struct Syslog;

    impl Syslog {
        pub fn new(_: Address) -> Self {
            Syslog
        }

        pub fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub fn fd(&self) -> Option<RawFd> {
            None
        }
    }
}
