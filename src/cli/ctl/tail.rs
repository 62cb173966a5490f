//! `circus ctl tail --follow`: prints lines as they are completed.
//!
//! The daemon sends what it reads as it comes. Here the lines of each output of each process are put together, so that
//! none is torn, and made fit for the terminal.

use super::client::{Connection, Trouble};
use super::put;
use crate::control::Map;
use crate::control::plain::plain;
use crate::sorted::Sorted;
use serde_json::Value as Json;

/// A line that is longer than this, in bytes, is printed before its end has come.
const LONGEST: usize = 64 * 1024;

/// The unfinished lines, by process and output.
#[derive(Default)]
struct Begun(Sorted<(i64, String), String>);

impl Begun {
    /// The lines that a piece of output completes. An empty piece says that nothing more comes.
    fn complete(&mut self, piece: &Map) -> Vec<String> {
        let word = |key| piece.get(key).and_then(Json::as_str).unwrap_or_default();
        let key = (piece.get("pid").and_then(Json::as_i64).unwrap_or(0), word("stream").to_string());
        let mut rest = self.0.remove(&key).unwrap_or_default();
        let ends = word("text").is_empty() && !rest.is_empty();
        rest.push_str(word("text"));
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
pub(super) fn follow(connection: &mut Connection, reply: &Map) -> Result<u8, Trouble> {
    let mut begun = Begun::default();
    let lines = reply.get("lines").and_then(Json::as_array).into_iter().flatten();
    for line in lines.filter_map(Json::as_object) {
        let mut line = line.clone();
        if let (false, Some(Json::String(text))) = (line.contains_key("unfinished"), line.get_mut("text")) {
            text.push('\n');
        }
        print(begun.complete(&line))?;
    }
    loop {
        let line = match connection.line(None) {
            Err(Trouble::Closed) => break,
            other => other?,
        };
        let Ok(Json::Object(event)) = serde_json::from_slice::<Json>(&line) else { continue };
        let data = event.get("data").and_then(Json::as_object);
        match (event.get("topic").and_then(Json::as_str), data) {
            (Some("circus.tail_ended"), _) => break,
            (Some("circus.missed"), Some(data)) => {
                print(begun.end())?;
                let bytes = data.get("bytes").and_then(Json::as_u64).unwrap_or(0);
                super::complain(&format!("circusctl: {bytes} bytes were missed here"), 0);
            }
            (Some(_), Some(data)) => print(begun.complete(data))?,
            _ => {}
        }
    }
    print(begun.end())?;
    Ok(0)
}

fn print(lines: Vec<String>) -> Result<(), Trouble> {
    if lines.is_empty() { Ok(()) } else { put(&lines.join("\n")) }
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
            begun.complete(piece.as_object().unwrap()).join("|")
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
        let piece =
            |text: &str| json!({"pid": 1, "stream": "stdout", "text": text}).as_object().unwrap().clone();
        assert_eq!(begun.complete(&piece("one\ntw")), ["one"]);
        assert_eq!(begun.end(), ["tw"]);
        assert_eq!(begun.complete(&piece("ree\nfour\n")), ["ree", "four"]);
    }
}
