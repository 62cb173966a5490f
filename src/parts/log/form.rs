//! The forms of circus's own messages: as Circus writes them, as JSON, and for the journal of systemd.

use super::{Escaped, Level};
use crate::config::text;
use crate::parts::streams::syslog::severity;
use crate::sys::clock;
use std::fmt::{self, Write};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// A form of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `2026-11-23 06:51:09 circus[18870] [INFO] Starting master on pid 18870`.
    #[default]
    Text,
    /// An object a line.
    Json,
    /// The priority in front, `<6>Starting master on pid 18870`; the journal knows the time and the process.
    Journal,
}

impl Form {
    /// The form that `logformat` asks for, or if nothing does, the one that suits the standard error output, when that is
    /// where messages go.
    pub fn of(logformat: Option<&str>, to_stderr: bool) -> Form {
        match logformat {
            Some("json") => Form::Json,
            Some("journal") => Form::Journal,
            None if to_stderr && is_journal() => Form::Journal,
            _ => Form::Text,
        }
    }

    /// A message in a form other than [`Form::Text`], without the newline.
    pub(super) fn line(self, level: Level, message: fmt::Arguments<'_>, seconds: i64) -> String {
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = match self {
            Form::Json => {
                let time = clock::strftime("%Y-%m-%dT%H:%M:%S%z", seconds);
                let level = level.name().to_lowercase();
                let message = text::to_bytes(&message.to_string()).into_owned();
                let message = serde_json::Value::from(String::from_utf8_lossy(&message));
                let pid = std::process::id();
                write!(line, r#"{{"time":"{time}","level":"{level}","pid":{pid},"message":{message}}}"#)
            }
            Form::Text | Form::Journal => {
                let _ = write!(line, "<{}>", severity(level));
                write!(Escaped(&mut line), "{message}")
            }
        };
        line
    }
}

/// Whether the standard error output is the journal, as `JOURNAL_STREAM` says (systemd.exec(5)): a process that has
/// another one may have inherited the variable.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let file = std::io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let meta = file.and_then(|file| file.metadata());
    meta.is_ok_and(|meta| stream == format!("{}:{}", meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_priorities_and_json_has_a_zone() {
        let line = |form: Form, text: &str| form.line(Level::Warning, format_args!("{text}"), 1_764_370_800);
        assert_eq!(line(Form::Journal, "a\nb"), "<4>a\\nb");
        let odd = text::from_bytes(b"it \"is\"\n\xff");
        let json: serde_json::Value = serde_json::from_str(&line(Form::Json, &odd)).unwrap();
        assert_eq!((&json["level"], &json["message"]), (&"warning".into(), &"it \"is\"\n\u{fffd}".into()));
        let time = json["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.contains('T') && time.ends_with("00"), "{time}");
        assert_eq!(json["pid"], std::process::id());
    }

    #[test]
    fn what_is_asked_for_counts() {
        assert_eq!(Form::of(Some("json"), true), Form::Json);
        assert_eq!(Form::of(Some("text"), true), Form::Text);
        assert_eq!(Form::of(Some("journal"), false), Form::Journal);
        assert_eq!(Form::of(None, false), Form::Text);
    }
}
