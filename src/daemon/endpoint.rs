//! Opens the control socket: where it may be, whose file it is, and what may be in its way.

use super::sockets::OwnFile;
use crate::config::options::CircusOptions;
use crate::config::text;
use crate::control::endpoint::{Directory, Place};
use crate::sys::address::Address;
use crate::sys::socket::{self, PathState};
use crate::sys::{self, user};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Why the control socket cannot be opened.
pub struct Refused {
    /// A sentence.
    pub message: String,
    /// circus can do without it.
    pub only_a_warning: bool,
}

/// An open control socket.
pub struct Opened {
    /// Where connections come in.
    pub listener: UnixListener,
    /// Where it is, as text.
    pub endpoint: String,
    /// Its file, which goes with it.
    pub file: Option<OwnFile>,
    /// An abstract socket has no file whose mode could guard it: only this user and root are served.
    pub only_for: Option<u32>,
}

/// Opens the control socket.
///
/// # Errors
/// Why that cannot be.
pub fn open(place: &Place, directory: &Directory, options: &CircusOptions) -> Result<Opened, Refused> {
    let refuse = |why: &dyn std::fmt::Display, only_a_warning| Refused {
        message: format!("control socket {place}: {why}"),
        only_a_warning,
    };
    let address = match place {
        Place::Abstract(name) => Address::Abstract(text::to_bytes(name).into_owned()),
        Place::Path(path) => {
            prepare(path, directory).map_err(|(why, harmless)| refuse(&why, harmless))?;
            Address::Unix(path.into())
        }
    };
    let mode = u32::try_from(options.endpoint_mode).unwrap_or(0o600);
    let fd = socket::listen_unix(&address, mode).map_err(|error| {
        let harmless = error.error.kind() == ErrorKind::PermissionDenied
            || error.error.kind() == ErrorKind::ReadOnlyFilesystem;
        refuse(&error, harmless)
    })?;
    let file = match &address {
        Address::Unix(path) => OwnFile::new(path),
        Address::Inet(_) | Address::Abstract(_) => None,
    };
    if let (Some(owner), Address::Unix(path)) = (&options.endpoint_owner, &address) {
        give_to(path, owner).map_err(|why| refuse(&why, false))?;
    }
    let only_for = matches!(address, Address::Abstract(_)).then(user::current_uid);
    Ok(Opened { listener: fd.into(), endpoint: place.to_string(), file, only_for })
}

/// Makes sure that a control socket can be made at `path`.
///
/// # Errors
/// A sentence, and whether circus can do without.
fn prepare(path: &str, directory: &Directory) -> Result<(), (String, bool)> {
    if Path::new(path).parent() == Some(Path::new(&directory.path)) {
        make_directory(directory).map_err(|why| (why, true))?;
    }
    match socket::path_state(Path::new(path)) {
        Ok(PathState::Absent) => Ok(()),
        Ok(PathState::NotASocket) => Err(("there is a file of that name, and it is no socket".into(), false)),
        Ok(PathState::InUse) => Err(("another circus serves it already".into(), false)),
        // Left by a circus that was killed.
        Ok(PathState::Stale) => std::fs::remove_file(path).map_err(|error| (sys::io_words(&error), false)),
        Err(error) => Err((sys::io_words(&error), false)),
    }
}

/// Makes the default directory of control sockets. One in a place where anybody may make directories must be ours.
fn make_directory(directory: &Directory) -> Result<(), String> {
    let path = Path::new(&directory.path);
    let mode = if directory.exposed { 0o700 } else { 0o755 };
    match sys::file::make_directory(path, mode) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(format!("{}: {}", directory.path, sys::io_words(&error))),
    }
    let meta = path.symlink_metadata().map_err(|error| sys::io_words(&error))?;
    let ours = meta.is_dir() && meta.uid() == user::current_uid() && meta.mode() & 0o077 == 0;
    if directory.exposed && !ours {
        return Err(format!("{} is not a directory of this user's with mode 0700", directory.path));
    }
    Ok(())
}

fn give_to(path: &Path, owner: &str) -> Result<(), String> {
    let account = user::find_user(owner).map_err(|error| sys::io_words(&error))?;
    let account = account.ok_or_else(|| format!("endpoint_owner = {owner}: there is no such user"))?;
    user::lchown(path, Some(account.uid), None)
        .map_err(|error| format!("endpoint_owner = {owner}: {}", sys::io_words(&error)))
}
