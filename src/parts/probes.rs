//! The questions of `ready` and `health` that are asked over a connection: whether somebody accepts it, and what a web
//! server answers. Those that are commands are run as hooks are.

use crate::arbiter::hooks::{About, Answer, HookId};
use crate::arbiter::{Action, Event, WatcherId};
use crate::config::hooks::Hook;
use crate::config::probe::Probe;
use crate::config::url::Place;
use crate::control::http;
use crate::host::trouble::Trouble;
use crate::reactor::part::{Cx, Effect, Part, Readiness};
use crate::reactor::tcp_client::TcpClient;

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
        if !self.exchange.go_on(&http::has_head)? {
            return Ok(false);
        }
        http::success(self.exchange.answer()).map(|()| true).map_err(|(_, why)| why.into())
    }
}

/// The bits of a number that a token has room for.
fn token(id: HookId) -> u32 {
    id.0 as u32
}

impl Probes {
    /// Asks a question of `ready` or `health` if it goes over a connection; false when a program is to be run instead.
    fn ask(&mut self, id: HookId, watcher: WatcherId, hook: Hook, about: &About, cx: &mut Cx<'_>) -> bool {
        let asked = match question(watcher, hook, about, cx) {
            None | Some(Ok(Probe::Exec(_))) => return false,
            Some(Ok(Probe::Connect(place))) => self.ask_server(id, watcher, &place, None, cx),
            Some(Ok(Probe::Http(place, request))) => self.ask_server(id, watcher, &place, Some(request), cx),
            Some(Ok(_)) => Err("there is nothing to ask any more".to_string().into()),
            Some(Err(why)) => Err(why.into()),
        };
        if let Err(trouble) = asked {
            fail(id, watcher, trouble, cx);
        }
        true
    }

    fn ask_server(
        &mut self,
        id: HookId,
        watcher: WatcherId,
        place: &Place,
        request: Option<String>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Trouble> {
        let speaks_http = request.is_some();
        let question = request.unwrap_or_default().into_bytes();
        let exchange = TcpClient::begin(place, question, cx.poll, token(id))?;
        self.0.push(Asked { id, watcher, exchange, speaks_http });
        cx.effect(Effect::NotShort);
        Ok(())
    }

    /// Closes a connection whose answer is not needed any more, which takes it out of the poll; false when there is none.
    fn cancel(&mut self, id: HookId) -> bool {
        let at = self.0.iter().position(|asked| asked.id == id);
        at.map(|at| self.0.swap_remove(at)).is_some()
    }
}

impl Part for Probes {
    fn take(&mut self, effect: Effect, cx: &mut Cx<'_>) -> Option<Effect> {
        let taken = match &effect {
            Effect::Action(Action::RunHook { id, watcher, hook, about }) => {
                self.ask(*id, *watcher, *hook, about, cx)
            }
            Effect::Action(Action::CancelHook { id, .. }) => self.cancel(*id),
            _ => false,
        };
        (!taken).then_some(effect)
    }

    fn ready(&mut self, number: u32, _: Readiness, cx: &mut Cx<'_>) {
        let found = self.0.iter_mut().find(|asked| token(asked.id) == number);
        let Some(asked) = found else { return };
        let (id, watcher) = (asked.id, asked.watcher);
        match asked.go_on() {
            Ok(false) => return,
            Ok(true) => cx.event(Event::HookDone { id, watcher, answer: Answer::Yes }),
            Err(trouble) => fail(id, watcher, trouble, cx),
        }
        self.cancel(id);
    }
}

/// A question has no good answer, or circus was short of something and could not ask.
fn fail(id: HookId, watcher: WatcherId, trouble: Trouble, cx: &mut Cx<'_>) {
    if trouble.shortage {
        cx.effect(Effect::Short(trouble));
        return cx.event(Event::HookDelayed { id, watcher });
    }
    cx.event(Event::HookDone { id, watcher, answer: Answer::Failed(trouble.why) });
}

/// What is to be asked about a process; nothing for hooks.
fn question(watcher: WatcherId, hook: Hook, about: &About, cx: &Cx<'_>) -> Option<Result<Probe, String>> {
    let watcher = cx.arbiter.watcher(watcher)?;
    let pid = about.pid?;
    let text = match hook {
        Hook::Ready => &watcher.options_of(pid).options.ready,
        Hook::Health => &watcher.config.options.health,
        _ => return None,
    };
    let (_, wid) = cx.arbiter.owner(pid)?;
    Some(Probe::parse(text.as_deref()?, wid, pid))
}
