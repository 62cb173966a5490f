//! What a circus that was killed has left: found, proved and ended before anything is bound for processes or started, so
//! that there are never two copies.
//!
//! A process is proved to be one of them by the state file (its number and the moment of its start are those that were
//! written down in this boot of the machine, and it runs as who it was started as, or was started as root, who may
//! become anybody), or by the mark in its environment, which names this place and a circus that is gone. With it come
//! its descendants and its group. Neither names nor the time of day prove anything, nor does the environment of a program
//! that has more rights than who runs it. Each is held by a pidfd and looked at again before it gets a signal.
//!
//! All are asked as their watchers say: first those whose parents are none of them, and the rest when its parents are
//! gone; who is there after graceful_timeout is killed. It is looked again until nobody is left.

use crate::arbiter::Pid;
use crate::config::options::WatcherOptions;
use crate::control::mark::Mark;
use crate::control::state::{Recorded, State};
use crate::host::kill::Target;
use crate::host::procfs::{self, Stat};
use crate::host::state_file::{Before, lives};
use crate::parts::log::Log;
use crate::signals::{self, HALTS, SIGCONT, SIGINT, SIGKILL, SIGQUIT, SIGTERM};
use crate::sorted::Sorted;
use crate::sys::signal::Signals;
use crate::sys::{self, io_words, is_gone, process};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// After a SIGKILL it is looked again so soon, and so often.
const AGAIN: Duration = Duration::from_millis(50);
const TIMES: u32 = 41;
/// How long a process may take to become its program, and how often that is looked at.
const BIRTH: Duration = Duration::from_secs(2);
const BIRTH_AGAIN: Duration = Duration::from_millis(2);
/// How many are named in one message.
const NAMED: usize = 20;

/// How the processes of a watcher are ended.
#[derive(Clone)]
struct Manner {
    watcher: String,
    signum: i32,
    grace: Duration,
}

/// Somebody who was found, and is held.
struct Orphan {
    target: Target,
    start: u64,
    parent: Pid,
    /// The place of its manner.
    manner: usize,
    until: Instant,
    told: bool,
    /// How often it got SIGKILL.
    killed: u32,
}

impl Orphan {
    fn lives(&self) -> bool {
        procfs::stat(self.target.pid).is_ok_and(|stat| stat.start == self.start && !stat.is_dead())
    }
}

/// The search for those that were left.
pub struct Orphans {
    place: u64,
    /// The first one is for processes whose watcher is not known.
    manners: Vec<Manner>,
    recorded: Sorted<Pid, (Recorded, usize)>,
    marks: Sorted<u64, usize>,
    /// Those that were to live on when their watcher was removed.
    spared: Vec<Recorded>,
    /// This circus, and those that it comes from.
    own: Vec<Pid>,
    found: Vec<Orphan>,
    /// Processes about which nothing can be done.
    given_up: Vec<(Pid, u64)>,
}

/// What has become of them.
#[derive(PartialEq, Eq)]
pub enum Outcome {
    /// The start can go on.
    Clear,
    /// Circus was asked to end meanwhile.
    Interrupted,
}

/// Deals with what the circus before this one has left in its place. `launcher` has started this one, and waits for it or
/// is the same process.
///
/// # Errors
/// A sentence: somebody is left and is to be left alone, or it cannot be told.
pub fn settle(
    before: Before,
    place: u64,
    launcher: Pid,
    refuse: bool,
    log: &mut Log,
    signals: &mut Signals,
) -> Result<Outcome, String> {
    let state = match before {
        Before::Nobody => return Ok(Outcome::Clear),
        Before::Killed(state) => Some(state),
        Before::Unknown => None,
    };
    let mut orphans = Orphans::new(place, launcher, state.as_deref());
    match orphans.await_births().and_then(|()| orphans.look(log)) {
        Err(error) if procfs::is_absent(&error) => return Ok(Outcome::Clear),
        looked => looked.map_err(|error| unseen(&error))?,
    }
    if orphans.found.is_empty() {
        return Ok(Outcome::Clear);
    }
    let (number, names) = (orphans.found.len(), orphans.names());
    let noun = if number == 1 { "process" } else { "processes" };
    let killed = format!("a circus was killed here and has left {number} {noun} running: {names}");
    if refuse {
        return Err(format!("{killed}; end them, or set `leftovers = stop`"));
    }
    log.warning(format_args!("{killed}; they are stopped before anything is started"));
    let outcome = orphans.end(log, signals)?;
    if outcome == Outcome::Clear && orphans.given_up.is_empty() {
        log.info(format_args!("nothing is left of the circus that was killed"));
    }
    Ok(outcome)
}

fn unseen(error: &io::Error) -> String {
    format!("a circus was killed here, and what it has left cannot be looked for: {}", io_words(error))
}

impl Orphans {
    fn new(place: u64, launcher: Pid, state: Option<&State>) -> Orphans {
        let options = WatcherOptions::default();
        let unknown = Manner {
            watcher: "of no known watcher".into(),
            signum: i32::try_from(options.stop_signal).unwrap_or(SIGTERM),
            grace: Duration::from_secs_f64(options.graceful_timeout),
        };
        let (mut manners, mut recorded, mut marks) = (vec![unknown], Sorted::new(), Sorted::new());
        for watcher in state.iter().flat_map(|state| &state.watchers) {
            for (process, _) in &watcher.processes {
                recorded.insert(process.pid, (*process, manners.len()));
                marks.insert(process.mark, manners.len());
            }
            manners.push(Manner {
                watcher: watcher.name.clone(),
                signum: watcher.stop_signal,
                grace: Duration::from_millis(watcher.graceful_timeout),
            });
        }
        let spared = state.map(|state| state.left.clone()).unwrap_or_default();
        let mut own = vec![process::pid()];
        while let Some(stat) = own.last().and_then(|pid| procfs::stat(*pid).ok())
            && stat.ppid > 0
        {
            own.push(stat.ppid);
        }
        own.push(launcher);
        let (found, given_up) = (Vec::new(), Vec::new());
        Orphans { place, manners, recorded, marks, spared, own, found, given_up }
    }

    /// Waits for those that are not their program yet. They bear no mark, and look like the circus that was killed: like
    /// this one, if both were started by the same command.
    fn await_births(&self) -> io::Result<()> {
        let until = Instant::now() + BIRTH;
        let arguments = procfs::arguments(process::pid());
        let looks_so = |pid: Pid| procfs::arguments(pid) == arguments;
        while procfs::everybody()?.iter().any(|(pid, stat)| self.may_be(*pid, stat) && looks_so(*pid))
            && Instant::now() < until
        {
            std::thread::sleep(BIRTH_AGAIN);
        }
        Ok(())
    }

    /// Looks for all, and holds those that are not held yet.
    fn look(&mut self, log: &mut Log) -> io::Result<()> {
        let mut all = procfs::everybody()?;
        all.retain(|(pid, stat)| self.may_be(*pid, stat));
        let held = self.found.iter().map(|orphan| (orphan.target.pid, orphan.manner));
        let mut found: Sorted<Pid, usize> = held.collect();
        for (pid, stat) in &all {
            if !found.contains_key(pid)
                && let Some(manner) = self.proved(*pid, stat)?
            {
                found.insert(*pid, manner);
            }
        }
        loop {
            let before = found.len();
            for (pid, stat) in &all {
                let manner = found.get(&stat.ppid).or_else(|| found.get(&stat.pgrp)).copied();
                if let Some(manner) = manner.filter(|_| !found.contains_key(pid)) {
                    found.insert(*pid, manner);
                }
            }
            if found.len() == before {
                break;
            }
        }
        for (pid, stat) in &all {
            if let Some(manner) = found.get(pid) {
                self.hold(*pid, stat, *manner, log)?;
            }
        }
        Ok(())
    }

    /// Whether a process may be one of them at all.
    fn may_be(&self, pid: Pid, stat: &Stat) -> bool {
        let is_spared = |spared: &Recorded| (spared.pid, spared.start) == (pid, stat.start);
        !stat.is_dead()
            && pid > 1
            && !self.own.contains(&pid)
            && !self.given_up.contains(&(pid, stat.start))
            && !self.spared.iter().any(is_spared)
    }

    /// Whether a process is known to be one of them, and of which watcher.
    fn proved(&self, pid: Pid, stat: &Stat) -> io::Result<Option<usize>> {
        let recorded = self.recorded.get(&pid).filter(|(recorded, _)| recorded.start == stat.start);
        if let Some((recorded, manner)) = recorded
            && procfs::real_uid(pid).is_some_and(|real| recorded.uid == 0 || recorded.uid == real)
        {
            return Ok(Some(*manner));
        }
        let environ = match procfs::environ(pid) {
            Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(None);
            }
            environ => environ?,
        };
        let Some(Mark { circus, number }) = Mark::among(&environ) else { return Ok(None) };
        let is_spared = self.spared.iter().any(|spared| spared.mark == number);
        let is_plain = || procfs::uids(pid).is_some_and(|(real, effective)| real == effective);
        let is_one = circus.place == self.place && !is_spared && is_plain() && !lives(circus);
        Ok(is_one.then(|| self.marks.get(&number).copied().unwrap_or(0)))
    }

    /// Holds a process that was found. As many are held as there are descriptors for: the others have their turn when
    /// these are gone.
    fn hold(&mut self, pid: Pid, stat: &Stat, manner: usize, log: &mut Log) -> io::Result<()> {
        if let Some(known) = self.found.iter_mut().find(|orphan| orphan.target.pid == pid) {
            known.parent = stat.ppid;
            return Ok(());
        }
        let target = match Target::hold(pid) {
            Err(_) if !self.found.is_empty() => return Ok(()),
            held => held?,
        };
        // Its number could have become another's before it was held.
        if !procfs::stat(pid).is_ok_and(|now| now.start == stat.start && !now.is_dead()) {
            return Ok(());
        }
        let Some(target) = target else {
            log.error(format_args!(
                "process {pid} was left by a circus that was killed, and is left alone: it cannot be held by a pidfd"
            ));
            self.given_up.push((pid, stat.start));
            return Ok(());
        };
        let grace = self.manners.get(manner).map_or(Duration::ZERO, |manner| manner.grace);
        let until = Instant::now() + grace;
        let (start, parent, told, killed) = (stat.start, stat.ppid, false, 0);
        self.found.push(Orphan { target, start, parent, manner, until, told, killed });
        Ok(())
    }

    /// The first of them, with watcher and command.
    fn names(&self) -> String {
        let name = |orphan: &Orphan| {
            let pid = orphan.target.pid;
            let watcher = self.manners.get(orphan.manner).map_or("", |manner| &manner.watcher);
            format!("{pid} ({watcher}: {})", procfs::command_line(pid).unwrap_or_default())
        };
        let mut names: Vec<String> = self.found.iter().take(NAMED).map(name).collect();
        let more = self.found.len().saturating_sub(NAMED);
        names.extend((more > 0).then(|| format!("and {more} more")));
        names.join(", ")
    }

    /// Ends all of them.
    fn end(&mut self, log: &mut Log, signals: &mut Signals) -> Result<Outcome, String> {
        loop {
            self.look(log).map_err(|error| unseen(&error))?;
            self.found.retain(Orphan::lives);
            if self.found.is_empty() {
                return Ok(Outcome::Clear);
            }
            self.tell(log);
            match self.wait(signals) {
                Ok(Outcome::Clear) => {}
                Ok(Outcome::Interrupted) => return Ok(Outcome::Interrupted),
                Err(error) => return Err(unseen(&error)),
            }
        }
    }

    /// Asks those whose parents are gone, and kills those who had their time.
    fn tell(&mut self, log: &mut Log) {
        let now = Instant::now();
        let pids: Sorted<Pid, ()> = self.found.iter().map(|orphan| (orphan.target.pid, ())).collect();
        for orphan in &mut self.found {
            let pid = orphan.target.pid;
            let manner = self.manners.get(orphan.manner).cloned();
            let signum = if orphan.until <= now {
                orphan.killed += 1;
                SIGKILL
            } else if !orphan.told && !pids.contains_key(&orphan.parent) {
                orphan.told = true;
                manner.as_ref().map_or(SIGTERM, |manner| manner.signum)
            } else {
                continue;
            };
            let watcher = manner.map(|manner| manner.watcher).unwrap_or_default();
            if orphan.killed <= 1 {
                let name = signals::name(signum);
                log.info(format_args!(
                    "{pid} ({watcher}), which a circus that was killed has left, gets {name}"
                ));
            }
            let sent = orphan.target.send(signum);
            // One that is stopped would not hear of it.
            let sent = if signum == SIGKILL { sent } else { sent.and_then(|()| orphan.target.send(SIGCONT)) };
            let refused = sent.err().filter(|error| error.raw_os_error() != Some(sys::ESRCH));
            let why = match refused {
                Some(error) => io_words(&error),
                None if orphan.killed >= TIMES => "SIGKILL does not end it".into(),
                None => continue,
            };
            log.error(format_args!(
                "{pid} ({watcher}) is left of a circus that was killed: {why}; not waited for"
            ));
            self.given_up.push((pid, orphan.start));
        }
        let given_up = &self.given_up;
        self.found.retain(|orphan| !given_up.contains(&(orphan.target.pid, orphan.start)));
    }

    /// Waits until those that were told are gone, or one whose children are to be told, or somebody's time is over.
    fn wait(&self, signals: &mut Signals) -> io::Result<Outcome> {
        const SIGNAL: Token = Token(usize::MAX);
        let mut poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&signals.as_raw_fd()), SIGNAL, Interest::READABLE)?;
        let mut left = 0;
        for (n, orphan) in self.found.iter().enumerate().filter(|(_, it)| it.told || it.killed > 0) {
            let Some(fd) = orphan.target.fd() else { continue };
            poll.registry().register(&mut SourceFd(&fd), Token(n), Interest::READABLE)?;
            left += 1;
        }
        let now = Instant::now();
        let again = |orphan: &Orphan| if orphan.killed > 0 { now + AGAIN } else { orphan.until };
        let until = self.found.iter().map(again).min();
        let mut events = Events::with_capacity(256);
        while left > 0 {
            let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
            match poll.poll(&mut events, rest) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(()) if events.is_empty() => return Ok(Outcome::Clear),
                Ok(()) | Err(_) => {}
            }
            if is_asked_to_end(signals) {
                return Ok(Outcome::Interrupted);
            }
            for event in events.iter().filter(|event| event.token() != SIGNAL) {
                left -= 1;
                let Some(ended) = self.found.get(event.token().0) else { continue };
                if self.found.iter().any(|it| !it.told && it.killed == 0 && it.parent == ended.target.pid) {
                    left = 0;
                    break;
                }
            }
        }
        Ok(Outcome::Clear)
    }
}

/// Whether somebody wants circus to end. There is nothing yet that other signals could be about.
fn is_asked_to_end(signals: &mut Signals) -> bool {
    if !signals.have_come() {
        return false;
    }
    signals.drain();
    let is_end = |signum: &i32| matches!(*signum, SIGINT | SIGQUIT | SIGTERM) || HALTS.contains(signum);
    signals.take().iter().any(is_end)
}
