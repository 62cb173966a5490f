//! Answers `stats` and `dstats`: what /proc says about processes and all that come from them.
//!
//! That may be thousands, and of each of them several files are read. So a survey can be left and gone on with later.

use super::samples::{Samples, Scale, Usage};
use crate::arbiter::process::Process;
use crate::arbiter::request::Question;
use crate::arbiter::time::Time;
use crate::arbiter::watcher::Watcher;
use crate::arbiter::{Arbiter, Pid};
use crate::config::number;
use crate::control::{Map, Refusal, answers, object, one, put};
use crate::host::procfs::{self, Stat};
use crate::sorted::Sorted;
use crate::sys::{clock, process, user};
use serde_json::Value as Json;
use std::time::Instant;

/// How many generations of descendants are told: readers of JSON give up when objects are nested too deeply.
const DEEPEST: u32 = 32;
/// How many processes one survey looks at, should they multiply meanwhile.
const MOST_PROCESSES: usize = 200_000;

/// What Circus says of a process that is gone.
const GONE: &str = "No such process (stopped?)";

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
    info: Option<Map>,
    children: Vec<Json>,
}

impl Seen {
    fn of(process: &Process) -> Seen {
        Seen { managed: Some((process.wid, process.started)), ..Seen::root(process.pid) }
    }

    fn root(pid: Pid) -> Seen {
        Seen { pid, parent: None, generations: DEEPEST, managed: None, info: None, children: Vec::new() }
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
    fn look(&mut self, pid: Pid, samples: &mut Samples) -> Option<Map> {
        let stat = procfs::stat(pid).ok()?;
        let usage = self.scale.usage(pid, &stat, samples);
        let username = procfs::uid(pid).map(|uid| self.user(uid));
        let mut info = info(pid, &stat, &usage, (procfs::program(pid), username));
        let created = self.boot + stat.start as f64 / self.scale.units.ticks;
        put(&mut info, "create_time", created.into());
        put(&mut info, "age", (self.scale.now - created).max(0.0).into());
        Some(info)
    }
}

/// Circus's object of a process.
fn info(pid: Pid, stat: &Stat, usage: &Usage, (program, user): (Option<String>, Option<String>)) -> Map {
    let or_not = |text: Option<String>| text.map_or("N/A".into(), Json::from);
    let rounded = |value: f64, scale: f64| (value * scale).round() / scale;
    let mut map = one("pid", pid.into());
    let mut put = |key: &str, value: Json| put(&mut map, key, value);
    put("cmdline", or_not(program));
    put("username", or_not(user));
    // It has ended and waits to be reaped.
    put("nice", if stat.state == 'Z' { "Zombie".into() } else { stat.nice.into() });
    put("cpu", rounded(usage.cpu.unwrap_or(0.0), 10.0).into());
    put("mem", rounded(usage.mem, 1000.0).into());
    put("mem_info1", human(usage.rss).into());
    put("mem_info2", human(stat.vsize).into());
    put("ctime", minutes(usage.cpu_time).into());
    map
}

/// The same when /proc tells nothing of circus itself.
fn unseen() -> Json {
    let mut map = one("pid", 0.into());
    for key in
        ["cmdline", "username", "nice", "cpu", "mem", "mem_info1", "mem_info2", "ctime", "create_time", "age"]
    {
        put(&mut map, key, "N/A".into());
    }
    put(&mut map, "children", Json::Array(Vec::new()));
    Json::Object(map)
}

/// A size as Circus writes it: `512B`, `1.45M`, `2.00G`.
fn human(bytes: u64) -> String {
    let units = [("E", 60), ("P", 50), ("T", 40), ("G", 30), ("M", 20), ("K", 10)];
    let Some((name, unit)) =
        units.map(|(name, power)| (name, 1u64 << power)).into_iter().find(|u| bytes >= u.1)
    else {
        return format!("{bytes}B");
    };
    format!("{}{name}", number::fixed(bytes as f64 / unit as f64, 2))
}

/// Processor time as `M:SS.ff`; the minutes go on above 59, unlike Circus's.
fn minutes(seconds: f64) -> String {
    let hundredths = (seconds.max(0.0) * 100.0) as u64;
    format!("{}:{:02}.{:02}", hundredths / 6000, hundredths / 100 % 60, hundredths % 100)
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
            one.info = self.machine.look(pid, samples);
            if let (Some((wid, started)), Some(info)) = (one.managed, &mut one.info) {
                let age = time.since(started);
                put(info, "wid", wid.into());
                put(info, "age", age.into());
                put(info, "started", (self.machine.scale.now - age).into());
            }
            if let (Some(left), true) = (generations.checked_sub(1), one.info.is_some()) {
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
        while let Some(Seen { pid, parent, info, mut children, .. }) = self.seen.pop() {
            let info = info.map(|mut info| {
                children.reverse(); // the last one came first
                put(&mut info, "children", children.into());
                Json::Object(info)
            });
            match parent {
                None => roots.push((pid.to_string(), info.unwrap_or_else(|| GONE.into()))),
                Some(parent) => {
                    if let Some(above) = self.seen.get_mut(parent) {
                        above.children.extend(info);
                    }
                }
            }
        }
        let mut roots = roots.into_iter().rev();
        match self.about {
            About::All(watchers) => {
                let mut infos = watchers
                    .into_iter()
                    .map(|(name, count)| (name, Json::Object(object(&mut roots.by_ref().take(count)))));
                one("infos", Json::Object(object(&mut infos)))
            }
            About::Watcher(name) => {
                let mut answer = one("name", name.into());
                put(&mut answer, "info", Json::Object(object(&mut roots)));
                answer
            }
            About::Process(pid) => {
                let mut answer = one("process", pid.into());
                put(&mut answer, "info", roots.next().map_or(GONE.into(), |(_, info)| info));
                answer
            }
            About::Own => {
                let info = roots.next().map(|(_, info)| info).filter(Json::is_object);
                one("info", info.unwrap_or_else(unseen))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_process_is_told_as_circus_tells_it() {
        let stat = Stat {
            state: 'S',
            ppid: 1,
            pgrp: 9,
            ticks: 0,
            waited: 0,
            nice: -5,
            start: 0,
            vsize: 512,
            rss: 0,
        };
        let usage = Usage { cpu_time: 3671.256, cpu: Some(12.345), mem: 0.00649, rss: 1_761_607 };
        let told = info(9, &stat, &usage, (Some("sh".into()), None));
        let expected = json!({
            "pid": 9, "cmdline": "sh", "username": "N/A", "nice": -5, "cpu": 12.3, "mem": 0.006,
            "mem_info1": "1.68M", "mem_info2": "512B", "ctime": "61:11.25",
        });
        assert_eq!(Json::Object(told), expected);
        let ended = Stat { state: 'Z', ..stat };
        let told = info(9, &ended, &Usage { cpu: None, ..usage }, (None, Some("root".into())));
        assert_eq!((&told["nice"], &told["cpu"]), (&json!("Zombie"), &json!(0.0)));
        assert_eq!((&told["cmdline"], &told["username"]), (&json!("N/A"), &json!("root")));
    }

    fn seen(pid: Pid, parent: Option<usize>, info: Option<Map>) -> Seen {
        Seen { parent, info, ..Seen::root(pid) }
    }

    #[test]
    fn processes_stand_below_those_that_they_come_from() {
        let survey = |about: About| {
            let map = |pid: Pid| Some(one("pid", pid.into()));
            let seen = vec![
                seen(9, None, map(9)),
                seen(11, None, None),
                seen(12, Some(0), map(12)),
                seen(13, Some(0), map(13)),
                seen(14, Some(2), map(14)),
                seen(15, Some(2), None),
            ];
            let survey = Survey { about, extends: None, machine: Machine::new(), seen, next: 6 };
            Json::Object(survey.answer())
        };
        let info = json!({"pid": 9, "children": [
            {"pid": 12, "children": [{"pid": 14, "children": []}]}, {"pid": 13, "children": []},
        ]});
        let gone = "No such process (stopped?)";
        let infos = json!({"9": info, "11": gone});
        assert_eq!(survey(About::Own), json!({"info": info}));
        assert_eq!(survey(About::Process(9)), json!({"process": 9, "info": info}));
        assert_eq!(survey(About::Watcher("WEB".into())), json!({"name": "WEB", "info": infos}));
        let all = survey(About::All(vec![("Web".into(), 2), ("db".into(), 0)]));
        assert_eq!(all, json!({"infos": {"Web": infos, "db": {}}}));
        let gone_alone = Survey {
            seen: vec![seen(11, None, None)],
            ..Survey {
                about: About::Process(11),
                extends: None,
                machine: Machine::new(),
                seen: vec![],
                next: 1,
            }
        };
        assert_eq!(Json::Object(gone_alone.answer()), json!({"process": 11, "info": gone}));
    }

    #[test]
    fn sizes_are_human() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (2 << 30, "2.00G"),
            (1_520_435, "1.45M"),
            (u64::MAX, "16.00E"),
        ] {
            assert_eq!(human(bytes), text);
        }
        assert_eq!(
            (minutes(0.0), minutes(-1.0), minutes(59.999)),
            ("0:00.00".into(), "0:00.00".into(), "0:59.99".into())
        );
    }
}
