//! The files that a command is made of: the program that a spawn would execute now, and the script that an interpreter
//! is given as its first argument.
//!
//! Other arguments are not looked at: a log file or a data base that is named there changes all the time.

use crate::config::{WatcherConfig, text, words};
use crate::daemon::blueprint::{self, Blueprint};
use crate::daemon::plugins::builtin::Stamp;
use crate::sys::child::Child;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Programs, by the beginning of their names, whose first argument is a script.
const INTERPRETERS: [&str; 12] =
    ["python", "pypy", "ruby", "perl", "node", "php", "lua", "sh", "bash", "dash", "zsh", "ksh"];

/// The files of a watcher's command, as the blueprint of its processes has it.
pub fn files(config: &WatcherConfig, blueprint: &Blueprint) -> Vec<PathBuf> {
    let child = blueprint.prepared();
    let argv: Vec<String> = child.argv.iter().map(|word| text::from_bytes(word.to_bytes())).collect();
    let (programs, argv) = if config.options.shell {
        // The shell runs the text behind -c, whose first word is taken for the program.
        let line = argv.get(2).map_or("", String::as_str);
        let argv = words::split(line).unwrap_or_default();
        let program = argv.first().map_or("", String::as_str).to_string();
        (blueprint::candidates(&program, &path(child)).collect(), argv)
    } else {
        let programs = child.programs.iter().map(|path| text::from_bytes(path.to_bytes()));
        (programs.collect::<Vec<String>>(), argv)
    };
    let place = |name: &str| working_dir(child).join(OsStr::from_bytes(&text::to_bytes(name)));
    let program = programs.iter().map(|path| place(path)).find(|path| path.is_file());
    let script = program.as_ref().filter(|program| is_interpreter(program)).and(argv.get(1));
    let script = script.filter(|word| !word.starts_with('-')).map(|word| place(word));
    program.into_iter().chain(script.filter(|script| script.is_file())).collect()
}

fn is_interpreter(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    // python3.11, but not python-config; sh, but not sha256sum
    let is = |known: &&str| {
        let rest = name.strip_prefix(*known);
        rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
    };
    INTERPRETERS.iter().any(|known| is(&known))
}

fn path(child: &Child) -> String {
    let value = |entry: &CStr| entry.to_bytes().strip_prefix(b"PATH=").map(text::from_bytes);
    child.env.iter().find_map(|entry| value(entry)).unwrap_or_default()
}

fn working_dir(child: &Child) -> PathBuf {
    child.working_dir.as_ref().map(|dir| OsStr::from_bytes(dir.to_bytes()).into()).unwrap_or_default()
}

/// What tells one state of a file from another.
pub fn stamp(file: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(file).ok()?;
    Some([file.dev(), file.ino(), file.size(), file.mtime().unsigned_abs(), file.mtime_nsec().unsigned_abs()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::sockets::Sockets;

    fn found(cmd: &str, args: &str, shell: bool, dir: &Path) -> Vec<PathBuf> {
        let mut config = WatcherConfig { name: "w".into(), ..WatcherConfig::default() };
        (config.options.cmd, config.options.args, config.options.shell) = (cmd.into(), args.into(), shell);
        config.options.working_dir = dir.to_str().map(Into::into);
        std::rc::Rc::make_mut(&mut config.env).insert("PATH".into(), "/nonexistent:/usr/bin:/bin".into());
        let blueprint = Blueprint::new(&config, &Sockets::default()).unwrap();
        files(&config, &blueprint)
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
            ("sh run.sh && true", "", true, vec![sh.clone(), run.clone()]),
            ("./run.sh", "", false, vec![dir.join("./run.sh")]),
            ("cat run.sh", "", false, vec!["/usr/bin/cat".into()]),
            ("no-such-program", "", false, vec![]),
        ] {
            assert_eq!(found(cmd, args, shell, &dir), wanted, "{cmd} {args}");
        }
        assert!(stamp(&run).is_some() && stamp(&run) == stamp(&run) && stamp(Path::new("/none")).is_none());
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
