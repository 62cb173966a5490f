//! The completions for bash, zsh and fish come from the tables of commands and options and from the help of the
//! programs: those in `completions/` are compared with what these give, and tried in the shells themselves.
//! `make completions` (the environment variable `CIRCUS_WRITE_COMPLETIONS`) writes them anew.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod common;

#[path = "completions/bash.rs"]
mod bash;
#[path = "completions/facts.rs"]
mod facts;
#[path = "completions/fish.rs"]
mod fish;
#[path = "completions/zsh.rs"]
mod zsh;

use common::{Circus, Dir, run};
use facts::{Opt, flags_of, options_of, parts_of};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the scripts are made of.
pub struct Facts {
    /// The options of the daemon.
    pub daemon: Vec<Opt>,
    /// `circus PART`, with its options.
    pub parts: Vec<(String, Vec<Opt>)>,
}

impl Facts {
    fn gather() -> Facts {
        let help = |args: &[&str]| run(common::circus().args(args)).out;
        let circus = help(&["--help"]);
        let part = |name: &str| (name.to_string(), options_of(&help(&[name, "--help"])));
        Facts { daemon: options_of(&circus), parts: parts_of(&circus).into_iter().map(part).collect() }
    }

    /// What a part is for.
    pub fn about(part: &str) -> &'static str {
        match part {
            "ctl" => "control a running daemon",
            "check" => "read a configuration and say what is wrong with it",
            "init" => "make a configuration to begin with",
            "run" => "be the init of one command",
            "top" => "watch watchers, processes and sockets",
            other => panic!("a line about circus {other} is missing here"),
        }
    }

    /// All options of everything, each name once.
    pub fn all(&self) -> Vec<Opt> {
        let mut all: Vec<Opt> = Vec::new();
        let commands = circus::control::commands::COMMANDS.iter().flat_map(flags_of);
        let parts = self.parts.iter().flat_map(|(_, options)| options);
        let copy = |o: &Opt| Opt { name: o.name.clone(), value: o.value.clone(), help: o.help.clone() };
        for option in self.daemon.iter().chain(parts).map(copy).chain(commands) {
            match all.iter().find(|other| other.name == option.name) {
                None => all.push(option),
                Some(other) => {
                    let (name, one, two) = (&option.name, other.value.is_some(), option.value.is_some());
                    assert_eq!(
                        one, two,
                        "--{name} takes an argument in one place alone: the scripts cannot know"
                    );
                }
            }
        }
        all
    }
}

/// The scripts, with their names.
fn scripts() -> [(&'static str, String); 3] {
    let facts = Facts::gather();
    [
        ("circus.bash", bash::script(&facts)),
        ("_circus", zsh::script(&facts)),
        ("circus.fish", fish::script(&facts)),
    ]
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(name)
}

#[test]
fn the_scripts_are_those_of_the_tables() {
    for (name, new) in scripts() {
        let old = std::fs::read_to_string(path(name)).unwrap_or_default();
        if std::env::var_os("CIRCUS_WRITE_COMPLETIONS").is_some() && new != old {
            std::fs::write(path(name), new).expect("it can be written");
        } else {
            assert!(new == old, "completions/{name} is not up to date: run `make completions`");
        }
    }
}

/// What is typed, and what can come then; `*` behind a word: it is one of more.
const CASES: &[(&str, &[&str])] = &[
    ("circus ch", &["check"]),
    ("circus --log-o", &["--log-output"]),
    ("circus --log-level wa", &["warning"]),
    ("circusd --pidf", &["--pidfile"]),
    ("circus check --js", &["--json"]),
    ("circus ctl sta", &["start", "stats", "status"]),
    ("circusctl sta", &["start", "stats", "status"]),
    ("circusctl --pre", &["--prettify"]),
    ("circusctl --json numw", &["numwatchers"]),
    ("circusctl restart --", &["--match", "--waiting"]),
    ("circusctl restart --match re", &["regex"]),
    ("circusctl kill --signum HU", &["HUP"]),
    ("circusctl signal web TER", &["TERM"]),
    ("circusctl set web graceful", &["graceful_timeout"]),
    ("circusctl set web respawn Fa", &["False"]),
    ("circusctl set web respawn False max_a", &["max_age", "max_age_variance"]),
    ("circusctl get web cmd singl", &["singleton"]),
    ("circusctl logs ro", &["rotate"]),
    ("circusctl add we", &[]),
    ("circus ctl --endpoint {sock} restart w", &["web", "worker"]),
    ("circusctl --endpoint={sock} stop --waiting wo", &["worker"]),
    ("circus ctl --endpoint {sock} status web wo", &["worker"]),
    ("circus ctl --endpoint {sock} stats web w", &["web", "worker"]),
    ("circus ctl --endpoint {sock} kill web wo", &["worker"]),
];

/// A directory with the three programs, and a daemon to ask for names.
fn stage() -> (Circus, String) {
    let dir = Dir::new();
    for name in ["circus", "circusd", "circusctl"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_circus"), dir.path(name)).expect("a link");
    }
    let ini = "[watcher:web]\ncmd = sleep 1000\n[watcher:worker]\ncmd = sleep 1000\n[watcher:$(touch x)]\ncmd = sleep 1000\n";
    let circus = Circus::with(dir, ini, |_| {});
    let path = format!("{}:/usr/bin:/bin", circus.dir.name("").trim_end_matches('/'));
    (circus, path)
}

/// Tries all cases in a shell: `ask` gives what the shell offers for a line.
fn try_all(ask: impl Fn(&Circus, &str, &str) -> String) {
    let (circus, path) = stage();
    for (line, wanted) in CASES {
        let said = ask(&circus, &path, &line.replace("{sock}", &circus.dir.name("sock")));
        let mut found: Vec<&str> = said.lines().map(str::trim).filter(|word| !word.is_empty()).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, *wanted, "{line}");
    }
}

/// Runs a shell with nothing of the tester's own.
fn shell(circus: &Circus, path: &str, program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PATH", path).env("HOME", circus.dir.path("")).env("TERM", "dumb");
    let ended = run(command.current_dir(circus.dir.path("")));
    assert_eq!(ended.code, 0, "{program}: {}", ended.err);
    ended.out
}

#[test]
fn bash_completes() {
    // As bash itself does it: the words, of which the last is the one that is typed; = is a word of its own.
    let script = r#"
        source "$1"
        line=${2//=/ = }
        read -ra COMP_WORDS <<< "$line"
        [[ $line == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$2 COMP_POINT=${#2}
        _circus "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let file = path("circus.bash").into_os_string().into_string().expect("a path in UTF-8");
    let ask = |circus: &Circus, path: &str, line: &str| {
        shell(circus, path, "bash", &["--norc", "-c", script, "bash", &file, line])
    };
    try_all(ask);
    let (circus, path) = stage();
    let line = format!("circusctl --endpoint {} status ", circus.dir.name("sock"));
    let names = ask(&circus, &path, &line);
    assert_eq!(names, "\\$\\(touch\\ x\\)\nweb\nworker\n", "names are offered, and never carried out");
    assert!(!common::exists(&circus.dir.path("x")));
    assert!(ask(&circus, &path, "circus ").contains("circus.ini"), "files are offered for the configuration");
}

#[test]
fn zsh_completes() {
    // The functions of zsh's completion by which a script offers words print them here.
    let script = r#"
        compadd() { local word; shift; for word; do [[ $word == $PREFIX* ]] && print -r -- $word; done }
        _describe() { local list=${@[-1]}; compadd -- ${${(P)list}%%:*} }
        _files() { print -l -- $PREFIX*(N) }
        _message() { }
        compset() { PREFIX=${PREFIX#*=} }
        words=(${=2}); [[ $2 == *' ' ]] && words+=('')
        CURRENT=$#words PREFIX=$words[-1]
        source $1
        true
    "#;
    let file = path("_circus").into_os_string().into_string().expect("a path in UTF-8");
    try_all(|circus, path, line| shell(circus, path, "zsh", &["-f", "-c", script, "zsh", &file, line]));
}

#[test]
fn fish_completes() {
    let file = path("circus.fish").into_os_string().into_string().expect("a path in UTF-8");
    try_all(|circus, path, line| {
        let script = "source $argv[1]; complete -C $argv[2]";
        let said = shell(circus, path, "fish", &["--no-config", "-c", script, &file, line]);
        // A word, a tab, and what it means.
        said.lines().map(|line| line.split('\t').next().unwrap_or_default().to_string() + "\n").collect()
    });
}
