//! What is left of the group of a process, and processes that nothing ends.

use super::*;

const LEAVES: Script = Script { leaves: true, heeds: Some(1.0), ..GOOD };

/// A watcher `web` whose processes do this.
fn web(numprocesses: i64, script: Script, change: impl FnOnce(&mut WatcherConfig)) -> World {
    let mut config = watcher("web", numprocesses);
    change(&mut config);
    let mut world = World::new(vec![config]);
    world.scripts.insert("web".into(), script);
    world.send(Event::Start);
    world.run(2.0);
    world
}

fn reload(world: &mut World, sequential: bool) -> Ticket {
    world.order(Task::Reload { name: Some("web".into()), graceful: true, sequential }.waiting(true))
}

fn stop(world: &mut World) -> Ticket {
    world.order(Task::Stop(only("web")).waiting(true))
}

fn fault(world: &World) -> Option<String> {
    world.arbiter.find("web").and_then(|watcher| watcher.fault())
}

/// Which signals have gone to what was left of the group of a process.
fn asked(world: &World, pgid: Pid) -> Vec<i32> {
    let told = world.told.iter().filter(|(whom, pid, _)| (*whom, *pid) == ("group", pgid));
    told.map(|(_, _, signum)| *signum).collect()
}

#[test]
fn what_a_crash_leaves_is_ended_before_the_successor_starts() {
    for (heeds, after) in [(Some(1.0), 1.0), (None, 5.0)] {
        let mut world = web(1, Script { heeds, ..LEAVES }, |_| {});
        world.kill9(100);
        assert_eq!((asked(&world, 100), world.pids("web")), (vec![15], vec![]), "asked before it is reaped");
        let why = "active: 0 of 1 processes running; what process 100 has left in its group is stopped first";
        assert_eq!(fault(&world).as_deref(), Some(why));
        let watcher = world.arbiter.find("web").unwrap();
        assert_eq!(watcher.next_kill(), Some(world.now.plus(5.0)));
        world.run(after - 0.1);
        assert!(world.pids("web").is_empty());
        world.run(0.2);
        assert_eq!((world.pids("web"), fault(&world), world.groups.contains(&100)), (vec![101], None, false));
    }
}

#[test]
fn a_group_that_is_empty_does_not_hold_up_the_successor() {
    let mut world = web(1, GOOD, |_| {});
    let before = world.now;
    world.kill9(100);
    assert_eq!((world.pids("web"), world.spawns.last().unwrap().0), (vec![101], before));
}

#[test]
fn kill_mode_process_leaves_the_group_alone_and_waits_for_nobody() {
    let mut world = web(1, LEAVES, |c| c.options.kill_mode = "process".into());
    world.kill9(100);
    assert_eq!((world.pids("web"), asked(&world, 100)), (vec![101], vec![]));
}

#[test]
fn only_the_slot_of_the_process_that_ended_waits() {
    let mut world = web(3, LEAVES, |_| {});
    world.kill9(100);
    world.kill9(101);
    assert_eq!(world.pids("web"), [102]);
    world.order(Task::Change { name: "web".into(), by: 1 });
    assert_eq!(world.pids("web").len(), 2, "a place that is new is not theirs");
    world.order(Task::Change { name: "web".into(), by: -2 });
    world.run(0.1);
    assert_eq!(world.pids("web").len(), 2, "those that wait go first");
    world.run(10.0);
    assert_eq!((world.pids("web").len(), world.groups.len()), (2, 2));
}

#[test]
fn a_pause_runs_while_the_group_is_ended() {
    let world = web(1, Script { lives: Some(0.5), heeds: Some(0.3), ..LEAVES }, |_| {});
    let at: Vec<f64> = world.spawns.windows(2).map(|w| w[1].0.since(w[0].0)).collect();
    // The pauses are 0.1, 0.2, 0.4: the first two are over when the group is empty.
    assert!(at.iter().zip([0.8, 0.8]).all(|(found, wanted)| (found - wanted).abs() < 0.01), "{at:?}");
}

#[test]
fn whoever_is_replaced_one_by_one_waits_for_the_group_before() {
    let sequential = |world: &mut World| {
        reload(world, true);
    };
    let aged = |world: &mut World| world.run(8.1);
    let killed = |world: &mut World| {
        let (name, pid) = ("web".into(), Some(100));
        let kill = Task::Kill { name, pid, signum: None, graceful_timeout: None };
        world.order(kill);
    };
    type Act<'a> = &'a dyn Fn(&mut World);
    for (what, singleton, act) in [
        ("sequential reload", false, &sequential as Act),
        ("reload of a singleton", true, &sequential),
        ("max_age", false, &aged),
        ("kill", true, &killed),
    ] {
        let mut world = web(1, LEAVES, |c| {
            c.options.singleton = singleton;
            c.options.max_age = if what == "max_age" { 10 } else { 0 };
            c.options.max_age_variance = 0;
        });
        act(&mut world);
        world.run(0.1);
        assert_eq!((world.pids("web"), world.groups.contains(&100)), (vec![], true), "{what}");
        world.run(1.1);
        assert_eq!((world.pids("web"), world.groups.contains(&100)), (vec![101], false), "{what}");
    }
}

#[test]
fn a_sequential_reload_goes_from_group_to_group_and_a_graceful_one_waits_for_none() {
    let mut world = web(3, LEAVES, |_| {});
    let ticket = reload(&mut world, true);
    for n in 1..=3 {
        world.run(0.5);
        assert_eq!((world.pids("web").len(), world.spawns.len()), (2, 2 + n));
        world.run(0.55);
    }
    assert!(matches!(world.replies[&ticket], Reply::Info { .. }));
    let ticket = reload(&mut world, false);
    assert_eq!(world.pids("web").len(), 6);
    world.kill9(world.pids("web")[0]);
    world.run(0.1);
    assert_eq!(world.pids("web").len(), 3);
    assert!(matches!(world.replies[&ticket], Reply::Info { .. }));
    world.run(5.0);
    assert_eq!(world.pids("web").len(), 3);
}

#[test]
fn a_crash_during_a_reload_that_fails_waits_for_the_group_too() {
    let mut world = web(2, LEAVES, |c| c.options.ready = Some("notify".into()));
    world.scripts.insert("web".into(), Script { ready: None, ..LEAVES });
    reload(&mut world, false);
    world.kill9(100);
    world.scripts.insert("web".into(), Script { broken: true, ..GOOD });
    world.kill9(*world.pids("web").last().unwrap());
    world.run(0.5);
    assert_eq!(world.pids("web"), [101], "the new ones have gone");
    world.scripts.clear();
    world.run(2.0);
    assert_eq!(world.pids("web").len(), 2);
}

#[test]
fn a_stop_overtakes_what_waits_for_a_group() {
    let mut world = web(1, LEAVES, |_| {});
    world.kill9(100);
    let ticket = stop(&mut world);
    world.run(0.9);
    assert_eq!((world.status("web"), asked(&world, 100)), ("stopping", vec![15]), "not asked again");
    world.run(0.2);
    assert_eq!((&world.replies[&ticket], world.spawns.len()), (&Reply::Stopped, 1));
}

/// The launcher has a handler: what it leaves may have had the signal from it.
#[test]
fn what_a_launcher_may_have_told_already_is_given_time_before_it_is_asked() {
    for (ends, told) in [(Exit::Code(0), vec![]), (Exit::Signal(9), vec![]), (Exit::Signal(15), vec![15])] {
        let mut world = web(1, Script { obeys: None, ..LEAVES }, |_| {});
        stop(&mut world);
        world.procs.get_mut(&100).unwrap().ends = Some((world.now, ends));
        world.run(2.4);
        assert_eq!(asked(&world, 100), told, "{ends:?}");
        world.run(0.2);
        assert_eq!(asked(&world, 100), [15], "nobody is killed unasked");
        world.run(1.0);
        assert_eq!((world.status("web"), world.groups.len()), ("stopped", 0));
    }
    // It has ended by itself meanwhile.
    let mut world = web(1, Script { obeys: None, ..LEAVES }, |c| c.options.graceful_timeout = 1000.0);
    stop(&mut world);
    world.procs.get_mut(&100).unwrap().ends = Some((world.now, Exit::Code(0)));
    world.run(3.0);
    world.groups.clear();
    world.send(Event::GroupEmpty { pgid: 100 });
    assert_eq!((world.status("web"), asked(&world, 100)), ("stopped", vec![]));
}

#[test]
fn a_process_that_is_being_stopped_is_not_asked_again() {
    let mut world = web(1, Script { obeys: None, ..GOOD }, |_| {});
    stop(&mut world);
    let kill =
        |timeout| Task::Kill { name: "web".into(), pid: None, signum: None, graceful_timeout: Some(timeout) };
    world.order(kill(100.0));
    world.order(kill(2.0));
    world.run(1.9);
    assert_eq!(world.signals, [(100, 15)]);
    world.run(0.2);
    assert_eq!(world.signals[1], (100, 9), "it has less time");
}

const DEAD_DISK: Script = Script { obeys: None, immortal: true, ..GOOD };

#[test]
fn a_process_that_sigkill_does_not_end_is_given_up_and_named() {
    let mut world = web(1, DEAD_DISK, |_| {});
    let ticket = stop(&mut world);
    world.run(6.9);
    assert_eq!((world.status("web"), world.replies.get(&ticket)), ("stopping", None));
    world.run(0.2);
    assert_eq!((world.status("web"), &world.replies[&ticket]), ("stopped", &Reply::Stopped));
    assert_eq!(world.arbiter.find("web").unwrap().survivors(), [100]);
    let said = |text: &str| world.log.iter().any(|(_, line)| line.contains(text));
    assert!(said("process 100 (wid 1) is still there 2 s after SIGKILL"));
    world.kill9(100);
    assert!(!world.procs.contains_key(&100), "it is reaped when it ends");
    assert!(world.arbiter.find("web").unwrap().survivors().is_empty() && world.arbiter.deadline().is_none());
}

#[test]
fn a_process_that_nothing_ends_holds_up_neither_those_behind_it_nor_the_end() {
    let mut app = watcher("web", 1);
    app.options.requires = Some("db".into());
    let mut world = World::new(vec![app, watcher("db", 1)]);
    world.scripts.insert("web".into(), DEAD_DISK);
    world.send(Event::Start);
    world.run(2.0);
    world.send(Event::Terminate);
    world.run(6.9);
    assert!(!world.exited && !world.signals.contains(&(100, 15)), "db waits for those that require it");
    world.run(0.2);
    assert!(world.exited && world.signals.contains(&(100, 15)), "db has been asked, and had its time");
}

#[test]
fn the_place_of_a_process_that_nothing_ends_gets_another_one_but_not_without_end() {
    let mut world = web(2, DEAD_DISK, |c| c.options.max_age = 10);
    world.run(300.0);
    assert_eq!(world.spawns.len(), 4, "one more for each place");
    let survivors = world.arbiter.find("web").unwrap().survivors().to_vec();
    assert_eq!((world.status("web"), survivors.len()), ("active", 4));
    let ended = survivors[0];
    world.kill9(ended);
    assert_eq!(world.pids("web").len(), 1);
    world.kill9(survivors[1]);
    assert_eq!(world.pids("web").len(), 2);
}

#[test]
fn reloads_end_although_an_old_process_does_not() {
    for sequential in [false, true] {
        let mut world = web(2, DEAD_DISK, |_| {});
        world.scripts.clear();
        let ticket = reload(&mut world, sequential);
        world.run(15.0);
        assert!(matches!(world.replies[&ticket], Reply::Info { .. }), "{:?}", world.replies.get(&ticket));
        assert_eq!((world.pids("web").len(), world.procs.len()), (2, 4));
    }
}

#[test]
fn a_singleton_waits_for_a_process_that_nothing_ends() {
    let mut world = web(1, DEAD_DISK, |c| c.options.singleton = true);
    world.scripts.clear();
    world.order(Task::Restart(only("web")));
    world.run(20.0);
    assert_eq!((world.pids("web"), world.spawns.len()), (vec![], 1));
    world.kill9(100);
    assert_eq!(world.pids("web").len(), 1);
}

#[test]
fn what_circus_slept_through_is_nobody_s_fault() {
    let mut world = web(1, Script { obeys: Some(4.0), beats: Some(0.4), ..GOOD }, |c| {
        c.options.watchdog = Some(1.0);
        c.options.ready = Some("notify".into());
    });
    for _ in 0..20 {
        world.run(0.17);
        world.freeze(30.0);
    }
    assert_eq!((world.pids("web"), world.signals.len()), (vec![100], 0));
    stop(&mut world);
    world.run(3.0);
    world.freeze(600.0);
    world.run(1.1);
    assert_eq!((world.status("web"), world.signals.as_slice()), ("stopped", &[(100, 15), (100, 15)][..]));
}

#[test]
fn a_probe_and_a_start_that_stood_still_with_circus_go_on() {
    let mut config = watcher("web", 1);
    config.options.ready = Some("notify".into());
    config.options.ready_timeout = Some(10.0);
    config.options.health = Some("exec:/health".into());
    config.options.health_interval = Some(5.0);
    config.options.health_timeout = Some(2.0);
    config.options.health_retries = Some(1);
    let mut world = World::new(vec![config]);
    world.scripts.insert("web".into(), Script { ready: Some(9.0), ..GOOD });
    world.hook_scripts.insert(("web".into(), "health"), (Some(1.9), Answer::Yes));
    world.send(Event::Start);
    world.run(5.0);
    world.freeze(100.0);
    world.run(4.1);
    assert_eq!(world.status("web"), "active");
    for _ in 0..10 {
        world.run(5.3);
        world.freeze(100.0);
    }
    assert_eq!((world.pids("web"), world.signals.len()), (vec![100], 0));
}
