//! Each class of streams does what it is for, and each process can have a place of its own.

use crate::common::{Circus, Dir, exists, proc, run, until};
use serde_json::{Value as Json, json};
use std::fs::File;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Circus with a watcher `w` that writes to its standard output what the test says.
struct Speaker {
    circus: Circus,
    input: File,
}

impl Speaker {
    fn new(options: &str) -> Speaker {
        let dir = Dir::new();
        assert_eq!(run(Command::new("mkfifo").arg(dir.path("input"))).code, 0);
        let ini = format!("[watcher:w]\ncmd = cat {{dir}}/input\n{options}");
        let circus = Circus::with(dir, &ini, |_| {});
        let input = File::options().write(true).open(circus.dir.path("input")).expect("a FIFO");
        Speaker { circus, input }
    }

    fn say(&mut self, text: &str) {
        std::io::Write::write_all(&mut self.input, text.as_bytes()).expect("it is read");
    }

    /// Waits until this is what a file has.
    fn hears(&self, name: &str, text: &str) {
        let dir = &self.circus.dir;
        until(&format!("{text:?} in {name}"), || {
            (exists(&dir.path(name)) && dir.read(name) == text).then_some(())
        });
    }
}

#[test]
fn a_prefix_tells_who_spoke() {
    let circus = Circus::start(
        "
        [watcher:Web]
        cmd = sh -c 'echo one; echo; exec sleep 1000'
        numprocesses = 2
        stdout_stream.class = StdoutStream
        stdout_stream.prefix = $(circus.watcher)[$(circus.wid)]
        [watcher:db]
        cmd = sh -c 'echo two >&2; exec sleep 1000'
        stderr_stream.filename = {dir}/db
        stderr_stream.prefix = ((circus.env.WHO)):
        stderr_stream.time_format = T
        [env:db]
        WHO = me
        ",
    );
    for line in ["Web[1] one", "Web[2] one"] {
        circus.out.line(line);
    }
    until("the empty lines too", || (circus.out.text().lines().count() == 4).then_some(()));
    let pid = circus.pids("db")[0];
    until("the other watcher", || circus.dir.has("db", format!("me: T [{pid}] | two\n")));
}

#[test]
fn a_process_can_have_its_own_file_which_closes_with_it() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = sh -c 'echo $0; exec sleep 1000' $(circus.wid)
        numprocesses = 3
        stdout_stream.filename = {dir}/$(circus.env.NAME).$(circus.wid).log
        [env:w]
        NAME = out
        ",
    );
    circus.up("w");
    let name = |wid: u32| circus.dir.name(&format!("out.{wid}.log"));
    for wid in 1..4 {
        until("it has written", || circus.dir.has(&format!("out.{wid}.log"), format!("{wid}\n")));
    }
    let open = || {
        let targets = proc::targets(circus.pid());
        (1..4).filter(|wid| targets.contains(&name(*wid))).count()
    };
    assert_eq!(open(), 3);
    circus.ask("decr", json!({"name": "w", "nb": 2, "waiting": true}));
    until("two files are closed", || (open() == 1).then_some(()));
    circus.ask("stop", json!({"name": "w", "waiting": true}));
    until("all are closed", || (open() == 0).then_some(()));
}

#[test]
fn processes_that_run_can_be_told_apart_from_now_on() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = sh -c 'until [ -e {dir}/go ]; do sleep 0.01; done; echo later; exec sleep 1000'
        numprocesses = 2
        stdout_stream.filename = {dir}/all
        ",
    );
    let before = circus.up("w");
    circus.ctl_ok(&["set", "w", "stdout_stream.filename", &circus.dir.name("of-$(circus.wid)")]);
    circus.ctl_ok(&["set", "w", "stdout_stream.prefix", "<$(circus.wid)>"]);
    circus.dir.write("go", "");
    for wid in 1..3 {
        let (name, text) = (format!("of-{wid}"), format!("<{wid}> later\n"));
        until("its own file", || circus.dir.has(&name, &text));
    }
    assert_eq!((circus.pids("w"), circus.dir.read("all").as_str()), (before, ""));
    assert!(!std::fs::exists(circus.dir.name("of-0")).unwrap(), "no file for a process that there is not");
}

#[test]
fn json_lines_tell_everything_about_themselves() {
    let stream = |channel: &str| {
        format!("{channel}_stream.class = JsonStream\n{channel}_stream.filename = {{dir}}/log\n")
    };
    let script = "echo $$ > \"$0.pid\"; printf 'a \"b\"\\n\\377\\nlast'; echo oops >&2";
    let circus = Circus::once(script, &(stream("stdout") + &stream("stderr")));
    let pid: i32 = circus.dir.read("program.pid").trim().parse().expect("a pid");
    let log = circus.dir.read("log");
    let objects: Vec<Json> = log.lines().map(|line| line.parse().expect("JSON")).collect();
    let texts = |stream: &str| {
        let own = objects.iter().filter(|object| object["stream"] == stream);
        own.map(|object| object["text"].as_str().expect("text")).collect::<Vec<_>>()
    };
    assert_eq!((texts("stdout"), texts("stderr")), (vec!["a \"b\"", "\u{fffd}", "last"], vec!["oops"]));
    for object in &objects {
        assert_eq!(
            (&object["watcher"], &object["wid"], &object["pid"]),
            (&json!("w"), &json!(1), &json!(pid))
        );
        let time = object["time"].as_str().expect("a time");
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    }
}

#[test]
fn syslog_gets_a_message_a_line_the_local_one_as_syslog_3_writes_it() {
    let dir = Dir::new();
    let local = UnixDatagram::bind(dir.path("dev-log")).expect("a socket");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let script = dir.script("program", "echo $$ > \"$0.pid\"; echo out; echo err >&2; exec sleep 1000");
    let ini = format!(
        "[watcher:web]\ncmd = {script}\nstdout_stream.class = SyslogStream\n\
         stdout_stream.address = {{dir}}/dev-log\nstderr_stream.class = SyslogStream\n\
         stderr_stream.address = {}\nstderr_stream.facility = LOCAL3\nstderr_stream.severity = err\n\
         stderr_stream.tag = tag-$(circus.wid)\n",
        udp.local_addr().expect("an address")
    );
    let circus = Circus::with(dir, &ini, |_| {});
    let mut room = [0; 1000];
    let n = local.recv(&mut room).expect("a message");
    let out = String::from_utf8_lossy(&room[..n]).into_owned();
    let n = udp.recv(&mut room).expect("a message");
    let err = String::from_utf8_lossy(&room[..n]).into_owned();
    let pid = circus.dir.read("program.pid");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let (host, pid) = (host.trim(), pid.trim());
    let date = out.strip_prefix("<30>").and_then(|out| out.strip_suffix(&format!(" web[{pid}]: out")));
    assert_eq!(
        date.map(|date| date.len() == 15 && date.as_bytes()[3] == b' '),
        Some(true),
        "Nov  8 06:51:09: {out}"
    );
    assert!(err.starts_with("<155>1 2") && err.ends_with(&format!("Z {host} tag-1 {pid} - - err")), "{err}");
}

#[test]
fn a_syslog_that_is_not_read_holds_nobody_up_and_what_is_lost_is_counted() {
    let dir = Dir::new();
    let daemon = UnixDatagram::bind(dir.path("dev-log")).expect("a socket");
    let script = dir.script("program", "seq 20000; : > done; exec sleep 1000");
    let ini = format!(
        "[watcher:web]\ncmd = {script}\nworking_dir = {{dir}}\nstdout_stream.class = SyslogStream\n\
         stdout_stream.address = {{dir}}/dev-log\n"
    );
    let circus = Circus::with(dir, &ini, |_| {});
    until("all is written", || exists(&circus.dir.path("done")).then_some(()));
    circus.log.line("dev-log is read too slowly");
    let mut room = [0; 1000];
    let mut got = 0;
    loop {
        let n = daemon.recv(&mut room).expect("a message");
        got += 1;
        if room[..n].ends_with(b"]: 20000") {
            break;
        }
    }
    let said = circus.log.line("takes output again");
    assert!(said.contains(&format!(" {} lines (", 20_000 - got)), "{got} came, and {said}");
}

#[test]
fn a_watched_file_is_followed_when_it_is_moved() {
    let mut speaker =
        Speaker::new("stdout_stream.class = WatchedFileStream\nstdout_stream.filename = {dir}/log");
    speaker.say("one\n");
    speaker.hears("log", "one\n");
    std::fs::rename(speaker.circus.dir.path("log"), speaker.circus.dir.path("log.1")).expect("moved");
    speaker.say("two\n");
    speaker.hears("log", "two\n");
    std::fs::remove_file(speaker.circus.dir.path("log")).expect("removed");
    speaker.say("three\n");
    speaker.hears("log", "three\n");
    speaker.hears("log.1", "one\n");
}

#[test]
fn a_file_is_rotated_when_its_time_has_come() {
    for (utc, when) in [("", "h"), ("stdout_stream.utc = True\n", "Midnight")] {
        let dir = Dir::new();
        std::fs::write(dir.path("log"), "old\n").expect("written");
        let written = SystemTime::now() - Duration::from_secs(2 * 86_400);
        let file = File::options().write(true).open(dir.path("log")).expect("a file");
        file.set_modified(written).expect("its date");
        let seconds = written.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let format = if when == "h" { "+%Y%m%d%H" } else { "+%Y%m%d" };
        let date = Command::new("date")
            .args(["-d", &format!("@{seconds}"), format])
            .env("TZ", if utc.is_empty() { "Asia/Kolkata" } else { "UTC" })
            .output()
            .expect("date");
        let suffix = String::from_utf8_lossy(&date.stdout).trim().to_string();
        let ini = format!(
            "[watcher:w]\ncmd = sh -c 'echo new; echo more; exec sleep 1000'\n{utc}\
             stdout_stream.class = TimedRotatingFileStream\nstdout_stream.filename = {{dir}}/log\n\
             stdout_stream.rotate_when = {when}\nstdout_stream.time_format =\n"
        );
        let circus = Circus::with(dir, &ini, |command| {
            command.env("TZ", "Asia/Kolkata");
        });
        until("the new file", || circus.dir.has("log", "new\nmore\n"));
        assert_eq!(circus.dir.read(&format!("log.{suffix}")), "old\n", "{when}");
    }
}

#[test]
fn colours_are_for_terminals_and_not_where_no_color_is_set() {
    let ini = "
        [watcher:w]
        cmd = sh -c 'echo one; exec sleep 1000'
        stdout_stream.class = FancyStdoutStream
        stdout_stream.color = green
        stdout_stream.time_format = T
        ";
    let shown = |environment: &str| {
        let circus = Circus::wrapped(&format!("exec script -qec \"{environment} $*\" /dev/null"), ini);
        circus.out.line("| one")
    };
    let plain = shown("NO_COLOR=1");
    assert!(plain.starts_with("T [") && plain.ends_with("] | one"), "{plain}");
    let green = shown("NO_COLOR=");
    assert!(green.starts_with("\u{1b}[0;32;40mT [") && green.ends_with("] | one\u{1b}[0m"), "{green:?}");
}

#[test]
fn a_queue_keeps_nothing_for_ever() {
    let circus = Circus::once("seq 100000; : > \"$0.done\"", "stdout_stream.class = QueueStream\n");
    assert!(exists(&circus.dir.path("program.done")));
    assert_eq!((circus.out.text().as_str(), circus.log.count("[WARNING]")), ("", 0));
}
