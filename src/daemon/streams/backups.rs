//! The old files that rotations leave: how they move up, and how they are found.
//!
//! An old file is called after the file, with a number or a date behind a dot: `FILE.1`, `FILE.20261123`; and with
//! `.gz` behind that when it is compressed.

use crate::sorted::{Sorted, sort_by};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What stands behind the name of a compressed file.
pub const COMPRESSED: &str = ".gz";

/// A name with something more at its end.
pub fn longer(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Moves `FILE.n` to `FILE.n+1` from the last one on, compressed or not, then `FILE` to `FILE.1`.
///
/// # Errors
/// One of them cannot be renamed, or the last one not be removed.
pub fn shift(path: &Path, backup_count: u32) -> io::Result<()> {
    let forms = |n: u32| [longer(path, &format!(".{n}")), longer(path, &format!(".{n}{COMPRESSED}"))];
    // Only those up to the first gap have to move, however large backup_count is.
    let is_gap = |n: &u32| forms(*n).iter().all(|name| fs::symlink_metadata(name).is_err());
    let last = (1..backup_count).find(is_gap).unwrap_or(backup_count);
    forms(last).iter().try_for_each(|name| unless_missing(fs::remove_file(name)))?;
    for n in (1..last).rev() {
        for (old, older) in forms(n).iter().zip(forms(n + 1)) {
            unless_missing(fs::rename(old, older))?;
        }
    }
    unless_missing(fs::rename(path, longer(path, ".1")))
}

fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// An old file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldFile {
    /// Where it is.
    pub path: PathBuf,
    /// Device and inode: it may be renamed at the next rotation.
    pub id: (u64, u64),
    /// Its size in bytes.
    pub size: u64,
    /// When it was written last, in seconds and nanoseconds since 1970.
    written: (i64, i64),
    /// The number behind its name, 0 if that is none.
    number: u64,
}

impl OldFile {
    /// Whether it is compressed.
    pub fn is_compressed(&self) -> bool {
        self.path.as_os_str().as_bytes().ends_with(COMPRESSED.as_bytes())
    }
}

/// The old files of these files, the oldest first. Nothing that is in use as a file itself is an old one.
pub fn old_files(paths: &[&Path]) -> Vec<OldFile> {
    let mut directories: Sorted<&Path, Vec<&OsStr>> = Sorted::new();
    for path in paths {
        if let (Some(directory), Some(name)) = (path.parent(), path.file_name()) {
            directories.get_or_insert_with(directory, Vec::new).push(name);
        }
    }
    let mut found = Vec::new();
    for (directory, names) in directories {
        let names: Sorted<&OsStr, ()> = names.into_iter().map(|name| (name, ())).collect();
        // A directory that has gone has no old files.
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if let Some(number) = number_of(&name, &names)
                && let Ok(meta) = entry.metadata()
                && meta.is_file()
            {
                found.push(old_file(entry.path(), &meta, number));
            }
        }
    }
    // Files that were written at the same time by the clock of the file system: the larger number is older.
    let age = |file: &OldFile| (file.written, u64::MAX - file.number);
    sort_by(&mut found, |one, two| age(one) < age(two));
    found
}

fn old_file(path: PathBuf, meta: &Metadata, number: u64) -> OldFile {
    let (id, written) = ((meta.dev(), meta.ino()), (meta.mtime(), meta.mtime_nsec()));
    OldFile { path, id, size: meta.len(), written, number }
}

/// The number (or date) of an entry of a directory, if it is an old file of one of these names.
fn number_of(entry: &OsStr, names: &Sorted<&OsStr, ()>) -> Option<u64> {
    if names.contains_key(entry) {
        return None;
    }
    let bytes = entry.as_bytes();
    let bytes = bytes.strip_suffix(COMPRESSED.as_bytes()).unwrap_or(bytes);
    let dot = bytes.iter().rposition(|byte| *byte == b'.')?;
    let (name, number) = (bytes.get(..dot)?, bytes.get(dot + 1..)?);
    let number = std::str::from_utf8(number).ok().filter(|text| !text.starts_with('+'))?;
    let number = number.parse().ok()?;
    names.contains_key(OsStr::from_bytes(name)).then_some(number)
}

/// Cuts a file down to its newest bytes, about so many, from the beginning of a line. Whoever appends to it goes on at
/// its new end. The answer is the size that it has then.
///
/// # Errors
/// It cannot be read or written.
pub fn cut(path: &Path, keep: u64) -> io::Result<u64> {
    let mut file =
        OpenOptions::new().read(true).append(true).custom_flags(crate::sys::file::NEVER_WAIT).open(path)?;
    let size = file.metadata()?.len();
    let end = read_end(&mut file, size.saturating_sub(keep))?;
    let line = end.iter().position(|byte| *byte == b'\n').and_then(|newline| end.get(newline + 1..));
    file.set_len(0)?;
    file.write_all(line.unwrap_or_default())?;
    Ok(file.metadata()?.len())
}

fn read_end(file: &mut File, from: u64) -> io::Result<Vec<u8>> {
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut end)?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Directory;
    use super::*;

    /// Files with these names, each with its name in it.
    fn files(names: &[&str]) -> Directory {
        let directory = Directory::new();
        names.iter().for_each(|name| fs::write(directory.path(name), name).unwrap());
        directory
    }

    fn there(directory: &Directory) -> Vec<(String, String)> {
        let names = fs::read_dir(&directory.0).unwrap().map(|entry| entry.unwrap().file_name());
        let mut found: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        found.sort();
        found.into_iter().map(|name| (name.clone(), directory.read(&name))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
    }

    #[test]
    fn compressed_and_plain_files_move_up_alike() {
        let directory = files(&["f", "f.1", "f.2.gz", "f.3", "f.3.gz", "f.5"]);
        shift(&directory.path("f"), 3).unwrap();
        let moved = [("f.1", "f"), ("f.2", "f.1"), ("f.3.gz", "f.2.gz"), ("f.5", "f.5")];
        assert_eq!(there(&directory), pairs(&moved));
    }

    #[test]
    fn a_file_that_is_there_in_both_forms_moves_in_both() {
        let directory = files(&["f", "f.1", "f.1.gz"]);
        shift(&directory.path("f"), 9).unwrap();
        assert_eq!(there(&directory), pairs(&[("f.1", "f"), ("f.2", "f.1"), ("f.2.gz", "f.1.gz")]));
    }

    #[test]
    fn old_files_are_known_by_their_names() {
        let old = ["f.1", "f.2.gz", "f.20261123", "f.1.1", "g.7"];
        let others =
            ["f", "f.gz", "f.x", "f.1x", "f.-1", "f.+1", "f.1.bz2", "h.1", "xf.1", "f..gz", "f.1.gz.gz"];
        let directory = files(&[&old[..], &others].concat());
        fs::create_dir(directory.path("f.4")).unwrap();
        let paths = ["f", "f.1", "g"].map(|name| directory.path(name));
        let found = old_files(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        let mut names: Vec<_> =
            found.iter().map(|old| old.path.file_name().unwrap().to_str().unwrap()).collect();
        names.sort();
        // f.1 is in use itself.
        assert_eq!(names, ["f.1.1", "f.2.gz", "f.20261123", "g.7"]);
        assert_eq!(old_files(&[Path::new("/no/such/directory/f")]), []);
    }

    #[test]
    fn the_oldest_comes_first() {
        let directory = files(&["f.1", "f.2", "f.10.gz", "f.3"]);
        let time = |seconds| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        for (name, seconds) in [("f.1", 500), ("f.2", 500), ("f.10.gz", 400), ("f.3", 600)] {
            File::options()
                .append(true)
                .open(directory.path(name))
                .unwrap()
                .set_modified(time(seconds))
                .unwrap();
        }
        let path = directory.path("f");
        let names: Vec<_> = old_files(&[&path]).into_iter().map(|old| old.path).collect();
        assert_eq!(names, ["f.10.gz", "f.2", "f.1", "f.3"].map(|name| directory.path(name)));
    }

    #[test]
    fn a_file_is_cut_at_a_line_and_its_writer_goes_on() {
        let directory = Directory::new();
        let path = directory.path("f");
        let mut writer = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        (0..100).for_each(|n| writeln!(writer, "line {n:02}").unwrap());
        assert_eq!(cut(&path, 20).unwrap(), 16);
        writeln!(writer, "more").unwrap();
        assert_eq!(directory.read("f"), "line 98\nline 99\nmore\n");
        assert_eq!(cut(&path, 2).unwrap(), 0);
        assert!(cut(&directory.path("no"), 2).is_err());
    }
}
