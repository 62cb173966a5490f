//! `circus check`: reads a configuration offline and says everything that is wrong with it.

mod json;
mod system;

use super::program::Program;
use super::{answer, answer_json};
use crate::config::check::way::Once;
use crate::config::{self, Files, Finding, Severity, load};
use crate::host::disk::Disk;
use crate::host::endpoint;
use crate::host::surroundings::{around, current_dir, environ};
use std::io::{self, ErrorKind};

const HELP: &str = "\
Usage: circus check [--json] [--offline] CONFIG

Reports every mistake in a configuration, with file and line.

Options:
        --json          print the configuration as JSON; findings go to
                        standard error
        --offline       ignore what depends on this machine: users, programs
                        and directories; for a file that will run elsewhere
    -h, --help          print this help
";

/// The exit code is 0 without errors (warnings are none), 1 with errors, 2 for wrong arguments.
pub(super) static PROGRAM: Program =
    Program::new("circus check", HELP, "", (2, 1), |program, matches| match matches.free.as_slice() {
        [path] if check(path, matches.opt_present("json"), matches.opt_present("offline")) => 0,
        [_] => program.failed,
        _ => program.misused("one configuration file is needed"),
    });

/// The machine that a file is written for, which is another one: nothing is known of it.
struct Elsewhere;

impl Files for Elsewhere {
    fn read(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn list(&self, _: &str) -> io::Result<Vec<String>> {
        Err(ErrorKind::PermissionDenied.into())
    }
}

/// Checks one file and prints the findings. False when there are errors, or what was asked for cannot be printed.
fn check(path: &str, as_json: bool, offline: bool) -> bool {
    let (environ, cwd) = (environ(), current_dir());
    let (config, mut findings) = load::read(path, &Disk, &environ, &cwd);
    if let Some(config) = &config {
        let control = endpoint::check(&config.circus).ok().flatten();
        let control = control.map(|place| place.to_string()).unwrap_or_default();
        findings.extend(config::check::check(config, &control));
        findings.extend(config::check::nothing_runs(config));
        let (mut around, mut machine): (_, &dyn Files) = (around(&environ, &cwd), &Disk);
        if offline {
            (around.ids, machine) = ((0, 0), &Elsewhere);
        }
        let machine = &Once::new(machine);
        findings.extend(system::check(config, machine, around));
        findings.extend(config::check::writable::check(config, machine, around, true));
        findings.extend(config::check::reach::check(config, machine, &control, &cwd));
    }
    // What reading found is in the order of the files; the rest joins it there.
    let files: Vec<_> = findings.iter().map(|finding| finding.origin.file.clone()).collect();
    let findings = load::in_order(findings, &files);
    let report = report(path, &findings);
    let mut printed = true;
    if as_json {
        super::complain(report.trim_end(), 0);
    } else {
        printed = answer(&report);
    }
    if let Some(config) = config.filter(|_| as_json) {
        json::write(&config, &environ, &mut |text| printed = printed && answer_json(text));
    }
    printed && findings.iter().all(|finding| finding.severity == Severity::Warning)
}

/// `FILE:LINE: error|warning: MESSAGE` for each finding, then a line that counts them.
fn report(path: &str, findings: &[Finding]) -> String {
    let mut report = String::new();
    for finding in findings {
        report += &format!("{}: {}: {}\n", finding.origin, finding.severity.word(), finding.message);
    }
    let number = |of: Severity| findings.iter().filter(|finding| finding.severity == of).count();
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let fatal = number(Severity::Fatal);
    let errors = count(fatal + number(Severity::Error), "error");
    let end = if fatal > 0 { "; circus does not start with it" } else { "" };
    report + &format!("{path}: {errors}, {}{end}\n", count(number(Severity::Warning), "warning"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    #[test]
    fn the_report_has_a_line_for_each_finding_and_one_for_all() {
        let find = |severity, line| Finding {
            severity,
            origin: Origin { file: "x.ini".into(), line },
            message: "it is wrong".into(),
        };
        let findings = [find(Severity::Fatal, 0), find(Severity::Error, 2), find(Severity::Warning, 3)];
        assert_eq!(
            report("x.ini", &findings),
            "x.ini: error: it is wrong\nx.ini:2: error: it is wrong\nx.ini:3: warning: it is wrong\n\
             x.ini: 2 errors, 1 warning; circus does not start with it\n"
        );
        assert_eq!(report("x.ini", &[]), "x.ini: 0 errors, 0 warnings\n");
    }
}
