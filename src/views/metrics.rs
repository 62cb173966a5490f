//! `metrics`: what circus counts and measures, as OpenMetrics text, which Prometheus and its kin read.
//!
//! Processes are told apart by watcher and wid, which stay the same when a process is replaced, and not by pid, of which
//! there would be ever more.

use super::View;
use super::usage::{Units, Used};
use crate::arbiter::history::Restart;
use crate::arbiter::process::Process;
use crate::arbiter::status::CONDITIONS;
use crate::arbiter::time::Time;
use crate::arbiter::watcher::Watcher;
use crate::config::{CHANNELS, number};
use crate::host::procfs;
use crate::parts::sockets::Bound;
use crate::signals;
use crate::sys::process;
use crate::sys::queue::{self, Queue};

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    counts: [u64; Self::BOUNDS.len() + 1],
    sum: f64,
}

impl Durations {
    const BOUNDS: [(f64, &'static str); 6] =
        [(0.0001, "0.0001"), (0.001, "0.001"), (0.01, "0.01"), (0.1, "0.1"), (1.0, "1.0"), (10.0, "10.0")];

    /// It took so many seconds once more.
    pub fn add(&mut self, seconds: f64) {
        let place = Self::BOUNDS.iter().take_while(|(bound, _)| *bound < seconds).count();
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        self.sum += seconds;
    }
}

/// A process, and what /proc says of it.
struct Seen<'a> {
    watcher: &'a Watcher,
    process: &'a Process,
    used: Option<Held>,
}

/// What a process has used, and how many descriptors it has open.
type Held = (Used, Option<u64>);

/// All of it as OpenMetrics text.
pub fn text(view: &View<'_>) -> String {
    let watchers = view.arbiter.watchers().collect::<Vec<_>>();
    let mut page = Page(String::with_capacity(4096 + 512 * watchers.len()));
    let own = Units::new().look(process::pid()).map(|used| (used, procfs::open_fds(process::pid())));
    circus(view, own, &mut page);
    states(&watchers, view.now, &mut page);
    counts(&watchers, view, &mut page);
    let of_all =
        watchers.iter().flat_map(|watcher| watcher.processes().map(move |process| (*watcher, process)));
    let seen = of_all.map(|(watcher, process)| Seen {
        watcher,
        process,
        used: view.used.get(&process.pid).copied(),
    });
    processes(&seen.collect::<Vec<_>>(), view.now, &mut page);
    sockets(&view.descriptors().map(|(socket, fd)| (socket, queue::look(fd))).collect::<Vec<_>>(), &mut page);
    page.0.push_str("# EOF\n");
    page.0
}

fn circus(view: &View<'_>, own: Option<Held>, page: &mut Page) {
    page.family("circus_build", "info", "The circus that tells all this.");
    page.sample("circus_build_info", &[("version", env!("CARGO_PKG_VERSION"))], "1");
    page.family("circus_uptime_seconds", "gauge", "For how long circus has run.");
    page.sample("circus_uptime_seconds", &[], &seconds(view.now.since(Time(1))));
    for (name, kind, help, value) in USAGE {
        let sample = page.family(&format!("circus_{name}"), kind, &format!("{help} of circus itself."));
        own.and_then(value).into_iter().for_each(|value| page.sample(&sample, &[], &value));
    }
    page.family("circus_clients", "gauge", "Connections to the control socket.");
    page.sample("circus_clients", &[], &view.clients.to_string());
    page.family("circus_loop_turn_seconds", "histogram", "How long the turns of the event loop took.");
    let mut sum = 0;
    let bounds = Durations::BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
    for (count, bound) in view.turns.counts.iter().zip(bounds) {
        sum += count;
        page.sample("circus_loop_turn_seconds_bucket", &[("le", bound)], &sum.to_string());
    }
    page.sample("circus_loop_turn_seconds_count", &[], &sum.to_string());
    page.sample("circus_loop_turn_seconds_sum", &[], &number::fixed(view.turns.sum, 6));
}

fn states(watchers: &[&Watcher], now: Time, page: &mut Page) {
    let name = "circus_watcher_state";
    page.of_each(watchers, (name, "stateset", "What a watcher is doing."), &|watcher, say| {
        let condition = watcher.condition();
        CONDITIONS.iter().for_each(|state| say(&[(name, state)], flag(condition == *state)));
    });
    let help = "For how long it has been in that state.";
    page.of_each(watchers, ("circus_watcher_since_seconds", "gauge", help), &|watcher, say| {
        watcher.since().into_iter().for_each(|since| say(&[], seconds(now.since(since))));
    });
    let help = "Whether it is to run and does not run as it should.";
    page.of_each(watchers, ("circus_watcher_failing", "gauge", help), &|watcher, say| {
        say(&[], flag(watcher.fault().is_some()));
    });
    let help = "How many processes it is to have.";
    page.of_each(watchers, ("circus_watcher_wanted_processes", "gauge", help), &|watcher, say| {
        say(&[], watcher.config.wanted().to_string());
    });
    let help = "How many processes it has.";
    page.of_each(watchers, ("circus_watcher_processes", "gauge", help), &|watcher, say| {
        for (state, running) in [("running", true), ("stopping", false)] {
            let count = watcher.processes().filter(|p| p.runs() == running).count();
            say(&[("state", state)], count.to_string());
        }
    });
}

fn counts(watchers: &[&Watcher], view: &View<'_>, page: &mut Page) {
    let help = "How often its processes were replaced, by reason.";
    page.of_each(watchers, ("circus_watcher_restarts", "counter", help), &|watcher, say| {
        for (why, reason) in &Restart::ALL {
            say(&[("reason", reason)], watcher.history().restarts(*why).to_string());
        }
    });
    let help = "How often its processes have ended, by code or signal.";
    page.of_each(watchers, ("circus_watcher_exits", "counter", help), &|watcher, say| {
        for (code, count) in watcher.history().counts().into_iter().flat_map(|counts| counts.exits.iter()) {
            let (key, value) = match i32::from(*code) {
                signal @ ..0 => ("signal", signals::name(-signal)),
                code => ("code", code.to_string()),
            };
            say(&[(key, &value)], count.to_string());
        }
    });
    let help = "How many processes could not be executed.";
    page.of_each(watchers, ("circus_watcher_spawn_failures", "counter", help), &|watcher, say| {
        say(&[], watcher.history().counts().map_or(0, |counts| counts.failures).to_string());
    });
    let help = "How much was read from its processes.";
    page.of_each(watchers, ("circus_watcher_output_bytes", "counter", help), &|watcher, say| {
        for channel in CHANNELS {
            let total = view.rings.get(watcher.id).and_then(|ring| ring.total(channel));
            total.into_iter().for_each(|bytes| say(&[("stream", channel.name())], bytes.to_string()));
        }
    });
}

type OfHeld = fn(Held) -> Option<String>;

/// The families that say what processes use: the end of the name, type, help, of whom is to follow, and value.
const USAGE: [(&str, &str, &str, OfHeld); 3] = [
    ("cpu_seconds", "counter", "Processor time", |(used, _)| Some(seconds(used.cpu))),
    ("resident_memory_bytes", "gauge", "Resident memory", |(used, _)| Some(used.rss.to_string())),
    ("open_fds", "gauge", "Open descriptors", |(_, fds)| fds.map(|count| count.to_string())),
];

/// Whether a figure includes the descendants of the process.
fn with_descendants(name: &str) -> &'static str {
    if name == "open_fds" { "" } else { " and its descendants" }
}

fn processes(all: &[Seen<'_>], now: Time, page: &mut Page) {
    let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Seen<'_>) -> Option<String>| {
        let sample = page.family(name, kind, help);
        for seen in all {
            let (watcher, wid) = (seen.watcher.config.name.as_str(), seen.process.wid.to_string());
            let labels = [("watcher", watcher), ("wid", wid.as_str())];
            value(seen).into_iter().for_each(|value| page.sample(&sample, &labels, &value));
        }
    };
    for (name, kind, help, value) in USAGE {
        let (name, help) =
            (format!("circus_process_{name}"), format!("{help} of a process{}.", with_descendants(name)));
        family(&name, kind, &help, &|seen| seen.used.and_then(value));
    }
    family("circus_process_uptime_seconds", "gauge", "For how long a process has run.", &|seen| {
        Some(seconds(now.since(seen.process.started)))
    });
    let help = "Health probes in a row that a process has failed.";
    family("circus_process_failed_probes", "gauge", help, &|seen| {
        seen.process.failed_probes().map(|count| count.to_string())
    });
}

fn sockets(sockets: &[(&Bound, Queue)], page: &mut Page) {
    type Value = fn(&Queue) -> Option<u32>;
    let families: [(&str, &str, &str, Value); 3] = [
        ("circus_socket_waiting", "gauge", "Connections waiting to be accepted.", |q| q.waiting),
        ("circus_socket_backlog", "gauge", "How many of them may wait.", |q| q.limit),
        ("circus_socket_drops", "counter", "Connections or datagrams that the kernel has dropped.", |q| {
            q.drops
        }),
    ];
    for (name, kind, help, value) in families {
        let sample = page.family(name, kind, help);
        // With so_reuseport an address has several sockets.
        for same in sockets.chunk_by(|(a, _), (b, _)| std::ptr::eq(*a, *b)) {
            let sum = same.iter().filter_map(|(_, queue)| value(queue)).map(u64::from);
            let (Some((socket, _)), Some(sum)) = (same.first(), sum.reduce(u64::saturating_add)) else {
                continue;
            };
            let address = socket.address.to_string();
            let labels = [("socket", socket.name.as_str()), ("address", &address)];
            page.sample(&sample, &labels, &sum.to_string());
        }
    }
}

fn flag(on: bool) -> String {
    u8::from(on).to_string()
}

fn seconds(seconds: f64) -> String {
    number::fixed(seconds, 2)
}

/// Says the samples of a watcher: labels besides its name, and the value.
type Samples<'a> = &'a dyn Fn(&Watcher, &mut dyn FnMut(&[(&str, &str)], String));

/// The text that is being written.
struct Page(String);

impl Page {
    /// Begins a family; the answer is the name of its samples.
    fn family(&mut self, name: &str, kind: &str, help: &str) -> String {
        self.0 += &format!("# TYPE {name} {kind}\n");
        for unit in ["seconds", "bytes"] {
            if name.ends_with(unit) {
                self.0 += &format!("# UNIT {name} {unit}\n");
            }
        }
        self.0 += &format!("# HELP {name} {help}\n");
        name.to_string() + if kind == "counter" { "_total" } else { "" }
    }

    /// A family, by name, type and help, of which each watcher has samples.
    fn of_each(
        &mut self,
        watchers: &[&Watcher],
        (name, kind, help): (&str, &str, &str),
        samples: Samples<'_>,
    ) {
        let sample = self.family(name, kind, help);
        for watcher in watchers {
            samples(watcher, &mut |more, value| {
                let labels = [&[("watcher", watcher.config.name.as_str())], more].concat();
                self.sample(&sample, &labels, &value);
            });
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.0 += name;
        for (number, (key, value)) in labels.iter().enumerate() {
            self.0 += if number == 0 { "{" } else { "," };
            self.0 += key;
            self.0 += "=\"";
            value.chars().for_each(|c| self.escaped(c));
            self.0.push('"');
        }
        self.0 += if labels.is_empty() { " " } else { "} " };
        self.0 += value;
        self.0.push('\n');
    }

    fn escaped(&mut self, c: char) {
        match c {
            '\\' => self.0 += "\\\\",
            '"' => self.0 += "\\\"",
            '\n' => self.0 += "\\n",
            // A byte that is no UTF-8, as circus has it; the text must be UTF-8.
            '\u{10f800}'..='\u{10f8ff}' => self.0.push('\u{fffd}'),
            c => self.0.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbiter::process::Exit;
    use crate::arbiter::{Action, Arbiter, Event};
    use crate::config::options::CircusOptions;
    use crate::config::{SocketConfig, WatcherConfig};
    #[cfg(feature = "plugins")]
    use crate::parts::plugins::run::Builtins;
    use crate::parts::sockets::{Passed, Sockets};
    use crate::parts::streams::ring::Rings;
    use std::collections::VecDeque;

    /// A watcher whose first process was killed and whose second one is this test.
    fn arbiter() -> (Arbiter, Time) {
        let config = WatcherConfig { name: "a\"b\\c\n\u{10f8ff}".into(), ..WatcherConfig::default() };
        let mut arbiter = Arbiter::new(vec![config], 0.0, 1);
        let (mut now, mut pids) = (Time(1), VecDeque::from([4_190_000, process::pid()]));
        let mut events = VecDeque::from([Event::Start]);
        let exit = Exit::Signal(9);
        let mut later = VecDeque::from([Event::Exited { pid: 4_190_000, exit }]);
        while let Some(event) = events.pop_front().or_else(|| {
            now = now.plus(2.0);
            later.pop_front()
        }) {
            let mut actions = Vec::new();
            arbiter.handle(now, event, &mut actions);
            for action in actions {
                match action {
                    Action::Spawn { watcher, .. } => {
                        events.push_back(Event::Spawned { watcher, pid: pids.pop_front().unwrap() });
                    }
                    Action::Reap { pid } => events.push_back(Event::Reaped { pid, group_left: false }),
                    _ => {}
                }
            }
        }
        (arbiter, now)
    }

    #[test]
    fn every_family_stands_once_and_labels_are_escaped() {
        let (arbiter, now) = arbiter();
        let mut turns = Durations::default();
        [0.00005, 0.0005, 0.0005, 100.0].into_iter().for_each(|seconds| turns.add(seconds));
        let view = View {
            arbiter: &arbiter,
            now,
            options: &CircusOptions::default(),
            addresses: ("", ""),
            sockets: &[],
            offered: &[],
            rings: &Rings::default(),
            turns: &turns,
            clients: 3,
            used: &[(process::pid(), (Units::new().look(process::pid()).unwrap(), Some(3)))]
                .into_iter()
                .collect(),
            #[cfg(feature = "plugins")]
            builtins: &Builtins::default(),
        };
        let text = text(&view);
        let name = "watcher=\"a\\\"b\\\\c\\n\u{fffd}\"";
        for line in [
            format!("circus_watcher_state{{{name},circus_watcher_state=\"active\"}} 1"),
            format!("circus_watcher_since_seconds{{{name}}} 4.00"),
            format!("circus_watcher_processes{{{name},state=\"running\"}} 1"),
            format!("circus_watcher_restarts_total{{{name},reason=\"signal\"}} 1"),
            format!("circus_watcher_exits_total{{{name},signal=\"SIGKILL\"}} 1"),
            format!("circus_process_uptime_seconds{{{name},wid=\"1\"}} 2.00"),
            "circus_clients 3".into(),
            "circus_loop_turn_seconds_bucket{le=\"0.001\"} 3".into(),
            "circus_loop_turn_seconds_bucket{le=\"10.0\"} 3".into(),
            "circus_loop_turn_seconds_bucket{le=\"+Inf\"} 4".into(),
            "# UNIT circus_process_cpu_seconds seconds".into(),
            "# EOF".into(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(text.contains(&format!("circus_process_open_fds{{{name},wid=\"1\"}} ")), "{text}");
        assert!(!text.contains("circus_process_failed_probes{"), "{text}");
        let families: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let mut once = families.clone();
        once.dedup();
        assert_eq!(families, once);
    }

    #[test]
    fn the_sockets_of_an_address_are_one() {
        let config = SocketConfig { name: "web".into(), ..SocketConfig::default() };
        let bound = Sockets::bind(&[config], &mut Passed::default()).unwrap();
        let [socket] = bound.all() else { panic!() };
        let queue = Queue { waiting: Some(2), ..Queue::default() };
        let mut page = Page(String::new());
        sockets(&[(socket, queue), (socket, queue)], &mut page);
        let address = &socket.address;
        let line = format!("circus_socket_waiting{{socket=\"web\",address=\"{address}\"}} 4\n");
        assert!(page.0.contains(&line), "{}", page.0);
    }
}
