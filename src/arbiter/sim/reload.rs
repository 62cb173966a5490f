//! Reloads in the simulated world.

use super::*;

#[test]
fn a_sequential_reload_whose_first_process_ends_at_once_is_given_up() {
    let mut config = watcher("web", 4);
    config.options.warmup_delay = 1.0;
    let mut world = World::booted(vec![config]);
    world.run(5.0);
    world.scripts.insert("web".into(), Script { lives: Some(0.001), ..GOOD });
    let name = Some("web".into());
    let old = world.pids("web");
    let ticket = world.order(Task::Reload { name, graceful: true, sequential: true }.waiting(true));
    world.run(60.0);
    let reply = world.replies.get(&ticket);
    assert!(matches!(reply, Some(Reply::Error { errno: Errno::Failed, .. })), "{reply:?}");
    assert_eq!(world.pids("web").iter().filter(|pid| old.contains(pid)).count(), 3, "the others stay");
}

#[test]
fn reload_has_the_new_processes_before_the_old_ones_end() {
    let mut world = World::booted(vec![watcher("web", 4)]);
    world.run(5.0);
    let old = world.pids("web");
    let ticket = world
        .order(Task::Reload { name: Some("web".into()), graceful: true, sequential: false }.waiting(true));
    assert_eq!(world.pids("web").len(), 8, "both generations");
    world.run(0.1);
    let new = world.pids("web");
    assert!(new.len() == 4 && new.iter().all(|pid| !old.contains(pid)));
    assert_eq!(world.replies[&ticket], Reply::Info { started: new, stopped: Some(old), kept: vec![] });
    let wids: Vec<u32> = world.arbiter.find("web").unwrap().processes().map(|p| p.wid).collect();
    assert_eq!(wids, [5, 6, 7, 8], "the numbers alternate, as in Circus");
}

#[test]
fn a_reload_that_cannot_start_leaves_the_old_processes() {
    let mut world = World::booted(vec![watcher("web", 3)]);
    world.run(5.0);
    let old = world.pids("web");
    world.scripts.insert("web".into(), Script { broken: true, ..GOOD });
    let ticket = world
        .order(Task::Reload { name: Some("web".into()), graceful: true, sequential: false }.waiting(true));
    world.run(30.0);
    assert_eq!(world.pids("web"), old);
    assert!(
        matches!(&world.replies[&ticket], Reply::Error { reason, .. } if reason.contains("not reloaded"))
    );
}

#[test]
fn a_reload_that_was_given_up_takes_the_next_one_with_it() {
    let mut config = watcher("web", 3);
    config.options.graceful_timeout = 1000.0;
    let mut world = World::new(vec![config]);
    world.scripts.insert("web".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    world.run(5.0);
    let reload = || Task::Reload { name: Some("web".into()), graceful: true, sequential: true };
    world.order(reload());
    world.order(reload());
    world.scripts.insert("web".into(), Script { broken: true, ..GOOD });
    let first = world.signals[0].0;
    world.kill9(first);
    world.run(1.0);
    world.scripts.clear();
    world.run(20.0);
    let before = world.arbiter.find("web").unwrap().spawns.generation;
    world.order(Task::Reload { name: Some("web".into()), graceful: true, sequential: false });
    world.run(2000.0);
    assert_eq!(world.arbiter.find("web").unwrap().spawns.generation, before + 1);
}

#[test]
fn a_process_that_dies_at_once_after_a_reload_does_not_make_circus_spin() {
    let mut world = World::new(vec![watcher("web", 3)]);
    world.scripts.insert("web".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    world.run(5.0);
    world.scripts.insert("web".into(), Script { lives: Some(0.001), ..GOOD });
    let before = world.spawns.len();
    for sequential in [false, true] {
        world.order(Task::Reload { name: Some("web".into()), graceful: true, sequential });
        world.run(4.0);
    }
    assert!(world.spawns.len() - before < 60, "{} spawns in 8 s", world.spawns.len() - before);
}

#[test]
fn sequential_reload_replaces_one_after_the_other() {
    let mut config = watcher("web", 3);
    config.options.warmup_delay = 1.0;
    let mut world = World::booted(vec![config]);
    world.run(10.0);
    let old = world.pids("web");
    let ticket = world.order(Task::Reload { name: None, graceful: true, sequential: true }.waiting(true));
    for n in 1..=3 {
        world.run(0.5);
        let left = world.pids("web").iter().filter(|pid| old.contains(pid)).count();
        assert_eq!(left, 3 - n);
        world.run(0.6);
    }
    assert!(matches!(world.replies[&ticket], Reply::Info { .. }));
}

#[test]
fn a_singleton_never_runs_twice() {
    let mut config = watcher("one", 1);
    config.options.singleton = true;
    let mut world = World::booted(vec![config]);
    world.run(2.0);
    world.order(Task::Reload { name: Some("one".into()), graceful: true, sequential: false });
    assert_eq!(world.pids("one").len(), 1);
    world.run(1.0);
    assert_eq!(world.pids("one").len(), 1);
    let ticket = world.order(Task::Change { name: "one".into(), by: 3 }.waiting(true));
    assert_eq!(world.replies[&ticket], Reply::Numprocesses { count: 1, singleton: true });
}

#[test]
fn the_failure_of_a_reload_is_told_to_those_who_wait_for_that_one_alone() {
    let mut world = World::booted(vec![watcher("web", 1)]);
    let reload = |waiting| {
        let name = Some("web".into());
        Task::Reload { name, graceful: true, sequential: false }.waiting(waiting)
    };
    world.scripts.insert("web".into(), Script { broken: true, ..GOOD });
    world.order(reload(false));
    world.run(1.0);
    world.scripts.clear();
    let ticket = world.order(reload(true));
    world.run(1.0);
    assert!(matches!(world.replies[&ticket], Reply::Info { .. }), "{:?}", world.replies[&ticket]);
}
