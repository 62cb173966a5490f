//! What a file says otherwise than when it was read before, and how a running configuration takes it over.
//!
//! Compared are two readings, row by row of the option tables; the values that hold now are a third thing. One that a
//! command has set meanwhile stays, unless the file's own value for that key has changed.

use super::families::{self, FAMILIES, Family};
use super::model::WatcherConfig;
use super::options::{self, Built, Live, Row};
use super::stream::CHANNELS;
use super::value::Value;

/// An option whose value in the file has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key, as `get` knows it.
    pub key: String,
    /// What has to follow.
    pub live: Live,
}

impl WatcherConfig {
    /// Whether a file says the same as another one, wherever it stands there. (The derived comparison is ten times as
    /// large.)
    pub fn says_the_same(&self, other: &WatcherConfig) -> bool {
        differing(options::WATCHER, &self.options, &other.options).next().is_none()
            && self.env == other.env
            && differing_members(self, other).is_empty()
            && self.free == other.free
            && self.name == other.name
            && self.broken == other.broken
            && self.plugin == other.plugin
    }

    /// Takes over what is otherwise in `new` than in `old`, and says what that was.
    pub fn take_over(&mut self, old: &WatcherConfig, new: &WatcherConfig) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut add = |key: String, live: Live| changes.push(Change { key, live });
        if old.name != new.name {
            self.name.clone_from(&new.name);
            add(families::NAME.into(), Live::Stored);
        }
        for row in differing(options::WATCHER, &old.options, &new.options) {
            copy(row, &new.options, &mut self.options);
            // An option that is not built changes nothing for anybody.
            add(row.key.into(), if row.built == Built::Works { row.live } else { Live::Stored });
        }
        if old.env != new.env {
            self.env = new.env.clone();
            add(families::ENV.into(), Live::Reload);
        }
        // Those of streams are told last.
        let mut members = differing_members(old, new);
        members.sort_by_key(|(family, _)| family.prefix.contains("_stream"));
        for (family, name) in members {
            let value = family.get(new, &name);
            match (family.set(self, &name, value.as_ref()), &value) {
                (Err(_), Some(Value::Str(text))) => family.keep(self, &name, text),
                // Some options cannot be set to what they are when they are not set.
                (Err(_), _) => drop(family.set(self, &name, None)),
                (Ok(()), _) => {}
            }
            add(family.key(&name), family.live);
        }
        let gone = old.free.keys().filter(|key| !new.free.contains_key(*key));
        for key in new.free.keys().chain(gone) {
            let value = new.free.get(key);
            if value == old.free.get(key) {
                continue;
            }
            match value {
                Some(value) => drop(self.free.insert(key.clone(), value.clone())),
                None => drop(self.free.remove(key)),
            }
            add(key.clone(), families::of(key).map_or(Live::Stored, |(family, _)| family.live));
        }
        for channel in CHANNELS {
            if old.kept_stream(channel).is_some() && new.kept_stream(channel).is_none() {
                *self.kept_stream_mut(channel) = None;
            }
        }
        // The key whose value cannot be used, and what makes another kind of plugin, are among the changes already.
        self.broken.clone_from(&new.broken);
        self.plugin = new.plugin;
        changes
    }
}

/// The members of families whose values differ.
fn differing_members(old: &WatcherConfig, new: &WatcherConfig) -> Vec<(&'static Family, String)> {
    let mut found = Vec::new();
    for family in FAMILIES {
        let mut names = family.names(new);
        let gone = family.names(old).into_iter().filter(|name| !names.contains(name));
        names.extend(gone.collect::<Vec<_>>());
        names.retain(|name| family.get(old, name) != family.get(new, name));
        found.extend(names.into_iter().map(|name| (family, name)));
    }
    found
}

/// The rows whose values differ.
pub fn differing<S>(rows: &'static [Row<S>], old: &S, new: &S) -> impl Iterator<Item = &'static Row<S>> {
    rows.iter().filter(move |row| row.get(old) != row.get(new))
}

/// Stores what `from` has for a row in `to`.
pub fn copy<S>(row: &Row<S>, from: &S, to: &mut S) {
    // A row takes what it gave.
    let _ = row.set(to, &row.get(from));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::memory::Memory;
    use crate::config::{Names, Value, load};

    fn watcher(text: &str) -> WatcherConfig {
        let file = format!("[watcher:w]\ncmd = x\n{text}");
        let loaded = load("/c", &Memory::new(&[("/c", &file)]), &Names::new(), "/");
        loaded.config.expect("a configuration").watchers.remove(0)
    }

    /// What a change of the file does to a watcher that is as the file was: the keys, with what has to follow.
    fn changes(old: &str, new: &str) -> Vec<(String, Live)> {
        let (old, new) = (watcher(old), watcher(new));
        let mut current = old.clone();
        let changes = current.take_over(&old, &new);
        assert_eq!(current, new);
        assert_eq!(old.says_the_same(&new), changes.is_empty());
        changes.into_iter().map(|change| (change.key, change.live)).collect()
    }

    #[track_caller]
    fn one(old: &str, new: &str, key: &str, live: Live) {
        let expected = [(key.to_string(), live)];
        assert_eq!(changes(old, new), expected, "{old:?} -> {new:?}");
        assert_eq!(changes(new, old), expected, "{new:?} -> {old:?}");
    }

    #[test]
    fn added_changed_and_removed_keys_are_alike() {
        one("", "cgroup./x = 1", "cgroup./x", Live::Reload);
        one("", "stderr_stream.class =", "stderr_stream.class", Live::Stored);
        one("", "numprocesses = 2", "numprocesses", Live::Numprocesses);
        one("args = a", "args = b", "args", Live::Reload);
        one("", "graceful_timeout = 1", "graceful_timeout", Live::Stored);
        one("", "rlimit_nofile = 5", "rlimit_nofile", Live::Reload);
        one("rlimit_nofile = 6", "rlimit_nofile = 5", "rlimit_nofile", Live::Reload);
        one("", "free = 1", "free", Live::Stored);
        one("", "singleton = 1", "singleton", Live::Numprocesses);
        one("", "name = W", "name", Live::Stored);
        one("", "stdout_stream.max_bytes = g", "stdout_stream.max_bytes", Live::Stored);
        for (class, key) in
            [("File", "compress"), ("TimedRotatingFile", "rotate_when"), ("Syslog", "facility")]
        {
            let stream = format!("stdout_stream.class = {class}Stream\nstdout_stream.filename = /f\n");
            let key = format!("stdout_stream.{key}");
            one(&stream, &format!("{stream}{key} = nonsense"), &key, Live::Stored);
        }
        one(
            "stdout_stream.max_bytes = 5",
            "stdout_stream.max_bytes = g",
            "stdout_stream.max_bytes",
            Live::Stored,
        );
        one(
            "stdout_stream.max_bytes =",
            "stdout_stream.max_bytes = g",
            "stdout_stream.max_bytes",
            Live::Stored,
        );
        one("", "stdout_stream.filename = /x", "stdout_stream.filename", Live::Stored);
        let stream = "stderr_stream.class = FileStream\nstderr_stream.filename = ";
        one(&format!("{stream}/a"), &format!("{stream}/b"), "stderr_stream.filename", Live::Stored);
        one("[env:w]\nA = 1", "[env:w]\nA = 2", "env", Live::Reload);
        one("[env:w]\nA = 1", "[env]\nA = 1\nB = 2", "env", Live::Reload);
    }

    #[test]
    fn every_row_is_compared() {
        let old = WatcherConfig::default();
        for row in options::WATCHER {
            let texts = ["1", "0", "tree", "x", "TERM", "2"];
            let values = texts.into_iter().filter_map(|text| row.kind.parse(text).ok());
            let mut new = old.clone();
            let default = row.get(&old.options);
            let value = values.into_iter().find(|value| *value != default).expect("another value");
            assert!(row.set(&mut new.options, &value), "{}", row.key);
            let mut current = old.clone();
            let changes = current.take_over(&old, &new);
            let keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
            assert_eq!((keys, current == new), (vec![row.key], true));
            assert!(!old.says_the_same(&new), "{}", row.key);
        }
    }

    #[test]
    fn the_same_in_another_spelling_or_place_is_no_change() {
        let env = "[env:w]\nA = 1\nB = 2";
        assert_eq!(changes("", "\n\n# a comment\nnumprocesses = 1\nrespawn = yes"), []);
        assert_eq!(changes(env, "[env:w]\nB=2  \n[env]\nA =  1"), []);
        assert_eq!(changes("stop_signal = TERM", "stop_signal = 15"), []);
        assert_eq!(changes("args = $(circus.env.A)\n[env]\nA = 1", "args = 1\n[env]\nA = 1"), []);
    }

    #[test]
    fn what_a_command_has_set_stays_unless_the_file_changes_that_key() {
        let (old, new) =
            (watcher("numprocesses = 2\nmax_retry = 3"), watcher("numprocesses = 2\nmax_retry = 4"));
        let mut current = old.clone();
        for (key, value) in [("numprocesses", 7), ("max_retry", 9), ("rlimit_core", 1)] {
            current.set(key, &Value::Int(value)).expect("an option");
        }
        current.set("stdout_stream.filename", &Value::Str("/x".into())).expect("an option");
        let changes = current.take_over(&old, &new);
        assert_eq!(changes, [Change { key: "max_retry".into(), live: Live::Stored }]);
        assert_eq!((current.options.numprocesses, current.options.max_retry), (7, 4));
        assert_eq!(current.get("rlimit_core"), Some(Value::Int(1)));
        assert_eq!(current.get("stdout_stream.filename"), Some(Value::Str("/x".into())));
    }
}
