//! `[circus]`, `[socket:NAME]` and `[plugin:NAME]`.

use super::is_usable;
use super::values::{Taken, Values};
use super::watcher::{origins, report_unknown};
use crate::config::ini::shorten;
use crate::config::model::{Builtin, Config, Names, PluginConfig, PluginKind, Severity, SocketConfig};
use crate::config::options::{self, Expand};
use crate::config::protocols;
use crate::config::sections::{Entry, Section};
use crate::config::suggest::{self, Place};

/// Reads `[circus]`.
pub fn circus(values: &mut Values<'_>, config: &mut Config, section: &Section) {
    config.origins = origins(section);
    for entry in section.entries.values() {
        let (key, strict) = (entry.key.as_str(), options::STRICT_CIRCUS);
        if values.take(options::CIRCUS, strict, (&mut config.circus, key), entry, &Names::new())
            == Taken::Unknown
        {
            report_unknown(values, Place::Circus, key, entry);
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
        let (key, strict) = (entry.key.as_str(), options::STRICT_SOCKET);
        match values.take(options::SOCKET, strict, (&mut socket.options, key), entry, &Names::new()) {
            Taken::Known => {}
            Taken::Unusable(text) => drop(socket.free.insert(key.into(), text)),
            Taken::Unknown => {
                report_unknown(values, Place::Socket, key, entry);
                let text = values.expanded(entry, Expand::Global, &Names::new());
                socket.free.insert(key.into(), text);
            }
        }
    }
    if socket.options.path.is_some() {
        socket.options.family = "AF_UNIX".into();
    }
    if let Some(proto) = socket.options.proto.as_deref().filter(|proto| protocols::parse(proto).is_none())
        && let Some(origin) = socket.origins.of("proto")
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
    let (key, strict) = (entry.key.as_str(), options::STRICT_PLUGIN);
    if key == "use" {
        let class = values.text(entry, Expand::Global, &Names::new());
        plugin.options.class = Some(class).filter(|class| !class.is_empty()).map(Into::into);
        report_class(values, plugin, entry);
        return;
    }
    match values.take(options::PLUGIN, strict, (&mut plugin.options, key), entry, &Names::new()) {
        Taken::Known => {}
        Taken::Unusable(text) => drop(plugin.free.insert(key.into(), text)),
        Taken::Unknown => {
            let text = values.text(entry, Expand::Global, &Names::new());
            plugin.free.insert(key.into(), text);
        }
    }
}

/// The key `name`, which only a watcher may have.
fn is_name(values: &mut Values<'_>, entry: &Entry) -> bool {
    let is_name = entry.key == "name";
    if is_name {
        values.warn(&entry.origin, "`name` has no effect here: the name is that of the section".into());
    }
    is_name
}

/// What is to be said of a class. Whether a Python class can be run depends on the machine.
fn report_class(values: &mut Values<'_>, plugin: &PluginConfig, entry: &Entry) {
    let class = plugin.options.class.as_deref().unwrap_or_default();
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
    let classes = Builtin::ALL.map(Builtin::class);
    let near = suggest::nearest(name, &classes.map(last))?;
    classes.into_iter().find(|class| last(class) == near)
}
