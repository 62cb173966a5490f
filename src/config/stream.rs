//! Where one of the outputs of a watcher goes: the options of `stdout_stream.*` or `stderr_stream.*`, and the classes
//! that they may ask for.

use super::families;
use super::features::{self, Feature};
use super::model::{Refused, Rest, WatcherConfig, set_row};
use super::options::{self, Row, StreamOptions, stream};
use super::value::Value;

/// The two outputs of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// The standard output.
    Stdout,
    /// The standard error output.
    Stderr,
}

/// Both outputs.
pub const CHANNELS: [Channel; 2] = [Channel::Stdout, Channel::Stderr];

impl Channel {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Channel::Stdout => "stdout",
            Channel::Stderr => "stderr",
        }
    }

    /// The key of its stream.
    pub fn key(self) -> &'static str {
        match self {
            Channel::Stdout => families::STDOUT,
            Channel::Stderr => families::STDERR,
        }
    }
}

impl WatcherConfig {
    /// What is to become of an output; nothing: circus does not read it.
    pub fn stream(&self, channel: Channel) -> Option<&StreamConfig> {
        let is_closed = match channel {
            Channel::Stdout => self.options.close_child_stdout,
            Channel::Stderr => self.options.close_child_stderr,
        };
        self.kept_stream(channel).as_deref().filter(|_| !is_closed)
    }

    /// The options of a stream, whether circus reads the output or not.
    pub fn kept_stream(&self, channel: Channel) -> &Option<Box<StreamConfig>> {
        match channel {
            Channel::Stdout => &self.stdout_stream,
            Channel::Stderr => &self.stderr_stream,
        }
    }

    /// The same, to be changed.
    pub fn kept_stream_mut(&mut self, channel: Channel) -> &mut Option<Box<StreamConfig>> {
        match channel {
            Channel::Stdout => &mut self.stdout_stream,
            Channel::Stderr => &mut self.stderr_stream,
        }
    }

    /// Its streams, with the key of each.
    pub fn streams(&self) -> impl Iterator<Item = (&'static str, &StreamConfig)> {
        CHANNELS.into_iter().filter_map(|it| Some((it.key(), self.kept_stream(it).as_deref()?)))
    }
}

/// Where one of the outputs of a watcher goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamConfig {
    /// The options of the table.
    pub options: StreamOptions,
    /// All other keys.
    pub free: Rest,
}

/// What happens to the bytes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// They are appended to a file.
    File,
    /// The same, and the file is opened anew when somebody has moved it.
    WatchedFile,
    /// The same, and the file is rotated by the clock.
    TimedFile,
    /// They go to circus's own standard output.
    Stdout,
    /// They go to circus's own standard error output.
    Stderr,
    /// They go to its standard output, in colour, each line with the time and the pid before it.
    FancyStdout,
    /// They go nowhere but to what circus keeps of each output.
    Queue,
    /// Each line becomes a message for a syslog daemon.
    Syslog,
    /// Each line becomes a JSON object, in a file or on circus's own standard output.
    Json,
}

/// The classes by name.
pub const CLASSES: [(&str, StreamKind); 9] = [
    ("FileStream", StreamKind::File),
    ("WatchedFileStream", StreamKind::WatchedFile),
    ("TimedRotatingFileStream", StreamKind::TimedFile),
    ("StdoutStream", StreamKind::Stdout),
    ("StderrStream", StreamKind::Stderr),
    ("FancyStdoutStream", StreamKind::FancyStdout),
    ("QueueStream", StreamKind::Queue),
    ("SyslogStream", StreamKind::Syslog),
    ("JsonStream", StreamKind::Json),
];

impl StreamKind {
    /// The class that `name` names.
    pub fn of(name: &str) -> Option<Self> {
        CLASSES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// The feature that a build must have for it.
    pub fn feature(self) -> Option<Feature> {
        use StreamKind::{FancyStdout, File, Json, Queue, Stderr, Stdout, Syslog, TimedFile, WatchedFile};
        match self {
            TimedFile | FancyStdout | Syslog | Json => Some(features::LOGS),
            File | WatchedFile | Stdout | Stderr | Queue => None,
        }
    }

    /// Whether an option means something to it.
    pub fn heeds(self, key: &str) -> bool {
        let classes = options::find(options::STREAM, key).map_or(&[][..], |row| row.classes);
        classes.is_empty() || classes.contains(&self)
    }
}

impl StreamConfig {
    /// What `class` asks for, or `filename` alone. Classes that are not known, Python's among them, count as
    /// [`StreamKind::Stdout`], so that no output is lost.
    pub fn kind(&self) -> StreamKind {
        match self.class() {
            Some(class) => StreamKind::of(class).unwrap_or(StreamKind::Stdout),
            None if self.options.filename.is_some() => StreamKind::File,
            None => StreamKind::Stdout,
        }
    }

    /// The class, without the name of the module that Circus has it in.
    pub fn class(&self) -> Option<&str> {
        let class = self.options.class.as_deref()?;
        Some(class.strip_prefix("circus.stream.").unwrap_or(class))
    }

    /// The file that it names, when its class writes to one.
    pub fn file(&self) -> Option<&str> {
        self.options
            .filename
            .as_deref()
            .filter(|name| !name.is_empty() && self.kind().heeds(stream::filename))
    }

    /// The value of one option of the stream. One that means nothing to its class is told only when it differs from its
    /// default.
    pub fn get(&self, key: &str) -> Option<Value> {
        // A value that cannot be used is told as it stands in the file.
        if let Some(text) = self.free.get(key) {
            return Some(Value::Str(text.clone()));
        }
        let row = options::find(options::STREAM, key)?;
        if self.kind().heeds(key) { Some(row.get(&self.options)) } else { self.differing(row) }
    }

    fn differing(&self, row: &Row<StreamOptions>) -> Option<Value> {
        Some(row.get(&self.options)).filter(|value| *value != row.get(&StreamOptions::default()))
    }

    /// Stores one option of the stream; text is read as the file reader reads it.
    ///
    /// # Errors
    /// The value does not fit.
    pub fn set(&mut self, key: &str, value: &Value) -> Result<(), Refused> {
        let row = options::find(options::STREAM, key);
        let needed = match value {
            Value::Str(class) if key == stream::class => StreamKind::of(class).and_then(StreamKind::feature),
            _ => row.and_then(|row| row.feature),
        };
        if let Some(why) = features::lack(needed) {
            return Err(Refused::Bad(format!("{key} {why}")));
        }
        match (row, value) {
            (Some(row), Value::Str(text)) => {
                let value =
                    row.kind.parse(text).map_err(|why| Refused::Bad(format!("{key} = {text:.60} {why}")))?;
                set_row(row, &mut self.options, &value)?;
                self.free.remove(key);
            }
            (Some(row), _) => {
                set_row(row, &mut self.options, value)?;
                self.free.remove(key);
            }
            (None, Value::Str(text)) => drop(self.free.insert(key.into(), text.clone())),
            (None, _) => return Err(Refused::Type("a string")),
        }
        Ok(())
    }

    /// Takes an option away.
    pub fn remove(&mut self, key: &str) {
        self.free.remove(key);
        if let Some(row) = options::find(options::STREAM, key) {
            let _ = row.set(&mut self.options, &row.get(&StreamOptions::default())); // it takes what it gave
        }
    }

    /// Takes over a text that cannot be used, as a file has it.
    pub fn keep(&mut self, key: &str, text: &str) {
        self.remove(key);
        self.free.insert(key.into(), text.into());
    }

    /// All options that are set, in the order of the table, then the free ones.
    pub fn entries(&self) -> Vec<(&str, Value)> {
        let rows = options::STREAM.iter().filter_map(|row| Some((row.key, self.differing(row)?)));
        rows.chain(self.free.iter().map(|(k, v)| (k.as_str(), Value::Str(v.clone())))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_known_by_both_of_its_names() {
        let kind = |class: Option<&str>, filename: Option<&str>| {
            let mut stream = StreamConfig::default();
            stream.options.class = class.map(Into::into);
            stream.options.filename = filename.map(Into::into);
            stream.kind()
        };
        assert_eq!(kind(None, Some("x")), StreamKind::File);
        assert_eq!(kind(Some("circus.stream.FileStream"), None), StreamKind::File);
        assert_eq!(kind(Some("FancyStdoutStream"), None), StreamKind::FancyStdout);
        assert_eq!(kind(Some("StdoutStream"), Some("x")), StreamKind::Stdout);
        assert_eq!(kind(Some("my.Stream"), Some("x")), StreamKind::Stdout);
    }

    #[test]
    fn an_option_that_is_set_to_its_default_is_there() {
        let mut stream = StreamConfig::default();
        for (key, value) in
            [("class", "FileStream"), ("filename", "x"), ("max_bytes", "0"), ("backup_count", "0")]
        {
            stream.set(key, &Value::Str(value.into())).unwrap();
            assert!(stream.get(key).is_some(), "{key}");
        }
        assert_eq!((stream.get("utc"), stream.get("none")), (None, None));
        let entries: Vec<&str> = stream.entries().iter().map(|(key, _)| *key).collect();
        assert_eq!(entries, ["class", "filename"]);
    }

    #[test]
    fn every_option_of_the_table_means_something_to_some_class() {
        for row in options::STREAM {
            assert!(CLASSES.iter().any(|(_, kind)| kind.heeds(row.key)), "{}", row.key);
        }
        assert!(StreamKind::Json.heeds("filename") && !StreamKind::Syslog.heeds("filename"));
    }
}
