//! Cgroups of version 2: one for a watcher that asks for it, one for each process of `kill_mode = tree`, and what is
//! said and done where there are none.
//!
//! Where this machine has none, circus gets them mounted in a mount namespace of its own. Where that cannot be either,
//! the test says on the terminal that it is left out; what needs no cgroup is tested in any case.

use crate::common::user::{NOBODY, of_user};
use crate::common::{Circus, Dir, SIGTERM, needs_root, proc, until};
use serde_json::json;
use std::io::Write;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Finds the cgroup that a shell is in, below which it may make others; mounts cgroups if there are none.
const OWN: &str = r#"
    grep -q " - cgroup2 " /proc/self/mountinfo || mount -t cgroup2 none /sys/fs/cgroup
    while read -r line; do case $line in 0::*) path=${line#0::};; esac; done < /proc/self/cgroup
    while read -r a b c d point rest; do
        case $rest in *" - cgroup2 "*) top=$point; break;; esac
    done < /proc/self/mountinfo
    own=$top$path"#;

/// Circus in a cgroup of its own, in which it may make others.
struct Delegated {
    circus: Circus,
    name: String,
}

impl Delegated {
    /// The reason where the machine does not let us. `prepare` is what a shell does before it enters that cgroup, `$here` below `$own`, and becomes circus.
    fn start(prepare: &str, ini: &str) -> Result<Delegated, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        needs_root();
        let name = format!("circus-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let inner = format!(
            "{OWN}\nhere=$own/{name}\nmkdir $here && {prepare} && echo $$ > $here/cgroup.procs\nexec \"$@\""
        );
        let circus = Circus::wrapped(&format!("exec unshare --mount sh -c '{inner}' sh \"$@\""), ini);
        let mut delegated = Delegated { circus, name };
        if delegated.of(delegated.pid()).is_some_and(|own| own.ends_with(&delegated.name)) {
            return Ok(delegated);
        }
        // It may be there, with nobody in it, and circus may have made others elsewhere.
        delegated.remove();
        delegated.circus.end();
        let said = delegated.log.text();
        Err(format!(
            "no such cgroup of version 2 can be made here: {}",
            said.lines().next().unwrap_or_default()
        ))
    }

    /// The cgroup that a process is in, as circus sees it.
    fn of(&self, pid: i32) -> Option<PathBuf> {
        let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", self.pid())).expect("it runs");
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
        let path = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let path = path.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let top = format!("/proc/{}/root{}", self.pid(), line.split(' ').nth(4)?);
        Some(Path::new(&top).join(path))
    }

    /// Ends circus. A cgroup can be removed when there is none below it, and nobody in it.
    fn end_with_nothing_left(mut self) {
        self.circus.end();
        until("the cgroup of circus is empty", || self.remove().then_some(()));
        self.name.clear();
    }

    fn remove(&self) -> bool {
        in_cgroups(&format!("rmdir $own/{}", self.name))
    }
}

/// Whether a shell can do this, with `$own` the cgroup of this test.
fn in_cgroups(script: &str) -> bool {
    let script = format!("{OWN}\n{script}");
    let done = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output();
    done.expect("unshare of util-linux").status.success()
}

impl Deref for Delegated {
    type Target = Circus;

    fn deref(&self) -> &Circus {
        &self.circus
    }
}

/// The same, or a word about why not.
fn delegated(prepare: &str, ini: &str) -> Option<Delegated> {
    Delegated::start(prepare, ini).map_err(|why| left_out(&why)).ok()
}

/// Says on the terminal what is not tested here; the harness would keep what is printed to itself.
fn left_out(why: &str) {
    let thread = std::thread::current();
    let text = format!("LEFT OUT of {}: {why}\n", thread.name().unwrap_or_default());
    std::io::stderr().write_all(text.as_bytes()).expect("standard error");
}

fn file(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).expect("a file of a cgroup").trim_end().to_string()
}

#[test]
fn without_cgroups_one_warning_says_so_and_the_processes_run() {
    needs_root();
    let ini = "[watcher:a]\ncmd = sleep 1000\ncgroup.memory.max = 1G\nnumprocesses = 2
        [watcher:b]\ncmd = sleep 1000\ncgroup.pids.max = 9\nkill_mode = tree";
    // Not root: whose cgroups there are is not said, but that circus may make none.
    let dir = Dir::new();
    let mut circus = of_user(NOBODY, None, dir, &format!("[circus]\nendpoint = none\n{ini}"));
    circus.log.line("a started");
    circus.log.line("b started");
    circus.signal(SIGTERM);
    assert_eq!(circus.wait(), 0);
    let warnings = circus.log.text().matches("WARNING").count();
    assert_eq!((warnings, circus.log.text().matches("cgroup.* has no effect: ").count()), (1, 1));
    // Root, where no cgroups are to be seen.
    let circus = Circus::wrapped(
        "exec unshare --mount sh -c 'umount -R -l /sys/fs/cgroup; exec \"$@\"' sh \"$@\"",
        ini,
    );
    assert_eq!((circus.up("a").len(), circus.up("b").len()), (2, 1));
    circus.log.line("cgroup.* has no effect: there are no cgroups of version 2 here");
    assert_eq!(circus.log.text().matches("WARNING").count(), 1);
}

#[test]
fn a_watcher_has_a_cgroup_of_its_own_where_circus_may_make_one() {
    let ini = "[watcher:a/b]\ncmd = sleep 1000\ncgroup.cgroup.max.depth = 3\ncgroup.nonsense.max = 1\nnumprocesses = 2
        [watcher:other]\ncmd = sleep 1000";
    let Some(circus) = delegated(":", ini) else { return };
    let (pids, home) = (circus.up("a/b"), circus.of(circus.pid()));
    let own = circus.of(pids[0]).expect("a cgroup");
    assert_eq!(own.parent(), home.as_deref());
    assert!(own.ends_with(format!("circus-{}.a_b.0", circus.pid())), "{}", own.display());
    assert_eq!(circus.of(pids[1]).as_ref(), Some(&own), "all processes of a watcher are in one");
    assert_eq!(circus.of(circus.up("other")[0]), home, "others are in none");
    assert_eq!(file(&own, "cgroup.max.depth"), "3");
    circus.log.line("cgroup.nonsense.max has no effect: there is no such file or controller here");
    assert_eq!(circus.ctl_ok(&["set", "a/b", "cgroup.cgroup.max.depth", "5", "--waiting"]), "ok");
    assert_eq!(file(&own, "cgroup.max.depth"), "5");
    let reason = circus.ctl_refused(&["set", "a/b", "cgroup.cgroup.max.depth", "many", "--waiting"]);
    assert!(reason.contains("cgroup.cgroup.max.depth = many: Invalid argument"), "{reason}");
    assert_eq!(circus.pids("a/b").len(), 2, "the processes that run go on");
    assert_eq!(circus.ctl_ok(&["stop", "a/b", "--waiting"]), "ok");
    assert!(!own.exists(), "an empty one is removed");
    assert_eq!(circus.ctl_ok(&["set", "a/b", "cgroup.cgroup.max.depth", "7"]), "ok");
    assert_eq!(circus.of(circus.up("a/b")[0]).as_ref(), Some(&own));
    circus.end_with_nothing_left();
}

/// A cgroup that hands controllers down may hold no processes: circus goes into one of its own below it.
#[test]
fn circus_makes_way_for_controllers() {
    let candidates = [("pids", "pids.max", "99"), ("hugetlb", "hugetlb.2MB.max", "2097152")];
    let ini = |file: &str, value: &str| {
        format!(
            "[watcher:first]\ncmd = sleep 1000\n[watcher:tree]\ncmd = sleep 1000\nkill_mode = tree
            [watcher:deep]\ncmd = sleep 1000\ncgroup.cgroup.max.depth = 3\n[watcher:w]\ncmd = sleep 1000\nautostart = False\ncgroup.{file} = {value}"
        )
    };
    let mut missing = String::new();
    for (controller, key, value) in candidates {
        let hand_down = format!("echo +{controller} > $own/cgroup.subtree_control");
        let circus = match Delegated::start(&hand_down, &ini(key, value)) {
            Ok(circus) => circus,
            Err(why) => {
                missing += &format!("; {controller}: {why}");
                continue;
            }
        };
        let home = circus.of(circus.pid()).expect("a cgroup");
        let [first, tree, deep] = ["first", "tree", "deep"].map(|name| circus.up(name)[0]);
        // A process goes into its cgroup right before it becomes its program.
        for pid in [tree, deep] {
            until("it is its program", || (proc::argv(pid) == ["sleep", "1000"]).then_some(()));
        }
        let theirs = [circus.of(tree), circus.of(deep)];
        assert_eq!(circus.of(first).as_ref(), Some(&home));
        let w = circus.of(circus.up("w")[0]).expect("a cgroup");
        let moved = Some(home.join(format!("circus-{}.own", circus.pid())));
        assert_eq!([circus.of(circus.pid()), circus.of(first)], [moved.clone(), moved]);
        assert_eq!([circus.of(tree), circus.of(deep)], theirs, "who has a cgroup of its own stays there");
        assert_eq!((w.parent(), file(&w, key).as_str()), (Some(home.as_path()), value));
        circus.end_with_nothing_left();
        // It stays where others use it too.
        let _ = in_cgroups(&format!("echo -{controller} > $own/cgroup.subtree_control"));
        return;
    }
    left_out(&missing);
}

/// Leaves a daemon behind that has thrown away its environment, its session, its group and its parent; it says
/// `NAME is up`, with its pid and that of its child.
const FORGETFUL: &str = "
    (setsid env -i PATH=\"$PATH\" sh -c 'sleep 1001 & echo '$1' is up $$ $!; wait' &)
    exec sleep 1000";

/// The pids that the daemon of this name and its child have written.
fn said(circus: &Circus, name: &str) -> [i32; 2] {
    let line = circus.out.line(&format!("{name} is up"));
    let mut pids = line.split_whitespace().rev().map(|word| word.parse().expect("a pid"));
    [pids.next(), pids.next()].map(|pid| pid.expect("two pids"))
}

#[test]
fn who_throws_its_environment_away_is_found_by_its_cgroup() {
    for own in ["", "cgroup.cgroup.max.depth = 3"] {
        let dir = Dir::new();
        let script = dir.script("program", FORGETFUL);
        let ini = format!(
            "[watcher:w]\ncmd = {script} $(circus.wid)\nkill_mode = tree\nnumprocesses = 2\ngraceful_timeout = 1000\n{own}"
        );
        let Some(circus) = delegated(":", &ini) else { return };
        let (one, two) = (said(&circus, "1"), said(&circus, "2"));
        until("circus has adopted both", || {
            [one, two]
                .iter()
                .all(|pids| pids.iter().any(|pid| proc::kin(*pid)[0] == circus.pid()))
                .then_some(())
        });
        let first = circus.pids("w")[0];
        let above = circus.of(first).and_then(|own| own.parent().map(Path::to_path_buf)).expect("a cgroup");
        assert_eq!(
            above.ends_with(format!("circus-{}.w", circus.pid())),
            !own.is_empty(),
            "{}",
            above.display()
        );
        circus.ask("kill", json!({"name": "w", "pid": first, "waiting": true}));
        until("the first tree is gone", || one.iter().all(|pid| !proc::exists(*pid)).then_some(()));
        assert!(two.iter().all(|pid| proc::exists(*pid)), "the other one stays");
        circus.ask("stop", json!({"name": "w", "waiting": true}));
        assert!(!two.iter().any(|pid| proc::exists(*pid)));
        circus.end_with_nothing_left();
    }
}

/// In a threaded cgroup, which takes in threads but no processes.
#[test]
fn a_tree_whose_cgroup_takes_nobody_in_starts_without_it() {
    let ini = "[watcher:w]\ncmd = sleep 1000\nkill_mode = tree";
    let Some(circus) = delegated("echo threaded > $here/cgroup.type", ini) else { return };
    let home = circus.of(circus.pid()).expect("a cgroup");
    assert_eq!(file(&home, "cgroup.type"), "threaded");
    assert_eq!(circus.of(circus.up("w")[0]), Some(home));
    circus.end_with_nothing_left();
}
