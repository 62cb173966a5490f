//! `circus run [OPTIONS] -- CMD ARGS`: reads the options of the init of one command and runs it.

use super::program::Program;
use crate::config::number;
use crate::host::init::{self, GRACE, Options};
use crate::signals;
use getopts::{Matches, ParsingStyle};

const HELP: &str = "\
usage: circus run [OPTIONS] [--] CMD ARGS

Runs one command as its init, as PID 1 of a container or anywhere else: forwards signals and reaps orphans. After
the command has exited, asks the rest of its process tree to terminate, waits for it, and only then kills it. Exits
with the exit code of the command: 128 + N if signal N killed it, 127 if there is no such command, 126 if it cannot
be executed, 125 if circus itself fails.

Options:
        --grace S       how long the rest may take to terminate after the
                        command, in seconds (10); 0: kill it at once
    -g, --group         forward signals to the whole process group of the command
        --remap FROM:TO
                        forward signal FROM as TO; 0 for TO drops it
        --no-sweep      leave alone what the command leaves behind
    -h, --help          show this help
";

/// The init of one command. Exit codes below 125 are those of the command, those above it what shells say of commands that do not run.
pub(super) static PROGRAM: Program = Program {
    style: ParsingStyle::StopAtFirstFree,
    repeated: "remap",
    ..Program::new("circus run", HELP, " (try circus run --help)", (125, 125), |program, matches| {
        options(matches).map_or_else(|why| program.misused(&why), |options| init::run(&options))
    })
};

fn options(matches: &Matches) -> Result<Options, String> {
    if matches.free.is_empty() {
        return Err("the command is missing".into());
    }
    let grace = match matches.opt_str("grace") {
        Some(text) => seconds(&text).ok_or_else(|| format!("--grace {text}: not a number of seconds"))?,
        None => GRACE,
    };
    let remap = matches.opt_strs("remap").iter().map(|rule| remap(rule)).collect::<Result<_, _>>()?;
    let (group, sweep) = (matches.opt_present("group"), !matches.opt_present("no-sweep"));
    Ok(Options { argv: matches.free.clone(), grace, group, remap, sweep })
}

fn seconds(text: &str) -> Option<f64> {
    number::seconds(text).filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
}

fn remap(rule: &str) -> Result<(i32, i32), String> {
    let wrong = || format!("--remap {rule}: write two signals, as TERM:QUIT, or TERM:0 to drop one");
    let (from, to) = rule.split_once(':').ok_or_else(wrong)?;
    let from = signals::parse(from).ok_or_else(wrong)?;
    let to = if to == "0" { Some(0) } else { signals::parse(to) };
    Ok((from, to.ok_or_else(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_at_the_command() {
        let words = ["--grace", "2.5", "--remap", "TERM:3", "--remap", "int:0", "ls", "--no-sweep"];
        let options = options(&PROGRAM.options().parse(words).unwrap()).unwrap();
        assert_eq!(options.argv, ["ls", "--no-sweep"]);
        assert_eq!((options.grace, options.sweep, options.group), (2.5, true, false));
        assert_eq!(options.remap, [(15, 3), (2, 0)]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |words: &[&str]| options(&PROGRAM.options().parse(words).unwrap()).unwrap_err();
        assert_eq!(refused(&[]), "the command is missing");
        assert!(refused(&["--grace", "-1", "ls"]).starts_with("--grace -1: "));
        for rule in ["TERM", "TERM:", "NONE:TERM", "0:TERM", "TERM:99"] {
            assert!(refused(&["--remap", rule, "ls"]).contains("write two signals"), "{rule}");
        }
    }
}
