//! Going into the background, in a way that lets the shell still see whether it went well.
//!
//! The process that was started waits for word from the daemon and then exits with what that says.

use std::io::{self, PipeWriter, Read, Write};

use super::{Pid, cvt, wait};

/// The code of a daemon that vanished without a word: the system's fault.
const NO_WORD: u8 = 111;

/// Which of the two processes one is after [`daemonize`].
#[derive(Debug)]
pub enum Role {
    /// The one in the background, with the means to tell the other how it went.
    Daemon(Notifier),
    /// The one that was started, after the daemon has spoken or died. To print and to exit is all it should do.
    Parent(Outcome),
}

/// What a daemon said about its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code.
    pub code: u8,
    /// Why it is not 0; empty if it is.
    pub message: String,
}

/// The daemon's end of the line to the process that waits. Dropping it without a word reports a failure.
#[derive(Debug)]
pub struct Notifier(PipeWriter);

impl Notifier {
    /// Lets the waiting process print `message` and exit with `code`: 0 without a message, or another one.
    pub fn say(mut self, code: u8, message: &str) -> io::Result<()> {
        self.0.write_all(&[&[code], message.as_bytes()].concat())
    }
}

/// Continues in a grandchild that has a session of its own and can never get a terminal; in the process that
/// was started, waits for what the grandchild says of its start. To be called while there is one thread.
///
/// Directory, mask and descriptors stay as they are.
pub fn daemonize() -> io::Result<Role> {
    let (mut reader, writer) = io::pipe()?;
    let child = fork()?;
    if child != 0 {
        drop(writer);
        wait::await_end(child)?;
        let mut line = Vec::new();
        reader.read_to_end(&mut line)?;
        return Ok(Role::Parent(outcome(&line)));
    }
    drop(reader);
    let notifier = Notifier(writer);
    match leave_session() {
        Ok(0) => Ok(Role::Daemon(notifier)),
        Ok(_) => exit_now(),
        Err(error) => {
            // The waiting process knows the rest from the end of the line, should this not arrive.
            let _ = notifier.say(NO_WORD, &format!("cannot go into the background: {error}"));
            exit_now()
        }
    }
}

/// The second fork: a session's leader could still get a terminal by opening one, its child cannot.
fn leave_session() -> io::Result<Pid> {
    // SAFETY: takes nothing and touches no memory.
    cvt(unsafe { libc::setsid() })?;
    fork()
}

fn fork() -> io::Result<Pid> {
    // SAFETY: there is one thread, so that no lock can be left held in the child.
    cvt(unsafe { libc::fork() })
}

/// Leaves without flushing or running anything of the process that this is a copy of.
fn exit_now() -> ! {
    // SAFETY: never returns.
    unsafe { libc::_exit(0) }
}

fn outcome(line: &[u8]) -> Outcome {
    match line.split_first() {
        Some((&code, message)) => Outcome { code, message: String::from_utf8_lossy(message).into_owned() },
        None => Outcome { code: NO_WORD, message: String::from("circus ended before it was ready") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `start` as the daemon and returns what the waiting process learns.
    fn outcome_of(start: impl FnOnce(Notifier)) -> Outcome {
        let _children = crate::sys::children_lock();
        match daemonize().unwrap() {
            Role::Parent(outcome) => outcome,
            Role::Daemon(notifier) => {
                start(notifier);
                exit_now()
            }
        }
    }

    #[test]
    fn a_daemon_that_is_ready_lets_the_parent_exit_with_0() {
        let outcome = outcome_of(|notifier| notifier.say(0, "").unwrap());
        assert_eq!(outcome, Outcome { code: 0, message: String::new() });
    }

    #[test]
    fn a_failure_arrives_with_its_reason() {
        let outcome = outcome_of(|notifier| notifier.say(100, "no such file").unwrap());
        assert_eq!(outcome, Outcome { code: 100, message: "no such file".to_owned() });
    }

    #[test]
    fn a_daemon_that_dies_without_a_word_is_a_failure() {
        let outcome = outcome_of(drop);
        assert_eq!(outcome.code, NO_WORD);
        assert!(!outcome.message.is_empty());
    }

    #[test]
    fn the_daemon_has_a_session_without_leading_it() {
        let outcome = outcome_of(|notifier| {
            // SAFETY: takes a number and touches no memory.
            let session = unsafe { libc::getsid(0) };
            let own = crate::sys::process::pid();
            notifier.say(1, &format!("{}", session != own && session > 1)).unwrap();
        });
        assert_eq!(outcome.message, "true");
    }
}
