//! What a stream's configuration asks for: where its output goes and how it is written.
//!
//! - `class = FileStream`, or a `filename` alone: appends to the file, which is created with mode 0666 less
//!   the umask. Its directory must exist. Streams that name the same file share it, and their lines stay
//!   whole.
//! - `max_bytes` and `backup_count`, both: before the file reaches `max_bytes`, it becomes `FILE.1`, the old
//!   `FILE.1` becomes `FILE.2`, and so on, always between two lines. A line longer than `max_bytes` is kept
//!   whole, so that its file is larger; one without end is cut at 64 KiB. One of the two alone: the file
//!   grows, as in Circus. Where streams with other limits share a file, the smallest `max_bytes` and the
//!   largest `backup_count` hold.
//! - `class = WatchedFileStream`: the file is opened anew as soon as another one, or none, has its name.
//! - `class = TimedRotatingFileStream`: see [`super::timed`].
//! - `class = StdoutStream`: the standard output of circus, for `stderr_stream` too. `/dev/stdout` and
//!   `/dev/stderr` as `filename` mean circus's own and are never rotated.
//! - `class = StderrStream`: the standard error output of circus, for `stdout_stream` too.
//! - `class = FancyStdoutStream`: the standard output with the time, the pid and a colour on each line; empty lines are
//!   left out. A colour is shown on a terminal only, and not where `NO_COLOR` is set.
//! - `class = QueueStream`: written nowhere.
//! - `class = SyslogStream`: see [`super::syslog`].
//! - `class = JsonStream`: an object a line, to `filename` or the standard output.
//! - `prefix` and a blank begin each line; `time_format` puts `TIME [PID] | ` behind that.
//!
//! What cannot be written: a directory as `filename`, a missing directory or a lack of permission is refused
//! when the stream is opened. A full disk, an error of the device or a file that was removed together with
//! its directory holds nobody up: one message is logged, the newest 64 KiB are kept, writing is tried again
//! with new output and after 1 to 8 seconds, and when it works the log says how many lines were dropped. A
//! file that alone was removed is begun anew. A FIFO needs no reader; while there is none, or a slow one, and
//! while nobody reads circus's standard output, the newest 256 KiB are kept in the same way.

use super::Owner;
use super::destination::Place;
use super::file::{Rotation, refusal};
use super::timed::Schedule;
use crate::arbiter::WatcherId;
use crate::config::expand::{self, expand};
use crate::config::options::stream;
use crate::config::{Channel, StreamConfig, StreamKind, WatcherConfig, text};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a stream's configuration asks for.
pub struct Plan {
    /// Where the output goes.
    pub place: Place,
    /// When the file is rotated.
    pub rotation: Rotation,
    /// Only whole lines can be written.
    pub records: bool,
    /// What is said about it in the log.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Reads the options of a stream, whose variables have been expanded.
    ///
    /// # Errors
    /// A sentence about what is missing or cannot be.
    pub fn of(config: &StreamConfig) -> Result<Self, String> {
        let (kind, options) = (config.kind(), &config.options);
        let mut warnings = Vec::new();
        let place = match kind {
            StreamKind::File | StreamKind::WatchedFile | StreamKind::TimedFile => file(config.file())?,
            StreamKind::Json if config.file().is_some() => file(config.file())?,
            StreamKind::Queue => Place::at(Path::new("/dev/null")),
            #[cfg(feature = "logs")]
            StreamKind::Syslog => {
                Place::Syslog(super::syslog::Address::of(options.address.as_deref())?.into())
            }
            StreamKind::Stderr => Place::Stderr,
            _ => Place::Stdout,
        };
        let mut rotation = Rotation {
            compress: kind.heeds(stream::compress) && options.compress.as_deref() == Some("gzip"),
            watched: kind == StreamKind::WatchedFile,
            ..Rotation::default()
        };
        if kind == StreamKind::TimedFile {
            rotation.schedule = Some(Schedule::of(options, &mut warnings)?);
        } else if kind.heeds(stream::max_bytes) {
            rotation.max_bytes = u64::try_from(options.max_bytes).unwrap_or(0);
            rotation.backup_count = options.backup_count.clamp(0, u32::MAX.into()) as u32;
        }
        #[cfg(feature = "logs")]
        if kind == StreamKind::FancyStdout {
            warnings.extend(super::format::color(options.color.as_deref()).err());
        }
        let records = matches!(kind, StreamKind::FancyStdout | StreamKind::Json | StreamKind::Syslog);
        Ok(Plan { place, rotation, records, warnings })
    }

    /// Looks whether a stream can work, without opening or creating anything.
    ///
    /// # Errors
    /// As [`Self::of`]; a directory at the path, or no directory that it could be in.
    pub fn try_place(config: &StreamConfig) -> Result<(), String> {
        let Place::Path(path) = Plan::of(config)?.place else { return Ok(()) };
        let path = Path::new(&path);
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let kind = match parent.is_none_or(|parent| parent.try_exists().unwrap_or(true)) {
            false => ErrorKind::NotFound,
            true if path.is_dir() => ErrorKind::IsADirectory,
            true => return Ok(()),
        };
        Err(refusal(path, &kind.into()))
    }
}

/// The place that a filename means. The names of circus's own outputs mean those: a rotation must never rename
/// /dev/stdout.
fn file(filename: Option<&str>) -> Result<Place, String> {
    match filename {
        None => Err("there is no filename: name the file to append to, or class = StdoutStream".into()),
        Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => Ok(Place::Stdout),
        Some("/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => Ok(Place::Stderr),
        Some(name) => absolute(name).map(|path| Place::at(&path)),
    }
}

fn absolute(name: &str) -> Result<PathBuf, String> {
    let bytes = text::to_bytes(name);
    std::path::absolute(Path::new(OsStr::from_bytes(&bytes)))
        .map_err(|error| format!("cannot tell where {name} is: {}", crate::sys::io_words(&error)))
}

impl Owner {
    /// Whose the sink of an output of a process is: its own, if the configuration tells processes apart, else one of
    /// all. Nobody's, if circus does not read it.
    pub(super) fn of(
        watcher: WatcherId,
        channel: Channel,
        config: &WatcherConfig,
        wid: u32,
    ) -> Option<Owner> {
        let stream = config.stream(channel)?;
        let texts = [&stream.options.filename, &stream.options.prefix, &stream.options.tag];
        let mut names = texts.into_iter().flatten().flat_map(|text| expand::names(text));
        let own = stream.kind() == StreamKind::Json || names.any(|name| name.eq_ignore_ascii_case("wid"));
        Some(Owner { watcher, channel, wid: if own { wid } else { 0 } })
    }
}

/// The configuration of an output of one process: `$(circus.wid)` and the like replaced.
pub(super) fn expanded(config: &WatcherConfig, channel: Channel, wid: u32) -> Option<StreamConfig> {
    let mut stream = config.stream(channel)?.clone();
    let lookup = |name: &str| match name.to_ascii_lowercase().as_str() {
        "wid" => Some(wid.to_string()),
        "watcher" => Some(config.name.clone()),
        _ => expand::env(&config.env, name),
    };
    let expand = |option: &mut Option<Box<str>>| {
        *option = option.take().map(|text| expand(&text, &lookup).into());
    };
    let options = &mut stream.options;
    expand(&mut options.filename);
    // These are shared by many watchers, as long as nobody writes to them.
    options.prefix.is_some().then(|| expand(&mut options.prefix));
    options.tag.is_some().then(|| expand(&mut options.tag));
    Some(stream)
}

#[cfg(test)]
mod tests {
    use super::super::format::Lines;
    use super::super::sink::Owner;
    use super::*;
    use crate::arbiter::WatcherId;
    use crate::config::Channel;
    use crate::config::options::StreamOptions;
    use crate::sys::clock::Zone;

    fn options(class: &str, filename: &str, color: &str) -> StreamConfig {
        let text = |text: &str| (!text.is_empty()).then(|| text.into());
        let mut options = StreamOptions::default();
        (options.class, options.filename, options.color) = (text(class), text(filename), text(color));
        StreamConfig { options, ..StreamConfig::default() }
    }

    fn format(config: &StreamConfig, terminal: bool, no_color: bool) -> Option<Box<Lines>> {
        let owner = Owner { watcher: WatcherId(1), channel: Channel::Stderr, wid: 3 };
        let place = Plan::of(config).unwrap().place;
        Lines::of(config, "w\"\u{10f8ff}", owner, &place, terminal && !no_color)
    }

    fn line(config: &StreamConfig, terminal: bool, no_color: bool) -> String {
        let mut out = Vec::new();
        let mut add = |piece: &[u8]| out.extend_from_slice(piece);
        let mut lines = format(config, terminal, no_color).unwrap();
        lines.write(1, b"x\n", false, false, &mut Vec::new(), &mut add);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_filename_alone_is_a_file() {
        for class in ["", "FileStream", "circus.stream.FileStream", "WatchedFileStream"] {
            let config = options(class, "/a/b.log", "");
            let plan = Plan::of(&config).unwrap();
            assert_eq!(plan.place, Place::at(Path::new("/a/b.log")));
            assert_eq!(plan.rotation.watched, class == "WatchedFileStream");
            assert!(format(&config, true, false).is_none());
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(Plan::of(&options("", "b.log", "")).unwrap().place, Place::at(&here.join("b.log")));
        let refusal = Plan::of(&options("FileStream", "", "")).err().unwrap();
        assert!(refusal.contains("no filename"), "{refusal}");
    }

    #[test]
    fn the_names_of_our_own_outputs_mean_them() {
        assert_eq!(Plan::of(&options("FileStream", "/dev/stdout", "")).unwrap().place, Place::Stdout);
        assert_eq!(Plan::of(&options("", "/proc/self/fd/2", "")).unwrap().place, Place::Stderr);
        assert_eq!(Plan::of(&options("StdoutStream", "", "")).unwrap().place, Place::Stdout);
        assert_eq!(Plan::of(&options("StderrStream", "/f", "")).unwrap().place, Place::Stderr);
        assert_eq!(Plan::of(&options("JsonStream", "", "")).unwrap().place, Place::Stdout);
    }

    #[test]
    fn each_class_has_its_place() {
        let place = |class| Plan::of(&options(class, "/x", "")).unwrap().place;
        assert_eq!(place("JsonStream"), Place::at(Path::new("/x")));
        assert_eq!(place("QueueStream"), Place::at(Path::new("/dev/null")));
        assert_eq!(place("tsuru.stream.Stream"), Place::Stdout, "no output is lost");
        assert_eq!(
            place("SyslogStream"),
            Place::Syslog(super::super::syslog::Address::Path("/dev/log".into()).into())
        );
    }

    #[test]
    fn a_timed_rotation_needs_its_period() {
        let mut config = options("TimedRotatingFileStream", "/x", "");
        assert!(Plan::of(&config).err().unwrap().contains("rotate_when"));
        config.options.rotate_when = Some("W0".into());
        config.options.rotate_interval = 0;
        let plan = Plan::of(&config).unwrap();
        assert_eq!(plan.rotation.schedule, Schedule::new("W0", 1, Zone::Local, 0));
        assert_eq!(plan.warnings, ["rotate_interval = 0 is taken as 1"]);
    }

    #[test]
    fn a_json_object_tells_who_spoke() {
        let object: serde_json::Value = line(&options("JsonStream", "", ""), false, false).parse().unwrap();
        assert_eq!((&object["watcher"], &object["stream"]), (&"w\"\u{fffd}".into(), &"stderr".into()));
        assert_eq!((&object["wid"], &object["pid"], &object["text"]), (&3.into(), &1.into(), &"x".into()));
    }

    #[test]
    fn colours_are_shown_on_terminals() {
        let cyan = options("FancyStdoutStream", "", "Cyan");
        assert!(line(&cyan, true, false).starts_with("\x1b[0;36;40m"));
        assert!(!line(&cyan, true, true).contains('\x1b'));
        let any = options("FancyStdoutStream", "", "");
        assert!(!line(&any, false, false).contains('\x1b'));
        let code = line(&any, true, false).chars().nth(5).unwrap();
        assert!(('1'..='7').contains(&code), "{code}");
        let wrong = Plan::of(&options("FancyStdoutStream", "", "pink")).unwrap();
        assert!(wrong.warnings.iter().any(|warning| warning.contains("pink")));
    }
}
