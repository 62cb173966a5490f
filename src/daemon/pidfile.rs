//! The file that holds the pid of circus: locked while circus runs, removed at its end.
//!
//! The lock says whether the circus that wrote it is alive, so that a number that is left over, or that another
//! program has by now, stops nobody.

use super::sockets::OwnFile;
use crate::sys::file::{NEVER_WAIT, must_be_regular};
use crate::sys::{O_NOFOLLOW, io_words, process};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The pid file; dropping it removes the file.
pub struct PidFile {
    path: String,
    /// What is removed at the end: a file that circus has made, or written.
    own: Option<OwnFile>,
    /// Keeps the lock.
    lock: File,
}

impl PidFile {
    /// Makes the file, or locks one that nobody holds; nothing in it changes yet.
    ///
    /// # Errors
    /// A sentence: it cannot be had, or a circus that runs holds it.
    pub fn claim(path: &str) -> Result<PidFile, String> {
        let cannot = |error: std::io::Error| format!("pidfile {path}: {}", io_words(&error));
        let is_new =
            Path::new(path).symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        // A symbolic link is not followed: as root that could overwrite any file.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        let mut file = options.custom_flags(NEVER_WAIT | O_NOFOLLOW).open(path).map_err(cannot)?;
        must_be_regular(&file).map_err(cannot)?;
        if !process::lock_exclusive(&file).map_err(cannot)? {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid); // only for the message
            let pid = pid.trim();
            return Err(format!("pidfile {path}: circus runs already, with pid {pid}"));
        }
        let own = is_new.then(|| OwnFile::new(Path::new(path))).flatten();
        Ok(PidFile { path: path.into(), own, lock: file })
    }

    /// Writes the pid of this process, which removes the file at the end.
    ///
    /// # Errors
    /// A sentence.
    pub fn write(&mut self) -> Result<(), String> {
        let path = &self.path;
        let cannot = |error: std::io::Error| format!("pidfile {path}: {}", io_words(&error));
        self.lock.set_len(0).map_err(cannot)?;
        self.lock.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(cannot)?;
        if self.own.is_none() {
            self.own = OwnFile::new(Path::new(path));
        }
        self.own.as_ref().map(|_| ()).ok_or_else(|| format!("pidfile {path}: it has vanished"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_the_pid_and_is_locked_and_removed() {
        let path = std::env::temp_dir().join(format!("circus-pidfile-{}", std::process::id()));
        let text = path.to_str().unwrap();
        std::fs::write(&path, "garbage that is longer than a pid").unwrap();
        drop(PidFile::claim(text).unwrap());
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("garbage"), "a start that fails");
        let mut first = PidFile::claim(text).unwrap();
        first.write().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        let error = PidFile::claim(text).err().unwrap();
        assert!(error.contains("runs already") && error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        assert!(!path.exists());
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(PidFile::claim(text).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(
            PidFile::claim("/dev/null").err().unwrap().contains("pidfile /dev/null: it is no regular file")
        );
    }
}
