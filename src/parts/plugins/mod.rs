//! Plugins as watchers: what is run for each `[plugin:NAME]`, and how it talks to circus.
//!
//! A program is at the other end of a socket that is its standard input and output, and a client like any other: it
//! is told every event, as if it had asked to listen, and what it writes are requests. A Python class is run by the
//! `circus-plugin` that belongs to Circus, which talks to the control socket. Those that Circus brings along are part
//! of circus: `builtin` says what they have in common, `run` is their place in the loop.

pub mod builtin;
mod command;
mod command_reloader;
mod flapping;
mod full_stats;
mod metrics;
mod observer;
mod resource_watcher;
pub mod run;
pub(crate) mod server;
mod statsd;
mod watchdog;
pub(crate) mod world;

use crate::config::model::Builtin;
use crate::config::options::watcher;
use crate::config::{Config, Names, PluginConfig, PluginKind, WatcherConfig, plugin};
use crate::control::shell;
use crate::host::endpoint::absolute;
use crate::host::spawn_template;
use crate::parts::log::Log;
use serde_json::Value as Json;
use std::os::unix::fs::PermissionsExt;

/// What plugins are told of the circus that they belong to.
pub struct Surroundings<'a> {
    /// What it reads.
    pub config: &'a Config,
    /// The environment of circus.
    pub environ: &'a Names,
    /// The directory that circus runs in.
    pub cwd: &'a str,
    /// Where the control socket is, or `none`.
    pub endpoint: &'a str,
}

/// The watchers of the plugins of a configuration. What keeps one from working is said in the log, once.
pub fn watchers(around: &Surroundings<'_>, log: &mut Log) -> Vec<WatcherConfig> {
    let mut watchers = Vec::new();
    for plugin in &around.config.plugins {
        let same = |watcher: &WatcherConfig| watcher.name.to_lowercase() == plugin.name.to_lowercase();
        if around.config.watchers.iter().any(same) {
            log.warning(format_args!("[{}] is ignored: there is a watcher of that name", plugin.name));
            continue;
        }
        watchers.push(watcher(plugin, around, log));
    }
    watchers
}

/// The watcher of a plugin.
fn watcher(plugin: &PluginConfig, around: &Surroundings<'_>, log: &mut Log) -> WatcherConfig {
    let mut env = around.environ.clone();
    env.insert("CIRCUS_ENDPOINT".into(), around.absolute_endpoint());
    let debug = around.config.circus.debug;
    match plugin.kind() {
        Some(PluginKind::Builtin(builtin)) => builtin_watcher(plugin, builtin),
        Some(PluginKind::Program) => {
            env.insert("CIRCUS_PLUGIN".into(), plugin.name.clone());
            env.extend(plugin.free.iter().map(|(key, value)| (variable(key), value.clone())));
            let cmd = plugin.options.cmd.as_deref().unwrap_or_default();
            plugin.watcher(cmd.into(), env, debug)
        }
        Some(PluginKind::Python) => {
            let path = python_path(plugin, around);
            env.extend(path.map(|path| ("PYTHONPATH".into(), path)));
            let mut watcher = plugin.watcher(python_command(plugin, around), env, debug);
            if let Some(why) = why_no_python(around) {
                let class = plugin.options.class.as_deref().unwrap_or_default();
                let instead = format!("`{class}` is a Python class, and {why}");
                log.warning(format_args!("{} is not started: {instead}", plugin.name));
                watcher.options.autostart = false;
                watcher.broken.get_or_insert(instead);
            }
            watcher
        }
        None => {
            let mut watcher = plugin.watcher(String::new(), env, debug);
            watcher.broken.get_or_insert_with(|| plugin.reason_without_kind());
            watcher
        }
    }
}

/// The watcher of a plugin that circus has itself.
fn builtin_watcher(plugin: &PluginConfig, builtin: Builtin) -> WatcherConfig {
    let mut watcher = plugin.builtin_watcher(builtin);
    if let Some(Err((key, why))) = builtin::make(&watcher) {
        watcher.broken.get_or_insert_with(|| format!("{key} = {why}"));
    }
    watcher
}

/// What the option table does not know to be wrong in a plugin that circus has itself: the key of a regular expression that
/// is none, and why.
#[cfg(feature = "check")]
pub fn wrong_expression(plugin: &PluginConfig) -> Option<builtin::Wrong> {
    let Some(PluginKind::Builtin(builtin)) = plugin.kind() else { return None };
    let watcher = plugin.builtin_watcher(builtin);
    // Everything else has been said already.
    if watcher.broken.is_some() { None } else { builtin::make(&watcher)?.err() }
}

/// The environment variable that hands an option of a plugin to its program.
fn variable(key: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("CIRCUS_PLUGIN_{}", key.chars().map(upper).collect::<String>())
}

/// What keeps Python classes from being run here, and what to do.
fn why_no_python(around: &Surroundings<'_>) -> Option<&'static str> {
    if !cfg!(feature = "zmtp") {
        return Some(
            "this circus was built without ZeroMQ's protocol, which it would speak; write `cmd = PROGRAM`",
        );
    }
    if around.endpoint == "none" {
        return Some("it would need a control socket: set endpoint");
    }
    let path = around.environ.get("PATH").map_or(spawn_template::DEFAULT_PATH, String::as_str);
    let is_program = |path: String| {
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let found = spawn_template::candidates(plugin::RUNNER, path).any(is_program);
    (!found).then_some(plugin::NO_RUNNER)
}

/// The command line that runs a Python class.
fn python_command(plugin: &PluginConfig, around: &Surroundings<'_>) -> String {
    let config = around.config;
    let endpoint = format!("ipc://{}", around.absolute_endpoint());
    let delay = Json::from(config.circus.check_delay).to_string();
    let mut pairs = vec![format!("name:{}", plugin.name)];
    pairs.extend(plugin.free.iter().map(|(key, value)| format!("{key}:{value}")));
    let pairs = pairs.join(":::");
    let mut words = vec![plugin::RUNNER, "--endpoint", &endpoint, "--pubsub", &endpoint];
    words.extend(["--check-delay", &delay, "--config", &pairs]);
    let level = if config.circus.debug { Some("debug") } else { config.circus.loglevel.as_deref() };
    words.extend(level.into_iter().flat_map(|level| ["--log-level", level]));
    words.extend(config.circus.logoutput.iter().flat_map(|output| ["--log-output", output]));
    words.extend(plugin.options.class.as_deref());
    shell::join(words)
}

/// Where Python looks for modules: where circus's own environment says so, and those of the watchers, since Circus
/// looks there too. What belongs to a watcher of another user has no place in it.
fn python_path(plugin: &PluginConfig, around: &Surroundings<'_>) -> Option<String> {
    let Surroundings { config, environ, .. } = around;
    let own = plugin.free.get(watcher::uid).map(String::as_str);
    let of_user = |watcher: &&WatcherConfig| {
        let uid = watcher.options.uid.as_deref();
        uid.is_none() || uid == own
    };
    let of_watchers = config.watchers.iter().filter(of_user).filter_map(|w| w.env.get("PYTHONPATH"));
    let mut found: Vec<&str> = Vec::new();
    for part in environ.get("PYTHONPATH").into_iter().chain(of_watchers).flat_map(|path| path.split(':')) {
        if !part.is_empty() && !found.contains(&part) {
            found.push(part);
        }
    }
    (!found.is_empty()).then(|| found.join(":"))
}

impl Surroundings<'_> {
    fn absolute_endpoint(&self) -> String {
        absolute(self.endpoint, self.cwd)
    }
}
