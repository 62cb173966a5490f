//! How processes, watchers and circus end in the simulated world.

use super::*;

#[test]
fn a_process_that_is_held_before_it_is_its_program_can_be_stopped() {
    let mut world = World::new(vec![watcher("web", 1)]);
    let script = Script { broken: true, late: true, lives: Some(100.0), obeys: None, ..GOOD };
    world.scripts.insert("web".into(), script);
    world.send(Event::Start);
    world.run(2.0);
    let ticket = world.order(Task::Stop(only("web")).waiting(true));
    world.run(31.0);
    assert!(matches!(&world.replies[&ticket], Reply::Stopped), "{:?}", world.replies[&ticket]);
    assert_eq!((world.status("web"), world.procs.len()), ("stopped", 0));
}

#[test]
fn stop_asks_waits_and_kills_the_group() {
    let mut world = World::new(vec![watcher("deaf", 1)]);
    world.scripts.insert("deaf".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    let pid = world.pids("deaf")[0];
    let ticket = world.order(Task::Stop(only("deaf")).waiting(true));
    world.run(4.9);
    assert_eq!((world.status("deaf"), world.replies.len()), ("stopping", 0));
    world.run(0.2);
    assert_eq!(world.status("deaf"), "stopped");
    assert_eq!(world.signals, [(pid, 15), (pid, 9), (pid, 9)]);
    assert_eq!(world.replies[&ticket], Reply::Stopped);
}

#[test]
fn so_many_clients_wait_and_no_more() {
    let mut world = World::new(vec![watcher("deaf", 1)]);
    world.scripts.insert("deaf".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    let stop = |waiting| Task::Stop(only("deaf")).waiting(waiting);
    for _ in 0..super::super::waiters::MOST_WAITING {
        world.order(stop(true));
    }
    assert_eq!(world.replies.len(), 0, "all of them wait");
    let one_more = world.order(stop(true));
    assert!(matches!(&world.replies[&one_more], Reply::Error { errno: Errno::Conflict, .. }));
    let no_waiting = world.order(stop(false));
    assert_eq!(world.replies[&no_waiting], Reply::Ok);
    // Circus ends when it is told to, whoever waits for that.
    let quit = world.order(Task::Quit.waiting(true));
    assert!(matches!(&world.replies[&quit], Reply::Error { errno: Errno::Conflict, .. }));
    world.run(5.1);
    assert!(world.exited);
}

#[test]
fn a_group_that_outlives_its_leader_is_killed_at_the_deadline() {
    let mut world = World::new(vec![watcher("parent", 1)]);
    world.scripts.insert("parent".into(), Script { leaves: true, ..GOOD });
    world.send(Event::Start);
    world.order(Task::Stop(Select::All));
    world.run(1.0);
    assert_eq!(world.status("parent"), "stopping", "its leader is gone, its group is not");
    world.run(4.1);
    assert_eq!((world.status("parent"), world.groups.len()), ("stopped", 0));
}

#[test]
fn members_left_by_one_that_is_not_replaced_are_left_alone_until_the_stop() {
    let mut parent = watcher("parent", 2);
    parent.options.respawn = Respawn::Never;
    let mut world = World::new(vec![parent]);
    world.scripts.insert("parent".into(), Script { leaves: true, ..GOOD });
    world.send(Event::Start);
    world.run(2.0);
    let first = world.pids("parent")[0];
    world.kill9(first);
    world.run(100.0);
    assert!(world.groups.contains(&first));
    world.order(Task::Stop(Select::All));
    world.run(6.0);
    assert_eq!((world.status("parent"), world.groups.len()), ("stopped", 0));
}

#[test]
fn a_group_that_ended_unseen_is_forgotten_when_its_number_is_a_process_again() {
    let mut parent = watcher("parent", 2);
    parent.options.respawn = Respawn::Never;
    let mut world = World::new(vec![parent]);
    world.scripts.insert("parent".into(), Script { leaves: true, ..GOOD });
    world.send(Event::Start);
    let first = world.pids("parent")[0];
    world.run(2.0);
    world.scripts.clear();
    world.kill9(first);
    world.groups.clear();
    world.next_pid = first;
    world.arbiter.insert(watcher("other", 1));
    world.order(Task::Start(only("other")));
    assert_eq!(world.pids("other"), [first]);
    world.order(Task::Stop(only("parent")));
    world.run(1.0);
    assert_eq!((world.status("parent"), world.status("other")), ("stopped", "active"));
}

#[test]
fn a_stop_overtakes_a_start() {
    let mut config = watcher("slow", 10);
    config.options.warmup_delay = 1.0;
    let mut world = World::booted(vec![config]);
    let start = world.order(Task::Start(only("slow")).waiting(true));
    world.run(3.5);
    assert_eq!((world.status("slow"), world.pids("slow").len()), ("starting", 4));
    let stop = world.order(Task::Stop(only("slow")).waiting(true));
    world.run(0.1);
    assert_eq!(world.status("slow"), "stopped");
    assert!(matches!(world.replies[&start], Reply::Error { .. }), "told what happened");
    assert_eq!(world.replies[&stop], Reply::Stopped);
}

#[test]
fn a_signal_ends_everything_even_during_the_start_and_twice_at_once() {
    let mut slow = watcher("slow", 5);
    slow.options.warmup_delay = 3.0;
    slow.options.graceful_timeout = 600.0;
    let mut world = World::new(vec![slow, watcher("z", 1)]);
    world.scripts.insert("slow".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    world.run(4.0);
    world.send(Event::Terminate);
    world.run(100.0);
    assert!(!world.exited && world.signals.iter().all(|(_, signum)| *signum != 9));
    world.send(Event::Terminate);
    world.run(0.1);
    assert!(world.exited && world.procs.is_empty());
    let said = |(level, text): &&(Level, String)| {
        *level == Level::Warning && text.contains("second request to stop")
    };
    assert_eq!(world.log.iter().filter(said).count(), 1);
}

/// A process whose spawn was under way when circus was asked for the second time is not waited for either.
#[test]
fn a_hurry_holds_for_whatever_comes_later() {
    let mut stubborn = watcher("w", 2);
    stubborn.options.graceful_timeout = 600.0;
    let id = WatcherId(0);
    let mut arbiter = Arbiter::new(vec![stubborn], 0.0, 1);
    let (now, mut actions) = (Time(1), Vec::new());
    for (seconds, event) in [(0.0, Event::Start), (0.0, Event::Terminate), (2.0, Event::Terminate)] {
        arbiter.handle(now.plus(seconds), event, &mut actions);
    }
    assert!(actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
    actions.clear();
    arbiter.handle(now, Event::Spawned { watcher: id, pid: 7 }, &mut actions);
    let kill = Action::Signal { pid: 7, signum: 9, whom: Whom::Group };
    assert!(actions.contains(&kill), "{actions:?}");
}

/// A wrapper that forwards what its group has had, `timeout`, a manager that sends TERM and then INT.
#[test]
fn two_requests_to_end_within_a_second_are_one() {
    let mut world = World::new(vec![watcher("slow", 1)]);
    world.scripts.insert("slow".into(), Script { obeys: Some(4.0), ..GOOD });
    world.send(Event::Start);
    for pause in [0.0, 0.002, 0.5, 0.49] {
        world.run(pause);
        world.send(Event::Terminate);
    }
    let asked = world.signals.clone();
    world.run(1.0);
    assert!(asked.len() == 1 && world.signals == asked && !world.exited, "{:?}", world.signals);
    world.send(Event::Terminate);
    world.run(0.0);
    assert!(world.exited && world.signals.iter().any(|(_, signum)| *signum == 9), "this one is in a hurry");
}

/// A service manager that runs `circus ctl quit` and sends SIGTERM behind it wants an orderly stop.
#[test]
fn a_command_and_a_signal_are_no_hurry() {
    let mut slow = watcher("slow", 1);
    slow.options.graceful_timeout = 600.0;
    let mut world = World::booted(vec![slow]);
    world.scripts.insert("slow".into(), Script { obeys: Some(60.0), ..GOOD });
    world.order(Task::Quit);
    world.order(Task::Quit);
    world.send(Event::Terminate);
    world.order(Task::Quit.waiting(true));
    world.run(61.0);
    assert!(world.exited && world.signals.iter().all(|(_, signum)| *signum != 9));
}

#[test]
fn nobody_gets_stop_signal_twice_even_if_another_signal_came_between() {
    let mut world = World::booted(vec![watcher("web", 1)]);
    world.scripts.insert("web".into(), Script { obeys: None, ..GOOD });
    world.order(Task::Restart(only("web")));
    world.run(1.0);
    let (pid, before) = (world.pids("web")[0], world.signals.len());
    let kill = |signum| Task::Kill { name: "web".into(), pid: None, signum, graceful_timeout: Some(2.0) };
    for signum in [None, Some(2), None] {
        world.order(kill(signum));
    }
    assert_eq!(world.signals[before..], [(pid, 15), (pid, 2)]);
    world.run(2.1);
    assert_eq!(world.exits[&pid], Exit::Signal(9));
}
