//! Files that exist in memory only, for tests.

use super::include::Files;
use crate::sorted::Sorted;
use std::io;

/// Files by absolute path.
pub struct Memory(Sorted<String, Vec<u8>>);

impl Memory {
    /// Files with these texts.
    pub fn new(files: &[(&str, &str)]) -> Memory {
        Memory(files.iter().map(|(path, text)| (path.to_string(), text.as_bytes().to_vec())).collect())
    }
}

impl Files for Memory {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let rests = self.0.keys().filter_map(|path| path.strip_prefix(dir)?.strip_prefix('/'));
        let mut names: Vec<String> =
            rests.filter_map(|rest| rest.split('/').next()).map(str::to_string).collect();
        names.dedup();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }
}
