//! What is wrong with files as they stand on the disk: their kinds, their modes and how they begin.

use super::*;
use crate::config::include::Owned;
use crate::config::load;
use std::io;

/// A configuration, and what is on the machine: path, type and mode, owner, and text or where a link leads.
struct Machine<'a>(&'a str, u32);

const FILES: &[(&str, u32, u32, &str)] = &[
    ("/bin/sh", 0o100_755, 0, "\x7fELF\0"),
    ("/bin/env", 0o100_755, 0, "\x7fELF\0"),
    ("/usr/bin/late", 0o100_755, 0, "\x7fELF\0"),
    ("/bin/late", 0o100_644, 0, "\x7fELF\0"),
    ("/w/run", 0o100_755, 0, "#!/bin/sh\necho"),
    ("/w/by_env", 0o100_755, 0, "#!/bin/env sh"),
    ("/w/no_env", 0o100_755, 0, "#!/bin/env -S python -u"),
    ("/w/plain", 0o100_644, 0, "#!/bin/sh"),
    ("/w/dir/x", 0o100_755, 0, "\x7fELF\0"),
    ("/w/dangling", 0o120_777, 0, "/gone/x"),
    ("/w/link", 0o120_777, 0, "dir/x"),
    ("/w/loop", 0o120_777, 0, "loop"),
    ("/w/no_interpreter", 0o100_755, 0, "#! /bin/pyhton\n"),
    ("/w/windows", 0o100_755, 0, "#!/bin/sh\r\necho\r\n"),
    ("/w/bare", 0o100_755, 0, "echo x\n"),
    ("/w/fifo", 0o010_644, 0, ""),
    ("/w/sock", 0o140_755, 0, ""),
    ("/w/own", 0o100_750, 33, "\x7fELF\0"),
    ("/w/others", 0o100_750, 7, "\x7fELF\0"),
    ("/home/ann", 0o040_700, 7, ""),
    ("/home/ann/run", 0o100_755, 7, "\x7fELF\0"),
    ("/home/ann/app.py", 0o100_644, 7, ""),
    ("/w/app.js", 0o100_644, 0, ""),
    ("/w/secret.py", 0o100_600, 0, ""),
    ("/etc/passwd", 0o100_644, 0, "root:x:0:0:::\nwww:x:33:33:::\nann:x:7:7:::\n"),
    ("/etc/group", 0o100_644, 0, "root:x:0:\nwww:x:33:\nann:x:7:\nstaff:x:50:www\n"),
];

impl Files for Machine<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = FILES.iter().find(|(own, ..)| *own == path);
        let text = if path == "/c" { Some(self.0) } else { file.map(|(.., text)| *text) };
        text.map(Into::into).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let below = FILES.iter().filter_map(|(path, ..)| path.strip_prefix(dir)?.strip_prefix('/'));
        let names: Vec<_> = below.map(|rest| rest.split('/').next().unwrap().to_string()).collect();
        if names.is_empty() { Err(ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    fn owner(&self, path: &str) -> io::Result<Owned> {
        let own = FILES.iter().find(|(own, ..)| *own == path);
        if let Some((_, mode, uid, text)) = own {
            let link = (mode & 0o170_000 == 0o120_000).then(|| text.to_string());
            return Ok(Owned { uid: *uid, gid: *uid, mode: *mode, link, is_fixed: false });
        }
        let is_dir = path == "/" || self.list(path).is_ok();
        let dir = Owned { mode: 0o040_755, ..Owned::default() };
        if is_dir { Ok(dir) } else { Err(ErrorKind::NotFound.into()) }
    }
}

fn found_by(text: &str, uid: u32) -> Vec<String> {
    let machine = Machine(text, uid);
    let config = load("/c", &machine, &Names::new(), "/w").config.unwrap();
    let show = |f: &Finding| format!("{} {} {}", f.origin.line, f.severity.word(), f.message);
    let environ = Names::from_iter([("PATH".to_string(), "/bin:/usr/bin".to_string())]);
    let around = Around { environ: &environ, cwd: "/w", default_path: "/bin:/usr/bin", ids: (machine.1, 0) };
    check(&config, &machine, around).iter().map(show).collect()
}

fn found(text: &str) -> Vec<String> {
    found_by(text, 0)
}

#[test]
fn programs_that_cannot_be_executed_are_told_of() {
    for (cmd, wanted) in [
        ("./plain", "`/w/./plain` is not executable: chmod +x it"),
        ("./dir", "`/w/./dir` is a directory and no program"),
        ("./fifo", "`/w/./fifo` is not an executable file"),
        ("./dangling", "`/w/./dangling` is a link to `/gone/x`, which does not exist"),
        ("./loop", "`/w/./loop` is a link to `loop`, which does not exist"),
        ("./no_interpreter", "`/w/./no_interpreter` is to be run by `/bin/pyhton`, which does not exist"),
        ("./windows", "`/w/./windows` has the ends of lines of Windows"),
        ("./bare", "`/w/./bare` does not begin with `#!`"),
        (
            "./no_env",
            "`/w/./no_env` is to be run by `python`, which is not in the PATH of the processes (/bin:/usr/bin)",
        ),
        (
            "\"sh -c x\"",
            "there is no program `sh -c x` in the PATH of the processes (/bin:/usr/bin): quotes make",
        ),
        ("sh\nworking_dir = ~/x", "the directory `/w/~/x` does not exist: write the whole path"),
        ("sh ./none.sh", "there is no script `/w/./none.sh`"),
        ("sh dangling", "`/w/dangling` is a link to `/gone/x`, which does not exist"),
    ] {
        let found = found(&format!("[watcher:a]\ncmd = {cmd}"));
        let wanted = format!(" error {wanted}");
        assert!(found.len() == 1 && found[0][1..].starts_with(&wanted), "{cmd}: {found:?}");
    }
    for cmd in ["./run", "./by_env", "./link", "late", "sh -c run", "sh run", "sh -e dir", "sh $(circus.wid)"]
    {
        assert_eq!(found(&format!("[watcher:a]\ncmd = {cmd}")), [""; 0], "{cmd}");
    }
    let hook = found("[watcher:a]\ncmd = sh\nhooks.after_stop = ./plain x");
    assert_eq!(hook, ["3 error `/w/./plain` is not executable: chmod +x it"]);
}

#[test]
fn what_a_user_cannot_reach_is_told_of() {
    for (cmd, wanted) in [
        (
            "/home/ann/run",
            "the user `www` cannot reach `/home/ann/run`: `/home/ann` has mode 700; chmod o+x it",
        ),
        ("./others", "the user `www` may not execute `/w/./others`, which has mode 750"),
        ("sh /home/ann/app.py", "the user `www` cannot reach `/home/ann/app.py`: `/home/ann` has mode 700"),
        ("sh secret.py", "the user `www` may not read `/w/secret.py`, which has mode 600"),
        ("sh\nworking_dir = /home/ann", "the user `www` may not enter `/home/ann`, which has mode 700"),
    ] {
        let found = found(&format!("[watcher:a]\ncmd = {cmd}\nuid = www"));
        assert!(found.len() == 1 && found[0].contains(wanted), "{cmd}: {found:?}");
    }
    for rest in
        ["./own\nuid = www", "./others\nuid = www\ngid = 7", "/home/ann/run\nuid = ann", "/home/ann/run"]
    {
        assert_eq!(found(&format!("[watcher:a]\ncmd = {rest}")), [""; 0], "{rest}");
    }
    let text = "[watcher:a]\ncmd = sh\nuid = www";
    assert!(found_by(text, 7)[0].starts_with("3 warning only a circus of root can run processes as `www`"));
    assert_eq!(found_by(text, 33), [""; 0]);
}

#[test]
fn directories_and_files_in_each_others_place_are_told_of() {
    for (text, wanted) in [
        ("[circus]\npidfile = dir", "2 error `/w/dir` is a directory and no file"),
        ("[circus]\nlogoutput = /w/dir", "2 error `/w/dir` is a directory and no file"),
        (
            "[watcher:a]\ncmd = sh\nstderr_stream.filename = dir",
            "3 error `/w/dir` is a directory and no file",
        ),
        ("[watcher:a]\ncmd = sh\nenv_file = dir", "3 error `/w/dir` is a directory and no file"),
        ("[watcher:a]\ncmd = sh\nworking_dir = run", "3 error `/w/run` is not a directory"),
        ("[socket:a]\npath = run", "2 error `/w/run` exists and is not a socket: remove it"),
        ("[circus]\nendpoint = /w/dir", "2 error `/w/dir` exists and is not a socket: remove it"),
    ] {
        let found = found(text);
        assert!(found.len() == 1 && found[0].starts_with(wanted), "{text}: {found:?}");
    }
    assert_eq!(found("[socket:a]\npath = sock\n[circus]\npidfile = run"), [""; 0]);
}

#[test]
fn the_script_of_an_interpreter_stands_behind_its_options() {
    for cmd in [
        "node app",
        "node -r none app.js",
        "node --import none app",
        "bash -o errexit run",
        "bash -lic 'none'",
    ]
    .map(|cmd| cmd.replace("node", "/w/dir/node").replace("bash", "/w/dir/bash"))
    .into_iter()
    .chain(["sh -s none", "sh -", "sh -- run"].map(Into::into))
    {
        let found = found(&format!("[watcher:a]\ncmd = {cmd}"));
        assert!(found.iter().all(|found| !found.contains("script")), "{cmd}: {found:?}");
    }
    for cmd in
        ["/w/dir/python3.11 -u none.py", "/w/dir/python -W ignore none.py", "/w/dir/ruby -I lib none.rb"]
    {
        let found = found(&format!("[watcher:a]\ncmd = {cmd}"));
        assert!(found.iter().any(|found| found.contains("there is no script `/w/none.")), "{cmd}: {found:?}");
    }
}
