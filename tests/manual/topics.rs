//! The table of options by topic, with which circus.ini(5) opens.
//!
//! An option has the topic of the one before it in the option table, unless a mark here gives it another: so a new row
//! has a topic where it stands.

/// An option as macros and arguments.
pub struct Entry {
    pub section: &'static str,
    pub key: String,
    pub takes: String,
    pub default: Option<String>,
}

/// Titles, in order, with the section of the page that explains the topic.
const TOPICS: &[(&str, &str)] = &[
    ("What runs", "How a process is made"),
    ("Starting and restarting", "Respawning"),
    ("Stopping", "Stopping"),
    ("Reloading and replacing", "Reloading"),
    ("Sockets", "SOCKETS"),
    ("Output", "STREAMS"),
    ("Readiness and dependencies", "Readiness"),
    ("Health", "Health"),
    ("Limits, priority and privileges", "Priority and privileges"),
    ("Hooks", "HOOKS"),
    ("Plugins", "PLUGINS"),
    ("Control and access", "Who may do what"),
    ("The log and files of circus", "CIRCUS"),
];

/// Section, first key and topic.
const MARKS: &[(&str, &str, &str)] = &[
    ("circus", "endpoint", "Control and access"),
    ("circus", "warmup_delay", "Starting and restarting"),
    ("circus", "umask", "Limits, priority and privileges"),
    ("circus", "loglevel", "The log and files of circus"),
    ("circus", "log_max_bytes", "Output"),
    ("circus", "tombstone", "The log and files of circus"),
    ("access", "look", "Control and access"),
    ("watcher", "cmd", "What runs"),
    ("watcher", "warmup_delay", "Starting and restarting"),
    ("watcher", "use_sockets", "Sockets"),
    ("watcher", "close_child_stdin", "What runs"),
    ("watcher", "on_demand", "Sockets"),
    ("watcher", "stop_signal", "Stopping"),
    ("watcher", "send_hup", "Reloading and replacing"),
    ("watcher", "ready", "Readiness and dependencies"),
    ("watcher", "health", "Health"),
    ("watcher", "nice", "Limits, priority and privileges"),
    ("watcher", "hook_timeout", "Hooks"),
    ("watcher", "ring_bytes", "Output"),
    ("watcher", "rlimit_ Ns Ar NAME", "Limits, priority and privileges"),
    ("watcher", "stdout_stream. Ns Ar NAME", "Output"),
    ("watcher", "hooks. Ns Ar NAME", "Hooks"),
    ("watcher", "flapping. Ns Ar NAME", "Plugins"),
    ("watcher", "cgroup. Ns Ar NAME", "Limits, priority and privileges"),
    ("socket", "host", "Sockets"),
    ("stream", "class", "Output"),
    ("plugin", "use", "Plugins"),
];

/// A table for each topic.
pub fn tables(entries: &[Entry]) -> String {
    for (section, key, _) in MARKS {
        let is_there = entries.iter().any(|entry| entry.section == *section && entry.key == *key);
        assert!(is_there, "tests/manual/topics.rs: there is no option {key} in [{section}]");
    }
    let mut topic = "";
    let placed: Vec<(&str, &Entry)> = entries
        .iter()
        .map(|entry| {
            let mark = MARKS.iter().find(|mark| mark.0 == entry.section && mark.1 == entry.key);
            topic = mark.map_or(topic, |mark| mark.2);
            (topic, entry)
        })
        .collect();
    let named = |topic: &str| TOPICS.iter().any(|(title, _)| *title == topic);
    assert!(placed.iter().all(|(topic, _)| named(topic)), "tests/manual/topics.rs: a mark names no topic");
    let table = |(title, explained): &(&str, &str)| {
        let rows = placed.iter().filter(|(topic, _)| topic == title).map(|(_, entry)| row(entry));
        let columns = r#""stdout_stream.NAMExx" "True | False | on-failure" "Defaultx" "watcher""#;
        let head = format!(".Ss {title}\nExplained in\n.Sx {explained} .\n.Bl -column {columns}\n");
        head + ".It Em option Ta Em type Ta Em default Ta Em section\n" + &rows.collect::<String>() + ".El\n"
    };
    TOPICS.iter().map(table).collect()
}

fn row(entry: &Entry) -> String {
    // A long choice would burst the column; the list of the section has it.
    let takes = if entry.takes.len() > 32 { "Ar word" } else { &entry.takes };
    let default = entry.default.as_deref().unwrap_or("\\&-");
    format!(".It Ic {} Ta {takes} Ta {default} Ta {}\n", entry.key, entry.section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_has_the_topic_of_the_one_before_it() {
        let entry = |(section, key): (&'static str, &str)| Entry {
            section,
            key: key.into(),
            takes: "Ar text".into(),
            default: Some("7".into()),
        };
        let mut all: Vec<Entry> = MARKS.iter().map(|mark| entry((mark.0, mark.1))).collect();
        all.push(entry(("plugin", "new")));
        let page = tables(&all);
        let place = |what: &str| page.find(what).expect("it stands in the tables");
        assert!(place(".Ss Plugins") < place("Ic new Ta Ar text Ta 7 Ta plugin"), "{page}");
        assert!(place("Ic new Ta") < place(".Ss Control and access"), "{page}");
    }
}
