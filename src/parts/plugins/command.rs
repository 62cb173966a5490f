//! The files that a command is made of: the program that a spawn would execute now, and the script that an interpreter
//! is given as its first argument.
//!
//! Other arguments are not looked at: a log file or a data base that is named there changes all the time.

use crate::host::spawn_template::SpawnTemplate;
use crate::parts::plugins::world::Stamp;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Programs, by the beginning of their names, whose first argument is a script.
const INTERPRETERS: [&str; 12] =
    ["python", "pypy", "ruby", "perl", "node", "php", "lua", "sh", "bash", "dash", "zsh", "ksh"];

/// The files of the command of which this is the template. What a shell runs behind `-c` is not looked at.
pub fn files(template: &SpawnTemplate) -> Vec<PathBuf> {
    let child = &template.child;
    let place = |word: &CString| {
        let dir = child.working_dir.as_ref().map_or(&b""[..], |dir| dir.to_bytes());
        Path::new(OsStr::from_bytes(dir)).join(OsStr::from_bytes(word.to_bytes()))
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for program in &child.programs {
        let program = place(program);
        if program.is_file() {
            let script = child
                .argv
                .get(1)
                .filter(|word| is_interpreter(&program) && !word.to_bytes().starts_with(b"-"));
            files.push(program);
            files.extend(script.map(place).filter(|script| script.is_file()));
            break;
        }
    }
    files
}

fn is_interpreter(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default().as_bytes();
    // python3.11, but not python-config; sh, but not sha256sum
    let version = |rest: &[u8]| rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    INTERPRETERS.iter().any(|known| name.strip_prefix(known.as_bytes()).is_some_and(version))
}

/// What tells one state of files from another: device, inode, size and time of the last change of each, stirred. `None`
/// when one of them is missing.
pub fn stamp(files: &[PathBuf]) -> Option<Stamp> {
    let mut stamp = 0u64;
    for file in files {
        let file = std::fs::metadata(file).ok()?;
        let (seconds, nanoseconds) = (file.mtime().unsigned_abs(), file.mtime_nsec().unsigned_abs());
        for part in [file.dev(), file.ino(), file.size(), seconds, nanoseconds] {
            stamp = (stamp ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        }
    }
    Some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::WatcherConfig;

    fn found(cmd: &str, args: &str, shell: bool, dir: &Path) -> Vec<PathBuf> {
        let mut config = WatcherConfig { name: "w".into(), ..WatcherConfig::default() };
        (config.options.cmd, config.options.args, config.options.shell) = (cmd.into(), args.into(), shell);
        config.options.working_dir = dir.to_str().map(Into::into);
        std::rc::Rc::make_mut(&mut config.env).insert("PATH".into(), "/nonexistent:/usr/bin:/bin".into());
        let template = SpawnTemplate::new(&config, &[], None).unwrap();
        files(&template)
    }

    #[test]
    fn the_program_and_the_script_of_an_interpreter_are_found() {
        let dir = std::env::temp_dir().join(format!("circus-command-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("run.sh"), "").unwrap();
        let (sh, run) = (PathBuf::from("/usr/bin/sh"), dir.join("run.sh"));
        for (cmd, args, shell, wanted) in [
            ("sh run.sh", "", false, vec![sh.clone(), run.clone()]),
            ("sh", "run.sh x", false, vec![sh.clone(), run.clone()]),
            ("sh -c run.sh", "", false, vec![sh.clone()]),
            ("sh missing", "", false, vec![sh.clone()]),
            ("run.sh && true", "", true, vec!["/bin/sh".into()]),
            ("./run.sh", "", false, vec![dir.join("./run.sh")]),
            ("cat run.sh", "", false, vec!["/usr/bin/cat".into()]),
            ("no-such-program", "", false, vec![]),
        ] {
            assert_eq!(found(cmd, args, shell, &dir), wanted, "{cmd} {args}");
        }
        let stamp_of = |path: &Path| stamp(&[path.to_owned()]);
        let first = stamp_of(&run);
        std::fs::write(dir.join("run.sh"), "changed").unwrap();
        assert!(first.is_some() && first != stamp_of(&run) && stamp_of(Path::new("/none")).is_none());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn interpreters_may_have_a_version() {
        for (program, wanted) in
            [("python3.11", true), ("/bin/sh", true), ("sha256sum", false), ("node", true)]
        {
            assert_eq!(is_interpreter(Path::new(program)), wanted, "{program}");
        }
    }
}
