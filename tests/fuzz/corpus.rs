//! What fuzzing has found: for each target the inputs that together reach all that was reached, one a line, escaped as
//! Rust writes bytes. They are played first, and are what new inputs are made of.

use super::coverage::Coverage;
use std::fs;
use std::path::PathBuf;

/// The most bytes that the inputs of a target take in the repository.
const ROOM: usize = 48 << 10;

fn path(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fuzz", "corpus", &format!("{target}.txt")].iter().collect()
}

/// The inputs kept for a target.
pub fn kept(target: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(path(target)).unwrap_or_default();
    text.lines().map(|line| unescaped(line).unwrap_or_else(|| panic!("{target}.txt: {line}"))).collect()
}

/// Keeps the shortest of these inputs that together reach what all do.
pub fn keep(target: &str, run: fn(&[u8]), mut inputs: Vec<Vec<u8>>) {
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    inputs.dedup();
    let mut coverage = Coverage::new();
    let mut room = ROOM;
    let mut text = String::new();
    for input in inputs {
        coverage.begin();
        run(&input);
        let line = input.escape_ascii().to_string() + "\n";
        if coverage.is_new() && line.len() <= room {
            room -= line.len();
            text += &line;
        }
    }
    let path = path(target);
    fs::create_dir_all(path.parent().expect("a directory")).expect("tests/fuzz/corpus");
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn unescaped(line: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let digits = [rest.next()?, rest.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                other => other,
            },
            other => other,
        });
    }
    Some(bytes)
}

#[test]
fn what_is_kept_comes_back() {
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(unescaped(&all.escape_ascii().to_string()), Some(all));
    assert_eq!(unescaped("\\x4"), None);
}
