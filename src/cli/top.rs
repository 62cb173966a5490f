//! `circus top`: watchers, processes and sockets as they are now, on the whole screen, or once as text.
//!
//! One connection carries everything: the events, on which the screen is drawn anew, the looks at the daemon, which
//! are `status` with `details`, and what the keys order. A look is taken every second at least, and never so often that
//! looking would take more than a twentieth of a processor.

mod live;
mod model;
mod view;

use super::ctl::client::Connection;
use super::{answer, print};
use crate::config::text;
use crate::control::plain::plain_text;
use crate::control::{Map, one, protocol};
use crate::sys::keyboard::Terminal;
use getopts::Options;
use model::{Choice, Key, Model};
use serde_json::Value as Json;
use std::time::{Duration, Instant};

/// No answer, or arguments that cannot be right.
const FAILED: u8 = 1;
/// An option that does not exist.
const USAGE: u8 = 2;

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between the two looks that percentages are made of, when there is no screen.
const MOMENT: Duration = Duration::from_millis(500);

const HELP: &str = "\
usage: circus top [OPTIONS]

Shows the watchers of a running circus, their processes and sockets. Without a terminal it prints them once.

Options:
        --endpoint E    where circus listens: PATH, ipc://PATH, @NAME, tcp://HOST:PORT
        --once          print everything once and end
        --sort KEY      name, state, uptime, restarts, cpu or memory
        --filter TEXT   only watchers with this in their names
    -h, --help          show this help
        --version       show the version
";

fn getopts() -> Options {
    let mut options = Options::new();
    options.optopt("", "endpoint", "", "E");
    options.optflag("", "once", "");
    options.optopt("", "sort", "", "KEY");
    options.optopt("", "filter", "", "TEXT");
    options.optflag("h", "help", "");
    options.optflag("", "version", "");
    options
}

/// Runs `circus top` with the arguments that follow it. The answer is the exit code.
pub fn main(args: &[String]) -> u8 {
    let matches = match getopts().parse(args) {
        Ok(matches) if matches.free.is_empty() => matches,
        Ok(matches) => return misused(&format!("what is {}?", matches.free.join(" "))),
        Err(why) => return misused(&why.to_string()),
    };
    if matches.opt_present("help") {
        return if answer(HELP) { 0 } else { FAILED };
    }
    if matches.opt_present("version") {
        let version = concat!("circus-top ", env!("CARGO_PKG_VERSION"), "\n");
        return if answer(version) { 0 } else { FAILED };
    }
    let key = match matches.opt_str("sort") {
        None => Key::default(),
        Some(name) => match Key::named(&name) {
            Some(key) => key,
            None => {
                return misused(&format!(
                    "--sort {name}: there are name, state, uptime, restarts, cpu and memory"
                ));
            }
        },
    };
    let choice = Choice { key, filter: matches.opt_str("filter").unwrap_or_default(), ..Choice::default() };
    let mut connection = match Connection::open(matches.opt_str("endpoint").as_deref()) {
        Ok(connection) => connection,
        Err(trouble) => return failed(&trouble.to_string()),
    };
    let terminal = if matches.opt_present("once") || is_dumb() { None } else { Terminal::open() };
    let result = match terminal {
        Some(terminal) => live::run(&mut connection, &terminal, choice).map(|()| true),
        None => once(&mut connection, &choice),
    };
    match result {
        Ok(true) => 0,
        Ok(false) => FAILED,
        Err(why) => failed(&why),
    }
}

/// Whether the terminal can do nothing but write line after line.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

fn misused(why: &str) -> u8 {
    print(&mut std::io::stderr(), &format!("circus top: {why}; --help tells more\n"));
    USAGE
}

fn failed(why: &str) -> u8 {
    print(&mut std::io::stderr(), &format!("circus top: {why}\n"));
    FAILED
}

/// Prints everything once. False, and a line that says why, when it cannot be written.
fn once(connection: &mut Connection, choice: &Choice) -> Result<bool, String> {
    let mut model = Model::default();
    let begun = Instant::now();
    for look in 0..2 {
        if look > 0 {
            std::thread::sleep(MOMENT);
        }
        let deadline = Instant::now().checked_add(PATIENCE);
        connection.send(&request(), deadline).map_err(|trouble| trouble.to_string())?;
        let line = connection.line(deadline).map_err(|trouble| trouble.to_string())?;
        model.take(&reply(&line)?, begun.elapsed().as_secs_f64());
    }
    Ok(answer(&(plain_text(&view::once(&model, choice)) + "\n")))
}

/// A look at the daemon.
fn request() -> Vec<u8> {
    protocol::encode_request("status", &one("details", true.into()))
}

/// A line of the daemon as an object.
fn reply(line: &[u8]) -> Result<Map, String> {
    match serde_json::from_slice(line) {
        Ok(Json::Object(reply)) => Ok(reply),
        _ => Err("what answers at this endpoint is no circus".into()),
    }
}

/// Text as bytes, as they came.
fn bytes(shown: &str) -> Vec<u8> {
    text::to_bytes(shown).into_owned()
}
