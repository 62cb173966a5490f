//! `circus ctl`: every command with what it does, what it prints, and its exit code.

use crate::common::output::Output;
use crate::common::{Circus, Ended, proc, until};
use serde_json::{Value as Json, json};

const THREE: &str = "
    [socket:web]
    port = 0
    [socket:local]
    path = {dir}/local
    backlog = 5
    [watcher:Web]
    cmd = sleep 1000
    numprocesses = 2
    [watcher:single]
    cmd = sleep 1000
    singleton = True
    [watcher:off]
    cmd = sleep 1000
    autostart = False
    ";

/// The three watchers, those that start by themselves active.
fn three() -> Circus {
    let circus = Circus::start(THREE);
    circus.up("web");
    circus.up("single");
    circus
}

fn joined(pids: &[i32]) -> String {
    pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[test]
fn list_names_watchers_or_processes() {
    let circus = three();
    assert_eq!(circus.ctl_ok(&["list"]), "off,single,web");
    assert_eq!(circus.ctl_ok(&["list", "WEB"]), joined(&circus.pids("web")));
    assert_eq!(circus.ctl_ok(&["list", "off"]), "");
    assert_eq!(circus.ctl_refused(&["list", "none"]), "program none not found");
}

#[test]
fn status_tells_states() {
    let circus = three();
    assert_eq!(circus.ctl_ok(&["status"]), "Web: active\noff: stopped\nsingle: active");
    assert_eq!(circus.ctl_ok(&["status", "web"]), "active");
    assert_eq!(circus.ctl_ok(&["status", "off"]), "stopped");
    assert_eq!(circus.ctl_refused(&["status", "none"]), "program none not found");
}

#[test]
fn numbers_of_processes_and_watchers() {
    let circus = three();
    assert_eq!(circus.ctl_ok(&["numprocesses"]), "3");
    assert_eq!(circus.ctl_ok(&["numprocesses", "web"]), "2");
    assert_eq!(circus.ctl_ok(&["numprocesses", "off"]), "0");
    assert_eq!(circus.ctl_ok(&["numwatchers"]), "3");
    assert_eq!(circus.ctl_refused(&["numprocesses", "none"]), "program none not found");
}

#[test]
fn incr_and_decr_change_the_number() {
    let circus = three();
    let before = circus.pids("web");
    assert_eq!(circus.ctl_ok(&["incr", "web", "--waiting"]), "3");
    assert_eq!(circus.pids("web")[..2], before);
    assert_eq!(circus.ctl_ok(&["incr", "web", "3", "--waiting"]), "6");
    assert_eq!(circus.pids("web").len(), 6);
    // The oldest go first.
    assert_eq!(circus.ctl_ok(&["decr", "web", "4", "--waiting"]), "2");
    let after = circus.pids("web");
    assert!(after.len() == 2 && before.iter().all(|pid| !after.contains(pid)), "{before:?} {after:?}");
    assert_eq!(circus.ctl_ok(&["incr", "web"]), "ok");
    until("there are three", || (circus.pids("web").len() == 3).then_some(()));
    assert_eq!(circus.ctl_ok(&["decr", "web", "10", "--waiting"]), "0");
    assert_eq!(circus.pids("web"), [0; 0]);
    let same = "This watcher is a Singleton - not changing the number of processes";
    assert_eq!(circus.ctl_ok(&["incr", "single", "--waiting"]), same);
    assert_eq!(circus.pids("single").len(), 1);
    assert_eq!(circus.ctl_ok(&["incr", "off", "2", "--waiting"]), "3");
    assert_eq!(circus.status("off"), "stopped");
    assert_eq!(circus.ctl_refused(&["incr", "none"]), "program none not found");
    assert_eq!(circus.call("incr", json!({"name": "web", "nb": "many"}))["reason"], "'nb' isn't an integer");
}

#[test]
fn start_stop_and_restart() {
    let circus = three();
    assert_eq!(circus.ctl_ok(&["start", "off", "--waiting"]), "ok");
    assert_eq!(circus.status("off"), "active");
    assert_eq!(circus.ctl_ok(&["stop", "off", "--waiting"]), "ok");
    assert_eq!(circus.status("off"), "stopped");
    assert_eq!(circus.ctl_ok(&["stop", "off", "--waiting"]), "ok");
    let before = circus.pids("web");
    assert_eq!(circus.ctl_ok(&["restart", "web", "--waiting"]), "ok");
    assert_ne!(circus.pids("web"), before);
    // A pattern.
    assert_eq!(circus.ctl_ok(&["stop", "[sw]*", "--waiting"]), "ok");
    assert_eq!(circus.ctl_ok(&["status"]), "Web: stopped\noff: stopped\nsingle: stopped");
    assert_eq!(circus.ctl_ok(&["start", "--waiting"]), "ok");
    assert_eq!(circus.ctl_ok(&["status"]), "Web: active\noff: stopped\nsingle: active");
    assert_eq!(circus.ctl_ok(&["stop", "WEB|sing", "--match", "regex", "--waiting"]), "ok");
    assert_eq!(circus.ctl_ok(&["status"]), "Web: stopped\noff: stopped\nsingle: stopped");
    assert_eq!(circus.ctl_ok(&["start", "single", "--match", "simple", "--waiting"]), "ok");
    assert_eq!(circus.ctl_ok(&["stop", "--waiting"]), "ok");
    assert_eq!(circus.ctl_ok(&["numprocesses"]), "0");
    for command in ["start", "stop", "restart"] {
        assert_eq!(circus.ctl_refused(&[command, "none*"]), "program none* not found");
    }
    assert_eq!(circus.ctl_refused(&["stop", "x", "--match", "best"]), "unknown match method best");
    assert!(circus.ctl_refused(&["stop", "(", "--match", "regex"]).contains('('));
}

#[test]
fn reload_replaces_processes() {
    let circus = three();
    let before = circus.pids("web");
    assert_eq!(circus.ctl_ok(&["reload", "web", "--waiting"]), "ok");
    assert!(circus.pids("web").iter().all(|pid| !before.contains(pid)));
    let before = circus.pids("web");
    assert_eq!(circus.ctl_ok(&["reload", "--waiting"]), "ok");
    assert!(circus.pids("web").iter().all(|pid| !before.contains(pid)));
    assert_eq!(circus.ctl_ok(&["reload", "web", "--terminate", "--waiting"]), "ok");
    assert_eq!(circus.ctl_ok(&["reload", "web"]), "ok");
    assert_eq!(circus.ctl_refused(&["reload", "none"]), "program none not found");
}

#[test]
fn add_and_rm() {
    let circus = three();
    assert_eq!(circus.ctl_ok(&["add", "New", "sleep", "1000"]), "ok");
    assert_eq!(circus.ctl_ok(&["status", "new"]), "stopped");
    assert_eq!(
        circus.ctl_ok(&["add", "--start", "--waiting", "quick", "sh", "-c", "'exec sleep 1001'"]),
        "ok"
    );
    let pid = circus.pids("quick")[0];
    until("sh has become sleep", || (proc::argv(pid) == ["sleep", "1001"]).then_some(()));
    assert_eq!(circus.ctl_ok(&["numwatchers"]), "5");
    assert_eq!(circus.ctl_refused(&["add", "NEW", "sleep", "1"]), "'NEW' already exist");
    assert_eq!(circus.ctl_ok(&["rm", "quick", "--waiting"]), "ok");
    assert!(!proc::exists(pid));
    assert_eq!(circus.ctl_refused(&["status", "quick"]), "program quick not found");
    let kept = circus.pids("single")[0];
    assert_eq!(circus.ctl_ok(&["rm", "single", "--nostop"]), "ok");
    assert!(proc::exists(kept));
    assert_eq!(circus.ctl_refused(&["list", "single"]), "program single not found");
    assert_eq!(circus.ctl_refused(&["rm", "none"]), "program none not found");
    assert_eq!(circus.ctl_ok(&["list"]), "new,off,web");
}

#[test]
fn add_takes_options() {
    let circus = three();
    let options = json!({"numprocesses": 2, "env": {"A": "b"}, "rlimit_nofile": 99, "working_dir": "/tmp",
        "stdout_stream": {"class": "FileStream", "filename": circus.dir.path("out")}});
    let request = json!({"name": "x", "cmd": "sh -c", "args": ["echo $A; exec sleep 1000"], "options": options,
        "start": true, "waiting": true});
    let reply = circus.ask("add", request);
    let pids = circus.pids("x");
    assert_eq!((reply["started"].clone(), reply["kept"].clone()), (json!(pids), json!([])));
    assert_eq!(proc::cwd(pids[0]), "/tmp");
    assert_eq!(proc::limit(pids[0], "Max open files").0, "99");
    until("both have written", || circus.dir.has("out", "b\nb\n"));
    let refused = |options: Json| {
        let reply = circus.call("add", json!({"name": "y", "cmd": "sleep 1", "options": options}));
        assert_eq!(reply["errno"], 3, "{reply}");
        reply["reason"].as_str().expect("a reason").to_string()
    };
    assert_eq!(refused(json!({"nonsense": 1})), "unknown key 'nonsense'");
    assert_eq!(refused(json!({"numprocesses": "1"})), "'numprocesses' isn't an integer");
    assert_eq!(refused(json!({"rlimit_nofile": "x"})), "'x' rlimit value isn't a valid int");
    assert_eq!(refused(json!([])), "'options' property should be an object");
    assert_eq!(circus.call("add", json!({"name": "y"}))["reason"], "message invalid 'cmd' is missing");
    assert_eq!(circus.call("add", json!({"cmd": "y"}))["reason"], "message invalid 'name' is missing");
}

#[test]
fn get_options_and_set() {
    let circus = three();
    assert_eq!(
        circus.ctl_ok(&["get", "web", "numprocesses", "cmd", "uid"]),
        "numprocesses: 2\ncmd: sleep 1000\nuid: "
    );
    assert_eq!(circus.ctl_refused(&["get", "web", "nonsense"]), "'nonsense' option not found");
    let options = circus.ctl_ok(&["options", "web"]);
    for line in
        ["cmd: sleep 1000", "graceful_timeout: 30.0", "stop_signal: 15", "respawn: True", "max_retry: 5"]
    {
        assert!(options.lines().any(|found| found == line), "{line}\n{options}");
    }
    let mut sorted: Vec<_> = options.lines().collect();
    sorted.sort_unstable();
    assert_eq!(sorted, options.lines().collect::<Vec<_>>());
    assert_eq!(circus.ctl_ok(&["set", "web", "numprocesses", "3", "--waiting"]), "ok");
    assert_eq!(circus.pids("web").len(), 3);
    let before = circus.pids("web");
    assert_eq!(circus.ctl_ok(&["set", "web", "max_retry", "7", "stop_signal", "INT", "--waiting"]), "ok");
    assert_eq!(circus.pids("web"), before, "nothing that shapes a process");
    assert_eq!(circus.ctl_ok(&["get", "web", "max_retry", "stop_signal"]), "max_retry: 7\nstop_signal: 2");
    assert_eq!(circus.ctl_ok(&["set", "web", "cmd", "sleep 2000", "env", "A=1,B=2", "--waiting"]), "ok");
    let after = circus.pids("web");
    assert!(after.iter().all(|pid| !before.contains(pid) && proc::argv(*pid) == ["sleep", "2000"]));
    assert_eq!(circus.ctl_ok(&["get", "web", "env"]), "env: A=1,B=2");
    assert_eq!(circus.ctl_refused(&["set", "none", "cmd", "x"]), "program none not found");
    assert!(
        circus.ctl_refused(&["set", "web", "prereload_fn", "x"]).contains("can't be set while circus runs")
    );
    let ended = circus.ctl(&["set", "web", "nonsense", "x"]);
    assert_eq!((ended.code, ended.err.as_str()), (1, "unknown key 'nonsense'\n"));
    assert_eq!(circus.ctl(&["set", "web", "numprocesses", "x"]).code, 1);
}

#[test]
fn globaloptions_and_listsockets() {
    let circus = three();
    let endpoint = format!("ipc://{}", circus.dir.name("sock"));
    let all = circus.ctl_ok(&["globaloptions"]);
    assert_eq!(all.lines().next(), Some(format!("endpoint: {endpoint}").as_str()));
    assert!(all.contains("\ncheck_delay: 5"), "{all}");
    assert_eq!(circus.ctl_ok(&["globaloptions", "endpoint"]), format!("endpoint: {endpoint}"));
    assert_eq!(circus.ctl_refused(&["globaloptions", "nonsense"]), "'nonsense' not an existing option");
    let sockets = circus.ask("listsockets", json!({}))["sockets"].clone();
    let fd = |n: usize| sockets[n]["fd"].as_i64().expect("a descriptor");
    let (local, web) = if sockets[0]["name"] == "local" { (0, 1) } else { (1, 0) };
    assert_eq!(
        sockets[local],
        json!({"fd": fd(local), "name": "local", "backlog": 5, "path": circus.dir.name("local")})
    );
    let port = sockets[web]["port"].as_u64().expect("a port");
    assert!(port > 0);
    assert_eq!(
        sockets[web],
        json!({"fd": fd(web), "name": "web", "backlog": 2048, "host": "127.0.0.1", "port": port})
    );
    let lines = [
        format!("{}:socket 'local' at {}", fd(local), circus.dir.name("local")),
        format!("{}:socket 'web' at 127.0.0.1:{port}", fd(web)),
    ];
    let printed = circus.ctl_ok(&["listsockets"]);
    assert!(printed.lines().count() == 2 && lines.iter().all(|line| printed.contains(line)), "{printed}");
}

#[test]
fn kill_ends_processes_which_are_replaced() {
    let circus = three();
    let before = circus.pids("web");
    let mut events = circus.listen(&["watcher.web."]);
    assert_eq!(
        circus.ctl_ok(&["kill", "web", &before[0].to_string(), "--signum", "USR1", "--waiting"]),
        "ok"
    );
    let reap = events.wait("watcher.web.reap");
    assert_eq!((reap["process_pid"].clone(), reap["exit_code"].clone()), (json!(before[0]), json!(-10)));
    assert!(circus.pids("web").contains(&before[1]));
    assert_eq!(circus.ctl_ok(&["kill", "web", "--graceful_timeout", "0.5", "--waiting"]), "ok");
    assert!(!proc::exists(before[1]));
    until("both are replaced", || (circus.pids("web").len() == 2).then_some(()));
    assert_eq!(circus.ctl_refused(&["kill", "none"]), "program none not found");
    assert_eq!(circus.ctl_refused(&["kill", "web", "1"]), "process 1 not found in 'web'");
    assert_eq!(circus.ctl_refused(&["kill", "web", "--signum", "nonsense"]), "signal invalid");
}

/// Circus's own client sends the time as text, and its daemon then hangs.
#[test]
fn kill_with_patience_ends_in_sigkill() {
    let circus =
        Circus::start("[watcher:w]\ncmd = sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1000; done'");
    circus.out.line("ready");
    let mut events = circus.listen(&["watcher.w."]);
    assert_eq!(circus.ctl_ok(&["kill", "w", "--graceful_timeout", "0.2", "--waiting"]), "ok");
    assert_eq!(events.wait("watcher.w.reap")["exit_code"], -9);
    circus.ask("stop", json!({"name": "w"}));
}

#[test]
fn signal_reaches_whom_it_is_meant_for() {
    // The shells say which of them got the signal: the parent, its child, or the child's child.
    let circus = Circus::start("[watcher:w]\ncmd = sh {dir}/level 1\nautostart = False\nworking_dir = {dir}");
    circus.dir.write(
        "level",
        "trap \"echo level $1 got it\" USR1\n[ $1 = 3 ] || sh level $(($1+1)) &\n[ $1 = 3 ] && echo ready\n\
         while :; do sleep 0.01; done\n",
    );
    let pid = circus.up("w")[0];
    circus.out.line("ready");
    let counts = || ["level 1", "level 2", "level 3"].map(|level| circus.out.count(level));
    let reaches =
        |expected: [usize; 3]| until(&format!("{expected:?}"), || (counts() == expected).then_some(()));
    assert_eq!(circus.ctl_ok(&["signal", "w", "USR1"]), "ok");
    reaches([1, 0, 0]);
    assert_eq!(circus.ctl_ok(&["signal", "w", &pid.to_string(), "10"]), "ok");
    reaches([2, 0, 0]);
    assert_eq!(circus.ctl_ok(&["signal", "w", &pid.to_string(), "SIGUSR1", "--children"]), "ok");
    reaches([2, 1, 0]);
    assert_eq!(circus.ctl_ok(&["signal", "w", "usr1", "--recursive"]), "ok");
    reaches([3, 2, 1]);
    let child = proc::children(pid).into_iter().find(|pid| proc::argv(*pid)[0] == "sh").expect("a child");
    circus.ask("signal", json!({"name": "w", "pid": pid, "childpid": child, "signum": "USR1"}));
    reaches([3, 3, 1]);
    assert_eq!(circus.ctl_refused(&["signal", "w", "1", "USR1"]), "process 1 not found in 'w'");
    assert_eq!(circus.ctl_refused(&["signal", "w", "NONSENSE"]), "signal invalid");
    assert_eq!(circus.ctl_refused(&["signal", "none", "TERM"]), "program none not found");
}

#[test]
fn stats_and_dstats() {
    let circus = three();
    let pid = circus.pids("single")[0];
    assert_eq!(proc::argv(pid), ["sleep", "1000"]);
    let all = circus.ctl_ok(&["stats"]);
    let heads: Vec<_> = all.lines().filter(|line| line.ends_with(':')).collect();
    assert_eq!(heads, ["Web:", "off:", "single:"], "{all}");
    let line = |text: &str| text.lines().find(|line| line.contains(&format!("{pid}  "))).map(str::to_string);
    for args in [vec!["stats"], vec!["stats", "single"], vec!["stats", "single", &pid.to_string()]] {
        let text = circus.ctl_ok(&args);
        let line = line(&text).unwrap_or_else(|| panic!("{args:?}: {text}"));
        // PID: PID  PROGRAM USER NICE RSS VMS CPU MEM TIME
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words.len(), 10, "{line}");
        assert_eq!(words[..5], [&format!("{pid}:"), &pid.to_string(), "sleep", "root", "0"]);
    }
    let info = &circus.ask("stats", json!({"name": "single", "process": pid}))["info"];
    assert_eq!(
        (info["pid"].clone(), info["wid"].clone(), info["children"].clone()),
        (json!(pid), json!(1), json!([]))
    );
    assert!(info["age"].as_f64() >= Some(0.0) && info["create_time"].as_f64() > Some(1e9), "{info}");
    let circus_itself = circus.ctl_ok(&["dstats"]);
    assert!(
        circus_itself.starts_with(&format!("Main Process:\n    {}  circus root 0 ", circus.pid())),
        "{circus_itself}"
    );
    assert!(circus_itself.contains("Children:") && line(&circus_itself).is_some(), "{circus_itself}");
    assert_eq!(circus.ctl_refused(&["stats", "none"]), "program none not found");
    assert_eq!(circus.ctl_refused(&["stats", "single", "1"]), "process 1 not found in 'single'");
}

#[test]
fn quit_ends_circus() {
    let mut circus = three();
    let pids = circus.pids("web");
    assert_eq!(circus.ctl_ok(&["quit", "--waiting"]), "ok");
    assert!(pids.iter().all(|pid| !proc::exists(*pid)));
    assert_eq!(circus.wait(), 0);
    assert!(
        !crate::common::exists(&circus.dir.path("sock")) && !crate::common::exists(&circus.dir.path("local"))
    );
    let Ended { code, err, .. } = circus.ctl(&["list"]);
    assert!(code == 1 && err.contains("no circus answers"), "{err}");
}

#[test]
fn json_is_the_reply_as_it_came() {
    let circus = three();
    let reply: Json = serde_json::from_str(&circus.ctl_ok(&["--json", "status", "web"])).expect("JSON");
    assert_eq!((reply["status"].clone(), reply["id"].clone()), (json!("active"), Json::Null));
    assert!(circus.ctl_ok(&["--json", "--prettify", "list"]).contains("\n  \"watchers\": [\n    \"off\","));
    let refused = circus.ctl(&["--json", "status", "none"]);
    let reply: Json = serde_json::from_str(&refused.out).expect("JSON");
    assert_eq!((refused.code, refused.err.as_str(), reply["errno"].as_i64()), (3, "", Some(3)));
}

/// A name or a number that does not exist, and too few words.
#[test]
fn wrong_command_lines_have_their_codes() {
    let circus = three();
    let frob = circus.ctl(&["frob"]);
    assert_eq!((frob.code, frob.out.as_str()), (2, ""));
    assert!(frob.err.ends_with("circusctl: error: unrecognized arguments: frob\n"), "{}", frob.err);
    for args in [&["rm"][..], &["add", "x"], &["get", "web"], &["set", "web", "cmd"], &["signal", "web"]] {
        let ended = circus.ctl(args);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{args:?}");
        assert!(ended.err.starts_with("Invalid number of arguments\n"), "{args:?}: {}", ended.err);
    }
    assert_eq!(circus.ctl_ok(&["numwatchers"]), "3");
}

#[test]
fn several_names_and_patterns_are_a_request_each() {
    let circus = Circus::start(
        "[circus]\nendpoint = {dir}/sock\n[watcher:web1]\ncmd = sleep 1000\n[watcher:web2]\ncmd = sleep 1000\n\
         [watcher:other]\ncmd = sh -c 'echo hello; exec sleep 1000'\nstdout_stream.class = QueueStream\n\
         [watcher:late]\ncmd = sleep 1000\nautostart = False\n",
    );
    let run = |args: &[&str]| {
        let Ended { code, out, err } = circus.ctl(args);
        (code, out, err)
    };
    let fine = |out: &str| (0, out.to_string(), String::new());
    assert_eq!(
        run(&["start", "web1", "late", "web2", "other", "--waiting"]),
        fine("web1: ok\nlate: ok\nweb2: ok\nother: ok\n")
    );
    assert_eq!(run(&["status", "late", "web*"]), fine("late: active\nweb1: active\nweb2: active\n"));
    assert_eq!(run(&["reload", "WEB?", "--waiting"]), fine("web1: ok\nweb2: ok\n"));
    assert_eq!(run(&["stop", "web1", "web2", "--waiting"]), fine("web1: ok\nweb2: ok\n"));
    assert_eq!(run(&["status", "*"]), fine("late: active\nother: active\nweb1: stopped\nweb2: stopped\n"));
    let near = "error: program othr not found; did you mean other?\n".to_string();
    assert_eq!(run(&["status", "othr"]), (3, String::new(), near));
    for (args, hint) in [
        (&["stop", "all"][..], "program all not found; without a NAME it is all of them"),
        (&["kill", "all"], "program all not found; '*' stands for all"),
        (&["stop", "web1,web2"], "program web1,web2 not found; names are separated by blanks"),
        (&["tail", "other", "stderr"], "program stderr not found; did you mean --stderr?"),
        (
            &["logs", "other"],
            "'other' is not an action; use rotate or reopen; to see the output, use tail other",
        ),
        (&["set", "other", "numprocs", "2"], "unknown key 'numprocs'; did you mean numprocesses?"),
    ] {
        let (code, _, err) = run(args);
        assert!(code != 0 && err.trim_end().ends_with(hint), "{args:?}: {err}");
    }
    let near = "error: 'numprocess' option not found; did you mean numprocesses?\n".to_string();
    assert_eq!(run(&["get", "other", "numprocess"]), (3, String::new(), near));
    let near = "respawn = Tru is neither true (yes, true, on, 1) nor false (no, false, off, 0), nor on-failure; did you mean True?\n";
    assert_eq!(run(&["set", "other", "respawn", "Tru"]), (1, String::new(), near.to_string()));
    let missing = "error: none: program none not found\n".to_string();
    assert_eq!(run(&["numprocesses", "other", "none"]), (3, "other: 1\n".into(), missing));
    let missing = "error: program x* not found\n".to_string();
    assert_eq!(run(&["rm", "web1", "x*"]), (3, String::new(), missing));
    assert_eq!(run(&["status", "web1"]), fine("stopped\n"));
    crate::common::until("the output", || {
        (run(&["tail", "other", "web1"]).1 == "other | hello\n").then_some(())
    });
    let (code, out, err) = run(&["tail", "other", "web1"]);
    assert_eq!((code, out.as_str()), (3, "other | hello\n"));
    assert!(err.starts_with("error: web1: 'web1' has no stdout_stream"), "{err}");
    let (_, out, _) = run(&["--json", "status", "web1", "other"]);
    let ids: Vec<_> =
        out.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON")["id"].clone()).collect();
    assert_eq!(ids, ["web1", "other"]);
    assert_eq!(run(&["start", "web*", "--waiting"]), fine("ok\n"));
    assert_eq!(run(&["incr", "web1", "web2", "2", "--waiting"]), fine("web1: 3\nweb2: 3\n"));
    assert_eq!(run(&["decr", "web?", "--waiting"]), fine("web1: 2\nweb2: 2\n"));
    let pids = |name: &str| circus.ask("list", json!({"name": name}))["pids"].clone();
    let before = [pids("web1"), pids("web2")];
    assert_eq!(run(&["kill", "web1", "web2", "--waiting"]), fine("web1: ok\nweb2: ok\n"));
    crate::common::until("others", || {
        let now = [pids("web1"), pids("web2")];
        let news = |name: usize| {
            let (now, before) = (now[name].as_array()?, before[name].as_array()?);
            (now.len() == 2 && !now.iter().any(|pid| before.contains(pid))).then_some(())
        };
        news(0).and(news(1))
    });
    assert_eq!(run(&["signal", "web*", "other", "CONT"]), fine("web1: ok\nweb2: ok\nother: ok\n"));
    assert_eq!(run(&["get", "web*", "numprocesses"]), fine("web1: numprocesses: 2\nweb2: numprocesses: 2\n"));
    assert_eq!(run(&["set", "web*", "max_age", "0"]), fine("web1: ok\nweb2: ok\n"));
    let missing = "error: program none not found\n".to_string();
    assert_eq!(run(&["kill", "web1", "none"]), (3, String::new(), missing.clone()));
    assert_eq!(run(&["stop", "web1", "none"]), (3, String::new(), missing.clone()));
    assert_eq!(run(&["signal", "none", "WEB1", "CONT"]), (3, String::new(), missing.clone()));
    assert_eq!(run(&["incr", "web1", "none"]), (3, String::new(), missing));
    assert_eq!(run(&["get", "web1", "numprocesses"]), fine("numprocesses: 2\n"), "nothing was done");
    let near = "error: program wbe1 not found; did you mean web1?\n".to_string();
    assert_eq!(run(&["kill", "web2", "wbe1"]), (3, String::new(), near));
    let near = "error: program othr not found; did you mean other?\n".to_string();
    assert_eq!(run(&["logs", "reopen", "other", "othr"]), (3, String::new(), near));
    let (code, out, _) = run(&["stats", "web*"]);
    let heads: Vec<&str> = out.lines().filter(|line| line.ends_with(':')).collect();
    assert_eq!((code, heads), (0, vec!["web1:", "web2:"]), "{out}");
    for args in
        [&["kill", "web1", "web2", "12"][..], &["signal", "web*", "12", "HUP"], &["stats", "a", "b", "1"]]
    {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (1, ""), "{args:?}");
        assert!(err.starts_with("a PID is that of one watcher: name it alone"), "{err}");
    }
    assert_eq!(run(&["rm", "web1", "web2", "late"]), fine("web1: ok\nweb2: ok\nlate: ok\n"));
    assert_eq!(run(&["list"]), fine("other\n"));
}

#[test]
fn the_output_of_several_is_followed_at_once() {
    let circus = Circus::start(
        "[circus]\nendpoint = {dir}/sock\nstdout_stream.class = QueueStream\n\
         [watcher:a]\ncmd = sh -c 'while :; do echo one; sleep 0.1; done'\n\
         [watcher:b]\ncmd = sh -c 'while :; do echo two; sleep 0.1; done'\n",
    );
    circus.up("a");
    circus.up("b");
    let mut command = crate::common::circus();
    command.arg("ctl").arg("--endpoint").arg(circus.dir.path("sock")).args(["tail", "-f"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("it can be run");
    let out = Output::of(child.stdout.take());
    out.times("a | one\n", 20);
    out.times("b | two\n", 20);
    circus.ask("quit", json!({}));
    assert_eq!(until("it ends with circus", || child.try_wait().expect("a child")).code(), Some(0));
}
