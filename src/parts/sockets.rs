//! The sockets of `[socket:NAME]`: bound before any watcher starts, kept through every restart, closed at the end.
//!
//! They stand on high descriptors, above those that children get, and are closed on exec: only children that are
//! to inherit them do. The file of a Unix socket is removed at the end if it is still the one that circus made.

pub mod demand;
pub(crate) mod passed;
#[cfg(feature = "reloadconfig")]
mod replace;
mod shares;

pub use passed::Passed;
#[cfg(feature = "reloadconfig")]
pub use replace::Prepared;

use crate::arbiter::WatcherId;
use crate::config::options::socket as keys;
use crate::config::{SocketConfig, SocketOptions, sockets, text};
use crate::host::files::OwnFile;
use crate::host::listen::{Obstacle, Owner, claim};
use crate::host::resolve;
use crate::host::spawn_template::Offered;
use crate::sorted::{Sorted, sort_by};
use crate::sys::address::Address;
use crate::sys::socket::{self, Kind, SocketSpec};
use crate::sys::{io_words, user};
use shares::{Shares, User};
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

/// Descriptors below this are left to what children get.
const LOWEST_FD: RawFd = 64;

/// A bound socket; with so_reuseport, all those at its address.
pub struct Bound {
    /// Its name, lower-case.
    pub name: String,
    /// How it was configured.
    pub config: SocketConfig,
    /// Where it is bound, with the real port.
    pub address: Address,
    /// The same, with all that a further socket at this address is made of.
    spec: SocketSpec,
    shares: Shares,
    file: Option<OwnFile>,
    /// It was passed to circus.
    inherited: bool,
}

/// All bound sockets, by name.
#[derive(Default)]
pub struct Sockets {
    bound: Vec<Bound>,
    /// Watchers with `on_demand` that wait, and the descriptors of their sockets.
    waiting: Sorted<WatcherId, Vec<RawFd>>,
    /// Watchers that may have sockets which no process needs any more.
    unsettled: Vec<WatcherId>,
}

impl Sockets {
    /// Binds all of them that are not passed to circus, or none. One whose options are wrong is left out, as in Circus: the watchers that need it
    /// say so when they start.
    ///
    /// # Errors
    /// A sentence that names the socket, the address and the reason.
    pub fn bind(configs: &[SocketConfig], passed: &mut Passed) -> Result<Sockets, String> {
        let one = |config: &SocketConfig| {
            Bound::new(config, passed).map_err(|why| format!("[socket:{}]: {why}", config.name))
        };
        let sound = |config: &&SocketConfig| config.broken.is_none();
        // What has to make way for a path is away for as short a time as can be.
        let (with_path, without): (Vec<_>, Vec<_>) =
            configs.iter().filter(sound).partition(|config| config.options.path.is_some());
        let mut bound = without.into_iter().chain(with_path).map(one).collect::<Result<Vec<_>, _>>()?;
        sort_by(&mut bound, |a, b| a.name < b.name);
        Ok(Sockets { bound, ..Sockets::default() })
    }

    /// The start has succeeded: what was in the way is removed.
    pub fn keep_all(&mut self) {
        self.bound.iter_mut().for_each(Bound::keep);
    }

    /// All of them, as those see them that are to have them.
    pub fn offered(&self) -> Vec<Offered> {
        let offer = |socket: &Bound| Offered {
            name: socket.name.clone(),
            family: family(&socket.address),
            address: socket.address.to_string(),
            shared: socket.is_shared(),
            blocks: socket.config.options.blocking,
            fds: socket.shares.fds().collect(),
        };
        self.bound.iter().map(offer).collect()
    }

    /// The descriptors of a name: one, or several with so_reuseport.
    fn fds(&self, name: &str) -> impl Iterator<Item = RawFd> {
        self.bound.iter().filter(move |socket| socket.name == name).flat_map(|socket| socket.shares.fds())
    }

    /// The descriptor of a socket for a process.
    ///
    /// # Errors
    /// A socket of its own cannot be bound.
    fn take(&mut self, name: &str, user: User) -> Result<RawFd, String> {
        let socket = self.bound.iter_mut().find(|socket| socket.name == name);
        let socket = socket.ok_or_else(|| format!("there is no [socket:{name}]"))?;
        if !socket.is_shared() {
            return socket.shares.fds().next().ok_or_else(|| format!("[socket:{name}] is closed"));
        }
        let spec = &socket.spec;
        // Only addresses with a port are shared out, so there is no file.
        let another = || bind(spec, false).map(|(fd, _)| fd);
        socket.shares.take(user, &|| another().map_err(|why| format!("[socket:{name}]: {why}")))
    }

    /// Takes out what a watcher has and does not need with `keep` processes.
    fn prune(&mut self, watcher: WatcherId, keep: usize) -> Vec<OwnedFd> {
        let shared = self.bound.iter_mut().filter(|socket| socket.is_shared());
        shared.flat_map(|socket| socket.shares.prune(watcher, keep)).collect()
    }

    /// The sockets, by name.
    pub fn all(&self) -> &[Bound] {
        &self.bound
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bound.is_empty()
    }
}

impl Bound {
    /// Its descriptors in circus: one, or several with so_reuseport.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.shares.all()
    }

    /// Each process gets a socket of its own. The kernel has that for addresses with a port only.
    fn is_shared(&self) -> bool {
        self.config.options.so_reuseport && !self.inherited && matches!(self.address, Address::Inet(_))
    }

    fn new(config: &SocketConfig, passed: &mut Passed) -> Result<Bound, String> {
        if let Some((fd, kind, address)) = passed.take(config)? {
            let spec = SocketSpec { kind, ..SocketSpec::new(address.clone()) };
            let (name, config, shares) = (config.name.clone(), config.clone(), Shares::new(fd));
            return Ok(Bound { name, config, address, spec, shares, file: None, inherited: true });
        }
        Bound::open(config, spec(config, true)?, config.options.replace)
    }

    /// Gives the file of the socket to whom it is to belong to.
    fn give(options: &SocketOptions, file: &OwnFile) -> Result<(), String> {
        let id = |key: &str, name: &Option<Box<str>>, find: fn(&str) -> io::Result<Option<u32>>| {
            let Some(name) = name else { return Ok(None) };
            match find(name) {
                Ok(None) => Err(format!("{key} = {name}: there is no such {key}")),
                found => found.map_err(|error| format!("{key} = {name}: {}", io_words(&error))),
            }
        };
        let uid = id(keys::owner, &options.owner, user::uid_of)?;
        let gid = id(keys::group, &options.group, user::gid_of)?;
        let given = file.give_to(uid, gid);
        given.map_err(|error| format!("cannot give the file to its owner and group: {}", io_words(&error)))
    }

    fn open(config: &SocketConfig, mut spec: SocketSpec, replace: bool) -> Result<Bound, String> {
        let (fd, file) = bind(&spec, replace)?;
        file.iter().try_for_each(|file| Bound::give(&config.options, file))?;
        spec.address = Address::of(fd.as_fd()).unwrap_or(spec.address);
        let (name, address, shares) = (config.name.clone(), spec.address.clone(), Shares::new(fd));
        Ok(Bound { name, config: config.clone(), address, spec, shares, file, inherited: false })
    }

    /// It is there to stay: what was in its way is removed.
    fn keep(&mut self) {
        self.file.iter_mut().for_each(OwnFile::keep);
    }
}

/// Binds a socket, above the descriptors that children get.
fn bind(spec: &SocketSpec, replace: bool) -> Result<(OwnedFd, Option<OwnFile>), String> {
    let cannot = |why: &dyn std::fmt::Display| format!("cannot bind {}: {why}", spec.address);
    let (fd, file) = claim(spec, replace, Owner::OfDirectory).map_err(|obstacle| match obstacle {
        Obstacle::InUse => {
            cannot(&"another process already listens at that path; set replace = True to take it over")
        }
        Obstacle::NotASocket | Obstacle::Kernel(_) => cannot(&obstacle),
    })?;
    let fd = socket::move_up(fd, LOWEST_FD).map_err(|error| cannot(&io_words(&error)))?;
    Ok((fd, file))
}

/// What is to be bound; `may_wait`: names of hosts may be looked up.
fn spec(config: &SocketConfig, may_wait: bool) -> Result<SocketSpec, String> {
    let options = &config.options;
    let is_tcp = options.path.is_none() && kind(&options.kind) == Kind::Stream;
    Ok(SocketSpec {
        kind: kind(&options.kind),
        proto: options.proto.as_deref().and_then(sockets::protocol).unwrap_or(0),
        backlog: backlog(options),
        reuseport: options.so_reuseport && options.path.is_none(),
        interface: options.interface.as_deref().map(str::to_string),
        blocking: options.blocking,
        umask: umask(options),
        v6only: options.ipv6only,
        defer_accept: options.defer_accept.as_deref().and_then(sockets::deferral).filter(|_| is_tcp),
        ..SocketSpec::new(address(config, may_wait)?)
    })
}

/// The family of an address, as the configuration calls it.
fn family(address: &Address) -> &'static str {
    match address {
        Address::Inet(SocketAddr::V4(_)) => "AF_INET",
        Address::Inet(SocketAddr::V6(_)) => "AF_INET6",
        Address::Unix(_) | Address::Abstract(_) => "AF_UNIX",
    }
}

/// What the mode of a Unix socket's file lacks.
fn umask(options: &SocketOptions) -> Option<u32> {
    u32::try_from(options.mode.map_or(options.umask, |mode| !mode & 0o777)).ok()
}

fn backlog(options: &SocketOptions) -> i32 {
    options.backlog.clamp(0, i32::MAX.into()) as i32
}

fn kind(word: &str) -> Kind {
    match word {
        "SOCK_DGRAM" => Kind::Dgram,
        "SOCK_SEQPACKET" => Kind::Seqpacket,
        "SOCK_RAW" => Kind::Raw,
        "SOCK_RDM" => Kind::Rdm,
        _ => Kind::Stream,
    }
}

fn address(config: &SocketConfig, may_wait: bool) -> Result<Address, String> {
    let options = &config.options;
    if let Some(name) = options.inherit.as_deref().filter(|_| !config.has_address()) {
        return Err(format!("inherit = {name}: sockets are passed at the start of circus only"));
    }
    if let Some(path) = &options.path {
        return Ok(Address::unix(&OsString::from_vec(text::to_bytes(path).into_owned())));
    }
    if options.family == "AF_UNIX" {
        return Err("a Unix socket needs a path".into());
    }
    let port = u16::try_from(options.port).map_err(|_| format!("port = {}: 0 to 65535", options.port))?;
    let ip = resolve::first(options.host.trim(), options.family == "AF_INET6", may_wait)?;
    Ok(Address::Inet(SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind_all(configs: &[SocketConfig]) -> Result<Sockets, String> {
        Sockets::bind(configs, &mut Passed::default())
    }

    fn socket(name: &str, change: impl FnOnce(&mut SocketConfig)) -> SocketConfig {
        let mut config = SocketConfig { name: name.into(), ..SocketConfig::default() };
        config.options.host = "127.0.0.1".into();
        config.options.port = 0;
        change(&mut config);
        config
    }

    fn dir() -> std::path::PathBuf {
        use std::sync::atomic::{AtomicU32, Ordering};
        static N: AtomicU32 = AtomicU32::new(0);
        let n = N.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("circus-sockets-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn they_are_bound_by_name_with_their_real_port() {
        let configs = [socket("web", |_| ()), socket("api", |c| c.options.family = "AF_INET6".into())];
        let mut configs = configs.to_vec();
        configs[1].options.host = "::1".into();
        let sockets = bind_all(&configs).unwrap();
        assert_eq!(
            sockets.all().iter().map(|socket| socket.name.as_str()).collect::<Vec<_>>(),
            ["api", "web"]
        );
        assert!(sockets.all().iter().flat_map(|socket| socket.shares.fds()).all(|fd| fd >= LOWEST_FD));
        let Address::Inet(address) = &sockets.all()[1].address else { panic!() };
        assert_ne!(address.port(), 0);
        std::net::TcpStream::connect(address).unwrap();
    }

    #[test]
    fn a_unix_path_is_replaced_only_when_asked_and_only_when_it_is_a_socket() {
        let dir = dir();
        let path = dir.join("s");
        let config = |replace| {
            socket("u", |c| {
                c.options.path = Some(path.to_str().unwrap().into());
                c.options.replace = replace;
            })
        };
        let first = bind_all(&[config(false)]).unwrap();
        let error = bind_all(&[config(false)]).err().unwrap();
        assert!(error.contains("[socket:u]") && error.contains("replace = True"), "{error}");
        drop(bind_all(&[config(true)]).unwrap());
        std::os::unix::net::UnixStream::connect(&path).expect("a start that fails puts it back");
        let mut second = bind_all(&[config(true)]).unwrap();
        second.keep_all();
        drop(first);
        assert!(path.exists(), "the file of the second is not the first one's to remove");
        drop(second);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::write(&path, "precious").unwrap();
        assert!(bind_all(&[config(true)]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn errors_say_which_socket_where_and_why() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind_all(&[socket("web", |c| c.options.port = port.into())]).err().unwrap();
        assert_eq!(
            error,
            format!("[socket:web]: cannot bind 127.0.0.1:{port}: bind: Address already in use")
        );
        let error = |change: fn(&mut SocketConfig)| bind_all(&[socket("x", change)]).err().unwrap();
        assert!(error(|c| c.options.port = 70_000).contains("port = 70000"));
        assert!(error(|c| c.options.family = "AF_UNIX".into()).contains("needs a path"));
        assert!(error(|c| c.options.family = "AF_INET6".into()).contains("not an address of family"));
    }

    #[test]
    fn udp_needs_no_listen() {
        let sockets = bind_all(&[socket("dns", |c| c.options.kind = "SOCK_DGRAM".into())]).unwrap();
        assert!(!sockets.is_empty());
    }
}
