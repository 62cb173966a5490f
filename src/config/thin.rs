//! Text behind a pointer of one word.
//!
//! A watcher has some forty options that are texts and hardly ever given, a stream eleven. Where one is missing, this
//! takes eight bytes instead of sixteen; where it is given, a few more.

use std::fmt;
use std::ops::Deref;

/// A text that does not change.
#[derive(Clone, PartialEq, Eq)]
pub struct Thin(Box<Box<str>>);

impl Deref for Thin {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Thin {
    fn from(text: String) -> Self {
        Thin(Box::new(text.into()))
    }
}

impl From<&str> for Thin {
    fn from(text: &str) -> Self {
        Thin(Box::new(text.into()))
    }
}

impl fmt::Debug for Thin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Thin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}
