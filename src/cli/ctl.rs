//! `circus ctl`: one request to a running daemon, and its answer as text or JSON.
//!
//! What a command is, is written in the command table; here are the options around it, the connection and the exit
//! codes. Scripts call this in loops, so it does little: one connection, one write, and the answer in one write.

mod args;
mod client;
mod help;
mod ssh;
mod tail;

use crate::config::text;
use crate::control::{Map, output, protocol, python};
use args::{Invocation, Parsed};
use client::{Connection, Trouble};
use serde_json::Value as Json;
use std::io::{ErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant};

/// No answer, or arguments that cannot be right.
const FAILED: u8 = 1;
/// An option or a command that does not exist.
const USAGE: u8 = 2;
/// The daemon answered with an error.
const REFUSED: u8 = 3;

/// Runs `circus ctl` with the arguments that follow it; bytes that are no UTF-8 stand in them as
/// [`crate::config::text`] says.
pub fn main(args: Vec<String>) -> u8 {
    match args::parse(args) {
        Ok(Parsed::Help(command)) => print(&help::text(command)),
        Ok(Parsed::Version) => print(concat!("circusctl ", env!("CARGO_PKG_VERSION"))),
        Ok(Parsed::Run(invocation)) => run(&invocation),
        Err(fault) => complain(&format!("{}\ncircusctl: error: {fault}", help::USAGE), USAGE),
    }
}

fn run(invocation: &Invocation) -> u8 {
    let (least, most) = invocation.command.words;
    if !(least..=most).contains(&invocation.args.words.len()) {
        return complain(
            &format!("Invalid number of arguments\n{}", help::usage(invocation.command)),
            FAILED,
        );
    }
    let properties = match (invocation.command.encode)(&invocation.args) {
        Ok(properties) => properties,
        Err(why) => return complain(&why, FAILED),
    };
    if let Some(host) = &invocation.options.ssh {
        return complain(&ssh::run(host, invocation), FAILED);
    }
    match converse(invocation, &properties) {
        Ok(code) => code,
        Err(Trouble::Quiet) => 0,
        Err(trouble) => complain(&trouble.to_string(), FAILED),
    }
}

/// Sends the request and prints what comes back.
fn converse(invocation: &Invocation, properties: &Map) -> Result<u8, Trouble> {
    let options = &invocation.options;
    let waits = properties.contains_key("waiting");
    let timeout = options.timeout.or((!waits).then_some(Duration::from_secs(5)));
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut connection = Connection::open(options.endpoint.as_deref())?;
    connection.send(&protocol::encode_request(invocation.command.name, properties), deadline)?;
    let line = connection.line(deadline)?;
    let Ok(Json::Object(reply)) = serde_json::from_slice::<Json>(&line) else {
        return Err(Trouble::Nonsense);
    };
    let refused = reply.get("status").and_then(Json::as_str) == Some("error");
    if options.json {
        let pretty = options.prettify.then(|| serde_json::to_vec_pretty(&reply).unwrap_or_default());
        put(&pretty.unwrap_or(line))?;
    } else if refused {
        let reason = reply.get("reason").map(python::str).unwrap_or_default();
        return Ok(complain(&format!("error: {reason}"), REFUSED));
    }
    match (refused, invocation.command.name) {
        (true, _) => Ok(REFUSED),
        (false, "listen") => follow(&mut connection, options.json),
        (false, "tail") if options.json && invocation.args.has("follow") => follow(&mut connection, true),
        (false, "tail") if invocation.args.has("follow") => tail::follow(&mut connection, &reply),
        (false, _) if options.json => Ok(0),
        (false, _) => show(invocation, properties, &reply).map(|()| 0),
    }
}

/// Prints a reply as text.
fn show(invocation: &Invocation, properties: &Map, reply: &Map) -> Result<(), Trouble> {
    let mut text = (invocation.command.render)(properties, reply);
    // A script reads the one word that Circus answers; a person wants to know more.
    if invocation.command.name == "status" && std::io::stdout().is_terminal() {
        text.push_str(&output::render_failure(reply));
    }
    let nothing = text.is_empty() && invocation.command.name == "tail";
    if nothing { Ok(()) } else { put(&text::to_bytes(&text)) }
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
                put(format!("{}: {}", python::str(part("topic")), part("data")).as_bytes())?;
            }
            _ => put(&line)?,
        }
    }
}

/// Writes a line to the standard output, in one piece.
fn put(line: &[u8]) -> Result<(), Trouble> {
    let mut whole = Vec::with_capacity(line.len() + 1);
    whole.extend_from_slice(line);
    whole.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(&whole).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Trouble::Quiet),
        Err(error) => Err(Trouble::Output(error)),
        Ok(()) => Ok(()),
    }
}

/// Prints a text that was asked for.
fn print(text: &str) -> u8 {
    match put(text.as_bytes()) {
        Ok(()) | Err(Trouble::Quiet) => 0,
        Err(trouble) => complain(&trouble.to_string(), FAILED),
    }
}

/// Says on the standard error output what is wrong; nobody may be listening there.
fn complain(what: &str, code: u8) -> u8 {
    let mut line = text::to_bytes(what).into_owned();
    line.push(b'\n');
    let _ = std::io::stderr().write_all(&line);
    code
}
