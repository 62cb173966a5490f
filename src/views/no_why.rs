//! A build without the feature `history` has no command `why`.

use super::View;
use crate::control::{Map, Refusal, commands};

pub fn why(_: &View<'_>, _: &str) -> Result<Map, Refusal> {
    Err(Refusal::message(commands::lack("why").unwrap_or_default()))
}
