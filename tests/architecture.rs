//! Who may import whom, and what else ARCHITECTURE.md says about the source: read from the source itself.
#![allow(clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

#[path = "architecture/alone.rs"]
mod alone;
#[path = "architecture/budgets.rs"]
mod budgets;
#[path = "architecture/keys.rs"]
mod keys;
#[path = "architecture/ledger.rs"]
mod ledger;
#[path = "mutants/list.rs"]
mod mutants;
#[path = "architecture/powers.rs"]
mod powers;
#[path = "architecture/rooms.rs"]
mod rooms;
#[path = "architecture/source.rs"]
mod source;

use alone::SHARED;
use source::Names;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::{fs, io};

/// A top-level module, and what of the other ones it may name.
const IMPORTS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "control",
            "host",
            "parts",
            "reactor",
            "config",
            "arbiter::Level",
            "arbiter::Pid",
            "arbiter::request",
            "sys::keyboard",
            "sys::process",
            "sys::signal::PidFd",
            "sys::socket::Address",
            "sys::socket::connect_now",
            "sys::socket::peer_credentials",
            "sys::terminal::columns",
            "sys::terminal::size",
        ],
    ),
    ("reactor", &["arbiter", "control", "config", "host", "parts", "sys", "views"]),
    ("parts", &["arbiter", "control", "config", "host", "reactor", "sys", "views"]),
    ("host", &["arbiter", "control", "config", "parts", "reactor", "sys"]),
    (
        "views",
        &[
            "arbiter",
            "control",
            "config",
            "host::procfs",
            "host::spawn_template",
            "host::surroundings",
            "parts::plugins::run::Builtins",
            "parts::sockets",
            "parts::streams::ring",
            "sys",
        ],
    ),
    ("control", &["config", "arbiter::Pid", "arbiter::request"]),
    (
        "arbiter",
        &[
            "config::Value",
            "config::WatcherConfig",
            "config::changes",
            "config::respawn_rule",
            "config::hooks",
            "config::model",
            "config::number",
            "config::options",
            "config::probe",
            "config::value::Kind",
            "config::value::listed",
        ],
    ),
    ("fuzzed", &["host", "parts", "reactor", "views"]),
    ("config", &[]),
    ("sys", &[]),
    ("seldom", &[]),
    ("signals", &[]),
    ("sorted", &[]),
];

/// A crate, and the modules that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("mio", &["parts", "reactor", "host"]),
    ("libc", &["sys"]),
    ("signal_hook", &["sys"]),
    ("getopts", &["cli"]),
    ("regex_lite", &["config::regex"]),
    ("serde_json", &["cli", "control", "host", "parts", "views"]),
];

/// Modules that touch nothing outside: the parts of the standard library that do are closed to them.
const PURE: &[&str] = &["arbiter", "config", "control"];
const OUTSIDE: &[&str] =
    &["std::env", "std::fs", "std::net", "std::os", "std::process", "std::thread", "std::time"];

/// A source file below `src`, by its path there.
struct File {
    path: String,
    source: String,
}

/// The module that a file makes: `["parts", "log"]` for `parts/log.rs`.
fn module(path: &str) -> Vec<String> {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    let root = matches!(stem, "lib" | "main" | "build");
    if root { Vec::new() } else { stem.split('/').map(str::to_string).collect() }
}

/// Whether `path` is `prefix` or stands below it.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Everything that is wrong in a file.
fn violations(file: &File) -> Vec<String> {
    let module = module(&file.path);
    let names = source::names(&file.source, &module);
    let name = module.join("::");
    let mut found = imports(&name, &names);
    found.extend(crates(&name, &names));
    found.extend(purity(&file.path, &name, &names));
    if !is_below(&name, "sys") {
        let unsafe_code = source::tokens(&file.source).into_iter().filter(|token| token.text == "unsafe");
        found.extend(unsafe_code.map(|token| format!("{}: unsafe stands only below src/sys", token.line)));
    }
    if !file.source.starts_with("//! ") {
        found.push("1: a file begins with a paragraph `//! ...` that says what it is for".into());
    }
    found.into_iter().map(|what| format!("src/{}:{what}", file.path)).collect()
}

fn imports(name: &str, names: &Names) -> Vec<String> {
    let own = name.split("::").next().unwrap_or_default();
    // lib.rs and main.rs tie everything together; build.rs is a program of its own.
    if own.is_empty() {
        return Vec::new();
    }
    let Some((_, allowed)) = IMPORTS.iter().find(|(module, _)| *module == own) else {
        return vec![format!("1: there is no rule for the module {own}")];
    };
    let wrong = names.paths.iter().filter_map(|path| {
        let text = path.text();
        let inside = text.strip_prefix("crate::")?;
        let mut fine = SHARED.iter().chain(*allowed).chain([&own]);
        let fine = fine.any(|prefix| is_below(inside, prefix));
        (!fine).then(|| format!("{}: {own} may not import {text}", path.line))
    });
    wrong.collect()
}

fn crates(name: &str, names: &Names) -> Vec<String> {
    let wrong = names.paths.iter().filter_map(|path| {
        let absolute = path.parts.first()?.is_empty();
        let first = path.parts.iter().find(|part| !part.is_empty())?;
        let (krate, allowed) = CRATES.iter().find(|(krate, _)| krate == first)?;
        let local = !absolute && names.local.contains(first);
        let fine = local || allowed.iter().any(|module| is_below(name, module));
        (!fine).then(|| format!("{}: the crate {krate} belongs to {} alone", path.line, allowed.join(", ")))
    });
    wrong.collect()
}

/// Tests may do what they like, and those of a module may stand in a file of their own.
fn purity(path: &str, name: &str, names: &Names) -> Vec<String> {
    let tests = ["tests.rs", "config/memory.rs"].iter().any(|end| path.ends_with(end));
    if tests || path.starts_with("arbiter/sim") || !PURE.iter().any(|module| is_below(name, module)) {
        return Vec::new();
    }
    let wrong = names.paths.iter().filter(|path| !path.test).filter_map(|path| {
        let outside = OUTSIDE.iter().find(|outside| is_below(&path.text(), outside))?;
        Some(format!("{}: {name} is pure, so it may not use {outside}", path.line))
    });
    wrong.collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All source files below `dir`, with their paths below `src`.
fn files(dir: &Path) -> io::Result<Vec<File>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(root().join("src")).map_err(io::Error::other)?;
            found.push(File { path: below.display().to_string(), source: fs::read_to_string(&path)? });
        }
    }
    Ok(found)
}

#[test]
fn the_source_keeps_the_rules() {
    let files = files(&root().join("src")).unwrap();
    assert!(files.len() > 30, "only {} files were found", files.len());
    let mut found: Vec<String> = files.iter().flat_map(violations).collect();
    found.extend(budgets::violations(&files));
    found.sort();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_ledger_of_unsafe_code_is_that_of_the_source() {
    let new = ledger::page(&files(&root().join("src")).unwrap());
    let path = root().join("docs/unsafe.md");
    let old = fs::read_to_string(&path).unwrap_or_default();
    if std::env::var_os("CIRCUS_WRITE_LEDGER").is_some() && new != old {
        fs::create_dir_all(root().join("docs")).unwrap();
        fs::write(path, &new).unwrap();
    } else {
        let differs = (1..).zip(old.lines().zip(new.lines())).find(|(_, (old, new))| old != new);
        assert!(new == old, "docs/unsafe.md is not up to date, run `make ledger`: {differs:?}");
    }
    let unexplained: Vec<&str> = new.lines().filter(|line| line.ends_with("|  |")).collect();
    assert!(unexplained.is_empty(), "no reason is given for\n{}", unexplained.join("\n"));
}

/// What the rules say of a made-up file.
fn judge(path: &str, source: &str) -> Vec<String> {
    violations(&File { path: path.into(), source: format!("//! x\n{source}") })
}

#[test]
fn each_rule_is_broken_by_something() {
    for (path, source, wanted) in [
        ("sys/x.rs", "use crate::config::Value;", "2: sys may not import crate::config::Value"),
        ("sorted.rs", "use crate::config::Value;", "2: sorted may not import crate::config::Value"),
        ("config/x.rs", "fn f() { crate::sys::errno_words(1); }", "2: config may not import crate::sys"),
        ("config/x/y.rs", "use super::super::super::arbiter;", "2: config may not import crate::arbiter"),
        ("config/x.rs", "mod m { use super::super::super::sys; }", "2: config may not import crate::sys"),
        ("config/mod.rs", "use super::{ini as x, parts::{self, log}};", "2: config may not import crate"),
        (
            "arbiter/x.rs",
            "use crate::{config::{Value, ini}, sys::*};",
            "2: arbiter may not import crate::config",
        ),
        ("arbiter/x.rs", "use circus::control;", "2: arbiter may not import crate::control"),
        ("control/x.rs", "\nuse crate::arbiter::watcher::Watcher;", "3: control may not import crate::arb"),
        ("control/x.rs", "use crate::arbiter::requests;", "2: control may not import crate::arbiter"),
        ("cli/x.rs", "type T = crate::sys::Pid;", "2: cli may not import crate::sys::Pid"),
        ("other/x.rs", "", "1: there is no rule for the module other"),
        ("parts/x.rs", "use libc;", "2: the crate libc belongs to sys alone"),
        ("arbiter/x.rs", "use mio::Poll;", "2: the crate mio belongs to"),
        ("parts/x.rs", "fn f() { signal_hook::low_level::raise(1) }", "2: the crate signal_hook belongs to"),
        (
            "config/x.rs",
            "fn f() { regex_lite::escape(x) }",
            "2: the crate regex_lite belongs to config::regex",
        ),
        ("config/x.rs", "use super::regex; use ::regex_lite::Regex;", "2: the crate regex_lite belongs to"),
        ("config/x.rs", "use serde_json::Value as Json;", "2: the crate serde_json belongs to"),
        ("control/x.rs", "use getopts as g;", "2: the crate getopts belongs to cli alone"),
        ("arbiter/x.rs", "use std::time::Instant;", "2: arbiter::x is pure"),
        ("config/x.rs", "fn f() { std::fs::read(p) }", "2: config::x is pure"),
        ("control/x.rs", "#[cfg(test)] use std::fs; use std::env;", "2: control::x is pure"),
        ("control/x.rs", "#[cfg(test)] mod t {} use std::env;", "2: control::x is pure"),
        ("parts/x.rs", "fn f() { unsafe { g() } }", "2: unsafe stands only below src/sys"),
    ] {
        let found = judge(path, source);
        let wanted = format!("src/{path}:{wanted}");
        assert!(found.iter().any(|found| found.starts_with(&wanted)), "{source}: {found:?}");
    }
    let headless = violations(&File { path: "sys/x.rs".into(), source: "use std::io;\n//! late\n".into() });
    assert!(
        headless.iter().any(|found| found.starts_with("src/sys/x.rs:1: a file begins with")),
        "{headless:?}"
    );
}

#[test]
fn what_is_allowed_is_not_reported() {
    for (path, source) in [
        ("lib.rs", "pub mod sys; use crate::sys::Pid;"),
        ("main.rs", "fn main() { circus::cli::main() }"),
        ("config/x.rs", "use crate::sorted::Sorted;"),
        ("sys/x.rs", "use super::{cvt, errno}; use libc::c_int; fn f() { unsafe { g() } }"),
        (
            "parts/x/y.rs",
            "use super::super::log; use crate::{arbiter::Arbiter, control::answers, config, sys};",
        ),
        ("control/x.rs", "use crate::arbiter::{Pid, request::{Order, Reply}}; use serde_json::json;"),
        ("arbiter/x.rs", "mod m { mod n { use super::super::super::watcher; } } use super::watcher;"),
        ("arbiter/x.rs", "use crate::config::{Value, WatcherConfig, options::Live};"),
        ("config/x.rs", "use super::ini::{self, Document}; fn f() { ini::read(b); }"),
        ("config/regex.rs", "fn f() { regex_lite::escape(x) }"),
        ("config/ini/tests.rs", "fn f() { std::fs::read(p); }"),
        ("config/x.rs", "use std::io; #[cfg(test)] mod tests { use super::*; fn f() { std::env::var(x) } }"),
        ("config/x.rs", "// unsafe libc::kill\n/* /* mio::Poll */ crate::sys */ fn f<'a>(x: &'a str) {}"),
        (
            "config/x.rs",
            r###"const A: &str = "libc::x \" unsafe"; const B: &str = r#"unsafe "crate::sys""#;"###,
        ),
        ("config/x.rs", r"const A: [char; 3] = ['\'', '\\', '(']; const B: &[u8] = b'\x00 unsafe';"),
    ] {
        assert_eq!(judge(path, source), [""; 0], "{source}");
    }
}

/// Compiles an arbiter and the part of the configuration that it needs, with no crate at hand.
fn compile_arbiter(name: &str, arbiter: &Path, features: &[&str]) -> io::Result<Output> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).with_extension("rs");
    let options = ["--crate-type", "lib", "--emit", "metadata"];
    alone::compile(&root().join("src"), arbiter, &file, features, &options)
}

#[test]
fn the_arbiter_compiles_alone() {
    for (name, features) in [("alone", alone::FEATURES), ("alone_and_bare", &[])] {
        let alone = compile_arbiter(name, &root().join("src/arbiter/mod.rs"), features).unwrap();
        assert!(alone.status.success(), "{name}\n{}", String::from_utf8_lossy(&alone.stderr));
    }
}

#[test]
fn an_arbiter_that_needs_libc_does_not_compile_alone() {
    let arbiter = Path::new(env!("CARGO_TARGET_TMPDIR")).join("needs_libc.rs");
    fs::write(&arbiter, "pub fn own() -> i32 { unsafe { libc::getpid() } }\n").unwrap();
    let refused = compile_arbiter("refused", &arbiter, &[]).unwrap();
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && error.contains("libc"), "\n{error}");
}

#[test]
fn every_deliberate_fault_has_its_place_in_the_arbiter() {
    for mutant in mutants::MUTANTS {
        let source = fs::read_to_string(root().join("src/arbiter").join(mutant.file)).unwrap();
        assert_eq!(source.matches(mutant.before).count(), 1, "{}: {}", mutant.file, mutant.breaks);
        assert_ne!(mutant.before, mutant.after, "{}", mutant.file);
    }
}
