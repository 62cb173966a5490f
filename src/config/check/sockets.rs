//! What is wrong with sockets, and with the watchers whose processes get them.

use super::super::ini::shorten;
use super::super::model::{Origins, SocketConfig, WatcherConfig};
use super::super::options::{SOCKET, socket, watcher};
use super::super::sockets::{accepter, handed_down};
use super::super::value::listed;
use super::super::{expand, text};
use super::Checker;
use crate::sorted::Sorted;

/// The longest path of a Unix socket, in bytes.
const LONGEST_PATH: usize = 107;

impl Checker {
    pub(super) fn sockets_of(&mut self, watcher: &WatcherConfig, known: &[SocketConfig]) {
        let (options, origins) = (&watcher.options, &watcher.origins);
        let (in_cmd, in_args) = (expand::sockets(&options.cmd), expand::sockets(&options.args));
        let in_environment = watcher.env.values().flat_map(|value| expand::sockets(value)).collect();
        let list = |text: &Option<Box<str>>| -> Vec<String> {
            let words = listed(text.as_deref().unwrap_or_default());
            words.into_iter().filter(|word| !word.contains('(')).map(str::to_lowercase).collect()
        };
        for (key, names) in [
            (watcher::cmd, &in_cmd),
            (watcher::args, &in_args),
            (watcher::sockets, &list(&options.sockets)),
            ("env", &in_environment),
            (watcher::stdin_socket, &list(&options.stdin_socket)),
        ] {
            self.unknown_sockets((origins, key), names, known);
        }
        let by_command = in_cmd.first().map(|_| watcher::cmd).or(in_args.first().map(|_| watcher::args));
        if let Some(key) = by_command.filter(|_| !options.use_sockets) {
            let message =
                "the command names a socket, but the processes get none without `use_sockets = True`";
            self.warn((origins, key), message.into());
        }
        if options.on_demand && known.is_empty() {
            let message = "on_demand waits for a socket, and the configuration has no [socket:NAME]";
            self.error((origins, watcher::on_demand), message.into());
        }
        if options.use_sockets && known.is_empty() && by_command.is_none() {
            let message = "use_sockets has no effect: the configuration has no [socket:NAME]";
            self.warn((origins, watcher::use_sockets), message.into());
        }
    }

    fn unknown_sockets(&mut self, place: (&Origins, &str), names: &[String], known: &[SocketConfig]) {
        // The sockets are sorted by name.
        for name in
            names.iter().filter(|name| known.binary_search_by(|socket| socket.name.cmp(name)).is_err())
        {
            let name = shorten(name);
            self.error(place, format!("there is no socket `{name}`: a section [socket:{name}] is missing"));
        }
    }

    pub(super) fn socket(&mut self, socket: &SocketConfig) {
        let (options, origins) = (&socket.options, &socket.origins);
        let is_unix = options.family == "AF_UNIX";
        if options.path.as_ref().is_some_and(|path| text::to_bytes(path).len() > LONGEST_PATH) {
            let message =
                format!("the path is longer than the {LONGEST_PATH} bytes that a Unix socket may have");
            self.error((origins, socket::path), message);
        }
        if let Some((host, port)) =
            options.host.trim_start_matches("http://").rsplit_once(':').filter(|_| !is_unix)
            && let Ok(port) = port.parse::<u16>()
            && (!host.contains(':') || host.starts_with('['))
        {
            let host = if host.is_empty() { "0.0.0.0" } else { host.trim_matches(['[', ']']) };
            let message =
                format!("the host has a port in it: write `host = {}` and `port = {port}`", shorten(host));
            self.error((origins, socket::host), message);
        }
        if options.path.is_none() && is_unix && socket.has_address() {
            self.error((origins, socket::family), "a Unix socket needs a path".into());
        }
        let told = handed_down(&socket.name);
        if told != socket.name {
            let colon = socket.name.contains(':');
            let why = if colon { "where colons stand between names" } else { "which is ASCII" };
            let message =
                format!("the processes find this socket as `{}` in LISTEN_FDNAMES, {why}", shorten(&told));
            self.warn((origins, "name"), message);
        }
        self.without_effect(socket);
        if options.so_reuseport && is_unix {
            let message = "so_reuseport has no effect: only addresses with a port can be shared";
            self.warn((origins, socket::so_reuseport), message.into());
        }
        if options.so_reuseport && options.inherit.is_some() {
            let message = "so_reuseport has no effect on a socket that is inherited: there is only the one";
            self.warn((origins, socket::so_reuseport), message.into());
        }
        self.ranges((SOCKET, options), origins, "", |_| true);
        if !(0..=65535).contains(&options.port) {
            let message = format!("{} is not a port: the highest is 65535", options.port);
            self.error((origins, socket::port), message);
        }
    }

    /// Options that mean something to another type of socket.
    fn without_effect(&mut self, socket: &SocketConfig) {
        let (options, origins) = (&socket.options, &socket.origins);
        let has_file = options.path.as_deref().is_some_and(|path| !path.starts_with('@'));
        let is_tcp = options.path.is_none() && options.kind == "SOCK_STREAM";
        let is_ipv6 = options.path.is_none() && options.family == "AF_INET6";
        let a_file = (has_file, "only a Unix socket with a path has a file");
        for (key, (has_effect, why)) in [
            (socket::owner, a_file),
            (socket::group, a_file),
            (socket::mode, a_file),
            (socket::defer_accept, (is_tcp, "only connections by TCP can be deferred")),
            (socket::ipv6only, (is_ipv6, "only a socket with `family = AF_INET6` has both")),
        ] {
            let has_effect = has_effect && options.inherit.is_none();
            let why = if options.inherit.is_some() { "the socket is inherited as it is" } else { why };
            if !has_effect && origins.keys.contains_key(key) {
                self.warn((origins, key), format!("{key} has no effect: {why}"));
            }
        }
    }

    /// Two sockets cannot be bound to one address, unless both share it.
    pub(super) fn shared_addresses(&mut self, sockets: &[SocketConfig]) {
        let mut taken: Sorted<String, u64> = Sorted::new();
        for (n, socket) in (0..).zip(sockets).filter(|(_, socket)| socket.has_address()) {
            let o = &socket.options;
            let address = match &o.path {
                Some(path) => path.to_string(),
                None if o.port != 0 => format!("{}:{} {}", o.host, o.port, o.kind),
                None => continue,
            };
            let first = *taken.get_or_insert_with(address, || n);
            let other = sockets.get(first as usize).filter(|_| first != n);
            if let Some(other) = other.filter(|other| !(o.so_reuseport && other.options.so_reuseport)) {
                let message = format!("the socket `{}` has the same address", shorten(&other.name));
                let key = if o.path.is_some() { socket::path } else { socket::port };
                self.error((&socket.origins, key), message);
            }
        }
    }

    /// Programs that need sockets which block.
    pub(super) fn waits_in_accept(&mut self, watcher: &WatcherConfig, known: &[SocketConfig]) {
        let options = &watcher.options;
        let named: Vec<String> = watcher.named_sockets().chain(watcher.listed_sockets()).collect();
        let on_stdin = options.stdin_socket.as_deref().map(str::to_lowercase);
        let gets = |name: &String| {
            on_stdin.as_ref() == Some(name)
                || options.use_sockets && (named.is_empty() || named.contains(name))
        };
        let wrong = known.iter().find(|socket| !socket.options.blocking && gets(&socket.name));
        if let Some(socket) = wrong
            && let Some(program) = accepter(&options.cmd)
        {
            let message = format!(
                "{} waits for connections in accept(2), so [socket:{}] needs `blocking = True`",
                shorten(&program),
                shorten(&socket.name)
            );
            self.warn((&watcher.origins, watcher::cmd), message);
        }
    }
}
