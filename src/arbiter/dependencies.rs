//! How watchers depend on each other: `after` is an order alone, `requires` needs the other one.
//!
//! A watcher that requires another one runs only while that is there: it waits until the other is active, and it is
//! stopped, before the other is, when that stops; its goal stays, so that it comes back with the other. Starting a
//! watcher starts what it requires. `after` waits for those that are on their way, and no longer than that. Whatever depends on
//! a watcher, in either way, has stopped before the watcher is asked to, when both are to stop.
//!
//! What the others mean for a watcher are its [`DependencyState`]. They are found anew before it acts; a change of one watcher
//! makes its neighbours look.

use super::context::Cx;
use super::history::{Cause, Standing};
use super::watcher::{DependencyState, Goal, Status, Watcher};
use super::{Arbiter, Level, WatcherId};
use crate::config::WatcherConfig;
use crate::config::value::listed;
use crate::sorted::Sorted;

/// What others look at in a watcher, besides its standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outlook {
    waits_in_vain: bool,
    is_there: bool,
    is_hopeless: bool,
}

/// A watcher that another one depends on.
#[derive(Clone, Debug)]
struct Need {
    name: String,
    id: Option<WatcherId>,
    required: bool,
}

/// Who depends on whom.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    needs: Sorted<WatcherId, Vec<Need>>,
    /// Those that depend on a watcher, and whether they require it.
    dependents: Sorted<WatcherId, Vec<(WatcherId, bool)>>,
    /// Something has changed of who depends on whom.
    stale: bool,
    /// Watchers that have to look at their ties.
    dirty: Vec<WatcherId>,
}

impl Dependencies {
    /// A watcher has come, has gone or has other options.
    pub(super) fn have_changed(&mut self, config: &WatcherConfig) {
        let options = &config.options;
        self.stale |= !self.needs.is_empty() || options.after.is_some() || options.requires.is_some();
    }

    /// All who depend on somebody, or on whom somebody depends.
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
        let mut open = numbered(&ids, 1);
        let mut order = Vec::with_capacity(ids.len());
        for id in ids {
            let mut path = vec![id];
            while let Some(top) = path.last().copied() {
                let is_open = |id: &WatcherId| open.get(id) == Some(&1);
                let before = self.needed_by(top).into_iter().find(is_open);
                if let Some(before) = before.filter(|_| is_open(&top)) {
                    path.push(before);
                    continue;
                }
                path.pop();
                if let Some(open) = open.get_mut(&top).filter(|open| **open > 0) {
                    *open = 0;
                    order.push(top);
                }
            }
        }
        order
    }

    /// What a watcher requires, and what that requires, and so on, as far as it is missing; what is required stands
    /// first.
    fn required(&self, id: WatcherId, is_missing: &dyn Fn(WatcherId) -> bool) -> Vec<WatcherId> {
        let mut found = vec![id];
        let mut at = 0;
        while let Some(next) = found.get(at).copied() {
            for id in self.needs_of(next).iter().filter(|need| need.required).filter_map(|need| need.id) {
                if is_missing(id) && !found.contains(&id) {
                    found.push(id);
                }
            }
            at += 1;
        }
        let mut found = self.in_order(found);
        found.retain(|other| *other != id);
        found
    }

    fn needed_by(&self, id: WatcherId) -> Vec<WatcherId> {
        self.needs_of(id).iter().filter_map(|need| need.id).collect()
    }

    pub(super) fn dependents_of(&self, id: WatcherId) -> Vec<WatcherId> {
        self.dependents.get(&id).into_iter().flatten().map(|(id, _)| *id).collect()
    }

    /// Leaves out what goes in a circle, since nobody can wait for himself, and says who was in one.
    fn cut_circles(&mut self) -> Vec<WatcherId> {
        let (before, behind) = (|id| self.needed_by(id), |id| self.dependents_of(id));
        let left = strip_roots(self.members(), &before, &behind);
        let left = strip_roots(left, &behind, &before);
        let is_left = |id: &WatcherId| left.contains(id);
        for id in &left {
            if let Some(needs) = self.needs.get_mut(id) {
                needs.retain(|need| !need.id.as_ref().is_some_and(is_left));
            }
            if let Some(dependents) = self.dependents.get_mut(id) {
                dependents.retain(|(dependent, _)| !is_left(dependent));
            }
        }
        left
    }
}

/// These watchers, each with this number.
fn numbered(ids: &[WatcherId], number: usize) -> Sorted<WatcherId, usize> {
    let mut numbered = Sorted::with_capacity(ids.len());
    for id in ids {
        numbered.insert(*id, number);
    }
    numbered
}

/// Takes away those that have nobody before them, again and again: who is left stands in a circle, or behind one.
fn strip_roots(
    ids: Vec<WatcherId>,
    before: &dyn Fn(WatcherId) -> Vec<WatcherId>,
    behind: &dyn Fn(WatcherId) -> Vec<WatcherId>,
) -> Vec<WatcherId> {
    let mut counts = numbered(&ids, 0);
    for id in &ids {
        let count = before(*id).iter().filter(|other| counts.contains_key(*other)).count();
        counts.get_mut(id).into_iter().for_each(|place| *place = count);
    }
    let mut free: Vec<WatcherId> =
        counts.iter().filter(|(_, count)| **count == 0).map(|(id, _)| *id).collect();
    while let Some(id) = free.pop() {
        for other in behind(id) {
            let Some(count) = counts.get_mut(&other).filter(|count| **count > 0) else { continue };
            *count -= 1;
            if *count == 0 {
                free.push(other);
            }
        }
    }
    counts.iter().filter(|(_, count)| **count > 0).map(|(id, _)| *id).collect()
}

impl Arbiter {
    /// Finds out who depends on whom, if that has changed.
    pub(super) fn relate(&mut self) {
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
                dependents.push((*id, need.required));
            }
        }
        for id in self.dependencies.cut_circles() {
            let Some(watcher) = self.watchers.get(&id) else { continue };
            let text =
                format!("{}: after and requires go in a circle, and do not count", watcher.config.name);
            self.cx.log(Level::Error, text);
        }
        known.extend(self.dependencies.members());
        self.dependencies.dirty.extend(known);
    }

    /// Whom a watcher depends on, each once. Those that `after` alone names and that there are not do not count.
    fn needs_now(&self, config: &WatcherConfig, leaving: &[(String, WatcherId)]) -> Vec<Need> {
        let options = &config.options;
        let mut needs: Vec<Need> = Vec::new();
        let mut seen = vec![config.name.to_lowercase()];
        for (text, required) in [(&options.requires, true), (&options.after, false)] {
            for name in listed(text.as_deref().unwrap_or_default()) {
                let lower = name.to_lowercase();
                let leaves = || leaving.iter().find(|(other, _)| *other == lower).map(|(_, id)| *id);
                let id = self.names.get(&lower).copied().or_else(leaves);
                if !seen.contains(&lower) && (required || id.is_some()) {
                    needs.push(Need { name: name.into(), id, required });
                    seen.push(lower);
                }
            }
        }
        needs
    }

    /// Gives a watcher that is about to handle something its ties, and says what the others have seen in it so far.
    #[inline(never)]
    pub(super) fn prepare(&mut self, id: WatcherId) -> Outlook {
        self.relate();
        let outlook = self.watchers.get(&id).map(|watcher| watcher.outlook());
        self.tie(id);
        outlook.unwrap_or_default()
    }

    /// Finds the ties of a watcher.
    pub(super) fn tie(&mut self, id: WatcherId) {
        let ties = self.ties_of(id);
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.ext.dependency.ties = ties;
        }
    }

    pub(super) fn ties_of(&self, id: WatcherId) -> DependencyState {
        let mut ties = DependencyState::default();
        for need in self.dependencies.needs_of(id) {
            let other = need.id.and_then(|id| self.watcher(id));
            let name = &need.name;
            match other {
                Some(other) if other.is_there() => {}
                Some(other) if other.is_coming() => {
                    ties.must_stop |= need.required;
                    ties.hopeless |= other.is_hopeless();
                    ties.waits.get_or_insert_with(|| format!("it waits for {name}").into());
                }
                _ if !need.required => {}
                other => {
                    let reason = other.and_then(|other| other.reason()).map(|why| format!(": {why}"));
                    let what =
                        if other.is_some() { "which does not run" } else { "and there is no such watcher" };
                    let why = format!("it requires {name}, {what}{}", reason.unwrap_or_default());
                    (ties.must_stop, ties.in_vain, ties.waits) = (true, true, Some(why.into()));
                    break;
                }
            }
        }
        // One that goes on waiting for its sockets is no loss to those that require it.
        let stays = ties.waits.is_none() && self.watcher(id).is_some_and(Watcher::starts_itself);
        let dependents = self.dependencies.dependents.get(&id).map_or(&[][..], Vec::as_slice);
        ties.followed = dependents.iter().any(|(dependent, required)| {
            let status = self.watcher(*dependent).map_or(Status::Stopped, Watcher::status);
            match status {
                Status::Stopped => false,
                Status::Stopping => true,
                Status::Starting | Status::Active => *required && !stays,
            }
        });
        ties
    }

    /// Somebody wants a watcher to run: so he wants what it requires.
    pub(super) fn bring_along(&mut self, id: WatcherId) {
        if !std::mem::take(&mut self.cx.outcome.brings_along) || self.is_ending() {
            return;
        }
        let is_missing = |id| self.watcher(id).is_some_and(|watcher| !watcher.is_coming());
        for other in self.dependencies.required(id, &is_missing) {
            // Those that wait in vain for one of these do not any more.
            self.with(other, |w, cx| {
                if w.goal == Goal::Down && !w.queued {
                    w.want_up(cx);
                }
            });
        }
    }

    /// What has changed of a watcher lets its neighbours look at their ties.
    pub(super) fn mark_dirty(&mut self, id: WatcherId, before: (Standing, Outlook)) {
        let Some(watcher) = self.watchers.get(&id).filter(|_| !self.dependencies.needs.is_empty()) else {
            return;
        };
        let what = |standing: Standing| (standing.status, standing.up, standing.queued);
        if (what(before.0), before.1) == (what(watcher.standing()), watcher.outlook()) {
            return;
        }
        let (needs, dependents) = (self.dependencies.needed_by(id), self.dependencies.dependents_of(id));
        self.dependencies.dirty.extend(needs.into_iter().chain(dependents));
    }

    /// Lets all who have to look at their ties do so, until nothing changes any more.
    pub(super) fn propagate(&mut self) {
        self.relate();
        if self.dependencies.dirty.is_empty() {
            return;
        }
        let cause = std::mem::replace(&mut self.cx.cause, Cause::Requirement);
        while let Some(id) = self.dependencies.dirty.pop() {
            self.with(id, |_, _| {});
            self.relate(); // one that was on its way out may be gone
        }
        self.cx.cause = cause;
    }
}

impl Watcher {
    /// Whether those that depend on it can run. A start by its sockets is as good as one that is over.
    fn is_there(&self) -> bool {
        self.status() == Status::Active || self.starts_itself() && self.ext.dependency.ties.waits.is_none()
    }

    /// Its sockets start it, as far as it may start.
    fn starts_itself(&self) -> bool {
        self.config.options.on_demand && self.goal == Goal::Up
    }

    fn outlook(&self) -> Outlook {
        Outlook {
            waits_in_vain: self.ext.dependency.ties.in_vain,
            is_there: self.is_there(),
            is_hopeless: self.is_hopeless(),
        }
    }

    /// Whether it is on its way there.
    fn is_coming(&self) -> bool {
        (self.goal == Goal::Up || self.queued) && !self.ext.dependency.ties.in_vain
    }

    /// Whether it has to wait for others before it starts; the log hears of it once.
    pub(super) fn is_held(&mut self, cx: &mut Cx) -> bool {
        let Some(why) = &self.ext.dependency.ties.waits else { return false };
        if self.ext.dependency.told.as_ref() != Some(why) {
            cx.log(Level::Info, format!("{} does not start yet: {why}", self.config.name));
            self.ext.dependency.told = Some(why.clone());
        }
        true
    }

    /// It requires somebody who is not there any more.
    pub(super) fn lose(&mut self, cx: &mut Cx) {
        let why = self.ext.dependency.ties.waits.as_deref().unwrap_or_default();
        cx.log(Level::Info, format!("{} is being stopped: {why}", self.config.name));
        self.ext.dependency.told = self.ext.dependency.ties.waits.clone();
        self.begin_stop(cx);
    }
}
