//! What `circus ctl` and `circus top` print commands no terminal, whatever stands in the replies.

use crate::common::{Circus, Dir, Ended, run};
use serde_json::{Deserializer, Value as Json, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

/// What a child, a file or another program may have put into any text of a reply.
const EVIL: &str = "\u{1b}]0;title\u{7}\u{1b}[31mred\u{9b}2J\u{9d}t\u{9c}\u{85}\u{7f}\u{8}\rend";

/// Answers like circus, with that text wherever there can be one.
fn answer_with_evil(listener: &UnixListener) {
    let own = json!({"pid": 7, "wid": 1, "cmdline": EVIL, "username": EVIL, "state": EVIL, "age": 1.0, "children": []});
    let mut reply = json!({
        "name": EVIL, "reason": EVIL, "process": EVIL, "numprocesses": EVIL, "numwatchers": EVIL, "metrics": EVIL,
        "text": EVIL, "pids": [EVIL], "watchers": [EVIL], "state": EVIL, "fault": EVIL, "trouble": EVIL,
        "statuses": {EVIL: EVIL}, "infos": {EVIL: {"7": own}}, "info": own, "files": [EVIL], "lines": [{"text": EVIL}],
        "last_output": [{"text": EVIL}], "failing": {EVIL: EVIL}, "healthy": true,
        "options": {EVIL: EVIL, "cmd": EVIL, "endpoint": EVIL, "env": {EVIL: EVIL}},
        "sockets": [{"fd": EVIL, "name": EVIL, "path": EVIL}, {"fd": 1, "name": EVIL, "host": EVIL, "port": EVIL}],
        "changes": [{"what": EVIL, "reason": EVIL, "cause": {"command": EVIL, "user": EVIL, "client": EVIL}}],
    });
    for stream in listener.incoming() {
        let mut stream = BufReader::new(stream.expect("a connection"));
        let mut request = String::new();
        if stream.read_line(&mut request).is_ok_and(|length| length > 0) {
            reply["status"] = json!(if request.contains("refused") { "error" } else { EVIL });
            let event = json!({"topic": EVIL, "data": {"text": EVIL, EVIL: EVIL}});
            let _ = stream.get_mut().write_all(format!("{reply}\n{event}\n{EVIL}\n").as_bytes());
        }
    }
}

/// Whether the first thing in a text is JSON.
fn is_json(text: &str) -> bool {
    Deserializer::from_str(text).into_iter::<Json>().next().is_some_and(|value| value.is_ok())
}

#[test]
fn nothing_that_is_printed_commands_a_terminal() {
    let dir = Dir::new();
    let listener = UnixListener::bind(dir.path("sock")).expect("a socket");
    std::thread::spawn(move || answer_with_evil(&listener));
    for words in [
        "add a b",
        "decr a",
        "dstats",
        "get a cmd",
        "globaloptions",
        "incr a",
        "kill a",
        "list",
        "listen",
        "listsockets",
        "logs rotate",
        "metrics",
        "numprocesses",
        "numwatchers",
        "options a",
        "quit",
        "reload",
        "reloadconfig",
        "restart",
        "rm a",
        "set a cmd b",
        "signal a 1",
        "start",
        "stats",
        "stats a",
        "stats a 7",
        "status",
        "status --check",
        "stop",
        "tail a",
        "tail a --follow",
        "why a",
        "get refused cmd",
        "why refused",
    ] {
        for form in [&[][..], &["--json"], &["--json", "--prettify"]] {
            let words: Vec<&str> = words.split(' ').collect();
            let mut command = crate::common::circus();
            command.args(["ctl", "--endpoint"]).arg(dir.path("sock")).args(form).args(&words);
            let Ended { out, err, .. } = run(&mut command);
            let commands = |text: &str| text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'));
            assert!(!commands(&out) && !commands(&err), "{form:?} {words:?}: {out:?} {err:?}");
            assert!(form.is_empty() || words[0] == "tail" || is_json(&out), "{words:?}: {out}");
        }
    }
    let top = run(crate::common::circus().args(["top", "--once", "--endpoint"]).arg(dir.path("sock")));
    assert!(!top.out.contains(['\u{1b}', '\u{9b}']) && !top.err.contains(['\u{1b}', '\u{9b}']), "{top:?}");
}

/// No terminal, and no program that reads JSON, takes such bytes for what they are.
#[test]
fn json_is_utf8_without_control_characters_whatever_a_child_has_written_and_a_file_holds() {
    let circus = Circus::start(
        r"[watcher:w]
        cmd = printf 'a\233b\302\233c\377\n'
        shell = True
        respawn = False
        stdout_stream.class = QueueStream",
    );
    circus.until_status("w", "stopped");
    for command in ["tail", "why"] {
        let mut ctl = crate::common::circus();
        ctl.args(["ctl", "--json", "--endpoint"]).arg(circus.dir.path("sock")).args([command, "w"]);
        let out = ctl.output().expect("an answer").stdout;
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(is_json(&text) && !text.contains('\u{9b}'), "{text}");
        assert!(text.contains(r"a\udbfe\udc9bb\u009bc\udbfe\udcff"), "{text}");
    }
    let dir = Dir::new();
    let file = b"[watcher:w]\ncmd = sleep a\x9bb\xc2\x9bc\xff\n";
    std::fs::write(dir.path("c.ini"), file).expect("a file");
    let out = crate::common::circus()
        .args(["check", "--json"])
        .arg(dir.path("c.ini"))
        .output()
        .expect("an answer")
        .stdout;
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(is_json(&text) && text.contains(r"sleep a\udbfe\udc9bb\u009bc\udbfe\udcff"), "{text}");
}

#[test]
fn words_of_a_command_line_command_no_terminal_when_they_are_quoted() {
    for words in [
        &["/no/EVIL"][..],
        &["check", "/no/EVIL"],
        &["--log-level", "EVIL", "x"],
        &["--EVIL", "x"],
        &["run", "--", "/no/EVIL"],
        &["run", "--EVIL"],
        &["top", "--EVIL"],
        &["check", "--EVIL"],
    ] {
        let Ended { out, err, .. } =
            run(crate::common::circus().args(words.iter().map(|word| word.replace("EVIL", EVIL))));
        let commands = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
        assert!(!commands(&out) && !commands(&err) && !(out + &err).is_empty(), "{words:?}");
    }
}
