//! A build without the feature `edit` has no command that could lead to more rights than those of whoever is let in.

use super::client::Caller;
use crate::arbiter::Arbiter;
use crate::arbiter::request::Task;
use crate::config::options::Role;

pub fn permit(_: &Arbiter, _: Option<&str>, _: (&Caller, Role), _: &Task) -> Result<(), String> {
    Ok(())
}
