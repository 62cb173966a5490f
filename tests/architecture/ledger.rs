//! The ledger of unsafe code, docs/unsafe.md, made from the source: where each block stands, what it does, and why that
//! is sound.

use super::{File, source};
use std::collections::BTreeMap;
use std::fmt::Write;

const HEAD: &str = "\
# Unsafe code

Every `unsafe` block of the program: the function that it stands in, what it does, and why that is sound. It stands only
below `src/sys`, one operation a block; tests are left out. `make ledger` writes this page from the source, and
`make check` fails when it is not up to date.
";

/// One block.
struct Entry {
    function: String,
    operation: String,
    reason: String,
}

/// The page for these files.
pub fn page(files: &[File]) -> String {
    let mut entries: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.path.ends_with("tests.rs")) {
        let found = blocks(&file.source);
        if !found.is_empty() {
            entries.insert(&file.path, found);
        }
    }
    let count: usize = entries.values().map(Vec::len).sum();
    let mut page = format!("{HEAD}\n{count} blocks in {} files.\n", entries.len());
    for (path, entries) in entries {
        let _ =
            write!(page, "\n## src/{path}\n\n| function | operation | why it is sound |\n|---|---|---|\n");
        for Entry { function, operation, reason } in entries {
            let _ = writeln!(page, "| `{function}` | `{}` | {} |", cell(&operation), cell(&reason));
        }
    }
    page
}

/// Text within a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The unsafe blocks, functions and impls of a file, without those of its tests.
fn blocks(source: &str) -> Vec<Entry> {
    let source = source.split_once("\n#[cfg(test)]\nmod tests {").map_or(source, |(code, _)| code);
    let lines: Vec<&str> = source.lines().collect();
    let tokens = source::tokens(source);
    let unsafe_lines = tokens.iter().filter(|token| token.text == "unsafe").map(|token| token.line - 1);
    unsafe_lines.map(|line| entry(&lines, line)).collect()
}

fn entry(lines: &[&str], at: usize) -> Entry {
    let from = lines[at].find("unsafe").unwrap_or_default();
    let mut rest = lines[at][from..].to_string();
    for line in &lines[at + 1..] {
        if balanced(&rest) {
            break;
        }
        rest = format!("{rest} {}", line.trim());
    }
    let inside = rest.split_once('{').map(|(_, inside)| inside.trim());
    let operation = match inside {
        Some(inside) if rest.starts_with("unsafe {") => {
            inside[..closing(inside)].trim().trim_end_matches(';').to_string()
        }
        _ if lines[at].trim().starts_with("#[") => lines[at].trim().to_string(),
        // A function, an impl or an extern block: what it is, not what it holds.
        _ => rest.split('{').next().unwrap_or_default().trim().to_string(),
    };
    Entry { function: function(lines, at), operation, reason: reason(lines, at) }
}

/// Whether all brackets that were opened are closed, and some were.
fn balanced(text: &str) -> bool {
    let count = |marks: &[char]| text.matches(marks).count();
    let opened = count(&['{', '(']);
    opened > 0 && opened <= count(&['}', ')']) || text.ends_with(';')
}

/// Where the bracket is closed that was open before `text`.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    let end = text.char_indices().find(|(_, mark)| {
        depth += i32::from(*mark == '{') - i32::from(*mark == '}');
        depth == 0
    });
    end.map_or(text.len(), |(at, _)| at)
}

/// The function that a line stands in.
fn function(lines: &[&str], at: usize) -> String {
    let name = |line: &&&str| {
        let (before, behind) = line.split_once("fn ")?;
        let is_item = before.trim().split(' ').all(|word| {
            ["", "pub", "const", "unsafe", "extern", "\"C\""].contains(&word) || word.starts_with("pub(")
        });
        is_item.then(|| behind.split(['(', '<']).next().unwrap_or_default().to_string())
    };
    lines[..=at].iter().rev().find_map(|line| name(&line)).unwrap_or_else(|| "at the top level".into())
}

/// The comment `// SAFETY: ...` that stands nearest above a line; for an unsafe function what its callers must see to.
fn reason(lines: &[&str], at: usize) -> String {
    let head = if lines[at].contains("unsafe fn ") { "/// # Safety" } else { "// SAFETY: " };
    let Some(first) = (0..=at).rev().find(|line| lines[*line].trim_start().starts_with(head)) else {
        return String::new();
    };
    let comment = lines[first..].iter().map_while(|line| line.trim_start().strip_prefix("//"));
    let text: Vec<&str> = comment.map(|line| line.trim_start_matches('/').trim()).collect();
    match text.join(" ").trim_start_matches("SAFETY: ").trim_start_matches("# Safety ") {
        "as above." if first > 0 => reason(lines, first - 1),
        text => text.to_string(),
    }
}

#[test]
fn a_block_is_entered_with_its_function_and_reason() {
    let source = "//! x\n/// Gets it.\npub fn get(x: i32) -> i32 {\n    // SAFETY: x is ours,\n    // and stays.\n    \
                  cvt(unsafe {\n        g(x, |y| { y })\n    })?\n}\n#[cfg(test)]\nmod tests { fn t() { unsafe { h() } } }\n";
    let page = page(&[File { path: "sys/x.rs".into(), source: source.into() }]);
    assert!(page.contains("1 blocks in 1 files."), "{page}");
    assert!(page.contains("| `get` | `g(x, \\|y\\| { y })` | x is ours, and stays. |"), "{page}");
}
