//! TimedRotatingFileStream: when a file is rotated by the clock, and what the old one is called then.
//!
//! A period ends after so many seconds, at a midnight, or at the midnight that ends a day of the week. `FILE` is then
//! renamed to `FILE.SUFFIX`, which tells when the period began. That is looked at when there is something to write.
//! A clock that is set back begins a new period and rotates nothing. A name that is taken is never overwritten: the
//! next file of that period is `FILE.SUFFIX-1`.

use super::backups::{COMPRESSED, MOST_AT_ONCE, with};
use super::old_files::list;
use crate::config::options::StreamOptions;
use crate::host::files::Location;
use crate::sorted::{Sorted, sort_by};
use crate::sys::clock::{self, Zone};
use std::ffi::OsString;
use std::io;

/// The longest period between two rotations, in units of `rotate_when`.
const LONGEST_INTERVAL: i64 = 100_000;
/// The most files of one period.
const MOST_AGAIN: u32 = 1000;

/// What ends a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// That so many seconds have gone by.
    Seconds(i32),
    /// The end of a day.
    Midnight,
    /// The end of this day of the week; 0 is Monday.
    Weekday(i32),
}

/// How a file is rotated by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    when: When,
    /// How many such ends make a period.
    interval: i32,
    zone: Zone,
    /// How many old files are kept; 0: all.
    keep: u32,
}

impl Schedule {
    /// The schedule of a stream.
    ///
    /// # Errors
    /// It has no period.
    pub fn of(options: &StreamOptions, warnings: &mut Vec<String>) -> Result<Self, String> {
        let interval = options.rotate_interval.clamp(1, LONGEST_INTERVAL);
        if interval != options.rotate_interval {
            warnings.push(format!("rotate_interval = {} is taken as {interval}", options.rotate_interval));
        }
        let zone = if options.utc == Some(true) { Zone::Utc } else { Zone::Local };
        let keep = options.backup_count.clamp(0, u32::MAX.into()) as u32;
        let when = options.rotate_when.as_deref().unwrap_or_default();
        Schedule::new(when, interval as i32, zone, keep)
            .ok_or_else(|| "there is no rotate_when: S, M, H, D, MIDNIGHT, or W0 (Monday) to W6".into())
    }

    /// The schedule of `rotate_when`, one of the words of the option table.
    pub fn new(rotate_when: &str, interval: i32, zone: Zone, keep: u32) -> Option<Self> {
        let when = match rotate_when {
            "S" => When::Seconds(1),
            "M" => When::Seconds(60),
            "H" => When::Seconds(3600),
            "D" => When::Seconds(86_400),
            "MIDNIGHT" => When::Midnight,
            day => When::Weekday(day.strip_prefix('W')?.parse().ok()?),
        };
        Some(Schedule { when, interval, zone, keep })
    }

    /// What follows the name of an old file, for strftime.
    fn suffix(self) -> &'static str {
        match self.when {
            When::Seconds(1) => "%Y%m%d%H%M%S",
            When::Seconds(60) => "%Y%m%d%H%M",
            When::Seconds(3600) => "%Y%m%d%H",
            When::Seconds(_) | When::Midnight | When::Weekday(_) => "%Y%m%d",
        }
    }

    /// The period that `from` lies in, as its two ends.
    fn period(self, from: i64) -> (i64, i64) {
        let (days, first) = match self.when {
            When::Seconds(unit) => {
                return (from, from.saturating_add(i64::from(unit) * i64::from(self.interval)));
            }
            When::Midnight => (1, 0),
            When::Weekday(day) => (7, (day - clock::weekday(self.zone, from)).rem_euclid(7)),
        };
        let end = clock::midnight(self.zone, from, first + 1 + days * (self.interval - 1));
        let begin = clock::midnight(self.zone, end, -days * self.interval);
        (begin.min(from), end.max(from + 1))
    }
}

/// The clock of one file.
pub struct Timer {
    /// What it goes by.
    pub schedule: Schedule,
    begin: i64,
    end: i64,
    /// The time in seconds since 1970; another one in tests.
    wall: fn() -> i64,
}

impl Timer {
    /// A timer for a file that exists since `since`.
    pub fn new(schedule: Schedule, since: i64) -> Self {
        let (begin, end) = schedule.period(since);
        Timer { schedule, begin, end, wall: || clock::realtime_ms() / 1000 }
    }

    /// Whether the period is over. If the clock was set back before its beginning, another one begins.
    pub fn is_over(&mut self) -> bool {
        let now = (self.wall)();
        if now < self.begin {
            self.begin_period();
        }
        now >= self.end
    }

    /// Begins a new period.
    pub fn begin_period(&mut self) {
        (self.begin, self.end) = self.schedule.period((self.wall)());
    }

    /// The name for the file at the end of the period. Where somebody has rotated it within the period, or the clock
    /// was set back, that is taken, and a number follows.
    ///
    /// # Errors
    /// It cannot be told which names are taken.
    pub fn free_name(&self, location: &Location) -> io::Result<OsString> {
        let date = clock::strftime_in(self.schedule.zone, self.schedule.suffix(), self.begin);
        let mut end = format!(".{date}");
        for again in 1..MOST_AGAIN {
            let name = with(location.name(), &end);
            if location.look(&name)?.is_none() && location.look(&with(&name, COMPRESSED))?.is_none() {
                return Ok(name);
            }
            end = format!(".{date}-{again}");
        }
        Err(io::Error::other(format!("there are {MOST_AGAIN} files of {date} already")))
    }

    /// Removes the oldest files that a rotation left, but for those that are to be kept. Those of the future, which a
    /// clock has left that was ahead, are not known to be old: they stay, and do not count.
    ///
    /// # Errors
    /// The directory cannot be read, or a file not be removed.
    pub fn prune(&self, location: &Location) -> io::Result<()> {
        let keep = self.schedule.keep as usize;
        if keep == 0 {
            return Ok(());
        }
        let today = clock::strftime_in(self.schedule.zone, self.schedule.suffix(), (self.wall)());
        let last = today.parse().unwrap_or(u64::MAX);
        let names = Sorted::from_iter([(location.name().into(), ())]);
        let mut old = list(location, &names)?;
        // By that many digits they are known to be dates of this schedule.
        old.retain(|old| old.number.0 <= last && old.number.0.to_string().len() == today.len());
        sort_by(&mut old, |one, two| one.number < two.number);
        let excess = old.len().saturating_sub(keep).min(MOST_AT_ONCE as usize);
        let names = old.iter().take(excess).filter_map(|old| old.path.file_name());
        names.into_iter().try_for_each(|name| location.remove(name))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::Directory;
    use super::*;
    use std::cell::Cell;
    use std::fs;

    thread_local! { static NOW: Cell<i64> = const { Cell::new(0) }; }

    /// 2026-11-23 00:00 UTC, a Monday.
    pub(in super::super) const MONDAY: i64 = 1_795_392_000;

    pub(in super::super) fn set_clock(now: i64) {
        NOW.set(now);
    }

    pub(in super::super) fn schedule(when: &str, interval: i32, keep: u32) -> Schedule {
        Schedule::new(when, interval, Zone::Utc, keep).unwrap()
    }

    /// A timer that goes by [`set_clock`].
    pub(in super::super) fn timer(schedule: Schedule, since: i64) -> Timer {
        Timer { wall: || NOW.get(), ..Timer::new(schedule, since) }
    }

    #[test]
    fn periods_end_when_they_should() {
        let (day, hour) = (86_400, 3600);
        let now = MONDAY + 10 * hour;
        for (when, interval, begin, end) in [
            ("S", 5, now, now + 5),
            ("M", 1, now, now + 60),
            ("H", 2, now, now + 2 * hour),
            ("D", 1, now, now + day),
            ("MIDNIGHT", 1, MONDAY, MONDAY + day),
            ("MIDNIGHT", 3, MONDAY, MONDAY + 3 * day),
            ("W0", 1, MONDAY - 6 * day, MONDAY + day),
            ("W2", 1, MONDAY - 4 * day, MONDAY + 3 * day),
            ("W6", 1, MONDAY, MONDAY + 7 * day),
            ("W6", 2, MONDAY, MONDAY + 14 * day),
        ] {
            assert_eq!(schedule(when, interval, 0).period(now), (begin, end), "{when} {interval}");
        }
        assert_eq!(schedule("MIDNIGHT", 1, 0).period(MONDAY + day), (MONDAY + day, MONDAY + 2 * day));
        assert!(Schedule::new("W7x", 1, Zone::Utc, 0).is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_begins_a_new_period() {
        let mut timer = timer(schedule("H", 1, 0), MONDAY);
        set_clock(MONDAY + 3599);
        assert!(!timer.is_over());
        set_clock(MONDAY - 86_400);
        assert!(!timer.is_over());
        assert_eq!((timer.begin, timer.end), (MONDAY - 86_400, MONDAY - 82_800));
        set_clock(MONDAY - 82_800);
        assert!(timer.is_over());
    }

    #[test]
    fn the_newest_old_files_are_kept() {
        let directory = Directory::new();
        let path = directory.path("out");
        let others = ["out", "out.1", "out.2026112", "out.20261101x", "xout.20261101", "out.20261101.gz.gz"];
        let old = ["out.20261101.gz", "out.20261102", "out.20261103", "out.20261104.gz"];
        for name in others.iter().chain(&old) {
            fs::write(directory.path(name), "").unwrap();
        }
        set_clock(MONDAY);
        let location = Location::find(&path).unwrap();
        timer(schedule("D", 1, 0), MONDAY).prune(&location).unwrap();
        assert!(directory.path(old[0]).exists(), "0 keeps all");
        timer(schedule("D", 1, 2), MONDAY).prune(&location).unwrap();
        let left = |name: &&&str| directory.path(name).exists();
        assert_eq!(others.iter().filter(left).count(), others.len());
        assert_eq!(old.iter().filter(left).collect::<Vec<_>>(), [&old[2], &old[3]]);
    }

    #[test]
    fn files_of_a_clock_that_was_ahead_do_not_push_out_those_that_come_later() {
        let directory = Directory::new();
        let path = directory.path("out");
        let ahead = ["out.20991231", "out.20261124.gz", "out.20261124-1"];
        let old = ["out.20261110", "out.20261110-2", "out.20261110-10", "out.20261122"];
        ahead.iter().chain(&old).for_each(|name| fs::write(directory.path(name), "").unwrap());
        set_clock(MONDAY);
        timer(schedule("MIDNIGHT", 1, 2), MONDAY).prune(&Location::find(&path).unwrap()).unwrap();
        let left = |name: &&&str| directory.path(name).exists();
        assert_eq!(ahead.iter().filter(left).count(), 3);
        assert_eq!(old.iter().filter(left).collect::<Vec<_>>(), [&old[2], &old[3]]);
    }
}
