//! What `circus top` shows, as lines for a screen of a given size, or for no screen at all. Pure.

use super::model::{Choice, Key, Model, Row, Subject};
use crate::config::number;
use crate::control::overview::{duration, size};
use crate::control::plain::{columns as taken, cut, plain};
use crate::control::{at, word};
use serde_json::Value as Json;

/// How a line stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// It is a heading.
    pub heading: bool,
    /// It is what the keys act on.
    pub selected: bool,
    /// Something is wrong.
    pub bad: bool,
}

/// The style of text that does not stand out.
pub const PLAIN: Style = Style { heading: false, selected: false, bad: false };
/// That of headings.
pub const HEADING: Style = Style { heading: true, ..PLAIN };

/// A line of the screen.
pub type Line = (Style, String);

/// The narrowest column for names, and all others together.
const NARROWEST: usize = 14;
const OTHERS: usize = 9 + UPTIME + RESTARTS + 8 + 9;
/// Columns that a narrow screen does without.
const UPTIME: usize = 9;
const RESTARTS: usize = 10;
/// From here on there is room for what is wrong.
const WIDE: usize = 110;

/// A screen of fewer rows has no sockets, and one line for what `why` says.
const LOW: usize = 16;

/// What the keys do, the most important ones first.
const KEYS: &[&str] = &[
    "q quit",
    "? help",
    "Enter output",
    "w why",
    "/ filter",
    "r restart",
    "s stop",
    "a start",
    "+/- more/fewer",
    "</> sort",
    "i invert",
    "x fold",
];

/// What the screen shows besides the model.
#[derive(Debug, Default)]
pub struct Screen {
    /// How rows are chosen.
    pub choice: Choice,
    /// What the keys act on.
    pub selected: Option<Subject>,
    /// The first row that is shown.
    pub first: usize,
    /// What stands in the last line: a question, a message, what is being typed.
    pub bottom: Option<String>,
    /// A watcher, and what `why` says of it.
    pub reason: (String, String),
}

impl Screen {
    /// All lines of a screen with so many rows and columns.
    pub fn draw(&mut self, model: &Model, (rows, columns): (usize, usize)) -> Vec<Line> {
        let chosen = [counts(model), self.chosen()].concat();
        let mut lines = vec![(PLAIN, summary(model, columns)), (PLAIN, fitting(&chosen, columns))];
        lines.push((HEADING, heading(columns, self.choice.key)));
        let (sockets, foot) = if rows < LOW { (0, 1) } else { (model.sockets.len().min(rows / 4), 2) };
        let below = foot + if sockets > 0 { sockets + 1 } else { 0 };
        let room = rows.saturating_sub(lines.len() + below + 1).max(1);
        let shown = model.rows(&self.choice);
        self.keep_in_sight(&shown, room);
        let end = lines.len() + room;
        for row in shown.iter().skip(self.first).take(room) {
            let selected = self.selected.as_ref() == Some(&row.subject);
            let style = Style { selected, bad: row.fault.is_some(), ..PLAIN };
            lines.push((style, line(row, columns, if style.bad { '!' } else { ' ' })));
        }
        lines.resize(end, Line::default());
        let reason = self.reason(&shown);
        if sockets > 0 {
            // No wider than what stands above them, so that eyes need not wander.
            let columns = if columns >= WIDE { widths(columns).0 + OTHERS } else { columns };
            lines.push((HEADING, socket_heading(sockets, model.sockets.len(), columns)));
            lines.extend(model.sockets.iter().take(sockets).map(|s| (PLAIN, socket_line(s, columns))));
        }
        let mut reason = wrap(&reason, columns);
        reason.resize(foot, String::new());
        lines.extend(reason.into_iter().map(|line| (PLAIN, line)));
        lines.push((PLAIN, self.bottom.clone().unwrap_or_else(|| fitting(KEYS, columns))));
        let mut fitted: Vec<Line> =
            lines.into_iter().map(|(style, line)| (style, fit(&line, columns))).collect();
        // The last line is the one for questions, however small the screen is.
        let bottom = fitted.pop();
        fitted.truncate(rows.saturating_sub(1));
        fitted.extend(bottom);
        fitted
    }

    /// Moves the selection by so many rows; to the first row if there is none.
    pub fn go(&mut self, model: &Model, by: isize) {
        let rows = model.rows(&self.choice);
        let here = self.place(&rows).map_or(0, |here| here.saturating_add_signed(by));
        self.selected = rows.get(here.min(rows.len().saturating_sub(1))).map(|row| row.subject.clone());
    }

    fn place(&self, rows: &[&Row]) -> Option<usize> {
        rows.iter().position(|row| Some(&row.subject) == self.selected.as_ref())
    }

    /// Keeps something selected, and where it can be seen.
    fn keep_in_sight(&mut self, rows: &[&Row], room: usize) {
        let here = match self.place(rows) {
            Some(here) => here,
            None => {
                // A process that was replaced leaves the selection to its watcher.
                let watcher = self.selected.take().map(|subject| subject.watcher);
                let of_watcher = |row: &&Row| Some(&row.subject.watcher) == watcher.as_ref();
                let here = rows.iter().position(of_watcher).unwrap_or(0);
                self.selected = rows.get(here).map(|row| row.subject.clone());
                here
            }
        };
        self.first =
            self.first.clamp((here + 1).saturating_sub(room), here).min(rows.len().saturating_sub(room));
    }

    /// Why the selected watcher is as it is, or what is wrong with it as long as `why` has not answered.
    fn reason(&self, rows: &[&Row]) -> String {
        let Some(Subject { watcher, .. }) = &self.selected else { return String::new() };
        if *watcher == self.reason.0 && !self.reason.1.is_empty() {
            return self.reason.1.clone();
        }
        let row = rows.iter().find(|row| row.subject.pid.is_none() && row.subject.watcher == *watcher);
        row.map_or(String::new(), |row| fault(row)).trim_start().into()
    }

    fn chosen(&self) -> Vec<String> {
        let Choice { key, inverted, filter, folded } = &self.choice;
        let name = Key::ALL.get(*key as usize).map_or("", |(_, name, _)| name);
        let filter = (!filter.is_empty()).then(|| format!("watchers with \"{filter}\""));
        let sorted = format!("sorted by {name}{}", if *inverted { ", inverted" } else { "" });
        let folded = folded.then(|| "watchers only".into());
        // A filter hides most: it is what has to be seen on a narrow screen.
        filter.into_iter().chain([sorted]).chain(folded).collect()
    }
}

/// Everything, as lines without a screen.
pub fn once(model: &Model, choice: &Choice) -> String {
    let longest = model.rows(choice).iter().map(|row| taken(&label(row))).max().unwrap_or(0);
    let columns = longest.max(NARROWEST) + OTHERS;
    let first = format!("{}  {}", summary(model, usize::MAX), counts(model).join(", "));
    let mut lines = vec![first, heading(columns, choice.key)];
    for row in model.rows(choice) {
        lines.push(line(row, columns, ' ') + &fault(row));
    }
    if !model.sockets.is_empty() {
        lines.push(socket_heading(model.sockets.len(), model.sockets.len(), 80));
        lines.extend(model.sockets.iter().map(|socket| socket_line(socket, 80)));
    }
    let trimmed: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    trimmed.join("\n")
}

fn summary(model: &Model, columns: usize) -> String {
    let Some(own) = &model.own else { return "waiting for circus".into() };
    let parts = [
        format!("circus {}", own.subject.pid.unwrap_or(0)),
        format!("up {}", duration(own.uptime.unwrap_or(0.0))),
        format!("cpu {}%", number::fixed(own.cpu, 1)),
        format!("memory {}", size(own.memory)),
    ];
    fitting(&parts, columns)
}

fn counts(model: &Model) -> Vec<String> {
    let (watchers, failing, processes) = model.counts();
    let fails = (failing > 0).then(|| format!("{failing} failing"));
    [format!("{processes} processes of {watchers} watchers")].into_iter().chain(fails).collect()
}

/// As many of these as a line has room for, from the first one on.
pub fn fitting(parts: &[impl AsRef<str>], columns: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let gap = if line.is_empty() { "" } else { "  " };
        if taken(&line) + gap.len() + taken(part.as_ref()) > columns && !line.is_empty() {
            break;
        }
        line = line + gap + part.as_ref();
    }
    line
}

/// A line in rows of so many columns.
pub fn wrap(line: &str, columns: usize) -> Vec<String> {
    let line = line.replace('\t', " ");
    let (mut rows, mut rest) = (Vec::new(), line.as_str());
    loop {
        let least = rest.chars().next().map_or(0, char::len_utf8);
        let (row, behind) = rest.split_at(cut(rest, columns).len().max(least));
        rows.push(row.into());
        rest = behind;
        if rest.is_empty() {
            return rows;
        }
    }
}

/// How wide the columns for names, uptime and restarts are on such a screen; 0: there is no room for one.
fn widths(columns: usize) -> (usize, usize, usize) {
    let (name, missing) = match columns {
        WIDE.. => ((columns - OTHERS) / 3, 0),
        _ => (columns.saturating_sub(OTHERS), (NARROWEST + OTHERS).saturating_sub(columns)),
    };
    match missing {
        0 => (name, UPTIME, RESTARTS),
        1..=RESTARTS => (name + RESTARTS, UPTIME, 0),
        _ => ((columns + UPTIME + RESTARTS).saturating_sub(OTHERS).max(NARROWEST), 0, 0),
    }
}

fn heading(columns: usize, key: Key) -> String {
    let mark = |(own, _, title)| if own == key { format!("{title}*") } else { String::from(title) };
    fit(&in_columns(&Key::ALL.map(mark), ' ', columns), columns)
}

fn label(row: &Row) -> String {
    match row.subject.pid {
        None => plain(&row.subject.watcher),
        Some(pid) => format!("  {} pid {pid}", row.wid),
    }
}

/// A row, with a mark before its state.
fn line(row: &Row, columns: usize, mark: char) -> String {
    let of_watcher = row.subject.pid.is_none();
    let uptime = row.uptime.filter(|_| !of_watcher || row.state == "active");
    let rests = of_watcher && row.running == 0;
    let cells = [
        label(row),
        row.state.clone(),
        uptime.map_or("-".into(), duration),
        if of_watcher { row.restarts.to_string() } else { String::new() },
        if rests { "-".into() } else { number::fixed(row.cpu, 1) },
        if rests { "-".into() } else { size(row.memory) },
    ];
    let mut line = in_columns(&cells, mark, columns);
    if columns >= WIDE {
        line.push_str(&fault(row));
    }
    line
}

/// What is wrong with a watcher, behind its columns; the state stands in one of them.
fn fault(row: &Row) -> String {
    let Some(fault) = &row.fault else { return String::new() };
    let fault = fault.strip_prefix(&row.state).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(fault);
    format!("  {}", plain(fault))
}

fn in_columns(
    [name, state, uptime, restarts, cpu, memory]: &[String; 6],
    mark: char,
    columns: usize,
) -> String {
    let (names, of_uptime, of_restarts) = widths(columns);
    let [uptime, restarts] = [(uptime, of_uptime), (restarts, of_restarts)]
        .map(|(text, width)| if width > 0 { format!("{text:>width$}") } else { String::new() });
    format!("{}{mark}{state:<8}{uptime}{restarts}{cpu:>8}{memory:>9}", fit(name, names))
}

fn socket_heading(shown: usize, all: usize, columns: usize) -> String {
    let name = if shown < all { format!("SOCKET {shown} of {all}") } else { "SOCKET".into() };
    socket_columns(&name, "ADDRESS", ["WAITING", "BACKLOG", "DROPS"].map(String::from), columns)
}

fn socket_line(socket: &Json, columns: usize) -> String {
    let number = |key| at(socket, key).as_i64().map_or("-".into(), |number| number.to_string());
    let (name, address) = (plain(word(socket, "name")), plain(word(socket, "address")));
    socket_columns(&name, &address, ["waiting", "limit", "drops"].map(number), columns)
}

fn socket_columns(name: &str, address: &str, [waiting, limit, drops]: [String; 3], columns: usize) -> String {
    let room = columns.saturating_sub(NARROWEST + 1 + 27).max(NARROWEST);
    format!("{} {}{waiting:>9}{limit:>9}{drops:>9}", fit(name, NARROWEST), fit(address, room))
}

/// A text in exactly so many columns.
pub fn fit(text: &str, columns: usize) -> String {
    let fitted = cut(text, columns);
    fitted.to_string() + &" ".repeat(columns.saturating_sub(taken(fitted)))
}

#[cfg(test)]
mod tests;
