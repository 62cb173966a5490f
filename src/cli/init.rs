//! `circus init`: a configuration to begin with.

use super::program::Program;
use super::{answer, complain};
use crate::host::files::write_new;
use getopts::Matches;
use std::path::Path;

const HELP: &str = "\
usage: circus init [--systemd | --container] [FILE]

Prints a commented starter configuration, or writes it to a file that does not exist yet.

Options:
        --systemd       for circus as a systemd service
        --container     for circus as the init of a container
    -h, --help          print this help
";

const PLAIN: &str = include_str!("init/plain.ini");
const SYSTEMD: &str = include_str!("init/systemd.ini");
const CONTAINER: &str = include_str!("init/container.ini");

/// The exit code is 2 for wrong arguments, 1 when nothing could be written.
pub(super) static PROGRAM: Program =
    Program::new("circus init", HELP, " (try circus init --help)", (2, 1), run);

fn run(program: &Program, matches: &Matches) -> u8 {
    let text = match (matches.opt_present("systemd"), matches.opt_present("container")) {
        (false, false) => PLAIN,
        (true, false) => SYSTEMD,
        (false, true) => CONTAINER,
        (true, true) => return program.misused("--systemd and --container exclude each other"),
    };
    match matches.free.as_slice() {
        [] if answer(text) => 0,
        [] => program.failed,
        [path] => match write_new(Path::new(path), text.as_bytes()) {
            Ok(()) => 0,
            Err(why) => complain(&format!("circus init: {path}: {why}"), program.failed),
        },
        _ => program.misused("more than one file is given"),
    }
}
