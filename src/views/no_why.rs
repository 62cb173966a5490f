//! A build without the feature `history` has no command `why`.

use crate::control::{Map, Refusal, commands};
use crate::reactor::eventloop::Daemon;

impl Daemon {
    pub(crate) fn why(&self, _: &str) -> Result<Map, Refusal> {
        Err(Refusal::message(commands::lack("why").unwrap_or_default()))
    }
}
