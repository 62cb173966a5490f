//! Runs the plugins that circus has itself: tells them what happens, shows them the world, and does what they wish.
//!
//! One lives as long as its watcher is active. Its orders go the way that those of clients go, and so do the replies;
//! what is refused is written to the log.

use super::builtin::{self, Builtin, Input, Notice, Stamp, What, Wish, Wishes, World};
use super::command;
use super::server::Server;
use crate::arbiter::history::Origin;
use crate::arbiter::process::Phase;
use crate::arbiter::request::{Reply, Task, Ticket};
use crate::arbiter::time::Time;
use crate::arbiter::watcher::{Status, Watcher};
use crate::arbiter::{Arbiter, Event, Level, Pid, Published, WatcherId};
use crate::config::url::Place;
use crate::config::{Names, WatcherConfig};
use crate::control::metrics;
use crate::host::procfs;
use crate::host::spawn_template::{Offered, SpawnTemplate};
use crate::host::trouble::Trouble;
use crate::parts::tcp_client::TcpClient;
use crate::reactor::eventloop::Daemon;
use crate::reactor::part::Part;
use crate::reactor::registry::Key;
use crate::sys::io_words;
use crate::views::targets::targets;
use crate::views::usage::{Samples, Scale, Usage};
use mio::net::UdpSocket;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// The tickets of plugins are this and the number of the watcher; those of clients are lower. No plugin waits for more
/// than the first reply, so they need not differ.
const OWN: u64 = 1 << 63;
/// How many datagrams are taken in a turn.
const DATAGRAMS: usize = 64;
/// The longest datagram, in bytes; of a longer one the rest is lost.
const LONGEST_DATAGRAM: usize = 1024;

/// The plugins that circus has itself.
#[derive(Default)]
pub struct Builtins {
    running: Vec<Running>,
    /// What datagrams are sent by, over IPv4 and IPv6.
    senders: [Option<UdpSocket>; 2],
    /// Those whose sockets have more to read.
    busy: Vec<WatcherId>,
}

impl Part for Builtins {}

/// A plugin that runs.
struct Running {
    id: WatcherId,
    name: String,
    options: Names,
    plugin: Box<dyn Builtin>,
    samples: Samples,
    line: Option<Line>,
    /// What keeps it from its work, and the text about it.
    trouble: Option<(&'static str, String)>,
}

/// A socket of a plugin.
enum Line {
    Datagrams(UdpSocket),
    TcpClient(TcpClient),
    Server(Server),
}

impl Builtins {
    /// When one of them has something to do.
    pub fn deadline(&self) -> Option<Time> {
        self.running.iter().filter_map(|running| running.plugin.deadline()).min()
    }

    /// Whether something can be done without waiting.
    pub fn are_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// What keeps a plugin from its work.
    pub fn trouble(&self, id: WatcherId) -> Option<&str> {
        let running = self.running.iter().find(|running| running.id == id)?;
        running.trouble.as_ref().map(|(_, text)| text.as_str())
    }

    fn find(&mut self, id: WatcherId) -> Option<&mut Running> {
        self.running.iter_mut().find(|running| running.id == id)
    }

    /// Those that run and of which this is so.
    #[inline(never)]
    fn ids(&self, is_so: &dyn Fn(&Running) -> bool) -> Vec<WatcherId> {
        self.running.iter().filter(|running| is_so(running)).map(|running| running.id).collect()
    }
}

/// What a plugin sees of the world.
struct Sight<'a> {
    arbiter: &'a Arbiter,
    sockets: &'a [Offered],
    samples: &'a mut Samples,
    /// Made when it is first needed.
    scale: Option<Scale>,
}

impl World for Sight<'_> {
    fn watchers(&self) -> Vec<String> {
        let mut names = Vec::new();
        for watcher in self.arbiter.watchers().filter(|watcher| watcher.config.plugin.is_none()) {
            names.push(watcher.config.name.clone());
        }
        names
    }

    fn processes(&self, watcher: &str) -> Option<Vec<Pid>> {
        let mut pids = Vec::new();
        for process in
            self.arbiter.find(watcher)?.processes().filter(|process| process.phase == Phase::Running)
        {
            pids.push(process.pid);
        }
        Some(pids)
    }

    fn children(&self, pid: Pid) -> Vec<Pid> {
        // A process that circus may not inspect is not judged.
        procfs::children(pid).unwrap_or_default()
    }

    fn usage(&mut self, pid: Pid) -> Option<Usage> {
        let stat = procfs::stat(pid).ok()?;
        Some(self.scale.get_or_insert_with(Scale::new).usage(pid, &stat, self.samples))
    }

    fn config(&self, watcher: &str) -> Option<&WatcherConfig> {
        self.arbiter.find(watcher).map(|watcher| &*watcher.config)
    }

    fn command(&self, watcher: &str) -> Vec<PathBuf> {
        let template = self.config(watcher).map(|config| SpawnTemplate::new(config, self.sockets, None));
        if let Some(Ok(template)) = template { command::files(&template) } else { Vec::new() }
    }

    fn stamp(&self, files: &[PathBuf]) -> Option<Stamp> {
        command::stamp(files)
    }
}

impl Daemon {
    /// Tells the plugins of an event, which may be about one of themselves.
    pub(crate) fn tell_builtins(&mut self, watcher: &str, what: &Published) {
        let own = self.core.arbiter.find(watcher).filter(|watcher| watcher.config.is_builtin()).map(|w| w.id);
        if let (Some(id), Published::Start) = (own, what) {
            self.begin_builtin(id);
        }
        if !self.parts.builtins.running.is_empty() {
            let notice = Notice { watcher, event: what.name(), what: self.meaning(watcher, what) };
            for id in self.parts.builtins.ids(&|_| true) {
                self.tell_builtin(id, Input::Event(notice));
            }
        }
        if let (Some(id), Published::Stop) = (own, what) {
            self.end_builtin(id);
        }
    }

    /// What an event means to plugins.
    fn meaning(&self, watcher: &str, what: &Published) -> What {
        match what {
            Published::Spawn { pid } => What::Spawned(*pid),
            Published::Reap { pid, .. } => {
                let (mut by_itself, mut others, mut lived) = (false, false, 0.0);
                for process in self.core.arbiter.find(watcher).into_iter().flat_map(Watcher::processes) {
                    match process.phase {
                        Phase::Dead { asked, .. } if process.pid == *pid => {
                            by_itself = !asked;
                            lived = self.core.time().since(process.started);
                        }
                        Phase::Dead { .. } => {}
                        Phase::Running | Phase::Asked { .. } | Phase::Killed { .. } => others = true,
                    }
                }
                What::Died { pid: *pid, by_itself, lived, others }
            }
            Published::Start => What::Started,
            Published::Reload => What::Reloaded,
            Published::Remove => What::Removed,
            _ => What::Other,
        }
    }

    fn begin_builtin(&mut self, id: WatcherId) {
        let Some(watcher) = self.core.arbiter.watcher(id) else { return };
        let (name, options) = (watcher.config.name.clone(), watcher.config.free.clone());
        match builtin::make(&watcher.config) {
            Some(Ok(plugin)) => {
                self.parts.builtins.running.push(Running {
                    id,
                    name,
                    options,
                    plugin,
                    samples: Samples::new(),
                    line: None,
                    trouble: None,
                });
                self.tell_builtin(id, Input::Begin);
            }
            Some(Err((key, why))) => self.core.log.error(format_args!("{name}: {key} = {why}")),
            None => {}
        }
    }

    fn end_builtin(&mut self, id: WatcherId) {
        if !self.core.arbiter.is_ending() {
            self.tell_builtin(id, Input::End);
        }
        self.forget_builtin(id);
    }

    /// The options of a watcher have changed; if they are those of a plugin that runs, it begins anew with them.
    pub(crate) fn renew_builtin(&mut self, id: WatcherId) {
        let Some(watcher) = self.core.arbiter.watcher(id).filter(|watcher| watcher.config.broken.is_none())
        else {
            return; // if it is broken, it is being stopped
        };
        let options = &watcher.config.free;
        if self.parts.builtins.running.iter().any(|running| running.id == id && running.options != *options) {
            self.end_builtin(id);
            self.begin_builtin(id);
        }
    }

    /// A watcher is gone; if it is that of a plugin, so is the plugin.
    pub(crate) fn forget_builtin(&mut self, id: WatcherId) {
        self.parts.builtins.running.retain(|running| running.id != id);
    }

    /// Tells the plugins that a client has given an order: it knows what it wants of these watchers.
    pub(crate) fn tell_of_order(&mut self, task: &Task, targets: Option<&[WatcherId]>) {
        if self.parts.builtins.running.is_empty() {
            return;
        }
        let one;
        let targets = match task {
            Task::Start(_) | Task::Stop(_) | Task::Restart(_) => targets,
            Task::Reload { name: Some(name), .. } => {
                one = self.core.arbiter.find(name).map(|watcher| watcher.id);
                Some(one.as_slice())
            }
            _ => return,
        };
        for plugin in self.parts.builtins.ids(&|_| true) {
            let Some(ids) = targets else {
                self.tell_builtin(plugin, Input::Ordered(None));
                continue;
            };
            for id in ids {
                let name = self.core.arbiter.watcher(*id).map(|watcher| watcher.config.name.clone());
                self.tell_builtin(plugin, Input::Ordered(Some(&name.unwrap_or_default())));
            }
        }
    }

    /// Does what is due.
    pub(crate) fn tick_builtins(&mut self) {
        let now = self.core.time();
        let is_due = |running: &Running| running.plugin.deadline().is_some_and(|at| at <= now);
        for id in self.parts.builtins.ids(&is_due) {
            self.tell_builtin(id, Input::Due);
        }
        self.settle();
    }

    /// Tells a plugin something, and does what it wishes. Its orders are carried out when what is going on is over.
    fn tell_builtin(&mut self, id: WatcherId, input: Input<'_>) {
        let now = self.core.time();
        let Some(running) = self.parts.builtins.find(id) else { return };
        let (arbiter, sockets) = (&self.core.arbiter, &self.core.setup.sockets);
        let mut sight = Sight { arbiter, sockets, samples: &mut running.samples, scale: None };
        let mut wishes = Wishes::default();
        running.plugin.handle(now, input, &mut sight, &mut wishes);
        if let Some(scale) = sight.scale {
            // Who was not looked at this time is gone.
            running.samples.retain(|_, (at, _)| *at == scale.now);
        }
        let name = running.name.clone();
        for wish in wishes.0 {
            self.fulfil(id, &name, wish);
        }
    }

    fn fulfil(&mut self, id: WatcherId, name: &str, wish: Wish) {
        match wish {
            Wish::Order(order) => self.give_order(id, name, order),
            Wish::Restart(watcher) => self.restart_for(id, name, &watcher),
            Wish::Log(level, text) => self.core.log.log(level, format_args!("{name}: {text}")),
            Wish::Trouble(cause, text) => {
                self.note_trouble(name, cause, &text);
                self.parts
                    .builtins
                    .find(id)
                    .into_iter()
                    .for_each(|one| one.trouble = Some((cause, text.clone())));
            }
            Wish::Mended(cause, text) => {
                let running = self.parts.builtins.find(id).into_iter();
                running.for_each(|one| one.trouble = one.trouble.take().filter(|(other, _)| *other != cause));
                self.core.log.over(Level::Info, &format!("{name} {cause}"), format_args!("{name}: {text}"));
            }
            Wish::Send(to, bytes) => self.send_datagram(name, to, bytes.as_bytes()),
            Wish::Bind(address) => {
                let bound = self.bind(id, address).map_err(|error| io_words(&error));
                self.tell_builtin(id, Input::Bound(bound));
            }
            Wish::Ask(place, question) => {
                let begun = TcpClient::begin(&place, question).and_then(|exchange| {
                    let watched = self.core.poll(Key::builtins).watch_both(exchange.fd(), id.0);
                    watched.map_err(|error| Trouble { shortage: true, ..error.into() })?;
                    Ok(exchange)
                });
                match begun {
                    Ok(exchange) => self.set_line(id, Some(Line::TcpClient(exchange))),
                    Err(trouble) => self.tell_of_trouble(id, trouble),
                }
            }
            Wish::HangUp => self.set_line(id, None),
            Wish::Serve(place) => {
                let served = self.begin_serving(id, &place);
                self.tell_builtin(id, Input::Served(served));
            }
        }
    }

    /// Closing a socket takes it out of the poll.
    fn set_line(&mut self, id: WatcherId, line: Option<Line>) {
        if let Some(running) = self.parts.builtins.find(id) {
            running.line = line;
        }
    }

    fn give_order(&mut self, id: WatcherId, name: &str, order: Task) {
        match targets(&self.core.arbiter, &order) {
            Ok(targets) => {
                let ticket = Ticket(OWN | u64::from(id.0));
                let by = Origin { order: order.word(), client: name.to_string(), ..Origin::default() };
                self.core.event(Event::Order { ticket, order: order.into(), targets, by: by.into() });
            }
            Err(why) => self.note_trouble(name, &why, &format!("refused: {why}")),
        }
    }

    /// Writes down what is wrong, once for each cause.
    fn note_trouble(&mut self, name: &str, cause: &str, text: &str) {
        self.core.log.once(Level::Warning, &format!("{name} {cause}"), format_args!("{name}: {text}"));
    }

    /// A reply to an order of a plugin. False when it is for somebody else.
    pub(crate) fn builtin_is_answered(&mut self, ticket: Ticket, reply: &Reply) -> bool {
        if ticket.0 < OWN {
            return false;
        }
        let asker =
            self.parts.builtins.running.iter().find(|running| u64::from(running.id.0) == ticket.0 - OWN);
        if let (Some(asker), Reply::Error { reason, .. }) = (asker, reply) {
            let name = asker.name.clone();
            self.note_trouble(&name, reason, &format!("refused: {reason}"));
        }
        true
    }

    fn restart_for(&mut self, id: WatcherId, name: &str, watcher: &str) {
        match self.core.arbiter.find(watcher).map(Watcher::status) {
            Some(Status::Stopped | Status::Stopping) => {
                self.core
                    .log
                    .debug(format_args!("{name}: {watcher} is not restarted, since it does not run"));
            }
            Some(Status::Starting | Status::Active) | None => {
                let order = Task::Restart(builtin::only(watcher));
                self.give_order(id, name, order);
            }
        }
    }

    fn send_datagram(&mut self, name: &str, to: SocketAddr, bytes: &[u8]) {
        let [v4, v6] = &mut self.parts.builtins.senders;
        let (place, any) = match to {
            SocketAddr::V4(_) => (v4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            SocketAddr::V6(_) => (v6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        if place.is_none() {
            *place = UdpSocket::bind(any).ok();
        }
        let sent = place
            .as_ref()
            .map_or(Err(ErrorKind::AddrNotAvailable.into()), |socket| socket.send_to(bytes, to));
        let lost = sent.err().filter(|error: &io::Error| error.kind() != ErrorKind::WouldBlock);
        if let Some(error) = lost {
            self.note_trouble(name, "send", &format!("sending to UDP {to}: {}", io_words(&error)));
        }
    }

    fn bind(&mut self, id: WatcherId, address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = UdpSocket::bind(address)?;
        let bound = socket.local_addr()?;
        self.core.poll(Key::builtins).watch_both(socket.as_raw_fd(), id.0)?;
        self.set_line(id, Some(Line::Datagrams(socket)));
        Ok(bound)
    }

    fn begin_serving(&mut self, id: WatcherId, place: &Place) -> Result<(), String> {
        let server = Server::open(place)?;
        self.core.poll(Key::builtins).watch_both(server.fd(), id.0).map_err(|error| io_words(&error))?;
        self.set_line(id, Some(Line::Server(server)));
        Ok(())
    }

    /// The socket of a plugin has something, or had more in the last turn.
    pub(crate) fn builtin_ready(&mut self, id: WatcherId) {
        let Some(running) = self.parts.builtins.find(id) else { return };
        match running.line.take() {
            None => {}
            Some(Line::Datagrams(socket)) => {
                self.take_datagrams(id, &socket);
                self.set_line(id, Some(Line::Datagrams(socket)));
            }
            Some(Line::Server(mut server)) => {
                let page = || metrics::text(&self.metrics());
                if !server.go_on((self.core.poll(Key::builtins), id.0), &page) {
                    self.parts.builtins.busy.push(id);
                }
                self.set_line(id, Some(Line::Server(server)));
            }
            Some(Line::TcpClient(mut exchange)) => {
                let plugin = &running.plugin;
                match exchange.go_on(&|answer| plugin.is_complete(answer)) {
                    Ok(false) => running.line = Some(Line::TcpClient(exchange)),
                    Ok(true) => self.tell_builtin(id, Input::Answer(Ok(exchange.answer()))),
                    Err(trouble) => self.tell_of_trouble(id, trouble),
                }
            }
        }
        self.settle();
    }

    /// A question of a plugin has no answer, or circus was short of something and could not ask.
    fn tell_of_trouble(&mut self, id: WatcherId, trouble: Trouble) {
        if trouble.shortage {
            self.say_shortage(&trouble);
            return self.tell_builtin(id, Input::NotAsked);
        }
        self.tell_builtin(id, Input::Answer(Err(trouble.why)));
    }

    fn take_datagrams(&mut self, id: WatcherId, socket: &UdpSocket) {
        let mut buffer = [0; LONGEST_DATAGRAM];
        for _ in 0..DATAGRAMS {
            match socket.recv(&mut buffer) {
                Ok(n) => self.tell_builtin(id, Input::Datagram(buffer.get(..n).unwrap_or_default())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {} // about something that was sent, or interrupted
            }
        }
        self.parts.builtins.busy.push(id);
    }

    /// Reads what was left in the last turn.
    pub(crate) fn read_busy_builtins(&mut self) {
        for id in std::mem::take(&mut self.parts.builtins.busy) {
            self.builtin_ready(id);
        }
    }
}
