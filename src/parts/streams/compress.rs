//! Compresses rotated files: `gzip` is run for one file after the other, with the lowest priority, while everything
//! else goes on.
//!
//! The old file stays until the compressed one is whole: gzip writes to `FILE.gz.tmp`, through to the disk; when it
//! has ended well, that gets the owner, the mode and the time of the old file, then its name with `.gz`, and only then
//! the old file goes. Meanwhile further rotations may rename the old file, or remove it, so it is known by its inode.
//! Whatever ends circus or gzip in between leaves the old file, which is compressed after the next rotation. A file that
//! is written all the same, by circus or by somebody else, is left alone.

use super::Streams;
use super::backups::{COMPRESSED, with};
use super::old_files::{OldFile, old_files};
use crate::arbiter::process::Exit;
use crate::host::files::{Location, id, make_alike, remove};
use crate::host::spawn_template::{DEFAULT_PATH, candidates};
use crate::parts::log::{Level, Log};
use crate::reactor::part::{Cx, Effect};
use crate::sys::child::{Child, Stdio};
use crate::sys::io_words;
use std::ffi::{CString, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The file that is in work.
#[derive(Default)]
pub struct Compressor {
    job: Option<Job>,
    /// circus ends, and begins nothing more.
    ended: bool,
}

/// A file that is being compressed.
struct Job {
    /// The file that it is an old one of.
    live: PathBuf,
    /// The old file, and what it was when gzip was started.
    input: File,
    old: Metadata,
    /// Where that one lies, and the compressed file in the same directory.
    location: Location,
    output: File,
}

impl Streams {
    /// Begins with the next old file, if none is in work.
    pub(super) fn compress_next(&mut self, cx: &mut Cx<'_>) {
        while self.compressor.job.is_none()
            && !self.compressor.ended
            && let Some(live) = self.uncompressed.first().cloned()
        {
            let mut old = old_files(&[&live]).into_iter();
            let Some(next) = old.find(|old| !old.is_compressed() && !self.writes_to(old.id, cx.log)) else {
                self.uncompressed.remove(0);
                continue;
            };
            match begin(&live, &next, cx) {
                Ok(job) => self.compressor.job = Some(job),
                Err(why) => self.tell(&live, Err(why), cx.log),
            }
        }
    }

    /// gzip has ended, or could not be run.
    pub(super) fn compressed(&mut self, ended: Result<Exit, String>, cx: &mut Cx<'_>) {
        let Some(job) = self.compressor.job.take() else { return };
        let in_use = self.writes_to(id(&job.old), cx.log);
        let done = match ended {
            Ok(Exit::Code(0)) => job.put_in_place(in_use).map_err(|error| io_words(&error)),
            Ok(Exit::Code(code)) => Err(format!("gzip failed with code {code}")),
            Ok(Exit::Signal(number)) => Err(format!("gzip was killed by signal {number}")),
            Err(why) => Err(why),
        };
        if done.is_err() {
            job.discard();
        }
        self.tell(&job.live, done, cx.log);
        self.uncounted = true;
        self.compress_next(cx);
    }

    /// The end of circus: what is being compressed stays as it was.
    pub(super) fn stop_compressing(&mut self) {
        self.compressor.ended = true;
        self.compressor.job.take().iter().for_each(Job::discard);
    }

    /// Says whether it works; if not, the old files of this one stay as they are until the next rotation.
    fn tell(&mut self, live: &Path, done: Result<(), String>, log: &mut Log) {
        let (cause, file) = (format!("gzip {}", live.display()), live.display());
        if let Err(why) = done {
            self.uncompressed.retain(|waiting| waiting != live);
            let text = format_args!("the old files of {file} are not compressed: {why}");
            log.once(Level::Warning, &cause, text);
        } else {
            log.over(Level::Info, &cause, format_args!("the old files of {file} are compressed again"));
        }
    }
}

fn begin(live: &Path, old: &OldFile, cx: &mut Cx<'_>) -> Result<Job, String> {
    let failed = |path: &Path, error: &io::Error| format!("{}: {}", path.display(), io_words(error));
    let location = Location::find(live).map_err(|error| failed(live, &error))?;
    let name = old.path.file_name().unwrap_or_default();
    let input = location.read(name).map_err(|error| failed(&old.path, &error))?;
    let meta = input.metadata().map_err(|error| failed(&old.path, &error))?;
    // One that an earlier circus left.
    let _ = location.remove(&temporary(&location));
    let output = location.create_new(&temporary(&location));
    let output = output.map_err(|error| failed(&location.parent().join(temporary(&location)), &error))?;
    cx.log.debug(format_args!("compressing {}", old.path.display()));
    let path = std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.into());
    let gzip = Child {
        programs: candidates("gzip", &path).filter_map(|path| CString::new(path).ok()).collect(),
        argv: vec![c"gzip".into(), c"-c".into()],
        stdin: Stdio::Fd(input.as_raw_fd()),
        stdout: Stdio::Fd(output.as_raw_fd()),
        ..Child::default()
    };
    cx.effect(Effect::Gzip(Box::new(gzip)));
    Ok(Job { live: live.to_path_buf(), input, old: meta, location, output })
}

impl Job {
    /// Puts the compressed file in the place that the old one has by now. If that was removed meanwhile, so is this.
    fn put_in_place(&self, in_use: bool) -> io::Result<()> {
        let now = self.input.metadata()?;
        if in_use || (now.len(), now.modified()?) != (self.old.len(), self.old.modified()?) {
            return Err(io::Error::other("it is still being written"));
        }
        let Some(old) = old_files(&[&self.live]).into_iter().find(|old| old.id == id(&self.old)) else {
            self.discard();
            return Ok(());
        };
        make_alike(&self.output, &self.old)?;
        self.output.set_modified(self.old.modified()?)?;
        let compressed = with(old.path.file_name().unwrap_or_default(), COMPRESSED);
        self.location.rename(&temporary(&self.location), &compressed)?;
        remove(&old.path, old.id)
    }

    fn discard(&self) {
        let _ = self.location.remove(&temporary(&self.location));
    }
}

/// What the compressed file is called until it is whole.
fn temporary(location: &Location) -> OsString {
    with(location.name(), ".gz.tmp")
}
