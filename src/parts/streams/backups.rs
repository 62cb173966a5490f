//! The old files that rotations leave: how they move up, and how they are found.
//!
//! An old file is called after the file, with a number or a date behind a dot: `FILE.1`, `FILE.20261123`; and with
//! `.gz` behind that when it is compressed.

pub use crate::host::files::with;
use crate::host::files::{Location, id, make_alike};
use crate::sorted::{Sorted, sort_by};
use crate::sys::clock;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What stands behind the name of a compressed file.
pub const COMPRESSED: &str = ".gz";
/// The most old files that are removed after one rotation.
pub const MOST_AT_ONCE: u64 = 1000;
/// So many entries are looked at of a directory that others can fill.
const MOST_ENTRIES: usize = 10_000;
/// What stands behind the name of a file that is about to take the place of another one.
const NEW: &str = ".circus-new";

/// Both forms of the old file of this number.
fn forms(location: &Location, n: u64) -> [OsString; 2] {
    ["", COMPRESSED].map(|end| with(location.name(), &format!(".{n}{end}")))
}

/// Whether there is an old file of this number, in either form.
///
/// # Errors
/// That cannot be told, or what is there is no file.
fn is_there(location: &Location, n: u64) -> io::Result<bool> {
    let mut there = false;
    for name in forms(location, n) {
        if let Some(found) = location.look(&name)? {
            if found.is_dir() {
                return Err(io::Error::other(format!("{} is a directory", name.display())));
            }
            there = true;
        }
    }
    Ok(there)
}

/// Moves `FILE.n` to `FILE.n+1`, compressed or not, up to the first number that is free, so that nothing is replaced
/// that counts among the first `count`. What is one too many goes after the rotation. The answer is the name for the
/// file itself, `FILE.1`.
///
/// # Errors
/// One of them cannot be renamed, or the kernel does not tell which are there.
pub fn shift(location: &Location, count: u32) -> io::Result<OsString> {
    let mut free = 1;
    while free <= u64::from(count) && is_there(location, free)? {
        free += 1;
    }
    for n in (1..free).rev() {
        for (old, older) in forms(location, n).iter().zip(&forms(location, n + 1)) {
            unless_missing(location.rename(old, older))?;
        }
    }
    Ok(with(location.name(), ".1"))
}

/// Removes the old files behind the first `count`, up to the first number that is free, and not too many at once.
///
/// # Errors
/// One of them cannot be removed.
pub fn remove_beyond(location: &Location, count: u32) -> io::Result<()> {
    let mut last = u64::from(count);
    let end = loop {
        match is_there(location, last + 1) {
            Ok(true) if last < u64::from(count) + MOST_AT_ONCE => last += 1,
            end => break end.map(drop),
        }
    };
    // From the end on, so that a failure leaves no gap that hides the others from the next rotation.
    for n in (u64::from(count) + 1..=last).rev() {
        forms(location, n).iter().try_for_each(|name| unless_missing(location.remove(name)))?;
    }
    end
}

/// Puts a new, empty file in the place of the old one, of which `old` is known, and answers it. The old one gets the
/// name that `make_way` frees. The new file is made first, and what cannot be finished is taken back: the old file
/// keeps its name then.
///
/// # Errors
/// A file cannot be created or renamed.
pub fn replace(
    location: &Location,
    old: &Metadata,
    make_way: impl FnOnce(&Location) -> io::Result<OsString>,
) -> io::Result<File> {
    let (live, temporary) = (location.name(), with(location.name(), NEW));
    // One that an earlier circus left.
    unless_missing(location.remove(&temporary))?;
    let new = location.create_new(&temporary)?;
    let exchange = || {
        make_alike(&new, old)?;
        let aside = make_way(location)?;
        location.rename(live, &aside)?;
        location.rename(&temporary, live).inspect_err(|_| drop(location.rename(&aside, live)))
    };
    let exchanged = exchange().inspect_err(|_| drop(location.remove(&temporary)));
    exchanged.map(|()| new)
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
    /// How many bytes it takes.
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

/// How many entries of a directory are looked at: a user who fills one holds up nobody but what is written there.
pub fn most_entries(location: &Location) -> usize {
    if location.is_exposed() { MOST_ENTRIES } else { usize::MAX }
}

/// The old files of these files, the oldest first. Nothing that is in use as a file itself is an old one.
pub fn old_files(paths: &[&Path]) -> Vec<OldFile> {
    let mut directories: Sorted<PathBuf, (usize, Sorted<OsString, ()>)> = Sorted::new();
    for path in paths {
        // Where a link leads, there are the old files. A directory that has gone has none.
        if let Ok(location) = Location::find(path) {
            let new = || (most_entries(&location), Sorted::new());
            let (_, names) = directories.get_or_insert_with(location.parent().into(), new);
            names.insert(location.name().into(), ());
        }
    }
    let mut found = Vec::new();
    for (directory, (most, names)) in directories {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten().take(most) {
            if let Some(number) = number_of(&entry.file_name(), &names)
                && let Ok(meta) = entry.metadata()
                && meta.is_file()
            {
                found.push(old_file(entry.path(), &meta, number));
            }
        }
    }
    // What a clock has dated that was ahead once says nothing about the files that came later, so it goes first. Files
    // that were written at the same time by the clock of the file system: the larger number is older.
    let now = clock::realtime_ms() / 1000;
    let age = |file: &OldFile| (file.written.0 <= now, file.written, u64::MAX - file.number);
    sort_by(&mut found, |one, two| age(one) < age(two));
    found
}

fn old_file(path: PathBuf, meta: &Metadata, number: u64) -> OldFile {
    let (id, written) = (id(meta), (meta.mtime(), meta.mtime_nsec()));
    // A hole takes no room, however large it is.
    let size = meta.len().min(meta.blocks().saturating_mul(512));
    OldFile { path, id, size, written, number }
}

/// The number (or date) of an entry of a directory, if it is an old file of one of these names.
fn number_of(entry: &OsStr, names: &Sorted<OsString, ()>) -> Option<u64> {
    if names.contains_key(entry) {
        return None;
    }
    let bytes = entry.as_bytes();
    let bytes = bytes.strip_suffix(COMPRESSED.as_bytes()).unwrap_or(bytes);
    let dot = bytes.iter().rposition(|byte| *byte == b'.')?;
    let (name, number) = (bytes.get(..dot)?, bytes.get(dot + 1..)?);
    let number = std::str::from_utf8(number).ok().filter(|text| !text.starts_with('+'))?;
    // The second file of a period has a number behind the date.
    let date = number.split_once('-').filter(|(date, again)| date.len() >= 8 && again.parse::<u32>().is_ok());
    let number = date.map_or(number, |(date, _)| date).parse().ok()?;
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

    /// What a rotation does with the file `f`.
    fn rotate(directory: &Directory, count: u32) -> io::Result<()> {
        let location = Location::find(&directory.path("f"))?;
        replace(&location, location.found().unwrap(), |location| shift(location, count))?;
        remove_beyond(&location, count)
    }

    #[test]
    fn a_lowered_backup_count_removes_what_is_beyond_it() {
        let directory = files(&["f", "f.1", "f.2.gz", "f.3", "f.4", "f.7", "f.20261123"]);
        rotate(&directory, 2).unwrap();
        let left = [("f", ""), ("f.1", "f"), ("f.2", "f.1"), ("f.20261123", "f.20261123"), ("f.7", "f.7")];
        assert_eq!(there(&directory), pairs(&left), "7 may be somebody else's");
    }

    #[test]
    fn a_rotation_that_fails_half_way_leaves_the_file_and_all_old_ones() {
        let directory = files(&["f", "f.1", "f.2", "f.3"]);
        let before = there(&directory);
        let location = Location::find(&directory.path("f")).unwrap();
        let old = location.found().unwrap();
        let failing = |_: &Location| Err(io::Error::other("no"));
        replace(&location, old, failing).unwrap_err();
        // The name for the file cannot be had: there is a directory.
        let taken = |location: &Location| {
            fs::create_dir(location.path().with_file_name("taken"))?;
            Ok("taken".into())
        };
        replace(&location, old, taken).unwrap_err();
        fs::remove_dir(directory.path("taken")).unwrap();
        assert_eq!(there(&directory), before);
        // The new file cannot be had.
        fs::create_dir_all(directory.path("f.circus-new/full")).unwrap();
        replace(&location, old, |location| shift(location, 9)).unwrap_err();
        fs::remove_dir_all(directory.path("f.circus-new")).unwrap();
        assert_eq!(there(&directory), before);
        rotate(&directory, 2).unwrap();
        assert_eq!(there(&directory), pairs(&[("f", ""), ("f.1", "f"), ("f.2", "f.1")]));
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_taken_to_be_missing() {
        let directory = files(&["f"]);
        let location = Location::find(&directory.path("f")).unwrap();
        let unknown = location.look(OsStr::new(&"x".repeat(300)));
        assert_eq!(unknown.unwrap_err().kind(), ErrorKind::InvalidFilename);
        // Both forms of the old file have names that are too long to be looked at.
        let long = "x".repeat(254);
        fs::write(directory.path(&long), "text").unwrap();
        let location = Location::find(&directory.path(&long)).unwrap();
        assert!(replace(&location, location.found().unwrap(), |_| Ok("x".into())).is_err());
        assert!(shift(&location, 9).is_err());
        assert_eq!(directory.read(&long), "text");
    }

    #[test]
    fn a_link_is_rotated_where_it_leads() {
        let directory = files(&[]);
        fs::create_dir(directory.path("disk")).unwrap();
        fs::write(directory.path("disk/real"), "text").unwrap();
        std::os::unix::fs::symlink("disk/real", directory.path("f")).unwrap();
        rotate(&directory, 1).unwrap();
        assert!(directory.path("f").is_symlink());
        assert_eq!((directory.read("f").as_str(), directory.read("disk/real.1").as_str()), ("", "text"));
        let old: Vec<_> = old_files(&[&directory.path("f")]).into_iter().map(|old| old.path).collect();
        assert_eq!(old, [fs::canonicalize(directory.path("disk/real.1")).unwrap()]);
    }

    #[test]
    fn compressed_and_plain_files_move_up_alike() {
        let directory = files(&["f", "f.1", "f.2.gz", "f.3", "f.3.gz", "f.6"]);
        rotate(&directory, 3).unwrap();
        let moved = [("f", ""), ("f.1", "f"), ("f.2", "f.1"), ("f.3.gz", "f.2.gz"), ("f.6", "f.6")];
        assert_eq!(there(&directory), pairs(&moved));
    }

    #[test]
    fn a_file_that_is_there_in_both_forms_moves_in_both() {
        let directory = files(&["f", "f.1", "f.1.gz"]);
        rotate(&directory, 9).unwrap();
        assert_eq!(
            there(&directory),
            pairs(&[("f", ""), ("f.1", "f"), ("f.2", "f.1"), ("f.2.gz", "f.1.gz")])
        );
    }

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
