//! What `circus top` knows: the last look at the daemon as rows, sorted, filtered, with percentages from two looks. Pure.

use crate::control::{at, items, members, overview, word};
use crate::sorted::{Sorted, sort_by};
use serde_json::Value as Json;

/// By what rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Key {
    /// The name of the watcher, and the wid.
    #[default]
    Name,
    /// The state.
    State,
    /// For how long it is in that state, or runs.
    Uptime,
    /// How often processes that ended by themselves were replaced.
    Restarts,
    /// Processor time of the last moment.
    Cpu,
    /// Resident memory.
    Memory,
}

impl Key {
    /// All of them, in the order of the columns, with their names and the headings.
    pub const ALL: [(Key, &'static str, &'static str); 6] = [
        (Key::Name, "name", "WATCHER"),
        (Key::State, "state", "STATE"),
        (Key::Uptime, "uptime", "UPTIME"),
        (Key::Restarts, "restarts", "RESTARTS"),
        (Key::Cpu, "cpu", "CPU%"),
        (Key::Memory, "memory", "MEMORY"),
    ];

    /// The key of that name.
    pub fn named(name: &str) -> Option<Key> {
        Self::ALL.iter().find(|(_, own, _)| *own == name).map(|(key, ..)| *key)
    }

    /// The next to the right, or to the left.
    pub fn beside(self, right: bool) -> Key {
        let step = if right { 1 } else { Self::ALL.len() - 1 };
        Self::ALL.get((self as usize + step) % Self::ALL.len()).map_or(self, |(key, ..)| *key)
    }

    /// Whether the largest stands first.
    fn falls(self) -> bool {
        !matches!(self, Key::Name | Key::State)
    }
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The watcher.
    pub watcher: String,
    /// One of its processes; `None`: the watcher itself.
    pub pid: Option<i64>,
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is about.
    pub subject: Subject,
    /// The number of the process.
    pub wid: i64,
    /// The state.
    pub state: String,
    /// Seconds in that state, or of life.
    pub uptime: Option<f64>,
    /// How often processes were replaced; of watchers only.
    pub restarts: i64,
    /// Percent of a processor.
    pub cpu: f64,
    /// Bytes.
    pub memory: u64,
    /// What is wrong with the watcher.
    pub fault: Option<String>,
    /// How many processes run; of watchers only.
    pub running: usize,
}

/// The last look.
#[derive(Debug, Default)]
pub struct Model {
    /// Watchers, each with its processes behind it, in the order of `status`.
    groups: Vec<(Row, Vec<Row>)>,
    /// The sockets as `status` tells them, those with the longest queues first.
    pub sockets: Vec<Json>,
    /// circus itself: no watcher, and no name.
    pub own: Option<Row>,
    /// Processor time of each process at the last look, and when that was.
    before: Sorted<i64, f64>,
    at: f64,
}

/// How rows are chosen and in which order they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The order.
    pub key: Key,
    /// The other way round.
    pub inverted: bool,
    /// Only watchers whose names hold this.
    pub filter: String,
    /// Watchers only.
    pub folded: bool,
}

impl Model {
    /// Takes in a look at the daemon, `now` so many seconds on any clock.
    pub fn take(&mut self, reply: &Json, now: f64) {
        let elapsed = now - self.at;
        let mut seen = Sorted::new();
        let mut percent = |process: &Json| {
            let (pid, used) = (integer(at(process, "pid")), at(process, "cpu").as_f64().unwrap_or(0.0));
            seen.insert(pid, used);
            let before = self.before.get(&pid).filter(|_| elapsed > 0.0);
            before.map_or(0.0, |before| 100.0 * (used - before).max(0.0) / elapsed)
        };
        let watchers = members(at(reply, "watchers"));
        let groups = watchers.map(|(name, watcher)| group(name, watcher, &mut percent)).collect();
        let own = reply.get("circus").map(|own| process("", own, percent(own)));
        self.sockets = items(at(reply, "sockets")).cloned().collect();
        let waiting = |socket: &Json| at(socket, "waiting").as_i64();
        sort_by(&mut self.sockets, |a, b| (waiting(b), word(a, "name")) < (waiting(a), word(b, "name")));
        (self.groups, self.own, self.before, self.at) = (groups, own, seen, now);
    }

    /// The watchers and processes that were chosen, in their order.
    pub fn rows(&self, choice: &Choice) -> Vec<&Row> {
        let wanted = choice.filter.to_lowercase();
        let mut groups: Vec<&(Row, Vec<Row>)> = self
            .groups
            .iter()
            .filter(|(watcher, _)| watcher.subject.watcher.to_lowercase().contains(&wanted))
            .collect();
        sort_by(&mut groups, |a, b| comes_first(&a.0, &b.0, choice));
        let mut rows = Vec::new();
        for (watcher, processes) in groups {
            rows.push(watcher);
            if !choice.folded {
                let mut processes: Vec<&Row> = processes.iter().collect();
                sort_by(&mut processes, |a, b| comes_first(a, b, choice));
                rows.extend(processes);
            }
        }
        rows
    }

    /// How many watchers there are, how many of them fail, and how many processes run.
    pub fn counts(&self) -> (usize, usize, usize) {
        let failing = self.groups.iter().filter(|(watcher, _)| watcher.fault.is_some()).count();
        (self.groups.len(), failing, self.groups.iter().map(|(watcher, _)| watcher.running).sum())
    }
}

fn comes_first(a: &Row, b: &Row, choice: &Choice) -> bool {
    let (a, b) = if choice.inverted != choice.key.falls() { (b, a) } else { (a, b) };
    let (first, second) = match choice.key {
        Key::Name => (None, None),
        Key::State => return (&a.state, name(a)) < (&b.state, name(b)),
        Key::Uptime => (a.uptime, b.uptime),
        Key::Restarts => (Some(a.restarts as f64), Some(b.restarts as f64)),
        Key::Cpu => (Some(a.cpu), Some(b.cpu)),
        Key::Memory => (Some(a.memory as f64), Some(b.memory as f64)),
    };
    match first.partial_cmp(&second) {
        // What is equal stands by name all the same.
        Some(std::cmp::Ordering::Equal) | None if choice.key.falls() => name(b) < name(a),
        Some(std::cmp::Ordering::Equal) | None => name(a) < name(b),
        Some(order) => order.is_lt(),
    }
}

fn name(row: &Row) -> (&str, i64) {
    (&row.subject.watcher, row.wid)
}

fn group(name: &str, watcher: &Json, percent: &mut dyn FnMut(&Json) -> f64) -> (Row, Vec<Row>) {
    let processes: Vec<Row> =
        overview::processes(watcher).map(|one| process(name, one, percent(one))).collect();
    let row = Row {
        subject: Subject { watcher: name.into(), pid: None },
        wid: 0,
        state: overview::condition(watcher),
        uptime: at(watcher, "since").as_f64(),
        restarts: integer(at(watcher, "restarts")),
        cpu: processes.iter().map(|process| process.cpu).sum(),
        memory: processes.iter().map(|process| process.memory).fold(0, u64::saturating_add),
        fault: at(watcher, "fault").as_str().map(str::to_string),
        running: overview::running(watcher),
    };
    (row, processes)
}

fn process(watcher: &str, process: &Json, cpu: f64) -> Row {
    Row {
        subject: Subject { watcher: watcher.into(), pid: Some(integer(at(process, "pid"))) },
        wid: integer(at(process, "wid")),
        state: word(process, "state").into(),
        uptime: at(process, "age").as_f64(),
        restarts: 0,
        cpu,
        memory: at(process, "rss").as_u64().unwrap_or(0),
        fault: None,
        running: 0,
    }
}

fn integer(of: &Json) -> i64 {
    of.as_i64().unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// A look at a circus with two watchers, when its processes have used so much time.
    pub fn look(busy: f64) -> Json {
        let process = |pid: i64, wid: i64, cpu: f64, rss: u64| json!({"pid": pid, "wid": wid, "state": "running", "age": 60.0 + busy, "cpu": cpu, "rss": rss});
        json!({
            "circus": process(1, 0, 0.0, 1 << 20),
            "watchers": {
                "web": {"status": "active", "since": 67.0, "restarts": 3, "wanted": 3, "fault": "active: 2 of 3 processes run",
                        "processes": [process(11, 1, busy, 4 << 20), process(12, 2, busy / 2.0, 5 << 20)]},
                "clock": {"status": "stopped", "since": null, "restarts": 0, "wanted": 1, "processes": []},
            },
            "sockets": [
                {"name": "a", "address": "127.0.0.1:80", "waiting": 0, "limit": 128, "drops": 0},
                {"name": "b", "address": "/run/b", "waiting": 7, "limit": 128, "drops": null},
            ],
        })
    }

    fn shown(model: &Model, choice: &Choice) -> Vec<String> {
        let of = |row: &&Row| {
            format!("{}{}", row.subject.watcher, row.subject.pid.map_or(String::new(), |p| p.to_string()))
        };
        model.rows(choice).iter().map(of).collect()
    }

    #[test]
    fn percentages_are_those_between_two_looks() {
        let mut model = Model::default();
        model.take(&look(1.0), 100.0);
        assert_eq!(model.rows(&Choice::default())[1].cpu, 0.0);
        model.take(&look(2.0), 102.0);
        let rows = model.rows(&Choice::default());
        assert_eq!((rows[1].cpu, rows[2].cpu, rows[3].cpu), (75.0, 50.0, 25.0));
        assert_eq!((rows[1].memory, rows[1].running), (9 << 20, 2));
        assert_eq!((model.counts(), word(&model.sockets[0], "name")), ((2, 1, 2), "b"));
    }

    #[test]
    fn rows_are_sorted_and_filtered_with_processes_behind_their_watchers() {
        let mut model = Model::default();
        model.take(&look(1.0), 100.0);
        model.take(&look(2.0), 101.0);
        let with = |key, inverted| Choice { key, inverted, ..Choice::default() };
        assert_eq!(shown(&model, &with(Key::Name, false)), ["clock", "web", "web11", "web12"]);
        assert_eq!(shown(&model, &with(Key::Name, true)), ["web", "web12", "web11", "clock"]);
        assert_eq!(shown(&model, &with(Key::Cpu, false)), ["web", "web11", "web12", "clock"]);
        assert_eq!(shown(&model, &with(Key::Memory, false)), ["web", "web12", "web11", "clock"]);
        assert_eq!(shown(&model, &with(Key::Restarts, false)), ["web", "web11", "web12", "clock"]);
        assert_eq!(shown(&model, &with(Key::State, true)), ["clock", "web", "web12", "web11"]);
        let filter = Choice { filter: "CLO".into(), ..Choice::default() };
        assert_eq!(shown(&model, &filter), ["clock"]);
        assert_eq!(shown(&model, &Choice { folded: true, ..Choice::default() }), ["clock", "web"]);
        model.take(&Json::Null, 102.0);
        assert!(model.rows(&Choice::default()).is_empty());
    }

    #[test]
    fn the_keys_go_round() {
        let mut key = Key::Name;
        for (wanted, ..) in Key::ALL {
            assert_eq!(key, wanted);
            key = key.beside(true);
        }
        assert_eq!((key, key.beside(false)), (Key::Name, Key::Memory));
        assert_eq!((Key::named("cpu"), Key::named("x")), (Some(Key::Cpu), None));
    }
}
