//! Cgroups of version 2: one for each watcher that asks for one by `cgroup.FILE = value`, below that of circus.
//!
//! circus can make them where its own cgroup is delegated to it, as by `Delegate=yes` in a unit of systemd. Where it is
//! not, or there is no version 2, the options have no effect and one warning says so. A cgroup that hands controllers
//! down may hold no processes itself, so circus moves into one of its own below it when it must. All of them are
//! removed when they are empty, at the latest when circus ends. Those of `kill_mode = tree` (descendants.rs) are below them.

use crate::arbiter::WatcherId;
use crate::config::{WatcherConfig, text};
pub use crate::host::oom::OutOfMemory;
use crate::host::procfs;
use crate::parts::log::{Level, Log};
use crate::sorted::Sorted;
use crate::sys::{io_words, process, tells_of_shortage};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How much of a watcher's name its cgroup has, in characters.
const LONGEST_NAME: usize = 60;

/// The cgroups that circus has made.
#[derive(Default)]
pub struct Cgroups {
    /// Not looked for before somebody asks; or why there is none.
    home: Option<Result<Home, String>>,
    made: Sorted<WatcherId, Made>,
}

/// Where circus can make cgroups.
struct Home {
    /// The cgroup that circus was started in.
    dir: PathBuf,
    /// The one below it that circus has moved to.
    own: Option<PathBuf>,
    /// The controllers that circus hands down.
    enabled: Vec<String>,
}

/// The cgroup of a watcher, and what was last written to its files.
struct Made {
    dir: PathBuf,
    files: Vec<(String, String)>,
}

/// The files of its cgroup that a watcher sets.
fn wanted(config: &WatcherConfig) -> Vec<(String, String)> {
    let file = |(key, value): (&String, &String)| Some((key.strip_prefix("cgroup.")?.into(), value.clone()));
    config.free.iter().filter_map(file).collect()
}

impl Cgroups {
    /// The file by which a new process enters the cgroup of its watcher, which is made and set up if need be. `None`
    /// where it has none.
    ///
    /// # Errors
    /// A file does not take its value.
    pub fn enter(
        &mut self,
        id: WatcherId,
        config: &WatcherConfig,
        log: &mut Log,
    ) -> Result<Option<CString>, String> {
        let files = wanted(config);
        if files.is_empty() {
            return Ok(None);
        }
        if self.made.get(&id).is_none_or(|made| made.files != files) {
            match self.make(id, config) {
                Ok(dir) => {
                    // Noted before anything is written, so that it is removed in any case.
                    self.made.insert(id, Made { dir: dir.clone(), files: Vec::new() });
                    self.set(&dir, &files, log)?;
                    self.made.insert(id, Made { dir, files });
                }
                Err(why) if tells_of_shortage(&why) => return Err(why),
                Err(why) => {
                    log.once(Level::Warning, "cgroup", format_args!("cgroup.* has no effect: {why}"));
                    return Ok(None);
                }
            }
        }
        Ok(self.made.get(&id).and_then(|made| entrance(&made.dir)))
    }

    /// Where cgroups can be made. That circus was short of something when it looked is no answer for later.
    fn home(&mut self) -> Result<&mut Home, String> {
        self.home.take_if(|home| home.as_ref().is_err_and(|why| tells_of_shortage(why)));
        self.home.get_or_insert_with(Home::find).as_mut().map_err(|why| why.clone())
    }

    /// Makes the cgroup of a watcher, unless it is there.
    fn make(&mut self, id: WatcherId, config: &WatcherConfig) -> Result<PathBuf, String> {
        if let Some(made) = self.made.get(&id) {
            return Ok(made.dir.clone());
        }
        let home = self.home()?;
        let name: String = config.name.replace('/', "_").chars().take(LONGEST_NAME).collect();
        let number = if name == config.name { String::new() } else { format!(".{}", id.0) };
        home.add(&format!("{name}{number}"))
    }

    /// Writes what a watcher wants into its cgroup. What the machine does not have is left out with a warning.
    fn set(&mut self, dir: &Path, files: &[(String, String)], log: &mut Log) -> Result<(), String> {
        for (file, value) in files {
            let controller = file.split('.').next().unwrap_or_default();
            let handed_down = self.home()?.hand_down(controller);
            let Err(error) = handed_down.and_then(|()| write(&dir.join(file), value)) else { continue };
            let why = match error.kind() {
                io::ErrorKind::NotFound => "there is no such file or controller here".into(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ResourceBusy => io_words(&error),
                _ => return Err(format!("cgroup.{file} = {value}: {}", io_words(&error))),
            };
            let cause = format!("cgroup {file}");
            log.once(Level::Warning, &cause, format_args!("cgroup.{file} has no effect: {why}"));
        }
        Ok(())
    }

    /// Makes a cgroup for one process of a watcher and all that comes from it, below that of the watcher or of circus.
    /// `None` where that cannot be: nobody has asked for it.
    #[cfg(feature = "tree")]
    pub fn make_below(&mut self, id: WatcherId, name: &str) -> Option<PathBuf> {
        let above = match self.made.get(&id) {
            Some(made) => &made.dir,
            None => &self.home().ok()?.dir,
        };
        let dir = above.join(name);
        std::fs::create_dir(&dir).is_ok().then_some(dir)
    }

    /// A watcher has stopped. Its cgroup stays if it is not empty, or if there is none.
    pub fn leave(&mut self, id: WatcherId) {
        if self.made.get(&id).is_some_and(|made| clear(&made.dir)) {
            self.made.remove(&id);
        }
    }

    /// Removes all of them, and moves circus back.
    pub fn finish(&mut self) {
        for made in self.made.values() {
            let _ = clear(&made.dir);
        }
        if let Some(Ok(home)) = &self.home {
            home.finish();
        }
    }
}

impl Home {
    /// The cgroup that circus is in.
    fn find() -> Result<Home, String> {
        let read = |path: &str| {
            let bytes = std::fs::read(path).map_err(|error| format!("{path}: {}", io_words(&error)))?;
            Ok::<String, String>(text::from_bytes(&bytes))
        };
        let dir = home_in(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
        let dir = dir.ok_or("there are no cgroups of version 2 here")?;
        Ok(Home { dir, own: None, enabled: Vec::new() })
    }

    /// Makes a cgroup. One that is there already was left by an earlier circus that had the same pid.
    fn add(&self, name: &str) -> Result<PathBuf, String> {
        let dir = self.dir.join(format!("circus-{}.{name}", process::pid()));
        match std::fs::create_dir(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(format!("{} is not delegated to circus: {}", self.dir.display(), io_words(&error)))
            }
            Ok(()) | Err(_) => Ok(dir),
        }
    }

    /// Lets the cgroups below have a controller.
    fn hand_down(&mut self, controller: &str) -> io::Result<()> {
        // What is called cgroup.* every cgroup has.
        if controller == "cgroup" || self.enabled.iter().any(|enabled| enabled == controller) {
            return Ok(());
        }
        let file = self.dir.join("cgroup.subtree_control");
        if lists(&file, controller)? {
            return Ok(());
        }
        if !lists(&self.dir.join("cgroup.controllers"), controller)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        let command = format!("+{controller}");
        let mut enabled = write(&file, &command);
        let is_busy = |error: &io::Error| error.kind() == io::ErrorKind::ResourceBusy;
        if enabled.as_ref().is_err_and(is_busy) && self.own.is_none() {
            self.move_down()?;
            enabled = write(&file, &command);
        }
        enabled?;
        self.enabled.push(controller.into());
        Ok(())
    }

    /// Moves circus, and what has come from it so far, out of the cgroup that it was started in.
    fn move_down(&mut self) -> io::Result<()> {
        let home = procfs::cgroup(process::pid())?;
        let below = procfs::descendants(process::pid())?;
        let own = self.add("own").map_err(io::Error::other)?;
        let procs = own.join("cgroup.procs");
        self.own = Some(own);
        write(&procs, &process::pid().to_string())?;
        // Others are in the cgroups of their watchers, or of their own.
        for pid in below.into_iter().filter(|pid| procfs::cgroup(*pid).is_ok_and(|its| its == home)) {
            let _ = write(&procs, &pid.to_string()); // it may have ended
        }
        Ok(())
    }

    /// Undoes what was done here, as far as it can be undone.
    fn finish(&self) {
        for controller in &self.enabled {
            let _ = write(&self.dir.join("cgroup.subtree_control"), &format!("-{controller}"));
        }
        if let Some(own) = &self.own {
            let _ = write(&self.dir.join("cgroup.procs"), &process::pid().to_string());
            let _ = clear(own);
        }
    }
}

/// The file by which a process enters a cgroup.
pub fn entrance(dir: &Path) -> Option<CString> {
    CString::new(dir.join("cgroup.procs").as_os_str().as_bytes()).ok()
}

/// Removes a cgroup. One that is not empty belongs to those who are in it.
pub fn clear(dir: &Path) -> bool {
    std::fs::remove_dir(dir).is_ok()
}

/// Whether a file of the kernel has this word.
fn lists(path: &Path, word: &str) -> io::Result<bool> {
    Ok(std::fs::read_to_string(path)?.trim_end().split(' ').any(|listed| listed == word))
}

/// Files of the kernel take a value in one piece or not at all, and cannot be made.
fn write(path: &Path, value: &str) -> io::Result<()> {
    File::options().write(true).open(path)?.write_all(value.as_bytes())
}

/// The directory of a process's cgroup, from what /proc says about mounts and about the process.
fn home_in(mounts: &str, cgroups: &str) -> Option<PathBuf> {
    let path = procfs::cgroup_in(cgroups)?;
    let place = |line: &str| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        // What is mounted may be a part of the whole tree.
        let below = path.strip_prefix(root.trim_end_matches('/'))?;
        Some(Path::new(point).join(below.trim_start_matches('/')))
    };
    mounts.lines().find_map(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::streams::destination::{Destination, Place};
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn the_cgroup_of_circus_is_found() {
        let v1 = "30 25 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n";
        let v2 = "25 20 0:22 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let part = "25 20 0:22 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let home = |mounts: &str, cgroups: &str| {
            home_in(mounts, cgroups).map(|path| path.to_str().unwrap().to_string())
        };
        let unit = "12:cpu:/\n0::/system.slice/circus.service\n";
        assert_eq!(home(&(v1.to_string() + v2), unit).unwrap(), "/sys/fs/cgroup/system.slice/circus.service");
        assert_eq!(home(part, "0::/docker/1/x\n").unwrap(), "/sys/fs/cgroup/x");
        assert_eq!(home(v2, "0::/\n").unwrap(), "/sys/fs/cgroup/");
        assert_eq!(home(v1, unit), None);
        assert_eq!(home(v2, "3:cpu:/\n"), None);
        assert_eq!(home(part, "0::/other\n"), None);
    }

    /// What any directory can play: which files are written, where, and what is said of those that are not there.
    #[test]
    fn a_watcher_gets_a_directory_of_its_own_and_its_values_are_written_there() {
        let home = std::env::temp_dir().join(format!("circus-cgroup-{}", process::pid()));
        let own = home.join(format!("circus-{}.w", process::pid()));
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(home.join("cgroup.controllers"), "cpu memory\n").unwrap();
        for file in [home.join("cgroup.subtree_control"), own.join("memory.max")] {
            std::fs::write(file, "").unwrap();
        }
        let (mut reader, writer) = std::io::pipe().unwrap();
        let destination = Destination::console(Place::Stderr, writer.as_fd()).unwrap();
        let mut log = Log::to(destination, Level::Info);
        let mut config = WatcherConfig { name: "w".into(), ..WatcherConfig::default() };
        for (key, value) in [("cgroup.memory.max", "1G"), ("cgroup.memory.high", "5"), ("cgroup.io.max", "9")]
        {
            config.free.insert(key.into(), value.into());
        }
        let here = Home { dir: home.clone(), own: None, enabled: Vec::new() };
        let mut cgroups = Cgroups { home: Some(Ok(here)), made: Sorted::new() };
        for _ in 0..2 {
            let entrance = cgroups.enter(WatcherId(7), &config, &mut log).unwrap().unwrap();
            assert_eq!(entrance.as_bytes(), own.join("cgroup.procs").as_os_str().as_bytes());
        }
        let read = |file: PathBuf| std::fs::read_to_string(file).unwrap();
        assert_eq!(read(own.join("memory.max")), "1G");
        assert_eq!(read(home.join("cgroup.subtree_control")), "+memory");
        let below = cgroups.make_below(WatcherId(7), "tree").unwrap();
        assert_eq!((below.parent(), below.exists()), (Some(own.as_path()), true));
        assert_eq!(cgroups.make_below(WatcherId(8), "tree"), Some(home.join("tree")));
        assert_eq!(cgroups.make_below(WatcherId(8), "tree"), None, "what cannot be made is done without");
        drop(log);
        drop(writer);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        for key in ["memory.high", "io.max"] {
            let warning = format!("cgroup.{key} has no effect: there is no such file or controller here");
            assert_eq!(said.matches(&warning).count(), 1, "{said}");
        }
        std::fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn what_a_watcher_wants_is_what_its_keys_say() {
        let mut config = WatcherConfig::default();
        for (key, value) in [("cgroup.memory.max", "1G"), ("memory.max", "2G")] {
            config.free.insert(key.into(), value.into());
        }
        assert_eq!(wanted(&config), [("memory.max".into(), "1G".into())]);
    }
}
