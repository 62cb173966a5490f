//! What is remembered of the simulated lives.

use super::super::history::{Cause, Origin, Restart, What};
use super::*;

impl World {
    /// The changes of a watcher in words, the oldest first.
    pub(super) fn told(&self, name: &str) -> Vec<String> {
        let history = self.arbiter.find(name).expect("a watcher").history();
        let cause = |cause: &Cause| match cause {
            Cause::Course => String::new(),
            Cause::Order(by) => format!(" by {}", by.order),
            other => format!(" by {other:?}"),
        };
        let what = |what: &What| match what {
            What::Status(status) => status.word().to_string(),
            What::Ended { exit, oom, .. } => format!("{exit:?}{}", if *oom { " oom" } else { "" }),
            What::SpawnFailed(why) => format!("failed: {why}"),
            What::NotReloaded(why) => format!("not reloaded: {why}"),
            What::Killed { .. } => "killed".into(),
            What::Survives { .. } => "survives".into(),
            What::TooOld { .. } => "too old".into(),
            What::TooLarge { .. } => "too large".into(),
            What::Ailing { why, .. } => why.to_string(),
            What::Advice(advice) => format!("{advice:?}"),
            What::Reloading | What::Reloaded | What::Ordered => format!("{what:?}"),
        };
        let times = |times: u32| if times > 1 { format!(" x{times}") } else { String::new() };
        history.changes().map(|c| what(&c.what) + &times(c.times) + &cause(&c.cause)).collect()
    }

    fn order_by(&mut self, order: impl Into<Order>) {
        let order = order.into();
        let by = Rc::new(Origin { order: order.what.word(), ..Origin::default() });
        let targets = None;
        self.asked.insert(Ticket(self.next_ticket));
        self.send(Event::Order { ticket: Ticket(self.next_ticket), order, targets, by });
        self.next_ticket += 1;
    }

    fn restarts(&self, name: &str) -> Vec<u32> {
        let history = self.arbiter.find(name).expect("a watcher").history();
        Restart::ALL.iter().map(|(why, _)| history.restarts(*why)).collect()
    }
}

fn all(waiting: bool) -> (Select, bool) {
    (Select::All, waiting)
}

#[test]
fn a_start_a_stop_and_a_restart_are_one_change_each_with_who_ordered_it() {
    let mut world = World::booted(vec![watcher("a", 2)]);
    assert_eq!(world.told("a"), ["active by Boot"]);
    let (who, waiting) = all(false);
    world.order_by(Task::Stop(who).waiting(waiting));
    assert_eq!(world.told("a"), ["active by Boot", "stopping by stop"]);
    world.run(1.0);
    let (who, waiting) = all(false);
    world.order_by(Task::Start(who).waiting(waiting));
    world.run(1.0);
    let (who, waiting) = all(false);
    world.order_by(Task::Restart(who).waiting(waiting));
    world.run(1.0);
    assert_eq!(world.told("a")[1..], ["stopped by stop", "active by start", "active by restart"]);
    assert_eq!(world.restarts("a")[..6], [0, 0, 0, 0, 0, 2]);
    world.send(Event::Terminate);
    assert_eq!(world.told("a")[4..], ["stopping by Signal"]);
}

#[test]
fn deaths_are_counted_and_told_apart() {
    let mut world = World::booted(vec![watcher("a", 1)]);
    world.run(5.0);
    let pid = world.pids("a")[0];
    world.send(Event::OutOfMemory { pid });
    world.kill9(pid);
    world.run(5.0);
    let pid = world.pids("a")[0];
    world.kill9(pid);
    world.scripts.insert("a".into(), Script { lives: Some(2.0), ..GOOD });
    world.run(5.0);
    let pid = world.pids("a")[0];
    world.kill9(pid);
    world.run(7.0);
    let told = world.told("a");
    assert_eq!(told[1..3], ["Signal(9) oom", "Signal(9) x2"]);
    assert!(told[3].starts_with("Code(1) x"), "{told:?}");
    let restarts = world.restarts("a");
    assert_eq!((restarts[1], restarts[2]), (2, 1));
    let exits = &world.arbiter.find("a").unwrap().history().counts().unwrap().exits;
    assert_eq!((exits.get(&-9), exits.get(&1)), (Some(&3), Some(&restarts[0])));
}

#[test]
fn a_reload_and_what_becomes_of_it() {
    let mut world = World::booted(vec![watcher("a", 2)]);
    let reload = || Task::Reload { name: None, graceful: true, sequential: false };
    world.order_by(reload());
    assert_eq!(world.told("a")[1..], ["Reloading by reload"]);
    world.run(1.0);
    assert_eq!(world.told("a")[2..], ["Reloaded"]);
    world.scripts.insert("a".into(), Script { broken: true, ..GOOD });
    world.order_by(reload());
    let told = world.told("a");
    assert!(told[4].starts_with("failed: ") && told[5].starts_with("not reloaded: "), "{told:?}");
    assert_eq!(world.restarts("a")[4], 2, "of the first one only");
    world.order_by(Task::Change { name: "a".into(), by: 0 });
    assert!(world.told("a").last().unwrap().starts_with("Ordered"), "{:?}", world.told("a"));
}

#[test]
fn giving_up_is_told_with_its_reason_until_somebody_stops_it() {
    let mut config = watcher("a", 1);
    config.options.max_retry = 3;
    let mut world = World::new(vec![config]);
    world.scripts.insert("a".into(), Script { broken: true, ..GOOD });
    world.send(Event::Start);
    world.run(0.05);
    let next = world.arbiter.find("a").unwrap().next_attempt();
    assert!(next.is_some_and(|at| at > world.now));
    world.run(20.0);
    let told = world.told("a");
    assert_eq!(told.last().map(String::as_str), Some("stopped by SpawnFailed"), "{told:?}");
    let fault = world.arbiter.find("a").unwrap().fault().unwrap();
    assert!(fault.starts_with("stopped: "), "{fault}");
    let (who, waiting) = all(false);
    world.order_by(Task::Stop(who).waiting(waiting));
    assert_eq!(world.arbiter.find("a").unwrap().fault(), None);
}

#[test]
fn a_failure_that_goes_on_is_said_once_and_its_end_too() {
    let mut world = World::new(vec![watcher("web", 7)]);
    world.scripts.insert("web".into(), Script { broken: true, shortage: true, ..GOOD });
    world.send(Event::Start);
    world.run(60.0);
    let said = |world: &World, what: &str| {
        world.log.iter().filter(|(level, text)| *level > Level::Debug && text.contains(what)).count()
    };
    assert_eq!(said(&world, NO_FILE), 1);
    world.scripts.clear();
    world.run(11.0);
    assert_eq!((world.procs.len(), said(&world, "could be executed again")), (7, 1));
    world.scripts.insert("web".into(), Script { broken: true, ..GOOD });
    let pid = world.pids("web")[0];
    world.kill9(pid);
    world.run(60.0);
    assert_eq!(said(&world, NO_FILE), 2, "it came back");
}

#[test]
fn a_process_that_never_became_its_program_counts_as_one_that_could_not_be_executed() {
    for (shortage, respawn) in [(false, "True"), (false, "on-failure"), (false, "False"), (true, "True")] {
        let mut config = watcher("web", 1);
        config.set("respawn", &Value::Str(respawn.into())).unwrap();
        let mut world = World::new(vec![config]);
        // It has not succeeded, whatever its exit code.
        world.scripts.insert("web".into(), Script { broken: true, late: true, shortage, code: 0, ..GOOD });
        world.send(Event::Start);
        world.run(600.0);
        let told = world.told("web");
        assert!(told[1].starts_with("failed: exec: No such file x"), "{told:?}");
        if shortage {
            assert!(world.spawns.len() > 50 && world.status("web") == "active", "{told:?}");
        } else {
            assert_eq!((world.status("web"), world.spawns.len()), ("stopped", 5));
            assert_eq!(told.last().map(String::as_str), Some("stopped by SpawnFailed"), "{told:?}");
        }
    }
}

#[test]
fn a_hook_that_takes_too_long_is_the_cause_as_one_that_says_no() {
    for script in [(None, Answer::Yes), (Some(0.1), Answer::No)] {
        let mut world = World::new(vec![hooked("a", 1, &["after_start"])]);
        world.hook_scripts.insert(("a".into(), "after_start"), script);
        world.send(Event::Start);
        world.run(60.0);
        assert_eq!(world.told("a"), ["starting by Boot", "stopped by Hook"]);
    }
}

#[test]
fn what_is_to_run_and_does_not_is_a_fault() {
    let mut configs = ["once", "down", "two"].map(|name| watcher(name, 1));
    configs[0].options.respawn = Respawn::Never;
    configs[1].options.autostart = false;
    configs[2].options.numprocesses = 2;
    let mut world = World::new(configs.to_vec());
    world.scripts.insert("once".into(), Script { lives: Some(2.0), ..GOOD });
    let faults = |world: &World| -> Vec<Option<String>> {
        ["once", "down", "two"].iter().map(|name| world.arbiter.find(name).unwrap().fault()).collect()
    };
    world.send(Event::Start);
    assert_eq!(faults(&world), [None, None, None]);
    world.run(3.0);
    assert_eq!((world.status("once"), faults(&world)), ("stopped", vec![None, None, None]));
    world.scripts.insert("two".into(), Script { lives: Some(0.01), ..GOOD });
    let pid = world.pids("two")[0];
    world.kill9(pid);
    world.run(0.05);
    let fault = faults(&world)[2].clone().unwrap();
    assert!(fault.starts_with("active: 1 of 2 processes running; exited within a second"), "{fault}");
}

#[test]
fn a_process_that_has_to_be_killed_or_is_too_old_is_remembered() {
    let mut config = watcher("a", 1);
    config.options.max_age = 5;
    config.options.max_age_variance = 0;
    config.options.graceful_timeout = 2.0;
    let mut world = World::new(vec![config]);
    world.scripts.insert("a".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    world.run(8.0);
    assert_eq!(world.told("a")[1..], ["too old", "killed"]);
    assert_eq!(world.restarts("a")[3], 1);
}

#[test]
fn a_process_that_is_too_large_is_replaced_once_and_before_it_ends_where_sockets_are_shared() {
    for shares in [false, true] {
        let mut config = watcher("a", 2);
        config.options.max_rss = 300 << 20;
        config.options.use_sockets = shares;
        let mut world = World::new(vec![config]);
        world.scripts.insert("a".into(), Script { obeys: Some(2.0), ..GOOD });
        world.send(Event::Start);
        world.run(11.0);
        let before = world.pids("a");
        // The second look comes while it is on its way out.
        for _ in 0..2 {
            world.send(Event::TooLarge { pid: before[0], rss: 512 << 20 });
            world.run(0.5);
        }
        let (spawned, there) = (world.spawns.len(), world.pids("a").len());
        assert_eq!((spawned, there), if shares { (3, 3) } else { (2, 2) }, "{shares}");
        world.run(3.0);
        let after = world.pids("a");
        assert!(after.len() == 2 && !after.contains(&before[0]) && after.contains(&before[1]));
        assert_eq!((world.told("a")[1..].to_vec(), world.spawns.len()), (vec!["too large".to_string()], 3));
        assert_eq!((world.restarts("a")[9], world.restarts("a")[3]), (1, 0));
        world.send(Event::TooLarge { pid: before[0], rss: 512 << 20 });
        world.run(1.0);
        assert_eq!(world.pids("a"), after, "it is gone");
    }
}

#[test]
fn one_that_is_too_large_soon_after_its_start_is_replaced_after_growing_pauses() {
    for shares in [false, true] {
        let mut config = watcher("a", 1);
        config.options.max_rss = 300 << 20;
        config.options.use_sockets = shares;
        let mut world = World::new(vec![config]);
        world.scripts.insert("a".into(), Script { obeys: Some(0.0), ..GOOD });
        world.send(Event::Start);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            world.run(5.0);
            let [pid] = world.pids("a")[..] else { panic!("one process") };
            world.send(Event::TooLarge { pid, rss: 512 << 20 });
            world.run(0.01);
            assert_eq!(world.pids("a"), Vec::<Pid>::new(), "its successor would fare no better");
            let next = world.arbiter.find("a").and_then(Watcher::next_attempt).expect("an attempt");
            pauses.push((next.since(world.now) * 10.0).round() / 10.0);
            world.run(next.since(world.now));
        }
        assert_eq!(pauses, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0], "{shares}");
        world.run(5.0);
        let [pid] = world.pids("a")[..] else { panic!("one process") };
        world.send(Event::TooLarge { pid, rss: 512 << 20 });
        world.run(0.01);
        let failure = world.arbiter.find("a").and_then(Watcher::failure);
        let told = "used more memory than max_rss within 10 s of starting, 10 times in a row";
        assert_eq!(failure.as_deref(), Some(told));
        world.run(25.0);
        let [pid] = world.pids("a")[..] else { panic!("one process") };
        world.send(Event::TooLarge { pid, rss: 512 << 20 });
        world.run(0.01);
        assert_eq!(world.pids("a").len(), 1, "it took its time");
    }
}

#[test]
fn what_goes_into_the_background_is_told_once_for_a_start() {
    let mut world = World::new(vec![watcher("a", 2)]);
    world
        .scripts
        .insert("a".into(), Script { lives: Some(0.1), code: 0, leaves: true, heeds: Some(0.0), ..GOOD });
    world.send(Event::Start);
    world.run(20.0);
    let advised = |world: &World| world.told("a").iter().filter(|told| *told == "Background").count();
    assert_eq!(advised(&world), 1, "{:?}", world.told("a"));
    assert_eq!(world.log.iter().filter(|(_, text)| text.contains("goes into the background")).count(), 1);
    let (who, waiting) = all(false);
    world.order_by(Task::Restart(who).waiting(waiting));
    world.run(20.0);
    assert_eq!(advised(&world), 2, "{:?}", world.told("a"));
    for script in [
        Script { lives: Some(0.1), code: 0, ..GOOD },
        Script { lives: Some(3.0), code: 0, leaves: true, ..GOOD },
    ] {
        let mut world = World::new(vec![watcher("a", 1)]);
        world.scripts.insert("a".into(), script);
        world.send(Event::Start);
        world.run(20.0);
        assert_eq!(advised(&world), 0, "{:?}", world.told("a"));
    }
}

#[test]
fn a_new_process_that_ends_beside_an_old_one_is_told_of() {
    let reload = || Task::Reload { name: None, graceful: true, sequential: false };
    for (lives, code, use_sockets, wanted) in
        [(0.1, 1, false, 1), (0.1, 1, true, 0), (0.1, 0, false, 0), (2.0, 1, false, 0)]
    {
        let mut config = watcher("a", 2);
        config.options.use_sockets = use_sockets;
        let mut world = World::new(vec![config]);
        world.scripts.insert("a".into(), Script { obeys: Some(5.0), ..GOOD });
        world.send(Event::Start);
        world.run(3.0);
        world.scripts.insert("a".into(), Script { lives: Some(lives), code, ..GOOD });
        world.order_by(reload());
        world.run(20.0);
        let told = world.told("a");
        assert_eq!(told.iter().filter(|told| *told == "Port").count(), wanted, "{told:?}");
    }
}
