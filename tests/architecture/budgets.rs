//! How much there is to read: code lines for each folder of `src`, the longest files and functions. Growth beyond a
//! budget is a decision: whoever takes it changes the number here.

use super::{File, source};
use source::Token;
use std::collections::{BTreeMap, BTreeSet};

/// Code lines of each folder, without comments, blank lines and tests. They may be exceeded by a twentieth.
const BUDGETS: &[(&str, usize)] = &[
    ("arbiter", 5_440),
    ("cli", 3_560),
    ("config", 5_330),
    ("control", 2_790),
    ("host", 4_150),
    ("parts", 8_100),
    ("reactor", 1_340),
    ("sys", 2_450),
    ("views", 1_055),
    // The files beside the folders.
    ("", 315),
];

/// The most lines of a file, tests apart, and how many files may have more.
const LONGEST_FILE: (usize, usize) = (450, 2);

/// The most lines of a function.
const LONGEST_FUNCTION: usize = 60;

/// A file, as far as it counts.
struct Counted {
    /// Its code lines, without those of tests.
    code: usize,
    /// All its lines.
    lines: usize,
    /// `name`, and how many lines it has.
    functions: Vec<(String, usize)>,
}

/// Everything that exceeds its budget.
pub fn violations(files: &[File]) -> Vec<String> {
    let tests = test_files(files);
    let counted = files.iter().filter(|file| !tests.iter().any(|test| is_below(&file.path, test)));
    let counted: Vec<(&str, Counted)> =
        counted.map(|file| (file.path.as_str(), count(&file.source))).collect();
    let mut found = Vec::new();
    let mut sums: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, file) in &counted {
        *sums.entry(path.split_once('/').map_or("", |(folder, _)| folder)).or_default() += file.code;
        let long = file.functions.iter().filter(|(_, lines)| *lines > LONGEST_FUNCTION);
        found.extend(long.map(|(name, lines)| format!("src/{path}: {name} has {lines} lines")));
    }
    for (folder, code) in sums {
        match BUDGETS.iter().find(|(name, _)| *name == folder) {
            Some((_, budget)) if code * 20 > budget * 21 => {
                found.push(format!("src/{folder}: {code} code lines, the budget is {budget}"));
            }
            Some(_) => {}
            None => found.push(format!("src/{folder}: {code} code lines without a budget")),
        }
    }
    let (most, excused) = LONGEST_FILE;
    let long: Vec<_> = counted.iter().filter(|(_, file)| file.lines > most).collect();
    if long.len() > excused {
        let names = long.iter().map(|(path, file)| format!("{path} ({})", file.lines));
        let names = names.collect::<Vec<_>>().join(", ");
        found.push(format!("{} files have more than {most} lines: {names}", long.len()));
    }
    found
}

/// The code lines of these files, tests apart.
#[allow(dead_code, reason = "for the smallest build")]
pub fn code(files: &[File]) -> usize {
    files.iter().map(|file| count(&file.source).code).sum()
}

/// The stems of the files that are tests only: `arbiter/sim` for `#[cfg(test)] mod sim;` in `arbiter/mod.rs`.
fn test_files(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let stem = file.path.strip_suffix(".rs").unwrap_or(&file.path);
        let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
        let base = if matches!(name, "mod" | "lib" | "main") { folder } else { stem };
        let tokens = source::tokens(&file.source);
        for (from, to) in test_items(&tokens) {
            let words: Vec<&str> = tokens[from..=to].iter().map(|token| token.text.as_str()).collect();
            if let [.., "mod", name, ";"] = words.as_slice() {
                found.push(format!("{base}/{name}").trim_start_matches('/').to_string());
            }
        }
    }
    found
}

fn is_below(path: &str, stem: &str) -> bool {
    path.strip_prefix(stem).is_some_and(|rest| rest.starts_with(['.', '/']))
}

fn count(text: &str) -> Counted {
    let tokens = source::tokens(text);
    let tests = test_items(&tokens);
    let is_test = |at: usize| tests.iter().any(|(from, to)| (*from..=*to).contains(&at));
    let all: Vec<&str> = text.lines().collect();
    let mut code = BTreeSet::new();
    let mut functions = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(at, _)| !is_test(*at)) {
        code.extend((token.line..=token.last).filter(|line| !all[line - 1].trim().is_empty()));
        let name = tokens.get(at + 1).filter(|next| token.text == "fn" && next.text != "(");
        if let Some((name, end)) = name.zip(body(&tokens, at)) {
            let name = name.text.clone();
            functions.push((name, tokens[end].line + 1 - token.line));
        }
    }
    Counted { code: code.len(), lines: all.len(), functions }
}

/// Where the items below `#[cfg(test)]` begin and end.
fn test_items(tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let text = |at: usize| tokens.get(at).map_or("", |token: &Token| token.text.as_str());
    let mut at = 0;
    while at < tokens.len() {
        let is_cfg = ["#", "[", "cfg", "("].iter().enumerate().all(|(n, word)| text(at + n) == *word);
        let condition = if text(at + 4) == "all" { at + 6 } else { at + 4 };
        if is_cfg && text(condition) == "test" {
            let attribute = end(tokens, at + 1);
            let item = (attribute + 1..tokens.len()).find(|at| matches!(text(*at), "{" | ";"));
            let to = item.map_or(tokens.len() - 1, |at| if text(at) == "{" { end(tokens, at) } else { at });
            found.push((at, to));
            at = to;
        }
        at += 1;
    }
    found
}

/// The brace that ends the body of the function whose `fn` stands here, if it has one.
fn body(tokens: &[Token], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        match tokens.get(at)?.text.as_str() {
            "(" | "[" => at = end(tokens, at),
            "{" => return Some(end(tokens, at)),
            ";" => return None,
            _ => {}
        }
        at += 1;
    }
}

/// The bracket that closes the one here.
fn end(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len() - 1
}

#[test]
fn code_is_counted_without_comments_blanks_and_tests() {
    let source = "//! Head.\n\n/// Doc.\nfn long(a: [u8; 3]) {\n    let s = \"one\n\n  two\"; // end\n}\n\n\
                  #[cfg(test)]\nmod tests {\n    fn f() {}\n}\n#[cfg(test)]\nuse x;\nfn declared();\n";
    let counted = count(source);
    assert_eq!((counted.code, counted.lines), (5, 16));
    assert_eq!(counted.functions, [("long".to_string(), 5)]);
    let file = |path: &str, source: &str| File { path: path.into(), source: source.into() };
    let sim = file("arbiter/mod.rs", "#[cfg(test)]\nmod sim;\n");
    let files = [sim, file("config/ini.rs", "#[cfg(test)]\nmod tests;\n")];
    assert_eq!(test_files(&files), ["arbiter/sim", "config/ini/tests"]);
    assert!(is_below("arbiter/sim/fate.rs", "arbiter/sim") && !is_below("arbiter/simple.rs", "arbiter/sim"));
    let body = "x();\n".repeat(LONGEST_FUNCTION);
    let files = [file("other/x.rs", &format!("fn f() {{\n{body}}}\n"))];
    let wanted = ["src/other/x.rs: f has 62 lines", "src/other: 62 code lines without a budget"];
    assert_eq!(violations(&files), wanted);
}
