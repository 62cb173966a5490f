//! The mark that all that comes from a circus bears in its environment.
#![allow(missing_docs, reason = "what a name says is not said again")]

use crate::arbiter::Pid;
use std::fmt::{self, Display};

/// The variable that holds the mark.
pub const MARK: &str = "CIRCUS_ID=";

/// A circus: where it is, as a number that one which is started in the same way has too, and which process it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub place: u64,
    pub pid: Pid,
    pub start: u64,
}

/// The number of a process that a circus has made, and with it of all that comes from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub circus: Identity,
    pub number: u64,
}

impl Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { place, pid, start } = self.circus;
        write!(out, "{place:x}-{pid}-{start}-{}", self.number)
    }
}

impl Mark {
    /// The mark in a text.
    #[cfg(feature = "orphans")]
    pub fn parse(text: &str) -> Option<Mark> {
        let mut parts = text.split('-');
        let place = u64::from_str_radix(parts.next()?, 16).ok()?;
        let circus = Identity { place, pid: positive(parts.next()?)?, start: parts.next()?.parse().ok()? };
        let number = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Mark { circus, number })
    }

    /// The mark among the variables of an environment.
    #[cfg(feature = "orphans")]
    pub fn among(environ: &[u8]) -> Option<Mark> {
        let mut variables = environ.split(|byte| *byte == 0);
        variables.find_map(|variable| Mark::parse(std::str::from_utf8(variable).ok()?.strip_prefix(MARK)?))
    }
}

#[cfg(feature = "orphans")]
pub(super) fn positive(text: &str) -> Option<Pid> {
    text.parse().ok().filter(|pid| *pid > 0)
}
