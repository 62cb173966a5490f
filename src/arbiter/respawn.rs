//! When a process that ended, or could not be started, is tried again.
//!
//! A process that lived at least [`STABLE`] seconds is replaced at once. One that ended sooner, or could not be
//! executed, leaves a [`Chain`] behind, and its successor waits: 0.1 s, doubling to 10 s. So no program and no
//! configuration can make circus spin.

use super::time::Time;

/// Seconds that a process must live for its successor to start at once.
pub const STABLE: f64 = 1.0;
/// The first pause, in seconds.
pub const FIRST_DELAY: f64 = 0.1;
/// The longest pause, in seconds.
pub const LONGEST_DELAY: f64 = 10.0;

/// How the predecessors of a process in its slot have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// How many in a row ended too soon or could not be executed.
    pub bad: u32,
    /// How many in a row could not be executed.
    pub failures: u32,
}

impl Chain {
    /// The chain after a process that ran for so many seconds; none when it was stable.
    pub fn after_exit(self, lived: f64) -> Option<Chain> {
        (lived < STABLE).then_some(Chain { bad: self.bad.saturating_add(1), failures: 0 })
    }

    /// The chain after a failure to execute.
    pub fn after_failure(self) -> Chain {
        Chain { bad: self.bad.saturating_add(1), failures: self.failures.saturating_add(1) }
    }

    /// What happened, in words.
    pub fn words(self) -> String {
        let times = |n: u32| if n == 1 { "once".into() } else { format!("{n} times in a row") };
        match self {
            Chain { failures: 0, bad } => {
                format!("a process ended within a second of its start, {}", times(bad))
            }
            Chain { failures, .. } => format!("a process could not be executed, {}", times(failures)),
        }
    }

    /// Seconds until the next attempt.
    pub fn delay(self) -> f64 {
        let doublings = self.bad.saturating_sub(1).min(16);
        (FIRST_DELAY * f64::from(1u32 << doublings)).min(LONGEST_DELAY)
    }
}

/// A slot that waits for its next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// When.
    pub at: Time,
    /// What led to it.
    pub chain: Chain,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_from_a_tenth_to_ten_seconds() {
        let mut chain = Chain::default();
        let mut delays = Vec::new();
        for _ in 0..9 {
            chain = chain.after_exit(0.0).unwrap();
            delays.push(chain.delay());
        }
        assert_eq!(delays, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]);
        assert_eq!(chain.after_exit(1.0), None);
        assert_eq!(chain.words(), "a process ended within a second of its start, 9 times in a row");
        assert_eq!(Chain::default().after_failure().words(), "a process could not be executed, once");
        assert_eq!(Chain { bad: u32::MAX, failures: 0 }.after_failure().delay(), 10.0);
    }
}
