//! Feeds nonsense to everything that reads what comes from outside: configurations, variables, command lines,
//! patterns, numbers, requests, replies, regular expressions, output.
//!
//! Inputs are made by changing known ones, from a seed, so that a run can be had again. Each must neither panic nor
//! take long nor take much memory, and what a reader answers is compared with a simpler way to the same answer
//! where there is one. `cargo test` plays a few thousand; `make fuzz INPUTS=N [CORPUS=DIR]` as many as are wanted,
//! with the files below DIR as further examples of configurations. The environment says the same:
//!
//! - `FUZZ_INPUTS`: how many in all, shared out among the targets;
//! - `FUZZ_SEED`: another seed than the one of the tests;
//! - `FUZZ_CORPUS`: the directory;
//! - `FUZZ_TARGET`: only the target of this name.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod guard;
mod mutator;
mod seeds;
mod targets;

use guard::{Fault, Guard, processor_time};
use mutator::Mutator;
use seeds::Examples;
use std::env::var;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use targets::Target;

/// How many inputs `cargo test` plays, slow as its builds are.
const FEW: u64 = 20_000;

/// Memory is that of the process, so that only one test may measure it at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn number(name: &str, otherwise: u64) -> u64 {
    var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn no_input_does_harm() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (inputs, seed) = (number("FUZZ_INPUTS", FEW), number("FUZZ_SEED", 1));
    let corpus = var("FUZZ_CORPUS").ok().filter(|dir| !dir.is_empty());
    let examples = Examples::read(corpus.as_deref().map(Path::new));
    let only = var("FUZZ_TARGET").ok().filter(|name| !name.is_empty());
    let chosen: Vec<&Target> =
        targets::ALL.iter().filter(|t| only.as_deref().is_none_or(|o| o == t.name)).collect();
    assert!(!chosen.is_empty(), "there is no target {only:?}");
    let shares: u64 = chosen.iter().map(|target| target.share).sum();
    let mut faults = Vec::new();
    for target in chosen {
        let found = play(target, &examples, inputs * target.share / shares, seed);
        faults.extend(found.map(|fault| format!("{}: {fault}", target.name)));
    }
    assert!(faults.is_empty(), "seed {seed}:\n{}", faults.join("\n"));
}

/// Plays inputs of one target until one of them does harm.
fn play(target: &Target, examples: &Examples, inputs: u64, seed: u64) -> Option<Fault> {
    let begun = Instant::now();
    let mutator = Mutator::new(target.examples(examples), &examples.words);
    let mut guard = Guard::new(target.run, target.memory, guard::SLOW);
    let fault = guard.play(inputs, &|n| mutator.input(seed, n));
    let rate = inputs as f64 / begun.elapsed().as_secs_f64();
    let slowest = guard.slowest.as_secs_f64() * 1e3;
    println!("{:10} {inputs} inputs, {rate:.0} a second, the slowest {slowest:.1} ms", target.name);
    fault
}

/// What counts as slow in the test below.
const SHORT: Duration = Duration::from_millis(200);

/// What a fuzzer that does not look would miss.
#[test]
fn what_is_planted_is_found() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let examples = vec![b"harmless".to_vec()];
    let words = vec!["needle".to_string()];
    let mutator = Mutator::new(examples, &words);
    let found = |run: fn(&[u8])| Guard::new(run, 24 << 20, SHORT).play(3000, &|n| mutator.input(1, n));
    assert!(found(|_| {}).is_none());
    fn has(input: &[u8]) -> bool {
        input.starts_with(b"needle")
    }
    match found(|input| assert!(!has(input), "it hurts")) {
        Some(Fault::Panic { input, message }) => {
            assert_eq!(String::from_utf8_lossy(&input), "needle", "not made smaller");
            assert!(message.contains("it hurts"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    // So large that the C library takes it from the kernel each time.
    match found(|input| drop(has(input).then(|| std::hint::black_box(vec![1_u8; 40 << 20])))) {
        Some(Fault::Memory { input, bytes }) => assert!(has(&input) && bytes > 24 << 20, "{bytes}"),
        other => panic!("{other:?}"),
    }
    fn slow(input: &[u8]) {
        if has(input) {
            let until = processor_time() + SHORT * 2;
            while processor_time() < until {}
        }
    }
    match found(slow) {
        Some(Fault::Slow { input, .. }) => assert!(has(&input)),
        other => panic!("{other:?}"),
    }
}
