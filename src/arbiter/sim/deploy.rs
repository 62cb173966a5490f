//! Deployments, canaries, rollbacks, and what a reading would change.

use super::*;

const ENDS: Script = Script { lives: Some(0.2), code: 9, ..GOOD };

fn web(args: &str) -> WatcherConfig {
    let mut config = watcher("web", 3);
    config.options.args = args.into();
    config
}

/// A world whose file says something else than what runs; `bad` are arguments with which processes end at once.
fn world(args: &str) -> World {
    let mut world = World::booted(vec![web("")]);
    world.scripts.insert("web bad".into(), ENDS);
    world.run(5.0);
    write(&mut world, args);
    world
}

fn write(world: &mut World, args: &str) {
    world.files = Ok(NewConfig { watchers: vec![web(args)], ..NewConfig::default() });
}

const PLAIN: Manner = Manner { sequential: false, soak: 0.0, surge: None, canary: None, deploys: true };

fn order(world: &mut World, deploy: Deploy, seconds: f64) -> Ticket {
    let ticket = world.order(Task::Deploy(deploy).waiting(true));
    world.run(seconds);
    ticket
}

fn deploy(world: &mut World, manner: Manner, seconds: f64) -> Ticket {
    order(world, Deploy::Begin { name: "web".into(), manner }, seconds)
}

fn judge(world: &mut World, good: bool) -> Ticket {
    order(world, Deploy::Judge { name: "web".into(), good }, 5.0)
}

fn roll_back(world: &mut World) -> Ticket {
    order(world, Deploy::Rollback { name: "web".into() }, 5.0)
}

fn refused(world: &World, ticket: Ticket) -> &str {
    match &world.replies[&ticket] {
        Reply::Error { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

fn succeeded(world: &World, ticket: Ticket) -> bool {
    matches!(world.replies.get(&ticket), Some(Reply::Info { .. }))
}

fn it(world: &World) -> &Watcher {
    world.arbiter.find("web").unwrap()
}

fn args(world: &World) -> &str {
    &it(world).config.options.args
}

fn running(world: &World) -> Vec<Pid> {
    it(world).processes().filter(|p| p.runs()).map(|p| p.pid).collect()
}

#[test]
fn what_does_well_for_long_enough_is_taken() {
    let mut world = world("new");
    let old = running(&world);
    let ticket = deploy(&mut world, Manner { soak: 30.0, ..PLAIN }, 29.0);
    assert!(running(&world).len() == 6 && !world.replies.contains_key(&ticket));
    world.run(2.0);
    assert!(succeeded(&world, ticket) && args(&world) == "new" && running(&world).len() == 3);
    assert!(!old.iter().any(|pid| running(&world).contains(pid)));
}

#[test]
fn what_ends_badly_meanwhile_is_as_if_it_had_never_been() {
    let mut world = world("new");
    world.scripts.insert("web new".into(), Script { lives: Some(20.0), ..GOOD });
    let old = running(&world);
    let ticket = deploy(&mut world, Manner { soak: 30.0, ..PLAIN }, 40.0);
    assert_eq!(refused(&world, ticket), "'web' was not deployed: a new process exited with code 1");
    assert_eq!((running(&world), args(&world)), (old.clone(), ""));
    assert_eq!(it(&world).fallen_back().unwrap().1, "failed: a new process exited with code 1");
    // The file is as it was deployed: nothing has changed in it.
    world.order(Task::Reloadconfig.waiting(true));
    world.run(1.0);
    assert_eq!((running(&world), args(&world)), (old, ""));
    // What comes next is what it says as a whole.
    write(&mut world, "better");
    let ticket = deploy(&mut world, PLAIN, 5.0);
    assert!(succeeded(&world, ticket) && args(&world) == "better" && it(&world).fallen_back().is_none());
}

#[test]
fn a_change_of_the_file_after_a_failure_is_taken_as_a_whole() {
    let mut world = world("bad");
    deploy(&mut world, PLAIN, 5.0);
    let mut config = web("bad");
    (config.options.args, config.options.priority) = ("good".into(), 3);
    world.files = Ok(NewConfig { watchers: vec![config], ..NewConfig::default() });
    world.order(Task::Reloadconfig.waiting(true));
    world.run(5.0);
    assert_eq!((args(&world), it(&world).config.options.priority), ("good", 3));
}

#[test]
fn one_by_one_the_new_ones_go_back_one_by_one() {
    let mut world = world("new");
    let old = running(&world);
    let ticket = deploy(&mut world, Manner { sequential: true, soak: 2.0, ..PLAIN }, 1.0);
    // The first one that was replaced is good, and no other will be.
    let first: Vec<Pid> = running(&world).into_iter().filter(|pid| !old.contains(pid)).collect();
    world.scripts.insert("web new".into(), ENDS);
    world.run(3.0);
    assert_eq!(refused(&world, ticket), "'web' was not deployed: a new process exited with code 9");
    world.run(60.0);
    assert_eq!((args(&world), running(&world).len(), it(&world).is_reloading()), ("", 3, false));
    assert!(!first.is_empty() && !first.iter().any(|pid| running(&world).contains(pid)), "{first:?}");
    assert!(running(&world).iter().any(|pid| old.contains(pid)), "those that were not replaced stay");
}

#[test]
fn a_canary_waits_for_a_verdict() {
    for good in [true, false] {
        let mut world = world("new");
        let old = running(&world);
        let ticket = deploy(&mut world, Manner { canary: Some(1), ..PLAIN }, 5.0);
        assert!(succeeded(&world, ticket) && running(&world).len() == 4);
        world.kill9(old[0]);
        world.run(100.0);
        let of_new =
            it(&world).processes().filter(|p| it(&world).options_of(p.pid).options.args.as_ref() == "new");
        assert_eq!((of_new.count(), running(&world).len()), (1, 4), "an old one is replaced as it was made");
        let again = deploy(&mut world, PLAIN, 1.0);
        assert!(refused(&world, again).contains("is being reloaded or deployed"));
        judge(&mut world, good);
        assert_eq!((args(&world), running(&world).len()), (if good { "new" } else { "" }, 3));
        assert_eq!(it(&world).fallen_back().map(|(_, why)| why), (!good).then_some("were rolled back"));
        assert_eq!(old.iter().filter(|pid| running(&world).contains(pid)).count(), if good { 0 } else { 2 });
        let again = judge(&mut world, good);
        assert!(refused(&world, again).contains("has no canary"));
    }
}

#[test]
fn a_canary_that_ends_takes_itself_back() {
    let mut world = world("new");
    world.scripts.insert("web new".into(), Script { lives: Some(50.0), ..GOOD });
    let old = running(&world);
    deploy(&mut world, Manner { canary: Some(2), ..PLAIN }, 60.0);
    assert_eq!((args(&world), running(&world)), ("", old));
}

#[test]
fn no_more_processes_are_there_than_the_surge_allows() {
    for surge in 1..4 {
        let mut world = world("new");
        let ticket = deploy(&mut world, Manner { surge: Some(surge), ..PLAIN }, 0.0);
        let mut most = 0;
        for _ in 0..100 {
            world.run(0.1);
            most = most.max(it(&world).processes().count());
            assert!(running(&world).len() >= 3, "as many as are wanted do their work");
        }
        assert!(succeeded(&world, ticket) && args(&world) == "new" && most == 3 + surge, "{most}");
    }
}

#[test]
fn a_rollback_goes_back_to_the_generation_before() {
    let mut world = world("new");
    let none = roll_back(&mut world);
    assert_eq!(refused(&world, none), "'web' has no generation before this one");
    deploy(&mut world, PLAIN, 5.0);
    let new = running(&world);
    let ticket = roll_back(&mut world);
    assert!(succeeded(&world, ticket) && args(&world).is_empty());
    assert!(!new.iter().any(|pid| running(&world).contains(pid)));
    assert_eq!(it(&world).fallen_back().map(|(_, why)| why), Some("were rolled back"));
    // And forth again.
    assert_eq!((roll_back(&mut world), args(&world)).1, "new");
    // What was set and has failed goes at once, and no process with it.
    let before = running(&world);
    let options = vec![("args".to_string(), Value::Str("bad".into()))];
    world.order(Task::Edit(Edit::Set { name: "web".into(), options }));
    world.run(5.0);
    assert_eq!((args(&world), running(&world)), ("bad", before.clone()));
    roll_back(&mut world);
    assert_eq!((args(&world), running(&world)), ("new", before));
}

#[test]
fn a_reading_without_effect_tells_what_would_change() {
    let mut world = World::booted(vec![web(""), watcher("same", 1), watcher("gone", 1), watcher("more", 1)]);
    let mut set = watcher("set", 1);
    set.options.priority = 4;
    let files = vec![web("x"), watcher("same", 1), watcher("more", 2), watcher("new", 1)];
    world.files = Ok(NewConfig { watchers: files, ..NewConfig::default() });
    let before = world.spawns.len();
    let plan = |world: &mut World, name: Option<&str>| {
        let ticket = order(world, Deploy::Compare { name: name.map(str::to_owned) }, 1.0);
        match &world.replies[&ticket] {
            Reply::Plan(plan) => plan
                .iter()
                .map(|it| format!("{} {} {}", it.name, it.step, it.keys.join(" ")))
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let expected = ["gone remove ", "web reload args", "same keep ", "more scale numprocesses", "new add "];
    assert_eq!(plan(&mut world, None), expected);
    assert_eq!(plan(&mut world, Some("WEB")), ["web reload args"]);
    assert_eq!(world.spawns.len(), before);
    assert_eq!(args(&world), "");
}

#[test]
fn what_cannot_be_deployed_is_refused() {
    let mut world = world("new");
    world.arbiter.watchers.values_mut().for_each(|w| Rc::make_mut(&mut w.config).options.send_hup = true);
    let ticket = deploy(&mut world, PLAIN, 1.0);
    assert!(refused(&world, ticket).contains("keeps its processes in a reload"));
    world.files = Ok(NewConfig::default());
    world.arbiter.watchers.values_mut().for_each(|w| Rc::make_mut(&mut w.config).options.send_hup = false);
    let ticket = deploy(&mut world, PLAIN, 1.0);
    assert!(refused(&world, ticket).contains("is not in the configuration any more"));
}

#[test]
fn a_reload_that_is_asked_for_ends_a_canary() {
    for pause in [0.0, 5.0] {
        let mut world = world("new");
        deploy(&mut world, Manner { canary: Some(1), ..PLAIN }, pause);
        let before = running(&world);
        let reload = Task::Reload { name: Some("web".into()), graceful: true, sequential: false };
        let ticket = world.order(reload.waiting(true));
        world.run(10.0);
        assert!(succeeded(&world, ticket) && !it(&world).is_reloading() && args(&world) == "new");
        assert!(running(&world).len() == 3 && !before.iter().any(|pid| running(&world).contains(pid)));
    }
}

#[test]
fn a_file_that_is_as_what_runs_has_nothing_newer() {
    let mut world = world("new");
    deploy(&mut world, PLAIN, 5.0);
    roll_back(&mut world);
    assert!(it(&world).fallen_back().is_some());
    write(&mut world, "");
    let ticket = deploy(&mut world, PLAIN, 5.0);
    assert!(succeeded(&world, ticket) && it(&world).fallen_back().is_none() && args(&world).is_empty());
}

#[test]
fn a_deployment_that_fails_takes_back_what_shapes_no_process_too() {
    let mut world = world("bad");
    let mut config = web("bad");
    config.options.graceful_timeout = 77.0;
    world.files = Ok(NewConfig { watchers: vec![config], ..NewConfig::default() });
    let before = it(&world).config.options.graceful_timeout;
    let ticket = deploy(&mut world, PLAIN, 5.0);
    assert!(refused(&world, ticket).contains("was not deployed"));
    assert_eq!(it(&world).config.options.graceful_timeout, before);
    assert!(world.published.contains(&("web".into(), Published::Updated)));
}
