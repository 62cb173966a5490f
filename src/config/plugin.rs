//! What a `[plugin:NAME]` is, and the watcher that runs it.
//!
//! As in Circus a plugin is a watcher `plugin:NAME` of one process. A few options of watchers may stand in the section
//! and hold for that process; all options but circus's own belong to the plugin, these few too.

use super::builtin::Settings;
use super::ini::shorten;
use super::model::{Builtin, Names, PluginConfig, PluginKind, Severity, WatcherConfig};
use super::options::{self, plugin as key};
use super::stream::StreamConfig;
use super::value::Value;
use std::rc::Rc;

/// The program of Circus that runs a plugin written in Python.
pub const RUNNER: &str = "circus-plugin";

/// What is said where it is missing: the end of a sentence.
pub const NO_RUNNER: &str = "circus-plugin, which runs it, is not in the PATH of circus: pip install circus, or write `cmd = PROGRAM`";

impl PluginConfig {
    /// What it is; `None` when it says neither `use` nor `cmd`.
    pub fn kind(&self) -> Option<PluginKind> {
        if self.options.cmd.is_some() {
            return Some(PluginKind::Program);
        }
        let class = self.options.class.as_deref()?;
        Some(Builtin::of_class(class).map_or(PluginKind::Python, PluginKind::Builtin))
    }

    /// Why it is nothing, for one without a kind.
    pub fn reason_without_kind(&self) -> String {
        format!("[{}] needs `use` or `cmd`", shorten(&self.name))
    }

    /// The options of watchers among its own, each with its value or what is wrong with it. Others than those that hold
    /// for its process, such as `max_retry`, are names of options that plugins have.
    pub fn process_options(&self) -> impl Iterator<Item = (&'static str, Result<Value, String>)> {
        options::WATCHER.iter().filter(|row| row.of_plugins).filter_map(|row| {
            let (key, text) = (row.key, self.free.get(row.key)?);
            Some((key, row.kind.parse(text).map_err(|why| format!("`{key} = {}` {why}", shorten(text)))))
        })
    }

    /// The watcher of a plugin that circus has itself. It has no process, and is active while circus does its work.
    pub fn builtin_watcher(&self, builtin: Builtin) -> WatcherConfig {
        let mut watcher = self.watcher(String::new(), Names::new(), false);
        let options = &mut watcher.options;
        (options.copy_env, options.copy_path) = (false, false);
        (options.close_child_stdout, options.close_child_stderr) = (false, false);
        options.autostart &= Settings::new(builtin, &self.free).flag("active");
        watcher.free = self.free.clone();
        let errors =
            self.builtin_problems(builtin).into_iter().filter(|problem| problem.1 == Severity::Error);
        watcher.broken = watcher.broken.or(errors.map(|problem| problem.2).next());
        watcher
    }

    /// What is wrong with its options, if it is such a plugin: the key, how bad it is, and what to say.
    pub fn builtin_problems(&self, builtin: Builtin) -> Vec<(&str, Severity, String)> {
        let mut problems = Vec::new();
        for (key, text) in self.free.iter() {
            let problem = builtin.problem("", key, text);
            problems.extend(problem.map(|(severity, why)| (key.as_str(), severity, why)));
        }
        if let Some(key) = builtin.missing(&self.free) {
            problems.push((key::class, Severity::Error, format!("it needs `{key} = NAME`")));
        }
        problems
    }

    /// The watcher that runs it by `cmd` in the environment `env`. The newest output is kept in memory, and goes to that
    /// of circus for debugging.
    pub fn watcher(&self, cmd: String, env: Names, debug: bool) -> WatcherConfig {
        let mut watcher = WatcherConfig {
            name: self.name.clone(),
            origins: self.origins.clone().into(),
            env: Rc::new(env),
            broken: self.broken.clone(),
            plugin: self.kind(),
            ..WatcherConfig::default()
        };
        let options = &mut watcher.options;
        options.cmd = cmd.into();
        options.singleton = true;
        options.priority = self.options.priority;
        options.copy_env = true;
        options.copy_path = true;
        let mut stream = StreamConfig::default();
        stream.options.class = Some(if debug { "StdoutStream" } else { "QueueStream" }.into());
        watcher.stderr_stream = Some(Box::new(stream.clone()));
        watcher.stdout_stream = Some(Box::new(stream));
        if watcher.plugin == Some(PluginKind::Python) {
            // It takes a while to begin, and to find out that its class cannot be imported.
            options.respawn_window = Some(10.0);
        }
        if watcher.plugin == Some(PluginKind::Program) {
            // Its output is requests.
            watcher.stdout_stream = None;
        }
        for (key, value) in self.process_options() {
            // The type is that of the row.
            let set = value.map(|value| drop(watcher.set(key, &value)));
            watcher.broken = watcher.broken.or(set.err());
        }
        watcher
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::stream::StreamKind;

    fn plugin(options: &[(&str, &str)]) -> PluginConfig {
        let mut plugin = PluginConfig { name: "plugin:x".into(), ..PluginConfig::default() };
        for (key, value) in options {
            match *key {
                "use" => plugin.options.class = Some((*value).into()),
                "cmd" => plugin.options.cmd = Some((*value).into()),
                _ => drop(plugin.free.insert(key.to_string(), value.to_string())),
            }
        }
        plugin
    }

    #[test]
    fn every_plugin_has_a_kind_but_one_that_says_nothing() {
        assert_eq!(plugin(&[("active", "1")]).kind(), None);
        let flapping = plugin(&[("use", "circus.plugins.flapping.Flapping")]);
        assert_eq!(flapping.kind(), Some(PluginKind::Builtin(Builtin::Flapping)));
        assert_eq!(plugin(&[("use", "my.Plugin")]).kind(), Some(PluginKind::Python));
        assert_eq!(plugin(&[("use", "my.Plugin"), ("cmd", "x")]).kind(), Some(PluginKind::Program));
    }

    #[test]
    fn a_plugin_is_a_watcher_of_one_process() {
        let options = [("cmd", "x"), ("uid", "www"), ("graceful_timeout", "3"), ("max_retry", "9")];
        let watcher = plugin(&options).watcher("x".into(), Names::new(), false);
        let o = &watcher.options;
        assert_eq!((watcher.name.as_str(), &*o.cmd, o.singleton), ("plugin:x", "x", true));
        assert_eq!((o.uid.as_deref(), o.graceful_timeout, o.max_retry), (Some("www"), 3.0, 5));
        let class = |stream: &Option<Box<StreamConfig>>| stream.as_ref().map(|stream| stream.kind());
        assert_eq!(
            (class(&watcher.stdout_stream), class(&watcher.stderr_stream)),
            (None, Some(StreamKind::Queue))
        );
        assert_eq!((watcher.plugin, watcher.broken), (Some(PluginKind::Program), None));
        let watcher = plugin(&[("use", "a.B")]).watcher("x".into(), Names::new(), true);
        assert_eq!(class(&watcher.stdout_stream), Some(StreamKind::Stdout));
        assert_eq!(class(&watcher.stderr_stream), Some(StreamKind::Stdout));
    }

    #[test]
    fn a_value_that_cannot_be_used_breaks_it() {
        let watcher =
            plugin(&[("cmd", "x"), ("respawn", "perhaps")]).watcher("x".into(), Names::new(), false);
        assert!(watcher.broken.is_some_and(|why| why.starts_with("`respawn = perhaps` ")));
    }
}
