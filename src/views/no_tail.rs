//! A build without the feature `tail` knows nothing of what processes have written.

use crate::arbiter::WatcherId;
use crate::parts::streams::ring::Rings;
use serde_json::Value as Json;

pub fn last_output(_: &Rings, _: WatcherId, _: usize) -> Json {
    Vec::<Json>::new().into()
}
