//! Which sockets the processes of a watcher have to do with.

use crate::config::expand;
use crate::config::value::listed;
use crate::config::{Names, WatcherConfig};
use crate::parts::sockets::Sockets;
use std::os::fd::RawFd;

/// The sockets that the children of a watcher get, with the descriptors behind each name; or why they cannot.
#[derive(PartialEq)]
pub struct Given(Result<Vec<(Inherited, Vec<RawFd>)>, String>);

impl Given {
    /// What children of a watcher would get now.
    pub fn to(config: &WatcherConfig, sockets: &Sockets) -> Given {
        Given(given(config, sockets))
    }
}

fn given(config: &WatcherConfig, sockets: &Sockets) -> Result<Vec<(Inherited, Vec<RawFd>)>, String> {
    let env = super::environment::environment(config)?;
    let mut names = inherited(config, &env, sockets)?;
    let on_stdin = on_stdin(config, sockets)?;
    names.extend(on_stdin.map(|name| Inherited { family: sockets.family(&name), name, named: false }));
    let with_fds = |socket: Inherited| {
        let fds = sockets.fds(&socket.name).collect();
        (socket, fds)
    };
    Ok(names.into_iter().map(with_fds).collect())
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

/// Which sockets the children inherit: those that `sockets` or the command line names, else all.
///
/// # Errors
/// There is no socket of one of the names.
pub fn inherited(config: &WatcherConfig, env: &Names, sockets: &Sockets) -> Result<Vec<Inherited>, String> {
    let named = named(config, env);
    if let Some(unknown) = named.iter().find(|name| !sockets.has(name)) {
        return Err(format!(
            "the command or an [env] section names the socket {unknown}, and there is no [socket:{unknown}]"
        ));
    }
    if !config.options.use_sockets {
        return Ok(Vec::new());
    }
    let text = config.options.sockets.as_deref().map(str::to_lowercase).unwrap_or_default();
    let listed = listed(&text);
    if let Some(name) = listed.iter().find(|name| !sockets.has(name)) {
        return Err(format!("sockets = names {name}, and there is no [socket:{name}]"));
    }
    let mut inherited = Vec::new();
    for name in sockets.names() {
        let is_named = named.iter().any(|named| named == name);
        if is_named || listed.contains(&name) || (listed.is_empty() && named.is_empty()) {
            let family = sockets.family(name);
            inherited.push(Inherited { name: name.into(), named: is_named, family });
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
pub fn on_stdin(config: &WatcherConfig, sockets: &Sockets) -> Result<Option<String>, String> {
    let name = config.options.stdin_socket.as_deref().filter(|name| !name.is_empty());
    let Some(name) = name else { return Ok(None) };
    let lower = name.to_lowercase();
    if sockets.has(&lower) {
        Ok(Some(lower))
    } else {
        Err(format!("stdin_socket = {name}: there is no [socket:{name}]"))
    }
}

/// A socket of the children that does not block, if there is one.
pub fn nonblocking(config: &WatcherConfig, sockets: &Sockets) -> Option<String> {
    let env = super::environment::environment(config).ok()?;
    let mut names: Vec<String> = on_stdin(config, sockets).ok()?.into_iter().collect();
    names.extend(inherited(config, &env, sockets).ok()?.into_iter().map(|socket| socket.name));
    names.into_iter().find(|name| !sockets.blocks(name))
}

/// The sockets whose use starts a watcher with `on_demand`: those that its processes get; if they get none, those
/// that it names; if it names none, all, as Circus has it.
///
/// # Errors
/// There is no socket of one of the names, or none at all.
pub fn awaited(config: &WatcherConfig, sockets: &Sockets) -> Result<Vec<String>, String> {
    let env = super::environment::environment(config)?;
    let mut names = Vec::new();
    for socket in inherited(config, &env, sockets)? {
        names.push(socket.name);
    }
    if let Some(name) = on_stdin(config, sockets)?.filter(|name| !names.contains(name)) {
        names.push(name);
    }
    if names.is_empty() {
        names = named(config, &env);
    }
    if names.is_empty() {
        sockets.names().for_each(|name| names.push(name.into()));
    }
    if names.is_empty() {
        return Err("on_demand needs a [socket:NAME], and there is none".into());
    }
    Ok(names)
}
