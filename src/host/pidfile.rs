//! The file that holds the pid of circus: locked while circus runs, removed at its end.
//!
//! The lock says whether the circus that wrote it is alive, so that a number that is left over, or that another
//! program has by now, stops nobody. Nor does a lock of somebody else's, who needs no more than to read the file for it:
//! /proc/locks tells whose it is.

use crate::arbiter::Pid;
use crate::host::files::{Location, OwnFile, id, is_full, is_ours, with};
use crate::host::procfs;
use crate::parts::log::Log;
use crate::sys::{io_words, is_shortage, process};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// So often another file may take the place of the one that was opened.
const TRIES: u32 = 10;
/// What stands behind the name of a directory that was in the way.
const ASIDE: &str = ".circus-aside";

/// The pid file; dropping it removes the file.
pub struct PidFile {
    path: String,
    /// What is removed at the end: a file that circus has made, or written.
    own: Option<OwnFile>,
    /// Keeps the lock.
    lock: File,
}

impl PidFile {
    /// Makes the file, or locks one that nobody holds; nothing in it changes yet. None: on a full disk circus does
    /// without, and says so.
    ///
    /// # Errors
    /// A sentence: it cannot be had, or a circus that runs holds it.
    pub fn claim(path: &str, log: &mut Log) -> Result<Option<PidFile>, String> {
        let claimed = lock(Path::new(path)).and_then(|(lock, is_new)| {
            let own = is_new.then(|| OwnFile::open(Path::new(path), &lock)).transpose()?;
            Ok(PidFile { path: path.into(), own, lock })
        });
        unless_full(claimed, path, log)
    }

    /// Writes the pid of this process, which removes the file at the end.
    ///
    /// # Errors
    /// A sentence.
    pub fn write(&mut self, log: &mut Log) -> Result<(), String> {
        unless_full(self.put(), &self.path, log).map(drop)
    }

    fn put(&mut self) -> io::Result<()> {
        self.lock.set_len(0)?;
        if self.own.is_none() {
            self.own = Some(OwnFile::open(Path::new(&self.path), &self.lock)?);
        }
        self.lock.write_all(format!("{}\n", std::process::id()).as_bytes())
    }
}

/// On a full disk circus starts without its pid.
fn unless_full<T>(done: io::Result<T>, path: &str, log: &mut Log) -> Result<Option<T>, String> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if is_full(&error) => {
            let why = io_words(&error);
            log.warning(format_args!("pidfile {path}: {why}; circus starts without the number in it"));
            Ok(None)
        }
        Err(error) => Err(format!("pidfile {path}: {}", io_words(&error))),
    }
}

/// The file at the path, locked, and whether it was made. A symbolic link is not followed, whoever has put it there.
fn lock(path: &Path) -> io::Result<(File, bool)> {
    for _ in 0..TRIES {
        let location = Location::of_entry(path)?;
        let mut file = match location.write(0o644) {
            // What others have put there in a directory of theirs makes way, whatever it is, and whoever has a lease.
            Err(error) if may_make_way(&location, &error) => {
                if location.remove(location.name()).is_err() {
                    location.rename(location.name(), &with(location.name(), ASIDE))?;
                }
                continue;
            }
            opened => opened?,
        };
        if !process::lock_exclusive(&file)? {
            if let Some(pid) = holder(&mut file)? {
                return Err(io::Error::other(format!("circus runs already, with pid {pid}")));
            }
            // Whoever has locked it is no circus.
            location.remove(location.name())?;
            continue;
        }
        // A circus that has just ended may have removed it.
        if location.look(location.name())?.as_ref().map(id) == Some(id(&file.metadata()?)) {
            return Ok((file, location.found().is_none()));
        }
    }
    Err(ErrorKind::ResourceBusy.into())
}

/// Whether what cannot be opened is something that others have put there, where others can.
fn may_make_way(location: &Location, error: &io::Error) -> bool {
    let theirs = |found: &Metadata| match error.raw_os_error() {
        None => !found.is_symlink() || !is_ours(found.uid()),
        Some(number) => {
            !is_ours(found.uid()) && (error.kind() == ErrorKind::WouldBlock || !is_shortage(number))
        }
    };
    location.is_exposed() && location.found().is_some_and(theirs)
}

/// The pid in a file that is locked, if that may be a circus: unless the lock is known to be that of another process,
/// or of one that runs as somebody else.
fn holder(file: &mut File) -> io::Result<Option<String>> {
    let mut text = String::new();
    file.take(100).read_to_string(&mut text)?;
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let known: Vec<Pid> = lockers(&locks, file.metadata()?.ino()).collect();
    let pid = text.trim();
    let number: Option<Pid> = pid.parse().ok();
    let may_be = |locker: &Pid| Some(*locker) == number && procfs::real_uid(*locker).is_none_or(is_ours);
    Ok((known.is_empty() || known.iter().any(may_be)).then(|| pid.to_string()))
}

/// The processes that hold a lock of flock(2) on this inode, from lines like
/// `1: FLOCK  ADVISORY  WRITE 708 08:02:1234 0 EOF`. The device is another one there than for stat(2) on some file
/// systems.
fn lockers(locks: &str, inode: u64) -> impl Iterator<Item = Pid> {
    locks.lines().filter_map(move |line| {
        let mut words = line.split_whitespace().skip(1);
        let kind = words.next()?;
        let (pid, place) = (words.nth(2)?, words.next()?);
        let ours = kind == "FLOCK" && place.rsplit(':').next()?.parse() == Ok(inode);
        pid.parse().ok().filter(|_| ours)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::log::Level;

    fn log() -> Log {
        Log::open(None, Level::Critical, false).unwrap()
    }

    fn claim(path: &str) -> Result<PidFile, String> {
        PidFile::claim(path, &mut log()).map(Option::unwrap)
    }

    fn path(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("circus-{name}-{}", std::process::id()))
    }

    #[test]
    fn it_holds_the_pid_and_is_locked_and_removed() {
        let path = path("pidfile");
        let text = path.to_str().unwrap();
        std::fs::write(&path, "garbage that is longer than a pid").unwrap();
        drop(claim(text).unwrap());
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("garbage"), "a start that fails");
        let mut first = claim(text).unwrap();
        first.write(&mut log()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        let error = claim(text).err().unwrap();
        assert!(error.contains("runs already") && error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        assert!(!path.exists());
        drop(claim(text).unwrap());
        assert!(!path.exists(), "one that was made goes with a start that fails");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(claim(text).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(claim("/dev/null").err().unwrap().contains("pidfile /dev/null: it is not a regular file"));
    }

    #[test]
    fn a_lock_on_a_file_that_was_left_over_keeps_nobody_from_starting() {
        let path = path("pidfile-left");
        std::fs::write(&path, "1\n").unwrap();
        // This process is no circus that has written a 1.
        let other = File::open(&path).unwrap();
        assert!(process::lock_exclusive(&other).unwrap());
        let mut own = claim(path.to_str().unwrap()).unwrap();
        own.write(&mut log()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        assert!(claim(path.to_str().unwrap()).is_err(), "the new one is held");
        drop(own);
        assert!(!path.exists());
    }

    #[test]
    fn whose_a_lock_is_stands_in_proc_locks() {
        let locks = "1: POSIX  ADVISORY  WRITE 5 08:02:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 6 00:1b:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 7 00:1b:77 0 EOF\n3: FLOCK  ADVISORY  READ 8 08:02:7 0 EOF\nx\n";
        assert_eq!(lockers(locks, 77).collect::<Vec<_>>(), [6], "7 only waits for it");
        assert_eq!(lockers("", 77).count(), 0);
    }
}
