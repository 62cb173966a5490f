//! Orders that change a watcher in the simulated world.

use super::*;

#[test]
fn incr_and_decr_change_the_number_and_end_the_oldest() {
    let mut world = World::booted(vec![watcher("web", 2)]);
    world.run(1.0);
    let old = world.pids("web");
    let up = world.order(Task::Change { name: "WEB".into(), by: 2 }.waiting(true));
    assert_eq!(world.pids("web").len(), 4);
    assert_eq!(world.replies[&up], Reply::Numprocesses { count: 4, singleton: false });
    world.run(1.0);
    let down = world.order(Task::Change { name: "web".into(), by: -2 }.waiting(true));
    world.run(0.1);
    assert!(world.pids("web").iter().all(|pid| !old.contains(pid)), "the oldest end first");
    assert_eq!(world.replies[&down], Reply::Numprocesses { count: 2, singleton: false });
    world.order(Task::Change { name: "web".into(), by: -100 });
    world.run(0.1);
    assert_eq!((world.status("web"), world.pids("web").len()), ("active", 0));
    world.order(Task::Change { name: "web".into(), by: 1 });
    assert_eq!(world.pids("web").len(), 1);
}

#[test]
fn a_watcher_that_was_to_have_no_process_starts_when_it_is_to_have_one() {
    let change = |by| Task::Change { name: "w".into(), by }.waiting(true);
    let set = |count| {
        Task::Edit(Edit::Set { name: "w".into(), options: vec![("numprocesses".into(), Value::Int(count))] })
            .waiting(true)
    };
    for singleton in [false, true] {
        for more in [change(1), set(1)] {
            let mut w = watcher("w", 0);
            w.options.singleton = singleton;
            let mut world = World::booted(vec![w]);
            assert_eq!((world.status("w"), world.spawns.len()), ("stopped", 0));
            world.order(more.clone());
            assert_eq!((world.status("w"), world.pids("w").len()), ("active", 1), "{singleton} {more:?}");
            // It can be emptied and filled again, also over a stop and a start.
            world.order(set(0));
            world.run(1.0);
            assert_eq!((world.status("w"), world.pids("w").len()), ("active", 0));
            world.order(more.clone());
            assert_eq!(world.pids("w").len(), 1);
            world.order(set(0));
            world.order(Task::Restart(only("w")));
            world.run(1.0);
            assert_eq!(world.status("w"), "stopped");
            world.order(more.clone());
            assert_eq!((world.status("w"), world.pids("w").len()), ("active", 1));
            // What somebody has stopped stays so.
            world.order(Task::Stop(only("w")));
            world.order(set(0));
            world.order(more.clone());
            world.run(1.0);
            assert_eq!(world.status("w"), "stopped");
        }
    }
}

#[test]
fn kill_shortens_the_patience_and_the_process_is_replaced() {
    let mut world = World::new(vec![watcher("deaf", 1)]);
    world.scripts.insert("deaf".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    let pid = world.pids("deaf")[0];
    let stop = world.order(
        Task::Kill { name: "deaf".into(), pid: Some(pid), signum: Some(2), graceful_timeout: Some(1.0) }
            .waiting(true),
    );
    world.run(1.1);
    assert_eq!(world.replies[&stop], Reply::Ok);
    assert_eq!(world.pids("deaf").len(), 1);
    assert_ne!(world.pids("deaf")[0], pid);
    let none =
        world.order(Task::Kill { name: "deaf".into(), pid: Some(1), signum: None, graceful_timeout: None });
    assert!(
        matches!(&world.replies[&none], Reply::Error { reason, .. } if reason == "process 1 not found in 'deaf'")
    );
}

#[test]
fn set_is_all_or_nothing_and_reloads_when_it_must() {
    let mut world = World::booted(vec![watcher("web", 1)]);
    world.run(1.0);
    let old = world.pids("web");
    let set = |options: &[(&str, Value)]| {
        Task::Edit(Edit::Set {
            name: "web".into(),
            options: options.iter().map(|(k, v)| (k.to_string(), v.clone())).collect(),
        })
        .waiting(true)
    };
    let bad = world.order(set(&[("numprocesses", Value::Int(4)), ("nonsense", Value::Int(4))]));
    assert!(
        matches!(&world.replies[&bad], Reply::Error { reason, .. } if reason == "unknown key 'nonsense'")
    );
    assert_eq!(world.pids("web"), old);
    world.order(set(&[("numprocesses", Value::Int(2))]));
    assert!(world.pids("web").len() == 2 && world.pids("web").contains(&old[0]));
    world.order(set(&[("args", Value::Str("-v".into()))]));
    world.run(1.5);
    assert!(world.pids("web").len() == 2 && !world.pids("web").contains(&old[0]));
}

#[test]
fn add_and_rm() {
    let mut world = World::booted(vec![]);
    let add = |name: &str, start| {
        Task::Edit(Edit::Add {
            name: name.into(),
            cmd: "worker".into(),
            args: None,
            options: vec![("numprocesses".into(), Value::Int(2))],
            start,
        })
        .waiting(true)
    };
    let t = world.order(add("New", true));
    assert!(matches!(&world.replies[&t], Reply::Added { started, .. } if started.len() == 2));
    let t = world.order(add("new", true));
    assert!(matches!(&world.replies[&t], Reply::Error { errno: Errno::Conflict, .. }));
    let t = world.order(Task::Edit(Edit::Rm { name: "NEW".into(), nostop: false }).waiting(true));
    assert_eq!(world.status("new"), "gone");
    world.run(1.0);
    assert_eq!((&world.replies[&t], world.procs.len()), (&Reply::Ok, 0));
    world.order(add("new", true));
    let kept = world.pids("new");
    world.order(Task::Edit(Edit::Rm { name: "new".into(), nostop: true }));
    world.run(1.0);
    assert!(kept.iter().all(|pid| world.procs.contains_key(pid)));
    world.kill9(kept[0]);
    assert!(!world.procs.contains_key(&kept[0]), "reaped all the same");
}

#[test]
fn what_commands_add_has_bounds() {
    let mut world = World::booted(vec![watcher("web", 1)]);
    let options = |bytes| vec![("env".into(), Value::Map([("A".to_string(), "x".repeat(bytes))].into()))];
    let add = |n: usize, bytes| {
        Task::Edit(Edit::Add {
            name: format!("w{n}"),
            cmd: "worker".into(),
            args: None,
            options: options(bytes),
            start: false,
        })
    };
    let set = |bytes| Task::Edit(Edit::Set { name: "web".into(), options: options(bytes) });
    let full = |reply: &Reply| matches!(reply, Reply::Error { errno: Errno::Conflict, .. });
    for (n, bytes, too_much) in [(0, 12 << 20, false), (1, 5 << 20, true), (2, 3 << 20, false)] {
        let t = world.order(add(n, bytes));
        assert_eq!(full(&world.replies[&t]), too_much, "{n}");
    }
    for (bytes, too_much) in
        [(2 << 20, true), (900 << 10, false), (900 << 10, false), (0, false), (900 << 10, false)]
    {
        let t = world.order(set(bytes));
        assert_eq!(full(&world.replies[&t]), too_much, "the same again takes no more: {bytes}");
    }
    world.order(Task::Edit(Edit::Rm { name: "w0".into(), nostop: false }));
    let t = world.order(set(5 << 20));
    assert!(!full(&world.replies[&t]), "what was removed makes room");
    let most = crate::config::model::MOST_WATCHERS;
    let mut arbiter = Arbiter::new((1..most).map(|n| watcher(&format!("of-file-{n}"), 1)).collect(), 0.0, 1);
    for n in 0..3 {
        let by = Rc::default();
        let order = Event::Order { ticket: Ticket(n), order: add(n as usize, 0).into(), targets: None, by };
        let mut actions = Vec::new();
        arbiter.handle(Time(1), order, &mut actions);
        let refused = actions.iter().any(|a| matches!(a, Action::Reply { reply, .. } if full(reply)));
        assert_eq!(refused, n > 0);
    }
}
