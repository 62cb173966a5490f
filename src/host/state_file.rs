//! The file in which circus writes down who it is and which processes it has, for a start after it was killed
//! ([`super::orphans`]).
//!
//! It is made anew and renamed a moment after something has changed, and at most ten times a second, so that many changes are
//! one file and no spawn waits for it; for what the file does not have yet there is the mark. It lies where root and
//! circus's user alone can write; where there is no such place, circus does without. It goes when circus ends.

use crate::arbiter::Pid;
use crate::config::options::CircusOptions;
use crate::control::mark::Identity;
use crate::control::state::{MOST, OfWatcher, Recorded, State, checksum};
use crate::host::endpoint::absolute;
use crate::host::files::{Location, is_ours, with};
use crate::host::orphans::{self, Outcome};
use crate::host::processes::Processes;
use crate::host::procfs;
use crate::parts::log::{Level, Log};
use crate::reactor::part::Cx;
use crate::sorted::Sorted;
use crate::sys::signal::Signals;
use crate::sys::{clock, io_words, process, user};
use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long after a change the file is written, so that no spawn waits for it, and after another write, so that many
/// changes cost little.
const SOON: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(100);
/// What part of a processor writing may take besides: a fiftieth. The pause is at least so many times as long as it took.
const SHARE: u64 = 50;

/// What the log calls it.
const CAUSE: &str = "state file";

/// Where circus is started, as it is in the mark and in the name of the file.
pub struct Home {
    /// The control socket; without one, the configuration.
    name: String,
    /// The file, if there can be one.
    path: Option<PathBuf>,
}

impl Home {
    /// That of a circus with this control socket and this configuration, both absolute or relative to `cwd`.
    pub fn new(options: &CircusOptions, endpoint: &str, config: &str, cwd: &str) -> Home {
        let own = absolute(endpoint, cwd);
        let name = if own == "none" { absolute(config, cwd) } else { own.clone() };
        let in_dir = |dir: &str| {
            let file = name.trim_matches('/').replace('/', "-") + ".state";
            Path::new(&absolute(dir, cwd)).join(file)
        };
        let beside = || own.starts_with('/').then(|| PathBuf::from(own.clone() + ".state"));
        let path = options.state_dir.as_deref().map(in_dir).or_else(beside);
        Home { name, path }
    }

    /// Finds what a circus that was killed has left in this place, and ends it or refuses to start: who this circus is,
    /// and its file. None: circus was asked to end meanwhile. `launcher` has started it and waits, or is the same process.
    ///
    /// # Errors
    /// A sentence: somebody is left and is to be left alone, or it cannot be told.
    pub fn settle(
        &self,
        launcher: Pid,
        options: &CircusOptions,
        log: &mut Log,
        signals: &mut Signals,
    ) -> Result<Option<(Identity, StateFile)>, String> {
        let identity = self.identity();
        let (file, before) = StateFile::open(self, identity, log);
        let refuse = options.leftovers.as_deref() == Some("refuse");
        let outcome = orphans::settle(before, identity.place, launcher, refuse, log, signals)?;
        Ok((outcome == Outcome::Clear).then_some((identity, file)))
    }

    /// Who this circus is there.
    fn identity(&self) -> Identity {
        let place = checksum(format!("{} {}", procfs::namespace(), self.name).as_bytes());
        let pid = process::pid();
        // Without /proc the number is nobody else's all the same.
        let start = procfs::stat(pid).map_or_else(|_| clock::monotonic_ns(), |stat| stat.start);
        Identity { place, pid, start }
    }
}

/// What the file says about the circus before this one.
pub enum Before {
    /// It has ended in order, or there was none in this place.
    Nobody,
    /// It was killed.
    Killed(Box<State>),
    /// That cannot be told: only a mark can.
    Unknown,
}

/// A process that circus has made.
struct Made {
    mark: u64,
    uid: u32,
    /// When, in clock ticks since boot, once that is known. In the first tick nothing has been started by circus.
    start: Option<NonZeroU64>,
}

/// The file, and what is in it.
#[derive(Default)]
pub struct StateFile {
    location: Option<Location>,
    boot: String,
    made: Sorted<Pid, Made>,
    /// When it is to be written, and not before.
    at: Option<Instant>,
    not_before: Option<Instant>,
}

impl StateFile {
    /// Finds the file and reads what the circus before has left in it. Nothing is written yet.
    pub fn open(home: &Home, own: Identity, log: &mut Log) -> (StateFile, Before) {
        let (mut file, Some(path)) = (StateFile::default(), &home.path) else {
            return (StateFile::default(), Before::Unknown);
        };
        // Without /proc nobody could be found by it.
        let Some(boot) = procfs::boot_id() else { return (file, Before::Unknown) };
        let mut said = |why: &dyn std::fmt::Display, what: &str| {
            log.warning(format_args!("state file {}: {why}; {what}", path.display()));
        };
        let without = "circus keeps none, and after a kill finds its processes by their environment alone";
        let location = match Location::of_entry(path) {
            Ok(location) if location.is_exposed() => {
                said(&"others than root and circus's user can write to its directory", without);
                return (file, Before::Unknown);
            }
            Ok(location) => location,
            Err(error) => {
                said(&io_words(&error), without);
                return (file, Before::Unknown);
            }
        };
        let before = match read(&location) {
            Ok(None) => Before::Nobody,
            Ok(Some(state)) if state.boot != boot || state.circus.place != own.place => Before::Nobody,
            Ok(Some(state)) if state.circus != own && lives(state.circus) => {
                let pid = state.circus.pid;
                said(&format_args!("it is that of circus {pid}, which runs"), without);
                return (file, Before::Nobody);
            }
            Ok(Some(state)) => Before::Killed(Box::new(state)),
            Err(why) => {
                said(&why, "it is not believed");
                Before::Unknown
            }
        };
        (file.location, file.boot) = (Some(location), boot);
        (file, before)
    }

    /// The number in the mark of a process, until it is reaped.
    #[cfg(feature = "tree")]
    pub fn mark(&self, pid: Pid) -> Option<u64> {
        self.made.get(&pid).map(|made| made.mark)
    }

    /// A process was made.
    pub fn made(&mut self, pid: Pid, mark: u64, uid: Option<u32>, now: Instant) {
        let uid = uid.unwrap_or_else(user::current_uid);
        self.made.insert(pid, Made { mark, uid, start: None });
        self.changed(now);
    }

    /// A process is about to be reaped.
    pub fn gone(&mut self, pid: Pid, now: Instant) {
        if self.made.remove(&pid).is_some() {
            self.changed(now);
        }
    }

    /// Something is not as it is in the file.
    pub fn changed(&mut self, now: Instant) {
        if self.location.is_some() && self.at.is_none() {
            self.at = self.not_before.into_iter().chain([now + SOON]).max();
        }
    }

    /// When it is to be written.
    pub fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// Circus ends in order: the next one has nobody to look for.
    pub fn remove(&mut self) {
        if let Some(location) = self.location.take() {
            // What can be done about a failure? The processes that are in it have ended.
            let _ = location.remove(location.name());
        }
        self.at = None;
    }

    fn state(&mut self, left_alone: &[Pid], cx: &Cx<'_>) -> State {
        let mut watchers = Sorted::new();
        let mut left = Vec::new();
        for (pid, made) in self.made.iter_mut() {
            made.start = made.start.or_else(|| NonZeroU64::new(procfs::stat(*pid).ok()?.start));
            let Some(start) = made.start else { continue };
            let recorded = Recorded { pid: *pid, start: start.get(), uid: made.uid, mark: made.mark };
            let owner = cx.arbiter.owner(*pid);
            let Some((watcher, wid)) = owner.and_then(|(id, wid)| Some((cx.arbiter.watcher(id)?, wid)))
            else {
                left.extend(Some(recorded).filter(|_| left_alone.contains(pid)));
                continue;
            };
            let options = &watcher.config.options;
            let of = watchers.get_or_insert_with(watcher.id, || OfWatcher {
                name: watcher.config.name.clone(),
                stop_signal: i32::try_from(options.stop_signal).unwrap_or_default(),
                graceful_timeout: (options.graceful_timeout * 1000.0) as u64,
                processes: Vec::new(),
            });
            of.processes.push((recorded, wid));
        }
        State {
            boot: self.boot.clone(),
            circus: cx.host.identity,
            uid: user::current_uid(),
            watchers: watchers.into_iter().map(|(_, watcher)| watcher).collect(),
            left,
            sockets: cx.setup.sockets.iter().map(|it| (it.name.clone(), it.address.clone())).collect(),
        }
    }
}

impl Processes {
    /// Writes the file, now.
    pub fn write_state(&mut self, cx: &mut Cx<'_>) {
        self.state.at = None;
        if self.state.location.is_none() {
            return;
        }
        let begun = clock::cpu_ns();
        let text = self.state.state(&self.left_alone, cx).to_text();
        let Some(location) = &self.state.location else { return };
        let path = location.path();
        if let Err(error) = write(location, &text) {
            let why = io_words(&error);
            let text = format_args!(
                "state file {}: {why}; tried again at the next change. After a kill circus finds its processes by \
                 their environment alone",
                path.display()
            );
            cx.log.once(Level::Warning, CAUSE, text);
            // The directory may be another one by now.
            if let Ok(location) = Location::of_entry(&path)
                && !location.is_exposed()
            {
                self.state.location = Some(location);
            }
        } else {
            cx.log.over(Level::Info, CAUSE, format_args!("state file {}: written again", path.display()));
        }
        let took = Duration::from_nanos(clock::cpu_ns().saturating_sub(begun).saturating_mul(SHARE));
        // The one that is written before there are processes is no reason to wait.
        self.state.not_before = (!self.state.made.is_empty()).then(|| Instant::now() + took.max(PAUSE));
    }
}

/// Whether a circus still runs.
pub fn lives(circus: Identity) -> bool {
    procfs::stat(circus.pid).is_ok_and(|stat| stat.start == circus.start && !stat.is_dead())
}

fn write(location: &Location, text: &str) -> io::Result<()> {
    if text.len() > MOST {
        return Err(io::Error::other(format!("more than {MOST} bytes for all processes")));
    }
    let new = with(location.name(), ".new");
    let mut file = match location.create_new(&new) {
        // A circus was killed while it wrote.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            location.remove(&new)?;
            location.create_new(&new)?
        }
        created => created?,
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| location.rename(&new, location.name()));
    if written.is_err() {
        let _ = location.remove(&new);
    }
    written
}

/// What is in the file; none: there is no file.
fn read(location: &Location) -> Result<Option<State>, String> {
    if location.found().is_none() {
        return Ok(None);
    }
    let file = location.read(location.name()).map_err(|error| io_words(&error))?;
    let meta = file.metadata().map_err(|error| io_words(&error))?;
    if !is_ours(meta.uid()) {
        return Err(format!("it belongs to user {}", meta.uid()));
    }
    if meta.mode() & 0o022 != 0 || meta.nlink() > 1 {
        return Err("others than its owner can write to it, or it has a second name".into());
    }
    let mut bytes = Vec::new();
    let most = MOST as u64 + 1;
    file.take(most).read_to_end(&mut bytes).map_err(|error| io_words(&error))?;
    if bytes.len() > MOST {
        return Err(format!("it has more than {MOST} bytes"));
    }
    State::parse(&bytes).map(Some)
}
