//! The way to a file: the directories and symbolic links from the root on, as the kernel goes through them.

use crate::config::Files;
use crate::config::include::{Owned, join};
use crate::sorted::Sorted;
use std::cell::RefCell;
use std::io::{self, ErrorKind};

/// So many symbolic links may lead from one to the next, as in the kernel.
const MOST_LINKS: usize = 40;

/// How far one has come.
pub struct Way {
    rest: Vec<String>,
    at: String,
    links: usize,
}

impl Way {
    /// One that begins at the root.
    pub fn to(path: &str) -> Way {
        Way { rest: parts(path), at: String::new(), links: 0 }
    }

    /// The place where one is.
    pub fn here(&self) -> &str {
        if self.at.is_empty() { "/" } else { &self.at }
    }

    /// Whether nothing comes behind this place.
    pub fn is_last(&self) -> bool {
        self.rest.iter().all(|part| part.is_empty() || part == ".")
    }

    /// This place is a link: the way goes on where it leads. False when there were too many.
    pub fn turn(&mut self, link: &str) -> bool {
        self.links += 1;
        let dir = self.at.rsplit_once('/').map_or("", |(dir, _)| dir);
        self.rest.extend(parts(&join(if dir.is_empty() { "/" } else { dir }, link)));
        self.at.clear();
        self.links <= MOST_LINKS
    }

    /// Goes to the next place, if there is one.
    pub fn step(&mut self) -> bool {
        match self.rest.pop().as_deref() {
            None => return false,
            Some("" | ".") => {}
            Some("..") => self.at.truncate(self.at.rfind('/').unwrap_or(0)),
            Some(part) => self.at.extend(["/", part]),
        }
        true
    }
}

/// Files of which each place is looked at once, however many watchers name it.
pub struct Once<'a> {
    files: &'a dyn Files,
    looks: RefCell<Sorted<String, Result<Owned, ErrorKind>>>,
    /// The beginnings of programs.
    begins: RefCell<Sorted<String, Vec<u8>>>,
}

impl<'a> Once<'a> {
    /// Nothing was looked at yet.
    pub fn new(files: &'a dyn Files) -> Once<'a> {
        Once { files, looks: RefCell::default(), begins: RefCell::default() }
    }
}

impl Files for Once<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.files.read(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.files.list(dir)
    }

    fn begin(&self, path: &str, most: usize) -> io::Result<Vec<u8>> {
        if let Some(known) = self.begins.borrow().get(path).filter(|known| known.len() == most) {
            return Ok(known.clone());
        }
        let found = self.files.begin(path, most)?;
        self.begins.borrow_mut().insert(path.into(), found.clone());
        Ok(found)
    }

    fn owner(&self, path: &str) -> io::Result<Owned> {
        if let Some(known) = self.looks.borrow().get(path) {
            return known.clone().map_err(io::Error::from);
        }
        let found = self.files.owner(path);
        let known = found.as_ref().map(Owned::clone).map_err(io::Error::kind);
        self.looks.borrow_mut().insert(path.into(), known);
        found
    }
}

/// What a path leads to.
pub struct Found {
    /// Its place, without links.
    pub place: String,
    /// Whose it is.
    pub owned: Owned,
    /// The directories on the way.
    pub dirs: Vec<(String, Owned)>,
}

/// Why a path leads to nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum Lost {
    /// There is nothing.
    Missing,
    /// There is a link that leads to this, which is not there.
    Dangling(String),
    /// It cannot be looked at.
    Unknown,
}

/// Goes to the end of the way.
///
/// # Errors
/// There is nothing, or it cannot be known.
pub fn follow(path: &str, files: &dyn Files) -> Result<Found, Lost> {
    let (mut way, mut dirs, mut links) = (Way::to(path), Vec::new(), None);
    loop {
        let owned = match files.owner(way.here()) {
            Ok(owned) => owned,
            Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(links.map_or(Lost::Missing, Lost::Dangling));
            }
            Err(_) => return Err(Lost::Unknown),
        };
        if let Some(link) = &owned.link {
            if way.is_last() {
                links = Some(link.clone());
            }
            if !way.turn(link) {
                return Err(Lost::Dangling(link.clone()));
            }
        } else if way.is_last() {
            return Ok(Found { place: way.here().into(), owned, dirs });
        } else if !owned.is_dir() {
            return Err(Lost::Missing);
        } else {
            dirs.push((way.here().to_string(), owned));
        }
        if !way.step() {
            return Err(Lost::Unknown);
        }
    }
}

fn parts(path: &str) -> Vec<String> {
    path.rsplit('/').map(str::to_string).collect()
}
