//! How processes start: what they are given, what they are not, and what is said when they cannot be started.

use crate::common::{Circus, Dir, SIGKILL, needs_root, proc, until};
use circus::control::mark::Mark;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The PATH of processes whose environment has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn names<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_string(), value.to_string())).into()
}

/// The only process of a watcher.
fn one(circus: &Circus, name: &str) -> i32 {
    let pids = circus.up(name);
    assert_eq!(pids.len(), 1, "{name}: {pids:?}");
    pids[0]
}

#[test]
fn the_command_line_is_split_and_filled_in() {
    let circus = Circus::start(
        r#"
        [watcher:words]
        cmd = sh -c 'while :; do sleep 1000; done' "$(circus.wid) b" a\ b
        args = --dir ((circus.working_dir)) $(circus.env.WHO) $(circus.nothing)
        working_dir = {dir}
        numprocesses = 3
        [env:words]
        WHO = me
        "#,
    );
    let pids = circus.up("words");
    let dir = circus.dir.name("").trim_end_matches('/').to_string();
    let expected = |wid: &str| {
        let wid = format!("{wid} b");
        let words = ["sh", "-c", "while :; do sleep 1000; done", &wid, "a b"];
        let args = ["--dir", &dir, "me", "$(circus.nothing)"];
        words.iter().chain(&args).map(|word| word.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(pids.iter().map(|pid| proc::argv(*pid)).collect::<Vec<_>>(), ["1", "2", "3"].map(expected));
    assert!(pids.iter().all(|pid| proc::cwd(*pid) == dir));
}

#[test]
fn a_shell_gets_the_text_unquoted() {
    let circus = Circus::start(
        "
        [watcher:shell]
        shell = True
        cmd = echo $0 $HERE $((1+2)) | tr a-z A-Z; exec sleep 1000
        shell_args = zero
        [env:shell]
        HERE = there
        ",
    );
    circus.out.line("ZERO THERE 3");
    let pid = one(&circus, "shell");
    until("the shell has become sleep", || (proc::argv(pid) == ["sleep", "1000"]).then_some(()));
}

#[test]
fn the_environment_is_that_of_the_watcher_and_nothing_else() {
    let dir = Dir::new();
    let ini = "
        [watcher:bare]
        cmd = sleep 1000
        [watcher:named]
        cmd = sleep 1000
        [watcher:copied]
        cmd = sleep 1000
        copy_env = True
        [env]
        BOTH = global
        HERE = $WHO:$NOBODY:x
        [env:named,cop*]
        BOTH = own
        [env:named]
        PATH = /usr/bin:/bin
        FunKy_soUl = yes
        ";
    let circus = Circus::with(dir, ini, |command| {
        command.env_clear().env("WHO", "tester").env("LISTEN_FDS", "3").env("LISTEN_PID", "1");
    });
    let of = |name| {
        let mut environ = proc::environ(one(&circus, name));
        let mark = environ.remove("CIRCUS_ID").and_then(|mark| Mark::parse(&mark)).expect("its mark");
        assert_eq!(mark.circus.pid, circus.pid());
        environ
    };
    assert_eq!(of("bare"), names([("BOTH", "global"), ("HERE", "tester::x"), ("PATH", PATH)]));
    let named = [("BOTH", "own"), ("HERE", "tester::x"), ("PATH", "/usr/bin:/bin"), ("FunKy_soUl", "yes")];
    assert_eq!(of("named"), names(named));
    let copied = [("BOTH", "own"), ("HERE", "tester::x"), ("PATH", PATH), ("WHO", "tester")];
    assert_eq!(of("copied"), names(copied));
}

/// Text that is no UTF-8 goes through as it is.
#[test]
fn bytes_survive() {
    let dir = Dir::new();
    let config =
        dir.config("bytes.ini", "[watcher:w]\ncmd = sh -c 'while :; do sleep 1000; done' X\n[env:w]\nY = X");
    let text = std::fs::read(&config).expect("just written");
    let bytes =
        |text: &[u8]| text.iter().map(|byte| if *byte == b'X' { 0xff } else { *byte }).collect::<Vec<_>>();
    std::fs::write(dir.path("included.ini"), bytes(&text)).expect("written");
    let circus = Circus::with(dir, "[circus]\ninclude = included.ini", |_| {});
    let pid = circus.up("w")[0];
    proc::argv(pid);
    let raw = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).expect("it runs");
    assert!(raw("cmdline").ends_with(b"\0\xff\0"));
    assert!(raw("environ").windows(4).any(|entry| entry == b"Y=\xff\0"));
}

#[test]
fn a_number_within_the_watcher_is_used_again() {
    let circus = Circus::start(
        "[watcher:w]\ncmd = sleep $(circus.env.LONG)$(circus.wid)\nnumprocesses = 3\n[env:w]\nLONG = 100",
    );
    let pids = circus.up("w");
    let mut events = circus.listen(&["watcher.w.spawn"]);
    // One that ran for less than a second is replaced a moment later; what counts here is the number.
    circus::sys::signal::kill(pids[1], SIGKILL).expect("it runs");
    let new = events.pid("watcher.w.spawn");
    assert_eq!(proc::argv(new), ["sleep", "1002"]);
    let stats = circus.ask("stats", json!({"name": "w", "process": new}));
    assert_eq!(stats["info"]["wid"], 2);
}

#[test]
fn ids_and_groups_are_dropped_together() {
    needs_root();
    let circus = Circus::start(
        "
        [watcher:user]
        cmd = sleep 1000
        uid = nobody
        [watcher:both]
        cmd = sleep 1000
        uid = 65534
        gid = daemon
        [watcher:group]
        cmd = sleep 1000
        gid = daemon
        ",
    );
    let ids = |name| {
        let pid = one(&circus, name);
        ["Uid", "Gid", "Groups"].map(|key| proc::status(pid, key))
    };
    let four = |id: &str| [id; 4].join(" ");
    assert_eq!(ids("user"), [four("65534"), four("65534"), "65534".to_string()]);
    assert_eq!(ids("both"), [four("65534"), four("1"), "1".to_string()]);
    assert_eq!(ids("group"), [four("0"), four("1"), "1".to_string()]);
    let pid = one(&circus, "user");
    assert_eq!(proc::status(pid, "CapEff"), "0000000000000000");
}

/// A circus without privileges cannot drop any: the process is not started with too many instead.
#[test]
fn a_user_that_circus_may_not_become_stops_the_watcher() {
    needs_root();
    let dir = Dir::new();
    let program = dir.program("program", env!("CARGO_BIN_EXE_circus"));
    let ini = "
        [circus]
        endpoint = none
        [watcher:root]
        cmd = touch {dir}/ran
        uid = root
        max_retry = 1
        [watcher:group]
        cmd = touch {dir}/ran
        gid = daemon
        max_retry = 1
        [watcher:itself]
        cmd = sleep 1000
        uid = nobody
        ";
    let circus = Circus::launch(dir, ini, |command| {
        *command = Command::new(program);
        command.uid(65534).gid(65534);
    });
    circus.log.line("itself started");
    for name in ["root", "group"] {
        let line = circus.log.line(&format!("{name}: given up"));
        assert!(line.ends_with("Operation not permitted"), "{line}");
    }
    assert!(!crate::common::exists(&circus.dir.path("ran")));
}

#[test]
fn limits_are_set_and_those_of_circus_itself_given_back() {
    let ini = "
        [watcher:plain]
        cmd = sleep 1000
        [watcher:limited]
        cmd = sleep 1000
        rlimit_nofile = 123
        rlimit_core = 0
        rlimit_STACK = 1048576
        rlimit_cpu =
        ";
    // A soft limit that circus raises for itself.
    let wrapper = "ulimit -Sn 200; exec \"$@\"";
    let circus = Circus::wrapped(wrapper, ini);
    let pid = one(&circus, "limited");
    let both = |value: &str| (value.to_string(), value.to_string());
    assert_eq!(proc::limit(pid, "Max open files"), both("123"));
    assert_eq!(proc::limit(pid, "Max core file size"), both("0"));
    assert_eq!(proc::limit(pid, "Max stack size"), both("1048576"));
    assert_eq!(proc::limit(pid, "Max cpu time"), both("unlimited"));
    let plain = one(&circus, "plain");
    assert_eq!(proc::limit(plain, "Max open files").0, "200");
    assert_ne!(proc::limit(circus.pid(), "Max open files").0, "200");
}

#[test]
fn the_umask_is_that_of_the_watcher_else_of_circus() {
    let circus = Circus::start(
        "
        [circus]
        umask = 027
        [watcher:plain]
        cmd = sleep 1000
        [watcher:own]
        cmd = sleep 1000
        umask = 077
        ",
    );
    assert_eq!(proc::status(one(&circus, "plain"), "Umask"), "0027");
    assert_eq!(proc::status(one(&circus, "own"), "Umask"), "0077");
}

#[test]
fn descriptors_are_the_three_standard_ones_and_no_other() {
    let ini = "
        [circus]
        pidfile = {dir}/pid
        [socket:unused]
        port = 0
        [watcher:plain]
        cmd = sleep 1000
        numprocesses = 2
        [watcher:closed]
        cmd = sleep 1000
        close_child_stdout = True
        close_child_stderr = True
        [watcher:streams]
        cmd = sleep 1000
        stdout_stream.class = StdoutStream
        stderr_stream.class = FileStream
        stderr_stream.filename = {dir}/stderr
        ";
    // Descriptors that circus inherits without the close-on-exec flag are not for its children either.
    let wrapper = "exec 5< /dev/zero 7> /dev/null; exec \"$@\"";
    let circus = Circus::wrapped(wrapper, ini);
    assert!(proc::fds(circus.pid()).is_superset(&BTreeSet::from([5, 7])), "the wrapper does what it says");
    let exact = BTreeSet::from([0, 1, 2]);
    for name in ["plain", "closed", "streams"] {
        for pid in circus.up(name) {
            // The dynamic linker has a library open for a moment.
            until("a process has descriptors 0, 1 and 2 alone", || (proc::fds(pid) == exact).then_some(()));
            assert_eq!(proc::fd(pid, 0), "/dev/null");
        }
    }
    let outputs = |pid| [proc::fd(pid, 1), proc::fd(pid, 2)];
    assert_eq!(outputs(one(&circus, "closed")), ["/dev/null", "/dev/null"]);
    assert_eq!(outputs(circus.up("plain")[0]), outputs(circus.pid()));
    let [stdout, stderr] = outputs(one(&circus, "streams"));
    assert!(stdout.starts_with("pipe:[") && stderr.starts_with("pipe:[") && stdout != stderr);
    assert!(!outputs(circus.pid()).contains(&stdout));
}

#[test]
fn signals_are_as_in_a_fresh_login() {
    let wrapper = "trap '' HUP PIPE USR2; exec \"$@\"";
    let circus = Circus::wrapped(wrapper, "[watcher:w]\ncmd = sleep 1000\nnumprocesses = 2");
    for pid in circus.up("w") {
        let masks = ["SigBlk", "SigIgn", "SigCgt"].map(|key| proc::status(pid, key));
        assert_eq!(masks, ["0000000000000000"; 3]);
    }
}

#[test]
fn each_process_leads_a_session_and_a_group() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nnumprocesses = 2");
    for pid in circus.up("w") {
        assert_eq!(proc::kin(pid), [circus.pid(), pid, pid, 0]);
    }
}

#[test]
fn a_failure_to_execute_is_told_with_watcher_path_and_reason() {
    let dir = Dir::new();
    dir.write("text", "no program\n");
    dir.program("garbage", "/etc/passwd");
    let circus = Circus::with(
        dir,
        "
        [watcher:missing]
        cmd = /no/such/program -x
        [watcher:nowhere]
        cmd = no-such-program
        [watcher:text]
        cmd = {dir}/text
        [watcher:garbage]
        cmd = {dir}/garbage
        [watcher:relative]
        cmd = ./here
        working_dir = {dir}
        [watcher:homeless]
        cmd = sleep 1000
        working_dir = {dir}/none
        [watcher:good]
        cmd = sleep 1000
        ",
        |_| {},
    );
    let path = |name: &str| circus.dir.name(name);
    let said = |name: &str, why: String| {
        let line = circus.log.line(&format!("error in '{name}': "));
        assert!(line.ends_with(&format!("error in '{name}': {why}")), "{line}");
    };
    said("missing", "exec /no/such/program: No such file or directory".into());
    said("text", format!("exec {}: Permission denied", path("text")));
    said("garbage", format!("exec {}: Exec format error", path("garbage")));
    said("relative", "exec ./here: No such file or directory".into());
    said("homeless", format!("working_dir {}: No such file or directory", path("none")));
    let line = circus.log.line("error in 'nowhere': ");
    assert!(line.contains("no-such-program") && line.ends_with("No such file or directory"), "{line}");
    circus.up("good");
}

#[test]
fn what_does_not_exist_stops_its_own_watcher_only() {
    let wrong = [
        ("user", "cmd = sleep 1000\nuid = no-such-user", "uid = no-such-user"),
        ("group", "cmd = sleep 1000\ngid = no-such-group", "gid = no-such-group"),
        ("limit", "cmd = sleep 1000\nrlimit_nonsense = 5", "rlimit_nonsense"),
        ("socket", "cmd = sleep $(circus.sockets.none)\nuse_sockets = True", "the socket none"),
        ("listed", "cmd = sleep 1000\nuse_sockets = True\nsockets = none", "[socket:none]"),
        ("stdin", "cmd = sleep 1000\nstdin_socket = none", "stdin_socket = none"),
        ("quote", "cmd = sleep '1000", "quotation mark"),
        ("empty", "numprocesses = 2", "cmd is empty"),
    ];
    let sections = wrong.map(|(name, options, _)| format!("[watcher:{name}]\nmax_retry = 1\n{options}\n"));
    let circus = Circus::start(&(sections.concat() + "[watcher:good]\ncmd = sleep 1000"));
    for (name, _, reason) in wrong {
        circus.until_status(name, "stopped");
        let line = circus.log.line(&format!("{name}: given up"));
        assert!(line.contains("[ERROR]") && line.contains(reason), "{line}");
        let refused = circus.call("start", json!({"name": name, "waiting": true}));
        let said = refused["reason"].as_str().expect("a reason");
        assert!(refused["errno"] == 6 && said.contains(reason), "{refused}");
    }
    circus.up("good");
}
