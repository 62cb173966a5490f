//! The plugins that circus has itself, with real processes, datagrams and servers.

use crate::common::{Circus, Dir, PATIENCE, until};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What is sent to statsd.
struct Statsd(UdpSocket);

impl Statsd {
    fn new() -> Statsd {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Statsd(socket)
    }

    /// The options that lead here.
    fn options(&self) -> String {
        format!("host = 127.0.0.1\nport = {}\n", self.0.local_addr().expect("an address").port())
    }

    fn next(&self) -> String {
        let mut buffer = [0; 2000];
        let length = self.0.recv(&mut buffer).expect("a datagram");
        String::from_utf8(buffer[..length].to_vec()).expect("text")
    }

    /// The next datagram that begins so.
    fn wait(&self, begin: &str) -> String {
        loop {
            let text = self.next();
            if text.starts_with(begin) {
                return text;
            }
        }
    }
}

fn plugin(name: &str, class: &str, options: &str) -> String {
    format!("[plugin:{name}]\nuse = circus.plugins.{class}\n{options}\n")
}

const WEB: &str = "[watcher:web]\ncmd = sleep 1000\n";

#[test]
fn a_plugin_is_a_watcher_without_a_process() {
    let circus = Circus::start(&format!(
        "{WEB}{}{}",
        plugin("stats", "statsd.FullStats", "loop_rate = 1000"),
        plugin("off", "statsd.StatsdEmitter", "active = False"),
    ));
    circus.up("web");
    assert_eq!(circus.ctl_ok(&["list"]), "plugin:off,plugin:stats,web");
    assert_eq!(circus.ctl_ok(&["numwatchers"]), "3");
    assert_eq!(circus.ctl_ok(&["status"]), "plugin:off: stopped\nplugin:stats: active\nweb: active");
    assert_eq!(
        circus.ctl_ok(&["get", "plugin:stats", "loop_rate", "priority"]),
        "loop_rate: 1000\npriority: 1"
    );
    assert_eq!((circus.pids("plugin:stats").len(), circus.ctl_ok(&["numprocesses"]).as_str()), (0, "1"));
    let why = circus.ctl_ok(&["why", "plugin:stats"]);
    assert!(why.ends_with(": circus started. It has no process of its own."), "{why}");
    let mut events = circus.listen(&["watcher.plugin:stats"]);
    circus.ctl_ok(&["restart", "plugin:stats", "--waiting"]);
    events.wait("watcher.plugin:stats.stop");
    events.wait("watcher.plugin:stats.start");
    circus.ctl_ok(&["stop", "plugin:stats", "--waiting"]);
    assert_eq!(circus.status("plugin:stats"), "stopped");
    circus.up("plugin:off");
    assert_eq!(circus.status("plugin:off"), "active");
    assert_eq!(circus.ctl_ok(&["rm", "plugin:stats"]), "ok");
    assert_eq!(circus.ctl_ok(&["numwatchers"]), "2");
}

#[test]
fn what_keeps_a_plugin_from_its_work_is_told_as_long_as_it_lasts() {
    let rate = "watcher = later\nloop_rate = 0.05";
    let circus =
        Circus::start(&format!("{WEB}{}", plugin("looker", "resource_watcher.ResourceWatcher", rate)));
    circus.log.line("there is no watcher later to look at");
    let why = || circus.ctl_ok(&["why", "plugin:looker"]);
    assert!(why().contains("\nProblem: there is no watcher later to look at."), "{}", why());
    circus.ask("add", json!({"name": "later", "cmd": "sleep 1000"}));
    circus.log.line("there is a watcher later again");
    assert!(!why().contains("trouble"), "{}", why());
}

#[test]
fn wrong_options_are_findings_and_stop_that_plugin_alone() {
    let ini = format!(
        "{WEB}{}{}",
        plugin("dog", "watchdog.WatchDog", "msg_regex = ^alive$\nloop_rat = 3"),
        plugin("http", "http_observer.HttpObserver", "check_url = https://localhost/"),
    );
    let circus = Circus::start(&ini);
    circus.up("web");
    for (name, reason) in
        [("plugin:dog", "it has no group (?P<pid>...)"), ("plugin:http", "does not speak TLS")]
    {
        assert_eq!(circus.status(name), "stopped");
        let refused = circus.ctl_refused(&["start", name, "--waiting"]);
        assert!(refused.contains(reason), "{refused}");
    }
    let ended = crate::common::run(crate::common::circus().arg("check").arg(circus.dir.path("circus.ini")));
    assert_eq!(ended.code, 1);
    for line in [
        "circus.ini:7: error: msg_regex = ^alive$: it has no group",
        "circus.ini:8: warning: there is no option `loop_rat`: did you mean `loop_rate`?",
        "circus.ini:11: error: `check_url = https://localhost/` is not possible: circus does not speak TLS",
    ] {
        assert!(ended.out.contains(line), "{line}: {}", ended.out);
    }
}

/// A plugin whose options have changed in the file begins anew with them.
#[test]
fn reloadconfig_renews_a_plugin() {
    let dog =
        |more: &str| format!("{WEB}{}", plugin("dog", "watchdog.WatchDog", &format!("port = 0\n{more}")));
    let circus = Circus::start(&dog(""));
    let reload = |ini: &str| {
        circus.dir.config("circus.ini", ini);
        circus.ctl_ok(&["reloadconfig", "--waiting"]);
    };
    let web = circus.up("web");
    circus.log.line("listens at UDP 127.0.0.1:");
    reload(&dog("ip = 127.0.0.2"));
    circus.log.line("listens at UDP 127.0.0.2:");
    circus.dir.config("circus.ini", &dog("msg_regex = none"));
    let reason = circus.ctl_refused(&["reloadconfig", "--waiting"]);
    assert!(reason.contains("'plugin:dog' did not start: msg_regex = none: it has no group"), "{reason}");
    assert_eq!(circus.status("plugin:dog"), "stopped");
    circus.log.line("plugin:dog cannot run: msg_regex = none: it has no group");
    reload(&dog("ip = 127.0.0.3"));
    circus.until_status("plugin:dog", "active");
    circus.log.line("listens at UDP 127.0.0.3:");
    reload(WEB);
    assert_eq!(circus.ctl_ok(&["list"]), "web");
    assert_eq!(circus.pids("web"), web);
}

#[test]
fn flapping_stops_a_watcher_starts_it_again_and_gives_up() {
    let circus = Circus::start(&format!(
        "{}{WEB}[watcher:bad]\ncmd = false\nautostart = False\nflapping.max_retry = 2\n",
        plugin("flap", "flapping.Flapping", "retry_in = 0.2"),
    ));
    let mut events = circus.listen(&["watcher.bad"]);
    circus.ask("start", json!({"name": "bad"}));
    for _ in 0..3 {
        events.wait("watcher.bad.start");
        events.wait("watcher.bad.stop");
    }
    circus.log.line("plugin:flap: bad: flapping detected: reached max retry limit");
    assert!(circus.log.text().contains("bad: flapping detected: retry in 0.2s (attempt number 2)"));
    assert_eq!(events.topics().iter().filter(|topic| topic.ends_with(".reap")).count(), 6);
    assert_eq!(circus.status("bad"), "stopped");
    // Restarts that somebody asks for are no deaths.
    for _ in 0..4 {
        circus.ctl_ok(&["restart", "web", "--waiting"]);
    }
    circus.ask("kill", json!({"name": "web", "waiting": true}));
    assert!(!circus.log.text().contains("web: flapping"));
    // A new value holds from now on.
    circus.ctl_ok(&["set", "bad", "flapping.max_retry", "0"]);
    circus.ask("start", json!({"name": "bad"}));
    circus.log.times("reached max retry limit", 2);
    assert!(circus.ctl_refused(&["set", "bad", "flapping.window", "soon"]).contains("is not a number"));
}

#[test]
fn who_stops_a_watcher_that_flaps_has_the_last_word() {
    let circus = Circus::start(&format!(
        "{}[watcher:a]\ncmd = false\n[watcher:b]\ncmd = false\nautostart = False\n",
        plugin("flap", "flapping.Flapping", "retry_in = 0.2"),
    ));
    let mut events = circus.listen(&["watcher.a", "watcher.b"]);
    circus.log.line("a: flapping detected");
    circus.ctl_ok(&["stop", "a", "--waiting"]);
    let before = circus.log.count("a started");
    // The other one is stopped later, and so would be started later.
    circus.ask("start", json!({"name": "b"}));
    for _ in 0..3 {
        events.wait("watcher.b.start");
        events.wait("watcher.b.stop");
    }
    assert_eq!((circus.status("a").as_str(), circus.log.count("a started")), ("stopped", before));
}

const EATER: &str = "echo $$ > {dir}/pid-$1
    [ $1 = 1 ] && x=$(head -c 60000000 /dev/zero | tr '\\0' x)
    while :; do sleep 1; done";

#[test]
fn a_process_that_eats_memory_is_replaced_alone() {
    let dir = Dir::new();
    let cmd = dir.script("eater", &EATER.replace("{dir}", &dir.name("")));
    let statsd = Statsd::new();
    let options = format!(
        "watcher = eater\nloop_rate = 0.1\nmax_mem = 40M\nmax_count = 1\nmax_cpu = 0\n{}",
        statsd.options()
    );
    let ini = format!(
        "{}[watcher:eater]\ncmd = {cmd} $(circus.wid)\nnumprocesses = 2\nautostart = False\n",
        plugin("res", "resource_watcher.ResourceWatcher", &options)
    );
    let circus = Circus::with(dir, &ini, |_| {});
    let mut events = circus.listen(&["watcher.eater"]);
    circus.up("eater");
    let killed = events.pid("watcher.eater.kill");
    let pid_of = |wid: &str| circus.dir.read(&format!("pid-{wid}")).trim().parse::<i32>().expect("a pid");
    assert_eq!(killed, pid_of("1"));
    assert_ne!(events.pid("watcher.eater.spawn"), killed);
    assert!(circus.pids("eater").contains(&pid_of("2")), "the other one goes on");
    let line = circus.log.line("is stopped: ");
    assert!(line.ends_with(&format!("eater: process {killed} is stopped: over_memory")), "{line}");
    let prefix = "circus.app.watcher._resource_watcher.eater.";
    assert_eq!(statsd.next(), format!("{prefix}over_memory:1|c"));
    statsd.wait(&format!("{prefix}restarting:1|c"));
}

#[test]
fn a_child_that_eats_memory_gets_its_signal() {
    let dir = Dir::new();
    let child = "trap 'echo $$ > {dir}/told; exit' USR1
        x=$(head -c 60000000 /dev/zero | tr '\\0' x)
        while :; do sleep 0.1; done";
    let child = dir.script("child", &child.replace("{dir}", &dir.name("")));
    let cmd = dir.script(
        "parent",
        &format!("{child} & echo $! > {}\nwhile :; do wait; sleep 1; done", dir.name("child-pid")),
    );
    let options = "watcher = parent\nloop_rate = 0.1\nmax_mem = 40M\nmax_count = 0\nmax_cpu = 0\nhealth_threshold = 0\n\
                   process_children = True\nchild_signal = USR1";
    let res = plugin("res", "resource_watcher.ResourceWatcher", options);
    let circus = Circus::with(dir, &format!("{res}[watcher:parent]\ncmd = {cmd}\n"), |_| {});
    let told = until("the child has got its signal", || {
        std::fs::read_to_string(circus.dir.path("told")).ok().filter(|t| t.ends_with('\n'))
    });
    assert_eq!(told, circus.dir.read("child-pid"));
    assert_eq!(circus.pids("parent").len(), 1);
    assert_eq!(circus.log.count("is stopped: "), 0);
}

#[test]
fn the_watchdog_ends_who_is_silent() {
    let circus = Circus::start(&format!(
        "{}[watcher:web]\ncmd = sleep 1000\nnumprocesses = 2\n[watcher:other]\ncmd = sleep 1000\n",
        plugin(
            "dog",
            "watchdog.WatchDog",
            "loop_rate = 1\nmax_count = 2\nport = 0\nwatchers_regex = \"we\"\nwatchers_stop_signal = KILL"
        ),
    ));
    let mut events = circus.listen(&["watcher"]);
    let line = circus.log.line("listens at UDP");
    let address = line.rsplit(' ').next().expect("an address").to_string();
    let pids = circus.up("web");
    let speaks = Arc::new(AtomicBool::new(true));
    let (alive, flag) = (pids[0], speaks.clone());
    let speaker = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        while flag.load(Ordering::Relaxed) {
            for text in ["rubbish".to_string(), format!("{alive};12:00"), "99999999999999;x".into()] {
                socket.send_to(text.as_bytes(), &address).expect("sent");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(events.pid("watcher.web.kill"), pids[1], "nothing was heard of it");
    assert_eq!(events.wait("watcher.web.reap")["exit_code"], -9);
    speaks.store(false, Ordering::Relaxed);
    speaker.join().expect("it ends");
    let mut killed = Vec::new();
    while !killed.contains(&alive) {
        killed.push(events.pid("watcher.web.kill"));
    }
    assert_eq!(circus.log.count("msg_regex"), 1, "rubbish is worth one line");
    assert_eq!(events.topics().iter().filter(|topic| topic.starts_with("watcher.other")).count(), 0);
}

#[test]
fn a_program_that_has_changed_is_started_anew() {
    let dir = Dir::new();
    let script = dir.script("run", "exec sleep 1000");
    let program = dir.program("program", "/bin/sleep");
    let ini = format!(
        "{}[watcher:script]\ncmd = {script} argument\n[watcher:program]\ncmd = program 1000\n\
         [watcher:stopped]\ncmd = {script}\nautostart = False\n[env:program]\nPATH = {}\n",
        plugin("reload", "command_reloader.CommandReloader", "loop_rate = 0.05"),
        dir.name("")
    );
    let circus = Circus::with(dir, &ini, |_| {});
    let mut events = circus.listen(&["watcher"]);
    let before = [circus.up("script")[0], circus.up("program")[0]];
    // Replaced by another file, as an installation does it.
    circus.dir.program("new", "/bin/sleep");
    std::fs::rename(circus.dir.path("new"), &program).expect("renamed");
    assert_eq!(events.pid("watcher.program.kill"), before[1]);
    events.wait("watcher.program.start");
    // In one step: on a busy machine a file that is written in place may be empty for two looks.
    circus.dir.write("new", "exec sleep 1001\n");
    std::fs::rename(circus.dir.path("new"), circus.dir.path("run")).expect("renamed");
    assert_eq!(events.pid("watcher.script.kill"), before[0]);
    events.wait("watcher.script.start");
    assert_eq!(circus.status("stopped"), "stopped");
    circus.log.times("has changed, restarting", 2);
    assert_eq!(circus.log.count("has changed, restarting"), 2);
}

#[test]
fn statsd_is_told_of_events_and_of_what_is_used() {
    let statsd = Statsd::new();
    let options = format!("application_name = shop\nloop_rate = 0.2\n{}", statsd.options());
    let _circus = Circus::start(&format!(
        "{}{}[watcher:My Web]\ncmd = sleep 1000\nnumprocesses = 2\n",
        plugin(
            "emit",
            "statsd.StatsdEmitter",
            &options.replace("loop_rate", "autostart = True\n# loop_rate")
        ),
        plugin("full", "statsd.FullStats", &options),
    ));
    statsd.wait("circus.shop.watcher.plugin_full.start:1|c");
    for event in ["spawn", "spawn", "start"] {
        assert_eq!(
            statsd.wait("circus.shop.watcher.my_web."),
            format!("circus.shop.watcher.my_web.{event}:1|c")
        );
    }
    let prefix = "circus.shop.watcher._stats.my_web";
    assert_eq!(statsd.wait(prefix), format!("{prefix}.watchers_num:2|g"));
    statsd.wait(&format!("{prefix}.cpu_sum:"));
    let sum = statsd.wait(&format!("{prefix}.mem_sum:"));
    let bytes = sum.trim_start_matches(&format!("{prefix}.mem_sum:")).trim_end_matches("|g");
    assert!(bytes.parse::<u64>().expect("a number") > 100_000, "{sum}");
}

#[test]
fn a_web_server_is_asked_and_what_it_serves_restarted() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = server.local_addr().expect("an address").port();
    let statsd = Statsd::new();
    let options = format!(
        "check_url = http://localhost:{port}/alive\nloop_rate = 0.1\ntimeout = 0.5\nrestart_on_error = web\n{}",
        statsd.options()
    );
    let http = plugin("http", "http_observer.HttpObserver", &options);
    let circus = Circus::start(&format!("{http}{WEB}"));
    let mut events = circus.listen(&["watcher.web"]);
    let answer = |text: &str| {
        let (mut stream, _) = server.accept().expect("a connection");
        let mut request = vec![0; 1000];
        let length = stream.read(&mut request).expect("a request");
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        assert!(request.starts_with("GET /alive HTTP/1.0\r\nHost: localhost:"), "{request}");
        stream.write_all(text.as_bytes()).expect("it is read");
        stream
    };
    let prefix = "circus.http_observer.watcher.http_stats.";
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert!(statsd.next().starts_with(&format!("{prefix}request_time:")));
    answer("HTTP/1.1 503 Busy\r\n\r\n");
    for name in ["error", "error.503", "restart_on_error"] {
        assert_eq!(statsd.next(), format!("{prefix}{name}:1|c"));
    }
    events.wait("watcher.web.stop");
    events.wait("watcher.web.start");
    // A server that says nothing holds nobody up.
    let silent = answer("");
    assert_eq!(circus.ctl_ok(&["numwatchers"]), "2");
    assert_eq!(statsd.wait(&format!("{prefix}error.")), format!("{prefix}error.599:1|c"));
    drop(silent);
    circus.log.line("plugin:http: the server: the status is 503");
    answer("HTTP/1.1 302 Found\r\n\r\n");
    circus.log.line("plugin:http: the server answers again (repeated once)");
    // What was stopped on purpose stays so.
    circus.ctl_ok(&["stop", "web", "--waiting"]);
    drop(server);
    statsd.wait(&format!("{prefix}restart_on_error"));
    statsd.wait(&format!("{prefix}restart_on_error"));
    assert_eq!(circus.status("web"), "stopped");
}

#[test]
fn a_redis_server_is_asked_over_its_socket() {
    let dir = Dir::new();
    let server = UnixListener::bind(dir.path("redis")).expect("a socket");
    let statsd = Statsd::new();
    let options = format!(
        "redis_url = unix://:s%65cret@{}\nloop_rate = 0.1\nrestart_on_timeout = web\n{}",
        dir.name("redis"),
        statsd.options()
    );
    let redis = plugin("redis", "redis_observer.RedisObserver", &options);
    let circus = Circus::with(dir, &format!("{redis}{WEB}"), |_| {});
    let mut events = circus.listen(&["watcher.web"]);
    let prefix = "circus.redis_observer.watcher.redis_stats.";
    let request = b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nINFO\r\n";
    let answer = |parts: &[&str]| {
        let (mut stream, _) = server.accept().expect("a connection");
        let mut bytes = vec![0; request.len()];
        stream.read_exact(&mut bytes).expect("a request");
        assert_eq!(bytes, request);
        parts.iter().for_each(|part| stream.write_all(part.as_bytes()).expect("it is read"));
    };
    answer(&[
        "+OK\r\n+PO",
        "NG\r\n$",
        "50\r\n# Clients\r\nconnected_clients:3\r\nused_memory:1000\r",
        "\n\r\n",
    ]);
    assert_eq!(statsd.next(), format!("{prefix}connected_clients:3|g"));
    assert_eq!(statsd.next(), format!("{prefix}used_memory:1000|g"));
    answer(&["-WRONGPASS no\r\n", "-NOAUTH no\r\n-NOAUTH no\r\n"]);
    assert_eq!(statsd.next(), format!("{prefix}error:1|c"));
    circus.log.line("plugin:redis: the server: WRONGPASS no");
    answer(&["garbage\r\n"]);
    assert_eq!(statsd.next(), format!("{prefix}error:1|c"), "of the garbage");
    assert_eq!(statsd.next(), format!("{prefix}restart_on_error:1|c"));
    events.wait("watcher.web.stop");
    events.wait("watcher.web.start");
}
