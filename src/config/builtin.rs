//! THE table of the plugins that circus has itself: their classes in Circus, and their options, one row each.
//!
//! A row names an option once: its key, what it takes, its default as it would be written, and one line of help. What
//! `check` says, what the plugins read and the lists in the manual come from the rows.

use super::ini::shorten;
use super::model::{Builtin, Names, Severity};
use super::suggest::nearest;
use super::url;
use super::value::{Kind, Value};
use super::{number, plugin};

/// What an option of a plugin takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes {
    /// What options of other sections take too.
    Plain(Kind),
    /// A whole number that is not less than the one and not more than the other.
    Whole(i64, i64),
    /// A number that is not less than the one and not more than the other.
    Number(f64, f64),
    /// Seconds, at least so many.
    Seconds(f64),
    /// Percent of the machine's memory, or bytes when it has a unit.
    Memory,
    /// An address, or localhost.
    Host,
    /// Where to ask a web server.
    Http,
    /// Where to ask a Redis server.
    Redis,
    /// A regular expression. Only the C library can say whether it is one.
    Regex,
    /// The name of a watcher.
    Watcher,
}

/// An option of a plugin.
pub struct Row {
    /// The key as it is written.
    pub key: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What holds when it is missing, as it would be written; empty: nothing.
    pub default: &'static str,
    /// One line for the manual.
    pub help: &'static str,
}

/// A plugin that circus has itself.
pub struct Plugin {
    /// Which.
    pub builtin: Builtin,
    /// Its class in Circus.
    pub class: &'static str,
    /// Its options. Of two rows of one key the first counts.
    pub rows: &'static [&'static [Row]],
}

const fn row(key: &'static str, takes: Takes, default: &'static str, help: &'static str) -> Row {
    Row { key, takes, default, help }
}

const FLAG: Takes = Takes::Plain(Kind::Bool);
const TEXT: Takes = Takes::Plain(Kind::Text);
const SIGNAL: Takes = Takes::Plain(Kind::Signal);
const PORT: Takes = Takes::Whole(0, 65535);
const COUNT: Takes = Takes::Whole(0, 1_000_000);
const PERCENT: Takes = Takes::Number(0.0, 1e6);
/// No plugin may wake circus more often than a hundred times a second.
const RATE: Takes = Takes::Seconds(0.01);

/// The options of Flapping, which may stand in a watcher as `flapping.KEY` too.
pub static FLAPPING: &[Row] = &[
    row(
        "attempts",
        Takes::Whole(1, 1000),
        "2",
        "how many deaths in a row make it look whether they are too many",
    ),
    row(
        "window",
        Takes::Seconds(0.0),
        "1",
        "they are, when no more seconds lie between the first and the last",
    ),
    row(
        "retry_in",
        Takes::Seconds(0.0),
        "7",
        "seconds until a watcher that was stopped for it is started again",
    ),
    row(
        "max_retry",
        Takes::Whole(-1, 1_000_000),
        "5",
        "how often in a row it is started again; -1: for ever",
    ),
    row("active", FLAG, "True", "start with circus; in a watcher: look at it"),
];
const ACTIVE: &[Row] = &[row("active", FLAG, "True", "start with circus")];
const STATSD: &[Row] = &[
    row("host", Takes::Host, "localhost", "the address of the statsd server"),
    row("port", PORT, "8125", "its UDP port"),
    row("application_name", TEXT, "app", "the second word of all names that it is sent"),
    row("sample_rate", Takes::Number(0.0001, 1.0), "1", "which part of all counts and times it is sent"),
];
const LOOP: &[Row] = &[row("loop_rate", RATE, "60", "seconds between two looks")];
const RESOURCES: &[Row] = &[
    row("watcher", Takes::Watcher, "", "the watcher whose processes are looked at"),
    row("service", Takes::Watcher, "", "an old name of watcher"),
    row("max_cpu", PERCENT, "90", "the most percent of one processor; 0: any"),
    row("min_cpu", PERCENT, "", "so many percent, or less, are too little"),
    row(
        "max_mem",
        Takes::Memory,
        "90",
        "the most memory, in percent or, with a unit as in 100M, in bytes; 0: any",
    ),
    row("min_mem", Takes::Memory, "", "less memory than this is too little"),
    row("health_threshold", PERCENT, "75", "the most that the mean of both percentages may be; 0: any"),
    row("max_count", COUNT, "3", "so many looks in a row are let pass"),
    row("process_children", FLAG, "False", "look at the direct children of the processes too"),
    row("child_signal", SIGNAL, "TERM", "the signal for such a child"),
];
const WATCHDOG: &[Row] = &[
    row("loop_rate", RATE, "60", "seconds between two looks"),
    row(
        "watchers_regex",
        Takes::Regex,
        ".*",
        "the watchers whose processes must be heard of: what their names begin with",
    ),
    row(
        "msg_regex",
        Takes::Regex,
        "^(?P<pid>.*);(?P<timestamp>.*)$",
        "what a message begins with; its group pid is the process",
    ),
    row("max_count", Takes::Whole(1, 1_000_000), "3", "so many times loop_rate a process may be silent"),
    row("ip", Takes::Host, "127.0.0.1", "the address to listen at"),
    row("port", PORT, "1664", "the UDP port to listen at; 0: one that is free, which the log tells"),
    row(
        "watchers_stop_signal",
        SIGNAL,
        "",
        "the signal for a silent process, instead of the stop_signal of its watcher",
    ),
    row(
        "watchers_graceful_timeout",
        Takes::Seconds(0.0),
        "",
        "seconds until it gets SIGKILL, instead of the graceful_timeout of its watcher",
    ),
];
const RELOADER: &[Row] = &[row("loop_rate", RATE, "1", "seconds between two looks")];
const HTTP: &[Row] = &[
    row("check_url", Takes::Http, "http://localhost/", "what to ask for"),
    row("timeout", Takes::Seconds(0.01), "10", "how long an answer may take, in seconds"),
    row(
        "restart_on_error",
        Takes::Watcher,
        "",
        "the watcher to restart when there is no answer, or an error",
    ),
    row("application_name", TEXT, "http_observer", "the second word of all names that statsd is sent"),
];
const REDIS: &[Row] = &[
    row(
        "redis_url",
        Takes::Redis,
        "redis://localhost:6379/0",
        "where: redis://[USER:PASSWORD@]HOST[:PORT] or unix://PATH",
    ),
    row("timeout", Takes::Seconds(0.01), "5", "how long an answer may take, in seconds"),
    row("restart_on_timeout", Takes::Watcher, "", "the watcher to restart when there is no answer"),
    row("application_name", TEXT, "redis_observer", "the second word of all names that statsd is sent"),
];

/// The plugins.
pub static PLUGINS: &[Plugin] = &[
    Plugin { builtin: Builtin::Flapping, class: "circus.plugins.flapping.Flapping", rows: &[FLAPPING] },
    Plugin {
        builtin: Builtin::ResourceWatcher,
        class: "circus.plugins.resource_watcher.ResourceWatcher",
        rows: &[RESOURCES, LOOP, STATSD, ACTIVE],
    },
    Plugin {
        builtin: Builtin::WatchDog,
        class: "circus.plugins.watchdog.WatchDog",
        rows: &[WATCHDOG, ACTIVE],
    },
    Plugin {
        builtin: Builtin::CommandReloader,
        class: "circus.plugins.command_reloader.CommandReloader",
        rows: &[RELOADER, ACTIVE],
    },
    Plugin {
        builtin: Builtin::StatsdEmitter,
        class: "circus.plugins.statsd.StatsdEmitter",
        rows: &[STATSD, ACTIVE],
    },
    Plugin {
        builtin: Builtin::FullStats,
        class: "circus.plugins.statsd.FullStats",
        rows: &[LOOP, STATSD, ACTIVE],
    },
    Plugin {
        builtin: Builtin::HttpObserver,
        class: "circus.plugins.http_observer.HttpObserver",
        rows: &[HTTP, LOOP, STATSD, ACTIVE],
    },
    Plugin {
        builtin: Builtin::RedisObserver,
        class: "circus.plugins.redis_observer.RedisObserver",
        rows: &[REDIS, LOOP, STATSD, ACTIVE],
    },
];

impl Builtin {
    /// The plugin that has this class in Circus.
    pub fn of_class(class: &str) -> Option<Builtin> {
        PLUGINS.iter().find(|plugin| plugin.class == class).map(|plugin| plugin.builtin)
    }

    /// Its options, each key once.
    pub fn rows(self) -> impl Iterator<Item = &'static Row> {
        let groups =
            PLUGINS.iter().filter(move |plugin| plugin.builtin == self).flat_map(|plugin| plugin.rows);
        let rows = groups.flat_map(|group| group.iter());
        rows.filter(move |row| self.row(row.key).is_some_and(|first| std::ptr::eq(first, *row)))
    }

    fn row(self, key: &str) -> Option<&'static Row> {
        let plugin = PLUGINS.iter().find(|plugin| plugin.builtin == self)?;
        plugin.rows.iter().flat_map(|group| group.iter()).find(|row| row.key == key)
    }

    /// What is wrong with the options of such a plugin: the key, how bad it is, and what to say.
    pub fn problems(self, options: &Names) -> Vec<(String, Severity, String)> {
        let mut found = Vec::new();
        let mut find = |key: &str, severity, text: String| found.push((key.to_string(), severity, text));
        for (key, text) in options {
            if let Some(row) = self.row(key) {
                if let Some(why) = row.refusal(text) {
                    find(key, Severity::Error, format!("`{key} = {}` {why}", shorten(text)));
                }
            } else if plugin::PROCESS.contains(&key.as_str()) {
                if key != "autostart" {
                    find(
                        key,
                        Severity::Warning,
                        format!("`{key}` has no effect: this plugin has no process"),
                    );
                }
            } else {
                find(key, Severity::Warning, self.unknown(key));
            }
        }
        let is_named = |key: &&str| !Settings::new(self, options).text(key).is_empty();
        if self == Builtin::ResourceWatcher && !["watcher", "service"].iter().any(|key| is_named(key)) {
            find("use", Severity::Error, "it needs `watcher = NAME`".into());
        }
        found
    }

    fn unknown(self, key: &str) -> String {
        let keys: Vec<&'static str> = self.rows().map(|row| row.key).collect();
        let hint = nearest(key, &keys).map(|near| format!(": did you mean `{near}`?"));
        let known = || format!("; this plugin has {}", keys.join(" "));
        format!("there is no option `{}`{}", shorten(key), hint.unwrap_or_else(known))
    }
}

/// What is wrong with `flapping.KEY = text` of a watcher, if something is.
pub fn flapping_problem(key: &str, text: &str) -> Option<String> {
    let Some(row) = FLAPPING.iter().find(|row| row.key == key) else {
        let keys: Vec<&'static str> = FLAPPING.iter().map(|row| row.key).collect();
        let hint = nearest(key, &keys).map(|near| format!(": did you mean `flapping.{near}`?"));
        return Some(format!("there is no option `flapping.{}`{}", shorten(key), hint.unwrap_or_default()));
    };
    row.refusal(text).map(|why| format!("`flapping.{key} = {}` {why}", shorten(text)))
}

impl Row {
    /// Why `text` is no value of it: a phrase that completes "`key = text` ...".
    pub fn refusal(&self, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() && self.default.is_empty() {
            return None;
        }
        match self.takes {
            Takes::Plain(kind) => kind.parse(text).err(),
            Takes::Whole(least, most) => match Kind::Int.parse(text) {
                Ok(Value::Int(n)) if (least..=most).contains(&n) => None,
                _ => Some(format!("is not a whole number from {least} to {most}")),
            },
            Takes::Number(least, most) => match Kind::Float.parse(text) {
                Ok(Value::Float(n)) if n >= least && n <= most => None,
                _ => Some(format!("is not a number from {} to {}", shown(least), shown(most))),
            },
            Takes::Seconds(least) => match Kind::Float.parse(text) {
                Ok(Value::Float(n)) if n >= least => None,
                _ => Some(format!("is not a number of seconds from {} up", shown(least))),
            },
            Takes::Memory => {
                let why = "is neither a percentage nor a number of bytes with a unit, such as 90 or 100M";
                Memory::parse(text).is_none().then(|| why.into())
            }
            Takes::Host => url::ip(text).is_none().then(|| url::NO_NAMES.into()),
            Takes::Http => url::http(text).err(),
            Takes::Redis => url::redis(text).err(),
            Takes::Regex | Takes::Watcher => None,
        }
    }
}

fn shown(bound: f64) -> String {
    let text = number::fixed(bound, 4);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Memory {
    /// Percent of that of the machine.
    Percent(f64),
    /// Bytes.
    Bytes(f64),
}

impl Memory {
    /// A plain number is percent, one with a unit is bytes, as Circus has it.
    pub fn parse(text: &str) -> Option<Memory> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (digits, unit) = text.split_at_checked(end)?;
        let amount = number::parse(digits)?;
        let unit = unit.trim().to_ascii_uppercase();
        if matches!(unit.as_str(), "" | "%") {
            return Some(Memory::Percent(amount));
        }
        let letter = unit.strip_suffix('B').unwrap_or(&unit);
        let letter = letter.strip_suffix('I').unwrap_or(letter);
        let power = ["", "K", "M", "G", "T", "P"].iter().position(|known| *known == letter)?;
        Some(Memory::Bytes(amount * (1u64 << (10 * power)) as f64))
    }
}

/// The options of a plugin, as it reads them: what was written, or else the default.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    builtin: Builtin,
    options: &'a Names,
}

impl<'a> Settings<'a> {
    /// The options of such a plugin.
    pub fn new(builtin: Builtin, options: &'a Names) -> Settings<'a> {
        Settings { builtin, options }
    }

    /// Text; empty when there is none.
    pub fn text(&self, key: &str) -> &'a str {
        let default = || self.builtin.row(key).map_or("", |row| row.default);
        self.options.get(key).map(|text| text.trim()).filter(|text| !text.is_empty()).unwrap_or_else(default)
    }

    /// A number, unless there is none.
    pub fn number(&self, key: &str) -> Option<f64> {
        if let Ok(Value::Float(n)) = Kind::Float.parse(self.text(key)) { Some(n) } else { None }
    }

    /// A whole number; 0 when there is none.
    pub fn whole(&self, key: &str) -> i64 {
        if let Ok(Value::Int(n)) = Kind::Int.parse(self.text(key)) { n } else { 0 }
    }

    /// A signal, unless there is none.
    pub fn signal(&self, key: &str) -> Option<i32> {
        super::signals::parse(self.text(key))
    }

    /// Whether a switch is on.
    pub fn flag(&self, key: &str) -> bool {
        Kind::Bool.parse(self.text(key)) == Ok(Value::Bool(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(&str, &str)]) -> Names {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn every_default_is_a_value_of_its_row() {
        for plugin in PLUGINS {
            assert!(plugin.builtin.rows().any(|row| row.key == "active"), "{}", plugin.class);
            for row in plugin.builtin.rows() {
                assert_eq!(row.refusal(row.default), None, "{} {}", plugin.class, row.key);
                assert!(!row.help.is_empty() && !row.help.ends_with('.'), "{}", row.key);
            }
        }
    }

    #[test]
    fn the_first_of_two_rows_counts() {
        let settings =
            |builtin| Settings { builtin, options: &Names::new() }.text("application_name").to_string();
        assert_eq!(settings(Builtin::FullStats), "app");
        assert_eq!(settings(Builtin::RedisObserver), "redis_observer");
        let rows = Builtin::HttpObserver.rows().filter(|row| row.key == "application_name");
        assert_eq!(rows.count(), 1);
    }

    #[test]
    fn settings_are_what_was_written_or_the_default() {
        let options =
            names(&[("max_cpu", "70.5"), ("child_signal", "int"), ("max_count", " 7 "), ("min_cpu", "")]);
        let settings = Settings::new(Builtin::ResourceWatcher, &options);
        assert_eq!((settings.number("max_cpu"), settings.number("min_cpu")), (Some(70.5), None));
        assert_eq!((settings.whole("max_count"), settings.signal("child_signal")), (7, Some(2)));
        assert_eq!((settings.text("watcher"), settings.number("loop_rate")), ("", Some(60.0)));
        assert!(settings.flag("active") && !settings.flag("process_children"));
    }

    #[test]
    fn memory_is_percent_or_has_a_unit() {
        for (text, wanted) in [
            ("90", Some(Memory::Percent(90.0))),
            ("12.5 %", Some(Memory::Percent(12.5))),
            ("100M", Some(Memory::Bytes(104_857_600.0))),
            ("1.5g", Some(Memory::Bytes(1_610_612_736.0))),
            ("2 KiB", Some(Memory::Bytes(2048.0))),
            ("7B", Some(Memory::Bytes(7.0))),
            ("M", None),
            ("1X", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(Memory::parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn wrong_options_are_found() {
        let cases = [
            (
                Builtin::Flapping,
                "max_retri",
                "1",
                "there is no option `max_retri`: did you mean `max_retry`?",
            ),
            (
                Builtin::Flapping,
                "colour",
                "1",
                "there is no option `colour`; this plugin has attempts window",
            ),
            (Builtin::Flapping, "attempts", "0", "`attempts = 0` is not a whole number from 1 to 1000"),
            (Builtin::Flapping, "uid", "www", "`uid` has no effect: this plugin has no process"),
            (Builtin::FullStats, "loop_rate", "0", "`loop_rate = 0` is not a number of seconds from 0.01 up"),
            (Builtin::FullStats, "sample_rate", "2", "`sample_rate = 2` is not a number from 0.0001 to 1"),
            (Builtin::FullStats, "host", "stats", "`host = stats` is no address"),
            (Builtin::FullStats, "port", "", "`port = ` is not a whole number from 0 to 65535"),
            (Builtin::WatchDog, "watchers_stop_signal", "X", "`watchers_stop_signal = X` is not a signal"),
            (Builtin::HttpObserver, "check_url", "https://localhost/", "`check_url = https://localhost/` is"),
        ];
        for (builtin, key, text, wanted) in cases {
            let found = builtin.problems(&names(&[(key, text)]));
            assert!(found.len() == 1 && found[0].2.starts_with(wanted), "{key}: {found:?}");
            assert_eq!(found[0].0, key);
        }
        let found = Builtin::ResourceWatcher.problems(&names(&[("max_mem", "8G"), ("autostart", "no")]));
        assert_eq!(found, [("use".into(), Severity::Error, "it needs `watcher = NAME`".into())]);
        assert_eq!(Builtin::ResourceWatcher.problems(&names(&[("service", "web")])), []);
    }

    #[test]
    fn a_watcher_may_have_options_of_flapping() {
        assert_eq!(flapping_problem("max_retry", "-1"), None);
        assert!(
            flapping_problem("max_retry", "x").is_some_and(|why| why.starts_with("`flapping.max_retry = x`"))
        );
        let hint = "there is no option `flapping.windw`: did you mean `flapping.window`?";
        assert_eq!(flapping_problem("windw", "1").as_deref(), Some(hint));
    }
}
