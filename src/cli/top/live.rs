//! The screen of `circus top`: waits for keys, events and the next second, and draws.

use super::model::{Model, Subject};
use super::pane::{Pane, Source, step};
use super::view::{Line, Screen, Style};
use super::{Choice, details};
use crate::cli::ctl::client::{Connection, Trouble};
use crate::cli::keys::{self, Key};
use crate::cli::line;
use crate::config::text;
use crate::control::plain::plain;
use crate::control::why::in_short;
use crate::control::{Map, at, commands, one, put, word};
use crate::sys::keyboard::Terminal;
use crate::sys::terminal::size;
use serde_json::Value as Json;
use std::collections::VecDeque;
use std::io::Write;
use std::time::{Duration, Instant};

/// How long it may be until the next look.
const PAUSE: Duration = Duration::from_secs(1);
/// How soon an event is looked after, so that a hundred of them are one look.
const SOON: Duration = Duration::from_millis(100);
/// After a look that took so long, so many times as long nobody looks.
const REST: u32 = 25;
/// After so many seconds without an answer it is said that there is none.
const SILENCE: u64 = 3;
/// How long after Escape what follows it may come.
const KEY: Duration = Duration::from_millis(50);
/// How long to wait for the rest of a line that has begun to come.
const MOMENT: Duration = Duration::from_millis(1);
/// The daemon is asked for so many lines of output.
const LINES: i64 = 500;

/// What a reply is to.
enum Asked {
    Look(Instant),
    Order(String),
    /// A text, for a pane or for the foot.
    Text(Source),
    Listen,
}

/// What keys mean at the moment.
enum Mode {
    Rows,
    /// A filter is being typed.
    Filter(line::Line),
    /// An order is to be confirmed: the question, the command and its properties.
    Sure(String, &'static str, Map),
    /// A text is read.
    Pane(Pane),
}

struct Live<'a> {
    connection: Connection,
    terminal: &'a Terminal,
    model: Model,
    screen: Screen,
    mode: Mode,
    /// What replies are waited for, in their order.
    asked: VecDeque<Asked>,
    /// When to look again.
    next: Instant,
    /// Not before, so that looking does not take too much.
    rest: Instant,
    begun: Instant,
    typed: Vec<u8>,
    message: Option<String>,
    /// What is on the screen.
    drawn: Vec<Line>,
    size: (usize, usize),
    colour: bool,
}

/// Shows everything until a key ends it.
///
/// # Errors
/// The daemon has gone, or the terminal.
pub fn run(connection: Connection, terminal: &Terminal, choice: Choice) -> Result<(), Trouble> {
    let now = Instant::now();
    let screen = Screen { choice, ..Screen::default() };
    let mut live = Live {
        connection,
        terminal,
        model: Model::default(),
        screen,
        mode: Mode::Rows,
        asked: VecDeque::new(),
        next: now,
        rest: now,
        begun: now,
        typed: Vec::new(),
        message: None,
        drawn: Vec::new(),
        size: (0, 0),
        colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    terminal.watch_size().and_then(|()| terminal.screen()).map_err(no_terminal)?;
    let result = live.go_on();
    terminal.cooked();
    result
}

fn no_terminal(error: std::io::Error) -> Trouble {
    Trouble::of("the terminal", &error)
}

impl Live<'_> {
    fn go_on(&mut self) -> Result<(), Trouble> {
        self.ask("listen", &Map::new(), Asked::Listen)?;
        loop {
            let now = Instant::now();
            if now >= self.next.max(self.rest) && self.silence().is_none() {
                self.look(now)?;
            }
            self.draw();
            let wait = match self.silence() {
                Some(_) => PAUSE,
                None => self.next.max(self.rest).saturating_duration_since(Instant::now()),
            };
            let (keys, lines) = self.terminal.wait(self.connection.fd(), wait + MOMENT);
            if lines {
                self.read_lines()?;
            }
            if keys && !self.read_keys()? {
                return Ok(());
            }
        }
    }

    /// For how long a look has been waited for, if one is.
    fn silence(&self) -> Option<Duration> {
        self.asked.iter().find_map(|asked| match asked {
            Asked::Look(begun) => Some(begun.elapsed()),
            Asked::Order(_) | Asked::Text(_) | Asked::Listen => None,
        })
    }

    fn ask(&mut self, command: &str, properties: &Map, what: Asked) -> Result<(), Trouble> {
        self.connection.ask(command, properties, Instant::now().checked_add(super::PATIENCE))?;
        self.asked.push_back(what);
        Ok(())
    }

    fn look(&mut self, now: Instant) -> Result<(), Trouble> {
        self.ask("status", &details(), Asked::Look(now))?;
        self.next = now + PAUSE;
        let source = match &self.mode {
            Mode::Pane(pane) => pane.source.clone(),
            Mode::Rows | Mode::Filter(_) | Mode::Sure(..) => self.source("why"),
        };
        source.map_or(Ok(()), |source| self.ask_for(source))
    }

    /// A command, asked about what is selected.
    fn source(&self, command: &'static str) -> Option<Source> {
        Some(Source { command, subject: self.screen.selected.clone()? })
    }

    fn ask_for(&mut self, source: Source) -> Result<(), Trouble> {
        let mut properties = one("name", source.subject.watcher.as_str().into());
        if source.command == "tail" {
            put(&mut properties, "lines", LINES.into());
            put(&mut properties, "pid", source.subject.pid.into());
        }
        self.ask(source.command, &properties, Asked::Text(source))
    }

    /// Takes in the lines that are there, or can be read at once.
    fn read_lines(&mut self) -> Result<(), Trouble> {
        loop {
            let reply = match self.connection.object(Some(Instant::now() + MOMENT)) {
                Err(Trouble::Timeout) => return Ok(()),
                reply => reply?,
            };
            if reply.get("topic").is_some() {
                self.next = self.next.min(Instant::now() + SOON);
                continue;
            }
            match self.asked.pop_front() {
                Some(asked) => self.take(asked, &reply),
                None => return Err(Trouble::Other("circus answers what was not asked".into())),
            }
        }
    }

    fn take(&mut self, asked: Asked, reply: &Json) {
        let error = (at(reply, "status") == "error").then(|| plain(word(reply, "reason")));
        match asked {
            Asked::Listen => {}
            Asked::Look(begun) => {
                self.model.take(reply, self.begun.elapsed().as_secs_f64());
                self.rest = Instant::now() + begun.elapsed() * REST;
            }
            Asked::Order(what) => self.message = Some(format!("{what}: {}", error.unwrap_or("ok".into()))),
            Asked::Text(source) => match &mut self.mode {
                Mode::Pane(pane) if pane.source.as_ref() == Some(&source) => {
                    let rendered = || Some((commands::find(source.command)?.render)(&Map::new(), reply));
                    pane.take(&error.or_else(rendered).unwrap_or_default());
                }
                Mode::Rows | Mode::Filter(_) | Mode::Sure(..)
                    if source.command == "why" && error.is_none() =>
                {
                    self.screen.reason = (source.subject.watcher, in_short(reply));
                }
                _ => {}
            },
        }
    }

    /// Reads what was typed; false: it is the end.
    fn read_keys(&mut self) -> Result<bool, Trouble> {
        if !keys::read(&mut self.typed).map_err(no_terminal)? {
            return Ok(false);
        }
        while let Some(key) = keys::take(&mut self.typed) {
            if !self.press(key)? {
                return Ok(false);
            }
        }
        // Escape alone, with nothing behind it.
        if self.typed == [0x1b] && !self.terminal.wait(-1, KEY).0 {
            self.typed.clear();
            match &mut self.mode {
                Mode::Pane(pane) if pane.is_typed() => pane.escape(),
                _ => self.mode = Mode::Rows,
            }
        }
        Ok(true)
    }

    fn press(&mut self, key: Key) -> Result<bool, Trouble> {
        self.message = None;
        match (key, &mut self.mode) {
            (Key::Ctrl('C'), _) => return Ok(false),
            (Key::Ctrl('Z'), _) => {
                self.terminal.suspend();
                self.terminal.screen().map_err(no_terminal)?;
                self.drawn.clear();
            }
            (Key::Ctrl('L'), _) => self.size = (0, 0),
            (_, Mode::Rows) => return self.press_in_rows(key),
            (Key::Ctrl('M' | 'J'), Mode::Filter(_)) => self.mode = Mode::Rows,
            (_, Mode::Filter(line)) => {
                line.edit(key);
                self.screen.choice.filter = line.text();
            }
            (_, Mode::Pane(pane)) => {
                if !pane.press(key, self.size) {
                    self.mode = Mode::Rows;
                }
            }
            (_, Mode::Sure(..)) => {
                let mode = std::mem::replace(&mut self.mode, Mode::Rows);
                if let (Mode::Sure(what, command, properties), Key::Char('y' | 'Y')) = (mode, key) {
                    self.ask(command, &properties, Asked::Order(what))?;
                }
            }
        }
        Ok(true)
    }

    fn press_in_rows(&mut self, key: Key) -> Result<bool, Trouble> {
        let choice = &mut self.screen.choice;
        match key {
            Key::Char('q') => return Ok(false),
            Key::Char('>') | Key::Right => choice.key = choice.key.beside(true),
            Key::Char('<') | Key::Left => choice.key = choice.key.beside(false),
            Key::Char('i') => choice.inverted = !choice.inverted,
            Key::Char('x') => choice.folded = !choice.folded,
            Key::Char('/') => {
                let mut line = line::Line::default();
                line.set(&choice.filter);
                self.mode = Mode::Filter(line);
            }
            Key::Char('?') => self.mode = Mode::Pane(Pane::help()),
            Key::Char(letter @ ('r' | 's' | 'a' | '+' | '-')) => self.order(letter),
            Key::Ctrl('M') => self.open("tail")?,
            Key::Char('w') => self.open("why")?,
            key => {
                if let Some(step) = step(key, self.size.0) {
                    self.screen.go(&self.model, step);
                    self.next = self.next.min(Instant::now() + SOON);
                }
            }
        }
        Ok(true)
    }

    /// Asks whether what a letter stands for is meant.
    fn order(&mut self, letter: char) {
        let Some(Subject { watcher, pid }) = self.screen.selected.clone() else { return };
        let name = plain(&watcher);
        let mut properties = one("name", watcher.into());
        let (command, what) = match (letter, pid) {
            ('r', Some(pid)) => {
                put(&mut properties, "pid", pid.into());
                ("kill", format!("replace process {pid} of {name}"))
            }
            ('+', _) => ("incr", format!("one process more of {name}")),
            ('-', _) => ("decr", format!("one process fewer of {name}")),
            (letter, _) => {
                put(&mut properties, "match", "simple".into());
                let command = match letter {
                    'r' => "restart",
                    's' => "stop",
                    _ => "start",
                };
                (command, format!("{command} {name}"))
            }
        };
        self.mode = Mode::Sure(what, command, properties);
    }

    fn open(&mut self, command: &'static str) -> Result<(), Trouble> {
        let Some(source) = self.source(command) else { return Ok(()) };
        self.mode = Mode::Pane(Pane::of(source.clone()));
        self.ask_for(source)
    }

    fn draw(&mut self) {
        let size = size();
        if size != self.size {
            self.drawn.clear();
        }
        self.screen.bottom = match &self.mode {
            Mode::Filter(line) => Some(format!("filter: {}_", line.text())),
            Mode::Sure(what, ..) => Some(format!("{what}? [y/N]")),
            Mode::Rows | Mode::Pane(..) => {
                let seconds = self.silence().map_or(0, |silence| silence.as_secs());
                let silent = (seconds >= SILENCE).then(|| format!("circus has not answered for {seconds} s"));
                silent.or_else(|| self.message.clone())
            }
        };
        let lines = match &self.mode {
            Mode::Pane(pane) => pane.draw(size, self.screen.bottom.as_deref()),
            Mode::Rows | Mode::Filter(_) | Mode::Sure(..) => self.screen.draw(&self.model, size),
        };
        let mut out = String::new();
        if self.drawn.is_empty() {
            out.push_str("\x1b[0m\x1b[2J");
        }
        for (row, line) in lines.iter().enumerate() {
            if self.drawn.get(row) != Some(line) {
                let (before, behind) = codes(line.0, self.colour);
                out.push_str(&format!("\x1b[{};1H{before}{}{behind}", row + 1, plain(&line.1)));
            }
        }
        (self.drawn, self.size) = (lines, size);
        if !out.is_empty() {
            let mut stdout = std::io::stdout().lock();
            // If nobody can see it, the next read will say so.
            let _ = stdout.write_all(&text::to_bytes(&out)).and_then(|()| stdout.flush());
        }
    }
}

/// What turns a style on, and off again.
fn codes(style: Style, colour: bool) -> (String, &'static str) {
    let parts = [(style.heading, "1"), (style.selected, "7"), (style.bad && colour, "31")];
    let on: Vec<&str> = parts.into_iter().filter_map(|(holds, code)| holds.then_some(code)).collect();
    if on.is_empty() { (String::new(), "") } else { (format!("\x1b[{}m", on.join(";")), "\x1b[0m") }
}
