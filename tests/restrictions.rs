//! What the processes of a watcher may do and how they rank: the options of it together, as root and as another user,
//! and what is said when one of them cannot be had. That each of them alone works is in tuning.rs.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::user::{NOBODY, of_user};
use common::{Circus, Dir, SIGTERM, needs_root, proc, until};
use std::path::PathBuf;

/// What a process writes into the file `out` of the test's directory, once it has written a line `end`.
fn said(circus: &Circus) -> String {
    until("the process has said all", || {
        let text = std::fs::read_to_string(circus.dir.path("out")).unwrap_or_default();
        text.strip_suffix("end\n").map(str::to_string)
    })
}

/// A watcher that runs a script, its output in `out`.
fn runs(script: &str, options: &str) -> Circus {
    needs_root();
    let dir = Dir::new();
    let cmd = dir.script("script", &format!("{script}\necho end; exec sleep 1000"));
    let streams = "stdout_stream.filename = {dir}/out\nstderr_stream.filename = {dir}/out";
    Circus::with(dir, &format!("[watcher:w]\ncmd = {cmd}\n{streams}\n{options}"), |_| {})
}

#[test]
fn capabilities_that_are_kept_outlast_the_change_of_the_user_and_the_next_program() {
    let circus = runs(
        "grep -E '^(Uid|Cap)' /proc/self/status; chown 1 \"$0\" 2> /dev/null || echo cannot",
        "uid = nobody\nworking_dir = {dir}\ncapabilities = net_bind_service CAP_CHOWN",
    );
    let kept = "0000000000000401";
    let expected: String =
        ["Inh", "Prm", "Eff", "Bnd", "Amb"].map(|set| format!("Cap{set}: {kept} ")).concat();
    let text = said(&circus).split_whitespace().collect::<Vec<_>>().join(" ") + " ";
    assert!(text.starts_with("Uid: 65534 65534 65534 65534 "), "{text}");
    assert!(text.contains(&expected) && !text.contains("cannot"), "{text}");
}

#[test]
fn who_keeps_no_capability_is_root_by_name_only() {
    let circus = runs(
        "id -u; chown nobody \"$0\" 2> /dev/null || echo cannot; mount -t tmpfs none /mnt 2> /dev/null || echo cannot",
        "capabilities = none",
    );
    assert_eq!(said(&circus), "0\ncannot\ncannot\n");
}

#[test]
fn no_program_gives_back_what_no_new_privs_took() {
    needs_root();
    let dir = Dir::new();
    let program = dir.program("id", "/usr/bin/id");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o4755))
        .expect("its mode");
    for (option, uid) in [("no_new_privs = True", "65534\n"), ("no_new_privs = False", "0\n")] {
        let circus = runs(&format!("{} -u", program.display()), &format!("uid = nobody\n{option}"));
        assert_eq!(said(&circus), uid, "{option}");
    }
}

#[test]
fn groups_are_cleared_or_kept_as_asked() {
    needs_root();
    for (options, groups) in [
        ("gid = daemon", "1"),
        ("gid = daemon\nclear_groups = True", ""),
        ("gid = daemon\nclear_groups = False", "4 24"),
        ("clear_groups = True", ""),
        ("", "4 24"),
        ("uid = nobody\nclear_groups = True", ""),
        ("uid = nobody", "65534"),
    ] {
        let dir = Dir::new();
        let ini = format!("[watcher:w]\ncmd = sleep 1000\n{options}");
        let circus = Circus::with(dir, &ini, |command| {
            let program = command.get_program().to_owned();
            *command = std::process::Command::new("setpriv");
            command.args(["--groups", "24,4"]).arg(program);
        });
        assert_eq!(proc::status(circus.up("w")[0], "Groups"), groups, "{options}");
    }
}

#[test]
fn a_sandbox_is_read_only_but_for_what_is_named() {
    let script = "
        for path in $DIR/free/x $DIR/free/below/x $DIR/x /tmp/circus-x ./x; do
            (echo x > $path) 2> /dev/null && echo can || echo cannot
        done
        echo x > /dev/null && echo x > /dev/shm/circus-$$ && rm /dev/shm/circus-$$ && echo devices
        echo 1 > /proc/self/oom_score_adj && echo proc";
    needs_root();
    let dir = Dir::new();
    for name in ["free", "free/below"] {
        std::fs::create_dir(dir.path(name)).expect("a directory");
    }
    let (cmd, root) = (dir.script("script", &format!("{script}\necho end; exec sleep 1000")), dir.name(""));
    let root = root.trim_end_matches('/').to_string();
    let ini = format!(
        "[watcher:w]\ncmd = {cmd}\nworking_dir = {{dir}}/free\nstdout_stream.filename = {{dir}}/out
        sandbox = read-only, $(CIRCUS.env.dir)/free\n[env]\nDIR = {root}"
    );
    let circus = Circus::with(dir, &ini, |_| {});
    assert_eq!(said(&circus), "can\ncan\ncannot\ncannot\ncan\ndevices\nproc\n");
    assert!(circus.dir.path("free/below/x").exists(), "what is written is seen outside");
    std::fs::write(circus.dir.path("new"), "").expect("and outside nothing is read-only");
}

#[test]
fn a_sandbox_of_what_is_not_there_is_a_failure_with_words() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nsandbox = read-only /no/such\nmax_retry = 1");
    circus.log.line("error in 'w': sandbox: No such file or directory");
}

#[test]
fn the_variables_of_a_login_are_those_of_the_user() {
    needs_root();
    let names = ["HOME", "USER", "LOGNAME", "SHELL"];
    let of = |options: &str, env: &str| {
        let ini = format!("[watcher:w]\ncmd = sleep 1000\n{options}\n[env:w]\nX = 1\n{env}");
        let circus = Circus::with(Dir::new(), &ini, |command| {
            command.env("HOME", "/of/circus").env("USER", "circus").env("SHELL", "/bin/circus");
        });
        let environ = proc::environ(circus.up("w")[0]);
        names.map(|name| environ.get(name).cloned().unwrap_or_default())
    };
    let nobody = ["/nonexistent", "nobody", "nobody", "/bin/sh"];
    assert_eq!(of("", ""), ["", "", "", ""]);
    assert_eq!(of("uid = nobody", ""), nobody);
    assert_eq!(of("copy_env = True", ""), ["/of/circus", "circus", "", "/bin/circus"]);
    assert_eq!(of("copy_env = True\nuid = 65534", ""), nobody);
    assert_eq!(of("uid = root", "")[..3], ["/root", "root", "root"]);
    assert_eq!(of("uid = nobody", "HOME = /mine"), ["/mine", "nobody", "nobody", "/bin/sh"]);
    assert_eq!(of("gid = daemon", ""), ["", "", "", ""]);
}

/// What only root may have, asked for by another user.
#[test]
fn without_the_rights_for_it_a_process_is_not_started_and_the_log_says_why() {
    needs_root();
    let words = "Operation not permitted";
    for (options, step, why) in [
        ("nice = -5", "nice", "Permission denied"),
        ("ionice = realtime", "ionice", words),
        ("oom_score_adj = -5", "oom_score_adj", "Permission denied"),
        ("capabilities = none", "capabilities", words),
        ("capabilities = chown\nno_new_privs = True", "capabilities", words),
        ("clear_groups = True", "setgroups", words),
        ("sandbox = read-only", "sandbox", words),
    ] {
        let dir = Dir::new();
        let ini =
            format!("[circus]\nendpoint = none\n[watcher:w]\ncmd = sleep 1000\nmax_retry = 1\n{options}");
        let mut circus = of_user(NOBODY, None, dir, &ini);
        circus.log.line(&format!("error in 'w': {step}: {why}"));
        circus.signal(SIGTERM);
        assert_eq!(circus.wait(), 0, "{options}");
    }
}

/// What every user may have.
#[test]
fn without_rights_a_process_can_still_be_kept_from_more() {
    needs_root();
    let ini = "[circus]\nendpoint = none\n[watcher:w]\ncmd = grep -E '^(CapPrm|NoNewPrivs)' /proc/self/status
        nice = 5\nionice = idle\noom_score_adj = 900\ncapabilities = none\nno_new_privs = True\nrespawn = False";
    let mut circus = of_user(NOBODY, None, Dir::new(), ini);
    circus.out.line("CapPrm:\t0000000000000000");
    circus.out.line("NoNewPrivs:\t1");
    circus.signal(SIGTERM);
    assert_eq!(circus.wait(), 0);
    assert!(!circus.log.text().contains("WARNING"), "{}", circus.log.text());
}

/// The cgroup of a process, below where cgroups of version 2 are mounted; none where there are none.
fn cgroup(pid: i32) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc");
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let path = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let path = path.lines().find_map(|line| line.strip_prefix("0::/"))?.to_string();
    Some(PathBuf::from(line.split(' ').nth(4)?).join(path))
}

#[test]
fn a_watcher_has_a_cgroup_of_its_own_where_circus_may_make_one() {
    needs_root();
    let ini = "[watcher:a/b]\ncmd = sleep 1000\ncgroup.cgroup.max.depth = 3\ncgroup.nonsense.max = 1\nnumprocesses = 2
        [watcher:other]\ncmd = sleep 1000";
    let mut circus = Circus::start(ini);
    let pids = circus.up("a/b");
    let (own, home) = (cgroup(pids[0]), cgroup(circus.pid()));
    let Some((own, home)) = own.zip(home).filter(|(own, home)| own != home) else {
        circus.log.line("cgroup.* has no effect: ");
        return;
    };
    assert_eq!(own.parent(), Some(home.as_path()));
    assert!(own.ends_with(format!("circus-{}.a_b.0", circus.pid())), "{}", own.display());
    assert_eq!(cgroup(pids[1]).as_ref(), Some(&own), "all processes of a watcher are in one");
    assert_eq!(cgroup(circus.up("other")[0]), Some(home), "others are in none");
    let depth = || std::fs::read_to_string(own.join("cgroup.max.depth")).expect("a file of a cgroup");
    assert_eq!(depth(), "3\n");
    circus.log.line("cgroup.nonsense.max has no effect: there is no such file or controller here");
    assert_eq!(circus.ctl_ok(&["set", "a/b", "cgroup.cgroup.max.depth", "5", "--waiting"]), "ok");
    assert_eq!(depth(), "5\n");
    let reason = circus.ctl_refused(&["set", "a/b", "cgroup.cgroup.max.depth", "many", "--waiting"]);
    assert!(reason.contains("cgroup.cgroup.max.depth = many: Invalid argument"), "{reason}");
    assert_eq!(circus.pids("a/b").len(), 2, "the processes that run go on");
    assert_eq!(circus.ctl_ok(&["stop", "a/b", "--waiting"]), "ok");
    assert!(!own.exists(), "an empty one is removed");
    assert_eq!(circus.ctl_ok(&["set", "a/b", "cgroup.cgroup.max.depth", "7"]), "ok");
    assert_eq!(cgroup(circus.up("a/b")[0]).as_ref(), Some(&own));
    circus.end();
    assert!(!own.exists(), "and nothing is left at the end");
}

/// A cgroup that hands controllers down may hold no processes: circus goes into one of its own below it.
#[test]
fn circus_makes_way_for_controllers() {
    needs_root();
    let own = i32::try_from(std::process::id()).expect("a pid");
    let Some(top) = cgroup(own).filter(|top| std::fs::metadata(top).is_ok()) else { return };
    let delegated = top.join(format!("circus-test-{own}"));
    if std::fs::create_dir(&delegated).is_err() {
        return; // that circus says so is tested elsewhere
    }
    let write = |dir: &PathBuf, file: &str, text: &str| std::fs::write(dir.join(file), text).is_ok();
    let before = std::fs::read_to_string(top.join("cgroup.subtree_control")).expect("a file of a cgroup");
    let candidates = [("pids", "pids.max", "99"), ("hugetlb", "hugetlb.2MB.max", "2097152")];
    let handed_down = |(name, ..): &&(&str, _, _)| write(&top, "cgroup.subtree_control", &format!("+{name}"));
    if let Some((controller, file, value)) = candidates.iter().find(handed_down) {
        let ini = format!(
            "[watcher:first]\ncmd = sleep 1000\n[watcher:w]\ncmd = sleep 1000\nautostart = False\ncgroup.{file} = {value}"
        );
        let script = format!("echo $$ > {}/cgroup.procs\nexec \"$@\"", delegated.display());
        let mut circus = Circus::wrapped(&script, &ini);
        let first = circus.up("first")[0];
        assert_eq!(cgroup(first).as_ref(), Some(&delegated));
        let w = cgroup(circus.up("w")[0]).expect("a cgroup");
        let moved = delegated.join(format!("circus-{}.own", circus.pid()));
        assert_eq!([cgroup(circus.pid()), cgroup(first)], [Some(moved.clone()), Some(moved.clone())]);
        assert_eq!(w.parent(), Some(delegated.as_path()));
        assert_eq!(
            std::fs::read_to_string(w.join(file)).expect("a file of a cgroup").trim_end(),
            *value,
            "{controller}"
        );
        circus.end();
        assert!(!w.exists() && !moved.exists(), "all are removed");
        if !before.split_whitespace().any(|enabled| enabled == *controller) {
            write(&top, "cgroup.subtree_control", &format!("-{controller}"));
        }
    }
    until("the cgroup of the test is empty", || std::fs::remove_dir(&delegated).ok());
}
