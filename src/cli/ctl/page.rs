//! `status NAME` at a terminal: all there is to know of a watcher on one screen, as `systemctl status` has it; and
//! `status --watch`, which shows the states again and again.

use super::args::Invocation;
use super::client::{Connection, Trouble};
use super::{FAILED, REFUSED, complain, deadline_of, put, write_out};
use crate::control::args::CliArgs;
use crate::control::plain::plain;
use crate::control::{Map, at, commands, field, items, members, one, word};
use serde_json::Value as Json;
use std::io::{IsTerminal, stdout};
use std::time::Duration;

/// How long a screen stands.
const EVERY: Duration = Duration::from_secs(1);
/// Puts the cursor into the corner and clears the screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Whether it is one watcher that a person asks about.
pub(super) fn is_meant(invocation: &Invocation) -> bool {
    let Invocation { options, command, args } = invocation;
    command.name == "status"
        && args.words.len() == 1
        && args.flags.is_empty()
        && !options.has("json")
        && stdout().is_terminal()
}

/// Prints the page of a watcher.
pub(super) fn run(connection: &mut Connection, invocation: &Invocation) -> Result<u8, Trouble> {
    let deadline = deadline_of(&invocation.options, false);
    let mut ask = |command: &str, properties: &Map| {
        connection.ask(command, properties, deadline)?;
        connection.object(deadline)
    };
    let name = invocation.args.words.first().map_or("", String::as_str);
    let asked = one("name", name.into());
    let why = ask("why", &asked)?;
    if at(&why, "status") == "error" {
        let hint = super::meant(invocation, &invocation.args.words);
        return Ok(complain(&format!("error: {}{hint}", field(&why, "reason")), REFUSED));
    }
    let stats = ask("stats", &asked)?;
    let mut page = commands::find("why").map_or_else(String::new, |why_row| (why_row.render)(&asked, &why));
    let mut tree = String::new();
    for (_, process) in members(at(&stats, "info")) {
        branch(process, 1, &mut tree);
    }
    if !tree.is_empty() {
        page += &format!("\nIts processes:{tree}");
    }
    put(&page)?;
    Ok(0)
}

/// A process with its memory and share of a processor, and those that come from it below.
fn branch(process: &Json, depth: usize, tree: &mut String) {
    if process.is_object() {
        let name = plain(word(process, "cmdline"));
        let (pid, memory, cpu) = (at(process, "pid"), word(process, "mem_info1"), at(process, "cpu"));
        *tree += &format!("\n{:width$}{pid} {name}  {memory}  {cpu} %", "", width = 2 * depth);
        items(at(process, "children")).for_each(|child| branch(child, depth + 1, tree));
    }
}

/// Shows the answer to `status` anew every second, until somebody interrupts it or circus ends.
pub(super) fn watch(invocation: &Invocation, once: &dyn Fn(&Invocation) -> u8) -> u8 {
    let Invocation { options, command, args } = invocation;
    if command.name != "status" || !stdout().is_terminal() {
        return complain("--watch is for status at a terminal", FAILED);
    }
    let rest = |of: &CliArgs| {
        let flags = of.flags.iter().filter(|(name, _)| *name != "watch").cloned().collect();
        CliArgs { words: of.words.clone(), flags }
    };
    let again = Invocation { options: rest(options), command, args: rest(args) };
    loop {
        let code = match write_out(CLEAR) {
            Ok(()) => once(&again),
            Err(_) => FAILED,
        };
        if code != 0 && code != REFUSED {
            return code;
        }
        std::thread::sleep(EVERY);
    }
}
