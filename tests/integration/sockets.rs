//! Sockets: how they are bound, inherited and kept, and that nothing is lost while their users are replaced.

use crate::common::user::NOBODY;
use crate::common::worker::{self, ask, ask_tcp, port};
use crate::common::{Circus, Dir, exists, needs_root, proc, run, until};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A watcher `web` of such workers on the socket of that name.
fn web(role: &str, options: &str) -> String {
    let command = worker::command();
    format!("[watcher:web]\ncmd = {command}\nstdin_socket = web\n{options}\n[env:web]\nROLE = {role}\n")
}

/// Which socket a descriptor of circus or of a process is: `socket:[4711]`.
fn socket_of_circus(circus: &Circus, name: &str) -> String {
    let sockets = circus.ask("listsockets", json!({}))["sockets"].clone();
    let found = sockets.as_array().expect("a list").iter().find(|socket| socket["name"] == name);
    let fd = found.and_then(|socket| socket["fd"].as_i64()).expect("a descriptor");
    proc::fd(circus.pid(), i32::try_from(fd).expect("a descriptor"))
}

#[test]
fn tcp_of_both_families() {
    for (family, host) in [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")] {
        let ini = format!("[socket:web]\nhost = {host}\nport = 0\nfamily = {family}\n{}", web("tcp", ""));
        let circus = Circus::start(&ini);
        let pid = circus.up("web")[0];
        assert_eq!(ask_tcp((host, port(&circus, "web"))).expect("an answer"), pid);
        circus.log.line("sockets started");
    }
}

#[test]
fn udp() {
    let circus = Circus::start(&format!("[socket:web]\nport = 0\ntype = SOCK_DGRAM\n{}", web("udp", "")));
    let pid = circus.up("web")[0];
    let client = UdpSocket::bind("127.0.0.1:0").expect("bound");
    client.set_read_timeout(Some(crate::common::PATIENCE)).expect("a timeout");
    client.send_to(b"who", ("127.0.0.1", port(&circus, "web"))).expect("sent");
    let mut buffer = [0; 100];
    let length = client.recv(&mut buffer).expect("an answer");
    assert_eq!(buffer[..length], *pid.to_string().as_bytes());
}

#[test]
fn unix_with_its_mode_and_gone_at_the_end() {
    let mut circus = Circus::start(&format!(
        "[socket:web]\npath = {{dir}}/web\n[socket:private]\npath = {{dir}}/private\numask = 077\n{}",
        web("unix", "")
    ));
    let pid = circus.up("web")[0];
    let connect = || UnixStream::connect(circus.dir.path("web")).expect("a connection");
    assert_eq!(ask(connect()).expect("an answer"), pid);
    let mode = |name| circus.dir.path(name).metadata().expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode("web"), mode("private")), (0o767, 0o700));
    circus.end();
    assert!(!exists(&circus.dir.path("web")) && !exists(&circus.dir.path("private")));
}

/// Owner, group and mode of the file of a socket.
fn rights(circus: &Circus, name: &str) -> (u32, u32, u32) {
    let meta = circus.dir.path(name).metadata().expect("a file");
    (meta.uid(), meta.gid(), meta.mode() & 0o777)
}

#[test]
fn unix_for_another_user_and_group() {
    needs_root();
    let dir = Dir::new();
    std::fs::create_dir(dir.path("theirs")).expect("a directory");
    chown(dir.path("theirs"), Some(NOBODY), Some(NOBODY)).expect("given away");
    let ini = |more: &str| {
        format!(
            "[circus]\nendpoint = {{dir}}/sock\n[socket:web]\npath = {{dir}}/web\n{more}\n[socket:theirs]\n\
             path = {{dir}}/theirs/s\ngroup = 4711\nmode = 660\n[watcher:w]\ncmd = sleep 1000\n"
        )
    };
    let mut circus = Circus::with(dir, &ini("owner = 65534\ngroup = daemon\nmode = 0640\numask = 0"), |_| {});
    circus.up("w");
    let daemon = 1;
    assert_eq!(rights(&circus, "web"), (NOBODY, daemon, 0o640));
    assert_eq!(rights(&circus, "theirs/s"), (NOBODY, 4711, 0o660), "that of whoever has the directory");
    // A mode is changed as it stands; for another owner it is bound anew, and not at all when there is none.
    let inode = || circus.dir.path("web").metadata().expect("a file").ino();
    let before = inode();
    circus.dir.config("circus.ini", &ini("owner = 65534\ngroup = daemon\nmode = 0600"));
    circus.ctl_ok(&["reloadconfig", "--waiting"]);
    assert_eq!((rights(&circus, "web"), inode()), ((NOBODY, daemon, 0o600), before));
    circus.dir.config("circus.ini", &ini("owner = nosuchuser\nmode = 0660"));
    let err = circus.ctl(&["reloadconfig", "--waiting"]).err;
    assert!(err.contains("[socket:web]: owner = nosuchuser: there is no such owner"), "{err}");
    assert_eq!((rights(&circus, "web"), inode()), ((NOBODY, daemon, 0o600), before));
    circus.dir.config("circus.ini", &ini("owner = 4711\nmode = 0660"));
    circus.ctl_ok(&["reloadconfig", "--waiting"]);
    assert_eq!(rights(&circus, "web"), (4711, 0, 0o660));
    circus.end();
    assert!(!exists(&circus.dir.path("web")) && !exists(&circus.dir.path("theirs/s")));
}

#[test]
fn tcp_of_both_families_at_once_or_deferred() {
    let ini =
        format!("[socket:web]\nhost = ::\nport = 0\nfamily = AF_INET6\nipv6only = no\n{}", web("tcp", ""));
    let circus = Circus::start(&ini);
    let pid = circus.up("web")[0];
    for host in ["127.0.0.1", "::1"] {
        assert_eq!(ask_tcp((host, port(&circus, "web"))).expect("an answer"), pid);
    }
    let circus = Circus::start("[socket:web]\nhost = 127.0.0.1\nport = 0\ndefer_accept = 30");
    let port = port(&circus, "web");
    let _silent = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a table");
    let states = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&format!(":{port:04X}")).then(|| fields[3].to_string())
    };
    let states: BTreeSet<String> = table.lines().filter_map(states).collect();
    // SYN_RECV and LISTEN; without the option it would be ESTABLISHED, 01.
    assert_eq!(states, ["03", "0A"].map(str::to_string).into(), "it waits for data");
}

#[test]
fn a_path_that_is_taken_is_replaced_only_when_the_file_says_so() {
    let dir = Dir::new();
    let _holds_it = UnixListener::bind(dir.path("web")).expect("bound");
    let config = dir.config("c.ini", "[socket:web]\npath = {dir}/web\n[watcher:w]\ncmd = sleep 1000");
    let ended = run(crate::common::circus().arg(config));
    assert_eq!((ended.code, ended.err.lines().count()), (111, 1), "{}", ended.err);
    assert!(ended.err.contains("[socket:web]") && ended.err.contains("replace = True"), "{}", ended.err);
    assert!(exists(&dir.path("web")) && !exists(&dir.path("sock")));
    let mut circus = Circus::with(
        dir,
        &format!("[socket:web]\npath = {{dir}}/web\nreplace = True\n{}", web("unix", "")),
        |_| {},
    );
    let pid = circus.up("web")[0];
    assert_eq!(
        ask(UnixStream::connect(circus.dir.path("web")).expect("a connection")).expect("an answer"),
        pid
    );
    // What somebody else has put there meanwhile is not circus's to remove.
    std::fs::remove_file(circus.dir.path("web")).expect("it was there");
    circus.dir.write("web", "precious");
    circus.end();
    assert_eq!(circus.dir.read("web"), "precious");
}

#[test]
fn a_path_that_has_vanished_is_bound_anew_when_the_file_is_read_again() {
    for command in ["reloadconfig", "restart"] {
        let circus = Circus::start(&format!("[socket:web]\npath = {{dir}}/web\n{}", web("unix", "")));
        let old = circus.up("web");
        let path = circus.dir.path("web");
        let inode = |path: &Path| std::fs::metadata(path).expect("a socket").ino();
        let before = inode(&path);
        circus.ask(command, json!({"waiting": true}));
        assert_eq!(inode(&path), before, "one that is there stays");
        std::fs::remove_file(&path).expect("it was there");
        circus.ask(command, json!({"waiting": true}));
        let pids = circus.pids("web");
        assert_ne!(pids, old);
        assert_eq!(UnixStream::connect(&path).and_then(ask).expect("an answer"), pids[0]);
    }
}

#[test]
fn a_file_that_is_no_socket_is_never_replaced() {
    let dir = Dir::new();
    dir.write("web", "precious");
    let config = dir.config("c.ini", "[socket:web]\npath = {dir}/web\nreplace = True");
    let ended = run(crate::common::circus().arg(config));
    assert_eq!((ended.code, ended.err.lines().count()), (111, 1), "{}", ended.err);
    assert_eq!(dir.read("web"), "precious");
}

#[test]
fn an_address_in_use_ends_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("an address").port();
    let dir = Dir::new();
    let ini = format!(
        "[socket:a]\npath = {{dir}}/a\n[socket:web]\nport = {port}\n[watcher:w]\ncmd = touch {{dir}}/ran"
    );
    let ended = run(crate::common::circus().arg(dir.config("c.ini", &ini)));
    let said = format!("circus: [socket:web]: cannot bind 127.0.0.1:{port}: bind: Address already in use\n");
    assert_eq!((ended.code, ended.out.as_str(), ended.err), (111, "", said));
    assert!(!exists(&dir.path("a")) && !exists(&dir.path("ran")) && !exists(&dir.path("sock")));
}

const NUMBERED: &str = "
    [socket:a]
    port = 0
    [socket:B]
    path = {dir}/b
    [socket:c]
    port = 0
    type = SOCK_DGRAM
    [watcher:none]
    cmd = sleep 1000
    [watcher:all]
    cmd = sleep 1000
    use_sockets = True
    [watcher:named]
    cmd = sh -c 'while :; do sleep 1000; done' $(circus.sockets.c)
    args = $(circus.sockets.A)
    use_sockets = True
    [watcher:listed]
    cmd = sleep 1000
    use_sockets = True
    sockets = c b
    [watcher:both]
    cmd = sh -c 'while :; do sleep 1000; done' ((circus.sockets.b))
    use_sockets = True
    sockets = a
    [watcher:environment]
    cmd = sleep 1000
    use_sockets = True
    [env:environment]
    FD = $(circus.sockets.b)
    ";

#[test]
fn sockets_are_numbered_as_sd_listen_fds_has_it_and_then_once_more() {
    let circus = Circus::start(NUMBERED);
    let sockets: BTreeMap<_, _> = ["a", "b", "c"].map(|name| (name, socket_of_circus(&circus, name))).into();
    // Names by LISTEN_FDNAMES, then what stands at 3, 4, 5 and so on.
    for (watcher, names, at) in [
        ("none", None, ""),
        ("all", Some("a:b:c"), "abc"),
        ("named", Some("a:c"), "acac"),
        ("listed", Some("b:c"), "bc"),
        ("both", Some("a:b"), "abb"),
        ("environment", Some("b"), "bb"),
    ] {
        let pid = circus.up(watcher)[0];
        let expected: BTreeSet<i32> = (0..3 + i32::try_from(at.len()).expect("small")).collect();
        until(&format!("{watcher} has {expected:?}"), || (proc::fds(pid) == expected).then_some(()));
        for (fd, name) in (3..).zip(at.split("").filter(|name| !name.is_empty())) {
            assert_eq!(proc::fd(pid, fd), sockets[name], "{watcher}: {fd} is {name}");
        }
        let environ = proc::environ(pid);
        let get = |name: &str| environ.get(name).map(String::as_str);
        let count = names.map(|names| names.split(':').count().to_string());
        assert_eq!((get("LISTEN_FDNAMES"), get("LISTEN_FDS")), (names, count.as_deref()), "{watcher}");
        assert_eq!(get("LISTEN_PID"), names.map(|_| pid.to_string()).as_deref(), "{watcher}");
    }
    let last = |watcher| proc::argv(circus.pids(watcher)[0]).split_off(3);
    assert_eq!((last("named"), last("both")), (vec!["6".to_string(), "5".into()], vec!["5".to_string()]));
    assert_eq!(proc::environ(circus.pids("environment")[0])["FD"], "4");
}

#[test]
fn the_number_on_the_command_line_is_a_socket_that_works() {
    let command = worker::command();
    let circus = Circus::start(&format!(
        "[socket:web]\nport = 0\n[watcher:web]\nshell = True\nuse_sockets = True\n\
         cmd = exec {command} <&$(circus.sockets.web)\n[env:web]\nROLE = tcp\n"
    ));
    let pid = circus.up("web")[0];
    assert_eq!(ask_tcp(("127.0.0.1", port(&circus, "web"))).expect("an answer"), pid);
}

#[test]
fn stdin_socket_is_descriptor_0_alone() {
    let circus = Circus::start("[socket:web]\nport = 0\n[watcher:w]\ncmd = sleep 1000\nstdin_socket = WEB");
    let pid = circus.up("w")[0];
    until("there are 0, 1 and 2 alone", || (proc::fds(pid) == BTreeSet::from([0, 1, 2])).then_some(()));
    assert_eq!(proc::fd(pid, 0), socket_of_circus(&circus, "web"));
    assert!(!proc::environ(pid).contains_key("LISTEN_FDS"));
}

#[test]
fn connections_wait_while_nobody_serves_them() {
    let circus = Circus::start(&format!("[socket:web]\nport = 0\n{}", web("tcp", "")));
    circus.up("web");
    let port = port(&circus, "web");
    circus.ask("stop", json!({"name": "web", "waiting": true}));
    let waiting = std::thread::spawn(move || ask_tcp(("127.0.0.1", port)).expect("an answer"));
    // Another connection, since the first may not have been made yet.
    let early = std::net::TcpStream::connect(("127.0.0.1", port)).expect("the socket is kept");
    let pid = circus.up("web")[0];
    assert_eq!((ask(early).expect("an answer"), waiting.join().expect("an answer")), (pid, pid));
    let before = socket_of_circus(&circus, "web");
    circus.ask("restart", json!({"waiting": true}));
    assert_eq!(socket_of_circus(&circus, "web"), before);
}

/// Clients that ask again and again, and what they met.
struct Load {
    stop: AtomicBool,
    answers: AtomicUsize,
}

impl Load {
    /// Asks until told to stop; the first failure ends it.
    fn client(&self, ask: impl Fn() -> std::io::Result<i32>) -> BTreeSet<i32> {
        let mut pids = BTreeSet::new();
        while !self.stop.load(Ordering::Relaxed) {
            pids.insert(ask().expect("no request fails"));
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
        pids
    }

    /// Waits until so many more requests are answered.
    fn more(&self, count: usize) {
        let target = self.answers.load(Ordering::Relaxed) + count;
        until("requests are answered", || (self.answers.load(Ordering::Relaxed) >= target).then_some(()));
    }
}

/// Ends the clients, also when the test fails: the scope waits for them.
struct Ends<'a>(&'a Load);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Reloads and restarts workers in every way while clients ask.
fn replaced_under_load(circus: &Circus, ask: impl Fn() -> std::io::Result<i32> + Sync) {
    let load = Load { stop: AtomicBool::new(false), answers: AtomicUsize::new(0) };
    let mut served = vec![circus.up("web")];
    let answered = std::thread::scope(|scope| {
        let ends = Ends(&load);
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(|| load.client(&ask))).collect();
        for (command, properties) in [
            ("reload", json!({"name": "web", "waiting": true})),
            ("reload", json!({"name": "web", "sequential": true, "waiting": true})),
            ("reload", json!({"name": "web", "waiting": true})),
            ("incr", json!({"name": "web", "waiting": true})),
            ("decr", json!({"name": "web", "waiting": true})),
            ("restart", json!({"name": "web", "waiting": true})),
        ] {
            load.more(20);
            circus.ask(command, properties);
            served.push(circus.pids("web"));
        }
        load.more(20);
        drop(ends);
        clients.into_iter().flat_map(|client| client.join().expect("no failure")).collect::<BTreeSet<_>>()
    });
    let last = served.last().expect("pushed");
    assert!(last.iter().any(|pid| answered.contains(pid)), "the last ones {last:?} serve: {answered:?}");
    assert!(answered.len() >= 4, "generations took turns: {answered:?}");
}

#[test]
fn no_tcp_request_fails_while_workers_are_replaced() {
    let circus = Circus::start(&format!("[socket:web]\nport = 0\n{}", web("tcp", "numprocesses = 2")));
    let port = port(&circus, "web");
    replaced_under_load(&circus, || ask_tcp(("127.0.0.1", port)));
}

#[test]
fn no_unix_request_fails_while_workers_are_replaced() {
    let circus =
        Circus::start(&format!("[socket:web]\npath = {{dir}}/web\n{}", web("unix", "numprocesses = 2")));
    let path = circus.dir.path("web");
    let connect = |path: &Path| UnixStream::connect(path).and_then(ask);
    replaced_under_load(&circus, || connect(&path));
}
