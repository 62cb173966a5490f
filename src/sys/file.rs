//! What opening and writing files needs beyond the standard library.

use super::process::poll;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Flags for opening a path of somebody else's choice: a FIFO or a terminal there must neither hold circus up
/// (O_NONBLOCK) nor become its controlling terminal (O_NOCTTY). A regular file does not mind.
pub const NEVER_WAIT: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

/// The most bytes that a write to a pipe which [`is_writable`] takes without waiting.
pub const PIPE_PIECE: usize = libc::PIPE_BUF;

/// Whether a write would go on at once, by asking and not by trying: for open files whose O_NONBLOCK belongs to
/// others too. True as well where a write fails at once.
pub fn is_writable(fd: RawFd) -> io::Result<bool> {
    poll(fd, libc::POLLOUT, 0)
}

/// Opens a regular file to be read. Anything else is refused: a FIFO, a device, a directory.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(NEVER_WAIT).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// Whether a path, or what it leads to, lies on a file system to which nobody can write as it is mounted now.
pub fn is_read_only(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: for this struct of numbers all zeros are a value.
    let mut about: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a string with its null, and room for one struct.
    let done = unsafe { libc::statvfs(path.as_ptr(), &mut about) };
    done == 0 && about.f_flag & libc::ST_RDONLY != 0
}

/// The error for what is no regular file.
pub fn not_regular() -> io::Error {
    io::Error::other("it is not a regular file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_full_pipe_is_not_writable_and_one_without_reader_fails_at_once() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert!(is_writable(writer.as_raw_fd()).unwrap());
        while is_writable(writer.as_raw_fd()).unwrap() {
            assert_eq!(writer.write(&[0; PIPE_PIECE]).unwrap(), PIPE_PIECE);
        }
        drop(reader);
        assert!(is_writable(writer.as_raw_fd()).unwrap());
        assert_eq!(writer.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
