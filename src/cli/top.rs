//! `circus top`: watchers, processes and sockets as they are now, on the whole screen, or once as text.
//!
//! One connection carries everything: the events, on which the screen is drawn anew, the looks at the daemon, which
//! are `status` with `details`, and what the keys order. A look is taken every second at least, and never so often that
//! looking would take more than a twentieth of a processor.

mod json;
mod live;
mod model;
mod pane;
mod view;

use super::complain;
use super::ctl::client::{Connection, Trouble};
use super::program::Program;
use crate::control::plain::plain_json;
use crate::control::{Map, one};
use crate::sys::keyboard::Terminal;
use getopts::Matches;
use model::{Choice, Key, Model};
use std::time::{Duration, Instant};

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between the two looks that percentages are made of, when there is no screen.
const MOMENT: Duration = Duration::from_millis(500);

const HELP: &str = "\
usage: circus top [OPTIONS]

Shows the watchers, processes and sockets of a running circus; without a terminal, prints them once.

Options:
        --endpoint E    where circus listens: PATH, ipc://PATH, @NAME, tcp://HOST:PORT
        --once          print everything once and exit
        --json          the same, as JSON
        --sort KEY      name, state, uptime, restarts, cpu or memory
        --filter TEXT   only watchers with TEXT in their names
    -h, --help          show this help
    -V, --version       show the version
";

/// What is shown on the whole screen, or once.
pub(super) static PROGRAM: Program =
    Program::new("circus top", HELP, "; --help tells more", (2, 1), |program, matches| {
        let sort = matches.opt_str("sort");
        let key = sort.as_deref().map_or(Some(Key::default()), Key::named);
        match (key, matches.free.as_slice()) {
            (_, [_, ..]) => program.misused(&format!("what is {}?", matches.free.join(" "))),
            (None, []) => program.misused(&format!(
                "--sort {}: there are name, state, uptime, restarts, cpu and memory",
                sort.unwrap_or_default()
            )),
            (Some(key), []) => run(matches, key)
                .unwrap_or_else(|trouble| complain(&format!("circus top: {trouble}"), program.failed)),
        }
    });

fn run(matches: &Matches, key: Key) -> Result<u8, Trouble> {
    let choice = Choice { key, filter: matches.opt_str("filter").unwrap_or_default(), ..Choice::default() };
    let connection = Connection::open(matches.opt_str("endpoint").as_deref(), None)?;
    let terminal = if ["once", "json"].iter().any(|option| matches.opt_present(option)) || is_dumb() {
        None
    } else {
        Terminal::open()
    };
    match terminal {
        Some(terminal) => live::run(connection, &terminal, choice).map(|()| 0),
        None => once(connection, &choice, matches.opt_present("json")),
    }
}

/// Whether the terminal can do nothing but write line after line.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Prints everything once.
fn once(mut connection: Connection, choice: &Choice, as_json: bool) -> Result<u8, Trouble> {
    let mut model = Model::default();
    let begun = Instant::now();
    for look in 0..2 {
        if look > 0 {
            std::thread::sleep(MOMENT);
        }
        let deadline = Instant::now().checked_add(PATIENCE);
        connection.ask("status", &details(), deadline)?;
        model.take(&connection.object(deadline)?, begun.elapsed().as_secs_f64());
    }
    let text = match as_json {
        true => plain_json(json::json(&model, choice).to_string().as_bytes()),
        false => view::once(&model, choice),
    };
    Ok(PROGRAM.answer(&(text + "\n")))
}

/// What a look at the daemon asks for.
fn details() -> Map {
    one("details", true.into())
}
