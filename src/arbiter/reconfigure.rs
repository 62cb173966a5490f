//! Another configuration while everything runs: what has changed in it is applied, and nothing else is touched.
//!
//! The daemon reads and checks the files, opens the sockets, and hands the watchers over. Here they are compared with
//! what the files said before, so that what a command has set or added meanwhile is neither noticed nor undone. As
//! with every order, goals are set and nobody is waited for: a reading may follow on another at any time.

use super::context::Cx;
use super::orders::{STOPPING, Wait};
use super::request::{Errno, Planned, Reply, Ticket};
use super::roster::streams;
use super::time::Time;
use super::waiters::{Await, Waiter};
use super::watcher::{Goal, Watcher};
use super::{Action, Arbiter, Level, Published, WatcherId};
use crate::config::WatcherConfig;
use crate::config::changes::Change;
use crate::config::options::Live;
use crate::sorted::Sorted;
use std::rc::Rc;

/// An order to read the files again; it comes back with what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Whose order it is.
    pub ticket: Ticket,
    /// Answer when everything is done.
    pub waiting: bool,
    /// What for.
    pub purpose: Purpose,
}

/// What files are read for.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// To apply what has changed.
    Apply {
        /// Stop everything and start it again, whether it has changed or not.
        restart: bool,
    },
    /// For some watchers alone; all the rest stays as it is.
    #[cfg(feature = "deploy")]
    Look(super::request::Deploy),
}

/// What the files say now, as far as it is about watchers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewConfig {
    /// The watchers, whatever made them, each name once.
    pub watchers: Vec<WatcherConfig>,
    /// Seconds between the starts of two watchers.
    pub warmup_delay: f64,
    /// Watchers whose processes would get something else from circus now, such as another socket.
    pub touched: Vec<WatcherId>,
    /// What would change beside watchers, if that was asked.
    pub beside: Vec<Planned>,
}

/// A watcher, and what is to come of it, which a client may wait for; `None`: its options hold from now on, no more.
type Step = (WatcherId, Option<Await>);

/// It starts, in its turn.
const START: Option<Await> = Some(Await::Up { added: false });

impl Arbiter {
    /// Has the files read; with `restart` everything is started anew then. The answer comes with what is found.
    pub(super) fn read_again(&mut self, restart: bool, wait: Wait) -> Option<Reply> {
        let Wait { ticket, waiting, .. } = wait;
        let purpose = Purpose::Apply { restart };
        self.cx.act(Action::Read(Reading { ticket, waiting, purpose }));
        None
    }

    /// The files were read, or cannot be used; then everything stays as it is.
    pub(super) fn have_read(&mut self, reading: Reading, found: Result<Box<NewConfig>, String>) {
        match found {
            Err(reason) => self.cx.reply(reading.ticket, Reply::error(Errno::Failed, reason)),
            Ok(_) if self.is_ending() => {
                self.cx.reply(reading.ticket, Reply::error(Errno::Conflict, STOPPING));
            }
            Ok(new) => match &reading.purpose {
                Purpose::Apply { restart } => self.reconfigure(&reading, *restart, *new),
                #[cfg(feature = "deploy")]
                Purpose::Look(deploy) => self.have_looked(&reading, deploy, *new),
            },
        }
    }

    fn reconfigure(&mut self, reading: &Reading, restart: bool, new: NewConfig) {
        self.warmup_delay = new.warmup_delay;
        let mut steps: Vec<Step> = Vec::new();
        let ids: Vec<_> = new.watchers.iter().map(|config| self.find(&config.name).map(|w| w.id)).collect();
        for id in self.not_in(&ids) {
            self.leave(id);
            steps.push((id, Some(Await::Removed)));
        }
        let (removed, mut added, mut changed) = (steps.len(), 0, 0);
        for (config, id) in new.watchers.into_iter().zip(ids) {
            let step = match id {
                Some(id) => self.amend(id, config, false).inspect(|_| changed += 1),
                None => {
                    added += 1;
                    self.take_in(config)
                }
            };
            steps.extend(step);
        }
        for id in new.touched {
            let up = self.watchers.get(&id).is_some_and(|watcher| watcher.goal == Goal::Up);
            match steps.iter_mut().find(|(other, _)| *other == id) {
                Some((_, step @ (None | Some(Await::Settled)))) if up => *step = Some(Await::Reloaded),
                None if up => steps.push((id, Some(Await::Reloaded))),
                Some(_) | None => {}
            }
        }
        if restart {
            steps.retain(|(_, step)| *step == Some(Await::Removed));
            for id in self.by_priority().into_iter().rev() {
                let autostart = self.watcher(id).is_some_and(|watcher| watcher.config.options.autostart);
                steps.push((id, Some(if autostart { Await::Restarted } else { Await::Down })));
            }
        }
        let text = format!("configuration read again: {added} added, {changed} changed, {removed} removed");
        self.cx.log(Level::Info, text);
        self.take_steps(reading, steps);
    }

    /// The watchers that a file once named and that are not among these.
    pub(super) fn not_in(&self, ids: &[Option<WatcherId>]) -> Vec<WatcherId> {
        let named: Sorted<WatcherId, ()> = ids.iter().flatten().map(|id| (*id, ())).collect();
        let of_file = |id: &WatcherId| self.watchers.get(id).is_some_and(|w| w.settings.loaded.is_some());
        let mut gone = self.by_priority();
        gone.retain(|id| of_file(id) && !named.contains_key(id));
        gone.reverse();
        gone
    }

    /// A watcher that is new in the files.
    fn take_in(&mut self, config: WatcherConfig) -> Option<Step> {
        let (text, autostart) = (format!("{}: added", config.name), config.options.autostart);
        self.cx.log(Level::Info, text);
        let id = self.admit(config);
        let watcher = self.watchers.get_mut(&id)?;
        watcher.settings.loaded = Some(watcher.config.clone());
        autostart.then_some((id, START))
    }

    /// Gives a watcher what has changed in the files, or all that they say, whatever commands have made of it.
    pub(super) fn amend(&mut self, id: WatcherId, new: WatcherConfig, all: bool) -> Option<Step> {
        let watcher = self.watchers.get_mut(&id)?;
        let loaded = watcher.settings.loaded.clone().filter(|_| !all);
        let old = loaded.unwrap_or_else(|| watcher.config.clone());
        if old.says_the_same(&new) {
            watcher.settings.loaded = Some(old);
            if all {
                watcher.settings.past.take_behind();
            }
            return None;
        }
        self.dependencies.have_changed(&watcher.config);
        // What was rolled back is not what the next change of the file goes on from.
        let is_behind = watcher.settings.past.take_behind();
        let old = if is_behind { watcher.config.clone() } else { old };
        let (changes, step) = watcher.take_over(&old, new, all, self.cx.now);
        self.dependencies.have_changed(&watcher.config);
        let name = &watcher.config.name;
        let keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
        let text = format!("{name}: changed in the configuration: {}", keys.join(" "));
        self.cx.log(Level::Info, text);
        self.cx.act(Action::Changed(id));
        changes.iter().for_each(|_| self.cx.publish(name, Published::Updated));
        Some((id, step))
    }

    fn take_steps(&mut self, reading: &Reading, steps: Vec<Step>) {
        let Reading { ticket, waiting, .. } = *reading;
        let parts = steps.iter().filter(|(_, step)| step.is_some()).count();
        if waiting && parts > 0 {
            self.await_parts(ticket, parts);
        } else {
            self.cx.reply(ticket, Reply::Ok);
        }
        let mut to_start = Vec::new();
        for (id, step) in &steps {
            match step {
                Some(Await::Up { .. } | Await::Restarted) => to_start.push(*id),
                Some(Await::Removed | Await::Down) => self.unqueue(*id),
                Some(Await::Settled | Await::Reloaded | Await::Counted | Await::Ended(_)) | None => {}
            }
        }
        // No watcher's turn to start comes before all have taken their step.
        let boot = self.startup.take();
        for (id, step) in steps {
            self.with(id, |watcher, cx| {
                watcher.take_step(&step, ticket, waiting, cx);
            });
        }
        self.startup = boot;
        let mut in_order = self.by_priority();
        in_order.retain(|id| to_start.contains(id));
        self.start_in_order(in_order);
    }
}

impl Watcher {
    /// Takes over what its files say otherwise than before: which keys, and what is to be done.
    fn take_over(
        &mut self,
        old: &Rc<WatcherConfig>,
        new: WatcherConfig,
        deploys: bool,
        now: Time,
    ) -> (Vec<Change>, Option<Await>) {
        let new = Rc::new(new);
        let before = Rc::clone(&self.config);
        let nothing_was_set = Rc::ptr_eq(&self.config, old);
        let changes = Rc::make_mut(&mut self.config).take_over(old, &new);
        if nothing_was_set {
            self.config = new.clone(); // one of the two is enough
        }
        let has = |live| changes.iter().any(|change| change.live == live);
        let renew = has(Live::Reload) || has(Live::Fixed) || streams(&before) != streams(&self.config);
        let renew = renew || old.broken != new.broken;
        if renew || deploys {
            self.keep_proven(before, now);
        }
        let step = match self.goal {
            Goal::Up if renew => Some(Await::Reloaded),
            Goal::Up => has(Live::Numprocesses).then_some(Await::Settled),
            Goal::Down | Goal::Gone => START.filter(|_| self.is_mended(old, renew)),
        };
        self.settings.loaded = Some(new);
        (changes, step)
    }

    /// It is down for a reason that the files had given and do not give any more. What a command has stopped stays so.
    fn is_mended(&self, old: &WatcherConfig, renew: bool) -> bool {
        let starts =
            |config: &WatcherConfig| config.options.autostart && (config.wanted() > 0 || config.is_builtin());
        let gave_up = self.reason().is_some() && renew;
        self.goal == Goal::Down && !self.queued && (gave_up || starts(&self.config) && !starts(old))
    }

    fn take_step(&mut self, step: &Option<Await>, ticket: Ticket, waiting: bool, cx: &mut Cx) {
        if let (true, Some(what)) = (waiting, step.clone()) {
            let before = self.pids();
            self.waiters.push(Waiter { ticket, what, before });
        }
        self.ready_by_options(cx);
        match step {
            Some(Await::Removed) => self.want_gone(),
            Some(Await::Up { .. }) => self.queued |= self.goal != Goal::Up,
            Some(Await::Reloaded) => self.renew(cx),
            Some(Await::Restarted) => self.stop_first(),
            Some(Await::Down) => self.want_down(),
            Some(Await::Settled | Await::Counted | Await::Ended(_)) | None => {}
        }
    }
}
