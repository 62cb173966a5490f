//! Why something could not be done: in words, and whether circus itself was short of something for it. That is no
//! failure of whoever it was to be done with.

use crate::sys::child::SpawnError;
use crate::sys::{io_words, is_shortage, tells_of_shortage};
use std::io::{Error, ErrorKind};

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// A phrase.
    pub why: String,
    /// circus, or the machine, was short of descriptors, memory or processes; that may pass.
    pub shortage: bool,
}

impl Trouble {
    /// The system's reason, and all in words.
    pub fn by(errno: i32, why: String) -> Trouble {
        Trouble { shortage: is_shortage(errno) || tells_of_shortage(&why), why }
    }

    /// The same, with what it is about before it.
    pub fn about(self, what: &str) -> Trouble {
        Trouble { why: format!("{what}: {}", self.why), ..self }
    }

    /// Why there is no pipe, or no pair of sockets.
    pub fn no_pipe(error: Error) -> Trouble {
        Trouble::from(error).about("pipe")
    }
}

impl From<String> for Trouble {
    /// The words of an error that the system has given stand at the end of a sentence.
    fn from(why: String) -> Trouble {
        Trouble { shortage: tells_of_shortage(&why), why }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        // To connect to a Unix socket at which too many wait is EAGAIN, and the fault of its owner.
        let shortage = error.kind() != ErrorKind::WouldBlock && error.raw_os_error().is_some_and(is_shortage);
        Trouble { why: io_words(&error), shortage }
    }
}

impl From<SpawnError> for Trouble {
    fn from(error: SpawnError) -> Trouble {
        Trouble::by(error.errno, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_circus_is_short_of_is_told_from_what_others_do() {
        let of = |errno: i32| Trouble::from(Error::from_raw_os_error(errno)).shortage;
        // EMFILE ENFILE ENOMEM ENOBUFS, then ECONNREFUSED ENOENT EAGAIN
        let told = |why: &str| Trouble::from(why.to_string()).shortage;
        assert!(told("/etc/passwd: Too many open files") && !told("Too many open files: no"));
        assert_eq!([24, 23, 12, 105, 111, 2, 11].map(of), [true, true, true, true, false, false, false]);
    }
}
