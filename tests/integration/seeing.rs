//! What can be seen of circus: whether all is well, and why something is as it is.

use crate::common::{Circus, Dir, SIGKILL, proc, until};
use circus::sys::signal;
use serde_json::{Value as Json, json};

#[test]
fn a_check_passes_when_all_runs_that_is_to_run() {
    let circus = Circus::start(
        "[watcher:web]
        cmd = sleep 1000
        numprocesses = 2
        [watcher:once]
        cmd = true
        respawn = False
        [watcher:manual]
        cmd = sleep 1000
        autostart = False",
    );
    circus.up("web");
    circus.until_status("once", "stopped");
    assert_eq!(circus.ctl_ok(&["status", "--check"]), "ok");
    assert_eq!(circus.ctl_ok(&["status", "web", "--check"]), "ok");
    let reply = circus.ask("status", json!({"check": true}));
    assert_eq!((&reply["healthy"], &reply["failing"]), (&json!(true), &json!({})));
    assert_eq!(reply["statuses"]["web"], "active");
    circus.ask("stop", json!({"name": "web", "waiting": true}));
    assert_eq!(circus.ctl_ok(&["status", "--check"]), "ok", "somebody wanted it to stop");
}

#[test]
fn a_check_fails_with_a_line_for_each_watcher_that_does_not_run() {
    let circus = Circus::start(
        "[watcher:web]
        cmd = sleep 1000
        [watcher:gone]
        cmd = /does/not/exist
        max_retry = 1
        [watcher:crashes]
        cmd = false
        [watcher:slow]
        cmd = sh -c 'trap : TERM; while :; do sleep 1; done'",
    );
    circus.up("web");
    circus.up("slow");
    circus.until_status("gone", "stopped");
    // For a moment after each new start it looks well.
    let ended = until("a check that finds the crash", || {
        Some(circus.ctl(&["status", "--check"])).filter(|ended| ended.out.contains("0 of 1 processes run"))
    });
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!((ended.code, lines.len()), (3, 2), "{ended:?}");
    assert!(lines[0].starts_with("crashes: active: 0 of 1 processes run: a process ended within a second"));
    assert_eq!(lines[1], "gone: stopped: exec /does/not/exist: No such file or directory");
    assert_eq!(circus.ctl(&["status", "web", "--check"]).code, 0);
    let json = circus.ctl(&["--json", "status", "--check", "gone"]);
    let reply: Json = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, &reply["healthy"], &reply["status"]), (3, &json!(false), &json!("stopped")));
    circus.ask("stop", json!({"name": "gone", "waiting": true}));
    circus.ask("stop", json!({"name": "crashes", "waiting": true}));
    assert_eq!(circus.ctl_ok(&["status", "--check"]), "ok");
    circus.ask("quit", json!({}));
    let reply = circus.call("status", json!({"check": true}));
    assert_eq!((&reply["status"], &reply["reason"]), (&json!("error"), &json!("circus is stopping")));
}

#[test]
fn details_tell_what_a_person_wants_to_see() {
    let circus = Circus::start(
        "[watcher:web]
        cmd = sleep 1000
        use_sockets = True
        [socket:tcp]
        port = 0
        [socket:unix]
        path = {dir}/unix",
    );
    let pids = circus.up("web");
    let _waits = std::os::unix::net::UnixStream::connect(circus.dir.path("unix")).unwrap();
    // A process that has only just become its program may have no page of it yet.
    let reply = until("it has some memory", || {
        let reply = circus.ask("status", json!({"details": true}));
        let rss = reply["watchers"]["web"]["processes"][0]["rss"].as_u64();
        (rss > Some(4096)).then_some(reply)
    });
    let web = &reply["watchers"]["web"];
    assert_eq!((&web["status"], &web["wanted"], &web["restarts"]), (&json!("active"), &json!(1), &json!(0)));
    let process = &web["processes"][0];
    assert_eq!(
        (&process["pid"], &process["state"], &process["wid"]),
        (&json!(pids[0]), &json!("running"), &json!(1))
    );
    assert!(process["cpu"].is_number());
    assert_eq!(reply["circus"]["pid"], circus.pid());
    let queues: Vec<_> =
        reply["sockets"].as_array().unwrap().iter().map(|s| (&s["name"], &s["waiting"])).collect();
    assert_eq!(queues, [(&json!("tcp"), &json!(0)), (&json!("unix"), &json!(1))]);
}

#[test]
fn a_process_is_told_with_what_comes_from_it() {
    let burn = "import os\nwhile True: os.getpid()\n";
    let ini = "[watcher:web]\ncmd = sh -c 'python3 {dir}/burn & wait'\n[watcher:sh]\ncmd = sh -c 'sleep 1000 & wait'\n";
    let dir = Dir::new();
    dir.write("burn", burn);
    let circus = Circus::with(dir, ini, |_| {});
    until("the time and memory of the descendant", || {
        let reply = circus.ask("status", json!({"details": true}));
        let of = |name: &str, key: &str| reply["watchers"][name]["processes"][0][key].clone();
        let (cpu, rss) = (of("web", "cpu").as_f64()?, of("web", "rss").as_u64()?);
        let metrics = circus.ctl_ok(&["metrics"]);
        let line = "circus_process_cpu_seconds_total{watcher=\"web\",wid=\"1\"} ";
        let told: f64 = metrics.lines().find_map(|one| one.strip_prefix(line))?.parse().ok()?;
        (cpu > 0.3 && told > 0.3 && rss > of("sh", "rss").as_u64()? * 2).then_some(())
    });
}

#[test]
fn what_a_watcher_is_doing_is_told_apart() {
    let circus = Circus::start(
        "[watcher:bad]\ncmd = sh -c 'exit 3'\nmax_retry = -1\n[watcher:given_up]\ncmd = /nowhere/to/be/found\n\
         max_retry = 0\n[watcher:job]\ncmd = true\nrespawn = False\n[watcher:broken_job]\ncmd = false\nrespawn = False\n\
         [watcher:later]\ncmd = sleep 1000\nrequires = given_up\n[watcher:web]\ncmd = sleep 1000\n\
         [watcher:off]\ncmd = sleep 1000\nautostart = False\n",
    );
    let wanted =
        "bad=failing broken_job=failed given_up=failed job=done later=waiting off=stopped web=active";
    until(wanted, || {
        let reply = circus.ask("status", json!({"details": true}));
        let watchers = reply["watchers"].as_object().expect("an object");
        let told =
            watchers.iter().map(|(name, w)| format!("{name}={}", w["condition"].as_str().unwrap_or("?")));
        (told.collect::<Vec<_>>().join(" ") == wanted).then_some(())
    });
    let (table, metrics) = (circus.ctl_ok(&["status", "--details"]), circus.ctl_ok(&["metrics"]));
    let of = |name: &str| table.lines().find(|line| line.starts_with(name)).expect("a line").to_string();
    assert_eq!(of("job").split_whitespace().nth(1), Some("done"));
    assert!(
        metrics.contains("circus_watcher_state{watcher=\"later\",circus_watcher_state=\"waiting\"} 1\n"),
        "{metrics}"
    );
    let why = circus.ctl_ok(&["why", "bad"]);
    assert!(
        why.starts_with("bad is failing (active) since ") && why.contains("\nIts output is not kept: "),
        "{why}"
    );
    assert_eq!(circus.ctl_ok(&["status", "job"]), "stopped", "Circus's word");
}

#[test]
fn why_tells_who_ordered_it() {
    let circus = Circus::start("[watcher:web]\ncmd = sleep 1000");
    circus.up("web");
    let told = circus.ctl_ok(&["why", "web"]);
    assert!(
        told.starts_with("web is active since 20") && told.contains("circus was started. 1 of 1"),
        "{told}"
    );
    assert_eq!(circus.ctl_ok(&["stop", "web", "--waiting"]), "ok");
    let reply = circus.ask("why", json!({"name": "WEB"}));
    let cause = &reply["since"]["cause"];
    assert_eq!((&reply["state"], &cause["command"]), (&json!("stopped"), &json!("stop")));
    let uid: u32 = proc::status(circus.pid(), "Uid").split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(cause["uid"].as_u64(), Some(u64::from(uid)));
    let client = cause["client"].as_str().unwrap();
    assert!(client.ends_with("stop web --waiting") && cause["pid"].as_i64() > Some(1), "{client}");
    assert!(circus.ctl_ok(&["why", "web"]).contains("the command \"stop\" of "));
    assert_eq!(circus.ctl_refused(&["why", "nobody"]), "program nobody not found");
}

#[test]
fn why_tells_how_processes_ended_and_what_they_said() {
    let circus = Circus::start(
        "[watcher:web]
        cmd = sh -c 'echo what is wrong >&2; exit 3'
        stderr_stream.class = QueueStream
        [watcher:killed]
        cmd = sleep 1000",
    );
    until("three ends", || {
        let reply = circus.ask("why", json!({"name": "web"}));
        let changes = reply["changes"].as_array().unwrap();
        let last = changes.last().filter(|c| c["what"] == "ended" && c["times"].as_u64() >= Some(3))?;
        assert_eq!((&last["exit_code"], &last["oom"]), (&json!(3), &json!(false)));
        assert_eq!(reply["last_output"][0]["text"], "what is wrong");
        Some(())
    });
    let told = circus.ctl_ok(&["why", "web"]);
    assert!(told.contains("exited with code 3 after 0.") && told.contains("times in a row)"), "{told}");
    assert!(
        told.ends_with("\n  what is wrong") && told.contains("It does not run as it should: active: 0 of 1"),
        "{told}"
    );
    let pid = circus.up("killed")[0];
    let mut events = circus.listen(&["watcher.killed.spawn"]);
    signal::kill(pid, SIGKILL).unwrap();
    let _ = events.next();
    let told = circus.ctl_ok(&["why", "killed"]);
    assert!(told.contains(&format!("process {pid} (wid 1) was ended by SIGKILL after ")), "{told}");
    assert!(told.contains("A process was replaced once that had ended by itself."), "{told}");
}

#[test]
fn the_changes_of_a_watcher_are_bounded() {
    let circus = Circus::start("[watcher:web]\ncmd = sleep 1000");
    let mut client = circus.client();
    for number in 0..50 {
        let command = if number % 2 == 0 { "stop" } else { "start" };
        client.call(command, json!({"name": "web", "waiting": true}));
    }
    let changes = circus.ask("why", json!({"name": "web"}))["changes"].as_array().unwrap().len();
    assert_eq!(changes, 32);
}

#[test]
fn stats_has_all_descendants_and_the_processor_time_since_the_last_request_of_its_kind() {
    let circus = Circus::start(
        "[watcher:family]
        cmd = sh -c \"sh -c 'sleep 1000 & wait' & wait\"
        [watcher:busy]
        cmd = sh -c 'while :; do :; done'",
    );
    let pid = circus.up("family")[0];
    let busy = circus.up("busy")[0].to_string();
    let child = until("a child", || proc::children(pid).first().copied());
    let grandchild = until("a grandchild", || proc::children(child).first().copied());
    until("it sleeps", || (proc::argv(grandchild)[0] == "sleep").then_some(()));
    let info = circus.ask("stats", json!({"name": "family", "process": pid}))["info"].clone();
    let below = &info["children"][0]["children"][0];
    assert_eq!(
        (&info["wid"], &below["pid"], &below["cmdline"]),
        (&json!(1), &json!(grandchild), &json!("sleep"))
    );
    assert_eq!((&below["children"], &below["wid"]), (&json!([]), &Json::Null));
    let text = circus.ctl_ok(&["stats", "family"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), ("family:", 4), "{text}");
    assert!(lines[1].starts_with(&format!("{pid}: {pid}  sh ")), "{text}");
    assert!(lines[2].starts_with(&format!("   {child}  sh ")), "{text}");
    assert!(lines[3].starts_with(&format!("      {grandchild}  sleep ")), "{text}");
    let cpu = || circus.ask("stats", json!({"name": "busy"}))["info"][&busy]["cpu"].as_f64().unwrap();
    assert_eq!(cpu(), 0.0, "nobody has asked before");
    until("it is busy", || {
        circus.ask("dstats", json!({}));
        (cpu() > 1.0).then_some(())
    });
    let text = circus.ctl_ok(&["dstats"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0] == "Main Process:" && lines[1].starts_with(&format!("    {}  ", circus.pid())),
        "{text}"
    );
    assert!(
        lines[2] == "Children:" && lines.iter().any(|l| l.starts_with(&format!("          {grandchild}  "))),
        "{text}"
    );
}
