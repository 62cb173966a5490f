//! Generations by order: a deployment reads the file for one watcher, and its new processes prove themselves before the
//! old ones go; a canary waits for a verdict; a rollback goes back to the generation before.

use super::context::Cx;
use super::orders::{Answered, Wait};
use super::reconfigure::{NewConfig, Purpose, Reading};
use super::reload::Reload;
use super::request::{Deploy, Errno, Manner, Planned, Reply};
use super::waiters::Await;
use super::watcher::{Goal, Status, Watcher};
use super::{Action, Arbiter, Level};
use crate::config::WatcherConfig;
use crate::config::options::Live;
use std::rc::Rc;

/// What has become of a generation that a command has taken back.
const ROLLED_BACK: &str = "were rolled back";

impl Arbiter {
    pub(super) fn deploy(&mut self, deploy: Deploy, wait: &Wait) -> Answered {
        match &deploy {
            Deploy::Begin { name, manner } => self.named(name)?.may_deploy(manner)?,
            Deploy::Compare { name: Some(name) } => drop(self.named(name)?),
            Deploy::Compare { name: None } => {}
            Deploy::Judge { name, good } => return self.judge(name, *good, wait),
            Deploy::Rollback { name } => return self.roll_back(name, wait),
        }
        let Wait { ticket, waiting, .. } = *wait;
        self.cx.act(Action::Read(Reading { ticket, waiting, purpose: Purpose::Look(deploy) }));
        Ok(None)
    }

    /// The files were read, and nothing of them is used but what the order is about.
    pub(super) fn have_looked(&mut self, reading: &Reading, deploy: &Deploy, new: NewConfig) {
        let answered = match deploy {
            Deploy::Compare { name } => Ok(Some(Reply::Plan(self.compare(new, name.as_deref())))),
            Deploy::Begin { name, manner } => self.begin_deploy(reading, name, *manner, new),
            Deploy::Judge { .. } | Deploy::Rollback { .. } => return, // they need no file
        };
        let reply = answered.unwrap_or_else(Some);
        reply.into_iter().for_each(|reply| self.cx.reply(reading.ticket, reply));
    }

    fn begin_deploy(&mut self, reading: &Reading, name: &str, manner: Manner, new: NewConfig) -> Answered {
        let watcher = self.named(name)?;
        watcher.may_deploy(&manner)?; // an event may have come before the file was read
        let (id, runs) = (watcher.id, watcher.goal == Goal::Up);
        let mut found =
            new.watchers.into_iter().filter(|config| self.find(&config.name).is_some_and(|w| w.id == id));
        let Some(config) = found.next() else {
            let text = format!("'{name}' is not in the configuration any more: reloadconfig would remove it");
            return Err(Reply::error(Errno::Conflict, text));
        };
        self.amend(id, config, true);
        let Reading { ticket, waiting, .. } = *reading;
        let wait = Wait { ticket, what: Await::Reloaded, waiting: waiting && runs };
        Ok(self.carry_out(&[id], &wait, &|w, cx| {
            w.ready_by_options(cx);
            if w.goal == Goal::Up {
                w.want_reload(Manner { surge: manner.surge.or(w.manner(false).surge), ..manner });
            }
        }))
    }

    fn judge(&mut self, name: &str, good: bool, wait: &Wait) -> Answered {
        let watcher = self.named(name)?;
        if !watcher.holds_canary() {
            let text = format!("'{}' has no canary that waits for a verdict", watcher.config.name);
            return Err(Reply::error(Errno::Conflict, text));
        }
        let act = |w: &mut Watcher, cx: &mut Cx| if good { w.accept_canary() } else { w.take_back(cx) };
        Ok(self.carry_out(&[watcher.id], wait, &act))
    }

    fn roll_back(&mut self, name: &str, wait: &Wait) -> Answered {
        let watcher = self.named(name)?;
        let past = &watcher.settings.past;
        let is_tried = watcher.has_two_generations();
        if past.proven.is_none() && past.previous.is_none() && !is_tried {
            let text = format!("'{}' has no generation before this one", watcher.config.name);
            return Err(Reply::error(Errno::Conflict, text));
        }
        Ok(self.carry_out(&[watcher.id], wait, &|w, cx| w.roll_back(cx)))
    }

    /// What would become of all watchers, or of this one.
    fn compare(&self, new: NewConfig, only: Option<&str>) -> Vec<Planned> {
        let ids: Vec<_> = new.watchers.iter().map(|config| self.find(&config.name).map(|w| w.id)).collect();
        let gone = self.not_in(&ids).into_iter().filter_map(|id| self.watcher(id));
        let gone = gone.map(|watcher| (watcher.config.name.clone(), ("remove", Vec::new())));
        let here = new.watchers.iter().zip(&ids).map(|(config, id)| {
            let watcher = id.and_then(|id| self.watcher(id));
            let (step, keys) = watcher.map_or(("add", Vec::new()), |watcher| watcher.step_to(config));
            (config.name.clone(), (step, keys))
        });
        let watchers = gone.chain(here).map(|(name, (step, keys))| Planned { name, step, keys });
        match only.map(str::to_lowercase) {
            Some(only) => watchers.filter(|planned| planned.name.to_lowercase() == only).collect(),
            None => new.beside.iter().cloned().chain(watchers).collect(),
        }
    }
}

impl Watcher {
    /// Whether it can get another generation in this manner now.
    fn may_deploy(&self, manner: &Manner) -> Result<(), Reply> {
        let why = if self.is_reloading() {
            "is being reloaded or deployed: wait for its end, or end it by rollback"
        } else if self.goal == Goal::Up && self.reloads_in_place() {
            "keeps its processes in a reload (reload_signal, send_hup or hooks.reload_command): use reloadconfig"
        } else if self.config.options.singleton && manner.canary.is_some() {
            "is a singleton: a canary would be a second process"
        } else {
            return Ok(());
        };
        Err(Reply::error(Errno::Conflict, format!("'{}' {why}", self.config.name)))
    }

    /// By which step it would come to what the file says now, and for which keys.
    fn step_to(&self, new: &WatcherConfig) -> (&'static str, Vec<String>) {
        let old = self.settings.loaded.as_ref().unwrap_or(&self.config);
        if old.says_the_same(new) {
            return ("keep", Vec::new());
        }
        let mut config = WatcherConfig::clone(&self.config);
        let changes =
            config.take_over(if self.settings.past.behind.is_some() { &self.config } else { old }, new);
        let has = |live| changes.iter().any(|change| change.live == live);
        let step = match has(Live::Reload) || has(Live::Fixed) {
            true => "reload",
            false if has(Live::Numprocesses) => "scale",
            false => "set",
        };
        (step, changes.into_iter().map(|change| change.key).collect())
    }

    /// Whether a canary runs and waits for a verdict.
    pub(super) fn holds_canary(&self) -> bool {
        matches!(self.run().reload, Some(Reload::Held))
    }

    /// The processes of the canary are good, as far as can be seen.
    pub(super) fn hold_canary(&mut self, cx: &mut Cx) {
        if self.run().next_reload.is_some() {
            return self.give_canary_up(cx);
        }
        self.set_reload(Reload::Held);
        let name = &self.config.name;
        cx.log(
            Level::Info,
            format!("{name}: the canary runs; deploy --go takes the rest along, --back ends it"),
        );
    }

    /// The canary is good: the rest follows.
    fn accept_canary(&mut self) {
        let new = self.processes.values().filter(|p| p.holds_slot() && !self.is_old(p)).count();
        let left = self.config.wanted().saturating_sub(new);
        if let Some(run) = self.run_mut() {
            run.manner.canary = None;
            run.reload = Some(Reload::Spawning { left });
        }
    }

    /// What is tried is given up, by order.
    fn take_back(&mut self, cx: &mut Cx) {
        self.give_reload_up("a command has rolled it back", cx);
        cx.outcome.reload_failure = None;
        self.go_back(ROLLED_BACK.into(), cx);
        if self.settings.past.take_behind() {
            self.settings.past.behind = Some(ROLLED_BACK.into());
        }
        self.dismiss_new(cx);
    }

    /// Another reload was asked for while a canary waited.
    pub(super) fn give_canary_up(&mut self, cx: &mut Cx) {
        let name = &self.config.name;
        cx.log(Level::Warning, format!("{name}: the canary ends, since another reload was asked for"));
        self.dismiss_new(cx);
        if let Some(run) = self.run_mut() {
            run.reload = run.next_reload.take().map(Reload::Wanted);
        }
    }

    fn roll_back(&mut self, cx: &mut Cx) {
        if self.has_two_generations() {
            return self.take_back(cx);
        }
        if self.settings.past.proven.is_some() {
            return self.go_back(ROLLED_BACK.into(), cx);
        }
        let Some((config, since)) = self.settings.past.previous.take() else { return };
        let (before, held) = (std::mem::replace(&mut self.config, config), self.settings.past.since);
        if self.status() == Status::Active {
            self.keep_proven(Rc::clone(&before), cx.now);
        }
        if self.settings.past.proven.is_none() {
            self.settings.past.previous = Some((before, held));
        }
        (self.settings.past.since, self.settings.past.behind) = (since, Some(ROLLED_BACK.into()));
        cx.outcome.has_other_options = true;
        cx.act(Action::Changed(self.id));
        self.renew(cx);
    }
}
