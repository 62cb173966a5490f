//! Looks in the output of new processes for the line by which each says that it is ready (`ready = log:REGEX`).
//!
//! The work of a turn has a bound, whatever the expressions are and however much is written: what is over stays in its
//! pipe until the next turn. A unit of work is a byte that the smallest kind of expression looks at.

use crate::arbiter::Pid;
use crate::config::ini::shorten;
use crate::config::probe::{NOTHING_TO_READ, Probe};
use crate::config::regex::Regex;
use crate::config::{CHANNELS, WatcherConfig};
use crate::reactor::part::Writer;
use crate::sorted::Sorted;

/// A longer line is looked at up to here, in bytes.
const LONGEST: usize = 4096;
/// So much work is done at once, in units: the most of a pipe that is read, and of a line that is looked at.
const PIECE: usize = 16 * 1024;
/// So much work is done in a turn before the next piece is left for the next one.
const WORK: usize = 24 * 1024;

/// The line by which a process of a watcher will say that it is ready, if it says so in its output.
///
/// # Errors
/// circus reads none of its outputs, or the expression is wrong.
fn wanted_line(config: &WatcherConfig, wid: u32) -> Result<Option<Regex>, String> {
    let text = config.options.ready.as_deref().unwrap_or_default();
    if text.trim().is_empty() {
        return Ok(None);
    }
    let Probe::Log(expression) =
        Probe::parse(text, wid, 0).map_err(|why| format!("`ready = {text}` {why}"))?
    else {
        return Ok(None);
    };
    if CHANNELS.iter().all(|channel| config.stream(*channel).is_none()) {
        return Err(NOTHING_TO_READ.to_string());
    }
    line(&expression).map(Some)
}

fn line(expression: &str) -> Result<Regex, String> {
    Regex::new(expression).map_err(|why| format!("`ready = log:{}`: {why}", shorten(expression)))
}

/// What is wrong with the regular expression of `ready`, if it has one.
#[cfg(feature = "check")]
pub fn wrong_line(config: &WatcherConfig) -> Option<String> {
    match Probe::of_any(config.options.ready.as_deref()?) {
        Ok(Probe::Log(expression)) => line(&expression).err(),
        _ => None,
    }
}

/// The processes that have not written their line yet, and those that just have.
#[derive(Default)]
pub struct LogMatches {
    /// What the process that is being made is to write.
    next: Option<Regex>,
    /// Those whose lines are looked at.
    awaited: Sorted<Pid, Awaited>,
    /// Those that have written theirs.
    found: Vec<Pid>,
    /// The work that was done in this turn.
    done: usize,
}

/// What a process is to write.
struct Awaited {
    expression: Regex,
    /// The beginning of a line, by output.
    unfinished: [Vec<u8>; 2],
}

impl Awaited {
    /// It is to write a line like this.
    fn new(expression: Regex) -> Self {
        Awaited { expression, unfinished: [Vec::new(), Vec::new()] }
    }

    /// How much of something is looked at, when a byte is so much work.
    fn at_most(&self, most: usize) -> usize {
        most.min(PIECE / self.expression.weight())
    }
}

impl LogMatches {
    /// A process is about to be made.
    ///
    /// # Errors
    /// It is to write a line that cannot be waited for.
    pub(super) fn lend(&mut self, config: &WatcherConfig, wid: u32) -> Result<(), String> {
        self.next = wanted_line(config, wid)?;
        Ok(())
    }

    /// It is there, or without a pid could not be made.
    pub(super) fn spawned(&mut self, pid: Option<Pid>) {
        self.awaited.extend(pid.zip(self.next.take().map(Awaited::new)));
    }

    /// A process is about to be reaped.
    pub(super) fn reaped(&mut self, pid: Pid) {
        self.awaited.remove(&pid);
    }

    /// The turn is over.
    pub(super) fn end_turn(&mut self) {
        self.done = 0;
    }

    /// Those that have written their line since it was asked last.
    pub(super) fn take_found(&mut self) -> Vec<Pid> {
        std::mem::take(&mut self.found)
    }

    /// Whether the output of a process is not to be read in this turn.
    pub fn hold_back(&self, pid: Pid) -> bool {
        self.done >= WORK && self.awaited.contains_key(&pid)
    }

    /// How much of the output of a process may be read at once.
    pub(super) fn chunk(&self, pid: Pid, most: usize) -> usize {
        self.awaited.get(&pid).map_or(most, |awaited| awaited.at_most(most))
    }

    /// A process has written something. When the work of the turn is done, it is what the dead have left: nobody waits
    /// for them.
    pub(super) fn note(&mut self, writer: &Writer, bytes: &[u8]) {
        let awaited = self.awaited.get_mut(&writer.pid).filter(|_| self.done < WORK);
        let Some(awaited) = awaited else { return };
        let longest = awaited.at_most(LONGEST);
        let Awaited { expression, unfinished } = awaited;
        self.done += bytes.len() * expression.weight();
        let Some(unfinished) = unfinished.get_mut(writer.channel as usize) else { return };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (line, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |line| (line, true));
            let room = longest.saturating_sub(unfinished.len()).min(line.len());
            unfinished.extend_from_slice(line.get(..room).unwrap_or_default());
            if ended && expression.is_match(&String::from_utf8_lossy(unfinished)) {
                self.found.push(writer.pid);
                return drop(self.awaited.remove(&writer.pid));
            } else if ended {
                unfinished.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbiter::WatcherId;
    use crate::config::Channel;

    #[test]
    fn a_line_is_found_however_it_comes() {
        let mut log_matches = LogMatches::default();
        let writer = |pid, channel| Writer { watcher: WatcherId(0), pid, wid: 1, channel };
        log_matches.awaited.insert(7, Awaited::new(Regex::new("^up and (running|well)$").unwrap()));
        log_matches.awaited.insert(8, Awaited::new(Regex::new("x").unwrap()));
        log_matches.note(&writer(7, Channel::Stdout), b"up and running");
        log_matches.note(&writer(7, Channel::Stderr), b" now\nup and running now\n");
        assert_eq!(std::mem::take(&mut log_matches.found), [0; 0]);
        log_matches.note(&writer(7, Channel::Stdout), b"\nmore");
        log_matches.note(&writer(8, Channel::Stdout), &[b'y'; 10_000]);
        log_matches.note(&writer(8, Channel::Stdout), b"x\n");
        assert_eq!(
            std::mem::take(&mut log_matches.found),
            [7],
            "the end of a line that is too long is not looked at"
        );
        log_matches.note(&writer(7, Channel::Stdout), b"up and well\n");
        log_matches.awaited.remove(&8);
        log_matches.note(&writer(8, Channel::Stdout), b"x\n");
        assert_eq!(std::mem::take(&mut log_matches.found), [0; 0]);
    }

    #[test]
    fn what_a_turn_looks_at_is_bounded_whatever_the_expression_and_the_output_are() {
        let writer = |pid| Writer { watcher: WatcherId(0), pid, wid: 1, channel: Channel::Stdout };
        for (expression, least, most) in [("x", 8 * 1024, 40 * 1024), ("(?:.*a){100}x", 512, 4 * 1024)] {
            let mut log_matches = LogMatches::default();
            log_matches.awaited.insert(7, Awaited::new(Regex::new(expression).unwrap()));
            log_matches.done = 0;
            let mut looked_at = 0;
            while !log_matches.hold_back(7) {
                let chunk = log_matches.chunk(7, 256 * 1024);
                log_matches.note(&writer(7), "a\n".repeat(chunk / 2).as_bytes());
                looked_at += chunk;
            }
            assert!((least..=most).contains(&looked_at), "{expression}: {looked_at}");
            assert!(!log_matches.hold_back(8), "others go on");
            log_matches.note(&writer(7), b"aax\n");
            assert_eq!(
                std::mem::take(&mut log_matches.found),
                [0; 0],
                "what the dead have left is not looked at without end"
            );
            log_matches.done = 0;
            log_matches.note(&writer(7), format!("{}x\n", "a".repeat(150)).as_bytes());
            assert_eq!(std::mem::take(&mut log_matches.found), [7]);
        }
    }
}
