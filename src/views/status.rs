//! Answers `status`: the states, whether all runs that is to run, and what a person wants to see at a glance.
//!
//! `top` asks for that every second, so of each process one file is read and no more.

use crate::arbiter::process::{Phase, Process};
use crate::arbiter::request::Errno;
use crate::arbiter::time::Time;
use crate::arbiter::watcher::Watcher;
use crate::control::overview::{self, ProcessFact, QueueFact, WatcherFact};
use crate::control::{Map, Refusal, answers};
use crate::host::procfs;
use crate::reactor::eventloop::Daemon;
use crate::sys::{process, queue};
use crate::views::tail::last_output;

/// How many of its last lines the status of a watcher that fails has.
const LAST_LINES: usize = 10;

/// Units of what /proc says.
#[derive(Clone, Copy)]
struct Units {
    ticks: f64,
    page: u64,
}

impl Daemon {
    /// Answers `status`.
    ///
    /// # Errors
    /// There is no such watcher, or circus is stopping and a check is asked for.
    pub(crate) fn status(&self, name: Option<&str>, check: bool, details: bool) -> Result<Map, Refusal> {
        let chosen = name.map(|name| self.watcher_named(name)).transpose()?;
        let mut answer = match chosen {
            Some(watcher) => self.status_of(watcher),
            None => {
                let all = self.core.arbiter.watchers().map(|w| (w.config.name.as_str(), w.status().word()));
                answers::status_all(all)
            }
        };
        let watchers =
            || self.core.arbiter.watchers().filter(|w| chosen.is_none_or(|chosen| chosen.id == w.id));
        if check && self.core.arbiter.is_ending() {
            return Err(Refusal { errno: Errno::Conflict, reason: "circus is stopping".into() });
        }
        if check {
            let faults = watchers().filter_map(|w| Some((w.config.name.as_str(), w.fault()?)));
            overview::add_check(&mut answer, faults);
        }
        if details {
            let units = Units { ticks: process::clock_ticks() as f64, page: process::page_size() as u64 };
            let watchers: Vec<WatcherFact> = watchers().map(|w| self.watcher_fact(w, units)).collect();
            let age = self.core.time().since(Time(1));
            let own = ProcessFact { pid: process::pid(), state: "running", age, ..ProcessFact::default() };
            let own = look(own, units);
            overview::add(&mut answer, &own, &watchers, &self.queue_facts());
        }
        Ok(answer)
    }

    /// The state of a watcher; of one that fails also why, and the last lines that its processes wrote.
    fn status_of(&self, watcher: &Watcher) -> Map {
        let mut answer = answers::status(watcher.status().word());
        if let Some(reason) = watcher.failure() {
            answer.insert("reason".into(), reason.into());
            answer
                .insert("last_output".into(), last_output(&self.parts.streams.rings, watcher.id, LAST_LINES));
        }
        answer
    }

    fn watcher_fact(&self, watcher: &Watcher, units: Units) -> WatcherFact {
        let now = self.core.time();
        WatcherFact {
            name: watcher.config.name.clone(),
            status: watcher.status().word(),
            since: watcher.since().map(|since| now.since(since)),
            restarts: watcher.history().deaths(),
            wanted: watcher.config.wanted(),
            fault: watcher.fault(),
            processes: watcher.processes().map(|p| look(process_fact(p, now), units)).collect(),
        }
    }

    /// What waits at the sockets.
    pub(crate) fn queue_facts(&self) -> Vec<QueueFact> {
        let each =
            self.parts.sockets.all().iter().flat_map(|socket| socket.fds().map(move |fd| (socket, fd)));
        let fact = |(socket, fd): (&crate::parts::sockets::Bound, i32)| {
            let queue = queue::look(fd);
            QueueFact {
                name: socket.name.clone(),
                place: socket.address.to_string(),
                waiting: queue.waiting,
                limit: queue.limit,
                drops: queue.drops,
            }
        };
        each.map(fact).collect()
    }
}

fn process_fact(process: &Process, now: Time) -> ProcessFact {
    let (state, kill_at) = match process.phase() {
        Phase::Running if !process.is_ready() => ("starting", None),
        Phase::Running => ("running", None),
        Phase::Asked { kill_at, .. } => ("stopping", Some(kill_at)),
        Phase::Killed { .. } => ("killed", None),
        Phase::Dead { .. } => ("ended", None),
    };
    ProcessFact {
        pid: process.pid,
        wid: process.wid,
        state,
        age: now.since(process.started),
        kill_in: kill_at.map(|at| at.since(now)),
        failed_probes: process.failed_probes(),
        ..ProcessFact::default()
    }
}

/// Adds what /proc says.
fn look(mut fact: ProcessFact, units: Units) -> ProcessFact {
    if let Ok(stat) = procfs::stat(fact.pid) {
        fact.cpu = Some(stat.ticks as f64 / units.ticks);
        fact.rss = Some(stat.rss.saturating_mul(units.page));
    }
    fact
}
