//! Finds and reads the files of a configuration: the main file, then what its `include` and `include_dir` name.

use super::expand;
use super::ini::{self, Entry, excerpt};
use super::model::{Finding, Names, Origin, Severity};
use super::options::global;
use super::pattern::{self, Pattern};
use super::sections::Sections;
use crate::sorted::{Sorted, sort};
use std::io;
use std::rc::Rc;

/// A configuration may consist of so many files.
const MOST_FILES: usize = 10_000;

/// Where files come from.
pub trait Files {
    /// The bytes of a file; a file larger than [`ini::LONGEST`] may be cut after one byte more.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;
    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// It cannot be read.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// The first bytes of a file, no more than `most`.
    ///
    /// # Errors
    /// It cannot be read.
    fn begin(&self, path: &str, most: usize) -> io::Result<Vec<u8>> {
        self.read(path).map(|mut bytes| {
            bytes.truncate(most);
            bytes
        })
    }
    /// Whose a file is. One that is made up is nobody's.
    ///
    /// # Errors
    /// It cannot be looked at.
    fn owner(&self, _path: &str) -> io::Result<Owned> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whose a file is, and what its mode lets others do.
#[derive(Clone, Debug, Default)]
pub struct Owned {
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its type and mode.
    pub mode: u32,
    /// Where it leads, if it is a symbolic link.
    pub link: Option<String>,
    /// It stands in a file system that nobody can write to.
    pub is_fixed: bool,
}

impl Owned {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    /// Whether it is a plain file.
    pub fn is_regular(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    /// Whether it is a socket.
    pub fn is_socket(&self) -> bool {
        self.mode & 0o170_000 == 0o140_000
    }
}

/// What the files of a configuration hold.
pub struct Gathered<'a> {
    from: &'a dyn Files,
    cwd: &'a str,
    /// The files that have been read, tidied.
    seen: Sorted<String, ()>,
    /// Their sections, merged so far.
    pub sections: Sections,
    /// Their continuation lines that look like options.
    pub continued: Vec<(Origin, String)>,
    /// The files in the order in which they were read; none: the main file cannot be read.
    pub files: Vec<Rc<str>>,
    /// What is to be said so far.
    pub findings: Vec<Finding>,
}

/// Reads all files. `cwd` is where a relative `path` begins.
pub fn gather<'a>(path: &str, from: &'a dyn Files, environ: &Names, cwd: &'a str) -> Gathered<'a> {
    let (sections, continued, files, findings) = Default::default();
    let mut gathered = Gathered { from, cwd, seen: Sorted::new(), sections, continued, files, findings };
    if let Err(why) = gathered.add(path) {
        let message = format!("the configuration cannot be read: {}", describe(&why));
        gathered.find(Severity::Fatal, Origin { file: path.into(), line: 0 }, message);
        return gathered;
    }
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| if dir.is_empty() { "/" } else { dir });
    for (key, pattern) in [(global::include, ""), (global::include_dir, "*.ini")] {
        let Some(entry) = gathered.sections.get("circus", key).cloned() else { continue };
        let value = expand::expand(&entry.value, &|name| expand::env(environ, name));
        for word in value.split_whitespace() {
            gathered.include(&join(dir, &join(word, pattern)), &entry);
        }
    }
    gathered
}

impl Gathered<'_> {
    /// Reads one file, unless it has been read already. True when there is something in the file's place.
    fn add(&mut self, path: &str) -> io::Result<()> {
        let place = tidy(&join(self.cwd, path));
        if self.seen.contains_key(&place) {
            return Ok(());
        }
        let bytes = self.from.read(&place)?;
        self.seen.insert(place, ());
        let file: Rc<str> = path.into();
        let document = ini::read(&file, &bytes);
        self.findings.extend(document.findings);
        self.continued.extend(document.continued);
        self.sections.add(&file, document.sections, &mut self.findings);
        self.files.push(file);
        Ok(())
    }

    /// Reads all files that a path or pattern of `include` names.
    fn include(&mut self, path: &str, entry: &Entry) {
        let paths = self.glob(path);
        let mut found = false;
        for path in paths {
            let shown = excerpt(&path);
            if self.files.len() >= MOST_FILES {
                let message = format!("there are more than {MOST_FILES} files; `{shown}` is not read");
                return self.find(Severity::Error, entry.origin.clone(), message);
            }
            match self.add(&path) {
                Ok(()) => found = true,
                Err(why) if why.kind() == io::ErrorKind::NotFound => {}
                Err(why) => {
                    found = true;
                    let message =
                        format!("`{shown}` is left out, since it cannot be read: {}", describe(&why));
                    self.find(Severity::Warning, entry.origin.clone(), message);
                }
            }
        }
        if !found {
            let path = excerpt(path);
            let message =
                format!("`{path}` leads to no file (paths are relative to the main file's directory)");
            self.find(Severity::Warning, entry.origin.clone(), message);
        }
    }

    /// The paths that match, sorted. A path without a pattern stands for itself, whether it exists or not.
    fn glob(&self, path: &str) -> Vec<String> {
        let mut found = vec![if path.starts_with('/') { "/".to_string() } else { String::new() }];
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if pattern::is_pattern(part) {
                found = found.iter().flat_map(|dir| self.matching(dir, part)).take(MOST_FILES + 1).collect();
            } else {
                found.iter_mut().for_each(|dir| *dir = join(dir, part));
            }
        }
        found
    }

    /// The entries of a directory that match. Hidden ones need a dot in the pattern.
    fn matching(&self, dir: &str, part: &str) -> Vec<String> {
        let place = if dir.is_empty() { "." } else { dir };
        let pattern = Pattern::new(part);
        let mut names = self.from.list(&tidy(&join(self.cwd, place))).unwrap_or_default();
        names.retain(|name| (part.starts_with('.') || !name.starts_with('.')) && pattern.matches(name));
        sort(names).iter().map(|name| join(dir, name)).collect()
    }

    fn find(&mut self, severity: Severity, origin: Origin, message: String) {
        self.findings.push(Finding { severity, origin, message });
    }
}

/// `path` as it is seen from `dir`.
pub fn join(dir: &str, path: &str) -> String {
    if dir.is_empty() || path.starts_with('/') {
        path.into()
    } else if path.is_empty() {
        dir.into()
    } else {
        format!("{}/{path}", dir.strip_suffix('/').unwrap_or(dir))
    }
}

/// A path without doubled slashes and `.` parts, so that two spellings of one file look alike.
pub fn tidy(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let root = if path.starts_with('/') { "/" } else { "" };
    let tidy = format!("{root}{}", parts.join("/"));
    if tidy.is_empty() { ".".into() } else { tidy }
}

/// The errno in words, without Rust's "(os error N)".
fn describe(why: &io::Error) -> String {
    let text = why.to_string();
    text.split(" (os error").next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::memory::Memory;

    fn included(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let memory = Memory::new(files);
        let environ = Names::from_iter([("DIR".to_string(), "sub".to_string())]);
        let gathered = gather("conf/main.ini", &memory, &environ, "/w");
        let files = gathered.files.iter().map(|f| f.to_string()).collect();
        (files, gathered.findings.iter().map(|f| format!("{}: {}", f.origin, f.message)).collect())
    }

    #[test]
    fn patterns_directories_and_paths_are_included_in_order() {
        let (files, findings) = included(&[
            (
                "/w/conf/main.ini",
                "[circus]\ninclude_dir = d\ninclude = b.ini\n */x?.ini $(circus.env.DIR)/../a.ini main.ini",
            ),
            ("/w/conf/a.ini", ""),
            ("/w/conf/sub/../a.ini", "[circus]\ninclude = never.ini"),
            ("/w/conf/b.ini", ""),
            ("/w/conf/z/x2.ini", ""),
            ("/w/conf/z/x1.ini", ""),
            ("/w/conf/.h/x1.ini", ""),
            ("/w/conf/d/c.ini", ""),
            ("/w/conf/d/.c.ini", ""),
            ("/w/conf/d/c.txt", ""),
        ]);
        assert_eq!(findings, [""; 0]);
        let wanted = ["main.ini", "b.ini", "z/x1.ini", "z/x2.ini", "sub/../a.ini", "d/c.ini"];
        assert_eq!(files, wanted.map(|f| format!("conf/{f}")));
    }

    #[test]
    fn what_leads_nowhere_is_a_short_warning() {
        let long = format!("[circus]\ninclude = {}", "x".repeat(100_000));
        let (files, findings) =
            included(&[("/w/conf/main.ini", "[circus]\ninclude = no.ini n*\ninclude_dir = none")]);
        assert_eq!(files.len(), 1);
        assert_eq!(findings.len(), 3);
        assert!(included(&[("/w/conf/main.ini", &long)]).1[0].len() < 1000);
        assert!(findings[0].starts_with("conf/main.ini:2: `conf/no.ini` leads to no file"), "{findings:?}");
        assert!(
            findings[2].starts_with("conf/main.ini:3: `conf/none/*.ini` leads to no file"),
            "{findings:?}"
        );
    }

    #[test]
    fn a_missing_main_file_is_fatal() {
        let (files, findings) = included(&[]);
        assert!(files.is_empty());
        assert_eq!(findings.len(), 1);
        assert!(findings[0].starts_with("conf/main.ini: the configuration cannot be read: "), "{findings:?}");
    }
}
