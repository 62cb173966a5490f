//! Looks in the output of new processes for the line by which each says that it is ready (`ready = log:REGEX`).

use super::ring::Writer;
use crate::sys::regex::Regex;

/// A longer line is looked at up to here, in bytes.
const LONGEST: usize = 4096;

/// The processes that have not written their line yet, and those that just have.
#[derive(Default)]
pub struct Phrases {
    awaited: Vec<Awaited>,
    found: Vec<i32>,
}

struct Awaited {
    pid: i32,
    expression: Regex,
    /// The beginning of a line, by output.
    unfinished: [Vec<u8>; 2],
}

impl Phrases {
    /// From now on the lines of a process are looked at.
    pub fn add(&mut self, pid: i32, expression: Regex) {
        self.awaited.push(Awaited { pid, expression, unfinished: [Vec::new(), Vec::new()] });
    }

    /// They are not any more.
    pub fn remove(&mut self, pid: i32) {
        if let Some(at) = self.awaited.iter().position(|awaited| awaited.pid == pid) {
            self.awaited.swap_remove(at);
        }
    }

    /// The processes that have written their line since the last call.
    pub fn take_found(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.found)
    }

    /// A process has written something.
    pub(super) fn note(&mut self, writer: &Writer, bytes: &[u8]) {
        let awaited = self.awaited.iter_mut().find(|awaited| awaited.pid == writer.pid);
        let Some(Awaited { expression, unfinished, .. }) = awaited else { return };
        let Some(unfinished) = unfinished.get_mut(writer.channel as usize) else { return };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (line, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |line| (line, true));
            let room = LONGEST.saturating_sub(unfinished.len()).min(line.len());
            unfinished.extend_from_slice(line.get(..room).unwrap_or_default());
            if ended && expression.find(unfinished).is_some() {
                self.found.push(writer.pid);
                return self.remove(writer.pid);
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
    use crate::daemon::streams::Channel;

    #[test]
    fn a_line_is_found_however_it_comes() {
        let mut phrases = Phrases::default();
        let writer = |pid, channel| Writer { watcher: WatcherId(0), pid, wid: 1, channel };
        phrases.add(7, Regex::new("^up and (running|well)$").unwrap());
        phrases.add(8, Regex::new("x").unwrap());
        phrases.note(&writer(7, Channel::Stdout), b"up and running");
        phrases.note(&writer(7, Channel::Stderr), b" now\nup and running now\n");
        assert_eq!(phrases.take_found(), [0; 0]);
        phrases.note(&writer(7, Channel::Stdout), b"\nmore");
        phrases.note(&writer(8, Channel::Stdout), &[b'y'; 10_000]);
        phrases.note(&writer(8, Channel::Stdout), b"x\n");
        assert_eq!(phrases.take_found(), [7], "the end of a line that is too long is not looked at");
        phrases.note(&writer(7, Channel::Stdout), b"up and well\n");
        phrases.remove(8);
        phrases.note(&writer(8, Channel::Stdout), b"x\n");
        assert_eq!(phrases.take_found(), [0; 0]);
    }
}
