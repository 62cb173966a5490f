//! After a SIGKILL of circus there are never two copies: what it has left is found at the next start by the state file
//! and by the mark in the environment, proved, and ended before anything starts.

use crate::common::{Circus, Dir, SIGKILL, SIGTERM, exists, needs_root, proc, until, user};
use circus::control::mark::Mark;
use circus::control::state::{Recorded, State};
use circus::sys::signal;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The processes that have this text as an argument, whoever's they are.
fn bearers(text: &str) -> BTreeSet<i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let line = |pid: i32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let has = |pid: &i32| {
        let own = line(*pid);
        let bears = || own.split(|byte| *byte == 0).any(|argument| argument == text.as_bytes());
        // One that a shell has just made looks like that shell until it is its program.
        bears() && proc::parent(*pid).is_some_and(|parent| line(parent) != own)
    };
    pids.filter(has).filter(|pid| proc::exists(*pid)).collect()
}

/// The same by the number of the circus that has made them, which is in their environment; not those that are about to
/// become their program.
fn bearers_by_circus(text: &str) -> BTreeMap<i32, usize> {
    let mut found = BTreeMap::new();
    for pid in bearers(text) {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let circus = Mark::among(&environ).map(|mark| mark.circus.pid);
        circus.into_iter().for_each(|circus| *found.entry(circus).or_default() += 1);
    }
    found
}

/// Kills what is left of a test that has failed.
struct Sweep(String);

impl Drop for Sweep {
    fn drop(&mut self) {
        bearers(&self.0).into_iter().for_each(|pid| drop(signal::kill(pid, SIGKILL)));
    }
}

/// A mark for the arguments of all processes of one test.
fn marker(dir: &Dir) -> (String, Sweep) {
    let marker = dir.name("marker");
    (marker.clone(), Sweep(marker))
}

/// Kills circus alone, and gives back its directory.
fn kill(circus: &mut Circus) {
    circus.signal(SIGKILL);
    until("circus is killed", || (!proc::exists(circus.pid())).then_some(()));
}

/// Starts circus once more where one was killed.
fn again(circus: &Circus, change: impl FnOnce(&mut Command)) -> Circus {
    let ini = circus.dir.read("circus.ini");
    Circus::launch(circus.dir.share(), &ini, change)
}

fn file(circus: &Circus) -> PathBuf {
    circus.dir.path("sock.state")
}

fn state(circus: &Circus) -> State {
    let bytes = std::fs::read(file(circus)).expect("the state file");
    State::parse(&bytes).expect("a state file")
}

/// Waits until the file has these processes and no others.
fn until_recorded(circus: &Circus, pids: &[i32]) -> State {
    until("the state file has all processes", || {
        let state = state(circus);
        let has = state.watchers.iter().flat_map(|it| &it.processes).map(|(process, _)| process.pid);
        (has.collect::<BTreeSet<i32>>() == pids.iter().copied().collect()).then_some(state)
    })
}

/// Trees, sessions of their own, one that ignores SIGTERM, and one without its environment: 20 processes. Each first one
/// says, before it does anything else, which others bear the marker that are none of its own circus's. The one that ignores
/// SIGTERM makes no processes, which would bear the marker until they are their programs.
const TWENTY: &str = "[watcher:plain]
    cmd = sh -c 'sleep 1000 & wait' {marker}
    numprocesses = 3
    [watcher:tree]
    cmd = sh -c 'setsid sh -c \"sleep 1000 & wait\" {marker} & setsid env -i sh -c \"sleep 1000 & wait\" {marker} & wait' {marker}
    numprocesses = 2
    [watcher:gone]
    cmd = sh -c '(setsid sh -c \"sleep 1000 & wait\" {marker} &) && exec sh -c \"sleep 1000 & wait\" {marker}' {marker}
    numprocesses = 2
    [watcher:deaf]
    cmd = sh -c 'trap \"\" TERM; while :; do kill -STOP $$; done' {marker}
    graceful_timeout = 0.3
    numprocesses = 2
    [watcher:bare]
    cmd = env -i sh -c 'sleep 1000 & wait' {marker}
    numprocesses = 2";
/// How many of them bear the marker.
const BEAR: usize = 3 + 2 * 3 + 2 * 2 + 2 + 2;

fn twenty() -> (Circus, String, Sweep, BTreeSet<i32>) {
    let dir = Dir::new();
    let (marker, sweep) = marker(&dir);
    let circus = Circus::with(dir, &TWENTY.replace("{marker}", &marker), |_| {});
    let first = until("all processes are there", || {
        let found = bearers(&marker);
        (found.len() == BEAR).then_some(found)
    });
    (circus, marker, sweep, first)
}

#[test]
fn after_a_sigkill_there_are_never_two_copies() {
    let (mut circus, marker, _sweep, first) = twenty();
    let all: BTreeSet<i32> = proc::descendants(circus.pid()).into_iter().collect();
    let pids: Vec<i32> =
        ["plain", "tree", "gone", "deaf", "bare"].iter().flat_map(|it| circus.pids(it)).collect();
    until_recorded(&circus, &pids);
    kill(&mut circus);
    assert!(first.iter().all(|pid| proc::exists(*pid)), "they have outlived circus");
    let mut next = again(&circus, |_| {});
    // At any moment either the old ones or the new ones are there.
    let second = until("the second set is there", || {
        let now = bearers(&marker);
        let (old, new): (BTreeSet<i32>, BTreeSet<i32>) = now.into_iter().partition(|pid| first.contains(pid));
        assert!(old.is_empty() || new.is_empty(), "two copies: {old:?} and {new:?}\n{}", next.log.text());
        (new.len() == BEAR).then_some(new)
    });
    let left: Vec<&i32> = all.iter().filter(|pid| proc::exists(**pid) && !second.contains(*pid)).collect();
    assert!(left.is_empty(), "{left:?} are left");
    let log = next.log.text();
    assert!(log.contains("a circus was killed here and has left "), "{log}");
    assert!(log.contains("(deaf), which a circus that was killed has left, gets SIGKILL"), "{log}");
    assert!(log.contains("nothing is left of the circus that was killed"), "{log}");
    assert!(!log.contains("(plain), which a circus that was killed has left, gets SIGKILL"), "{log}");
    next.end();
    assert!(!exists(&file(&next)), "it goes with circus");
    assert!(bearers(&marker).is_empty());
}

#[test]
fn with_refuse_they_are_named_and_live() {
    let dir = Dir::new();
    let (marker, _sweep) = marker(&dir);
    let ini = format!("leftovers = refuse\n[watcher:web]\ncmd = sleep 1000 {marker}\nnumprocesses = 2");
    let ini = format!("[circus]\nendpoint = {{dir}}/sock\n{ini}").replace("1000 ", "1000; : ");
    let ini = ini.replace("cmd = sleep", "shell = True\ncmd = true; sleep");
    let mut circus = Circus::with(dir, &ini, |_| {});
    let pids = circus.up("web");
    until_recorded(&circus, &pids);
    kill(&mut circus);
    let mut next = again(&circus, |_| {});
    assert_eq!(next.wait(), 111);
    let log = next.log.whole();
    for pid in &pids {
        assert!(log.contains(&format!("{pid} (web: /bin/sh -c 'true; sleep 1000; : {marker}')")), "{log}");
        assert!(proc::exists(*pid), "{pid} was ended");
    }
    assert!(log.contains("end them, or set `leftovers = stop`"), "{log}");
    assert!(exists(&file(&circus)), "the next start must know as well");
    pids.iter().for_each(|pid| signal::kill_group(*pid, SIGTERM).expect("it lives"));
    until("they have ended", || bearers_gone(&pids));
    let next = again(&circus, |_| {});
    assert_eq!(next.up("web").len(), 2);
}

fn bearers_gone(pids: &[i32]) -> Option<()> {
    pids.iter().all(|pid| !proc::exists(*pid)).then_some(())
}

/// A process that is none of circus's.
struct Innocent(Child);

impl Innocent {
    fn new(uid: Option<u32>) -> Innocent {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new("sleep");
        command.arg("1000").stdin(Stdio::null());
        uid.map(|uid| command.uid(uid));
        Innocent(command.spawn().expect("sleep"))
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }

    fn start(&self) -> u64 {
        proc::stat(self.pid()).expect("it lives")[19].parse().expect("a number")
    }
}

impl Drop for Innocent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Kills circus, changes its file, starts it again, and says what the log has by the time it is up.
fn with_changed(circus: &mut Circus, change: impl FnOnce(State) -> Vec<u8>) -> String {
    let pids = circus.up("w");
    let whole = until_recorded(circus, &pids);
    kill(circus);
    std::fs::write(file(circus), change(whole)).expect("the file");
    let next = again(circus, |_| {});
    next.up("w");
    let old = pids.into_iter().filter(|pid| proc::exists(*pid)).collect::<Vec<_>>();
    assert!(old.is_empty(), "{old:?} live; {}", next.log.text());
    let log = next.log.text();
    *circus = next;
    log
}

fn one() -> Circus {
    Circus::start("[watcher:w]\ncmd = sleep 1000\n")
}

#[test]
fn who_only_has_the_number_of_a_process_lives() {
    needs_root();
    let innocent = Innocent::new(Some(user::NOBODY));
    let (pid, start) = (innocent.pid(), innocent.start());
    let mut circus = one();
    let forge = |change: fn(&mut Recorded)| {
        move |mut state: State| {
            let (mut process, wid) = state.watchers[0].processes[0];
            (process.pid, process.start, process.uid) = (pid, start, user::NOBODY);
            change(&mut process);
            state.watchers[0].processes.push((process, wid));
            state.to_text().into_bytes()
        }
    };
    let wrong_ticks = with_changed(&mut circus, forge(|process| process.start += 1));
    let wrong_user = with_changed(&mut circus, forge(|process| process.uid = 12_345));
    for log in [wrong_ticks, wrong_user] {
        assert!(!log.contains(&format!(" {pid} (")) && proc::exists(pid), "{log}");
    }
    // In another boot of the machine nobody was left, and nobody is looked for.
    let pids = circus.up("w");
    let state = until_recorded(&circus, &pids);
    kill(&mut circus);
    std::fs::write(file(&circus), State { boot: "another".into(), ..state }.to_text()).expect("the file");
    let next = again(&circus, |_| {});
    next.up("w");
    assert!(proc::exists(pid) && proc::exists(pids[0]), "{}", next.log.text());
    signal::kill(pids[0], SIGKILL).expect("it lives");
    circus = next;
    // The same entry without a mistake in it is believed.
    let log = with_changed(&mut circus, forge(|_| ()));
    assert!(
        log.contains(&format!("{pid} (w), which a circus that was killed has left, gets SIGTERM")),
        "{log}"
    );
}

#[test]
fn a_file_that_cannot_be_believed_is_named_and_the_mark_finds_them() {
    needs_root();
    let mut circus = one();
    type Make = fn(State) -> Vec<u8>;
    let hostile: [(&str, Make); 7] = [
        ("it is not a state file of circus", |_| b"\x7fELF\n".to_vec()),
        ("it is not text", |_| b"\xff\xfe".to_vec()),
        ("it is not a state file of circus", |_| Vec::new()),
        ("it has more than 16777216 bytes", |_| vec![b' '; 17 << 20]),
        ("it is of version 2, and this circus knows version 1", |_| b"circus-state 2\nx\n".to_vec()),
        ("it is not whole", |state| {
            let text = state.to_text().into_bytes();
            text[..text.len() / 2].to_vec()
        }),
        ("its checksum is wrong", |state| state.to_text().replace("process ", "process 1").into_bytes()),
    ];
    for (why, make) in hostile {
        let log = with_changed(&mut circus, make);
        assert!(log.contains(&format!("sock.state: {why}; it is not believed")), "{log}");
        assert!(log.contains("gets SIGTERM"), "found by its mark: {log}");
    }
    type Change = fn(&std::path::Path);
    let places: [(&str, Change); 4] = [
        ("it belongs to user 65534", |path| chown(path, Some(user::NOBODY), None).expect("root")),
        ("others than its owner can write to it", |path| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o666)).expect("its mode");
        }),
        ("", |path| {
            std::fs::remove_file(path).expect("the file");
            symlink("/etc/passwd", path).expect("a link");
        }),
        ("", |path| {
            std::fs::remove_file(path).expect("the file");
            let made = Command::new("mkfifo").arg(path).status().expect("mkfifo");
            assert!(made.success());
        }),
    ];
    for (why, change) in places {
        let pids = circus.up("w");
        until_recorded(&circus, &pids);
        kill(&mut circus);
        change(&file(&circus));
        let next = again(&circus, |_| {});
        let new = next.up("w");
        let log = next.log.text();
        assert!(!proc::exists(pids[0]), "found by its mark: {log}");
        assert!(log.contains("it is not believed") && log.contains(why), "{log}");
        until_recorded(&next, &new);
        circus = next;
    }
}

#[test]
fn where_there_is_no_place_for_the_file_the_mark_finds_them() {
    needs_root();
    let dir = Dir::new();
    std::fs::create_dir(dir.path("open")).expect("a directory");
    std::fs::set_permissions(dir.path("open"), PermissionsExt::from_mode(0o777)).expect("its mode");
    let why = "others than root and circus's user can write to its directory";
    for (option, why) in [("state_dir = {dir}/open", why), ("state_dir = {dir}/missing", "No such file")] {
        let dir = dir.share();
        let ini = format!(
            "[circus]\nendpoint = {{dir}}/sock\n{option}\n[watcher:w]\ncmd = sleep 1000\nnumprocesses = 3"
        );
        let mut circus = Circus::with(dir, &ini, |_| {});
        let pids = circus.up("w");
        let log = circus.log.text();
        assert_eq!(log.matches(why).count(), 1, "{log}");
        assert!(std::fs::read_dir(circus.dir.path("open")).expect("it").next().is_none());
        kill(&mut circus);
        let mut next = again(&circus, |_| {});
        next.up("w");
        assert!(bearers_gone(&pids).is_some(), "{}", next.log.text());
        next.end();
    }
}

#[test]
fn a_circus_that_runs_has_left_nothing() {
    let circus = one();
    let pids = circus.up("w");
    until_recorded(&circus, &pids);
    // One that is refused for the control socket touches neither the file nor the processes.
    let before = std::fs::read(file(&circus)).expect("the file");
    let mut second = again(&circus, |_| {});
    assert_eq!(second.wait(), 111);
    assert!(second.log.whole().contains("another circus serves it already"), "{}", second.log.text());
    assert_eq!(std::fs::read(file(&circus)).expect("the file"), before);
    assert_eq!(circus.pids("w"), pids);
}

#[test]
fn two_without_a_control_socket_do_not_end_each_other() {
    let dir = Dir::new();
    let (marker, _sweep) = marker(&dir);
    let ini = format!(
        "[circus]\nendpoint = none\nstate_dir = {{dir}}\n[watcher:w]\ncmd = sh -c 'sleep 1000 & wait' {marker}"
    );
    let first = Circus::launch(dir.share(), &ini, |_| {});
    let old = until("the first has its process", || Some(bearers(&marker)).filter(|it| it.len() == 1));
    let mut second = Circus::launch(dir.share(), &ini, |_| {});
    second.log.line(&format!("it is that of circus {}, which runs", first.pid()));
    // One that is about to become sleep bears the marker, too, for a moment.
    until("so has the second", || (bearers(&marker).len() == 2).then_some(()));
    assert!(bearers(&marker).is_superset(&old));
    second.end();
    assert_eq!(bearers(&marker), old);
    let name = dir.name("circus.ini.state").trim_start_matches('/').replace('/', "-");
    assert!(exists(&dir.path(&name)), "the file of the first stays");
}

#[test]
fn what_was_to_live_on_lives_on() {
    let mut circus =
        Circus::start("[watcher:w]\ncmd = sleep 1000\n[watcher:x]\ncmd = sh -c 'sleep 1000 & wait'");
    let (w, x) = (circus.up("w"), circus.up("x"));
    circus.ask("rm", serde_json::json!({"name": "x", "nostop": true, "waiting": true}));
    until("it is left", || {
        let state = state(&circus);
        (state.left.iter().map(|left| left.pid).collect::<Vec<i32>>() == x).then_some(())
    });
    kill(&mut circus);
    let next = again(&circus, |_| {});
    next.up("w");
    let left = proc::group(x[0]);
    assert!(!proc::exists(w[0]) && left.len() == 2, "{left:?}: {}", next.log.text());
    signal::kill_group(x[0], SIGKILL).expect("it lives");
}

#[test]
fn a_circus_that_is_killed_while_it_starts_many_leaves_none_of_them() {
    let dir = Dir::new();
    let (marker, _sweep) = marker(&dir);
    let ini = format!(
        "[watcher:w]\ncmd = sh -c 'trap \"exit\" TERM; sleep 1000 & wait' {marker}\nnumprocesses = 200"
    );
    let mut circus = Circus::launch(dir, &ini, |_| {});
    until("some have started", || (bearers(&marker).len() > 20).then_some(()));
    kill(&mut circus);
    let next = again(&circus, |_| {});
    until("the second set is there", || {
        let now = bearers_by_circus(&marker);
        assert!(now.len() <= 1, "two copies: {now:?}: {}", next.log.text());
        (now.get(&next.pid()) == Some(&200)).then_some(())
    });
}

#[test]
fn a_start_that_waits_for_them_can_be_ended() {
    let mut circus = Circus::start(
        "[watcher:w]\ncmd = sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'\ngraceful_timeout = 600",
    );
    let pids = circus.up("w");
    until_recorded(&circus, &pids);
    kill(&mut circus);
    let mut next = again(&circus, |_| {});
    until("it has been asked", || next.log.text().contains("gets SIGTERM").then_some(()));
    next.signal(SIGTERM);
    assert_eq!(next.wait(), 0, "{}", next.log.text());
    assert!(proc::exists(pids[0]));
    signal::kill_group(pids[0], SIGKILL).expect("it lives");
}

/// As a child of the circus that was killed does, as long as it is not its program: it holds a socket at which a process
/// listens that is gone.
#[test]
fn a_control_socket_that_a_child_still_holds_for_a_moment_is_waited_for() {
    let dir = Dir::new();
    let hold = "import os, socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\n\
                if os.fork(): os._exit(0)\ns.accept()";
    let mut parent = Command::new("python3").args(["-c", hold, &dir.name("sock")]).spawn().expect("python3");
    assert!(parent.wait().expect("a child").success());
    let circus = Circus::launch(dir, "[watcher:w]\ncmd = sleep 1000", |_| {});
    circus.log.line("Arbiter now waiting for commands");
    assert_eq!(circus.up("w").len(), 1);
}
