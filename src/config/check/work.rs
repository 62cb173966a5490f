//! What is wrong with `ready`, `health` and `watchdog`, and with what watchers depend on.

use super::{Checker, suggest};
use crate::config::ini::shorten;
use crate::config::model::{Severity, SocketConfig, WatcherConfig};
use crate::config::options::watcher;
use crate::config::probe::{self, Probe};
use crate::config::respawn_rule::{End, Respawn};
use crate::config::value::listed;
use crate::sorted::{Sorted, sort};

impl Checker {
    /// What tells how a watcher's processes do their work.
    pub(super) fn work(&mut self, watcher: &WatcherConfig, known: &[SocketConfig]) {
        let (options, origins) = (&watcher.options, &*watcher.origins);
        let ready = options.ready.as_deref().and_then(|text| Probe::of_any(text).ok());
        let place = (origins, watcher::ready);
        match &ready {
            Some(Probe::Log(_)) if watcher.stdout_stream.is_none() && watcher.stderr_stream.is_none() => {
                self.error(place, probe::NOTHING_TO_READ.into());
            }
            Some(Probe::Fd(fd)) => {
                if let Some(why) = probe::collision(*fd, inherited(watcher, known)) {
                    self.error(place, why);
                }
            }
            Some(_) | None => {}
        }
        let (asks, health) = (ready.as_ref().is_some_and(Probe::is_asked), options.health.is_some());
        for (key, heeded, other) in [
            (watcher::ready_timeout, ready.is_some(), watcher::ready),
            (watcher::health_interval, health, watcher::health),
            (watcher::health_retries, health, watcher::health),
            (watcher::health_timeout, health || asks, watcher::health),
        ] {
            if origins.keys.contains_key(key) && !heeded {
                self.warn((origins, key), format!("`{key}` has no effect without `{other}`"));
            }
        }
    }

    /// The watchers that others depend on.
    pub(super) fn relations(&mut self, watchers: &[WatcherConfig]) {
        if watchers.iter().all(|watcher| named(watcher).is_empty()) {
            return;
        }
        let mut names: Sorted<String, u64> = Sorted::new();
        for (n, watcher) in (0..).zip(watchers) {
            names.get_or_insert_with(watcher.name.to_lowercase(), || n);
        }
        let mut needs: Vec<Vec<usize>> = Vec::new();
        for watcher in watchers {
            let mut found = Vec::new();
            for (key, word) in named(watcher) {
                let (name, end) = End::split(word, &|name| names.contains_key(&name.to_lowercase()));
                match names.get(&name.to_lowercase()) {
                    Some(other) => {
                        found.push(*other as usize);
                        let other = watchers.get(*other as usize);
                        let ends = other.is_some_and(|other| other.options.respawn != Respawn::Always);
                        if ends && end.is_none() && key == watcher::requires {
                            let name = shorten(name);
                            let text = format!(
                                "`{name}` may end for good (its respawn is not True), which stops this watcher; `requires = {name}:ok` \
                                 starts it when {name} has ended well"
                            );
                            self.warn((&watcher.origins, key), text);
                        }
                    }
                    None => {
                        let mut names = watchers.iter().map(|watcher| watcher.name.as_str());
                        let mut message = format!("there is no watcher `{}`", shorten(name));
                        if let Some(nearest) = suggest::nearest(name, &mut names) {
                            message += &format!("; did you mean `{}`?", shorten(nearest));
                        }
                        // A command may add it later; but until then nothing that requires it runs.
                        let needed = key == watcher::requires;
                        let severity = if needed { Severity::Error } else { Severity::Warning };
                        self.find(severity, (&watcher.origins, key), message);
                    }
                }
            }
            needs.push(found);
        }
        for (n, watcher) in (0..).zip(watchers) {
            let Some(circle) = circle(n, &needs) else { continue };
            let mut text = String::from("these watchers wait for each other:");
            for watcher in circle.iter().filter_map(|n| watchers.get(*n)) {
                text.push(' ');
                text.push_str(&shorten(&watcher.name));
            }
            let key = if watcher.options.requires.is_some() { watcher::requires } else { watcher::after };
            self.error((&watcher.origins, key), text);
        }
    }
}

/// Whom a watcher names, and by which option.
fn named<'w>(watcher: &'w WatcherConfig) -> Vec<(&'static str, &'w str)> {
    let options = [(watcher::after, &watcher.options.after), (watcher::requires, &watcher.options.requires)];
    let names = |(key, text): (_, &'w Option<Box<str>>)| {
        listed(text.as_deref().unwrap_or_default()).into_iter().map(move |name| (key, name))
    };
    options.into_iter().flat_map(names).collect()
}

/// The way from a watcher back to itself, if there is one and no watcher before it stands on it.
fn circle(from: usize, needs: &[Vec<usize>]) -> Option<Vec<usize>> {
    needs.get(from).filter(|needs| !needs.is_empty())?;
    let mut seen = vec![false; needs.len()];
    let mut path = vec![(from, 0)];
    while let Some((at, tried)) = path.last_mut() {
        let next = needs.get(*at).and_then(|needs| needs.get(*tried)).copied();
        *tried += 1;
        match next {
            None => drop(path.pop()),
            Some(next) if next == from => return Some(path.iter().map(|(n, _)| *n).collect()),
            Some(next) if next < from => {} // it has been said there
            Some(next) => {
                if seen.get_mut(next).is_some_and(|seen| !std::mem::replace(seen, true)) {
                    path.push((next, 0));
                }
            }
        }
    }
    None
}

/// How many sockets the processes of a watcher inherit: those that are listed or named, else all, and the named ones
/// once more.
fn inherited(watcher: &WatcherConfig, known: &[SocketConfig]) -> usize {
    if !watcher.options.use_sockets {
        return 0;
    }
    let mut by_command = sort(watcher.named_sockets().collect());
    by_command.dedup();
    let mut all = sort(watcher.listed_sockets().chain(by_command.iter().cloned()).collect());
    all.dedup();
    if all.is_empty() { known.len() } else { all.len() + by_command.len() }
}
