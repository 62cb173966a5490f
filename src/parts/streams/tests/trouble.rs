//! Places that cannot be written, are moved away, or have slow readers.

use super::*;

#[test]
fn files_are_reopened_when_asked() {
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("out")).unwrap();
    let (id, mut writer) = stage.attach(sink, 1);
    writer.write_all(b"1\n").unwrap();
    stage.read_all(id);
    std::fs::rename(stage.directory.path("out"), stage.directory.path("moved")).unwrap();
    writer.write_all(b"2\n").unwrap();
    stage.read_all(id);
    stage.streams.rotate_or_reopen(None, false, stage.now, &mut stage.log);
    writer.write_all(b"3\n").unwrap();
    stage.read_all(id);
    assert_eq!((stage.directory.read("moved"), stage.directory.read("out")), ("1\n2\n".into(), "3\n".into()));
    std::fs::rename(stage.directory.path("out"), stage.directory.path("moved")).unwrap();
    std::fs::create_dir(stage.directory.path("out")).unwrap();
    stage.streams.rotate_or_reopen(None, false, stage.now, &mut stage.log);
    assert_eq!(stage.says("cannot reopen"), 1);
    writer.write_all(b"4\n").unwrap();
    stage.read_all(id);
    assert_eq!(stage.directory.read("moved"), "3\n4\n");
}

#[test]
fn a_removed_directory_loses_nothing_that_fits_and_heals() {
    let mut stage = Stage::new();
    std::fs::create_dir(stage.directory.path("logs")).unwrap();
    let sink = stage.open(&stage.file("logs/out")).unwrap();
    let (id, mut writer) = stage.attach(sink, 1);
    std::fs::remove_dir_all(stage.directory.path("logs")).unwrap();
    for n in 0..3 {
        stage.now += Duration::from_secs(1);
        writeln!(writer, "{n}").unwrap();
        stage.read_all(id);
    }
    assert_eq!(stage.says("[ERROR] cannot write"), 1);
    std::fs::create_dir(stage.directory.path("logs")).unwrap();
    stage.now = stage.streams.next_retry().unwrap();
    stage.streams.retry(stage.now, &mut stage.log);
    assert_eq!(stage.streams.next_retry(), None);
    assert_eq!(stage.directory.read("logs/out"), "0\n1\n2\n");
    assert_eq!(stage.says("nothing was lost"), 1);
}

#[test]
fn a_stalled_standard_output_holds_nobody_up() {
    let mut stage = Stage::new();
    let mut reader = stage.catch_stdout(false);
    let sink = stage.open(&class("StdoutStream")).unwrap();
    let (id, mut writer) = stage.attach(sink, 1);
    let line = format!("{}\n", "x".repeat(999));
    for _ in 0..600 {
        writer.write_all(line.as_bytes()).unwrap();
        stage.read_all(id);
    }
    let stalled = std::mem::take(&mut stage.streams.stalled);
    assert_eq!(stalled.len(), 1);
    assert_eq!(stage.says("is read too slowly"), 1);
    assert_eq!(stage.streams.next_retry(), None, "room is an event, not a date");
    let (target, fd) = stalled[0];
    let mut got = Vec::new();
    let freed = loop {
        let mut room = vec![0; CHUNK];
        let n = reader.read(&mut room).unwrap();
        got.extend_from_slice(&room[..n]);
        if let Some(fd) = stage.streams.writable(target, stage.now, &mut stage.log) {
            break fd;
        }
    };
    assert_eq!(freed, fd);
    drop(std::mem::take(&mut stage.streams));
    reader.read_to_end(&mut got).unwrap();
    let text = String::from_utf8(got).unwrap();
    assert!(text.split_inclusive('\n').all(|got| got == line), "no line is torn");
    let lost = 600 - text.len() / line.len();
    assert!(lost > 0);
    assert_eq!(stage.says(&format!("{lost} lines ({} bytes) of output were dropped", lost * line.len())), 1);
}

#[test]
fn what_cannot_be_written_at_the_end_is_told() {
    let mut stage = Stage::new();
    let mut full = class("FileStream");
    full.options.filename = Some("/dev/full".into());
    let sink = stage.open(&full).unwrap();
    let (id, mut writer) = stage.attach(sink, 1);
    writer.write_all(b"12345").unwrap();
    stage.read_all(id);
    assert_eq!(stage.says("cannot write /dev/full: No space left on device"), 1);
    stage.streams.finish(stage.now, &mut stage.log);
    assert_eq!(stage.says("the last 5 bytes of output for /dev/full are lost"), 1);
    assert_eq!(stage.streams.targets.ids().len(), 0);
}

#[test]
fn what_a_full_disk_keeps_from_a_process_that_has_gone_is_written_later() {
    let mut stage = Stage::new();
    std::fs::create_dir(stage.directory.path("logs")).unwrap();
    let owner = Owner { watcher: WatcherId(1), channel: Channel::Stdout, wid: 3 };
    let config = stage.file("logs/out.3");
    let sink = stage.open_for(owner, &config).unwrap();
    let (id, mut writer) = stage.attach(sink, 1);
    std::fs::remove_dir_all(stage.directory.path("logs")).unwrap();
    stage.now += Duration::from_secs(1);
    writer.write_all(b"last words\n").unwrap();
    drop(writer);
    assert_eq!(stage.read_end(id), Progress::Closed);
    assert!(!stage.streams.sinks.contains_key(&owner), "the sink of one process goes with it");
    assert_eq!(stage.streams.targets.ids().len(), 1, "but not its file");
    std::fs::create_dir(stage.directory.path("logs")).unwrap();
    stage.now = stage.streams.next_retry().unwrap();
    stage.streams.retry(stage.now, &mut stage.log);
    assert_eq!(stage.directory.read("logs/out.3"), "last words\n");
    assert_eq!((stage.streams.targets.ids().len(), stage.streams.next_retry()), (0, None));
}

#[test]
fn a_place_that_nobody_uses_is_given_up_in_the_end() {
    let mut stage = Stage::new();
    std::fs::create_dir(stage.directory.path("logs")).unwrap();
    let sink = stage.open(&stage.file("logs/out")).unwrap();
    let (id, mut writer) = stage.attach(sink, 1);
    std::fs::remove_dir_all(stage.directory.path("logs")).unwrap();
    stage.now += Duration::from_secs(1);
    writer.write_all(b"12345").unwrap();
    stage.read_all(id);
    stage.streams.release(&sink, stage.now, &mut stage.log);
    stage.streams.detach(id, stage.now, &mut stage.log);
    let mut tries = 0;
    while let Some(next) = stage.streams.next_retry() {
        stage.now = next;
        stage.streams.retry(stage.now, &mut stage.log);
        tries += 1;
    }
    assert!((30..60).contains(&tries), "{tries} in five minutes");
    assert_eq!((stage.streams.targets.ids().len(), stage.says("the last 5 bytes of output")), (0, 1));
}
