//! Runs the plugins that circus has itself: tells them what happens, and keeps their sockets and deadlines.
//!
//! One lives as long as its watcher is active. Its orders go the way that those of clients go, and so do the replies;
//! what is refused is written to the log.

use super::builtin::{self, Input, Plugin};
use super::world::{Senders, Sight, Site, Socket, note_shortage};
use crate::arbiter::request::{Reply, Task};
use crate::arbiter::watcher::Watcher;
use crate::arbiter::{Action, Arbiter, Published, WatcherId};
use crate::config::Names;
use crate::host::trouble::Trouble;
use crate::reactor::part::{Cx, Effect, Part, Readiness};
use crate::views::samples::Samples;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// How many datagrams are taken in a turn.
const DATAGRAMS: usize = 64;
/// The longest datagram, in bytes; of a longer one the rest is lost.
const LONGEST_DATAGRAM: usize = 1024;

/// The plugins that circus has itself.
#[derive(Default)]
pub struct Builtins {
    running: Vec<Running>,
    /// What datagrams are sent by, over IPv4 and IPv6.
    senders: Senders,
    /// Those whose sockets have more to read.
    busy: Vec<WatcherId>,
    /// When the first of them has something to do.
    deadline: Option<Instant>,
}

/// A plugin that runs.
struct Running {
    plugin: Plugin,
    options: Names,
    site: Site,
}

impl Builtins {
    /// What keeps a plugin from its work.
    pub fn trouble(&self, id: WatcherId) -> Option<&str> {
        let running = self.running.iter().find(|running| running.site.id == id)?;
        running.site.trouble.as_ref().map(|(_, text)| text.as_str())
    }

    fn find(&mut self, id: WatcherId) -> Option<&mut Running> {
        self.running.iter_mut().find(|running| running.site.id == id)
    }

    /// Those that run and of which this is so.
    #[inline(never)]
    fn ids(&self, is_so: &dyn Fn(&Running) -> bool) -> Vec<WatcherId> {
        self.running.iter().filter(|running| is_so(running)).map(|running| running.site.id).collect()
    }

    /// A client has given an order: it knows what it wants of these watchers, or of all.
    fn ordered<'a>(&mut self, task: &Task, targets: Option<&[WatcherId]>, cx: &mut Cx<'a>) {
        let arbiter = cx.arbiter;
        let known = |watcher: &'a Watcher| Some(watcher.config.name.as_str());
        let names: Vec<Option<&str>> = match task {
            Task::Start(_) | Task::Stop(_) | Task::Restart(_) => match targets {
                Some(ids) => ids.iter().filter_map(|id| arbiter.watcher(*id)).map(known).collect(),
                None => vec![None],
            },
            Task::Reload { name: Some(name), .. } => arbiter.find(name).map(known).into_iter().collect(),
            _ => return,
        };
        for plugin in self.ids(&|_| true) {
            names.iter().for_each(|name| self.tell(plugin, Input::Ordered(*name), cx));
        }
    }

    fn begin(&mut self, watcher: &Watcher, cx: &mut Cx<'_>) {
        let (id, name) = (watcher.id, watcher.config.name.clone());
        match builtin::make(&watcher.config) {
            Some(Ok(plugin)) => {
                let site = Site { id, name, samples: Samples::new(), socket: None, trouble: None, due: None };
                self.running.push(Running { plugin, options: Names::clone(&watcher.config.free), site });
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

    /// Tells a plugin something. Its orders are carried out when what is going on is over.
    fn tell(&mut self, id: WatcherId, input: Input<'_>, cx: &mut Cx<'_>) {
        let Some(running) = self.running.iter_mut().find(|running| running.site.id == id) else { return };
        running.plugin.tell(input, &mut Sight::new(&mut running.site, &mut self.senders, cx));
        self.find_deadline(cx);
    }

    /// The socket of a plugin has something, or had more in the last turn.
    fn go_on(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        let Some(running) = self.find(id) else { return };
        match &mut running.site.socket {
            None => {}
            Some(Socket::Datagrams(_)) => self.take_datagrams(id, cx),
            Some(Socket::Server(server)) => {
                let all = server.accept(cx.poll, id.0);
                if server.go_on(cx.now, &|| complaint(cx.arbiter)) {
                    cx.effect(Effect::Metrics(id));
                }
                self.busy.extend((!all).then_some(id));
            }
            Some(Socket::Client(client)) => {
                let plugin = &running.plugin;
                let answer = match client.go_on(&|answer| plugin.is_complete(answer)) {
                    Ok(false) => return,
                    Ok(true) => Ok(client.answer().to_vec()),
                    Err(trouble) => Err(note_shortage(trouble, cx)),
                };
                running.site.socket = None;
                self.tell(id, Input::Answer(answer.as_deref().map_err(Trouble::clone)), cx);
            }
        }
    }

    fn take_datagrams(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        let mut buffer = [0; LONGEST_DATAGRAM];
        for _ in 0..DATAGRAMS {
            let socket = self.find(id).and_then(|one| one.site.socket.as_mut());
            let Some(Socket::Datagrams(socket)) = socket else { return };
            match socket.recv(&mut buffer) {
                Ok(n) => self.tell(id, Input::Datagram(buffer.get(..n).unwrap_or_default()), cx),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {} // about something that was sent, or interrupted
            }
        }
        self.busy.push(id);
    }

    fn find_deadline(&mut self, cx: &Cx<'_>) {
        let first = self.running.iter().filter_map(|running| running.site.due).min();
        self.deadline = first.map(|at| cx.now + Duration::from_nanos(at.0.saturating_sub(cx.time().0)));
    }
}

/// What keeps `status --check` from being content, without the reasons, which may name what is nobody's business.
fn complaint(arbiter: &Arbiter) -> Option<String> {
    if arbiter.is_ending() {
        return Some("circus is stopping".into());
    }
    let failing = arbiter.watchers().filter(|watcher| watcher.fault().is_some());
    let names: Vec<&str> = failing.map(|watcher| watcher.config.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("failing: {}", names.join(", ")))
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
                if let Some(asker) = self.running.iter().find(|running| running.site.ticket() == ticket) {
                    asker.site.warn_once(&reason, format_args!("refused: {reason}"), cx);
                }
            }
            Effect::Page(id, page) => {
                if let Some(Socket::Server(server)) = self.find(id).and_then(|one| one.site.socket.as_mut()) {
                    server.show(cx.now, page, &|| complaint(cx.arbiter));
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
        let is_due = |running: &Running| running.site.due.is_some_and(|at| at <= cx.time());
        for id in self.ids(&is_due) {
            self.tell(id, Input::Due, cx);
        }
    }

    /// A plugin whose options have changed begins anew with them. If they are wrong, it is being stopped.
    fn changed(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        let watcher = cx.arbiter.watcher(id).filter(|watcher| watcher.config.broken.is_none());
        if let (Some(watcher), Some(running)) = (watcher, self.find(id))
            && running.options != *watcher.config.free
        {
            self.end(id, cx);
            self.begin(watcher, cx);
        }
    }

    fn forgotten(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        self.running.retain(|running| running.site.id != id);
        self.find_deadline(cx);
    }

    /// Tells all plugins, also of what happens to one of themselves.
    fn published(&mut self, watcher: &str, what: &Published, cx: &mut Cx<'_>) {
        let ends_or_begins = matches!(what, Published::Start | Published::Stop);
        let own = ends_or_begins.then(|| cx.arbiter.find(watcher)).flatten();
        let own = own.filter(|watcher| watcher.config.is_builtin());
        if let (Some(own), Published::Start) = (own, what) {
            self.begin(own, cx);
        }
        for id in self.ids(&|_| true) {
            self.tell(id, Input::Event(watcher, what), cx);
        }
        if let (Some(own), Published::Stop) = (own, what) {
            self.end(own.id, cx);
        }
    }
}
