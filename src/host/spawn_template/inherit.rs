//! Which sockets the processes of a watcher have to do with.

use crate::config::expand;
use crate::config::value::listed;
use crate::config::{Names, WatcherConfig};
use std::os::fd::RawFd;

/// A bound socket, as those see it that are to have it.
pub struct Offered {
    /// Its name, lower-case.
    pub name: String,
    /// The family of its address, such as `AF_INET`.
    pub family: &'static str,
    /// Where it is bound.
    pub address: String,
    /// Each process gets one of its own.
    pub shared: bool,
    /// Calls on it wait.
    pub blocks: bool,
    /// Its descriptors in circus: one, or several with so_reuseport.
    pub fds: Vec<RawFd>,
}

/// The socket of this name.
pub fn find<'a>(sockets: &'a [Offered], name: &str) -> Option<&'a Offered> {
    sockets.iter().find(|socket| socket.name == name)
}

/// A socket that children inherit.
#[derive(PartialEq)]
pub struct Inherited {
    /// Its name.
    pub name: String,
    /// The command line names it.
    pub named: bool,
    /// The family of its address, such as `AF_INET`.
    pub family: &'static str,
}

impl Inherited {
    pub fn of(socket: &Offered, named: bool) -> Inherited {
        Inherited { name: socket.name.clone(), named, family: socket.family }
    }
}

/// Which sockets the children inherit: those that `sockets` or the command line names, else all.
///
/// # Errors
/// There is no socket of one of the names.
pub fn inherited(config: &WatcherConfig, env: &Names, sockets: &[Offered]) -> Result<Vec<Inherited>, String> {
    let named = named(config, env);
    if let Some(unknown) = named.iter().find(|name| find(sockets, name).is_none()) {
        return Err(format!(
            "the command or an [env] section names the socket {unknown}, and there is no [socket:{unknown}]"
        ));
    }
    if !config.options.use_sockets {
        return Ok(Vec::new());
    }
    let text = config.options.sockets.as_deref().map(str::to_lowercase).unwrap_or_default();
    let listed = listed(&text);
    if let Some(name) = listed.iter().find(|name| find(sockets, name).is_none()) {
        return Err(format!("sockets = names {name}, and there is no [socket:{name}]"));
    }
    let mut inherited = Vec::new();
    for socket in sockets {
        let is_named = named.contains(&socket.name);
        if is_named || listed.contains(&socket.name.as_str()) || (listed.is_empty() && named.is_empty()) {
            inherited.push(Inherited::of(socket, is_named));
        }
    }
    Ok(inherited)
}

/// The sockets that the command line and the environment refer to.
fn named(config: &WatcherConfig, env: &Names) -> Vec<String> {
    super::texts(config, env).flat_map(expand::sockets).collect()
}

/// The socket that stands on the standard input, in lower case.
///
/// # Errors
/// There is no socket of that name.
pub fn on_stdin(config: &WatcherConfig, sockets: &[Offered]) -> Result<Option<String>, String> {
    let name = config.options.stdin_socket.as_deref().filter(|name| !name.is_empty());
    let known = |name: &str| match find(sockets, &name.to_lowercase()) {
        Some(socket) => Ok(socket.name.clone()),
        None => Err(format!("stdin_socket = {name}: there is no [socket:{name}]")),
    };
    name.map(known).transpose()
}

/// A socket of the children that does not block, if there is one.
#[cfg(feature = "history")]
pub fn nonblocking(config: &WatcherConfig, sockets: &[Offered]) -> Option<String> {
    let env = super::environment::environment(config).ok()?;
    let others = inherited(config, &env, sockets).ok()?.into_iter().map(|socket| socket.name);
    on_stdin(config, sockets)
        .ok()?
        .into_iter()
        .chain(others)
        .find(|name| find(sockets, name).is_some_and(|socket| !socket.blocks))
}

/// The sockets whose use starts a watcher with `on_demand`: those that its processes get; if they get none, those
/// that it names; if it names none, all, as Circus has it.
///
/// # Errors
/// There is no socket of one of the names, or none at all.
pub fn awaited(config: &WatcherConfig, sockets: &[Offered]) -> Result<Vec<String>, String> {
    let env = super::environment::environment(config)?;
    let mut names: Vec<String> =
        inherited(config, &env, sockets)?.into_iter().map(|socket| socket.name).collect();
    if let Some(name) = on_stdin(config, sockets)?.filter(|name| !names.contains(name)) {
        names.push(name);
    }
    if names.is_empty() {
        names = named(config, &env);
    }
    if names.is_empty() {
        names.extend(sockets.iter().map(|socket| socket.name.clone()));
    }
    if names.is_empty() {
        return Err("on_demand needs a [socket:NAME], and there is none".into());
    }
    Ok(names)
}
