//! Every command of Circus on the control socket: properties, keys of the reply, error numbers and reasons; and that
//! `circus ctl --json` prints the same.
//!
//! The replies were compared with those of Circus 0.19 to the same requests. Where they differ, Circus answers with
//! the text of a Python exception, with `server error`, with ok to what it then does not do, or not at all.

use crate::common::client::Client;
use crate::common::{Circus, until};
use serde_json::{Value as Json, json};

const INI: &str = "
    [socket:local]
    path = {dir}/local
    backlog = 5
    [watcher:Web]
    cmd = sleep 1000
    numprocesses = 2
    [watcher:single]
    cmd = sleep 1000
    singleton = True
    mine = 7
    [watcher:off]
    cmd = sleep 1000
    autostart = False
    ";

/// A reply without what is different each time: pids become their number, descriptors and the time go.
fn plain(reply: &Json) -> Json {
    match reply {
        Json::Object(members) => {
            let kept = members.iter().filter(|(key, _)| !matches!(key.as_str(), "time" | "fd"));
            let value = |key: &str, value: &Json| match (key, value) {
                ("pids" | "started" | "stopped" | "kept", Json::Array(pids)) => pids.len().into(),
                _ => plain(value),
            };
            Json::Object(kept.map(|(key, it)| (key.clone(), value(key, it))).collect())
        }
        Json::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// Sends requests one after the other, and compares each reply but for `id` and `status: ok`.
fn in_order(client: &mut Client, rows: &[(&str, Json, Json)]) {
    for (n, (command, properties, expected)) in rows.iter().enumerate() {
        client.send_request(&json!({"command": command, "properties": properties, "id": n}));
        let reply = client.reply();
        assert!(reply["time"].is_f64(), "{reply}");
        let mut expected = expected.clone();
        expected["id"] = n.into();
        if expected["status"].is_null() {
            expected["status"] = "ok".into();
        }
        assert_eq!(plain(&reply), expected, "{command} {properties}");
    }
}

fn started() -> Circus {
    let circus = Circus::start(INI);
    circus.up("web");
    circus.up("single");
    circus
}

#[test]
fn replies_have_circus_keys() {
    let circus = started();
    let w = |name: &str| json!({"name": name, "waiting": true});
    let with = |mut properties: Json, key: &str, value: Json| {
        properties[key] = value;
        properties
    };
    let ok = || json!({});
    in_order(
        &mut circus.client(),
        &[
            ("list", json!({}), json!({"watchers": ["off", "single", "web"]})),
            ("list", json!({"name": "WEB"}), json!({"pids": 2})),
            ("LIST", json!({"name": null}), json!({"watchers": ["off", "single", "web"]})),
            (
                "status",
                json!({}),
                json!({"statuses": {"Web": "active", "off": "stopped", "single": "active"}}),
            ),
            ("status", json!({"name": "wEb"}), json!({"status": "active"})),
            ("numprocesses", json!({}), json!({"numprocesses": 3})),
            ("numprocesses", json!({"name": "WEB"}), json!({"numprocesses": 2, "watcher_name": "WEB"})),
            ("numwatchers", json!({}), json!({"numwatchers": 3})),
            (
                "get",
                json!({"name": "single", "keys": ["mine", "singleton"]}),
                json!({"options": {"mine": "7", "singleton": true}}),
            ),
            (
                "get",
                json!({"name": "web", "keys": ["warmup_delay", "uid", "env"]}),
                json!({"options": {"warmup_delay": 0, "uid": null, "env": {}}}),
            ),
            ("get", json!({"name": "web", "keys": []}), json!({"options": {}})),
            ("globaloptions", json!({"option": "check_delay"}), json!({"options": {"check_delay": 5.0}})),
            (
                "listsockets",
                json!({}),
                json!({"sockets": [{"name": "local", "backlog": 5, "path": circus.dir.name("local")}]}),
            ),
            ("incr", w("web"), json!({"numprocesses": 3})),
            ("incr", with(w("web"), "nb", json!(2)), json!({"numprocesses": 5})),
            ("decr", with(w("web"), "nb", json!(4)), json!({"numprocesses": 1})),
            ("decr", with(w("web"), "nb", json!(9)), json!({"numprocesses": 0})),
            ("incr", with(w("web"), "nb", json!("2")), json!({"numprocesses": 2})),
            ("incr", json!({"name": "web", "nb": 0}), ok()),
            ("incr", w("single"), json!({"numprocesses": 1, "singleton": true})),
            ("decr", json!({"name": "single"}), json!({"numprocesses": 1, "singleton": true})),
            ("incr", w("off"), json!({"numprocesses": 2})),
            ("start", w("web"), json!({"info": {"started": 0, "kept": 2}})),
            ("start", w("off"), json!({"info": {"started": 2, "kept": 0}})),
            ("stop", w("off"), json!({"info": null})),
            ("stop", w("off"), json!({"info": null})),
            ("stop", with(w("w*"), "match", json!("glob")), json!({"info": null})),
            ("start", with(w("WEB"), "match", json!("simple")), json!({"info": {"started": 2, "kept": 0}})),
            ("restart", w("web"), json!({"info": {"stopped": 2, "started": 2, "kept": 0}})),
            (
                "restart",
                with(w("si.*"), "match", json!("regex")),
                json!({"info": {"stopped": 1, "started": 1, "kept": 0}}),
            ),
            ("restart", json!({"name": "web"}), ok()),
            ("start", w("*"), ok()),
            ("reload", w("web"), json!({"info": {"stopped": 2, "started": 2, "kept": 0}})),
            (
                "reload",
                with(w("web"), "sequential", json!(true)),
                json!({"info": {"stopped": 2, "started": 2, "kept": 0}}),
            ),
            (
                "reload",
                with(w("web"), "graceful", json!(false)),
                json!({"info": {"stopped": 2, "started": 2, "kept": 0}}),
            ),
            ("reload", json!({"waiting": true}), ok()),
            ("signal", json!({"name": "web", "signum": "sigcont"}), ok()),
            ("signal", json!({"name": "web", "signum": 18, "children": true}), ok()),
            ("signal", json!({"name": "web", "signum": "18", "recursive": true}), ok()),
            ("kill", json!({"name": "web"}), ok()),
            ("kill", with(w("web"), "graceful_timeout", json!(1.5)), ok()),
            ("kill", with(w("single"), "signum", json!("KILL")), ok()),
            ("set", json!({"name": "web", "options": {}}), ok()),
            ("set", with(w("web"), "options", json!({"numprocesses": 1})), ok()),
            ("add", json!({"name": "New", "cmd": "sleep 1000"}), ok()),
            ("status", json!({"name": "new"}), json!({"status": "stopped"})),
            ("add", with(w("more"), "cmd", json!("sleep")), ok()),
            (
                "add",
                json!({"name": "run", "cmd": "sleep", "args": ["1000"], "start": true, "waiting": true}),
                json!({"started": 1, "kept": 0}),
            ),
            ("add", json!({"name": "soon", "cmd": "sleep", "args": "1000", "start": true}), ok()),
            ("rm", w("run"), ok()),
            ("rm", json!({"name": "soon", "nostop": true}), ok()),
            ("rm", json!({"name": "more"}), ok()),
            ("numwatchers", json!({}), json!({"numwatchers": 4})),
            ("stop", json!({"waiting": true}), ok()),
            ("quit", json!({"waiting": true}), ok()),
        ],
    );
}

#[test]
fn errors_have_circus_numbers_and_reasons() {
    let circus = started();
    let none = "program none not found";
    let missing = |key: &str| format!("message invalid '{key}' is missing");
    let rows: Vec<(&str, Json, u8, String)> = [
        ("frob", json!({}), 2, "unknown command: 'frob'"),
        ("list", json!({"name": "none"}), 3, none),
        ("list", json!({"name": 5}), 3, "'name' isn't a string"),
        ("status", json!({"name": "none"}), 3, none),
        ("numprocesses", json!({"name": "none"}), 3, none),
        ("get", json!({"name": "none", "keys": ["cmd"]}), 3, none),
        ("get", json!({"name": "web", "keys": ["zz"]}), 3, "'zz' option not found"),
        ("get", json!({"name": "web", "keys": "cmd"}), 3, "'keys' isn't a list of strings"),
        ("options", json!({"name": "none"}), 3, none),
        ("globaloptions", json!({"option": "zz"}), 3, "'zz' not an existing option"),
        ("stats", json!({"name": "none"}), 3, none),
        ("stats", json!({"name": "web", "process": 1}), 3, "process 1 not found in 'web'"),
        ("stats", json!({"name": "web", "process": "x"}), 3, "'process' isn't an integer"),
        ("incr", json!({"name": "none"}), 3, none),
        ("incr", json!({"name": "web", "nb": "x"}), 3, "'nb' isn't an integer"),
        (
            "incr",
            json!({"name": "web", "nb": 1_000_000}),
            3,
            "1000002 processes are too many; the limit is 100000",
        ),
        ("decr", json!({"name": "none"}), 3, none),
        ("start", json!({"name": "none"}), 3, none),
        ("start", json!({"name": "none", "waiting": true}), 3, none),
        ("start", json!({"name": "web", "waiting": "yes"}), 3, "'waiting' isn't a valid boolean"),
        ("stop", json!({"name": "none"}), 3, none),
        ("stop", json!({"name": "web", "match": "best"}), 3, "unknown match method best"),
        ("restart", json!({"name": "none*"}), 3, "program none* not found"),
        ("reload", json!({"name": "none"}), 3, none),
        ("reload", json!({"name": "web", "graceful": 1}), 3, "'graceful' isn't a valid boolean"),
        ("signal", json!({"name": "none", "signum": 1}), 3, none),
        ("signal", json!({"name": "web", "signum": "zz"}), 3, "signal invalid"),
        ("signal", json!({"name": "web", "signum": 999}), 3, "signal invalid"),
        ("signal", json!({"name": "web", "signum": 1, "pid": 1}), 3, "process 1 not found in 'web'"),
        ("signal", json!({"name": "web", "signum": 1, "pid": -1}), 3, "'pid' isn't the id of a process"),
        (
            "signal",
            json!({"name": "web", "signum": 1, "childpid": 1}),
            3,
            "cannot specify childpid without pid",
        ),
        ("kill", json!({"name": "none"}), 3, none),
        ("kill", json!({"name": "none", "waiting": true}), 3, none),
        ("kill", json!({"name": "web", "pid": 1}), 3, "process 1 not found in 'web'"),
        ("kill", json!({"name": "web", "signum": "zz"}), 3, "signal invalid"),
        ("kill", json!({"name": "web", "graceful_timeout": "x"}), 3, "'graceful_timeout' isn't a number"),
        ("set", json!({"name": "none", "options": {"max_age": 1}}), 3, none),
        ("set", json!({"name": "web", "options": 5}), 3, "'options' property should be an object"),
        (
            "set",
            json!({"name": "web", "options": {"numprocesses": "1"}}),
            3,
            "'numprocesses' isn't an integer",
        ),
        ("set", json!({"name": "web", "options": {"zz": 1}}), 3, "unknown key 'zz'"),
        ("add", json!({"name": "WEB", "cmd": "sleep"}), 5, "'WEB' already exist"),
        (
            "add",
            json!({"name": "x", "cmd": "sleep", "options": []}),
            3,
            "'options' property should be an object",
        ),
        ("add", json!({"name": "x", "cmd": "sleep", "options": {"zz": 1}}), 3, "unknown key 'zz'"),
        ("add", json!({"name": "x", "cmd": "sleep", "args": 5}), 3, "'args' isn't a string"),
        (
            "add",
            json!({"name": "x", "cmd": "sleep", "options": {"singleton": true, "numprocesses": 2}}),
            5,
            "Singleton watcher has a single process",
        ),
        ("rm", json!({"name": "none"}), 3, none),
        ("rm", json!({"name": "web", "nostop": 1}), 3, "'nostop' isn't a valid boolean"),
        ("quit", json!({"waiting": 1}), 3, "'waiting' isn't a valid boolean"),
    ]
    .into_iter()
    .map(|(command, properties, errno, reason)| (command, properties, errno, reason.to_string()))
    .chain(
        ["get", "options", "incr", "decr", "signal", "kill", "set", "add", "rm"]
            .map(|c| (c, json!({}), 3, missing("name"))),
    )
    .chain(
        [("get", "keys"), ("signal", "signum"), ("set", "options"), ("add", "cmd")]
            .map(|(c, key)| (c, json!({"name": "web"}), 3, missing(key))),
    )
    .collect();
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(command, properties, errno, reason)| {
            (command, properties, json!({"status": "error", "errno": errno, "reason": reason, "tb": null}))
        })
        .collect();
    in_order(&mut circus.client(), &rows);
    assert_eq!(circus.pids("web").len(), 2, "nothing was done");
}

/// A start that fails is error 6, with the reason that Circus keeps for its log.
#[test]
fn work_that_fails_is_told_to_who_waits() {
    let circus = started();
    let reason = "exec /no/such/program: No such file or directory";
    let add = json!({"name": "bad", "cmd": "/no/such/program", "options": {"max_retry": 1}, "start": true, "waiting": true});
    let failed = |what: &str| json!({"status": "error", "errno": 6, "reason": format!("'bad' {what}: {reason}"), "tb": null});
    in_order(
        &mut circus.client(),
        &[
            ("add", add, failed("did not start")),
            ("start", json!({"name": "bad", "waiting": true}), failed("did not start")),
            ("start", json!({"name": "bad"}), json!({})),
            ("restart", json!({"name": "bad", "waiting": true}), failed("did not start")),
            ("reload", json!({"name": "bad", "waiting": true}), failed("did not start")),
            ("stop", json!({"name": "bad", "waiting": true}), json!({"info": null})),
        ],
    );
}

#[test]
fn a_cast_is_carried_out_without_a_word() {
    let circus = started();
    let mut client = circus.client();
    client.send_request(&json!({"command": "incr", "msg_type": "cast", "properties": {"name": "web"}}));
    client.send_request(&json!({"command": "frob", "msg_type": "cast"}));
    client.send_request(&json!({"command": "numwatchers", "id": "x"}));
    assert_eq!(client.reply()["id"], "x");
    until("there is one more", || (circus.pids("web").len() == 3).then_some(()));
}

/// What `circus ctl --json` prints is the reply, whichever the command.
#[test]
fn ctl_prints_the_same_as_json() {
    let circus = started();
    for (args, properties) in [
        (&["list"][..], json!({})),
        (&["list", "web"], json!({"name": "web"})),
        (&["status"], json!({})),
        (&["numwatchers"], json!({})),
        (&["numprocesses", "web"], json!({"name": "web"})),
        (&["get", "single", "mine", "cmd"], json!({"name": "single", "keys": ["mine", "cmd"]})),
        (&["options", "single"], json!({"name": "single"})),
        (&["globaloptions"], json!({})),
        (&["listsockets"], json!({})),
        (&["incr", "single"], json!({"name": "single"})),
        (&["start", "web", "--waiting"], json!({"name": "web", "waiting": true})),
        (&["stop", "off", "--waiting"], json!({"name": "off", "waiting": true})),
        (&["signal", "web", "CONT"], json!({"name": "web", "signum": "CONT"})),
        (&["set", "web", "max_age", "0"], json!({"name": "web", "options": {"max_age": 0}})),
        (&["set", "web", "uid", "no-such-user"], json!({"name": "web", "options": {"uid": "no-such-user"}})),
        (&["reload", "none"], json!({"name": "none"})),
    ] {
        let ended = circus.ctl(&[&["--json"], args].concat());
        let printed: Json = serde_json::from_str(&ended.out).unwrap_or_else(|why| panic!("{why}: {ended:?}"));
        let reply = circus.call(args[0], properties);
        assert_eq!(plain(&printed), plain(&reply), "{args:?}");
        assert_eq!(ended.code, if reply["status"] == "error" { 3 } else { 0 }, "{args:?}");
    }
    let keys = circus.ask("options", json!({"name": "single"}))["options"].clone();
    let keys: Vec<&str> = keys.as_object().expect("an object").keys().map(String::as_str).collect();
    let of_circus = "args close_child_stderr close_child_stdin close_child_stdout cmd copy_env executable gid \
         graceful_timeout max_age max_age_variance max_retry mine numprocesses on_demand priority respawn send_hup shell \
         shell_args singleton stderr_stream_conf stdout_stream_conf stop_children stop_signal uid use_sockets \
         warmup_delay working_dir";
    assert_eq!(
        keys.join(" "),
        of_circus,
        "the keys of Circus but for env, which is told to who asks for it by name"
    );
}
