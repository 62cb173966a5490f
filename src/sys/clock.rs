//! Clocks and dates.

use std::ffi::CString;
use std::mem;
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds on a clock that nobody sets (CLOCK_MONOTONIC).
pub fn monotonic_ns() -> u64 {
    nanoseconds_of(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds that this thread has had of a processor, whatever else the machine does.
pub fn cpu_ns() -> u64 {
    nanoseconds_of(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn nanoseconds_of(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is ours to be written to. These clocks are on every Linux, so it cannot fail.
    unsafe { libc::clock_gettime(clock, &mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// Seconds since 1970, as events carry them.
pub fn realtime() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Milliseconds since 1970.
pub fn realtime_ms() -> i64 {
    realtime_us() / 1000
}

/// Microseconds since 1970.
pub fn realtime_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Whose days and hours are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// Those of the place where circus runs, as TZ or /etc/localtime say.
    #[default]
    Local,
    /// UTC.
    Utc,
}

/// A moment, given in seconds since 1970, as local time in the format of strftime(3), in English.
///
/// A format that yields more than 4 KiB, or has a null in it, yields nothing.
pub fn strftime(format: &str, epoch: i64) -> String {
    strftime_in(Zone::Local, format, epoch)
}

/// The same in another zone.
pub fn strftime_in(zone: Zone, format: &str, epoch: i64) -> String {
    // strftime returns 0 both for "too long" and for "empty": with a space in front, 0 means too long.
    let Ok(format) = CString::new(format!(" {format}")) else { return String::new() };
    let tm = broken_down(zone, epoch);
    let mut text: Vec<u8> = vec![0; 128];
    loop {
        let place = text.as_mut_ptr().cast();
        // SAFETY: writes at most `text.len()` bytes; the format has its null, and `tm` is filled.
        let length = unsafe { libc::strftime(place, text.len(), format.as_ptr(), &tm) };
        if let Some(written) = text.get(1..length) {
            return String::from_utf8_lossy(written).into_owned();
        }
        if text.len() >= 4096 {
            return String::new();
        }
        text.resize(text.len() * 2, 0);
    }
}

/// The midnight that begins the day of a moment, or that of so many `days` later, in seconds since 1970. Days have
/// 23 or 25 hours where clocks are changed.
pub fn midnight(zone: Zone, epoch: i64, days: i32) -> i64 {
    let mut tm = broken_down(zone, epoch);
    (tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_isdst) = (0, 0, 0, -1);
    tm.tm_mday = tm.tm_mday.saturating_add(days);
    let seconds = match zone {
        // SAFETY: reads and writes `tm`, whose fields may lie outside their usual ranges.
        Zone::Local => unsafe { libc::mktime(&mut tm) },
        // SAFETY: as above.
        Zone::Utc => unsafe { libc::timegm(&mut tm) },
    };
    seconds as i64
}

/// The day of the week of a moment; 0 is Monday.
pub fn weekday(zone: Zone, epoch: i64) -> i32 {
    (broken_down(zone, epoch).tm_wday + 6) % 7
}

/// All zeros where the moment is beyond what the C library can tell.
fn broken_down(zone: Zone, epoch: i64) -> libc::tm {
    // SAFETY: all zeros are a valid tm; its zone pointer may be null.
    let mut tm: libc::tm = unsafe { mem::zeroed() };
    let epoch = epoch as libc::time_t;
    match zone {
        // SAFETY: reads `epoch` and writes `tm`.
        Zone::Local => unsafe { libc::localtime_r(&epoch, &mut tm) },
        // SAFETY: as above.
        Zone::Utc => unsafe { libc::gmtime_r(&epoch, &mut tm) },
    };
    tm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_may_be_empty_long_or_not_ascii() {
        assert_eq!(strftime("", 0), "");
        assert_eq!(strftime("é %%", 0), "é %");
        assert_eq!(strftime(&"x".repeat(1000), 0).len(), 1000);
        assert_eq!(strftime(&"x".repeat(10_000), 0), "");
        assert_eq!(strftime("a\0b", 0), "");
    }

    #[test]
    fn days_begin_at_midnight() {
        let noon = 1_700_000_000 / 86_400 * 86_400 + 43_200; // a Tuesday
        assert_eq!(
            (midnight(Zone::Utc, noon, 0), midnight(Zone::Utc, noon, 3)),
            (noon - 43_200, noon + 216_000)
        );
        assert_eq!((weekday(Zone::Utc, noon), weekday(Zone::Utc, noon + 5 * 86_400)), (1, 6));
        assert_eq!(strftime_in(Zone::Utc, "%H:%M", noon), "12:00");
        let local = midnight(Zone::Local, noon, 0);
        assert_eq!(strftime("%H:%M", local), "00:00");
    }

    /// Runs itself where clocks are changed: the zone of a process is set by its environment.
    #[test]
    fn a_day_may_have_23_or_25_hours() {
        let name = "sys::clock::tests::a_day_may_have_23_or_25_hours";
        if std::env::var_os("CIRCUS_TEST_ZONE").is_none() {
            let mut again = std::process::Command::new(std::env::current_exe().unwrap());
            again.args(["--exact", name]).env("CIRCUS_TEST_ZONE", "").env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3");
            let _children = crate::sys::children_lock();
            let ended = again.output().unwrap();
            let said = String::from_utf8_lossy(&ended.stdout);
            assert!(ended.status.success() && said.contains("1 passed"), "{said}");
            return;
        }
        let (march, october) = (1_774_738_800, 1_792_879_200); // 2026-03-29 and 2026-10-25, 00:00 there
        assert_eq!(
            (midnight(Zone::Local, march + 50_000, 0), strftime("%d %H", march)),
            (march, "29 00".into())
        );
        assert_eq!(midnight(Zone::Local, march, 1) - march, 23 * 3600);
        assert_eq!(midnight(Zone::Local, october, 1) - october, 25 * 3600);
        assert_eq!(midnight(Zone::Local, october + 25 * 3600, -1), october);
    }

    #[test]
    fn clocks_run_forward() {
        assert!(realtime_ms() > 1_700_000_000_000);
        let before = monotonic_ns();
        assert!(monotonic_ns() >= before && before > 0);
        assert!(realtime() > 1_700_000_000.0);
    }
}
