//! Time as the arbiter sees it: a number that only grows. The daemon reads the clock; tests turn it by hand.
//!
//! A plain number instead of `std::time::Instant`, so that the arbiter's state can be written down.

/// Nanoseconds on a clock that never goes back (CLOCK_MONOTONIC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// This time and so many seconds; negative and absurd numbers are brought into range.
    // Inlined, it is several times as large as a call, in some forty places.
    #[inline(never)]
    pub fn plus(self, seconds: f64) -> Time {
        // `as` saturates: a negative number or NaN becomes 0, a huge one the largest.
        Time(self.0.saturating_add((seconds * 1e9) as u64))
    }

    /// Seconds from `earlier` to this time; 0 when it is not earlier.
    #[inline(never)]
    pub fn since(self, earlier: Time) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn seconds_are_brought_into_range() {
        assert_eq!(Time(5).plus(1.5), Time(1_500_000_005));
        assert_eq!(Time(5).plus(-1.0), Time(5));
        assert_eq!(Time(5).plus(f64::NAN), Time(5));
        assert_eq!(Time(5).plus(1e300), Time(u64::MAX));
        assert_eq!(Time(2_000_000_000).since(Time(500_000_000)), 1.5);
    }
}
