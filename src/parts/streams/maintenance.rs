//! What is done to files from outside the flow of output: rotated or opened anew because somebody asks for it.

use super::Log;
use super::SinkId;
use super::Streams;
use super::destination::Place;
use super::file::FileStream;
use std::path::PathBuf;
use std::time::Instant;

/// A file, and whether something was done with it, or why not.
pub type Tended = (PathBuf, Result<bool, String>);

/// A file that is being written.
pub struct LiveFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The user of the watcher.
    pub user: u32,
    /// Its old files are to be compressed.
    pub compress: bool,
}

impl Streams {
    /// The files that are being written.
    pub fn files(&mut self) -> Vec<LiveFile> {
        self.targets.ids().into_iter().filter_map(|id| self.live_file(id)).collect()
    }

    pub(super) fn live_file(&mut self, id: u32) -> Option<LiveFile> {
        let destination = &mut self.targets.get_mut(id)?.destination;
        let Place::Path(path) = destination.place().clone() else { return None };
        let file = destination.file()?;
        let (size, user, compress) = (file.size(), file.user(), file.compresses());
        Some(LiveFile { path: path.to_path_buf(), size, user, compress })
    }

    /// Whether this file is being written, whatever it is called by now.
    pub fn writes_to(&self, id: (u64, u64)) -> bool {
        self.targets.iter().any(|(_, target)| target.destination.is_file(id))
    }

    /// How large all of them are together.
    pub fn size(&mut self) -> u64 {
        self.targets.iter_mut().filter_map(|target| Some(target.destination.file()?.size())).sum()
    }

    /// Finds out anew how large they are.
    pub fn measure(&mut self) {
        for target in self.targets.iter_mut() {
            target.destination.file().into_iter().for_each(FileStream::measure);
        }
    }

    /// The files that were rotated since the last call.
    pub fn take_rotated(&mut self) -> Vec<LiveFile> {
        std::mem::take(&mut self.rotated)
    }

    /// Whether other files are written than at the last call.
    pub fn take_reshuffled(&mut self) -> bool {
        std::mem::take(&mut self.reshuffled)
    }

    /// Rotates the files of these sinks, or all that keep old files, or opens them anew. What goes wrong is logged
    /// too.
    pub fn tend(
        &mut self,
        sinks: Option<&[SinkId]>,
        rotate: bool,
        now: Instant,
        log: &mut Log,
    ) -> Vec<Tended> {
        let chosen = |id: u32| {
            let leads_there = |sink: &SinkId| self.sinks.get(sink.0).is_some_and(|sink| sink.target == id);
            sinks.is_none_or(|sinks| sinks.iter().any(leads_there))
        };
        let targets: Vec<u32> = self.targets.ids().into_iter().filter(|id| chosen(*id)).collect();
        let mut tended = Vec::new();
        for id in targets {
            let Some(target) = self.targets.get_mut(id) else { continue };
            let Place::Path(path) = target.destination.place().clone() else { continue };
            let Some(file) = target.destination.file() else { continue };
            if rotate && sinks.is_none() && !file.keeps_old() {
                continue;
            }
            let outcome = if rotate {
                target.destination.rotate()
            } else {
                target.destination.reopen(now).map(|()| true)
            };
            tended.push((path.to_path_buf(), outcome));
            self.settle(id, log);
        }
        tended
    }
}
