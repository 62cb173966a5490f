//! `log_max_bytes`: how much all log files of circus may take together.
//!
//! What counts is every file that a stream has written to since the start, its old files, and circus's own log. While
//! circus runs, the sizes of the files in use are known from what was written to them; directories are read only when
//! files were opened or rotated, and when there is too much. Then the oldest old file of all goes first. When there are
//! no old ones left, the largest file is cut down to its newest lines, so that what happened last can still be
//! read.

use super::Streams;
use super::old_files::{OldFile, cut, old_files};
use crate::config::options::global;
use crate::host::files::{self, Location};
use crate::parts::log::{Level, Log};
use crate::reactor::part::Cx;
use crate::sorted::Sorted;
use crate::sys::io_words;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How much of a file is kept when it has to be cut, in bytes; of a smaller one the half.
const KEPT: u64 = 64 * 1024;
/// A file below this size is not worth cutting.
const SMALL: u64 = 4096;

/// What is known of the files below the limit.
#[derive(Debug, Default)]
pub struct LogQuota {
    /// How much the files take that are not in use: old ones, and those of watchers that have stopped.
    rest: u64,
    /// Nothing more could be freed at this size: it is tried again when there is that much more, or at another limit than
    /// this.
    hopeless: u64,
    cap: u64,
}

impl Streams {
    /// Looks, at the end of a turn, whether all files together are too large.
    pub(super) fn keep_to_quota(&mut self, cx: &mut Cx<'_>) {
        self.cap = u64::try_from(cx.setup.options.log_max_bytes).unwrap_or(0);
        if std::mem::replace(&mut self.quota.cap, self.cap) != self.cap {
            self.quota.hopeless = 0;
        }
        // While many processes are being started, files are opened in every turn.
        let opened = std::mem::take(&mut self.opened);
        if self.cap == 0 {
            return;
        }
        if self.uncounted && !opened {
            self.count_files();
        }
        if self.files_size(cx.log) > self.limit() {
            self.free_space(cx.log);
        }
    }

    /// The size from which on something is removed: what is read at once from a pipe comes on top.
    fn limit(&self) -> u64 {
        (self.cap - self.cap / 16).max(self.quota.hopeless)
    }

    fn files_size(&self, log: &mut Log) -> u64 {
        self.quota.rest + self.size + log.destination.file().map_or(0, |file| file.size)
    }

    /// Finds out how large the files are that are not in use; the answer is the old files, the oldest first.
    fn count_files(&mut self) -> Vec<OldFile> {
        let mut live: Sorted<OsString, u32> = Sorted::new();
        for id in self.targets.ids() {
            if let Some(file) = self.targets.get_mut(id).and_then(|target| target.destination.file()) {
                live.insert(file.path.clone().into(), file.user);
            }
        }
        let mut rest = 0;
        self.written.retain(|path, _| {
            let size = if live.contains_key(path) { Ok(0) } else { size_of(Path::new(path)) };
            rest += size.as_ref().map_or(0, |size| *size);
            !size.is_err_and(|error| error.kind() == ErrorKind::NotFound)
        });
        self.written.extend(live);
        let paths: Vec<&Path> = self.written.keys().map(Path::new).collect();
        let old = old_files(&paths);
        self.quota.rest = rest + old.iter().map(|old| old.size).sum::<u64>();
        self.uncounted = false;
        old
    }

    /// Removes old files, the oldest first, and then cuts down what is left, the largest first.
    fn free_space(&mut self, log: &mut Log) {
        // Somebody may have truncated or removed files meanwhile.
        self.measure(log);
        let old = self.count_files();
        let mut size = self.files_size(log);
        if size <= self.limit() {
            return;
        }
        // There is room for a while then.
        let goal = self.cap - self.cap / 8;
        size = self.remove_old_files(&old, size, goal, log);
        self.cut_files(size, goal, log);
        self.count_files();
    }

    /// Finds out anew how large the files are that are written.
    fn measure(&mut self, log: &mut Log) {
        for id in self.targets.ids() {
            let file = self.targets.get_mut(id).and_then(|target| target.destination.file());
            file.into_iter().for_each(|file| drop(file.measure()));
            self.settle(id, log);
        }
        log.destination.file().into_iter().for_each(|file| drop(file.measure()));
    }

    /// Removes old files, from the first one on, until the goal is reached; the answer is the size that is left.
    fn remove_old_files(&mut self, old: &[OldFile], mut size: u64, goal: u64, log: &mut Log) -> u64 {
        let (mut removed, mut bytes) = (0, 0);
        for old in old {
            if size <= goal {
                break;
            }
            if self.writes_to(old.id, log) {
                continue;
            }
            match files::remove(&old.path, old.id) {
                Ok(()) => {
                    size = size.saturating_sub(old.size);
                    (removed, bytes) = (removed + 1, bytes + old.size);
                }
                Err(error) => cannot("remove", &old.path, &error, log),
            }
        }
        if removed > 0 {
            let text = format_args!("log_max_bytes: removed the {removed} oldest files ({bytes} bytes)");
            log.info(text);
        }
        size
    }

    /// Cuts the largest file to its newest lines, then the next one, until the goal is reached.
    fn cut_files(&mut self, mut size: u64, goal: u64, log: &mut Log) {
        let mut files: Vec<(u64, PathBuf, u32)> = Vec::new();
        if size > goal {
            let own = log.destination.file().map(|file| (file.path.clone(), file.user));
            let all = self.written.iter().map(|(path, user)| (PathBuf::from(path), *user)).chain(own);
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
                    log.warning(format_args!(
                        "log_max_bytes: {} was cut to its newest {after} bytes",
                        path.display()
                    ));
                    files.push((after, path, user));
                }
                Err(error) => cannot("cut", &path, &error, log),
            }
        }
        self.measure(log);
        self.quota.hopeless = if size > goal { size + self.cap / 16 } else { 0 };
        if size > self.cap {
            let text =
                format_args!("log_max_bytes is too small: the log files take {size} bytes all the same");
            log.once(Level::Warning, global::log_max_bytes, text);
        }
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error, log: &mut Log) {
    let cause = format!("log_max_bytes: cannot {what} {}", path.display());
    log.once(Level::Warning, &cause, format_args!("{cause}: {}", io_words(error)));
}

/// The size of a file.
fn size_of(path: &Path) -> io::Result<u64> {
    let location = Location::find(path)?;
    Ok(location.found().ok_or(ErrorKind::NotFound)?.len())
}
