//! Finds a circus that nobody has named: the only one in the user's own default directory, and for root that of another
//! user, in the places where it is by default.
//!
//! Whose it is must be certain: the directory belongs to the user that it is named after, and so does the process that
//! answers. Root is told whose it is, since it might be expected to be root's own.

use super::Tried;
use crate::sys::socket::{Address, connect_now, peer_credentials};
use std::fs;
use std::io::{Error, Result, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// More users than these are not looked at.
const MOST: usize = 1000;

/// The connection to the only circus of another user that answers.
pub fn find(file: &str, tried: &mut Tried) -> Option<UnixStream> {
    let mut found = Vec::new();
    for (uid, directory) in directories().into_iter().take(MOST) {
        let path = directory.join(file);
        match connect(uid, &directory, &path) {
            Ok(stream) => found.push((uid, path, stream)),
            Err(error) => tried.note(path.display().to_string(), &error),
        }
    }
    if found.len() > 1 {
        tried.several = true;
        let places = found
            .iter()
            .map(|(uid, path, _)| (path.display().to_string(), format!("that of uid {uid} answers")));
        tried.places.extend(places);
        return None;
    }
    let (uid, path, stream) = found.pop()?;
    let line = format!("circus of uid {uid} at {}\n", path.display());
    let _ = std::io::stderr().write_all(line.as_bytes());
    Some(stream)
}

/// The connection to the only circus that answers in this directory, whatever its file is called.
pub fn alone(directory: &str, tried: &mut Tried) -> Option<UnixStream> {
    let names = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let sockets = names.filter(|path| path.extension().is_some_and(|end| end == "sock")).take(MOST);
    let mut found: Vec<(PathBuf, UnixStream)> =
        sockets.filter_map(|path| Some((path.clone(), UnixStream::connect(path).ok()?))).collect();
    let (path, stream) = found.pop()?;
    if found.is_empty() {
        let _ = std::io::stderr().write_all(format!("circus at {}\n", path.display()).as_bytes());
        return Some(stream);
    }
    tried.several = true;
    let all = found.iter().map(|(path, _)| path).chain([&path]);
    tried.places.extend(all.map(|path| (path.display().to_string(), "a circus answers".into())));
    None
}

/// The default directories of users other than root that are there.
fn directories() -> Vec<(u32, PathBuf)> {
    let in_place = |place: &str, prefix: &str, below: &str| {
        let names = fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let of = |name: std::ffi::OsString| {
            let uid: u32 = name.to_str()?.strip_prefix(prefix)?.parse().ok().filter(|uid| *uid != 0)?;
            let directory = PathBuf::from(place).join(name).join(below);
            directory.symlink_metadata().is_ok().then_some((uid, directory))
        };
        names.filter_map(of).collect::<Vec<_>>()
    };
    [in_place("/run/user", "", "circus"), in_place("/tmp", "circus-", "")].concat()
}

fn connect(uid: u32, directory: &std::path::Path, path: &std::path::Path) -> Result<UnixStream> {
    let meta = fs::symlink_metadata(directory)?;
    let own = |yes: bool| {
        if yes { Ok(()) } else { Err(Error::other(format!("it is not that of uid {uid}; not used"))) }
    };
    own(meta.is_dir() && meta.uid() == uid)?;
    let fd = connect_now(&Address::Unix(path.into()))?;
    own(peer_credentials(fd.as_raw_fd())?.1 == uid)?;
    let stream = UnixStream::from(fd);
    stream.set_nonblocking(false)?;
    Ok(stream)
}
