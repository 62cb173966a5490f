//! Plugins: programs that are told of events and give commands, and what runs classes of Python.

use crate::common::{Circus, Dir, SIGKILL, exists, proc, until};
use serde_json::{Value as Json, json};

const WEB: &str = "[watcher:web]\ncmd = sleep 1000\nautostart = False\n";

/// A circus with a plugin `plugin:p` that is this shell script.
fn with_script(script: &str, more: &str) -> Circus {
    let dir = Dir::new();
    let cmd = dir.script("plugin", &script.replace("{dir}", dir.path("").to_str().expect("UTF-8")));
    Circus::with(dir, &format!("[plugin:p]\ncmd = {cmd}\n{more}"), |_| {})
}

/// The lines of a file that a plugin writes, once one of them is as it should be.
fn lines(circus: &Circus, file: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    until(&format!("a line in {file}"), || {
        let text = std::fs::read_to_string(circus.dir.path(file)).ok()?;
        let whole = text.rsplit_once('\n')?.0;
        let lines: Vec<String> = whole.lines().map(str::to_string).collect();
        lines.iter().any(|line| wanted(line)).then_some(lines)
    })
}

#[test]
fn a_program_is_told_of_events_and_gives_commands() {
    let script = r#"
        while read -r line; do
            echo "$line" >> {dir}/told
            case $line in
            *watcher.web.start*)
                echo '{"command": "incr", "id": "mine", "properties": {"name": "web", "waiting": true}}' ;;
            esac
        done"#;
    let circus = with_script(script, WEB);
    circus.until_status("plugin:p", "active");
    let mut events = circus.listen(&["watcher.web"]);
    circus.ask("start", json!({"name": "web"}));
    let first = events.pid("watcher.web.spawn");
    let second = events.pid("watcher.web.spawn");
    assert_ne!(first, second);
    let told = lines(&circus, "told", |line| line.contains("mine"));
    let told: Vec<Json> = told.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let spawned = told.iter().find(|event| event["topic"] == "watcher.web.spawn").expect("an event");
    assert_eq!(spawned["data"]["process_pid"], first);
    let reply = told.iter().find(|reply| reply["id"] == "mine").expect("a reply");
    assert_eq!((&reply["status"], &reply["numprocesses"]), (&json!("ok"), &json!(2)));
}

#[test]
fn a_plugin_is_a_watcher_of_one_process() {
    let circus =
        with_script("exec sleep 1000", &format!("{WEB}[plugin:q]\ncmd = sleep 1000\npriority = -1\n"));
    circus.until_status("plugin:q", "active");
    assert_eq!(circus.ctl_ok(&["list"]), "plugin:p,plugin:q,web");
    assert_eq!(circus.ctl_ok(&["numwatchers"]), "3");
    assert_eq!(circus.ctl_ok(&["get", "plugin:p", "priority", "singleton"]), "priority: 1\nsingleton: True");
    assert_eq!(circus.ctl_ok(&["get", "plugin:q", "priority"]), "priority: -1");
    let incr = circus.ask("incr", json!({"name": "plugin:p", "waiting": true}));
    assert_eq!(incr["singleton"], true);
    let before = circus.pids("plugin:p");
    circus.ctl_ok(&["restart", "plugin:p", "--waiting"]);
    let now = circus.pids("plugin:p");
    assert!(before.len() == 1 && now.len() == 1 && before != now, "{before:?} {now:?}");
    let mut events = circus.listen(&["watcher.plugin:p.spawn"]);
    circus::sys::signal::kill(now[0], SIGKILL).expect("it runs");
    assert_ne!(events.pid("watcher.plugin:p.spawn"), now[0], "it is replaced");
}

#[test]
fn plugins_start_by_priority_among_the_watchers() {
    let circus = Circus::start(
        "[watcher:b]\ncmd = sleep 1000\npriority = 2\n[watcher:a]\ncmd = sleep 1000\n\
         [plugin:p]\ncmd = sleep 1000\n[plugin:z]\ncmd = sleep 1000\npriority = 3",
    );
    circus.log.line("a started");
    let log = circus.log.text();
    let place = |what: &str| log.find(what).unwrap_or_else(|| panic!("{what}: {log}"));
    assert!(place("plugin:z started") < place("b started"));
    assert!(place("b started") < place("plugin:p started"));
    assert!(place("plugin:p started") < place("a started"));
}

#[test]
fn a_program_gets_its_options_and_circuss_environment() {
    let dir = Dir::new();
    let cmd = dir.script("plugin", &format!("env > {}; exec sleep 1000", dir.name("env")));
    let ini =
        format!("[plugin:p]\ncmd = {cmd}\ngreeting = hello  world's end\nloop.rate = 5\nworking_dir = /tmp");
    let circus = Circus::with(dir, &ini, |command| {
        command.env("MINE", "1");
    });
    let env = lines(&circus, "env", |line| line.starts_with("CIRCUS_PLUGIN_LOOP_RATE"));
    let endpoint = format!("CIRCUS_ENDPOINT={}", circus.dir.name("sock"));
    for wanted in [
        "MINE=1",
        "CIRCUS_PLUGIN=plugin:p",
        "CIRCUS_PLUGIN_GREETING=hello  world's end",
        "CIRCUS_PLUGIN_LOOP_RATE=5",
        "PWD=/tmp",
        &endpoint,
    ] {
        assert!(env.iter().any(|line| line == wanted), "{wanted}: {env:?}");
    }
}

/// Nobody waits for a plugin that does not read: it loses events, and is told how many when it reads again.
#[test]
fn a_plugin_that_reads_nothing_harms_nobody() {
    let name = "x".repeat(200);
    let script =
        "until [ -e {dir}/go ]; do sleep 0.05; done; grep -m 1 circus.missed > {dir}/missed; exec sleep 1000";
    let circus = with_script(script, &format!("[watcher:{name}]\ncmd = sleep 1000\nautostart = False"));
    circus.until_status("plugin:p", "active");
    let mut client = circus.client();
    let options = json!({"max_retry": 1, "priority": 1, "respawn": true, "send_hup": false});
    let set = json!({"command": "set", "properties": {"name": name, "options": options}, "msg_type": "cast"});
    let mut tell = || {
        for _ in 0..1000 {
            client.send_request(&set);
        }
        client.call("numwatchers", json!({}))["numwatchers"].clone()
    };
    for _ in 0..3 {
        assert_eq!(tell(), 2, "circus does not wait for it");
    }
    circus.dir.write("go", "");
    until("the plugin is told what it missed", || {
        tell();
        std::fs::read_to_string(circus.dir.path("missed")).ok().filter(|text| text.contains("\"events\":"))
    });
}

#[test]
fn a_plugin_that_writes_rubbish_harms_nobody() {
    let script = "head -c 2000000 /dev/zero | tr '\\0' x; echo; echo rubbish; echo '[]'
        printf '\\377\\n'; echo '{\"command\": \"numwatchers\"}'
        while read -r line; do echo \"$line\" >> {dir}/told; done";
    let circus = with_script(script, "[plugin:yes]\ncmd = yes\n");
    let told = lines(&circus, "told", |line| line.contains("numwatchers\":2"));
    let errors: Vec<&String> = told.iter().filter(|line| line.contains("\"status\":\"error\"")).collect();
    assert_eq!(errors.len(), 4, "{told:?}");
    assert!(errors[0].contains("the line is longer than 1048576 bytes"), "{told:?}");
    assert!(errors.iter().skip(1).all(|line| line.contains("json invalid")), "{told:?}");
    // The other one never reads the errors that it gets: it is not read from any more, and circus is idle.
    circus.until_status("plugin:yes", "active");
    proc::at_rest(circus.pid());
}

/// What a plugin leaves behind keeps no connection.
#[test]
fn the_connection_ends_with_the_process() {
    let circus = with_script("setsid sleep 1000 2> /dev/null & exec sleep 1000", "");
    circus.until_status("plugin:p", "active");
    let mut events = circus.listen(&["watcher.plugin:p.spawn"]);
    let open = until("two connections", || Some(proc::fds(circus.pid()).len()));
    for _ in 0..3 {
        let pid = circus.pids("plugin:p")[0];
        // Once it is sleep it is out of the group.
        let is_sleep = |pid: &i32| proc::argv(*pid).first().is_some_and(|word| word == "sleep");
        let child = until("it has a child", || proc::descendants(pid).into_iter().find(is_sleep));
        circus::sys::signal::kill(pid, SIGKILL).expect("it runs");
        events.pid("watcher.plugin:p.spawn");
        assert!(proc::exists(child), "the test needs what is left behind");
    }
    until("no more descriptors than before", || (proc::fds(circus.pid()).len() <= open).then_some(()));
}

/// A last request counts, although who gave it is gone.
#[test]
fn a_request_can_be_the_last_thing_that_a_plugin_does() {
    let script = r#"echo '{"command": "start", "properties": {"name": "web"}}'"#;
    let circus = with_script(script, &format!("respawn = False\n{WEB}"));
    circus.until_status("web", "active");
}

#[test]
fn the_output_of_plugins_is_for_debugging() {
    let script = "echo seen >&2; echo '{\"command\": \"start\", \"properties\": {\"name\": \"web\"}}'; exec sleep 1000";
    for debug in [true, false] {
        let dir = Dir::new();
        let cmd = dir.script("plugin", script);
        let ini =
            format!("[circus]\nendpoint = {{dir}}/sock\ndebug = {debug}\n[plugin:p]\ncmd = {cmd}\n{WEB}");
        let mut circus = Circus::with(dir, &ini, |_| {});
        circus.until_status("web", "active");
        circus.end();
        assert_eq!(circus.out.whole(), if debug { "seen\n" } else { "" });
    }
}

#[test]
fn a_plugin_that_says_nothing_is_an_error_of_its_own() {
    let circus = Circus::start(&format!("[plugin:p]\ngreeting = hello\n{WEB}"));
    circus.log.line("[ERROR]");
    assert!(circus.log.text().contains("[plugin:p] needs `use` or `cmd`"));
    circus.up("web");
    let reason = circus.ctl_refused(&["start", "plugin:p", "--waiting"]);
    assert!(reason.contains("[plugin:p] needs `use` or `cmd`"), "{reason}");
}

const PYTHON: &str = "[plugin:p]\nuse = my.Plugin\ngreeting = hello  world's end\n";

#[cfg(feature = "zmtp")]
#[test]
fn a_python_class_without_circus_plugin_is_one_warning() {
    let circus = Circus::start(&format!("{PYTHON}{WEB}"));
    circus.up("web");
    assert_eq!(circus.status("plugin:p"), "stopped");
    assert_eq!(circus.log.count("plugin:p"), 1);
    let warning = circus.log.line("[WARNING] plugin:p is not started");
    assert!(warning.contains("my.Plugin") && warning.contains("circus-plugin"), "{warning}");
    assert!(warning.contains("pip install circus") && warning.contains("cmd = PROGRAM"), "{warning}");
    let why = circus.ctl_ok(&["why", "plugin:p"]);
    assert!(
        why.starts_with("plugin:p is stopped: `my.Plugin` is a Python class, and circus-plugin"),
        "{why}"
    );
    let reason = circus.ctl_refused(&["start", "plugin:p", "--waiting"]);
    assert!(reason.contains("circus-plugin"), "{reason}");
    let ended = crate::common::run(crate::common::circus().arg("check").arg(circus.dir.path("circus.ini")));
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains(": error: `my.Plugin` is a Python class, and circus-plugin"), "{}", ended.out);
}

#[cfg(not(feature = "zmtp"))]
#[test]
fn a_python_class_cannot_be_run_without_its_protocol() {
    let circus = Circus::start(&format!("{PYTHON}{WEB}"));
    circus.up("web");
    assert_eq!(circus.status("plugin:p"), "stopped");
    let warning = circus.log.line("[WARNING] plugin:p is not started");
    assert!(warning.contains("my.Plugin") && warning.contains("built without"), "{warning}");
}

/// Puts a script in the place of Circus's own program; the answer is a PATH where it is found.
#[cfg(feature = "zmtp")]
fn put_runner(dir: &Dir, script: &str) -> String {
    let written = dir.write("script", script);
    std::fs::create_dir(dir.path("bin")).expect("a directory");
    dir.program("bin/circus-plugin", &written);
    format!("{}:/usr/bin:/bin", dir.name("bin"))
}

#[cfg(feature = "zmtp")]
#[test]
fn a_python_class_that_cannot_be_imported_is_given_up_and_its_last_words_are_kept() {
    let dir = Dir::new();
    let path =
        put_runner(&dir, "#!/bin/sh\necho \"ModuleNotFoundError: No module named 'my'\" >&2\nexit 1\n");
    let circus = Circus::with(dir, &format!("{PYTHON}{WEB}"), |command| {
        command.env("PATH", path);
    });
    circus.log.line("plugin:p: given up after 5 failed starts: it exited with code 1 soon after its start");
    circus.until_status("plugin:p", "stopped");
    let why = circus.ctl_ok(&["why", "plugin:p"]);
    assert!(why.contains("exited with code 1") && why.contains("No module named 'my'"), "{why}");
    assert!(!why.contains("ready"), "it need not say that it is ready: {why}");
    let tail = circus.ctl_ok(&["tail", "plugin:p"]);
    assert!(tail.contains("No module named 'my'"), "{tail}");
}

/// The arguments that Circus's own program gets; Circus itself breaks on values with blanks.
#[cfg(feature = "zmtp")]
#[test]
fn a_python_class_is_run_by_circus_plugin() {
    let dir = Dir::new();
    let script = format!(
        "#!/bin/sh\nfor word; do echo \"<$word>\" >> {0}/words; done\necho \"$PYTHONPATH\" >> {0}/words\nexec sleep 1000\n",
        dir.path("").display()
    );
    let path = put_runner(&dir, &script);
    let ini = format!(
        "[circus]\nendpoint = ipc://{{dir}}/sock\ncheck_delay = 2\n{PYTHON}{WEB}[env:web]\nPYTHONPATH = /srv\n\
         [watcher:theirs]\ncmd = true\nautostart = False\nuid = nobody\n[env:theirs]\nPYTHONPATH = /theirs"
    );
    let circus = Circus::with(dir, &ini, |command| {
        command.env("PATH", path).env("PYTHONPATH", "/a:/b");
    });
    circus.until_status("plugin:p", "active");
    let words = lines(&circus, "words", |line| line.contains("/a:"));
    let endpoint = format!("<ipc://{}>", circus.dir.name("sock"));
    let expected = [
        "<--endpoint>",
        &endpoint,
        "<--pubsub>",
        &endpoint,
        "<--check-delay>",
        "<2.0>",
        "<--config>",
        "<name:plugin:p:::greeting:hello  world's end>",
        "<my.Plugin>",
        "/a:/b:/srv",
    ];
    assert_eq!(words, expected);
}

#[test]
fn the_example_in_sh_notes_deaths() {
    let dir = Dir::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/plugins/deaths.sh");
    let ini = format!(
        "[plugin:deaths]\ncmd = sh {example}\nfile = {}\n\
         [watcher:bad]\ncmd = sh -c 'exit 7'\nautostart = False\nrespawn = False\n\
         [watcher:good]\ncmd = true\nautostart = False\nrespawn = False",
        dir.name("deaths")
    );
    let circus = Circus::with(dir, &ini, |_| {});
    circus.until_status("plugin:deaths", "active");
    for name in ["good", "bad"] {
        let mut events = circus.listen(&[&format!("watcher.{name}.reap")]);
        circus.ask("start", json!({"name": name}));
        events.next();
    }
    let deaths = lines(&circus, "deaths", |line| line.contains("bad"));
    assert!(deaths.len() == 1 && deaths[0].ends_with(" bad: 7"), "{deaths:?}");
    assert!(exists(&circus.dir.path("sock")));
}
