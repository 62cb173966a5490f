//! A build without the feature `check` has no guesses.

pub fn meant(_: &str) -> Option<String> {
    None
}

pub fn misplaced(_: &str) -> Option<String> {
    None
}
