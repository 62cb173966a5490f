//! What is done to files from outside the flow of output: they are rotated or opened anew because somebody asks for
//! it.

use super::sink::Target;
use super::{Log, Owner, Streams};
use crate::arbiter::request::Errno;
use crate::config::text;
use crate::control::{Map, Refusal, answers, one};
use crate::reactor::part::Cx;
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

impl Streams {
    /// Whether this file is being written, whatever it is called by now.
    pub fn writes_to(&self, id: (u64, u64)) -> bool {
        self.targets.iter().any(|(_, target)| target.destination.is_file(id))
    }

    /// The command `logs`: rotates the files of a watcher, or all that keep old files, or opens them anew. The answer
    /// names those with which something was done.
    ///
    /// # Errors
    /// There is no such watcher, or not all of it could be done, which is logged too.
    pub fn logs(&mut self, name: Option<&str>, rotate: bool, cx: &mut Cx<'_>) -> Result<Map, Refusal> {
        let sinks = name.map(|name| {
            let watcher = cx.arbiter.find(name).ok_or_else(|| answers::no_watcher(name))?;
            Ok(self.owners(watcher.id))
        });
        let (files, mut failures) =
            self.rotate_or_reopen(sinks.transpose()?.as_deref(), rotate, cx.now, cx.log);
        if !rotate && name.is_none() {
            failures.extend(cx.log.reopen().err());
        }
        match failures.is_empty() {
            true => Ok(one("files", files.into())),
            false => Err(Refusal { errno: Errno::Os, reason: failures.join("; ") }),
        }
    }

    /// Does that for the files of these sinks, or all: with which it was done, and why not with others.
    pub(super) fn rotate_or_reopen(
        &mut self,
        sinks: Option<&[Owner]>,
        rotate: bool,
        now: Instant,
        log: &mut Log,
    ) -> (Vec<String>, Vec<String>) {
        let leads_to = |owner: &Owner, id: u32| self.sinks.get(owner).is_some_and(|sink| sink.target == id);
        let chosen = |id: &u32| sinks.is_none_or(|sinks| sinks.iter().any(|sink| leads_to(sink, *id)));
        let targets: Vec<u32> = self.targets.ids().into_iter().filter(chosen).collect();
        let (mut files, mut failures) = (Vec::new(), Vec::new());
        for id in targets {
            let Some(Target { destination, .. }) = self.targets.get_mut(id) else { continue };
            let Some(file) = destination.file() else { continue };
            if rotate && sinks.is_none() && !file.keeps_old() {
                continue;
            }
            let name = text::from_bytes(file.path.as_os_str().as_bytes());
            match destination.renew(rotate, now) {
                Ok(true) => files.push(name),
                Ok(false) => {}
                Err(why) => failures.push(why),
            }
            self.settle(id, log);
        }
        (files, failures)
    }
}
