//! Hooks that are Python functions, as files of Circus have them.

use crate::common::{Circus, Dir};
use serde_json::{Value as Json, json};

const MODULE: &str = r#"
import json, os

def yes(watcher, arbiter, hook_name):
    print("hello from", hook_name)
    return True

def no(**kwargs):
    return False

def nothing(watcher, arbiter, hook_name, **kwargs):
    pass

def broken(**kwargs):
    raise ValueError("boom")

def leaves(**kwargs):
    raise SystemExit(0)

def tell(watcher, arbiter, hook_name, **kwargs):
    facts = dict(vars(watcher), endpoint=arbiter.endpoint, **kwargs)
    with open(os.path.join(watcher.env["FACTS"], hook_name), "w") as file:
        json.dump(facts, file)
    return True

def more(watcher, arbiter, hook_name, pid, stats):
    print("no JSON")
    stats["both"] = [pid, stats["pid"]]
    stats["cpu"] = None
"#;

/// A watcher `w` that is not started by itself; the module `hk` is in `lib`. python3 is that of the tester, whom
/// circus finds by its own PATH.
fn with(options: &str) -> Circus {
    let dir = Dir::new();
    std::fs::create_dir(dir.path("lib")).expect("a directory");
    dir.write("lib/hk.py", MODULE);
    let ini = format!(
        "[watcher:w]\ncmd = sleep 1000\nautostart = False\n{options}\n[env:w]\nPYTHONPATH = {{dir}}/lib\n\
         FACTS = {{dir}}"
    );
    let path = std::env::var_os("PATH").expect("a PATH");
    let place = dir.path("");
    Circus::with(dir, &ini, |command| {
        command.env("PATH", path).current_dir(place);
    })
}

fn start(circus: &Circus) -> String {
    let reply = circus.call("start", json!({"name": "w", "waiting": true}));
    reply["reason"].as_str().unwrap_or("it starts").to_string()
}

#[test]
fn what_a_function_returns_counts_as_in_circus() {
    for (hook, reason) in [
        ("hk.yes", "it starts"),
        ("hk:yes", "it starts"),
        ("hk.no", "'w' did not start: its hook before_start said no"),
        ("hk.no, true", "'w' did not start: its hook before_start said no"),
        ("hk.nothing", "'w' did not start: its hook before_start said no"),
        ("hk.broken", "'w' did not start: its hook before_start failed: ValueError: boom"),
        ("hk.broken, true", "it starts"),
        ("hk.leaves", "'w' did not start: its hook before_start failed: SystemExit: 0"),
        (
            "hk.missing",
            "'w' did not start: its hook before_start failed: AttributeError: module 'hk' has no attribute 'missing'",
        ),
        (
            "nomodule.x",
            "'w' did not start: its hook before_start failed: ModuleNotFoundError: No module named 'nomodule'",
        ),
    ] {
        let circus = with(&format!("hooks.before_start = {hook}"));
        let mut events = circus.listen(&["watcher.w.hook_"]);
        assert_eq!(start(&circus), reason, "{hook}");
        let (topic, data) = events.next();
        let returned = ["hk.yes", "hk:yes", "hk.no", "hk.no, true", "hk.nothing"].contains(&hook);
        let wanted = if returned { "watcher.w.hook_success" } else { "watcher.w.hook_failure" };
        assert_eq!((topic.as_str(), &data["name"]), (wanted, &json!("before_start")), "{hook}");
    }
}

#[test]
fn what_it_prints_and_its_traceback_go_to_the_log() {
    let circus = with("hooks.before_start = hk.yes\nhooks.after_start = hk.broken, true");
    assert_eq!(start(&circus), "it starts");
    circus.log.line("w: hook before_start: hello from before_start");
    circus.log.line("w: hook after_start: Traceback");
    circus.log.line("[ERROR] w: Hook 'after_start' failed: ValueError: boom");
}

fn facts(circus: &Circus, hook: &str) -> Json {
    serde_json::from_str(&circus.dir.read(hook)).expect("JSON")
}

#[test]
fn it_gets_the_watcher_the_arbiter_and_what_circus_gives_besides() {
    let hooks = ["before_start", "after_spawn", "before_signal", "before_reap", "after_reap"];
    let hooks: String = hooks.iter().map(|hook| format!("hooks.{hook} = hk.tell\n")).collect();
    let circus = with(&format!("numprocesses = 2\nargs =\nmy_own = x\n{hooks}"));
    circus.ask("set", json!({"name": "w", "options": {"numprocesses": 1}}));
    assert_eq!(start(&circus), "it starts");
    let pid = circus.pids("w")[0];
    circus.ask("stop", json!({"name": "w", "waiting": true}));
    let first = facts(&circus, "before_start");
    assert_eq!(
        (&first["name"], &first["cmd"], &first["numprocesses"]),
        (&json!("w"), &json!("sleep 1000"), &json!(1))
    );
    assert_eq!(first["endpoint"], json!(format!("ipc://{}", circus.dir.name("sock"))));
    assert_eq!(
        (&first["my_own"], &first["env"]["FACTS"]),
        (&json!("x"), &json!(circus.dir.name("").trim_end_matches('/')))
    );
    assert_eq!(first["env"]["CIRCUS_HOOK"], Json::Null, "the environment is that of the processes");
    assert_eq!(facts(&circus, "after_spawn")["pid"], pid);
    let signal = facts(&circus, "before_signal");
    assert_eq!((&signal["pid"], &signal["signum"]), (&json!(pid), &json!(15)));
    let (before, after) = (facts(&circus, "before_reap"), facts(&circus, "after_reap"));
    assert!(before["process_pid"] == pid && before["time"].is_f64());
    assert_eq!((&after["process_pid"], &after["exit_code"]), (&json!(pid), &json!(-15)));
    assert!(after["process_status"].is_null() && after["time"].is_f64());
}

#[test]
fn it_is_found_in_the_directory_of_circus_and_not_in_that_of_the_watcher() {
    let circus = with("working_dir = {dir}\nhooks.before_start = here.fine");
    circus.dir.write("here.py", "def fine(**kwargs):\n    return 'so'\n");
    assert_eq!(start(&circus), "it starts");
    let circus = with("working_dir = {dir}/lib/inner\nhooks.before_start = there.fine");
    std::fs::create_dir(circus.dir.path("lib/inner")).expect("a directory");
    circus.dir.write("lib/inner/there.py", "def fine(**kwargs):\n    return 'so'\n");
    let why = "'w' did not start: its hook before_start failed: ModuleNotFoundError: No module named 'there'";
    assert_eq!(start(&circus), why);
}

#[test]
fn its_module_takes_no_place_of_pythons_own() {
    let circus = with("hooks.before_start = json.dumps");
    circus.dir.write("lib/json.py", "def dumps(**kwargs):\n    return True\n");
    assert!(start(&circus).contains("TypeError"), "json is Python's");
}

#[test]
fn before_signal_that_raises_holds_no_signal_back() {
    let circus = with("graceful_timeout = 0.5\nhooks.before_signal = hk.broken");
    for exit in [-15, -9] {
        assert_eq!(start(&circus), "it starts");
        let mut events = circus.listen(&["watcher.w.reap"]);
        circus.ask("stop", json!({"name": "w", "waiting": true}));
        assert_eq!(events.wait("watcher.w.reap")["exit_code"], exit);
        circus.ask("set", json!({"name": "w", "options": {"hooks.before_signal": "hk.no"}}));
    }
}

#[test]
fn extended_stats_changes_the_statistics_in_place() {
    let circus = with("hooks.extended_stats = hk.more");
    assert_eq!(start(&circus), "it starts");
    let pid = circus.pids("w")[0];
    let reply = circus.ask("stats", json!({"name": "w", "extended": true}));
    let info = &reply["info"][pid.to_string()];
    assert_eq!((&info["both"], &info["cpu"], &info["wid"]), (&json!([pid, pid]), &Json::Null, &json!(1)));
    circus.log.line("w: hook extended_stats: no JSON");
}
