//! Another configuration in the simulated world.

use super::*;

impl World {
    /// What the files say from now on.
    fn write(&mut self, watchers: Vec<WatcherConfig>) {
        self.files = Ok(NewConfig { watchers, warmup_delay: 0.0, ..NewConfig::default() });
    }

    fn reload(&mut self, watchers: Vec<WatcherConfig>) -> Ticket {
        self.write(watchers);
        self.order(Task::Reloadconfig.waiting(true))
    }

    fn id(&self, name: &str) -> WatcherId {
        self.arbiter.find(name).expect("a watcher").id
    }

    fn published(&self, name: &str, what: Published) -> bool {
        self.published.contains(&(name.to_string(), what))
    }
}

fn with(name: &str, numprocesses: i64, change: impl FnOnce(&mut WatcherConfig)) -> WatcherConfig {
    let mut config = watcher(name, numprocesses);
    change(&mut config);
    config
}

#[test]
fn the_same_again_touches_nothing() {
    let files = || vec![watcher("a", 2), with("b", 1, |c| c.options.autostart = false)];
    let mut world = World::booted(files());
    let (pids, spawns, events) = (world.pids("a"), world.spawns.len(), world.published.len());
    for _ in 0..3 {
        let ticket = world.reload(files());
        assert_eq!(world.replies[&ticket], Reply::Ok);
    }
    assert_eq!((world.pids("a"), world.spawns.len(), world.published.len()), (pids, spawns, events));
    assert_eq!((world.signals.len(), world.status("b")), (0, "stopped"));
}

#[test]
fn watchers_come_and_go() {
    let mut world = World::booted(vec![watcher("old", 2), watcher("stays", 1)]);
    let kept = world.pids("stays");
    let manual = with("manual", 1, |c| c.options.autostart = false);
    let ticket = world.reload(vec![watcher("new", 3), manual, watcher("stays", 1)]);
    assert_eq!((world.status("old"), world.pids("stays")), ("gone", kept));
    assert_eq!(
        (world.status("new"), world.pids("new").len(), world.status("manual")),
        ("active", 3, "stopped")
    );
    assert_eq!(world.replies.get(&ticket), None, "the old processes have not ended yet");
    world.run(0.1);
    assert_eq!((&world.replies[&ticket], world.procs.len()), (&Reply::Ok, 4));
    assert!(world.published("old", Published::Remove) && world.published("old", Published::Stop));
    assert!(world.published("new", Published::Add) && world.published("manual", Published::Add));
}

#[test]
fn each_change_has_its_own_way() {
    let names = ["args", "fewer", "more", "patience", "single", "stream"];
    let mut world = World::booted(names.iter().map(|name| watcher(name, 2)).collect());
    let before: Vec<Vec<Pid>> = names.iter().map(|name| world.pids(name)).collect();
    let ticket = world.reload(vec![
        with("args", 2, |c| c.options.args = "x".into()),
        watcher("fewer", 1),
        watcher("more", 3),
        with("patience", 2, |c| c.options.graceful_timeout = 1.0),
        with("single", 2, |c| c.options.singleton = true),
        with("stream", 2, |c| c.stdout_stream = Some(Box::default())),
    ]);
    // A graceful reload has both generations for a second.
    let running: Vec<usize> = names.iter().map(|name| world.pids(name).len()).collect();
    assert_eq!(running, [4, 2, 3, 2, 2, 4]);
    world.run(1.1);
    assert_eq!(world.replies[&ticket], Reply::Ok);
    let kept = names.iter().zip(&before).map(|(name, before)| {
        let now = world.pids(name);
        (now.len(), now.iter().filter(|pid| before.contains(pid)).count())
    });
    assert_eq!(kept.collect::<Vec<_>>(), [(2, 0), (1, 1), (3, 2), (2, 2), (1, 1), (2, 0)]);
    assert_eq!(world.arbiter.find("patience").expect("it").config.options.graceful_timeout, 1.0);
}

#[test]
fn a_change_of_one_option_leaves_alone_what_commands_have_set() {
    let mut world = World::booted(vec![watcher("web", 2)]);
    world.order(Task::Change { name: "web".into(), by: 3 });
    let options = vec![("max_retry".to_string(), Value::Int(9))];
    world.order(Task::Edit(Edit::Set { name: "web".into(), options }));
    let pids = world.pids("web");
    world.reload(vec![with("web", 2, |c| c.options.priority = 7)]);
    let options = &world.arbiter.find("web").expect("it").config.options;
    assert_eq!((options.numprocesses, options.max_retry, options.priority), (5, 9, 7));
    assert_eq!(world.pids("web"), pids);
    world.reload(vec![with("web", 3, |c| c.options.priority = 7)]);
    world.run(0.1);
    assert_eq!((world.pids("web").len(), world.status("web")), (3, "active"), "now the file says otherwise");
    // And back, which Circus does not notice.
    world.reload(vec![with("web", 2, |c| c.options.priority = 7)]);
    world.run(0.1);
    assert_eq!(world.pids("web").len(), 2);
}

#[test]
fn what_a_command_has_added_stays_until_the_file_has_it() {
    let mut world = World::booted(vec![watcher("a", 1)]);
    let options = vec![("numprocesses".to_string(), Value::Int(2))];
    let (name, cmd) = ("Mine".to_string(), "worker".to_string());
    world.order(Task::Edit(Edit::Add { name, cmd, args: None, options, start: true }));
    let pids = world.pids("mine");
    world.reload(vec![watcher("a", 2)]);
    assert_eq!((world.pids("mine"), world.pids("a").len()), (pids.clone(), 2));
    world.reload(vec![watcher("a", 2), watcher("mine", 3)]);
    assert_eq!((world.pids("mine").len(), &world.pids("mine")[..2]), (3, &pids[..]));
    let name = world.arbiter.find("MINE").expect("it").config.name.clone();
    assert_eq!((name.as_str(), world.arbiter.watchers().count()), ("mine", 2));
    world.reload(vec![watcher("a", 2)]);
    assert_eq!(world.status("mine"), "gone", "it was the file's own by then");
}

#[test]
fn what_a_command_has_removed_comes_back() {
    let mut world = World::booted(vec![watcher("a", 1), watcher("b", 1)]);
    world.order(Task::Edit(Edit::Rm { name: "a".into(), nostop: false }));
    world.run(0.1);
    world.reload(vec![watcher("a", 1), watcher("b", 1)]);
    assert_eq!((world.status("a"), world.pids("a").len()), ("active", 1));
}

#[test]
fn a_watcher_that_comes_back_while_it_is_being_stopped_never_runs_beside_itself() {
    let mut world = World::booted(vec![watcher("slow", 1)]);
    let (id, pid) = (world.id("slow"), world.pids("slow")[0]);
    world.procs.get_mut(&pid).expect("a process").script.obeys = Some(3.0);
    let gone = world.reload(vec![]);
    let back = world.reload(vec![with("slow", 1, |c| c.options.args = "x".into())]);
    assert_eq!((world.status("slow"), world.pids("slow")), ("stopping", vec![pid]));
    world.run(3.1);
    assert_eq!((world.status("slow"), world.pids("slow").len(), world.id("slow")), ("active", 1, id));
    assert_ne!(world.pids("slow"), [pid]);
    assert_eq!((&world.replies[&gone], &world.replies[&back]), (&Reply::Ok, &Reply::Ok));
}

#[test]
fn what_has_stopped_stays_so_unless_the_file_mends_it() {
    let names = ["broken", "by_hand", "manual", "none"];
    let mut files: Vec<WatcherConfig> = names.iter().map(|name| watcher(name, 1)).collect();
    files[2].options.autostart = false;
    files[3].options.numprocesses = 0;
    let mut world = World::new(files.clone());
    world.scripts.insert("broken".into(), Script { broken: true, ..GOOD });
    world.send(Event::Start);
    world.run(20.0);
    world.order(Task::Stop(only("by_hand")));
    world.run(1.0);
    assert_eq!(names.map(|name| world.status(name)), ["stopped"; 4]);
    world.scripts.clear();
    for config in &mut files {
        config.options.max_age = 1000;
    }
    files[2].options.autostart = true;
    files[3].options.numprocesses = 2;
    let ticket = world.reload(files);
    assert_eq!(names.map(|name| world.status(name)), ["active", "stopped", "active", "active"]);
    assert_eq!(world.replies[&ticket], Reply::Ok);
}

#[test]
fn a_start_in_trouble_takes_what_has_changed_at_once_and_only_once() {
    let mut world = World::new(vec![with("web", 2, |c| c.options.max_retry = -1)]);
    world.scripts.insert("web".into(), Script { broken: true, ..GOOD });
    world.send(Event::Start);
    world.run(60.0);
    world.scripts.clear();
    let tries = world.spawns.len();
    let ticket = world.reload(vec![with("web", 2, |c| {
        c.options.max_retry = -1;
        c.options.args = "mended".into();
    })]);
    assert_eq!((world.status("web"), world.spawns.len() - tries), ("active", 2));
    assert_eq!(world.replies[&ticket], Reply::Ok);
}

#[test]
fn processes_that_reload_by_a_signal_are_restarted_when_their_command_changes() {
    let mut world = World::booted(vec![with("web", 1, |c| c.options.send_hup = true)]);
    let old = world.pids("web");
    world.reload(vec![with("web", 1, |c| {
        c.options.send_hup = true;
        c.options.args = "x".into();
    })]);
    world.run(0.1);
    assert!(
        !world.signals.contains(&(old[0], 1)) && world.pids("web") != old && world.pids("web").len() == 1
    );
}

#[test]
fn a_reload_with_nothing_to_replace_is_over_at_once() {
    let mut world = World::booted(vec![watcher("web", 1)]);
    let none = |args: &str| with("web", 0, |c| c.options.args = args.into());
    for args in ["x", "y"] {
        let ticket = world.reload(vec![none(args)]);
        world.run(0.1);
        assert_eq!((world.replies.get(&ticket), world.pids("web").len()), (Some(&Reply::Ok), 0), "{args}");
    }
}

#[test]
fn sockets_that_have_changed_reload_their_watchers_alone() {
    let mut world = World::booted(vec![watcher("a", 1), watcher("b", 1), watcher("c", 1)]);
    world.order(Task::Stop(only("c")));
    world.run(0.1);
    let (a, b) = (world.pids("a"), world.pids("b"));
    let touched = vec![world.id("b"), world.id("b"), world.id("c")];
    let watchers = vec![watcher("a", 1), watcher("b", 1), with("c", 1, |c| c.options.priority = 3)];
    world.files = Ok(NewConfig { watchers, touched, ..NewConfig::default() });
    let ticket = world.order(Task::Reloadconfig.waiting(true));
    world.run(0.1);
    assert_eq!((&world.pids("a"), world.status("c"), &world.replies[&ticket]), (&a, "stopped", &Reply::Ok));
    assert!(world.pids("b").len() == 1 && world.pids("b") != b);
}

#[test]
fn a_configuration_that_cannot_be_used_changes_nothing() {
    let mut world = World::booted(vec![watcher("a", 2)]);
    let pids = world.pids("a");
    world.files = Err("f:3: it is wrong".into());
    for (waiting, restart) in [(false, false), (true, false), (false, true), (true, true)] {
        let ticket = world.order(match restart {
            false => Task::Reloadconfig.waiting(waiting),
            true => Task::Restart(Select::All).waiting(waiting),
        });
        let expected = Reply::error(Errno::Failed, "f:3: it is wrong");
        assert_eq!((&world.replies[&ticket], &world.pids("a")), (&expected, &pids));
    }
    assert!(world.signals.is_empty());
}

#[test]
fn a_restart_of_all_applies_the_configuration_between_stop_and_start() {
    let mut world = World::booted(vec![watcher("gone", 1), watcher("manual", 1), watcher("web", 2)]);
    let old = world.pids("web");
    let manual = || with("manual", 1, |c| c.options.autostart = false);
    world.write(vec![manual(), watcher("new", 1), watcher("web", 3)]);
    let ticket = world.order(Task::Restart(Select::All).waiting(true));
    assert_eq!((world.status("web"), world.pids("web")), ("stopping", old.clone()));
    world.run(0.2);
    let statuses = ["gone", "manual", "new", "web"].map(|name| world.status(name));
    assert_eq!(statuses, ["gone", "stopped", "active", "active"]);
    assert!(world.pids("web").len() == 3 && world.pids("web").iter().all(|pid| !old.contains(pid)));
    assert_eq!(world.replies[&ticket], Reply::Ok);
}

#[test]
fn the_end_overtakes_and_allows_no_more() {
    let mut world = World::booted(vec![watcher("slow", 1)]);
    let pid = world.pids("slow")[0];
    world.procs.get_mut(&pid).expect("a process").script.obeys = Some(3.0);
    let first = world.reload(vec![with("slow", 1, |c| c.options.args = "x".into()), watcher("new", 1)]);
    let quit = world.order(Task::Quit.waiting(true));
    let late = world.reload(vec![watcher("late", 1)]);
    world.run(4.0);
    assert!(world.exited && world.status("late") == "gone");
    assert!(matches!(&world.replies[&late], Reply::Error { errno: Errno::Conflict, .. }));
    assert!(matches!(&world.replies[&first], Reply::Error { errno: Errno::Failed, .. }));
    assert_eq!(world.replies[&quit], Reply::Ok);
}

#[test]
fn clients_that_wait_learn_what_could_not_be_started() {
    let mut world = World::booted(vec![watcher("a", 1), watcher("b", 1)]);
    world.scripts.insert("b".into(), Script { broken: true, ..GOOD });
    world.scripts.insert("new".into(), Script { broken: true, ..GOOD });
    let changed = with("b", 1, |c| c.options.args = "x".into());
    let ticket = world.reload(vec![watcher("a", 1), changed, watcher("new", 1)]);
    world.run(30.0);
    let Reply::Error { errno: Errno::Failed, reason } = &world.replies[&ticket] else { panic!("an error") };
    let both = ["'b' was not reloaded: exec", "'new' did not start: exec"];
    assert!(both.iter().all(|part| reason.contains(part)), "{reason}");
    assert_eq!((world.status("b"), world.pids("b").len()), ("active", 1), "the old process stays");
}

/// Some other files: watchers come, go and change.
pub(super) fn random_files(world: &mut World, dice: &mut Dice) {
    if dice.roll(8) == 0 {
        world.files = Err("it is wrong".into());
        return;
    }
    let ids: Vec<WatcherId> = world.arbiter.watchers().map(|watcher| watcher.id).collect();
    let touched = ids.into_iter().filter(|_| dice.roll(6) == 0).collect();
    let before = world.files.clone().map(|files| files.watchers).unwrap_or_default();
    let mut watchers = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let old = before.iter().find(|config| config.name == name).cloned();
        match (old, dice.roll(4)) {
            (None, 0) => watchers.push(watcher(name, 1)),
            (None, _) | (Some(_), 0) => {}
            (Some(same), 1) => watchers.push(same),
            (Some(mut config), _) => {
                change(&mut config, dice);
                watchers.push(config);
            }
        }
    }
    world.files =
        Ok(NewConfig { watchers, warmup_delay: dice.roll(2) as f64, touched, ..NewConfig::default() });
}

fn change(config: &mut WatcherConfig, dice: &mut Dice) {
    let options = &mut config.options;
    match dice.roll(10) {
        0 => options.numprocesses = dice.roll(4) as i64,
        1 => options.args = ["", "x", "y"][dice.roll(3) as usize].into(),
        2 => options.singleton = !options.singleton,
        3 => options.autostart = !options.autostart,
        4 => options.send_hup = !options.send_hup,
        5 => options.respawn = [Respawn::Never, Respawn::OnFailure, Respawn::Always][dice.roll(3) as usize],
        6 => options.warmup_delay = dice.roll(3) as f64 / 2.0,
        7 => options.max_age = dice.roll(3) as i64,
        8 => options.on_demand = !options.on_demand,
        _ => config.stdout_stream = config.stdout_stream.is_none().then(Box::default),
    }
}

/// Reads the files again and checks that those watchers have come, gone and stayed that had to.
pub(super) fn reconfigure(world: &mut World, dice: &mut Dice) {
    let is_unchanged = |w: &&super::super::watcher::Watcher| match &world.files {
        Ok(files) => {
            let same = files.watchers.iter().any(|config| w.loaded.as_deref() == Some(config));
            same && !files.touched.contains(&w.id)
        }
        Err(_) => true,
    };
    let unchanged: Vec<_> =
        world.arbiter.watchers().filter(is_unchanged).map(|w| (w.id, w.pids(), w.status())).collect();
    let starting = world.arbiter.startup.is_some();
    // Those that are on their way out count too: what they depend on waits until they have ended.
    let depends = |w: &super::super::watcher::Watcher| {
        w.config.options.after.is_some() || w.config.options.requires.is_some()
    };
    let relations = world.arbiter.watchers.values().any(|watcher| depends(watcher));
    let waiting = dice.roll(2) == 0;
    if dice.roll(4) == 0 {
        world.order(Task::Restart(Select::All).waiting(waiting));
        return;
    }
    world.order(Task::Reloadconfig.waiting(waiting));
    let relations = relations || world.arbiter.watchers().any(depends);
    for (id, pids, status) in unchanged {
        let watcher = world.arbiter.watcher(id).expect("nothing has changed of it");
        // Its turn to be started may have come with those that are new, one of these may take all along, and others
        // may depend on it, or it on others.
        let excused = starting || relations || world.arbiter.is_ending();
        let now = (watcher.pids(), watcher.status());
        assert!(excused || now == (pids, status), "{}: {now:?}", watcher.config.name);
    }
    let Ok(files) = &world.files else { return };
    for config in &files.watchers {
        let watcher = world.arbiter.find(&config.name).expect("it stands in the file");
        assert_eq!(watcher.loaded.as_deref(), Some(config));
    }
    for watcher in world.arbiter.watchers().filter(|watcher| watcher.loaded.is_some()) {
        assert!(files.watchers.iter().any(|config| config.name == watcher.config.name), "it is gone");
    }
}
