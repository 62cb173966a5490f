//! Options with which a reload has failed, and those that make processes until one succeeds.

use super::*;

const BROKEN: Script = Script { broken: true, ..GOOD };

/// A watcher whose processes work, but for those with `args = bad`, which do this.
pub(super) fn with_bad(numprocesses: i64, bad: Script, change: impl FnOnce(&mut WatcherConfig)) -> World {
    let mut config = watcher("web", numprocesses);
    change(&mut config);
    let mut world = World::booted(vec![config]);
    world.scripts.insert("web bad".into(), bad);
    world.run(5.0);
    world
}

fn set(world: &mut World, options: &[(&str, &str)]) -> bool {
    let value = |(key, value): &(&str, &str)| (key.to_string(), Value::Str(value.to_string()));
    let options = options.iter().map(value).collect();
    let ticket = world.order(Task::Edit(Edit::Set { name: "web".into(), options }).waiting(true));
    world.run(3.0);
    !matches!(world.replies[&ticket], Reply::Error { .. })
}

fn reload(world: &mut World, sequential: bool) -> bool {
    let name = Some("web".into());
    let ticket = world.order(Task::Reload { name, graceful: true, sequential }.waiting(true));
    world.run(3.0);
    !matches!(world.replies[&ticket], Reply::Error { .. })
}

fn args(world: &World) -> (Box<str>, Box<str>) {
    let watcher = world.arbiter.find("web").unwrap();
    (watcher.config.options.args.clone(), watcher.making().options.args.clone())
}

fn made_by(args: &str) -> (Box<str>, Box<str>) {
    ("bad".into(), args.into())
}

#[test]
fn after_a_failed_reload_the_old_options_make_the_replacements() {
    let mut world = with_bad(2, BROKEN, |_| {});
    assert!(!set(&mut world, &[("args", "bad")]));
    assert_eq!(args(&world), made_by(""), "what was set can be asked for");
    for pid in world.pids("web") {
        world.kill9(pid);
    }
    assert_eq!((world.status("web"), world.pids("web").len()), ("active", 2));
    world.run(10.0);
    assert_eq!(world.pids("web").len(), 2);
    // A reload tries the new ones again, and fails again.
    assert!(!reload(&mut world, false));
    assert_eq!(args(&world), made_by(""));
    // What mends them is a reload that succeeds.
    assert!(set(&mut world, &[("args", "good")]));
    assert_eq!(args(&world), ("good".into(), "good".into()));
    assert!(!set(&mut world, &[("args", "bad")]));
    assert_eq!(args(&world), made_by("good"), "the last good ones, not the first");
}

#[test]
fn a_reload_one_by_one_that_fails_leaves_the_old_options_too() {
    let mut world = with_bad(3, BROKEN, |_| {});
    assert!(!set(&mut world, &[("args", "bad")]) && !reload(&mut world, true));
    world.run(20.0);
    assert_eq!((args(&world), world.pids("web").len()), (made_by(""), 3), "the one that had to go is back");
    let mut world = with_bad(1, BROKEN, |c| c.options.singleton = true);
    assert!(!set(&mut world, &[("args", "bad")]));
    world.run(20.0);
    assert_eq!((args(&world), world.pids("web").len()), (made_by(""), 1));
}

#[test]
fn readiness_is_that_of_the_options_that_made_the_process() {
    let unready = Script { ready: None, ..GOOD };
    let mut world = with_bad(1, unready, |c| {
        c.options.ready = Some("notify".into());
        c.options.ready_timeout = Some(1.0);
    });
    world.hook_scripts.insert(("web".into(), "ready"), (Some(0.0), Answer::No));
    assert!(!set(&mut world, &[("args", "bad"), ("ready", "exec:/ready")]));
    world.kill9(world.pids("web")[0]);
    world.run(3.0);
    assert_eq!((world.arbiter.find("web").unwrap().ready(), args(&world)), (1, made_by("")));
}

#[test]
fn a_restart_takes_the_new_options() {
    let mut world = with_bad(1, BROKEN, |c| c.options.max_retry = 2);
    assert!(!set(&mut world, &[("args", "bad")]));
    world.order(Task::Restart(only("web")));
    world.run(10.0);
    assert_eq!((args(&world), world.status("web")), (made_by("bad"), "stopped"));
}

#[test]
fn options_that_were_set_during_a_reload_are_not_proven_by_it() {
    let mut world = with_bad(1, BROKEN, |_| {});
    world.scripts.insert("web".into(), Script { obeys: Some(1.0), ..GOOD });
    set(&mut world, &[("args", "")]);
    world.order(Task::Reload { name: Some("web".into()), graceful: true, sequential: false });
    assert!(!set(&mut world, &[("args", "bad")]));
    assert_eq!(args(&world), made_by(""));
    world.kill9(world.pids("web")[0]);
    world.run(0.5);
    assert_eq!(world.pids("web").len(), 1);
}
