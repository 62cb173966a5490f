//! circus is short of something itself: descriptors, processes, memory. That is no failure of what it looks after, and
//! what it cannot see is not gone.

use crate::common::{Circus, Dir, SIGKILL, SIGTERM, needs_root, proc, run, until};
use circus::sys::signal;
use serde_json::json;
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// Lets circus have so many descriptors: it can open none of this number or above.
fn limit(circus: &Circus, descriptors: u64) {
    set_limit(circus, &format!("--nofile={descriptors}:"));
}

fn set_limit(circus: &Circus, limit: &str) {
    let ended = run(Command::new("prlimit").args(["--pid", &circus.pid().to_string(), limit]));
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}

/// The lowest number that no descriptor of circus has.
fn lowest_free(circus: &Circus) -> u64 {
    let taken = |fd: &u64| std::fs::symlink_metadata(format!("/proc/{}/fd/{fd}", circus.pid())).is_ok();
    (0..).find(|fd| !taken(fd)).expect("one is free")
}

const PLENTY: u64 = 1024;

/// A circus in the directory of the test, with a watcher `w` that runs this script, after it has said `ready`.
fn ready(script: &str, options: &str) -> Circus {
    ready_by(&[], script, options)
}

/// The same, started by another program.
fn ready_by(wrapper: &[&str], script: &str, options: &str) -> Circus {
    let dir = Dir::new();
    let place = dir.path("");
    let script = dir.script("program", script);
    let ini = format!("[watcher:w]\ncmd = {script}\nworking_dir = {{dir}}\n{options}");
    let circus = Circus::with(dir, &ini, |command| {
        if let Some((program, args)) = wrapper.split_first() {
            let mut wrapped = Command::new(program);
            wrapped.args(args).arg(command.get_program()).env_clear().stdin(Stdio::null());
            wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            *command = wrapped;
        }
        command.current_dir(place);
    });
    circus.out.line("ready");
    circus
}

/// Leaves a process behind in a session of its own, which writes its pid.
const STRAY: &str = "
    setsid sh -c 'echo $$ > stray.new; mv stray.new stray; while :; do sleep 1000; done' &
    until [ -s stray ]; do sleep 0.01; done
    echo ready
    exec sleep 1000";

fn stray(circus: &Circus) -> i32 {
    circus.dir.read("stray").trim().parse().expect("a pid")
}

#[test]
fn a_stop_is_over_only_when_it_is_known_that_nobody_is_left() {
    needs_root();
    let circus = ready_by(&["setpriv", "--bounding-set=-sys_resource"], STRAY, "kill_mode = tree");
    let stray = stray(&circus);
    let mut client = circus.client();
    client.call("numwatchers", json!({}));
    // Below that of the spare descriptor, and for good.
    set_limit(&circus, "--nofile=3:3");
    client.send_request(
        &json!({"id": "stop", "command": "stop", "properties": {"name": "w", "waiting": true}}),
    );
    circus.log.line("processes cannot be looked at: Too many open files");
    assert!(proc::exists(stray), "nobody could find it");
    if !may_raise_limits() {
        let _ = signal::kill(stray, SIGKILL);
        return;
    }
    set_limit(&circus, &format!("--nofile={PLENTY}:{PLENTY}"));
    assert_eq!(client.reply()["status"], "ok");
    assert!(!proc::exists(stray), "and nobody has forgotten it");
    circus.log.line("processes can be looked at again");
    assert_eq!(circus.log.text().matches("cannot be looked at").count(), 1, "{}", circus.log.text());
}

/// Not even root may everywhere, as in a container.
fn may_raise_limits() -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let effective = proc::status(std::process::id().cast_signed(), "CapEff");
    u64::from_str_radix(&effective, 16).is_ok_and(|set| set >> CAP_SYS_RESOURCE & 1 == 1)
}

#[test]
fn the_spare_descriptor_is_of_use_below_all_those_that_circus_has_opened() {
    let circus = ready(STRAY, "kill_mode = tree");
    let stray = stray(&circus);
    let mut client = circus.client();
    client.call("numwatchers", json!({}));
    set_limit(&circus, "--nofile=4:4");
    assert_eq!(client.call("stop", json!({"name": "w", "waiting": true}))["status"], "ok");
    assert!(!proc::exists(stray));
}

#[test]
fn with_a_limit_below_all_its_descriptors_circus_finds_what_has_left_a_tree_and_keeps_the_limit() {
    let circus = ready(STRAY, "kill_mode = tree");
    let stray = stray(&circus);
    let mut client = circus.client();
    client.call("numwatchers", json!({}));
    limit(&circus, 3);
    assert_eq!(client.call("stop", json!({"name": "w", "waiting": true}))["status"], "ok");
    assert!(!proc::exists(stray));
    assert_eq!(proc::limit(circus.pid(), "Max open files").0, "3");
}

#[test]
fn with_no_descriptor_left_what_has_left_a_tree_is_found_all_the_same() {
    let circus = ready(STRAY, "kill_mode = tree");
    let stray = stray(&circus);
    let mut client = circus.client();
    client.call("numwatchers", json!({}));
    limit(&circus, lowest_free(&circus));
    assert_eq!(client.call("stop", json!({"name": "w", "waiting": true}))["status"], "ok");
    assert!(!proc::exists(stray));
}

#[test]
fn what_is_left_of_a_group_gets_its_signal_without_a_descriptor() {
    let circus = ready(
        "sh -c 'trap \"\" TERM; echo $$ > stray.new; mv stray.new stray; while :; do sleep 1000; done' &
        until [ -s stray ]; do sleep 0.01; done
        echo ready
        exec sleep 1000",
        "graceful_timeout = 0.3",
    );
    let stray = stray(&circus);
    let mut client = circus.client();
    client.call("numwatchers", json!({}));
    limit(&circus, 3);
    client.send_request(
        &json!({"id": "stop", "command": "stop", "properties": {"name": "w", "waiting": true}}),
    );
    assert_eq!(client.reply()["status"], "ok");
    assert!(!proc::exists(stray));
    limit(&circus, PLENTY);
}

#[test]
fn a_hook_that_cannot_be_run_for_want_of_a_descriptor_waits_and_stops_nobody() {
    for hook in ["hooks.before_start = true", "hooks.before_spawn = sh -c true", "hooks.after_spawn = true"] {
        let options = "cmd = sleep 1000\nautostart = False";
        let circus = Circus::start(&format!("[watcher:w]\n{options}\n{hook}, true"));
        let mut client = circus.client();
        client.call("numwatchers", json!({}));
        limit(&circus, lowest_free(&circus));
        client.send_request(
            &json!({"id": 1, "command": "start", "properties": {"name": "w", "waiting": true}}),
        );
        circus.log.line("hooks, commands and probes have to wait for lack of a resource: pipe: Too many");
        assert_eq!(client.call("status", json!({"name": "w"}))["status"], "starting", "{hook}");
        limit(&circus, PLENTY);
        assert_eq!(client.reply()["status"], "ok", "{hook}");
        circus.log.line("hooks, commands and probes continue");
        assert!(!circus.log.text().contains("took longer"), "{}", circus.log.text());
    }
}

#[test]
fn a_probe_that_cannot_be_asked_is_no_failure_of_the_process() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = listener.local_addr().expect("it is bound");
    let http = format!("http:http://{place}/");
    for probe in [format!("tcp:{place}"), http, "exec:true".into()] {
        let options = "health_interval = 0.1\nhealth_retries = 1\nhealth_timeout = 30";
        let circus = Circus::start(&format!("[watcher:w]\ncmd = sleep 1000\n{options}\nhealth = {probe}"));
        let pids = circus.up("w");
        limit(&circus, 3);
        circus.log.line("hooks, commands and probes have to wait for lack of a resource");
        limit(&circus, PLENTY);
        if !probe.starts_with("http") {
            circus.log.line("hooks, commands and probes continue");
        }
        assert_eq!(circus.pids("w"), pids, "{probe}");
        assert!(!circus.log.text().contains("has failed"), "{}", circus.log.text());
    }
}

#[test]
fn a_shortage_is_said_once_although_some_probes_can_be_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let often = "health_interval = 0.1\nhealth_timeout = 5";
    let circus = ready(
        "echo ready; exec sleep 1000",
        &format!(
            "health = tcp:127.0.0.1:{port}\n{often}\n
            [watcher:other]\ncmd = sleep 1000\nhealth = exec:true\n{often}"
        )
        .replace("            [", "["),
    );
    // Enough for a connection, too few for the pipes of a program.
    limit(&circus, lowest_free(&circus) + 1);
    circus.log.line("hooks, commands and probes have to wait");
    for _ in 0..10 {
        listener.accept().expect("a probe");
    }
    assert_eq!(circus.log.text().matches("have to wait").count(), 1, "{}", circus.log.text());
}

#[test]
fn an_observer_that_cannot_ask_restarts_nobody() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = listener.local_addr().expect("it is bound");
    let plugin = format!(
        "[plugin:o]\nuse = circus.plugins.http_observer.HttpObserver\nloop_rate = 0.1\ntimeout = 30\n\
         check_url = http://{place}/\nrestart_on_error = w"
    );
    let circus = Circus::start(&format!("[watcher:w]\ncmd = sleep 1000\n{plugin}"));
    let pids = circus.up("w");
    let (mut first, _) = listener.accept().expect("the observer");
    let mut client = circus.client();
    client.call("numwatchers", json!({}));
    limit(&circus, 3);
    // The question under way is answered; the next one cannot be asked.
    std::io::Write::write_all(&mut first, b"HTTP/1.0 200 OK\r\n\r\n").expect("it reads");
    circus.log.line("have to wait for lack of a resource");
    limit(&circus, PLENTY);
    // Held: a connection that is closed without an answer would be the server's failure.
    let _second = listener.accept().expect("it asks again");
    assert_eq!(client.call("list", json!({"name": "w"}))["pids"], json!(pids));
}

/// With `max_retry = 1` one failure of its own would be the end of the watcher.
#[test]
fn no_step_of_a_spawn_that_circus_is_too_short_for_counts_as_a_failure() {
    let options = [
        ("uid = nobody", "/etc/passwd: "),
        ("env_file = -{dir}/none", "pipe: "),
        ("stdout_stream.class = QueueStream", "stdout_stream: "),
        ("stdout_stream.class = FileStream\nstdout_stream.filename = {dir}/out", "stdout_stream: "),
        ("ready = fd:9", "pipe: "),
    ];
    for (option, step) in options {
        let ini = format!(
            "[watcher:w]\ncmd = sh -c 'echo >&9; exec sleep 1000'\nautostart = False\nmax_retry = 1\n{option}"
        );
        let circus = Circus::start(&ini);
        let mut client = circus.client();
        client.call("numwatchers", json!({}));
        limit(&circus, 3);
        client.call("start", json!({"name": "w"}));
        let said = circus.log.line("error in 'w': ");
        assert!(said.contains(&format!("'w': {step}")) && said.ends_with("Too many open files"), "{said}");
        limit(&circus, PLENTY);
        circus.log.line("'w' could be executed again, after ");
        let text = circus.log.text();
        assert_eq!((text.matches("error in 'w'").count(), text.contains("given up")), (1, false), "{text}");
    }
}

/// How much address space circus has, in bytes.
fn address_space(circus: &Circus) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", circus.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a size");
    line.trim_end_matches("kB").trim().parse::<u64>().expect("a number") * 1024
}

#[test]
fn without_memory_requests_are_refused_and_all_else_goes_on() {
    let mut circus = Circus::start(
        "[watcher:w]\ncmd = sh -c 'yes | head -c 100000; exec sleep 1000'\nnumprocesses = 4\nstdout_stream.class = FileStream\n\
         stdout_stream.filename = {dir}/w.log\n[watcher:many]\ncmd = sleep 1000\nnumprocesses = 20",
    );
    circus.up("w");
    circus.up("many");
    set_limit(&circus, &format!("--as={}:", address_space(&circus) + (256 << 10)));
    // Half a line is kept until the rest comes: all together more than there is.
    let half = format!(r#"{{"id": "{}"#, "x".repeat(900_000));
    let mut clients: Vec<_> = (0..40).map(|_| circus.client()).collect();
    for client in &mut clients {
        client.try_send(&half); // the connection may be given up meanwhile
    }
    circus.log.line("memory is short");
    // A request that may take many times its length.
    let mut large = circus.client();
    large.try_send(format!(
        r#"{{"id": 1, "command": "get", "properties": {{"x": [{}0]}}}}"#,
        "[],".repeat(200_000)
    ));
    large.try_send("\n");
    for round in 0..3 {
        for name in ["w", "many"] {
            let victim = circus.pids(name)[0];
            signal::kill(victim, SIGKILL).expect("it runs");
            until("it is replaced", || {
                let pids = circus.pids(name);
                (!pids.contains(&victim) && pids.len() == if name == "w" { 4 } else { 20 }).then_some(())
            });
        }
        assert_eq!(circus.call("restart", json!({"name": "w", "waiting": true}))["status"], "ok", "{round}");
    }
    drop(clients);
    set_limit(&circus, "--as=unlimited:");
    circus.ctl_ok(&["status"]);
    let pids = circus.pids("many");
    circus.signal(SIGTERM);
    assert_eq!(circus.wait(), 0);
    assert!(pids.iter().all(|pid| !proc::exists(*pid)));
}
