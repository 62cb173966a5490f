//! `circus ctl`: one request to a running daemon, and its answer as text or JSON; without a command, a prompt.
//!
//! What a command is, is written in the command table; here are the options around it, the connection and the exit
//! codes. Scripts call this in loops, so it does little: one connection, one write, and the answer in one write.

mod args;
pub(super) mod client;
#[cfg(feature = "prompt")]
mod complete;
mod help;
mod progress;
#[cfg(feature = "prompt")]
mod prompt;
mod ssh;
mod tail;

use crate::config::text;
use crate::control::args::encode;
use crate::control::plain::{plain_json, plain_text};
use crate::control::{Map, output, overview, protocol, python};
#[cfg(feature = "prompt")]
use crate::sys::keyboard::Terminal;
use args::{Invocation, Parsed};
use client::{Connection, Trouble};
use progress::Progress;
use serde_json::Value as Json;
use std::io::{ErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nobody opens a terminal without the prompt.
#[cfg(not(feature = "prompt"))]
enum Terminal {}

#[cfg(not(feature = "prompt"))]
impl Terminal {
    fn on_interrupt(&self, _: Option<std::os::fd::RawFd>) {}

    fn take_interrupted(&self) -> bool {
        false
    }
}

const VERSION: &str = concat!("circusctl ", env!("CARGO_PKG_VERSION"));

/// No answer, or arguments that cannot be right.
const FAILED: u8 = 1;
/// An option or a command that does not exist.
const USAGE: u8 = 2;
/// The daemon answered with an error.
const REFUSED: u8 = 3;

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
        Ok(Parsed::Run(invocation)) => run(&invocation, None),
        Ok(Parsed::Prompt(options)) => match &options.ssh {
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
    print(&complete::words(before, typed, &|offer| complete::watchers(None, offer)).join(" "));
    FAILED
}

/// Carries out one command. At the terminal of a prompt Ctrl-C ends the command alone.
fn run(invocation: &Invocation, terminal: Option<&Terminal>) -> u8 {
    let (least, most) = invocation.command.words();
    if !(least..=most).contains(&invocation.args.words.len()) {
        return complain(
            &format!("Invalid number of arguments\n{}", help::usage(invocation.command)),
            FAILED,
        );
    }
    let properties = match encode(invocation.command, &invocation.args) {
        Ok(properties) => for_eyes(invocation, properties),
        Err(why) => return complain(&why, FAILED),
    };
    let options = &invocation.options;
    if let Some(host) = &options.ssh {
        return complain(&ssh::run(host, options, Some(invocation)), FAILED);
    }
    let mut connection = match Connection::open(options.endpoint.as_deref()) {
        Ok(connection) => connection,
        Err(trouble) => return complain(&trouble.to_string(), FAILED),
    };
    let on_interrupt = |fd| terminal.iter().for_each(|terminal| terminal.on_interrupt(fd));
    on_interrupt(Some(connection.fd()));
    let result = converse(&mut connection, invocation, &properties);
    on_interrupt(None);
    match result {
        _ if terminal.is_some_and(Terminal::take_interrupted) => complain("", FAILED),
        Ok(code) => code,
        Err(Trouble::Quiet) => 0,
        Err(trouble) => complain(&trouble.to_string(), FAILED),
    }
}

/// On a terminal `status` of all watchers is a table, for which the daemon is asked to tell more.
fn for_eyes(invocation: &Invocation, mut properties: Map) -> Map {
    let all = invocation.command.name == "status" && properties.is_empty();
    if all && !invocation.options.json && std::io::stdout().is_terminal() {
        properties.insert("details".into(), true.into());
    }
    properties
}

/// Sends the request and prints what comes back.
fn converse(connection: &mut Connection, invocation: &Invocation, properties: &Map) -> Result<u8, Trouble> {
    let options = &invocation.options;
    let waits = properties.contains_key("waiting");
    let timeout = options.timeout.or((!waits).then_some(Duration::from_secs(5)));
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut progress = waits.then(|| Progress::begin(options.endpoint.as_deref(), properties)).flatten();
    connection.send(&protocol::encode_request(invocation.command.name, properties), deadline)?;
    let line = match &mut progress {
        Some(progress) => progress.wait(connection, deadline),
        None => connection.line(deadline),
    };
    let line =
        if invocation.command.name == "quit" { until_the_end(connection, line, waits)? } else { line? };
    let Ok(Json::Object(reply)) = serde_json::from_slice::<Json>(&line) else {
        return Err(Trouble::Nonsense);
    };
    let refused = reply.get("status").and_then(Json::as_str) == Some("error");
    if options.json {
        let pretty = options.prettify.then(|| serde_json::to_vec_pretty(&reply).unwrap_or_default());
        put_json(&pretty.unwrap_or(line))?;
    } else if refused {
        let reason = reply.get("reason").map(python::str).unwrap_or_default();
        return Ok(complain(&format!("error: {reason}"), REFUSED));
    }
    match (refused, invocation.command.name) {
        (true, _) => Ok(REFUSED),
        (false, "listen") => follow(connection, options.json),
        (false, "tail") if options.json && invocation.args.has("follow") => follow(connection, true),
        (false, "tail") if invocation.args.has("follow") => tail::follow(connection, &reply),
        (false, _) if options.json => Ok(code_of(&reply)),
        (false, _) => show(invocation, properties, &reply).map(|()| code_of(&reply)),
    }
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
            Ok(line)
        }
        Ok(line) if waits => {
            connection.until_exit(EXIT);
            Ok(line)
        }
        line => line,
    }
}

/// The exit code that goes with an answer: a check may find that not all is well.
fn code_of(reply: &Map) -> u8 {
    if overview::is_healthy(reply) { 0 } else { REFUSED }
}

/// Prints a reply as text.
fn show(invocation: &Invocation, properties: &Map, reply: &Map) -> Result<(), Trouble> {
    let mut text = (invocation.command.render)(properties, reply);
    // A script reads the one word that Circus answers; a person wants to know more.
    if invocation.command.name == "status" && std::io::stdout().is_terminal() {
        text.push_str(&output::render_failure(reply));
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
        match serde_json::from_slice::<Json>(&line) {
            Ok(Json::Object(event)) if !json => {
                let part = |key| event.get(key).unwrap_or(&Json::Null);
                let data = plain_json(part("data").to_string().as_bytes());
                put(&format!("{}: {data}", python::str(part("topic"))))?;
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
    match super::write(&text::to_bytes(text)) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Trouble::Quiet),
        Err(error) => Err(Trouble::Output(error)),
        Ok(()) => Ok(()),
    }
}

/// Prints a text that was asked for.
fn print(text: &str) -> u8 {
    match put(text) {
        Ok(()) | Err(Trouble::Quiet) => 0,
        Err(trouble) => complain(&trouble.to_string(), FAILED),
    }
}

/// Says what is wrong with a command line.
fn misused(fault: &str) -> u8 {
    complain(&format!("{}\ncircusctl: error: {fault}", help::USAGE), USAGE)
}

/// Says on the standard error output what is wrong; nobody may be listening there.
fn complain(what: &str, code: u8) -> u8 {
    let mut line = text::to_bytes(&plain_text(what)).into_owned();
    line.push(b'\n');
    let _ = std::io::stderr().write_all(&line);
    code
}
