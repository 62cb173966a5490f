//! `[plugin:NAME]`.

use super::is_usable;
use super::others::is_name;
use super::values::Values;
use super::watcher::origins;
use crate::config::check::suggest;
use crate::config::features;
use crate::config::ini::{Entry, shorten};
use crate::config::model::{Builtin, Names, PluginConfig, PluginKind};
use crate::config::options::{self, Expand, plugin};
use crate::config::sections::Section;

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
