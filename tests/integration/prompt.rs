//! The prompt of `circus ctl`: with lines from a pipe, and at a terminal, which script(1) makes.

use crate::common::output::Output;
use crate::common::{Circus, SIGTERM, run, until};
use circus::sys::signal::kill;
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};

const INI: &str = "[watcher:web]\ncmd = sleep 1000\n[watcher:Work er]\ncmd = sleep 1000\nautostart = False\n";
const PROMPT: &str = "(circusctl) ";
const BIN: &str = env!("CARGO_BIN_EXE_circus");

/// What the prompt says to these lines, from a pipe: output and errors.
fn piped(circus: &Circus, options: &[&str], lines: &str) -> (String, String) {
    let mut command = crate::common::circus();
    command.arg("ctl").arg("--endpoint").arg(circus.dir.path("sock")).args(options);
    let ended = run(command.stdin(std::fs::File::open(circus.dir.write("lines", lines)).expect("the lines")));
    assert_eq!(ended.code, 0, "{}", ended.err);
    (ended.out, ended.err)
}

#[test]
fn lines_from_a_pipe_are_carried_out() {
    let circus = Circus::start(INI);
    let pid = circus.up("web")[0];
    let status = "Work er: stopped\nweb: active\n";
    let hello = format!("circusctl {}\n{status}{PROMPT}", env!("CARGO_PKG_VERSION"));
    // What comes behind the last line is not looked at any more.
    for (lines, said) in [
        ("", "\n".to_string()),
        ("list web\n", format!("{pid}\n{PROMPT}\n")),
        ("\n  \nlist web", format!("{PROMPT}{PROMPT}{pid}\n{PROMPT}\n")),
        ("EOF\nlist web\n", "\n".into()),
        ("exit\nlist web\n", "\n".into()),
        ("status 'work er'\n", format!("stopped\n{PROMPT}\n")),
        ("foo bar\n", format!("*** Unknown syntax: foo bar\n{PROMPT}\n")),
        ("help zz\n", format!("*** No help on zz\n{PROMPT}\n")),
        ("status 'web\n", format!("*** there is no closing quotation mark: status 'web\n{PROMPT}\n")),
    ] {
        assert_eq!(piped(&circus, &[], lines), (hello.clone() + &said, String::new()), "{lines}");
    }
    let (out, _) = piped(&circus, &[], "help\nhelp list\n?list\n");
    assert!(out.contains("\nDocumented commands (type help <topic>):\n====="), "{out}");
    assert_eq!(out.matches("usage: circusctl list [NAME...]\n").count(), 2, "{out}");
}

#[test]
fn an_error_is_not_the_end() {
    let circus = Circus::start(INI);
    let (out, err) = piped(&circus, &[], "status zz\nlist --foo\nrm\n--ssh host list\nnumwatchers\n");
    for said in [
        "error: program zz not found\n",
        "circusctl: error: unrecognized arguments: --foo\n",
        "Invalid number of arguments\n",
        "--ssh is an option for the whole prompt\n",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
    assert!(out.ends_with(&format!("{PROMPT}2\n{PROMPT}\n")), "{out}");
    let (out, _) = piped(&circus, &["--json"], "numwatchers\n");
    assert!(out.contains(r#""numwatchers":2"#), "{out}");
}

#[test]
fn quit_ends_circus_as_the_command_does() {
    let mut circus = Circus::start(INI);
    piped(&circus, &[], "quit\n");
    assert_eq!(circus.wait(), 0);
}

/// A shell script at a terminal of its own.
struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    out: Output,
}

impl Terminal {
    /// Runs a script, in which `$CTL` is the prompt.
    fn run(circus: &Circus, script: &str) -> Terminal {
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", script, "/dev/null"]);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("XDG_STATE_HOME", circus.dir.path("state"));
        command.env("SHELL", "/bin/sh").env("TERM", "vt100");
        command.env("CTL", format!("{BIN} ctl --endpoint {}", circus.dir.name("sock")));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script(1) can be run");
        let (keys, out) = (child.stdin.take(), Output::of(child.stdout.take()));
        Terminal { child, keys, out }
    }

    fn type_in(&mut self, keys: &str) {
        let pipe = self.keys.as_mut().expect("the terminal is open");
        pipe.write_all(keys.as_bytes()).expect("it reads keys");
    }

    /// Waits until circus waits for a line, for the nth time.
    fn prompt(&self, times: usize) {
        // Each time the line is drawn, it begins so; an empty one only when the prompt is new.
        self.out.times(&format!("\r{PROMPT}\x1b[K"), times);
    }

    fn code(&mut self) -> Option<i32> {
        until("the terminal is closed", || self.child.try_wait().expect("a child")).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_line_is_edited_completed_and_remembered() {
    let circus = Circus::start(INI);
    circus.up("web");
    let mut terminal = Terminal::run(&circus, "exec $CTL");
    terminal.prompt(1);
    // TAB: the commands that begin so, then all of "status", then the watcher's name.
    terminal.type_in("sta\t");
    terminal.out.line("start   stats   status");
    terminal.type_in("tu\tw\t\r");
    terminal.out.line("active");
    terminal.prompt(2);
    // Ctrl-A, Ctrl-K, left, delete: "numwatchers" out of rubbish.
    terminal.type_in("xnumwatchersz\x1b[D\x0b\x01\x1b[3~\r");
    terminal.prompt(3);
    terminal.out.line("2");
    // The line before the last one, changed at its end into another one.
    terminal.type_in("\x1b[A\x1b[A\x01\x1bdlist\x05\x17Wo\t\r");
    terminal.prompt(4);
    terminal.out.line("list 'Work er'");
    // A line that is given up, and the end.
    terminal.type_in("frob\x03");
    terminal.out.line("frob\x1b[K\r\x1b[16C^C");
    terminal.prompt(5);
    terminal.type_in("\x04");
    assert_eq!(terminal.code(), Some(0));
    let history = circus.dir.read("state/circus/history");
    assert_eq!(history, "status web \nnumwatchers\nlist 'Work er' \n");
}

#[test]
fn quit_is_asked_for_at_a_terminal() {
    let mut circus = Circus::start(INI);
    let mut terminal = Terminal::run(&circus, "exec $CTL");
    terminal.prompt(1);
    terminal.type_in("quit\r");
    terminal.out.times("[y/N] ", 1);
    terminal.type_in("\r");
    terminal.prompt(2);
    terminal.type_in("quit\r");
    terminal.out.times("\n\rStop circus", 2);
    terminal.type_in("y\r");
    terminal.prompt(3);
    assert_eq!(circus.wait(), 0);
    terminal.type_in("\x03");
    assert_eq!(terminal.code(), Some(0));
}

/// Ctrl-C ends a command that does not end by itself, and circus's answer to the next one comes as ever.
#[test]
fn an_interrupt_ends_the_command_alone() {
    let circus = Circus::start(INI);
    let pid = circus.up("web")[0];
    let mut terminal = Terminal::run(&circus, "exec $CTL");
    terminal.prompt(1);
    terminal.type_in("listen\r");
    // Once an event has come, the command surely listens.
    until("an event is printed", || {
        circus.ask("set", serde_json::json!({"name": "web", "options": {"max_retry": 7}}));
        terminal.out.text().contains("watcher.web.updated: ").then_some(())
    });
    terminal.type_in("\x03");
    terminal.prompt(2);
    terminal.type_in("list web\r");
    terminal.out.line(&pid.to_string());
    terminal.prompt(3);
    terminal.type_in("\x04");
    assert_eq!(terminal.code(), Some(0));
}

#[test]
fn the_terminal_is_as_before_after_a_signal() {
    let circus = Circus::start(INI);
    let script = "stty -g > before; sh -c 'echo $$ > pid; exec $CTL'; echo \"code $?\"; stty -g > after";
    let script = format!("cd {}; {script}", circus.dir.name(""));
    let mut terminal = Terminal::run(&circus, &script);
    terminal.prompt(1);
    kill(circus.dir.read("pid").trim().parse().expect("a pid"), SIGTERM).expect("it runs");
    terminal.out.line("code 143");
    assert_eq!(terminal.code(), Some(0));
    assert_eq!(circus.dir.read("before"), circus.dir.read("after"));
}

/// What it asks to end takes its time to do so.
#[test]
fn at_a_terminal_the_end_of_an_order_is_waited_for() {
    let circus = Circus::start(
        "[watcher:slow]\ncmd = sh -c 'trap \"\" TERM; echo 1 > {dir}/up; while :; do sleep 0.1; done'\ngraceful_timeout = 0.7\n",
    );
    let state = "$CTL --json status slow";
    until("it ignores the signal", || circus.dir.path("up").exists().then_some(()));
    let mut terminal = Terminal::run(&circus, &format!("$CTL --no-wait stop slow; {state}"));
    terminal.out.line("\"status\":\"stopping\"");
    terminal.code();
    let mut terminal =
        Terminal::run(&circus, &format!("$CTL restart slow; {state}; $CTL stop slow; {state}"));
    terminal.out.line("\"status\":\"active\"");
    terminal.out.line("\"status\":\"stopped\"");
    assert_eq!(terminal.code(), Some(0));
}

#[test]
fn at_a_terminal_status_of_one_watcher_is_a_page() {
    let circus = Circus::start("[watcher:web]\ncmd = sh -c 'sleep 1000 & wait'\n");
    let pid = circus.up("web")[0];
    until("the shell has its child", || circus.ctl_ok(&["stats", "web"]).contains("sleep").then_some(()));
    let mut terminal = Terminal::run(&circus, "$CTL status web");
    terminal.out.line("web is active since ");
    terminal.out.line(&format!("  {pid} sh  "));
    terminal.out.line(" sleep  ");
    assert_eq!(terminal.code(), Some(0));
    let mut terminal = Terminal::run(&circus, "$CTL status wbe");
    terminal.out.line("error: program wbe not found; did you mean web?");
    assert_eq!(terminal.code(), Some(3));
    let mut terminal = Terminal::run(&circus, "$CTL status --watch");
    terminal.out.times("WATCHER", 2);
    terminal.type_in("\x03");
    terminal.code();
}
