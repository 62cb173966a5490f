//! What is found between the options of a configuration, and what is not.

use super::*;
use crate::config::memory::Memory;
use crate::config::{Names, load};

mod quotes;

/// `line severity message` of all findings of a file whose single values are right.
fn found(text: &str) -> Vec<String> {
    let loaded = load("/c", &Memory::new(&[("/c", text)]), &Names::new(), "/");
    assert_eq!(loaded.findings, [], "{text}");
    found_all(text)
}

fn found_all(text: &str) -> Vec<String> {
    let loaded = load("/c", &Memory::new(&[("/c", text)]), &Names::new(), "/");
    let config = loaded.config.unwrap_or_default();
    let show = |f: &Finding| format!("{} {} {}", f.origin.line, f.severity.word(), f.message);
    check(&config, "/run/circus/circus.sock").iter().map(show).collect()
}

#[track_caller]
fn one(text: &str, wanted: &str) {
    let found = found(text);
    assert!(found.len() == 1 && found[0].starts_with(wanted), "{text}: {found:?}");
}

#[test]
fn a_good_configuration_gives_nothing() {
    let text = "[circus]\nendpoint = /run/x\n[socket:Web]\nport = 1\n[watcher:a]\nuse_sockets = 1\nsingleton = 1\n\
        cmd = x --fd $(circus.sockets.WEB) $(circus.wid) $(circus.rlimits.core)\nstdin_socket = web\nrlimit_NOFILE =";
    assert_eq!(found(text), [""; 0]);
}

#[test]
fn watchers_that_cannot_work_are_errors() {
    one("[watcher:a]\nargs = x", "1 error the watcher `a` has no cmd");
    one("[watcher:a]\ncmd = x\nargs = 'y", "3 error `args` cannot be split into words: there is no closing");
    one("[watcher:a]\ncmd = x\nhooks.after_stop = sh 'x", "3 error `hooks.after_stop` cannot be split");
    one("[watcher:a]\ncmd = x\nrlimit_nofiles = 1", "3 error there is no resource limit `nofiles`");
    one("[watcher:a]\ncmd = x\nstdout_stream.max_bytes = 1", "3 error stdout_stream needs a class");
    one(
        "[watcher:a]\ncmd = x\nstdout_stream.class = TimedRotatingFileStream\nstdout_stream.filename = x",
        "3 error stdout_stream needs rotate_when",
    );
    one("[watcher:a]\ncmd = x\nstdin_socket = y", "3 error there is no socket `y`");
    one("[watcher:a]\ncmd = x\non_demand = 1", "3 error on_demand waits for a socket");
    let text =
        "[socket:b]\nport = 1\n[env:a]\nY = $(circus.sockets.b) $(circus.sockets.e)\n[watcher:a]\ncmd = x";
    one(text, "5 error there is no socket `e`");
    let text = "[socket:b]\nport = 1\n[watcher:a]\nuse_sockets = 1\ncmd = x $(circus.sockets.B)\nargs = ((circus.sockets.C))";
    one(text, "6 error there is no socket `c`");
    one(
        "[socket:b]\nport = 1\n[watcher:a]\nuse_sockets = 1\ncmd = x\nsockets = b c",
        "6 error there is no socket `c`",
    );
    assert_eq!(found("[watcher:a]\nshell = 1\ncmd = echo 'x").len(), 0);
}

#[test]
fn a_file_in_which_nothing_runs_is_told_of() {
    let said = |text: &str| {
        let loaded = load("/c", &Memory::new(&[("/c", text)]), &Names::new(), "/");
        nothing_runs(&loaded.config.unwrap()).map(|found| format!("{}: {}", found.origin, found.message))
    };
    let wanted = "/c: no [watcher:NAME] with a `cmd` is in it, so nothing runs";
    assert_eq!(said("[circus]\numask = 022").as_deref(), Some(wanted));
    assert_eq!(said("[watcher:a]\ncmd = x\nautostart = 0"), None);
    assert_eq!(said("[plugin:a]\ncmd = x"), None);
    assert_eq!(said("[circus]\ninclude_dir = /none"), None);
}

#[test]
fn commands_for_a_shell_or_the_background_are_told_of() {
    one("[watcher:a]\ncmd = x | y", "2 error no shell runs this command line, so `|` is an argument");
    one("[watcher:a]\ncmd = x \\", "2 error a backslash at the end of a line does not continue it");
    one("[watcher:a]\ncmd = x\nargs = > y", "3 error no shell runs this command line, so `>` is an argument");
    one(
        "[watcher:a]\ncmd = x\nstop_command = kill $PID",
        "3 warning no shell runs this command line, so `$PID`",
    );
    one(
        "[watcher:a]\ncmd = x\nhooks.after_stop = a && b",
        "3 error no shell runs this command line, so `&&`",
    );
    one("[plugin:a]\ncmd = x; y", "2 error no shell runs this command line, so `x;` is the name");
    assert_eq!(found("[watcher:a]\nshell = 1\ncmd = cd x && y $HOME | z"), [""; 0]);
    one(
        "[watcher:a]\nshell = 1\ncmd = x &",
        "3 warning the `&` at the end puts the program into the background",
    );
    one("[watcher:a]\ncmd = nginx\nargs = -g 'pid x;'", "2 warning `nginx` goes into the background unless");
    assert_eq!(found("[watcher:a]\ncmd = nginx\nargs = -g 'daemon off;'"), [""; 0]);
}

#[test]
fn what_is_hardly_meant_is_a_warning() {
    one(
        "[watcher:a]\ncmd = x\nsingleton = 1\nnumprocesses = 2",
        "4 warning a singleton runs one process, not 2",
    );
    one("[watcher:a]\ncmd = x\nnumprocesses = 0", "3 warning numprocesses is 0");
    one("[watcher:a]\ncmd = x\ngraceful_timeout = -1", "3 warning graceful_timeout is negative");
    one("[watcher:a]\ncmd = x\nmax_age_variance = -1", "3 warning max_age_variance is negative");
    one("[watcher:a]\ncmd = x\nring_bytes = -2", "3 warning ring_bytes = -2 counts as 0");
    one("[watcher:a]\ncmd = x\nring_bytes = 9999999", "3 warning ring_bytes = 9999999 counts as 1048576");
    let text = "[watcher:a]\ncmd = x\nstdout_stream.filename = y\nstdout_stream.backup_count";
    one(
        &format!("{text} = 4294967296"),
        "4 warning stdout_stream.backup_count = 4294967296 counts as 4294967295",
    );
    one(&format!("{text} = -1"), "4 warning stdout_stream.backup_count = -1 counts as 0");
    one("[socket:a]\nport = 1\nbacklog = -1", "3 warning backlog = -1 counts as 0");
    one("[circus]\nlog_max_bytes = -1", "2 warning log_max_bytes = -1 counts as 0");
    let text = "[watcher:a]\ncmd = x\nstdout_stream.filename = y\nstdout_stream.compress = gzip";
    one(text, "4 warning `stdout_stream.compress` has no effect without backup_count");
    let text = "[watcher:a]\ncmd = x\nstderr_stream.filename = y\nstderr_stream.max_bytes = 5";
    one(text, "4 warning `stderr_stream.max_bytes` has no effect without backup_count: the file just grows");
    assert_eq!(found(&format!("{text}\nstderr_stream.backup_count = 1")), [""; 0]);
    one("[watcher:a]\ncmd = x\nmax_retry = -2", "3 warning max_retry is below -1");
    one("[watcher:a]\ncmd = x\nshell_args = y", "3 warning shell_args has no effect");
    one("[watcher:a]\ncmd = x\nuse_sockets = 1", "3 warning use_sockets has no effect");
    one("[watcher:a]\ncmd = x\nhook_timeout = -1", "3 warning hook_timeout is negative");
    one("[watcher:a]\ncmd = x\nrespawn_window = -1", "3 warning respawn_window is negative");
    one("[watcher:a]\ncmd = x\nstop_command = a 'b", "3 error `stop_command` cannot be split into words");
    one(
        "[watcher:a]\ncmd = x\nsend_hup = 1\nreload_command = y",
        "3 warning `send_hup` has no effect beside `reload_command`",
    );
    one(
        "[watcher:a]\ncmd = x\nreload_signal = USR1\nsend_hup = 1",
        "4 warning `send_hup` has no effect beside `reload_signal`",
    );
    one("[watcher:a]\ncmd = x\nhooks.after_stop = x.sh", "3 warning `x.sh` is the name of a Python function");
    one("[watcher:a]\ncmd = x $(circus.foo)", "2 warning there is no variable `circus.foo`");
    let text = "[socket:b]\nport = 1\n[watcher:a]\ncmd = x\nargs = $(circus.sockets.b)";
    one(text, "5 warning the command names a socket");
    one("[watcher:a]\ncmd = x\nstderr_stream.class = FileStream", "3 warning stderr_stream needs a filename");
    one(
        "[watcher:a]\ncmd = x\nstderr_stream.class = StdoutStream\nstderr_stream.max_bytes = 1",
        "4 warning `stderr_stream.max_bytes` has no effect",
    );
}

#[test]
fn sockets_plugins_and_the_endpoint_are_looked_at() {
    one("[socket:a]\nport = 65536", "2 error 65536 is not a port");
    one("[socket:a]\npath = /s\nso_reuseport = 1", "3 warning so_reuseport has no effect");
    let file = "[socket:a]\npath = /s\nowner = me\ngroup = us\nmode = 660\n[socket:b]\npath = @s\n";
    assert_eq!(found(file).len(), 0);
    one(
        &format!("{file}owner = me"),
        "8 warning owner has no effect: only a Unix socket with a path has a file",
    );
    one("[socket:a]\nmode = 660", "2 warning mode has no effect");
    one("[socket:a]\npath = /s\ndefer_accept = yes", "3 warning defer_accept has no effect");
    one("[socket:a]\nipv6only = 0", "2 warning ipv6only has no effect");
    one(
        "[socket:a]\ninherit = a\nfamily = AF_INET6\nipv6only = 0",
        "4 warning ipv6only has no effect: the socket is inherited",
    );
    assert_eq!(
        found("[socket:a]\nport = 1\ndefer_accept = 5\n[socket:b]\nfamily = AF_INET6\nipv6only = 0").len(),
        0
    );
    one(
        "[socket:a]\nhost = 1.2.3.4:80",
        "2 error the host has a port in it: write `host = 1.2.3.4` and `port = 80`",
    );
    one(
        "[socket:a]\nhost = [::1]:80",
        "2 error the host has a port in it: write `host = ::1` and `port = 80`",
    );
    one(
        "[socket:a]\nhost = :80",
        "2 error the host has a port in it: write `host = 0.0.0.0` and `port = 80`",
    );
    one(
        "[socket:a]\nhost = http://x:80",
        "2 error the host has a port in it: write `host = x` and `port = 80`",
    );
    assert_eq!(found("[socket:a]\nhost = ::1\nfamily = AF_INET6").len(), 0);
    one("[socket:a]\nfamily = AF_UNIX", "2 error a Unix socket needs a path");
    one(&format!("[socket:a]\npath = /{}", "x".repeat(107)), "2 error the path is longer");
    one("[socket:a]\nport = 1\n[socket:b]\nport = 1", "4 error the socket `a` has the same address");
    assert_eq!(found("[socket:a]\nport = 0\n[socket:b]\nport = 0\n[socket:c]\nport = 1\ntype = SOCK_DGRAM\n[socket:d]\nport = 1").len(), 0);
    one("[plugin:a]\nx = 1", "1 error [plugin:a] needs `use` or `cmd`");
    one(
        "[circus]\nendpoint = tcp://127.0.0.1:5555",
        "2 warning the control port tcp://127.0.0.1:5555 is not opened",
    );
    let text = "[circus]\nendpoint = tcp://0.0.0.0:5555";
    one(text, "2 warning the control port tcp://0.0.0.0:5555 is not opened (on the network, anyone could");
    let open = format!("{text}\nallow_tcp = 1");
    let found = found_all(&open);
    assert!(found.iter().any(|f| f.starts_with(
        "2 warning the control port tcp://0.0.0.0:5555 is not opened: it would be open to the network"
    )));
    let token = "\n[access]\ntoken_file = /t";
    one(&(open.clone() + token), "2 warning by the control port tcp://0.0.0.0:5555 the token");
    assert_eq!(found_all(&(open.replace("0.0.0.0", "localhost") + token)), [""; 0]);
    let local = found_all(&open.replace("0.0.0.0", "localhost"));
    assert!(
        local.iter().any(|f| f.contains("the control port tcp://localhost:5555 is open to every user of"))
    );
    one(
        "[circus]\nlogoutput = syslog:///dev/log?mine",
        "2 warning syslog has no facility `mine`; user is used",
    );
    one("[circus]\nlogoutput = syslog://", "2 error `logoutput = syslog://`: it is neither");
}

#[test]
fn plugins_say_what_they_are() {
    one("[plugin:a]\nx = 1", "1 error [plugin:a] needs `use` or `cmd`");
    one("[plugin:a]\ncmd = x 'y", "2 error `cmd` cannot be split into words");
    one("[plugin:a]\ncmd = x\nuse = a.B", "3 warning `use` has no effect beside `cmd`");
    one("[plugin:a]\ncmd = x\nrespawn = perhaps", "3 error `respawn = perhaps` ");
    let flapping = "[plugin:a]\nuse = circus.plugins.flapping.Flapping\n";
    let hint = "3 warning there is no option `atempts`: did you mean `attempts`?";
    one(&format!("{flapping}atempts = 3"), hint);
    one(&format!("{flapping}window = soon"), "3 error `window = soon` is not a number from 0");
    let watcher = "[watcher:w]\ncmd = x\nflapping.window =";
    one(&format!("{watcher} 1"), "3 warning `flapping.window` has no effect: there is no plugin");
    one(&format!("{flapping}{watcher} x"), "5 warning `flapping.window = x` is not");
    let resources = "[plugin:a]\nuse = circus.plugins.resource_watcher.ResourceWatcher\n";
    one(resources, "2 error it needs `watcher = NAME`");
    one(&format!("{resources}watcher = web"), "3 warning there is no watcher `web`");
    one("[plugin:a]\nuse = a.B\nx = 1:::2", "3 warning circus-plugin ends the value of `x`");
}

#[test]
fn open_ports_are_reported() {
    let tcp = |more: &str| format!("[circus]\nallow_tcp = 1\n{more}");
    one(&tcp(""), "2 warning allow_tcp has no effect");
    one(
        &tcp("pubsub_endpoint = tcp://*:5556"),
        "3 warning the port tcp://*:5556 is not opened: it would be open to the network",
    );
    assert_eq!(found(&tcp("pubsub_endpoint = tcp://127.0.0.1:5556")), [""; 0]);
    assert_eq!(found("[circus]\npubsub_endpoint = tcp://*:5556"), [""; 0]);
    let metrics = |listen: &str| format!("[plugin:m]\nuse = circus.plugins.Metrics\nlisten = {listen}");
    one(&metrics("0.0.0.0:5558"), "3 warning the port 0.0.0.0:5558 is open to the network");
    one(&metrics("[::]:5558"), "3 warning the port [::]:5558 is open to the network");
    for safe in ["127.0.0.1:5558", "[::1]:5558", "localhost:5558", "/run/metrics.sock"] {
        assert_eq!(found(&metrics(safe)), [""; 0], "{safe}");
    }
}

#[test]
fn what_tells_that_a_process_works_is_looked_at() {
    one("[watcher:a]\ncmd = x\nready = log:up", "3 error `ready = log:REGEX` reads the output");
    assert_eq!(found("[watcher:a]\ncmd = x\nready = log:up\nstderr_stream.class = StdoutStream"), [""; 0]);
    let two = "[socket:x]\nport = 1\n[socket:y]\nport = 2\n[watcher:a]\nuse_sockets = 1\n";
    let fd = |options: &str, number: u32| format!("{two}cmd = x {options}\nready = fd:{number}");
    one(&fd("", 4), "8 error `ready = fd:4` is the number of a socket: they stand at 3 to 4");
    one(
        &fd("$(circus.sockets.x)", 4),
        "8 error `ready = fd:4` is the number of a socket: they stand at 3 to 4",
    );
    one(&fd("\nsockets = x", 3), "9 error `ready = fd:3` is the number of a socket: they stand at 3 to 3");
    for text in [fd("", 5), fd("$(circus.sockets.x)", 5), fd("\nsockets = x", 4)] {
        assert_eq!(found(&text), [""; 0], "{text}");
    }
    one("[watcher:a]\ncmd = x\nready_timeout = 3", "3 warning `ready_timeout` has no effect without `ready`");
    one("[watcher:a]\ncmd = x\nhealth_retries = 3", "3 warning `health_retries` has no effect without");
    one("[watcher:a]\ncmd = x\nhealth = exec:x\nhealth_interval = 0", "4 warning health_interval is less");
    one("[watcher:a]\ncmd = x\nhealth = exec:x\nhealth_retries = 0", "4 warning health_retries is less");
    one("[watcher:a]\ncmd = x\nwatchdog = -1", "3 warning watchdog is negative and counts as 0");
    one("[watcher:a]\ncmd = x\nhealth = exec:'x", "3 error `health` cannot be split into words");
    assert_eq!(found("[watcher:a]\ncmd = x\nready = tcp:localhost:1\nhealth_timeout = 3"), [""; 0]);
    let bad = |line: &str| {
        load("/c", &Memory::new(&[("/c", &format!("[watcher:a]\ncmd = x\n{line}"))]), &Names::new(), "/")
    };
    for (line, wanted) in [
        ("ready = soon", "`ready = soon` is none of notify"),
        ("ready = https://x/", "`ready = https://x/` is not possible: circus does not speak TLS; `exec:curl"),
        ("health = notify", "`health = notify` is no question that can be asked again, as tcp"),
    ] {
        let loaded = bad(line);
        let finding = &loaded.findings[0];
        assert!(finding.message.starts_with(wanted) && finding.severity == Severity::Error, "{finding:?}");
        assert!(loaded.config.unwrap().watchers[0].broken.is_some());
    }
}

#[test]
fn watchers_that_depend_on_each_other_are_looked_at() {
    let file = |a: &str, b: &str, c: &str| {
        format!("[watcher:aaa]\ncmd = x\n{a}\n[watcher:bbb]\ncmd = x\n{b}\n[watcher:ccc]\ncmd = x\n{c}")
    };
    assert_eq!(found(&file("after = BBB ccc", "requires = ccc", "")), [""; 0]);
    one(&file("after = bbc", "", ""), "3 warning there is no watcher `bbc`; did you mean `bbb`?");
    one(&file("", "", "requires = database"), "9 error there is no watcher `database`");
    one(&file("", "", "requires = database:ok"), "9 error there is no watcher `database`");
    let ends = "`aaa` may end for good (its respawn is not True), which stops this watcher; `requires = aaa:ok` starts it when \
                aaa has ended well";
    one(&file("respawn = False", "", "requires = aaa"), &format!("9 warning {ends}"));
    assert_eq!(found(&file("respawn = False", "after = aaa", "requires = AAA:ok")), [""; 0]);
    one(
        &file("after = bbb", "requires = ccc", "after = aaa"),
        "3 error these watchers wait for each other: aaa bbb ccc",
    );
    one(
        &file("requires = bbb", "requires = ccc", "after = bbb"),
        "6 error these watchers wait for each other: bbb ccc",
    );
    one(&file("", "", "requires = ccc"), "9 error these watchers wait for each other: ccc");
}

#[test]
fn the_warning_of_a_port_says_what_to_do() {
    let text = "[circus]\nendpoint = tcp://127.0.0.1:5555\n[watcher:a]\ncmd = x";
    let found = found(text).concat();
    for wanted in ["/run/circus/circus.sock", "allow_tcp = True", "endpoint_owner"] {
        assert!(found.contains(wanted), "{found}");
    }
}

#[test]
fn programs_that_wait_in_accept_need_sockets_that_block() {
    let with = |watcher: &str, socket: &str| {
        format!("[socket:s]\nport = 1\n{socket}[socket:t]\nport = 2\nblocking = 1\n[watcher:a]\n{watcher}")
    };
    let wrong = "waits for connections in accept(2), so [socket:s] needs `blocking = True`";
    for watcher in [
        "cmd = php-fpm8.2 -F\nuse_sockets = 1",
        "cmd = /usr/sbin/fcgiwrap\nstdin_socket = S",
        "cmd = env X=1 php-cgi $(circus.sockets.s)\nuse_sockets = 1",
    ] {
        let found = found(&with(watcher, ""));
        assert!(found.len() == 1 && found[0].ends_with(wrong), "{watcher}: {found:?}");
        assert_eq!(self::found(&with(watcher, "blocking = 1\n")), [""; 0]);
    }
    for watcher in [
        "cmd = php-fpm -F\nuse_sockets = 1\nsockets = t",
        "cmd = fcgiwrap\nstdin_socket = t",
        "cmd = php-fpm -F",
        "cmd = tail /etc/php-fpm.conf\nuse_sockets = 1",
    ] {
        assert_eq!(found(&with(watcher, "")), [""; 0], "{watcher}");
    }
}

#[test]
fn a_name_of_a_socket_that_processes_find_otherwise_is_told_of() {
    one(
        "[socket:a:b]\nport = 1\n[watcher:a]\ncmd = x",
        "1 warning the processes find this socket as `a_b` in LISTEN_FDNAMES",
    );
    one(
        "[socket:caf\u{e9}]\nport = 1\n[watcher:a]\ncmd = x",
        "1 warning the processes find this socket as `caf_` in LISTEN_FDNAMES, which is ASCII",
    );
}
