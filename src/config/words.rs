//! Splits a command line into words as a shell does with quotes and backslashes, and with nothing else.
//!
//! The rules are those of Python's `shlex.split`, which Circus uses: no variables, no patterns, no comments. They
//! differ from a shell's in one case: a backslash before the end of a line keeps that end of line.

/// The words of `line`.
///
/// # Errors
/// A phrase that says what is wrong with the quoting.
pub fn split(line: &str) -> Result<Vec<String>, &'static str> {
    // A form feed is white space to Rust alone.
    if !line.bytes().any(|byte| matches!(byte, b'\\' | b'\'' | b'"' | b'\x0c')) {
        return Ok(line.split_ascii_whitespace().map(str::to_string).collect());
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => {
                let escaped = chars.next().ok_or("nothing follows the last backslash")?;
                word.get_or_insert_default().push(escaped);
            }
            '\'' | '"' => quoted(c, &['"', '\\'], &mut chars, word.get_or_insert_default())?,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Whether one of the names in a text is it. They stand between single blanks.
pub fn is_one(names: &str, is_it: impl Fn(&[u8]) -> bool) -> bool {
    // A search for a character takes ten times as long to begin.
    names.as_bytes().split(|byte| *byte == b' ').any(is_it)
}

/// Appends what stands before the closing `quote`. In double quotes a backslash makes some characters ordinary.
///
/// # Errors
/// There is no closing quote.
pub fn quoted(
    quote: char,
    escaped: &[char],
    chars: &mut std::str::Chars<'_>,
    word: &mut String,
) -> Result<(), &'static str> {
    const OPEN: &str = "there is no closing quotation mark";
    loop {
        match chars.next().ok_or(OPEN)? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => {
                let c = chars.next().ok_or(OPEN)?;
                if !escaped.contains(&c) {
                    word.push('\\');
                }
                word.push(c);
            }
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_python_splits_them() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \t\r\n", &[]),
            ("a b  c", &["a", "b", "c"]),
            ("a\nb", &["a", "b"]),
            (r#"sh -c "echo 'x y'""#, &["sh", "-c", "echo 'x y'"]),
            (r#"a'b c'"d"e"#, &["ab cde"]),
            ("'' \"\"", &["", ""]),
            (r"a\ b \'", &["a b", "'"]),
            (r#""\$x \" \\ \n""#, &[r#"\$x " \ \n"#]),
            (r"'a\b'", &[r"a\b"]),
            ("a\\\nb", &["a\nb"]),
            ("a # b", &["a", "#", "b"]),
            ("a;b|c", &["a;b|c"]),
            ("a\u{a0}b", &["a\u{a0}b"]),
            ("a\u{c}b c", &["a\u{c}b", "c"]),
        ];
        for (line, words) in cases {
            assert_eq!(
                split(line).as_deref(),
                Ok(&words.iter().map(|w| w.to_string()).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn unfinished_quoting_is_an_error() {
        for line in ["'", "a \"b", "\"a\\", "\"a\\\"", "'a\\'b'"] {
            assert_eq!(split(line), Err("there is no closing quotation mark"), "{line}");
        }
        assert_eq!(split("a\\"), Err("nothing follows the last backslash"));
    }
}
