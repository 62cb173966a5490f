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
        let mut by_command = Vec::new();
        for (key, text) in [(watcher::cmd, &options.cmd), (watcher::args, &options.args)] {
            let named = expand::sockets(text);
            self.unknown_sockets((origins, key), &named, known);
            by_command.extend(named);
        }
        let list = |text: &Option<Box<str>>| -> Vec<String> {
            let words = listed(text.as_deref().unwrap_or_default());
            words.into_iter().filter(|word| !word.contains('(')).map(str::to_lowercase).collect()
        };
        self.unknown_sockets((origins, watcher::sockets), &list(&options.sockets), known);
        let in_environment: Vec<String> =
            watcher.env.values().flat_map(|value| expand::sockets(value)).collect();
        self.unknown_sockets((origins, "env"), &in_environment, known);
        self.unknown_sockets((origins, watcher::stdin_socket), &list(&options.stdin_socket), known);
        if !options.use_sockets && !by_command.is_empty() {
            let message =
                "the command names a socket, but the processes get none without `use_sockets = True`";
            let key = if expand::sockets(&options.cmd).is_empty() { watcher::args } else { watcher::cmd };
            self.warn((origins, key), message.into());
        }
        if options.on_demand && known.is_empty() {
            let message = "on_demand waits for a socket, and the configuration has no [socket:NAME]";
            self.error((origins, watcher::on_demand), message.into());
        }
        if options.use_sockets && known.is_empty() && by_command.is_empty() {
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
        match &options.path {
            Some(path) if text::to_bytes(path).len() > LONGEST_PATH => {
                let message =
                    format!("the path is longer than the {LONGEST_PATH} bytes that a Unix socket may have");
                self.error((origins, socket::path), message);
            }
            None if options.family == "AF_UNIX" && socket.has_address() => {
                self.error((origins, socket::family), "a Unix socket needs a path".into());
            }
            Some(_) | None => {}
        }
        let told = handed_down(&socket.name);
        if told != socket.name {
            let why = match socket.name.contains(':') {
                true => "where colons stand between names",
                false => "which is ASCII",
            };
            let message =
                format!("the processes find this socket as `{}` in LISTEN_FDNAMES, {why}", shorten(&told));
            self.warn((origins, "name"), message);
        }
        if options.so_reuseport && options.family == "AF_UNIX" {
            let message = "so_reuseport has no effect: only addresses with a port can be shared";
            self.warn((origins, socket::so_reuseport), message.into());
        }
        if options.so_reuseport && options.inherit.is_some() {
            let message = "so_reuseport has no effect on a socket that is inherited: there is only the one";
            self.warn((origins, socket::so_reuseport), message.into());
        }
        self.ranges((SOCKET, options), origins, "", |_| true);
        if !(0..=65535).contains(&options.port) {
            self.error(
                (origins, socket::port),
                format!("{} is no port; the last one is 65535", options.port),
            );
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
                self.error(
                    (&socket.origins, if o.path.is_some() { socket::path } else { socket::port }),
                    message,
                );
            }
        }
    }

    /// Programs that need sockets which block.
    pub(super) fn waits_in_accept(&mut self, watcher: &WatcherConfig, known: &[SocketConfig]) {
        let options = &watcher.options;
        let texts = [&options.cmd, &options.args];
        let mut named: Vec<String> = texts.iter().flat_map(|text| expand::sockets(text)).collect();
        named.extend(
            listed(options.sockets.as_deref().unwrap_or_default()).into_iter().map(str::to_lowercase),
        );
        let on_stdin = options.stdin_socket.as_deref().map(str::to_lowercase);
        let gets = |name: &String| {
            on_stdin.as_ref() == Some(name)
                || options.use_sockets && (named.is_empty() || named.contains(name))
        };
        let wrong = known.iter().find(|socket| !socket.options.blocking && gets(&socket.name));
        if let (Some(socket), Some(program)) = (wrong, accepter(&options.cmd)) {
            let message = format!(
                "{} waits for connections in accept(2), so [socket:{}] needs `blocking = True`",
                shorten(&program),
                shorten(&socket.name)
            );
            self.warn((&watcher.origins, watcher::cmd), message);
        }
    }
}
