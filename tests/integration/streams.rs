//! What processes write arrives whole, in order, and where the configuration wants it.

use crate::common::{Circus, Dir, SIGCONT, SIGSTOP, SIGUSR1, exists, proc, run, until};
use serde_json::json;

/// A program that fails at its start, as an interpreter does: lines on the standard error output, and a code.
const FAILING: &str = "
    echo 'starting up'
    echo 'Traceback (most recent call last):' >&2
    echo '  File \"app.py\", line 1, in <module>' >&2
    echo '    import nothing' >&2
    printf \"ModuleNotFoundError: No module named 'nothing'\" >&2
    exit 1
    ";

const TRACEBACK: &str = "Traceback (most recent call last):
  File \"app.py\", line 1, in <module>
    import nothing
ModuleNotFoundError: No module named 'nothing'";

#[test]
fn without_a_stream_a_process_writes_to_the_output_of_circus() {
    let circus = Circus::once(FAILING, "");
    circus.out.line("starting up");
    assert_eq!(circus.out.text(), "starting up\n");
    // Lines of circus's log may stand between those of the process.
    TRACEBACK.lines().for_each(|line| circus.log.times(line, 1));
}

#[test]
fn stdout_streams_show_the_whole_traceback_of_an_app_that_fails() {
    let circus =
        Circus::once(FAILING, "stdout_stream.class = StdoutStream\nstderr_stream.class = StdoutStream");
    // The second line comes with the end of the process; two pipes have no common order.
    let whole = |text: String| text.contains(TRACEBACK) && text.contains("starting up\n");
    until("the traceback is there, whole", || whole(circus.out.text()).then_some(()));
    assert_eq!(circus.out.text().len(), TRACEBACK.len() + "starting up\n".len());
}

#[test]
fn fancy_lines_have_time_and_pid() {
    let circus = Circus::once(
        "echo $$ > \"$0.pid\"; printf 'one\\n\\ntwo'",
        "stdout_stream.class = FancyStdoutStream\nstdout_stream.color = green\nstdout_stream.time_format = T%%",
    );
    let pid = circus.dir.read("program.pid");
    let line = |text: &str| format!("T% [{}] | {text}\n", pid.trim());
    circus.out.line("two");
    assert_eq!(circus.out.text(), line("one") + &line("two"));
}

#[test]
fn a_file_has_every_line_over_all_rotations() {
    let circus = Circus::once(
        "i=0; while [ $i -lt 3000 ]; do echo \"line $i\"; i=$((i+1)); done",
        "stdout_stream.class = FileStream\nstdout_stream.filename = {dir}/log\n\
         stdout_stream.max_bytes = 4096\nstdout_stream.backup_count = 20",
    );
    let names: Vec<String> = (1..=20).rev().map(|n| format!("log.{n}")).chain(["log".to_string()]).collect();
    let files: Vec<_> = names.iter().filter(|name| exists(&circus.dir.path(name))).collect();
    let texts: Vec<String> = files.iter().map(|name| circus.dir.read(name)).collect();
    assert!(texts.len() > 5 && texts.iter().all(|text| text.len() <= 4096 && text.ends_with('\n')));
    let expected: String = (0..3000).map(|n| format!("line {n}\n")).collect();
    assert!(texts.concat() == expected, "every line once and in order, over {} files", texts.len());
}

#[test]
fn rotation_keeps_as_many_files_as_it_is_told() {
    let circus = Circus::once(
        "i=0; while [ $i -lt 3000 ]; do echo \"line $i\"; i=$((i+1)); done",
        "stdout_stream.filename = {dir}/log\nstdout_stream.max_bytes = 4096\nstdout_stream.backup_count = 2",
    );
    let there = |name: &&str| exists(&circus.dir.path(name));
    assert_eq!(["log", "log.1", "log.2", "log.3"].iter().filter(|name| there(name)).count(), 3);
    let text = circus.dir.read("log.2") + &circus.dir.read("log.1") + &circus.dir.read("log");
    let expected: String = (0..3000).map(|n| format!("line {n}\n")).collect();
    assert!(expected.ends_with(&text), "the newest lines are kept");
}

#[test]
fn both_outputs_of_all_processes_share_a_file_in_whole_lines() {
    let dir = Dir::new();
    let script = dir.script(
        "program",
        "until [ -e \"$0.go\" ]; do sleep 0.01; done
        i=0
        while [ $i -lt 300 ]; do
            printf 'out '; echo \"$1 $i\"
            { printf 'err '; echo \"$1 $i\"; } >&2
            i=$((i+1))
        done",
    );
    let ini = format!(
        "[watcher:w]\ncmd = {script} $(circus.wid)\nnumprocesses = 3\nrespawn = False\n\
         stdout_stream.class = FileStream\nstdout_stream.filename = {{dir}}/log\n\
         stderr_stream.class = FileStream\nstderr_stream.filename = {{dir}}/log\n"
    );
    let circus = Circus::with(dir, &ini, |_| {});
    // They all begin at once; and one that has gone would leave its number to the next.
    circus.up("w");
    circus.dir.write("program.go", "");
    circus.until_status("w", "stopped");
    let log = circus.dir.read("log");
    let mut lines: Vec<&str> = log.lines().collect();
    let of = |channel: &str, wid: u32| (0..300).map(|n| format!("{channel} {wid} {n}")).collect::<Vec<_>>();
    for (channel, wid) in [("out", 1), ("out", 2), ("out", 3), ("err", 1), ("err", 2), ("err", 3)] {
        let begin = format!("{channel} {wid} ");
        let own: Vec<&str> = lines.iter().copied().filter(|line| line.starts_with(&begin)).collect();
        assert_eq!(own, of(channel, wid), "each line whole and in its order");
    }
    lines.retain(|line| !line.starts_with("out ") && !line.starts_with("err "));
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn a_last_line_without_newline_stays_as_it_is() {
    let options = "stdout_stream.filename = {dir}/log";
    let circus = Circus::once("printf 'first\\nlast'", options);
    assert_eq!(circus.dir.read("log"), "first\nlast");
    // A newline goes in only before what the next process writes.
    circus.ask("start", json!({"name": "w", "waiting": true}));
    circus.until_status("w", "stopped");
    assert_eq!(circus.dir.read("log"), "first\nlast\nfirst\nlast");
}

#[test]
fn time_format_begins_each_line() {
    let circus = Circus::once(
        "echo $$ > \"$0.pid\"; echo one; echo two",
        "stdout_stream.filename = {dir}/log\nstdout_stream.time_format = T",
    );
    let pid = circus.dir.read("program.pid");
    assert_eq!(
        circus.dir.read("log"),
        ["one", "two"].map(|line| format!("T [{}] | {line}\n", pid.trim())).concat()
    );
}

#[test]
fn time_format_may_ask_for_microseconds() {
    let options = "stdout_stream.filename = {dir}/log\nstdout_stream.time_format = %Y-%m-%d %H:%M:%S.%f%%f";
    let circus = Circus::once("echo one", options);
    let log = circus.dir.read("log");
    let (time, line) = log.split_once(" [").unwrap();
    let (_, microseconds) = time.split_once('.').unwrap();
    assert!(line.ends_with("] | one\n"), "{log}");
    let digits = microseconds.strip_suffix("%f").unwrap();
    assert!(digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()), "{log}");
}

/// Circus stands still while the processes write and end, so that it learns of everything at once.
#[test]
fn output_is_there_before_the_death_is_told() {
    let dir = Dir::new();
    let script = dir.script(
        "program",
        "until [ -e go ]; do sleep 0.01; done; head -c 60000 /dev/zero | tr '\\0' x; echo end",
    );
    let ini = format!(
        "[watcher:w]\ncmd = {script}\nworking_dir = {{dir}}\nnumprocesses = 20\nrespawn = False\n\
         stdout_stream.filename = {{dir}}/log.$(circus.wid)"
    );
    let circus = Circus::with(dir, &ini, |_| {});
    let pids = circus.up("w");
    let mut events = circus.listen(&["watcher.w.reap"]);
    circus.signal(SIGSTOP);
    until("circus stands still", || (proc::state(circus.pid()) == 'T').then_some(()));
    circus.dir.write("go", "");
    until("all have ended", || pids.iter().all(|pid| proc::state(*pid) == 'Z').then_some(()));
    circus.signal(SIGCONT);
    for _ in &pids {
        let dead = events.pid("watcher.w.reap");
        let wid = 1 + pids.iter().position(|pid| *pid == dead).expect("one of them");
        assert_eq!(circus.dir.read(&format!("log.{wid}")).len(), 60_004, "what process {wid} has written");
    }
}

#[test]
fn what_a_grandchild_writes_later_arrives_too() {
    let dir = Dir::new();
    let script = dir.script(
        "program",
        "setsid sh -c ': > there; until [ -e go ]; do sleep 0.01; done; echo later; echo more; : > done' &
        until [ -e there ]; do sleep 0.01; done
        echo now",
    );
    let ini = format!(
        "[watcher:w]\ncmd = {script}\nworking_dir = {{dir}}\nrespawn = False\n\
         stdout_stream.filename = {{dir}}/log"
    );
    let circus = Circus::with(dir, &ini, |_| {});
    circus.until_status("w", "stopped");
    assert_eq!(circus.dir.read("log"), "now\n");
    circus.dir.write("go", "");
    until("the grandchild has written", || circus.dir.has("log", "now\nlater\nmore\n"));
    until("and was not ended by SIGPIPE", || exists(&circus.dir.path("done")).then_some(()));
}

#[test]
fn the_signal_to_reopen_logs_follows_a_file_that_was_moved() {
    let circus = Circus::start(
        "
        [circus]
        logoutput = {dir}/circus.log
        [watcher:w]
        cmd = sh -c 'while read line; do echo $line; done < {dir}/input'
        stdout_stream.filename = {dir}/log
        autostart = False
        ",
    );
    assert!(run(std::process::Command::new("mkfifo").arg(circus.dir.path("input"))).code == 0);
    circus.ask("start", json!({"name": "w"}));
    let mut input = std::fs::OpenOptions::new().write(true).open(circus.dir.path("input")).expect("a FIFO");
    let mut say = |text: &str| std::io::Write::write_all(&mut input, text.as_bytes()).expect("written");
    say("before\n");
    until("it is in the file", || circus.dir.has("log", "before\n"));
    for name in ["log", "circus.log"] {
        std::fs::rename(circus.dir.path(name), circus.dir.path(&format!("{name}.old"))).expect("moved");
    }
    circus.signal(SIGUSR1);
    until("there are new files", || {
        let log = circus.dir.path("circus.log");
        (exists(&log) && circus.dir.read("circus.log").contains("log files reopened")).then_some(())
    });
    say("after\n");
    until("it is in the new file", || circus.dir.has("log", "after\n"));
    assert_eq!(circus.dir.read("log.old"), "before\n");
}

#[test]
fn a_stream_that_cannot_be_opened_stops_its_watcher_with_the_reason() {
    let circus = Circus::start(
        "
        [watcher:w]
        cmd = sleep 1000
        stdout_stream.filename = {dir}/none/log
        max_retry = 1
        [watcher:good]
        cmd = sleep 1000
        ",
    );
    let line = circus.log.line("w: given up");
    assert!(line.contains("none/log") && line.contains("does not exist"), "{line}");
    circus.up("good");
}

#[test]
fn a_stream_can_be_given_while_circus_runs() {
    let circus = Circus::start("[watcher:w]\ncmd = sh -c 'echo hello; exec sleep 1000'");
    circus.out.line("hello");
    let log = circus.dir.name("log");
    assert_eq!(circus.ctl_ok(&["set", "w", "stdout_stream.filename", &log, "--waiting"]), "ok");
    until("the new process writes there", || circus.dir.has("log", "hello\n"));
    assert_eq!(circus.out.count("hello"), 1);
    // The process stays; what it writes from now on goes elsewhere.
    let before = circus.pids("w");
    let other = circus.dir.name("other");
    assert_eq!(circus.ctl_ok(&["set", "w", "stdout_stream.filename", &other, "--waiting"]), "ok");
    assert_eq!(circus.pids("w"), before);
    assert_eq!(circus.dir.read("other"), "");
}

/// A reader of circus's standard output who has stopped reading holds up nobody.
#[test]
fn an_output_that_nobody_reads_stalls_nothing() {
    // A FIFO that is open for reading, by circus itself even, and never read.
    let wrapper = "mkfifo $0.out; exec 3<> $0.out; exec \"$@\" > $0.out";
    let ini = "
        [watcher:loud]
        cmd = sh -c 'head -c 1000000 /dev/zero | tr \"\\0\" x; echo; : > {dir}/done; exec sleep 1000'
        stdout_stream.class = StdoutStream
        [watcher:quiet]
        cmd = sleep 1000
        ";
    let mut circus = Circus::wrapped(wrapper, ini);
    until("all is written, though it has no reader", || exists(&circus.dir.path("done")).then_some(()));
    circus.up("quiet");
    circus.end();
}

/// Twenty writers of lines of any length, up to 60 kB, on both channels, into one file.
#[test]
fn lines_of_many_writers_of_any_length_arrive_once_whole_and_in_order() {
    const LINES: usize = 400;
    let dir = Dir::new();
    // awk writes in blocks, which end anywhere.
    let script = dir.script(
        "program",
        "until [ -e \"$0.go\" ]; do sleep 0.01; done
        exec awk -v wid=$1 'BEGIN {
            srand(wid)
            for (long = \"x\"; length(long) < 60000; ) long = long long
            for (i = 0; i < 400; i++) {
                n = int(rand() ^ 20 * 60000)
                line = wid \" \" i \" \" n \" \" substr(long, 1, n)
                print \"out \" line
                print \"err \" line > \"/dev/stderr\"
            }
        }'",
    );
    let ini = format!(
        "[watcher:w]\ncmd = {script} $(circus.wid)\nnumprocesses = 20\nrespawn = False\n\
         stdout_stream.filename = {{dir}}/log\nstderr_stream.filename = {{dir}}/log\n\
         stdout_stream.max_bytes = 2000000\nstdout_stream.backup_count = 10000\n"
    );
    let circus = Circus::with(dir, &ini, |_| {});
    // They all begin at once; and one that has gone would leave its number to the next.
    circus.up("w");
    circus.dir.write("program.go", "");
    circus.until_status("w", "stopped");
    let old = (1..).map(|n| format!("log.{n}")).take_while(|name| exists(&circus.dir.path(name)));
    let mut names: Vec<String> = old.collect();
    assert!(names.len() > 5, "{}", names.len());
    names.reverse();
    names.push("log".into());
    let mut next = std::collections::BTreeMap::new();
    for line in names.iter().flat_map(|name| {
        let text = circus.dir.read(name);
        assert!(text.is_empty() || text.ends_with('\n'), "{name} ends within a line");
        text.lines().map(str::to_string).collect::<Vec<_>>()
    }) {
        let words: Vec<&str> = line.split(' ').collect();
        let [channel, wid, i, n, text] = words[..] else { panic!("torn: {line:.100}") };
        let number = |word: &str| word.parse::<usize>().expect("a number");
        assert!(text.len() == number(n) && text.bytes().all(|byte| byte == b'x'), "torn: {line:.100}");
        let expected: &mut usize = next.entry((channel.to_string(), number(wid))).or_default();
        assert_eq!(number(i), *expected, "{channel} {wid}");
        *expected += 1;
    }
    assert_eq!((next.len(), next.values().sum::<usize>()), (40, 40 * LINES));
}

/// Four writers that never pause keep nobody from being heard.
#[test]
fn a_process_that_writes_without_pause_starves_nobody() {
    let circus = Circus::start(
        "
        [watcher:loud]
        cmd = yes a line that is written again and again
        numprocesses = 4
        stdout_stream.filename = /dev/null
        [watcher:quiet]
        cmd = sh -c 'echo here; exec sleep 1000'
        stdout_stream.filename = {dir}/quiet
        ",
    );
    circus.up("loud");
    circus.up("quiet");
    let mut events = circus.listen(&["watcher.quiet.spawn"]);
    let heard = |times: usize| {
        until("the process is heard", || circus.dir.has("quiet", "here\n".repeat(times)));
    };
    heard(1);
    for n in 2..6 {
        let before = circus.up("quiet");
        circus::sys::signal::kill(before[0], crate::common::SIGKILL).expect("it runs");
        assert_ne!(events.pid("watcher.quiet.spawn"), before[0]);
        heard(n);
    }
    assert_eq!(circus.status("loud"), "active");
}
