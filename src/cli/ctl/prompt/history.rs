//! The lines that were typed before, kept in `circus/history` below `$XDG_STATE_HOME` or `~/.local/state`.
//!
//! That is a comfort: when the file cannot be read or written, nobody is told.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// How many lines are kept.
const MOST: usize = 500;
/// A file of more bytes is none of ours and is not read.
const LONGEST: u64 = 1 << 20;

/// The lines that were typed, the oldest first.
#[derive(Debug, Default)]
pub struct History {
    /// The lines.
    pub lines: Vec<String>,
    file: Option<PathBuf>,
}

impl History {
    /// What the file holds.
    pub fn load() -> History {
        let directory = |name, below: &str| {
            let path = PathBuf::from(std::env::var_os(name)?);
            path.is_absolute().then(|| path.join(below).join("circus/history"))
        };
        let file = directory("XDG_STATE_HOME", "").or_else(|| directory("HOME", ".local/state"));
        let mut history = History { lines: Vec::new(), file };
        history.read();
        history
    }

    fn read(&mut self) {
        let Some(path) = &self.file else { return };
        let known = fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= LONGEST);
        let bytes = if known { fs::read(path).unwrap_or_default() } else { Vec::new() };
        self.lines = String::from_utf8_lossy(&bytes).lines().map(str::to_string).collect();
        let old = self.lines.len().saturating_sub(MOST);
        self.lines.drain(..old);
        if old > MOST {
            self.write();
        }
    }

    /// Writes the file anew, without what is too old.
    fn write(&self) {
        let Some(path) = &self.file else { return };
        let mut new = path.clone().into_os_string();
        new.push(".new");
        let text = self.lines.join("\n") + "\n";
        let written =
            options().truncate(true).open(&new).and_then(|mut file| file.write_all(text.as_bytes()));
        let _ = written.and_then(|()| fs::rename(&new, path));
    }

    /// Adds a line, unless it is the one before again or begins with a blank, as what is secret should.
    pub fn add(&mut self, line: &str) {
        if line.trim().is_empty()
            || line.starts_with(' ')
            || self.lines.last().is_some_and(|last| last == line)
        {
            return;
        }
        self.lines.push(line.to_string());
        let Some(path) = &self.file else { return };
        let mut directories = DirBuilder::new();
        let _ = path.parent().map(|parent| directories.recursive(true).mode(0o700).create(parent));
        let file = options().append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    }
}

/// Commands may hold passwords.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn lines_are_kept_and_their_number_has_an_end() {
        let directory = std::env::temp_dir().join(format!("circus-history-{}", std::process::id()));
        let file = directory.join("circus/history");
        let load = || {
            let mut history = History { lines: Vec::new(), file: Some(file.clone()) };
            history.read();
            history
        };
        let mut history = load();
        for line in ["status", "status", " set web env SECRET=1", "", "list", "status"] {
            history.add(line);
        }
        assert_eq!(load().lines, ["status", "list", "status"]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let many: Vec<String> = (0..=2 * MOST).map(|n| n.to_string()).collect();
        fs::write(&file, many.join("\n")).unwrap();
        assert_eq!(load().lines, many[MOST + 1..]);
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), MOST);
        fs::remove_dir_all(&directory).unwrap();
    }
}
