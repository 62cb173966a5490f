//! What fuzzing has found: for each target the inputs that together reach all that was reached and the examples do not, one
//! a line, escaped as Rust writes bytes. They are played first, and are what new inputs are made of.

use super::coverage::Coverage;
use super::guard::smaller;
use std::fs;
use std::panic;
use std::path::PathBuf;

fn path(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fuzz", "corpus", &format!("{target}.txt")].iter().collect()
}

/// The inputs kept for a target.
pub fn kept(target: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(path(target)).unwrap_or_default();
    text.lines().map(|line| unescaped(line).unwrap_or_else(|| panic!("{target}.txt: {line}"))).collect()
}

/// Keeps as few of these inputs, and as little of each, as reach all that they do and the examples do not.
pub fn keep(target: &str, run: fn(&[u8]), examples: &[Vec<u8>], mut inputs: Vec<Vec<u8>>) {
    let coverage = Coverage::new();
    let passed = |input: &[u8]| {
        coverage.begin();
        // One that fails is no smaller form of one that does not.
        let is_well = panic::catch_unwind(|| run(input)).is_ok();
        is_well.then(|| coverage.passed())
    };
    // How many of those that are kept pass each place; the examples are played anyway.
    let mut counts = vec![0_u32; coverage.extent().0];
    let count = |counts: &mut [u32], places: &[usize], change: i32| {
        places.iter().for_each(|place| counts[*place] = counts[*place].wrapping_add_signed(change));
    };
    examples.iter().filter_map(|example| passed(example)).for_each(|places| count(&mut counts, &places, 1));
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    let mut kept = Vec::new();
    for input in inputs {
        let places = passed(&input).unwrap_or_default();
        if places.iter().any(|place| counts[*place] == 0) {
            count(&mut counts, &places, 1);
            kept.push((input, places));
        }
    }
    let mut lines = Vec::new();
    // From the longest on: perhaps the shorter ones reach all that it does.
    for (input, places) in kept.into_iter().rev() {
        count(&mut counts, &places, -1);
        let own: Vec<usize> = places.into_iter().filter(|place| counts[*place] == 0).collect();
        if own.is_empty() {
            continue;
        }
        let reaches = |input: &[u8]| {
            passed(input).is_some_and(|all| own.iter().all(|it| all.binary_search(it).is_ok()))
        };
        let short = smaller(&input, reaches);
        count(&mut counts, &passed(&short).unwrap_or_default(), 1);
        lines.push(short.escape_ascii().to_string() + "\n");
    }
    lines.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    lines.dedup();
    let path = path(target);
    fs::remove_file(&path).ok();
    if !lines.is_empty() {
        fs::write(&path, lines.concat()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
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
