//! Watchers with `ready`, `health` and `watchdog` in the simulated world.

use super::super::history::Restart;
use super::super::watcher::Watcher;
use super::*;

impl World {
    /// Processes say of themselves what is due.
    pub(super) fn let_speak(&mut self) {
        let due = |proc: &Proc| !proc.zombie && proc.speaks.is_some_and(|(at, _)| at <= self.now);
        let due: Vec<Pid> = self.procs.iter().filter(|(_, proc)| due(proc)).map(|(pid, _)| *pid).collect();
        for pid in due {
            let Some(proc) = self.procs.get_mut(&pid) else { continue };
            let Some((_, notice)) = proc.speaks.take() else { continue };
            proc.speaks = proc.script.beats.map(|s| (self.now.plus(s), Notice::Alive));
            let owner = self.arbiter.owner(pid).and_then(|(id, _)| self.arbiter.watcher(id));
            let ready = owner.and_then(|watcher| watcher.making().options.ready.as_deref());
            if notice != Notice::Ready || ready == Some("notify") {
                self.send(Event::Noticed { pid, notice });
            }
        }
    }

    fn restarts_for(&self, name: &str, why: Restart) -> u32 {
        self.arbiter.find(name).expect("a watcher").history().restarts(why)
    }

    fn said(&self, text: &str) -> usize {
        self.log.iter().filter(|(_, line)| line.contains(text)).count()
    }

    fn fault(&self, name: &str) -> Option<String> {
        self.arbiter.find(name).expect("a watcher").fault()
    }
}

/// What must hold at all times.
pub(super) fn check(watcher: &Watcher) {
    let unready = watcher.processes().filter(|p| p.runs() && !p.is_ready()).count();
    assert_eq!(watcher.ready() + unready, watcher.processes.running(), "{}", watcher.config.name);
    if matches!(watcher.run().reload, Some(Reload::Draining)) {
        let waits = |p: &&super::super::process::Process| p.replaces().is_some();
        assert_eq!(watcher.processes().filter(waits).count(), 0, "a successor in a reload");
    }
}

pub(super) fn random_options(config: &mut WatcherConfig, dice: &mut Dice) {
    let options = &mut config.options;
    options.ready = match dice.roll(6) {
        0 => Some("notify".into()),
        1 => Some("exec:/ready".into()),
        2 => Some("after:0.7".into()),
        _ => None,
    };
    options.ready_timeout = (dice.roll(3) > 0).then(|| dice.roll(4) as f64);
    options.health = (dice.roll(4) == 0).then(|| "exec:/health".into());
    options.health_interval = (dice.roll(3) > 0).then(|| dice.roll(3) as f64);
    options.health_timeout = (dice.roll(3) > 0).then(|| dice.roll(2) as f64);
    options.health_retries = (dice.roll(3) > 0).then(|| dice.roll(4) as i64);
    options.watchdog = (dice.roll(4) == 0).then(|| dice.roll(3) as f64);
}

pub(super) fn random_option(dice: &mut Dice) -> (String, Value) {
    let (key, value) = match dice.roll(5) {
        0 => ("ready", Value::Str(["notify", "exec:/ready", "after:1"][dice.roll(3) as usize].into())),
        1 => ("health", Value::Str("exec:/health".into())),
        2 => ("health_interval", Value::Float(dice.roll(3) as f64)),
        3 => ("watchdog", Value::Float(dice.roll(3) as f64)),
        _ => ("ready_timeout", Value::Float(dice.roll(3) as f64)),
    };
    (key.into(), value)
}

fn with(name: &str, numprocesses: i64, change: impl FnOnce(&mut WatcherConfig)) -> WatcherConfig {
    let mut config = watcher(name, numprocesses);
    change(&mut config);
    config
}

/// Says READY=1.
fn notifying(name: &str, numprocesses: i64) -> WatcherConfig {
    with(name, numprocesses, |c| c.options.ready = Some("notify".into()))
}

fn scripted(config: WatcherConfig, script: Script) -> World {
    let name = config.name.clone();
    let mut world = World::new(vec![config]);
    world.scripts.insert(name, script);
    world.send(Event::Start);
    world
}

fn start(world: &mut World, name: &str) -> Ticket {
    world.order(Task::Start(only(name)).waiting(true))
}

fn reload(world: &mut World, sequential: bool) -> Ticket {
    world.order(Task::Reload { name: Some("web".into()), graceful: true, sequential }.waiting(true))
}

#[test]
fn a_watcher_is_active_when_all_its_processes_are_ready() {
    let mut world = scripted(notifying("web", 2), Script { ready: Some(2.0), ..GOOD });
    let ticket = start(&mut world, "web");
    world.run(1.9);
    assert_eq!((world.status("web"), world.pids("web").len()), ("starting", 2));
    assert_eq!((world.replies.get(&ticket), world.arbiter.deadline().is_some()), (None, true));
    assert_eq!(world.fault("web").as_deref(), Some("starting: 0 of 2 processes are ready"));
    world.run(0.2);
    assert_eq!((world.status("web"), world.fault("web")), ("active", None));
    assert!(matches!(&world.replies[&ticket], Reply::Info { .. }));
    let pids = world.pids("web");
    assert!(pids.iter().all(|pid| world.published.contains(&("web".into(), Published::Ready { pid: *pid }))));
    // One that comes later leaves the watcher active, but it does not run as it should until it is ready.
    world.kill9(pids[0]);
    assert_eq!(world.fault("web").as_deref(), Some("active: 1 of 2 processes are ready"));
    assert_eq!(world.status("web"), "active");
    world.run(3.0);
    assert_eq!((world.fault("web"), world.arbiter.deadline()), (None, None));
}

#[test]
fn after_seconds_and_questions_make_ready_too() {
    let config = with("web", 1, |c| c.options.ready = Some("after:3".into()));
    let mut world = World::booted(vec![config]);
    world.run(2.9);
    assert_eq!(world.status("web"), "starting");
    world.run(0.2);
    assert_eq!(world.status("web"), "active");

    let config = with("web", 1, |c| c.options.ready = Some("tcp:127.0.0.1:80".into()));
    let mut world = World::new(vec![config]);
    let refused = || (Some(0.0), Answer::Failed("Connection refused".into()));
    world.hook_scripts.insert(("web".into(), "ready"), refused());
    world.send(Event::Start);
    world.run(10.0);
    assert_eq!(world.status("web"), "starting");
    assert!((8..=15).contains(&world.called.len()), "asked {} times", world.called.len());
    world.hook_scripts.clear();
    world.run(1.1);
    assert_eq!((world.status("web"), world.arbiter.deadline()), ("active", None));
    assert_eq!(world.said("Connection refused"), 0);
}

fn set(world: &mut World, key: &str, value: Value) {
    let options = vec![(key.into(), value)];
    let ticket = world.order(Task::Edit(Edit::Set { name: "web".into(), options }));
    assert!(!matches!(world.replies[&ticket], Reply::Error { .. }), "{key}");
}

#[test]
fn options_that_are_set_hold_for_processes_that_are_there() {
    for (key, value) in [
        ("ready", Value::Str("after:3".into())),
        ("ready", Value::Str("exec:/ready".into())),
        ("ready_timeout", Value::Float(3.0)),
    ] {
        let mut config = notifying("web", 1);
        config.options.ready_timeout = Some(0.0);
        let mut world = scripted(config, Script { ready: None, ..GOOD });
        world.run(2.0);
        assert_eq!((world.status("web"), world.arbiter.deadline()), ("starting", None));
        set(&mut world, key, value);
        world.run(1.5);
        let (status, late) = if key == "ready" { ("active", 0) } else { ("starting", 1) };
        assert_eq!((world.status("web"), world.restarts_for("web", Restart::Unready)), (status, late));
    }
    let config = with("web", 1, |c| {
        c.options.health = Some("exec:/health".into());
        c.options.health_interval = Some(1000.0);
    });
    let mut world = World::booted(vec![config]);
    world.run(5.0);
    assert!(world.called.is_empty());
    set(&mut world, "health_interval", Value::Float(2.0));
    world.run(5.0);
    assert_eq!(world.called.len(), 2);
}

#[test]
fn one_that_is_not_ready_in_time_is_replaced_until_max_retry() {
    let config = with("web", 1, |c| {
        c.options.ready = Some("notify".into());
        c.options.ready_timeout = Some(2.0);
        c.options.max_retry = 3;
    });
    let mut world = scripted(config, Script { ready: None, ..GOOD });
    let ticket = start(&mut world, "web");
    world.run(2.5);
    assert!(
        matches!(&world.replies[&ticket], Reply::Error { errno: Errno::Failed, .. }),
        "{:?}",
        world.replies[&ticket]
    );
    assert_eq!(world.status("web"), "starting");
    world.run(10.0);
    assert_eq!((world.status("web"), world.spawns.len()), ("stopped", 3));
    assert_eq!(world.fault("web").as_deref(), Some("stopped: a process was not ready in time"));
    assert_eq!(world.restarts_for("web", Restart::Unready), 3);
    assert_eq!(world.said("was not ready within 2 s; it is stopped"), 3);
    assert_eq!(world.said("given up after 3 failed starts"), 1);
}

#[test]
fn one_that_ends_before_it_is_ready_has_not_started() {
    let config = with("web", 1, |c| {
        c.options.ready = Some("notify".into());
        c.options.max_retry = 4;
    });
    let mut world = scripted(config, Script { ready: None, lives: Some(1.5), ..GOOD });
    let ticket = start(&mut world, "web");
    world.run(30.0);
    assert_eq!((world.status("web"), world.spawns.len()), ("stopped", 4));
    let Reply::Error { reason, .. } = &world.replies[&ticket] else { panic!("{:?}", world.replies[&ticket]) };
    assert!(reason.contains("a process exited with code 1 before it was ready"), "{reason}");
}

#[test]
fn a_reload_keeps_the_old_processes_until_the_new_ones_are_ready() {
    for sequential in [false, true] {
        let mut world = scripted(notifying("web", 2), Script { ready: Some(1.0), ..GOOD });
        world.run(3.0);
        let old = world.pids("web");
        let ticket = reload(&mut world, sequential);
        world.run(0.9);
        let kept = old.iter().filter(|pid| world.pids("web").contains(pid)).count();
        assert_eq!(kept, if sequential { 1 } else { 2 });
        assert_eq!((world.replies.get(&ticket), world.fault("web")), (None, None));
        world.run(3.0);
        assert!(world.pids("web").len() == 2 && world.pids("web").iter().all(|pid| !old.contains(pid)));
        assert!(matches!(&world.replies[&ticket], Reply::Info { .. }), "{:?}", world.replies[&ticket]);
    }
}

#[test]
fn a_reload_whose_new_processes_are_not_ready_keeps_the_old_ones() {
    for script in [Script { ready: None, ..GOOD }, Script { ready: None, lives: Some(0.5), ..GOOD }] {
        let config = with("web", 2, |c| {
            c.options.ready = Some("notify".into());
            c.options.ready_timeout = Some(3.0);
        });
        let mut world = World::booted(vec![config]);
        world.run(1.0);
        let old = world.pids("web");
        world.scripts.insert("web".into(), script);
        let ticket = reload(&mut world, false);
        world.run(10.0);
        assert_eq!((world.pids("web"), world.status("web")), (old, "active"));
        let Reply::Error { reason, .. } = &world.replies[&ticket] else { panic!("it was no success") };
        assert!(reason.contains("was not reloaded: ") && reason.contains("ready"), "{reason}");
        assert_eq!(world.spawns.len(), 4, "nothing is tried again");
    }
}

#[test]
fn a_reload_does_not_wait_for_an_old_process_to_be_ready() {
    for sequential in [false, true] {
        let config = with("web", 2, |c| {
            c.options.ready = Some("notify".into());
            c.options.ready_timeout = Some(0.0);
        });
        let mut world = scripted(config, Script { ready: Some(1.0), ..GOOD });
        world.run(5.0);
        world.scripts.insert("web".into(), Script { ready: None, ..GOOD });
        let pid = world.pids("web")[0];
        world.kill9(pid);
        world.run(1.0);
        let old = world.pids("web");
        world.scripts.insert("web".into(), Script { ready: Some(1.0), ..GOOD });
        let ticket = reload(&mut world, sequential);
        world.run(20.0);
        assert!(matches!(world.replies.get(&ticket), Some(Reply::Info { .. })), "sequential: {sequential}");
        assert!(world.pids("web").len() == 2 && world.pids("web").iter().all(|pid| !old.contains(pid)));
        assert_eq!((world.status("web"), world.fault("web")), ("active", None));
    }
}

#[test]
fn a_sequential_reload_stops_at_the_first_that_is_not_ready() {
    let config = with("web", 3, |c| {
        c.options.ready = Some("notify".into());
        c.options.ready_timeout = Some(3.0);
    });
    let mut world = World::booted(vec![config]);
    world.run(1.0);
    let old = world.pids("web");
    world.scripts.insert("web".into(), Script { ready: None, ..GOOD });
    let ticket = reload(&mut world, true);
    world.run(8.0);
    let kept = old.iter().filter(|pid| world.pids("web").contains(pid)).count();
    assert_eq!(kept, 2);
    assert!(matches!(&world.replies[&ticket], Reply::Error { .. }));
}

#[test]
fn max_age_ends_the_old_process_when_its_successor_is_ready() {
    let config = with("web", 1, |c| {
        c.options.ready = Some("notify".into());
        c.options.ready_timeout = Some(5.0);
        c.options.use_sockets = true;
        (c.options.max_age, c.options.max_age_variance) = (20, 0);
    });
    let mut world = scripted(config, Script { ready: Some(2.0), ..GOOD });
    world.run(21.0);
    assert_eq!(world.pids("web").len(), 2, "the old one waits for the new one");
    world.run(2.0);
    assert_eq!(world.pids("web").len(), 1);
    world.scripts.insert("web".into(), Script { ready: None, ..GOOD });
    let old = world.pids("web");
    world.run(22.0);
    assert_eq!(world.pids("web").len(), 2);
    world.run(3.0);
    assert_eq!(world.pids("web"), old, "its successor was not ready, so it stays");
    assert_eq!(world.status("web"), "active");
}

#[test]
fn boot_waits_for_readiness_where_the_priority_says_so() {
    let slow = |name: &str, priority| {
        let mut config = notifying(name, 1);
        config.options.priority = priority;
        config
    };
    let mut world = World::new(vec![slow("a", 5), slow("b", 5), slow("c", 0)]);
    for name in ["a", "b"] {
        world.scripts.insert(name.into(), Script { ready: Some(2.0), ..GOOD });
    }
    world.send(Event::Start);
    let statuses = |world: &World| ["a", "b", "c"].map(|name| world.status(name));
    assert_eq!(statuses(&world), ["starting", "starting", "stopped"]);
    world.run(2.1);
    assert_eq!(statuses(&world), ["active"; 3]);
}

#[test]
fn health_ends_a_process_after_so_many_failures_in_a_row() {
    let config = with("web", 1, |c| {
        c.options.health = Some("http://localhost/".into());
        c.options.health_interval = Some(5.0);
        c.options.health_retries = Some(3);
    });
    let mut world = World::booted(vec![config]);
    let pid = world.pids("web")[0];
    let down = || (Some(0.1), Answer::Failed("the status is 503".into()));
    world.run(11.0);
    assert_eq!(world.called.len(), 2);
    world.hook_scripts.insert(("web".into(), "health"), down());
    world.run(10.0);
    assert_eq!((world.pids("web"), world.said("has failed its health probe (")), (vec![pid], 2));
    world.hook_scripts.clear();
    world.run(5.0);
    assert_eq!(world.said("answers again"), 1);
    world.hook_scripts.insert(("web".into(), "health"), down());
    world.run(15.5);
    assert_ne!(world.pids("web"), [pid]);
    assert_eq!(world.restarts_for("web", Restart::Health), 1);
    assert_eq!(
        world.said("has failed its health probe 3 times in a row: the status is 503; it is stopped"),
        1
    );
    let reason = "has failed its health probe 3 times in a row: the status is 503".to_string();
    assert!(world.published.contains(&("web".into(), Published::Unhealthy { pid, reason })));
}

#[test]
fn a_question_that_is_not_answered_counts_as_a_failure() {
    let config = with("web", 1, |c| {
        c.options.health = Some("exec:/health".into());
        c.options.health_interval = Some(1.0);
        c.options.health_timeout = Some(2.0);
        c.options.health_retries = Some(1);
        c.options.respawn = Respawn::OnFailure;
        c.options.success_signals = Some("TERM".into());
    });
    let mut world = World::new(vec![config]);
    world.hook_scripts.insert(("web".into(), "health"), (None, Answer::Yes));
    world.send(Event::Start);
    world.run(2.9);
    assert_eq!(world.spawns.len(), 1);
    world.run(0.3);
    assert_eq!(world.said("has failed its health probe: no answer in time"), 1);
    assert_eq!((world.spawns.len(), world.status("web")), (2, "active"), "it was no success");
}

#[test]
fn a_question_that_circus_is_too_short_of_something_to_ask_is_no_failure() {
    let config = with("web", 1, |c| {
        c.options.ready = Some("exec:/ready".into());
        c.options.ready_timeout = Some(2.0);
        c.options.health = Some("exec:/health".into());
        c.options.health_interval = Some(10.0);
        c.options.health_retries = Some(1);
    });
    let mut world = World::new(vec![config]);
    let never = (None, Answer::Yes);
    world.hook_scripts.insert(("web".into(), "ready"), never.clone());
    world.hook_scripts.insert(("web".into(), "health"), never);
    world.send(Event::Start);
    for _ in 0..10 {
        world.run(1.1);
        assert_eq!(world.hooks.len(), 1, "it is asked again, and not at once");
        world.delay_hooks();
    }
    assert_eq!((world.spawns.len(), world.status("web")), (1, "starting"));
    world.hook_scripts.remove(&("web".into(), "ready"));
    world.run(11.5);
    for _ in 0..10 {
        assert_eq!((world.hooks.len(), world.status("web")), (1, "active"));
        world.delay_hooks();
        world.run(1.1);
    }
    assert_eq!((world.spawns.len(), world.said("has failed")), (1, 0));
    world.run(5.0);
    assert_eq!(world.said("has failed its health probe: no answer in time"), 1, "now it is asked");
}

#[test]
fn health_begins_with_a_set_and_ends_with_another() {
    let mut world = World::booted(vec![watcher("web", 2)]);
    let set = |text: &str| {
        Task::Edit(Edit::Set {
            name: "web".into(),
            options: vec![("health".into(), Value::Str(text.into()))],
        })
    };
    world.order(set("exec:/health"));
    world.run(10.5);
    assert_eq!(world.called.len(), 2);
    world.order(Task::Stop(Select::All));
    world.run(1.0);
    assert_eq!(world.status("web"), "stopped");
}

#[test]
fn nothing_ends_again_and_again_without_a_pause() {
    let config = with("web", 2, |c| {
        c.options.health = Some("exec:/health".into());
        c.options.health_interval = Some(0.0);
        c.options.health_retries = Some(0);
        c.options.watchdog = Some(0.001);
        c.options.ready_timeout = Some(0.001);
    });
    let mut world = World::new(vec![config]);
    world.hook_scripts.insert(("web".into(), "health"), (Some(0.0), Answer::No));
    world.send(Event::Start);
    world.run(60.0);
    assert!(world.spawns.len() <= 30, "{} spawns in a minute", world.spawns.len());
}

#[test]
fn the_watchdog_ends_a_process_that_is_silent() {
    let config = with("web", 1, |c| {
        c.options.watchdog = Some(3.0);
        c.options.ready = Some("notify".into());
    });
    let mut world = scripted(config, Script { ready: Some(10.0), beats: Some(2.0), ..GOOD });
    world.run(60.0);
    let pid = world.pids("web")[0];
    assert_eq!((world.spawns.len(), world.status("web")), (1, "active"), "it speaks often enough");
    world.procs.get_mut(&pid).unwrap().speaks = None;
    world.run(3.5);
    assert_eq!(world.signals.first(), Some(&(pid, 6)));
    assert_eq!(world.restarts_for("web", Restart::Watchdog), 1);
    assert_eq!(world.said("has not sent WATCHDOG=1 for 3 s; it is stopped"), 1);
    let pid = world.pids("web")[0];
    world.send(Event::Noticed { pid, notice: Notice::Trigger });
    assert!(world.signals.contains(&(pid, 6)));
}

#[test]
fn a_stop_overtakes_questions() {
    let config = with("web", 2, |c| c.options.ready = Some("exec:/ready".into()));
    let mut world = World::new(vec![config]);
    world.hook_scripts.insert(("web".into(), "ready"), (None, Answer::Yes));
    world.send(Event::Start);
    let started = start(&mut world, "web");
    world.run(1.0);
    assert_eq!(world.hooks.len(), 2);
    let stopped = world.order(Task::Stop(only("web")).waiting(true));
    world.run(0.1);
    assert_eq!((world.hooks.len(), &world.replies[&stopped]), (0, &Reply::Stopped));
    assert!(matches!(&world.replies[&started], Reply::Error { .. }));
    world.answer_late(&Answer::Yes);
}

#[test]
fn nobody_waits_for_what_is_not_wanted_any_more() {
    let config = with("web", 2, |c| {
        c.options.ready = Some("notify".into());
        c.options.ready_timeout = Some(0.0);
    });
    let mut world = scripted(config, Script { ready: None, ..GOOD });
    world.run(1000.0);
    assert_eq!((world.status("web"), world.arbiter.deadline()), ("starting", None));
    let options = vec![("ready".to_string(), Value::Str(String::new()))];
    world.order(Task::Edit(Edit::Set { name: "web".into(), options }));
    assert_eq!(world.status("web"), "active");
}
