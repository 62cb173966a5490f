//! Lines without an end: how long they are kept back, and who goes on behind them.

use super::*;

#[test]
fn a_line_without_end_is_not_kept_back_for_good() {
    let mut stage = Stage::new();
    let sink = stage.open(&stage.file("out")).unwrap();
    let ((one, mut a), (two, mut b)) = (stage.attach(sink, 1), stage.attach(sink, 2));
    a.write_all(b"Password: ").unwrap();
    stage.read_all(one);
    assert_eq!(stage.directory.read("out"), "");
    stage.now = stage.streams.next_retry().unwrap();
    stage.streams.retry(stage.now, &mut stage.log);
    assert_eq!((stage.directory.read("out").as_str(), stage.streams.next_retry()), ("Password: ", None));
    a.write_all(b"right\nnext").unwrap();
    stage.read_all(one);
    b.write_all(b"other\nmore").unwrap();
    stage.read_all(two);
    assert_eq!(stage.directory.read("out"), "Password: right\nother\n");
    // What is being written line by line stays whole, however long it goes on.
    for n in 0..9 {
        a.write_all(b" line\nnext").unwrap();
        stage.read_all(one);
        stage.now = stage.streams.next_retry().unwrap();
        stage.streams.retry(stage.now, &mut stage.log);
        let out = stage.directory.read("out");
        assert!(out.ends_with(if n == 0 { "next line\nmore" } else { "next line\n" }), "{out}");
    }
    // The number of a pipe that has gone is another one's.
    drop((a, b));
    assert_eq!((stage.read_end(one), stage.read_end(two)), (Progress::Closed, Progress::Closed));
    assert_eq!(stage.streams.next_retry(), None);
}

#[test]
fn a_record_waits_for_its_end() {
    let mut stage = Stage::new();
    let mut config = stage.file("out");
    config.options.class = Some("JsonStream".into());
    let sink = stage.open(&config).unwrap();
    let (id, mut writer) = stage.attach(sink, 1);
    writer.write_all(b"half of").unwrap();
    stage.read_all(id);
    assert_eq!(stage.streams.next_retry(), None);
    writer.write_all(b" it\n").unwrap();
    stage.read_all(id);
    assert!(stage.directory.read("out").contains("\"half of it\""));
}

#[test]
fn the_log_ends_the_line_of_a_process_on_the_same_output() {
    for same_file in [true, false] {
        let mut stage = Stage::new();
        let mut reader = stage.catch_stdout(!same_file);
        let sink = if same_file {
            stage.open(&stage.file("log")).unwrap()
        } else {
            stage.open(&class("StdoutStream")).unwrap()
        };
        let ((one, mut a), (two, mut b)) = (stage.attach(sink, 1), stage.attach(sink, 2));
        a.write_all(b"part").unwrap();
        stage.drain_dead(one);
        stage.log.info(format_args!("first"));
        stage.log.info(format_args!("second"));
        b.write_all(b"whole\n").unwrap();
        stage.read_all(two);
        stage.log.info(format_args!("third"));
        let text = if same_file {
            stage.directory.read("log")
        } else {
            let mut got = vec![0; CHUNK];
            let n = reader.read(&mut got).unwrap();
            String::from_utf8_lossy(&got[..n]).into_owned()
        };
        let lines: Vec<&str> = text.split('\n').map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(lines, ["part", "first", "second", "whole", "third", ""], "{text}");
    }
}

#[test]
fn the_log_goes_on_behind_a_line_that_has_no_end() {
    let mut stage = Stage::new();
    std::fs::write(stage.directory.path("old"), "torn").unwrap();
    let destination = Destination::open(&Place::at(&stage.directory.path("old")), 0, stage.now).unwrap();
    stage.log = Log::to(destination, Level::Debug);
    stage.log.info(format_args!("said"));
    let text = stage.directory.read("old");
    assert!(text.starts_with("torn\n2") && text.ends_with(" said\n"), "{text}");
}
