//! Answers questions: collects the facts from the arbiter, the sockets and /proc; their form is control's.

use super::eventloop::Daemon;
use super::procfs;
use super::start::current_dir;
use super::usage::Scale;
use crate::arbiter::Pid;
use crate::arbiter::process::Process;
use crate::arbiter::request::Question;
use crate::arbiter::watcher::Watcher;
use crate::control::answers::{self, ProcessFact, SocketFact, SocketPlace};
use crate::control::{Map, Refusal, metrics};
use crate::sorted::Sorted;
use crate::sys::address::Address;
use crate::sys::{process, user};
use serde_json::Value as Json;

/// How many generations of descendants `stats` tells: readers of JSON give up when objects are nested too deeply.
const DEEPEST: u32 = 32;

/// What is the same for all processes while one question is answered.
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
}

impl Daemon {
    /// Answers a question.
    ///
    /// # Errors
    /// There is no such watcher, process or option.
    pub(super) fn answer(&mut self, question: &Question) -> Result<Map, Refusal> {
        match question {
            Question::List(None) => {
                Ok(answers::list(self.arbiter.watchers().map(|w| w.config.name.as_str())))
            }
            Question::List(Some(name)) => Ok(answers::pids(self.watcher_named(name)?.pids().into_iter())),
            Question::Status { name, check, details } => self.status(name.as_deref(), *check, *details),
            Question::Why(name) => self.why(name),
            Question::Numprocesses(None) => {
                Ok(answers::numprocesses(self.arbiter.watchers().map(|w| w.processes().count()).sum(), None))
            }
            Question::Numprocesses(Some(name)) => {
                Ok(answers::numprocesses(self.watcher_named(name)?.processes().count(), Some(name)))
            }
            Question::Numwatchers => Ok(answers::numwatchers(self.arbiter.watchers().count())),
            Question::Get { name, keys } => {
                answers::get(&self.watcher_named(name)?.config, keys).map(with_directory)
            }
            Question::Options(name) => {
                Ok(with_directory(answers::options(&self.watcher_named(name)?.config)))
            }
            Question::Globaloptions(option) => {
                let (endpoint, pubsub) = self.clients.listeners.addresses();
                answers::globaloptions(&self.options, (&endpoint, &pubsub), option.as_deref())
            }
            Question::Listsockets => Ok(answers::listsockets(self.socket_facts())),
            Question::Stats { name: None, .. } => Ok(self.stats_of_all()),
            Question::Stats { name: Some(name), process, .. } => self.stats_of(name, *process),
            Question::Dstats => {
                // Those who ask for stats do not notice: their percentages are about the time since they last asked.
                std::mem::swap(&mut self.samples, &mut self.own_samples);
                let mut facts = self.facts(&[(process::pid(), None)]);
                std::mem::swap(&mut self.samples, &mut self.own_samples);
                Ok(answers::dstats(facts.pop().flatten().unwrap_or_default()))
            }
            Question::Metrics => Ok(metrics::answer(&self.metrics())),
        }
    }

    pub(super) fn watcher_named(&self, name: &str) -> Result<&Watcher, Refusal> {
        self.arbiter.find(name).ok_or_else(|| answers::no_watcher(name))
    }

    fn socket_facts(&self) -> Vec<SocketFact> {
        let fact = |socket: &super::sockets::Bound, fd: i32| SocketFact {
            fd,
            name: socket.name.clone(),
            backlog: socket.config.options.backlog,
            place: match &socket.address {
                Address::Inet(address) => SocketPlace::HostPort(address.ip().to_string(), address.port()),
                unix @ (Address::Unix(_) | Address::Abstract(_)) => SocketPlace::Path(unix.to_string()),
            },
        };
        let each = self.sockets.all().iter().flat_map(|socket| socket.fds().map(move |fd| (socket, fd)));
        each.map(|(socket, fd)| fact(socket, fd)).collect()
    }

    fn stats_of_all(&mut self) -> Map {
        let of = |w: &Watcher| (w.config.name.clone(), w.processes().map(managed).collect::<Vec<_>>());
        let wanted: Vec<(String, Vec<_>)> = self.arbiter.watchers().map(of).collect();
        let all: Vec<_> = wanted.iter().flat_map(|(_, processes)| processes.iter().copied()).collect();
        let mut facts = self.facts(&all).into_iter();
        let mut infos = Vec::new();
        for (name, processes) in wanted {
            let own = processes.iter().map(|(pid, _)| (*pid, facts.next().flatten())).collect::<Vec<_>>();
            infos.push((name, own));
        }
        answers::stats_all(infos.iter().map(|(name, own)| (name.as_str(), own.clone())))
    }

    fn stats_of(&mut self, name: &str, process: Option<Pid>) -> Result<Map, Refusal> {
        let watcher = self.watcher_named(name)?;
        let wanted: Vec<_> = watcher.processes().map(managed).collect();
        let Some(pid) = process else {
            let facts = self.facts(&wanted);
            let pids = wanted.iter().map(|(pid, _)| *pid);
            return Ok(answers::stats_watcher(name, pids.zip(facts).collect()));
        };
        let Some(one) = wanted.iter().find(|(known, _)| *known == pid) else {
            return Err(answers::no_process(pid, name));
        };
        let mut facts = self.facts(&[*one]);
        Ok(answers::stats_process(pid, facts.pop().flatten()))
    }

    /// What /proc says about these processes; nothing about one that has ended.
    fn facts(&mut self, wanted: &[(Pid, Option<Managed>)]) -> Vec<Option<ProcessFact>> {
        let mut machine = Machine::new();
        let since = self.time();
        let mut one = |(pid, managed): &(Pid, Option<Managed>)| {
            let mut fact = self.family(*pid, DEEPEST, &mut machine)?;
            if let Some((wid, started)) = managed {
                let age = since.since(*started);
                fact.wid = Some(u64::from(*wid));
                fact.age = Some(age);
                fact.started = Some(machine.scale.now - age);
            }
            Some(fact)
        };
        let facts = wanted.iter().map(&mut one).collect();
        self.samples.retain(|_, (at, _)| machine.scale.now - *at < 3600.0);
        facts
    }

    /// A process with its descendants, so many generations of them.
    fn family(&mut self, pid: Pid, generations: u32, machine: &mut Machine) -> Option<ProcessFact> {
        let mut fact = self.fact(pid, machine)?;
        if let Some(left) = generations.checked_sub(1) {
            let children = procfs::children(pid).unwrap_or_default().into_iter();
            fact.children = children.filter_map(|child| self.family(child, left, machine)).collect();
        }
        Some(fact)
    }

    fn fact(&mut self, pid: Pid, machine: &mut Machine) -> Option<ProcessFact> {
        let stat = procfs::stat(pid).ok()?;
        let scale = &machine.scale;
        let usage = scale.usage(pid, &stat, &mut self.samples);
        let created = machine.boot + stat.start as f64 / scale.ticks;
        let age = (scale.now - created).max(0.0);
        let zombie = stat.state == 'Z';
        Some(ProcessFact {
            pid,
            cmdline: procfs::program(pid),
            username: procfs::uid(pid).map(|uid| machine.user(uid)),
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

/// Fills in the directory of processes that have none of their own: that of circus.
fn with_directory(mut answer: Map) -> Map {
    let options = answer.get_mut("options").and_then(Json::as_object_mut);
    let directory = options.and_then(|options| options.get_mut("working_dir"));
    directory.into_iter().filter(|it| it.is_null()).for_each(|it| *it = current_dir().into());
    answer
}

/// The number of a process in its watcher, and when it was spawned.
type Managed = (u32, crate::arbiter::time::Time);

fn managed(process: &Process) -> (Pid, Option<Managed>) {
    (process.pid, Some((process.wid, process.started)))
}
