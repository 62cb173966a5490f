//! A build without the feature `details` has no more to say than the states.

use super::View;
use crate::arbiter::watcher::Watcher;
use crate::config::features::{self, DETAILS};
use crate::control::{Map, Refusal};
use serde_json::Value as Json;

type OfEach<'a> = dyn Fn(&dyn Fn(&Watcher) -> Option<Json>) -> Json + 'a;

pub fn tell(_: &View<'_>, _: &OfEach<'_>, _: &mut Map) -> Result<(), Refusal> {
    let why = features::lack(Some(DETAILS)).unwrap_or_default();
    Err(Refusal::message(format!("details {why}")))
}
