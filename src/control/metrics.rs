//! `metrics`: what circus counts and measures, as OpenMetrics text, which Prometheus and its kin read.
//!
//! Processes are told apart by watcher and wid, which stay the same when a process is replaced, and not by pid, of which
//! there would be ever more.

use super::overview::QueueFact;
use super::{Map, one};
use crate::config::number;
use crate::signals;
use serde_json::Value as Json;

/// What is measured of a watcher.
#[derive(Clone, Debug, Default)]
pub struct WatcherMetrics {
    /// Its name.
    pub name: String,
    /// Circus's word for its state.
    pub status: &'static str,
    /// For how many seconds it has been in that state.
    pub since: Option<f64>,
    /// It does not run as it should.
    pub fails: bool,
    /// How many processes it is to have.
    pub wanted: usize,
    /// How often processes were replaced, by reason.
    pub restarts: Vec<(&'static str, u32)>,
    /// How often processes have ended, by code; a signal's number is negative.
    pub exits: Vec<(i16, u32)>,
    /// How many processes could not be executed.
    pub spawn_failures: u32,
    /// How many bytes were read from its processes, by output.
    pub output: Vec<(&'static str, u64)>,
    /// Its processes, by wid.
    pub processes: Vec<ProcessMetrics>,
}

/// What is measured of a process; `None` where /proc does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessMetrics {
    /// Its number in the watcher.
    pub wid: u32,
    /// It was asked to end.
    pub stopping: bool,
    /// For how many seconds it has run.
    pub age: f64,
    /// How many health probes in a row it has failed.
    pub failed_probes: Option<u32>,
    /// Processor time, in seconds.
    pub cpu: Option<f64>,
    /// Resident memory, in bytes.
    pub rss: Option<u64>,
    /// How many descriptors it has open.
    pub fds: Option<u64>,
}

/// Everything that is measured.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// circus itself.
    pub own: ProcessMetrics,
    /// Its version.
    pub version: &'static str,
    /// How long the turns of its loop took.
    pub turns: Durations,
    /// How many connections to the control socket there are.
    pub clients: usize,
    /// The watchers, by name.
    pub watchers: Vec<WatcherMetrics>,
    /// The sockets, by name.
    pub sockets: Vec<QueueFact>,
}

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

/// The answer to `metrics`.
pub fn answer(metrics: &Metrics) -> Map {
    one("metrics", text(metrics).into())
}

pub(super) fn render(_: &Map, reply: &Map) -> String {
    reply.get("metrics").and_then(Json::as_str).unwrap_or_default().trim_end().to_string()
}

/// All of it as OpenMetrics text.
pub fn text(metrics: &Metrics) -> String {
    let mut page = Page(String::with_capacity(4096 + 512 * metrics.watchers.len()));
    circus(metrics, &mut page);
    watchers(&metrics.watchers, &mut page);
    counts(&metrics.watchers, &mut page);
    processes(&metrics.watchers, &mut page);
    sockets(&metrics.sockets, &mut page);
    page.0.push_str("# EOF\n");
    page.0
}

fn circus(metrics: &Metrics, page: &mut Page) {
    page.family("circus_build", "info", "The circus that tells all this.");
    page.sample("circus_build_info", &[("version", metrics.version)], "1");
    page.family("circus_uptime_seconds", "gauge", "For how long circus has run.");
    page.sample("circus_uptime_seconds", &[], &seconds(metrics.own.age));
    let own = |get: fn(&ProcessMetrics) -> Option<String>| get(&metrics.own);
    for (name, kind, help, value) in usage("circus", "circus itself") {
        page.family(&name, kind, &help);
        let suffix = if kind == "counter" { "_total" } else { "" };
        own(value).into_iter().for_each(|value| page.sample(&(name.clone() + suffix), &[], &value));
    }
    page.family("circus_clients", "gauge", "Connections to the control socket.");
    page.sample("circus_clients", &[], &metrics.clients.to_string());
    page.family("circus_loop_turn_seconds", "histogram", "How long the turns of the event loop took.");
    let mut sum = 0;
    let bounds = Durations::BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
    for (count, bound) in metrics.turns.counts.iter().zip(bounds) {
        sum += count;
        page.sample("circus_loop_turn_seconds_bucket", &[("le", bound)], &sum.to_string());
    }
    page.sample("circus_loop_turn_seconds_count", &[], &sum.to_string());
    page.sample("circus_loop_turn_seconds_sum", &[], &number::fixed(metrics.turns.sum, 6));
}

fn watchers(watchers: &[WatcherMetrics], page: &mut Page) {
    page.family("circus_watcher_state", "stateset", "What a watcher is doing.");
    for watcher in watchers {
        for state in ["starting", "active", "stopping", "stopped"] {
            let labels = [("watcher", watcher.name.as_str()), ("circus_watcher_state", state)];
            page.sample("circus_watcher_state", &labels, flag(watcher.status == state));
        }
    }
    page.family("circus_watcher_since_seconds", "gauge", "For how long it has been in that state.");
    for watcher in watchers {
        let since = watcher.since.map(seconds);
        since.into_iter().for_each(|since| page.of(watcher, "circus_watcher_since_seconds", &[], &since));
    }
    page.family("circus_watcher_failing", "gauge", "Whether it is to run and does not run as it should.");
    for watcher in watchers {
        page.of(watcher, "circus_watcher_failing", &[], flag(watcher.fails));
    }
    page.family("circus_watcher_wanted_processes", "gauge", "How many processes it is to have.");
    for watcher in watchers {
        page.of(watcher, "circus_watcher_wanted_processes", &[], &watcher.wanted.to_string());
    }
    page.family("circus_watcher_processes", "gauge", "How many processes it has.");
    for watcher in watchers {
        for (state, stopping) in [("running", false), ("stopping", true)] {
            let count = watcher.processes.iter().filter(|process| process.stopping == stopping).count();
            page.of(watcher, "circus_watcher_processes", &[("state", state)], &count.to_string());
        }
    }
}

fn counts(watchers: &[WatcherMetrics], page: &mut Page) {
    page.family("circus_watcher_restarts", "counter", "How often its processes were replaced, by reason.");
    for watcher in watchers {
        for (reason, count) in &watcher.restarts {
            page.of(watcher, "circus_watcher_restarts_total", &[("reason", reason)], &count.to_string());
        }
    }
    page.family("circus_watcher_exits", "counter", "How often its processes have ended, by code or signal.");
    for watcher in watchers {
        for (code, count) in &watcher.exits {
            let label = match i32::from(*code) {
                signal @ ..0 => ("signal", signals::name(-signal)),
                code => ("code", code.to_string()),
            };
            page.of(watcher, "circus_watcher_exits_total", &[(label.0, &label.1)], &count.to_string());
        }
    }
    page.family("circus_watcher_spawn_failures", "counter", "How many processes could not be executed.");
    for watcher in watchers {
        page.of(watcher, "circus_watcher_spawn_failures_total", &[], &watcher.spawn_failures.to_string());
    }
    page.family("circus_watcher_output_bytes", "counter", "How much was read from its processes.");
    for watcher in watchers {
        for (stream, bytes) in &watcher.output {
            page.of(watcher, "circus_watcher_output_bytes_total", &[("stream", stream)], &bytes.to_string());
        }
    }
}

type Usage = (String, &'static str, String, fn(&ProcessMetrics) -> Option<String>);

/// The families that say what processes use: name, type, help and value.
fn usage(prefix: &str, what: &str) -> [Usage; 3] {
    [
        (format!("{prefix}_cpu_seconds"), "counter", format!("Processor time of {what}."), |p| {
            p.cpu.map(seconds)
        }),
        (format!("{prefix}_resident_memory_bytes"), "gauge", format!("Resident memory of {what}."), |p| {
            p.rss.map(|bytes| bytes.to_string())
        }),
        (format!("{prefix}_open_fds"), "gauge", format!("Open descriptors of {what}."), |p| {
            p.fds.map(|count| count.to_string())
        }),
    ]
}

fn processes(watchers: &[WatcherMetrics], page: &mut Page) {
    let uptime: Usage =
        ("circus_process_uptime_seconds".into(), "gauge", "For how long a process has run.".into(), |p| {
            Some(seconds(p.age))
        });
    let help = "Health probes in a row that a process has failed.".into();
    let failed: Usage =
        ("circus_process_failed_probes".into(), "gauge", help, |p| p.failed_probes.map(|n| n.to_string()));
    let more = [uptime, failed];
    for (name, kind, help, value) in usage("circus_process", "a process").into_iter().chain(more) {
        page.family(&name, kind, &help);
        let sample = if kind == "counter" { name + "_total" } else { name };
        for watcher in watchers {
            for process in &watcher.processes {
                let (wid, value) = (process.wid.to_string(), value(process));
                value.into_iter().for_each(|value| page.of(watcher, &sample, &[("wid", &wid)], &value));
            }
        }
    }
}

fn sockets(sockets: &[QueueFact], page: &mut Page) {
    type Value = fn(&QueueFact) -> Option<u32>;
    let families: [(&str, &str, &str, Value); 3] = [
        ("circus_socket_waiting", "gauge", "Connections that nobody has accepted yet.", |s| s.waiting),
        ("circus_socket_backlog", "gauge", "How many of them may wait.", |s| s.limit),
        ("circus_socket_drops", "counter", "Connections or datagrams that the kernel has dropped.", |s| {
            s.drops
        }),
    ];
    for (name, kind, help, value) in families {
        page.family(name, kind, help);
        let sample = if kind == "counter" { name.to_string() + "_total" } else { name.to_string() };
        // With so_reuseport an address has several sockets.
        let mut rest = sockets;
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|s| (&s.name, &s.place) == (&first.name, &first.place)).count();
            let (group, others) = rest.split_at(same.max(1));
            let sum = group.iter().filter_map(value).map(u64::from).reduce(u64::saturating_add);
            let labels = [("socket", first.name.as_str()), ("address", first.place.as_str())];
            sum.into_iter().for_each(|sum| page.sample(&sample, &labels, &sum.to_string()));
            rest = others;
        }
    }
}

fn flag(on: bool) -> &'static str {
    if on { "1" } else { "0" }
}

fn seconds(seconds: f64) -> String {
    number::fixed(seconds, 2)
}

/// The text that is being written.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.0 += &format!("# TYPE {name} {kind}\n");
        for unit in ["seconds", "bytes"] {
            if name.ends_with(unit) {
                self.0 += &format!("# UNIT {name} {unit}\n");
            }
        }
        self.0 += &format!("# HELP {name} {help}\n");
    }

    /// A sample of a watcher.
    fn of(&mut self, watcher: &WatcherMetrics, name: &str, more: &[(&str, &str)], value: &str) {
        let mut labels = vec![("watcher", watcher.name.as_str())];
        labels.extend_from_slice(more);
        self.sample(name, &labels, value);
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

    #[test]
    fn every_family_stands_once_and_labels_are_escaped() {
        let (cpu, rss) = (Some(0.25), Some(4096));
        let process = ProcessMetrics {
            wid: 2,
            age: 1.5,
            cpu,
            rss,
            failed_probes: Some(1),
            ..ProcessMetrics::default()
        };
        let watcher = WatcherMetrics {
            name: "a\"b\\c\n\u{10f8ff}".into(),
            status: "active",
            since: Some(3.0),
            restarts: vec![("exit", 1), ("oom", 0)],
            exits: vec![(-9, 2), (3, 1)],
            output: vec![("stdout", 7)],
            processes: vec![process],
            ..WatcherMetrics::default()
        };
        let mut turns = Durations::default();
        [0.00005, 0.0005, 0.0005, 100.0].into_iter().for_each(|seconds| turns.add(seconds));
        let socket = QueueFact {
            name: "web".into(),
            place: "[::1]:80".into(),
            waiting: Some(2),
            ..QueueFact::default()
        };
        let metrics = Metrics {
            version: "1",
            turns,
            watchers: vec![watcher],
            sockets: vec![socket.clone(), socket],
            ..Metrics::default()
        };
        let text = text(&metrics);
        for line in [
            "circus_watcher_state{watcher=\"a\\\"b\\\\c\\n\u{fffd}\",circus_watcher_state=\"active\"} 1",
            "circus_loop_turn_seconds_bucket{le=\"0.001\"} 3",
            "circus_loop_turn_seconds_bucket{le=\"10.0\"} 3",
            "circus_loop_turn_seconds_bucket{le=\"+Inf\"} 4",
            "circus_socket_waiting{socket=\"web\",address=\"[::1]:80\"} 4",
            "# UNIT circus_process_cpu_seconds seconds",
            "circus_process_failed_probes{watcher=\"a\\\"b\\\\c\\n\u{fffd}\",wid=\"2\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(text.contains(",signal=\"SIGKILL\"} 2\n") && text.contains(",code=\"3\"} 1\n"), "{text}");
        assert!(text.contains(",wid=\"2\"} 0.25\n") && !text.contains("circus_process_open_fds{"), "{text}");
        let families: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let mut once = families.clone();
        once.dedup();
        assert_eq!(families, once);
    }
}
