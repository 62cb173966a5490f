//! Options on trial: when new processes are good, and what stays until then.

use super::proven::with_bad;
use super::*;

/// Ends at once, with code 9.
const ENDS: Script = Script { lives: Some(0.2), code: 9, ..GOOD };

/// Sets other arguments, and waits for the answer for so long.
fn set(world: &mut World, args: &str, seconds: f64) -> Ticket {
    let options = vec![("args".to_string(), Value::Str(args.into()))];
    let ticket = world.order(Task::Edit(Edit::Set { name: "web".into(), options }).waiting(true));
    world.run(seconds);
    ticket
}

fn reason(world: &World, ticket: Ticket) -> &str {
    match &world.replies[&ticket] {
        Reply::Error { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

fn running(world: &World) -> Vec<Pid> {
    world.arbiter.find("web").unwrap().processes().filter(|p| p.runs()).map(|p| p.pid).collect()
}

#[test]
fn a_command_that_ends_at_once_takes_no_place() {
    let mut world = with_bad(3, ENDS, |_| {});
    let old = running(&world);
    let ticket = set(&mut world, "bad", 3.0);
    assert_eq!(reason(&world, ticket), "'web' was not reloaded: a new process exited with code 9");
    assert_eq!(running(&world), old, "the old ones were never asked to end");
    let watcher = world.arbiter.find("web").unwrap();
    assert_eq!(watcher.fallen_back().map(|(_, why)| why), Some("failed: a new process exited with code 9"));
    old.iter().for_each(|pid| world.kill9(*pid));
    world.run(5.0);
    let new = running(&world);
    assert!(new.len() == 3 && new.iter().all(|pid| !old.contains(pid)) && world.status("web") == "active");
    // The next good options take their place.
    let ticket = set(&mut world, "good", 3.0);
    assert!(matches!(world.replies[&ticket], Reply::Ok), "{:?}", world.replies[&ticket]);
    assert!(world.arbiter.find("web").unwrap().fallen_back().is_none());
    assert!(running(&world).iter().all(|pid| !new.contains(pid)));
}

#[test]
fn one_that_comes_when_its_generation_is_given_up_takes_no_place() {
    let mut config = hooked("web", 3, &["before_spawn"]);
    config.options.ready = Some("notify".into());
    let mut world = World::booted(vec![config]);
    world.scripts.insert("web bad".into(), ENDS);
    world.run(5.0);
    let old = running(&world);
    world.hook_scripts.insert(("web".into(), "before_spawn"), (Some(0.5), Answer::Yes));
    set(&mut world, "bad", 10.0);
    assert_eq!(running(&world), old);
}

#[test]
fn old_processes_stay_for_the_second_that_new_ones_have_to_live() {
    let mut world = with_bad(2, GOOD, |_| {});
    let old = running(&world);
    let ticket = set(&mut world, "good", 0.9);
    assert_eq!(running(&world).len(), 4);
    assert!(old.iter().all(|pid| running(&world).contains(pid)) && !world.replies.contains_key(&ticket));
    world.run(0.3);
    assert!(running(&world).len() == 2 && !old.iter().any(|pid| running(&world).contains(pid)));
    assert!(matches!(world.replies[&ticket], Reply::Ok));
    // By the same options a reload takes no longer than it did.
    let old = running(&world);
    world.order(Task::Reload { name: Some("web".into()), graceful: true, sequential: false });
    world.run(0.1);
    assert!(!old.iter().any(|pid| running(&world).contains(pid)));
}

#[test]
fn an_old_process_that_ends_meanwhile_is_replaced_as_it_was_made() {
    let unready = Script { ready: None, ..GOOD };
    let mut world = with_bad(2, unready, |config| {
        config.options.ready = Some("notify".into());
        config.options.ready_timeout = Some(5.0);
    });
    let old = running(&world);
    let ticket = set(&mut world, "bad", 1.0);
    assert_eq!(running(&world).len(), 4);
    world.kill9(old[0]);
    world.run(1.0);
    let watcher = world.arbiter.find("web").unwrap();
    let of_old = watcher.processes().filter(|p| p.runs() && p.generation < watcher.spawns.generation);
    let of_old: Vec<_> = of_old.map(|p| (p.pid, p.is_ready())).collect();
    assert!(of_old.len() == 2 && of_old.iter().all(|(_, ready)| *ready), "{of_old:?}");
    assert!(of_old.iter().all(|(pid, _)| watcher.options_of(*pid).options.args.is_empty()));
    world.run(5.0);
    assert_eq!(
        reason(&world, ticket),
        "'web' was not reloaded: process 102 (wid 3) was not ready within 5 s"
    );
    let of_old: Vec<Pid> = of_old.into_iter().map(|(pid, _)| pid).collect();
    assert_eq!(running(&world), of_old);
}

#[test]
fn what_does_not_work_is_not_gone_back_to() {
    let mut world = with_bad(2, GOOD, |config| config.options.max_retry = -1);
    world.scripts.insert("web worse".into(), Script { broken: true, ..GOOD });
    world.scripts.insert("web good".into(), GOOD);
    world.scripts.insert("web".into(), ENDS);
    running(&world).into_iter().for_each(|pid| world.kill9(pid));
    world.run(20.0);
    while !running(&world).is_empty() {
        world.run(0.05);
    }
    set(&mut world, "worse", 1.0);
    let watcher = world.arbiter.find("web").unwrap();
    assert_eq!((&*watcher.making().options.args, watcher.fallen_back()), ("worse", None));
    set(&mut world, "good", 3.0);
    assert_eq!(running(&world).len(), 2);
}

#[test]
fn one_by_one_each_has_its_second_too() {
    let mut world = with_bad(3, GOOD, |config| config.options.singleton = false);
    let old = running(&world);
    world.order(Task::Reload { name: Some("web".into()), graceful: true, sequential: true });
    let ticket = set(&mut world, "good", 0.5);
    world.run(10.0);
    assert!(matches!(world.replies[&ticket], Reply::Ok));
    assert!(running(&world).len() == 3 && !old.iter().any(|pid| running(&world).contains(pid)));
    let mut single = with_bad(1, ENDS, |config| config.options.singleton = true);
    let ticket = set(&mut single, "bad", 20.0);
    assert_eq!(reason(&single, ticket), "'web' was not reloaded: a new process exited with code 9");
    let watcher = single.arbiter.find("web").unwrap();
    assert_eq!((running(&single).len(), &*watcher.making().options.args), (1, ""));
}

#[test]
fn where_no_process_lives_for_long_newer_options_are_taken_at_once() {
    let short = Script { lives: Some(0.5), code: 0, ..GOOD };
    let mut world = with_bad(1, short, |config| config.options.max_retry = -1);
    world.scripts.insert("web".into(), short);
    running(&world).into_iter().for_each(|pid| world.kill9(pid));
    world.run(5.0);
    while running(&world).is_empty() {
        world.run(0.05);
    }
    set(&mut world, "bad", 0.1);
    let watcher = world.arbiter.find("web").unwrap();
    assert_eq!((watcher.making().options.args.as_ref(), watcher.fallen_back()), ("bad", None));
}
