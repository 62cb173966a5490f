//! The questions of `ready` and `health` that are asked over a connection: whether somebody accepts it, and what a web
//! server answers. Those that are commands are run as hooks are.

use crate::arbiter::hooks::{About, Answer, HookId};
use crate::arbiter::{Event, WatcherId};
use crate::config::hooks::Hook;
use crate::config::probe::Probe;
use crate::config::url::Place;
use crate::host::trouble::Trouble;
use crate::parts::helpers::Purpose;
use crate::parts::plugins::observer::http_trouble;
use crate::parts::tcp_client::TcpClient;
use crate::reactor::eventloop::Daemon;

/// The questions that are under way.
#[derive(Default)]
pub struct Probes(Vec<Asked>);

struct Asked {
    id: HookId,
    watcher: WatcherId,
    exchange: TcpClient,
    /// Something is asked; else it is enough that somebody accepts the connection.
    speaks_http: bool,
}

impl Asked {
    /// Whether there is an answer.
    fn go_on(&mut self) -> Result<bool, Trouble> {
        if !self.speaks_http {
            return self.exchange.is_accepted();
        }
        let has_head = |answer: &[u8]| String::from_utf8_lossy(answer).contains("\n\r\n");
        if !self.exchange.go_on(&has_head)? {
            return Ok(false);
        }
        http_trouble(&String::from_utf8_lossy(self.exchange.answer())).map_or(Ok(true), |why| Err(why.into()))
    }
}

/// The bits of a number that a token has room for.
fn token(id: HookId) -> u32 {
    id.0 as u32
}

impl Daemon {
    /// Runs a hook or a command, or asks a question.
    pub(crate) fn run_hook(&mut self, id: HookId, watcher: WatcherId, hook: Hook, about: About) {
        let asked = match self.question(watcher, hook, &about) {
            None | Some(Ok(Probe::Exec(_))) => {
                return self.helpers.add(Purpose::Hook { id, watcher, hook, about }, None);
            }
            Some(Ok(Probe::Connect(place))) => self.ask_server(id, watcher, &place, None),
            Some(Ok(Probe::Http(place, request))) => self.ask_server(id, watcher, &place, Some(request)),
            Some(Ok(_)) => Err("there is nothing to ask any more".to_string().into()),
            Some(Err(why)) => Err(why.into()),
        };
        if let Err(trouble) = asked {
            let event = self.failed_question(id, watcher, trouble);
            self.events.push_back(event);
        }
    }

    /// A question has no good answer, or circus was short of something and could not ask.
    fn failed_question(&mut self, id: HookId, watcher: WatcherId, trouble: Trouble) -> Event {
        if trouble.shortage {
            self.say_shortage(&trouble);
            return Event::HookDelayed { id, watcher };
        }
        Event::HookDone { id, watcher, answer: Answer::Failed(trouble.why) }
    }

    /// What is to be asked about a process; nothing for hooks.
    fn question(&self, watcher: WatcherId, hook: Hook, about: &About) -> Option<Result<Probe, String>> {
        let watcher = self.arbiter.watcher(watcher)?;
        let text = match hook {
            Hook::Ready => &watcher.making().options.ready,
            Hook::Health => &watcher.config.options.health,
            _ => return None,
        };
        let pid = about.pid?;
        let (_, wid) = self.arbiter.owner(pid)?;
        Some(Probe::parse(text.as_deref()?, wid, pid))
    }

    fn ask_server(
        &mut self,
        id: HookId,
        watcher: WatcherId,
        place: &Place,
        request: Option<String>,
    ) -> Result<(), Trouble> {
        let speaks_http = request.is_some();
        let exchange = TcpClient::begin(place, request.unwrap_or_default().into_bytes())?;
        // Nobody but circus can be to blame for this.
        let watched = self.watch_probe(exchange.fd(), token(id));
        watched.map_err(|error| Trouble { shortage: true, ..error.into() })?;
        self.probes.0.push(Asked { id, watcher, exchange, speaks_http });
        self.end_shortage();
        Ok(())
    }

    /// A connection has something to say.
    pub(crate) fn probe_ready(&mut self, number: u32) {
        let found = self.probes.0.iter_mut().find(|asked| token(asked.id) == number);
        let Some(asked) = found else { return };
        let (id, watcher) = (asked.id, asked.watcher);
        let event = match asked.go_on() {
            Ok(false) => return,
            Ok(true) => Event::HookDone { id, watcher, answer: Answer::Yes },
            Err(trouble) => self.failed_question(id, watcher, trouble),
        };
        self.end_question(id);
        self.dispatch(event);
    }

    /// Ends a hook or a question whose answer is not needed any more.
    pub(crate) fn cancel_hook(&mut self, id: HookId, watcher: WatcherId) {
        if !self.end_question(id) {
            self.helpers.cancel_hook(id, watcher, self.now);
        }
    }

    /// Closes a connection, which takes it out of the poll; false when there is none.
    fn end_question(&mut self, id: HookId) -> bool {
        let at = self.probes.0.iter().position(|asked| asked.id == id);
        at.map(|at| self.probes.0.swap_remove(at)).is_some()
    }
}
