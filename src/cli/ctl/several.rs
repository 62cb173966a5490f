//! Several names or patterns behind a command: a request for each watcher, all sent before the first answer is waited
//! for, and the answers in the order of the names.

use super::args::Invocation;
use super::client::{Connection, Trouble, object};
use super::progress::Progress;
#[cfg(feature = "tail")]
use super::tail::Followed;
use super::{REFUSED, code_of_answer, complain, deadline_of, meant, properties, put_json, waits, write_out};
use crate::arbiter::request::Matching;
use crate::config::pattern::is_pattern;
use crate::config::row::Role;
use crate::control::args::CliArgs;
use crate::control::matching::Matcher;
use crate::control::plain::plain_text;
use crate::control::{Map, at, field, items};
#[cfg(feature = "tail")]
use crate::host::waiting::Waiting;
use crate::signals;
use crate::sorted::Sorted;
use serde_json::Value as Json;
use std::io::{IsTerminal, stdout};
#[cfg(feature = "tail")]
use std::time::Duration;
use std::time::Instant;

/// So many requests are under way at a time: their answers have to fit into what the daemon keeps for a client.
const AT_A_TIME: usize = 200;

/// How long the rest of what a connection has to say is waited for.
#[cfg(feature = "tail")]
const MOMENT: Duration = Duration::from_millis(1);

/// The words that name watchers, and where the first of them stands. A word behind a name that begins with a digit is
/// what the usage has there, a PID or a count: one mistyped must not become a name, and leave all processes to the
/// command. The name behind `add` is that of a watcher which does not exist yet.
fn named(invocation: &Invocation) -> (usize, &[String]) {
    let (words, usage) = (&invocation.args.words, invocation.command.usage());
    let usage: Vec<&str> = usage.split(' ').filter(|_| invocation.command.name != "add").collect();
    let Some(first) = usage.iter().position(|word| word.trim_matches(['[', ']', '.']) == "NAME") else {
        return (0, &[]);
    };
    let (list, behind) = (usage.get(first..=first), usage.get(first + 1..).unwrap_or_default());
    let end = if list.is_some_and(|list| list.concat().contains("...")) {
        let needed = behind.iter().filter(|word| !word.contains(['[', ']'])).count();
        let end = words.len().saturating_sub(needed);
        let last = words.get(first + 1..end).and_then(<[String]>::last);
        let is_number = behind.len() > needed
            && last
                .is_some_and(|last| last.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()));
        end - usize::from(is_number)
    } else {
        first + 1
    };
    (first, words.get(first..end).unwrap_or_default())
}

/// Whether more than one watcher may be meant. Commands that take patterns themselves get a single one as it is.
pub(super) fn are_named(invocation: &Invocation) -> bool {
    let (_, names) = named(invocation);
    let takes_patterns = invocation.command.flags().any(|flag| flag.name == "match");
    let is_all = invocation.command.name == "tail" && names.is_empty();
    is_all || names.len() > 1 || !takes_patterns && names.iter().any(|word| is_pattern(word))
}

/// What is to be asked of one of several watchers, or of the first that was named.
pub(super) fn args_of(invocation: &Invocation, name: Option<&String>) -> Result<CliArgs, String> {
    let Invocation { command, args, .. } = invocation;
    let (first, names) = named(invocation);
    let behind = args.words.get(first + names.len()..).unwrap_or_default();
    if let Some(why) = misplaced_signal(command.name, names, behind) {
        return Err(why);
    }
    if are_named(invocation)
        && command.usage().contains("PID")
        && behind.len() > usize::from(command.name == "signal")
    {
        return Err("a PID is that of one watcher: name it alone".into());
    }
    let before = args.words.get(..first).unwrap_or_default();
    let words = before.iter().chain(name.or(names.first())).chain(behind).cloned().collect();
    Ok(CliArgs { words, flags: args.flags.clone() })
}

/// What to say of a signal that was typed where `kill` and `signal` have names: a mistake that must not kill.
fn misplaced_signal(command: &str, names: &[String], behind: &[String]) -> Option<String> {
    let number = |word: &String| word.trim_start_matches('-').to_string();
    let is_signal = |word: &&String| signals::parse(&number(word)).is_some();
    let several = names.len() > 1;
    match command {
        "kill" => {
            let word = names.iter().find(|word| word.starts_with('-') || several && is_signal(word))?;
            Some(format!("{word} is not a watcher; a signal is given as --signum {}", number(word)))
        }
        "signal" if !behind.last().is_some_and(|last| is_signal(&last)) => {
            let word = names.iter().find(is_signal)?;
            Some(format!("the signal comes last: signal NAME {}", number(word)))
        }
        _ => None,
    }
}

/// Sends a request for each name and prints the answers; the exit code is that of the last one that is not 0.
pub(super) fn run(connection: &mut Connection, invocation: &Invocation) -> Result<u8, Trouble> {
    let waits = waits(invocation);
    let deadline = deadline_of(&invocation.options, waits);
    let names = match names(connection, invocation, deadline)? {
        Ok(names) => names,
        Err(missing) => {
            let hint = meant(invocation, &args_of(invocation, Some(&missing)).unwrap_or_default().words);
            return Ok(complain(&format!("error: program {missing} not found{hint}"), REFUSED));
        }
    };
    #[cfg(feature = "tail")]
    if invocation.args.has("follow") {
        return follow(invocation, &names);
    }
    let mut progress = waits.then(|| Progress::begin(&invocation.options, &Map::new())).flatten();
    let mut code = 0;
    let numbered: Vec<(usize, String)> = names.into_iter().enumerate().collect();
    for names in numbered.chunks(AT_A_TIME) {
        let mut asked = Vec::new();
        for (place, name) in names {
            let args = args_of(invocation, Some(name)).map_err(Trouble::Other)?;
            let properties = properties(invocation, &args).map_err(Trouble::Other)?;
            connection.ask_as(name, invocation.command.name, &properties, deadline)?;
            asked.push((*place, name, properties));
        }
        let mut answers: Sorted<String, Vec<u8>> = Sorted::new();
        for (place, name, properties) in asked {
            let line = loop {
                if let Some(line) = answers.remove(name) {
                    break line;
                }
                let line = match &mut progress {
                    Some(progress) => progress.wait(connection, deadline)?,
                    None => connection.line(deadline)?,
                };
                answers.insert(field(&object(&line)?, "id"), line);
            };
            code = show(invocation, (place, name), &properties, &line)?.max(code);
        }
    }
    Ok(code)
}

/// The names that are meant, each once. A pattern for which there is none is the error, and so is a name, unless the
/// command only looks: of `stop web wroker` nothing is to be done.
fn names(
    connection: &mut Connection,
    invocation: &Invocation,
    deadline: Option<Instant>,
) -> Result<Result<Vec<String>, String>, Trouble> {
    let mut found: Vec<String> = Vec::new();
    let takes_patterns = invocation.command.flags().any(|flag| flag.name == "match");
    let mut known: Option<Vec<String>> = None;
    let all = [String::from("*")];
    let (_, words) = named(invocation);
    let changes = invocation.command.role != Role::Look && invocation.command.name != "tail";
    for word in if words.is_empty() { all.as_slice() } else { words } {
        let is_name = !is_pattern(word);
        if is_name && !changes || takes_patterns && !is_name {
            found.push(word.clone());
            continue;
        }
        let all = match &mut known {
            Some(all) => all,
            unknown => {
                connection.ask("list", &Map::new(), deadline)?;
                let reply = connection.object(deadline)?;
                let all = items(at(&reply, "watchers")).filter_map(Json::as_str).map(str::to_string);
                unknown.insert(all.collect())
            }
        };
        let how = if is_name { Matching::Simple } else { Matching::Glob };
        let pattern = Matcher::new(word, how).map_err(Trouble::Other)?;
        let before = found.len();
        found.extend(all.iter().filter(|name| pattern.matches(name) || *name == word).cloned());
        if found.len() == before {
            return Ok(Err(word.clone()));
        }
    }
    let mut seen: Sorted<String, ()> = Sorted::new();
    found.retain(|name| seen.insert(name.to_lowercase(), ()).is_none());
    Ok(Ok(found))
}

/// Prints an answer behind the name that it is about.
fn show(
    invocation: &Invocation,
    (place, name): (usize, &str),
    properties: &Map,
    line: &[u8],
) -> Result<u8, Trouble> {
    let reply = object(line)?;
    let refused = at(&reply, "status") == "error";
    if invocation.options.has("json") {
        put_json(line)?;
    } else if refused {
        let words = args_of(invocation, Some(&name.to_string())).unwrap_or_default().words;
        let hint = meant(invocation, &words);
        complain(&format!("error: {name}: {}{hint}", field(&reply, "reason")), 0);
    } else {
        let text = plain_text(&(invocation.command.render)(properties, &reply));
        let mut lines = text.lines();
        write_out(&match (lines.next(), lines.next()) {
            _ if invocation.command.name == "tail" => {
                text.lines().map(|line| format!("{}{line}\n", label(name, place))).collect()
            }
            // Some commands begin with the name themselves.
            (Some(first), _) if first.strip_suffix(':') == Some(name) => text + "\n",
            (first, None) => format!("{name}: {}\n", first.unwrap_or_default()).replace(": \n", ":\n"),
            _ => format!("{name}:\n  {}\n", text.replace('\n', "\n  ")),
        })?;
    }
    Ok(if refused { REFUSED } else { code_of_answer(&reply) })
}

/// What stands before each line of a watcher's output; on a terminal each watcher has its colour.
fn label(name: &str, place: usize) -> String {
    match stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        true => format!("\x1b[3{}m{name} |\x1b[m ", 1 + (place + 5) % 6),
        false => format!("{name} | "),
    }
}

/// Prints what the processes of these watchers write, as it comes, by a connection for each.
#[cfg(feature = "tail")]
fn follow(invocation: &Invocation, names: &[String]) -> Result<u8, Trouble> {
    let options = &invocation.options;
    let system = |error: std::io::Error| Trouble::of("cannot wait for output", &error);
    let mut waiting = Waiting::new().map_err(system)?;
    let (mut code, mut followed) = (0, Vec::new());
    for (place, name) in names.iter().enumerate() {
        let mut connection = Connection::open(options.value("endpoint"), options.value("token-file"))?;
        let args = args_of(invocation, Some(name)).map_err(Trouble::Other)?;
        let properties = properties(invocation, &args).map_err(Trouble::Other)?;
        let deadline = deadline_of(options, false);
        connection.ask(invocation.command.name, &properties, deadline)?;
        let reply = connection.object(deadline)?;
        if at(&reply, "status") == "error" {
            code = complain(&format!("error: {name}: {}", field(&reply, "reason")), REFUSED);
            continue;
        }
        waiting.add(connection.fd(), place).map_err(system)?;
        followed.push((place, connection, Followed::begin(&reply, label(name, place))?));
    }
    let mut ready: Option<Vec<usize>> = None;
    while !followed.is_empty() {
        let mut open = Vec::new();
        for (place, mut connection, mut output) in followed {
            if ready.as_ref().is_some_and(|ready| !ready.contains(&place)) {
                open.push((place, connection, output));
                continue;
            }
            // What has come is read to its end, as edges of readiness want it.
            let ends = loop {
                match connection.line(Instant::now().checked_add(MOMENT)) {
                    Err(Trouble::Timeout) => break false,
                    Err(Trouble::Closed) => break true,
                    line => {
                        if output.take(&line?)? {
                            break true;
                        }
                    }
                }
            };
            match ends {
                true => drop(output.end()?),
                false => open.push((place, connection, output)),
            }
        }
        followed = open;
        if !followed.is_empty() {
            ready = Some(waiting.wait().map_err(system)?);
        }
    }
    Ok(code)
}
