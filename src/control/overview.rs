//! What `details` adds to the answer to `status`, for a person: the table, and who is being waited for.

use super::plain::{columns as columns_of, cut, plain};
use super::{at, items, lines, members, word};
use crate::config::number;
use serde_json::Value as Json;

/// How many pids of a watcher the table has room for.
const MOST_PIDS: usize = 4;

/// The watchers as a table; `None` if the answer has no details.
pub fn render_table(reply: &Json) -> Option<String> {
    let watchers = reply.get("watchers")?;
    let mut rows =
        vec![["WATCHER", "STATE", "PROCESSES", "UPTIME", "RESTARTS", "MEMORY", "PIDS"].map(String::from)];
    rows.extend(members(watchers).map(|(name, watcher)| row(name, watcher)));
    let width = |column: usize| rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max();
    let widths: Vec<usize> = (0..7).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 7]| {
        let mut line = String::new();
        for (number, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Numbers stand at the right of their columns.
            line += &if (2..6).contains(&number) {
                format!("{cell:>width$}  ")
            } else {
                format!("{cell:<width$}  ")
            };
        }
        line.trim_end().to_string()
    };
    let notes = members(watchers).flat_map(|(name, watcher)| {
        let notes = ["fault", "fallback"].into_iter().filter_map(|key| at(watcher, key).as_str());
        notes.map(move |note| format!("{}: {}", plain(name), plain(note)))
    });
    Some(lines(rows.iter().map(line).chain(notes)))
}

/// The processes of a watcher, in an answer to `status` with details.
pub fn processes(watcher: &Json) -> impl Iterator<Item = &Json> {
    items(at(watcher, "processes"))
}

/// How a watcher fares; an older circus tells its state alone.
pub fn condition(watcher: &Json) -> String {
    at(watcher, "condition").as_str().unwrap_or_else(|| word(watcher, "status")).to_string()
}

/// How many processes of a watcher run.
pub fn running(watcher: &Json) -> usize {
    processes(watcher).filter(|process| at(process, "state") == "running").count()
}

fn row(name: &str, watcher: &Json) -> [String; 7] {
    let status = word(watcher, "status");
    let memory =
        processes(watcher).filter_map(|process| at(process, "rss").as_u64()).reduce(u64::saturating_add);
    let mut pids: Vec<String> = processes(watcher).map(|process| at(process, "pid").to_string()).collect();
    if pids.len() > MOST_PIDS {
        let more = pids.split_off(MOST_PIDS).len();
        pids.push(format!("and {more} more"));
    }
    let rests = status == "stopped" && pids.is_empty();
    let number = |key: &str| at(watcher, key).as_u64().unwrap_or(0);
    [
        plain(name),
        condition(watcher),
        if rests { "-".into() } else { format!("{}/{}", running(watcher), number("wanted")) },
        at(watcher, "since").as_f64().filter(|_| status == "active").map_or("-".into(), duration),
        number("restarts").to_string(),
        memory.map_or("-".into(), size),
        pids.join(" "),
    ]
}

/// No name is cut to less than this.
const SHORTEST: usize = 8;

/// What is being waited for while processes end: how many of all have ended, and the process of that watcher, by pid
/// and wid, which gets SIGKILL in so many seconds; `None`: it has got it. A long name is cut so that all else is seen
/// in so many columns.
pub fn waiting_for(
    columns: usize,
    (gone, all): (usize, usize),
    watcher: &str,
    (pid, wid): (i64, i64),
    kill_in: Option<f64>,
) -> String {
    let end = match kill_in {
        Some(seconds) => format!("SIGKILL in {} s", seconds.ceil() as u64),
        None => "SIGKILL was sent".into(),
    };
    let around =
        |name: &str| format!("{gone} of {all} ended; waiting for {name}: process {pid} (wid {wid}), {end}");
    let name = plain(watcher);
    let room = columns.saturating_sub(around("").len()).max(SHORTEST);
    let fits = columns_of(&name) <= room;
    around(&if fits { name } else { format!("{}..", cut(&name, room - 2)) })
}

/// A time in the two largest units that it has: `3d04h`, `2h05m`, `1m07s`, `42s`.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, _, _) => format!("{d}d{h:02}h"),
    }
}

/// A size with a unit and at most four digits: `512K`, `1.5M`, `23.4G`.
pub fn size(bytes: u64) -> String {
    let units = [("T", 40), ("G", 30), ("M", 20)];
    match units.into_iter().find(|(_, power)| bytes >> power > 0) {
        Some((unit, power)) => number::fixed(bytes as f64 / (1_u64 << power) as f64, 1) + unit,
        None => format!("{}K", bytes.div_ceil(1024)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_and_sizes_are_short() {
        for (seconds, text) in [
            (0.9, "0s"),
            (59.9, "59s"),
            (67.0, "1m07s"),
            (7500.0, "2h05m"),
            (273_600.0, "3d04h"),
            (-1.0, "0s"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        for (bytes, text) in
            [(0, "0K"), (1, "1K"), (524_288, "512K"), (1_572_864, "1.5M"), (25_125_558_681, "23.4G")]
        {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn the_table_is_aligned_and_says_what_is_wrong() {
        let process = |pid: i32| {
            let state = if pid == 106 { "stopping" } else { "running" };
            json!({"pid": pid, "wid": 1, "state": state, "age": 3.0, "cpu": 0.5, "rss": 2 << 20})
        };
        let answer = json!({"watchers": {
            "web": {"status": "active", "since": 67.0, "restarts": 12, "wanted": 6,
                    "fault": "active: 5 of 6 processes running",
                    "processes": (101..107).map(process).collect::<Vec<_>>()},
            "a b": {"status": "stopped", "since": 1.0, "restarts": 0, "wanted": 1, "processes": []},
        }});
        let table = render_table(&answer).unwrap();
        let expected = "\
WATCHER  STATE    PROCESSES  UPTIME  RESTARTS  MEMORY  PIDS
a b      stopped          -       -         0       -
web      active         5/6   1m07s        12   12.0M  101 102 103 104 and 2 more
web: active: 5 of 6 processes running";
        assert_eq!(table, expected);
        assert_eq!(render_table(&Json::Null), None);
    }

    #[test]
    fn a_name_that_is_too_long_hides_nothing_else() {
        let line = |columns, name| waiting_for(columns, (0, 4), name, (28_769, 1), Some(2.5));
        let end = ": process 28769 (wid 1), SIGKILL in 3 s";
        let name = "a-rather-long-name-for-a-watcher";
        assert_eq!(line(99, name), format!("0 of 4 ended; waiting for {name}{end}"));
        assert_eq!(line(79, name), format!("0 of 4 ended; waiting for a-rather-lon..{end}"));
        assert_eq!(line(20, name), format!("0 of 4 ended; waiting for a-rath..{end}"));
        assert_eq!(line(20, "web"), format!("0 of 4 ended; waiting for web{end}"));
    }
}
