//! Where the control socket is, and who may use it.

use crate::common::client::Client;
use crate::common::user::{NOBODY, as_user, of_user};
use crate::common::{Circus, Dir, Ended, exists, needs_root, run, until};
use serde_json::json;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

const SLEEPER: &str = "[watcher:w]\ncmd = sleep 1000\n";

/// Waits until circus is ready, wherever its control socket may be.
fn ready(circus: &Circus) {
    circus.log.line("Arbiter now waiting for commands");
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().expect("it is there").permissions().mode() & 0o777
}

/// `circus ctl` of that user.
fn ctl_as(uid: u32, runtime: Option<&str>, dir: &Dir, args: &[&str]) -> Ended {
    run(as_user(uid, runtime, dir).arg("ctl").args(args))
}

#[test]
fn a_path_is_written_in_three_ways() {
    for prefix in ["ipc://", "unix://", ""] {
        let mut circus = Circus::start(&format!("[circus]\nendpoint = {prefix}{{dir}}/sock\n{SLEEPER}"));
        let path = circus.dir.path("sock");
        assert_eq!(mode(&path), 0o600);
        circus.up("w");
        let endpoint = format!("{prefix}{}", path.display());
        let ended = run(crate::common::circus().args(["ctl", "--endpoint", &endpoint, "status", "w"]));
        assert_eq!((ended.code, ended.out.as_str()), (0, "active\n"));
        let ended = run(crate::common::circus().env("CIRCUSCTL_ENDPOINT", &endpoint).args(["ctl", "list"]));
        assert_eq!(ended.out, "w\n");
        circus.end();
        assert!(!exists(&path));
    }
}

#[test]
fn mode_and_owner_can_be_set() {
    needs_root();
    let circus =
        Circus::start(&format!("[circus]\nendpoint_mode = 0666\nendpoint_owner = nobody\n{SLEEPER}"));
    ready(&circus);
    let path = circus.dir.path("sock");
    assert_eq!((mode(&path), path.metadata().expect("a file").uid()), (0o666, NOBODY));
}

#[test]
fn the_mode_of_the_file_decides_who_may_ask() {
    needs_root();
    let circus = Circus::start(SLEEPER);
    let endpoint = circus.dir.name("sock");
    let refused = ctl_as(NOBODY, None, &circus.dir, &["--endpoint", &endpoint, "list"]);
    assert!(refused.code == 1 && refused.err.contains("Permission denied"), "{refused:?}");
    std::fs::set_permissions(&endpoint, PermissionsExt::from_mode(0o666)).expect("a mode");
    let allowed = ctl_as(NOBODY, None, &circus.dir, &["--endpoint", &endpoint, "list"]);
    assert_eq!(allowed, Ended { code: 0, out: "w\n".into(), err: String::new() });
}

#[test]
fn none_is_no_socket_at_all() {
    let mut circus = Circus::launch(Dir::new(), &format!("[circus]\nendpoint = none\n{SLEEPER}"), |_| {});
    circus.log.line("w started");
    assert!(!exists(&circus.dir.path("sock")));
    circus.end();
}

#[test]
fn an_abstract_name_serves_root_and_the_user_of_circus() {
    needs_root();
    let name = format!("circus-endpoints-{}", std::process::id());
    let mut circus = Circus::launch(Dir::new(), &format!("[circus]\nendpoint = @{name}\n{SLEEPER}"), |_| {});
    ready(&circus);
    let endpoint = format!("@{name}");
    let own = run(crate::common::circus().args(["ctl", "--endpoint", &endpoint, "list"]));
    assert_eq!(own, Ended { code: 0, out: "w\n".into(), err: String::new() });
    let other = ctl_as(NOBODY, None, &circus.dir, &["--endpoint", &endpoint, "list"]);
    assert_eq!((other.code, other.out.as_str()), (3, ""));
    assert!(other.err.contains("root and the user of circus only"), "{}", other.err);
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    UnixStream::connect_addr(&address).expect("it listens");
    circus.end();
    UnixStream::connect_addr(&address).expect_err("nobody listens any more");
}

#[test]
fn without_an_endpoint_it_is_in_the_runtime_directory_of_the_user() {
    needs_root();
    let dir = Dir::new();
    let runtime = dir.name("runtime");
    std::fs::create_dir(&runtime).expect("a directory");
    chown(&runtime, Some(NOBODY), Some(NOBODY)).expect("root");
    let mut circus = of_user(NOBODY, Some(&runtime), dir, SLEEPER);
    ready(&circus);
    let path = circus.dir.path("runtime/circus/circus.sock");
    assert_eq!(mode(&path), 0o600);
    let ended = ctl_as(NOBODY, Some(&runtime), &circus.dir, &["list"]);
    assert_eq!(ended, Ended { code: 0, out: "w\n".into(), err: String::new() });
    // Somebody else finds nothing, and is told where it was looked for.
    let ended = ctl_as(1, Some("/nowhere"), &circus.dir, &["list"]);
    assert!(ended.code == 1 && ended.err.contains("/nowhere/circus/circus.sock: "), "{}", ended.err);
    circus.end();
    assert!(!exists(&path));
}

#[test]
fn the_directory_below_tmp_is_private() {
    needs_root();
    // Nobody's, and within what a container may have.
    let uid = 50_000 + std::process::id() % 10_000;
    let directory = PathBuf::from(format!("/tmp/circus-{uid}"));
    let _ = std::fs::remove_dir_all(&directory);
    let remove = Removed(directory.clone());
    let mut circus = of_user(uid, None, Dir::new(), SLEEPER);
    ready(&circus);
    assert_eq!((mode(&directory), directory.metadata().expect("a directory").uid()), (0o700, uid));
    let ended = ctl_as(uid, None, &circus.dir, &["list"]);
    assert_eq!(ended, Ended { code: 0, out: "w\n".into(), err: String::new() });
    circus.end();
    // One that somebody else has made is not used, but an abstract name in its place, and circus says so.
    std::fs::remove_dir_all(&directory).expect("it was there");
    std::fs::create_dir(&directory).expect("a directory");
    let mut circus = of_user(uid, None, Dir::new(), SLEEPER);
    circus.log.line("w started");
    let warning = circus.log.line("[WARNING]");
    assert!(warning.contains(&directory.display().to_string()) && warning.contains("0700"), "{warning}");
    assert!(!exists(&directory.join("circus.sock")));
    let spare = format!("@circus/{uid}/");
    assert!(warning.contains(&spare), "{warning}");
    let ended = ctl_as(uid, None, &circus.dir, &["list"]);
    assert_eq!(ended, Ended { code: 0, out: "w\n".into(), err: String::new() });
    circus.end();
    drop(remove);
}

#[test]
fn where_no_place_can_be_used_there_is_an_abstract_name_that_ctl_tries() {
    needs_root();
    let uid = 60_000 + std::process::id() % 5_000;
    for ini in [SLEEPER.to_string(), format!("[circus]\nendpoint = tcp://127.0.0.1:5555\n{SLEEPER}")] {
        let mut circus = of_user(uid, Some("/proc"), Dir::new(), &ini);
        ready(&circus);
        let warning = circus.log.line("control socket /proc/circus/circus.sock: ");
        assert!(warning.contains(&format!("it is @circus/{uid}/")), "{warning}");
        let args: &[&str] =
            if ini == SLEEPER { &["list"] } else { &["--endpoint", "tcp://127.0.0.1:5555", "list"] };
        let ended = ctl_as(uid, Some("/proc"), &circus.dir, args);
        assert_eq!(ended, Ended { code: 0, out: "w\n".into(), err: String::new() });
        // A second one finds the name taken, another user finds nothing, and another container has a name of its own.
        let config = circus.dir.name("circus.ini");
        let second = run(as_user(uid, Some("/proc"), &circus.dir).arg(&config));
        assert!(second.code == 111 && second.err.contains("another circus serves it already"), "{second:?}");
        let other = ctl_as(uid + 1, Some("/proc"), &circus.dir, args);
        assert!(other.code == 1 && other.err.contains(&format!("  @circus/{}/", uid + 1)), "{other:?}");
        let mut elsewhere = std::process::Command::new("unshare");
        let ctl = as_user(uid, Some("/proc"), &circus.dir);
        let id = uid.to_string();
        elsewhere.args(["--mount", "setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"]);
        elsewhere.arg(ctl.get_program()).arg("ctl").args(args);
        let elsewhere = run(elsewhere.env("XDG_RUNTIME_DIR", "/proc"));
        assert!(elsewhere.code == 1 && elsewhere.err.contains("Connection refused"), "{elsewhere:?}");
        circus.end();
    }
}

#[test]
fn ctl_says_that_the_rights_are_missing() {
    needs_root();
    let circus = Circus::start(SLEEPER);
    let refused = ctl_as(NOBODY, None, &circus.dir, &["--endpoint", &circus.dir.name("sock"), "list"]);
    assert!(refused.code == 1 && refused.err.contains("no right to use it"), "{refused:?}");
    assert!(refused.err.contains("endpoint_owner"), "{refused:?}");
}

/// Anybody may take an abstract name before circus does.
#[test]
fn ctl_speaks_with_nobody_else_at_an_abstract_name() {
    needs_root();
    let name = format!("circus-endpoints-taken-{}", std::process::id());
    let config = format!("[circus]\nendpoint = @{name}\n{SLEEPER}");
    let other = of_user(NOBODY, None, Dir::new(), &config);
    ready(&other);
    let ended = run(crate::common::circus().args(["ctl", "--endpoint", &format!("@{name}"), "list"]));
    assert!(ended.code == 1 && ended.err.contains(&format!("served by uid {NOBODY}")), "{ended:?}");
    let ended = run(crate::common::circus().arg(other.dir.name("circus.ini")));
    assert!(
        ended.code == 111 && ended.err.contains(&format!("of uid {NOBODY} has taken this name")),
        "{ended:?}"
    );
    let own = ctl_as(NOBODY, None, &other.dir, &["--endpoint", &format!("@{name}"), "list"]);
    assert_eq!(own.out, "w\n");
}

/// A directory outside of the test's own.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_port_of_an_old_file_is_a_socket_here() {
    needs_root();
    // Circus does not mind that the port is taken, since it opens none.
    let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("an address").port();
    let dir = Dir::new();
    let runtime = dir.name("runtime");
    std::fs::create_dir(&runtime).expect("a directory");
    chown(&runtime, Some(NOBODY), Some(NOBODY)).expect("root");
    let endpoint = format!("tcp://127.0.0.1:{port}");
    let mut circus =
        of_user(NOBODY, Some(&runtime), dir, &format!("[circus]\nendpoint = {endpoint}\n{SLEEPER}"));
    ready(&circus);
    let path = circus.dir.path(&format!("runtime/circus/circus-{port}.sock"));
    assert!(exists(&path));
    let warning = circus.log.line("[WARNING]");
    assert!(warning.contains(&endpoint) && warning.contains("Unix socket"), "{warning}");
    let ended = ctl_as(NOBODY, Some(&runtime), &circus.dir, &["--endpoint", &endpoint, "list"]);
    assert_eq!(ended, Ended { code: 0, out: "w\n".into(), err: String::new() });
    let mut client = until("it answers", || Client::connect(&path));
    let expected = format!("ipc://{}", path.display());
    assert_eq!(client.call("globaloptions", json!({}))["options"]["endpoint"], expected);
    circus.end();
    assert!(!exists(&path));
}

/// The owner of the endpoint may command, but gets no rights of root by it, in whatever way.
#[test]
fn the_owner_of_the_endpoint_gains_nothing_by_add_and_set() {
    needs_root();
    let circus = Circus::start(&format!(
        "[circus]\nendpoint_owner = nobody\n{SLEEPER}[watcher:own]\ncmd = sleep 1000\nuid = nobody\n\
         [watcher:logged]\ncmd = sleep 1000\nuid = nobody\nstdout_stream.filename = {{dir}}/log\n"
    ));
    let endpoint = circus.dir.name("sock");
    let owner = |args: &[&str]| {
        let ended = ctl_as(NOBODY, None, &circus.dir, &[&["--endpoint", endpoint.as_str()], args].concat());
        ended.err.strip_prefix("error: ").map_or(ended.out.clone(), str::to_string).trim_end().to_string()
    };
    let mismatch = "uid does not match endpoint_owner";
    for (args, said) in [
        (&["add", "new", "sleep", "1000"][..], mismatch),
        (&["add", "--option", "uid=root", "new", "sleep", "1000"], mismatch),
        (&["add", "--option", "uid=0", "new", "sleep", "1000"], mismatch),
        (&["set", "w", "cmd", "id"], mismatch),
        (&["set", "w", "uid", "nobody"], mismatch),
        (&["set", "w", "env", "LD_PRELOAD=x"], mismatch),
        (&["set", "own", "uid", "root"], mismatch),
        (&["set", "own", "uid", "nobody", "cmd", "sleep 1001", "uid", "root"], mismatch),
        (&["set", "own", "gid", "root"], "'gid' can be set by root only, not by user nobody"),
        (
            &["set", "own", "stdout_stream.filename", "/etc/x"],
            "'stdout_stream.filename' can be set by root only, not by user nobody",
        ),
        (
            &["add", "--option", "uid=nobody", "--option", "env_file=/etc/shadow", "new", "sleep", "1000"],
            "'env_file' can be set by root only, not by user nobody",
        ),
        (
            &["set", "logged", "env", "A=../../etc/x"],
            "root only can set that, since circus itself uses it for hooks or streams",
        ),
        (&["add", "--option", "uid=65534", "new", "sleep", "1000"], "ok"),
        (&["set", "own", "cmd", "sleep 1001", "--waiting"], "ok"),
        (&["set", "w", "numprocesses", "2", "--waiting"], "ok"),
        (&["stop", "w", "--waiting"], "ok"),
    ] {
        assert_eq!(owner(args), said, "{args:?}");
    }
    assert_eq!(circus.ctl_ok(&["list"]), "logged,new,own,w");
    // As in Circus, root too adds what runs as that user alone; but root may set anything.
    assert_eq!(circus.ctl_refused(&["add", "other", "sleep", "1000"]), mismatch);
    assert_eq!(circus.ctl_ok(&["set", "w", "cmd", "sleep 1002"]), "ok");
}
