//! `log_max_bytes`: how much all log files of circus may take together.
//!
//! What counts is every file that a stream has written to since the start, its old files, and circus's own log. While
//! circus runs, the sizes of the files in use are known from what was written to them; directories are read only when
//! files were opened or rotated, and when there is too much. Then the oldest old file of all goes first. When there are
//! no old ones left, the largest file is cut down to its newest lines, so that what happened last can still be
//! read.

use crate::host::files::{self, Location};
use crate::parts::log::Level;
use crate::parts::streams::backups::{OldFile, cut, old_files};
use crate::reactor::eventloop::Daemon;
use crate::sorted::Sorted;
use crate::sys::{io_words, user};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How much of a file is kept when it has to be cut, in bytes; of a smaller one the half.
const KEPT: u64 = 64 * 1024;
/// A file below this size is not worth cutting.
const SMALL: u64 = 4096;

/// The cap, and what is known of the files below it.
#[derive(Debug, Default)]
pub struct LogQuota {
    /// 0: there is none.
    cap: u64,
    /// Every file that was written since the start, with the user of the watcher.
    files: Sorted<OsString, u32>,
    /// How much the files take that are not in use: old ones, and those of watchers that have stopped.
    rest: u64,
    /// Files were opened, closed, rotated or compressed: `rest` is to be found out anew.
    stale: bool,
    /// Nothing more could be freed at this size: it is tried again when there is that much more.
    hopeless: u64,
}

impl LogQuota {
    /// A cap of so many bytes; 0 or less: none.
    pub fn new(cap: i64) -> Self {
        LogQuota { cap: u64::try_from(cap).unwrap_or(0), stale: true, ..LogQuota::default() }
    }

    /// Sets another cap; what is known of the files stays.
    pub fn set_cap(&mut self, cap: i64) {
        self.cap = u64::try_from(cap).unwrap_or(0);
        self.hopeless = 0;
    }

    /// The files that are not in use have changed.
    pub fn look_again(&mut self) {
        self.stale = true;
    }

    /// The size from which on something is removed: what is read at once from a pipe comes on top.
    fn limit(&self) -> u64 {
        (self.cap - self.cap / 16).max(self.hopeless)
    }

    /// The size to which the files are brought down, so that there is room for a while.
    fn goal(&self) -> u64 {
        self.cap - self.cap / 8
    }
}

impl Daemon {
    /// Looks, at the end of a turn, after files that were rotated, and whether all files together are too large.
    pub(crate) fn tend_files(&mut self) {
        for file in self.parts.streams.take_rotated() {
            self.log_quota.look_again();
            if file.compress {
                self.compress_old_files_of(file.path);
            }
        }
        if self.log_quota.cap == 0 {
            return;
        }
        self.log_quota.stale |= self.parts.streams.take_reshuffled();
        // While many processes are being started, files are opened in every turn.
        if self.log_quota.stale && !self.parts.processes.are_spawning() {
            self.count_files();
        }
        if self.files_size() > self.log_quota.limit() {
            self.free_space();
        }
    }

    fn files_size(&mut self) -> u64 {
        self.log_quota.rest + self.parts.streams.size() + self.core.log.file().map_or(0, |(_, size)| size)
    }

    /// Finds out how large the files are that are not in use; the answer is the old files, the oldest first.
    fn count_files(&mut self) -> Vec<OldFile> {
        // By bytes, not as paths, which are compared part by part: there may be a thousand of them.
        let live = self.parts.streams.files().into_iter().map(|file| (file.path.into_os_string(), file.user));
        let live: Sorted<OsString, u32> = live.collect();
        for (path, user) in live.iter() {
            self.log_quota.files.insert(path.clone(), *user);
        }
        let mut rest = 0;
        self.log_quota.files.retain(|path, _| {
            let size = || size_of(Path::new(path));
            let closed = if live.contains_key(path) { Ok(0) } else { size() };
            rest += closed.as_ref().map_or(0, |size| *size);
            !closed.is_err_and(|error| error.kind() == ErrorKind::NotFound)
        });
        let paths: Vec<&Path> = self.log_quota.files.keys().map(Path::new).collect();
        let old = old_files(&paths);
        self.log_quota.rest = rest + old.iter().map(|old| old.size).sum::<u64>();
        self.log_quota.stale = false;
        old
    }

    /// Removes old files, the oldest first, and then cuts down what is left, the largest first.
    fn free_space(&mut self) {
        // Somebody may have truncated or removed files meanwhile.
        self.parts.streams.measure();
        let old = self.count_files();
        let mut size = self.files_size();
        if size <= self.log_quota.limit() {
            return;
        }
        let goal = self.log_quota.goal();
        size = self.remove_old_files(&old, size, goal);
        self.cut_files(size, goal);
        self.count_files();
    }

    /// Removes old files, from the first one on, until the goal is reached; the answer is the size that is left.
    fn remove_old_files(&mut self, old: &[OldFile], mut size: u64, goal: u64) -> u64 {
        let (mut removed, mut bytes) = (0, 0);
        for old in old {
            if size <= goal {
                break;
            }
            if self.parts.streams.writes_to(old.id) || self.core.log.writes_to(old.id) {
                continue;
            }
            match files::remove(&old.path, old.id) {
                Ok(()) => {
                    size = size.saturating_sub(old.size);
                    (removed, bytes) = (removed + 1, bytes + old.size);
                }
                Err(error) => self.cannot("remove", &old.path, &error),
            }
        }
        if removed > 0 {
            let text = format_args!("log_max_bytes: removed the {removed} oldest files ({bytes} bytes)");
            self.core.log.info(text);
        }
        size
    }

    fn cannot(&mut self, what: &str, path: &Path, error: &io::Error) {
        let cause = format!("log_max_bytes: cannot {what} {}", path.display());
        self.core.log.once(Level::Warning, &cause, format_args!("{cause}: {}", io_words(error)));
    }

    /// Cuts the largest file to its newest lines, then the next one, until the goal is reached.
    fn cut_files(&mut self, mut size: u64, goal: u64) {
        let mut files: Vec<(u64, PathBuf, u32)> = Vec::new();
        if size > goal {
            let log = self.core.log.file().map(|(path, _)| (path, user::current_uid()));
            let all = self.log_quota.files.iter().map(|(path, user)| (PathBuf::from(path), *user)).chain(log);
            files.extend(all.filter_map(|(path, user)| Some((size_of(&path).ok()?, path, user))));
        }
        while size > goal
            && let Some(at) = (0..files.len()).max_by_key(|at| files.get(*at).map(|file| file.0))
        {
            let (before, path, user) = files.swap_remove(at);
            if before < SMALL {
                break;
            }
            match cut(&path, user, KEPT.min(before / 2)) {
                Ok(after) => {
                    size = size.saturating_sub(before.saturating_sub(after));
                    self.core.log.warning(format_args!(
                        "log_max_bytes: {} was cut to its newest {after} bytes",
                        path.display()
                    ));
                    files.push((after, path, user));
                }
                Err(error) => self.cannot("cut", &path, &error),
            }
        }
        self.parts.streams.measure();
        self.core.log.measure();
        self.log_quota.hopeless = if size > goal { size + self.log_quota.cap / 16 } else { 0 };
        if size > self.log_quota.cap {
            let text =
                format_args!("log_max_bytes is too small: the log files take {size} bytes all the same");
            self.core.log.once(Level::Warning, "log_max_bytes", text);
        }
    }
}

/// The size of a file.
fn size_of(path: &Path) -> io::Result<u64> {
    let location = Location::find(path)?;
    Ok(location.found().ok_or(ErrorKind::NotFound)?.len())
}
