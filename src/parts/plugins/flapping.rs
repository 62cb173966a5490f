//! Flapping: stops a watcher whose processes end again and again, and starts it again after a while.
//!
//! Only deaths that nobody has asked for count, and only of watchers whose processes are replaced; and only of processes
//! that lived no longer than the window: two that end together after a long life are no flapping. The pauses that
//! circus makes before a respawn are left out of the reckoning, since they are not the program's doing. Whoever gives
//! an order to the watcher meanwhile knows better: everything about it is forgotten.

use super::builtin::{Builtin, Input, only};
use super::world::World;
use crate::arbiter::request::Task;
use crate::arbiter::time::Time;
use crate::arbiter::{Level, Published};
use crate::config::builtin::Settings;
use crate::config::respawn_rule::Respawn;
use crate::config::{Names, model, number};
use crate::sorted::Sorted;
use std::collections::VecDeque;

/// The plugin.
pub struct Flapping {
    options: Names,
    watchers: Sorted<String, Record>,
}

/// What is remembered of a watcher.
#[derive(Default)]
struct Record {
    /// The last deaths, on a clock that stands still while none of its processes lives.
    deaths: VecDeque<Time>,
    /// The same of the last death that was looked at.
    last: Option<Time>,
    /// For how many nanoseconds that clock has stood still.
    idle: u64,
    idle_since: Option<Time>,
    tries: i64,
    retry_at: Option<Time>,
}

/// The options that hold for a watcher.
struct Rules {
    attempts: usize,
    window: f64,
    retry_in: f64,
    max_retry: i64,
}

impl Flapping {
    /// The plugin with these options.
    pub fn new(options: &Names) -> Flapping {
        let mut options = options.clone();
        options.remove("active"); // that is about the plugin itself
        Flapping { options, watchers: Sorted::new() }
    }

    /// The rules for a watcher; `None`: it is not looked at.
    fn rules(&self, watcher: &str, world: &dyn World) -> Option<Rules> {
        let config = world.config(watcher)?;
        if config.options.respawn == Respawn::Never || config.options.on_demand {
            return None; // its processes end when they have done their work
        }
        let settings = Settings::new(model::Builtin::Flapping, &self.options).over(&config.free, "flapping.");
        settings.flag("active").then(|| Rules {
            attempts: usize::try_from(settings.whole("attempts")).unwrap_or(0).clamp(1, 1000),
            window: settings.number("window").unwrap_or(1.0),
            retry_in: settings.number("retry_in").unwrap_or(7.0),
            max_retry: settings.whole("max_retry"),
        })
    }

    fn died(&mut self, watcher: &str, (lived, others): (f64, bool), world: &mut dyn World) {
        let now = world.now();
        let Some(rules) = self.rules(watcher, world) else {
            self.watchers.remove(watcher);
            return;
        };
        let counts = lived <= rules.window;
        if counts {
            self.watchers.get_or_insert_with(watcher.into(), Record::default);
        }
        let Some(record) = self.watchers.get_mut(watcher) else { return };
        if record.retry_at.is_some() {
            return; // it is being stopped
        }
        let flaps = counts && record.add(now, &rules);
        if !others {
            record.idle_since = Some(now);
        }
        if flaps {
            record.act(watcher, &rules, world);
        }
    }
}

impl Record {
    /// Notes a death. True when there are too many.
    fn add(&mut self, now: Time, rules: &Rules) -> bool {
        let now = Time(now.0.saturating_sub(self.idle));
        if self.last.is_some_and(|last| now.since(last) > rules.window) {
            self.tries = 0;
        }
        self.last = Some(now);
        self.deaths.push_back(now);
        while self.deaths.len() > rules.attempts {
            self.deaths.pop_front();
        }
        let first = self.deaths.front().copied().unwrap_or(now);
        self.deaths.len() == rules.attempts && now.since(first) <= rules.window
    }

    fn act(&mut self, watcher: &str, rules: &Rules, world: &mut dyn World) {
        self.deaths.clear();
        world.order(Task::Stop(only(watcher)));
        if rules.max_retry >= 0 && self.tries >= rules.max_retry {
            let text =
                format_args!("{watcher}: flapping detected: reached max retry limit, it stays stopped");
            world.log(Level::Error, text);
            self.tries = 0;
            return;
        }
        self.tries += 1;
        self.retry_at = Some(world.now().plus(rules.retry_in));
        let seconds = number::fixed(rules.retry_in, 1);
        let seconds = seconds.strip_suffix(".0").unwrap_or(&seconds);
        let text =
            format_args!("{watcher}: flapping detected: retry in {seconds}s (attempt number {})", self.tries);
        world.log(Level::Warning, text);
    }
}

impl Builtin for Flapping {
    fn handle(&mut self, input: Input<'_>, world: &mut dyn World) {
        let now = world.now();
        match input {
            Input::Event(watcher, what) => match what {
                Published::Reap { pid, .. } => {
                    if let Some(death) = world.death(watcher, *pid) {
                        self.died(watcher, death, world);
                    }
                }
                Published::Spawn { .. } => {
                    if let Some(record) = self.watchers.get_mut(watcher)
                        && let Some(since) = record.idle_since.take()
                    {
                        record.idle = record.idle.saturating_add(now.0.saturating_sub(since.0));
                    }
                }
                // Somebody was quicker.
                Published::Start => {
                    self.watchers.get_mut(watcher).into_iter().for_each(|record| record.retry_at = None);
                }
                Published::Remove => drop(self.watchers.remove(watcher)),
                _ => {}
            },
            Input::Ordered(Some(watcher)) => drop(self.watchers.remove(watcher)),
            Input::Ordered(None) => self.watchers.clear(),
            Input::Due => {
                for (watcher, record) in self.watchers.iter_mut() {
                    if record.retry_at.take_if(|at| *at <= now).is_some() {
                        world.order(Task::Start(only(watcher)));
                    }
                }
            }
            Input::End => {
                for (watcher, _) in self.watchers.iter().filter(|(_, record)| record.retry_at.is_some()) {
                    let text = format_args!("{watcher}: it stays stopped, because the plugin was stopped");
                    world.log(Level::Warning, text);
                }
            }
            _ => {}
        }
        world.wake_at(self.watchers.values().filter_map(|record| record.retry_at).min());
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::tests::{Fake, Play, Wish, orders};
    use super::*;
    use crate::config::WatcherConfig;

    fn play(options: &[(&str, &str)], change: impl FnOnce(&mut WatcherConfig)) -> Play {
        let mut config = WatcherConfig { name: "web".into(), ..WatcherConfig::default() };
        change(&mut config);
        let mut world = Fake::default();
        world.configs.insert("web".into(), config);
        Play::begin(model::Builtin::Flapping, options, world).0
    }

    /// A process lives for so long, ends, and is replaced after a pause.
    fn life(play: &mut Play, seconds: f64, pause: f64) -> Vec<Wish> {
        let mut wishes = play.spawned("web", 7);
        wishes.extend(play.pass(seconds));
        wishes.extend(death(play, seconds, false));
        wishes.extend(play.pass(pause));
        wishes
    }

    /// A process that has lived for so long ends; whether others live on.
    fn death(play: &mut Play, lived: f64, others: bool) -> Vec<Wish> {
        play.died("web", 7, Some((lived, others)))
    }

    fn stop() -> Task {
        Task::Stop(only("web"))
    }

    fn start() -> Task {
        Task::Start(only("web"))
    }

    #[test]
    fn it_stops_what_dies_too_often_and_starts_it_again() {
        let mut play = play(&[], |_| {});
        assert_eq!(life(&mut play, 0.3, 0.1), []);
        let wishes = life(&mut play, 0.3, 6.9);
        assert_eq!(orders(&wishes), [stop()]);
        let text = "web: flapping detected: retry in 7s (attempt number 1)";
        assert!(wishes.contains(&Wish::Log(Level::Warning, text.into())), "{wishes:?}");
        assert_eq!(orders(&play.pass(0.2)), [start()]);
        assert_eq!(play.world.due, None);
    }

    #[test]
    fn it_gives_up_after_max_retry_and_begins_anew_after_that() {
        let mut play = play(&[("max_retry", "2"), ("retry_in", "1.5")], |_| {});
        for _ in 0..2 {
            assert_eq!(life(&mut play, 0.1, 0.1), []);
            assert_eq!(orders(&life(&mut play, 0.1, 2.0)), [stop(), start()]);
        }
        life(&mut play, 0.1, 0.1);
        let wishes = life(&mut play, 0.1, 1000.0);
        assert_eq!(orders(&wishes), [stop()], "it stays stopped");
        assert!(matches!(&wishes[..], [_, Wish::Log(Level::Error, text)] if text.contains("max retry")));
        life(&mut play, 0.1, 0.1);
        assert_eq!(orders(&life(&mut play, 0.1, 2.0)), [stop(), start()], "somebody has started it");
    }

    #[test]
    fn without_a_limit_it_goes_on_for_ever() {
        let mut play = play(&[], |config| drop(config.free.insert("flapping.max_retry".into(), "-1".into())));
        for _ in 0..20 {
            life(&mut play, 0.1, 0.1);
            assert_eq!(orders(&life(&mut play, 0.1, 8.0)), [stop(), start()]);
        }
    }

    #[test]
    fn a_life_that_is_long_enough_makes_a_new_start() {
        let mut play = play(&[("max_retry", "1")], |_| {});
        for _ in 0..5 {
            assert_eq!(life(&mut play, 1.5, 0.0), [], "it lived too long to count");
            assert_eq!(life(&mut play, 0.5, 0.0), []);
            assert_eq!(orders(&life(&mut play, 0.5, 8.0)), [stop(), start()]);
        }
    }

    #[test]
    fn the_pauses_of_circus_do_not_count() {
        let mut play = play(&[("attempts", "6")], |_| {});
        for pause in [0.1, 0.2, 0.4, 0.8, 1.6] {
            assert_eq!(life(&mut play, 0.1, pause), []);
        }
        assert_eq!(orders(&life(&mut play, 0.1, 0.0)), [stop()]);
    }

    #[test]
    fn workers_that_end_together_after_a_long_life_are_no_flapping() {
        let mut play = play(&[], |_| {});
        assert_eq!([death(&mut play, 3.0, true), death(&mut play, 3.0, true)], [[], []]);
        assert_eq!([death(&mut play, 1.1, true), death(&mut play, 9.0, false)], [[], []], "nor all at once");
        assert_eq!(death(&mut play, 0.2, true), []);
        assert_eq!(death(&mut play, 100.0, true), [], "between two short ones, a long one is none");
        assert_eq!(orders(&death(&mut play, 0.3, true)), [stop()]);
    }

    #[test]
    fn one_that_dies_again_and_again_beside_healthy_ones_is_flapping() {
        let mut play = play(&[("attempts", "3")], |_| {});
        for _ in 0..2 {
            play.pass(0.1);
            assert_eq!(death(&mut play, 0.1, true), []);
        }
        play.pass(0.1);
        assert_eq!(orders(&death(&mut play, 0.1, true)), [stop()]);
    }

    #[test]
    fn deaths_that_somebody_asked_for_do_not_count() {
        let mut play = play(&[("attempts", "1")], |_| {});
        assert_eq!(play.died("web", 7, None), []);
        assert_eq!(orders(&life(&mut play, 0.1, 0.0)), [stop()]);
    }

    #[test]
    fn who_orders_a_watcher_knows_better() {
        for input in [Input::Ordered(Some("web")), Input::Ordered(None)] {
            let mut play = play(&[("attempts", "1")], |_| {});
            assert_eq!(orders(&life(&mut play, 0.1, 0.0)), [stop()]);
            play.tell(input);
            assert_eq!(play.pass(1000.0), []);
        }
        for what in [Published::Start, Published::Remove] {
            let mut play = play(&[("attempts", "1")], |_| {});
            life(&mut play, 0.1, 0.0);
            play.event("web", what);
            assert_eq!(play.world.due, None);
        }
    }

    #[test]
    fn it_leaves_alone_what_is_not_replaced_or_not_to_be_looked_at() {
        let changes: [fn(&mut WatcherConfig); 3] = [
            |config| config.options.respawn = Respawn::Never,
            |config| config.options.on_demand = true,
            |config| drop(config.free.insert("flapping.active".into(), "False".into())),
        ];
        for change in changes {
            let mut play = play(&[("attempts", "1")], change);
            assert_eq!(life(&mut play, 0.0, 1.0), []);
        }
    }

    #[test]
    fn a_watcher_may_have_rules_of_its_own() {
        let mut play = play(&[("attempts", "1")], |config| {
            config.free.insert("flapping.attempts".into(), "3".into());
            config.free.insert("flapping.window".into(), "20".into());
        });
        assert_eq!([life(&mut play, 9.0, 1.0), life(&mut play, 9.0, 1.0)], [[], []]);
        assert_eq!(orders(&life(&mut play, 9.0, 0.0)), [stop()]);
    }

    #[test]
    fn at_its_own_end_it_says_what_stays_stopped() {
        let mut play = play(&[("attempts", "1")], |_| {});
        life(&mut play, 0.1, 0.0);
        assert!(
            matches!(&play.tell(Input::End)[..], [Wish::Log(_, text)] if text.starts_with("web: it stays stopped"))
        );
    }
}
