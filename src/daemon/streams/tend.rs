//! What is done to files from outside the flow of output: rotated or opened anew because somebody asks for it.

use super::outlet::Place;
use super::{Log, SinkId, Streams};
use std::path::PathBuf;
use std::time::Instant;

/// A file, and whether something was done with it, or why not.
pub type Tended = (PathBuf, Result<bool, String>);

impl Streams {
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
            let Place::Path(path) = target.outlet.place().clone() else { continue };
            let Some(file) = target.outlet.file() else { continue };
            if rotate && sinks.is_none() && !file.keeps_old() {
                continue;
            }
            let outcome =
                if rotate { target.outlet.rotate() } else { target.outlet.reopen(now).map(|()| true) };
            tended.push((path, outcome));
            self.settle(id, log);
        }
        tended
    }
}
