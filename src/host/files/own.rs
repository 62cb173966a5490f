//! Files that circus has made, the pid file and those of Unix sockets, and what it may still do with them.

use super::{Location, id, remove};
use crate::sys::{directory, user};
use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A file that circus has made and removes again, unless somebody has put another one in its place.
pub struct OwnFile {
    path: PathBuf,
    id: (u64, u64),
    /// What was there before, until it is certain that it is not needed any more.
    aside: Option<Box<Aside>>,
}

impl OwnFile {
    /// The file at `path` with this device and inode, which was just made.
    pub fn new(path: PathBuf, id: (u64, u64)) -> OwnFile {
        OwnFile { path, id, aside: None }
    }

    /// The file of the socket that was just bound to `path`, where another one stood before.
    ///
    /// # Errors
    /// It is not there.
    pub fn of_socket(path: &Path, aside: Option<Aside>) -> io::Result<OwnFile> {
        let found = Location::of_entry(path)?.found.filter(|found| found.file_type().is_socket());
        let found = found.ok_or_else(exchanged)?;
        Ok(OwnFile { path: path.to_owned(), id: id(&found), aside: aside.map(Box::new) })
    }

    /// The file at `path` that is open.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub fn open(path: &Path, file: &File) -> io::Result<OwnFile> {
        Ok(OwnFile::new(path.to_owned(), id(&file.metadata()?)))
    }

    /// It is there to stay: what was there before is removed, and does not come back at the end.
    pub fn keep(&mut self) {
        if let Some(aside) = self.aside.take() {
            aside.remove();
        }
    }

    /// The file stays where it is.
    pub fn leave(mut self) {
        self.path = PathBuf::new();
    }

    /// Whether nothing is at the path any more.
    pub fn has_vanished(&self) -> bool {
        self.path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    /// The file, held, if it is still the one that circus has made.
    fn held_in(&self, location: &Location) -> io::Result<Option<File>> {
        let held = location.directory.entry(&location.name, false)?;
        Ok((id(&held.metadata()?) == self.id).then_some(held))
    }

    /// Changes the mode of the file, if it is still the one that circus has made.
    ///
    /// # Errors
    /// Those of chmod(2).
    #[cfg(feature = "reloadconfig")]
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        use std::os::{fd::AsRawFd, unix::fs::PermissionsExt};
        let Some(held) = self.held_in(&Location::of_entry(&self.path)?)? else { return Ok(()) };
        std::fs::set_permissions(
            format!("/proc/self/fd/{}", held.as_raw_fd()),
            std::fs::Permissions::from_mode(mode),
        )
    }

    /// Gives the file to a user and a group, if it is still the one that circus has made and nobody else has. In a
    /// directory of another user's, it is that user's.
    ///
    /// # Errors
    /// Those of chown(2); somebody has exchanged it.
    pub fn give_to(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let location = Location::of_entry(&self.path)?;
        let held = self.held_in(&location)?.ok_or_else(exchanged)?;
        let meta = held.metadata()?;
        let (uid, gid) = (uid.filter(|uid| *uid != meta.uid()), gid.filter(|gid| *gid != meta.gid()));
        if (uid, gid) == (None, None) {
            return Ok(());
        }
        let makers = [Some(user::current_uid()), location.runner()];
        let ours = meta.file_type().is_socket() && meta.nlink() == 1 && makers.contains(&Some(meta.uid()));
        if ours { directory::give(&held, uid, gid) } else { Err(exchanged()) }
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        // Nothing can be done about a failure: the directory may be gone or read-only by now.
        let _ = remove(&self.path, self.id);
    }
}

fn exchanged() -> io::Error {
    io::Error::other("another file has been put in its place")
}

/// A socket that has made way. It comes back unless it is removed.
pub struct Aside {
    location: Location,
    /// Its name in the meantime.
    now: OsString,
}

impl Aside {
    /// Moves the socket at `path` aside.
    ///
    /// # Errors
    /// It cannot be renamed, or is no socket.
    pub fn put(path: &Path) -> io::Result<Aside> {
        let location = Location::of_entry(path)?;
        if !location.found.as_ref().is_some_and(|found| found.file_type().is_socket()) {
            return Err(exchanged());
        }
        let mut now = OsString::from(".");
        now.push(location.name());
        now.push(format!(".{}", std::process::id()));
        location.rename(location.name(), &now)?;
        Ok(Aside { location, now })
    }

    /// Removes it.
    pub fn remove(mut self) {
        // A failure leaves a file that says of itself that it is nobody's.
        let _ = self.location.remove(&std::mem::take(&mut self.now));
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.now.is_empty() {
            // If the directory does not allow it any more, nothing can be done.
            let _ = self.location.rename(&self.now, self.location.name());
        }
    }
}

/// A directory that circus has made, and which a start that fails removes.
pub struct NewDirectory(PathBuf);

impl NewDirectory {
    /// Makes it.
    ///
    /// # Errors
    /// Those of mkdir(2): above all, that there is one.
    pub fn make(path: &Path, mode: u32) -> io::Result<NewDirectory> {
        DirBuilder::new().mode(mode).create(path)?;
        Ok(NewDirectory(path.to_owned()))
    }

    /// It stays.
    pub fn keep(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // One in which somebody has made something stays.
            let _ = std::fs::remove_dir(&self.0);
        }
    }
}
