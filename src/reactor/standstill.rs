//! Notices that circus itself has stood still: it was stopped, frozen together with its processes, or held by a debugger.
//!
//! Whoever had to do something by some time may have stood still too, or may have done it unheard. So what has come is
//! read before any deadline is judged, and everybody gets the time back. Nor does circus sleep too long by itself
//! ([`nap`]).

use std::time::{Duration, Instant};

/// A wait, or a turn, that lasts so much longer than it should is one in which circus has stood still.
const OVERSLEPT: Duration = Duration::from_secs(1);

/// How long to sleep when `rest` is left. The kernel lets a wait last a thousandth longer than asked for, which for
/// half a minute of patience is noticed: a long wait ends a little early, and a short one makes up the rest.
pub fn nap(rest: Duration) -> Duration {
    let early = rest / 500;
    if early > Duration::from_millis(1) { rest - early } else { rest }
}

/// When it was last known that circus runs.
pub struct Standstill {
    /// When the deadlines were last judged.
    looked: Instant,
    /// The last wait took much too long.
    overslept: bool,
}

impl Standstill {
    /// circus runs now.
    pub fn new(now: Instant) -> Standstill {
        Standstill { looked: now, overslept: false }
    }

    /// A wait that was to take at most `timeout` is over. If it has taken much too long: how long circus was away. That is
    /// not said twice in a row: on a machine that is as slow as that all the time no deadline would ever come.
    pub fn woke(&mut self, now: Instant, timeout: Option<Duration>) -> Option<Duration> {
        let (away, before) = (now.saturating_duration_since(self.looked), self.overslept);
        self.overslept = timeout.is_some_and(|timeout| away > timeout.saturating_add(OVERSLEPT));
        self.looked = now;
        (self.overslept && !before).then_some(away)
    }

    /// Whether deadlines can be judged: not when circus has stood still in the midst of this turn, since something may
    /// have come that was not read.
    pub fn may_judge(&mut self, now: Instant) -> bool {
        let may = self.overslept || now.saturating_duration_since(self.looked) <= OVERSLEPT;
        if may {
            self.looked = now;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: f64) -> Duration {
        Duration::from_millis((seconds * 1000.0) as u64)
    }

    #[test]
    fn a_wait_that_lasts_a_second_too_long_is_a_standstill() {
        let start = Instant::now();
        for (timeout, waited, away) in [
            (Some(0.0), 0.9, None),
            (Some(0.0), 1.5, Some(1.5)),
            (Some(10.0), 10.5, None),
            (Some(10.0), 3.0, None),
            (Some(10.0), 15.0, Some(15.0)),
            (None, 1000.0, None),
        ] {
            let woke = Standstill::new(start).woke(start + seconds(waited), timeout.map(seconds));
            assert_eq!(woke, away.map(seconds), "{timeout:?} {waited}");
        }
    }

    #[test]
    fn what_happens_in_the_midst_of_a_turn_counts_at_its_end() {
        let start = Instant::now();
        let mut standstill = Standstill::new(start);
        assert_eq!(standstill.woke(start, Some(seconds(0.0))), None);
        assert!(!standstill.may_judge(start + seconds(5.0)));
        assert_eq!(standstill.woke(start + seconds(5.0), Some(seconds(0.0))), Some(seconds(5.0)));
        assert!(standstill.may_judge(start + seconds(5.1)));
    }

    #[test]
    fn where_every_turn_is_slow_deadlines_come_all_the_same() {
        let mut now = Instant::now();
        let (mut standstill, mut judged, mut given) = (Standstill::new(now), 0, Duration::ZERO);
        for _ in 0..100 {
            given += standstill.woke(now, Some(Duration::ZERO)).unwrap_or_default();
            now += seconds(2.0);
            judged += u32::from(standstill.may_judge(now));
        }
        assert!(judged >= 50 && given <= seconds(120.0), "{judged} {given:?}");
    }
}
