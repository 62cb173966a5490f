//! `circus ctl`: one request to a running daemon, and its answer as text or JSON; without a command, a prompt.
//!
//! What a command is, is written in the command table; here are the options around it, the connection and the exit
//! codes. Scripts call this in loops, so it does little: one connection, one write, and the answer in one write.

mod args;
pub(super) mod client;
#[cfg(feature = "prompt")]
mod complete;
mod help;
#[cfg(all(feature = "history", feature = "stats"))]
mod page;
#[cfg_attr(not(feature = "details"), path = "ctl/no_progress.rs")]
mod progress;
#[cfg(feature = "prompt")]
mod prompt;
#[cfg(feature = "details")]
mod several;
mod ssh;
#[cfg(feature = "tail")]
mod tail;

use super::complain;
use crate::arbiter::request::Errno;
use crate::config::text;
use crate::control::args::{CliArgs, encode};
use crate::control::plain::{plain_json, plain_text};
use crate::control::{Map, at, field, one, output, protocol, put as put_in, python};
use args::{Invocation, Parsed};
use client::{Connection, Trouble, object};
use progress::Progress;
use serde_json::Value as Json;
use std::io::{ErrorKind, IsTerminal, stderr, stdout};
use std::os::fd::RawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const VERSION: &str = concat!("circusctl ", env!("CARGO_PKG_VERSION"));

/// No answer, or arguments that cannot be right.
const FAILED: u8 = 1;
/// An option or a command that does not exist.
const USAGE: u8 = 2;
/// The daemon answered with an error.
const REFUSED: u8 = 3;
/// Something would change.
const WOULD_CHANGE: u8 = 4;

/// How long circus may take to exit when it has answered last of all.
const EXIT: Duration = Duration::from_secs(5);

/// Runs `circus ctl` with the arguments that follow it; bytes that are no UTF-8 stand in them as
/// [`crate::config::text`] says.
pub fn main(args: Vec<String>) -> u8 {
    match args::parse(args) {
        Err(fault) => misused(&fault),
        #[cfg(feature = "prompt")]
        Ok(_) if std::env::var_os("AUTO_COMPLETE").is_some() => complete_for_a_shell(),
        Ok(Parsed::Help(command)) => print(&help::text(command)),
        Ok(Parsed::Version) => print(VERSION),
        Ok(Parsed::Run(invocation)) => run(&invocation, &|_| false),
        Ok(Parsed::Prompt(options)) => match options.value("ssh") {
            Some(host) => complain(&ssh::run(host, &options, None), FAILED),
            #[cfg(feature = "prompt")]
            None => prompt::run(&options),
            #[cfg(not(feature = "prompt"))]
            None => super::lacks("prompt, name a command", "prompt"),
        },
    }
}

#[cfg(feature = "prompt")]
/// Prints what can stand in the place of the word COMP_CWORD of COMP_WORDS, as Circus does for its bash completion,
/// whose exit code is 1.
fn complete_for_a_shell() -> u8 {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let place: usize = variable("COMP_CWORD").parse().unwrap_or(0);
    let line = variable("COMP_WORDS");
    let words: Vec<String> = line.split_whitespace().skip(1).map(str::to_string).collect();
    let before = words.get(..place.saturating_sub(1)).unwrap_or(&words);
    let typed = words.get(before.len()).map_or("", String::as_str);
    print(&complete::words(before, typed, &|| complete::watchers(None)).join(" "));
    FAILED
}

/// Carries out one command. `interrupts` has Ctrl-C end this connection from here on, instead of the program, and says
/// whether it has ended the one before.
fn run(invocation: &Invocation, interrupts: &dyn Fn(Option<RawFd>) -> bool) -> u8 {
    let Invocation { options, command, args } = invocation;
    let (least, most) = command.words();
    if !(least..=most).contains(&args.words.len()) {
        return complain(&format!("Invalid number of arguments\n{}", help::usage(command)), FAILED);
    }
    #[cfg(all(feature = "history", feature = "stats"))]
    if options.has("watch") {
        return page::watch(invocation, &|again| run(again, interrupts));
    }
    #[cfg(feature = "details")]
    let properties = several::args_of(invocation, None).and_then(|args| properties(invocation, &args));
    #[cfg(not(feature = "details"))]
    let properties = properties(invocation, args);
    let mut properties = match properties {
        Ok(properties) => properties,
        Err(why) => return complain(&(why + &meant(invocation, &args.words)), FAILED),
    };
    if let Some(host) = options.value("ssh") {
        return complain(&ssh::run(host, options, Some(invocation)), FAILED);
    }
    // On a terminal `status` of all watchers is a table, for which the daemon is asked to tell more.
    let is_table = cfg!(feature = "details") && !options.has("json") && stdout().is_terminal();
    if command.name == "status" && properties.is_empty() && is_table {
        properties = one("details", true.into());
    }
    code_of(Connection::open(options.value("endpoint"), options.value("token-file")).and_then(
        |mut connection| {
            interrupts(Some(connection.fd()));
            let result = ask(&mut connection, invocation, &properties);
            if interrupts(None) { Ok(complain("", FAILED)) } else { result }
        },
    ))
}

/// Asks for what a command says: of one watcher, of several, or for the page of one.
fn ask(connection: &mut Connection, invocation: &Invocation, properties: &Map) -> Result<u8, Trouble> {
    #[cfg(feature = "details")]
    if several::are_named(invocation) {
        return several::run(connection, invocation);
    }
    #[cfg(all(feature = "history", feature = "stats"))]
    if page::is_meant(invocation) {
        return page::run(connection, invocation);
    }
    converse(connection, invocation, properties)
}

/// What may have been meant by the words behind a command that has failed; nothing if all of them are known.
#[cfg(feature = "prompt")]
fn meant(invocation: &Invocation, words: &[String]) -> String {
    complete::meant(invocation, words).unwrap_or_default()
}

/// The same in a build that does not know what can stand there.
#[cfg(not(feature = "prompt"))]
fn meant(_: &Invocation, _: &[String]) -> String {
    String::new()
}

/// Commands whose end a person at a terminal waits for.
const WATCHED: [&str; 4] = ["reload", "restart", "start", "stop"];
/// Those whose answer is of use at their end only, which everybody waits for.
const AWAITED: [&str; 2] = ["deploy", "rollback"];

/// Whether the answer is to come when the work is done. At a terminal that is what a person wants to see; a script gets
/// the answer of Circus.
fn waits(invocation: &Invocation) -> bool {
    let Invocation { options, command, args } = invocation;
    let may_wait = !options.has("no-wait");
    let is_watched = WATCHED.contains(&command.name) && !options.has("json");
    let is_watched = is_watched && stdout().is_terminal() && stderr().is_terminal();
    args.has("waiting") || may_wait && (is_watched || AWAITED.contains(&command.name))
}

/// The properties of the request that a command makes of these words.
fn properties(invocation: &Invocation, args: &CliArgs) -> Result<Map, String> {
    let mut properties = encode(invocation.command, args)?;
    if waits(invocation) {
        put_in(&mut properties, "waiting", true.into());
    }
    Ok(properties)
}

/// The exit code, when all is said.
fn code_of(result: Result<u8, Trouble>) -> u8 {
    match result {
        Ok(code) => code,
        Err(Trouble::Quiet) => 0,
        Err(trouble) => complain(&trouble.to_string(), FAILED),
    }
}

/// Sends the request and prints what comes back.
fn converse(connection: &mut Connection, invocation: &Invocation, properties: &Map) -> Result<u8, Trouble> {
    let (options, name) = (&invocation.options, invocation.command.name);
    let json = options.has("json");
    let waits = properties.contains_key("waiting");
    let deadline = deadline_of(options, waits);
    let mut progress = waits.then(|| Progress::begin(options, properties)).flatten();
    connection.ask(name, properties, deadline)?;
    let line = match &mut progress {
        Some(progress) => progress.wait(connection, deadline),
        None => connection.line(deadline),
    };
    let line = if name == "quit" { until_the_end(connection, line, waits)? } else { line? };
    let reply = object(&line)?;
    let refused = at(&reply, "status") == "error";
    if json {
        let pretty = options.has("prettify").then(|| serde_json::to_vec_pretty(&reply).unwrap_or_default());
        put_json(&pretty.unwrap_or(line))?;
    } else if refused {
        let hint = meant(invocation, &invocation.args.words);
        let has_failed = name == "deploy" && at(&reply, "errno") == Errno::Failed as u8;
        let soon = deadline_of(options, false);
        let last = if has_failed { last_lines(connection, properties, soon) } else { String::new() };
        return Ok(complain(&format!("error: {}{hint}{last}", field(&reply, "reason")), REFUSED));
    }
    let follows = invocation.args.has("follow");
    match name {
        _ if refused => Ok(REFUSED),
        "listen" => follow(connection, json),
        "tail" if follows && json => follow(connection, true),
        #[cfg(feature = "tail")]
        "tail" if follows => tail::follow(connection, &reply),
        _ => {
            if !json {
                show(invocation, properties, &reply)?;
            }
            Ok(code_of_answer(&reply))
        }
    }
}

/// The last lines that the processes of a watcher wrote whose new ones have failed, below the reason.
fn last_lines(connection: &mut Connection, asked: &Map, deadline: Option<Instant>) -> String {
    let why = asked.get("name").and_then(|name| {
        connection.ask("why", &one("name", name.clone()), deadline).ok()?;
        connection.object(deadline).ok()
    });
    why.map_or_else(String::new, |why| output::last_lines(&why))
}

/// The exit code of an answer: a check may find that not all is well, and a comparison that something would change.
fn code_of_answer(reply: &Json) -> u8 {
    match (output::is_healthy(reply), output::would_change(reply)) {
        (false, _) => REFUSED,
        (true, true) => WOULD_CHANGE,
        (true, false) => 0,
    }
}

/// Until when an answer is waited for; without `--timeout` for ever, if it comes when the work is done.
fn deadline_of(options: &CliArgs, waits: bool) -> Option<Instant> {
    let timeout = options.value("timeout").and_then(|text| args::seconds(text).ok());
    let timeout = timeout.or((!waits).then_some(Duration::from_secs(5)));
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// The answer to `quit`. A circus that is gone before it has answered has ended, which is all that was asked for; one
/// that has answered last of all is about to exit.
fn until_the_end(
    connection: &mut Connection,
    line: Result<Vec<u8>, Trouble>,
    waits: bool,
) -> Result<Vec<u8>, Trouble> {
    match line {
        Err(Trouble::Closed) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let mut line = protocol::encode_answer(&protocol::Id::default(), &Map::new(), now.as_secs_f64());
            line.pop();
            return Ok(line);
        }
        Ok(_) if waits => connection.until_exit(EXIT),
        _ => {}
    }
    line
}

/// Prints a reply as text.
fn show(invocation: &Invocation, properties: &Map, reply: &Json) -> Result<(), Trouble> {
    let mut text = (invocation.command.render)(properties, reply);
    // A script reads the one word that Circus answers; a person wants to know more.
    if invocation.command.name == "status" && stdout().is_terminal() {
        text.push_str(&output::failure(reply));
    }
    let nothing = text.is_empty() && invocation.command.name == "tail";
    if nothing { Ok(()) } else { put(&text) }
}

/// Prints events until the daemon ends or nobody reads them.
fn follow(connection: &mut Connection, json: bool) -> Result<u8, Trouble> {
    loop {
        let line = match connection.line(None) {
            Err(Trouble::Closed) => return Ok(0),
            other => other?,
        };
        match object(&line) {
            Ok(event) if !json => {
                let data = plain_json(at(&event, "data").to_string().as_bytes());
                put(&format!("{}: {data}", python::str(at(&event, "topic"))))?;
            }
            _ => put_json(&line)?,
        }
    }
}

/// Writes lines to the standard output, without what would command a terminal.
fn put(text: &str) -> Result<(), Trouble> {
    write_out(&(plain_text(text) + "\n"))
}

/// The same of JSON, which stays what it is.
fn put_json(json: &[u8]) -> Result<(), Trouble> {
    write_out(&(plain_json(json) + "\n"))
}

/// Writes a text as it is, in one piece. All that comes from elsewhere goes by [`put`], [`put_json`] or [`complain`].
fn write_out(text: &str) -> Result<(), Trouble> {
    super::write(&text::to_bytes(text)).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Trouble::Quiet,
        _ => Trouble::of("cannot write the answer", &error),
    })
}

/// Prints a text that was asked for.
fn print(text: &str) -> u8 {
    code_of(put(text).map(|()| 0))
}

/// Says what is wrong with a command line.
fn misused(fault: &str) -> u8 {
    complain(&format!("{}\ncircusctl: error: {fault}", help::USAGE), USAGE)
}
