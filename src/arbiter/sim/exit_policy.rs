//! Scenarios of how things end: critical watchers, respawn by outcome, kill modes, and commands instead of signals.

use super::*;
use crate::arbiter::exit_policy::{Death, succeeded};

fn config(name: &str, options: &[(&str, Value)]) -> WatcherConfig {
    let mut config = watcher(name, 1);
    for (key, value) in options {
        config.set(key, value).unwrap();
    }
    config
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

/// A critical watcher `job` with these options, and one beside it that takes three seconds to end.
fn critical(options: &[(&str, Value)], script: Script) -> World {
    let mut job = config("job", options);
    job.options.critical = true;
    let mut world = World::new(vec![job, watcher("beside", 1)]);
    world.scripts.insert("job".into(), script);
    world.scripts.insert("beside".into(), Script { obeys: Some(3.0), ..GOOD });
    world.send(Event::Start);
    world
}

fn never() -> (&'static str, Value) {
    ("respawn", Value::Bool(false))
}

fn on_failure() -> (&'static str, Value) {
    ("respawn", text("on-failure"))
}

fn dies(lives: f64, code: i32) -> Script {
    Script { lives: Some(lives), code, ..GOOD }
}

#[test]
fn a_critical_watcher_that_ends_takes_circus_along_in_order() {
    let mut world = critical(&[never()], dies(5.0, 3));
    world.run(7.9);
    assert!(!world.exited, "the other one has three seconds to end");
    let t = world.order(Task::Start(only("job")));
    assert!(matches!(&world.replies[&t], Reply::Error { errno: Errno::Conflict, .. }), "it is ending");
    world.run(0.2);
    let fall = world.fall.take().unwrap();
    assert_eq!((fall.name.as_str(), fall.code), ("job", 3));
    assert_eq!(fall.death, Some(Death { pid: 101, wid: 1, exit: Exit::Code(3) }));
    assert_eq!(fall.reason, "its process 101 (wid 1) exited with code 3");
    assert!(
        world
            .log
            .iter()
            .any(|(level, text)| *level == Level::Critical && text.contains("circus exits with code 3"))
    );
}

#[test]
fn the_exit_code_is_the_process_s_unless_it_ended_as_wanted() {
    let codes = [("success_codes", text("3, 7"))];
    let signals = [("success_signals", text("9"))];
    for (options, script, code) in [
        (&codes[..0], dies(1.0, 0), 0),
        (&codes, dies(1.0, 7), 0),
        (&codes, dies(1.0, 4), 4),
        (&signals, GOOD, 0),
        (&[], GOOD, 137),
    ] {
        let mut world = critical(&[options, &[never()]].concat(), script);
        world.run(2.0);
        world.pids("job").into_iter().for_each(|pid| world.kill9(pid));
        world.run(5.0);
        assert_eq!(world.fall.as_ref().map(|fall| fall.code), Some(code), "{options:?} {script:?}");
    }
}

#[test]
fn of_several_processes_one_that_failed_speaks_for_all() {
    for codes in [[0, 5, 0], [5, 0, 0], [0, 0, 5]] {
        let mut world = critical(&[never(), ("numprocesses", Value::Int(3))], GOOD);
        for (pid, code) in world.pids("job").into_iter().zip(codes) {
            assert!(!world.arbiter.is_ending());
            world.procs.get_mut(&pid).unwrap().ends = Some((world.now, Exit::Code(code)));
            world.exit(pid);
        }
        world.run(4.0);
        assert_eq!(world.fall.as_ref().map(|fall| fall.code), Some(5));
    }
}

#[test]
fn what_is_ordered_is_no_fall() {
    for order in [
        Task::Stop(only("job")).waiting(true),
        Task::Edit(Edit::Rm { name: "job".into(), nostop: false }).waiting(true),
        Task::Restart(only("job")).waiting(true),
        Task::Change { name: "job".into(), by: -1 }.waiting(true),
        Task::Kill { name: "job".into(), pid: None, signum: Some(9), graceful_timeout: None }.waiting(true),
    ] {
        let mut world = critical(&[never()], GOOD);
        world.run(2.0);
        world.order(order.clone());
        world.run(10.0);
        assert!(!world.exited && !world.arbiter.is_ending(), "{order:?}");
    }
    let mut world = critical(&[never()], dies(0.5, 3));
    world.order(Task::Quit);
    world.run(10.0);
    assert!(world.exited && world.fall.is_none(), "it was to end anyway");
}

#[test]
fn who_cannot_start_falls_too() {
    let mut world = critical(&[("max_retry", Value::Int(2))], Script { broken: true, ..GOOD });
    world.run(10.0);
    let fall = world.fall.take().unwrap();
    assert_eq!((fall.code, fall.death), (126, None));
    assert_eq!(fall.reason, "given up after 2 failed starts: exec: No such file");
    for hook in ["before_start", "after_start", "before_spawn", "after_spawn"] {
        let mut job = hooked("job", 1, &[hook]);
        job.options.critical = true;
        let mut world = World::new(vec![job, watcher("beside", 1)]);
        world.hook_scripts.insert(("job".into(), hook), (Some(0.1), Answer::No));
        world.send(Event::Start);
        world.run(10.0);
        let fall = world.fall.as_ref().map(|fall| (fall.code, fall.reason.as_str()));
        assert_eq!(fall, Some((126, format!("its hook {hook} said no").as_str())));
    }
}

#[test]
fn only_what_failed_is_respawned() {
    let options = [on_failure(), ("success_codes", text("4")), ("success_signals", text("TERM"))];
    let mut world = World::new(vec![config("job", &options)]);
    world.scripts.insert("job".into(), dies(2.0, 1));
    world.send(Event::Start);
    world.run(7.0);
    assert_eq!((world.spawns.len(), world.status("job")), (4, "active"));
    for (code, status) in [(5, "active"), (4, "stopped")] {
        world.scripts.insert("job".into(), dies(2.0, code));
        world.run(10.0);
        assert_eq!(world.status("job"), status, "{code}");
    }
    world.order(Task::Start(only("job")));
    let pid = world.pids("job")[0];
    world.procs.get_mut(&pid).unwrap().ends = Some((world.now, Exit::Signal(15)));
    world.exit(pid);
    assert_eq!((world.status("job"), world.exited), ("stopped", false), "it is not critical");
}

#[test]
fn the_pauses_are_those_that_are_configured() {
    let options = [
        ("respawn_delay", Value::Float(2.0)),
        ("respawn_delay_max", Value::Int(8)),
        ("respawn_window", Value::Int(5)),
    ];
    let mut world = World::new(vec![config("bad", &options)]);
    world.scripts.insert("bad".into(), dies(4.0, 1));
    world.send(Event::Start);
    world.run(40.0);
    let at: Vec<f64> = world.spawns.windows(2).map(|pair| pair[1].0.since(pair[0].0) - 4.0).collect();
    let fits = |(pause, most): (&f64, f64)| (most * 0.75 - 0.01..=most + 0.01).contains(pause);
    assert!(at.len() >= 3 && at.iter().zip([2.0, 4.0, 8.0, 8.0]).all(fits), "{at:?}");
    assert!(world.arbiter.find("bad").unwrap().failure().unwrap().contains("within 5 s of starting"));
    world.scripts.insert("bad".into(), dies(6.0, 1));
    world.run(60.0);
    let last = world.spawns.windows(2).next_back().unwrap();
    assert_eq!(last[1].0.since(last[0].0), 6.0, "after a stable life there is no pause");
}

#[test]
fn nothing_that_can_be_configured_makes_circus_spin() {
    let keys = ["respawn_delay", "respawn_delay_max", "respawn_window", "retry_in", "warmup_delay"];
    let options: Vec<(&str, Value)> = keys.map(|key| (key, Value::Int(0))).into();
    for (script, respawn) in [
        (dies(0.0, 1), Value::Bool(true)),
        (dies(0.0, 1), text("on-failure")),
        (Script { broken: true, ..GOOD }, Value::Bool(true)),
    ] {
        let mut bad = config("bad", &options);
        bad.set("respawn", &respawn).unwrap();
        bad.options.max_retry = -1;
        bad.options.numprocesses = 2;
        let mut world = World::new(vec![bad]);
        world.scripts.insert("bad".into(), script);
        world.send(Event::Start);
        world.run(60.0);
        assert!((100..=1202).contains(&world.spawns.len()), "{} spawns in a minute", world.spawns.len());
    }
}

fn stop() -> Task {
    Task::Stop(Select::All)
}

/// A watcher of this kill_mode whose process leaves a member of its group and a stray behind.
fn leaving(mode: &str) -> World {
    let mut world = World::new(vec![config("w", &[("kill_mode", text(mode))])]);
    world.scripts.insert("w".into(), Script { leaves: true, strays: true, ..GOOD });
    world.send(Event::Start);
    world
}

#[test]
fn kill_mode_says_who_ends_with_a_process() {
    for (mode, groups, strays) in [("process", 1, 1), ("group", 0, 1), ("tree", 0, 0)] {
        let mut world = leaving(mode);
        world.order(stop());
        world.run(0.1);
        assert_eq!(world.status("w") == "stopped", mode == "process", "{mode}");
        world.run(5.0);
        assert_eq!(
            (world.status("w"), world.groups.len(), world.strays.len()),
            ("stopped", groups, strays),
            "{mode}"
        );
    }
}

#[test]
fn what_is_left_by_one_that_is_not_replaced_is_left_alone_until_the_stop() {
    for (mode, left) in [("group", 0), ("process", 1), ("tree", 0)] {
        let config = config("w", &[("kill_mode", text(mode)), ("numprocesses", Value::Int(2)), never()]);
        let mut world = World::new(vec![config]);
        world.scripts.insert("w".into(), Script { leaves: true, strays: true, ..GOOD });
        world.send(Event::Start);
        world.run(2.0);
        world.kill9(100);
        world.run(20.0);
        assert!(world.groups.contains(&100) && world.strays.contains(&100), "{mode}");
        world.scripts.clear();
        world.order(stop());
        world.run(6.0);
        assert_eq!(
            (world.status("w"), world.groups.iter().filter(|pid| **pid == 100).count()),
            ("stopped", left)
        );
    }
}

#[test]
fn without_a_group_only_the_process_is_killed() {
    let mut world = World::new(vec![config("w", &[("kill_mode", text("process"))])]);
    world.scripts.insert("w".into(), Script { obeys: None, leaves: true, ..GOOD });
    world.send(Event::Start);
    world.order(stop());
    world.run(6.0);
    assert_eq!((world.status("w"), world.groups.len()), ("stopped", 1));
    assert_eq!(world.signals, [(100, 15), (100, 9)]);
}

/// A watcher with a stop_command that answers so, after so many seconds.
fn commanded(answer: HookScript, hooks: &[&str]) -> World {
    let mut w = hooked("w", 1, hooks);
    w.set("stop_command", &text("/stop")).unwrap();
    let mut world = World::new(vec![w]);
    world.hook_scripts.insert(("w".into(), "stop_command"), answer);
    world.scripts.insert("w".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    world
}

#[test]
fn stop_command_takes_the_place_of_the_signal() {
    let mut world = commanded((Some(1.0), Answer::Yes), &["before_signal"]);
    world.order(stop());
    let about = About { pid: Some(100), signum: Some(15), ..About::default() };
    assert_eq!((&world.called, world.signals.len()), (&vec![(Hook::StopCommand, about)], 0));
    world.run(2.0);
    world.procs.get_mut(&100).unwrap().ends = Some((world.now, Exit::Code(0)));
    world.run(0.0);
    assert_eq!((world.status("w"), world.signals.as_slice()), ("stopped", &[][..]), "nobody is left");
}

#[test]
fn stop_command_that_fails_is_followed_by_the_signal_at_once() {
    for answer in [Answer::Refused("exited with code 1".into()), Answer::Failed("cannot be run".into())] {
        let mut world = commanded((Some(1.0), answer), &[]);
        world.order(stop());
        world.run(0.9);
        assert_eq!(world.signals, []);
        world.run(0.2);
        assert_eq!(world.signals, [(100, 15)]);
        world.run(3.8);
        assert_eq!(
            (world.status("w"), world.signals.len()),
            ("stopping", 1),
            "graceful_timeout runs from its start"
        );
        world.run(0.2);
        assert_eq!(world.status("w"), "stopped");
        assert!(world.log.iter().any(|(_, text)| text.starts_with("w: stop_command failed: ")));
    }
}

#[test]
fn stop_command_has_no_longer_than_its_process() {
    let mut world = commanded((None, Answer::Yes), &[]);
    world.order(stop());
    world.run(4.9);
    assert_eq!((world.signals.len(), world.hooks.len()), (0, 1));
    world.run(0.2);
    assert_eq!((world.status("w"), world.hooks.len()), ("stopped", 0));
    assert_eq!(world.signals, [(100, 9), (100, 9)]);
    let mut world = commanded((None, Answer::Yes), &[]);
    world.send(Event::Terminate);
    world.run(1.0);
    world.send(Event::Terminate);
    world.run(0.1);
    assert!(world.exited, "a hurry ends it");
}

#[test]
fn a_signal_that_is_ordered_is_sent_beside_stop_command() {
    let mut world = commanded((None, Answer::Yes), &[]);
    let kill = |signum| Task::Kill { name: "w".into(), pid: None, signum, graceful_timeout: None };
    world.order(kill(None));
    world.order(kill(None));
    assert_eq!((world.called.len(), world.signals.len()), (1, 0));
    world.order(kill(Some(2)));
    assert_eq!((world.called.len(), world.signals.as_slice()), (1, &[(100, 2)][..]));
    world.run(10.0);
    assert_eq!((world.status("w"), world.pids("w")), ("active", vec![101]));
}

fn reload() -> Order {
    Task::Reload { name: Some("w".into()), graceful: true, sequential: false }.waiting(true)
}

#[test]
fn reload_signal_is_sent_instead_of_new_processes() {
    let mut w = config("w", &[("reload_signal", text("USR2")), ("numprocesses", Value::Int(2))]);
    w.options.send_hup = true;
    let mut world = World::new(vec![w]);
    world.scripts.insert("w".into(), Script { obeys: None, ..GOOD });
    world.send(Event::Start);
    let t = world.order(reload());
    assert_eq!(world.signals, [(100, 12), (101, 12)]);
    assert!(matches!(world.replies[&t], Reply::Info { .. }));
    assert!(world.log.iter().any(|(_, text)| text == "SENDING USR2 to 100"));
}

/// Two processes with a reload_command that answers so, after a second.
fn reloading(answer: Answer) -> (World, Ticket) {
    let options = [("reload_command", text("/reload")), ("numprocesses", Value::Int(2))];
    let mut world = World::booted(vec![config("w", &options)]);
    world.hook_scripts.insert(("w".into(), "reload_command"), (Some(1.0), answer));
    world.run(5.0);
    let ticket = world.order(reload());
    (world, ticket)
}

#[test]
fn reload_command_is_run_for_one_process_after_the_other() {
    let (mut world, t) = reloading(Answer::Yes);
    assert_eq!(world.called.len(), 1);
    world.run(1.5);
    assert_eq!((world.called.len(), world.replies.get(&t)), (2, None));
    world.run(1.0);
    let kept = vec![100, 101];
    assert_eq!(world.replies[&t], Reply::Info { started: vec![], stopped: Some(vec![]), kept });
    assert!(world.published.contains(&("w".into(), Published::Reload)));
    let pids: Vec<Option<Pid>> = world.called.iter().map(|(_, about)| about.pid).collect();
    assert_eq!((pids, world.signals.len()), (vec![Some(100), Some(101)], 0));
}

#[test]
fn the_failure_of_reload_command_is_that_of_the_reload() {
    let (mut world, t) = reloading(Answer::Refused("exited with code 1".into()));
    world.run(1.5);
    let Reply::Error { reason, .. } = &world.replies[&t] else { panic!("it did not fail") };
    assert_eq!(reason, "'w' was not reloaded: its reload_command failed: exited with code 1");
    assert_eq!((world.called.len(), world.pids("w"), world.status("w")), (1, vec![100, 101], "active"));
}

#[test]
fn a_stop_overtakes_reload_command() {
    let (mut world, t) = reloading(Answer::Yes);
    world.order(stop());
    assert_eq!(world.hooks.len(), 0);
    world.run(0.1);
    assert_eq!(world.status("w"), "stopped");
    assert!(matches!(world.replies[&t], Reply::Error { .. }));
}

#[test]
fn a_process_that_ends_while_it_is_reloaded_is_replaced() {
    let (mut world, t) = reloading(Answer::Yes);
    world.kill9(100);
    world.kill9(101);
    world.run(1.5);
    assert!(matches!(&world.replies[&t], Reply::Info { started, .. } if started.len() == 2));
    assert_eq!(world.called.len(), 1);
}

/// What a random watcher has of all this.
pub(super) fn random_options(config: &mut WatcherConfig, dice: &mut Dice) {
    let options = &mut config.options;
    options.respawn =
        [Respawn::Never, Respawn::OnFailure, Respawn::Always, Respawn::Always][dice.roll(4) as usize];
    options.critical = dice.roll(8) == 0;
    options.kill_mode = ["group", "group", "process", "tree"][dice.roll(4) as usize].into();
    let mut delay = || (dice.roll(3) == 0).then(|| dice.roll(4) as f64 - 1.0);
    (options.respawn_delay, options.respawn_delay_max, options.respawn_window) = (delay(), delay(), delay());
    options.success_codes = (dice.roll(3) == 0).then(|| "2 3".into());
    options.success_signals = (dice.roll(3) == 0).then(|| "KILL".into());
    options.stop_command = (dice.roll(4) == 0).then(|| "/stop".into());
    options.reload_command = (dice.roll(6) == 0).then(|| "/reload".into());
    options.reload_signal = (dice.roll(8) == 0).then_some(12);
}

/// Whether circus has ended by itself for a reason, and with the exit code of that.
pub(super) fn check_fall(world: &World) {
    let Some(fall) = &world.fall else { return };
    let Some(death) = fall.death else { return assert_eq!(fall.code, 126) };
    let exit = world.exits[&death.pid];
    assert_eq!((exit, fall.watcher), (death.exit, world.modes[&death.pid].0));
    let Some(watcher) = world.arbiter.watcher(fall.watcher) else { return };
    let options = &watcher.config.options;
    let wanted = match exit {
        _ if succeeded(exit, options) => 0,
        Exit::Code(code) => code,
        Exit::Signal(number) => 128 + number,
    };
    assert_eq!(i32::from(fall.code), wanted);
    let reread = world.log.iter().any(|(_, text)| text.contains("changed in the configuration"));
    assert!(options.critical && (reread || options.respawn != Respawn::OnFailure || fall.code == 0));
}

#[test]
fn a_one_shot_that_ends_before_after_start_has_answered_has_started() {
    let mut w = hooked("w", 1, &["after_start"]);
    w.set("respawn", &Value::Bool(false)).unwrap();
    let mut world = World::new(vec![w]);
    world.scripts.insert("w".into(), dies(0.1, 0));
    world.hook_scripts.insert(("w".into(), "after_start"), (Some(1.0), Answer::Yes));
    world.send(Event::Start);
    let ticket = world.order(Task::Start(only("w")).waiting(true));
    world.run(2.0);
    assert!(matches!(&world.replies[&ticket], Reply::Info { .. }), "{:?}", world.replies[&ticket]);
    assert_eq!(world.status("w"), "stopped");
    let last = world.arbiter.find("w").unwrap().history().last_status().unwrap();
    assert_eq!(last.cause, crate::arbiter::history::Cause::Ended, "no hook has said no");
}

#[test]
fn one_that_ends_before_it_is_ready_is_tried_again_whatever_respawn_says() {
    for (options, code) in [([never()], 1), ([never()], 0), ([on_failure()], 0)] {
        let mut w = config("w", &options);
        w.options.ready = Some("notify".into());
        let mut world = World::new(vec![w]);
        world.scripts.insert("w".into(), Script { ready: None, ..dies(0.1, code) });
        world.send(Event::Start);
        let ticket = world.order(Task::Start(only("w")).waiting(true));
        world.run(30.0);
        assert_eq!((world.status("w"), world.spawns.len()), ("stopped", 5), "max_retry, {options:?} {code}");
        let watcher = world.arbiter.find("w").unwrap();
        let why = format!("stopped: a process exited with code {code} before it was ready");
        assert_eq!(watcher.fault().as_deref(), Some(why.as_str()));
        let cause = &watcher.history().last_status().unwrap().cause;
        assert_eq!(*cause, crate::arbiter::history::Cause::Unready);
        assert!(matches!(&world.replies[&ticket], Reply::Error { .. }));
        // One that was ready is not tried again.
        world.scripts.insert("w".into(), dies(0.1, code));
        world.order(Task::Start(only("w")));
        world.run(10.0);
        let again = usize::from(code == 1 && options == [on_failure()]);
        assert_eq!((world.status("w"), world.spawns.len()), ("stopped", 6 + again));
    }
}
