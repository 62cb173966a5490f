//! Tests of `answers`.

use super::*;
use serde_json::json;

fn watcher() -> WatcherConfig {
    let mut watcher = WatcherConfig { name: "Web".into(), ..WatcherConfig::default() };
    for (key, value) in [
        ("cmd", Value::Str("sleep 1".into())),
        ("stop_signal", Value::Int(2)),
        ("env", Value::Map(vec![("A".into(), "1".into())])),
        ("rlimit_NOFILE", Value::Int(500)),
        ("rlimit_core", Value::Str("infinity".into())),
        ("stdout_stream.filename", Value::Str("/x".into())),
        ("stdout_stream.max_bytes", Value::Str("100".into())),
        ("hooks.before_start", Value::Str("/bin/x, true".into())),
        ("umask", Value::Int(0o22)),
    ] {
        watcher.set(key, &value).expect(key);
    }
    watcher.free.insert("foo".into(), "bar".into());
    // A limit whose text could not be used is kept as that text.
    watcher.free.insert("rlimit_stack".into(), "lots".into());
    watcher
}

#[test]
fn options_has_circus_keys_and_what_is_set() {
    let Some(Json::Object(all)) = options(&watcher()).remove("options") else { panic!() };
    let circus = "args close_child_stderr close_child_stdin close_child_stdout cmd copy_env executable gid \
                  graceful_timeout max_age max_age_variance max_retry numprocesses on_demand priority respawn \
                  send_hup shell shell_args singleton stderr_stream_conf stdout_stream_conf stop_children \
                  stop_signal uid use_sockets warmup_delay working_dir";
    for key in circus.split_whitespace() {
        assert!(all.contains_key(key), "{key}");
    }
    let more: Vec<&str> =
        all.keys().map(String::as_str).filter(|key| !circus.split_whitespace().any(|k| k == *key)).collect();
    assert_eq!(more, ["foo", "hooks.before_start", "rlimit_core", "rlimit_nofile", "rlimit_stack", "umask"]);
    for (key, value) in [
        ("cmd", json!("sleep 1")),
        ("stop_signal", json!(2)),
        ("graceful_timeout", json!(30.0)),
        ("uid", json!(null)),
        ("stdout_stream_conf", json!({"filename": "/x", "max_bytes": 100})),
        ("stderr_stream_conf", json!({})),
        ("umask", json!("022")),
        ("rlimit_core", json!(null)),
        ("rlimit_nofile", json!(500)),
        ("rlimit_stack", json!("lots")),
        ("hooks.before_start", json!("/bin/x, true")),
        ("foo", json!("bar")),
    ] {
        assert_eq!(all.get(key), Some(&value), "{key}");
    }
}

#[test]
fn get_knows_all_of_them_and_no_others() {
    let watcher = watcher();
    let Some(Json::Object(all)) = options(&watcher).remove("options") else { panic!() };
    for key in all.keys() {
        assert!(get(&watcher, std::slice::from_ref(key)).is_ok(), "{key}");
    }
    let keys = |keys: &[&str]| keys.iter().map(|k| k.to_string()).collect::<Vec<_>>();
    let some = get(&watcher, &keys(&["cmd", "foo", "stdout_stream.max_bytes"])).map(Json::Object);
    assert_eq!(
        some,
        Ok(json!({"options": {"cmd": "sleep 1", "foo": "bar", "stdout_stream.max_bytes": 100}}))
    );
    let unknown = get(&watcher, &keys(&["cmd", "zz"])).expect_err("no zz");
    assert_eq!(unknown, Refusal::message("'zz' option not found"));
}

#[test]
fn globaloptions_tells_the_place_that_is_served() {
    let circus = CircusOptions {
        stats_endpoint: Some("tcp://127.0.0.1:5557".into()),
        multicast_endpoint: Some("udp://237.219.251.97:12027".into()),
        ..CircusOptions::default()
    };
    let asked = |option| Json::Object(globaloptions(&circus, ("ipc:///run/x", "ipc:///run/y"), option));
    let expected = json!({"options": {"endpoint": "ipc:///run/x", "stats_endpoint": null, "pubsub_endpoint": "ipc:///run/y",
                                      "check_delay": 5.0, "multicast_endpoint": null}});
    assert_eq!(asked(None), expected);
    assert_eq!(asked(Some("endpoint")), json!({"options": {"endpoint": "ipc:///run/x"}}));
}

#[test]
fn what_is_not_there_is_named() {
    assert_eq!(no_watcher("zz").reason, "program zz not found");
    assert_eq!(no_process(1, "web").reason, "process 1 not found in 'web'");
}
