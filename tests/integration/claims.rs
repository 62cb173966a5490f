//! What a start takes for itself: nothing that another circus has, and nothing for good if it fails.

use crate::common::client::Client;
use crate::common::{Circus, Dir, Ended, SIGKILL, exists, proc, run, until};
use circus::sys::signal::kill;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

const SLEEPER: &str = "[watcher:w]\ncmd = sleep 1000\n";
const WEB: &str = "[socket:web]\npath = {dir}/web\nreplace = True\n";

/// A circus in a directory of a test, killed with its processes when it is dropped before its end.
struct Started(Child);

impl Started {
    fn new(config: &str) -> Started {
        Started(crate::common::circus().arg(config).stderr(Stdio::null()).spawn().expect("it runs"))
    }

    /// Its exit code, once it has ended.
    fn code(&mut self) -> Option<Option<i32>> {
        self.0.try_wait().expect("a child").map(|status| status.code())
    }

    fn quit(mut self, dir: &Dir) {
        let mut client = until("it answers", || Client::connect(&dir.path("sock")));
        assert_eq!(client.call("quit", json!({"waiting": true}))["status"], "ok");
        assert_eq!(self.0.wait().expect("a child").code(), Some(0));
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.code().is_none() {
            crate::common::kill_with_family(self.0.id().cast_signed());
            let _ = self.0.wait();
        }
    }
}

/// Everything in a directory: which files, and what is in them, but for the state of a circus that runs.
fn contents(dir: &Dir) -> BTreeMap<String, (u64, u64, Vec<u8>)> {
    let entries = std::fs::read_dir(dir.path("")).expect("a directory");
    let of = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("an entry");
        let meta = entry.metadata().expect("it is there");
        let bytes = if meta.is_file() { std::fs::read(entry.path()).expect("a file") } else { Vec::new() };
        (entry.file_name().into_string().expect("UTF-8"), (meta.dev(), meta.ino(), bytes))
    };
    entries.map(of).filter(|(name, _)| !name.starts_with("sock.state")).collect()
}

/// A start of this configuration, which has to fail with 111, and what it says.
fn fails(dir: &Dir, config: &str, change: impl FnOnce(&mut Command)) -> String {
    let before = contents(dir);
    let mut command = crate::common::circus();
    command.arg(config);
    change(&mut command);
    let ended = run(&mut command);
    assert_eq!((ended.code, ended.err.lines().count()), (111, 1), "{}", ended.err);
    assert_eq!(contents(dir), before, "{}", ended.err);
    ended.err
}

#[test]
fn a_second_start_leaves_everything_of_the_first_as_it_was() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("an address").port();
    let ini = format!("[circus]\npidfile = {{dir}}/pid\nlogoutput = {{dir}}/log\n{WEB}{SLEEPER}");
    let circus = Circus::start(&ini);
    let dir = &circus.dir;
    let pids = circus.up("w");
    let other = |name: &str, rest: &str| {
        dir.config(name, &format!("[circus]\nendpoint = {{dir}}/other\nlogoutput = {{dir}}/log\n{rest}"))
    };
    let late = format!("[socket:zport]\nport = {port}\nhost = 127.0.0.1\n");
    let nowhere = "[socket:zpath]\npath = {dir}/none/file\n";
    let again = dir.name("circus.ini");
    let same_pid = other("pid.ini", &format!("pidfile = {{dir}}/pid\n{WEB}{SLEEPER}"));
    let same_port = other("port.ini", &format!("{WEB}{late}{SLEEPER}"));
    let no_path = other("path.ini", &format!("{WEB}{nowhere}{SLEEPER}"));
    for (config, said) in [
        (&again, "another circus serves it already"),
        (&same_pid, "circus runs already, with pid"),
        (&same_port, "Address already in use"),
        (&no_path, "No such file or directory"),
    ] {
        let err = fails(dir, config, |_| {});
        assert!(err.contains(said), "{err}");
        let err = fails(dir, config, |command| _ = command.arg("--daemon"));
        assert!(err.contains(said), "{err}");
    }
    UnixStream::connect(dir.path("web")).expect("the first one still has it");
    assert_eq!(circus.pids("w"), pids);
}

#[test]
fn a_start_that_fails_leaves_nothing_behind_whatever_it_is_that_fails() {
    let dir = Dir::new();
    dir.write("stale-pid", "1\n");
    drop(UnixListener::bind(dir.path("web")).expect("bound"));
    std::fs::create_dir(dir.path("directory")).expect("a directory");
    let ini = format!("[circus]\nlogoutput = {{dir}}/log\n{WEB}[socket:a]\npath = {{dir}}/a\n");
    let good = dir.config("good.ini", &format!("{ini}{SLEEPER}"));
    let bad = dir.config("bad.ini", &format!("{ini}[socket:z]\npath = {{dir}}/none/z\n{SLEEPER}"));
    for pid in ["new-pid", "stale-pid"] {
        fails(&dir, &bad, |command| _ = command.args(["--pidfile", &dir.name(pid)]));
    }
    fails(&dir, &good, |command| _ = command.args(["--pidfile", &dir.name("directory")]));
    fails(&dir, &good, |command| _ = command.args(["--log-output", &dir.name("none/log")]));
    // A socket is bound, but its descriptor cannot be put where it belongs; or there is not even one for the loop.
    for limit in ["64", "20", "12", "11", "10", "9", "8", "7", "6"] {
        let program = crate::common::circus().get_program().to_owned();
        let limited = |command: &mut Command| {
            *command = Command::new("sh");
            command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
            command.args(["-c", &format!("ulimit -n {limit}; exec \"$@\""), "sh"]).arg(program).arg(&good);
        };
        fails(&dir, &good, limited);
    }
}

#[test]
fn a_socket_file_that_nobody_holds_makes_way_without_replace() {
    let ini = format!(
        "[socket:a]\npath = {{dir}}/a\n[socket:b]\npath = {{dir}}/b\ntype = SOCK_DGRAM\n\
         [socket:c]\npath = {{dir}}/c\ntype = SOCK_SEQPACKET\n{SLEEPER}"
    );
    let first = Circus::start(&ini);
    let pids = first.up("w");
    kill(first.pid(), SIGKILL).expect("it runs");
    until("circus is dead", || matches!(proc::state(first.pid()), 'Z' | '?').then_some(()));
    pids.iter().for_each(|pid| kill(*pid, SIGKILL).expect("it runs"));
    let before = contents(&first.dir);
    assert!(["a", "b", "c"].iter().all(|name| before.contains_key(*name)));
    let ended = run(crate::common::circus().arg("check").arg(first.dir.name("circus.ini")));
    assert_eq!(ended.code, 0, "{}", ended.out);
    let second = Started::new(&first.dir.name("circus.ini"));
    let mut client = until("it answers", || Client::connect(&first.dir.path("sock")));
    client.call("list", json!({}));
    UnixStream::connect(first.dir.path("a")).expect("it listens");
    UnixDatagram::unbound().expect("a socket").connect(first.dir.path("b")).expect("it is bound");
    assert_eq!(contents(&first.dir).len(), before.len(), "nothing was put aside for good");
    second.quit(&first.dir);
    assert!(["a", "b", "c", "sock"].iter().all(|name| !exists(&first.dir.path(name))));
}

#[test]
fn of_starts_at_the_same_moment_one_succeeds() {
    for _ in 0..8 {
        let dir = Dir::new();
        // What a circus that was killed has left is in the way of all.
        drop(UnixListener::bind(dir.path("sock")).expect("bound"));
        drop(UnixListener::bind(dir.path("web")).expect("bound"));
        let config = dir.config("c.ini", &format!("[socket:web]\npath = {{dir}}/web\n{SLEEPER}"));
        let mut all: Vec<Started> = (0..6).map(|_| Started::new(&config)).collect();
        until("all but one have ended", || {
            let codes: Vec<_> = all.iter_mut().filter_map(Started::code).collect();
            assert!(codes.iter().all(|code| *code == Some(111)) && codes.len() < 6, "{codes:?}");
            (codes.len() == 5).then_some(())
        });
        all.retain_mut(|one| one.code().is_none());
        until("it listens", || UnixStream::connect(dir.path("web")).ok());
        all.pop().expect("one").quit(&dir);
        assert_eq!(contents(&dir).keys().collect::<Vec<_>>(), ["c.ini"]);
    }
}

#[test]
fn what_was_taken_over_by_replace_is_served_and_gone_at_the_end() {
    let dir = Dir::new();
    let other = UnixListener::bind(dir.path("web")).expect("bound");
    let refused = dir.config("no.ini", &format!("[socket:web]\npath = {{dir}}/web\n{SLEEPER}"));
    let err = fails(&dir, &refused, |_| {});
    assert!(err.contains("[socket:web]") && err.contains("replace = True"), "{err}");
    let ini = format!("[circus]\nendpoint = {{dir}}/sock\n{WEB}{SLEEPER}");
    let mut circus = Circus::with(dir, &ini, |_| {});
    circus.up("w");
    let before = contents(&circus.dir);
    // Those that only looked whether somebody listens there.
    other.set_nonblocking(true).expect("a flag");
    while other.accept().is_ok() {}
    UnixStream::connect(circus.dir.path("web")).expect("it listens");
    other.accept().expect_err("the other one is not asked any more");
    // A reload that fails at the last section puts back what it has moved.
    let bad = format!(
        "[circus]\nendpoint = {{dir}}/sock\n{WEB}umask = 0\nso_reuseport = True\nbacklog = 3\n\
         [socket:z]\npath = {{dir}}/none/z\n{SLEEPER}"
    );
    circus.dir.config("circus.ini", &bad);
    let Ended { code, err, .. } = circus.ctl(&["reloadconfig", "--waiting"]);
    assert!(code == 3 && err.contains("[socket:z]"), "{err}");
    let mut after = contents(&circus.dir);
    after.insert("circus.ini".into(), before["circus.ini"].clone());
    assert_eq!(after, before);
    UnixStream::connect(circus.dir.path("web")).expect("it listens");
    circus.end();
    assert!(!exists(&circus.dir.path("web")));
}
