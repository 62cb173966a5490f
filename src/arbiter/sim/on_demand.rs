//! Watchers that wait for their sockets in the simulated world.

use super::*;

fn on_demand() -> World {
    let mut config = watcher("lazy", 2);
    config.options.on_demand = true;
    World::booted(vec![config])
}

#[test]
fn on_demand_starts_at_the_first_use_and_waits_again_when_its_processes_have_ended() {
    let mut world = on_demand();
    world.run(100.0);
    assert_eq!((world.status("lazy"), world.spawns.len(), world.arbiter.deadline()), ("stopped", 0, None));
    world.connect();
    assert_eq!((world.status("lazy"), world.pids("lazy").len()), ("active", 2));
    world.run(5.0);
    let first = world.pids("lazy");
    world.kill9(first[0]);
    assert_eq!(world.pids("lazy"), first[1..], "it is not replaced");
    world.order(Task::Start(only("lazy")));
    assert_eq!(world.pids("lazy").len(), 2, "but a start fills its place");
    world.pids("lazy").into_iter().for_each(|pid| world.kill9(pid));
    world.run(1.0);
    assert_eq!((world.status("lazy"), world.looked_at.len()), ("stopped", 1));
    assert!(world.published.contains(&("lazy".into(), Published::Stop)));
    world.connect();
    assert_eq!(world.status("lazy"), "active");
}

#[test]
fn on_demand_obeys_start_stop_and_restart() {
    let mut world = on_demand();
    let stop = world.order(Task::Stop(only("lazy")).waiting(true));
    assert_eq!((&world.replies[&stop], world.looked_at.len()), (&Reply::Stopped, 0));
    let start = world.order(Task::Start(only("lazy")).waiting(true));
    let nothing = |stopped| Reply::Info { started: vec![], stopped, kept: vec![] };
    assert_eq!((&world.replies[&start], world.looked_at.len()), (&nothing(None), 1));
    let name = Some("lazy".into());
    let reload = world.order(Task::Reload { name, graceful: true, sequential: false }.waiting(true));
    assert_eq!(world.replies[&reload], nothing(Some(vec![])));
    world.connect();
    let pids = world.pids("lazy");
    let restart = world.order(Task::Restart(only("lazy")).waiting(true));
    world.run(1.0);
    assert_eq!(world.replies[&restart], nothing(Some(pids)));
    assert_eq!((world.status("lazy"), world.looked_at.len()), ("stopped", 1));
    let set = |on| {
        Task::Edit(Edit::Set { name: "lazy".into(), options: vec![("on_demand".into(), Value::Bool(on))] })
            .waiting(true)
    };
    world.order(set(false));
    assert_eq!((world.status("lazy"), world.looked_at.len()), ("active", 0));
    world.order(set(true));
    world.run(1.0);
    assert_eq!(world.status("lazy"), "active", "until its processes end");
    world.send(Event::Terminate);
    world.run(1.0);
    assert!(world.exited);
}

#[test]
fn on_demand_without_sockets_says_so() {
    let mut config = watcher("lazy", 1);
    config.options.on_demand = true;
    let mut world = World::new(vec![config]);
    world.no_sockets = true;
    world.send(Event::Start);
    let start = world.order(Task::Start(only("lazy")).waiting(true));
    assert!(matches!(&world.replies[&start], Reply::Error { reason, .. } if reason.contains("no sockets")));
    assert!(world.log.iter().any(|(level, text)| *level == Level::Error && text.contains("no sockets")));
}

/// The sockets are in use again at once after each look, since nobody takes what is there.
#[test]
fn on_demand_does_not_spin_when_its_program_ends_at_once() {
    let mut world = on_demand();
    world.scripts.insert("lazy".into(), Script { lives: Some(0.001), ..GOOD });
    for _ in 0..6000 {
        world.connect();
        world.run(0.01);
    }
    assert!((5..=14).contains(&(world.spawns.len() / 2)), "{} spawns in 60 s", world.spawns.len());
    // After some time without a connection the next one is served at once.
    world.run(20.0);
    let before = world.spawns.len();
    world.connect();
    world.run(0.2);
    world.connect();
    assert_eq!(world.spawns.len(), before + 4);
}
