//! What files become: the rules of Circus as tables, then hostile input.

use super::*;
use crate::config::StreamKind;
use crate::config::memory::Memory;
use crate::config::model::WatcherConfig;
use crate::config::value::Value;

fn environ() -> Names {
    let pairs = [("PATH", "/bin"), ("HOME", "/home/u"), ("N", "3"), ("Mixed", "m"), ("DOLLAR", "a$HOME")];
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn read_text(text: &str) -> (Config, Vec<String>) {
    let (config, findings) = read("/c", &Memory::new(&[("/c", text)]), &environ(), "/");
    let show = |f: &Finding| format!("{} {:?} {}", f.origin.line, f.severity, f.message);
    (config.unwrap(), findings.iter().map(show).collect())
}

/// The configuration of a text that nothing is said about.
fn clean(text: &str) -> Config {
    let (config, findings) = read_text(text);
    assert_eq!(findings, [""; 0], "{text}");
    config
}

/// The only finding of a text.
#[track_caller]
fn one(text: &str, wanted: &str) -> Config {
    let (config, findings) = read_text(text);
    assert!(findings.len() == 1 && findings[0].starts_with(wanted), "{text}: {findings:#?}");
    config
}

fn watcher<'c>(config: &'c Config, name: &str) -> &'c WatcherConfig {
    config.watchers.iter().find(|w| w.name == name).unwrap()
}

fn env<'c>(config: &'c Config, name: &str, variable: &str) -> Option<&'c str> {
    watcher(config, name).env.get(variable).map(String::as_str)
}

#[test]
fn options_are_typed() {
    let config = clean(
        "[circus]\ncheck_delay = 0.5\numask = 002\nloglevel = INFO\nstats_endpoint = tcp://127.0.0.1:1\n\
         httpd = False\n[watcher:a]\ncmd = x\nnumprocesses=4\ngraceful_timeout = 25.5\nstop_signal = int\n\
         send_hup = yes\nwarmup_delay = 1\nrlimit_NOFILE = 1_000\nrlimit_core =\nmax_age = $(circus.env.N)0\n\
         stdout_stream.filename = $(circus.env.home)/x.log\nstdout_stream.max_bytes = 10\nuid = me\n",
    );
    assert_eq!((config.circus.check_delay, config.circus.umask, config.circus.statsd), (0.5, Some(2), true));
    assert_eq!(config.circus.loglevel.as_deref(), Some("info"));
    let w = watcher(&config, "a");
    let o = &w.options;
    assert_eq!((o.numprocesses, o.graceful_timeout, o.stop_signal, o.send_hup), (4, 25.5, 2, true));
    assert_eq!((o.warmup_delay, o.max_age, o.uid.as_deref(), w.broken.as_ref()), (1.0, 30, Some("me"), None));
    assert_eq!(w.rlimits.get("nofile"), Some(&Some(1000)));
    assert_eq!(w.rlimits.get("core"), Some(&None));
    let stream = w.stdout_stream.as_ref().unwrap();
    assert_eq!(stream.options.filename.as_deref(), Some("/home/u/x.log"));
    assert_eq!((stream.options.max_bytes, stream.kind()), (10, StreamKind::File));
    assert_eq!(w.origins.of("uid").unwrap().line, 19);
}

#[test]
fn variables_are_replaced_in_their_time() {
    let config = clean(
        "[env]\nX = $(circus.env.MIXED)\nPATH = $PATH:/x:$PATH\n[env:a]\nY = y\nPATH = /own\n[socket:s]\n\
         path = /run/$(circus.env.X)\n[watcher:a]\n\
         cmd = run $(circus.env.X) $(circus.env.Y) $(circus.wid) $(circus.sockets.s) $(circus.env.PATH)\n\
         working_dir = /$(circus.env.y)/$(circus.wid)\nnumprocesses = $(circus.env.N)\n",
    );
    let o = &watcher(&config, "a").options;
    assert_eq!(&*o.cmd, "run m y $(circus.wid) $(circus.sockets.s) /own");
    assert_eq!(o.working_dir.as_deref(), Some("/y/$(circus.wid)"));
    assert_eq!(o.numprocesses, 3);
    assert_eq!(config.sockets[0].options.path.as_deref(), Some("/run/m"));
    assert_eq!(config.sockets[0].options.family, "AF_UNIX");
    let hook = read_text("[watcher:a]\ncmd = x\nhooks.before_start = a.$(circus.env.N), true").0;
    assert_eq!(watcher(&hook, "a").hooks.get("before_start"), Some(&("a.$(circus.env.N)".to_string(), true)));
}

#[test]
fn environments_are_merged_in_order() {
    let config = clean(
        "[env:b]\nV = first\nW = b\n[env]\nV = all\nPATH = $PATH:/e\n[watcher:a]\ncmd=x\n[watcher:b]\ncmd = x\n\
         copy_env = True\n[env:z* , b]\nV = last\n[env:b]\nV2 = again\n[watcher:Zed]\ncmd = x\n[env:*]\nAll = 1\n\
         [watcher:zed2]\ncmd = x\n",
    );
    assert_eq!(env(&config, "a", "V"), Some("all"));
    assert_eq!(env(&config, "a", "HOME"), None);
    assert_eq!(env(&config, "a", "PATH"), Some("/bin:/e"));
    assert_eq!(env(&config, "b", "V"), Some("last"));
    assert_eq!(env(&config, "b", "V2"), Some("again"));
    let environ = Names::from_iter([("HOME", "/home/u"), ("V", "x")].map(|(k, v)| (k.into(), v.into())));
    let copied = watcher(&config, "b").environment(&environ);
    assert_eq!(
        (copied.get("HOME").unwrap().as_str(), copied.get("V").unwrap().as_str()),
        ("/home/u", "last")
    );
    assert_eq!(watcher(&config, "a").environment(&environ).get("HOME"), None);
    assert_eq!(env(&config, "Zed", "V"), Some("all"));
    assert_eq!(env(&config, "zed2", "V"), Some("last"));
    assert!(
        config
            .watchers
            .iter()
            .all(|w| w.env.get("All").is_some_and(|all| all == "1") && !w.env.contains_key("__name__"))
    );
    let names: Vec<_> = config.watchers.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(names, ["Zed", "a", "b", "zed2"]);
}

#[test]
fn variables_in_patterned_environments_stay() {
    let config = one(
        "[watcher:a]\ncmd = x\n[env:a]\nV = $(circus.WID) $(circus.env.N) $HOME",
        "4 Warning `$(circus.env.N)` is not",
    );
    assert_eq!(env(&config, "a", "V"), Some("$(circus.WID) $(circus.env.N) /home/u"));
    one("[watcher:a]\ncmd = x\n[env:b]\nV = 1", "3 Warning there is no watcher of this name");
}

#[test]
fn ten_wrong_lines_give_ten_findings() {
    let (_, findings) = read_text(
        "[circus]\ncheck_delay = soon\n[watcher:a]\ncmd = x\nnumprocesses = $(circus.env.WORKERS)\nsinglton = 1\n\
         stop_signal = NOPE\nrlimit_nofile = many\nmax_age = x\ncopy_env = maybe\nstdout_streamclass = x\nword\n\
         [socket:s]\nport = http\n[whatever]\n",
    );
    assert_eq!(
        findings,
        [
            "2 Fatal `check_delay = soon` is not a number",
            "5 Fatal `numprocesses = $(circus.env.WORKERS)` is not a whole number; the variable WORKERS is not set",
            "6 Warning there is no option `singlton`: did you mean `singleton`?",
            "7 Fatal `stop_signal = NOPE` is not a signal (a number, or a name such as TERM, SIGINT or SIGRTMIN+3)",
            "8 Fatal `rlimit_nofile = many` is not an integer, infinity or empty",
            "9 Error `max_age = x` is not a whole number",
            "10 Fatal `copy_env = maybe` is neither true (yes, true, on, 1) nor false (no, false, off, 0)",
            "11 Fatal `stdout_streamclass` needs a dot, as in `stdout_stream.class`",
            "12 Fatal `word` is neither a [section] nor an option (`key = value`)",
            "14 Error `port = http` is not a whole number",
            "15 Warning there is no section [whatever]",
        ]
    );
}

#[test]
fn a_fatal_finding_leaves_no_configuration() {
    let files = Memory::new(&[("/c", "[watcher:a]\nshell = perhaps"), ("/d", "[watcher:a]\nmax_age = x")]);
    assert!(load("/c", &files, &environ(), "/").config.is_none());
    let loaded = load("d", &files, &environ(), "/");
    assert_eq!(loaded.findings.len(), 1);
    assert_eq!(loaded.findings[0].origin.to_string(), "d:2");
    let w = loaded.config.unwrap().watchers.remove(0);
    assert_eq!(w.broken.as_deref(), Some("`max_age = x` is not a whole number"));
    assert_eq!(w.free.get("max_age").unwrap(), "x");
    let missing = load("/none", &files, &environ(), "/");
    assert_eq!((missing.config, missing.findings.len()), (None, 1));
}

#[test]
fn options_without_effect_say_so_once() {
    let cases = [
        (
            "[watcher:a]\ncmd = x\nhooks.befor_start = y",
            "3 Warning there is no hook `befor_start`: did you mean",
        ),
        (
            "[watcher:a]\ncmd = x\nprereload_fn = y",
            "3 Warning `prereload_fn` has no effect: it names a Python",
        ),
        ("[circus]\nhttpd = 1", "2 Warning `httpd` has no effect: there is no web console"),
        (
            "[plugin:a]\nuse = circus.plugins.Flaping",
            "2 Warning there is no plugin `circus.plugins.Flaping`: did you mean `circus.plugins.flapping.Flapping`?",
        ),
    ];
    for (text, wanted) in cases {
        one(text, wanted);
    }
    clean("[plugin:a]\nuse = my.Plugin\nx = y\npriority = 2\n[plugin:b]\ncmd = z");
    clean(
        "[circus]\nstatsd = 1\nstats_endpoint = x\npubsub_endpoint = x\ncheck_delay = 5\nhttpd = 0\ndebug = False",
    );
    clean(
        "[watcher:a]\ncmd = x\ncritical = no\nstdout_stream.class = StdoutStream\nstdout_stream.refresh_time = 1",
    );
}

#[test]
fn streams_that_cannot_be_made_lose_no_output() {
    let typo = "4 Warning there is no class `FielStream` (did you mean `FileStream`?); the output goes";
    for (class, wanted) in [("my.Stream", "4 Warning `my.Stream` is a Python class"), ("FielStream", typo)] {
        let text = format!("[watcher:a]\ncmd = x\nstderr_stream.filename = f\nstderr_stream.class = {class}");
        let config = one(&text, wanted);
        assert_eq!(watcher(&config, "a").stderr_stream.as_ref().unwrap().kind(), StreamKind::Stdout);
    }
}

#[test]
fn what_is_odd_is_pointed_out() {
    let cases = [
        ("[Watcher:x]\ncmd = x", "1 Warning there is no section [Watcher:x]: did you mean [watcher:x]?"),
        ("[watcher:a]\ncmd = x\nuser = www", "3 Warning there is no option `user`: did you mean `uid`?"),
        (
            "[watcher:a]\ncmd = x\nenvironment = A=1",
            "3 Warning there is no option `environment`: did you mean `[env:NAME]`?",
        ),
        (
            "[watcher:a]\ncmd = x\nendpoint_owner = y",
            "3 Warning there is no option `endpoint_owner`: it belongs in [circus]",
        ),
        ("[watcher:a]\ncmd = x\nenv = A=1", "3 Warning `env` has no effect here"),
        ("[watcher:a]\ncmd = $(circus.env.NONE)", "2 Warning the variable NONE is not set"),
        ("[watcher:a]\ncmd = x\n[env]\nA = 1$NONE", "4 Warning the variable NONE is not set, so `$NONE`"),
        ("[watcher:a]\ncmd = x\n[env:a]\nNONE = $NONE:1 $OTHER", "4 Warning the variable OTHER is not set"),
        ("[watcher:a]\ncmd = x # y", "2 Warning a `#` behind a value"),
        (
            "[watcher:a]\ncmd = x\nstop_signal = TERM # y",
            "3 Warning `stop_signal = TERM # y` is not a signal",
        ),
        ("[watcher:a]\ncmd = x\n uid = y", "3 Warning `uid = y` is indented"),
        ("[watcher:a]\n  cmd = x", "2 Warning the key is indented, so it is not `cmd`"),
        ("[socket:s]", "1 Warning the section is empty"),
        ("[socket:s]\nport = 1\nname = t", "3 Warning `name` has no effect here"),
        (
            "[socket:s]\nproto = nonsense",
            "2 Error `proto = nonsense` is not a protocol that is known; give its number",
        ),
        ("[socket:s]\nhots = y", "2 Warning there is no option `hots`: did you mean `host`?"),
        ("[watcher:a]\ncmd = x\nvirtualenv = y", "3 Error virtualenv needs `copy_env = True`"),
        ("[watcher:a]\ncmd = x\ncopy_path = 1", "3 Error copy_path needs `copy_env = True`"),
        ("[watcher:a]\ncmd = x\nrlimit_cpu = -5", "3 Error `rlimit_cpu = -5` is not"),
        ("[watcher:a]\ncmd = x\nnumprocesses = 100001", "3 Error numprocesses is more than 100000"),
        ("[watcher:a]\ncmd = x\nstop_signal = 99", "3 Error `stop_signal = 99` is not a signal"),
        ("[watcher:]\ncmd = x", "1 Error the section is left out: its name is missing"),
        ("[circus]\nloglevel = loud", "2 Error `loglevel = loud` is none of"),
    ];
    for (text, wanted) in cases {
        one(text, wanted);
    }
    let name = "x".repeat(256);
    one(
        &format!("[watcher:{name}]\ncmd = x"),
        "1 Error the section is left out: its name is longer than 255",
    );
}

#[test]
fn names_are_overridden_lowered_and_unique() {
    let config = one(
        "[watcher:Web]\ncmd = a\n[watcher:b]\nname = web\ncmd = b\n[socket:x.socket:Y]\nport = 1",
        "1 Warning the watcher `Web` is replaced by that at /c:3: only",
    );
    assert_eq!(config.watchers.len(), 1);
    assert_eq!(&*watcher(&config, "web").options.cmd, "b");
    assert_eq!(config.sockets[0].name, "y");
}

#[test]
fn defaults_reach_every_section() {
    let config = clean("[DEFAULT]\nuid = me\n[watcher:a]\ncmd = x\n[watcher:b]\ncmd = y\nuid = you");
    assert_eq!(watcher(&config, "a").get("uid"), Some(Value::Str("me".into())));
    assert_eq!(watcher(&config, "b").get("uid"), Some(Value::Str("you".into())));
    one(
        "[DEFAULT]\nodd = 1\n[watcher:a]\ncmd = x\n[watcher:b]\ncmd = y",
        "2 Warning there is no option `odd`",
    );
}

#[test]
fn a_message_is_short_however_long_the_key() {
    for key in ["tdout_stream.", "rlimit_", "hooks.", "odd"] {
        let long = key.to_string() + &"x".repeat(10_000);
        let (_, findings) = read_text(&format!("[watcher:a]\ncmd = x\n{long} = {long}\n"));
        assert!(!findings.is_empty(), "{key}");
        assert!(findings.iter().all(|finding| finding.len() < 1000), "{key}");
    }
}

#[test]
fn growth_is_bounded() {
    let text = format!("[env]\nA = {}\n[watcher:a]\ncmd = x\n", "x".repeat(1_000_000));
    let lines: String = (0..400).map(|n| format!("f{n} = $(circus.env.A)\n")).collect();
    let (_, findings) = read_text(&(text + &lines));
    assert!(
        findings.iter().any(|f| f.contains("Fatal variables and environments grow")),
        "{:?}",
        findings.last()
    );
}
