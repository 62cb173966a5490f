//! The language of the manual pages, and the marks between which a list stands in one.

/// The columns of a line of text.
const WIDTH: usize = 78;

const BEGIN: &str = ".\\\" BEGIN generated: ";
const END: &str = ".\\\" END generated";

/// Words that would be read as macros behind another macro.
const MACROS: &[&str] = &["Ar", "Ic", "Cm", "Fl", "No", "Ns", "Oo", "Oc", "Pa", "Sy", "Em", "Li", "Ql", "Nm"];

/// Those that stand in running text, and around it.
const ALL_MACROS: &[&str] = &[
    "Ar", "Ic", "Cm", "Fl", "No", "Ns", "Oo", "Oc", "Pa", "Sy", "Em", "Li", "Ql", "Nm", "It", "Pp", "Sh",
    "Ss", "Bl", "El", "Bd", "Ed", "Dl", "Xr", "Sx", "Ev", "Fa", "Pq",
];

/// Text as lines of a page.
pub fn text(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let word = word.replace('\\', "\\e");
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            lines += &format!("{line}\n");
            line.clear();
        }
        if line.is_empty() {
            // A line that begins so would be a request.
            line += if word.starts_with(['.', '\'']) { "\\&" } else { "" };
        } else {
            line.push(' ');
        }
        line += &word;
        // New sentence, new line: mandoc wants it so.
        if word.ends_with('.') {
            lines += &format!("{line}\n");
            line.clear();
        }
    }
    if line.is_empty() { lines } else { format!("{lines}{line}\n") }
}

/// The words of a page, without its macros.
pub fn words(page: &str) -> String {
    let mut words = String::new();
    for line in page.lines() {
        let is_macro = |word: &&str| line.starts_with('.') && ALL_MACROS.contains(word);
        for word in line.trim_start_matches('.').split_whitespace().filter(|word| !is_macro(word)) {
            let closes = word.len() == 1 && word.starts_with([',', '.', ';', ':', ')']);
            words += if closes { "" } else { " " };
            words += &word.replace("\\&", "");
        }
    }
    words
}

/// A word as an argument of a macro.
pub fn argument(word: &str) -> String {
    let escaped = word.replace('\\', "\\e").replace('"', "\\(dq");
    let special = MACROS.contains(&word) || word.chars().all(|c| c.is_ascii_punctuation());
    if special { format!("\\&{escaped}") } else { escaped }
}

/// A phrase of a table as a sentence. The names of programs and values keep their case.
pub fn sentence(phrase: &str) -> String {
    let first = phrase.split(' ').next().unwrap_or_default();
    let end = if phrase.ends_with('.') { "" } else { "." };
    let mut chars = phrase.chars();
    match chars.next() {
        Some(c) if first != "circus" && !first.ends_with(',') => {
            format!("{}{}{end}", c.to_uppercase(), chars.as_str())
        }
        _ => format!("{phrase}{end}"),
    }
}

/// The page with every marked list made anew, and the names of the lists in it.
///
/// # Errors
/// A mark that is unknown or has no counterpart.
pub fn fill(page: &str, list: impl Fn(&str) -> Option<String>) -> Result<(String, Vec<String>), String> {
    let mut filled = String::new();
    let mut names = Vec::new();
    let mut open = None;
    for (number, line) in (1..).zip(page.lines()) {
        let begins = line.strip_prefix(BEGIN);
        if begins.is_some() && open.is_some() {
            return Err(format!("line {number}: a list begins within another"));
        }
        if let Some(name) = begins {
            let list = list(name).ok_or_else(|| format!("line {number}: there is no list '{name}'"))?;
            filled += &format!("{line}\n{list}");
            names.push(name.to_string());
            open = Some(number);
        } else if line == END {
            open.take().ok_or_else(|| format!("line {number}: no list has begun"))?;
            filled += &format!("{line}\n");
        } else if open.is_none() {
            filled += &format!("{line}\n");
        }
    }
    match open {
        Some(number) => Err(format!("line {number}: the list has no end")),
        None => Ok((filled, names)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_request_and_fits_the_line() {
        assert_eq!(text(".ini \\ 'x'"), "\\&.ini \\e 'x'\n");
        assert_eq!(text("One. Two"), "One.\nTwo\n");
        assert!(text(&"word ".repeat(40)).lines().all(|line| line.len() <= WIDTH));
        assert_eq!(text(""), "");
    }

    #[test]
    fn arguments_are_no_macros() {
        assert_eq!(argument("No"), "\\&No");
        assert_eq!(argument("-"), "\\&-");
        assert_eq!(argument("a\"b"), "a\\(dqb");
        assert_eq!(argument("stop_signal"), "stop_signal");
    }

    #[test]
    fn phrases_become_sentences() {
        assert_eq!(sentence("the port"), "The port.");
        assert_eq!(sentence("debug, info"), "debug, info.");
        assert_eq!(sentence("circus ends"), "circus ends.");
    }

    #[test]
    fn what_stands_between_the_marks_is_replaced() {
        let list = |name: &str| (name == "x").then(|| "new\n".to_string());
        let page = format!("a\n{BEGIN}x\nold\n{END}\nb\n");
        let filled = fill(&page, list).unwrap();
        assert_eq!(filled, (format!("a\n{BEGIN}x\nnew\n{END}\nb\n"), vec!["x".to_string()]));
        assert_eq!(fill(&filled.0, list), Ok(filled.clone()));
        for (page, wanted) in [
            (format!("{BEGIN}y\n{END}\n"), "line 1: there is no list 'y'"),
            (format!("{BEGIN}x\n"), "line 1: the list has no end"),
            (format!("{BEGIN}x\n{BEGIN}x\n{END}\n"), "line 2: a list begins within another"),
            (format!("a\n{END}\n"), "line 2: no list has begun"),
        ] {
            assert_eq!(fill(&page, list), Err(wanted.to_string()), "{page}");
        }
    }
}
