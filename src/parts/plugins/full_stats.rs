//! FullStats: tells statsd again and again how much the processes of each watcher use.

use super::builtin::{Builtin, Input};
use super::statsd::{Statsd, part};
use super::world::World;
use crate::config::number;

/// The plugin.
pub struct FullStats(pub Statsd);

impl Builtin for FullStats {
    fn handle(&mut self, input: Input<'_>, world: &mut dyn World) {
        if !matches!(input, Input::Due) {
            return;
        }
        for watcher in world.watchers() {
            let mut count = 0u32;
            let mut cpu = Series::default();
            let (mut mem_pct, mut mem) = (cpu, cpu);
            for pid in world.processes(&watcher).unwrap_or_default() {
                let Some(usage) = world.usage(pid) else { continue };
                count += 1;
                // Nothing is known of a process that is seen for the first time.
                cpu.add(usage.cpu.unwrap_or(0.0));
                mem_pct.add(usage.mem);
                mem.add(usage.rss as f64);
            }
            let watcher = part(&watcher);
            let mut gauge = |what: &str, value: f64, digits: u32| {
                let value = number::fixed(value, digits);
                self.0.gauge(format_args!("_stats.{watcher}.{what}"), &value, world);
            };
            gauge("watchers_num", f64::from(count), 0);
            if count == 0 {
                continue;
            }
            gauge("cpu_max", cpu.most, 2);
            gauge("cpu_sum", cpu.sum, 2);
            gauge("mem_pct_max", mem_pct.most, 2);
            gauge("mem_pct_sum", mem_pct.sum, 2);
            gauge("mem_max", mem.most, 0);
            gauge("mem_sum", mem.sum, 0);
        }
    }
}

/// The highest of some values, and their sum.
#[derive(Clone, Copy, Default)]
struct Series {
    most: f64,
    sum: f64,
}

impl Series {
    fn add(&mut self, value: f64) {
        self.most = self.most.max(value);
        self.sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::tests::{Fake, Play, sent};

    use crate::config::model;
    use crate::views::samples::Usage;

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
