//! What a person types: which program is meant, by the name it was called by or by its first argument.

#[cfg(feature = "check")]
pub mod check;
pub mod ctl;
pub mod daemon;
#[cfg_attr(not(feature = "check"), path = "no_habits.rs")]
mod habits;
pub mod init;
#[cfg(any(feature = "prompt", feature = "top"))]
mod keys;
#[cfg(any(feature = "prompt", feature = "top"))]
mod line;
mod program;
#[cfg(feature = "run")]
pub mod run;
#[cfg(feature = "top")]
pub mod top;

use crate::config::text;
use crate::control::plain::plain_text;
use crate::sys::process::has_stdout;
use std::io::{self, ErrorKind, Write};

/// Runs the program that these arguments name, the first of which is the name it was called by. The answer is the
/// exit code.
pub fn main(args: Vec<&[u8]>) -> u8 {
    let mut args = args.into_iter().map(text::from_bytes);
    let name = args.next().unwrap_or_default();
    let mut args: Vec<String> = args.collect();
    let command = match name.rsplit('/').next().unwrap_or_default() {
        "circusctl" => "ctl".to_string(),
        "circus-top" => "top".to_string(),
        "circusd" => String::new(),
        _ if args.first().is_some_and(|first| COMMANDS.contains(&first.as_str())) => args.remove(0),
        _ if args.first().is_some_and(|first| WORDS.contains(&first.as_str())) => return told(&args),
        _ => String::new(),
    };
    run_command(&command, args)
}

/// What `circus help [COMMAND]` and `circus version` print.
fn told(args: &[String]) -> u8 {
    let of = args.get(1).filter(|of| COMMANDS.contains(&of.as_str()));
    run_command(
        of.map_or("", String::as_str),
        vec![format!("--{}", args.first().map_or("help", String::as_str))],
    )
}

/// Runs the program of that name, of those that this build has.
fn run_command(command: &str, args: Vec<String>) -> u8 {
    match command {
        "ctl" => ctl::main(args),
        "init" => init::PROGRAM.main(&args),
        #[cfg(feature = "check")]
        "check" => check::PROGRAM.main(&args),
        #[cfg(feature = "top")]
        "top" => top::PROGRAM.main(&args),
        #[cfg(feature = "run")]
        "run" => run::PROGRAM.main(&args),
        "" => daemon::PROGRAM.main(&args),
        other => lacks(&format!("circus {other}"), other),
    }
}

/// What the first argument can be instead of a configuration.
const COMMANDS: [&str; 5] = ["check", "ctl", "init", "run", "top"];
/// What it can be besides.
const WORDS: [&str; 2] = ["help", "version"];

/// Says that this build was made without what was asked for.
fn lacks(what: &str, feature: &str) -> u8 {
    complain(&format!("circus: this build has no {what}: it was made without the feature {feature}"), 100)
}

/// Prints text that was asked for on the standard output, without what would command a terminal. False, and a line that
/// says why, when that cannot be done; that nobody reads any more is no failure.
pub(crate) fn answer(text: &str) -> bool {
    answer_bytes(&text::to_bytes(&plain_text(text)))
}

/// The same of JSON, which stays what it is.
#[cfg(feature = "check")]
pub(crate) fn answer_json(json: &str) -> bool {
    answer_bytes(crate::control::plain::plain_json(json.as_bytes()).as_bytes())
}

fn answer_bytes(bytes: &[u8]) -> bool {
    match write(bytes) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let why = ctl::client::words(&error);
            complain(&format!("circus: cannot write to the standard output: {why}"), 0);
            false
        }
        _ => true,
    }
}

/// Writes to the standard output.
pub(crate) fn write(bytes: &[u8]) -> io::Result<()> {
    if !has_stdout() {
        return Err(io::Error::other("it is closed"));
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush())
}

/// Says something on the standard error output, where nobody may be listening, without what would command a terminal;
/// the exit code.
fn complain(what: &str, code: u8) -> u8 {
    let _ = io::stderr().write_all(&text::to_bytes(&(plain_text(what) + "\n")));
    code
}
