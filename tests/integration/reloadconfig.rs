//! The configuration is read again: what has changed is applied, nothing else is touched, and a bad one changes
//! nothing at all.

use crate::common::worker::{self, ask_tcp, port};
use crate::common::{Circus, Dir, exists, proc, until};
use serde_json::json;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

/// Two watchers, `a` and `b`, and whatever else there is to be.
fn base(more: &str) -> String {
    format!("[watcher:a]\ncmd = sleep 1000\nnumprocesses = 2\n[watcher:b]\ncmd = sleep 1000\n{more}")
}

fn write(circus: &Circus, ini: &str) {
    circus.dir.config("circus.ini", ini);
}

/// Another file, read and applied to the end.
fn reload(circus: &Circus, ini: &str) {
    write(circus, ini);
    assert_eq!(circus.ctl_ok(&["reloadconfig", "--waiting"]), "ok");
}

fn names(circus: &Circus) -> String {
    circus.ctl_ok(&["list"])
}

/// The descriptor of a socket in circus; `None` when there is no such socket.
fn fd(circus: &Circus, name: &str) -> Option<i64> {
    let sockets = circus.ask("listsockets", json!({}))["sockets"].clone();
    let found = sockets.as_array().expect("a list").iter().find(|socket| socket["name"] == name);
    found.and_then(|socket| socket["fd"].as_i64())
}

/// The socket that a descriptor stands for, which another one of the same number is not.
fn socket(circus: &Circus, name: &str) -> Option<String> {
    fd(circus, name).map(|fd| proc::fd(circus.pid(), i32::try_from(fd).expect("a descriptor")))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.local_addr().expect("an address").port()
}

#[test]
fn watchers_are_added_and_removed() {
    let circus = Circus::start(&base(""));
    let before = [circus.up("a"), circus.up("b")];
    let mut events = circus.listen(&["watcher."]);
    reload(&circus, &base("[watcher:c]\ncmd = sleep 1000\n[watcher:d]\ncmd = sleep 1000\nautostart = False"));
    events.wait("watcher.c.add");
    events.wait("watcher.c.start");
    assert_eq!((names(&circus).as_str(), circus.status("d").as_str()), ("a,b,c,d", "stopped"));
    assert_eq!([circus.pids("a"), circus.pids("b")], before);
    let gone = circus.pids("c")[0];
    reload(&circus, "[watcher:a]\ncmd = sleep 1000\nnumprocesses = 2");
    events.wait("watcher.c.remove");
    events.wait("watcher.c.stop");
    assert_eq!((names(&circus).as_str(), circus.pids("a")), ("a", before[0].clone()));
    assert!(!proc::exists(gone) && !proc::exists(before[1][0]));
    circus.log.line("configuration read again: 0 added, 0 changed, 3 removed");
}

#[test]
fn the_same_file_again_touches_nothing() {
    let circus = Circus::start(&base("[env:a]\nVALUE = 1"));
    let before = [circus.up("a"), circus.up("b")];
    reload(&circus, &base("\n\n# the same\n[env:a]\nVALUE =   1   \n"));
    assert_eq!([circus.pids("a"), circus.pids("b")], before);
    circus.log.line("configuration read again: 0 added, 0 changed, 0 removed");
}

#[test]
fn only_the_watcher_that_has_changed_is_reloaded() {
    let circus = Circus::start(&base(""));
    let [a, b] = [circus.up("a"), circus.up("b")];
    let mut events = circus.listen(&["watcher."]);
    for (more, argv) in [("args = 7", "7"), ("args = 8", "8"), ("", "1000")] {
        let old = circus.pids("b");
        reload(&circus, &base(more));
        let new = circus.pids("b");
        assert_eq!((circus.pids("a"), new.len()), (a.clone(), 1));
        assert!(new != old && !proc::exists(old[0]));
        assert_eq!(proc::argv(new[0]).last().map(String::as_str), Some(argv), "{more}");
        events.wait("watcher.b.updated");
        assert_eq!(events.pid("watcher.b.spawn"), new[0], "the new process comes first");
        assert_eq!(events.pid("watcher.b.kill"), old[0]);
        events.wait("watcher.b.reload");
    }
    assert!(!proc::exists(b[0]));
    circus.log.line("b: changed in the configuration: args");
}

#[test]
fn the_environment_is_compared_as_the_processes_get_it() {
    let env = |value: &str| base(&format!("[env:a]\nVALUE = {value}"));
    let circus = Circus::start(&env("1"));
    let [a, b] = [circus.up("a"), circus.up("b")];
    reload(&circus, &env("  1 "));
    assert_eq!(circus.pids("a"), a);
    reload(&circus, &env("2"));
    let value = |circus: &Circus| proc::environ(circus.pids("a")[0]).remove("VALUE");
    assert_eq!((circus.pids("b"), value(&circus).as_deref()), (b, Some("2")));
    reload(&circus, &base(""));
    assert_eq!(value(&circus), None);
}

#[test]
fn numbers_and_patience_change_live() {
    let ini = |more: &str| format!("[watcher:a]\ncmd = sleep 1000\n{more}");
    let circus = Circus::start(&ini("numprocesses = 2"));
    let before = circus.up("a");
    reload(&circus, &ini("numprocesses = 4\ngraceful_timeout = 3\nstop_signal = INT\nrespawn = False"));
    let after = circus.pids("a");
    assert!(after.len() == 4 && before.iter().all(|pid| after.contains(pid)));
    let told = circus.ctl_ok(&["get", "a", "graceful_timeout", "stop_signal", "respawn"]);
    assert_eq!(told, "graceful_timeout: 3.0\nstop_signal: 2\nrespawn: False");
    reload(&circus, &ini("numprocesses = 1"));
    assert_eq!(circus.pids("a").len(), 1);
    assert!(after.contains(&circus.pids("a")[0]));
}

#[test]
fn what_reloads_by_a_signal_is_stopped_and_started() {
    let circus = Circus::start(&base("send_hup = True"));
    circus.up("b");
    let mut events = circus.listen(&["watcher.b."]);
    reload(&circus, &base("send_hup = True\nargs = 7"));
    events.wait("watcher.b.start");
    let order: Vec<&str> = events.topics().iter().filter_map(|topic| topic.rsplit('.').next()).collect();
    assert_eq!(order, ["updated", "kill", "reap", "stop", "spawn", "start"]);
}

#[test]
fn output_goes_elsewhere_without_a_restart() {
    let ini = |file: &str, more: &str| {
        let script = "exec 3<>{dir}/fifo; while read line <&3; do echo $line; done";
        format!("[watcher:w]\ncmd = sh -c '{script}'\nstdout_stream.filename = {{dir}}/{file}\n{more}")
    };
    let dir = Dir::new();
    crate::common::run(std::process::Command::new("mkfifo").arg(dir.path("fifo")));
    let circus = Circus::with(dir, &ini("one", ""), |_| {});
    let say = |line: &str, file: &str| {
        std::fs::write(circus.dir.path("fifo"), format!("{line}\n")).expect("somebody reads");
        until(line, || {
            let text = std::fs::read_to_string(circus.dir.path(file)).unwrap_or_default();
            text.contains(line).then_some(())
        });
    };
    let pid = circus.up("w");
    say("first", "one");
    reload(&circus, &ini("two", ""));
    say("second", "two");
    reload(&circus, &ini("two", "stdout_stream.time_format = stamped"));
    say("third", "two");
    assert_eq!(circus.pids("w"), pid);
    let second = format!("second\nstamped [{}] | third\n", pid[0]);
    assert_eq!((circus.dir.read("one").as_str(), circus.dir.read("two")), ("first\n", second));
}

#[test]
fn a_stream_that_comes_or_goes_reloads_the_watcher() {
    let ini = |more: &str| format!("[watcher:w]\ncmd = sh -c 'echo hello; exec sleep 1000'\n{more}");
    let circus = Circus::start(&ini(""));
    circus.out.times("hello", 1);
    let first = circus.up("w");
    reload(&circus, &ini("stdout_stream.filename = {dir}/out"));
    until("the second has written", || circus.dir.has("out", "hello\n"));
    let second = circus.pids("w");
    reload(&circus, &ini(""));
    circus.out.times("hello", 2);
    assert!(first != second && circus.pids("w") != second);
}

#[test]
fn what_commands_have_set_and_added_stays() {
    let ini = |priority: i64, numprocesses: i64| {
        format!("[watcher:a]\ncmd = sleep 1000\npriority = {priority}\nnumprocesses = {numprocesses}")
    };
    let circus = Circus::start(&ini(1, 1));
    circus.up("a");
    circus.ctl_ok(&["incr", "a", "2", "--waiting"]);
    circus.ctl_ok(&["set", "a", "max_retry", "9"]);
    circus.ctl_ok(&["add", "--start", "--waiting", "mine", "sleep", "1000"]);
    let before = [circus.pids("a"), circus.pids("mine")];
    reload(&circus, &ini(2, 1));
    assert_eq!([circus.pids("a"), circus.pids("mine")], before);
    assert_eq!(circus.ctl_ok(&["get", "a", "max_retry", "priority"]), "max_retry: 9\npriority: 2");
    reload(&circus, &ini(2, 2));
    assert_eq!((circus.pids("a").len(), circus.pids("mine")), (2, before[1].clone()));
}

#[test]
fn a_watcher_whose_command_was_wrong_starts_when_it_is_right() {
    let circus = Circus::start("[watcher:a]\ncmd = {dir}/no\nmax_retry = 1\n[watcher:b]\ncmd = sleep 1000");
    circus.up("b");
    circus.until_status("a", "stopped");
    circus.log.line("a: given up after 1 failed start");
    circus.ctl_ok(&["stop", "b", "--waiting"]);
    reload(&circus, "[watcher:a]\ncmd = sleep 1000\nmax_retry = 1\n[watcher:b]\ncmd = sleep 1001");
    assert_eq!(["a", "b"].map(|name| circus.status(name)), ["active", "stopped"]);
}

#[test]
fn a_command_that_cannot_be_executed_leaves_the_old_processes() {
    let circus = Circus::start(&base(""));
    let before = [circus.up("a"), circus.up("b")];
    write(&circus, &base("executable = {dir}/no\n[watcher:c]\ncmd = sleep 1000"));
    let reason = circus.ctl_refused(&["reloadconfig", "--waiting"]);
    assert!(reason.contains("'b' was not reloaded: exec ") && reason.contains("/no"), "{reason}");
    assert_eq!(([circus.pids("a"), circus.pids("b")], names(&circus).as_str()), (before, "a,b,c"));
}

/// Everything about circus that a configuration may change.
fn state(circus: &Circus) -> (String, String, Vec<i32>, Vec<i32>, Option<String>) {
    let sockets = circus.ctl_ok(&["listsockets"]);
    (names(circus), sockets, circus.pids("a"), circus.pids("b"), socket(circus, "s"))
}

#[test]
fn a_bad_file_changes_nothing_and_the_client_is_told_why() {
    let socket = "[socket:s]\nport = 0\nhost = 127.0.0.1";
    let circus = Circus::start(&base(socket));
    circus.up("a");
    circus.up("b");
    let before = state(&circus);
    let file = circus.dir.name("circus.ini");
    let cases = [
        (
            base(socket).replace("numprocesses = 2", "numprocesses = two\nrespawn = perhaps"),
            vec![
                format!("{file}:5: `numprocesses = two` is not a whole number"),
                format!("{file}:6: `respawn = perhaps` is neither"),
            ],
        ),
        (
            base("[watcher:c]\ncmd = sleep 1\n[socket:s]\nport = none"),
            vec![format!("{file}:11: `port = none`")],
        ),
        (base("[watcher:c]\ncmd = sleep 1\nhalf a li"), vec![format!("{file}:10: ")]),
        (base("[socket:s]\nhost = example.invalid"), vec!["[socket:s]: host = example.invalid: ".into()]),
        (base("[circus]\nlogoutput = {dir}/no/log"), vec!["log output: ".into()]),
        ("# endpoint = x\n".into(), vec![format!("{file}: it is empty")]),
    ];
    for (ini, wanted) in cases {
        write(&circus, &ini);
        for args in
            [&["reloadconfig"][..], &["reloadconfig", "--waiting"], &["restart"], &["restart", "--waiting"]]
        {
            let reason = circus.ctl_refused(args);
            assert!(
                reason.starts_with("the configuration was not applied, nothing has changed:\n"),
                "{reason}"
            );
            assert!(wanted.iter().all(|part| reason.contains(part)), "{wanted:?} in {reason}");
        }
        assert_eq!(state(&circus), before);
    }
    circus.log.line("circus.ini:5: `numprocesses = two` is not a whole number");
    reload(&circus, &base(socket));
    assert_eq!(state(&circus), before);
}

#[test]
fn a_file_that_is_gone_or_no_file_changes_nothing() {
    let circus = Circus::start(&base(""));
    let before = [circus.up("a"), circus.up("b")];
    let path = circus.dir.path("circus.ini");
    std::fs::remove_file(&path).expect("it was there");
    assert!(circus.ctl_refused(&["reloadconfig"]).contains("No such file or directory"));
    crate::common::run(std::process::Command::new("mkfifo").arg(&path));
    assert!(circus.ctl_refused(&["restart"]).contains("it is not a regular file"));
    std::fs::remove_file(&path).expect("it was there");
    std::fs::create_dir(&path).expect("a directory");
    assert!(circus.ctl_refused(&["reloadconfig", "--waiting"]).contains("it is not a regular file"));
    assert_eq!([circus.pids("a"), circus.pids("b")], before);
}

#[test]
fn a_socket_that_cannot_be_bound_leaves_everything_as_it_was() {
    let somebody = TcpListener::bind("127.0.0.1:0").expect("bound");
    let taken = somebody.local_addr().expect("an address").port();
    let ini = |port: u16, more: &str| {
        base(&format!("[socket:s]\nhost = 127.0.0.1\nport = {port}\n[socket:u]\npath = {{dir}}/u\n{more}"))
    };
    let circus = Circus::start(&ini(0, ""));
    circus.up("a");
    circus.up("b");
    let before = (state(&circus), socket(&circus, "u"));
    write(
        &circus,
        &ini(taken, "[socket:new]\npath = {dir}/new\n[watcher:c]\ncmd = sleep 1000").replace("1000", "1001"),
    );
    let reason = circus.ctl_refused(&["reloadconfig"]);
    let wanted = format!("[socket:s]: cannot bind 127.0.0.1:{taken}: bind: Address already in use");
    assert!(reason.ends_with(&wanted), "{reason}");
    assert_eq!((state(&circus), socket(&circus, "u")), before);
    assert!(!exists(&circus.dir.path("new")) && exists(&circus.dir.path("u")));
}

#[test]
fn two_sockets_that_take_the_place_of_one_may_not_share_its_port() {
    let number = free_port();
    let one = |name: &str, host: &str| format!("[socket:{name}]\nhost = {host}\nport = {number}\n");
    let circus = Circus::start(&base(&one("old", "0.0.0.0")));
    for other in ["127.0.0.1", "0.0.0.0"] {
        write(&circus, &base(&(one("web", "127.0.0.1") + &one("also", other))));
        let said = circus.ctl_refused(&["reloadconfig"]);
        assert!(said.contains("nothing has changed"), "{said}");
        assert!(fd(&circus, "old").is_some() && fd(&circus, "web").is_none());
    }
    reload(&circus, &base(&one("web", "127.0.0.1")));
    let shared = |name| one(name, "0.0.0.0") + "so_reuseport = True\n";
    reload(&circus, &base(&(shared("web") + &shared("also"))));
}

/// A watcher of workers on the socket `web`.
fn web(socket: &str, more: &str) -> String {
    let command = worker::command();
    format!(
        "[socket:web]\n{socket}\n[watcher:web]\ncmd = {command}\nstdin_socket = web\n[env:web]\nROLE = tcp\n\
         [watcher:b]\ncmd = sleep 1000\n{more}"
    )
}

#[test]
fn sockets_come_and_go_and_the_others_keep_theirs() {
    let tcp = "host = 127.0.0.1\nport = 0";
    let circus = Circus::start(&web(tcp, ""));
    let (pid, before) = (circus.up("web"), (circus.up("b"), socket(&circus, "web"), port(&circus, "web")));
    reload(&circus, &web(tcp, "[socket:unix]\npath = {dir}/unix"));
    UnixStream::connect(circus.dir.path("unix")).expect("somebody listens");
    circus.log.line("socket unix is bound to ");
    let unix = socket(&circus, "unix");
    reload(&circus, &web(tcp, "[socket:other]\npath = {dir}/unix"));
    assert_eq!((socket(&circus, "other"), socket(&circus, "unix")), (unix, None), "only its name is another");
    reload(&circus, &web(tcp, ""));
    assert!(!exists(&circus.dir.path("unix")) && socket(&circus, "other").is_none());
    assert_eq!((circus.up("b"), socket(&circus, "web"), port(&circus, "web")), before);
    assert_eq!(
        (circus.pids("web"), ask_tcp(("127.0.0.1", before.2)).expect("an answer")),
        (pid.clone(), pid[0])
    );
}

#[test]
fn a_socket_that_has_changed_reloads_those_that_use_it() {
    let (one, other) = (free_port(), free_port());
    let at = |host: &str, port: u16| format!("host = {host}\nport = {port}");
    let circus = Circus::start(&web(&at("127.0.0.1", one), ""));
    let b = circus.up("b");
    let mut pid = circus.up("web")[0];
    assert_eq!(ask_tcp(("127.0.0.1", one)).expect("an answer"), pid);
    // The wider address of the same port too, while the old one is still in use.
    for (host, port) in [("127.0.0.1", other), ("0.0.0.0", other), ("127.0.0.1", other)] {
        reload(&circus, &web(&at(host, port), ""));
        let now = circus.pids("web")[0];
        assert!(now != pid && !proc::exists(pid));
        assert_eq!(ask_tcp(("127.0.0.1", port)).expect("an answer"), now);
        pid = now;
    }
    assert_eq!(
        ask_tcp(("127.0.0.1", one)).map_err(|why| why.kind()),
        Err(std::io::ErrorKind::ConnectionRefused)
    );
    assert_eq!(circus.pids("b"), b);
    // Nobody can join the port that was shared for a moment.
    assert!(TcpListener::bind(("127.0.0.1", other)).is_err());
}

#[test]
fn a_socket_of_which_all_are_inherited_reloads_their_users() {
    let ini = |more: &str| {
        format!(
            "[socket:one]\nport = 0\n{more}\n[watcher:all]\ncmd = sleep 1000\nuse_sockets = True\n\
             [watcher:one]\ncmd = sleep 1000\nuse_sockets = True\nsockets = one"
        )
    };
    let circus = Circus::start(&ini(""));
    let (all, one) = (circus.up("all"), circus.up("one"));
    reload(&circus, &ini("[socket:two]\nport = 0"));
    assert_eq!(circus.pids("one"), one);
    assert_ne!(circus.pids("all"), all);
    assert_eq!(proc::environ(circus.pids("all")[0])["LISTEN_FDNAMES"], "one:two");
}

#[test]
fn a_socket_for_each_process_comes_and_goes() {
    let ini = |more: &str| web(&format!("host = 127.0.0.1\nport = {{port}}\n{more}"), "");
    let port = free_port();
    let ini = |more: &str| ini(more).replace("{port}", &port.to_string());
    let circus = Circus::start(&ini(""));
    let mut pid = circus.up("web")[0];
    for more in ["so_reuseport = True", "so_reuseport = True\nbacklog = 5", ""] {
        reload(&circus, &ini(more));
        let now = circus.pids("web")[0];
        assert_eq!(now == pid, more.ends_with('5'), "another backlog needs no other socket");
        assert_eq!(ask_tcp(("127.0.0.1", port)).expect("an answer"), now);
        pid = now;
    }
}

#[test]
fn a_watcher_on_demand_waits_for_the_socket_as_it_is_now() {
    let ini = |port: u16| {
        web(&format!("host = 127.0.0.1\nport = {port}"), "")
            .replace("stdin_socket", "on_demand = True\nstdin_socket")
    };
    let (one, other) = (free_port(), free_port());
    let circus = Circus::start(&ini(one));
    circus.log.line("web waits for its sockets");
    reload(&circus, &ini(other));
    assert_eq!(circus.status("web"), "stopped");
    let pid = ask_tcp(("127.0.0.1", other)).expect("an answer");
    assert_eq!(circus.pids("web"), [pid]);
}

#[test]
fn plugins_are_compared_as_the_watchers_that_they_are() {
    let plugin = |name: &str, word: &str| {
        format!("[plugin:{name}]\ncmd = sh -c 'exec 3<&0; while read line <&3; do :; done'\nword = {word}\n")
    };
    let circus = Circus::start(&base(&(plugin("one", "x") + &plugin("two", "x"))));
    let before = ["plugin:one", "plugin:two", "a"].map(|name| circus.up(name));
    reload(&circus, &base(&(plugin("one", "x") + &plugin("two", "y") + &plugin("new", "x"))));
    let after = ["plugin:one", "plugin:two", "a"].map(|name| circus.pids(name));
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
    assert!(after[1].len() == 1 && after[1] != before[1] && !proc::exists(before[1][0]));
    assert_eq!(proc::environ(after[1][0])["CIRCUS_PLUGIN_WORD"], "y");
    assert_eq!(names(&circus), "a,b,plugin:new,plugin:one,plugin:two");
    reload(&circus, &base(""));
    assert_eq!((names(&circus).as_str(), circus.pids("a")), ("a,b", before[2].clone()));
    assert!(!proc::exists(after[0][0]));
}

#[test]
fn backlog_mode_and_blocking_change_on_the_same_descriptor() {
    let ini = |more: &str| format!("[socket:s]\npath = {{dir}}/s\n{more}\n[watcher:b]\ncmd = sleep 1000");
    let circus = Circus::start(&ini(""));
    let before = (socket(&circus, "s"), circus.up("b"));
    let flags = |circus: &Circus| {
        let info = format!("/proc/{}/fdinfo/{}", circus.pid(), fd(circus, "s").expect("a socket"));
        let text = std::fs::read_to_string(info).expect("a descriptor");
        let flags =
            text.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags").trim().to_string();
        i64::from_str_radix(&flags, 8).expect("octal") & 0o4000
    };
    assert_eq!(flags(&circus), 0o4000);
    reload(&circus, &ini("backlog = 7\numask = 077\nblocking = True\nreplace = True"));
    let mode = circus.dir.path("s").metadata().expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode, flags(&circus), (socket(&circus, "s"), circus.pids("b"))), (0o700, 0, before));
    assert_eq!(circus.ask("listsockets", json!({}))["sockets"][0]["backlog"], 7);
}

#[test]
fn options_of_circus_hold_at_once_or_are_named_once() {
    let ini = |more: &str| format!("[circus]\nendpoint = {{dir}}/sock\n{more}\n{}", base("umask = 027"));
    let circus = Circus::start(&ini("umask = 022"));
    let b = circus.up("b");
    let a = circus.up("a");
    let mask = |pid: i32| proc::status(pid, "Umask");
    reload(&circus, &ini("umask = 077\nloglevel = warning"));
    assert_eq!((mask(circus.pids("a")[0]).as_str(), circus.pids("b")), ("0077", b.clone()), "b has its own");
    assert_ne!(circus.pids("a"), a);
    reload(&circus, &ini("umask = 077\nlogoutput = {dir}/log"));
    circus.ctl_ok(&["incr", "a", "--waiting"]);
    until("the log goes to the file", || {
        circus.dir.read("log").contains("configuration read again").then_some(())
    });
    let shown = circus.log.text();
    let late = |more: &str| ini(&format!("umask = 077\nlogoutput = {{dir}}/log\n{more}"));
    let warnings = |circus: &Circus| circus.dir.read("log").matches("needs a new start").count();
    for (more, count) in [
        ("pidfile = {dir}/pid\nendpoint_mode = 660", 1),
        ("pidfile = {dir}/pid\nendpoint_mode = 660", 1),
        ("pidfile = {dir}/pid2\nendpoint_mode = 660", 2),
        ("", 2),
    ] {
        reload(&circus, &late(more));
        assert_eq!(warnings(&circus), count, "{more}");
    }
    assert!(circus.dir.read("log").contains("[circus]: endpoint_mode, pidfile: "));
    assert!(!exists(&circus.dir.path("pid")));
    assert_eq!((circus.log.text(), circus.pids("b")), (shown, b));
    reload(&circus, &ini(""));
    assert_eq!(
        mask(circus.pids("a")[0]),
        proc::status(std::process::id().cast_signed(), "Umask"),
        "as at the start"
    );
}

#[test]
fn included_files_are_read_again_and_new_ones_found() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path("conf.d")).expect("a directory");
    dir.write("conf.d/one.ini", "[watcher:one]\ncmd = sleep 1000\n");
    let circus = Circus::with(dir, &base("[circus]\ninclude_dir = conf.d"), |_| {});
    let (a, one) = (circus.up("a"), circus.up("one"));
    circus.dir.write("conf.d/one.ini", "[watcher:one]\ncmd = sleep 1001\n");
    circus.dir.write("conf.d/two.ini", "[watcher:two]\ncmd = sleep 1000\n");
    assert_eq!(circus.ctl_ok(&["reloadconfig", "--waiting"]), "ok");
    assert_eq!((names(&circus).as_str(), circus.pids("a")), ("a,b,one,two", a));
    assert_ne!(circus.pids("one"), one);
    circus.dir.write("conf.d/two.ini", "[watcher:two]\nnumprocesses = no\n");
    let reason = circus.ctl_refused(&["reloadconfig"]);
    assert!(reason.contains("conf.d/two.ini:2: `numprocesses = no`"), "{reason}");
}

/// A watcher that takes its time to stop, until somebody makes the file `enough`.
fn slow(args: &str) -> String {
    let script = "trap \"\" TERM; : > {dir}/ready; until test -e {dir}/enough; do sleep 0.01; done";
    format!(
        "[watcher:slow]\ncmd = sh -c '{script}'\nargs = {args}\nsingleton = True\n[watcher:b]\ncmd = sleep 1000\n"
    )
}

#[test]
fn readings_follow_on_each_other_while_something_is_stopping() {
    let circus = Circus::start(&slow("1"));
    until("it ignores SIGTERM", || exists(&circus.dir.path("ready")).then_some(()));
    let old = circus.up("slow");
    let mut client = circus.client();
    let others = ["", &slow("2"), &(slow("3") + "[watcher:c]\ncmd = sleep 1000")];
    for (id, ini) in others.iter().enumerate() {
        let ini = if ini.is_empty() { "[watcher:b]\ncmd = sleep 1000" } else { ini };
        write(&circus, ini);
        client.send_request(&json!({"id": id, "command": "reloadconfig", "properties": {"waiting": true}}));
        // It is taken up in this order, whatever has to be waited for.
        let added = format!(
            "configuration read again: {}",
            ["0 added, 0 changed, 1", "1 added, 0", "1 added, 1"][id]
        );
        circus.log.line(&added);
    }
    assert_eq!((circus.status("slow").as_str(), names(&circus).as_str()), ("stopping", "b,c,slow"));
    assert_eq!(circus.pids("slow"), old, "no second one beside it");
    circus.dir.write("enough", "");
    let mut ids = [client.reply(), client.reply(), client.reply()].map(|reply| {
        assert_eq!(reply["status"], "ok", "{reply}");
        reply["id"].as_i64().expect("an id")
    });
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2]);
    assert!(!proc::exists(old[0]));
    assert_eq!(circus.ctl_ok(&["get", "slow", "args"]), "args: 3");
}

#[test]
fn the_end_overtakes_a_reading() {
    let mut circus = Circus::start(&slow("1"));
    until("it ignores SIGTERM", || exists(&circus.dir.path("ready")).then_some(()));
    let mut client = circus.client();
    write(&circus, "[watcher:b]\ncmd = sleep 1001");
    client.send_request(&json!({"command": "reloadconfig", "properties": {"waiting": true}}));
    circus.log.line("configuration read again: ");
    circus.ask("quit", json!({}));
    let refused = circus.call("reloadconfig", json!({}));
    assert_eq!(
        (refused["errno"].as_i64(), refused["reason"].as_str()),
        (Some(5), Some("circus is stopping"))
    );
    circus.dir.write("enough", "");
    assert_eq!(circus.wait(), 0);
}

#[test]
fn a_restart_of_all_applies_the_file_first() {
    let manual = |n: u32| format!("[watcher:manual]\ncmd = sleep {n}\nautostart = False\n");
    let circus = Circus::start(&base(&manual(1000)));
    let before = [circus.up("a"), circus.up("b"), circus.up("manual")];
    write(
        &circus,
        &format!("[watcher:a]\ncmd = sleep 1001\n[watcher:c]\ncmd = sleep 1000\n{}", manual(1000)),
    );
    assert_eq!(circus.ctl_ok(&["restart", "--waiting"]), "ok");
    let statuses = circus.ctl_ok(&["status"]);
    assert_eq!(statuses, "a: active\nc: active\nmanual: stopped");
    assert!(before.iter().flatten().all(|pid| !proc::exists(*pid)));
    assert_eq!(proc::argv(circus.pids("a")[0]), ["sleep", "1001"]);
}

#[test]
fn a_hangup_does_not_read_the_file() {
    let circus = Circus::start(&base(""));
    let a = circus.up("a");
    write(&circus, "[watcher:none]\ncmd = sleep 1000");
    let mut events = circus.listen(&["watcher."]);
    circus.signal(crate::common::SIGHUP);
    events.wait("watcher.a.reload");
    assert_eq!(names(&circus), "a,b");
    assert_ne!(circus.pids("a"), a);
}
