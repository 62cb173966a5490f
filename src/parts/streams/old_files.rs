//! Finds the old files that rotations have left, and cuts a file down.

use super::backups::COMPRESSED;
use crate::host::files::{Location, id};
use crate::sorted::{Sorted, sort_by};
use crate::sys::clock;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// So many entries are looked at of a directory that others can fill.
const MOST_ENTRIES: usize = 10_000;

/// An old file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldFile {
    /// Where it is.
    pub path: PathBuf,
    /// Device and inode: it may be renamed at the next rotation.
    pub id: (u64, u64),
    /// How many bytes it takes.
    pub size: u64,
    /// When it was written last, in seconds and nanoseconds since 1970.
    written: (i64, i64),
    /// The number behind its name, or the date, and what follows that.
    pub number: (u64, u32),
}

impl OldFile {
    /// Whether it is compressed.
    pub fn is_compressed(&self) -> bool {
        self.path.as_os_str().as_bytes().ends_with(COMPRESSED.as_bytes())
    }
}

/// The old files of these files, the oldest first. Nothing that is in use as a file itself is an old one.
pub fn old_files(paths: &[&Path]) -> Vec<OldFile> {
    let mut directories: Sorted<PathBuf, (Location, Sorted<OsString, ()>)> = Sorted::new();
    for path in paths {
        // Where a link leads, there are the old files. A directory that has gone has none.
        if let Ok(location) = Location::find(path) {
            let (directory, name) = (location.parent().into(), location.name().into());
            let (_, names) = directories.get_or_insert_with(directory, || (location, Sorted::new()));
            names.insert(name, ());
        }
    }
    let found = directories.into_iter().map(|(_, (location, names))| list(&location, &names));
    let mut found: Vec<_> = found.filter_map(Result::ok).flatten().collect();
    // What a clock has dated that was ahead once says nothing about the files that came later, so it goes first. Files
    // that were written at the same time by the clock of the file system: the larger number is older.
    let now = clock::realtime_ms() / 1000;
    let age = |file: &OldFile| (file.written.0 <= now, file.written, u64::MAX - file.number.0);
    sort_by(&mut found, |one, two| age(one) < age(two));
    found
}

/// The old files of those with these names in the directory of a location, in no order. A user who fills that holds up
/// nobody but what is written there.
///
/// # Errors
/// The directory cannot be read.
pub fn list(location: &Location, names: &Sorted<OsString, ()>) -> io::Result<Vec<OldFile>> {
    let mut found = Vec::new();
    let most = if location.is_exposed() { MOST_ENTRIES } else { usize::MAX };
    for entry in fs::read_dir(location.parent())?.take(most) {
        let entry = entry?;
        if let Some(number) = number_of(&entry.file_name(), names)
            && let Ok(meta) = entry.metadata()
            && meta.is_file()
        {
            // A hole takes no room, however large it is.
            let size = meta.len().min(meta.blocks().saturating_mul(512));
            let (path, id, written) = (entry.path(), id(&meta), (meta.mtime(), meta.mtime_nsec()));
            found.push(OldFile { path, id, size, written, number });
        }
    }
    Ok(found)
}

/// The number or date of an entry of a directory, if it is an old file of one of these names, and what follows a date.
pub fn number_of(entry: &OsStr, names: &Sorted<OsString, ()>) -> Option<(u64, u32)> {
    if names.contains_key(entry) {
        return None;
    }
    let bytes = entry.as_bytes();
    let bytes = bytes.strip_suffix(COMPRESSED.as_bytes()).unwrap_or(bytes);
    let dot = bytes.iter().rposition(|byte| *byte == b'.')?;
    let (name, number) = (bytes.get(..dot)?, bytes.get(dot + 1..)?);
    let number = std::str::from_utf8(number).ok().filter(|text| !text.contains('+'))?;
    // The second file of a period has a number behind the date.
    let date = number.split_once('-').filter(|(date, _)| date.len() >= 8);
    let (number, again) = date.unwrap_or((number, "0"));
    let number = (number.parse().ok()?, again.parse().ok()?);
    names.contains_key(OsStr::from_bytes(name)).then_some(number)
}

/// Cuts a file down to its newest bytes, about so many, from the beginning of a line. Whoever appends to it goes on at
/// its new end. It may belong to `user`. The answer is the size that it has then.
///
/// # Errors
/// It cannot be read or written.
pub fn cut(path: &Path, user: u32, keep: u64) -> io::Result<u64> {
    let location = Location::find(path)?;
    location.found().ok_or(ErrorKind::NotFound)?;
    let mut file = location.append(user)?;
    let size = file.metadata()?.len();
    let end = read_end(&mut file, size.saturating_sub(keep), keep)?;
    let line = end.iter().position(|byte| *byte == b'\n').and_then(|newline| end.get(newline + 1..));
    file.set_len(0)?;
    file.write_all(line.unwrap_or_default())?;
    Ok(file.metadata()?.len())
}

fn read_end(file: &mut File, from: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    // Somebody else may be making it longer all the time.
    file.take(most).read_to_end(&mut end)?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::super::backups::tests::files;
    use super::super::tests::Directory;
    use super::*;

    #[test]
    fn old_files_are_known_by_their_names() {
        let old = ["f.1", "f.2.gz", "f.20261123", "f.20261123-2.gz", "f.1.1", "g.7"];
        let others = [
            "f",
            "f.gz",
            "f.x",
            "f.1x",
            "f.-1",
            "f.1-1",
            "f.+1",
            "f.20261123-+2",
            "f.1.bz2",
            "h.1",
            "xf.1",
            "f..gz",
            "f.1.gz.gz",
        ];
        let directory = files(&[&old[..], &others].concat());
        fs::create_dir(directory.path("f.4")).unwrap();
        let paths = ["f", "f.1", "g"].map(|name| directory.path(name));
        let found = old_files(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        let mut names: Vec<_> =
            found.iter().map(|old| old.path.file_name().unwrap().to_str().unwrap()).collect();
        names.sort();
        // f.1 is in use itself.
        assert_eq!(names, ["f.1.1", "f.2.gz", "f.20261123", "f.20261123-2.gz", "g.7"]);
        assert_eq!(old_files(&[Path::new("/no/such/directory/f")]), []);
    }

    #[test]
    fn the_oldest_comes_first() {
        let directory = files(&["f.1", "f.2", "f.10.gz", "f.3", "f.9"]);
        // When that one was written, the clock was ahead.
        let future = u64::try_from(clock::realtime_ms()).unwrap() / 1000 + 9999;
        let time = |seconds| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        for (name, seconds) in [("f.1", 500), ("f.2", 500), ("f.10.gz", 400), ("f.3", 600), ("f.9", future)] {
            File::options()
                .append(true)
                .open(directory.path(name))
                .unwrap()
                .set_modified(time(seconds))
                .unwrap();
        }
        let path = directory.path("f");
        let names: Vec<_> = old_files(&[&path]).into_iter().map(|old| old.path).collect();
        assert_eq!(names, ["f.9", "f.10.gz", "f.2", "f.1", "f.3"].map(|name| directory.path(name)));
    }

    #[test]
    fn a_file_is_cut_at_a_line_and_its_writer_goes_on() {
        let directory = Directory::new();
        let path = directory.path("f");
        let mut writer = File::options().append(true).create(true).open(&path).unwrap();
        (0..100).for_each(|n| writeln!(writer, "line {n:02}").unwrap());
        assert_eq!(cut(&path, 0, 20).unwrap(), 16);
        writeln!(writer, "more").unwrap();
        assert_eq!(directory.read("f"), "line 98\nline 99\nmore\n");
        assert_eq!(cut(&path, 0, 2).unwrap(), 0);
        assert!(cut(&directory.path("no"), 0, 2).is_err());
    }
}
