//! The command `logs`: rotates the files that output goes to, or opens them anew.

use crate::arbiter::request::Errno;
use crate::config::text;
use crate::control::{Map, Refusal, answers, output};
use crate::parts::log::Level;
use crate::parts::streams::SinkId;
use crate::reactor::eventloop::Daemon;
use std::os::unix::ffi::OsStrExt;

impl Daemon {
    /// Rotates or reopens the files of a watcher, or all; the answer names those with which something was done.
    ///
    /// # Errors
    /// There is no such watcher, or not all of it could be done.
    pub(crate) fn tend_logs(&mut self, name: Option<&str>, rotate: bool) -> Result<Map, Refusal> {
        let sinks = name.map(|name| self.sinks_of(name)).transpose()?;
        let tended = self.parts.streams.tend(sinks.as_deref(), rotate, self.core.now, &mut self.core.log);
        let mut files = Vec::new();
        let mut failures = Vec::new();
        for (path, outcome) in tended {
            match outcome {
                Ok(true) => files.push(text::from_bytes(path.as_os_str().as_bytes())),
                Ok(false) => {}
                Err(why) => failures.push(why),
            }
        }
        if !rotate && name.is_none() {
            failures.extend(self.core.log.reopen().err());
        }
        if failures.is_empty() {
            return Ok(output::files(files.into_iter()));
        }
        Err(Refusal { errno: Errno::Os, reason: failures.join("; ") })
    }

    fn sinks_of(&self, name: &str) -> Result<Vec<SinkId>, Refusal> {
        let watcher = self.core.arbiter.find(name).ok_or_else(|| answers::no_watcher(name))?;
        Ok(self.parts.streams.sinks_of(watcher.id).into_iter().map(|(_, sink)| sink).collect())
    }

    /// SIGUSR1: somebody has moved log files away.
    pub(crate) fn reopen_logs(&mut self) {
        // What goes wrong has been logged.
        let _ = self.tend_logs(None, false);
        self.core.log.log(Level::Info, format_args!("log files reopened"));
    }
}
