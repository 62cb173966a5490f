//! `circus ctl tail --follow`: prints lines as they are completed.
//!
//! The daemon sends what it reads as it comes. Here the lines of each output of each process are put together, so that
//! none is torn, and made fit for the terminal.

use super::client::{Connection, Trouble, object};
use super::{complain, write_out};
use crate::control::plain::{plain, plain_text};
use crate::control::{at, items, put as set, word};
use crate::sorted::Sorted;
use serde_json::Value as Json;

/// A line that is longer than this, in bytes, is printed before its end has come.
const LONGEST: usize = 64 * 1024;

/// The unfinished lines, by process and output.
#[derive(Default)]
struct Begun(Sorted<(i64, String), String>);

impl Begun {
    /// The lines that a piece of output completes. An empty piece says that nothing more comes.
    fn complete(&mut self, piece: &Json) -> Vec<String> {
        let (stream, text) = (word(piece, "stream"), word(piece, "text"));
        let key = (at(piece, "pid").as_i64().unwrap_or(0), stream.to_string());
        let mut rest = self.0.remove(&key).unwrap_or_default();
        let ends = text.is_empty() && !rest.is_empty();
        rest.push_str(text);
        let behind = rest.split_off(rest.rfind('\n').map_or(0, |newline| newline + 1));
        let mut lines: Vec<String> = rest.lines().map(plain).collect();
        rest = behind;
        if ends || rest.len() > LONGEST {
            lines.push(plain(&std::mem::take(&mut rest)));
        }
        if !rest.is_empty() {
            self.0.insert(key, rest);
        }
        lines
    }

    /// The lines that have no end, as far as they have come: what comes now belongs to others.
    fn end(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0).values().map(|line| plain(line)).collect()
    }
}

/// Prints the lines of the reply, then what comes until the watcher is removed or the daemon ends.
pub(super) fn follow(connection: &mut Connection, reply: &Json) -> Result<u8, Trouble> {
    let mut followed = Followed::begin(reply, String::new())?;
    loop {
        match connection.line(None) {
            Err(Trouble::Closed) => break,
            line => {
                if followed.take(&line?)? {
                    break;
                }
            }
        }
    }
    followed.end()
}

/// The output of a watcher that is being printed, each line behind a prefix.
pub(super) struct Followed {
    begun: Begun,
    prefix: String,
}

impl Followed {
    /// Prints the lines of the reply.
    pub fn begin(reply: &Json, prefix: String) -> Result<Followed, Trouble> {
        let mut begun = Begun::default();
        for line in items(at(reply, "lines")) {
            let mut line = line.clone();
            if line.get("unfinished").is_none() {
                let text = word(&line, "text").to_string() + "\n";
                line.as_object_mut().into_iter().for_each(|line| set(line, "text", text.as_str().into()));
            }
            print(&begun.complete(&line), &prefix)?;
        }
        Ok(Followed { begun, prefix })
    }

    /// Prints what an event completes; true when it was the last one.
    pub fn take(&mut self, line: &[u8]) -> Result<bool, Trouble> {
        let Ok(event) = object(line) else { return Ok(false) };
        let data = at(&event, "data");
        let lines = match word(&event, "topic") {
            "circus.tail_ended" => return Ok(true),
            "circus.missed" => self.begun.end(),
            _ => self.begun.complete(data),
        };
        print(&lines, &self.prefix)?;
        if word(&event, "topic") == "circus.missed" {
            let bytes = at(data, "bytes").as_u64().unwrap_or(0);
            complain(&format!("circusctl: {bytes} bytes were missed here"), 0);
        }
        Ok(false)
    }

    /// Prints what has no end.
    pub fn end(&mut self) -> Result<u8, Trouble> {
        print(&self.begun.end(), &self.prefix).map(|()| 0)
    }
}

fn print(lines: &[String], prefix: &str) -> Result<(), Trouble> {
    let text: Vec<String> = lines.iter().map(|line| format!("{prefix}{}\n", plain_text(line))).collect();
    if text.is_empty() { Ok(()) } else { write_out(&text.concat()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_are_completed_for_each_output_of_its_own() {
        let mut begun = Begun::default();
        let mut feed = |pid: i64, stream: &str, text: &str| {
            let piece = json!({"pid": pid, "stream": stream, "text": text});
            begun.complete(&piece).join("|")
        };
        assert_eq!(feed(1, "stdout", "one\ntw"), "one");
        assert_eq!(feed(1, "stderr", "bad"), "");
        assert_eq!(feed(2, "stdout", "\n\x1b[31mred\x1b[m\n"), "|red");
        assert_eq!(feed(1, "stdout", "o\nthree\nfour"), "two|three");
        assert_eq!(feed(1, "stdout", ""), "four");
        assert_eq!(feed(1, "stdout", ""), "");
        assert_eq!(feed(1, "stderr", "\n"), "bad");
        assert_eq!(feed(2, "stdout", &"x".repeat(LONGEST + 1)).len(), LONGEST + 1);
        assert_eq!(feed(2, "stdout", "y\n"), "y");
    }

    #[test]
    fn what_comes_after_a_gap_is_not_joined_to_what_came_before() {
        let mut begun = Begun::default();
        let piece = |text: &str| json!({"pid": 1, "stream": "stdout", "text": text});
        assert_eq!(begun.complete(&piece("one\ntw")), ["one"]);
        assert_eq!(begun.end(), ["tw"]);
        assert_eq!(begun.complete(&piece("ree\nfour\n")), ["ree", "four"]);
    }
}
