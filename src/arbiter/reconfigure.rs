//! Another configuration while everything runs: what has changed in it is applied, and nothing else is touched.
//!
//! The daemon reads and checks the files, opens the sockets, and hands the watchers over. Here they are compared with
//! what the files said before, so that what a command has set or added meanwhile is neither noticed nor undone. As
//! with every order, goals are set and nobody is waited for: a reading may follow on another at any time.

use super::context::Cx;
use super::orders::STOPPING;
use super::request::{Errno, Reply, Ticket};
use super::set_options::streams;
use super::waiters::{Await, Waiter};
use super::watcher::{Goal, Watcher};
use super::{Action, Arbiter, Level, Published, WatcherId};
use crate::config::WatcherConfig;
use crate::config::changes::Change;
use crate::config::options::Live;
use std::rc::Rc;

/// An order to read the files again; it comes back with what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whose order it is.
    pub ticket: Ticket,
    /// Answer when everything is done.
    pub waiting: bool,
    /// Stop everything and start it again, whether it has changed or not.
    pub restart: bool,
}

/// What the files say now, as far as it is about watchers.
#[derive(Clone, Debug, PartialEq)]
pub struct NewConfig {
    /// The watchers, whatever made them, each name once.
    pub watchers: Vec<WatcherConfig>,
    /// Seconds between the starts of two watchers.
    pub warmup_delay: f64,
    /// Watchers whose processes would get something else from circus now, such as another socket.
    pub touched: Vec<WatcherId>,
}

/// What is to be done with a watcher.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Stop it and forget it.
    Remove,
    /// Start it in its turn.
    Start,
    /// Its options hold from now on; nothing is to be waited for.
    Settle,
    /// Start or stop as many processes as are too few or too many.
    Count,
    /// Replace its processes.
    Renew,
    /// Stop it; it is started in its turn.
    StopFirst,
    /// Stop it.
    Stop,
}

impl Step {
    /// What a client that waits is to wait for.
    fn awaited(self) -> Option<Await> {
        match self {
            Step::Remove => Some(Await::Removed),
            Step::Start => Some(Await::Up { added: false }),
            Step::Settle => None,
            Step::Count => Some(Await::Settled),
            Step::Renew => Some(Await::Reloaded),
            Step::StopFirst => Some(Await::Restarted),
            Step::Stop => Some(Await::Down),
        }
    }
}

/// How many watchers were added, changed and removed.
#[derive(Default)]
struct Tally {
    added: usize,
    changed: usize,
    removed: usize,
}

impl Arbiter {
    /// The files were read, or cannot be used; then everything stays as it is.
    pub(super) fn have_read(&mut self, reading: Reading, found: Result<Box<NewConfig>, String>) {
        let ticket = reading.ticket;
        let refuse = |errno, reason: String| Action::Reply { ticket, reply: Reply::error(errno, reason) };
        match found {
            Err(reason) => self.cx.act(refuse(Errno::Failed, reason)),
            Ok(_) if self.is_ending() => self.cx.act(refuse(Errno::Conflict, STOPPING.into())),
            Ok(new) => self.reconfigure(reading, *new),
        }
    }

    fn reconfigure(&mut self, reading: Reading, new: NewConfig) {
        self.warmup_delay = new.warmup_delay;
        let mut tally = Tally::default();
        let mut steps: Vec<(WatcherId, Step)> = Vec::new();
        let ids: Vec<_> = new.watchers.iter().map(|config| self.id_of(&config.name).ok()).collect();
        for id in self.not_in(&ids) {
            tally.removed += 1;
            self.leave(id);
            steps.push((id, Step::Remove));
        }
        for (config, id) in new.watchers.into_iter().zip(ids) {
            let step = match id {
                Some(id) => self.amend(id, config, &mut tally),
                None => self.take_in(config, &mut tally),
            };
            steps.extend(step);
        }
        for id in new.touched {
            let up = self.watchers.get(&id).is_some_and(|watcher| watcher.goal == Goal::Up);
            match steps.iter_mut().find(|(other, _)| *other == id) {
                Some((_, step @ (Step::Settle | Step::Count))) if up => *step = Step::Renew,
                None if up => steps.push((id, Step::Renew)),
                Some(_) | None => {}
            }
        }
        if reading.restart {
            steps.retain(|(_, step)| *step == Step::Remove);
            steps.extend(self.all_anew());
        }
        let Tally { added, changed, removed } = tally;
        let text = format!("configuration read again: {added} added, {changed} changed, {removed} removed");
        self.cx.log(Level::Info, text);
        self.take_steps(reading, steps);
    }

    /// The watchers that a file once named and that are not among these.
    fn not_in(&self, ids: &[Option<WatcherId>]) -> Vec<WatcherId> {
        let mut named = vec![false; self.next_id as usize];
        for id in ids.iter().flatten() {
            named.get_mut(id.0 as usize).into_iter().for_each(|named| *named = true);
        }
        let is_named = |id: WatcherId| named.get(id.0 as usize).copied().unwrap_or_default();
        let of_file =
            |id: WatcherId| self.watcher(id).is_some_and(|watcher| watcher.settings.loaded.is_some());
        let mut gone = self.by_priority();
        gone.retain(|id| of_file(*id) && !is_named(*id));
        gone.reverse();
        gone
    }

    /// A watcher that is new in the files.
    fn take_in(&mut self, config: WatcherConfig, tally: &mut Tally) -> Option<(WatcherId, Step)> {
        tally.added += 1;
        let (text, autostart) = (format!("{}: added", config.name), config.options.autostart);
        self.cx.log(Level::Info, text);
        let id = self.admit(config);
        let watcher = self.watchers.get_mut(&id)?;
        watcher.settings.loaded = Some(watcher.config.clone());
        autostart.then_some((id, Step::Start))
    }

    /// Gives a watcher what has changed in the files.
    fn amend(&mut self, id: WatcherId, new: WatcherConfig, tally: &mut Tally) -> Option<(WatcherId, Step)> {
        let watcher = self.watchers.get_mut(&id)?;
        let old = watcher.settings.loaded.clone().unwrap_or_else(|| watcher.config.clone());
        if old.says_the_same(&new) {
            watcher.settings.loaded = Some(old);
            return None;
        }
        tally.changed += 1;
        self.dependencies.have_changed(&watcher.config);
        let (changes, step) = watcher.take_over(&old, new);
        self.dependencies.have_changed(&watcher.config);
        let name = &watcher.config.name;
        let keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
        let text = format!("{name}: changed in the configuration: {}", keys.join(" "));
        self.cx.log(Level::Info, text);
        self.cx.act(Action::Changed(id));
        for _ in &changes {
            self.cx.publish(name, Published::Updated);
        }
        Some((id, step))
    }

    /// All watchers are stopped, and started again if they start by themselves.
    fn all_anew(&self) -> Vec<(WatcherId, Step)> {
        let mut steps = Vec::new();
        for id in self.by_priority().into_iter().rev() {
            let autostart = self.watcher(id).is_some_and(|watcher| watcher.config.options.autostart);
            steps.push((id, if autostart { Step::StopFirst } else { Step::Stop }));
        }
        steps
    }

    fn take_steps(&mut self, reading: Reading, steps: Vec<(WatcherId, Step)>) {
        let Reading { ticket, waiting, .. } = reading;
        let parts = steps.iter().filter(|(_, step)| step.awaited().is_some()).count();
        if waiting && parts > 0 {
            self.await_parts(ticket, parts);
        } else {
            self.cx.act(Action::Reply { ticket, reply: Reply::Ok });
        }
        let mut to_start = Vec::new();
        for (id, step) in &steps {
            match step {
                Step::Start | Step::StopFirst => to_start.push(*id),
                Step::Remove | Step::Stop => self.unqueue(*id),
                Step::Settle | Step::Count | Step::Renew => {}
            }
        }
        // Nobody's turn to start comes before everybody has taken the step.
        let boot = self.startup.take();
        for (id, step) in steps {
            self.with(id, |watcher, cx| {
                if let (true, Some(what)) = (waiting, step.awaited()) {
                    let before = watcher.pids();
                    watcher.waiters.push(Waiter { ticket, what, before });
                }
                watcher.take_step(step, cx);
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
    fn take_over(&mut self, old: &Rc<WatcherConfig>, new: WatcherConfig) -> (Vec<Change>, Step) {
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
        if renew {
            self.keep_proven(before);
        }
        let step = if self.goal != Goal::Up {
            if self.is_mended(old, renew) { Step::Start } else { Step::Settle }
        } else if renew {
            Step::Renew
        } else if has(Live::Numprocesses) {
            Step::Count
        } else {
            Step::Settle
        };
        self.settings.loaded = Some(new);
        (changes, step)
    }

    /// It is down for a reason that the files had given and do not give any more. What somebody has stopped stays so.
    fn is_mended(&self, old: &WatcherConfig, renew: bool) -> bool {
        let starts =
            |config: &WatcherConfig| config.options.autostart && (config.wanted() > 0 || config.is_builtin());
        let gave_up = self.reason().is_some() && renew;
        self.goal == Goal::Down && !self.queued && (gave_up || starts(&self.config) && !starts(old))
    }

    fn take_step(&mut self, step: Step, cx: &mut Cx) {
        self.ready_by_options(cx);
        match step {
            Step::Remove => self.want_gone(),
            Step::Start => self.queued |= self.goal != Goal::Up,
            Step::Settle | Step::Count => {}
            Step::Renew => self.renew(cx),
            Step::StopFirst => self.stop_first(),
            Step::Stop => self.want_down(),
        }
    }
}
