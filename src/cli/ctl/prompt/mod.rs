//! `circus ctl` without a command: a prompt, as Circus has one.
//!
//! At a terminal a line can be edited, earlier ones come back, and TAB completes. From anything else lines are read
//! as they are, and the prompt is printed all the same.

mod history;

use super::args::{self, Invocation, Parsed};
use super::{complete, help, print};
use crate::cli::keys::{self, Key};
use crate::cli::line::Line;
use crate::config::{text, words};
use crate::control::args::CliArgs;
use crate::control::commands::{self, COMMANDS};
use crate::control::shell;
use crate::sys::keyboard::Terminal;
use crate::sys::terminal::size;
use history::History;
use std::io::BufRead;

const PROMPT: &str = "(circusctl) ";

/// What a line may say besides the commands.
const OWN: [&str; 2] = ["exit", "help"];

/// Asked before `quit`: who knows other prompts means to leave this one by it.
const SURE: &str = "Stop circus and all its processes? (exit leaves the prompt) [y/N] ";

/// Reads lines and does what they say, until there are no more. The options hold for all of them.
pub fn run(options: &CliArgs) -> u8 {
    let terminal = Terminal::open();
    let history = if terminal.is_some() { History::load() } else { History::default() };
    let mut prompt = Prompt { options, terminal, history, typed: Vec::new() };
    print(super::VERSION);
    prompt.obey("status");
    while let Some(line) = prompt.read(PROMPT) {
        prompt.history.add(&line);
        if !prompt.obey(&line) {
            break;
        }
    }
    print("")
}

struct Prompt<'a> {
    options: &'a CliArgs,
    terminal: Option<Terminal>,
    history: History,
    /// Bytes that were typed and are no whole key, or belong to the next line.
    typed: Vec<u8>,
}

impl Prompt<'_> {
    /// Does what a line says. False: it was the last one.
    fn obey(&mut self, line: &str) -> bool {
        let line = line.trim();
        let words = match words::split(line) {
            Ok(words) => words,
            Err(why) => {
                print(&format!("*** {why}: {line}"));
                return true;
            }
        };
        match words.first().map(String::as_str) {
            None => {}
            Some("EOF" | "exit") => return false,
            Some("help" | "?") => print_help(words.get(1).map(String::as_str)),
            Some(word) if word.starts_with('?') => print_help(word.get(1..)),
            Some(word) if commands::find(word).is_none() && !word.starts_with("--") => {
                print(&format!("*** Unknown syntax: {line}"));
            }
            Some(_) => self.carry_out(words),
        }
        true
    }

    fn carry_out(&mut self, words: Vec<String>) {
        match args::parse(words) {
            Err(fault) => drop(super::misused(&fault)),
            Ok(Parsed::Help(command)) => drop(print(&help::text(command))),
            Ok(Parsed::Version) => drop(print(super::VERSION)),
            Ok(Parsed::Prompt(_)) => drop(super::misused("a command is missing")),
            Ok(Parsed::Run(invocation)) if invocation.options.has("ssh") => {
                super::misused("--ssh is an option for the whole prompt");
            }
            Ok(Parsed::Run(invocation)) => {
                if invocation.command.name == "quit" && !self.is_sure() {
                    return;
                }
                let flags = [&self.options.flags[..], &invocation.options.flags].concat();
                let options = CliArgs { flags, ..CliArgs::default() };
                super::run(&Invocation { options, ..invocation }, &|connection| {
                    let Some(terminal) = &self.terminal else { return false };
                    let interrupted = terminal.take_interrupted();
                    terminal.on_interrupt(connection);
                    interrupted
                });
            }
        }
    }

    /// Whether `quit` is meant. What is no terminal is not asked.
    fn is_sure(&mut self) -> bool {
        self.terminal.is_none()
            || self.read(SURE).is_some_and(|answer| answer.trim().eq_ignore_ascii_case("y"))
    }

    /// The next line; `None` at the end.
    fn read(&mut self, prompt: &str) -> Option<String> {
        let Some(terminal) = self.terminal.take() else { return read_plain(prompt) };
        let line = terminal.raw().ok().and_then(|()| self.edit(prompt, &terminal));
        terminal.cooked();
        self.terminal = Some(terminal);
        line
    }

    /// Lets somebody edit a line.
    fn edit(&mut self, prompt: &str, terminal: &Terminal) -> Option<String> {
        let mut line = Line::default();
        // Earlier lines, and this one behind them, as far as it had come.
        let (mut place, mut newest) = (self.history.lines.len(), String::new());
        loop {
            draw(prompt, &line);
            match self.key()? {
                Key::Ctrl('M' | 'J') => {
                    show("\n");
                    return Some(line.text());
                }
                Key::Ctrl('C' | 'D') if line.text().is_empty() => return None,
                Key::Ctrl('C') => {
                    show("^C\n");
                    line = Line::default();
                }
                Key::Ctrl('L') => show("\x1b[H\x1b[2J"),
                Key::Ctrl('Z') => {
                    show("\n");
                    terminal.suspend();
                    terminal.raw().ok()?;
                }
                Key::Ctrl('I') => self.complete(&mut line),
                Key::Up | Key::Ctrl('P') if place > 0 => {
                    if place == self.history.lines.len() {
                        newest = line.text();
                    }
                    place -= 1;
                    line.set(self.history.lines.get(place).map_or("", String::as_str));
                }
                Key::Down | Key::Ctrl('N') if place < self.history.lines.len() => {
                    place += 1;
                    line.set(self.history.lines.get(place).unwrap_or(&newest));
                }
                key => line.edit(key),
            }
        }
    }

    /// The next key; `None` when there are no more.
    fn key(&mut self) -> Option<Key> {
        loop {
            if let Some(key) = keys::take(&mut self.typed) {
                return Some(key);
            }
            keys::read(&mut self.typed).ok().filter(|more| *more)?;
        }
    }

    /// Completes the word before the cursor as far as it is certain, or lists what it can become.
    fn complete(&self, line: &mut Line) {
        let before = line.before.clone();
        let (before, typed) = before.rsplit_once(char::is_whitespace).unwrap_or(("", &before));
        let before: Vec<String> = before.split_whitespace().map(str::to_string).collect();
        let endpoint = self.options.value("endpoint");
        let behind = match before.as_slice() {
            [help, rest @ ..] if help == "help" => rest,
            all => all,
        };
        let mut found = complete::words(behind, typed, &|| complete::watchers(endpoint));
        if before.is_empty() {
            found.extend(OWN.iter().filter(|own| own.starts_with(typed)).map(|own| own.to_string()));
        }
        match found.as_slice() {
            [] => show("\x07"),
            [only] => {
                let whole =
                    if only.contains(char::is_whitespace) { shell::quote(only) } else { only.clone() };
                typed.chars().for_each(|_| line.edit(Key::Backspace));
                line.before += &(whole + " ");
            }
            several => {
                let more = complete::common(several).get(typed.len()..).unwrap_or_default();
                line.before += more;
                if more.is_empty() {
                    let words: Vec<&str> = several.iter().map(String::as_str).collect();
                    show(&format!("\n{}", in_columns(&words, size().1)));
                }
            }
        }
    }
}

/// A line from what is no terminal.
fn read_plain(prompt: &str) -> Option<String> {
    show(prompt);
    let mut line = Vec::new();
    let read = std::io::stdin().lock().read_until(b'\n', &mut line);
    read.is_ok_and(|length| length > 0).then(|| text::from_bytes(&line))
}

fn show(text: &str) {
    // Who reads no more will not type either.
    let _ = super::write_out(text);
}

/// Draws the line anew, in place, with the cursor where it belongs.
fn draw(prompt: &str, line: &Line) {
    let (shown, cursor) = line.view(size().1.saturating_sub(prompt.len()));
    let cursor = prompt.len() + cursor;
    show(&format!("\r{prompt}{shown}\x1b[K\r\x1b[{cursor}C"));
}

fn print_help(topic: Option<&str>) {
    let text = match topic.filter(|topic| !topic.is_empty()) {
        None => topics(),
        Some("help") => "help [COMMAND]: list the commands, or explain one".into(),
        Some("exit") => "exit: leave the prompt, as the end of the input (Ctrl-D) does".into(),
        Some(topic) => match commands::find(topic) {
            Some(command) => help::text(Some(command)),
            None => format!("*** No help on {topic}"),
        },
    };
    print(&text);
}

/// All commands, as Circus lists them.
fn topics() -> String {
    const TITLE: &str = "Documented commands (type help <topic>):";
    let mut names: Vec<&str> = COMMANDS.iter().map(|command| command.name).chain(OWN).collect();
    crate::sorted::sort_by(&mut names, |a, b| a < b);
    format!("\n{TITLE}\n{}\n{}", "=".repeat(TITLE.len()), in_columns(&names, 79))
}

/// Words in columns of one width, sorted downwards, in so many columns of the terminal. Each line has its newline.
fn in_columns(words: &[&str], width: usize) -> String {
    let column = 2 + words.iter().map(|word| word.chars().count()).max().unwrap_or(0);
    let rows = words.len().div_ceil(((width + 2) / column).max(1));
    let mut text = String::new();
    for row in 0..rows {
        let mut line = String::new();
        for word in words.iter().skip(row).step_by(rows) {
            line += &format!("{word:<column$}");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed_in_columns() {
        assert_eq!(in_columns(&["a", "bb", "c"], 79), "a   bb  c\n");
        assert_eq!(in_columns(&["a", "bb", "c"], 5), "a\nbb\nc\n");
        assert_eq!(in_columns(&["a", "bb", "c"], 6), "a   c\nbb\n");
        assert_eq!(in_columns(&["a", "bb", "c"], 1), "a\nbb\nc\n");
        let topics = topics();
        assert!(topics.lines().all(|line| line.len() < 80));
        assert!(COMMANDS.iter().all(|command| topics.contains(command.name)), "{topics}");
    }
}
