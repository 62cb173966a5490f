//! Options by key, streams by class, names.

use super::*;

#[test]
fn options_are_set_and_read_by_key() {
    let mut w = WatcherConfig::default();
    assert_eq!(w.set("numprocesses", &Value::Int(3)), Ok(Live::Numprocesses));
    assert_eq!(w.get("numprocesses"), Some(Value::Int(3)));
    assert_eq!(w.set("numprocesses", &Value::Str("3".into())), Err(Refused::Type("an integer")));
    assert_eq!(w.set("rlimit_NOFILE", &Value::Str("infinity".into())), Ok(Live::Reload));
    assert_eq!(w.rlimits.get("nofile"), Some(&None));
    assert_eq!(w.set("stdout_stream.max_bytes", &Value::Str("10".into())), Ok(Live::Stored));
    assert_eq!(w.get("stdout_stream.max_bytes"), Some(Value::Int(10)));
    assert!(matches!(w.set("stdout_stream.max_bytes", &Value::Str("x".into())), Err(Refused::Bad(_))));
    assert_eq!(w.set("nonsense", &Value::Int(1)), Err(Refused::Unknown));
    assert_eq!(w.set("hooks.before_start", &Value::Str("/bin/x, true".into())), Ok(Live::Stored));
    assert_eq!(w.hooks.get("before_start"), Some(&("/bin/x".into(), true)));
}

#[test]
fn names_are_bounded() {
    assert_eq!(check_name("my app.1"), Ok(()));
    assert_eq!(check_name(&"\u{e9}".repeat(255)), Ok(()));
    for bad in ["", "a\nb", &"x".repeat(256)] {
        assert!(check_name(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_singleton_has_one_process_at_most() {
    let mut w = WatcherConfig::default();
    w.options.numprocesses = 5;
    assert_eq!(w.wanted(), 5);
    w.options.singleton = true;
    assert_eq!(w.wanted(), 1);
}
