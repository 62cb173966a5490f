//! `[circus]`, `[socket:NAME]` and `[plugin:NAME]`.

use super::is_usable;
use super::values::Values;
use super::watcher::origins;
use crate::config::check::suggest;
use crate::config::ini::shorten;
use crate::config::model::{Builtin, Config, Names, PluginConfig, PluginKind, Severity, SocketConfig};
use crate::config::options::{self, Expand, Place, plugin, socket};
use crate::config::sections::{Entry, Section};
use crate::config::{families, features, sockets};

/// Reads `[circus]`.
pub fn circus(values: &mut Values<'_>, config: &mut Config, section: &Section) {
    config.origins = origins(section);
    let mut free = Names::new();
    for entry in section.entries.values() {
        if !values.take(options::CIRCUS, (&mut config.circus, &mut free), &entry.key, entry, &Names::new()) {
            values.keep(Place::Circus, &mut free, &entry.key, entry, (Expand::Global, &Names::new()));
        }
    }
    // As in Circus, where an address for the statistics switches them on.
    config.circus.statsd |= config.circus.stats_endpoint.is_some();
    values.take_broken();
}

/// Reads `[socket:NAME]`. The name is what follows the last `socket:`, in lower case.
pub fn socket(values: &mut Values<'_>, section: &Section) -> Option<SocketConfig> {
    let name = section.name.rsplit("socket:").next().unwrap_or_default().to_lowercase();
    if !is_usable(values, section, &name) {
        return None;
    }
    let mut socket = SocketConfig { name, origins: origins(section), ..SocketConfig::default() };
    for entry in section.entries.values() {
        if is_name(values, entry) {
            continue;
        }
        let (options, free) = (&mut socket.options, &mut socket.free);
        if !values.take(options::SOCKET, (options, free), &entry.key, entry, &Names::new()) {
            values.keep(Place::Socket, free, &entry.key, entry, (Expand::Global, &Names::new()));
        }
    }
    if socket.options.path.is_some() {
        socket.options.family = "AF_UNIX".into();
    }
    if let Some(proto) = socket.options.proto.as_deref().filter(|proto| sockets::protocol(proto).is_none())
        && let Some(origin) = socket.origins.of(socket::proto)
    {
        let message =
            format!("`proto = {}` is not a protocol that is known; give its number", shorten(proto));
        values.find(Severity::Error, origin, message);
    }
    socket.broken = values.take_broken();
    Some(socket)
}

/// Reads `[plugin:NAME]`. Its name is that of the whole section.
pub fn plugin(values: &mut Values<'_>, section: &Section) -> Option<PluginConfig> {
    let name = section.name.clone();
    if let Some(why) = features::lack(Some(features::PLUGINS)) {
        values.find(Severity::Fatal, &section.origin, format!("[{}] {why}", shorten(&name)));
        return None;
    }
    if !is_usable(values, section, name.strip_prefix("plugin:").unwrap_or_default()) {
        return None;
    }
    let mut plugin = PluginConfig { name, origins: origins(section), ..PluginConfig::default() };
    for entry in section.entries.values() {
        if !is_name(values, entry) {
            plugin_option(values, &mut plugin, entry);
        }
    }
    plugin.broken = values.take_broken();
    Some(plugin)
}

fn plugin_option(values: &mut Values<'_>, plugin: &mut PluginConfig, entry: &Entry) {
    if entry.key == plugin::class {
        let class = values.text(entry, Expand::Global, &Names::new());
        plugin.options.class = Some(class).filter(|class| !class.is_empty()).map(Into::into);
        return report_class(values, plugin, entry);
    }
    let PluginConfig { options, free, .. } = plugin;
    if !values.take(options::PLUGIN, (options, free), &entry.key, entry, &Names::new()) {
        let text = values.text(entry, Expand::Global, &Names::new());
        free.insert(entry.key.clone(), text);
    }
}

/// The key `name`, which only a watcher may have.
fn is_name(values: &mut Values<'_>, entry: &Entry) -> bool {
    let is_name = entry.key == families::NAME;
    if is_name {
        values.warn(&entry.origin, "`name` has no effect here: the name is that of the section".into());
    }
    is_name
}

/// What is to be said of a class. Whether a Python class can be run depends on the machine.
fn report_class(values: &mut Values<'_>, plugin: &PluginConfig, entry: &Entry) {
    let class = plugin.options.class.as_deref().unwrap_or_default();
    if plugin.kind() == Some(PluginKind::Builtin(Builtin::Metrics)) {
        values.lacks(Some(features::METRICS), entry);
    }
    let meant = if plugin.kind() == Some(PluginKind::Python) { meant(class) } else { None };
    if let Some(meant) = meant {
        let message = format!("there is no plugin `{}`: did you mean `{meant}`?", shorten(class));
        values.warn(&entry.origin, message);
    }
}

/// The plugin of Circus itself that a class may be meant for: one that is said to be Circus's, and is called alike.
fn meant(class: &str) -> Option<&'static str> {
    let name = class.strip_prefix("circus.plugins.")?.rsplit('.').next()?;
    let last = |class: &'static str| class.rsplit('.').next().unwrap_or_default();
    let near = suggest::nearest(name, &mut Builtin::all().map(Builtin::class).map(last))?;
    Builtin::all().map(Builtin::class).find(|class| last(class) == near)
}
