//! What is to be said of the class of a plugin.

use super::values::Values;
use crate::config::check::suggest;
use crate::config::features;
use crate::config::ini::shorten;
use crate::config::model::{Builtin, PluginConfig, PluginKind};
use crate::config::options::plugin;
use crate::config::sections::Section;

/// What is to be said of a class. Whether a Python class can be run depends on the machine.
pub fn report_class(values: &mut Values<'_>, plugin: &PluginConfig, section: &Section) {
    let Some(entry) = section.entries.get(plugin::class) else { return };
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
