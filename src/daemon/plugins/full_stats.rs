//! FullStats: tells statsd again and again how much the processes of each watcher use.

use super::builtin::{Builtin, Input, Pace, Wish, World};
use super::statsd::{Statsd, decimal, part};
use crate::arbiter::time::Time;
use crate::config::builtin::Settings;

/// The plugin.
pub struct FullStats {
    statsd: Statsd,
    pace: Pace,
}

impl FullStats {
    /// The plugin with these options.
    pub fn new(settings: &Settings<'_>) -> FullStats {
        FullStats { statsd: Statsd::new(settings), pace: Pace::new(settings) }
    }

    fn look(&mut self, world: &mut dyn World, wishes: &mut Vec<Wish>) {
        for (watcher, _) in world.watchers() {
            let pids = world.processes(&watcher).unwrap_or_default();
            let usages: Vec<_> = pids.into_iter().filter_map(|pid| world.usage(pid)).collect();
            let name = format!("_stats.{}", part(&watcher));
            let mut gauge = |what: &str, value: String| {
                self.statsd.gauge(&format!("{name}.{what}"), &value, wishes);
            };
            gauge("watchers_num", usages.len().to_string());
            if usages.is_empty() {
                continue;
            }
            let highest_and_sum = |values: &mut dyn Iterator<Item = f64>| {
                values.fold((0.0, 0.0), |(most, sum), value| (value.max(most), sum + value))
            };
            let mut both = |what: &str, values: &mut dyn Iterator<Item = f64>, whole: bool| {
                let (most, sum) = highest_and_sum(values);
                let text = |value: f64| if whole { (value as u64).to_string() } else { decimal(value) };
                gauge(&format!("{what}_max"), text(most));
                gauge(&format!("{what}_sum"), text(sum));
            };
            // Nothing is known of a process that is seen for the first time.
            both("cpu", &mut usages.iter().filter_map(|usage| usage.cpu), false);
            both("mem_pct", &mut usages.iter().map(|usage| usage.mem), false);
            both("mem", &mut usages.iter().map(|usage| usage.rss as f64), true);
        }
    }
}

impl Builtin for FullStats {
    fn handle(&mut self, now: Time, input: Input<'_>, world: &mut dyn World, wishes: &mut Vec<Wish>) {
        match input {
            Input::Begin => self.pace.wind(now),
            Input::Due => {
                self.pace.wind(now);
                self.look(world, wishes);
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.pace.next()
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::tests::{Fake, Play, sent};
    use super::*;
    use crate::config::model;
    use crate::daemon::usage::Usage;

    #[test]
    fn each_watcher_has_its_gauges() {
        let mut world = Fake::default();
        world.processes.insert("a b".into(), vec![1, 2, 3]);
        world.processes.insert("none".into(), vec![]);
        world.usages.insert(1, Usage { cpu_time: 0.0, cpu: Some(10.25), mem: 1.0, rss: 1000 });
        world.usages.insert(2, Usage { cpu_time: 0.0, cpu: None, mem: 2.5, rss: 3000 });
        let (mut play, wishes) = Play::begin(model::Builtin::FullStats, &[("loop_rate", "5")], world);
        assert_eq!((wishes, play.pass(4.9)), (vec![], vec![]));
        let gauges = [
            "a_b.watchers_num:2",
            "a_b.cpu_max:10.25",
            "a_b.cpu_sum:10.25",
            "a_b.mem_pct_max:2.50",
            "a_b.mem_pct_sum:3.50",
            "a_b.mem_max:3000",
            "a_b.mem_sum:4000",
            "none.watchers_num:0",
        ];
        assert_eq!(sent(&play.pass(0.1)), gauges.map(|text| format!("circus.app.watcher._stats.{text}|g")));
        assert_eq!(sent(&play.pass(10.0)).len(), 2 * gauges.len());
    }
}
