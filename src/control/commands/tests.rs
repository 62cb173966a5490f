//! Tests of `commands`.

use super::super::args::{CliArgs, encode};
use super::super::protocol;
use super::*;
use crate::arbiter::request::{Deploy, Edit, Errno, Manner, Matching, Order, Question, Select, Task, Whom};
use crate::config::Value;
use serde_json::{Value as Json, json};

/// What was typed, with options as `--name` or `--name=value`.
fn typed(line: &str) -> (&'static Command, CliArgs) {
    let mut words = line.split_whitespace();
    let command = words.next().and_then(find).expect("a command");
    let mut args = CliArgs::default();
    for word in words {
        match word.strip_prefix("--") {
            Some(flag) => {
                let (name, value) =
                    flag.split_once('=').map_or((flag, None), |(n, v)| (n, Some(v.to_string())));
                let flag = command.flags().find(|f| f.name == name).expect("an option of the command");
                assert_eq!(flag.value.is_some(), value.is_some(), "{line}");
                args.flags.push((flag.name, value));
            }
            None => args.words.push(word.into()),
        }
    }
    let (least, most) = command.words();
    assert!((least..=most).contains(&args.words.len()), "{line}");
    (command, args)
}

/// The request that the server gets when `line` is typed.
fn round(line: &str) -> Request {
    let (command, args) = typed(line);
    let bytes = protocol::encode_request(command.name, &encode(command, &args).expect("properties"));
    protocol::decode(&bytes).request.expect(line)
}

fn refused(command: &str, properties: Json) -> (Errno, String) {
    let line = json!({"command": command, "properties": properties}).to_string();
    let refusal = protocol::decode(line.as_bytes()).request.expect_err(&line);
    (refusal.errno, refusal.reason)
}

fn order(order: Order) -> Request {
    Request::Order(order)
}

fn question(question: Question) -> Request {
    Request::Question(question)
}

fn some(text: &str) -> Option<String> {
    Some(text.into())
}

#[test]
fn the_table_has_every_command_of_circus() {
    let circus = "add decr deploy dstats get globaloptions incr kill list listen listsockets logs metrics numprocesses \
                  numwatchers options quit reload reloadconfig restart rollback rm set signal start stats status stop tail why";
    let ours: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
    assert_eq!(ours.join(" "), circus);
    for command in COMMANDS {
        assert!(!command.summary.ends_with('.') && command.detail.ends_with('.'), "{}", command.name);
    }
    let waiting: Vec<&str> = COMMANDS.iter().filter(|c| c.waits()).map(|c| c.name).collect();
    assert_eq!(
        waiting.join(" "),
        "add decr deploy incr kill quit reload reloadconfig restart rollback rm set start stop"
    );
    assert!(find("STATUS").is_some() && find("nonsense").is_none());
}

#[test]
fn orders_about_processes_make_the_round() {
    let web = || Select::Match { pattern: "web".into(), how: Matching::Glob };
    let name = || "web".to_string();
    for (line, expected) in [
        ("start", Task::Start(Select::All)),
        ("start web --waiting", Task::Start(web())),
        ("stop web --match=glob", Task::Stop(web())),
        (
            "restart w.* --match=regex",
            Task::Restart(Select::Match { pattern: "w.*".into(), how: Matching::Regex }),
        ),
        (
            "restart web --match=simple",
            Task::Restart(Select::Match { pattern: name(), how: Matching::Simple }),
        ),
        ("reload", Task::Reload { name: None, graceful: true, sequential: false }),
        (
            "reload web --terminate --sequential --waiting",
            Task::Reload { name: some("web"), graceful: false, sequential: true },
        ),
        ("incr web", Task::Change { name: name(), by: 1 }),
        ("incr web 3 --waiting", Task::Change { name: name(), by: 3 }),
        ("decr web 2", Task::Change { name: name(), by: -2 }),
        ("rm web", Task::Edit(Edit::Rm { name: name(), nostop: false })),
        ("rm web --nostop --waiting", Task::Edit(Edit::Rm { name: name(), nostop: true })),
        ("reloadconfig", Task::Reloadconfig),
        ("reloadconfig --dry-run", Task::Deploy(Deploy::Compare { name: None })),
        ("deploy web --dry-run", Task::Deploy(Deploy::Compare { name: some("web") })),
        ("deploy web --go", Task::Deploy(Deploy::Judge { name: "web".into(), good: true })),
        ("deploy web --back", Task::Deploy(Deploy::Judge { name: "web".into(), good: false })),
        (
            "deploy web --soak=30 --surge=2 --canary=1",
            Task::Deploy(Deploy::Begin {
                name: "web".into(),
                manner: Manner {
                    sequential: false,
                    soak: 30.0,
                    surge: Some(2),
                    canary: Some(1),
                    deploys: true,
                },
            }),
        ),
        ("rollback web", Task::Deploy(Deploy::Rollback { name: "web".into() })),
        ("reloadconfig --waiting", Task::Reloadconfig),
        ("quit", Task::Quit),
        ("quit --waiting", Task::Quit),
    ] {
        assert_eq!(round(line), order(expected.waiting(line.ends_with("--waiting"))), "{line}");
    }
}

#[test]
fn orders_with_signals_make_the_round() {
    let kill = |pid, signum, graceful_timeout, waiting| {
        order(Task::Kill { name: "web".into(), pid, signum, graceful_timeout }.waiting(waiting))
    };
    assert_eq!(round("kill web"), kill(None, None, None, false));
    assert_eq!(
        round("kill web 12 --signum=int --graceful_timeout=1.5 --waiting"),
        kill(Some(12), Some(2), Some(1.5), true)
    );
    let signal = |pid, whom, signum| order(Task::Signal { name: "web".into(), pid, whom, signum }.into());
    assert_eq!(round("signal web HUP"), signal(None, Whom::Process, 1));
    assert_eq!(round("signal web 12 9 --children"), signal(Some(12), Whom::Children, 9));
    assert_eq!(round("signal web 12 SIGRTMIN+1 --recursive"), signal(Some(12), Whom::Descendants, 35));
    let child =
        json!({"command": "signal", "properties": {"name": "web", "pid": 1, "childpid": 2, "signum": 9}});
    assert_eq!(
        protocol::decode(child.to_string().as_bytes()).request,
        Ok(signal(Some(1), Whom::Child(2), 9))
    );
}

#[test]
fn questions_make_the_round() {
    let name = || some("web");
    for (line, expected) in [
        ("list", Question::List(None)),
        ("list web", Question::List(name())),
        ("status", Question::Status { name: None, check: false, details: false }),
        ("status web --check", Question::Status { name: name(), check: true, details: false }),
        ("numprocesses", Question::Numprocesses(None)),
        ("numprocesses web", Question::Numprocesses(name())),
        ("numwatchers", Question::Numwatchers),
        ("get web cmd env", Question::Get { name: "web".into(), keys: vec!["cmd".into(), "env".into()] }),
        ("options web", Question::Options("web".into())),
        ("globaloptions", Question::Globaloptions(None)),
        ("globaloptions endpoint", Question::Globaloptions(some("endpoint"))),
        ("listsockets", Question::Listsockets),
        ("stats", Question::Stats { name: None, process: None, extended: false }),
        ("stats web 7 --extended", Question::Stats { name: name(), process: Some(7), extended: true }),
        ("dstats", Question::Dstats),
    ] {
        assert_eq!(round(line), question(expected), "{line}");
    }
    assert_eq!(round("listen"), Request::Listen(vec![]));
    assert_eq!(
        round("listen watcher.a watcher.b"),
        Request::Listen(vec!["watcher.a".into(), "watcher.b".into()])
    );
}

#[test]
fn every_option_is_heard() {
    for command in COMMANDS {
        // circus ctl makes a request of each name, where none stands for all.
        let least = command.words().0.max(usize::from(command.name == "tail"));
        let words: Vec<String> = (0..least)
            .map(|place| match command.word(place) {
                choice if choice.contains('|') => choice.split('|').next().unwrap_or_default(),
                "KEY" => "cmd",
                _ => "1",
            })
            .map(str::to_string)
            .collect();
        let request = |flags| {
            let properties = encode(command, &CliArgs { words: words.clone(), flags }).unwrap();
            command.decode(&properties).unwrap()
        };
        for flag in command.flags() {
            let value = flag.value.map(|value| match value {
                "HOW" => "simple",
                "KEY=VALUE" => "cmd=x",
                _ => "1",
            });
            // Of no name at all, it does not count how it is meant.
            let silent = flag.name == "match";
            let differs = request(vec![(flag.name, value.map(str::to_string))]) != request(vec![]);
            assert!(differs || silent, "{} --{}", command.name, flag.name);
        }
    }
}

#[test]
fn options_make_the_round_with_their_types() {
    let set = |line: &str| match round(line) {
        Request::Order(Order { what: Task::Edit(Edit::Set { name, options }), .. }) if name == "web" => {
            options
        }
        other => panic!("{other:?}"),
    };
    let map = |pairs: &[(&str, &str)]| {
        Value::Map(pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
    };
    for (line, key, value) in [
        ("NumProcesses 3", "numprocesses", Value::Int(3)),
        ("warmup_delay 2", "warmup_delay", Value::Float(2.0)),
        ("shell yes", "shell", Value::Bool(true)),
        ("stop_signal quit", "stop_signal", Value::Int(3)),
        ("max_retry -1", "max_retry", Value::Int(-1)),
        ("uid 1000", "uid", Value::Str("1000".into())),
        ("umask 022", "umask", Value::Int(0o22)),
        ("cmd sleep", "cmd", Value::Str("sleep".into())),
        ("env A=1,B=2=3", "env", map(&[("A", "1"), ("B", "2=3")])),
        ("hooks before_start:/x,after_stop:y", "hooks", map(&[("after_stop", "y"), ("before_start", "/x")])),
        ("hooks.before_start /x,true", "hooks.before_start", Value::Str("/x,true".into())),
        ("rlimit_nofile 500", "rlimit_nofile", Value::Str("500".into())),
        ("rlimit_core infinity", "rlimit_core", Value::Str("infinity".into())),
        ("stdout_stream.max_bytes 10", "stdout_stream.max_bytes", Value::Str("10".into())),
        ("Cgroup.hugetlb.2MB.max 0", "cgroup.hugetlb.2MB.max", Value::Str("0".into())),
    ] {
        assert_eq!(set(&format!("set web {line} --waiting")), [(key.to_string(), value)], "{line}");
    }
    assert_eq!(set("set web numprocesses 1 cmd x").len(), 2);
}

#[test]
fn what_is_typed_wrong_does_not_leave_the_client() {
    for (line, reason) in [
        ("set web zz 3", "unknown key 'zz'"),
        ("set web numprocesses 3 zz", "List of key/values is invalid"),
        ("set web numprocesses x", "numprocesses = x is not a whole number"),
        ("set web env A", "'A' is no NAME=value"),
        ("set web hooks x", "'x' is no HOOK:COMMAND (hooks.NAME sets one hook to any text)"),
        ("set web rlimit_ 3", "unknown key 'rlimit_'"),
    ] {
        let (command, args) = typed(line);
        assert_eq!(encode(command, &args), Err(reason.to_string()), "{line}");
    }
}

#[test]
fn a_watcher_is_added_with_its_options() {
    let add = |name: &str, cmd: &str, args, options: &[(&str, Value)], start, waiting| {
        let options = options.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
        order(
            Task::Edit(Edit::Add { name: name.into(), cmd: cmd.into(), args, options, start })
                .waiting(waiting),
        )
    };
    assert_eq!(round("add web sleep 3"), add("web", "sleep 3", None, &[], false, false));
    assert_eq!(round("add web sleep --start --waiting"), add("web", "sleep", None, &[], true, true));
    let request = |properties: Json| {
        let line = json!({"command": "add", "properties": properties}).to_string();
        protocol::decode(line.as_bytes()).request.map_err(|refusal| refusal.reason)
    };
    let full = json!({"name": "w", "cmd": "c", "args": ["-c", "a b"], "start": true, "options": {
        "singleton": true, "rlimit_nofile": 5, "graceful_timeout": 3, "uid": 0, "working_dir": null,
        "stdout_stream": {"class": "FileStream", "filename": "/x", "max_bytes": 100},
        "hooks": {"before_start": ["/bin/x", true]}, "env": {"A": "b"},
    }});
    let map = |pairs: &[(&str, &str)]| {
        Value::Map(pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
    };
    let options = [
        ("env", map(&[("A", "b")])),
        ("graceful_timeout", Value::Int(3)),
        ("hooks", map(&[("before_start", "/bin/x, true")])),
        ("rlimit_nofile", Value::Int(5)),
        ("singleton", Value::Bool(true)),
        ("stdout_stream", map(&[("class", "FileStream"), ("filename", "/x"), ("max_bytes", "100")])),
        ("uid", Value::Int(0)),
        ("working_dir", Value::None),
    ];
    assert_eq!(request(full), Ok(add("w", "c", some("-c 'a b'"), &options, true, false)));
    assert!(matches!(
        request(json!({"name": "w", "cmd": "c", "args": "x y"})),
        Ok(Request::Order(Order { what: Task::Edit(Edit::Add { args: Some(args), .. }), .. })) if args == "x y"
    ));
}

#[test]
fn every_refusal_has_circus_reason() {
    for (command, properties, reason) in [
        ("incr", json!({}), "message invalid 'name' is missing"),
        ("options", json!({"name": null}), "message invalid 'name' is missing"),
        ("set", json!({"name": "w"}), "message invalid 'options' is missing"),
        ("get", json!({"name": "w"}), "message invalid 'keys' is missing"),
        ("signal", json!({"name": "w"}), "message invalid 'signum' is missing"),
        ("add", json!({"name": "w"}), "message invalid 'cmd' is missing"),
        ("list", json!({"name": 3}), "'name' isn't a string"),
        ("stop", json!({"waiting": "yes"}), "'waiting' isn't a valid boolean"),
        ("incr", json!({"name": "w", "nb": "x"}), "'nb' isn't an integer"),
        ("kill", json!({"name": "w", "graceful_timeout": "x"}), "'graceful_timeout' isn't a number"),
        ("kill", json!({"name": "w", "signum": "FOO"}), "signal invalid"),
        ("kill", json!({"name": "w", "pid": -1}), "'pid' isn't the id of a process"),
        ("signal", json!({"name": "w", "signum": 99}), "signal invalid"),
        ("signal", json!({"name": "w", "signum": 9, "childpid": 1}), "cannot specify childpid without pid"),
        ("start", json!({"name": "w", "match": "x"}), "unknown match method x"),
        ("stats", json!({"process": 3}), "message invalid 'name' is missing"),
        ("globaloptions", json!({"option": "zz"}), "'zz' not an existing option"),
        ("listen", json!({"topics": "x"}), "'topics' isn't a list of strings"),
        ("add", json!({"name": "w", "cmd": "c", "options": []}), "'options' property should be an object"),
        ("add", json!({"name": "w", "cmd": " "}), "'cmd' isn't a command: it is empty"),
        ("add", json!({"name": "", "cmd": "c"}), "the name of the watcher is missing"),
        ("add", json!({"name": "a\nb", "cmd": "c"}), "the name of the watcher holds a control character"),
    ] {
        assert_eq!(
            refused(command, properties.clone()),
            (Errno::Message, reason.into()),
            "{command} {properties}"
        );
    }
}

#[test]
fn options_of_the_wrong_type_are_refused() {
    for (key, value, reason) in [
        ("numprocesses", json!("1"), "'numprocesses' isn't an integer"),
        ("numprocesses", json!(-1), "'numprocesses' isn't 0 or more"),
        ("warmup_delay", json!("1"), "'warmup_delay' isn't a number"),
        ("warmup_delay", json!(1e300), "'warmup_delay' isn't a time from 0 to 1e9 seconds"),
        ("warmup_delay", json!(-1), "'warmup_delay' isn't a time from 0 to 1e9 seconds"),
        ("uid", json!(1.5), "'uid' isn't an integer or string"),
        ("shell", json!(1), "'shell' isn't a valid boolean"),
        ("env", json!("A=1"), "'env' isn't a valid object"),
        ("env", json!({"A": 1}), "'A' isn't a string"),
        ("env", json!({"A=B": "1"}), "'A=B' isn't a name of a variable"),
        ("cmd", json!("a\0b"), "'cmd' isn't a string without null bytes"),
        ("cmd", json!(["a"]), "'cmd' isn't a string"),
        ("env", json!(["a"]), "'env' isn't a valid object"),
        ("uid", json!([]), "'uid' isn't an integer or string"),
        ("stdout_stream.zz", json!("1"), "unknown key 'stdout_stream.zz'"),
        (
            "stdout_stream.class",
            json!("FielStream"),
            "there is no class `FielStream` (did you mean `FileStream`?)",
        ),
        (
            "stderr_stream",
            json!({"class": "my.Stream"}),
            "`my.Stream` is a Python class, which circus cannot load (use FileStream or StdoutStream)",
        ),
        ("stop_signal", json!(99), "signal invalid"),
        ("umask", json!(0o1000), "'umask' isn't a umask from 000 to 777"),
        ("umask", json!(-1), "'umask' isn't a umask from 000 to 777"),
        ("stdout_stream", json!({"max_bytes": 1}), "'stdout_stream' must have a 'class' key"),
        ("stdout_stream", json!("x"), "'stdout_stream' isn't a valid object"),
        ("hooks", json!({"zz": "x"}), "Unknown hook 'zz'"),
        ("hooks.zz", json!("x"), "Unknown hook 'zz'"),
        ("hooks", json!({"before_start": ["x"]}), "'before_start' isn't a command with a boolean"),
        ("rlimit_zz", json!(1), "'rlimit_zz' isn't a valid rlimit setting"),
        ("rlimit_core", json!(1.5), "1.5 rlimit value isn't a valid int"),
        ("rlimit_core", json!("x"), "'x' rlimit value isn't a valid int"),
        ("hooks", json!("a:b"), "'a:b' isn't a valid hook dict"),
        ("zz", json!(1), "unknown key 'zz'"),
        (
            "prereload_fn",
            json!("x"),
            "'prereload_fn' can't be set while circus runs; change it in the configuration",
        ),
    ] {
        let properties = json!({"name": "w", "options": {key: value}});
        assert_eq!(refused("set", properties.clone()), (Errno::Message, reason.into()), "{properties}");
    }
}

/// How a reply looks when it answers what was typed.
fn shown(line: &str, reply: Json) -> String {
    let (command, args) = typed(line);
    (command.render)(&encode(command, &args).expect("properties"), &reply)
}

#[test]
fn replies_are_shown_as_circus_shows_them() {
    let options = json!({"status": "ok", "options": {
        "cmd": "sleep 1", "env": {"B": "2", "A": "1"}, "uid": null, "shell": false, "graceful_timeout": 30.0,
        "max_age": 0, "stdout_stream_conf": {"filename": "/x", "max_bytes": "100"},
    }});
    for (line, reply, text) in [
        ("stop", json!({"status": "ok"}), "ok"),
        ("list", json!({"watchers": ["a", "b"]}), "a,b"),
        ("list a", json!({"pids": [3, 12]}), "3,12"),
        ("list a", json!({"pids": []}), ""),
        (
            "status",
            json!({"status": "ok", "statuses": {"b": "active", "A": "stopped"}}),
            "A: stopped\nb: active",
        ),
        ("status a", json!({"status": "active"}), "active"),
        ("numprocesses", json!({"numprocesses": 4}), "4"),
        ("numwatchers", json!({"numwatchers": 2}), "2"),
        ("incr a", json!({"status": "ok"}), "ok"),
        ("incr a --waiting", json!({"numprocesses": 3}), "3"),
        (
            "decr a",
            json!({"numprocesses": 1, "singleton": true}),
            "This watcher is a Singleton - not changing the number of processes",
        ),
        ("get a uid shell env", options.clone(), "uid: \nshell: False\nenv: A=1,B=2"),
        (
            "options a",
            options,
            "cmd: sleep 1\nenv: A=1,B=2\ngraceful_timeout: 30.0\nmax_age: 0\nshell: False\n\
             stdout_stream_conf: {'filename': '/x', 'max_bytes': '100'}\nuid: ",
        ),
        (
            "globaloptions",
            json!({"options": {"check_delay": 5.0, "endpoint": "/x", "stats_endpoint": null}}),
            "endpoint: /x\nstats_endpoint: \ncheck_delay: 5.0",
        ),
        (
            "listsockets",
            json!({"sockets": [{"fd": 7, "name": "un", "backlog": 5, "path": "/x"},
                               {"fd": 8, "name": "web", "backlog": 5, "host": "127.0.0.1", "port": 80}]}),
            "7:socket 'un' at /x\n8:socket 'web' at 127.0.0.1:80",
        ),
    ] {
        assert_eq!(shown(line, reply), text, "{line}");
    }
}

#[test]
fn statistics_are_shown_as_circus_shows_them() {
    let info = |pid: i32, children: Json| {
        json!({"pid": pid, "cmdline": "sh", "username": "root", "nice": 0, "mem_info1": "1.68M",
               "mem_info2": "2.53M", "cpu": 0.0, "mem": 0.007, "ctime": "0:00.00", "children": children})
    };
    let row = |pid: i32| format!("{pid}  sh root 0 1.68M 2.53M 0.0 0.007 0:00.00");
    let parent = info(9, json!([info(10, json!([]))]));
    let gone = "No such process (stopped?)";
    let web = format!("web:\n9: {}\n   {}\n100: {gone}", row(9), row(10));
    let infos = json!({"9": parent, "100": gone});
    assert_eq!(shown("stats web", json!({"name": "web", "info": infos})), web);
    let all = shown("stats", json!({"infos": {"a": {}, "web": infos}}));
    assert_eq!(all, format!("a:\n{web}"));
    let one = json!({"process": 9, "info": info(9, json!([]))});
    assert_eq!(shown("stats web 9", one), format!("9: {}", row(9)));
    assert_eq!(shown("stats web 9", json!({"process": 9, "info": gone})), format!("9: {gone}"));
    let daemon = shown("dstats", json!({"info": parent}));
    assert_eq!(daemon, format!("Main Process:\n    {}\nChildren:\n    {}", row(9), row(10)));
}

#[test]
fn a_usage_says_what_stands_where() {
    for (name, words) in [
        ("set", &["NAME", "KEY", "VALUE", "KEY", "VALUE", "KEY"][..]),
        ("get", &["NAME", "KEY", "KEY"]),
        ("listen", &["TOPIC", "TOPIC"]),
        ("stats", &["NAME", "NAME", "NAME"]),
        ("kill", &["NAME", "NAME", "NAME"]),
        ("signal", &["NAME", "SIGNAL", "SIGNAL"]),
        ("logs", &["rotate|reopen", "NAME", "NAME"]),
        ("quit", &[""]),
    ] {
        let command = find(name).unwrap();
        let found: Vec<&str> = (0..words.len()).map(|place| command.word(place)).collect();
        assert_eq!(found, words, "{name}");
    }
}
