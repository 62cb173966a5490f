//! `[circus]` and `[socket:NAME]`.

use super::is_usable;
use super::values::Values;
use super::watcher::origins;
#[cfg(not(feature = "plugins"))]
use crate::config::features;
use crate::config::ini::{Entry, shorten};
use crate::config::model::{Config, Names, Severity, SocketConfig};
use crate::config::options::{self, Expand, Place, socket};
use crate::config::sections::Section;
use crate::config::{families, sockets};

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

/// A build that lacks plugins does not start with one.
#[cfg(not(feature = "plugins"))]
pub fn plugin(values: &mut Values<'_>, section: &Section) -> Option<crate::config::PluginConfig> {
    let why = features::lack(Some(features::PLUGINS)).unwrap_or_default();
    values.find(Severity::Fatal, &section.origin, format!("[{}] {why}", shorten(&section.name)));
    None
}

/// The key `name`, which only a watcher may have.
pub(super) fn is_name(values: &mut Values<'_>, entry: &Entry) -> bool {
    let is_name = entry.key == families::NAME;
    if is_name {
        values.warn(&entry.origin, "`name` has no effect here: the name is that of the section".into());
    }
    is_name
}
