//! Watchers that depend on each other in the simulated world.

use super::super::dependencies::Bond;
use super::super::watcher::DependencyState;
use super::super::watcher::{Goal, Watcher};
use super::*;

/// What must hold at all times: who runs has what it requires, and who waits has a reason. What goes in a circle does
/// not count.
pub(super) fn check(arbiter: &Arbiter, watcher: &Watcher) {
    let name = &watcher.config.name;
    let runs = matches!(watcher.status(), Status::Starting | Status::Active);
    assert!(
        !runs || !watcher.prerequisites.dependency.must_stop,
        "{name} runs: {:?}",
        watcher.prerequisites.dependency
    );
    assert!(
        !watcher.is_held_back()
            || watcher.status() == Status::Stopping && watcher.prerequisites.dependency.followed,
        "{name} waits"
    );
    let stops = |(id, _): &(WatcherId, Bond)| {
        arbiter.watcher(*id).is_some_and(|other| other.status() == Status::Stopping)
    };
    let dependents = arbiter.dependencies.dependents_of(watcher.id);
    assert!(!watcher.is_held_back() || dependents.iter().any(stops), "{name} waits for ever");
    let fresh = arbiter.dependency_of(watcher.id);
    let old = &watcher.prerequisites.dependency;
    let what = |found: &DependencyState| (found.must_stop, found.in_vain, found.followed, found.hopeless);
    let (a, b) = (what(&fresh), what(old));
    let idle = watcher.status() == Status::Stopped && watcher.goal != Goal::Up && !watcher.queued;
    assert!(idle || a == b, "{name}: {fresh:?} and not {old:?}");
}

pub(super) fn random_options(config: &mut WatcherConfig, dice: &mut Dice) {
    if dice.roll(2) == 0 {
        return;
    }
    let names = ["a", "b", "c:ok", "d:done", "a, c", "ghost", ""];
    let mut any = || Some(names[dice.roll(7) as usize].into());
    (config.options.after, config.options.requires) = (any(), any());
}

pub(super) fn random_option(dice: &mut Dice) -> (String, Value) {
    let key = ["after", "requires"][dice.roll(2) as usize];
    (key.into(), Value::Str(["a", "b d", "c", "", "ghost"][dice.roll(5) as usize].into()))
}

fn requiring(name: &str, requires: &str) -> WatcherConfig {
    let mut config = watcher(name, 1);
    config.options.requires = Some(requires.into());
    config
}

fn following(name: &str, after: &str) -> WatcherConfig {
    let mut config = watcher(name, 1);
    config.options.after = Some(after.into());
    config
}

fn slow(mut config: WatcherConfig) -> WatcherConfig {
    config.options.ready = Some("after:2".into());
    config
}

fn statuses(world: &World, names: &[&str]) -> Vec<&'static str> {
    names.iter().map(|name| world.status(name)).collect()
}

fn order(world: &mut World, word: &str, name: &str) -> Ticket {
    let (who, waiting) = (if name.is_empty() { Select::All } else { only(name) }, true);
    world.order(match word {
        "start" => Task::Start(who).waiting(waiting),
        "stop" => Task::Stop(who).waiting(waiting),
        _ => Task::Restart(who).waiting(waiting),
    })
}

/// Who was asked to end, in this order.
fn asked(world: &World) -> Vec<String> {
    let killed = world.published.iter().filter(|(_, what)| matches!(what, Published::Kill { .. }));
    killed.map(|(name, _)| name.clone()).collect()
}

fn fault(world: &World, name: &str) -> String {
    world.arbiter.find(name).unwrap().fault().unwrap_or_default()
}

#[test]
fn they_start_in_order_and_stop_in_the_reverse_order() {
    for with in [requiring, following] {
        let mut world = World::new(vec![with("a", "B"), slow(with("b", "c")), slow(watcher("c", 1))]);
        let all = ["a", "b", "c"];
        world.send(Event::Start);
        assert_eq!(statuses(&world, &all), ["stopped", "stopped", "starting"]);
        assert_eq!(fault(&world, "a"), "stopped: it waits for B");
        world.run(2.1);
        assert_eq!(statuses(&world, &all), ["stopped", "starting", "active"]);
        world.run(2.1);
        assert_eq!(statuses(&world, &all), ["active"; 3]);
        world.scripts.insert("a".into(), Script { obeys: Some(1.0), ..GOOD });
        let pid = world.pids("a")[0];
        world.procs.get_mut(&pid).unwrap().script.obeys = Some(1.0);
        let ticket = order(&mut world, "stop", "");
        assert_eq!((statuses(&world, &all), asked(&world)), (vec!["stopping"; 3], vec!["a".into()]));
        world.run(1.5);
        assert_eq!((asked(&world), &world.replies[&ticket]), (all.map(String::from).to_vec(), &Reply::Ok));
        let ticket = order(&mut world, "start", "");
        world.run(5.0);
        assert_eq!((statuses(&world, &all), &world.replies[&ticket]), (vec!["active"; 3], &Reply::Ok));
        world.published.clear();
        world.send(Event::Terminate);
        world.run(2.0);
        assert!(world.exited && asked(&world) == ["a", "b", "c"], "{:?}", asked(&world));
    }
}

#[test]
fn who_requires_a_watcher_stops_before_it_and_comes_back_with_it() {
    let mut world = World::booted(vec![requiring("app", "db"), watcher("db", 1), watcher("other", 1)]);
    let names = ["app", "db", "other"];
    let kept = world.pids("other");
    let stopped = order(&mut world, "stop", "db");
    assert_eq!(asked(&world), ["app"]);
    world.run(1.0);
    assert_eq!((asked(&world), &world.replies[&stopped]), (vec!["app".into(), "db".into()], &Reply::Stopped));
    assert_eq!(statuses(&world, &names), ["stopped", "stopped", "active"]);
    assert_eq!(fault(&world, "app"), "stopped: it requires db, which does not run");
    order(&mut world, "start", "db");
    assert_eq!(statuses(&world, &names), ["active"; 3]);
    world.published.clear();
    let restarted = order(&mut world, "restart", "db");
    world.run(1.0);
    assert_eq!(
        (statuses(&world, &names), asked(&world)),
        (vec!["active"; 3], vec!["app".into(), "db".into()])
    );
    assert!(matches!(&world.replies[&restarted], Reply::Info { .. }));
    assert_eq!(world.pids("other"), kept);
}

#[test]
fn who_starts_a_watcher_starts_what_it_requires() {
    let manual = |mut config: WatcherConfig| {
        config.options.autostart = false;
        config
    };
    let configs =
        [requiring("a", "b"), requiring("b", "c"), watcher("c", 1), following("x", "c")].map(manual);
    let mut world = World::booted(configs.to_vec());
    let ticket = order(&mut world, "start", "x");
    assert_eq!((world.status("x"), world.status("c")), ("active", "stopped"), "an order alone");
    assert!(matches!(&world.replies[&ticket], Reply::Info { .. }));
    order(&mut world, "start", "a");
    assert_eq!(statuses(&world, &["a", "b", "c"]), ["active"; 3]);
    order(&mut world, "stop", "c");
    world.run(1.0);
    assert_eq!(fault(&world, "a"), "stopped: it requires b, which does not run");
    let ticket = order(&mut world, "start", "a");
    assert_eq!(statuses(&world, &["a", "b", "c"]), ["active"; 3]);
    assert!(matches!(&world.replies[&ticket], Reply::Info { .. }), "{:?}", world.replies[&ticket]);
}

#[test]
fn who_requires_a_watcher_that_fails_is_stopped_and_told_why() {
    let mut db = watcher("db", 1);
    db.options.respawn = Respawn::Never;
    let mut world = World::booted(vec![requiring("app", "db"), db, following("x", "db")]);
    let pid = world.pids("db")[0];
    world.kill9(pid);
    world.run(1.0);
    assert_eq!(statuses(&world, &["app", "db", "x"]), ["stopped", "stopped", "active"]);
    world.scripts.insert("db".into(), Script { broken: true, ..GOOD });
    let ticket = order(&mut world, "start", "app");
    world.run(20.0);
    let Reply::Error { reason, .. } = &world.replies[&ticket] else { panic!("it did not start") };
    assert_eq!(reason, "'app' did not start: it requires db, which does not run: exec: No such file");
    world.scripts.clear();
    order(&mut world, "start", "app");
    assert_eq!(statuses(&world, &["app", "db"]), ["active"; 2]);
}

#[test]
fn a_reason_that_does_not_hold_any_more_is_not_told() {
    let mut config = watcher("b", 1);
    config.options.max_retry = 0;
    let mut world = World::new(vec![requiring("a", "b"), config]);
    world.scripts.insert("b".into(), Script { broken: true, ..GOOD });
    world.send(Event::Start);
    world.run(1.0);
    assert!(fault(&world, "a").contains("b, which does not run: "), "{}", fault(&world, "a"));
    order(&mut world, "stop", "b");
    assert!(fault(&world, "a").ends_with("b, which does not run"), "{}", fault(&world, "a"));
}

#[test]
fn a_crash_that_is_mended_stops_nobody() {
    let mut world = World::booted(vec![requiring("app", "db"), watcher("db", 1)]);
    world.run(5.0);
    let (app, db) = (world.pids("app"), world.pids("db")[0]);
    world.kill9(db);
    world.run(1.0);
    assert_eq!((world.pids("app"), world.status("db")), (app, "active"));
}

#[test]
fn what_is_not_there_is_waited_for_in_vain_until_it_comes() {
    let mut world = World::booted(vec![requiring("app", "db"), following("x", "db")]);
    assert_eq!((world.status("x"), world.status("app")), ("active", "stopped"));
    assert_eq!(fault(&world, "app"), "stopped: it requires db, and there is no such watcher");
    let ticket = order(&mut world, "start", "app");
    assert!(matches!(&world.replies[&ticket], Reply::Error { .. }), "nobody waits for ever");
    let add = |start| {
        Task::Edit(Edit::Add { name: "DB".into(), cmd: "x".into(), args: None, options: vec![], start })
    };
    world.order(add(true));
    assert_eq!((world.status("DB"), world.status("app")), ("active", "active"));
    world.order(Task::Edit(Edit::Rm { name: "db".into(), nostop: false }));
    assert_eq!(asked(&world), ["app"], "even who is forgotten goes last");
    world.run(1.0);
    assert_eq!((world.status("db"), world.status("app")), ("gone", "stopped"));
}

#[test]
fn a_circle_does_not_count_and_is_told() {
    let configs = vec![requiring("a", "b"), requiring("b", "c"), requiring("c", "a"), requiring("d", "a")];
    let world = World::booted(configs);
    assert_eq!(statuses(&world, &["a", "b", "c", "d"]), ["active"; 4]);
    let said = |name: &str| {
        let text = format!("{name}: after and requires form a circle and are ignored");
        world.log.iter().any(|(level, line)| *level == Level::Error && *line == text)
    };
    assert_eq!(["a", "b", "c", "d"].map(said), [true, true, true, false]);
}

#[test]
fn a_set_holds_at_once() {
    let mut world = World::booted(vec![watcher("app", 1), watcher("db", 1)]);
    order(&mut world, "stop", "db");
    world.run(1.0);
    let set = |text: &str| {
        Task::Edit(Edit::Set {
            name: "app".into(),
            options: vec![("requires".into(), Value::Str(text.into()))],
        })
        .waiting(true)
    };
    let ticket = world.order(set("db"));
    world.run(1.0);
    assert_eq!((world.status("app"), world.replies.contains_key(&ticket)), ("stopped", true));
    world.order(set(""));
    assert_eq!(world.status("app"), "active");
}

#[test]
fn one_that_starts_on_demand_is_there_while_it_waits() {
    let mut lazy = watcher("db", 1);
    lazy.options.on_demand = true;
    let mut world = World::booted(vec![requiring("app", "db"), lazy]);
    assert_eq!((world.status("db"), world.status("app")), ("stopped", "active"));
    world.connect();
    assert_eq!((world.status("db"), world.status("app")), ("active", "active"));
}

#[test]
fn one_that_rests_until_its_sockets_are_used_is_no_loss_but_one_that_cannot_start_is() {
    let mut lazy = requiring("db", "net");
    lazy.options.on_demand = true;
    let mut world = World::booted(vec![requiring("app", "db"), lazy, watcher("net", 1)]);
    let names = ["app", "db", "net"];
    let app = world.pids("app");
    for end in ["by itself", "restart"] {
        world.connect();
        world.run(5.0);
        assert_eq!((statuses(&world, &names), world.pids("app")), (vec!["active"; 3], app.clone()));
        if end == "restart" {
            order(&mut world, "restart", "db");
        } else {
            let pid = world.pids("db")[0];
            world.kill9(pid);
        }
        world.run(5.0);
        assert_eq!((world.status("db"), world.pids("app")), ("stopped", app.clone()), "{end}");
    }
    world.connect();
    world.published.clear();
    let stopped = order(&mut world, "stop", "net");
    world.run(2.0);
    assert_eq!(
        (statuses(&world, &names), asked(&world)),
        (vec!["stopped"; 3], names.map(String::from).to_vec())
    );
    assert_eq!(world.replies[&stopped], Reply::Stopped);
    order(&mut world, "start", "net");
    assert_eq!(statuses(&world, &names), ["active", "stopped", "active"]);
}

#[test]
fn who_waits_for_one_that_goes_on_failing_is_told() {
    let mut db = watcher("db", 1);
    db.options.max_retry = -1;
    let after = following("after", "db");
    let configs = [requiring("x", "app"), requiring("app", "db"), db, after].map(|mut config| {
        config.options.autostart = false;
        config
    });
    let mut world = World::booted(configs.to_vec());
    world.scripts.insert("db".into(), Script { broken: true, ..GOOD });
    let tickets = ["x", "after"].map(|name| order(&mut world, "start", name));
    world.run(30.0);
    for ticket in tickets {
        assert!(matches!(world.replies.get(&ticket), Some(Reply::Error { errno: Errno::Failed, .. })));
    }
    assert_eq!(statuses(&world, &["x", "app", "after", "db"]), ["stopped", "stopped", "stopped", "starting"]);
    world.scripts.clear();
    world.run(30.0);
    assert_eq!(statuses(&world, &["x", "app", "after", "db"]), ["active"; 4]);
}

#[test]
fn a_second_signal_waits_for_nobody() {
    let mut world = World::booted(vec![requiring("app", "db"), watcher("db", 1)]);
    for name in ["app", "db"] {
        let pid = world.pids(name)[0];
        world.procs.get_mut(&pid).unwrap().script.obeys = None;
    }
    world.send(Event::Terminate);
    world.run(1.0);
    assert!(!world.exited && asked(&world) == ["app"]);
    world.send(Event::Terminate);
    world.run(0.1);
    assert!(world.exited);
}

#[test]
fn one_that_gets_its_first_process_brings_along_what_it_requires() {
    let mut app = requiring("app", "db");
    app.options.numprocesses = 0;
    let mut db = watcher("db", 1);
    db.options.autostart = false;
    let mut world = World::booted(vec![app, db]);
    world.order(Task::Start(only("app")));
    world.order(Task::Stop(only("db")));
    world.run(1.0);
    assert_eq!(statuses(&world, &["app", "db"]), ["stopped", "stopped"]);
    world.order(Task::Change { name: "app".into(), by: 1 });
    assert_eq!(statuses(&world, &["app", "db"]), ["active", "active"]);
}

#[test]
fn a_stop_has_the_last_word_over_a_start_of_several_whose_turn_comes_later() {
    let mut web = watcher("web", 1);
    web.options.requires = Some("db".into());
    let mut world = World::new(vec![watcher("db", 1), web]);
    world.set_warmup_delay(1.0);
    world.send(Event::Start);
    world.run(0.5);
    assert_eq!((world.status("db"), world.status("web")), ("active", "stopped"));
    world.order(Task::Stop(only("db")));
    world.run(20.0);
    assert_eq!((world.status("db"), world.status("web")), ("stopped", "stopped"));
    world.order(Task::Start(only("web")));
    world.run(1.0);
    assert_eq!((world.status("db"), world.status("web")), ("active", "active"));
}

#[test]
fn one_that_is_being_removed_takes_nobody_along() {
    let mut world = World::booted(vec![watcher("c", 1), requiring("b", "c"), requiring("a", "b")]);
    order(&mut world, "stop", "c");
    world.order(Task::Edit(Edit::Rm { name: "b".into(), nostop: false }));
    order(&mut world, "start", "a");
    world.run(5.0);
    assert_eq!(statuses(&world, &["a", "b", "c"]), ["stopped", "gone", "stopped"]);
}

/// A one-shot that ends after a second with this code, and `app`, which requires its end.
fn migration(code: i32, requires: &str) -> World {
    let mut once = watcher("migrate", 1);
    once.options.respawn = Respawn::Never;
    let mut world = World::new(vec![requiring("app", requires), once]);
    world.scripts.insert("migrate".into(), Script { lives: Some(1.5), code, ..GOOD });
    world.send(Event::Start);
    world
}

const BOTH: [&str; 2] = ["app", "migrate"];

#[test]
fn a_one_shot_that_has_ended_well_lets_its_dependents_start_and_is_not_run_again_with_them() {
    for requires in ["migrate:ok", "Migrate:done"] {
        let mut world = migration(0, requires);
        assert_eq!(statuses(&world, &BOTH), ["stopped", "active"]);
        assert!(fault(&world, "app").contains("igrate to end"), "{}", fault(&world, "app"));
        world.run(2.0);
        assert_eq!(statuses(&world, &BOTH), ["active", "stopped"]);
        let spawns = |world: &World| world.spawns.iter().filter(|(_, name)| name == "migrate").count();
        for word in ["restart", "stop", "start"] {
            order(&mut world, word, "app");
            world.run(2.0);
        }
        assert_eq!((statuses(&world, &BOTH), spawns(&world)), (vec!["active", "stopped"], 1));
        // Run again by order, and failing, it is nothing to what runs.
        world.scripts.insert("migrate".into(), Script { lives: Some(0.5), code: 3, ..GOOD });
        let pids = world.pids("app");
        order(&mut world, "start", "migrate");
        world.run(2.0);
        assert_eq!((statuses(&world, &BOTH), world.pids("app")), (vec!["active", "stopped"], pids));
    }
}

#[test]
fn a_one_shot_that_fails_keeps_down_what_requires_that_it_ends_well() {
    let mut world = migration(3, "migrate:ok");
    world.run(2.0);
    assert_eq!(statuses(&world, &BOTH), ["stopped", "stopped"]);
    assert_eq!(fault(&world, "app"), "stopped: it requires migrate to end, which has ended badly");
    // Who orders the dependent tries the one-shot again.
    world.scripts.insert("migrate".into(), Script { lives: Some(0.5), code: 0, ..GOOD });
    let ticket = order(&mut world, "start", "app");
    world.run(2.0);
    assert_eq!(statuses(&world, &BOTH), ["active", "stopped"]);
    assert!(!matches!(world.replies[&ticket], Reply::Error { .. }), "{:?}", world.replies[&ticket]);
    // Any end will do for others.
    let mut world = migration(3, "migrate:done");
    world.run(2.0);
    assert_eq!(statuses(&world, &BOTH), ["active", "stopped"]);
}

#[test]
fn after_an_end_waits_for_one_that_is_coming_only() {
    let mut once = watcher("migrate", 1);
    (once.options.respawn, once.options.autostart) = (Respawn::Never, false);
    let mut world = World::booted(vec![following("app", "migrate:ok"), once]);
    assert_eq!(statuses(&world, &BOTH), ["active", "stopped"]);
    order(&mut world, "stop", "app");
    world.run(1.0);
    order(&mut world, "start", "migrate");
    order(&mut world, "start", "app");
    assert_eq!(statuses(&world, &BOTH), ["stopped", "active"]);
    // It does not end by itself: somebody stops it, and nothing comes any more.
    order(&mut world, "stop", "migrate");
    world.run(1.0);
    assert_eq!(statuses(&world, &BOTH), ["active", "stopped"]);
}
