//! What beginners write, and what `circus check` says to it.

use crate::common::{Circus, Dir, circus, run, until};
use std::fs::{Permissions, create_dir, set_permissions, write};
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn what_beginners_write_is_told_with_its_line() {
    let dir = Dir::new();
    let script = |name: &str, text: &str, mode: u32| {
        write(dir.path(name), text).expect("a script");
        set_permissions(dir.path(name), Permissions::from_mode(mode)).expect("a mode");
    };
    script("plain", "#!/bin/sh\n", 0o644);
    script("windows", "#!/bin/sh\r\n", 0o755);
    script("lost", "#!/no/such/interpreter\n", 0o755);
    create_dir(dir.path("dir")).expect("a directory");
    symlink("/no/such/target", dir.path("link")).expect("a link");
    let here = dir.name("");
    let lines = [
        ("cmd = sleep 1 | cat", "`|` is an argument of the program"),
        ("cmd = cd /tmp && sleep 1", "`cd` is not a program"),
        ("cmd = A=1 sleep 1", "`A=1` is the program and not a variable"),
        ("cmd = sleep $HOME", "write `$(circus.env.HOME)` for the variable HOME"),
        ("cmd = sleep 1 ; sleep 2", "`; sleep 2` is cut off"),
        ("cmd = {dir}/plain", "/plain` is not executable"),
        ("cmd = {dir}/windows", "/windows` has the ends of lines of Windows"),
        ("cmd = {dir}/lost", "/lost` is to be run by `/no/such/interpreter`, which does not exist"),
        ("cmd = {dir}/dir", "/dir` is a directory and no program"),
        ("cmd = {dir}/link", "/link` is a link to `/no/such/target`, which does not exist"),
        ("cmd = sh {dir}/none.sh", "there is no script `"),
        ("cmd = sh -c 'sleep 1 | cat'", ""),
    ];
    let mut text = String::new();
    for (n, (line, _)) in lines.iter().enumerate() {
        text += &format!("[watcher:w{n}]\n{}\n", line.replace("{dir}/", &here));
    }
    let file = dir.write("c.ini", &text);
    let ended = run(circus().arg("check").arg(&file));
    assert_eq!(ended.code, 1, "{}", ended.out);
    for (n, (line, wanted)) in lines.iter().enumerate() {
        let at = format!("{file}:{}: ", 2 * n + 2);
        let said: Vec<&str> = ended.out.lines().filter(|said| said.starts_with(&at)).collect();
        let right =
            if wanted.is_empty() { said.is_empty() } else { said.len() == 1 && said[0].contains(wanted) };
        assert!(right, "{line}: {said:?}");
    }
}

#[test]
fn a_program_that_goes_into_the_background_is_told_of() {
    for (name, leave) in [("in its group", "sleep 1000 &"), ("in another session", "setsid sleep 1000 &")] {
        let circus = Circus::start(&format!(
            "[watcher:w]\ncmd = sh -c '{leave}'\n[watcher:job]\ncmd = sh -c 'exit 0'\n"
        ));
        circus.log.line("w: the program goes into the background: a process exited with code 0 at once");
        let why = circus.ctl(&["why", "w"]);
        assert!(
            why.out.contains("keep it in the foreground, as with `daemon off;` (nginx)"),
            "{name}: {}",
            why.out
        );
        circus.log.line("job: process ");
        assert_eq!(circus.log.count("job: the program"), 0);
    }
}

#[test]
fn a_reload_of_a_program_that_binds_its_own_port_is_told_of() {
    let circus = Circus::start(
        "[watcher:w]
        cmd = sh -c 'mkdir {dir}/port || exit 1; trap : TERM; until test -e {dir}/go; do sleep 0.01; done; rmdir {dir}/port'
        graceful_timeout = 1000
        ",
    );
    until("the first process has its port", || circus.dir.path("port").exists().then_some(()));
    let reply = circus.call("reload", serde_json::json!({"name": "w"}));
    assert_eq!(reply["status"], "ok");
    circus.log.line("w: a new process exited at once while an old one was running");
    let why = circus.ctl(&["why", "w"]);
    assert!(
        why.out.contains("reload with `--sequential`, let circus bind it by a [socket:NAME]"),
        "{}",
        why.out
    );
    circus.dir.write("go", "");
}

/// It would run for ever with nothing in it.
#[test]
fn a_supervisord_conf_is_refused_with_what_to_do() {
    let dir = Dir::new();
    let file =
        dir.write("supervisord.conf", "[supervisord]\nnodaemon = true\n[program:web]\ncommand = sleep 1\n");
    let ended = run(circus().arg(&file));
    assert_eq!(ended.code, 100, "{}", ended.err);
    let advice = "this is a configuration of supervisord, which circus does not read: rename [supervisord]";
    assert!(ended.err.contains(&format!("supervisord.conf:1: error: {advice}")), "{}", ended.err);
}
