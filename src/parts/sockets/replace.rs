//! Other sockets while circus runs.
//!
//! A socket whose address is as it was keeps its descriptor, whatever it is called now. All others are bound before
//! anything is closed, so that a failure leaves everything as it was.

use super::{Bound, Sockets, spec};
#[cfg(feature = "deploy")]
use crate::arbiter::request::Planned;
use crate::config::changes::differing;
use crate::config::options::{Built, Live, SOCKET};
use crate::config::{SocketConfig, SocketOptions};
use crate::host::files::OwnFile;
use crate::sorted::sort_by;
use crate::sys::address::Address;
use crate::sys::socket::{self, Kind};
use crate::sys::{io_words, process};
use std::os::fd::AsRawFd;

/// The sockets of a new configuration. The old ones are still untouched.
pub struct Prepared {
    sockets: Vec<Next>,
    /// Processes may get others than before.
    pub changes: bool,
}

/// A socket that is to be.
struct Next {
    config: SocketConfig,
    /// It is there already, at this place.
    kept: Option<usize>,
    /// It was bound just now.
    fresh: Option<Box<Bound>>,
}

/// What became of the sockets.
#[derive(Default)]
pub struct Replaced {
    /// What happened, line by line.
    pub lines: Vec<String>,
    /// Options that could not be changed.
    pub failures: Vec<String>,
    /// Those that are not wanted any more; they are closed when this is dropped.
    _closed: Vec<Bound>,
}

/// Whether a socket can stay when its options change: it would be bound as it is now.
fn is_same(old: &SocketOptions, new: &SocketOptions) -> bool {
    differing(SOCKET, old, new).all(|row| row.live != Live::Fixed || row.built != Built::Works)
}

impl Sockets {
    /// Binds what is new in a configuration of which no part is broken.
    ///
    /// # Errors
    /// A sentence that names the socket and the reason; nothing has changed then.
    pub fn prepare(&self, configs: Vec<SocketConfig>) -> Result<Prepared, String> {
        let next = |config| Next { config, kept: None, fresh: None };
        let mut sockets: Vec<Next> = configs.into_iter().map(next).collect();
        let renamed = self.keep(&mut sockets);
        let is_going = |n: usize| sockets.iter().all(|next| next.kept != Some(n));
        let going: Vec<&Bound> =
            self.bound.iter().enumerate().filter(|(n, _)| is_going(*n)).map(|(_, bound)| bound).collect();
        let mut changes = renamed || !going.is_empty();
        for next in sockets.iter_mut().filter(|next| next.kept.is_none()) {
            let bound = bind_beside(&next.config, &going);
            let bound = bound.map_err(|why| format!("[socket:{}]: {why}", next.config.name))?;
            next.fresh = Some(Box::new(bound));
            changes = true;
        }
        agree(&sockets)?;
        Ok(Prepared { sockets, changes })
    }

    /// What would become of the sockets.
    #[cfg(feature = "deploy")]
    pub fn compare(&self, configs: Vec<SocketConfig>) -> Vec<Planned> {
        let next = |config| Next { config, kept: None, fresh: None };
        let mut sockets: Vec<Next> = configs.into_iter().map(next).collect();
        self.keep(&mut sockets);
        let planned = |name: &str, step, keys| Planned { name: format!("[socket:{name}]"), step, keys };
        let gone =
            self.bound.iter().enumerate().filter(|(n, _)| sockets.iter().all(|it| it.kept != Some(*n)));
        let gone = gone.map(|(_, bound)| planned(&bound.name, "remove", Vec::new()));
        let here = sockets.iter().map(|next| {
            let Some(bound) = next.kept.and_then(|n| self.bound.get(n)) else {
                return planned(&next.config.name, "add", Vec::new());
            };
            let differ = differing(SOCKET, &bound.config.options, &next.config.options);
            let mut keys: Vec<String> = differ.map(|row| row.key.to_string()).collect();
            keys.extend((bound.name != next.config.name).then(|| "name".to_string()));
            planned(&next.config.name, if keys.is_empty() { "keep" } else { "set" }, keys)
        });
        gone.chain(here).collect()
    }

    /// Finds out which sockets are there already: first those of the same name, then those that nobody else wants.
    /// True when one gets another name.
    fn keep(&self, sockets: &mut [Next]) -> bool {
        let mut renamed = false;
        for by_name in [true, false] {
            for (n, bound) in self.bound.iter().enumerate() {
                let fits = |next: &&mut Next| {
                    let wanted = !by_name || next.config.name == bound.name;
                    next.kept.is_none() && wanted && bound.serves(&next.config.options)
                };
                if sockets.iter().any(|next| next.kept == Some(n)) {
                    continue;
                }
                if let Some(next) = sockets.iter_mut().find(fits) {
                    next.kept = Some(n);
                    renamed |= !by_name;
                }
            }
        }
        renamed
    }

    /// Puts the new sockets in the place of the old ones.
    pub fn replace(&mut self, prepared: Prepared) -> Replaced {
        let mut old: Vec<Option<Bound>> = std::mem::take(&mut self.bound).into_iter().map(Some).collect();
        let mut replaced = Replaced::default();
        for Next { config, kept, fresh } in prepared.sockets {
            if let Some(mut bound) = kept.and_then(|n| old.get_mut(n)?.take()) {
                replaced.failures.extend(bound.adopt(config));
                self.bound.push(bound);
            } else if let Some(mut bound) = fresh {
                bound.keep();
                replaced.lines.push(format!("socket {} is bound to {}", bound.name, bound.address));
                self.bound.push(*bound);
            }
        }
        sort_by(&mut self.bound, |a, b| a.name < b.name);
        for bound in old.into_iter().flatten() {
            replaced.lines.push(format!("socket {} at {} is closed", bound.name, bound.address));
            replaced._closed.push(bound);
        }
        replaced
    }
}

impl Bound {
    /// Whether it can stay with these options, and can still be reached: what tidies directories up may have removed
    /// its file. A file of somebody else's at its path is left in peace. One that was passed to circus cannot be had again, so it stays as long
    /// as it is wanted.
    fn serves(&self, options: &SocketOptions) -> bool {
        let old = &self.config.options;
        let vanished = self.file.as_ref().is_some_and(OwnFile::has_vanished);
        !vanished && is_same(old, options) || (self.inherited && old.inherit == options.inherit)
    }

    /// Takes the options that do not need another socket. The answer says what did not work.
    fn adopt(&mut self, config: SocketConfig) -> Option<String> {
        let (old, new) = (&self.config.options, &config.options);
        let mut done = Ok(());
        (self.spec.backlog, self.spec.blocking) = (super::backlog(new), new.blocking);
        for fd in self.shares.all() {
            if old.blocking != new.blocking {
                done = done.and(process::set_nonblocking(fd.as_raw_fd(), !new.blocking));
            }
            if old.backlog != new.backlog && matches!(self.spec.kind, Kind::Stream | Kind::Seqpacket) {
                done = done.and(socket::listen(fd, self.spec.backlog));
            }
        }
        if let (Some(file), Some(mask)) = (&self.file, super::umask(new))
            && super::umask(old) != Some(mask)
        {
            done = done.and(file.set_mode(0o777 & !mask));
        }
        self.name.clone_from(&config.name);
        self.config = config;
        done.err().map(|error| format!("socket {}: {}", self.name, io_words(&error)))
    }

    /// Whether only one of the two may be bound. Those that were bound beside a socket that goes share its port with
    /// it, and so the kernel lets them share it with each other.
    fn clashes_with(&self, other: &Bound) -> bool {
        let beside =
            self.spec.reuseport && other.spec.reuseport || self.spec.interface != other.spec.interface;
        port(&self.address).is_some()
            && self.address == other.address
            && self.spec.kind == other.spec.kind
            && !beside
    }

    /// Lets another socket be bound to the same port, or not any more. One of `so_reuseport` always does.
    fn share(&self, on: bool) {
        if !self.spec.reuseport {
            self.shares.all().for_each(|fd| drop(socket::set_reuseport(fd, on)));
        }
    }
}

/// Whether no two sockets that were bound just now clash.
fn agree(sockets: &[Next]) -> Result<(), String> {
    let mut earlier: Vec<&Bound> = Vec::new();
    for bound in sockets.iter().filter_map(|next| next.fresh.as_deref()) {
        if let Some(other) = earlier.iter().find(|other| bound.clashes_with(other)) {
            return Err(format!(
                "[socket:{}]: {} is taken by [socket:{}]",
                bound.name, bound.address, other.name
            ));
        }
        earlier.push(bound);
    }
    Ok(())
}

/// Binds a socket while others, which are about to go, may still be in its way: 0.0.0.0 and 127.0.0.1 cannot have
/// the same port, unless both sides say that they share it.
fn bind_beside(config: &SocketConfig, going: &[&Bound]) -> Result<Bound, String> {
    let mut spec = spec(config, false)?;
    let own_file =
        going.iter().any(|bound| matches!(spec.address, Address::Unix(_)) && bound.address == spec.address);
    let wanted = port(&spec.address).filter(|port| *port != 0);
    let is_rival = |bound: &&&Bound| wanted.is_some() && port(&bound.address) == wanted;
    let rivals: Vec<&&Bound> = going.iter().filter(is_rival).collect();
    let shared = spec.reuseport;
    spec.reuseport |= !rivals.is_empty();
    // Whether they can share is found out by binding.
    rivals.iter().for_each(|bound| bound.share(true));
    let bound = Bound::open(config, spec, config.options.replace || own_file);
    rivals.iter().for_each(|bound| bound.share(false));
    let mut bound = bound?;
    if !shared {
        bound.spec.reuseport = false;
        bound.share(false); // nobody else may join
    }
    Ok(bound)
}

fn port(address: &Address) -> Option<u16> {
    match address {
        Address::Inet(address) => Some(address.port()),
        Address::Unix(_) | Address::Abstract(_) => None,
    }
}
