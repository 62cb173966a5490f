//! What the processes of a watcher may do and how they rank: the options of it together, as root and as another user,
//! and what is said when one of them cannot be had. That each of them alone works is in tuning.rs.

use crate::common::user::{NOBODY, as_user, of_user};
use crate::common::{Circus, Dir, SIGTERM, needs_root, proc, until};
use std::os::unix::process::CommandExt;
use std::process::Command;

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
            *command = Command::new("setpriv");
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

/// By Landlock, for who may make no mount namespace: the processes of a circus that is not root's, or under `sandbox.net`.
#[test]
fn a_sandbox_without_root_is_read_only_too() {
    needs_root();
    let dir = Dir::new();
    for name in ["free", "other"] {
        std::fs::create_dir(dir.path(name)).expect("a directory");
        std::os::unix::fs::chown(dir.path(name), Some(NOBODY), None).expect("its owner");
    }
    std::fs::write(dir.path("other/old"), "x").expect("a file");
    std::os::unix::fs::chown(dir.path("other/old"), Some(NOBODY), None).expect("its owner");
    let root = dir.name("").trim_end_matches('/').to_string();
    let script = dir.script(
        "script",
        &format!(
            "for path in {root}/free/x {root}/other/x {root}/other/old; do
                (echo x > $path) 2>&- && echo can || echo cannot
            done
            rm {root}/other/old 2>&- && echo gone || echo there
            (mv {root}/free/x {root}/free/y && mkdir {root}/free/d && rmdir {root}/free/d) && echo moved
            echo x > /dev/null && cat {root}/other/old && echo end; exec sleep 1000"
        ),
    );
    let ini =
        format!("[circus]\nendpoint = none\n[watcher:w]\ncmd = {script}\nsandbox = read-only {root}/free");
    let mut circus = of_user(NOBODY, None, dir, &ini);
    circus.out.line("end");
    assert_eq!(circus.out.text(), "can\ncannot\ncannot\nthere\nmoved\nxend\n");
    circus.signal(SIGTERM);
    assert_eq!(circus.wait(), 0);
}

#[test]
fn only_the_ports_that_are_named_can_be_used() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let open = held.local_addr().expect("its address").port();
    let program = "import errno, socket, sys
def tried(what, port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try: getattr(s, what)(('127.0.0.1', port)); return 'can'
    except OSError as error: return errno.errorcode[error.errno]
open = int(sys.argv[1])
print(tried('connect', open), tried('connect', 9), tried('bind', 0), tried('bind', open), flush=True)
sys.stdin.read()";
    for (net, expected) in [
        (format!("connect:{open}"), "can EACCES EACCES EACCES"),
        ("bind:0 connect:9".into(), "EACCES ECONNREFUSED can EACCES"),
        ("none".into(), "EACCES EACCES EACCES EACCES"),
    ] {
        let dir = Dir::new();
        dir.write("ports.py", program);
        let ini = format!(
            "[watcher:w]\ncmd = sh -c 'python3 ports.py {open}; exec sleep 1000'\nworking_dir = {{dir}}\nsandbox.net = {net}"
        );
        let circus = Circus::with(dir, &ini, |_| {});
        circus.out.line(expected);
    }
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nsandbox.net = bind:1\nno_new_privs = False");
    assert_eq!(proc::status(circus.up("w")[0], "NoNewPrivs"), "1");
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
    assert_eq!(of("uid = 61904\ngid = 61905", ""), ["/", "61904", "61904", "/bin/sh"]);
}

#[test]
fn a_number_needs_no_entry_where_the_group_is_said_too() {
    needs_root();
    let mut circus = Circus::start(
        "[watcher:both]\ncmd = sleep 1000\nuid = 61904\ngid = 61905\n[watcher:one]\ncmd = sleep 1000\nuid = 61904\nmax_retry = 1",
    );
    let pid = circus.up("both")[0];
    let of = |key: &str| proc::status(pid, key).split_whitespace().next().map(str::to_string);
    assert_eq!((of("Uid").as_deref(), of("Gid").as_deref()), (Some("61904"), Some("61905")));
    assert_eq!(proc::status(pid, "Groups").trim(), "61905");
    circus.log.line("error in 'one': uid = 61904: there is no such user, and no gid that says its group");
    circus.end();
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

/// A shortage that passes: however long it lasts, the watcher comes up when it is over.
#[test]
fn what_circus_may_have_too_little_of_for_a_while_uses_up_no_max_retry() {
    needs_root();
    // Nobody else has this user, whose processes are counted: one that gets in the way, and circus itself.
    let (user, dir) = (61_903, Dir::new());
    let program = as_user(user, None, &dir).get_program().to_owned();
    let ini = "[circus]\nendpoint = none\n[watcher:w]\ncmd = sleep 1000\nmax_retry = 1";
    let mut other = Command::new("sleep").arg("1000").uid(user).spawn().expect("sleep");
    let mut circus = Circus::launch(dir, ini, |command| {
        *command = Command::new("prlimit");
        command.uid(user).gid(user).arg("--nproc=2").arg(program);
    });
    circus.log.line("error in 'w': clone: Resource temporarily unavailable");
    other.kill().and_then(|()| other.wait()).expect("it runs");
    until("w runs", || proc::children(circus.pid()).first().copied());
    circus.log.line("'w' could be executed again, after ");
    circus.signal(SIGTERM);
    assert_eq!(circus.wait(), 0);
    assert!(!circus.log.text().contains("given up"), "{}", circus.log.text());
}
