//! How processes are spawned, respawned and given up in the simulated world.

use super::*;

#[test]
fn watchers_start_and_dead_processes_are_replaced_at_once() {
    let mut world = World::booted(vec![watcher("web", 3), watcher("db", 1)]);
    assert_eq!((world.status("web"), world.pids("web").len(), world.pids("db").len()), ("active", 3, 1));
    world.run(2.0);
    let victim = world.pids("web")[0];
    world.kill9(victim);
    assert_eq!(world.pids("web").len(), 3, "replaced in the same instant");
    assert!(!world.pids("web").contains(&victim));
    assert!(
        world
            .published
            .contains(&("web".into(), Published::Reap { pid: victim, exit: Exit::Signal(9), oom: false }))
    );
}

#[test]
fn a_process_that_exits_at_once_is_respawned_with_a_growing_delay() {
    let mut world = World::new(vec![watcher("bad", 1)]);
    world.scripts.insert("bad".into(), Script { lives: Some(0.001), ..GOOD });
    world.send(Event::Start);
    let start = world.now;
    world.run(60.0);
    let at: Vec<f64> = world.spawns.iter().map(|(t, _)| (t.since(start) * 10.0).round() / 10.0).collect();
    assert_eq!(at, [0.0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 12.7, 22.7, 32.7, 42.7, 52.7]);
    assert_eq!(world.status("bad"), "active", "a watcher in back-off stays active");
}

#[test]
fn warmup_delay_sets_the_pace_of_all_spawns() {
    let mut config = watcher("flapping", 1);
    config.options.warmup_delay = 5.0;
    let mut world = World::new(vec![config]);
    world.scripts.insert("flapping".into(), Script { lives: Some(0.001), ..GOOD });
    world.send(Event::Start);
    world.run(60.0);
    assert!(world.spawns.windows(2).all(|w| w[1].0.since(w[0].0) >= 5.0));
    assert!((6..=13).contains(&world.spawns.len()), "{}", world.spawns.len());
}

#[test]
fn what_cannot_be_executed_stops_its_watcher_alone_after_max_retry() {
    let mut world = World::new(vec![watcher("broken", 2), watcher("good", 1)]);
    world.scripts.insert("broken".into(), Script { broken: true, ..GOOD });
    world.send(Event::Start);
    assert_eq!(world.status("good"), "active", "nobody's trouble delays another");
    let ticket = world.order(Task::Start(only("broken")).waiting(true));
    world.run(20.0);
    assert_eq!(world.status("broken"), "stopped");
    assert!(world.spawns.iter().filter(|(_, n)| n == "broken").count() <= 11);
    assert!(
        matches!(&world.replies[&ticket], Reply::Error { errno: Errno::Failed, reason } if reason.contains("No such file"))
    );
    assert_eq!(world.status("good"), "active");
}

#[test]
fn what_the_machine_is_short_of_uses_up_no_max_retry() {
    let mut world = World::new(vec![watcher("web", 1)]);
    world.scripts.insert("web".into(), Script { broken: true, shortage: true, ..GOOD });
    world.send(Event::Start);
    let ticket = world.order(Task::Start(only("web")).waiting(true));
    world.run(600.0);
    assert!((60..=70).contains(&world.spawns.len()), "{} tries", world.spawns.len());
    assert!(matches!(&world.replies[&ticket], Reply::Error { .. }), "who waits is told so");
    world.scripts.clear();
    world.run(11.0);
    assert_eq!((world.status("web"), world.procs.len()), ("active", 1));
    // A fault of its own counts as if nothing had been before.
    world.scripts.insert("web".into(), Script { broken: true, ..GOOD });
    let before = world.spawns.len();
    world.order(Task::Restart(only("web")));
    world.run(20.0);
    assert_eq!((world.status("web"), world.spawns.len() - before), ("stopped", 5));
}

#[test]
fn max_retry_below_zero_goes_on_for_ever() {
    let mut config = watcher("broken", 1);
    config.options.max_retry = -1;
    let mut world = World::new(vec![config]);
    world.scripts.insert("broken".into(), Script { broken: true, ..GOOD });
    world.send(Event::Start);
    world.run(600.0);
    assert!(world.spawns.len() > 60);
    world.scripts.clear();
    world.run(11.0);
    assert_eq!(world.status("broken"), "active");
}

#[test]
fn who_waits_for_what_cannot_start_is_told_so() {
    let mut config = watcher("broken", 1);
    config.options.max_retry = -1;
    let mut world = World::new(vec![config]);
    world.scripts.insert("broken".into(), Script { broken: true, ..GOOD });
    world.send(Event::Start);
    let name = || "broken".to_string();
    let options = vec![("numprocesses".to_string(), Value::Int(3))];
    let tickets = [
        Task::Reload { name: Some(name()), graceful: true, sequential: false }.waiting(true),
        Task::Change { name: name(), by: 1 }.waiting(true),
        Task::Edit(Edit::Set { name: name(), options }).waiting(true),
    ]
    .map(|order| world.order(order));
    world.run(60.0);
    for ticket in tickets {
        let reply = world.replies.get(&ticket);
        assert!(matches!(reply, Some(Reply::Error { errno: Errno::Failed, .. })), "{ticket:?} got {reply:?}");
    }
}

#[test]
fn without_respawn_the_watcher_ends_with_its_last_process() {
    let mut config = watcher("job", 2);
    config.options.respawn = Respawn::Never;
    let mut world = World::booted(vec![config]);
    world.run(0.1);
    let pids = world.pids("job");
    world.kill9(pids[0]);
    assert_eq!((world.status("job"), world.pids("job").len()), ("active", 1));
    world.order(Task::Start(only("job")));
    assert_eq!(world.pids("job").len(), 2, "start fills the empty slots");
    for pid in world.pids("job") {
        world.kill9(pid);
    }
    assert_eq!(world.status("job"), "stopped");
}

#[test]
fn max_age_replaces_processes_by_and_by() {
    let mut config = watcher("aging", 15);
    config.options.max_age = 10;
    config.options.max_age_variance = 5;
    config.options.use_sockets = true;
    let mut world = World::booted(vec![config]);
    let old = world.pids("aging");
    let limits = |world: &World| -> Vec<Option<Time>> {
        world.arbiter.find("aging").expect("it").processes().map(|process| process.more.expires).collect()
    };
    let drawn = limits(&world);
    assert!(drawn.iter().any(|limit| *limit != drawn[0]), "each process has a limit of its own");
    for _ in 0..10 {
        world.run(0.99);
        world.send(Event::Tick);
    }
    assert_eq!((world.pids("aging"), limits(&world)), (old.clone(), drawn), "drawn once");
    world.run(5.6);
    assert_eq!(world.pids("aging").len(), 15);
    assert!(world.pids("aging").iter().all(|pid| !old.contains(pid)));
}

/// It has left somebody in its group, whom nobody waits for.
#[test]
fn a_process_that_was_never_its_program_is_tried_again_after_a_pause_whatever_it_leaves() {
    let mut world = World::new(vec![watcher("web", 1)]);
    let script = Script { broken: true, late: true, lives: Some(0.0), leaves: true, ..GOOD };
    world.scripts.insert("web".into(), script);
    world.send(Event::Start);
    world.run(20.0);
    assert!((4..=6).contains(&world.spawns.len()), "{} spawns", world.spawns.len());
}

#[test]
fn a_process_that_ends_before_it_is_replaced_for_its_age_has_one_successor() {
    let mut config = watcher("web", 3);
    (config.options.max_age, config.options.max_age_variance) = (10, 0);
    config.options.use_sockets = true;
    let mut world = World::booted(vec![config]);
    world.order(Task::Edit(Edit::Set {
        name: "web".into(),
        options: vec![("warmup_delay".into(), Value::Float(2.0))],
    }));
    world.run(10.0);
    let waits = world.pids("web").into_iter().next().unwrap();
    world.kill9(waits);
    world.run(8.0);
    assert_eq!(world.spawns.len(), 6, "each has one successor");
}
