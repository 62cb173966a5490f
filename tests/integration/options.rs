//! Each option of the configuration with the effect that it has, in a process, a socket, or circus itself.
//!
//! What other files of tests look at closely (sockets, streams, stops, reloads, on_demand, so_reuseport, ids that
//! may not be taken) is here only where an option is not seen there.

use crate::common::{Circus, Dir, SIGKILL, needs_root, proc, until};
use serde_json::json;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What one option does to a process.
struct Effect {
    options: &'static str,
    look: fn(i32) -> String,
    seen: &'static str,
}

const fn effect(options: &'static str, look: fn(i32) -> String, seen: &'static str) -> Effect {
    Effect { options, look, seen }
}

fn words(pid: i32) -> String {
    proc::argv(pid).join("|")
}

fn variable(pid: i32, name: &str) -> String {
    proc::environ(pid).get(name).cloned().unwrap_or_else(|| "-".into())
}

fn who(pid: i32) -> String {
    variable(pid, "WHO")
}

fn path(pid: i32) -> String {
    variable(pid, "PATH")
}

fn python_path(pid: i32) -> String {
    variable(pid, "PYTHONPATH")
}

fn venv(pid: i32) -> String {
    variable(pid, "VIRTUAL_ENV")
}

fn own(pid: i32) -> String {
    variable(pid, "OWN")
}

fn program(pid: i32) -> String {
    let target = std::fs::read_link(format!("/proc/{pid}/exe")).expect("it runs");
    target.file_name().expect("a name").to_string_lossy().into_owned()
}

fn limit(pid: i32, name: &str) -> String {
    let (soft, hard) = proc::limit(pid, name);
    format!("{soft} {hard}")
}

fn files(pid: i32) -> String {
    limit(pid, "Max open files")
}

fn cpu(pid: i32) -> String {
    limit(pid, "Max cpu time")
}

fn mask(pid: i32) -> String {
    proc::status(pid, "Umask")
}

fn ids(pid: i32) -> String {
    ["Uid", "Gid", "Groups"].map(|key| proc::status(pid, key)).join("; ")
}

fn stdin(pid: i32) -> String {
    proc::fd(pid, 0)
}

fn stdout(pid: i32) -> String {
    proc::fd(pid, 1)
}

fn stderr(pid: i32) -> String {
    proc::fd(pid, 2)
}

/// Whether a stream is a pipe; what circus itself has there is a pipe too, which `{out}` and `{err}` stand for.
fn piped(target: &str) -> bool {
    target.starts_with("pipe:[")
}

const EFFECTS: &[Effect] = &[
    effect("cmd = sleep '1000'", words, "sleep|1000"),
    effect("cmd = sh -c\nargs = 'sleep 1000; :' \"1 1\"1", words, "sh|-c|sleep 1000; :|1 11"),
    effect(
        "cmd = sh -c 'sleep 1000; :' $(circus.wid) ((circus.wid))\nnumprocesses = 1",
        words,
        "sh|-c|sleep 1000; :|1|1",
    ),
    effect(
        "shell = True\ncmd = cd /; sleep $((500+500)) | cat; :\nshell_args = a 'b c'",
        words,
        "/bin/sh|-c|cd /; sleep $((500+500)) | cat; :|a|b c",
    ),
    effect("cmd = other-name 1000\nexecutable = sleep", words, "other-name|1000"),
    effect(
        "cmd = other-name 1000\nexecutable = /bin/sleep",
        |pid| program(pid).replace("coreutils", "sleep"),
        "sleep",
    ),
    effect("cmd = sleep 1000\nworking_dir = {dir}", proc::cwd, "{dir}"),
    effect("cmd = sleep 1000", proc::cwd, "{cwd}"),
    effect("cmd = sleep 1000\ncopy_env = True", who, "tester"),
    effect("cmd = sleep 1000", who, "-"),
    effect("cmd = sleep 1000\ncopy_env = True\ncopy_path = True", python_path, "/from/circus"),
    effect("cmd = sleep 1000", python_path, "-"),
    effect("cmd = sleep 1000\nenv_file = {dir}/env", own, "from a file"),
    effect("cmd = sleep $(circus.env.OWN_TIME)\nenv_file = -{dir}/env", words, "sleep|1000"),
    effect("cmd = sleep 1000\nenv_file = -{dir}/no-such-file", own, "-"),
    effect("cmd = tool 1000\ncopy_env = True\nvirtualenv = {dir}/venv", path, "{dir}/venv/bin:/usr/bin:/bin"),
    effect(
        "cmd = tool 1000\ncopy_env = True\nvirtualenv = {dir}/venv",
        python_path,
        "{dir}/listed:/from/circus:{dir}/venv/lib/python3.11/site-packages",
    ),
    effect(
        "cmd = tool 1000\ncopy_env = True\nvirtualenv = {dir}/venv\nvirtualenv_py_ver = 3.9",
        python_path,
        "/from/circus:{dir}/venv/lib/python3.9/site-packages",
    ),
    effect("cmd = tool 1000\ncopy_env = True\nvirtualenv = {dir}/venv", venv, "{dir}/venv"),
    effect("cmd = sleep 1000\nuid = nobody", ids, "65534 65534 65534 65534; 65534 65534 65534 65534; 65534"),
    effect("cmd = sleep 1000\nuid = 65534\ngid = daemon", ids, "65534 65534 65534 65534; 1 1 1 1; 1"),
    effect("cmd = sleep 1000\ngid = 1", ids, "0 0 0 0; 1 1 1 1; 1"),
    effect("cmd = sleep 1000\nrlimit_nofile = 77", files, "77 77"),
    effect("cmd = sleep 1000\nRLIMIT_NOFILE = 77\nrlimit_NoFile = 78", files, "78 78"),
    effect("cmd = sleep 1000\nrlimit_nofile =", files, "{hard} {hard}"),
    effect("cmd = sleep 1000\nrlimit_nofile = infinity", files, "{hard} {hard}"),
    effect("cmd = sleep 1000\nrlimit_cpu = -1", cpu, "unlimited unlimited"),
    effect("cmd = sleep 1000\nrlimit_cpu = 1000", cpu, "1000 1000"),
    effect("cmd = sleep 1000\numask = 0137", mask, "0137"),
    effect("cmd = sleep 1000", mask, "0026"),
    effect("cmd = sleep 1000", stdin, "/dev/null"),
    effect("cmd = sleep 1000\nclose_child_stdin = False", stdin, "{in}"),
    effect("cmd = sleep 1000\nstdin_socket = Web", |pid| stdin(pid)[..8].into(), "socket:["),
    effect("cmd = sleep 1000", stdout, "{out}"),
    effect("cmd = sleep 1000\nclose_child_stdout = True", stdout, "/dev/null"),
    effect(
        "cmd = sleep 1000\nclose_child_stdout = True\nstdout_stream.filename = {dir}/o",
        stdout,
        "/dev/null",
    ),
    effect("cmd = sleep 1000", stderr, "{err}"),
    effect("cmd = sleep 1000\nclose_child_stderr = True", stderr, "/dev/null"),
    effect("cmd = sleep 1000\nfree.form = 1\nflapping.window = 3\n# a key of one's own", words, "sleep|1000"),
];

/// Everything that may be named on a command line, and what stands for it.
const NAMES: &[(&str, &str)] = &[
    ("wid", "1"),
    ("env.OWN", "x y"),
    ("env.own", "x y"),
    ("shell", "False"),
    ("args", ""),
    ("working_dir", "/"),
    ("uid", "root"),
    ("gid", "None"),
    ("rlimits.core", "0"),
    ("rlimits.cpu", "-1"),
    ("executable", "None"),
    ("use_fds", "True"),
    ("sockets.web", "4"),
    ("numprocesses", "1"),
    ("warmup_delay", "0"),
    ("send_hup", "False"),
    ("stop_signal", "2"),
    ("stop_children", "False"),
    ("shell_args", "None"),
    ("max_retry", "5"),
    ("respawn", "True"),
    ("graceful_timeout", "30.0"),
    ("use_sockets", "True"),
    ("priority", "0"),
    ("copy_env", "False"),
    ("singleton", "False"),
    ("on_demand", "False"),
    ("max_age", "0"),
    ("max_age_variance", "30"),
    ("close_child_stdin", "True"),
    ("close_child_stdout", "False"),
    ("close_child_stderr", "False"),
    ("stdout_stream_conf.class", "StdoutStream"),
    ("stderr_stream_conf.max_bytes", "10"),
    // Neither of these is known.
    ("mine", "$(circus.mine)"),
    ("autostart", "$(circus.autostart)"),
    ("name", "$(circus.name)"),
    ("nothing", "$(circus.nothing)"),
];

/// A directory with the files that the table speaks of.
fn prepared() -> Dir {
    let dir = Dir::new();
    dir.write("env", "# variables\nOWN='from a file'\nexport OWN_TIME=1000\n");
    for part in
        ["venv/bin", "venv/lib/python3.11/site-packages", "venv/lib/python3.9/site-packages", "listed"]
    {
        std::fs::create_dir_all(dir.path(part)).expect("a directory");
    }
    dir.write("venv/lib/python3.11/site-packages/x.pth", &format!("{}\nimport os\n", dir.name("listed")));
    dir.program("venv/bin/tool", "/bin/sleep");
    dir
}

#[test]
fn what_a_process_is_given() {
    needs_root();
    let mut ini = "[circus]\numask = 026\n[socket:web]\nport = 0\n".to_string();
    for (n, effect) in EFFECTS.iter().enumerate() {
        ini += &format!("[watcher:w{n}]\n{}\n", effect.options);
    }
    let circus = Circus::with(prepared(), &ini, |command| {
        command.env("WHO", "tester").env("PYTHONPATH", "/from/circus");
    });
    let root = circus.dir.name("");
    let root = root.trim_end_matches('/');
    let of_circus = |fd| proc::fd(circus.pid(), fd);
    let hard = proc::limit(circus.pid(), "Max open files").1;
    for (n, effect) in EFFECTS.iter().enumerate() {
        let name = format!("w{n}");
        let pids = circus.up(&name);
        assert_eq!(pids.len(), 1, "{}", effect.options);
        let seen = effect.seen.replace("{dir}", root).replace("{cwd}", &proc::cwd(circus.pid()));
        let seen = seen
            .replace("{in}", &of_circus(0))
            .replace("{out}", &of_circus(1))
            .replace("{err}", &of_circus(2));
        assert_eq!((effect.look)(pids[0]), seen.replace("{hard}", &hard), "{}", effect.options);
    }
    assert!(piped(&of_circus(1)) && of_circus(1) != of_circus(2));
}

#[test]
fn what_a_command_line_may_name() {
    let both =
        NAMES.iter().map(|(name, _)| format!("\"$(circus.{name})\" \"((Circus.{}))\"", name.to_uppercase()));
    let circus = Circus::start(&format!(
        "[socket:web]\nport = 0\n[watcher:w]\ncmd = sh -c 'while :; do sleep 1000; done' {}\nworking_dir = /\nuid = root\n\
         rlimit_core = 0\nrlimit_CPU =\nuse_sockets = True\nstop_signal = INT\nmine = 1\nstdout_stream.class = StdoutStream\n\
         stderr_stream.filename = {{dir}}/x\nstderr_stream.max_bytes = 10\n[env:w]\nOWN = x y",
        both.collect::<Vec<_>>().join(" ")
    ));
    let argv = proc::argv(circus.up("w")[0]).split_off(3);
    for ((name, value), words) in NAMES.iter().zip(argv.chunks(2)) {
        let other = if value.starts_with('$') {
            format!("((Circus.{}))", name.to_uppercase())
        } else {
            value.to_string()
        };
        assert_eq!((words[0].as_str(), words[1].as_str()), (*value, other.as_str()), "{name}");
    }
}

#[test]
fn the_file_of_variables_is_read_for_each_process_and_may_not_be_missing() {
    let dir = Dir::new();
    dir.write("env", "OWN = first\n");
    let circus = Circus::with(
        dir,
        "[watcher:w]\ncmd = sleep 1000\nenv_file = {dir}/env\nmax_retry = 1\n[env:w]\nOWN = ini\nALSO = ini",
        |_| {},
    );
    assert_eq!(own(circus.up("w")[0]), "first");
    circus.dir.write("env", "OWN = second\n");
    circus.ask("reload", json!({"name": "w", "waiting": true}));
    let pid = circus.pids("w")[0];
    assert_eq!((own(pid), variable(pid, "ALSO")), ("second".into(), "ini".into()));
    circus.dir.write("env", "OWN\n");
    let place = circus.dir.name("env");
    let reload = circus.call("reload", json!({"name": "w", "waiting": true}));
    let said = format!("'w' was not reloaded: env_file = {place}: line 1 is no NAME=value");
    assert_eq!((reload["reason"].as_str(), circus.pids("w")), (Some(said.as_str()), vec![pid]));
    std::fs::remove_file(circus.dir.path("env")).expect("it was there");
    let restart = circus.call("restart", json!({"name": "w", "waiting": true}));
    assert_eq!(
        restart["reason"],
        format!("'w' did not start: env_file = {place}: No such file or directory")
    );
    assert_eq!(circus.status("w"), "stopped");
}

#[test]
fn a_virtual_environment_that_is_none_stops_its_watcher() {
    let circus = Circus::start(
        "[watcher:none]\ncmd = sleep 1000\ncopy_env = True\nvirtualenv = {dir}/none\nmax_retry = 1\n\
         [watcher:alone]\ncmd = sleep 1000\nvirtualenv = {dir}\nmax_retry = 1\n\
         [watcher:path]\ncmd = sleep 1000\ncopy_path = True\nmax_retry = 1\n",
    );
    circus.log.line("none: given up after 1 failed start: virtualenv: ");
    circus.log.line("alone: given up after 1 failed start: virtualenv needs `copy_env = True`");
    circus.log.line("path: given up after 1 failed start: copy_path needs `copy_env = True`");
}

/// The first child of a process, when it is there.
fn child_of(pid: i32) -> i32 {
    until(&format!("{pid} has a child"), || proc::children(pid).first().copied())
}

#[test]
fn stop_children_asks_the_children_too() {
    // The parent ends when its child has ended, and only the child is told to: the group gets nothing before that.
    let parent =
        |name: &str| format!("[watcher:{name}]\ncmd = sh {{dir}}/parent {name}\ngraceful_timeout = 1000\n");
    let dir = Dir::new();
    dir.write("parent", "trap 'echo $1 asked' TERM\nsh \"$(dirname $0)/child\" $1 &\nwait; wait; wait\n");
    dir.write(
        "child",
        "trap 'echo $1 child asked; exit' TERM\necho $1 ready\nwhile :; do sleep 0.01; done\n",
    );
    let ini = parent("both") + "stop_children = True\n";
    let circus = Circus::with(dir, &ini, |_| {});
    circus.out.line("both ready");
    let pid = circus.up("both")[0];
    let child = child_of(pid);
    circus.ask("stop", json!({"name": "both", "waiting": true}));
    assert!(!proc::exists(child));
    circus.out.line("both child asked");
    circus.out.line("both asked");
    assert_eq!((circus.out.count("both child asked"), circus.out.count("both asked")), (1, 1));
}

#[test]
fn max_age_replaces_and_its_variance_is_added() {
    let circus = Circus::start(
        "[watcher:w]\ncmd = sleep 1000\nmax_age = 1\nmax_age_variance = 0\n[watcher:late]\ncmd = sleep 1000\nmax_age = 1000",
    );
    let (first, late) = (circus.up("w")[0], circus.up("late")[0]);
    let mut events = circus.listen(&["watcher."]);
    let start = std::time::Instant::now();
    assert_eq!(events.pid("watcher.w.reap"), first);
    assert!(start.elapsed() > std::time::Duration::from_millis(500), "not before its time");
    assert_ne!(events.pid("watcher.w.spawn"), first);
    assert_eq!(circus.pids("late"), [late]);
}

#[test]
fn a_singleton_runs_one_whatever_is_configured() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nsingleton = True\nnumprocesses = 4");
    circus.log.line("a singleton runs one process, not 4");
    assert_eq!(circus.up("w").len(), 1);
}

#[test]
fn retry_in_is_the_least_pause_after_a_failure_to_execute() {
    let circus = Circus::start("[watcher:w]\ncmd = {dir}/none\nretry_in = 1000\nmax_retry = 2");
    circus.log.line("error in 'w': exec ");
    assert_eq!(circus.status("w"), "starting");
    assert_eq!(circus.ctl_ok(&["set", "w", "retry_in", "0"]), "ok");
    circus.ask("start", json!({"name": "w"}));
    circus.log.line("w: given up after 2 failed starts");
}

#[test]
fn names_defaults_and_included_files() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path("conf")).expect("a directory");
    dir.write("conf/one.ini", "[watcher:included]\ncmd = sleep 1001\n");
    dir.write("two.ini", "[watcher:globbed]\ncmd = sleep 1002\n[circus]\nwarmup_delay = 0\n");
    let circus = Circus::with(
        dir,
        "[circus]\ninclude_dir = conf\ninclude = tw?.ini\nfqdn_prefix = x\nstatsd = True\nstats_endpoint = tcp://127.0.0.1:1\n\
         [DEFAULT]\nenv_file = -{dir}/none\nstop_signal = INT\n[watcher:section]\nname = Own\ncmd = sleep 1003\n",
        |_| {},
    );
    assert_eq!(circus.ctl_ok(&["list"]), "globbed,included,own");
    assert_eq!(circus.ctl_ok(&["get", "included", "stop_signal"]), "stop_signal: 2");
    for (name, time) in [("included", "1001"), ("globbed", "1002"), ("own", "1003")] {
        assert_eq!(proc::argv(circus.up(name)[0]), ["sleep", time]);
    }
}

#[test]
fn what_is_of_no_use_here_says_what_to_do() {
    let circus = Circus::start(
        "[circus]\nhttpd = True\nloggerconfig = x.yaml\nstream_backend = gevent\nhttpd_port = 1\ndebug_gc = True\n\
         [watcher:w]\ncmd = sleep 1000\nenv = x",
    );
    for said in [
        "`httpd` has no effect: there is no web console; circus ctl and the control socket do what it did",
        "`loggerconfig` has no effect: it configures Python's logging; use loglevel and logoutput",
        "`stream_backend` has no effect: circus reads all streams in its one loop; remove it",
        "`env` has no effect here; write a section [env:NAME]",
    ] {
        circus.log.line(said);
    }
    assert_eq!(circus.log.count("[WARNING]"), 4);
    circus.up("w");
}

/// What the kernel says of the sockets of circus: options, queue, flags.
#[test]
fn what_a_socket_is_given() {
    let circus = Circus::start(
        "[socket:plain]\nport = 0\n[socket:short]\nport = 0\nbacklog = 7\n[socket:waits]\nport = 0\nblocking = True\n\
         [socket:lo]\nhost = 127.0.0.1\nport = 0\ninterface = lo\n[socket:udp]\nport = 0\ntype = SOCK_DGRAM\nproto = udp\n\
         [socket:six]\nhost = ::1\nport = 0\nfamily = af_inet6\n[socket:seq]\npath = {dir}/seq\ntype = SOCK_SEQPACKET\n\
         [socket:mode]\npath = {dir}/mode\numask = 0117\n[socket:name]\npath = @{dir}/abstract",
    );
    let sockets = circus.ask("listsockets", json!({}))["sockets"].clone();
    let find = |name: &str| {
        let found = sockets.as_array().expect("a list").iter().find(|socket| socket["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {sockets}")).clone()
    };
    let flags = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/{}/fdinfo/{}", circus.pid(), find(name)["fd"]))
            .expect("fdinfo");
        let flags =
            text.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags").trim().to_string();
        i32::from_str_radix(&flags, 8).expect("octal")
    };
    const NONBLOCK: i32 = 0o4000;
    assert_eq!((flags("plain") & NONBLOCK, flags("waits") & NONBLOCK), (NONBLOCK, 0));
    assert_eq!((find("plain")["backlog"].clone(), find("short")["backlog"].clone()), (json!(2048), json!(7)));
    // The queue of a socket that listens stands where /proc has the bytes to be sent of others.
    let queue = |name: &str| {
        let port = format!(":{:04X} ", find(name)["port"].as_u64().expect("a port"));
        let table = std::fs::read_to_string("/proc/net/tcp").expect("a table");
        table.lines().any(|line| line.contains(&port) && line.contains(" 0A "))
    };
    assert!(queue("plain") && queue("short") && queue("lo"), "they listen");
    assert_eq!(find("six")["host"], "::1");
    let udp = std::fs::read_to_string("/proc/net/udp").expect("a table");
    assert!(udp.contains(&format!(":{:04X} ", find("udp")["port"].as_u64().expect("a port"))));
    let mode = std::fs::metadata(circus.dir.path("mode")).expect("a file").mode() & 0o777;
    assert_eq!(mode, 0o660);
    assert!(
        std::fs::read_to_string("/proc/net/unix")
            .expect("a table")
            .contains(&format!("@{}", circus.dir.name("abstract")))
    );
    assert!(Path::new(&circus.dir.name("seq")).exists());
}

#[test]
fn an_interface_that_is_none_ends_the_start() {
    let dir = Dir::new();
    let ini = "[socket:s]\nport = 0\ninterface = none-such0\n[watcher:w]\ncmd = sleep 1";
    let ended = crate::common::run(crate::common::circus().arg(dir.config("c.ini", ini)));
    let why = ended.err.contains("[socket:s]") && ended.err.contains("SO_BINDTODEVICE: No such device");
    assert!(ended.code == 111 && why, "{ended:?}");
}

#[test]
fn a_socket_of_an_unknown_protocol_is_left_out() {
    let circus = Circus::start("[socket:s]\nport = 0\nproto = nonsense\n[watcher:w]\ncmd = sleep 1000");
    circus.until_status("w", "active");
    assert_eq!(circus.ask("listsockets", json!({}))["sockets"], json!([]));
    assert!(circus.log.text().contains("`proto = nonsense` is not a protocol"), "{}", circus.log.text());
}

#[test]
fn respawn_off_leaves_places_empty_and_max_retry_counts() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nrespawn = False\nnumprocesses = 2");
    let pids = circus.up("w");
    let mut events = circus.listen(&["watcher.w."]);
    circus::sys::signal::kill(pids[0], SIGKILL).expect("it runs");
    events.wait("watcher.w.reap");
    assert_eq!(circus.pids("w"), pids[1..]);
    assert_eq!(circus.ctl_ok(&["set", "w", "respawn", "True", "--waiting"]), "ok");
    circus::sys::signal::kill(pids[1], SIGKILL).expect("it runs");
    events.wait("watcher.w.spawn");
}

#[test]
fn no_socket_is_put_on_the_standard_input_where_its_name_is_empty() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nstdin_socket =");
    circus.up("w");
    circus.ctl_ok(&["set", "w", "stdin_socket", "", "--waiting"]);
    assert_eq!(circus.status("w"), "active");
}
