//! What becomes of a request: an effect for the loop, if the role of whoever asks is enough, or a refusal.

use super::client::Client;
use super::edit_permission::permit;
use super::permission::{permit_role, permit_watchers};
use super::{Asked, Clients};
use crate::arbiter::Arbiter;
use crate::arbiter::history::Origin;
use crate::arbiter::request::{Errno, Order, Request, Ticket};
use crate::config::row::Role;
use crate::control::protocol::Incoming;
use crate::control::{Map, Refusal};
use crate::host::procfs;
use crate::parts::log::Level;
use crate::reactor::part::{Cx, Effect};
use crate::sys::memory;
use crate::views::targets::targets;
use std::rc::Rc;

impl Clients {
    /// Has a request answered, or refuses it.
    pub(super) fn take_request(&mut self, from: u32, envelope: Vec<u8>, incoming: Incoming, cx: &mut Cx<'_>) {
        let Incoming { id, cast, request, needs } = incoming;
        let Some(client) = self.clients.get_mut(&from) else { return };
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        client.has_asked |= request.is_ok();
        let is_low = cx.setup.access.is_low(&client.caller);
        if !cast {
            client.waits += 1;
            self.asked.insert(ticket, Asked { client: from, envelope, id, is_low });
        }
        let access = &cx.setup.access;
        if let Ok(Request::Token(token)) = &request {
            client.caller.proven = access.takes_token(&client.caller, token);
        }
        // By a port: it may be a browser, whose page has our requests in the body of its own.
        let rubbish = matches!(&request, Err(why) if why.errno == Errno::NotJson);
        let hang_up =
            client.caller.by_port && !client.ended && (rubbish || access.awaits_token(&client.caller));
        let role = cx.setup.access.role(&client.caller);
        let role = role.ok_or_else(|| Refusal::message(cx.setup.access.stranger(&client.caller)));
        let request = request.and_then(|request| {
            let role = role?;
            let request = permit_role(role, needs).and_then(|()| client.may_ask(request)).and_then(afford);
            request.map(|request| (request, role))
        });
        let effect = match request {
            Ok((Request::Token(_), _)) => Ok(Effect::Answer(ticket, Ok(Map::new()))),
            Ok((Request::Listen(topics), _)) => {
                client.topics = Some(topics);
                Ok(Effect::Answer(ticket, Ok(Map::new())))
            }
            Ok((Request::Question(_), _)) if cast => return,
            Ok((Request::Question(question), role)) => Ok(Effect::Question { ticket, question, role }),
            Ok((Request::Tail(tail), _)) => Ok(Effect::Tail { ticket, client: from, tail }),
            Ok((Request::Logs { name, rotate }, _)) => Ok(Effect::Logs { ticket, name, rotate }),
            Ok((Request::Order(order), role)) => order_of((client, role), ticket, order, cx),
            Err(refusal) => Err(refusal),
        };
        match effect {
            Ok(effect) => cx.effect(effect),
            Err(refusal) => self.answer(ticket, Err(refusal)),
        }
        if hang_up && let Some(client) = self.clients.get_mut(&from) {
            let what = if rubbish { "JSON object" } else { "token, or a wrong one," };
            let text = format_args!("control: a connection by TCP that sent no {what} is closed");
            cx.log.once(Level::Warning, "no request", text);
            (client.ended, client.broken) = (true, true);
        }
    }
}

/// Whether there is memory to look at a request of so many bytes. What is read from it may take many times as much.
pub(super) fn is_affordable(length: usize) -> bool {
    const SMALL: usize = 1024;
    const LARGE: usize = 64 * 1024;
    const TIMES: usize = 64;
    !(memory::is_short() && length > SMALL || length > LARGE && !memory::has_room(length * TIMES))
}

/// Lets through what there is memory for. Orders that are short always pass: with them one makes room.
fn afford(request: Request) -> Result<Request, Refusal> {
    match matches!(request, Request::Order(_)) || !memory::is_scarce() {
        true => Ok(request),
        false => Err(Refusal::no_memory()),
    }
}

/// An order of a client, if it may give it.
fn order_of(
    (client, role): (&Client, Role),
    ticket: Ticket,
    order: Order,
    cx: &Cx<'_>,
) -> Result<Effect, Refusal> {
    let (caller, task, arbiter) = (&client.caller, &order.what, cx.arbiter);
    let owner = cx.setup.options.endpoint_owner.as_deref();
    permit(arbiter, owner, (caller, role), task).map_err(Refusal::message)?;
    let targets = targets(arbiter, task).map_err(Refusal::message)?;
    if role == Role::Operate {
        let permitted = permit_watchers(arbiter, &cx.setup.access, caller, (task, targets.as_deref()));
        permitted.map_err(|reason| Refusal { errno: Errno::Conflict, reason })?;
    }
    let by = Rc::new(origin(client, order.what.word(), cx.arbiter));
    Ok(Effect::Order { ticket, order, targets, by })
}

/// Who gives an order, as far as that can be told.
fn origin(client: &Client, order: &'static str, arbiter: &Arbiter) -> Origin {
    let caller = &client.caller;
    let plugin = caller.plugin.and_then(|pid| arbiter.watcher(arbiter.owner(pid)?.0));
    let pid = caller.plugin.or(caller.pid);
    let line = || pid.map_or_else(|| client.address(), procfs::command_line).unwrap_or_default();
    Origin {
        order,
        uid: (caller.uid != u32::MAX).then_some(caller.uid),
        pid,
        client: plugin.map_or_else(line, |plugin| plugin.config.name.clone()),
    }
}
