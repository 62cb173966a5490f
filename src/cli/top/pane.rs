//! A text in place of the rows of `circus top`: the output of a watcher, what `why` says, the help. Pure.

use super::model::Subject;
use super::view::{HEADING, Line, PLAIN, Style, fit, fitting, wrap};
use crate::cli::keys::Key;
use crate::cli::line;
use crate::control::plain::plain;

const HELP: &str = "\
q, Ctrl-C  quit
up, down   select (or k, j, PgUp, PgDn)
Enter      last lines of output
w          why it is in this state
r          restart it (or this process)
s, a       stop, start
+, -       one process more, one fewer
/          filter by name
<, >       sort by another column
i          reverse the order
x          hide or show processes
Ctrl-L     redraw
!          marks watchers with a problem
*          marks the sorted column

In the output:
/          search, newest line first
n, N       next older, next newer line
End        follow again
Esc        back";

/// The command that supplies a text, and what it is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `tail` or `why`.
    pub command: &'static str,
    /// A watcher or a process of it.
    pub subject: Subject,
}

/// A text that is being read.
#[derive(Debug, Default)]
pub struct Pane {
    /// Where it comes from; the help comes from nowhere.
    pub source: Option<Source>,
    lines: Vec<String>,
    /// Its first row on the screen. `None`: its last rows are shown, also of what is still to come.
    first: Option<usize>,
    /// A search that is being typed.
    typing: Option<line::Line>,
    wanted: String,
    /// The line that the search has found.
    found: Option<usize>,
    message: Option<String>,
}

impl Pane {
    /// The text of a command, once it has come. Output is shown from its end, other text from its beginning.
    pub fn of(source: Source) -> Pane {
        let first = (source.command != "tail").then_some(0);
        Pane { source: Some(source), first, ..Pane::default() }
    }

    /// What the keys do.
    pub fn help() -> Pane {
        Pane { lines: HELP.lines().map(str::to_string).collect(), first: Some(0), ..Pane::default() }
    }

    fn follows(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.command == "tail")
    }

    /// Takes in the text as it is now. Output that somebody reads further up stays where it is.
    pub fn take(&mut self, text: &str) {
        if !self.follows() || self.first.is_none() {
            self.lines = text.lines().map(str::to_string).collect();
            self.found = None;
        }
    }

    /// Whether a search is being typed.
    pub fn is_typed(&self) -> bool {
        self.typing.is_some()
    }

    /// Gives that up.
    pub fn escape(&mut self) {
        self.typing = None;
    }

    /// What a key does; false: the pane is closed.
    pub fn press(&mut self, key: Key, size: (usize, usize)) -> bool {
        self.message = None;
        match (&mut self.typing, key) {
            (Some(line), Key::Ctrl('M' | 'J')) => {
                self.wanted = line.text();
                (self.typing, self.found) = (None, None);
                self.find(true, size);
            }
            (Some(line), key) => line.edit(key),
            (None, Key::Char('/')) if self.source.is_some() => self.typing = Some(line::Line::default()),
            (None, Key::Char(letter @ ('n' | 'N'))) if self.source.is_some() => {
                self.find(letter == 'n', size)
            }
            (None, key) => match step(key, size.0) {
                Some(step) if self.source.is_some() || self.lines.len() > room(size.0) => self.go(step, size),
                _ => return false,
            },
        }
        true
    }

    /// Its rows on a screen of so many columns, each with the number of its line.
    fn rows(&self, columns: usize) -> Vec<(usize, String)> {
        let lines = self.lines.iter().enumerate();
        lines
            .flat_map(|(number, line)| wrap(line, columns).into_iter().map(move |row| (number, row)))
            .collect()
    }

    fn go(&mut self, by: isize, (rows, columns): (usize, usize)) {
        let last = self.rows(columns).len().saturating_sub(room(rows));
        let first = self.first.unwrap_or(last).min(last).saturating_add_signed(by).min(last);
        self.first = (first < last || !self.follows()).then_some(first);
    }

    /// Finds the next line with what is searched for, and puts it in sight.
    fn find(&mut self, older: bool, (rows, columns): (usize, usize)) {
        let wanted = self.wanted.to_lowercase();
        let has = |at: &usize| self.lines.get(*at).is_some_and(|line| line.to_lowercase().contains(&wanted));
        let found = match (self.found, older) {
            _ if wanted.is_empty() => return self.message = Some("type / and what to search for".into()),
            (found, true) => (0..found.unwrap_or(self.lines.len())).rev().find(has),
            (found, false) => (found.map_or(0, |found| found + 1)..self.lines.len()).find(has),
        };
        let Some(line) = found else {
            let which = if self.found.is_none() {
                "no"
            } else if older {
                "no older"
            } else {
                "no newer"
            };
            return self.message = Some(format!("{which} line with \"{}\"", self.wanted));
        };
        self.found = found;
        let shown = self.rows(columns);
        let row = shown.iter().position(|(number, _)| *number == line).unwrap_or(0);
        let last = shown.len().saturating_sub(room(rows));
        self.first = Some(row.saturating_sub(room(rows) / 2).min(last));
    }

    /// The screen.
    pub fn draw(&self, (rows, columns): (usize, usize), bottom: Option<&str>) -> Vec<Line> {
        let shown = self.rows(columns);
        let last = shown.len().saturating_sub(room(rows));
        let first = self.first.unwrap_or(last).min(last);
        let mut lines = vec![(HEADING, self.heading())];
        let row =
            |(number, row): (usize, String)| (Style { selected: self.found == Some(number), ..PLAIN }, row);
        lines.extend(shown.into_iter().skip(first).take(room(rows)).map(row));
        lines.resize(rows.saturating_sub(1), Line::default());
        let keys: &[&str] = match (&self.source, last) {
            (None, 0) => &["any key goes back"],
            (None, 1..) => &["arrows move", "any other key goes back"],
            (Some(_), _) => &["Esc back", "/ search", "n older", "N newer", "arrows move", "End newest"],
        };
        let typing = self.typing.as_ref().map(|line| format!("search: {}_", line.text()));
        let bottom = typing.or(bottom.map(str::to_string)).or(self.message.clone());
        lines.push((PLAIN, bottom.unwrap_or_else(|| fitting(keys, columns))));
        lines.into_iter().take(rows).map(|(style, line)| (style, fit(&line, columns))).collect()
    }

    fn heading(&self) -> String {
        let Some(Source { command, subject }) = &self.source else { return "Keys".into() };
        let of = subject.pid.map_or(String::new(), |pid| format!(", process {pid}"));
        let what = if *command == "why" { "why" } else { "output" };
        let held = if self.follows() && self.first.is_some() { " (held; End follows)" } else { "" };
        format!("{}{of}: {what}{held}", plain(&subject.watcher))
    }
}

/// How many rows of a screen the text has.
fn room(rows: usize) -> usize {
    rows.saturating_sub(2)
}

/// By how many lines a key moves on a screen of so many rows.
pub fn step(key: Key, rows: usize) -> Option<isize> {
    let page = isize::try_from(rows / 2).unwrap_or(1).max(1);
    Some(match key {
        Key::Up | Key::Char('k') => -1,
        Key::Down | Key::Char('j') => 1,
        Key::PageUp => -page,
        Key::PageDown => page,
        Key::Home => isize::MIN,
        Key::End => isize::MAX,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (usize, usize) = (6, 20);

    fn pane(command: &'static str, lines: usize) -> Pane {
        let mut pane = Pane::of(Source { command, subject: Subject { watcher: "web".into(), pid: None } });
        pane.take(&text(lines));
        pane
    }

    fn text(lines: usize) -> String {
        (0..lines).map(|n| format!("line {n}\n")).collect()
    }

    fn shown(pane: &Pane) -> Vec<String> {
        pane.draw(SIZE, None).iter().map(|(_, line)| line.trim_end().to_string()).collect()
    }

    fn press(pane: &mut Pane, keys: &str) {
        for c in keys.chars() {
            assert!(pane.press(if c == '\r' { Key::Ctrl('M') } else { Key::Char(c) }, SIZE), "{c}");
        }
    }

    #[test]
    fn output_is_followed_until_somebody_reads_further_up() {
        let mut pane = pane("tail", 20);
        assert_eq!(
            shown(&pane),
            ["web: output", "line 16", "line 17", "line 18", "line 19", "Esc back  / search"]
        );
        pane.take(&text(21));
        assert_eq!(shown(&pane)[4], "line 20");
        press(&mut pane, "k");
        pane.take(&text(30));
        assert_eq!(shown(&pane)[..2], ["web: output (held; E", "line 16"]);
        assert!(pane.press(Key::Home, SIZE) && shown(&pane)[1] == "line 0");
        assert!(pane.press(Key::End, SIZE));
        pane.take(&text(30));
        assert_eq!(shown(&pane)[4], "line 29");
        assert!(!pane.press(Key::Char('x'), SIZE), "any other key closes it");
    }

    #[test]
    fn a_search_goes_from_the_newest_line_to_the_oldest_and_back() {
        let mut pane = pane("tail", 20);
        press(&mut pane, "n");
        assert_eq!(shown(&pane)[5], "type / and what to s");
        press(&mut pane, "/LINE 1");
        assert_eq!(shown(&pane)[5], "search: LINE 1_");
        press(&mut pane, "\r");
        let selected = |pane: &Pane| -> Option<String> {
            pane.draw(SIZE, None).iter().find(|(style, _)| style.selected).map(|(_, line)| line.trim().into())
        };
        assert_eq!(selected(&pane).as_deref(), Some("line 19"));
        press(&mut pane, "nn");
        assert_eq!(selected(&pane).as_deref(), Some("line 17"));
        press(&mut pane, "N");
        assert_eq!(selected(&pane).as_deref(), Some("line 18"));
        press(&mut pane, "nnnnnnnnn");
        assert_eq!(selected(&pane).as_deref(), Some("line 1"));
        press(&mut pane, "n");
        assert_eq!(
            (shown(&pane)[5].as_str(), selected(&pane).as_deref()),
            ("no older line with \"", Some("line 1"))
        );
        press(&mut pane, "/xyz\r");
        assert_eq!(shown(&pane)[5], "no line with \"xyz\"");
        press(&mut pane, "/x");
        pane.escape();
        assert!(!pane.is_typed());
    }

    #[test]
    fn long_lines_go_on_in_the_next_row_and_all_of_them_can_be_reached() {
        let mut pane = pane("why", 0);
        pane.take("0123456789012345678901234567890\ta\n\nb\nc\nd");
        assert_eq!(shown(&pane)[..4], ["web: why", "01234567890123456789", "01234567890 a", ""]);
        assert!(pane.press(Key::End, SIZE));
        assert_eq!(shown(&pane)[1..5], ["", "b", "c", "d"]);
    }

    #[test]
    fn the_help_fits_forty_columns_and_any_key_closes_it() {
        assert!(HELP.lines().all(|line| line.len() <= 40), "{HELP}");
        let (mut pane, tall) = (Pane::help(), (HELP.lines().count() + 2, 40));
        let lines = pane.draw(tall, None);
        assert_eq!((lines.len(), lines.last().unwrap().1.trim_end()), (tall.0, "any key goes back"));
        assert!(!pane.press(Key::Char('/'), tall));
        assert!(pane.press(Key::Down, SIZE), "one that does not fit is moved");
        assert!(!pane.press(Key::Down, tall));
    }
}
