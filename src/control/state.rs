//! What a circus writes down for the one after it, should it be killed: who it was, and which processes it had. Pure: text
//! to facts and back.
//!
//! The file has one fact a line, and at its end the number of lines and a checksum. The first line is its version:
//! whoever finds another one there knows nothing about the rest. Texts come last, as JSON has them.
//!
//! ```text
//! circus-state 1
//! boot BOOT-ID
//! circus PID START UID PLACE
//! watcher STOP_SIGNAL GRACEFUL_TIMEOUT "NAME"
//! process PID START UID MARK WID             one of the watcher above
//! left PID START UID MARK                    its watcher was removed, and it is to live on
//! socket "NAME" "ADDRESS"
//! end LINES CHECKSUM
//! ```
//!
//! START is when the process started, in clock ticks since boot; the timeout is in milliseconds, PLACE and CHECKSUM are
//! hexadecimal.
#![allow(missing_docs, reason = "what a name says is not said again")]

use super::mark::{Identity, positive};
use crate::arbiter::Pid;
use serde_json::Value as Json;
use std::fmt::{self, Write};
use std::str::SplitWhitespace;

/// The most bytes of a file.
pub const MOST: usize = 16 * 1024 * 1024;
const TITLE: &str = "circus-state";
const VERSION: &str = "1";

/// A process that a circus has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub pid: Pid,
    pub start: u64,
    /// Whom it was started as.
    pub uid: u32,
    pub mark: u64,
}

/// A watcher that had processes.
#[derive(Clone, Debug, PartialEq)]
pub struct OfWatcher {
    pub name: String,
    pub stop_signal: i32,
    /// In milliseconds.
    pub graceful_timeout: u64,
    /// With the number of each in the watcher.
    pub processes: Vec<(Recorded, u32)>,
}

/// All that is written down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub boot: String,
    pub circus: Identity,
    pub uid: u32,
    pub watchers: Vec<OfWatcher>,
    pub left: Vec<Recorded>,
    /// Names and addresses.
    pub sockets: Vec<(String, String)>,
}

impl State {
    /// The file.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        let (lines, sum) = (text.lines().count(), checksum(text.as_bytes()));
        let _ = writeln!(text, "end {lines} {sum:x}");
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let Identity { place, pid, start } = self.circus;
        writeln!(out, "{TITLE} {VERSION}\nboot {}", self.boot)?;
        writeln!(out, "circus {pid} {start} {} {place:x}", self.uid)?;
        for watcher in &self.watchers {
            let OfWatcher { name, stop_signal, graceful_timeout, processes } = watcher;
            writeln!(out, "watcher {stop_signal} {graceful_timeout} {}", quoted(name))?;
            for (Recorded { pid, start, uid, mark }, wid) in processes {
                writeln!(out, "process {pid} {start} {uid} {mark} {wid}")?;
            }
        }
        for Recorded { pid, start, uid, mark } in &self.left {
            writeln!(out, "left {pid} {start} {uid} {mark}")?;
        }
        for (name, address) in &self.sockets {
            writeln!(out, "socket {} {}", quoted(name), quoted(address))?;
        }
        Ok(())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A sentence: it is none, or that of another version, or not whole.
    pub fn parse(bytes: &[u8]) -> Result<State, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_string())?;
        let (first, _) = text.split_once('\n').unwrap_or_default();
        match first.strip_prefix(TITLE).and_then(|rest| rest.strip_prefix(' ')) {
            None => return Err("it is not a state file of circus".into()),
            Some(VERSION) => {}
            Some(version) => {
                let version: String = version.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
                return Err(format!("it is of version {version}, and this circus knows version {VERSION}"));
            }
        }
        let whole = text.strip_suffix('\n').and_then(|text| text.rsplit_once("\nend "));
        let (facts, end) = whole.ok_or("it is not whole")?;
        let facts = text.get(..=facts.len()).unwrap_or_default();
        if end != format!("{} {:x}", facts.lines().count(), checksum(facts.as_bytes())) {
            return Err("its checksum is wrong".into());
        }
        let mut state = State::default();
        for (number, line) in facts.lines().enumerate().skip(1) {
            state.take(line).ok_or_else(|| format!("line {} is not understood", number + 1))?;
        }
        if state.boot.is_empty() || state.circus.pid == 0 {
            return Err("it does not say whose it is".into());
        }
        Ok(state)
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        let mut words = rest.split_whitespace();
        match kind {
            "boot" => self.boot = words.next()?.into(),
            "circus" => {
                let (pid, start) = (positive(words.next()?)?, number(&mut words)?);
                self.uid = number(&mut words)?;
                self.circus = Identity { place: u64::from_str_radix(words.next()?, 16).ok()?, pid, start };
            }
            "watcher" => {
                let stop_signal = number(&mut words).filter(|it| (1..=64).contains(it))?;
                let graceful_timeout = number(&mut words)?;
                let name = texts::<1>(rest.splitn(3, ' ').nth(2)?)?.into_iter().next()?;
                self.watchers.push(OfWatcher { name, stop_signal, graceful_timeout, processes: Vec::new() });
                return Some(());
            }
            "process" => {
                let process = (recorded(&mut words)?, number(&mut words)?);
                self.watchers.last_mut()?.processes.push(process);
            }
            "left" => self.left.push(recorded(&mut words)?),
            "socket" => {
                let [name, address] = texts::<2>(rest)?;
                self.sockets.push((name, address));
                return Some(());
            }
            _ => return None,
        }
        words.next().is_none().then_some(())
    }
}

fn number<T: std::str::FromStr>(words: &mut SplitWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

fn recorded(words: &mut SplitWhitespace<'_>) -> Option<Recorded> {
    // 1 is nobody that a circus has made.
    let pid = positive(words.next()?).filter(|pid| *pid > 1)?;
    Some(Recorded { pid, start: number(words)?, uid: number(words)?, mark: number(words)? })
}

fn quoted(text: &str) -> Json {
    Json::String(text.into())
}

/// So many texts, and nothing else.
fn texts<const N: usize>(line: &str) -> Option<[String; N]> {
    let mut texts = Vec::new();
    for value in serde_json::Deserializer::from_str(line).into_iter::<Json>() {
        let Json::String(text) = value.ok()? else { return None };
        texts.push(text);
    }
    texts.try_into().ok()
}

/// A number for bytes, of 64 bits: FNV-1a.
pub fn checksum(bytes: &[u8]) -> u64 {
    let add = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::mark::Mark;

    fn state() -> State {
        let recorded = Recorded { pid: 41, start: 700, uid: 33, mark: 2 };
        let web = OfWatcher {
            name: "w \"e\" b".into(),
            stop_signal: 15,
            graceful_timeout: 30_000,
            processes: vec![(recorded, 1), (Recorded { pid: 42, mark: 3, ..recorded }, 2)],
        };
        State {
            boot: "b-1".into(),
            circus: Identity { place: 0xabc, pid: 7, start: 600 },
            uid: 0,
            watchers: vec![web],
            left: vec![Recorded { pid: 43, ..recorded }],
            sockets: vec![("http".into(), "/a b\n".into())],
        }
    }

    fn sealed(facts: &str) -> String {
        format!("{facts}end {} {:x}\n", facts.lines().count(), checksum(facts.as_bytes()))
    }

    #[test]
    fn what_is_written_is_read() {
        let text = state().to_text();
        assert_eq!(State::parse(text.as_bytes()), Ok(state()));
        assert_eq!(sealed(text.split_inclusive("\n").take(8).collect::<String>().as_str()), text);
    }

    #[test]
    fn a_file_that_is_cut_or_changed_anywhere_is_refused() {
        let text = state().to_text();
        for end in 0..text.len() {
            assert!(State::parse(&text.as_bytes()[..end]).is_err(), "{end}");
            let mut changed = text.clone().into_bytes();
            changed[end] ^= 1;
            assert!(State::parse(&changed).is_err(), "{end}");
        }
    }

    #[test]
    fn what_is_no_file_of_this_version_says_what_it_is() {
        let why = |text: &str| State::parse(text.as_bytes()).unwrap_err();
        assert_eq!(why(""), "it is not a state file of circus");
        assert_eq!(why("circus-state 12\nmore\n"), "it is of version 12, and this circus knows version 1");
        assert_eq!(why("circus-state 1\n"), "it is not whole");
        assert_eq!(State::parse(b"\xff").unwrap_err(), "it is not text");
        let of = |fact: &str| why(&sealed(&format!("circus-state 1\nboot b\ncircus 7 1 0 a\n{fact}\n")));
        for fact in [
            "",
            "new 1",
            "left 1 2 3 4",
            "left -5 2 3 4",
            "left 5 2 3",
            "left 5 2 3 4 5",
            "left 5 2 -3 4",
            "process 5 2 3 4 1",
            "watcher 0 1 \"a\"",
            "watcher 65 1 \"a\"",
            "watcher 15 1 a",
            "watcher 15 1 \"a\" \"b\"",
            "socket \"a\"",
            "socket \"a\" 1",
        ] {
            assert_eq!(of(fact), "line 4 is not understood", "{fact}");
        }
        assert_eq!(why(&sealed("circus-state 1\nboot b\n")), "it does not say whose it is");
    }

    #[test]
    fn a_mark_is_found_among_variables() {
        let mark = Mark { circus: state().circus, number: 9 };
        assert_eq!(mark.to_string(), "abc-7-600-9");
        let environ = format!("A=1\0XCIRCUS_ID=1-2-3-4\0CIRCUS_ID={mark}\0B=\u{e9}\0");
        assert_eq!(Mark::among(environ.as_bytes()), Some(mark));
        for text in ["", "abc-7-600", "abc-7-600-9-1", "abc-0-600-9", "abc--7-600-9", "g-7-600-9"] {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }
}
