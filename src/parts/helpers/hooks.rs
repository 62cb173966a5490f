//! Hooks as programs: what one gets to know, and what its end means.
//!
//! A hook is a command line, or the name of a Python function, which a small program calls (`python.rs`). It runs as
//! circus's own user or as `hooks_uid`, in circus's directory, with the environment that the configuration alone gives
//! the watcher. Exit code 0 is yes, 99 is no; 111 says that it could not answer, and any other code is a failure that
//! means no. The commands of options (`stop_command`, `health = exec:` and so on) run as the watcher's processes do.

use super::running::Outcome;
use super::{Output, Program, python};
use crate::arbiter::WatcherId;
use crate::arbiter::hooks::{About, Answer};
use crate::arbiter::process::Exit;
use crate::config::hooks::{Hook, is_python};
use crate::config::{Names, WatcherConfig, expand, words};
use crate::host::endpoint::absolute;
use crate::host::spawn_template::{apart_from, beside, set_program};
use crate::host::surroundings::current_dir;
use crate::reactor::part::Cx;
use serde_json::Value as Json;

/// It exits so when the function has returned something that is not true.
const NO: i32 = 99;
/// And so when the function has raised an exception.
const FAILED: i32 = 111;
/// The variables that tell a hook what it is about, with `CIRCUS_` before them.
pub(super) const VARIABLES: [&str; 6] = ["HOOK", "WATCHER", "ENDPOINT", "PID", "SIGNUM", "EXIT_CODE"];

/// The program of a hook; `stats` are those that extended_stats may change.
///
/// # Errors
/// A phrase.
pub(super) fn program(
    watcher: WatcherId,
    hook: Hook,
    about: &About,
    stats: Option<&Json>,
    cx: &Cx<'_>,
) -> Result<Program, String> {
    let watcher = cx.arbiter.watcher(watcher).ok_or("the watcher is gone")?;
    let config = &watcher.config;
    let (command, _) = config.program_of(hook).ok_or("it was taken away meanwhile")?;
    let wid = about.pid.and_then(|pid| cx.arbiter.owner(pid)).map(|(_, wid)| wid);
    let (mut child, mut env) = match hook.is_command() {
        true => beside(config, wid)?,
        false => apart_from(config, config.options.hooks_uid.as_deref())?,
    };
    tell_facts(config, hook, about, &mut env, cx);
    let command = &if hook.is_command() { told_of_process(about, wid, command) } else { command.to_string() };
    let argv = match is_python(command) && !hook.is_command() {
        true => python::call(command, config, about, stats, &mut env, cx),
        false => words::split(command).map_err(|why| format!("{command}: {why}"))?,
    };
    let program = argv.first().ok_or("the command is empty")?;
    set_program(&mut child, program, &argv, &env)?;
    let who = if hook.is_command() { "" } else { "hook " };
    let who = format!("{}: {who}{}", config.name, hook.name());
    let output = match (hook.is_probe(), stats) {
        (true, _) => Output::Quiet,
        (false, Some(_)) => Output::Captured,
        (false, None) => Output::Logged,
    };
    Ok(Program { child, who, output })
}

/// The command line of an option, which may name the process that it is about.
fn told_of_process(about: &About, wid: Option<u32>, command: &str) -> String {
    let lookup = |name: &str| {
        let facts = [("pid", about.pid), ("wid", wid.map(u32::cast_signed))];
        let (_, fact) = facts.into_iter().find(|(fact, _)| name.eq_ignore_ascii_case(fact))?;
        fact.map(|fact| fact.to_string())
    };
    expand::expand(command, &lookup)
}

/// What every hook gets to know, in its environment.
fn tell_facts(config: &WatcherConfig, hook: Hook, about: &About, env: &mut Names, cx: &Cx<'_>) {
    let endpoint = absolute(&cx.setup.endpoint, &current_dir());
    let texts = [hook.name().to_string(), config.name.clone(), endpoint];
    let numbers = [about.pid, about.signum, about.exit.map(Exit::code)];
    let numbers = numbers.map(|number| number.map(|number| number.to_string()));
    let values = texts.map(Some).into_iter().chain(numbers);
    for (name, value) in VARIABLES.iter().zip(values) {
        let name = format!("CIRCUS_{name}");
        match value.filter(|value| value != "none") {
            Some(value) => drop(env.insert(name, value)),
            None => drop(env.remove(&name)),
        }
    }
}

/// What the end of a hook means to the arbiter, which waits for it.
pub(super) fn answer(hook: Hook, outcome: &Outcome) -> Answer {
    match &outcome.ended {
        Ok(Exit::Code(0)) => Answer::Yes,
        Ok(Exit::Code(NO)) if !hook.is_command() => Answer::No,
        Ok(Exit::Code(FAILED)) | Ok(Exit::Signal(_)) | Err(_) => Answer::Failed(reason(outcome)),
        Ok(Exit::Code(_)) => Answer::Refused(reason(outcome)),
    }
}

/// Why a hook that has ended did not say yes.
pub(super) fn reason(outcome: &Outcome) -> String {
    let last = &outcome.last_line;
    match &outcome.ended {
        Err(why) => why.clone(),
        Ok(Exit::Code(FAILED)) if !last.is_empty() => last.clone(),
        Ok(exit) if last.is_empty() => exit.words(),
        Ok(Exit::Code(code)) => format!("exited with code {code}: {last}"),
        Ok(exit) => exit.words(),
    }
}
