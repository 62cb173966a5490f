//! Rotation, and files that cannot be written.

use super::super::destination::{Destination, FILE_BACKLOG, Place};
use super::super::tests::{Chance, Directory};
use super::*;

fn open(directory: &Directory, max_bytes: u64, backup_count: u32) -> Destination {
    let mut destination = Destination::open(&Place::at(&directory.path("out")), 0, Instant::now()).unwrap();
    destination.file().unwrap().set_rotation(Rotation { max_bytes, backup_count, ..Default::default() });
    destination
}

/// The files from the oldest one on.
fn files(directory: &Directory) -> Vec<String> {
    let old = (1..).map(|n| format!("out.{n}")).take_while(|name| directory.path(name).exists());
    let mut names: Vec<String> = old.collect();
    names.reverse();
    names.push("out".into());
    names.iter().map(|name| directory.read(name)).collect()
}

#[test]
fn a_rotation_splits_and_loses_no_line() {
    let mut chance = Chance(2);
    for max_bytes in [1, 2, 10, 37, 100, 1000, 4096, 65_536, 100_000] {
        let directory = Directory::new();
        let mut destination = open(&directory, max_bytes, 100_000);
        let mut all = String::new();
        let (lines, longest) = if max_bytes < 1000 { (120, 60) } else { (3000, 200) };
        for n in 0..lines {
            all += &format!("{n} {}\n", "x".repeat(chance.below(longest)));
        }
        let mut rest = all.as_bytes();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + chance.below(3 * longest)).min(rest.len()));
            destination.write(piece, Instant::now());
            rest = after;
        }
        assert!(destination.is_quiet());
        let files = files(&directory);
        assert_eq!(files.concat(), all, "max_bytes {max_bytes}");
        assert!(files.len() > 1);
        for file in &files {
            assert!(file.ends_with('\n'), "max_bytes {max_bytes}: a line is split");
            // The last line may have been begun while there was room.
            let begun = file.trim_end_matches('\n').rfind('\n').map_or(0, |newline| newline + 1);
            assert!((begun as u64) < max_bytes, "max_bytes {max_bytes}: {}", file.len());
        }
    }
}

#[test]
fn whole_chunks_fill_files_up() {
    let directory = Directory::new();
    let mut destination = open(&directory, 100_005, 100);
    let chunk = "0123456\n".repeat(8192);
    for _ in 0..10 {
        destination.write(chunk.as_bytes(), Instant::now());
    }
    let files = files(&directory);
    assert!(files.iter().rev().skip(1).all(|file| file.len() == 100_000));
    assert_eq!(files.concat().len(), 655_360);
}

#[test]
fn only_so_many_old_files_are_kept() {
    let directory = Directory::new();
    let mut destination = open(&directory, 8, 3);
    for n in 0..9 {
        destination.write(format!("line {n}\n").as_bytes(), Instant::now());
    }
    assert_eq!(files(&directory), ["line 5\n", "line 6\n", "line 7\n", "line 8\n"]);
}

#[test]
fn a_gap_in_the_old_files_ends_the_shift() {
    let directory = Directory::new();
    let mut destination = open(&directory, 8, u32::MAX);
    std::fs::write(directory.path("out.1"), "one").unwrap();
    std::fs::write(directory.path("out.3"), "three").unwrap();
    destination.write(b"line 0\nline 1\n", Instant::now());
    assert_eq!(files(&directory), ["three", "one", "line 0\n", "line 1\n"]);
}

#[test]
fn without_backup_count_the_file_grows() {
    let directory = Directory::new();
    for (max_bytes, backup_count) in [(10, 0), (0, 5)] {
        let mut destination = open(&directory, max_bytes, backup_count);
        destination.write(b"a line that is long\n", Instant::now());
        destination.write(b"another\n", Instant::now());
    }
    assert_eq!(files(&directory), ["a line that is long\nanother\n".repeat(2)]);
}

#[test]
fn a_line_without_end_is_cut_at_its_limit() {
    let directory = Directory::new();
    let mut destination = open(&directory, 1000, 100);
    for _ in 0..300 {
        destination.write(&[b'x'; 999], Instant::now());
    }
    destination.write(b"\nend\n", Instant::now());
    let files = files(&directory);
    assert_eq!(files.concat(), "x".repeat(299_700) + "\nend\n");
    assert!(files.iter().rev().skip(2).all(|file| file.len() == LINE_MAX));
    assert_eq!(files.last().unwrap(), "end\n");
}

#[test]
fn the_size_that_a_file_has_from_before_counts() {
    let directory = Directory::new();
    std::fs::write(directory.path("out"), "12345678\n").unwrap();
    let mut destination = open(&directory, 12, 2);
    destination.write(b"new\n", Instant::now());
    assert_eq!(files(&directory), ["12345678\n", "new\n"]);
}

#[test]
fn a_file_that_somebody_truncates_is_measured_again() {
    let directory = Directory::new();
    let mut destination = open(&directory, 12, 2);
    destination.write(b"12345678\n", Instant::now());
    File::create(directory.path("out")).unwrap();
    destination.write(b"new\n", Instant::now());
    assert_eq!(files(&directory), ["new\n"]);
}

#[test]
fn a_rotation_that_fails_is_said_once_and_loses_nothing() {
    let directory = Directory::new();
    let mut now = Instant::now();
    let mut destination = open(&directory, 8, 1);
    // A directory in the place of the old file cannot be replaced by one.
    std::fs::create_dir_all(directory.path("out.1/full")).unwrap();
    for n in 0..20 {
        destination.write(format!("line {n:02}\n").as_bytes(), now);
        now += LOOK / 4;
    }
    let notices = destination.take_notices();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].1.contains("cannot rotate"), "{notices:?}");
    assert_eq!(directory.read("out").lines().count(), 20);
    std::fs::remove_dir_all(directory.path("out.1")).unwrap();
    destination.write(b"after\n", now + LOOK);
    assert_eq!((directory.read("out.1").lines().count(), directory.read("out").as_str()), (20, "after\n"));
}

#[test]
fn a_full_disk_keeps_the_newest_output_and_heals() {
    let directory = Directory::new();
    let mut now = Instant::now();
    let mut destination = open(&directory, 0, 0);
    destination.write(b"before\n", now);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let good = destination.file().unwrap().file.replace(full);
    for n in 0..2000 {
        destination.write(format!("{n:099}\n").as_bytes(), now);
        now += Duration::from_millis(1);
    }
    assert!(destination.held() <= FILE_BACKLOG);
    let notices = destination.take_notices();
    assert_eq!(notices.len(), 1, "one message a cause: {notices:?}");
    assert!(notices[0].1.contains("No space left on device"), "{notices:?}");
    let retry = destination.next_retry().unwrap();
    assert!(retry > now - Duration::from_millis(101), "it is not tried in a spin");
    destination.flush(retry);
    assert!(destination.take_notices().is_empty(), "nothing new to say");
    assert!(destination.next_retry().unwrap() >= retry + Duration::from_secs(2), "the pause grows");
    destination.file().unwrap().file = good;
    destination.write(b"after\n", retry + Duration::from_millis(100));
    let text = directory.read("out");
    let kept: Vec<&str> = text.lines().collect();
    assert_eq!((kept[0], kept[kept.len() - 1]), ("before", "after"));
    let numbers: Vec<usize> = kept[1..kept.len() - 1].iter().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers, (2000 - numbers.len()..2000).collect::<Vec<_>>(), "the newest, in order");
    let lost = 2000 - numbers.len();
    let notices = destination.take_notices();
    assert!(notices[0].1.contains(&format!("{lost} lines ({} bytes)", lost * 100)), "{notices:?}");
    assert_eq!((destination.next_retry(), destination.is_quiet()), (None, true));
}

#[test]
fn a_removed_file_is_begun_again() {
    let directory = Directory::new();
    let now = Instant::now();
    let mut destination = open(&directory, 0, 0);
    destination.write(b"gone\n", now);
    std::fs::remove_file(directory.path("out")).unwrap();
    destination.write(b"here\n", now + LOOK);
    assert_eq!(directory.read("out"), "here\n");
    assert!(destination.is_quiet());
}

#[test]
fn what_cannot_be_a_log_file_is_refused_in_a_sentence() {
    let directory = Directory::new();
    let refused =
        |name: &str| Destination::open(&Place::at(&directory.path(name)), 0, Instant::now()).err().unwrap();
    assert!(refused("").contains("it is a directory; name a file in it"), "{}", refused(""));
    let missing = format!("the directory {} does not exist; create it", directory.path("no").display());
    assert!(refused("no/out").contains(&missing), "{}", refused("no/out"));
    std::fs::write(directory.path("file"), "").unwrap();
    assert!(refused("file/out").contains("Not a directory"), "{}", refused("file/out"));
}

#[test]
fn files_are_made_for_others_to_read_and_left_to_no_child() {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    let mut destination = open(&directory, 0, 0);
    let file = destination.file().unwrap().file.as_ref().unwrap();
    let plain = File::create(directory.path("plain")).unwrap();
    let mode = |file: &File| file.metadata().unwrap().permissions().mode();
    assert_eq!(mode(file), mode(&plain), "0666 less the umask");
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    let flags = i32::from_str_radix(flags, 8).unwrap();
    assert_eq!(flags & 0o2_002_000, 0o2_002_000, "O_CLOEXEC and O_APPEND");
}

mod by_clock {
    use super::super::super::timed::tests::{MONDAY, schedule, set_clock, timer};
    use super::*;

    fn open(directory: &Directory, when: &str, keep: u32) -> Destination {
        set_clock(MONDAY);
        let mut destination =
            Destination::open(&Place::at(&directory.path("out")), 0, Instant::now()).unwrap();
        let file = destination.file().unwrap();
        file.timer = Some(Box::new(timer(schedule(when, 1, keep), MONDAY)));
        destination
    }

    fn write(destination: &mut Destination, text: &str) {
        destination.write(text.as_bytes(), Instant::now());
    }

    fn names(directory: &Directory) -> Vec<String> {
        let entries = std::fs::read_dir(&directory.0).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_period_that_is_over_ends_its_file_between_two_lines() {
        let directory = Directory::new();
        let mut destination = open(&directory, "H", 2);
        write(&mut destination, "one\nhal");
        set_clock(MONDAY + 3600);
        write(&mut destination, "f\ntwo\n");
        assert_eq!(directory.read("out.2026112300"), "one\nhalf\n");
        assert_eq!(directory.read("out"), "two\n");
        for hour in 2..5 {
            set_clock(MONDAY + hour * 3600);
            write(&mut destination, &format!("hour {hour}\n"));
        }
        assert_eq!(names(&directory), ["out", "out.2026112302", "out.2026112303"], "the two newest are kept");
        assert_eq!(directory.read("out"), "hour 4\n");
        set_clock(MONDAY + 90_000);
        write(&mut destination, "much later\n");
        assert_eq!(directory.read("out.2026112304"), "hour 4\n", "named after when it began");
        assert!(destination.is_quiet());
    }

    #[test]
    fn an_empty_file_is_not_put_aside() {
        let directory = Directory::new();
        let mut destination = open(&directory, "S", 0);
        set_clock(MONDAY + 10);
        write(&mut destination, "first\n");
        assert_eq!(names(&directory), ["out"]);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing_and_rotates_no_more_often() {
        let directory = Directory::new();
        let mut destination = open(&directory, "MIDNIGHT", 0);
        write(&mut destination, "monday\n");
        set_clock(MONDAY + 86_400);
        write(&mut destination, "tuesday\n");
        // A second back, over the midnight, and on again: the name of monday's file is taken.
        set_clock(MONDAY + 86_399);
        write(&mut destination, "monday again\n");
        assert!(destination.is_quiet());
        set_clock(MONDAY + 86_401);
        for n in 0..100 {
            write(&mut destination, &format!("tuesday {n}\n"));
        }
        assert_eq!(names(&directory), ["out", "out.20261123", "out.20261123-1"]);
        assert_eq!(directory.read("out.20261123"), "monday\n");
        assert_eq!(directory.read("out.20261123-1"), "tuesday\nmonday again\n");
        assert_eq!(directory.read("out").lines().count(), 100);
        set_clock(MONDAY + 2 * 86_400);
        write(&mut destination, "wednesday\n");
        assert_eq!(directory.read("out.20261124").lines().count(), 100);
        assert!(destination.is_quiet());
    }

    #[test]
    fn a_rotation_within_a_period_leaves_that_at_its_end() {
        let directory = Directory::new();
        let mut destination = open(&directory, "MIDNIGHT", 0);
        write(&mut destination, "morning\n");
        set_clock(MONDAY + 43_200);
        assert_eq!(destination.renew(true, Instant::now()), Ok(true));
        write(&mut destination, "afternoon\n");
        assert_eq!(destination.renew(true, Instant::now()), Ok(true));
        write(&mut destination, "evening\n");
        set_clock(MONDAY + 86_400);
        write(&mut destination, "tuesday\n");
        assert!(destination.is_quiet());
        let wanted = [("", "tuesday"), (".20261123", "morning"), (".20261123-1", "afternoon")];
        for (end, text) in wanted.into_iter().chain([(".20261123-2", "evening")]) {
            assert_eq!(directory.read(&format!("out{end}")), format!("{text}\n"));
        }
    }

    #[test]
    fn a_file_from_before_counts_from_when_it_was_written() {
        let directory = Directory::new();
        let path = directory.path("out");
        std::fs::write(&path, "old\n").unwrap();
        let written = SystemTime::now() - Duration::from_secs(7200);
        File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        let mut destination = Destination::open(&Place::at(&path), 0, Instant::now()).unwrap();
        let rotation = Rotation { schedule: Some(schedule("H", 1, 0)), ..Rotation::default() };
        destination.file().unwrap().set_rotation(rotation);
        write(&mut destination, "new\n");
        let names = names(&directory);
        assert_eq!((names.len(), directory.read(&names[1]).as_str()), (2, "old\n"));
        assert_eq!(directory.read("out"), "new\n");
    }
}

#[test]
fn a_watched_file_is_followed_in_the_next_turn_between_two_lines() {
    let directory = Directory::new();
    let mut now = Instant::now();
    let mut destination = open(&directory, 0, 0);
    destination.file().unwrap().set_rotation(Rotation { watched: true, ..Rotation::default() });
    destination.write(b"one\nhal", now);
    std::fs::rename(directory.path("out"), directory.path("moved")).unwrap();
    now += Duration::from_micros(10);
    destination.write(b"f\n", now);
    destination.write(b"same turn\n", now);
    now += Duration::from_micros(10);
    destination.write(b"two\n", now);
    assert_eq!(directory.read("moved"), "one\nhalf\nsame turn\n");
    assert_eq!(directory.read("out"), "two\n");
    // Another file of the same name.
    std::fs::write(directory.path("other"), "theirs\n").unwrap();
    std::fs::rename(directory.path("other"), directory.path("out")).unwrap();
    destination.write(b"three\n", now + Duration::from_micros(10));
    assert_eq!(directory.read("out"), "theirs\nthree\n");
    assert!(destination.is_quiet());
}

#[test]
fn a_watched_file_that_cannot_be_followed_is_written_where_it_is() {
    let directory = Directory::new();
    let mut now = Instant::now();
    let mut destination = open(&directory, 0, 0);
    destination.file().unwrap().set_rotation(Rotation { watched: true, ..Rotation::default() });
    std::fs::rename(directory.path("out"), directory.path("moved")).unwrap();
    std::fs::create_dir(directory.path("out")).unwrap();
    for _ in 0..3 {
        now += Duration::from_micros(10);
        destination.write(b"line\n", now);
    }
    let notices = destination.take_notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].1.contains("cannot reopen"), "{notices:?}");
    assert_eq!(directory.read("moved"), "line\n".repeat(3));
    std::fs::remove_dir(directory.path("out")).unwrap();
    destination.write(b"back\n", now + LOOK);
    assert_eq!(directory.read("out"), "back\n");
}

#[test]
fn a_rotation_keeps_mode_and_owner() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let directory = Directory::new();
    let path = directory.path("out");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let _ = chown(&path, None, Some(4)); // as root
    let old = std::fs::metadata(&path).unwrap();
    let mut destination = open(&directory, 8, 2);
    destination.write(b"line 1\nline 2\nline 3\n", Instant::now());
    for name in ["out", "out.1", "out.2"] {
        let found = std::fs::metadata(directory.path(name)).unwrap();
        assert_eq!((found.mode(), found.gid()), (old.mode(), old.gid()), "{name}");
    }
}

#[test]
fn a_file_that_somebody_has_moved_away_is_not_rotated_in_the_place_of_another() {
    let directory = Directory::new();
    let mut destination = open(&directory, 8, 2);
    destination.write(b"line 1\n", Instant::now());
    std::fs::rename(directory.path("out"), directory.path("moved")).unwrap();
    std::fs::write(directory.path("out"), "").unwrap();
    destination.write(b"line 2\n", Instant::now());
    assert_eq!(directory.read("moved"), "line 1\n");
    assert_eq!(files(&directory), ["line 2\n"]);
}

#[test]
fn a_lease_on_a_file_holds_nobody_up_and_ends() {
    // What the kernel says to O_NONBLOCK then; a file is never ready for writing later.
    let directory = Directory::new();
    let now = Instant::now();
    let mut destination = open(&directory, 0, 0);
    destination.hold(b"kept\n", &ErrorKind::WouldBlock.into(), now);
    assert_eq!(destination.wants_write(), None);
    destination.flush(destination.next_retry().expect("it is tried again"));
    assert_eq!(directory.read("out"), "kept\n");
}

#[test]
fn old_files_that_cannot_be_removed_are_said_once_and_keep_nothing_from_being_rotated() {
    let directory = Directory::new();
    let mut destination = open(&directory, 8, 1);
    std::fs::create_dir_all(directory.path("out.3/full")).unwrap();
    for n in 0..4 {
        destination.write(format!("line {n}\n").as_bytes(), Instant::now());
    }
    let notices = destination.take_notices();
    assert!(notices.len() == 1 && notices[0].1.contains("out.3 is a directory"), "{notices:?}");
    assert_eq!(directory.read("out").lines().count() + directory.read("out.1").lines().count(), 2);
}
