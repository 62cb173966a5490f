//! Answers `stats` and `dstats`: what /proc says about processes and all that come from them.
//!
//! That may be thousands, and of each of them several files are read. So a survey can be left and gone on with later.

use crate::arbiter::process::Process;
use crate::arbiter::request::Question;
use crate::arbiter::time::Time;
use crate::arbiter::watcher::Watcher;
use crate::arbiter::{Arbiter, Pid};
use crate::control::answers::{self, ProcessFact};
use crate::control::{Map, Refusal};
use crate::host::procfs;
use crate::sorted::Sorted;
use crate::sys::{clock, process, user};
use crate::views::usage::{Samples, Scale};
use std::time::Instant;

/// How many generations of descendants are told: readers of JSON give up when objects are nested too deeply.
const DEEPEST: u32 = 32;
/// How many processes one survey looks at, should they multiply meanwhile.
const MOST_PROCESSES: usize = 200_000;

/// What has been seen so far.
pub struct Survey {
    about: About,
    /// The watcher to whose statistics the hook extended_stats adds, and the process if it is about one.
    pub extends: Option<(String, Option<Pid>)>,
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
    /// Begins one.
    ///
    /// # Errors
    /// There is no such watcher or process.
    pub fn begin(arbiter: &Arbiter, question: &Question) -> Result<Survey, Refusal> {
        let mut extends = None;
        let (about, seen) = match question {
            Question::Stats { name: Some(name), process, extended } => {
                let watcher = arbiter.find(name).ok_or_else(|| answers::no_watcher(name))?;
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
                let all = arbiter.watchers().flat_map(Watcher::processes).map(Seen::of);
                (About::All(arbiter.watchers().map(count).collect()), all.collect())
            }
        };
        Ok(Survey { about, extends, machine: Machine::new(), seen, next: 0 })
    }

    /// Whether it is about circus itself.
    pub fn is_own(&self) -> bool {
        matches!(self.about, About::Own)
    }

    /// Goes on until a moment; true when everybody was looked at.
    pub fn go_on(&mut self, until: Instant, time: Time, samples: &mut Samples) -> bool {
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
        let done = self.next >= self.seen.len();
        if done {
            samples.retain(|_, (at, _)| self.machine.scale.now - *at < 3600.0);
        }
        done
    }

    /// The answer, with each process below the one that it comes from.
    pub fn answer(mut self) -> Map {
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
