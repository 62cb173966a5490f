//! What one user may take: how many connections, how many requests a second and how large, and how long a connection may
//! be of no use. root, the user of circus and `admin` have no such limits.
//!
//! Who asks too much is not refused but heard more slowly: each request and its answer are paid for with time, and whoever
//! is in debt waits until that is paid, by whatever number of connections. So nothing is lost, and others have their turn.

use super::Clients;
use super::client::{Caller, Client};
use super::places::refuse;
use crate::config::options::AccessOptions;
use crate::reactor::part::Cx;
use crate::sorted::Sorted;
use std::time::{Duration, Instant};

/// So many bytes of a request or an answer cost as much as one more request.
const PIECE: usize = 4096;
/// How much time is lent.
const CREDIT: Duration = Duration::from_secs(1);
/// With accounts of so many users those are forgotten that are paid up.
const MOST_ACCOUNTS: usize = 256;

const IDLE: &str = "nothing was asked by this connection for the idle_timeout of [access]";

/// The limits of each user.
#[derive(Clone, Copy, Default)]
pub struct Limits {
    /// How many connections, if that is set.
    pub connections: Option<usize>,
    /// What one request costs; zero: there is no limit.
    cost: Duration,
    /// How long a connection may be of no use, if that counts.
    idle: Option<Duration>,
}

impl Limits {
    /// As `[access]` says.
    pub fn new(options: &AccessOptions) -> Limits {
        let requests = u32::try_from(options.requests).unwrap_or(u32::MAX);
        let idle = options.idle_timeout;
        Limits {
            connections: options.connections.map(|most| usize::try_from(most).unwrap_or(0)),
            cost: CREDIT.checked_div(requests).unwrap_or_default(),
            idle: (idle > 0.0).then(|| Duration::try_from_secs_f64(idle).unwrap_or(Duration::MAX)),
        }
    }
}

/// What users have used, and when to look again.
#[derive(Default)]
pub struct Accounts {
    /// When the requests of a user will be paid for.
    paid: Sorted<u32, Instant>,
    /// When the first of those who wait may go on.
    next: Option<Instant>,
    /// When a connection may have become idle.
    idle: Option<Instant>,
}

impl Accounts {
    /// Somebody pays for requests, and for so many bytes of requests and answers.
    pub fn pay(&mut self, caller: &Caller, (requests, bytes): (usize, usize), limits: Limits, now: Instant) {
        let pieces = u32::try_from(requests + bytes / PIECE).unwrap_or(u32::MAX);
        let cost = limits.cost.saturating_mul(pieces);
        if cost.is_zero() || !caller.is_limited() {
            return;
        }
        if self.paid.len() >= MOST_ACCOUNTS {
            self.paid.retain(|_, until| *until > now);
        }
        let paid = self.paid.get_or_insert_with(caller.uid, || now);
        *paid = now.max(*paid).checked_add(cost).unwrap_or(now);
    }

    /// Whether somebody has to wait.
    pub fn is_in_debt(&mut self, caller: &Caller, now: Instant) -> bool {
        let paid = self.paid.get(&caller.uid).filter(|_| caller.is_limited());
        let debt = paid.and_then(|paid| paid.saturating_duration_since(now).checked_sub(CREDIT));
        let Some(debt) = debt.filter(|debt| !debt.is_zero()) else { return false };
        earlier(&mut self.next, now + debt);
        true
    }

    /// A connection is used: it is not idle before this is over.
    pub fn note_use(&mut self, caller: &Caller, limits: Limits, now: Instant) {
        let at = limits.idle.filter(|_| caller.is_limited()).and_then(|idle| now.checked_add(idle));
        self.idle = self.idle.or(at);
    }

    /// When something is to be done.
    pub fn deadline(&self) -> Option<Instant> {
        self.next.into_iter().chain(self.idle).min()
    }
}

fn earlier(deadline: &mut Option<Instant>, at: Instant) {
    *deadline = Some(deadline.map_or(at, |deadline| deadline.min(at)));
}

impl Clients {
    /// Lets those go on who have waited, and hangs up on whoever has been idle for too long.
    pub(super) fn do_what_is_due(&mut self, cx: &Cx<'_>) {
        if self.accounts.next.take_if(|at| *at <= cx.now).is_some() {
            for (id, client) in self.clients.iter_mut().filter(|(_, client)| client.slowed) {
                client.slowed = false;
                self.visits.push(*id);
            }
        }
        if self.accounts.idle.take_if(|at| *at <= cx.now).is_none() {
            return;
        }
        let Some(limit) = cx.setup.access.limits.idle else { return };
        for (id, client) in self.clients.iter_mut().filter(|(_, client)| client.caller.is_limited()) {
            let from = if client.is_idle() { client.used } else { Some(cx.now) };
            let Some(end) = from.and_then(|from| from.checked_add(limit)) else { continue };
            if end > cx.now {
                earlier(&mut self.accounts.idle, end);
                continue;
            }
            refuse(client, IDLE);
            client.weigh(&mut self.held);
            self.visits.push(*id);
        }
    }
}

impl Client {
    /// Whether nothing is waited for or listened to by it.
    fn is_idle(&self) -> bool {
        let listens = self.topics.is_some() || self.follows.is_some();
        self.waits == 0 && !listens && self.queued() == 0 && !self.slowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_lent_and_then_paid_for() {
        let options = AccessOptions { requests: 10, ..AccessOptions::default() };
        let (limits, now) = (Limits::new(&options), Instant::now());
        let after = |tenths| now + Duration::from_millis(100) * tenths;
        let caller = |uid| Caller { uid, ..Caller::default() };
        let (one, mut accounts) = (caller(7), Accounts::default());
        (0..10).for_each(|_| accounts.pay(&one, (1, 1), limits, now));
        assert!(!accounts.is_in_debt(&one, now) && accounts.deadline().is_none());
        accounts.pay(&one, (1, 2 * PIECE), limits, now);
        assert!(accounts.is_in_debt(&one, after(2)) && !accounts.is_in_debt(&one, after(3)));
        assert_eq!(accounts.deadline(), Some(after(3)));
        assert!(!accounts.is_in_debt(&caller(8), now), "another user");
        (0..10).for_each(|_| accounts.pay(&one, (1, 1), limits, after(50)));
        assert!(!accounts.is_in_debt(&one, after(50)));
        accounts.pay(&one, (1, 1), limits, after(50));
        assert!(accounts.is_in_debt(&one, after(50)), "time without requests pays nothing in advance");
        let admin = Caller { privileged: true, ..caller(7) };
        assert!(!accounts.is_in_debt(&admin, after(50)));
    }

    #[test]
    fn zero_is_no_limit() {
        let options = AccessOptions { requests: 0, idle_timeout: 0.0, ..AccessOptions::default() };
        let (limits, now) = (Limits::new(&options), Instant::now());
        let (one, mut accounts) = (Caller::default(), Accounts::default());
        (0..1000).for_each(|_| accounts.pay(&one, (1, PIECE), limits, now));
        accounts.note_use(&one, limits, now);
        assert!(!accounts.is_in_debt(&one, now) && accounts.deadline().is_none());
    }
}
