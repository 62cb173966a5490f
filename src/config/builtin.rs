//! THE table of the plugins that circus has itself: their classes in Circus, and their options, one row each.
//!
//! A row names an option once: its key, whose it is, what it takes, its default as it would be written, and one line of
//! help. What `check` says, what the plugins read and the lists in the manual come from the rows.

use super::check::suggest::nearest;
use super::ini::shorten;
use super::model::{Builtin, Names, Severity};
use super::options::{WATCHER, find, watcher};
use super::value::{Kind, Value};
use super::{number, url};
use crate::signals;
use Takes::{Flag, Host, Http, Listen, Number, Rate, Redis, Regex, Seconds, Signal, Text, Watcher, Whole};

/// What an option of a plugin takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// True or false.
    Flag,
    /// Any text.
    Text,
    /// A signal.
    Signal,
    /// Seconds.
    Seconds,
    /// Seconds, more than none.
    Rate,
    /// A whole number that is not less than the one and not more than the other.
    Whole(i32, i32),
    /// A number from 0 to this.
    Number(i32),
    /// Percent of the machine's memory, or bytes when it has a unit.
    Memory,
    /// An address, or localhost.
    Host,
    /// Where to ask a web server.
    Http,
    /// Where to ask a Redis server.
    Redis,
    /// Where to listen.
    Listen,
    /// A regular expression. The plugin says whether it is one.
    Regex,
    /// The name of a watcher.
    Watcher,
}

/// An option of a plugin.
pub struct Row {
    /// The key as it is written.
    pub key: &'static str,
    /// The letters of the plugins that have it.
    of: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What holds when it is missing, as it would be written; empty: nothing.
    pub default: &'static str,
}

/// Makes the rows, and the help, which the manual alone reads and the program does not hold.
macro_rules! rows {
    ($($key:literal, $of:literal, $takes:expr, $default:literal, $help:literal;)*) => {
        const ROWS: &[Row] = &[$(Row { key: $key, of: $of, takes: $takes, default: $default },)*];
        const HELP: &[(&str, &str, &str)] = &[$(($key, $of, $help),)*];
    };
}

rows! {
    "attempts", "F", Whole(1, 1000), "2", "how many exits within window are too many";
    "window", "F", Seconds, "1", "the window, in seconds";
    "retry_in", "F", Seconds, "7", "seconds until a watcher that was stopped is started again";
    "max_retry", "F", Whole(-1, 1_000_000_000), "5", "how often in a row it is started again; -1: forever";
    "watcher", "R", Watcher, "", "the watcher to observe";
    "service", "R", Watcher, "", "an old name of watcher";
    "max_cpu", "R", Number(1_000_000), "90", "maximum processor time, in percent of one processor; 0: no limit";
    "min_cpu", "R", Number(1_000_000), "", "processor time of this many percent or less is too little";
    "max_mem", "R", Takes::Memory, "90", "maximum memory, in percent or, with a unit as in 100M, in bytes; 0: no limit";
    "min_mem", "R", Takes::Memory, "", "minimum memory";
    "health_threshold", "R", Number(1_000_000), "75", "maximum mean of both percentages; 0: no limit";
    "max_count", "R", Whole(0, 1_000_000_000), "3", "how many looks in a row may find a value outside its limits";
    "process_children", "R", Flag, "False", "observe the direct children of the processes too";
    "child_signal", "R", Signal, "TERM", "the signal for such a child";
    "watchers_regex", "W", Regex, ".*", "the watchers whose processes must send messages: a pattern for the beginning of their names";
    "msg_regex", "W", Regex, "^(?P<pid>.*);(?P<timestamp>.*)$", "a pattern for the beginning of a message; its group pid is the process";
    "max_count", "W", Whole(1, 1_000_000_000), "3", "how many times loop_rate a process may be silent";
    "ip", "W", Host, "127.0.0.1", "the address to listen at";
    "port", "W", Whole(0, 65_535), "1664", "the UDP port to listen at; 0: any free one, which is logged";
    "watchers_stop_signal", "W", Signal, "", "the signal for a silent process, instead of its watcher's stop_signal";
    "watchers_graceful_timeout", "W", Seconds, "", "seconds until it gets SIGKILL, instead of its watcher's graceful_timeout";
    "check_url", "H", Http, "http://localhost/", "the URL to request: http://HOST[:PORT][/PATH]";
    "timeout", "H", Rate, "10", "how long an answer may take, in seconds";
    "restart_on_error", "H", Watcher, "", "the watcher to restart when there is no answer, or an error";
    "redis_url", "D", Redis, "redis://localhost:6379/0", "the address: redis://[USER:PASSWORD@]HOST[:PORT] or unix://PATH";
    "timeout", "D", Rate, "5", "how long an answer may take, in seconds";
    "restart_on_timeout", "D", Watcher, "", "the watcher to restart when there is no answer";
    "listen", "M", Listen, "127.0.0.1:5558", "where to listen: ADDRESS:PORT, or the path of a Unix socket";
    "loop_rate", "RWSHD", Rate, "60", "seconds between two looks";
    "loop_rate", "C", Rate, "1", "seconds between two looks";
    "application_name", "RES", Text, "app", "the second word of all names that statsd is sent";
    "application_name", "H", Text, "http_observer", "the second word of all names that statsd is sent";
    "application_name", "D", Text, "redis_observer", "the second word of all names that statsd is sent";
    "host", "RESHD", Host, "localhost", "the address of the statsd server";
    "port", "RESHD", Whole(0, 65_535), "8125", "its UDP port";
    "sample_rate", "RESHD", Number(1), "1", "the fraction of all counts and times to send";
    "active", "FRWCESHDM", Flag, "True", "start with circus";
}

/// Each with its letter in the rows and its class in Circus.
const CLASSES: [(Builtin, char, &str); 9] = [
    (Builtin::Flapping, 'F', "circus.plugins.flapping.Flapping"),
    (Builtin::ResourceWatcher, 'R', "circus.plugins.resource_watcher.ResourceWatcher"),
    (Builtin::WatchDog, 'W', "circus.plugins.watchdog.WatchDog"),
    (Builtin::CommandReloader, 'C', "circus.plugins.command_reloader.CommandReloader"),
    (Builtin::StatsdEmitter, 'E', "circus.plugins.statsd.StatsdEmitter"),
    (Builtin::FullStats, 'S', "circus.plugins.statsd.FullStats"),
    (Builtin::HttpObserver, 'H', "circus.plugins.http_observer.HttpObserver"),
    (Builtin::RedisObserver, 'D', "circus.plugins.redis_observer.RedisObserver"),
    (Builtin::Metrics, 'M', "circus.plugins.Metrics"),
];

impl Builtin {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Builtin> {
        CLASSES.iter().map(|(builtin, _, _)| *builtin)
    }

    /// Its letter and its class.
    fn named(self) -> (char, &'static str) {
        let found = CLASSES.iter().find(|(builtin, _, _)| *builtin == self);
        found.map_or((' ', ""), |(_, letter, class)| (*letter, *class))
    }

    /// Its class in Circus.
    pub fn class(self) -> &'static str {
        self.named().1
    }

    /// The plugin that has this class in Circus.
    pub fn of_class(class: &str) -> Option<Builtin> {
        Builtin::all().find(|builtin| builtin.class() == class)
    }

    /// Its options.
    pub fn rows(self) -> impl Iterator<Item = &'static Row> {
        let (letter, _) = self.named();
        ROWS.iter().filter(move |row| row.of.contains(letter))
    }

    /// One line of help for an option, for the manual.
    pub fn help(self, key: &str) -> &'static str {
        let (letter, _) = self.named();
        let found = HELP.iter().find(|(known, of, _)| *known == key && of.contains(letter));
        found.map_or("", |(_, _, help)| help)
    }

    #[inline(never)]
    fn row(self, key: &str) -> Option<&'static Row> {
        self.rows().find(|row| row.key == key)
    }

    /// What is wrong with an option of such a plugin, and how bad it is. `prefix` stands before its keys.
    pub fn problem(self, prefix: &str, key: &str, text: &str) -> Option<(Severity, String)> {
        if let Some(row) = self.row(key) {
            let why = row.refusal(text)?;
            return Some((Severity::Error, format!("`{prefix}{key} = {}` {why}", shorten(text))));
        }
        let text = if key == watcher::autostart {
            return None;
        } else if find(WATCHER, key).is_some_and(|row| row.of_plugins) {
            format!("`{key}` has no effect: this plugin has no process")
        } else {
            let keys: Vec<&'static str> = self.rows().map(|row| row.key).collect();
            let hint = match nearest(key, &mut keys.iter().copied()) {
                Some(near) => format!(": did you mean `{prefix}{near}`?"),
                None => format!("; there are {}", keys.join(" ")),
            };
            format!("there is no option `{prefix}{}`{hint}", shorten(key))
        };
        Some((Severity::Warning, text))
    }

    /// Whether the option `key` is the name of a watcher.
    pub fn is_watcher(self, key: &str) -> bool {
        self.row(key).is_some_and(|row| row.takes == Takes::Watcher)
    }

    /// The key of an option that such a plugin cannot do without, and that is not there.
    pub fn missing(self, options: &Names) -> Option<&'static str> {
        let named = |key: &str| options.get(key).is_some_and(|name| !name.trim().is_empty());
        (self == Builtin::ResourceWatcher && !named("watcher") && !named("service")).then_some("watcher")
    }
}

impl Row {
    /// Why `text` is no value of it: a phrase that completes "`key = text` ...".
    pub fn refusal(&self, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() && self.default.is_empty() {
            return None;
        }
        let between = |number: Option<f64>, least: i32, most: i32| match number {
            Some(n) if n >= f64::from(least) && n <= f64::from(most) => None,
            _ => Some(format!("is not a number from {least} to {most}")),
        };
        let number = |least: i32, most: i32| between(number::parse(text), least, most);
        match self.takes {
            Takes::Flag => Kind::Bool.parse(text).err(),
            Takes::Signal => Kind::Signal.parse(text).err(),
            Takes::Seconds | Takes::Rate => match (Kind::Seconds.measure(text), number::seconds(text)) {
                (Err(why), _) => Some(why),
                (Ok(_), seconds) if self.takes == Takes::Seconds => between(seconds, 0, i32::MAX),
                (Ok(_), Some(n)) if n > 0.0 => None,
                (Ok(_), _) => Some("is not a number of seconds greater than 0".into()),
            },
            Takes::Whole(least, most) => Kind::Int.parse(text).err().or_else(|| number(least, most)),
            Takes::Number(most) => number(0, most),
            Takes::Memory => {
                let why = "is neither a percentage nor a number of bytes with a unit, such as 90 or 100M";
                Memory::parse(text).is_none().then(|| why.into())
            }
            Takes::Host => url::ip(text).is_none().then(|| url::NO_NAMES.into()),
            Takes::Http => url::parse(text, "http://", 80).err(),
            Takes::Redis => url::parse(text, "redis://", 6379).err(),
            Takes::Listen => url::listen(text).err(),
            Takes::Text | Takes::Regex | Takes::Watcher => None,
        }
    }
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
        let bytes = number::in_units(text, number::SIZES).ok()?.map(Memory::Bytes);
        let percent =
            || number::parse(text.strip_suffix('%').unwrap_or(text).trim_end()).map(Memory::Percent);
        bytes.or_else(percent).filter(|_| text.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
    }
}

/// The options of a plugin, as it reads them: what was written, or else the default.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    builtin: Builtin,
    options: &'a Names,
    /// Options that go first, and what stands before their keys.
    over: Option<(&'a Names, &'static str)>,
}

impl<'a> Settings<'a> {
    /// The options of such a plugin.
    pub fn new(builtin: Builtin, options: &'a Names) -> Settings<'a> {
        Settings { builtin, options, over: None }
    }

    /// The same, but what stands in `over` behind `prefix` goes first.
    pub fn over(self, over: &'a Names, prefix: &'static str) -> Settings<'a> {
        Settings { over: Some((over, prefix)), ..self }
    }

    /// Text; empty when there is none.
    #[inline(never)]
    pub fn text(&self, key: &str) -> &'a str {
        let first = self.over.and_then(|(over, prefix)| over.get(&(prefix.to_string() + key)));
        match first.or_else(|| self.options.get(key)).map(|text| text.trim()) {
            Some(text) if !text.is_empty() => text,
            _ => self.builtin.row(key).map_or("", |row| row.default),
        }
    }

    /// A number, unless there is none.
    #[inline(never)]
    pub fn number(&self, key: &str) -> Option<f64> {
        if let Ok(Value::Float(n)) = Kind::Seconds.parse(self.text(key)) { Some(n) } else { None }
    }

    /// A whole number; 0 when there is none.
    #[inline(never)]
    pub fn whole(&self, key: &str) -> i64 {
        if let Ok(Value::Int(n)) = Kind::Int.parse(self.text(key)) { n } else { 0 }
    }

    /// A signal, unless there is none.
    pub fn signal(&self, key: &str) -> Option<i32> {
        signals::parse(self.text(key))
    }

    /// Whether a switch is on.
    #[inline(never)]
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
        for builtin in Builtin::all() {
            assert_eq!(Builtin::of_class(builtin.class()), Some(builtin));
            let rows: Vec<&Row> = builtin.rows().collect();
            assert!(rows.iter().any(|row| row.key == "active"), "{builtin:?}");
            assert!(Builtin::all().filter(|other| other.named().0 == builtin.named().0).count() == 1);
            for (n, row) in rows.iter().enumerate() {
                assert!(
                    rows.iter().skip(n + 1).all(|other| other.key != row.key),
                    "{} stands twice",
                    row.key
                );
                assert_eq!(row.refusal(row.default), None, "{builtin:?} {}", row.key);
                let help = builtin.help(row.key);
                assert!(!help.is_empty() && !help.ends_with('.'), "{builtin:?} {}", row.key);
                let is_named =
                    ["watcher", "service", "restart_on_error", "restart_on_timeout"].contains(&row.key);
                assert_eq!(row.takes == Takes::Watcher, is_named, "{}", row.key);
            }
        }
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
        let over = names(&[("own.max_count", "9"), ("max_cpu", "1")]);
        let settings = settings.over(&over, "own.");
        assert_eq!((settings.whole("max_count"), settings.number("max_cpu")), (9, Some(70.5)));
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
            (Builtin::Flapping, "colour", "1", "there is no option `colour`; there are attempts window"),
            (Builtin::Flapping, "attempts", "0", "`attempts = 0` is not a number from 1 to 1000"),
            (Builtin::Flapping, "attempts", "2.5", "`attempts = 2.5` is not a whole number"),
            (Builtin::Flapping, "window", "-1", "`window = -1` is not a number from 0 to"),
            (Builtin::Flapping, "uid", "www", "`uid` has no effect: this plugin has no process"),
            (
                Builtin::FullStats,
                "loop_rate",
                "0",
                "`loop_rate = 0` is not a number of seconds greater than 0",
            ),
            (Builtin::FullStats, "sample_rate", "2", "`sample_rate = 2` is not a number from 0 to 1"),
            (Builtin::FullStats, "host", "stats", "`host = stats` is not an IP address"),
            (Builtin::FullStats, "port", "", "`port = ` is not a whole number"),
            (Builtin::WatchDog, "watchers_stop_signal", "X", "`watchers_stop_signal = X` is not a signal"),
            (Builtin::HttpObserver, "check_url", "https://localhost/", "`check_url = https://localhost/` is"),
        ];
        for (builtin, key, text, wanted) in cases {
            let found = builtin.problem("", key, text).unwrap_or_else(|| panic!("{key} = {text}")).1;
            assert!(found.starts_with(wanted), "{found}");
        }
        assert_eq!(Builtin::ResourceWatcher.problem("", "max_mem", "8G"), None);
        assert_eq!(Builtin::ResourceWatcher.problem("", "autostart", "no"), None);
        assert_eq!(Builtin::ResourceWatcher.missing(&names(&[("watcher", " ")])), Some("watcher"));
        assert_eq!(Builtin::ResourceWatcher.missing(&names(&[("service", "web")])), None);
        let hint = "there is no option `flapping.windw`: did you mean `flapping.window`?";
        assert_eq!(Builtin::Flapping.problem("flapping.", "windw", "1").unwrap().1, hint);
    }
}
