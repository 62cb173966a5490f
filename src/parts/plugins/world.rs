//! What plugins see of the world: what the arbiter knows, what /proc tells, and the files that commands are made of. The
//! tests make up a world of their own.

use super::builtin::What;
use super::command;
use crate::arbiter::process::Fate;
use crate::arbiter::watcher::Watcher;
use crate::arbiter::{Arbiter, Pid, Published};
use crate::config::WatcherConfig;
use crate::host::procfs;
use crate::host::spawn_template::{Offered, SpawnTemplate};
use crate::reactor::part::Cx;
use crate::views::usage::{Samples, Scale, Usage};
use std::path::PathBuf;

/// What plugins can look at.
pub trait World {
    /// The names of the watchers that are no plugins, sorted.
    fn watchers(&self) -> Vec<String>;
    /// The processes of a watcher that run and were not asked to end; `None`: there is no such watcher.
    fn processes(&self, watcher: &str) -> Option<Vec<Pid>>;
    /// The direct children of a process.
    fn children(&self, pid: Pid) -> Vec<Pid>;
    /// What a process uses; the percentage is about the time since this plugin last looked.
    fn usage(&mut self, pid: Pid) -> Option<Usage>;
    /// The options of a watcher.
    fn config(&self, watcher: &str) -> Option<&WatcherConfig>;
    /// The files that the command of a watcher is made of: its program, and a script that is given to it.
    fn command(&self, watcher: &str) -> Vec<PathBuf>;
    /// What tells one state of these files from another; `None`: one of them is missing.
    fn stamp(&self, files: &[PathBuf]) -> Option<Stamp>;
}

/// What tells one state of files from another.
pub type Stamp = u64;

/// The world as it is.
pub struct Sight<'a> {
    arbiter: &'a Arbiter,
    sockets: &'a [Offered],
    samples: &'a mut Samples,
    /// Made when it is first needed.
    scale: Option<Scale>,
}

impl<'a> Sight<'a> {
    /// What the plugin sees that has looked at processes so far as these samples say.
    pub fn new(cx: &Cx<'a>, samples: &'a mut Samples) -> Sight<'a> {
        Sight { arbiter: cx.arbiter, sockets: &cx.setup.sockets, samples, scale: None }
    }
}

impl Drop for Sight<'_> {
    /// Who was not looked at this time is gone.
    fn drop(&mut self) {
        if let Some(scale) = &self.scale {
            self.samples.retain(|_, (at, _)| *at == scale.now);
        }
    }
}

impl World for Sight<'_> {
    fn watchers(&self) -> Vec<String> {
        let all = self.arbiter.watchers().filter(|watcher| watcher.config.plugin.is_none());
        all.map(|watcher| watcher.config.name.clone()).collect()
    }

    fn processes(&self, watcher: &str) -> Option<Vec<Pid>> {
        let running = self.arbiter.find(watcher)?.processes().filter(|process| process.runs());
        Some(running.map(|process| process.pid).collect())
    }

    fn children(&self, pid: Pid) -> Vec<Pid> {
        // A process that circus may not inspect is not judged.
        procfs::children(pid).unwrap_or_default()
    }

    fn usage(&mut self, pid: Pid) -> Option<Usage> {
        let stat = procfs::stat(pid).ok()?;
        Some(self.scale.get_or_insert_with(Scale::new).usage(pid, &stat, self.samples))
    }

    fn config(&self, watcher: &str) -> Option<&WatcherConfig> {
        self.arbiter.find(watcher).map(|watcher| &*watcher.config)
    }

    fn command(&self, watcher: &str) -> Vec<PathBuf> {
        let template = self.config(watcher).map(|config| SpawnTemplate::new(config, self.sockets, None));
        if let Some(Ok(template)) = template { command::files(&template) } else { Vec::new() }
    }

    fn stamp(&self, files: &[PathBuf]) -> Option<Stamp> {
        command::stamp(files)
    }
}

/// What an event means to plugins.
pub fn meaning(watcher: &str, what: &Published, cx: &Cx<'_>) -> What {
    match what {
        Published::Spawn { pid } => What::Spawned(*pid),
        Published::Reap { pid, .. } => {
            let (mut by_itself, mut others, mut lived) = (false, false, 0.0);
            for process in cx.arbiter.find(watcher).into_iter().flat_map(Watcher::processes) {
                if process.exit().is_none() {
                    others = true;
                } else if process.pid == *pid {
                    by_itself = process.fate() == Fate::Left;
                    lived = cx.time().since(process.started);
                }
            }
            What::Died { pid: *pid, by_itself, lived, others }
        }
        Published::Start => What::Started,
        Published::Reload => What::Reloaded,
        Published::Remove => What::Removed,
        _ => What::Other,
    }
}
