//! What a file says otherwise than when it was read before, and how a running configuration takes it over.
//!
//! Compared are two readings, row by row of the option tables; the values that hold now are a third thing. One that a
//! command has set meanwhile stays, unless the file's own value for that key has changed.

use super::model::WatcherConfig;
use super::options::{self, Built, Live, Row};
use super::stream::StreamConfig;
use crate::sorted::Sorted;

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
        self.name == other.name
            && differing(options::WATCHER, &self.options, &other.options).next().is_none()
            && self.env == other.env
            && self.rlimits == other.rlimits
            && self.hooks == other.hooks
            && self.free == other.free
            && is_same_stream(&self.stdout_stream, &other.stdout_stream)
            && is_same_stream(&self.stderr_stream, &other.stderr_stream)
            && self.broken == other.broken
            && self.plugin == other.plugin
    }

    /// Takes over what is otherwise in `new` than in `old`, and says what that was.
    pub fn take_over(&mut self, old: &WatcherConfig, new: &WatcherConfig) -> Vec<Change> {
        // Every member is named, so that one that is added is not forgotten here.
        let WatcherConfig {
            name,
            origins: _,
            options,
            rlimits,
            stdout_stream,
            stderr_stream,
            hooks,
            env,
            free,
            broken,
            plugin,
        } = new;
        let mut changes = Changes(Vec::new());
        if old.name != *name {
            self.name.clone_from(name);
            changes.add("name", Live::Stored);
        }
        changes.rows("", options::WATCHER, (&mut self.options, &old.options, options));
        if old.env != *env {
            self.env = env.clone();
            changes.add("env", Live::Reload);
        }
        changes.map("rlimit_", (&mut self.rlimits, &old.rlimits, rlimits));
        changes.map("hooks.", (&mut self.hooks, &old.hooks, hooks));
        changes.map("", (&mut self.free, &old.free, free));
        changes.stream("stdout_stream.", (&mut self.stdout_stream, &old.stdout_stream, stdout_stream));
        changes.stream("stderr_stream.", (&mut self.stderr_stream, &old.stderr_stream, stderr_stream));
        // The key whose value cannot be used, and what makes another kind of plugin, are among the changes already.
        self.broken.clone_from(broken);
        self.plugin = *plugin;
        changes.0
    }
}

fn is_same_stream(one: &Option<Box<StreamConfig>>, other: &Option<Box<StreamConfig>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            let mut rows = differing(options::STREAM, &one.options, &other.options);
            rows.next().is_none() && one.free == other.free
        }
        (one, other) => one.is_none() && other.is_none(),
    }
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

/// What holds now, what the file said, what it says now.
type Three<'a, T> = (&'a mut T, &'a T, &'a T);

struct Changes(Vec<Change>);

impl Changes {
    fn add(&mut self, key: &str, live: Live) {
        self.0.push(Change { key: key.into(), live });
    }

    /// The options of a table; those that are not built change nothing for anybody.
    fn rows<S>(&mut self, prefix: &str, rows: &'static [Row<S>], (current, old, new): Three<'_, S>) {
        for row in differing(rows, old, new) {
            copy(row, new, current);
            let live = if row.built == Built::Works { row.live } else { Live::Stored };
            self.0.push(Change { key: prefix.to_string() + row.key, live });
        }
    }

    /// The members of a family, or the free options.
    fn map<V: Clone + PartialEq>(&mut self, prefix: &str, (current, old, new): Three<'_, Sorted<String, V>>) {
        let gone = old.keys().filter(|key| !new.contains_key(*key));
        for name in new.keys().chain(gone) {
            let value = new.get(name);
            if value == old.get(name) {
                continue;
            }
            match value {
                Some(value) => drop(current.insert(name.clone(), value.clone())),
                None => drop(current.remove(name)),
            }
            let key = prefix.to_string() + name;
            let family = options::family(&key).filter(|(family, _)| family.built == Built::Works);
            let live = family.map_or(Live::Stored, |(family, _)| family.live);
            self.0.push(Change { key, live });
        }
    }

    fn stream(&mut self, prefix: &str, (current, old, new): Three<'_, Option<Box<StreamConfig>>>) {
        let none = StreamConfig::default();
        let (before, after) = (old.as_deref().unwrap_or(&none), new.as_deref().unwrap_or(&none));
        if is_same_stream(old, new) {
            return;
        }
        let known = self.0.len();
        let stream = current.get_or_insert_default();
        self.rows(prefix, options::STREAM, (&mut stream.options, &before.options, &after.options));
        self.map(prefix, (&mut stream.free, &before.free, &after.free));
        if new.is_none() {
            *current = None;
        }
        // A stream whose options all have their defaults is more than none.
        if self.0.len() == known {
            self.add(&format!("{prefix}class"), Live::Stored);
        }
    }
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
