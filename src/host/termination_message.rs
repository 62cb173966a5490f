//! The file that says why circus has ended by itself: `[circus] tombstone`.
//!
//! It gets one line of JSON when circus ends because of a critical watcher, or cannot start. In a container it is the
//! termination log, which is a file mounted there, with room for 4096 bytes: it is written in place.

use crate::arbiter::exit_policy::{CriticalExit, Death};
use crate::config::text;
use crate::control::one;
use crate::host::files::Location;
use crate::sys::{clock, io_words};
use serde_json::Value as Json;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The most bytes of the file.
const ROOM: usize = 4096;
/// How many of the last lines of the watcher's output it has.
pub const LINES: usize = 20;
/// How much of a line, and of the reason, in characters. All that may take six bytes each.
const LONGEST: usize = 500;

/// Writes down why circus ends with this exit code, and who is to blame.
///
/// # Errors
/// A sentence: the file cannot be written, or is none.
pub fn write(
    path: &str,
    code: u8,
    reason: &str,
    fall: Option<&CriticalExit>,
    output: &[String],
) -> Result<(), String> {
    let inscription = inscription(code, reason, fall, output);
    put(path, &inscription).map_err(|error| format!("tombstone {path}: {}", io_words(&error)))
}

fn put(path: &str, line: &[u8]) -> io::Result<()> {
    // A symbolic link at the end is not followed, whoever has put it there.
    let mut file = Location::of_entry(Path::new(OsStr::from_bytes(&text::to_bytes(path))))?.write(0o644)?;
    file.set_len(0)?;
    file.write_all(line)
}

/// The line. If it is too long, the oldest of the output is left out.
fn inscription(code: u8, reason: &str, fall: Option<&CriticalExit>, mut output: &[String]) -> Vec<u8> {
    let mut map = one("time", clock::realtime().into());
    let mut put = |key: &str, value: Json| drop(map.insert(key.into(), value));
    put("code", code.into());
    put("reason", cut(reason).into());
    if let Some(fall) = fall {
        put("watcher", fall.name.as_str().into());
        put("output", Json::Null);
    }
    if let Some(Death { pid, wid, exit }) = fall.and_then(|fall| fall.death) {
        put("pid", pid.into());
        put("wid", wid.into());
        put("exit_code", exit.code().into());
    }
    let mut json = Json::Object(map);
    loop {
        if let Some(place) = json.get_mut("output") {
            *place = output.iter().map(|line| cut(line)).collect();
        }
        let line = json.to_string() + "\n";
        match output.split_first() {
            Some((_, rest)) if line.len() > ROOM => output = rest,
            _ => return line.into_bytes(),
        }
    }
}

/// The beginning of a text.
fn cut(text: &str) -> &str {
    text.char_indices().nth(LONGEST).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbiter::WatcherId;
    use crate::arbiter::process::Exit;

    fn fall() -> CriticalExit {
        let death = Some(Death { pid: 7, wid: 2, exit: Exit::Signal(9) });
        CriticalExit { watcher: WatcherId(1), name: "web".into(), reason: "it died".into(), death, code: 137 }
    }

    fn read(line: &[u8]) -> Json {
        assert!(line.len() <= ROOM && line.ends_with(b"\n"), "{} bytes", line.len());
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(line).expect("JSON")
    }

    #[test]
    fn it_says_who_and_why_and_what_was_said_last() {
        let json = read(&inscription(137, "it died", Some(&fall()), &["one".into(), "two".into()]));
        let wanted = r#"{"code":137,"exit_code":-9,"output":["one","two"],"pid":7,"reason":"it died","watcher":"web","wid":2}"#;
        let mut wanted: Json = serde_json::from_str(wanted).unwrap();
        wanted["time"] = json["time"].clone();
        assert_eq!(json, wanted);
        let json = read(&inscription(100, "no such file", None, &[]));
        assert_eq!(json.as_object().unwrap().len(), 3);
    }

    #[test]
    fn it_has_room_for_the_newest_lines() {
        let lines: Vec<String> = (0..20).map(|n| format!("{n} {}", "x".repeat(n * 30))).collect();
        let json = read(&inscription(1, &"y".repeat(9999), Some(&fall()), &lines));
        let kept: Vec<&str> = json["output"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
        assert!((5..15).contains(&kept.len()) && kept.last().unwrap().starts_with("19 "), "{kept:?}");
        let json = read(&inscription(1, &"\u{1}".repeat(9999), Some(&fall()), &["\u{1}".repeat(9999)]));
        assert_eq!(json["output"].as_array().unwrap().len(), 0);
    }

    #[test]
    fn the_file_is_written_in_place_and_is_no_link() {
        let dir = std::env::temp_dir().join(format!("circus-tombstone-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let path = dir.join("t");
        let name = path.to_str().unwrap();
        std::fs::write(&path, "x".repeat(9999)).unwrap();
        let link = dir.join("mounted");
        std::fs::hard_link(&path, &link).unwrap();
        write(name, 1, "why", None, &[]).unwrap();
        assert_eq!(read(&std::fs::read(&link).unwrap())["reason"], "why");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&link, &path).unwrap();
        assert!(write(name, 1, "other", None, &[]).unwrap_err().starts_with("tombstone "));
        assert_eq!(read(&std::fs::read(&link).unwrap())["reason"], "why");
        assert!(write("/dev/null", 1, "", None, &[]).unwrap_err().ends_with("it is not a regular file"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
