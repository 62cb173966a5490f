//! What the children of a watcher would get: whether that has changed is asked when the sockets have.

use super::inherit::{Inherited, Offered, find, inherited, on_stdin};
use crate::config::WatcherConfig;
use std::os::fd::RawFd;

/// The sockets that the children of a watcher get, with the descriptors behind each name; or why they cannot.
#[derive(PartialEq)]
pub struct Given(Result<Vec<(Inherited, Vec<RawFd>)>, String>);

impl Given {
    /// What children of a watcher would get now.
    pub fn to(config: &WatcherConfig, sockets: &[Offered]) -> Given {
        Given(given(config, sockets))
    }
}

fn given(config: &WatcherConfig, sockets: &[Offered]) -> Result<Vec<(Inherited, Vec<RawFd>)>, String> {
    let env = super::environment::environment(config)?;
    let mut names = inherited(config, &env, sockets)?;
    let on_stdin = on_stdin(config, sockets)?.and_then(|name| find(sockets, &name));
    names.extend(on_stdin.map(|socket| Inherited::of(socket, false)));
    let with_fds = |socket: Inherited| {
        let fds = find(sockets, &socket.name).map(|socket| socket.fds.clone());
        (socket, fds.unwrap_or_default())
    };
    Ok(names.into_iter().map(with_fds).collect())
}
