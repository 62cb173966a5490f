//! Which sockets the processes of a watcher have to do with.

use crate::config::expand;
use crate::config::{Names, WatcherConfig};
use crate::daemon::sockets::Sockets;
use crate::sorted::sort;

/// A socket that children inherit.
pub struct Inherited {
    /// Its name.
    pub name: String,
    /// The command line names it.
    pub named: bool,
}

/// Which sockets the children inherit: those that `sockets` or the command line names, else all.
///
/// # Errors
/// There is no socket of one of the names.
pub fn inherited(config: &WatcherConfig, env: &Names, sockets: &Sockets) -> Result<Vec<Inherited>, String> {
    let named = named(config, env);
    if let Some(unknown) = named.iter().find(|name| !sockets.has(name)) {
        return Err(format!("the command names the socket {unknown}, and there is no [socket:{unknown}]"));
    }
    if !config.options.use_sockets {
        return Ok(Vec::new());
    }
    let listed = config.options.sockets.as_deref().map(str::to_lowercase);
    let listed: Vec<&str> = listed.iter().flat_map(|text| text.split_whitespace()).collect();
    if let Some(unknown) = listed.iter().find(|name| !sockets.has(name)) {
        return Err(format!("sockets = names {unknown}, and there is no [socket:{unknown}]"));
    }
    let wanted = |name: &str| match (listed.is_empty(), named.is_empty()) {
        (false, _) => listed.contains(&name) || named.iter().any(|n| n == name),
        (true, false) => named.iter().any(|n| n == name),
        (true, true) => true,
    };
    let all = sockets.names().filter(|name| wanted(name));
    Ok(all.map(|name| Inherited { name: name.into(), named: named.iter().any(|n| n == name) }).collect())
}

/// The sockets that the command line and the environment refer to.
fn named(config: &WatcherConfig, env: &Names) -> Vec<String> {
    super::texts(config, env).flat_map(expand::sockets).collect()
}

/// The socket that stands on the standard input, in lower case.
///
/// # Errors
/// There is no socket of that name.
pub fn on_stdin(config: &WatcherConfig, sockets: &Sockets) -> Result<Option<String>, String> {
    let Some(name) = config.options.stdin_socket.as_deref() else { return Ok(None) };
    let lower = name.to_lowercase();
    if sockets.has(&lower) {
        Ok(Some(lower))
    } else {
        Err(format!("stdin_socket = {name}: there is no [socket:{name}]"))
    }
}

/// The sockets whose use starts a watcher with `on_demand`: those that its processes get; if they get none, those
/// that it names; if it names none, all, as Circus has it.
///
/// # Errors
/// There is no socket of one of the names, or none at all.
pub fn awaited(config: &WatcherConfig, sockets: &Sockets) -> Result<Vec<String>, String> {
    let env = super::environment::environment(config)?;
    let mut names: Vec<String> = inherited(config, &env, sockets)?.into_iter().map(|i| i.name).collect();
    names.extend(on_stdin(config, sockets)?);
    if names.is_empty() {
        names = named(config, &env);
    }
    if names.is_empty() {
        names = sockets.names().map(str::to_string).collect();
    }
    if names.is_empty() {
        return Err("on_demand needs a [socket:NAME], and there is none".into());
    }
    let mut names = sort(names);
    names.dedup();
    Ok(names)
}
