//! The command line of `circus ctl`: options, a command of the command table, and what belongs to the command.
//!
//! As Circus's own client does it: long options may be abbreviated, `--name=value` is `--name value`, numbers below
//! zero are words. Options of the command may stand anywhere behind it, and so may ours, unless the words that
//! follow are those of a program (`add`) or values (`set`).

use crate::cli::habits;
use crate::config::number;
use crate::control::args::{CliArgs, Flag, flag};
use crate::control::commands::{self, Command};
use std::time::Duration;

/// The options that stand before the command.
pub static OPTIONS: &[Flag] = &[
    flag("endpoint", Some("E"), "where circus listens: PATH, ipc://PATH, @NAME, tcp://HOST:PORT"),
    flag("token-file", Some("FILE"), "the token file for a TCP port (or the variable CIRCUS_TOKEN_FILE)"),
    flag("timeout", Some("SECONDS"), "how long to wait for the answer (5; with --waiting: forever)"),
    flag("no-wait", None, "at a terminal: do not wait until start, stop, restart or reload is done"),
    #[cfg(all(feature = "history", feature = "stats"))]
    flag("watch", None, "at a terminal: repeat status every second"),
    flag("json", None, "print the answer as JSON"),
    flag("prettify", None, "with --json: indented and sorted"),
    flag("ssh", Some("USER@HOST[:PORT]"), "run circus ctl on that host"),
    flag("ssh_keyfile", Some("FILE"), "with --ssh: the key to use"),
    flag("help", None, "print this help, or that of a command"),
    flag("version", None, "print the version"),
];

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    /// Help, on one command or on all.
    Help(Option<&'static Command>),
    /// The version.
    Version,
    /// A request.
    Run(Invocation),
    /// No command: the prompt, in which these options hold.
    Prompt(CliArgs),
}

/// A request as it was typed.
#[derive(Debug)]
pub struct Invocation {
    /// The options that stand before the command.
    pub options: CliArgs,
    /// The command.
    pub command: &'static Command,
    /// What was typed behind the command.
    pub args: CliArgs,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Reads a command line.
///
/// # Errors
/// What is wrong with it, as Circus says it.
pub fn parse(args: Vec<String>) -> Result<Parsed, String> {
    let mut ours = CliArgs::default();
    let mut behind = CliArgs::default();
    let mut command: Option<&'static Command> = None;
    let mut args = args.into_iter();
    let mut only_words = false;
    while let Some(arg) = args.next() {
        if only_words || !is_option(&arg) {
            match command {
                None if arg == "help" || arg == "version" => {
                    ours.flags.push((if arg == "help" { "help" } else { "version" }, None))
                }
                None => command = Some(commands::find(&arg).ok_or_else(|| unknown(&arg))?),
                Some(_) => behind.words.push(arg),
            }
        } else if arg == "--" {
            only_words = true;
        } else if let Some(flag) = command.and_then(|command| of_command(command, &arg, &behind)) {
            behind.flags.push((flag.name, argument(flag, &arg, &mut args)?));
        } else if command.is_some_and(Command::is_verbatim) {
            behind.words.push(arg);
        } else {
            let flag = lookup(OPTIONS.iter(), &arg, false).ok_or_else(|| unrecognized(&arg))?;
            ours.flags.push((flag.name, argument(flag, &arg, &mut args)?));
        }
    }
    ours.value("timeout").map(seconds).transpose()?;
    Ok(match command {
        _ if ours.has("version") => Parsed::Version,
        _ if ours.has("help") => Parsed::Help(command),
        Some(command) => Parsed::Run(Invocation { options: ours, command, args: behind }),
        None => Parsed::Prompt(ours),
    })
}

/// Whether an argument is an option by its looks: `-5` and `-` are words.
fn is_option(arg: &str) -> bool {
    arg.strip_prefix('-')
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The option of the command that was typed. Behind a word of `add`, an option with an argument is the program's.
fn of_command(command: &'static Command, arg: &str, behind: &CliArgs) -> Option<&'static Flag> {
    let flag = lookup(command.flags(), arg, command.is_verbatim())?;
    let programs = command.is_verbatim() && flag.value.is_some() && !behind.words.is_empty();
    (!programs).then_some(flag)
}

/// The option that `arg` means: its name, or, unless `exact`, the beginning of one name only.
fn lookup(
    mut flags: impl Iterator<Item = &'static Flag> + Clone,
    arg: &str,
    exact: bool,
) -> Option<&'static Flag> {
    let typed = match arg {
        "-h" => "help",
        "-V" => "version",
        "-n" => "lines",
        "-f" => "follow",
        _ => arg.strip_prefix("--")?,
    };
    let typed = typed.split_once('=').map_or(typed, |(name, _)| name);
    let mut close = flags.clone().filter(|flag| flag.name.starts_with(typed));
    match flags.find(|flag| flag.name == typed) {
        Some(flag) => Some(flag),
        None if exact => None,
        None => close.next().filter(|_| close.next().is_none()),
    }
}

/// The argument of an option, behind its `=` or as the next word.
fn argument(
    flag: &Flag,
    arg: &str,
    args: &mut impl Iterator<Item = String>,
) -> Result<Option<String>, String> {
    let attached = arg.split_once('=').map(|(_, value)| value.to_string());
    match (flag.value, attached) {
        (None, None) => Ok(None),
        (None, Some(value)) => Err(format!("argument --{}: ignored explicit argument '{value}'", flag.name)),
        (Some(_), Some(value)) => Ok(Some(value)),
        (Some(_), None) => match args.next().filter(|value| !is_option(value)) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("argument --{}: expected one argument", flag.name)),
        },
    }
}

/// The time that `--timeout` gives.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = number::seconds(text.trim()).filter(|seconds| (0.001..=1e9).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("argument --timeout: '{text}' is not a number of seconds above 0"))
}

/// A command that another build may have, or that has another name here.
fn unknown(command: &str) -> String {
    let hint = habits::meant(command).map(|hint| format!("; {hint}")).unwrap_or_default();
    commands::lack(command).unwrap_or_else(|| unrecognized(command) + &hint)
}

fn unrecognized(arg: &str) -> String {
    format!("unrecognized arguments: {arg}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: &str) -> Result<Parsed, String> {
        parse(line.split_whitespace().map(str::to_string).collect())
    }

    fn run(text: &str) -> Invocation {
        match line(text) {
            Ok(Parsed::Run(invocation)) => invocation,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn options_stand_before_and_behind_the_command() {
        let run = run("--endpoint /x --timeout=0.5 kill web --waiting --signum INT 12 --json");
        assert_eq!(run.command.name, "kill");
        assert_eq!(run.args.words, ["web", "12"]);
        assert_eq!(run.args.value("signum"), Some("INT"));
        assert!(run.args.has("waiting") && run.options.has("json") && !run.options.has("prettify"));
        assert_eq!(run.options.value("endpoint"), Some("/x"));
        assert_eq!(run.options.value("timeout").map(seconds), Some(Ok(Duration::from_millis(500))));
    }

    #[test]
    fn words_of_programs_and_values_are_left_alone() {
        let tail = run("tail web -n 5 -f");
        assert!(tail.args.value("lines") == Some("5") && tail.args.has("follow"));
        assert_eq!(line("list -f").unwrap_err(), "unrecognized arguments: -f");
        let add = run("add --start web prog --json -x --startle --waiting");
        assert_eq!(add.args.words, ["web", "prog", "--json", "-x", "--startle"]);
        assert!(add.args.has("start") && add.args.has("waiting") && !add.options.has("json"));
        let add = run("add --option numprocesses=2 --option env=A=1 web prog --option x");
        assert_eq!(add.args.words, ["web", "prog", "--option", "x"]);
        assert_eq!(add.args.flags.len(), 2);
        assert_eq!(run("add web prog -- --start").args.words, ["web", "prog", "--start"]);
        assert_eq!(
            run("set web max_retry -1 args --foo").args.words,
            ["web", "max_retry", "-1", "args", "--foo"]
        );
        assert_eq!(run("decr web -1").args.words, ["web", "-1"]);
    }

    #[test]
    fn options_may_be_abbreviated() {
        assert!(run("stop web --wait").args.has("waiting"));
        assert!(run("--j list").options.has("json"));
        assert_eq!(line("--s h list").unwrap_err(), "unrecognized arguments: --s");
        assert_eq!(run("--ssh h list").options.value("ssh"), Some("h"));
    }

    #[test]
    fn faults_are_named_as_circus_names_them() {
        for (text, fault) in [
            ("frob", "unrecognized arguments: frob"),
            ("statu", "unrecognized arguments: statu; did you mean status?"),
            ("shutdown web", "unrecognized arguments: shutdown; did you mean quit?"),
            ("list --foo", "unrecognized arguments: --foo"),
            ("--foo list", "unrecognized arguments: --foo"),
            ("-x list", "unrecognized arguments: -x"),
            ("list --endpoint", "argument --endpoint: expected one argument"),
            ("--endpoint --json list", "argument --endpoint: expected one argument"),
            ("--json=1 list", "argument --json: ignored explicit argument '1'"),
            ("--timeout x list", "argument --timeout: 'x' is not a number of seconds above 0"),
            ("--timeout 0 list", "argument --timeout: '0' is not a number of seconds above 0"),
            ("--timeout nan list", "argument --timeout: 'nan' is not a number of seconds above 0"),
        ] {
            assert_eq!(line(text).unwrap_err(), fault, "{text}");
        }
    }

    #[test]
    fn help_and_version_come_first() {
        assert!(matches!(line("--help list"), Ok(Parsed::Help(Some(command))) if command.name == "list"));
        assert!(matches!(line("list --help"), Ok(Parsed::Help(Some(_)))));
        assert!(matches!(line("-h"), Ok(Parsed::Help(None))));
        assert!(matches!(line("--version"), Ok(Parsed::Version)));
        assert!(matches!(line("help list"), Ok(Parsed::Help(Some(command))) if command.name == "list"));
        assert!(matches!(line("help"), Ok(Parsed::Help(None))));
        assert!(matches!(line("version"), Ok(Parsed::Version)) && matches!(line("-V"), Ok(Parsed::Version)));
        assert!(matches!(line("--json"), Ok(Parsed::Prompt(options)) if options.has("json")));
        assert_eq!(run("LIST").command.name, "list");
    }
}
