//! What is wrong with plugins, and between them and watchers.

use super::Checker;
use crate::config::ini::shorten;
use crate::config::model::{Builtin, PluginConfig, PluginKind, WatcherConfig};
use crate::config::options::plugin;
use crate::config::url::{self, Place};

impl Checker {
    /// The options that a watcher has for the plugin Flapping.
    pub(super) fn flapping(&mut self, watcher: &WatcherConfig, plugins: &[PluginConfig]) {
        let wanted = Some(PluginKind::Builtin(Builtin::Flapping));
        let is_there = plugins.iter().any(|plugin| plugin.kind() == wanted);
        for (key, text) in watcher.free.iter() {
            let Some(option) = key.strip_prefix("flapping.") else { continue };
            let place = (&*watcher.origins, key.as_str());
            if let Some((_, why)) = Builtin::Flapping.problem("flapping.", option, text) {
                self.warn(place, why);
            } else if !is_there {
                self.warn(place, format!("`{key}` has no effect: there is no plugin Flapping"));
            }
        }
    }

    /// The watchers that a plugin names. A command may add one that is not there yet.
    pub(super) fn watchers_of(&mut self, plugin: &PluginConfig, known: &[WatcherConfig]) {
        let Some(PluginKind::Builtin(builtin)) = plugin.kind() else { return };
        for (key, name) in
            plugin.free.iter().filter(|(key, name)| !name.is_empty() && builtin.is_watcher(key))
        {
            let lower = name.trim().to_lowercase();
            if known.iter().all(|watcher| watcher.name.to_lowercase() != lower) {
                self.warn((&plugin.origins, key), format!("there is no watcher `{}`", shorten(name)));
            }
        }
    }

    /// The options of a plugin.
    pub(super) fn plugin(&mut self, plugin: &PluginConfig) {
        let origins = &plugin.origins;
        let Some(kind) = plugin.kind() else {
            return self.error((origins, plugin::class), plugin.reason_without_kind());
        };
        if plugin.options.class.is_some() && plugin.options.cmd.is_some() {
            self.warn((origins, plugin::class), "`use` has no effect beside `cmd`".into());
        }
        self.command_line((origins, plugin::cmd), plugin.options.cmd.as_deref().unwrap_or_default(), true);
        if let PluginKind::Builtin(builtin) = kind {
            for (key, severity, why) in plugin.builtin_problems(builtin) {
                self.find(severity, (origins, key), why);
            }
            let listen = plugin.free.get("listen").filter(|_| builtin == Builtin::Metrics);
            if let Some(listen) = listen
                && let Ok(Place::Inet(address)) = url::listen(listen.trim())
                && !address.ip().is_loopback()
            {
                let message = format!(
                    "the port {} is open to the network: everyone who can reach it sees the names of the watchers and what they use",
                    shorten(listen)
                );
                self.warn((origins, "listen"), message);
            }
        }
        for (key, why) in plugin.process_options().filter_map(|(key, value)| Some((key, value.err()?))) {
            self.error((origins, key), why);
        }
        let cut = |(_, value): &(&String, &String)| kind == PluginKind::Python && value.contains(":::");
        for (key, _) in plugin.free.iter().filter(cut) {
            let message = format!("circus-plugin ends the value of `{}` at its `:::`", shorten(key));
            self.warn((origins, key), message);
        }
    }
}
