//! Scenarios of watchers with hooks.

use super::*;

const NEVER: HookScript = (None, Answer::Yes);

fn no() -> Answer {
    Answer::No
}

fn refused() -> Answer {
    Answer::Refused("exited with code 1".into())
}

fn failed() -> Answer {
    Answer::Failed("boom".into())
}

/// A watcher with these hooks, of which one answers so.
fn scripted(hooks: &[&'static str], hook: &'static str, script: HookScript) -> World {
    let mut world = World::new(vec![hooked("web", 2, hooks)]);
    world.hook_scripts.insert(("web".into(), hook), script);
    world.send(Event::Start);
    world
}

/// The same for one hook and an answer that comes a tenth of a second later.
fn answering(hook: &'static str, answer: Answer) -> World {
    let mut world = scripted(&[hook], hook, (Some(0.1), answer));
    world.run(1.0);
    world
}

fn start() -> Order {
    Task::Start(only("web")).waiting(true)
}

fn stop() -> Order {
    Task::Stop(only("web")).waiting(true)
}

fn count(world: &World, wanted: Published) -> usize {
    world.published.iter().filter(|(_, what)| *what == wanted).count()
}

fn hooks_called(world: &World) -> Vec<&'static str> {
    world.called.iter().map(|(hook, _)| hook.name()).collect()
}

#[test]
fn every_hook_is_called_in_circuss_order() {
    let all: Vec<&str> = hooks::NAMES.to_vec();
    let mut config = hooked("web", 1, &all);
    config.options.graceful_timeout = 1.0;
    let mut world = World::booted(vec![config]);
    world.run(1.0);
    world.order(stop());
    world.run(1.0);
    let wanted = [
        "before_start",
        "before_spawn",
        "after_spawn",
        "after_start",
        "before_stop",
        "before_signal",
        "after_signal",
        "before_reap",
        "after_reap",
        "after_stop",
    ];
    assert_eq!((hooks_called(&world), world.status("web")), (wanted.to_vec(), "stopped"));
    let about = |name: &str| world.called.iter().find(|(hook, _)| hook.name() == name).unwrap().1;
    assert_eq!(about("after_spawn"), About { pid: Some(100), ..About::default() });
    assert_eq!(about("before_signal"), About { pid: Some(100), signum: Some(15), ..About::default() });
    let exit = Some(Exit::Signal(15));
    assert_eq!(about("after_reap"), About { pid: Some(100), exit, asked: true, ..About::default() });
    assert_eq!(count(&world, Published::HookSuccess { hook: Hook::AfterStop }), 1);
}

#[test]
fn before_start_that_says_no_leaves_the_watcher_stopped_and_is_not_asked_again() {
    for answer in [no(), refused(), failed()] {
        let mut world = answering("before_start", answer);
        world.run(60.0);
        assert_eq!((world.status("web"), world.spawns.len(), world.called.len()), ("stopped", 0, 1));
        assert_eq!(count(&world, Published::Stop), 0, "it had not started");
        let t = world.order(start());
        assert_eq!(world.status("web"), "starting", "while the hook runs");
        world.run(1.0);
        let Reply::Error { reason, .. } = &world.replies[&t] else { panic!("it did not start") };
        assert!(reason.starts_with("'web' did not start: its hook before_start"), "{reason}");
    }
}

#[test]
fn failures_are_ignored_where_the_configuration_says_so() {
    for (answer, status) in [(no(), "stopped"), (refused(), "active"), (failed(), "active")] {
        let mut config = hooked("web", 1, &[]);
        config.hooks.insert("before_start".into(), ("/hook".into(), true));
        let mut world = World::new(vec![config]);
        world.hook_scripts.insert(("web".into(), "before_start"), (Some(0.1), answer));
        world.send(Event::Start);
        world.run(1.0);
        assert_eq!(world.status("web"), status);
    }
}

#[test]
fn a_stop_overtakes_the_hooks_of_a_start() {
    for (hook, spawns) in [("before_start", 0), ("before_spawn", 0), ("after_spawn", 1), ("after_start", 2)] {
        let mut world = scripted(&[hook], hook, NEVER);
        let started = world.order(start());
        let t = world.order(stop());
        world.run(0.1);
        assert_eq!(
            (world.status("web"), world.replies.get(&t)),
            ("stopped", Some(&Reply::Stopped)),
            "{hook}"
        );
        assert!(matches!(world.replies[&started], Reply::Error { .. }), "{hook}");
        assert_eq!((world.spawns.len(), world.hooks.len()), (spawns, 0), "{hook}");
        world.answer_late(&Answer::Yes);
        world.hook_scripts.clear();
        world.order(start());
        world.run(0.1);
        assert_eq!(world.pids("web").len(), 2, "{hook}");
        world.answer_late(&Answer::No);
    }
}

#[test]
fn a_restart_during_before_start_asks_again() {
    let mut world = scripted(&["before_start"], "before_start", NEVER);
    let t = world.order(Task::Restart(only("web")).waiting(true));
    assert_eq!((world.called.len(), world.hooks.len()), (2, 1));
    world.run(31.0);
    assert!(matches!(&world.replies[&t], Reply::Error { reason, .. } if reason.contains("longer than 30 s")));
}

#[test]
fn after_start_that_says_no_stops_the_watcher() {
    for answer in [no(), refused(), failed()] {
        let world = answering("after_start", answer);
        assert_eq!((world.status("web"), world.spawns.len(), world.procs.len()), ("stopped", 2, 0));
        assert_eq!((count(&world, Published::Start), count(&world, Published::Stop)), (0, 1));
    }
}

#[test]
fn processes_that_die_while_after_start_runs_are_replaced() {
    let mut world = scripted(&["after_start"], "after_start", (Some(5.0), Answer::Yes));
    world.run(2.0);
    world.kill9(world.pids("web")[0]);
    assert_eq!((world.pids("web").len(), world.status("web")), (2, "starting"));
    world.run(5.0);
    assert_eq!((world.called.len(), world.status("web")), (1, "active"));
}

#[test]
fn before_spawn_that_says_no_stops_the_watcher_with_all_its_processes() {
    assert_eq!(answering("before_spawn", no()).status("web"), "stopped");
    let mut world = scripted(&["before_spawn"], "before_spawn", (Some(0.1), Answer::Yes));
    world.run(2.0);
    assert_eq!(world.pids("web").len(), 2);
    world.hook_scripts.insert(("web".into(), "before_spawn"), (Some(0.1), no()));
    world.kill9(world.pids("web")[0]);
    world.run(1.0);
    assert_eq!((world.status("web"), world.spawns.len(), world.procs.len()), ("stopped", 2, 0));
}

#[test]
fn after_spawn_that_says_no_ends_the_process_and_the_watcher() {
    let world = answering("after_spawn", no());
    assert_eq!((world.status("web"), world.spawns.len(), world.procs.len()), ("stopped", 1, 0));
    let whats: Vec<_> = world.published.iter().map(|(_, what)| what).collect();
    let at = |wanted: &dyn Fn(&Published) -> bool| whats.iter().position(|what| wanted(what)).unwrap();
    let spawn = at(&|what| matches!(what, Published::Spawn { .. }));
    assert!(at(&|what| matches!(what, Published::HookSuccess { .. })) < spawn);
    assert!(spawn < at(&|what| matches!(what, Published::Kill { .. })));
}

#[test]
fn the_next_process_waits_for_after_spawn_of_the_one_before() {
    let mut world = scripted(&["after_spawn"], "after_spawn", (Some(1.0), Answer::Yes));
    let start = world.now;
    world.run(5.0);
    let at: Vec<f64> = world.spawns.iter().map(|(t, _)| t.since(start).round()).collect();
    assert_eq!((at, world.status("web")), (vec![0.0, 1.0], "active"));
}

#[test]
fn a_process_that_dies_is_replaced_without_waiting_for_its_after_spawn() {
    let mut world = scripted(&["after_spawn"], "after_spawn", (Some(10.0), Answer::No));
    world.run(2.0);
    world.kill9(world.pids("web")[0]);
    assert_eq!((world.spawns.len(), world.hooks.len()), (2, 1), "a new process, and a new hook");
    world.answer_late(&Answer::No);
    assert_eq!((world.pids("web").len(), world.status("web")), (1, "starting"));
}

#[test]
fn a_reload_whose_new_processes_are_refused_leaves_the_old_ones() {
    for hook in ["before_spawn", "after_spawn"] {
        let mut world = scripted(&[hook], hook, (Some(0.1), Answer::Yes));
        world.run(1.0);
        let old = world.pids("web");
        world.hook_scripts.insert(("web".into(), hook), (Some(0.1), refused()));
        let (name, graceful) = (Some("web".to_string()), true);
        let t = world.order(Task::Reload { name, graceful, sequential: false }.waiting(true));
        world.run(1.0);
        assert_eq!((world.pids("web"), world.status("web")), (old, "active"));
        let Reply::Error { reason, .. } = &world.replies[&t] else { panic!("it was reloaded") };
        assert!(reason.contains(&format!("its hook {hook} failed: exited with code 1")), "{reason}");
    }
}

#[test]
fn too_old_a_process_stays_until_after_spawn_has_agreed_to_its_successor() {
    let mut config = hooked("web", 1, &["after_spawn"]);
    config.options.use_sockets = true;
    (config.options.max_age, config.options.max_age_variance) = (10, 0);
    let mut world = World::booted(vec![config]);
    world.run(5.0);
    let old = world.pids("web");
    world.hook_scripts.insert(("web".into(), "after_spawn"), (Some(3.0), Answer::Yes));
    world.run(6.0);
    assert_eq!((world.pids("web").len(), world.pids("web")[0]), (2, old[0]));
    world.run(3.0);
    assert!(world.pids("web").len() == 1 && world.pids("web") != old);
}

#[test]
fn before_signal_holds_back_the_signal_but_not_sigkill() {
    for (answer, sent) in
        [(Answer::Yes, vec![15]), (no(), vec![9]), (refused(), vec![9]), (failed(), vec![15])]
    {
        let mut world = scripted(&["before_signal"], "before_signal", (Some(1.0), answer));
        world.order(stop());
        world.run(0.9);
        assert_eq!((world.signals.len(), world.status("web")), (0, "stopping"));
        world.run(5.0); // graceful_timeout begins with the answer
        assert_eq!(world.pids("web").len(), if sent == [9] { 2 } else { 0 });
        world.run(2.0);
        let mut signals: Vec<i32> = world.signals.iter().map(|(_, signum)| *signum).collect();
        signals.dedup();
        assert_eq!((signals.first(), world.status("web")), (sent.first(), "stopped"));
    }
}

#[test]
fn a_clients_signal_is_asked_about_and_one_to_children_is_not() {
    let mut world = scripted(&["before_signal", "after_signal"], "before_signal", (Some(0.1), no()));
    let order = |signum, children| Task::Signal {
        name: "web".into(),
        pid: None,
        whom: if children { Whom::Children } else { Whom::Process },
        signum,
    };
    world.order(order(1, false));
    world.order(order(1, true));
    assert_eq!(world.signals.len(), 2, "to the children at once");
    world.run(1.0);
    assert_eq!((world.signals.len(), hooks_called(&world).len()), (2, 4), "not to the processes");
    world.order(order(9, false));
    assert_eq!(world.signals.len(), 4, "SIGKILL at once");
}

#[test]
fn signals_that_wait_for_hooks_have_an_end() {
    let mut world = World::booted(vec![hooked("web", 500, &["before_signal"])]);
    world.hook_scripts.insert(("web".into(), "before_signal"), NEVER);
    let mut signal = || {
        let (name, pid) = ("web".into(), None);
        world.order(Task::Signal { name, pid, whom: Whom::Process, signum: 1 })
    };
    let tickets: Vec<Ticket> = (0..21).map(|_| signal()).collect();
    assert_eq!((&world.replies[&tickets[19]], world.hooks.len()), (&Reply::Ok, 10_000));
    assert!(matches!(world.replies[&tickets[20]], Reply::Error { errno: Errno::Conflict, .. }));
    world.run(31.0);
    assert_eq!((world.hooks.len(), world.signals.len()), (0, 10_000), "a broken hook holds nothing back");
}

#[test]
fn no_stop_waits_for_a_hook_longer_than_its_timeout() {
    let all = ["before_stop", "before_signal", "after_signal", "before_reap", "after_reap", "after_stop"];
    for hook in all {
        let mut world = scripted(&all, hook, NEVER);
        let t = world.order(stop());
        world.run(29.0);
        assert_eq!(world.status("web"), "stopping", "{hook}");
        world.run(2.0);
        assert_eq!(
            (world.status("web"), world.replies.get(&t)),
            ("stopped", Some(&Reply::Stopped)),
            "{hook}"
        );
        let failure = world.published.iter().find_map(|(_, what)| match what {
            Published::HookFailure { error, .. } => Some(error.as_str()),
            _ => None,
        });
        assert_eq!(failure, Some("it took longer than 30 s"), "{hook}");
    }
}

#[test]
fn a_start_waits_for_hooks_that_circus_is_too_short_of_something_to_run() {
    for hook in ["before_start", "after_start", "before_spawn", "after_spawn"] {
        let mut world = scripted(&[hook], hook, NEVER);
        for _ in 0..10 {
            world.run(29.0);
            world.delay_hooks();
        }
        assert_eq!(world.status("web"), "starting", "{hook}");
        world.hook_scripts.clear();
        let waiting: Vec<_> = world.hooks.iter().map(|(id, hooked)| (*id, hooked.watcher)).collect();
        for (id, watcher) in waiting {
            world.hooks.remove(&id);
            world.send(Event::HookDone { id, watcher, answer: Answer::Yes });
        }
        world.run(1.0);
        assert_eq!((world.status("web"), world.pids("web").len()), ("active", 2), "{hook}");
    }
}

#[test]
fn a_stop_waits_no_longer_for_them() {
    for hook in ["before_stop", "before_signal", "after_stop"] {
        let mut world = scripted(&[hook], hook, NEVER);
        world.order(stop());
        world.run(29.0);
        world.delay_hooks();
        world.run(2.0);
        assert_eq!(world.status("web"), "stopped", "{hook}");
    }
}

#[test]
fn before_stop_comes_before_any_signal_and_after_stop_when_nothing_is_left() {
    let mut world = scripted(&["before_stop", "after_stop"], "before_stop", (Some(1.0), no()));
    world.hook_scripts.insert(("web".into(), "after_stop"), (Some(1.0), no()));
    let t = world.order(stop());
    world.run(0.9);
    assert_eq!((world.signals.len(), world.pids("web").len()), (0, 2));
    world.run(0.5);
    assert_eq!((count(&world, Published::Stop), world.status("web")), (1, "stopping"));
    world.order(start());
    world.run(0.3);
    assert_eq!(world.spawns.len(), 2, "not before after_stop has ended");
    world.run(1.0);
    assert_eq!((&world.replies[&t], world.pids("web").len()), (&Reply::Stopped, 2));
}

#[test]
fn before_stop_comes_before_the_signal_to_one_that_says_that_it_is_not_well() {
    let mut config = hooked("web", 1, &["before_stop"]);
    config.options.watchdog = Some(1.0);
    let mut world = World::booted(vec![config]);
    world.hook_scripts.insert(("web".into(), "before_stop"), (Some(1.0), Answer::Yes));
    world.order(stop());
    let pid = world.pids("web")[0];
    world.send(Event::Noticed { pid, notice: Notice::Trigger });
    world.run(0.9);
    assert_eq!(world.signals, []);
    world.run(0.5);
    assert!(world.signals.iter().all(|signal| *signal == (pid, 15)), "{:?}", world.signals);
    assert_eq!(world.status("web"), "stopped");
}

#[test]
fn who_is_in_a_hurry_waits_for_no_hook() {
    for hook in ["before_stop", "before_signal", "after_reap", "after_stop"] {
        let mut world = scripted(&["before_stop", "before_signal", "after_reap", "after_stop"], hook, NEVER);
        world.send(Event::Terminate);
        world.run(1.0);
        assert!(!world.exited, "{hook}");
        world.send(Event::Terminate);
        world.run(0.1);
        assert!(world.exited && world.hooks.is_empty() && world.procs.is_empty(), "{hook}");
    }
}

#[test]
fn hooks_can_be_set_while_the_watcher_runs() {
    let mut world = World::booted(vec![watcher("web", 1)]);
    let mut set = |hook: &str| {
        let options = vec![("hooks.before_signal".to_string(), Value::Str(hook.into()))];
        world.order(Task::Edit(Edit::Set { name: "web".into(), options }))
    };
    let pids = (set("/hook, true"), set(""), set("/other"));
    assert_eq!(world.replies[&pids.2], Reply::Ok);
    assert_eq!(world.spawns.len(), 1, "no process is touched");
    world.order(stop());
    world.run(1.0);
    assert_eq!((hooks_called(&world), world.status("web")), (vec!["before_signal"], "stopped"));
}

#[test]
fn a_watcher_that_is_removed_takes_its_hooks_along() {
    let mut world = scripted(&["after_spawn"], "after_spawn", NEVER);
    world.order(Task::Edit(Edit::Rm { name: "web".into(), nostop: true }));
    assert!(world.hooks.is_empty());
    world.answer_late(&Answer::No);
}

#[test]
fn a_singleton_that_lost_its_slot_is_not_doubled() {
    let mut config = watcher("one", 1);
    config.options.singleton = true;
    let mut world = World::booted(vec![config]);
    world.scripts.insert("one".into(), Script { obeys: None, ..GOOD });
    world.kill9(world.pids("one")[0]);
    world.run(1.0);
    for count in [0, 1] {
        let options = vec![("numprocesses".to_string(), Value::Int(count))];
        world.order(Task::Edit(Edit::Set { name: "one".into(), options }));
    }
    assert_eq!(world.pids("one").len(), 1);
    world.run(6.0);
    assert_eq!((world.pids("one").len(), world.spawns.len()), (1, 3));
}

#[test]
fn a_reload_without_processes_is_over_at_once() {
    let mut world = World::booted(vec![watcher("web", 1)]);
    let options = vec![("numprocesses".to_string(), Value::Int(0))];
    world.order(Task::Edit(Edit::Set { name: "web".into(), options }));
    world.run(1.0);
    let (name, graceful) = (Some("web".to_string()), true);
    let t = world.order(Task::Reload { name, graceful, sequential: false }.waiting(true));
    assert!(matches!(world.replies[&t], Reply::Info { .. }));
}
