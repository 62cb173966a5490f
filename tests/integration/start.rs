//! From the command line to a daemon that is ready, or to the reason why not; and the names of the program.

use crate::common::client::Client;
use crate::common::{Circus, Dir, Ended, SIGKILL, SIGTERM, exists, proc, run, until};
use circus::sys::signal::kill;
use serde_json::json;
use std::os::unix::process::CommandExt;
use std::process::Command;

const SLEEPER: &str = "[watcher:w]\ncmd = sleep 1000\n";

/// Runs `circus ARGS`, which is to end by itself.
fn circus(args: &[&str]) -> Ended {
    run(crate::common::circus().args(args))
}

/// A start that fails: one line on the standard error output, and this code.
fn fails(args: &[&str], code: i32, said: &[&str]) {
    let ended = circus(args);
    assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{args:?}: {}", ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{args:?}: {}", ended.err);
    assert!(ended.err.starts_with("circus: "), "{args:?}: {}", ended.err);
    assert!(said.iter().all(|said| ended.err.contains(said)), "{said:?}: {}", ended.err);
}

#[test]
fn wrong_arguments_are_the_fault_of_the_user() {
    fails(&[], 100, &["configuration file is missing"]);
    fails(&["a.ini", "b.ini"], 100, &["more than one"]);
    fails(&["--nonsense", "a.ini"], 100, &["nonsense"]);
    fails(&["--log-level", "loud", "a.ini"], 100, &["loud", "debug, info, warning, error, critical"]);
    fails(&["--pidfile"], 100, &["pidfile"]);
}

#[test]
fn a_configuration_that_cannot_be_read_is_the_fault_of_the_user() {
    let dir = Dir::new();
    fails(&[&dir.name("none.ini")], 100, &["none.ini", "No such file or directory"]);
    fails(&[&dir.name("")], 100, &["it is not a regular file"]);
    fails(&["/proc/kmsg"], 100, &["/proc/kmsg", "it is not a regular file"]);
    fails(&[&dir.write("stray.ini", "stray\n")], 100, &["stray.ini:1: error: ", "stray"]);
    let wrong = dir.config("wrong.ini", "[watcher:w]\ncmd = sleep 1\nnumprocesses = many");
    fails(&[&wrong], 100, &["wrong.ini:5: error: ", "numprocesses = many"]);
    fails(&[&dir.config("endpoint.ini", "[circus]\nendpoint = udp://x:1")], 100, &["udp://x:1"]);
    assert!(!exists(&dir.path("sock")));
}

#[test]
fn ten_wrong_lines_are_ten_findings() {
    let dir = Dir::new();
    let config = dir.config(
        "ten.ini",
        "
        [circus]
        no delimiter
        check_delay = often
        umask = 9
        [watcher:a]
        cmd = sleep 1
        numprocesses = many
        respawn = perhaps
        stop_signal = NOPE
        graceful_timeout = soon
        rlimit_nofile = lots
        stdout_stream = FileStream
        neither
        ",
    );
    let ended = circus(&[&config]);
    let lines = [5, 6, 7, 10, 11, 12, 13, 14, 15, 16];
    let places: Vec<String> = lines.map(|line| format!("circus: {config}:{line}: error: ")).into();
    let err: Vec<&str> = ended.err.lines().collect();
    assert_eq!((ended.code, err.len()), (100, 10), "{}", ended.err);
    assert!(err.iter().zip(&places).all(|(line, place)| line.starts_with(place.as_str())), "{}", ended.err);
    for args in [["check", &config], ["--check", &config], [&config, "--check"]] {
        let ended = circus(&args);
        assert_eq!((ended.code, ended.err.as_str()), (1, ""));
        let found: Vec<&str> = ended.out.lines().collect();
        let (end, found) = found.split_last().expect("lines");
        assert_eq!(*end, format!("{config}: 10 errors, 0 warnings; circus does not start with it"));
        assert_eq!(found, err.iter().map(|line| &line["circus: ".len()..]).collect::<Vec<_>>());
    }
}

#[test]
#[cfg(feature = "check")]
fn what_another_machine_has_is_not_asked_of_this_one() {
    let dir = Dir::new();
    let config = dir.config(
        "circus.ini",
        "
        [circus]
        pidfile = /no/such/place/pid
        [watcher:a]
        cmd = no-such-program
        working_dir = /no/such/place
        uid = no-such-user
        env_file = /no/such/file
        stdout_stream.class = FileStream
        stdout_stream.filename = /no/such/place/log
        numproceses = 3
        ",
    );
    let check = |options: &[&str]| {
        let ended = circus(&[&["check", &config], options].concat());
        (ended.code, ended.out.matches(": error: ").count(), ended.out.matches("numprocesses").count())
    };
    assert_eq!(check(&[]), (1, 5, 1));
    assert_eq!(check(&["--offline"]), (0, 0, 1));
}

#[test]
fn what_is_merely_unknown_is_a_warning_with_its_place() {
    let mut circus = Circus::start(
        "
        [circus]
        check_delay = 5
        pubsub_endpoint = tcp://127.0.0.1:5556
        stats_endpoint = tcp://127.0.0.1:5557
        statsd = True
        nonsense = 1
        [watcher:w]
        cmd = sleep 1000
        numproceses = 3
        prereload_fn = y
        [wotcher:x]
        cmd = sleep 1000
        ",
    );
    circus.up("w");
    let place = |line: u32| format!("circus.ini:{line}: ");
    for (line, said) in
        [(9, "`nonsense`"), (12, "numprocesses"), (13, "`prereload_fn` has no effect"), (14, "[wotcher:x]")]
    {
        let found = circus.log.line(&place(line));
        assert!(found.contains("[WARNING]") && found.contains(said), "{found}");
    }
    assert_eq!(circus.log.count("[WARNING]"), 4, "{}", circus.log.text());
    assert_eq!(circus.ask("numwatchers", json!({}))["numwatchers"], 1);
    // The socket that stands for the port of pubsub_endpoint is not in the directory of the test.
    circus.end();
}

/// The main file counts over those that it includes, and variables reach everywhere.
#[test]
fn a_configuration_may_be_in_many_files() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path("conf.d")).expect("a directory");
    dir.write(
        "conf.d/b.ini",
        "[watcher:b]\ncmd = sleep $(circus.env.LONG)\n[watcher:w]\ncmd = sleep 1\nnumprocesses = 2\n",
    );
    dir.write(
        "c.conf",
        "[watcher:c]\ncmd = sleep 3000\nworking_dir = $(circus.env.DIR)\n[env:c]\nDIR = /usr\n",
    );
    let ini =
        format!("[circus]\ninclude = *.conf none/*.ini\ninclude_dir = conf.d\n[env]\nLONG = 2000\n{SLEEPER}");
    let circus = Circus::with(dir, &ini, |_| {});
    let argv = |name: &str| circus.up(name).into_iter().map(proc::argv).collect::<Vec<_>>();
    assert_eq!(argv("w"), [["sleep", "1000"], ["sleep", "1000"]]);
    assert_eq!(
        (argv("b"), argv("c")),
        (vec![vec!["sleep".into(), "2000".to_string()]], vec![vec!["sleep".into(), "3000".into()]])
    );
    assert_eq!(proc::cwd(circus.pids("c")[0]), "/usr");
    let warning = circus.log.line("[WARNING]");
    assert!(warning.contains("none/*.ini"), "{warning}");
}

#[test]
fn a_command_where_a_configuration_stands_is_answered_with_the_likely_one() {
    fails(&["chek", "web.ini"], 100, &["there is no file chek; did you mean circus check?"]);
    fails(&["start", "web"], 100, &["there is no file start; did you mean circus ctl start?"]);
    fails(&["a.ini", "b.ini"], 100, &["there is more than one configuration file"]);
}

#[test]
fn what_the_system_refuses_has_its_own_code() {
    let dir = Dir::new();
    let config = dir.config("c.ini", SLEEPER);
    let none = dir.name("none/file");
    fails(&["--pidfile", &none, &config], 111, &["pidfile", &none, "No such file or directory"]);
    fails(&["--log-output", &none, &config], 111, &["log output", &none]);
    let bad = dir.config("endpoint.ini", &format!("[circus]\nendpoint = {none}"));
    fails(&[&bad], 111, &["control socket", &none, "No such file or directory"]);
    dir.write("file", "precious");
    let file = dir.config("file.ini", "[circus]\nendpoint = {dir}/file");
    fails(&[&file], 111, &["control socket", "not a socket"]);
    assert_eq!(dir.read("file"), "precious");
}

#[test]
fn an_endpoint_serves_one_circus() {
    let first = Circus::start(SLEEPER);
    let pid = first.up("w");
    fails(&[&first.dir.name("circus.ini")], 111, &["control socket", "another circus serves it already"]);
    assert_eq!(first.pids("w"), pid);
    // The file of one that was killed is in nobody's way.
    kill(first.pid(), SIGKILL).expect("it runs");
    until("circus is dead", || (!proc::exists(first.pid())).then_some(()));
    kill(pid[0], SIGKILL).expect("it runs");
    assert!(exists(&first.dir.path("sock")));
    let ini = format!("[circus]\nendpoint = {}\n{SLEEPER}", first.dir.name("sock"));
    let second = Circus::launch(Dir::new(), &ini, |_| {});
    second.log.line("w started");
    Client::connect(&first.dir.path("sock")).expect("it listens there");
}

#[test]
fn the_pid_file_is_there_while_circus_runs() {
    let dir = Dir::new();
    dir.write("pid", "1\n");
    let ini = format!("[circus]\npidfile = {{dir}}/other\n{SLEEPER}");
    let path = dir.name("pid");
    let mut circus = Circus::with(dir, &ini, |command| {
        command.args(["--pidfile", &path]);
    });
    circus.ask("list", json!({})); // what can be connected to may still be starting
    assert_eq!(circus.dir.read("pid"), format!("{}\n", circus.pid()));
    assert!(!exists(&circus.dir.path("other")), "the command line counts");
    let other = circus.dir.config("other.ini", "[circus]\nendpoint = {dir}/other");
    let pid = circus.pid().to_string();
    fails(&["--pidfile", &path, &other], 111, &["circus runs already", &pid]);
    assert_eq!(circus.dir.read("pid"), format!("{pid}\n"));
    circus.end();
    assert!(!exists(&circus.dir.path("pid")));
}

#[test]
fn options_may_stand_before_and_after_the_file() {
    for before in [true, false] {
        let dir = Dir::new();
        let config = dir.config("c.ini", &format!("[circus]\nloglevel = error\n{SLEEPER}"));
        let log = dir.name("log");
        let options = ["--log-level", "debug", "--log-output", &log];
        let mut command = crate::common::circus();
        if before {
            command.args(options).arg(&config);
        } else {
            command.arg(&config).args(options);
        }
        let mut child = command.spawn().expect("circus runs");
        let mut client = until("circus listens", || Client::connect(&dir.path("sock")));
        assert_eq!(client.call("quit", json!({"waiting": true}))["status"], "ok");
        assert_eq!(child.wait().expect("a child").code(), Some(0));
        let log = dir.read("log");
        assert!(log.contains("[DEBUG]") && log.contains("[INFO] w started"), "{log}");
    }
}

#[test]
fn the_log_has_the_level_that_it_is_told() {
    let mut circus = Circus::start(
        "
        [circus]
        loglevel = warning
        [watcher:w]
        cmd = sleep 1000
        [watcher:bad]
        cmd = /no/such/program
        max_retry = 1
        ",
    );
    circus.up("w");
    circus.log.line("[ERROR] bad: given up");
    circus.end();
    let log = circus.log.whole();
    assert!(log.contains("[WARNING]") && !log.contains("[INFO]") && !log.contains("[DEBUG]"), "{log}");
}

/// A daemon in the background, known by its pid file; killed with its processes when dropped.
struct Background {
    dir: Dir,
    pid: i32,
}

impl Drop for Background {
    fn drop(&mut self) {
        if proc::exists(self.pid) {
            crate::common::kill_with_family(self.pid);
        }
    }
}

#[test]
fn daemon_returns_when_circus_is_ready() {
    let dir = Dir::new();
    let config =
        dir.config("c.ini", &format!("[circus]\npidfile = {{dir}}/pid\nlogoutput = {{dir}}/log\n{SLEEPER}"));
    let ended = run(crate::common::circus().args(["--daemon", &config]));
    assert_eq!(ended, Ended { code: 0, out: String::new(), err: String::new() });
    let pid = dir.read("pid").trim().parse().expect("a pid");
    let daemon = Background { dir, pid };
    // Ready means that it answers, with no second attempt.
    let mut client = Client::connect(&daemon.dir.path("sock")).expect("it listens");
    assert_eq!(client.call("start", json!({"name": "w", "waiting": true}))["status"], "ok");
    let [_, group, session, terminal] = proc::kin(pid);
    assert!(group == session && session != pid && terminal == 0, "a session that it does not lead");
    assert_eq!([0, 1, 2].map(|fd| proc::fd(pid, fd)), ["/dev/null"; 3]);
    kill(pid, SIGTERM).expect("it runs");
    until("it has ended", || (!proc::exists(pid)).then_some(()));
    assert!(daemon.dir.read("log").contains("circus has ended"));
    assert!(!exists(&daemon.dir.path("sock")) && !exists(&daemon.dir.path("pid")));
}

#[test]
fn daemon_tells_why_circus_could_not_start() {
    let dir = Dir::new();
    let config = dir.config("c.ini", SLEEPER);
    fails(&["--daemon", "--pidfile", &dir.name("none/pid"), &config], 111, &["pidfile", "No such file"]);
    fails(&["--daemon", &dir.name("none.ini")], 100, &["none.ini"]);
    assert!(!exists(&dir.path("sock")));
}

#[test]
fn circus_starts_without_standard_descriptors() {
    let circus = Circus::wrapped("exec \"$@\" <&- >&- 2>&-", SLEEPER);
    let pid = circus.up("w")[0];
    let exact = std::collections::BTreeSet::from([0, 1, 2]);
    until("the process has 0, 1 and 2 alone", || (proc::fds(pid) == exact).then_some(()));
    for pid in [circus.pid(), pid] {
        assert_eq!([0, 1, 2].map(|fd| proc::fd(pid, fd)), ["/dev/null"; 3]);
    }
}

#[test]
fn check_reads_without_running() {
    let dir = Dir::new();
    let good = dir.config("good.ini", &format!("[circus]\nnonsense = 1\npidfile = {{dir}}/pid\n{SLEEPER}"));
    let ended = circus(&["--check", &good]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "warnings alone are no failure");
    assert!(
        ended.out.contains("good.ini:4: warning: ") && ended.out.ends_with("0 errors, 1 warning\n"),
        "{}",
        ended.out
    );
    let bad = dir.config("bad.ini", "[watcher:w]\ncmd = /no/such/program\nuid = no-such-user");
    let ended = circus(&["--check", &bad]);
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains("/no/such/program") && ended.out.contains("no-such-user"), "{}", ended.out);
    assert!(!exists(&dir.path("sock")) && !exists(&dir.path("pid")));
}

#[test]
fn version_and_help() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        circus(&["--version"]),
        Ended { code: 0, out: format!("circus {version}\n"), err: String::new() }
    );
    for help in ["--help", "-h"] {
        let ended = circus(&[help]);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""));
        for option in [
            "--log-level",
            "--log-output",
            "--daemon",
            "--pidfile",
            "--check",
            "--version",
            "--logger-config",
        ] {
            assert!(ended.out.contains(option), "{option}: {}", ended.out);
        }
    }
}

#[test]
fn links_are_the_programs_of_circus() {
    let dir = Dir::new();
    let called = |name: &str, args: &[&str]| {
        run(Command::new(env!("CARGO_BIN_EXE_circus")).arg0(name).env_clear().args(args))
    };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(called("circusd", &["--version"]).out, format!("circus {version}\n"));
    assert_eq!(called("/usr/bin/circusctl", &["--version"]).out, format!("circusctl {version}\n"));
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_circus"), dir.path("circusd")).expect("a link");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_circus"), dir.path("circusctl")).expect("a link");
    let (circusd, circusctl) = (dir.name("circusd"), dir.name("circusctl"));
    let mut circus = Circus::with(dir, SLEEPER, |command| *command = Command::new(circusd));
    circus.up("w");
    let endpoint = circus.dir.name("sock");
    let ended = run(Command::new(circusctl).args(["--endpoint", &endpoint, "status", "w"]));
    assert_eq!((ended.code, ended.out.as_str()), (0, "active\n"), "{}", ended.err);
    circus.end();
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let dir = Dir::new();
    let good = dir.config("good.ini", SLEEPER);
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    for (args, code) in [
        (&["--help"][..], 111),
        (&["--version"], 111),
        (&["check", &good], 1),
        (&["check", "--json", &good], 1),
        (&["check", "--help"], 1),
        (&["ctl", "--version"], 1),
        (&["top", "--help"], 1),
        (&["run", "--help"], 125),
    ] {
        let ended = Command::new(env!("CARGO_BIN_EXE_circus")).args(args).stdout(full()).output();
        let ended = ended.expect("circus runs");
        assert_eq!(ended.status.code(), Some(code), "{args:?}");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(said.ends_with("No space left on device\n"), "{args:?}: {said}");
    }
    let ended = Command::new(env!("CARGO_BIN_EXE_circus")).arg("--nonsense").stderr(full()).status();
    assert_eq!(ended.expect("circus runs").code(), Some(100));
    // That nobody reads any more is no failure.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = Command::new(env!("CARGO_BIN_EXE_circus")).args(["check", &good]).stdout(writer).output();
    let ended = ended.expect("circus runs");
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_fifo_is_no_configuration_and_no_pid_file() {
    let dir = Dir::new();
    let fifo = dir.name("fifo");
    run(Command::new("mkfifo").arg(&fifo));
    fails(&[&fifo], 100, &["fifo", "it is not a regular file"]);
    let ended = circus(&["check", &fifo]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.out.contains("fifo: error: ") && ended.out.contains("it is not a regular file"),
        "{}",
        ended.out
    );
    let ini = dir.config("circus.ini", &format!("[circus]\ninclude = fifo\n{SLEEPER}"));
    let ended = circus(&["check", &ini]);
    assert_eq!(ended.code, 0);
    assert!(
        ended.out.contains("circus.ini:4: warning: ") && ended.out.contains("it is not a regular file"),
        "{}",
        ended.out
    );
    fails(
        &["--pidfile", &fifo, &dir.config("w.ini", SLEEPER)],
        111,
        &["pidfile", "it is not a regular file"],
    );
}

#[test]
fn the_log_may_go_to_a_syslog_daemon() {
    let daemon = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    daemon.set_read_timeout(Some(crate::common::PATIENCE)).expect("a timeout");
    let url = format!("syslog://localhost:{}?local0", daemon.local_addr().expect("an address").port());
    let mut circus = Circus::start(&format!("[circus]\nlogoutput = {url}\n{SLEEPER}"));
    let mut packet = [0; 10_000];
    let mut wait = |what: &str| loop {
        let length = daemon.recv(&mut packet).expect("a message");
        let text = String::from_utf8_lossy(&packet[..length]);
        if text.contains(what) {
            return text.into_owned();
        }
    };
    let said = wait("Arbiter now waiting");
    let end = format!(" circus[{}] [INFO] Arbiter now waiting for commands", circus.pid());
    let date = said.strip_prefix("<134>").and_then(|said| said.strip_suffix(end.as_str()));
    let parts: Vec<usize> = date.unwrap_or(&said).split(' ').map(str::len).collect();
    assert_eq!(parts, [3, 2, 8], "Nov 23 06:51:09: {said}");
    circus.end();
    assert!(wait("circus has ended").starts_with("<134>"));
    assert_eq!(circus.log.whole(), "");
    let dir = Dir::new();
    let config = dir.config("c.ini", SLEEPER);
    fails(&["--log-output", "syslog://", &config], 100, &["log output syslog://", "syslog://HOST"]);
}

#[test]
fn a_configuration_of_pythons_logging_is_a_warning() {
    let mut circus = Circus::with(Dir::new(), SLEEPER, |command| {
        command.args(["--logger-config", "logging.yaml"]);
    });
    let said = circus.log.line("--logger-config");
    assert!(said.contains("[WARNING]") && said.contains("--log-level"), "{said}");
    circus.end();
}

/// What `circus init` writes runs as it is, and nothing is wrong with it.
#[test]
fn a_configuration_to_begin_with() {
    for kind in [&[][..], &["--systemd"], &["--container"]] {
        let dir = Dir::new();
        let path = dir.name("circus.ini");
        let printed = run(crate::common::circus().arg("init").args(kind));
        let written = run(crate::common::circus().arg("init").args(kind).arg(&path));
        assert_eq!((written.code, written.out.as_str(), written.err.as_str()), (0, "", ""), "{kind:?}");
        assert_eq!((printed.code, printed.out), (0, dir.read("circus.ini")), "{kind:?}");
        let again = run(crate::common::circus().arg("init").arg(&path));
        assert_eq!((again.code, again.err.contains("File exists")), (1, true), "{}", again.err);
        let text = dir.read("circus.ini");
        // Every option that is only a comment is right too: `;key = value`, `;[section]`.
        let is_option = |line: &&str| line.starts_with(';') && line.get(1..2).is_some_and(|c| c != " ");
        let whole: String = text
            .lines()
            .map(|line| {
                line.strip_prefix(';').filter(|_| is_option(&line)).unwrap_or(line).to_string() + "\n"
            })
            .collect();
        dir.write("whole.ini", &whole);
        for (file, options, least) in [(&path, &[][..], 0), (&dir.name("whole.ini"), &["--offline"], 0)] {
            let checked = run(crate::common::circus().arg("check").args(options).arg(file));
            assert_eq!(checked.code, least, "{kind:?} {}", checked.out);
            assert!(file != &path || !checked.out.contains("warning:"), "{kind:?} {}", checked.out);
        }
        let circus = Circus::with(dir, &format!("[circus]\nendpoint = {{dir}}/sock\n{text}"), |_| {});
        assert_eq!(circus.up("app").len(), 1);
        assert_eq!(circus.log.count("[WARNING]"), 0);
    }
    let ended = run(crate::common::circus().args(["init", "--systemd", "--container"]));
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{}", ended.err);
}
