//! ResourceWatcher: replaces processes of a watcher that use too much, or too little, for several looks in a row.
//!
//! Each process is judged by itself, and it alone is ended, as the watcher ends its processes; circus replaces it. A
//! child of a process gets a signal.

use super::builtin::{Builtin, Input};
use super::statsd::{Statsd, part};
use super::world::World;
use crate::arbiter::request::{Task, Whom};
use crate::arbiter::{Level, Pid};
use crate::config::builtin::{Memory, Settings};
use crate::signals::SIGTERM;
use crate::sorted::Sorted;
use crate::views::samples::Usage;

/// What is judged, as statsd is told of it.
const JUDGEMENTS: [&str; 5] = ["over_cpu", "under_cpu", "over_memory", "under_memory", "over_health"];

/// How often in a row each judgement was true.
type Counts = [u64; 5];

/// The plugin.
pub struct ResourceWatcher {
    statsd: Statsd,
    watcher: String,
    limits: Limits,
    max_count: u64,
    process_children: bool,
    child_signal: i32,
    counts: Sorted<Pid, Counts>,
    /// The same at the last look.
    before: Sorted<Pid, Counts>,
}

/// What a process may use; `None`: anything.
struct Limits {
    max_cpu: Option<f64>,
    min_cpu: Option<f64>,
    max_mem: Option<Memory>,
    min_mem: Option<Memory>,
    health: Option<f64>,
}

impl Limits {
    fn new(settings: &Settings<'_>) -> Limits {
        let not_zero = |key| settings.number(key).filter(|limit| *limit > 0.0);
        let max_mem = Memory::parse(settings.text("max_mem"));
        Limits {
            max_cpu: not_zero("max_cpu"),
            min_cpu: settings.number("min_cpu"),
            max_mem: max_mem.filter(|limit| !matches!(limit, Memory::Percent(0.0) | Memory::Bytes(0.0))),
            min_mem: Memory::parse(settings.text("min_mem")),
            health: not_zero("health_threshold"),
        }
    }

    /// What is true of a process, in the order of [`JUDGEMENTS`]. At the first look nobody knows about its processor
    /// time.
    fn judge(&self, usage: &Usage) -> [bool; 5] {
        let cpu = |judge: &dyn Fn(f64) -> bool| usage.cpu.is_some_and(judge);
        let memory = |limit: Option<Memory>, judge: fn(f64, f64) -> bool| match limit {
            None => false,
            Some(Memory::Percent(percent)) => judge(usage.mem, percent),
            Some(Memory::Bytes(bytes)) => judge(usage.rss as f64, bytes),
        };
        [
            cpu(&|cpu| self.max_cpu.is_some_and(|most| cpu > most)),
            cpu(&|cpu| self.min_cpu.is_some_and(|least| cpu <= least)),
            memory(self.max_mem, |used, most| used > most),
            memory(self.min_mem, |used, least| used < least),
            cpu(&|cpu| self.health.is_some_and(|most| (cpu + usage.mem) / 2.0 > most)),
        ]
    }
}

impl ResourceWatcher {
    /// The plugin with these options.
    pub fn new(settings: &Settings<'_>) -> ResourceWatcher {
        let named = ["watcher", "service"].map(|key| settings.text(key));
        ResourceWatcher {
            statsd: Statsd::new(settings),
            watcher: named.into_iter().find(|name| !name.is_empty()).unwrap_or_default().into(),
            limits: Limits::new(settings),
            max_count: u64::try_from(settings.whole("max_count")).unwrap_or(0),
            process_children: settings.flag("process_children"),
            child_signal: settings.signal("child_signal").unwrap_or(SIGTERM),
            counts: Sorted::new(),
            before: Sorted::new(),
        }
    }

    /// Judges a process. The answer says what has been wrong for too long.
    fn judge(&mut self, pid: Pid, world: &mut dyn World) -> Option<&'static str> {
        let usage = world.usage(pid)?;
        let mut counts = self.before.remove(&pid).unwrap_or_default();
        let mut too_long = None;
        for ((count, is_true), name) in counts.iter_mut().zip(self.limits.judge(&usage)).zip(JUDGEMENTS) {
            *count = if is_true { *count + 1 } else { 0 };
            if is_true {
                self.count(name, world);
            }
            if *count > self.max_count {
                too_long = too_long.or(Some(name));
            }
        }
        match too_long {
            Some(_) => self.count("restarting", world),
            None => drop(self.counts.insert(pid, counts)),
        }
        too_long
    }

    fn count(&mut self, what: &str, world: &mut dyn World) {
        let watcher = part(&self.watcher);
        self.statsd.count(format_args!("_resource_watcher.{watcher}.{what}"), world);
    }
}

impl Builtin for ResourceWatcher {
    fn handle(&mut self, input: Input<'_>, world: &mut dyn World) {
        if !matches!(input, Input::Due) {
            return;
        }
        let name = self.watcher.clone();
        let Some(pids) = world.processes(&name) else {
            self.count("error", world);
            world.trouble("watcher", format_args!("there is no watcher {name} to look at"));
            return;
        };
        world.mended("watcher", format_args!("there is a watcher {name} again"));
        self.before = std::mem::take(&mut self.counts);
        for pid in pids {
            if let Some(why) = self.judge(pid, world) {
                world.log(Level::Warning, format_args!("{name}: process {pid} is stopped: {why}"));
                world.order(Task::Kill {
                    name: name.clone(),
                    pid: Some(pid),
                    signum: None,
                    graceful_timeout: None,
                });
                continue;
            }
            let children = if self.process_children { world.children(pid) } else { Vec::new() };
            for child in children {
                let Some(why) = self.judge(child, world) else { continue };
                let text = format_args!("{name}: {child}, a child of process {pid}, gets a signal: {why}");
                world.log(Level::Warning, text);
                world.order(Task::Signal {
                    name: name.clone(),
                    pid: Some(pid),
                    whom: Whom::Child(child),
                    signum: self.child_signal,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::tests::{Fake, Play, Wish, orders, sent};
    use super::*;
    use crate::config::model;

    const QUIET: Usage = Usage { cpu_time: 0.0, cpu: Some(1.0), mem: 1.0, rss: 10 << 20 };

    fn play(options: &[(&str, &str)]) -> Play {
        let mut world = Fake::default();
        world.processes.insert("web".into(), vec![1, 2]);
        world.children.insert(1, vec![11]);
        world.usages.extend([1, 2, 11].map(|pid| (pid, QUIET)));
        let mut all = vec![("watcher", "web"), ("loop_rate", "1")];
        all.extend(options);
        Play::begin(model::Builtin::ResourceWatcher, &all, world).0
    }

    fn kill(pid: Pid) -> Task {
        let name = "web".into();
        Task::Kill { name, pid: Some(pid), signum: None, graceful_timeout: None }
    }

    fn counts(wishes: &[Wish]) -> Vec<String> {
        let rest = |text: String| text.split('.').next_back().map(|rest| rest.replace(":1|c", ""));
        sent(wishes).into_iter().filter_map(rest).collect()
    }

    #[test]
    fn one_that_uses_too_much_for_too_long_is_ended_alone() {
        let mut play = play(&[("max_cpu", "50"), ("max_count", "2")]);
        assert_eq!(orders(&play.pass(10.0)), []);
        play.world.usages.insert(2, Usage { cpu: Some(51.0), ..QUIET });
        let wishes = play.pass(2.0);
        assert_eq!((orders(&wishes), counts(&wishes)), (vec![], vec!["over_cpu".to_string(); 2]));
        let wishes = play.pass(1.0);
        assert_eq!(orders(&wishes), [kill(2)]);
        assert_eq!(sent(&wishes)[1], "circus.app.watcher._resource_watcher.web.restarting:1|c");
        assert_eq!(orders(&play.pass(2.0)), [], "it is counted anew");
        play.world.usages.insert(2, QUIET);
        play.pass(1.0);
        play.world.usages.insert(2, Usage { cpu: Some(51.0), ..QUIET });
        assert_eq!(orders(&play.pass(2.0)), [], "not in a row");
    }

    #[test]
    fn every_limit_is_judged() {
        let big = Usage { mem: 60.0, rss: 200 << 20, ..QUIET };
        for (option, usage, wanted) in [
            (("max_mem", "50"), big, Some("over_memory")),
            (("max_mem", "100M"), big, Some("over_memory")),
            (("max_mem", "1G"), big, None),
            (("max_mem", "0"), big, None),
            (("min_mem", "2"), QUIET, Some("under_memory")),
            (("min_mem", "100M"), QUIET, Some("under_memory")),
            (("min_mem", "5M"), QUIET, None),
            (("min_cpu", "1"), QUIET, Some("under_cpu")),
            (("min_cpu", "0.5"), QUIET, None),
            (("min_cpu", "1"), Usage { cpu: None, ..QUIET }, None),
            (("health_threshold", "30"), big, Some("over_health")),
            (("health_threshold", "0"), big, None),
            (("max_cpu", "0"), Usage { cpu: Some(100.0), ..QUIET }, None),
        ] {
            let mut play = play(&[option, ("max_count", "0")]);
            play.world.processes.insert("web".into(), vec![1]);
            play.world.usages.insert(1, usage);
            let wishes = play.pass(1.0);
            assert_eq!(counts(&wishes).first().map(String::as_str), wanted, "{option:?}");
            assert_eq!(orders(&wishes).len(), usize::from(wanted.is_some()), "{option:?}");
        }
    }

    #[test]
    fn a_child_gets_its_signal() {
        let mut play = play(&[("process_children", "1"), ("child_signal", "USR1"), ("max_count", "0")]);
        play.world.usages.insert(11, Usage { mem: 95.0, ..QUIET });
        let order = Task::Signal { name: "web".into(), pid: Some(1), whom: Whom::Child(11), signum: 10 };
        assert_eq!(orders(&play.pass(1.0)), [order]);
    }

    #[test]
    fn a_watcher_that_is_not_there_is_trouble() {
        let mut play = play(&[]);
        play.world.processes.clear();
        let wishes = play.pass(1.0);
        assert_eq!(counts(&wishes), ["error"]);
        assert!(matches!(&wishes[1], Wish::Trouble(_, text) if text.contains("web")));
    }
}
