//! Warnings of what others can change.

use crate::common::{Circus, Dir, needs_root, run};
use std::fs::{Permissions, create_dir, set_permissions};
use std::os::unix::fs::{PermissionsExt, chown};

/// The user and the group nobody.
const NOBODY: u32 = 65_534;

#[test]
fn who_else_can_change_what_runs_is_named_by_check_and_at_the_start() {
    needs_root();
    let dir = Dir::new();
    for name in ["open", "others", "fine"] {
        create_dir(dir.path(name)).expect("a directory");
        dir.program(&format!("{name}/run"), "/bin/sleep");
    }
    set_permissions(dir.path("open"), Permissions::from_mode(0o777)).expect("root");
    chown(dir.path("others/run"), Some(NOBODY), Some(NOBODY)).expect("root");
    let ini = "[watcher:a]\ncmd = {dir}/open/run 1000\n[watcher:b]\ncmd = {dir}/others/run\n\
        [watcher:c]\ncmd = {dir}/fine/run 1000\n[watcher:d]\ncmd = {dir}/others/run 1000\nuid = 65534\n";
    let circus = Circus::with(dir, ini, |_| {});
    let (open, others) = (circus.dir.name("open"), circus.dir.name("others/run"));
    let wanted = [
        format!("every user can write to `{open}`, and so decide what runs as `root`: chmod go-w {open}"),
        format!(
            "the user `nobody` owns `{others}` and can change it, and so decide what runs as `root`: chown root {others}"
        ),
    ];
    let ended = run(crate::common::circus().arg("check").arg(circus.dir.name("circus.ini")));
    assert_eq!(ended.code, 0, "{}", ended.out);
    assert!(ended.out.ends_with("0 errors, 2 warnings\n"), "{}", ended.out);
    for line in &wanted {
        assert!(ended.out.contains(&format!("warning: {line}\n")), "{line}\n{}", ended.out);
        circus.log.line(line);
        assert_eq!(circus.log.count(line), 1);
    }
}
