//! Looks at processes for which circus itself was short of something: what could not be seen is not known to be gone.
//!
//! One descriptor is kept for such a look when there is no other. If that does not help, the limit is lifted for the look
//! where circus may do that; else the look is taken again after a pause that grows, and the log has it once.

use crate::arbiter::Pid;
use crate::host::processes::Processes;
use crate::parts::log::Level;
use crate::reactor::part::Cx;
use crate::sorted::Sorted;
use crate::sys::limit::{self, Limit};
use crate::sys::{self, io_words};
use std::fs::File;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long after a look has failed it is taken again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the log calls it.
const CAUSE: &str = "looks at processes";

/// The descriptor that is given up for a look.
static SPARE: Mutex<Option<File>> = Mutex::new(None);

/// Keeps a descriptor for the time when there is no other. The root directory is there always.
fn keep_spare(spare: &mut Option<File>) {
    *spare = File::open("/").ok();
}

/// Keeps the spare descriptor from now on: the earlier, the lower its number, and the lower the limit may be set with
/// which it is of use.
pub fn keep() {
    if let Ok(mut spare) = SPARE.try_lock() {
        keep_spare(&mut spare);
    }
}

/// Looks, once more with the spare descriptor when there was none left, and then once more without the limit on them. A
/// look holds one at a time and no more.
pub fn with_spare<T>(look: &dyn Fn() -> io::Result<T>) -> io::Result<T> {
    let looked = look();
    if !looked.as_ref().is_err_and(sys::wants_descriptor) {
        return looked;
    }
    let Ok(mut spare) = SPARE.try_lock() else { return looked };
    drop(spare.take());
    let mut looked = look();
    if looked.as_ref().is_err_and(sys::wants_descriptor)
        && let Ok(was) = limit::get(limit::NOFILE)
        && lift(&was).is_ok()
    {
        looked = look();
        let _ = limit::set(&was); // it only gets lower
    }
    keep_spare(&mut spare);
    looked
}

/// Puts the limit on open files out of the way: somebody has set it below the descriptors that circus has already, so that
/// giving one up frees none, since the lowest free number is still too high. To go beyond the hard limit takes the right
/// to do so.
fn lift(was: &Limit) -> io::Result<()> {
    const ENOUGH: u64 = 65_536;
    let most = was.hard.max(ENOUGH);
    let lifted = limit::set(&Limit { soft: most, hard: most, ..*was });
    lifted.or_else(|_| limit::set(&Limit { soft: was.hard, ..*was }))
}

/// When something is tried again, after a pause that grows.
#[derive(Default)]
pub struct Retry {
    pub at: Option<Instant>,
    pause: Duration,
}

impl Retry {
    /// It has failed.
    pub fn later(&mut self, now: Instant) {
        self.pause = self.pause.saturating_mul(2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.at = Some(now + self.pause);
    }

    /// Whether it is time.
    pub fn is_due(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    /// It has gone well.
    pub fn over(&mut self) {
        *self = Retry::default();
    }
}

/// The looks that are to be taken again.
#[derive(Default)]
pub struct Looks {
    /// Groups without their leaders, and the last signals that are meant for them.
    pub remnants: Sorted<Pid, i32>,
    pub retry: Retry,
}

impl Looks {
    /// A look has failed, and is noted to be taken again.
    pub fn later(&mut self, error: &io::Error, cx: &mut Cx<'_>) {
        if self.retry.at.is_none() {
            self.retry.later(cx.now);
        }
        if error.kind() == io::ErrorKind::WouldBlock {
            return; // somebody is about to become another program, which is soon over
        }
        let why = io_words(error);
        let text = format_args!(
            "processes cannot be looked at: {why}; what waits for that is tried again and again"
        );
        cx.log.once(Level::Error, CAUSE, text);
    }
}

impl Processes {
    /// Takes the looks that had failed.
    pub(super) fn look_again(&mut self, cx: &mut Cx<'_>) {
        self.looks.retry.at = None;
        self.descendants.look_again();
        self.look_for_strays(cx);
        for (pgid, signum) in std::mem::take(&mut self.looks.remnants) {
            // The number may have become another's.
            if cx.host.groups.contains_key(&pgid) || self.descendants.knows(pgid) {
                self.signal_remnant(pgid, signum, cx);
            }
        }
        if self.looks.retry.at.is_none() {
            self.looks.retry.over();
            cx.log.over(Level::Info, CAUSE, format_args!("processes can be looked at again"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_look_without_a_descriptor_is_taken_with_the_spare_one() {
        keep();
        let times = Cell::new(0);
        let look = |errno: i32, most: i32| {
            times.set(0);
            with_spare(&|| {
                times.set(times.get() + 1);
                if times.get() <= most { Err(io::Error::from_raw_os_error(errno)) } else { Ok(()) }
            })
        };
        let (emfile, enfile, enoent) = (24, 23, 2);
        assert!(look(emfile, 1).is_ok() && look(enfile, 1).is_ok());
        assert!(look(emfile, 3).is_err() && times.get() <= 3, "once more, without the limit, and no more");
        assert!(look(enoent, 1).is_err() && times.get() == 1);
    }
}
