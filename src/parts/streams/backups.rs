//! The old files that rotations leave, and how they move up.
//!
//! An old file is called after the file, with a number or a date behind a dot: `FILE.1`, `FILE.20261123`; and with
//! `.gz` behind that when it is compressed.

pub use crate::host::files::with;
use crate::host::files::{Location, make_alike};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};

/// What stands behind the name of a compressed file.
pub const COMPRESSED: &str = ".gz";
/// The most old files that are removed after one rotation.
pub const MOST_AT_ONCE: u64 = 1000;
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

#[cfg(test)]
pub(super) mod tests {
    use super::super::old_files::old_files;
    use super::super::tests::Directory;
    use super::*;
    use std::ffi::OsStr;
    use std::fs;

    /// Files with these names, each with its name in it.
    pub(in super::super) fn files(names: &[&str]) -> Directory {
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
        let unknown = location.look(std::ffi::OsStr::new(&"x".repeat(300)));
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
}
