//! The lists in the manual pages come from the tables of options and commands: the pages in `man/` are compared
//! with what the tables give. `make man` (the environment variable `CIRCUS_WRITE_MANUAL`) writes the pages anew.
#![allow(clippy::indexing_slicing, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "manual/lists.rs"]
mod lists;
#[path = "manual/mdoc.rs"]
mod mdoc;
#[path = "manual/topics.rs"]
mod topics;

use circus::control::commands::COMMANDS;
use std::fs;
use std::path::{Path, PathBuf};

const PAGES: [&str; 7] = [
    "circus.1",
    "circusctl.1",
    "circus.ini.5",
    "circus-cookbook.7",
    "circus-differences.7",
    "circus-migrate.7",
    "circus-protocol.7",
];

fn path(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(page)
}

/// The first line in which two pages differ, for the message.
fn difference(old: &str, new: &str) -> String {
    let longest = old.lines().count().max(new.lines().count());
    let lines = |text: &str| {
        text.lines().map(str::to_string).chain(std::iter::repeat(String::new())).take(longest).collect()
    };
    let (old, new): (Vec<String>, Vec<String>) = (lines(old), lines(new));
    let differs = (1..).zip(old.iter().zip(&new)).find(|(_, (old, new))| old != new);
    differs
        .map_or_else(String::new, |(n, (old, new))| format!("line {n} is\n  {old}\nand should be\n  {new}"))
}

#[test]
fn the_lists_are_those_of_the_tables() {
    for page in PAGES {
        let old = fs::read_to_string(path(page)).unwrap();
        let (new, _) = mdoc::fill(&old, lists::list).unwrap_or_else(|why| panic!("man/{page}: {why}"));
        if std::env::var_os("CIRCUS_WRITE_MANUAL").is_some() && new != old {
            fs::write(path(page), new).unwrap();
        } else {
            assert!(new == old, "man/{page} is not up to date, run `make man`: {}", difference(&old, &new));
        }
    }
}

#[test]
fn a_stale_page_is_noticed() {
    let page = fs::read_to_string(path("circus.ini.5")).unwrap();
    let stale = page.replacen(".It Ic numprocesses No", ".It Ic numprocs No", 1);
    assert!(stale != page, "the option is no longer in the page");
    let (new, _) = mdoc::fill(&stale, lists::list).unwrap();
    assert!(difference(&stale, &new).contains("numprocs"), "{}", difference(&stale, &new));
}

#[test]
fn every_list_stands_in_one_place() {
    let mut found: Vec<String> = Vec::new();
    for page in PAGES {
        found.extend(mdoc::fill(&fs::read_to_string(path(page)).unwrap(), lists::list).unwrap().1);
    }
    found.sort();
    let mut names = lists::NAMES.to_vec();
    names.sort();
    assert_eq!(found, names);
}

/// What `tests/compliance` knows to be other than in Circus has an entry in the manual, whose words it names.
#[test]
fn every_difference_from_circus_is_in_the_manual() {
    let said = mdoc::words(&fs::read_to_string(path("circus-differences.7")).unwrap());
    let mut count = 0;
    for entry in fs::read_dir(path("../tests/compliance/cases")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|end| end != "py") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let differences = text.matches("@differs(").count() + text.matches("[Difference(").count();
        let named: Vec<&str> =
            text.split("manual=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(named.len(), differences, "{}: a difference names no entry", file.display());
        for words in &named {
            assert!(said.contains(words), "{}: the manual does not say: {words}", file.display());
        }
        count += named.len();
    }
    assert!(count > 80, "{count}");
}

#[test]
fn every_command_is_in_the_page_of_the_protocol() {
    let page = fs::read_to_string(path("circus-protocol.7")).unwrap();
    let entry = |name: &str| page.lines().any(|line| line == format!(".It Ic {name}"));
    let missing: Vec<&str> = COMMANDS.iter().map(|row| row.name).filter(|name| !entry(name)).collect();
    assert_eq!(missing, [""; 0]);
    assert!(!entry("no_such_command"));
}

/// The options of a program, as its help lists them.
fn options(args: &[&str]) -> Vec<String> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_circus")).args(args).arg("--help").output();
    let help = String::from_utf8(output.expect("circus runs").stdout).expect("text");
    let (_, list) = help.split_once("Options:\n").expect("a list of options");
    let lines = list.lines().take_while(|line| line.starts_with(' '));
    let firsts = lines.map(|line| line.split_whitespace().take_while(|word| word.starts_with('-')));
    firsts.filter_map(|words| words.last()?.strip_prefix("--").map(str::to_string)).collect()
}

#[test]
fn every_option_of_the_programs_is_in_its_page() {
    for (args, page) in [
        (&[][..], "circus.1"),
        (&["check"], "circus.1"),
        (&["init"], "circus.1"),
        (&["run"], "circus.1"),
        (&["ctl"], "circusctl.1"),
    ] {
        let text = fs::read_to_string(path(page)).unwrap();
        let entries: Vec<&str> = text.lines().filter(|line| line.starts_with(".It Fl ")).collect();
        let entry = |name: &String| {
            let flag = format!("-{name}");
            entries.iter().any(|line| line.split_whitespace().any(|word| word == flag))
        };
        let options = options(args);
        assert!(options.contains(&"help".to_string()), "{options:?}");
        let missing: Vec<&String> = options.iter().filter(|name| !entry(name)).collect();
        assert!(missing.is_empty(), "man/{page} has no .It Fl for {missing:?} of {args:?}");
    }
}

#[test]
fn every_page_of_the_directory_is_checked() {
    let mut found: Vec<String> =
        fs::read_dir(path("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    let mut pages = PAGES.map(str::to_string);
    pages.sort();
    assert_eq!(found, pages);
}
