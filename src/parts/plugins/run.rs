//! Runs the plugins that circus has itself: tells them what happens, shows them the world, and does what they wish.
//!
//! One lives as long as its watcher is active. Its orders go the way that those of clients go, and so do the replies;
//! what is refused is written to the log.

use super::builtin::{self, Builtin, Input, WatcherEvent, Wish, Wishes};
use super::server::Server;
use super::world::{Sight, meaning};
use crate::arbiter::history::Origin;
use crate::arbiter::request::{Reply, Task, Ticket};
use crate::arbiter::watcher::{Status, Watcher};
use crate::arbiter::{Action, Event, Level, Published, WatcherId};
use crate::config::Names;
use crate::config::url::Place;
use crate::host::listen;
use crate::host::trouble::Trouble;
use crate::reactor::part::{Cx, Effect, Part, Readiness};
use crate::reactor::tcp_client::TcpClient;
use crate::sys::io_words;
use crate::views::targets::targets;
use crate::views::usage::Samples;
use mio::net::UdpSocket;
use std::fmt::Arguments;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

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
    /// When the first of them has something to do.
    deadline: Option<Instant>,
}

/// A plugin that runs.
struct Running {
    id: WatcherId,
    name: Rc<str>,
    options: Names,
    plugin: Box<dyn Builtin>,
    samples: Samples,
    socket: Option<Socket>,
    /// What keeps it from its work, and the text about it.
    trouble: Option<(&'static str, String)>,
}

/// The socket of a plugin.
enum Socket {
    Datagrams(UdpSocket),
    Client(TcpClient),
    Server(Server),
}

impl Builtins {
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

    /// A client has given an order: it knows what it wants of these watchers, or of all.
    fn ordered(&mut self, task: &Task, targets: Option<&[WatcherId]>, cx: &mut Cx<'_>) {
        if self.running.is_empty() {
            return;
        }
        let one;
        let targets = match task {
            Task::Start(_) | Task::Stop(_) | Task::Restart(_) => targets,
            Task::Reload { name: Some(name), .. } => {
                one = cx.arbiter.find(name).map(|watcher| watcher.id);
                Some(one.as_slice())
            }
            _ => return,
        };
        for plugin in self.ids(&|_| true) {
            let Some(ids) = targets else {
                self.tell(plugin, Input::Ordered(None), cx);
                continue;
            };
            for id in ids {
                let name = cx.arbiter.watcher(*id).map_or("", |watcher| watcher.config.name.as_str());
                self.tell(plugin, Input::Ordered(Some(name)), cx);
            }
        }
    }

    fn begin(&mut self, watcher: &Watcher, cx: &mut Cx<'_>) {
        let (id, name) = (watcher.id, Rc::from(watcher.config.name.as_str()));
        match builtin::make(&watcher.config) {
            Some(Ok(plugin)) => {
                let (options, samples) = (watcher.config.free.clone(), Samples::new());
                self.running.push(Running {
                    id,
                    name,
                    options,
                    plugin,
                    samples,
                    socket: None,
                    trouble: None,
                });
                self.tell(id, Input::Begin, cx);
            }
            Some(Err((key, why))) => cx.log.error(format_args!("{name}: {key} = {why}")),
            None => {}
        }
    }

    fn end(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        if !cx.arbiter.is_ending() {
            self.tell(id, Input::End, cx);
        }
        self.forgotten(id, cx);
    }

    /// Tells a plugin something, and does what it wishes. Its orders are carried out when what is going on is over.
    fn tell(&mut self, id: WatcherId, input: Input<'_>, cx: &mut Cx<'_>) {
        let Some(running) = self.running.iter_mut().find(|running| running.id == id) else { return };
        let mut wishes = Wishes::default();
        running.plugin.handle(cx.time(), input, &mut Sight::new(cx, &mut running.samples), &mut wishes);
        let name = Rc::clone(&running.name);
        for wish in wishes.0 {
            self.fulfil(id, &name, wish, cx);
        }
        self.find_deadline(cx);
    }

    fn fulfil(&mut self, id: WatcherId, name: &str, wish: Wish, cx: &mut Cx<'_>) {
        match wish {
            Wish::Order(task) => self.order(id, name, task, cx),
            Wish::Restart(watcher) => match cx.arbiter.find(&watcher).map(Watcher::status) {
                Some(Status::Stopped | Status::Stopping) => {
                    cx.log.debug(format_args!("{name}: {watcher} is not restarted, since it does not run"));
                }
                Some(Status::Starting | Status::Active) | None => {
                    self.order(id, name, Task::Restart(builtin::only(&watcher)), cx);
                }
            },
            Wish::Log(level, text) => cx.log.log(level, format_args!("{name}: {text}")),
            Wish::Trouble(cause, text) => {
                warn_once(name, cause, format_args!("{text}"), cx);
                self.find(id).into_iter().for_each(|one| one.trouble = Some((cause, text.clone())));
            }
            Wish::Mended(cause, text) => {
                let running = self.find(id).into_iter();
                running.for_each(|one| drop(one.trouble.take_if(|(other, _)| *other == cause)));
                cx.log.over(Level::Info, &format!("{name} {cause}"), format_args!("{name}: {text}"));
            }
            Wish::Send(to, bytes) => self.send(name, to, bytes.as_bytes(), cx),
            Wish::Bind(address) => {
                let bound = self.bind(id, address, cx).map_err(|error| io_words(&error));
                self.tell(id, Input::Bound(bound), cx);
            }
            Wish::Ask(place, question) => match TcpClient::begin(&place, question, cx.poll, id.0) {
                Ok(client) => self.set_socket(id, Some(Socket::Client(client))),
                Err(trouble) => self.not_answered(id, trouble, cx),
            },
            Wish::HangUp => self.set_socket(id, None),
            Wish::Serve(place) => {
                let served = self.serve(id, &place, cx);
                self.tell(id, Input::Served(served), cx);
            }
        }
    }

    /// Closing a socket takes it out of the poll.
    fn set_socket(&mut self, id: WatcherId, socket: Option<Socket>) {
        if let Some(running) = self.find(id) {
            running.socket = socket;
        }
    }

    fn order(&self, id: WatcherId, name: &str, task: Task, cx: &mut Cx<'_>) {
        match targets(cx.arbiter, &task) {
            Ok(targets) => {
                let by = Origin { order: task.word(), client: name.to_string(), ..Origin::default() }.into();
                cx.event(Event::Order { ticket: own_ticket(id), order: task.into(), targets, by });
            }
            Err(why) => warn_once(name, &why, format_args!("refused: {why}"), cx),
        }
    }

    fn send(&mut self, name: &str, to: SocketAddr, bytes: &[u8], cx: &mut Cx<'_>) {
        let [v4, v6] = &mut self.senders;
        let place = if to.is_ipv4() { v4 } else { v6 };
        if place.is_none() {
            *place = listen::datagrams_to(to).ok().map(UdpSocket::from_std);
        }
        let sent = place
            .as_ref()
            .map_or(Err(ErrorKind::AddrNotAvailable.into()), |socket| socket.send_to(bytes, to));
        let lost = sent.err().filter(|error: &io::Error| error.kind() != ErrorKind::WouldBlock);
        if let Some(error) = lost {
            let why = io_words(&error);
            warn_once(name, "send", format_args!("sending to UDP {to}: {why}"), cx);
        }
    }

    fn bind(&mut self, id: WatcherId, address: SocketAddr, cx: &Cx<'_>) -> io::Result<SocketAddr> {
        let socket = UdpSocket::from_std(listen::datagrams(address)?);
        let bound = socket.local_addr()?;
        cx.poll.watch_both(socket.as_raw_fd(), id.0)?;
        self.set_socket(id, Some(Socket::Datagrams(socket)));
        Ok(bound)
    }

    fn serve(&mut self, id: WatcherId, place: &Place, cx: &Cx<'_>) -> Result<(), String> {
        let server = Server::open(place)?;
        cx.poll.watch_both(server.fd(), id.0).map_err(|error| io_words(&error))?;
        self.set_socket(id, Some(Socket::Server(server)));
        Ok(())
    }

    /// The socket of a plugin has something, or had more in the last turn.
    fn go_on(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        let Some(running) = self.find(id) else { return };
        match &mut running.socket {
            None => {}
            Some(Socket::Datagrams(_)) => self.take_datagrams(id, cx),
            Some(Socket::Server(server)) => {
                let all = server.accept(cx.poll, id.0);
                if server.go_on(cx.now) {
                    cx.effect(Effect::Metrics(id));
                }
                self.busy.extend((!all).then_some(id));
            }
            Some(Socket::Client(client)) => {
                let plugin = &running.plugin;
                let answer = match client.go_on(&|answer| plugin.is_complete(answer)) {
                    Ok(false) => return,
                    Ok(true) => Ok(client.answer().to_vec()),
                    Err(trouble) => Err(trouble),
                };
                running.socket = None;
                match answer {
                    Ok(answer) => self.tell(id, Input::Answer(Ok(&answer)), cx),
                    Err(trouble) => self.not_answered(id, trouble, cx),
                }
            }
        }
    }

    /// A question of a plugin has no answer, or circus was short of something and could not ask.
    fn not_answered(&mut self, id: WatcherId, trouble: Trouble, cx: &mut Cx<'_>) {
        if trouble.shortage {
            cx.effect(Effect::Short(trouble));
            return self.tell(id, Input::NotAsked, cx);
        }
        self.tell(id, Input::Answer(Err(trouble.why)), cx);
    }

    fn take_datagrams(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        let mut buffer = [0; LONGEST_DATAGRAM];
        for _ in 0..DATAGRAMS {
            let Some(Running { socket: Some(Socket::Datagrams(socket)), .. }) = self.find(id) else { return };
            match socket.recv(&mut buffer) {
                Ok(n) => self.tell(id, Input::Datagram(buffer.get(..n).unwrap_or_default()), cx),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {} // about something that was sent, or interrupted
            }
        }
        self.busy.push(id);
    }

    fn find_deadline(&mut self, cx: &Cx<'_>) {
        let first = self.running.iter().filter_map(|running| running.plugin.deadline()).min();
        self.deadline = first.map(|at| cx.now + Duration::from_nanos(at.0.saturating_sub(cx.time().0)));
    }
}

impl Part for Builtins {
    fn ready(&mut self, id: u32, _: Readiness, cx: &mut Cx<'_>) {
        self.go_on(WatcherId(id), cx);
    }

    fn take(&mut self, effect: Effect, cx: &mut Cx<'_>) -> Option<Effect> {
        match effect {
            Effect::Order { ref order, ref targets, .. } => {
                self.ordered(&order.what, targets.as_deref(), cx);
                return Some(effect);
            }
            Effect::Action(Action::Reply { ticket, reply: Reply::Error { reason, .. } }) => {
                if let Some(asker) = self.running.iter().find(|running| own_ticket(running.id) == ticket) {
                    warn_once(&asker.name, &reason, format_args!("refused: {reason}"), cx);
                }
            }
            Effect::Page(id, page) => {
                if let Some(Running { socket: Some(Socket::Server(server)), .. }) = self.find(id) {
                    server.show(cx.now, page);
                }
            }
            other => return Some(other),
        }
        None
    }

    fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    fn work(&mut self, cx: &mut Cx<'_>) -> bool {
        for id in std::mem::take(&mut self.busy) {
            self.go_on(id, cx);
        }
        false
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.deadline
    }

    fn may_be_late(&self) -> bool {
        true
    }

    fn due(&mut self, cx: &mut Cx<'_>) {
        let is_due = |running: &Running| running.plugin.deadline().is_some_and(|at| at <= cx.time());
        for id in self.ids(&is_due) {
            self.tell(id, Input::Due, cx);
        }
    }

    /// A plugin whose options have changed begins anew with them. If they are wrong, it is being stopped.
    fn changed(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        let watcher = cx.arbiter.watcher(id).filter(|watcher| watcher.config.broken.is_none());
        if let (Some(watcher), Some(running)) = (watcher, self.find(id))
            && running.options != watcher.config.free
        {
            self.end(id, cx);
            self.begin(watcher, cx);
        }
    }

    fn forgotten(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        self.running.retain(|running| running.id != id);
        self.find_deadline(cx);
    }

    /// Tells all plugins, also of what happens to one of themselves.
    fn published(&mut self, watcher: &str, what: &Published, cx: &mut Cx<'_>) {
        let own = cx.arbiter.find(watcher).filter(|watcher| watcher.config.is_builtin());
        if let (Some(own), Published::Start) = (own, what) {
            self.begin(own, cx);
        }
        if !self.running.is_empty() {
            let notice = WatcherEvent { watcher, event: what.name(), what: meaning(watcher, what, cx) };
            for id in self.ids(&|_| true) {
                self.tell(id, Input::Event(notice), cx);
            }
        }
        if let (Some(own), Published::Stop) = (own, what) {
            self.end(own.id, cx);
        }
    }
}

fn own_ticket(id: WatcherId) -> Ticket {
    Ticket(OWN | u64::from(id.0))
}

/// Writes down what is wrong, once for each cause.
fn warn_once(name: &str, cause: &str, text: Arguments<'_>, cx: &mut Cx<'_>) {
    cx.log.once(Level::Warning, &format!("{name} {cause}"), format_args!("{name}: {text}"));
}
