//! Clocks and dates.

use std::ffi::CString;
use std::mem;
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds on a clock that nobody sets (CLOCK_MONOTONIC).
pub fn monotonic_ns() -> u64 {
    // SAFETY: all zeros are a valid timespec.
    let mut now: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: `now` is ours to be written to. This clock is on every Linux, so it cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// Seconds since 1970, as events carry them.
pub fn realtime() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A moment, given in seconds since 1970, as local time in the format of strftime(3), in English.
///
/// A format that yields more than 4 KiB, or has a null in it, yields nothing.
pub fn strftime(format: &str, epoch: i64) -> String {
    // strftime returns 0 both for "too long" and for "empty": with a space in front, 0 means too long.
    let Ok(format) = CString::new(format!(" {format}")) else { return String::new() };
    let tm = broken_down(epoch);
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

/// All zeros where the moment is beyond what the C library can tell.
fn broken_down(epoch: i64) -> libc::tm {
    // SAFETY: all zeros are a valid tm; its zone pointer may be null.
    let mut tm: libc::tm = unsafe { mem::zeroed() };
    let epoch = epoch as libc::time_t;
    // SAFETY: reads `epoch` and writes `tm`.
    unsafe { libc::localtime_r(&epoch, &mut tm) };
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
    fn clocks_run_forward() {
        let before = monotonic_ns();
        assert!(monotonic_ns() >= before && before > 0);
        assert!(realtime() > 1_700_000_000.0);
    }
}
