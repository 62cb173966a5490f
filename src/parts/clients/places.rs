//! Caller gets a place among the connections, so that nobody can take them all, and how much memory all of them together
//! may take.
//!
//! Whoever is not privileged (root, circus's own user, admins) has a share of the places. Some are kept for the
//! privileged, and of all places one process of theirs leaves some to others. When places are short, a connection by which nothing was asked gives
//! way to a newcomer: it is looked for when one comes, so no time has to be waited for.

use super::Clients;
use super::client::{Caller, Client};
use crate::arbiter::Pid;
use crate::arbiter::request::Errno;
#[cfg(feature = "reloadconfig")]
use crate::config::row::Role;
use crate::control::Refusal;
use crate::control::protocol::{self, Id};
use crate::control::wire::Wire;
use crate::parts::log::Level;
use crate::reactor::part::Cx;
use crate::sorted::Sorted;
use crate::sys::{clock, io_words, limit, socket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The most connections at a time.
const MOST_CLIENTS: usize = 4096;
/// So many are let in whatever the limit of open files is, half of them of other users; what is more leaves an eighth of
/// that limit to processes.
const FEW_CLIENTS: usize = 16;
/// How many places are kept, or an eighth of them if these are fewer.
const KEPT: usize = 64;
/// The part of the places that one other user may have.
const SHARE: usize = 4;
/// When places are short, a connection by which nothing was asked for so long loses its own.
const SILENCE: Duration = Duration::from_secs(10);
/// So many bytes may be kept of what clients have sent and of what they have not read; when memory is short, so many.
pub(super) const MOST_HELD: usize = 64 << 20;
pub(super) const FEW_HELD: usize = 1 << 20;

const SILENT: &str = "nothing was asked by this connection for 10 s, and its place is needed";
const HEAVIEST: &str = "circus keeps too much for its clients already, and most of it for this connection";

impl Clients {
    /// Takes a new connection in, or says why not.
    pub(super) fn admit(&mut self, listener: usize, stream: UnixStream, cx: &mut Cx<'_>) -> Option<u32> {
        if self.listeners.are_well(cx.now) {
            cx.log.over(Level::Info, "accept", format_args!("control connections are accepted again"));
        }
        let opened = self.listeners.opened(listener)?;
        let peer = socket::peer_credentials(stream.as_raw_fd()).ok();
        let (pid, uid) = peer.map_or((None, u32::MAX), |(pid, uid, _)| (Some(pid), uid));
        let pid = pid.filter(|pid| *pid > 0); // 0 is one of another pid namespace
        let mut caller = Caller { pid, since: Some(cx.now), ..Caller::of(uid) };
        (caller.by_port, caller.events_only) = (opened.is_port(), opened.events_only);
        caller.by_abstract_name = opened.is_abstract();
        if cx.setup.access.knows_groups() && !caller.trusted {
            caller.gids = socket::peer_groups(stream.as_raw_fd()).unwrap_or_default();
            caller.gids.extend(peer.map(|(_, _, gid)| gid));
        }
        caller.privileged = cx.setup.access.is_privileged(&caller);
        let mut client = Client::new(stream, caller, Wire::default());
        let access = &cx.setup.access;
        if access.role(&client.caller).is_none() && !access.awaits_token(&client.caller) {
            let why = cx.setup.access.stranger(&client.caller);
            refuse(&mut client, &why);
            return None;
        }
        if let Err(reason) = self.make_room(&client.caller, client.stream.as_raw_fd(), cx) {
            let text = format_args!("control: a connection is refused: {reason}");
            cx.log.once(Level::Warning, reason, text);
            refuse(&mut client, reason);
            return None;
        }
        self.take_in(client, cx)
    }

    /// Serves a plugin that runs as this user, and which is told of everything, in the next turn.
    pub(super) fn take_in_plugin(&mut self, stream: UnixStream, pid: Pid, uid: u32, cx: &mut Cx<'_>) {
        let caller = Caller { plugin: Some(pid), ..Caller::of(uid) };
        let mut client = Client::new(stream, caller, Wire::lines());
        client.topics = Some(Vec::new());
        let id = self.take_in(client, cx);
        self.visits.extend(id);
    }

    /// The roles may have changed: whoever has none any more, or follows without the right, or has shown another token, is
    /// hung up on.
    #[cfg(feature = "reloadconfig")]
    pub fn judge_again(&mut self, has_other_token: bool, cx: &mut Cx<'_>) {
        let access = &cx.setup.access;
        for (id, client) in self.clients.iter_mut() {
            client.caller.proven &= !has_other_token;
            client.caller.privileged = access.is_privileged(&client.caller);
            let role = access.role(&client.caller);
            if role.is_none() || client.follows.is_some() && role < Some(Role::Owner) {
                refuse(client, "the roles in [access] have changed");
                client.weigh(&mut self.held);
                self.visits.push(*id);
            }
        }
    }

    /// Has a connection looked after from now on.
    fn take_in(&mut self, mut client: Client, cx: &mut Cx<'_>) -> Option<u32> {
        let id = self.next_client;
        self.next_client = id.wrapping_add(1);
        if let Err(error) = cx.poll.watch_both(client.stream.as_raw_fd(), id << 1) {
            let why = io_words(&error);
            let text = format_args!("control: a connection cannot be waited for: {why}");
            cx.log.once(Level::Error, "connection", text);
            refuse(&mut client, &format!("circus cannot wait for this connection: {why}"));
            return None;
        }
        let text = format_args!("control: new connections are served again");
        cx.log.over(Level::Info, "connection", text);
        self.accounts.note_use(&client.caller, cx.setup.access.limits, cx.now);
        self.clients.insert(id, client);
        Some(id)
    }

    /// Makes sure that there is a place for a newcomer.
    ///
    /// # Errors
    /// Why there is none.
    fn make_room(&mut self, newcomer: &Caller, fd: RawFd, cx: &mut Cx<'_>) -> Result<(), &'static str> {
        let count = self.clients.len();
        let own_most = cx.setup.access.limits.connections.filter(|_| newcomer.is_limited());
        if count < FEW_CLIENTS / 2 && own_most.is_none() {
            return Ok(());
        }
        let open = limit::get(limit::NOFILE).map_or(u64::MAX, |limit| limit.soft);
        let mut bounds = Bounds::new(usize::try_from(open).unwrap_or(usize::MAX), newcomer.privileged);
        bounds.share = bounds.share.min(own_most.unwrap_or(usize::MAX));
        let own = self.clients.values().filter(|client| client.caller.is_akin(newcomer)).count();
        let fault = bounds.fault(count, own, fd);
        let Some((reason, among_own)) = fault else { return Ok(()) };
        let now = cx.now;
        let gives_way = |client: &Client| {
            let outranked = newcomer.privileged && !client.caller.privileged;
            client.is_silent(now, if outranked { Duration::ZERO } else { SILENCE })
                && (!among_own || client.caller.is_akin(newcomer))
        };
        let silent = self.clients.iter().find(|(_, client)| gives_way(client)).map(|(id, _)| *id);
        let silent = silent.ok_or(reason)?;
        if let Some(client) = self.clients.get_mut(&silent) {
            refuse(client, SILENT);
        }
        self.close(silent, cx);
        Ok(())
    }
}

/// How many connections there may be for somebody.
struct Bounds {
    most: usize,
    share: usize,
    few: usize,
    /// The first descriptor that is left to others.
    high: usize,
}

impl Bounds {
    /// With a limit of so many open files.
    fn new(open: usize, trusted: bool) -> Bounds {
        let high = open - open / 8;
        let places = high.min(MOST_CLIENTS);
        let kept = KEPT.min(places / 8);
        match trusted {
            true => Bounds { most: places, share: places - kept, few: FEW_CLIENTS, high },
            false => Bounds {
                most: places - kept,
                share: (places / SHARE).max(FEW_CLIENTS / 4),
                few: FEW_CLIENTS / 2,
                high: high - kept,
            },
        }
    }

    /// Why one more is too many, if it is, and whether only one of its own kind could make room. A new descriptor is the
    /// lowest that was free.
    fn fault(&self, count: usize, own: usize, fd: RawFd) -> Option<(&'static str, bool)> {
        if own >= self.share {
            return Some(("there are too many control connections of one user or process", true));
        }
        let high = usize::try_from(fd).is_ok_and(|fd| fd >= self.high);
        let full = count >= self.most || count >= self.few && high;
        full.then_some(("there are too many control connections", false))
    }
}

/// Says why a connection is not served, which is to be closed then. If it cannot be written to, nobody hears it.
pub(super) fn refuse(client: &mut Client, reason: &str) {
    let refusal = Refusal { errno: Errno::Conflict, reason: reason.into() };
    client.give_up(&protocol::encode_outcome(&Id::default(), Err(refusal), clock::realtime()));
}

impl Clients {
    /// Hangs up on connections of the user who takes most of the memory while all together take more than this, the largest first;
    /// on those of the privileged last of all.
    pub(super) fn shed(&mut self, most: usize) -> bool {
        let mut shed = false;
        while self.held > most {
            let mut sums: Sorted<u32, usize> = Sorted::new();
            for client in self.clients.values() {
                *sums.get_or_insert_with(client.caller.uid, || 0) += client.held();
            }
            let weight = |client: &Client| {
                (!client.caller.privileged, sums.get(&client.caller.uid).copied(), client.held())
            };
            let all = self.clients.iter_mut().filter(|(_, client)| client.held() > 0);
            let Some((id, client)) = all.max_by_key(|(_, client)| weight(client)) else { break };
            refuse(client, HEAVIEST);
            client.weigh(&mut self.held);
            self.visits.push(*id);
            shed = true;
        }
        shed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_take_all_places() {
        for open in [16, 20, 64, 256, 1024, 4096, 65_536, usize::MAX] {
            let (own, others) = (Bounds::new(open, true), Bounds::new(open, false));
            assert!(own.most >= others.most && own.high >= others.high, "{open}");
            assert!(others.share < others.most || open < 64, "{open}: another user leaves some to others");
            assert!(own.most <= MOST_CLIENTS && own.share <= own.most, "{open}");
            if open >= 64 {
                assert!(others.most < own.most, "{open}: some are kept");
                assert!(own.share < own.most, "{open}: a process of root leaves some to root");
            }
        }
        let (own, others) = (Bounds::new(65_536, true), Bounds::new(65_536, false));
        assert_eq!((own.most, own.share, others.most, others.share), (4096, 4032, 4032, 1024));
        assert_eq!(others.fault(1100, 1024, 9).map(|fault| fault.1), Some(true));
        assert_eq!(others.fault(4032, 3, 9).map(|fault| fault.1), Some(false));
        assert_eq!(own.fault(4032, 3, 9), None);
    }

    #[test]
    fn descriptors_are_left_to_processes_and_to_root() {
        let (own, others) = (Bounds::new(256, true), Bounds::new(256, false));
        assert!(others.fault(20, 3, 200).is_some() && own.fault(20, 3, 200).is_none());
        assert!(own.fault(20, 3, 230).is_some());
        assert_eq!((own.fault(10, 3, 250), others.fault(7, 3, 250)), (None, None), "a few come in anyway");
    }
}
