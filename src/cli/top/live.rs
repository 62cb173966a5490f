//! The screen of `circus top`: waits for keys, events and the next second, and draws.

use super::model::{Model, Subject};
use super::view::{Line, Screen, Style, fit};
use super::{Choice, bytes, reply, request};
use crate::cli::ctl::client::Connection;
use crate::cli::keys::{self, Key};
use crate::cli::line;
use crate::control::commands;
use crate::control::plain::{plain, width};
use crate::control::{Map, one, protocol};
use crate::sys::keyboard::Terminal;
use crate::sys::terminal::size;
use serde_json::Value as Json;
use std::collections::VecDeque;
use std::io::{Read, Write};
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
/// The daemon is asked for so many lines of output.
const LINES: i64 = 500;

/// What a reply is to.
enum Asked {
    Look(Instant),
    Order(String),
    /// The text of a pane.
    Text(Pane),
    Listen,
}

/// A text that takes the place of the rows.
#[derive(Clone, PartialEq, Eq)]
struct Pane {
    /// The command that gives it.
    command: &'static str,
    watcher: String,
    pid: Option<i64>,
}

/// What keys mean at the moment.
enum Mode {
    Rows,
    /// A filter is being typed.
    Filter(line::Line),
    /// An order is to be confirmed: the question, the command and its properties.
    Sure(String, &'static str, Map),
    /// A text is read, so many lines from its end.
    Pane(Pane, Vec<String>, usize),
}

struct Live<'a> {
    connection: &'a mut Connection,
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
/// A sentence: the daemon has gone, or the terminal.
pub fn run(connection: &mut Connection, terminal: &Terminal, choice: Choice) -> Result<(), String> {
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
    let gone = |error: std::io::Error| format!("the terminal: {error}");
    terminal.watch_size().map_err(gone)?;
    terminal.screen().map_err(gone)?;
    let result = live.go_on();
    terminal.cooked();
    result
}

impl Live<'_> {
    fn go_on(&mut self) -> Result<(), String> {
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
            let wait = wait + Duration::from_millis(1);
            let (keys, lines) = self.terminal.wait(self.connection.fd(), wait);
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

    fn ask(&mut self, command: &str, properties: &Map, what: Asked) -> Result<(), String> {
        let deadline = Instant::now().checked_add(super::PATIENCE);
        let line = protocol::encode_request(command, properties);
        self.connection.send(&line, deadline).map_err(|trouble| trouble.to_string())?;
        self.asked.push_back(what);
        Ok(())
    }

    fn look(&mut self, now: Instant) -> Result<(), String> {
        let deadline = now.checked_add(super::PATIENCE);
        self.connection.send(&request(), deadline).map_err(|trouble| trouble.to_string())?;
        self.asked.push_back(Asked::Look(now));
        self.next = now + PAUSE;
        if let Mode::Pane(pane, ..) = &self.mode {
            self.ask_for(pane.clone())?;
        }
        Ok(())
    }

    fn ask_for(&mut self, pane: Pane) -> Result<(), String> {
        let mut properties = one("name", pane.watcher.as_str().into());
        if pane.command == "tail" {
            properties.insert("lines".into(), LINES.into());
            properties.insert("pid".into(), pane.pid.into());
        }
        self.ask(pane.command, &properties, Asked::Text(pane))
    }

    fn read_lines(&mut self) -> Result<(), String> {
        while let Some(line) = self.connection.ready_line().map_err(|trouble| trouble.to_string())? {
            let reply = reply(&line)?;
            if reply.contains_key("topic") {
                self.next = self.next.min(Instant::now() + SOON);
                continue;
            }
            match self.asked.pop_front() {
                Some(asked) => self.take(asked, &reply),
                None => return Err("circus answers what was not asked".into()),
            }
        }
        Ok(())
    }

    fn take(&mut self, asked: Asked, reply: &Map) {
        let error = (reply.get("status").and_then(Json::as_str) == Some("error"))
            .then(|| plain(reply.get("reason").and_then(Json::as_str).unwrap_or_default()));
        match asked {
            Asked::Listen => {}
            Asked::Look(begun) => {
                self.model.take(reply, self.begun.elapsed().as_secs_f64());
                self.rest = Instant::now() + begun.elapsed() * REST;
            }
            Asked::Order(what) => {
                self.message = Some(error.map_or(format!("{what}: ok"), |why| format!("{what}: {why}")));
            }
            Asked::Text(pane) => {
                let text = error.or_else(|| Some((commands::find(pane.command)?.render)(&Map::new(), reply)));
                if let Mode::Pane(shown, lines, _) = &mut self.mode
                    && *shown == pane
                {
                    *lines = text.unwrap_or_default().lines().map(str::to_string).collect();
                }
            }
        }
    }

    /// Reads what was typed; false: it is the end.
    fn read_keys(&mut self) -> Result<bool, String> {
        let mut buffer = [0; 256];
        match std::io::stdin().lock().read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(length) => self.typed.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("the terminal: {error}")),
        }
        while let Some(key) = keys::take(&mut self.typed) {
            if !self.press(key)? {
                return Ok(false);
            }
        }
        // Escape alone, with nothing behind it.
        if self.typed == [0x1b] && !self.terminal.wait(-1, KEY).0 {
            self.typed.clear();
            self.mode = Mode::Rows;
        }
        Ok(true)
    }

    fn press(&mut self, key: Key) -> Result<bool, String> {
        self.message = None;
        match (key, &self.mode) {
            (Key::Ctrl('C'), _) => return Ok(false),
            (Key::Ctrl('Z'), _) => {
                self.terminal.suspend();
                self.terminal.screen().map_err(|error| format!("the terminal: {error}"))?;
                self.drawn.clear();
            }
            (Key::Ctrl('L'), _) => self.size = (0, 0),
            (_, Mode::Rows) => return self.press_in_rows(key),
            (_, Mode::Filter(_)) => self.press_in_filter(key),
            (_, Mode::Pane(..)) => self.press_in_pane(key),
            (_, Mode::Sure(..)) => {
                let mode = std::mem::replace(&mut self.mode, Mode::Rows);
                if let (Mode::Sure(what, command, properties), Key::Char('y' | 'Y')) = (mode, key) {
                    self.ask(command, &properties, Asked::Order(what))?;
                }
            }
        }
        Ok(true)
    }

    fn press_in_rows(&mut self, key: Key) -> Result<bool, String> {
        let page = isize::try_from(self.size.0 / 2).unwrap_or(1).max(1);
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
            Key::Up | Key::Char('k') => self.screen.go(&self.model, -1),
            Key::Down | Key::Char('j') => self.screen.go(&self.model, 1),
            Key::PageUp => self.screen.go(&self.model, -page),
            Key::PageDown => self.screen.go(&self.model, page),
            Key::Home => self.screen.go(&self.model, isize::MIN),
            Key::End => self.screen.go(&self.model, isize::MAX),
            Key::Char(letter @ ('r' | 's' | 'a')) => self.order(letter),
            Key::Ctrl('M') => self.open("tail")?,
            Key::Char('w') => self.open("why")?,
            _ => {}
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
                properties.insert("pid".into(), pid.into());
                ("kill", format!("replace process {pid} of {name}"))
            }
            ('r', None) => ("restart", format!("restart {name}")),
            ('s', _) => ("stop", format!("stop {name}")),
            _ => ("start", format!("start {name}")),
        };
        if command == "restart" || command == "stop" || command == "start" {
            properties.insert("match".into(), "simple".into());
        }
        self.mode = Mode::Sure(what, command, properties);
    }

    fn open(&mut self, command: &'static str) -> Result<(), String> {
        let Some(Subject { watcher, pid }) = self.screen.selected.clone() else { return Ok(()) };
        let pane = Pane { command, watcher, pid };
        self.mode = Mode::Pane(pane.clone(), Vec::new(), 0);
        self.ask_for(pane)
    }

    fn press_in_filter(&mut self, key: Key) {
        let Mode::Filter(line) = &mut self.mode else { return };
        if let Key::Ctrl('M' | 'J') = key {
            self.mode = Mode::Rows;
            return;
        }
        line.edit(key);
        self.screen.choice.filter = line.text();
    }

    fn press_in_pane(&mut self, key: Key) {
        let Mode::Pane(_, lines, from_end) = &mut self.mode else { return };
        let page = (self.size.0 / 2).max(1);
        let most = lines.len().saturating_sub(self.size.0.saturating_sub(2));
        *from_end = match key {
            Key::Up | Key::Char('k') => (*from_end + 1).min(most),
            Key::Down | Key::Char('j') => from_end.saturating_sub(1),
            Key::PageUp => (*from_end + page).min(most),
            Key::PageDown => from_end.saturating_sub(page),
            Key::Home => most,
            Key::End => 0,
            _ => {
                self.mode = Mode::Rows;
                return;
            }
        };
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
            Mode::Pane(pane, lines, from_end) => pane_lines(pane, lines, *from_end, size),
            Mode::Rows | Mode::Filter(_) | Mode::Sure(..) => self.screen.draw(&self.model, size),
        };
        let mut out = String::new();
        if self.drawn.is_empty() {
            out.push_str("\x1b[0m\x1b[2J");
        }
        for (row, line) in lines.iter().enumerate() {
            if self.drawn.get(row) != Some(line) {
                let (before, behind) = self.codes(line.0);
                out.push_str(&format!("\x1b[{};1H{before}{}{behind}", row + 1, plain(&line.1)));
            }
        }
        (self.drawn, self.size) = (lines, size);
        if !out.is_empty() {
            let mut stdout = std::io::stdout().lock();
            // If nobody can see it, the next read will say so.
            let _ = stdout.write_all(&bytes(&out)).and_then(|()| stdout.flush());
        }
    }

    fn codes(&self, style: Style) -> (&'static str, &'static str) {
        match style {
            Style::Plain => ("", ""),
            Style::Heading => ("\x1b[1m", "\x1b[0m"),
            Style::Bad if self.colour => ("\x1b[31m", "\x1b[0m"),
            Style::Bad => ("", ""),
            Style::SelectedBad if self.colour => ("\x1b[7;31m", "\x1b[0m"),
            Style::Selected | Style::SelectedBad => ("\x1b[7m", "\x1b[0m"),
        }
    }
}

/// The screen while a text is read.
fn pane_lines(pane: &Pane, lines: &[String], from_end: usize, (rows, columns): (usize, usize)) -> Vec<Line> {
    let what = if pane.command == "why" { "why" } else { "output" };
    let of = pane.pid.map_or(String::new(), |pid| format!(", process {pid}"));
    let mut shown = vec![(Style::Heading, format!("{}{of}: {what}", plain(&pane.watcher)))];
    let room = rows.saturating_sub(2);
    let end = lines.len().saturating_sub(from_end);
    let wrapped = wrap(lines.get(..end).unwrap_or_default(), columns);
    shown.extend(wrapped.into_iter().rev().take(room).rev().map(|line| (Style::Plain, line)));
    shown.resize(rows.saturating_sub(1), Line::default());
    shown.push((Style::Plain, "any other key goes back; arrows and pages move".into()));
    shown.into_iter().take(rows).map(|(style, line)| (style, fit(&line, columns))).collect()
}

/// Lines that are too long go on in the next one.
fn wrap(lines: &[String], columns: usize) -> Vec<String> {
    let mut wrapped = Vec::new();
    for line in lines {
        let mut rest: Vec<char> = line.chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
        loop {
            let mut used = 0;
            let fits = rest.iter().take_while(|c| {
                used += width(**c);
                used <= columns
            });
            let count = fits.count().max(1).min(rest.len());
            let behind = rest.split_off(count);
            wrapped.push(rest.into_iter().collect());
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
    }
    wrapped
}
