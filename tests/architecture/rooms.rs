//! Parts do not know each other, and only the loop and what performs the arbiter's actions may touch the daemon as a
//! whole.

use super::{File, files, module, root, source};

/// What is no part and serves all: circus's own log.
const FOR_ALL: &str = "log";

/// What the log is made of: the destinations that the output of processes has, too.
const OF_THE_LOG: &str = "streams";

/// Who may be `impl Daemon`.
const LOOP: [&str; 2] = ["reactor/eventloop.rs", "reactor/perform.rs"];

/// The part that a file belongs to.
fn part_of(path: &str) -> Option<String> {
    let module = module(path);
    let (room, part) = (module.first()?, module.get(1)?);
    (room == "parts").then(|| part.clone())
}

fn violations(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(own) = part_of(&file.path) {
        for path in source::names(&file.source, &module(&file.path)).paths.iter().filter(|path| !path.test) {
            let text = path.text();
            let Some(rest) = text.strip_prefix("crate::parts::") else { continue };
            let other = rest.split("::").next().unwrap_or_default();
            let fine = other == own || other == FOR_ALL || own == FOR_ALL && other == OF_THE_LOG;
            if !fine {
                found.push(format!("src/{}:{}: {own} may not know of {other}", file.path, path.line));
            }
        }
    }
    let whole = file.source.lines().any(|line| line.starts_with("impl Daemon "));
    if whole && !LOOP.contains(&file.path.as_str()) {
        found.push(format!("src/{}: only {} may be impl Daemon", file.path, LOOP.join(" and ")));
    }
    found
}

#[test]
fn parts_do_not_know_each_other() {
    let found: Vec<String> = files(&root().join("src")).unwrap().iter().flat_map(violations).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn a_part_that_knows_another_is_found() {
    let judge =
        |path: &str, source: &str| violations(&File { path: path.into(), source: source.into() }).len();
    assert_eq!(judge("parts/probes.rs", "use crate::parts::helpers::Helpers;"), 1);
    assert_eq!(judge("parts/clients/places.rs", "use super::super::streams::Streams;"), 1);
    assert_eq!(judge("parts/clients/places.rs", "use super::super::log::Log; use super::Clients;"), 0);
    assert_eq!(judge("host/reap.rs", "impl Daemon {\n}"), 1);
    assert_eq!(judge("reactor/perform.rs", "impl Daemon {\n}"), 0);
}
