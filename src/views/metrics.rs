//! Collects what `metrics` tells: from the arbiter, from /proc, from the sockets.

use crate::arbiter::Pid;
use crate::arbiter::history::Restart;
use crate::arbiter::process::Process;
use crate::arbiter::time::Time;
use crate::arbiter::watcher::Watcher;
use crate::config::CHANNELS;
use crate::control::metrics::{Metrics, ProcessMetrics, WatcherMetrics};
use crate::host::procfs;
use crate::reactor::eventloop::Daemon;
use crate::sys::process;

impl Daemon {
    /// Everything that is measured, at this moment.
    pub(crate) fn metrics(&self) -> Metrics {
        let now = self.core.time();
        let own = ProcessMetrics { age: now.since(Time(1)), ..ProcessMetrics::default() };
        Metrics {
            own: look(process::pid(), own),
            version: env!("CARGO_PKG_VERSION"),
            turns: self.core.turns.clone(),
            clients: self.parts.clients.count(),
            watchers: self
                .core
                .arbiter
                .watchers()
                .map(|watcher| self.watcher_metrics(watcher, now))
                .collect(),
            sockets: self.queue_facts(),
        }
    }

    fn watcher_metrics(&self, watcher: &Watcher, now: Time) -> WatcherMetrics {
        let history = watcher.history();
        let exits = history.counts().into_iter().flat_map(|counts| counts.exits.iter());
        let ring = self.parts.streams.rings.get(watcher.id);
        let channels = CHANNELS.into_iter();
        WatcherMetrics {
            name: watcher.config.name.clone(),
            status: watcher.status().word(),
            since: watcher.since().map(|since| now.since(since)),
            fails: watcher.fault().is_some(),
            wanted: watcher.config.wanted(),
            restarts: Restart::ALL.iter().map(|(why, word)| (*word, history.restarts(*why))).collect(),
            exits: exits.map(|(code, count)| (*code, *count)).collect(),
            spawn_failures: history.counts().map_or(0, |counts| counts.failures),
            output: channels.filter_map(|channel| Some((channel.name(), ring?.total(channel)?))).collect(),
            processes: watcher.processes().map(|process| process_metrics(process, now)).collect(),
        }
    }
}

fn process_metrics(process: &Process, now: Time) -> ProcessMetrics {
    let stopping = !process.runs();
    let age = now.since(process.started);
    let failed_probes = process.failed_probes();
    look(
        process.pid,
        ProcessMetrics { wid: process.wid, stopping, age, failed_probes, ..ProcessMetrics::default() },
    )
}

/// Adds what /proc says.
fn look(pid: Pid, mut metrics: ProcessMetrics) -> ProcessMetrics {
    if let Ok(stat) = procfs::stat(pid) {
        metrics.cpu = Some(stat.ticks as f64 / process::clock_ticks() as f64);
        metrics.rss = Some(stat.rss.saturating_mul(process::page_size() as u64));
        metrics.fds = procfs::open_fds(pid);
    }
    metrics
}
