//! What is promised to processes and to clients, checked by what the world sees of it: how long it lies between two spawns,
//! when SIGKILL comes, that a group is asked before it is killed, and what the answer to a reload means.

use super::super::respawn::Chain;
use super::super::spawning::Spawning;
use super::*;

/// How the last process of a watcher has ended, and how many before it in a row ended too soon.
#[derive(Clone, Copy, Debug)]
struct Bad {
    ended: Time,
    times: u32,
    /// How many of them in a row could not be executed, without a shortage, and no other process was left.
    failed: u32,
}

#[derive(Default)]
pub(super) struct Promises {
    last_spawn: BTreeMap<WatcherId, Time>,
    bad: BTreeMap<WatcherId, Bad>,
    /// How many starts of a watcher may have counted for max_retry.
    chances: BTreeMap<WatcherId, u32>,
    born: BTreeMap<Pid, Time>,
    /// Until when a process that was asked to end has to have ended, or have got SIGKILL.
    patience: BTreeMap<Pid, Time>,
    asked: BTreeMap<Pid, Time>,
    killed: BTreeSet<Pid>,
    /// Processes that rm has left alone.
    left_alone: BTreeSet<Pid>,
    /// No watcher requires itself in a circle, and none has hooks.
    ordered: bool,
    /// Graceful reloads that a client waits for.
    reloads: BTreeMap<Ticket, String>,
    /// Processes that circus goes on without, since SIGKILL does not end them.
    given_up: BTreeSet<Pid>,
    /// The options with which a watcher last made what it was to have.
    good: BTreeMap<WatcherId, Rc<WatcherConfig>>,
    /// Watchers in whose reload the old processes are on their way out.
    drains: BTreeSet<WatcherId>,
}

/// The longest time that a random `kill` gives a process.
const LONGEST_KILL: f64 = 2.0;

/// 0.1 s, doubling to 10 s.
fn pause(times: u32) -> f64 {
    (0.1 * f64::from(1u32 << times.saturating_sub(1).min(20))).min(10.0)
}

impl World {
    /// An action is about to be performed.
    pub(super) fn promise(&mut self, action: &Action) {
        let now = self.now;
        match action {
            Action::Spawn { watcher, .. } => {
                self.promise_pause(*watcher);
                self.promise_end_of_piles(*watcher);
                self.promise_good_options(*watcher);
            }
            Action::WatchSockets(id) => {
                let bad = self.promises.bad.get(id).filter(|_| self.has_plain_pauses(*id));
                let waited = bad.map_or(f64::MAX, |bad| now.since(bad.ended));
                assert!(waited >= pause(1) - 0.001, "{id:?} looks at its sockets again after {waited} s");
            }
            Action::GiveUp { pid, .. } => self.promises.given_up.extend([*pid]),
            Action::Ask { pid, signum, .. } => {
                self.promises.killed.extend((*signum == 9).then_some(*pid));
                self.check_order(*pid);
                self.check_drain(*pid);
                self.promises.asked.insert(*pid, now);
                let config = self.owner(*pid).map_or(0.0, |w| w.config.options.graceful_timeout);
                self.promises.patience.insert(*pid, now.plus(config.max(LONGEST_KILL)));
            }
            Action::RunHook { hook: Hook::StopCommand | Hook::BeforeSignal, about, .. } => {
                self.promises.asked.extend(about.pid.map(|pid| (pid, now)));
            }
            Action::Signal { pid, signum: 9, .. } => {
                self.promises.patience.remove(pid);
                self.promises.killed.insert(*pid);
            }
            Action::SignalRemnant { pgid, signum: 9 } => {
                let asked = self.told.range(("group", *pgid, 0)..=("group", *pgid, 99)).next().is_some();
                let killed = self.promises.killed.contains(pgid);
                let by_kill = self.owner(*pgid).is_none_or(|watcher| watcher.config.options.stop_signal == 9);
                let excused = by_kill || self.arbiter.is_hurried();
                assert!(asked || killed || excused, "the group of {pgid} is killed and was not asked");
            }
            Action::Forgotten { left, .. } => {
                self.promises.left_alone.extend(left);
                self.promises.patience.retain(|pid, _| !left.contains(pid));
            }
            Action::Reply { ticket, reply: Reply::Info { kept, .. } } => self.promise_new(*ticket, kept),
            Action::Log { text, .. } => self.promise_tries(text),
            Action::Publish { watcher, what: what @ (Published::Start | Published::Reload) } => {
                self.note_success(watcher, *what == Published::Start);
            }

            Action::Publish { watcher, what: Published::Stop } => {
                let (demand, id) = match self.arbiter.find(watcher) {
                    Some(watcher) => (watcher.config.options.on_demand, Some(watcher.id)),
                    None => (false, None),
                };
                self.promises.bad.retain(|other, _| demand || Some(*other) != id);
                self.promises.chances.retain(|other, _| Some(*other) != id);
            }
            _ => {}
        }
        if let Action::Ask { pid, .. }
        | Action::Signal { pid, .. }
        | Action::SignalRemnant { pgid: pid, .. } = action
        {
            assert!(!self.promises.left_alone.contains(pid), "{pid} is to be left alone: {action:?}");
        }
    }

    /// From now on the order of stops is looked at too.
    pub(super) fn promise_order(&mut self) {
        self.promises.ordered = true;
    }

    /// "What depends on a watcher has stopped before the watcher is asked to stop."
    fn check_order(&self, pid: Pid) {
        let Some(watcher) = self.owner(pid).filter(|watcher| watcher.status() == Status::Stopping) else {
            return;
        };
        let name = &watcher.config.name;
        let depends = |other: &Watcher| other.config.options.requires.as_deref() == Some(name.as_str());
        let of = |other: &Watcher| self.procs.keys().any(|pid| self.modes[pid].0 == other.id);
        let first = self.arbiter.watchers().filter(|other| depends(other)).find(|other| of(other));
        let first = first.map(|other| other.config.name.clone()).filter(|_| self.promises.ordered);
        assert_eq!(first, None, "{name} is asked to stop before it");
    }

    pub(super) fn owner(&self, pid: Pid) -> Option<&Watcher> {
        self.arbiter.watcher(self.modes.get(&pid)?.0)
    }

    /// warmup_delay lies between two spawns, but not in a reload; and after a process that ended too soon, a pause.
    fn promise_pause(&mut self, id: WatcherId) {
        let watcher = self.arbiter.watcher(id).unwrap();
        let (name, options) = (&watcher.config.name, &watcher.config.options);
        let last = self.promises.last_spawn.insert(id, self.now);
        let reloads = watcher.run().reload.is_some();
        let since = last.map_or(f64::MAX, |last| self.now.since(last));
        // One that before_spawn is asked about was decided on when another delay may have held.
        let decided = reloads || watcher.has_hook(Hook::BeforeSpawn);
        assert!(decided || since >= options.warmup_delay, "{name}: no warmup_delay between two spawns");
        let most = u32::try_from(options.max_retry).map_or(u32::MAX, |most| most.max(1));
        let failed = self.promises.bad.get(&id).map_or(0, |bad| bad.failed);
        assert!(reloads || failed < most, "{name} is tried again after {failed} failures");
        let plain = self.has_plain_pauses(id) && !options.on_demand;
        if let Some(Bad { ended, times, .. }) = self.promises.bad.get(&id).filter(|_| plain && !reloads) {
            let (waited, least) = (self.now.since(*ended), pause(*times));
            assert!(waited >= least - 0.001, "{name}: {waited} s of pause after {times} bad ends");
        }
    }

    /// It waits as long as the defaults say between two processes, of which there is one at a time.
    fn has_plain_pauses(&self, id: WatcherId) -> bool {
        self.arbiter.watcher(id).is_some_and(|watcher| {
            let options = &watcher.config.options;
            let plain =
                [options.respawn_delay, options.respawn_delay_max, options.respawn_window] == [None; 3];
            plain && watcher.config.wanted() == 1
        })
    }

    /// What SIGKILL does not end is replaced, but as many as twice the processes that are wanted are enough.
    fn promise_end_of_piles(&self, id: WatcherId) {
        let watcher = self.arbiter.watcher(id).unwrap();
        let there = self.promises.given_up.iter().filter(|pid| self.modes[pid].0 == id).count();
        let there = there + watcher.processes().filter(|process| process.holds_slot()).count();
        let (name, most) = (&watcher.config.name, 2 * watcher.config.wanted());
        // Of others it was decided before, when there was a place.
        let is_new = |spawn: Spawning| spawn.replaces.is_none() && spawn.chain == Chain::default();
        let is_new = watcher.spawns.under_way.is_some_and(is_new) && !watcher.has_hook(Hook::BeforeSpawn);
        let excused = watcher.run().reload.is_some() || !is_new;
        assert!(there < most || excused, "{name} has {there} processes and gets another one");
    }

    /// All has come about that was wanted with the options that hold now, by a start or by a reload.
    fn note_success(&mut self, name: &str, starts: bool) {
        let Some(watcher) = self.arbiter.find(name) else { return };
        // One in which the processes stay shows nothing.
        if starts || watcher.settings.past.proven.is_none() {
            self.promises.good.insert(watcher.id, Rc::clone(&watcher.config));
        }
    }

    /// "The options that it had before make its processes until a reload succeeds."
    fn promise_good_options(&self, id: WatcherId) {
        let watcher = self.arbiter.watcher(id).unwrap();
        let runs = watcher.status() == Status::Active && !watcher.is_reloading();
        let Some(good) = self.promises.good.get(&id).filter(|_| runs) else { return };
        let differ = table::differences(watcher.making(), good);
        let differ: Vec<_> = differ.iter().filter(|(key, _)| table::makes_anew(key)).collect();
        assert!(differ.is_empty(), "{} is made with {differ:?}", watcher.config.name);
    }

    /// "Only when the new processes are there, and ready, are the old ones asked to end."
    fn check_drain(&mut self, pid: Pid) {
        let Some(watcher) = self.owner(pid) else { return };
        let old = watcher.processes().find(|process| process.pid == pid).map(|process| process.generation);
        let mut new = watcher.processes().filter(|process| process.runs() && Some(process.generation) > old);
        let drains = matches!(watcher.run().reload, Some(Reload::Draining));
        let begins = drains && !self.promises.drains.contains(&watcher.id);
        assert!(!begins || new.all(|process| process.is_ready()), "{pid} ends before its successor is ready");
    }

    fn note_drains(&mut self) {
        let drains = |watcher: &&Watcher| matches!(watcher.run().reload, Some(Reload::Draining));
        self.promises.drains = self.arbiter.watchers().filter(drains).map(|watcher| watcher.id).collect();
    }

    /// "could not be executed max_retry times in a row": what the machine is short of does not count.
    fn promise_tries(&self, text: &str) {
        let Some((name, _)) = text.split_once(": given up after ") else { return };
        let Some(watcher) = self.arbiter.find(name).filter(|watcher| watcher.config.wanted() == 1) else {
            return;
        };
        let chances = self.promises.chances.get(&watcher.id).copied().unwrap_or(0);
        let least = watcher.config.options.max_retry.max(1);
        assert!(i64::from(chances) >= least, "{name} is given up, but only {chances} failures count");
    }

    /// A spawn has failed, or a process has ended; the machine may have been short of something.
    pub(super) fn note_end(&mut self, id: WatcherId, pid: Option<Pid>, shortage: bool) {
        self.promises.given_up.retain(|other| Some(*other) != pid);
        // One that ends when its time is over is as good as killed: so is its group.
        let patience =
            self.arbiter.watcher(id).map_or(0.0, |watcher| watcher.config.options.graceful_timeout);
        let is_over =
            |pid: &Pid| self.promises.asked.get(pid).is_some_and(|at| at.plus(patience) <= self.now);
        let over = pid.filter(is_over);
        self.promises.killed.extend(over);
        let asked = |pid| self.promises.asked.contains_key(&pid) || self.promises.killed.contains(&pid);
        let asked = pid.is_some_and(asked);
        let lived =
            pid.and_then(|pid| self.promises.born.get(&pid)).map_or(0.0, |born| self.now.since(*born));
        let Bad { times, failed, .. } =
            self.promises.bad.get(&id).copied().unwrap_or(Bad { ended: self.now, times: 0, failed: 0 });
        self.promises.patience.retain(|other, _| Some(*other) != pid);
        *self.promises.chances.entry(id).or_default() += u32::from(!shortage);
        let watcher = self.arbiter.watcher(id);
        let alone = watcher.is_some_and(|watcher| watcher.processes().next().is_none());
        let failed = if pid.is_none() && alone { failed + u32::from(!shortage) } else { 0 };
        let busy = |watcher: &Watcher| watcher.run().reload.is_some() || watcher.config.wanted() > 1;
        match asked || watcher.is_some_and(busy) || lived >= 1.0 {
            true => drop(self.promises.bad.remove(&id)),
            false => {
                let bad = Bad { ended: self.now, times: times + 1, failed };
                self.promises.bad.insert(id, bad);
            }
        }
    }

    pub(super) fn note_birth(&mut self, pid: Pid) {
        self.promises.born.insert(pid, self.now);
    }

    /// After an order circus tries at once; in a start of several watchers, when the turn of each has come.
    pub(super) fn note_event(&mut self, event: &Event) {
        let orders = matches!(event, Event::Order { .. } | Event::Read { .. } | Event::Reload);
        if orders || self.arbiter.startup.is_some() {
            self.promises.bad.clear();
        }
        if orders {
            // Options by which nothing works are not gone back to.
            let now = self.now;
            let works = |watcher: &Watcher| watcher.processes().any(|process| watcher.works(process, now));
            self.promises.good.retain(|id, _| self.arbiter.watcher(*id).is_some_and(works));
        }
        let Event::Order { ticket, order, .. } = event else { return };
        if let Order { what: Task::Reload { name: Some(name), graceful: true, .. }, waiting: true } = order {
            self.promises.reloads.insert(*ticket, name.clone());
        }
    }

    /// Circus stood still: nobody is to blame for that.
    pub(super) fn note_freeze(&mut self, seconds: f64) {
        self.promises.patience.values_mut().for_each(|at| *at = at.plus(seconds));
    }

    pub(super) fn check_promises(&mut self) {
        self.note_drains();
        let late = self.promises.patience.iter().find(|(_, at)| **at < self.now);
        assert_eq!(late, None, "it should have got SIGKILL");
    }

    /// When a reload is over, none of the processes from before is there.
    fn promise_new(&mut self, ticket: Ticket, kept: &[Pid]) {
        let Some(name) = self.promises.reloads.remove(&ticket) else { return };
        let Some(watcher) = self.arbiter.find(&name) else { return };
        assert!(kept.is_empty() || watcher.reloads_in_place(), "{name} was reloaded, but {kept:?} are there");
    }
}
