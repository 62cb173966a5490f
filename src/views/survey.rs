//! Answers `stats` and `dstats`: what /proc says about processes and all that come from them.
//!
//! That may be thousands, and of each of them several files are read. So a survey goes on for a moment in each turn of
//! the loop, nobody else waits for it, and its answer comes when it is complete.

use crate::arbiter::Pid;
use crate::arbiter::process::Process;
use crate::arbiter::request::{Errno, Question, Ticket};
use crate::arbiter::time::Time;
use crate::arbiter::watcher::Watcher;
use crate::control::answers::{self, ProcessFact};
use crate::control::protocol::Id;
use crate::control::{Map, Refusal};
use crate::host::procfs;
use crate::parts::clients::Sender;
use crate::reactor::eventloop::Daemon;
use crate::reactor::part::Part;
use crate::sorted::Sorted;
use crate::sys::{clock, process, user};
use crate::views::usage::{Samples, Scale};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long surveys may go on in a turn.
const SLICE: Duration = Duration::from_millis(4);
/// How many surveys may be under way.
const MOST: usize = 64;
/// How many generations of descendants are told: readers of JSON give up when objects are nested too deeply.
const DEEPEST: u32 = 32;
/// How many processes one survey looks at, should they multiply meanwhile.
const MOST_PROCESSES: usize = 200_000;

/// Surveys that are under way, in their turns, with the tickets of those who wait for them.
#[derive(Default)]
pub struct Surveys(VecDeque<(Ticket, Survey)>);

impl Part for Surveys {}

impl Surveys {
    /// Whether something can be done without waiting.
    pub fn are_busy(&self) -> bool {
        !self.0.is_empty()
    }
}

/// What has been seen so far.
struct Survey {
    about: About,
    /// The watcher to whose statistics the hook extended_stats adds, and the process if it is about one.
    extends: Option<(String, Option<Pid>)>,
    machine: Machine,
    /// Those that were asked about, then all that come from them, parents before their children.
    seen: Vec<Seen>,
    /// The first that was not looked at yet.
    next: usize,
}

/// What was asked.
enum About {
    /// All watchers, and how many processes each has.
    All(Vec<(String, usize)>),
    /// One watcher.
    Watcher(String),
    /// One process.
    Process(Pid),
    /// circus itself.
    Own,
}

struct Seen {
    pid: Pid,
    parent: Option<usize>,
    /// How many generations below it are told.
    generations: u32,
    /// Its number in its watcher, and when it was spawned.
    managed: Option<(u32, Time)>,
    fact: Option<ProcessFact>,
}

impl Seen {
    fn of(process: &Process) -> Seen {
        Seen { managed: Some((process.wid, process.started)), ..Seen::root(process.pid) }
    }

    fn root(pid: Pid) -> Seen {
        Seen { pid, parent: None, generations: DEEPEST, managed: None, fact: None }
    }
}

/// What is the same for all processes of a survey.
struct Machine {
    scale: Scale,
    boot: f64,
    /// Names of users by id: /etc/passwd is read once for each.
    users: Sorted<u32, String>,
}

impl Machine {
    fn new() -> Machine {
        Machine { scale: Scale::new(), boot: procfs::boot_time(), users: Sorted::new() }
    }

    fn user(&mut self, uid: u32) -> String {
        let find = || user::user_by_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
        self.users.get_or_insert_with(uid, find).clone()
    }

    /// What /proc says about a process; nothing about one that has ended.
    fn fact(&mut self, pid: Pid, samples: &mut Samples) -> Option<ProcessFact> {
        let stat = procfs::stat(pid).ok()?;
        let scale = &self.scale;
        let usage = scale.usage(pid, &stat, samples);
        let created = self.boot + stat.start as f64 / scale.ticks;
        let age = (scale.now - created).max(0.0);
        let zombie = stat.state == 'Z';
        Some(ProcessFact {
            pid,
            cmdline: procfs::program(pid),
            username: procfs::uid(pid).map(|uid| self.user(uid)),
            nice: (!zombie).then(|| i32::try_from(stat.nice).ok()).flatten(),
            zombie,
            cpu: Some(usage.cpu.unwrap_or(0.0)),
            mem: Some(usage.mem),
            rss: Some(usage.rss),
            vms: Some(stat.vsize),
            ctime: Some(usage.cpu_time),
            create_time: Some(created),
            age: Some(age),
            ..ProcessFact::default()
        })
    }
}

impl Survey {
    /// Goes on until a moment; true when everybody was looked at.
    fn go_on(&mut self, until: Instant, time: Time, samples: &mut Samples) -> bool {
        self.machine.scale.now = clock::realtime();
        while let Some(one) = self.seen.get_mut(self.next) {
            let (pid, generations) = (one.pid, one.generations);
            one.fact = self.machine.fact(pid, samples);
            if let (Some((wid, started)), Some(fact)) = (one.managed, &mut one.fact) {
                let age = time.since(started);
                fact.wid = Some(u64::from(wid));
                fact.age = Some(age);
                fact.started = Some(self.machine.scale.now - age);
            }
            if let (Some(left), true) = (generations.checked_sub(1), one.fact.is_some()) {
                // Those who cannot be looked at are not told.
                let room = MOST_PROCESSES.saturating_sub(self.seen.len());
                let children = procfs::children(pid).unwrap_or_default().into_iter().take(room);
                let parent = Some(self.next);
                self.seen.extend(children.map(|pid| Seen { parent, generations: left, ..Seen::root(pid) }));
            }
            self.next += 1;
            if Instant::now() >= until {
                break;
            }
        }
        self.next >= self.seen.len()
    }

    /// The answer, with each process below the one that it comes from.
    fn answer(mut self) -> Map {
        let mut roots = Vec::new();
        while let Some(Seen { pid, parent, fact, .. }) = self.seen.pop() {
            let fact = fact.map(|mut fact| {
                fact.children.reverse(); // the last one came first
                fact
            });
            match parent {
                None => roots.push((pid, fact)),
                Some(parent) => {
                    if let Some(Seen { fact: Some(above), .. }) = self.seen.get_mut(parent) {
                        above.children.extend(fact);
                    }
                }
            }
        }
        let mut roots = roots.into_iter().rev();
        match self.about {
            About::All(watchers) => {
                let mut infos = Vec::new();
                for (name, count) in &watchers {
                    infos.push((name.as_str(), roots.by_ref().take(*count).collect::<Vec<_>>()));
                }
                answers::stats_all(infos.into_iter())
            }
            About::Watcher(name) => answers::stats_watcher(&name, roots.collect()),
            About::Process(pid) => answers::stats_process(pid, roots.next().and_then(|(_, fact)| fact)),
            About::Own => answers::dstats(roots.next().and_then(|(_, fact)| fact).unwrap_or_default()),
        }
    }
}

impl Daemon {
    /// Answers `stats` or `dstats`. `None`: the answer comes later, and `id` is kept for it.
    ///
    /// # Errors
    /// There is no such watcher or process, or too many such questions are being answered.
    pub(crate) fn survey(
        &mut self,
        from: &Sender,
        id: &mut Id,
        question: &Question,
    ) -> Result<Option<Map>, Refusal> {
        let mut survey = self.begin_survey(question)?;
        // One that would have to wait for others anyway begins in its turn.
        let done = self.parts.surveys.0.is_empty() && self.go_on_with(&mut survey, Instant::now() + SLICE);
        if done && survey.extends.is_none() {
            return Ok(Some(survey.answer()));
        }
        if self.parts.surveys.0.len() >= MOST {
            let reason = "too many statistics are being collected; try again later".into();
            return Err(Refusal { errno: Errno::Conflict, reason });
        }
        let ticket = self.parts.clients.ticket_for(from, std::mem::take(id));
        self.parts.surveys.0.push_back((ticket, survey));
        Ok(None)
    }

    fn begin_survey(&self, question: &Question) -> Result<Survey, Refusal> {
        let mut extends = None;
        let (about, seen) = match question {
            Question::Stats { name: Some(name), process, extended } => {
                let watcher = self.watcher_named(name)?;
                extends = extended.then(|| (name.clone(), *process));
                let wanted = |one: &&Process| process.is_none_or(|pid| pid == one.pid);
                let seen: Vec<Seen> = watcher.processes().filter(wanted).map(Seen::of).collect();
                match process {
                    Some(pid) if seen.is_empty() => return Err(answers::no_process(*pid, name)),
                    Some(pid) => (About::Process(*pid), seen),
                    None => (About::Watcher(name.clone()), seen),
                }
            }
            Question::Dstats => (About::Own, vec![Seen::root(process::pid())]),
            _ => {
                let count = |w: &Watcher| (w.config.name.clone(), w.processes().count());
                let all = self.core.arbiter.watchers().flat_map(Watcher::processes).map(Seen::of);
                (About::All(self.core.arbiter.watchers().map(count).collect()), all.collect())
            }
        };
        Ok(Survey { about, extends, machine: Machine::new(), seen, next: 0 })
    }

    fn go_on_with(&mut self, survey: &mut Survey, until: Instant) -> bool {
        let time = self.core.time();
        // Percentages are about the time since the same question was asked last.
        let samples = match survey.about {
            About::Own => &mut self.own_samples,
            About::All(_) | About::Watcher(_) | About::Process(_) => &mut self.samples,
        };
        let done = survey.go_on(until, time, samples);
        if done {
            samples.retain(|_, (at, _)| survey.machine.scale.now - *at < 3600.0);
        }
        done
    }

    /// Goes on with the surveys for a moment, one after the other.
    pub(crate) fn go_on_surveying(&mut self) {
        let until = Instant::now() + SLICE;
        while let Some((ticket, mut survey)) = self.parts.surveys.0.pop_front() {
            if !self.parts.clients.awaits(ticket) {
                continue; // whoever asked has gone
            }
            if !self.go_on_with(&mut survey, until) {
                self.parts.surveys.0.push_back((ticket, survey));
            } else if let Some((name, process)) = survey.extends.take() {
                self.extend(ticket, &name, process, survey.answer());
            } else {
                self.parts.clients.answer_later(ticket, Ok(survey.answer()));
            }
            if Instant::now() >= until {
                break;
            }
        }
    }
}
