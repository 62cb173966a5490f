//! A build without the feature `regex` has no regular expressions.
#![allow(missing_docs, reason = "they stand for those of regex.rs")]

use super::features::{self, REGEX};

pub enum Regex {}

impl Regex {
    pub fn new(_: &str) -> Result<Regex, String> {
        let why = features::lack(Some(REGEX)).unwrap_or_default();
        Err(format!("a regular expression {why}"))
    }

    pub fn is_match_at_start(&self, _: &str) -> bool {
        match *self {}
    }
}
