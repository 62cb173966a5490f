//! Messages, as they arrive.

use super::*;
use std::io::Read;
use std::os::fd::AsFd;
use std::time::Duration;

/// A log whose reader is here.
fn piped(level: Level) -> (Log, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    (Log::to(Destination::console(Place::Stderr, writer.as_fd()).unwrap(), level), reader)
}

fn read(log: Log, mut reader: std::io::PipeReader) -> String {
    drop(log);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

/// The messages without their dates and levels.
fn messages(log: Log, reader: std::io::PipeReader) -> Vec<String> {
    let text = read(log, reader);
    text.lines().map(|line| line.split("] ").nth(2).unwrap().to_string()).collect()
}

#[test]
fn a_message_has_the_form_that_circus_gives_it() {
    let (mut log, reader) = piped(Level::Info);
    let clock = || clock::strftime("%Y-%m-%d %H:%M:%S", clock::realtime() as i64);
    let before = clock();
    log.info(format_args!("Starting master on pid {}", 5));
    let after = clock();
    let text = read(log, reader);
    let rest = format!(" circus[{}] [INFO] Starting master on pid 5\n", std::process::id());
    let time = text.strip_suffix(&rest).expect(&text);
    assert!(time >= before.as_str() && time <= after.as_str(), "{text}");
}

#[test]
fn levels_below_the_wanted_one_are_left_out() {
    let (mut log, reader) = piped(Level::from_name("Warning").unwrap());
    log.debug(format_args!("1"));
    log.info(format_args!("2"));
    log.warning(format_args!("3"));
    log.error(format_args!("4"));
    log.level = Level::Critical;
    log.error(format_args!("5"));
    log.log(Level::Critical, format_args!("6"));
    assert_eq!(messages(log, reader), ["3", "4", "6"]);
    assert_eq!((Level::from_name("DEBUG"), Level::from_name("loud")), (Some(Level::Debug), None));
}

#[test]
fn control_characters_are_escaped() {
    let (mut log, reader) = piped(Level::Debug);
    let odd = text::from_bytes(b"a\xffb");
    log.info(format_args!("x\ny\tz\x1b[2J\x7f \u{9b}\u{e9} {odd}"));
    assert_eq!(messages(log, reader), ["x\\ny\\tz\\x1b[2J\\x7f \\u{9b}\u{e9} a\\xffb"]);
}

#[test]
fn a_cause_is_told_once_and_at_its_end() {
    let (mut log, reader) = piped(Level::Info);
    log.over(Level::Info, "a", format_args!("never said"));
    for _ in 0..4 {
        log.once(Level::Error, "a", format_args!("a fails"));
        log.once(Level::Error, "b", format_args!("b fails"));
    }
    log.over(Level::Info, "a", format_args!("a works"));
    log.over(Level::Info, "a", format_args!("never said"));
    assert!(log.once(Level::Error, "a", format_args!("a fails again")));
    log.over(Level::Info, "a", format_args!("a works again"));
    let said = ["a fails", "b fails", "a works (repeated 3 times)", "a fails again", "a works again"];
    assert_eq!(messages(log, reader), said);
}

#[test]
fn causes_cannot_fill_the_memory() {
    let (mut log, _reader) = piped(Level::Critical);
    for n in 0..3 * MOST_CAUSES {
        log.once(Level::Info, &n.to_string(), format_args!("x"));
    }
    assert_eq!(log.causes.len(), MOST_CAUSES);
}

#[test]
fn a_reader_who_is_slow_holds_nobody_up_and_learns_what_is_missing() {
    let (mut log, mut reader) = piped(Level::Info);
    for n in 0..6000 {
        log.info(format_args!("{n} {}", "x".repeat(100)));
    }
    let fd = log.destination.take_stalled();
    assert_eq!(fd, log.destination.wants_write());
    assert_eq!(log.destination.take_stalled(), None, "it is told once");
    let mut got = Vec::new();
    let mut room = [0; 5000];
    while log.destination.wants_write().is_some() {
        let n = reader.read(&mut room).unwrap();
        got.extend_from_slice(&room[..n]);
        log.flush(Instant::now());
    }
    // Nobody asks in between: the loop does so at the end of a turn.
    for _ in 0..6000 {
        log.info(format_args!("{}", "y".repeat(100)));
    }
    assert!(log.destination.take_stalled().is_some(), "and when it happens again");
    log.level = Level::Critical;
    while log.destination.wants_write().is_some() {
        let n = reader.read(&mut room).unwrap();
        got.extend_from_slice(&room[..n]);
        log.flush(Instant::now());
    }
    drop(log);
    reader.read_to_end(&mut got).unwrap();
    let text = String::from_utf8(got).unwrap();
    let arrived = text.lines().filter(|line| line.ends_with("xxx")).count();
    let lost = text.lines().last().unwrap();
    assert!(arrived < 6000 && lost.contains("lines"), "{lost}");
    assert!(lost.contains("[WARNING] log: the standard error output of circus takes output again"), "{lost}");
}

#[test]
fn a_file_is_appended_to_and_opened_again() {
    let directory = std::env::temp_dir().join(format!("circus-log-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let (path, moved) = (directory.join("log"), directory.join("moved"));
    std::fs::write(&path, "before\n").unwrap();
    let mut log = Log::open(path.to_str(), Level::Info, true).unwrap();
    log.info(format_args!("one"));
    std::fs::rename(&path, &moved).unwrap();
    log.reopen().unwrap();
    let text = |path| std::fs::read_to_string(path).unwrap();
    assert_eq!((text(&moved).lines().count(), text(&path).as_str()), (2, ""));
    log.info(format_args!("two"));
    assert!(text(&moved).starts_with("before\n") && text(&path).ends_with("two\n"));
    let refused = Log::open(directory.join("no/log").to_str(), Level::Info, true).err().unwrap();
    assert!(refused.contains("does not exist"), "{refused}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_full_disk_is_tried_again_at_a_date() {
    let mut log = Log::open(Some("/dev/full"), Level::Info, true).unwrap();
    log.info(format_args!("one"));
    let retry = log.destination.next_retry().unwrap();
    log.flush(retry);
    assert!(log.destination.next_retry().unwrap() > retry + Duration::from_secs(1));
}

#[test]
fn the_standard_error_output_has_many_names() {
    for name in [None, Some("-"), Some("stdout"), Some("/dev/stderr")] {
        let log = Log::open(name, Level::Info, true).unwrap();
        assert_eq!(log.destination.place, Place::Stderr);
    }
}

#[test]
fn a_file_that_is_moved_away_is_followed_by_the_next_message() {
    let dir = std::env::temp_dir().join(format!("circus-log-moved-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let (path, old) = (dir.join("log"), dir.join("log.1"));
    let mut log = Log::open(path.to_str(), Level::Info, true).unwrap();
    let ends = |path: &Path, with: &str| {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with(&format!("] {with}\n")), "{text}");
        text.lines().count()
    };
    log.info(format_args!("1"));
    std::fs::rename(&path, &old).unwrap();
    log.info(format_args!("2"));
    assert_eq!((ends(&old, "1"), ends(&path, "2")), (1, 1));
    // One that is removed with its directory is given up, and nothing is lost.
    let away = dir.with_extension("away");
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(&dir, &away).unwrap();
    log.info(format_args!("3"));
    log.info(format_args!("4"));
    std::fs::rename(&away, &dir).unwrap();
    log.flush(log.destination.next_retry().unwrap());
    log.info(format_args!("5"));
    assert!(ends(&path, "5") >= 3);
    // Where no file can be, one that has a name is written to, and that is said once.
    let mut log = Log::open(path.to_str(), Level::Info, true).unwrap();
    std::fs::rename(&dir, &away).unwrap();
    log.info(format_args!("6"));
    log.info(format_args!("7"));
    std::fs::rename(&away, &dir).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let count = |what: &str| text.matches(what).count();
    let numbers = [3, 4, 5, 6, 7].map(|n| count(&format!("] {n}\n")));
    assert_eq!((numbers, count("cannot reopen")), ([1; 5], 1), "{text}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_syslog_daemon_gets_each_message_with_its_severity() {
    let path = std::env::temp_dir().join(format!("circus-log-syslog-{}", std::process::id()));
    let url = format!("syslog://{}?local7", path.display());
    let mut log = Log::open(Some(&url), Level::Debug, true).unwrap();
    // A daemon that is not there yet misses nothing.
    log.info(format_args!("early"));
    let daemon = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    daemon.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    log.flush(Instant::now());
    log.debug(format_args!("d"));
    log.log(Level::Critical, format_args!("c"));
    let mut messages = Vec::new();
    while messages.last().is_none_or(|last: &String| !last.ends_with("] c")) {
        let mut room = [0; 1000];
        let length = daemon.recv(&mut room).unwrap();
        messages.push(String::from_utf8_lossy(&room[..length]).into_owned());
    }
    let pid = std::process::id();
    for (number, end) in [(190, "[INFO] early"), (191, "[DEBUG] d"), (186, "[CRITICAL] c")] {
        let (begins, ends) = (format!("<{number}>"), format!(" circus[{pid}]: {end}"));
        let fits = |message: &&String| message.starts_with(&begins) && message.ends_with(&ends);
        assert_eq!(messages.iter().filter(fits).count(), 1, "{messages:?}");
    }
    std::fs::remove_file(&path).unwrap();
}
