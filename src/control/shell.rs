//! Words quoted so that a shell, and circus's own splitting of `cmd`, give them back as they were.

/// The word, quoted when it needs it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

/// All words, quoted, with a blank between.
pub fn join<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_read_is_quoted() {
        assert_eq!(
            join(["a-b/c.d", "", "it's", "$HOME;x", "h\u{e9}"]),
            "a-b/c.d '' 'it'\"'\"'s' '$HOME;x' 'h\u{e9}'"
        );
    }
}
