//! What plugins see of the world and do in it: what the arbiter knows, what /proc tells, the files that commands are made
//! of; orders, messages, sockets. The tests make up a world of their own.

use super::builtin::only;
use super::command;
use super::server::Server;
use crate::arbiter::history::Origin;
use crate::arbiter::process::Fate;
use crate::arbiter::request::{Task, Ticket};
use crate::arbiter::time::Time;
use crate::arbiter::watcher::{Status, Watcher};
use crate::arbiter::{Event, Level, Pid, WatcherId};
use crate::config::WatcherConfig;
use crate::config::url::Place;
use crate::host::listen;
use crate::host::procfs;
use crate::host::spawn_template::SpawnTemplate;
use crate::host::trouble::Trouble;
use crate::reactor::part::{Cx, Effect};
use crate::reactor::tcp_client::TcpClient;
use crate::sys::io_words;
use crate::views::samples::{Samples, Scale, Usage};
use crate::views::targets::targets;
use mio::net::UdpSocket;
use std::fmt::Arguments;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// The tickets of plugins are this and the number of the watcher; those of clients are lower. No plugin waits for more
/// than the first reply, so they need not differ.
const OWN: u64 = 1 << 63;

/// What a plugin can look at and do.
pub trait World {
    /// The time.
    fn now(&self) -> Time;
    /// The names of the watchers that are no plugins, sorted.
    fn watchers(&self) -> Vec<String>;
    /// The processes of a watcher that run and were not asked to end; `None`: there is no such watcher.
    fn processes(&self, watcher: &str) -> Option<Vec<Pid>>;
    /// The direct children of a process.
    fn children(&self, pid: Pid) -> Vec<Pid>;
    /// What a process uses; the percentage is about the time since this plugin last looked.
    fn usage(&mut self, pid: Pid) -> Option<Usage>;
    /// The options of a watcher.
    fn config(&self, watcher: &str) -> Option<&WatcherConfig>;
    /// The files that the command of a watcher is made of: its program, and a script that is given to it.
    fn command(&self, watcher: &str) -> Vec<PathBuf>;
    /// What tells one state of these files from another; `None`: one of them is missing.
    fn stamp(&self, files: &[PathBuf]) -> Option<Stamp>;
    /// For how many seconds a process has lived that has just ended, and whether others of its watcher run; `None`:
    /// somebody has asked it to end.
    fn death(&self, watcher: &str, pid: Pid) -> Option<(f64, bool)>;

    /// [`Input::Due`](super::builtin::Input::Due) is to come then, and no sooner.
    fn wake_at(&mut self, at: Option<Time>);
    /// Gives an order, as a client does.
    fn order(&mut self, task: Task);
    /// Restarts a watcher, if it runs: what somebody has stopped stays so.
    fn restart(&mut self, watcher: &str);
    /// Writes to the log.
    fn log(&mut self, level: Level, text: Arguments<'_>);
    /// Writes to the log once until [`World::mended`] what keeps the plugin from its work.
    fn trouble(&mut self, cause: &'static str, text: Arguments<'_>);
    /// What the cause stands for is over; the text says so.
    fn mended(&mut self, cause: &'static str, text: Arguments<'_>);
    /// Sends a datagram.
    fn send(&mut self, to: SocketAddr, text: String);
    /// Listens to datagrams there; the answer is where, with the real port.
    fn bind(&mut self, address: SocketAddr) -> Result<SocketAddr, String>;
    /// Connects there and sends this. [`Input::Answer`](super::builtin::Input::Answer) comes when the plugin says that it
    /// is complete, or the other side has closed the connection.
    fn ask(&mut self, place: &Place, question: &[u8]) -> Result<(), Trouble>;
    /// No answer is wanted any more.
    fn hang_up(&mut self);
    /// Serves what circus measures there.
    fn serve(&mut self, place: &Place) -> Result<(), String>;
}

/// What tells one state of files from another.
pub type Stamp = u64;

/// What a plugin has that runs.
pub struct Site {
    pub id: WatcherId,
    pub name: String,
    pub samples: Samples,
    pub socket: Option<Socket>,
    /// What keeps it from its work, and the text about it.
    pub trouble: Option<(&'static str, String)>,
    pub due: Option<Time>,
}

/// The socket of a plugin.
pub enum Socket {
    Datagrams(UdpSocket),
    Client(TcpClient),
    Server(Server),
}

/// What datagrams are sent by, over IPv4 and IPv6.
pub type Senders = [Option<UdpSocket>; 2];

impl Site {
    /// The ticket of its orders.
    pub fn ticket(&self) -> Ticket {
        Ticket(OWN | u64::from(self.id.0))
    }

    /// Writes down what is wrong, once for each cause.
    pub fn warn_once(&self, cause: &str, text: Arguments<'_>, cx: &mut Cx<'_>) {
        let name = &self.name;
        cx.log.once(Level::Warning, &format!("{name} {cause}"), format_args!("{name}: {text}"));
    }
}

/// The world as it is.
pub struct Sight<'a, 'c> {
    cx: &'a mut Cx<'c>,
    site: &'a mut Site,
    senders: &'a mut Senders,
    /// Made when it is first needed.
    scale: Option<Scale>,
}

impl<'a, 'c> Sight<'a, 'c> {
    /// What the plugin of this site sees.
    pub fn new(site: &'a mut Site, senders: &'a mut Senders, cx: &'a mut Cx<'c>) -> Sight<'a, 'c> {
        Sight { cx, site, senders, scale: None }
    }
}

impl Drop for Sight<'_, '_> {
    /// Who was not looked at this time is gone.
    fn drop(&mut self) {
        if let Some(scale) = &self.scale {
            self.site.samples.retain(|_, (at, _)| *at == scale.now);
        }
    }
}

impl World for Sight<'_, '_> {
    fn now(&self) -> Time {
        self.cx.time()
    }

    fn watchers(&self) -> Vec<String> {
        let all = self.cx.arbiter.watchers().filter(|watcher| watcher.config.plugin.is_none());
        all.map(|watcher| watcher.config.name.clone()).collect()
    }

    fn processes(&self, watcher: &str) -> Option<Vec<Pid>> {
        let running = self.cx.arbiter.find(watcher)?.processes().filter(|process| process.runs());
        Some(running.map(|process| process.pid).collect())
    }

    fn children(&self, pid: Pid) -> Vec<Pid> {
        // A process that circus may not inspect is not judged.
        procfs::children(pid).unwrap_or_default()
    }

    fn usage(&mut self, pid: Pid) -> Option<Usage> {
        let stat = procfs::stat(pid).ok()?;
        Some(self.scale.get_or_insert_with(Scale::new).usage(pid, &stat, &mut self.site.samples))
    }

    fn config(&self, watcher: &str) -> Option<&WatcherConfig> {
        self.cx.arbiter.find(watcher).map(|watcher| &*watcher.config)
    }

    fn command(&self, watcher: &str) -> Vec<PathBuf> {
        let sockets = &self.cx.setup.sockets;
        let template = self.config(watcher).map(|config| SpawnTemplate::new(config, sockets, None));
        if let Some(Ok(template)) = template { command::files(&template) } else { Vec::new() }
    }

    fn stamp(&self, files: &[PathBuf]) -> Option<Stamp> {
        command::stamp(files)
    }

    fn death(&self, watcher: &str, pid: Pid) -> Option<(f64, bool)> {
        let watcher = self.cx.arbiter.find(watcher)?;
        let dead = watcher.processes().find(|process| process.pid == pid)?;
        let others = watcher.processes().any(|process| process.exit().is_none());
        (dead.exit().is_some() && dead.fate() == Fate::Left).then(|| (self.now().since(dead.started), others))
    }

    fn wake_at(&mut self, at: Option<Time>) {
        self.site.due = at;
    }

    fn order(&mut self, task: Task) {
        match targets(self.cx.arbiter, &task) {
            Ok(targets) => {
                let client = self.site.name.clone();
                let by = Origin { order: task.word(), client, ..Origin::default() }.into();
                self.cx.event(Event::Order { ticket: self.site.ticket(), order: task.into(), targets, by });
            }
            Err(why) => self.site.warn_once(&why, format_args!("refused: {why}"), self.cx),
        }
    }

    fn restart(&mut self, watcher: &str) {
        match self.cx.arbiter.find(watcher).map(Watcher::status) {
            Some(Status::Stopped | Status::Stopping) => {
                self.log(Level::Debug, format_args!("{watcher} is not restarted, since it does not run"));
            }
            Some(Status::Starting | Status::Active) | None => self.order(Task::Restart(only(watcher))),
        }
    }

    fn log(&mut self, level: Level, text: Arguments<'_>) {
        self.cx.log.log(level, format_args!("{}: {text}", self.site.name));
    }

    fn trouble(&mut self, cause: &'static str, text: Arguments<'_>) {
        self.site.warn_once(cause, text, self.cx);
        self.site.trouble = Some((cause, text.to_string()));
    }

    fn mended(&mut self, cause: &'static str, text: Arguments<'_>) {
        let name = &self.site.name;
        self.cx.log.over(Level::Info, &format!("{name} {cause}"), format_args!("{name}: {text}"));
        self.site.trouble.take_if(|(other, _)| *other == cause);
    }

    fn send(&mut self, to: SocketAddr, text: String) {
        let [v4, v6] = &mut self.senders;
        let place = if to.is_ipv4() { v4 } else { v6 };
        if place.is_none() {
            *place = listen::datagrams_to(to).ok().map(UdpSocket::from_std);
        }
        let sent = match place {
            Some(socket) => socket.send_to(text.as_bytes(), to),
            None => Err(ErrorKind::AddrNotAvailable.into()),
        };
        if let Some(error) = sent.err().filter(|error| error.kind() != ErrorKind::WouldBlock) {
            let why = io_words(&error);
            self.site.warn_once("send", format_args!("sending to UDP {to}: {why}"), self.cx);
        }
    }

    fn bind(&mut self, address: SocketAddr) -> Result<SocketAddr, String> {
        let open = || -> io::Result<_> {
            let socket = UdpSocket::from_std(listen::datagrams(address)?);
            self.cx.poll.watch_both(socket.as_raw_fd(), self.site.id.0)?;
            Ok((socket.local_addr()?, socket))
        };
        let (bound, socket) = open().map_err(|error| io_words(&error))?;
        self.site.socket = Some(Socket::Datagrams(socket));
        Ok(bound)
    }

    fn ask(&mut self, place: &Place, question: &[u8]) -> Result<(), Trouble> {
        match TcpClient::begin(place, question.to_vec(), self.cx.poll, self.site.id.0) {
            Ok(client) => self.site.socket = Some(Socket::Client(client)),
            Err(trouble) => return Err(note_shortage(trouble, self.cx)),
        }
        Ok(())
    }

    /// Closing a socket takes it out of the poll.
    fn hang_up(&mut self) {
        self.site.socket = None;
    }

    fn serve(&mut self, place: &Place) -> Result<(), String> {
        let server = Server::open(place)?;
        self.cx.poll.watch_both(server.fd(), self.site.id.0).map_err(|error| io_words(&error))?;
        self.site.socket = Some(Socket::Server(server));
        Ok(())
    }
}

/// Tells of it if circus was short of something.
pub fn note_shortage(trouble: Trouble, cx: &mut Cx<'_>) -> Trouble {
    if trouble.shortage {
        cx.effect(Effect::Short(trouble.clone()));
    }
    trouble
}
