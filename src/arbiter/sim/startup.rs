//! The order of starts, and watchers without processes, in the simulated world.

use super::*;

#[test]
fn start_order_is_by_priority_with_the_pause_between() {
    let mut config = [watcher("a", 1), watcher("b", 1), watcher("c", 1)];
    config[1].options.priority = 10;
    config[2].options.autostart = false;
    let mut world = World::new(config.to_vec());
    world.set_warmup_delay(2.0);
    world.send(Event::Start);
    assert_eq!((world.status("a"), world.status("b")), ("stopped", "active"));
    world.run(2.1);
    assert_eq!((world.status("a"), world.status("c")), ("active", "stopped"));
    let t = world.order(Task::Restart(Select::All).waiting(true));
    world.run(0.5);
    assert_eq!((world.status("a"), world.status("b")), ("stopped", "active"));
    world.run(3.0);
    assert_eq!((world.status("a"), world.replies.get(&t)), ("active", Some(&Reply::Ok)));
}

#[test]
fn a_start_is_over_when_the_last_process_has_warmed_up() {
    let mut first = watcher("first", 2);
    first.options.warmup_delay = 5.0;
    let mut world = World::new(vec![first, watcher("second", 1)]);
    world.send(Event::Start);
    let ticket = world.order(Task::Start(only("first")).waiting(true));
    world.run(9.9);
    assert_eq!((world.pids("first").len(), world.status("first")), (2, "starting"));
    assert_eq!((world.status("second"), world.replies.get(&ticket)), ("stopped", None));
    world.run(0.2);
    assert_eq!((world.status("first"), world.status("second")), ("active", "active"));
    assert!(matches!(world.replies[&ticket], Reply::Info { .. }));
}

#[test]
fn what_is_removed_while_it_starts_holds_up_no_other_start() {
    let mut first = watcher("first", 2);
    first.options.warmup_delay = 5.0;
    let mut world = World::new(vec![first, watcher("second", 1)]);
    world.send(Event::Start);
    assert_eq!((world.status("first"), world.status("second")), ("starting", "stopped"));
    world.order(Task::Rm { name: "first".into(), nostop: true });
    assert_eq!(world.status("second"), "active");
}

/// A plugin that circus has itself.
fn builtin(name: &str) -> WatcherConfig {
    WatcherConfig { plugin: Some(PluginKind::Builtin(Builtin::Flapping)), ..watcher(name, 1) }
}

#[test]
fn a_plugin_of_circus_itself_is_active_without_a_process() {
    let mut world = World::booted(vec![builtin("p"), watcher("web", 1)]);
    assert_eq!((world.status("p"), world.pids("p").len(), world.status("web")), ("active", 0, "active"));
    let restart = world.order(Task::Restart(only("p")).waiting(true));
    let nothing = Reply::Info { started: vec![], stopped: Some(vec![]), kept: vec![] };
    assert_eq!(world.replies[&restart], nothing);
    let stop = world.order(Task::Stop(only("p")).waiting(true));
    assert_eq!((&world.replies[&stop], world.status("p")), (&Reply::Stopped, "stopped"));
    let what: Vec<Published> =
        world.published.iter().filter(|(name, _)| name == "p").map(|(_, what)| what.clone()).collect();
    assert_eq!(what, [Published::Start, Published::Stop, Published::Start, Published::Stop]);
    world.order(Task::Start(only("p")));
    world.send(Event::Terminate);
    world.run(1.0);
    assert!(world.exited);
}

#[test]
fn a_plugin_of_circus_itself_whose_options_cannot_be_used_does_not_start() {
    let mut config = builtin("p");
    config.broken = Some("no such port".into());
    let mut world = World::booted(vec![config]);
    assert_eq!(world.status("p"), "stopped");
    let start = world.order(Task::Start(only("p")).waiting(true));
    assert!(matches!(&world.replies[&start], Reply::Error { reason, .. } if reason.contains("no such port")));
    assert!(world.log.iter().any(|(level, text)| *level == Level::Error && text.contains("no such port")));
}
