//! The files of a configuration, on disk.

use crate::config::include::Owned;
use crate::config::{Files, ini, text};
use crate::sys::file;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Regular files on disk: nothing there can keep circus waiting but the disk, and what was read once can be read again.
pub struct Disk;

impl Disk {
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
        // Of a longer one than a configuration may be, enough to see that.
        self.begin(path, ini::LONGEST + 1)
    }

    fn begin(&self, path: &str, most: usize) -> io::Result<Vec<u8>> {
        let file = file::open_regular(place(&text::to_bytes(path)))?;
        let mut bytes = Vec::new();
        match file.take(most as u64).read_to_end(&mut bytes) {
            // Some files of /proc say that they are regular, and have no end.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(file::not_regular()),
            result => result.map(|_| bytes),
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let names = fs::read_dir(place(&text::to_bytes(dir)))?;
        names.map(|entry| Ok(text::from_bytes(entry?.file_name().as_bytes()))).collect()
    }

    fn owner(&self, path: &str) -> io::Result<Owned> {
        let bytes = text::to_bytes(path);
        let meta = place(&bytes).symlink_metadata()?;
        let link = meta.is_symlink().then(|| fs::read_link(place(&bytes))).transpose()?;
        let link = link.map(|link| text::from_bytes(link.as_os_str().as_bytes()));
        // A link can be changed where it stands.
        let stands = place(&bytes).parent().filter(|_| link.is_some());
        let is_fixed = file::is_read_only(stands.unwrap_or(place(&bytes)));
        Ok(Owned { uid: meta.uid(), gid: meta.gid(), mode: meta.mode(), link, is_fixed })
    }
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
