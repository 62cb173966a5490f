//! A directory that is held open, and what can be done to the names in it, whatever becomes of its path meanwhile.

use super::cvt;
use super::file::NEVER_WAIT;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// How a file is opened: to be read.
pub const READ: i32 = libc::O_RDONLY | NEVER_WAIT;
/// To be written.
pub const WRITE: i32 = libc::O_WRONLY | NEVER_WAIT;
/// To be read and written.
pub const READ_WRITE: i32 = libc::O_RDWR | NEVER_WAIT;
/// Every write goes to the end.
pub const APPEND: i32 = libc::O_APPEND;
/// A file is created when there is none.
pub const CREATE: i32 = libc::O_CREAT;
/// There must be none.
pub const CREATE_NEW: i32 = libc::O_CREAT | libc::O_EXCL;

/// What is there is not opened, only held: to be looked at, or to be walked through.
const HOLD: i32 = libc::O_PATH;

/// A directory.
pub struct Directory(File);

impl Directory {
    /// `/`.
    pub fn root() -> io::Result<Directory> {
        open_at(libc::AT_FDCWD, OsStr::new("/"), HOLD | libc::O_DIRECTORY, 0).map(Directory)
    }

    /// A directory in it. A symbolic link of this name is an error, unless the kernel is to follow it.
    pub fn enter(&self, name: &OsStr, follow: bool) -> io::Result<Directory> {
        self.open(name, HOLD | libc::O_DIRECTORY, follow, 0).map(Directory)
    }

    /// Whose it is, and who may write to it.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    /// Whether it lies in /proc, whose links cannot be followed by their text.
    pub fn is_in_proc(&self) -> bool {
        // SAFETY: for this struct of numbers all zeros are a value.
        let mut about: libc::statfs = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open, and there is room for one struct.
        let done = unsafe { libc::fstatfs(self.0.as_raw_fd(), &mut about) };
        done == 0 && about.f_type == libc::PROC_SUPER_MAGIC
    }

    /// Whatever has this name, held so that it can be looked at and nothing else; a symbolic link itself, unless it is
    /// to be followed.
    pub fn entry(&self, name: &OsStr, follow: bool) -> io::Result<File> {
        self.open(name, HOLD, follow, 0)
    }

    /// Opens the file of this name; a symbolic link is an error, unless it is to be followed. `mode`, less the umask,
    /// is that of a new file.
    pub fn open(&self, name: &OsStr, how: i32, follow: bool, mode: u32) -> io::Result<File> {
        let links = if follow { 0 } else { libc::O_NOFOLLOW };
        open_at(self.0.as_raw_fd(), name, how | links, mode)
    }

    /// Gives the file of one name another one in this directory. A file that has that already is replaced.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let (fd, from, to) = (self.0.as_raw_fd(), c_name(from)?, c_name(to)?);
        // SAFETY: both names end with a null character and outlive the call.
        cvt(unsafe { libc::renameat(fd, from.as_ptr(), fd, to.as_ptr()) }).map(drop)
    }

    /// Removes the file of this name.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        let name = c_name(name)?;
        // SAFETY: the name ends with a null character and outlives the call.
        cvt(unsafe { libc::unlinkat(self.0.as_raw_fd(), name.as_ptr(), 0) }).map(drop)
    }
}

/// Where the symbolic link leads that [`Directory::entry`] holds.
pub fn read_link(link: &File) -> io::Result<OsString> {
    let mut text = vec![0; libc::PATH_MAX as usize];
    let (place, room) = (text.as_mut_ptr().cast(), text.len());
    // SAFETY: the name is a string, and `room` says how much there is at `place`.
    let length = cvt(unsafe { libc::readlinkat(link.as_raw_fd(), c"".as_ptr(), place, room) })?;
    text.truncate(length.unsigned_abs());
    Ok(OsString::from_vec(text))
}

/// Gives what [`Directory::entry`] holds to a user, a group, or both.
pub fn give(held: &File, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let (fd, name) = (held.as_raw_fd(), c"".as_ptr());
    // The highest number leaves things as they are.
    let (uid, gid) = (uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX));
    // SAFETY: the name is a string; the other arguments are numbers.
    cvt(unsafe { libc::fchownat(fd, name, uid, gid, libc::AT_EMPTY_PATH) }).map(drop)
}

fn c_name(name: &OsStr) -> io::Result<CString> {
    Ok(CString::new(name.as_bytes())?)
}

fn open_at(directory: RawFd, name: &OsStr, how: i32, mode: u32) -> io::Result<File> {
    let name = c_name(name)?;
    let how = how | libc::O_CLOEXEC;
    loop {
        // SAFETY: the name ends with a null character and outlives the call.
        match cvt(unsafe { libc::openat(directory, name.as_ptr(), how, mode as libc::c_uint) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
            opened => return opened.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::{Read, Write};

    #[test]
    fn names_are_those_of_the_directory_that_is_held() {
        let top = std::env::temp_dir().join(format!("circus-directory-{}", std::process::id()));
        fs::create_dir_all(top.join("one")).unwrap();
        let mut held = Directory::root().unwrap();
        for part in top.join("one").components().skip(1) {
            held = held.enter(part.as_os_str(), false).unwrap();
        }
        // Another directory has its path now.
        fs::rename(top.join("one"), top.join("two")).unwrap();
        fs::create_dir(top.join("one")).unwrap();
        let [a, b] = ["a", "b"].map(OsStr::new);
        held.open(a, WRITE | CREATE_NEW, false, 0o600).unwrap().write_all(b"text").unwrap();
        assert!(held.open(a, WRITE | CREATE_NEW, false, 0o600).is_err());
        held.rename(a, b).unwrap();
        let mut text = String::new();
        held.open(b, READ, false, 0).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), top.join("two/b").exists()), ("text", true));
        std::os::unix::fs::symlink("b", top.join("two/link")).unwrap();
        let link = OsStr::new("link");
        assert!(held.open(link, READ, false, 0).is_err() && held.open(link, READ, true, 0).is_ok());
        assert_eq!(read_link(&held.entry(link, false).unwrap()).unwrap(), "b");
        assert!(held.entry(link, true).unwrap().metadata().unwrap().is_file());
        held.remove(b).unwrap();
        assert_eq!(held.entry(b, false).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!held.is_in_proc());
        assert!(Directory::root().unwrap().enter(OsStr::new("proc"), false).unwrap().is_in_proc());
        fs::remove_dir_all(top).unwrap();
    }
}
