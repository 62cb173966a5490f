//! What beginners write, and what `circus check` says to it.

use crate::common::{Dir, circus, run};
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
        ("cmd = cd /tmp && sleep 1", "`cd` is no program"),
        ("cmd = A=1 sleep 1", "`A=1` is no variable but the program"),
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
