//! What a stream's configuration asks for: where its output goes and how it is written.
//!
//! - `class = FileStream`, or a `filename` alone: appends to the file, which is created with mode 0644 less
//!   the umask. Its directory must exist. Streams that name the same file share it, and their lines stay
//!   whole.
//! - `max_bytes` and `backup_count`, both: before the file reaches `max_bytes`, it becomes `FILE.1`, the old
//!   `FILE.1` becomes `FILE.2`, and so on, always between two lines. A line longer than `max_bytes` is kept
//!   whole, so that its file is larger; one without end is cut at 64 KiB. One of the two alone: the file
//!   grows, as in Circus. Where streams with other limits share a file, the smallest `max_bytes` and the
//!   largest `backup_count` hold.
//! - `time_format`: each line begins with `TIME [PID] | `.
//! - `class = StdoutStream`: the standard output of circus, for `stderr_stream` too. `/dev/stdout` and
//!   `/dev/stderr` as `filename` mean circus's own and are never rotated.
//! - `class = FancyStdoutStream`: the same with the time, the pid and a colour on each line; empty lines are
//!   left out. A `color` that is named is always shown, one at random only on a terminal; none where
//!   `NO_COLOR` is set.
//!
//! What cannot be written: a directory as `filename`, a missing directory or a lack of permission is refused
//! when the stream is opened. A full disk, an error of the device or a file that was removed together with
//! its directory holds nobody up: one message is logged, the newest 64 KiB are kept, writing is tried again
//! with new output and after 1 to 8 seconds, and when it works the log says how many lines were dropped. A
//! file that alone was removed is begun anew. A FIFO needs no reader; while there is none, or a slow one, and
//! while nobody reads circus's standard output, the newest 256 KiB are kept in the same way.

use super::file::Rotation;
use super::format::{COLORS, Format, Stamp};
use super::outlet::Place;
use crate::config::options::StreamOptions;
use crate::config::{StreamConfig, StreamKind, text};
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The format of the time when FancyStdoutStream names none, as in Circus.
const FANCY_TIME: &str = "%Y-%m-%d %H:%M:%S";

/// What a stream's configuration asks for.
pub struct Plan {
    /// Where the output goes.
    pub place: Place,
    /// When the file is rotated.
    pub rotation: Rotation,
    /// What is said about it in the log.
    pub warnings: Vec<String>,
    time_format: Option<String>,
    /// The colour of FancyStdoutStream.
    color: Option<Color>,
}

/// A colour as it is asked for.
#[derive(Clone, Copy)]
enum Color {
    Fixed(usize),
    Random,
}

impl Plan {
    /// Reads the options of a stream, whose variables have been expanded.
    ///
    /// # Errors
    /// A sentence about what is missing or cannot be.
    pub fn of(config: &StreamConfig) -> Result<Self, String> {
        let options = &config.options;
        let filename = options.filename.as_deref().filter(|name| !name.is_empty());
        let mut plan = Plan {
            place: Place::Stdout,
            rotation: rotation(options),
            warnings: Vec::new(),
            time_format: options
                .time_format
                .as_deref()
                .filter(|format| !format.is_empty())
                .map(str::to_string),
            color: None,
        };
        match config.kind() {
            StreamKind::File => plan.place = file(filename)?,
            StreamKind::Stdout => {}
            StreamKind::FancyStdout => plan.color = Some(plan.fancy(options.color.as_deref())),
        }
        Ok(plan)
    }

    fn fancy(&mut self, color: Option<&str>) -> Color {
        let Some(name) = color else { return Color::Random };
        if let Some(n) = COLORS.iter().position(|known| known.eq_ignore_ascii_case(name)) {
            return Color::Fixed(n);
        }
        self.warnings
            .push(format!("color = {name} is none of {}: one is chosen at random", COLORS.join(" ")));
        Color::Random
    }

    /// How lines are written. A colour that the configuration names is always shown, one that circus chooses only
    /// on a terminal, and none at all where NO_COLOR is set.
    pub fn format(&self, terminal: bool, no_color: bool) -> Format {
        let stamp = match (self.color, &self.time_format) {
            (None, None) => return Format::Plain,
            (None, Some(time_format)) => Stamp::new(time_format.clone()),
            (Some(color), time_format) => {
                let color = match color {
                    _ if no_color => None,
                    Color::Fixed(n) => Some(n),
                    Color::Random => terminal.then(random_color),
                };
                Stamp::fancy(time_format.clone().unwrap_or_else(|| FANCY_TIME.into()), color)
            }
        };
        Format::Stamped(Box::new(stamp))
    }
}

fn rotation(options: &StreamOptions) -> Rotation {
    Rotation {
        max_bytes: u64::try_from(options.max_bytes).unwrap_or(0),
        backup_count: options.backup_count.clamp(0, u32::MAX.into()) as u32,
        compress: options.compress.as_deref() == Some("gzip"),
    }
}

/// The place that a filename means. The names of circus's own outputs mean those: a rotation must never rename
/// /dev/stdout.
fn file(filename: Option<&str>) -> Result<Place, String> {
    match filename {
        None => Err("there is no filename: name the file to append to, or class = StdoutStream".into()),
        Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => Ok(Place::Stdout),
        Some("/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => Ok(Place::Stderr),
        Some(name) => absolute(name).map(Place::Path),
    }
}

fn absolute(name: &str) -> Result<PathBuf, String> {
    let bytes = text::to_bytes(name);
    std::path::absolute(Path::new(OsStr::from_bytes(&bytes)))
        .map_err(|error| format!("cannot tell where {name} is: {}", crate::sys::io_words(&error)))
}

/// The seed of the standard library's hash tables is chance enough for a colour.
fn random_color() -> usize {
    RandomState::new().hash_one(0_u8) as usize % COLORS.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(class: &str, filename: &str, color: &str) -> StreamConfig {
        let text = |text: &str| (!text.is_empty()).then(|| text.into());
        let options = StreamOptions {
            class: text(class),
            filename: text(filename),
            color: text(color),
            ..StreamOptions::default()
        };
        StreamConfig { options, ..StreamConfig::default() }
    }

    fn line(plan: &Plan, terminal: bool, no_color: bool) -> String {
        let Format::Stamped(mut stamp) = plan.format(terminal, no_color) else { return String::new() };
        let (mut out, mut bytes) = (Vec::new(), Vec::new());
        let mut add = |piece: &[u8]| out.extend_from_slice(piece);
        let mut room = super::super::format::Room { bytes: &mut bytes, piece: 1, write: &mut add };
        stamp.lines(1, b"x\n", false, false, &mut room);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_filename_alone_is_a_file() {
        for class in ["", "FileStream", "circus.stream.FileStream"] {
            let plan = Plan::of(&options(class, "/a/b.log", "")).unwrap();
            assert_eq!(plan.place, Place::Path("/a/b.log".into()));
            assert!(matches!(plan.format(true, false), Format::Plain));
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(Plan::of(&options("", "b.log", "")).unwrap().place, Place::Path(here.join("b.log")));
        let refusal = Plan::of(&options("FileStream", "", "")).err().unwrap();
        assert!(refusal.contains("no filename"), "{refusal}");
    }

    #[test]
    fn the_names_of_our_own_outputs_mean_them() {
        assert_eq!(Plan::of(&options("FileStream", "/dev/stdout", "")).unwrap().place, Place::Stdout);
        assert_eq!(Plan::of(&options("", "/proc/self/fd/2", "")).unwrap().place, Place::Stderr);
        assert_eq!(Plan::of(&options("StdoutStream", "", "")).unwrap().place, Place::Stdout);
    }

    #[test]
    fn no_class_loses_output() {
        for class in ["WatchedFileStream", "circus.stream.TimedRotatingFileStream"] {
            assert_eq!(
                Plan::of(&options(class, "/x", "")).unwrap().place,
                Place::Path("/x".into()),
                "{class}"
            );
        }
        for class in ["QueueStream", "tsuru.stream.Stream"] {
            assert_eq!(Plan::of(&options(class, "/x", "")).unwrap().place, Place::Stdout, "{class}");
        }
    }

    #[test]
    fn colours_are_shown_where_they_are_wanted() {
        let cyan = Plan::of(&options("FancyStdoutStream", "", "Cyan")).unwrap();
        assert!(line(&cyan, false, false).starts_with("\x1b[0;36;40m"));
        assert!(!line(&cyan, true, true).contains('\x1b'));
        let any = Plan::of(&options("FancyStdoutStream", "", "")).unwrap();
        assert!(!line(&any, false, false).contains('\x1b'));
        let code = line(&any, true, false).chars().nth(5).unwrap();
        assert!(('1'..='7').contains(&code), "{code}");
        let wrong = Plan::of(&options("FancyStdoutStream", "", "pink")).unwrap();
        assert!(wrong.warnings.iter().any(|warning| warning.contains("pink")));
    }
}
