//! `[circus]`, `[socket:NAME]` and `[plugin:NAME]`.

use super::is_usable;
use super::values::{Table, Values};
use super::watcher::origins;
use crate::config::ini::shorten;
use crate::config::model::{AccessConfig, Config, PluginConfig, Rest, SectionConfig, Severity, SocketConfig};
use crate::config::options::{self, Place, global, socket};
use crate::config::sections::Section;
use crate::config::{features, sockets};

/// Reads `[circus]`.
pub fn circus(values: &mut Values<'_>, config: &mut Config, section: &Section) {
    config.origins = origins(section);
    values.all((Place::Circus, options::CIRCUS), section, (&mut config.circus, &mut Rest::default()));
    // As in Circus, where an address for the statistics switches them on.
    config.circus.statsd |= config.circus.stats_endpoint.is_some();
    values.take_broken();
}

/// Reads a section with a name.
fn named<S: Default>(
    values: &mut Values<'_>,
    table: Table<S>,
    section: &Section,
    name: String,
) -> SectionConfig<S> {
    let mut read = SectionConfig { name, origins: origins(section), ..SectionConfig::default() };
    values.all(table, section, (&mut read.options, &mut read.free));
    read
}

/// Reads `[access]`.
pub fn access(values: &mut Values<'_>, section: &Section) -> AccessConfig {
    let access = named(values, (Place::Access, options::ACCESS), section, section.name.clone());
    values.take_broken();
    access
}

/// Where `[access]` gives rights, all may connect, and circus asks the kernel who it is, unless `endpoint_mode` says
/// otherwise: no mode of a file could name several users and groups.
pub fn open_to_others(config: &mut Config) {
    if config.access.options.gives_rights() && !config.origins.keys.contains_key(global::endpoint_mode) {
        config.circus.endpoint_mode = 0o666;
    }
}

/// Reads `[socket:NAME]`. The name is what follows the last `socket:`, in lower case.
pub fn socket(values: &mut Values<'_>, section: &Section) -> Option<SocketConfig> {
    let name = section.name.rsplit("socket:").next().unwrap_or_default().to_lowercase();
    if !is_usable(values, section, &name) {
        return None;
    }
    let mut socket = named(values, (Place::Socket, options::SOCKET), section, name);
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

/// Reads `[plugin:NAME]`. Its name is that of the whole section. A build that lacks plugins does not start with one.
pub fn plugin(values: &mut Values<'_>, section: &Section) -> Option<PluginConfig> {
    if let Some(why) = features::lack(Some(features::PLUGINS)) {
        values.find(Severity::Fatal, &section.origin, format!("[{}] {why}", shorten(&section.name)));
        return None;
    }
    if !is_usable(values, section, section.name.strip_prefix("plugin:").unwrap_or_default()) {
        return None;
    }
    let mut plugin = named(values, (Place::Plugin, options::PLUGIN), section, section.name.clone());
    #[cfg(feature = "plugins")]
    super::plugin::report_class(values, &plugin, section);
    plugin.broken = values.take_broken();
    Some(plugin)
}
