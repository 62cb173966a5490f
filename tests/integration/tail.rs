//! What processes wrote last can be looked at: `tail`, and the status of a watcher that fails.

use crate::common::output::Output;
use crate::common::{Circus, Dir, circus, exists, run, until};
use serde_json::{Value as Json, json};
use std::process::{Child, Command, Stdio};

/// Circus with a watcher `w` that runs this script, and whose outputs are kept in memory.
fn kept(script: &str, options: &str) -> Circus {
    let dir = Dir::new();
    let script = dir.script("program", script);
    let ini = format!(
        "[watcher:w]\ncmd = {script} $(circus.wid)\nstdout_stream.filename = {{dir}}/log\n\
         stderr_stream.filename = {{dir}}/log\n{options}"
    );
    Circus::with(dir, &ini, |_| {})
}

/// The same of a script that is run once, after it has ended.
fn once(script: &str, options: &str) -> Circus {
    let circus = kept(script, &format!("respawn = False\n{options}"));
    circus.until_status("w", "stopped");
    circus
}

fn texts(reply: &Json) -> Vec<&str> {
    let lines = reply["lines"].as_array().unwrap_or_else(|| panic!("lines: {reply}"));
    lines.iter().map(|line| line["text"].as_str().expect("text")).collect()
}

/// `circus ctl tail --follow`, which is killed at the end.
struct Follower(Child, Output);

impl Follower {
    fn of(circus: &Circus, args: &[&str]) -> Follower {
        let mut command: Command = crate::common::circus();
        command
            .arg("ctl")
            .arg("--endpoint")
            .arg(circus.dir.path("sock"))
            .args(["tail", "w", "-f"])
            .args(args);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it can be run");
        let output = Output::of(child.stdout.take());
        Follower(child, output)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_last_lines_of_both_outputs_are_there_after_the_end() {
    let circus = once("i=0; while [ $i -lt 30 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done", "");
    let lines = circus.ctl_ok(&["tail", "w", "-n", "1000"]);
    let of = |word: &str| lines.lines().filter(|line| line.starts_with(word)).collect::<Vec<_>>();
    let expected = |word: &str| (0..30).map(|n| format!("{word} {n}")).collect::<Vec<_>>();
    assert_eq!(
        (of("out"), of("err")),
        (
            expected("out").iter().map(String::as_str).collect(),
            expected("err").iter().map(String::as_str).collect()
        )
    );
    assert_eq!(circus.ctl_ok(&["tail", "w"]).lines().count(), 10);
    assert_eq!(circus.ctl_ok(&["tail", "w", "--lines=2", "--stderr"]), "err 28\nerr 29");
    assert_eq!(circus.ctl_ok(&["tail", "w", "--lines=1", "--stdout"]), "out 29");
    assert_eq!(circus.ctl(&["tail", "w", "-n", "0"]).out, "");
}

#[test]
fn one_process_can_be_chosen_and_whoever_wrote_is_told() {
    let circus = kept("echo hello from $1; exec sleep 1000", "numprocesses = 2");
    let pids = circus.up("w");
    until("both have spoken", || (texts(&circus.ask("tail", json!({"name": "w"}))).len() == 2).then_some(()));
    let reply = circus.ask("tail", json!({"name": "W", "pid": pids[1]}));
    assert_eq!(
        reply["lines"],
        json!([{"pid": pids[1], "wid": 2, "stream": "stdout", "text": "hello from 2"}])
    );
    let refused = circus.ctl_refused(&["tail", "w", "--pid", "1"]);
    assert_eq!(refused, "process 1 not found in 'w'");
    assert_eq!(circus.ctl_refused(&["tail", "x"]), "program x not found");
}

#[test]
fn without_a_stream_it_says_what_to_set() {
    let circus = Circus::start(
        "[watcher:w]\ncmd = sleep 1000\n[watcher:e]\ncmd = sleep 1000\nstderr_stream.filename = {dir}/e",
    );
    let reason = circus.ctl_refused(&["tail", "w"]);
    assert!(
        reason.contains("no stdout_stream or stderr_stream") && reason.contains("QueueStream"),
        "{reason}"
    );
    assert_eq!(circus.call("tail", json!({"name": "w"}))["errno"], 5);
    assert!(circus.ctl_refused(&["tail", "e", "--stdout"]).contains("no stdout_stream"));
    assert_eq!(texts(&circus.ask("tail", json!({"name": "e"}))), [""; 0]);
}

#[test]
fn bad_properties_are_refused() {
    let circus = kept("exec sleep 1000", "");
    for (properties, reason) in [
        (json!({}), "message invalid 'name' is missing"),
        (json!({"name": "w", "lines": -1}), "'lines' isn't 0 or more"),
        (json!({"name": "w", "lines": "x"}), "'lines' isn't an integer"),
        (json!({"name": "w", "pid": 0}), "'pid' isn't the id of a process"),
        (json!({"name": "w", "follow": "yes"}), "'follow' isn't a valid boolean"),
    ] {
        let reply = circus.call("tail", properties.clone());
        assert_eq!((&reply["errno"], &reply["reason"]), (&json!(3), &json!(reason)), "{properties}");
    }
}

#[test]
fn ring_bytes_says_how_much_is_kept() {
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; until [ -e \"$0.go\" ]; do sleep 0.01; done; echo more; exec sleep 1000";
    let circus = kept(script, "ring_bytes = 1000");
    let lines = until("all is written", || {
        let reply = circus.ask("tail", json!({"name": "w", "lines": 9999}));
        texts(&reply).last().is_some_and(|last| *last == "line 1999").then(|| texts(&reply).len())
    });
    // Half of it is for stderr.
    assert!((20..50).contains(&lines), "{lines}");
    circus.ask("set", json!({"name": "w", "options": {"ring_bytes": 0}}));
    assert!(circus.ctl_refused(&["tail", "w"]).contains("ring_bytes is 0"));
    circus.ask("set", json!({"name": "w", "options": {"ring_bytes": 5000}}));
    assert_eq!(texts(&circus.ask("tail", json!({"name": "w"}))), [""; 0]);
    circus.dir.write("program.go", "");
    until("it is kept again", || {
        (texts(&circus.ask("tail", json!({"name": "w"}))) == ["more"]).then_some(())
    });
}

#[test]
fn escape_sequences_are_left_out_and_other_bytes_come_out_as_they_are() {
    let circus =
        once(r"printf '\033[31mred\033[0m \033]0;title\007and caf\351 \302\265\n10%%\r100%%\r\n'", "");
    let output = circus_output(&circus, &["tail", "w"]);
    assert_eq!(output, b"red and caf\xe9 \xc2\xb5\n100%\n");
    let reply = circus.ask("tail", json!({"name": "w", "lines": 2}));
    assert_eq!(texts(&reply)[0], "\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}and caf\u{10f8e9} \u{b5}");
}

fn circus_output(running: &Circus, args: &[&str]) -> Vec<u8> {
    let output = circus().arg("ctl").arg("--endpoint").arg(running.dir.path("sock")).args(args).output();
    output.expect("it can be run").stdout
}

#[test]
fn who_follows_sees_whole_lines_until_the_watcher_is_removed() {
    let circus = kept(
        "printf 'begun '; until [ -e \"$0.go\" ]; do sleep 0.01; done; echo ended; printf 'last words'; exit 1",
        "respawn = False\nautostart = False",
    );
    circus.up("w");
    until("it has begun", || (texts(&circus.ask("tail", json!({"name": "w"}))) == ["begun "]).then_some(()));
    let mut follower = Follower::of(&circus, &[]);
    // It has to be there before the process goes on, or there is nothing to follow; who asks twice is sure of that.
    let mut second = circus.client();
    let reply = second.call("tail", json!({"name": "w", "follow": true}));
    assert_eq!(reply["lines"][0]["unfinished"], true, "{reply}");
    circus.dir.write("program.go", "");
    let event = second.reply();
    assert_eq!((&event["topic"], &event["data"]["stream"]), (&json!("watcher.w.output"), &json!("stdout")));
    // An unfinished line is printed when its process has ended.
    follower.1.line("last words");
    circus.ask("rm", json!({"name": "w"}));
    assert_eq!(follower.1.whole(), "begun ended\nlast words\n");
    assert_eq!(follower.0.wait().expect("a child").code(), Some(0));
    let topics: Vec<Json> = std::iter::from_fn(|| Some(second.reply()["topic"].take()))
        .take_while(|topic| topic != "circus.tail_ended")
        .collect();
    assert!(topics.iter().all(|topic| topic == "watcher.w.output"), "{topics:?}");
    assert_eq!(second.call("numwatchers", json!({}))["numwatchers"], 0, "the connection can be used further");
}

#[test]
fn who_does_not_read_is_told_how_much_was_missed_and_holds_nobody_up() {
    let circus = kept(
        "until [ -e \"$0.go\" ]; do sleep 0.01; done
        head -c 8000000 /dev/zero | tr '\\0' 'x' | fold -w 99; echo; echo end; exec sleep 1000",
        "",
    );
    circus.up("w");
    let mut lazy = circus.client();
    lazy.call("tail", json!({"name": "w", "follow": true}));
    circus.dir.write("program.go", "");
    until("all is written", || {
        (exists(&circus.dir.path("log")) && circus.dir.read("log").ends_with("end\n")).then_some(())
    });
    let (mut seen, mut missed) = (0, 0);
    while missed == 0 {
        let event = lazy.reply();
        match event["topic"].as_str() {
            Some("circus.missed") => missed = event["data"]["bytes"].as_u64().expect("a number"),
            _ => seen += event["data"]["text"].as_str().expect("text").len() as u64,
        }
    }
    assert!(missed > 1_000_000);
    assert_eq!(seen + missed, circus.dir.read("log").len() as u64);
}

#[test]
fn the_status_of_a_watcher_that_fails_has_its_last_lines() {
    let circus = kept("echo starting; echo 'cannot open the database' >&2; exit 1", "");
    let reply = until("it fails", || {
        let reply = circus.ask("status", json!({"name": "w"}));
        reply["reason"].is_string().then_some(reply)
    });
    assert_eq!(reply["status"], "active");
    let reason = reply["reason"].as_str().expect("text");
    assert!(reason.starts_with("a process ended within a second of its start"), "{reason}");
    assert_eq!(reply["last_output"][0]["text"], "cannot open the database");
    assert_eq!(circus.ctl_ok(&["status", "w"]), "active", "scripts read one word");
    circus.ask("stop", json!({"name": "w", "waiting": true}));
    assert_eq!(circus.ask("status", json!({"name": "w"}))["reason"], Json::Null);
}

#[test]
fn the_status_of_a_watcher_that_was_given_up_has_the_reason() {
    let circus = Circus::start("[watcher:w]\ncmd = /no/such/program\nmax_retry = 1");
    circus.until_status("w", "stopped");
    let reply = circus.ask("status", json!({"name": "w"}));
    assert_eq!(reply["reason"], "exec /no/such/program: No such file or directory");
    assert_eq!(reply["last_output"], json!([]));
}

#[test]
fn on_a_terminal_status_shows_why_and_the_last_lines() {
    let circus = kept("printf '\\033[31mno database\\n' >&2; exit 1", "");
    until("it fails", || circus.ask("status", json!({"name": "w"}))["reason"].is_string().then_some(()));
    let ctl = format!("{} ctl --endpoint {} status w", env!("CARGO_BIN_EXE_circus"), circus.dir.name("sock"));
    let shown = run(Command::new("script").args(["-qec", &ctl, "/dev/null"]));
    let lines: Vec<&str> = shown.out.lines().collect();
    assert!(lines[0].starts_with("w is failing (active) since "), "{shown:?}");
    assert!(lines[1].contains("a process ended within a second of its start"), "{shown:?}");
    assert!(lines.contains(&"  no database"), "{shown:?}");
}

#[test]
fn a_queue_stream_is_kept_and_written_nowhere() {
    let dir = Dir::new();
    let script = dir.script("program", "echo to the queue; echo to the queue too >&2");
    let ini = format!(
        "[watcher:w]\ncmd = {script}\nrespawn = False\nstdout_stream.class = QueueStream\n\
         stderr_stream.class = QueueStream\nnumprocesses = 2"
    );
    let mut circus = Circus::with(dir, &ini, |_| {});
    circus.until_status("w", "stopped");
    let mut lines: Vec<String> = circus.ctl_ok(&["tail", "w"]).lines().map(str::to_string).collect();
    lines.sort();
    assert_eq!(lines, ["to the queue", "to the queue", "to the queue too", "to the queue too"]);
    circus.end();
    assert_eq!((circus.out.whole().as_str(), circus.log.count("to the queue")), ("", 0));
}

#[test]
fn behind_a_line_that_is_too_long_to_be_kept_the_next_one_stands_alone() {
    let circus = once("echo begun; for n in 1 2 3; do printf '%0100000d\\n' 7; echo next $n; done >&2", "");
    let lines = circus.ctl_ok(&["tail", "w", "-n", "1000", "--stderr"]);
    let short: Vec<&str> =
        lines.lines().filter(|line| !line.trim_end_matches('7').trim_matches('0').is_empty()).collect();
    assert!(lines.ends_with("next 3") && short.iter().all(|line| line.starts_with("next ")), "{short:?}");
    let why = circus.ask("why", json!({"name": "w"}));
    let last = why["last_output"].as_array().and_then(|lines| lines.last()).map(|line| line["text"].clone());
    assert!(last.is_none_or(|text| text == "next 3"), "{why}");
}
