//! The files of a configuration, on disk.

use crate::config::{Files, ini, text};
use crate::sys::file::NEVER_WAIT;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Files on disk.
pub struct Disk;

/// Regular files on disk, read while circus runs: nothing there can keep it waiting but the disk, and what was read
/// once can be read again.
pub struct Regular;

impl Regular {
    /// The text of a file.
    ///
    /// # Errors
    /// It cannot be read, is no regular file, or is longer than a configuration may be.
    pub fn text(&self, path: &str) -> io::Result<String> {
        let bytes = self.read(path)?;
        if bytes.len() > ini::LONGEST {
            return Err(io::Error::other("it is too long"));
        }
        Ok(text::from_bytes(&bytes))
    }
}

impl Files for Disk {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        contents(File::open(place(&text::to_bytes(path)))?)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let names = fs::read_dir(place(&text::to_bytes(dir)))?;
        names.map(|entry| Ok(text::from_bytes(entry?.file_name().as_bytes()))).collect()
    }
}

impl Files for Regular {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(NEVER_WAIT).open(place(&text::to_bytes(path)))?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        contents(file)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        Disk.list(dir)
    }
}

/// What is in a file; of a longer one than a configuration may be, enough to see that.
fn contents(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(ini::LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn place(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_listed() {
        let dir = std::env::temp_dir().join(format!("circus-files-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let name = OsStr::from_bytes(b"caf\xe9.ini");
        fs::write(dir.join(name), b"x\xff").unwrap();
        let dir_text = text::from_bytes(dir.as_os_str().as_bytes());
        let names = Disk.list(&dir_text).unwrap();
        assert_eq!(names, [text::from_bytes(name.as_bytes())]);
        assert_eq!(Disk.read(&format!("{dir_text}/{}", names[0])).unwrap(), b"x\xff");
        assert_eq!(Disk.read(&format!("{dir_text}/no")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(Disk.read(&dir_text).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
