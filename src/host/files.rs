//! Where a path leads, and whose power that is: the one place in which circus opens, renames and removes log files,
//! the pid file, the tombstone and the files of its sockets.
//!
//! A path is walked once from `/`, and the directory at its end stays open, so that all that follows concerns that
//! directory and no other that takes its path. Where only root and circus's own user can have arranged all that the
//! path leads through, it is opened as it is. Anywhere else, somebody with fewer rights could put another file in the
//! place of the one that is meant. A location that is *exposed* in this way has these rules:
//!
//! - A symbolic link that such a user controls must end in a directory of that user's: circus does nothing there that
//!   the user could not have done. All other links are refused.
//! - A file must be a regular one (a FIFO where output may go to one), must have no second name, and must belong to
//!   root, to circus's user, to the owner of the directory or to the user of the watcher. A second name may be left to
//!   a file of the owner of the directory, since it lets circus reach nothing that this user cannot.

use crate::sys::directory::{self, APPEND, CREATE, CREATE_NEW, Directory, READ, READ_WRITE, WRITE};
use crate::sys::{ELOOP, file, io_words, is_shortage, user};
use std::ffi::{OsStr, OsString};
use std::fs::{File, FileType, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

mod own;

pub use own::{Aside, NewDirectory, OwnFile};

/// As many links as the kernel follows.
const MOST_LINKS: u32 = 40;

const STICKY: u32 = 0o1000;

/// Where a path leads.
pub struct Location {
    directory: Directory,
    /// Of the directory: its path without links, and its owner.
    path: PathBuf,
    owner: u32,
    name: OsString,
    /// What has the name, if there is anything.
    found: Option<Metadata>,
    /// Others than root and circus's user may change what is there.
    exposed: bool,
    /// It is a link of /proc.
    magic: bool,
    /// Whose `/` is.
    top: u32,
}

/// Device and inode of a file.
pub fn id(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// Writes a file that does not exist yet, nor a link of its name.
///
/// # Errors
/// The reason in words: it cannot be created, or there is one.
pub fn write_new(path: &Path, text: &[u8]) -> Result<(), String> {
    let create = |at: Location| at.directory.open(&at.name, WRITE | CREATE_NEW, false, 0o666);
    let written = Location::of_entry(path).and_then(create);
    written.and_then(|mut file| file.write_all(text)).map_err(|error| io_words(&error))
}

impl Location {
    /// Walks a path; a symbolic link at its end is followed. There need not be anything at the end.
    ///
    /// # Errors
    /// There is no such directory, or a link that may not be followed.
    pub fn find(path: &Path) -> io::Result<Location> {
        Walk::begin(path)?.go(true)
    }

    /// The same, but a symbolic link at the end is itself what was found.
    ///
    /// # Errors
    /// As above.
    pub fn of_entry(path: &Path) -> io::Result<Location> {
        Walk::begin(path)?.go(false)
    }

    /// The path without links.
    pub fn path(&self) -> PathBuf {
        self.path.join(&self.name)
    }

    /// The path of the directory, without links.
    pub fn parent(&self) -> &Path {
        &self.path
    }

    /// The name in the directory.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// What was found there.
    pub fn found(&self) -> Option<&Metadata> {
        self.found.as_ref()
    }

    /// Whether others than root and circus's user may change what is there.
    pub fn is_exposed(&self) -> bool {
        self.exposed
    }

    /// The directory, to be locked.
    ///
    /// # Errors
    /// It may not be read.
    pub fn open_directory(&self) -> io::Result<File> {
        self.directory.open(OsStr::new("."), READ, false, 0)
    }

    /// Whether the directory is this user's, who is not one of those that circus trusts.
    pub fn is_run_by(&self, uid: u32) -> bool {
        self.exposed && self.owner == uid
    }

    /// Whose the directory is, if that is none of those that circus trusts.
    pub fn runner(&self) -> Option<u32> {
        Some(self.owner).filter(|owner| self.exposed && *owner != self.top && !is_ours(*owner))
    }

    /// What has this name in the directory now.
    ///
    /// # Errors
    /// It cannot be looked at. A missing file is not an error.
    pub fn look(&self, name: &OsStr) -> io::Result<Option<Metadata>> {
        if_there(self.directory.entry(name, self.magic).and_then(|held| held.metadata()))
    }

    /// Opens the file to append to and to be read, if that is allowed too; creates it when there is none. `user` is the
    /// one of the watcher.
    ///
    /// # Errors
    /// It cannot be opened, is no regular file, or is none that may be opened here.
    pub fn append(&self, user: u32) -> io::Result<File> {
        let create = if self.found.is_none() { CREATE } else { 0 };
        let open = |how| self.directory.open(&self.name, how | APPEND | create, self.magic, 0o666);
        let file = match open(READ_WRITE) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => open(WRITE)?,
            opened => opened?,
        };
        self.check(&file, user, FileType::is_file)?;
        Ok(file)
    }

    /// Opens the file to be read and written, or creates it with this mode. A symbolic link is none.
    ///
    /// # Errors
    /// As above.
    pub fn write(&self, mode: u32) -> io::Result<File> {
        if self.found.as_ref().is_some_and(Metadata::is_symlink) {
            return Err(io::Error::other("it is a symbolic link"));
        }
        let create = if self.found.is_none() { CREATE } else { 0 };
        let file = self.directory.open(&self.name, READ_WRITE | create, self.magic, mode)?;
        self.check(&file, user::current_uid(), FileType::is_file)?;
        Ok(file)
    }

    /// Opens a file of this name in the directory to be read.
    ///
    /// # Errors
    /// As above.
    pub fn read(&self, name: &OsStr) -> io::Result<File> {
        let file = self.directory.open(name, READ, false, 0)?;
        self.check(&file, self.found.as_ref().map_or(self.owner, Metadata::uid), FileType::is_file)?;
        Ok(file)
    }

    /// Opens a FIFO or a device, for writing or for reading.
    ///
    /// # Errors
    /// It cannot be opened, or may not be.
    pub fn open_special(&self, write: bool, user: u32) -> io::Result<File> {
        let how = if write { WRITE } else { READ };
        let fits = |kind: &FileType| kind.is_fifo() || !self.exposed && !kind.is_file();
        if self.exposed {
            // A device that somebody else may have put there must not even be opened.
            let held = self.directory.entry(&self.name, false)?;
            self.check(&held, user, fits)?;
        }
        let file = self.directory.open(&self.name, how, self.magic, 0)?;
        self.check(&file, user, fits)?;
        Ok(file)
    }

    /// A new file of this name in the directory, which nobody else may open yet.
    ///
    /// # Errors
    /// It cannot be created, or there is one.
    pub fn create_new(&self, name: &OsStr) -> io::Result<File> {
        self.directory.open(name, READ_WRITE | APPEND | CREATE_NEW, false, 0o600)
    }

    /// Gives the file of one name in the directory another one there.
    ///
    /// # Errors
    /// Those of rename(2).
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.directory.rename(from, to)
    }

    /// Removes a file from the directory.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        self.directory.remove(name)
    }

    /// Whether a file that was just opened may be used.
    fn check(&self, file: &File, user: u32, fits: impl Fn(&FileType) -> bool) -> io::Result<()> {
        let meta = file.metadata()?;
        let why = if !fits(&meta.file_type()) {
            return Err(file::not_regular());
        } else if !self.exposed {
            return Ok(());
        } else if ![self.owner, user, self.top].contains(&meta.uid()) && !is_ours(meta.uid()) {
            format!("it belongs to user {}", meta.uid())
        } else if meta.nlink() > 1 && (meta.uid() != self.owner || is_ours(self.owner)) {
            "it has a second name (a hard link)".into()
        } else {
            return Ok(());
        };
        Err(io::Error::other(format!("{why}, and others than root may write to its directory")))
    }
}

/// Removes a file, if it is still the one with this device and inode.
///
/// # Errors
/// It cannot be removed, or is another one by now.
pub fn remove(path: &Path, wanted: (u64, u64)) -> io::Result<()> {
    let location = match Location::of_entry(path) {
        // Without a descriptor there is only the path; a start that fails for that is to leave nothing behind.
        Err(error) if error.raw_os_error().is_some_and(is_shortage) => {
            let found = path.symlink_metadata()?;
            return if id(&found) == wanted { std::fs::remove_file(path) } else { Err(error) };
        }
        found => found?,
    };
    if location.found.as_ref().map(id) != Some(wanted) {
        return Err(ErrorKind::NotFound.into());
    }
    location.remove(&location.name)
}

/// Gives a new file the owner, the group and the mode of an old one, as far as circus may. Where the group cannot be had,
/// the group that the file has instead gets nothing.
///
/// # Errors
/// The mode cannot be set.
pub fn make_alike(new: &File, old: &Metadata) -> io::Result<()> {
    let has = new.metadata()?;
    let mut mode = old.mode() & 0o777;
    if (has.uid(), has.gid()) != (old.uid(), old.gid())
        && fchown(new, Some(old.uid()), Some(old.gid())).is_err()
        && has.gid() != old.gid()
        && fchown(new, None, Some(old.gid())).is_err()
    {
        mode &= 0o707;
    }
    if has.mode() & 0o777 == mode { Ok(()) } else { new.set_permissions(Permissions::from_mode(mode)) }
}

/// Which file is at a path, in one system call unless it is a link; none: it is missing.
///
/// # Errors
/// That cannot be told.
pub fn id_at(path: &Path) -> io::Result<Option<(u64, u64)>> {
    match if_there(path.symlink_metadata())? {
        Some(found) if found.is_symlink() => Ok(Location::find(path)?.found.as_ref().map(id)),
        found => Ok(found.as_ref().map(id)),
    }
}

/// That a file is missing is no error.
pub fn if_there<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        looked => looked.map(Some),
    }
}

/// A pipe or a terminal that is open already, opened once more to be written to: for nobody else its calls do not wait.
///
/// # Errors
/// Without /proc it cannot be had.
pub fn open_anew(shared: &File) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", shared.as_raw_fd());
    File::options().write(true).custom_flags(file::NEVER_WAIT).open(path)
}

/// Whether a write failed for want of room, which may be there later.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// A name in a directory with something more at its end.
pub fn with(name: &OsStr, end: &str) -> OsString {
    let mut name = name.to_os_string();
    name.push(end);
    name
}

/// Whether a user is one from whom circus has nothing to fear: root, and circus's own.
pub fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == user::current_uid()
}

/// A path that is being walked.
struct Walk {
    directory: Directory,
    path: PathBuf,
    meta: Metadata,
    /// The names that are still ahead, the next one last.
    ahead: Vec<OsString>,
    links: u32,
    /// Others may exchange what was walked through: whose the first such directory is.
    exposed: Option<u32>,
    /// A link led here that this user controls.
    led_by: Option<u32>,
    /// Whose `/` is: that user can arrange everything. In a user namespace root itself may be a stranger.
    top: u32,
}

impl Walk {
    fn begin(path: &Path) -> io::Result<Walk> {
        let directory = Directory::root()?;
        let (meta, ahead) = (directory.metadata()?, Vec::new());
        let (links, exposed, led_by, top) = (0, None, None, meta.uid());
        let mut walk = Walk { directory, path: "/".into(), meta, ahead, links, exposed, led_by, top };
        walk.add(&std::path::absolute(path)?)?;
        Ok(walk)
    }

    /// Puts a path before those that are still ahead.
    fn add(&mut self, path: &Path) -> io::Result<()> {
        if path.is_absolute() {
            (self.directory, self.path) = (Directory::root()?, "/".into());
            self.meta = self.directory.metadata()?;
        }
        let parts = path.components().rev();
        let names = parts.filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        self.ahead.extend(names.map(|part| part.as_os_str().to_owned()));
        Ok(())
    }

    fn go(mut self, follow_last: bool) -> io::Result<Location> {
        while let Some(name) = self.ahead.pop() {
            if self.ahead.is_empty() && name != ".." {
                let Some(held) = if_there(self.directory.entry(&name, false))? else {
                    return self.end(name, None, false);
                };
                let found = held.metadata()?;
                if !found.is_symlink() || !follow_last {
                    return self.end(name, Some(found), false);
                }
                if self.directory.is_in_proc() {
                    self.may_trust(&name)?;
                    let found = self.directory.entry(&name, true)?.metadata()?;
                    return self.end(name, Some(found), true);
                }
                self.follow(&name, &held, &found)?;
            } else {
                self.enter(name)?;
            }
        }
        Err(ErrorKind::IsADirectory.into())
    }

    /// Goes into a directory, or to where a link leads.
    fn enter(&mut self, name: OsString) -> io::Result<()> {
        let directory = match self.directory.enter(&name, false) {
            Ok(directory) => directory,
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                let held = self.directory.entry(&name, false)?;
                let found = held.metadata()?;
                if !found.is_symlink() {
                    return Err(error);
                }
                if !self.directory.is_in_proc() {
                    return self.follow(&name, &held, &found);
                }
                self.may_trust(&name)?;
                self.directory.enter(&name, true)?
            }
            Err(error) => return Err(error),
        };
        let meta = directory.metadata()?;
        if name == ".." {
            // Where it leads is up to whoever may move the directory.
            self.led_by = self.led_by.or(self.exposed);
            self.path.pop();
        } else {
            self.expose_unless(self.is_safe(&meta));
            self.path.push(name);
        }
        (self.directory, self.meta) = (directory, meta);
        Ok(())
    }

    fn is_ours(&self, uid: u32) -> bool {
        uid == self.top || is_ours(uid)
    }

    fn expose_unless(&mut self, safe: bool) {
        if !safe {
            self.exposed.get_or_insert(self.meta.uid());
        }
    }

    /// Whether nobody but root and circus's user may write to the directory. Its own group is circus's, unless circus
    /// is root: then the processes may be in that group.
    fn is_closed(&self) -> bool {
        let own_group = user::current_uid() != 0 && self.meta.gid() == user::current_gid();
        let others = if own_group { 0o002 } else { 0o022 };
        self.exposed.is_none() && self.is_ours(self.meta.uid()) && self.meta.mode() & others == 0
    }

    /// Whether nobody else may put something else in the place of an entry.
    fn is_safe(&self, entry: &Metadata) -> bool {
        let sticky =
            self.meta.mode() & STICKY != 0 && self.is_ours(self.meta.uid()) && self.is_ours(entry.uid());
        self.is_closed() || self.exposed.is_none() && sticky
    }

    /// Follows a symbolic link.
    fn follow(&mut self, name: &OsStr, held: &File, link: &Metadata) -> io::Result<()> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(io::Error::from_raw_os_error(ELOOP));
        }
        let ours = self.is_ours(self.meta.uid()) && self.is_ours(link.uid()) && link.nlink() == 1;
        if !(self.is_closed() || self.exposed.is_none() && ours) {
            let user = if self.is_ours(link.uid()) { self.meta.uid() } else { link.uid() };
            if self.is_ours(user) || self.led_by.is_some_and(|other| other != user) {
                return Err(self.refused(name));
            }
            self.led_by = Some(user);
        }
        self.expose_unless(self.is_safe(link));
        let target = directory::read_link(held)?;
        self.add(Path::new(&target))
    }

    /// Whether a link of /proc, which the kernel follows, is one of our own.
    fn may_trust(&self, name: &OsStr) -> io::Result<()> {
        if self.exposed.is_none() && self.is_ours(self.meta.uid()) { Ok(()) } else { Err(self.refused(name)) }
    }

    fn refused(&self, name: &OsStr) -> io::Error {
        let link = self.path.join(name);
        io::Error::other(format!(
            "{} is a symbolic link in a directory that others than root may write to; name the place that it leads to",
            link.display()
        ))
    }

    fn end(self, name: OsString, found: Option<Metadata>, magic: bool) -> io::Result<Location> {
        let (exposed, owner) = (!self.is_closed(), self.meta.uid());
        if let Some(user) = self.led_by.filter(|user| *user != owner) {
            return Err(io::Error::other(format!(
                "user {user} can change where it leads to, and {} is not a directory of this user's",
                self.path.display()
            )));
        }
        let Walk { directory, path, top, .. } = self;
        Ok(Location { directory, path, owner, name, found, exposed, magic, top })
    }
}

#[cfg(test)]
mod tests;
