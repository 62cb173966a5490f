//! A helper that runs: reads what it writes, asks it to end, and says what became of it.

use super::Purpose;
use super::lines::LoggedLines;
use super::queue::Owner;
use crate::arbiter::Pid;
use crate::arbiter::process::Exit;
use crate::host::child::Leader;
use crate::parts::log::Log;
use crate::reactor::io::read_piece;
use crate::reactor::part::Cx;
use crate::signals::{SIGCONT, SIGKILL, SIGTERM};
use crate::sys;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The most bytes that are captured.
const MOST_CAPTURED: usize = 16 * 1024;
/// Between SIGTERM and SIGKILL.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many pieces are what a pipe holds, and what is read of one in a turn.
const PIECES: usize = 4;

/// The outputs of a helper, by their place in [`Running::pipes`].
pub(super) const LOGGED: usize = 0;
pub(super) const CAPTURED: usize = 1;

/// Has the loop look at a pipe. One that it cannot look at is read when the helper has ended.
pub(super) fn watch(reader: OwnedFd, pid: Pid, pipe: usize, cx: &mut Cx<'_>) -> File {
    if let Err(error) = cx.poll.watch(reader.as_raw_fd(), pid.unsigned_abs() << 1 | pipe as u32) {
        let why = sys::io_words(&error);
        cx.log.error(format_args!("the output of {pid} is read only at its end: {why}"));
    }
    reader.into()
}

/// The helper and the pipe that [`watch`] has registered by this number.
pub(super) fn pipe_of(id: u32) -> (Pid, usize) {
    ((id >> 1).cast_signed(), (id & 1) as usize)
}

/// A helper that runs.
pub(super) struct Running {
    pub owner: Owner,
    /// Nothing when nobody wants to know any more.
    pub purpose: Option<Purpose>,
    pub deadline: Option<Instant>,
    /// When its group gets SIGKILL.
    pub kill_at: Option<Instant>,
    pub leader: Leader,
    /// By which circus reads what it writes.
    pub pipes: [Option<File>; 2],
    pub lines: LoggedLines,
    pub captured: Vec<u8>,
    /// It was asked to end.
    pub asked: bool,
}

impl Running {
    /// When it is to be killed or asked to end.
    pub fn next_end(&self) -> Option<Instant> {
        self.kill_at.or(self.deadline)
    }

    pub fn ask_to_end(&mut self, now: Instant) {
        self.asked = true;
        self.deadline = None;
        self.kill_at = Some(now + PATIENCE);
        self.leader.kill(SIGTERM);
        self.leader.kill(SIGCONT);
    }

    /// Passes on what a pipe has, as much as one holds so many times. True when it has more.
    pub fn read(&mut self, number: usize, times: usize, log: &mut Log) -> bool {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..times * PIECES {
            let Some(place) = self.pipes.get_mut(number) else { return false };
            let Some(pipe) = place else { return false };
            match read_piece(pipe, &mut buffer) {
                Ok(None) => return false,
                Ok(Some(bytes @ [_, ..])) => self.take(number, bytes, log),
                Ok(Some([])) | Err(_) => {
                    *place = None; // closing takes it out of the poll
                    return false;
                }
            }
        }
        true
    }

    fn take(&mut self, pipe: usize, bytes: &[u8], log: &mut Log) {
        if pipe == LOGGED {
            return self.lines.take(bytes, log);
        }
        // One byte too many tells that there were too many.
        let room = (MOST_CAPTURED + 1).saturating_sub(self.captured.len()).min(bytes.len());
        self.captured.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    /// It is a zombie. Somebody whom it left behind may write for ever, so that only so much is passed on.
    pub fn end(mut self, exit: Exit, log: &mut Log) -> (Option<Purpose>, Outcome) {
        for pipe in [LOGGED, CAPTURED] {
            self.read(pipe, 2, log);
        }
        self.lines.end_line(log);
        if self.asked {
            self.leader.kill(SIGKILL);
        }
        let ended = if self.asked { Err("it took too long".into()) } else { Ok(exit) };
        (self.purpose, Outcome { ended, captured: self.captured, last_line: self.lines.last() })
    }
}

/// What became of a helper.
pub(super) struct Outcome {
    /// How it ended, or why there was no end to wait for.
    pub ended: Result<Exit, String>,
    captured: Vec<u8>,
    /// The last line that it wrote to the log.
    pub last_line: String,
}

impl Outcome {
    /// It could not be run.
    pub fn none(why: String) -> Outcome {
        Outcome { ended: Err(why), captured: Vec::new(), last_line: String::new() }
    }

    /// Its standard output, if that was captured.
    ///
    /// # Errors
    /// It was too much.
    pub fn captured(&self) -> Result<&[u8], String> {
        match self.captured.len() > MOST_CAPTURED {
            true => Err(format!("it printed more than {} KiB", MOST_CAPTURED / 1024)),
            false => Ok(&self.captured),
        }
    }
}
