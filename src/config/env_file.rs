//! `env_file`: a file of `NAME=value` lines.
//!
//! Blank lines and those that begin with `#` or `;` count for nothing, and an `export` before a name neither. A value
//! in single quotes is taken as it is; in double quotes, a backslash before `"`, `\` and `$` makes them ordinary.
//! Nothing is replaced in a value.

use super::words;

/// The variables of a file, in its order.
///
/// # Errors
/// A line that is none, with its number.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut variables = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let variable = line.split_once('=').and_then(|(name, value)| {
            let name = name.trim();
            let sound = !name.is_empty() && !name.contains(char::is_whitespace) && !line.contains('\0');
            Some((name.to_string(), unquote(value.trim()).filter(|_| sound)?))
        });
        variables.push(variable.ok_or_else(|| format!("line {number} is no NAME=value"))?);
    }
    Ok(variables)
}

/// A value without its quotes; `None` when a quote is not closed at the end.
fn unquote(text: &str) -> Option<String> {
    let mut chars = text.chars();
    let Some(quote @ ('\'' | '"')) = chars.next() else { return Some(text.into()) };
    let mut value = String::new();
    words::quoted(quote, &['"', '\\', '$'], &mut chars, &mut value).ok()?;
    chars.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines_are_names_with_values() {
        let text = "\u{feff}# comment\n; another\n\nA=1\r\n B = two words \nexport C=\nD='a \"b\" $X'\nE=\"a \\\"b\\\" \\$X \\n\"\nF=a=b # c\n";
        let text = text.trim_start_matches('\u{feff}');
        let wanted = [
            ("A", "1"),
            ("B", "two words"),
            ("C", ""),
            ("D", "a \"b\" $X"),
            ("E", "a \"b\" $X \\n"),
            ("F", "a=b # c"),
        ];
        assert_eq!(parse(text).unwrap(), wanted.map(|(name, value)| (name.into(), value.into())));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for line in ["A", "=x", "A B=x", "A='x", "A=\"x", "A='x' y", "A=\"x\" y", "A=\"x\\", "A=\0"] {
            assert_eq!(parse(&format!("#\n{line}")).unwrap_err(), "line 2 is no NAME=value", "{line}");
        }
    }
}
