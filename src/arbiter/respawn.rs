//! When a process that ended, or could not be started, is tried again.
//!
//! A process that lived for the watcher's `respawn_window` is replaced at once. One that ended sooner, or could not be
//! executed, leaves a [`Chain`] behind, and its successor waits: `respawn_delay`, doubling to `respawn_delay_max`. What
//! is configured is kept from being too short ([`Backoff::of`]), so that no program and no configuration can make
//! circus spin.

use super::random::Random;
use super::time::Time;
use crate::config::options::{RESPAWN_DELAY, RESPAWN_DELAY_MAX, RESPAWN_WINDOW};
use crate::config::{WatcherConfig, number};

/// How many respawns a second of one watcher a configuration can ask for, when its processes keep ending too soon.
const MOST_A_SECOND: f64 = 100.0;

/// A process that has more memory than `max_rss` so many seconds after its start, which are two looks, leaves a [`Chain`]
/// behind as well: its successors will hardly fare better.
const SOON_TOO_LARGE: f64 = 10.0;

/// How long the pauses of a watcher are, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    first: f64,
    longest: f64,
    /// How long a process must live for its successor to start at once.
    pub stable: f64,
    /// A part of each pause is left to chance, so that many who fail at once do not try again at once.
    varies: bool,
}

impl Backoff {
    /// What the options of a watcher say. Not shorter than a tenth of a second, nor than what a watcher of many
    /// processes needs to stay below a hundred respawns a second; but that never asks for more than is the default.
    pub fn of(config: &WatcherConfig) -> Backoff {
        let options = &config.options;
        let least = (config.wanted() as f64 / MOST_A_SECOND).max(RESPAWN_DELAY);
        let at_least = |seconds: f64, default: f64| seconds.max(least.min(default));
        let first = options.respawn_delay.map_or(RESPAWN_DELAY, |delay| at_least(delay, RESPAWN_DELAY));
        let longest = match options.respawn_delay_max {
            Some(delay) => at_least(delay, RESPAWN_DELAY_MAX),
            None => RESPAWN_DELAY_MAX.max(first),
        };
        Backoff {
            first: first.min(longest),
            longest,
            stable: options.respawn_window.map_or(RESPAWN_WINDOW, |window| at_least(window, RESPAWN_WINDOW)),
            varies: options.respawn_delay.or(options.respawn_delay_max).is_some(),
        }
    }

    /// Seconds until the next attempt; up to a quarter less by chance, where the pauses are configured.
    pub fn delay(&self, chain: Chain, random: &mut Random) -> f64 {
        let doublings = chain.bad.saturating_sub(1).min(31);
        let delay = (self.first * f64::from(1u32 << doublings)).min(self.longest);
        match self.varies {
            true => (delay - delay * random.up_to(250) as f64 / 1000.0).max(RESPAWN_DELAY),
            false => delay,
        }
    }
}

/// How the predecessors of a process in its slot have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// How many in a row ended too soon or could not be executed.
    pub bad: u32,
    /// How many in a row could not be started.
    pub failures: u32,
    /// How many of these count for max_retry.
    pub charged: u32,
    /// Why the last of these could not.
    pub last: Failure,
}

/// Why a start has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failure {
    /// The process could not be executed.
    #[default]
    Exec,
    /// It could not be executed either, which showed after it had counted as spawned.
    Held,
    /// It has ended before it was ready.
    Ended,
    /// It was not ready in time.
    Late,
    /// It was started, and soon had too much memory.
    Large,
}

impl Chain {
    /// There was none.
    pub(super) const NONE: Chain = Chain { bad: 0, failures: 0, charged: 0, last: Failure::Exec };

    /// The chain after a process that ran for so many seconds; none when it was stable.
    pub fn after_exit(self, lived: f64, backoff: &Backoff) -> Option<Chain> {
        (lived < backoff.stable).then_some(Chain { bad: self.bad.saturating_add(1), ..Chain::default() })
    }

    /// The chain after a process that had too much memory after so many seconds; none when that took its time.
    pub fn after_growth(self, lived: f64) -> Option<Chain> {
        let chain = Chain { bad: self.bad.saturating_add(1), last: Failure::Large, ..Chain::default() };
        (lived < SOON_TOO_LARGE).then_some(chain)
    }

    /// The chain after a failed start, of which a shortage of the machine may be the cause.
    pub fn after_failure(self, last: Failure, shortage: bool) -> Chain {
        Chain {
            bad: self.bad.saturating_add(1),
            failures: self.failures.saturating_add(1),
            charged: self.charged.saturating_add(u32::from(!shortage)),
            last,
        }
    }

    /// What happened, in words.
    pub fn words(self, backoff: &Backoff) -> String {
        let times = |n: u32| if n == 1 { "once".into() } else { format!("{n} times in a row") };
        match self {
            Chain { failures: 0, last: Failure::Large, bad, .. } => {
                let within = number::short(SOON_TOO_LARGE);
                format!("used more memory than max_rss within {within} s of starting, {}", times(bad))
            }
            Chain { failures: 0, bad, .. } => {
                let within = match backoff.stable == RESPAWN_WINDOW {
                    true => "a second".into(),
                    false => number::short(backoff.stable) + " s",
                };
                format!("exited within {within} of starting, {}", times(bad))
            }
            Chain { failures, last, .. } => {
                let what = match last {
                    Failure::Exec | Failure::Held => "could not be executed",
                    Failure::Ended => "ended before it was ready",
                    Failure::Late => "was not ready in time",
                    Failure::Large => "used more memory than max_rss",
                };
                format!("a process {what}, {}", times(failures))
            }
        }
    }
}

/// A slot that waits for its next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// When.
    pub at: Time,
    /// What led to it.
    pub chain: Chain,
    /// The process is one of the generation before, while the new one is on trial.
    pub old: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Value;

    fn backoff(options: &[(&str, f64)], processes: i64) -> Backoff {
        let mut config = WatcherConfig::default();
        for (key, seconds) in options {
            config.set(key, &Value::Float(*seconds)).unwrap();
        }
        config.options.numprocesses = processes;
        Backoff::of(&config)
    }

    fn delays(backoff: &Backoff, count: u32) -> Vec<f64> {
        let mut random = Random::new(1);
        (1..=count).map(|bad| backoff.delay(Chain { bad, ..Chain::default() }, &mut random)).collect()
    }

    #[test]
    fn the_pause_doubles_from_a_tenth_to_ten_seconds() {
        for processes in [1, 5000] {
            let backoff = backoff(&[], processes);
            assert_eq!(delays(&backoff, 9), [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]);
            assert_eq!(Chain::default().after_exit(1.0, &backoff), None);
            let chain = Chain { bad: 8, failures: 3, charged: 3, last: Failure::Late }
                .after_exit(0.9, &backoff)
                .unwrap();
            assert_eq!(chain.words(&backoff), "exited within a second of starting, 9 times in a row");
        }
        let backoff = backoff(&[("respawn_window", 2.5)], 1);
        assert!(
            Chain::default().after_exit(2.4, &backoff).unwrap().words(&backoff).contains("within 2.5 s of")
        );
        assert_eq!(
            Chain::default().after_failure(Failure::Exec, false).words(&backoff),
            "a process could not be executed, once"
        );
        assert_eq!(delays(&backoff, 40).last(), Some(&10.0));
    }

    #[test]
    fn what_is_configured_holds_less_a_part_that_is_left_to_chance() {
        let backoff = backoff(&[("respawn_delay", 3.0), ("respawn_delay_max", 60.0)], 1);
        let wanted = [3.0, 6.0, 12.0, 24.0, 48.0, 60.0, 60.0, 60.0];
        let found = delays(&backoff, 8);
        assert!(
            found.iter().zip(wanted).all(|(found, most)| (most * 0.75..=most).contains(found)),
            "{found:?}"
        );
        assert!(found[5] != found[6] && found[6] != found[7]);
        assert!(delays(&super::Backoff { varies: false, ..backoff }, 40).ends_with(&[60.0]));
    }

    #[test]
    fn no_configuration_is_too_quick() {
        let keys = ["respawn_delay", "respawn_delay_max", "respawn_window"];
        for seconds in [0.0, -5.0, 1e-9] {
            let options = keys.map(|key| (key, seconds));
            let one = backoff(&options, 1);
            assert_eq!((delays(&one, 3), one.stable), (vec![0.1; 3], 0.1));
            let many = backoff(&options, 1000);
            assert!(delays(&many, 20).iter().skip(7).all(|delay| *delay >= 7.5) && many.stable == 1.0);
        }
        let long = backoff(&[("respawn_delay", 30.0)], 1);
        assert!(
            delays(&long, 4).iter().all(|delay| (22.5..=30.0).contains(delay)),
            "the first is the longest"
        );
        let contrary = backoff(&[("respawn_delay", 30.0), ("respawn_delay_max", 5.0)], 1);
        assert!(delays(&contrary, 4).iter().all(|delay| *delay <= 5.0));
    }
}
