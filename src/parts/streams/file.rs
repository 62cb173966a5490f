//! FileStream: a file that is appended to and rotated by size, never within a line.
//!
//! `FILE` becomes `FILE.1`, `FILE.1` becomes `FILE.2` and so on up to `backup_count`, before `FILE` reaches
//! `max_bytes`. A line that is longer than `max_bytes` gets a file of its own; one that is longer than
//! [`LINE_MAX`] is cut there. Without `backup_count` nothing is rotated nor truncated, as in Circus. The clock may
//! ask for a rotation too ([`super::timed`]), and a file that is watched is opened anew when somebody has moved it.

use super::destination::Notice;
use super::timed::{Schedule, Timer};
use super::{LINE_MAX, backups};
pub use crate::host::files::is_full;
use crate::host::files::{self, Location};
use crate::parts::log::Level;
use crate::sys::{clock, io_words};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a file that is written is looked at for having been removed, and the least time between two attempts
/// to rotate that fail.
const LOOK: Duration = Duration::from_secs(1);

/// When a file is rotated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Before it grows to so many bytes; 0: never.
    pub max_bytes: u64,
    /// How many old files are kept; 0: no rotation.
    pub backup_count: u32,
    /// Old files are compressed.
    pub compress: bool,
    /// By the clock.
    pub schedule: Option<Schedule>,
    /// By somebody else, whom circus follows at once.
    pub watched: bool,
}

impl Rotation {
    /// Whether the size of the file matters.
    pub fn is_on(self) -> bool {
        self.max_bytes > 0 && self.backup_count > 0
    }

    /// Of two wishes for one file: the smaller size, and the larger number of old files.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let (max_bytes, backup_count) = match (self.is_on(), other.is_on()) {
            (true, true) => (self.max_bytes.min(other.max_bytes), self.backup_count.max(other.backup_count)),
            (true, false) => (self.max_bytes, self.backup_count),
            (false, true) => (other.max_bytes, other.backup_count),
            (false, false) => (0, self.backup_count.max(other.backup_count)),
        };
        let schedule = self.schedule.or(other.schedule);
        let (compress, watched) = (self.compress || other.compress, self.watched || other.watched);
        Rotation { max_bytes, backup_count, compress, schedule, watched }
    }
}

/// A file that is appended to.
#[derive(Default)]
pub struct FileStream {
    /// Where it is.
    pub path: PathBuf,
    /// The user of the watcher. The file may belong to this one, too, besides those that `Location` names.
    pub user: u32,
    /// `None`: it could not be opened (again) yet.
    file: Option<File>,
    id: (u64, u64),
    /// How large it is.
    pub size: u64,
    /// How many bytes the line at the end of the file has so far; 0: the file ends with a newline or is empty.
    line: usize,
    /// When it is rotated.
    pub rotation: Rotation,
    /// A rotation was asked for and waits for the end of a line.
    due: bool,
    /// The clock that its schedule goes by.
    timer: Option<Box<Timer>>,
    /// A rotation that failed is not tried again before this moment.
    not_before: Option<Instant>,
    /// It was rotated, which somebody still has to take note of.
    pub rotated: bool,
    looked: Option<Instant>,
    /// Another file has its name, and could not be opened.
    left_behind: bool,
    /// Old files could not be removed, which has been said.
    overfull: bool,
}

impl FileStream {
    /// Opens or creates the file; `None` when something else than a regular file is at `path`.
    ///
    /// # Errors
    /// It cannot be opened; [`refusal`] puts the reason in a sentence.
    pub fn open(path: &Path, user: u32) -> io::Result<Option<Self>> {
        let location = Location::find(path)?;
        // Asked before it is opened: who reads a FIFO would take our coming and going for the end of it.
        if location.found().is_some_and(|found| !found.is_file() && !found.is_dir()) {
            return Ok(None);
        }
        let mut stream = Self::missing(path, user);
        stream.take(location.append(user)?)?;
        Ok(Some(stream))
    }

    /// A file that cannot be opened yet; [`Self::recover`] tries.
    pub fn missing(path: &Path, user: u32) -> Self {
        FileStream { path: path.into(), user, ..FileStream::default() }
    }

    /// Goes on with this open file.
    fn take(&mut self, file: File) -> io::Result<()> {
        let found = file.metadata()?;
        self.id = files::id(&found);
        self.size = found.len();
        self.line = usize::from(ends_within_line(&file, self.size));
        self.file = Some(file);
        Ok(())
    }

    /// Device and inode, while it is open.
    pub fn id(&self) -> Option<(u64, u64)> {
        self.file.as_ref().map(|_| self.id)
    }

    /// Whether the file does not end with a newline.
    pub fn ends_within_line(&self) -> bool {
        self.line > 0
    }

    /// How many bytes to write at once at most: a small `max_bytes` makes many files of them.
    pub fn chunk(&self, most: usize) -> usize {
        let few = usize::try_from(self.rotation.max_bytes.saturating_mul(4)).unwrap_or(most);
        if self.rotation.is_on() { few.max(512).min(most) } else { most }
    }

    /// Sets when it is rotated.
    pub fn set_rotation(&mut self, rotation: Rotation) {
        self.rotation = rotation;
        let schedule = rotation.schedule;
        if self.timer.as_ref().map(|timer| timer.schedule) != schedule {
            self.timer = schedule.map(|schedule| Box::new(Timer::new(schedule, self.since())));
        }
    }

    /// Since when the file has been written, in seconds since 1970, as far as the file system knows.
    fn since(&self) -> i64 {
        let now = clock::realtime_ms() / 1000;
        let Some(found) = self.file.as_ref().and_then(|file| file.metadata().ok()) else { return now };
        let seconds = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_secs()).unwrap_or(now)
        };
        // Where the birth of files is not known, as in Circus: since it was last written.
        let written = found.modified().map_or(now, seconds);
        found.created().map_or(written, |created| seconds(created).min(written))
    }

    /// Whether there is something to rotate to.
    pub fn keeps_old(&self) -> bool {
        self.rotation.backup_count > 0 || self.timer.is_some()
    }

    /// Writes some of the bytes, after a rotation when it is time for one.
    ///
    /// # Errors
    /// Those of write(2), and those of opening a file again that was removed.
    pub fn write(&mut self, bytes: &[u8], now: Instant, said: &mut Vec<Notice>) -> io::Result<usize> {
        self.look(now, said)?;
        let asked = self.due || self.timer.as_mut().is_some_and(|timer| timer.is_over());
        let mut room = self.room(bytes, asked, now);
        if room == 0 {
            self.make_room(bytes, asked, now, said);
            room = self.room(bytes, false, now).max(1);
        }
        let mut file = self.file.as_ref().ok_or(ErrorKind::NotFound)?;
        match file.write(bytes.get(..room).unwrap_or(bytes)) {
            Ok(n) => {
                self.count(bytes.get(..n).unwrap_or(bytes));
                Ok(n)
            }
            Err(error) => {
                // On a full disk the file is still the right one. After anything else it is opened anew.
                if !is_full(&error) && error.kind() != ErrorKind::Interrupted {
                    self.file = None;
                }
                Err(error)
            }
        }
    }

    /// How many of the bytes go into this file; 0: a rotation comes first. `asked`: the clock or somebody wants one.
    fn room(&self, bytes: &[u8], asked: bool, now: Instant) -> usize {
        if asked {
            // A line that was begun here is ended here, within reason.
            return if (1..LINE_MAX).contains(&self.line) { line_end(bytes) } else { 0 };
        }
        let put_off = self.not_before.is_some_and(|moment| now < moment);
        // One less: Circus keeps files below max_bytes.
        let free = self.rotation.max_bytes.saturating_sub(1).saturating_sub(self.size);
        let free = usize::try_from(free).unwrap_or(usize::MAX);
        if !self.rotation.is_on() || put_off || bytes.len() <= free {
            return bytes.len();
        }
        let fitting = bytes.get(..free).unwrap_or(bytes);
        if let Some(newline) = fitting.iter().rposition(|byte| *byte == b'\n') {
            return newline + 1;
        }
        if self.line == 0 && self.size > 0 {
            return 0;
        }
        line_end(bytes).min(LINE_MAX.saturating_sub(self.line))
    }

    /// Rotates. If that fails, the file goes on growing, which is said: for a while, or to the end of the next period.
    fn make_room(&mut self, bytes: &[u8], asked: bool, now: Instant, said: &mut Vec<Notice>) {
        if !asked {
            let _ = self.measure(); // what is not known stays as it was
            if self.room(bytes, false, now) > 0 {
                return;
            }
        }
        let failed = self.rotate(asked, said).err();
        if let Some(error) = &failed
            && (asked || self.not_before.is_none())
        {
            let grows = if asked { "goes on growing" } else { "grows over max_bytes until that works" };
            said.push(cannot("rotate", &self.path, error, &format!("; it {grows}")));
        }
        if !asked {
            self.not_before = failed.map(|_| now + LOOK);
        }
    }

    /// Rotates now, or, while a line is being written, at its end. An empty file is left alone: false.
    ///
    /// # Errors
    /// No old files are to be kept, or one of them cannot be renamed.
    pub fn rotate_now(&mut self, said: &mut Vec<Notice>) -> io::Result<bool> {
        if !self.keeps_old() {
            return Err(io::Error::other("backup_count is 0, so there is nothing to rotate to"));
        }
        let _ = self.measure();
        if self.size == 0 {
            return Ok(false);
        }
        self.due = self.line > 0;
        if !self.due {
            self.rotate(true, said)?;
        }
        Ok(true)
    }

    /// Puts the file aside and begins a new one. When the clock or somebody has asked for that, the clock gives the old
    /// file its name; an empty file stays then, and the next period begins, whatever fails.
    fn rotate(&mut self, asked: bool, said: &mut Vec<Notice>) -> io::Result<()> {
        self.due = false;
        let Some(mut timer) = self.timer.take_if(|_| asked) else { return self.put_aside(None, said) };
        let rotated = if self.size == 0 { Ok(()) } else { self.put_aside(Some(&timer), said) };
        timer.begin_period();
        self.timer = Some(timer);
        rotated
    }

    /// Goes on with a new file, which is there before anything is renamed: whatever fails then, the file is written as
    /// before. The old one becomes `FILE.1`, or what the clock calls it; then what is too old goes.
    fn put_aside(&mut self, timer: Option<&Timer>, said: &mut Vec<Notice>) -> io::Result<()> {
        let (location, count) = (Location::find(&self.path)?, self.rotation.backup_count);
        let old = match (location.found(), &self.file) {
            (Some(found), Some(_)) if files::id(found) == self.id => found,
            // Somebody has moved it away already.
            _ => return self.take(location.append(self.user)?),
        };
        let new = backups::replace(&location, old, |location| match timer {
            Some(timer) => timer.free_name(location),
            None => backups::shift(location, count),
        })?;
        self.take(new)?;
        self.rotated = true;
        let pruned = match timer {
            Some(timer) => timer.prune(&location),
            None => backups::remove_beyond(&location, count),
        };
        if let Err(error) = &pruned
            && !self.overfull
        {
            said.push(cannot("remove the oldest files of", &self.path, error, ""));
        }
        self.overfull = pruned.is_err();
        Ok(())
    }

    /// Finds out how large the file is: somebody may have truncated it (logrotate's copytruncate). The answer is how many
    /// names it has, if it is open.
    ///
    /// # Errors
    /// That cannot be told.
    pub fn measure(&mut self) -> io::Result<Option<u64>> {
        let Some(file) = &self.file else { return Ok(None) };
        let found = file.metadata()?;
        self.size = found.len();
        if self.size == 0 {
            self.line = 0;
        }
        Ok(Some(found.nlink()))
    }

    fn count(&mut self, written: &[u8]) {
        self.size = self.size.saturating_add(written.len() as u64);
        self.line = match written.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => written.len() - newline - 1,
            None => self.line.saturating_add(written.len()),
        };
    }

    /// Finds out whether the file was truncated, or removed, and then begins a new one: once in a while, or, for a file
    /// that is watched, once for all that is read in one turn of the event loop, which has one `now`.
    fn look(&mut self, now: Instant, said: &mut Vec<Notice>) -> io::Result<()> {
        let pause = if self.rotation.watched && !self.left_behind { Duration::from_nanos(1) } else { LOOK };
        let due = self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= pause);
        if due && let Some(names) = self.measure()? {
            self.looked = Some(now);
            if names == 0 {
                self.file = None;
                self.recover()?;
            } else if self.rotation.watched
                && self.line == 0
                && files::id_at(&self.path).is_ok_and(|id| id != Some(self.id))
            {
                self.follow(said);
            }
        }
        Ok(())
    }

    /// Goes on with what is at the path now. While that is not possible, the old file serves.
    fn follow(&mut self, said: &mut Vec<Notice>) {
        let reopened = self.reopen();
        if let Err(error) = &reopened
            && !self.left_behind
        {
            said.push(cannot_reopen(&self.path, error));
        }
        self.left_behind = reopened.is_err();
    }

    /// Opens the file if it is not open.
    ///
    /// # Errors
    /// It still cannot be opened.
    pub fn recover(&mut self) -> io::Result<()> {
        if self.file.is_none() { self.reopen() } else { Ok(()) }
    }

    /// Opens what is now at the path. When that fails, the old file stays.
    ///
    /// # Errors
    /// It cannot be opened, or is no file.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.take(Location::find(&self.path)?.append(self.user)?)
    }
}

/// How many of the bytes belong to their first line.
fn line_end(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |newline| newline + 1)
}

/// Whether the last byte of a file is no newline. One that may not be read is taken to be in order.
fn ends_within_line(file: &File, size: u64) -> bool {
    let Some(place) = size.checked_sub(1) else { return false };
    let mut last = [b'\n'];
    file.read_exact_at(&mut last, place).is_ok() && last != [b'\n']
}

/// What is to be said of something that cannot be done to a file, and what follows from that.
pub(super) fn cannot(what: &str, path: &Path, error: &io::Error, so: &str) -> Notice {
    (Level::Error, format!("cannot {what} {}: {}{so}", path.display(), io_words(error)))
}

/// The same of a file that another one has taken the place of.
pub(super) fn cannot_reopen(path: &Path, error: &io::Error) -> Notice {
    cannot("reopen", path, error, "; output goes to the old file")
}

/// Why a path cannot be opened, and what to do.
pub fn refusal(path: &Path, error: &io::Error) -> String {
    let directory = path.parent().filter(|parent| parent.try_exists().is_ok_and(|there| !there));
    let reason = match (error.kind(), directory) {
        (ErrorKind::NotFound, Some(parent)) => {
            format!("the directory {} does not exist; create it", parent.display())
        }
        (ErrorKind::IsADirectory, _) => String::from("it is a directory; name a file in it"),
        _ => io_words(error),
    };
    format!("cannot open {}: {reason}", path.display())
}

#[cfg(test)]
mod tests;
