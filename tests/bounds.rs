//! What a client may ask of circus has bounds, and who asks less is not held up by it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::Circus;
use serde_json::json;

#[test]
fn a_pattern_of_any_size_is_answered_in_few_words() {
    let circus = Circus::start("[watcher:a]\ncmd = sleep 1000\n");
    circus.up("a");
    let long = "ab|".repeat(300_000);
    for how in ["glob", "regex", "simple"] {
        let reply = circus.call("stop", json!({"name": long, "match": how}));
        assert_eq!(reply["status"], "error", "{how}");
        assert!(reply["reason"].as_str().expect("a reason").len() < 500, "{how}");
    }
    assert_eq!(circus.ctl_ok(&["status", "a"]), "active");
}
