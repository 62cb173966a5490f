//! Processes that tell, or are asked, whether they do their work: `ready`, `health`, `watchdog`; and watchers that
//! depend on each other.

use crate::common::{Circus, Dir, SIGUSR1, exists, proc, until};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

/// Sends a datagram to the NOTIFY_SOCKET of this name.
fn notify(name: &str, text: &str) {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    };
    let (address, socket) = (address.expect("a name"), UnixDatagram::unbound().expect("a socket"));
    socket.send_to_addr(text.as_bytes(), &address).expect("sent");
}

/// No test: says to circus what is written into the pipe FIFO, line by line, as a process of it.
#[test]
fn speaker() {
    let (Ok(fifo), Ok(socket)) = (std::env::var("FIFO"), std::env::var("NOTIFY_SOCKET")) else { return };
    loop {
        let pipe = BufReader::new(std::fs::File::open(&fifo).expect("the pipe"));
        pipe.lines().for_each(|line| notify(&socket, &line.expect("a line")));
    }
}

/// A directory with a pipe.
fn with_fifo() -> Dir {
    let dir = Dir::new();
    let made = std::process::Command::new("mkfifo").arg(dir.path("fifo")).status().expect("mkfifo");
    assert!(made.success());
    dir
}

fn say(circus: &Circus, text: &str) {
    // Whoever opens it waits for the other.
    let mut pipe = std::fs::OpenOptions::new().write(true).open(circus.dir.path("fifo")).expect("the pipe");
    pipe.write_all(text.as_bytes()).expect("it is read");
}

/// A speaker as a watcher `w`, behind this prefix of its command, with further options.
fn speaking(prefix: &str, options: &str) -> Circus {
    speaking_in(with_fifo(), prefix, options)
}

/// The command line of a speaker.
fn speaker_command() -> String {
    let program = std::env::current_exe().expect("the path of this program");
    format!("{} --exact ready::speaker --test-threads 1", program.display())
}

fn speaking_in(dir: Dir, prefix: &str, options: &str) -> Circus {
    let command = speaker_command();
    let ini = format!(
        "[watcher:w]\ncmd = {}\n{options}\n[env:w]\nFIFO = {{dir}}/fifo\n",
        if prefix.is_empty() { command } else { format!("{prefix} '{command} & wait'") }
    );
    Circus::with(dir, &ini, |_| {})
}

fn failing(circus: &Circus, name: &str) -> String {
    let reply = circus.ask("status", json!({"name": name, "check": true}));
    reply["failing"][name].as_str().unwrap_or_default().to_string()
}

#[test]
fn a_process_says_that_it_is_ready() {
    for prefix in ["", "sh -c"] {
        let circus = speaking(prefix, "ready = notify\nwatchdog = 1000");
        let mut events = circus.listen(&["watcher.w."]);
        let pid = circus.pids("w")[0];
        assert_eq!(failing(&circus, "w"), "starting: 0 of 1 processes are ready");
        let details = circus.ask("status", json!({"details": true}));
        assert_eq!(details["watchers"]["w"]["processes"][0]["state"], "starting");
        let environ = until("its environment", || {
            Some(proc::environ(pid)).filter(|environ| environ.contains_key("NOTIFY_SOCKET"))
        });
        assert_eq!(environ["WATCHDOG_PID"], pid.to_string());
        assert_eq!(environ["WATCHDOG_USEC"], "1000000000");
        // Many clients take it for a path.
        assert_eq!(environ["NOTIFY_SOCKET"], circus.dir.name("sock.notify"));
        // What means nothing may come from anybody: a sender may well have gone when it is read.
        notify(&environ["NOTIFY_SOCKET"], "BARRIER=1");
        // Anybody can reach the socket, but nobody is believed who is no process of a watcher.
        notify(&environ["NOTIFY_SOCKET"], "READY=1");
        circus.log.line(&format!("what process {} says by NOTIFY_SOCKET is ignored", std::process::id()));
        say(&circus, "STATUS=nearly\nWATCHDOG=1\nREADY=0\n");
        assert_eq!(circus.status("w"), "starting");
        say(&circus, "READY=1\n");
        assert_eq!(events.pid("watcher.w.ready"), pid);
        events.wait("watcher.w.start");
        assert_eq!((circus.status("w"), failing(&circus, "w")), ("active".into(), String::new()));
        assert_eq!(circus.log.count("NOTIFY_SOCKET is ignored"), 1, "{}", circus.log.text());
    }
}

#[test]
fn an_orphan_in_another_session_speaks_for_the_process_that_it_comes_from() {
    for kill_mode in ["group", "tree"] {
        let command = speaker_command();
        let ini = format!(
            "[watcher:w]\ncmd = sh -c '(setsid {command} &); exec sleep 1000'\nready = notify\n\
             kill_mode = {kill_mode}\n[env:w]\nFIFO = {{dir}}/fifo\n"
        );
        let circus = Circus::with(with_fifo(), &ini, |_| {});
        say(&circus, "READY=1\n");
        circus.until_status("w", "active");
    }
}

#[test]
fn the_notification_socket_comes_back_and_goes_with_circus() {
    let dir = with_fifo();
    // What one that was killed has left is replaced.
    drop(UnixDatagram::bind(dir.path("sock.notify")).expect("bound"));
    let mut circus = speaking_in(dir, "", "ready = notify");
    let path = circus.dir.path("sock.notify");
    // While it is being opened, one that is removed again would only make circus look for another place.
    until("its process", || circus.pids("w").first().copied());
    until("it is bound", || UnixDatagram::unbound().expect("a socket").connect(&path).ok());
    std::fs::remove_file(&path).expect("it was there");
    circus.signal(SIGUSR1);
    circus.log.line("the notification socket had been removed; it is there again");
    say(&circus, "READY=1\n");
    circus.until_status("w", "active");
    circus.end();
    assert!(!exists(&path));
}

#[test]
fn a_flood_of_notifications_hides_none_of_another_process() {
    let circus = speaking("", "ready = notify");
    let pid = circus.pids("w")[0];
    let address = until("its environment", || proc::environ(pid).get("NOTIFY_SOCKET").cloned());
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.connect(&address).expect("it is bound");
    // Some thousand more than are read in one go: circus lets who sends them wait.
    let flood =
        std::thread::spawn(move || (0..6000).for_each(|_| _ = socket.send(b"READY=1").expect("sent")));
    say(&circus, "READY=1\n");
    circus.until_status("w", "active");
    flood.join().expect("everything was taken");
    // Nothing is left, and circus comes to rest, at the latest after its pause.
    until("circus is at rest", || (proc::at_rest(circus.pid()) == proc::at_rest(circus.pid())).then_some(()));
}

#[test]
fn a_newline_on_a_descriptor_and_a_line_of_output_say_it_too() {
    let circus = Circus::with(
        with_fifo(),
        "
        [socket:s]
        port = 0
        [watcher:fd]
        cmd = sh -c 'printf x >&4; read x < {dir}/fifo; echo y >&4; exec sleep 1000'
        use_sockets = True
        ready = fd:4
        [watcher:log]
        cmd = sh -c 'printf listen; echo ing >&2; printf \"ing on port 80\\n\"; exec sleep 1000'
        ready = log:^listening on port [0-9]+$
        stdout_stream.class = StdoutStream
        stderr_stream.class = StdoutStream
        [watcher:taken]
        cmd = sleep 1000
        use_sockets = True
        ready = fd:3
        max_retry = 1
        [watcher:mute]
        cmd = sleep 1000
        ready = log:x
        max_retry = 1
        ",
        |_| {},
    );
    circus.until_status("log", "active");
    assert_eq!(circus.status("fd"), "starting");
    say(&circus, "go\n");
    circus.until_status("fd", "active");
    circus.log.line("`ready = fd:3` is the number of a socket: they stand at 3 to 3");
    circus.log.line("it needs a stdout_stream or a stderr_stream");
    for name in ["taken", "mute"] {
        circus.until_status(name, "stopped");
    }
    // Who waits for nothing any more is not looked at: circus comes to rest.
    assert_eq!(proc::at_rest(circus.pid()), proc::at_rest(circus.pid()));
}

#[test]
fn what_a_process_says_right_before_its_end_counts() {
    for (ready, say_it) in [("fd:7", "echo >&7"), ("log:^up", "echo up")] {
        let ini = format!(
            "
            [watcher:w]
            cmd = sh -c 'read x < {{dir}}/fifo; {say_it}'
            ready = {ready}
            respawn = False
            stdout_stream.class = StdoutStream
            "
        );
        let circus = Circus::with(with_fifo(), &ini, |_| {});
        let pid = circus.pids("w")[0];
        // Circus hears of the word and of the end at the same time.
        circus.signal(crate::common::SIGSTOP);
        until("circus stands still", || (proc::state(circus.pid()) == 'T').then_some(()));
        say(&circus, "go\n");
        until("its end", || (proc::state(pid) == 'Z').then_some(()));
        circus.signal(crate::common::SIGCONT);
        circus.log.line(&format!("w: process {pid} (wid 1) exited"));
        assert_eq!(circus.log.count(&format!("w: process {pid} (wid 1) is ready after")), 1, "{ready}");
    }
}

/// Answers one connection after the other with these statuses, the last one for ever.
fn web_server(statuses: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        let mut statuses = statuses.iter().copied();
        let mut status = "";
        for mut stream in listener.incoming().flatten() {
            status = statuses.next().unwrap_or(status);
            let mut request = [0; 1000];
            let length = stream.read(&mut request).unwrap_or(0);
            assert!(request[..length].starts_with(b"GET /up HTTP/1.0\r\n"));
            let _ = write!(stream, "HTTP/1.0 {status}\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    port
}

#[test]
fn circus_asks_until_there_is_an_answer() {
    let port = web_server(&["503 Not Yet", "200 OK"]);
    let circus = Circus::start(&format!(
        "
        [watcher:http]
        cmd = sleep 1000
        ready = http://127.0.0.1:{port}/up
        [watcher:unix]
        cmd = sleep 1000
        ready = unix:{{dir}}/server-$(circus.wid)
        [watcher:exec]
        cmd = sleep 1000
        ready = exec:test -e {{dir}}/flag-$(circus.wid)
        [watcher:after]
        cmd = sleep 1000
        ready = after:0.01
        [watcher:never]
        cmd = sleep 1000
        ready = tcp:127.0.0.1:1
        ready_timeout = 0.2
        max_retry = 2
        "
    ));
    for name in ["http", "after"] {
        circus.until_status(name, "active");
    }
    assert_eq!((circus.status("unix"), circus.status("exec")), ("starting".into(), "starting".into()));
    let _server = UnixListener::bind(circus.dir.path("server-1")).expect("bound");
    circus.dir.write("flag-1", "");
    for name in ["unix", "exec"] {
        circus.until_status(name, "active");
    }
    circus.log.line("was not ready within 0.2 s: Connection refused; it is stopped");
    circus
        .log
        .line("never: given up after 2 failed starts: a process was not ready in time: Connection refused");
    circus.until_status("never", "stopped");
    let refused = circus.ctl_refused(&["start", "never", "--waiting"]);
    assert!(refused.contains("'never' "), "{refused}");
    let why = circus.ctl_ok(&["why", "never"]);
    assert!(why.contains("was not ready within 0.2 s: Connection refused; it was stopped"), "{why}");
}

#[test]
fn a_reload_keeps_the_old_process_until_the_new_one_is_ready() {
    let dir = Dir::new();
    dir.write("flag", "");
    let ini = "[watcher:w]\ncmd = sleep 1000\nready = exec:test -e {dir}/flag\nready_timeout = 0.5";
    let circus = Circus::with(dir, ini, |_| {});
    let old = circus.up("w");
    std::fs::remove_file(circus.dir.path("flag")).expect("it is there");
    let refused = circus.ctl_refused(&["reload", "w", "--waiting"]);
    assert!(
        refused.contains("was not reloaded") && refused.contains("was not ready within 0.5 s"),
        "{refused}"
    );
    until("the one that failed is gone", || (circus.pids("w") == old).then_some(()));
    // One that needs longer gets it.
    circus.ask("set", json!({"name": "w", "options": {"ready_timeout": 60}}));
    let mut events = circus.listen(&["watcher.w."]);
    circus.ask("reload", json!({"name": "w"}));
    let new = events.pid("watcher.w.spawn");
    assert!(proc::exists(old[0]));
    circus.dir.write("flag", "");
    events.wait("watcher.w.reload");
    let order: Vec<&str> = events.topics().into_iter().filter_map(|topic| topic.rsplit('.').next()).collect();
    assert_eq!(order, ["spawn", "ready", "kill", "reap", "reload"]);
    assert_eq!(circus.pids("w"), [new]);
}

#[test]
fn a_process_that_fails_its_health_probes_is_replaced() {
    let dir = Dir::new();
    dir.write("flag", "");
    let circus = Circus::with(
        dir,
        "
        [watcher:w]
        cmd = sleep 1000
        health = exec:sh -c 'test -e {dir}/flag || { echo \"$CIRCUS_HOOK of $CIRCUS_PID is bad\" >&2; exit 3; }'
        health_interval = 0.1
        health_retries = 2
        ",
        |_| {},
    );
    let pid = circus.up("w")[0];
    let mut events = circus.listen(&["watcher.w."]);
    std::fs::remove_file(circus.dir.path("flag")).expect("it is there");
    let data = events.wait("watcher.w.unhealthy");
    assert_eq!(data["process_pid"], pid);
    let reason = format!("exited with code 3: health of {pid} is bad");
    assert_eq!(data["reason"], format!("has failed its health probe 2 times in a row: {reason}"));
    circus.dir.write("flag", "");
    assert_eq!(events.pid("watcher.w.kill"), pid);
    assert_ne!(events.pid("watcher.w.spawn"), pid);
    circus.log.line(&format!("w: process {pid} (wid 1) has failed its health probe (1 of 2): {reason}"));
    let why = circus.ctl_ok(&["why", "w"]);
    assert!(why.contains("has failed its health probe 2 times in a row"), "{why}");
    let metrics = circus.ctl_ok(&["metrics"]);
    let line = "circus_watcher_restarts_total{watcher=\"w\",reason=\"health\"} ";
    assert!(metrics.lines().any(|found| found.strip_prefix(line).is_some_and(|n| n != "0")), "{metrics}");
    // It is not asked any more when the option is taken away.
    circus.ask("set", json!({"name": "w", "options": {"health": ""}}));
    until("circus does nothing", || {
        (proc::at_rest(circus.pid()) == proc::at_rest(circus.pid())).then_some(())
    });
}

#[test]
fn a_server_is_asked_by_tcp_and_http() {
    let port = web_server(&["200 OK", "204 Fine", "500 Broken"]);
    let circus = Circus::start(&format!(
        "[watcher:w]\ncmd = sleep 1000\nhealth = http://localhost:{port}/up\nhealth_interval = 0.1\nhealth_retries = 1"
    ));
    let mut events = circus.listen(&["watcher.w."]);
    let data = events.wait("watcher.w.unhealthy");
    assert_eq!(data["reason"], "has failed its health probe: the status is 500");
    // A listener that accepts nothing is healthy as long as there is room in its queue.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let health = format!("tcp:{}", listener.local_addr().expect("its address"));
    circus.ask("set", json!({"name": "w", "options": {"health": health, "health_retries": 2}}));
    for _ in 0..3 {
        listener.accept().expect("a connection");
    }
    drop(listener);
    let reason = until("the end of the server is noticed", || {
        let data = events.wait("watcher.w.unhealthy");
        data["reason"].as_str().filter(|reason| reason.contains("2 times")).map(str::to_string)
    });
    assert!(reason.ends_with("Connection refused"), "{reason}");
}

#[test]
fn a_process_that_is_silent_is_ended() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000\nwatchdog = 0.3\ngraceful_timeout = 60");
    let mut events = circus.listen(&["watcher.w."]);
    let pid = circus.pids("w")[0];
    let data = events.wait("watcher.w.unhealthy");
    assert_eq!(
        (&data["process_pid"], &data["reason"]),
        (&json!(pid), &json!("has not sent WATCHDOG=1 for 0.3 s"))
    );
    assert_eq!(events.wait("watcher.w.reap")["exit_code"], -6);
    assert_ne!(events.pid("watcher.w.spawn"), pid);

    let circus = speaking("", "watchdog = 1000");
    let mut events = circus.listen(&["watcher.w."]);
    let pid = circus.up("w")[0];
    say(&circus, "WATCHDOG=1\n");
    say(&circus, "WATCHDOG=trigger\n");
    assert_eq!(events.wait("watcher.w.unhealthy")["process_pid"], pid);
    assert_eq!(events.wait("watcher.w.reap")["exit_code"], -6);
}

#[test]
fn options_that_cannot_be_are_refused() {
    let circus = Circus::start("[watcher:w]\ncmd = sleep 1000");
    for (key, value, wanted) in [
        ("ready", json!("soon"), "ready is none of notify, fd:N"),
        ("health", json!("notify"), "health is no question that can be asked again"),
        ("ready_timeout", json!(-1), "'ready_timeout' isn't a time"),
        ("health_interval", json!(0), "'health_interval' is out of range"),
        ("health_retries", json!(0), "'health_retries' is out of range"),
    ] {
        let reply = circus.call("set", json!({"name": "w", "options": {key: value}}));
        assert!(reply["reason"].as_str().expect("an error").starts_with(wanted), "{reply}");
    }
}

/// The watchers, in the order in which something has come of them.
fn order(topics: &[&str], event: &str) -> Vec<String> {
    let of = |topic: &&str| topic.strip_prefix("watcher.")?.strip_suffix(event).map(str::to_string);
    topics.iter().filter_map(of).collect()
}

#[test]
fn watchers_start_and_stop_in_the_order_of_what_they_depend_on() {
    let circus = Circus::start(
        "
        [watcher:app]
        cmd = sleep 1000
        autostart = False
        requires = cache
        priority = 10
        [watcher:cache]
        cmd = sleep 1000
        autostart = False
        requires = db
        [watcher:db]
        cmd = sleep 1000
        autostart = False
        ready = exec:test -e {dir}/flag
        [watcher:late]
        cmd = sleep 1000
        after = app
        ",
    );
    circus.up("late"); // nobody starts those that it is to come after
    let mut events = circus.listen(&["watcher."]);
    circus.ask("start", json!({"name": "app"}));
    assert_eq!(circus.status("db"), "starting");
    assert_eq!(failing(&circus, "app"), "stopped: it waits for cache");
    assert_eq!(circus.ask("status", json!({"name": "app"}))["reason"], "it waits for cache");
    circus.dir.write("flag", "");
    events.wait("watcher.app.start");
    assert_eq!(order(&events.topics(), ".start"), ["db", "cache", "app"]);
    // Who is required goes last, and takes along who requires it.
    assert_eq!(circus.ctl_ok(&["stop", "db", "--waiting"]), "ok");
    events.wait("watcher.db.stop");
    assert_eq!(order(&events.topics(), ".stop"), ["app", "cache", "db"]);
    let why = circus.ctl_ok(&["why", "app"]);
    assert!(why.contains("a watcher that it requires has stopped"), "{why}");
    assert_eq!(circus.ctl_refused(&["stop", "nobody"]), "program nobody not found");
    circus.ask("start", json!({"name": "db"}));
    events.wait("watcher.app.start");
    let mut circus = circus;
    circus.end();
    let stopped = circus.log.text();
    let at = |name: &str| stopped.rfind(&format!("[INFO] {name} stopped")).expect("it stopped");
    assert!(at("app") < at("cache") && at("cache") < at("db") && at("late") < at("app"), "{stopped}");
}

#[test]
fn the_files_may_say_otherwise_later() {
    let circus =
        Circus::start("[watcher:app]\ncmd = sleep 1000\nrequires = db\n[watcher:db]\ncmd = sleep 1000");
    circus.up("app");
    let pids = circus.pids("db");
    circus.dir.config(
        "circus.ini",
        "[watcher:app]\ncmd = sleep 1000\nrequires = other\n[watcher:db]\ncmd = sleep 1000",
    );
    assert_eq!(circus.ctl_ok(&["reloadconfig"]), "ok");
    circus.until_status("app", "stopped");
    assert_eq!(failing(&circus, "app"), "stopped: it requires other, and there is no such watcher");
    assert_eq!(circus.ctl_ok(&["add", "other", "sleep 1000", "--start"]), "ok");
    circus.until_status("app", "active");
    assert_eq!(circus.pids("db"), pids);
}
