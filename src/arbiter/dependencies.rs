//! How watchers depend on each other: `after` is an order alone, `requires` needs the other one.
//!
//! A watcher that requires another one runs only while that is there: it waits until the other is active, and it is
//! stopped, before the other is, when that stops; its goal stays, so that it comes back with the other. Starting a
//! watcher starts what it requires. `after` waits for those that are on their way, and no longer than that. Whatever
//! depends on a watcher, in either way, has stopped before the watcher is asked to, when both are to stop.
//!
//! `NAME:done` waits until the processes of a watcher have ended by themselves, `NAME:ok` until they have ended well. A
//! watcher that has done its work is not started again with its dependents, and its later fate is nothing to them.
//!
//! What the others mean for a watcher is its [`DependencyState`]. It is found anew before the watcher acts; a change of
//! one makes its neighbours act.

use super::context::Cx;
use super::history::{Cause, Standing};
use super::watcher::{DependencyState, Goal, Status, Watcher};
use super::{Arbiter, Level, WatcherId};
use crate::config::WatcherConfig;
use crate::config::respawn_rule::End;
use crate::config::value::listed;
use crate::sorted::Sorted;

/// A watcher that another one depends on.
#[derive(Clone, Debug)]
struct Need {
    name: String,
    id: Option<WatcherId>,
    required: bool,
    /// It has to have ended, rather than to run.
    end: Option<End>,
}

impl Need {
    fn bond(&self) -> Bond {
        match (self.end, self.required) {
            (Some(_), _) => Bond::End,
            (None, true) => Bond::Requires,
            (None, false) => Bond::After,
        }
    }
}

/// How a watcher depends on another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bond {
    After,
    Requires,
    /// On its end.
    End,
}

/// Which watcher depends on which.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    needs: Sorted<WatcherId, Vec<Need>>,
    /// Those that depend on a watcher, and how.
    dependents: Sorted<WatcherId, Vec<(WatcherId, Bond)>>,
    /// That has changed.
    stale: bool,
    /// Watchers whose dependencies may mean something else to them now.
    dirty: Vec<WatcherId>,
}

impl Dependencies {
    /// A watcher has come, has gone or has other options.
    pub(super) fn have_changed(&mut self, config: &WatcherConfig) {
        let options = &config.options;
        self.stale |= !self.needs.is_empty() || options.after.is_some() || options.requires.is_some();
    }

    /// All watchers that depend on one, or that one depends on; some twice.
    fn members(&self) -> Vec<WatcherId> {
        self.needs.keys().chain(self.dependents.keys()).copied().collect()
    }

    fn needs_of(&self, id: WatcherId) -> &[Need] {
        self.needs.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The same watchers, each behind those of them that it depends on.
    pub(super) fn in_order(&self, ids: Vec<WatcherId>) -> Vec<WatcherId> {
        if self.needs.is_empty() {
            return ids;
        }
        let mut open: Sorted<WatcherId, bool> = ids.iter().map(|id| (*id, true)).collect();
        let mut close = |id: &WatcherId| open.get_mut(id).is_some_and(std::mem::take);
        let mut order = Vec::with_capacity(ids.len());
        for id in ids {
            let mut path: Vec<WatcherId> = close(&id).then_some(id).into_iter().collect();
            while let Some(top) = path.last() {
                match self.needed_by(*top).find(&mut close) {
                    Some(before) => path.push(before),
                    None => order.extend(path.pop()),
                }
            }
        }
        order
    }

    /// What a watcher requires, and what that requires, and so on, as far as it is missing; what is required stands
    /// first.
    fn required(&self, id: WatcherId, is_missing: &dyn Fn(WatcherId, &Need) -> bool) -> Vec<WatcherId> {
        let mut found = vec![id];
        let mut at = 0;
        while let Some(next) = found.get(at).copied() {
            for need in self.needs_of(next).iter().filter(|need| need.required) {
                found.extend(need.id.filter(|id| is_missing(*id, need) && !found.contains(id)));
            }
            at += 1;
        }
        let mut found = self.in_order(found);
        found.retain(|other| *other != id);
        found
    }

    fn needed_by(&self, id: WatcherId) -> impl Iterator<Item = WatcherId> {
        self.needs_of(id).iter().filter_map(|need| need.id)
    }

    pub(super) fn dependents_of(&self, id: WatcherId) -> &[(WatcherId, Bond)] {
        self.dependents.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Leaves out what goes in a circle, or leads from one to another, since no watcher can wait for itself; the
    /// watchers that were in one.
    fn cut_circles(&mut self) -> Vec<WatcherId> {
        let order = self.in_order(self.members());
        let places: Sorted<WatcherId, usize> = order.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        // In order, a need that does not come first closes a circle; what needs a watcher behind one is behind it too.
        let place = |id: WatcherId| places.get(&id);
        let mut behind: Sorted<WatcherId, ()> = Sorted::new();
        for id in &order {
            if self.needed_by(*id).any(|need| place(need) >= place(*id) || behind.contains_key(&need)) {
                behind.insert(*id, ());
            }
        }
        // Of these, in the same way, those that one is behind of.
        let mut left: Sorted<WatcherId, ()> = Sorted::new();
        for id in order.iter().rev().filter(|id| behind.contains_key(*id)) {
            let closes = |other: &WatcherId| behind.contains_key(other) && place(*other) <= place(*id);
            if self.dependents_of(*id).iter().any(|(other, _)| closes(other) || left.contains_key(other)) {
                left.insert(*id, ());
            }
        }
        for id in left.keys() {
            if let Some(needs) = self.needs.get_mut(id) {
                needs.retain(|need| !need.id.is_some_and(|need| left.contains_key(&need)));
            }
            if let Some(dependents) = self.dependents.get_mut(id) {
                dependents.retain(|(dependent, _)| !left.contains_key(dependent));
            }
        }
        left.keys().copied().collect()
    }
}

impl Arbiter {
    /// Finds out which watcher depends on which, if that has changed.
    pub(super) fn find_dependencies(&mut self) {
        if !std::mem::take(&mut self.dependencies.stale) {
            return;
        }
        let mut known = self.dependencies.members();
        self.dependencies.needs.clear();
        // Those that are on their way out still have to wait for those that require them.
        let is_named = |w: &Watcher| self.names.get(&w.config.name.to_lowercase()) == Some(&w.id);
        let leaving = self.watchers.values().filter(|w| !is_named(w));
        let leaving: Vec<(String, WatcherId)> =
            leaving.map(|w| (w.config.name.to_lowercase(), w.id)).collect();
        for (id, watcher) in self.watchers.iter() {
            let needs = self.needs_now(&watcher.config, &leaving);
            if !needs.is_empty() {
                self.dependencies.needs.insert(*id, needs);
            }
        }
        self.dependencies.dependents.clear();
        for (id, needs) in self.dependencies.needs.iter() {
            for need in needs {
                let Some(other) = need.id else { continue };
                let dependents = self.dependencies.dependents.get_or_insert_with(other, Vec::new);
                dependents.push((*id, need.bond()));
            }
        }
        for id in self.dependencies.cut_circles() {
            let Some(watcher) = self.watchers.get(&id) else { continue };
            let text = format!("{}: after and requires form a circle and are ignored", watcher.config.name);
            self.cx.log(Level::Error, text);
        }
        known.extend(self.dependencies.members());
        self.dependencies.dirty.extend(known);
    }

    /// What a watcher depends on, each once. Those that `after` alone names and that there are not do not count.
    fn needs_now(&self, config: &WatcherConfig, leaving: &[(String, WatcherId)]) -> Vec<Need> {
        let options = &config.options;
        let mut needs: Vec<Need> = Vec::new();
        let mut seen = vec![config.name.to_lowercase()];
        for (text, required) in [(&options.requires, true), (&options.after, false)] {
            for name in listed(text.as_deref().unwrap_or_default()) {
                let (name, end) = End::split(name, &|name| self.names.contains_key(&name.to_lowercase()));
                let lower = name.to_lowercase();
                let leaves = || leaving.iter().find(|(other, _)| *other == lower).map(|(_, id)| *id);
                let id = self.names.get(&lower).copied().or_else(leaves);
                if !seen.contains(&lower) && (required || id.is_some()) {
                    needs.push(Need { name: name.into(), id, required, end });
                    seen.push(lower);
                }
            }
        }
        needs
    }

    /// Has a watcher know what the others mean for it now.
    #[inline(never)]
    pub(super) fn look_around(&mut self, id: WatcherId) {
        let found = self.dependency_of(id);
        if let Some(watcher) = self.watchers.get_mut(&id)
            && watcher.prerequisites.dependency != found
        {
            watcher.prerequisites.dependency = found;
        }
    }

    pub(super) fn dependency_of(&self, id: WatcherId) -> DependencyState {
        let mut found = DependencyState::default();
        for need in self.dependencies.needs_of(id) {
            let other = need.id.and_then(|id| self.watcher(id));
            let name = &need.name;
            match other {
                _ if need.end.is_some() => {
                    if end_of(need, other, &mut found) {
                        break;
                    }
                }
                Some(other) if other.is_there() => {}
                Some(other) if other.is_coming() => {
                    found.must_stop |= need.required;
                    found.hopeless |= other.is_hopeless();
                    found.waits.get_or_insert_with(|| format!("it waits for {name}").into());
                }
                _ if !need.required => {}
                other => {
                    let reason = other.and_then(|other| other.reason()).map(|why| format!(": {why}"));
                    let what =
                        if other.is_some() { "which does not run" } else { "and there is no such watcher" };
                    let why = format!("it requires {name}, {what}{}", reason.unwrap_or_default());
                    (found.must_stop, found.in_vain, found.waits) = (true, true, Some(why.into()));
                    break;
                }
            }
        }
        // One that goes on waiting for its sockets is no loss to those that require it.
        let stays = found.waits.is_none() && self.watcher(id).is_some_and(Watcher::starts_itself);
        let held = self.dependencies.dependents_of(id).iter().filter(|(_, bond)| *bond != Bond::End);
        found.followed = held.clone().any(|(dependent, bond)| {
            match self.watcher(*dependent).map_or(Status::Stopped, Watcher::status) {
                Status::Stopped => false,
                Status::Stopping => true,
                Status::Starting | Status::Active => *bond == Bond::Requires && !stays,
            }
        });
        found
    }

    /// What a watcher requires, directly or not, and is not coming; what is required stands first.
    pub(super) fn missing_for(&mut self, id: WatcherId) -> Vec<WatcherId> {
        self.find_dependencies();
        let is_missing = |id, need: &Need| {
            let has_ended =
                |w: &Watcher| need.end.is_some_and(|end| w.ended().is_some_and(|well| end.takes(well)));
            self.watcher(id).is_some_and(|w| w.goal != Goal::Gone && !w.is_coming() && !has_ended(w))
        };
        self.dependencies.required(id, &is_missing)
    }

    /// A watcher was told to run: so is what it requires.
    pub(super) fn bring_along(&mut self, id: WatcherId) {
        if !std::mem::take(&mut self.cx.outcome.brings_along) || self.is_ending() {
            return;
        }
        for other in self.missing_for(id) {
            // Those that wait in vain for one of these do not any more.
            self.with(other, Watcher::come_along);
        }
    }

    /// What has changed of a watcher may mean something to its neighbours.
    pub(super) fn mark_dirty(&mut self, id: WatcherId, before: Standing, after: Standing) {
        if (Standing { reloading: after.reloading, ..before }) != after {
            let dependents = self.dependencies.dependents_of(id).iter().map(|(id, _)| *id);
            let neighbours: Vec<WatcherId> = self.dependencies.needed_by(id).chain(dependents).collect();
            self.dependencies.dirty.extend(neighbours);
        }
    }

    /// Lets all act to which something may mean something else now, until nothing changes any more.
    pub(super) fn propagate(&mut self) {
        self.find_dependencies();
        if self.dependencies.dirty.is_empty() {
            return;
        }
        let cause = std::mem::replace(&mut self.cx.cause, Cause::Requirement);
        while let Some(id) = self.dependencies.dirty.pop() {
            self.with(id, |_, _| {});
            self.find_dependencies(); // one that was on its way out may be gone
        }
        self.cx.cause = cause;
    }
}

/// What the end of a watcher, or that it has not come yet, means for one that waits for it; true when nothing else
/// matters.
fn end_of(need: &Need, other: Option<&Watcher>, found: &mut DependencyState) -> bool {
    let (name, ended) = (&need.name, other.and_then(Watcher::ended));
    if ended.is_some_and(|well| !need.required || need.end.is_some_and(|end| end.takes(well))) {
        return false;
    }
    let on_its_way = |other: &&Watcher| other.is_coming() || other.status() != Status::Stopped;
    if let Some(other) = other.filter(on_its_way) {
        found.hopeless |= other.is_hopeless();
        found.waits.get_or_insert_with(|| format!("it waits for {name} to end").into());
        return false;
    }
    if !need.required {
        return false;
    }
    let reason = other.and_then(|other| other.reason()).map(|why| format!(": {why}"));
    let what = match (other, ended) {
        (None, _) => "and there is no such watcher",
        (Some(_), Some(_)) => "which has ended badly",
        (Some(_), None) => "which does not run",
    };
    let why = format!("it requires {name} to end, {what}{}", reason.unwrap_or_default());
    (found.in_vain, found.waits) = (true, Some(why.into()));
    true
}

impl Watcher {
    /// Whether it is on its way there.
    fn is_coming(&self) -> bool {
        (self.goal == Goal::Up || self.queued) && !self.prerequisites.dependency.in_vain
    }

    /// Whether it has to wait for others before it starts; the log hears of it once.
    pub(super) fn is_held(&mut self, cx: &mut Cx) -> bool {
        let Some(why) = &self.prerequisites.dependency.waits else { return false };
        if self.prerequisites.logged_wait.as_ref() != Some(why) {
            cx.log(Level::Info, format!("{} does not start yet: {why}", self.config.name));
            self.prerequisites.logged_wait = Some(why.clone());
        }
        true
    }

    /// It requires a watcher that is not there any more.
    pub(super) fn lose(&mut self, cx: &mut Cx) {
        let why = self.prerequisites.dependency.waits.as_deref().unwrap_or_default();
        cx.log(Level::Info, format!("{} is being stopped: {why}", self.config.name));
        self.prerequisites.logged_wait = self.prerequisites.dependency.waits.clone();
        self.begin_stop(cx);
    }
}
