//! The processes of circus: makes them one after the other, takes in the dead, signals those that live, and ends what
//! they leave behind.

use crate::arbiter::{Pid, WatcherId};
use crate::host::cgroup::{Cgroups, OutOfMemory};
use crate::host::descendants::Descendants;
use crate::host::kill::Told;
use crate::host::leftovers::LeftoverSweep;
use crate::host::looks::Looks;
use crate::host::reap::Reaping;
use crate::host::spawn_template::SpawnTemplate;
use crate::host::state_file::StateFile;
use crate::host::trouble::Trouble;
use crate::reactor::part::{Cx, Effect, Job, Part};
use crate::sorted::Sorted;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many watchers' templates are kept: enough for those whose processes come and go just now. Making one takes
/// some ten microseconds.
const MOST_TEMPLATES: usize = 16;
/// How long a turn may go on spawning before others are looked at.
const SPAWN_SLICE: Duration = Duration::from_millis(1);

/// All that is known of processes besides what the arbiter knows.
#[derive(Default)]
pub struct Processes {
    pub templates: Sorted<WatcherId, SpawnTemplate>,
    /// Spawns that are still to be done, and until when that goes on in this turn.
    spawns: VecDeque<(WatcherId, u32)>,
    spawn_until: Option<Instant>,
    pub(super) cgroups: Cgroups,
    /// Processes with `kill_mode = tree`, and what has become of those that come from them.
    pub(super) descendants: Descendants,
    /// What could not be looked at.
    pub(super) looks: Looks,
    /// Those that were asked to end one by one.
    pub(super) told: Told,
    pub(super) reaping: Reaping,
    pub(super) oom: OutOfMemory,
    pub(super) state: StateFile,
    /// Processes of watchers that are gone, which were to live on.
    pub left_alone: Vec<Pid>,
    /// Processes that SIGKILL did not end.
    pub(super) survivors: Vec<Pid>,
    /// What is done about what the processes have left, at the end.
    pub(super) sweep: Option<LeftoverSweep>,
}

impl Processes {
    /// There are none yet. They will be written down in this file.
    pub fn with(state: StateFile) -> Processes {
        Processes { state, ..Processes::default() }
    }

    /// A process is to be made in its turn.
    pub fn queue(&mut self, watcher: WatcherId, wid: u32) {
        self.spawns.push_back((watcher, wid));
    }

    /// Keeps a template for the next process.
    pub fn keep_template(&mut self, watcher: WatcherId, template: SpawnTemplate) {
        if self.templates.len() >= MOST_TEMPLATES {
            self.templates.pop_first();
        }
        self.templates.insert(watcher, template);
    }

    /// Makes a process with what all parts have lent to it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn make(&mut self, job: &mut Job, cx: &mut Cx<'_>) -> Result<Pid, Trouble> {
        let cgroup = self.cgroups.enter(job.watcher, &job.config, cx.log)?;
        job.template.vary(&job.config, job.wid)?;
        job.template.child.restrictions.cgroup = cgroup;
        let (uid, mark) = (job.template.child.uid, cx.host.mark(&mut job.template.child));
        job.mark = Some(mark);
        let pid = self.spawn(job, mark, cx).map_err(|error| job.template.trouble(&error))?;
        self.told.forget(pid);
        self.state.made(pid, mark.number, uid, cx.now);
        Ok(pid)
    }

    /// A process survives SIGKILL, and is not waited for.
    pub fn give_up(&mut self, pid: Pid) {
        self.survivors.push(pid);
        self.give_tree_up(pid);
    }

    /// The end: gives back what was made for processes.
    pub fn finish(&mut self) {
        self.descendants.finish();
        self.cgroups.finish();
        self.state.remove();
    }

    /// The next process is to be made, if there is time for it in this turn.
    fn spawn_next(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.spawn_until.is_some_and(|end| cx.now >= end) {
            return false;
        }
        let Some((watcher, wid)) = self.spawns.pop_front() else { return false };
        self.spawn_until.get_or_insert_with(|| Instant::now() + SPAWN_SLICE);
        cx.effect(Effect::Spawn { watcher, wid });
        true
    }
}

impl Part for Processes {
    fn is_busy(&self) -> bool {
        self.is_reaping() || !self.spawns.is_empty() || self.descendants.due
    }

    fn begin(&mut self, cx: &mut Cx<'_>) {
        self.reaping.begin_turn(cx.now);
        self.spawn_until = None;
    }

    fn work(&mut self, cx: &mut Cx<'_>) -> bool {
        self.spawn_next(cx) || self.reap_next(cx)
    }

    fn deadline(&mut self) -> Option<Instant> {
        let looks = [self.looks.retry.at, self.reaping.retry.at, self.next_sweep(), self.state.deadline()];
        looks.into_iter().flatten().min()
    }

    fn due(&mut self, cx: &mut Cx<'_>) {
        if self.looks.retry.is_due(cx.now) {
            self.look_again(cx);
        }
        if self.state.deadline().is_some_and(|at| at <= cx.now) {
            self.write_state(cx);
        }
    }

    fn end_turn(&mut self, cx: &mut Cx<'_>) {
        self.look_for_strays(cx);
        self.sweep.iter_mut().for_each(LeftoverSweep::expire);
    }

    fn reaped(&mut self, pid: Pid, cx: &mut Cx<'_>) {
        self.state.gone(pid, cx.now);
        self.left_alone.retain(|left| *left != pid);
        self.survivors.retain(|survivor| *survivor != pid);
    }

    fn changed(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        self.state.changed(cx.now);
        self.templates.remove(&watcher);
    }

    fn stopped(&mut self, watcher: WatcherId, _: &mut Cx<'_>) {
        self.cgroups.leave(watcher);
    }

    fn forgotten(&mut self, watcher: WatcherId, cx: &mut Cx<'_>) {
        self.state.changed(cx.now);
        self.cgroups.leave(watcher);
        self.templates.remove(&watcher);
        self.spawns.retain(|(other, _)| *other != watcher);
    }
}
